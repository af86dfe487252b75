#include "polkit.h"

#include "log.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
/* CheckAuthorizationFlags */
#define ALLOW_USER_INTERACTION 1u
/* D-Bus specification, and what systemd's services answer */
#define ACCESS_DENIED   "org.freedesktop.DBus.Error.AccessDenied"
#define LIMITS_EXCEEDED "org.freedesktop.DBus.Error.LimitsExceeded"
#define INTERACTIVE_AUTHORIZATION_REQUIRED                                                         \
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
/* How long the bus may take to say who a caller is, in milliseconds. */
#define BUS_TIMEOUT 10000

struct hvs_polkit {
    gint references; /* a check that is on its way holds one */
    GCancellable *cancellable;
    unsigned pending;
};

struct check {
    hvs_polkit *polkit;
    GDBusMethodInvocation *invocation;
    char *action;
    void (*allowed)(GDBusMethodInvocation *invocation, gpointer user_data);
    gpointer user_data;
    /* What anybody but root is told, when polkit is not asked. */
    const char *refusal, *refusal_message;
};

static void
unref_polkit(hvs_polkit *polkit)
{
    if (--polkit->references > 0)
        return;
    g_object_unref(polkit->cancellable);
    g_free(polkit);
}

hvs_polkit *
hvs_polkit_new(void)
{
    hvs_polkit *polkit = g_new0(hvs_polkit, 1);

    polkit->references = 1;
    polkit->cancellable = g_cancellable_new();
    return polkit;
}

void
hvs_polkit_free(hvs_polkit *polkit)
{
    g_cancellable_cancel(polkit->cancellable);
    unref_polkit(polkit);
}

static void
free_check(struct check *check)
{
    check->polkit->pending--;
    unref_polkit(check->polkit);
    g_free(check->action);
    g_free(check);
}

static void
allow(struct check *check)
{
    check->allowed(check->invocation, check->user_data);
    free_check(check);
}

static void
refuse(struct check *check, const char *error, const char *message)
{
    g_dbus_method_invocation_return_dbus_error(check->invocation, error, message);
    free_check(check);
}

static void
on_caller_known(GObject *source, GAsyncResult *result, gpointer user_data)
{
    struct check *check = user_data;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, NULL);
    guint32 uid = G_MAXUINT32;

    if (reply != NULL)
        g_variant_get(reply, "(u)", &uid);
    if (uid == 0)
        allow(check);
    else
        refuse(check, check->refusal, check->refusal_message);
}

/* Without polkit: root may, and nobody else. */
static void
ask_who_calls(struct check *check, const char *refusal, const char *message)
{
    check->refusal = refusal;
    check->refusal_message = message;
    g_dbus_connection_call(g_dbus_method_invocation_get_connection(check->invocation),
                           "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                           "GetConnectionUnixUser",
                           g_variant_new("(s)",
                                         g_dbus_method_invocation_get_sender(check->invocation)),
                           G_VARIANT_TYPE("(u)"), G_DBUS_CALL_FLAGS_NONE, BUS_TIMEOUT,
                           check->polkit->cancellable, on_caller_known, check);
}

static void
on_authorization(GObject *source, GAsyncResult *result, gpointer user_data)
{
    struct check *check = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    gboolean authorized, challenge;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        refuse(check, ACCESS_DENIED, "the service is stopping");
        return;
    }
    if (reply == NULL) {
        hvs_log(HVS_LOG_INFO, "polkit does not answer whether %s is allowed: %s", check->action,
                error->message);
        ask_who_calls(check, ACCESS_DENIED,
                      "only root may do that here, since polkit does not answer: try again with "
                      "sudo");
        return;
    }
    g_variant_get(reply, "((bba{ss}))", &authorized, &challenge, NULL);
    if (authorized)
        allow(check);
    else if (challenge)
        refuse(check, INTERACTIVE_AUTHORIZATION_REQUIRED,
               "that takes an administrator's password: try again with sudo");
    else
        refuse(check, ACCESS_DENIED, "only administrators may do that");
}

void
hvs_polkit_check(hvs_polkit *polkit, GDBusMethodInvocation *invocation, const char *action,
                 void (*allowed)(GDBusMethodInvocation *invocation, gpointer user_data),
                 gpointer user_data)
{
    GDBusMessage *message = g_dbus_method_invocation_get_message(invocation);
    bool interactive =
        g_dbus_message_get_flags(message) & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION;
    struct check *check = g_new0(struct check, 1);
    GVariantBuilder subject;

    check->polkit = polkit;
    check->invocation = invocation;
    check->action = g_strdup(action);
    check->allowed = allowed;
    check->user_data = user_data;
    polkit->references++;
    /* Whoever lets password prompts stand must not keep root from it. */
    if (++polkit->pending > HVS_POLKIT_PENDING_MAX) {
        ask_who_calls(check, LIMITS_EXCEEDED,
                      "too many callers wait for polkit already: try again with sudo");
        return;
    }
    g_variant_builder_init(&subject, G_VARIANT_TYPE("(sa{sv})"));
    g_variant_builder_add(&subject, "s", "system-bus-name");
    g_variant_builder_open(&subject, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&subject, "{sv}", "name",
                          g_variant_new_string(g_dbus_method_invocation_get_sender(invocation)));
    g_variant_builder_close(&subject);
    /* No time-out: people type. No details: only root and owners may give some. */
    g_dbus_connection_call(g_dbus_method_invocation_get_connection(invocation), POLKIT_NAME,
                           POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization",
                           g_variant_new("(@(sa{sv})s@a{ss}us)", g_variant_builder_end(&subject),
                                         action,
                                         g_variant_new_array(G_VARIANT_TYPE("{ss}"), NULL, 0),
                                         interactive ? ALLOW_USER_INTERACTION : 0u, ""),
                           G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE, G_MAXINT,
                           polkit->cancellable, on_authorization, check);
}
