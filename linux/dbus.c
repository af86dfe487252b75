#include "dbus.h"

#include "checkup.h"
#include "dbus-properties.h"
#include "dbus-xml.h"
#include "log.h"
#include "polkit.h"

#include <gio/gio.h>
#include <string.h>

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define PROPERTIES     "org.freedesktop.DBus.Properties"
/* The bus itself. */
#define BUS      "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"
#define REQUEST_NAME_IN_QUEUE 2u /* DBUS_REQUEST_NAME_REPLY_IN_QUEUE */
/* Before the bus is looked for again, or asked for the name, in milliseconds; doubled each time up
 * to the greatest. */
#define RETRY_PAUSE     1000u
#define RETRY_PAUSE_MAX 60000u
/* A rate is taken over that time at most, in milliseconds: what moved after a longer rest was told
 * as soon as it moved. */
#define RATE_WINDOW_MAX 1000u

/* One direction of a session. */
struct rate {
    uint64_t bytes; /* at the last update */
    uint64_t bytes_per_second;
};

/* What is published at a path. */
struct object {
    hvs_dbus *dbus;
    const struct hvs_dbus_interface *interface;
    char *path;
    guint registration;
    GVariant **told;  /* the values, one a property, as they were last told */
    uint32_t session; /* its id; 0: the Manager */
    int64_t epoch;    /* as in struct hvs_dbus_view */
    uint64_t updated; /* as hvs_status.now */
    struct rate to_host, to_server;
};

/* What the diagnosis depends on beside the machine: when it changes, the machine is looked at
 * again. */
struct occasion {
    enum hvs_overall overall;
    enum hvs_control_problem control_problem;
    enum hvs_hvsocket_state hvsocket;
    uint64_t sessions_total;
    unsigned session_count;
    bool problem, config_error;
};

struct hvs_dbus {
    const struct hvs_dbus_service *service;
    gpointer user_data;
    GDBusNodeInfo *node;
    GCancellable *cancellable;
    hvs_polkit *polkit;

    GDBusConnection *connection; /* NULL: no bus */
    gulong closed;               /* signal handler */
    guint acquired;              /* subscription */
    guint object_manager; /* registration */
    struct object *manager;
    GPtrArray *sessions; /* of struct object */

    hvs_checkup *checkup;
    struct occasion occasion; /* of the last look that nobody had to ask for */
    bool looked;              /* there was one on this connection */
    bool diagnosed;           /* the rest is valid */
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;

    guint retry, retry_pause; /* timer, for the bus or its name; milliseconds */
    GFileMonitor *socket;     /* waits for that of the bus */
    bool absence_told, name_missed;
    guint update;   /* timer */
    gint64 updated; /* monotonic, microseconds; 0: not on this connection */
};

static void connect_to_bus(hvs_dbus *dbus);
static gboolean on_retry(gpointer user_data);

/* ---- status ---- */

static struct hvs_status *
take_status(hvs_dbus *dbus)
{
    struct hvs_status *status = g_new(struct hvs_status, 1);

    dbus->service->fill_status(status, dbus->user_data);
    return status;
}

/* The sessions that are published: living ones, then those that have ended. NULL behind the last.
 */
static const struct hvs_session *
nth_session(const struct hvs_status *status, unsigned n)
{
    if (n < status->session_count)
        return &status->sessions[n];
    n -= status->session_count;
    return n < status->ended_count ? &status->ended[n] : NULL;
}

static const struct hvs_session *
find_session(const struct hvs_status *status, uint32_t id)
{
    const struct hvs_session *session;

    for (unsigned i = 0; (session = nth_session(status, i)) != NULL; i++)
        if (session->id == id)
            return session;
    return NULL;
}

