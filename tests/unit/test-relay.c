/* linux/relay.c in this process: the test is the host on a memfd and a socketpair, or on a stream
 * socket alone (HvSocket), and the RDP server on a loopback socket. What takes whole daemons is
 * tested in tests/host.
 */
#include "relay-fixture.h"

gint64 __real_g_get_monotonic_time(void);
gint64 __wrap_g_get_monotonic_time(void);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

/* ---- time ---- */

static _Atomic gint64 time_skipped; /* microseconds */
static _Atomic gboolean skips_time; /* sleeping takes no time, if nothing wakes the relay at once */

gint64
__wrap_g_get_monotonic_time(void)
{
    return __real_g_get_monotonic_time() + time_skipped;
}

int
__wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (!skips_time || timeout <= 0)
        return __real_poll(fds, count, timeout);
    time_skipped += (gint64)timeout * 1000;
    return __real_poll(fds, count, 0);
}

/* ---- a session ---- */

static void
count_change(gpointer data)
{
    ++*(unsigned *)data;
}

/* A watched session tells of its next change, once; of nothing while nothing happens. */
static void
test_watch(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[100];
    unsigned changes = 0;

    (void)data;
    fill(bytes, sizeof bytes, 0);
    become_active(fixture);
    for (unsigned i = 1; i <= 3; i++) {
        await_asleep(fixture);
        hvs_relay_watch(fixture->relay, count_change, &changes);
        assert_stays_asleep(fixture, 50);
        g_assert_false(g_main_context_iteration(NULL, FALSE));
        for (unsigned j = 0; j < 3; j++) {
            host_sends(fixture, bytes, sizeof bytes);
            server_expects(fixture, bytes, sizeof bytes);
            await_asleep(fixture);
        }
        while (g_main_context_iteration(NULL, FALSE))
            ;
        g_assert_cmpuint(changes, ==, i);
        g_assert_cmpuint(snapshot(fixture).counters.packets_from_host, ==, 1 + 3 * i);
    }
    /* Its end is told by the other callback; what is watched still is not told behind it. */
    hvs_relay_watch(fixture->relay, count_change, &changes);
    rescind_and_await_end(fixture);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(changes, <=, 4);
}

static void
test_counters(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[5000];
    g_autofree char *server = g_strdup_printf("tcp:127.0.0.1:%u", fixture->port);
    struct hvs_session session;

    (void)data;
    fill(bytes, sizeof bytes, 0);
    become_active(fixture);
    naive_host_take_signals(&fixture->host);
    session = snapshot(fixture);
    g_assert_cmpuint(session.id, ==, fixture->id);
    g_assert_cmpuint(session.channel, ==, CHANNEL);
    g_assert_cmpstr(session.server, ==, server);
    g_assert_cmpuint(session.negotiation.requested_protocols, ==, 11);
    g_assert_cmpuint(session.negotiation.selected_protocol, ==, 1);
    g_assert_cmpuint(session.counters.packets_from_host, ==, 1);
    g_assert_cmpuint(session.counters.packets_to_host, ==, 1);
    g_assert_cmpuint(session.counters.bytes_to_server, ==, sizeof request);
    g_assert_cmpuint(session.counters.bytes_to_host, ==, sizeof confirm);

    for (unsigned i = 0; i < 3; i++) {
        host_sends(fixture, bytes, 1000);
        server_expects(fixture, bytes, 1000);
        server_sends(fixture, bytes, sizeof bytes);
        host_expects(fixture, bytes, sizeof bytes);
    }
    await_asleep(fixture);
    naive_host_take_signals(&fixture->host);
    session = snapshot(fixture);
    g_assert_cmpuint(session.counters.packets_from_host, ==, 4);
    g_assert_cmpuint(session.counters.packets_to_host, >=, 4);
    g_assert_cmpuint(session.counters.bytes_to_server, ==, sizeof request + 3000);
    g_assert_cmpuint(session.counters.bytes_to_host, ==, sizeof confirm + 3 * sizeof bytes);
    g_assert_cmpuint(session.counters.signals_sent, ==, fixture->host.signals);
    g_assert_cmpuint(session.counters.wakeups, >, 0);
    g_assert_cmpuint(session.counters.ring_full, ==, 0);
    g_assert_cmpuint(session.counters.socket_full, ==, 0);
    g_assert_cmpint(session.reason, ==, HVS_END_NONE);

    rescind_and_await_end(fixture);
    g_assert_cmpuint(fixture->session.counters.bytes_to_host, ==, session.counters.bytes_to_host);
    g_assert_cmpuint(fixture->session.counters.packets_from_host, ==, 4);
}

