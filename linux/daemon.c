#include "daemon.h"

#include "config.h"
#include "control.h"
#include "dbus.h"
#include "hvsocket.h"
#include "kvp-publish.h"
#include "log.h"
#include "notify.h"
#include "offers.h"
#include "relay.h"

#include "common/status.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* All sessions have ended by then, or are left to the kernel, in milliseconds. */
#define STOP_TIMEOUT 1500u
/* An offer that outlives its session is opened again after that pause: mostly the host takes it
 * back at once. A failed open is tried again after pauses that double. In milliseconds. */
#define REOPEN_PAUSE     1000u
#define REOPEN_PAUSE_MAX 60000u
/* So does the pause after a session that ended in trouble sooner than that. In milliseconds. */
#define SESSION_SOON 5000u

/* The VMBus' channels, and HvSocket's sessions behind them. */
#define SLOTS (HVS_CHANNELS + HVS_HVSOCKET_SESSIONS)

/* One data channel, or room for a session over HvSocket, of which only .relay is used. */
struct slot {
    hvs_daemon *daemon;
    unsigned    channel; /* 0: HvSocket */
    bool        offered;
    bool        renewed; /* offered anew while a session of the old offer was there still */
    bool        failed;  /* the last open failed */
    guint       pause;   /* before the next attempt to open it, milliseconds */
    guint       timer;
    hvs_relay  *relay;
};

struct hvs_daemon {
    struct hvs_daemon_options options;
    char                     *config;
    struct hvs_settings       settings;
    hvs_offers               *offers;
    hvs_control_channel      *control;
    hvs_hvsocket             *hvsocket;
    hvs_kvp_publisher        *kvp;
    bool                      hvsocket_used;
    hvs_dbus                 *dbus;
    enum hvs_channel_state    channels[HVS_CHANNELS]; /* as they were last seen */
    uint64_t                  channels_since[HVS_CHANNELS];
    char                     *config_error; /* of the last time it was read; NULL: it was sound */
    enum hvs_control_state    control_was;
    struct slot               slots[SLOTS]; /* [0] is not used */
    uint32_t                  last_session;
    struct hvs_session        ended[HVS_STATUS_ENDED_MAX]; /* the newest first */
    unsigned                  ended_count;
    struct hvs_session_counters totals; /* of sessions that have ended */
    char                     *problem;
    uint64_t                  started;
    GMainLoop                *loop;
    guint                     signals[4], watchdog, stop_timer;
    bool                      stopping;
};

static void open_slot(struct slot *slot);

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
control_channel_state(const hvs_control_channel *control)
{
    if (hvs_control_channel_is_open(control))
        return HVS_CHANNEL_OPEN;
    if (hvs_control_channel_state(control)->state == HVS_CONTROL_NOT_OFFERED)
        return HVS_CHANNEL_NOT_OFFERED;
    return hvs_control_channel_error(control) != NULL ? HVS_CHANNEL_FAILED : HVS_CHANNEL_OFFERED;
}

static void
note_channel(hvs_daemon *daemon, struct hvs_status *status, unsigned channel,
             enum hvs_channel_state state)
{
    if (daemon->channels[channel] != state)
        daemon->channels_since[channel] = status->now;
    daemon->channels[channel] = state;
    status->channels[channel] = state;
    status->channels_since[channel] = daemon->channels_since[channel];
}

static void
fill_status(struct hvs_status *status, gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    *status = (struct hvs_status) {
        .version = HVS_VERSION,
        .now = hvs_relay_now(),
        .started = daemon->started,
        .control = *hvs_control_channel_state(daemon->control),
        .problem = daemon->problem,
        .sessions_total = daemon->last_session,
        .ended_count = daemon->ended_count,
        .totals = daemon->totals,
        .hvsocket = hvs_hvsocket_state(daemon->hvsocket),
        .hvsocket_used = daemon->hvsocket_used,
    };
    if (status->problem == NULL)
        status->problem = hvs_control_channel_error(daemon->control);
    memcpy(status->ended, daemon->ended, sizeof(status->ended));
    note_channel(daemon, status, HVS_CONTROL_CHANNEL, control_channel_state(daemon->control));
    for (unsigned i = 1; i < SLOTS; i++) {
        if (i < HVS_CHANNELS)
            note_channel(daemon, status, i, slot_state(&daemon->slots[i]));
        if (daemon->slots[i].relay != NULL) {
            struct hvs_session *session = &status->sessions[status->session_count++];

            hvs_relay_snapshot(daemon->slots[i].relay, session);
            hvs_session_counters_add(&status->totals, &session->counters);
        }
    }
}

