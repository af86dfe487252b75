/* common/status: the printed forms, compared byte for byte with data/status-NAME.txt and .json, and
 * data/sessions-NAME.txt and .json.
 *
 * HVS_UPDATE_GOLDEN=1 writes the files instead; read the difference before keeping it. */
#include "common/status.h"

#include <glib.h>
#include <json-glib/json-glib.h>
#include <string.h>

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    (10 * DAY)

/* A service that has run for 3 d 2 h and sees nothing. */
static void
make_not_offered(struct hvs_status *status)
{
    memset(status, 0, sizeof *status);
    status->version = "0.1.0";
    status->now = NOW;
    status->started = NOW - 3 * DAY - 2 * HOUR;
    hvs_control_init(&status->control);
}

/* The daemon sees the control channel, but it is not bound yet. */
static void
make_starting(struct hvs_status *status)
{
    make_not_offered(status);
    status->started = NOW - 250;
    status->channels[HVS_CONTROL_CHANNEL] = HVS_CHANNEL_OFFERED;
}

static void
make_negotiating(struct hvs_status *status)
{
    make_starting(status);
    status->control.state = HVS_CONTROL_NEGOTIATING;
    status->control.attempts = 1;
    status->control.deadline = NOW + 5 * SECOND;
    status->channels[HVS_CONTROL_CHANNEL] = HVS_CHANNEL_OPEN;
}

static void
make_refused(struct hvs_status *status)
{
    make_not_offered(status);
    status->control.state = HVS_CONTROL_WAITING;
    status->control.problem = HVS_CONTROL_REFUSED;
    status->control.attempts = 7;
    status->control.deadline = NOW + 42 * SECOND;
    status->channels[HVS_CONTROL_CHANNEL] = HVS_CHANNEL_OPEN;
}

/* The driver is missing, so that no offer can be seen at all. */
static void
make_problem(struct hvs_status *status)
{
    make_not_offered(status);
    status->problem = "the kernel module uio_hv_generic is missing; install it with: apt install "
                      "linux-modules-extra-$(uname -r)";
}

static void
make_ready(struct hvs_status *status)
{
    make_not_offered(status);
    status->control.state = HVS_CONTROL_READY;
    status->control.host_major = 1;
    status->control.host_accepted = 2;
    status->channels[HVS_CONTROL_CHANNEL] = HVS_CHANNEL_OPEN;
    status->sessions_total = 1;
}

static void
make_active_session(struct hvs_session *session)
{
    struct hvs_text text;

    hvs_session_init(session, 14, 1, NOW - 5 * MINUTE - 2 * SECOND);
    hvs_session_advance(session, HVS_SESSION_ACTIVE);
    session->counters = (struct hvs_session_counters){
        .bytes_to_server = 90112,
        .bytes_to_host = 3565158,
        .packets_from_host = 741,
        .packets_to_host = 1127,
        .signals_sent = 121,
        .wakeups = 801,
        .ring_full = 1,
        .socket_full = 0,
    };
    session->negotiation = (struct hvs_negotiation_facts){
        .request_seen = true,
        .request_has_protocols = true,
        .requested_protocols = HVS_PROTOCOL_SSL | HVS_PROTOCOL_HYBRID | HVS_PROTOCOL_HYBRID_EX,
        .confirm_seen = true,
        .selected_protocol = HVS_PROTOCOL_RDP,
        .client = {
            .core_seen = true,
            .name = "DESK-1",
            .desktop_width = 1920,
            .desktop_height = 1080,
            .colour_depth = 32,
            .build = 19041,
            .channels_seen = true,
            .channel_count = 4,
            .channels = { "rdpdr", "rdpsnd", "cliprdr", "drdynvc" },
        },
    };
    hvs_text_init(&text, session->server, sizeof session->server);
    hvs_text_add(&text, "tcp:127.0.0.1:3389");
}

static void
make_closed_window(struct hvs_session *session)
{
    make_active_session(session);
    session->id = 13;
    session->started = NOW - 5 * MINUTE;
    hvs_session_end(session, HVS_END_HOST_RESCINDED, NULL, NOW - 2 * MINUTE);
}

