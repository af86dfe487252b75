#include "model.h"

#include "json.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- reading ---- */

static void
copy(char *out, size_t size, const char *string)
{
    struct hvs_text text;

    hvs_text_init(&text, out, size);
    if (string != NULL)
        hvs_text_add(&text, string);
}

/* The value of an enumeration by the name that common/ gives it in documents. */
static unsigned
read_name(const char *name, const char *(*name_of)(unsigned value), unsigned count,
          unsigned otherwise)
{
    for (unsigned i = 0; name != NULL && i < count; i++)
        if (strcmp(name, name_of(i)) == 0)
            return i;
    return otherwise;
}

static const char *
overall_name(unsigned value)
{
    return hvs_overall_to_string((enum hvs_overall)value);
}

static const char *
control_name(unsigned value)
{
    return hvs_control_state_to_string((enum hvs_control_state)value);
}

static const char *
channel_name(unsigned value)
{
    return hvs_channel_state_to_string((enum hvs_channel_state)value);
}

static const char *
session_name(unsigned value)
{
    return hvs_session_state_to_string((enum hvs_session_state)value);
}

static const char *
reason_name(unsigned value)
{
    return hvs_end_reason_to_string((enum hvs_end_reason)value);
}

static const char *
severity_name(unsigned value)
{
    return hvs_severity_to_string((enum hvs_severity)value);
}

static const char *
verdict_name(unsigned value)
{
    return hvs_verdict_to_string((enum hvs_verdict)value);
}

static const char *
answer_name(unsigned value)
{
    return hvs_answer_to_string((enum hvs_answer)value);
}

/* As common/status.c names them. */
static const char *
control_problem_name(unsigned value)
{
    static const char *const names[] = { "", "no-answer", "refused", "host-error", "bad-message",
                                         "open-failed" };

    return value < COUNT(names) ? names[value] : "";
}

static void
read_client(struct hvs_model_session *session, const struct hvs_json *client)
{
    const struct hvs_json *channels = hvs_json_get(client, "static_channels");

    copy(session->client, sizeof session->client, hvs_json_get_string(client, "name"));
    session->width = (unsigned)hvs_json_get_number(client, "desktop_width");
    session->height = (unsigned)hvs_json_get_number(client, "desktop_height");
    session->colours = (unsigned)hvs_json_get_number(client, "colour_depth");
    for (const struct hvs_json *channel = hvs_json_first(channels); channel != NULL;
         channel = hvs_json_next(channels, channel)) {
        if (channel->string == NULL)
            continue;
        session->channels_known = true;
        session->clipboard |= strcmp(channel->string, "cliprdr") == 0;
        session->drives |= strcmp(channel->string, "rdpdr") == 0;
        session->sound |= strcmp(channel->string, "rdpsnd") == 0;
    }
}

static void
read_session(struct hvs_model_session *session, const struct hvs_json *value)
{
    const struct hvs_json *counters = hvs_json_get(value, "counters");
    const char *reason = hvs_json_get_string(value, "reason");

    session->id = (uint32_t)hvs_json_get_number(value, "id");
    session->channel = (unsigned)hvs_json_get_number(value, "channel");
    session->state = (enum hvs_session_state)read_name(
        hvs_json_get_string(value, "state"), session_name, HVS_SESSION_ENDED + 1,
        HVS_SESSION_ACTIVE);
    session->started_ago = hvs_json_get_number(value, "started_ms_ago");
    session->ended_ago = hvs_json_get_number(value, "ended_ms_ago");
    session->duration = hvs_json_get_number(value, "duration_ms");
    session->bytes_to_host = hvs_json_get_number(counters, "bytes_to_host");
    session->bytes_to_server = hvs_json_get_number(counters, "bytes_to_server");
    copy(session->server, sizeof session->server, hvs_json_get_string(value, "server"));
    session->reason =
        (enum hvs_end_reason)read_name(reason, reason_name, HVS_END_REASONS, HVS_END_NONE);
    copy(session->reason_text, sizeof session->reason_text,
         hvs_json_get_string(value, "reason_text"));
    copy(session->detail, sizeof session->detail, hvs_json_get_string(value, "detail"));
    session->trouble = hvs_json_get_bool(value, "trouble");
    read_client(session, hvs_json_get(value, "client"));
}