/* A host that sleeps is signalled, one that reads is not. */
static void
test_signals(struct fixture *fixture, gconstpointer data)
{
    uint8_t byte = pattern(0);

    (void)data;
    become_active(fixture);
    naive_host_take_signals(&fixture->host);
    fixture->host.signals = 0;
    for (unsigned i = 0; i < 10; i++) {
        server_sends(fixture, &byte, 1);
        await_asleep(fixture);
    }
    naive_host_take_signals(&fixture->host);
    g_assert_cmpuint(fixture->host.signals, ==, 1); /* the ring was not empty any more */
    for (unsigned i = 0; i < 10; i++)
        host_expects(fixture, &byte, 1);

    fixture->host.from_guest.words[INTERRUPT_MASK] = 1;
    server_sends(fixture, &byte, 1);
    await_asleep(fixture);
    naive_host_take_signals(&fixture->host);
    g_assert_cmpuint(fixture->host.signals, ==, 1);
    host_expects(fixture, &byte, 1);
    rescind_and_await_end(fixture);
}

static void
test_idle(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    assert_stays_asleep(fixture, 100);
    host_sends(fixture, request, sizeof request);
    server_accepts(fixture);
    server_expects(fixture, plain_request, sizeof plain_request);
    /* The host goes on, the server has not confirmed. */
    host_sends(fixture, request, sizeof request);
    assert_stays_asleep(fixture, 100);
    server_sends(fixture, confirm, sizeof confirm);
    host_expects(fixture, confirm, sizeof confirm);
    server_expects(fixture, request, sizeof request);
    assert_stays_asleep(fixture, 1000);
    g_assert_cmpint(snapshot(fixture).state, ==, HVS_SESSION_ACTIVE);
    rescind_and_await_end(fixture);
}

/* ---- the request ---- */

static void
test_request_bytewise(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    for (size_t i = 0; i < sizeof request; i++) {
        g_assert_false(server_is_called(fixture));
        host_sends(fixture, &request[i], 1);
        if (i + 1 < sizeof request)
            assert_state(fixture, HVS_SESSION_WAITING);
    }
    server_accepts(fixture);
    server_expects(fixture, plain_request, sizeof plain_request);
    rescind_and_await_end(fixture);
    if (!fixture->over_socket)
        g_assert_cmpuint(fixture->session.counters.packets_from_host, ==, sizeof request);
}

/* What comes with it in one packet belongs to the stream behind. */
static void
test_request_with_surplus(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[sizeof request + 700];

    (void)data;
    memcpy(bytes, request, sizeof request);
    fill(bytes + sizeof request, 700, 0);
    start(fixture);
    host_sends(fixture, bytes, sizeof bytes);
    server_accepts(fixture);
    server_expects(fixture, plain_request, sizeof plain_request);
    server_sends(fixture, confirm, sizeof confirm);
    server_expects(fixture, bytes + sizeof request, 700);
    rescind_and_await_end(fixture);
}

/* In real time: a host that says nothing may take for ever, half a request may not. */
static void
test_request_timeout(struct fixture *fixture, gconstpointer data)
{
    struct fixture silent = { 0 };

    set_up(&silent, data);
    start(&silent);
    start(fixture);
    await_asleep(fixture);
    host_sends(fixture, request, 5);
    await_end(fixture, HVS_END_REQUEST_TIMEOUT);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, >=,
                     HVS_SESSION_REQUEST_TIMEOUT);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, <,
                     HVS_SESSION_REQUEST_TIMEOUT + 5000);
    g_assert_false(server_is_called(fixture));

    assert_state(&silent, HVS_SESSION_WAITING);
    g_assert_cmpuint(snapshot(&silent).counters.wakeups, ==, 0);
    rescind_and_await_end(&silent);
    silent.descriptors--; /* the other's channel was open when they were counted */
    tear_down(&silent, data);
}

/* Whoever connects over HvSocket takes a place, and does not keep it by saying nothing. */
static void
test_silence(struct fixture *fixture, gconstpointer data)
{
    struct fixture late = { .over_socket = true };

    set_up(&late, data);
    start(&late);
    assert_stays_asleep(&late, 100);
    assert_state(&late, HVS_SESSION_WAITING);
    skips_time = TRUE;
    start(fixture);
    await_end(fixture, HVS_END_HOST_SILENT);
    skips_time = FALSE;
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, >=,
                     HVS_SESSION_SILENCE_TIMEOUT);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, <,
                     HVS_SESSION_SILENCE_TIMEOUT + 5000);
    g_assert_cmpuint(fixture->session.counters.wakeups, ==, 1);
    g_assert_false(server_is_called(fixture));

    /* As soon as a byte has come, the request is due as ever. */
    skips_time = TRUE;
    host_sends(&late, request, 5);
    await_end(&late, HVS_END_REQUEST_TIMEOUT);
    skips_time = FALSE;
    late.descriptors--; /* the other's connection was open when they were counted */
    tear_down(&late, data);
}

