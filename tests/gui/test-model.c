/* gui/model: from what the service publishes to what there is to show, without bus and display. */
#include "gui/model.h"
#include "gui/preferences.h"

#include <glib/gstdio.h>
#include <string.h>

/* 2026-11-25 12:00 */
#define NOON   G_GUINT64_CONSTANT(1795608000000)
#define MINUTE 60000

struct fixture {
    HvsModel *model;
    GPtrArray *news; /* "TITLE|BODY", "!" before what is urgent */
    guint changes;
};

static void
on_news(struct fixture *f, const HvsNews *news)
{
    g_ptr_array_add(f->news,
                    g_strdup_printf("%s%s|%s", news->urgent ? "!" : "", news->title, news->body));
}

static void
on_changed(struct fixture *f)
{
    f->changes++;
}

static void
set_up(struct fixture *f)
{
    *f = (struct fixture){ .model = hvs_model_new(),
                           .news = g_ptr_array_new_with_free_func(g_free) };
    g_signal_connect_swapped(f->model, "news", G_CALLBACK(on_news), f);
    g_signal_connect_swapped(f->model, "changed", G_CALLBACK(on_changed), f);
}

static void
tear_down(struct fixture *f)
{
    g_object_unref(f->model);
    g_ptr_array_unref(f->news);
}

static void
set(struct fixture *f, const char *name, const char *value)
{
    hvs_model_set_property(f->model, name, g_variant_new_string(value));
}

/* The service is there, and ready. */
static void
begin_ready(struct fixture *f)
{
    set_up(f);
    hvs_model_freeze(f->model);
    set(f, "State", "ready");
    set(f, "Summary", "Ready for Enhanced Session, nobody is connected");
    set(f, "Server", "tcp:127.0.0.1:3389");
    set(f, "HostOffer", "ready");
    set(f, "HostVersion", "1.0");
    hvs_model_set_service(f->model, HVS_SERVICE_PRESENT);
    hvs_model_thaw(f->model);
}

static void
set_session(struct fixture *f, guint id, const char *name, GVariant *value)
{
    g_autofree char *path = g_strdup_printf("/session/%u", id);

    hvs_model_set_session_property(f->model, path, name, value);
}

static void
add_session(struct fixture *f, guint id, const char *state, const char *client)
{
    static const char *const channels[] = { "rdpdr", "cliprdr" };

    hvs_model_freeze(f->model);
    set_session(f, id, "Id", g_variant_new_uint32(id));
    set_session(f, id, "State", g_variant_new_string(state));
    set_session(f, id, "ClientName", g_variant_new_string(client));
    set_session(f, id, "DesktopSize", g_variant_new("(uu)", 1920, 1080));
    set_session(f, id, "ColourDepth", g_variant_new_uint32(32));
    set_session(f, id, "StaticChannels", g_variant_new_strv(channels, G_N_ELEMENTS(channels)));
    set_session(f, id, "Started", g_variant_new_uint64(NOON));
    hvs_model_thaw(f->model);
}

static void
end_session(struct fixture *f, guint id, const char *text, gboolean trouble)
{
    hvs_model_freeze(f->model);
    set_session(f, id, "State", g_variant_new_string("ended"));
    set_session(f, id, "Ended", g_variant_new_uint64(NOON + id * MINUTE));
    set_session(f, id, "EndText", g_variant_new_string(text));
    set_session(f, id, "Trouble", g_variant_new_boolean(trouble));
    hvs_model_thaw(f->model);
}

