/* linux/ring.c against a naive host: layout, checks, and when to signal. */
#include "linux/ring.h"
#include "naive-ring.h"

#define SIZE 4096u

/* Sizes of the data area, powers of two and not. */
static const uint32_t sizes[] = { 4096, 4104, 5000, 12288, 16384, 65536, 65536 + 8, 17 * 4096 };

static struct hvs_ring
writer_of(struct naive_ring *naive)
{
    struct hvs_ring ring;

    g_assert_cmpint(hvs_ring_init_writer(&ring, naive->memory, naive->length, NAIVE_PAGE), ==,
                    HVS_RING_OK);
    return ring;
}

static struct hvs_ring
reader_of(struct naive_ring *naive)
{
    struct hvs_ring ring;

    g_assert_cmpint(hvs_ring_init_reader(&ring, naive->memory, naive->length, NAIVE_PAGE), ==,
                    HVS_RING_OK);
    return ring;
}

static uint32_t
room_of(struct hvs_ring *ring)
{
    uint32_t room = 0;

    g_assert_cmpint(hvs_ring_room(ring, &room), ==, HVS_RING_OK);
    return room;
}

static void
fill_with_pattern(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static void
write_packet(struct hvs_ring *ring, const void *payload, uint32_t length)
{
    hvs_ring_copy_in(ring, hvs_ring_advance(ring, ring->index, HVS_RING_DESCRIPTOR_SIZE), payload,
                     length);
    hvs_ring_write_frame(ring, length);
}

/* ---- setting up ---- */

static void
test_init_sizes(void)
{
    static const struct {
        size_t data, page;
        gboolean sound;
    } cases[] = {
        { 4096, 4096, TRUE },  { 4104, 4096, TRUE },  { 65536, 65536, TRUE }, { 12288, 4096, TRUE },
        { 4100, 4096, FALSE }, { 4097, 4096, FALSE }, { 65535, 4096, FALSE }, { 4088, 4096, FALSE },
        { 0, 4096, FALSE },    { 4096, 65536, TRUE },
    };
    struct hvs_ring ring;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t length = cases[i].page + cases[i].data;
        enum hvs_ring_result expected = cases[i].sound ? HVS_RING_OK : HVS_RING_CORRUPT;
        g_autofree uint64_t *memory = g_malloc0(length);

        g_assert_cmpint(hvs_ring_init_reader(&ring, memory, length, cases[i].page), ==, expected);
        g_assert_cmpint(hvs_ring_init_writer(&ring, memory, length, cases[i].page), ==, expected);
        if (!cases[i].sound)
            continue;
        g_assert_cmpuint(ring.size, ==, cases[i].data);
        g_assert_true(ring.data == (uint8_t *)memory + cases[i].page);
    }
    g_assert_cmpint(hvs_ring_init_reader(&ring, NULL, 0, 4096), ==, HVS_RING_CORRUPT);
    g_assert_cmpint(hvs_ring_init_reader(&ring, NULL, 4095, 4096), ==, HVS_RING_CORRUPT);
    g_assert_cmpint(hvs_ring_init_reader(&ring, NULL, SIZE_MAX & ~(size_t)7, 4096), ==,
                    HVS_RING_CORRUPT);
}

static const uint32_t bad_indices[] = {
    SIZE, SIZE + 8, SIZE * 2, 0xfffffff8, 0x80000000, 1, 4, 7, SIZE - 1, 0xffffffff,
};

static void
test_init_indices(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring;

    for (size_t i = 0; i < G_N_ELEMENTS(bad_indices); i++)
        for (unsigned word = WRITE_INDEX; word <= READ_INDEX; word++) {
            naive_ring_start_at(&naive, 64);
            naive.words[word] = bad_indices[i];
            g_assert_cmpint(hvs_ring_init_reader(&ring, naive.memory, naive.length, NAIVE_PAGE), ==,
                            HVS_RING_CORRUPT);
            g_assert_cmpint(hvs_ring_init_writer(&ring, naive.memory, naive.length, NAIVE_PAGE), ==,
                            HVS_RING_CORRUPT);
        }
    naive_ring_free(&naive);
}

static void
test_init_features(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);

    naive.words[FEATURE_BITS] = 0x10;
    naive.words[PENDING_SEND_SZ] = 400;
    writer_of(&naive);
    g_assert_cmphex(naive.words[FEATURE_BITS], ==, 0x11);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 0);
    naive.words[FEATURE_BITS] = 0;
    naive.words[PENDING_SEND_SZ] = 400;
    reader_of(&naive);
    g_assert_cmphex(naive.words[FEATURE_BITS], ==, 0);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 400);
    naive_ring_free(&naive);
}

/* ---- arithmetic ---- */

