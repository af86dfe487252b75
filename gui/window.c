#include "window.h"

#include "command.h"
#include "finding-row.h"
#include "rows.h"
#include "session-row.h"
#include "words.h"

#include <glib/gi18n.h>

/* Durations and rates grow old. Only while they are seen; seconds. */
#define REFRESH_INTERVAL 1

struct _HvsWindow {
    GtkApplicationWindow parent_instance;

    HvsModel *model;
    HvsClient *client;
    guint refresh; /* timer; 0: nothing that grows old is seen */

    GtkStack *title_stack;
    GtkLabel *title_label;
    GtkWidget *switcher;
    GtkToggleButton *menu_button;
    GtkInfoBar *failure;
    GtkLabel *failure_label;
    GtkImage *state_icon;
    AtkObject *state_icon_accessible;
    GtkLabel *state_title, *state_sentence;
    GtkWidget *help_button;
    GtkStack *bodies;
    GtkWidget *sought_body, *absent_body;
    GtkStack *pages;
    GtkListBox *host_rows, *server_rows, *channel_rows;
    GtkStack *session_stack;
    GtkWidget *no_sessions, *session_lists, *living, *ended;
    GtkLabel *no_sessions_hint;
    GtkListBox *session_rows, *ended_rows;
    GtkWidget *diagnosis_page;
    GtkLabel *diagnosis_label;
    GtkSpinner *spinner;
    GtkWidget *findings_frame;
    GtkListBox *finding_rows;
};

G_DEFINE_TYPE(HvsWindow, hvs_window, GTK_TYPE_APPLICATION_WINDOW)

/* ---- the state ---- */

static void
show_state(HvsWindow *window)
{
    static const char *const classes[] = {
        [HVS_STATE_NOT_AVAILABLE] = "state-unavailable",
        [HVS_STATE_READY] = "state-ready",
        [HVS_STATE_WORKING] = "state-working",
        [HVS_STATE_PROBLEM] = "state-problem",
    };
    GtkStyleContext *style = gtk_widget_get_style_context(GTK_WIDGET(window->state_icon));
    HvsState state = hvs_model_get_state(window->model);
    g_autofree char *title = hvs_model_get_title(window->model);
    g_autofree char *sentence = hvs_model_get_sentence(window->model);

    gtk_image_set_from_icon_name(window->state_icon, hvs_state_icon(state), GTK_ICON_SIZE_DIALOG);
    atk_object_set_name(window->state_icon_accessible, title);
    for (gsize i = 0; i < G_N_ELEMENTS(classes); i++)
        gtk_style_context_remove_class(style, classes[i]);
    gtk_style_context_add_class(style, classes[state]);
    gtk_label_set_text(window->state_title, title);
    gtk_label_set_text(window->state_sentence, sentence);
}

static gboolean
is_on_page(HvsWindow *window, const char *name)
{
    return g_strcmp0(gtk_stack_get_visible_child_name(window->pages), name) == 0;
}

static void
show_bodies(HvsWindow *window)
{
    HvsService service = hvs_model_get_service(window->model);
    HvsState state = hvs_model_get_state(window->model);
    gboolean present = service == HVS_SERVICE_PRESENT;

    gtk_stack_set_visible_child(window->title_stack,
                                present ? window->switcher : GTK_WIDGET(window->title_label));
    gtk_stack_set_visible_child(window->bodies, present ? GTK_WIDGET(window->pages)
                                                : service == HVS_SERVICE_ABSENT
                                                    ? window->absent_body
                                                    : window->sought_body);
    gtk_widget_set_visible(window->help_button,
                           present && !is_on_page(window, "diagnosis") &&
                               (state == HVS_STATE_PROBLEM || state == HVS_STATE_NOT_AVAILABLE));
}

/* "Sessions (2)" */
static void
set_page_title(HvsWindow *window, const char *page, const char *words, guint count)
{
    GtkWidget *child = gtk_stack_get_child_by_name(window->pages, page);
    /* Translators: the name of a page, and how many things there are on it */
    g_autofree char *title =
        count > 0 ? g_strdup_printf(_("%s (%u)"), words, count) : g_strdup(words);

    gtk_container_child_set(GTK_CONTAINER(window->pages), child, "title", title, NULL);
}

/* ---- pages ---- */

static void
show_section(HvsWindow *window, GtkListBox *list, HvsSection section)
{
    g_autoptr(GPtrArray) rows =
        hvs_model_get_rows(window->model, section, (guint64)g_get_real_time() / 1000);

    hvs_rows_show(list, rows);
}

