/* hvsession monitor: what happens, line by line.
 *
 * With --json every line is an object. All have "time_ms" (since 1970, UTC) and "event", which is
 * one of:
 *     "service"          "running": bool
 *     "state"            "state", "summary", "problem": strings of the Manager
 *     "diagnosis"        "verdict", "summary": likewise; "findings": [ code ]
 *     "session"          "id": number, "state": string, "transport", "channel", "client", "server";
 *                        "reason", "reason_text", "detail", "trouble", "bytes_to_host",
 *                        "bytes_to_server" once it has ended
 * Sessions that live already when it begins are told first, as if they had just changed.
 */
#include "service.h"

#include "../dbus.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct monitor {
    gboolean json;
    GMainLoop *loop;
    GDBusProxy *manager;
    GDBusObjectManager *objects;
    gboolean running; /* the service, as it was told last */
    int status;
};

/* ---- lines ---- */

static GString *
begin_json(const char *event)
{
    GString *out = g_string_new(NULL);

    g_string_printf(out, "{\"time_ms\": %" G_GINT64_FORMAT ", \"event\": \"%s\"",
                    g_get_real_time() / 1000, event);
    return out;
}

static void
add_json_member(GString *out, const char *name, const char *value)
{
    g_string_append_printf(out, ", \"%s\": ", name);
    hvs_cli_add_json(out, value);
}

static void
add_json_number(GString *out, const char *name, guint64 value)
{
    g_string_append_printf(out, ", \"%s\": %" G_GUINT64_FORMAT, name, value);
}

static GString *
begin_text(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *time = g_date_time_format(now, "%H:%M:%S  ");

    return g_string_new(time);
}

/* From elsewhere, fit for a terminal. */
static void
add_visible(GString *out, const char *string)
{
    gsize size = strlen(string) + 1;
    g_autofree char *buffer = g_malloc(size);
    struct hvs_text text;

    hvs_text_init(&text, buffer, size);
    hvs_text_add_visible(&text, string);
    g_string_append(out, buffer);
}

static void
add_size(GString *out, guint64 bytes)
{
    char buffer[32];
    struct hvs_text text;

    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_text_add_size(&text, bytes);
    g_string_append(out, buffer);
}

/* Takes the line over. */
static void
end_line(struct monitor *monitor, GString *line)
{
    if (monitor->json)
        g_string_append_c(line, '}');
    g_string_append_c(line, '\n');
    if (monitor->status == HVS_CLI_FINE && !hvs_cli_print(line->str)) {
        monitor->status = HVS_CLI_FAILED;
        g_main_loop_quit(monitor->loop);
    }
    g_string_free(line, TRUE);
}

/* ---- properties ---- */

static char *
get_string(GDBusProxy *proxy, const char *name)
{
    g_autoptr(GVariant) value = g_dbus_proxy_get_cached_property(proxy, name);

    return value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
               ? g_variant_dup_string(value, NULL)
               : g_strdup("");
}

static guint64
get_number(GDBusProxy *proxy, const char *name)
{
    g_autoptr(GVariant) value = g_dbus_proxy_get_cached_property(proxy, name);

    if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        return g_variant_get_uint32(value);
    return value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64)
               ? g_variant_get_uint64(value)
               : 0;
}

static gboolean
get_boolean(GDBusProxy *proxy, const char *name)
{
    g_autoptr(GVariant) value = g_dbus_proxy_get_cached_property(proxy, name);

    return value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN) &&
           g_variant_get_boolean(value);
}

/* ---- the service ---- */

static void
tell_state(struct monitor *monitor)
{
    g_autofree char *state = get_string(monitor->manager, "State");
    g_autofree char *summary = get_string(monitor->manager, "Summary");
    g_autofree char *problem = get_string(monitor->manager, "Problem");
    GString *line = monitor->json ? begin_json("state") : begin_text();

    if (monitor->json) {
        add_json_member(line, "state", state);
        add_json_member(line, "summary", summary);
        add_json_member(line, "problem", problem);
    } else {
        g_string_append(line, summary);
        if (problem[0] != '\0') {
            g_string_append(line, ": ");
            add_visible(line, problem);
        }
    }
    end_line(monitor, line);
}

