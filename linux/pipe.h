/* vmbuspipe: a stream of bytes in packets, inside a VMBus ring.
 *
 * Every in-band packet carries an 8-byte pipe header and data. Payloads are never copied here: a
 * reader hands out where they lie in the ring, a writer where they may be put, both as iovecs for
 * one system call. Input is taken as a byte stream; a packet without data ends it.
 *
 * Sources: OpenVMM vmbus_async/pipe, the project's notes on vmbuspipe.
 */
#ifndef HVS_LINUX_PIPE_H
#define HVS_LINUX_PIPE_H

#include "ring.h"

/* struct { u32 type; u32 length; } in front of the data */
#define HVS_PIPE_HEADER_SIZE 8u
/* A packet with its pipe header is at most that long, in bytes. */
#define HVS_PIPE_PACKET_MAX 16384u
#define HVS_PIPE_DATA_MAX   (HVS_PIPE_PACKET_MAX - HVS_PIPE_HEADER_SIZE)
/* What a packet takes in the ring beyond its data, without padding. */
#define HVS_PIPE_OVERHEAD                                                                          \
    (HVS_RING_DESCRIPTOR_SIZE + HVS_PIPE_HEADER_SIZE + HVS_RING_TRAILER_SIZE)

/* Packets that a reader may hold between reading and release; and iovecs for them: one packet of
 * them at most wraps. */
#define HVS_PIPE_BATCH  64u
#define HVS_PIPE_PIECES (HVS_PIPE_BATCH + 1u)

enum hvs_pipe_result {
    HVS_PIPE_OK,
    HVS_PIPE_EMPTY,    /* reader: nothing there */
    HVS_PIPE_END,      /* reader: the host has ended its stream, all data was taken */
    HVS_PIPE_FULL,     /* writer: no room */
    HVS_PIPE_CORRUPT,  /* the ring is broken */
    HVS_PIPE_PROTOCOL, /* a packet that a pipe does not carry; see hvs_pipe_reader.complaint */
};

/* Data of one packet that was read and not yet taken. */
struct hvs_pipe_segment {
    uint32_t offset; /* ring offset of what is left of it */
    uint32_t length;
    uint32_t end;    /* ring offset behind the packet */
};

struct hvs_pipe_reader {
    struct hvs_ring        *ring;
    struct hvs_pipe_segment segments[HVS_PIPE_BATCH];
    unsigned                first, count; /* a queue within segments[] */
    uint32_t                bytes;        /* data in the queue */
    uint32_t                done;         /* ring offset up to which all data was taken */
    bool                    ended;        /* the host's end of stream was read */
    uint64_t                packets;      /* read so far */
    const char             *complaint;    /* what was wrong with the packet; a constant */
    uint32_t                complaint_value;
};

/* ring is borrowed. */
void hvs_pipe_reader_init(struct hvs_pipe_reader *reader, struct hvs_ring *ring);
/* Reads packets until limit bytes of data are queued, the queue is full or the ring empty; then
 * describes what is queued, at most limit bytes, at least 1. HVS_PIPE_OK with at least one byte, or EMPTY, END,
 * CORRUPT, PROTOCOL with *count = 0. Data that came before a broken packet is handed out first. */
enum hvs_pipe_result hvs_pipe_gather(struct hvs_pipe_reader *reader, uint32_t limit,
                                     struct iovec pieces[HVS_PIPE_PIECES], unsigned *count);
/* The first bytes of what was gathered are done with: packets that are done are given back to the
 * host. Call it with 0 after HVS_PIPE_END, too. True: signal the host. */
bool hvs_pipe_consume(struct hvs_pipe_reader *reader, size_t bytes);
/* The next packet as one message, for the control channel: copied into buffer (at most size bytes
 * of it) and consumed. *length is its real length, maybe 0. *signal as in hvs_pipe_consume(). No
 * data may be queued. OK, EMPTY, CORRUPT or PROTOCOL. */
enum hvs_pipe_result hvs_pipe_read_message(struct hvs_pipe_reader *reader, void *buffer,
                                           size_t size, size_t *length, bool *signal);

/* Where data may be put now: at most limit bytes (at least 1) in packets of at most
 * HVS_PIPE_DATA_MAX. FULL if not even a small packet fits: hvs_ring_want_room() before sleeping,
 * every time, since looking at the room may have withdrawn an earlier one. Or CORRUPT. */
enum hvs_pipe_result hvs_pipe_reserve(struct hvs_ring *ring, uint32_t limit,
                                      struct iovec pieces[HVS_PIPE_PIECES], unsigned *count,
                                      size_t *bytes);
/* The first bytes of what was just reserved are in place: adds the headers, publishes. *packets:
 * how many. True: signal the host. */
bool hvs_pipe_publish(struct hvs_ring *ring, size_t bytes, unsigned *packets);
/* One packet with that data; length 0 ends our stream. *signal: signal the host. OK, FULL, CORRUPT;
 * length ≤ HVS_PIPE_DATA_MAX. */
enum hvs_pipe_result hvs_pipe_write(struct hvs_ring *ring, const void *data, uint32_t length,
                                    bool *signal);

#endif
