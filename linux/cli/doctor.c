/* hvsession doctor: looks for what keeps Enhanced Session from working, and says what mends it. */
#include "cli.h"

#include "../config.h"
#include "../probe.h"

#include <stdio.h>

struct options {
    gboolean json;
    gboolean verbose;
    char *root; /* another system's, below this directory; NULL: this one */
};

/* ---- which system ---- */

struct place {
    struct hvs_roots roots;
    struct hvs_probe_cpu cpu;
    char *paths[5]; /* owned; what roots points to */
};

/* The trees below a directory, as of a mounted disk or a test. Its processor is nobody's to ask. */
static void
find_place(struct place *place, const char *root)
{
    static const char *const names[] = { "sys", "dev", "run", "etc", "proc" };

    *place = (struct place){ .roots = HVS_ROOTS_SYSTEM };
    if (root == NULL) {
        hvs_probe_read_cpu(&place->cpu);
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        place->paths[i] = g_build_filename(root, names[i], NULL);
    place->roots = (struct hvs_roots){ .sys = place->paths[0],
                                       .dev = place->paths[1],
                                       .run = place->paths[2],
                                       .etc = place->paths[3],
                                       .proc = place->paths[4],
                                       .root = root };
}

static void
clear_place(struct place *place)
{
    for (gsize i = 0; i < G_N_ELEMENTS(place->paths); i++)
        g_free(place->paths[i]);
}

/* ---- what is wrong ---- */

static void
gather(const struct place *place, struct hvs_facts *facts)
{
    struct hvs_settings settings;
    g_autofree char *path = hvs_config_default_path(&place->roots);
    g_autoptr(GError) error = NULL;
    gboolean sound;

    hvs_settings_init(&settings);
    sound = hvs_config_load(path, FALSE, &settings, &error);
    hvs_probe(&(struct hvs_probe_options){ .roots = &place->roots,
                                           .settings = &settings,
                                           .cpu = &place->cpu },
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
    struct place place;

    find_place(&place, options->root);
    gather(&place, &facts);
    clear_place(&place);
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
    .summary = "Say why Enhanced Session does not work, and what mends it",
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
