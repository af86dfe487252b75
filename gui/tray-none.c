#include "tray.h"

hvs_tray *
hvs_tray_new(GActionGroup *actions, HvsModel *model, void (*on_shown)(gpointer user_data),
             gpointer user_data)
{
    (void)actions;
    (void)model;
    (void)on_shown;
    (void)user_data;
    return NULL;
}

void
hvs_tray_free(hvs_tray *tray)
{
    (void)tray;
}
