#include "hvhost.h"

#include "hvhost-protocol.h"
#include "hvring.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BREACHES_KEPT 16
#define ANSWERS_MAX 8
/* Under HVHOST_MASK_ALWAYS the host looks this often, in milliseconds. */
#define BLIND_INTERVAL 1
/* How often it looks whether a rescinded channel was closed, in milliseconds. */
#define HELD_INTERVAL 2
/* Channels that are looked after at a time: open ones, and rescinded ones still held. */
#define WATCHED_MAX 64
/* The blocking reader gives room back at least this often: a quarter of the ring. */
#define READ_SHARE 4u

#define VERSION_REQUEST 1u
#define VERSION_RESPONSE 2u
#define VERSION_ERROR 0u
#define VERSION_1_0 1u
#define VERSION_REQUEST_SIZE 16u
#define VERSION_RESPONSE_SIZE 17u
#define VERSION_ACCEPTED 2u

_Static_assert(HVHOST_PIPE_MAX == HVRING_PIPE_MAX, "one protocol");

struct hvhost_channel {
    hvhost      *host;
    atomic_uint  references;
    unsigned     number;
    uint32_t     offer;
    int          fd;
    void        *map;
    size_t       map_size;

    struct hvring_writer writer; /* of the thread that writes */
    uint32_t             packet_max;
    bool                 packet_random;
    uint64_t             random_state;
    uint32_t             reserved;

    struct hvring_reader reader; /* of the thread that reads */

    hvhost_channel *next;      /* in host->channels, until the guest has closed it */
    pid_t           guest_pid; /* who opened it */
    ino_t           guest_end; /* the inode of its descriptor */

    _Atomic bool     closed;    /* by the guest */
    _Atomic bool     rescinded;
    _Atomic bool     broken;    /* a breach was recorded */
    _Atomic bool     corrupted; /* on purpose: the guest's words mean nothing any more */
    _Atomic bool     ended;     /* zero-length data came */
    _Atomic bool     ready;     /* control channel: a version was accepted */
    _Atomic uint64_t rescind_after;
    _Atomic uint64_t bytes_out, bytes_in, packets_out, packets_in;
    _Atomic uint64_t signals_out, signals_in;
    _Atomic uint64_t times_full, guest_times_full;
    _Atomic uint64_t room_allowed; /* signals that the guest may send for room it made */
    _Atomic uint32_t unread_guest, unread_host; /* when it was closed */

    /* One thread polls the descriptor for all that wait. */
    pthread_mutex_t  wait_lock;
    pthread_cond_t   wait_cond;
    bool             polling;
    _Atomic uint64_t events; /* signals taken, ever; an end counts, too */
};

/* Where a channel number stands. */
struct slot {
    bool            offered;
    uint32_t        offer;   /* counts */
    hvhost_channel *channel; /* opened last; may be over */
    int             open_error;
    enum { OPEN_NORMALLY, RESCIND_BEFORE_OPEN, RESCIND_BEHIND_OPEN } on_open;
    uint64_t        rescind_after;
};

struct answer {
    uint64_t                   due; /* milliseconds */
    enum hvhost_version_policy policy;
};

struct hvhost {
    struct hvhost_options options;
    char                  path[sizeof((struct sockaddr_un *) NULL)->sun_path];
    int                   listener;
    int                   wake;
    pthread_t             thread;
    size_t                page_size;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t  cond; /* an event was counted */
    bool            stopping;
    int             guest; /* -1: none */
    struct slot     slots[HVHOST_CHANNELS];
    hvhost_channel *channels; /* all that the guest has not closed */
    unsigned        counts[HVHOST_EVENTS][HVHOST_CHANNELS];
    char           *breaches[BREACHES_KEPT];
    unsigned        breach_count;

    enum hvhost_version_policy version;
    unsigned                   version_delay;
    struct answer              answers[ANSWERS_MAX];
    unsigned                   answer_count;

    pthread_mutex_t control_lock; /* who writes the control channel */
};

/* -- names -- */

const char *
hvhost_event_name(enum hvhost_event event)
{
    static const char *const names[] = { "guest-connected", "guest-gone",     "offer",
                                         "rescind",         "open",           "close",
                                         "version-request", "version-answer", "breach" };

    return names[event];
}

const char *
hvhost_version_policy_name(enum hvhost_version_policy policy)
{
    static const char *const names[] = { "accept", "refuse", "silent", "error", "bad", "short" };

    return names[policy];
}

/* -- time -- */

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* -1 stays: for ever. */
static int64_t
deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : (int64_t) now_ms() + timeout_ms;
}

static int
left_until(int64_t deadline)
{
    int64_t left;

    if (deadline < 0)
        return -1;
    left = deadline - (int64_t) now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int) left;
}

/* false: the deadline is over. */
static bool
cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
    struct timespec at = { .tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000 };

    if (deadline < 0)
        return pthread_cond_wait(cond, lock) == 0;
    return pthread_cond_timedwait(cond, lock, &at) == 0;
}

static void
cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* -- events and breaches; no lock held -- */

