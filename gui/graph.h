/* How fast a session was in the last minute, as a small area. Drawn when told, never by itself. */
#ifndef HVS_GUI_GRAPH_H
#define HVS_GUI_GRAPH_H

#include "session.h"

#include <gtk/gtk.h>

#define HVS_TYPE_GRAPH (hvs_graph_get_type())
G_DECLARE_FINAL_TYPE(HvsGraph, hvs_graph, HVS, GRAPH, GtkDrawingArea)

/* Bytes a second, each second, the oldest first. */
void hvs_graph_set(HvsGraph *graph, const guint64 rates[HVS_SESSION_HISTORY]);

#endif
