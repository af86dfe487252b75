#include "relay.h"

#include "host.h"
#include "log.h"
#include "server.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* After the server has ended its stream and the host has read everything, the host gets that long
 * to end the session itself, counted from the last byte either way, in milliseconds. So does the
 * server, if the host has ended its stream and could leave unseen. */
#define CLOSING_IDLE_TIMEOUT 2000u
/* A busy relay looks at its descriptors at least once in so many rounds. */
#define BUSY_ROUNDS 16u
/* Descriptors that connecting to a server may take for a moment, with those of other sessions. */
#define CONNECT_DESCRIPTORS 16u
/* While fewer bytes come at a time, one piece is offered to them: less to do for the kernel. */
#define LITTLE 4096u
/* Bytes of a refused PDU that go to the log. */
#define HEXDUMP_MAX 64u

struct hvs_relay {
    /* Shared with other threads. */
    GMutex             lock;
    struct hvs_session published; /* lock */
    void (*changed)(gpointer);    /* lock; NULL: nobody watches */
    gpointer           changed_data;   /* lock */
    GSource           *changed_source; /* lock */
    gint               stop_reason;
    int                stop_fd; /* eventfd */

    /* The thread's own. */
    struct hvs_session     session;
    hvs_host              *host; /* NULL: closed */
    struct hvs_negotiation negotiation;
    struct hvs_settings    settings;
    int                    server;
    unsigned               which_server; /* of those in settings */
    hvs_tls               *tls; /* with the server; NULL: none, or not yet */
    bool                   server_readable; /* no read has come back empty since poll() said so */
    bool                   server_writable; /* likewise for writes */
    bool                   server_trickles; /* little has come the last time */
    bool                   server_ended;    /* its end of stream was read */
    bool                   server_deaf;     /* nothing more is sent to it */
    bool                   host_ended_first;
    bool                   host_told;       /* our end of stream is in the ring */
    bool                   confirm_judged;  /* what the server answered, as far as TLS goes */
    bool                   held[HVS_DIRECTIONS]; /* the negotiation waits for the other side */
    uint64_t               request_deadline;     /* 0: none, as long as no byte of it has come */
    bool                   request_begun;
    uint64_t               reply_deadline;       /* 0: the server has answered */
    uint64_t               last_progress;
    uint32_t               host_progress; /* when last looked at */

    GThread        *thread;
    hvs_relay_ended ended;
    gpointer        user_data;
    GSource        *ended_source; /* lock */
};

uint64_t
hvs_relay_now(void)
{
    return (uint64_t)g_get_monotonic_time() / 1000;
}

static gboolean
tell_changed(gpointer user_data)
{
    hvs_relay *relay = user_data;
    void (*changed)(gpointer);
    gpointer changed_data;

    g_mutex_lock(&relay->lock);
    g_clear_pointer(&relay->changed_source, g_source_unref);
    changed = g_steal_pointer(&relay->changed);
    changed_data = relay->changed_data;
    g_mutex_unlock(&relay->lock);
    changed(changed_data);
    return G_SOURCE_REMOVE;
}

/* In the main thread, as soon as that gets round to it. lock is held. */
static GSource *
call_in_main_thread(GSourceFunc function, hvs_relay *relay)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, function, relay, NULL);
    g_source_attach(source, NULL);
    return source;
}

static void
publish(hvs_relay *relay)
{
    relay->session.negotiation = relay->negotiation.facts;
    g_mutex_lock(&relay->lock);
    relay->published = relay->session;
    if (relay->changed != NULL && relay->changed_source == NULL)
        relay->changed_source = call_in_main_thread(tell_changed, relay);
    g_mutex_unlock(&relay->lock);
}

static bool judge_confirm(hvs_relay *relay);

static bool
is_over(const hvs_relay *relay)
{
    return relay->session.reason != HVS_END_NONE;
}

/* Every function of the thread that ends the session does it here; returns false for its caller. */
static bool
end(hvs_relay *relay, enum hvs_end_reason reason, const char *detail)
{
    relay->session.negotiation = relay->negotiation.facts;
    hvs_session_end(&relay->session, reason, detail, hvs_relay_now());
    return false;
}

static bool
end_errno(hvs_relay *relay, enum hvs_end_reason reason, const char *what, int error)
{
    g_autofree char *detail = g_strdup_printf("%s: %s", what, g_strerror(error));

    return end(relay, reason, detail);
}

/* What the host's end says: true if it is not trouble. */
static bool
check_host(hvs_relay *relay, enum hvs_host_result result)
{
    g_autofree char *detail = NULL;

    switch (result) {
    case HVS_HOST_GONE:
        return end(relay, HVS_END_HOST_RESCINDED, NULL);
    case HVS_HOST_CORRUPT:
        return end(relay, HVS_END_RING_CORRUPT, NULL);
    case HVS_HOST_BROKEN:
        return end_errno(relay, HVS_END_CHANNEL_ERROR, "reading the channel", errno);
    case HVS_HOST_PROTOCOL:
        detail = g_strdup_printf("%s (0x%x)", relay->host->complaint,
                                 relay->host->complaint_value);
        return end(relay, HVS_END_PIPE_PROTOCOL, detail);
    default:
        return true;
    }
}

