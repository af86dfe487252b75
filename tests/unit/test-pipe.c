/* linux/pipe.c against a naive host: every packet it may send, and every cut of the stream. */
#include "linux/pipe.h"
#include "naive-ring.h"

#define SIZE         4096u
#define TYPE_DATA    1u
#define TYPE_PARTIAL 2u
/* What a pipe packet takes in the ring beyond its data. */
#define OVERHEAD 32u

/* Byte number position of a stream. */
static uint8_t
stream_byte(uint64_t position)
{
    return (uint8_t)(position * 151 + (position >> 8) * 31 + (position >> 16));
}

static void
fill_from_stream(uint8_t *bytes, uint64_t position, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = stream_byte(position + i);
}

/* ---- the host's side: a pipe packet with that header and data, not published ---- */

static uint32_t
put_pipe_packet(struct naive_ring *naive, uint32_t at, uint32_t type, uint32_t length,
                const uint8_t *data, uint32_t count)
{
    uint8_t payload[HVS_PIPE_HEADER_SIZE + 20000];

    for (unsigned i = 0; i < 4; i++) {
        payload[i] = (uint8_t)(type >> (8 * i));
        payload[4 + i] = (uint8_t)(length >> (8 * i));
    }
    memcpy(payload + 8, data, count);
    return naive_put_packet(naive, at, payload, 8 + count);
}

/* Writes and publishes. */
static void
host_sends_packet(struct naive_ring *naive, uint32_t type, uint32_t length, const uint8_t *data,
                  uint32_t count)
{
    naive->words[WRITE_INDEX] =
        put_pipe_packet(naive, naive->words[WRITE_INDEX], type, length, data, count);
}

static void
host_sends(struct naive_ring *naive, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);

    host_sends_packet(naive, TYPE_DATA, length, (const uint8_t *)text, length);
}

/* ---- our side ---- */

static void
reader_of(struct naive_ring *naive, struct hvs_ring *ring, struct hvs_pipe_reader *reader)
{
    g_assert_cmpint(hvs_ring_init_reader(ring, naive->memory, naive->length, NAIVE_PAGE), ==,
                    HVS_RING_OK);
    hvs_pipe_reader_init(reader, ring);
}

static struct hvs_ring
writer_of(struct naive_ring *naive)
{
    struct hvs_ring ring;

    g_assert_cmpint(hvs_ring_init_writer(&ring, naive->memory, naive->length, NAIVE_PAGE), ==,
                    HVS_RING_OK);
    return ring;
}

static size_t
join(const struct iovec *pieces, unsigned count, void *to)
{
    size_t length = 0;

    for (unsigned i = 0; i < count; i++) {
        memcpy((uint8_t *)to + length, pieces[i].iov_base, pieces[i].iov_len);
        length += pieces[i].iov_len;
    }
    return length;
}

static void
assert_gathers(struct hvs_pipe_reader *reader, uint32_t limit, const char *expected)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    char got[1000];
    unsigned count;
    size_t length;

    g_assert_cmpint(hvs_pipe_gather(reader, limit, pieces, &count), ==, HVS_PIPE_OK);
    length = join(pieces, count, got);
    got[length] = '\0';
    g_assert_cmpstr(got, ==, expected);
}

static void
assert_gather_is(struct hvs_pipe_reader *reader, enum hvs_pipe_result expected)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count = 77;

    g_assert_cmpint(hvs_pipe_gather(reader, 1000, pieces, &count), ==, expected);
    g_assert_cmpuint(count, ==, 0);
}

/* ---- reader: streams ---- */

static void
test_gather(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    assert_gather_is(&reader, HVS_PIPE_EMPTY);
    host_sends(&naive, "one");
    host_sends(&naive, "two");
    assert_gathers(&reader, 1000, "onetwo");
    assert_gathers(&reader, 1000, "onetwo");
    host_sends(&naive, "three");
    assert_gathers(&reader, 1000, "onetwothree");
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 0);
    hvs_pipe_consume(&reader, 2);
    assert_gathers(&reader, 1000, "etwothree");
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 0);
    hvs_pipe_consume(&reader, 2);
    assert_gathers(&reader, 1000, "wothree");
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40);
    hvs_pipe_consume(&reader, 2);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 80);
    assert_gathers(&reader, 1000, "three");
    hvs_pipe_consume(&reader, 5);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 120);
    assert_gather_is(&reader, HVS_PIPE_EMPTY);
    g_assert_cmpuint(reader.packets, ==, 3);
    naive_ring_free(&naive);
}

