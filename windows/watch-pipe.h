/* The watch pipe: how a program of this machine is told of every change of the status, without
 * asking again and again.
 *
 * Whoever opens \\.\pipe\hvsession-watch gets the status document of common/status.h as a message,
 * and again whenever it differs in more than times and counters: those who want these meanwhile ask
 * the status pipe. What changes while a document is on its way comes with the next one, so that
 * the last one always holds. Everyone who is logged on to this machine may watch, nobody from the
 * network, and nobody writes.
 *
 * At most HVS_WATCH_PIPE_WATCHERS watch at a time, the next ones find the pipe busy; the status
 * pipe has instances of its own. A watcher that leaves a document unread for
 * HVS_WATCH_PIPE_PATIENCE milliseconds is dropped.
 */
#ifndef HVS_WINDOWS_WATCH_PIPE_H
#define HVS_WINDOWS_WATCH_PIPE_H

#include "common/text.h"

#include <windows.h>

#define HVS_WATCH_PIPE_NAME     L"\\\\.\\pipe\\hvsession-watch"
#define HVS_WATCH_PIPE_PATIENCE 5000u
/* One for each user who is logged on, mostly. */
#define HVS_WATCH_PIPE_WATCHERS 8u
/* Documents are at most HVS_STATUS_JSON_MAX bytes, UTF-8 without a terminating zero. */

/* ---- the service's side; the daemon's thread only ---- */

struct hvs_watch_pipe;

/* status puts the document together, when a watcher takes it. Errors are of the system. */
DWORD hvs_watch_pipe_new(void (*status)(struct hvs_text *document, void *user_data),
                         void *user_data, struct hvs_watch_pipe **watch_pipe);
/* Drops all watchers. NULL is fine, as in all that follow: nobody watches. */
void hvs_watch_pipe_free(struct hvs_watch_pipe *watch_pipe);
/* The daemon waits for these, at most until the deadline of hvs_clock_now() (0: none), and calls
 * hvs_watch_pipe_dispatch() after every wait. */
#define HVS_WATCH_PIPE_HANDLES (2 * HVS_WATCH_PIPE_WATCHERS)
unsigned hvs_watch_pipe_handles(const struct hvs_watch_pipe *watch_pipe,
                                HANDLE handles[HVS_WATCH_PIPE_HANDLES]);
uint64_t hvs_watch_pipe_deadline(const struct hvs_watch_pipe *watch_pipe);
void hvs_watch_pipe_dispatch(struct hvs_watch_pipe *watch_pipe);
/* Does anybody watch? If not, changes need not be looked for. */
bool hvs_watch_pipe_is_watched(const struct hvs_watch_pipe *watch_pipe);
/* The status has changed: all watchers get it. */
void hvs_watch_pipe_changed(struct hvs_watch_pipe *watch_pipe);

/* ---- the watcher's side ---- */

/* Opens the pipe for overlapped reading, a message a document. ERROR_FILE_NOT_FOUND: no service
 * runs. ERROR_PIPE_BUSY: too many watch. */
DWORD hvs_watch_pipe_open(HANDLE *pipe);

#endif