static unsigned
read_sessions(struct hvs_model_session *sessions, unsigned max, const struct hvs_json *array)
{
    unsigned count = 0;

    for (const struct hvs_json *value = hvs_json_first(array); value != NULL && count < max;
         value = hvs_json_next(array, value))
        read_session(&sessions[count++], value);
    return count;
}

static void
read_control(struct hvs_model *model, const struct hvs_json *control)
{
    model->control = (enum hvs_control_state)read_name(
        hvs_json_get_string(control, "state"), control_name, HVS_CONTROL_READY + 1,
        HVS_CONTROL_NOT_OFFERED);
    model->control_problem = (enum hvs_control_problem)read_name(
        hvs_json_get_string(control, "problem"), control_problem_name,
        HVS_CONTROL_OPEN_FAILED + 1, HVS_CONTROL_NO_PROBLEM);
    copy(model->protocol, sizeof model->protocol, hvs_json_get_string(control, "protocol"));
    model->next_attempt = hvs_json_get_number(control, "next_attempt_ms");
}

static void
read_channels(struct hvs_model *model, const struct hvs_json *channels)
{
    for (const struct hvs_json *channel = hvs_json_first(channels); channel != NULL;
         channel = hvs_json_next(channels, channel)) {
        uint64_t number = hvs_json_get_number(channel, "number");

        if (number < HVS_CHANNELS)
            model->channels[number] = (enum hvs_channel_state)read_name(
                hvs_json_get_string(channel, "state"), channel_name, HVS_CHANNEL_FAILED + 1,
                HVS_CHANNEL_NOT_OFFERED);
    }
}

void
hvs_model_set_service(struct hvs_model *model, enum hvs_service service)
{
    memset(model, 0, sizeof *model);
    model->service = service;
}

bool
hvs_model_read(struct hvs_model *model, char *document, size_t length, struct hvs_json *values)
{
    const char *state;

    hvs_model_set_service(model, HVS_SERVICE_UP);
    if (!hvs_json_read(document, length, values, HVS_MODEL_VALUES_MAX))
        return false;
    state = hvs_json_get_string(values, "state");
    if (state == NULL || hvs_json_get(values, "sessions") == NULL)
        return false;
    copy(model->version, sizeof model->version, hvs_json_get_string(values, "version"));
    model->overall = (enum hvs_overall)read_name(state, overall_name, HVS_OVERALL_ACTIVE + 1,
                                                 HVS_OVERALL_PROBLEM);
    copy(model->summary, sizeof model->summary, hvs_json_get_string(values, "summary"));
    copy(model->problem, sizeof model->problem, hvs_json_get_string(values, "problem"));
    model->uptime = hvs_json_get_number(values, "uptime_ms");
    read_control(model, hvs_json_get(values, "control"));
    read_channels(model, hvs_json_get(values, "channels"));
    model->sessions_total = hvs_json_get_number(values, "sessions_total");
    model->session_count = read_sessions(model->sessions, COUNT(model->sessions),
                                         hvs_json_get(values, "sessions"));
    model->ended_count =
        read_sessions(model->ended, COUNT(model->ended), hvs_json_get(values, "ended"));
    return true;
}

/* ---- looking at it ---- */

enum hvs_light
hvs_model_light(const struct hvs_model *model)
{
    if (model->service != HVS_SERVICE_UP)
        return HVS_LIGHT_UNAVAILABLE;
    switch (model->overall) {
    case HVS_OVERALL_NOT_OFFERED:
    case HVS_OVERALL_STARTING:
        return HVS_LIGHT_UNAVAILABLE;
    case HVS_OVERALL_PROBLEM:
        return HVS_LIGHT_PROBLEM;
    case HVS_OVERALL_READY:
        return model->obstacle[0] != '\0' ? HVS_LIGHT_PROBLEM : HVS_LIGHT_READY;
    case HVS_OVERALL_ACTIVE:
        return HVS_LIGHT_WORKING;
    }
    return HVS_LIGHT_PROBLEM;
}