static void
test_limit(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "one");
    host_sends(&naive, "two");
    host_sends(&naive, "three");
    assert_gathers(&reader, 1, "o");
    g_assert_cmpuint(reader.packets, ==, 1);
    assert_gathers(&reader, 3, "one");
    g_assert_cmpuint(reader.packets, ==, 1);
    assert_gathers(&reader, 4, "onet");
    g_assert_cmpuint(reader.packets, ==, 2);
    hvs_pipe_consume(&reader, 4);
    assert_gathers(&reader, 2, "wo");
    assert_gathers(&reader, 3, "wot");
    assert_gathers(&reader, 2, "wo");
    naive_ring_free(&naive);
}

/* The signal that hvs_pipe_consume() returns is that of the ring. */
static void
test_consume_signal(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    static const uint8_t data[1000] = { 0 };
    struct iovec pieces[HVS_PIPE_PIECES];
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;
    unsigned count;

    reader_of(&naive, &ring, &reader);
    for (unsigned i = 0; i < 3; i++)
        host_sends_packet(&naive, TYPE_DATA, sizeof(data), data, sizeof(data));
    naive.words[FEATURE_BITS] = 1;
    naive.words[PENDING_SEND_SZ] = 1500; /* 1,000 are free */
    g_assert_cmpint(hvs_pipe_gather(&reader, SIZE, pieces, &count), ==, HVS_PIPE_OK);
    g_assert_false(hvs_pipe_consume(&reader, 999));
    g_assert_true(hvs_pipe_consume(&reader, 1));
    g_assert_false(hvs_pipe_consume(&reader, 2000));
    naive_ring_free(&naive);
}

/* Anything that a host may send, taken in any bites, against a model. */
static void
test_partial_consumption(gconstpointer data)
{
    uint32_t size = *(const uint32_t *)data, random = 0xbeef + size;
    struct naive_ring naive = naive_ring_new(size);
    g_autofree uint8_t *bytes = g_malloc(size), *expected = g_malloc(size);
    uint64_t sent = 0, taken = 0, wraps = 0;
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t write = naive.words[WRITE_INDEX], read = naive.words[READ_INDEX];
        uint32_t used = (write + size - read) % size, limit, gathered;
        uint32_t longest = naive_random(&random) % 4 ? 40 : size < 20000 ? size / 2 : 16384;
        uint32_t length = 1 + naive_random(&random) % longest;
        struct iovec pieces[HVS_PIPE_PIECES];
        enum hvs_pipe_result result;
        unsigned count;

        if (naive_random(&random) % 2 && used + naive_packet_size(8 + length) < size) {
            fill_from_stream(bytes, sent, length);
            host_sends_packet(&naive, TYPE_DATA, length, bytes, length);
            sent += length;
            wraps += naive.words[WRITE_INDEX] < write;
        }
        if (naive_random(&random) % 3 == 0)
            continue;
        limit = 1 + naive_random(&random) % (naive_random(&random) % 2 ? 100 : size);
        result = hvs_pipe_gather(&reader, limit, pieces, &count);
        if (sent == taken) {
            g_assert_cmpint(result, ==, HVS_PIPE_EMPTY);
            g_assert_cmpuint(naive.words[READ_INDEX], ==, naive.words[WRITE_INDEX]);
            continue;
        }
        g_assert_cmpint(result, ==, HVS_PIPE_OK);
        gathered = (uint32_t)join(pieces, count, bytes);
        g_assert_cmpuint(gathered, >, 0);
        g_assert_cmpuint(gathered, <=, limit);
        g_assert_cmpuint(gathered, <=, sent - taken);
        fill_from_stream(expected, taken, gathered);
        naive_assert_same(bytes, expected, gathered);
        length = naive_random(&random) % 2 ? gathered : naive_random(&random) % (gathered + 1);
        hvs_pipe_consume(&reader, length);
        taken += length;
    }
    g_assert_cmpuint(wraps, >, 20);
    naive_ring_free(&naive);
}

/* The queue of packets is bounded; what does not fit stays in the ring. */
static void
test_queue_full(void)
{
    struct naive_ring naive = naive_ring_new(8192);
    struct iovec pieces[HVS_PIPE_PIECES];
    struct hvs_pipe_reader reader;
    uint8_t got[1000];
    uint64_t taken = 0;
    struct hvs_ring ring;
    unsigned count;

    reader_of(&naive, &ring, &reader);
    for (unsigned i = 0; i < 200; i++) {
        uint8_t byte = stream_byte(i);

        host_sends_packet(&naive, TYPE_DATA, 1, &byte, 1);
    }
    for (unsigned bite = 1; taken < 200; bite = bite % 63 + 1) {
        g_assert_cmpint(hvs_pipe_gather(&reader, 1000, pieces, &count), ==, HVS_PIPE_OK);
        g_assert_cmpuint(count, <=, HVS_PIPE_BATCH);
        if (taken == 0)
            g_assert_cmpuint(count, ==, HVS_PIPE_BATCH);
        g_assert_cmpuint(join(pieces, count, got), ==, count);
        for (unsigned i = 0; i < count; i++)
            g_assert_cmphex(got[i], ==, stream_byte(taken + i));
        hvs_pipe_consume(&reader, MIN(bite, count));
        taken += MIN(bite, count);
        g_assert_cmpuint(naive.words[READ_INDEX], ==, taken * 40);
    }
    assert_gather_is(&reader, HVS_PIPE_EMPTY);
    naive_ring_free(&naive);
}

