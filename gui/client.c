#include "client.h"

#include <glib/gi18n.h>

#define SERVICE_NAME "io.github.hvsession1"
#define SERVICE_PATH "/io/github/hvsession1"
#define MANAGER      "io.github.hvsession1.Manager"
#define SESSION      "io.github.hvsession1.Session"
/* For methods that polkit may ask somebody about, in milliseconds. */
#define PATIENCE 120000

struct _HvsClient {
    GObject parent_instance;

    HvsModel *model;
    GCancellable *cancellable;
    GDBusProxy *manager;         /* NULL: not yet */
    GDBusObjectManager *objects; /* likewise */
    gboolean diagnosing;
};

G_DEFINE_TYPE(HvsClient, hvs_client, G_TYPE_OBJECT)

enum { PROPERTY_DIAGNOSING = 1, PROPERTIES };

static GParamSpec *properties[PROPERTIES];
static guint failed_signal;

static void
fail(HvsClient *client, const char *sentence)
{
    g_signal_emit(client, failed_signal, 0, sentence);
}

/* ---- what the service publishes ---- */

static void
copy_manager(HvsClient *client)
{
    g_auto(GStrv) names = g_dbus_proxy_get_cached_property_names(client->manager);

    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        g_autoptr(GVariant) value = g_dbus_proxy_get_cached_property(client->manager, names[i]);

        hvs_model_set_property(client->model, names[i], value);
    }
}

static void
copy_session(HvsClient *client, GDBusObject *object)
{
    const char *path = g_dbus_object_get_object_path(object);
    g_autoptr(GDBusInterface) interface = g_dbus_object_get_interface(object, SESSION);
    g_auto(GStrv) names = NULL;

    if (interface == NULL)
        return;
    names = g_dbus_proxy_get_cached_property_names(G_DBUS_PROXY(interface));
    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        g_autoptr(GVariant) value =
            g_dbus_proxy_get_cached_property(G_DBUS_PROXY(interface), names[i]);

        hvs_model_set_session_property(client->model, path, names[i], value);
    }
}

static void
copy_sessions(HvsClient *client)
{
    GList *objects = g_dbus_object_manager_get_objects(client->objects);

    for (GList *link = objects; link != NULL; link = link->next)
        copy_session(client, link->data);
    g_list_free_full(objects, g_object_unref);
}

static gboolean
is_present(HvsClient *client)
{
    return hvs_model_get_service(client->model) == HVS_SERVICE_PRESENT;
}

/* The service is there when both proxies have loaded what it publishes. When another one takes the
 * name over, the object manager tells that there is none in between. */
static void
follow_owner(HvsClient *client)
{
    g_autofree char *manager = NULL, *objects = NULL;

    if (client->manager == NULL || client->objects == NULL)
        return;
    manager = g_dbus_proxy_get_name_owner(client->manager);
    objects =
        g_dbus_object_manager_client_get_name_owner(G_DBUS_OBJECT_MANAGER_CLIENT(client->objects));
    if (manager == NULL || objects == NULL) {
        hvs_model_set_service(client->model, HVS_SERVICE_ABSENT);
    } else if (g_str_equal(manager, objects) && !is_present(client)) {
        hvs_model_freeze(client->model);
        copy_manager(client);
        copy_sessions(client);
        hvs_model_set_service(client->model, HVS_SERVICE_PRESENT);
        hvs_model_thaw(client->model);
    }
}

static void
on_manager_changed(GDBusProxy *proxy, GVariant *changed, const char *const *invalidated,
                   HvsClient *client)
{
    const char *name;
    GVariantIter iter;
    GVariant *value;

    (void)proxy;
    (void)invalidated;
    if (!is_present(client))
        return;
    hvs_model_freeze(client->model);
    g_variant_iter_init(&iter, changed);
    while (g_variant_iter_loop(&iter, "{&sv}", &name, &value))
        hvs_model_set_property(client->model, name, value);
    hvs_model_thaw(client->model);
}

