/* A command to type, with a button that copies it. */
#ifndef HVS_GUI_COMMAND_H
#define HVS_GUI_COMMAND_H

#include <gtk/gtk.h>

#define HVS_TYPE_COMMAND (hvs_command_get_type())
G_DECLARE_FINAL_TYPE(HvsCommand, hvs_command, HVS, COMMAND, GtkBox)

/* Property "command": its lines. */
GtkWidget *hvs_command_new(const char *command);

#endif
