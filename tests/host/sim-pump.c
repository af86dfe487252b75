#include "sim-pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Bytes taken from the ring for one write to the client. */
#define BATCH  32768u
#define PIECES 32

/* Both streams have ended: so long the guest may take to close the channel itself, milliseconds. */
#define LINGER 5000u

#define NO_CORRUPTION (-1)

struct pump {
    hvhost *host;
    unsigned number;
    int client;
    struct pump_options options;
    pthread_t thread;
    int wake; /* eventfd */

    _Atomic bool stopping;
    _Atomic int reader;
    _Atomic uint32_t slow_bytes;
    _Atomic uint32_t slow_ms;
    _Atomic int corruption;

    pthread_mutex_t lock;
    hvhost_channel *channel; /* lock, to exchange it; NULL while it is not open */

    /* The thread's own. */
    bool client_readable, client_writable;
    bool client_ended, guest_ended;
    bool end_due;     /* the client's end is still to be passed on */
    bool room_wanted; /* the ring is too full */
    bool over;
    uint64_t linger_until; /* milliseconds; 0: not both streams have ended */
    uint32_t slow_left;    /* bytes until slow_next */
    uint64_t slow_next;    /* milliseconds */
};

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
pump_wake(struct pump *pump)
{
    uint64_t one = 1;

    if (write(pump->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

static void
report(struct pump *pump, enum pump_event event)
{
    pump->options.report(pump->options.user_data, pump->number, event);
}

/* -- client → guest -- */

/* What a call on the client's socket says about it. True: it is usable. */
static bool
client_failed(struct pump *pump, ssize_t n)
{
    if (n >= 0 || errno == EAGAIN || errno == EINTR)
        return false;
    pump->over = true;
    return true;
}

static bool
channel_result(struct pump *pump, ssize_t result)
{
    if (result == -EAGAIN)
        return false;
    if (result < 0)
        pump->over = true;
    return result >= 0;
}

static bool
end_of_client(struct pump *pump)
{
    pump->client_ended = true;
    report(pump, PUMP_CLIENT_EOF);
    if (pump->options.half_close)
        pump->end_due = true;
    else
        pump->over = true;
    return true;
}

/* True: something moved. */
static bool
pump_to_guest(struct pump *pump)
{
    struct iovec pieces[2];
    int count;
    ssize_t n;

    if (pump->end_due) {
        int error = hvhost_channel_write_end(pump->channel, 0);

        pump->end_due = error == -ETIMEDOUT;
        pump->room_wanted = pump->end_due;
        return !pump->end_due && channel_result(pump, error);
    }
    if (pump->client_ended || !pump->client_readable)
        return false;
    n = hvhost_channel_reserve(pump->channel, HVHOST_PIPE_MAX, pieces, &count);
    pump->room_wanted = n == -EAGAIN;
    if (!channel_result(pump, n))
        return false;
    n = readv(pump->client, pieces, count);
    if (n == 0)
        return end_of_client(pump);
    if (n < 0) {
        pump->client_readable = client_failed(pump, n);
        return false;
    }
    return channel_result(pump, hvhost_channel_commit(pump->channel, (size_t)n));
}

/* -- guest → client -- */

/* How many bytes may be taken from the guest now; *due: milliseconds until there are more, or -1.
 */
static size_t
reader_limit(struct pump *pump, int *due)
{
    uint64_t now;

    *due = -1;
    switch (atomic_load(&pump->reader)) {
    case PUMP_READER_RUN:
        return BATCH;
    case PUMP_READER_PAUSE:
        return 0;
    default:
        now = now_ms();
        if (now >= pump->slow_next) {
            pump->slow_left = atomic_load(&pump->slow_bytes);
            pump->slow_next = now + atomic_load(&pump->slow_ms);
        }
        if (pump->slow_left == 0)
            *due = (int)(pump->slow_next - now);
        return pump->slow_left;
    }
}

static bool
end_of_guest(struct pump *pump)
{
    pump->guest_ended = true;
    report(pump, PUMP_GUEST_EOF);
    hvhost_channel_consume(pump->channel, 0);
    shutdown(pump->client, SHUT_WR);
    return true;
}

static bool
pump_to_client(struct pump *pump, size_t limit)
{
    struct iovec pieces[PIECES];
    struct msghdr message = { .msg_iov = pieces };
    ssize_t n;
    int count;

    if (limit == 0 || !pump->client_writable)
        return false;
    n = hvhost_channel_peek(pump->channel, pieces, PIECES, limit, &count);
    if (!channel_result(pump, n))
        return false;
    if (n == 0)
        return end_of_guest(pump);
    message.msg_iovlen = (size_t)count;
    n = sendmsg(pump->client, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        pump->client_writable = client_failed(pump, n);
        return false;
    }
    if (atomic_load(&pump->reader) == PUMP_READER_SLOW)
        pump->slow_left -= (uint32_t)n < pump->slow_left ? (uint32_t)n : pump->slow_left;
    return channel_result(pump, hvhost_channel_consume(pump->channel, (size_t)n));
}

/* -- the thread -- */

static void
take_wake(struct pump *pump)
{
    uint64_t value;

    if (read(pump->wake, &value, sizeof value) < 0 && errno != EAGAIN)
        abort();
    if (atomic_load(&pump->stopping))
        pump->over = true;
}

static void
do_corruption(struct pump *pump)
{
    int corruption = atomic_exchange(&pump->corruption, NO_CORRUPTION);

    if (corruption != NO_CORRUPTION)
        hvhost_channel_corrupt(pump->channel, (enum hvhost_corruption)corruption);
}

/* Until the guest has opened the channel. A client that leaves before, without a word, is not
 * waited for. */
static bool
wait_for_guest(struct pump *pump)
{
    while (!pump->over) {
        hvhost_channel *channel = hvhost_wait_open(pump->host, pump->number, 0);
        struct pollfd fds[2] = {
            { .fd = pump->wake, .events = POLLIN },
            { .fd = pump->client, .events = POLLRDHUP },
        };
        char byte;

        if (channel) {
            pthread_mutex_lock(&pump->lock);
            pump->channel = channel;
            pthread_mutex_unlock(&pump->lock);
            hvhost_channel_set_packets(channel, pump->options.packet_max,
                                       pump->options.random_packets);
            return true;
        }
        if (!hvhost_is_offered(pump->host, pump->number))
            return false;
        if (pump->client_ended)
            fds[1].fd = -1;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            abort();
        if (fds[0].revents)
            take_wake(pump);
        if (fds[1].revents & (POLLHUP | POLLERR))
            return false;
        if (fds[1].revents & POLLRDHUP) {
            if (recv(pump->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
                return false;
            pump->client_ended = true; /* has said something: for now, do not look again */
        }
    }
    return false;
}

static void
wait_for_events(struct pump *pump, size_t limit, int due)
{
    bool to_read = limit > 0 && pump->client_writable;
    short client = 0;
    bool sleep = hvhost_channel_may_sleep(pump->channel, to_read, pump->room_wanted);

    if (pump->client_ended && !pump->end_due && pump->guest_ended && !pump->linger_until)
        pump->linger_until = now_ms() + LINGER;
    if (!pump->client_ended && !pump->room_wanted)
        client |= POLLIN;
    if (limit > 0 && !pump->client_writable)
        client |= POLLOUT;
    struct pollfd fds[3] = {
        { .fd = pump->wake, .events = POLLIN },
        { .fd = hvhost_channel_fd(pump->channel), .events = POLLIN },
        { .fd = pump->linger_until ? -1 : pump->client, .events = client },
    };
    if (!hvhost_channel_is_open(pump->channel)) {
        pump->over = true;
        return;
    }
    if (pump->linger_until)
        due = (int)LINGER;
    if (!sleep)
        due = 0;
    else if (hvhost_channel_is_blind(pump->channel) && (due < 0 || due > 1))
        due = 1;
    if (poll(fds, 3, due) < 0 && errno != EINTR)
        abort();
    if (fds[0].revents)
        take_wake(pump);
    if (fds[1].revents && hvhost_channel_take_signal(pump->channel) < 0)
        pump->over = true;
    if (fds[2].revents & POLLERR)
        pump->over = true;
    if (fds[2].revents & (POLLIN | POLLHUP))
        pump->client_readable = true;
    if (fds[2].revents & (POLLOUT | POLLHUP))
        pump->client_writable = true;
    if (pump->linger_until && now_ms() >= pump->linger_until)
        pump->over = true;
    hvhost_channel_awake(pump->channel);
}

static void *
run(void *data)
{
    struct pump *pump = data;

    hvhost_offer(pump->host, pump->number);
    if (pump->options.rescind_on_offer)
        hvhost_rescind(pump->host, pump->number);
    if (!wait_for_guest(pump))
        pump->over = true;
    pump->client_ended = false;
    pump->client_readable = pump->client_writable = true;
    while (!pump->over) {
        int due;
        size_t limit = reader_limit(pump, &due);
        bool moved;

        do_corruption(pump);
        moved = pump_to_guest(pump);
        if (!pump->over)
            moved |= pump_to_client(pump, limit);
        if (!pump->over && !moved)
            wait_for_events(pump, limit, due);
    }
    hvhost_rescind(pump->host, pump->number);
    /* In this order: a client that has seen its end finds the channel free for its next try. */
    report(pump, PUMP_DONE);
    /* Here, not when the thread is joined: the client shall see it at once. */
    shutdown(pump->client, SHUT_RDWR);
    return NULL;
}

/* -- from other threads -- */

struct pump *
pump_new(hvhost *host, unsigned channel, int client, const struct pump_options *options)
{
    struct pump *pump = calloc(1, sizeof *pump);

    if (!pump)
        goto failed;
    pump->host = host;
    pump->number = channel;
    pump->client = client;
    pump->options = *options;
    atomic_store(&pump->corruption, NO_CORRUPTION);
    pthread_mutex_init(&pump->lock, NULL);
    fcntl(client, F_SETFL, fcntl(client, F_GETFL) | O_NONBLOCK);
    pump->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pump->wake < 0)
        goto failed;
    if (pthread_create(&pump->thread, NULL, run, pump) == 0)
        return pump;
    close(pump->wake);
failed:
    close(client);
    free(pump);
    return NULL;
}

void
pump_free(struct pump *pump)
{
    if (!pump)
        return;
    atomic_store(&pump->stopping, true);
    pump_wake(pump);
    pthread_join(pump->thread, NULL);
    hvhost_channel_unref(pump->channel);
    pthread_mutex_destroy(&pump->lock);
    close(pump->wake);
    close(pump->client);
    free(pump);
}

void
pump_set_reader(struct pump *pump, enum pump_reader reader, uint32_t bytes, unsigned ms)
{
    atomic_store(&pump->slow_bytes, bytes);
    atomic_store(&pump->slow_ms, ms);
    atomic_store(&pump->reader, (int)reader);
    pump_wake(pump);
}

void
pump_corrupt(struct pump *pump, enum hvhost_corruption corruption)
{
    atomic_store(&pump->corruption, (int)corruption);
    pump_wake(pump);
}

static hvhost_channel *
pump_channel(struct pump *pump)
{
    hvhost_channel *channel;

    pthread_mutex_lock(&pump->lock);
    channel = pump->channel ? hvhost_channel_ref(pump->channel) : NULL;
    pthread_mutex_unlock(&pump->lock);
    return channel;
}

bool
pump_signal(struct pump *pump)
{
    hvhost_channel *channel = pump_channel(pump);
    bool done = channel && hvhost_channel_signal(channel) == 0;

    hvhost_channel_unref(channel);
    return done;
}

bool
pump_counters(struct pump *pump, struct hvhost_counters *counters)
{
    hvhost_channel *channel = pump_channel(pump);

    if (!channel)
        return false;
    hvhost_channel_counters(channel, counters);
    hvhost_channel_unref(channel);
    return true;
}
