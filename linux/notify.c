#include "notify.h"

#include "log.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <unistd.h>

/* $NOTIFY_SOCKET is a path, or behind "@" a name in the abstract namespace. */
static GSocketAddress *
manager_address(void)
{
    const char *socket = g_getenv("NOTIFY_SOCKET");

    if (socket == NULL || (socket[0] != '/' && socket[0] != '@'))
        return NULL;
    if (socket[0] == '/')
        return g_unix_socket_address_new(socket);
    return g_unix_socket_address_new_with_type(socket + 1, (gint)strlen(socket + 1),
                                               G_UNIX_SOCKET_ADDRESS_ABSTRACT);
}

void
hvs_notify(const char *state)
{
    g_autoptr(GSocketAddress) address = manager_address();
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GError) error = NULL;

    if (address == NULL)
        return;
    socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT,
                          &error);
    if (socket != NULL)
        g_socket_set_blocking(socket, FALSE);
    if (socket == NULL ||
        g_socket_send_to(socket, address, state, strlen(state), NULL, &error) < 0)
        hvs_log(HVS_LOG_DEBUG, "telling the service manager: %s", error->message);
}

void
hvs_notify_format(const char *format, ...)
{
    g_autofree char *state = NULL;
    va_list arguments;

    va_start(arguments, format);
    state = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    hvs_notify(state);
}

static guint64
number_in(const char *variable, guint64 minimum, guint64 maximum)
{
    const char *string = g_getenv(variable);
    guint64 number = 0;

    if (string == NULL || !g_ascii_string_to_unsigned(string, 10, minimum, maximum, &number, NULL))
        return 0;
    return number;
}

guint
hvs_notify_watchdog_interval(void)
{
    guint64 microseconds = number_in("WATCHDOG_USEC", 1, (guint64)G_MAXUINT * 1000);

    /* A parent's watchdog is not ours. */
    if (g_getenv("WATCHDOG_PID") != NULL &&
        number_in("WATCHDOG_PID", 1, G_MAXINT) != (guint64)getpid())
        return 0;
    return microseconds == 0 ? 0 : MAX(1, (guint)(microseconds / 2000));
}