/* One finding; NULL: none. */
static void
set_findings(struct fixture *f, const char *verdict, const char *code, const char *severity)
{
    GVariantBuilder findings, fixes;

    g_variant_builder_init(&findings, G_VARIANT_TYPE("aa{sv}"));
    if (code != NULL) {
        g_variant_builder_init(&fixes, G_VARIANT_TYPE("a(sss)"));
        g_variant_builder_add(&fixes, "(sss)", "guest", "", "sudo apt install xrdp");
        g_variant_builder_add(&fixes, "(sss)", "host", "Restart it:", "Restart-VM");
        g_variant_builder_open(&findings, G_VARIANT_TYPE("a{sv}"));
        g_variant_builder_add(&findings, "{sv}", "code", g_variant_new_string(code));
        g_variant_builder_add(&findings, "{sv}", "name", g_variant_new_string("server-missing"));
        g_variant_builder_add(&findings, "{sv}", "severity", g_variant_new_string(severity));
        g_variant_builder_add(&findings, "{sv}", "sentence", g_variant_new_string("No server."));
        g_variant_builder_add(&findings, "{sv}", "why", g_variant_new_string("It is missing."));
        g_variant_builder_add(&findings, "{sv}", "fix", g_variant_builder_end(&fixes));
        g_variant_builder_close(&findings);
    }
    hvs_model_freeze(f->model);
    hvs_model_set_property(f->model, "Findings", g_variant_builder_end(&findings));
    set(f, "Verdict", verdict);
    hvs_model_thaw(f->model);
}

static void
expect_state(struct fixture *f, HvsState state, const char *title, const char *sentence)
{
    g_autofree char *actual_title = hvs_model_get_title(f->model);
    g_autofree char *actual_sentence = hvs_model_get_sentence(f->model);

    g_assert_cmpint(hvs_model_get_state(f->model), ==, state);
    g_assert_cmpstr(actual_title, ==, title);
    g_assert_cmpstr(actual_sentence, ==, sentence);
}

static void
expect_news(struct fixture *f, const char *expected)
{
    g_autofree char *news = NULL;

    g_ptr_array_add(f->news, NULL);
    news = g_strjoinv("\n", (char **)f->news->pdata);
    g_assert_cmpstr(news, ==, expected);
    g_ptr_array_set_size(f->news, 0);
}

/* ---- the four states ---- */

static void
test_states(void)
{
    struct fixture f;

    set_up(&f);
    expect_state(&f, HVS_STATE_NOT_AVAILABLE, "Not available", "Looking for the hvsession service");
    hvs_model_set_service(f.model, HVS_SERVICE_ABSENT);
    expect_state(&f, HVS_STATE_NOT_AVAILABLE, "Not available",
                 "The hvsession service is not running");
    set(&f, "State", "not-offered");
    set(&f, "Summary", "The host does not offer Enhanced Session to this guest");
    hvs_model_set_service(f.model, HVS_SERVICE_PRESENT);
    expect_state(&f, HVS_STATE_NOT_AVAILABLE, "Not available",
                 "The host does not offer Enhanced Session to this guest");
    set(&f, "State", "starting");
    set(&f, "Summary", "Agreeing on Enhanced Session with the host");
    expect_state(&f, HVS_STATE_NOT_AVAILABLE, "Not available",
                 "Agreeing on Enhanced Session with the host");
    set(&f, "State", "problem");
    set(&f, "Problem", "the host refused version 1.0 of the protocol");
    expect_state(&f, HVS_STATE_PROBLEM, "Problem", "The host refused version 1.0 of the protocol");
    tear_down(&f);

    begin_ready(&f);
    expect_state(&f, HVS_STATE_READY, "Ready", "Ready for Enhanced Session, nobody is connected");
    set(&f, "State", "active");
    set(&f, "Summary", "Enhanced Session is in use");
    add_session(&f, 1, "active", "DESK-1");
    expect_state(&f, HVS_STATE_WORKING, "Working: 1 session", "Enhanced Session is in use");
    add_session(&f, 2, "waiting", "");
    expect_state(&f, HVS_STATE_WORKING, "Working: 2 sessions", "Enhanced Session is in use");
    hvs_model_set_property(f.model, "SessionCount", g_variant_new_uint32(3));
    expect_state(&f, HVS_STATE_WORKING, "Working: 3 sessions", "Enhanced Session is in use");
    tear_down(&f);
}

