/* hyperv-sim: the simulated Hyper-V host as a program.
 *
 * A TCP client of its port is a user who connects in vmconnect: a data channel is offered to the
 * guest, bytes go both ways, the channel is rescinded when the client leaves, and the client is
 * dropped when the guest closes the channel. Five at once, the rest wait.
 *
 * Commands come as lines through --control (and standard input with --exit-with-stdin); each is
 * answered with "ok …" or "error …". In between come events, all since the start:
 *     event NUMBER MILLISECONDS NAME [CHANNEL] [DETAIL]
 * The words are those of the QEMU device of tests/vm.
 */
#include "hvhost.h"
#include "sim-pump.h"

#include <gio/gio.h>
#include <glib-unix.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EXIT_BREACH    1
#define EXIT_USAGE     2
#define LINE_MAX_BYTES 4096

/* Events of the clients, numbered behind those of the host. */
enum {
    NOTE_CLIENT = HVHOST_EVENTS,
    NOTE_CLIENT_WAITS,
    NOTE_CLIENT_GONE,
    NOTE_CLIENT_EOF,
    NOTE_GUEST_EOF,
    NOTES
};

/* Something that happened, in whatever thread; main acts on it. */
struct note {
    int kind;
    unsigned channel;
    bool done; /* a pump has ended */
};

struct sim;

struct slot {
    struct pump *pump;
    bool held;             /* not offered to new clients */
    bool rescind_on_offer; /* the next one */
};

/* Someone who gives commands. */
struct speaker {
    struct sim *sim;
    int in, out;
    GString *line;
    GSource *readable;
    /* The wait command, until it is answered. */
    int wait_kind; /* -1: none */
    unsigned wait_channel, wait_count;
    GSource *wait_timer;
};

struct sim {
    /* options */
    char *socket_path, *listen, *control_path, *pipe, *mask;
    gint ring_size, packet_max;
    gboolean verbose, json, exit_with_stdin, no_control_offer, kernel_masks;
    char *tcp_eof;

    hvhost *host;
    GMainLoop *loop;
    int listener, control;
    int notes[2]; /* a pipe */
    struct slot slots[HVHOST_CHANNELS];
    GQueue waiting;    /* clients' descriptors */
    GPtrArray *events; /* lines */
    unsigned counts[NOTES][HVHOST_CHANNELS];
    GPtrArray *speakers;
    struct pump_options pump_options;
    gint64 started;
    enum hvhost_version_policy version;
    unsigned version_delay;
    uint64_t bytes_to_guest, bytes_from_guest; /* of channels that are over */
};

static void serve_waiting(struct sim *sim);
static void speaker_run(struct speaker *speaker);

/* -- events -- */

static const char *
note_name(int kind)
{
    static const char *const names[] = { "client", "client-waits", "client-gone", "client-eof",
                                         "guest-eof" };

    return kind < HVHOST_EVENTS ? hvhost_event_name((enum hvhost_event)kind)
                                : names[kind - HVHOST_EVENTS];
}

static void
say(int fd, const char *line)
{
    g_autofree char *text = g_strconcat(line, "\n", NULL);
    struct pollfd listens = { .fd = fd, .events = POLLOUT };

    /* A speaker that does not listen is not waited for. A pipe that is writable takes a page; that
     * it does not block cannot be asked of it, since others share it. */
    if (poll(&listens, 1, 0) != 1 || write(fd, text, strlen(text)) < 0)
        return;
}

static void
answer_waits(struct sim *sim)
{
    for (guint i = 0; i < sim->speakers->len; i++) {
        struct speaker *speaker = g_ptr_array_index(sim->speakers, i);

        if (speaker->wait_kind < 0 ||
            sim->counts[speaker->wait_kind][speaker->wait_channel] < speaker->wait_count)
            continue;
        speaker->wait_kind = -1;
        g_clear_pointer(&speaker->wait_timer, g_source_destroy);
        say(speaker->out, "ok");
        speaker_run(speaker);
    }
}

