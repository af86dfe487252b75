/* The service: control channel, sessions, settings and signals, in one GLib main loop. */
#ifndef HVS_LINUX_DAEMON_H
#define HVS_LINUX_DAEMON_H

#include "machine.h"

#include "common/settings.h"

#include <gio/gio.h>

typedef struct hvs_daemon hvs_daemon;

struct hvs_daemon_options {
    const char *config;          /* path of the configuration file; NULL: the default, which may be
                                    missing */
    const char *log_level;       /* overrides the configuration; NULL: does not */
    const struct hvs_machine *machine; /* borrowed, outlives the daemon */
};

/* Loads the configuration and starts watching the host. Errors of the configuration are of the
 * domain HVS_CONFIG_ERROR. */
hvs_daemon *hvs_daemon_new(const struct hvs_daemon_options *options, GError **error);
/* Runs until SIGTERM or SIGINT, and ends all sessions. Returns the exit status. */
int hvs_daemon_run(hvs_daemon *daemon);
void hvs_daemon_free(hvs_daemon *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hvs_daemon, hvs_daemon_free)

#endif