/* One session, one that has ended as most do. */
static void
make_active(struct hvs_status *status)
{
    make_ready(status);
    status->sessions_total = 14;
    status->totals.bytes_to_host = 37654321;
    status->totals.bytes_to_server = 123456;
    status->channels[1] = HVS_CHANNEL_OPEN;
    status->session_count = 1;
    make_active_session(&status->sessions[0]);
    status->ended_count = 1;
    make_closed_window(&status->ended[0]);
}

static void
make_troubled_sessions(struct hvs_session *ended)
{
    hvs_session_init(&ended[0], 12, 2, NOW - 1 * HOUR);
    hvs_session_end(&ended[0], HVS_END_SERVER_UNREACHABLE, "tcp:127.0.0.1:3389: Connection refused",
                    NOW - 1 * HOUR + 15 * SECOND);

    make_active_session(&ended[1]);
    ended[1].id = 11;
    ended[1].negotiation.failure_code = 5;
    ended[1].started = NOW - 2 * HOUR;
    hvs_session_end(&ended[1], HVS_END_SERVER_REFUSED, "HYBRID_REQUIRED_BY_SERVER",
                    NOW - 2 * HOUR + 150);

    hvs_session_init(&ended[2], 10, 3, NOW - 1 * DAY);
    ended[2].negotiation_error = HVS_REQUEST_TOKEN_UNTERMINATED;
    hvs_session_end(&ended[2], HVS_END_REQUEST_MALFORMED, "\x1b[31mnot for a \"terminal\"\xff",
                    NOW - 1 * DAY);
}

/* Nobody has come over HvSocket yet: what the host wants cannot be told. */
static void
make_hvsocket_unused(struct hvs_status *status)
{
    make_not_offered(status);
    status->hvsocket = HVS_HVSOCKET_LISTENING;
}

static void
make_hvsocket_ready(struct hvs_status *status)
{
    make_hvsocket_unused(status);
    status->hvsocket_used = true;
    status->sessions_total = 1;
    status->ended_count = 1;
    hvs_session_init(&status->ended[0], 1, 0, NOW - 5 * MINUTE);
    hvs_session_end(&status->ended[0], HVS_END_HOST_CLOSED, NULL, NOW - 2 * MINUTE);
}

static void
make_hvsocket_active(struct hvs_status *status)
{
    make_hvsocket_ready(status);
    status->sessions_total = 2;
    status->session_count = 1;
    make_active_session(&status->sessions[0]);
    status->sessions[0].id = 2;
    status->sessions[0].transport = HVS_TRANSPORT_HVSOCKET;
    status->sessions[0].channel = 0;
}

static void
make_hvsocket_taken(struct hvs_status *status)
{
    make_ready(status);
    status->hvsocket = HVS_HVSOCKET_PORT_TAKEN;
}

/* All channels used, every state of a session, trouble of all kinds. */
static void
make_full(struct hvs_status *status)
{
    static const char server[] = "unix:/run/a/path/that/is/very/long/indeed/so/that/it/does/not/"
                                 "fit/into/a/line/of/the/screen/xrdp.sock";

    make_ready(status);
    status->sessions_total = 12345678;
    status->channels[1] = HVS_CHANNEL_OPEN;
    status->channels[2] = HVS_CHANNEL_OPEN;
    status->channels[3] = HVS_CHANNEL_FAILED;
    status->channels[4] = HVS_CHANNEL_OFFERED;
    status->session_count = 5;
    for (unsigned i = 0; i < 5; i++) {
        struct hvs_session *session = &status->sessions[i];

        hvs_session_init(session, i < 4 ? 21 + i : 12345678, i < 4 ? i + 1 : 0,
                         NOW - i * i * HOUR - 1);
        hvs_session_advance(session, (enum hvs_session_state)(HVS_SESSION_WAITING + i));
    }
    memcpy(status->sessions[3].server, server, sizeof server);
    status->sessions[3].counters.bytes_to_host = UINT64_C(7) << 40;
    make_troubled_sessions(status->ended);
    make_closed_window(&status->ended[3]);
    status->ended_count = 4;
}

