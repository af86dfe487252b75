#include "status.h"

#include <string.h>

/* The screen has two columns: what it is about, and what there is to say. */
#define WIDTH       80
#define LABEL_WIDTH 11
/* Behind "#14", where a session is told. */
#define SESSION_INDENT (LABEL_WIDTH + 5)
/* Ended sessions on the screen; the JSON form has them all. */
#define ENDED_SHOWN 3

static const struct {
    const char *name;
    const char *words;
} channel_states[] = {
    [HVS_CHANNEL_NOT_OFFERED] = { "not-offered", "not offered" },
    [HVS_CHANNEL_OFFERED] = { "offered", "offered" },
    [HVS_CHANNEL_OPEN] = { "open", "open" },
    [HVS_CHANNEL_FAILED] = { "failed", "failed" },
};

static const struct {
    const char *name;
    const char *words; /* in the row of HvSocket */
} hvsocket_states[] = {
    [HVS_HVSOCKET_OFF] = { "off", "turned off" },
    [HVS_HVSOCKET_LISTENING] = { "listening", "listening" },
    [HVS_HVSOCKET_PORT_TAKEN] = { "port-taken", "port taken by another program, such as xrdp" },
    [HVS_HVSOCKET_UNAVAILABLE] = { "unavailable", "not available" },
};

static const struct {
    const char *name;
    const char *sentence;
} overalls[] = {
    [HVS_OVERALL_NOT_OFFERED] = { "not-offered",
                                  "The host does not offer Enhanced Session to this guest" },
    [HVS_OVERALL_PROBLEM] = { "problem", "Something keeps Enhanced Session from working" },
    [HVS_OVERALL_STARTING] = { "starting", "Agreeing on Enhanced Session with the host" },
    [HVS_OVERALL_READY] = { "ready", "Ready for Enhanced Session, nobody is connected" },
    [HVS_OVERALL_ACTIVE] = { "active", "Enhanced Session is in use" },
};

