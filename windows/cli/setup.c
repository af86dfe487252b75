#include "parts.h"

#include "../publish.h"
#include "../service.h"
#include "../setup.h"
#include "../wide.h"

#include <stddef.h>

static const struct {
    const char *name;
    size_t offset; /* of a bool */
} options[] = {
    { "no-rdp", offsetof(struct hvs_setup_options, no_rdp) },
    { "keep-nla", offsetof(struct hvs_setup_options, keep_nla) },
    { "no-firewall", offsetof(struct hvs_setup_options, no_firewall) },
    { "firewall", offsetof(struct hvs_setup_options, firewall) },
    { "blank-password", offsetof(struct hvs_setup_options, blank_password) },
    { "override", offsetof(struct hvs_setup_options, override) },
    { "dry-run", offsetof(struct hvs_setup_options, dry_run) },
};

static bool
parse_option(const char *argument, struct hvs_setup_options *parsed)
{
    for (size_t i = 0; i < ARRAYSIZE(options); i++)
        if (hvs_cli_is_option(argument, options[i].name)) {
            *(bool *)((char *)parsed + options[i].offset) = true;
            return true;
        }
    return false;
}

static int
finish(const struct hvs_setup_result *result, const char *done)
{
    if (result->error == ERROR_ACCESS_DENIED || result->error == ERROR_SERVICE_DOES_NOT_EXIST)
        return hvs_cli_complain_error("changing Windows' settings", result->error);
    if (result->error != ERROR_SUCCESS) {
        hvs_cli_complain("not everything could be done, see above");
        return HVS_EXIT_FAILED;
    }
    hvs_cli_print(done);
    if (!result->restart)
        return HVS_EXIT_OK;
    hvs_cli_print("Restart Windows for all of it to take effect.\n");
    return HVS_EXIT_RESTART;
}

static int
undo(bool dry_run)
{
    char lines[HVS_SETUP_TEXT_MAX];
    struct hvs_setup_result result;
    struct hvs_text text;

    hvs_text_init(&text, lines, sizeof lines);
    hvs_setup_undo(dry_run, &text, &result);
    hvs_cli_print(lines);
    return finish(&result, text.length == 0 ? "There is nothing to undo.\n"
                           : dry_run        ? "Nothing was changed.\n"
                           : result.left    ? "All else is as it was before hvsession.\n"
                                            : "Windows is as it was before hvsession.\n");
}

int
hvs_cli_setup(int count, char **arguments)
{
    struct hvs_setup_options parsed = { .dry_run = false };
    char lines[HVS_SETUP_TEXT_MAX];
    struct hvs_setup_result result;
    struct hvs_text text;
    bool undoing = false;

    for (int i = 0; i < count; i++) {
        if (hvs_cli_is_option(arguments[i], "undo"))
            undoing = true;
        else if (!parse_option(arguments[i], &parsed))
            return hvs_cli_complain_usage("setup has no such option", arguments[i]);
    }
    if (undoing) {
        if (count > 1 + parsed.dry_run)
            return hvs_cli_complain_usage("with --undo there is --dry-run only", NULL);
        return undo(parsed.dry_run);
    }
    if (parsed.firewall && parsed.no_firewall)
        return hvs_cli_complain_usage("--firewall or --no-firewall, not both", NULL);
    hvs_text_init(&text, lines, sizeof lines);
    hvs_setup(&parsed, &text, &result);
    hvs_cli_print(lines);
    return finish(&result, parsed.dry_run
                               ? "Nothing was changed.\n"
                               : "Done. To put back all that was changed: hvsession setup "
                                 "--undo\n");
}

/* Rules of a firewall that does not run cannot be removed, and do nothing: they are no reason to
 * keep the service. */
static bool
is_fatal(const struct hvs_setup_result *result)
{
    return result->error != ERROR_SUCCESS && result->error != ERROR_SERVICE_NOT_ACTIVE &&
           result->error != ERROR_SERVICE_DOES_NOT_EXIST;
}

int
hvs_cli_uninstall(int count, char **arguments)
{
    char lines[HVS_SETUP_TEXT_MAX];
    struct hvs_setup_result result;
    struct hvs_text text;
    DWORD error;

    if (count > 0)
        return hvs_cli_complain_usage("this command takes no arguments, not", arguments[0]);
    /* First of all: what it tells the host is in a key that setup may have made. */
    error = hvs_service_stop();
    if (error != ERROR_SUCCESS && error != ERROR_SERVICE_DOES_NOT_EXIST)
        return hvs_cli_complain_error("stopping the service", error);
    error = hvs_publish_clear();
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("taking back what the host is told", error);
    hvs_text_init(&text, lines, sizeof lines);
    hvs_setup_undo(false, &text, &result);
    hvs_cli_print(lines);
    if (is_fatal(&result))
        return finish(&result, "");
    error = hvs_service_uninstall();
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("removing the service", error);
    hvs_cli_print("Removed, with its settings.\n");
    return result.restart ? HVS_EXIT_RESTART : HVS_EXIT_OK;
}
