/* What this user has chosen, in ~/.config/hvsession/tray.conf:
 *
 *     [tray]
 *     Notifications=true
 */
#ifndef HVS_GUI_PREFERENCES_H
#define HVS_GUI_PREFERENCES_H

#include <glib.h>

/* TRUE where nothing else was chosen. */
gboolean hvs_preferences_get_notifications(void);
/* FALSE with an error, if it cannot be kept. */
gboolean hvs_preferences_set_notifications(gboolean wanted, GError **error);

#endif
