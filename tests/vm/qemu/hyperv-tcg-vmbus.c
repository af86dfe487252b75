/*
 * VMBus, the host's side: contact, offers, GPADLs, open, close, rescind.
 * The messages are those of Linux' include/linux/hyperv.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hyperv-tcg-internal.h"

/* VMBus channel messages */
enum {
    CM_OFFER = 1, CM_RESCIND, CM_REQUEST_OFFERS, CM_ALL_OFFERS,
    CM_OPEN, CM_OPEN_RESULT, CM_CLOSE, CM_GPADL_HEADER, CM_GPADL_BODY,
    CM_GPADL_CREATED, CM_GPADL_TEARDOWN, CM_GPADL_TORNDOWN,
    CM_RELID_RELEASED, CM_INITIATE_CONTACT, CM_VERSION_RESPONSE,
    CM_UNLOAD, CM_UNLOAD_RESPONSE, CM_MODIFY = 22, CM_MODIFY_RESPONSE = 24,
};

#define STATUS_UNSUCCESSFUL 0xc0000001
#define OFFER_FLAGS         0x11    /* enumerate interface, named pipe */
#define PIPE_MODE_BYTES     0
#define PIPE_MODE_MESSAGES  4

static const uint8_t guid_class[2][16] = {
    { 0x16, 0x57, 0xe6, 0xf8, 0xb3, 0x3c, 0x06, 0x4a,
      0x9a, 0x60, 0x18, 0x89, 0xc5, 0xcc, 0xca, 0xb5 },
    { 0xd3, 0xc0, 0xe9, 0xf9, 0x11, 0xb5, 0x48, 0x4a,
      0x80, 0x46, 0xd3, 0x80, 0x79, 0xa8, 0x83, 0x0c },
};
static const uint8_t guid_instance[16] = {
    0xa0, 0x1f, 0x22, 0x99, 0xad, 0x24, 0xe2, 0x11,
    0xbe, 0x98, 0x00, 0x1a, 0xa0, 0x1b, 0xbf, 0x6e
};

const char *chan_state_name(const HvChan *c)
{
    static const char *const name[] = {
        [CH_FREE] = "free", [CH_OFFERED] = "offered",
        [CH_OPEN] = "open", [CH_RESCINDED] = "rescinded",
    };

    return name[c->state];
}

static HvChan *chan_by_relid(HvState *s, uint32_t relid)
{
    unsigned i;

    for (i = 0; i < HV_CHANNELS; i++) {
        if (s->chan[i].state != CH_FREE && s->chan[i].relid == relid) {
            return &s->chan[i];
        }
    }
    return NULL;
}

void chan_offer(HvChan *c)
{
    HvState *s = c->s;
    struct QEMU_PACKED {
        uint32_t msg, pad;
        uint8_t type[16], inst[16];
        uint64_t r1, r2;
        uint16_t flags, mmio;
        uint32_t pipe_mode;
        uint8_t user[116];
        uint16_t sub, r3;
        uint32_t relid;
        uint8_t monitorid, monitor;
        uint16_t dedicated;
        uint32_t conn;
    } m = { .msg = CM_OFFER };
    QEMU_BUILD_BUG_ON(sizeof(m) != 196);

    do {
        s->last_relid = s->last_relid % HV_MAX_RELID + 1;
    } while (chan_by_relid(s, s->last_relid));
    c->relid = s->last_relid;
    c->state = CH_OFFERED;
    memcpy(m.type, guid_class[!!c->idx], 16);
    memcpy(m.inst, guid_instance, 16);
    m.inst[0] += c->idx;
    m.flags = OFFER_FLAGS;
    m.pipe_mode = s->pipe_bytes ? PIPE_MODE_BYTES : PIPE_MODE_MESSAGES;
    m.relid = c->relid;
    m.monitorid = c->idx;
    m.monitor = s->monitor;
    m.dedicated = 1;
    m.conn = HV_CONN_BASE + c->idx;
    hv_event(s, "offer %u relid %u", c->idx, c->relid);
    hv_send_message(s, &m, sizeof(m));
    if (c->rescind_when == RESCIND_ON_OFFER) {
        c->rescind_when = RESCIND_NEVER;
        chan_rescind(c);
    }
}