/* The codes of the findings, each with what stands around it. */
static void
add_codes(const struct monitor *monitor, GString *line, const char *between, const char *around)
{
    g_autoptr(GVariant) findings = g_dbus_proxy_get_cached_property(monitor->manager, "Findings");

    if (findings == NULL || !g_variant_is_of_type(findings, G_VARIANT_TYPE("aa{sv}")))
        return;
    for (gsize i = 0; i < g_variant_n_children(findings); i++) {
        g_autoptr(GVariant) finding = g_variant_get_child_value(findings, i);

        g_string_append_printf(line, "%s%s%s%s", i > 0 ? between : "", around,
                               hvs_cli_lookup(finding, "code"), around);
    }
}

static void
tell_diagnosis(struct monitor *monitor)
{
    g_autofree char *verdict = get_string(monitor->manager, "Verdict");
    g_autofree char *summary = get_string(monitor->manager, "DiagnosisSummary");
    GString *line;

    /* Nobody has looked yet. */
    if (verdict[0] == '\0')
        return;
    line = monitor->json ? begin_json("diagnosis") : begin_text();
    if (monitor->json) {
        add_json_member(line, "verdict", verdict);
        add_json_member(line, "summary", summary);
        g_string_append(line, ", \"findings\": [");
        add_codes(monitor, line, ", ", "\"");
        g_string_append_c(line, ']');
    } else {
        g_autoptr(GString) codes = g_string_new(NULL);

        add_codes(monitor, codes, ", ", "");
        g_string_append_printf(line, "diagnosis: %s", summary);
        if (codes->len > 0)
            g_string_append_printf(line, " See hvsession doctor: %s", codes->str);
    }
    end_line(monitor, line);
}

static void
tell_service(struct monitor *monitor, gboolean running)
{
    GString *line = monitor->json ? begin_json("service") : begin_text();

    monitor->running = running;
    if (monitor->json)
        g_string_append_printf(line, ", \"running\": %s", running ? "true" : "false");
    else
        g_string_append(line, running ? "the service runs" : "the service has stopped");
    end_line(monitor, line);
}

static void
on_manager_changed(GDBusProxy *manager, GVariant *changed, const char *const *invalidated,
                   gpointer user_data)
{
    struct monitor *monitor = user_data;
    GVariantDict dict;

    (void)manager;
    (void)invalidated;
    /* It has come just now: on_owner_changed() tells all. */
    if (!monitor->running)
        return;
    g_variant_dict_init(&dict, changed);
    if (g_variant_dict_contains(&dict, "State") || g_variant_dict_contains(&dict, "Problem"))
        tell_state(monitor);
    if (g_variant_dict_contains(&dict, "Verdict") || g_variant_dict_contains(&dict, "Findings"))
        tell_diagnosis(monitor);
    g_variant_dict_clear(&dict);
}

static void
on_owner_changed(GObject *object, GParamSpec *parameter, gpointer user_data)
{
    struct monitor *monitor = user_data;
    g_autofree char *owner = g_dbus_proxy_get_name_owner(monitor->manager);

    (void)object;
    (void)parameter;
    if ((owner != NULL) == monitor->running)
        return;
    tell_service(monitor, owner != NULL);
    if (owner != NULL) {
        tell_state(monitor);
        tell_diagnosis(monitor);
    }
}

/* ---- sessions ---- */