/* ---- rescinds: no byte of the rings is touched afterwards ---- */

static void
test_rescind_waiting(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    assert_state(fixture, HVS_SESSION_WAITING);
    rescind_and_await_end(fixture);
}

static void
test_rescind_idle(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    rescind_and_await_end(fixture);
    server_expects_end(fixture);
}

/* With a signal and data under way. */
static void
test_rescind_signalled(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture); /* and asleep */
    g_assert_cmpint(mprotect(fixture->guest.map, fixture->guest.map_size, PROT_NONE), ==, 0);
    /* Both in one system call would be best: what is seen is what is there when poll() returns. */
    naive_host_rescind(&fixture->host);
    server_sends(fixture, confirm, sizeof confirm);
    await_end(fixture, HVS_END_HOST_RESCINDED);
}

static void
test_rescind_connecting(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    stop_listening(fixture);
    fixture->settings.server_timeout = 60000;
    start(fixture);
    host_sends(fixture, request, sizeof request);
    while (snapshot(fixture).state != HVS_SESSION_CONNECTING)
        g_usleep(1000);
    g_assert_cmpint(mprotect(fixture->guest.map, fixture->guest.map_size, PROT_NONE), ==, 0);
    naive_host_signal(&fixture->host); /* read later, or never */
    while (naive_host_unread_signals(&fixture->host) > 0)
        g_usleep(1000);
    g_assert_cmpint(snapshot(fixture).state, ==, HVS_SESSION_CONNECTING);
    rescind_and_await_end(fixture);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, <, 5000);
}

static void
test_rescind_host_stalled(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    server_floods(fixture);
    rescind_and_await_end(fixture);
}

static void
test_rescind_server_stalled(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    host_floods(fixture);
    rescind_and_await_end(fixture);
}

static void
test_rescind_closing(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    server_closes(fixture);
    host_expects_end(fixture);
    assert_state(fixture, HVS_SESSION_CLOSING);
    rescind_and_await_end(fixture);
}

/* ---- stops ---- */

static void
test_stop(struct fixture *fixture, gconstpointer data)
{
    static const enum hvs_end_reason reasons[] = { HVS_END_STOPPED, HVS_END_DISCONNECTED,
                                                   HVS_END_CONTROL_LOST, HVS_END_HOST_RESCINDED };
    enum hvs_end_reason reason = reasons[fixture->id % G_N_ELEMENTS(reasons)];
    enum hvs_session_state state = (enum hvs_session_state)GPOINTER_TO_INT(data);

    if (state == HVS_SESSION_CONNECTING) {
        stop_listening(fixture);
        start(fixture);
        host_sends(fixture, request, sizeof request);
        while (snapshot(fixture).state != HVS_SESSION_CONNECTING)
            g_usleep(1000);
    } else if (state == HVS_SESSION_ACTIVE) {
        become_active(fixture);
    } else {
        start(fixture);
    }
    hvs_relay_stop(fixture->relay, reason);
    hvs_relay_stop(fixture->relay, HVS_END_NO_RESOURCES);
    await_end(fixture, reason);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, <, 5000);
}

static void
test_stop_stalled(struct fixture *fixture, gconstpointer data)
{
    if (data != NULL) {
        become_active(fixture);
        server_floods(fixture);
        host_floods(fixture);
    } else {
        connect_both(fixture);
    }
    hvs_relay_stop(fixture->relay, HVS_END_DISCONNECTED);
    await_end(fixture, HVS_END_DISCONNECTED);
}

/* Freed alive: nobody is told. */
static void
test_free_alive(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    g_clear_pointer(&fixture->relay, hvs_relay_free);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(fixture->ended, ==, 0);
    server_expects_end(fixture);
    if (fixture->over_socket)
        host_expects_end(fixture);
    else
        g_assert_false(naive_host_take_signals(&fixture->host));
}

/* Freed when it has ended, and before that was told. */
static void
test_free_ended(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    if (fixture->over_socket)
        shutdown(fixture->peer, SHUT_RDWR);
    else
        naive_host_rescind(&fixture->host);
    while (snapshot(fixture).state != HVS_SESSION_ENDED)
        g_usleep(1000);
    g_clear_pointer(&fixture->relay, hvs_relay_free);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(fixture->ended, ==, 0);
}