static void
wake_service(hvhost *host)
{
    uint64_t one = 1;

    if (write(host->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

static void
raise_event(hvhost *host, enum hvhost_event event, unsigned channel, const char *detail)
{
    pthread_mutex_lock(&host->lock);
    host->counts[event][channel]++;
    if (host->options.log) {
        fprintf(host->options.log, "host: %s", hvhost_event_name(event));
        if (event != HVHOST_GUEST_CONNECTED && event != HVHOST_GUEST_GONE)
            fprintf(host->options.log, " %u", channel);
        fprintf(host->options.log, "%s%s\n", detail ? ": " : "", detail ? detail : "");
        fflush(host->options.log);
    }
    pthread_cond_broadcast(&host->cond);
    pthread_mutex_unlock(&host->lock);
    if (host->options.event)
        host->options.event(host, event, channel, host->options.user_data);
}

__attribute__((format(printf, 3, 4))) static int
breach(hvhost *host, unsigned channel, const char *format, ...)
{
    char    sentence[HVRING_BREACH_SIZE + 40], text[HVRING_BREACH_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(sentence, sizeof sentence, "channel %u: %s", channel, text);

    pthread_mutex_lock(&host->lock);
    if (host->breach_count < BREACHES_KEPT)
        host->breaches[host->breach_count] = strdup(sentence);
    host->breach_count++;
    pthread_mutex_unlock(&host->lock);
    raise_event(host, HVHOST_BREACH, channel, text);
    return -EPROTO;
}

unsigned
hvhost_breaches(hvhost *host)
{
    unsigned count;

    pthread_mutex_lock(&host->lock);
    count = host->breach_count;
    pthread_mutex_unlock(&host->lock);
    return count;
}

const char *
hvhost_breach(hvhost *host, unsigned index)
{
    const char *sentence;

    pthread_mutex_lock(&host->lock);
    sentence = index < BREACHES_KEPT ? host->breaches[index] : NULL;
    pthread_mutex_unlock(&host->lock);
    return sentence;
}

void
hvhost_assert_no_breach(hvhost *host)
{
    if (hvhost_breaches(host) == 0)
        return;
    for (unsigned i = 0; hvhost_breach(host, i); i++)
        fprintf(stderr, "hvhost: the guest broke the protocol: %s\n", hvhost_breach(host, i));
    abort();
}

unsigned
hvhost_count(hvhost *host, enum hvhost_event event, unsigned channel)
{
    unsigned count;

    pthread_mutex_lock(&host->lock);
    count = host->counts[event][channel];
    pthread_mutex_unlock(&host->lock);
    return count;
}

bool
hvhost_wait(hvhost *host, enum hvhost_event event, unsigned channel, unsigned count, int timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);
    bool    reached;

    pthread_mutex_lock(&host->lock);
    while (!(reached = host->counts[event][channel] >= count))
        if (!cond_wait_until(&host->cond, &host->lock, deadline))
            break;
    reached = host->counts[event][channel] >= count;
    pthread_mutex_unlock(&host->lock);
    return reached;
}

/* -- a channel's life -- */

static hvhost_channel *
channel_new(hvhost *host, unsigned number, uint32_t offer, int fds[HVHOST_MESSAGE_FDS])
{
    size_t          ring = host->page_size + host->options.ring_size;
    hvhost_channel *channel = calloc(1, sizeof *channel);
    struct ucred    peer;
    struct stat     status;
    int             pair[2];

    if (!channel)
        return NULL;
    fds[0] = memfd_create("hyper-v rings", MFD_CLOEXEC);
    if (fds[0] < 0 || ftruncate(fds[0], (off_t) (2 * ring)) < 0)
        goto no_memory;
    channel->map_size = 2 * ring;
    channel->map = mmap(NULL, channel->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    if (channel->map == MAP_FAILED)
        goto no_memory;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        goto no_socket;
    channel->fd = pair[0];
    fds[1] = pair[1];
    if (fstat(pair[1], &status) == 0)
        channel->guest_end = status.st_ino;
    if (getsockopt(host->guest, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t) { sizeof peer }) == 0)
        channel->guest_pid = peer.pid;

    channel->host = host;
    channel->number = number;
    channel->offer = offer;
    channel->packet_max = HVHOST_PIPE_MAX;
    channel->random_state = 0x9e3779b97f4a7c15u + offer;
    atomic_store(&channel->references, 1);
    pthread_mutex_init(&channel->wait_lock, NULL);
    cond_init(&channel->wait_cond);
    hvring_reader_init(&channel->reader, channel->map, (uint32_t) host->options.ring_size,
                       (uint32_t) host->page_size, host->options.masking == HVHOST_MASK_ALWAYS);
    hvring_writer_init(&channel->writer, (uint8_t *) channel->map + ring,
                       (uint32_t) host->options.ring_size, (uint32_t) host->page_size);
    if (host->options.kernel_masks)
        atomic_store(&channel->writer.page->interrupt_mask, 1);
    return channel;

no_socket:
    munmap(channel->map, channel->map_size);
no_memory:
    if (fds[0] >= 0)
        close(fds[0]);
    free(channel);
    return NULL;
}

hvhost_channel *
hvhost_channel_ref(hvhost_channel *channel)
{
    atomic_fetch_add(&channel->references, 1);
    return channel;
}

void
hvhost_channel_unref(hvhost_channel *channel)
{
    if (!channel || atomic_fetch_sub(&channel->references, 1) != 1)
        return;
    munmap(channel->map, channel->map_size);
    close(channel->fd);
    pthread_mutex_destroy(&channel->wait_lock);
    pthread_cond_destroy(&channel->wait_cond);
    free(channel);
}

unsigned
hvhost_channel_number(const hvhost_channel *channel)
{
    return channel->number;
}

bool
hvhost_channel_is_open(hvhost_channel *channel)
{
    return !atomic_load(&channel->closed) && !atomic_load(&channel->rescinded);
}

/* Whoever waits looks again. */
static void
channel_wake(hvhost_channel *channel)
{
    pthread_mutex_lock(&channel->wait_lock);
    atomic_fetch_add(&channel->events, 1);
    pthread_cond_broadcast(&channel->wait_cond);
    pthread_mutex_unlock(&channel->wait_lock);
}

/* The guest has closed its end. Once. */
static void
channel_closed(hvhost_channel *channel)
{
    if (atomic_exchange(&channel->closed, true))
        return;
    if (!atomic_load(&channel->rescinded)) {
        atomic_store(&channel->unread_guest, hvring_writer_unread(&channel->writer));
        atomic_store(&channel->unread_host, hvring_reader_unread(&channel->reader));
    }
    channel_wake(channel);
    raise_event(channel->host, HVHOST_CLOSED, channel->number, NULL);
}

/* The guest's end shows POLLHUP and end of file from now on. */
static void
channel_rescind(hvhost_channel *channel)
{
    if (atomic_exchange(&channel->rescinded, true))
        return;
    atomic_store(&channel->unread_guest, hvring_writer_unread(&channel->writer));
    atomic_store(&channel->unread_host, hvring_reader_unread(&channel->reader));
    shutdown(channel->fd, SHUT_RDWR);
    channel_wake(channel);
    wake_service(channel->host);
}

/* A socket that was shut down does not tell when its other end is closed, so the system has to say
 * whether the guest's process still holds that end. */
static bool
guest_holds(hvhost_channel *channel)
{
    char           path[64], target[64], wanted[64];
    struct dirent *entry;
    bool           held = false;
    DIR           *directory;

    snprintf(path, sizeof path, "/proc/%d/fd", (int) channel->guest_pid);
    snprintf(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long) channel->guest_end);
    directory = opendir(path);
    if (!directory)
        return false;
    while (!held && (entry = readdir(directory))) {
        ssize_t n = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);

        target[n > 0 ? n : 0] = '\0';
        held = strcmp(target, wanted) == 0;
    }
    closedir(directory);
    return held;
}

static int
channel_breach(hvhost_channel *channel, const char *text)
{
    if (atomic_load(&channel->corrupted))
        return -EPIPE;
    if (atomic_exchange(&channel->broken, true))
        return -EPROTO;
    breach(channel->host, channel->number, "%s", text);
    hvhost_rescind(channel->host, channel->number);
    return -EPROTO;
}

/* 0: it can be used. */
static int
channel_check(hvhost_channel *channel)
{
    if (atomic_load(&channel->broken))
        return -EPROTO;
    return hvhost_channel_is_open(channel) ? 0 : -EPIPE;
}

bool
hvhost_channel_wait_closed(hvhost_channel *channel, int timeout_ms)
{
    hvhost *host = channel->host;
    int64_t deadline = deadline_of(timeout_ms);

    pthread_mutex_lock(&host->lock);
    while (!atomic_load(&channel->closed))
        if (!cond_wait_until(&host->cond, &host->lock, deadline))
            break;
    pthread_mutex_unlock(&host->lock);
    return atomic_load(&channel->closed);
}

void
hvhost_channel_set_packets(hvhost_channel *channel, uint32_t packet_max, bool random)
{
    channel->packet_max = packet_max;
    channel->packet_random = random;
}

void
hvhost_channel_counters(hvhost_channel *channel, struct hvhost_counters *counters)
{
    bool open = hvhost_channel_is_open(channel);

    *counters = (struct hvhost_counters) {
        .bytes_to_guest = atomic_load(&channel->bytes_out),
        .bytes_from_guest = atomic_load(&channel->bytes_in),
        .packets_to_guest = atomic_load(&channel->packets_out),
        .packets_from_guest = atomic_load(&channel->packets_in),
        .signals_to_guest = atomic_load(&channel->signals_out),
        .signals_from_guest = atomic_load(&channel->signals_in),
        .times_full = atomic_load(&channel->times_full),
        .guest_times_full = atomic_load(&channel->guest_times_full),
        .signals_allowed =
            atomic_load(&channel->room_allowed) + atomic_load(&channel->reader.allowed),
        .unread_by_guest = open ? hvring_writer_unread(&channel->writer)
                                : atomic_load(&channel->unread_guest),
        .unread_by_host = open ? hvring_reader_unread(&channel->reader)
                               : atomic_load(&channel->unread_host),
        .open = open,
        .end_from_guest = atomic_load(&channel->ended),
    };
}

static void
count_bytes(hvhost_channel *channel, _Atomic uint64_t *bytes, uint64_t n, _Atomic uint64_t *packets,
            uint64_t packet_count)
{
    uint64_t limit;

    atomic_fetch_add_explicit(bytes, n, memory_order_relaxed);
    atomic_fetch_add_explicit(packets, packet_count, memory_order_relaxed);
    limit = atomic_load_explicit(&channel->rescind_after, memory_order_relaxed);
    if (limit != 0 && atomic_load_explicit(&channel->bytes_in, memory_order_relaxed) +
                              atomic_load_explicit(&channel->bytes_out, memory_order_relaxed) >=
                          limit)
        hvhost_rescind(channel->host, channel->number);
}

/* -- signals -- */

/* An interrupt: the guest's kernel may mask the ring before it wakes its user. A full socket means
 * that there are many signals under way. */
static int
send_signal(hvhost_channel *channel)
{
    int32_t count = (int32_t) atomic_fetch_add(&channel->signals_out, 1) + 1;

    if (channel->host->options.kernel_masks)
        atomic_store(&channel->writer.page->interrupt_mask, 1);
    if (send(channel->fd, &count, sizeof count, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        return -EPIPE;
    return 0;
}

int
hvhost_channel_signal(hvhost_channel *channel)
{
    int error = channel_check(channel);

    return error ? error : send_signal(channel);
}

int
hvhost_channel_fd(const hvhost_channel *channel)
{
    return channel->fd;
}

int
hvhost_channel_take_signal(hvhost_channel *channel)
{
    int32_t  value[2] = { 0, 0 };
    ssize_t  n = recv(channel->fd, value, sizeof value, MSG_DONTWAIT);
    uint64_t received, allowed;
    char     text[100];

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return channel_check(channel);
    if (atomic_load(&channel->rescinded))
        return channel_check(channel);
    if (n <= 0) {
        channel_closed(channel);
        return channel_check(channel);
    }
    if (n != sizeof value[0] || (value[0] != 0 && value[0] != 1)) {
        snprintf(text, sizeof text, "%zd bytes, value %d, were written to the device", n, value[0]);
        return channel_breach(channel, text);
    }
    if (value[0] == 0)
        return 0;
    received = atomic_fetch_add(&channel->signals_in, 1) + 1;
    allowed = atomic_load(&channel->room_allowed) + atomic_load(&channel->reader.allowed);
    if (received > allowed) {
        snprintf(text, sizeof text, "needless signals: %llu, of which at most %llu had a reason",
                 (unsigned long long) received, (unsigned long long) allowed);
        return channel_breach(channel, text);
    }
    return 0;
}

bool
hvhost_channel_is_blind(const hvhost_channel *channel)
{
    return channel->host->options.masking == HVHOST_MASK_ALWAYS;
}

/* Waits for a signal later than `seen`, or for the end: 0, -ETIMEDOUT. Of several threads one
 * polls, the others wait for it; when it is done, for whatever reason, another takes over. */
static int
channel_poll(hvhost_channel *channel, uint64_t seen, int64_t deadline)
{
    bool blind = hvhost_channel_is_blind(channel);
    int  result = 0;

    pthread_mutex_lock(&channel->wait_lock);
    while (atomic_load(&channel->events) == seen && hvhost_channel_is_open(channel)) {
        struct pollfd fd = { .fd = channel->fd, .events = POLLIN };
        int           timeout = left_until(deadline), ready;

        if (timeout == 0) {
            result = -ETIMEDOUT;
            break;
        }
        if (channel->polling) {
            cond_wait_until(&channel->wait_cond, &channel->wait_lock,
                            blind ? (int64_t) now_ms() + BLIND_INTERVAL : deadline);
            if (blind)
                break;
            continue;
        }
        channel->polling = true;
        pthread_mutex_unlock(&channel->wait_lock);
        ready = poll(&fd, 1, blind ? BLIND_INTERVAL : timeout);
        if (ready > 0)
            hvhost_channel_take_signal(channel);
        pthread_mutex_lock(&channel->wait_lock);
        channel->polling = false;
        if (ready > 0 || blind)
            atomic_fetch_add(&channel->events, 1);
        pthread_cond_broadcast(&channel->wait_cond);
    }
    pthread_mutex_unlock(&channel->wait_lock);
    return result;
}

/* -- writing -- */

static uint32_t
next_packet_length(hvhost_channel *channel, size_t length)
{
    uint32_t max = hvring_writer_payload_max(&channel->writer);

    if (channel->packet_max < max)
        max = channel->packet_max;
    if (channel->packet_random) {
        channel->random_state ^= channel->random_state << 13;
        channel->random_state ^= channel->random_state >> 7;
        channel->random_state ^= channel->random_state << 17;
        max = 1 + (uint32_t) (channel->random_state % max);
    }
    return length < max ? (uint32_t) length : max;
}

/* Room for a packet with that payload: 0, -EAGAIN after the guest was asked to tell, or a breach.
 * What was written so far must have been published, or the guest could not make room. */
static int
want_room(hvhost_channel *channel, uint32_t payload)
{
    struct hvring_writer *writer = &channel->writer;
    uint32_t              need = hvring_packet_size(payload), room, pending;

    if (!hvring_writer_room(writer, &room))
        return channel_breach(channel, writer->breach);
    pending = need > writer->size / 4 ? need : writer->size / 4;
    if (pending > writer->size - 8)
        pending = writer->size - 8;
    /* Asked once, unless more is needed than was asked for. */
    if (room < need && writer->pending < pending) {
        /* The guest may cross the mark once, and once more if it was between its look at
         * pending_send_sz and its look at write_index when the host went on writing. */
        atomic_fetch_add(&channel->room_allowed, 2);
        atomic_fetch_add_explicit(&channel->times_full, 1, memory_order_relaxed);
        hvring_writer_set_pending(writer, pending);
        if (!hvring_writer_room(writer, &room))
            return channel_breach(channel, writer->breach);
    }
    if (room < need)
        return -EAGAIN;
    if (writer->pending != 0)
        hvring_writer_set_pending(writer, 0);
    return 0;
}

static int
publish(hvhost_channel *channel)
{
    bool signal;

    if (!hvring_writer_publish(&channel->writer, &signal))
        return channel_breach(channel, channel->writer.breach);
    return signal ? send_signal(channel) : 0;
}

static int
check_writer(hvhost_channel *channel)
{
    int error = channel_check(channel);

    if (error)
        return error;
    if (!atomic_load(&channel->corrupted) && !hvring_writer_check_owned(&channel->writer))
        return channel_breach(channel, channel->writer.breach);
    return 0;
}

ssize_t
hvhost_channel_try_write(hvhost_channel *channel, const void *bytes, size_t length)
{
    struct hvring_writer *writer = &channel->writer;
    size_t                done = 0;
    uint32_t              room = 0, packets = 0, unpublished = 0;
    int                   error = check_writer(channel);

    if (!error && !hvring_writer_room(writer, &room))
        error = channel_breach(channel, writer->breach);
    while (!error && done < length) {
        uint32_t     n = next_packet_length(channel, length - done);
        uint32_t     need = hvring_packet_size(n);
        struct iovec pieces[2];
        int          count;

        if (room < need || writer->pending != 0) {
            error = publish(channel);
            unpublished = 0;
            if (!error)
                error = want_room(channel, n);
            if (error || !hvring_writer_room(writer, &room))
                break;
        }
        count = hvring_writer_payload(writer, n, pieces);
        memcpy(pieces[0].iov_base, (const uint8_t *) bytes + done, pieces[0].iov_len);
        if (count > 1)
            memcpy(pieces[1].iov_base, (const uint8_t *) bytes + done + pieces[0].iov_len,
                   pieces[1].iov_len);
        hvring_writer_frame(writer, n);
        done += n;
        room -= need;
        packets++;
        unpublished += need;
        if (unpublished >= writer->size / READ_SHARE) {
            error = publish(channel);
            unpublished = 0;
        }
    }
    if (!error)
        error = publish(channel);
    count_bytes(channel, &channel->bytes_out, done, &channel->packets_out, packets);
    return done > 0 && (!error || error == -EAGAIN) ? (ssize_t) done : error;
}

int
hvhost_channel_write(hvhost_channel *channel, const void *bytes, size_t length, int timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);
    size_t  done = 0;

    while (done < length) {
        uint64_t seen = atomic_load(&channel->events);
        ssize_t  n = hvhost_channel_try_write(channel, (const uint8_t *) bytes + done, length - done);

        if (n < 0 && n != -EAGAIN)
            return (int) n;
        if (n > 0)
            done += (size_t) n;
        else if (channel_poll(channel, seen, deadline) < 0)
            return -ETIMEDOUT;
    }
    return 0;
}

int
hvhost_channel_write_end(hvhost_channel *channel, int timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);

    for (;;) {
        uint64_t seen = atomic_load(&channel->events);
        int      error = check_writer(channel);

        if (!error)
            error = want_room(channel, 0);
        if (!error) {
            hvring_writer_frame(&channel->writer, 0);
            error = publish(channel);
            count_bytes(channel, &channel->bytes_out, 0, &channel->packets_out, 1);
        }
        if (error != -EAGAIN)
            return error;
        if (channel_poll(channel, seen, deadline) < 0)
            return -ETIMEDOUT;
    }
}

ssize_t
hvhost_channel_reserve(hvhost_channel *channel, size_t wanted, struct iovec pieces[2], int *count)
{
    uint32_t n = next_packet_length(channel, wanted);
    int      error = check_writer(channel);

    if (!error)
        error = want_room(channel, n);
    if (error)
        return error;
    *count = hvring_writer_payload(&channel->writer, n, pieces);
    channel->reserved = n;
    return n;
}

int
hvhost_channel_commit(hvhost_channel *channel, size_t length)
{
    int error;

    if (length == 0)
        return 0;
    if (length > channel->reserved)
        return -EINVAL;
    hvring_writer_frame(&channel->writer, (uint32_t) length);
    error = publish(channel);
    count_bytes(channel, &channel->bytes_out, length, &channel->packets_out, 1);
    return error;
}

/* -- reading -- */

ssize_t
hvhost_channel_peek(hvhost_channel *channel, struct iovec *pieces, int count, size_t limit,
                    int *used)
{
    struct hvring_reader *reader = &channel->reader;
    int                   error = channel_check(channel);
    bool                  any;

    *used = 0;
    if (error)
        return error;
    if (atomic_load(&channel->corrupted))
        return -EAGAIN;
    if (!hvring_reader_look(reader, &any) || !hvring_reader_check_owned(reader))
        return channel_breach(channel, reader->breach);
    if (!any)
        return -EAGAIN;
    return hvring_reader_peek(reader, pieces, count, limit > UINT32_MAX ? UINT32_MAX : (uint32_t) limit,
                              used);
}

int
hvhost_channel_consume(hvhost_channel *channel, size_t length)
{
    uint32_t packets = hvring_reader_consume(&channel->reader, (uint32_t) length);
    int      error = 0;
    bool     signal;

    if (length == 0 && packets > 0)
        atomic_store(&channel->ended, true);
    if (!hvring_reader_publish(&channel->reader, &signal))
        error = channel_breach(channel, channel->reader.breach);
    else if (signal) {
        atomic_fetch_add_explicit(&channel->guest_times_full, 1, memory_order_relaxed);
        error = send_signal(channel);
    }
    count_bytes(channel, &channel->bytes_in, length, &channel->packets_in, packets);
    return error;
}

ssize_t
hvhost_channel_try_read(hvhost_channel *channel, void *bytes, size_t size)
{
    size_t share = channel->reader.size / READ_SHARE, done = 0;

    while (done < size) {
        struct iovec pieces[2 * HVRING_QUEUE];
        size_t       limit = size - done < share ? size - done : share;
        int          used;
        ssize_t      n = hvhost_channel_peek(channel, pieces, 2 * HVRING_QUEUE, limit, &used);

        if (n < 0)
            return done > 0 ? (ssize_t) done : n == -EAGAIN && atomic_load(&channel->ended) ? 0 : n;
        if (n == 0) {
            if (done > 0)
                break;
            hvhost_channel_consume(channel, 0);
            return 0;
        }
        for (int i = 0; i < used; i++) {
            memcpy((uint8_t *) bytes + done, pieces[i].iov_base, pieces[i].iov_len);
            done += pieces[i].iov_len;
        }
        hvhost_channel_consume(channel, (size_t) n);
    }
    return (ssize_t) done;
}

bool
hvhost_channel_may_sleep(hvhost_channel *channel, bool to_read, bool to_write)
{
    if (channel_check(channel))
        return false;
    if (to_read) {
        hvring_reader_mask(&channel->reader,
                           channel->host->options.masking == HVHOST_MASK_ALWAYS);
        if (hvring_reader_pending(&channel->reader))
            return false;
    }
    if (to_write) {
        uint32_t n = next_packet_length(channel, HVHOST_PIPE_MAX);

        if (want_room(channel, n) != -EAGAIN)
            return false;
    }
    return true;
}

void
hvhost_channel_awake(hvhost_channel *channel)
{
    if (channel->host->options.masking != HVHOST_MASK_NEVER)
        hvring_reader_mask(&channel->reader, true);
}

ssize_t
hvhost_channel_read(hvhost_channel *channel, void *bytes, size_t size, int timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);

    for (;;) {
        uint64_t seen = atomic_load(&channel->events);
        ssize_t  n = hvhost_channel_try_read(channel, bytes, size);

        if (n != -EAGAIN)
            return n;
        if (hvhost_channel_may_sleep(channel, true, false)) {
            if (channel_poll(channel, seen, deadline) < 0)
                return -ETIMEDOUT;
            hvhost_channel_awake(channel);
        }
    }
}

