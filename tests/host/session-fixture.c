#include "session-fixture.h"

#include "hvhost-protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Bytes of random data made at a time. */
#define CHUNK 65536u

const uint8_t bare_request[11] = { 3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0 };
const uint8_t bare_confirm[11] = { 3, 0, 0, 11, 6, 0xd0, 0, 0, 0x12, 0x34, 0 };

/* For the log on failure. */
static struct fixture *current;

static const char *
daemon_program(void)
{
    const char *program = g_getenv("HVSESSIOND_SIM");

    return program ? program : HVSESSIOND_SIM;
}

/* -- the log -- */

static void
print_log(int number)
{
    signal(number, SIG_DFL);
    for (guint i = 0; current && current->daemon.lines && i < current->daemon.lines->len; i++)
        fprintf(stderr, "| %s\n", (const char *)g_ptr_array_index(current->daemon.lines, i));
    for (unsigned i = 0; current && current->host && hvhost_breach(current->host, i); i++)
        fprintf(stderr, "breach: %s\n", hvhost_breach(current->host, i));
    raise(number);
}

static void *
read_log(void *data)
{
    struct daemon *daemon = data;
    FILE *file = fdopen(daemon->log_fd, "r");
    char *line = NULL;
    size_t size = 0;

    g_assert_nonnull(file);
    while (getline(&line, &size, file) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        pthread_mutex_lock(&daemon->lock);
        g_ptr_array_add(daemon->lines, g_strdup(line));
        pthread_cond_broadcast(&daemon->cond);
        pthread_mutex_unlock(&daemon->lock);
    }
    free(line);
    fclose(file);
    pthread_mutex_lock(&daemon->lock);
    daemon->ended = true;
    pthread_cond_broadcast(&daemon->cond);
    pthread_mutex_unlock(&daemon->lock);
    return NULL;
}

size_t
log_position(struct fixture *f)
{
    size_t position;

    pthread_mutex_lock(&f->daemon.lock);
    position = f->daemon.lines->len;
    pthread_mutex_unlock(&f->daemon.lock);
    return position;
}

/* The first match from position on, under the lock. */
static const char *
find_line(struct daemon *daemon, size_t position, GRegex *regex, size_t *found)
{
    for (size_t i = position; i < daemon->lines->len; i++) {
        const char *line = g_ptr_array_index(daemon->lines, i);

        *found = i;
        if (g_regex_match(regex, line, 0, NULL))
            return line;
    }
    return NULL;
}

static GRegex *
regex_of(const char *expression)
{
    GRegex *regex = g_regex_new(expression, 0, 0, NULL);

    g_assert_nonnull(regex);
    return regex;
}

const char *
log_wait(struct fixture *f, size_t *position, const char *expression)
{
    g_autoptr(GRegex) regex = regex_of(expression);
    struct timespec deadline;
    const char *line;
    size_t found;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT / 1000;
    pthread_mutex_lock(&f->daemon.lock);
    while (!(line = find_line(&f->daemon, position ? *position : 0, regex, &found)))
        if (f->daemon.ended ||
            pthread_cond_timedwait(&f->daemon.cond, &f->daemon.lock, &deadline) != 0)
            break;
    pthread_mutex_unlock(&f->daemon.lock);
    if (!line)
        g_error("the daemon did not log \"%s\"", expression);
    if (position)
        *position = found + 1;
    return line;
}

bool
log_has(struct fixture *f, size_t position, const char *expression)
{
    g_autoptr(GRegex) regex = regex_of(expression);
    size_t found;
    bool has;

    pthread_mutex_lock(&f->daemon.lock);
    has = find_line(&f->daemon, position, regex, &found) != NULL;
    pthread_mutex_unlock(&f->daemon.lock);
    return has;
}

/* -- the daemon -- */

void
write_config(struct fixture *f, const char *server, const char *settings)
{
    g_autofree char *text = g_strdup_printf("[hvsession]\nServer=%s\nLogLevel=info\n%s\n", server,
                                            settings ? settings : "");

    g_assert_true(g_file_set_contents(f->config, text, -1, NULL));
}

