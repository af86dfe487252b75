/* One channel through the kernel's uio_hv_generic: finds its /dev/uioN, opens and maps it.
 *
 * Sources: Linux drivers/uio/uio_hv_generic.c, Documentation/ABI/stable/sysfs-bus-vmbus.
 */
#ifndef HVS_LINUX_UIO_H
#define HVS_LINUX_UIO_H

#include "channel.h"
#include "roots.h"

/* device: the channel's directory in sysfs. *relid: the host's number of this offer. False: the
 * device is gone. */
gboolean hvs_uio_read_relid(const char *device, guint64 *relid);
/* True once the driver has it and its probe is over; waits
 * for a probe under way. */
gboolean hvs_uio_is_bound(const char *device);
/* Bound, and all that the kernel makes for it is there: it can be opened. Opening earlier crashes
 * some kernels. */
gboolean hvs_uio_is_ready(const char *device);
/* False: its node is there, and we may not open it. A new node's permissions come with its udev
 * event only, which precedes the device's bind event. */
gboolean hvs_uio_is_permitted(const struct hvs_roots *roots, const char *device);
/* Opens the channel, with a lock that keeps other processes of ours away. Errors are of the domain
 * HVS_OFFERS_ERROR. On TRUE *channel is the caller's to close. */
gboolean hvs_uio_open(const struct hvs_roots *roots, const char *device,
                      struct hvs_channel *channel, GError **error);

#endif