/* As many pieces as there can be: a full queue with a wrap in it. */
static void
test_queue_full_and_wrapped(void)
{
    struct naive_ring naive = naive_ring_new(8192);
    struct iovec pieces[HVS_PIPE_PIECES];
    struct hvs_pipe_reader reader;
    uint8_t data[72], got[72 * 64];
    struct hvs_ring ring;
    unsigned count;

    naive_ring_start_at(&naive, 8192 - 64);
    reader_of(&naive, &ring, &reader);
    for (unsigned i = 0; i < 64; i++) {
        fill_from_stream(data, i * sizeof(data), sizeof(data));
        host_sends_packet(&naive, TYPE_DATA, sizeof(data), data, sizeof(data));
    }
    g_assert_cmpint(hvs_pipe_gather(&reader, 100000, pieces, &count), ==, HVS_PIPE_OK);
    g_assert_cmpuint(count, ==, HVS_PIPE_PIECES);
    g_assert_cmpuint(join(pieces, count, got), ==, sizeof(got));
    for (unsigned i = 0; i < sizeof(got); i++)
        g_assert_cmphex(got[i], ==, stream_byte(i));
    naive_ring_free(&naive);
}

/* A host that writes over what we hold could have more packets wrap than there are pieces. */
static void
test_overrun(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct iovec pieces[HVS_PIPE_PIECES];
    static const uint8_t data[2008] = { 0 };
    enum hvs_pipe_result result = HVS_PIPE_OK;
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;
    unsigned count;

    reader_of(&naive, &ring, &reader);
    for (unsigned i = 0; i < 4 * HVS_PIPE_BATCH && ring.known == naive.words[WRITE_INDEX]; i++) {
        host_sends_packet(&naive, TYPE_DATA, sizeof(data), data, sizeof(data));
        result = hvs_pipe_gather(&reader, 1000000, pieces, &count);
        g_assert_cmpint(result, ==, HVS_PIPE_OK);
        g_assert_cmpuint(count, <=, 3);
    }
    g_assert_cmpuint(reader.packets, ==, 2);
    hvs_pipe_consume(&reader, reader.bytes);
    naive_ring_free(&naive);
}

static void
test_longest(void)
{
    struct naive_ring naive = naive_ring_new(65536);
    struct iovec pieces[HVS_PIPE_PIECES];
    struct hvs_pipe_reader reader;
    uint8_t data[16384], got[16384];
    struct hvs_ring ring;
    unsigned count;

    fill_from_stream(data, 0, sizeof(data));
    reader_of(&naive, &ring, &reader);
    for (unsigned i = 0; i < 20; i++) {
        host_sends_packet(&naive, TYPE_DATA, sizeof(data), data, sizeof(data));
        g_assert_cmpint(hvs_pipe_gather(&reader, 100000, pieces, &count), ==, HVS_PIPE_OK);
        g_assert_cmpuint(join(pieces, count, got), ==, sizeof(got));
        naive_assert_same(got, data, sizeof(data));
        hvs_pipe_consume(&reader, sizeof(data));
    }
    naive_ring_free(&naive);
}

/* ---- reader: the end of the stream ---- */

static void
test_end_alone(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "");
    assert_gather_is(&reader, HVS_PIPE_END);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 0);
    hvs_pipe_consume(&reader, 0);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, OVERHEAD);
    assert_gather_is(&reader, HVS_PIPE_END);
    host_sends(&naive, ""); /* once more is harmless */
    assert_gather_is(&reader, HVS_PIPE_END);
    hvs_pipe_consume(&reader, 0);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 2 * OVERHEAD);
    naive_ring_free(&naive);
}

static void
test_end_behind_data(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "data");
    host_sends(&naive, "");
    assert_gathers(&reader, 1000, "data");
    hvs_pipe_consume(&reader, 3);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 0);
    assert_gathers(&reader, 1000, "a");
    hvs_pipe_consume(&reader, 1);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40 + OVERHEAD);
    assert_gather_is(&reader, HVS_PIPE_END);
    g_assert_false(hvs_pipe_consume(&reader, 0));
    naive_ring_free(&naive);
}