/* The service manager shows it in one line, the bus in full; the host gets a word. */
static void
tell_status(hvs_daemon *daemon)
{
    g_autofree struct hvs_status *status = g_new(struct hvs_status, 1);
    char line[200];
    struct hvs_text text;

    if (daemon->stopping)
        return;
    if (daemon->dbus != NULL)
        hvs_dbus_changed(daemon->dbus);
    fill_status(status, daemon);
    hvs_text_init(&text, line, sizeof(line));
    hvs_status_print_line(status, &text);
    hvs_notify_format("STATUS=%s", line);
    if (daemon->kvp != NULL)
        hvs_kvp_publisher_update(daemon->kvp, status);
}

static gboolean
on_status_signal(gpointer user_data)
{
    g_autofree struct hvs_status *status = g_new(struct hvs_status, 1);
    char screen[HVS_STATUS_TEXT_MAX];
    struct hvs_text text;

    fill_status(status, user_data);
    hvs_text_init(&text, screen, sizeof(screen));
    hvs_status_print_text(status, &text);
    hvs_log_answer("status\n%s", screen);
    return G_SOURCE_CONTINUE;
}

/* ---- sessions ---- */

static void
remember(hvs_daemon *daemon, const struct hvs_session *session)
{
    memmove(&daemon->ended[1], &daemon->ended[0],
            sizeof(daemon->ended) - sizeof(daemon->ended[0]));
    daemon->ended[0] = *session;
    hvs_session_counters_add(&daemon->totals, &session->counters);
    daemon->ended_count = MIN(daemon->ended_count + 1, HVS_STATUS_ENDED_MAX);
}

static bool
any_session(const hvs_daemon *daemon)
{
    for (unsigned i = 1; i < SLOTS; i++)
        if (daemon->slots[i].relay != NULL)
            return true;
    return false;
}

/* NULL: as many sessions as may be are there. */
static struct slot *
free_socket_slot(hvs_daemon *daemon)
{
    for (unsigned i = HVS_CHANNELS; i < SLOTS; i++)
        if (daemon->slots[i].relay == NULL)
            return &daemon->slots[i];
    return NULL;
}

static gboolean
on_reopen(gpointer user_data)
{
    struct slot *slot = user_data;

    slot->timer = 0;
    open_slot(slot);
    return G_SOURCE_REMOVE;
}

static void
open_later(struct slot *slot, guint pause)
{
    g_clear_handle_id(&slot->timer, g_source_remove);
    slot->timer = g_timeout_add(pause, on_reopen, slot);
}

static void
open_after_pause(struct slot *slot)
{
    slot->pause = slot->pause == 0 ? REOPEN_PAUSE : MIN(slot->pause * 2, REOPEN_PAUSE_MAX);
    open_later(slot, slot->pause);
}

static void
on_session_ended(hvs_relay *relay, gpointer user_data)
{
    struct slot *slot = user_data;
    hvs_daemon *daemon = slot->daemon;
    struct hvs_session session;

    hvs_relay_snapshot(relay, &session);
    hvs_log_session_end(&session);
    remember(daemon, &session);
    hvs_relay_free(relay);
    slot->relay = NULL;
    hvs_hvsocket_hold(daemon->hvsocket,
                      daemon->stopping || free_socket_slot(daemon) == NULL);
    if (daemon->stopping) {
        if (!any_session(daemon))
            g_main_loop_quit(daemon->loop);
        return;
    }
    if (!hvs_end_reason_is_trouble(session.reason) ||
        session.ended >= session.started + SESSION_SOON)
        slot->pause = 0;
    if (slot->renewed)
        open_slot(slot);
    else if (slot->offered)
        open_after_pause(slot);
    tell_status(daemon);
}

static void
note_open_failure(struct slot *slot, const GError *error)
{
    if (g_error_matches(error, HVS_OFFERS_ERROR, HVS_OFFERS_ERROR_GONE)) {
        slot->offered = false;
        return;
    }
    if (!slot->failed)
        hvs_log(HVS_LOG_WARNING, "data channel %u: %s", slot->channel, error->message);
    slot->failed = true;
    open_after_pause(slot);
}

