/* Tells the service manager how the service does: readiness, a status line, the watchdog.
 *
 * The protocol is a datagram to the socket that the manager names, and systemd promises to keep it
 * (sd_notify(3), "Notes"); libsystemd would bring a dozen libraries into a small service for it.
 */
#ifndef HVS_LINUX_NOTIFY_H
#define HVS_LINUX_NOTIFY_H

#include <glib.h>

/* state: "READY=1", "STATUS=…", lines as in sd_notify(3). Without a manager, or if it does not
 * listen, nothing happens; a line of status is not worth a failure. Never blocks. */
void hvs_notify(const char *state);
void hvs_notify_format(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* How often the manager wants to see "WATCHDOG=1", in milliseconds: half of what it waits for; 0:
 * never. Source: sd_watchdog_enabled(3). */
guint hvs_notify_watchdog_interval(void);

#endif
