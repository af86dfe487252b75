/* The running service, as the command line sees it on the system bus. Everything waits for an
 * answer, but not for long. */
#ifndef HVS_LINUX_CLI_SERVICE_H
#define HVS_LINUX_CLI_SERVICE_H

#include "cli.h"

#include "common/diagnosis.h"

#include <gio/gio.h>

#define HVS_CLI_MANAGER "io.github.hvsession1.Manager"
#define HVS_CLI_SESSION "io.github.hvsession1.Session"

/* A connection to the bus if the service runs there. NULL: it does not; nothing was said. To be
 * unreffed. */
GDBusConnection *hvs_cli_find_service(void);
/* Likewise, but it is said what to do if it does not run. root: as in hvs_machine_init(). *status is
 * what to return then. */
GDBusConnection *hvs_cli_meet_service(const char *root, int *status);

/* Calls a method of the Manager. NULL: error is set, and its message is for people. To be unreffed.
 */
GVariant *hvs_cli_call(GDBusConnection *bus, const char *method, GVariant *parameters,
                       GError **error);
/* Has the service look at the machine, if it can do so soon. */
void hvs_cli_look_again(GDBusConnection *bus);
/* All properties of the Manager, a{sv}, as they are now; likewise. */
GVariant *hvs_cli_get_manager(GDBusConnection *bus, GError **error);
/* The string of that name among properties; "" if there is none. Borrowed from them. */
const char *hvs_cli_lookup(GVariant *properties, const char *name);

/* One of the documents of Describe(); likewise, to be freed. */
char *hvs_cli_describe(GDBusConnection *bus, const char *form, GError **error);
/* Adds what only the running service knows; nothing if it does not run. */
void hvs_cli_add_service_facts(struct hvs_facts *facts);
/* Complains of a failed call. Returns the exit status. */
int hvs_cli_fail_call(const char *verb, GError *error);

#endif
