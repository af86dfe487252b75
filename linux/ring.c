#include "ring.h"

#include <string.h>

#define RING_ALIGNMENT 8u
#define RING_SIZE_MAX  (1u << 30)

/* Bytes from one index to another, in the direction of writing. */
static uint32_t
distance(const struct hvs_ring *ring, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : ring->size - from + to;
}

static bool
index_is_valid(const struct hvs_ring *ring, uint32_t index)
{
    return index < ring->size && index % RING_ALIGNMENT == 0;
}

static uint32_t
align_up(uint32_t length)
{
    return (length + RING_ALIGNMENT - 1) & ~(RING_ALIGNMENT - 1);
}

/* Reader: reads write_index, once, into ring->known. The host may not have written over packets
 * that were not given back: what the reader holds never exceeds the ring. */
static bool
look_at_write_index(struct hvs_ring *ring)
{
    uint32_t index = atomic_load_explicit(&ring->header->write_index, memory_order_acquire);

    if (!index_is_valid(ring, index) ||
        distance(ring, ring->committed, index) < distance(ring, ring->committed, ring->index))
        return false;
    ring->known = index;
    return true;
}

/* Writer: reads read_index, once, into ring->known. It moves towards what was published, never back
 * and never past it. */
static bool
look_at_read_index(struct hvs_ring *ring)
{
    uint32_t index = atomic_load_explicit(&ring->header->read_index, memory_order_acquire);

    if (!index_is_valid(ring, index) ||
        distance(ring, index, ring->committed) > distance(ring, ring->known, ring->committed))
        return false;
    ring->known = index;
    return true;
}

static bool
init(struct hvs_ring *ring, void *memory, size_t length, size_t page_size)
{
    if (length < page_size + HVS_RING_DATA_MIN || length - page_size > RING_SIZE_MAX ||
        (length - page_size) % RING_ALIGNMENT != 0)
        return false;
    *ring = (struct hvs_ring) {
        .header = memory,
        .data = (uint8_t *)memory + page_size,
        .size = (uint32_t)(length - page_size),
    };
    return true;
}

enum hvs_ring_result
hvs_ring_init_reader(struct hvs_ring *ring, void *memory, size_t length, size_t page_size)
{
    if (!init(ring, memory, length, page_size))
        return HVS_RING_CORRUPT;
    ring->index = ring->committed = atomic_load(&ring->header->read_index);
    if (!index_is_valid(ring, ring->index) || !look_at_write_index(ring))
        return HVS_RING_CORRUPT;
    return HVS_RING_OK;
}

enum hvs_ring_result
hvs_ring_init_writer(struct hvs_ring *ring, void *memory, size_t length, size_t page_size)
{
    if (!init(ring, memory, length, page_size))
        return HVS_RING_CORRUPT;
    ring->index = ring->committed = atomic_load(&ring->header->write_index);
    ring->known = atomic_load(&ring->header->read_index);
    if (!index_is_valid(ring, ring->index) || !index_is_valid(ring, ring->known))
        return HVS_RING_CORRUPT;
    atomic_store(&ring->header->pending_send_sz, 0);
    atomic_fetch_or(&ring->header->feature_bits, HVS_RING_FEATURE_PENDING_SEND);
    return HVS_RING_OK;
}

/* ---- both sides ---- */

unsigned
hvs_ring_span(const struct hvs_ring *ring, uint32_t offset, uint32_t length, struct iovec pieces[2])
{
    uint32_t to_end = ring->size - offset;

    pieces[0].iov_base = ring->data + offset;
    if (length <= to_end) {
        pieces[0].iov_len = length;
        return 1;
    }
    pieces[0].iov_len = to_end;
    pieces[1].iov_base = ring->data;
    pieces[1].iov_len = length - to_end;
    return 2;
}

