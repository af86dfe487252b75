#include "app.h"

#include "body.h"
#include "client.h"
#include "preferences.h"
#include "tray.h"
#include "window.h"

#include <glib/gi18n.h>

struct _HvsApp {
    GtkApplication parent_instance;

    HvsModel *model;
    HvsClient *client;
    hvs_tray *tray;
    gboolean background; /* no window at the start */
    gboolean held;       /* stays without a window */
};

G_DEFINE_TYPE(HvsApp, hvs_app, GTK_TYPE_APPLICATION)

/* ---- window ---- */

static HvsWindow *
find_window(HvsApp *app)
{
    for (GList *link = gtk_application_get_windows(GTK_APPLICATION(app)); link != NULL;
         link = link->next)
        if (HVS_IS_WINDOW(link->data))
            return link->data;
    return NULL;
}

static HvsWindow *
show_window(HvsApp *app)
{
    HvsWindow *window = find_window(app);

    if (window == NULL)
        window = HVS_WINDOW(hvs_window_new(GTK_APPLICATION(app), app->model, app->client));
    gtk_window_present(GTK_WINDOW(window));
    return window;
}

static void
stay(gpointer user_data)
{
    HvsApp *app = user_data;

    if (!app->held)
        g_application_hold(G_APPLICATION(app));
    app->held = TRUE;
}

/* ---- actions ---- */

static void
on_open(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    (void)action;
    hvs_window_show_page(show_window(user_data), g_variant_get_string(parameter, NULL));
}

static void
on_diagnose(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    HvsApp *app = user_data;

    (void)action;
    (void)parameter;
    hvs_window_show_page(show_window(app), "diagnosis");
    hvs_client_diagnose(app->client);
}

static void
on_disconnect(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    (void)action;
    hvs_client_disconnect(HVS_APP(user_data)->client, g_variant_get_uint32(parameter));
}

static void
on_notifications(GSimpleAction *action, GVariant *wanted, gpointer user_data)
{
    g_autoptr(GError) error = NULL;

    (void)user_data;
    if (!hvs_preferences_set_notifications(g_variant_get_boolean(wanted), &error))
        g_message("the choice lasts for this time only: %s", error->message);
    g_simple_action_set_state(action, wanted);
}

static void
on_about(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    (void)action;
    (void)parameter;
    /* A dialog without a window that it belongs to is discouraged. */
    gtk_show_about_dialog(GTK_WINDOW(show_window(user_data)), "program-name", "hvsession",
                          "version", HVS_VERSION, "logo-icon-name", HVS_APP_ID, "comments",
                          _("Enhanced Session for Hyper-V guests that lack it"), "license-type",
                          GTK_LICENSE_MIT_X11,
                          /* Translators: your names, one a line */
                          "translator-credits", _("translator-credits"), NULL);
}

static void
on_close(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    HvsWindow *window = find_window(user_data);

    (void)action;
    (void)parameter;
    if (window != NULL)
        gtk_window_close(GTK_WINDOW(window));
}

static void
on_quit(GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
    (void)action;
    (void)parameter;
    g_application_quit(user_data);
}

static void
add_actions(HvsApp *app)
{
    static const GActionEntry entries[] = {
        { .name = "open", .activate = on_open, .parameter_type = "s" },
        { .name = "diagnose", .activate = on_diagnose },
        { .name = "disconnect", .activate = on_disconnect, .parameter_type = "u" },
        { .name = "notifications", .state = "true", .change_state = on_notifications },
        { .name = "about", .activate = on_about },
        { .name = "close", .activate = on_close },
        { .name = "quit", .activate = on_quit },
    };
    static const struct {
        const char *action, *keys[2];
    } accelerators[] = {
        { "win.page::overview", { "<Alt>1" } },
        { "win.page::sessions", { "<Alt>2" } },
        { "win.page::diagnosis", { "<Alt>3" } },
        { "app.diagnose", { "F5" } },
        { "app.close", { "<Control>w" } },
        { "app.quit", { "<Control>q" } },
        { "win.menu", { "F10" } },
    };
    GAction *notifications;

    g_action_map_add_action_entries(G_ACTION_MAP(app), entries, G_N_ELEMENTS(entries), app);
    notifications = g_action_map_lookup_action(G_ACTION_MAP(app), "notifications");
    g_simple_action_set_state(G_SIMPLE_ACTION(notifications),
                              g_variant_new_boolean(hvs_preferences_get_notifications()));
    for (gsize i = 0; i < G_N_ELEMENTS(accelerators); i++)
        gtk_application_set_accels_for_action(GTK_APPLICATION(app), accelerators[i].action,
                                              (const char *const[]){ accelerators[i].keys[0],
                                                                     NULL });
}

/* Only what has a chance can be chosen. */
static void
enable_actions(HvsApp *app)
{
    gboolean present = hvs_model_get_service(app->model) == HVS_SERVICE_PRESENT;

    g_simple_action_set_enabled(G_SIMPLE_ACTION(
                                    g_action_map_lookup_action(G_ACTION_MAP(app), "disconnect")),
                                present);
    g_simple_action_set_enabled(G_SIMPLE_ACTION(
                                    g_action_map_lookup_action(G_ACTION_MAP(app), "diagnose")),
                                present && !hvs_client_is_diagnosing(app->client));
}

/* ---- notifications ---- */

/* One that waits for its body. */
struct waiting {
    GApplication *app;
    GNotification *notification;
    char *id;
};

