#include "tray.h"

#include "words.h"

#include <glib/gi18n.h>
#include <libayatana-appindicator/app-indicator.h>

#define LIBRARY_DOMAIN "libayatana-appindicator"

/* An entry for a session, with what can be done to it. */
struct entry {
    GtkWidget *item, *disconnect;
};

struct hvs_tray {
    AppIndicator *indicator;
    GActionGroup *actions;
    HvsModel *model;
    void (*on_shown)(gpointer user_data);
    gpointer user_data;

    GtkWidget *menu;
    GtkWidget *state, *separator; /* the sessions stand behind it */
    GtkWidget *notifications;
    GArray *entries; /* of struct entry */
};

/* What an item does: the name of an action, and its parameter. */
#define ACTION    "hvs-action"
#define PARAMETER "hvs-parameter"

static void
on_item(GtkWidget *item, hvs_tray *tray)
{
    g_action_group_activate_action(tray->actions, g_object_get_data(G_OBJECT(item), ACTION),
                                   g_object_get_data(G_OBJECT(item), PARAMETER));
}

static void
set_parameter(GtkWidget *item, GVariant *parameter)
{
    g_object_set_data_full(G_OBJECT(item), PARAMETER, g_variant_ref_sink(parameter),
                           (GDestroyNotify)g_variant_unref);
}

/* parameter: floating, or NULL */
static void
connect_item(hvs_tray *tray, GtkWidget *item, const char *action, GVariant *parameter)
{
    g_object_set_data(G_OBJECT(item), ACTION, (gpointer)action);
    if (parameter != NULL)
        set_parameter(item, parameter);
    g_signal_connect(item, "activate", G_CALLBACK(on_item), tray);
}

static GtkWidget *
append_item(hvs_tray *tray, const char *label, const char *action, GVariant *parameter)
{
    GtkWidget *item = gtk_menu_item_new_with_mnemonic(label);

    connect_item(tray, item, action, parameter);
    gtk_menu_shell_append(GTK_MENU_SHELL(tray->menu), item);
    return item;
}

static GtkWidget *
append_separator(hvs_tray *tray)
{
    GtkWidget *item = gtk_separator_menu_item_new();

    gtk_menu_shell_append(GTK_MENU_SHELL(tray->menu), item);
    return item;
}

/* ---- notifications on or off ---- */

static void
show_notifications(hvs_tray *tray)
{
    g_autoptr(GVariant) state = g_action_group_get_action_state(tray->actions, "notifications");

    g_signal_handlers_block_by_func(tray->notifications, on_item, tray);
    gtk_check_menu_item_set_active(GTK_CHECK_MENU_ITEM(tray->notifications),
                                   g_variant_get_boolean(state));
    g_signal_handlers_unblock_by_func(tray->notifications, on_item, tray);
}

/* ---- sessions ---- */

static void
add_entry(hvs_tray *tray)
{
    GtkWidget *submenu = gtk_menu_new();
    struct entry entry = { .item = gtk_menu_item_new_with_mnemonic(""),
                           .disconnect = gtk_menu_item_new_with_mnemonic(_("_Disconnect")) };

    connect_item(tray, entry.disconnect, "disconnect", NULL);
    gtk_menu_shell_append(GTK_MENU_SHELL(submenu), entry.disconnect);
    gtk_menu_item_set_submenu(GTK_MENU_ITEM(entry.item), submenu);
    gtk_widget_show_all(entry.item);
    gtk_widget_show_all(submenu);
    /* Behind the state, the separator and the other sessions. */
    gtk_menu_shell_insert(GTK_MENU_SHELL(tray->menu), entry.item, 2 + (int)tray->entries->len);
    g_array_append_val(tray->entries, entry);
}

static void
set_label(GtkWidget *item, const char *label)
{
    if (g_strcmp0(gtk_menu_item_get_label(GTK_MENU_ITEM(item)), label) != 0)
        gtk_menu_item_set_label(GTK_MENU_ITEM(item), label);
}

static void
show_session(hvs_tray *tray, guint i, HvsSession *session)
{
    const struct entry *entry = &g_array_index(tray->entries, struct entry, i);
    g_autofree char *client = hvs_session_client(session);
    g_autofree char *time =
        hvs_words_time(hvs_session_started(session), (guint64)g_get_real_time() / 1000);
    /* Translators: a client and the time of day when it connected */
    g_autofree char *label = g_strdup_printf(_("%s, since %s"), client, time);
    /* The menu's label is one with mnemonics, whatever draws it. */
    g_auto(GStrv) parts = g_strsplit(label, "_", -1);
    g_autofree char *escaped = g_strjoinv("__", parts);

    set_label(entry->item, escaped);
    set_parameter(entry->disconnect, g_variant_new_uint32(hvs_session_id(session)));
}

