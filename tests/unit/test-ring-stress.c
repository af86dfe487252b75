/* Two threads hammer a pair of rings: linux/ring.c and linux/pipe.c as the guest, and a host that
 * was written down here from the protocol alone. A wake-up that one side owes the other and does
 * not give leaves both asleep: the watchdog reports that with both headers.
 *
 * The guest's ring.c is compiled into this file, so that pauses of random length can be put where
 * they hurt: between publishing an index, the fence and the look that decides about a signal.
 *
 *     unit-ring-stress [--messages N]    N messages for each direction of each test
 */
#include <stdatomic.h>

static void pause_and_fence(memory_order order);

#undef atomic_thread_fence
#define atomic_thread_fence pause_and_fence
#include "linux/ring.c"
#undef atomic_thread_fence

#include "linux/pipe.h"
#include "naive-ring.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define MESSAGES_DEFAULT 500000u
#define MESSAGES_MANY    500000u
#else
#define MESSAGES_DEFAULT 1000000u
#define MESSAGES_MANY    2500000u /* 5 million both ways */
#endif

#define STALL       20 /* seconds without a message */
#define MESSAGE_MAX 1000u

/* ---- chance ---- */

static _Thread_local uint32_t random_state = 1;
/* One pause in so many places is taken; 0: none. */
static _Thread_local uint32_t pause_rarity = 64;

static uint32_t
chance(uint32_t below)
{
    return naive_random(&random_state) % below;
}

static void
spin(uint32_t at_most)
{
    for (volatile uint32_t i = chance(at_most); i > 0; i--)
        ;
}

static void
pause_sometimes(void)
{
    if (pause_rarity == 0 || chance(pause_rarity) != 0)
        return;
    if (chance(8) == 0)
        sched_yield();
    else
        spin(2000);
}

static void
pause_and_fence(memory_order order)
{
    pause_sometimes();
    __atomic_thread_fence((int)order);
    pause_sometimes();
}

/* ---- what is sent: messages { u32 number; u32 length; bytes that depend on the number } ---- */

static uint8_t pattern[65521 + MESSAGE_MAX];

struct stream {
    uint32_t number; /* of the message that bytes[] holds */
    uint32_t length, done;
    uint8_t bytes[8 + MESSAGE_MAX];
};

static void
stream_load(struct stream *stream, uint32_t number)
{
    uint32_t hash = number * 2654435761u;
    uint32_t length = hash >> 27 ? hash >> 8 & 63 : hash >> 8 & 1023;

    length = MIN(length, MESSAGE_MAX);
    stream->number = number;
    stream->length = 8 + length;
    stream->done = 0;
    memcpy(stream->bytes, &number, 4);
    memcpy(stream->bytes + 4, &length, 4);
    memcpy(stream->bytes + 8, pattern + hash % 65521, length);
}

/* Fills to with the next bytes of the stream, up to the end of message last - 1; how many. */
static size_t
stream_produce(struct stream *stream, uint8_t *to, size_t size, uint32_t last)
{
    size_t filled = 0;

    while (filled < size && stream->number < last) {
        size_t length = MIN(size - filled, stream->length - stream->done);

        memcpy(to + filled, stream->bytes + stream->done, length);
        filled += length;
        stream->done += (uint32_t)length;
        if (stream->done == stream->length)
            stream_load(stream, stream->number + 1);
    }
    return filled;
}

/* The opposite: aborts if bytes are not the next ones. */
static void
stream_check(struct stream *stream, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        size_t length = MIN(count, stream->length - stream->done);

        if (memcmp(bytes, stream->bytes + stream->done, length) != 0)
            g_error("message %u is not what was sent, near byte %u of %u", stream->number,
                    stream->done, stream->length);
        bytes += length;
        count -= length;
        stream->done += (uint32_t)length;
        if (stream->done == stream->length)
            stream_load(stream, stream->number + 1);
    }
}

/* ---- one run ---- */

enum { HOST, GUEST };

struct run {
    uint32_t size;              /* of each ring's data, bytes */
    uint32_t to_host, to_guest; /* messages */
    uint32_t rarity;            /* of pauses */
    uint32_t lull;              /* of the guest after each step, at most that many turns; 0: none */
    struct naive_ring rings[2]; /* by who reads it */
    int wake[2];                /* eventfds: whom they wake */
    atomic_uint received[2];    /* messages, by who received them */
    atomic_uint finished;       /* threads */
    uint64_t signals[2], sleeps[2], blocked[2]; /* by whose they are */
};