/* Ready, but nobody would get a desktop. */
static void
test_ready_in_vain(void)
{
    struct fixture f;

    begin_ready(&f);
    set(&f, "ServerState", "unreachable");
    expect_state(&f, HVS_STATE_PROBLEM, "Problem",
                 "The RDP server of this machine does not answer");
    set(&f, "ServerState", "reachable");
    expect_state(&f, HVS_STATE_READY, "Ready", "Ready for Enhanced Session, nobody is connected");
    set_findings(&f, "degraded", "HVS-301", "error");
    expect_state(&f, HVS_STATE_PROBLEM, "Problem", "No server.");
    g_assert_cmpuint(hvs_model_count_troubles(f.model), ==, 1);
    /* A warning keeps nobody from working, and neither does what the service knows better. */
    set_findings(&f, "degraded", "HVS-401", "warning");
    expect_state(&f, HVS_STATE_READY, "Ready", "Ready for Enhanced Session, nobody is connected");
    set_findings(&f, "not-a-guest", "HVS-102", "error");
    expect_state(&f, HVS_STATE_READY, "Ready", "Ready for Enhanced Session, nobody is connected");
    set_findings(&f, "fine", NULL, NULL);
    g_assert_cmpuint(hvs_model_count_troubles(f.model), ==, 0);
    tear_down(&f);
}

static void
test_icons(void)
{
    for (int a = HVS_STATE_NOT_AVAILABLE; a <= HVS_STATE_PROBLEM; a++)
        for (int b = a + 1; b <= HVS_STATE_PROBLEM; b++)
            g_assert_cmpstr(hvs_state_icon((HvsState)a), !=, hvs_state_icon((HvsState)b));
}

/* Gone, and everything with it. */
static void
test_service_vanishes(void)
{
    g_autoptr(GPtrArray) sessions = NULL;
    struct fixture f;

    begin_ready(&f);
    set(&f, "State", "active");
    add_session(&f, 1, "active", "DESK-1");
    set_findings(&f, "degraded", "HVS-301", "error");
    hvs_model_set_service(f.model, HVS_SERVICE_ABSENT);
    sessions = hvs_model_get_sessions(f.model);
    g_assert_cmpuint(sessions->len, ==, 0);
    g_assert_cmpuint(hvs_model_get_findings(f.model)->len, ==, 0);
    expect_state(&f, HVS_STATE_NOT_AVAILABLE, "Not available",
                 "The hvsession service is not running");
    tear_down(&f);
}

/* ---- rows ---- */

