/* linux/channel.c over a memfd and a socketpair: signals both ways, and what is left behind. */
#include "naive-host.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>

#define SIZE 8192u

struct fixture {
    struct naive_host host;
    struct hvs_channel channel;
    unsigned descriptors;
};

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->descriptors = count_descriptors();
    fixture->host = naive_host_new(SIZE, false, &fixture->channel);
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    hvs_channel_close(&fixture->channel);
    naive_host_free(&fixture->host);
    g_assert_cmpuint(count_descriptors(), ==, fixture->descriptors);
}

static void
assert_taken(struct fixture *fixture, enum hvs_channel_event expected)
{
    g_assert_cmpint(hvs_channel_take_signal(&fixture->channel), ==, expected);
}

static void
test_rings(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel *channel = &fixture->channel;
    uint8_t *map = channel->map;

    (void)data;
    g_assert_cmpuint(channel->map_size, ==, 2 * (NAIVE_PAGE + SIZE));
    g_assert_true((uint8_t *)channel->out.header == map);
    g_assert_true(channel->out.data == map + NAIVE_PAGE);
    g_assert_true((uint8_t *)channel->in.header == map + NAIVE_PAGE + SIZE);
    g_assert_true(channel->in.data == map + NAIVE_PAGE + SIZE + NAIVE_PAGE);
    g_assert_cmpuint(channel->out.size, ==, SIZE);
    g_assert_cmpuint(channel->in.size, ==, SIZE);
    g_assert_cmpuint(fixture->host.from_guest.words[FEATURE_BITS], ==, 1);
}

static void
test_signal(struct fixture *fixture, gconstpointer data)
{
    int32_t value = 0;

    (void)data;
    g_assert_true(hvs_channel_signal(&fixture->channel));
    g_assert_cmpint(read(fixture->host.fd, &value, sizeof value), ==, sizeof value);
    g_assert_cmpint(value, ==, 1);
    g_assert_cmpint(read(fixture->host.fd, &value, sizeof value), <, 0);
}

/* A host that does not take its signals has enough of them. */
static void
test_signal_when_full(struct fixture *fixture, gconstpointer data)
{
    const int32_t one = 1;

    (void)data;
    while (write(fixture->channel.fd, &one, sizeof one) == (ssize_t)sizeof one)
        ;
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_true(hvs_channel_signal(&fixture->channel));
}

static void
test_signal_when_gone(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    naive_host_rescind(&fixture->host);
    g_assert_false(hvs_channel_signal(&fixture->channel));
}

static void
test_signal_monitored(struct fixture *fixture, gconstpointer data)
{
    _Atomic uint32_t word = 0x10;

    (void)data;
    fixture->channel.monitor_pending = &word;
    fixture->channel.monitor_bit = 1u << 31;
    g_assert_true(hvs_channel_signal(&fixture->channel));
    g_assert_cmphex(word, ==, 0x80000010);
    g_assert_true(naive_host_take_signals(&fixture->host));
    g_assert_cmpuint(fixture->host.signals, ==, 0);
}

static void
test_take_nothing(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    assert_taken(fixture, HVS_CHANNEL_NO_EVENT);
}

static void
test_take(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    naive_host_signal(&fixture->host);
    assert_taken(fixture, HVS_CHANNEL_SIGNALLED);
    assert_taken(fixture, HVS_CHANNEL_NO_EVENT);
}

static void
test_take_end_of_file(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    naive_host_signal(&fixture->host);
    naive_host_rescind(&fixture->host);
    assert_taken(fixture, HVS_CHANNEL_SIGNALLED);
    assert_taken(fixture, HVS_CHANNEL_GONE);
    assert_taken(fixture, HVS_CHANNEL_GONE);
}

/* A socket says that when its peer left something unread behind. */
static void
test_take_reset(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    hvs_channel_signal(&fixture->channel);
    naive_host_rescind(&fixture->host);
    assert_taken(fixture, HVS_CHANNEL_GONE);
}

/* UIO's own way: reading a process's memory at address 0 fails as reading a rescinded device does.
 */
static void
test_take_io_error(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    close(fixture->channel.fd);
    fixture->channel.fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(fixture->channel.fd, >=, 0);
    assert_taken(fixture, HVS_CHANNEL_GONE);
}

