/* The body of a notification, as whoever shows it is to get it.
 *
 * GNotification hands a body on as it is. A desktop with the capability "body-markup" takes it for
 * markup then, and shows nothing of one that is none; what the service says may hold anything. GNOME
 * has an interface of its own, org.gtk.Notifications, which GNotification prefers, and takes it for
 * plain text.
 *
 * Sources: Desktop Notifications Specification 1.2, GIO's GNotification.
 */
#ifndef HVS_GUI_BODY_H
#define HVS_GUI_BODY_H

#include <gio/gio.h>

/* Asks those on the session bus. Calls that overlap are done in their order. */
void hvs_body_prepare(GDBusConnection *bus, const char *body, GAsyncReadyCallback done,
                      gpointer user_data);
/* body, escaped where it has to be; to be freed. As it was if nobody answers. */
char *hvs_body_prepare_finish(GAsyncResult *result);

#endif