static void
tell_event(struct sim *sim, int kind, unsigned channel)
{
    gint64 now = (g_get_monotonic_time() - sim->started) / 1000;
    const char *detail = "";
    char *line;

    sim->counts[kind][channel]++;
    if (kind == HVHOST_BREACH) {
        unsigned breaches = hvhost_breaches(sim->host);

        detail = hvhost_breach(sim->host, MIN(breaches, 16) - 1);
    }
    line = kind == HVHOST_GUEST_CONNECTED || kind == HVHOST_GUEST_GONE || kind == NOTE_CLIENT_WAITS
               ? g_strdup_printf("event %u %" G_GINT64_FORMAT " %s", sim->events->len, now,
                                 note_name(kind))
               : g_strdup_printf("event %u %" G_GINT64_FORMAT " %s %u%s%s", sim->events->len, now,
                                 note_name(kind), channel, detail[0] ? " " : "", detail);
    g_ptr_array_add(sim->events, line);
    if (sim->verbose || kind == HVHOST_BREACH)
        fprintf(stderr, "hyperv-sim: %s\n", line + strlen("event "));
    for (guint i = 0; i < sim->speakers->len; i++)
        say(((struct speaker *)g_ptr_array_index(sim->speakers, i))->out, line);
    answer_waits(sim);
}

static void
send_note(struct sim *sim, struct note note)
{
    if (write(sim->notes[1], &note, sizeof note) != sizeof note)
        abort();
}

static void
on_host_event(hvhost *host, enum hvhost_event event, unsigned channel, void *user_data)
{
    (void)host;
    send_note(user_data, (struct note){ .kind = (int)event, .channel = channel });
}

static void
on_pump_event(void *user_data, unsigned channel, enum pump_event event)
{
    send_note(user_data, (struct note){ .kind = event == PUMP_CLIENT_EOF  ? NOTE_CLIENT_EOF
                                                : event == PUMP_GUEST_EOF ? NOTE_GUEST_EOF
                                                                          : NOTE_CLIENT_GONE,
                                        .channel = channel,
                                        .done = event == PUMP_DONE });
}

/* -- clients -- */

static void
end_pump(struct sim *sim, struct slot *slot)
{
    struct hvhost_counters counters;

    if (pump_counters(slot->pump, &counters)) {
        sim->bytes_to_guest += counters.bytes_to_guest;
        sim->bytes_from_guest += counters.bytes_from_guest;
    }
    g_clear_pointer(&slot->pump, pump_free);
}

static gboolean
on_note(gint fd, GIOCondition condition, gpointer user_data)
{
    struct sim *sim = user_data;
    struct note note;

    (void)condition;
    if (read(fd, &note, sizeof note) != sizeof note)
        return G_SOURCE_CONTINUE;
    if (note.done)
        end_pump(sim, &sim->slots[note.channel]);
    else if ((note.kind == HVHOST_OPENED || note.kind == HVHOST_RESCINDED) &&
             sim->slots[note.channel].pump)
        pump_wake(sim->slots[note.channel].pump);
    tell_event(sim, note.kind, note.channel);
    if (note.done)
        serve_waiting(sim);
    return G_SOURCE_CONTINUE;
}

static void
serve_client(struct sim *sim, unsigned channel, int client)
{
    struct slot *slot = &sim->slots[channel];
    struct pump_options options = sim->pump_options;

    options.rescind_on_offer = slot->rescind_on_offer;
    slot->rescind_on_offer = false;
    tell_event(sim, NOTE_CLIENT, channel);
    slot->pump = pump_new(sim->host, channel, client, &options);
}

/* Whoever has waited longest gets the first free channel. */
static void
serve_waiting(struct sim *sim)
{
    for (unsigned i = 1; i < HVHOST_CHANNELS && !g_queue_is_empty(&sim->waiting); i++)
        if (!sim->slots[i].pump && !sim->slots[i].held && !sim->slots[0].held)
            serve_client(sim, i, GPOINTER_TO_INT(g_queue_pop_head(&sim->waiting)));
}

static gboolean
on_client(gint fd, GIOCondition condition, gpointer user_data)
{
    struct sim *sim = user_data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    (void)condition;
    if (client < 0)
        return G_SOURCE_CONTINUE;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    g_queue_push_tail(&sim->waiting, GINT_TO_POINTER(client));
    serve_waiting(sim);
    if (!g_queue_is_empty(&sim->waiting))
        tell_event(sim, NOTE_CLIENT_WAITS, 0);
    return G_SOURCE_CONTINUE;
}

