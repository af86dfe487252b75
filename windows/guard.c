#include "guard.h"

#include "daemon.h"
#include "log.h"
#include "publish.h"

#include <process.h>

static struct {
    HANDLE               started, stopping, ended; /* manual-reset events */
    HANDLE               overdue, told;            /* likewise, between the two threads */
    HANDLE               running;                  /* auto-reset event: one of the two is */
    DWORD                exit_status;
    void (*on_overdue)(bool starting);
    const char *volatile doing;
} guard = { .doing = "starting" };

/* Asks other processes, like the event log, which may hang as well: the guard does not wait for
 * that. */
static unsigned __stdcall
say_last_words(void *argument)
{
    bool starting;

    (void)argument;
    SetEvent(guard.running);
    WaitForSingleObject(guard.overdue, INFINITE);
    starting = WaitForSingleObject(guard.started, 0) != WAIT_OBJECT_0;
    if (guard.on_overdue != NULL)
        guard.on_overdue(starting);
    /* The host must not go on hearing that all is well. Before the start it has heard nothing. */
    if (!starting)
        hvs_publish_clear();
    hvs_log(HVS_LOG_WARNING, "did not %s in time: %s; the process is ended",
            starting ? "start" : "end", guard.doing);
    SetEvent(guard.told);
    return 0;
}

static bool
is_in_time(void)
{
    const HANDLE first[] = { guard.started, guard.stopping };

    if (WaitForMultipleObjects(ARRAYSIZE(first), first, FALSE, HVS_GUARD_START_LIMIT) ==
        WAIT_TIMEOUT)
        return false;
    WaitForSingleObject(guard.stopping, INFINITE);
    return WaitForSingleObject(guard.ended, HVS_DAEMON_STOP_TIMEOUT) == WAIT_OBJECT_0;
}

/* Threads may be inside of calls that nobody can interrupt, and hold the loader's lock while they
 * load a library: neither a new thread nor a look at what a library has would get by. So this one
 * and the one above run before anything else does, and know all that they need. */
static unsigned __stdcall
watch(void *argument)
{
    (void)argument;
    SetEvent(guard.running);
    if (is_in_time())
        return 0;
    SetEvent(guard.overdue);
    WaitForSingleObject(guard.told, HVS_GUARD_WORDS_LIMIT);
    TerminateProcess(GetCurrentProcess(), guard.exit_status);
    return 0;
}

/* Returns when it runs: a thread that is only created takes the loader's lock first. */
static DWORD
start_thread(unsigned(__stdcall *function)(void *))
{
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, function, NULL, 0, NULL);

    if (thread == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    CloseHandle(thread);
    WaitForSingleObject(guard.running, INFINITE);
    return ERROR_SUCCESS;
}

DWORD
hvs_guard_start(DWORD exit_status, void (*overdue)(bool starting))
{
    HANDLE *const events[] = { &guard.started, &guard.stopping, &guard.ended, &guard.overdue,
                               &guard.told };
    DWORD error;

    guard.exit_status = exit_status;
    guard.on_overdue = overdue;
    for (unsigned i = 0; i < ARRAYSIZE(events); i++) {
        *events[i] = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (*events[i] == NULL)
            return GetLastError();
    }
    guard.running = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (guard.running == NULL)
        return GetLastError();
    error = start_thread(say_last_words);
    return error == ERROR_SUCCESS ? start_thread(watch) : error;
}

void
hvs_guard_doing(const char *words)
{
    guard.doing = words;
}

void
hvs_guard_started(void)
{
    SetEvent(guard.started);
}

void
hvs_guard_stopping(void)
{
    SetEvent(guard.stopping);
}

void
hvs_guard_ended(void)
{
    SetEvent(guard.ended);
}

bool
hvs_guard_is_overdue(void)
{
    return WaitForSingleObject(guard.overdue, 0) == WAIT_OBJECT_0;
}
