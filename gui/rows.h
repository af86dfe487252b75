/* Lines of a section: a sign, what it is about, and what there is to say. */
#ifndef HVS_GUI_ROWS_H
#define HVS_GUI_ROWS_H

#include "model.h"

#include <gtk/gtk.h>

/* A sign, its class for style.css, and what it says to those who cannot see it. */
GtkWidget *hvs_mark_new(void);
void       hvs_mark_set(GtkWidget *image, HvsMark mark);

/* Makes the list show these rows, of HvsRow. What is there is changed rather than made anew, so that
 * the keyboard's focus stays. */
void hvs_rows_show(GtkListBox *list, GPtrArray *rows);
/* Draws a line between the rows of a list, for rows of more than a line. */
void hvs_rows_separate(GtkListBox *list);

#endif
