/* A simulated Hyper-V host: the other end of the VMBus rings, for tests and benchmarks.
 *
 * Written from the protocol's description, independently of linux/, and strict: every field that
 * the guest writes is checked, a breach is recorded as a sentence and ends the channel. It signals
 * the guest only when a ring becomes non-empty and interrupts are not masked, or when the guest
 * waits for room, and can be told to misbehave.
 *
 * The guest connects to a UNIX SOCK_SEQPACKET socket (hvhost-protocol.h), as hvsessiond-sim does. A
 * thread of the library serves that connection, the offers and the control channel. Data channels
 * belong to the caller's threads: at most one reads and one writes a channel at a time; everything
 * else may be called from any thread. No GLib.
 *
 * Functions that return int or ssize_t give a negative errno value on failure:
 *     -EAGAIN     nothing to read, or no room (try_… only)
 *     -ETIMEDOUT  not within timeout_ms
 *     -EPIPE      the channel is over: closed by the guest, rescinded, or the guest is gone
 *     -EPROTO     the guest broke the protocol: hvhost_breach() has the sentence
 * Time-outs are in milliseconds, -1 waits for ever, 0 not at all.
 */
#ifndef HVHOST_H
#define HVHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Channel 0 is the control channel, 1 … 5 are the data channels. */
#define HVHOST_CHANNELS 6u
/* Data bytes of each ring by default: with its header page 17 pages of 4 KiB. */
#define HVHOST_RING_SIZE 65536u
/* The most bytes that one pipe packet carries. */
#define HVHOST_PIPE_MAX 16384u

typedef struct hvhost hvhost;
typedef struct hvhost_channel hvhost_channel;

/* When the host masks the interrupts of the guest → host ring. */
enum hvhost_masking {
    HVHOST_MASK_AWAKE, /* while a thread of the host works on the ring */
    HVHOST_MASK_NEVER,
    HVHOST_MASK_ALWAYS, /* the host looks once a millisecond instead */
};

/* What happens to a version request. */
enum hvhost_version_policy {
    HVHOST_VERSION_ACCEPT, /* accepted = 2 */
    HVHOST_VERSION_REFUSE, /* accepted = 0 */
    HVHOST_VERSION_SILENT,
    HVHOST_VERSION_ERROR, /* a message of type 0 */
    HVHOST_VERSION_BAD,   /* a message of an unknown type */
    HVHOST_VERSION_SHORT, /* a response cut short */
};

enum hvhost_event {
    HVHOST_GUEST_CONNECTED, /* channel is 0 */
    HVHOST_GUEST_GONE,      /* likewise */
    HVHOST_OFFERED,
    HVHOST_RESCINDED,
    HVHOST_OPENED,          /* by the guest */
    HVHOST_CLOSED,          /* by the guest; after a rescind, too */
    HVHOST_VERSION_REQUEST, /* came from the guest */
    HVHOST_VERSION_ANSWER,  /* went to the guest, whatever it says */
    HVHOST_BREACH,
};
#define HVHOST_EVENTS (HVHOST_BREACH + 1)

/* Called from whichever thread it happens in, no lock held. */
typedef void (*hvhost_event_function)(hvhost *host, enum hvhost_event event, unsigned channel,
                                      void *user_data);

struct hvhost_options {
    const char *socket_path; /* made by the host, removed by hvhost_free() */
    size_t ring_size;        /* data bytes of each ring, a multiple of the page size */
    enum hvhost_masking masking;
    bool kernel_masks;           /* the guest's kernel masks at open and at each signal */
    bool offer_control;          /* from the start */
    FILE *log;                   /* a line for every event; NULL: none */
    hvhost_event_function event; /* may be NULL */
    void *user_data;
};
/* ring_size HVHOST_RING_SIZE, MASK_AWAKE, control offered. */
void hvhost_options_init(struct hvhost_options *options, const char *socket_path);