int
hvhost_channel_read_all(hvhost_channel *channel, void *bytes, size_t length, int timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);
    size_t  done = 0;

    while (done < length) {
        ssize_t n = hvhost_channel_read(channel, (uint8_t *) bytes + done, length - done,
                                        left_until(deadline));

        if (n <= 0)
            return n < 0 ? (int) n : -ENODATA;
        done += (size_t) n;
    }
    return 0;
}

ssize_t
hvhost_channel_read_packet(hvhost_channel *channel, void *bytes, size_t size, int timeout_ms)
{
    struct hvring_reader *reader = &channel->reader;
    int64_t               deadline = deadline_of(timeout_ms);

    for (;;) {
        uint64_t     seen = atomic_load(&channel->events);
        struct iovec piece;
        int          used;
        ssize_t      n = hvhost_channel_peek(channel, &piece, 1, 1, &used);

        if (n >= 0) {
            size_t left = reader->queue[reader->head].length - reader->used_up;

            return left > size ? -EMSGSIZE : hvhost_channel_try_read(channel, bytes, left ? left : 1);
        }
        if (n != -EAGAIN)
            return n;
        if (atomic_load(&channel->ended))
            return 0;
        if (hvhost_channel_may_sleep(channel, true, false)) {
            if (channel_poll(channel, seen, deadline) < 0)
                return -ETIMEDOUT;
            hvhost_channel_awake(channel);
        }
    }
}

