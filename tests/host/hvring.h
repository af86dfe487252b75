/* The host's side of the two VMBus rings of a channel: strict, and independent of linux/ring.c.
 *
 * Written from Linux Documentation/virt/hyperv/vmbus.rst and drivers/hv/ring_buffer.c, and OpenVMM
 * vm/devices/vmbus for the pipe packets inside. Internal to the simulated host.
 *
 * The writer of a ring owns write_index, pending_send_sz and feature_bits, the reader owns
 * read_index and interrupt_mask. What the guest owns is checked at each look; what the host owns
 * is kept privately, too, so that a guest that changes it is found out. Functions that look at the
 * guest's words return false on a breach, and the sentence is in .breach.
 */
#ifndef HVHOST_RING_H
#define HVHOST_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct hvring_page {
    _Atomic uint32_t write_index;
    _Atomic uint32_t read_index;
    _Atomic uint32_t interrupt_mask;
    _Atomic uint32_t pending_send_sz;
    uint32_t reserved[12];
    _Atomic uint32_t feature_bits;
};
_Static_assert(offsetof(struct hvring_page, feature_bits) == 64, "fixed by the protocol");

#define HVRING_FEATURE_PENDING_SEND 1u

struct hvring_descriptor {
    uint16_t type;
    uint16_t data_offset8;
    uint16_t length8;
    uint16_t flags;
    uint64_t transaction_id;
};

struct hvring_pipe_header {
    uint32_t type;
    uint32_t length;
};

#define HVRING_PACKET_INBAND 6u
#define HVRING_PIPE_DATA     1u
#define HVRING_PIPE_MAX      16384u
/* Descriptor and pipe header in front of the payload; with the trailer around a packet. */
#define HVRING_FRONT    24u
#define HVRING_OVERHEAD 32u

#define HVRING_BREACH_SIZE 200

/* -- host → guest -- */

struct hvring_writer {
    struct hvring_page *page;
    uint8_t *data;
    uint32_t size;      /* of the data, bytes */
    uint32_t write;     /* where the next packet goes */
    uint32_t published; /* write_index as the guest sees it */
    uint32_t read;      /* the guest's index as last seen */
    uint32_t pending;   /* pending_send_sz as the guest sees it */
    char breach[HVRING_BREACH_SIZE];
};

/* Sets up the header page as the guest's kernel does before it opens a channel. */
void hvring_writer_init(struct hvring_writer *writer, void *memory, uint32_t size,
                        uint32_t page_size);
/* Bytes that may be written: one less than free, in units of 8, since equal means empty. */
bool hvring_writer_room(struct hvring_writer *writer, uint32_t *room);
/* The largest payload that a packet can have in this ring at all. */
uint32_t hvring_writer_payload_max(const struct hvring_writer *writer);
/* What a packet with that payload takes in the ring. */
uint32_t hvring_packet_size(uint32_t payload);
/* Where the payload of a packet written now lies; returns the pieces, one or two. */
int hvring_writer_payload(const struct hvring_writer *writer, uint32_t length,
                          struct iovec pieces[2]);
/* Descriptor, pipe header, padding and trailer around a payload of that length; there is room. */
void hvring_writer_frame(struct hvring_writer *writer, uint32_t length);
/* Any packet: payload_length bytes at data_offset8 · 8, zeros up to length8 · 8. */
void hvring_writer_raw(struct hvring_writer *writer, const struct hvring_descriptor *descriptor,
                       const void *payload, uint32_t payload_length);
/* Publishes what was written. *signal: the ring was empty for the guest, and interrupts are not
 * masked. */
bool hvring_writer_publish(struct hvring_writer *writer, bool *signal);
/* pending_send_sz: the guest signals once more than that many bytes are free. 0: no more. */
void hvring_writer_set_pending(struct hvring_writer *writer, uint32_t bytes);
/* What the guest must not change is as it was. */
bool hvring_writer_check_owned(struct hvring_writer *writer);
/* Ring bytes that the guest has not read. */
uint32_t hvring_writer_unread(const struct hvring_writer *writer);

/* -- guest → host -- */

#define HVRING_QUEUE 64u

struct hvring_packet {
    uint32_t payload; /* ring offset of the pipe data */
    uint32_t length;  /* of the pipe data, bytes */
    uint32_t end;     /* ring offset of the next packet */
};

struct hvring_reader {
    struct hvring_page *page;
    const uint8_t *data;
    uint32_t size;
    uint32_t read;     /* read_index as the guest sees it */
    uint32_t decoded;  /* up to here packets are in the queue */
    uint32_t released; /* up to here packets are used up, to be published */
    uint32_t write;    /* the guest's index as last seen */
    uint32_t masked;   /* interrupt_mask as the guest sees it */
    uint32_t used_up;  /* bytes of the first packet in the queue */
    struct hvring_packet queue[HVRING_QUEUE];
    uint32_t head, count;
    bool ended; /* zero-length data was taken */
    /* What the guest may have signalled at most: hvring_reader_publish(), hvring_reader_mask(). */
    _Atomic uint64_t allowed;
    bool position_allowed;  /* the present read_index is counted in allowed */
    bool in_flight_allowed; /* masked a moment ago: one signal may be under way */
    char breach[HVRING_BREACH_SIZE];
};

void hvring_reader_init(struct hvring_reader *reader, void *memory, uint32_t size,
                        uint32_t page_size, bool masked);
/* Checks and queues the packets that are there. *any: the queue is not empty. */
bool hvring_reader_look(struct hvring_reader *reader, bool *any);
/* The pieces of the first limit bytes in the queue, up to a zero-length packet; returns bytes. */
uint32_t hvring_reader_peek(const struct hvring_reader *reader, struct iovec *pieces, int count,
                            uint32_t limit, int *used);
/* Uses up that many bytes; 0: the zero-length packet at the head. Returns the packets done. */
uint32_t hvring_reader_consume(struct hvring_reader *reader, uint32_t length);
/* Gives what is used up back to the guest. *signal: the guest waits for that room. */
bool hvring_reader_publish(struct hvring_reader *reader, bool *signal);
/* Sets interrupt_mask; a full fence follows, so that a look behind it sees what was not
 * signalled. */
void hvring_reader_mask(struct hvring_reader *reader, bool masked);
/* Whether write_index has moved past what was decoded, without decoding. */
bool hvring_reader_pending(const struct hvring_reader *reader);
bool hvring_reader_check_owned(struct hvring_reader *reader);
/* Ring bytes that were not consumed and published. */
uint32_t hvring_reader_unread(const struct hvring_reader *reader);

#endif