/* The client's cookie holds a name, which is nobody's business. */
static void
mask_user_name(uint8_t *pdu, size_t length)
{
    static const char cookie[] = "mstshash=";
    uint8_t *name = memmem(pdu, length, cookie, sizeof(cookie) - 1);

    if (name == NULL)
        return;
    for (name += sizeof(cookie) - 1; name < pdu + length && *name != '\r' && *name != '\n'; name++)
        *name = 'x';
}

static bool
end_negotiation(hvs_relay *relay)
{
    const struct hvs_negotiation *negotiation = &relay->negotiation;
    uint8_t bytes[HEXDUMP_MAX];
    char dump[512];
    struct hvs_text text;
    size_t length;
    const uint8_t *pdu = hvs_negotiation_failed_pdu(negotiation, &length);

    relay->session.negotiation_error = negotiation->error;
    length = MIN(length, sizeof(bytes));
    memcpy(bytes, pdu, length);
    mask_user_name(bytes, length);
    hvs_text_init(&text, dump, sizeof(dump));
    hvs_text_add_hexdump(&text, bytes, length);
    hvs_log_session(HVS_LOG_WARNING, relay->session.id, relay->session.channel,
                    "refused a PDU of the %s: %s; its first bytes:\n%s",
                    negotiation->error_direction == HVS_FROM_CLIENT ? "client" : "server",
                    hvs_negotiation_error_to_string(negotiation->error), dump);
    return end(relay, hvs_session_reason_of(negotiation),
               hvs_negotiation_error_to_string(negotiation->error));
}

/* ---- events ---- */

/* What poll() said about the host's descriptor. False: the session is over. */
static bool
handle_host_events(hvs_relay *relay, short revents)
{
    return check_host(relay, relay->host->class->handle_events(relay->host, revents));
}

static bool
handle_stop(hvs_relay *relay)
{
    return end(relay, (enum hvs_end_reason)g_atomic_int_get(&relay->stop_reason), NULL);
}

/* ---- host → server ---- */

/* Gives gathered bytes to the negotiation, and what it took back to the host. */
static enum hvs_negotiation_result
feed_from_host(hvs_relay *relay, const struct iovec *pieces, unsigned count)
{
    enum hvs_negotiation_result result = HVS_NEGOTIATION_MORE;
    size_t taken_in_all = 0;

    for (unsigned i = 0; i < count && result == HVS_NEGOTIATION_MORE; i++) {
        size_t taken = 0;

        result = hvs_negotiation_feed(&relay->negotiation, HVS_FROM_CLIENT, pieces[i].iov_base,
                                      pieces[i].iov_len, &taken);
        taken_in_all += taken;
    }
    if (taken_in_all > 0)
        check_host(relay, relay->host->class->consume(relay->host, taken_in_all));
    return result;
}

/* A broken connection, for the closing line; the first one counts. */
static void
note_server_error(hvs_relay *relay, const char *doing, int error)
{
    const char *words = relay->tls != NULL && error == EPROTO ? hvs_tls_complaint(relay->tls) :
                                                                g_strerror(error);

    if (relay->session.detail[0] == '\0')
        g_snprintf(relay->session.detail, sizeof(relay->session.detail), "%s %s: %s", doing,
                   relay->session.server, words);
}

/* The server takes nothing any more: what the host still sends is not read, what the server has
 * sent still is. */
static void
give_up_sending(hvs_relay *relay)
{
    relay->server_deaf = true;
    relay->server_readable = true;
    hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
}

