/* windows/tray/model and json: every document that common/ prints is read back as it was meant,
 * what is not JSON is refused, and events are told once. */
#include "windows/tray/chinese.h"
#include "windows/tray/json.h"
#include "windows/tray/model.h"

#include <glib.h>
#include <string.h>

static struct hvs_json values[HVS_MODEL_VALUES_MAX];
static char document[HVS_STATUS_JSON_MAX];

/* ---- JSON ---- */

/* In memory of exactly its length, so that a sanitizer sees every byte too many. */
static bool
reads(const char *json)
{
    size_t length = strlen(json);
    char *copy = g_memdup2(json, length);
    bool read = hvs_json_read(copy, length, values, 32);

    g_free(copy);
    return read;
}

static void
test_json_accepted(void)
{
    static const char *const documents[] = {
        "0", "-0", "12", "1.5", "-1e+5", "2E-3", "1e9", "true", "false", "null", "\"\"", " [ ] ",
        "{}", "[1,2]", "[[],{}]", "{\"a\":1,\"b\":[true]}", "\t\r\n{ \"a\" : null }\n",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
        "18446744073709551616", "[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(documents); i++)
        if (!reads(documents[i]))
            g_error("refused: %s", documents[i]);
}

static void
test_json_refused(void)
{
    static const char *const documents[] = {
        "", " ", "01", "+1", ".5", "1.", "1e", "-", "tru", "nul", "True", "\"", "\"a", "\"\\",
        "\"\\u12\"", "\"\\u12g4\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"\\x\"", "\"a\nb\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "]",
        "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{}x", "1 2", "\"\" \"\"",
        /* too deep, too many */
        "[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]",
        "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(documents); i++)
        if (reads(documents[i]))
            g_error("accepted: %s", documents[i]);
}

/* No document that is cut off is one. */
static void
test_json_cut(void)
{
    static const char whole[] = "{\"a\":[1,\"\\u00e9\",{\"b\":true}],\"c\":-1.5e3}";

    for (size_t length = 0; length < sizeof whole - 1; length++) {
        char *copy = g_memdup2(whole, length);

        g_assert_false(hvs_json_read(copy, length, values, 32));
        g_free(copy);
    }
    g_assert_true(reads(whole));
}

static void
test_json_values(void)
{
    char json[] = "{\"s\":\"a\\u00e9\\ud83d\\ude00\\n\",\"n\":42,\"big\":99999999999999999999,"
                  "\"minus\":-7,\"part\":2.9,\"yes\":true,\"list\":[1,[2,3],4],\"last\":0}";
    const struct hvs_json *list, *item;

    g_assert_true(hvs_json_read(json, sizeof json - 1, values, 32));
    g_assert_cmpstr(hvs_json_get_string(values, "s"), ==, "a\xc3\xa9\xf0\x9f\x98\x80\n");
    g_assert_cmpuint(hvs_json_get_number(values, "n"), ==, 42);
    g_assert_true(hvs_json_get_number(values, "big") == UINT64_MAX);
    g_assert_cmpuint(hvs_json_get_number(values, "minus"), ==, 0);
    g_assert_cmpuint(hvs_json_get_number(values, "part"), ==, 2);
    g_assert_true(hvs_json_get_bool(values, "yes"));
    g_assert_false(hvs_json_get_bool(values, "n"));
    g_assert_null(hvs_json_get(values, "none"));
    g_assert_null(hvs_json_get_string(values, "n"));
    list = hvs_json_get(values, "list");
    item = hvs_json_first(list);
    g_assert_cmpuint(item->number, ==, 1);
    item = hvs_json_next(list, item);
    g_assert_cmpint(item->kind, ==, HVS_JSON_ARRAY);
    item = hvs_json_next(list, item);
    g_assert_cmpuint(item->number, ==, 4);
    g_assert_null(hvs_json_next(list, item));
    g_assert_null(hvs_json_first(NULL));
    g_assert_null(hvs_json_get(list, "a"));
}

/* ---- the status ---- */

static void
make_session(struct hvs_session *session, uint32_t id, const char *client)
{
    struct hvs_client_facts *facts = &session->negotiation.client;

    hvs_session_init(session, id, id, 1000);
    hvs_session_advance(session, HVS_SESSION_ACTIVE);
    strcpy(session->server, "tcp:127.0.0.1:3389");
    session->counters.bytes_to_host = 5000;
    session->counters.bytes_to_server = 300;
    facts->core_seen = facts->channels_seen = true;
    strcpy(facts->name, client);
    facts->desktop_width = 1920;
    facts->desktop_height = 1080;
    facts->colour_depth = 32;
    facts->channel_count = 2;
    strcpy(facts->channels[0], "cliprdr");
    strcpy(facts->channels[1], "rdpsnd");
}

static void
make_status(struct hvs_status *status)
{
    memset(status, 0, sizeof *status);
    status->version = "1.2.3";
    status->now = 61000;
    status->control.state = HVS_CONTROL_READY;
    status->control.host_major = 1;
    status->channels[HVS_CONTROL_CHANNEL] = HVS_CHANNEL_OPEN;
}

static void
read_status(const struct hvs_status *status, struct hvs_model *model)
{
    struct hvs_text text;

    hvs_text_init(&text, document, sizeof document);
    hvs_status_print_json(status, &text);
    g_assert_false(text.truncated);
    g_assert_true(hvs_model_read(model, document, text.length, values));
}

static void
test_status_whole(void)
{
    struct hvs_status *status = g_new0(struct hvs_status, 1);
    struct hvs_model *model = g_new0(struct hvs_model, 1);
    const struct hvs_model_session *session;

    make_status(status);
    status->channels[2] = HVS_CHANNEL_OPEN;
    status->channels[3] = HVS_CHANNEL_OFFERED;
    make_session(&status->sessions[0], 2, "B\xc3\x9cRO \"1\"");
    status->session_count = 1;
    make_session(&status->ended[0], 1, "OLD");
    hvs_session_end(&status->ended[0], HVS_END_SERVER_ERROR, "reset", 31000);
    status->ended_count = 1;
    status->sessions_total = 2;
    read_status(status, model);

    g_assert_cmpint(model->service, ==, HVS_SERVICE_UP);
    g_assert_cmpstr(model->version, ==, "1.2.3");
    g_assert_cmpint(model->overall, ==, HVS_OVERALL_ACTIVE);
    g_assert_cmpstr(model->summary, ==, hvs_overall_to_sentence(HVS_OVERALL_ACTIVE));
    g_assert_cmpstr(model->problem, ==, "");
    g_assert_cmpuint(model->uptime, ==, 61000);
    g_assert_cmpint(model->control, ==, HVS_CONTROL_READY);
    g_assert_cmpstr(model->protocol, ==, "1.0");
    g_assert_cmpint(model->channels[0], ==, HVS_CHANNEL_OPEN);
    g_assert_cmpint(model->channels[1], ==, HVS_CHANNEL_NOT_OFFERED);
    g_assert_cmpint(model->channels[3], ==, HVS_CHANNEL_OFFERED);
    g_assert_cmpuint(model->sessions_total, ==, 2);
    g_assert_cmpuint(model->session_count, ==, 1);
    session = hvs_model_find(model, 2);
    g_assert_nonnull(session);
    g_assert_null(hvs_model_find(model, 1));
    g_assert_cmpuint(session->channel, ==, 2);
    g_assert_cmpint(session->state, ==, HVS_SESSION_ACTIVE);
    g_assert_cmpuint(session->duration, ==, 60000);
    g_assert_cmpuint(session->bytes_to_host, ==, 5000);
    g_assert_cmpuint(session->bytes_to_server, ==, 300);
    g_assert_cmpstr(session->server, ==, "tcp:127.0.0.1:3389");
    g_assert_cmpstr(session->client, ==, "B\xc3\x9cRO \"1\"");
    g_assert_cmpuint(session->width, ==, 1920);
    g_assert_cmpuint(session->height, ==, 1080);
    g_assert_cmpuint(session->colours, ==, 32);
    g_assert_true(session->channels_known && session->clipboard && session->sound);
    g_assert_false(session->drives);
    g_assert_cmpuint(model->ended_count, ==, 1);
    g_assert_cmpint(model->ended[0].state, ==, HVS_SESSION_ENDED);
    g_assert_cmpint(model->ended[0].reason, ==, HVS_END_SERVER_ERROR);
    g_assert_cmpstr(model->ended[0].reason_text, ==,
                    hvs_end_reason_to_sentence(HVS_END_SERVER_ERROR));
    g_assert_cmpstr(model->ended[0].detail, ==, "reset");
    g_assert_true(model->ended[0].trouble);
    g_assert_cmpuint(model->ended[0].ended_ago, ==, 30000);
    g_assert_cmpuint(model->ended[0].duration, ==, 30000);
    g_free(model);
    g_free(status);
}

/* Every value of the enumerations comes back as itself: their names agree with common/. */
static void
test_status_names(void)
{
    struct hvs_status *status = g_new0(struct hvs_status, 1);
    struct hvs_model *model = g_new0(struct hvs_model, 1);

    for (unsigned i = 0; i <= HVS_CONTROL_READY; i++) {
        make_status(status);
        status->control.state = (enum hvs_control_state)i;
        read_status(status, model);
        g_assert_cmpint(model->control, ==, i);
        g_assert_cmpint(model->overall, ==, hvs_status_overall(status));
    }
    for (unsigned i = 0; i <= HVS_CONTROL_OPEN_FAILED; i++) {
        make_status(status);
        status->control.state = HVS_CONTROL_WAITING;
        status->control.problem = (enum hvs_control_problem)i;
        read_status(status, model);
        g_assert_cmpint(model->control_problem, ==, i);
    }
    for (unsigned i = 0; i <= HVS_CHANNEL_FAILED; i++) {
        make_status(status);
        status->channels[5] = (enum hvs_channel_state)i;
        read_status(status, model);
        g_assert_cmpint(model->channels[5], ==, i);
    }
    for (unsigned i = HVS_END_NONE + 1; i < HVS_END_REASONS; i++) {
        make_status(status);
        make_session(&status->ended[0], 1, "");
        hvs_session_end(&status->ended[0], (enum hvs_end_reason)i, NULL, 2000);
        status->ended_count = 1;
        read_status(status, model);
        g_assert_cmpint(model->ended[0].reason, ==, i);
    }
    g_free(model);
    g_free(status);
}

static void
test_status_full(void)
{
    struct hvs_status *status = g_new0(struct hvs_status, 1);
    struct hvs_model *model = g_new0(struct hvs_model, 1);

    make_status(status);
    for (unsigned i = 0; i < HVS_DATA_CHANNELS; i++)
        make_session(&status->sessions[i], i + 1, "C");
    status->session_count = HVS_DATA_CHANNELS;
    for (unsigned i = 0; i < HVS_STATUS_ENDED_MAX; i++) {
        make_session(&status->ended[i], 100 + i, "D");
        status->ended[i].negotiation.client.channel_count = HVS_CLIENT_CHANNELS_MAX;
        for (unsigned j = 0; j < HVS_CLIENT_CHANNELS_MAX; j++)
            strcpy(status->ended[i].negotiation.client.channels[j], "abcdefg");
        hvs_session_end(&status->ended[i], HVS_END_STOPPED, NULL, 2000);
    }
    status->ended_count = HVS_STATUS_ENDED_MAX;
    read_status(status, model);
    g_assert_cmpuint(model->session_count, ==, HVS_DATA_CHANNELS);
    g_assert_cmpuint(model->ended_count, ==, HVS_STATUS_ENDED_MAX);
    g_assert_false(model->ended[7].clipboard);
    g_free(model);
    g_free(status);
}

static void
test_status_refused(void)
{
    static const char *const documents[] = {
        "", "error: out of memory", "[]", "{}", "{\"state\":\"ready\"}",
        "{\"state\":1,\"sessions\":[]}",
    };
    struct hvs_model *model = g_new0(struct hvs_model, 1);

    for (gsize i = 0; i < G_N_ELEMENTS(documents); i++) {
        char *copy = g_strdup(documents[i]);

        if (hvs_model_read(model, copy, strlen(copy), values))
            g_error("accepted: %s", documents[i]);
        g_free(copy);
    }
    g_free(model);
}

/* A newer service may have states, channels and members that are not known here. */
static void
test_status_newer(void)
{
    char json[] = "{\"state\":\"resting\",\"sessions\":[{\"id\":1,\"state\":\"dreaming\","
                  "\"client\":null,\"mood\":[{}]}],\"channels\":[{\"number\":6,\"state\":\"open\"},"
                  "{\"number\":1,\"state\":\"ajar\"}],\"ended\":[{\"reason\":\"boredom\","
                  "\"reason_text\":\"it was bored\"}]}";
    struct hvs_model *model = g_new0(struct hvs_model, 1);

    g_assert_true(hvs_model_read(model, json, sizeof json - 1, values));
    g_assert_cmpint(hvs_model_light(model), ==, HVS_LIGHT_PROBLEM);
    g_assert_cmpint(model->sessions[0].state, ==, HVS_SESSION_ACTIVE);
    g_assert_cmpstr(model->sessions[0].client, ==, "");
    g_assert_cmpint(model->channels[1], ==, HVS_CHANNEL_NOT_OFFERED);
    g_assert_cmpint(model->ended[0].reason, ==, HVS_END_NONE);
    g_assert_cmpstr(model->ended[0].reason_text, ==, "it was bored");
    g_free(model);
}

static void
test_light(void)
{
    static const struct {
        enum hvs_overall overall;
        enum hvs_light   light;
    } expected[] = {
        { HVS_OVERALL_NOT_OFFERED, HVS_LIGHT_UNAVAILABLE },
        { HVS_OVERALL_STARTING, HVS_LIGHT_UNAVAILABLE },
        { HVS_OVERALL_PROBLEM, HVS_LIGHT_PROBLEM },
        { HVS_OVERALL_READY, HVS_LIGHT_READY },
        { HVS_OVERALL_ACTIVE, HVS_LIGHT_WORKING },
    };
    struct hvs_model *model = g_new0(struct hvs_model, 1);

    for (unsigned i = HVS_SERVICE_UNKNOWN; i < HVS_SERVICE_UP; i++) {
        hvs_model_set_service(model, (enum hvs_service)i);
        model->overall = HVS_OVERALL_READY;
        g_assert_cmpint(hvs_model_light(model), ==, HVS_LIGHT_UNAVAILABLE);
    }
    hvs_model_set_service(model, HVS_SERVICE_UP);
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        model->overall = expected[i].overall;
        g_assert_cmpint(hvs_model_light(model), ==, expected[i].light);
    }
    g_free(model);
}

