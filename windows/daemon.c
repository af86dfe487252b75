#include "daemon.h"

#include "checkup.h"
#include "clock.h"
#include "control.h"
#include "log.h"
#include "offers.h"
#include "probe.h"
#include "publish.h"
#include "registry.h"
#include "relay.h"
#include "status-pipe.h"
#include "vmbuspipe.h"
#include "watch-pipe.h"
#include "wide.h"

#include "common/status.h"

#include <stdlib.h>
#include <string.h>

/* An offer that may outlive its session is looked at again after that pause: mostly the host takes
 * it back at once. A failed open is tried again after pauses that double. In milliseconds. */
#define REOPEN_PAUSE     1000u
#define REOPEN_PAUSE_MAX 60000u
/* Of Windows' sessions, what is not logged yet; more is not kept. */
#define NOTES_MAX 32u
/* hvs_clock_now() has to be called that often, in milliseconds. */
#define DAY 86400000u

/* One data channel. */
struct slot {
    bool              offered; /* and not open */
    bool              failed;  /* the last open failed */
    uint64_t          pause;   /* before the next attempt to open it, milliseconds */
    uint64_t          due;     /* when to open it or to watch for it; 0: nothing to do */
    struct hvs_relay *relay;
};

/* What has happened to a session of Windows. */
struct note {
    DWORD       session;
    const char *what;
};

/* Events of the daemon itself, in the order in which they are waited for. */
enum { EVENT_STOP, EVENT_RENEGOTIATE, EVENT_SESSION_CHANGED, EVENT_LOOKED, EVENT_NOTED, EVENTS };

struct hvs_daemon {
    struct hvs_settings         settings;
    char                        log_level[16]; /* overrides the settings; "" does not */
    HANDLE                      events[EVENTS]; /* auto-reset, but for EVENT_STOP */
    bool                        sockets;        /* WSAStartup() is to be undone */
    struct hvs_registry_watch   registry;
    struct hvs_offers          *offers;
    struct hvs_control_channel *control;
    enum hvs_control_state      control_was;
    struct hvs_status_pipe     *status_pipe;
    struct hvs_watch_pipe      *watch_pipe;     /* NULL: it could not be made */
    uint64_t                    watched_digest; /* of the status that watchers have */
    struct slot                 slots[HVS_CHANNELS]; /* [0] is not used */
    uint32_t                    last_session;
    struct hvs_session          ended[HVS_STATUS_ENDED_MAX]; /* the newest first */
    unsigned                    ended_count;
    struct hvs_session_counters totals; /* of those that have ended */
    enum hvs_channel_state      channel_states[HVS_CHANNELS]; /* when last looked at */
    uint64_t                    channels_since[HVS_CHANNELS];
    CRITICAL_SECTION            lock; /* of the notes */
    struct note                 notes[NOTES_MAX];
    unsigned                    note_count;
    struct hvs_checkup         *checkup;
    struct hvs_publish          publish;
    char                        problem[400]; /* "": none */
    void (*doing)(const char *words);         /* NULL: nobody asks */
    uint64_t                    started;
};

static void
tell_doing(struct hvs_daemon *daemon, const char *doing)
{
    if (daemon->doing != NULL)
        daemon->doing(doing);
}

/* ---- status ---- */

static enum hvs_channel_state
slot_state(const struct slot *slot)
{
    if (slot->relay != NULL)
        return HVS_CHANNEL_OPEN;
    if (!slot->offered)
        return HVS_CHANNEL_NOT_OFFERED;
    return slot->failed ? HVS_CHANNEL_FAILED : HVS_CHANNEL_OFFERED;
}

static enum hvs_channel_state
control_channel_state(const struct hvs_control_channel *control)
{
    if (hvs_control_channel_is_open(control))
        return HVS_CHANNEL_OPEN;
    if (hvs_control_channel_state(control)->state == HVS_CONTROL_NOT_OFFERED)
        return HVS_CHANNEL_NOT_OFFERED;
    return hvs_control_channel_error(control) != NULL ? HVS_CHANNEL_FAILED : HVS_CHANNEL_OFFERED;
}

static void
note_channel(struct hvs_daemon *daemon, struct hvs_status *status, unsigned channel,
             enum hvs_channel_state state)
{
    if (daemon->channel_states[channel] != state) {
        daemon->channel_states[channel] = state;
        daemon->channels_since[channel] = status->now;
    }
    status->channels[channel] = state;
    status->channels_since[channel] = daemon->channels_since[channel];
}

