#include "watch-pipe.h"

#include "clock.h"
#include "log.h"
#include "pipe.h"

#include "common/status.h"

#include <sddl.h>
#include <stdlib.h>

/* Nobody from the network; everything for the system and administrators; who is logged on reads,
 * and sets the mode of reading: FILE_GENERIC_READ | FILE_WRITE_ATTRIBUTES. */
#define ACCESS L"D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x00120189;;;AU)"

enum stage { LISTENING, WATCHED, BROKEN };

struct watcher {
    HANDLE                    pipe;
    enum stage                stage;
    struct hvs_pipe_operation come_or_gone; /* connecting; then a read that ends with the watcher */
    struct hvs_pipe_operation write;
    bool                      due;      /* the document has changed since it was written */
    uint64_t                  deadline; /* of the write; 0: none is under way */
    char                     *document; /* HVS_STATUS_JSON_MAX bytes while a write is under way */
    char                      nothing;  /* where a watcher's bytes would go */
};

struct hvs_watch_pipe {
    void (*status)(struct hvs_text *document, void *user_data);
    void          *user_data;
    struct watcher watchers[HVS_WATCH_PIPE_WATCHERS];
};

/* ---- one watcher after another ---- */

/* false: the system does not give the operations back, the instance is lost. */
static bool
cancel(struct watcher *watcher)
{
    struct hvs_pipe_operation *const operations[] = { &watcher->come_or_gone, &watcher->write };

    if (!hvs_pipe_cancel(watcher->pipe, operations, ARRAYSIZE(operations))) {
        watcher->stage = BROKEN;
        return false;
    }
    free(watcher->document);
    watcher->document = NULL;
    watcher->deadline = 0;
    watcher->due = false;
    return true;
}

static void listen_again(struct watcher *watcher);

/* Nothing is expected to be read: the read ends when the watcher goes. */
static void
begin_watching(struct watcher *watcher)
{
    watcher->stage = WATCHED;
    watcher->due = true;
    if (hvs_pipe_read(watcher->pipe, &watcher->come_or_gone, &watcher->nothing, 1) !=
        ERROR_SUCCESS)
        listen_again(watcher);
}

static void
listen_again(struct watcher *watcher)
{
    struct hvs_pipe_operation *operation = &watcher->come_or_gone;
    HANDLE event = operation->overlapped.hEvent;

    if (!cancel(watcher))
        return;
    DisconnectNamedPipe(watcher->pipe);
    watcher->stage = LISTENING;
    operation->overlapped = (OVERLAPPED) { .hEvent = event };
    ResetEvent(event);
    if (ConnectNamedPipe(watcher->pipe, &operation->overlapped) ||
        GetLastError() == ERROR_PIPE_CONNECTED) {
        begin_watching(watcher);
    } else if (GetLastError() == ERROR_IO_PENDING) {
        operation->pending = true;
    } else {
        hvs_log_failure(HVS_LOG_WARNING, GetLastError(), "listening on the watch pipe");
        watcher->stage = BROKEN;
    }
}

static bool
begin_document(struct hvs_watch_pipe *watch_pipe, struct watcher *watcher)
{
    struct hvs_text document;

    watcher->due = false;
    watcher->document = malloc(HVS_STATUS_JSON_MAX);
    if (watcher->document == NULL)
        return false;
    hvs_text_init(&document, watcher->document, HVS_STATUS_JSON_MAX);
    watch_pipe->status(&document, watch_pipe->user_data);
    watcher->deadline = hvs_clock_now() + HVS_WATCH_PIPE_PATIENCE;
    return hvs_pipe_write(watcher->pipe, &watcher->write, watcher->document,
                          (DWORD)document.length) == ERROR_SUCCESS;
}

/* Writes what is due, unless the one before is still under way. */
static void
go_on_writing(struct hvs_watch_pipe *watch_pipe, struct watcher *watcher)
{
    while (watcher->stage == WATCHED && watcher->due && !watcher->write.pending &&
           !begin_document(watch_pipe, watcher))
        listen_again(watcher);
}

static void
on_come_or_gone(struct watcher *watcher)
{
    DWORD moved, error = hvs_pipe_result(watcher->pipe, &watcher->come_or_gone, &moved);

    if (error == ERROR_IO_INCOMPLETE)
        return;
    if (error == ERROR_SUCCESS && watcher->stage == LISTENING)
        begin_watching(watcher);
    else
        /* Gone, or it writes, which is not for watchers. */
        listen_again(watcher);
}

static void
on_written(struct watcher *watcher)
{
    DWORD moved, error = hvs_pipe_result(watcher->pipe, &watcher->write, &moved);

    if (error == ERROR_IO_INCOMPLETE)
        return;
    if (error != ERROR_SUCCESS) {
        listen_again(watcher);
        return;
    }
    free(watcher->document);
    watcher->document = NULL;
    watcher->deadline = 0;
}

void
hvs_watch_pipe_dispatch(struct hvs_watch_pipe *watch_pipe)
{
    for (unsigned i = 0; watch_pipe != NULL && i < HVS_WATCH_PIPE_WATCHERS; i++) {
        struct watcher *watcher = &watch_pipe->watchers[i];

        if (watcher->stage == BROKEN)
            continue;
        if (watcher->write.pending)
            on_written(watcher);
        if (watcher->come_or_gone.pending)
            on_come_or_gone(watcher);
        if (watcher->deadline != 0 && hvs_clock_now() >= watcher->deadline)
            listen_again(watcher);
        go_on_writing(watch_pipe, watcher);
    }
}