static void
test_span(void)
{
    static const struct {
        uint32_t offset, length, first, second;
    } cases[] = {
        { 0, 0, 0, 0 },
        { 0, SIZE, SIZE, 0 },
        { 8, SIZE - 8, SIZE - 8, 0 },
        { 8, SIZE, SIZE - 8, 8 },
        { SIZE - 8, 8, 8, 0 },
        { SIZE - 8, 9, 8, 1 },
        { SIZE - 8, 16, 8, 8 },
        { SIZE - 8, SIZE, 8, SIZE - 8 },
        { 104, 13, 13, 0 },
    };
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = reader_of(&naive);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct iovec pieces[2];
        unsigned count = hvs_ring_span(&ring, cases[i].offset, cases[i].length, pieces);

        g_assert_cmpuint(count, ==, cases[i].second > 0 ? 2 : 1);
        g_assert_true(pieces[0].iov_base == naive.data + cases[i].offset);
        g_assert_cmpuint(pieces[0].iov_len, ==, cases[i].first);
        if (count == 2) {
            g_assert_true(pieces[1].iov_base == naive.data);
            g_assert_cmpuint(pieces[1].iov_len, ==, cases[i].second);
        }
        g_assert_cmpuint(hvs_ring_advance(&ring, cases[i].offset, cases[i].length), ==,
                         (cases[i].offset + cases[i].length) % SIZE);
    }
    naive_ring_free(&naive);
}

/* ---- packets at the wrap ---- */

/* Where a packet of that payload has to begin for one of its parts to lie across the end of the
 * ring, in bytes in front of that end. */
struct wrap {
    const char *part;
    uint32_t payload;
    uint32_t first, last;
};

static const struct wrap wraps[] = {
    { "descriptor", 100, 8, 8 },         { "behind-descriptor", 100, 16, 16 },
    { "payload", 100, 24, 112 },         { "padding", 97, 112, 112 },
    { "behind-payload", 100, 120, 120 }, { "trailer", 100, 120, 128 },
    { "behind-trailer", 100, 128, 128 }, { "every-offset", 100, 8, SIZE },
    { "empty-payload", 0, 8, 64 },       { "long-payload", SIZE - 8 - 24, 8, SIZE },
};

static void
test_wrap_write(gconstpointer data)
{
    const struct wrap *wrap = data;
    struct naive_ring naive = naive_ring_new(SIZE);
    uint32_t padded = (wrap->payload + 7) / 8 * 8;
    uint8_t payload[SIZE], got[SIZE], expected[SIZE];

    fill_with_pattern(payload, sizeof(payload), wrap->payload);
    for (uint32_t distance = wrap->first; distance <= wrap->last; distance += 8) {
        uint32_t start = SIZE - distance, got_length, end, i;
        struct hvs_ring ring;

        naive_ring_start_at(&naive, start);
        ring = writer_of(&naive);
        g_assert_cmpuint(room_of(&ring), ==, SIZE - 8);
        write_packet(&ring, payload, wrap->payload);
        g_assert_cmpuint(naive.words[WRITE_INDEX], ==, start);
        g_assert_true(hvs_ring_commit_write(&ring));

        end = naive_take_packet(&naive, start, got, &got_length);
        g_assert_cmpuint(naive.words[WRITE_INDEX], ==, end);
        g_assert_cmpuint(got_length, ==, padded);
        memcpy(expected, payload, wrap->payload);
        memset(expected + wrap->payload, 0, padded - wrap->payload);
        naive_assert_same(got, expected, padded);
        for (i = end; i != start; i = (i + 1) % SIZE)
            g_assert_cmphex(naive.data[i], ==, NAIVE_FILL);
    }
    naive_ring_free(&naive);
}

static void
test_wrap_read(gconstpointer data)
{
    const struct wrap *wrap = data;
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t payload[SIZE], got[SIZE];

    fill_with_pattern(payload, sizeof(payload), wrap->payload + 1);
    for (uint32_t distance = wrap->first; distance <= wrap->last; distance += 8) {
        uint32_t start = SIZE - distance, end;
        struct hvs_ring_packet packet;
        struct hvs_ring ring;

        naive_ring_start_at(&naive, start);
        ring = reader_of(&naive);
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_EMPTY);
        end = naive_put_packet(&naive, start, payload, wrap->payload);
        naive.words[WRITE_INDEX] = end;
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
        g_assert_cmpuint(packet.type, ==, 6);
        g_assert_cmpuint(packet.flags, ==, 1);
        g_assert_cmphex(packet.transaction_id, ==, 0x1122334455667788);
        g_assert_cmpuint(packet.payload, ==, (start + 16) % SIZE);
        g_assert_cmpuint(packet.payload_length, ==, (wrap->payload + 7) / 8 * 8);
        g_assert_cmpuint(packet.end, ==, end);
        hvs_ring_copy_out(&ring, packet.payload, got, wrap->payload);
        naive_assert_same(got, payload, wrap->payload);
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_EMPTY);
        g_assert_cmpuint(naive.words[READ_INDEX], ==, start);
        g_assert_false(hvs_ring_commit_read(&ring, end));
        g_assert_cmpuint(naive.words[READ_INDEX], ==, end);
    }
    naive_ring_free(&naive);
}

