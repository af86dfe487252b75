/* hvsessiond as it is, on the simulated host, with a server that looks like RDP: whole sessions,
 * and everything that host, client, server and administrator may do to them. */
#include "session-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1u << 20)

/* Milliseconds in which nothing is to happen. */
#define QUIET 150

/* How long a stop may take, in milliseconds. */
#define STOP_LIMIT (SANITIZED ? 4000 : 2000)

/* The request of a real host, protocols 0x0B, and as the server gets it. */
static const uint8_t host_request[19] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0,
                                          0, 1, 0, 8,  0,  0x0b, 0, 0, 0 };
static const uint8_t server_request[19] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0,
                                            0, 1, 0, 8,  0,  0,    0, 0, 0 };
/* An answer that selects RDP, and as the host gets it: mirrored, HYBRID_EX. */
static const uint8_t server_confirm[19] = { 3, 0, 0,    19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                            0, 2, 0x1f, 8,  0,  0,    0, 0, 0 };
static const uint8_t host_confirm[19] = { 3, 0, 0,    19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                          0, 2, 0x1f, 8,  0,  8,    0, 0, 0 };

static gint64
now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static void
small_ring(struct hvhost_options *options)
{
    options->ring_size = (size_t)sysconf(_SC_PAGESIZE) * 2;
}

static void
large_ring(struct hvhost_options *options)
{
    options->ring_size = MIB - (size_t)sysconf(_SC_PAGESIZE);
}

/* More than one call ever moves. */
static void
huge_ring(struct hvhost_options *options)
{
    options->ring_size = 8 * MIB;
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

static void
no_control(struct hvhost_options *options)
{
    options->offer_control = false;
}

/* -- data -- */

static const struct data_case {
    const char *name;
    void (*adjust)(struct hvhost_options *);
    size_t piece_max;    /* of the writes on both sides */
    uint32_t packet_max; /* of the host's packets */
    bool random;
    uint64_t length; /* each way, each session */
} data_cases[] = {
    { "five-sessions", NULL, 65536, HVHOST_PIPE_MAX, false, 24 * MIB },
    { "byte-pipes", NULL, 65536, HVHOST_PIPE_MAX, true, 12 * MIB },
    { "screen-updates", NULL, 3000, HVHOST_PIPE_MAX, false, 4 * MIB },
    { "tiny-packets", NULL, 64, 40, true, MIB / 2 },
    { "small-rings", small_ring, 30000, 7000, true, 4 * MIB },
    { "large-rings", large_ring, 65536, HVHOST_PIPE_MAX, false, 24 * MIB },
    { "huge-rings", huge_ring, 65536, HVHOST_PIPE_MAX, false, 12 * MIB },
    { "never-masks", never_masks, 20000, HVHOST_PIPE_MAX, true, 8 * MIB },
    { "always-masks", always_masks, 65536, HVHOST_PIPE_MAX, false, 4 * MIB },
    { "kernel-masks", kernel_masks, 20000, HVHOST_PIPE_MAX, true, 8 * MIB },
};

static void
test_data(gconstpointer data)
{
    const struct data_case *test = data;
    struct setup setup = { .adjust = test->adjust };
    struct fixture f;
    struct session sessions[HVHOST_CHANNELS];
    struct stream streams[HVHOST_CHANNELS][2];

    set_up(&f, &setup);
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        start_session(&sessions[i], &f, i);
        hvhost_channel_set_packets(sessions[i].channel, test->packet_max, test->random);
    }
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
        for (int way = 0; way < 2; way++) {
            streams[i][way] = (struct stream){
                .session = &sessions[i],
                .to_server = way == 0,
                .length = test->length / (SANITIZED ? 8 : 1) + i,
                .piece_max = test->piece_max,
                .seed = (uint64_t)g_test_rand_int(),
            };
            start_stream(&streams[i][way]);
        }
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
        for (int way = 0; way < 2; way++)
            finish_stream(&streams[i][way]);
    /* Both sides have ended their streams; which was first is a matter of luck. */
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        size_t position = sessions[i].log;
        const char *line;

        g_assert_true(hvhost_channel_wait_closed(sessions[i].channel, WAIT));
        line = log_wait(&f, &position,
                        (const char *[]){ "", "channel 1: ended", "channel 2: ended",
                                          "channel 3: ended", "channel 4: ended",
                                          "channel 5: ended" }[i]);
        end_session(&sessions[i], strstr(line, "host-closed") ? "host-closed" : "server-closed");
    }
    tear_down(&f);
}

/* -- cycles -- */

/* Connects and disconnects in one of the ways there are. */
static void
cycle(struct fixture *f, unsigned round)
{
    struct session session;
    unsigned number = 1 + round % 5;
    uint8_t byte;

    if (round % 4 == 3) {
        begin_session(&session, f, number);
        hvhost_rescind(f->host, number);
        end_session(&session, "host-rescinded");
        return;
    }
    start_session(&session, f, number);
    check_session(&session);
    switch (round % 4) {
    case 0:
        hvhost_rescind(f->host, number);
        end_session(&session, "host-rescinded");
        break;
    case 1:
        close(session.server);
        session.server = -1;
        g_assert_cmpint(hvhost_channel_read(session.channel, &byte, 1, WAIT), ==, 0);
        g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
        end_session(&session, "server-closed");
        break;
    default:
        g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
        g_assert_true(receive_end(session.server));
        close(session.server);
        session.server = -1;
        g_assert_cmpint(hvhost_channel_read(session.channel, &byte, 1, WAIT), ==, 0);
        end_session(&session, "host-closed");
        break;
    }
}

static void
test_cycles(void)
{
    struct fixture f;
    unsigned descriptors, memory, memory_after;

    set_up(&f, &(struct setup){ 0 });
    for (unsigned i = 0; i < 200; i++)
        cycle(&f, i);
    wait_daemon_idle(&f);
    descriptors = daemon_descriptors(&f);
    memory = daemon_memory(&f);
    for (unsigned i = 0; i < 1000; i++)
        cycle(&f, i);
    wait_daemon_idle(&f);
    memory_after = daemon_memory(&f);
    g_test_message("memory: %u KiB, then %u KiB; %u descriptors", memory, memory_after,
                   descriptors);
    g_assert_cmpuint(daemon_descriptors(&f), ==, descriptors);
    if (!SANITIZED)
        g_assert_cmpuint(memory_after, <=, memory + 128);
    tear_down(&f);
}

/* -- rescinds -- */

static void
test_rescind_at_open(gconstpointer data)
{
    bool before = GPOINTER_TO_INT(data);
    struct fixture f;
    hvhost_channel *channel;

    set_up(&f, &(struct setup){ 0 });
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        hvhost_rescind_on_open(f.host, i, before);
        channel = hvhost_connect(f.host, i, before ? 0 : WAIT);
        g_assert_true(hvhost_wait(f.host, HVHOST_RESCINDED, i, 1, WAIT));
        if (channel)
            g_assert_true(hvhost_channel_wait_closed(channel, WAIT));
        hvhost_channel_unref(channel);
    }
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
        expect_working(&f, i);
    tear_down(&f);
}

