/* linux/hvsocket.c, with a UNIX socket for AF_VSOCK (tests/host/vsock-sim.c). */
#include "linux/hvsocket.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE 30000

static const struct hvs_roots roots = HVS_ROOTS_SYSTEM;

struct fixture {
    char *directory, *path;
    struct hvs_settings settings;
    hvs_hvsocket *hvsocket;
    int connections[8];
    unsigned count;
    unsigned hold_at; /* so many connections are enough */
};

static unsigned refusals, waits;

/* The lines that tests are about; nothing else may be a warning. */
static GLogWriterOutput
take_log(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data)
{
    (void)data;
    for (gsize i = 0; i < count; i++)
        if (g_str_equal(fields[i].key, "MESSAGE")) {
            refusals += strstr(fields[i].value, "refused a connection") != NULL;
            waits += strstr(fields[i].value, "has to wait") != NULL;
        }
    return level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)
               ? g_log_writer_default(level, fields, count, NULL)
               : G_LOG_WRITER_HANDLED;
}

static void
on_connected(int fd, gpointer user_data)
{
    struct fixture *fixture = user_data;

    g_assert_cmpuint(fixture->count, <, G_N_ELEMENTS(fixture->connections));
    fixture->connections[fixture->count++] = fd;
    if (fixture->count == fixture->hold_at)
        hvs_hvsocket_hold(fixture->hvsocket, true);
}

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->directory = g_dir_make_tmp("hvsocket-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "port", NULL);
    g_setenv("HVSOCKET_SIM", fixture->path, TRUE);
    hvs_settings_init(&fixture->settings);
    fixture->hvsocket = hvs_hvsocket_new(&roots, on_connected, fixture);
    refusals = waits = 0;
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    hvs_hvsocket_free(fixture->hvsocket);
    for (unsigned i = 0; i < fixture->count; i++)
        close(fixture->connections[i]);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->directory);
    g_unsetenv("HVSOCKET_SIM");
    g_unsetenv("HVSOCKET_SIM_NO_HOST");
}

static void
configure(struct fixture *fixture, enum hvs_hvsocket_state expected)
{
    hvs_hvsocket_configure(fixture->hvsocket, &fixture->settings);
    g_assert_cmpstr(hvs_hvsocket_state_to_string(hvs_hvsocket_state(fixture->hvsocket)), ==,
                    hvs_hvsocket_state_to_string(expected));
}

