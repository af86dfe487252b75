/*
 * The socket through which tests command the host: text, a line each way.
 *
 * Every command is answered with "ok …" or "error …".  In between, on every
 * connection, come the events, all since the start of the host:
 *   event NUMBER MILLISECONDS NAME [ARGUMENTS]
 *
 * CH is "control", or 1 to 5 for a data channel, or "all".
 *
 * status                  ok and the state of everything as JSON
 * rescind CH              at once. "control" takes all data channels away, too,
 *                         as saving and restoring a machine does, and neither
 *                         is offered again before "offer control".
 * rescind CH on-offer     once: right after the next offer
 * rescind CH on-open      once: instead of an answer to the guest's open
 * rescind CH after-open   once: right after that answer
 * rescind CH after BYTES  once: when the open channel has carried so much, both
 *                         directions together
 * rescind CH never        none of these
 * offer CH                no longer held back: offered when the guest has
 *                         released what was before
 * hold CH                 not offered from now on
 * version accept | refuse [CODE] | silent | answer HEX
 * version delay MS        and answer as ordered
 * pipe byte | message     what offers say from now on
 * message-size BYTES      of a pipe packet to the guest, at most
 * reader CH run | pause | slow BYTES MS
 *                         how the host takes what the guest sends
 * packet CH HEX           puts bytes into the in ring as they are, a multiple of
 *                         8, and signals by the rules
 * poke CH in|out write|read|mask|pending|features VALUE
 *                         breaks a ring's header; the host then leaves the rings
 *                         of that channel alone
 * signal CH               an interrupt without reason
 * tcp-eof rescind | half-close
 *                         what the end of a TCP client's stream means
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/sockets.h"
#include "qapi/error.h"
#include "qapi/qapi-types-sockets.h"
#include "hyperv-tcg-internal.h"

typedef struct Conn {
    HvState *s;
    QIOChannel *ioc;
    guint read_tag, write_tag;
    GString *in, *out;
} Conn;

typedef bool (*Command)(HvState *s, HvChan *c, char **arg, unsigned n,
                        GString *answer);

/* ---- events ---- */

static void conn_send(Conn *conn, const char *line);

void hv_event(HvState *s, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    char *line;
    va_list ap;
    GList *l;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    hv_trace(s, "%s", text);
    line = g_strdup_printf("event %u %" PRId64 " %s", s->events->len,
                           qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL), text);
    g_ptr_array_add(s->events, line);
    for (l = s->control_conns.head; l; l = l->next) {
        conn_send(l->data, line);
    }
}

void hv_breach(HvChan *c, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    c->s->breaches++;
    hv_event(c->s, "breach %u %s", c->idx, text);
}

/* ---- commands ---- */

static bool parse_number(const char *text, uint64_t *value)
{
    return text && !qemu_strtou64(text, NULL, 0, value);
}

static GByteArray *parse_hex(const char *text)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    size_t i, len = text ? strlen(text) : 1;

    if (len % 2) {
        return NULL;
    }
    for (i = 0; i < len; i += 2) {
        int high = g_ascii_xdigit_value(text[i]);
        int low = g_ascii_xdigit_value(text[i + 1]);
        uint8_t byte = high << 4 | low;

        if (high < 0 || low < 0) {
            return NULL;
        }
        g_byte_array_append(bytes, &byte, 1);
    }
    return g_steal_pointer(&bytes);
}