/* False: the object's session is not in the status any more. */
static bool
make_view(const struct object *object, const struct hvs_status *status, struct hvs_dbus_view *view)
{
    *view = (struct hvs_dbus_view){
        .status = status,
        .settings = object->dbus->service->settings(object->dbus->user_data),
        .session = find_session(status, object->session),
        .facts = object->dbus->diagnosed ? &object->dbus->facts : NULL,
        .diagnosis = object->dbus->diagnosed ? &object->dbus->diagnosis : NULL,
        .epoch = object->epoch,
        .rate_to_host = object->to_host.bytes_per_second,
        .rate_to_server = object->to_server.bytes_per_second,
    };
    return object->session == 0 || view->session != NULL;
}

/* ---- objects ---- */

static GVariant *
get_property(GDBusConnection *connection, const char *sender, const char *path,
             const char *interface, const char *name, GError **error, gpointer user_data)
{
    const struct object *object = user_data;
    const struct hvs_dbus_property *property = hvs_dbus_interface_find(object->interface, name);
    g_autofree struct hvs_status *status = take_status(object->dbus);
    struct hvs_dbus_view view;

    (void)connection;
    (void)sender;
    (void)interface;
    if (property != NULL && make_view(object, status, &view))
        return property->get(&view);
    g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "%s of %s is not known", name,
                path);
    return NULL;
}

static void
free_object(gpointer data)
{
    struct object *object = data;

    if (object->registration != 0)
        g_dbus_connection_unregister_object(object->dbus->connection, object->registration);
    for (unsigned i = 0; i < object->interface->count; i++)
        g_clear_pointer(&object->told[i], g_variant_unref);
    g_free(object->told);
    g_free(object->path);
    g_free(object);
}

/* Takes path over. */
static struct object *
publish_object(hvs_dbus *dbus, const struct hvs_dbus_interface *interface, GDBusInterfaceInfo *info,
               char *path, uint32_t session, const GDBusInterfaceVTable *vtable)
{
    struct object *object = g_new0(struct object, 1);
    g_autoptr(GError) error = NULL;

    object->dbus = dbus;
    object->interface = interface;
    object->path = path;
    object->session = session;
    object->told = g_new0(GVariant *, interface->count);
    object->epoch = (g_get_real_time() - g_get_monotonic_time()) / 1000;
    object->registration = g_dbus_connection_register_object(dbus->connection, path, info, vtable,
                                                             object, NULL, &error);
    if (object->registration == 0)
        hvs_log(HVS_LOG_WARNING, "D-Bus: cannot publish %s: %s", path, error->message);
    return object;
}

static void
update_rate(struct rate *rate, uint64_t bytes, uint64_t elapsed)
{
    rate->bytes_per_second = elapsed > 0 ? (bytes - rate->bytes) * 1000 / elapsed : 0;
    rate->bytes = bytes;
}

static void
update_rates(struct object *object, const struct hvs_status *status)
{
    const struct hvs_session *session = find_session(status, object->session);
    uint64_t elapsed = MIN(status->now - object->updated, RATE_WINDOW_MAX);

    if (session == NULL)
        return;
    update_rate(&object->to_host, session->counters.bytes_to_host, elapsed);
    update_rate(&object->to_server, session->counters.bytes_to_server, elapsed);
    object->updated = status->now;
}

/* Puts what differs from what was told into *changed, and remembers it. */
static void
collect_changes(struct object *object, const struct hvs_status *status, GVariantBuilder *changed)
{
    struct hvs_dbus_view view;

    g_variant_builder_init(changed, G_VARIANT_TYPE_VARDICT);
    if (!make_view(object, status, &view))
        return;
    for (unsigned i = 0; i < object->interface->count; i++) {
        const struct hvs_dbus_property *property = &object->interface->properties[i];
        g_autoptr(GVariant) value = g_variant_ref_sink(property->get(&view));

        if (object->told[i] != NULL && g_variant_equal(object->told[i], value))
            continue;
        g_variant_builder_add(changed, "{sv}", property->name, value);
        g_clear_pointer(&object->told[i], g_variant_unref);
        object->told[i] = g_steal_pointer(&value);
    }
}

static void
emit(hvs_dbus *dbus, const char *path, const char *interface, const char *signal,
     GVariant *parameters)
{
    /* Fails on a closed connection only, which is told otherwise. */
    g_dbus_connection_emit_signal(dbus->connection, NULL, path, interface, signal, parameters,
                                  NULL);
}

