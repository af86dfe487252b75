#include "hvhost-internal.h"

#include "hvhost-protocol.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Under HVHOST_MASK_ALWAYS the host looks this often, in milliseconds. */
#define BLIND_INTERVAL 1
/* How often it looks whether a rescinded channel was closed, in milliseconds. */
#define HELD_INTERVAL 2
/* Channels that are looked after at a time: open ones, and rescinded ones still held. */
#define WATCHED_MAX 64

#define VERSION_REQUEST       1u
#define VERSION_RESPONSE      2u
#define VERSION_ERROR         0u
#define VERSION_1_0           1u
#define VERSION_REQUEST_SIZE  16u
#define VERSION_RESPONSE_SIZE 17u
#define VERSION_ACCEPTED      2u

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

uint64_t
hvhost_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -1 stays: for ever. */
int64_t
hvhost_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : (int64_t)hvhost_now() + timeout_ms;
}

int
hvhost_time_left(int64_t deadline)
{
    int64_t left;

    if (deadline < 0)
        return -1;
    left = deadline - (int64_t)hvhost_now();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* false: the deadline is over. */
bool
hvhost_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
    struct timespec at = { .tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000 };

    if (deadline < 0)
        return pthread_cond_wait(cond, lock) == 0;
    return pthread_cond_timedwait(cond, lock, &at) == 0;
}

void
hvhost_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* -- events and breaches; no lock held -- */

void
hvhost_wake_service(hvhost *host)
{
    uint64_t one = 1;

    if (write(host->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

void
hvhost_raise(hvhost *host, enum hvhost_event event, unsigned channel, const char *detail)
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

int
hvhost_note_breach(hvhost *host, unsigned channel, const char *format, ...)
{
    char sentence[HVRING_BREACH_SIZE + 40], text[HVRING_BREACH_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(sentence, sizeof sentence, "channel %u: %s", channel, text);

    pthread_mutex_lock(&host->lock);
    if (host->breach_count < HVHOST_BREACHES_KEPT)
        host->breaches[host->breach_count] = strdup(sentence);
    host->breach_count++;
    pthread_mutex_unlock(&host->lock);
    hvhost_raise(host, HVHOST_BREACH, channel, text);
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
    sentence = index < HVHOST_BREACHES_KEPT ? host->breaches[index] : NULL;
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
    int64_t deadline = hvhost_deadline(timeout_ms);
    bool reached;

    pthread_mutex_lock(&host->lock);
    while (!(reached = host->counts[event][channel] >= count))
        if (!hvhost_cond_wait(&host->cond, &host->lock, deadline))
            break;
    reached = host->counts[event][channel] >= count;
    pthread_mutex_unlock(&host->lock);
    return reached;
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
    struct slot *slot = &host->slots[channel];
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
    hvhost_raise(host, HVHOST_OFFERED, channel, NULL);
    return 0;
}

int
hvhost_rescind(hvhost *host, unsigned channel)
{
    struct slot *slot = &host->slots[channel];
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
        hvhost_channel_set_rescinded(open);
        hvhost_channel_unref(open);
    }
    hvhost_raise(host, HVHOST_RESCINDED, channel, NULL);
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
    struct slot *slot = &host->slots[channel];
    int64_t deadline = hvhost_deadline(timeout_ms);
    hvhost_channel *open = NULL;

    pthread_mutex_lock(&host->lock);
    for (;;) {
        if (slot->channel && slot->channel->offer == slot->offer) {
            open = hvhost_channel_ref(slot->channel);
            break;
        }
        if (!hvhost_cond_wait(&host->cond, &host->lock, deadline))
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
        char space[CMSG_SPACE(sizeof(int) * HVHOST_MESSAGE_FDS)];
    } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int) * HVHOST_MESSAGE_FDS),
                              .cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS } };
    struct iovec piece = { (void *)message, sizeof *message };
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
                                      .error = (uint32_t)error };

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
    struct slot *slot = &host->slots[open->channel];
    struct hvhost_message answer = *open;
    hvhost_channel *channel, *old;
    int fds[HVHOST_MESSAGE_FDS] = { -1, -1 };
    bool held, rescind_behind;

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
    channel = held ? NULL : hvhost_channel_new(host, open->channel, open->offer, fds);
    if (!channel) {
        fail_open(host, open, held ? EBUSY : ENOMEM);
        pthread_mutex_unlock(&host->lock);
        return !held;
    }
    atomic_store(&channel->rescind_after, slot->rescind_after);
    slot->rescind_after = 0;
    slot->channel = channel;
    if (open->channel == 0)
        host->answer_count = 0; /* what was asked on an earlier channel is forgotten */
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
        hvhost_channel_set_closed(old);
    hvhost_channel_unref(old);
    hvhost_raise(host, HVHOST_OPENED, open->channel, NULL);
    if (rescind_behind)
        hvhost_rescind(host, open->channel);
    return true;
}