static bool cmd_status(HvState *s, HvChan *none, char **arg, unsigned n,
                       GString *answer)
{
    unsigned i;

    g_string_append_printf(answer,
        "{\"monitor\": %s, \"connected\": %s, \"breaches\": %" PRIu64 ", "
        "\"needless_signals\": %" PRIu64 ", \"opens\": %" PRIu64 ", "
        "\"closes\": %" PRIu64 ", \"rescinds\": %" PRIu64 ", "
        "\"version_requests\": %" PRIu64 ", \"waiting\": %u, \"events\": %u, "
        "\"channels\": [",
        s->monitor ? "true" : "false", s->connected ? "true" : "false",
        s->breaches, s->needless, s->opens, s->closes, s->rescinds,
        s->version_requests, g_queue_get_length(&s->waiting), s->events->len);
    for (i = 0; i < HV_CHANNELS; i++) {
        HvChan *c = &s->chan[i];
        bool open = c->state == CH_OPEN;

        g_string_append_printf(answer,
            "%s{\"channel\": %u, \"state\": \"%s\", \"held\": %s, "
            "\"client\": %s, \"relid\": %u, \"ring\": %u, \"broken\": %s, "
            "\"bytes_to_guest\": %" PRIu64 ", "
            "\"packets_to_guest\": %" PRIu64 ", "
            "\"bytes_from_guest\": %" PRIu64 ", "
            "\"packets_from_guest\": %" PRIu64 ", "
            "\"signals_sent\": %" PRIu64 ", "
            "\"signals_received\": %" PRIu64 ", "
            "\"signals_due\": %" PRIu64 ", \"needless\": %" PRIu64 ", "
            "\"in_full\": %" PRIu64 ", \"unread\": %u, \"reading\": %s, "
            "\"in\": [%u, %u, %u, %u], \"out\": [%u, %u, %u, %u]}",
            i ? ", " : "", i, chan_state_name(c), c->held ? "true" : "false",
            c->client ? "true" : "false", c->relid, c->out.size,
            c->broken ? "true" : "false",
            c->n.bytes_to_guest, c->n.packets_to_guest,
            c->n.bytes_from_guest, c->n.packets_from_guest,
            c->n.signals_sent, c->n.signals_received, c->n.signals_due,
            c->n.needless, c->n.in_full, chan_unread(c),
            c->out_stalled ? "false" : "true",
            open ? c->in.hdr[RB_WRITE] : 0, open ? c->in.hdr[RB_READ] : 0,
            open ? c->in.hdr[RB_MASK] : 0, open ? c->in.hdr[RB_PENDING] : 0,
            open ? c->out.hdr[RB_WRITE] : 0, open ? c->out.hdr[RB_READ] : 0,
            open ? c->out.hdr[RB_MASK] : 0, open ? c->out.hdr[RB_PENDING] : 0);
    }
    g_string_append(answer, "]}");
    return true;
}

static bool cmd_rescind(HvState *s, HvChan *c, char **arg, unsigned n,
                        GString *answer)
{
    static const char *const when[] = {
        [RESCIND_NEVER] = "never",
        [RESCIND_ON_OFFER] = "on-offer", [RESCIND_ON_OPEN] = "on-open",
        [RESCIND_AFTER_OPEN] = "after-open", [RESCIND_AFTER_BYTES] = "after",
    };
    unsigned i;

    if (n) {
        for (i = 0; i < ARRAY_SIZE(when); i++) {
            if (!strcmp(arg[0], when[i]) &&
                (i != RESCIND_AFTER_BYTES ||
                 parse_number(arg[1], &c->rescind_bytes))) {
                c->rescind_when = i;
                return true;
            }
        }
        return false;
    }
    if (!c->idx) {
        c->held = true;
        for (i = 1; i < HV_CHANNELS; i++) {
            chan_rescind(&s->chan[i]);
        }
    }
    chan_rescind(c);
    rdp_offer_channels(s);
    return true;
}

static bool cmd_offer(HvState *s, HvChan *c, char **arg, unsigned n,
                      GString *answer)
{
    c->held = false;
    rdp_offer_channels(s);
    return true;
}

static bool cmd_hold(HvState *s, HvChan *c, char **arg, unsigned n,
                     GString *answer)
{
    c->held = true;
    return true;
}

static bool cmd_version(HvState *s, HvChan *none, char **arg, unsigned n,
                        GString *answer)
{
    uint64_t value = 0;

    if (!strcmp(arg[0], "accept")) {
        s->version_answer = VERSION_ACCEPT;
        s->version_delay_ms = 0;
    } else if (!strcmp(arg[0], "refuse") &&
               (n == 1 || parse_number(arg[1], &value))) {
        s->version_answer = VERSION_REFUSE;
        s->version_code = value;
    } else if (!strcmp(arg[0], "silent")) {
        s->version_answer = VERSION_SILENT;
    } else if (!strcmp(arg[0], "delay") && parse_number(arg[1], &value)) {
        s->version_delay_ms = value;
    } else if (!strcmp(arg[0], "answer")) {
        GByteArray *bytes = parse_hex(arg[1]);

        if (!bytes) {
            return false;
        }
        g_byte_array_unref(s->version_bytes);
        s->version_bytes = bytes;
        s->version_answer = VERSION_BYTES;
    } else {
        return false;
    }
    return true;
}