/* The limit stops reading in front of the end. */
static void
test_end_behind_limit(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "data");
    host_sends(&naive, "");
    assert_gathers(&reader, 4, "data");
    hvs_pipe_consume(&reader, 4);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40);
    assert_gather_is(&reader, HVS_PIPE_END);
    hvs_pipe_consume(&reader, 0);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40 + OVERHEAD);
    naive_ring_free(&naive);
}

static void
test_data_behind_end(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "data");
    host_sends(&naive, "");
    host_sends(&naive, "more");
    assert_gathers(&reader, 1000, "data");
    hvs_pipe_consume(&reader, 4);
    assert_gather_is(&reader, HVS_PIPE_PROTOCOL);
    g_assert_cmpstr(reader.complaint, ==, "data behind the end of the stream");
    g_assert_cmpuint(reader.complaint_value, ==, 4);
    naive_ring_free(&naive);
}

/* ---- reader: single packets ---- */

struct packet {
    const char *name;
    uint32_t packet_type, payload_length; /* of the ring's packet */
    uint32_t type, length;                /* of the pipe's header */
    enum hvs_pipe_result expected;
    const char *data;      /* OK: what is gathered of "abcdefgh" */
    const char *complaint; /* PROTOCOL */
    uint32_t complaint_value;
};

#define WRONG_PACKET "packet of a type that a pipe does not carry"
#define WRONG_TYPE   "pipe packet of a type that was never asked for"
#define TOO_LONG     "pipe length exceeds its packet"
#define NOTHING_LEFT "partial packet with nothing left to read"
#define TOO_SHORT    "packet too short for a pipe header"

static const struct packet packets[] = {
    { "data", 6, 16, 1, 8, HVS_PIPE_OK, "abcdefgh", NULL, 0 },
    { "data-shorter-than-packet", 6, 16, 1, 3, HVS_PIPE_OK, "abc", NULL, 0 },
    { "data-much-shorter-than-packet", 6, 200, 1, 1, HVS_PIPE_OK, "a", NULL, 0 },
    { "zero-length", 6, 8, 1, 0, HVS_PIPE_END, NULL, NULL, 0 },
    { "zero-length-padded", 6, 16, 1, 0, HVS_PIPE_END, NULL, NULL, 0 },
    { "length-beyond-payload", 6, 16, 1, 9, HVS_PIPE_PROTOCOL, NULL, TOO_LONG, 9 },
    { "length-without-payload", 6, 8, 1, 1, HVS_PIPE_PROTOCOL, NULL, TOO_LONG, 1 },
    { "length-that-overflows", 6, 16, 1, 0xfffffff8, HVS_PIPE_PROTOCOL, NULL, TOO_LONG,
      0xfffffff8 },
    { "length-that-is-huge", 6, 16, 1, 0xffffffff, HVS_PIPE_PROTOCOL, NULL, TOO_LONG, 0xffffffff },
    { "length-that-counts-the-header", 6, 16, 1, 16, HVS_PIPE_PROTOCOL, NULL, TOO_LONG, 16 },
    { "partial-fresh", 6, 16, 2, 8, HVS_PIPE_OK, "abcdefgh", NULL, 0 },
    { "partial", 6, 16, 2, 0x30008, HVS_PIPE_OK, "defgh", NULL, 0 },
    { "partial-last-byte", 6, 16, 2, 0x70008, HVS_PIPE_OK, "h", NULL, 0 },
    { "partial-nothing-left", 6, 16, 2, 0x80008, HVS_PIPE_PROTOCOL, NULL, NOTHING_LEFT, 0x80008 },
    { "partial-negative", 6, 16, 2, 0x90008, HVS_PIPE_PROTOCOL, NULL, NOTHING_LEFT, 0x90008 },
    { "partial-empty", 6, 16, 2, 0, HVS_PIPE_PROTOCOL, NULL, NOTHING_LEFT, 0 },
    { "partial-beyond-payload", 6, 16, 2, 0x10009, HVS_PIPE_PROTOCOL, NULL, TOO_LONG, 0x10009 },
    { "partial-far-beyond-payload", 6, 16, 2, 0xfffeffff, HVS_PIPE_PROTOCOL, NULL, TOO_LONG,
      0xfffeffff },
    { "set-up-gpa-direct", 6, 16, 3, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_TYPE, 3 },
    { "tear-down-gpa-direct", 6, 16, 4, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_TYPE, 4 },
    { "indication-complete", 6, 16, 5, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_TYPE, 5 },
    { "type-0", 6, 16, 0, 8, HVS_PIPE_PROTOCOL, NULL, "pipe packet of unknown type", 0 },
    { "type-6", 6, 16, 6, 8, HVS_PIPE_PROTOCOL, NULL, "pipe packet of unknown type", 6 },
    { "type-high-bits", 6, 16, 0x10001, 8, HVS_PIPE_PROTOCOL, NULL, "pipe packet of unknown type",
      0x10001 },
    { "transfer-pages", 7, 16, 1, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_PACKET, 7 },
    { "gpa-direct", 9, 16, 1, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_PACKET, 9 },
    { "completion", 0x0b, 16, 1, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_PACKET, 0x0b },
    { "packet-type-0", 0, 16, 1, 8, HVS_PIPE_PROTOCOL, NULL, WRONG_PACKET, 0 },
    { "no-pipe-header", 6, 0, 1, 0, HVS_PIPE_PROTOCOL, NULL, TOO_SHORT, 0 },
};

