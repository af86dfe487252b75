#include "offers.h"

#include "log.h"
#include "vmbuspipe.h"
#include "wide.h"

#include <process.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
    struct hvs_offers           *offers;
    unsigned                     channel;
    HANDLE                       thread;
    HANDLE                       watch; /* auto-reset event: look for the channel */
    /* offers->lock */
    bool                         watched;
    bool                         found;   /* and not told yet */
    DWORD                        error;   /* why waiting does not work; ERROR_SUCCESS: it does */
    struct hvs_vmbuspipe_channel info;    /* of the last offer */
};

struct hvs_offers {
    struct hvs_vmbuspipe               vmbuspipe;
    const struct hvs_offers_callbacks *callbacks;
    void                              *user_data;
    HANDLE                             stop;  /* manual-reset event */
    HANDLE                             event; /* auto-reset event: a waiter has news */
    CRITICAL_SECTION                   lock;
    struct waiter                      waiters[HVS_CHANNELS];
    DWORD                              failed;     /* why a waiter has given up; lock */
    DWORD                              told_error; /* of the last problem callback */
};

/* ---- the waiters' threads ---- */

static void
tell(struct waiter *waiter, bool found, DWORD error)
{
    struct hvs_offers *offers = waiter->offers;
    bool news;

    EnterCriticalSection(&offers->lock);
    news = found || waiter->error != error;
    waiter->found = found;
    waiter->error = error;
    if (found)
        waiter->watched = false;
    LeaveCriticalSection(&offers->lock);
    if (news)
        SetEvent(offers->event);
}

static bool
is_stopping(const struct hvs_offers *offers)
{
    return WaitForSingleObject(offers->stop, 0) == WAIT_OBJECT_0;
}

/* Until the channel is there or the end. */
static void
wait_for_offer(struct waiter *waiter)
{
    struct hvs_offers *offers = waiter->offers;
    const struct hvs_guid instance = hvs_synthrdp_instance(waiter->channel);
    DWORD pause = HVS_OFFERS_PAUSE_FIRST;

    while (!is_stopping(offers)) {
        struct hvs_vmbuspipe_channel info;
        DWORD error = hvs_vmbuspipe_wait(&offers->vmbuspipe, hvs_synthrdp_class(waiter->channel),
                                         &instance, HVS_OFFERS_WAIT, &info);

        if (error == ERROR_SUCCESS) {
            EnterCriticalSection(&offers->lock);
            waiter->info = info;
            LeaveCriticalSection(&offers->lock);
            tell(waiter, true, ERROR_SUCCESS);
            return;
        }
        if (error == ERROR_TIMEOUT) {
            tell(waiter, false, ERROR_SUCCESS);
            pause = HVS_OFFERS_PAUSE_FIRST;
            continue;
        }
        /* A failure that is over within a moment is no news. */
        if (pause > HVS_OFFERS_PAUSE_FIRST)
            tell(waiter, false, error);
        if (WaitForSingleObject(offers->stop, pause) != WAIT_TIMEOUT)
            return;
        pause = min(pause * 2, HVS_OFFERS_PAUSE_MAX);
    }
}

static void
give_up(struct hvs_offers *offers, DWORD error)
{
    EnterCriticalSection(&offers->lock);
    offers->failed = error;
    LeaveCriticalSection(&offers->lock);
    SetEvent(offers->event);
}

static unsigned __stdcall
run_waiter(void *argument)
{
    struct waiter *waiter = argument;
    const HANDLE handles[] = { waiter->offers->stop, waiter->watch };
    DWORD signalled;

    for (;;) {
        signalled = WaitForMultipleObjects(ARRAYSIZE(handles), handles, FALSE, INFINITE);
        if (signalled != WAIT_OBJECT_0 + 1)
            break;
        wait_for_offer(waiter);
    }
    if (signalled == WAIT_FAILED)
        give_up(waiter->offers, GetLastError());
    return 0;
}

/* ---- the daemon's thread ---- */

static void
describe_load_failure(DWORD error, struct hvs_text *problem)
{
    if (problem == NULL)
        return;
    if (error == ERROR_MOD_NOT_FOUND && hvs_vmbuspipe_is_for_64_bits()) {
        hvs_text_add(problem, "vmbuspipe.dll is there for 64-bit programs only, and this is "
                              "hvsession for 32-bit Windows: remove it, and install the one for "
                              "64-bit Windows (x64)");
        return;
    }
    if (error == ERROR_MOD_NOT_FOUND) {
        hvs_text_add(problem, "vmbuspipe.dll is not in the system directory: install the Hyper-V "
                              "integration services in this guest and restart it");
        return;
    }
    if (error == ERROR_PROC_NOT_FOUND) {
        hvs_text_add(problem, "vmbuspipe.dll lacks functions that hvsession needs: update the "
                              "Hyper-V integration services of this guest");
        return;
    }
    hvs_text_add(problem, "loading vmbuspipe.dll, or starting to wait for channels: ");
    hvs_wide_add_error(problem, error);
}