/* Rings of many sizes, filled and drained at random, both ways. */
static void
test_sizes(gconstpointer data)
{
    uint32_t size = *(const uint32_t *)data, random = 0x1234567 + size;
    struct naive_ring naive = naive_ring_new(size);
    g_autofree uint8_t *payload = g_malloc(size), *got = g_malloc(size);
    struct hvs_ring writer = writer_of(&naive);
    uint32_t read = 0, written = 0, taken = 0, got_length;
    uint32_t lengths[4096];

    fill_with_pattern(payload, size, size);
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t length = naive_random(&random) % (naive_random(&random) % 8 ? 200 : size / 2);

        if (room_of(&writer) >= hvs_ring_packet_size(length) && naive_random(&random) % 3) {
            write_packet(&writer, payload + length % 64, length);
            lengths[written++ % G_N_ELEMENTS(lengths)] = length;
            hvs_ring_commit_write(&writer);
        } else if (taken < written) {
            length = lengths[taken++ % G_N_ELEMENTS(lengths)];
            read = naive_take_packet(&naive, read, got, &got_length);
            g_assert_cmpuint(got_length, ==, (length + 7) / 8 * 8);
            naive_assert_same(got, payload + length % 64, length);
            naive.words[READ_INDEX] = read;
        }
    }
    g_assert_cmpuint(taken, >, 300);
    naive_ring_free(&naive);
}

static void
test_sizes_read(gconstpointer data)
{
    uint32_t size = *(const uint32_t *)data, random = 0x7654321 + size;
    struct naive_ring naive = naive_ring_new(size);
    g_autofree uint8_t *payload = g_malloc(size), *got = g_malloc(size);
    struct hvs_ring reader = reader_of(&naive);
    uint32_t write = 0, used = 0, packets = 0;
    struct hvs_ring_packet packet;

    fill_with_pattern(payload, size, size);
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t length = naive_random(&random) % (naive_random(&random) % 8 ? 200 : size / 2);

        if (used + naive_packet_size(length) < size && naive_random(&random) % 3) {
            write = naive_put_packet(&naive, write, payload, length);
            naive.words[WRITE_INDEX] = write;
            used += naive_packet_size(length);
        } else {
            while (hvs_ring_read(&reader, &packet) == HVS_RING_OK) {
                hvs_ring_copy_out(&reader, packet.payload, got, packet.payload_length);
                if (packet.payload_length >= 8)
                    naive_assert_same(got, payload, packet.payload_length - 7);
                packets++;
            }
            hvs_ring_commit_read(&reader, reader.index);
            g_assert_cmpuint(naive.words[READ_INDEX], ==, write);
            used = 0;
        }
    }
    g_assert_cmpuint(packets, >, 300);
    naive_ring_free(&naive);
}

/* ---- reader: what is refused ---- */

struct refusal {
    const char *name;
    uint32_t published; /* bytes behind read_index, unless an index is given */
    uint32_t data_offset8, length8;
    enum hvs_ring_result expected;
};

static const struct refusal refusals[] = {
    { "minimal", 24, 2, 2, HVS_RING_OK },
    { "whole-packet", 128, 2, 15, HVS_RING_OK },
    { "payload-behind-gap", 128, 15, 15, HVS_RING_OK },
    { "more-behind-it", 256, 2, 15, HVS_RING_OK },
    { "used-8", 8, 2, 2, HVS_RING_CORRUPT },
    { "used-16", 16, 2, 2, HVS_RING_CORRUPT },
    { "length8-0", 128, 2, 0, HVS_RING_CORRUPT },
    { "length8-1", 128, 2, 1, HVS_RING_CORRUPT },
    { "length8-1-offset8-1", 128, 1, 1, HVS_RING_CORRUPT },
    { "data_offset8-0", 128, 0, 15, HVS_RING_CORRUPT },
    { "data_offset8-1", 128, 1, 15, HVS_RING_CORRUPT },
    { "data_offset8-beyond-length8", 128, 16, 15, HVS_RING_CORRUPT },
    { "data_offset8-huge", 128, 0xffff, 15, HVS_RING_CORRUPT },
    { "trailer-missing", 128, 2, 16, HVS_RING_CORRUPT },
    { "length8-beyond-used", 128, 2, 17, HVS_RING_CORRUPT },
    { "length8-huge", 128, 2, 0xffff, HVS_RING_CORRUPT },
    { "both-huge", SIZE - 8, 0xffff, 0xffff, HVS_RING_CORRUPT },
    { "full-ring", SIZE - 8, 2, (SIZE - 16) / 8, HVS_RING_OK },
    { "more-than-the-ring", SIZE - 8, 2, (SIZE - 8) / 8, HVS_RING_CORRUPT },
};