static void
put_raw_packet(struct naive_ring *naive, const struct packet *packet)
{
    uint32_t at = naive->words[WRITE_INDEX], end;

    end = (at + 16 + packet->payload_length + 8) % naive->size;
    at = naive_put_descriptor(naive, at, packet->packet_type, 2, 2 + packet->payload_length / 8);
    if (packet->payload_length >= 8) {
        at = naive_put_number(naive, at, packet->type, 4);
        at = naive_put_number(naive, at, packet->length, 4);
    }
    if (packet->payload_length >= 16)
        naive_put(naive, at, "abcdefgh", 8);
    naive->words[WRITE_INDEX] = end;
}

static void
test_packet(gconstpointer data)
{
    const struct packet *packet = data;
    struct naive_ring naive = naive_ring_new(SIZE);

    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct hvs_pipe_reader reader;
        struct hvs_ring ring;

        naive_ring_start_at(&naive, start);
        reader_of(&naive, &ring, &reader);
        put_raw_packet(&naive, packet);
        if (packet->expected == HVS_PIPE_OK)
            assert_gathers(&reader, 1000, packet->data);
        else
            assert_gather_is(&reader, packet->expected);
        g_assert_cmpstr(reader.complaint, ==, packet->complaint);
        if (packet->complaint != NULL)
            g_assert_cmpuint(reader.complaint_value, ==, packet->complaint_value);
        g_assert_cmpuint(naive.words[READ_INDEX], ==, start);
    }
    naive_ring_free(&naive);
}

/* Good data is delivered before what follows it is refused, and the refusal is final. */
static void
test_packet_behind_data(gconstpointer data)
{
    const struct packet *packet = data;
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "good");
    put_raw_packet(&naive, packet);
    host_sends(&naive, "late");
    assert_gathers(&reader, 1000, "good");
    hvs_pipe_consume(&reader, 4);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40);
    assert_gather_is(&reader, HVS_PIPE_PROTOCOL);
    assert_gather_is(&reader, HVS_PIPE_PROTOCOL);
    g_assert_cmpstr(reader.complaint, ==, packet->complaint);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40);
    naive_ring_free(&naive);
}

static void
test_corrupt(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;

    reader_of(&naive, &ring, &reader);
    host_sends(&naive, "good");
    assert_gathers(&reader, 1000, "good");
    naive.words[WRITE_INDEX] = SIZE;
    assert_gathers(&reader, 1000, "good");
    hvs_pipe_consume(&reader, 4);
    assert_gather_is(&reader, HVS_PIPE_CORRUPT);
    naive_ring_free(&naive);
}

/* ---- reader: messages ---- */

static void
test_read_message(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_pipe_reader reader;
    struct hvs_ring ring;
    char buffer[8] = "xxxxxxx";
    size_t length = 77;
    bool signal = true;

    reader_of(&naive, &ring, &reader);
    g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, 4, &length, &signal), ==,
                    HVS_PIPE_EMPTY);
    g_assert_cmpuint(length, ==, 0);
    g_assert_false(signal);
    host_sends(&naive, "abc");
    host_sends(&naive, "defgh");
    host_sends(&naive, "");
    naive.words[FEATURE_BITS] = 1;
    naive.words[PENDING_SEND_SZ] = SIZE - OVERHEAD - 80;

    g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, 4, &length, &signal), ==, HVS_PIPE_OK);
    g_assert_cmpuint(length, ==, 3);
    g_assert_cmpstr(buffer, ==, "abcxxxx");
    g_assert_true(signal);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 40);

    g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, 4, &length, &signal), ==, HVS_PIPE_OK);
    g_assert_cmpuint(length, ==, 5);
    g_assert_cmpstr(buffer, ==, "defgxxx"); /* cut to 4 bytes */
    g_assert_false(signal);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 80);

    naive.words[PENDING_SEND_SZ] = SIZE - 8;
    g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, 4, &length, &signal), ==, HVS_PIPE_OK);
    g_assert_cmpuint(length, ==, 0);
    g_assert_true(signal);
    g_assert_cmpuint(naive.words[READ_INDEX], ==, 80 + OVERHEAD);
    g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, 4, &length, &signal), ==,
                    HVS_PIPE_EMPTY);
    g_assert_false(signal);
    g_assert_cmpstr(buffer, ==, "defgxxx");

    /* It was a message, not the end of anything. */
    host_sends(&naive, "late");
    g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, 4, &length, &signal), ==, HVS_PIPE_OK);
    g_assert_cmpuint(length, ==, 4);
    g_assert_cmpstr(buffer, ==, "latexxx");
    naive_ring_free(&naive);
}