static void
test_start_without_descriptor(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel channel = fixture->guest;
    g_autoptr(GError) error = NULL;
    struct rlimit limit, low;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)data;
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &low);
    fixture->relay = hvs_relay_start(fixture->id, CHANNEL, &channel, &fixture->settings, on_ended,
                                     fixture, &error);
    setrlimit(RLIMIT_NOFILE, &limit);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
    g_assert_null(fixture->relay);
    g_assert_cmpint(channel.fd, ==, -1);
    g_assert_false(naive_host_take_signals(&fixture->host));
}

/* ---- ends ---- */

static void
test_end_before_request(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    host_sends(fixture, request, 7);
    host_ends(fixture);
    await_end(fixture, HVS_END_HOST_CLOSED);
    assert_detail(fixture, "request");
    g_assert_false(server_is_called(fixture));
}

static void
test_request_malformed(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    host_sends(fixture, "GET / HTTP/1.1\r\n\r\n", 18);
    await_end(fixture, HVS_END_REQUEST_MALFORMED);
    g_assert_cmpint(fixture->session.negotiation_error, ==, HVS_TPKT_BAD_VERSION);
    assert_detail(fixture, hvs_negotiation_error_to_string(HVS_TPKT_BAD_VERSION));
    g_assert_false(server_is_called(fixture));
}

/* A mirrored client has to get an MCS Connect Response. */
static void
test_initial_malformed(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->settings.negotiation_reply = HVS_REPLY_SETTING_MIRROR;
    connect_both(fixture);
    server_sends(fixture, plain_confirm, sizeof plain_confirm);
    host_sends(fixture, "no TPKT", 7);
    await_end(fixture, HVS_END_REQUEST_MALFORMED);
}

static void
test_reply_malformed(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    connect_both(fixture);
    server_sends(fixture, "SSH-2.0\r\n", 9);
    await_end(fixture, HVS_END_REPLY_MALFORMED);
    g_assert_cmpint(fixture->session.negotiation_error, ==, HVS_TPKT_BAD_VERSION);
    g_assert_true(host_was_told_nothing(fixture));
}

static void
test_unreachable(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *server = g_strdup_printf("tcp:127.0.0.1:%u", fixture->port);

    (void)data;
    stop_listening(fixture);
    fixture->settings.server_timeout = 150;
    start(fixture);
    host_sends(fixture, request, sizeof request);
    await_end(fixture, HVS_END_SERVER_UNREACHABLE);
    assert_detail(fixture, server);
    assert_detail(fixture, "refused");
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, >=, 140);
}

/* It is not up yet, and waited for. */
static void
test_server_late(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    stop_listening(fixture);
    start(fixture);
    host_sends(fixture, request, sizeof request);
    while (snapshot(fixture).state != HVS_SESSION_CONNECTING)
        g_usleep(1000);
    g_assert_cmpint(listen(fixture->listener, 1), ==, 0);
    server_accepts(fixture);
    server_expects(fixture, plain_request, sizeof plain_request);
    rescind_and_await_end(fixture);
}

/* The client is told as the server said it, and the reason is kept. */
static void
test_refused(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->settings.negotiation_reply = (unsigned)GPOINTER_TO_INT(data);
    connect_both(fixture);
    server_sends(fixture, failure, sizeof failure);
    host_expects(fixture, failure, sizeof failure);
    server_closes(fixture);
    host_expects_end(fixture);
    host_ends(fixture);
    await_end(fixture, HVS_END_SERVER_REFUSED);
    g_assert_cmpuint(fixture->session.negotiation.failure_code, ==, 5);
    assert_detail(fixture, hvs_negotiation_failure_to_string(5));
}

static void
test_encrypts(struct fixture *fixture, gconstpointer data)
{
    uint8_t mirrored[sizeof plain_confirm];

    (void)data;
    fixture->settings.negotiation_reply = HVS_REPLY_SETTING_AUTO;
    memcpy(mirrored, plain_confirm, sizeof mirrored);
    mirrored[15] = 8;
    connect_both(fixture);
    server_sends(fixture, plain_confirm, sizeof plain_confirm);
    host_expects(fixture, mirrored, sizeof mirrored);
    server_sends(fixture, encrypting_response, sizeof encrypting_response);
    await_end(fixture, HVS_END_SERVER_ENCRYPTS);
    g_assert_cmpuint(fixture->session.negotiation.encryption_method, ==, 2);
    g_assert_true(host_was_told_nothing(fixture));
}

static void
test_ring_corrupt(struct fixture *fixture, gconstpointer data)
{
    if (data != NULL)
        become_active(fixture);
    else
        start(fixture);
    naive_host_publish(&fixture->host, RING_DATA);
    naive_host_signal(&fixture->host);
    await_end(fixture, HVS_END_RING_CORRUPT);
}

