/* hvsession doctor: looks for what keeps Enhanced Session from working, and says what mends it.
 * Works without the service, too. */
#include "parts.h"

#include "../probe.h"

#include <stdlib.h>

/* Both forms fit. */
#define REPORT_MAX max(HVS_DIAGNOSIS_TEXT_MAX, HVS_DIAGNOSIS_JSON_MAX)

static void
print_report(bool json, bool verbose, int *status, char *bytes)
{
    const struct hvs_probe_options options = { .from_service = false };
    struct hvs_diagnosis diagnosis;
    struct hvs_facts facts;
    struct hvs_text text;

    hvs_probe(&options, &facts);
    hvs_diagnose(&facts, &diagnosis);
    hvs_text_init(&text, bytes, REPORT_MAX);
    if (json)
        hvs_diagnosis_print_json(&facts, &diagnosis, HVS_VERSION, &text);
    else
        hvs_diagnosis_print_text(&facts, &diagnosis,
                                 (struct hvs_diagnosis_style){ .verbose = verbose }, &text);
    *status = (int)diagnosis.verdict;
}

int
hvs_cli_doctor(int count, char **arguments)
{
    bool json = false, verbose = false;
    char *bytes;
    int status;

    for (int i = 0; i < count; i++) {
        if (hvs_cli_is_option(arguments[i], "json"))
            json = true;
        else if (hvs_cli_is_option(arguments[i], "verbose"))
            verbose = true;
        else
            return hvs_cli_complain_usage("doctor takes --verbose or --json, not", arguments[i]);
    }
    bytes = malloc(REPORT_MAX);
    if (bytes == NULL)
        return hvs_cli_complain_error("looking at this machine", ERROR_NOT_ENOUGH_MEMORY);
    print_report(json, verbose, &status, bytes);
    hvs_cli_print(bytes);
    free(bytes);
    return status;
}
