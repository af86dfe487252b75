/* An HvSocket connection as the host's end of a session: a stream socket with a buffer each way.
 *
 * Sources: vsock(7), Linux net/vmw_vsock/af_vsock.c. What poll() says of such a socket is less than of
 * others: that the peer has closed both ways shows as POLLRDHUP only, once, like the end of its
 * stream alone. Sending nothing tells the two apart.
 */
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As much as a ring to or from the host mostly has. Not less than a PDU of the negotiation. */
#define BUFFER_SIZE 65536u
G_STATIC_ASSERT(BUFFER_SIZE > HVS_NEGOTIATION_PDU_MAX + 8);

struct buffer {
    uint8_t bytes[BUFFER_SIZE];
    size_t  begin, end; /* what is in it; begin is 0 if nothing is */
};

struct socket_host {
    hvs_host      base;
    bool          readable; /* no read has come back empty since poll() said so */
    bool          ended;    /* its end of stream was read */
    bool          leaving;  /* poll() has said that it comes */
    bool          told;     /* ours was sent */
    struct buffer in, out;
};

static struct socket_host *
of(hvs_host *host)
{
    return (struct socket_host *)host;
}

static void
drop(struct buffer *buffer, size_t bytes)
{
    buffer->begin += bytes;
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
}

/* The host takes nothing any more: it has closed its end, rather than ended its stream. */
static bool
has_left(const struct socket_host *self)
{
    return !self->told && send(self->base.fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
           errno != EAGAIN && errno != EINTR;
}

/* ---- input ---- */

/* Into the empty buffer. A short read does not mean that nothing is left: HvSocket gives a packet
 * of the host at a time. */
static enum hvs_host_result
fill(struct socket_host *self)
{
    ssize_t received;

    do
        received = recv(self->base.fd, self->in.bytes, sizeof(self->in.bytes), MSG_DONTWAIT);
    while (received < 0 && errno == EINTR);
    if (received < 0 && errno != EAGAIN)
        return HVS_HOST_GONE;
    if (received < 0) {
        self->readable = false;
        return HVS_HOST_EMPTY;
    }
    if (received == 0) {
        self->ended = true;
        return has_left(self) ? HVS_HOST_GONE : HVS_HOST_END;
    }
    self->in.end = (size_t)received;
    return HVS_HOST_OK;
}

static enum hvs_host_result
socket_gather(hvs_host *host, uint32_t limit, struct iovec pieces[HVS_PIPE_PIECES],
              unsigned *count)
{
    struct socket_host *self = of(host);

    *count = 0;
    if (self->in.begin == self->in.end) {
        enum hvs_host_result result = self->ended     ? HVS_HOST_END :
                                      self->readable ? fill(self) :
                                                       HVS_HOST_EMPTY;

        if (result != HVS_HOST_OK)
            return result;
    }
    pieces[0].iov_base = self->in.bytes + self->in.begin;
    pieces[0].iov_len = MIN(limit, self->in.end - self->in.begin);
    *count = 1;
    return HVS_HOST_OK;
}

static enum hvs_host_result
socket_consume(hvs_host *host, size_t bytes)
{
    drop(&of(host)->in, bytes);
    return HVS_HOST_OK;
}

static bool
socket_is_hungry(const hvs_host *host)
{
    const struct socket_host *self = (const struct socket_host *)host;

    return self->in.begin == self->in.end && !self->ended;
}

/* ---- output ---- */

/* Sends what the socket takes; what it does not take keeps the room until poll() has spoken. */
static enum hvs_host_result
flush(struct socket_host *self)
{
    struct buffer *out = &self->out;

    while (out->begin < out->end) {
        ssize_t sent = send(self->base.fd, out->bytes + out->begin, out->end - out->begin,
                            MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN) {
            if (!self->base.room_wanted)
                self->base.counters->ring_full++;
            self->base.room_wanted = true;
            return HVS_HOST_OK;
        }
        if (sent < 0 && errno != EINTR)
            return HVS_HOST_GONE;
        if (sent > 0)
            drop(out, (size_t)sent);
    }
    self->base.room_wanted = false;
    return HVS_HOST_OK;
}

static enum hvs_host_result
socket_reserve(hvs_host *host, struct iovec pieces[HVS_PIPE_PIECES], unsigned *count,
               size_t *bytes)
{
    struct socket_host *self = of(host);

    if (host->room_wanted)
        return HVS_HOST_FULL;
    pieces[0].iov_base = self->out.bytes;
    pieces[0].iov_len = sizeof(self->out.bytes);
    *count = 1;
    *bytes = sizeof(self->out.bytes);
    return HVS_HOST_OK;
}

static enum hvs_host_result
socket_publish(hvs_host *host, size_t bytes)
{
    struct socket_host *self = of(host);

    self->out.end = bytes;
    return flush(self);
}

static enum hvs_host_result
socket_write(hvs_host *host, const void *data, size_t length, size_t *written)
{
    *written = 0;
    if (host->room_wanted)
        return HVS_HOST_FULL;
    *written = MIN(length, BUFFER_SIZE);
    memcpy(of(host)->out.bytes, data, *written);
    return socket_publish(host, *written);
}

static enum hvs_host_result
socket_end(hvs_host *host)
{
    if (shutdown(host->fd, SHUT_WR) != 0)
        return HVS_HOST_GONE;
    of(host)->told = true;
    return HVS_HOST_OK;
}

/* What the kernel has is delivered after we have closed, too. */
static enum hvs_host_result
socket_is_drained(hvs_host *host)
{
    (void)host;
    return HVS_HOST_OK;
}

static uint32_t
socket_progress(const hvs_host *host)
{
    (void)host;
    return 0;
}

/* ---- waiting ---- */

static bool
socket_prepare_to_wait(hvs_host *host)
{
    (void)host;
    return true;
}

static void
socket_woke(hvs_host *host)
{
    (void)host;
}

static short
socket_events(hvs_host *host, bool input, bool output)
{
    (void)output; /* once our end was sent, nothing of it is left to wait for */
    return (short)((input ? POLLIN : 0) | (host->room_wanted ? POLLOUT : 0) |
                   (of(host)->leaving ? 0 : POLLRDHUP));
}

static enum hvs_host_result
socket_handle_events(hvs_host *host, short revents)
{
    struct socket_host *self = of(host);

    /* Both directions are over. If ours was the first that is an ordinary end of the host's, which
     * is still to be read; or else nobody would read it, and poll() would say so for ever. */
    if (revents & (POLLERR | POLLNVAL) ||
        (revents & POLLHUP && !(self->told && revents & POLLIN)))
        return HVS_HOST_GONE;
    if (revents & POLLIN)
        self->readable = true;
    if (revents & POLLRDHUP) {
        self->leaving = self->readable = true;
        if (has_left(self))
            return HVS_HOST_GONE;
    }
    return revents & POLLOUT ? flush(self) : HVS_HOST_OK;
}

static enum hvs_host_result
socket_take_signal(hvs_host *host)
{
    (void)host;
    return HVS_HOST_OK;
}

static void
socket_close(hvs_host *host)
{
    close(host->fd);
    g_free(host);
}

static const struct hvs_host_class socket_class = {
    .bounds_silence = true,
    .connect_events = POLLRDHUP,
    .gather = socket_gather,
    .consume = socket_consume,
    .is_hungry = socket_is_hungry,
    .reserve = socket_reserve,
    .publish = socket_publish,
    .write = socket_write,
    .end = socket_end,
    .is_drained = socket_is_drained,
    .progress = socket_progress,
    .prepare_to_wait = socket_prepare_to_wait,
    .woke = socket_woke,
    .events = socket_events,
    .handle_events = socket_handle_events,
    .take_signal = socket_take_signal,
    .close = socket_close,
};

hvs_host *
hvs_host_new_socket(int fd, struct hvs_session_counters *counters)
{
    struct socket_host *self = g_new0(struct socket_host, 1);

    self->base = (hvs_host) { .class = &socket_class, .counters = counters, .fd = fd };
    self->readable = true;
    return &self->base;
}
