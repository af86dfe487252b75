/* The icon in the panel's tray, with its menu. Desktops without a tray do not show it; builds
 * without libayatana-appindicator have tray-none.c in its place. */
#ifndef HVS_GUI_TRAY_H
#define HVS_GUI_TRAY_H

#include "model.h"

typedef struct hvs_tray hvs_tray;

/* The actions that its menu uses: open (s), diagnose, notifications, about, quit, disconnect (u).
 * on_shown: a tray shows the icon. NULL if there is no tray in this build. */
hvs_tray *hvs_tray_new(GActionGroup *actions, HvsModel *model, void (*on_shown)(gpointer user_data),
                       gpointer user_data);
void hvs_tray_free(hvs_tray *tray);

#endif
