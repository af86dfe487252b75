/* What the files of the simulated host share. */
#ifndef HVHOST_INTERNAL_H
#define HVHOST_INTERNAL_H

#include "hvhost.h"

#include "hvring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#define HVHOST_BREACHES_KEPT 16
#define HVHOST_ANSWERS_MAX   8

_Static_assert(HVHOST_PIPE_MAX == HVRING_PIPE_MAX, "one protocol");

struct hvhost_channel {
    hvhost *host;
    atomic_uint references;
    unsigned number;
    uint32_t offer;
    int fd;
    void *map;
    size_t map_size;

    struct hvring_writer writer; /* of the thread that writes */
    uint32_t packet_max;
    bool packet_random;
    uint64_t random_state;
    uint32_t reserved;

    struct hvring_reader reader; /* of the thread that reads */

    hvhost_channel *next; /* in host->channels, until the guest has closed it */
    pid_t guest_pid;      /* who opened it */
    ino_t guest_end;      /* the inode of its descriptor */

    _Atomic bool closed; /* by the guest */
    _Atomic bool rescinded;
    _Atomic bool broken;    /* a breach was recorded */
    _Atomic bool corrupted; /* on purpose: the guest's words mean nothing any more */
    _Atomic bool ended;     /* zero-length data came */
    _Atomic bool ready;     /* control channel: a version was accepted */
    _Atomic uint64_t rescind_after;
    _Atomic uint64_t bytes_out, bytes_in, packets_out, packets_in;
    _Atomic uint64_t signals_out, signals_in;
    _Atomic uint64_t times_full, guest_times_full;
    _Atomic uint64_t room_allowed; /* signals that the guest may send for room it made */
    _Atomic uint32_t unread_guest, unread_host; /* when it was closed */

    /* One thread polls the descriptor for all that wait. */
    pthread_mutex_t wait_lock;
    pthread_cond_t wait_cond;
    bool polling;
    _Atomic uint64_t events; /* signals taken, ever; an end counts, too */
};

/* Where a channel number stands. */
struct slot {
    bool offered;
    uint32_t offer;          /* counts */
    hvhost_channel *channel; /* opened last; may be over */
    int open_error;
    enum { OPEN_NORMALLY, RESCIND_BEFORE_OPEN, RESCIND_BEHIND_OPEN } on_open;
    uint64_t rescind_after;
};

struct answer {
    uint64_t due; /* milliseconds */
    enum hvhost_version_policy policy;
};

struct hvhost {
    struct hvhost_options options;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    int listener;
    int wake;
    pthread_t thread;
    size_t page_size;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t cond;  /* an event was counted */
    bool stopping;
    int guest; /* -1: none */
    struct slot slots[HVHOST_CHANNELS];
    hvhost_channel *channels; /* all that the guest has not closed */
    unsigned counts[HVHOST_EVENTS][HVHOST_CHANNELS];
    char *breaches[HVHOST_BREACHES_KEPT];
    unsigned breach_count;

    enum hvhost_version_policy version;
    unsigned version_delay;
    struct answer answers[HVHOST_ANSWERS_MAX];
    unsigned answer_count;

    pthread_mutex_t control_lock; /* who writes the control channel */
};

/* -- time: monotonic, milliseconds; a deadline of -1 is for ever -- */

uint64_t hvhost_now(void);
int64_t hvhost_deadline(int timeout_ms);
int hvhost_time_left(int64_t deadline);
void hvhost_cond_init(pthread_cond_t *cond);
/* False: the deadline is over. */
bool hvhost_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);

/* -- the host; no lock held -- */

/* Counts and reports an event. detail may be NULL. */
void hvhost_raise(hvhost *host, enum hvhost_event event, unsigned channel, const char *detail);
/* Records a breach; returns -EPROTO. */
int hvhost_note_breach(hvhost *host, unsigned channel, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The service thread looks at everything again. */
void hvhost_wake_service(hvhost *host);

/* -- a channel -- */

/* fds: what the guest gets; the caller closes them. */
hvhost_channel *hvhost_channel_new(hvhost *host, unsigned number, uint32_t offer, int fds[2]);
/* The guest has closed its end. */
void hvhost_channel_set_closed(hvhost_channel *channel);
/* The guest's end shows POLLHUP and end of file from now on. */
void hvhost_channel_set_rescinded(hvhost_channel *channel);
/* Whether the guest's process has its end open, also after a rescind. */
bool hvhost_channel_is_held(hvhost_channel *channel);
/* Records a breach and rescinds the channel; returns -EPROTO, or -EPIPE if the host has corrupted
 * the rings itself. */
int hvhost_channel_breach(hvhost_channel *channel, const char *text);
/* 0: it can be used, or -EPIPE, -EPROTO. */
int hvhost_channel_check(hvhost_channel *channel);
/* Likewise, and the guest has kept its hands off the host's words. */
int hvhost_channel_check_writer(hvhost_channel *channel);
/* Room for a packet with that payload: 0, -EAGAIN after the guest was asked to tell, or a breach.
 * What was written so far must have been published, or the guest could not make room. */
int hvhost_channel_want_room(hvhost_channel *channel, uint32_t payload);
/* Signals the guest, whatever the rules say. */
int hvhost_channel_send_signal(hvhost_channel *channel);

#endif
