/* Bounds a start and a stop that hang: a thread of its own ends the process when they are overdue.
 * A process has one guard, or none: then nothing here does anything. */
#ifndef HVS_WINDOWS_GUARD_H
#define HVS_WINDOWS_GUARD_H

#include <windows.h>

#include <stdbool.h>

/* A start that takes longer hangs, in milliseconds. The system's disk may be busy: it is just
 * starting, too. */
#define HVS_GUARD_START_LIMIT 15000u
/* How long the last words may take, in milliseconds. */
#define HVS_GUARD_WORDS_LIMIT 200u

/* First of all: before anything that may hang. The process is ended with exit_status, and a line in
 * the log that says what hung, after HVS_GUARD_START_LIMIT without hvs_guard_started(), or
 * HVS_DAEMON_STOP_TIMEOUT after hvs_guard_stopping() without hvs_guard_ended(); before that it
 * calls overdue (NULL: nothing), in a thread of its own, and takes back what the host was told. All
 * of it gets HVS_GUARD_WORDS_LIMIT. On an error of the system nothing is guarded. */
DWORD hvs_guard_start(DWORD exit_status, void (*overdue)(bool starting));
/* What the guarded thread does, for the log. Static text. */
void hvs_guard_doing(const char *words);
/* All from any thread. What is over already may be said again. */
void hvs_guard_started(void);
void hvs_guard_stopping(void);
void hvs_guard_ended(void);
/* The process is about to be ended. */
bool hvs_guard_is_overdue(void);

#endif