static const struct {
    const char *name;
    void (*make)(struct hvs_status *status);
    enum hvs_overall overall;
    const char *line;
} cases[] = {
    { "not-offered", make_not_offered, HVS_OVERALL_NOT_OFFERED,
      "The host does not offer Enhanced Session to this guest" },
    { "starting", make_starting, HVS_OVERALL_STARTING,
      "Agreeing on Enhanced Session with the host" },
    { "negotiating", make_negotiating, HVS_OVERALL_STARTING,
      "Agreeing on Enhanced Session with the host" },
    { "refused", make_refused, HVS_OVERALL_PROBLEM,
      "Problem: the host refused version 1.0 of the protocol" },
    { "problem", make_problem, HVS_OVERALL_PROBLEM,
      "Problem: the kernel module uio_hv_generic is missing; install it with: apt install "
      "linux-modules-extra-$(uname -r)" },
    { "ready", make_ready, HVS_OVERALL_READY, "Ready, no session" },
    { "active", make_active, HVS_OVERALL_ACTIVE, "Ready, 1 session" },
    { "hvsocket-unused", make_hvsocket_unused, HVS_OVERALL_NOT_OFFERED,
      "The host does not offer Enhanced Session to this guest" },
    { "hvsocket-ready", make_hvsocket_ready, HVS_OVERALL_READY, "Ready, no session" },
    { "hvsocket-active", make_hvsocket_active, HVS_OVERALL_ACTIVE, "Ready, 1 session" },
    { "hvsocket-taken", make_hvsocket_taken, HVS_OVERALL_READY, "Ready, no session" },
    { "full", make_full, HVS_OVERALL_PROBLEM,
      "Problem: a data channel cannot be opened; the log says why, 5 sessions" },
};

static char *
print_with(void (*print)(const struct hvs_status *status, struct hvs_text *out), size_t size,
           const struct hvs_status *status)
{
    char *buffer = g_malloc(size);
    struct hvs_text text;

    hvs_text_init(&text, buffer, size);
    print(status, &text);
    g_assert_false(text.truncated);
    return buffer;
}

static char *
print_text(const struct hvs_status *status)
{
    return print_with(hvs_status_print_text, HVS_STATUS_TEXT_MAX, status);
}

static char *
print_json(const struct hvs_status *status)
{
    return print_with(hvs_status_print_json, HVS_STATUS_JSON_MAX, status);
}

static void
compare_with_golden(const char *printed, const char *document, const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(document, name, suffix, NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", file, NULL);
    g_autofree char *golden = NULL;
    g_autoptr(GError) error = NULL;

    if (g_getenv("HVS_UPDATE_GOLDEN") != NULL) {
        g_file_set_contents(path, printed, -1, &error);
        g_assert_no_error(error);
    }
    g_file_get_contents(path, &golden, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(printed, ==, golden);
}

static void
test_text(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    struct hvs_status status;
    g_autofree char *printed = NULL;

    cases[i].make(&status);
    printed = print_text(&status);
    compare_with_golden(printed, "status-", cases[i].name, ".txt");
}

/* What any screen keeps to. */
static void
check_lines(const char *printed)
{
    g_auto(GStrv) lines = g_strsplit(printed, "\n", -1);

    g_assert_true(g_str_has_suffix(printed, "\n"));
    g_assert_true(g_utf8_validate(printed, -1, NULL));
    for (gsize i = 0; lines[i] != NULL; i++) {
        g_assert_cmpint(g_utf8_strlen(lines[i], -1), <=, 80);
        g_assert_false(g_str_has_suffix(lines[i], " "));
        g_assert_null(strchr(lines[i], '\x1b'));
    }
}

static void
test_text_lines(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_status status;
        g_autofree char *printed = NULL;

        cases[i].make(&status);
        printed = print_text(&status);
        check_lines(printed);
    }
}

static JsonObject *
parse_json(JsonParser *parser, const char *printed)
{
    g_autoptr(GError) error = NULL;

    json_parser_load_from_data(parser, printed, -1, &error);
    g_assert_no_error(error);
    return json_node_get_object(json_parser_get_root(parser));
}

static void
test_json(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    struct hvs_status status;
    g_autofree char *printed = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object;

    cases[i].make(&status);
    printed = print_json(&status);
    compare_with_golden(printed, "status-", cases[i].name, ".json");

    object = parse_json(parser, printed);
    g_assert_cmpint(json_object_get_int_member(object, "schema"), ==, 1);
    g_assert_cmpstr(json_object_get_string_member(object, "state"), ==,
                    hvs_overall_to_string(cases[i].overall));
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(object, "channels")), ==,
                     HVS_CHANNELS);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(object, "sessions")), ==,
                     status.session_count);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(object, "ended")), ==,
                     status.ended_count);
}

