#include "body.h"

/* Longer than any desktop takes that still shows something, in milliseconds. */
#define PATIENCE 5000

static void
return_body(GTask *task, gboolean is_markup)
{
    const char *body = g_task_get_task_data(task);
    char *prepared = is_markup ? g_markup_escape_text(body, -1) : g_strdup(body);

    g_task_return_pointer(task, prepared, g_free);
    g_object_unref(task);
}

static void
on_capabilities(GObject *bus, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, NULL);
    g_autofree const char **capabilities = NULL;

    if (reply != NULL)
        g_variant_get(reply, "(^a&s)", &capabilities);
    return_body(user_data, capabilities != NULL &&
                               g_strv_contains(capabilities, "body-markup"));
}

static void
on_gnome_known(GObject *bus, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, NULL);
    gboolean has_owner = FALSE;

    if (reply != NULL)
        g_variant_get(reply, "(b)", &has_owner);
    if (has_owner) {
        return_body(user_data, FALSE);
        return;
    }
    g_dbus_connection_call(G_DBUS_CONNECTION(bus), "org.freedesktop.Notifications",
                           "/org/freedesktop/Notifications", "org.freedesktop.Notifications",
                           "GetCapabilities", NULL, G_VARIANT_TYPE("(as)"), G_DBUS_CALL_FLAGS_NONE,
                           PATIENCE, NULL, on_capabilities, user_data);
}

void
hvs_body_prepare(GDBusConnection *bus, const char *body, GAsyncReadyCallback done,
                 gpointer user_data)
{
    GTask *task = g_task_new(bus, NULL, done, user_data);

    g_task_set_task_data(task, g_strdup(body), g_free);
    g_dbus_connection_call(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                           "org.freedesktop.DBus", "NameHasOwner",
                           g_variant_new("(s)", "org.gtk.Notifications"), G_VARIANT_TYPE("(b)"),
                           G_DBUS_CALL_FLAGS_NONE, PATIENCE, NULL, on_gnome_known, task);
}

char *
hvs_body_prepare_finish(GAsyncResult *result)
{
    return g_task_propagate_pointer(G_TASK(result), NULL);
}
