/* An RDP-shaped server for the guest: it negotiates as xrdp does with security_layer=rdp and
 * crypt_level=none, and then serves an order (order.h), one process a connection.
 *
 *     rdp-echo [PORT]      listens on 127.0.0.1, port 3389 unless told otherwise (0: any)
 *
 * "ready PORT", and then a line a connection on standard output says what was asked for:
 *     session N requestedProtocols=0x0 flags=0x0 request=19 serverSelectedProtocol=0x0 order=echo
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "order.h"

#define TPKT_HEADER                      4
#define TPKT_MAX                         65535
#define CS_CORE                          0xc001
#define CS_CORE_SERVER_SELECTED_PROTOCOL 212 /* [MS-RDPBCGR] 2.2.1.3.2 */
#define TYPE_RDP_NEG_REQ                 1
#define NONE                             0xffffffffu

static uint8_t buffer[128 * 1024];
static uint8_t pattern[2 * PATTERN_PERIOD];

/* Returns false at the end of the stream or on an error. */
static bool
read_all(int fd, void *data, size_t length)
{
    for (uint8_t *at = data; length;) {
        ssize_t n = read(fd, at, length);
        if (n <= 0)
            return false;
        at += n;
        length -= n;
    }
    return true;
}

static bool
write_all(int fd, const void *data, size_t length)
{
    for (const uint8_t *at = data; length;) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        length -= n;
    }
    return true;
}

/* Reads a whole TPKT into buffer; returns its length, or 0. */
static size_t
read_tpkt(int fd)
{
    if (!read_all(fd, buffer, TPKT_HEADER) || buffer[0] != 3)
        return 0;
    size_t length = buffer[2] << 8 | buffer[3];
    return length > TPKT_HEADER && read_all(fd, buffer + TPKT_HEADER, length - TPKT_HEADER) ? length
                                                                                            : 0;
}

static uint32_t
read_u32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

/* requestedProtocols of an X.224 Connection Request, NONE if there is no RDP_NEG_REQ. */
static uint32_t
requested_protocols(size_t length, uint8_t *flags)
{
    size_t at = 11;
    const uint8_t *end = memmem(buffer + at, length - at, "\r\n", 2);

    *flags = 0;
    if (end)
        at = end + 2 - buffer;
    if (at + 8 > length || buffer[at] != TYPE_RDP_NEG_REQ)
        return NONE;
    *flags = buffer[at + 1];
    return read_u32(buffer + at + 4);
}

/* serverSelectedProtocol of the client's core data, NONE if it isn't there. */
static uint32_t
server_selected_protocol(size_t length)
{
    const uint8_t *at = memmem(buffer, length, "Duca", 4), *end = buffer + length;

    if (!at)
        return NONE;
    at += 4;
    at += at < end && *at & 0x80 ? 2 : 1;
    if (at + CS_CORE_SERVER_SELECTED_PROTOCOL + 4 > end || (at[0] | at[1] << 8) != CS_CORE)
        return NONE;
    return read_u32(at + CS_CORE_SERVER_SELECTED_PROTOCOL);
}

/* [MS-RDPBCGR] 2.2.1.2 with selectedProtocol PROTOCOL_RDP. */
static bool
send_connection_confirm(int fd)
{
    /* clang-format off */
    static const uint8_t confirm[] = {
        3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 0, 0, 0, 0,
    };
    /* clang-format on */
    return write_all(fd, confirm, sizeof(confirm));
}

/* [MS-RDPBCGR] 2.2.1.4: SC_CORE, SC_SECURITY with no encryption, SC_NET with no channels. */
static bool
send_mcs_connect_response(int fd, uint32_t requested)
{
    /* clang-format off */
    uint8_t response[] = {
        3, 0, 0, 104, 2, 0xf0, 0x80,
        /* Connect-Response, result rt-successful, calledConnectId 0, domainParameters */
        0x7f, 0x66, 94, 0x0a, 1, 0, 2, 1, 0, 0x30, 26, 2, 1, 34, 2, 1, 3, 2, 1, 0, 2, 1, 1, 2, 1, 0,
        2, 1, 1, 2, 3, 0, 0xff, 0xf8, 2, 1, 2,
        /* userData: GCC Conference Create Response */
        4, 58, 0, 5, 0, 0x14, 0x7c, 0, 1, 0x2a, 0x14, 0x76, 0x0a, 1, 1, 0, 1, 0xc0, 0,
        'M', 'c', 'D', 'n', 36,
        /* SC_CORE: version, clientRequestedProtocols, earlyCapabilityFlags */
        0x01, 0x0c, 16, 0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        /* SC_SECURITY: encryptionMethod 0, encryptionLevel 0 */
        0x02, 0x0c, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        /* SC_NET: MCSChannelId 1003, channelCount 0 */
        0x03, 0x0c, 8, 0, 0xeb, 3, 0, 0,
    };
    /* clang-format on */
    _Static_assert(sizeof(response) == 104, "the lengths above are right");
    uint8_t *core = response + 68;

    if (requested != NONE)
        memcpy(core + 8, &requested, 4);
    return write_all(fd, response, sizeof(response));
}