static void
tell_changes(struct object *object, const struct hvs_status *status)
{
    static const char *const invalidated[] = { NULL };
    GVariantBuilder builder;
    g_autoptr(GVariant) changed = NULL;

    collect_changes(object, status, &builder);
    changed = g_variant_ref_sink(g_variant_builder_end(&builder));
    if (g_variant_n_children(changed) > 0)
        emit(object->dbus, object->path, PROPERTIES, "PropertiesChanged",
             g_variant_new("(s@a{sv}^as)", object->interface->name, changed, invalidated));
}

/* { interface: { property: value } }, floating */
static GVariant *
describe_object(const struct object *object, const struct hvs_status *status)
{
    struct hvs_dbus_view view;
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sa{sv}}"));
    if (make_view(object, status, &view)) {
        g_variant_builder_open(&builder, G_VARIANT_TYPE("{sa{sv}}"));
        g_variant_builder_add(&builder, "s", object->interface->name);
        g_variant_builder_open(&builder, G_VARIANT_TYPE_VARDICT);
        for (unsigned i = 0; i < object->interface->count; i++)
            g_variant_builder_add(&builder, "{sv}", object->interface->properties[i].name,
                                  object->interface->properties[i].get(&view));
        g_variant_builder_close(&builder);
        g_variant_builder_close(&builder);
    }
    return g_variant_builder_end(&builder);
}

/* ---- sessions ---- */

static void
add_session(hvs_dbus *dbus, uint32_t id, const struct hvs_status *status)
{
    static const GDBusInterfaceVTable vtable = { .get_property = get_property };
    struct object *object =
        publish_object(dbus, &hvs_dbus_session_interface, dbus->node->nodes[0]->interfaces[0],
                       g_strdup_printf(HVS_DBUS_PATH "/session/%" G_GUINT32_FORMAT, id), id,
                       &vtable);
    GVariantBuilder told;

    g_ptr_array_add(dbus->sessions, object);
    object->updated = status->now;
    object->to_host.bytes = find_session(status, id)->counters.bytes_to_host;
    object->to_server.bytes = find_session(status, id)->counters.bytes_to_server;
    /* The signal tells it all. */
    collect_changes(object, status, &told);
    g_variant_builder_clear(&told);
    emit(dbus, HVS_DBUS_PATH, OBJECT_MANAGER, "InterfacesAdded",
         g_variant_new("(o@a{sa{sv}})", object->path, describe_object(object, status)));
}

static void
remove_session(hvs_dbus *dbus, guint index)
{
    const struct object *object = g_ptr_array_index(dbus->sessions, index);
    const char *const interfaces[] = { object->interface->name, NULL };

    emit(dbus, HVS_DBUS_PATH, OBJECT_MANAGER, "InterfacesRemoved",
         g_variant_new("(o^as)", object->path, interfaces));
    g_ptr_array_remove_index(dbus->sessions, index);
}

static bool
is_published(const hvs_dbus *dbus, uint32_t id)
{
    for (guint i = 0; i < dbus->sessions->len; i++)
        if (((const struct object *)g_ptr_array_index(dbus->sessions, i))->session == id)
            return true;
    return false;
}

/* An object for every session of the status, and no other. */
static void
match_sessions(hvs_dbus *dbus, const struct hvs_status *status)
{
    const struct hvs_session *session;

    for (guint i = dbus->sessions->len; i-- > 0;)
        if (find_session(status,
                         ((struct object *)g_ptr_array_index(dbus->sessions, i))->session) == NULL)
            remove_session(dbus, i);
    for (unsigned i = 0; (session = nth_session(status, i)) != NULL; i++)
        if (!is_published(dbus, session->id))
            add_session(dbus, session->id, status);
}

/* ---- the diagnosis ---- */

