#include "stand-in.h"

#include "failure.h"
#include "shape.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* [MS-RDPBCGR] 2.2.1.1 and 2.2.1.2 without any negotiation. */
#define BARE_SIZE 11u
static const uint8_t bare_request[BARE_SIZE] = { 3, 0, 0, BARE_SIZE, 6, 0xe0 };
static const uint8_t bare_confirm[BARE_SIZE] = { 3, 0, 0, BARE_SIZE, 6, 0xd0 };

/* What the server says when an order is done; no TPKT begins with it. */
#define DONE 'd'

enum order_type {
    ORDER_MOVE_HOST_TO_SERVER = HOST_TO_SERVER,
    ORDER_MOVE_SERVER_TO_HOST = SERVER_TO_HOST,
    ORDER_MOVE_BOTH_WAYS = BOTH_WAYS,
    ORDER_ECHO,
};

struct order {
    uint32_t type;
    uint32_t length; /* of a message, bytes */
    uint64_t count;  /* of messages */
};

/* ---- both sides ---- */

/* The sending half of a move, beside which the caller receives. */
struct sender {
    struct endpoint *endpoint;
    uint32_t length;
    uint64_t count;
    pthread_t thread;
};

static void *
send_beside(void *data)
{
    struct sender *sender = data;

    endpoint_send_many(sender->endpoint, sender->length, sender->count);
    return NULL;
}

/* Sends and receives count messages of length bytes at once. */
static void
move_both_ways(struct endpoint *endpoint, uint32_t length, uint64_t count)
{
    struct sender sender = { .endpoint = endpoint, .length = length, .count = count };
    int error = pthread_create(&sender.thread, NULL, send_beside, &sender);

    if (error != 0)
        fail(error, "starting a thread");
    endpoint_drop(endpoint, length * count);
    pthread_join(sender.thread, NULL);
}

/* ---- the server ---- */

static void
echo(struct endpoint *endpoint, uint32_t length, uint64_t count)
{
    uint8_t message[HVHOST_PIPE_MAX];

    while (count-- > 0) {
        if (!endpoint_receive_all(endpoint, message, length))
            fail(0, "the stream ended while messages were to be echoed");
        endpoint_send(endpoint, message, length);
    }
}

static void
obey(struct endpoint *endpoint, const struct order *order)
{
    const char done = DONE;

    switch (order->type) {
    case ORDER_MOVE_HOST_TO_SERVER:
        endpoint_drop(endpoint, order->length * order->count);
        break;
    case ORDER_MOVE_SERVER_TO_HOST:
        endpoint_send_many(endpoint, order->length, order->count);
        break;
    case ORDER_MOVE_BOTH_WAYS:
        move_both_ways(endpoint, order->length, order->count);
        break;
    case ORDER_ECHO:
        echo(endpoint, order->length, order->count);
        break;
    default:
        fail(0, "the server got an order of type %u: bytes were lost or changed", order->type);
    }
    endpoint_send(endpoint, &done, sizeof(done));
}

static void *
serve(void *data)
{
    struct endpoint *endpoint = data;
    uint8_t request[SHAPE_REQUEST_SIZE];
    struct order order;

    if (endpoint_receive_all(endpoint, request, BARE_SIZE)) {
        if (memcmp(request, bare_request, BARE_SIZE) == 0) {
            endpoint_send(endpoint, bare_confirm, BARE_SIZE);
            while (endpoint_receive_all(endpoint, &order, sizeof(order)))
                obey(endpoint, &order);
        } else if (endpoint_receive_all(endpoint, request + BARE_SIZE,
                                        SHAPE_REQUEST_SIZE - BARE_SIZE)) {
            shape_play_server(endpoint);
            endpoint_receive(endpoint, request, 1); /* the client closes first */
        }
    }
    endpoint_close(endpoint);
    free(endpoint);
    return NULL;
}

void
stand_in_run(int listener)
{
    const int on = 1;

    for (;;) {
        struct endpoint *endpoint = malloc(sizeof(*endpoint));
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), error;
        pthread_t thread;

        if (endpoint == NULL || fd < 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
            fail(errno, "the server: taking a connection");
        *endpoint = endpoint_of_socket(fd);
        error = pthread_create(&thread, NULL, serve, endpoint);
        if (error != 0)
            fail(error, "the server: starting a thread");
        pthread_detach(thread);
    }
}

/* ---- the client ---- */

static void
give_order(struct endpoint *endpoint, uint32_t type, uint32_t length, uint64_t count)
{
    struct order order = { .type = type, .length = length, .count = count };

    endpoint_send(endpoint, &order, sizeof(order));
}

static void
await_done(struct endpoint *endpoint)
{
    char done;

    if (!endpoint_receive_all(endpoint, &done, sizeof(done)) || done != DONE)
        fail(0, "the server's answer is not what was due: bytes were lost or changed");
}

void
client_begin(struct endpoint *endpoint)
{
    uint8_t confirm[BARE_SIZE];

    endpoint_send(endpoint, bare_request, BARE_SIZE);
    if (!endpoint_receive_all(endpoint, confirm, BARE_SIZE) ||
        memcmp(confirm, bare_confirm, BARE_SIZE) != 0)
        fail(0, "the Connection Confirm did not come as it was sent");
    client_move(endpoint, HOST_TO_SERVER, 1, 1);
}

double
client_move(struct endpoint *endpoint, enum direction direction, uint32_t length, uint64_t count)
{
    double begin = now();

    give_order(endpoint, direction, length, count);
    if (direction == HOST_TO_SERVER)
        endpoint_send_many(endpoint, length, count);
    else if (direction == SERVER_TO_HOST)
        endpoint_drop(endpoint, length * count);
    else
        move_both_ways(endpoint, length, count);
    await_done(endpoint);
    return now() - begin;
}

void
client_echo(struct endpoint *endpoint, uint32_t length, uint64_t count, struct samples *times)
{
    uint8_t sent[HVHOST_PIPE_MAX], received[HVHOST_PIPE_MAX];

    memset(sent, DONE, length);
    give_order(endpoint, ORDER_ECHO, length, count);
    for (uint64_t i = 0; i < count; i++) {
        double begin;

        memcpy(sent, &i, sizeof(i));
        begin = now();
        endpoint_send(endpoint, sent, length);
        if (!endpoint_receive_all(endpoint, received, length) ||
            memcmp(sent, received, length) != 0)
            fail(0, "an echo is not what was sent");
        samples_add(times, (now() - begin) * 1e6);
    }
    await_done(endpoint);
}
