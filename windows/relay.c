#include "relay.h"

#include "clock.h"
#include "log.h"
#include "pipe.h"
#include "server.h"
#include "vmbuspipe.h"
#include "wide.h"

#include <process.h>
#include <stdlib.h>
#include <string.h>

/* After the server has ended its stream and everything is delivered, the host gets that long to end
 * the session itself, counted from the last byte either way; and a server as long to take what a
 * host that is gone has left. In milliseconds. */
#define CLOSING_IDLE_TIMEOUT 2000u
/* A busy relay looks whether it shall stop at least once in so many rounds. */
#define BUSY_ROUNDS 16u
/* Bytes of a refused PDU that go to the log. */
#define HEXDUMP_MAX 64u

struct buffer {
    uint8_t bytes[HVS_RELAY_BUFFER];
    DWORD   begin, end; /* of what is not delivered yet */
};

struct hvs_relay {
    /* Shared with other threads. */
    CRITICAL_SECTION   lock;
    struct hvs_session published; /* lock */
    volatile LONG      stop_reason;
    volatile LONG      has_ended;
    HANDLE             stop;  /* manual-reset event */
    HANDLE             changed; /* borrowed */
    HANDLE             thread;

    /* The thread's own. */
    struct hvs_session     session;
    struct hvs_negotiation negotiation;
    struct hvs_settings    settings;
    HANDLE                 pipe;

    /* host → server: buffers are filled in turn, and emptied in the same order */
    struct hvs_pipe_operation read;
    struct buffer             from_host[2];
    unsigned                  reading;    /* which is filled next */
    unsigned                  sending;    /* which is emptied next */
    unsigned                  full;       /* how many hold something */
    bool                      host_ended; /* it has ended its stream: zero bytes came */
    bool                      host_gone;  /* the channel is over for good */

    /* server → host: one is written while the other is filled */
    struct hvs_pipe_operation write;
    struct buffer             to_host[2];
    unsigned                  filling;
    bool                      writing_negotiation; /* the write is of its output */
    bool                      host_told;           /* our end of stream is written, or under way */

    SOCKET   server;
    HANDLE   server_event;
    bool     server_readable; /* no recv() has come back empty since the event */
    bool     server_writable; /* likewise send() */
    bool     server_ended;    /* its end of stream was read */
    bool     server_deaf;     /* nothing more is sent to it */
    bool     host_ended_first;
    bool     held[HVS_DIRECTIONS]; /* the negotiation waits for the other side */
    uint64_t request_deadline;     /* 0: no byte of the request has come yet */
    uint64_t last_progress;
};

/* More than counters. */
static bool
is_news(const struct hvs_session *before, const struct hvs_session *now)
{
    const struct hvs_client_facts *client = &now->negotiation.client;

    return now->state != before->state ||
           client->core_seen != before->negotiation.client.core_seen ||
           client->channels_seen != before->negotiation.client.channels_seen;
}

static void
publish(struct hvs_relay *relay)
{
    bool news;

    relay->session.negotiation = relay->negotiation.facts;
    news = is_news(&relay->published, &relay->session);
    EnterCriticalSection(&relay->lock);
    relay->published = relay->session;
    LeaveCriticalSection(&relay->lock);
    if (news)
        SetEvent(relay->changed);
}

static bool
is_over(const struct hvs_relay *relay)
{
    return relay->session.reason != HVS_END_NONE;
}

/* Every function of the thread that ends the session does it here; returns false for its caller. */
static bool
end(struct hvs_relay *relay, enum hvs_end_reason reason, const char *detail)
{
    hvs_session_end(&relay->session, reason, detail, hvs_clock_now());
    return false;
}

static bool
end_error(struct hvs_relay *relay, enum hvs_end_reason reason, const char *what, DWORD error)
{
    char detail[sizeof relay->session.detail];
    struct hvs_text text;

    hvs_text_init(&text, detail, sizeof detail);
    hvs_text_add(&text, what);
    hvs_text_add(&text, ": ");
    hvs_wide_add_error(&text, error);
    return end(relay, reason, detail);
}

