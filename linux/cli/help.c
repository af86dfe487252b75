/* hvsession help [COMMAND] */
#include "cli.h"

static int
print_overview(void)
{
    g_autoptr(GString) text = g_string_new(
        "Usage:\n  hvsession COMMAND [OPTION...]\n\n"
        "Enhanced Session for this Hyper-V guest: how it does, and what keeps it from\n"
        "working.\n\nCommands:\n");
    const struct hvs_cli_verb *const *verbs = hvs_cli_verbs();

    for (gsize i = 0; verbs[i] != NULL; i++) {
        g_autofree char *synopsis = g_strjoin(verbs[i]->arguments[0] != '\0' ? " " : "",
                                              verbs[i]->name, verbs[i]->arguments, NULL);

        g_string_append_printf(text, "  %-21s %s\n", synopsis, verbs[i]->summary);
    }
    g_string_append(text, "\nOptions:\n"
                          "  -h, --help           as help\n"
                          "  -V, --version        as version\n\n"
                          "Each command explains itself: hvsession COMMAND --help\n"
                          "The whole manual: man hvsession\n");
    return hvs_cli_print(text->str) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    const struct hvs_cli_verb *about;
    char option[] = "--help";
    char *asked[] = { NULL, option, NULL };

    if (!hvs_cli_parse(verb, &argc, &argv, NULL, 1))
        return HVS_CLI_USAGE;
    if (argc < 2)
        return print_overview();
    about = hvs_cli_find(argv[1]);
    if (about == NULL) {
        hvs_cli_complain("unknown command \"%s\"; try hvsession --help", argv[1]);
        return HVS_CLI_USAGE;
    }
    asked[0] = argv[1];
    return about->run(about, 2, asked);
}

const struct hvs_cli_verb hvs_cli_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Explain a command, or list them all",
    .run = run,
};