/* "+" good, "-" idle, "!" bad, " " none; label=value; one a line. */
static void
expect_rows(struct fixture *f, HvsSection section, const char *expected)
{
    g_autoptr(GPtrArray) rows = hvs_model_get_rows(f->model, section, NOON);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < rows->len; i++) {
        const HvsRow *row = g_ptr_array_index(rows, i);

        g_string_append_printf(text, "%c%s=%s\n", " +-!"[row->mark], row -> label, row -> value);
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void
test_host_rows(void)
{
    struct fixture f;

    begin_ready(&f);
    expect_rows(&f, HVS_SECTION_HOST,
                "+Hypervisor=Hyper-V\n+Enhanced Session=Supported, protocol version 1.0\n");
    set(&f, "HostBuild", "10.0.26100.1");
    set(&f, "VirtualMachine", "Build 7");
    set(&f, "HostName", "HV01");
    set(&f, "HostOffer", "negotiating");
    expect_rows(&f, HVS_SECTION_HOST,
                "+Hypervisor=Hyper-V 10.0.26100.1 (Windows Server 2025, Windows 11)\n"
                " Virtual machine=Build 7\n Host name=HV01\n"
                "-Enhanced Session=Offered, agreeing on the version\n");
    set(&f, "HostBuild", "6.1.7601.17514");
    set(&f, "HostOffer", "not-offered");
    set(&f, "HostName", "");
    expect_rows(&f, HVS_SECTION_HOST,
                "+Hypervisor=Hyper-V 6.1.7601.17514\n Virtual machine=Build 7\n"
                "+Enhanced Session=Through HvSocket\n");
    set(&f, "State", "not-offered");
    expect_rows(&f, HVS_SECTION_HOST,
                "+Hypervisor=Hyper-V 6.1.7601.17514\n Virtual machine=Build 7\n"
                "!Enhanced Session=Not offered by the host\n");
    tear_down(&f);
}

static void
test_server_rows(void)
{
    struct fixture f;

    begin_ready(&f);
    expect_rows(&f, HVS_SECTION_SERVER,
                " Address=tcp:127.0.0.1:3389\n-State=Unknown until somebody connects\n");
    set(&f, "ServerState", "reachable");
    expect_rows(&f, HVS_SECTION_SERVER, " Address=tcp:127.0.0.1:3389\n+State=Reachable\n");
    set(&f, "Server", "unix:/run/hvsession/xrdp.sock, tcp:127.0.0.1:3389");
    expect_rows(&f, HVS_SECTION_SERVER,
                " Address=unix:/run/hvsession/xrdp.sock\ntcp:127.0.0.1:3389\n+State=Reachable\n");
    set(&f, "Server", "tcp:127.0.0.1:3389");
    set(&f, "ServerState", "unreachable");
    expect_rows(&f, HVS_SECTION_SERVER, " Address=tcp:127.0.0.1:3389\n!State=Not reachable\n");
    tear_down(&f);
}

static void
test_channel_rows(void)
{
    GVariantBuilder channels;
    struct fixture f;

    begin_ready(&f);
    /* An older service says nothing of them. */
    expect_rows(&f, HVS_SECTION_CHANNELS, "-Channels=Unknown\n");
    g_variant_builder_init(&channels, G_VARIANT_TYPE("a(usst)"));
    g_variant_builder_add(&channels, "(usst)", 0, "control", "open", NOON - 42 * MINUTE);
    g_variant_builder_add(&channels, "(usst)", 1, "data", "failed", NOON);
    g_variant_builder_add(&channels, "(usst)", 2, "data", "offered", NOON);
    g_variant_builder_add(&channels, "(usst)", 3, "data", "not-offered", G_GUINT64_CONSTANT(0));
    g_variant_builder_add(&channels, "(usst)", 4, "data", "a-new-state", NOON);
    hvs_model_set_property(f.model, "Channels", g_variant_builder_end(&channels));
    set(&f, "HvSocket", "port-taken");
    expect_rows(&f, HVS_SECTION_CHANNELS,
                "+Control channel=Open since 11:18\n!Data channel 1=Failed since 12:00\n"
                "-Data channel 2=Offered\n-Data channel 3=Not offered\n"
                "-Data channel 4=a-new-state\n"
                "!HvSocket=Its port is taken by another program\n");
    tear_down(&f);
}

/* Of the wrong types is as good as not there. */
static void
test_wrong_types(void)
{
    struct fixture f;

    begin_ready(&f);
    hvs_model_set_property(f.model, "Channels", g_variant_new_string("?"));
    hvs_model_set_property(f.model, "Findings",
                           g_variant_new_array(G_VARIANT_TYPE("a{ss}"), NULL, 0));
    hvs_model_set_property(f.model, "Server", g_variant_new_uint32(3389));
    hvs_model_set_session_property(f.model, "/session/1", "Id", g_variant_new_string("1"));
    expect_rows(&f, HVS_SECTION_CHANNELS, "-Channels=Unknown\n");
    expect_rows(&f, HVS_SECTION_SERVER,
                " Address=Unknown\n-State=Unknown until somebody connects\n");
    g_assert_cmpuint(hvs_model_get_findings(f.model)->len, ==, 0);
    tear_down(&f);
}

/* ---- sessions ---- */

static void
expect_words(char *words, const char *expected)
{
    g_assert_cmpstr(words, ==, expected);
    g_free(words);
}

static void
test_session(void)
{
    g_autoptr(GPtrArray) sessions = NULL;
    HvsSession *session;
    struct fixture f;

    begin_ready(&f);
    add_session(&f, 7, "active", "DESK-1");
    sessions = hvs_model_get_sessions(f.model);
    g_assert_cmpuint(sessions->len, ==, 1);
    session = g_ptr_array_index(sessions, 0);
    expect_words(hvs_session_client(session), "DESK-1");
    expect_words(hvs_session_screen(session), "1920 × 1080, 32 bit");
    expect_words(hvs_session_status(session), "Connected");
    g_assert_true(hvs_session_can(session, HVS_ABILITY_CLIPBOARD));
    g_assert_true(hvs_session_can(session, HVS_ABILITY_DRIVES));
    g_assert_false(hvs_session_can(session, HVS_ABILITY_SOUND));
    set_session(&f, 7, "ClientName", g_variant_new_string(""));
    set_session(&f, 7, "DesktopSize", g_variant_new("(uu)", 0, 0));
    expect_words(hvs_session_client(session), "Session 7");
    expect_words(hvs_session_screen(session), "");
    tear_down(&f);
}

static void
test_session_order(void)
{
    g_autoptr(GPtrArray) sessions = NULL, ended = NULL;
    struct fixture f;

    begin_ready(&f);
    add_session(&f, 10, "active", "C");
    add_session(&f, 9, "active", "B");
    for (guint id = 1; id <= 7; id++) {
        add_session(&f, id, "active", "A");
        end_session(&f, id, "the user closed the window", FALSE);
    }
    sessions = hvs_model_get_sessions(f.model);
    g_assert_cmpuint(sessions->len, ==, 2);
    g_assert_cmpuint(hvs_session_id(g_ptr_array_index(sessions, 0)), ==, 9);
    /* The last ones, the last first. */
    ended = hvs_model_get_ended(f.model);
    g_assert_cmpuint(ended->len, ==, 5);
    g_assert_cmpuint(hvs_session_id(g_ptr_array_index(ended, 0)), ==, 7);
    g_assert_cmpuint(hvs_session_id(g_ptr_array_index(ended, 4)), ==, 3);
    hvs_model_remove_session(f.model, "/session/7");
    hvs_model_remove_session(f.model, "/session/7");
    g_clear_pointer(&ended, g_ptr_array_unref);
    ended = hvs_model_get_ended(f.model);
    g_assert_cmpuint(hvs_session_id(g_ptr_array_index(ended, 0)), ==, 6);
    tear_down(&f);
}

static void
test_history(void)
{
    g_autoptr(HvsSession) session = hvs_session_new("/session/1");
    guint64 rates[HVS_SESSION_HISTORY];
    const gint64 second = G_USEC_PER_SEC, start = 1000 * second;

    g_assert_cmpuint(hvs_session_history(session, start, rates), ==, 0);
    hvs_session_set(session, "RateToHost", g_variant_new_uint64(100), start);
    hvs_session_set(session, "RateToServer", g_variant_new_uint64(11), start);
    hvs_session_set(session, "RateToHost", g_variant_new_uint64(0), start + 3 * second / 2);
    hvs_session_set(session, "RateToServer", g_variant_new_uint64(0), start + 3 * second / 2);
    g_assert_cmpuint(hvs_session_history(session, start + 3 * second, rates), ==, 111);
    g_assert_cmpuint(rates[HVS_SESSION_HISTORY - 5], ==, 0);
    g_assert_cmpuint(rates[HVS_SESSION_HISTORY - 4], ==, 111);
    g_assert_cmpuint(rates[HVS_SESSION_HISTORY - 3], ==, 111);
    g_assert_cmpuint(rates[HVS_SESSION_HISTORY - 2], ==, 111); /* for a part of that second */
    g_assert_cmpuint(rates[HVS_SESSION_HISTORY - 1], ==, 0);
    /* A minute later all is forgotten; and a rate that holds is seen for as long. */
    g_assert_cmpuint(hvs_session_history(session, start + 90 * second, rates), ==, 0);
    hvs_session_set(session, "RateToHost", g_variant_new_uint64(5), start + 100 * second);
    g_assert_cmpuint(hvs_session_history(session, start + 500 * second, rates), ==, 5);
    g_assert_cmpuint(rates[0], ==, 5);
}

/* ---- findings ---- */

static void
test_findings(void)
{
    const HvsFinding *finding;
    const HvsFix *fix;
    struct fixture f;

    begin_ready(&f);
    g_assert_false(hvs_model_knows_findings(f.model));
    set_findings(&f, "degraded", "HVS-301", "error");
    g_assert_true(hvs_model_knows_findings(f.model));
    finding = g_ptr_array_index(hvs_model_get_findings(f.model), 0);
    g_assert_cmpstr(finding->code, ==, "HVS-301");
    g_assert_cmpstr(finding->sentence, ==, "No server.");
    g_assert_cmpstr(finding->why, ==, "It is missing.");
    g_assert_cmpint(finding->severity, ==, HVS_SEVERITY_ERROR);
    g_assert_cmpuint(finding->fixes->len, ==, 2);
    fix = g_ptr_array_index(finding->fixes, 0);
    g_assert_false(fix->on_host);
    g_assert_cmpstr(fix->command, ==, "sudo apt install xrdp");
    fix = g_ptr_array_index(finding->fixes, 1);
    g_assert_true(fix->on_host);
    g_assert_cmpstr(fix->note, ==, "Restart it:");
    /* As hvsession doctor and the Windows app call them. */
    g_assert_cmpstr(hvs_severity_words(HVS_SEVERITY_ADVICE), ==, "Advice");
    g_assert_cmpstr(hvs_severity_words(HVS_SEVERITY_INFO), ==, "Info");
    tear_down(&f);
}

/* ---- news ---- */

static void
test_news_of_sessions(void)
{
    struct fixture f;

    begin_ready(&f);
    add_session(&f, 1, "waiting", "");
    expect_news(&f, "");
    add_session(&f, 1, "active", "DESK-1");
    expect_news(&f, "DESK-1 has connected|1920 × 1080, 32 bit");
    set_session(&f, 1, "RateToHost", g_variant_new_uint64(100));
    expect_news(&f, "");
    end_session(&f, 1, "the user closed the window", FALSE);
    expect_news(&f, "DESK-1 has disconnected|The user closed the window");
    /* One that never came to work. */
    add_session(&f, 2, "waiting", "");
    end_session(&f, 2, "no RDP server took the connection in time", TRUE);
    expect_news(&f, "!Session 2: the session failed|No RDP server took the connection in time");
    /* Nor this one, and nobody minds. */
    add_session(&f, 3, "waiting", "");
    end_session(&f, 3, "the user closed the window", FALSE);
    expect_news(&f, "");
    hvs_model_remove_session(f.model, "/session/1");
    expect_news(&f, "");
    tear_down(&f);
}

static void
test_news_of_problems(void)
{
    struct fixture f;

    begin_ready(&f);
    set_findings(&f, "degraded", "HVS-301", "error");
    expect_news(&f, "!Enhanced Session has a problem|No server.");
    set(&f, "Version", "0.1.0");
    expect_news(&f, "");
    set_findings(&f, "degraded", "HVS-401", "warning");
    expect_news(&f, "Enhanced Session has a problem|No server.");
    set_findings(&f, "fine", "HVS-403", "advice");
    expect_news(&f, "");
    /* Once more after it was gone: that is new. */
    set_findings(&f, "degraded", "HVS-401", "warning");
    expect_news(&f, "Enhanced Session has a problem|No server.");
    tear_down(&f);
}

/* What is there when the service is found, is no news; nor when it is found again. */
static void
test_no_news(void)
{
    struct fixture f;

    set_up(&f);
    for (unsigned i = 0; i < 2; i++) {
        hvs_model_freeze(f.model);
        set(&f, "State", "active");
        add_session(&f, 1, "active", "DESK-1");
        add_session(&f, 2, "active", "DESK-2");
        end_session(&f, 2, "the user closed the window", FALSE);
        set_findings(&f, "degraded", "HVS-301", "error");
        hvs_model_set_service(f.model, HVS_SERVICE_PRESENT);
        hvs_model_thaw(f.model);
        expect_news(&f, "");
        hvs_model_set_service(f.model, HVS_SERVICE_ABSENT);
        expect_news(&f, "");
    }
    tear_down(&f);
}

/* Several changes, one signal. */
static void
test_freeze(void)
{
    struct fixture f;

    begin_ready(&f);
    f.changes = 0;
    hvs_model_freeze(f.model);
    set(&f, "State", "active");
    add_session(&f, 1, "active", "DESK-1");
    g_assert_cmpuint(f.changes, ==, 0);
    hvs_model_thaw(f.model);
    g_assert_cmpuint(f.changes, ==, 1);
    hvs_model_freeze(f.model);
    hvs_model_thaw(f.model);
    g_assert_cmpuint(f.changes, ==, 1);
    tear_down(&f);
}

/* ---- preferences ---- */

static void
test_preferences(void)
{
    g_autofree char *path =
        g_build_filename(g_get_user_config_dir(), "hvsession", "tray.conf", NULL);
    g_autofree char *text = NULL;

    g_assert_true(hvs_preferences_get_notifications());
    g_assert_true(hvs_preferences_set_notifications(FALSE, NULL));
    g_assert_false(hvs_preferences_get_notifications());
    g_assert_true(
        g_file_set_contents(path, "[other]\nkey=1\n[tray]\nNotifications=maybe\n", -1, NULL));
    g_assert_true(hvs_preferences_get_notifications());
    g_assert_true(hvs_preferences_set_notifications(TRUE, NULL));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "key=1"));
    g_assert_nonnull(strstr(text, "Notifications=true"));
}