static void
test_refusal(gconstpointer data)
{
    const struct refusal *refusal = data;
    struct naive_ring naive = naive_ring_new(SIZE);

    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct hvs_ring_packet packet;
        struct hvs_ring ring;

        naive_ring_start_at(&naive, start);
        ring = reader_of(&naive);
        naive_put_descriptor(&naive, start, 6, refusal->data_offset8, refusal->length8);
        naive.words[WRITE_INDEX] = (start + refusal->published) % SIZE;
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, refusal->expected);
        g_assert_cmpuint(naive.words[READ_INDEX], ==, start);
        if (refusal->expected == HVS_RING_CORRUPT)
            g_assert_cmpuint(ring.index, ==, start);
        else
            g_assert_cmpuint(packet.payload_length, ==,
                             (refusal->length8 - refusal->data_offset8) * 8);
    }
    naive_ring_free(&naive);
}

static void
test_read_bad_index(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = reader_of(&naive);
    struct hvs_ring_packet packet;

    for (size_t i = 0; i < G_N_ELEMENTS(bad_indices); i++) {
        naive.words[WRITE_INDEX] = bad_indices[i];
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_CORRUPT);
        g_assert_false(hvs_ring_prepare_to_wait(&ring));
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_CORRUPT);
        g_assert_cmpuint(ring.index, ==, 0);
    }
    naive_ring_free(&naive);
}

/* The host may not write over packets that we hold: else what we hold exceeds the ring. */
static void
test_read_overrun(void)
{
    static const struct {
        uint32_t held, released, write_index;
        enum hvs_ring_result expected;
    } cases[] = {
        { 1000, 0, 1000, HVS_RING_EMPTY },  { 1000, 0, 2000, HVS_RING_OK },
        { 1000, 0, SIZE - 8, HVS_RING_OK }, { 1000, 0, 0, HVS_RING_CORRUPT },
        { 1000, 0, 8, HVS_RING_CORRUPT },   { 1000, 0, 992, HVS_RING_CORRUPT },
        { 2000, 1000, 992, HVS_RING_OK },   { 2000, 1000, 1000, HVS_RING_CORRUPT },
        { 2000, 1000, 8, HVS_RING_OK },     { 2000, 1000, 1992, HVS_RING_CORRUPT },
    };
    static const uint8_t payload[SIZE] = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct naive_ring naive = naive_ring_new(SIZE);
        struct hvs_ring ring = reader_of(&naive);
        struct hvs_ring_packet packet;
        uint32_t end = 0;

        while (end < cases[i].held)
            end = naive_put_packet(&naive, end, payload, 1000 - 24);
        naive_put_packet(&naive, end, payload, 0);
        naive.words[WRITE_INDEX] = end;
        while (ring.index != end)
            g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
        if (cases[i].released > 0)
            hvs_ring_commit_read(&ring, cases[i].released);
        naive.words[WRITE_INDEX] = cases[i].write_index;
        g_assert_cmpint(hvs_ring_prepare_to_wait(&ring), ==, cases[i].expected == HVS_RING_EMPTY);
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, cases[i].expected);
        naive_ring_free(&naive);
    }
}

/* ---- reader: what the host changes afterwards is not seen ---- */

static void
test_private_copy(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = reader_of(&naive);
    struct hvs_ring_packet packet, copy;
    uint8_t payload[100] = { 0 };
    uint32_t end = naive_put_packet(&naive, 0, payload, sizeof(payload));

    naive.words[WRITE_INDEX] = end;
    g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
    copy = packet;
    memset(naive.data, 0xff, naive.size);
    naive_assert_same(&packet, &copy, sizeof(copy));
    g_assert_cmpuint(ring.index, ==, end);
    g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_EMPTY);
    hvs_ring_commit_read(&ring, packet.end);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, end);
    naive_ring_free(&naive);
}

struct flipper {
    volatile uint16_t *length8;
    gint stop;
};

/* Plain stores on purpose, and none of TSan's business: this host races with the guest. */
__attribute__((no_sanitize("thread"))) static gpointer
flip_length(gpointer data)
{
    struct flipper *flipper = data;

    while (!g_atomic_int_get(&flipper->stop)) {
        *flipper->length8 = 15;
        *flipper->length8 = 0xfff0;
    }
    return NULL;
}

/* A length that was judged is the length that is used, however fast the host changes it. */
static void
test_read_once(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct flipper flipper = { .length8 = (volatile uint16_t *)(void *)(naive.data + 4) };
    GThread *thread;
    unsigned sound = 0, refused = 0;

    naive_put_descriptor(&naive, 0, 6, 2, 15);
    thread = g_thread_new("host", flip_length, &flipper);
    /* Until both were seen, often enough for a second look to have been caught. */
    for (unsigned i = 0; i < 2000000 || sound == 0 || refused == 0; i++) {
        struct hvs_ring ring;
        struct hvs_ring_packet packet;

        naive.words[WRITE_INDEX] = 128;
        ring = reader_of(&naive);
        if (hvs_ring_read(&ring, &packet) == HVS_RING_CORRUPT) {
            refused++;
            continue;
        }
        sound++;
        g_assert_cmpuint(packet.payload_length, ==, 15 * 8 - 16);
        g_assert_cmpuint(packet.end, ==, 128);
    }
    g_atomic_int_set(&flipper.stop, 1);
    g_thread_join(thread);
    naive_ring_free(&naive);
}

