/* A session that lives: who, how, how long, how fast. */
#ifndef HVS_GUI_SESSION_ROW_H
#define HVS_GUI_SESSION_ROW_H

#include "session.h"

#include <gtk/gtk.h>

#define HVS_TYPE_SESSION_ROW (hvs_session_row_get_type())
G_DECLARE_FINAL_TYPE(HvsSessionRow, hvs_session_row, HVS, SESSION_ROW, GtkListBoxRow)

GtkWidget  *hvs_session_row_new(HvsSession *session);
HvsSession *hvs_session_row_get_session(HvsSessionRow *row);
/* Shows what the session is like now, its duration and rates too. */
void hvs_session_row_update(HvsSessionRow *row);

#endif
