/* The life of one session: where it stands, what it counted, why it ended.
 *
 * The relay of each platform drives it; status and the logs read it. Not thread-safe: a relay
 * thread owns its session and publishes copies.
 */
#ifndef HVS_COMMON_SESSION_H
#define HVS_COMMON_SESSION_H

#include "x224.h"

/* What carries sessions between host and guest. */
enum hvs_transport {
    HVS_TRANSPORT_VMBUS,    /* a data channel */
    HVS_TRANSPORT_HVSOCKET, /* a socket of the guest that the host connects to; Linux only */
};

enum hvs_session_state {
    HVS_SESSION_WAITING,     /* channel open, the Connection Request has not come yet */
    HVS_SESSION_CONNECTING,  /* request read, connecting to the RDP server */
    HVS_SESSION_NEGOTIATING, /* connected, the first PDUs are on their way */
    HVS_SESSION_ACTIVE,      /* relaying */
    HVS_SESSION_CLOSING,     /* one side has ended, what is left is delivered to the other */
    HVS_SESSION_ENDED,
};

enum hvs_end_reason {
    HVS_END_NONE, /* it has not ended */
    /* ordinary ends */
    HVS_END_HOST_CLOSED,     /* the host ended the stream, and the server followed */
    HVS_END_HOST_RESCINDED,  /* the host took the channel away: the user closed the window */
    HVS_END_SERVER_CLOSED,   /* the server ended the stream: log-off */
    HVS_END_STOPPED,         /* the service was stopped */
    HVS_END_DISCONNECTED,    /* ended on request of an administrator */
    HVS_END_CONTROL_LOST,    /* the control channel was taken away, and all sessions with it */
    HVS_END_HOST_SILENT,     /* over HvSocket not a byte has come in 60 s */
    /* trouble */
    HVS_END_CHANNEL_ERROR,      /* reading, writing or waiting on the channel failed */
    HVS_END_RING_CORRUPT,       /* an index or length in the ring cannot be right */
    HVS_END_PIPE_PROTOCOL,      /* a packet that a pipe does not carry */
    HVS_END_REQUEST_TIMEOUT,    /* the Connection Request stayed incomplete for 10 s */
    HVS_END_REQUEST_MALFORMED,  /* a PDU of the client was refused; the error says which way */
    HVS_END_REPLY_MALFORMED,    /* a PDU of the server was refused */
    HVS_END_SERVER_UNREACHABLE, /* no configured server took the connection in time */
    HVS_END_SERVER_SILENT,      /* the server took the connection and said nothing */
    HVS_END_SERVER_REFUSED,     /* RDP_NEG_FAILURE */
    HVS_END_SERVER_ENCRYPTS,    /* RDP encryption after a mirrored reply */
    HVS_END_SERVER_UNTRUSTED,   /* the certificate of a server elsewhere */
    HVS_END_SERVER_TLS,         /* TLS with the server did not come about */
    HVS_END_SERVER_ERROR,       /* the connection to the server broke */
    HVS_END_NO_RESOURCES,       /* out of memory, threads or descriptors */
};
#define HVS_END_REASONS (HVS_END_NO_RESOURCES + 1)

/* How long a Connection Request may take from its first byte to its last, in milliseconds. */
#define HVS_SESSION_REQUEST_TIMEOUT 10000u
/* How long an HvSocket connection may say nothing at all, likewise: much longer than a busy host
 * takes, which connects to pass on a request that it has. */
#define HVS_SESSION_SILENCE_TIMEOUT 60000u
/* How long the server may take from the connection to the first byte of its answer, likewise. */
#define HVS_SESSION_REPLY_TIMEOUT 15000u

struct hvs_session_counters {
    uint64_t bytes_to_server, bytes_to_host;     /* payload */
    uint64_t packets_from_host, packets_to_host; /* VMBus packets */
    uint64_t signals_sent;                       /* to the host */
    uint64_t wakeups;                            /* times the relay slept and woke */
    uint64_t ring_full;                          /* times the ring to the host was full */
    uint64_t socket_full;                        /* times the server did not take more */
};

/* *sum += *counters, each of them. */
void hvs_session_counters_add(struct hvs_session_counters       *sum,
                              const struct hvs_session_counters *counters);

#define HVS_SESSION_SERVER_MAX 120

struct hvs_session {
    uint32_t                     id;      /* counts up from 1 since the service started */
    enum hvs_transport           transport;
    unsigned                     channel; /* data channel 1 … 5; 0: HvSocket has none */
    enum hvs_session_state       state;
    enum hvs_end_reason          reason;
    uint64_t                     started;  /* monotonic, milliseconds */
    uint64_t                     ended;    /* likewise; 0 while it lives */
    struct hvs_session_counters  counters;
    struct hvs_negotiation_facts negotiation;
    enum hvs_negotiation_error   negotiation_error;
    char                         server[HVS_SESSION_SERVER_MAX]; /* as configured; "" so far */
    char                         detail[200]; /* what the reason does not say; "" mostly */
};

/* channel 0: over HvSocket. */
void hvs_session_init(struct hvs_session *session, uint32_t id, unsigned channel, uint64_t now);
/* Only forward: going back to an earlier state is ignored and gives false. So is ENDED, which needs
 * a reason: hvs_session_end(). */
bool hvs_session_advance(struct hvs_session *session, enum hvs_session_state state);
/* The session is ENDED; the first end stays with all that belongs to it. detail may be NULL, and is
 * cut to fit. Whoever closes the connection after the server has refused it (negotiation has a
 * failure_code): the reason is SERVER_REFUSED then, and the failure the detail. */
void hvs_session_end(struct hvs_session *session, enum hvs_end_reason reason, const char *detail,
                     uint64_t now);
/* The reason that fits a failed negotiation: an error, or else the server's RDP_NEG_FAILURE. NONE
 * if nothing failed. */
enum hvs_end_reason hvs_session_reason_of(const struct hvs_negotiation *negotiation);
/* Ordinary ends are not trouble. */
bool hvs_end_reason_is_trouble(enum hvs_end_reason reason);

/* Stable identifiers, as "server-unreachable", for JSON and journald fields. Never NULL. */
const char *hvs_transport_to_string(enum hvs_transport transport);
const char *hvs_session_state_to_string(enum hvs_session_state state);
const char *hvs_end_reason_to_string(enum hvs_end_reason reason);
/* One plain sentence for people, without a full stop. Never NULL. */
const char *hvs_end_reason_to_sentence(enum hvs_end_reason reason);

#endif