/* As sendmsg(). */
static ssize_t
send_once(hvs_relay *relay, struct iovec *pieces, unsigned count)
{
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };

    if (relay->tls != NULL)
        return hvs_tls_send(relay->tls, pieces, count);
    if (count == 1) /* less to do for the kernel, which counts when little is sent */
        return send(relay->server, pieces[0].iov_base, pieces[0].iov_len,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    return sendmsg(relay->server, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returns the bytes sent, 0 if the socket takes nothing now or any more. */
static size_t
send_pieces(hvs_relay *relay, struct iovec *pieces, unsigned count, size_t wanted)
{
    ssize_t sent;

    do
        sent = send_once(relay, pieces, count);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        /* EPIPE comes behind an end or an error that reading tells. */
        if (errno != EPIPE && !relay->server_ended)
            note_server_error(relay, "sending to", errno);
        give_up_sending(relay);
        return 0;
    }
    if (sent < (ssize_t)wanted) {
        relay->server_writable = false;
        relay->session.counters.socket_full++;
    }
    return sent < 0 ? 0 : (size_t)sent;
}

/* The host has ended its stream and the server has got all of it. */
static bool
pass_on_end_of_host(hvs_relay *relay)
{
    if (relay->tls != NULL && hvs_tls_end(relay->tls) != 0 && errno == EAGAIN) {
        relay->server_writable = false;
        return false;
    }
    if (!check_host(relay, relay->host->class->consume(relay->host, 0)))
        return false;
    if (shutdown(relay->server, SHUT_WR) != 0 && errno != ENOTCONN)
        return end_errno(relay, HVS_END_SERVER_ERROR, "ending the stream to the server", errno);
    relay->server_deaf = true;
    relay->host_ended_first = !relay->server_ended;
    hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
    return true;
}

/* While the negotiation is on: its output first, then more input. True: something moved. */
static bool
negotiate_to_server(hvs_relay *relay)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    enum hvs_host_result result;
    const uint8_t *output;
    unsigned count;
    size_t length, sent;

    output = hvs_negotiation_output(&relay->negotiation, HVS_FROM_CLIENT, &length);
    if (length > 0) {
        struct iovec piece = { .iov_base = (void *)(uintptr_t)output, .iov_len = length };

        sent = send_pieces(relay, &piece, 1, length);
        hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_CLIENT, sent);
        relay->session.counters.bytes_to_server += sent;
        return sent > 0;
    }
    result = relay->host->class->gather(relay->host, HVS_NEGOTIATION_PDU_MAX, pieces, &count);
    if (result == HVS_HOST_END)
        return pass_on_end_of_host(relay);
    if (result != HVS_HOST_OK) {
        check_host(relay, result);
        return false;
    }
    switch (feed_from_host(relay, pieces, count)) {
    case HVS_NEGOTIATION_HOLD:
        relay->held[HVS_FROM_CLIENT] = true;
        return false;
    case HVS_NEGOTIATION_FAILED:
        return end_negotiation(relay);
    default:
        return true;
    }
}

static bool
pump_to_server(hvs_relay *relay)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    enum hvs_host_result result;
    unsigned count;
    size_t sent, wanted = 0;

    if (relay->server_deaf || !relay->server_writable || relay->held[HVS_FROM_CLIENT])
        return false;
    if (!hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT))
        return negotiate_to_server(relay);

    /* All that is there: every call may wake the server and every release the host, and in rings
     * of 64 KiB that costs more than what host and server gain by working at the same time. */
    result = relay->host->class->gather(relay->host, UINT32_MAX, pieces, &count);
    if (result == HVS_HOST_END)
        return pass_on_end_of_host(relay);
    if (result != HVS_HOST_OK) {
        check_host(relay, result);
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        wanted += pieces[i].iov_len;
    sent = send_pieces(relay, pieces, count, wanted);
    if (sent == 0)
        return false;
    relay->session.counters.bytes_to_server += sent;
    return check_host(relay, relay->host->class->consume(relay->host, sent));
}

/* ---- server → host ---- */

/* read() said that nothing more will come. */
static bool
note_end_of_server(hvs_relay *relay, int error)
{
    relay->server_ended = true;
    relay->server_deaf |= error != 0;
    hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
    if (error != 0)
        note_server_error(relay, "reading from", error);
    return true;
}

/* Tells the result of a recv() call apart. True with *received > 0: data. True with 0: the stream
 * has ended. False: nothing there now. */
static bool
judge_received(hvs_relay *relay, ssize_t received, size_t wanted)
{
    if (received < 0 && errno == EINTR)
        return false;
    if (received < 0 && errno == EAGAIN) {
        relay->server_readable = false;
        return false;
    }
    if (received <= 0)
        return note_end_of_server(relay, received < 0 ? errno : 0);
    /* A stream socket that gives less than it was asked for is empty. */
    if ((size_t)received < wanted && !(relay->tls != NULL && hvs_tls_may_have_more(relay->tls)))
        relay->server_readable = false;
    return true;
}

/* Without taking them. As recv(). */
static ssize_t
peek_at_server(hvs_relay *relay, uint8_t *buffer, size_t size)
{
    return relay->tls != NULL ? hvs_tls_peek(relay->tls, buffer, size) :
                                recv(relay->server, buffer, size, MSG_PEEK | MSG_DONTWAIT);
}

/* As recvmsg(). */
static ssize_t
receive_pieces(hvs_relay *relay, struct iovec *pieces, unsigned count)
{
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };

    if (relay->tls != NULL)
        return hvs_tls_receive(relay->tls, pieces, count);
    if (count == 1)
        return recv(relay->server, pieces[0].iov_base, pieces[0].iov_len, MSG_DONTWAIT);
    return recvmsg(relay->server, &message, MSG_DONTWAIT);
}

