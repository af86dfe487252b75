#include "control.h"

#include "log.h"
#include "pipe.h"
#include "relay.h"

#include <errno.h>
#include <glib-unix.h>

/* Longer messages than any that is known are cut. */
#define MESSAGE_MAX 64u

struct hvs_control_channel {
    hvs_offers            *offers;
    struct hvs_control     state;
    struct hvs_channel     channel;
    struct hvs_pipe_reader reader;
    GSource               *watch; /* of the channel's descriptor */
    GSource               *timer; /* for the deadline */
    char                  *error;
    void (*changed)(gpointer);
    gpointer user_data;
};

static void act(hvs_control_channel *control, enum hvs_control_action action);

static void
clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static void
close_channel(hvs_control_channel *control)
{
    clear_source(&control->watch);
    hvs_channel_close(&control->channel);
}

static enum hvs_control_action
fail(hvs_control_channel *control, const char *what)
{
    if (g_strcmp0(control->error, what) != 0) {
        hvs_log(HVS_LOG_WARNING, "control channel: %s; trying again", what);
        g_free(control->error);
        control->error = g_strdup(what);
    }
    close_channel(control);
    return hvs_control_failed(&control->state, hvs_relay_now());
}

static enum hvs_control_action
fail_errno(hvs_control_channel *control, const char *what, int error)
{
    g_autofree char *sentence = g_strdup_printf("%s: %s", what, g_strerror(error));

    return fail(control, sentence);
}

/* A problem is told once, not at every attempt; fail() has told those with the channel. */
static void
log_change(hvs_control_channel *control, const struct hvs_control *before)
{
    const struct hvs_control *now = &control->state;

    if (now->state == HVS_CONTROL_READY && before->state != HVS_CONTROL_READY) {
        g_clear_pointer(&control->error, g_free);
        hvs_log(HVS_LOG_NOTICE, "ready: the host supports Enhanced Session, protocol %u.%u",
                now->host_major, now->host_minor);
    } else if (now->problem != before->problem && now->problem != HVS_CONTROL_NO_PROBLEM &&
               now->problem != HVS_CONTROL_OPEN_FAILED) {
        hvs_log(HVS_LOG_WARNING, "control channel: %s; trying again",
                hvs_control_problem_to_string(now->problem));
    }
}

static enum hvs_control_action
receive_messages(hvs_control_channel *control)
{
    uint8_t message[MESSAGE_MAX];
    size_t length;
    bool signal;

    for (;;) {
        struct hvs_control before = control->state;

        switch (hvs_pipe_read_message(&control->reader, message, sizeof(message), &length,
                                      &signal)) {
        case HVS_PIPE_OK:
            break;
        case HVS_PIPE_EMPTY:
            if (hvs_ring_prepare_to_wait(&control->channel.in))
                return HVS_CONTROL_DO_NOTHING;
            continue;
        case HVS_PIPE_PROTOCOL:
            return fail(control, control->reader.complaint);
        default:
            return fail(control, "the ring is corrupt");
        }
        if (signal && !hvs_channel_signal(&control->channel))
            return fail(control, "the host has taken it away");
        if (length == 0)
            continue; /* says nothing */
        hvs_control_received(&control->state, message, MIN(length, sizeof(message)),
                             hvs_relay_now());
        log_change(control, &before);
    }
}

static gboolean
on_channel(int fd, GIOCondition condition, gpointer user_data)
{
    hvs_control_channel *control = user_data;
    enum hvs_channel_event event;

    (void)fd;
    event = condition & (G_IO_ERR | G_IO_HUP) ? HVS_CHANNEL_GONE :
                                                hvs_channel_take_signal(&control->channel);
    switch (event) {
    case HVS_CHANNEL_GONE:
        /* The offer's end follows by way of offers; until then there is nothing to retry. */
        hvs_log(HVS_LOG_NOTICE, "control channel: the host has taken it away");
        hvs_control_channel_rescinded(control);
        return G_SOURCE_REMOVE;
    case HVS_CHANNEL_BROKEN:
        act(control, fail_errno(control, "reading the channel", errno));
        return G_SOURCE_REMOVE;
    default:
        act(control, receive_messages(control));
        return G_SOURCE_CONTINUE;
    }
}