static void
test_rescind_in_request(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    for (size_t length = 0; length < sizeof bare_request; length++) {
        begin_session(&session, &f, 1);
        if (length > 0)
            host_write(&session, bare_request, length);
        hvhost_rescind(f.host, 1);
        end_session(&session, "host-rescinded");
    }
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_rescind_while_connecting(void)
{
    struct fixture f;
    struct session session;
    g_autofree char *server = NULL;
    int silent = serve_tcp("127.0.0.1", false, &server);

    set_up(&f, &(struct setup){ .server = server });
    begin_session(&session, &f, 2);
    host_write(&session, bare_request, sizeof bare_request);
    g_assert_false(hvhost_channel_wait_closed(session.channel, QUIET));
    hvhost_rescind(f.host, 2);
    end_session(&session, "host-rescinded");
    close(silent);
    tear_down(&f);
}

static gpointer
pour_to_host(gpointer data)
{
    uint8_t bytes[10000] = { 0 };
    int fd = GPOINTER_TO_INT(data);

    while (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
        ;
    return NULL;
}

static gpointer
drain(gpointer data)
{
    receive_end(GPOINTER_TO_INT(data));
    return NULL;
}

/* In the middle of data both ways, at places that differ from round to round. */
static void
test_rescind_anywhere(void)
{
    struct fixture f;
    struct session session;
    static uint8_t bytes[40000];

    set_up(&f, &(struct setup){ 0 });
    for (int round = 0; round < (SANITIZED ? 30 : 150); round++) {
        GThread *pour, *sink;
        ssize_t n = 1;

        hvhost_rescind_after(f.host, 3, 22 + (uint64_t)g_test_rand_int_range(0, 400000));
        start_session(&session, &f, 3);
        hvhost_channel_set_packets(session.channel, HVHOST_PIPE_MAX, true);
        pour = g_thread_new("pour", pour_to_host, GINT_TO_POINTER(session.server));
        sink = g_thread_new("sink", drain, GINT_TO_POINTER(session.server));
        while (n > 0 && n != -EPIPE) {
            n = hvhost_channel_try_write(session.channel, bytes, sizeof bytes);
            if (n > 0 || n == -EAGAIN)
                n = hvhost_channel_read(session.channel, bytes, sizeof bytes, WAIT);
        }
        g_assert_cmpint(n, ==, -EPIPE);
        g_assert_true(hvhost_channel_wait_closed(session.channel, WAIT));
        g_thread_join(pour);
        g_thread_join(sink);
        end_session(&session, "host-rescinded");
    }
    expect_working(&f, 3);
    tear_down(&f);
}

/* The old session still drains into its server when the channel is offered anew. */
static void
test_offer_again_at_once(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    for (int i = 0; i < 50; i++) {
        begin_session(&session, &f, 4);
        hvhost_rescind(f.host, 4);
        hvhost_channel_unref(session.channel);
        session.channel = hvhost_connect(f.host, 4, WAIT);
        g_assert_nonnull(session.channel);
        negotiate(&session);
        check_session(&session);
        hvhost_rescind(f.host, 4);
        end_session(&session, "host-rescinded"); /* the first of the two */
        close(session.server);
        session.server = -1;
    }
    wait_daemon_idle(&f);
    tear_down(&f);
}

/* -- closing -- */

/* Everything that the server has sent arrives before the channel is closed. */
static void
test_server_closes_first(gconstpointer data)
{
    bool answers = GPOINTER_TO_INT(data); /* the host ends its stream, too */
    struct fixture f;
    struct session session;
    struct stream stream;

    set_up(&f, &(struct setup){ 0 });
    for (int i = 0; i < (answers ? 20 : 1); i++) {
        start_session(&session, &f, 1);
        stream =
            (struct stream){ .session = &session, .length = 300000, .piece_max = 65536, .seed = 5 };
        start_stream(&stream);
        finish_stream(&stream);
        if (answers)
            g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
        end_session(&session, "server-closed");
    }
    tear_down(&f);
}

/* A host that takes its time gets everything nevertheless. */
static void
test_server_closes_before_all_is_read(void)
{
    struct fixture f;
    struct session session;
    struct hvhost_counters counters;
    static uint8_t sent[60000], received[sizeof sent];

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 31 >> 3);
    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    send_all(session.server, sent, sizeof sent);
    close(session.server);
    session.server = -1;
    g_assert_false(hvhost_channel_wait_closed(session.channel, QUIET));
    for (size_t done = 0; done < sizeof sent; done += 12000) {
        host_read(&session, received + done, 12000);
        g_assert_false(hvhost_channel_wait_closed(session.channel, QUIET));
    }
    g_assert_true(memcmp(sent, received, sizeof sent) == 0);
    g_assert_cmpint(hvhost_channel_read(session.channel, received, 1, WAIT), ==, 0);
    g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
    g_assert_true(hvhost_channel_wait_closed(session.channel, WAIT));
    hvhost_channel_counters(session.channel, &counters);
    g_assert_cmpuint(counters.unread_by_host, ==, 0);
    end_session(&session, "server-closed");
    tear_down(&f);
}

static void
test_server_resets(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    setsockopt(session.server, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
               sizeof(struct linger));
    close(session.server);
    session.server = -1;
    end_session(&session, "server-error");
    expect_working(&f, 1);
    tear_down(&f);
}

/* The server goes while the host still sends: no signal kills the daemon, nothing spins, and a host
 * that reads on gets to know. */
static void
test_server_goes_while_host_sends(void)
{
    struct fixture f;
    struct session session;
    static uint8_t bytes[MIB];

    set_up(&f, &(struct setup){ 0 });
    for (int i = 0; i < 50; i++) {
        int error;
        ssize_t n;

        start_session(&session, &f, 1);
        g_assert_cmpint(hvhost_channel_try_write(session.channel, bytes, 40000), >, 0);
        shutdown(session.server, SHUT_RDWR);
        close(session.server);
        session.server = -1;
        do
            error = hvhost_channel_write(session.channel, bytes, sizeof bytes, i == 0 ? 500 : 0);
        while (error == 0);
        g_assert_true(error == -EPIPE || error == -ETIMEDOUT);
        do
            n = hvhost_channel_read(session.channel, bytes, sizeof bytes, WAIT);
        while (n > 0);
        g_assert_true(n == 0 || n == -EPIPE);
        /* If there is room: nobody may be taking what the host sends any more. */
        hvhost_channel_write_end(session.channel, 0);
        end_session(&session, log_has(&f, session.log, "\\(server-error\\)") ? "server-error"
                                                                             : "server-closed");
    }
    expect_working(&f, 1);
    tear_down(&f);
}

/* A host that neither reads nor ends anything is not waited for for ever. */
static void
test_server_closes_and_host_sleeps(void)
{
    struct fixture f;
    struct session session;
    gint64 started;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    send_all(session.server, "unread", 6);
    close(session.server);
    session.server = -1;
    started = now_ms();
    end_session(&session, "server-closed");
    g_assert_cmpint(now_ms() - started, <, 10000);
    tear_down(&f);
}

static void
test_client_closes_first(void)
{
    struct fixture f;
    struct session session;
    static uint8_t bytes[100000];

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    send_all(session.server, bytes, sizeof bytes);
    hvhost_rescind(f.host, 1);
    receive_end(session.server);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

static void
test_half_close_by_host(void)
{
    struct fixture f;
    struct session session;
    struct stream to_server, to_host;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    to_server = (struct stream){
        .session = &session, .to_server = true, .length = 100000, .piece_max = 5000, .seed = 1
    };
    start_stream(&to_server);
    finish_stream(&to_server);
    to_host =
        (struct stream){ .session = &session, .length = 3 * MIB, .piece_max = 50000, .seed = 2 };
    start_stream(&to_host);
    finish_stream(&to_host);
    end_session(&session, "host-closed");
    tear_down(&f);
}

static void
test_half_close_by_server(void)
{
    struct fixture f;
    struct session session;
    struct stream to_server, to_host;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    to_host =
        (struct stream){ .session = &session, .length = 100000, .piece_max = 5000, .seed = 1 };
    start_stream(&to_host);
    finish_stream(&to_host);
    to_server = (struct stream){
        .session = &session, .to_server = true, .length = 3 * MIB, .piece_max = 50000, .seed = 2
    };
    start_stream(&to_server);
    finish_stream(&to_server);
    end_session(&session, "server-closed");
    tear_down(&f);
}

static void
test_end_instead_of_request(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
    end_session(&session, "host-closed");
    begin_session(&session, &f, 1);
    host_write(&session, bare_request, 7);
    g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
    end_session(&session, "host-closed");
    expect_working(&f, 1);
    tear_down(&f);
}

/* Request and end of stream at once: the server still gets the request, and its answer arrives. */
static void
test_end_behind_request(void)
{
    struct fixture f;
    struct session session;
    uint8_t bytes[11];

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    host_write(&session, bare_request, sizeof bare_request);
    g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    g_assert_true(receive_end(session.server));
    send_all(session.server, bare_confirm, sizeof bare_confirm);
    shutdown(session.server, SHUT_WR);
    host_read(&session, bytes, sizeof bytes);
    end_session(&session, "host-closed");
    tear_down(&f);
}

/* -- servers -- */

static void
test_server_unreachable(void)
{
    struct fixture f;
    struct session session;
    g_autofree char *server = NULL;
    int silent = serve_tcp("127.0.0.1", false, &server);
    gint64 started;

    set_up(&f, &(struct setup){ .server = server, .settings = "ServerTimeout=500 ms" });
    started = now_ms();
    begin_session(&session, &f, 1);
    host_write(&session, bare_request, sizeof bare_request);
    end_session(&session, "server-unreachable");
    g_assert_cmpint(now_ms() - started, >=, 450);
    g_assert_cmpint(now_ms() - started, <, SANITIZED ? 10000 : 2500);
    close(silent);
    tear_down(&f);
}

static void
test_server_comes_late(void)
{
    struct fixture f;
    struct session session;
    g_autofree char *server = NULL;
    int listener = serve_tcp("127.0.0.1", false, &server);

    set_up(&f, &(struct setup){ .server = server });
    f.listener = listener;
    begin_session(&session, &f, 1);
    host_write(&session, bare_request, sizeof bare_request);
    g_assert_false(hvhost_channel_wait_closed(session.channel, 500));
    g_assert_cmpint(listen(listener, 5), ==, 0);
    answer_request(&session);
    check_session(&session);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

static void
test_unix_server(void)
{
    struct fixture f;

    set_up(&f, &(struct setup){ .server = "unix:/nowhere", .no_daemon = true });
    g_free(f.server);
    f.listener = serve_unix(&f, "rdp.socket", &f.server);
    write_config(&f, f.server, NULL);
    start_daemon(&f);
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_ipv6_server(void)
{
    struct fixture f;
    char *server = NULL;
    int listener = serve_tcp("::1", true, &server);

    if (listener < 0) {
        g_test_skip("this machine has no IPv6");
        return;
    }
    set_up(&f, &(struct setup){ .server = server });
    f.listener = listener;
    expect_working(&f, 1);
    g_free(server);
    tear_down(&f);
}

static void
test_servers_in_order(void)
{
    struct fixture f;
    g_autofree char *dead = NULL, *alive = NULL, *second = NULL, *all = NULL;
    int silent = serve_tcp("127.0.0.1", false, &dead);
    int listener = serve_tcp("127.0.0.1", true, &alive);
    int unused = serve_tcp("127.0.0.1", true, &second);

    all = g_strjoin(", ", dead, "unix:/nowhere/rdp", alive, second, NULL);
    set_up(&f, &(struct setup){ .server = all });
    f.listener = listener;
    expect_working(&f, 1);
    g_assert_cmpint(poll(&(struct pollfd){ .fd = unused, .events = POLLIN }, 1, 0), ==, 0);
    g_assert_cmpint(shutdown(listener, SHUT_RDWR), ==, 0);
    f.listener = unused;
    expect_working(&f, 1);
    close(silent);
    close(listener);
    tear_down(&f);
}

/* -- requests -- */

static void
test_one_byte_at_a_time(void)
{
    struct fixture f;
    struct session session;
    uint8_t bytes[19];

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    for (size_t i = 0; i < sizeof host_request; i++) {
        struct hvhost_counters counters;

        host_write(&session, &host_request[i], 1);
        do
            hvhost_channel_counters(session.channel, &counters);
        while (i % 2 == 0 && counters.unread_by_guest > 0);
    }
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    g_assert_true(memcmp(bytes, server_request, sizeof bytes) == 0);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* MCS Connect Initial of a client that believes in HYBRID_EX, and where CS_CORE says so. */
#define INITIAL_LENGTH   372u
#define INITIAL_SELECTED 344u
static const char initial_front[] =
    "0300017402f0807f658201680401010401010101ff30190201220201020201000201010201000201010202ffff0201"
    "02301902010102010102010102010102010002010102020420020102301c0202ffff0202fc170202ffff0201010201"
    "000201010202ffff02010204820107000500147c000180fe000800100001c0004475636180f001c0d800";
static const char initial_back[] = "0800000004c00c000d0000000000000002c00c000000000000000000";
/* MCS Connect Response of a server without encryption, and SC_CORE.clientRequestedProtocols. */
#define RESPONSE_LENGTH    101u
#define RESPONSE_REQUESTED 77u
static const char response_text[] =
    "0300006502f0807f665b0a0100020100301a020122020103020100020101020100020101020300fff8020102043700"
    "0500147c00012a14760a01010001c0004d63446e8020010c0c000400080000000000030c0800eb030000020c0c0000"
    "00000000000000";

static size_t
from_hex(const char *text, uint8_t *bytes)
{
    size_t n = 0;

    for (; text[0]; text += 2)
        bytes[n++] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    return n;
}

static void
make_initial(uint8_t bytes[INITIAL_LENGTH])
{
    size_t n = from_hex(initial_front, bytes);

    for (unsigned i = 4; i < 212; i++)
        bytes[n++] = (uint8_t)(i * 7);
    n += from_hex(initial_back, bytes + n);
    g_assert_cmpuint(n, ==, INITIAL_LENGTH);
}

static void
test_negotiation(gconstpointer data)
{
    uint32_t piece = (uint32_t)GPOINTER_TO_INT(data); /* bytes a packet and a send() */
    struct fixture f;
    struct session session;
    uint8_t initial[INITIAL_LENGTH], response[RESPONSE_LENGTH], bytes[INITIAL_LENGTH];

    make_initial(initial);
    g_assert_cmpuint(from_hex(response_text, response), ==, RESPONSE_LENGTH);
    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    hvhost_channel_set_packets(session.channel, piece, false);
    /* The client does not wait for the answer before it goes on. */
    host_write(&session, host_request, sizeof host_request);
    host_write(&session, initial, sizeof initial);
    host_write(&session, "behind", 6);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof server_request);
    g_assert_true(memcmp(bytes, server_request, sizeof server_request) == 0);
    for (size_t i = 0; i < sizeof server_confirm; i += piece)
        send_all(session.server, server_confirm + i, MIN(piece, sizeof server_confirm - i));
    host_read(&session, bytes, sizeof host_confirm);
    g_assert_true(memcmp(bytes, host_confirm, sizeof host_confirm) == 0);

    receive_all(session.server, bytes, sizeof initial);
    g_assert_cmpuint(bytes[INITIAL_SELECTED], ==, 0);
    bytes[INITIAL_SELECTED] = 8;
    g_assert_true(memcmp(bytes, initial, sizeof initial) == 0);
    receive_all(session.server, bytes, 6);
    g_assert_true(memcmp(bytes, "behind", 6) == 0);

    for (size_t i = 0; i < sizeof response; i += piece)
        send_all(session.server, response + i, MIN(piece, sizeof response - i));
    send_all(session.server, "beyond", 6);
    host_read(&session, bytes, sizeof response);
    g_assert_cmpuint(bytes[RESPONSE_REQUESTED], ==, 0x0b);
    bytes[RESPONSE_REQUESTED] = 0;
    g_assert_true(memcmp(bytes, response, sizeof response) == 0);
    host_read(&session, bytes, 6);
    g_assert_true(memcmp(bytes, "beyond", 6) == 0);
    check_session(&session);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

static void
test_passthrough(void)
{
    struct fixture f;
    struct session session;
    uint8_t bytes[19];

    set_up(&f, &(struct setup){ .settings = "NegotiationReply=passthrough" });
    begin_session(&session, &f, 1);
    host_write(&session, host_request, sizeof host_request);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    send_all(session.server, server_confirm, sizeof server_confirm);
    host_read(&session, bytes, sizeof bytes);
    g_assert_true(memcmp(bytes, server_confirm, sizeof bytes) == 0);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* RDP_NEG_FAILURE reaches the client, and the log says what it means. */
static void
test_server_refuses(void)
{
    static const uint8_t failure[19] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                         0, 3, 0, 8,  0,  5,    0, 0, 0 };
    struct fixture f;
    struct session session;
    uint8_t bytes[19];

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    host_write(&session, host_request, sizeof host_request);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    send_all(session.server, failure, sizeof failure);
    close(session.server);
    session.server = -1;
    host_read(&session, bytes, sizeof bytes);
    g_assert_true(memcmp(bytes, failure, sizeof bytes) == 0);
    g_assert_cmpint(hvhost_channel_read(session.channel, bytes, 1, WAIT), ==, 0);
    g_assert_cmpint(hvhost_channel_write_end(session.channel, WAIT), ==, 0);
    end_session(&session, "server-refused");
    expect_working(&f, 1);
    tear_down(&f);
}

/* As vmconnect does it: the window closes. The refusal is what counts. */
static void
test_server_refuses_and_window_closes(void)
{
    static const uint8_t failure[19] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                         0, 3, 0, 8,  0,  5,    0, 0, 0 };
    struct fixture f;
    struct session session;
    uint8_t bytes[19];
    size_t position;

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    position = session.log;
    host_write(&session, host_request, sizeof host_request);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    send_all(session.server, failure, sizeof failure);
    host_read(&session, bytes, sizeof bytes);
    log_wait(&f, &position, "refused the connection: .*HYBRID_REQUIRED");
    g_assert_false(log_has(&f, session.log, "active:"));
    hvhost_rescind(f.host, 1);
    end_session(&session, "server-refused");
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_server_answers_nonsense(void)
{
    struct fixture f;
    struct session session;
    uint8_t bytes[19];

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    host_write(&session, host_request, sizeof host_request);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    send_all(session.server, "SSH-2.0-OpenSSH\r\n", 17);
    end_session(&session, "reply-malformed");
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_message_of_16_kib(void)
{
    struct fixture f;
    struct session session;
    static uint8_t sent[HVHOST_PIPE_MAX], received[sizeof sent];

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 13 >> 2);
    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    for (int i = 0; i < 10; i++) {
        struct hvhost_counters before, after;

        hvhost_channel_counters(session.channel, &before);
        host_write(&session, sent, sizeof sent);
        hvhost_channel_counters(session.channel, &after);
        g_assert_cmpuint(after.packets_to_guest, ==, before.packets_to_guest + 1);
        receive_all(session.server, received, sizeof received);
        g_assert_true(memcmp(sent, received, sizeof sent) == 0);
        send_all(session.server, sent, sizeof sent);
        host_read(&session, received, sizeof received);
        g_assert_true(memcmp(sent, received, sizeof sent) == 0);
    }
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

static const struct malformed {
    const char *name;
    const char *request; /* hex */
} malformed_requests[] = {
    { "version", "0200001306e00000000000" },
    { "http", "474554202f20485454502f312e31" },
    { "length-small", "0300000a05e000000000" },
    { "length-large", "0300010406e0" },
    { "length-indicator", "0300000b07e00000000000" },
    { "code", "0300000b06d00000000000" },
    { "cookie-without-end", "0300001207e000000000004d73746173683d61" },
    { "neg-length", "030000130ee00000000000010009000b000000" },
    { "neg-cut", "0300001106e00000000000010008000b00" },
    { "neg-unknown", "030000130ee00000000000090008000b000000" },
    { "trailing", "0300001510e00000000000010008000b000000ffff" },
    { "correlation-missing", "030000130ee00000000000010808000b000000" },
};

static void
test_malformed(gconstpointer data)
{
    const struct malformed *test = data;
    struct fixture f;
    struct session session, other;
    uint8_t bytes[64];

    set_up(&f, &(struct setup){ 0 });
    start_session(&other, &f, 2);
    begin_session(&session, &f, 1);
    host_write(&session, bytes, from_hex(test->request, bytes));
    end_session(&session, "request-malformed");
    check_session(&other);
    hvhost_rescind(f.host, 2);
    end_session(&other, "host-rescinded");
    expect_working(&f, 1);
    tear_down(&f);
}

/* A refused request goes to the log, but not who it names. */
static void
test_name_is_not_logged(void)
{
    uint8_t request[] = "\x03\x00\x00\x22\x1d\xe0\x00\x00\x00\x00\x00"
                        "Cookie: mstshash=alice\r\nX";
    struct fixture f;
    struct session session;

    request[3] = sizeof request - 1;
    request[4] = sizeof request - 6;
    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    host_write(&session, request, sizeof request - 1);
    log_wait(&f, NULL, "73 68 61 73 68 3d 78 78 78 78\n?$");
    g_assert_false(log_has(&f, 0, "alice|61 6c 69 63"));
    end_session(&session, "request-malformed");
    tear_down(&f);
}

/* In real time: a server that takes connections and never answers ends after 15 s. */
static void
test_server_silent(void)
{
    struct fixture f;
    struct session session;
    uint8_t bytes[sizeof bare_request];
    gint64 started = now_ms();

    set_up(&f, &(struct setup){ 0 });
    begin_session(&session, &f, 1);
    host_write(&session, bare_request, sizeof bare_request);
    session.server = accept_server(f.listener);
    receive_all(session.server, bytes, sizeof bytes);
    end_session(&session, "server-silent");
    g_assert_cmpint(now_ms() - started, >=, 14900);
    expect_working(&f, 1);
    tear_down(&f);
}

/* In real time: an incomplete request ends after 10 s, a host that says nothing is waited for. */
static void
test_request_timeout(void)
{
    struct fixture f;
    struct session slow, silent;
    gint64 started;

    set_up(&f, &(struct setup){ 0 });
    begin_session(&slow, &f, 1);
    begin_session(&silent, &f, 2);
    started = now_ms();
    host_write(&slow, host_request, 18);
    end_session(&slow, "request-timeout");
    g_assert_cmpint(now_ms() - started, >=, 9900);
    g_assert_cmpint(now_ms() - started, <, 13000);
    negotiate(&silent);
    check_session(&silent);
    hvhost_rescind(f.host, 2);
    end_session(&silent, "host-rescinded");
    tear_down(&f);
}

/* -- corruption -- */

static const char *
reason_of_corruption(enum hvhost_corruption corruption)
{
    return corruption < HVHOST_PIPE_NO_HEADER ? "ring-corrupt" : "pipe-protocol";
}

static void
test_corruption(gconstpointer data)
{
    enum hvhost_corruption corruption = (enum hvhost_corruption)GPOINTER_TO_UINT(data);
    struct fixture f;
    struct session session, other;
    uint8_t bytes[32];

    set_up(&f, &(struct setup){ 0 });
    start_session(&other, &f, 5);
    start_session(&session, &f, 1);
    host_write(&session, "good", 4);
    receive_all(session.server, bytes, 4);
    g_assert_true(memcmp(bytes, "good", 4) == 0);
    g_assert_cmpint(hvhost_channel_corrupt(session.channel, corruption), ==, 0);
    /* Whoever wants to write looks at the other index. */
    send_all(session.server, "data", 4);
    receive_end(session.server);
    end_session(&session, reason_of_corruption(corruption));
    check_session(&other);
    hvhost_rescind(f.host, 5);
    end_session(&other, "host-rescinded");
    expect_working(&f, 1);
    tear_down(&f);
}

/* What one of the lying packets does instead of the first byte of a request. */
static void
test_corruption_at_start(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    for (unsigned i = 0; i < HVHOST_CORRUPTIONS; i++) {
        enum hvhost_corruption corruption = (enum hvhost_corruption)i;

        if (!hvhost_corruption_is_bad(corruption) || corruption == HVHOST_READ_INDEX_RANGE ||
            corruption == HVHOST_READ_INDEX_MISALIGNED)
            continue;
        begin_session(&session, &f, 1 + i % 5);
        /* Later than the daemon's look at a channel that was just opened. */
        log_wait(&f, &session.log, ": started");
        g_assert_cmpint(hvhost_channel_corrupt(session.channel, corruption), ==, 0);
        end_session(&session, reason_of_corruption(corruption));
    }
    expect_working(&f, 1);
    tear_down(&f);
}

/* Packets that are unusual and right. */
static void
test_unusual_packets(void)
{
    static const struct {
        enum hvhost_corruption kind;
        const char *data;
    } packets[] = {
        { HVHOST_PIPE_PARTIAL, "partial" },
        { HVHOST_DATA_OFFSET_LARGER, "offset" },
        { HVHOST_TRANSACTION_ONES, "ones" },
    };
    struct fixture f;
    struct session session;
    uint8_t bytes[16];

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(packets); i++) {
        g_assert_cmpint(hvhost_channel_corrupt(session.channel, packets[i].kind), ==, 0);
        receive_all(session.server, bytes, strlen(packets[i].data));
        g_assert_true(memcmp(bytes, packets[i].data, strlen(packets[i].data)) == 0);
        check_session(&session);
    }
    for (int i = 0; i < 100; i++)
        g_assert_cmpint(hvhost_channel_signal(session.channel), ==, 0);
    check_session(&session);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* -- flow -- */

/* Bytes that the socket takes until it takes no more for a while. */
static uint64_t
fill_socket(int fd)
{
    static const uint8_t bytes[65536];
    uint64_t sum = 0;
    ssize_t n;

    do
        while ((n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
            sum += (uint64_t)n;
    while (poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, QUIET) == 1);
    return sum;
}

/* The host does not read: the server is blocked, the daemon does not grow; then all arrives. */
static void
test_slow_host(void)
{
    struct fixture f;
    struct session session;
    struct hvhost_counters counters;
    uint64_t sent, received = 0;
    unsigned memory;
    uint8_t bytes[1000];

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    check_session(&session);
    wait_daemon_idle(&f);
    memory = daemon_memory(&f);
    sent = fill_socket(session.server);
    hvhost_channel_counters(session.channel, &counters);
    g_assert_cmpuint(counters.unread_by_host, >, HVHOST_RING_SIZE / 2);
    g_test_message("the server was blocked after %" G_GUINT64_FORMAT " bytes", sent);
    if (!SANITIZED)
        g_assert_cmpuint(daemon_memory(&f), <=, memory + 256);
    while (received < sent) {
        ssize_t n = hvhost_channel_read(session.channel, bytes, sizeof bytes, WAIT);

        g_assert_cmpint(n, >, 0);
        received += (uint64_t)n;
    }
    hvhost_channel_counters(session.channel, &counters);
    g_assert_cmpuint(counters.guest_times_full, >, 0);
    check_session(&session);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* The server does not read: the host is blocked and gets its signal when there is room again. */
static void
test_slow_server(void)
{
    struct fixture f;
    struct session session;
    struct hvhost_counters counters;
    static uint8_t bytes[65536];
    uint64_t sent = 0, received = 0;
    ssize_t n;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    while ((n = hvhost_channel_write(session.channel, bytes, 10000, QUIET)) == 0)
        sent += 10000;
    g_assert_cmpint(n, ==, -ETIMEDOUT);
    hvhost_channel_counters(session.channel, &counters);
    sent = counters.bytes_to_guest - sizeof bare_request;
    g_assert_cmpuint(counters.times_full, >, 0);
    g_assert_true(counters.open);
    while (received < sent) {
        n = recv(session.server, bytes, sizeof bytes, 0);
        g_assert_cmpint(n, >, 0);
        received += (uint64_t)n;
    }
    g_assert_cmpuint(received, ==, sent);
    g_assert_cmpint(hvhost_channel_write(session.channel, bytes, 20000, WAIT), ==, 0);
    receive_all(session.server, bytes, 20000);
    hvhost_channel_counters(session.channel, &counters);
    g_assert_cmpuint(counters.signals_from_guest, >, 0);
    check_session(&session);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* Neither end reads; one session that is stuck is no other's concern. */
static void
test_stuck_both_ways(void)
{
    struct fixture f;
    struct session session, other;
    static uint8_t bytes[65536];

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    start_session(&other, &f, 2);
    fill_socket(session.server);
    while (hvhost_channel_write(session.channel, bytes, sizeof bytes, QUIET) == 0)
        ;
    check_session(&other);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    check_session(&other);
    hvhost_rescind(f.host, 2);
    end_session(&other, "host-rescinded");
    tear_down(&f);
}

/* Each waits for the other's answer, byte by byte: a wake-up that is lost stops the test. */
static const struct ping_pong_case {
    const char *name;
    void (*adjust)(struct hvhost_options *);
    int rounds;
} ping_pong_cases[] = {
    { "default", NULL, 20000 },
    { "kernel-masks", kernel_masks, 20000 },
    { "never-masks", never_masks, 20000 },
    { "always-masks", always_masks, 500 },
};

static void
test_ping_pong(gconstpointer data)
{
    const struct ping_pong_case *test = data;
    struct fixture f;
    struct session session;
    uint8_t byte;

    set_up(&f, &(struct setup){ .adjust = test->adjust });
    start_session(&session, &f, 1);
    for (int i = 0; i < test->rounds / (SANITIZED ? 10 : 1); i++) {
        host_write(&session, &(uint8_t){ (uint8_t)i }, 1);
        receive_all(session.server, &byte, 1);
        g_assert_cmpuint(byte, ==, (uint8_t)i);
        send_all(session.server, &byte, 1);
        host_read(&session, &byte, 1);
        g_assert_cmpuint(byte, ==, (uint8_t)i);
    }
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

static void
spin(unsigned nanoseconds)
{
    struct timespec start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < nanoseconds);
}

/* A few small packets at odd moments, then silence until the last has arrived: they meet the relay
 * while it is about to go to sleep. */
static void
test_bursts(gconstpointer data)
{
    bool to_server = GPOINTER_TO_INT(data);
    struct fixture f;
    struct session session;
    GRand *random = g_rand_new_with_seed((guint32)g_test_rand_int());
    uint8_t bytes[8];

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    for (int i = 0; i < (SANITIZED ? 5000 : 60000); i++) {
        unsigned count = 2 + (unsigned)g_rand_int_range(random, 0, 3);

        for (unsigned k = 0; k < count; k++) {
            if (to_server)
                host_write(&session, "x", 1);
            else
                send_all(session.server, "x", 1);
            spin((unsigned)g_rand_int_range(random, 0, 12000));
        }
        if (to_server)
            receive_all(session.server, bytes, count);
        else
            host_read(&session, bytes, count);
    }
    g_rand_free(random);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* -- version -- */

static void
test_version(gconstpointer data)
{
    enum hvhost_version_policy policy = (enum hvhost_version_policy)GPOINTER_TO_UINT(data);
    struct fixture f;
    size_t position = 0;

    set_up(&f, &(struct setup){ .adjust = no_control });
    hvhost_set_version(f.host, policy, 0);
    hvhost_offer(f.host, 0);
    g_assert_true(hvhost_wait(f.host, HVHOST_VERSION_REQUEST, 0, 1, WAIT));
    log_wait(&f, &position, "control channel: .*trying again");
    g_assert_false(log_has(&f, 0, "ready:"));
    hvhost_set_version(f.host, HVHOST_VERSION_ACCEPT, 0);
    g_assert_true(hvhost_wait(f.host, HVHOST_VERSION_REQUEST, 0, 2, WAIT));
    g_assert_true(hvhost_wait_ready(f.host, WAIT));
    log_wait(&f, &position, "ready:");
    g_assert_cmpuint(hvhost_count(f.host, HVHOST_OPENED, 0), ==, 1);
    expect_working(&f, 1);
    tear_down(&f);
}

/* The answer comes when it was given up already. */
static void
test_version_late(void)
{
    struct fixture f;
    size_t position = 0;

    set_up(&f, &(struct setup){ .adjust = no_control });
    hvhost_set_version(f.host, HVHOST_VERSION_ACCEPT, 5200);
    hvhost_offer(f.host, 0);
    log_wait(&f, &position, "control channel: .*trying again");
    log_wait(&f, &position, "ready:");
    tear_down(&f);
}

/* Messages that nobody has asked for change nothing. */
static void
test_version_unasked(void)
{
    static const uint8_t error[8] = { 0, 0, 0, 0, 8, 0, 0, 0 };
    struct fixture f;

    set_up(&f, &(struct setup){ 0 });
    for (int i = 0; i < 3; i++)
        g_assert_cmpint(hvhost_control_send(f.host, "some message of the future", 26), ==, 0);
    g_assert_cmpint(hvhost_control_send(f.host, error, sizeof error), ==, 0);
    wait_daemon_idle(&f);
    expect_working(&f, 1);
    tear_down(&f);
}

/* -- control channel and host -- */

static void
test_control_rescinded(void)
{
    struct fixture f;
    struct session sessions[HVHOST_CHANNELS];
    size_t position;

    set_up(&f, &(struct setup){ 0 });
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
            start_session(&sessions[i], &f, i);
        position = log_position(&f);
        hvhost_rescind(f.host, 0);
        for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
            g_assert_true(hvhost_channel_wait_closed(sessions[i].channel, WAIT));
            log_wait(&f, &position, "ended after .*\\((control-lost|host-rescinded)\\)");
            hvhost_channel_unref(sessions[i].channel);
            close(sessions[i].server);
        }
        hvhost_offer(f.host, 0);
        g_assert_true(hvhost_wait_ready(f.host, WAIT));
        for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
            expect_working(&f, i);
    }
    tear_down(&f);
}

/* The host forgets to take the data channels back: they are dead nevertheless. */
static void
test_control_comes_late(void)
{
    struct fixture f;

    set_up(&f, &(struct setup){ .adjust = no_control });
    expect_working(&f, 1);
    hvhost_offer(f.host, 0);
    g_assert_true(hvhost_wait_ready(f.host, WAIT));
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_offers_before_daemon(void)
{
    struct fixture f;
    struct session sessions[HVHOST_CHANNELS];

    set_up(&f, &(struct setup){ .no_daemon = true });
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
        g_assert_cmpint(hvhost_offer(f.host, i), ==, 0);
    start_daemon(&f);
    g_assert_true(hvhost_wait_ready(f.host, WAIT));
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        begin_session(&sessions[i], &f, i);
        negotiate(&sessions[i]);
        check_session(&sessions[i]);
        hvhost_rescind(f.host, i);
        end_session(&sessions[i], "host-rescinded");
    }
    tear_down(&f);
}

static void
test_daemon_before_host(void)
{
    struct fixture f;

    set_up(&f, &(struct setup){ .no_host = true });
    log_wait(&f, NULL, "started");
    wait_daemon_idle(&f);
    start_host(&f, NULL);
    g_assert_true(hvhost_wait_ready(f.host, WAIT));
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_host_restarts(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    for (int round = 0; round < 3; round++) {
        start_session(&session, &f, 1);
        hvhost_drop_guest(f.host);
        g_assert_true(hvhost_channel_wait_closed(session.channel, WAIT));
        log_wait(&f, &session.log, "ended after .*\\((control-lost|host-rescinded)\\)");
        hvhost_channel_unref(session.channel);
        hvhost_rescind(f.host, 1);
        close(session.server);
        stop_host(&f);
        start_host(&f, NULL);
        g_assert_true(hvhost_wait_ready(f.host, WAIT));
        expect_working(&f, 1);
    }
    tear_down(&f);
}

static void
test_daemon_killed(void)
{
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    signal_daemon(&f, SIGKILL);
    g_assert_cmpint(wait_daemon(&f), ==, -SIGKILL);
    g_assert_true(hvhost_channel_wait_closed(session.channel, WAIT));
    hvhost_channel_unref(session.channel);
    close(session.server);
    g_assert_true(hvhost_wait(f.host, HVHOST_GUEST_GONE, 0, 1, WAIT));
    hvhost_rescind(f.host, 1);
    start_daemon(&f);
    g_assert_true(hvhost_wait_ready(f.host, WAIT));
    expect_working(&f, 1);
    tear_down(&f);
}

/* No memory for the ring: it is tried again. */
static void
test_open_fails(gconstpointer data)
{
    unsigned number = GPOINTER_TO_UINT(data);
    struct fixture f;
    struct session session;

    set_up(&f, &(struct setup){ .adjust = number == 0 ? no_control : NULL });
    hvhost_fail_opens(f.host, number, ENOMEM);
    g_assert_cmpint(hvhost_offer(f.host, number), ==, 0);
    log_wait(&f, NULL, "channel.*Cannot allocate memory");
    hvhost_fail_opens(f.host, number, 0);
    if (number == 0) {
        g_assert_true(hvhost_wait_ready(f.host, WAIT));
        expect_working(&f, 1);
    } else {
        begin_session(&session, &f, number);
        negotiate(&session);
        check_session(&session);
        hvhost_rescind(f.host, number);
        end_session(&session, "host-rescinded");
    }
    tear_down(&f);
}

/* -- the daemon as an administrator sees it -- */

static void
test_stop(gconstpointer data)
{
    int number = GPOINTER_TO_INT(data);
    struct fixture f;
    struct session sessions[HVHOST_CHANNELS];
    GThread *pour[HVHOST_CHANNELS];
    static uint8_t bytes[30000];
    gint64 started;

    set_up(&f, &(struct setup){ 0 });
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        start_session(&sessions[i], &f, i);
        pour[i] = g_thread_new("pour", pour_to_host, GINT_TO_POINTER(sessions[i].server));
    }
    for (int round = 0; round < 30; round++)
        for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
            hvhost_channel_try_write(sessions[i].channel, bytes, sizeof bytes);
            /* The last does not read and is stuck. */
            if (i < 5)
                g_assert_cmpint(hvhost_channel_read(sessions[i].channel, bytes, sizeof bytes, WAIT),
                                >, 0);
        }
    started = now_ms();
    signal_daemon(&f, number);
    g_assert_cmpint(wait_daemon(&f), ==, 0);
    g_assert_cmpint(now_ms() - started, <, STOP_LIMIT);
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        g_thread_join(pour[i]);
        end_session(&sessions[i], "stopped");
    }
    tear_down(&f);
}

/* Sessions in every state end at once. */
static void
test_stop_in_every_state(void)
{
    struct fixture f;
    struct session waiting, partial, connecting, idle;
    g_autofree char *server = NULL;
    int silent = serve_tcp("127.0.0.1", false, &server);
    gint64 started;

    set_up(&f, &(struct setup){ 0 });
    start_session(&idle, &f, 4);
    write_config(&f, server, NULL);
    signal_daemon(&f, SIGHUP);
    log_wait(&f, NULL, "configuration reloaded");
    begin_session(&waiting, &f, 1);
    begin_session(&partial, &f, 2);
    host_write(&partial, bare_request, 5);
    begin_session(&connecting, &f, 3);
    host_write(&connecting, bare_request, sizeof bare_request);
    wait_daemon_idle(&f);
    started = now_ms();
    signal_daemon(&f, SIGTERM);
    g_assert_cmpint(wait_daemon(&f), ==, 0);
    g_assert_cmpint(now_ms() - started, <, STOP_LIMIT);
    end_session(&waiting, "stopped");
    end_session(&partial, "stopped");
    end_session(&connecting, "stopped");
    end_session(&idle, "stopped");
    close(silent);
    tear_down(&f);
}

static void
test_reload(void)
{
    struct fixture f;
    struct session session;
    g_autofree char *server = NULL;
    int first, second = serve_tcp("127.0.0.1", true, &server);

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 1);
    write_config(&f, server, NULL);
    signal_daemon(&f, SIGHUP);
    log_wait(&f, NULL, "configuration reloaded");
    first = f.listener;
    f.listener = second;
    expect_working(&f, 2);
    g_assert_cmpint(poll(&(struct pollfd){ .fd = first, .events = POLLIN }, 1, 0), ==, 0);
    /* A session that runs keeps its server. */
    check_session(&session);
    hvhost_rescind(f.host, 1);
    end_session(&session, "host-rescinded");
    close(first);
    tear_down(&f);
}

static void
test_reload_of_a_broken_file(void)
{
    struct fixture f;
    size_t position = 0;
    const char *line;

    set_up(&f, &(struct setup){ 0 });
    write_config(&f, "tcp:127.0.0.1:99999", NULL);
    signal_daemon(&f, SIGHUP);
    line = log_wait(&f, &position, "hvsession.conf:2: .*stays as it was");
    g_assert_nonnull(strstr(line, f.config));
    expect_working(&f, 1);
    g_assert_cmpint(g_remove(f.config), ==, 0);
    signal_daemon(&f, SIGHUP);
    log_wait(&f, &position, "stays as it was");
    expect_working(&f, 1);
    tear_down(&f);
}

static void
test_status_signal(void)
{
    struct fixture f;
    struct session session;
    size_t position;

    set_up(&f, &(struct setup){ 0 });
    start_session(&session, &f, 3);
    check_session(&session);
    /* It was asked for, so the level does not matter. */
    write_config(&f, f.server, "LogLevel=error");
    position = log_position(&f);
    signal_daemon(&f, SIGHUP);
    signal_daemon(&f, SIGUSR1);
    log_wait(&f, &position, " status");
    log_wait(&f, &position, f.server);
    write_config(&f, f.server, NULL);
    signal_daemon(&f, SIGHUP);
    wait_daemon_idle(&f);
    hvhost_rescind(f.host, 3);
    end_session(&session, "host-rescinded");
    tear_down(&f);
}

/* Out of descriptors: that session ends, the others and the service do not. */
static void
test_no_descriptors(void)
{
    struct rlimit before, little = { 0 };
    struct fixture f;
    struct session lucky, unlucky;

    set_up(&f, &(struct setup){ 0 });
    start_session(&lucky, &f, 1);
    begin_session(&unlucky, &f, 2);
    little.rlim_cur = little.rlim_max = daemon_descriptors(&f) + 3;
    g_assert_cmpint(prlimit(f.daemon.pid, RLIMIT_NOFILE, NULL, &before), ==, 0);
    little.rlim_max = before.rlim_max;
    g_assert_cmpint(prlimit(f.daemon.pid, RLIMIT_NOFILE, &little, NULL), ==, 0);
    host_write(&unlucky, bare_request, sizeof bare_request);
    end_session(&unlucky, "no-resources");
    check_session(&lucky);
    g_assert_cmpint(prlimit(f.daemon.pid, RLIMIT_NOFILE, &before, NULL), ==, 0);
    expect_working(&f, 2);
    hvhost_rescind(f.host, 1);
    end_session(&lucky, "host-rescinded");
    tear_down(&f);
}

/* The thread of the only session; 0: none found. */
static pid_t
session_thread(const struct fixture *f)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", f->daemon.pid);
    g_autoptr(GDir) tasks = g_dir_open(path, 0, NULL);
    const char *task;

    while (tasks && (task = g_dir_read_name(tasks))) {
        g_autofree char *comm = g_build_filename(path, task, "comm", NULL);
        g_autofree char *name = NULL;

        if (g_file_get_contents(comm, &name, NULL, NULL) && g_str_has_prefix(name, "session-"))
            return (pid_t)g_ascii_strtoll(task, NULL, 10);
    }
    return 0;
}

/* A thread that is stuck, in the kernel for instance, does not keep the service. A debugger can do
 * that to it. */
static void
test_stop_with_stuck_thread(void)
{
    struct fixture f;
    struct session session;
    gint64 started;
    pid_t thread;
    int status;

    /* LeakSanitizer would trace the thread to see what it holds, which has its tracer already. */
    g_setenv("LSAN_OPTIONS", "detect_leaks=0", TRUE);
    set_up(&f, &(struct setup){ 0 });
    g_unsetenv("LSAN_OPTIONS");
    start_session(&session, &f, 1);
    wait_daemon_idle(&f); /* it holds no lock then */
    thread = session_thread(&f);
    g_assert_cmpint(thread, >, 0);
    g_assert_cmpint(ptrace(PTRACE_SEIZE, thread, NULL, NULL), ==, 0);
    g_assert_cmpint(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), ==, 0);
    g_assert_cmpint(waitpid(thread, &status, __WALL), ==, thread);
    started = now_ms();
    signal_daemon(&f, SIGTERM);
    log_wait(&f, &session.log, "\\(stopped: it did not end in time\\)|it did not end in time");
    /* The process cannot go while one of its threads has not been told to: the tracer sees that. */
    g_assert_cmpint(waitpid(thread, &status, __WALL), ==, thread);
    g_assert_true(WIFSTOPPED(status) || WIFEXITED(status) || WIFSIGNALED(status));
    if (WIFSTOPPED(status))
        ptrace(PTRACE_DETACH, thread, NULL, NULL);
    g_assert_cmpint(wait_daemon(&f), ==, 0);
    g_assert_cmpint(now_ms() - started, <, STOP_LIMIT);
    close(session.server);
    hvhost_channel_unref(session.channel);
    tear_down(&f);
}

static void
test_version_option(void)
{
    g_autofree char *output = NULL, *errors = NULL;

    g_assert_cmpint(run_program((const char *[]){ "--version", NULL }, &output, &errors), ==, 0);
    g_assert_true(g_regex_match_simple("^hvsessiond \\d+\\.\\d+\\.\\d+\n$", output, 0, 0));
    g_assert_cmpstr(errors, ==, "");
}

static void
test_help_option(void)
{
    g_autofree char *output = NULL, *errors = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_cmpint(run_program((const char *[]){ "--help", NULL }, &output, &errors), ==, 0);
    g_assert_nonnull(strstr(output, "--config"));
    g_assert_nonnull(strstr(output, "--log-level"));
    lines = g_strsplit(output, "\n", -1);
    for (char **line = lines; *line; line++)
        g_assert_cmpint(g_utf8_strlen(*line, -1), <=, 80);
}

static void
test_unknown_option(void)
{
    g_autofree char *errors = NULL;

    g_assert_cmpint(run_program((const char *[]){ "--frobnicate", NULL }, NULL, &errors), ==, 2);
    g_assert_nonnull(strstr(errors, "--frobnicate"));
    g_clear_pointer(&errors, g_free);
    g_assert_cmpint(run_program((const char *[]){ "extra", NULL }, NULL, &errors), ==, 2);
    g_assert_nonnull(strstr(errors, "extra"));
}

static const struct bad_config {
    const char *name;
    const char *text; /* NULL: no file */
    unsigned line;    /* 0: the message names the file only */
} bad_configs[] = {
    { "unknown-key", "[hvsession]\nSever=tcp:127.0.0.1:3389\n", 2 },
    { "bad-server", "[hvsession]\n# where\nServer=udp:127.0.0.1\n", 3 },
    { "bad-timeout", "[hvsession]\nServerTimeout=soon\n", 2 },
    { "bad-reply", "\n[hvsession]\nNegotiationReply=perhaps\n", 3 },
    { "bad-level", "[hvsession]\nLogLevel=loud\n", 2 },
    { "unknown-group", "[other]\nServer=tcp:127.0.0.1\n", 1 },
    { "not-a-key-file", "Server\n", 1 },
    { "twice", "[hvsession]\nServerTimeout=3\nServerTimeout=4\n", 3 },
    { "missing", NULL, 0 },
};

static void
test_bad_config(gconstpointer data)
{
    const struct bad_config *test = data;
    g_autofree char *directory = g_dir_make_tmp("test-sessions-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "bad.conf", NULL);
    g_autofree char *errors = NULL, *place = NULL;

    if (test->text)
        g_assert_true(g_file_set_contents(path, test->text, -1, NULL));
    g_assert_cmpint(run_program((const char *[]){ "--config", path, NULL }, NULL, &errors), ==, 2);
    place = test->line ? g_strdup_printf("%s:%u: ", path, test->line) : g_strdup(path);
    if (!strstr(errors, place) || strchr(errors, '\n') != errors + strlen(errors) - 1)
        g_error("\"%s\" is not one line that names %s", errors, place);
    g_remove(path);
    g_rmdir(directory);
}

/* -- the list -- */

/* The -p option of g_test takes one level only, so a prefix ends with a hyphen, not a slash. */
static void
add_named(const char *prefix, const char *name, GTestDataFunc function, gconstpointer data)
{
    g_autofree char *path = g_strdup_printf("/sessions/%s%s", prefix, name);

    g_test_add_data_func(path, data, function);
}

static void
add_data_tests(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(data_cases); i++)
        add_named("data/", data_cases[i].name, test_data, &data_cases[i]);
    g_test_add_func("/sessions/cycles/thousand", test_cycles);
    add_named("rescind/", "instead-of-open", test_rescind_at_open, GINT_TO_POINTER(true));
    add_named("rescind/", "behind-open", test_rescind_at_open, GINT_TO_POINTER(false));
    g_test_add_func("/sessions/rescind/in-request", test_rescind_in_request);
    g_test_add_func("/sessions/rescind/while-connecting", test_rescind_while_connecting);
    g_test_add_func("/sessions/rescind/anywhere", test_rescind_anywhere);
    g_test_add_func("/sessions/rescind/and-offered-at-once", test_offer_again_at_once);
}

static void
add_closing_tests(void)
{
    add_named("closing/", "server-first", test_server_closes_first, GINT_TO_POINTER(true));
    add_named("closing/", "server-alone", test_server_closes_first, GINT_TO_POINTER(false));
    g_test_add_func("/sessions/closing/server-before-all-is-read",
                    test_server_closes_before_all_is_read);
    g_test_add_func("/sessions/closing/server-resets", test_server_resets);
    g_test_add_func("/sessions/closing/server-while-host-sends", test_server_goes_while_host_sends);
    g_test_add_func("/sessions/closing/server-and-host-sleeps", test_server_closes_and_host_sleeps);
    g_test_add_func("/sessions/closing/client-first", test_client_closes_first);
    g_test_add_func("/sessions/closing/half-by-host", test_half_close_by_host);
    g_test_add_func("/sessions/closing/half-by-server", test_half_close_by_server);
    g_test_add_func("/sessions/closing/end-instead-of-request", test_end_instead_of_request);
    g_test_add_func("/sessions/closing/end-behind-request", test_end_behind_request);
    g_test_add_func("/sessions/server/unreachable", test_server_unreachable);
    g_test_add_func("/sessions/server/comes-late", test_server_comes_late);
    g_test_add_func("/sessions/server/unix", test_unix_server);
    g_test_add_func("/sessions/server/ipv6", test_ipv6_server);
    g_test_add_func("/sessions/server/in-order", test_servers_in_order);
}

static void
add_request_tests(void)
{
    g_test_add_func("/sessions/request/one-byte-at-a-time", test_one_byte_at_a_time);
    add_named("request/", "negotiation", test_negotiation, GINT_TO_POINTER(HVHOST_PIPE_MAX));
    add_named("request/", "negotiation-by-7-bytes", test_negotiation, GINT_TO_POINTER(7));
    add_named("request/", "negotiation-by-bytes", test_negotiation, GINT_TO_POINTER(1));
    g_test_add_func("/sessions/request/passthrough", test_passthrough);
    g_test_add_func("/sessions/request/server-refuses", test_server_refuses);
    g_test_add_func("/sessions/request/server-refuses-and-window-closes",
                    test_server_refuses_and_window_closes);
    g_test_add_func("/sessions/request/name-is-not-logged", test_name_is_not_logged);
    g_test_add_func("/sessions/request/server-answers-nonsense", test_server_answers_nonsense);
    g_test_add_func("/sessions/request/message-of-16-kib", test_message_of_16_kib);
    for (size_t i = 0; i < G_N_ELEMENTS(malformed_requests); i++)
        add_named("request/malformed-", malformed_requests[i].name, test_malformed,
                  &malformed_requests[i]);
    g_test_add_func("/sessions/timeout/request", test_request_timeout);
    g_test_add_func("/sessions/timeout/server-silent", test_server_silent);
}

static void
add_host_tests(void)
{
    for (unsigned i = 0; i < HVHOST_CORRUPTIONS; i++)
        if (hvhost_corruption_is_bad((enum hvhost_corruption)i))
            add_named("corrupt/", hvhost_corruption_name((enum hvhost_corruption)i),
                      test_corruption, GUINT_TO_POINTER(i));
    g_test_add_func("/sessions/corrupt/at-the-start", test_corruption_at_start);
    g_test_add_func("/sessions/corrupt/unusual-but-right", test_unusual_packets);
    g_test_add_func("/sessions/flow/slow-host", test_slow_host);
    g_test_add_func("/sessions/flow/slow-server", test_slow_server);
    g_test_add_func("/sessions/flow/stuck-both-ways", test_stuck_both_ways);
    for (size_t i = 0; i < G_N_ELEMENTS(ping_pong_cases); i++)
        add_named("flow/ping-pong-", ping_pong_cases[i].name, test_ping_pong, &ping_pong_cases[i]);
    add_named("flow/", "bursts-to-server", test_bursts, GINT_TO_POINTER(true));
    add_named("flow/", "bursts-to-host", test_bursts, GINT_TO_POINTER(false));
    for (unsigned i = HVHOST_VERSION_REFUSE; i <= HVHOST_VERSION_SHORT; i++)
        add_named("version/", hvhost_version_policy_name((enum hvhost_version_policy)i),
                  test_version, GUINT_TO_POINTER(i));
    g_test_add_func("/sessions/version/late", test_version_late);
    g_test_add_func("/sessions/version/unasked", test_version_unasked);
    g_test_add_func("/sessions/control/rescinded-with-sessions", test_control_rescinded);
    g_test_add_func("/sessions/control/comes-late", test_control_comes_late);
    g_test_add_func("/sessions/control/offers-before-daemon", test_offers_before_daemon);
    g_test_add_func("/sessions/control/daemon-before-host", test_daemon_before_host);
    g_test_add_func("/sessions/control/host-restarts", test_host_restarts);
    g_test_add_func("/sessions/control/daemon-killed", test_daemon_killed);
    add_named("control/", "control-open-fails", test_open_fails, GUINT_TO_POINTER(0));
    add_named("control/", "data-open-fails", test_open_fails, GUINT_TO_POINTER(2));
}

static void
add_daemon_tests(void)
{
    add_named("daemon/", "stop-by-sigterm", test_stop, GINT_TO_POINTER(SIGTERM));
    add_named("daemon/", "stop-by-sigint", test_stop, GINT_TO_POINTER(SIGINT));
    g_test_add_func("/sessions/daemon/stop-in-every-state", test_stop_in_every_state);
    g_test_add_func("/sessions/daemon/reload", test_reload);
    g_test_add_func("/sessions/daemon/reload-of-a-broken-file", test_reload_of_a_broken_file);
    g_test_add_func("/sessions/daemon/status-signal", test_status_signal);
    g_test_add_func("/sessions/daemon/no-descriptors", test_no_descriptors);
    g_test_add_func("/sessions/daemon/stop-with-a-stuck-thread", test_stop_with_stuck_thread);
    g_test_add_func("/sessions/daemon/version", test_version_option);
    g_test_add_func("/sessions/daemon/help", test_help_option);
    g_test_add_func("/sessions/daemon/unknown-option", test_unknown_option);
    for (size_t i = 0; i < G_N_ELEMENTS(bad_configs); i++)
        add_named("daemon/bad-config-", bad_configs[i].name, test_bad_config, &bad_configs[i]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_data_tests();
    add_closing_tests();
    add_request_tests();
    add_host_tests();
    add_daemon_tests();
    return g_test_run();
}
