/* linux/server.c: connecting to the RDP server, against sockets of our own.
 *
 * This program's connect() stands in front of the C library's, so that a test knows how often the
 * code under test has tried, and can let something happen at exactly the n-th attempt.
 */
#include "linux/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Nothing here takes long; what would wait for ever must not. */
#define FOR_EVER 60000u /* milliseconds */

/* ---- attempts ---- */

static struct {
    int count;
    int event_at; /* the attempt in front of which event() runs; 0: none */
    void (*event)(int fd, const struct sockaddr *address, socklen_t size);
    int fd; /* for event() */
    gboolean endless; /* no pause behind that attempt ends by itself: somebody has to end it */
} attempts;

/* Only the thread that connects (and nobody else) gets here while a test runs. */
int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (++attempts.count == attempts.event_at && attempts.event != NULL)
        attempts.event(fd, address, size);
    return (int)syscall(SYS_connect, fd, address, size);
}

static void
expect_attempts(int event_at, void (*event)(int, const struct sockaddr *, socklen_t), int fd)
{
    attempts.count = 0;
    attempts.event_at = event_at;
    attempts.event = event;
    attempts.fd = fd;
    attempts.endless = FALSE;
}

static void
write_event(G_GNUC_UNUSED int fd, G_GNUC_UNUSED const struct sockaddr *address,
            G_GNUC_UNUSED socklen_t size)
{
    const uint64_t one = 1;

    g_assert_cmpint(write(attempts.fd, &one, sizeof(one)), ==, sizeof(one));
}

/* What a pause lasts that has to be interrupted, and what an interruption takes at the very most.
 */
#define ENDLESS_PAUSE  60000u /* milliseconds */
#define INTERRUPTION   (30 * G_USEC_PER_SEC)

GSource *__real_g_timeout_source_new(guint milliseconds);
GSource *__wrap_g_timeout_source_new(guint milliseconds);

/* The linker puts this in front of the pauses of the code under test. */
GSource *
__wrap_g_timeout_source_new(guint milliseconds)
{
    gboolean endless = attempts.endless && attempts.count >= attempts.event_at;

    if (endless && attempts.event == NULL)
        write_event(-1, NULL, 0);
    return __real_g_timeout_source_new(endless ? ENDLESS_PAUSE : milliseconds);
}

/* The event that brings the stop comes in front of that attempt, or with the pause behind it. */
static void
expect_attempts_until_stopped(int stop_at, gboolean in_pause, int fd)
{
    expect_attempts(stop_at, in_pause ? NULL : write_event, fd);
    attempts.endless = TRUE;
}

/* ---- servers ---- */

static int
bind_tcp(const char *host, struct hvs_server_address *address)
{
    gboolean v6 = strchr(host, ':') != NULL;
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    struct sockaddr *name = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t size = v6 ? sizeof(in6) : sizeof(in);
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr);
    if (bind(fd, name, size) < 0) {
        close(fd);
        return -1;
    }
    g_assert_cmpint(getsockname(fd, name, &size), ==, 0);
    *address = (struct hvs_server_address){ .kind = HVS_SERVER_TCP };
    g_strlcpy(address->host, host, sizeof(address->host));
    address->port = ntohs(v6 ? in6.sin6_port : in.sin_port);
    return fd;
}

static int
listen_tcp(const char *host, struct hvs_server_address *address)
{
    int fd = bind_tcp(host, address);

    if (fd >= 0)
        g_assert_cmpint(listen(fd, 16), ==, 0);
    return fd;
}

/* Bound, so that it is nobody else's, and not listening: connections are refused. */
static int
refuse_tcp(struct hvs_server_address *address)
{
    int fd = bind_tcp("127.0.0.1", address);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void
unix_address(const char *directory, const char *name, struct hvs_server_address *address)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    *address = (struct hvs_server_address){ .kind = HVS_SERVER_UNIX };
    g_assert_cmpuint(g_strlcpy(address->host, path, sizeof(address->host)), <,
                     sizeof(address->host));
}