static void
fill_status(struct hvs_daemon *daemon, struct hvs_status *status)
{
    memset(status, 0, sizeof *status);
    status->version = HVS_VERSION;
    status->now = hvs_clock_now();
    status->started = daemon->started;
    status->control = *hvs_control_channel_state(daemon->control);
    status->problem = daemon->problem[0] != '\0' ? daemon->problem
                                                 : hvs_control_channel_error(daemon->control);
    status->sessions_total = daemon->last_session;
    status->totals = daemon->totals;
    status->ended_count = daemon->ended_count;
    memcpy(status->ended, daemon->ended, sizeof status->ended);
    note_channel(daemon, status, HVS_CONTROL_CHANNEL, control_channel_state(daemon->control));
    for (unsigned i = 1; i < HVS_CHANNELS; i++) {
        note_channel(daemon, status, i, slot_state(&daemon->slots[i]));
        if (daemon->slots[i].relay != NULL) {
            struct hvs_session *session = &status->sessions[status->session_count++];

            hvs_relay_snapshot(daemon->slots[i].relay, session);
            hvs_session_counters_add(&status->totals, &session->counters);
        }
    }
}

/* The caller's to free. NULL: out of memory, which is the answer then. */
static struct hvs_status *
make_status(struct hvs_daemon *daemon, struct hvs_text *answer)
{
    struct hvs_status *status = malloc(sizeof *status);

    if (status == NULL)
        hvs_text_add(answer, "error: out of memory");
    else
        fill_status(daemon, status);
    return status;
}

static void
answer_status(struct hvs_daemon *daemon,
              void (*print)(const struct hvs_status *status, struct hvs_text *out),
              struct hvs_text *answer)
{
    struct hvs_status *status = make_status(daemon, answer);

    if (status == NULL)
        return;
    print(status, answer);
    free(status);
}

static void
on_status(bool json, struct hvs_text *answer, void *user_data)
{
    answer_status(user_data, json ? hvs_status_print_json : hvs_status_print_text, answer);
}

static void
on_sessions(bool json, struct hvs_text *answer, void *user_data)
{
    answer_status(user_data, json ? hvs_status_print_sessions_json : hvs_status_print_sessions_text,
                  answer);
}

static void
on_watched_status(struct hvs_text *document, void *user_data)
{
    on_status(true, document, user_data);
}

/* Without what changes all the time. */
static void
still_session(struct hvs_session *session)
{
    session->started = session->ended = 0;
    session->counters = (struct hvs_session_counters) { 0 };
}

static void
still_status(struct hvs_status *status)
{
    status->now = status->started = status->control.deadline = 0;
    status->totals = (struct hvs_session_counters) { 0 };
    for (unsigned i = 0; i < status->session_count; i++)
        still_session(&status->sessions[i]);
    for (unsigned i = 0; i < status->ended_count; i++)
        still_session(&status->ended[i]);
}

/* A number that is another one when the document says something new: FNV-1a of its text. */
static uint64_t
digest_status(struct hvs_daemon *daemon, struct hvs_status *status, char *buffer)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    struct hvs_text text;

    fill_status(daemon, status);
    still_status(status);
    hvs_text_init(&text, buffer, HVS_STATUS_JSON_MAX);
    hvs_status_print_json(status, &text);
    for (size_t i = 0; i < text.length; i++)
        digest = (digest ^ (uint8_t)buffer[i]) * UINT64_C(0x100000001b3);
    return digest;
}

static void
tell_watchers(struct hvs_daemon *daemon)
{
    struct hvs_status *status = NULL;
    char *buffer = NULL;
    uint64_t digest;

    if (!hvs_watch_pipe_is_watched(daemon->watch_pipe))
        return;
    status = malloc(sizeof *status);
    buffer = malloc(HVS_STATUS_JSON_MAX);
    if (status != NULL && buffer != NULL) {
        digest = digest_status(daemon, status, buffer);
        if (digest != daemon->watched_digest)
            hvs_watch_pipe_changed(daemon->watch_pipe);
        daemon->watched_digest = digest;
    }
    free(buffer);
    free(status);
}

/* ---- diagnosis ---- */

