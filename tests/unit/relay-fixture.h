/* What tests of linux/relay.c share: the test is the host on a memfd and a socketpair, or on a
 * stream socket alone (HvSocket), and the RDP server on a loopback socket. Waits for events, but
 * for the relay's thread to have fallen asleep, which none tells.
 *
 * To be linked with --wrap=g_mutex_lock,--wrap=g_mutex_unlock.
 */
#ifndef TESTS_UNIT_RELAY_FIXTURE_H
#define TESTS_UNIT_RELAY_FIXTURE_H

#include "linux/relay.h"
#include "linux/server.h"
#include "naive-host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>

#define RING_DATA 65536u
#define CHANNEL   3u

/* requestedProtocols 0x0b, and as the server shall see it */
static const uint8_t request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 11, 0, 0, 0 };
static const uint8_t plain_request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0,
                                         0, 1, 0, 8,  0,  0,    0, 0, 0 };
/* selectedProtocol SSL: passed through, the session is transparent from here on */
static const uint8_t confirm[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                   0, 2, 0, 8,  0,  1,    0, 0, 0 };
static const uint8_t plain_confirm[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                         0, 2, 0, 8,  0,  0,    0, 0, 0 };
/* RDP_NEG_FAILURE, HYBRID_REQUIRED_BY_SERVER */
static const uint8_t failure[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                   0, 3, 0, 8,  0,  5,    0, 0, 0 };
/* MCS Connect Response with SC_CORE, SC_NET, and SC_SECURITY asking for 128 bit */
static const uint8_t encrypting_response[] = {
    0x03, 0x00, 0x00, 0x75, 0x02, 0xf0, 0x80, 0x7f, 0x66, 0x6b, 0x0a, 0x01, 0x00, 0x02, 0x01,
    0x00, 0x30, 0x19, 0x02, 0x01, 0x22, 0x02, 0x01, 0x02, 0x02, 0x01, 0x00, 0x02, 0x01, 0x01,
    0x02, 0x01, 0x00, 0x02, 0x01, 0x01, 0x02, 0x02, 0xff, 0xff, 0x02, 0x01, 0x02, 0x04, 0x48,
    0x00, 0x05, 0x00, 0x14, 0x7c, 0x00, 0x01, 0x2a, 0x14, 0x76, 0x0a, 0x01, 0x01, 0x00, 0x01,
    0xc0, 0x00, 0x4d, 0x63, 0x44, 0x6e, 0x32, 0x01, 0x0c, 0x10, 0x00, 0x04, 0x00, 0x08, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x03, 0x0c, 0x10, 0x00, 0xeb, 0x03, 0x04,
    0x00, 0xec, 0x03, 0xed, 0x03, 0xee, 0x03, 0xef, 0x03, 0x02, 0x0c, 0x0c, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x04, 0x0c, 0x06, 0x00, 0xf0, 0x03,
};

struct fixture {
    bool over_socket;
    int peer, connection; /* over a socket: the host's end, and the relay's until it has it */
    struct naive_host host;
    struct hvs_channel guest; /* a copy, to know where its mapping is */
    struct hvs_settings settings;
    uint32_t id;
    hvs_relay *relay; /* NULL: it has ended and was freed */
    unsigned ended;
    struct hvs_session session; /* as it ended */
    int listener, server;
    uint16_t port;
    unsigned descriptors;
};

/* ---- the thread sanitizer ---- */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#endif
#ifdef THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_acquire(mutex) ((void)(mutex))
#define __tsan_release(mutex) ((void)(mutex))
#endif

void __real_g_mutex_lock(GMutex *mutex);
void __real_g_mutex_unlock(GMutex *mutex);
void __wrap_g_mutex_lock(GMutex *mutex);
void __wrap_g_mutex_unlock(GMutex *mutex);

/* GLib's locks are system calls of its own, which the sanitizer does not see: wrapped by the
 * linker, they tell it. */