static void
test_take_piece(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(write(fixture->host.fd, "ab", 2), ==, 2);
    assert_taken(fixture, HVS_CHANNEL_BROKEN);
    g_assert_cmpint(errno, ==, EPROTO);
}

static void
test_take_broken(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    close(fixture->channel.fd);
    fixture->channel.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_taken(fixture, HVS_CHANNEL_BROKEN);
    g_assert_cmpint(errno, ==, EBADF);
}

static bool
is_mapped(void *map)
{
    return msync(map, NAIVE_PAGE, MS_ASYNC) == 0;
}

static void
test_close(struct fixture *fixture, gconstpointer data)
{
    void *map = fixture->channel.map;
    void *monitor = mmap(NULL, NAIVE_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)data;
    fixture->channel.monitor_map = monitor;
    fixture->channel.monitor_map_size = NAIVE_PAGE;
    g_assert_true(is_mapped(map) && is_mapped(monitor));
    hvs_channel_close(&fixture->channel);
    g_assert_false(is_mapped(map));
    g_assert_false(is_mapped(monitor));
    g_assert_cmpint(fixture->channel.fd, ==, -1);
    g_assert_null(fixture->channel.map);
    g_assert_null(fixture->channel.monitor_pending);
    g_assert_false(naive_host_take_signals(&fixture->host));
}

static void
test_close_twice(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel never_opened = { .fd = -1 };
    int next;

    (void)data;
    hvs_channel_close(&fixture->channel);
    /* Gets the number that has just come free: a second close() would hit it. */
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    hvs_channel_close(&fixture->channel);
    g_assert_cmpint(fcntl(next, F_GETFD), !=, -1);
    close(next);
    hvs_channel_close(&never_opened);
}

/* What cannot hold two rings is given back, descriptor and mapping. */
static void
assert_refused(struct naive_host *host, void *map, size_t map_size)
{
    g_autoptr(GError) error = NULL;
    struct hvs_channel channel;
    unsigned descriptors = count_descriptors();

    g_assert_false(
        hvs_channel_init(&channel, open("/dev/null", O_RDWR | O_CLOEXEC), map, map_size, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    g_assert_cmpint(channel.fd, ==, -1);
    g_assert_null(channel.map);
    g_assert_false(is_mapped(map));
    g_assert_cmpuint(count_descriptors(), ==, descriptors);
    naive_host_free(host);
}

static void
test_init_size(void)
{
    static const size_t sizes[] = { NAIVE_PAGE, 2 * NAIVE_PAGE, 3 * NAIVE_PAGE };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct naive_host host = { .fd = -1 };
        void *map = naive_host_map(&host, SIZE);

        munmap((uint8_t *)map + sizes[i], host.length - sizes[i]);
        assert_refused(&host, map, sizes[i]);
    }
}

static void
test_init_indices(void)
{
    for (unsigned ring = 0; ring < 2; ring++)
        for (unsigned word = WRITE_INDEX; word <= READ_INDEX; word++) {
            struct naive_host host = { .fd = -1 };
            void *map = naive_host_map(&host, SIZE);

            (ring == 0 ? host.to_guest : host.from_guest).words[word] = SIZE;
            assert_refused(&host, map, host.length);
        }
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
    } tests[] = {
        { "/channel/init/rings", test_rings },
        { "/channel/signal/writes-one", test_signal },
        { "/channel/signal/when-full", test_signal_when_full },
        { "/channel/signal/when-gone", test_signal_when_gone },
        { "/channel/signal/monitored", test_signal_monitored },
        { "/channel/take/nothing", test_take_nothing },
        { "/channel/take/signalled", test_take },
        { "/channel/take/end-of-file", test_take_end_of_file },
        { "/channel/take/reset", test_take_reset },
        { "/channel/take/io-error", test_take_io_error },
        { "/channel/take/piece-of-a-signal", test_take_piece },
        { "/channel/take/broken", test_take_broken },
        { "/channel/close/leaves-nothing", test_close },
        { "/channel/close/twice", test_close_twice },
    };

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/channel/init/size", test_init_size);
    g_test_add_func("/channel/init/indices", test_init_indices);
    return g_test_run();
}