/* -- status -- */

static void
add_channel(GString *json, struct sim *sim, unsigned channel)
{
    struct hvhost_counters counters = { 0 };
    struct slot *slot = &sim->slots[channel];
    bool known = slot->pump && pump_counters(slot->pump, &counters);

    g_string_append_printf(
        json,
        "%s{\"channel\": %u, \"state\": \"%s\", \"held\": %s, \"client\": %s, "
        "\"bytes_to_guest\": %" G_GUINT64_FORMAT ", \"packets_to_guest\": %" G_GUINT64_FORMAT ", "
        "\"bytes_from_guest\": %" G_GUINT64_FORMAT ", \"packets_from_guest\": %" G_GUINT64_FORMAT
        ", \"signals_sent\": %" G_GUINT64_FORMAT ", \"signals_received\": %" G_GUINT64_FORMAT
        ", \"in_full\": %" G_GUINT64_FORMAT ", \"out_full\": %" G_GUINT64_FORMAT
        ", \"unread\": %u}",
        channel ? ", " : "", channel,
        known && counters.open                  ? "open"
        : hvhost_is_offered(sim->host, channel) ? "offered"
                                                : "free",
        slot->held ? "true" : "false", slot->pump ? "true" : "false", counters.bytes_to_guest,
        counters.packets_to_guest, counters.bytes_from_guest, counters.packets_from_guest,
        counters.signals_to_guest, counters.signals_from_guest, counters.times_full,
        counters.guest_times_full, counters.unread_by_host);
}

static char *
status(struct sim *sim)
{
    GString *json = g_string_new("{");

    g_string_append_printf(json, "\"connected\": %s, \"ready\": %s, \"breaches\": %u, ",
                           hvhost_count(sim->host, HVHOST_GUEST_CONNECTED, 0) >
                                   hvhost_count(sim->host, HVHOST_GUEST_GONE, 0)
                               ? "true"
                               : "false",
                           hvhost_wait_ready(sim->host, 0) ? "true" : "false",
                           hvhost_breaches(sim->host));
    g_string_append(json, "\"breach\": [");
    for (unsigned i = 0; hvhost_breach(sim->host, i); i++) {
        g_autofree char *text = g_strescape(hvhost_breach(sim->host, i), NULL);

        g_string_append_printf(json, "%s\"%s\"", i ? ", " : "", text);
    }
    g_string_append_printf(json, "], \"waiting\": %u, ", g_queue_get_length(&sim->waiting));
    for (int kind = 0; kind < NOTES; kind++) {
        unsigned sum = 0;

        for (unsigned i = 0; i < HVHOST_CHANNELS; i++)
            sum += sim->counts[kind][i];
        if (kind != HVHOST_BREACH)
            g_string_append_printf(json, "\"%s\": %u, ", note_name(kind), sum);
    }
    g_string_append_printf(json,
                           "\"finished_bytes_to_guest\": %" G_GUINT64_FORMAT
                           ", \"finished_bytes_from_guest\": %" G_GUINT64_FORMAT
                           ", \"channels\": [",
                           sim->bytes_to_guest, sim->bytes_from_guest);
    for (unsigned i = 0; i < HVHOST_CHANNELS; i++)
        add_channel(json, sim, i);
    g_string_append(json, "]}");
    return g_string_free(json, FALSE);
}

/* -- commands: false is an error; *answer goes behind "ok " -- */

static bool
parse_number(const char *text, uint64_t *value)
{
    return text && g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, value, NULL);
}

static bool
command_status(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    (void)channel;
    (void)words;
    *answer = status(speaker->sim);
    return true;
}

static bool
command_rescind(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    struct sim *sim = speaker->sim;
    struct slot *slot = &sim->slots[channel];
    uint64_t bytes;

    (void)answer;
    if (!words[0]) {
        slot->held = slot->held || channel == 0;
        return hvhost_rescind(sim->host, channel) == 0;
    }
    if (strcmp(words[0], "on-offer") == 0)
        slot->rescind_on_offer = true;
    else if (strcmp(words[0], "on-open") == 0)
        hvhost_rescind_on_open(sim->host, channel, true);
    else if (strcmp(words[0], "after-open") == 0)
        hvhost_rescind_on_open(sim->host, channel, false);
    else if (strcmp(words[0], "after") == 0 && parse_number(words[1], &bytes))
        hvhost_rescind_after(sim->host, channel, bytes);
    else
        return false;
    return true;
}

