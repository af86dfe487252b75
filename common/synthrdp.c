#include "synthrdp.h"
#include "wire.h"

#include <string.h>

const struct hvs_guid hvs_synthrdp_control_class = {
    0xf8e65716, 0x3cb3, 0x4a06, { 0x9a, 0x60, 0x18, 0x89, 0xc5, 0xcc, 0xca, 0xb5 }
};
const struct hvs_guid hvs_synthrdp_data_class = {
    0xf9e9c0d3, 0xb511, 0x4a48, { 0x80, 0x46, 0xd3, 0x80, 0x79, 0xa8, 0x83, 0x0c }
};
/* Of the control channel. Those of the data channels count on from it, in data1. */
static const struct hvs_guid first_instance = {
    0x99221fa0, 0x24ad, 0x11e2, { 0xbe, 0x98, 0x00, 0x1a, 0xa0, 0x1b, 0xbf, 0x6e }
};

/* The message header: u32 type, u32 size. */
#define MESSAGE_HEADER_SIZE 8u
enum message_type {
    MESSAGE_ERROR = 0,
    MESSAGE_VERSION_REQUEST = 1,
    MESSAGE_VERSION_RESPONSE = 2,
};
/* Behind the header of both version messages: u32 version, u32 reserved. The response has one byte
 * more. */
#define VERSION_OFFSET   8u
#define RESERVED_OFFSET  12u
#define ACCEPTED_OFFSET  16u
#define VERSION_ACCEPTED 2u

struct hvs_guid
hvs_synthrdp_instance(unsigned channel)
{
    struct hvs_guid instance = first_instance;

    instance.data1 += channel;
    return instance;
}

const struct hvs_guid *
hvs_synthrdp_class(unsigned channel)
{
    return channel == HVS_CONTROL_CHANNEL ? &hvs_synthrdp_control_class : &hvs_synthrdp_data_class;
}

int
hvs_synthrdp_channel_of(const struct hvs_guid *instance)
{
    for (unsigned channel = 0; channel < HVS_CHANNELS; channel++) {
        struct hvs_guid candidate = hvs_synthrdp_instance(channel);

        if (hvs_guid_equal(instance, &candidate)) {
            return (int)channel;
        }
    }
    return -1;
}

void
hvs_control_init(struct hvs_control *control)
{
    *control = (struct hvs_control){ .state = HVS_CONTROL_NOT_OFFERED };
}

enum hvs_control_action
hvs_control_offered(struct hvs_control *control, uint64_t now)
{
    (void)now;
    if (control->state != HVS_CONTROL_NOT_OFFERED) {
        return HVS_CONTROL_DO_NOTHING;
    }
    hvs_control_init(control);
    control->state = HVS_CONTROL_OFFERED;
    return HVS_CONTROL_DO_OPEN;
}

static enum hvs_control_action
begin_attempt(struct hvs_control *control, uint64_t now)
{
    control->state = HVS_CONTROL_NEGOTIATING;
    control->attempts++;
    control->deadline = now + HVS_SYNTHRDP_ANSWER_TIMEOUT;
    return HVS_CONTROL_DO_SEND;
}

/* The attempt came to nothing; the next one is due after a pause that doubles every time. */
static void
schedule_retry(struct hvs_control *control, enum hvs_control_state state,
               enum hvs_control_problem problem, uint64_t now)
{
    uint64_t pause = HVS_SYNTHRDP_BACKOFF_FIRST;

    for (unsigned i = 0; i < control->failures && pause < HVS_SYNTHRDP_BACKOFF_MAX; i++) {
        pause *= 2;
    }
    if (pause > HVS_SYNTHRDP_BACKOFF_MAX) {
        pause = HVS_SYNTHRDP_BACKOFF_MAX;
    }
    control->failures++;
    control->state = state;
    control->problem = problem;
    control->deadline = now + pause;
}

enum hvs_control_action
hvs_control_opened(struct hvs_control *control, uint64_t now)
{
    if (control->state != HVS_CONTROL_OFFERED) {
        return HVS_CONTROL_DO_NOTHING;
    }
    control->channel_open = true;
    return begin_attempt(control, now);
}

enum hvs_control_action
hvs_control_failed(struct hvs_control *control, uint64_t now)
{
    if (control->state == HVS_CONTROL_NOT_OFFERED) {
        return HVS_CONTROL_DO_NOTHING;
    }
    if (!control->channel_open) {
        control->attempts++;
    }
    control->channel_open = false;
    schedule_retry(control, HVS_CONTROL_OFFERED, HVS_CONTROL_OPEN_FAILED, now);
    return HVS_CONTROL_DO_NOTHING;
}

static enum hvs_control_problem
read_message(struct hvs_control *control, const uint8_t *message, size_t length)
{
    uint32_t version;

    if (length < MESSAGE_HEADER_SIZE) {
        return HVS_CONTROL_BAD_MESSAGE;
    }
    if (hvs_read_u32_le(message) == MESSAGE_ERROR) {
        return HVS_CONTROL_HOST_ERROR;
    }
    if (hvs_read_u32_le(message) != MESSAGE_VERSION_RESPONSE ||
        length < HVS_SYNTHRDP_RESPONSE_SIZE) {
        return HVS_CONTROL_BAD_MESSAGE;
    }
    version = hvs_read_u32_le(message + VERSION_OFFSET);
    control->host_major = (uint16_t)version;
    control->host_minor = (uint16_t)(version >> 16);
    control->host_accepted = message[ACCEPTED_OFFSET];
    return control->host_accepted == VERSION_ACCEPTED ? HVS_CONTROL_NO_PROBLEM
                                                      : HVS_CONTROL_REFUSED;
}

