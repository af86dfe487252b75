/* HvSocket on a UNIX socket, in the place of linux/vsock.c: the socket that HVSOCKET_SIM names. Who
 * connects from a socket of its own name "…/cid-N" has the address N, anybody else is the host.
 * Without HVSOCKET_SIM the kernel has no AF_VSOCK.
 */
#include "linux/vsock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

gboolean
hvs_vsock_may_have_host(const struct hvs_roots *roots)
{
    (void)roots;
    return g_getenv("HVSOCKET_SIM") != NULL;
}

/* HVSOCKET_SIM_NO_HOST: there is AF_VSOCK, but no transport to a host. */
gboolean
hvs_vsock_has_host(const struct hvs_roots *roots)
{
    (void)roots;
    return g_getenv("HVSOCKET_SIM_NO_HOST") == NULL;
}

/* A name stays when its socket is gone; the port of a vsock does not. */
static void
remove_stale(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

int
hvs_vsock_listen(unsigned port, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = g_getenv("HVSOCKET_SIM");
    int fd;

    g_assert_cmpuint(port, ==, 3389);
    if (path == NULL) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                            "opening a vsock socket: Address family not supported by protocol");
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    remove_stale(&address);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0)
        return fd;
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(errno), "%s", g_strerror(errno));
    close(fd);
    return -1;
}

int
hvs_vsock_accept(int listener, unsigned *peer)
{
    struct sockaddr_un address = { 0 };
    socklen_t size = sizeof address;
    int fd = accept4(listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const char *name = strstr(address.sun_path, "/cid-");

    *peer = name != NULL ? (unsigned)g_ascii_strtoull(name + strlen("/cid-"), NULL, 10)
                         : HVS_VSOCK_CID_HOST;
    return fd;
}
