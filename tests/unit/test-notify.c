/* linux/notify: what a service manager gets to hear. */
#include "linux/notify.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* A manager that listens. */
struct fixture {
    char    *directory;
    char    *path; /* of its socket; NULL: an abstract name */
    GSocket *socket;
};

static void
listen_at(struct fixture *fixture, GSocketAddress *address)
{
    g_autoptr(GError) error = NULL;

    fixture->socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM,
                                   G_SOCKET_PROTOCOL_DEFAULT, &error);
    g_assert_no_error(error);
    g_socket_bind(fixture->socket, address, FALSE, &error);
    g_assert_no_error(error);
    g_socket_set_blocking(fixture->socket, FALSE);
}

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GSocketAddress) address = NULL;

    (void)data;
    fixture->directory = g_dir_make_tmp("hvsession-notify-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "notify", NULL);
    address = g_unix_socket_address_new(fixture->path);
    listen_at(fixture, address);
    g_setenv("NOTIFY_SOCKET", fixture->path, TRUE);
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_clear_object(&fixture->socket);
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->directory);
    g_unsetenv("NOTIFY_SOCKET");
}

/* A datagram on a UNIX socket is there as soon as it was sent. */
static void
assert_heard(const struct fixture *fixture, const char *expected)
{
    char buffer[256] = { 0 };
    g_autoptr(GError) error = NULL;
    gssize length = g_socket_receive(fixture->socket, buffer, sizeof buffer - 1, NULL, &error);

    if (expected == NULL) {
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpint(length, ==, (gssize)strlen(expected));
    g_assert_cmpstr(buffer, ==, expected);
}

static void
test_states(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    hvs_notify("READY=1");
    hvs_notify_format("STATUS=%s, %d sessions", "Ready", 2);
    assert_heard(fixture, "READY=1");
    assert_heard(fixture, "STATUS=Ready, 2 sessions");
    assert_heard(fixture, NULL);
}

static void
test_abstract(void)
{
    struct fixture fixture = { 0 };
    g_autofree char *name = g_strdup_printf("hvsession-notify-%d", (int)getpid());
    g_autofree char *variable = g_strconcat("@", name, NULL);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new_with_type(
        name, (gint)strlen(name), G_UNIX_SOCKET_ADDRESS_ABSTRACT);

    listen_at(&fixture, address);
    g_setenv("NOTIFY_SOCKET", variable, TRUE);
    hvs_notify("STOPPING=1");
    assert_heard(&fixture, "STOPPING=1");
    g_unsetenv("NOTIFY_SOCKET");
    g_object_unref(fixture.socket);
}

/* None of these is an error, and none may end or stall the service. */
static void
test_nobody(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_clear_object(&fixture->socket);
    hvs_notify("READY=1"); /* the manager has gone, its socket's file has not */
    g_setenv("NOTIFY_SOCKET", "relative/path", TRUE);
    hvs_notify("READY=1");
    g_setenv("NOTIFY_SOCKET", "", TRUE);
    hvs_notify("READY=1");
    g_unsetenv("NOTIFY_SOCKET");
    hvs_notify("READY=1");
}

/* A manager that does not read: its queue is full, and nobody waits for it. */
static void
test_deaf_manager(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 10000; i++)
        hvs_notify("WATCHDOG=1");
    assert_heard(fixture, "WATCHDOG=1");
}

static void
test_watchdog(void)
{
    static const struct {
        const char *microseconds;
        bool        ours;
        guint       expected;
    } cases[] = {
        { NULL, true, 0 },         { "30000000", true, 15000 }, { "1", true, 1 },
        { "0", true, 0 },          { "-5", true, 0 },           { "soon", true, 0 },
        { "30000000", false, 0 },  { "99999999999999999999", true, 0 },
    };
    g_autofree char *own = g_strdup_printf("%d", (int)getpid());

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (cases[i].microseconds != NULL)
            g_setenv("WATCHDOG_USEC", cases[i].microseconds, TRUE);
        g_setenv("WATCHDOG_PID", cases[i].ours ? own : "1", TRUE);
        g_assert_cmpuint(hvs_notify_watchdog_interval(), ==, cases[i].expected);
        g_unsetenv("WATCHDOG_PID");
        if (cases[i].ours) /* for everybody, then */
            g_assert_cmpuint(hvs_notify_watchdog_interval(), ==, cases[i].expected);
        g_unsetenv("WATCHDOG_USEC");
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/notify/states", struct fixture, NULL, set_up, test_states, tear_down);
    g_test_add_func("/notify/abstract", test_abstract);
    g_test_add("/notify/nobody", struct fixture, NULL, set_up, test_nobody, tear_down);
    g_test_add("/notify/deaf-manager", struct fixture, NULL, set_up, test_deaf_manager, tear_down);
    g_test_add_func("/notify/watchdog", test_watchdog);
    return g_test_run();
}
