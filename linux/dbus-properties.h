/* The properties of linux/io.github.hvsession1.xml, each computed from a snapshot of the status.
 * Private to linux/dbus.c. */
#ifndef HVS_LINUX_DBUS_PROPERTIES_H
#define HVS_LINUX_DBUS_PROPERTIES_H

#include "common/diagnosis.h"
#include "common/settings.h"
#include "common/status.h"

#include <gio/gio.h>

/* What a property is computed from. */
struct hvs_dbus_view {
    const struct hvs_status   *status;
    const struct hvs_settings *settings;
    const struct hvs_session  *session; /* NULL for the Manager */
    const struct hvs_facts     *facts;     /* of the last look at the machine, and what they */
    const struct hvs_diagnosis *diagnosis; /* amount to; both NULL before the first one */
    int64_t  epoch;   /* time of day when the clock of the status said 0, milliseconds since 1970 */
    uint64_t rate_to_host, rate_to_server; /* bytes a second */
};

struct hvs_dbus_property {
    const char *name;
    GVariant *(*get)(const struct hvs_dbus_view *view); /* floating, of the type in the XML file */
};

struct hvs_dbus_interface {
    const char                     *name;
    const struct hvs_dbus_property *properties;
    unsigned                        count;
};

extern const struct hvs_dbus_interface hvs_dbus_manager_interface;
extern const struct hvs_dbus_interface hvs_dbus_session_interface;

/* NULL: no such property. */
const struct hvs_dbus_property *
hvs_dbus_interface_find(const struct hvs_dbus_interface *interface, const char *name);

#endif