static void
on_body(GObject *bus, GAsyncResult *result, gpointer user_data)
{
    struct waiting *waiting = user_data;
    g_autofree char *body = hvs_body_prepare_finish(result);

    (void)bus;
    if (body[0] != '\0')
        g_notification_set_body(waiting->notification, body);
    g_application_send_notification(waiting->app, waiting->id, waiting->notification);
    g_object_unref(waiting->app);
    g_object_unref(waiting->notification);
    g_free(waiting->id);
    g_free(waiting);
}

static void
on_news(HvsApp *app, const HvsNews *news)
{
    GDBusConnection *bus = g_application_get_dbus_connection(G_APPLICATION(app));
    g_autoptr(GVariant) wanted =
        g_action_group_get_action_state(G_ACTION_GROUP(app), "notifications");
    g_autoptr(GIcon) icon = NULL;
    GNotification *notification;
    struct waiting *waiting;

    if (!g_variant_get_boolean(wanted) || bus == NULL)
        return;
    notification = g_notification_new(news->title);
    icon = g_themed_icon_new(HVS_APP_ID);
    g_notification_set_icon(notification, icon);
    g_notification_set_priority(notification, news->urgent ? G_NOTIFICATION_PRIORITY_HIGH
                                                           : G_NOTIFICATION_PRIORITY_NORMAL);
    g_notification_set_default_action_and_target(notification, "app.open", "s",
                                                 g_str_has_prefix(news->id, "session")
                                                     ? "sessions"
                                                     : "diagnosis");
    waiting = g_new(struct waiting, 1);
    *waiting = (struct waiting){
        .app = g_object_ref(G_APPLICATION(app)),
        .notification = notification,
        .id = g_strdup(news->id),
    };
    hvs_body_prepare(bus, news->body, on_body, waiting);
}

/* ---- life ---- */

static void
load_style(void)
{
    g_autoptr(GtkCssProvider) provider = gtk_css_provider_new();

    gtk_css_provider_load_from_resource(provider, "/io/github/hvsession/Tray/style.css");
    gtk_style_context_add_provider_for_screen(gdk_screen_get_default(),
                                              GTK_STYLE_PROVIDER(provider),
                                              GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
}

static void
hvs_app_startup(GApplication *application)
{
    HvsApp *app = HVS_APP(application);

    G_APPLICATION_CLASS(hvs_app_parent_class)->startup(application);
    load_style();
    app->model = hvs_model_new();
    app->client = hvs_client_new(app->model);
    add_actions(app);
    g_signal_connect_swapped(app->model, "changed", G_CALLBACK(enable_actions), app);
    g_signal_connect_swapped(app->model, "news", G_CALLBACK(on_news), app);
    g_signal_connect_swapped(app->client, "notify::diagnosing", G_CALLBACK(enable_actions), app);
    enable_actions(app);
    app->tray = hvs_tray_new(G_ACTION_GROUP(app), app->model, stay, app);
}

static void
hvs_app_activate(GApplication *application)
{
    HvsApp *app = HVS_APP(application);

    if (app->background)
        stay(app);
    else
        show_window(app);
    app->background = FALSE;
}

static void
hvs_app_shutdown(GApplication *application)
{
    HvsApp *app = HVS_APP(application);

    if (app->model != NULL)
        g_signal_handlers_disconnect_by_data(app->model, app);
    if (app->client != NULL)
        g_signal_handlers_disconnect_by_data(app->client, app);
    g_clear_pointer(&app->tray, hvs_tray_free);
    g_clear_object(&app->client);
    g_clear_object(&app->model);
    G_APPLICATION_CLASS(hvs_app_parent_class)->shutdown(application);
}

static int
hvs_app_handle_local_options(GApplication *application, GVariantDict *options)
{
    g_autoptr(GError) error = NULL;

    if (g_variant_dict_contains(options, "version")) {
        g_print("hvsession-tray " HVS_VERSION "\n");
        return 0;
    }
    if (!g_variant_dict_contains(options, "background"))
        return -1;
    if (!g_application_register(application, NULL, &error)) {
        g_printerr("hvsession-tray: %s\n", error->message);
        return 1;
    }
    if (g_application_get_is_remote(application))
        return 0; /* it runs already */
    HVS_APP(application)->background = TRUE;
    return -1;
}

static void
hvs_app_class_init(HvsAppClass *class)
{
    GApplicationClass *application_class = G_APPLICATION_CLASS(class);

    application_class->startup = hvs_app_startup;
    application_class->activate = hvs_app_activate;
    application_class->shutdown = hvs_app_shutdown;
    application_class->handle_local_options = hvs_app_handle_local_options;
}

static void
hvs_app_init(HvsApp *app)
{
    const GOptionEntry options[] = {
        { "background", 'b', 0, G_OPTION_ARG_NONE, NULL, N_("Start without a window"), NULL },
        { "version", 'V', 0, G_OPTION_ARG_NONE, NULL, N_("Print the version and exit"), NULL },
        { 0 },
    };

    g_application_add_main_option_entries(G_APPLICATION(app), options);
    g_application_set_option_context_summary(
        G_APPLICATION(app),
        _("Shows whether Enhanced Session works in this Hyper-V guest, and who uses it."));
}

HvsApp *
hvs_app_new(void)
{
    return g_object_new(HVS_TYPE_APP, "application-id", HVS_APP_ID, NULL);
}
