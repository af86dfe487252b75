#include "finding-row.h"

#include "command.h"

#include <glib/gi18n.h>

struct _HvsFindingRow {
    GtkListBoxRow parent_instance;

    GVariant *source;
    GtkImage *icon;
    GtkLabel *severity, *code, *sentence, *why;
    GtkBox *box;
};

G_DEFINE_TYPE(HvsFindingRow, hvs_finding_row, GTK_TYPE_LIST_BOX_ROW)

static void
add_words(HvsFindingRow *row, const char *words)
{
    GtkWidget *label = gtk_label_new(words);

    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
    gtk_widget_show(label);
    gtk_container_add(GTK_CONTAINER(row->box), label);
}

static gboolean
has_command(const HvsFinding *finding, gboolean on_host)
{
    for (guint i = 0; i < finding->fixes->len; i++) {
        const HvsFix *fix = g_ptr_array_index(finding->fixes, i);

        if (fix->on_host == on_host && fix->command[0] != '\0')
            return TRUE;
    }
    return FALSE;
}

/* Where there is nothing to type, nothing has to be said on where to type it. */
static void
add_fixes(HvsFindingRow *row, const HvsFinding *finding)
{
    const HvsFix *before = NULL;

    for (guint i = 0; i < finding->fixes->len; i++) {
        const HvsFix *fix = g_ptr_array_index(finding->fixes, i);

        if ((before == NULL || before->on_host != fix->on_host) &&
            has_command(finding, fix->on_host))
            add_words(row, fix->on_host ? _("On the Hyper-V host, in PowerShell as administrator:")
                                        : _("In this virtual machine:"));
        if (fix->note[0] != '\0')
            add_words(row, fix->note);
        if (fix->command[0] != '\0')
            gtk_container_add(GTK_CONTAINER(row->box), hvs_command_new(fix->command));
        before = fix;
    }
}

static void
set_severity(HvsFindingRow *row, HvsSeverity severity)
{
    static const struct {
        const char *icon, *class;
    } looks[] = {
        [HVS_SEVERITY_ERROR] = { "dialog-error-symbolic", "severity-error" },
        [HVS_SEVERITY_WARNING] = { "dialog-warning-symbolic", "severity-warning" },
        [HVS_SEVERITY_ADVICE] = { "dialog-information-symbolic", "severity-advice" },
        [HVS_SEVERITY_INFO] = { "dialog-information-symbolic", "dim-label" },
    };
    GtkWidget *icon = GTK_WIDGET(row->icon);

    gtk_image_set_from_icon_name(row->icon, looks[severity].icon, GTK_ICON_SIZE_MENU);
    atk_object_set_name(gtk_widget_get_accessible(icon), hvs_severity_words(severity));
    gtk_style_context_add_class(gtk_widget_get_style_context(icon), looks[severity].class);
    gtk_style_context_add_class(gtk_widget_get_style_context(GTK_WIDGET(row->severity)),
                                looks[severity].class);
    gtk_label_set_text(row->severity, hvs_severity_words(severity));
}

static void
hvs_finding_row_finalize(GObject *object)
{
    g_clear_pointer(&HVS_FINDING_ROW(object)->source, g_variant_unref);
    G_OBJECT_CLASS(hvs_finding_row_parent_class)->finalize(object);
}

static void
hvs_finding_row_class_init(HvsFindingRowClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);

    G_OBJECT_CLASS(class)->finalize = hvs_finding_row_finalize;
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hvsession/Tray/finding-row.ui");
    gtk_widget_class_bind_template_child(widget_class, HvsFindingRow, icon);
    gtk_widget_class_bind_template_child(widget_class, HvsFindingRow, severity);
    gtk_widget_class_bind_template_child(widget_class, HvsFindingRow, code);
    gtk_widget_class_bind_template_child(widget_class, HvsFindingRow, sentence);
    gtk_widget_class_bind_template_child(widget_class, HvsFindingRow, why);
    gtk_widget_class_bind_template_child(widget_class, HvsFindingRow, box);
}

static void
hvs_finding_row_init(HvsFindingRow *row)
{
    gtk_widget_init_template(GTK_WIDGET(row));
}

GtkWidget *
hvs_finding_row_new(const HvsFinding *finding)
{
    HvsFindingRow *row = g_object_new(HVS_TYPE_FINDING_ROW, NULL);
    /* Translators: how grave a finding is, and the finding */
    g_autofree char *name =
        g_strdup_printf(_("%s: %s"), hvs_severity_words(finding->severity), finding->sentence);

    row->source = g_variant_ref(finding->source);
    set_severity(row, finding->severity);
    gtk_label_set_text(row->code, finding->code);
    gtk_label_set_text(row->sentence, finding->sentence);
    gtk_label_set_text(row->why, finding->why);
    gtk_widget_set_visible(GTK_WIDGET(row->why), finding->why[0] != '\0');
    add_fixes(row, finding);
    atk_object_set_name(gtk_widget_get_accessible(GTK_WIDGET(row)), name);
    return GTK_WIDGET(row);
}

gboolean
hvs_finding_row_shows(HvsFindingRow *row, const HvsFinding *finding)
{
    return g_variant_equal(row->source, finding->source);
}