static bool
serve_echo(int fd)
{
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        if (!write_all(fd, buffer, n))
            return false;
    return n == 0;
}

static bool
send_pattern(int fd, uint64_t count)
{
    for (uint64_t sent = 0; sent < count;) {
        size_t n = count - sent < PATTERN_PERIOD ? count - sent : PATTERN_PERIOD;
        if (!write_all(fd, pattern + sent % PATTERN_PERIOD, n))
            return false;
        sent += n;
    }
    return true;
}

/* Takes `take` bytes and sends `give` bytes of the pattern at the same time, then reports. */
static bool
serve_transfer(int fd, uint64_t take, uint64_t give, bool checksum)
{
    struct order_report report = { 0 };
    uint64_t given = 0;

    while (report.count < take || given < give) {
        struct pollfd p = { .fd = fd };
        p.events = (report.count < take ? POLLIN : 0) | (given < give ? POLLOUT : 0);
        if (poll(&p, 1, -1) < 0)
            return false;
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN))
                return false;
            if (n > 0 && checksum)
                report.crc32 = crc32_update(report.crc32, buffer, n);
            if (n > 0)
                report.count += n;
        }
        if (p.revents & POLLOUT) {
            size_t n = give - given < PATTERN_PERIOD ? give - given : PATTERN_PERIOD;
            ssize_t sent =
                send(fd, pattern + given % PATTERN_PERIOD, n, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno != EAGAIN)
                return false;
            if (sent > 0)
                given += sent;
        }
    }
    return write_all(fd, &report, sizeof(report));
}

/* Sends no more, and still takes everything. */
static bool
serve_deafen(int fd, uint64_t count, unsigned session)
{
    uint64_t taken = 0;
    ssize_t n;

    shutdown(fd, SHUT_WR);
    while (taken < count && (n = read(fd, buffer, sizeof(buffer))) > 0)
        taken += n;
    printf("session %u took %llu\n", session, (unsigned long long)taken);
    return taken == count;
}

static bool
serve_order(int fd, const struct order *order, unsigned session)
{
    switch (order_kind(order)) {
    case ORDER_ECHO:
        return serve_echo(fd);
    case ORDER_SINK:
        return serve_transfer(fd, order->count, 0, true) && serve_echo(fd);
    case ORDER_DRAIN:
        return serve_transfer(fd, order->count, 0, false) && serve_echo(fd);
    case ORDER_SOURCE:
        return send_pattern(fd, order->count) && serve_echo(fd);
    case ORDER_DUPLEX:
        return serve_transfer(fd, order->count, order->count, true) && serve_echo(fd);
    case ORDER_FINISH:
        return send_pattern(fd, order->count);
    case ORDER_DEAFEN:
        return serve_deafen(fd, order->count, session);
    default:
        return false;
    }
}

static void
serve(int fd, unsigned session)
{
    struct order order = { 0 };
    uint32_t requested, selected = NONE;
    uint8_t flags;

    size_t request = read_tpkt(fd);
    if (!request || (buffer[5] & 0xf0) != 0xe0) {
        printf("session %u no Connection Request\n", session);
        return;
    }
    requested = requested_protocols(request, &flags);
    size_t initial = send_connection_confirm(fd) ? read_tpkt(fd) : 0;
    if (initial) {
        selected = server_selected_protocol(initial);
        if (!send_mcs_connect_response(fd, requested) || !read_all(fd, &order, sizeof(order)))
            initial = 0;
    }
    printf("session %u requestedProtocols=0x%x flags=0x%x request=%zu serverSelectedProtocol=0x%x "
           "order=%.8s\n",
           session, requested, flags, request, selected, initial ? order.name : "none");
    if (initial && !serve_order(fd, &order, session))
        printf("session %u cut short\n", session);
}

int
main(int argc, char **argv)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(argc > 1 ? atoi(argv[1]) : 3389),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof(address);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 64)) {
        perror("rdp-echo: listen");
        return 1;
    }
    signal(SIGCHLD, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    pattern_fill(pattern);
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("ready %u\n", ntohs(address.sin_port));
    for (unsigned session = 1;; session++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (!fork()) {
            close(listener);
            serve(fd, session);
            exit(0);
        }
        close(fd);
    }
}
