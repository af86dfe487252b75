/* One Enhanced Session: a VMBus data channel relayed to the guest's RDP server, in a thread of its
 * own.
 *
 * The thread waits for the Connection Request, connects to the server, takes part in the
 * negotiation (common/x224.h) and then moves bytes both ways until either side ends. All I/O is
 * overlapped or non-blocking, with two buffers each way: while one is written the other is read
 * into. The thread sleeps without a time-out unless something is due.
 *
 * The channel may carry messages or bytes. Messages longer than a buffer come in parts. Zero bytes
 * are the end of the stream, both ways.
 */
#ifndef HVS_WINDOWS_RELAY_H
#define HVS_WINDOWS_RELAY_H

#include "common/session.h"
#include "common/settings.h"

#include <winsock2.h>
#include <windows.h>

/* Of each buffer, in bytes, and so of the longest write to the channel: what a pipe packet of the
 * VMBus holds, and more than Windows' own Enhanced Session was seen to write at once. */
#define HVS_RELAY_BUFFER 16384u
/* hvs_relay_free() takes at most that long, in milliseconds, if the driver does what it should. */
#define HVS_RELAY_STOP_TIMEOUT 1000u

struct hvs_relay;

/* Takes the pipe over (overlapped), also on failure; settings are copied. changed is an event that
 * is set when the session has got to another state or its client is known, and when it has ended
 * and the channel is closed: hvs_relay_has_ended() tells whose. On ERROR_SUCCESS *relay is the
 * caller's to free. WSAStartup() has been called. */
DWORD hvs_relay_start(uint32_t id, unsigned channel, HANDLE pipe,
                      const struct hvs_settings *settings, HANDLE changed,
                      struct hvs_relay **relay);
/* Ends the session soon, with that reason unless it has one already. Any thread. */
void hvs_relay_stop(struct hvs_relay *relay, enum hvs_end_reason reason);
bool hvs_relay_has_ended(const struct hvs_relay *relay);
/* Where the session stands, a copy. Any thread. */
void hvs_relay_snapshot(struct hvs_relay *relay, struct hvs_session *session);
/* Stops the session if it lives, joins its thread. NULL is fine. */
void hvs_relay_free(struct hvs_relay *relay);

#endif
