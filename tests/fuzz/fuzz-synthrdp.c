/* Any sequence of events on the control channel, with any messages of the host.
 *
 * Input: steps of one byte each, the event in the low three bits; a message takes its length from
 * the upper five and its bytes from what follows.
 *
 * Shown, besides the absence of crashes: a deadline is there exactly when one is needed, never more
 * than the longest pause away, so that the exchange never stalls; no message ends READY; and only
 * an acceptance begins it.
 */
#include "common/synthrdp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum event {
    EVENT_OFFERED,
    EVENT_OPENED,
    EVENT_FAILED,
    EVENT_MESSAGE,
    EVENT_DEADLINE,
    EVENT_EARLY,
    EVENT_RESCINDED,
    EVENT_ACCEPTANCE,
};

static const uint8_t acceptance[] = { 2, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 };

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

struct run {
    struct hvs_control control;
    enum hvs_control_action action; /* the last one */
    uint64_t now;
};

/* In memory that ends where the message ends. */
static void
message(struct run *run, const uint8_t *bytes, size_t length)
{
    bool was_ready = run->control.state == HVS_CONTROL_READY;
    bool was_not_open =
        run->control.state == HVS_CONTROL_NOT_OFFERED || run->control.state == HVS_CONTROL_OFFERED;
    uint8_t *copy = malloc(length > 0 ? length : 1);

    require(copy != NULL);
    memcpy(copy, bytes, length);
    run->action = hvs_control_received(&run->control, copy, length, run->now);
    require(run->action == HVS_CONTROL_DO_NOTHING);
    require(!was_ready || run->control.state == HVS_CONTROL_READY);
    require(!was_not_open || run->control.state != HVS_CONTROL_READY);
    if (!was_ready && run->control.state == HVS_CONTROL_READY) {
        require(length >= HVS_SYNTHRDP_RESPONSE_SIZE && copy[0] == 2 && copy[16] == 2);
    }
    free(copy);
}

static void
step(struct run *run, enum event event)
{
    struct hvs_control *control = &run->control;

    switch (event) {
    case EVENT_OFFERED:
        run->action = hvs_control_offered(control, run->now);
        break;
    case EVENT_OPENED:
        run->action = hvs_control_opened(control, run->now);
        break;
    case EVENT_FAILED:
        run->action = hvs_control_failed(control, run->now);
        break;
    case EVENT_DEADLINE:
        if (control->deadline != 0) {
            run->now = control->deadline;
        }
        run->action = hvs_control_timeout(control, run->now);
        break;
    case EVENT_EARLY:
        if (control->deadline > run->now + 1) {
            run->action = hvs_control_timeout(control, control->deadline - 1);
            require(run->action == HVS_CONTROL_DO_NOTHING);
        }
        break;
    case EVENT_RESCINDED:
        hvs_control_rescinded(control);
        run->action = HVS_CONTROL_DO_NOTHING;
        require(control->state == HVS_CONTROL_NOT_OFFERED);
        break;
    case EVENT_MESSAGE:
    case EVENT_ACCEPTANCE:
        break;
    }
}

static void
check(const struct run *run)
{
    const struct hvs_control *control = &run->control;

    require(hvs_control_state_to_string(control->state) != NULL);
    require(hvs_control_problem_to_string(control->problem) != NULL);
    require(control->deadline == 0 || control->deadline - run->now <= HVS_SYNTHRDP_BACKOFF_MAX);
    require((run->action == HVS_CONTROL_DO_SEND) <= (control->state == HVS_CONTROL_NEGOTIATING));
    require((run->action == HVS_CONTROL_DO_OPEN) <= (control->state == HVS_CONTROL_OFFERED));
    switch (control->state) {
    case HVS_CONTROL_NEGOTIATING:
    case HVS_CONTROL_WAITING:
        require(control->deadline != 0);
        break;
    case HVS_CONTROL_OFFERED:
        break; /* none while the caller is asked to open */
    case HVS_CONTROL_READY:
        require(control->problem == HVS_CONTROL_NO_PROBLEM);
        require(control->host_accepted == 2);
        require(control->deadline == 0);
        break;
    case HVS_CONTROL_NOT_OFFERED:
        require(control->deadline == 0);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = { .now = 1000 };

    hvs_control_init(&run.control);
    while (size > 0) {
        enum event event = (enum event)(data[0] & 7);
        size_t length = data[0] >> 3;

        data++;
        size--;
        run.now += 10;
        run.action = HVS_CONTROL_DO_NOTHING;
        if (run.control.deadline != 0 && run.now > run.control.deadline) {
            run.now = run.control.deadline;
        }
        if (event == EVENT_MESSAGE) {
            length = length < size ? length : size;
            message(&run, data, length);
            data += length;
            size -= length;
        } else if (event == EVENT_ACCEPTANCE) {
            message(&run, acceptance, sizeof acceptance);
        } else {
            step(&run, event);
        }
        check(&run);
    }
    return 0;
}