static void
test_read_message_wrapped(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t data[100], buffer[100];

    fill_from_stream(data, 5, sizeof(data));
    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct hvs_pipe_reader reader;
        struct hvs_ring ring;
        size_t length;
        bool signal;

        naive_ring_start_at(&naive, start);
        reader_of(&naive, &ring, &reader);
        host_sends_packet(&naive, TYPE_DATA, sizeof(data), data, sizeof(data));
        g_assert_cmpint(hvs_pipe_read_message(&reader, buffer, sizeof(buffer), &length, &signal),
                        ==, HVS_PIPE_OK);
        g_assert_cmpuint(length, ==, sizeof(data));
        naive_assert_same(buffer, data, sizeof(data));
        g_assert_cmpuint(naive.words[READ_INDEX], ==, naive.words[WRITE_INDEX]);
    }
    naive_ring_free(&naive);
}

/* ---- writer ---- */

/* Takes all pipe packets that were published behind at, checks each byte of them, returns the data
 * joined and how many packets there were. */
static size_t
host_takes(const struct naive_ring *naive, uint32_t at, uint8_t *data, unsigned *count)
{
    g_autofree uint8_t *payload = g_malloc(naive->size);
    size_t total = 0;

    *count = 0;
    while (at != naive->words[WRITE_INDEX]) {
        uint32_t payload_length, type, length;

        at = naive_take_packet(naive, at, payload, &payload_length);
        g_assert_cmpuint(payload_length, >=, 8);
        memcpy(&type, payload, 4);
        memcpy(&length, payload + 4, 4);
        g_assert_cmpuint(type, ==, TYPE_DATA);
        g_assert_cmpuint(length, <=, HVS_PIPE_DATA_MAX);
        g_assert_cmpuint(payload_length, ==, (8 + length + 7) / 8 * 8);
        for (uint32_t i = 8 + length; i < payload_length; i++)
            g_assert_cmphex(payload[i], ==, 0);
        memcpy(data + total, payload + 8, length);
        total += length;
        ++*count;
    }
    return total;
}

/* Puts bytes of the stream where they were reserved, as recvmsg() does. */
static void
receive(const struct iovec *pieces, unsigned count, size_t bytes)
{
    uint64_t position = 0;

    for (unsigned i = 0; i < count && position < bytes; i++) {
        size_t length = MIN(pieces[i].iov_len, bytes - position);

        fill_from_stream(pieces[i].iov_base, position, length);
        position += length;
    }
    g_assert_cmpuint(position, ==, bytes);
}

/* Reserves, publishes bytes of it (all: SIZE_MAX) and reads them back; start: of the packets.
 * Returns how many bytes were reserved. */
static size_t
write_and_take_back(struct naive_ring *naive, uint32_t start, uint32_t used, uint32_t limit,
                    size_t bytes)
{
    g_autofree uint8_t *got = g_malloc(naive->size);
    uint32_t write = (start + used) % naive->size;
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count, published, taken;
    struct hvs_ring ring;
    size_t reserved, sum = 0;

    naive_ring_start_at(naive, start);
    naive->words[WRITE_INDEX] = write;
    ring = writer_of(naive);
    if (hvs_pipe_reserve(&ring, limit, pieces, &count, &reserved) != HVS_PIPE_OK) {
        g_assert_cmpuint(reserved, ==, 0);
        g_assert_cmpuint(count, ==, 0);
        return 0;
    }
    g_assert_cmpuint(count, <=, HVS_PIPE_PIECES);
    g_assert_cmpuint(reserved, <=, limit);
    for (unsigned i = 0; i < count; i++)
        sum += pieces[i].iov_len;
    g_assert_cmpuint(sum, ==, reserved);
    bytes = MIN(bytes, reserved);
    receive(pieces, count, bytes);
    g_assert_cmpuint(naive->words[WRITE_INDEX], ==, write);
    g_assert_cmpint(hvs_pipe_publish(&ring, bytes, &published), ==, used == 0 && bytes > 0);
    g_assert_cmpuint(host_takes(naive, write, got, &taken), ==, bytes);
    g_assert_cmpuint(taken, ==, published);
    for (size_t i = 0; i < bytes; i++)
        g_assert_cmphex(got[i], ==, stream_byte(i));
    /* Nothing of the host's unread bytes was touched. */
    for (uint32_t i = 0; i < used; i++)
        g_assert_cmphex(naive->data[(start + i) % naive->size], ==, NAIVE_FILL);
    return reserved;
}

