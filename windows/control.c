#include "control.h"

#include "clock.h"
#include "log.h"
#include "pipe.h"
#include "vmbuspipe.h"
#include "wide.h"

#include <stdlib.h>
#include <string.h>

/* Longer messages than any that is known are cut. */
#define MESSAGE_MAX 64u
/* An offer that leads nowhere, and one that outlives its channel, are looked at again after that
 * pause: mostly the host takes them back at once. In milliseconds. */
#define WATCH_PAUSE 1000u

struct hvs_control_channel {
    struct hvs_offers        *offers;
    struct hvs_control        state;
    HANDLE                    pipe; /* NULL: not open */
    struct hvs_pipe_operation read, write;
    uint8_t                   message[MESSAGE_MAX];
    bool                      message_cut; /* what follows is the rest of a message */
    uint8_t                   request[HVS_SYNTHRDP_REQUEST_SIZE];
    uint64_t                  watch_at; /* when to look for a new offer; 0: not, or looking */
    char                      error[400];
    void (*changed)(void *);
    void *user_data;
};

static void act(struct hvs_control_channel *control, enum hvs_control_action action);

static void
close_channel(struct hvs_control_channel *control)
{
    struct hvs_pipe_operation *const operations[] = { &control->read, &control->write };

    if (control->pipe == NULL)
        return;
    if (!hvs_pipe_cancel(control->pipe, operations, ARRAYSIZE(operations)))
        hvs_log(HVS_LOG_ERROR, "control channel: the VMBus driver does not give back what was "
                               "cancelled");
    CloseHandle(control->pipe);
    control->pipe = NULL;
    control->message_cut = false;
}

/* The host has taken it back, or it leads nowhere. */
static enum hvs_control_action
lose(struct hvs_control_channel *control)
{
    close_channel(control);
    control->error[0] = '\0';
    hvs_control_rescinded(&control->state);
    control->watch_at = hvs_clock_now() + WATCH_PAUSE;
    return HVS_CONTROL_DO_NOTHING;
}

static enum hvs_control_action
fail(struct hvs_control_channel *control, const char *what, DWORD error)
{
    char sentence[sizeof control->error];
    struct hvs_text text;

    hvs_text_init(&text, sentence, sizeof sentence);
    hvs_text_add(&text, what);
    if (error != ERROR_SUCCESS) {
        hvs_text_add(&text, ": ");
        hvs_wide_add_error(&text, error);
    }
    if (strcmp(control->error, sentence) != 0) {
        hvs_log(HVS_LOG_WARNING, "control channel: %s; trying again", sentence);
        memcpy(control->error, sentence, sizeof sentence);
    }
    close_channel(control);
    return hvs_control_failed(&control->state, hvs_clock_now());
}

static enum hvs_control_action
fail_or_lose(struct hvs_control_channel *control, const char *what, DWORD error)
{
    if (!hvs_vmbuspipe_is_gone(error))
        return fail(control, what, error);
    hvs_log(HVS_LOG_NOTICE, "control channel: the host has taken it away");
    return lose(control);
}

/* A problem is told once, not at every attempt; fail() has told those with the channel. */
static void
log_change(struct hvs_control_channel *control, const struct hvs_control *before)
{
    const struct hvs_control *now = &control->state;

    if (now->state == HVS_CONTROL_READY && before->state != HVS_CONTROL_READY) {
        control->error[0] = '\0';
        hvs_log(HVS_LOG_NOTICE, "ready: the host supports Enhanced Session, protocol %u.%u",
                now->host_major, now->host_minor);
    } else if (now->problem != before->problem && now->problem != HVS_CONTROL_NO_PROBLEM &&
               now->problem != HVS_CONTROL_OPEN_FAILED) {
        hvs_log(HVS_LOG_WARNING, "control channel: %s; trying again",
                hvs_control_problem_to_string(now->problem));
    }
}

static enum hvs_control_action
read_on(struct hvs_control_channel *control)
{
    DWORD error = hvs_pipe_read(control->pipe, &control->read, control->message,
                                sizeof control->message);

    return error == ERROR_SUCCESS ? HVS_CONTROL_DO_NOTHING
                                  : fail_or_lose(control, "reading the channel", error);
}

static enum hvs_control_action
open_channel(struct hvs_control_channel *control)
{
    enum hvs_control_action action;
    DWORD error;

    if (control->read.pending || control->write.pending)
        return fail(control, "the VMBus driver does not give back what was cancelled; restart this "
                             "machine", ERROR_SUCCESS);
    error = hvs_offers_open(control->offers, HVS_CONTROL_CHANNEL, &control->pipe);
    if (error != ERROR_SUCCESS)
        return hvs_vmbuspipe_is_gone(error) ? lose(control)
                                            : fail(control, "opening the channel", error);
    action = read_on(control);
    if (control->pipe == NULL)
        return action;
    return hvs_control_opened(&control->state, hvs_clock_now());
}

static enum hvs_control_action
send_request(struct hvs_control_channel *control)
{
    DWORD error;

    if (control->write.pending)
        return fail(control, "the host does not read what we send", ERROR_SUCCESS);
    hvs_control_request(control->request);
    error = hvs_pipe_write(control->pipe, &control->write, control->request,
                           sizeof control->request);
    return error == ERROR_SUCCESS ? HVS_CONTROL_DO_NOTHING
                                  : fail_or_lose(control, "writing to the channel", error);
}