static void
test_preferences_fail(void)
{
    g_autofree char *directory = g_build_filename(g_get_user_config_dir(), "hvsession", NULL);
    g_autofree char *file = g_build_filename(directory, "tray.conf", NULL);
    g_autoptr(GError) error = NULL;

    g_remove(file);
    g_rmdir(directory);
    /* A file where the directory should be. */
    g_assert_true(g_file_set_contents(directory, "", -1, NULL));
    g_assert_false(hvs_preferences_set_notifications(FALSE, &error));
    g_assert_nonnull(error);
    g_assert_true(hvs_preferences_get_notifications());
}

/* With the file that the last test has left. */
static void
remove_directory(const char *path)
{
    g_autofree char *file = g_build_filename(path, "hvsession", NULL);

    g_remove(file);
    g_rmdir(path);
}

int
main(int argc, char **argv)
{
    g_autofree char *config = g_dir_make_tmp("test-gui-XXXXXX", NULL);
    int status;

    g_assert_nonnull(config);
    g_setenv("XDG_CONFIG_HOME", config, TRUE);
    g_setenv("TZ", "UTC", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/model/states", test_states);
    g_test_add_func("/model/ready-in-vain", test_ready_in_vain);
    g_test_add_func("/model/icons", test_icons);
    g_test_add_func("/model/service-vanishes", test_service_vanishes);
    g_test_add_func("/model/rows/host", test_host_rows);
    g_test_add_func("/model/rows/server", test_server_rows);
    g_test_add_func("/model/rows/channels", test_channel_rows);
    g_test_add_func("/model/rows/wrong-types", test_wrong_types);
    g_test_add_func("/model/sessions/one", test_session);
    g_test_add_func("/model/sessions/order", test_session_order);
    g_test_add_func("/model/sessions/history", test_history);
    g_test_add_func("/model/findings", test_findings);
    g_test_add_func("/model/news/sessions", test_news_of_sessions);
    g_test_add_func("/model/news/problems", test_news_of_problems);
    g_test_add_func("/model/news/none", test_no_news);
    g_test_add_func("/model/freeze", test_freeze);
    g_test_add_func("/preferences/kept", test_preferences);
    g_test_add_func("/preferences/fail", test_preferences_fail);
    status = g_test_run();
    remove_directory(config);
    return status;
}
