/* The reference: what a good plain relay from TCP to TCP does on this machine.
 *
 * One thread, epoll (edge-triggered), a buffer of 64 KiB each way, TCP_NODELAY. Receives while the
 * buffer is empty, sends what is in it at once, and keeps the rest until the socket takes more.
 */
#ifndef BENCH_TCP_RELAY_H
#define BENCH_TCP_RELAY_H

#include <stdint.h>

/* Relays each connection that listener takes to a connection to that port. Does not return. */
__attribute__((noreturn)) void tcp_relay_run(int listener, uint16_t port);

#endif
