/* The plain echo program: the least that serves synthetic RDP channels through uio_hv_generic. It
 * is the floor of the bench, and lets the host device be tested without the daemon. It shares no
 * code with the daemon, on purpose.
 *
 *     ring-echo
 *
 * It binds uio_hv_generic to both classes, keeps the control channel open, and serves every data
 * channel in a process of its own: an order (order.h) if the stream begins with one, else plain
 * echo. A line on standard output for each event: channel N negotiated | refused CODE | open
 * [monitored] | end of stream | rescinded | broken: WHY | closed BYTES-IN BYTES-OUT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "order.h"

#define DRIVER        "/sys/bus/vmbus/drivers/uio_hv_generic/"
#define DEVICES       "/sys/bus/vmbus/devices/"
#define INSTANCE      "99221fa%d-24ad-11e2-be98-001aa01bbf6e"
#define CONTROL_CLASS "f8e65716-3cb3-4a06-9a60-1889c5cccab5"
#define DATA_CLASS    "f9e9c0d3-b511-4a48-8046-d38079a8830c"
#define CHANNELS      6 /* 0: control */

#define PAGE        4096
#define MONITOR_MAP 2
#define INBAND      6
#define PIPE_DATA   1
#define PIPE_MAX    16384
#define HEADER      24 /* descriptor and pipe header */
#define TRAILER     8

/* A ring's header page; the writer owns write, pending and features, the reader the rest. */
struct ring_header {
    _Atomic uint32_t write, read, mask, pending;
    uint32_t reserved[12];
    _Atomic uint32_t features;
};

struct ring {
    struct ring_header *header;
    uint8_t *data;
};

struct channel {
    int number, fd;
    size_t map_size;
    uint8_t *map;
    struct ring out, in;
    uint32_t size;             /* bytes of data in each ring */
    _Atomic uint32_t *trigger; /* monitored: the word of the monitor page, else NULL */
    uint32_t trigger_bit;
    uint64_t bytes_in, bytes_out;
    uint8_t rest[PIPE_MAX]; /* what came in one packet with an order */
    uint32_t rest_length;
};

struct packet_header {
    uint16_t type, offset8, length8, flags;
    uint64_t transaction_id;
    uint32_t pipe_type, pipe_length;
};

/* What take() returns apart from a length. */
enum { NOTHING = -1, GONE = -2, BROKEN = -3 };

static const struct timespec QUIET = { .tv_nsec = 200000000 };
static uint8_t pattern[2 * PATTERN_PERIOD];

#define say(channel, ...)                                                                          \
    do {                                                                                           \
        char text[200];                                                                            \
        snprintf(text, sizeof(text), __VA_ARGS__);                                                 \
        printf("channel %d %s\n", (channel)->number, text);                                        \
    } while (0)

/* ---- sysfs ---- */

static void
device_path(char path[static 160], int number, const char *name)
{
    snprintf(path, 160, DEVICES INSTANCE "/%s", number, name);
}

/* A number in a file of sysfs, or -1. */
static long
read_number(const char *path)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    return n > 0 ? strtol(text, NULL, 0) : -1;
}

static void
bind_driver(const char *class)
{
    int fd = open(DRIVER "new_id", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || (write(fd, class, strlen(class)) < 0 && errno != EEXIST)) {
        perror("ring-echo: " DRIVER "new_id");
        exit(1);
    }
    close(fd);
}

/* A new offer can be left without its driver: uio gives a minor number away before the device of
 * that number is gone, and then the driver's probe fails with EEXIST (seen on 6.12 when one session
 * ends as another begins). Returns whether there is such a channel, and binds it.
 */
static bool
bind_what_was_left(void)
{
    char path[160];
    bool found = false;

    for (int i = 0; i < CHANNELS; i++) {
        device_path(path, i, "driver");
        if (!access(path, F_OK))
            continue;
        device_path(path, i, "id");
        if (access(path, F_OK))
            continue;
        int fd = open(DRIVER "bind", O_WRONLY | O_CLOEXEC);
        snprintf(path, sizeof(path), INSTANCE, i);
        if (write(fd, path, strlen(path)) > 0)
            printf("channel %d bound by hand\n", i);
        close(fd);
        found = true;
    }
    return found;
}

