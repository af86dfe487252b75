/* The daemon's log.
 *
 * Everything goes through GLib's structured logging: to the journal, with fields to search by, when
 * standard error is connected to it, else to standard error, readable. What GLib and its friends
 * log takes the same way, but for its chatter of level debug. All functions may be called from any
 * thread. A standard error that nobody reads loses lines: nothing waits for it.
 *
 * Fields: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, and for sessions SESSION_ID, CHANNEL (not for
 * sessions of another transport) and END_REASON (hvs_end_reason_to_string(), at the end).
 */
#ifndef HVS_LINUX_LOG_H
#define HVS_LINUX_LOG_H

#include "common/log.h"
#include "common/session.h"

#include <glib.h>

/* Takes GLib's log over and decides where to write. Once, at the start of the program; without it
 * the messages go where GLib sends them. */
void hvs_log_init(void);

/* Messages above the level are dropped. HVS_LOG_NOTICE at first. */
void hvs_log_set_level(enum hvs_log_level level);
/* Would a message of the level be written? For those that are dear to make. */
gboolean hvs_log_is_enabled(enum hvs_log_level level);

/* The message has no line feed at its end; lines within are for a hex dump. Never the content of a
 * session: it holds passwords. */
void hvs_log(enum hvs_log_level level, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* What somebody has asked for just now: a notice that is written whatever the level is. */
void hvs_log_answer(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* channel: 1 … 5, or 0. */
void hvs_log_session(enum hvs_log_level level, uint32_t session_id, unsigned channel,
                     const char *format, ...) G_GNUC_PRINTF(4, 5);
/* The closing line of an ended session: a notice, or an error if it ended in trouble. */
void hvs_log_session_end(const struct hvs_session *session);

#endif
