/* The host's end of a channel, as plain as can be: two naive rings in a mapping of their own, and a
 * socket that has UIO's way of signalling. It signals by the book only, so that a guest which needs
 * more than that hangs here.
 */
#ifndef TESTS_UNIT_NAIVE_HOST_H
#define TESTS_UNIT_NAIVE_HOST_H

#include "linux/channel.h"
#include "naive-ring.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nothing here takes longer unless it is broken, in milliseconds. */
#define NAIVE_PATIENCE    30000
#define NAIVE_PIPE_HEADER 8u
#define NAIVE_PACKET_MAX  16384u

struct naive_host {
    int fd; /* −1: closed */
    uint8_t *memory;
    size_t length;
    struct naive_ring to_guest, from_guest;
    unsigned signals; /* taken */
    bool masks;       /* as some kernels do at open and in their interrupt handler, others do not */
};

static inline struct naive_ring
naive_host_view(uint8_t *memory, size_t length)
{
    return (struct naive_ring){
        .memory = memory,
        .length = length,
        .words = (volatile uint32_t *)(void *)memory,
        .data = memory + NAIVE_PAGE,
        .size = (uint32_t)(length - NAIVE_PAGE),
    };
}

/* A memfd with two rings of data_size bytes, mapped for the host; and the guest's mapping. */
static inline void *
naive_host_map(struct naive_host *host, uint32_t data_size)
{
    size_t half = NAIVE_PAGE + data_size;
    int memory = memfd_create("rings", MFD_CLOEXEC);
    void *guest;

    g_assert_cmpint(sysconf(_SC_PAGESIZE), ==, NAIVE_PAGE);
    g_assert_cmpint(memory, >=, 0);
    host->length = 2 * half;
    g_assert_cmpint(ftruncate(memory, (off_t)host->length), ==, 0);
    host->memory = mmap(NULL, host->length, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    guest = mmap(NULL, host->length, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    g_assert_true(host->memory != MAP_FAILED && guest != MAP_FAILED);
    close(memory);
    host->from_guest = naive_host_view(host->memory, half);
    host->to_guest = naive_host_view(host->memory + half, half);
    host->to_guest.words[FEATURE_BITS] = 1;
    return guest;
}

/* A new channel; *guest is the caller's to close. */
static inline struct naive_host
naive_host_new(uint32_t data_size, bool masks, struct hvs_channel *guest)
{
    struct naive_host host = { .fd = -1, .masks = masks };
    void *map = naive_host_map(&host, data_size);
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), ==,
                    0);
    host.fd = ends[0];
    host.to_guest.words[INTERRUPT_MASK] = masks;
    g_assert_true(hvs_channel_init(guest, ends[1], map, host.length, NULL));
    return host;
}

/* The rescind, as far as the guest can see it on its descriptor. */
static inline void
naive_host_rescind(struct naive_host *host)
{
    close(host->fd);
    host->fd = -1;
}

static inline void
naive_host_free(struct naive_host *host)
{
    if (host->fd >= 0)
        close(host->fd);
    munmap(host->memory, host->length);
    *host = (struct naive_host){ .fd = -1 };
}

static inline void
naive_host_signal(struct naive_host *host)
{
    const int32_t one = 1;
    ssize_t n;

    if (host->masks)
        host->to_guest.words[INTERRUPT_MASK] = 1;
    n = send(host->fd, &one, sizeof one, MSG_NOSIGNAL);
    g_assert_true(n == (ssize_t)sizeof one || errno == EAGAIN || errno == EPIPE);
}

static inline uint32_t
naive_distance(const struct naive_ring *ring, uint32_t from, uint32_t to)
{
    return (to + ring->size - from) % ring->size;
}

/* Publishes all up to at; signals if the guest had read everything and does not say that it is
 * awake. */
static inline void
naive_host_publish(struct naive_host *host, uint32_t at)
{
    struct naive_ring *ring = &host->to_guest;
    uint32_t before = ring->words[WRITE_INDEX];

    atomic_thread_fence(memory_order_seq_cst);
    ring->words[WRITE_INDEX] = at;
    atomic_thread_fence(memory_order_seq_cst);
    if (ring->words[INTERRUPT_MASK] == 0 && ring->words[READ_INDEX] == before)
        naive_host_signal(host);
}