static void
show_sessions(hvs_tray *tray)
{
    g_autoptr(GPtrArray) sessions = hvs_model_get_sessions(tray->model);

    while (tray->entries->len < sessions->len)
        add_entry(tray);
    while (tray->entries->len > sessions->len) {
        guint last = tray->entries->len - 1;

        gtk_widget_destroy(g_array_index(tray->entries, struct entry, last).item);
        g_array_set_size(tray->entries, last);
    }
    for (guint i = 0; i < sessions->len; i++)
        show_session(tray, i, g_ptr_array_index(sessions, i));
    gtk_widget_set_visible(tray->separator, sessions->len > 0);
}

/* ---- the whole ---- */

static void
show_model(hvs_tray *tray)
{
    HvsState state = hvs_model_get_state(tray->model);
    g_autofree char *title = hvs_model_get_title(tray->model);
    g_autofree char *sentence = hvs_model_get_sentence(tray->model);
    /* Translators: the tip of the icon: what it stands for, and the state */
    g_autofree char *tip = g_strdup_printf(_("Enhanced Session: %s"), title);

    app_indicator_set_icon_full(tray->indicator, hvs_state_icon(state), tip);
    app_indicator_set_title(tray->indicator, tip);
    set_label(tray->state, title);
    gtk_widget_set_tooltip_text(tray->state, sentence);
    show_sessions(tray);
}

static void
make_menu(hvs_tray *tray)
{
    GtkWidget *open;

    tray->menu = g_object_ref_sink(gtk_menu_new());
    tray->state = gtk_menu_item_new_with_label("");
    gtk_widget_set_sensitive(tray->state, FALSE);
    gtk_menu_shell_append(GTK_MENU_SHELL(tray->menu), tray->state);
    tray->separator = append_separator(tray);
    append_separator(tray);
    open = append_item(tray, _("_Open Status"), "open", g_variant_new_string("overview"));
    append_item(tray, _("_Run Diagnosis"), "diagnose", NULL);
    append_separator(tray);
    tray->notifications = gtk_check_menu_item_new_with_mnemonic(_("Show _Notifications"));
    connect_item(tray, tray->notifications, "notifications", NULL);
    gtk_menu_shell_append(GTK_MENU_SHELL(tray->menu), tray->notifications);
    append_item(tray, _("_About Enhanced Session"), "about", NULL);
    append_separator(tray);
    append_item(tray, _("_Quit"), "quit", NULL);
    gtk_widget_show_all(tray->menu);
    app_indicator_set_menu(tray->indicator, GTK_MENU(tray->menu));
    app_indicator_set_secondary_activate_target(tray->indicator, open);
}

static void
on_connection_changed(AppIndicator *indicator, gboolean connected, hvs_tray *tray)
{
    (void)indicator;
    if (connected)
        tray->on_shown(tray->user_data);
}

static void
ignore_message(const char *domain, GLogLevelFlags level, const char *message, gpointer user_data)
{
    (void)domain;
    (void)level;
    (void)message;
    (void)user_data;
}

/* From 0.5.93 on the library warns, whenever it is used, that another one will follow it. That is
 * nothing for people to read. */
static AppIndicator *
make_indicator(void)
{
    GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_FATAL_MASK);
    guint handler = g_log_set_handler(LIBRARY_DOMAIN, G_LOG_LEVEL_WARNING, ignore_message, NULL);
    AppIndicator *indicator =
        app_indicator_new("hvsession-tray", hvs_state_icon(HVS_STATE_NOT_AVAILABLE),
                          APP_INDICATOR_CATEGORY_SYSTEM_SERVICES);

    g_log_remove_handler(LIBRARY_DOMAIN, handler);
    g_log_set_always_fatal(fatal);
    return indicator;
}

hvs_tray *
hvs_tray_new(GActionGroup *actions, HvsModel *model, void (*on_shown)(gpointer user_data),
             gpointer user_data)
{
    hvs_tray *tray = g_new0(hvs_tray, 1);

    tray->actions = g_object_ref(actions);
    tray->model = g_object_ref(model);
    tray->on_shown = on_shown;
    tray->user_data = user_data;
    tray->entries = g_array_new(FALSE, FALSE, sizeof(struct entry));
    tray->indicator = make_indicator();
    g_signal_connect(tray->indicator, APP_INDICATOR_SIGNAL_CONNECTION_CHANGED,
                     G_CALLBACK(on_connection_changed), tray);
    make_menu(tray);
    show_notifications(tray);
    show_model(tray);
    g_signal_connect_swapped(model, "changed", G_CALLBACK(show_model), tray);
    g_signal_connect_swapped(actions, "action-state-changed::notifications",
                             G_CALLBACK(show_notifications), tray);
    app_indicator_set_status(tray->indicator, APP_INDICATOR_STATUS_ACTIVE);
    return tray;
}

void
hvs_tray_free(hvs_tray *tray)
{
    if (tray == NULL)
        return;
    g_signal_handlers_disconnect_by_data(tray->model, tray);
    g_signal_handlers_disconnect_by_data(tray->actions, tray);
    g_signal_handlers_disconnect_by_data(tray->indicator, tray);
    g_object_unref(tray->indicator);
    g_object_unref(tray->menu);
    g_object_unref(tray->actions);
    g_object_unref(tray->model);
    g_array_unref(tray->entries);
    g_free(tray);
}