static bool
end_negotiation(struct hvs_relay *relay)
{
    const struct hvs_negotiation *negotiation = &relay->negotiation;
    char dump[512];
    struct hvs_text text;
    size_t length;
    const uint8_t *pdu = hvs_negotiation_failed_pdu(negotiation, &length);

    relay->session.negotiation_error = negotiation->error;
    hvs_text_init(&text, dump, sizeof dump);
    hvs_text_add_hexdump(&text, pdu, min(length, HEXDUMP_MAX));
    hvs_log_session(HVS_LOG_WARNING, relay->session.id, relay->session.channel,
                    "refused a PDU of the %s: %s; its first bytes:\n%s",
                    negotiation->error_direction == HVS_FROM_CLIENT ? "client" : "server",
                    hvs_negotiation_error_to_string(negotiation->error), dump);
    return end(relay, hvs_session_reason_of(negotiation),
               hvs_negotiation_error_to_string(negotiation->error));
}

/* ---- the channel ---- */

/* The host has taken the channel away. What it had sent before still goes to the server. */
static void
note_host_gone(struct hvs_relay *relay)
{
    if (relay->host_gone)
        return;
    relay->host_gone = true;
    relay->last_progress = hvs_clock_now();
    if (relay->server != INVALID_SOCKET)
        hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
}

static bool
note_channel_error(struct hvs_relay *relay, const char *what, DWORD error)
{
    if (!hvs_vmbuspipe_is_gone(error))
        return end_error(relay, HVS_END_CHANNEL_ERROR, what, error);
    note_host_gone(relay);
    return true;
}

/* Behind the end of the host's stream one more read is kept, to see the channel's end; should that
 * give zero bytes as well, then this is how the driver says that the channel is over, and asking
 * again would spin. */
static void
note_end_of_host(struct hvs_relay *relay)
{
    if (relay->host_ended)
        note_host_gone(relay);
    relay->host_ended = true;
}

/* Keeps a read under way whenever there is a buffer for it. False: over. */
static bool
read_on(struct hvs_relay *relay)
{
    struct buffer *buffer = &relay->from_host[relay->reading];
    DWORD error;

    if (relay->read.pending || relay->host_gone || relay->full == ARRAYSIZE(relay->from_host))
        return true;
    error = hvs_pipe_read(relay->pipe, &relay->read, buffer->bytes, sizeof buffer->bytes);
    return error == ERROR_SUCCESS || note_channel_error(relay, "reading the channel", error);
}

/* True: something came, if only the end. */
static bool
take_read(struct hvs_relay *relay)
{
    DWORD moved, error;

    if (!relay->read.pending)
        return false;
    error = hvs_pipe_result(relay->pipe, &relay->read, &moved);
    if (error == ERROR_IO_INCOMPLETE)
        return false;
    if (error != ERROR_SUCCESS && error != ERROR_MORE_DATA)
        return note_channel_error(relay, "reading the channel", error);
    if (error == ERROR_SUCCESS)
        relay->session.counters.packets_from_host++;
    if (moved == 0 && error == ERROR_SUCCESS) {
        note_end_of_host(relay);
        return true;
    }
    /* Nothing that follows its end is the host's to say. */
    if (moved > 0 && !relay->host_ended) {
        relay->from_host[relay->reading].begin = 0;
        relay->from_host[relay->reading].end = moved;
        relay->reading ^= 1;
        relay->full++;
    }
    return true;
}

/* Writes length bytes, which stay where they are until take_write() has seen the end of it. */
static bool
write_channel(struct hvs_relay *relay, const void *bytes, DWORD length)
{
    DWORD error;

    error = hvs_pipe_write(relay->pipe, &relay->write, bytes, length);
    return error == ERROR_SUCCESS || note_channel_error(relay, "writing to the channel", error);
}

/* True: a write has come to its end. */
static bool
take_write(struct hvs_relay *relay)
{
    struct buffer *written = &relay->to_host[relay->filling ^ 1];
    DWORD moved, error;

    if (!relay->write.pending)
        return false;
    error = hvs_pipe_result(relay->pipe, &relay->write, &moved);
    if (error == ERROR_IO_INCOMPLETE)
        return false;
    if (error != ERROR_SUCCESS)
        return note_channel_error(relay, "writing to the channel", error);
    relay->session.counters.packets_to_host++;
    relay->session.counters.bytes_to_host += moved;
    if (relay->writing_negotiation)
        hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_SERVER, moved);
    else
        written->begin += moved;
    relay->writing_negotiation = false;
    return true;
}

/* ---- host → server ---- */