static bool
negotiate_to_host(hvs_relay *relay)
{
    uint8_t buffer[HVS_NEGOTIATION_PDU_MAX];
    struct iovec piece = { .iov_base = buffer };
    enum hvs_negotiation_result result;
    const uint8_t *output;
    size_t length, taken = 0;
    ssize_t received;

    output = hvs_negotiation_output(&relay->negotiation, HVS_FROM_SERVER, &length);
    if (length > 0) {
        check_host(relay, relay->host->class->write(relay->host, output, length, &length));
        hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_SERVER, length);
        relay->session.counters.bytes_to_host += length;
        return length > 0;
    }
    if (!relay->server_readable)
        return false;
    /* What belongs to the next PDU or to the stream behind stays in the socket. */
    received = peek_at_server(relay, buffer, sizeof(buffer));
    if (!judge_received(relay, received, sizeof(buffer)) || received <= 0)
        return relay->server_ended;
    relay->reply_deadline = 0;
    result = hvs_negotiation_feed(&relay->negotiation, HVS_FROM_SERVER, buffer, (size_t)received,
                                  &taken);
    if (taken < (size_t)received)
        relay->server_readable = true;
    piece.iov_len = taken;
    if (taken > 0 && receive_pieces(relay, &piece, 1) != (ssize_t)taken)
        return end_errno(relay, HVS_END_SERVER_ERROR, "reading from the server", errno);
    if (result == HVS_NEGOTIATION_FAILED)
        return end_negotiation(relay);
    if (!relay->confirm_judged && !judge_confirm(relay))
        return false;
    relay->held[HVS_FROM_SERVER] = result == HVS_NEGOTIATION_HOLD;
    return result != HVS_NEGOTIATION_HOLD;
}

static bool
pump_to_host(hvs_relay *relay)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    enum hvs_host_result result;
    unsigned count;
    size_t wanted;
    ssize_t received;

    if (relay->server_ended || relay->held[HVS_FROM_SERVER] || relay->host->room_wanted)
        return false;
    if (!hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER))
        return negotiate_to_host(relay);
    if (!relay->server_readable)
        return false;

    result = relay->host->class->reserve(relay->host, pieces, &count, &wanted);
    if (result != HVS_HOST_OK) {
        check_host(relay, result);
        return false;
    }
    if (relay->server_trickles && pieces[0].iov_len >= LITTLE) {
        count = 1;
        wanted = pieces[0].iov_len;
    }
    received = receive_pieces(relay, pieces, count);
    if (!judge_received(relay, received, wanted))
        return false;
    if (received <= 0)
        return true;
    relay->server_trickles = received < (ssize_t)LITTLE;
    relay->session.counters.bytes_to_host += (uint64_t)received;
    return check_host(relay, relay->host->class->publish(relay->host, (size_t)received));
}

/* ---- closing ---- */

static enum hvs_end_reason
closing_reason(const hvs_relay *relay)
{
    if (relay->host_ended_first)
        return HVS_END_HOST_CLOSED;
    return relay->session.detail[0] != '\0' ? HVS_END_SERVER_ERROR : HVS_END_SERVER_CLOSED;
}

static bool
end_closing(hvs_relay *relay)
{
    g_autofree char *detail = g_strdup(relay->session.detail);

    return end(relay, closing_reason(relay), detail[0] != '\0' ? detail : NULL);
}

static uint32_t
progress_of_host(const hvs_relay *relay)
{
    return relay->host->class->progress(relay->host);
}

/* One side has ended its stream, and the other has some time left. */
static bool
is_closing(const hvs_relay *relay)
{
    return relay->host_told ||
           (relay->host_ended_first && !relay->host->class->tells_leaving);
}

/* The server has ended: tells the host, sees to it that the host reads everything, and gives it a
 * moment to end its own stream. False: over, or nothing to do but wait. */
static bool
close_down(hvs_relay *relay)
{
    enum hvs_host_result result;

    if (!relay->server_ended || relay->host->room_wanted)
        return false;
    if (!hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER)) {
        size_t length;

        /* Output that is still due is written first; half a PDU is nobody's. */
        hvs_negotiation_output(&relay->negotiation, HVS_FROM_SERVER, &length);
        if (length > 0)
            return negotiate_to_host(relay);
    }
    if (!relay->host_told) {
        result = relay->host->class->end(relay->host);
        relay->host_told = result == HVS_HOST_OK;
        if (!check_host(relay, result))
            return false;
        relay->host_progress = progress_of_host(relay);
        return relay->host_told;
    }
    result = relay->host->class->is_drained(relay->host);
    if (result == HVS_HOST_FULL || !check_host(relay, result))
        return false;
    /* All is delivered; if the server takes nothing any more either, this is the end. */
    return relay->server_deaf ? end_closing(relay) : false;
}

/* ---- waiting ---- */

/* Input of the host is of use only if it can go somewhere. */
static bool
wants_host(const hvs_relay *relay)
{
    return relay->host->class->is_hungry(relay->host) && !relay->server_deaf &&
           relay->server_writable && !relay->held[HVS_FROM_CLIENT];
}