static void
test_rate(void)
{
    g_assert_cmpuint(hvs_model_rate(1000, 3000, 500), ==, 4000);
    g_assert_cmpuint(hvs_model_rate(1000, 3000, 0), ==, 0);
    g_assert_cmpuint(hvs_model_rate(3000, 1000, 500), ==, 0);
}

/* ---- events ---- */

static struct hvs_model_session
session_of(uint32_t id, enum hvs_session_state state, bool trouble)
{
    return (struct hvs_model_session) { .id = id, .state = state, .trouble = trouble };
}

static void
test_events(void)
{
    struct hvs_model *before = g_new0(struct hvs_model, 1), *now = g_new0(struct hvs_model, 1);
    struct hvs_event events[HVS_EVENTS_MAX];

    /* What is there when the service appears is not news. */
    hvs_model_set_service(now, HVS_SERVICE_UP);
    now->sessions[now->session_count++] = session_of(1, HVS_SESSION_ACTIVE, false);
    strcpy(now->problem, "it broke");
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 0);

    /* A session that has not got through to the server is none yet. */
    hvs_model_set_service(before, HVS_SERVICE_UP);
    hvs_model_set_service(now, HVS_SERVICE_UP);
    now->sessions[now->session_count++] = session_of(1, HVS_SESSION_CONNECTING, false);
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 0);
    *before = *now;
    now->sessions[0].state = HVS_SESSION_ACTIVE;
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 1);
    g_assert_cmpint(events[0].kind, ==, HVS_EVENT_CONNECTED);
    g_assert_true(events[0].session == &now->sessions[0]);
    *before = *now;
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 0);

    /* Ends: of what was connected, and trouble; the older first. */
    now->session_count = 0;
    now->ended[0] = session_of(3, HVS_SESSION_ENDED, true);
    now->ended[1] = session_of(2, HVS_SESSION_ENDED, false);
    now->ended[2] = session_of(1, HVS_SESSION_ENDED, false);
    now->ended_count = 3;
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 2);
    g_assert_cmpuint(events[0].session->id, ==, 1);
    g_assert_cmpuint(events[1].session->id, ==, 3);
    *before = *now;
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 0);

    /* A problem is told once, another one again. */
    strcpy(now->problem, "it broke");
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 1);
    g_assert_cmpint(events[0].kind, ==, HVS_EVENT_PROBLEM);
    *before = *now;
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 0);
    strcpy(now->problem, "it broke again");
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 1);
    *before = *now;
    now->problem[0] = '\0';
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 0);
    g_free(now);
    g_free(before);
}