/* The members of an object in their order, with the kind of their values. */
static char *
describe(JsonObject *object)
{
    g_autoptr(GList) names = json_object_get_members(object);
    GString *text = g_string_new(NULL);

    for (GList *at = names; at != NULL; at = at->next) {
        JsonNode *node = json_object_get_member(object, at->data);

        g_string_append_printf(text, "%s%s:%s", text->len > 0 ? " " : "", (const char *)at->data,
                               json_node_type_name(node));
    }
    return g_string_free(text, FALSE);
}

static void
assert_members(JsonObject *object, const char *expected)
{
    g_autofree char *found = describe(object);

    g_assert_cmpstr(found, ==, expected);
}

/* The schema of status.h. */
static void
test_json_schema(void)
{
    struct hvs_status status;
    g_autofree char *printed = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object, *session;

    make_active(&status);
    printed = print_json(&status);
    object = parse_json(parser, printed);
    assert_members(object,
                   "schema:Integer version:String state:String summary:String problem:NULL "
                   "uptime_ms:Integer control:JsonObject channels:JsonArray hvsocket:String "
                   "sessions_total:Integer totals:JsonObject sessions:JsonArray ended:JsonArray");
    assert_members(json_object_get_object_member(object, "control"),
                   "state:String problem:NULL attempts:Integer next_attempt_ms:NULL "
                   "protocol:String");
    assert_members(json_array_get_object_element(json_object_get_array_member(object, "channels"),
                                                 5),
                   "number:Integer kind:String state:String");

    session = json_array_get_object_element(json_object_get_array_member(object, "sessions"), 0);
    assert_members(session, "id:Integer transport:String channel:Integer state:String "
                            "started_ms_ago:Integer ended_ms_ago:NULL duration_ms:Integer "
                            "server:String reason:NULL reason_text:NULL trouble:Boolean "
                            "detail:NULL counters:JsonObject "
                            "negotiation:JsonObject client:JsonObject");
    assert_members(json_object_get_object_member(session, "counters"),
                   "bytes_to_host:Integer bytes_to_server:Integer packets_to_host:Integer "
                   "packets_from_host:Integer signals_sent:Integer wakeups:Integer "
                   "ring_full:Integer socket_full:Integer");
    assert_members(json_object_get_object_member(session, "negotiation"),
                   "requested_protocols:String selected_protocol:String failure_code:NULL "
                   "encryption_method:Integer encryption_level:Integer error:NULL");

    assert_members(json_object_get_object_member(session, "client"),
                   "name:String build:Integer desktop_width:Integer desktop_height:Integer "
                   "colour_depth:Integer static_channels:JsonArray");

    session = json_array_get_object_element(json_object_get_array_member(object, "ended"), 0);
    g_assert_cmpint(json_object_get_int_member(session, "started_ms_ago"), ==, 5 * MINUTE);
    g_assert_cmpint(json_object_get_int_member(session, "ended_ms_ago"), ==, 2 * MINUTE);
    g_assert_cmpint(json_object_get_int_member(session, "duration_ms"), ==, 3 * MINUTE);
    g_assert_cmpstr(json_object_get_string_member(session, "reason"), ==, "host-rescinded");
}