static short
server_events(hvs_relay *relay)
{
    bool receive = !relay->server_ended && !relay->host->room_wanted &&
                   !relay->held[HVS_FROM_SERVER];
    bool send = !relay->server_deaf && !relay->server_writable;

    if (relay->tls != NULL)
        return hvs_tls_events(relay->tls, receive, send);
    return (short)((receive ? POLLIN : 0) | (send ? POLLOUT : 0));
}

/* Polls once. events_of_host: beside its end. False: over. */
static bool
poll_all(hvs_relay *relay, short events_of_host, short events, int timeout)
{
    /* poll() always tells that both directions are over: of use only where we have not ended ours,
     * since nothing would come of it but another round. */
    bool may_break = relay->server_ended && !relay->server_deaf;
    struct pollfd fds[3] = {
        { .fd = relay->host->fd, .events = events_of_host },
        { .fd = relay->stop_fd, .events = POLLIN },
        { .fd = events != 0 || may_break ? relay->server : -1, .events = events },
    };
    int ready = poll(fds, G_N_ELEMENTS(fds), timeout);

    if (ready < 0 && errno != EINTR)
        return end_errno(relay, HVS_END_CHANNEL_ERROR, "waiting", errno);
    if (ready <= 0)
        return true;
    if (fds[1].revents != 0)
        return handle_stop(relay);
    if (fds[0].revents != 0 && !handle_host_events(relay, fds[0].revents))
        return false;
    if (may_break && fds[2].revents & (POLLERR | POLLHUP))
        give_up_sending(relay);
    if (fds[2].revents & (POLLIN | POLLERR | POLLHUP))
        relay->server_readable = true;
    if (fds[2].revents & (POLLOUT | POLLERR | POLLHUP))
        relay->server_writable = true;
    /* Receiving may have waited for TLS to send something of its own. */
    if (relay->tls != NULL && fds[2].revents & POLLOUT)
        relay->server_readable = true;
    return true;
}

/* Milliseconds until something is due, −1 if nothing is. False: it is due now, and was done. */
static bool
time_until_due(hvs_relay *relay, int *timeout)
{
    uint64_t now;

    *timeout = -1;
    if (!is_closing(relay) && relay->reply_deadline == 0)
        return true;
    now = hvs_relay_now();
    if (!is_closing(relay)) {
        if (now >= relay->reply_deadline)
            return end(relay, HVS_END_SERVER_SILENT, NULL);
        *timeout = (int)(relay->reply_deadline - now);
        return true;
    }
    if (now < relay->last_progress + CLOSING_IDLE_TIMEOUT) {
        *timeout = (int)(relay->last_progress + CLOSING_IDLE_TIMEOUT - now);
        return true;
    }
    if (progress_of_host(relay) == relay->host_progress)
        return end_closing(relay);
    relay->host_progress = progress_of_host(relay);
    relay->last_progress = now;
    *timeout = CLOSING_IDLE_TIMEOUT;
    return true;
}

/* Nothing could be moved: sleeps until something can. False: something is there already, or the
 * session is over; the descriptors were not looked at. */
static bool
wait_for_events(hvs_relay *relay)
{
    const struct hvs_host_class *class = relay->host->class;
    bool host = wants_host(relay);
    bool room = relay->host->room_wanted || relay->host_told;
    int timeout;

    if (!time_until_due(relay, &timeout))
        return false;
    publish(relay);
    /* Last, so that what comes until then is found without sleeping. */
    if (host && !class->prepare_to_wait(relay->host))
        return false;
    if (poll_all(relay, class->events(relay->host, host, room), server_events(relay), timeout)) {
        relay->session.counters.wakeups++;
        if (host)
            class->woke(relay->host);
    }
    return true;
}

/* In between, while there is enough to do. */
static void
look_at_events(hvs_relay *relay)
{
    const struct hvs_host_class *class = relay->host->class;
    bool input = !class->input_is_memory && wants_host(relay);

    poll_all(relay, class->events(relay->host, input, relay->host->room_wanted),
             server_events(relay), 0);
}

/* ---- the life of a session ---- */

/* A part of the Connection Request is there. */
static void
note_request_begun(hvs_relay *relay, uint64_t now)
{
    if (!relay->request_begun)
        relay->request_deadline = now + HVS_SESSION_REQUEST_TIMEOUT;
    relay->request_begun = true;
}