void
hvs_ring_copy_out(const struct hvs_ring *ring, uint32_t offset, void *to, uint32_t length)
{
    uint32_t to_end = ring->size - offset;

    if (length <= to_end) {
        memcpy(to, ring->data + offset, length);
    } else {
        memcpy(to, ring->data + offset, to_end);
        memcpy((uint8_t *)to + to_end, ring->data, length - to_end);
    }
    /* The copy is what counts: the compiler must not take it for the ring and read that again. */
    atomic_signal_fence(memory_order_seq_cst);
}

uint32_t
hvs_ring_advance(const struct hvs_ring *ring, uint32_t offset, uint32_t n)
{
    uint32_t to_end = ring->size - offset;

    return n < to_end ? offset + n : n - to_end;
}

/* ---- reader ---- */

enum hvs_ring_result
hvs_ring_read(struct hvs_ring *ring, struct hvs_ring_packet *packet)
{
    struct hvs_ring_descriptor descriptor;
    uint32_t used, header_length, length;

    if (ring->index == ring->known && !look_at_write_index(ring))
        return HVS_RING_CORRUPT;
    used = distance(ring, ring->index, ring->known);
    if (used == 0)
        return HVS_RING_EMPTY;
    if (used < HVS_RING_DESCRIPTOR_SIZE)
        return HVS_RING_CORRUPT;

    /* The host may change the ring at any time: this copy is what is judged and used. */
    hvs_ring_copy_out(ring, ring->index, &descriptor, sizeof(descriptor));
    header_length = descriptor.data_offset8 * RING_ALIGNMENT;
    length = descriptor.length8 * RING_ALIGNMENT;
    if (header_length < HVS_RING_DESCRIPTOR_SIZE || header_length > length ||
        length + HVS_RING_TRAILER_SIZE > used)
        return HVS_RING_CORRUPT;

    packet->type = descriptor.type;
    packet->flags = descriptor.flags;
    packet->transaction_id = descriptor.transaction_id;
    packet->payload = hvs_ring_advance(ring, ring->index, header_length);
    packet->payload_length = length - header_length;
    packet->end = hvs_ring_advance(ring, ring->index, length + HVS_RING_TRAILER_SIZE);
    ring->index = packet->end;
    return HVS_RING_OK;
}

bool
hvs_ring_commit_read(struct hvs_ring *ring, uint32_t upto)
{
    struct hvs_ring_header *header = ring->header;
    uint32_t released = distance(ring, ring->committed, upto);
    uint32_t pending, write_index, free_before, free_after;

    atomic_store_explicit(&header->read_index, upto, memory_order_release);
    ring->committed = upto;
    /* The host sets pending_send_sz, then looks at read_index; we do it the other way round. With a
     * full fence on both sides one of the two sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!(atomic_load_explicit(&header->feature_bits, memory_order_relaxed) &
          HVS_RING_FEATURE_PENDING_SEND))
        return false;
    pending = atomic_load_explicit(&header->pending_send_sz, memory_order_acquire) &
              ~(RING_ALIGNMENT - 1);
    if (pending == 0)
        return false;
    write_index = atomic_load_explicit(&header->write_index, memory_order_acquire);
    if (!index_is_valid(ring, write_index))
        return false; /* the next read finds out and ends the channel */
    free_after = ring->size - distance(ring, upto, write_index);
    free_before = free_after - released;
    return free_before <= pending && pending < free_after;
}

bool
hvs_ring_prepare_to_wait(struct hvs_ring *ring)
{
    atomic_store_explicit(&ring->header->interrupt_mask, 0, memory_order_relaxed);
    /* The host writes write_index, then looks at the mask. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!look_at_write_index(ring))
        return false; /* for hvs_ring_read() to report */
    return ring->known == ring->index;
}

void
hvs_ring_mask(struct hvs_ring *ring)
{
    atomic_store_explicit(&ring->header->interrupt_mask, 1, memory_order_relaxed);
}

/* ---- writer ---- */

static uint32_t
free_bytes(const struct hvs_ring *ring)
{
    return ring->size - distance(ring, ring->known, ring->index);
}

