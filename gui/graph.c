#include "graph.h"

#include "words.h"

#include <glib/gi18n.h>
#include <string.h>

/* The scale does not go below that, so that a trickle looks like one. Bytes a second. */
#define SCALE_MIN 65536u
/* Of the top, for the line; pixels. */
#define TOP 2.0

struct _HvsGraph {
    GtkDrawingArea parent_instance;

    guint64 rates[HVS_SESSION_HISTORY];
};

G_DEFINE_TYPE(HvsGraph, hvs_graph, GTK_TYPE_DRAWING_AREA)

static guint64
greatest(HvsGraph *graph)
{
    guint64 most = 0;

    for (guint i = 0; i < HVS_SESSION_HISTORY; i++)
        most = MAX(most, graph->rates[i]);
    return most;
}

static void
trace(HvsGraph *graph, cairo_t *cr, double width, double height)
{
    double scale = (double)MAX(greatest(graph), SCALE_MIN);

    for (guint i = 0; i < HVS_SESSION_HISTORY; i++)
        cairo_line_to(cr, width * i / (HVS_SESSION_HISTORY - 1),
                      height - (height - TOP) * (double)graph->rates[i] / scale);
}

static gboolean
hvs_graph_draw(GtkWidget *widget, cairo_t *cr)
{
    HvsGraph *graph = HVS_GRAPH(widget);
    GtkStyleContext *style = gtk_widget_get_style_context(widget);
    double width = gtk_widget_get_allocated_width(widget);
    double height = gtk_widget_get_allocated_height(widget) - 1;
    GdkRGBA colour, line;

    gtk_style_context_get_color(style, gtk_style_context_get_state(style), &line);
    if (!gtk_style_context_lookup_color(style, "theme_selected_bg_color", &colour))
        colour = line;

    cairo_move_to(cr, 0, height);
    trace(graph, cr, width, height);
    cairo_line_to(cr, width, height);
    cairo_close_path(cr);
    cairo_set_source_rgba(cr, colour.red, colour.green, colour.blue, 0.25);
    cairo_fill(cr);
    cairo_set_line_width(cr, 1.5);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    trace(graph, cr, width, height);
    gdk_cairo_set_source_rgba(cr, &colour);
    cairo_stroke(cr);

    /* What it stands on. */
    cairo_set_source_rgba(cr, line.red, line.green, line.blue, 0.3);
    cairo_rectangle(cr, 0, height, width, 1);
    cairo_fill(cr);
    return FALSE;
}

void
hvs_graph_set(HvsGraph *graph, const guint64 rates[HVS_SESSION_HISTORY])
{
    g_autofree char *most = NULL, *description = NULL;

    if (memcmp(graph->rates, rates, sizeof graph->rates) == 0)
        return;
    memcpy(graph->rates, rates, sizeof graph->rates);
    most = hvs_words_rate(greatest(graph));
    /* Translators: a rate, "1.2 MiB/s" */
    description = g_strdup_printf(_("At most %s"), most);
    atk_object_set_description(gtk_widget_get_accessible(GTK_WIDGET(graph)), description);
    gtk_widget_queue_draw(GTK_WIDGET(graph));
}

static void
hvs_graph_class_init(HvsGraphClass *class)
{
    GTK_WIDGET_CLASS(class)->draw = hvs_graph_draw;
    gtk_widget_class_set_accessible_role(GTK_WIDGET_CLASS(class), ATK_ROLE_CHART);
}

static void
hvs_graph_init(HvsGraph *graph)
{
    atk_object_set_name(gtk_widget_get_accessible(GTK_WIDGET(graph)), _("Rate in the last minute"));
}