void
__wrap_g_mutex_lock(GMutex *mutex)
{
    __real_g_mutex_lock(mutex);
    __tsan_acquire(mutex);
}

void
__wrap_g_mutex_unlock(GMutex *mutex)
{
    __tsan_release(mutex);
    __real_g_mutex_unlock(mutex);
}

/* ---- setting up ---- */

static inline void
listen_on_loopback(struct fixture *fixture)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;

    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fixture->listener, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(fixture->listener, 8), ==, 0);
    g_assert_cmpint(getsockname(fixture->listener, (struct sockaddr *)&address, &size), ==, 0);
    fixture->port = ntohs(address.sin_port);
}

static inline void
set_up(struct fixture *fixture, gconstpointer data)
{
    static uint32_t last_id = 100;
    struct hvs_server_address *address = &fixture->settings.servers[0];

    (void)data;
    fixture->descriptors = count_descriptors();
    fixture->server = -1;
    fixture->id = ++last_id;
    listen_on_loopback(fixture);
    hvs_settings_init(&fixture->settings);
    fixture->settings.server_count = 1;
    fixture->settings.negotiation_reply = HVS_REPLY_SETTING_PASSTHROUGH;
    address->kind = HVS_SERVER_TCP;
    g_strlcpy(address->host, "127.0.0.1", sizeof address->host);
    address->port = fixture->port;
    if (fixture->over_socket) {
        int ends[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
        fixture->peer = ends[0];
        fixture->connection = ends[1];
        fixture->host.fd = -1;
        return;
    }
    fixture->peer = -1;
    fixture->host = naive_host_new(RING_DATA, fixture->id % 2 == 0, &fixture->guest);
}

static inline void
set_up_socket(struct fixture *fixture, gconstpointer data)
{
    fixture->over_socket = true;
    set_up(fixture, data);
}

/* The port stays taken, but nobody answers on it. */
static inline void
stop_listening(struct fixture *fixture)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(fixture->port) };

    close(fixture->listener);
    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fixture->listener, (struct sockaddr *)&address, sizeof address), ==, 0);
}

static inline void
on_ended(hvs_relay *relay, gpointer user_data)
{
    struct fixture *fixture = user_data;

    g_assert_true(relay == fixture->relay);
    fixture->ended++;
    hvs_relay_snapshot(relay, &fixture->session);
    /* The channel is closed towards the host. */
    g_assert_true(fixture->host.fd < 0 || !naive_host_take_signals(&fixture->host));
    hvs_relay_free(relay);
    fixture->relay = NULL;
}

static inline void
start(struct fixture *fixture)
{
    struct hvs_channel channel = fixture->guest;
    g_autoptr(GError) error = NULL;

    if (fixture->over_socket) {
        fixture->relay = hvs_relay_start_socket(fixture->id, fixture->connection,
                                                &fixture->settings, on_ended, fixture, &error);
        g_assert_no_error(error);
        return;
    }
    fixture->relay = hvs_relay_start(fixture->id, CHANNEL, &channel, &fixture->settings, on_ended,
                                     fixture, &error);
    g_assert_no_error(error);
    g_assert_cmpint(channel.fd, ==, -1);
    g_assert_null(channel.map);
}

static inline void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_null(fixture->relay);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(fixture->ended, <=, 1);
    if (!fixture->over_socket)
        naive_host_free(&fixture->host);
    if (fixture->peer >= 0)
        close(fixture->peer);
    close(fixture->listener);
    if (fixture->server >= 0)
        close(fixture->server);
    g_assert_cmpuint(count_descriptors(), ==, fixture->descriptors);
}

/* ---- watching ---- */

static inline gboolean
on_impatience(gpointer data)
{
    (void)data;
    g_error("the session does not end");
    return G_SOURCE_REMOVE;
}