static void
send_signal(struct run *run, int from)
{
    const uint64_t one = 1;

    pause_sometimes();
    run->signals[from]++;
    g_assert_cmpint(write(run->wake[!from], &one, sizeof(one)), ==, sizeof(one));
}

static void
sleep_until_signalled(struct run *run, int who)
{
    struct pollfd wake = { .fd = run->wake[who], .events = POLLIN };
    uint64_t count;

    run->sleeps[who]++;
    while (poll(&wake, 1, -1) < 0)
        g_assert_cmpint(errno, ==, EINTR);
    g_assert_cmpint(read(run->wake[who], &count, sizeof(count)), ==, sizeof(count));
}

/* ---- the guest: the code under test ---- */

struct guest {
    struct run *run;
    struct hvs_ring in, out;
    struct hvs_pipe_reader reader;
    struct stream sent, received;
    gboolean ended_out, ended_in;
    uint32_t need; /* of ring space when blocked; 0 otherwise */
};

/* A run of messages straight into the ring. FALSE: no room. */
static gboolean
guest_sends_many(struct guest *guest)
{
    uint32_t limit = 1 + chance(chance(4) ? 200 : guest->run->size);
    struct iovec pieces[HVS_PIPE_PIECES];
    size_t reserved, bytes = 0;
    unsigned count, packets;
    enum hvs_pipe_result result = hvs_pipe_reserve(&guest->out, limit, pieces, &count, &reserved);

    g_assert_cmpint(result, !=, HVS_PIPE_CORRUPT);
    guest->need = hvs_ring_packet_size(9);
    if (result == HVS_PIPE_FULL)
        return FALSE;
    for (unsigned i = 0; i < count; i++)
        bytes += stream_produce(&guest->sent, pieces[i].iov_base, pieces[i].iov_len,
                                guest->run->to_host);
    if (hvs_pipe_publish(&guest->out, bytes, &packets))
        send_signal(guest->run, GUEST);
    return TRUE;
}

/* What is left of one message, or the end of the stream, as one packet. */
static gboolean
guest_sends_one(struct guest *guest)
{
    struct stream *stream = &guest->sent;
    gboolean end = stream->number == guest->run->to_host;
    uint32_t length = end ? 0 : stream->length - stream->done;
    bool signal;
    enum hvs_pipe_result result =
        hvs_pipe_write(&guest->out, stream->bytes + stream->done, length, &signal);

    g_assert_cmpint(result, !=, HVS_PIPE_CORRUPT);
    guest->need = hvs_ring_packet_size(8 + length);
    if (result == HVS_PIPE_FULL)
        return FALSE;
    if (end)
        guest->ended_out = TRUE;
    else
        stream_load(stream, stream->number + 1);
    if (signal)
        send_signal(guest->run, GUEST);
    return TRUE;
}

static gboolean
guest_sends(struct guest *guest)
{
    if (guest->ended_out)
        return FALSE;
    if (guest->sent.number == guest->run->to_host || chance(2))
        return guest_sends_one(guest);
    return guest_sends_many(guest);
}

static gboolean
guest_receives(struct guest *guest)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    uint32_t limit = 1 + chance(chance(4) ? 200 : guest->run->size);
    size_t total = 0, bytes;
    unsigned count;
    enum hvs_pipe_result result;

    if (guest->ended_in)
        return FALSE;
    result = hvs_pipe_gather(&guest->reader, limit, pieces, &count);
    if (result == HVS_PIPE_EMPTY)
        return FALSE;
    if (result == HVS_PIPE_END) {
        guest->ended_in = TRUE;
    } else {
        g_assert_cmpint(result, ==, HVS_PIPE_OK);
        for (unsigned i = 0; i < count; i++)
            total += pieces[i].iov_len;
    }
    bytes = chance(2) ? total : chance((uint32_t)total + 1);
    total = bytes;
    for (unsigned i = 0; total > 0; i++) {
        size_t length = MIN(total, pieces[i].iov_len);

        stream_check(&guest->received, pieces[i].iov_base, length);
        total -= length;
    }
    if (hvs_pipe_consume(&guest->reader, bytes))
        send_signal(guest->run, GUEST);
    atomic_store(&guest->run->received[GUEST], guest->received.number);
    return TRUE;
}