/* The daemon does not outlive a test that fails. */
static void
die_with_parent(gpointer user_data)
{
    (void)user_data;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* bus: never the machine's own. */
static char **
daemon_environment(const char *socket, const char *hvsocket, const char *bus)
{
    char **environment = g_get_environ();

    environment = g_environ_setenv(environment, "LC_ALL", "C", TRUE);
    environment = g_environ_setenv(environment, "G_DEBUG", "fatal-criticals", TRUE);
    environment = g_environ_unsetenv(environment, "NOTIFY_SOCKET");
    environment = g_environ_setenv(environment, "DBUS_SYSTEM_BUS_ADDRESS",
                                   bus ? bus : "unix:path=/nonexistent/bus", TRUE);
    if (socket)
        environment = g_environ_setenv(environment, HVHOST_ENVIRONMENT, socket, TRUE);
    if (hvsocket)
        environment = g_environ_setenv(environment, "HVSOCKET_SIM", hvsocket, TRUE);
    return environment;
}

void
start_daemon(struct fixture *f)
{
    const char *arguments[] = { daemon_program(), "--config", f->config,
                                f->root ? "--root" : NULL, f->root, NULL };
    g_auto(GStrv) environment = daemon_environment(f->socket, f->hvsocket, f->bus);
    GError *error = NULL;

    if (!g_spawn_async_with_pipes(NULL, (char **)arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD,
                                  die_with_parent, NULL, &f->daemon.pid, NULL, NULL,
                                  &f->daemon.log_fd, &error))
        g_error("%s", error->message);
    if (f->daemon.lines == NULL) {
        f->daemon.lines = g_ptr_array_new_with_free_func(g_free);
        pthread_mutex_init(&f->daemon.lock, NULL);
        pthread_cond_init(&f->daemon.cond, NULL);
    }
    f->daemon.ended = false;
    g_assert_cmpint(pthread_create(&f->daemon.reader, NULL, read_log, &f->daemon), ==, 0);
}

void
signal_daemon(struct fixture *f, int number)
{
    g_assert_cmpint(kill(f->daemon.pid, number), ==, 0);
}

int
wait_daemon(struct fixture *f)
{
    int status;

    g_assert_cmpint(waitpid(f->daemon.pid, &status, 0), ==, f->daemon.pid);
    f->daemon.pid = 0;
    pthread_join(f->daemon.reader, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

unsigned
daemon_descriptors(const struct fixture *f)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", f->daemon.pid);
    GDir *directory = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    g_assert_nonnull(directory);
    while (g_dir_read_name(directory))
        count++;
    g_dir_close(directory);
    return count;
}

unsigned
daemon_memory(const struct fixture *f)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", f->daemon.pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned sum = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "Private_Dirty:") || g_str_has_prefix(*line, "Swap:"))
            sum += (unsigned)strtoul(strchr(*line, ':') + 1, NULL, 10);
    return sum;
}

void
wait_daemon_idle(struct fixture *f)
{
    size_t position = log_position(f);

    signal_daemon(f, SIGUSR1);
    log_wait(f, &position, " status");
}

int
run_program(const char *const *arguments, char **output, char **errors)
{
    g_auto(GStrv) environment = daemon_environment(NULL, NULL, NULL);
    GPtrArray *all = g_ptr_array_new();
    GError *error = NULL;
    int status;

    environment = g_environ_unsetenv(environment, HVHOST_ENVIRONMENT);
    g_ptr_array_add(all, (gpointer)daemon_program());
    for (; *arguments; arguments++)
        g_ptr_array_add(all, (gpointer)*arguments);
    g_ptr_array_add(all, NULL);
    if (!g_spawn_sync(NULL, (char **)all->pdata, environment, 0, NULL, NULL, output, errors,
                      &status, &error))
        g_error("%s", error->message);
    g_ptr_array_unref(all);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* -- set-up -- */

void
start_host(struct fixture *f, void (*adjust)(struct hvhost_options *options))
{
    struct hvhost_options options;

    hvhost_options_init(&options, f->socket);
    if (g_test_verbose())
        options.log = stderr;
    if (adjust)
        adjust(&options);
    f->host = hvhost_new(&options);
    g_assert_nonnull(f->host);
}

void
stop_host(struct fixture *f)
{
    for (unsigned i = 0; hvhost_breach(f->host, i); i++)
        g_error("the daemon broke the protocol: %s", hvhost_breach(f->host, i));
    g_clear_pointer(&f->host, hvhost_free);
}

void
set_up(struct fixture *f, const struct setup *setup)
{
    *f = (struct fixture){ .listener = -1, .bus = setup->bus, .root = setup->root };
    current = f;
    signal(SIGABRT, print_log);
    signal(SIGTRAP, print_log);
    signal(SIGPIPE, SIG_IGN);
    f->directory = g_dir_make_tmp("test-sessions-XXXXXX", NULL);
    g_assert_nonnull(f->directory);
    f->socket = g_build_filename(f->directory, "host", NULL);
    f->config = g_build_filename(f->directory, "hvsession.conf", NULL);
    f->hvsocket = g_build_filename(f->directory, "hvsocket", NULL);
    if (setup->server)
        f->server = g_strdup(setup->server);
    else
        f->listener = serve_tcp("127.0.0.1", true, &f->server);
    write_config(f, f->server, setup->settings);
    if (!setup->no_host)
        start_host(f, setup->adjust);
    if (!setup->no_daemon)
        start_daemon(f);
    if (!setup->no_host && !setup->no_daemon && hvhost_is_offered(f->host, 0) &&
        !hvhost_wait_ready(f->host, WAIT))
        g_error("the version was not exchanged");
}

static void
remove_tree(const char *path)
{
    GDir *directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory && (name = g_dir_read_name(directory))) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        remove_tree(entry);
    }
    if (directory)
        g_dir_close(directory);
    g_remove(path);
}