enum hvs_control_action
hvs_control_received(struct hvs_control *control, const uint8_t *message, size_t length,
                     uint64_t now)
{
    enum hvs_control_problem problem;

    if (control->state != HVS_CONTROL_NEGOTIATING && control->state != HVS_CONTROL_WAITING) {
        return HVS_CONTROL_DO_NOTHING;
    }
    problem = read_message(control, message, length);
    if (problem == HVS_CONTROL_NO_PROBLEM) {
        control->state = HVS_CONTROL_READY;
        control->problem = HVS_CONTROL_NO_PROBLEM;
        control->deadline = 0;
        control->attempts = 0;
        control->failures = 0;
    } else if (control->state == HVS_CONTROL_NEGOTIATING) {
        schedule_retry(control, HVS_CONTROL_WAITING, problem, now);
    } else {
        /* The retry is scheduled already: a host that goes on complaining must not put it off. */
        control->problem = problem;
    }
    return HVS_CONTROL_DO_NOTHING;
}

enum hvs_control_action
hvs_control_timeout(struct hvs_control *control, uint64_t now)
{
    if (control->deadline == 0 || now < control->deadline) {
        return HVS_CONTROL_DO_NOTHING;
    }
    control->deadline = 0;
    switch (control->state) {
    case HVS_CONTROL_OFFERED:
        return HVS_CONTROL_DO_OPEN;
    case HVS_CONTROL_NEGOTIATING:
        schedule_retry(control, HVS_CONTROL_WAITING, HVS_CONTROL_NO_ANSWER, now);
        return HVS_CONTROL_DO_NOTHING;
    case HVS_CONTROL_WAITING:
        return begin_attempt(control, now);
    case HVS_CONTROL_NOT_OFFERED:
    case HVS_CONTROL_READY:
        break;
    }
    return HVS_CONTROL_DO_NOTHING;
}

void
hvs_control_rescinded(struct hvs_control *control)
{
    hvs_control_init(control);
}

void
hvs_control_request(uint8_t request[HVS_SYNTHRDP_REQUEST_SIZE])
{
    hvs_write_u32_le(request, MESSAGE_VERSION_REQUEST);
    hvs_write_u32_le(request + 4, HVS_SYNTHRDP_REQUEST_SIZE);
    hvs_write_u32_le(request + VERSION_OFFSET,
                     HVS_SYNTHRDP_VERSION_MINOR << 16 | HVS_SYNTHRDP_VERSION_MAJOR);
    hvs_write_u32_le(request + RESERVED_OFFSET, 0);
}

const char *
hvs_control_state_to_string(enum hvs_control_state state)
{
    switch (state) {
    case HVS_CONTROL_NOT_OFFERED:
        return "not-offered";
    case HVS_CONTROL_OFFERED:
        return "offered";
    case HVS_CONTROL_NEGOTIATING:
        return "negotiating";
    case HVS_CONTROL_WAITING:
        return "waiting";
    case HVS_CONTROL_READY:
        return "ready";
    }
    return "unknown";
}

const char *
hvs_control_problem_to_string(enum hvs_control_problem problem)
{
    switch (problem) {
    case HVS_CONTROL_NO_PROBLEM:
        return "no problem";
    case HVS_CONTROL_NO_ANSWER:
        return "the host did not answer the version request";
    case HVS_CONTROL_REFUSED:
        return "the host refused version 1.0 of the protocol";
    case HVS_CONTROL_HOST_ERROR:
        return "the host answered the version request with an error";
    case HVS_CONTROL_BAD_MESSAGE:
        return "the host sent a message that is not a version response";
    case HVS_CONTROL_OPEN_FAILED:
        return "the control channel could not be opened or broke";
    }
    return "unknown problem";
}

static const char *const problem_words[] = {
    [HVS_CONTROL_NO_PROBLEM] = NULL,           [HVS_CONTROL_NO_ANSWER] = "no-answer",
    [HVS_CONTROL_REFUSED] = "refused",         [HVS_CONTROL_HOST_ERROR] = "host-error",
    [HVS_CONTROL_BAD_MESSAGE] = "bad-message", [HVS_CONTROL_OPEN_FAILED] = "open-failed",
};
#define PROBLEMS (sizeof(problem_words) / sizeof(problem_words)[0])

const char *
hvs_control_problem_to_word(enum hvs_control_problem problem)
{
    return (size_t)problem < PROBLEMS ? problem_words[problem] : NULL;
}

enum hvs_control_problem
hvs_control_problem_from_word(const char *word)
{
    for (size_t i = 1; i < PROBLEMS; i++)
        if (strcmp(word, problem_words[i]) == 0)
            return (enum hvs_control_problem)i;
    return HVS_CONTROL_NO_PROBLEM;
}
