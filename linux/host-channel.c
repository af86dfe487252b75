/* A VMBus data channel as the host's end of a session. */
#include "host.h"

#include <errno.h>
#include <poll.h>

struct channel_host {
    hvs_host               base;
    struct hvs_channel     channel;
    struct hvs_pipe_reader reader;
    bool                   signalled; /* and the signal was not taken yet */
    enum hvs_host_result   failure;   /* of a call that could not tell it; or OK */
    int                    error;     /* errno of that */
};

static struct channel_host *
of(hvs_host *host)
{
    return (struct channel_host *)host;
}

static enum hvs_host_result
signal_host(struct channel_host *self)
{
    self->base.counters->signals_sent++;
    return hvs_channel_signal(&self->channel) ? HVS_HOST_OK : HVS_HOST_GONE;
}

/* Late, since what was signalled is to be passed on first. But before anything that another signal
 * answers is asked for: that one must not be taken along. */
static enum hvs_host_result
channel_take_signal(hvs_host *host)
{
    struct channel_host *self = of(host);

    if (!self->signalled)
        return HVS_HOST_OK;
    self->signalled = false;
    switch (hvs_channel_take_signal(&self->channel)) {
    case HVS_CHANNEL_GONE:
        return HVS_HOST_GONE;
    case HVS_CHANNEL_BROKEN:
        return HVS_HOST_BROKEN;
    default:
        return HVS_HOST_OK;
    }
}

/* ---- input ---- */

static enum hvs_host_result
channel_gather(hvs_host *host, uint32_t limit, struct iovec pieces[HVS_PIPE_PIECES],
               unsigned *count)
{
    struct channel_host *self = of(host);
    enum hvs_pipe_result result;

    if (self->failure != HVS_HOST_OK) {
        errno = self->error;
        return self->failure;
    }
    result = hvs_pipe_gather(&self->reader, MIN(limit, self->channel.in.size), pieces, count);
    host->counters->packets_from_host = self->reader.packets;
    switch (result) {
    case HVS_PIPE_OK:
        return HVS_HOST_OK;
    case HVS_PIPE_EMPTY:
        return HVS_HOST_EMPTY;
    case HVS_PIPE_END:
        return HVS_HOST_END;
    case HVS_PIPE_PROTOCOL:
        host->complaint = self->reader.complaint;
        host->complaint_value = self->reader.complaint_value;
        return HVS_HOST_PROTOCOL;
    default:
        return HVS_HOST_CORRUPT;
    }
}

static enum hvs_host_result
channel_consume(hvs_host *host, size_t bytes)
{
    struct channel_host *self = of(host);

    return hvs_pipe_consume(&self->reader, bytes) ? signal_host(self) : HVS_HOST_OK;
}

static bool
channel_is_hungry(const hvs_host *host)
{
    const struct channel_host *self = (const struct channel_host *)host;

    return self->reader.bytes == 0 && !self->reader.ended;
}

/* ---- output ---- */

/* The ring has no room for what comes next: asks the host to tell. OK: there is room after all. */
static enum hvs_host_result
want_room(struct channel_host *self, uint32_t bytes)
{
    enum hvs_host_result result = channel_take_signal(&self->base);

    if (result != HVS_HOST_OK)
        return result;
    switch (hvs_ring_want_room(&self->channel.out, bytes)) {
    case HVS_RING_OK:
        return HVS_HOST_OK;
    case HVS_RING_FULL:
        self->base.room_wanted = true;
        self->base.counters->ring_full++;
        return HVS_HOST_FULL;
    default:
        return HVS_HOST_CORRUPT;
    }
}

static enum hvs_host_result
channel_reserve(hvs_host *host, struct iovec pieces[HVS_PIPE_PIECES], unsigned *count,
                size_t *bytes)
{
    struct channel_host *self = of(host);
    struct hvs_ring *ring = &self->channel.out;
    uint32_t half = MIN(ring->size, HVS_PIPE_BATCH * HVS_PIPE_DATA_MAX) / 16 * 8;
    enum hvs_host_result result;

    do {
        /* All the room that there is: every call may wake the server and every publication the
         * host, and in rings of 64 KiB that costs more than what host and server gain by working
         * at the same time. */
        if (hvs_pipe_reserve(ring, ring->size, pieces, count, bytes) == HVS_PIPE_CORRUPT)
            return HVS_HOST_CORRUPT;
        /* Small pieces at a time would cost a signal each. */
        if (*bytes >= half / 2)
            return HVS_HOST_OK;
        result = want_room(self, half);
    } while (result == HVS_HOST_OK);
    return result;
}

