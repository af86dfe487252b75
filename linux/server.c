#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* A server that starts up is there soon; one that is down need not be asked often. */
#define PAUSE_FIRST 100u  /* milliseconds */
#define PAUSE_MAX   1000u
/* A server that does not even refuse keeps the next one waiting that long, in microseconds. */
#define ATTEMPT_MAX (2 * G_USEC_PER_SEC)

struct attempt {
    GMainContext       *context;
    GCancellable       *cancellable;
    GSocketConnection  *connection;
    GError             *error;
    gboolean            finished;
};

static GSocketConnectable *
connectable_of(const struct hvs_server_address *address)
{
    if (address->kind == HVS_SERVER_UNIX)
        return G_SOCKET_CONNECTABLE(g_unix_socket_address_new(address->host));
    return g_network_address_new(address->host, address->port);
}

static void
on_connected(GObject *client, GAsyncResult *result, gpointer user_data)
{
    struct attempt *attempt = user_data;

    attempt->connection =
        g_socket_client_connect_finish(G_SOCKET_CLIENT(client), result, &attempt->error);
    attempt->finished = TRUE;
}

/* While nobody listens on a port of the ephemeral range, TCP may connect it to itself. */
static gboolean
is_connected_to_itself(GSocket *socket)
{
    struct sockaddr_storage local = { 0 }, remote = { 0 };
    socklen_t local_size = sizeof(local), remote_size = sizeof(remote);
    int fd = g_socket_get_fd(socket);

    return g_socket_get_family(socket) != G_SOCKET_FAMILY_UNIX &&
           getsockname(fd, (struct sockaddr *)&local, &local_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&remote, &remote_size) == 0 &&
           local_size == remote_size && memcmp(&local, &remote, local_size) == 0;
}

/* A descriptor of our own for the connection, set up for a relay. */
static int
take_descriptor(GSocketConnection *connection, GError **error)
{
    GSocket *socket = g_socket_connection_get_socket(connection);
    int fd;

    if (is_connected_to_itself(socket)) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED,
                            "Connection refused");
        return -1;
    }
    /* PDUs are small and somebody waits for each. */
    if (g_socket_get_family(socket) != G_SOCKET_FAMILY_UNIX &&
        !g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, TRUE, error))
        return -1;
    /* Non-blocking like the one that GIO made: both are one open file. */
    fd = fcntl(g_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), "%s", g_strerror(code));
    }
    return fd;
}

static int
connect_once(const struct hvs_server_address *address, struct attempt *attempt, gint64 deadline,
             GError **error)
{
    g_autoptr(GSocketConnectable) connectable = connectable_of(address);
    g_autoptr(GSocketClient) client = g_socket_client_new();
    gint64 left = deadline - g_get_monotonic_time();
    int fd = -1;

    g_socket_client_set_enable_proxy(client, FALSE);
    /* In whole seconds; 0 would mean for ever. */
    g_socket_client_set_timeout(client, (guint)(MAX(left, 0) / G_USEC_PER_SEC + 1));
    attempt->finished = FALSE;
    g_socket_client_connect_async(client, connectable, attempt->cancellable, on_connected, attempt);
    while (!attempt->finished)
        g_main_context_iteration(attempt->context, TRUE);
    if (attempt->connection == NULL) {
        g_propagate_error(error, g_steal_pointer(&attempt->error));
        return -1;
    }
    fd = take_descriptor(attempt->connection, error);
    g_clear_object(&attempt->connection);
    return fd;
}

static gboolean
on_pause_over(gpointer user_data)
{
    gboolean *over = user_data;

    *over = TRUE;
    return G_SOURCE_REMOVE;
}

static void
pause_for(struct attempt *attempt, guint milliseconds)
{
    g_autoptr(GSource) timer = g_timeout_source_new(milliseconds);
    gboolean over = FALSE;

    g_source_set_callback(timer, on_pause_over, &over, NULL);
    g_source_attach(timer, attempt->context);
    /* Who cancels does it in one of these iterations. */
    while (!over && !g_cancellable_is_cancelled(attempt->cancellable))
        g_main_context_iteration(attempt->context, TRUE);
    g_source_destroy(timer);
}

/* One round over all servers. Collects the failures as "tcp:…: why; unix:…: why". */
static int
connect_to_any(const struct hvs_server_address *servers, unsigned count, struct attempt *attempt,
               gint64 deadline, unsigned *which, GString *failures)
{
    g_string_truncate(failures, 0);
    for (unsigned i = 0; i < count; i++) {
        g_autoptr(GError) local_error = NULL;
        char name[HVS_SERVER_HOST_MAX + 16];
        struct hvs_text text;
        gint64 until = i + 1 < count ? MIN(deadline, g_get_monotonic_time() + ATTEMPT_MAX) :
                                       deadline;
        int fd = connect_once(&servers[i], attempt, until, &local_error);

        if (fd >= 0) {
            *which = i;
            return fd;
        }
        if (g_cancellable_is_cancelled(attempt->cancellable))
            return -1;
        hvs_text_init(&text, name, sizeof(name));
        hvs_server_address_print(&servers[i], &text);
        g_string_append_printf(failures, "%s%s: %s", i > 0 ? "; " : "", name,
                               local_error->message);
    }
    return -1;
}

static int
connect_in_time(const struct hvs_server_address *servers, unsigned count, uint32_t timeout,
                struct attempt *attempt, unsigned *which, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout * 1000;
    g_autoptr(GString) failures = g_string_new(NULL);
    guint pause = PAUSE_FIRST;

    for (;;) {
        int fd = connect_to_any(servers, count, attempt, deadline, which, failures);
        gint64 left = (deadline - g_get_monotonic_time()) / 1000;

        if (fd >= 0)
            return fd;
        if (g_cancellable_set_error_if_cancelled(attempt->cancellable, error))
            return -1;
        if (left <= 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s", failures->str);
            return -1;
        }
        pause_for(attempt, MIN(pause, (guint)left));
        pause = MIN(pause * 2, PAUSE_MAX);
    }
}

int
hvs_server_connect(const struct hvs_server_address *servers, unsigned count, uint32_t timeout,
                   const struct hvs_server_watch *watches, unsigned watch_count, gpointer user_data,
                   GCancellable *cancellable, unsigned *which, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    struct attempt attempt = { .context = context, .cancellable = cancellable };
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func((GDestroyNotify)g_source_unref);
    int fd;

    g_main_context_push_thread_default(context);
    for (unsigned i = 0; i < watch_count; i++) {
        /* GIOCondition has the values of poll(). */
        GSource *source = g_unix_fd_source_new(
            watches[i].fd, (GIOCondition)watches[i].events | G_IO_ERR | G_IO_HUP);

        g_source_set_callback(source, G_SOURCE_FUNC(watches[i].ready), user_data, NULL);
        g_source_attach(source, context);
        g_ptr_array_add(sources, source);
    }
    fd = connect_in_time(servers, count, timeout, &attempt, which, error);
    for (unsigned i = 0; i < sources->len; i++)
        g_source_destroy(g_ptr_array_index(sources, i));
    g_main_context_pop_thread_default(context);
    return fd;
}