static enum hvs_control_action
take_message(struct hvs_control_channel *control)
{
    struct hvs_control before = control->state;
    DWORD moved, error = hvs_pipe_result(control->pipe, &control->read, &moved);
    bool rest = control->message_cut;

    if (error == ERROR_IO_INCOMPLETE)
        return HVS_CONTROL_DO_NOTHING;
    if (error != ERROR_SUCCESS && error != ERROR_MORE_DATA)
        return fail_or_lose(control, "reading the channel", error);
    control->message_cut = error == ERROR_MORE_DATA;
    /* No bytes say nothing, but a pipe that is over may say so that way, again and again. */
    if (moved == 0 && error == ERROR_SUCCESS)
        return fail_or_lose(control, "reading the channel", ERROR_BROKEN_PIPE);
    if (!rest) {
        hvs_control_received(&control->state, control->message, moved, hvs_clock_now());
        log_change(control, &before);
    }
    return read_on(control);
}

static enum hvs_control_action
take_written(struct hvs_control_channel *control)
{
    DWORD moved, error = hvs_pipe_result(control->pipe, &control->write, &moved);

    if (error == ERROR_SUCCESS || error == ERROR_IO_INCOMPLETE)
        return HVS_CONTROL_DO_NOTHING;
    return fail_or_lose(control, "writing to the channel", error);
}

static void
act(struct hvs_control_channel *control, enum hvs_control_action action)
{
    while (action != HVS_CONTROL_DO_NOTHING)
        action = action == HVS_CONTROL_DO_OPEN ? open_channel(control) : send_request(control);
    control->changed(control->user_data);
}

static void
act_on_deadline(struct hvs_control_channel *control)
{
    struct hvs_control before = control->state;
    enum hvs_control_action action = hvs_control_timeout(&control->state, hvs_clock_now());

    log_change(control, &before);
    if (action != HVS_CONTROL_DO_NOTHING || control->state.state != before.state)
        act(control, action);
}

void
hvs_control_channel_dispatch(struct hvs_control_channel *control)
{
    uint64_t now = hvs_clock_now();

    if (control->pipe != NULL && control->write.pending &&
        HasOverlappedIoCompleted(&control->write.overlapped))
        act(control, take_written(control));
    while (control->pipe != NULL && control->read.pending &&
           HasOverlappedIoCompleted(&control->read.overlapped))
        act(control, take_message(control));
    if (control->state.deadline != 0 && now >= control->state.deadline)
        act_on_deadline(control);
    if (control->watch_at != 0 && now >= control->watch_at) {
        control->watch_at = 0;
        hvs_offers_watch(control->offers, HVS_CONTROL_CHANNEL);
    }
}

unsigned
hvs_control_channel_handles(const struct hvs_control_channel *control,
                            HANDLE handles[HVS_CONTROL_HANDLES])
{
    unsigned count = 0;

    if (control->pipe != NULL && control->read.pending)
        handles[count++] = control->read.overlapped.hEvent;
    if (control->pipe != NULL && control->write.pending)
        handles[count++] = control->write.overlapped.hEvent;
    return count;
}

uint64_t
hvs_control_channel_deadline(const struct hvs_control_channel *control)
{
    uint64_t deadline = control->state.deadline;

    if (control->watch_at != 0 && (deadline == 0 || control->watch_at < deadline))
        deadline = control->watch_at;
    return deadline;
}

DWORD
hvs_control_channel_new(struct hvs_offers *offers, void (*changed)(void *user_data),
                        void *user_data, struct hvs_control_channel **control)
{
    struct hvs_control_channel *made = calloc(1, sizeof *made);
    DWORD error;

    *control = NULL;
    if (made == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    made->offers = offers;
    made->changed = changed;
    made->user_data = user_data;
    hvs_control_init(&made->state);
    error = hvs_pipe_operation_init(&made->read);
    if (error == ERROR_SUCCESS)
        error = hvs_pipe_operation_init(&made->write);
    if (error != ERROR_SUCCESS) {
        hvs_control_channel_free(made);
        return error;
    }
    hvs_offers_watch(offers, HVS_CONTROL_CHANNEL);
    *control = made;
    return ERROR_SUCCESS;
}

void
hvs_control_channel_free(struct hvs_control_channel *control)
{
    if (control == NULL)
        return;
    close_channel(control);
    /* The driver writes into what it has not given back. */
    if (control->read.pending || control->write.pending)
        return;
    hvs_pipe_operation_close(&control->read);
    hvs_pipe_operation_close(&control->write);
    free(control);
}

void
hvs_control_channel_offered(struct hvs_control_channel *control)
{
    control->watch_at = 0;
    act(control, hvs_control_offered(&control->state, hvs_clock_now()));
}

void
hvs_control_channel_renegotiate(struct hvs_control_channel *control)
{
    if (control->pipe == NULL)
        return;
    close_channel(control);
    hvs_control_rescinded(&control->state);
    act(control, hvs_control_offered(&control->state, hvs_clock_now()));
}

const struct hvs_control *
hvs_control_channel_state(const struct hvs_control_channel *control)
{
    return &control->state;
}

const char *
hvs_control_channel_error(const struct hvs_control_channel *control)
{
    return control->pipe != NULL || control->error[0] == '\0' ? NULL : control->error;
}

bool
hvs_control_channel_is_open(const struct hvs_control_channel *control)
{
    return control->pipe != NULL;
}
