/* What the host offers: which channels of the synthetic RDP device exist and can be opened now.
 *
 * The one seam between the daemon and the machine: linux/offers.c watches the VMBus through udev and
 * binds uio_hv_generic, the tests link a simulated host here instead. All calls and callbacks
 * belong to one thread, the one whose default GMainContext runs.
 */
#ifndef HVS_LINUX_OFFERS_H
#define HVS_LINUX_OFFERS_H

#include "channel.h"
#include "roots.h"

#include <gio/gio.h>

/* What happens to channels, numbered as in synthrdp.h. Any callback may call back into offers. */
struct hvs_offers_callbacks {
    /* The channel can be opened. Once for each offer: a rescind comes in between. */
    void (*offered)(unsigned channel, gpointer user_data);
    /* The host has taken it back. Sessions see that on their descriptor, too, often earlier. */
    void (*rescinded)(unsigned channel, gpointer user_data);
    /* Something keeps channels from being used: one sentence for people that says what to do. NULL:
     * it is over. Only changes are told, and not what is over within a moment. */
    void (*problem)(const char *sentence, gpointer user_data);
};

typedef struct hvs_offers hvs_offers;

#define HVS_OFFERS_ERROR (hvs_offers_error_quark())
GQuark hvs_offers_error_quark(void);
enum hvs_offers_error {
    HVS_OFFERS_ERROR_GONE,      /* the offer was taken back meanwhile */
    HVS_OFFERS_ERROR_IN_USE,    /* another process holds the channel */
    HVS_OFFERS_ERROR_DENIED,    /* no permission */
    HVS_OFFERS_ERROR_MEMORY,    /* the kernel could not allocate the ring */
    HVS_OFFERS_ERROR_FAILED,    /* anything else */
};

/* Starts watching; what is there already is told from the main loop, not from here. roots and
 * callbacks are borrowed and must outlive the object. */
hvs_offers *hvs_offers_new(const struct hvs_roots *roots,
                           const struct hvs_offers_callbacks *callbacks, gpointer user_data,
                           GError **error);
void hvs_offers_free(hvs_offers *offers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hvs_offers, hvs_offers_free)

/* Opens an offered channel; on TRUE *channel is the caller's to close. Errors are of the domain
 * HVS_OFFERS_ERROR; GONE means rescinded, and should the channel be there all the same, it is
 * offered again. */
gboolean hvs_offers_open(hvs_offers *offers, unsigned channel_number, struct hvs_channel *channel,
                         GError **error);
/* Looks again at everything, as after a change of permissions. */
void hvs_offers_rescan(hvs_offers *offers);

#endif