/* The machine was looked at: the service's own knowledge makes it whole. */
static void
on_looked(const struct hvs_facts *facts, gpointer user_data)
{
    hvs_dbus *dbus = user_data;
    g_autofree struct hvs_status *status = take_status(dbus);
    const char *config_error = dbus->service->config_error(dbus->user_data);

    dbus->facts = *facts;
    hvs_facts_add_status(&dbus->facts, status);
    if (config_error != NULL)
        g_strlcpy(dbus->facts.config_error, config_error, sizeof dbus->facts.config_error);
    hvs_diagnose(&dbus->facts, &dbus->diagnosis);
    dbus->diagnosed = true;
    hvs_dbus_changed(dbus);
}

static bool
is_same_occasion(const struct occasion *a, const struct occasion *b)
{
    return a->overall == b->overall && a->control_problem == b->control_problem &&
           a->hvsocket == b->hvsocket && a->sessions_total == b->sessions_total &&
           a->session_count == b->session_count && a->problem == b->problem &&
           a->config_error == b->config_error;
}

static void
look_on_occasion(hvs_dbus *dbus, const struct hvs_status *status)
{
    struct occasion occasion = {
        .overall = hvs_status_overall(status),
        .control_problem = status->control.problem,
        .hvsocket = status->hvsocket,
        .sessions_total = status->sessions_total,
        .session_count = status->session_count,
        .problem = hvs_status_problem(status) != NULL,
        .config_error = dbus->service->config_error(dbus->user_data) != NULL,
    };

    if (dbus->looked && is_same_occasion(&dbus->occasion, &occasion))
        return;
    dbus->looked = true;
    dbus->occasion = occasion;
    hvs_checkup_request(dbus->checkup, dbus->service->settings(dbus->user_data), NULL, NULL);
}

/* ---- updates ---- */

/* Everything that has changed since the last update, in one signal an object. */
static void
update(hvs_dbus *dbus)
{
    g_autofree struct hvs_status *status = NULL;
    bool moving = false;

    /* Before the snapshot: what comes behind it is told. */
    dbus->service->watch_sessions(dbus->user_data);
    status = take_status(dbus);
    look_on_occasion(dbus, status);
    match_sessions(dbus, status);
    tell_changes(dbus->manager, status);
    for (guint i = 0; i < dbus->sessions->len; i++) {
        struct object *object = g_ptr_array_index(dbus->sessions, i);

        update_rates(object, status);
        tell_changes(object, status);
        moving |= object->to_host.bytes_per_second > 0 || object->to_server.bytes_per_second > 0;
    }
    dbus->updated = g_get_monotonic_time();
    /* Rates fall without an event. */
    if (moving)
        hvs_dbus_changed(dbus);
}

static gboolean
on_update(gpointer user_data)
{
    hvs_dbus *dbus = user_data;

    dbus->update = 0;
    update(dbus);
    return G_SOURCE_REMOVE;
}

void
hvs_dbus_changed(hvs_dbus *dbus)
{
    gint64 elapsed = (g_get_monotonic_time() - dbus->updated) / 1000;

    if (dbus->connection == NULL || dbus->update != 0)
        return;
    dbus->update =
        g_timeout_add(elapsed < HVS_DBUS_UPDATE_INTERVAL ? HVS_DBUS_UPDATE_INTERVAL - (guint)elapsed
                                                         : 0,
                      on_update, dbus);
}

/* ---- methods ---- */

static void
return_error(GDBusMethodInvocation *invocation, const char *name, const char *message)
{
    g_dbus_method_invocation_return_dbus_error(invocation, name, message);
}