/* Until the whole Connection Request is there. */
static bool
read_request(hvs_relay *relay)
{
    struct iovec pieces[HVS_PIPE_PIECES];
    enum hvs_negotiation_result fed = HVS_NEGOTIATION_MORE;
    const struct hvs_host_class *class = relay->host->class;
    enum hvs_host_result result;
    unsigned count;

    if (class->bounds_silence)
        relay->request_deadline = hvs_relay_now() + HVS_SESSION_SILENCE_TIMEOUT;
    for (;;) {
        uint64_t now = hvs_relay_now();

        result = class->gather(relay->host, HVS_NEGOTIATION_PDU_MAX, pieces, &count);
        if (result == HVS_HOST_END)
            return end(relay, HVS_END_HOST_CLOSED, "before a complete connection request");
        if (result == HVS_HOST_OK) {
            fed = feed_from_host(relay, pieces, count);
            note_request_begun(relay, now);
        } else if (!check_host(relay, result)) {
            return false;
        }
        if (is_over(relay))
            return false;
        if (fed == HVS_NEGOTIATION_FAILED)
            return end_negotiation(relay);
        if (fed != HVS_NEGOTIATION_MORE)
            return true;
        if (relay->request_deadline != 0 && now >= relay->request_deadline)
            return end(relay, relay->request_begun ? HVS_END_REQUEST_TIMEOUT : HVS_END_HOST_SILENT,
                       NULL);
        if (class->prepare_to_wait(relay->host)) {
            int timeout = relay->request_deadline == 0 ? -1 : (int)(relay->request_deadline - now);

            publish(relay);
            if (!poll_all(relay, class->events(relay->host, true, false), 0, timeout))
                return false;
            relay->session.counters.wakeups++;
        }
    }
}

struct connecting {
    hvs_relay    *relay;
    GCancellable *cancellable;
};

static gboolean
on_host_while_connecting(int fd, GIOCondition condition, gpointer user_data)
{
    struct connecting *connecting = user_data;
    hvs_relay *relay = connecting->relay;

    (void)fd;
    /* GIOCondition has the values of poll(). What the host sends is read later. */
    if (handle_host_events(relay, (short)condition) &&
        check_host(relay, relay->host->class->take_signal(relay->host)))
        return condition & POLLRDHUP ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
    g_cancellable_cancel(connecting->cancellable);
    return G_SOURCE_REMOVE;
}

static gboolean
on_stop_while_connecting(int fd, GIOCondition condition, gpointer user_data)
{
    struct connecting *connecting = user_data;

    (void)fd;
    (void)condition;
    handle_stop(connecting->relay);
    g_cancellable_cancel(connecting->cancellable);
    return G_SOURCE_REMOVE;
}