/* ---- reader: signals ---- */

struct release {
    const char *name;
    uint32_t used, released; /* bytes, multiples of 8 */
    uint32_t added;          /* by the host between our reading and our release */
    uint32_t pending, mask, features;
    gboolean signals;
};

/* Free before and after: SIZE - used (- added), that + released. */
static const struct release releases[] = {
    { "crosses", 3096, 1000, 0, 1500, 0, 1, TRUE },
    { "from-exactly-pending", 3096, 8, 0, 1000, 0, 1, TRUE },
    { "to-exactly-pending", 3096, 504, 0, 1504, 0, 1, FALSE },
    { "one-beyond-pending", 3096, 512, 0, 1504, 0, 1, TRUE },
    { "was-free-before", 3096, 1000, 0, 992, 0, 1, FALSE },
    { "not-enough-yet", 3096, 1000, 0, 2000, 0, 1, FALSE },
    { "host-does-not-wait", 3096, 3096, 0, 0, 0, 1, FALSE },
    { "feature-bit-clear", 3096, 1000, 0, 1500, 0, 0, FALSE },
    { "other-feature-bits", 3096, 1000, 0, 1500, 0, 0xfffffffe, FALSE },
    { "more-feature-bits", 3096, 1000, 0, 1500, 0, 0xffffffff, TRUE },
    { "mask-plays-no-part", 3096, 1000, 0, 1500, 1, 1, TRUE },
    { "low-bits-ignored", 3096, 8, 0, 1007, 0, 1, TRUE },
    { "only-low-bits", 3096, 3096, 0, 7, 0, 1, FALSE },
    { "write-index-is-read-again", 3096, 1000, 600, 1500, 0, 1, FALSE },
    { "write-index-is-read-again-and-crosses", 2096, 1000, 600, 1500, 0, 1, TRUE },
    { "everything", SIZE - 8, SIZE - 8, 0, SIZE - 8, 0, 1, TRUE },
    { "more-than-a-ring", SIZE - 8, SIZE - 8, 0, SIZE, 0, 1, FALSE },
    { "nothing-released", 3096, 0, 0, 1000, 0, 1, FALSE },
};

static void
test_release(gconstpointer data)
{
    const struct release *release = data;
    struct naive_ring naive = naive_ring_new(SIZE);

    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct hvs_ring_packet packet;
        struct hvs_ring ring;
        uint32_t upto = (start + release->released) % SIZE;

        naive_ring_start_at(&naive, start);
        ring = reader_of(&naive);
        if (release->released > 0)
            naive_put_descriptor(&naive, start, 6, 2, release->released / 8 - 1);
        naive.words[WRITE_INDEX] = (start + release->used) % SIZE;
        if (release->released >= 24) {
            g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
            g_assert_cmpuint(packet.end, ==, upto);
        }
        naive.words[WRITE_INDEX] = (start + release->used + release->added) % SIZE;
        naive.words[PENDING_SEND_SZ] = release->pending;
        naive.words[INTERRUPT_MASK] = release->mask;
        naive.words[FEATURE_BITS] = release->features;
        g_assert_cmpint(hvs_ring_commit_read(&ring, upto), ==, release->signals);
        g_assert_cmpuint(naive.words[READ_INDEX], ==, upto);
        g_assert_cmpuint(naive.words[INTERRUPT_MASK], ==, release->mask);
    }
    naive_ring_free(&naive);
}

static void
test_release_broken_index(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t payload[1000] = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(bad_indices); i++) {
        struct hvs_ring_packet packet;
        struct hvs_ring ring;

        naive_ring_start_at(&naive, 0);
        ring = reader_of(&naive);
        naive.words[WRITE_INDEX] = naive_put_packet(&naive, 0, payload, sizeof(payload));
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
        naive.words[WRITE_INDEX] = bad_indices[i];
        naive.words[PENDING_SEND_SZ] = 3500;
        naive.words[FEATURE_BITS] = 1;
        g_assert_false(hvs_ring_commit_read(&ring, packet.end));
        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_CORRUPT);
    }
    naive_ring_free(&naive);
}

/* 16 KiB, full of packets of 4,000 bytes; the host waits for more than 8,048 to be free. */
static void
test_release_second_of_four(void)
{
    struct naive_ring naive = naive_ring_new(16384);
    struct hvs_ring ring = reader_of(&naive);
    static const gboolean expected[] = { FALSE, TRUE, FALSE, FALSE };
    uint8_t payload[4000] = { 0 };
    uint32_t end = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        end = naive_put_packet(&naive, end, payload, sizeof(payload));
    naive.words[WRITE_INDEX] = end;
    naive.words[PENDING_SEND_SZ] = 8048;
    naive.words[FEATURE_BITS] = 1;
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        struct hvs_ring_packet packet;

        g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
        g_assert_cmpint(hvs_ring_commit_read(&ring, packet.end), ==, expected[i]);
    }
    naive_ring_free(&naive);
}

