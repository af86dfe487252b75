/* The control channel: opened when offered, the version exchanged, kept open; again whenever the
 * host takes it away. The daemon's thread only. The rules are in common/synthrdp.h. */
#ifndef HVS_WINDOWS_CONTROL_H
#define HVS_WINDOWS_CONTROL_H

#include "offers.h"

#include "common/synthrdp.h"

struct hvs_control_channel;

/* Watches for the channel. offers is borrowed. changed is called when the state has changed.
 * ERROR_SUCCESS, or an error of the system. */
DWORD hvs_control_channel_new(struct hvs_offers *offers, void (*changed)(void *user_data),
                              void *user_data, struct hvs_control_channel **control);
/* Closes the channel. NULL is fine. */
void hvs_control_channel_free(struct hvs_control_channel *control);

void hvs_control_channel_offered(struct hvs_control_channel *control);
/* Closes the channel and negotiates again, as after a suspended machine has come back. */
void hvs_control_channel_renegotiate(struct hvs_control_channel *control);

/* The daemon waits for these, at most until the deadline of hvs_clock_now() (0: none), and calls
 * hvs_control_channel_dispatch() after every wait. */
#define HVS_CONTROL_HANDLES 2u
unsigned hvs_control_channel_handles(const struct hvs_control_channel *control,
                                     HANDLE handles[HVS_CONTROL_HANDLES]);
uint64_t hvs_control_channel_deadline(const struct hvs_control_channel *control);
void hvs_control_channel_dispatch(struct hvs_control_channel *control);

/* Borrowed, valid until control is freed. */
const struct hvs_control *hvs_control_channel_state(const struct hvs_control_channel *control);
/* Why the channel could not be opened or had to be closed; NULL while it is open, or not offered.
 * Borrowed until the next change. */
const char *hvs_control_channel_error(const struct hvs_control_channel *control);
bool hvs_control_channel_is_open(const struct hvs_control_channel *control);

#endif