static void
note_server_error(struct hvs_relay *relay, const char *doing, DWORD error)
{
    struct hvs_text text;

    /* The first one counts. */
    if (relay->session.detail[0] != '\0')
        return;
    hvs_text_init(&text, relay->session.detail, sizeof relay->session.detail);
    hvs_text_add(&text, doing);
    hvs_text_add_char(&text, ' ');
    hvs_text_add(&text, relay->session.server);
    hvs_text_add(&text, ": ");
    hvs_wide_add_error(&text, error);
}

/* Returns the bytes sent, 0 if the server takes nothing now or any more. */
static DWORD
send_bytes(struct hvs_relay *relay, const uint8_t *bytes, size_t length)
{
    int sent = send(relay->server, (const char *)bytes, (int)length, 0);
    DWORD error = sent < 0 ? (DWORD)WSAGetLastError() : ERROR_SUCCESS;

    if (error == WSAEWOULDBLOCK) {
        relay->server_writable = false;
        relay->session.counters.socket_full++;
        return 0;
    }
    if (error != ERROR_SUCCESS) {
        /* What the host still sends is of no use; what the server has sent is still read. */
        if (!relay->server_ended)
            note_server_error(relay, "sending to", error);
        relay->server_deaf = true;
        relay->server_readable = true;
        hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
        return 0;
    }
    return (DWORD)sent;
}

static void
consume(struct hvs_relay *relay, size_t length)
{
    struct buffer *buffer = &relay->from_host[relay->sending];

    buffer->begin += (DWORD)length;
    relay->session.counters.bytes_to_server += length;
    if (buffer->begin == buffer->end) {
        relay->sending ^= 1;
        relay->full--;
    }
}

/* Gives what the host has sent to the negotiation. */
static enum hvs_negotiation_result
feed_from_host(struct hvs_relay *relay)
{
    const struct buffer *buffer = &relay->from_host[relay->sending];
    size_t taken = 0;
    enum hvs_negotiation_result result =
        hvs_negotiation_feed(&relay->negotiation, HVS_FROM_CLIENT, buffer->bytes + buffer->begin,
                             buffer->end - buffer->begin, &taken);

    if (taken > 0)
        consume(relay, taken);
    return result;
}

/* The host has ended its stream and the server has got all of it. */
static bool
pass_on_end_of_host(struct hvs_relay *relay)
{
    if (shutdown(relay->server, SD_SEND) != 0 && WSAGetLastError() != WSAENOTCONN)
        return end_error(relay, HVS_END_SERVER_ERROR, "ending the stream to the server",
                         (DWORD)WSAGetLastError());
    relay->server_deaf = true;
    relay->host_ended_first = !relay->server_ended;
    hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
    return true;
}