static int
listen_unix(const struct hvs_server_address *address)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(name.sun_path, address->host, sizeof(name.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&name, sizeof(name)), ==, 0);
    g_assert_cmpint(listen(fd, 16), ==, 0);
    return fd;
}

/* The connection is what a relay needs, and it leads to that listener. */
static void
assert_connected(int fd, int listener)
{
    int peer = accept(listener, NULL, NULL), nodelay = 0;
    socklen_t size = sizeof(nodelay);
    char byte = 0;

    g_assert_cmpint(peer, >=, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, !=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, !=, 0);
    if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) == 0)
        g_assert_cmpint(nodelay, !=, 0);
    else
        g_assert_cmpint(errno, ==, EOPNOTSUPP);
    g_assert_cmpint(read(fd, &byte, 1), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_cmpint(write(fd, "a", 1), ==, 1);
    g_assert_cmpint(read(peer, &byte, 1), ==, 1);
    g_assert_cmpint(byte, ==, 'a');
    close(fd);
    g_assert_cmpint(read(peer, &byte, 1), ==, 0); /* nobody else holds it open */
    close(peer);
    close(listener);
}

static int
connect_to(const struct hvs_server_address *servers, unsigned count, uint32_t timeout,
           unsigned *which, GError **error)
{
    return hvs_server_connect(servers, count, timeout, NULL, 0, NULL, NULL, which, error);
}

/* ---- where to ---- */