/* ---- the diagnosis ---- */

static void
test_view(void)
{
    static char json[HVS_DIAGNOSIS_JSON_MAX];
    struct hvs_facts *facts = g_new0(struct hvs_facts, 1);
    struct hvs_view *view = g_new0(struct hvs_view, 1);
    struct hvs_diagnosis diagnosis;
    struct hvs_text text;

    facts->os = HVS_OS_WINDOWS;
    facts->hypervisor = HVS_HYPERVISOR_HYPER_V;
    facts->vmbus = HVS_YES;
    facts->control_offered = HVS_NO;
    facts->service_running = HVS_YES;
    facts->server_listening = HVS_YES;
    strcpy(facts->server, "tcp:127.0.0.1:3389");
    strcpy(facts->host_name, "HOST-1");
    hvs_diagnose(facts, &diagnosis);
    g_assert_cmpuint(diagnosis.count, >, 0);
    hvs_text_init(&text, json, sizeof json);
    hvs_diagnosis_print_json(facts, &diagnosis, "1.2.3", &text);
    g_assert_true(hvs_view_read(view, json, text.length, values));

    g_assert_cmpstr(view->summary, ==, hvs_diagnosis_summary(facts, &diagnosis));
    g_assert_cmpint(view->verdict, ==, diagnosis.verdict);
    g_assert_cmpuint(view->count, ==, diagnosis.count);
    for (unsigned i = 0; i < view->count; i++) {
        g_assert_cmpstr(view->findings[i].code, ==, diagnosis.findings[i]->code);
        g_assert_cmpstr(view->findings[i].name, ==, diagnosis.findings[i]->name);
        g_assert_cmpint(view->findings[i].severity, ==, diagnosis.findings[i]->severity);
        g_assert_true(view->findings[i].sentence[0] != '\0');
    }
    g_assert_cmpint(view->hyper_v, ==, HVS_YES);
    g_assert_cmpint(view->server_listening, ==, HVS_YES);
    g_assert_cmpstr(view->server, ==, "tcp:127.0.0.1:3389");
    g_assert_cmpstr(view->host_name, ==, "HOST-1");
    g_assert_null(view->vm_name);
    g_free(view);
    g_free(facts);
}

