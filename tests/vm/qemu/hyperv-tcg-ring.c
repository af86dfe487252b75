/*
 * The host's end of a channel's two ring buffers, as strict as can be: it
 * checks every field that the guest writes, and that the guest leaves alone
 * what is the host's.  A breach is counted and reported, and tests expect none.
 *
 * A ring is a header page and data.  The writer owns write_index,
 * pending_send_sz and feature_bits, the reader read_index and interrupt_mask.
 * Indices are multiples of 8; equal ones mean an empty ring.  A packet is a
 * descriptor of 16 bytes, payload padded to 8, and a trailer of 8 that tells
 * where the packet began.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hyperv-tcg-internal.h"

#define PACKET_INBAND       6
#define PACKET_HEADER       24      /* descriptor and pipe header */
#define PACKET_TRAILER      8
#define PIPE_DATA           1
#define NO_PAYLOAD          UINT32_MAX

typedef struct QEMU_PACKED PacketHeader {
    uint16_t type, offset8, length8, flags;
    uint64_t transaction_id;
    uint32_t pipe_type, pipe_length;
} PacketHeader;
QEMU_BUILD_BUG_ON(sizeof(PacketHeader) != PACKET_HEADER);

/* What a pipe packet takes in the ring, without its trailer. */
static uint32_t packet_length(uint32_t payload)
{
    return ROUND_UP(PACKET_HEADER + payload, 8);
}

static void ring_copy(HvRing *r, uint32_t off, void *buf, uint32_t len, bool wr)
{
    uint8_t *b = buf;

    while (len) {
        uint32_t in_page, n;

        off %= r->size;
        in_page = off % HV_PAGE;
        n = MIN(len, HV_PAGE - in_page);
        if (wr) {
            memcpy(r->page[off / HV_PAGE] + in_page, b, n);
        } else {
            memcpy(b, r->page[off / HV_PAGE] + in_page, n);
        }
        b += n;
        off += n;
        len -= n;
    }
}

void ring_init(HvRing *r, const HvGpadl *g, unsigned first, unsigned n)
{
    unsigned i;

    r->hdr = hv_ptr(g->pfn[first] * HV_PAGE);
    r->page = g_new0(uint8_t *, n - 1);
    r->size = (n - 1) * HV_PAGE;
    for (i = 1; i < n; i++) {
        r->page[i - 1] = hv_ptr(g->pfn[first + i] * HV_PAGE);
    }
}

static void ring_free(HvRing *r)
{
    g_free(r->page);
    memset(r, 0, sizeof(*r));
}

void chan_rings_opened(HvChan *c)
{
    uint32_t *out = c->out.hdr, *in = c->in.hdr;

    if (out[RB_WRITE] || out[RB_READ] || in[RB_WRITE] || in[RB_READ]) {
        hv_breach(c, "opened with rings that are not empty");
        out[RB_WRITE] = out[RB_READ] = in[RB_WRITE] = in[RB_READ] = 0;
    }
    c->out_read = c->out_mask = c->in_write = c->in_pending = c->in_read = 0;
    c->in_features = 1;             /* the host uses pending_send_sz */
    qatomic_set(&out[RB_MASK], 0);
    qatomic_set(&in[RB_PENDING], 0);
    qatomic_set(&in[RB_FEATURES], c->in_features);
    c->broken = c->out_stalled = c->took = false;
    memset(&c->n, 0, sizeof(c->n));
    c->n.signals_due = 1;           /* for the first packet */
}

void chan_rings_closed(HvChan *c)
{
    ring_free(&c->out);
    ring_free(&c->in);
    g_queue_clear(&c->in_flight);
    timer_del(c->slow_timer);
    c->out_stalled = false;
}

static void check_owned(HvChan *c, uint32_t *word, uint32_t own,
                        const char *name)
{
    uint32_t is = qatomic_read(word);

    if (is != own) {
        hv_breach(c, "wrote the host's %s: %u, was %u", name, is, own);
        qatomic_set(word, own);
    }
}

/* The guest must not touch what is the host's. */
static void check_all_owned(HvChan *c)
{
    check_owned(c, &c->out.hdr[RB_READ], c->out_read, "out.read_index");
    check_owned(c, &c->out.hdr[RB_MASK], c->out_mask, "out.interrupt_mask");
    check_owned(c, &c->in.hdr[RB_WRITE], c->in_write, "in.write_index");
    check_owned(c, &c->in.hdr[RB_PENDING], c->in_pending, "in.pending_send_sz");
    check_owned(c, &c->in.hdr[RB_FEATURES], c->in_features, "in.feature_bits");
}

/*
 * Notes how far the guest has read: it must get on by whole packets, and no
 * further than to where the host has written.
 */