/* What only the service knows. */
static void
add_own_facts(const struct hvs_status *status, struct hvs_facts *facts)
{
    hvs_facts_add_status(facts, status);
    facts->control_offered =
        status->channels[HVS_CONTROL_CHANNEL] == HVS_CHANNEL_NOT_OFFERED ? HVS_NO : HVS_YES;
    facts->data_channels = 0;
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        facts->data_channels += status->channels[i] != HVS_CHANNEL_NOT_OFFERED;
}

static void
on_facts(struct hvs_text *answer, void *user_data)
{
    struct hvs_status *status = make_status(user_data, answer);
    struct hvs_facts facts;

    if (status == NULL)
        return;
    memset(&facts, 0, sizeof facts);
    add_own_facts(status, &facts);
    hvs_probe_print_own(&facts, answer);
    free(status);
}

static void
print_diagnosis(struct hvs_daemon *daemon, struct hvs_text *answer)
{
    struct hvs_facts facts = *hvs_checkup_facts(daemon->checkup);
    struct hvs_status *status = make_status(daemon, answer);
    struct hvs_diagnosis diagnosis;

    if (status == NULL)
        return;
    add_own_facts(status, &facts);
    hvs_diagnose(&facts, &diagnosis);
    hvs_diagnosis_print_json(&facts, &diagnosis, HVS_VERSION, answer);
    free(status);
}

static bool
on_doctor(struct hvs_text *answer, void *user_data)
{
    struct hvs_daemon *daemon = user_data;

    if (hvs_checkup_request(daemon->checkup))
        print_diagnosis(daemon, answer);
    else if (hvs_checkup_is_looking(daemon->checkup))
        return false;
    else
        hvs_text_add(answer, "error: out of memory");
    return true;
}

static void
answer_diagnosis(struct hvs_daemon *daemon)
{
    char *bytes;
    struct hvs_text text;

    if (!hvs_checkup_dispatch(daemon->checkup))
        return;
    bytes = malloc(HVS_DIAGNOSIS_JSON_MAX);
    if (bytes == NULL) {
        hvs_status_pipe_answer(daemon->status_pipe, "error: out of memory");
        return;
    }
    hvs_text_init(&text, bytes, HVS_DIAGNOSIS_JSON_MAX);
    print_diagnosis(daemon, &text);
    hvs_status_pipe_answer(daemon->status_pipe, bytes);
    free(bytes);
}

/* Best effort: the next change tries again. */
static void
publish(struct hvs_daemon *daemon)
{
    struct hvs_status *status = malloc(sizeof *status);

    if (status == NULL)
        return;
    fill_status(daemon, status);
    hvs_publish_update(&daemon->publish, daemon->settings.publish_state, status);
    free(status);
}

static bool
on_disconnect(uint32_t session_id, void *user_data)
{
    struct hvs_daemon *daemon = user_data;
    struct hvs_session session;

    for (unsigned i = 1; i < HVS_CHANNELS; i++) {
        if (daemon->slots[i].relay == NULL)
            continue;
        hvs_relay_snapshot(daemon->slots[i].relay, &session);
        if (session.id == session_id) {
            hvs_relay_stop(daemon->slots[i].relay, HVS_END_DISCONNECTED);
            return true;
        }
    }
    return false;
}

static const struct hvs_status_pipe_callbacks status_callbacks = {
    .status = on_status,
    .sessions = on_sessions,
    .facts = on_facts,
    .doctor = on_doctor,
    .disconnect = on_disconnect,
};

/* ---- sessions ---- */

static void
remember(struct hvs_daemon *daemon, const struct hvs_session *session)
{
    memmove(&daemon->ended[1], &daemon->ended[0],
            sizeof daemon->ended - sizeof daemon->ended[0]);
    daemon->ended[0] = *session;
    daemon->ended_count = min(daemon->ended_count + 1, HVS_STATUS_ENDED_MAX);
    hvs_session_counters_add(&daemon->totals, &session->counters);
}

/* A channel that the host took away is waited for at once: the next user may come any moment. Other
 * ends, and channels that were taken away before anything came, leave the host some time to do so:
 * else the same offer could be opened again and again. */
