/* Our devices on the VMBus, as sysfs shows them, and the driver that opens them to programs.
 *
 * The kernel has no driver of its own for Enhanced Session. uio_hv_generic takes the classes of
 * devices that it is told of, those that are there and those that the host will offer. Telling it
 * takes root, opening the devices does not: hvsession-bind.service does the one, so that hvsessiond
 * can do the other as a user without rights.
 *
 * Source: Linux drivers/hv/vmbus_drv.c (new_id, remove_id), drivers/base/bus.c (bind, unbind).
 */
#ifndef HVS_LINUX_VMBUS_H
#define HVS_LINUX_VMBUS_H

#include "roots.h"

#include <glib.h>

#define HVS_UIO_DRIVER "uio_hv_generic"
/* Who may open the channels' devices; packaging/udev gives them to that group. */
#define HVS_SERVICE_GROUP "hvsession"

/* The device of that channel (numbered as in synthrdp.h), whether or not it is there. Free with
 * g_free(). */
char *hvs_vmbus_device_path(const struct hvs_roots *roots, unsigned channel);

/* Teaches the driver our two classes. Returns 0, also if it knew them, or an errno value: ENOENT,
 * it is not loaded; EACCES, EPERM, EROFS, not permitted. */
int hvs_vmbus_add_classes(const struct hvs_roots *roots);
/* Binds one device; 0, also if it was bound, or an errno value: that of the driver's probe, or
 * ENODEV, the driver does not know the class. */
int hvs_vmbus_bind_device(const struct hvs_roots *roots, const char *device);

/* All that takes root: loads the driver and that of HvSocket, teaches the former our classes, and
 * lets the group bind a device that the kernel has left without driver, for lack of memory as a
 * rule. May be called again. FALSE: error's message is a sentence that says what to do. */
gboolean hvs_vmbus_set_up(const struct hvs_roots *roots, GError **error);
/* The contrary: no device of ours is bound, and none will be. The driver stays loaded. */
gboolean hvs_vmbus_clean_up(const struct hvs_roots *roots, GError **error);

#endif
