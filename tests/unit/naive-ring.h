/* A VMBus ring once more, as plain as can be: a byte at a time, modulo its size. The tests play the
 * host with it and compare linux/ring.c and linux/pipe.c with it.
 */
#ifndef TESTS_UNIT_NAIVE_RING_H
#define TESTS_UNIT_NAIVE_RING_H

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define NAIVE_PAGE 4096u
/* What the data area is full of at first. */
#define NAIVE_FILL 0xaau

/* Places of the header's fields, in words of 4 bytes. */
enum {
    WRITE_INDEX = 0,
    READ_INDEX = 1,
    INTERRUPT_MASK = 2,
    PENDING_SEND_SZ = 3,
    FEATURE_BITS = 16,
};

struct naive_ring {
    uint8_t *memory; /* exactly length bytes of heap, so that ASan guards both ends */
    size_t length;
    volatile uint32_t *words; /* of the header */
    uint8_t *data;
    uint32_t size; /* of data, bytes */
};

static inline struct naive_ring
naive_ring_new(uint32_t size)
{
    struct naive_ring ring = { .length = NAIVE_PAGE + size, .size = size };
    void *memory = NULL;

    g_assert_cmpint(posix_memalign(&memory, NAIVE_PAGE, ring.length), ==, 0);
    ring.memory = memory;
    ring.words = memory;
    ring.data = ring.memory + NAIVE_PAGE;
    memset(ring.memory, 0, NAIVE_PAGE);
    memset(ring.data, NAIVE_FILL, size);
    return ring;
}

static inline void
naive_ring_free(struct naive_ring *ring)
{
    free(ring->memory);
    ring->memory = NULL;
}

/* Both indices at offset: an empty ring that begins there. */
static inline void
naive_ring_start_at(struct naive_ring *ring, uint32_t offset)
{
    memset(ring->memory, 0, NAIVE_PAGE);
    memset(ring->data, NAIVE_FILL, ring->size);
    ring->words[WRITE_INDEX] = ring->words[READ_INDEX] = offset;
}

static inline uint32_t
naive_put(struct naive_ring *ring, uint32_t at, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ring->data[(at + i) % ring->size] = ((const uint8_t *)bytes)[i];
    return (uint32_t)((at + count) % ring->size);
}

/* count bytes of value, little endian */
static inline uint32_t
naive_put_number(struct naive_ring *ring, uint32_t at, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ring->data[(at + i) % ring->size] = (uint8_t)(value >> (8 * i));
    return (uint32_t)((at + count) % ring->size);
}

static inline void
naive_get(const struct naive_ring *ring, uint32_t at, void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = ring->data[(at + i) % ring->size];
}

static inline uint64_t
naive_get_number(const struct naive_ring *ring, uint32_t at, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++)
        value |= (uint64_t)ring->data[(at + i) % ring->size] << (8 * i);
    return value;
}

static inline uint32_t
naive_put_descriptor(struct naive_ring *ring, uint32_t at, uint32_t type, uint32_t data_offset8,
                     uint32_t length8)
{
    at = naive_put_number(ring, at, type, 2);
    at = naive_put_number(ring, at, data_offset8, 2);
    at = naive_put_number(ring, at, length8, 2);
    at = naive_put_number(ring, at, 0x0001, 2);
    return naive_put_number(ring, at, 0x1122334455667788, 8);
}

static inline uint32_t
naive_packet_size(uint32_t payload_length)
{
    return 16 + (payload_length + 7) / 8 * 8 + 8;
}

/* A whole in-band packet, not published; returns where the next one goes. */
static inline uint32_t
naive_put_packet(struct naive_ring *ring, uint32_t at, const void *payload, uint32_t length)
{
    uint32_t start = at;
    uint32_t padding = (8 - length % 8) % 8;

    at = naive_put_descriptor(ring, at, 6, 2, 2 + (length + padding) / 8);
    at = naive_put(ring, at, payload, length);
    at = naive_put_number(ring, at, 0, padding);
    return naive_put_number(ring, at, (uint64_t)start << 32, 8);
}

/* Checks the packet at offset at, which must have been written by linux/ring.c, every byte of it,
 * and returns where the next one goes. payload has room for the whole of it. */
static inline uint32_t
naive_take_packet(const struct naive_ring *ring, uint32_t at, void *payload,
                  uint32_t *payload_length)
{
    uint32_t start = at, length = (uint32_t)naive_get_number(ring, at + 4, 2) * 8;

    g_assert_cmpuint(naive_get_number(ring, at, 2), ==, 6);
    g_assert_cmpuint(naive_get_number(ring, at + 2, 2), ==, 2);
    g_assert_cmpuint(naive_get_number(ring, at + 6, 2), ==, 0);
    g_assert_cmpuint(naive_get_number(ring, at + 8, 8), ==, 0);
    g_assert_cmpuint(length, >=, 16);
    g_assert_cmpuint(length, <, ring->size);
    *payload_length = length - 16;
    naive_get(ring, (at + 16) % ring->size, payload, *payload_length);
    g_assert_cmphex(naive_get_number(ring, at + length, 8), ==, (uint64_t)start << 32);
    return (at + length + 8) % ring->size;
}

/* g_assert_cmpmem() takes its lengths as int. */
static inline void
naive_assert_same(const void *got, const void *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (((const uint8_t *)got)[i] != ((const uint8_t *)expected)[i])
            g_error("byte %zu of %zu is 0x%02x, not 0x%02x", i, count, ((const uint8_t *)got)[i],
                    ((const uint8_t *)expected)[i]);
}

/* Reproducible random numbers: xorshift. */
static inline uint32_t
naive_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
