/* A snapshot of the whole tool, and its two printed forms: a calm screen for people, JSON for
 * machines. The same on both platforms, and ASCII but for text that comes from elsewhere.
 *
 * The JSON document, schema 1. Keys are never renamed or left out; new ones may come. X? is X or
 * null. Times are in milliseconds.
 *
 *     {
 *       "schema": 1,
 *       "version": string,            of hvsession
 *       "state": "not-offered" | "problem" | "starting" | "ready" | "active",
 *       "summary": string,            the state as a sentence
 *       "problem": string?,           what is wrong, as a sentence
 *       "uptime_ms": number,
 *       "control": {
 *         "state": "not-offered" | "offered" | "negotiating" | "waiting" | "ready",
 *         "problem": null | "no-answer" | "refused" | "host-error" | "bad-message" | "open-failed",
 *         "attempts": number,
 *         "next_attempt_ms": number?, from now, while "waiting" or "offered" after a failure
 *         "protocol": string?         "1.0", once the host has accepted it
 *       },
 *       "channels": [                 control first, then data 1 to 5
 *         { "number": 0 … 5, "kind": "control" | "data",
 *           "state": "not-offered" | "offered" | "open" | "failed" }
 *       ],
 *       "hvsocket": "off" | "listening" | "port-taken" | "unavailable",
 *       "sessions_total": number,     since the service started
 *       "totals": COUNTERS,           of all of them
 *       "sessions": [ SESSION ],      those that live
 *       "ended": [ SESSION ]          the last ones, the newest first
 *     }
 *
 *     SESSION = {
 *       "id": number,
 *       "transport": "vmbus" | "hvsocket",
 *       "channel": number?,           of the VMBus
 *       "state": "waiting" | "connecting" | "negotiating" | "active" | "closing" | "ended",
 *       "started_ms_ago": number, "ended_ms_ago": number?, "duration_ms": number,
 *       "server": string?,            "tcp:127.0.0.1:3389", once connected
 *       "reason": string?,            hvs_end_reason_to_string(), once ended
 *       "reason_text": string?,       the same as a sentence
 *       "trouble": bool,              it did not end in the ordinary way
 *       "detail": string?,
 *       "counters": COUNTERS,
 *       "negotiation": {
 *         "requested_protocols": string?,  "SSL|HYBRID|HYBRID_EX"; null: the client did not say
 *         "selected_protocol": string?,    "RDP", once the server has answered
 *         "failure_code": number?,         RDP_NEG_FAILURE of the server
 *         "encryption_method": number, "encryption_level": number,
 *         "error": string?                 why a PDU was refused
 *       },
 *       "client": {                   as it says; null: it has not, or nobody can read it
 *         "name": string?,            of the computer it runs on
 *         "build": number?,
 *         "desktop_width": number?, "desktop_height": number?,  in pixels
 *         "colour_depth": number?,    bits a pixel
 *         "static_channels": [ string ]   "cliprdr", "rdpdr", "rdpsnd", "drdynvc", ...
 *       } | null
 *     }
 *
 *     COUNTERS = { "bytes_to_host", "bytes_to_server", "packets_to_host", "packets_from_host",
 *                  "signals_sent", "wakeups", "ring_full", "socket_full": number }
 */
#ifndef HVS_COMMON_STATUS_H
#define HVS_COMMON_STATUS_H

#include "session.h"
#include "synthrdp.h"
#include "text.h"

enum hvs_channel_state {
    HVS_CHANNEL_NOT_OFFERED,
    HVS_CHANNEL_OFFERED, /* there, not bound to our driver or not opened yet */
    HVS_CHANNEL_OPEN,
    HVS_CHANNEL_FAILED,  /* there, but cannot be opened: see the log */
};

/* The listener of the other transport. */
enum hvs_hvsocket_state {
    HVS_HVSOCKET_OFF,         /* by setting, and on Windows */
    HVS_HVSOCKET_LISTENING,
    HVS_HVSOCKET_PORT_TAKEN,  /* another program serves it */
    HVS_HVSOCKET_UNAVAILABLE, /* no host to come from, or a kernel without it */
};