static bool
command_offer(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    (void)words;
    (void)answer;
    speaker->sim->slots[channel].held = false;
    if (channel == 0)
        hvhost_offer(speaker->sim->host, 0);
    serve_waiting(speaker->sim);
    return true;
}

static bool
command_hold(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    (void)words;
    (void)answer;
    speaker->sim->slots[channel].held = true;
    return true;
}

static bool
command_version(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    struct sim *sim = speaker->sim;
    uint64_t ms;
    int policy;

    (void)channel;
    (void)answer;
    if (strcmp(words[0], "delay") == 0) {
        if (!parse_number(words[1], &ms))
            return false;
        sim->version_delay = (unsigned)ms;
    } else {
        for (policy = 0; policy <= HVHOST_VERSION_SHORT; policy++)
            if (strcmp(words[0], hvhost_version_policy_name((enum hvhost_version_policy)policy)) ==
                0)
                break;
        if (policy > HVHOST_VERSION_SHORT)
            return false;
        sim->version = (enum hvhost_version_policy)policy;
        if (sim->version == HVHOST_VERSION_ACCEPT)
            sim->version_delay = 0;
    }
    hvhost_set_version(sim->host, sim->version, sim->version_delay);
    return true;
}

static bool
command_pipe(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    (void)channel;
    (void)answer;
    speaker->sim->pump_options.random_packets = strcmp(words[0], "byte") == 0;
    return strcmp(words[0], "byte") == 0 || strcmp(words[0], "message") == 0;
}

static bool
command_message_size(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    uint64_t bytes;

    (void)channel;
    (void)answer;
    if (!parse_number(words[0], &bytes) || bytes == 0 || bytes > HVHOST_PIPE_MAX)
        return false;
    speaker->sim->pump_options.packet_max = (uint32_t)bytes;
    return true;
}

static bool
command_reader(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    struct pump *pump = speaker->sim->slots[channel].pump;
    uint64_t bytes = 0, ms = 0;

    (void)answer;
    if (!pump)
        return false;
    if (strcmp(words[0], "run") == 0)
        pump_set_reader(pump, PUMP_READER_RUN, 0, 0);
    else if (strcmp(words[0], "pause") == 0)
        pump_set_reader(pump, PUMP_READER_PAUSE, 0, 0);
    else if (strcmp(words[0], "slow") == 0 && parse_number(words[1], &bytes) &&
             parse_number(words[2], &ms))
        pump_set_reader(pump, PUMP_READER_SLOW, (uint32_t)bytes, (unsigned)ms);
    else
        return false;
    return true;
}

static bool
command_corrupt(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    struct pump *pump = speaker->sim->slots[channel].pump;

    (void)answer;
    for (unsigned i = 0; pump && i < HVHOST_CORRUPTIONS; i++)
        if (strcmp(words[0], hvhost_corruption_name((enum hvhost_corruption)i)) == 0) {
            pump_corrupt(pump, (enum hvhost_corruption)i);
            return true;
        }
    return false;
}

static bool
command_signal(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    struct pump *pump = speaker->sim->slots[channel].pump;

    (void)words;
    (void)answer;
    return pump && pump_signal(pump);
}

static bool
command_tcp_eof(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    (void)channel;
    (void)answer;
    speaker->sim->pump_options.half_close = strcmp(words[0], "half-close") == 0;
    return speaker->sim->pump_options.half_close || strcmp(words[0], "rescind") == 0;
}

static bool
command_drop_guest(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    (void)channel;
    (void)words;
    (void)answer;
    hvhost_drop_guest(speaker->sim->host);
    return true;
}

static gboolean
on_wait_timeout(gpointer user_data)
{
    struct speaker *speaker = user_data;

    speaker->wait_kind = -1;
    speaker->wait_timer = NULL;
    say(speaker->out, "error time is over");
    speaker_run(speaker);
    return G_SOURCE_REMOVE;
}

