/*
 * Synthetic RDP: the control channel, over which the guest asks for a version,
 * and data channels, each of which is bridged to a client of the "listen"
 * sockets.  A client stands for a user who connects in vmconnect: when it comes,
 * a data channel is offered; when it goes, the channel is rescinded; when the
 * guest closes the channel, the client is dropped.  Five at once; others wait.
 *
 * An end of stream is a pipe packet without data, both ways.  Over a UNIX
 * socket, a client that shuts down its sending direction and one that goes can
 * be told apart; over TCP they look the same, and tcp_half_close decides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/sockets.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/qapi-types-sockets.h"
#include "hyperv-tcg-internal.h"

#define RDP_VERSION_REQUEST     1
#define RDP_VERSION_RESPONSE    2
#define RDP_VERSION_1_0         1       /* major in the low half */
#define RDP_ACCEPTED            2
#define TX_BATCH                (256 * KiB)

struct HvClient {
    HvState *s;
    HvChan *chan;           /* NULL: waits for one, or lingers till all is sent */
    QIOChannel *ioc;
    guint read_tag, write_tag, hup_tag;
    GByteArray *early;      /* from the client, not yet in the ring */
    GByteArray *tx;         /* to the client, from tx_sent on */
    size_t tx_sent;
    bool eof;               /* the client sends no more */
    bool eof_told;          /* and the guest knows */
    bool shut;              /* the guest sends no more */
    bool shut_told;         /* and the client knows */
};

static void client_free(HvClient *cl)
{
    g_clear_handle_id(&cl->read_tag, g_source_remove);
    g_clear_handle_id(&cl->write_tag, g_source_remove);
    g_clear_handle_id(&cl->hup_tag, g_source_remove);
    if (cl->chan) {
        cl->chan->client = NULL;
    }
    g_queue_remove(&cl->s->waiting, cl);
    qio_channel_close(cl->ioc, NULL);
    object_unref(OBJECT(cl->ioc));
    g_byte_array_unref(cl->early);
    g_byte_array_unref(cl->tx);
    g_free(cl);
}

static gboolean client_writable(QIOChannel *ioc, GIOCondition cond, gpointer p);

/* Sends what the socket takes; false: the client is gone. */
static bool client_flush(HvClient *cl)
{
    while (cl->tx_sent < cl->tx->len) {
        ssize_t n = qio_channel_write(cl->ioc,
                                      (char *)cl->tx->data + cl->tx_sent,
                                      cl->tx->len - cl->tx_sent, NULL);

        if (n == QIO_CHANNEL_ERR_BLOCK) {
            if (!cl->write_tag) {
                cl->write_tag = qio_channel_add_watch(cl->ioc, G_IO_OUT,
                                                      client_writable, cl,
                                                      NULL);
            }
            return true;
        }
        if (n < 0) {
            return false;
        }
        cl->tx_sent += n;
    }
    g_byte_array_set_size(cl->tx, 0);
    cl->tx_sent = 0;
    if (cl->shut && !cl->shut_told) {
        cl->shut_told = true;
        qio_channel_shutdown(cl->ioc, QIO_CHANNEL_SHUTDOWN_WRITE, NULL);
    }
    return true;
}

/* The user has left: the host takes the channel back. */
static void client_gone(HvClient *cl)
{
    HvState *s = cl->s;
    HvChan *c = cl->chan;

    hv_event(s, "client-gone %d", c ? (int)c->idx : -1);
    client_free(cl);
    if (c) {
        chan_rescind(c);
        rdp_offer_channels(s);
    }
}

static gboolean client_writable(QIOChannel *ioc, GIOCondition cond, gpointer p)
{
    HvClient *cl = p;
    HvChan *c = cl->chan;

    cl->write_tag = 0;
    if (!client_flush(cl)) {
        client_gone(cl);
    } else if (!c) {
        if (!cl->tx->len) {
            client_free(cl);
        }
    } else if (c->out_stalled && !rdp_client_slow(c)) {
        chan_drain(c, false);
    }
    return G_SOURCE_REMOVE;
}

static gboolean client_hup(QIOChannel *ioc, GIOCondition cond, gpointer p)
{
    HvClient *cl = p;

    cl->hup_tag = 0;
    client_gone(cl);
    return G_SOURCE_REMOVE;
}

static bool is_unix(HvClient *cl)
{
    return QIO_CHANNEL_SOCKET(cl->ioc)->localAddr.ss_family == AF_UNIX;
}