static inline void
await_any_end(struct fixture *fixture)
{
    guint patience = g_timeout_add(3 * NAIVE_PATIENCE, on_impatience, NULL);

    while (fixture->relay != NULL)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(patience);
    g_assert_cmpint(fixture->session.state, ==, HVS_SESSION_ENDED);
    g_assert_cmpuint(fixture->session.ended, >=, fixture->session.started);
    g_assert_cmpuint(fixture->session.ended, <=, hvs_relay_now());
}

static inline void
await_end(struct fixture *fixture, enum hvs_end_reason reason)
{
    await_any_end(fixture);
    g_assert_cmpstr(hvs_end_reason_to_string(fixture->session.reason), ==,
                    hvs_end_reason_to_string(reason));
}

static inline struct hvs_session
snapshot(const struct fixture *fixture)
{
    struct hvs_session session;

    hvs_relay_snapshot(fixture->relay, &session);
    return session;
}

/* The relay's thread in /proc. */
static inline char *
thread_directory(const struct fixture *fixture)
{
    g_autofree char *expected = g_strdup_printf("session-%u\n", fixture->id);
    g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);
    const char *task;

    while ((task = g_dir_read_name(tasks)) != NULL) {
        g_autofree char *directory = g_build_filename("/proc/self/task", task, NULL);
        g_autofree char *path = g_build_filename(directory, "comm", NULL);
        g_autofree char *name = NULL;

        if (g_file_get_contents(path, &name, NULL, NULL) && g_str_equal(name, expected))
            return g_steal_pointer(&directory);
    }
    return NULL; /* it has just begun */
}

/* How often the thread was switched to and from; −1 while it does not sleep. */
static inline gint64
switches_while_asleep(const struct fixture *fixture)
{
    g_autofree char *directory = thread_directory(fixture);
    g_autofree char *path = directory != NULL ? g_build_filename(directory, "status", NULL) : NULL;
    g_autofree char *status = NULL;
    const char *voluntary, *involuntary;

    if (path == NULL || !g_file_get_contents(path, &status, NULL, NULL) ||
        strstr(status, "State:\tS") == NULL)
        return -1;
    voluntary = strstr(status, "\nvoluntary_ctxt_switches:");
    involuntary = strstr(status, "\nnonvoluntary_ctxt_switches:");
    g_assert_true(voluntary != NULL && involuntary != NULL);
    return g_ascii_strtoll(strchr(voluntary, ':') + 1, NULL, 10) +
           g_ascii_strtoll(strchr(involuntary, ':') + 1, NULL, 10);
}

/* Until the relay has done all it can and sleeps. There is no event for that: it is looked at until
 * it has slept through some looks. */
static inline void
await_asleep(const struct fixture *fixture)
{
    gint64 deadline = g_get_monotonic_time() + NAIVE_PATIENCE * 1000, before = -1;

    for (unsigned slept = 0; slept < 5;) {
        gint64 switches = switches_while_asleep(fixture);

        slept = switches >= 0 && switches == before ? slept + 1 : 0;
        before = switches;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(2000);
    }
}

/* Cuts the relay off from the rings, as a kernel may that frees them, then rescinds. */
static inline void
rescind_and_await_end(struct fixture *fixture)
{
    await_asleep(fixture);
    if (fixture->over_socket) {
        close(fixture->peer);
        fixture->peer = -1;
    } else {
        g_assert_cmpint(mprotect(fixture->guest.map, fixture->guest.map_size, PROT_NONE), ==, 0);
        naive_host_rescind(&fixture->host);
    }
    await_end(fixture, HVS_END_HOST_RESCINDED);
}

/* Not once in that time does the relay wake. */
static inline void
assert_stays_asleep(const struct fixture *fixture, int milliseconds)
{
    gint64 switches;
    uint64_t wakeups;

    await_asleep(fixture);
    switches = switches_while_asleep(fixture);
    wakeups = snapshot(fixture).counters.wakeups;
    poll(NULL, 0, milliseconds);
    g_assert_cmpint(switches_while_asleep(fixture), ==, switches);
    g_assert_cmpuint(snapshot(fixture).counters.wakeups, ==, wakeups);
}