/* A service that is ready for nothing is a problem, told once; one that works is not. */
static void
test_judge(void)
{
    struct hvs_model *before = g_new0(struct hvs_model, 1), *now = g_new0(struct hvs_model, 1);
    struct hvs_view *view = g_new0(struct hvs_view, 1);
    struct hvs_event events[HVS_EVENTS_MAX];

    hvs_model_set_service(now, HVS_SERVICE_UP);
    now->overall = HVS_OVERALL_READY;
    *before = *now;
    view->verdict = HVS_VERDICT_DEGRADED;
    view->findings[view->count++] = (struct hvs_view_finding) {
        .sentence = "Remote Desktop is off.", .severity = HVS_SEVERITY_ERROR
    };
    hvs_model_judge(now, view);
    g_assert_cmpint(hvs_model_light(now), ==, HVS_LIGHT_PROBLEM);
    g_assert_cmpstr(hvs_model_problem(now), ==, "Remote Desktop is off.");
    g_assert_cmpuint(hvs_model_compare(before, now, events), ==, 1);
    g_assert_cmpint(events[0].kind, ==, HVS_EVENT_PROBLEM);
    g_assert_cmpuint(hvs_model_compare(now, now, events), ==, 0);

    now->overall = HVS_OVERALL_ACTIVE;
    g_assert_cmpint(hvs_model_light(now), ==, HVS_LIGHT_WORKING);
    g_assert_cmpstr(hvs_model_problem(now), ==, "");
    now->overall = HVS_OVERALL_NOT_OFFERED;
    g_assert_cmpint(hvs_model_light(now), ==, HVS_LIGHT_UNAVAILABLE);

    /* What the service knows better, what does not keep anybody off, nothing. */
    now->overall = HVS_OVERALL_READY;
    view->verdict = HVS_VERDICT_NOT_A_GUEST;
    hvs_model_judge(now, view);
    g_assert_cmpint(hvs_model_light(now), ==, HVS_LIGHT_READY);
    view->verdict = HVS_VERDICT_DEGRADED;
    view->findings[0].severity = HVS_SEVERITY_WARNING;
    hvs_model_judge(now, view);
    g_assert_cmpint(hvs_model_light(now), ==, HVS_LIGHT_READY);
    view->count = 0;
    hvs_model_judge(now, view);
    g_assert_cmpstr(hvs_model_problem(now), ==, "");
    g_free(view);
    g_free(now);
    g_free(before);
}