static gboolean client_readable(QIOChannel *ioc, GIOCondition cond, gpointer p)
{
    HvClient *cl = p;
    HvChan *c = cl->chan;
    bool open = c && c->state == CH_OPEN;
    char buf[HV_PIPE_MAX];
    unsigned i;

    for (i = 0; i < 16; i++) {
        size_t most = open ? cl->s->message_size : sizeof(buf);
        ssize_t n;

        if (open ? !chan_can_send(c, most)
                 : cl->early->len + sizeof(buf) > HV_RX_EARLY) {
            cl->read_tag = 0;       /* the guest's signal goes on from here */
            return G_SOURCE_REMOVE;
        }
        n = qio_channel_read(ioc, buf, most, NULL);
        if (n == QIO_CHANNEL_ERR_BLOCK) {
            return G_SOURCE_CONTINUE;
        }
        if (n < 0 || (!n && !is_unix(cl) && !cl->s->tcp_half_close)) {
            cl->read_tag = 0;
            client_gone(cl);
            return G_SOURCE_REMOVE;
        }
        if (!n) {
            cl->read_tag = 0;
            cl->eof = true;
            hv_event(cl->s, "client-eof %d", c ? (int)c->idx : -1);
            if (c) {
                rdp_client_watch(c);
            }
            return G_SOURCE_REMOVE;
        }
        if (open) {
            chan_send(c, buf, n);
        } else {
            g_byte_array_append(cl->early, (guint8 *)buf, n);
        }
    }
    return G_SOURCE_CONTINUE;
}

/* A test wants the channel rescinded once it has carried so much. */
static void check_rescind_bytes(HvChan *c)
{
    if (c->rescind_when == RESCIND_AFTER_BYTES &&
        c->n.bytes_to_guest + c->n.bytes_from_guest >= c->rescind_bytes) {
        c->rescind_when = RESCIND_NEVER;
        c->rescind_due = true;
        qemu_bh_schedule(c->bh);
    }
}

void rdp_client_watch(HvChan *c)
{
    HvClient *cl = c->client;

    if (!cl || c->broken) {
        return;
    }
    while (c->state == CH_OPEN && cl->early->len) {
        uint32_t n = MIN(cl->early->len, c->s->message_size);

        if (!chan_can_send(c, n)) {
            return;
        }
        chan_send(c, cl->early->data, n);
        g_byte_array_remove_range(cl->early, 0, n);
    }
    check_rescind_bytes(c);
    if (c->state == CH_OPEN && cl->eof && !cl->eof_told &&
        chan_can_send(c, 0)) {
        chan_send(c, NULL, 0);
        cl->eof_told = true;
    }
    if (!cl->eof && !cl->read_tag) {
        cl->read_tag = qio_channel_add_watch(cl->ioc, G_IO_IN, client_readable,
                                             cl, NULL);
    }
}

bool rdp_client_slow(const HvChan *c)
{
    return c->client && c->client->tx->len - c->client->tx_sent > HV_TX_HIGH;
}

void rdp_client_drop(HvChan *c)
{
    HvClient *cl = c->client;

    if (cl) {
        client_flush(cl);
        client_free(cl);
    }
}

/* A client whose channel the guest has closed gets what is left for it. */
static void client_linger(HvClient *cl)
{
    g_clear_handle_id(&cl->read_tag, g_source_remove);
    cl->chan->client = NULL;
    cl->chan = NULL;
    if (!client_flush(cl) || !cl->tx->len) {
        client_free(cl);
    }
}

void rdp_channel_closed(HvChan *c)
{
    if (c->client && c->state == CH_OPEN) {
        client_linger(c->client);
    }
    if (!c->idx) {
        timer_del(c->s->version_timer);
    }
}

/* ---- the control channel ---- */

static void version_answer(void *opaque)
{
    HvState *s = opaque;
    HvChan *c = &s->chan[0];
    struct QEMU_PACKED {
        uint32_t type, size, version, reserved;
        uint8_t accepted;
    } r = {
        RDP_VERSION_RESPONSE, sizeof(r), s->version_requested, 0,
        s->version_answer == VERSION_REFUSE ? s->version_code : RDP_ACCEPTED
    };
    QEMU_BUILD_BUG_ON(sizeof(r) != 17);
    const void *data = &r;
    uint32_t len = sizeof(r);

    if (s->version_answer == VERSION_BYTES) {
        data = s->version_bytes->data;
        len = s->version_bytes->len;
    }
    if (c->state == CH_OPEN && chan_can_send(c, len)) {
        chan_send(c, data, len);
        hv_event(s, "version-answer");
    }
}