/* While the negotiation is on: its output first, then more input. True: something moved. */
static bool
negotiate_to_server(struct hvs_relay *relay)
{
    const uint8_t *output;
    size_t length;

    output = hvs_negotiation_output(&relay->negotiation, HVS_FROM_CLIENT, &length);
    if (length > 0) {
        DWORD sent = send_bytes(relay, output, length);

        hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_CLIENT, sent);
        return sent > 0;
    }
    if (relay->full == 0)
        return relay->host_ended || relay->host_gone ? pass_on_end_of_host(relay) : false;
    switch (feed_from_host(relay)) {
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
pump_to_server(struct hvs_relay *relay)
{
    const struct buffer *buffer = &relay->from_host[relay->sending];
    DWORD sent;

    if (relay->server_deaf || !relay->server_writable || relay->held[HVS_FROM_CLIENT])
        return false;
    if (!hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT))
        return negotiate_to_server(relay);
    if (relay->full == 0)
        return relay->host_ended || relay->host_gone ? pass_on_end_of_host(relay) : false;
    sent = send_bytes(relay, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
    if (sent > 0)
        consume(relay, sent);
    return sent > 0;
}

/* ---- server → host ---- */

/* Fills the buffer that is not being written. True: something came, if only the end. */
static bool
receive(struct hvs_relay *relay)
{
    struct buffer *buffer = &relay->to_host[relay->filling];
    DWORD error;
    int received;

    if (relay->server_ended || !relay->server_readable || relay->host_gone)
        return false;
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
    if (buffer->end == sizeof buffer->bytes)
        return false;
    received = recv(relay->server, (char *)buffer->bytes + buffer->end,
                    (int)(sizeof buffer->bytes - buffer->end), 0);
    if (received > 0) {
        buffer->end += (DWORD)received;
        if (buffer->end == sizeof buffer->bytes && relay->write.pending)
            relay->session.counters.ring_full++;
        return true;
    }
    error = received < 0 ? (DWORD)WSAGetLastError() : ERROR_SUCCESS;
    if (error == WSAEWOULDBLOCK) {
        relay->server_readable = false;
        return false;
    }
    relay->server_ended = true;
    hvs_session_advance(&relay->session, HVS_SESSION_CLOSING);
    if (error != ERROR_SUCCESS) {
        relay->server_deaf = true;
        note_server_error(relay, "reading from", error);
    }
    return true;
}

/* Gives what the server has sent to the negotiation, or its output to the host. */
static bool
negotiate_to_host(struct hvs_relay *relay)
{
    struct buffer *buffer = &relay->to_host[relay->filling];
    enum hvs_negotiation_result result;
    const uint8_t *output;
    size_t length, taken = 0;

    output = hvs_negotiation_output(&relay->negotiation, HVS_FROM_SERVER, &length);
    if (length > 0) {
        relay->writing_negotiation = true;
        return write_channel(relay, output, (DWORD)min(length, HVS_RELAY_BUFFER));
    }
    if (buffer->begin == buffer->end || relay->held[HVS_FROM_SERVER])
        return false;
    result = hvs_negotiation_feed(&relay->negotiation, HVS_FROM_SERVER,
                                  buffer->bytes + buffer->begin, buffer->end - buffer->begin,
                                  &taken);
    buffer->begin += (DWORD)taken;
    if (result == HVS_NEGOTIATION_FAILED)
        return end_negotiation(relay);
    relay->held[HVS_FROM_SERVER] = result == HVS_NEGOTIATION_HOLD;
    return result != HVS_NEGOTIATION_HOLD;
}

static bool
pump_to_host(struct hvs_relay *relay)
{
    struct buffer *written = &relay->to_host[relay->filling ^ 1];

    if (relay->write.pending || relay->host_gone)
        return false;
    if (!hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER))
        return negotiate_to_host(relay);
    /* A byte pipe may have taken a part only. */
    if (written->begin == written->end) {
        written = &relay->to_host[relay->filling];
        if (written->begin == written->end)
            return false;
        relay->filling ^= 1;
    }
    return write_channel(relay, written->bytes + written->begin, written->end - written->begin);
}

/* ---- closing ---- */

static enum hvs_end_reason
closing_reason(const struct hvs_relay *relay)
{
    if (relay->negotiation.facts.failure_code != 0)
        return HVS_END_SERVER_REFUSED;
    if (relay->host_ended_first && relay->host_ended)
        return HVS_END_HOST_CLOSED;
    if (relay->session.detail[0] != '\0')
        return HVS_END_SERVER_ERROR;
    return relay->server_ended ? HVS_END_SERVER_CLOSED : HVS_END_HOST_RESCINDED;
}

static bool
end_closing(struct hvs_relay *relay)
{
    char detail[sizeof relay->session.detail];
    uint32_t code = relay->negotiation.facts.failure_code;
    struct hvs_text text;

    hvs_text_init(&text, detail, sizeof detail);
    hvs_text_add(&text, code != 0 ? hvs_negotiation_failure_to_string(code)
                                  : relay->session.detail);
    return end(relay, closing_reason(relay), detail[0] != '\0' ? detail : NULL);
}

static bool
is_all_written(const struct hvs_relay *relay)
{
    size_t length;

    hvs_negotiation_output(&relay->negotiation, HVS_FROM_SERVER, &length);
    return !relay->write.pending && length == 0 &&
           relay->to_host[0].begin == relay->to_host[0].end &&
           relay->to_host[1].begin == relay->to_host[1].end;
}

/* Half a PDU is nobody's: what the negotiation still waits for will not come. */
static void
drop_half_pdu(struct hvs_relay *relay)
{
    struct buffer *buffer = &relay->to_host[relay->filling];

    if (!hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER) &&
        relay->held[HVS_FROM_SERVER])
        buffer->begin = buffer->end;
}

/* Both ends: a host that is gone has nothing more to get, its last bytes still go to the server;
 * after the end of the server the host is told, and gets a moment to end the session itself.
 * False: over, or nothing to do but wait. */