static void
describe(hvs_dbus *dbus, GVariant *parameters, GDBusMethodInvocation *invocation)
{
    static const struct {
        const char *form;
        void (*print)(const struct hvs_status *status, struct hvs_text *out);
    } forms[] = {
        { "status-text", hvs_status_print_text },
        { "status-json", hvs_status_print_json },
        { "sessions-text", hvs_status_print_sessions_text },
        { "sessions-json", hvs_status_print_sessions_json },
    };
    g_autofree struct hvs_status *status = take_status(dbus);
    g_autofree char *buffer = g_malloc(HVS_STATUS_JSON_MAX);
    g_autofree char *document = NULL;
    struct hvs_text out;
    const char *form;

    g_variant_get(parameters, "(&s)", &form);
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        if (!g_str_equal(form, forms[i].form))
            continue;
        hvs_text_init(&out, buffer, HVS_STATUS_JSON_MAX);
        forms[i].print(status, &out);
        document = g_utf8_make_valid(buffer, -1);
        g_dbus_method_invocation_return_value(invocation, g_variant_new("(s)", document));
        return;
    }
    g_dbus_method_invocation_return_error(
        invocation, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS,
        "\"%s\" is not status-text, status-json, sessions-text or sessions-json", form);
}

static void
answer_diagnose(gboolean done, gpointer user_data)
{
    GDBusMethodInvocation *invocation = user_data;

    if (done)
        g_dbus_method_invocation_return_value(invocation, NULL);
    else
        g_dbus_method_invocation_return_error(invocation, G_DBUS_ERROR, G_DBUS_ERROR_DISCONNECTED,
                                              "the service stops");
}

static void
diagnose(hvs_dbus *dbus, GDBusMethodInvocation *invocation)
{
    if (!hvs_checkup_request(dbus->checkup, dbus->service->settings(dbus->user_data),
                             answer_diagnose, invocation))
        g_dbus_method_invocation_return_error(invocation, G_DBUS_ERROR,
                                              G_DBUS_ERROR_LIMITS_EXCEEDED,
                                              "too many wait for a diagnosis; ask again later");
}

static void
disconnect_session(GDBusMethodInvocation *invocation, gpointer user_data)
{
    hvs_dbus *dbus = user_data;
    g_autofree char *message = NULL;
    uint32_t id;

    g_variant_get(g_dbus_method_invocation_get_parameters(invocation), "(u)", &id);
    if (dbus->service->disconnect(id, dbus->user_data)) {
        hvs_log(HVS_LOG_NOTICE, "session %" G_GUINT32_FORMAT ": to end, as %s asked", id,
                g_dbus_method_invocation_get_sender(invocation));
        g_dbus_method_invocation_return_value(invocation, NULL);
        return;
    }
    message = g_strdup_printf("there is no session %" G_GUINT32_FORMAT ", or it has ended", id);
    return_error(invocation, HVS_DBUS_NAME ".Error.NoSuchSession", message);
}

static void
rescan(GDBusMethodInvocation *invocation, gpointer user_data)
{
    hvs_dbus *dbus = user_data;

    dbus->service->rescan(dbus->user_data);
    g_dbus_method_invocation_return_value(invocation, NULL);
}

static void
reload(GDBusMethodInvocation *invocation, gpointer user_data)
{
    hvs_dbus *dbus = user_data;
    g_autoptr(GError) error = NULL;
    g_autofree char *message = NULL;

    if (dbus->service->reload(dbus->user_data, &error)) {
        g_dbus_method_invocation_return_value(invocation, NULL);
        return;
    }
    message = g_utf8_make_valid(error->message, -1);
    return_error(invocation, HVS_DBUS_NAME ".Error.Configuration", message);
}

static void
call_manager(GDBusConnection *connection, const char *sender, const char *path,
             const char *interface, const char *method, GVariant *parameters,
             GDBusMethodInvocation *invocation, gpointer user_data)
{
    static const struct {
        const char *method;
        const char *action;
        void (*act)(GDBusMethodInvocation *invocation, gpointer user_data);
    } actions[] = {
        { "Disconnect", HVS_DBUS_NAME ".disconnect", disconnect_session },
        { "Rescan", HVS_DBUS_NAME ".rescan", rescan },
        { "Reload", HVS_DBUS_NAME ".reload", reload },
    };
    const struct object *manager = user_data;
    hvs_dbus *dbus = manager->dbus;

    (void)connection;
    (void)sender;
    (void)path;
    (void)interface;
    for (unsigned i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (!g_str_equal(method, actions[i].method))
            continue;
        hvs_polkit_check(dbus->polkit, invocation, actions[i].action, actions[i].act, dbus);
        return;
    }
    if (g_str_equal(method, "Diagnose"))
        diagnose(dbus, invocation);
    else
        describe(dbus, parameters, invocation);
}