const char *
hvs_model_problem(const struct hvs_model *model)
{
    return model->problem[0] == '\0' && model->overall == HVS_OVERALL_READY ? model->obstacle
                                                                            : model->problem;
}

const struct hvs_model_session *
hvs_model_find(const struct hvs_model *model, uint32_t id)
{
    for (unsigned i = 0; i < model->session_count; i++)
        if (model->sessions[i].id == id)
            return &model->sessions[i];
    return NULL;
}

uint64_t
hvs_model_rate(uint64_t before, uint64_t now, uint64_t elapsed)
{
    return elapsed > 0 && now > before ? (now - before) * 1000 / elapsed : 0;
}

/* ---- events ---- */

static bool
is_connected(const struct hvs_model_session *session)
{
    return session != NULL && session->state >= HVS_SESSION_ACTIVE;
}

static const struct hvs_model_session *
find_ended(const struct hvs_model *model, uint32_t id)
{
    for (unsigned i = 0; i < model->ended_count; i++)
        if (model->ended[i].id == id)
            return &model->ended[i];
    return NULL;
}

unsigned
hvs_model_compare(const struct hvs_model *before, const struct hvs_model *now,
                  struct hvs_event events[HVS_EVENTS_MAX])
{
    const char *problem = hvs_model_problem(now);
    unsigned count = 0;

    if (before->service != HVS_SERVICE_UP || now->service != HVS_SERVICE_UP)
        return 0;
    for (unsigned i = 0; i < now->session_count; i++)
        if (is_connected(&now->sessions[i]) &&
            !is_connected(hvs_model_find(before, now->sessions[i].id)))
            events[count++] = (struct hvs_event) { HVS_EVENT_CONNECTED, &now->sessions[i] };
    for (unsigned i = now->ended_count; i-- > 0;) {
        const struct hvs_model_session *ended = &now->ended[i];

        /* A service that has been restarted counts from 1 again, with others behind the ids. */
        if (find_ended(before, ended->id) == NULL &&
            (is_connected(hvs_model_find(before, ended->id)) || ended->trouble))
            events[count++] = (struct hvs_event) { HVS_EVENT_ENDED, ended };
    }
    if (problem[0] != '\0' && strcmp(hvs_model_problem(before), problem) != 0)
        events[count++] = (struct hvs_event) { HVS_EVENT_PROBLEM, NULL };
    return count;
}

/* ---- the diagnosis ---- */

static const char *
or_empty(const char *string)
{
    return string != NULL ? string : "";
}

static const char *
or_null(const char *string)
{
    return string != NULL && string[0] != '\0' ? string : NULL;
}

static void
read_finding(struct hvs_view_finding *finding, const struct hvs_json *value)
{
    const struct hvs_json *fix = hvs_json_get(value, "fix");

    *finding = (struct hvs_view_finding) {
        .code = or_empty(hvs_json_get_string(value, "code")),
        .name = or_empty(hvs_json_get_string(value, "name")),
        .sentence = or_empty(hvs_json_get_string(value, "sentence")),
        .why = or_empty(hvs_json_get_string(value, "why")),
        .severity = (enum hvs_severity)read_name(hvs_json_get_string(value, "severity"),
                                                 severity_name, HVS_SEVERITY_INFO + 1,
                                                 HVS_SEVERITY_INFO),
    };
    for (const struct hvs_json *step = hvs_json_first(fix);
         step != NULL && finding->step_count < HVS_FIX_MAX; step = hvs_json_next(fix, step))
        finding->steps[finding->step_count++] = (struct hvs_view_step) {
            .where = strcmp(or_empty(hvs_json_get_string(step, "where")), "host") == 0
                         ? HVS_PLACE_HOST
                         : HVS_PLACE_GUEST,
            .note = or_null(hvs_json_get_string(step, "note")),
            .command = or_null(hvs_json_get_string(step, "command")),
        };
}