/* The answer comes when it has happened: *answer stays NULL and nothing is said yet. */
static bool
command_wait(struct speaker *speaker, unsigned channel, char **words, char **answer)
{
    struct sim *sim = speaker->sim;
    uint64_t count, ms;
    int kind = 0;

    while (kind < NOTES && strcmp(words[0], note_name(kind)) != 0)
        kind++;
    if (kind == NOTES || !parse_number(words[1], &count) || !parse_number(words[2], &ms))
        return false;
    if (sim->counts[kind][channel] >= count) {
        *answer = g_strdup("");
        return true;
    }
    speaker->wait_kind = kind;
    speaker->wait_channel = channel;
    speaker->wait_count = (unsigned)count;
    speaker->wait_timer = g_timeout_source_new((guint)ms);
    g_source_set_callback(speaker->wait_timer, on_wait_timeout, speaker, NULL);
    g_source_attach(speaker->wait_timer, NULL);
    g_source_unref(speaker->wait_timer);
    return true;
}

/* CH is "control", 1 to 5, or "all"; "data" may stand in front of a number. Word counts without
 * the channel. */
static const struct command {
    const char *name;
    bool (*run)(struct speaker *speaker, unsigned channel, char **words, char **answer);
    bool channel;
    unsigned least, most;
    const char *usage;
} commands[] = {
    { "status", command_status, false, 0, 0, "status" },
    { "rescind", command_rescind, true, 0, 2,
      "rescind CH [on-offer | on-open | after-open | after BYTES]" },
    { "offer", command_offer, true, 0, 0, "offer CH (no longer held back)" },
    { "hold", command_hold, true, 0, 0, "hold CH (not offered from now on)" },
    { "version", command_version, false, 1, 2,
      "version accept | refuse | silent | error | bad | short | delay MS" },
    { "pipe", command_pipe, false, 1, 1, "pipe byte | message (of clients to come)" },
    { "message-size", command_message_size, false, 1, 1, "message-size BYTES (likewise)" },
    { "reader", command_reader, true, 1, 3, "reader CH run | pause | slow BYTES MS" },
    { "corrupt", command_corrupt, true, 1, 1, "corrupt CH WORD (hvhost.h)" },
    { "signal", command_signal, true, 0, 0, "signal CH" },
    { "tcp-eof", command_tcp_eof, false, 1, 1,
      "tcp-eof rescind | half-close (of clients to come)" },
    { "drop-guest", command_drop_guest, false, 0, 0, "drop-guest" },
    { "wait", command_wait, true, 3, 3, "wait CH EVENT COUNT MS" },
};

/* Removes the channel from the words: its number, HVHOST_CHANNELS for all, -1 if there is none. */
static int
take_channel(char ***words)
{
    uint64_t number;

    if (**words && strcmp(**words, "data") == 0)
        (*words)++;
    if (!**words)
        return -1;
    if (strcmp(**words, "control") == 0)
        number = 0;
    else if (strcmp(**words, "all") == 0)
        number = HVHOST_CHANNELS;
    else if (!parse_number(**words, &number) || number == 0 || number >= HVHOST_CHANNELS)
        return -1;
    (*words)++;
    return (int)number;
}

static bool
run_command(struct speaker *speaker, const struct command *command, char **words, char **answer)
{
    int channel = command->channel ? take_channel(&words) : 0;
    unsigned n = g_strv_length(words);

    if (channel < 0 || n < command->least || n > command->most)
        return false;
    if (channel < (int)HVHOST_CHANNELS)
        return command->run(speaker, (unsigned)channel, words, answer);
    for (unsigned i = 0; i < HVHOST_CHANNELS; i++)
        command->run(speaker, i, words, answer);
    return true;
}

static void
run_line(struct speaker *speaker, char *line)
{
    g_auto(GStrv) words = g_strsplit_set(g_strstrip(line), " \t", -1);
    g_autofree char *answer = NULL, *text = NULL;
    bool found = false, done = false;

    if (!words[0] || !words[0][0])
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(commands) && !found; i++) {
        found = strcmp(words[0], commands[i].name) == 0;
        if (found)
            done = run_command(speaker, &commands[i], words + 1, &answer);
        if (found && !done)
            answer = g_strdup(commands[i].usage);
    }
    if (!found)
        answer = g_strjoin(" ", "unknown command:", words[0], NULL);
    if (speaker->wait_kind >= 0)
        return;
    text = g_strconcat(done ? "ok" : "error", answer && answer[0] ? " " : "", answer, NULL);
    say(speaker->out, text);
}