void
tear_down(struct fixture *f)
{
    if (f->daemon.pid) {
        signal_daemon(f, SIGTERM);
        g_assert_cmpint(wait_daemon(f), ==, 0);
    }
    if (f->host)
        stop_host(f);
    if (f->daemon.lines) {
        g_assert_false(log_has(f, 0, "CRITICAL|runtime error|Sanitizer|a session did not end"));
        g_clear_pointer(&f->daemon.lines, g_ptr_array_unref);
        pthread_mutex_destroy(&f->daemon.lock);
        pthread_cond_destroy(&f->daemon.cond);
    }
    if (f->listener >= 0)
        close(f->listener);
    remove_tree(f->directory);
    g_free(f->directory);
    g_free(f->socket);
    g_free(f->config);
    g_free(f->hvsocket);
    g_free(f->server);
    current = NULL;
}

/* -- the server -- */

int
serve_tcp(const char *host, bool listening, char **address)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    bool is_v6 = strchr(host, ':') != NULL;
    struct sockaddr *where = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t length = is_v6 ? sizeof v6 : sizeof v4;
    int fd = socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        inet_pton(where->sa_family, host, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) !=
            1 ||
        bind(fd, where, length) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (listening)
        g_assert_cmpint(listen(fd, 64), ==, 0);
    g_assert_cmpint(getsockname(fd, where, &length), ==, 0);
    *address = g_strdup_printf(is_v6 ? "tcp:[%s]:%u" : "tcp:%s:%u", host,
                               ntohs(is_v6 ? v6.sin6_port : v4.sin_port));
    return fd;
}

int
serve_unix(struct fixture *f, const char *name, char **address)
{
    g_autofree char *path = g_build_filename(f->directory, name, NULL);
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(where.sun_path, path, sizeof where.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&where, sizeof where), ==, 0);
    g_assert_cmpint(listen(fd, 64), ==, 0);
    *address = g_strconcat("unix:", path, NULL);
    return fd;
}

static void
wait_for_fd(int fd, short events, const char *what)
{
    struct pollfd poll_fd = { .fd = fd, .events = events };

    if (poll(&poll_fd, 1, WAIT) != 1)
        g_error("%s", what);
}

int
accept_server(int listener)
{
    struct timeval timeout = { .tv_sec = WAIT / 1000 };
    int fd;

    wait_for_fd(listener, POLLIN, "the daemon did not connect to the server");
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}

void
receive_all(int fd, void *bytes, size_t length)
{
    ssize_t n = recv(fd, bytes, length, MSG_WAITALL);

    if (n != (ssize_t)length)
        g_error("the server received %zd of %zu bytes: %s", n, length,
                n < 0 ? g_strerror(errno) : "the stream ended");
}

void
send_all(int fd, const void *bytes, size_t length)
{
    ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

    if (n != (ssize_t)length)
        g_error("the server sent %zd of %zu bytes: %s", n, length,
                n < 0 ? g_strerror(errno) : "it was blocked");
}

bool
receive_end(int fd)
{
    char bytes[4096];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    if (n < 0 && errno != ECONNRESET && errno != EPIPE)
        g_error("the server did not get the end of its stream: %s", g_strerror(errno));
    return n == 0;
}

