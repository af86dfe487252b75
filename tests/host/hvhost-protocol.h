/* What the simulated host and its guest say to each other about offers, over a UNIX SOCK_SEQPACKET
 * socket; one struct a datagram, both ends are built from this tree.
 *
 *     host → guest   OFFER, RESCIND
 *     guest → host   OPEN, answered by OPENED or FAILED
 *
 * OPENED carries two descriptors: the memory of the rings ([guest → host][host → guest], to be
 * mapped whole), and a socket with the semantics of a UIO device: readable and giving 4 bytes when
 * the host has signalled, taking the int32 1 to signal the host, at its end when the channel was
 * taken away. Closing it closes the channel. The two answers to OPEN keep their order among the
 * other messages, so a RESCIND may come before them.
 */
#ifndef HVHOST_PROTOCOL_H
#define HVHOST_PROTOCOL_H

#include <stdint.h>

/* The environment variable that tells a guest the socket's path. */
#define HVHOST_ENVIRONMENT "HYPERV_SIM"

enum hvhost_message_type {
    HVHOST_MESSAGE_OFFER = 1,
    HVHOST_MESSAGE_RESCIND,
    HVHOST_MESSAGE_OPEN,
    HVHOST_MESSAGE_OPENED,
    HVHOST_MESSAGE_FAILED,
};

struct hvhost_message {
    uint32_t type;
    uint32_t channel;
    uint32_t offer;    /* counts offers, so that an open cannot meet a later offer */
    uint32_t error;    /* FAILED: an errno value */
    uint64_t map_size; /* OPENED: bytes */
};
#define HVHOST_MESSAGE_FDS 2

#endif
