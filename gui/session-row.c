#include "session-row.h"

#include "graph.h"
#include "rows.h"
#include "words.h"

#include <glib/gi18n.h>

struct _HvsSessionRow {
    GtkListBoxRow parent_instance;

    HvsSession *session;
    GtkLabel *client, *details;
    GtkBox *abilities;
    GtkWidget *marks[HVS_ABILITIES], *ability_labels[HVS_ABILITIES];
    HvsGraph *graph;
    GtkLabel *rate_to_host, *rate_to_server;
    GtkActionable *disconnect;
};

G_DEFINE_TYPE(HvsSessionRow, hvs_session_row, GTK_TYPE_LIST_BOX_ROW)

static const char *const ability_names[HVS_ABILITIES] = {
    [HVS_ABILITY_CLIPBOARD] = N_("Clipboard"),
    [HVS_ABILITY_DRIVES] = N_("Drives"),
    [HVS_ABILITY_SOUND] = N_("Sound"),
};

static void
update_abilities(HvsSessionRow *row)
{
    gtk_widget_set_visible(GTK_WIDGET(row->abilities), hvs_session_knows_abilities(row->session));
    for (guint i = 0; i < HVS_ABILITIES; i++) {
        gboolean can = hvs_session_can(row->session, (HvsAbility)i);
        GtkStyleContext *style = gtk_widget_get_style_context(row->ability_labels[i]);
        AtkObject *accessible = gtk_widget_get_accessible(row->marks[i]);

        hvs_mark_set(row->marks[i], can ? HVS_MARK_GOOD : HVS_MARK_IDLE);
        atk_object_set_name(accessible, can ? _("With") : _("Without"));
        if (can)
            gtk_style_context_remove_class(style, "dim-label");
        else
            gtk_style_context_add_class(style, "dim-label");
    }
}

/* "Connected for 5 min 2 s · 1920 × 1080, 32 bit", "Waiting for the client · 2 s" */
static char *
describe(HvsSession *session)
{
    guint64 now = (guint64)g_get_real_time() / 1000, started = hvs_session_started(session);
    g_autofree char *status = hvs_session_status(session);
    g_autofree char *screen = hvs_session_screen(session);
    g_autofree char *duration = hvs_words_duration(now > started ? now - started : 0);
    g_autofree char *words = hvs_session_is_active(session)
                                 /* Translators: a duration, "5 min 2 s" */
                                 ? g_strdup_printf(_("Connected for %s"), duration)
                                 : g_strdup_printf("%s · %s", status, duration);

    return screen[0] != '\0' ? g_strdup_printf("%s · %s", words, screen) : g_steal_pointer(&words);
}

static void
update_rates(HvsSessionRow *row)
{
    g_autofree char *to_host = hvs_words_rate(hvs_session_rate_to_host(row->session));
    g_autofree char *to_server = hvs_words_rate(hvs_session_rate_to_server(row->session));
    guint64 rates[HVS_SESSION_HISTORY];

    gtk_label_set_text(row->rate_to_host, to_host);
    gtk_label_set_text(row->rate_to_server, to_server);
    hvs_session_history(row->session, g_get_monotonic_time(), rates);
    hvs_graph_set(row->graph, rates);
}

void
hvs_session_row_update(HvsSessionRow *row)
{
    g_autofree char *client = hvs_session_client(row->session);
    g_autofree char *details = describe(row->session);
    AtkObject *accessible = gtk_widget_get_accessible(GTK_WIDGET(row));

    gtk_label_set_text(row->client, client);
    gtk_label_set_text(row->details, details);
    if (g_strcmp0(atk_object_get_name(accessible), client) != 0)
        atk_object_set_name(accessible, client);
    update_abilities(row);
    update_rates(row);
}

static void
add_ability(HvsSessionRow *row, HvsAbility ability)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);

    row->marks[ability] = hvs_mark_new();
    row->ability_labels[ability] = gtk_label_new(_(ability_names[ability]));
    gtk_container_add(GTK_CONTAINER(box), row->marks[ability]);
    gtk_container_add(GTK_CONTAINER(box), row->ability_labels[ability]);
    gtk_widget_show_all(box);
    gtk_container_add(GTK_CONTAINER(row->abilities), box);
}

static void
hvs_session_row_finalize(GObject *object)
{
    g_clear_object(&HVS_SESSION_ROW(object)->session);
    G_OBJECT_CLASS(hvs_session_row_parent_class)->finalize(object);
}

static void
hvs_session_row_class_init(HvsSessionRowClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);

    G_OBJECT_CLASS(class)->finalize = hvs_session_row_finalize;
    g_type_ensure(HVS_TYPE_GRAPH);
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hvsession/Tray/session-row.ui");
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, client);
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, details);
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, abilities);
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, graph);
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, rate_to_host);
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, rate_to_server);
    gtk_widget_class_bind_template_child(widget_class, HvsSessionRow, disconnect);
}

static void
hvs_session_row_init(HvsSessionRow *row)
{
    gtk_widget_init_template(GTK_WIDGET(row));
    for (guint i = 0; i < HVS_ABILITIES; i++)
        add_ability(row, (HvsAbility)i);
}

GtkWidget *
hvs_session_row_new(HvsSession *session)
{
    HvsSessionRow *row = g_object_new(HVS_TYPE_SESSION_ROW, NULL);

    row->session = g_object_ref(session);
    gtk_actionable_set_action_target(row->disconnect, "u", hvs_session_id(session));
    hvs_session_row_update(row);
    return GTK_WIDGET(row);
}

HvsSession *
hvs_session_row_get_session(HvsSessionRow *row)
{
    return row->session;
}