static void
test_every_byte_count(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint32_t start = 0;

    for (size_t bytes = 0; bytes <= SIZE - 8 - OVERHEAD; bytes++, start = (start + 1000) % SIZE)
        g_assert_cmpuint(write_and_take_back(&naive, start, 0, SIZE, bytes), ==,
                         SIZE - 8 - OVERHEAD);
    naive_ring_free(&naive);
}

/* Around each border between two packets of one reservation. */
static void
test_several_packets(void)
{
    struct naive_ring naive = naive_ring_new(65536);
    size_t reserved = write_and_take_back(&naive, 48, 0, UINT32_MAX, 0);

    g_assert_cmpuint(reserved, ==, 65536 - 8 - 4 * OVERHEAD);
    for (size_t packet = 1; packet <= 4; packet++)
        for (size_t bytes = packet * HVS_PIPE_DATA_MAX - 17;
             bytes < packet * HVS_PIPE_DATA_MAX + 17; bytes++)
            write_and_take_back(&naive, (uint32_t)(bytes * 8 % 65536), 0, UINT32_MAX, bytes);
    write_and_take_back(&naive, 48, 0, UINT32_MAX, SIZE_MAX);
    naive_ring_free(&naive);
}

/* A ring so large that the number of pieces is the limit. */
static void
test_large_ring(void)
{
    struct naive_ring naive = naive_ring_new(2 << 20);
    size_t reserved = write_and_take_back(&naive, (2 << 20) - 20000, 0, UINT32_MAX, SIZE_MAX);

    g_assert_cmpuint(reserved, >=, 63 * HVS_PIPE_DATA_MAX);
    write_and_take_back(&naive, (2 << 20) - 20000, 0, UINT32_MAX, reserved - 1);
    naive_ring_free(&naive);
}

static void
test_wrap_at_every_offset(void)
{
    struct naive_ring naive = naive_ring_new(20000);

    for (uint32_t start = 0; start < 20000; start += 8) {
        write_and_take_back(&naive, start, 0, UINT32_MAX, start % 61 ? 61 : SIZE_MAX);
        write_and_take_back(&naive, start, 3000, UINT32_MAX, 16400);
    }
    naive_ring_free(&naive);
}

static void
test_reserve_limit(void)
{
    struct naive_ring naive = naive_ring_new(65536);

    for (uint32_t limit = 1; limit < 200; limit++)
        g_assert_cmpuint(write_and_take_back(&naive, 65536 - 64, 0, limit, SIZE_MAX), ==, limit);
    for (uint32_t limit = HVS_PIPE_DATA_MAX - 20; limit < HVS_PIPE_DATA_MAX + 20; limit++)
        g_assert_cmpuint(write_and_take_back(&naive, 0, 0, limit, SIZE_MAX), ==, limit);
    naive_ring_free(&naive);
}

/* With so little room that hardly a packet fits, down to none; and once around all limits. */
static void
test_tiny_room(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);

    for (uint32_t room = 0; room <= 200; room += 8)
        for (uint32_t start = 0; start < SIZE; start += 8) {
            uint32_t expected = room <= OVERHEAD ? 0 : room - OVERHEAD;
            uint32_t limit = 1 + start % 50, used = SIZE - 8 - room;

            g_assert_cmpuint(write_and_take_back(&naive, start, used, 1000, SIZE_MAX), ==,
                             expected);
            g_assert_cmpuint(write_and_take_back(&naive, start, used, limit, SIZE_MAX), ==,
                             MIN(expected, limit));
        }
    naive_ring_free(&naive);
}

static void
test_reserve_corrupt(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    struct hvs_ring ring = writer_of(&naive);
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count = 77;
    size_t bytes = 77;
    bool signal = true;

    naive.words[READ_INDEX] = 12;
    g_assert_cmpint(hvs_pipe_reserve(&ring, 100, pieces, &count, &bytes), ==, HVS_PIPE_CORRUPT);
    g_assert_cmpuint(count, ==, 0);
    g_assert_cmpuint(bytes, ==, 0);
    g_assert_cmpint(hvs_pipe_write(&ring, "x", 1, &signal), ==, HVS_PIPE_CORRUPT);
    g_assert_false(signal);
    g_assert_cmpuint(naive.words[WRITE_INDEX], ==, 0);
    naive_ring_free(&naive);
}

