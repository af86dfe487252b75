/* The command line hvsession: a table of verbs, one file each.
 *
 * A verb is a program of its own in small: it gets its arguments with its name in front, parses
 * them with hvs_cli_parse() and returns the exit status. To add one: write cli/VERB.c, declare its
 * struct below, name it in main.c's table and in CMakeLists.txt.
 */
#ifndef HVS_LINUX_CLI_H
#define HVS_LINUX_CLI_H

#include <glib.h>

/* Exit statuses, the same for every verb. What is wrong with the machine: enum hvs_verdict, and so
 * is a service that does not run. */
enum {
    HVS_CLI_FINE = 0,
    HVS_CLI_FAILED = 1, /* or degraded */
    HVS_CLI_USAGE = 2,
};

struct hvs_cli_verb {
    const char *name;
    const char *arguments; /* as in a synopsis, "[FILE]"; "" if there are none */
    const char *summary;   /* one line, without a full stop */
    const char *details;   /* further paragraphs of --help, with their line feeds; NULL: none */
    gboolean has_json;     /* takes --json, if it parses with hvs_cli_parse_common() */
    int (*run)(const struct hvs_cli_verb *verb, int argc, char **argv);
};

extern const struct hvs_cli_verb hvs_cli_config;
extern const struct hvs_cli_verb hvs_cli_disconnect;
extern const struct hvs_cli_verb hvs_cli_doctor;
extern const struct hvs_cli_verb hvs_cli_help;
extern const struct hvs_cli_verb hvs_cli_monitor;
extern const struct hvs_cli_verb hvs_cli_sessions;
extern const struct hvs_cli_verb hvs_cli_setup;
extern const struct hvs_cli_verb hvs_cli_status;
extern const struct hvs_cli_verb hvs_cli_support_bundle;
extern const struct hvs_cli_verb hvs_cli_version;

/* The verb of that name, NULL: none. */
const struct hvs_cli_verb *hvs_cli_find(const char *name);
/* All of them in the order in which help shows them, ended by NULL. */
const struct hvs_cli_verb *const *hvs_cli_verbs(void);

/* Parses a verb's options; entries may be NULL. What is left in argv behind its first are at most
 * that many arguments. FALSE: it has been said what is wrong, return HVS_CLI_USAGE. --help ends the
 * program. */
gboolean hvs_cli_parse(const struct hvs_cli_verb *verb, int *argc, char ***argv,
                       const GOptionEntry *entries, int arguments_max);

/* The options of most verbs. */
struct hvs_cli_common {
    gboolean json;
    char *root; /* another system, below this directory; NULL: this one. To be freed */
};
/* Likewise, with these. */
gboolean hvs_cli_parse_common(const struct hvs_cli_verb *verb, int *argc, char ***argv,
                              struct hvs_cli_common *options, int arguments_max);

/* "hvsession: what is wrong" on standard error, one line. */
void hvs_cli_complain(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Writes text to standard output, all of it. FALSE: it has been said why not, return
 * HVS_CLI_FAILED. */
gboolean hvs_cli_print(const char *text);
/* A JSON string with its quotes; NULL becomes null. */
void hvs_cli_add_json(GString *out, const char *string);
/* Standard output is a terminal, and nobody has said NO_COLOR. */
gboolean hvs_cli_has_colour(void);

#endif
