/* A VMBus ring buffer in shared memory, seen from the guest.
 *
 * Two parties, no lock. The writer owns write_index, pending_send_sz and feature_bits; the reader
 * owns read_index and interrupt_mask; neither ever writes the other's. Everything the host owns is
 * read once into private memory and validated there before it is used. Whether the host has to be
 * signalled is a return value: this file never touches a device.
 *
 * Sources: Linux Documentation/virt/hyperv/vmbus.rst and drivers/hv/ring_buffer.c.
 */
#ifndef HVS_LINUX_RING_H
#define HVS_LINUX_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The header page of a ring; the data follows one page behind its start. */
struct hvs_ring_header {
    _Atomic uint32_t write_index;
    _Atomic uint32_t read_index;
    _Atomic uint32_t interrupt_mask;
    _Atomic uint32_t pending_send_sz;
    uint32_t         reserved[12];
    _Atomic uint32_t feature_bits;
};
_Static_assert(offsetof(struct hvs_ring_header, feature_bits) == 64, "fixed by the protocol");

#define HVS_RING_FEATURE_PENDING_SEND 1u /* feature_bits: the writer uses pending_send_sz */

/* A packet begins with this; lengths and offsets in units of 8 bytes. */
struct hvs_ring_descriptor {
    uint16_t type;
    uint16_t data_offset8;
    uint16_t length8;
    uint16_t flags;
    uint64_t transaction_id;
};
_Static_assert(sizeof(struct hvs_ring_descriptor) == 16, "fixed by the protocol");

#define HVS_RING_PACKET_INBAND 6u
#define HVS_RING_DESCRIPTOR_SIZE 16u
#define HVS_RING_TRAILER_SIZE 8u
/* The least that a ring has: a page of data behind its header page, bytes. */
#define HVS_RING_DATA_MIN 4096u

struct hvs_ring {
    struct hvs_ring_header *header;
    uint8_t                *data;
    uint32_t                size;     /* of the data area, bytes, a multiple of 8 */
    uint32_t                index;     /* our own: the next byte to read or write */
    uint32_t                committed; /* our own index as last published */
    uint32_t                known;     /* the other side's index as last read, validated */
    bool                    waits;     /* writer: pending_send_sz is set */
};

enum hvs_ring_result {
    HVS_RING_OK,
    HVS_RING_EMPTY,   /* nothing (more) to read */
    HVS_RING_FULL,    /* not enough room; the host will signal when there is */
    HVS_RING_CORRUPT, /* the host broke the contract; the channel is broken for good */
};

/* A packet in the ring: the private, validated copy of its descriptor, and where its payload is. */
struct hvs_ring_packet {
    uint16_t type;
    uint16_t flags;
    uint64_t transaction_id;
    uint32_t payload;        /* ring offset of the payload, < size */
    uint32_t payload_length; /* bytes, a multiple of 8; may wrap */
    uint32_t end;            /* ring offset behind its trailer: the next packet's */
};

/* memory: page_size bytes of header page + data, length bytes in all. Indices are taken over as
 * they are: a channel just opened has them at zero. HVS_RING_CORRUPT if they are out of bounds, or
 * the length is not that of a ring. */
enum hvs_ring_result hvs_ring_init_reader(struct hvs_ring *ring, void *memory, size_t length,
                                          size_t page_size);
/* Also announces that we use pending_send_sz. */
enum hvs_ring_result hvs_ring_init_writer(struct hvs_ring *ring, void *memory, size_t length,
                                          size_t page_size);

/* -- both sides -- */

/* The one or two pieces of memory that bytes offset … offset + length lie in; returns how many.
 * length ≤ size. */
unsigned hvs_ring_span(const struct hvs_ring *ring, uint32_t offset, uint32_t length,
                       struct iovec pieces[2]);
void hvs_ring_copy_out(const struct hvs_ring *ring, uint32_t offset, void *to, uint32_t length);
/* (offset + n) modulo size; n ≤ size */
uint32_t hvs_ring_advance(const struct hvs_ring *ring, uint32_t offset, uint32_t n);

/* -- reader -- */

/* The next packet behind those read so far: HVS_RING_OK, _EMPTY or _CORRUPT. Advances ring->index
 * past it; the host cannot reuse its memory before it is committed. */
enum hvs_ring_result hvs_ring_read(struct hvs_ring *ring, struct hvs_ring_packet *packet);
/* Gives everything in front of upto (where a packet ended) back to the host. True: signal the host,
 * it waits for the room that came free. */
bool hvs_ring_commit_read(struct hvs_ring *ring, uint32_t upto);
/* Before every sleep: unmasks interrupts, then looks again. False: something is there, do not
 * sleep. */
bool hvs_ring_prepare_to_wait(struct hvs_ring *ring);
/* While awake the host need not interrupt us. */
void hvs_ring_mask(struct hvs_ring *ring);

/* -- writer -- */

/* *bytes: how much may be written now, 0 or a multiple of 8; never the whole ring, since equal
 * indices mean empty. HVS_RING_OK or _CORRUPT. */
enum hvs_ring_result hvs_ring_room(struct hvs_ring *ring, uint32_t *bytes);
/* What a packet with that payload takes in the ring, descriptor, padding and trailer included. */
uint32_t hvs_ring_packet_size(uint32_t payload_length);
void hvs_ring_copy_in(struct hvs_ring *ring, uint32_t offset, const void *from, uint32_t length);
/* Writes descriptor, zero padding and trailer of an in-band packet at ring->index, around a payload
 * that lies HVS_RING_DESCRIPTOR_SIZE behind it, and advances ring->index. The room must be there,
 * and no wait for room under way. */
void hvs_ring_write_frame(struct hvs_ring *ring, uint32_t payload_length);
/* Publishes what was written. True: signal the host, the ring had been empty for it. */
bool hvs_ring_commit_write(struct hvs_ring *ring);
/* Asks for a signal as soon as more than bytes (a multiple of 8, at most size − 8) are free, then
 * looks again. HVS_RING_FULL: a signal will come. HVS_RING_OK: that much is free already, and
 * nothing is asked for any more. HVS_RING_CORRUPT as always. */
enum hvs_ring_result hvs_ring_want_room(struct hvs_ring *ring, uint32_t bytes);
/* The same for the moment when the host has read everything. */
enum hvs_ring_result hvs_ring_want_drained(struct hvs_ring *ring);
/* No signal is needed any more. hvs_ring_room() does it too when there is room, however little. */
void hvs_ring_want_nothing(struct hvs_ring *ring);

#endif