/* -- misbehaving -- */

static const struct {
    const char *name;
    bool        bad;
} corruptions[HVHOST_CORRUPTIONS] = {
    [HVHOST_WRITE_INDEX_RANGE] = { "write-index-range", true },
    [HVHOST_WRITE_INDEX_HUGE] = { "write-index-huge", true },
    [HVHOST_WRITE_INDEX_MISALIGNED] = { "write-index-misaligned", true },
    [HVHOST_READ_INDEX_RANGE] = { "read-index-range", true },
    [HVHOST_READ_INDEX_MISALIGNED] = { "read-index-misaligned", true },
    [HVHOST_USED_TOO_SMALL] = { "used-too-small", true },
    [HVHOST_OFFSET_ZERO] = { "offset-zero", true },
    [HVHOST_OFFSET_ONE] = { "offset-one", true },
    [HVHOST_OFFSET_BEYOND_LENGTH] = { "offset-beyond-length", true },
    [HVHOST_LENGTH_ZERO] = { "length-zero", true },
    [HVHOST_LENGTH_ONE] = { "length-one", true },
    [HVHOST_LENGTH_BEYOND_USED] = { "length-beyond-used", true },
    [HVHOST_LENGTH_MAX] = { "length-max", true },
    [HVHOST_PIPE_NO_HEADER] = { "pipe-no-header", true },
    [HVHOST_PIPE_LENGTH_BEYOND] = { "pipe-length-beyond", true },
    [HVHOST_PIPE_LENGTH_HUGE] = { "pipe-length-huge", true },
    [HVHOST_PIPE_LENGTH_OVER_MAX] = { "pipe-length-over-max", false },
    [HVHOST_PIPE_PARTIAL] = { "pipe-partial", false },
    [HVHOST_PIPE_PARTIAL_BAD] = { "pipe-partial-bad", true },
    [HVHOST_PIPE_TYPE_3] = { "pipe-type-3", true },
    [HVHOST_PIPE_TYPE_4] = { "pipe-type-4", true },
    [HVHOST_PIPE_TYPE_5] = { "pipe-type-5", true },
    [HVHOST_PIPE_TYPE_UNKNOWN] = { "pipe-type-unknown", true },
    [HVHOST_PACKET_TYPE_7] = { "packet-type-7", true },
    [HVHOST_PACKET_TYPE_9] = { "packet-type-9", true },
    [HVHOST_PACKET_TYPE_COMPLETION] = { "packet-type-completion", true },
    [HVHOST_PACKET_TYPE_UNKNOWN] = { "packet-type-unknown", true },
    [HVHOST_DATA_OFFSET_LARGER] = { "data-offset-larger", false },
    [HVHOST_TRANSACTION_ONES] = { "transaction-ones", false },
};

