/* Connecting to the RDP server. Blocks the calling (relay) thread, but watches other handles. */
#ifndef HVS_WINDOWS_SERVER_H
#define HVS_WINDOWS_SERVER_H

#include "common/settings.h"

#include <winsock2.h>
#include <windows.h>

/* ready is called when handle is signalled; it resets the handle. false gives up. */
struct hvs_server_watch {
    HANDLE handle;
    bool (*ready)(void *user_data);
};
#define HVS_SERVER_WATCHES_MAX 4

/* Tries the servers in order, again and again with growing pauses, until one takes the connection
 * or timeout milliseconds are over (0: one round). On ERROR_SUCCESS *connected is a non-blocking
 * socket that the caller closes, bound to event (a manual-reset event of the caller) for FD_READ,
 * FD_WRITE and FD_CLOSE; *which is the server's place in servers.
 * ERROR_CANCELLED: a watch gave up. ERROR_TIMEOUT: nobody took it, failures has the last failure of
 * each server. Other errors: of the system. WSAStartup() has been called. */
DWORD hvs_server_connect(const struct hvs_server_address *servers, unsigned count,
                         uint32_t timeout, const struct hvs_server_watch *watches,
                         unsigned watch_count, void *user_data, HANDLE event, SOCKET *connected,
                         unsigned *which, struct hvs_text *failures);

#endif
