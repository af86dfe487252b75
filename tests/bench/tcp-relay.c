#include "tcp-relay.h"

#include "endpoint.h"
#include "failure.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE 65536u
#define EVENTS_MAX  16

/* One direction. readable and writable hold until a call has found the socket empty or full; only
 * then another event comes. */
struct flow {
    int from, to;
    bool readable, writable;
    bool ended; /* the end of the stream was passed on */
    size_t begin, end;
    uint8_t buffer[BUFFER_SIZE];
};

struct connection;

/* What an event tells: which socket of which connection. */
struct end {
    struct connection *connection;
    unsigned index;
};

/* Flow 0 goes from socket 0 to socket 1, flow 1 the other way. */
struct connection {
    struct flow flows[2];
    struct end ends[2];
    bool over;
    struct connection *next; /* spare */
};

struct relay {
    int epoll;
    int listener;
    uint16_t port;
    struct connection *spare; /* over; an event of theirs that is still due does no harm */
};

/* True: something was received. */
static bool
fill(struct flow *flow)
{
    ssize_t received = recv(flow->from, flow->buffer, BUFFER_SIZE, 0);

    if (received < 0 && errno == EINTR)
        return true;
    if (received < 0 && errno == EAGAIN) {
        flow->readable = false;
        return false;
    }
    if (received <= 0) {
        shutdown(flow->to, SHUT_WR);
        flow->ended = true;
        return false;
    }
    flow->readable = received == BUFFER_SIZE;
    flow->begin = 0;
    flow->end = (size_t)received;
    return true;
}

/* True: something was sent. */
static bool
drain(struct flow *flow)
{
    size_t length = flow->end - flow->begin;
    ssize_t sent = send(flow->to, flow->buffer + flow->begin, length, MSG_NOSIGNAL);

    if (sent < 0 && errno == EINTR)
        return true;
    if (sent < 0 && errno != EAGAIN) {
        flow->ended = true;
        return false;
    }
    flow->writable = sent == (ssize_t)length;
    if (sent > 0)
        flow->begin += (size_t)sent;
    return sent > 0;
}

static bool
pump(struct flow *flow)
{
    bool moved = false;

    if (flow->ended)
        return false;
    if (flow->begin == flow->end && flow->readable)
        moved = fill(flow);
    if (flow->begin < flow->end && flow->writable)
        moved |= drain(flow);
    return moved;
}

static void
note_events(struct end *end, uint32_t events)
{
    struct flow *flows = end->connection->flows;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        flows[end->index].readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        flows[1 - end->index].writable = true;
}

/* Until neither direction can go on without another event. */
static void
serve(struct relay *relay, struct connection *connection)
{
    struct flow *flows = connection->flows;
    bool moved;

    do {
        moved = pump(&flows[0]);
        moved |= pump(&flows[1]);
    } while (moved);
    if (!flows[0].ended || !flows[1].ended || connection->over)
        return;
    close(flows[0].from);
    close(flows[0].to);
    connection->over = true;
    connection->next = relay->spare;
    relay->spare = connection;
}

static void
watch(int epoll, struct end *end, int fd)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = end };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail(errno, "TCP relay: epoll_ctl");
}

static struct connection *
new_connection(struct relay *relay)
{
    struct connection *connection = relay->spare;

    if (connection != NULL)
        relay->spare = connection->next;
    else
        connection = malloc(sizeof(*connection));
    if (connection != NULL)
        memset(connection, 0, sizeof(*connection));
    return connection;
}

static void
take_connection(struct relay *relay)
{
    const int on = 1;
    struct connection *connection = new_connection(relay);
    int fds[2] = { accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK),
                   connect_to(relay->port) };

    if (connection == NULL || fds[0] < 0 ||
        setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0)
        fail(errno, "TCP relay: taking a connection");
    for (unsigned i = 0; i < 2; i++) {
        connection->flows[i].from = fds[i];
        connection->flows[i].to = fds[1 - i];
        connection->ends[i] = (struct end) { .connection = connection, .index = i };
        watch(relay->epoll, &connection->ends[i], fds[i]);
    }
}

void
tcp_relay_run(int listener, uint16_t port)
{
    struct relay relay = { .epoll = epoll_create1(EPOLL_CLOEXEC),
                           .listener = listener,
                           .port = port };
    struct epoll_event events[EVENTS_MAX], event = { .events = EPOLLIN };

    if (relay.epoll < 0 || epoll_ctl(relay.epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        fail(errno, "TCP relay: epoll");
    for (;;) {
        int count = epoll_wait(relay.epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            struct end *end = events[i].data.ptr;

            if (end == NULL) {
                take_connection(&relay);
            } else {
                note_events(end, events[i].events);
                serve(&relay, end->connection);
            }
        }
    }
}