const char *
hvhost_corruption_name(enum hvhost_corruption corruption)
{
    return corruptions[corruption].name;
}

bool
hvhost_corruption_is_bad(enum hvhost_corruption corruption)
{
    return corruptions[corruption].bad;
}

/* A packet made by hand goes behind what was written; then the guest is woken, whatever the rules
 * say. */
static int
send_packet(hvhost_channel *channel, const struct hvring_descriptor *descriptor,
            const void *payload, uint32_t length)
{
    int  error = check_writer(channel);
    bool signal;

    if (!error)
        error = want_room(channel, length + descriptor->data_offset8 * 8u);
    if (error)
        return error;
    hvring_writer_raw(&channel->writer, descriptor, payload, length);
    if (!hvring_writer_publish(&channel->writer, &signal))
        return channel_breach(channel, channel->writer.breach);
    atomic_fetch_add_explicit(&channel->packets_out, 1, memory_order_relaxed);
    return send_signal(channel);
}

int
hvhost_channel_send_raw(hvhost_channel *channel, uint16_t type, uint16_t data_offset8,
                        uint16_t flags, uint64_t transaction_id, const void *payload, size_t length)
{
    struct hvring_descriptor descriptor = {
        .type = type,
        .data_offset8 = data_offset8,
        .length8 = (uint16_t) ((data_offset8 * 8u + length + 7) / 8),
        .flags = flags,
        .transaction_id = transaction_id,
    };

    return send_packet(channel, &descriptor, payload, (uint32_t) length);
}

/* A packet of pipe type and length as given, with data_length bytes behind that header. */
static int
send_pipe(hvhost_channel *channel, uint32_t type, uint32_t length, const void *data,
          uint32_t data_length)
{
    uint8_t payload[sizeof(struct hvring_pipe_header) + HVRING_PIPE_MAX + 8] = { 0 };

    memcpy(payload, &(struct hvring_pipe_header) { type, length }, sizeof(struct hvring_pipe_header));
    memcpy(payload + sizeof(struct hvring_pipe_header), data, data_length);
    return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 2, 0, 0, payload,
                                   sizeof(struct hvring_pipe_header) + data_length);
}

/* An index of the host's, set to what it cannot be. */
static int
corrupt_index(hvhost_channel *channel, _Atomic uint32_t *index, uint32_t value)
{
    atomic_store(&channel->corrupted, true);
    atomic_store(index, value);
    return send_signal(channel);
}

/* A packet of 32 bytes in all whose descriptor lies. */
static int
corrupt_descriptor(hvhost_channel *channel, uint16_t type, uint16_t data_offset8, uint16_t length8)
{
    struct hvring_descriptor  descriptor = { type, data_offset8, length8, 0, 0 };
    struct hvring_pipe_header pipe = { HVRING_PIPE_DATA, 0 };
    struct hvring_writer     *writer = &channel->writer;
    uint32_t                  start = writer->write;
    uint8_t                   front[HVRING_FRONT];
    int                       error;
    bool                      signal;

    error = check_writer(channel);
    if (!error)
        error = want_room(channel, 0);
    if (error)
        return error;
    memcpy(front, &descriptor, sizeof descriptor);
    memcpy(front + sizeof descriptor, &pipe, sizeof pipe);
    hvring_writer_frame(writer, 0);
    for (uint32_t i = 0; i < sizeof front; i++)
        writer->data[(start + i) % writer->size] = front[i];
    if (!hvring_writer_publish(writer, &signal))
        return channel_breach(channel, writer->breach);
    return send_signal(channel);
}

int
hvhost_channel_corrupt(hvhost_channel *channel, enum hvhost_corruption corruption)
{
    static const uint8_t  zeros[HVRING_PIPE_MAX + 8];
    struct hvring_writer *writer = &channel->writer;
    struct hvring_page   *in = writer->page, *out = channel->reader.page;
    uint32_t              size = writer->size;
    uint8_t               payload[8 + 9];
    int                   error = check_writer(channel);

    if (error)
        return error;
    switch (corruption) {
    case HVHOST_WRITE_INDEX_RANGE:
        return corrupt_index(channel, &in->write_index, size);
    case HVHOST_WRITE_INDEX_HUGE:
        return corrupt_index(channel, &in->write_index, 0xfffffff8u);
    case HVHOST_WRITE_INDEX_MISALIGNED:
        return corrupt_index(channel, &in->write_index, writer->published + 4);
    case HVHOST_READ_INDEX_RANGE:
        return corrupt_index(channel, &out->read_index, size);
    case HVHOST_READ_INDEX_MISALIGNED:
        return corrupt_index(channel, &out->read_index, atomic_load(&out->read_index) + 4);
    case HVHOST_USED_TOO_SMALL:
        return corrupt_index(channel, &in->write_index, (writer->published + 8) % size);
    case HVHOST_OFFSET_ZERO:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 0, 3);
    case HVHOST_OFFSET_ONE:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 1, 3);
    case HVHOST_OFFSET_BEYOND_LENGTH:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 4, 3);
    case HVHOST_LENGTH_ZERO:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 0);
    case HVHOST_LENGTH_ONE:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 1);
    case HVHOST_LENGTH_BEYOND_USED:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 4);
    case HVHOST_LENGTH_MAX:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 0xffff);
    case HVHOST_PACKET_TYPE_7:
        return corrupt_descriptor(channel, 7, 2, 3);
    case HVHOST_PACKET_TYPE_9:
        return corrupt_descriptor(channel, 9, 2, 3);
    case HVHOST_PACKET_TYPE_COMPLETION:
        return corrupt_descriptor(channel, 0x0b, 2, 3);
    case HVHOST_PACKET_TYPE_UNKNOWN:
        return corrupt_descriptor(channel, 0x42, 2, 3);
    case HVHOST_PIPE_NO_HEADER:
        return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 2, 0, 0, zeros, 0);
    case HVHOST_PIPE_LENGTH_BEYOND:
        return send_pipe(channel, HVRING_PIPE_DATA, 17, zeros, 16);
    case HVHOST_PIPE_LENGTH_HUGE:
        return send_pipe(channel, HVRING_PIPE_DATA, 0xffffffffu, zeros, 16);
    case HVHOST_PIPE_LENGTH_OVER_MAX:
        return send_pipe(channel, HVRING_PIPE_DATA, HVRING_PIPE_MAX + 8, zeros, HVRING_PIPE_MAX + 8);
    case HVHOST_PIPE_PARTIAL:
        return send_pipe(channel, 2, 2u << 16 | 9u, "XXpartial", 9);
    case HVHOST_PIPE_PARTIAL_BAD:
        return send_pipe(channel, 2, 10u << 16 | 9u, "XXpartial", 9);
    case HVHOST_PIPE_TYPE_3:
        return send_pipe(channel, 3, 16, zeros, 16);
    case HVHOST_PIPE_TYPE_4:
        return send_pipe(channel, 4, 16, zeros, 16);
    case HVHOST_PIPE_TYPE_5:
        return send_pipe(channel, 5, 16, zeros, 16);
    case HVHOST_PIPE_TYPE_UNKNOWN:
        return send_pipe(channel, 0x77, 16, zeros, 16);
    case HVHOST_DATA_OFFSET_LARGER:
        memcpy(payload, &(struct hvring_pipe_header) { HVRING_PIPE_DATA, 6 }, 8);
        memcpy(payload + 8, "offset", 6);
        return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 3, 0, 0, payload, 14);
    case HVHOST_TRANSACTION_ONES:
        memcpy(payload, &(struct hvring_pipe_header) { HVRING_PIPE_DATA, 4 }, 8);
        memcpy(payload + 8, "ones", 4);
        return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 2, 0, UINT64_MAX, payload,
                                       12);
    }
    return -EINVAL;
}