/* Finds the uio device of a channel once the driver is really bound: /dev/uioN appears in the
 * middle of the driver's probe, channels/ID only after it.
 */
static bool
find_uio(int number, char name[static 32])
{
    char path[160], id[32];
    struct dirent *entry;
    DIR *dir;

    device_path(path, number, "id");
    snprintf(id, sizeof(id), "channels/%ld", read_number(path));
    device_path(path, number, id);
    if (access(path, F_OK))
        return false;
    device_path(path, number, "uio");
    dir = opendir(path);
    name[0] = 0;
    while (dir && (entry = readdir(dir)))
        if (!strncmp(entry->d_name, "uio", 3))
            snprintf(name, 32, "%.31s", entry->d_name);
    if (dir)
        closedir(dir);
    return name[0];
}

/* ---- a channel ---- */

static bool
channel_open(struct channel *channel, int number)
{
    char name[32], path[160];
    long monitor;

    *channel = (struct channel){ .number = number, .fd = -1 };
    if (!find_uio(number, name))
        return false;
    snprintf(path, sizeof(path), "/sys/class/uio/%s/maps/map0/size", name);
    channel->map_size = read_number(path);
    snprintf(path, sizeof(path), "/dev/%s", name);
    channel->fd = open(path, O_RDWR | O_CLOEXEC);
    if (channel->fd < 0)
        return false;
    channel->map =
        mmap(NULL, channel->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, channel->fd, 0);
    if (channel->map == MAP_FAILED) {
        close(channel->fd);
        return false;
    }
    channel->size = channel->map_size / 2 - PAGE;
    channel->out.header = (void *)channel->map;
    channel->in.header = (void *)(channel->map + channel->map_size / 2);
    channel->out.data = (uint8_t *)channel->out.header + PAGE;
    channel->in.data = (uint8_t *)channel->in.header + PAGE;

    device_path(path, number, "monitor_id");
    monitor = read_number(path);
    if (monitor >= 0) {
        uint8_t *page =
            mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, channel->fd, MONITOR_MAP * PAGE);
        if (page != MAP_FAILED) {
            channel->trigger = (void *)(page + 8 + monitor / 32 * 8);
            channel->trigger_bit = 1u << monitor % 32;
        }
    }
    say(channel, "open%s", channel->trigger ? " monitored" : "");
    return true;
}

static void
channel_close(struct channel *channel)
{
    munmap(channel->map, channel->map_size);
    if (channel->trigger)
        munmap((void *)((uintptr_t)channel->trigger & ~(uintptr_t)(PAGE - 1)), PAGE);
    close(channel->fd);
    say(channel, "closed %lu %lu", channel->bytes_in, channel->bytes_out);
}

static void
signal_host(struct channel *channel)
{
    int32_t one = 1;

    if (channel->trigger)
        atomic_fetch_or(channel->trigger, channel->trigger_bit);
    else if (write(channel->fd, &one, sizeof(one)) < 0)
        return; /* rescinded: waiting will tell */
}

static void
copy_in(struct channel *channel, uint32_t at, void *to, uint32_t length)
{
    at %= channel->size;
    uint32_t first = length < channel->size - at ? length : channel->size - at;
    memcpy(to, channel->in.data + at, first);
    memcpy((uint8_t *)to + first, channel->in.data, length - first);
}

static void
copy_out(struct channel *channel, uint32_t at, const void *from, uint32_t length)
{
    at %= channel->size;
    uint32_t first = length < channel->size - at ? length : channel->size - at;
    memcpy(channel->out.data + at, from, first);
    memcpy(channel->out.data, (const uint8_t *)from + first, length - first);
}

