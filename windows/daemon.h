/* The service's work: control channel, sessions, settings and status pipe, in one loop over
 * WaitForMultipleObjects. It knows nothing of the service manager: windows/service.c runs it as a
 * service, windows/cli.c in a console. */
#ifndef HVS_WINDOWS_DAEMON_H
#define HVS_WINDOWS_DAEMON_H

#include "common/settings.h"

#include <windows.h>

/* All has ended by then, in milliseconds, if the driver and Windows do what they should. */
#define HVS_DAEMON_STOP_TIMEOUT 1500u

struct hvs_daemon;

/* Loads the settings and vmbuspipe.dll, makes the status pipe, and begins to watch for channels:
 * when it comes back, everything works that is this machine's business. log_level, if not NULL,
 * overrides the settings. doing, if not NULL, is called before each step of the start and of the
 * end, in the thread that takes it, with what that is: static text. On an error problem gets a
 * sentence that says what to do. */
DWORD hvs_daemon_new(const char *log_level, void (*doing)(const char *words),
                     struct hvs_daemon **daemon, struct hvs_text *problem);
/* Runs until hvs_daemon_stop(), ends all sessions and stops waiting for channels. Any other result
 * than ERROR_SUCCESS: it could not go on, and has logged why. */
DWORD hvs_daemon_run(struct hvs_daemon *daemon);
/* Any thread, and a handler. */
void hvs_daemon_stop(struct hvs_daemon *daemon);
/* The machine has slept, what the host knows may be old. Any thread, and a handler. */
void hvs_daemon_renegotiate(struct hvs_daemon *daemon);
/* One of Windows' own sessions, and what has happened to it, static text, for who reads the log.
 * The daemon's thread logs it: any thread, and a handler, which must not wait for the event log. */
void hvs_daemon_note_session(struct hvs_daemon *daemon, DWORD session, const char *what);
/* NULL is fine. */
void hvs_daemon_free(struct hvs_daemon *daemon);

#endif