static void
end_slot(struct hvs_daemon *daemon, unsigned channel)
{
    struct slot *slot = &daemon->slots[channel];
    struct hvs_session session;

    hvs_relay_snapshot(slot->relay, &session);
    hvs_relay_free(slot->relay);
    slot->relay = NULL;
    hvs_log_session_end(&session);
    remember(daemon, &session);
    if ((session.reason == HVS_END_HOST_RESCINDED || session.reason == HVS_END_HOST_CLOSED) &&
        session.negotiation.request_seen)
        hvs_offers_watch(daemon->offers, channel);
    else
        slot->due = hvs_clock_now() + REOPEN_PAUSE;
}

static void
note_open_failure(struct hvs_daemon *daemon, unsigned channel, DWORD error)
{
    struct slot *slot = &daemon->slots[channel];

    if (hvs_vmbuspipe_is_gone(error)) {
        slot->offered = false;
        slot->due = hvs_clock_now() + REOPEN_PAUSE;
        return;
    }
    if (!slot->failed)
        hvs_log_failure(HVS_LOG_WARNING, error, "opening data channel %u", channel);
    slot->failed = true;
    slot->pause = slot->pause == 0 ? REOPEN_PAUSE : min(slot->pause * 2, REOPEN_PAUSE_MAX);
    slot->due = hvs_clock_now() + slot->pause;
}

static void
open_slot(struct hvs_daemon *daemon, unsigned channel)
{
    struct slot *slot = &daemon->slots[channel];
    HANDLE pipe;
    DWORD error = hvs_offers_open(daemon->offers, channel, &pipe);

    slot->due = 0;
    if (error == ERROR_SUCCESS)
        error = hvs_relay_start(++daemon->last_session, channel, pipe, &daemon->settings,
                                daemon->events[EVENT_SESSION_CHANGED], &slot->relay);
    if (error != ERROR_SUCCESS) {
        note_open_failure(daemon, channel, error);
        return;
    }
    slot->offered = false;
    slot->failed = false;
    slot->pause = 0;
    hvs_log_session(HVS_LOG_NOTICE, daemon->last_session, channel, "started");
}

static void
act_on_slot(struct hvs_daemon *daemon, unsigned channel)
{
    struct slot *slot = &daemon->slots[channel];

    if (slot->relay != NULL && hvs_relay_has_ended(slot->relay))
        end_slot(daemon, channel);
    if (slot->due == 0 || hvs_clock_now() < slot->due)
        return;
    if (slot->offered) {
        open_slot(daemon, channel);
    } else {
        slot->due = 0;
        hvs_offers_watch(daemon->offers, channel);
    }
}

static void
stop_sessions(struct hvs_daemon *daemon, enum hvs_end_reason reason)
{
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        if (daemon->slots[i].relay != NULL)
            hvs_relay_stop(daemon->slots[i].relay, reason);
}

/* ---- offers and control channel ---- */

static void
on_offered(unsigned channel, void *user_data)
{
    struct hvs_daemon *daemon = user_data;

    hvs_log(HVS_LOG_INFO, "channel %u is offered", channel);
    if (channel == HVS_CONTROL_CHANNEL) {
        hvs_control_channel_offered(daemon->control);
        return;
    }
    if (daemon->slots[channel].relay != NULL)
        return;
    daemon->slots[channel].offered = true;
    open_slot(daemon, channel);
}

static void
on_problem(const char *sentence, void *user_data)
{
    struct hvs_daemon *daemon = user_data;
    struct hvs_text text;

    hvs_text_init(&text, daemon->problem, sizeof daemon->problem);
    if (sentence == NULL)
        return;
    hvs_text_add(&text, sentence);
    hvs_log(HVS_LOG_WARNING, "%s", sentence);
}

static const struct hvs_offers_callbacks offers_callbacks = {
    .offered = on_offered,
    .problem = on_problem,
};

static void
on_control_changed(void *user_data)
{
    struct hvs_daemon *daemon = user_data;
    enum hvs_control_state state = hvs_control_channel_state(daemon->control)->state;

    if (state == daemon->control_was)
        return;
    /* Without it every data channel is dead, whatever its pipe says so far. */
    if (state == HVS_CONTROL_NOT_OFFERED)
        stop_sessions(daemon, HVS_END_CONTROL_LOST);
    /* Before it nothing else is offered, and waiting would wake us for nothing. */
    if (state == HVS_CONTROL_READY)
        for (unsigned i = 1; i < HVS_CHANNELS; i++)
            if (daemon->slots[i].relay == NULL && daemon->slots[i].due == 0)
                hvs_offers_watch(daemon->offers, i);
    daemon->control_was = state;
}

