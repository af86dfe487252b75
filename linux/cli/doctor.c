/* hvsession doctor: looks for what keeps Enhanced Session from working, and says what mends it. */
#include "service.h"

#include "../config.h"
#include "../machine.h"

#include <stdio.h>

struct options {
    gboolean json;
    gboolean verbose;
    char *root; /* another system's, below this directory; NULL: this one */
};

/* ---- what is wrong ---- */

static void
gather(const struct hvs_machine *machine, struct hvs_facts *facts)
{
    struct hvs_settings settings;
    g_autofree char *path = hvs_config_default_path(&machine->roots);
    g_autoptr(GError) error = NULL;
    gboolean sound;

    hvs_settings_init(&settings);
    sound = hvs_config_load(path, FALSE, &settings, &error);
    hvs_probe(&(struct hvs_probe_options){ .roots = &machine->roots,
                                           .settings = &settings,
                                           .cpu = &machine->cpu },
              facts);
    if (sound)
        return;
    /* What only root may read is no mistake. */
    if (g_error_matches(error, HVS_CONFIG_ERROR, HVS_CONFIG_ERROR_UNREADABLE))
        facts->limited = HVS_YES;
    else
        g_strlcpy(facts->config_error, error->message, sizeof facts->config_error);
}

static void
print_report(const struct hvs_facts *facts, const struct hvs_diagnosis *diagnosis,
             const struct options *options, struct hvs_text *out)
{
    if (options->json)
        hvs_diagnosis_print_json(facts, diagnosis, HVS_VERSION, out);
    else
        hvs_diagnosis_print_text(facts, diagnosis,
                                 (struct hvs_diagnosis_style){ .colour = hvs_cli_has_colour(),
                                                               .verbose = options->verbose },
                                 out);
}

static int
examine(const struct options *options)
{
    gsize size = MAX(HVS_DIAGNOSIS_TEXT_MAX, HVS_DIAGNOSIS_JSON_MAX);
    g_autofree char *report = g_malloc(size);
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;
    struct hvs_text text;
    g_auto(hvs_machine) machine;

    hvs_machine_init(&machine, options->root);
    gather(&machine, &facts);
    hvs_cli_add_service_facts(&facts);
    hvs_diagnose(&facts, &diagnosis);
    hvs_text_init(&text, report, size);
    print_report(&facts, &diagnosis, options, &text);
    return hvs_cli_print(report) ? (int)diagnosis.verdict : HVS_CLI_FAILED;
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct options options = { 0 };
    const GOptionEntry entries[] = {
        { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON, for programs", NULL },
        { "verbose", 'v', 0, G_OPTION_ARG_NONE, &options.verbose,
          "Say of every finding why it matters", NULL },
        { "root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options.root,
          "Examine the system whose trees are below DIR", "DIR" },
        { 0 },
    };
    int status = HVS_CLI_USAGE;

    if (hvs_cli_parse(verb, &argc, &argv, entries, 0))
        status = examine(&options);
    g_free(options.root);
    return status;
}

const struct hvs_cli_verb hvs_cli_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "Say why Enhanced Session fails, and what mends it",
    .details = "It changes nothing, works without the service, and sees a little more as root.\n"
               "The most important finding comes first; mend that one and ask again.\n\n"
               "Exit status, that of the first finding:\n"
               "  0  nothing is wrong, or there is advice only\n"
               "  1  something keeps Enhanced Session from working, or from working well\n"
               "  2  wrong option or argument\n"
               "  3  this is not a Hyper-V guest\n"
               "  4  the host does not offer Enhanced Session\n"
               "  5  the hvsession service does not run\n",
    .run = run,
};
