/* hvsession: the command line of the Enhanced Session service. */
#include "cli.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const struct hvs_cli_verb *const verbs[] = {
    &hvs_cli_status,
    &hvs_cli_doctor,
    &hvs_cli_setup,
    &hvs_cli_sessions,
    &hvs_cli_disconnect,
    &hvs_cli_monitor,
    &hvs_cli_config,
    &hvs_cli_support_bundle,
    &hvs_cli_version,
    &hvs_cli_help,
    NULL,
};

const struct hvs_cli_verb *const *
hvs_cli_verbs(void)
{
    return verbs;
}

const struct hvs_cli_verb *
hvs_cli_find(const char *name)
{
    for (gsize i = 0; verbs[i] != NULL; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

/* The options that stand without a verb mean one. */
static const char *
verb_name(const char *argument)
{
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
        return hvs_cli_help.name;
    if (strcmp(argument, "--version") == 0 || strcmp(argument, "-V") == 0)
        return hvs_cli_version.name;
    return argument;
}

int
main(int argc, char **argv)
{
    const struct hvs_cli_verb *verb;

    setlocale(LC_ALL, "");
    if (argc < 2) {
        hvs_cli_complain("no command given; try hvsession --help");
        return HVS_CLI_USAGE;
    }
    verb = hvs_cli_find(verb_name(argv[1]));
    if (verb == NULL) {
        hvs_cli_complain("unknown %s \"%s\"; try hvsession --help",
                         argv[1][0] == '-' ? "option" : "command", argv[1]);
        return HVS_CLI_USAGE;
    }
    if (verb == &hvs_cli_help && strcmp(argv[1], hvs_cli_help.name) != 0)
        argc = 2; /* hvsession --help, whatever follows */
    return verb->run(verb, argc - 1, argv + 1);
}