static void
on_object_added(GDBusObjectManager *objects, GDBusObject *object, HvsClient *client)
{
    (void)objects;
    if (!is_present(client))
        return;
    hvs_model_freeze(client->model);
    copy_session(client, object);
    hvs_model_thaw(client->model);
}

static void
on_object_removed(GDBusObjectManager *objects, GDBusObject *object, HvsClient *client)
{
    (void)objects;
    hvs_model_remove_session(client->model, g_dbus_object_get_object_path(object));
}

static void
on_session_changed(GDBusObjectManagerClient *objects, GDBusObjectProxy *object, GDBusProxy *proxy,
                   GVariant *changed, const char *const *invalidated, HvsClient *client)
{
    const char *path = g_dbus_object_get_object_path(G_DBUS_OBJECT(object));
    const char *name;
    GVariantIter iter;
    GVariant *value;

    (void)objects;
    (void)proxy;
    (void)invalidated;
    if (!is_present(client))
        return;
    hvs_model_freeze(client->model);
    g_variant_iter_init(&iter, changed);
    while (g_variant_iter_loop(&iter, "{&sv}", &name, &value))
        hvs_model_set_session_property(client->model, path, name, value);
    hvs_model_thaw(client->model);
}

/* ---- connecting ---- */

/* Of an asynchronous construction: false, if its object is not wanted any more. Without a bus there
 * is no service either. */
static gboolean
is_wanted(GError *error)
{
    if (error == NULL)
        return TRUE;
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        g_message("the service cannot be watched: %s", error->message);
    return FALSE;
}

static void
on_manager(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    GDBusProxy *proxy = g_dbus_proxy_new_finish(result, &error);
    HvsClient *client = user_data;

    (void)source;
    if (!is_wanted(error))
        return;
    client->manager = proxy;
    g_signal_connect(proxy, "g-properties-changed", G_CALLBACK(on_manager_changed), client);
    g_signal_connect_swapped(proxy, "notify::g-name-owner", G_CALLBACK(follow_owner), client);
    follow_owner(client);
}

static void
on_objects(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    GDBusObjectManager *objects = g_dbus_object_manager_client_new_finish(result, &error);
    HvsClient *client = user_data;

    (void)source;
    if (!is_wanted(error))
        return;
    client->objects = objects;
    g_signal_connect(objects, "object-added", G_CALLBACK(on_object_added), client);
    g_signal_connect(objects, "object-removed", G_CALLBACK(on_object_removed), client);
    g_signal_connect(objects, "interface-proxy-properties-changed", G_CALLBACK(on_session_changed),
                     client);
    g_signal_connect_swapped(objects, "notify::name-owner", G_CALLBACK(follow_owner), client);
    follow_owner(client);
}

static void
on_bus(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = g_bus_get_finish(result, &error);
    HvsClient *client = user_data;

    (void)source;
    if (error != NULL && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        hvs_model_set_service(client->model, HVS_SERVICE_ABSENT);
    if (!is_wanted(error))
        return;
    g_dbus_connection_set_exit_on_close(connection, FALSE);
    g_dbus_proxy_new(connection,
                     G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START |
                         G_DBUS_PROXY_FLAGS_GET_INVALIDATED_PROPERTIES,
                     NULL, SERVICE_NAME, SERVICE_PATH, MANAGER, client->cancellable, on_manager,
                     client);
    g_dbus_object_manager_client_new(connection,
                                     G_DBUS_OBJECT_MANAGER_CLIENT_FLAGS_DO_NOT_AUTO_START,
                                     SERVICE_NAME, SERVICE_PATH, NULL, NULL, NULL,
                                     client->cancellable, on_objects, client);
}

/* ---- acting ---- */

static void
tell_failure(HvsClient *client, const GError *error)
{
    g_autofree char *remote = g_dbus_error_get_remote_error(error);
    g_autofree char *sentence = NULL;
    g_autoptr(GError) plain = g_error_copy(error);

    if (g_strcmp0(remote, SERVICE_NAME ".Error.NoSuchSession") == 0)
        return; /* it has ended meanwhile, as was wanted */
    if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED) ||
        g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_AUTH_FAILED)) {
        fail(client, _("You are not allowed to do this; an administrator is."));
    } else if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD)) {
        fail(client, _("The hvsession service is older than this window and cannot do this."));
    } else {
        g_dbus_error_strip_remote_error(plain);
        /* Translators: an error message of the service or the bus */
        sentence = g_strdup_printf(_("That has failed: %s"), plain->message);
        fail(client, sentence);
    }
}