static inline void
assert_state(const struct fixture *fixture, enum hvs_session_state state)
{
    await_asleep(fixture);
    g_assert_cmpstr(hvs_session_state_to_string(snapshot(fixture).state), ==,
                    hvs_session_state_to_string(state));
}

/* ---- host and server ---- */

static inline uint8_t
pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8));
}

static inline void
fill(uint8_t *bytes, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = pattern(at + i);
}

static inline void
assert_pattern(const uint8_t *bytes, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != pattern(at + i))
            g_error("byte %zu is wrong", at + i);
}

static inline void
wait_for(int fd, short events)
{
    struct pollfd poll_fd = { .fd = fd, .events = events };

    g_assert_cmpint(poll(&poll_fd, 1, NAIVE_PATIENCE), ==, 1);
}

/* Exactly count bytes of a socket. */
static inline void
expect_bytes(int fd, const void *expected, size_t count)
{
    g_autofree uint8_t *buffer = g_malloc(count);
    size_t got = 0;

    while (got < count) {
        ssize_t n;

        wait_for(fd, POLLIN);
        n = recv(fd, buffer + got, count - got, 0);
        g_assert_cmpint(n, >, 0);
        got += (size_t)n;
    }
    naive_assert_same(buffer, expected, count);
}

static inline void
expect_end(int fd)
{
    uint8_t byte;

    wait_for(fd, POLLIN);
    g_assert_cmpint(recv(fd, &byte, 1, 0), ==, 0);
}

static inline void
host_sends(struct fixture *fixture, const void *bytes, size_t count)
{
    if (fixture->over_socket)
        g_assert_cmpint(send(fixture->peer, bytes, count, MSG_NOSIGNAL), ==, (ssize_t)count);
    else
        naive_host_send(&fixture->host, bytes, (uint32_t)count);
}

static inline void
host_ends(struct fixture *fixture)
{
    if (fixture->over_socket)
        g_assert_cmpint(shutdown(fixture->peer, SHUT_WR), ==, 0);
    else
        naive_host_send(&fixture->host, NULL, 0);
}

/* Something, into packet; returns how many bytes, 0 at the end. */
static inline int
host_receives(struct fixture *fixture, uint8_t packet[NAIVE_PACKET_MAX])
{
    if (!fixture->over_socket)
        return naive_host_receive(&fixture->host, packet);
    wait_for(fixture->peer, POLLIN);
    return (int)recv(fixture->peer, packet, NAIVE_PACKET_MAX, 0);
}

static inline void
host_expects(struct fixture *fixture, const void *expected, size_t count)
{
    uint8_t packet[NAIVE_PACKET_MAX];
    size_t got = 0;

    if (fixture->over_socket) {
        expect_bytes(fixture->peer, expected, count);
        return;
    }
    while (got < count) {
        int length = host_receives(fixture, packet);

        g_assert_cmpint(length, >, 0);
        g_assert_cmpuint(got + (size_t)length, <=, count);
        naive_assert_same(packet, (const uint8_t *)expected + got, (size_t)length);
        got += (size_t)length;
    }
}

static inline void
host_expects_end(struct fixture *fixture)
{
    uint8_t packet[NAIVE_PACKET_MAX];

    g_assert_cmpint(host_receives(fixture, packet), ==, 0);
}

/* Of a session that ends. */
static inline bool
host_was_told_nothing(struct fixture *fixture)
{
    uint8_t packet[NAIVE_PACKET_MAX];

    return fixture->over_socket ? host_receives(fixture, packet) <= 0 :
                                  !naive_host_has_input(&fixture->host);
}

