/* The status window. It shows what the model says and changes with it; closing it destroys it. */
#ifndef HVS_GUI_WINDOW_H
#define HVS_GUI_WINDOW_H

#include "client.h"

#include <gtk/gtk.h>

#define HVS_TYPE_WINDOW (hvs_window_get_type())
G_DECLARE_FINAL_TYPE(HvsWindow, hvs_window, HVS, WINDOW, GtkApplicationWindow)

/* The actions of the application that it uses: disconnect (u), diagnose, notifications, about,
 * quit. Its own: page (s), menu. */
GtkWidget *hvs_window_new(GtkApplication *application, HvsModel *model, HvsClient *client);
/* "overview", "sessions" or "diagnosis" */
void hvs_window_show_page(HvsWindow *window, const char *name);

#endif
