/* What the commands of the command line share, and those with a file of their own. */
#ifndef HVS_WINDOWS_CLI_PARTS_H
#define HVS_WINDOWS_CLI_PARTS_H

#include "cli.h"

#include "common/text.h"

#include <windows.h>

#include <stdbool.h>

/* ---- commands: what stands behind their names; return an enum hvs_exit ---- */

int hvs_cli_config(int count, char **arguments);
int hvs_cli_doctor(int count, char **arguments);
int hvs_cli_support_bundle(int count, char **arguments);
int hvs_cli_setup(int count, char **arguments);
int hvs_cli_uninstall(int count, char **arguments);

/* ---- output ---- */

/* UTF-8 to standard output; a console gets it as it needs it. Line feeds become CR LF. */
void hvs_cli_print(const char *string);
/* "hvsession: SENTENCE" to standard error, in lines of 80 columns. */
void hvs_cli_complain(const char *sentence);
/* What is wrong with the argument (NULL: none), and where help is. HVS_EXIT_USAGE. */
int hvs_cli_complain_usage(const char *what, const char *argument);
/* What did not work, why, and what to do. HVS_EXIT_FAILED, or HVS_EXIT_NOT_RUNNING if the service
 * is not installed. */
int hvs_cli_complain_error(const char *what, DWORD error);

/* ---- arguments ---- */

/* Upper and lower case are the same. */
bool hvs_cli_is_word(const char *argument, const char *word);
/* --name, -name and /name are the same. */
bool hvs_cli_is_option(const char *argument, const char *name);
bool hvs_cli_is_help(const char *argument);

#endif
