#include "tls-module.h"

#include <gio/gio.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ---- who is at the other end ---- */

static bool
is_loopback(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;

    switch (address->ss_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(ipv4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr) &&
                ipv6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    default:
        return false;
    }
}

bool
hvs_tls_is_local(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);

    return getpeername(fd, (struct sockaddr *)&address, &size) == 0 && is_loopback(&address);
}

/* ---- the module's functions ---- */

/* What the module makes begins with its table. */
static const struct hvs_tls_class *
class_of(const hvs_tls *tls)
{
    return *(const struct hvs_tls_class *const *)(const void *)tls;
}

hvs_tls *
hvs_tls_new(int fd, const struct hvs_server_address *server, GError **error)
{
    const struct hvs_tls_class *class = hvs_tls_load(error);
    hvs_tls *tls;

    if (class == NULL)
        return NULL;
    tls = class->new(fd, hvs_tls_is_local(fd) ? NULL : server->host);
    if (tls == NULL)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "out of memory for TLS");
    return tls;
}

enum hvs_tls_result
hvs_tls_handshake(hvs_tls *tls)
{
    return class_of(tls)->handshake(tls);
}

ssize_t
hvs_tls_send(hvs_tls *tls, const struct iovec *pieces, unsigned count)
{
    return class_of(tls)->send(tls, pieces, count);
}

ssize_t
hvs_tls_receive(hvs_tls *tls, const struct iovec *pieces, unsigned count)
{
    return class_of(tls)->receive(tls, pieces, count);
}

ssize_t
hvs_tls_peek(hvs_tls *tls, void *buffer, size_t size)
{
    return class_of(tls)->peek(tls, buffer, size);
}

int
hvs_tls_end(hvs_tls *tls)
{
    return class_of(tls)->end(tls);
}

bool
hvs_tls_may_have_more(const hvs_tls *tls)
{
    return class_of(tls)->may_have_more(tls);
}

short
hvs_tls_events(const hvs_tls *tls, bool receive, bool send)
{
    return class_of(tls)->events(tls, receive, send);
}

const char *
hvs_tls_complaint(const hvs_tls *tls)
{
    return class_of(tls)->complaint(tls);
}

const char *
hvs_tls_describe(const hvs_tls *tls)
{
    return class_of(tls)->describe(tls);
}

void
hvs_tls_free(hvs_tls *tls)
{
    class_of(tls)->free(tls);
}