static HvGpadl *gpadl_find(HvState *s, uint32_t id)
{
    HvGpadl *g;

    QLIST_FOREACH(g, &s->gpadls, next) {
        if (g->id == id) {
            return g;
        }
    }
    return NULL;
}

static void gpadl_free(HvGpadl *g)
{
    QLIST_REMOVE(g, next);
    g_free(g->pfn);
    g_free(g);
}

/* The rings are no longer ours, whoever has ended it. */
static void chan_closed(HvChan *c)
{
    if (c->state == CH_OPEN) {
        hv_event(c->s, "closed %u to-guest %" PRIu64 " from-guest %" PRIu64,
                 c->idx, c->n.bytes_to_guest, c->n.bytes_from_guest);
    }
    chan_rings_closed(c);
    rdp_channel_closed(c);
    c->rescind_due = false;
}

void chan_rescind(HvChan *c)
{
    struct { uint32_t msg, pad, relid; } m = { CM_RESCIND, 0, c->relid };

    rdp_client_drop(c);
    if (c->state == CH_OFFERED || c->state == CH_OPEN) {
        chan_closed(c);
        hv_event(c->s, "rescind %u relid %u was %s", c->idx, c->relid,
                 chan_state_name(c));
        c->state = CH_RESCINDED;
        c->s->rescinds++;
        hv_send_message(c->s, &m, sizeof(m));
    }
}

void vmbus_reset(HvState *s)
{
    HvMsgNode *n;
    unsigned i;

    s->connected = s->offers_requested = false;
    s->msg_vp = 0;
    s->mon_page = 0;
    while ((n = QSIMPLEQ_FIRST(&s->msgs))) {
        QSIMPLEQ_REMOVE_HEAD(&s->msgs, next);
        g_free(n);
    }
    while (!QLIST_EMPTY(&s->gpadls)) {
        gpadl_free(QLIST_FIRST(&s->gpadls));
    }
    for (i = 0; i < HV_CHANNELS; i++) {
        HvChan *c = &s->chan[i];

        if (c->state == CH_OPEN) {
            rdp_client_drop(c);
        }
        chan_closed(c);
        c->state = CH_FREE;
    }
    timer_del(s->mon_timer);
}

static void gpadl_progress(HvState *s, HvGpadl *g, const uint8_t *pfn,
                           unsigned n)
{
    struct { uint32_t msg, pad, relid, gpadl, status; } m = {
        CM_GPADL_CREATED, 0, g->relid, g->id, 0
    };

    n = MIN(n, g->npages - g->got);
    memcpy(g->pfn + g->got, pfn, n * 8);
    g->got += n;
    if (g->got == g->npages) {
        hv_trace(s, "gpadl %x relid %u, %u pages", g->id, g->relid, g->npages);
        hv_send_message(s, &m, sizeof(m));
    }
}

static void initiate_contact(HvState *s, const uint8_t *m)
{
    uint32_t version = ldl_le_p(m + 8), vp = ldl_le_p(m + 12);
    struct {
        uint32_t msg, pad;
        uint8_t ok, state;
        uint16_t pad2;
        uint32_t conn;
    } r = { CM_VERSION_RESPONSE, 0, version <= s->max_version, 0, 0, 4 };

    vmbus_reset(s);
    s->msg_vp = vp < HV_MAX_CPUS ? vp : 0;
    s->mon_page = ldq_le_p(m + 32);         /* the child to parent one */
    s->connected = r.ok;
    hv_event(s, "contact version %u.%u %s", version >> 16, version & 0xffff,
             r.ok ? "accepted" : "refused");
    hv_send_message(s, &r, sizeof(r));
}

static void request_offers(HvState *s)
{
    struct { uint32_t msg, pad; } r = { CM_ALL_OFFERS, 0 };

    s->offers_requested = true;
    rdp_offer_channels(s);
    hv_send_message(s, &r, sizeof(r));
}