/* -- offers; messages go out under the host's lock, so that their order is that of the events -- */

static void
drop_guest_locked(hvhost *host)
{
    if (host->guest >= 0)
        shutdown(host->guest, SHUT_RDWR);
}

static void
tell_guest(hvhost *host, enum hvhost_message_type type, unsigned channel, uint32_t offer)
{
    struct hvhost_message message = { .type = type, .channel = channel, .offer = offer };

    if (host->guest >= 0 &&
        send(host->guest, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        drop_guest_locked(host);
}

int
hvhost_offer(hvhost *host, unsigned channel)
{
    struct slot    *slot = &host->slots[channel];
    hvhost_channel *old;

    pthread_mutex_lock(&host->lock);
    if (slot->offered) {
        pthread_mutex_unlock(&host->lock);
        return -EEXIST;
    }
    slot->offered = true;
    slot->offer++;
    old = slot->channel;
    slot->channel = NULL;
    tell_guest(host, HVHOST_MESSAGE_OFFER, channel, slot->offer);
    pthread_mutex_unlock(&host->lock);
    hvhost_channel_unref(old);
    raise_event(host, HVHOST_OFFERED, channel, NULL);
    return 0;
}

int
hvhost_rescind(hvhost *host, unsigned channel)
{
    struct slot    *slot = &host->slots[channel];
    hvhost_channel *open = NULL;

    pthread_mutex_lock(&host->lock);
    if (!slot->offered) {
        pthread_mutex_unlock(&host->lock);
        return -ENOENT;
    }
    slot->offered = false;
    slot->rescind_after = 0;
    if (slot->channel)
        open = hvhost_channel_ref(slot->channel);
    tell_guest(host, HVHOST_MESSAGE_RESCIND, channel, slot->offer);
    pthread_mutex_unlock(&host->lock);
    if (open) {
        channel_rescind(open);
        hvhost_channel_unref(open);
    }
    raise_event(host, HVHOST_RESCINDED, channel, NULL);
    for (unsigned i = 1; channel == 0 && i < HVHOST_CHANNELS; i++)
        hvhost_rescind(host, i);
    return 0;
}

bool
hvhost_is_offered(hvhost *host, unsigned channel)
{
    bool offered;

    pthread_mutex_lock(&host->lock);
    offered = host->slots[channel].offered;
    pthread_mutex_unlock(&host->lock);
    return offered;
}

void
hvhost_rescind_on_open(hvhost *host, unsigned channel, bool before)
{
    pthread_mutex_lock(&host->lock);
    host->slots[channel].on_open = before ? RESCIND_BEFORE_OPEN : RESCIND_BEHIND_OPEN;
    pthread_mutex_unlock(&host->lock);
}

void
hvhost_rescind_after(hvhost *host, unsigned channel, uint64_t bytes)
{
    struct slot *slot = &host->slots[channel];

    pthread_mutex_lock(&host->lock);
    if (slot->channel && slot->channel->offer == slot->offer && slot->offered)
        atomic_store(&slot->channel->rescind_after, bytes);
    else
        slot->rescind_after = bytes;
    pthread_mutex_unlock(&host->lock);
}

void
hvhost_fail_opens(hvhost *host, unsigned channel, int error)
{
    pthread_mutex_lock(&host->lock);
    host->slots[channel].open_error = error;
    pthread_mutex_unlock(&host->lock);
}

void
hvhost_drop_guest(hvhost *host)
{
    pthread_mutex_lock(&host->lock);
    drop_guest_locked(host);
    pthread_mutex_unlock(&host->lock);
}

hvhost_channel *
hvhost_wait_open(hvhost *host, unsigned channel, int timeout_ms)
{
    struct slot    *slot = &host->slots[channel];
    int64_t         deadline = deadline_of(timeout_ms);
    hvhost_channel *open = NULL;

    pthread_mutex_lock(&host->lock);
    for (;;) {
        if (slot->channel && slot->channel->offer == slot->offer) {
            open = hvhost_channel_ref(slot->channel);
            break;
        }
        if (!cond_wait_until(&host->cond, &host->lock, deadline))
            break;
    }
    pthread_mutex_unlock(&host->lock);
    return open;
}

hvhost_channel *
hvhost_connect(hvhost *host, unsigned channel, int timeout_ms)
{
    hvhost_offer(host, channel);
    return hvhost_wait_open(host, channel, timeout_ms);
}

/* -- the guest's connection; all of it in the service thread -- */

static int
send_opened(int guest, const struct hvhost_message *message, const int fds[HVHOST_MESSAGE_FDS])
{
    union {
        struct cmsghdr header;
        char           space[CMSG_SPACE(sizeof(int) * HVHOST_MESSAGE_FDS)];
    } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int) * HVHOST_MESSAGE_FDS),
                              .cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS } };
    struct iovec  piece = { (void *) message, sizeof *message };
    struct msghdr header = { .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.space };

    memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * HVHOST_MESSAGE_FDS);
    return sendmsg(guest, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void
fail_open(hvhost *host, const struct hvhost_message *open, int error)
{
    struct hvhost_message message = { .type = HVHOST_MESSAGE_FAILED,
                                      .channel = open->channel,
                                      .offer = open->offer,
                                      .error = (uint32_t) error };

    if (send(host->guest, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        drop_guest_locked(host);
}

/* Whether the guest still holds the channel that it opened last. */
static bool
is_held(hvhost_channel *channel)
{
    struct pollfd fd = { .fd = channel->fd };

    if (atomic_load(&channel->closed) || atomic_load(&channel->rescinded))
        return false;
    return poll(&fd, 1, 0) == 0;
}

/* The guest opens an offered channel. False: it broke the protocol. */
static bool
open_channel(hvhost *host, const struct hvhost_message *open)
{
    struct slot          *slot = &host->slots[open->channel];
    struct hvhost_message answer = *open;
    hvhost_channel       *channel, *old;
    int                   fds[HVHOST_MESSAGE_FDS] = { -1, -1 };
    bool                  held, rescind_behind;

    pthread_mutex_lock(&host->lock);
    if (slot->offered && slot->offer == open->offer && slot->on_open == RESCIND_BEFORE_OPEN) {
        slot->on_open = OPEN_NORMALLY;
        pthread_mutex_unlock(&host->lock);
        hvhost_rescind(host, open->channel);
        pthread_mutex_lock(&host->lock);
    }
    if (!slot->offered || slot->offer != open->offer || slot->open_error) {
        fail_open(host, open, slot->open_error ? slot->open_error : ENOENT);
        pthread_mutex_unlock(&host->lock);
        return true;
    }
    old = slot->channel;
    held = old && is_held(old);
    channel = held ? NULL : channel_new(host, open->channel, open->offer, fds);
    if (!channel) {
        fail_open(host, open, held ? EBUSY : ENOMEM);
        pthread_mutex_unlock(&host->lock);
        return !held;
    }
    atomic_store(&channel->rescind_after, slot->rescind_after);
    slot->rescind_after = 0;
    slot->channel = channel;
    channel->next = host->channels;
    host->channels = hvhost_channel_ref(channel);
    rescind_behind = slot->on_open == RESCIND_BEHIND_OPEN;
    slot->on_open = OPEN_NORMALLY;
    answer.type = HVHOST_MESSAGE_OPENED;
    answer.map_size = channel->map_size;
    if (send_opened(host->guest, &answer, fds) < 0)
        drop_guest_locked(host);
    pthread_mutex_unlock(&host->lock);
    close(fds[0]);
    close(fds[1]);
    if (old && !atomic_load(&old->rescinded))
        channel_closed(old);
    hvhost_channel_unref(old);
    raise_event(host, HVHOST_OPENED, open->channel, NULL);
    if (rescind_behind)
        hvhost_rescind(host, open->channel);
    return true;
}

/* Everything is rescinded for a guest whose connection is lost; the offers stay for the next. */
static void
guest_gone(hvhost *host)
{
    hvhost_channel *lost[WATCHED_MAX];
    unsigned        count = 0;

    pthread_mutex_lock(&host->lock);
    close(host->guest);
    host->guest = -1;
    for (hvhost_channel *channel = host->channels; channel; channel = channel->next)
        if (count < WATCHED_MAX)
            lost[count++] = hvhost_channel_ref(channel);
    pthread_mutex_unlock(&host->lock);
    for (unsigned i = 0; i < count; i++) {
        channel_rescind(lost[i]);
        hvhost_channel_unref(lost[i]);
    }
    raise_event(host, HVHOST_GUEST_GONE, 0, NULL);
}

static void
read_guest(hvhost *host)
{
    struct hvhost_message message;
    ssize_t               n = recv(host->guest, &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        guest_gone(host);
        return;
    }
    if ((size_t) n != sizeof message || message.type != HVHOST_MESSAGE_OPEN ||
        message.channel >= HVHOST_CHANNELS) {
        breach(host, 0, "a message of %zd bytes, type %u, is not known", n, message.type);
        hvhost_drop_guest(host);
        return;
    }
    if (!open_channel(host, &message))
        breach(host, message.channel, "opened though it is open");
}

static void
accept_guest(hvhost *host)
{
    int guest = accept4(host->listener, NULL, NULL, SOCK_CLOEXEC);

    if (guest < 0)
        return;
    pthread_mutex_lock(&host->lock);
    host->guest = guest;
    for (unsigned i = 0; i < HVHOST_CHANNELS; i++)
        if (host->slots[i].offered)
            tell_guest(host, HVHOST_MESSAGE_OFFER, i, host->slots[i].offer);
    pthread_mutex_unlock(&host->lock);
    raise_event(host, HVHOST_GUEST_CONNECTED, 0, NULL);
}

/* -- the control channel -- */

void
hvhost_set_version(hvhost *host, enum hvhost_version_policy policy, unsigned delay_ms)
{
    pthread_mutex_lock(&host->lock);
    host->version = policy;
    host->version_delay = delay_ms;
    pthread_mutex_unlock(&host->lock);
}

static hvhost_channel *
control_channel(hvhost *host)
{
    hvhost_channel *channel = NULL;

    pthread_mutex_lock(&host->lock);
    if (host->slots[0].channel && hvhost_channel_is_open(host->slots[0].channel))
        channel = hvhost_channel_ref(host->slots[0].channel);
    pthread_mutex_unlock(&host->lock);
    return channel;
}

int
hvhost_control_send(hvhost *host, const void *message, size_t length)
{
    hvhost_channel *channel = control_channel(host);
    int             error;

    if (!channel)
        return -EPIPE;
    pthread_mutex_lock(&host->control_lock);
    error = hvhost_channel_write(channel, message, length, 0);
    pthread_mutex_unlock(&host->control_lock);
    hvhost_channel_unref(channel);
    return error;
}

static void
put32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t) (value >> 8 * i);
}

static uint32_t
get32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 |
           (uint32_t) bytes[3] << 24;
}