static void
call_object_manager(GDBusConnection *connection, const char *sender, const char *path,
                    const char *interface, const char *method, GVariant *parameters,
                    GDBusMethodInvocation *invocation, gpointer user_data)
{
    hvs_dbus *dbus = user_data;
    g_autofree struct hvs_status *status = take_status(dbus);
    GVariantBuilder builder;

    (void)connection;
    (void)sender;
    (void)path;
    (void)interface;
    (void)method;
    (void)parameters;
    /* Not those of the last update: what the caller knows of the Manager is of now, too. */
    match_sessions(dbus, status);
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a{oa{sa{sv}}}"));
    for (guint i = 0; i < dbus->sessions->len; i++) {
        const struct object *object = g_ptr_array_index(dbus->sessions, i);

        g_variant_builder_add(&builder, "{o@a{sa{sv}}}", object->path,
                              describe_object(object, status));
    }
    g_dbus_method_invocation_return_value(invocation,
                                          g_variant_new("(@a{oa{sa{sv}}})",
                                                        g_variant_builder_end(&builder)));
}

/* ---- the bus ---- */

static void
retry_later(hvs_dbus *dbus)
{
    dbus->retry = g_timeout_add(dbus->retry_pause, on_retry, dbus);
    dbus->retry_pause = MIN(dbus->retry_pause * 2, RETRY_PAUSE_MAX);
}

static void
on_name_acquired(GDBusConnection *connection, const char *sender, const char *path,
                 const char *interface, const char *signal, GVariant *parameters,
                 gpointer user_data)
{
    hvs_dbus *dbus = user_data;

    (void)connection;
    (void)sender;
    (void)path;
    (void)interface;
    (void)signal;
    (void)parameters;
    dbus->name_missed = false;
    dbus->retry_pause = RETRY_PAUSE;
    hvs_log(HVS_LOG_INFO, "D-Bus: published as " HVS_DBUS_NAME);
}

/* Told once. */
static void
miss_name(hvs_dbus *dbus, const char *why)
{
    if (!dbus->name_missed)
        hvs_log(HVS_LOG_WARNING,
                "D-Bus: the name " HVS_DBUS_NAME " is not ours: %s; hvsession status cannot reach "
                "this service meanwhile",
                why);
    dbus->name_missed = true;
}

static void
on_name_requested(GObject *source, GAsyncResult *result, gpointer user_data)
{
    GDBusConnection *connection = G_DBUS_CONNECTION(source);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_finish(connection, result, &error);
    g_autofree char *why = NULL;
    hvs_dbus *dbus = user_data;
    guint32 answer = 0;

    /* Then dbus is gone already. */
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    /* Then the connection is. */
    if (connection != dbus->connection || g_dbus_connection_is_closed(connection))
        return;
    if (reply != NULL) {
        g_variant_get(reply, "(u)", &answer);
        /* The bus gives it to us as soon as whoever has it lets it go. */
        if (answer == REQUEST_NAME_IN_QUEUE)
            miss_name(dbus, "another process has it");
        return;
    }
    /* The bus may not have read our policy yet, and does not tell when it has. */
    g_dbus_error_strip_remote_error(error);
    why = g_strdup_printf("the bus refuses it (%s)", error->message);
    miss_name(dbus, why);
    retry_later(dbus);
}

static void
request_name(hvs_dbus *dbus)
{
    g_dbus_connection_call(dbus->connection, BUS, BUS_PATH, BUS, "RequestName",
                           g_variant_new("(su)", HVS_DBUS_NAME, 0), G_VARIANT_TYPE("(u)"),
                           G_DBUS_CALL_FLAGS_NONE, -1, dbus->cancellable, on_name_requested, dbus);
}