static bool check_in_read(HvChan *c)
{
    uint32_t rd = qatomic_load_acquire(&c->in.hdr[RB_READ]);

    if (rd >= c->in.size || rd & 7) {
        hv_breach(c, "in.read_index %u of %u", rd, c->in.size);
        c->broken = true;
        return false;
    }
    while (c->in_read != rd) {
        uint32_t len = GPOINTER_TO_UINT(g_queue_peek_head(&c->in_flight));
        uint32_t left = (rd - c->in_read + c->in.size) % c->in.size;

        if (!len || len > left) {
            hv_breach(c, "in.read_index %u is not at the end of a packet", rd);
            c->broken = true;
            return false;
        }
        g_queue_pop_head(&c->in_flight);
        c->in_read = (c->in_read + len) % c->in.size;
    }
    return true;
}

static bool has_room(HvChan *c, uint32_t need)
{
    uint32_t used;

    if (c->state != CH_OPEN || c->broken || !check_in_read(c)) {
        return false;
    }
    used = (c->in_write - c->in_read + c->in.size) % c->in.size;
    return c->in.size - used > need;
}

static void set_in_pending(HvChan *c, uint32_t need)
{
    if (need && !c->in_pending) {
        c->n.in_full++;
        c->n.signals_due++;
    }
    c->in_pending = need;
    qatomic_set(&c->in.hdr[RB_PENDING], need);
    smp_mb();
}

bool chan_can_send(HvChan *c, uint32_t len)
{
    uint32_t need = packet_length(len) + PACKET_TRAILER;

    if (!has_room(c, need)) {
        if (c->state != CH_OPEN || c->broken) {
            return false;
        }
        set_in_pending(c, need);
        if (!has_room(c, need)) {
            return false;
        }
    }
    if (!c->broken && c->in_pending) {
        set_in_pending(c, 0);
    }
    return !c->broken;
}

/* Publishes what was written after in_write. */
static void publish(HvChan *c, uint32_t len)
{
    uint32_t old = c->in_write;

    c->in_write = (old + len) % c->in.size;
    g_queue_push_tail(&c->in_flight, GUINT_TO_POINTER(len));
    qatomic_store_release(&c->in.hdr[RB_WRITE], c->in_write);
    c->n.packets_to_guest++;
    smp_mb();
    /* as Hyper-V: only when not masked, and only from empty to not empty */
    if (!qatomic_read(&c->in.hdr[RB_MASK]) &&
        qatomic_read(&c->in.hdr[RB_READ]) == old) {
        hv_signal_guest(c);
    }
}

void chan_send(HvChan *c, const void *data, uint32_t len)
{
    HvRing *r = &c->in;
    uint32_t w = c->in_write, body = packet_length(len);
    uint64_t trailer = (uint64_t)w << 32, zero = 0;
    PacketHeader h = {
        .type = PACKET_INBAND, .offset8 = 2, .length8 = body / 8,
        .pipe_type = PIPE_DATA, .pipe_length = len,
    };

    check_all_owned(c);
    ring_copy(r, w, &h, sizeof(h), true);
    ring_copy(r, w + sizeof(h), (void *)data, len, true);
    ring_copy(r, w + sizeof(h) + len, &zero, body - sizeof(h) - len, true);
    ring_copy(r, w + body, &trailer, PACKET_TRAILER, true);
    c->n.bytes_to_guest += len;
    publish(c, body + PACKET_TRAILER);
}

bool chan_send_raw(HvChan *c, const void *data, uint32_t len)
{
    if (!len || len % 8 || !has_room(c, len)) {
        return false;
    }
    ring_copy(&c->in, c->in_write, (void *)data, len, true);
    publish(c, len);
    return true;
}

uint32_t chan_unread(const HvChan *c)
{
    if (c->state != CH_OPEN || c->broken) {
        return 0;
    }
    return (qatomic_read(&c->out.hdr[RB_WRITE]) - c->out_read + c->out.size) %
           c->out.size;
}

static void set_out_mask(HvChan *c, bool masked)
{
    if (!masked && c->took) {
        c->n.signals_due++;         /* for the next packet */
        c->took = false;
    }
    c->out_mask = masked;
    qatomic_set(&c->out.hdr[RB_MASK], masked);
    smp_mb();
}

/*
 * The packet at out_read, of which "used" bytes are there: checks everything
 * and returns its length with the trailer, or 0 if the ring is broken.  Payload
 * and its length go to buf and len; the length is NO_PAYLOAD if there is none to
 * be trusted.
 */
