/* linux/ring.c and linux/pipe.c with a host that may do anything: the input is a ring's size, its
 * header, its contents, and then alternately what the guest does and what the host does to the
 * ring.
 *
 * The ring's memory is a heap block of exactly its size, so that AddressSanitizer sees each byte
 * too far. Beyond that: what is handed out lies in the ring, what the other side owns is not
 * touched, what a writer was not given is not touched either.
 */
#include "linux/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the header; the system's pages are larger, which would only take time. */
#define PAGE 128u

/* Words of the header. */
enum { WRITE_INDEX, READ_INDEX, INTERRUPT_MASK, PENDING_SEND_SZ, FEATURE_BITS = 16 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *bytes;
    size_t left;
};

/* count bytes, little endian; zeros behind the end */
static uint32_t
take(struct input *input, unsigned count)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < count && input->left > 0; i++, input->left--)
        value |= (uint32_t)*input->bytes++ << (8 * i);
    return value;
}

struct memory {
    uint8_t *block;
    uint8_t *copy; /* of block, as it was */
    size_t length;
    uint32_t *words;
    uint8_t *data;
    uint32_t size;
};

static void
put(struct memory *memory, uint32_t at, const void *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        memory->data[(at + i) % memory->size] = ((const uint8_t *)bytes)[i];
}

/* Sound indices mostly, or the input would hardly get anywhere. */
static uint32_t
take_index(struct input *input, const struct memory *memory)
{
    uint32_t value = take(input, 2);

    return value & 1 ? value << (value >> 1 & 15) : value * 4 % memory->size & ~7u;
}

static void
remember(struct memory *memory)
{
    memcpy(memory->copy, memory->block, memory->length);
}

static int
header_is_as_before(const struct memory *memory, unsigned own1, unsigned own2, unsigned own3)
{
    const uint32_t *before = (const uint32_t *)(const void *)memory->copy;

    for (unsigned word = 0; word < PAGE / 4; word++)
        if (word != own1 && word != own2 && word != own3 && before[word] != memory->words[word])
            return 0;
    return 1;
}

/* Everything handed out is in the ring; returns how much it is. */
static size_t
measure(const struct memory *memory, const struct iovec *pieces, unsigned count)
{
    size_t total = 0;

    CHECK(count <= HVS_PIPE_PIECES);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *start = pieces[i].iov_base;

        CHECK(pieces[i].iov_len > 0);
        CHECK(start >= memory->data);
        CHECK(pieces[i].iov_len <= memory->size - (size_t)(start - memory->data));
        total += pieces[i].iov_len;
    }
    return total;
}

/* ---- what the host does ---- */

/* A pipe packet where the next one belongs; lengths may be wrong. */
static void
host_puts_packet(struct memory *memory, struct input *input)
{
    uint32_t at = memory->words[WRITE_INDEX] % memory->size & ~7u;
    uint32_t what = take(input, 1), length = take(input, 2) % 2048;
    uint32_t length8 = 2 + (8 + length + 7) / 8;
    uint16_t descriptor[8] = { 6, 2, (uint16_t)length8 };
    uint32_t header[2] = { 1, length };

    if (what == 1)
        descriptor[1] = (uint16_t)take(input, 2);
    else if (what == 2)
        descriptor[2] = (uint16_t)take(input, 2);
    else if (what == 3)
        descriptor[0] = (uint16_t)take(input, 1);
    else if (what == 4)
        header[0] = take(input, 1);
    else if (what == 5)
        header[1] = take(input, 4);
    else if (what == 6) {
        header[0] = 2;
        header[1] |= take(input, 2) << 16;
    }
    put(memory, at, descriptor, sizeof(descriptor));
    put(memory, at + 16, header, sizeof(header));
    memory->words[WRITE_INDEX] = (at + length8 * 8 + 8) % memory->size;
}

static void
host_acts(struct memory *memory, struct input *input)
{
    uint32_t bytes;

    switch (take(input, 1) % 8) {
    case 0:
        memory->words[WRITE_INDEX] = take_index(input, memory);
        break;
    case 1:
        memory->words[READ_INDEX] = take_index(input, memory);
        break;
    case 2:
        memory->words[PENDING_SEND_SZ] = take(input, 4);
        break;
    case 3:
        memory->words[FEATURE_BITS] = take(input, 1);
        break;
    case 4:
        memory->words[INTERRUPT_MASK] = take(input, 1);
        break;
    case 5:
        bytes = take(input, 4);
        put(memory, take(input, 2), &bytes, sizeof(bytes));
        break;
    default:
        host_puts_packet(memory, input);
        break;
    }
}

/* ---- what the guest does ---- */