static bool
close_down(struct hvs_relay *relay)
{
    if (relay->host_gone)
        return relay->server_deaf ? end_closing(relay) : false;
    if (!relay->server_ended)
        return false;
    drop_half_pdu(relay);
    if (!is_all_written(relay))
        return false;
    if (!relay->host_told) {
        relay->host_told = true;
        relay->last_progress = hvs_clock_now();
        return write_channel(relay, relay->to_host[0].bytes, 0);
    }
    return relay->server_deaf ? end_closing(relay) : false;
}

/* ---- waiting ---- */

static bool
is_stopped(struct hvs_relay *relay)
{
    if (WaitForSingleObject(relay->stop, 0) != WAIT_OBJECT_0)
        return false;
    end(relay, (enum hvs_end_reason)relay->stop_reason, NULL);
    return true;
}

/* False: over. */
static bool
take_server_events(struct hvs_relay *relay)
{
    WSANETWORKEVENTS events;

    if (WSAEnumNetworkEvents(relay->server, relay->server_event, &events) != 0)
        return end_error(relay, HVS_END_SERVER_ERROR, "waiting for the server",
                         (DWORD)WSAGetLastError());
    if (events.lNetworkEvents & (FD_READ | FD_CLOSE))
        relay->server_readable = true;
    if (events.lNetworkEvents & (FD_WRITE | FD_CLOSE))
        relay->server_writable = true;
    return true;
}

/* Sleeps until something happens, at most timeout milliseconds. False: over. */
static bool
sleep_until_event(struct hvs_relay *relay, DWORD timeout)
{
    HANDLE handles[4];
    DWORD count = 0, signalled;

    handles[count++] = relay->stop;
    if (relay->server != INVALID_SOCKET)
        handles[count++] = relay->server_event;
    if (relay->read.pending)
        handles[count++] = relay->read.overlapped.hEvent;
    if (relay->write.pending)
        handles[count++] = relay->write.overlapped.hEvent;
    publish(relay);
    signalled = WaitForMultipleObjects(count, handles, FALSE, timeout);
    relay->session.counters.wakeups++;
    if (signalled == WAIT_FAILED)
        return end_error(relay, HVS_END_CHANNEL_ERROR, "waiting", GetLastError());
    if (signalled == WAIT_OBJECT_0 && is_stopped(relay))
        return false;
    /* The first one that is signalled: behind the server's is what is of the channel only. */
    if (relay->server == INVALID_SOCKET || signalled != WAIT_OBJECT_0 + 1)
        return true;
    return take_server_events(relay);
}

/* Milliseconds until something is due. */
static DWORD
time_until_due(const struct hvs_relay *relay)
{
    uint64_t now = hvs_clock_now(), due = relay->last_progress + CLOSING_IDLE_TIMEOUT;

    if (!relay->host_told && !relay->host_gone)
        return INFINITE;
    return due > now ? (DWORD)(due - now) : 0;
}

/* Nothing could be moved. */
static void
wait_for_events(struct hvs_relay *relay)
{
    DWORD timeout = time_until_due(relay);

    if (timeout == 0)
        end_closing(relay);
    else
        sleep_until_event(relay, timeout);
}

/* ---- the life of a session ---- */

/* Until the whole Connection Request is there. */
static bool
read_request(struct hvs_relay *relay)
{
    while (!is_over(relay)) {
        enum hvs_negotiation_result fed = HVS_NEGOTIATION_MORE;
        uint64_t now = hvs_clock_now();
        DWORD timeout = INFINITE;

        if (!read_on(relay))
            return false;
        take_read(relay);
        if (is_over(relay))
            return false;
        if (relay->full > 0) {
            fed = feed_from_host(relay);
            if (relay->request_deadline == 0)
                relay->request_deadline = now + HVS_SESSION_REQUEST_TIMEOUT;
        } else if (relay->host_gone) {
            return end(relay, HVS_END_HOST_RESCINDED, NULL);
        } else if (relay->host_ended) {
            return end(relay, HVS_END_HOST_CLOSED, "before a complete connection request");
        }
        if (fed == HVS_NEGOTIATION_FAILED)
            return end_negotiation(relay);
        if (fed != HVS_NEGOTIATION_MORE)
            return true;
        if (relay->request_deadline != 0) {
            if (now >= relay->request_deadline)
                return end(relay, HVS_END_REQUEST_TIMEOUT, NULL);
            timeout = (DWORD)(relay->request_deadline - now);
        }
        if (!read_on(relay) || (relay->read.pending && !sleep_until_event(relay, timeout)))
            return false;
    }
    return false;
}

