/* One Enhanced Session: a VMBus data channel, or an HvSocket connection, relayed to the guest's RDP
 * server, in a thread of its own.
 *
 * The thread waits for the Connection Request, connects to the server, takes part in the
 * negotiation (common/x224.h) and then moves bytes both ways until either side ends: straight from
 * and to the ring of a channel, through a buffer each way with HvSocket. It sleeps in poll() without
 * a time-out unless something is due. On a channel, which is the host's, the first byte may take
 * for ever; over HvSocket, where whoever connects takes a place, no longer than a minute.
 *
 * When the server has ended its stream, the host still gets all of it, and may go on sending for as
 * long as it does not pause for two seconds. The other way round it is the same with HvSocket;
 * with a channel the server may pause, since the host says when it leaves.
 */
#ifndef HVS_LINUX_RELAY_H
#define HVS_LINUX_RELAY_H

#include "channel.h"

#include "common/session.h"
#include "common/settings.h"

typedef struct hvs_relay hvs_relay;

/* Called once in the default main context when the session has ended; the channel is closed. The
 * relay is the callee's to free. */
typedef void (*hvs_relay_ended)(hvs_relay *relay, gpointer user_data);

/* Takes the channel over, also on failure. settings are copied. NULL: no thread or descriptor to be
 * had. */
hvs_relay *hvs_relay_start(uint32_t id, unsigned channel_number, struct hvs_channel *channel,
                           const struct hvs_settings *settings, hvs_relay_ended ended,
                           gpointer user_data, GError **error);
/* The same on a connected stream socket, which has no channel number. Takes fd over likewise. */
hvs_relay *hvs_relay_start_socket(uint32_t id, int fd, const struct hvs_settings *settings,
                                  hvs_relay_ended ended, gpointer user_data, GError **error);
/* Ends the session soon, with that reason unless it has one already. Any thread. */
void hvs_relay_stop(hvs_relay *relay, enum hvs_end_reason reason);
/* Where the session stands, a copy. Any thread. */
void hvs_relay_snapshot(hvs_relay *relay, struct hvs_session *session);
/* Calls changed once in the default main context, soon after a snapshot may have come to differ from
 * one taken now; to go on watching, ask again. A session in which nothing happens calls nothing, and
 * one that nobody watches takes no notice. Main thread. */
void hvs_relay_watch(hvs_relay *relay, void (*changed)(gpointer user_data), gpointer user_data);
/* Stops the session if it lives, joins its thread. Not from within the thread. The callbacks are not
 * called any more. */
void hvs_relay_free(hvs_relay *relay);

/* Milliseconds of the clock that sessions are measured with. */
uint64_t hvs_relay_now(void);

#endif