static bool cmd_pipe(HvState *s, HvChan *none, char **arg, unsigned n,
                     GString *answer)
{
    s->pipe_bytes = !strcmp(arg[0], "byte");
    return s->pipe_bytes || !strcmp(arg[0], "message");
}

static bool cmd_message_size(HvState *s, HvChan *none, char **arg, unsigned n,
                             GString *answer)
{
    uint64_t value;

    if (!parse_number(arg[0], &value) || !value || value > HV_PIPE_MAX) {
        return false;
    }
    s->message_size = value;
    return true;
}

static bool cmd_reader(HvState *s, HvChan *c, char **arg, unsigned n,
                       GString *answer)
{
    uint64_t bytes = 0, ms = 0;
    bool slow = !strcmp(arg[0], "slow");

    if (slow ? !parse_number(arg[1], &bytes) || !parse_number(arg[2], &ms)
             : strcmp(arg[0], "run") && strcmp(arg[0], "pause")) {
        return false;
    }
    c->paused = !strcmp(arg[0], "pause");
    c->slow_bytes = c->slow_left = bytes;
    c->slow_ms = ms;
    timer_del(c->slow_timer);
    chan_drain(c, false);
    return true;
}

static bool cmd_packet(HvState *s, HvChan *c, char **arg, unsigned n,
                       GString *answer)
{
    g_autoptr(GByteArray) bytes = parse_hex(arg[0]);

    return bytes && chan_send_raw(c, bytes->data, bytes->len);
}

static bool cmd_poke(HvState *s, HvChan *c, char **arg, unsigned n,
                     GString *answer)
{
    bool in = !strcmp(arg[0], "in");
    uint64_t value;

    if (c->state != CH_OPEN || (!in && strcmp(arg[0], "out")) ||
        !parse_number(arg[2], &value) || !chan_poke(c, in, arg[1], value)) {
        return false;
    }
    hv_signal_guest(c);
    return true;
}

static bool cmd_signal(HvState *s, HvChan *c, char **arg, unsigned n,
                       GString *answer)
{
    if (c->state != CH_OPEN) {
        return false;
    }
    hv_signal_guest(c);
    return true;
}

static bool cmd_tcp_eof(HvState *s, HvChan *none, char **arg, unsigned n,
                        GString *answer)
{
    s->tcp_half_close = !strcmp(arg[0], "half-close");
    return s->tcp_half_close || !strcmp(arg[0], "rescind");
}

/* arguments without the channel: at least and at most */
static const struct {
    const char *name;
    Command run;
    bool channel;
    unsigned least, most;
} commands[] = {
    { "status", cmd_status, false, 0, 0 },
    { "rescind", cmd_rescind, true, 0, 2 },
    { "offer", cmd_offer, true, 0, 0 },
    { "hold", cmd_hold, true, 0, 0 },
    { "version", cmd_version, false, 1, 2 },
    { "pipe", cmd_pipe, false, 1, 1 },
    { "message-size", cmd_message_size, false, 1, 1 },
    { "reader", cmd_reader, true, 1, 3 },
    { "packet", cmd_packet, true, 1, 1 },
    { "poke", cmd_poke, true, 3, 3 },
    { "signal", cmd_signal, true, 0, 0 },
    { "tcp-eof", cmd_tcp_eof, false, 1, 1 },
};

static bool run_on_channels(HvState *s, Command run, const char *which,
                            char **arg, unsigned n, GString *answer)
{
    uint64_t idx = 0;
    unsigned i;

    if (!strcmp(which, "all")) {
        for (i = 0; i < HV_CHANNELS; i++) {
            if (!run(s, &s->chan[i], arg, n, answer)) {
                return false;
            }
        }
        return true;
    }
    if (strcmp(which, "control") &&
        (!parse_number(which, &idx) || !idx || idx >= HV_CHANNELS)) {
        return false;
    }
    return run(s, &s->chan[idx], arg, n, answer);
}