/* Sleeps, if nothing happened meanwhile that there will be no signal for. */
static void
guest_waits(struct guest *guest)
{
    if (!hvs_ring_prepare_to_wait(&guest->in))
        return;
    if (!guest->ended_out) {
        /* 0: just what is needed; 1: what one should ask for; 2: anything. */
        uint32_t choice = chance(4), size = guest->run->size;
        uint32_t wanted = choice == 0 ? 0 : choice == 1 ? size / 4 & ~7u : chance(size - 8) & ~7u;
        enum hvs_ring_result result;

        wanted = MAX(wanted, guest->need);
        result = choice == 3 ? hvs_ring_want_drained(&guest->out)
                             : hvs_ring_want_room(&guest->out, wanted);
        g_assert_cmpint(result, !=, HVS_RING_CORRUPT);
        if (result == HVS_RING_OK)
            return;
        guest->run->blocked[GUEST]++;
    }
    sleep_until_signalled(guest->run, GUEST);
}

static gpointer
guest_thread(gpointer data)
{
    struct run *run = data;
    struct guest guest = { .run = run };

    random_state = 0x600d;
    pause_rarity = run->rarity;
    g_assert_cmpint(hvs_ring_init_writer(&guest.out, run->rings[HOST].memory,
                                         run->rings[HOST].length, NAIVE_PAGE),
                    ==, HVS_RING_OK);
    g_assert_cmpint(hvs_ring_init_reader(&guest.in, run->rings[GUEST].memory,
                                         run->rings[GUEST].length, NAIVE_PAGE),
                    ==, HVS_RING_OK);
    hvs_pipe_reader_init(&guest.reader, &guest.in);
    stream_load(&guest.sent, 0);
    stream_load(&guest.received, 0);
    while (!guest.ended_in || !guest.ended_out) {
        gboolean received, sent;

        if (chance(2))
            hvs_ring_mask(&guest.in);
        received = guest_receives(&guest);
        sent = guest_sends(&guest);
        if (run->lull > 0)
            spin(run->lull);
        pause_sometimes();
        if (!received && !sent && !(guest.ended_in && guest.ended_out))
            guest_waits(&guest);
    }
    g_assert_cmpuint(guest.received.number, ==, run->to_guest);
    atomic_fetch_add(&run->finished, 1);
    return NULL;
}

/* ---- the host: the protocol, written down once more ---- */

struct host {
    struct run *run;
    uint32_t read, released; /* guest → host: next to read, last published */
    uint32_t write;          /* host → guest */
    struct stream sent, received;
    gboolean ended_out, ended_in;
    uint32_t need; /* ring space that the next packet takes */
};

static uint32_t
load(struct run *run, int reader, unsigned word)
{
    return __atomic_load_n((uint32_t *)(void *)run->rings[reader].memory + word, __ATOMIC_SEQ_CST);
}

static void
store(struct run *run, int reader, unsigned word, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)run->rings[reader].memory + word, value, __ATOMIC_SEQ_CST);
    pause_and_fence(memory_order_seq_cst);
}

static uint32_t
host_free(const struct run *run, uint32_t read, uint32_t write)
{
    return run->size - (write + run->size - read) % run->size;
}

/* Gives the guest its room back; tells it if it waits for that. */
static void
host_releases(struct host *host)
{
    struct run *run = host->run;
    uint32_t before = host->released, pending, write;

    if (host->read == before)
        return;
    store(run, HOST, READ_INDEX, host->read);
    host->released = host->read;
    g_assert_cmpuint(load(run, HOST, FEATURE_BITS), ==, 1);
    pending = load(run, HOST, PENDING_SEND_SZ);
    if (pending == 0)
        return;
    g_assert_cmpuint(pending % 8, ==, 0);
    g_assert_cmpuint(pending, <, run->size);
    write = load(run, HOST, WRITE_INDEX);
    if (host_free(run, before, write) <= pending && host_free(run, host->read, write) > pending)
        send_signal(run, HOST);
}

