/* A finding of the diagnosis: how grave, what, why it matters, and what mends it. */
#ifndef HVS_GUI_FINDING_ROW_H
#define HVS_GUI_FINDING_ROW_H

#include "model.h"

#include <gtk/gtk.h>

#define HVS_TYPE_FINDING_ROW (hvs_finding_row_get_type())
G_DECLARE_FINAL_TYPE(HvsFindingRow, hvs_finding_row, HVS, FINDING_ROW, GtkListBoxRow)

GtkWidget *hvs_finding_row_new(const HvsFinding *finding);
/* It shows just this. */
gboolean hvs_finding_row_shows(HvsFindingRow *row, const HvsFinding *finding);

#endif
