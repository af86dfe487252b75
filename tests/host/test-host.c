/* The simulated host against a naive guest: byte by byte, one packet at a time, clearly correct and
 * independent of linux/ and of the host. Proves that the host signals when it should and only then,
 * and that it finds out every breach. */
#include "hvhost-protocol.h"
#include "hvhost.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT 20000
#define PAGE    ((uint32_t)sysconf(_SC_PAGESIZE))
#define KIB_16  16384u

/* -- the guest -- */

enum word {
    WRITE_INDEX = 0,
    READ_INDEX = 4,
    INTERRUPT_MASK = 8,
    PENDING_SEND_SZ = 12,
    FEATURE_BITS = 64
};

struct channel {
    int fd;
    uint8_t *map;
    size_t map_size;
    uint8_t *out, *in; /* the rings: header page, data */
    uint32_t size;     /* of the data */
};

struct fixture {
    char *directory;
    char *path;
    hvhost *host;
    int guest; /* connection for offers */
};

static uint32_t
get(uint8_t *ring, enum word word)
{
    return __atomic_load_n((uint32_t *)(void *)(ring + word), __ATOMIC_SEQ_CST);
}

static void
set(uint8_t *ring, enum word word, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)(ring + word), value, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void
put_bytes(struct channel *channel, uint32_t at, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        channel->out[PAGE + (at + i) % channel->size] = ((const uint8_t *)bytes)[i];
}

static void
get_bytes(struct channel *channel, uint32_t at, void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = channel->in[PAGE + (at + i) % channel->size];
}

static uint32_t
used(struct channel *channel, uint8_t *ring)
{
    return (get(ring, WRITE_INDEX) + channel->size - get(ring, READ_INDEX)) % channel->size;
}

static void
signal_host(struct channel *channel)
{
    g_assert_cmpint(write(channel->fd, &(int32_t){ 1 }, 4), ==, 4);
}

/* Every field of a packet, so that a test can get one wrong. */
struct packet {
    uint16_t type, data_offset8, length8, flags;
    uint64_t transaction;
    uint32_t pipe_type, pipe_length;
    const void *data;
    uint32_t data_length;
    uint8_t padding;
    uint32_t trailer_low, trailer_high;
    uint32_t published; /* bytes that write_index moves on */
};

static struct packet
good_packet(struct channel *channel, const void *data, uint32_t length)
{
    uint32_t padded = (length + 7) / 8 * 8;

    return (struct packet){
        .type = 6,
        .data_offset8 = 2,
        .length8 = (uint16_t)(3 + padded / 8),
        .pipe_type = 1,
        .pipe_length = length,
        .data = data,
        .data_length = length,
        .trailer_high = get(channel->out, WRITE_INDEX),
        .published = 32 + padded,
    };
}

/* Puts it into the ring and publishes. Returns whether the rules ask for a signal. */
static bool
put_packet(struct channel *channel, const struct packet *packet)
{
    uint32_t start = get(channel->out, WRITE_INDEX), padded = (packet->data_length + 7) / 8 * 8;
    uint8_t padding[8];

    memset(padding, packet->padding, sizeof padding);
    put_bytes(channel, start, &packet->type, 2);
    put_bytes(channel, start + 2, &packet->data_offset8, 2);
    put_bytes(channel, start + 4, &packet->length8, 2);
    put_bytes(channel, start + 6, &packet->flags, 2);
    put_bytes(channel, start + 8, &packet->transaction, 8);
    put_bytes(channel, start + 16, &packet->pipe_type, 4);
    put_bytes(channel, start + 20, &packet->pipe_length, 4);
    put_bytes(channel, start + 24, packet->data, packet->data_length);
    put_bytes(channel, start + 24 + packet->data_length, padding, padded - packet->data_length);
    put_bytes(channel, start + 24 + padded, &packet->trailer_low, 4);
    put_bytes(channel, start + 28 + padded, &packet->trailer_high, 4);
    set(channel->out, WRITE_INDEX, (start + packet->published) % channel->size);
    return get(channel->out, INTERRUPT_MASK) == 0 && get(channel->out, READ_INDEX) == start;
}

static bool
fits(struct channel *channel, uint32_t length)
{
    return channel->size - used(channel, channel->out) > 32 + (length + 7) / 8 * 8;
}

static void
send_data(struct channel *channel, const void *data, uint32_t length)
{
    struct packet packet = good_packet(channel, data, length);

    g_assert_true(fits(channel, length));
    if (put_packet(channel, &packet))
        signal_host(channel);
}

/* The next packet's data, or -1 if there is none. Checks what a host has to write. */
static int
receive_data(struct channel *channel, uint8_t *data, size_t size)
{
    uint32_t at = get(channel->in, READ_INDEX), write = get(channel->in, WRITE_INDEX);
    uint32_t pending, room_before, room_after, packet;
    struct {
        uint16_t type, data_offset8, length8, flags;
        uint64_t transaction;
        uint32_t pipe_type, length;
    } front;
    uint8_t padding[8];
    uint32_t trailer[2];

    if (at == write)
        return -1;
    get_bytes(channel, at, &front, sizeof front);
    packet = front.length8 * 8u;
    g_assert_cmpuint(front.type, ==, 6);
    g_assert_cmpuint(front.data_offset8, ==, 2);
    g_assert_cmpuint(front.flags, ==, 0);
    g_assert_cmpuint(front.pipe_type, ==, 1);
    g_assert_cmpuint(front.length, <=, size);
    g_assert_cmpuint(packet, ==, 24 + (front.length + 7) / 8 * 8);
    g_assert_cmpuint(packet + 8, <=, used(channel, channel->in));
    get_bytes(channel, at + 24, data, front.length);
    get_bytes(channel, at + 24 + front.length, padding, packet - 24 - front.length);
    for (uint32_t i = 0; i < packet - 24 - front.length; i++)
        g_assert_cmpuint(padding[i], ==, 0);
    get_bytes(channel, at + packet, trailer, 8);
    g_assert_cmpuint(trailer[0], ==, 0);
    g_assert_cmpuint(trailer[1], ==, at);

    room_before = channel->size - used(channel, channel->in);
    set(channel->in, READ_INDEX, (at + packet + 8) % channel->size);
    pending = get(channel->in, PENDING_SEND_SZ) & ~7u;
    room_after = channel->size - used(channel, channel->in);
    if (get(channel->in, FEATURE_BITS) & 1 && pending != 0 && room_before <= pending &&
        room_after > pending)
        signal_host(channel);
    return (int)front.length;
}