/* Everything as large as it gets, each character escaped to six. */
static void
test_largest(void)
{
    g_autofree char *problem = g_strnfill(500, '\x01');
    g_autofree char *detail = g_strnfill(1000, '\x01');
    g_autofree char *printed_text = NULL, *printed_json = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    struct hvs_session session;
    struct hvs_status status;

    make_full(&status);
    status.problem = problem;
    hvs_session_init(&session, UINT32_MAX, 5, 0);
    memset(&session.counters, 0xff, sizeof session.counters);
    memset(session.server, '\x01', sizeof session.server - 1);
    session.negotiation.request_seen = session.negotiation.request_has_protocols = true;
    session.negotiation.requested_protocols = UINT32_MAX;
    session.negotiation_error = HVS_REQUEST_BAD_CORRELATION;
    memset(&session.negotiation.client, 0xff, sizeof session.negotiation.client);
    memset(session.negotiation.client.name, '"', sizeof session.negotiation.client.name);
    session.negotiation.client.name[sizeof session.negotiation.client.name - 1] = '\0';
    session.negotiation.client.channel_count = HVS_CLIENT_CHANNELS_MAX;
    session.negotiation.client.core_seen = session.negotiation.client.channels_seen = true;
    for (unsigned i = 0; i < HVS_CLIENT_CHANNELS_MAX; i++)
        memcpy(session.negotiation.client.channels[i], "\"\"\"\"\"\"\"", 8);
    for (unsigned i = 0; i < HVS_SESSIONS_MAX; i++)
        status.sessions[i] = session;
    hvs_session_end(&session, HVS_END_SERVER_ENCRYPTS, detail, 1);
    for (unsigned i = 0; i < HVS_STATUS_ENDED_MAX; i++)
        status.ended[i] = session;
    status.session_count = HVS_SESSIONS_MAX;
    status.ended_count = HVS_STATUS_ENDED_MAX;

    printed_text = print_text(&status);
    check_lines(printed_text);
    printed_json = print_json(&status);
    parse_json(parser, printed_json);

    g_free(printed_text);
    printed_text = print_with(hvs_status_print_sessions_text, HVS_STATUS_TEXT_MAX, &status);
    check_lines(printed_text);
}

/* The sessions alone: the same members as in the whole document. */
static void
test_sessions(void)
{
    static void (*const makes[])(struct hvs_status *) = { make_ready, make_active, make_full };
    static const char *const names[] = { "none", "active", "full" };

    for (gsize i = 0; i < G_N_ELEMENTS(makes); i++) {
        struct hvs_status status;
        g_autofree char *text = NULL, *json = NULL;
        g_autoptr(JsonParser) parser = json_parser_new();

        makes[i](&status);
        text = print_with(hvs_status_print_sessions_text, HVS_STATUS_TEXT_MAX, &status);
        check_lines(text);
        compare_with_golden(text, "sessions-", names[i], ".txt");
        json = print_with(hvs_status_print_sessions_json, HVS_STATUS_JSON_MAX, &status);
        compare_with_golden(json, "sessions-", names[i], ".json");
        assert_members(parse_json(parser, json),
                       "schema:Integer sessions:JsonArray ended:JsonArray");
    }
}

static void
test_overall(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_status status;

        cases[i].make(&status);
        g_assert_cmpint(hvs_status_overall(&status), ==, cases[i].overall);
        g_assert_true((hvs_status_problem(&status) != NULL) ==
                      (cases[i].overall == HVS_OVERALL_PROBLEM));
    }
}

/* A retry does not look like a new start. */
static void
test_overall_retry(void)
{
    struct hvs_status status;

    make_refused(&status);
    status.control.state = HVS_CONTROL_NEGOTIATING;
    g_assert_cmpint(hvs_status_overall(&status), ==, HVS_OVERALL_PROBLEM);
    status.control.state = HVS_CONTROL_READY;
    status.control.problem = HVS_CONTROL_NO_PROBLEM;
    g_assert_cmpint(hvs_status_overall(&status), ==, HVS_OVERALL_READY);
}

static void
test_overall_control_failed(void)
{
    struct hvs_status status;

    make_ready(&status);
    status.channels[HVS_CONTROL_CHANNEL] = HVS_CHANNEL_FAILED;
    g_assert_cmpstr(hvs_status_problem(&status), ==,
                    "the control channel cannot be opened; the log says why");
}