static void
open_slot(struct slot *slot)
{
    hvs_daemon *daemon = slot->daemon;
    g_autoptr(GError) error = NULL;
    struct hvs_channel channel;

    if (daemon->stopping || slot->relay != NULL || !slot->offered)
        return;
    g_clear_handle_id(&slot->timer, g_source_remove);
    slot->renewed = false;
    if (!hvs_offers_open(daemon->offers, slot->channel, &channel, &error)) {
        note_open_failure(slot, error);
        tell_status(daemon);
        return;
    }
    hvs_log_session(HVS_LOG_NOTICE, ++daemon->last_session, slot->channel, "started");
    slot->relay = hvs_relay_start(daemon->last_session, slot->channel, &channel,
                                  &daemon->settings, on_session_ended, slot, &error);
    if (slot->relay == NULL) {
        note_open_failure(slot, error);
        tell_status(daemon);
        return;
    }
    if (slot->failed)
        slot->pause = 0;
    slot->failed = false;
    tell_status(daemon);
}

/* The host has connected over HvSocket. */
static void
on_connected(int fd, gpointer user_data)
{
    hvs_daemon *daemon = user_data;
    struct slot *slot = free_socket_slot(daemon);
    g_autoptr(GError) error = NULL;

    daemon->hvsocket_used = true;
    hvs_log_session(HVS_LOG_NOTICE, ++daemon->last_session, 0, "started, over HvSocket");
    slot->relay = hvs_relay_start_socket(daemon->last_session, fd, &daemon->settings,
                                         on_session_ended, slot, &error);
    if (slot->relay == NULL)
        hvs_log_session(HVS_LOG_ERROR, daemon->last_session, 0, "not started: %s",
                        error->message);
    hvs_hvsocket_hold(daemon->hvsocket, free_socket_slot(daemon) == NULL);
    tell_status(daemon);
}

/* first to last: slots. */
static void
stop_sessions(hvs_daemon *daemon, unsigned first, unsigned last, enum hvs_end_reason reason)
{
    for (unsigned i = first; i <= last; i++)
        if (daemon->slots[i].relay != NULL)
            hvs_relay_stop(daemon->slots[i].relay, reason);
}

/* ---- offers ---- */

static void
on_offered(unsigned channel, gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    hvs_log(HVS_LOG_INFO, "channel %u is offered", channel);
    if (channel == HVS_CONTROL_CHANNEL) {
        hvs_control_channel_offered(daemon->control);
        return;
    }
    daemon->slots[channel].offered = true;
    daemon->slots[channel].failed = false;
    daemon->slots[channel].pause = 0;
    daemon->slots[channel].renewed = daemon->slots[channel].relay != NULL;
    if (daemon->slots[channel].renewed)
        hvs_relay_stop(daemon->slots[channel].relay, HVS_END_HOST_RESCINDED);
    else
        open_slot(&daemon->slots[channel]);
}

static void
on_rescinded(unsigned channel, gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    hvs_log(HVS_LOG_INFO, "channel %u was taken back", channel);
    if (channel == HVS_CONTROL_CHANNEL) {
        hvs_control_channel_rescinded(daemon->control);
        return;
    }
    daemon->slots[channel].offered = false;
    daemon->slots[channel].failed = false;
    g_clear_handle_id(&daemon->slots[channel].timer, g_source_remove);
    if (daemon->slots[channel].relay != NULL)
        hvs_relay_stop(daemon->slots[channel].relay, HVS_END_HOST_RESCINDED);
    tell_status(daemon);
}

static void
on_problem(const char *sentence, gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    g_free(daemon->problem);
    daemon->problem = g_strdup(sentence);
    if (sentence != NULL)
        hvs_log(HVS_LOG_WARNING, "%s", sentence);
    tell_status(daemon);
}

static void
on_control_changed(gpointer user_data)
{
    hvs_daemon *daemon = user_data;
    enum hvs_control_state state = hvs_control_channel_state(daemon->control)->state;

    /* Without it every data channel is dead, whatever its descriptor says so far. */
    if (state == HVS_CONTROL_NOT_OFFERED && daemon->control_was != state)
        stop_sessions(daemon, 1, HVS_DATA_CHANNELS, HVS_END_CONTROL_LOST);
    daemon->control_was = state;
    tell_status(daemon);
}

