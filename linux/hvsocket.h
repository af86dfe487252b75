/* The other transport of Enhanced Session, HvSocket: a listener that gives every connection of the
 * host to the daemon, which starts a session on it.
 *
 * In Hyper-V terms the guest serves the port 3389 of HvSocket, and the machine is set to it with
 * Set-VM -EnhancedSessionTransportType HvSocket. Nothing is offered beforehand, and no version is
 * agreed on: a connection is a client.
 *
 * Only the host is served. Whoever else calls (a process of this guest, or of a guest nested in it)
 * is refused, with a line in the log.
 */
#ifndef HVS_LINUX_HVSOCKET_H
#define HVS_LINUX_HVSOCKET_H

#include "roots.h"

#include "common/settings.h"
#include "common/status.h"

#include <glib.h>

/* The port that Hyper-V's host calls. */
#define HVS_HVSOCKET_PORT 3389u

typedef struct hvs_hvsocket hvs_hvsocket;

/* Called in the default main context; fd is a connected, non-blocking socket, the callee's. */
typedef void (*hvs_hvsocket_connected)(int fd, gpointer user_data);

/* It does nothing before hvs_hvsocket_configure(). roots are borrowed and must outlive it. */
hvs_hvsocket *hvs_hvsocket_new(const struct hvs_roots *roots, hvs_hvsocket_connected connected,
                               gpointer user_data);
/* Does what the settings say: HvSocket and HvSocketLoopback. What could not be had at an earlier
 * time is tried again. That it cannot be had is told in the log once, and is nobody's failure. */
void hvs_hvsocket_configure(hvs_hvsocket *hvsocket, const struct hvs_settings *settings);
enum hvs_hvsocket_state hvs_hvsocket_state(const hvs_hvsocket *hvsocket);
/* Lets callers wait, or serves them again. */
void hvs_hvsocket_hold(hvs_hvsocket *hvsocket, bool hold);
void hvs_hvsocket_free(hvs_hvsocket *hvsocket);

#endif
