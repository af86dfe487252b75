/* hvsession version */
#include "cli.h"

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    if (!hvs_cli_parse(verb, &argc, &argv, NULL, 0))
        return HVS_CLI_USAGE;
    return hvs_cli_print("hvsession " HVS_VERSION "\n") ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

const struct hvs_cli_verb hvs_cli_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version",
    .run = run,
};