static inline bool
server_is_called(const struct fixture *fixture)
{
    struct pollfd poll_fd = { .fd = fixture->listener, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1;
}

static inline void
server_accepts(struct fixture *fixture)
{
    int on = 1;

    wait_for(fixture->listener, POLLIN);
    fixture->server = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    g_assert_cmpint(fixture->server, >=, 0);
    setsockopt(fixture->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline void
server_sends(const struct fixture *fixture, const void *bytes, size_t count)
{
    g_assert_cmpint(send(fixture->server, bytes, count, MSG_NOSIGNAL), ==, (ssize_t)count);
}

static inline void
server_expects(const struct fixture *fixture, const void *expected, size_t count)
{
    expect_bytes(fixture->server, expected, count);
}

static inline void
server_expects_end(const struct fixture *fixture)
{
    expect_end(fixture->server);
}

static inline void
server_closes(struct fixture *fixture)
{
    close(fixture->server);
    fixture->server = -1;
}

static inline void
server_resets(struct fixture *fixture)
{
    const struct linger at_once = { 1, 0 };

    setsockopt(fixture->server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    server_closes(fixture);
}

/* The server has the request and may answer. */
static inline void
connect_both(struct fixture *fixture)
{
    start(fixture);
    host_sends(fixture, request, sizeof request);
    server_accepts(fixture);
    server_expects(fixture, plain_request, sizeof plain_request);
}

static inline void
become_active(struct fixture *fixture)
{
    connect_both(fixture);
    server_sends(fixture, confirm, sizeof confirm);
    host_expects(fixture, confirm, sizeof confirm);
    assert_state(fixture, HVS_SESSION_ACTIVE);
}

/* ---- many bytes ---- */

/* As much as the sender's side takes; returns how many bytes. */
static inline size_t
flood(const struct fixture *fixture, int fd)
{
    uint8_t bytes[16384];
    size_t sent = 0;

    for (;;) {
        ssize_t n;

        fill(bytes, sizeof bytes, sent);
        n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        g_assert_cmpint(errno, ==, EAGAIN);
        await_asleep(fixture);
        if (send(fd, bytes, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
            return sent;
        sent++;
    }
}

static inline size_t
server_floods(const struct fixture *fixture)
{
    return flood(fixture, fixture->server);
}

/* As much as the ring and the server's side take; returns how many bytes. */
static inline size_t
host_floods(struct fixture *fixture)
{
    const struct naive_ring *ring = &fixture->host.to_guest;
    uint8_t bytes[4000];
    size_t sent = 0;
    unsigned full = 0;

    if (fixture->over_socket)
        return flood(fixture, fixture->peer);
    while (full < 2) {
        uint32_t used = naive_distance(ring, ring->words[READ_INDEX], ring->words[WRITE_INDEX]);

        if (used + naive_packet_size(NAIVE_PIPE_HEADER + sizeof bytes) >= ring->size) {
            await_asleep(fixture);
            full++;
            continue;
        }
        full = 0;
        fill(bytes, sizeof bytes, sent);
        host_sends(fixture, bytes, sizeof bytes);
        sent += sizeof bytes;
    }
    return sent;
}

/* ---- the end ---- */

static inline void
assert_detail(const struct fixture *fixture, const char *about)
{
    if (strstr(fixture->session.detail, about) == NULL)
        g_error("\"%s\" has no \"%s\"", fixture->session.detail, about);
}

/* Refusals are warnings, and expected here. */
static inline GLogWriterOutput
drop_log(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data)
{
    (void)data;
    return level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)
               ? g_log_writer_default(level, fields, count, NULL)
               : G_LOG_WRITER_HANDLED;
}

/* What GIO opens with the first connection it keeps. */
static inline void
warm_up(void)
{
    const struct hvs_server_address nobody = { .kind = HVS_SERVER_TCP, .host = "127.0.0.1" };
    unsigned which;

    g_assert_cmpint(hvs_server_connect(&nobody, 1, 0, NULL, 0, NULL, NULL, &which, NULL), ==, -1);
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

#endif