static const struct hvs_offers_callbacks offers_callbacks = {
    .offered = on_offered,
    .rescinded = on_rescinded,
    .problem = on_problem,
};

/* ---- settings and signals ---- */

static gboolean
load_settings(hvs_daemon *daemon, GError **error)
{
    struct hvs_settings settings;

    if (!hvs_config_load(daemon->config, daemon->options.config != NULL, &settings, error))
        return FALSE;
    if (daemon->options.log_level != NULL) {
        enum hvs_log_level level = HVS_LOG_NOTICE;

        if (!hvs_log_level_from_string(daemon->options.log_level, &level)) {
            g_set_error(error, HVS_CONFIG_ERROR, HVS_CONFIG_ERROR_SETTING,
                        "--log-level: \"%s\" is not error, warning, notice, info or debug",
                        daemon->options.log_level);
            return FALSE;
        }
        settings.log_level = level;
    }
    daemon->settings = settings;
    hvs_log_set_level((enum hvs_log_level)settings.log_level);
    return TRUE;
}

static void
rescan(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    hvs_offers_rescan(daemon->offers);
    hvs_hvsocket_configure(daemon->hvsocket, &daemon->settings);
    hvs_kvp_publisher_configure(daemon->kvp, daemon->settings.publish_state);
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        open_slot(&daemon->slots[i]);
    tell_status(daemon);
}