static gboolean
finish_call(GObject *source, GAsyncResult *result, HvsClient *client)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) answer = g_dbus_proxy_call_finish(G_DBUS_PROXY(source), result, &error);

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return FALSE;
    if (answer == NULL)
        tell_failure(client, error);
    return TRUE;
}

static void
on_disconnected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    finish_call(source, result, user_data);
}

void
hvs_client_disconnect(HvsClient *client, guint32 session)
{
    if (client->manager != NULL)
        g_dbus_proxy_call(client->manager, "Disconnect", g_variant_new("(u)", session),
                          G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION, PATIENCE,
                          client->cancellable, on_disconnected, client);
}

static void
set_diagnosing(HvsClient *client, gboolean diagnosing)
{
    client->diagnosing = diagnosing;
    g_object_notify_by_pspec(G_OBJECT(client), properties[PROPERTY_DIAGNOSING]);
}

static void
on_diagnosed(GObject *source, GAsyncResult *result, gpointer user_data)
{
    if (finish_call(source, result, user_data))
        set_diagnosing(user_data, FALSE);
}

void
hvs_client_diagnose(HvsClient *client)
{
    if (client->diagnosing || client->manager == NULL)
        return;
    set_diagnosing(client, TRUE);
    g_dbus_proxy_call(client->manager, "Diagnose", NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                      client->cancellable, on_diagnosed, client);
}

gboolean
hvs_client_is_diagnosing(HvsClient *client)
{
    return client->diagnosing;
}

/* ---- object ---- */

static void
hvs_client_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    if (id == PROPERTY_DIAGNOSING)
        g_value_set_boolean(value, HVS_CLIENT(object)->diagnosing);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void
hvs_client_dispose(GObject *object)
{
    HvsClient *client = HVS_CLIENT(object);

    g_cancellable_cancel(client->cancellable);
    if (client->manager != NULL)
        g_signal_handlers_disconnect_by_data(client->manager, client);
    if (client->objects != NULL)
        g_signal_handlers_disconnect_by_data(client->objects, client);
    g_clear_object(&client->manager);
    g_clear_object(&client->objects);
    g_clear_object(&client->model);
    G_OBJECT_CLASS(hvs_client_parent_class)->dispose(object);
}

static void
hvs_client_finalize(GObject *object)
{
    g_object_unref(HVS_CLIENT(object)->cancellable);
    G_OBJECT_CLASS(hvs_client_parent_class)->finalize(object);
}

static void
hvs_client_class_init(HvsClientClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);

    object_class->get_property = hvs_client_get_property;
    object_class->dispose = hvs_client_dispose;
    object_class->finalize = hvs_client_finalize;
    properties[PROPERTY_DIAGNOSING] =
        g_param_spec_boolean("diagnosing", NULL, NULL, FALSE,
                             G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
    g_object_class_install_properties(object_class, PROPERTIES, properties);
    failed_signal = g_signal_new("failed", HVS_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                 G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
hvs_client_init(HvsClient *client)
{
    client->cancellable = g_cancellable_new();
}

HvsClient *
hvs_client_new(HvsModel *model)
{
    HvsClient *client = g_object_new(HVS_TYPE_CLIENT, NULL);

    client->model = g_object_ref(model);
    g_bus_get(G_BUS_TYPE_SYSTEM, client->cancellable, on_bus, client);
    return client;
}
