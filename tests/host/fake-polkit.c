#include "fake-polkit.h"

#include "session-fixture.h"

#include <pthread.h>
#include <time.h>

static const char interface[] =
    "<node><interface name='org.freedesktop.PolicyKit1.Authority'>"
    "<method name='CheckAuthorization'>"
    "<arg type='(sa{sv})' direction='in'/><arg type='s' direction='in'/>"
    "<arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/>"
    "</method></interface></node>";

struct fake_polkit {
    GThread *thread;
    GMainContext *context;
    GMainLoop *loop;
    char *address;
    pthread_mutex_t lock; /* not GLib's: the thread sanitizer knows these */
    pthread_cond_t cond;
    bool ready;                     /* lock */
    enum fake_polkit_answer answer; /* lock */
    unsigned asked;                 /* lock */
    char *question;                 /* lock */
    GPtrArray *held;                /* lock; invocations */
};

static void
answer(GDBusMethodInvocation *invocation, enum fake_polkit_answer how)
{
    g_autoptr(GVariant) none =
        g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE("{ss}"), NULL, 0));

    if (how == FAKE_POLKIT_FAIL)
        g_dbus_method_invocation_return_dbus_error(invocation,
                                                   "org.freedesktop.PolicyKit1.Error.Failed",
                                                   "as told");
    else
        g_dbus_method_invocation_return_value(invocation,
                                              g_variant_new("((bb@a{ss}))",
                                                            how == FAKE_POLKIT_ALLOW,
                                                            how == FAKE_POLKIT_CHALLENGE, none));
}

static void
on_call(GDBusConnection *connection, const char *sender, const char *path, const char *name,
        const char *method, GVariant *parameters, GDBusMethodInvocation *invocation,
        gpointer user_data)
{
    fake_polkit *polkit = user_data;
    g_autoptr(GVariant) subject = NULL, details = NULL;
    const char *kind, *action, *bus_name = "?";
    guint32 flags;

    (void)connection;
    (void)sender;
    (void)path;
    (void)name;
    (void)method;
    g_variant_get(parameters, "((&s@a{sv})&s@a{ss}u&s)", &kind, &subject, &action, &details, &flags,
                  NULL);
    g_assert_cmpstr(kind, ==, "system-bus-name");
    g_assert_cmpuint(g_variant_n_children(details), ==, 0);
    g_variant_lookup(subject, "name", "&s", &bus_name);
    pthread_mutex_lock(&polkit->lock);
    polkit->asked++;
    g_free(polkit->question);
    polkit->question = g_strdup_printf("%s %s %u", action, bus_name, flags);
    if (polkit->answer == FAKE_POLKIT_HOLD)
        g_ptr_array_add(polkit->held, invocation);
    else
        answer(invocation, polkit->answer);
    pthread_cond_broadcast(&polkit->cond);
    pthread_mutex_unlock(&polkit->lock);
}

static void
on_acquired(GDBusConnection *connection, const char *name, gpointer user_data)
{
    fake_polkit *polkit = user_data;

    (void)connection;
    (void)name;
    pthread_mutex_lock(&polkit->lock);
    polkit->ready = true;
    pthread_cond_broadcast(&polkit->cond);
    pthread_mutex_unlock(&polkit->lock);
}

static gpointer
run(gpointer user_data)
{
    static const GDBusInterfaceVTable vtable = { .method_call = on_call };
    fake_polkit *polkit = user_data;
    GDBusNodeInfo *node = g_dbus_node_info_new_for_xml(interface, NULL);
    GDBusConnection *connection;
    GError *error = NULL;
    guint owner;

    g_main_context_push_thread_default(polkit->context);
    connection =
        g_dbus_connection_new_for_address_sync(polkit->address,
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, &error);
    g_assert_no_error(error);
    g_dbus_connection_register_object(connection, "/org/freedesktop/PolicyKit1/Authority",
                                      node->interfaces[0], &vtable, polkit, NULL, &error);
    g_assert_no_error(error);
    owner =
        g_bus_own_name_on_connection(connection, "org.freedesktop.PolicyKit1",
                                     G_BUS_NAME_OWNER_FLAGS_NONE, on_acquired, NULL, polkit, NULL);
    g_main_loop_run(polkit->loop);
    g_bus_unown_name(owner);
    g_dbus_connection_close_sync(connection, NULL, NULL);
    g_object_unref(connection);
    while (g_main_context_iteration(polkit->context, FALSE))
        ;
    g_main_context_pop_thread_default(polkit->context);
    g_dbus_node_info_unref(node);
    return NULL;
}

/* Under the lock. */
static void
wait_for_change(fake_polkit *polkit, const char *what)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT / 1000;
    if (pthread_cond_timedwait(&polkit->cond, &polkit->lock, &deadline) != 0)
        g_error("%s", what);
}

fake_polkit *
fake_polkit_new(const char *bus_address, enum fake_polkit_answer how)
{
    fake_polkit *polkit = g_new0(fake_polkit, 1);

    polkit->address = g_strdup(bus_address);
    polkit->answer = how;
    polkit->held = g_ptr_array_new();
    polkit->context = g_main_context_new();
    polkit->loop = g_main_loop_new(polkit->context, FALSE);
    pthread_mutex_init(&polkit->lock, NULL);
    pthread_cond_init(&polkit->cond, NULL);
    polkit->thread = g_thread_new("fake-polkit", run, polkit);
    pthread_mutex_lock(&polkit->lock);
    while (!polkit->ready)
        wait_for_change(polkit, "polkit's name was not to be had");
    pthread_mutex_unlock(&polkit->lock);
    return polkit;
}

void
fake_polkit_free(fake_polkit *polkit)
{
    fake_polkit_answer(polkit, FAKE_POLKIT_DENY);
    g_main_loop_quit(polkit->loop);
    g_thread_join(polkit->thread);
    g_main_loop_unref(polkit->loop);
    g_main_context_unref(polkit->context);
    pthread_mutex_destroy(&polkit->lock);
    pthread_cond_destroy(&polkit->cond);
    g_ptr_array_unref(polkit->held);
    g_free(polkit->question);
    g_free(polkit->address);
    g_free(polkit);
}

void
fake_polkit_answer(fake_polkit *polkit, enum fake_polkit_answer how)
{
    pthread_mutex_lock(&polkit->lock);
    polkit->answer = how;
    for (guint i = 0; i < polkit->held->len; i++)
        answer(g_ptr_array_index(polkit->held, i), how);
    g_ptr_array_set_size(polkit->held, 0);
    pthread_mutex_unlock(&polkit->lock);
}

char *
fake_polkit_wait_asked(fake_polkit *polkit, unsigned count)
{
    char *question;

    pthread_mutex_lock(&polkit->lock);
    while (polkit->asked < count)
        wait_for_change(polkit, "polkit was not asked");
    question = g_strdup(polkit->question);
    pthread_mutex_unlock(&polkit->lock);
    return question;
}