static void
add_session_json(GString *line, GDBusProxy *session, gboolean ended)
{
    static const char *const members[][2] = {
        { "state", "State" },   { "transport", "Transport" }, { "client", "ClientName" },
        { "server", "Server" }, { "reason", "EndReason" },    { "reason_text", "EndText" },
        { "detail", "Detail" },
    };

    add_json_number(line, "id", get_number(session, "Id"));
    add_json_number(line, "channel", get_number(session, "Channel"));
    for (gsize i = 0; i < (ended ? G_N_ELEMENTS(members) : 4); i++) {
        g_autofree char *value = get_string(session, members[i][1]);

        add_json_member(line, members[i][0], value);
    }
    if (!ended)
        return;
    g_string_append_printf(line, ", \"trouble\": %s",
                           get_boolean(session, "Trouble") ? "true" : "false");
    add_json_number(line, "bytes_to_host", get_number(session, "BytesToHost"));
    add_json_number(line, "bytes_to_server", get_number(session, "BytesToServer"));
}

static void
add_session_text(GString *line, GDBusProxy *session, gboolean ended)
{
    g_autofree char *state = get_string(session, "State");
    g_autofree char *client = get_string(session, "ClientName");
    g_autofree char *server = get_string(session, "Server");
    g_autofree char *reason = get_string(session, "EndText");
    g_autofree char *detail = get_string(session, "Detail");

    g_string_append_printf(line, "session %" G_GUINT64_FORMAT ": %s", get_number(session, "Id"),
                           state);
    if (!ended) {
        if (client[0] != '\0') {
            g_string_append(line, ", from ");
            add_visible(line, client);
        }
        if (server[0] != '\0')
            g_string_append_printf(line, ", to %s", server);
        return;
    }
    g_string_append_printf(line, ", %s", reason);
    if (detail[0] != '\0') {
        g_string_append(line, ": ");
        add_visible(line, detail);
    }
    g_string_append(line, " (");
    add_size(line, get_number(session, "BytesToHost"));
    g_string_append(line, " to the host, ");
    add_size(line, get_number(session, "BytesToServer"));
    g_string_append(line, " to the server)");
}

static void
tell_session(struct monitor *monitor, GDBusProxy *session)
{
    g_autofree char *state = get_string(session, "State");
    gboolean ended = strcmp(state, "ended") == 0;
    GString *line = monitor->json ? begin_json("session") : begin_text();

    (monitor->json ? add_session_json : add_session_text)(line, session, ended);
    end_line(monitor, line);
}

static void
on_object_added(GDBusObjectManager *objects, GDBusObject *object, gpointer user_data)
{
    g_autoptr(GDBusInterface) session = g_dbus_object_get_interface(object, HVS_CLI_SESSION);

    (void)objects;
    if (session != NULL)
        tell_session(user_data, G_DBUS_PROXY(session));
}

static void
on_session_changed(GDBusObjectManagerClient *objects, GDBusObjectProxy *object, GDBusProxy *session,
                   GVariant *changed, const char *const *invalidated, gpointer user_data)
{
    GVariantDict dict;

    (void)objects;
    (void)object;
    (void)invalidated;
    g_variant_dict_init(&dict, changed);
    if (g_variant_dict_contains(&dict, "State"))
        tell_session(user_data, session);
    g_variant_dict_clear(&dict);
}

/* Those that live; whoever asks now knows how the others ended, or does not care. */
static void
tell_sessions(struct monitor *monitor)
{
    GList *objects = g_dbus_object_manager_get_objects(monitor->objects);

    for (GList *link = objects; link != NULL; link = link->next) {
        g_autoptr(GDBusInterface) session =
            g_dbus_object_get_interface(link->data, HVS_CLI_SESSION);
        g_autofree char *state =
            session != NULL ? get_string(G_DBUS_PROXY(session), "State") : g_strdup("ended");

        if (strcmp(state, "ended") != 0)
            tell_session(monitor, G_DBUS_PROXY(session));
    }
    g_list_free_full(objects, g_object_unref);
}

/* ---- the verb ---- */

static gboolean
on_interrupt(gpointer user_data)
{
    struct monitor *monitor = user_data;

    g_main_loop_quit(monitor->loop);
    return G_SOURCE_CONTINUE;
}