static void
test_our_ring_corrupt(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    fixture->host.from_guest.words[READ_INDEX] = 4096;
    server_sends(fixture, confirm, sizeof confirm);
    await_end(fixture, HVS_END_RING_CORRUPT);
}

/* What came before it is delivered. */
static void
test_pipe_protocol(struct fixture *fixture, gconstpointer data)
{
    struct naive_host *host = &fixture->host;
    uint32_t at;

    (void)data;
    become_active(fixture);
    at = naive_host_put(host, host->to_guest.words[WRITE_INDEX], 1, 4, "last", 4);
    at = naive_host_put(host, at, 1, 5, "none", 0);
    naive_host_publish(host, at);
    await_end(fixture, HVS_END_PIPE_PROTOCOL);
    assert_detail(fixture, "length exceeds");
    assert_detail(fixture, "0x5");
    server_expects(fixture, "last", 4);
    server_expects_end(fixture);
}

static void
test_channel_error(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    g_assert_cmpint(send(fixture->host.fd, "ab", 2, 0), ==, 2);
    await_end(fixture, HVS_END_CHANNEL_ERROR);
    assert_detail(fixture, "reading the channel");
}

/* ---- closing ---- */

static void
test_server_closes(struct fixture *fixture, gconstpointer data)
{
    uint64_t answered;

    (void)data;
    become_active(fixture);
    server_sends(fixture, "bye", 3);
    server_closes(fixture);
    host_expects(fixture, "bye", 3);
    host_expects_end(fixture);
    assert_state(fixture, HVS_SESSION_CLOSING);
    answered = hvs_relay_now();
    host_ends(fixture);
    await_end(fixture, HVS_END_SERVER_CLOSED);
    g_assert_cmpuint(fixture->session.ended - answered, <, 1500); /* no need to wait */
    g_assert_cmpstr(fixture->session.detail, ==, "");
}

/* In real time: a host that has read everything and says nothing is not waited for. */
static void
test_server_closes_host_silent(struct fixture *fixture, gconstpointer data)
{
    uint64_t closed;

    (void)data;
    become_active(fixture);
    closed = hvs_relay_now();
    server_closes(fixture);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_SERVER_CLOSED);
    g_assert_cmpuint(hvs_relay_now() - closed, >=, 1900);
}

/* It sends on while the host has nothing more to say. */
static void
test_host_half_closes(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[8000];

    (void)data;
    fill(bytes, sizeof bytes, 0);
    become_active(fixture);
    host_sends(fixture, "bye", 3);
    host_ends(fixture);
    server_expects(fixture, "bye", 3);
    server_expects_end(fixture);
    assert_state(fixture, HVS_SESSION_CLOSING);
    for (unsigned i = 0; i < 20; i++) {
        server_sends(fixture, bytes, sizeof bytes);
        host_expects(fixture, bytes, sizeof bytes);
    }
    assert_stays_asleep(fixture, 50);
    server_closes(fixture);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_HOST_CLOSED);
}

static void
test_server_half_closes(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[8000];

    (void)data;
    fill(bytes, sizeof bytes, 0);
    become_active(fixture);
    server_sends(fixture, "bye", 3);
    shutdown(fixture->server, SHUT_WR);
    host_expects(fixture, "bye", 3);
    host_expects_end(fixture);
    for (unsigned i = 0; i < 20; i++) {
        host_sends(fixture, bytes, sizeof bytes);
        server_expects(fixture, bytes, sizeof bytes);
    }
    host_ends(fixture);
    server_expects_end(fixture);
    await_end(fixture, HVS_END_SERVER_CLOSED);
}

/* The host is told all the same, and reads what there was. */
static void
test_server_resets(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    server_sends(fixture, "half", 4);
    assert_state(fixture, HVS_SESSION_ACTIVE);
    server_resets(fixture);
    host_expects(fixture, "half", 4);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_SERVER_ERROR);
    assert_detail(fixture, "reset");
}

/* The reset may show when sending or when receiving: what the host still has to say goes nowhere,
 * and nobody waits for it. */
static void
test_server_resets_stalled(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    host_floods(fixture);
    server_resets(fixture);
    /* A socket that is closed with something unread is reset. */
    if (fixture->over_socket)
        g_assert_true(host_was_told_nothing(fixture));
    else
        host_expects_end(fixture);
    await_any_end(fixture);
    g_assert_true(fixture->session.reason == HVS_END_SERVER_ERROR ||
                  fixture->session.reason == HVS_END_SERVER_CLOSED);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, <, 5000);
}

