/* The service on the system bus: io.github.hvsession1, as linux/io.github.hvsession1.xml documents
 * it. Main thread only.
 *
 * Nothing depends on the bus: where there is none its socket is waited for, one that fails or
 * refuses the name is tried again after pauses of up to a minute, and when it goes away everything
 * is published anew on the next one. Without a bus, or while nothing changes, there is no work and
 * no wake-up for what is published here.
 */
#ifndef HVS_LINUX_DBUS_H
#define HVS_LINUX_DBUS_H

#include "machine.h"

#include "common/settings.h"
#include "common/status.h"

#define HVS_DBUS_NAME "io.github.hvsession1"
#define HVS_DBUS_PATH "/io/github/hvsession1"

/* Between two updates of what is published, in milliseconds. */
#define HVS_DBUS_UPDATE_INTERVAL 500u

/* What the daemon does for its callers on the bus. */
struct hvs_dbus_service {
    /* A snapshot; problem, version and the like stay valid until the main loop runs again. */
    void (*fill_status)(struct hvs_status *status, gpointer user_data);
    /* hvs_dbus_changed() shall be called, once, when a living session changes. */
    void (*watch_sessions)(gpointer user_data);
    const struct hvs_settings *(*settings)(gpointer user_data); /* borrowed */
    /* What is wrong in the configuration that was read last; NULL: nothing. Borrowed likewise. */
    const char *(*config_error)(gpointer user_data);
    /* false: there is no living session of that id. */
    bool (*disconnect)(uint32_t id, gpointer user_data);
    void (*rescan)(gpointer user_data);
    gboolean (*reload)(gpointer user_data, GError **error);
};

typedef struct hvs_dbus hvs_dbus;

/* Connects to the bus from the main loop on. service and machine, which is the one that the findings
 * are about, are borrowed. */
hvs_dbus *hvs_dbus_new(const struct hvs_dbus_service *service, const struct hvs_machine *machine,
                       gpointer user_data);
/* Something in the status may have changed: publishes it soon. */
void hvs_dbus_changed(hvs_dbus *dbus);
void hvs_dbus_free(hvs_dbus *dbus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hvs_dbus, hvs_dbus_free)

#endif
