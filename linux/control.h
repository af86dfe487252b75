/* The control channel: opened when offered, the version exchanged, kept open; again whenever the
 * host takes it away. Main thread only. The rules are in common/synthrdp.h. */
#ifndef HVS_LINUX_CONTROL_H
#define HVS_LINUX_CONTROL_H

#include "offers.h"

#include "common/synthrdp.h"

typedef struct hvs_control_channel hvs_control_channel;

/* offers is borrowed. changed is called when the state has changed. */
hvs_control_channel *hvs_control_channel_new(hvs_offers *offers, void (*changed)(gpointer),
                                             gpointer user_data);
void hvs_control_channel_free(hvs_control_channel *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hvs_control_channel, hvs_control_channel_free)

void hvs_control_channel_offered(hvs_control_channel *control);
void hvs_control_channel_rescinded(hvs_control_channel *control);
/* Borrowed, valid until control is freed. */
const struct hvs_control *hvs_control_channel_state(const hvs_control_channel *control);
/* Why the channel could not be opened or had to be closed; NULL while it is open, or not offered.
 * Borrowed until the next change. */
const char *hvs_control_channel_error(const hvs_control_channel *control);
bool hvs_control_channel_is_open(const hvs_control_channel *control);

#endif
