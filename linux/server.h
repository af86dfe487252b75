/* Connecting to the guest's RDP server.
 *
 * Blocks the calling (relay) thread, in a main context of its own, so that it can be interrupted at
 * once: names are resolved and connections made by GIO, which also tries all addresses of a name.
 */
#ifndef HVS_LINUX_SERVER_H
#define HVS_LINUX_SERVER_H

#include "common/settings.h"

#include <gio/gio.h>

/* Called when one of the watched descriptors is ready. G_SOURCE_REMOVE (and the cancellable
 * cancelled by the callee) gives up. Another thread must not cancel it: that would be noticed at the
 * end of a pause only, and GIO may lose memory then. */
struct hvs_server_watch {
    int       fd;
    short     events; /* of poll(), beside errors */
    gboolean (*ready)(int fd, GIOCondition condition, gpointer user_data);
};

/* Tries the servers in order, again and again with growing pauses, until one takes the connection
 * or timeout milliseconds are over (0: one round). Returns a connected, non-blocking socket that
 * the caller closes; *which is the server's place in servers. On −1 error tells the last failure
 * of each server (G_IO_ERROR_CANCELLED if cancelled). */
int hvs_server_connect(const struct hvs_server_address *servers, unsigned count, uint32_t timeout,
                       const struct hvs_server_watch *watches, unsigned watch_count,
                       gpointer user_data, GCancellable *cancellable, unsigned *which,
                       GError **error);

#endif