static void
test_prepare_to_wait(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = reader_of(&naive);
    struct hvs_ring_packet packet;
    uint8_t payload[16] = { 0 };

    hvs_ring_mask(&ring);
    g_assert_cmpuint(naive.words[INTERRUPT_MASK], ==, 1);
    g_assert_true(hvs_ring_prepare_to_wait(&ring));
    g_assert_cmpuint(naive.words[INTERRUPT_MASK], ==, 0);

    /* Published between our last look and the unmasking: the host saw the mask and did not signal
     */
    hvs_ring_mask(&ring);
    g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_EMPTY);
    naive.words[WRITE_INDEX] = naive_put_packet(&naive, 0, payload, sizeof(payload));
    g_assert_false(hvs_ring_prepare_to_wait(&ring));
    g_assert_cmpuint(naive.words[INTERRUPT_MASK], ==, 0);
    g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);

    /* Read, but not given back: nothing to wake up for. */
    g_assert_true(hvs_ring_prepare_to_wait(&ring));
    naive_ring_free(&naive);
}

/* ---- writer ---- */

static void
test_room(void)
{
    static const struct {
        uint32_t write, read, room;
    } cases[] = {
        { 0, 0, SIZE - 8 },
        { SIZE - 8, SIZE - 8, SIZE - 8 },
        { 8, 0, SIZE - 16 },
        { SIZE - 8, 0, 0 },
        { 0, 8, 0 },
        { 0, 16, 8 },
        { SIZE - 16, 0, 8 },
        { 1000, 2000, 992 },
        { 2000, 1000, SIZE - 1008 },
        { 0, SIZE - 8, SIZE - 16 },
    };
    struct naive_ring naive = naive_ring_new(SIZE);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_ring ring;

        naive.words[WRITE_INDEX] = cases[i].write;
        naive.words[READ_INDEX] = cases[i].read;
        ring = writer_of(&naive);
        g_assert_cmpuint(room_of(&ring), ==, cases[i].room);
    }
    naive_ring_free(&naive);
}

/* A packet as large as the ring would make it look empty; 8 bytes less fit. */
static void
test_exact_fill(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t payload[SIZE] = { 0 }, got[SIZE];

    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct hvs_ring ring;
        uint32_t length;

        naive_ring_start_at(&naive, start);
        ring = writer_of(&naive);
        g_assert_cmpuint(hvs_ring_packet_size(SIZE - 24), >, room_of(&ring));
        g_assert_cmpuint(hvs_ring_packet_size(SIZE - 32), ==, room_of(&ring));
        write_packet(&ring, payload, SIZE - 32);
        g_assert_true(hvs_ring_commit_write(&ring));
        g_assert_cmpuint(naive.words[WRITE_INDEX], ==, (start + SIZE - 8) % SIZE);
        g_assert_cmpuint(room_of(&ring), ==, 0);
        naive_take_packet(&naive, start, got, &length);
        naive.words[READ_INDEX] = naive.words[WRITE_INDEX];
        g_assert_cmpuint(room_of(&ring), ==, SIZE - 8);
    }
    naive_ring_free(&naive);
}

static void
test_write_bad_index(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = writer_of(&naive);
    uint8_t payload[976] = { 0 };
    uint32_t room;

    for (size_t i = 0; i < G_N_ELEMENTS(bad_indices); i++) {
        naive.words[READ_INDEX] = bad_indices[i];
        g_assert_cmpint(hvs_ring_room(&ring, &room), ==, HVS_RING_CORRUPT);
        g_assert_cmpint(hvs_ring_want_room(&ring, 1024), ==, HVS_RING_CORRUPT);
        g_assert_cmpint(hvs_ring_want_drained(&ring), ==, HVS_RING_CORRUPT);
        g_assert_false(hvs_ring_commit_write(&ring));
    }

    naive.words[READ_INDEX] = 0;
    write_packet(&ring, payload, sizeof(payload));
    write_packet(&ring, payload, sizeof(payload));
    hvs_ring_commit_write(&ring);
    g_assert_cmpuint(room_of(&ring), ==, SIZE - 8 - 2000);
    naive.words[READ_INDEX] = 2008; /* beyond what we published */
    g_assert_cmpint(hvs_ring_room(&ring, &room), ==, HVS_RING_CORRUPT);
    naive.words[READ_INDEX] = 1000;
    g_assert_cmpuint(room_of(&ring), ==, SIZE - 8 - 1000);
    naive.words[READ_INDEX] = 992; /* backwards */
    g_assert_cmpint(hvs_ring_room(&ring, &room), ==, HVS_RING_CORRUPT);
    naive.words[READ_INDEX] = 2000;
    g_assert_cmpuint(room_of(&ring), ==, SIZE - 8);
    naive_ring_free(&naive);
}

