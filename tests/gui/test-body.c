/* gui/body: bodies of notifications are escaped for those who take them for markup, and for them
 * alone. */
#include "gui/body.h"

#include <glib.h>

#define BODY    "<b>&\"x\""
#define ESCAPED "&lt;b&gt;&amp;&quot;x&quot;"

/* Who shows notifications. */
struct desktop {
    const char *const *capabilities; /* NULL: it refuses to say */
    gboolean is_there, is_gnome;
};

struct fixture {
    GDBusConnection *bus, *desktop_bus; /* two of them on the test's own bus */
    GString *bodies;
    guint count;
};

static const char interface[] =
    "<node><interface name='org.freedesktop.Notifications'>"
    "<method name='GetCapabilities'><arg type='as' direction='out'/></method>"
    "</interface></node>";

static GDBusConnection *
connect_to(GTestDBus *daemon)
{
    GError *error = NULL;
    GDBusConnection *bus = g_dbus_connection_new_for_address_sync(
        g_test_dbus_get_bus_address(daemon),
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, &error);

    g_assert_no_error(error);
    return bus;
}

static void
answer(GDBusConnection *bus, const char *sender, const char *path, const char *name,
       const char *method, GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
    const struct desktop *desktop = data;

    (void)bus;
    (void)sender;
    (void)path;
    (void)name;
    (void)method;
    (void)parameters;
    if (desktop->capabilities == NULL)
        g_dbus_method_invocation_return_dbus_error(invocation, "test.Refused", "refused");
    else
        g_dbus_method_invocation_return_value(
            invocation, g_variant_new("(^as)", desktop->capabilities));
}

/* RequestName or ReleaseName, which have the same answer for done. */
static void
call_bus(GDBusConnection *bus, const char *method, GVariant *parameters)
{
    GError *error = NULL;
    GVariant *reply = g_dbus_connection_call_sync(
        bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", method,
        parameters, G_VARIANT_TYPE("(u)"), G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    guint32 answer;

    g_assert_no_error(error);
    g_variant_get(reply, "(u)", &answer);
    g_assert_cmpuint(answer, ==, 1);
    g_variant_unref(reply);
}

static void
set_up(struct fixture *fixture, GTestDBus *daemon, const struct desktop *desktop)
{
    static const GDBusInterfaceVTable vtable = { .method_call = answer };
    GDBusNodeInfo *node = g_dbus_node_info_new_for_xml(interface, NULL);

    fixture->bus = connect_to(daemon);
    fixture->desktop_bus = connect_to(daemon);
    fixture->bodies = g_string_new(NULL);
    g_dbus_connection_register_object(fixture->desktop_bus, "/org/freedesktop/Notifications",
                                      node->interfaces[0], &vtable, (gpointer)desktop, NULL, NULL);
    g_dbus_node_info_unref(node);
    if (desktop->is_there)
        call_bus(fixture->desktop_bus, "RequestName",
                 g_variant_new("(su)", "org.freedesktop.Notifications", 0));
    if (desktop->is_gnome)
        call_bus(fixture->desktop_bus, "RequestName",
                 g_variant_new("(su)", "org.gtk.Notifications", 0));
}

static void
tear_down(struct fixture *fixture, const struct desktop *desktop)
{
    if (desktop->is_there)
        call_bus(fixture->desktop_bus, "ReleaseName",
                 g_variant_new("(s)", "org.freedesktop.Notifications"));
    if (desktop->is_gnome)
        call_bus(fixture->desktop_bus, "ReleaseName",
                 g_variant_new("(s)", "org.gtk.Notifications"));
    g_object_unref(fixture->bus);
    g_object_unref(fixture->desktop_bus);
    g_string_free(fixture->bodies, TRUE);
}

static void
on_prepared(GObject *bus, GAsyncResult *result, gpointer data)
{
    struct fixture *fixture = data;
    g_autofree char *body = hvs_body_prepare_finish(result);

    (void)bus;
    g_string_append_printf(fixture->bodies, "[%s]", body);
    fixture->count++;
}

static void
expect(GTestDBus *daemon, struct desktop desktop, const char *expected)
{
    struct fixture fixture = { 0 };
    g_autofree char *bodies = g_strdup_printf("[%s][plain][]", expected);

    set_up(&fixture, daemon, &desktop);
    hvs_body_prepare(fixture.bus, BODY, on_prepared, &fixture);
    hvs_body_prepare(fixture.bus, "plain", on_prepared, &fixture);
    hvs_body_prepare(fixture.bus, "", on_prepared, &fixture);
    while (fixture.count < 3)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpstr(fixture.bodies->str, ==, bodies);
    tear_down(&fixture, &desktop);
}

static void
test_desktops(void)
{
    static const char *const plain[] = { "actions", "body", NULL };
    static const char *const markup[] = { "actions", "body", "body-markup", NULL };
    GTestDBus *daemon = g_test_dbus_new(G_TEST_DBUS_NONE);

    g_test_dbus_up(daemon);
    expect(daemon, (struct desktop){ plain, TRUE, FALSE }, BODY);
    expect(daemon, (struct desktop){ markup, TRUE, FALSE }, ESCAPED);
    /* GNOME's shell is both, and is asked by way of its own interface. */
    expect(daemon, (struct desktop){ markup, TRUE, TRUE }, BODY);
    expect(daemon, (struct desktop){ NULL, TRUE, FALSE }, BODY);
    expect(daemon, (struct desktop){ NULL, FALSE, FALSE }, BODY);
    g_test_dbus_down(daemon);
    g_object_unref(daemon);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gui/body/desktops", test_desktops);
    return g_test_run();
}
