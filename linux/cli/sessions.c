/* hvsession sessions and disconnect. */
#include "service.h"

static int
list(const char *root, gboolean json)
{
    int status = HVS_CLI_FAILED;
    g_autoptr(GDBusConnection) bus = hvs_cli_meet_service(root, &status);
    g_autoptr(GError) error = NULL;
    g_autofree char *table = NULL;

    if (bus == NULL)
        return status;
    table = hvs_cli_describe(bus, json ? "sessions-json" : "sessions-text", &error);
    if (table == NULL)
        return hvs_cli_fail_call("sessions", error);
    return hvs_cli_print(table) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

static int
run_sessions(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct hvs_cli_common options = { 0 };
    int status = HVS_CLI_USAGE;

    if (hvs_cli_parse_common(verb, &argc, &argv, &options, 0))
        status = list(options.root, options.json);
    g_free(options.root);
    return status;
}

/* As it is typed, and as it is shown: 3 or #3. */
static gboolean
parse_id(const char *argument, guint32 *id)
{
    guint64 number;

    if (argument[0] == '#')
        argument++;
    if (!g_ascii_string_to_unsigned(argument, 10, 1, G_MAXUINT32, &number, NULL))
        return FALSE;
    *id = (guint32)number;
    return TRUE;
}

static int
end_session(const char *root, guint32 id)
{
    int status = HVS_CLI_FAILED;
    g_autoptr(GDBusConnection) bus = hvs_cli_meet_service(root, &status);
    g_autoptr(GVariant) reply = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;

    if (bus == NULL)
        return status;
    reply = hvs_cli_call(bus, "Disconnect", g_variant_new("(u)", id), &error);
    if (reply == NULL)
        return hvs_cli_fail_call("disconnect", error);
    said = g_strdup_printf("Session %" G_GUINT32_FORMAT " is disconnected.\n", id);
    return hvs_cli_print(said) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

static int
run_disconnect(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct hvs_cli_common options = { 0 };
    int status = HVS_CLI_USAGE;
    guint32 id;

    if (!hvs_cli_parse_common(verb, &argc, &argv, &options, 1))
        ;
    else if (argc < 2)
        hvs_cli_complain("disconnect: which session? See hvsession sessions, and "
                         "hvsession disconnect --help");
    else if (!parse_id(argv[1], &id))
        hvs_cli_complain("disconnect: \"%s\" is not the number of a session; see hvsession "
                         "sessions, and hvsession disconnect --help",
                         argv[1]);
    else
        status = end_session(options.root, id);
    g_free(options.root);
    return status;
}

#define STATUSES                                                                                   \
    "Exit status:\n"                                                                               \
    "  0  done\n"                                                                                  \
    "  1  failed\n"                                                                                \
    "  2  wrong option or argument\n"                                                              \
    "  3  this is not a Hyper-V guest\n"                                                           \
    "  5  the hvsession service does not run\n"

const struct hvs_cli_verb hvs_cli_sessions = {
    .name = "sessions",
    .arguments = "",
    .summary = "List the sessions, and those that ended last",
    .details = STATUSES,
    .has_json = TRUE,
    .run = run_sessions,
};

const struct hvs_cli_verb hvs_cli_disconnect = {
    .name = "disconnect",
    .arguments = "ID",
    .summary = "End a session",
    .details =
        "ID is the number that hvsession sessions shows. The other sessions go on, and so\n"
        "do the programs that run in this one.\n\n"
        "For administrators: with sudo, or with the password that polkit asks for.\n\n" STATUSES,
    .run = run_disconnect,
};
