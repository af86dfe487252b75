/*
 * What the parts of the hyperv-tcg device share.
 *
 *   hyperv-tcg.c          the CPU side: CPUID, MSRs, hypercalls, SynIC; the device
 *   hyperv-tcg-vmbus.c    VMBus: contact, offers, GPADLs, open, close, rescind
 *   hyperv-tcg-ring.c     the host's end of a channel's two ring buffers
 *   hyperv-tcg-rdp.c      synthetic RDP: the control channel, and the clients
 *                         of the data channels
 *   hyperv-tcg-control.c  the socket through which tests command the host
 *
 * Everything but the ring memory is touched under the big QEMU lock only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_HYPERV_HYPERV_TCG_INTERNAL_H
#define HW_HYPERV_HYPERV_TCG_INTERNAL_H

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "hw/qdev-core.h"
#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "qom/object.h"

#define TYPE_HYPERV_TCG "hyperv-tcg"
OBJECT_DECLARE_SIMPLE_TYPE(HvState, HYPERV_TCG)

#define HV_PAGE          4096
#define HV_SINT_VMBUS    2
#define HV_SINT_MASKED   (1u << 16)
#define HV_MAX_CPUS      64
#define HV_DATA_CHANNELS 5
#define HV_CHANNELS      (1 + HV_DATA_CHANNELS)
#define HV_MAX_RELID     2047
#define HV_CONN_BASE     0x10000      /* + channel index: event connection id */
#define HV_PIPE_MAX      16384        /* payload of a pipe packet */
#define HV_TX_HIGH       (1 * MiB)    /* unsent to a client: stop reading */
#define HV_RX_EARLY      (256 * KiB)  /* from a client before the guest opens */

typedef struct HvMsg {          /* as it lies in the SynIC message page */
    uint32_t type;
    uint8_t size;
    uint8_t flags;
    uint16_t rsvd;
    uint64_t port;
    uint8_t payload[240];
} HvMsg;

typedef struct HvMsgNode {
    HvMsg m;
    QSIMPLEQ_ENTRY(HvMsgNode) next;
} HvMsgNode;

typedef struct HvVp {
    uint64_t scontrol, simp, siefp, sint[16], assist;
} HvVp;

/* Guest pages that a channel's rings are made of. */
typedef struct HvGpadl {
    uint32_t id, relid;
    unsigned npages, got;
    uint64_t *pfn;
    QLIST_ENTRY(HvGpadl) next;
} HvGpadl;

/* The words of a ring's header page that mean something. */
enum { RB_WRITE, RB_READ, RB_MASK, RB_PENDING, RB_FEATURES = 16 };

typedef struct HvRing {
    uint32_t *hdr;
    uint8_t **page;
    uint32_t size;              /* bytes of data, without the header page */
} HvRing;

typedef enum { CH_FREE, CH_OFFERED, CH_OPEN, CH_RESCINDED } HvChanState;

/* When a rescind that a test has ordered is to happen; each happens once. */
typedef enum {
    RESCIND_NEVER,
    RESCIND_ON_OFFER,           /* right after the offer */
    RESCIND_ON_OPEN,            /* instead of an answer to the open */
    RESCIND_AFTER_OPEN,         /* right after the answer to the open */
    RESCIND_AFTER_BYTES,        /* so many in both directions together */
} HvRescindWhen;

typedef struct HvClient HvClient;

typedef struct HvChan {
    HvState *s;
    unsigned idx;               /* 0: control; else data channel number */
    HvChanState state;
    bool held;                  /* not offered until a test says so */
    uint32_t relid, target_vp;
    QEMUBH *bh;                 /* the guest has signalled, or a rescind is due */
    HvClient *client;           /* of a data channel */

    HvRing out, in;             /* guest to host, host to guest */
    bool broken;                /* indices are nonsense: hands off */
    /* what the host owns in the rings; the guest must leave it alone */
    uint32_t out_read, out_mask, in_write, in_pending, in_features;
    uint32_t in_read;           /* how far the guest has read, checked */
    GQueue in_flight;           /* lengths of the packets in the in ring */
    bool out_stalled;           /* not read on, because the client is slow */
    bool took;                  /* packets since the out ring was last armed */

    /* how a test wants the out ring to be read */
    bool paused;
    uint32_t slow_bytes, slow_ms, slow_left;
    QEMUTimer *slow_timer;

    HvRescindWhen rescind_when;
    uint64_t rescind_bytes;
    bool rescind_due;

    /* since the channel was opened */
    struct {
        uint64_t bytes_to_guest, packets_to_guest;
        uint64_t bytes_from_guest, packets_from_guest;
        uint64_t signals_sent, signals_received;
        uint64_t signals_due;   /* the most that the guest had reason to send */
        uint64_t needless;
        uint64_t in_full;       /* times the in ring was full */
    } n;
} HvChan;