static enum hvs_control_action
open_channel(hvs_control_channel *control)
{
    g_autoptr(GError) error = NULL;

    if (!hvs_offers_open(control->offers, HVS_CONTROL_CHANNEL, &control->channel, &error)) {
        if (g_error_matches(error, HVS_OFFERS_ERROR, HVS_OFFERS_ERROR_GONE)) {
            g_clear_pointer(&control->error, g_free);
            hvs_control_rescinded(&control->state);
            return HVS_CONTROL_DO_NOTHING;
        }
        return fail(control, error->message);
    }
    hvs_pipe_reader_init(&control->reader, &control->channel.in);
    control->watch = g_unix_fd_source_new(control->channel.fd, G_IO_IN);
    g_source_set_callback(control->watch, G_SOURCE_FUNC(on_channel), control, NULL);
    g_source_attach(control->watch, NULL);
    return hvs_control_opened(&control->state, hvs_relay_now());
}

static enum hvs_control_action
send_request(hvs_control_channel *control)
{
    uint8_t request[HVS_SYNTHRDP_REQUEST_SIZE];
    bool signal;

    hvs_control_request(request);
    switch (hvs_pipe_write(&control->channel.out, request, sizeof(request), &signal)) {
    case HVS_PIPE_OK:
        break;
    case HVS_PIPE_FULL:
        return fail(control, "the host does not read what we send");
    default:
        return fail(control, "the ring is corrupt");
    }
    if (signal && !hvs_channel_signal(&control->channel))
        return fail(control, "the host has taken it away");
    /* From here on the answer interrupts; one that is there already is read at once. */
    return receive_messages(control);
}

static gboolean
on_deadline(gpointer user_data)
{
    hvs_control_channel *control = user_data;
    struct hvs_control before = control->state;
    enum hvs_control_action action;

    clear_source(&control->timer);
    action = hvs_control_timeout(&control->state, hvs_relay_now());
    log_change(control, &before);
    act(control, action);
    return G_SOURCE_REMOVE;
}

static void
set_timer(hvs_control_channel *control)
{
    uint64_t now = hvs_relay_now(), deadline = control->state.deadline;

    clear_source(&control->timer);
    if (deadline == 0)
        return;
    control->timer = g_timeout_source_new(deadline > now ? (guint)(deadline - now) : 0);
    g_source_set_callback(control->timer, on_deadline, control, NULL);
    g_source_attach(control->timer, NULL);
}

static void
act(hvs_control_channel *control, enum hvs_control_action action)
{
    while (action != HVS_CONTROL_DO_NOTHING)
        action = action == HVS_CONTROL_DO_OPEN ? open_channel(control) : send_request(control);
    set_timer(control);
    control->changed(control->user_data);
}

hvs_control_channel *
hvs_control_channel_new(hvs_offers *offers, void (*changed)(gpointer), gpointer user_data)
{
    hvs_control_channel *control = g_new0(hvs_control_channel, 1);

    control->offers = offers;
    control->channel.fd = -1;
    control->changed = changed;
    control->user_data = user_data;
    hvs_control_init(&control->state);
    return control;
}

void
hvs_control_channel_free(hvs_control_channel *control)
{
    close_channel(control);
    clear_source(&control->timer);
    g_free(control->error);
    g_free(control);
}

void
hvs_control_channel_offered(hvs_control_channel *control)
{
    if (control->channel.fd >= 0) {
        /* Offered anew before its end was seen: the old channel is dead. */
        close_channel(control);
        hvs_control_rescinded(&control->state);
    }
    act(control, hvs_control_offered(&control->state, hvs_relay_now()));
}

void
hvs_control_channel_rescinded(hvs_control_channel *control)
{
    close_channel(control);
    g_clear_pointer(&control->error, g_free);
    hvs_control_rescinded(&control->state);
    act(control, HVS_CONTROL_DO_NOTHING);
}

const struct hvs_control *
hvs_control_channel_state(const hvs_control_channel *control)
{
    return &control->state;
}

const char *
hvs_control_channel_error(const hvs_control_channel *control)
{
    return control->channel.fd >= 0 ? NULL : control->error;
}

bool
hvs_control_channel_is_open(const hvs_control_channel *control)
{
    return control->channel.fd >= 0;
}