static bool
on_stop_while_connecting(void *user_data)
{
    return !is_stopped(user_data);
}

/* What the host sends is kept, as far as there is room, and relayed later. */
static bool
on_channel_while_connecting(void *user_data)
{
    struct hvs_relay *relay = user_data;

    take_read(relay);
    if (is_over(relay) || !read_on(relay))
        return false;
    if (!relay->read.pending)
        ResetEvent(relay->read.overlapped.hEvent);
    return !relay->host_gone || end(relay, HVS_END_HOST_RESCINDED, NULL);
}

static bool
connect_to_server(struct hvs_relay *relay)
{
    const struct hvs_server_watch watches[] = {
        { relay->stop, on_stop_while_connecting },
        { relay->read.overlapped.hEvent, on_channel_while_connecting },
    };
    char failures[sizeof relay->session.detail];
    struct hvs_text text;
    unsigned which;
    DWORD error;

    hvs_session_advance(&relay->session, HVS_SESSION_CONNECTING);
    publish(relay);
    if (!read_on(relay))
        return false;
    /* Then no event follows, and nobody waits for the server. */
    if (relay->host_gone)
        return end(relay, HVS_END_HOST_RESCINDED, NULL);
    hvs_text_init(&text, failures, sizeof failures);
    error = hvs_server_connect(relay->settings.servers, relay->settings.server_count,
                               relay->settings.server_timeout, watches, ARRAYSIZE(watches), relay,
                               relay->server_event, &relay->server, &which, &text);
    if (is_over(relay))
        return false;
    if (error == ERROR_TIMEOUT)
        return end(relay, HVS_END_SERVER_UNREACHABLE, failures);
    if (error != ERROR_SUCCESS)
        return end_error(relay, HVS_END_SERVER_UNREACHABLE, "connecting", error);
    hvs_text_init(&text, relay->session.server, sizeof relay->session.server);
    hvs_server_address_print(&relay->settings.servers[which], &text);
    hvs_log_session(HVS_LOG_INFO, relay->session.id, relay->session.channel, "connected to %s",
                    relay->session.server);
    return true;
}

static void
note_stage(struct hvs_relay *relay)
{
    const struct hvs_negotiation_facts *facts = &relay->negotiation.facts;
    char requested[64], selected[64];

    if (relay->session.state != HVS_SESSION_NEGOTIATING ||
        !hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT) ||
        !hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER))
        return;
    hvs_session_advance(&relay->session, HVS_SESSION_ACTIVE);
    hvs_log_session(
        HVS_LOG_INFO, relay->session.id, relay->session.channel,
        "active: client asked for %s, server chose %s, %s",
        hvs_protocols_to_string(facts->requested_protocols, requested, sizeof requested),
        hvs_protocols_to_string(facts->selected_protocol, selected, sizeof selected),
        relay->negotiation.reply == HVS_REPLY_MIRROR ? "reply mirrored" : "reply passed through");
}

/* One round over everything. True: something moved, the next round may move more. */
static bool
move_once(struct hvs_relay *relay)
{
    bool (*const steps[])(struct hvs_relay *) = {
        take_read, take_write, pump_to_server, receive, pump_to_host, close_down,
    };
    bool moved = false;

    for (unsigned i = 0; i < ARRAYSIZE(steps) && !is_over(relay); i++)
        moved |= steps[i](relay);
    if (!is_over(relay))
        read_on(relay);
    return moved;
}

/* Both directions until the session is over. */
static void
move_bytes(struct hvs_relay *relay)
{
    unsigned busy = 0;

    relay->server_readable = relay->server_writable = true;
    hvs_session_advance(&relay->session, HVS_SESSION_NEGOTIATING);
    while (!is_over(relay)) {
        if (!move_once(relay)) {
            busy = 0;
            if (!is_over(relay))
                wait_for_events(relay);
            continue;
        }
        /* What one direction did may be what the other has waited for. */
        relay->held[HVS_FROM_CLIENT] = relay->held[HVS_FROM_SERVER] = false;
        note_stage(relay);
        if (relay->host_told || relay->host_gone)
            relay->last_progress = hvs_clock_now();
        if (++busy % BUSY_ROUNDS == 0 && !is_over(relay)) {
            publish(relay);
            if (!is_stopped(relay))
                take_server_events(relay);
        }
    }
}