/* Libraries end the program when they get no descriptor, so the session ends before. */
static bool
has_descriptors(const hvs_relay *relay)
{
    int fds[CONNECT_DESCRIPTORS];
    unsigned count = 0;

    while (count < CONNECT_DESCRIPTORS &&
           (fds[count] = fcntl(relay->stop_fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    return count == CONNECT_DESCRIPTORS;
}

static bool
connect_to_server(hvs_relay *relay)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    struct connecting connecting = { relay, cancellable };
    const struct hvs_server_watch watches[] = {
        { relay->host->fd, relay->host->class->connect_events, on_host_while_connecting },
        { relay->stop_fd, POLLIN, on_stop_while_connecting },
    };
    struct hvs_text name;

    hvs_session_advance(&relay->session, HVS_SESSION_CONNECTING);
    publish(relay);
    if (!has_descriptors(relay))
        return end(relay, HVS_END_NO_RESOURCES, "too many open files: raise LimitNOFILE");
    relay->server = hvs_server_connect(relay->settings.servers, relay->settings.server_count,
                                       relay->settings.server_timeout, watches,
                                       G_N_ELEMENTS(watches), &connecting, cancellable,
                                       &relay->which_server, &error);
    if (is_over(relay))
        return false;
    if (relay->server < 0)
        return end(relay, HVS_END_SERVER_UNREACHABLE, error->message);
    hvs_text_init(&name, relay->session.server, sizeof(relay->session.server));
    hvs_server_address_print(&relay->settings.servers[relay->which_server], &name);
    hvs_log_session(HVS_LOG_INFO, relay->session.id, relay->session.channel, "connected to %s",
                    relay->session.server);
    return true;
}

static void
close_server(hvs_relay *relay)
{
    if (relay->tls != NULL && !relay->server_deaf)
        hvs_tls_end(relay->tls); /* it may go unsaid */
    g_clear_pointer(&relay->tls, hvs_tls_free);
    if (relay->server >= 0)
        close(relay->server);
    relay->server = -1;
}

/* ---- TLS with the server ---- */

static bool
end_tls(hvs_relay *relay, enum hvs_end_reason reason, const char *words)
{
    g_autofree char *detail = g_strdup_printf("%s: %s", relay->session.server, words);

    return end(relay, reason, detail);
}

/* Waits for nothing else but the end of the session. False: over. */
static bool
shake_hands(hvs_relay *relay)
{
    uint64_t deadline = hvs_relay_now() + HVS_SESSION_REPLY_TIMEOUT;

    for (;;) {
        uint64_t now = hvs_relay_now();

        switch (hvs_tls_handshake(relay->tls)) {
        case HVS_TLS_OK:
            return true;
        case HVS_TLS_UNTRUSTED:
            return end_tls(relay, HVS_END_SERVER_UNTRUSTED, hvs_tls_complaint(relay->tls));
        case HVS_TLS_FAILED:
            return end_tls(relay, HVS_END_SERVER_TLS, hvs_tls_complaint(relay->tls));
        case HVS_TLS_AGAIN:
            break;
        }
        if (now >= deadline)
            return end_tls(relay, HVS_END_SERVER_TLS, "the handshake takes too long");
        publish(relay);
        if (!poll_all(relay, relay->host->class->events(relay->host, false, false),
                      hvs_tls_events(relay->tls, true, true), (int)(deadline - now)))
            return false;
        relay->session.counters.wakeups++;
    }
}

static bool
start_tls(hvs_relay *relay)
{
    g_autoptr(GError) error = NULL;

    relay->tls =
        hvs_tls_new(relay->server, &relay->settings.servers[relay->which_server], &error);
    if (relay->tls == NULL)
        return end_tls(relay, HVS_END_SERVER_TLS, error->message);
    if (!shake_hands(relay))
        return false;
    hvs_log_session(HVS_LOG_INFO, relay->session.id, relay->session.channel,
                    "TLS with the server: %s", hvs_tls_describe(relay->tls));
    relay->server_readable = relay->server_writable = true;
    return true;
}

/* The client does not notice that the server is asked twice. */
static bool
ask_for_tls(hvs_relay *relay)
{
    hvs_log_session(HVS_LOG_INFO, relay->session.id, relay->session.channel,
                    "%s: asking again, for TLS",
                    hvs_negotiation_failure_to_string(relay->negotiation.facts.failure_code));
    hvs_negotiation_ask_for_tls(&relay->negotiation);
    close_server(relay);
    if (!connect_to_server(relay))
        return false;
    relay->server_readable = relay->server_writable = true;
    relay->server_ended = relay->server_deaf = false;
    relay->reply_deadline = hvs_relay_now() + HVS_SESSION_REPLY_TIMEOUT;
    return true;
}

/* What the server has answered to the request, as far as TLS is concerned. The client has not got
 * the answer yet. False: over. */
static bool
judge_confirm(hvs_relay *relay)
{
    const struct hvs_negotiation *negotiation = &relay->negotiation;

    if (!negotiation->facts.confirm_seen)
        return true;
    if (relay->settings.server_security == HVS_SECURITY_SETTING_AUTO &&
        hvs_negotiation_can_ask_for_tls(negotiation))
        return ask_for_tls(relay);
    relay->confirm_judged = true;
    if (negotiation->request_as == HVS_PROTOCOL_RDP || negotiation->facts.failure_code != 0 ||
        !negotiation->facts.request_has_protocols)
        return true;
    if (!hvs_negotiation_is_within_tls(negotiation))
        return end_tls(relay, HVS_END_SERVER_TLS,
                       "asked for TLS, the server chose something else; see ServerSecurity");
    return start_tls(relay);
}

static void
note_stage(hvs_relay *relay)
{
    const struct hvs_negotiation_facts *facts = &relay->negotiation.facts;
    char requested[64], selected[64];

    if (relay->session.state != HVS_SESSION_NEGOTIATING ||
        !hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT) ||
        !hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER))
        return;
    if (facts->failure_code != 0) {
        hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
        hvs_log_session(HVS_LOG_WARNING, relay->session.id, relay->session.channel, "%s: %s",
                        hvs_end_reason_to_sentence(HVS_END_SERVER_REFUSED),
                        hvs_negotiation_failure_to_string(facts->failure_code));
        return;
    }
    hvs_session_advance(&relay->session, HVS_SESSION_ACTIVE);
    hvs_log_session(HVS_LOG_INFO, relay->session.id, relay->session.channel,
                    "active: client asked for %s, server chose %s, %s",
                    hvs_protocols_to_string(facts->requested_protocols, requested,
                                            sizeof(requested)),
                    hvs_protocols_to_string(facts->selected_protocol, selected, sizeof(selected)),
                    relay->negotiation.reply == HVS_REPLY_MIRROR ? "reply mirrored" :
                                                                   "reply passed through");
}

/* Both directions until the session is over. */
static void
move_bytes(hvs_relay *relay)
{
    unsigned busy = 0;

    relay->server_readable = relay->server_writable = true;
    relay->reply_deadline = hvs_relay_now() + HVS_SESSION_REPLY_TIMEOUT;
    hvs_session_advance(&relay->session, HVS_SESSION_NEGOTIATING);
    while (!is_over(relay)) {
        bool moved = pump_to_server(relay);

        if (!is_over(relay))
            moved |= pump_to_host(relay);
        if (!is_over(relay))
            moved |= close_down(relay);
        if (is_over(relay))
            return;
        if (moved) {
            /* What one direction did may be what the other has waited for. */
            relay->held[HVS_FROM_CLIENT] = relay->held[HVS_FROM_SERVER] = false;
            note_stage(relay);
            if (is_closing(relay))
                relay->last_progress = hvs_relay_now();
        } else if (wait_for_events(relay)) {
            busy = 0;
            continue;
        }
        if (is_over(relay) || ++busy < BUSY_ROUNDS)
            continue;
        publish(relay);
        look_at_events(relay);
        busy = 0;
    }
}