static void
reader_acts(struct memory *memory, struct hvs_pipe_reader *reader, struct input *input)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    uint32_t limit = 1 + take(input, 2);
    size_t total, length = 0;
    uint8_t buffer[64];
    unsigned count = 0;
    bool ended = reader->ended;
    enum hvs_pipe_result result;
    bool signal;

    switch (take(input, 1) % 4) {
    case 0:
        hvs_ring_prepare_to_wait(reader->ring);
        break;
    case 1:
        hvs_ring_mask(reader->ring);
        break;
    case 2:
        if (reader->count > 0)
            break;
        result = hvs_pipe_read_message(reader, buffer, sizeof(buffer), &length, &signal);
        CHECK(ended || result != HVS_PIPE_END); /* no message ends the stream */
        if (result == HVS_PIPE_OK)
            CHECK(length < memory->size);
        break;
    default:
        if (hvs_pipe_gather(reader, limit, pieces, &count) != HVS_PIPE_OK) {
            CHECK(count == 0);
            hvs_pipe_consume(reader, 0);
            break;
        }
        total = measure(memory, pieces, count);
        CHECK(total > 0);
        CHECK(total <= limit);
        CHECK(total < memory->size);
        hvs_pipe_consume(reader, take(input, 2) % (total + 1));
        break;
    }
    CHECK(reader->bytes < memory->size);
    CHECK(memory->words[READ_INDEX] == reader->ring->committed);
    CHECK(header_is_as_before(memory, READ_INDEX, INTERRUPT_MASK, INTERRUPT_MASK));
    CHECK(memcmp(memory->data, memory->copy + PAGE, memory->size) == 0);
}

/* From the host's read_index, as last judged, up to where we began to write: not ours. */
static void
check_unread(const struct memory *memory, const struct hvs_ring *ring, uint32_t index)
{
    uint32_t from = ring->known, to_end = memory->size - from;

    if (from <= index) {
        CHECK(memcmp(memory->data + from, memory->copy + PAGE + from, index - from) == 0);
    } else {
        CHECK(memcmp(memory->data + from, memory->copy + PAGE + from, to_end) == 0);
        CHECK(memcmp(memory->data, memory->copy + PAGE, index) == 0);
    }
}

static void
writer_reserves(struct memory *memory, struct hvs_ring *ring, struct input *input)
{
    uint32_t limit = 1 + take(input, 2);
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count, packets;
    size_t bytes;

    if (hvs_pipe_reserve(ring, limit, pieces, &count, &bytes) != HVS_PIPE_OK) {
        CHECK(count == 0);
        CHECK(bytes == 0);
        return;
    }
    CHECK(bytes == measure(memory, pieces, count));
    CHECK(bytes > 0);
    CHECK(bytes <= limit);
    for (unsigned i = 0; i < count; i++)
        memset(pieces[i].iov_base, 0xee, pieces[i].iov_len);
    bytes = take(input, 2) % (bytes + 1);
    check_unread(memory, ring, ring->index);
    host_acts(memory, input); /* too late to matter */
    remember(memory);
    hvs_pipe_publish(ring, bytes, &packets);
    CHECK(packets == (bytes + HVS_PIPE_DATA_MAX - 1) / HVS_PIPE_DATA_MAX);
}

static void
writer_acts(struct memory *memory, struct hvs_ring *ring, struct input *input)
{
    static const uint8_t bytes[HVS_PIPE_DATA_MAX] = { 0 };
    uint32_t index = ring->index, room;
    bool signal;

    switch (take(input, 1) % 6) {
    case 0:
        if (hvs_ring_want_room(ring, take(input, 2) % memory->size & ~7u) == HVS_RING_FULL)
            CHECK(memory->words[PENDING_SEND_SZ] < memory->size);
        break;
    case 1:
        hvs_ring_want_drained(ring);
        break;
    case 2:
        hvs_ring_want_nothing(ring);
        CHECK(!ring->waits);
        break;
    case 3:
        hvs_pipe_write(ring, bytes, take(input, 2) % sizeof(bytes), &signal);
        break;
    default:
        if (hvs_ring_room(ring, &room) != HVS_RING_OK)
            break;
        CHECK(room <= memory->size - 8);
        CHECK(room % 8 == 0);
        writer_reserves(memory, ring, input);
        break;
    }
    CHECK(ring->index < memory->size);
    CHECK(ring->index % 8 == 0);
    CHECK(ring->index == ring->committed);
    check_unread(memory, ring, index);
}

/* ---- */

static void
run(struct memory *memory, struct input *input)
{
    int writes = take(input, 1) & 1;
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    memory->words[WRITE_INDEX] = take_index(input, memory);
    memory->words[READ_INDEX] = take_index(input, memory);
    if (writes) {
        if (hvs_ring_init_writer(&ring, memory->block, memory->length, PAGE) != HVS_RING_OK)
            return;
    } else {
        if (hvs_ring_init_reader(&ring, memory->block, memory->length, PAGE) != HVS_RING_OK)
            return;
        hvs_pipe_reader_init(&reader, &ring);
    }
    while (input->left > 0) {
        for (uint32_t count = take(input, 1) % 8; count > 0; count--)
            host_acts(memory, input);
        if (!writes) /* the guest's own index is nobody else's */
            memory->words[READ_INDEX] = ring.committed;
        remember(memory);
        if (writes)
            writer_acts(memory, &ring, input);
        else
            reader_acts(memory, &reader, input);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { .bytes = data, .left = size };
    struct memory memory = { .size = 4096 + take(&input, 1) * 8 };
    void *block = NULL;

    if (take(&input, 1) > 250)
        memory.size += 49152; /* for several packets of the longest */
    memory.length = PAGE + memory.size;
    memory.copy = malloc(memory.length);
    if (memory.copy == NULL || posix_memalign(&block, PAGE, memory.length) != 0)
        abort();
    memory.block = block;
    memory.words = block;
    memory.data = memory.block + PAGE;
    memset(memory.block, 0, memory.length);
    run(&memory, &input);
    free(memory.copy);
    free(memory.block);
    return 0;
}