static void
test_write(void)
{
    static const uint32_t lengths[] = { 0, 1, 7, 8, 9, 15, 100, 16000, HVS_PIPE_DATA_MAX };
    struct naive_ring naive = naive_ring_new(65536);
    g_autofree uint8_t *data = g_malloc(65536), *got = g_malloc(65536);

    fill_from_stream(data, 3, 65536);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++)
        for (uint32_t start = 65536 - 200; start < 65536; start += 8) {
            struct hvs_ring ring;
            unsigned packets_taken;
            bool signal = false;

            naive_ring_start_at(&naive, start);
            ring = writer_of(&naive);
            g_assert_cmpint(hvs_pipe_write(&ring, data, lengths[i], &signal), ==, HVS_PIPE_OK);
            g_assert_true(signal);
            g_assert_cmpuint(host_takes(&naive, start, got, &packets_taken), ==, lengths[i]);
            g_assert_cmpuint(packets_taken, ==, 1);
            naive_assert_same(got, data, lengths[i]);
            g_assert_cmpint(hvs_pipe_write(&ring, NULL, 0, &signal), ==, HVS_PIPE_OK);
            g_assert_false(signal);
        }
    naive_ring_free(&naive);
}

static void
test_write_full(void)
{
    struct naive_ring naive = naive_ring_new(SIZE);
    uint8_t data[1000];

    fill_from_stream(data, 0, sizeof(data));
    for (uint32_t room = 0; room <= 200; room += 8)
        for (uint32_t length = 0; length <= 170; length++) {
            gboolean fits = naive_packet_size(8 + length) <= room;
            struct hvs_ring ring;
            bool signal;

            naive_ring_start_at(&naive, 2000);
            naive.words[WRITE_INDEX] = (2000 + SIZE - 8 - room) % SIZE;
            ring = writer_of(&naive);
            g_assert_cmpint(hvs_pipe_write(&ring, data, length, &signal), ==,
                            fits ? HVS_PIPE_OK : HVS_PIPE_FULL);
            g_assert_false(signal);
            g_assert_cmpint(naive.words[WRITE_INDEX] != (2000 + SIZE - 8 - room) % SIZE, ==, fits);
        }
    naive_ring_free(&naive);
}

/* ---- */

int
main(int argc, char **argv)
{
    static const uint32_t sizes[] = { 4096, 4104, 12288, 65536, 69632 };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pipe/gather/packets", test_gather);
    g_test_add_func("/pipe/gather/limit", test_limit);
    g_test_add_func("/pipe/gather/longest", test_longest);
    g_test_add_func("/pipe/gather/corrupt", test_corrupt);
    g_test_add_func("/pipe/gather/overrun", test_overrun);
    g_test_add_func("/pipe/consume/signal", test_consume_signal);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *path = g_strdup_printf("/pipe/consume/partial/%u", sizes[i]);

        g_test_add_data_func(path, &sizes[i], test_partial_consumption);
    }
    g_test_add_func("/pipe/queue/full", test_queue_full);
    g_test_add_func("/pipe/queue/full-and-wrapped", test_queue_full_and_wrapped);
    g_test_add_func("/pipe/end/alone", test_end_alone);
    g_test_add_func("/pipe/end/behind-data", test_end_behind_data);
    g_test_add_func("/pipe/end/behind-limit", test_end_behind_limit);
    g_test_add_func("/pipe/end/data-behind-it", test_data_behind_end);
    for (size_t i = 0; i < G_N_ELEMENTS(packets); i++) {
        g_autofree char *alone = g_strconcat("/pipe/packet/", packets[i].name, NULL);
        g_autofree char *behind = g_strconcat("/pipe/packet-behind-data/", packets[i].name, NULL);

        g_test_add_data_func(alone, &packets[i], test_packet);
        if (packets[i].expected == HVS_PIPE_PROTOCOL)
            g_test_add_data_func(behind, &packets[i], test_packet_behind_data);
    }
    g_test_add_func("/pipe/message", test_read_message);
    g_test_add_func("/pipe/message/wrap", test_read_message_wrapped);
    g_test_add_func("/pipe/reserve/every-byte-count", test_every_byte_count);
    g_test_add_func("/pipe/reserve/several-packets", test_several_packets);
    g_test_add_func("/pipe/reserve/large-ring", test_large_ring);
    g_test_add_func("/pipe/reserve/wrap", test_wrap_at_every_offset);
    g_test_add_func("/pipe/reserve/limit", test_reserve_limit);
    g_test_add_func("/pipe/reserve/tiny-room", test_tiny_room);
    g_test_add_func("/pipe/reserve/corrupt", test_reserve_corrupt);
    g_test_add_func("/pipe/write/lengths", test_write);
    g_test_add_func("/pipe/write/full", test_write_full);
    return g_test_run();
}
