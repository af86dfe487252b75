/* The synthetic RDP device: its channels, and the version exchange on the control channel.
 *
 * The exchange is a state machine without I/O: the caller opens the control channel, sends what it
 * is told to, feeds what arrives, and comes back when the deadline is over. Time is any monotonic
 * clock in milliseconds. Source: specs of the project, checked against existing tools and a host
 * in QEMU; there is no public specification.
 */
#ifndef HVS_COMMON_SYNTHRDP_H
#define HVS_COMMON_SYNTHRDP_H

#include "guid.h"

#include <stddef.h>

#define HVS_DATA_CHANNELS 5
/* Channel numbers used throughout: 0 is the control channel, 1 to 5 the data channels. */
#define HVS_CONTROL_CHANNEL 0u
#define HVS_CHANNELS (1u + HVS_DATA_CHANNELS)

extern const struct hvs_guid hvs_synthrdp_control_class;
extern const struct hvs_guid hvs_synthrdp_data_class;
/* channel: 0 … HVS_DATA_CHANNELS, not checked */
struct hvs_guid hvs_synthrdp_instance(unsigned channel);
/* The class of that channel number. */
const struct hvs_guid *hvs_synthrdp_class(unsigned channel);
/* The channel number of an instance, or −1. */
int hvs_synthrdp_channel_of(const struct hvs_guid *instance);

#define HVS_SYNTHRDP_REQUEST_SIZE 16u
#define HVS_SYNTHRDP_RESPONSE_SIZE 17u
#define HVS_SYNTHRDP_VERSION_MAJOR 1u
#define HVS_SYNTHRDP_VERSION_MINOR 0u

/* How long an answer may take, and how the pauses between attempts grow, in milliseconds. */
#define HVS_SYNTHRDP_ANSWER_TIMEOUT 5000u
#define HVS_SYNTHRDP_BACKOFF_FIRST 1000u
#define HVS_SYNTHRDP_BACKOFF_MAX 60000u

enum hvs_control_state {
    HVS_CONTROL_NOT_OFFERED, /* the host does not offer the control channel */
    HVS_CONTROL_OFFERED,     /* offered, not opened (yet, or the attempt failed) */
    HVS_CONTROL_NEGOTIATING, /* a version request is under way */
    HVS_CONTROL_WAITING,     /* no answer or a refusal; the next attempt is due at the deadline */
    HVS_CONTROL_READY,       /* the host accepted our version */
};

enum hvs_control_problem {
    HVS_CONTROL_NO_PROBLEM,
    HVS_CONTROL_NO_ANSWER,   /* nothing came within HVS_SYNTHRDP_ANSWER_TIMEOUT */
    HVS_CONTROL_REFUSED,     /* accepted was not 2 */
    HVS_CONTROL_HOST_ERROR,  /* a message of type 0 */
    HVS_CONTROL_BAD_MESSAGE, /* not a version response, or cut short */
    HVS_CONTROL_OPEN_FAILED, /* the caller could not open or use the channel */
};

enum hvs_control_action {
    HVS_CONTROL_DO_NOTHING,
    HVS_CONTROL_DO_SEND, /* send hvs_control_request() now */
    HVS_CONTROL_DO_OPEN, /* open the channel (again), then call hvs_control_opened() */
};

struct hvs_control {
    enum hvs_control_state   state;
    enum hvs_control_problem problem;  /* of the last attempt; cleared when READY */
    uint64_t                 deadline; /* call hvs_control_timeout() then; 0: none */
    unsigned                 attempts; /* since the offer or the last success */
    uint16_t                 host_major, host_minor; /* what the host answered */
    uint8_t                  host_accepted;          /* the byte as it came */
    bool                     channel_open;           /* private */
    unsigned                 failures;               /* in a row, sets the next pause; private */
};

void hvs_control_init(struct hvs_control *control);
/* The host offers the control channel: asks for DO_OPEN. An offer of what is offered already, with
 * no rescind between, changes nothing. */
enum hvs_control_action hvs_control_offered(struct hvs_control *control, uint64_t now);
/* The channel is open: asks for DO_SEND. DO_NOTHING: it is not wanted any more (rescinded in the
 * meantime), or open already. */
enum hvs_control_action hvs_control_opened(struct hvs_control *control, uint64_t now);
/* It could not be opened, or reading or writing failed; the caller has closed it. OFFERED again,
 * and DO_OPEN comes after a pause. */
enum hvs_control_action hvs_control_failed(struct hvs_control *control, uint64_t now);
/* One message of the host. An answer is taken whenever it comes, late ones too: an acceptance makes
 * READY of WAITING, anything else there only updates .problem and leaves the deadline alone. READY
 * is left by no message.
 *
 * A response is packed, 17 bytes; more are tolerated and not looked at (a host that pads the
 * structure, or adds to it), fewer are BAD_MESSAGE. The size field of the header is not looked at:
 * it is known to vary. A version response needs accepted = 2, whatever version it names. */
enum hvs_control_action hvs_control_received(struct hvs_control *control, const uint8_t *message,
                                             size_t length, uint64_t now);
/* The deadline is over. NEGOTIATING: no answer came, WAITING from now on. WAITING: DO_SEND, the
 * same request again. OFFERED: DO_OPEN. Called too early it does nothing.
 *
 * The pause before an attempt is 1 s after the first failure and doubles to at most 60 s; an
 * acceptance or a new offer starts over. */
enum hvs_control_action hvs_control_timeout(struct hvs_control *control, uint64_t now);
/* Taken back by the host: NOT_OFFERED, no deadline. */
void hvs_control_rescinded(struct hvs_control *control);

/* The version request as it is sent. */
void hvs_control_request(uint8_t request[HVS_SYNTHRDP_REQUEST_SIZE]);

/* Names for status ("ready") and clauses for people, without a full stop. Never NULL. */
const char *hvs_control_state_to_string(enum hvs_control_state state);
const char *hvs_control_problem_to_string(enum hvs_control_problem problem);
/* Its stable identifier, "no-answer"; NULL: no problem, or none that is known. */
const char *hvs_control_problem_to_word(enum hvs_control_problem problem);
/* NO_PROBLEM for a word that is none. */
enum hvs_control_problem hvs_control_problem_from_word(const char *word);

#endif
