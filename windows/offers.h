/* What the host offers: which channels of the synthetic RDP device exist and can be opened now.
 *
 * Integration services before Windows 8 have no notification, only a call that blocks until a
 * channel is there: so each channel has a waiter, a thread that blocks in it while the channel is
 * watched, HVS_OFFERS_WAIT milliseconds at a time, and sleeps otherwise. All functions and
 * callbacks belong to the daemon's thread, which waits for hvs_offers_event().
 */
#ifndef HVS_WINDOWS_OFFERS_H
#define HVS_WINDOWS_OFFERS_H

#include "common/synthrdp.h"
#include "common/text.h"

#include <windows.h>

/* The call cannot be interrupted, and a stop has to be done in 2 s. */
#define HVS_OFFERS_WAIT 1000u
/* A call that fails at once is repeated after pauses that double, in milliseconds. */
#define HVS_OFFERS_PAUSE_FIRST 500u
#define HVS_OFFERS_PAUSE_MAX   60000u

struct hvs_offers_callbacks {
    /* A watched channel is there; it is not watched any more. */
    void (*offered)(unsigned channel, void *user_data);
    /* Something keeps channels from being used: one sentence for people that says what to do. NULL:
     * it is over. Only changes are told. */
    void (*problem)(const char *sentence, void *user_data);
};

struct hvs_offers;

/* Loads vmbuspipe.dll and starts the waiters; nothing is watched yet. callbacks is borrowed. On an
 * error problem (if not NULL) gets a sentence that says what to do. */
DWORD hvs_offers_new(const struct hvs_offers_callbacks *callbacks, void *user_data,
                     struct hvs_offers **offers, struct hvs_text *problem);
/* Joins the waiters, in at most HVS_OFFERS_WAIT milliseconds if vmbuspipe.dll keeps to that time.
 * NULL is fine. */
void hvs_offers_free(struct hvs_offers *offers);
/* Lets the waiters end, without waiting for it: so that it is done by the time of
 * hvs_offers_free(). */
void hvs_offers_stop(struct hvs_offers *offers);

/* Watches for the channel until it has been offered. Nothing if it is watched already. */
void hvs_offers_watch(struct hvs_offers *offers, unsigned channel);
/* Signalled: call hvs_offers_dispatch(), which calls back. Auto-reset, belongs to offers. */
HANDLE hvs_offers_event(const struct hvs_offers *offers);
/* ERROR_SUCCESS, or why a channel cannot be waited for any more: then there is no use in going
 * on. */
DWORD hvs_offers_dispatch(struct hvs_offers *offers);

/* Opens a channel that was offered; *pipe is an overlapped handle, the caller's to close. Errors
 * of the system; hvs_vmbuspipe_is_gone() tells those that mean the offer was taken back. */
DWORD hvs_offers_open(struct hvs_offers *offers, unsigned channel, HANDLE *pipe);

#endif