/* Before it has said anything: the client gets no reply at all. */
static void
test_server_closes_at_once(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    connect_both(fixture);
    server_sends(fixture, confirm, 6);
    server_closes(fixture);
    host_expects_end(fixture);
    host_ends(fixture);
    await_end(fixture, HVS_END_SERVER_CLOSED);
}

/* ---- back-pressure ---- */

static void
test_host_stalled(struct fixture *fixture, gconstpointer data)
{
    uint8_t packet[NAIVE_PACKET_MAX];
    size_t sent, got = 0;

    (void)data;
    become_active(fixture);
    sent = server_floods(fixture);
    assert_stays_asleep(fixture, 300);
    g_assert_cmpuint(snapshot(fixture).counters.ring_full, >=, 1);
    if (!fixture->over_socket)
        g_assert_cmpuint(snapshot(fixture).counters.bytes_to_host, <=,
                         sizeof confirm + RING_DATA);
    /* The other way is open. */
    host_sends(fixture, "key", 3);
    server_expects(fixture, "key", 3);

    while (got < sent) {
        int length = host_receives(fixture, packet);

        g_assert_cmpint(length, >, 0);
        assert_pattern(packet, (size_t)length, got);
        got += (size_t)length;
    }
    g_assert_cmpuint(got, ==, sent);
    server_sends(fixture, "more", 4);
    host_expects(fixture, "more", 4);
    rescind_and_await_end(fixture);
}

static void
test_server_stalled(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[65536];
    size_t sent, got = 0;

    (void)data;
    become_active(fixture);
    sent = host_floods(fixture);
    assert_stays_asleep(fixture, 300);
    g_assert_cmpuint(snapshot(fixture).counters.socket_full, >=, 1);
    /* The other way is open. */
    server_sends(fixture, "picture", 7);
    host_expects(fixture, "picture", 7);

    if (!fixture->over_socket) {
        /* The host waits until the ring is nearly empty. */
        naive_host_take_signals(&fixture->host);
        fixture->host.signals = 0;
        fixture->host.to_guest.words[PENDING_SEND_SZ] = RING_DATA - 8192;
    }
    while (got < sent) {
        ssize_t n;

        wait_for(fixture->server, POLLIN);
        n = recv(fixture->server, bytes, sizeof bytes, 0);
        g_assert_cmpint(n, >, 0);
        assert_pattern(bytes, (size_t)n, got);
        got += (size_t)n;
    }
    await_asleep(fixture);
    if (!fixture->over_socket) {
        naive_host_take_signals(&fixture->host);
        g_assert_cmpuint(fixture->host.signals, ==, 1);
        fixture->host.to_guest.words[PENDING_SEND_SZ] = 0;
    }
    host_sends(fixture, "more", 4);
    server_expects(fixture, "more", 4);
    rescind_and_await_end(fixture);
}

/* ---- over a socket only ---- */

static void
test_socket_counters(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[70000];
    struct hvs_session session;

    (void)data;
    fill(bytes, sizeof bytes, 0);
    become_active(fixture);
    for (unsigned i = 0; i < 3; i++) {
        host_sends(fixture, bytes, 1000);
        server_expects(fixture, bytes, 1000);
        server_sends(fixture, bytes, sizeof bytes);
        host_expects(fixture, bytes, sizeof bytes);
    }
    await_asleep(fixture);
    session = snapshot(fixture);
    g_assert_cmpuint(session.channel, ==, 0);
    g_assert_cmpuint(session.counters.bytes_to_server, ==, sizeof request + 3000);
    g_assert_cmpuint(session.counters.bytes_to_host, ==, sizeof confirm + 3 * sizeof bytes);
    g_assert_cmpuint(session.counters.wakeups, >, 0);
    g_assert_cmpuint(session.counters.socket_full, ==, 0);
    /* There are none. */
    g_assert_cmpuint(session.counters.packets_from_host, ==, 0);
    g_assert_cmpuint(session.counters.packets_to_host, ==, 0);
    g_assert_cmpuint(session.counters.signals_sent, ==, 0);
    rescind_and_await_end(fixture);
}

/* The host may leave unseen then: a server that says nothing is not waited for. */
static void
test_socket_half_closed_server_silent(struct fixture *fixture, gconstpointer data)
{
    uint64_t closed;

    (void)data;
    become_active(fixture);
    closed = hvs_relay_now();
    host_ends(fixture);
    server_expects_end(fixture);
    await_end(fixture, HVS_END_HOST_CLOSED);
    g_assert_cmpuint(hvs_relay_now() - closed, >=, 1900);
    host_expects_end(fixture);
}

