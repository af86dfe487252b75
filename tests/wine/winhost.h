/* A simulated Hyper-V host for Windows, the other end of fake-vmbuspipe.dll; and an RDP server for
 * the sessions' other end.
 *
 * Functions abort the test with a sentence when they fail, unless they return bool or a count. All
 * times are in milliseconds. One thread reads and one writes a channel or connection at a time. */
#ifndef HVS_TESTS_WINE_WINHOST_H
#define HVS_TESTS_WINE_WINHOST_H

#include <winsock2.h>
#include <windows.h>

#include <stdbool.h>
#include <stdint.h>

/* Longer than anything here takes, unless it hangs. */
#define LONG_TIME 60000u

/* Ends the test program: "not ok", what failed, and what the service says. */
void fail(const char *format, ...) __attribute__((format(ms_printf, 1, 2), noreturn));

/* ---- channels ---- */

enum pipe_kind { MESSAGES, BYTES };

/* Offers a channel, 0 to 5; the guest may open it. */
void host_offer(unsigned channel, enum pipe_kind kind);
/* The guest has opened it within the time. */
bool host_wait_open(unsigned channel, DWORD timeout);
/* host_offer() and host_wait_open(). */
void host_connect(unsigned channel, enum pipe_kind kind);
/* Takes the channel back. What was written can still be read by the guest. */
void host_rescind(unsigned channel);

/* All bytes, as one message if the channel carries messages. false: the guest has closed it, or
 * not in time. */
bool host_write(unsigned channel, const void *bytes, size_t length, DWORD timeout);
/* 1 … size bytes; 0: a message of no bytes; -1: the guest has closed it; -2: not in time. The rest
 * of a long message comes with the next call. */
int host_read(unsigned channel, void *bytes, size_t size, DWORD timeout);

/* ---- control channel ---- */

enum version_policy { ACCEPT, REFUSE, SILENT };

/* Offers the control channel and answers version requests in a thread of its own until
 * host_stop_control(). */
void host_start_control(enum version_policy policy);
void host_set_policy(enum version_policy policy);
/* How many requests have come since the start of the program. */
unsigned host_requests(void);
void host_stop_control(void);

/* ---- the RDP server ---- */

/* Listens on a port of 127.0.0.1 that nobody else has; returns the port. */
uint16_t server_start(void);
void server_stop(void);
/* The next connection. */
SOCKET server_accept(DWORD timeout);
/* All bytes. false: the connection is broken. */
bool server_write(SOCKET s, const void *bytes, size_t length);
/* 1 … size bytes; 0: end of the stream; -1: broken; -2: not in time. */
int server_read(SOCKET s, void *bytes, size_t size, DWORD timeout);
/* Exactly length bytes. */
bool server_read_all(SOCKET s, void *bytes, size_t length);

#endif