/* -- speakers -- */

/* All whole lines, as long as none of them waits. */
static void
speaker_run(struct speaker *speaker)
{
    char *end;

    while (speaker->wait_kind < 0 && (end = strchr(speaker->line->str, '\n'))) {
        g_autofree char *line = g_strndup(speaker->line->str, (gsize)(end - speaker->line->str));

        g_string_erase(speaker->line, 0, end - speaker->line->str + 1);
        run_line(speaker, line);
    }
}

static void
speaker_free(struct speaker *speaker)
{
    g_source_destroy(speaker->readable);
    g_source_unref(speaker->readable);
    if (speaker->wait_timer)
        g_source_destroy(speaker->wait_timer);
    if (speaker->in != STDIN_FILENO)
        close(speaker->in);
    g_string_free(speaker->line, TRUE);
    g_free(speaker);
}

static gboolean
on_words(gint fd, GIOCondition condition, gpointer user_data)
{
    struct speaker *speaker = user_data;
    struct sim *sim = speaker->sim;
    char bytes[1024];
    ssize_t n = read(fd, bytes, sizeof bytes);

    (void)condition;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0 || speaker->line->len > LINE_MAX_BYTES) {
        if (fd == STDIN_FILENO)
            g_main_loop_quit(sim->loop);
        else
            g_ptr_array_remove(sim->speakers, speaker);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(speaker->line, bytes, n);
    speaker_run(speaker);
    return G_SOURCE_CONTINUE;
}

static void
add_speaker(struct sim *sim, int in, int out)
{
    struct speaker *speaker = g_new0(struct speaker, 1);

    *speaker = (struct speaker){
        .sim = sim, .in = in, .out = out, .wait_kind = -1, .line = g_string_new(NULL)
    };
    speaker->readable = g_unix_fd_source_new(in, G_IO_IN | G_IO_HUP);
    g_source_set_callback(speaker->readable, G_SOURCE_FUNC(on_words), speaker, NULL);
    g_source_attach(speaker->readable, NULL);
    for (guint i = 0; i < sim->events->len; i++)
        say(out, g_ptr_array_index(sim->events, i));
    g_ptr_array_add(sim->speakers, speaker);
}

static gboolean
on_speaker(gint fd, GIOCondition condition, gpointer user_data)
{
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)condition;
    if (connection >= 0)
        add_speaker(user_data, connection, connection);
    return G_SOURCE_CONTINUE;
}

/* -- start and end -- */

static int
fail(const char *what)
{
    fprintf(stderr, "hyperv-sim: %s\n", what);
    return -1;
}

static int
fail_errno(const char *what, const char *on)
{
    fprintf(stderr, "hyperv-sim: %s %s: %s\n", what, on, g_strerror(errno));
    return -1;
}

/* Returns the listening socket and its port. */
static int
listen_tcp(const char *where, unsigned *port)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketConnectable) parsed = g_network_address_parse(where, 0, &error);
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int fd;

    if (!parsed)
        return fail(error->message);
    if (inet_pton(AF_INET, g_network_address_get_hostname(G_NETWORK_ADDRESS(parsed)),
                  &address.sin_addr) != 1)
        return fail("--listen takes ADDRESS:PORT with an IPv4 address");
    address.sin_port = htons(g_network_address_get_port(G_NETWORK_ADDRESS(parsed)));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return fail_errno("listening on", where);
    *port = ntohs(address.sin_port);
    return fd;
}

static int
listen_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink(path);
    if (fd < 0 ||
        g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0)
        return fail_errno("listening on", path);
    return fd;
}