/* -- sessions -- */

static void
fail_channel(struct session *session, const char *what, int error)
{
    struct hvhost_counters counters;

    hvhost_channel_counters(session->channel, &counters);
    g_error("the host could not %s channel %u: %s; unread by the guest %u bytes, by the host %u; "
            "%" G_GUINT64_FORMAT " signals to the guest, %" G_GUINT64_FORMAT " from it",
            what, session->number, g_strerror(error), counters.unread_by_guest,
            counters.unread_by_host, counters.signals_to_guest, counters.signals_from_guest);
}

void
host_write(struct session *session, const void *bytes, size_t length)
{
    int error = 0;

    if (session->socket >= 0)
        send_all(session->socket, bytes, length);
    else
        error = hvhost_channel_write(session->channel, bytes, length, WAIT);
    if (error)
        fail_channel(session, "write on", -error);
}

void
host_read(struct session *session, void *bytes, size_t length)
{
    int error = 0;

    if (session->socket >= 0)
        receive_all(session->socket, bytes, length);
    else
        error = hvhost_channel_read_all(session->channel, bytes, length, WAIT);
    if (error)
        fail_channel(session, "read from", -error);
}

void
begin_session(struct session *session, struct fixture *f, unsigned number)
{
    *session = (struct session){
        .f = f,
        .number = number,
        .socket = -1,
        .server = -1,
        .log = f->daemon.lines ? log_position(f) : 0
    };
    session->channel = hvhost_connect(f->host, number, WAIT);
    if (!session->channel)
        g_error("channel %u was not opened", number);
}

int
call_hvsocket(const struct fixture *f, unsigned cid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (cid != 0) {
        g_snprintf(address.sun_path, sizeof address.sun_path, "%s/cid-%u", f->directory, cid);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
        g_unlink(address.sun_path);
    }
    address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    g_strlcpy(address.sun_path, f->hvsocket, sizeof address.sun_path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

void
begin_socket_session(struct session *session, struct fixture *f)
{
    const char *line;

    *session = (struct session){ .f = f, .server = -1, .log = log_position(f) };
    session->socket = call_hvsocket(f, 0);
    g_assert_cmpint(session->socket, >=, 0);
    line = log_wait(f, &session->log, "session [0-9]+: started, over HvSocket");
    session->number = (unsigned)strtoul(strstr(line, "session ") + strlen("session "), NULL, 10);
}

void
answer_request(struct session *session)
{
    uint8_t bytes[sizeof bare_confirm + 1] = { 0 };

    session->server = accept_server(session->f->listener);
    receive_all(session->server, bytes, sizeof bare_request);
    g_assert_true(memcmp(bytes, bare_request, sizeof bare_request) == 0);
    memcpy(bytes, bare_confirm, sizeof bare_confirm);
    bytes[sizeof bare_confirm] = 0;
    send_all(session->server, bytes, sizeof bytes);
    host_read(session, bytes, sizeof bytes);
    g_assert_true(memcmp(bytes, bare_confirm, sizeof bare_confirm) == 0);
}

void
negotiate(struct session *session)
{
    host_write(session, bare_request, sizeof bare_request);
    answer_request(session);
}

void
start_session(struct session *session, struct fixture *f, unsigned number)
{
    begin_session(session, f, number);
    negotiate(session);
}

void
check_session(struct session *session)
{
    uint8_t sent[600], received[sizeof sent];

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)g_test_rand_int();
    host_write(session, sent, sizeof sent);
    receive_all(session->server, received, sizeof received);
    g_assert_true(memcmp(sent, received, sizeof sent) == 0);
    send_all(session->server, sent, sizeof sent);
    memset(received, 0, sizeof received);
    host_read(session, received, sizeof received);
    g_assert_true(memcmp(sent, received, sizeof sent) == 0);
}

void
end_session(struct session *session, const char *reason)
{
    g_autofree char *expression =
        g_strdup_printf("%s %u: ended after .*\\(([a-z-]+)\\)",
                        session->socket >= 0 ? "session" : "channel", session->number);
    g_autofree char *wanted = g_strdup_printf("(%s)", reason);
    const char *line;

    if (session->channel && !hvhost_channel_wait_closed(session->channel, WAIT))
        g_error("the daemon did not close channel %u", session->number);
    line = log_wait(session->f, &session->log, expression);
    if (!strstr(line, wanted))
        g_error("the session ended otherwise than as %s: %s", reason, line);
    if (session->channel)
        hvhost_rescind(session->f->host, session->number);
    g_clear_pointer(&session->channel, hvhost_channel_unref);
    if (session->socket >= 0)
        close(session->socket);
    session->socket = -1;
    if (session->server >= 0)
        close(session->server);
    session->server = -1;
}

guint
server_port(const struct fixture *f)
{
    return (guint)g_ascii_strtoull(strrchr(f->server, ':') + 1, NULL, 10);
}

void
refuse_session(struct fixture *f, unsigned number, uint8_t failure_code)
{
    /* RDP_NEG_REQ and RDP_NEG_FAILURE, [MS-RDPBCGR] 2.2.1.1.1 and 2.2.1.2.2 */
    static const uint8_t request[19] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0,
                                         0, 1, 0, 8,  0,  0x0b, 0, 0, 0 };
    const uint8_t failure[19] = { 3, 0, 0, 19, 14, 0xd0,         0, 0, 0x12, 0x34,
                                  0, 3, 0, 8,  0,  failure_code, 0, 0, 0 };
    uint8_t bytes[sizeof failure];
    struct session session;

    begin_session(&session, f, number);
    host_write(&session, request, sizeof request);
    session.server = accept_server(f->listener);
    receive_all(session.server, bytes, sizeof request);
    send_all(session.server, failure, sizeof failure);
    host_read(&session, bytes, sizeof failure);
    shutdown(session.server, SHUT_RDWR);
    end_session(&session, "server-refused");
}