/* ---- settings ---- */

static DWORD
load_settings(struct hvs_daemon *daemon, struct hvs_text *problem)
{
    struct hvs_settings settings;
    enum hvs_log_level level;
    DWORD error;

    hvs_settings_init(&settings);
    error = hvs_registry_load(&settings, problem);
    if (error != ERROR_SUCCESS)
        return error;
    daemon->settings = settings;
    if (daemon->log_level[0] != '\0' &&
        hvs_log_level_from_string(daemon->log_level, &level))
        daemon->settings.log_level = level;
    hvs_log_set_level((enum hvs_log_level)daemon->settings.log_level);
    return ERROR_SUCCESS;
}

static bool
are_settings_equal(const struct hvs_settings *a, const struct hvs_settings *b)
{
    size_t count;
    const struct hvs_setting *table = hvs_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        char bytes[2][HVS_SERVERS_MAX * (HVS_SERVER_HOST_MAX + 16)];
        struct hvs_text text[2];

        hvs_text_init(&text[0], bytes[0], sizeof bytes[0]);
        hvs_text_init(&text[1], bytes[1], sizeof bytes[1]);
        hvs_settings_print(a, &table[i], &text[0]);
        hvs_settings_print(b, &table[i], &text[1]);
        if (strcmp(bytes[0], bytes[1]) != 0)
            return false;
    }
    return true;
}