/* The number of signals that have come. */
static int
take_signals(struct channel *channel)
{
    int32_t value;
    int n = 0;

    while (read(channel->fd, &value, sizeof value) == sizeof value)
        n++;
    return n;
}

static void
wait_signal(struct channel *channel)
{
    struct pollfd fd = { .fd = channel->fd, .events = POLLIN };

    g_assert_cmpint(poll(&fd, 1, TIMEOUT), ==, 1);
    g_assert_cmpint(fd.revents, ==, POLLIN);
    g_assert_cmpint(take_signals(channel), >, 0);
}

static void
close_channel(struct channel *channel)
{
    munmap(channel->map, channel->map_size);
    close(channel->fd);
    channel->fd = -1;
}

/* -- the connection for offers -- */

static struct hvhost_message
receive_message(struct fixture *fixture, int fds[HVHOST_MESSAGE_FDS])
{
    struct hvhost_message message = { 0 };
    struct iovec piece = { &message, sizeof message };
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * HVHOST_MESSAGE_FDS)];
    } control;
    struct msghdr header = { .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control };
    ssize_t n = recvmsg(fixture->guest, &header, MSG_CMSG_CLOEXEC);

    if (n == 0)
        return message;
    g_assert_cmpint(n, ==, sizeof message);
    if (CMSG_FIRSTHDR(&header) != NULL)
        memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(int) * HVHOST_MESSAGE_FDS);
    return message;
}

/* The offer's number, or 0 for a message of another kind. */
static uint32_t
expect_message(struct fixture *fixture, enum hvhost_message_type type, unsigned channel)
{
    struct hvhost_message message = receive_message(fixture, NULL);

    g_assert_cmpuint(message.type, ==, type);
    g_assert_cmpuint(message.channel, ==, channel);
    return message.offer;
}

static void
request_open(struct fixture *fixture, unsigned channel, uint32_t offer)
{
    struct hvhost_message message = { .type = HVHOST_MESSAGE_OPEN,
                                      .channel = channel,
                                      .offer = offer };

    g_assert_cmpint(send(fixture->guest, &message, sizeof message, 0), ==, sizeof message);
}

static void
take_open(struct fixture *fixture, unsigned number, struct channel *channel)
{
    int fds[HVHOST_MESSAGE_FDS] = { -1, -1 };
    struct hvhost_message message = receive_message(fixture, fds);

    g_assert_cmpuint(message.type, ==, HVHOST_MESSAGE_OPENED);
    g_assert_cmpuint(message.channel, ==, number);
    channel->map_size = message.map_size;
    channel->map = mmap(NULL, channel->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    g_assert_true(channel->map != MAP_FAILED);
    close(fds[0]);
    channel->fd = fds[1];
    channel->out = channel->map;
    channel->in = channel->map + channel->map_size / 2;
    channel->size = (uint32_t)(channel->map_size / 2) - PAGE;
}

/* Offers a data channel and opens it from both sides. */
static hvhost_channel *
connect_channel(struct fixture *fixture, unsigned number, struct channel *channel)
{
    hvhost_channel *open;

    g_assert_cmpint(hvhost_offer(fixture->host, number), ==, 0);
    request_open(fixture, number, expect_message(fixture, HVHOST_MESSAGE_OFFER, number));
    take_open(fixture, number, channel);
    open = hvhost_wait_open(fixture->host, number, TIMEOUT);
    g_assert_nonnull(open);
    return open;
}

static void
connect_guest(struct fixture *fixture)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    g_strlcpy(address.sun_path, fixture->path, sizeof address.sun_path);
    fixture->guest = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fixture->guest, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_true(hvhost_wait(fixture->host, HVHOST_GUEST_CONNECTED, 0,
                              hvhost_count(fixture->host, HVHOST_GUEST_GONE, 0) + 1, TIMEOUT));
}

