#include "vsock.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <unistd.h>

G_STATIC_ASSERT(HVS_VSOCK_CID_HOST == VMADDR_CID_HOST);
G_STATIC_ASSERT(HVS_VSOCK_CID_LOCAL == VMADDR_CID_LOCAL);

/* Connections that wait while there are as many sessions as may be. */
#define BACKLOG 8

static gboolean
exists(const struct hvs_roots *roots, const char *path)
{
    g_autofree char *file = g_build_filename(roots->sys, path, NULL);

    return g_file_test(file, G_FILE_TEST_EXISTS);
}

gboolean
hvs_vsock_may_have_host(const struct hvs_roots *roots)
{
    return exists(roots, "bus/vmbus");
}

gboolean
hvs_vsock_has_host(const struct hvs_roots *roots)
{
    return exists(roots, "bus/vmbus/drivers/hv_sock");
}

static int
fail(int fd, const char *what, GError **error)
{
    int code = errno;
    GIOErrorEnum kind = code == EAFNOSUPPORT || code == EACCES || code == EPERM ?
                            G_IO_ERROR_NOT_SUPPORTED :
                            g_io_error_from_errno(code);

    g_set_error(error, G_IO_ERROR, (gint)kind, "%s: %s", what, g_strerror(code));
    if (fd >= 0)
        close(fd);
    return -1;
}

int
hvs_vsock_listen(unsigned port, GError **error)
{
    const struct sockaddr_vm address = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port
    };
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return fail(fd, "opening a vsock socket", error);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return fail(fd, "taking the vsock port", error);
    if (listen(fd, BACKLOG) != 0)
        return fail(fd, "listening on the vsock port", error);
    return fd;
}

int
hvs_vsock_accept(int listener, unsigned *peer)
{
    struct sockaddr_vm address = { .svm_cid = VMADDR_CID_ANY };
    socklen_t size = sizeof(address);
    int fd = accept4(listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

    *peer = address.svm_cid;
    return fd;
}