/* Without the bus there is nothing to follow. */
static void
on_bus_closed(GDBusConnection *bus, gboolean remote_peer_vanished, GError *error,
              gpointer user_data)
{
    struct monitor *monitor = user_data;

    (void)bus;
    (void)remote_peer_vanished;
    (void)error;
    hvs_cli_complain("monitor: the system bus has gone away");
    monitor->status = HVS_CLI_FAILED;
    g_main_loop_quit(monitor->loop);
}

static gboolean
subscribe(struct monitor *monitor, GDBusConnection *bus, GError **error)
{
    monitor->manager =
        g_dbus_proxy_new_sync(bus, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, NULL, HVS_DBUS_NAME,
                              HVS_DBUS_PATH, HVS_CLI_MANAGER, NULL, error);
    if (monitor->manager == NULL)
        return FALSE;
    monitor->objects =
        g_dbus_object_manager_client_new_sync(bus,
                                              G_DBUS_OBJECT_MANAGER_CLIENT_FLAGS_DO_NOT_AUTO_START,
                                              HVS_DBUS_NAME, HVS_DBUS_PATH, NULL, NULL, NULL, NULL,
                                              error);
    if (monitor->objects == NULL)
        return FALSE;
    g_signal_connect(monitor->manager, "g-properties-changed", G_CALLBACK(on_manager_changed),
                     monitor);
    g_signal_connect(monitor->manager, "notify::g-name-owner", G_CALLBACK(on_owner_changed),
                     monitor);
    g_signal_connect(monitor->objects, "object-added", G_CALLBACK(on_object_added), monitor);
    g_signal_connect(monitor->objects, "interface-proxy-properties-changed",
                     G_CALLBACK(on_session_changed), monitor);
    return TRUE;
}

static void
follow(struct monitor *monitor)
{
    guint interrupted = g_unix_signal_add(SIGINT, on_interrupt, monitor);
    guint terminated = g_unix_signal_add(SIGTERM, on_interrupt, monitor);

    tell_state(monitor);
    tell_diagnosis(monitor);
    tell_sessions(monitor);
    if (monitor->status == HVS_CLI_FINE)
        g_main_loop_run(monitor->loop);
    g_source_remove(interrupted);
    g_source_remove(terminated);
}

static int
watch(const char *root, gboolean json)
{
    struct monitor monitor = { .json = json, .running = TRUE };
    g_autoptr(GDBusConnection) bus = hvs_cli_meet_service(root, &monitor.status);
    g_autoptr(GError) error = NULL;
    gulong closed;

    if (bus == NULL)
        return monitor.status;
    g_dbus_connection_set_exit_on_close(bus, FALSE);
    monitor.loop = g_main_loop_new(NULL, FALSE);
    closed = g_signal_connect(bus, "closed", G_CALLBACK(on_bus_closed), &monitor);
    if (subscribe(&monitor, bus, &error))
        follow(&monitor);
    else
        monitor.status = hvs_cli_fail_call("monitor", error);
    g_signal_handler_disconnect(bus, closed);
    g_clear_object(&monitor.objects);
    g_clear_object(&monitor.manager);
    g_main_loop_unref(monitor.loop);
    return monitor.status;
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct hvs_cli_common options = { 0 };
    int status = HVS_CLI_USAGE;

    if (hvs_cli_parse_common(verb, &argc, &argv, &options, 0))
        status = watch(options.root, options.json);
    g_free(options.root);
    return status;
}

const struct hvs_cli_verb hvs_cli_monitor = {
    .name = "monitor",
    .arguments = "",
    .summary = "Show what happens, line by line, until Ctrl+C",
    .details = "With --json every line is an object of its own.\n\n"
               "Exit status:\n"
               "  0  interrupted\n"
               "  1  failed\n"
               "  2  wrong option or argument\n"
               "  3  this is not a Hyper-V guest\n"
               "  5  the hvsession service does not run\n",
    .has_json = TRUE,
    .run = run,
};