static void gpadl_header(HvState *s, const uint8_t *m, unsigned len)
{
    HvGpadl *g;

    if (len < 28 || lduw_le_p(m + 18) != 1) {
        hv_trace(s, "gpadl with %u ranges ignored", lduw_le_p(m + 18));
        return;
    }
    g = g_new0(HvGpadl, 1);
    g->relid = ldl_le_p(m + 8);
    g->id = ldl_le_p(m + 12);
    g->npages = (lduw_le_p(m + 16) - 8) / 8;
    g->pfn = g_new0(uint64_t, g->npages + 1);
    QLIST_INSERT_HEAD(&s->gpadls, g, next);
    gpadl_progress(s, g, m + 28, (len - 28) / 8);
}

static void gpadl_teardown(HvState *s, const uint8_t *m)
{
    HvGpadl *g = gpadl_find(s, ldl_le_p(m + 12));
    struct { uint32_t msg, pad, gpadl; } r = {
        CM_GPADL_TORNDOWN, 0, ldl_le_p(m + 12)
    };

    if (g) {
        gpadl_free(g);
    }
    hv_send_message(s, &r, sizeof(r));
}

static void open_channel(HvState *s, const uint8_t *m)
{
    uint32_t relid = ldl_le_p(m + 8), vp = ldl_le_p(m + 20);
    uint32_t offset = ldl_le_p(m + 24);     /* of the in ring, in pages */
    HvGpadl *g = gpadl_find(s, ldl_le_p(m + 16));
    HvChan *c = chan_by_relid(s, relid);
    struct { uint32_t msg, pad, relid, openid, status; } r = {
        CM_OPEN_RESULT, 0, relid, ldl_le_p(m + 12), STATUS_UNSUCCESSFUL
    };

    if (!c || c->state == CH_RESCINDED) {
        hv_event(s, "open-ignored relid %u", relid);
        return;                             /* as Hyper-V: no answer */
    }
    if (c->rescind_when == RESCIND_ON_OPEN) {
        c->rescind_when = RESCIND_NEVER;
        chan_rescind(c);
        return;
    }
    if (c->state == CH_OFFERED && g && g->got == g->npages &&
        offset >= 2 && offset + 2 <= g->npages) {
        c->target_vp = MIN(vp, HV_MAX_CPUS - 1);
        ring_init(&c->out, g, 0, offset);
        ring_init(&c->in, g, offset, g->npages - offset);
        c->state = CH_OPEN;
        chan_rings_opened(c);
        s->opens++;
        r.status = 0;
    }
    hv_event(s, "open %u relid %u status %x ring %u", c->idx, relid, r.status,
             c->out.size);
    hv_send_message(s, &r, sizeof(r));
    if (r.status) {
        return;
    }
    if (c->rescind_when == RESCIND_AFTER_OPEN) {
        c->rescind_when = RESCIND_NEVER;
        chan_rescind(c);
        return;
    }
    if (s->monitor && !timer_pending(s->mon_timer)) {
        timer_mod(s->mon_timer,
                  qemu_clock_get_us(QEMU_CLOCK_VIRTUAL) + s->monitor_us);
    }
    qemu_bh_schedule(c->bh);
}

static void close_channel(HvState *s, const uint8_t *m)
{
    HvChan *c = chan_by_relid(s, ldl_le_p(m + 8));

    if (!c || c->state != CH_OPEN) {
        hv_trace(s, "close of relid %u ignored", ldl_le_p(m + 8));
        return;
    }
    chan_drain(c, true);
    chan_closed(c);
    c->state = CH_OFFERED;
    s->closes++;
    hv_event(s, "close %u relid %u", c->idx, c->relid);
    if (c->idx) {
        chan_rescind(c);
    }
}