/* The widget of a session; NULL if there is none. */
static HvsSessionRow *
find_session_row(HvsWindow *window, HvsSession *session)
{
    GtkListBoxRow *row;

    for (int i = 0; (row = gtk_list_box_get_row_at_index(window->session_rows, i)) != NULL; i++)
        if (hvs_session_row_get_session(HVS_SESSION_ROW(row)) == session)
            return HVS_SESSION_ROW(row);
    return NULL;
}

static void
remove_other_sessions(HvsWindow *window, GPtrArray *sessions)
{
    GtkListBoxRow *row;

    for (int i = 0; (row = gtk_list_box_get_row_at_index(window->session_rows, i)) != NULL;)
        if (g_ptr_array_find(sessions, hvs_session_row_get_session(HVS_SESSION_ROW(row)), NULL))
            i++;
        else
            gtk_widget_destroy(GTK_WIDGET(row));
}

static void
show_living(HvsWindow *window, GPtrArray *sessions)
{
    remove_other_sessions(window, sessions);
    for (guint i = 0; i < sessions->len; i++) {
        HvsSession *session = g_ptr_array_index(sessions, i);
        HvsSessionRow *row = find_session_row(window, session);

        if (row != NULL)
            hvs_session_row_update(row);
        else
            gtk_list_box_insert(window->session_rows, hvs_session_row_new(session), (int)i);
    }
    gtk_widget_set_visible(window->living, sessions->len > 0);
}

static HvsRow *
describe_end(HvsSession *session)
{
    HvsRow *row = g_new0(HvsRow, 1);

    row->mark = hvs_session_is_trouble(session) ? HVS_MARK_BAD : HVS_MARK_NONE;
    row->label = hvs_session_client(session);
    row->value = hvs_words_time(hvs_session_ended(session), (guint64)g_get_real_time() / 1000);
    row->detail = hvs_session_reason(session);
    return row;
}

static void
show_ended(HvsWindow *window, GPtrArray *sessions)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)hvs_row_free);

    for (guint i = 0; i < sessions->len; i++)
        g_ptr_array_add(rows, describe_end(g_ptr_array_index(sessions, i)));
    hvs_rows_show(window->ended_rows, rows);
    gtk_widget_set_visible(window->ended, sessions->len > 0);
}

static void
show_sessions(HvsWindow *window)
{
    g_autoptr(GPtrArray) sessions = hvs_model_get_sessions(window->model);
    g_autoptr(GPtrArray) ended = hvs_model_get_ended(window->model);
    gboolean possible = hvs_model_get_state(window->model) == HVS_STATE_READY;

    show_living(window, sessions);
    show_ended(window, ended);
    set_page_title(window, "sessions", _("Sessions"), sessions->len);
    gtk_label_set_text(window->no_sessions_hint,
                       possible ? _("Open this machine in Virtual Machine Connection: the session "
                                    "appears here.")
                                : _("Sessions can be opened once Enhanced Session is ready."));
    gtk_stack_set_visible_child(window->session_stack, sessions->len + ended->len > 0
                                                           ? window->session_lists
                                                           : window->no_sessions);
}

static gboolean
shows_findings(HvsWindow *window, GPtrArray *findings)
{
    GtkListBoxRow *row;
    guint i;

    for (i = 0; i < findings->len; i++) {
        row = gtk_list_box_get_row_at_index(window->finding_rows, (int)i);
        if (row == NULL ||
            !hvs_finding_row_shows(HVS_FINDING_ROW(row), g_ptr_array_index(findings, i)))
            return FALSE;
    }
    return gtk_list_box_get_row_at_index(window->finding_rows, (int)i) == NULL;
}

static void
remove_findings(HvsWindow *window)
{
    GtkListBoxRow *row;

    while ((row = gtk_list_box_get_row_at_index(window->finding_rows, 0)) != NULL)
        gtk_widget_destroy(GTK_WIDGET(row));
}

static void
show_diagnosis(HvsWindow *window)
{
    GPtrArray *findings = hvs_model_get_findings(window->model);
    g_autofree char *summary = hvs_model_get_diagnosis(window->model);

    gtk_label_set_text(window->diagnosis_label, summary);
    set_page_title(window, "diagnosis", _("Diagnosis"), hvs_model_count_troubles(window->model));
    gtk_widget_set_visible(window->findings_frame, findings->len > 0);
    if (shows_findings(window, findings))
        return;
    remove_findings(window);
    for (guint i = 0; i < findings->len; i++)
        gtk_container_add(GTK_CONTAINER(window->finding_rows),
                          hvs_finding_row_new(g_ptr_array_index(findings, i)));
}