/* Something below the service's key has changed, if only its start type. */
static void
reload_settings(struct hvs_daemon *daemon)
{
    struct hvs_settings before = daemon->settings;
    char problem[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_text text;
    DWORD error;

    hvs_text_init(&text, problem, sizeof problem);
    error = hvs_registry_watch_again(&daemon->registry);
    if (error != ERROR_SUCCESS) {
        hvs_log_failure(HVS_LOG_WARNING, error, "watching the settings; changes are seen after a "
                                                "restart of the service");
        hvs_registry_watch_end(&daemon->registry);
    }
    if (load_settings(daemon, &text) != ERROR_SUCCESS)
        hvs_log(HVS_LOG_ERROR, "%s; the settings stay as they were", problem);
    else if (!are_settings_equal(&before, &daemon->settings))
        hvs_log(HVS_LOG_NOTICE, "settings reloaded; sessions that run keep theirs");
}

/* ---- the sessions of Windows ---- */

void
hvs_daemon_note_session(struct hvs_daemon *daemon, DWORD session, const char *what)
{
    EnterCriticalSection(&daemon->lock);
    if (daemon->note_count < NOTES_MAX)
        daemon->notes[daemon->note_count++] = (struct note) { session, what };
    LeaveCriticalSection(&daemon->lock);
    SetEvent(daemon->events[EVENT_NOTED]);
}

static void
log_notes(struct hvs_daemon *daemon)
{
    struct note notes[NOTES_MAX];
    unsigned count;

    EnterCriticalSection(&daemon->lock);
    count = daemon->note_count;
    memcpy(notes, daemon->notes, sizeof notes);
    daemon->note_count = 0;
    LeaveCriticalSection(&daemon->lock);
    for (unsigned i = 0; i < count; i++)
        hvs_log(HVS_LOG_INFO, "session %lu of Windows %s", notes[i].session, notes[i].what);
}

/* ---- the loop ---- */

#define HANDLES_MAX                                                                                \
    (EVENTS + 2 + HVS_CONTROL_HANDLES + HVS_STATUS_PIPE_HANDLES + HVS_WATCH_PIPE_HANDLES)

static unsigned
collect_handles(const struct hvs_daemon *daemon, HANDLE handles[HANDLES_MAX])
{
    unsigned count = EVENTS;

    memcpy(handles, daemon->events, sizeof daemon->events);
    handles[count++] = hvs_offers_event(daemon->offers);
    count += hvs_control_channel_handles(daemon->control, handles + count);
    count += hvs_status_pipe_handles(daemon->status_pipe, handles + count);
    count += hvs_watch_pipe_handles(daemon->watch_pipe, handles + count);
    if (daemon->registry.changed != NULL)
        handles[count++] = daemon->registry.changed;
    return count;
}

static DWORD
time_until_due(const struct hvs_daemon *daemon)
{
    uint64_t now = hvs_clock_now(), earliest = now + DAY;
    uint64_t deadlines[3 + HVS_CHANNELS] = {
        hvs_control_channel_deadline(daemon->control),
        hvs_status_pipe_deadline(daemon->status_pipe),
        hvs_watch_pipe_deadline(daemon->watch_pipe),
    };

    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        deadlines[3 + i] = daemon->slots[i].due;
    for (unsigned i = 0; i < ARRAYSIZE(deadlines); i++)
        if (deadlines[i] != 0 && deadlines[i] < earliest)
            earliest = deadlines[i];
    return earliest > now ? (DWORD)(earliest - now) : 0;
}

static DWORD
dispatch(struct hvs_daemon *daemon, HANDLE signalled)
{
    DWORD error = ERROR_SUCCESS;

    if (signalled == daemon->events[EVENT_RENEGOTIATE])
        hvs_control_channel_renegotiate(daemon->control);
    else if (signalled == daemon->events[EVENT_LOOKED])
        answer_diagnosis(daemon);
    else if (signalled == daemon->events[EVENT_NOTED])
        log_notes(daemon);
    else if (signalled == hvs_offers_event(daemon->offers))
        error = hvs_offers_dispatch(daemon->offers);
    else if (signalled != NULL && signalled == daemon->registry.changed)
        reload_settings(daemon);
    hvs_control_channel_dispatch(daemon->control);
    hvs_status_pipe_dispatch(daemon->status_pipe);
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        act_on_slot(daemon, i);
    hvs_watch_pipe_dispatch(daemon->watch_pipe);
    tell_watchers(daemon);
    publish(daemon);
    return error;
}

/* All at once, so that it takes as long as the slowest. */
static void
end_everything(struct hvs_daemon *daemon)
{
    uint64_t began = hvs_clock_now();

    tell_doing(daemon, "ending the sessions");
    hvs_log(HVS_LOG_NOTICE, "stopping");
    hvs_offers_stop(daemon->offers);
    hvs_publish_end(&daemon->publish);
    stop_sessions(daemon, HVS_END_STOPPED);
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        if (daemon->slots[i].relay != NULL)
            end_slot(daemon, i);
    if (hvs_clock_now() - began > HVS_DAEMON_STOP_TIMEOUT)
        hvs_log(HVS_LOG_WARNING, "a session did not end in time");
}

DWORD
hvs_daemon_run(struct hvs_daemon *daemon)
{
    HANDLE handles[HANDLES_MAX];
    DWORD error = ERROR_SUCCESS;

    tell_doing(daemon, "starting");
    hvs_log(HVS_LOG_NOTICE, "hvsession " HVS_VERSION " started");
    publish(daemon);
    tell_doing(daemon, "a call of Windows or vmbuspipe.dll that does not come back");
    while (error == ERROR_SUCCESS) {
        unsigned count = collect_handles(daemon, handles);
        DWORD signalled =
            WaitForMultipleObjects(count, handles, FALSE, time_until_due(daemon));

        if (signalled == WAIT_OBJECT_0 + EVENT_STOP)
            break;
        if (signalled == WAIT_FAILED) {
            error = hvs_log_failure(HVS_LOG_ERROR, GetLastError(), "waiting for events");
            break;
        }
        error = dispatch(daemon, signalled < WAIT_OBJECT_0 + count
                                     ? handles[signalled - WAIT_OBJECT_0]
                                     : NULL);
        if (error != ERROR_SUCCESS)
            hvs_log_failure(HVS_LOG_ERROR, error, "waiting for channels");
    }
    end_everything(daemon);
    return error;
}

/* ---- life ---- */

static DWORD
make_events(struct hvs_daemon *daemon)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        daemon->events[i] = CreateEventW(NULL, i == EVENT_STOP, FALSE, NULL);
        if (daemon->events[i] == NULL)
            return GetLastError();
    }
    return ERROR_SUCCESS;
}

static DWORD
start_sockets(struct hvs_daemon *daemon)
{
    WSADATA data;
    int error = WSAStartup(MAKEWORD(2, 2), &data);

    daemon->sockets = error == 0;
    return (DWORD)error;
}