static void
start(struct fixture *fixture, void (*adjust)(struct hvhost_options *))
{
    struct hvhost_options options;

    fixture->directory = g_dir_make_tmp("test-host-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "host", NULL);
    hvhost_options_init(&options, fixture->path);
    options.offer_control = false;
    if (adjust)
        adjust(&options);
    fixture->host = hvhost_new(&options);
    g_assert_nonnull(fixture->host);
    connect_guest(fixture);
}

static void
stop(struct fixture *fixture)
{
    close(fixture->guest);
    hvhost_free(fixture->host);
    g_assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    g_rmdir(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->directory);
}

static void
expect_no_breach(struct fixture *fixture)
{
    if (hvhost_breaches(fixture->host) > 0)
        g_error("%s", hvhost_breach(fixture->host, 0));
}

static void
small_ring(struct hvhost_options *options)
{
    options->ring_size = PAGE;
}

static void
ring_16k(struct hvhost_options *options)
{
    options->ring_size = KIB_16;
}

static void
never_masks(struct hvhost_options *options)
{
    options->masking = HVHOST_MASK_NEVER;
}

static void
always_masks(struct hvhost_options *options)
{
    options->masking = HVHOST_MASK_ALWAYS;
}

static void
kernel_masks(struct hvhost_options *options)
{
    options->kernel_masks = true;
}

/* -- offers -- */

static void
test_offer_and_rescind(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    struct pollfd fd;
    uint32_t offer;

    start(&f, NULL);
    open = connect_channel(&f, 3, &channel);
    g_assert_cmpuint(channel.size, ==, HVHOST_RING_SIZE);
    g_assert_cmpint(hvhost_offer(f.host, 3), ==, -EEXIST);
    g_assert_cmpint(hvhost_rescind(f.host, 3), ==, 0);
    g_assert_cmpint(hvhost_rescind(f.host, 3), ==, -ENOENT);
    offer = expect_message(&f, HVHOST_MESSAGE_RESCIND, 3);
    fd = (struct pollfd){ .fd = channel.fd };
    g_assert_cmpint(poll(&fd, 1, TIMEOUT), ==, 1);
    g_assert_true(fd.revents & POLLHUP);
    g_assert_cmpint(read(channel.fd, &(int32_t){ 0 }, 4), ==, 0);
    g_assert_cmpint(hvhost_channel_write(open, "x", 1, TIMEOUT), ==, -EPIPE);

    /* Opening what was taken back. */
    request_open(&f, 3, offer);
    expect_message(&f, HVHOST_MESSAGE_FAILED, 3);

    g_assert_false(hvhost_channel_wait_closed(open, 20));
    close_channel(&channel);
    g_assert_true(hvhost_channel_wait_closed(open, TIMEOUT));
    hvhost_channel_unref(open);

    /* A new offer has a new number, and the old one opens nothing. */
    g_assert_cmpint(hvhost_offer(f.host, 3), ==, 0);
    g_assert_cmpuint(expect_message(&f, HVHOST_MESSAGE_OFFER, 3), ==, offer + 1);
    request_open(&f, 3, offer);
    expect_message(&f, HVHOST_MESSAGE_FAILED, 3);
    request_open(&f, 3, offer + 1);
    take_open(&f, 3, &channel);
    close_channel(&channel);
    g_assert_true(hvhost_wait(f.host, HVHOST_CLOSED, 3, 2, TIMEOUT));
    expect_no_breach(&f);
    stop(&f);
}

static void
test_open_again(void)
{
    struct fixture f;
    struct channel channel, again;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    close_channel(&channel);
    request_open(&f, 1, 1);
    take_open(&f, 1, &again);
    g_assert_true(hvhost_channel_wait_closed(open, TIMEOUT));
    expect_no_breach(&f);
    hvhost_channel_unref(open);
    request_open(&f, 1, 1);
    expect_message(&f, HVHOST_MESSAGE_FAILED, 1);
    g_assert_true(hvhost_wait(f.host, HVHOST_BREACH, 1, 1, TIMEOUT));
    g_assert_nonnull(strstr(hvhost_breach(f.host, 0), "opened though it is open"));
    close_channel(&again);
    stop(&f);
}

static void
test_control_takes_data_along(void)
{
    struct fixture f;
    struct channel channels[2];

    start(&f, NULL);
    g_assert_cmpint(hvhost_offer(f.host, 0), ==, 0);
    expect_message(&f, HVHOST_MESSAGE_OFFER, 0);
    hvhost_channel_unref(connect_channel(&f, 2, &channels[0]));
    hvhost_channel_unref(connect_channel(&f, 4, &channels[1]));
    hvhost_rescind(f.host, 0);
    expect_message(&f, HVHOST_MESSAGE_RESCIND, 0);
    expect_message(&f, HVHOST_MESSAGE_RESCIND, 2);
    expect_message(&f, HVHOST_MESSAGE_RESCIND, 4);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(read(channels[i].fd, &(int32_t){ 0 }, 4), ==, 0);
        close_channel(&channels[i]);
    }
    g_assert_true(hvhost_wait(f.host, HVHOST_CLOSED, 2, 1, TIMEOUT));
    g_assert_true(hvhost_wait(f.host, HVHOST_CLOSED, 4, 1, TIMEOUT));
    stop(&f);
}

static void
test_rescind_on_open(void)
{
    struct fixture f;
    struct channel channel;

    start(&f, NULL);
    hvhost_rescind_on_open(f.host, 1, true);
    hvhost_offer(f.host, 1);
    request_open(&f, 1, expect_message(&f, HVHOST_MESSAGE_OFFER, 1));
    expect_message(&f, HVHOST_MESSAGE_RESCIND, 1);
    expect_message(&f, HVHOST_MESSAGE_FAILED, 1);

    hvhost_rescind_on_open(f.host, 1, false);
    hvhost_offer(f.host, 1);
    request_open(&f, 1, expect_message(&f, HVHOST_MESSAGE_OFFER, 1));
    take_open(&f, 1, &channel);
    expect_message(&f, HVHOST_MESSAGE_RESCIND, 1);
    close_channel(&channel);
    stop(&f);
}

static void
test_rescind_after(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t bytes[100];

    start(&f, NULL);
    hvhost_rescind_after(f.host, 1, 300);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpint(hvhost_channel_write(open, bytes, 100, TIMEOUT), ==, 0);
    send_data(&channel, bytes, 100);
    g_assert_cmpint(hvhost_channel_read_all(open, bytes, 100, TIMEOUT), ==, 0);
    g_assert_true(hvhost_channel_is_open(open));
    g_assert_cmpint(hvhost_channel_write(open, bytes, 100, TIMEOUT), ==, 0);
    g_assert_false(hvhost_channel_is_open(open));
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_failing_opens(void)
{
    struct fixture f;
    struct channel channel;
    struct hvhost_message message;
    uint32_t offer;

    start(&f, NULL);
    hvhost_fail_opens(f.host, 5, ENOMEM);
    hvhost_offer(f.host, 5);
    offer = expect_message(&f, HVHOST_MESSAGE_OFFER, 5);
    request_open(&f, 5, offer);
    message = receive_message(&f, NULL);
    g_assert_cmpuint(message.type, ==, HVHOST_MESSAGE_FAILED);
    g_assert_cmpuint(message.error, ==, ENOMEM);
    hvhost_fail_opens(f.host, 5, 0);
    request_open(&f, 5, offer);
    take_open(&f, 5, &channel);
    close_channel(&channel);
    stop(&f);
}

static void
test_guest_comes_and_goes(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 2, &channel);
    hvhost_drop_guest(f.host);
    g_assert_cmpuint(receive_message(&f, NULL).type, ==, 0);
    g_assert_true(hvhost_wait(f.host, HVHOST_GUEST_GONE, 0, 1, TIMEOUT));
    g_assert_false(hvhost_channel_is_open(open));
    close_channel(&channel);
    close(f.guest);
    g_assert_true(hvhost_channel_wait_closed(open, TIMEOUT));
    hvhost_channel_unref(open);

    connect_guest(&f);
    expect_message(&f, HVHOST_MESSAGE_OFFER, 2);
    stop(&f);
}

/* -- the control channel -- */