/* ---- what grows old ---- */

static gboolean
is_seen(HvsWindow *window)
{
    GdkWindow *surface = gtk_widget_get_window(GTK_WIDGET(window));

    return surface != NULL && gtk_widget_get_mapped(GTK_WIDGET(window)) &&
           (gdk_window_get_state(surface) &
            (GDK_WINDOW_STATE_ICONIFIED | GDK_WINDOW_STATE_WITHDRAWN)) == 0;
}

static gboolean
on_refresh(gpointer user_data)
{
    HvsWindow *window = user_data;
    GtkListBoxRow *row;

    for (int i = 0; (row = gtk_list_box_get_row_at_index(window->session_rows, i)) != NULL; i++)
        hvs_session_row_update(HVS_SESSION_ROW(row));
    return G_SOURCE_CONTINUE;
}

static void
run_timer(HvsWindow *window)
{
    gboolean needed = is_seen(window) && is_on_page(window, "sessions") &&
                      gtk_stack_get_visible_child(window->bodies) == GTK_WIDGET(window->pages) &&
                      gtk_list_box_get_row_at_index(window->session_rows, 0) != NULL;

    if (needed && window->refresh == 0) {
        on_refresh(window);
        window->refresh = g_timeout_add_seconds(REFRESH_INTERVAL, on_refresh, window);
    } else if (!needed) {
        g_clear_handle_id(&window->refresh, g_source_remove);
    }
}

static void
show_all(HvsWindow *window)
{
    show_state(window);
    show_section(window, window->host_rows, HVS_SECTION_HOST);
    show_section(window, window->server_rows, HVS_SECTION_SERVER);
    show_section(window, window->channel_rows, HVS_SECTION_CHANNELS);
    show_sessions(window);
    show_diagnosis(window);
    show_bodies(window);
    run_timer(window);
}

/* ---- events ---- */

static void
on_page_changed(HvsWindow *window)
{
    if (window->model == NULL)
        return; /* the template is being built */
    show_bodies(window);
    run_timer(window);
}

static void
on_diagnosing(HvsWindow *window)
{
    g_object_set(window->spinner, "active", hvs_client_is_diagnosing(window->client), NULL);
}

static void
on_failed(HvsWindow *window, const char *sentence)
{
    gtk_label_set_text(window->failure_label, sentence);
    gtk_info_bar_set_revealed(window->failure, TRUE);
}

static void
on_failure_response(GtkInfoBar *bar)
{
    gtk_info_bar_set_revealed(bar, FALSE);
}

static void
on_page(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    (void)action;
    hvs_window_show_page(user_data, g_variant_get_string(parameter, NULL));
}

static void
on_menu(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    (void)action;
    (void)parameter;
    gtk_toggle_button_set_active(HVS_WINDOW(user_data)->menu_button, TRUE);
}

static gboolean
hvs_window_state_event(GtkWidget *widget, GdkEventWindowState *event)
{
    gboolean handled = GTK_WIDGET_CLASS(hvs_window_parent_class)->window_state_event(widget, event);

    run_timer(HVS_WINDOW(widget));
    return handled;
}

static gboolean
hvs_window_map_event(GtkWidget *widget, GdkEventAny *event)
{
    gboolean handled = GTK_WIDGET_CLASS(hvs_window_parent_class)->map_event(widget, event);

    run_timer(HVS_WINDOW(widget));
    return handled;
}

static void
hvs_window_unmap(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(hvs_window_parent_class)->unmap(widget);
    run_timer(HVS_WINDOW(widget));
}

void
hvs_window_show_page(HvsWindow *window, const char *name)
{
    GtkWidget *page = gtk_stack_get_child_by_name(window->pages, name);

    if (page == NULL)
        return;
    gtk_stack_set_visible_child(window->pages, page);
    /* Where the keyboard goes on. */
    gtk_widget_child_focus(page, GTK_DIR_TAB_FORWARD);
}

/* ---- object ---- */

static void
hvs_window_dispose(GObject *object)
{
    HvsWindow *window = HVS_WINDOW(object);

    g_clear_handle_id(&window->refresh, g_source_remove);
    if (window->model != NULL)
        g_signal_handlers_disconnect_by_data(window->model, window);
    if (window->client != NULL)
        g_signal_handlers_disconnect_by_data(window->client, window);
    g_clear_object(&window->model);
    g_clear_object(&window->client);
    G_OBJECT_CLASS(hvs_window_parent_class)->dispose(object);
}