static void
publish_all(hvs_dbus *dbus)
{
    static const GDBusInterfaceVTable manager_vtable = {
        .method_call = call_manager,
        .get_property = get_property,
    };
    static const GDBusInterfaceVTable object_manager_vtable = { .method_call =
                                                                    call_object_manager };
    g_autoptr(GError) error = NULL;

    dbus->manager =
        publish_object(dbus, &hvs_dbus_manager_interface,
                       g_dbus_node_info_lookup_interface(dbus->node,
                                                         hvs_dbus_manager_interface.name),
                       g_strdup(HVS_DBUS_PATH), 0, &manager_vtable);
    dbus->object_manager =
        g_dbus_connection_register_object(dbus->connection, HVS_DBUS_PATH,
                                          g_dbus_node_info_lookup_interface(dbus->node,
                                                                            OBJECT_MANAGER),
                                          &object_manager_vtable, dbus, NULL, &error);
    if (dbus->object_manager == 0)
        hvs_log(HVS_LOG_WARNING, "D-Bus: cannot publish the sessions: %s", error->message);
    update(dbus);
}

static void
forget_bus(hvs_dbus *dbus)
{
    g_clear_handle_id(&dbus->update, g_source_remove);
    g_clear_handle_id(&dbus->retry, g_source_remove);
    if (dbus->connection == NULL)
        return;
    g_clear_signal_handler(&dbus->closed, dbus->connection);
    g_dbus_connection_signal_unsubscribe(dbus->connection, dbus->acquired);
    g_clear_pointer(&dbus->polkit, hvs_polkit_free);
    hvs_checkup_dismiss(dbus->checkup);
    dbus->looked = false;
    g_ptr_array_set_size(dbus->sessions, 0);
    g_clear_pointer(&dbus->manager, free_object);
    if (dbus->object_manager != 0)
        g_dbus_connection_unregister_object(dbus->connection, dbus->object_manager);
    dbus->object_manager = 0;
    dbus->updated = 0;
    dbus->name_missed = false;
    g_clear_object(&dbus->connection);
}

static gboolean
on_retry(gpointer user_data)
{
    hvs_dbus *dbus = user_data;

    dbus->retry = 0;
    if (dbus->connection != NULL)
        request_name(dbus);
    else
        connect_to_bus(dbus);
    return G_SOURCE_REMOVE;
}

/* Where the bus listens; NULL: at no path. */
static char *
socket_path(void)
{
    g_autofree char *address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);
    const char *start = address != NULL ? strstr(address, "unix:path=") : NULL;

    if (start == NULL)
        return NULL;
    start += strlen("unix:path=");
    return g_uri_unescape_segment(start, start + strcspn(start, ",;"), NULL);
}

/* The innermost directory on the way to path that there is. */
static GFile *
existing_directory(const char *path)
{
    GFile *directory = g_file_new_for_path(path);

    do {
        g_autoptr(GFile) inner = directory;

        directory = g_file_get_parent(inner);
    } while (directory != NULL && !g_file_query_exists(directory, NULL));
    return directory;
}

static void
on_directory_changed(GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event,
                     gpointer user_data)
{
    hvs_dbus *dbus = user_data;

    (void)monitor;
    (void)file;
    (void)other;
    if (event != G_FILE_MONITOR_EVENT_CREATED)
        return;
    g_clear_object(&dbus->socket);
    connect_to_bus(dbus);
}

/* False: the socket is there, or there is no such thing to wait for. */
static bool
wait_for_socket(hvs_dbus *dbus)
{
    g_autofree char *path = socket_path();
    g_autoptr(GFile) directory = NULL;

    if (path == NULL || g_file_test(path, G_FILE_TEST_EXISTS))
        return false;
    directory = existing_directory(path);
    if (directory == NULL)
        return false;
    dbus->socket = g_file_monitor_directory(directory, G_FILE_MONITOR_NONE, NULL, NULL);
    if (dbus->socket == NULL)
        return false;
    g_signal_connect(dbus->socket, "changed", G_CALLBACK(on_directory_changed), dbus);
    /* Whatever came before the monitor is not told of. */
    g_autoptr(GFile) now = existing_directory(path);
    if (g_file_equal(now, directory) && !g_file_test(path, G_FILE_TEST_EXISTS))
        return true;
    g_clear_object(&dbus->socket);
    return false;
}