static void
test_view_refused(void)
{
    struct hvs_view *view = g_new0(struct hvs_view, 1);
    char json[] = "{\"findings\":[]}";

    g_assert_false(hvs_view_read(view, json, sizeof json - 1, values));
    g_assert_null(view->summary);
    g_free(view);
}

static void
test_fix(void)
{
    static const struct hvs_view_finding finding = {
        .step_count = 3,
        .steps = { { HVS_PLACE_HOST, "turn it on", "Set-VMHost 1\nSet-VM 2" },
                   { HVS_PLACE_GUEST, "connect again", NULL },
                   { HVS_PLACE_GUEST, NULL, "sc start" } },
    };
    char buffer[256];
    struct hvs_text text;

    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_view_print_fix(&finding, "\r\n", &text);
    g_assert_cmpstr(buffer, ==, "# turn it on\r\nSet-VMHost 1\r\nSet-VM 2\r\nrem connect again\r\n"
                                "sc start\r\n");
}

/* ---- Chinese ---- */

static const char *
in_chinese(const char *english)
{
    static char words[1024];
    struct hvs_text text;

    hvs_text_init(&text, words, sizeof words);
    return hvs_chinese_add(&text, english) ? words : NULL;
}

static void
expect_chinese(const char *english)
{
    if (english != NULL && in_chinese(english) == NULL)
        g_error("not known in Chinese: %s", english);
}