static bool
parse_options(struct sim *sim, int *argc, char ***argv)
{
    const GOptionEntry entries[] = {
        { "socket", 's', 0, G_OPTION_ARG_FILENAME, &sim->socket_path,
          "The guest connects here (hvsessiond-sim: HYPERV_SIM)", "PATH" },
        { "listen", 'l', 0, G_OPTION_ARG_STRING, &sim->listen,
          "Clients connect here; \"ready PORT\" on standard output tells the port",
          "ADDRESS:PORT" },
        { "control", 'c', 0, G_OPTION_ARG_FILENAME, &sim->control_path,
          "Commands and events, as lines", "PATH" },
        { "exit-with-stdin", 0, 0, G_OPTION_ARG_NONE, &sim->exit_with_stdin,
          "Commands on standard input; exit at its end", NULL },
        { "ring-size", 0, 0, G_OPTION_ARG_INT, &sim->ring_size,
          "Data bytes of each ring, 65536 by default", "BYTES" },
        { "pipe", 0, 0, G_OPTION_ARG_STRING, &sim->pipe,
          "byte: writes are cut anywhere; message (default): one packet for each", "KIND" },
        { "message-size", 0, 0, G_OPTION_ARG_INT, &sim->packet_max,
          "Bytes of a packet to the guest, 16384 by default", "BYTES" },
        { "mask", 0, 0, G_OPTION_ARG_STRING, &sim->mask,
          "When the host masks interrupts: awake (default), never or always", "WHEN" },
        { "kernel-masks", 0, 0, G_OPTION_ARG_NONE, &sim->kernel_masks,
          "The guest's kernel masks at open and at each interrupt", NULL },
        { "tcp-eof", 0, 0, G_OPTION_ARG_STRING, &sim->tcp_eof,
          "The end of a client's stream: half-close (default) or rescind", "WHAT" },
        { "no-control", 0, 0, G_OPTION_ARG_NONE, &sim->no_control_offer,
          "Do not offer the control channel until told to", NULL },
        { "json", 0, 0, G_OPTION_ARG_NONE, &sim->json, "Print the status at the end", NULL },
        { "verbose", 'v', 0, G_OPTION_ARG_NONE, &sim->verbose, "Print events on standard error",
          NULL },
        { 0 },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) help = g_string_new("Commands:\n");

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        g_string_append_printf(help, "  %s\n", commands[i].usage);
    g_string_append(help, "CH is control, 1 to 5, or all. Exit status: 0, 1 if the guest broke the "
                          "protocol,\n2 for a bad option or a failed start.\n");
    g_option_context_set_summary(context, "A simulated Hyper-V host: each TCP client gets an "
                                          "Enhanced Session data channel.");
    g_option_context_set_description(context, help->str);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        fprintf(stderr, "hyperv-sim: %s\nTry: hyperv-sim --help\n", error->message);
        return false;
    }
    if (*argc > 1 || !sim->socket_path || !sim->listen) {
        fail("--socket and --listen are needed, other arguments are not; try --help");
        return false;
    }
    return true;
}

/* The place of value among the choices, the first if there is none; −1: it is not among them, which
 * was said. */
static int
parse_choice(const char *option, const char *value, const char *const *choices)
{
    g_autofree char *all = g_strjoinv(", ", (GStrv)choices);
    g_autofree char *complaint = g_strdup_printf("%s=%s: it takes %s", option, value, all);

    for (int i = 0; choices[i]; i++)
        if (!value || strcmp(value, choices[i]) == 0)
            return i;
    return fail(complaint);
}

/* Sizes; 0: as it is by default. */
static bool
check_sizes(const struct sim *sim)
{
    if (sim->packet_max < 0 || sim->packet_max > (gint)HVHOST_PIPE_MAX)
        return fail("--message-size takes at most 16384 bytes") == 0;
    if (sim->ring_size < 0 || sim->ring_size % sysconf(_SC_PAGESIZE) != 0)
        return fail("--ring-size takes whole pages, a multiple of 4096 bytes mostly") == 0;
    return true;
}

static bool
apply_options(struct sim *sim, struct hvhost_options *options)
{
    static const char *const masks[] = { "awake", "never", "always", NULL };
    static const char *const pipes[] = { "message", "byte", NULL };
    static const char *const ends[] = { "half-close", "rescind", NULL };
    int mask = parse_choice("--mask", sim->mask, masks);
    int pipe = parse_choice("--pipe", sim->pipe, pipes);
    int end = parse_choice("--tcp-eof", sim->tcp_eof, ends);

    hvhost_options_init(options, sim->socket_path);
    if (mask < 0 || pipe < 0 || end < 0 || !check_sizes(sim))
        return false;
    options->masking = (enum hvhost_masking)mask;
    options->kernel_masks = sim->kernel_masks;
    options->offer_control = !sim->no_control_offer;
    options->event = on_host_event;
    options->user_data = sim;
    if (sim->ring_size)
        options->ring_size = (size_t)sim->ring_size;
    sim->slots[0].held = sim->no_control_offer;
    sim->counts[HVHOST_OFFERED][0] = options->offer_control;
    sim->pump_options = (struct pump_options){
        .half_close = end == 0,
        .random_packets = pipe == 1,
        .packet_max = sim->packet_max ? (uint32_t)sim->packet_max : HVHOST_PIPE_MAX,
        .report = on_pump_event,
        .user_data = sim,
    };
    return true;
}