static uint32_t read_packet(HvChan *c, uint32_t used, uint8_t *buf,
                            uint32_t *len)
{
    HvRing *r = &c->out;
    uint32_t at = c->out_read, total, room, i;
    uint32_t trailer[2];
    uint8_t padding[8];
    PacketHeader h;

    *len = NO_PAYLOAD;
    if (used < PACKET_HEADER + PACKET_TRAILER) {
        hv_breach(c, "%u bytes at %u are no packet", used, at);
        return 0;
    }
    ring_copy(r, at, &h, sizeof(h), false);
    total = h.length8 * 8 + PACKET_TRAILER;
    if (h.length8 < PACKET_HEADER / 8 || total > used) {
        hv_breach(c, "packet at %u: length8 %u, %u bytes there", at, h.length8,
                  used);
        return 0;
    }
    if (h.type != PACKET_INBAND || h.offset8 != 2 || h.flags ||
        h.transaction_id) {
        hv_breach(c, "packet at %u: type %u data_offset8 %u flags %x "
                  "transaction id %" PRIx64, at, h.type, h.offset8, h.flags,
                  h.transaction_id);
        return total;
    }
    room = h.length8 * 8 - PACKET_HEADER;
    if (h.pipe_type != PIPE_DATA || h.pipe_length > room ||
        h.pipe_length > HV_PIPE_MAX || room - h.pipe_length >= 8) {
        hv_breach(c, "packet at %u: pipe type %u length %u in a packet of "
                  "length8 %u", at, h.pipe_type, h.pipe_length, h.length8);
        return total;
    }
    ring_copy(r, at + PACKET_HEADER + h.pipe_length, padding,
              room - h.pipe_length, false);
    for (i = 0; i < room - h.pipe_length; i++) {
        if (padding[i]) {
            hv_breach(c, "packet at %u: padding %02x", at, padding[i]);
        }
    }
    ring_copy(r, at + h.length8 * 8, trailer, sizeof(trailer), false);
    if (trailer[0] || trailer[1] != at) {
        hv_breach(c, "packet at %u: trailer %x %x", at, trailer[0], trailer[1]);
    }
    *len = h.pipe_length;
    ring_copy(r, at + PACKET_HEADER, buf, *len, false);
    return total;
}

/*
 * The packet at out_read is done with: tell the guest if that has made the room
 * that it waits for.  It may have written since, so the room is what it is now.
 */
static void release_packet(HvChan *c, uint32_t total)
{
    uint32_t pending, unread, room;

    c->out_read = (c->out_read + total) % c->out.size;
    qatomic_store_release(&c->out.hdr[RB_READ], c->out_read);
    smp_mb();
    pending = qatomic_read(&c->out.hdr[RB_PENDING]);
    smp_rmb();
    unread = chan_unread(c);
    room = c->out.size - unread;
    if (pending > c->out.size - 8) {
        hv_breach(c, "out.pending_send_sz %u of %u", pending, c->out.size);
    } else if (pending && room - total <= pending && room > pending) {
        hv_signal_guest(c);
    }
}

/* Has the test had the host stop, or is this round's share taken? */
static bool reading_paused(HvChan *c)
{
    if (c->paused) {
        return true;
    }
    if (c->slow_bytes && !c->slow_left) {
        if (!timer_pending(c->slow_timer)) {
            timer_mod(c->slow_timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) +
                                     c->slow_ms);
        }
        return true;
    }
    return false;
}

void chan_slow_timer(void *opaque)
{
    HvChan *c = opaque;

    c->slow_left = c->slow_bytes;
    chan_drain(c, false);
}

void chan_drain(HvChan *c, bool all)
{
    static uint8_t buf[HV_PIPE_MAX];

    if (c->state != CH_OPEN || c->broken) {
        return;
    }
    check_all_owned(c);
    if (!check_in_read(c)) {
        return;
    }
    c->out_stalled = false;
    do {
        set_out_mask(c, true);
        for (;;) {
            uint32_t w = qatomic_load_acquire(&c->out.hdr[RB_WRITE]);
            uint32_t used = (w - c->out_read + c->out.size) % c->out.size;
            uint32_t total, len;

            if (w >= c->out.size || w & 7) {
                hv_breach(c, "out.write_index %u of %u", w, c->out.size);
                c->broken = true;
                return;
            }
            if (!used) {
                break;
            }
            if (!all && (reading_paused(c) || rdp_client_slow(c))) {
                c->out_stalled = true;              /* stays masked */
                rdp_drained(c);
                return;
            }
            total = read_packet(c, used, buf, &len);
            if (!total) {
                c->broken = true;
                return;
            }
            c->took = true;
            c->n.packets_from_guest++;
            release_packet(c, total);
            if (len != NO_PAYLOAD) {
                c->slow_left -= MIN(c->slow_left, len);
                c->n.bytes_from_guest += len;
                rdp_pipe_data(c, buf, len);
            }
        }
        rdp_drained(c);
        set_out_mask(c, false);
    } while (chan_unread(c));
}

bool chan_poke(HvChan *c, bool in, const char *field, uint32_t value)
{
    static const struct {
        const char *name;
        unsigned word;
    } fields[] = {
        { "write", RB_WRITE }, { "read", RB_READ }, { "mask", RB_MASK },
        { "pending", RB_PENDING }, { "features", RB_FEATURES },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!strcmp(fields[i].name, field)) {
            /* the host no longer knows the state of these rings itself */
            c->broken = true;
            qatomic_set(&(in ? &c->in : &c->out)->hdr[fields[i].word], value);
            smp_mb();
            return true;
        }
    }
    return false;
}