static DWORD
make_status_pipe(struct hvs_daemon *daemon, struct hvs_text *problem)
{
    DWORD error = hvs_status_pipe_new(&status_callbacks, daemon, &daemon->status_pipe);

    if (error == ERROR_ACCESS_DENIED || error == ERROR_PIPE_BUSY)
        hvs_text_add(problem, "hvsession runs already: stop it first, with hvsession stop or "
                              "Ctrl+C where it runs");
    return error;
}

/* Without it the service does all but tell of changes. */
static void
make_watch_pipe(struct hvs_daemon *daemon)
{
    DWORD error = hvs_watch_pipe_new(on_watched_status, daemon, &daemon->watch_pipe);

    if (error != ERROR_SUCCESS)
        hvs_log_failure(HVS_LOG_WARNING, error, "making the watch pipe");
}

static DWORD
start(struct hvs_daemon *daemon, struct hvs_text *problem)
{
    DWORD error;

    tell_doing(daemon, "loading its settings");
    error = load_settings(daemon, problem);
    if (error == ERROR_SUCCESS)
        error = make_events(daemon);
    tell_doing(daemon, "starting Windows Sockets");
    if (error == ERROR_SUCCESS)
        error = start_sockets(daemon);
    if (error == ERROR_SUCCESS)
        error = hvs_checkup_new(daemon->events[EVENT_LOOKED], &daemon->checkup);
    tell_doing(daemon, "making the pipe of hvsession status");
    if (error == ERROR_SUCCESS)
        error = make_status_pipe(daemon, problem);
    tell_doing(daemon, "loading vmbuspipe.dll");
    if (error == ERROR_SUCCESS)
        error = hvs_offers_new(&offers_callbacks, daemon, &daemon->offers, problem);
    if (error == ERROR_SUCCESS)
        error = hvs_control_channel_new(daemon->offers, on_control_changed, daemon,
                                        &daemon->control);
    if (error != ERROR_SUCCESS)
        return error;
    tell_doing(daemon, "beginning to watch");
    make_watch_pipe(daemon);
    /* In a console there may be no installed service to watch. */
    error = hvs_registry_watch_begin(&daemon->registry);
    return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
}

DWORD
hvs_daemon_new(const char *log_level, void (*doing)(const char *words), struct hvs_daemon **daemon,
               struct hvs_text *problem)
{
    struct hvs_daemon *made = calloc(1, sizeof *made);
    struct hvs_text level;
    DWORD error;

    *daemon = NULL;
    if (made == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    InitializeCriticalSection(&made->lock);
    made->doing = doing;
    made->started = hvs_clock_now();
    hvs_publish_init(&made->publish);
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        made->channels_since[i] = made->started;
    hvs_text_init(&level, made->log_level, sizeof made->log_level);
    if (log_level != NULL)
        hvs_text_add(&level, log_level);
    error = start(made, problem);
    if (error != ERROR_SUCCESS) {
        if (problem->length == 0)
            hvs_wide_add_error(problem, error);
        hvs_daemon_free(made);
        return error;
    }
    *daemon = made;
    return ERROR_SUCCESS;
}

void
hvs_daemon_stop(struct hvs_daemon *daemon)
{
    SetEvent(daemon->events[EVENT_STOP]);
}

void
hvs_daemon_renegotiate(struct hvs_daemon *daemon)
{
    SetEvent(daemon->events[EVENT_RENEGOTIATE]);
}

void
hvs_daemon_free(struct hvs_daemon *daemon)
{
    if (daemon == NULL)
        return;
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        hvs_relay_free(daemon->slots[i].relay);
    tell_doing(daemon, "the look at this machine that hvsession doctor asked for");
    hvs_checkup_free(daemon->checkup);
    tell_doing(daemon, "closing the pipes of hvsession status and the control channel");
    hvs_status_pipe_free(daemon->status_pipe);
    hvs_watch_pipe_free(daemon->watch_pipe);
    hvs_control_channel_free(daemon->control);
    tell_doing(daemon, "waiting for channels: vmbuspipe.dll does not keep to its time-out");
    hvs_offers_free(daemon->offers);
    hvs_registry_watch_end(&daemon->registry);
    for (unsigned i = 0; i < EVENTS; i++)
        if (daemon->events[i] != NULL)
            CloseHandle(daemon->events[i]);
    if (daemon->sockets)
        WSACleanup();
    DeleteCriticalSection(&daemon->lock);
    free(daemon);
}