/* A snapshot is put together while threads go on: a session may be younger than "now". */
static void
test_clocks(void)
{
    struct hvs_status status;
    g_autofree char *printed = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object, *session;

    make_active(&status);
    status.started = NOW + 1;
    status.control.state = HVS_CONTROL_WAITING;
    status.control.deadline = NOW - 1;
    status.sessions[0].started = NOW + 5;
    printed = print_json(&status);
    object = parse_json(parser, printed);
    session = json_array_get_object_element(json_object_get_array_member(object, "sessions"), 0);
    g_assert_cmpint(json_object_get_int_member(object, "uptime_ms"), ==, 0);
    g_assert_cmpint(json_object_get_int_member(session, "started_ms_ago"), ==, 0);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(object, "control"),
                                               "next_attempt_ms"),
                    ==, 0);
}

static void
test_line(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_status status;
        char buffer[256];
        struct hvs_text text;

        cases[i].make(&status);
        hvs_text_init(&text, buffer, sizeof buffer);
        hvs_status_print_line(&status, &text);
        g_assert_cmpstr(buffer, ==, cases[i].line);
    }
}

static void
test_session_end(void)
{
    struct hvs_session session;
    char buffer[512];
    struct hvs_text text;

    make_closed_window(&session);
    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_status_print_session_end(&session, &text);
    g_assert_cmpstr(buffer, ==,
                    "ended after 3 min: the user closed the window (host-rescinded); to the host "
                    "3.4 MiB in 1127 packets, to the server 88 KiB in 741 packets; 121 signals, "
                    "801 wake-ups, blocked by the host 1 time, by the server 0 times");

    hvs_session_init(&session, 1, 1, 0);
    hvs_session_end(&session, HVS_END_SERVER_ERROR, "Connection\nreset", 250);
    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_status_print_session_end(&session, &text);
    g_assert_true(g_str_has_prefix(buffer, "ended after 250 ms: the connection to the RDP server "
                                           "broke (server-error): Connection?reset; to the host "
                                           "0 bytes in 0 packets"));
}

static void
test_names(void)
{
    static const char *const overalls[] = { "not-offered", "problem", "starting", "ready",
                                            "active" };
    static const char *const channels[] = { "not-offered", "offered", "open", "failed" };

    for (gsize i = 0; i < G_N_ELEMENTS(overalls); i++) {
        g_assert_cmpstr(hvs_overall_to_string((enum hvs_overall)i), ==, overalls[i]);
        g_assert_false(g_str_has_suffix(hvs_overall_to_sentence((enum hvs_overall)i), "."));
    }
    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++)
        g_assert_cmpstr(hvs_channel_state_to_string((enum hvs_channel_state)i), ==, channels[i]);
    g_assert_cmpstr(hvs_overall_to_string((enum hvs_overall)99), ==, "unknown");
    g_assert_cmpstr(hvs_overall_to_sentence((enum hvs_overall)99), ==, "The state is not known");
    g_assert_cmpstr(hvs_channel_state_to_string((enum hvs_channel_state)99), ==, "unknown");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strconcat("/status/text/", cases[i].name, NULL);
        g_autofree char *json = g_strconcat("/status/json/", cases[i].name, NULL);

        g_test_add_data_func(text, GSIZE_TO_POINTER(i), test_text);
        g_test_add_data_func(json, GSIZE_TO_POINTER(i), test_json);
    }
    g_test_add_func("/status/text/lines", test_text_lines);
    g_test_add_func("/status/json/schema", test_json_schema);
    g_test_add_func("/status/largest", test_largest);
    g_test_add_func("/status/sessions", test_sessions);
    g_test_add_func("/status/overall", test_overall);
    g_test_add_func("/status/overall/retry", test_overall_retry);
    g_test_add_func("/status/overall/control-failed", test_overall_control_failed);
    g_test_add_func("/status/clocks", test_clocks);
    g_test_add_func("/status/line", test_line);
    g_test_add_func("/status/session-end", test_session_end);
    g_test_add_func("/status/names", test_names);
    return g_test_run();
}