static void
test_chinese_facts(void)
{
    g_assert_cmpstr(in_chinese("Remote Desktop is turned off."), ==, "远程桌面已关闭。");
    g_assert_cmpstr(in_chinese("No RDP server listens on tcp:127.0.0.1:3389."), ==,
                    "没有 RDP 服务器监听 tcp:127.0.0.1:3389。");
    g_assert_cmpstr(in_chinese("Remote Desktop listens on port 3390, but hvsession connects to "
                               "port 3389."),
                    ==, "远程桌面监听端口 3390，但 hvsession 连接的是端口 3389。");
    /* Words in words. */
    g_assert_cmpstr(in_chinese("The host offers Enhanced Session, but the guest cannot agree with "
                               "it: the host refused version 1.0 of the protocol."),
                    ==, "主机提供了增强会话，但虚拟机无法与其达成一致：主机拒绝了协议版本 1.0。");
    g_assert_cmpstr(in_chinese("opening the channel: Access is denied (error 5)"), ==,
                    "打开通道：Access is denied (error 5)");
    g_assert_null(in_chinese("Remote Desktop is turned off"));
    g_assert_null(in_chinese("Remote Desktop listens on port 3390."));
    g_assert_null(in_chinese(""));
}

/* Whatever this Windows can be told is known: a sentence that is changed in common/ shows here. */
static void
test_chinese_complete(void)
{
    static const char *const codes[] = {
        "HVS-102", "HVS-104", "HVS-202", "HVS-210", "HVS-211", "HVS-212", "HVS-214", "HVS-301",
        "HVS-303", "HVS-304", "HVS-305", "HVS-307", "HVS-501", "HVS-502", "HVS-503", "HVS-504",
        "HVS-505", "HVS-506", "HVS-507", "HVS-508", "HVS-509", "HVS-510",
    };
    static const struct hvs_facts old = { .os = HVS_OS_WINDOWS, .windows_version = 501 };
    static const struct hvs_facts recent = { .os = HVS_OS_WINDOWS, .windows_version = 1000 };
    static const struct hvs_facts physical = { .os = HVS_OS_WINDOWS,
                                               .hypervisor = HVS_HYPERVISOR_NONE };
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        bool wanted = false;

        for (gsize j = 0; j < G_N_ELEMENTS(codes); j++)
            wanted |= g_strcmp0(table[i].code, codes[j]) == 0;
        if (!wanted)
            continue;
        found++;
        expect_chinese(table[i].sentence);
        expect_chinese(table[i].why);
        for (unsigned j = 0; table[i].fix[j].note != NULL || table[i].fix[j].command != NULL; j++)
            if (table[i].fix[j].when == NULL || table[i].fix[j].when(&old) ||
                table[i].fix[j].when(&recent) || table[i].fix[j].when(&physical))
                expect_chinese(table[i].fix[j].note);
    }
    /* A table for Windows may leave out what is not for Windows after all. */
    g_assert_cmpuint(found, >, G_N_ELEMENTS(codes) / 2);
    for (int i = 0; i <= HVS_OVERALL_ACTIVE; i++)
        expect_chinese(hvs_overall_to_sentence((enum hvs_overall)i));
    for (int i = HVS_CONTROL_NO_PROBLEM + 1; i <= HVS_CONTROL_OPEN_FAILED; i++)
        expect_chinese(hvs_control_problem_to_string((enum hvs_control_problem)i));
    for (int i = HVS_END_NONE + 1; i < HVS_END_REASONS; i++)
        /* Servers elsewhere and HvSocket are for Linux. */
        if (i != HVS_END_SERVER_UNTRUSTED && i != HVS_END_HOST_SILENT)
            expect_chinese(hvs_end_reason_to_sentence((enum hvs_end_reason)i));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tray/json/accepted", test_json_accepted);
    g_test_add_func("/tray/json/refused", test_json_refused);
    g_test_add_func("/tray/json/cut", test_json_cut);
    g_test_add_func("/tray/json/values", test_json_values);
    g_test_add_func("/tray/status/whole", test_status_whole);
    g_test_add_func("/tray/status/names", test_status_names);
    g_test_add_func("/tray/status/full", test_status_full);
    g_test_add_func("/tray/status/refused", test_status_refused);
    g_test_add_func("/tray/status/newer", test_status_newer);
    g_test_add_func("/tray/light", test_light);
    g_test_add_func("/tray/rate", test_rate);
    g_test_add_func("/tray/events", test_events);
    g_test_add_func("/tray/view/whole", test_view);
    g_test_add_func("/tray/view/refused", test_view_refused);
    g_test_add_func("/tray/view/judge", test_judge);
    g_test_add_func("/tray/view/fix", test_fix);
    g_test_add_func("/tray/chinese/facts", test_chinese_facts);
    g_test_add_func("/tray/chinese/complete", test_chinese_complete);
    return g_test_run();
}