bool
hvs_watch_pipe_is_watched(const struct hvs_watch_pipe *watch_pipe)
{
    for (unsigned i = 0; watch_pipe != NULL && i < HVS_WATCH_PIPE_WATCHERS; i++)
        if (watch_pipe->watchers[i].stage == WATCHED)
            return true;
    return false;
}

void
hvs_watch_pipe_changed(struct hvs_watch_pipe *watch_pipe)
{
    for (unsigned i = 0; watch_pipe != NULL && i < HVS_WATCH_PIPE_WATCHERS; i++) {
        watch_pipe->watchers[i].due = true;
        go_on_writing(watch_pipe, &watch_pipe->watchers[i]);
    }
}

unsigned
hvs_watch_pipe_handles(const struct hvs_watch_pipe *watch_pipe,
                       HANDLE handles[HVS_WATCH_PIPE_HANDLES])
{
    unsigned count = 0;

    for (unsigned i = 0; watch_pipe != NULL && i < HVS_WATCH_PIPE_WATCHERS; i++) {
        const struct watcher *watcher = &watch_pipe->watchers[i];

        if (watcher->stage != BROKEN && watcher->come_or_gone.pending)
            handles[count++] = watcher->come_or_gone.overlapped.hEvent;
        if (watcher->stage != BROKEN && watcher->write.pending)
            handles[count++] = watcher->write.overlapped.hEvent;
    }
    return count;
}

uint64_t
hvs_watch_pipe_deadline(const struct hvs_watch_pipe *watch_pipe)
{
    uint64_t earliest = 0;

    for (unsigned i = 0; watch_pipe != NULL && i < HVS_WATCH_PIPE_WATCHERS; i++) {
        const struct watcher *watcher = &watch_pipe->watchers[i];

        if (watcher->stage != BROKEN && watcher->deadline != 0 &&
            (earliest == 0 || watcher->deadline < earliest))
            earliest = watcher->deadline;
    }
    return earliest;
}

/* ---- life ---- */

static DWORD
open_watcher(struct watcher *watcher, SECURITY_ATTRIBUTES *access, bool first)
{
    DWORD error = hvs_pipe_operation_init(&watcher->come_or_gone);

    if (error == ERROR_SUCCESS)
        error = hvs_pipe_operation_init(&watcher->write);
    if (error != ERROR_SUCCESS)
        return error;
    watcher->pipe = CreateNamedPipeW(
        HVS_WATCH_PIPE_NAME,
        PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
        PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT, HVS_WATCH_PIPE_WATCHERS,
        HVS_STATUS_JSON_MAX, 0, HVS_WATCH_PIPE_PATIENCE, access);
    if (watcher->pipe == INVALID_HANDLE_VALUE) {
        watcher->pipe = NULL;
        return GetLastError();
    }
    listen_again(watcher);
    return ERROR_SUCCESS;
}

static DWORD
open_watchers(struct hvs_watch_pipe *watch_pipe)
{
    SECURITY_ATTRIBUTES access = { .nLength = sizeof access };
    DWORD error = ERROR_SUCCESS;

    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
            ACCESS, SDDL_REVISION_1, &access.lpSecurityDescriptor, NULL))
        return GetLastError();
    for (unsigned i = 0; i < HVS_WATCH_PIPE_WATCHERS && error == ERROR_SUCCESS; i++)
        error = open_watcher(&watch_pipe->watchers[i], &access, i == 0);
    LocalFree(access.lpSecurityDescriptor);
    return error;
}

DWORD
hvs_watch_pipe_new(void (*status)(struct hvs_text *document, void *user_data), void *user_data,
                   struct hvs_watch_pipe **watch_pipe)
{
    struct hvs_watch_pipe *made = calloc(1, sizeof *made);
    DWORD error;

    *watch_pipe = NULL;
    if (made == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    made->status = status;
    made->user_data = user_data;
    error = open_watchers(made);
    if (error != ERROR_SUCCESS) {
        hvs_watch_pipe_free(made);
        return error;
    }
    *watch_pipe = made;
    return ERROR_SUCCESS;
}

void
hvs_watch_pipe_free(struct hvs_watch_pipe *watch_pipe)
{
    bool kept = false;

    for (unsigned i = 0; watch_pipe != NULL && i < HVS_WATCH_PIPE_WATCHERS; i++) {
        struct watcher *watcher = &watch_pipe->watchers[i];

        if (watcher->pipe != NULL) {
            kept |= !cancel(watcher);
            CloseHandle(watcher->pipe);
        }
        if (watcher->stage == BROKEN)
            continue;
        hvs_pipe_operation_close(&watcher->come_or_gone);
        hvs_pipe_operation_close(&watcher->write);
    }
    /* The system writes into what it has not given back. */
    if (!kept)
        free(watch_pipe);
}

/* ---- the watcher's side ---- */

DWORD
hvs_watch_pipe_open(HANDLE *pipe)
{
    DWORD mode = PIPE_READMODE_MESSAGE, error;

    /* The service may learn who watches, but not act as them. */
    *pipe = CreateFileW(HVS_WATCH_PIPE_NAME, GENERIC_READ | FILE_WRITE_ATTRIBUTES, 0, NULL,
                        OPEN_EXISTING,
                        FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
                        NULL);
    if (*pipe == INVALID_HANDLE_VALUE)
        return GetLastError();
    if (SetNamedPipeHandleState(*pipe, &mode, NULL, NULL))
        return ERROR_SUCCESS;
    error = GetLastError();
    CloseHandle(*pipe);
    return error;
}