/* Sends one packet; false: there is no room, and the host will tell when there is. */
static bool
give(struct channel *channel, const void *data, uint32_t length)
{
    struct ring_header *header = channel->out.header;
    uint32_t body = (HEADER + length + 7) & ~7u, total = body + TRAILER;
    uint32_t at = atomic_load_explicit(&header->write, memory_order_relaxed);
    struct packet_header packet = { INBAND, 2, body / 8, 0, 0, PIPE_DATA, length };
    uint64_t trailer = (uint64_t)at << 32, padding = 0;

    for (int again = 0;; again++) {
        uint32_t read = atomic_load_explicit(&header->read, memory_order_acquire);
        if (channel->size - (at - read + channel->size) % channel->size > total)
            break;
        if (again)
            return false;
        atomic_store(&header->pending, total);
        atomic_thread_fence(memory_order_seq_cst);
    }
    if (atomic_load_explicit(&header->pending, memory_order_relaxed))
        atomic_store_explicit(&header->pending, 0, memory_order_relaxed);
    copy_out(channel, at, &packet, HEADER);
    copy_out(channel, at + HEADER, data, length);
    copy_out(channel, at + HEADER + length, &padding, body - HEADER - length);
    copy_out(channel, at + body, &trailer, TRAILER);
    atomic_store_explicit(&header->write, (at + total) % channel->size, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load(&header->mask) && atomic_load(&header->read) == at)
        signal_host(channel);
    channel->bytes_out += length;
    return true;
}

