/* The stand-in for the RDP server, and how a client talks to it.
 *
 * A connection begins with an X.224 Connection Request. One of 11 bytes (no RDP_NEG_REQ, so that a
 * relay has nothing to change from there on) is answered by a Connection Confirm of 11 bytes, and
 * then the client sends orders: take bytes, give bytes, both, or echo. One of 19 bytes begins a
 * replay; see shape.h.
 */
#ifndef BENCH_STAND_IN_H
#define BENCH_STAND_IN_H

#include "endpoint.h"
#include "statistics.h"

#include <stdint.h>

enum direction {
    HOST_TO_SERVER,
    SERVER_TO_HOST,
    BOTH_WAYS,
};
#define DIRECTIONS 3

/* Serves each connection that listener takes in a thread of its own. Does not return. */
__attribute__((noreturn)) void stand_in_run(int listener);

/* -- the client's side -- */

/* Connection Request and Confirm, and one order, so that both ways are open and transparent. */
void client_begin(struct endpoint *endpoint);
/* Moves count messages of length bytes that way (both ways: each). Returns seconds, from the order
 * to the last byte, or to the server's word that it has got it. */
double client_move(struct endpoint *endpoint, enum direction direction, uint32_t length,
                   uint64_t count);
/* count messages of length bytes, each sent when the one before has come back. Adds their times to
 * times, in microseconds. */
void client_echo(struct endpoint *endpoint, uint32_t length, uint64_t count, struct samples *times);

#endif