typedef enum { VERSION_ACCEPT, VERSION_REFUSE, VERSION_SILENT,
               VERSION_BYTES } HvVersionAnswer;

struct HvState {
    DeviceState parent_obj;

    /* properties */
    char *listen, *control;
    bool monitor, trace;
    uint32_t max_version, monitor_us;

    /* the CPU side */
    uint64_t guest_os_id, hypercall, ref_tsc;
    HvVp vp[HV_MAX_CPUS];

    /* VMBus */
    uint32_t msg_vp;
    bool connected, offers_requested;
    uint64_t mon_page;
    QEMUTimer *mon_timer;
    QSIMPLEQ_HEAD(, HvMsgNode) msgs;
    QLIST_HEAD(, HvGpadl) gpadls;
    uint32_t last_relid;
    HvChan chan[HV_CHANNELS];

    /* synthetic RDP */
    QIONetListener *listener;
    GQueue waiting;             /* clients for which no channel is free */
    bool pipe_bytes;            /* offers say: byte pipe, not message pipe */
    uint32_t message_size;      /* the most to put into one pipe packet */
    bool tcp_half_close;        /* a TCP client's FIN ends only its direction */
    HvVersionAnswer version_answer;
    uint8_t version_code;       /* "accepted" byte of a refusal */
    uint32_t version_delay_ms;
    QEMUTimer *version_timer;
    uint32_t version_requested;
    GByteArray *version_bytes;

    /* the tests */
    QIONetListener *control_listener;
    GQueue control_conns;
    GPtrArray *events;          /* lines, all since the start */
    uint64_t breaches, needless, opens, closes, rescinds, version_requests;
};

#define hv_trace(s, fmt, ...) do {                                          \
    if ((s)->trace) {                                                       \
        fprintf(stderr, "hv[%8.3f] " fmt "\n",                              \
                qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) / 1000.0,             \
                ## __VA_ARGS__);                                            \
    }                                                                       \
} while (0)

/* hyperv-tcg.c */

/* Where a guest physical address lies in our memory, to the end of its page. */
void *hv_ptr(uint64_t gpa);
void hv_send_message(HvState *s, const void *data, unsigned len);
/* Puts what waits into the guest's message slot, if that is free. */
void hv_flush_messages(HvState *s);
void hv_signal_guest(HvChan *c);

/* hyperv-tcg-vmbus.c */

void vmbus_message(HvState *s, const uint8_t *m, unsigned len);
void vmbus_reset(HvState *s);
void vmbus_monitor_timer(void *opaque);
const char *chan_state_name(const HvChan *c);
void chan_offer(HvChan *c);
/* The host takes the channel away; its client, if any, is dropped. */
void chan_rescind(HvChan *c);
/* By hypercall or monitor page. */
void chan_guest_signalled(HvChan *c);
void chan_bh(void *opaque);

/* hyperv-tcg-ring.c */

/* pages first…first+n−1 of the GPADL: a header page and data */
void ring_init(HvRing *r, const HvGpadl *g, unsigned first, unsigned n);
void chan_rings_opened(HvChan *c);
void chan_rings_closed(HvChan *c);
/* Room for a pipe packet of that length?  If not, the guest is asked to tell. */
bool chan_can_send(HvChan *c, uint32_t len);
/* Sends a pipe packet; the caller made sure that there is room. */
void chan_send(HvChan *c, const void *data, uint32_t len);
/* Puts bytes into the in ring as they are: a malformed packet. */
bool chan_send_raw(HvChan *c, const void *data, uint32_t len);
/* Takes what the guest has put into the out ring; "all" even if the client is
 * slow. */
void chan_drain(HvChan *c, bool all);
/* What lies unread in the out ring; 0 when it isn't open. */
uint32_t chan_unread(const HvChan *c);
/* Changes a field of a ring's header as a broken host would. */
bool chan_poke(HvChan *c, bool in, const char *field, uint32_t value);
void chan_slow_timer(void *opaque);

/* hyperv-tcg-rdp.c */

void rdp_realize(HvState *s, Error **errp);
void rdp_channel_closed(HvChan *c);
/* One pipe message from the guest; length 0: the guest sends no more. */
void rdp_pipe_data(HvChan *c, const uint8_t *data, uint32_t len);
/* The host has drained the ring: send on what has come. */
void rdp_drained(HvChan *c);
/* Too much unsent to the client of that channel? */
bool rdp_client_slow(const HvChan *c);
/* Deliver what the client sent, as long as the ring has room. */
void rdp_client_watch(HvChan *c);
void rdp_client_drop(HvChan *c);
/* Gives waiting clients the channels that are free, and offers these. */
void rdp_offer_channels(HvState *s);

/* hyperv-tcg-control.c */

void control_realize(HvState *s, Error **errp);
/* For those who listen on the control socket, and for the trace. */
void hv_event(HvState *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The guest did what the protocol forbids. */
void hv_breach(HvChan *c, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

#endif