static void
test_tcp(gconstpointer data)
{
    const char *const *hosts = data; /* what we listen on, what we connect to */
    struct hvs_server_address address;
    g_autoptr(GError) error = NULL;
    int listener = listen_tcp(hosts[0], &address), fd;
    unsigned which = 77;

    if (listener < 0) {
        g_test_skip("no such address on this machine");
        return;
    }
    g_strlcpy(address.host, hosts[1], sizeof(address.host));
    fd = connect_to(&address, 1, 0, &which, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(which, ==, 0);
    assert_connected(fd, listener);
}

static void
test_unix(void)
{
    g_autofree char *directory = g_dir_make_tmp("hvs-server-XXXXXX", NULL);
    struct hvs_server_address address;
    g_autoptr(GError) error = NULL;
    unsigned which = 77;
    int listener, fd;

    unix_address(directory, "rdp", &address);
    listener = listen_unix(&address);
    fd = connect_to(&address, 1, 0, &which, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(which, ==, 0);
    assert_connected(fd, listener);
    g_unlink(address.host);
    g_rmdir(directory);
}

/* ---- several ---- */

static void
test_order(void)
{
    struct hvs_server_address addresses[4];
    int first = refuse_tcp(&addresses[0]), second = refuse_tcp(&addresses[1]);
    int third = listen_tcp("127.0.0.1", &addresses[2]);
    int fourth = listen_tcp("127.0.0.1", &addresses[3]), fd;
    g_autoptr(GError) error = NULL;
    unsigned which = 77;

    expect_attempts(0, NULL, -1);
    fd = connect_to(addresses, 4, FOR_EVER, &which, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(which, ==, 2);
    g_assert_cmpint(attempts.count, ==, 3);
    assert_connected(fd, third);
    close(first);
    close(second);
    close(fourth);
}

static void
test_failures(void)
{
    g_autofree char *directory = g_dir_make_tmp("hvs-server-XXXXXX", NULL);
    struct hvs_server_address addresses[3];
    int first = refuse_tcp(&addresses[0]), fd;
    g_autofree char *pattern = NULL;
    g_autoptr(GError) error = NULL;
    unsigned which = 77;

    unix_address(directory, "nobody", &addresses[1]);
    addresses[2] = addresses[0];
    g_strlcpy(addresses[2].host, "::1", sizeof(addresses[2].host));
    expect_attempts(0, NULL, -1);
    fd = connect_to(addresses, 3, 0, &which, &error);
    g_assert_cmpint(fd, ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    pattern = g_strdup_printf("tcp:127.0.0.1:%u: *refused; unix:%s/nobody: *; tcp:[::1]:%u: *",
                              addresses[0].port, directory, addresses[2].port);
    if (!g_pattern_match_simple(pattern, error->message))
        g_error("\"%s\" does not match \"%s\"", error->message, pattern);
    close(first);
    g_rmdir(directory);
}

/* ---- time ---- */

static void
test_one_round(void)
{
    struct hvs_server_address addresses[2];
    int first = refuse_tcp(&addresses[0]), second = refuse_tcp(&addresses[1]);
    g_autoptr(GError) error = NULL;
    unsigned which;

    expect_attempts(0, NULL, -1);
    g_assert_cmpint(connect_to(addresses, 2, 0, &which, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    g_assert_cmpint(attempts.count, ==, 2);
    close(first);
    close(second);
}

static void
test_timeout(void)
{
    struct hvs_server_address address;
    int first = refuse_tcp(&address);
    gint64 start = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;
    unsigned which;

    expect_attempts(0, NULL, -1);
    g_assert_cmpint(connect_to(&address, 1, 450, &which, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 440 * 1000);
    /* After pauses of 100 and 200 ms, and once more at the very end; fewer if we were kept away. */
    g_assert_cmpint(attempts.count, >=, 2);
    g_assert_cmpint(attempts.count, <=, 4);
    /* The last round only. */
    g_assert_true(strstr(error->message, "tcp:") == g_strrstr(error->message, "tcp:"));
    close(first);
}

static void
start_listening(G_GNUC_UNUSED int fd, G_GNUC_UNUSED const struct sockaddr *address,
                G_GNUC_UNUSED socklen_t size)
{
    g_assert_cmpint(listen(attempts.fd, 16), ==, 0);
}

/* Refused twice; before it is asked for the third time, the server is there. */
static void
test_late(void)
{
    struct hvs_server_address address;
    int listener = refuse_tcp(&address), fd;
    g_autoptr(GError) error = NULL;
    unsigned which = 77;

    expect_attempts(3, start_listening, listener);
    fd = connect_to(&address, 1, FOR_EVER, &which, &error);
    g_assert_no_error(error);
    g_assert_cmpint(attempts.count, ==, 3);
    assert_connected(fd, listener);
}

/* Two are down, the second comes up: each round asks all, in order. */
static void
test_late_second(void)
{
    struct hvs_server_address addresses[2];
    int first = refuse_tcp(&addresses[0]), listener = refuse_tcp(&addresses[1]), fd;
    g_autoptr(GError) error = NULL;
    unsigned which = 77;

    expect_attempts(4, start_listening, listener);
    fd = connect_to(addresses, 2, FOR_EVER, &which, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(which, ==, 1);
    g_assert_cmpint(attempts.count, ==, 4);
    assert_connected(fd, listener);
    close(first);
}

/* ---- giving up ---- */

struct stop {
    int fd; /* an eventfd: the watched descriptor */
    GCancellable *cancellable;
    gint64 when; /* it was noticed */
};

static gboolean
on_stop(int fd, GIOCondition condition, gpointer user_data)
{
    struct stop *stop = user_data;

    g_assert_cmpint(fd, ==, stop->fd);
    g_assert_cmpint(condition & G_IO_IN, !=, 0);
    stop->when = g_get_monotonic_time();
    g_cancellable_cancel(stop->cancellable);
    return G_SOURCE_REMOVE;
}

/* The stop comes with attempt number event_at, or in the pause behind it, and ends the wait at once. */
static void
assert_stops(const struct hvs_server_address *address, int event_at, gboolean in_pause)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    struct stop stop = { .fd = eventfd(0, EFD_CLOEXEC), .cancellable = cancellable };
    struct hvs_server_watch watch = { .fd = stop.fd, .events = POLLIN, .ready = on_stop };
    g_autoptr(GError) error = NULL;
    unsigned which;
    int fd;

    expect_attempts_until_stopped(event_at, in_pause, stop.fd);
    fd = hvs_server_connect(address, 1, FOR_EVER, &watch, 1, &stop, cancellable, &which, &error);
    g_assert_cmpint(fd, ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_cmpint(attempts.count, ==, event_at);
    g_assert_cmpint(stop.when, !=, 0);
    g_assert_cmpint(g_get_monotonic_time() - stop.when, <, INTERRUPTION);
    close(stop.fd);
}

static void
test_stop_while_pausing(void)
{
    struct hvs_server_address address;
    int refusing = refuse_tcp(&address);

    assert_stops(&address, 1, TRUE);
    assert_stops(&address, 5, TRUE);
    close(refusing);
}

/* A listener whose queue is full: who connects waits, without an answer. */
static int
listen_deaf(struct hvs_server_address *address, int fillers[8])
{
    int listener = bind_tcp("127.0.0.1", address);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(address->port) };

    inet_pton(AF_INET, address->host, &name.sin_addr);
    g_assert_cmpint(listen(listener, 0), ==, 0);
    for (unsigned i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        syscall(SYS_connect, fillers[i], &name, sizeof(name));
    }
    return listener;
}

static void
test_stop_while_connecting(void)
{
    struct hvs_server_address address;
    int fillers[8], deaf = listen_deaf(&address, fillers);

    assert_stops(&address, 1, FALSE);
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(deaf);
}

/* Nor does it keep the next server waiting for all of it. */
static void
test_deaf_and_good(void)
{
    struct hvs_server_address addresses[2];
    int fillers[8], deaf = listen_deaf(&addresses[0], fillers);
    int good = listen_tcp("127.0.0.1", &addresses[1]);
    g_autoptr(GError) error = NULL;
    unsigned which = 77;
    int fd = connect_to(addresses, 2, 60000, &which, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(which, ==, 1);
    assert_connected(fd, good);
    close(fd);
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(deaf);
    close(good);
}

/* A server that does not answer at all does not hold us beyond the time-out (GIO counts it in whole
 * seconds). */
static void
test_timeout_while_connecting(void)
{
    struct hvs_server_address address;
    int fillers[8], deaf = listen_deaf(&address, fillers);
    gint64 start = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;
    unsigned which;

    g_assert_cmpint(connect_to(&address, 1, 100, &which, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 10 * G_USEC_PER_SEC);
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(deaf);
}

static void
test_stop_before(void)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    struct hvs_server_address address;
    int listener = listen_tcp("127.0.0.1", &address);
    g_autoptr(GError) error = NULL;
    unsigned which;

    g_cancellable_cancel(cancellable);
    g_assert_cmpint(hvs_server_connect(&address, 1, FOR_EVER, NULL, 0, NULL, cancellable, &which,
                                       &error),
                    ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    close(listener);
}

/* A watch that has nothing to say against it does not end the wait. */
static gboolean
on_harmless(int fd, G_GNUC_UNUSED GIOCondition condition, gpointer user_data)
{
    unsigned *calls = user_data;
    uint64_t count;

    g_assert_cmpint(read(fd, &count, sizeof(count)), ==, sizeof(count));
    ++*calls;
    return G_SOURCE_CONTINUE;
}

static void
write_event_and_listen(int fd, const struct sockaddr *address, socklen_t size)
{
    int listener = attempts.fd >> 16;

    attempts.fd &= 0xffff;
    write_event(fd, address, size);
    expect_attempts(2, start_listening, listener);
}

static void
test_watch_continues(void)
{
    int event = eventfd(0, EFD_CLOEXEC), listener, fd;
    struct hvs_server_watch watch = { .fd = event, .events = POLLIN, .ready = on_harmless };
    struct hvs_server_address address;
    g_autoptr(GError) error = NULL;
    unsigned which = 77, calls = 0;

    listener = refuse_tcp(&address);
    expect_attempts(1, write_event_and_listen, listener << 16 | event);
    fd = hvs_server_connect(&address, 1, FOR_EVER, &watch, 1, &calls, NULL, &which, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(calls, ==, 1);
    assert_connected(fd, listener);
    close(event);
}

/* ---- odd things ---- */

static void
connect_to_itself(int fd, const struct sockaddr *address, socklen_t size)
{
    g_assert_cmpint(bind(fd, address, size), ==, 0);
}

/* A socket that got the server's port as its own connects to itself: nobody is there. */
static void
test_itself(gconstpointer data)
{
    struct hvs_server_address address;
    g_autoptr(GError) error = NULL;
    int fd = bind_tcp(data, &address);
    unsigned which;

    if (fd < 0) {
        g_test_skip("no such address on this machine");
        return;
    }
    close(fd); /* the port is free, and known */
    expect_attempts(1, connect_to_itself, -1);
    g_assert_cmpint(connect_to(&address, 1, 0, &which, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    g_assert_true(g_str_has_suffix(error->message, ": Connection refused"));
}

static unsigned
count_descriptors(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(directory) != NULL)
        count++;
    return count;
}

/* Neither a connection nor a failure leaves anything open. */
static void
test_descriptors(void)
{
    struct hvs_server_address addresses[2];
    int refusing = refuse_tcp(&addresses[0]);
    int listener = listen_tcp("127.0.0.1", &addresses[1]);
    unsigned before = 0, which;

    g_strlcpy(addresses[1].host, "localhost", sizeof(addresses[1].host));
    for (unsigned i = 0; i < 50; i++) {
        int fd = connect_to(addresses, 2, 0, &which, NULL), peer;

        g_assert_cmpint(fd, >=, 0);
        peer = accept(listener, NULL, NULL);
        close(fd);
        close(peer);
        g_assert_cmpint(connect_to(addresses, 1, 0, &which, NULL), ==, -1);
        if (i == 0)
            before = count_descriptors(); /* GLib keeps a few of its own */
    }
    g_assert_cmpuint(count_descriptors(), ==, before);
    close(refusing);
    close(listener);
}

int
main(int argc, char **argv)
{
    static const char *const ipv4[] = { "127.0.0.1", "127.0.0.1" };
    static const char *const ipv6[] = { "::1", "::1" };
    static const char *const localhost4[] = { "127.0.0.1", "localhost" };

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/server/tcp/ipv4", ipv4, test_tcp);
    g_test_add_data_func("/server/tcp/ipv6", ipv6, test_tcp);
    g_test_add_data_func("/server/tcp/localhost", localhost4, test_tcp);
    g_test_add_func("/server/unix", test_unix);
    g_test_add_func("/server/several/order", test_order);
    g_test_add_func("/server/several/failures", test_failures);
    g_test_add_func("/server/several/deaf-and-good", test_deaf_and_good);
    g_test_add_func("/server/time/one-round", test_one_round);
    g_test_add_func("/server/time/over", test_timeout);
    g_test_add_func("/server/time/over-while-connecting", test_timeout_while_connecting);
    g_test_add_func("/server/late", test_late);
    g_test_add_func("/server/late/second", test_late_second);
    g_test_add_func("/server/stop/before", test_stop_before);
    g_test_add_func("/server/stop/pausing", test_stop_while_pausing);
    g_test_add_func("/server/stop/connecting", test_stop_while_connecting);
    g_test_add_func("/server/watch/continues", test_watch_continues);
    g_test_add_data_func("/server/itself/ipv4", "127.0.0.1", test_itself);
    g_test_add_data_func("/server/itself/ipv6", "::1", test_itself);
    g_test_add_func("/server/descriptors", test_descriptors);
    return g_test_run();
}
