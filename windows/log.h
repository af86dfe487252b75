/* The log: standard error in console mode, the Application event log as a service.
 *
 * All functions may be called from any thread, but for the two that choose where to write. What
 * cannot be written is lost: there is nowhere to say so.
 */
#ifndef HVS_WINDOWS_LOG_H
#define HVS_WINDOWS_LOG_H

#include "common/log.h"
#include "common/session.h"

#include <windows.h>

/* Once, at the start, while there is one thread. Before it nothing is logged. */
void hvs_log_to_console(void);
/* The source is HVS_LOG_SOURCE; `hvsession install` has registered its messages. */
void hvs_log_to_events(void);
#define HVS_LOG_SOURCE L"HvSession"

/* Messages above the level are dropped. HVS_LOG_NOTICE at first. */
void hvs_log_set_level(enum hvs_log_level level);

/* The message has no line feed at its end; lines within are for a hex dump. Never the content of a
 * session: it holds passwords. Messages are cut at HVS_LOG_MESSAGE_MAX bytes. The format is that of
 * msvcrt.dll: %I64u, not %llu. */
#define HVS_LOG_MESSAGE_MAX 2048
void hvs_log(enum hvs_log_level level, const char *format, ...)
    __attribute__((format(ms_printf, 2, 3)));
void hvs_log_session(enum hvs_log_level level, uint32_t session_id, unsigned channel,
                     const char *format, ...) __attribute__((format(ms_printf, 4, 5)));
/* "MESSAGE: ERROR IN WORDS". Returns error, for the caller to return. */
DWORD hvs_log_failure(enum hvs_log_level level, DWORD error, const char *format, ...)
    __attribute__((format(ms_printf, 3, 4)));
/* The closing line of an ended session: a notice, or an error if it ended in trouble. */
void hvs_log_session_end(const struct hvs_session *session);

#endif
