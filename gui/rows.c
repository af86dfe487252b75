#include "rows.h"

#include <glib/gi18n.h>

/* The parts of a row, as data of its widget. */
#define MARK   "hvs-mark"
#define LABEL  "hvs-label"
#define VALUE  "hvs-value"
#define DETAIL "hvs-detail"

static const struct {
    const char *icon, *class, *name;
} marks[] = {
    [HVS_MARK_NONE] = { NULL, "mark-none", "" },
    [HVS_MARK_GOOD] = { "object-select-symbolic", "mark-good", N_("Good") },
    [HVS_MARK_IDLE] = { "list-remove-symbolic", "dim-label", N_("Not in use") },
    [HVS_MARK_BAD] = { "dialog-warning-symbolic", "mark-bad", N_("Problem") },
};

GtkWidget *
hvs_mark_new(void)
{
    GtkWidget *image = gtk_image_new();

    gtk_image_set_pixel_size(GTK_IMAGE(image), 16);
    gtk_widget_set_size_request(image, 16, 16);
    gtk_widget_show(image);
    return image;
}

void
hvs_mark_set(GtkWidget *image, HvsMark mark)
{
    GtkStyleContext *style = gtk_widget_get_style_context(image);

    for (gsize i = 0; i < G_N_ELEMENTS(marks); i++)
        gtk_style_context_remove_class(style, marks[i].class);
    gtk_style_context_add_class(style, marks[mark].class);
    if (marks[mark].icon != NULL)
        gtk_image_set_from_icon_name(GTK_IMAGE(image), marks[mark].icon, GTK_ICON_SIZE_MENU);
    else
        gtk_image_clear(GTK_IMAGE(image));
    atk_object_set_name(gtk_widget_get_accessible(image),
                        marks[mark].name[0] != '\0' ? _(marks[mark].name) : "");
}

static GtkWidget *
new_label(GtkWidget *grid, float xalign, gboolean dim)
{
    GtkWidget *label = gtk_label_new(NULL);

    gtk_label_set_xalign(GTK_LABEL(label), xalign);
    gtk_label_set_justify(GTK_LABEL(label), xalign > 0 ? GTK_JUSTIFY_RIGHT : GTK_JUSTIFY_LEFT);
    gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_line_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_widget_set_hexpand(label, dim);
    if (dim)
        gtk_style_context_add_class(gtk_widget_get_style_context(label), "dim-label");
    gtk_container_add(GTK_CONTAINER(grid), label);
    return label;
}

/* The mark, the label and the value beside each other, the detail below. */
static GtkWidget *
new_row(void)
{
    GtkWidget *row = gtk_list_box_row_new();
    GtkWidget *grid = gtk_grid_new();
    GtkWidget *mark = hvs_mark_new(), *detail;

    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), FALSE);
    g_object_set(grid, "margin-start", 12, "margin-end", 12, "margin-top", 7, "margin-bottom", 7,
                 "column-spacing", 12, "row-spacing", 3, NULL);
    gtk_container_add(GTK_CONTAINER(row), grid);
    gtk_container_add(GTK_CONTAINER(grid), mark);
    g_object_set_data(G_OBJECT(row), MARK, mark);
    g_object_set_data(G_OBJECT(row), LABEL, new_label(grid, 0, FALSE));
    g_object_set_data(G_OBJECT(row), VALUE, new_label(grid, 1, TRUE));
    detail = new_label(grid, 0, TRUE);
    gtk_container_child_set(GTK_CONTAINER(grid), detail, "left-attach", 1, "top-attach", 1, "width",
                            2, NULL);
    g_object_set_data(G_OBJECT(row), DETAIL, detail);
    gtk_widget_show_all(row);
    return row;
}

static char *
describe(const HvsRow *row)
{
    if (row->detail != NULL)
        /* Translators: a row of a section, what it says, and more of that */
        return g_strdup_printf(_("%s: %s, %s"), row->label, row->value, row->detail);
    /* Translators: a row of a section and what it says */
    return g_strdup_printf(_("%s: %s"), row->label, row->value);
}

static void
set_row(GtkWidget *widget, const HvsRow *row)
{
    g_autofree char *name = describe(row);
    GtkWidget *detail = g_object_get_data(G_OBJECT(widget), DETAIL);

    hvs_mark_set(g_object_get_data(G_OBJECT(widget), MARK), row->mark);
    gtk_label_set_text(g_object_get_data(G_OBJECT(widget), LABEL), row->label);
    gtk_label_set_text(g_object_get_data(G_OBJECT(widget), VALUE), row->value);
    gtk_label_set_text(GTK_LABEL(detail), row->detail != NULL ? row->detail : "");
    gtk_widget_set_visible(detail, row->detail != NULL);
    atk_object_set_name(gtk_widget_get_accessible(widget), name);
}

static void
add_separator(GtkListBoxRow *row, GtkListBoxRow *before, gpointer user_data)
{
    (void)user_data;
    if (before == NULL)
        gtk_list_box_row_set_header(row, NULL);
    else if (gtk_list_box_row_get_header(row) == NULL)
        gtk_list_box_row_set_header(row, gtk_separator_new(GTK_ORIENTATION_HORIZONTAL));
}

void
hvs_rows_separate(GtkListBox *list)
{
    gtk_list_box_set_header_func(list, add_separator, NULL, NULL);
}

void
hvs_rows_show(GtkListBox *list, GPtrArray *rows)
{
    GtkListBoxRow *surplus;

    for (guint i = 0; i < rows->len; i++) {
        GtkListBoxRow *row = gtk_list_box_get_row_at_index(list, (int)i);

        if (row == NULL) {
            row = GTK_LIST_BOX_ROW(new_row());
            gtk_container_add(GTK_CONTAINER(list), GTK_WIDGET(row));
        }
        set_row(GTK_WIDGET(row), g_ptr_array_index(rows, i));
    }
    while ((surplus = gtk_list_box_get_row_at_index(list, (int)rows->len)) != NULL)
        gtk_widget_destroy(GTK_WIDGET(surplus));
}