static enum hvs_host_result
channel_publish(hvs_host *host, size_t bytes)
{
    struct channel_host *self = of(host);
    unsigned packets;
    bool signal = hvs_pipe_publish(&self->channel.out, bytes, &packets);

    host->counters->packets_to_host += packets;
    return signal ? signal_host(self) : HVS_HOST_OK;
}

static enum hvs_host_result
write_packet(struct channel_host *self, const void *data, uint32_t length)
{
    enum hvs_host_result result;
    bool signal;

    do {
        switch (hvs_pipe_write(&self->channel.out, data, length, &signal)) {
        case HVS_PIPE_OK:
            self->base.counters->packets_to_host++;
            return signal ? signal_host(self) : HVS_HOST_OK;
        case HVS_PIPE_FULL:
            break;
        default:
            return HVS_HOST_CORRUPT;
        }
        result = want_room(self, hvs_ring_packet_size(HVS_PIPE_HEADER_SIZE + length));
    } while (result == HVS_HOST_OK);
    return result;
}

static enum hvs_host_result
channel_write(hvs_host *host, const void *data, size_t length, size_t *written)
{
    struct channel_host *self = of(host);
    size_t limit = MIN(HVS_PIPE_DATA_MAX, self->channel.out.size / 2);
    enum hvs_host_result result;

    length = MIN(length, limit);
    result = write_packet(self, data, (uint32_t)length);
    *written = result == HVS_HOST_OK ? length : 0;
    return result;
}

static enum hvs_host_result
channel_end(hvs_host *host)
{
    return write_packet(of(host), NULL, 0);
}

static enum hvs_host_result
channel_is_drained(hvs_host *host)
{
    enum hvs_host_result result = channel_take_signal(host);

    if (result != HVS_HOST_OK)
        return result;
    switch (hvs_ring_want_drained(&of(host)->channel.out)) {
    case HVS_RING_OK:
        return HVS_HOST_OK;
    case HVS_RING_FULL:
        return HVS_HOST_FULL;
    default:
        return HVS_HOST_CORRUPT;
    }
}

static uint32_t
channel_progress(const hvs_host *host)
{
    const struct channel_host *self = (const struct channel_host *)host;

    return atomic_load_explicit(&self->channel.out.header->read_index, memory_order_relaxed);
}

/* ---- waiting ---- */

static bool
channel_prepare_to_wait(hvs_host *host)
{
    struct channel_host *self = of(host);

    self->failure = channel_take_signal(host);
    self->error = errno;
    if (self->failure != HVS_HOST_OK)
        return false;
    if (hvs_ring_prepare_to_wait(&self->channel.in))
        return true;
    hvs_ring_mask(&self->channel.in);
    return false;
}

static void
channel_woke(hvs_host *host)
{
    hvs_ring_mask(&of(host)->channel.in);
}

static short
channel_events(hvs_host *host, bool input, bool output)
{
    (void)host;
    return input || output ? POLLIN : 0;
}

/* The rings must not be touched any more once the channel is gone. */
static enum hvs_host_result
channel_handle_events(hvs_host *host, short revents)
{
    if (revents & (POLLERR | POLLHUP | POLLNVAL))
        return HVS_HOST_GONE;
    if (revents & POLLIN) {
        of(host)->signalled = true;
        host->room_wanted = false;
    }
    return HVS_HOST_OK;
}

static void
channel_close(hvs_host *host)
{
    hvs_channel_close(&of(host)->channel);
    g_free(host);
}

static const struct hvs_host_class channel_class = {
    .input_is_memory = true,
    .tells_leaving = true,
    .connect_events = POLLIN,
    .gather = channel_gather,
    .consume = channel_consume,
    .is_hungry = channel_is_hungry,
    .reserve = channel_reserve,
    .publish = channel_publish,
    .write = channel_write,
    .end = channel_end,
    .is_drained = channel_is_drained,
    .progress = channel_progress,
    .prepare_to_wait = channel_prepare_to_wait,
    .woke = channel_woke,
    .events = channel_events,
    .handle_events = channel_handle_events,
    .take_signal = channel_take_signal,
    .close = channel_close,
};

hvs_host *
hvs_host_new_channel(struct hvs_channel *channel, struct hvs_session_counters *counters)
{
    struct channel_host *self = g_new0(struct channel_host, 1);

    self->channel = *channel;
    *channel = (struct hvs_channel) { .fd = -1 };
    self->base = (hvs_host) {
        .class = &channel_class, .counters = counters, .fd = self->channel.fd
    };
    hvs_pipe_reader_init(&self->reader, &self->channel.in);
    return &self->base;
}