/* NULL: errno says why. */
hvhost *hvhost_new(const struct hvhost_options *options);
/* Rescinds everything, drops the guest, ends the thread. All channel references must be back. */
void hvhost_free(hvhost *host);

/* -- offers -- */

/* Offers a channel. 0; -EEXIST: it is offered already. */
int hvhost_offer(hvhost *host, unsigned channel);
/* Takes it back; the control channel takes all data channels with it. 0; -ENOENT: not offered. */
int hvhost_rescind(hvhost *host, unsigned channel);
/* The next open of that channel is answered by a rescind: instead of an answer (before), or just
 * behind it. */
void hvhost_rescind_on_open(hvhost *host, unsigned channel, bool before);
/* Rescinds once that many payload bytes have crossed the channel, both ways together; counts from
 * its opening. */
void hvhost_rescind_after(hvhost *host, unsigned channel, uint64_t bytes);
bool hvhost_is_offered(hvhost *host, unsigned channel);
/* Opens fail with that errno value (as EACCES, ENOMEM, EBUSY) from now on; 0: no more. */
void hvhost_fail_opens(hvhost *host, unsigned channel, int error);
/* Drops the connection to the guest, as if the host's service had died. A guest that connects
 * again finds the same offers. */
void hvhost_drop_guest(hvhost *host);

/* -- control channel -- */

/* Which answer version requests get from now on, and how late. Applies to requests to come, not to
 * answers already due. */
void hvhost_set_version(hvhost *host, enum hvhost_version_policy policy, unsigned delay_ms);
/* Sends bytes on the control channel now, as one message. */
int hvhost_control_send(hvhost *host, const void *message, size_t length);

/* -- waiting for events -- */

/* How often that has happened since hvhost_new(). */
unsigned hvhost_count(hvhost *host, enum hvhost_event event, unsigned channel);
/* Waits until hvhost_count() ≥ count. */
bool hvhost_wait(hvhost *host, enum hvhost_event event, unsigned channel, unsigned count,
                 int timeout_ms);
/* The control channel is open and a version was accepted since then. */
bool hvhost_wait_ready(hvhost *host, int timeout_ms);
/* The open channel with a reference for the caller; waits for the guest to open it. NULL: not in
 * time, or a breach. */
hvhost_channel *hvhost_wait_open(hvhost *host, unsigned channel, int timeout_ms);
/* hvhost_offer() and hvhost_wait_open(). */
hvhost_channel *hvhost_connect(hvhost *host, unsigned channel, int timeout_ms);

/* -- breaches of the protocol by the guest -- */

unsigned hvhost_breaches(hvhost *host);
/* The first 16 are kept; NULL behind the last. Valid until hvhost_free(). */
const char *hvhost_breach(hvhost *host, unsigned index);
/* Prints them to stderr and aborts, if there are any. */
void hvhost_assert_no_breach(hvhost *host);

/* -- a data channel: lifetime -- */

hvhost_channel *hvhost_channel_ref(hvhost_channel *channel);
void hvhost_channel_unref(hvhost_channel *channel);
unsigned hvhost_channel_number(const hvhost_channel *channel);
/* Neither closed by the guest nor rescinded. */
bool hvhost_channel_is_open(hvhost_channel *channel);
/* true: the guest has closed its end within the time. */
bool hvhost_channel_wait_closed(hvhost_channel *channel, int timeout_ms);

/* How write functions cut their bytes: packets of at most packet_max (1 … HVHOST_PIPE_MAX, the
 * default) bytes; random: of 1 … packet_max bytes. Set it before writing begins. */
void hvhost_channel_set_packets(hvhost_channel *channel, uint32_t packet_max, bool random);

/* -- a data channel: reading and writing streams -- */

/* All bytes, waiting for room as needed: 0 or an error. Packets are published in batches. */
int hvhost_channel_write(hvhost_channel *channel, const void *bytes, size_t length, int timeout_ms);
/* As many bytes as there is room for: > 0 or an error. When -EAGAIN is returned or it was not
 * everything, the guest has been asked to signal when there is room. */