static void control_data(HvChan *c, const uint8_t *data, uint32_t len)
{
    HvState *s = c->s;
    uint32_t w[4] = {};

    memcpy(w, data, MIN(len, sizeof(w)));
    s->version_requests++;
    hv_event(s, "version-request type %u size %u version %x", w[0], w[1], w[2]);
    if (len != 16 || w[0] != RDP_VERSION_REQUEST || w[1] != 16 ||
        w[2] != RDP_VERSION_1_0 || w[3]) {
        hv_breach(c, "version request of %u bytes: %u %u %x %x", len, w[0],
                  w[1], w[2], w[3]);
        return;
    }
    s->version_requested = w[2];
    if (s->version_answer == VERSION_SILENT) {
        return;
    }
    if (s->version_delay_ms) {
        timer_mod(s->version_timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) +
                                    s->version_delay_ms);
    } else {
        version_answer(s);
    }
}

void rdp_pipe_data(HvChan *c, const uint8_t *data, uint32_t len)
{
    HvClient *cl = c->client;

    if (!c->idx) {
        control_data(c, data, len);
        return;
    }
    if (!cl) {
        return;
    }
    if (!len) {
        if (!cl->shut) {
            hv_event(c->s, "guest-eof %u", c->idx);
        }
        cl->shut = true;
        return;
    }
    if (cl->shut) {
        hv_breach(c, "%u bytes after its end of stream", len);
        return;
    }
    g_byte_array_append(cl->tx, data, len);
    if (cl->tx->len >= TX_BATCH) {
        rdp_drained(c);
    }
}

void rdp_drained(HvChan *c)
{
    if (c->client && (c->client->tx->len || c->client->shut) &&
        !c->client->write_tag) {
        /* failure will show as a hang-up, in the main loop */
        client_flush(c->client);
    }
    check_rescind_bytes(c);
}

/* ---- offers ---- */

void rdp_offer_channels(HvState *s)
{
    unsigned i;

    for (i = 0; i < HV_CHANNELS; i++) {
        HvChan *c = &s->chan[i];

        if (c->state != CH_FREE || c->held) {
            continue;
        }
        if (i && !c->client && !s->chan[0].held) {
            c->client = g_queue_pop_head(&s->waiting);
            if (c->client) {
                hv_event(s, "client %u", i);
                c->client->chan = c;
                rdp_client_watch(c);
            }
        }
        if (s->offers_requested && (!i || c->client)) {
            chan_offer(c);
        }
    }
}

static void client_accept(QIONetListener *l, QIOChannelSocket *sioc, gpointer p)
{
    HvState *s = p;
    HvClient *cl = g_new0(HvClient, 1);

    cl->s = s;
    cl->ioc = QIO_CHANNEL(sioc);
    cl->early = g_byte_array_new();
    cl->tx = g_byte_array_new();
    object_ref(OBJECT(sioc));
    qio_channel_set_blocking(cl->ioc, false, NULL);
    qio_channel_set_delay(cl->ioc, false);
    cl->hup_tag = qio_channel_add_watch(cl->ioc, G_IO_HUP | G_IO_ERR,
                                        client_hup, cl, NULL);
    g_queue_push_tail(&s->waiting, cl);
    rdp_offer_channels(s);
    if (!cl->chan) {
        hv_event(s, "client-waits");
    }
}

void rdp_realize(HvState *s, Error **errp)
{
    g_auto(GStrv) addresses = g_strsplit(s->listen ?: "", "+", -1);
    unsigned i;

    g_queue_init(&s->waiting);
    s->message_size = HV_PIPE_MAX;
    s->version_bytes = g_byte_array_new();
    s->version_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, version_answer, s);
    s->listener = qio_net_listener_new();
    for (i = 0; addresses[i]; i++) {
        g_autoptr(SocketAddress) addr = socket_parse(addresses[i], errp);

        if (!addr ||
            qio_net_listener_open_sync(s->listener, addr, 64, errp)) {
            return;
        }
    }
    for (i = 0; i < s->listener->nsioc; i++) {
        g_autoptr(SocketAddress) addr =
            qio_channel_socket_get_local_address(s->listener->sioc[i], errp);

        if (addr && addr->type == SOCKET_ADDRESS_TYPE_INET) {
            hv_event(s, "listening %s:%s", addr->u.inet.host,
                     addr->u.inet.port);
        }
    }
    qio_net_listener_set_client_func(s->listener, client_accept, s, NULL);
}