/* The end of the stream comes first, the rest of the host's end goes after it. */
static void
test_socket_half_closed_host_leaves(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_active(fixture);
    host_ends(fixture);
    server_expects_end(fixture);
    close(fixture->peer);
    fixture->peer = -1;
    await_any_end(fixture);
    g_assert_true(fixture->session.reason == HVS_END_HOST_RESCINDED ||
                  fixture->session.reason == HVS_END_HOST_CLOSED);
}

static void
test_socket_leaves_connecting(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    stop_listening(fixture);
    fixture->settings.server_timeout = 60000;
    start(fixture);
    host_sends(fixture, request, sizeof request);
    while (snapshot(fixture).state != HVS_SESSION_CONNECTING)
        g_usleep(1000);
    host_sends(fixture, "early", 5); /* nobody reads that yet, nor wakes for it */
    assert_stays_asleep(fixture, 50);
    rescind_and_await_end(fixture);
    g_assert_cmpuint(fixture->session.ended - fixture->session.started, <, 5000);
}

/* A host that only ends its stream while the server is not up yet still gets its session. */
static void
test_socket_ends_connecting(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    stop_listening(fixture);
    start(fixture);
    host_sends(fixture, request, sizeof request);
    host_ends(fixture);
    while (snapshot(fixture).state != HVS_SESSION_CONNECTING)
        g_usleep(1000);
    g_assert_cmpint(listen(fixture->listener, 1), ==, 0);
    server_accepts(fixture);
    server_expects(fixture, plain_request, sizeof plain_request);
    server_sends(fixture, confirm, sizeof confirm);
    host_expects(fixture, confirm, sizeof confirm);
    server_expects_end(fixture);
    server_closes(fixture);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_HOST_CLOSED);
}

static gpointer
send_megabytes(gpointer data)
{
    const struct fixture *fixture = data;
    uint8_t bytes[50021];

    for (size_t sent = 0; sent < 320 * sizeof bytes; sent += sizeof bytes) {
        fill(bytes, sizeof bytes, sent);
        g_assert_cmpint(send(fixture->peer, bytes, sizeof bytes, MSG_NOSIGNAL), ==,
                        (ssize_t)sizeof bytes);
    }
    return NULL;
}