ssize_t hvhost_channel_try_write(hvhost_channel *channel, const void *bytes, size_t length);
/* A packet of zero bytes: the end of the stream. */
int hvhost_channel_write_end(hvhost_channel *channel, int timeout_ms);
/* 1 … size bytes, across as many packets as there are; 0: the guest sent zero-length data. */
ssize_t hvhost_channel_read(hvhost_channel *channel, void *bytes, size_t size, int timeout_ms);
ssize_t hvhost_channel_try_read(hvhost_channel *channel, void *bytes, size_t size);
/* Exactly length bytes: 0 or an error; -ENODATA: the stream ended before. */
int hvhost_channel_read_all(hvhost_channel *channel, void *bytes, size_t length, int timeout_ms);
/* One packet as it came; -EMSGSIZE: it is longer than size and stays. */
ssize_t hvhost_channel_read_packet(hvhost_channel *channel, void *bytes, size_t size,
                                   int timeout_ms);

/* -- a data channel: for callers with their own poll loop -- */

/* Readable when the guest has signalled. */
int hvhost_channel_fd(const hvhost_channel *channel);
/* Takes pending signals, without blocking: 0, -EPIPE or -EPROTO. */
int hvhost_channel_take_signal(hvhost_channel *channel);
/* Before every sleep. to_read: unmasks and looks whether there is something to read. to_write:
 * asks for a signal when there is room and looks whether there is. True: neither, sleep. Call
 * hvhost_channel_awake() after the sleep. */
bool hvhost_channel_may_sleep(hvhost_channel *channel, bool to_read, bool to_write);
void hvhost_channel_awake(hvhost_channel *channel);
/* HVHOST_MASK_ALWAYS: nobody signals, so sleep no longer than a millisecond. */
bool hvhost_channel_is_blind(const hvhost_channel *channel);
/* Straight into the ring: the one or two pieces (*count) where up to wanted bytes of one packet's
 * payload go; returns how many bytes that is, or -EAGAIN. hvhost_channel_commit() publishes a
 * packet of length ≤ that; length 0 publishes nothing. */
ssize_t hvhost_channel_reserve(hvhost_channel *channel, size_t wanted, struct iovec pieces[2],
                               int *count);
int hvhost_channel_commit(hvhost_channel *channel, size_t length);
/* Straight from the ring: the payloads of the packets that are there, at most count pieces and
 * limit bytes. Returns the bytes in *used pieces; 0: zero-length data is next (take it with
 * hvhost_channel_consume(…, 0)). hvhost_channel_consume() gives the first length bytes back to the
 * guest; a packet is released with its last byte. */
ssize_t hvhost_channel_peek(hvhost_channel *channel, struct iovec *pieces, int count, size_t limit,
                            int *used);
int hvhost_channel_consume(hvhost_channel *channel, size_t length);

/* -- counters -- */

struct hvhost_counters {
    uint64_t bytes_to_guest, bytes_from_guest; /* payload */
    uint64_t packets_to_guest, packets_from_guest;
    uint64_t signals_to_guest, signals_from_guest;
    uint64_t times_full;       /* times the host asked for room in the host → guest ring */
    uint64_t guest_times_full; /* times the guest asked for room and was signalled */
    uint64_t signals_allowed;  /* upper bound of what the guest may have sent so far */
    uint32_t unread_by_guest;  /* ring bytes at close, or now */
    uint32_t unread_by_host;   /* likewise */
    bool open;
    bool end_from_guest; /* zero-length data came */
};
void hvhost_channel_counters(hvhost_channel *channel, struct hvhost_counters *counters);

/* -- misbehaving -- */

/* Words (write-index-range, pipe-type-3, …) with what they do: hvhost_corruption_name(). The
 * channel is not to be written to afterwards unless noted. */
