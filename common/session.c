#include "session.h"

#include "text.h"

#include <string.h>

static const char *const state_names[] = {
    [HVS_SESSION_WAITING] = "waiting",         [HVS_SESSION_CONNECTING] = "connecting",
    [HVS_SESSION_NEGOTIATING] = "negotiating", [HVS_SESSION_ACTIVE] = "active",
    [HVS_SESSION_CLOSING] = "closing",         [HVS_SESSION_ENDED] = "ended",
};

static const struct {
    const char *name;
    const char *sentence;
} reasons[HVS_END_REASONS] = {
    [HVS_END_NONE] = { "none", "it has not ended" },
    [HVS_END_HOST_CLOSED] = { "host-closed", "the host closed the connection" },
    [HVS_END_HOST_RESCINDED] = { "host-rescinded", "the user closed the window" },
    [HVS_END_SERVER_CLOSED] = { "server-closed",
                                "the RDP server closed the connection, as after a log-off" },
    [HVS_END_STOPPED] = { "stopped", "hvsession was stopped" },
    [HVS_END_DISCONNECTED] = { "disconnected", "an administrator ended the session" },
    [HVS_END_CONTROL_LOST] = { "control-lost", "the host took Enhanced Session back" },
    [HVS_END_HOST_SILENT] = { "host-silent", "the host connected and sent nothing for 60 s" },
    [HVS_END_CHANNEL_ERROR] = { "channel-error", "using the channel failed" },
    [HVS_END_RING_CORRUPT] = { "ring-corrupt",
                               "the ring buffer holds an index or length that cannot be right" },
    [HVS_END_PIPE_PROTOCOL] = { "pipe-protocol",
                                "the host sent a packet that a pipe does not carry" },
    [HVS_END_REQUEST_TIMEOUT] = { "request-timeout",
                                  "the client's Connection Request stayed incomplete for 10 s" },
    [HVS_END_REQUEST_MALFORMED] = { "request-malformed", "the client sent a malformed PDU" },
    [HVS_END_REPLY_MALFORMED] = { "reply-malformed", "the RDP server sent a malformed PDU" },
    [HVS_END_SERVER_UNREACHABLE] = { "server-unreachable",
                                     "no RDP server took the connection in time; check that it "
                                     "runs and that Server names it" },
    [HVS_END_SERVER_SILENT] = { "server-silent",
                                "the RDP server took the connection but does not answer; restart "
                                "it" },
    [HVS_END_SERVER_REFUSED] = { "server-refused", "the RDP server refused the connection" },
    [HVS_END_SERVER_ENCRYPTS] = { "server-encrypts",
                                  "the RDP server insists on RDP encryption; set "
                                  "crypt_level=none in xrdp, or NegotiationReply=passthrough" },
    [HVS_END_SERVER_UNTRUSTED] = { "server-untrusted",
                                   "the RDP server's certificate is not trusted; have this system "
                                   "trust its issuer, with update-ca-certificates or "
                                   "update-ca-trust" },
    [HVS_END_SERVER_TLS] = { "server-tls", "TLS with the RDP server failed" },
    [HVS_END_SERVER_ERROR] = { "server-error", "the connection to the RDP server broke" },
    [HVS_END_NO_RESOURCES] = { "no-resources",
                               "the system is out of memory, threads or descriptors" },
};

void
hvs_session_init(struct hvs_session *session, uint32_t id, unsigned channel, uint64_t now)
{
    memset(session, 0, sizeof *session);
    session->id = id;
    session->transport = channel != 0 ? HVS_TRANSPORT_VMBUS : HVS_TRANSPORT_HVSOCKET;
    session->channel = channel;
    session->state = HVS_SESSION_WAITING;
    session->reason = HVS_END_NONE;
    session->started = now;
}

void
hvs_session_counters_add(struct hvs_session_counters *sum,
                         const struct hvs_session_counters *counters)
{
    sum->bytes_to_server += counters->bytes_to_server;
    sum->bytes_to_host += counters->bytes_to_host;
    sum->packets_from_host += counters->packets_from_host;
    sum->packets_to_host += counters->packets_to_host;
    sum->signals_sent += counters->signals_sent;
    sum->wakeups += counters->wakeups;
    sum->ring_full += counters->ring_full;
    sum->socket_full += counters->socket_full;
}

bool
hvs_session_advance(struct hvs_session *session, enum hvs_session_state state)
{
    /* ENDED comes with a reason: hvs_session_end(). */
    if (session->state == HVS_SESSION_ENDED || state == HVS_SESSION_ENDED || state < session->state)
        return false;
    session->state = state;
    return true;
}

/* Ends that say only who closed the connection. */
static bool
is_closing(enum hvs_end_reason reason)
{
    return reason == HVS_END_HOST_CLOSED || reason == HVS_END_HOST_RESCINDED ||
           reason == HVS_END_SERVER_CLOSED || reason == HVS_END_SERVER_ERROR;
}

void
hvs_session_end(struct hvs_session *session, enum hvs_end_reason reason, const char *detail,
                uint64_t now)
{
    if (session->state == HVS_SESSION_ENDED)
        return;
    if (session->negotiation.failure_code != 0 && is_closing(reason)) {
        reason = HVS_END_SERVER_REFUSED;
        detail = hvs_negotiation_failure_to_string(session->negotiation.failure_code);
    }
    session->state = HVS_SESSION_ENDED;
    session->reason = reason;
    session->ended = now;
    if (detail != NULL) {
        struct hvs_text text;

        hvs_text_init(&text, session->detail, sizeof session->detail);
        hvs_text_add(&text, detail);
    }
}

enum hvs_end_reason
hvs_session_reason_of(const struct hvs_negotiation *negotiation)
{
    if (negotiation->error == HVS_SERVER_ENCRYPTS)
        return HVS_END_SERVER_ENCRYPTS;
    if (negotiation->error != HVS_NEGOTIATION_OK)
        return negotiation->error_direction == HVS_FROM_CLIENT ? HVS_END_REQUEST_MALFORMED
                                                               : HVS_END_REPLY_MALFORMED;
    if (negotiation->facts.failure_code != 0)
        return HVS_END_SERVER_REFUSED;
    return HVS_END_NONE;
}

bool
hvs_end_reason_is_trouble(enum hvs_end_reason reason)
{
    return reason >= HVS_END_CHANNEL_ERROR;
}

const char *
hvs_transport_to_string(enum hvs_transport transport)
{
    return transport == HVS_TRANSPORT_VMBUS ? "vmbus" : "hvsocket";
}

const char *
hvs_session_state_to_string(enum hvs_session_state state)
{
    return (size_t)state < sizeof state_names / sizeof state_names[0] ? state_names[state]
                                                                      : "unknown";
}

const char *
hvs_end_reason_to_string(enum hvs_end_reason reason)
{
    return (size_t)reason < HVS_END_REASONS ? reasons[reason].name : "unknown";
}

const char *
hvs_end_reason_to_sentence(enum hvs_end_reason reason)
{
    return (size_t)reason < HVS_END_REASONS ? reasons[reason].sentence : "the reason is not known";
}