/* 16 MB to a server that sends every byte back, in pieces of its own. */
static void
test_socket_bulk(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[33000];
    size_t got = 0, back = 0, waiting = 0;
    GThread *sender;

    (void)data;
    become_active(fixture);
    sender = g_thread_new("host", send_megabytes, fixture);
    while (back < 320 * (size_t)50021) {
        struct pollfd fds[2] = { { .fd = fixture->peer, .events = POLLIN },
                                 { .fd = fixture->server,
                                   .events = waiting < 1 << 20 ? POLLIN : 0 } };

        g_assert_cmpint(poll(fds, 2, NAIVE_PATIENCE), >, 0);
        if (fds[1].revents & POLLIN) {
            ssize_t n = recv(fixture->server, bytes, sizeof bytes, 0);

            g_assert_cmpint(n, >, 0);
            assert_pattern(bytes, (size_t)n, got);
            got += (size_t)n;
            waiting += (size_t)n;
        }
        if (waiting > 0) {
            size_t count = MIN(waiting, sizeof bytes);
            ssize_t n;

            fill(bytes, count, got - waiting);
            n = send(fixture->server, bytes, count, MSG_NOSIGNAL);
            waiting -= n > 0 ? (size_t)n : 0;
        }
        if (fds[0].revents & POLLIN) {
            ssize_t n = recv(fixture->peer, bytes, sizeof bytes, 0);

            g_assert_cmpint(n, >, 0);
            assert_pattern(bytes, (size_t)n, back);
            back += (size_t)n;
        }
    }
    g_thread_join(sender);
    rescind_and_await_end(fixture);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
        int data;
        enum { CHANNEL_ONLY, SOCKET_ONLY, EITHER } host;
    } tests[] = {
        { "/session/counters", test_counters, 0, CHANNEL_ONLY },
        { "/session/signals", test_signals, 0, CHANNEL_ONLY },
        { "/session/idle", test_idle, 0, EITHER },
        { "/request/one-byte-at-a-time", test_request_bytewise, 0, EITHER },
        { "/request/with-surplus", test_request_with_surplus, 0, EITHER },
        { "/request/timeout", test_request_timeout, 0, CHANNEL_ONLY },
        { "/request/silence", test_silence, 0, SOCKET_ONLY },
        { "/rescind/waiting", test_rescind_waiting, 0, EITHER },
        { "/rescind/idle", test_rescind_idle, 0, EITHER },
        { "/rescind/signalled", test_rescind_signalled, 0, CHANNEL_ONLY },
        { "/rescind/connecting", test_rescind_connecting, 0, CHANNEL_ONLY },
        { "/rescind/host-stalled", test_rescind_host_stalled, 0, EITHER },
        { "/rescind/server-stalled", test_rescind_server_stalled, 0, CHANNEL_ONLY },
        { "/rescind/closing", test_rescind_closing, 0, CHANNEL_ONLY },
        { "/stop/waiting/1", test_stop, HVS_SESSION_WAITING, EITHER },
        { "/stop/waiting/2", test_stop, HVS_SESSION_WAITING, EITHER },
        { "/stop/waiting/3", test_stop, HVS_SESSION_WAITING, EITHER },
        { "/stop/waiting/4", test_stop, HVS_SESSION_WAITING, EITHER },
        { "/stop/connecting", test_stop, HVS_SESSION_CONNECTING, EITHER },
        { "/stop/negotiating", test_stop_stalled, 0, EITHER },
        { "/stop/active", test_stop, HVS_SESSION_ACTIVE, EITHER },
        { "/stop/both-stalled", test_stop_stalled, 1, EITHER },
        { "/free/alive", test_free_alive, 0, EITHER },
        { "/free/ended", test_free_ended, 0, EITHER },
        { "/start/without-descriptor", test_start_without_descriptor, 0, CHANNEL_ONLY },
        { "/end/before-request", test_end_before_request, 0, EITHER },
        { "/end/request-malformed", test_request_malformed, 0, EITHER },
        { "/end/initial-malformed", test_initial_malformed, 0, EITHER },
        { "/end/reply-malformed", test_reply_malformed, 0, EITHER },
        { "/end/server-unreachable", test_unreachable, 0, EITHER },
        { "/end/server-refused/passthrough", test_refused, HVS_REPLY_SETTING_PASSTHROUGH, EITHER },
        { "/end/server-refused/mirror", test_refused, HVS_REPLY_SETTING_MIRROR, EITHER },
        { "/end/server-encrypts", test_encrypts, 0, EITHER },
        { "/end/ring-corrupt/waiting", test_ring_corrupt, 0, CHANNEL_ONLY },
        { "/end/ring-corrupt/active", test_ring_corrupt, 1, CHANNEL_ONLY },
        { "/end/ring-corrupt/ours", test_our_ring_corrupt, 0, CHANNEL_ONLY },
        { "/end/pipe-protocol", test_pipe_protocol, 0, CHANNEL_ONLY },
        { "/end/channel-error", test_channel_error, 0, CHANNEL_ONLY },
        { "/server-late", test_server_late, 0, EITHER },
        { "/watch", test_watch, 0, CHANNEL_ONLY },
        { "/close/server", test_server_closes, 0, EITHER },
        { "/close/server-and-host-silent", test_server_closes_host_silent, 0, EITHER },
        { "/close/server-at-once", test_server_closes_at_once, 0, EITHER },
        { "/close/host-half", test_host_half_closes, 0, EITHER },
        { "/close/server-half", test_server_half_closes, 0, EITHER },
        { "/close/server-reset", test_server_resets, 0, EITHER },
        { "/close/server-reset-stalled", test_server_resets_stalled, 0, EITHER },
        { "/back-pressure/host-stalled", test_host_stalled, 0, EITHER },
        { "/back-pressure/server-stalled", test_server_stalled, 0, EITHER },
        { "/session/counters", test_socket_counters, 0, SOCKET_ONLY },
        { "/session/bulk", test_socket_bulk, 0, SOCKET_ONLY },
        { "/rescind/connecting", test_socket_leaves_connecting, 0, SOCKET_ONLY },
        { "/close/host-half/connecting", test_socket_ends_connecting, 0, SOCKET_ONLY },
        { "/close/host-half/server-silent", test_socket_half_closed_server_silent, 0,
          SOCKET_ONLY },
        { "/close/host-half/host-leaves", test_socket_half_closed_host_leaves, 0, SOCKET_ONLY },
    };

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(drop_log, NULL, NULL);
    warm_up();
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *channel = g_strconcat("/relay", tests[i].path, NULL);
        g_autofree char *socket = g_strconcat("/relay/hvsocket", tests[i].path, NULL);

        if (tests[i].host != SOCKET_ONLY)
            g_test_add(channel, struct fixture, GINT_TO_POINTER(tests[i].data), set_up,
                       tests[i].test, tear_down);
        if (tests[i].host != CHANNEL_ONLY)
            g_test_add(socket, struct fixture, GINT_TO_POINTER(tests[i].data), set_up_socket,
                       tests[i].test, tear_down);
    }
    return g_test_run();
}