static void
bind_children(GtkWidgetClass *class)
{
    gtk_widget_class_bind_template_child(class, HvsWindow, title_stack);
    gtk_widget_class_bind_template_child(class, HvsWindow, title_label);
    gtk_widget_class_bind_template_child(class, HvsWindow, switcher);
    gtk_widget_class_bind_template_child(class, HvsWindow, menu_button);
    gtk_widget_class_bind_template_child(class, HvsWindow, failure);
    gtk_widget_class_bind_template_child(class, HvsWindow, failure_label);
    gtk_widget_class_bind_template_child(class, HvsWindow, state_icon);
    gtk_widget_class_bind_template_child(class, HvsWindow, state_icon_accessible);
    gtk_widget_class_bind_template_child(class, HvsWindow, state_title);
    gtk_widget_class_bind_template_child(class, HvsWindow, state_sentence);
    gtk_widget_class_bind_template_child(class, HvsWindow, help_button);
    gtk_widget_class_bind_template_child(class, HvsWindow, bodies);
    gtk_widget_class_bind_template_child(class, HvsWindow, sought_body);
    gtk_widget_class_bind_template_child(class, HvsWindow, absent_body);
    gtk_widget_class_bind_template_child(class, HvsWindow, pages);
    gtk_widget_class_bind_template_child(class, HvsWindow, host_rows);
    gtk_widget_class_bind_template_child(class, HvsWindow, server_rows);
    gtk_widget_class_bind_template_child(class, HvsWindow, channel_rows);
    gtk_widget_class_bind_template_child(class, HvsWindow, session_stack);
    gtk_widget_class_bind_template_child(class, HvsWindow, no_sessions);
    gtk_widget_class_bind_template_child(class, HvsWindow, no_sessions_hint);
    gtk_widget_class_bind_template_child(class, HvsWindow, session_lists);
    gtk_widget_class_bind_template_child(class, HvsWindow, living);
    gtk_widget_class_bind_template_child(class, HvsWindow, session_rows);
    gtk_widget_class_bind_template_child(class, HvsWindow, ended);
    gtk_widget_class_bind_template_child(class, HvsWindow, ended_rows);
    gtk_widget_class_bind_template_child(class, HvsWindow, diagnosis_label);
    gtk_widget_class_bind_template_child(class, HvsWindow, spinner);
    gtk_widget_class_bind_template_child(class, HvsWindow, findings_frame);
    gtk_widget_class_bind_template_child(class, HvsWindow, finding_rows);
}

static void
hvs_window_class_init(HvsWindowClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);

    G_OBJECT_CLASS(class)->dispose = hvs_window_dispose;
    widget_class->window_state_event = hvs_window_state_event;
    widget_class->map_event = hvs_window_map_event;
    widget_class->unmap = hvs_window_unmap;
    g_type_ensure(HVS_TYPE_COMMAND);
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hvsession/Tray/window.ui");
    bind_children(widget_class);
    gtk_widget_class_bind_template_callback(widget_class, on_page_changed);
    gtk_widget_class_bind_template_callback(widget_class, on_failure_response);
}

static void
hvs_window_init(HvsWindow *window)
{
    static const GActionEntry actions[] = {
        { .name = "page", .activate = on_page, .parameter_type = "s" },
        { .name = "menu", .activate = on_menu },
    };

    gtk_widget_init_template(GTK_WIDGET(window));
    gtk_info_bar_add_button(window->failure, _("_Close"), GTK_RESPONSE_CLOSE);
    hvs_rows_separate(window->session_rows);
    hvs_rows_separate(window->ended_rows);
    hvs_rows_separate(window->finding_rows);
    g_action_map_add_action_entries(G_ACTION_MAP(window), actions, G_N_ELEMENTS(actions), window);
}

GtkWidget *
hvs_window_new(GtkApplication *application, HvsModel *model, HvsClient *client)
{
    HvsWindow *window = g_object_new(HVS_TYPE_WINDOW, "application", application, NULL);

    window->model = g_object_ref(model);
    window->client = g_object_ref(client);
    g_signal_connect_swapped(model, "changed", G_CALLBACK(show_all), window);
    g_signal_connect_swapped(client, "notify::diagnosing", G_CALLBACK(on_diagnosing), window);
    g_signal_connect_swapped(client, "failed", G_CALLBACK(on_failed), window);
    show_all(window);
    on_diagnosing(window);
    return GTK_WIDGET(window);
}
