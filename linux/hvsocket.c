#include "hvsocket.h"

#include "log.h"
#include "vsock.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

/* Anybody in the guest can call; no more than one line in that time tells of it, in microseconds. */
#define REFUSAL_PAUSE (60 * G_USEC_PER_SEC)
/* Descriptors have run out: later there may be some, in milliseconds. */
#define ACCEPT_PAUSE 1000u

struct hvs_hvsocket {
    const struct hvs_roots *roots;
    hvs_hvsocket_connected  connected;
    gpointer                user_data;
    enum hvs_hvsocket_state state;
    bool                    loopback;
    bool                    held;
    int                     listener; /* −1: none */
    guint                   watch;    /* 0: nobody is accepted now */
    guint                   timer;
    gint64                  refusal_told;
    guint                   refusals; /* since then */
    char                   *complaint; /* why the state is what it is, as last told */
};

static void watch_listener(hvs_hvsocket *hvsocket);

static void
refuse(hvs_hvsocket *hvsocket, unsigned peer)
{
    gint64 now = g_get_monotonic_time();

    hvsocket->refusals++;
    if (hvsocket->refusal_told != 0 && now < hvsocket->refusal_told + REFUSAL_PAUSE)
        return;
    hvs_log(HVS_LOG_WARNING,
            "HvSocket: refused a connection of address %u, which is not the host%s (%u since the "
            "last such line)",
            peer, peer == HVS_VSOCK_CID_LOCAL ? " but this machine; see HvSocketLoopback" : "",
            hvsocket->refusals);
    hvsocket->refusal_told = now;
    hvsocket->refusals = 0;
}

static gboolean
on_accept_pause(gpointer user_data)
{
    hvs_hvsocket *hvsocket = user_data;

    hvsocket->timer = 0;
    watch_listener(hvsocket);
    return G_SOURCE_REMOVE;
}

/* True: go on watching. */
static gboolean
handle_accept_error(hvs_hvsocket *hvsocket, int error)
{
    if (error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOBUFS)
        return TRUE; /* the caller has given up meanwhile */
    hvs_log(HVS_LOG_WARNING, "HvSocket: a connection has to wait: %s", g_strerror(error));
    hvsocket->watch = 0;
    hvsocket->timer = g_timeout_add(ACCEPT_PAUSE, on_accept_pause, hvsocket);
    return FALSE;
}

static gboolean
on_caller(int listener, GIOCondition condition, gpointer user_data)
{
    hvs_hvsocket *hvsocket = user_data;
    guint watch = hvsocket->watch;
    unsigned peer;
    int fd = hvs_vsock_accept(listener, &peer);

    (void)condition;
    if (fd < 0)
        return handle_accept_error(hvsocket, errno);
    if (peer == HVS_VSOCK_CID_HOST || (peer == HVS_VSOCK_CID_LOCAL && hvsocket->loopback)) {
        hvsocket->connected(fd, hvsocket->user_data);
        return hvsocket->watch == watch; /* it may have held us */
    }
    close(fd);
    refuse(hvsocket, peer);
    return G_SOURCE_CONTINUE;
}

static void
unwatch_listener(hvs_hvsocket *hvsocket)
{
    g_clear_handle_id(&hvsocket->watch, g_source_remove);
    g_clear_handle_id(&hvsocket->timer, g_source_remove);
}

static void
watch_listener(hvs_hvsocket *hvsocket)
{
    unwatch_listener(hvsocket);
    if (hvsocket->listener >= 0 && !hvsocket->held)
        hvsocket->watch = g_unix_fd_add(hvsocket->listener, G_IO_IN, on_caller, hvsocket);
}

static void
stop_listening(hvs_hvsocket *hvsocket)
{
    unwatch_listener(hvsocket);
    if (hvsocket->listener >= 0)
        close(hvsocket->listener);
    hvsocket->listener = -1;
}