void
expect_working(struct fixture *f, unsigned number)
{
    struct session session;

    start_session(&session, f, number);
    check_session(&session);
    hvhost_rescind(f->host, number);
    end_session(&session, "host-rescinded");
}

/* -- bulk -- */

static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static gpointer
send_stream(gpointer data)
{
    struct stream *stream = data;
    uint64_t state = stream->seed | 1, left = stream->length;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree uint64_t *chunk = g_malloc(CHUNK);

    while (left > 0) {
        size_t length = (size_t)(1 + next_random(&state) % stream->piece_max);

        if (length > left)
            length = (size_t)left;
        for (size_t i = 0; i < (length + 7) / 8; i++)
            chunk[i] = next_random(&state);
        g_checksum_update(sum, (guchar *)chunk, (gssize)length);
        if (stream->to_server)
            host_write(stream->session, chunk, length);
        else
            send_all(stream->session->server, chunk, length);
        left -= length;
    }
    if (stream->to_server && stream->session->socket >= 0)
        g_assert_cmpint(shutdown(stream->session->socket, SHUT_WR), ==, 0);
    else if (stream->to_server)
        g_assert_cmpint(hvhost_channel_write_end(stream->session->channel, WAIT), ==, 0);
    else
        g_assert_cmpint(shutdown(stream->session->server, SHUT_WR), ==, 0);
    stream->sent = g_strdup(g_checksum_get_string(sum));
    return NULL;
}

static gpointer
receive_stream(gpointer data)
{
    struct stream *stream = data;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree guchar *chunk = g_malloc(CHUNK);
    ssize_t n;

    for (;;) {
        n = stream->to_server             ? recv(stream->session->server, chunk, CHUNK, 0)
            : stream->session->socket >= 0 ? recv(stream->session->socket, chunk, CHUNK, 0)
                                           : hvhost_channel_read(stream->session->channel, chunk,
                                                                 CHUNK, WAIT);
        if (n <= 0)
            break;
        g_checksum_update(sum, chunk, n);
        stream->received_length += (uint64_t)n;
    }
    if (n < 0)
        g_error("after %" G_GUINT64_FORMAT " bytes to the %s: %s", stream->received_length,
                stream->to_server ? "server" : "host",
                g_strerror(stream->to_server ? errno : (int)-n));
    stream->received = g_strdup(g_checksum_get_string(sum));
    return NULL;
}

void
start_stream(struct stream *stream)
{
    stream->sender = g_thread_new("sender", send_stream, stream);
    stream->receiver = g_thread_new("receiver", receive_stream, stream);
}

void
finish_stream(struct stream *stream)
{
    g_thread_join(stream->sender);
    g_thread_join(stream->receiver);
    g_assert_cmpuint(stream->received_length, ==, stream->length);
    g_assert_cmpstr(stream->received, ==, stream->sent);
    g_free(stream->sent);
    g_free(stream->received);
}