static void
open_control(struct fixture *fixture, struct channel *control)
{
    hvhost_offer(fixture->host, 0);
    request_open(fixture, 0, expect_message(fixture, HVHOST_MESSAGE_OFFER, 0));
    take_open(fixture, 0, control);
}

static const uint8_t version_request[16] = { 1, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };

static void
test_version(gconstpointer data)
{
    enum hvhost_version_policy policy = (enum hvhost_version_policy)GPOINTER_TO_UINT(data);
    struct fixture f;
    struct channel control;
    uint8_t answer[64];
    int n;

    start(&f, NULL);
    hvhost_set_version(f.host, policy, 5);
    open_control(&f, &control);
    send_data(&control, version_request, sizeof version_request);
    g_assert_true(hvhost_wait(f.host, HVHOST_VERSION_REQUEST, 0, 1, TIMEOUT));
    if (policy != HVHOST_VERSION_SILENT) {
        g_assert_true(hvhost_wait(f.host, HVHOST_VERSION_ANSWER, 0, 1, TIMEOUT));
        wait_signal(&control);
    }
    n = receive_data(&control, answer, sizeof answer);
    g_assert_cmpint(n, ==,
                    policy == HVHOST_VERSION_SILENT  ? -1
                    : policy == HVHOST_VERSION_ERROR ? 8
                    : policy == HVHOST_VERSION_SHORT ? 16
                                                     : 17);
    if (n > 0)
        g_assert_cmpuint(answer[0], ==,
                         policy == HVHOST_VERSION_ERROR ? 0
                         : policy == HVHOST_VERSION_BAD ? 0x77
                                                        : 2);
    if (n == 17)
        g_assert_cmpuint(answer[16], ==, policy == HVHOST_VERSION_ACCEPT ? 2 : 0);
    g_assert_cmpint(hvhost_wait_ready(f.host, 0), ==, policy == HVHOST_VERSION_ACCEPT);
    expect_no_breach(&f);
    close_channel(&control);
    stop(&f);
}

static void
test_bad_version_request(void)
{
    struct fixture f;
    struct channel control;

    start(&f, NULL);
    open_control(&f, &control);
    send_data(&control, version_request, 12);
    g_assert_true(hvhost_wait(f.host, HVHOST_BREACH, 0, 1, TIMEOUT));
    g_assert_nonnull(strstr(hvhost_breach(f.host, 0), "no version request"));
    close_channel(&control);
    stop(&f);
}

/* -- signals -- */