/* Somebody with that address connects; 0: the host. Returns −1 if nobody listens. */
static int
call(struct fixture *fixture, unsigned cid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (cid != 0) {
        g_snprintf(address.sun_path, sizeof address.sun_path, "%s/cid-%u", fixture->directory, cid);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
        g_unlink(address.sun_path);
    }
    memset(address.sun_path, 0, sizeof address.sun_path);
    g_strlcpy(address.sun_path, fixture->path, sizeof address.sun_path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void
await_end(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    gint64 deadline = g_get_monotonic_time() + PATIENCE * 1000;
    char byte;

    while (poll(&poll_fd, 1, 0) == 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpint(recv(fd, &byte, 1, 0), <=, 0);
}

static void
await_connections(struct fixture *fixture, unsigned count)
{
    while (fixture->count < count)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(fixture->count, ==, count);
}

static void
run_what_is_due(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void
test_host_is_served(struct fixture *fixture, gconstpointer data)
{
    int host, again;

    (void)data;
    g_assert_cmpint(hvs_hvsocket_state(fixture->hvsocket), ==, HVS_HVSOCKET_OFF);
    configure(fixture, HVS_HVSOCKET_LISTENING);
    host = call(fixture, 0);
    await_connections(fixture, 1);
    again = call(fixture, 2);
    await_connections(fixture, 2);
    g_assert_cmpint(send(fixture->connections[1], "x", 1, 0), ==, 1);
    g_assert_cmpuint(refusals, ==, 0);
    close(host);
    close(again);
}

/* Others see their connection end; the log tells the first of them. */
static void
test_others_are_refused(struct fixture *fixture, gconstpointer data)
{
    static const unsigned others[] = { 1, 3, 4294967295u };

    (void)data;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        int fd = call(fixture, others[i]);

        await_end(fd);
        close(fd);
    }
    g_assert_cmpuint(fixture->count, ==, 0);
    g_assert_cmpuint(refusals, ==, 1);
}

static void
test_loopback_is_a_setting(struct fixture *fixture, gconstpointer data)
{
    int local, other;

    (void)data;
    g_setenv("HVSOCKET_SIM_NO_HOST", "1", TRUE); /* nor is a host needed then */
    fixture->settings.hvsocket_loopback = HVS_SWITCH_YES;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    local = call(fixture, 1);
    await_connections(fixture, 1);
    other = call(fixture, 3);
    await_end(other);
    close(local);
    close(other);

    /* Taking it back is of effect at once. */
    fixture->settings.hvsocket_loopback = HVS_SWITCH_NO;
    configure(fixture, HVS_HVSOCKET_UNAVAILABLE);
    g_assert_cmpint(call(fixture, 1), ==, -1);
}

static void
test_settings(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_NO;
    configure(fixture, HVS_HVSOCKET_OFF);
    g_assert_cmpint(call(fixture, 0), ==, -1);
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_YES;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_AUTO;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    configure(fixture, HVS_HVSOCKET_LISTENING);
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_NO;
    configure(fixture, HVS_HVSOCKET_OFF);
    g_assert_cmpint(call(fixture, 0), ==, -1);
}

static void
test_no_host(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_setenv("HVSOCKET_SIM_NO_HOST", "1", TRUE);
    configure(fixture, HVS_HVSOCKET_UNAVAILABLE);
    g_assert_cmpint(call(fixture, 0), ==, -1);
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_YES;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    g_unsetenv("HVSOCKET_SIM_NO_HOST");
    g_unsetenv("HVSOCKET_SIM");
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_AUTO;
    configure(fixture, HVS_HVSOCKET_UNAVAILABLE);
    fixture->settings.hvsocket = HVS_HVSOCKET_SETTING_YES;
    configure(fixture, HVS_HVSOCKET_UNAVAILABLE);
}

static void
test_port_taken(struct fixture *fixture, gconstpointer data)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)data;
    g_strlcpy(address.sun_path, fixture->path, sizeof address.sun_path);
    g_assert_cmpint(bind(other, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(other, 8), ==, 0);
    configure(fixture, HVS_HVSOCKET_PORT_TAKEN);
    configure(fixture, HVS_HVSOCKET_PORT_TAKEN);
    close(other);
    configure(fixture, HVS_HVSOCKET_LISTENING);
}

/* Callers wait meanwhile, and nothing turns. */
static void
test_hold(struct fixture *fixture, gconstpointer data)
{
    int hosts[3];

    (void)data;
    fixture->hold_at = 2;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    for (unsigned i = 0; i < 3; i++)
        hosts[i] = call(fixture, 0);
    await_connections(fixture, 2);
    run_what_is_due();
    g_assert_cmpuint(fixture->count, ==, 2);
    /* Nor does reading the configuration again let them in. */
    configure(fixture, HVS_HVSOCKET_LISTENING);
    run_what_is_due();
    g_assert_cmpuint(fixture->count, ==, 2);
    hvs_hvsocket_hold(fixture->hvsocket, false);
    await_connections(fixture, 3);
    for (unsigned i = 0; i < 3; i++)
        close(hosts[i]);
}

/* A caller that cannot be served for want of descriptors is served later, without a busy loop. */
static void
test_out_of_descriptors(struct fixture *fixture, gconstpointer data)
{
    struct rlimit limit, low;
    int host, next;

    (void)data;
    configure(fixture, HVS_HVSOCKET_LISTENING);
    host = call(fixture, 0);
    next = dup(host);
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &low);
    run_what_is_due();
    run_what_is_due();
    setrlimit(RLIMIT_NOFILE, &limit);
    g_assert_cmpuint(waits, ==, 1);
    g_assert_cmpuint(fixture->count, ==, 0);
    await_connections(fixture, 1);
    close(host);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
    } tests[] = {
        { "/hvsocket/host-is-served", test_host_is_served },
        { "/hvsocket/others-are-refused", test_others_are_refused },
        { "/hvsocket/loopback-is-a-setting", test_loopback_is_a_setting },
        { "/hvsocket/settings", test_settings },
        { "/hvsocket/no-host", test_no_host },
        { "/hvsocket/port-taken", test_port_taken },
        { "/hvsocket/hold", test_hold },
        { "/hvsocket/out-of-descriptors", test_out_of_descriptors },
    };

    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(take_log, NULL, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