static void
close_channel(struct hvs_relay *relay)
{
    struct hvs_pipe_operation *const operations[] = { &relay->read, &relay->write };

    if (!hvs_pipe_cancel(relay->pipe, operations, ARRAYSIZE(operations)))
        hvs_log_session(HVS_LOG_ERROR, relay->session.id, relay->session.channel,
                        "the VMBus driver does not give back what was cancelled; its memory stays "
                        "taken until the service is restarted");
    CloseHandle(relay->pipe);
    relay->pipe = NULL;
}

static unsigned __stdcall
run(void *argument)
{
    struct hvs_relay *relay = argument;

    if (read_request(relay) && connect_to_server(relay))
        move_bytes(relay);
    if (relay->server != INVALID_SOCKET)
        closesocket(relay->server);
    relay->server = INVALID_SOCKET;
    close_channel(relay);
    publish(relay);
    InterlockedExchange(&relay->has_ended, TRUE);
    SetEvent(relay->changed);
    return 0;
}

/* ---- other threads ---- */

static void
free_relay(struct hvs_relay *relay)
{
    if (relay->pipe != NULL)
        CloseHandle(relay->pipe);
    if (relay->stop != NULL)
        CloseHandle(relay->stop);
    if (relay->server_event != NULL)
        CloseHandle(relay->server_event);
    if (relay->thread != NULL)
        CloseHandle(relay->thread);
    DeleteCriticalSection(&relay->lock);
    /* The driver writes into what it has not given back. */
    if (relay->read.pending || relay->write.pending)
        return;
    hvs_pipe_operation_close(&relay->read);
    hvs_pipe_operation_close(&relay->write);
    free(relay);
}

static enum hvs_reply_mode
reply_mode(const struct hvs_settings *settings)
{
    /* Terminal Services speak standard RDP encryption, which a mirrored client does not expect:
     * hence what auto means here. */
    return settings->negotiation_reply == HVS_REPLY_SETTING_MIRROR ? HVS_REPLY_MIRROR
                                                                   : HVS_REPLY_PASSTHROUGH;
}

static DWORD
start_thread(struct hvs_relay *relay)
{
    DWORD error;

    relay->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    relay->server_event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (relay->stop == NULL || relay->server_event == NULL)
        return GetLastError();
    error = hvs_pipe_operation_init(&relay->read);
    if (error == ERROR_SUCCESS)
        error = hvs_pipe_operation_init(&relay->write);
    if (error != ERROR_SUCCESS)
        return error;
    relay->thread = (HANDLE)_beginthreadex(NULL, 0, run, relay, 0, NULL);
    return relay->thread != NULL ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

DWORD
hvs_relay_start(uint32_t id, unsigned channel, HANDLE pipe, const struct hvs_settings *settings,
                HANDLE changed, struct hvs_relay **relay)
{
    struct hvs_relay *made = calloc(1, sizeof *made);
    DWORD error;

    *relay = NULL;
    if (made == NULL) {
        CloseHandle(pipe);
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    InitializeCriticalSection(&made->lock);
    made->pipe = pipe;
    made->settings = *settings;
    made->changed = changed;
    made->server = INVALID_SOCKET;
    hvs_session_init(&made->session, id, channel, hvs_clock_now());
    hvs_negotiation_init(&made->negotiation, reply_mode(settings), HVS_PROTOCOL_RDP);
    publish(made);
    error = start_thread(made);
    if (error != ERROR_SUCCESS) {
        free_relay(made);
        return error;
    }
    *relay = made;
    return ERROR_SUCCESS;
}

void
hvs_relay_stop(struct hvs_relay *relay, enum hvs_end_reason reason)
{
    InterlockedCompareExchange(&relay->stop_reason, (LONG)reason, HVS_END_NONE);
    SetEvent(relay->stop);
}

bool
hvs_relay_has_ended(const struct hvs_relay *relay)
{
    return relay->has_ended != FALSE;
}

void
hvs_relay_snapshot(struct hvs_relay *relay, struct hvs_session *session)
{
    EnterCriticalSection(&relay->lock);
    *session = relay->published;
    LeaveCriticalSection(&relay->lock);
}

void
hvs_relay_free(struct hvs_relay *relay)
{
    if (relay == NULL)
        return;
    hvs_relay_stop(relay, HVS_END_STOPPED);
    WaitForSingleObject(relay->thread, INFINITE);
    free_relay(relay);
}