static void
test_signal_when_empty_only(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t data[16];

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpint(hvhost_channel_write(open, "one", 3, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 1);
    g_assert_cmpint(hvhost_channel_write(open, "two", 3, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 0);
    g_assert_cmpint(receive_data(&channel, data, sizeof data), ==, 3);
    g_assert_cmpint(hvhost_channel_write(open, "three", 5, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 0);
    g_assert_cmpint(receive_data(&channel, data, sizeof data), ==, 3);
    g_assert_cmpint(receive_data(&channel, data, sizeof data), ==, 5);
    g_assert_cmpint(receive_data(&channel, data, sizeof data), ==, -1);
    g_assert_cmpint(hvhost_channel_write(open, "four", 4, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 1);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_no_signal_when_masked(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpuint(get(channel.in, INTERRUPT_MASK), ==, 0);
    set(channel.in, INTERRUPT_MASK, 1);
    g_assert_cmpint(hvhost_channel_write(open, "one", 3, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 0);
    g_assert_cmpint(hvhost_channel_signal(open), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 1);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_kernel_masks(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, kernel_masks);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpuint(get(channel.in, INTERRUPT_MASK), ==, 1);
    set(channel.in, INTERRUPT_MASK, 0);
    g_assert_cmpint(hvhost_channel_write(open, "one", 3, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 1);
    g_assert_cmpuint(get(channel.in, INTERRUPT_MASK), ==, 1);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* The case of the specification: a ring of 16 KiB full of 4,000-byte packets, the guest waits for
 * more than 8,048 bytes: 372 are free, then 4,404, then 8,436. */
static void
test_guest_waits_for_room(gconstpointer data)
{
    bool feature = GPOINTER_TO_INT(data);
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t bytes[4000] = { 0 };

    start(&f, ring_16k);
    open = connect_channel(&f, 1, &channel);
    for (int i = 0; i < 4; i++)
        send_data(&channel, bytes, sizeof bytes);
    g_assert_false(fits(&channel, sizeof bytes));
    g_assert_cmpuint(get(channel.out, FEATURE_BITS), ==, 1);
    if (!feature)
        set(channel.out, FEATURE_BITS, 0);
    set(channel.out, PENDING_SEND_SZ, 8048 + 3); /* the low bits do not count */
    g_assert_cmpint(hvhost_channel_read_packet(open, bytes, sizeof bytes, 0), ==, 4000);
    g_assert_cmpint(take_signals(&channel), ==, 0);
    g_assert_cmpint(hvhost_channel_read_packet(open, bytes, sizeof bytes, 0), ==, 4000);
    g_assert_cmpint(take_signals(&channel), ==, feature ? 1 : 0);
    g_assert_cmpint(hvhost_channel_read_packet(open, bytes, sizeof bytes, 0), ==, 4000);
    g_assert_cmpint(hvhost_channel_read_packet(open, bytes, sizeof bytes, 0), ==, 4000);
    g_assert_cmpint(take_signals(&channel), ==, 0);
    expect_no_breach(&f);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_host_waits_for_room(void)
{
    struct fixture f;
    struct channel channel;
    struct hvhost_counters counters;
    hvhost_channel *open;
    uint8_t bytes[4000] = { 0 };

    start(&f, ring_16k);
    open = connect_channel(&f, 1, &channel);
    for (int i = 0; i < 4; i++)
        g_assert_cmpint(hvhost_channel_try_write(open, bytes, sizeof bytes), ==, sizeof bytes);
    g_assert_cmpuint(get(channel.in, PENDING_SEND_SZ), ==, 0);
    g_assert_cmpint(hvhost_channel_try_write(open, bytes, sizeof bytes), ==, -EAGAIN);
    g_assert_cmpuint(get(channel.in, PENDING_SEND_SZ), ==, 4096);
    g_assert_cmpint(hvhost_channel_write(open, bytes, sizeof bytes, 0), ==, -ETIMEDOUT);
    /* 4,400 bytes are free after the first, more than were asked for. */
    g_assert_cmpint(receive_data(&channel, bytes, sizeof bytes), ==, 4000);
    hvhost_channel_counters(open, &counters);
    g_assert_cmpuint(counters.times_full, ==, 1);
    g_assert_cmpint(hvhost_channel_write(open, bytes, sizeof bytes, TIMEOUT), ==, 0);
    g_assert_cmpuint(get(channel.in, PENDING_SEND_SZ), ==, 0);
    g_assert_cmpint(hvhost_channel_take_signal(open), ==, 0);
    hvhost_channel_counters(open, &counters);
    g_assert_cmpuint(counters.signals_from_guest, ==, 1);
    expect_no_breach(&f);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* -- waiting for ever -- */

enum ending {
    ENDS_WITH_SIGNAL, /* the guest makes room and sends something */
    ENDS_WITH_RESCIND,
    ENDS_WITH_CLOSE,
};

struct waiting {
    hvhost_channel *channel;
    uint8_t bytes[4000];
    ssize_t result;
};

static gpointer
read_for_ever(gpointer data)
{
    struct waiting *job = data;

    job->result = hvhost_channel_read(job->channel, job->bytes, sizeof job->bytes, -1);
    return NULL;
}

static gpointer
write_for_ever(gpointer data)
{
    struct waiting *job = data;

    job->result = hvhost_channel_write(job->channel, job->bytes, sizeof job->bytes, -1);
    return NULL;
}

/* One thread waits for data and one for room, without a deadline, and both go on. */
static void
test_waiting_for_ever(gconstpointer data)
{
    enum ending ending = GPOINTER_TO_UINT(data);
    struct waiting reading = { .result = 0 }, writing = { .result = 0 };
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    GThread *reader, *writer;
    uint8_t bytes[4000] = { 0 };

    start(&f, ring_16k);
    open = reading.channel = writing.channel = connect_channel(&f, 1, &channel);
    while (hvhost_channel_try_write(open, bytes, sizeof bytes) > 0)
        continue;
    reader = g_thread_new("reader", read_for_ever, &reading);
    writer = g_thread_new("writer", write_for_ever, &writing);
    while (get(channel.out, INTERRUPT_MASK) != 0) /* the reader is about to sleep */
        g_thread_yield();
    if (ending == ENDS_WITH_SIGNAL) {
        g_assert_cmpint(receive_data(&channel, bytes, sizeof bytes), ==, 4000);
        send_data(&channel, "hello", 5);
    } else if (ending == ENDS_WITH_RESCIND) {
        hvhost_rescind(f.host, 1);
    } else {
        close_channel(&channel);
    }
    g_thread_join(reader);
    g_thread_join(writer);
    if (ending == ENDS_WITH_SIGNAL) {
        g_assert_cmpint(reading.result, ==, 5);
        g_assert_cmpint(writing.result, ==, 0);
        expect_no_breach(&f);
    } else {
        g_assert_cmpint(reading.result, ==, -EPIPE);
        g_assert_cmpint(writing.result, ==, -EPIPE);
    }
    hvhost_channel_unref(open);
    if (channel.fd >= 0)
        close_channel(&channel);
    stop(&f);
}

/* -- every byte, every wrap -- */

struct echo {
    struct channel *channel;
    uint64_t bytes;
};

/* Sends everything back, naps between all steps that could race. */
static gpointer
echo(gpointer data)
{
    struct echo *job = data;
    struct channel *channel = job->channel;
    g_autofree char *buffer = g_malloc(KIB_16);
    GRand *random = g_rand_new_with_seed(7);

    while (job->bytes > 0) {
        int n = receive_data(channel, (uint8_t *)buffer, KIB_16);

        if (n < 0) {
            struct pollfd fd = { .fd = channel->fd, .events = POLLIN };

            set(channel->in, INTERRUPT_MASK, 0);
            if (used(channel, channel->in) == 0)
                g_assert_cmpint(poll(&fd, 1, TIMEOUT), ==, 1);
            take_signals(channel);
            continue;
        }
        while (!fits(channel, (uint32_t)n)) {
            struct pollfd fd = { .fd = channel->fd, .events = POLLIN };

            set(channel->out, PENDING_SEND_SZ, 32 + ((uint32_t)n + 7) / 8 * 8);
            if (!fits(channel, (uint32_t)n))
                g_assert_cmpint(poll(&fd, 1, TIMEOUT), ==, 1);
            take_signals(channel);
            set(channel->out, PENDING_SEND_SZ, 0);
        }
        if (g_rand_int_range(random, 0, 64) == 0)
            g_usleep(1);
        send_data(channel, buffer, (uint32_t)n);
        job->bytes -= (uint64_t)n;
    }
    g_rand_free(random);
    return NULL;
}

struct writing {
    hvhost_channel *channel;
    const uint8_t *bytes;
    size_t length;
};

static gpointer
write_all(gpointer data)
{
    struct writing *job = data;

    for (size_t done = 0; done < job->length;) {
        size_t n = MIN(job->length - done, 50000);

        g_assert_cmpint(hvhost_channel_write(job->channel, job->bytes + done, n, TIMEOUT), ==, 0);
        done += n;
    }
    return NULL;
}

static const struct echo_case {
    const char *name;
    void (*adjust)(struct hvhost_options *);
    uint32_t packet_max;
    bool random;
    size_t bytes;
} echo_cases[] = {
    { "default", NULL, HVHOST_PIPE_MAX, false, 4u << 20 },
    { "random-packets", NULL, HVHOST_PIPE_MAX, true, 4u << 20 },
    { "small-ring", small_ring, 4000, true, 1u << 20 },
    { "tiny-packets", small_ring, 24, true, 1u << 18 },
    { "never-masks", never_masks, 1600, true, 1u << 20 },
    { "always-masks", always_masks, HVHOST_PIPE_MAX, false, 1u << 20 },
    { "kernel-masks", kernel_masks, 1600, true, 1u << 20 },
};

static void
test_echo(gconstpointer data)
{
    const struct echo_case *test = data;
    g_autofree uint8_t *sent = g_malloc(test->bytes), *received = g_malloc(test->bytes);
    struct fixture f;
    struct channel channel;
    struct hvhost_counters counters;
    GThread *guest, *writer;
    hvhost_channel *open;

    for (size_t i = 0; i < test->bytes; i++)
        sent[i] = (uint8_t)g_test_rand_int();
    start(&f, test->adjust);
    open = connect_channel(&f, 1, &channel);
    hvhost_channel_set_packets(open, test->packet_max, test->random);
    guest = g_thread_new("guest", echo, &(struct echo){ &channel, test->bytes });
    writer = g_thread_new("writer", write_all, &(struct writing){ open, sent, test->bytes });
    g_assert_cmpint(hvhost_channel_read_all(open, received, test->bytes, TIMEOUT), ==, 0);
    g_thread_join(writer);
    g_thread_join(guest);
    g_assert_true(memcmp(sent, received, test->bytes) == 0);
    hvhost_channel_counters(open, &counters);
    g_assert_cmpuint(counters.bytes_to_guest, ==, test->bytes);
    g_assert_cmpuint(counters.bytes_from_guest, ==, test->bytes);
    g_assert_cmpuint(counters.packets_from_guest, ==, counters.packets_to_guest);
    g_assert_cmpuint(counters.signals_from_guest, <=, counters.signals_allowed);
    expect_no_breach(&f);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_end_of_stream(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t bytes[16];

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpint(hvhost_channel_write_end(open, TIMEOUT), ==, 0);
    g_assert_cmpint(receive_data(&channel, bytes, sizeof bytes), ==, 0);
    send_data(&channel, "last", 4);
    send_data(&channel, NULL, 0);
    g_assert_cmpint(hvhost_channel_read(open, bytes, sizeof bytes, TIMEOUT), ==, 4);
    g_assert_cmpint(hvhost_channel_read(open, bytes, sizeof bytes, TIMEOUT), ==, 0);
    g_assert_cmpint(hvhost_channel_read(open, bytes, sizeof bytes, TIMEOUT), ==, 0);
    expect_no_breach(&f);
    send_data(&channel, "more", 4);
    g_assert_cmpint(hvhost_channel_read(open, bytes, sizeof bytes, TIMEOUT), ==, -EPROTO);
    g_assert_nonnull(strstr(hvhost_breach(f.host, 0), "after the end of the stream"));
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* Straight into the ring and out of it, some bytes at a time. */
static void
test_zero_copy(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    struct iovec pieces[8];
    uint8_t bytes[128];
    int count;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpint(hvhost_channel_reserve(open, 100, pieces, &count), ==, 100);
    g_assert_cmpint(count, ==, 1);
    memcpy(pieces[0].iov_base, "straight", 8);
    g_assert_cmpint(hvhost_channel_commit(open, 8), ==, 0);
    g_assert_cmpint(receive_data(&channel, bytes, sizeof bytes), ==, 8);
    g_assert_true(memcmp(bytes, "straight", 8) == 0);

    g_assert_false(hvhost_channel_may_sleep(open, false, true));
    g_assert_true(hvhost_channel_may_sleep(open, true, false));
    send_data(&channel, "abcdef", 6);
    send_data(&channel, "ghi", 3);
    g_assert_false(hvhost_channel_may_sleep(open, true, false));
    g_assert_cmpint(hvhost_channel_peek(open, pieces, 8, 8, &count), ==, 8);
    g_assert_cmpint(count, ==, 2);
    g_assert_cmpint(hvhost_channel_consume(open, 5), ==, 0);
    g_assert_cmpuint(get(channel.out, READ_INDEX), ==, 0);
    g_assert_cmpint(hvhost_channel_consume(open, 1), ==, 0);
    g_assert_cmpuint(get(channel.out, READ_INDEX), ==, 40);
    g_assert_cmpint(hvhost_channel_read_packet(open, bytes, 2, 0), ==, -EMSGSIZE);
    g_assert_cmpint(hvhost_channel_read_packet(open, bytes, 3, 0), ==, 3);
    g_assert_true(memcmp(bytes, "ghi", 3) == 0);
    g_assert_cmpint(hvhost_channel_peek(open, pieces, 8, 8, &count), ==, -EAGAIN);
    expect_no_breach(&f);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* -- breaches -- */

static const struct breach {
    const char *name;
    const char *text;    /* part of what the host says */
    struct packet wrong; /* fields that are not as they should be, see which */
    enum {
        TYPE,
        DATA_OFFSET,
        LENGTH,
        FLAGS,
        TRANSACTION,
        PIPE_TYPE,
        PIPE_LENGTH,
        PADDING,
        TRAILER_LOW,
        TRAILER_HIGH,
        PUBLISHED
    } which;
} packet_breaches[] = {
    { "type", "its type is 7", { .type = 7 }, TYPE },
    { "completion", "its type is 11", { .type = 11 }, TYPE },
    { "flags", "flags is 1", { .flags = 1 }, FLAGS },
    { "offset-small", "data_offset8 is 1", { .data_offset8 = 1 }, DATA_OFFSET },
    { "offset-large", "data_offset8 is 3", { .data_offset8 = 3 }, DATA_OFFSET },
    { "length-small", "length8 is 2", { .length8 = 2 }, LENGTH },
    { "length-beyond", "length8 is 5", { .length8 = 5 }, LENGTH },
    { "transaction", "transaction_id is 1", { .transaction = 1 }, TRANSACTION },
    { "pipe-type", "type is 2", { .pipe_type = 2 }, PIPE_TYPE },
    { "pipe-length-small", "0 bytes of pipe data in", { .pipe_length = 0 }, PIPE_LENGTH },
    { "pipe-length-beyond", "9 bytes of pipe data in", { .pipe_length = 9 }, PIPE_LENGTH },
    { "pipe-length-huge", "length is 4294967295", { .pipe_length = UINT32_MAX }, PIPE_LENGTH },
    { "padding", "a padding byte is 205", { .padding = 205 }, PADDING },
    { "trailer-low", "the trailer's low word is 3", { .trailer_low = 3 }, TRAILER_LOW },
    { "trailer-high", "the trailer's offset is 8", { .trailer_high = 8 }, TRAILER_HIGH },
    { "published-8", "in bytes, is 8", { .published = 8 }, PUBLISHED },
    { "published-short", "length8 is 4", { .published = 32 }, PUBLISHED },
    { "published-misaligned",
      "write_index of the guest-to-host ring is 44",
      { .published = 44 },
      PUBLISHED },
};

static void
spoil(struct packet *packet, const struct breach *test)
{
    const struct packet *wrong = &test->wrong;

    switch (test->which) {
    case TYPE:
        packet->type = wrong->type;
        break;
    case DATA_OFFSET:
        packet->data_offset8 = wrong->data_offset8;
        break;
    case LENGTH:
        packet->length8 = wrong->length8;
        break;
    case FLAGS:
        packet->flags = wrong->flags;
        break;
    case TRANSACTION:
        packet->transaction = wrong->transaction;
        break;
    case PIPE_TYPE:
        packet->pipe_type = wrong->pipe_type;
        break;
    case PIPE_LENGTH:
        packet->pipe_length = wrong->pipe_length;
        break;
    case PADDING:
        packet->padding = wrong->padding;
        break;
    case TRAILER_LOW:
        packet->trailer_low = wrong->trailer_low;
        break;
    case TRAILER_HIGH:
        packet->trailer_high = wrong->trailer_high;
        break;
    case PUBLISHED:
        packet->published = wrong->published;
        break;
    }
}

static void
expect_breach(struct fixture *f, hvhost_channel *open, const char *text)
{
    uint8_t bytes[64];

    g_assert_cmpint(hvhost_channel_read(open, bytes, sizeof bytes, TIMEOUT), ==, -EPROTO);
    g_assert_cmpuint(hvhost_breaches(f->host), ==, 1);
    if (!strstr(hvhost_breach(f->host, 0), text))
        g_error("\"%s\" does not say \"%s\"", hvhost_breach(f->host, 0), text);
    g_assert_false(hvhost_channel_is_open(open));
}

static void
test_packet_breach(gconstpointer data)
{
    const struct breach *test = data;
    struct fixture f;
    struct channel channel;
    struct packet packet;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    packet = good_packet(&channel, "abc", 3);
    spoil(&packet, test);
    put_packet(&channel, &packet);
    signal_host(&channel);
    expect_breach(&f, open, test->text);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_pipe_too_long(void)
{
    static const uint8_t bytes[HVHOST_PIPE_MAX + 1];
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    send_data(&channel, bytes, sizeof bytes);
    expect_breach(&f, open, "length is 16385");
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static const struct word_breach {
    const char *name;
    bool out; /* guest → host ring */
    enum word word;
    uint32_t value;
    const char *text;
} word_breaches[] = {
    { "write-index-range", true, WRITE_INDEX, HVHOST_RING_SIZE, "write_index" },
    { "write-index-misaligned", true, WRITE_INDEX, 12, "write_index" },
    { "read-index-of-host", true, READ_INDEX, 8, "the guest changed read_index" },
    { "mask-of-host", true, INTERRUPT_MASK, 1, "the guest changed interrupt_mask" },
    { "write-index-of-host", false, WRITE_INDEX, 8, "the guest changed write_index" },
    { "pending-of-host", false, PENDING_SEND_SZ, 8, "the guest changed pending_send_sz" },
    { "features-of-host", false, FEATURE_BITS, 0, "the guest changed feature_bits" },
    { "read-index-range", false, READ_INDEX, HVHOST_RING_SIZE + 8, "read_index" },
    { "read-index-misaligned", false, READ_INDEX, 4, "read_index" },
    { "read-index-passes", false, READ_INDEX, 4096, "past write_index" },
    { "mask-value", false, INTERRUPT_MASK, 2, "interrupt_mask of the host-to-guest ring is 2" },
};

static void
test_word_breach(gconstpointer data)
{
    const struct word_breach *test = data;
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t byte;

    start(&f, never_masks);
    open = connect_channel(&f, 1, &channel);
    send_data(&channel, "a", 1);
    g_assert_cmpint(hvhost_channel_read_all(open, &byte, 1, TIMEOUT), ==, 0);
    send_data(&channel, "b", 1);
    set(test->out ? channel.out : channel.in, test->word, test->value);
    if (!test->out)
        g_assert_cmpint(hvhost_channel_write(open, "c", 1, 0), ==, -EPROTO);
    expect_breach(&f, open, test->text);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_index_goes_back(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t byte;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    send_data(&channel, "a", 1);
    send_data(&channel, "b", 1);
    g_assert_cmpint(hvhost_channel_read_all(open, &byte, 1, TIMEOUT), ==, 0);
    set(channel.out, WRITE_INDEX, 40);
    expect_breach(&f, open, "went back");
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_hopeless_pending(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t byte;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    set(channel.out, PENDING_SEND_SZ, HVHOST_RING_SIZE);
    send_data(&channel, "a", 1);
    g_assert_cmpint(hvhost_channel_read(open, &byte, 1, TIMEOUT), ==, 1);
    expect_breach(&f, open, "never comes free");
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* A guest that signals with every packet although the ring is not empty. */
static void
test_needless_signals(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    for (int i = 0; i < 2; i++) {
        struct packet packet = good_packet(&channel, "abc", 3);

        put_packet(&channel, &packet);
        signal_host(&channel);
    }
    g_assert_cmpint(hvhost_channel_take_signal(open), ==, 0);
    g_assert_cmpint(hvhost_channel_take_signal(open), ==, -EPROTO);
    g_assert_nonnull(strstr(hvhost_breach(f.host, 0), "needless signals: 2"));
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_signal_though_masked(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, always_masks);
    open = connect_channel(&f, 1, &channel);
    send_data(&channel, "abc", 3);
    signal_host(&channel);
    g_assert_cmpint(hvhost_channel_take_signal(open), ==, -EPROTO);
    g_assert_nonnull(strstr(hvhost_breach(f.host, 0), "needless signals: 1"));
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* A guest that signals after every read though the host does not wait for room. */
static void
test_signal_without_pending(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t bytes[8];

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(hvhost_channel_write(open, "abc", 3, 0), ==, 0);
        g_assert_cmpint(receive_data(&channel, bytes, sizeof bytes), ==, 3);
        signal_host(&channel);
        g_assert_cmpint(hvhost_channel_take_signal(open), ==, i == 0 ? 0 : -EPROTO);
    }
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
test_bad_device_write(void)
{
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpint(write(channel.fd, "eight by", 8), ==, 8);
    g_assert_cmpint(hvhost_channel_take_signal(open), ==, -EPROTO);
    g_assert_nonnull(strstr(hvhost_breach(f.host, 0), "written to the device"));
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

/* -- misbehaving: what each word puts into the ring -- */

static void
test_corruption(gconstpointer data)
{
    enum hvhost_corruption corruption = (enum hvhost_corruption)GPOINTER_TO_UINT(data);
    struct fixture f;
    struct channel channel;
    hvhost_channel *open;
    uint8_t bytes[8];
    uint16_t descriptor[4];
    uint32_t pipe[2], write, bytes_used;
    bool sound;

    start(&f, NULL);
    open = connect_channel(&f, 1, &channel);
    g_assert_cmpint(hvhost_channel_write(open, "good", 4, 0), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 1);
    g_assert_cmpint(receive_data(&channel, bytes, sizeof bytes), ==, 4);
    g_assert_cmpint(hvhost_channel_corrupt(open, corruption), ==, 0);
    g_assert_cmpint(take_signals(&channel), ==, 1);

    write = get(channel.in, WRITE_INDEX);
    bytes_used = used(&channel, channel.in);
    get_bytes(&channel, get(channel.in, READ_INDEX), descriptor, sizeof descriptor);
    get_bytes(&channel, get(channel.in, READ_INDEX) + descriptor[1] * 8u, pipe, sizeof pipe);
    sound = get(channel.out, READ_INDEX) == 0 && write < channel.size && write % 8 == 0 &&
            bytes_used >= 16 && descriptor[0] == 6 && descriptor[1] >= 2 &&
            descriptor[1] <= descriptor[2] && descriptor[2] * 8u + 8 <= bytes_used &&
            (descriptor[2] - descriptor[1]) * 8u >= 8 && (pipe[0] == 1 || pipe[0] == 2) &&
            (pipe[0] == 1 ? pipe[1] <= (descriptor[2] - descriptor[1]) * 8u - 8
                          : pipe[1] >> 16 < (pipe[1] & 0xffff));
    g_assert_cmpint(sound, ==, !hvhost_corruption_is_bad(corruption));
    expect_no_breach(&f);
    hvhost_channel_unref(open);
    close_channel(&channel);
    stop(&f);
}

static void
add_named(const char *group, const char *name, GTestDataFunc function, gconstpointer data)
{
    g_autofree char *path = g_strdup_printf("/host/%s/%s", group, name);

    g_test_add_data_func(path, data, function);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/offers/offer-and-rescind", test_offer_and_rescind);
    g_test_add_func("/host/offers/open-again", test_open_again);
    g_test_add_func("/host/offers/control-takes-data-along", test_control_takes_data_along);
    g_test_add_func("/host/offers/rescind-on-open", test_rescind_on_open);
    g_test_add_func("/host/offers/rescind-after-bytes", test_rescind_after);
    g_test_add_func("/host/offers/failing-opens", test_failing_opens);
    g_test_add_func("/host/offers/guest-comes-and-goes", test_guest_comes_and_goes);
    for (unsigned i = 0; i <= HVHOST_VERSION_SHORT; i++)
        add_named("version", hvhost_version_policy_name((enum hvhost_version_policy)i),
                  test_version, GUINT_TO_POINTER(i));
    g_test_add_func("/host/version/bad-request", test_bad_version_request);
    g_test_add_func("/host/signal/when-empty-only", test_signal_when_empty_only);
    g_test_add_func("/host/signal/not-when-masked", test_no_signal_when_masked);
    g_test_add_func("/host/signal/kernel-masks", test_kernel_masks);
    g_test_add_data_func("/host/signal/guest-waits-for-room", GINT_TO_POINTER(true),
                         test_guest_waits_for_room);
    g_test_add_data_func("/host/signal/guest-without-the-feature", GINT_TO_POINTER(false),
                         test_guest_waits_for_room);
    g_test_add_func("/host/signal/host-waits-for-room", test_host_waits_for_room);
    g_test_add_data_func("/host/waiting-for-ever/signal", GUINT_TO_POINTER(ENDS_WITH_SIGNAL),
                         test_waiting_for_ever);
    g_test_add_data_func("/host/waiting-for-ever/rescind", GUINT_TO_POINTER(ENDS_WITH_RESCIND),
                         test_waiting_for_ever);
    g_test_add_data_func("/host/waiting-for-ever/close", GUINT_TO_POINTER(ENDS_WITH_CLOSE),
                         test_waiting_for_ever);
    for (size_t i = 0; i < G_N_ELEMENTS(echo_cases); i++)
        add_named("echo", echo_cases[i].name, test_echo, &echo_cases[i]);
    g_test_add_func("/host/stream/end", test_end_of_stream);
    g_test_add_func("/host/stream/zero-copy", test_zero_copy);
    for (size_t i = 0; i < G_N_ELEMENTS(packet_breaches); i++)
        add_named("breach/packet", packet_breaches[i].name, test_packet_breach,
                  &packet_breaches[i]);
    g_test_add_func("/host/breach/packet/pipe-length-over-max", test_pipe_too_long);
    for (size_t i = 0; i < G_N_ELEMENTS(word_breaches); i++)
        add_named("breach/word", word_breaches[i].name, test_word_breach, &word_breaches[i]);
    g_test_add_func("/host/breach/word/write-index-goes-back", test_index_goes_back);
    g_test_add_func("/host/breach/word/hopeless-pending", test_hopeless_pending);
    g_test_add_func("/host/breach/signal/needless", test_needless_signals);
    g_test_add_func("/host/breach/signal/masked", test_signal_though_masked);
    g_test_add_func("/host/breach/signal/nobody-waits-for-room", test_signal_without_pending);
    g_test_add_func("/host/breach/signal/not-a-signal", test_bad_device_write);
    for (unsigned i = 0; i < HVHOST_CORRUPTIONS; i++)
        add_named("corruption", hvhost_corruption_name((enum hvhost_corruption)i), test_corruption,
                  GUINT_TO_POINTER(i));
    return g_test_run();
}