static DWORD
start_waiter(struct waiter *waiter)
{
    waiter->watch = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (waiter->watch == NULL)
        return GetLastError();
    waiter->thread = (HANDLE)_beginthreadex(NULL, 0, run_waiter, waiter, 0, NULL);
    return waiter->thread != NULL ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

static DWORD
start(struct hvs_offers *offers)
{
    DWORD error;

    offers->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    offers->event = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (offers->stop == NULL || offers->event == NULL)
        return GetLastError();
    error = hvs_vmbuspipe_load(&offers->vmbuspipe);
    for (unsigned i = 0; i < HVS_CHANNELS && error == ERROR_SUCCESS; i++)
        error = start_waiter(&offers->waiters[i]);
    return error;
}

DWORD
hvs_offers_new(const struct hvs_offers_callbacks *callbacks, void *user_data,
               struct hvs_offers **offers, struct hvs_text *problem)
{
    struct hvs_offers *made = calloc(1, sizeof *made);
    DWORD error;

    *offers = NULL;
    if (made == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    made->callbacks = callbacks;
    made->user_data = user_data;
    InitializeCriticalSection(&made->lock);
    for (unsigned i = 0; i < HVS_CHANNELS; i++) {
        made->waiters[i].offers = made;
        made->waiters[i].channel = i;
    }
    error = start(made);
    if (error != ERROR_SUCCESS) {
        describe_load_failure(error, problem);
        hvs_offers_free(made);
        return error;
    }
    *offers = made;
    return ERROR_SUCCESS;
}

void
hvs_offers_stop(struct hvs_offers *offers)
{
    SetEvent(offers->stop);
}

void
hvs_offers_free(struct hvs_offers *offers)
{
    if (offers == NULL)
        return;
    if (offers->stop != NULL)
        hvs_offers_stop(offers);
    for (unsigned i = 0; i < HVS_CHANNELS; i++) {
        struct waiter *waiter = &offers->waiters[i];

        if (waiter->thread != NULL) {
            WaitForSingleObject(waiter->thread, INFINITE);
            CloseHandle(waiter->thread);
        }
        if (waiter->watch != NULL)
            CloseHandle(waiter->watch);
    }
    hvs_vmbuspipe_unload(&offers->vmbuspipe);
    if (offers->stop != NULL)
        CloseHandle(offers->stop);
    if (offers->event != NULL)
        CloseHandle(offers->event);
    DeleteCriticalSection(&offers->lock);
    free(offers);
}

void
hvs_offers_watch(struct hvs_offers *offers, unsigned channel)
{
    struct waiter *waiter = &offers->waiters[channel];
    bool begin;

    EnterCriticalSection(&offers->lock);
    /* What is found and not told yet is as good as watched: it will be told. */
    begin = !waiter->watched && !waiter->found;
    waiter->watched |= begin;
    LeaveCriticalSection(&offers->lock);
    if (begin)
        SetEvent(waiter->watch);
}

HANDLE
hvs_offers_event(const struct hvs_offers *offers)
{
    return offers->event;
}

static void
tell_problem(struct hvs_offers *offers, DWORD error)
{
    char sentence[400];
    struct hvs_text text;

    if (error == offers->told_error)
        return;
    offers->told_error = error;
    if (error == ERROR_SUCCESS) {
        offers->callbacks->problem(NULL, offers->user_data);
        return;
    }
    hvs_text_init(&text, sentence, sizeof sentence);
    hvs_text_add(&text, "the Hyper-V integration services do not answer: ");
    hvs_wide_add_error(&text, error);
    hvs_text_add(&text, "; check that they are installed and that this is a Hyper-V guest");
    offers->callbacks->problem(sentence, offers->user_data);
}

DWORD
hvs_offers_dispatch(struct hvs_offers *offers)
{
    bool found[HVS_CHANNELS];
    DWORD error = ERROR_SUCCESS, failed;

    EnterCriticalSection(&offers->lock);
    failed = offers->failed;
    for (unsigned i = 0; i < HVS_CHANNELS; i++) {
        found[i] = offers->waiters[i].found;
        offers->waiters[i].found = false;
        if (offers->waiters[i].error != ERROR_SUCCESS)
            error = offers->waiters[i].error;
    }
    LeaveCriticalSection(&offers->lock);
    tell_problem(offers, error);
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        if (found[i])
            offers->callbacks->offered(i, offers->user_data);
    return failed;
}

DWORD
hvs_offers_open(struct hvs_offers *offers, unsigned channel, HANDLE *pipe)
{
    struct hvs_vmbuspipe_channel info;

    EnterCriticalSection(&offers->lock);
    info = offers->waiters[channel].info;
    LeaveCriticalSection(&offers->lock);
    return hvs_vmbuspipe_open(&offers->vmbuspipe, &info, pipe);
}