/* Takes one packet into data (PIPE_MAX bytes). Returns its length, NOTHING or BROKEN. */
static int
take(struct channel *channel, uint8_t *data)
{
    struct ring_header *header = channel->in.header;
    uint32_t at = atomic_load_explicit(&header->read, memory_order_relaxed);
    uint32_t write = atomic_load_explicit(&header->write, memory_order_acquire);
    uint32_t used = (write - at + channel->size) % channel->size, total, room, pending;
    struct packet_header packet;

    if (channel->rest_length) {
        uint32_t length = channel->rest_length;
        memcpy(data, channel->rest, length);
        channel->rest_length = 0;
        return length;
    }
    if (write >= channel->size || write % 8) {
        say(channel, "broken: write index %u", write);
        return BROKEN;
    }
    if (!used)
        return NOTHING;
    if (used < HEADER + TRAILER) {
        say(channel, "broken: %u bytes are no packet", used);
        return BROKEN;
    }
    copy_in(channel, at, &packet, HEADER);
    total = packet.length8 * 8 + TRAILER;
    if (packet.offset8 != 2 || packet.length8 < HEADER / 8 || total > used) {
        say(channel, "broken: data_offset8 %u length8 %u", packet.offset8, packet.length8);
        return BROKEN;
    }
    if (packet.type != INBAND || packet.pipe_type != PIPE_DATA) {
        say(channel, "broken: type %u pipe type %u", packet.type, packet.pipe_type);
        return BROKEN;
    }
    if (packet.pipe_length > packet.length8 * 8u - HEADER || packet.pipe_length > PIPE_MAX) {
        say(channel, "broken: pipe length %u", packet.pipe_length);
        return BROKEN;
    }
    copy_in(channel, at + HEADER, data, packet.pipe_length);
    atomic_store_explicit(&header->read, (at + total) % channel->size, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    pending = atomic_load(&header->pending);
    /* The host may have written since: what counts is the room that there is now. */
    used = (atomic_load(&header->write) - at + channel->size) % channel->size;
    room = channel->size - used;
    if (pending && room <= pending && room + total > pending)
        signal_host(channel);
    channel->bytes_in += packet.pipe_length;
    return packet.pipe_length;
}

/* Waits for an interrupt. Returns false when the channel is gone. */
static bool
wait_host(struct channel *channel)
{
    uint32_t events;

    return read(channel->fd, &events, sizeof(events)) == sizeof(events);
}

/* Unmasks, and says whether there is still nothing: only then one may wait. */
static bool
nothing_left(struct channel *channel)
{
    struct ring_header *header = channel->in.header;

    atomic_store(&header->mask, 0);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load(&header->write) == atomic_load(&header->read);
}

static int
take_wait(struct channel *channel, uint8_t *data)
{
    int length;

    while ((length = take(channel, data)) == NOTHING)
        if (nothing_left(channel) && !wait_host(channel))
            return GONE;
    return length;
}

/* Sends, waiting for room. An interrupt may have been for the other ring: so look, then wait. */
static bool
give_wait(struct channel *channel, const void *data, uint32_t length)
{
    while (!give(channel, data, length)) {
        atomic_store(&channel->in.header->mask, 0);
        if (!wait_host(channel))
            return false;
    }
    return true;
}

/* ---- breaking the rules ---- */

/* Does to the host what is forbidden, to prove that the host notices. The numbers are BREACHES of
 * test_host.py.
 */
static void
break_rule(struct channel *channel, uint64_t rule)
{
    struct ring_header *out = channel->out.header, *in = channel->in.header;
    uint32_t at = atomic_load(&out->write), total = 40;
    struct packet_header packet = { INBAND, 2, 4, 0, 0, PIPE_DATA, 5 };
    uint8_t data[8] = "hello";
    uint64_t trailer = (uint64_t)at << 32;

    switch (rule) {
    case 0:
        packet.type = 7;
        break;
    case 1:
        packet.offset8 = 3;
        break;
    case 2:
        packet.length8 = 100;
        break;
    case 3:
        packet.flags = 1;
        break;
    case 4:
        packet.transaction_id = 1;
        break;
    case 5:
        packet.pipe_type = 2;
        break;
    case 6:
        packet.pipe_length = 9;
        break;
    case 7:
        packet.pipe_length = 0;
        break;
    case 8:
        data[7] = 1;
        break;
    case 9:
        trailer = 0x7700000000;
        break;
    case 10:
        total = 44;
        break;
    case 11:
        atomic_store(&out->read, 8);
        break;
    case 12:
        atomic_store(&in->pending, 8);
        break;
    case 13:
        atomic_store(&in->features, 0);
        break;
    case 14:
        atomic_store(&out->pending, channel->size);
        break;
    case 15:
        atomic_store(&in->read, (atomic_load(&in->read) + 16) % channel->size);
        break;
    case 16:
        /* The host may be about to go to sleep once more, and so have use for one of them. */
        for (int i = 0; i < 3; i++)
            signal_host(channel);
        break;
    }
    copy_out(channel, at, &packet, HEADER);
    copy_out(channel, at + HEADER, data, 8);
    copy_out(channel, at + 32, &trailer, TRAILER);
    atomic_store(&out->write, (at + total) % channel->size);
    signal_host(channel);
}

/* ---- serving ---- */

static int
serve_echo(struct channel *channel, uint8_t *data, int length)
{
    for (; length >= 0; length = take_wait(channel, data)) {
        if (!give_wait(channel, data, length))
            return GONE;
        if (!length) {
            say(channel, "end of stream");
            return 0;
        }
    }
    return length;
}

static int
give_pattern(struct channel *channel, uint64_t count)
{
    for (uint64_t sent = 0; sent < count;) {
        uint32_t n = count - sent < PIPE_MAX ? count - sent : PIPE_MAX;
        if (!give_wait(channel, pattern + sent % PATTERN_PERIOD, n))
            return GONE;
        sent += n;
    }
    return 0;
}

static int
serve_transfer(struct channel *channel, uint64_t to_take, uint64_t to_give, bool checksum)
{
    static uint8_t data[PIPE_MAX];
    struct order_report report = { 0 };
    uint64_t given = 0;

    while (report.count < to_take || given < to_give) {
        bool idle = true;
        int length = report.count < to_take ? take(channel, data) : NOTHING;
        if (length == BROKEN || length == 0)
            return length;
        if (length > 0) {
            if (checksum)
                report.crc32 = crc32_update(report.crc32, data, length);
            report.count += length;
            idle = false;
        }
        uint32_t n = to_give - given < PIPE_MAX ? to_give - given : PIPE_MAX;
        if (n && give(channel, pattern + given % PATTERN_PERIOD, n)) {
            given += n;
            idle = false;
        }
        if (idle && (nothing_left(channel) || report.count == to_take) && !wait_host(channel))
            return GONE;
    }
    return give_wait(channel, &report, sizeof(report)) ? 0 : GONE;
}

static int
serve_order(struct channel *channel, uint8_t *data, int length)
{
    struct order order = { 0 };
    enum order_kind kind = ORDER_UNKNOWN;
    int result = 0;

    if (length >= (int)sizeof(order)) {
        memcpy(&order, data, sizeof(order));
        kind = order_kind(&order);
    }
    if (kind != ORDER_UNKNOWN) {
        channel->rest_length = length - sizeof(order);
        memcpy(channel->rest, data + sizeof(order), channel->rest_length);
    }
    switch (kind) {
    case ORDER_SINK:
        result = serve_transfer(channel, order.count, 0, true);
        break;
    case ORDER_DRAIN:
        result = serve_transfer(channel, order.count, 0, false);
        break;
    case ORDER_DUPLEX:
        result = serve_transfer(channel, order.count, order.count, true);
        break;
    case ORDER_SOURCE:
        result = give_pattern(channel, order.count);
        break;
    case ORDER_FINISH:
        return give_pattern(channel, order.count);
    case ORDER_ECHO:
    case ORDER_DEAFEN:
        break;
    case ORDER_BREAK:
        break_rule(channel, order.count);
        break;
    case ORDER_UNKNOWN:
        return serve_echo(channel, data, length);
    }
    if (result < 0)
        return result;
    length = take_wait(channel, data);
    return length < 0 ? length : serve_echo(channel, data, length);
}

static void
serve_data(struct channel *channel)
{
    static uint8_t data[PIPE_MAX];
    int length = take_wait(channel, data);

    if (length >= 0)
        length = serve_order(channel, data, length);
    if (length == GONE)
        say(channel, "rescinded");
    channel_close(channel);
}

/* The version exchange, then the channel is kept open till the host takes it away. */
static void
serve_control(struct channel *channel)
{
    static const uint32_t request[4] = { 1, 16, 1, 0 };
    static uint8_t data[PIPE_MAX];
    int length = give(channel, request, sizeof(request)) ? take_wait(channel, data) : GONE;

    if (length == 17 && data[16] == 2)
        say(channel, "negotiated");
    else if (length >= 0)
        say(channel, "refused %d", length == 17 ? data[16] : -1);
    while (length >= 0)
        length = take_wait(channel, data);
    if (length == GONE)
        say(channel, "rescinded");
    channel_close(channel);
}

static void
start_servers(pid_t servers[static CHANNELS])
{
    struct channel channel;

    for (int i = 0; i < CHANNELS; i++)
        if (!servers[i] && channel_open(&channel, i)) {
            servers[i] = fork();
            if (!servers[i]) {
                if (i)
                    serve_data(&channel);
                else
                    serve_control(&channel);
                exit(0);
            }
            munmap(channel.map, channel.map_size);
            if (channel.trigger)
                munmap((void *)((uintptr_t)channel.trigger & ~(uintptr_t)(PAGE - 1)), PAGE);
            close(channel.fd);
        }
}

static void
child_ended(int number)
{
    (void)number;
}

int
main(void)
{
    struct sockaddr_nl kernel_events = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    int events =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    pid_t servers[CHANNELS] = { 0 }, pid;
    sigset_t blocked, before;
    char text[8192];

    setvbuf(stdout, NULL, _IOLBF, 0);
    pattern_fill(pattern);
    sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = child_ended }, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    if (bind(events, (struct sockaddr *)&kernel_events, sizeof(kernel_events))) {
        perror("ring-echo: kernel events");
        return 1;
    }
    bind_driver(CONTROL_CLASS);
    bind_driver(DATA_CLASS);
    printf("ready\n");
    for (bool unbound = false;;) {
        while (recv(events, text, sizeof(text), 0) > 0)
            ;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            for (int i = 0; i < CHANNELS; i++)
                if (servers[i] == pid)
                    servers[i] = 0;
        start_servers(servers);
        /* Quiet for a while: no probe is under way, so a channel without a driver is left alone. */
        if (!ppoll(&(struct pollfd){ events, POLLIN, 0 }, 1, unbound ? &QUIET : NULL, &before))
            unbound = bind_what_was_left();
        else
            unbound = true;
    }
}