static void
send_answer(hvhost *host, enum hvhost_version_policy policy)
{
    uint8_t         message[VERSION_RESPONSE_SIZE] = { 0 };
    size_t          length = sizeof message;
    hvhost_channel *channel = control_channel(host);

    if (!channel)
        return;
    put32(message, VERSION_RESPONSE);
    put32(message + 4, VERSION_RESPONSE_SIZE);
    put32(message + 8, VERSION_1_0);
    if (policy == HVHOST_VERSION_ACCEPT)
        message[16] = VERSION_ACCEPTED;
    if (policy == HVHOST_VERSION_ERROR) {
        put32(message, VERSION_ERROR);
        length = 8;
        put32(message + 4, (uint32_t) length);
    }
    if (policy == HVHOST_VERSION_BAD)
        put32(message, 0x77);
    if (policy == HVHOST_VERSION_SHORT)
        length--;
    if (policy == HVHOST_VERSION_SILENT)
        length = 0;
    /* Before the guest can act on it. */
    if (policy == HVHOST_VERSION_ACCEPT)
        atomic_store(&channel->ready, true);
    if (length > 0 && hvhost_control_send(host, message, length) == 0)
        raise_event(host, HVHOST_VERSION_ANSWER, 0, hvhost_version_policy_name(policy));
    hvhost_channel_unref(channel);
}

/* Sends what is due; returns the milliseconds until the next is, or -1. */
static int
send_due_answers(hvhost *host)
{
    for (;;) {
        struct answer answer;
        uint64_t      now = now_ms();

        pthread_mutex_lock(&host->lock);
        if (host->answer_count == 0 || host->answers[0].due > now) {
            int left = host->answer_count ? (int) (host->answers[0].due - now) : -1;

            pthread_mutex_unlock(&host->lock);
            return left;
        }
        answer = host->answers[0];
        host->answer_count--;
        memmove(host->answers, host->answers + 1, host->answer_count * sizeof answer);
        pthread_mutex_unlock(&host->lock);
        send_answer(host, answer.policy);
    }
}

static void
version_requested(hvhost *host)
{
    raise_event(host, HVHOST_VERSION_REQUEST, 0, NULL);
    pthread_mutex_lock(&host->lock);
    if (host->version != HVHOST_VERSION_SILENT && host->answer_count < ANSWERS_MAX)
        host->answers[host->answer_count++] =
            (struct answer) { now_ms() + host->version_delay, host->version };
    pthread_mutex_unlock(&host->lock);
    wake_service(host);
}

