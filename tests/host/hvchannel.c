#include "hvhost-internal.h"

#include "hvhost-protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Under HVHOST_MASK_ALWAYS the host looks this often, in milliseconds. */
#define BLIND_INTERVAL 1
/* The blocking reader gives room back at least this often: a quarter of the ring. */
#define READ_SHARE 4u

/* -- a channel's life -- */

hvhost_channel *
hvhost_channel_new(hvhost *host, unsigned number, uint32_t offer, int fds[HVHOST_MESSAGE_FDS])
{
    size_t ring = host->page_size + host->options.ring_size;
    hvhost_channel *channel = calloc(1, sizeof *channel);
    struct ucred peer;
    struct stat status;
    int pair[2];

    if (!channel)
        return NULL;
    fds[0] = memfd_create("hyper-v rings", MFD_CLOEXEC);
    if (fds[0] < 0 || ftruncate(fds[0], (off_t)(2 * ring)) < 0)
        goto no_memory;
    channel->map_size = 2 * ring;
    channel->map = mmap(NULL, channel->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    if (channel->map == MAP_FAILED)
        goto no_memory;
    /* Ours blocks: see await_signal(). */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        goto no_socket;
    channel->fd = pair[0];
    fds[1] = pair[1];
    if (fcntl(fds[1], F_SETFL, O_NONBLOCK) < 0)
        goto no_nonblock;
    if (fstat(pair[1], &status) == 0)
        channel->guest_end = status.st_ino;
    if (getsockopt(host->guest, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){ sizeof peer }) == 0)
        channel->guest_pid = peer.pid;

    channel->host = host;
    channel->number = number;
    channel->offer = offer;
    channel->packet_max = HVHOST_PIPE_MAX;
    channel->random_state = 0x9e3779b97f4a7c15u + offer;
    atomic_store(&channel->references, 1);
    pthread_mutex_init(&channel->wait_lock, NULL);
    hvhost_cond_init(&channel->wait_cond);
    hvring_reader_init(&channel->reader, channel->map, (uint32_t)host->options.ring_size,
                       (uint32_t)host->page_size, host->options.masking == HVHOST_MASK_ALWAYS);
    hvring_writer_init(&channel->writer, (uint8_t *)channel->map + ring,
                       (uint32_t)host->options.ring_size, (uint32_t)host->page_size);
    if (host->options.kernel_masks)
        atomic_store(&channel->writer.page->interrupt_mask, 1);
    return channel;

no_nonblock:
    close(pair[0]);
    close(pair[1]);
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
void
hvhost_channel_set_closed(hvhost_channel *channel)
{
    if (atomic_exchange(&channel->closed, true))
        return;
    if (!atomic_load(&channel->rescinded)) {
        atomic_store(&channel->unread_guest, hvring_writer_unread(&channel->writer));
        atomic_store(&channel->unread_host, hvring_reader_unread(&channel->reader));
    }
    channel_wake(channel);
    hvhost_raise(channel->host, HVHOST_CLOSED, channel->number, NULL);
}

/* The guest's end shows POLLHUP and end of file from now on. */
void
hvhost_channel_set_rescinded(hvhost_channel *channel)
{
    if (atomic_exchange(&channel->rescinded, true))
        return;
    atomic_store(&channel->unread_guest, hvring_writer_unread(&channel->writer));
    atomic_store(&channel->unread_host, hvring_reader_unread(&channel->reader));
    shutdown(channel->fd, SHUT_RDWR);
    channel_wake(channel);
    hvhost_wake_service(channel->host);
}

/* A socket that was shut down does not tell when its other end is closed, so the system has to say
 * whether the guest's process still holds that end. */
bool
hvhost_channel_is_held(hvhost_channel *channel)
{
    char path[64], target[64], wanted[64];
    struct dirent *entry;
    bool held = false;
    DIR *directory;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)channel->guest_pid);
    snprintf(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long)channel->guest_end);
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