static gboolean
reload(gpointer user_data, GError **error)
{
    hvs_daemon *daemon = user_data;
    GError *local_error = NULL;

    hvs_notify_format("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
    g_clear_pointer(&daemon->config_error, g_free);
    if (load_settings(daemon, &local_error))
        hvs_log(HVS_LOG_NOTICE, "configuration reloaded; sessions that run keep theirs");
    else
        hvs_log(HVS_LOG_ERROR, "%s; the configuration stays as it was", local_error->message);
    if (local_error != NULL)
        daemon->config_error = g_strdup(local_error->message);
    rescan(daemon);
    hvs_notify("READY=1");
    if (local_error == NULL)
        return TRUE;
    g_propagate_error(error, local_error);
    return FALSE;
}

static gboolean
on_reload_signal(gpointer user_data)
{
    reload(user_data, NULL);
    return G_SOURCE_CONTINUE;
}

/* Its thread is stuck, in the kernel maybe, and must not keep the service: both end with the
 * process. */
static void
leave_session(struct slot *slot)
{
    struct hvs_session session;

    hvs_relay_snapshot(slot->relay, &session);
    hvs_session_end(&session, HVS_END_STOPPED, "it did not end in time", hvs_relay_now());
    hvs_log_session_end(&session);
    slot->relay = NULL;
}

static gboolean
on_stop_timeout(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    daemon->stop_timer = 0;
    for (unsigned i = 1; i < SLOTS; i++)
        if (daemon->slots[i].relay != NULL)
            leave_session(&daemon->slots[i]);
    g_main_loop_quit(daemon->loop);
    return G_SOURCE_REMOVE;
}

static gboolean
on_stop_signal(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    if (daemon->stopping)
        return G_SOURCE_CONTINUE;
    daemon->stopping = true;
    hvs_notify("STOPPING=1\nSTATUS=Stopping");
    hvs_log(HVS_LOG_NOTICE, "stopping");
    hvs_hvsocket_hold(daemon->hvsocket, true);
    stop_sessions(daemon, 1, SLOTS - 1, HVS_END_STOPPED);
    if (any_session(daemon))
        daemon->stop_timer = g_timeout_add(STOP_TIMEOUT, on_stop_timeout, daemon);
    else
        g_main_loop_quit(daemon->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_watchdog(gpointer user_data)
{
    (void)user_data;
    hvs_notify("WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

static void
add_sources(hvs_daemon *daemon)
{
    guint interval = hvs_notify_watchdog_interval();

    daemon->signals[0] = g_unix_signal_add(SIGTERM, on_stop_signal, daemon);
    daemon->signals[1] = g_unix_signal_add(SIGINT, on_stop_signal, daemon);
    daemon->signals[2] = g_unix_signal_add(SIGHUP, on_reload_signal, daemon);
    daemon->signals[3] = g_unix_signal_add(SIGUSR1, on_status_signal, daemon);
    if (interval > 0)
        daemon->watchdog = g_timeout_add(interval, on_watchdog, daemon);
}

/* ---- the bus ---- */

static void
on_session_changed(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    hvs_dbus_changed(daemon->dbus);
}

static void
watch_sessions(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    for (unsigned i = 1; i < SLOTS; i++)
        if (daemon->slots[i].relay != NULL)
            hvs_relay_watch(daemon->slots[i].relay, on_session_changed, daemon);
}

static const struct hvs_settings *
settings_of(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    return &daemon->settings;
}

static bool
disconnect_session(uint32_t id, gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    for (unsigned i = 1; i < SLOTS; i++) {
        struct hvs_session session;

        if (daemon->slots[i].relay == NULL)
            continue;
        hvs_relay_snapshot(daemon->slots[i].relay, &session);
        if (session.id != id || session.state == HVS_SESSION_ENDED)
            continue;
        hvs_relay_stop(daemon->slots[i].relay, HVS_END_DISCONNECTED);
        return true;
    }
    return false;
}

static const char *
config_error_of(gpointer user_data)
{
    hvs_daemon *daemon = user_data;

    return daemon->config_error;
}

static const struct hvs_dbus_service dbus_service = {
    .fill_status = fill_status,
    .watch_sessions = watch_sessions,
    .settings = settings_of,
    .config_error = config_error_of,
    .disconnect = disconnect_session,
    .rescan = rescan,
    .reload = reload,
};

/* ---- life ---- */

hvs_daemon *
hvs_daemon_new(const struct hvs_daemon_options *options, GError **error)
{
    g_autoptr(hvs_daemon) daemon = g_new0(hvs_daemon, 1);

    daemon->options = *options;
    daemon->config = options->config != NULL ?
                         g_strdup(options->config) :
                         hvs_config_default_path(&options->machine->roots);
    daemon->started = hvs_relay_now();
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        daemon->channels_since[i] = daemon->started;
    daemon->loop = g_main_loop_new(NULL, FALSE);
    for (unsigned i = 0; i < SLOTS; i++)
        daemon->slots[i] =
            (struct slot) { .daemon = daemon, .channel = i < HVS_CHANNELS ? i : 0 };
    if (!load_settings(daemon, error))
        return NULL;
    daemon->offers = hvs_offers_new(&options->machine->roots, &offers_callbacks, daemon, error);
    if (daemon->offers == NULL)
        return NULL;
    daemon->control = hvs_control_channel_new(daemon->offers, on_control_changed, daemon);
    daemon->hvsocket = hvs_hvsocket_new(&options->machine->roots, on_connected, daemon);
    hvs_hvsocket_configure(daemon->hvsocket, &daemon->settings);
    daemon->kvp = hvs_kvp_publisher_new(&options->machine->roots);
    hvs_kvp_publisher_configure(daemon->kvp, daemon->settings.publish_state);
    daemon->dbus = hvs_dbus_new(&dbus_service, options->machine, daemon);
    return g_steal_pointer(&daemon);
}

int
hvs_daemon_run(hvs_daemon *daemon)
{
    add_sources(daemon);
    hvs_log(HVS_LOG_NOTICE, "hvsessiond " HVS_VERSION " started");
    hvs_notify("READY=1");
    tell_status(daemon);
    g_main_loop_run(daemon->loop);
    return 0;
}

void
hvs_daemon_free(hvs_daemon *daemon)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(daemon->signals); i++)
        g_clear_handle_id(&daemon->signals[i], g_source_remove);
    g_clear_handle_id(&daemon->watchdog, g_source_remove);
    g_clear_handle_id(&daemon->stop_timer, g_source_remove);
    g_clear_pointer(&daemon->dbus, hvs_dbus_free);
    for (unsigned i = 1; i < SLOTS; i++) {
        g_clear_handle_id(&daemon->slots[i].timer, g_source_remove);
        g_clear_pointer(&daemon->slots[i].relay, hvs_relay_free);
    }
    g_clear_pointer(&daemon->hvsocket, hvs_hvsocket_free);
    g_clear_pointer(&daemon->kvp, hvs_kvp_publisher_free);
    g_clear_pointer(&daemon->control, hvs_control_channel_free);
    g_clear_pointer(&daemon->offers, hvs_offers_free);
    g_clear_pointer(&daemon->loop, g_main_loop_unref);
    g_free(daemon->problem);
    g_free(daemon->config_error);
    g_free(daemon->config);
    g_free(daemon);
}