/* A pipe packet of that type; pipe_length is what its header says. Returns where the next goes. */
static inline uint32_t
naive_host_put(struct naive_host *host, uint32_t at, uint32_t type, uint32_t pipe_length,
               const void *bytes, uint32_t length)
{
    uint8_t payload[NAIVE_PIPE_HEADER + NAIVE_PACKET_MAX];
    const uint32_t header[2] = { type, pipe_length };

    g_assert_cmpuint(length, <=, NAIVE_PACKET_MAX);
    memcpy(payload, header, sizeof header);
    if (length > 0)
        memcpy(payload + NAIVE_PIPE_HEADER, bytes, length);
    return naive_put_packet(&host->to_guest, at, payload, NAIVE_PIPE_HEADER + length);
}

/* One packet of data, for which there must be room; 0 bytes end the stream. */
static inline void
naive_host_send(struct naive_host *host, const void *bytes, uint32_t length)
{
    struct naive_ring *ring = &host->to_guest;
    uint32_t at = ring->words[WRITE_INDEX];

    g_assert_cmpuint(naive_packet_size(NAIVE_PIPE_HEADER + length) +
                         naive_distance(ring, ring->words[READ_INDEX], at),
                     <, ring->size);
    naive_host_publish(host, naive_host_put(host, at, 1, length, bytes, length));
}

/* Takes what has been signalled. False: the guest has closed its end. */
static inline bool
naive_host_take_signals(struct naive_host *host)
{
    int32_t value;
    ssize_t n;

    while ((n = read(host->fd, &value, sizeof value)) == (ssize_t)sizeof value) {
        g_assert_cmpint(value, ==, 1);
        host->signals++;
    }
    return n < 0 && errno == EAGAIN;
}

static inline bool
naive_host_has_input(const struct naive_host *host)
{
    return host->from_guest.words[WRITE_INDEX] != host->from_guest.words[READ_INDEX];
}

/* Sleeps until the guest signals. False: it has closed its end. */
static inline bool
naive_host_wait(struct naive_host *host)
{
    struct pollfd fd = { .fd = host->fd, .events = POLLIN };

    g_assert_cmpint(poll(&fd, 1, NAIVE_PATIENCE), ==, 1);
    return naive_host_take_signals(host);
}

/* The next packet's data, at most NAIVE_PACKET_MAX bytes; sleeps until it is there. Signals if the
 * guest waits for just this room. Returns its length; −1: the guest has closed its end. */
static inline int
naive_host_receive(struct naive_host *host, uint8_t *bytes)
{
    struct naive_ring *ring = &host->from_guest;
    uint8_t payload[NAIVE_PIPE_HEADER + NAIVE_PACKET_MAX];
    uint32_t header[2], length, read_index, next, pending, room_before, room_after;

    while (!naive_host_has_input(host))
        if (!naive_host_wait(host) && !naive_host_has_input(host))
            return -1;
    atomic_thread_fence(memory_order_seq_cst);
    read_index = ring->words[READ_INDEX];
    next = naive_take_packet(ring, read_index, payload, &length);
    memcpy(header, payload, sizeof header);
    g_assert_cmpuint(header[0], ==, 1);
    g_assert_cmpuint(NAIVE_PIPE_HEADER + header[1], <=, length);
    g_assert_cmpuint(header[1], <=, NAIVE_PACKET_MAX);
    memcpy(bytes, payload + NAIVE_PIPE_HEADER, header[1]);

    atomic_thread_fence(memory_order_seq_cst);
    ring->words[READ_INDEX] = next;
    atomic_thread_fence(memory_order_seq_cst);
    pending = ring->words[PENDING_SEND_SZ];
    room_after = ring->size - naive_distance(ring, next, ring->words[WRITE_INDEX]);
    room_before = room_after - naive_distance(ring, read_index, next);
    if (pending != 0 && room_before <= pending && pending < room_after)
        naive_host_signal(host);
    return (int)header[1];
}

/* Bytes that the guest has not read from its descriptor. */
static inline int
naive_host_unread_signals(const struct naive_host *host)
{
    int bytes = 0;

    g_assert_cmpint(ioctl(host->fd, SIOCOUTQ, &bytes), ==, 0);
    return bytes;
}

/* How many descriptors the process has open. */
static inline unsigned
count_descriptors(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(directory) != NULL)
        count++;
    return count;
}

#endif