static void run_line(Conn *conn, char *line)
{
    HvState *s = conn->s;
    g_auto(GStrv) word = g_strsplit(g_strstrip(line), " ", -1);
    g_autoptr(GString) answer = g_string_new("ok ");
    unsigned i, n = g_strv_length(word);

    hv_trace(s, "command: %s", line);
    for (i = 0; n && i < ARRAY_SIZE(commands); i++) {
        unsigned used = 1 + commands[i].channel;

        if (strcmp(word[0], commands[i].name) ||
            n < used + commands[i].least || n > used + commands[i].most) {
            continue;
        }
        if (commands[i].channel
            ? run_on_channels(s, commands[i].run, word[1], word + used,
                              n - used, answer)
            : commands[i].run(s, NULL, word + used, n - used, answer)) {
            conn_send(conn, answer->str);
            return;
        }
    }
    g_string_printf(answer, "error %s", line);
    conn_send(conn, answer->str);
}

/* ---- connections ---- */

static void conn_free(Conn *conn)
{
    g_queue_remove(&conn->s->control_conns, conn);
    g_clear_handle_id(&conn->read_tag, g_source_remove);
    g_clear_handle_id(&conn->write_tag, g_source_remove);
    qio_channel_close(conn->ioc, NULL);
    object_unref(OBJECT(conn->ioc));
    g_string_free(conn->in, true);
    g_string_free(conn->out, true);
    g_free(conn);
}

static gboolean conn_writable(QIOChannel *ioc, GIOCondition cond, gpointer p)
{
    Conn *conn = p;
    ssize_t n = qio_channel_write(ioc, conn->out->str, conn->out->len, NULL);

    if (n > 0) {
        g_string_erase(conn->out, 0, n);
    } else if (n != QIO_CHANNEL_ERR_BLOCK) {
        g_string_truncate(conn->out, 0);        /* reading will tell */
    }
    if (conn->out->len) {
        return G_SOURCE_CONTINUE;
    }
    conn->write_tag = 0;
    return G_SOURCE_REMOVE;
}

static void conn_send(Conn *conn, const char *line)
{
    g_string_append_printf(conn->out, "%s\n", line);
    if (!conn->write_tag) {
        conn->write_tag = qio_channel_add_watch(conn->ioc, G_IO_OUT,
                                                conn_writable, conn, NULL);
    }
}

static gboolean conn_readable(QIOChannel *ioc, GIOCondition cond, gpointer p)
{
    Conn *conn = p;
    char buf[4096], *end;
    ssize_t n = qio_channel_read(ioc, buf, sizeof(buf), NULL);

    if (n == QIO_CHANNEL_ERR_BLOCK) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        conn->read_tag = 0;
        conn_free(conn);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(conn->in, buf, n);
    while ((end = strchr(conn->in->str, '\n'))) {
        g_autofree char *line = g_strndup(conn->in->str, end - conn->in->str);

        g_string_erase(conn->in, 0, end - conn->in->str + 1);
        run_line(conn, line);
    }
    return G_SOURCE_CONTINUE;
}

static void conn_accept(QIONetListener *l, QIOChannelSocket *sioc, gpointer p)
{
    HvState *s = p;
    Conn *conn = g_new0(Conn, 1);
    unsigned i;

    conn->s = s;
    conn->ioc = QIO_CHANNEL(sioc);
    conn->in = g_string_new(NULL);
    conn->out = g_string_new(NULL);
    object_ref(OBJECT(sioc));
    qio_channel_set_blocking(conn->ioc, false, NULL);
    conn->read_tag = qio_channel_add_watch(conn->ioc, G_IO_IN | G_IO_HUP,
                                           conn_readable, conn, NULL);
    for (i = 0; i < s->events->len; i++) {
        conn_send(conn, g_ptr_array_index(s->events, i));
    }
    g_queue_push_tail(&s->control_conns, conn);
}

void control_realize(HvState *s, Error **errp)
{
    g_autoptr(SocketAddress) addr = NULL;

    g_queue_init(&s->control_conns);
    s->events = g_ptr_array_new_with_free_func(g_free);
    if (!s->control) {
        return;
    }
    addr = socket_parse(s->control, errp);
    s->control_listener = qio_net_listener_new();
    if (!addr ||
        qio_net_listener_open_sync(s->control_listener, addr, 8, errp)) {
        return;
    }
    qio_net_listener_set_client_func(s->control_listener, conn_accept, s, NULL);
}
