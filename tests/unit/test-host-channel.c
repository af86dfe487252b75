/* linux/host-channel.c: when it takes the host's signals out of the descriptor. Late, but never one
 * that answers what was asked for. */
#include "naive-host.h"

#include "linux/host.h"

#include <fcntl.h>

#define SIZE  8192u
#define PIECE 1000u

struct fixture {
    struct naive_host naive;
    struct hvs_session_counters counters;
    hvs_host *host;
};

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel channel;

    (void)data;
    fixture->naive = naive_host_new(SIZE, false, &channel);
    fixture->host = hvs_host_new_channel(&channel, &fixture->counters);
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->host->class->close(fixture->host);
    naive_host_free(&fixture->naive);
}

static bool
is_signalled(const struct fixture *fixture)
{
    return naive_host_unread_signals(&fixture->naive) > 0;
}

/* A signal has come, and poll() has said so. */
static void
signal_guest(struct fixture *fixture)
{
    naive_host_signal(&fixture->naive);
    g_assert_cmpint(fixture->host->class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    g_assert_true(is_signalled(fixture));
}

/* Writes to the host until there is no room. */
static void
fill(struct fixture *fixture)
{
    enum hvs_host_result result;
    uint8_t bytes[PIECE] = { 0 };
    size_t written;

    while ((result = fixture->host->class->write(fixture->host, bytes, PIECE, &written)) ==
           HVS_HOST_OK)
        continue;
    g_assert_cmpint(result, ==, HVS_HOST_FULL);
    g_assert_true(fixture->host->room_wanted);
}

static void
drain(struct fixture *fixture)
{
    uint8_t bytes[NAIVE_PACKET_MAX];

    while (naive_host_has_input(&fixture->naive))
        naive_host_receive(&fixture->naive, bytes);
}

static void
test_input(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_host_class *class = fixture->host->class;
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count;

    (void)data;
    naive_host_send(&fixture->naive, "hello", 5);
    g_assert_cmpint(class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    g_assert_cmpint(class->gather(fixture->host, UINT32_MAX, pieces, &count), ==, HVS_HOST_OK);
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpuint(pieces[0].iov_len, ==, 5);
    g_assert_cmpint(memcmp(pieces[0].iov_base, "hello", 5), ==, 0);
    g_assert_cmpint(class->consume(fixture->host, 5), ==, HVS_HOST_OK);
    g_assert_true(is_signalled(fixture));
    g_assert_true(class->prepare_to_wait(fixture->host));
    g_assert_false(is_signalled(fixture));
}

static void
test_room(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    signal_guest(fixture);
    fill(fixture);
    g_assert_false(is_signalled(fixture)); /* or poll() would say at once that there is room */
    drain(fixture);
    g_assert_true(is_signalled(fixture));
    fixture->host->class->prepare_to_wait(fixture->host);
    g_assert_true(is_signalled(fixture)); /* poll() has not told of that one yet */
    g_assert_cmpint(fixture->host->class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    g_assert_false(fixture->host->room_wanted);
}

static void
test_drained(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_host_class *class = fixture->host->class;
    size_t written;

    (void)data;
    g_assert_cmpint(class->write(fixture->host, "hello", 5, &written), ==, HVS_HOST_OK);
    signal_guest(fixture);
    g_assert_cmpint(class->is_drained(fixture->host), ==, HVS_HOST_FULL);
    g_assert_false(is_signalled(fixture));
    drain(fixture);
    g_assert_true(is_signalled(fixture));
    g_assert_cmpint(class->is_drained(fixture->host), ==, HVS_HOST_OK);
    g_assert_true(is_signalled(fixture));
}

static void
test_gone(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_host_class *class = fixture->host->class;
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count;

    (void)data;
    signal_guest(fixture);
    g_assert_cmpint(class->take_signal(fixture->host), ==, HVS_HOST_OK);
    g_assert_false(is_signalled(fixture));
    g_assert_cmpint(class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    naive_host_rescind(&fixture->naive);
    g_assert_false(class->prepare_to_wait(fixture->host));
    g_assert_cmpint(class->gather(fixture->host, UINT32_MAX, pieces, &count), ==, HVS_HOST_GONE);
}

/* Also where nothing but room is waited for. */
static void
test_gone_while_full(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_host_class *class = fixture->host->class;
    uint8_t bytes[PIECE] = { 0 };
    size_t written;

    (void)data;
    fill(fixture);
    g_assert_cmpint(class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    naive_host_rescind(&fixture->naive);
    g_assert_cmpint(class->write(fixture->host, bytes, PIECE, &written), ==, HVS_HOST_GONE);
    g_assert_cmpint(class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    g_assert_cmpint(class->is_drained(fixture->host), ==, HVS_HOST_GONE);
}

/* A host that goes on sending while we look has no reason to signal. */
static void
test_mask(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_host_class *class = fixture->host->class;

    (void)data;
    g_assert_true(class->prepare_to_wait(fixture->host));
    g_assert_cmpuint(fixture->naive.to_guest.words[INTERRUPT_MASK], ==, 0);
    naive_host_send(&fixture->naive, "hello", 5);
    g_assert_cmpint(class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    g_assert_false(class->prepare_to_wait(fixture->host));
    g_assert_cmpuint(fixture->naive.to_guest.words[INTERRUPT_MASK], ==, 1);
}

static void
test_broken(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_host_class *class = fixture->host->class;
    int unreadable = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct iovec pieces[HVS_PIPE_PIECES];
    unsigned count;

    (void)data;
    g_assert_cmpint(class->handle_events(fixture->host, POLLIN), ==, HVS_HOST_OK);
    g_assert_cmpint(dup2(unreadable, fixture->host->fd), ==, fixture->host->fd);
    close(unreadable);
    g_assert_false(class->prepare_to_wait(fixture->host));
    errno = 0;
    g_assert_cmpint(class->gather(fixture->host, UINT32_MAX, pieces, &count), ==, HVS_HOST_BROKEN);
    g_assert_cmpint(errno, ==, EBADF);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct fixture *, gconstpointer);
    } tests[] = {
        { "/host-channel/a-signal-of-input-is-taken-before-sleeping", test_input },
        { "/host-channel/a-signal-of-room-is-not-taken-with-an-older-one", test_room },
        { "/host-channel/a-signal-of-an-empty-ring-is-not-either", test_drained },
        { "/host-channel/gone-when-a-signal-is-taken", test_gone },
        { "/host-channel/gone-when-there-is-no-room", test_gone_while_full },
        { "/host-channel/masked-while-awake", test_mask },
        { "/host-channel/unreadable-when-a-signal-is-taken", test_broken },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].run, tear_down);
    return g_test_run();
}