void
hvs_ring_want_nothing(struct hvs_ring *ring)
{
    if (ring->waits)
        atomic_store_explicit(&ring->header->pending_send_sz, 0, memory_order_relaxed);
    ring->waits = false;
}

enum hvs_ring_result
hvs_ring_room(struct hvs_ring *ring, uint32_t *bytes)
{
    if (!look_at_read_index(ring))
        return HVS_RING_CORRUPT;
    *bytes = free_bytes(ring) - RING_ALIGNMENT;
    if (*bytes > 0)
        hvs_ring_want_nothing(ring);
    return HVS_RING_OK;
}

uint32_t
hvs_ring_packet_size(uint32_t payload_length)
{
    return HVS_RING_DESCRIPTOR_SIZE + align_up(payload_length) + HVS_RING_TRAILER_SIZE;
}

void
hvs_ring_copy_in(struct hvs_ring *ring, uint32_t offset, const void *from, uint32_t length)
{
    uint32_t to_end = ring->size - offset;

    if (length <= to_end) {
        memcpy(ring->data + offset, from, length);
    } else {
        memcpy(ring->data + offset, from, to_end);
        memcpy(ring->data, (const uint8_t *)from + to_end, length - to_end);
    }
}

void
hvs_ring_write_frame(struct hvs_ring *ring, uint32_t payload_length)
{
    static const uint8_t zeros[RING_ALIGNMENT] = { 0 };
    uint32_t length = HVS_RING_DESCRIPTOR_SIZE + align_up(payload_length);
    struct hvs_ring_descriptor descriptor = {
        .type = HVS_RING_PACKET_INBAND,
        .data_offset8 = HVS_RING_DESCRIPTOR_SIZE / RING_ALIGNMENT,
        .length8 = (uint16_t)(length / RING_ALIGNMENT),
    };
    uint64_t trailer = (uint64_t)ring->index << 32;
    uint32_t payload_end =
        hvs_ring_advance(ring, ring->index, HVS_RING_DESCRIPTOR_SIZE + payload_length);

    hvs_ring_copy_in(ring, ring->index, &descriptor, sizeof(descriptor));
    hvs_ring_copy_in(ring, payload_end, zeros, align_up(payload_length) - payload_length);
    hvs_ring_copy_in(ring, hvs_ring_advance(ring, ring->index, length), &trailer, sizeof(trailer));
    ring->index = hvs_ring_advance(ring, ring->index, length + HVS_RING_TRAILER_SIZE);
}

bool
hvs_ring_commit_write(struct hvs_ring *ring)
{
    struct hvs_ring_header *header = ring->header;
    uint32_t before = ring->committed;

    if (ring->index == before)
        return false;
    atomic_store_explicit(&header->write_index, ring->index, memory_order_release);
    ring->committed = ring->index;
    /* The host unmasks and then looks at write_index; we do it the other way round. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&header->interrupt_mask, memory_order_acquire) != 0)
        return false;
    /* Read again, behind the fence: a value from before the write could have us believe that the
     * host is still busy when it has already found the ring empty and gone to sleep. */
    return atomic_load_explicit(&header->read_index, memory_order_acquire) == before;
}

enum hvs_ring_result
hvs_ring_want_room(struct hvs_ring *ring, uint32_t bytes)
{
    atomic_store_explicit(&ring->header->pending_send_sz, bytes, memory_order_relaxed);
    ring->waits = true;
    /* See hvs_ring_commit_read(): the host does the other half. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!look_at_read_index(ring))
        return HVS_RING_CORRUPT;
    if (free_bytes(ring) <= bytes)
        return HVS_RING_FULL;
    hvs_ring_want_nothing(ring);
    return HVS_RING_OK;
}

enum hvs_ring_result
hvs_ring_want_drained(struct hvs_ring *ring)
{
    return hvs_ring_want_room(ring, ring->size - RING_ALIGNMENT);
}
