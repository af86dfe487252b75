/* The shape of a real Enhanced Session, from a capture of a Windows guest: who writes how many
 * bytes when. Played as fast as it goes, each side waiting for what it waits for in reality.
 *
 *     19 → 19 · 462 → 126 · 12 · 8 → 11 · 7 × (12 → 15) · 353 → 157 × 16,019 · 34 · 472 ← 611 · 116
 *     then graphics: small writes of the user, most of them answered by an update of 1,623 bytes
 *
 * The sums are the capture's: 1,127 writes and 3.45 MB of the guest, never more than 16,019 bytes;
 * 741 writes and 88 KB of the host. The first two exchanges are real PDUs as far as a relay reads
 * them; nothing in them is to be changed but requestedProtocols.
 */
#ifndef BENCH_SHAPE_H
#define BENCH_SHAPE_H

#include "endpoint.h"
#include "statistics.h"

/* The first PDU of a session says to the server which of two it is; see stand-in.h. */
#define SHAPE_REQUEST_SIZE 19u

/* The client's part, from its Connection Request on. Adds to latencies how long each update took
 * from the write that asks for it, in microseconds. */
void shape_play_client(struct endpoint *endpoint, struct samples *latencies);
/* The server's part, the Connection Request having been read. */
void shape_play_server(struct endpoint *endpoint);

#endif