static void
on_closed(GDBusConnection *connection, gboolean remote_peer_vanished, GError *error,
          gpointer user_data)
{
    hvs_dbus *dbus = user_data;

    (void)connection;
    (void)remote_peer_vanished;
    hvs_log(HVS_LOG_NOTICE, "D-Bus: the connection to the bus has ended%s%s; looking for it again",
            error != NULL ? ": " : "", error != NULL ? error->message : "");
    forget_bus(dbus);
    dbus->absence_told = true;
    retry_later(dbus);
}

static void
tell_absence(hvs_dbus *dbus, const char *why)
{
    if (!dbus->absence_told)
        hvs_log(HVS_LOG_INFO, "D-Bus: no system bus (%s); sessions do without", why);
    dbus->absence_told = true;
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection =
        g_dbus_connection_new_for_address_finish(result, &error);
    hvs_dbus *dbus = user_data;

    (void)source;
    /* Then dbus is gone already. */
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    if (connection == NULL) {
        tell_absence(dbus, error->message);
        retry_later(dbus);
        return;
    }
    dbus->retry_pause = RETRY_PAUSE;
    dbus->absence_told = false;
    dbus->connection = g_steal_pointer(&connection);
    dbus->closed = g_signal_connect(dbus->connection, "closed", G_CALLBACK(on_closed), dbus);
    dbus->polkit = hvs_polkit_new();
    /* Everything is there before anybody can know the name. */
    publish_all(dbus);
    dbus->acquired = g_dbus_connection_signal_subscribe(
        dbus->connection, BUS, BUS, "NameAcquired", BUS_PATH, HVS_DBUS_NAME,
        G_DBUS_SIGNAL_FLAGS_NONE, on_name_acquired, dbus, NULL);
    request_name(dbus);
}

static void
connect_to_bus(hvs_dbus *dbus)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, &error);

    if (address == NULL) {
        hvs_log(HVS_LOG_WARNING, "D-Bus: %s; sessions do without", error->message);
        return;
    }
    /* A machine without a bus is left in peace: an attempt would start a thread. */
    if (wait_for_socket(dbus)) {
        tell_absence(dbus, "it does not listen");
        return;
    }
    /* Not g_bus_get(): that one ends the process with the bus. */
    g_dbus_connection_new_for_address(address,
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                      NULL, dbus->cancellable, on_connected, dbus);
}

hvs_dbus *
hvs_dbus_new(const struct hvs_dbus_service *service, const struct hvs_machine *machine,
             gpointer user_data)
{
    hvs_dbus *dbus = g_new0(hvs_dbus, 1);
    g_autoptr(GError) error = NULL;

    dbus->service = service;
    dbus->user_data = user_data;
    dbus->node = g_dbus_node_info_new_for_xml(hvs_dbus_xml, &error);
    if (dbus->node == NULL)
        g_error("io.github.hvsession1.xml: %s", error->message);
    dbus->checkup = hvs_checkup_new(machine, on_looked, dbus);
    dbus->cancellable = g_cancellable_new();
    dbus->sessions = g_ptr_array_new_with_free_func(free_object);
    dbus->retry_pause = RETRY_PAUSE;
    connect_to_bus(dbus);
    return dbus;
}

void
hvs_dbus_free(hvs_dbus *dbus)
{
    g_cancellable_cancel(dbus->cancellable);
    g_clear_handle_id(&dbus->retry, g_source_remove);
    g_clear_object(&dbus->socket);
    forget_bus(dbus);
    hvs_checkup_free(dbus->checkup);
    g_object_unref(dbus->cancellable);
    g_ptr_array_unref(dbus->sessions);
    g_dbus_node_info_unref(dbus->node);
    g_free(dbus);
}