/* One packet; FALSE: none there. */
static gboolean
host_receives(struct host *host)
{
    static uint8_t bytes[65536];
    struct naive_ring *ring = &host->run->rings[HOST];
    uint32_t write, payload_length, length, type;

    if (host->ended_in)
        return FALSE;
    write = load(host->run, HOST, WRITE_INDEX);
    g_assert_cmpuint(write, <, ring->size);
    g_assert_cmpuint(write % 8, ==, 0);
    if (write == host->read)
        return FALSE;
    host->read = naive_take_packet(ring, host->read, bytes, &payload_length);
    memcpy(&type, bytes, 4);
    memcpy(&length, bytes + 4, 4);
    g_assert_cmpuint(type, ==, 1);
    g_assert_cmpuint(8 + length, <=, payload_length);
    for (uint32_t i = 8 + length; i < payload_length; i++)
        g_assert_cmphex(bytes[i], ==, 0);
    stream_check(&host->received, bytes + 8, length);
    host->ended_in = length == 0;
    /* Not after each packet, but never with more than a quarter held. */
    if (host->ended_in || chance(4) == 0 ||
        (host->read + ring->size - host->released) % ring->size >= ring->size / 4)
        host_releases(host);
    atomic_store(&host->run->received[HOST], host->received.number);
    return TRUE;
}

/* Some packets, published at once; FALSE: no room for the first. */
static gboolean
host_sends(struct host *host)
{
    struct naive_ring *ring = &host->run->rings[GUEST];
    uint32_t before = host->write, packets = 1 + chance(4);
    uint32_t read = load(host->run, GUEST, READ_INDEX);

    if (host->ended_out)
        return FALSE;
    g_assert_cmpuint(read, <, ring->size);
    g_assert_cmpuint(read % 8, ==, 0);
    while (packets-- > 0 && !host->ended_out) {
        struct stream *stream = &host->sent;
        gboolean end = stream->number == host->run->to_guest;
        uint32_t length = end ? 0 : stream->length - stream->done;
        uint8_t payload[8 + sizeof(stream->bytes)] = { 1 };

        if (length > 1 && chance(4) == 0)
            length = 1 + chance(length - 1); /* a message in several packets */
        host->need = naive_packet_size(8 + length);
        if (host_free(host->run, read, host->write) <= host->need)
            break;
        memcpy(payload + 4, &length, 4);
        if (!end)
            stream_produce(stream, payload + 8, length, host->run->to_guest);
        host->write = naive_put_packet(ring, host->write, payload, 8 + length);
        host->ended_out = end;
    }
    if (host->write == before)
        return FALSE;
    store(host->run, GUEST, PENDING_SEND_SZ, 0);
    store(host->run, GUEST, WRITE_INDEX, host->write);
    if (load(host->run, GUEST, INTERRUPT_MASK) == 0 && load(host->run, GUEST, READ_INDEX) == before)
        send_signal(host->run, HOST);
    return TRUE;
}

static void
host_waits(struct host *host)
{
    struct run *run = host->run;

    host_releases(host);
    store(run, HOST, INTERRUPT_MASK, 0);
    if (!host->ended_in && load(run, HOST, WRITE_INDEX) != host->read)
        return;
    if (!host->ended_out) {
        uint32_t wanted = chance(run->size - 8) & ~7u;

        store(run, GUEST, PENDING_SEND_SZ, MAX(wanted, host->need));
        if (host_free(run, load(run, GUEST, READ_INDEX), host->write) > host->need)
            return;
        run->blocked[HOST]++;
    }
    sleep_until_signalled(run, HOST);
}

static gpointer
host_thread(gpointer data)
{
    struct run *run = data;
    struct host host = { .run = run };

    random_state = 0x4057;
    pause_rarity = run->rarity;
    stream_load(&host.sent, 0);
    stream_load(&host.received, 0);
    while (!host.ended_in || !host.ended_out) {
        gboolean received, sent;

        store(run, HOST, INTERRUPT_MASK, chance(2));
        received = host_receives(&host);
        sent = host_sends(&host);
        pause_sometimes();
        if (!received && !sent && !(host.ended_in && host.ended_out))
            host_waits(&host);
    }
    g_assert_cmpuint(host.received.number, ==, run->to_host);
    atomic_fetch_add(&run->finished, 1);
    return NULL;
}

/* ---- the watchdog ---- */

static void
dump_headers(const struct run *run)
{
    static const char *const names[] = { "guest to host", "host to guest" };

    for (unsigned i = 0; i < 2; i++) {
        const volatile uint32_t *words = run->rings[i].words;

        g_printerr("%s: %u messages received; write_index %u, read_index %u, interrupt_mask %u, "
                   "pending_send_sz %u, feature_bits %u, of %u bytes\n",
                   names[i], atomic_load(&run->received[i]), words[WRITE_INDEX], words[READ_INDEX],
                   words[INTERRUPT_MASK], words[PENDING_SEND_SZ], words[FEATURE_BITS], run->size);
    }
}