static gboolean
tell_ended(gpointer user_data)
{
    hvs_relay *relay = user_data;

    g_mutex_lock(&relay->lock);
    g_clear_pointer(&relay->ended_source, g_source_unref);
    g_mutex_unlock(&relay->lock);
    relay->ended(relay, relay->user_data);
    return G_SOURCE_REMOVE;
}

static void
close_host(hvs_relay *relay)
{
    if (relay->host != NULL)
        relay->host->class->close(relay->host);
    relay->host = NULL;
}

static gpointer
run(gpointer user_data)
{
    hvs_relay *relay = user_data;

    if (read_request(relay) && connect_to_server(relay))
        move_bytes(relay);
    close_server(relay);
    close_host(relay);
    publish(relay);

    g_mutex_lock(&relay->lock);
    relay->ended_source = call_in_main_thread(tell_ended, relay);
    g_mutex_unlock(&relay->lock);
    return NULL;
}

static void
free_relay(hvs_relay *relay)
{
    close_host(relay);
    if (relay->stop_fd >= 0)
        close(relay->stop_fd);
    g_mutex_clear(&relay->lock);
    g_free(relay);
}

static enum hvs_reply_mode
reply_mode(const struct hvs_settings *settings)
{
    /* Terminal Services speak standard RDP encryption, Linux servers need none: hence what auto
     * means here. */
    return settings->negotiation_reply == HVS_REPLY_SETTING_PASSTHROUGH ? HVS_REPLY_PASSTHROUGH :
                                                                          HVS_REPLY_MIRROR;
}

static hvs_relay *
new_relay(uint32_t id, unsigned channel_number, const struct hvs_settings *settings,
          hvs_relay_ended ended, gpointer user_data)
{
    hvs_relay *relay = g_new0(hvs_relay, 1);

    g_mutex_init(&relay->lock);
    relay->settings = *settings;
    relay->ended = ended;
    relay->user_data = user_data;
    relay->server = relay->stop_fd = -1;
    hvs_session_init(&relay->session, id, channel_number, hvs_relay_now());
    hvs_negotiation_init(&relay->negotiation, reply_mode(settings),
                         settings->server_security == HVS_SECURITY_SETTING_TLS ?
                             HVS_PROTOCOL_SSL :
                             HVS_PROTOCOL_RDP);
    return relay;
}

/* Frees the relay if there is no thread to be had. */
static hvs_relay *
start(hvs_relay *relay, GError **error)
{
    g_autofree char *name = g_strdup_printf("session-%u", relay->session.id);

    publish(relay);
    relay->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (relay->stop_fd < 0) {
        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(errno), "eventfd: %s",
                    g_strerror(errno));
        free_relay(relay);
        return NULL;
    }
    relay->thread = g_thread_try_new(name, run, relay, error);
    if (relay->thread == NULL) {
        free_relay(relay);
        return NULL;
    }
    return relay;
}

hvs_relay *
hvs_relay_start(uint32_t id, unsigned channel_number, struct hvs_channel *channel,
                const struct hvs_settings *settings, hvs_relay_ended ended, gpointer user_data,
                GError **error)
{
    hvs_relay *relay = new_relay(id, channel_number, settings, ended, user_data);

    relay->host = hvs_host_new_channel(channel, &relay->session.counters);
    return start(relay, error);
}

hvs_relay *
hvs_relay_start_socket(uint32_t id, int fd, const struct hvs_settings *settings,
                       hvs_relay_ended ended, gpointer user_data, GError **error)
{
    hvs_relay *relay = new_relay(id, 0, settings, ended, user_data);

    relay->host = hvs_host_new_socket(fd, &relay->session.counters);
    return start(relay, error);
}

void
hvs_relay_stop(hvs_relay *relay, enum hvs_end_reason reason)
{
    const uint64_t one = 1;

    g_atomic_int_compare_and_exchange(&relay->stop_reason, HVS_END_NONE, (gint)reason);
    /* A counter cannot be full here, and a session that has ended does not mind. */
    if (write(relay->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        g_warn_if_reached();
}

void
hvs_relay_snapshot(hvs_relay *relay, struct hvs_session *session)
{
    g_mutex_lock(&relay->lock);
    *session = relay->published;
    g_mutex_unlock(&relay->lock);
}

void
hvs_relay_watch(hvs_relay *relay, void (*changed)(gpointer user_data), gpointer user_data)
{
    g_mutex_lock(&relay->lock);
    relay->changed = changed;
    relay->changed_data = user_data;
    g_mutex_unlock(&relay->lock);
}

static void
clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

void
hvs_relay_free(hvs_relay *relay)
{
    hvs_relay_stop(relay, HVS_END_STOPPED);
    g_thread_join(relay->thread);
    clear_source(&relay->ended_source);
    clear_source(&relay->changed_source);
    free_relay(relay);
}
