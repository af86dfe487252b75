/* What HvSocket needs of the kernel: AF_VSOCK. Tests link something else in its place.
 *
 * Sources: vsock(7); Linux net/vmw_vsock/hyperv_transport.c, include/uapi/linux/vm_sockets.h.
 */
#ifndef HVS_LINUX_VSOCK_H
#define HVS_LINUX_VSOCK_H

#include "roots.h"

#include <gio/gio.h>

/* Addresses of [vsock(7)]: the Hyper-V host always calls with the first. */
#define HVS_VSOCK_CID_HOST  2u
#define HVS_VSOCK_CID_LOCAL 1u

/* This is a Hyper-V guest with a VMBus, so that asking for AF_VSOCK may load its transport. */
gboolean hvs_vsock_may_have_host(const struct hvs_roots *roots);
/* The transport to a Hyper-V host, hv_sock, is there. */
gboolean hvs_vsock_has_host(const struct hvs_roots *roots);
/* A non-blocking socket that listens on the port, for any peer. −1: G_IO_ERROR_ADDRESS_IN_USE,
 * G_IO_ERROR_NOT_SUPPORTED (a kernel without AF_VSOCK, or not permitted), or another. */
int hvs_vsock_listen(unsigned port, GError **error);
/* The next connection, non-blocking, and the address of its peer. −1: errno. */
int hvs_vsock_accept(int listener, unsigned *peer);

#endif
