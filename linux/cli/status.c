/* hvsession status: how Enhanced Session does, on one screen. */
#include "service.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH 80

/* What a program or a script has to know, in one number. */
static int
exit_status(GVariant *manager)
{
    const char *state = hvs_cli_lookup(manager, "State");
    const char *verdict = hvs_cli_lookup(manager, "Verdict");

    for (int i = HVS_VERDICT_DEGRADED; i <= HVS_VERDICT_SERVICE_DOWN; i++)
        if (strcmp(verdict, hvs_verdict_to_string((enum hvs_verdict)i)) == 0)
            return i;
    if (strcmp(state, hvs_overall_to_string(HVS_OVERALL_NOT_OFFERED)) == 0)
        return HVS_VERDICT_NOT_OFFERED;
    if (strcmp(state, hvs_overall_to_string(HVS_OVERALL_PROBLEM)) == 0)
        return HVS_VERDICT_DEGRADED;
    return HVS_CLI_FINE;
}

/* The gravest finding in short; nothing if nothing is wrong. */
static char *
describe_finding(GVariant *manager)
{
    g_autoptr(GVariant) findings =
        g_variant_lookup_value(manager, "Findings", G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GVariant) first = NULL;
    g_autofree char *line = NULL, *lines = NULL;
    gsize size;
    struct hvs_text text;

    if (findings == NULL || g_variant_n_children(findings) == 0 ||
        strcmp(hvs_cli_lookup(manager, "Verdict"), hvs_verdict_to_string(HVS_VERDICT_FINE)) == 0)
        return g_strdup("");
    first = g_variant_get_child_value(findings, 0);
    line = g_strdup_printf("%s %s: %s", hvs_cli_lookup(first, "severity"),
                           hvs_cli_lookup(first, "code"), hvs_cli_lookup(first, "sentence"));
    size = 2 * strlen(line) + 1;
    lines = g_malloc(size);
    hvs_text_init(&text, lines, size);
    hvs_text_add_wrapped(&text, line, 2, WIDTH);
    return g_strdup_printf("\n%s\nWhat mends it: hvsession doctor\n", lines);
}

static int
show(const char *root, gboolean json)
{
    int status = HVS_CLI_FAILED;
    g_autoptr(GDBusConnection) bus = hvs_cli_meet_service(root, &status);
    g_autoptr(GVariant) manager = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *screen = NULL, *finding = NULL, *whole = NULL;

    if (bus == NULL)
        return status;
    /* That somebody has stopped the RDP server, say, is told to nobody. */
    hvs_cli_look_again(bus);
    screen = hvs_cli_describe(bus, json ? "status-json" : "status-text", &error);
    if (screen != NULL)
        manager = hvs_cli_get_manager(bus, &error);
    if (manager == NULL)
        return hvs_cli_fail_call("status", error);
    finding = json ? g_strdup("") : describe_finding(manager);
    whole = g_strconcat(screen, finding, NULL);
    return hvs_cli_print(whole) ? exit_status(manager) : HVS_CLI_FAILED;
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct hvs_cli_common options = { 0 };
    int status = HVS_CLI_USAGE;

    if (hvs_cli_parse_common(verb, &argc, &argv, &options, 0))
        status = show(options.root, options.json);
    g_free(options.root);
    return status;
}

const struct hvs_cli_verb hvs_cli_status = {
    .name = "status",
    .arguments = "",
    .summary = "Show the service, its channels and its sessions",
    .details = "Exit status:\n"
               "  0  nothing is wrong\n"
               "  1  something keeps Enhanced Session from working, or from working well\n"
               "  2  wrong option or argument\n"
               "  3  this is not a Hyper-V guest\n"
               "  4  the host does not offer Enhanced Session\n"
               "  5  the hvsession service does not run\n",
    .has_json = TRUE,
    .run = run,
};