/* Messages of the guest. Only one is known. */
static void
read_control(hvhost_channel *channel)
{
    uint8_t message[HVHOST_PIPE_MAX];
    char    text[120];

    for (;;) {
        ssize_t n = hvhost_channel_read_packet(channel, message, sizeof message, 0);

        if (n == -ETIMEDOUT)
            return;
        if (n < 0)
            return;
        if (n != VERSION_REQUEST_SIZE || get32(message) != VERSION_REQUEST ||
            get32(message + 8) != VERSION_1_0 || get32(message + 12) != 0 ||
            (get32(message + 4) != 0 && get32(message + 4) != VERSION_REQUEST_SIZE)) {
            snprintf(text, sizeof text,
                     "a message of %zd bytes, type %u, size %u, version %#x is no version request",
                     n, n >= 16 ? get32(message) : 0, n >= 16 ? get32(message + 4) : 0,
                     n >= 16 ? get32(message + 8) : 0);
            channel_breach(channel, text);
            return;
        }
        version_requested(channel->host);
    }
}

bool
hvhost_wait_ready(hvhost *host, int timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);
    bool    ready = false;

    pthread_mutex_lock(&host->lock);
    for (;;) {
        hvhost_channel *channel = host->slots[0].channel;

        ready = channel && hvhost_channel_is_open(channel) && atomic_load(&channel->ready);
        if (ready || !cond_wait_until(&host->cond, &host->lock, deadline))
            break;
    }
    pthread_mutex_unlock(&host->lock);
    return ready;
}

/* -- the service thread -- */

/* What it waits for: the guest, closed ends of all channels, signals on the control channel. */
struct watch {
    struct pollfd   fds[2 + WATCHED_MAX];
    hvhost_channel *channels[WATCHED_MAX];
    unsigned        count;
    bool            stopping;
    bool            rescinded; /* there are rescinded channels that the guest still holds */
};

static void
watch_collect(hvhost *host, struct watch *watch)
{
    memset(watch, 0, sizeof *watch);
    pthread_mutex_lock(&host->lock);
    watch->stopping = host->stopping;
    watch->fds[0] = (struct pollfd) { .fd = host->wake, .events = POLLIN };
    watch->fds[1] = (struct pollfd) { .fd = host->guest >= 0 ? host->guest : host->listener,
                                      .events = POLLIN };
    for (hvhost_channel *channel = host->channels; channel; channel = channel->next) {
        bool rescinded = atomic_load(&channel->rescinded);

        if (watch->count == WATCHED_MAX)
            break;
        watch->channels[watch->count] = hvhost_channel_ref(channel);
        watch->fds[2 + watch->count] = (struct pollfd) {
            .fd = rescinded ? -1 : channel->fd,
            .events = channel->number == 0 ? POLLIN : 0,
        };
        watch->rescinded = watch->rescinded || rescinded;
        watch->count++;
    }
    pthread_mutex_unlock(&host->lock);
}

static void
forget_channel(hvhost *host, hvhost_channel *channel)
{
    hvhost_channel **link;

    pthread_mutex_lock(&host->lock);
    for (link = &host->channels; *link && *link != channel;)
        link = &(*link)->next;
    if (*link)
        *link = channel->next;
    pthread_mutex_unlock(&host->lock);
    hvhost_channel_unref(channel);
}

static void
serve_channel(hvhost *host, hvhost_channel *channel, short events)
{
    bool control = channel->number == 0 && hvhost_channel_is_open(channel);

    if (atomic_load(&channel->rescinded)) {
        if (!guest_holds(channel))
            channel_closed(channel);
    } else if (events & (POLLHUP | POLLERR)) {
        channel_closed(channel);
    } else if (control && events & POLLIN) {
        hvhost_channel_take_signal(channel);
    }
    if (control)
        read_control(channel);
    if (atomic_load(&channel->closed))
        forget_channel(host, channel);
}

static int
shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void *
serve(void *data)
{
    hvhost *host = data;

    for (;;) {
        struct watch watch;
        int          timeout = send_due_answers(host);

        watch_collect(host, &watch);
        if (watch.rescinded)
            timeout = shorter(timeout, HELD_INTERVAL);
        if (host->options.masking == HVHOST_MASK_ALWAYS)
            timeout = shorter(timeout, BLIND_INTERVAL);
        if (!watch.stopping && poll(watch.fds, 2 + watch.count, timeout) < 0 && errno != EINTR)
            abort();
        if (watch.fds[0].revents) {
            uint64_t value;

            if (read(host->wake, &value, sizeof value) < 0 && errno != EAGAIN)
                abort();
        }
        for (unsigned i = 0; i < watch.count; i++) {
            serve_channel(host, watch.channels[i], watch.fds[2 + i].revents);
            hvhost_channel_unref(watch.channels[i]);
        }
        if (watch.stopping)
            return NULL;
        if (watch.fds[1].revents && host->guest >= 0)
            read_guest(host);
        else if (watch.fds[1].revents)
            accept_guest(host);
    }
}

/* -- the host's life -- */

void
hvhost_options_init(struct hvhost_options *options, const char *socket_path)
{
    *options = (struct hvhost_options) {
        .socket_path = socket_path,
        .ring_size = HVHOST_RING_SIZE,
        .masking = HVHOST_MASK_AWAKE,
        .offer_control = true,
    };
}

/* The socket appears under its name only when it can be connected to. */
static int
listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int                fd;

    if ((size_t) snprintf(address.sun_path, sizeof address.sun_path, "%s.new", path) >=
        sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *) &address, sizeof address) < 0 || listen(fd, 4) < 0 ||
        rename(address.sun_path, path) < 0) {
        int error = errno;

        unlink(address.sun_path);
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

hvhost *
hvhost_new(const struct hvhost_options *options)
{
    size_t  page_size = (size_t) sysconf(_SC_PAGESIZE);
    hvhost *host;

    if (options->ring_size == 0 || options->ring_size % page_size != 0 ||
        options->ring_size > INT32_MAX) {
        errno = EINVAL;
        return NULL;
    }
    host = calloc(1, sizeof *host);
    if (!host)
        return NULL;
    host->options = *options;
    host->options.socket_path = host->path;
    snprintf(host->path, sizeof host->path, "%s", options->socket_path);
    host->page_size = page_size;
    host->guest = -1;
    host->wake = -1;
    pthread_mutex_init(&host->lock, NULL);
    pthread_mutex_init(&host->control_lock, NULL);
    cond_init(&host->cond);
    host->slots[0].offered = options->offer_control;
    host->slots[0].offer = options->offer_control ? 1 : 0;
    host->counts[HVHOST_OFFERED][0] = options->offer_control ? 1 : 0;
    host->listener = listen_at(options->socket_path);
    if (host->listener < 0)
        goto failed;
    host->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (host->wake < 0)
        goto failed;
    if ((errno = pthread_create(&host->thread, NULL, serve, host)) != 0)
        goto failed;
    return host;

failed:
    if (host->listener >= 0) {
        unlink(host->path);
        close(host->listener);
    }
    if (host->wake >= 0)
        close(host->wake);
    free(host);
    return NULL;
}

void
hvhost_free(hvhost *host)
{
    if (!host)
        return;
    pthread_mutex_lock(&host->lock);
    host->stopping = true;
    pthread_mutex_unlock(&host->lock);
    wake_service(host);
    pthread_join(host->thread, NULL);
    for (unsigned i = 0; i < HVHOST_CHANNELS; i++) {
        hvhost_rescind(host, i);
        hvhost_channel_unref(host->slots[i].channel);
    }
    while (host->channels) {
        hvhost_channel *channel = host->channels;

        host->channels = channel->next;
        hvhost_channel_unref(channel);
    }
    unlink(host->path);
    if (host->guest >= 0)
        close(host->guest);
    close(host->listener);
    close(host->wake);
    for (unsigned i = 0; i < BREACHES_KEPT; i++)
        free(host->breaches[i]);
    pthread_cond_destroy(&host->cond);
    pthread_mutex_destroy(&host->control_lock);
    pthread_mutex_destroy(&host->lock);
    free(host);
}