/* Everything is rescinded for a guest whose connection is lost; the offers stay for the next. */
static void
guest_gone(hvhost *host)
{
    hvhost_channel *lost[WATCHED_MAX];
    unsigned count = 0;

    pthread_mutex_lock(&host->lock);
    close(host->guest);
    host->guest = -1;
    for (hvhost_channel *channel = host->channels; channel; channel = channel->next)
        if (count < WATCHED_MAX)
            lost[count++] = hvhost_channel_ref(channel);
    pthread_mutex_unlock(&host->lock);
    for (unsigned i = 0; i < count; i++) {
        hvhost_channel_set_rescinded(lost[i]);
        hvhost_channel_unref(lost[i]);
    }
    hvhost_raise(host, HVHOST_GUEST_GONE, 0, NULL);
}

static void
read_guest(hvhost *host)
{
    struct hvhost_message message;
    ssize_t n = recv(host->guest, &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        guest_gone(host);
        return;
    }
    if ((size_t)n != sizeof message || message.type != HVHOST_MESSAGE_OPEN ||
        message.channel >= HVHOST_CHANNELS) {
        hvhost_note_breach(host, 0, "a message of %zd bytes, type %u, is not known", n,
                           message.type);
        hvhost_drop_guest(host);
        return;
    }
    if (!open_channel(host, &message))
        hvhost_note_breach(host, message.channel, "opened though it is open");
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
    hvhost_raise(host, HVHOST_GUEST_CONNECTED, 0, NULL);
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
    int error;

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
        bytes[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t
get32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void
send_answer(hvhost *host, enum hvhost_version_policy policy)
{
    uint8_t message[VERSION_RESPONSE_SIZE] = { 0 };
    size_t length = sizeof message;
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
        put32(message + 4, (uint32_t)length);
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
        hvhost_raise(host, HVHOST_VERSION_ANSWER, 0, hvhost_version_policy_name(policy));
    hvhost_channel_unref(channel);
}

/* Sends what is due; returns the milliseconds until the next is, or -1. */
static int
send_due_answers(hvhost *host)
{
    for (;;) {
        struct answer answer;
        uint64_t now = hvhost_now();

        pthread_mutex_lock(&host->lock);
        if (host->answer_count == 0 || host->answers[0].due > now) {
            int left = host->answer_count ? (int)(host->answers[0].due - now) : -1;

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
    hvhost_raise(host, HVHOST_VERSION_REQUEST, 0, NULL);
    pthread_mutex_lock(&host->lock);
    if (host->version != HVHOST_VERSION_SILENT && host->answer_count < HVHOST_ANSWERS_MAX)
        host->answers[host->answer_count++] =
            (struct answer){ hvhost_now() + host->version_delay, host->version };
    pthread_mutex_unlock(&host->lock);
    hvhost_wake_service(host);
}

/* Messages of the guest. Only one is known. */
static void
read_control(hvhost_channel *channel)
{
    uint8_t message[HVHOST_PIPE_MAX];
    char text[120];

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
            hvhost_channel_breach(channel, text);
            return;
        }
        version_requested(channel->host);
    }
}

bool
hvhost_wait_ready(hvhost *host, int timeout_ms)
{
    int64_t deadline = hvhost_deadline(timeout_ms);
    bool ready = false;

    pthread_mutex_lock(&host->lock);
    for (;;) {
        hvhost_channel *channel = host->slots[0].channel;

        ready = channel && hvhost_channel_is_open(channel) && atomic_load(&channel->ready);
        if (ready || !hvhost_cond_wait(&host->cond, &host->lock, deadline))
            break;
    }
    pthread_mutex_unlock(&host->lock);
    return ready;
}

/* -- the service thread -- */

/* What it waits for: the guest, closed ends of all channels, signals on the control channel. */
struct watch {
    struct pollfd fds[2 + WATCHED_MAX];
    hvhost_channel *channels[WATCHED_MAX];
    unsigned count;
    bool stopping;
    bool rescinded; /* there are rescinded channels that the guest still holds */
};

static void
watch_collect(hvhost *host, struct watch *watch)
{
    memset(watch, 0, sizeof *watch);
    pthread_mutex_lock(&host->lock);
    watch->stopping = host->stopping;
    watch->fds[0] = (struct pollfd){ .fd = host->wake, .events = POLLIN };
    watch->fds[1] =
        (struct pollfd){ .fd = host->guest >= 0 ? host->guest : host->listener, .events = POLLIN };
    for (hvhost_channel *channel = host->channels; channel; channel = channel->next) {
        bool rescinded = atomic_load(&channel->rescinded);

        if (watch->count == WATCHED_MAX)
            break;
        watch->channels[watch->count] = hvhost_channel_ref(channel);
        watch->fds[2 + watch->count] = (struct pollfd){
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
        if (!hvhost_channel_is_held(channel))
            hvhost_channel_set_closed(channel);
    } else if (events & (POLLHUP | POLLERR)) {
        hvhost_channel_set_closed(channel);
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
        int timeout = send_due_answers(host);

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
    *options = (struct hvhost_options){
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
    int fd;

    if ((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s.new", path) >=
        sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4) < 0 ||
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
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
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
    hvhost_cond_init(&host->cond);
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
    hvhost_wake_service(host);
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
    for (unsigned i = 0; i < HVHOST_BREACHES_KEPT; i++)
        free(host->breaches[i]);
    pthread_cond_destroy(&host->cond);
    pthread_mutex_destroy(&host->control_lock);
    pthread_mutex_destroy(&host->lock);
    free(host);
}
