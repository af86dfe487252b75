/* What the notification-area app shows, apart from how: read from the service's documents, the
 * status (common/status.h) and the diagnosis (common/diagnosis.h).
 *
 * ISO C11, no OS header, no heap, no I/O, like common/. Strings are UTF-8; a string that is too
 * long is cut between two characters. What a document of a newer service says that is not known
 * here is taken for the nearest that is.
 */
#ifndef HVS_WINDOWS_TRAY_MODEL_H
#define HVS_WINDOWS_TRAY_MODEL_H

#include "common/diagnosis.h"
#include "common/status.h"

/* ---- the status ---- */

/* The four states that people see. */
enum hvs_light {
    HVS_LIGHT_UNAVAILABLE, /* no service, no offer of the host, or not agreed upon yet */
    HVS_LIGHT_PROBLEM,
    HVS_LIGHT_READY,
    HVS_LIGHT_WORKING, /* with sessions */
};
#define HVS_LIGHTS (HVS_LIGHT_WORKING + 1)

/* What there is to tell of the service itself. */
enum hvs_service {
    HVS_SERVICE_UNKNOWN, /* it has not answered yet */
    HVS_SERVICE_ABSENT,  /* not installed */
    HVS_SERVICE_DOWN,
    HVS_SERVICE_BUSY, /* too many programs watch it */
    HVS_SERVICE_UP,
};

#define HVS_MODEL_SENTENCE_MAX 512

struct hvs_model_session {
    uint32_t               id;
    unsigned               channel; /* 0: not a VMBus channel */
    enum hvs_session_state state;
    uint64_t               started_ago, ended_ago, duration; /* milliseconds */
    uint64_t               bytes_to_host, bytes_to_server;
    char                   server[HVS_SESSION_SERVER_MAX]; /* "" so far */
    enum hvs_end_reason    reason;
    char                   reason_text[HVS_MODEL_SENTENCE_MAX]; /* "" while it lives */
    char                   detail[HVS_MODEL_SENTENCE_MAX];
    bool                   trouble;
    char                   client[HVS_CLIENT_NAME_MAX]; /* "": not known */
    unsigned               width, height, colours;      /* bits a pixel; 0: not known */
    bool                   channels_known;              /* the next three are */
    bool                   clipboard, drives, sound;
};

struct hvs_model {
    enum hvs_service         service;
    /* All that follows is zero unless the service is up. */
    char                     version[32];
    enum hvs_overall         overall;
    char                     summary[HVS_MODEL_SENTENCE_MAX];
    char                     problem[HVS_MODEL_SENTENCE_MAX]; /* "": none */
    /* What keeps a service that is ready from being of use: not the document's, but
     * hvs_model_judge()'s. "": nothing that is known. */
    char                     obstacle[HVS_MODEL_SENTENCE_MAX];
    uint64_t                 uptime;
    enum hvs_control_state   control;
    enum hvs_control_problem control_problem;
    char                     protocol[16]; /* "1.0"; "": not agreed upon */
    uint64_t                 next_attempt; /* milliseconds from then; 0: none is due */
    enum hvs_channel_state   channels[HVS_CHANNELS];
    uint64_t                 sessions_total;
    struct hvs_model_session sessions[HVS_DATA_CHANNELS]; /* as the document has them */
    unsigned                 session_count;
    struct hvs_model_session ended[HVS_STATUS_ENDED_MAX]; /* the newest first */
    unsigned                 ended_count;
};

/* Values that hold any document of the service. */
#define HVS_MODEL_VALUES_MAX 4096
struct hvs_json;

/* Reads a status document, which is changed by that; values: HVS_MODEL_VALUES_MAX of them to work
 * with. false: it is none, and the model is that of a service that is up and says nothing. */
bool hvs_model_read(struct hvs_model *model, char *document, size_t length,
                    struct hvs_json *values);
/* Without a document. */
void hvs_model_set_service(struct hvs_model *model, enum hvs_service service);

enum hvs_light hvs_model_light(const struct hvs_model *model);
/* What is wrong, "": nothing. */
const char *hvs_model_problem(const struct hvs_model *model);
/* NULL: it does not live (any more). */
const struct hvs_model_session *hvs_model_find(const struct hvs_model *model, uint32_t id);

/* Bytes a second that went one way between two looks at a session, elapsed milliseconds apart; 0 if
 * no time has passed or the counter has gone back (another service). */
uint64_t hvs_model_rate(uint64_t before, uint64_t now, uint64_t elapsed);

/* ---- what is worth a notification ---- */

enum hvs_event_kind { HVS_EVENT_CONNECTED, HVS_EVENT_ENDED, HVS_EVENT_PROBLEM };

struct hvs_event {
    enum hvs_event_kind             kind;
    const struct hvs_model_session *session; /* of the later model; NULL for a problem */
};

/* What happened from one model to the next: sessions that became active, ends of those that had
 * been (or ended in trouble), then a new problem. Nothing if the service was not up before: what is
 * there then is not news. At most HVS_EVENTS_MAX; returns how many. */
#define HVS_EVENTS_MAX (HVS_DATA_CHANNELS + HVS_STATUS_ENDED_MAX + 1)
unsigned hvs_model_compare(const struct hvs_model *before, const struct hvs_model *now,
                           struct hvs_event events[HVS_EVENTS_MAX]);

/* ---- the diagnosis ---- */

struct hvs_view_step {
    enum hvs_place where;
    const char    *note;    /* NULL: none */
    const char    *command; /* NULL: nothing to type */
};

struct hvs_view_finding {
    const char          *code, *name, *sentence, *why; /* never NULL */
    enum hvs_severity    severity;
    struct hvs_view_step steps[HVS_FIX_MAX];
    unsigned             step_count;
};

/* Strings belong to the document. */
struct hvs_view {
    const char             *summary; /* NULL: nothing was diagnosed */
    enum hvs_verdict        verdict;
    struct hvs_view_finding findings[HVS_FINDINGS_MAX];
    unsigned                count;
    enum hvs_answer         hyper_v; /* this machine is a guest of it */
    enum hvs_answer         server_listening;
    const char             *server;  /* as configured; NULL: not known */
    const char             *vm_name, *host_name; /* NULL: not known */
};

/* Likewise for a diagnosis; the document has to stay. false: it is none, and nothing is in view. */
bool hvs_view_read(struct hvs_view *view, char *document, size_t length, struct hvs_json *values);
/* Takes over what the diagnosis says of the service: the first error, if it is one of Enhanced
 * Session itself. That this is no guest, or nothing is offered, the service knows better by what it
 * does. */
void hvs_model_judge(struct hvs_model *model, const struct hvs_view *view);
/* How many are errors or warnings. */
unsigned hvs_view_problems(const struct hvs_view *view);
/* The commands of a finding's fix, a line each; notes go before them as comments of the shell that
 * the commands are for ("# …" of PowerShell on the host, "rem …" of the guest's prompt). Empty if
 * there is nothing to do. */
void hvs_view_print_fix(const struct hvs_view_finding *finding, const char *newline,
                        struct hvs_text *out);

#endif
