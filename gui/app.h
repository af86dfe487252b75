/* hvsession-tray: one process for each user, that owns the icon, the window and the notifications.
 * It stays as long as there is a window, an icon, or somebody has started it in the background. */
#ifndef HVS_GUI_APP_H
#define HVS_GUI_APP_H

#include <gtk/gtk.h>

#define HVS_APP_ID "io.github.hvsession.Tray"

#define HVS_TYPE_APP (hvs_app_get_type())
G_DECLARE_FINAL_TYPE(HvsApp, hvs_app, HVS, APP, GtkApplication)

HvsApp *hvs_app_new(void);

#endif