static void relid_released(HvState *s, const uint8_t *m)
{
    uint32_t relid = ldl_le_p(m + 8);
    HvChan *c = chan_by_relid(s, relid);
    HvGpadl *g, *next;

    QLIST_FOREACH_SAFE(g, &s->gpadls, next, next) {
        if (g->relid == relid) {
            gpadl_free(g);
        }
    }
    if (c) {
        chan_closed(c);
        c->state = CH_FREE;
        hv_event(s, "released %u relid %u", c->idx, relid);
        rdp_offer_channels(s);
    }
}

static void modify_channel(HvState *s, const uint8_t *m)
{
    uint32_t relid = ldl_le_p(m + 8), vp = ldl_le_p(m + 12);
    HvChan *c = chan_by_relid(s, relid);
    struct { uint32_t msg, pad, relid, status; } r = {
        CM_MODIFY_RESPONSE, 0, relid, 0
    };

    if (c && vp < HV_MAX_CPUS) {
        c->target_vp = vp;
    }
    hv_send_message(s, &r, sizeof(r));
}

static void unload(HvState *s)
{
    struct { uint32_t msg, pad; } r = { CM_UNLOAD_RESPONSE, 0 };
    uint32_t vp = s->msg_vp;

    vmbus_reset(s);
    s->msg_vp = vp;
    hv_event(s, "unload");
    hv_send_message(s, &r, sizeof(r));
}

void vmbus_message(HvState *s, const uint8_t *m, unsigned len)
{
    switch (ldl_le_p(m)) {
    case CM_INITIATE_CONTACT:
        initiate_contact(s, m);
        break;
    case CM_REQUEST_OFFERS:
        request_offers(s);
        break;
    case CM_GPADL_HEADER:
        gpadl_header(s, m, len);
        break;
    case CM_GPADL_BODY: {
        HvGpadl *g = gpadl_find(s, ldl_le_p(m + 12));

        if (g && len >= 16) {
            gpadl_progress(s, g, m + 16, (len - 16) / 8);
        }
        break;
    }
    case CM_GPADL_TEARDOWN:
        gpadl_teardown(s, m);
        break;
    case CM_OPEN:
        open_channel(s, m);
        break;
    case CM_CLOSE:
        close_channel(s, m);
        break;
    case CM_RELID_RELEASED:
        relid_released(s, m);
        break;
    case CM_MODIFY:
        modify_channel(s, m);
        break;
    case CM_UNLOAD:
        unload(s);
        break;
    default:
        hv_trace(s, "channel message %u ignored", ldl_le_p(m));
    }
}

void chan_guest_signalled(HvChan *c)
{
    if (c->state != CH_OPEN) {
        return;
    }
    c->n.signals_received++;
    if (c->n.signals_received - c->n.needless > c->n.signals_due) {
        c->n.needless++;
        c->s->needless++;
        hv_trace(c->s, "chan %u: needless signal", c->idx);
    }
    qemu_bh_schedule(c->bh);
}

/* In the main loop, like a host that is another machine. */
void chan_bh(void *opaque)
{
    HvChan *c = opaque;

    if (c->rescind_due) {
        chan_rescind(c);
        rdp_offer_channels(c->s);
    } else if (c->state == CH_OPEN) {
        rdp_client_watch(c);
        chan_drain(c, false);
    }
}

void vmbus_monitor_timer(void *opaque)
{
    HvState *s = opaque;
    /* trigger groups of 32 channels each: u32 pending, u32 armed */
    uint32_t *pending = hv_ptr(s->mon_page + 8), bits;
    bool any = false;
    unsigned i;

    if (!s->mon_page || !pending) {
        return;
    }
    bits = qatomic_read(pending) ? qatomic_xchg(pending, 0) : 0;
    for (i = 0; i < HV_CHANNELS; i++) {
        any |= s->chan[i].state == CH_OPEN;
        if (bits & (1u << i)) {
            chan_guest_signalled(&s->chan[i]);
        }
    }
    if (any) {
        timer_mod(s->mon_timer,
                  qemu_clock_get_us(QEMU_CLOCK_VIRTUAL) + s->monitor_us);
    }
}