enum hvhost_corruption {
    HVHOST_WRITE_INDEX_RANGE,      /* host → guest write_index = ring size */
    HVHOST_WRITE_INDEX_HUGE,       /* 0xfffffff8 */
    HVHOST_WRITE_INDEX_MISALIGNED, /* + 4 */
    HVHOST_READ_INDEX_RANGE,       /* guest → host read_index = ring size */
    HVHOST_READ_INDEX_MISALIGNED,  /* + 4 */
    HVHOST_USED_TOO_SMALL,         /* write_index 8 bytes on */
    HVHOST_OFFSET_ZERO,            /* data_offset8 = 0 */
    HVHOST_OFFSET_ONE,             /* data_offset8 = 1 */
    HVHOST_OFFSET_BEYOND_LENGTH,   /* data_offset8 = length8 + 1 */
    HVHOST_LENGTH_ZERO,            /* length8 = 0 */
    HVHOST_LENGTH_ONE,             /* length8 = 1 */
    HVHOST_LENGTH_BEYOND_USED,     /* length8 one more than was published */
    HVHOST_LENGTH_MAX,             /* length8 = 0xffff */
    HVHOST_PIPE_NO_HEADER,         /* a payload of no bytes */
    HVHOST_PIPE_LENGTH_BEYOND,     /* length one more than the payload holds */
    HVHOST_PIPE_LENGTH_HUGE,       /* length = 0xffffffff */
    HVHOST_PIPE_LENGTH_OVER_MAX,   /* 16,392 zero bytes, all there, more than pipes carry: a guest
                                    * may take or refuse it */
    HVHOST_PIPE_PARTIAL,           /* type 2: the bytes "XXpartial" of which two are consumed;
                                    * a good packet, writing may go on */
    HVHOST_PIPE_PARTIAL_BAD,       /* type 2, more consumed than there is */
    HVHOST_PIPE_TYPE_3,            /* GPA-direct set-up */
    HVHOST_PIPE_TYPE_4,            /* GPA-direct tear-down */
    HVHOST_PIPE_TYPE_5,            /* indication complete */
    HVHOST_PIPE_TYPE_UNKNOWN,      /* 0x77 */
    HVHOST_PACKET_TYPE_7,          /* transfer pages */
    HVHOST_PACKET_TYPE_9,          /* GPA direct */
    HVHOST_PACKET_TYPE_COMPLETION, /* 0x0b */
    HVHOST_PACKET_TYPE_UNKNOWN,    /* 0x42 */
    HVHOST_DATA_OFFSET_LARGER,     /* 8 bytes more between descriptor and payload "offset": a good
                                    * packet, writing may go on */
    HVHOST_TRANSACTION_ONES,       /* transaction_id all ones, payload "ones": likewise good */
};
#define HVHOST_CORRUPTIONS (HVHOST_TRANSACTION_ONES + 1)
const char *hvhost_corruption_name(enum hvhost_corruption corruption);
/* The packet is not for use by a pipe, or the ring is beyond repair. False: a good packet. */
bool hvhost_corruption_is_bad(enum hvhost_corruption corruption);
/* Does it behind what has been written, publishes and signals. -EAGAIN: no room. From the thread
 * that writes. */
int hvhost_channel_corrupt(hvhost_channel *channel, enum hvhost_corruption corruption);
/* Any packet: payload goes at data_offset8 · 8, then zeros to length8 · 8; the trailer is right. */
int hvhost_channel_send_raw(hvhost_channel *channel, uint16_t type, uint16_t data_offset8,
                            uint16_t flags, uint64_t transaction_id, const void *payload,
                            size_t length);
/* Signals though there is nothing new. */
int hvhost_channel_signal(hvhost_channel *channel);

/* -- names, as in logs and commands ("open", "refuse") -- */

const char *hvhost_event_name(enum hvhost_event event);
const char *hvhost_version_policy_name(enum hvhost_version_policy policy);

#endif
