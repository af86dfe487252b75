#include "service.h"

#include "../dbus.h"

#include <string.h>

/* For an answer of the service, in milliseconds; a person who is asked for a password takes longer.
 */
#define PATIENCE         5000
#define PATIENCE_TO_LOOK 2000
#define PATIENCE_TO_ACT  (5 * 60 * 1000)

static gboolean
has_owner(GDBusConnection *bus)
{
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_sync(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                    "org.freedesktop.DBus", "NameHasOwner",
                                    g_variant_new("(s)", HVS_DBUS_NAME), G_VARIANT_TYPE("(b)"),
                                    G_DBUS_CALL_FLAGS_NONE, PATIENCE, NULL, NULL);
    gboolean owned = FALSE;

    if (reply != NULL)
        g_variant_get(reply, "(b)", &owned);
    return owned;
}

GDBusConnection *
hvs_cli_find_service(void)
{
    g_autoptr(GDBusConnection) bus = g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);

    return bus != NULL && has_owner(bus) ? g_steal_pointer(&bus) : NULL;
}

/* What keeps it from running: where there is nothing for it to do, that is not a fault. */
static enum hvs_verdict
judge_absence(const char *root)
{
    g_auto(hvs_machine) machine;
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;

    hvs_machine_init(&machine, root);
    hvs_probe(&(struct hvs_probe_options){ .roots = &machine.roots, .cpu = &machine.cpu }, &facts);
    hvs_diagnose(&facts, &diagnosis);
    return diagnosis.verdict == HVS_VERDICT_NOT_A_GUEST ? HVS_VERDICT_NOT_A_GUEST
                                                        : HVS_VERDICT_SERVICE_DOWN;
}

GDBusConnection *
hvs_cli_meet_service(const char *root, int *status)
{
    GDBusConnection *bus = hvs_cli_find_service();

    if (bus != NULL)
        return bus;
    *status = (int)judge_absence(root);
    if (*status == HVS_VERDICT_NOT_A_GUEST)
        hvs_cli_complain("this is not a Hyper-V guest, and the service does not run; "
                         "see hvsession doctor");
    else
        hvs_cli_complain("the service does not run; start it with "
                         "\"sudo systemctl start hvsessiond\", or see hvsession doctor");
    return NULL;
}

/* Without the name of the D-Bus error in front. */
static GVariant *
call(GDBusConnection *bus, const char *interface, const char *method, GVariant *parameters,
     const char *type, int patience, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    GVariant *reply = g_dbus_connection_call_sync(bus, HVS_DBUS_NAME, HVS_DBUS_PATH, interface,
                                                  method, parameters, G_VARIANT_TYPE(type),
                                                  G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
                                                  patience, NULL, &local_error);

    if (reply != NULL)
        return reply;
    g_dbus_error_strip_remote_error(local_error);
    g_propagate_error(error, g_steal_pointer(&local_error));
    return NULL;
}

GVariant *
hvs_cli_call(GDBusConnection *bus, const char *method, GVariant *parameters, GError **error)
{
    return call(bus, HVS_CLI_MANAGER, method, parameters, "()", PATIENCE_TO_ACT, error);
}

void
hvs_cli_look_again(GDBusConnection *bus)
{
    GVariant *reply = call(bus, HVS_CLI_MANAGER, "Diagnose", NULL, "()", PATIENCE_TO_LOOK, NULL);

    if (reply != NULL)
        g_variant_unref(reply);
}

GVariant *
hvs_cli_get_manager(GDBusConnection *bus, GError **error)
{
    g_autoptr(GVariant) reply =
        call(bus, "org.freedesktop.DBus.Properties", "GetAll",
             g_variant_new("(s)", HVS_CLI_MANAGER), "(a{sv})", PATIENCE, error);

    return reply != NULL ? g_variant_get_child_value(reply, 0) : NULL;
}

const char *
hvs_cli_lookup(GVariant *properties, const char *name)
{
    const char *value = NULL;

    return g_variant_lookup(properties, name, "&s", &value) ? value : "";
}

char *
hvs_cli_describe(GDBusConnection *bus, const char *form, GError **error)
{
    g_autoptr(GVariant) reply =
        call(bus, HVS_CLI_MANAGER, "Describe", g_variant_new("(s)", form), "(s)", PATIENCE, error);
    char *document = NULL;

    if (reply != NULL)
        g_variant_get(reply, "(s)", &document);
    return document;
}

static bool
lookup_boolean(GVariant *properties, const char *name)
{
    gboolean value = FALSE;

    return g_variant_lookup(properties, name, "b", &value) && value;
}

static enum hvs_hvsocket_state
hvsocket_state(const char *word)
{
    for (int i = HVS_HVSOCKET_OFF; i <= HVS_HVSOCKET_UNAVAILABLE; i++)
        if (strcmp(word, hvs_hvsocket_state_to_string((enum hvs_hvsocket_state)i)) == 0)
            return (enum hvs_hvsocket_state)i;
    return HVS_HVSOCKET_OFF;
}

/* So much of the service's status as the diagnosis takes from it. */
static void
fill_status(struct hvs_status *status, GVariant *manager)
{
    struct hvs_session *last = &status->sessions[0];

    memset(status, 0, sizeof *status);
    status->control.problem =
        hvs_control_problem_from_word(hvs_cli_lookup(manager, "ControlProblem"));
    status->hvsocket = hvsocket_state(hvs_cli_lookup(manager, "HvSocket"));
    status->hvsocket_used = lookup_boolean(manager, "HvSocketUsed");
    if (!g_variant_lookup(manager, "SessionsTotal", "t", &status->sessions_total) ||
        status->sessions_total == 0)
        return;
    status->session_count = 1;
    last->id = 1;
    g_variant_lookup(manager, "FailureCode", "u", &last->negotiation.failure_code);
    if (lookup_boolean(manager, "ServerEncrypts"))
        last->reason = HVS_END_SERVER_ENCRYPTS;
    if (lookup_boolean(manager, "ServerUntrusted"))
        last->reason = HVS_END_SERVER_UNTRUSTED;
}

void
hvs_cli_add_service_facts(struct hvs_facts *facts)
{
    g_autoptr(GDBusConnection) bus = hvs_cli_find_service();
    g_autoptr(GVariant) manager = bus != NULL ? hvs_cli_get_manager(bus, NULL) : NULL;
    g_autofree struct hvs_status *status = NULL;

    if (manager == NULL)
        return;
    status = g_new(struct hvs_status, 1);
    fill_status(status, manager);
    hvs_facts_add_status(facts, status);
}

int
hvs_cli_fail_call(const char *verb, GError *error)
{
    gboolean denied = g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED);

    hvs_cli_complain("%s: %s%s", verb, error->message,
                     denied && strstr(error->message, "sudo") == NULL ? ": try again with sudo"
                                                                      : "");
    return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
                   g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER)
               ? (int)HVS_VERDICT_SERVICE_DOWN
               : HVS_CLI_FAILED;
}