static void
watch(const struct run *run)
{
    gint64 since = g_get_monotonic_time();
    uint64_t known = 0;

    while (atomic_load(&run->finished) < 2) {
        uint64_t now = (uint64_t)atomic_load(&run->received[HOST]) +
                       atomic_load(&run->received[GUEST]) + atomic_load(&run->finished);

        if (now != known) {
            known = now;
            since = g_get_monotonic_time();
        } else if (g_get_monotonic_time() - since > STALL * G_USEC_PER_SEC) {
            dump_headers(run);
            g_error("no message for %d seconds: a wake-up was lost", STALL);
        }
        g_usleep(5000);
    }
}

/* ---- */

static uint32_t messages; /* for each direction; 0: as many as the test has */

struct variant {
    const char *name;
    uint32_t size;
    gboolean to_host, to_guest;
    uint32_t rarity, lull;
    uint32_t messages; /* 0: MESSAGES_DEFAULT */
};

static const struct variant variants[] = {
    { "to-host", 4096, TRUE, FALSE, 64, 0, 0 },
    { "to-guest", 4096, FALSE, TRUE, 64, 0, 0 },
    { "to-host-unpaused", 4096, TRUE, FALSE, 0, 0, 0 },
    { "to-guest-unpaused", 4096, FALSE, TRUE, 0, 0, 0 },
    /* So that the host is about to sleep whenever the guest does something. */
    { "to-host-lulls", 4096, TRUE, FALSE, 0, 5000, 0 },
    { "to-guest-lulls", 4096, FALSE, TRUE, 0, 5000, 0 },
    { "both", 4096, TRUE, TRUE, 64, 0, MESSAGES_MANY },
    { "both-larger", 65536, TRUE, TRUE, 16, 0, 0 },
    { "both-odd-size", 5000, TRUE, TRUE, 256, 0, 0 },
};

static void
test_variant(gconstpointer data)
{
    const struct variant *variant = data;
    uint32_t count = messages > 0           ? messages :
                     variant->messages > 0 ? variant->messages :
                                             MESSAGES_DEFAULT;
    struct run run = {
        .size = variant->size,
        .to_host = variant->to_host ? count : 0,
        .to_guest = variant->to_guest ? count : 0,
        .rarity = variant->rarity,
        .lull = variant->lull,
    };
    uint32_t total = run.to_host + run.to_guest;
    GThread *guest, *host;
    gint64 start;
    double seconds;

    for (unsigned i = 0; i < 2; i++) {
        run.rings[i] = naive_ring_new(run.size);
        run.wake[i] = eventfd(0, EFD_CLOEXEC);
        g_assert_cmpint(run.wake[i], >=, 0);
    }
    /* The writers say that they use pending_send_sz before anybody reads. */
    run.rings[HOST].words[FEATURE_BITS] = run.rings[GUEST].words[FEATURE_BITS] = 1;
    start = g_get_monotonic_time();
    guest = g_thread_new("guest", guest_thread, &run);
    host = g_thread_new("host", host_thread, &run);
    watch(&run);
    g_thread_join(guest);
    g_thread_join(host);
    seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    g_test_message("%u messages in %.1f s, %.0f a second; guest: %" G_GUINT64_FORMAT
                   " signals, %" G_GUINT64_FORMAT " sleeps, %" G_GUINT64_FORMAT
                   " blocked; host: %" G_GUINT64_FORMAT " signals, %" G_GUINT64_FORMAT
                   " sleeps, %" G_GUINT64_FORMAT " blocked",
                   total, seconds, total / seconds, run.signals[GUEST], run.sleeps[GUEST],
                   run.blocked[GUEST], run.signals[HOST], run.sleeps[HOST], run.blocked[HOST]);
    for (unsigned i = 0; i < 2; i++) {
        naive_ring_free(&run.rings[i]);
        close(run.wake[i]);
    }
}

int
main(int argc, char **argv)
{
    uint32_t random = 0x9a77e;

    g_test_init(&argc, &argv, NULL);
    if (argc == 3 && g_str_equal(argv[1], "--messages"))
        messages = (uint32_t)g_ascii_strtoull(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(naive_random(&random) >> 5);
    for (size_t i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strconcat("/ring-stress/", variants[i].name, NULL);

        g_test_add_data_func(path, &variants[i], test_variant);
    }
    return g_test_run();
}