int
hvhost_channel_breach(hvhost_channel *channel, const char *text)
{
    if (atomic_load(&channel->corrupted))
        return -EPIPE;
    if (atomic_exchange(&channel->broken, true))
        return -EPROTO;
    hvhost_note_breach(channel->host, channel->number, "%s", text);
    hvhost_rescind(channel->host, channel->number);
    return -EPROTO;
}

/* 0: it can be used. */
int
hvhost_channel_check(hvhost_channel *channel)
{
    if (atomic_load(&channel->broken))
        return -EPROTO;
    return hvhost_channel_is_open(channel) ? 0 : -EPIPE;
}

bool
hvhost_channel_wait_closed(hvhost_channel *channel, int timeout_ms)
{
    hvhost *host = channel->host;
    int64_t deadline = hvhost_deadline(timeout_ms);

    pthread_mutex_lock(&host->lock);
    while (!atomic_load(&channel->closed))
        if (!hvhost_cond_wait(&host->cond, &host->lock, deadline))
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

    *counters = (struct hvhost_counters){
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
        .unread_by_guest =
            open ? hvring_writer_unread(&channel->writer) : atomic_load(&channel->unread_guest),
        .unread_by_host =
            open ? hvring_reader_unread(&channel->reader) : atomic_load(&channel->unread_host),
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
int
hvhost_channel_send_signal(hvhost_channel *channel)
{
    int32_t count = (int32_t)atomic_fetch_add(&channel->signals_out, 1) + 1;

    if (channel->host->options.kernel_masks)
        atomic_store(&channel->writer.page->interrupt_mask, 1);
    if (send(channel->fd, &count, sizeof count, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
        errno != EAGAIN)
        return -EPIPE;
    return 0;
}

int
hvhost_channel_signal(hvhost_channel *channel)
{
    int error = hvhost_channel_check(channel);

    return error ? error : hvhost_channel_send_signal(channel);
}

int
hvhost_channel_fd(const hvhost_channel *channel)
{
    return channel->fd;
}

/* flags: as for recv(). */
static int
receive_signal(hvhost_channel *channel, int flags)
{
    int32_t value[2] = { 0, 0 };
    ssize_t n = recv(channel->fd, value, sizeof value, flags);
    uint64_t received, allowed;
    char text[100];

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return hvhost_channel_check(channel);
    if (atomic_load(&channel->rescinded))
        return hvhost_channel_check(channel);
    if (n <= 0) {
        hvhost_channel_set_closed(channel);
        return hvhost_channel_check(channel);
    }
    if (n != sizeof value[0] || (value[0] != 0 && value[0] != 1)) {
        snprintf(text, sizeof text, "%zd bytes, value %d, were written to the device", n, value[0]);
        return hvhost_channel_breach(channel, text);
    }
    if (value[0] == 0)
        return 0;
    received = atomic_fetch_add(&channel->signals_in, 1) + 1;
    allowed = atomic_load(&channel->room_allowed) + atomic_load(&channel->reader.allowed);
    if (received > allowed) {
        snprintf(text, sizeof text, "needless signals: %llu, of which at most %llu had a reason",
                 (unsigned long long)received, (unsigned long long)allowed);
        return hvhost_channel_breach(channel, text);
    }
    return 0;
}

int
hvhost_channel_take_signal(hvhost_channel *channel)
{
    return receive_signal(channel, MSG_DONTWAIT);
}

/* Takes the next signal or finds the end; false: none came in so many milliseconds. Who can wait
 * for ever makes one call only, since a real host has none to make at all. */
static bool
await_signal(hvhost_channel *channel, int timeout)
{
    struct pollfd fd = { .fd = channel->fd, .events = POLLIN };

    if (timeout >= 0 && poll(&fd, 1, timeout) <= 0)
        return false;
    receive_signal(channel, timeout >= 0 ? MSG_DONTWAIT : 0);
    return true;
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
    int result = 0;

    pthread_mutex_lock(&channel->wait_lock);
    while (atomic_load(&channel->events) == seen && hvhost_channel_is_open(channel)) {
        int timeout = hvhost_time_left(deadline);
        bool came;

        if (timeout == 0) {
            result = -ETIMEDOUT;
            break;
        }
        if (channel->polling) {
            hvhost_cond_wait(&channel->wait_cond, &channel->wait_lock,
                             blind ? (int64_t)hvhost_now() + BLIND_INTERVAL : deadline);
            if (blind)
                break;
            continue;
        }
        channel->polling = true;
        pthread_mutex_unlock(&channel->wait_lock);
        came = await_signal(channel, blind ? BLIND_INTERVAL : timeout);
        pthread_mutex_lock(&channel->wait_lock);
        channel->polling = false;
        if (came || blind)
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
        max = 1 + (uint32_t)(channel->random_state % max);
    }
    return length < max ? (uint32_t)length : max;
}

/* Room for a packet with that payload: 0, -EAGAIN after the guest was asked to tell, or a breach.
 * What was written so far must have been published, or the guest could not make room. */
int
hvhost_channel_want_room(hvhost_channel *channel, uint32_t payload)
{
    struct hvring_writer *writer = &channel->writer;
    uint32_t need = hvring_packet_size(payload), room, pending;

    if (!hvring_writer_room(writer, &room))
        return hvhost_channel_breach(channel, writer->breach);
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
            return hvhost_channel_breach(channel, writer->breach);
    }
    if (room < need)
        return -EAGAIN;
    if (writer->pending != 0)
        hvring_writer_set_pending(writer, 0);
    return 0;
}

/* What is published is written: a guest that is awake may have taken it and closed the channel before
 * the signal comes, and whoever uses the channel next is told. */
static int
publish(hvhost_channel *channel)
{
    bool signal;

    if (!hvring_writer_publish(&channel->writer, &signal))
        return hvhost_channel_breach(channel, channel->writer.breach);
    if (signal)
        hvhost_channel_send_signal(channel);
    return 0;
}

int
hvhost_channel_check_writer(hvhost_channel *channel)
{
    int error = hvhost_channel_check(channel);

    if (error)
        return error;
    if (!atomic_load(&channel->corrupted) && !hvring_writer_check_owned(&channel->writer))
        return hvhost_channel_breach(channel, channel->writer.breach);
    return 0;
}

ssize_t
hvhost_channel_try_write(hvhost_channel *channel, const void *bytes, size_t length)
{
    struct hvring_writer *writer = &channel->writer;
    size_t done = 0;
    uint32_t room = 0, packets = 0, unpublished = 0;
    int error = hvhost_channel_check_writer(channel);

    if (!error && !hvring_writer_room(writer, &room))
        error = hvhost_channel_breach(channel, writer->breach);
    while (!error && done < length) {
        uint32_t n = next_packet_length(channel, length - done);
        uint32_t need = hvring_packet_size(n);
        struct iovec pieces[2];
        int count;

        if (room < need || writer->pending != 0) {
            error = publish(channel);
            unpublished = 0;
            if (!error)
                error = hvhost_channel_want_room(channel, n);
            if (error || !hvring_writer_room(writer, &room))
                break;
        }
        count = hvring_writer_payload(writer, n, pieces);
        memcpy(pieces[0].iov_base, (const uint8_t *)bytes + done, pieces[0].iov_len);
        if (count > 1)
            memcpy(pieces[1].iov_base, (const uint8_t *)bytes + done + pieces[0].iov_len,
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
    return done > 0 && (!error || error == -EAGAIN) ? (ssize_t)done : error;
}

int
hvhost_channel_write(hvhost_channel *channel, const void *bytes, size_t length, int timeout_ms)
{
    int64_t deadline = hvhost_deadline(timeout_ms);
    size_t done = 0;

    while (done < length) {
        uint64_t seen = atomic_load(&channel->events);
        ssize_t n = hvhost_channel_try_write(channel, (const uint8_t *)bytes + done, length - done);

        if (n < 0 && n != -EAGAIN)
            return (int)n;
        if (n > 0)
            done += (size_t)n;
        else if (channel_poll(channel, seen, deadline) < 0)
            return -ETIMEDOUT;
    }
    return 0;
}

int
hvhost_channel_write_end(hvhost_channel *channel, int timeout_ms)
{
    int64_t deadline = hvhost_deadline(timeout_ms);

    for (;;) {
        uint64_t seen = atomic_load(&channel->events);
        int error = hvhost_channel_check_writer(channel);

        if (!error)
            error = hvhost_channel_want_room(channel, 0);
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
    int error = hvhost_channel_check_writer(channel);

    if (!error)
        error = hvhost_channel_want_room(channel, n);
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
    hvring_writer_frame(&channel->writer, (uint32_t)length);
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
    int error = hvhost_channel_check(channel);
    bool any;

    *used = 0;
    if (error)
        return error;
    if (atomic_load(&channel->corrupted))
        return -EAGAIN;
    if (!hvring_reader_look(reader, &any) || !hvring_reader_check_owned(reader))
        return hvhost_channel_breach(channel, reader->breach);
    if (!any)
        return -EAGAIN;
    return hvring_reader_peek(reader, pieces, count,
                              limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit, used);
}

int
hvhost_channel_consume(hvhost_channel *channel, size_t length)
{
    uint32_t packets = hvring_reader_consume(&channel->reader, (uint32_t)length);
    int error = 0;
    bool signal;

    if (length == 0 && packets > 0)
        atomic_store(&channel->ended, true);
    if (!hvring_reader_publish(&channel->reader, &signal))
        error = hvhost_channel_breach(channel, channel->reader.breach);
    else if (signal) {
        atomic_fetch_add_explicit(&channel->guest_times_full, 1, memory_order_relaxed);
        hvhost_channel_send_signal(channel); /* as in publish(): what is read is read */
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
        size_t limit = size - done < share ? size - done : share;
        int used;
        ssize_t n = hvhost_channel_peek(channel, pieces, 2 * HVRING_QUEUE, limit, &used);

        if (n < 0)
            return done > 0 ? (ssize_t)done : n == -EAGAIN && atomic_load(&channel->ended) ? 0 : n;
        if (n == 0) {
            if (done > 0)
                break;
            hvhost_channel_consume(channel, 0);
            return 0;
        }
        for (int i = 0; i < used; i++) {
            memcpy((uint8_t *)bytes + done, pieces[i].iov_base, pieces[i].iov_len);
            done += pieces[i].iov_len;
        }
        hvhost_channel_consume(channel, (size_t)n);
    }
    return (ssize_t)done;
}

bool
hvhost_channel_may_sleep(hvhost_channel *channel, bool to_read, bool to_write)
{
    if (hvhost_channel_check(channel))
        return false;
    if (to_read) {
        hvring_reader_mask(&channel->reader, channel->host->options.masking == HVHOST_MASK_ALWAYS);
        if (hvring_reader_pending(&channel->reader))
            return false;
    }
    if (to_write) {
        uint32_t n = next_packet_length(channel, HVHOST_PIPE_MAX);

        if (hvhost_channel_want_room(channel, n) != -EAGAIN)
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
    int64_t deadline = hvhost_deadline(timeout_ms);

    for (;;) {
        uint64_t seen = atomic_load(&channel->events);
        ssize_t n = hvhost_channel_try_read(channel, bytes, size);

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
    int64_t deadline = hvhost_deadline(timeout_ms);
    size_t done = 0;

    while (done < length) {
        ssize_t n = hvhost_channel_read(channel, (uint8_t *)bytes + done, length - done,
                                        hvhost_time_left(deadline));

        if (n <= 0)
            return n < 0 ? (int)n : -ENODATA;
        done += (size_t)n;
    }
    return 0;
}

ssize_t
hvhost_channel_read_packet(hvhost_channel *channel, void *bytes, size_t size, int timeout_ms)
{
    struct hvring_reader *reader = &channel->reader;
    int64_t deadline = hvhost_deadline(timeout_ms);

    for (;;) {
        uint64_t seen = atomic_load(&channel->events);
        struct iovec piece;
        int used;
        ssize_t n = hvhost_channel_peek(channel, &piece, 1, 1, &used);

        if (n >= 0) {
            size_t left = reader->queue[reader->head].length - reader->used_up;

            return left > size ? -EMSGSIZE
                               : hvhost_channel_try_read(channel, bytes, left ? left : 1);
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