static void
test_padding(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t payload[64], got[64];

    memset(payload, 0xff, sizeof(payload));
    for (uint32_t start = SIZE - 128; start < SIZE; start += 8)
        for (uint32_t length = 0; length <= 33; length++) {
            struct hvs_ring ring;
            uint32_t got_length;

            naive_ring_start_at(&naive, start);
            ring = writer_of(&naive);
            g_assert_cmpuint(hvs_ring_packet_size(length), ==, naive_packet_size(length));
            write_packet(&ring, payload, length);
            naive_take_packet(&naive, start, got, &got_length);
            for (uint32_t i = 0; i < got_length; i++)
                g_assert_cmphex(got[i], ==, i < length ? 0xff : 0);
        }
    naive_ring_free(&naive);
}

struct publication {
    const char *name;
    uint32_t used; /* by the host's view when we last looked, bytes */
    uint32_t read; /* of that, by the host between our look and our publishing */
    uint32_t packets, mask;
    gboolean signals;
};

static const struct publication publications[] = {
    { "empty", 0, 0, 1, 0, TRUE },
    { "empty-batch", 0, 0, 3, 0, TRUE },
    { "empty-masked", 0, 0, 1, 1, FALSE },
    { "empty-masked-oddly", 0, 0, 1, 0x80000000, FALSE },
    { "not-empty", 200, 0, 1, 0, FALSE },
    { "not-empty-masked", 200, 0, 1, 1, FALSE },
    { "host-reads-everything-meanwhile", 200, 200, 1, 0, TRUE },
    { "host-reads-everything-meanwhile-masked", 200, 200, 1, 1, FALSE },
    { "host-reads-some-meanwhile", 200, 100, 1, 0, FALSE },
    { "nothing-written", 0, 0, 0, 0, FALSE },
    { "nothing-written-drained", 200, 200, 0, 0, FALSE },
};

static void
test_publication(gconstpointer data)
{
    const struct publication *publication = data;
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t payload[76] = { 0 };

    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct hvs_ring ring;
        uint32_t end;

        naive_ring_start_at(&naive, start);
        naive.words[WRITE_INDEX] = (start + publication->used) % SIZE;
        naive.words[INTERRUPT_MASK] = publication->mask;
        ring = writer_of(&naive);
        g_assert_cmpuint(room_of(&ring), ==, SIZE - 8 - publication->used);
        for (uint32_t i = 0; i < publication->packets; i++)
            write_packet(&ring, payload, sizeof(payload));
        naive.words[READ_INDEX] = (start + publication->read) % SIZE;
        end = (start + publication->used + publication->packets * naive_packet_size(76)) % SIZE;
        g_assert_cmpint(hvs_ring_commit_write(&ring), ==, publication->signals);
        g_assert_cmpuint(naive.words[WRITE_INDEX], ==, end);
        g_assert_false(hvs_ring_commit_write(&ring));
    }
    naive_ring_free(&naive);
}

static void
test_want_room(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = writer_of(&naive);
    uint8_t payload[SIZE] = { 0 };

    write_packet(&ring, payload, SIZE - 8 - 1000 - 24); /* 1,008 free, room for 1,000 */
    hvs_ring_commit_write(&ring);
    g_assert_cmpuint(room_of(&ring), ==, 1000);

    g_assert_cmpint(hvs_ring_want_room(&ring, 1000), ==, HVS_RING_OK);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 0);
    g_assert_cmpint(hvs_ring_want_room(&ring, 1008), ==, HVS_RING_FULL);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 1008);
    g_assert_cmpint(hvs_ring_want_room(&ring, 2000), ==, HVS_RING_FULL);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 2000);
    /* The host read between our last look and the wish: it does not signal for that. */
    naive.words[READ_INDEX] = 1000;
    g_assert_cmpint(hvs_ring_want_room(&ring, 2000), ==, HVS_RING_OK);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 0);
    g_assert_cmpint(hvs_ring_want_room(&ring, 2008), ==, HVS_RING_FULL);
    hvs_ring_want_nothing(&ring);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 0);

    g_assert_cmpint(hvs_ring_want_drained(&ring), ==, HVS_RING_FULL);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, SIZE - 8);
    naive.words[READ_INDEX] = SIZE - 8 - 1000 - 8;
    g_assert_cmpint(hvs_ring_want_drained(&ring), ==, HVS_RING_FULL);
    naive.words[READ_INDEX] = SIZE - 8 - 1000;
    g_assert_cmpint(hvs_ring_want_drained(&ring), ==, HVS_RING_OK);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 0);
    naive_ring_free(&naive);
}

/* Looking at the room withdraws the wish as soon as there is any, not before. */
static void
test_room_ends_wait(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = writer_of(&naive);
    uint8_t payload[SIZE] = { 0 };

    write_packet(&ring, payload, SIZE - 8 - 24);
    hvs_ring_commit_write(&ring);
    g_assert_cmpint(hvs_ring_want_room(&ring, 1024), ==, HVS_RING_FULL);
    g_assert_cmpuint(room_of(&ring), ==, 0);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 1024);
    naive.words[READ_INDEX] = 8;
    g_assert_cmpuint(room_of(&ring), ==, 8);
    g_assert_cmpuint(naive.words[PENDING_SEND_SZ], ==, 0);
    naive_ring_free(&naive);
}