static enum hvs_answer
read_answer(const struct hvs_json *facts, const char *key)
{
    return (enum hvs_answer)read_name(hvs_json_get_string(facts, key), answer_name, HVS_YES + 1,
                                      HVS_UNKNOWN);
}

static void
read_facts(struct hvs_view *view, const struct hvs_json *facts)
{
    const char *hypervisor = or_empty(hvs_json_get_string(facts, "hypervisor"));

    view->hyper_v = strcmp(hypervisor, "hyper-v") == 0                          ? HVS_YES
                    : hypervisor[0] == '\0' || strcmp(hypervisor, "unknown") == 0 ? HVS_UNKNOWN
                                                                                  : HVS_NO;
    view->server = or_null(hvs_json_get_string(facts, "server"));
    view->server_listening = read_answer(facts, "server_listening");
    view->vm_name = or_null(hvs_json_get_string(facts, "vm_name"));
    view->host_name = or_null(hvs_json_get_string(facts, "host_name"));
}

bool
hvs_view_read(struct hvs_view *view, char *document, size_t length, struct hvs_json *values)
{
    const struct hvs_json *findings;

    memset(view, 0, sizeof *view);
    if (!hvs_json_read(document, length, values, HVS_MODEL_VALUES_MAX))
        return false;
    findings = hvs_json_get(values, "findings");
    if (findings == NULL || hvs_json_get_string(values, "verdict") == NULL)
        return false;
    view->summary = or_empty(hvs_json_get_string(values, "summary"));
    view->verdict = (enum hvs_verdict)read_name(hvs_json_get_string(values, "verdict"),
                                                verdict_name, HVS_VERDICT_SERVICE_DOWN + 1,
                                                HVS_VERDICT_DEGRADED);
    for (const struct hvs_json *value = hvs_json_first(findings);
         value != NULL && view->count < HVS_FINDINGS_MAX; value = hvs_json_next(findings, value))
        read_finding(&view->findings[view->count++], value);
    read_facts(view, hvs_json_get(values, "facts"));
    return true;
}

void
hvs_model_judge(struct hvs_model *model, const struct hvs_view *view)
{
    const struct hvs_view_finding *first = view->count > 0 ? &view->findings[0] : NULL;
    bool says = view->verdict == HVS_VERDICT_DEGRADED && first != NULL &&
                first->severity == HVS_SEVERITY_ERROR;

    copy(model->obstacle, sizeof model->obstacle, says ? first->sentence : NULL);
}

unsigned
hvs_view_problems(const struct hvs_view *view)
{
    unsigned count = 0;

    for (unsigned i = 0; i < view->count; i++)
        if (view->findings[i].severity <= HVS_SEVERITY_WARNING)
            count++;
    return count;
}

/* Commands have lines of their own, with line feeds. */
static void
add_lines(struct hvs_text *out, const char *lines, const char *newline)
{
    for (const char *end; *lines != '\0'; lines = *end != '\0' ? end + 1 : end) {
        end = lines + strcspn(lines, "\n");
        hvs_text_add_bytes(out, lines, (size_t)(end - lines));
        hvs_text_add(out, newline);
    }
}

void
hvs_view_print_fix(const struct hvs_view_finding *finding, const char *newline,
                   struct hvs_text *out)
{
    for (unsigned i = 0; i < finding->step_count; i++) {
        const struct hvs_view_step *step = &finding->steps[i];

        if (step->note != NULL) {
            hvs_text_add(out, step->where == HVS_PLACE_HOST ? "# " : "rem ");
            hvs_text_add(out, step->note);
            hvs_text_add(out, newline);
        }
        if (step->command != NULL)
            add_lines(out, step->command, newline);
    }
}