/* Over HvSocket as many at once as over VMBus. */
#define HVS_HVSOCKET_SESSIONS 5
#define HVS_SESSIONS_MAX      (HVS_DATA_CHANNELS + HVS_HVSOCKET_SESSIONS)

/* Sessions remembered after their end, the newest first. */
#define HVS_STATUS_ENDED_MAX 8

struct hvs_status {
    const char              *version;    /* of hvsession */
    uint64_t                 now;        /* monotonic, milliseconds, as in the sessions */
    uint64_t                 started;    /* of the service */
    struct hvs_control       control;
    enum hvs_channel_state   channels[HVS_CHANNELS];
    uint64_t                 channels_since[HVS_CHANNELS]; /* when they came to be so, as now; 0:
                                                              not known */
    enum hvs_hvsocket_state  hvsocket;
    bool                     hvsocket_used; /* sessions have come that way */
    const char              *problem;    /* what keeps channels from being used; NULL if nothing */
    uint64_t                 sessions_total;
    struct hvs_session_counters totals;  /* of all sessions, the living ones included */
    struct hvs_session       sessions[HVS_SESSIONS_MAX];
    unsigned                 session_count; /* living ones */
    struct hvs_session       ended[HVS_STATUS_ENDED_MAX];
    unsigned                 ended_count;
};

/* The state of the whole in one word and one sentence. */
enum hvs_overall {
    HVS_OVERALL_NOT_OFFERED, /* the host does not offer Enhanced Session to this guest */
    HVS_OVERALL_PROBLEM,
    HVS_OVERALL_STARTING,    /* offered, the version is being exchanged */
    HVS_OVERALL_READY,
    HVS_OVERALL_ACTIVE,      /* ready, with sessions */
};
enum hvs_overall hvs_status_overall(const struct hvs_status *status);
/* What is wrong, the gravest only, as a sentence without a full stop; NULL if nothing is. Belongs
 * to status. */
const char *hvs_status_problem(const struct hvs_status *status);
/* Identifiers as "not-offered", and sentences without a full stop. Never NULL. */
const char *hvs_overall_to_string(enum hvs_overall overall);
const char *hvs_overall_to_sentence(enum hvs_overall overall);
const char *hvs_channel_state_to_string(enum hvs_channel_state state);
const char *hvs_hvsocket_state_to_string(enum hvs_hvsocket_state state);

/* Sizes in bytes that hold either form, if .problem is not longer than 500. */
#define HVS_STATUS_TEXT_MAX 16384
#define HVS_STATUS_JSON_MAX 131072

/* At most 80 columns a line. */
void hvs_status_print_text(const struct hvs_status *status, struct hvs_text *out);
/* One object, two spaces a level, as above. */
void hvs_status_print_json(const struct hvs_status *status, struct hvs_text *out);
/* The sessions alone, living ones first: a table of at most 80 columns a line, and { "schema": 1,
 * "sessions", "ended" } with the same members as above. */
void hvs_status_print_sessions_text(const struct hvs_status *status, struct hvs_text *out);
void hvs_status_print_sessions_json(const struct hvs_status *status, struct hvs_text *out);
/* One line for a service manager, without a line feed: "Ready, 2 sessions". */
void hvs_status_print_line(const struct hvs_status *status, struct hvs_text *out);
/* The session that ended in trouble last; NULL: none that is remembered. Belongs to status. */
const struct hvs_session *hvs_status_last_failure(const struct hvs_status *status);
/* "session 3: why (server-unreachable): detail" of one that has ended. */
void hvs_status_print_failure(const struct hvs_session *session, struct hvs_text *out);
/* The closing log line of an ended session: reason, duration, bytes, packets, signals, times
 * blocked. */
void hvs_status_print_session_end(const struct hvs_session *session, struct hvs_text *out);

#endif