/* Tells a state, unless it was told last. */
static void
enter(hvs_hvsocket *hvsocket, enum hvs_hvsocket_state state, enum hvs_log_level level,
      const char *sentence)
{
    if (state != hvsocket->state || g_strcmp0(sentence, hvsocket->complaint) != 0)
        hvs_log(level, "HvSocket: %s", sentence);
    hvsocket->state = state;
    g_free(hvsocket->complaint);
    hvsocket->complaint = g_strdup(sentence);
}

/* Nothing comes of it where there is no host to call. */
static const char *
missing_host(const hvs_hvsocket *hvsocket, bool asked_kernel)
{
    if (!hvs_vsock_may_have_host(hvsocket->roots))
        return "this is not a Hyper-V guest";
    if (asked_kernel && !hvs_vsock_has_host(hvsocket->roots))
        return "the kernel has no transport to the host, hv_sock";
    return NULL;
}

/* NULL: we listen. Else why not, *state is how that is called. */
static char *
start_listening(hvs_hvsocket *hvsocket, bool needs_host, enum hvs_hvsocket_state *state)
{
    g_autoptr(GError) error = NULL;
    const char *missing = needs_host ? missing_host(hvsocket, false) : NULL;

    *state = HVS_HVSOCKET_UNAVAILABLE;
    if (missing != NULL)
        return g_strdup(missing);
    if (hvsocket->listener < 0)
        hvsocket->listener = hvs_vsock_listen(HVS_HVSOCKET_PORT, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE)) {
        *state = HVS_HVSOCKET_PORT_TAKEN;
        return g_strdup("another program, such as xrdp, serves port 3389 already; sessions that "
                        "come this way go there");
    }
    if (error != NULL)
        return g_strdup(error->message);
    /* Asking for the socket is what makes the kernel load it. */
    missing = needs_host ? missing_host(hvsocket, true) : NULL;
    return g_strdup(missing);
}

void
hvs_hvsocket_configure(hvs_hvsocket *hvsocket, const struct hvs_settings *settings)
{
    bool automatic = settings->hvsocket == HVS_HVSOCKET_SETTING_AUTO;
    enum hvs_hvsocket_state state = HVS_HVSOCKET_OFF;
    g_autofree char *obstacle = NULL;

    hvsocket->loopback = settings->hvsocket_loopback == HVS_SWITCH_YES;
    if (settings->hvsocket == HVS_HVSOCKET_SETTING_NO)
        obstacle = g_strdup("turned off");
    else
        obstacle = start_listening(hvsocket, automatic && !hvsocket->loopback, &state);
    if (obstacle == NULL) {
        enter(hvsocket, HVS_HVSOCKET_LISTENING, HVS_LOG_INFO, "listening on port 3389");
        watch_listener(hvsocket);
        return;
    }
    stop_listening(hvsocket);
    /* Whoever leaves it to us is not bothered with what cannot be had. */
    enter(hvsocket, state,
          state == HVS_HVSOCKET_PORT_TAKEN                 ? HVS_LOG_NOTICE :
          state == HVS_HVSOCKET_UNAVAILABLE && !automatic ? HVS_LOG_WARNING :
                                                            HVS_LOG_INFO,
          obstacle);
}

enum hvs_hvsocket_state
hvs_hvsocket_state(const hvs_hvsocket *hvsocket)
{
    return hvsocket->state;
}

void
hvs_hvsocket_hold(hvs_hvsocket *hvsocket, bool hold)
{
    if (hold == hvsocket->held)
        return;
    hvsocket->held = hold;
    watch_listener(hvsocket);
}

hvs_hvsocket *
hvs_hvsocket_new(const struct hvs_roots *roots, hvs_hvsocket_connected connected,
                 gpointer user_data)
{
    hvs_hvsocket *hvsocket = g_new0(hvs_hvsocket, 1);

    hvsocket->roots = roots;
    hvsocket->connected = connected;
    hvsocket->user_data = user_data;
    hvsocket->listener = -1;
    return hvsocket;
}

void
hvs_hvsocket_free(hvs_hvsocket *hvsocket)
{
    stop_listening(hvsocket);
    g_free(hvsocket->complaint);
    g_free(hvsocket);
}
