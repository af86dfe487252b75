/* Where a message goes in or comes out: a TCP connection, or the simulated host's side of a data
 * channel. What is measured is written once, for both.
 *
 * Blocking. At most one thread sends and one receives. A failure ends the process.
 */
#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include "tests/host/hvhost.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a receiver takes at once, in bytes; the plain relay's buffers are as large. */
#define RECEIVE_SIZE 65536u

struct endpoint {
    int socket;              /* −1 if it is a channel */
    hvhost_channel *channel; /* NULL if it is a socket */
};

/* Takes over a connected socket or a reference of a channel. */
struct endpoint endpoint_of_socket(int socket);
struct endpoint endpoint_of_channel(hvhost_channel *channel);
void endpoint_close(struct endpoint *endpoint);

/* A listening socket on a free port of 127.0.0.1. */
int listen_anywhere(uint16_t *port);
/* A connection to that port, TCP_NODELAY. */
int connect_to(uint16_t port);

/* One message of length bytes: one send() where the socket takes it, one pipe packet, published by
 * itself, in a ring. length ≤ HVHOST_PIPE_MAX. */
void endpoint_send(struct endpoint *endpoint, const void *bytes, size_t length);
/* 1 … size bytes; 0 at the end of the stream. */
size_t endpoint_receive(struct endpoint *endpoint, void *bytes, size_t size);
/* Exactly length bytes. False: the stream ended before the first. */
bool endpoint_receive_all(struct endpoint *endpoint, void *bytes, size_t length);

/* The same message count times. */
void endpoint_send_many(struct endpoint *endpoint, size_t length, uint64_t count);
/* Receives length bytes and forgets them. */
void endpoint_drop(struct endpoint *endpoint, uint64_t length);

#endif
