#include "private-bus.h"

#include "session-fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* nobody, wherever it is used */
#define UNPRIVILEGED 65534

/* What the system bus allows everybody, the policy of hvsession as it is shipped, and what the user
 * who runs the tests needs beside that. */
static const char configuration[] =
    "<busconfig>\n"
    "  <listen>%s</listen>\n"
    "  <auth>EXTERNAL</auth>\n"
    "  <policy context=\"default\">\n"
    "    <allow user=\"*\"/>\n"
    "    <deny own=\"*\"/>\n"
    "    <deny send_type=\"method_call\"/>\n"
    "    <allow send_type=\"signal\"/>\n"
    "    <allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
    "    <allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
    "    <allow receive_type=\"method_call\"/>\n"
    "    <allow receive_type=\"method_return\"/>\n"
    "    <allow receive_type=\"error\"/>\n"
    "    <allow receive_type=\"signal\"/>\n"
    "    <allow send_destination=\"org.freedesktop.DBus\"/>\n"
    "    <allow send_destination=\"org.freedesktop.PolicyKit1\"/>\n"
    "  </policy>\n"
    "  <policy user=\"%s\">\n"
    "    <allow own=\"org.freedesktop.PolicyKit1\"/>\n"
    "    <allow own=\"io.github.hvsession1\"/>\n"
    "  </policy>\n"
    "  <include>" DBUS_POLICY "</include>\n"
    "%s"
    "</busconfig>\n";

/* policy: what stands behind everything else. */
static void
configure(const struct private_bus *bus, const char *policy)
{
    g_autofree char *file = g_build_filename(bus->directory, "bus.conf", NULL);
    g_autofree char *text =
        g_strdup_printf(configuration, bus->address, g_get_user_name(), policy);

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

void
private_bus_init(struct private_bus *bus)
{
    g_autofree char *path = NULL;

    *bus = (struct private_bus){ .directory = g_dir_make_tmp("test-dbus-XXXXXX", NULL) };
    g_assert_nonnull(bus->directory);
    /* Others may connect. */
    g_assert_cmpint(chmod(bus->directory, 0755), ==, 0);
    path = g_build_filename(bus->directory, "bus", NULL);
    bus->address = g_strconcat("unix:path=", path, NULL);
    configure(bus, "");
}

void
private_bus_clear(struct private_bus *bus)
{
    g_autofree char *path = g_build_filename(bus->directory, "bus", NULL);
    g_autofree char *file = g_build_filename(bus->directory, "bus.conf", NULL);

    if (bus->pid != 0)
        private_bus_stop(bus);
    g_remove(path);
    g_remove(file);
    g_remove(bus->directory);
    g_free(bus->directory);
    g_free(bus->address);
}

static void
die_with_parent(gpointer user_data)
{
    (void)user_data;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GDBusConnection *
connect_to(const char *address)
{
    GError *error = NULL;
    GDBusConnection *connection =
        g_dbus_connection_new_for_address_sync(address,
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, &error);

    g_assert_no_error(error);
    return connection;
}

void
private_bus_start(struct private_bus *bus)
{
    g_autofree char *option = g_strdup_printf("--config-file=%s/bus.conf", bus->directory);
    const char *const arguments[] = { DBUS_DAEMON,         option, "--nofork", "--nopidfile",
                                      "--print-address=1", NULL };
    GError *error = NULL;
    char line[256];
    int output;
    FILE *file;

    g_spawn_async_with_pipes(NULL, (char **)(gpointer)arguments, NULL,
                             G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL,
                             die_with_parent, NULL, &bus->pid, NULL, &output, NULL, &error);
    g_assert_no_error(error);
    /* It prints the address when it listens. */
    file = fdopen(output, "r");
    g_assert_nonnull(file);
    g_assert_nonnull(fgets(line, sizeof line, file));
    fclose(file);
    bus->connection = connect_to(bus->address);
}

void
private_bus_refuse_name(struct private_bus *bus, const char *name, gboolean refused)
{
    g_autofree char *policy = g_strdup_printf(
        "  <policy context=\"mandatory\"><deny own=\"%s\"/></policy>\n", name);
    GError *error = NULL;
    GVariant *reply;

    configure(bus, refused ? policy : "");
    if (bus->connection == NULL)
        return;
    reply = g_dbus_connection_call_sync(bus->connection, "org.freedesktop.DBus",
                                        "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        "ReloadConfig", NULL, NULL, G_DBUS_CALL_FLAGS_NONE, WAIT,
                                        NULL, &error);
    g_assert_no_error(error);
    g_variant_unref(reply);
}

void
private_bus_stop(struct private_bus *bus)
{
    g_assert_cmpint(kill(bus->pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(bus->pid, NULL, 0), ==, bus->pid);
    bus->pid = 0;
    g_clear_object(&bus->connection);
}

GDBusConnection *
private_bus_connect_unprivileged(const struct private_bus *bus)
{
    bool root = geteuid() == 0;
    GDBusConnection *connection;

    /* The bus takes the user from the socket, as it was when it was connected. */
    if (root)
        g_assert_cmpint(seteuid(UNPRIVILEGED), ==, 0);
    connection = connect_to(bus->address);
    if (root)
        g_assert_cmpint(seteuid(0), ==, 0);
    return connection;
}

static gboolean
on_impatience(gpointer what)
{
    g_error("%s", (const char *)what);
    return G_SOURCE_REMOVE;
}

void
wait_until(gboolean (*done)(gpointer data), gpointer data, const char *what)
{
    guint patience = g_timeout_add(WAIT, on_impatience, (gpointer)what);

    while (!done(data))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(patience);
}

static void
on_name_appeared(GDBusConnection *connection, const char *name, const char *owner,
                 gpointer user_data)
{
    (void)connection;
    (void)name;
    (void)owner;
    *(int *)user_data = TRUE;
}

static void
on_name_vanished(GDBusConnection *connection, const char *name, gpointer user_data)
{
    (void)connection;
    (void)name;
    *(int *)user_data = FALSE;
}

struct owned {
    int is, wanted;
};

static gboolean
is_as_wanted(gpointer data)
{
    const struct owned *owned = data;

    return owned->is == owned->wanted;
}

void
private_bus_wait_name(const struct private_bus *bus, const char *name, gboolean owned)
{
    struct owned state = { .is = -1, .wanted = owned };
    guint watch =
        g_bus_watch_name_on_connection(bus->connection, name, G_BUS_NAME_WATCHER_FLAGS_NONE,
                                       on_name_appeared, on_name_vanished, &state.is, NULL);

    wait_until(is_as_wanted, &state,
               owned ? "nobody has taken the name" : "the name was not let go");
    g_bus_unwatch_name(watch);
}