static const char *const session_states[] = {
    [HVS_SESSION_WAITING] = "waiting for the client",
    [HVS_SESSION_CONNECTING] = "connecting to the RDP server",
    [HVS_SESSION_NEGOTIATING] = "negotiating",
    [HVS_SESSION_ACTIVE] = "active",
    [HVS_SESSION_CLOSING] = "closing",
    [HVS_SESSION_ENDED] = "ended",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

const char *
hvs_channel_state_to_string(enum hvs_channel_state state)
{
    return (size_t)state < COUNT(channel_states) ? channel_states[state].name : "unknown";
}

const char *
hvs_hvsocket_state_to_string(enum hvs_hvsocket_state state)
{
    return (size_t)state < COUNT(hvsocket_states) ? hvsocket_states[state].name : "unknown";
}

const char *
hvs_overall_to_string(enum hvs_overall overall)
{
    return (size_t)overall < COUNT(overalls) ? overalls[overall].name : "unknown";
}

const char *
hvs_overall_to_sentence(enum hvs_overall overall)
{
    return (size_t)overall < COUNT(overalls) ? overalls[overall].sentence
                                             : "The state is not known";
}

const char *
hvs_status_problem(const struct hvs_status *status)
{
    if (status->problem != NULL)
        return status->problem;
    if (status->control.state == HVS_CONTROL_NOT_OFFERED)
        return NULL;
    /* Of the last attempt: it holds while the next one is under way. */
    if (status->control.state != HVS_CONTROL_READY &&
        status->control.problem != HVS_CONTROL_NO_PROBLEM)
        return hvs_control_problem_to_string(status->control.problem);
    for (unsigned channel = 0; channel < HVS_CHANNELS; channel++)
        if (status->channels[channel] == HVS_CHANNEL_FAILED)
            return channel == HVS_CONTROL_CHANNEL
                       ? "the control channel cannot be opened; the log says why"
                       : "a data channel cannot be opened; the log says why";
    return NULL;
}

enum hvs_overall
hvs_status_overall(const struct hvs_status *status)
{
    if (hvs_status_problem(status) != NULL)
        return HVS_OVERALL_PROBLEM;
    /* HvSocket is not offered: that the host uses it shows when it comes. */
    if (!status->hvsocket_used || status->hvsocket != HVS_HVSOCKET_LISTENING) {
        /* A channel that is there but cannot be opened yet is an offer, too. */
        if (status->control.state == HVS_CONTROL_NOT_OFFERED &&
            status->channels[HVS_CONTROL_CHANNEL] == HVS_CHANNEL_NOT_OFFERED)
            return HVS_OVERALL_NOT_OFFERED;
        if (status->control.state != HVS_CONTROL_READY)
            return HVS_OVERALL_STARTING;
    }
    return status->session_count > 0 ? HVS_OVERALL_ACTIVE : HVS_OVERALL_READY;
}

/* Clocks of several threads are read one after the other: never negative. */
static uint64_t
elapsed(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static uint64_t
session_duration(const struct hvs_session *session, uint64_t now)
{
    return elapsed(session->started, session->state == HVS_SESSION_ENDED ? session->ended : now);
}

static void
add_count(struct hvs_text *out, uint64_t count, const char *one, const char *many)
{
    hvs_text_add_u64(out, count);
    hvs_text_add_char(out, ' ');
    hvs_text_add(out, count == 1 ? one : many);
}

static void
add_version(struct hvs_text *out, const struct hvs_control *control)
{
    hvs_text_add_u64(out, control->host_major);
    hvs_text_add_char(out, '.');
    hvs_text_add_u64(out, control->host_minor);
}

/* Text form */

static void
begin_row(struct hvs_text *out, const char *label)
{
    hvs_text_add(out, label);
    hvs_text_pad_to(out, LABEL_WIDTH);
}

/* What a row or a part of it says is put together first, so that its lines can be broken. */
struct phrase {
    char buffer[512];
    struct hvs_text text;
};

static struct hvs_text *
begin_phrase(struct phrase *phrase)
{
    hvs_text_init(&phrase->text, phrase->buffer, sizeof phrase->buffer);
    return &phrase->text;
}

static void
end_phrase(const struct phrase *phrase, struct hvs_text *out, size_t indent)
{
    hvs_text_add_wrapped(out, phrase->buffer, indent, WIDTH);
    hvs_text_add_char(out, '\n');
}

/* What the guest cannot mend: specs of Hyper-V's Set-VMHost and Set-VM. */
static void
print_host_advice(const struct hvs_status *status, struct hvs_text *out)
{
    begin_row(out, "To do");
    hvs_text_add(out, "On the Hyper-V host, in PowerShell as administrator:\n"
                      "             Set-VMHost -EnableEnhancedSessionMode $true\n");
    if (status->hvsocket != HVS_HVSOCKET_LISTENING)
        hvs_text_add(out, "           If this VM was set to use HvSocket, also, with the VM off:\n"
                          "             Set-VM -VMName NAME -EnhancedSessionTransportType VMBus\n");
    hvs_text_add(out, "           Then close the VM's window and connect again.\n");
    if (status->hvsocket == HVS_HVSOCKET_LISTENING)
        hvs_text_add(out, "           If this VM was set to use HvSocket, it may stay so.\n");
}

static void
print_host(const struct hvs_status *status, struct hvs_text *out)
{
    const struct hvs_control *control = &status->control;
    struct phrase phrase;
    struct hvs_text *text = begin_phrase(&phrase);
    bool offered = status->channels[HVS_CONTROL_CHANNEL] != HVS_CHANNEL_NOT_OFFERED;

    /* Then the problem may well be what hides the offer. */
    if (control->state == HVS_CONTROL_NOT_OFFERED && !offered && status->problem != NULL)
        return;
    begin_row(out, "Host");
    switch (control->state) {
    case HVS_CONTROL_NOT_OFFERED:
        hvs_text_add(text, offered                 ? "offers Enhanced Session" :
                           status->hvsocket_used ? "uses HvSocket, and offers no VMBus channels" :
                                                   "does not offer Enhanced Session");
        break;
    case HVS_CONTROL_OFFERED:
    case HVS_CONTROL_WAITING: /* the first line says what went wrong */
        hvs_text_add(text, "offers Enhanced Session");
        break;
    case HVS_CONTROL_NEGOTIATING:
        hvs_text_add(text, "asked for protocol 1.0, no answer yet");
        break;
    case HVS_CONTROL_READY:
        hvs_text_add(text, "supports Enhanced Session, protocol ");
        add_version(text, control);
        break;
    }
    if (control->attempts > 1 && control->state != HVS_CONTROL_READY) {
        hvs_text_add(text, "; ");
        add_count(text, control->attempts, "attempt", "attempts");
    }
    if (control->deadline != 0 && control->problem != HVS_CONTROL_NO_PROBLEM &&
        control->state != HVS_CONTROL_NEGOTIATING) {
        hvs_text_add(text, ", the next one in ");
        hvs_text_add_duration(text, elapsed(status->now, control->deadline));
    }
    end_phrase(&phrase, out, LABEL_WIDTH);
}

/* "control open, data 1 open, data 2 to 5 not offered" */
static void
print_channels(const struct hvs_status *status, struct hvs_text *out)
{
    const enum hvs_channel_state *states = status->channels;
    struct phrase phrase;
    struct hvs_text *text = begin_phrase(&phrase);

    begin_row(out, "Channels");
    hvs_text_add(text, "control ");
    hvs_text_add(text, channel_states[states[HVS_CONTROL_CHANNEL]].words);
    for (unsigned first = 1, last; first < HVS_CHANNELS; first = last + 1) {
        for (last = first; last + 1 < HVS_CHANNELS && states[last + 1] == states[first];)
            last++;
        hvs_text_add(text, ", data ");
        hvs_text_add_u64(text, first);
        if (last > first) {
            hvs_text_add(text, last == first + 1 ? " and " : " to ");
            hvs_text_add_u64(text, last);
        }
        hvs_text_add_char(text, ' ');
        hvs_text_add(text, channel_states[states[first]].words);
    }
    end_phrase(&phrase, out, LABEL_WIDTH);
}

static void
print_hvsocket(const struct hvs_status *status, struct hvs_text *out)
{
    if (status->hvsocket == HVS_HVSOCKET_OFF)
        return;
    begin_row(out, "HvSocket");
    hvs_text_add(out, hvsocket_states[status->hvsocket].words);
    hvs_text_add_char(out, '\n');
}

static void
print_service(const struct hvs_status *status, struct hvs_text *out)
{
    struct phrase phrase;
    struct hvs_text *text = begin_phrase(&phrase);

    begin_row(out, "Service");
    hvs_text_add(text, "hvsession ");
    hvs_text_add(text, status->version);
    hvs_text_add(text, ", started ");
    hvs_text_add_duration(text, elapsed(status->started, status->now));
    hvs_text_add(text, " ago, ");
    if (status->sessions_total == 0)
        hvs_text_add(text, "no sessions");
    else
        add_count(text, status->sessions_total, "session", "sessions");
    hvs_text_add(text, " since then");
    end_phrase(&phrase, out, LABEL_WIDTH);
}

static void
begin_session(const struct hvs_session *session, struct hvs_text *out)
{
    hvs_text_pad_to(out, LABEL_WIDTH);
    hvs_text_add_char(out, '#');
    hvs_text_add_u64(out, session->id);
    hvs_text_add_char(out, ' ');
    hvs_text_pad_to(out, SESSION_INDENT);
}

static void
print_session(const struct hvs_session *session, uint64_t now, struct hvs_text *out)
{
    struct phrase phrase;
    struct hvs_text *text = begin_phrase(&phrase);

    begin_session(session, out);
    hvs_text_add(text, session_states[session->state]);
    hvs_text_add(text, ", started ");
    hvs_text_add_duration(text, session_duration(session, now));
    hvs_text_add(text, " ago");
    if (session->channel != 0) {
        hvs_text_add(text, ", data channel ");
        hvs_text_add_u64(text, session->channel);
    } else {
        hvs_text_add(text, ", over HvSocket");
    }
    end_phrase(&phrase, out, SESSION_INDENT);

    hvs_text_pad_to(out, SESSION_INDENT);
    hvs_text_add_size(out, session->counters.bytes_to_host);
    hvs_text_add(out, " to the host, ");
    hvs_text_add_size(out, session->counters.bytes_to_server);
    hvs_text_add(out, " to the server\n");
    if (session->server[0] != '\0') {
        hvs_text_pad_to(out, SESSION_INDENT);
        hvs_text_add_wrapped(out, session->server, SESSION_INDENT, WIDTH);
        hvs_text_add_char(out, '\n');
    }
}

static void
print_sessions(const struct hvs_status *status, struct hvs_text *out)
{
    begin_row(out, "Sessions");
    if (status->session_count == 0)
        hvs_text_add(out, "none\n");
    for (unsigned i = 0; i < status->session_count; i++)
        print_session(&status->sessions[i], status->now, out);
}

/* "the user closed the window (host-rescinded): detail" */
static void
add_reason(struct hvs_text *text, const struct hvs_session *session)
{
    hvs_text_add(text, hvs_end_reason_to_sentence(session->reason));
    hvs_text_add(text, " (");
    hvs_text_add(text, hvs_end_reason_to_string(session->reason));
    hvs_text_add_char(text, ')');
    if (session->detail[0] != '\0') {
        hvs_text_add(text, ": ");
        hvs_text_add_visible(text, session->detail);
    }
}

static void
print_ended(const struct hvs_status *status, struct hvs_text *out)
{
    if (status->ended_count == 0)
        return;
    begin_row(out, "Ended");
    for (unsigned i = 0; i < status->ended_count && i < ENDED_SHOWN; i++) {
        const struct hvs_session *session = &status->ended[i];
        struct phrase phrase;
        struct hvs_text *text = begin_phrase(&phrase);

        begin_session(session, out);
        hvs_text_add_duration(text, elapsed(session->ended, status->now));
        hvs_text_add(text, " ago, after ");
        hvs_text_add_duration(text, session_duration(session, status->now));
        hvs_text_add(text, hvs_end_reason_is_trouble(session->reason) ? ", in trouble: " : ": ");
        add_reason(text, session);
        end_phrase(&phrase, out, SESSION_INDENT);
    }
}

void
hvs_status_print_text(const struct hvs_status *status, struct hvs_text *out)
{
    enum hvs_overall overall = hvs_status_overall(status);

    if (overall == HVS_OVERALL_PROBLEM) {
        hvs_text_add(out, "Problem: ");
        hvs_text_add_wrapped(out, hvs_status_problem(status), 0, WIDTH);
    } else {
        hvs_text_add(out, hvs_overall_to_sentence(overall));
    }
    hvs_text_add(out, "\n\n");
    if (overall == HVS_OVERALL_NOT_OFFERED)
        print_host_advice(status, out);
    print_host(status, out);
    print_channels(status, out);
    print_hvsocket(status, out);
    print_service(status, out);
    print_sessions(status, out);
    print_ended(status, out);
}

/* The table of sessions: "#14  active    5 min 2 s  3.4 MiB     88 KiB      DESK-1" */
#define SESSION_STATE     8
#define SESSION_TIME      22
#define SESSION_TO_HOST   36
#define SESSION_TO_SERVER 48
#define SESSION_CLIENT    60

/* Cut where the next column begins, so that a blank stays between them. */
static void
add_cell(struct hvs_text *out, size_t column, const char *words, size_t next)
{
    char buffer[80];
    struct hvs_text cell;

    hvs_text_pad_to(out, column);
    hvs_text_init(&cell, buffer, next - column < sizeof buffer ? next - column : sizeof buffer);
    hvs_text_add_visible(&cell, words);
    hvs_text_add(out, buffer);
}

static void
print_session_row(const struct hvs_session *session, uint64_t now, struct hvs_text *out)
{
    const struct hvs_client_facts *client = &session->negotiation.client;

    hvs_text_add_char(out, '#');
    hvs_text_add_u64(out, session->id);
    hvs_text_add_char(out, ' ');
    add_cell(out, SESSION_STATE, hvs_session_state_to_string(session->state), SESSION_TIME);
    hvs_text_pad_to(out, SESSION_TIME);
    hvs_text_add_duration(out, session_duration(session, now));
    hvs_text_pad_to(out, SESSION_TO_HOST);
    hvs_text_add_size(out, session->counters.bytes_to_host);
    hvs_text_pad_to(out, SESSION_TO_SERVER);
    hvs_text_add_size(out, session->counters.bytes_to_server);
    add_cell(out, SESSION_CLIENT, client->name[0] != '\0' ? client->name : "-", WIDTH);
    hvs_text_add_char(out, '\n');
    if (session->state == HVS_SESSION_ENDED) {
        struct phrase phrase;

        add_reason(begin_phrase(&phrase), session);
        hvs_text_pad_to(out, SESSION_STATE);
        end_phrase(&phrase, out, SESSION_STATE);
    }
}

void
hvs_status_print_sessions_text(const struct hvs_status *status, struct hvs_text *out)
{
    if (status->session_count == 0 && status->ended_count == 0) {
        hvs_text_add(out, "No sessions.\n");
        return;
    }
    hvs_text_add(out, "ID");
    add_cell(out, SESSION_STATE, "STATE", SESSION_TIME);
    add_cell(out, SESSION_TIME, "FOR", SESSION_TO_HOST);
    add_cell(out, SESSION_TO_HOST, "TO HOST", SESSION_TO_SERVER);
    add_cell(out, SESSION_TO_SERVER, "TO SERVER", SESSION_CLIENT);
    add_cell(out, SESSION_CLIENT, "CLIENT", WIDTH);
    hvs_text_add_char(out, '\n');
    for (unsigned i = 0; i < status->session_count; i++)
        print_session_row(&status->sessions[i], status->now, out);
    for (unsigned i = 0; i < status->ended_count; i++)
        print_session_row(&status->ended[i], status->now, out);
}

void
hvs_status_print_line(const struct hvs_status *status, struct hvs_text *out)
{
    enum hvs_overall overall = hvs_status_overall(status);

    switch (overall) {
    case HVS_OVERALL_NOT_OFFERED:
    case HVS_OVERALL_STARTING:
        hvs_text_add(out, hvs_overall_to_sentence(overall));
        break;
    case HVS_OVERALL_PROBLEM:
        hvs_text_add(out, "Problem: ");
        hvs_text_add_visible(out, hvs_status_problem(status));
        break;
    case HVS_OVERALL_READY:
    case HVS_OVERALL_ACTIVE:
        hvs_text_add(out, "Ready");
        break;
    }
    if (status->session_count > 0) {
        hvs_text_add(out, ", ");
        add_count(out, status->session_count, "session", "sessions");
    } else if (overall == HVS_OVERALL_READY) {
        hvs_text_add(out, ", no session");
    }
}

void
hvs_status_print_session_end(const struct hvs_session *session, struct hvs_text *out)
{
    const struct hvs_session_counters *counters = &session->counters;
    bool packets = session->transport == HVS_TRANSPORT_VMBUS;

    hvs_text_add(out, "ended after ");
    hvs_text_add_duration(out, session_duration(session, session->ended));
    hvs_text_add(out, ": ");
    add_reason(out, session);
    hvs_text_add(out, "; to the host ");
    hvs_text_add_size(out, counters->bytes_to_host);
    if (packets) {
        hvs_text_add(out, " in ");
        add_count(out, counters->packets_to_host, "packet", "packets");
    }
    hvs_text_add(out, ", to the server ");
    hvs_text_add_size(out, counters->bytes_to_server);
    if (packets) {
        hvs_text_add(out, " in ");
        add_count(out, counters->packets_from_host, "packet", "packets");
    }
    hvs_text_add(out, "; ");
    if (packets) {
        add_count(out, counters->signals_sent, "signal", "signals");
        hvs_text_add(out, ", ");
    }
    add_count(out, counters->wakeups, "wake-up", "wake-ups");
    hvs_text_add(out, ", blocked by the host ");
    add_count(out, counters->ring_full, "time", "times");
    hvs_text_add(out, ", by the server ");
    add_count(out, counters->socket_full, "time", "times");
}

/* JSON form */

struct json {
    struct hvs_text *out;
    unsigned depth;
    bool empty; /* nothing yet in the innermost object or array */
};

/* The comma, line feed and spaces before a value, and its key, if it has one. */
static void
json_key(struct json *json, const char *key)
{
    if (!json->empty)
        hvs_text_add_char(json->out, ',');
    json->empty = false;
    if (json->depth > 0)
        hvs_text_add_char(json->out, '\n');
    for (unsigned i = 0; i < json->depth; i++)
        hvs_text_add(json->out, "  ");
    if (key != NULL) {
        hvs_text_add_json_string(json->out, key);
        hvs_text_add(json->out, ": ");
    }
}

static void
json_open(struct json *json, const char *key, char bracket)
{
    json_key(json, key);
    hvs_text_add_char(json->out, bracket);
    json->depth++;
    json->empty = true;
}

static void
json_close(struct json *json, char bracket)
{
    json->depth--;
    if (!json->empty) {
        hvs_text_add_char(json->out, '\n');
        for (unsigned i = 0; i < json->depth; i++)
            hvs_text_add(json->out, "  ");
    }
    hvs_text_add_char(json->out, bracket);
    json->empty = false;
}

static void
json_string(struct json *json, const char *key, const char *value)
{
    json_key(json, key);
    hvs_text_add_json_string(json->out, value);
}

static void
json_number(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    hvs_text_add_u64(json->out, value);
}

static void
json_number_or_null(struct json *json, const char *key, bool known, uint64_t value)
{
    if (known)
        json_number(json, key, value);
    else
        json_string(json, key, NULL);
}

static void
json_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    hvs_text_add(json->out, value ? "true" : "false");
}

static void
json_protocols(struct json *json, const char *key, bool known, uint32_t protocols)
{
    char buffer[128];

    json_string(json, key,
                known ? hvs_protocols_to_string(protocols, buffer, sizeof buffer) : NULL);
}

static void
json_control(struct json *json, const struct hvs_status *status)
{
    const struct hvs_control *control = &status->control;
    bool has_next = control->deadline != 0 && (control->state == HVS_CONTROL_WAITING ||
                                               control->state == HVS_CONTROL_OFFERED);
    char buffer[16];
    struct hvs_text version;

    hvs_text_init(&version, buffer, sizeof buffer);
    add_version(&version, control);
    json_open(json, "control", '{');
    json_string(json, "state", hvs_control_state_to_string(control->state));
    json_string(json, "problem", hvs_control_problem_to_word(control->problem));
    json_number(json, "attempts", control->attempts);
    json_number_or_null(json, "next_attempt_ms", has_next, elapsed(status->now, control->deadline));
    json_string(json, "protocol", control->state == HVS_CONTROL_READY ? buffer : NULL);
    json_close(json, '}');
}

static void
json_channels(struct json *json, const struct hvs_status *status)
{
    json_open(json, "channels", '[');
    for (unsigned channel = 0; channel < HVS_CHANNELS; channel++) {
        json_open(json, NULL, '{');
        json_number(json, "number", channel);
        json_string(json, "kind", channel == HVS_CONTROL_CHANNEL ? "control" : "data");
        json_string(json, "state", hvs_channel_state_to_string(status->channels[channel]));
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
json_counters(struct json *json, const char *key, const struct hvs_session_counters *counters)
{
    json_open(json, key, '{');
    json_number(json, "bytes_to_host", counters->bytes_to_host);
    json_number(json, "bytes_to_server", counters->bytes_to_server);
    json_number(json, "packets_to_host", counters->packets_to_host);
    json_number(json, "packets_from_host", counters->packets_from_host);
    json_number(json, "signals_sent", counters->signals_sent);
    json_number(json, "wakeups", counters->wakeups);
    json_number(json, "ring_full", counters->ring_full);
    json_number(json, "socket_full", counters->socket_full);
    json_close(json, '}');
}

static void
json_negotiation(struct json *json, const struct hvs_session *session)
{
    const struct hvs_negotiation_facts *facts = &session->negotiation;
    /* A refusal selects nothing. */
    bool selected = facts->confirm_seen && facts->failure_code == 0;

    json_open(json, "negotiation", '{');
    json_protocols(json, "requested_protocols", facts->request_seen && facts->request_has_protocols,
                   facts->requested_protocols);
    json_protocols(json, "selected_protocol", selected, facts->selected_protocol);
    json_number_or_null(json, "failure_code", facts->failure_code != 0, facts->failure_code);
    json_number(json, "encryption_method", facts->encryption_method);
    json_number(json, "encryption_level", facts->encryption_level);
    json_string(json, "error",
                session->negotiation_error != HVS_NEGOTIATION_OK
                    ? hvs_negotiation_error_to_string(session->negotiation_error)
                    : NULL);
    json_close(json, '}');
}

static const char *
null_if_empty(const char *string)
{
    return string[0] != '\0' ? string : NULL;
}

static void
json_client(struct json *json, const struct hvs_client_facts *client)
{
    if (!client->core_seen && !client->channels_seen) {
        json_string(json, "client", NULL);
        return;
    }
    json_open(json, "client", '{');
    json_string(json, "name", null_if_empty(client->name));
    json_number_or_null(json, "build", client->build != 0, client->build);
    json_number_or_null(json, "desktop_width", client->desktop_width != 0, client->desktop_width);
    json_number_or_null(json, "desktop_height", client->desktop_height != 0,
                        client->desktop_height);
    json_number_or_null(json, "colour_depth", client->colour_depth != 0, client->colour_depth);
    json_open(json, "static_channels", '[');
    for (unsigned i = 0; i < client->channel_count; i++)
        json_string(json, NULL, client->channels[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static void
json_session(struct json *json, const struct hvs_session *session, uint64_t now)
{
    bool ended = session->state == HVS_SESSION_ENDED;

    json_open(json, NULL, '{');
    json_number(json, "id", session->id);
    json_string(json, "transport", hvs_transport_to_string(session->transport));
    json_number_or_null(json, "channel", session->channel != 0, session->channel);
    json_string(json, "state", hvs_session_state_to_string(session->state));
    json_number(json, "started_ms_ago", elapsed(session->started, now));
    json_number_or_null(json, "ended_ms_ago", ended, elapsed(session->ended, now));
    json_number(json, "duration_ms", session_duration(session, now));
    json_string(json, "server", null_if_empty(session->server));
    json_string(json, "reason", ended ? hvs_end_reason_to_string(session->reason) : NULL);
    json_string(json, "reason_text", ended ? hvs_end_reason_to_sentence(session->reason) : NULL);
    json_bool(json, "trouble", ended && hvs_end_reason_is_trouble(session->reason));
    json_string(json, "detail", null_if_empty(session->detail));
    json_counters(json, "counters", &session->counters);
    json_negotiation(json, session);
    json_client(json, &session->negotiation.client);
    json_close(json, '}');
}

static void
json_sessions(struct json *json, const char *key, const struct hvs_session *sessions,
              unsigned count, uint64_t now)
{
    json_open(json, key, '[');
    for (unsigned i = 0; i < count; i++)
        json_session(json, &sessions[i], now);
    json_close(json, ']');
}

void
hvs_status_print_json(const struct hvs_status *status, struct hvs_text *out)
{
    enum hvs_overall overall = hvs_status_overall(status);
    struct json json = { .out = out, .depth = 0, .empty = true };

    json_open(&json, NULL, '{');
    json_number(&json, "schema", 1);
    json_string(&json, "version", status->version);
    json_string(&json, "state", hvs_overall_to_string(overall));
    json_string(&json, "summary", hvs_overall_to_sentence(overall));
    json_string(&json, "problem", hvs_status_problem(status));
    json_number(&json, "uptime_ms", elapsed(status->started, status->now));
    json_control(&json, status);
    json_channels(&json, status);
    json_string(&json, "hvsocket", hvs_hvsocket_state_to_string(status->hvsocket));
    json_number(&json, "sessions_total", status->sessions_total);
    json_counters(&json, "totals", &status->totals);
    json_sessions(&json, "sessions", status->sessions, status->session_count, status->now);
    json_sessions(&json, "ended", status->ended, status->ended_count, status->now);
    json_close(&json, '}');
    hvs_text_add_char(out, '\n');
}

void
hvs_status_print_sessions_json(const struct hvs_status *status, struct hvs_text *out)
{
    struct json json = { .out = out, .depth = 0, .empty = true };

    json_open(&json, NULL, '{');
    json_number(&json, "schema", 1);
    json_sessions(&json, "sessions", status->sessions, status->session_count, status->now);
    json_sessions(&json, "ended", status->ended, status->ended_count, status->now);
    json_close(&json, '}');
    hvs_text_add_char(out, '\n');
}

const struct hvs_session *
hvs_status_last_failure(const struct hvs_status *status)
{
    for (unsigned i = 0; i < status->ended_count; i++)
        if (hvs_end_reason_is_trouble(status->ended[i].reason))
            return &status->ended[i];
    return NULL;
}

void
hvs_status_print_failure(const struct hvs_session *session, struct hvs_text *out)
{
    hvs_text_add(out, "session ");
    hvs_text_add_u64(out, session->id);
    hvs_text_add(out, ": ");
    hvs_text_add(out, hvs_end_reason_to_sentence(session->reason));
    hvs_text_add(out, " (");
    hvs_text_add(out, hvs_end_reason_to_string(session->reason));
    hvs_text_add_char(out, ')');
    if (session->detail[0] != '\0') {
        hvs_text_add(out, ": ");
        hvs_text_add_visible(out, session->detail);
    }
}