/* ---- who owns what ---- */

/* Everything in the header but those two words is as it was. */
static void
assert_header_unchanged(const struct naive_ring *naive, const uint8_t before[NAIVE_PAGE],
                        unsigned own1, unsigned own2, unsigned own3)
{
    for (unsigned word = 0; word < NAIVE_PAGE / 4; word++) {
        uint32_t was;

        memcpy(&was, before + word * 4, 4);
        if (word != own1 && word != own2 && word != own3)
            g_assert_cmphex(naive->words[word], ==, was);
    }
}

static void
test_ownership_reader(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t header[NAIVE_PAGE], payload[76] = { 0 };
    g_autofree uint8_t *data = NULL;
    struct hvs_ring_packet packet;
    struct hvs_ring ring;

    memset(naive.memory, 0x5a, NAIVE_PAGE);
    naive.words[READ_INDEX] = SIZE - 48;
    naive.words[WRITE_INDEX] = naive_put_packet(&naive, SIZE - 48, payload, sizeof(payload));
    memcpy(header, naive.memory, NAIVE_PAGE);
    data = g_memdup2(naive.data, SIZE);
    ring = reader_of(&naive);
    hvs_ring_mask(&ring);
    g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_OK);
    hvs_ring_commit_read(&ring, packet.end);
    g_assert_cmpint(hvs_ring_read(&ring, &packet), ==, HVS_RING_EMPTY);
    hvs_ring_prepare_to_wait(&ring);
    assert_header_unchanged(&naive, header, READ_INDEX, INTERRUPT_MASK, INTERRUPT_MASK);
    naive_assert_same(naive.data, data, SIZE);
    naive_ring_free(&naive);
}

static void
test_ownership_writer(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t header[NAIVE_PAGE], payload[1000] = { 0 };
    struct hvs_ring ring;

    memset(naive.memory, 0x5a, NAIVE_PAGE);
    naive.words[READ_INDEX] = naive.words[WRITE_INDEX] = SIZE - 48;
    memcpy(header, naive.memory, NAIVE_PAGE);
    ring = writer_of(&naive);
    for (unsigned i = 0; i < 3; i++) {
        room_of(&ring);
        write_packet(&ring, payload, sizeof(payload));
        hvs_ring_commit_write(&ring);
    }
    hvs_ring_want_room(&ring, 2048);
    hvs_ring_want_drained(&ring);
    hvs_ring_want_nothing(&ring);
    assert_header_unchanged(&naive, header, WRITE_INDEX, PENDING_SEND_SZ, FEATURE_BITS);
    naive_ring_free(&naive);
}

/* ---- */

#define ADD_TABLE(prefix, table, name, test)                                                       \
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {                                             \
        g_autofree char *path = g_strconcat(prefix, (table)[i].name, NULL);                        \
        g_test_add_data_func(path, &(table)[i], test);                                             \
    }

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ring/init/sizes", test_init_sizes);
    g_test_add_func("/ring/init/indices", test_init_indices);
    g_test_add_func("/ring/init/features", test_init_features);
    g_test_add_func("/ring/span", test_span);
    ADD_TABLE("/ring/wrap/write/", wraps, part, test_wrap_write)
    ADD_TABLE("/ring/wrap/read/", wraps, part, test_wrap_read)
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *write = g_strdup_printf("/ring/size/write/%u", sizes[i]);
        g_autofree char *read = g_strdup_printf("/ring/size/read/%u", sizes[i]);

        g_test_add_data_func(write, &sizes[i], test_sizes);
        g_test_add_data_func(read, &sizes[i], test_sizes_read);
    }
    ADD_TABLE("/ring/read/", refusals, name, test_refusal)
    g_test_add_func("/ring/read/bad-index", test_read_bad_index);
    g_test_add_func("/ring/read/overrun", test_read_overrun);
    g_test_add_func("/ring/read/private-copy", test_private_copy);
    g_test_add_func("/ring/read/once", test_read_once);
    ADD_TABLE("/ring/release/", releases, name, test_release)
    g_test_add_func("/ring/release/second-of-four", test_release_second_of_four);
    g_test_add_func("/ring/release/bad-index", test_release_broken_index);
    g_test_add_func("/ring/prepare-to-wait", test_prepare_to_wait);
    g_test_add_func("/ring/room", test_room);
    g_test_add_func("/ring/write/exact-fill", test_exact_fill);
    g_test_add_func("/ring/write/bad-index", test_write_bad_index);
    g_test_add_func("/ring/write/padding", test_padding);
    ADD_TABLE("/ring/publish/", publications, name, test_publication)
    g_test_add_func("/ring/want-room", test_want_room);
    g_test_add_func("/ring/room-ends-wait", test_room_ends_wait);
    g_test_add_func("/ring/ownership/reader", test_ownership_reader);
    g_test_add_func("/ring/ownership/writer", test_ownership_writer);
    return g_test_run();
}