static gboolean
on_signal(gpointer user_data)
{
    g_main_loop_quit(user_data);
    return G_SOURCE_CONTINUE;
}

static bool
start(struct sim *sim)
{
    struct hvhost_options options;
    unsigned port = 0;

    if (!apply_options(sim, &options))
        return false;
    sim->loop = g_main_loop_new(NULL, FALSE);
    sim->events = g_ptr_array_new_with_free_func(g_free);
    sim->speakers = g_ptr_array_new_with_free_func((GDestroyNotify)speaker_free);
    sim->started = g_get_monotonic_time();
    if (pipe2(sim->notes, O_CLOEXEC) < 0)
        return false;
    /* Before new clients: they get the channels of those that have left. */
    g_unix_fd_add_full(G_PRIORITY_HIGH, sim->notes[0], G_IO_IN, on_note, sim, NULL);
    sim->listener = listen_tcp(sim->listen, &port);
    if (sim->listener < 0)
        return false;
    if (sim->control_path) {
        sim->control = listen_unix(sim->control_path);
        if (sim->control < 0)
            return false;
        g_unix_fd_add(sim->control, G_IO_IN, on_speaker, sim);
    }
    sim->host = hvhost_new(&options);
    if (!sim->host) {
        fail_errno("starting the host on", sim->socket_path);
        return false;
    }
    g_unix_fd_add(sim->listener, G_IO_IN, on_client, sim);
    g_unix_signal_add(SIGTERM, on_signal, sim->loop);
    g_unix_signal_add(SIGINT, on_signal, sim->loop);
    printf("ready %u\n", port);
    fflush(stdout);
    if (sim->exit_with_stdin)
        add_speaker(sim, STDIN_FILENO, STDOUT_FILENO);
    return true;
}

/* The exit status. */
static int
finish(struct sim *sim)
{
    int result = hvhost_breaches(sim->host) > 0 ? EXIT_BREACH : EXIT_SUCCESS;

    for (unsigned i = 0; hvhost_breach(sim->host, i); i++)
        fprintf(stderr, "hyperv-sim: the guest broke the protocol: %s\n",
                hvhost_breach(sim->host, i));
    if (sim->json) {
        g_autofree char *json = status(sim);

        puts(json);
    }
    for (unsigned i = 0; i < HVHOST_CHANNELS; i++)
        pump_free(sim->slots[i].pump);
    hvhost_free(sim->host);
    if (sim->control_path)
        unlink(sim->control_path);
    while (!g_queue_is_empty(&sim->waiting))
        close(GPOINTER_TO_INT(g_queue_pop_head(&sim->waiting)));
    return result;
}

/* Whether it came to a start or not. */
static void
free_all(struct sim *sim)
{
    g_clear_pointer(&sim->speakers, g_ptr_array_unref);
    g_clear_pointer(&sim->events, g_ptr_array_unref);
    g_clear_pointer(&sim->loop, g_main_loop_unref);
    g_free(sim->socket_path);
    g_free(sim->listen);
    g_free(sim->control_path);
    g_free(sim->pipe);
    g_free(sim->mask);
    g_free(sim->tcp_eof);
}

int
main(int argc, char **argv)
{
    struct sim sim = { .listener = -1, .control = -1 };
    int result = EXIT_USAGE;

    setlocale(LC_ALL, "");
    signal(SIGPIPE, SIG_IGN);
    g_queue_init(&sim.waiting);
    if (parse_options(&sim, &argc, &argv) && start(&sim)) {
        g_main_loop_run(sim.loop);
        result = finish(&sim);
    }
    free_all(&sim);
    return result;
}
