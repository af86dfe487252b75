/* The verbs of hvsession on the running service: hvsessiond on a message bus of its own, in a guest
 * made of files, with sessions of the simulated host. */
#include "fake-polkit.h"
#include "private-bus.h"
#include "session-fixture.h"

#include "linux/dbus.h"
#include "tests/unit/fake-guest.h"

#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct test {
    struct fixture f;
    struct private_bus bus;
    struct guest guest;
    fake_polkit *polkit;
    char *root; /* the option */
    GStrv environment;
};

/* ---- set-up ---- */

static void
set_environment(struct test *t, const char *name, const char *value)
{
    t->environment = g_environ_setenv(t->environment, name, value, TRUE);
}

/* The service on its bus, and administrators are allowed everything. server: as in struct setup. */
static void
begin_test(struct test *t, const char *server)
{
    *t = (struct test){ .environment = g_get_environ() };
    guest_init(&t->guest);
    t->root = g_strconcat("--root=", t->guest.directory, NULL);
    private_bus_init(&t->bus);
    private_bus_start(&t->bus);
    set_environment(t, "LC_ALL", "C");
    set_environment(t, "DBUS_SYSTEM_BUS_ADDRESS", t->bus.address);
    t->polkit = fake_polkit_new(t->bus.address, FAKE_POLKIT_ALLOW);
    set_up(&t->f,
           &(struct setup){ .bus = t->bus.address, .root = t->guest.directory, .server = server });
    /* Where both look for the configuration. */
    guest_link(&t->guest, "etc/hvsession", t->f.directory);
    private_bus_wait_name(&t->bus, HVS_DBUS_NAME, TRUE);
}

static void
end_test(struct test *t)
{
    fake_polkit_free(t->polkit);
    tear_down(&t->f);
    private_bus_clear(&t->bus);
    guest_clear(&t->guest);
    g_strfreev(t->environment);
    g_free(t->root);
}

/* ---- running it ---- */

static char *printed, *complained;

/* Runs hvsession; what it wrote is in printed and complained until the next time. */
static int
run(struct test *t, const char *verb, const char *first, const char *second, const char *third)
{
    const char *arguments[] = { HVSESSION, verb, t->root, first, second, third, NULL };
    GError *error = NULL;
    int status;

    g_clear_pointer(&printed, g_free);
    g_clear_pointer(&complained, g_free);
    g_spawn_sync(NULL, (char **)arguments, t->environment, 0, NULL, NULL, &printed, &complained,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
expect(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        g_error("\"%s\" does not say \"%s\"", text, words);
}

static void
expect_status(struct test *t, int status, const char *verb, const char *first, const char *second,
              const char *third)
{
    int found = run(t, verb, first, second, third);

    if (found != status)
        g_error("%s: status %d, not %d:\n%s%s", verb, found, status, printed, complained);
    g_assert_cmpstr(status == 0 ? complained : "", ==, "");
}

/* One line, and nothing on standard output. */
static void
expect_complaint(const char *words)
{
    g_assert_cmpstr(printed, ==, "");
    expect(complained, words);
    g_assert_true(g_str_has_prefix(complained, "hvsession: "));
    g_assert_true(strchr(complained, '\n') == complained + strlen(complained) - 1);
}

static JsonObject *
parse_json(JsonParser *parser, const char *text)
{
    GError *error = NULL;

    json_parser_load_from_data(parser, text, -1, &error);
    g_assert_no_error(error);
    return json_node_get_object(json_parser_get_root(parser));
}

static void
expect_narrow(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++)
        g_assert_cmpint(g_utf8_strlen(lines[i], -1), <=, 80);
}

/* ---- status ---- */

static void
test_status(void)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    expect_status(&t, 0, "status", NULL, NULL, NULL);
    expect(printed, "Ready for Enhanced Session, nobody is connected\n");
    g_assert_null(strstr(printed, "doctor"));
    expect_status(&t, 0, "status", "--json", NULL, NULL);
    g_assert_cmpstr(json_object_get_string_member(parse_json(parser, printed), "state"), ==,
                    "ready");

    /* What happens outside is seen when somebody looks. */
    guest_set_listener(&t.guest, 0);
    expect_status(&t, 1, "status", NULL, NULL, NULL);
    expect(printed, "Ready for Enhanced Session");
    expect(printed, "\nerror HVS-301: ");
    expect(printed, "\nWhat mends it: hvsession doctor\n");
    expect_narrow(printed);
    expect_status(&t, 1, "status", "--json", NULL, NULL);
    parse_json(parser, printed);
    end_test(&t);
}

/* A look at the machine that never ends: what was found last is said. */
static void
test_stuck_look(void)
{
    g_autofree char *file = NULL;
    gint64 began;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    file = guest_path(&t.guest, "etc/os-release");
    expect_status(&t, 0, "status", NULL, NULL, NULL);
    g_assert_cmpint(unlink(file), ==, 0);
    g_assert_cmpint(mkfifo(file, 0644), ==, 0);
    began = g_get_monotonic_time();
    expect_status(&t, 0, "status", NULL, NULL, NULL);
    g_assert_cmpint(g_get_monotonic_time() - began, <, 10 * G_TIME_SPAN_SECOND);
    expect(printed, "Ready for Enhanced Session");
    end_test(&t);
}

static gboolean
has_state(struct test *t, const char *state)
{
    g_autoptr(JsonParser) parser = json_parser_new();

    run(t, "status", "--json", NULL, NULL);
    return g_str_equal(json_object_get_string_member(parse_json(parser, printed), "state"), state);
}

static void
test_not_offered(void)
{
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    guest_remove(&t.guest, GUEST_CONTROL);
    guest_remove(&t.guest, GUEST_DATA);
    g_assert_cmpint(hvhost_rescind(t.f.host, 0), ==, 0);
    log_wait(&t.f, NULL, "channel 0 was taken back");
    while (!has_state(&t, "not-offered"))
        ;
    expect_status(&t, 4, "status", NULL, NULL, NULL);
    expect(printed, "The host does not offer Enhanced Session");
    end_test(&t);
}

/* ---- without the service ---- */

static void
expect_absence(struct test *t, int status, const char *words)
{
    static const char *const verbs[][2] = {
        { "status", NULL }, { "sessions", NULL }, { "disconnect", "1" }, { "monitor", NULL }
    };

    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
        expect_status(t, status, verbs[i][0], verbs[i][1], NULL, NULL);
        expect_complaint(words);
        expect(complained, "hvsession doctor");
    }
}

static void
test_service_down(void)
{
    struct test t;

    begin_test(&t, NULL);
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    expect_absence(&t, 5, "systemctl start hvsessiond");
    /* No bus at all, and then no Hyper-V. */
    set_environment(&t, "DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    expect_absence(&t, 5, "systemctl start hvsessiond");
    guest_write(&t.guest, "proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n");
    expect_absence(&t, 3, "not a Hyper-V guest");
    end_test(&t);
}

/* ---- sessions ---- */

/* The session of that id in the document; NULL: it is not there. */
static JsonObject *
find_session(JsonObject *document, const char *list, gint64 id)
{
    JsonArray *sessions = json_object_get_array_member(document, list);

    for (guint i = 0; i < json_array_get_length(sessions); i++) {
        JsonObject *session = json_array_get_object_element(sessions, i);

        if (json_object_get_int_member(session, "id") == id)
            return session;
    }
    return NULL;
}

/* Is it in that list, with these counters? They are behind by what the relay has not gone to sleep
 * on yet. */
static gboolean
has_counted(struct test *t, const char *list, gint64 id, gsize to_server, gsize to_host)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *session, *counters;

    expect_status(t, 0, "sessions", "--json", NULL, NULL);
    session = find_session(parse_json(parser, printed), list, id);
    if (session == NULL)
        return FALSE;
    counters = json_object_get_object_member(session, "counters");
    return json_object_get_int_member(counters, "bytes_to_server") == (gint64)to_server &&
           json_object_get_int_member(counters, "bytes_to_host") == (gint64)to_host;
}

static void
wait_counted(struct test *t, const char *list, unsigned id, unsigned exchanges)
{
    gint64 deadline = g_get_monotonic_time() + WAIT * G_TIME_SPAN_MILLISECOND;

    while (!has_counted(t, list, id, sizeof bare_request + exchanges * 600,
                        sizeof bare_confirm + 1 + exchanges * 600))
        if (g_get_monotonic_time() > deadline)
            g_error("session %u is not among \"%s\", or has other counters:\n%s", id, list,
                    printed);
}

/* Two and three sessions, each with what it carried; one is ended, and the others go on. */
static void
test_sessions(void)
{
    struct session sessions[3];
    struct test t;

    begin_test(&t, NULL);
    expect_status(&t, 0, "sessions", NULL, NULL, NULL);
    g_assert_cmpstr(printed, ==, "No sessions.\n");
    for (unsigned i = 0; i < 3; i++) {
        start_session(&sessions[i], &t.f, i + 1);
        for (unsigned j = 0; j <= i; j++)
            check_session(&sessions[i]);
        wait_counted(&t, "sessions", i + 1, i + 1);
    }
    expect_status(&t, 0, "sessions", NULL, NULL, NULL);
    expect(printed, "#1      active ");
    expect(printed, "#2      active ");
    expect(printed, "#3      active ");
    expect_narrow(printed);

    expect_status(&t, 0, "disconnect", "#2", NULL, NULL);
    g_assert_cmpstr(printed, ==, "Session 2 is disconnected.\n");
    end_session(&sessions[1], "disconnected");
    wait_counted(&t, "ended", 2, 2);
    check_session(&sessions[0]);
    check_session(&sessions[2]);
    wait_counted(&t, "sessions", 1, 2);
    wait_counted(&t, "sessions", 3, 4);
    expect_status(&t, 1, "disconnect", "2", NULL, NULL);
    expect_complaint("there is no session 2");
    for (unsigned i = 0; i < 3; i += 2) {
        hvhost_rescind(t.f.host, i + 1);
        end_session(&sessions[i], "host-rescinded");
    }
    end_test(&t);
}

static void
test_disconnect_refused(void)
{
    static const char *const wrong[] = { "0", "x", "-1", "4294967296", "1 2", "" };
    struct session session;
    struct test t;

    begin_test(&t, NULL);
    start_session(&session, &t.f, 1);
    fake_polkit_answer(t.polkit, FAKE_POLKIT_DENY);
    expect_status(&t, 1, "disconnect", "1", NULL, NULL);
    expect_complaint("only administrators may do that: try again with sudo");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        expect_status(&t, 2, "disconnect", wrong[i], NULL, NULL);
        expect_complaint("--help");
    }
    expect_status(&t, 2, "disconnect", NULL, NULL, NULL);
    expect_complaint("which session?");
    expect_status(&t, 2, "disconnect", "1", "2", NULL);
    expect_complaint("unexpected argument \"2\"");
    check_session(&session);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

/* ---- doctor ---- */

/* The machine is set to HvSocket: there are no channels then, and all is well. Who has come that
 * way is known to the service only. */
static void
test_doctor_of_hvsocket(void)
{
    struct session session;
    struct test t;

    begin_test(&t, NULL);
    guest_set_listener(&t.guest, server_port(&t.f));
    guest_remove(&t.guest, GUEST_CONTROL);
    guest_remove(&t.guest, GUEST_DATA);
    expect_status(&t, 4, "doctor", NULL, NULL, NULL);
    expect(printed, "error HVS-202: ");
    expect(printed, "it may stay so: hvsession listens");
    begin_socket_session(&session, &t.f);
    negotiate(&session);
    expect_status(&t, 0, "doctor", NULL, NULL, NULL);
    expect(printed, "advice HVS-213: ");
    check_session(&session);
    shutdown(session.socket, SHUT_RDWR);
    end_session(&session, "host-rescinded");
    expect_status(&t, 0, "doctor", NULL, NULL, NULL);
    end_test(&t);
}

/* How the server has refused the last session is known to the service only. */
static void
test_doctor(void)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *facts;
    struct test t;

    begin_test(&t, NULL);
    guest_set_listener(&t.guest, server_port(&t.f));
    expect_status(&t, 0, "doctor", NULL, NULL, NULL);
    refuse_session(&t.f, 1, 5); /* HYBRID_REQUIRED_BY_SERVER */
    expect_status(&t, 1, "doctor", NULL, NULL, NULL);
    expect(printed, "error HVS-304: ");
    expect_status(&t, 1, "doctor", "--json", NULL, NULL);
    facts = json_object_get_object_member(parse_json(parser, printed), "facts");
    g_assert_cmpint(json_object_get_int_member(facts, "failure_code"), ==, 5);
    g_assert_cmpstr(json_object_get_string_member(facts, "server_encrypts"), ==, "no");
    end_test(&t);
}

/* ---- monitor ---- */

struct monitor {
    GPid pid;
    FILE *lines;
    char *line; /* the last one */
    size_t size;
};

static void
die_with_parent(gpointer user_data)
{
    (void)user_data;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void
begin_monitor(struct monitor *monitor, struct test *t, const char *option)
{
    const char *arguments[] = { HVSESSION, "monitor", t->root, option, NULL };
    GError *error = NULL;
    int out;

    *monitor = (struct monitor){ 0 };
    g_spawn_async_with_pipes(NULL, (char **)arguments, t->environment, G_SPAWN_DO_NOT_REAP_CHILD,
                             die_with_parent, NULL, &monitor->pid, NULL, &out, NULL, &error);
    g_assert_no_error(error);
    monitor->lines = fdopen(out, "r");
    g_assert_nonnull(monitor->lines);
}

static void
on_alarm(int number)
{
    static const char message[] = "hvsession did not do what was awaited\n";

    (void)number;
    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    abort();
}

/* Reads lines up to one with these words; whatever does not come fails the test. */
static void
wait_line(struct monitor *monitor, const char *words)
{
    signal(SIGALRM, on_alarm);
    alarm(WAIT / 1000);
    do {
        g_assert_cmpint(getline(&monitor->line, &monitor->size, monitor->lines), >, 0);
        g_test_message("%s", monitor->line);
    } while (strstr(monitor->line, words) == NULL);
    alarm(0);
}

/* Ctrl+C. */
static void
end_monitor(struct monitor *monitor)
{
    int status;

    g_assert_cmpint(kill(monitor->pid, SIGINT), ==, 0);
    g_assert_cmpint(waitpid(monitor->pid, &status, 0), ==, monitor->pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    /* Every line is whole. */
    while (getline(&monitor->line, &monitor->size, monitor->lines) >= 0)
        g_assert_true(g_str_has_suffix(monitor->line, "\n"));
    fclose(monitor->lines);
    free(monitor->line);
}

static void
test_monitor(void)
{
    struct session first, second;
    struct monitor monitor;
    struct test t;

    begin_test(&t, NULL);
    guest_set_listener(&t.guest, server_port(&t.f));
    start_session(&first, &t.f, 1);
    wait_counted(&t, "sessions", 1, 0);
    expect_status(&t, 0, "status", NULL, NULL, NULL);
    begin_monitor(&monitor, &t, NULL);
    wait_line(&monitor, "Enhanced Session is in use\n");
    wait_line(&monitor, "diagnosis: All is in place for Enhanced Session.\n");
    wait_line(&monitor, "session 1: active, to tcp:127.0.0.1:");
    start_session(&second, &t.f, 2);
    wait_line(&monitor, "session 2: ");
    check_session(&second);
    hvhost_rescind(t.f.host, 2);
    end_session(&second, "host-rescinded");
    wait_line(&monitor, "session 2: ended, the user closed the window (612 bytes to the host, 611 "
                        "bytes to the server)\n");
    guest_set_listener(&t.guest, 0);
    hvhost_rescind(t.f.host, 1);
    end_session(&first, "host-rescinded");
    wait_line(&monitor, "diagnosis: Enhanced Session does not work yet. See hvsession doctor: "
                        "HVS-301");

    /* It outlives the service. */
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    wait_line(&monitor, "the service has stopped\n");
    start_daemon(&t.f);
    wait_line(&monitor, "the service runs\n");
    wait_line(&monitor, "Ready for Enhanced Session");
    end_monitor(&monitor);
    end_test(&t);
}

static void
test_monitor_json(void)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    struct session session;
    struct monitor monitor;
    JsonObject *event;
    struct test t;

    begin_test(&t, NULL);
    begin_monitor(&monitor, &t, "--json");
    wait_line(&monitor, "\"event\": \"state\"");
    event = parse_json(parser, monitor.line);
    g_assert_cmpstr(json_object_get_string_member(event, "state"), ==, "ready");
    g_assert_cmpint(g_get_real_time() / 1000 - json_object_get_int_member(event, "time_ms"), <=,
                    WAIT);
    start_session(&session, &t.f, 3);
    check_session(&session);
    wait_line(&monitor, "\"event\": \"session\"");
    event = parse_json(parser, monitor.line);
    g_assert_cmpint(json_object_get_int_member(event, "id"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(event, "channel"), ==, 3);
    g_assert_cmpstr(json_object_get_string_member(event, "transport"), ==, "vmbus");
    hvhost_rescind(t.f.host, 3);
    end_session(&session, "host-rescinded");
    wait_line(&monitor, "\"state\": \"ended\"");
    event = parse_json(parser, monitor.line);
    g_assert_cmpstr(json_object_get_string_member(event, "reason"), ==, "host-rescinded");
    g_assert_false(json_object_get_boolean_member(event, "trouble"));
    g_assert_cmpint(json_object_get_int_member(event, "bytes_to_host"), ==, 612);
    /* A service that breaks down is told, too. */
    g_assert_cmpint(kill(t.f.daemon.pid, SIGKILL), ==, 0);
    g_assert_cmpint(wait_daemon(&t.f), ==, -SIGKILL);
    wait_line(&monitor, "\"event\": \"service\"");
    g_assert_false(json_object_get_boolean_member(parse_json(parser, monitor.line), "running"));
    end_monitor(&monitor);
    end_test(&t);
}

/* ---- config ---- */

static char *
own_drop_in(const struct test *t)
{
    return g_build_filename(t->f.directory, "conf.d", "90-hvsession-config.conf", NULL);
}

static void
test_config(void)
{
    g_autofree char *drop_in = NULL;
    struct stat status;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    drop_in = own_drop_in(&t);
    expect_status(&t, 0, "config", "get", "servertimeout", NULL);
    g_assert_cmpstr(printed, ==, "15 s\n");

    expect_status(&t, 0, "config", "set", "servertimeout", "90");
    expect(printed, "ServerTimeout=90 s\nFrom ");
    expect(printed, "/conf.d/90-hvsession-config.conf:4.\nThe service uses it from now on.\n");
    log_wait(&t.f, NULL, "configuration reloaded");
    expect_status(&t, 0, "config", "set", "Server", "unix:/run/a\\b tcp:[::1]");
    expect_status(&t, 0, "config", "get", "Server", NULL);
    g_assert_cmpstr(printed, ==, "unix:/run/a\\b, tcp:[::1]:3389\n");
    expect_status(&t, 0, "config", "get", "ServerTimeout", NULL);
    g_assert_cmpstr(printed, ==, "90 s\n");
    g_assert_cmpint(stat(drop_in, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0644);

    expect_status(&t, 0, "config", "unset", "Server", NULL);
    expect(printed, "Server=tcp:127.0.0.1:3389\nFrom ");
    expect(printed, "hvsession.conf:2.\nThe service uses it from now on.\n");
    expect_status(&t, 0, "config", "unset", "ServerTimeout", NULL);
    expect(printed, "ServerTimeout=15 s\nThe default.\nThe service uses it from now on.\n");
    g_assert_false(g_file_test(drop_in, G_FILE_TEST_EXISTS));

    expect_status(&t, 0, "config", "unset", "ServerTimeout", NULL);
    g_assert_cmpstr(printed, ==, "ServerTimeout has its default already.\n");
    expect_status(&t, 1, "config", "unset", "Server", NULL);
    expect_complaint("hvsession.conf:2, which hvsession config has not written");
    end_test(&t);
}

/* What others wrote stays, and what overrides is named. */
static void
test_config_of_others(void)
{
    g_autofree char *drop_in = NULL, *directory = NULL, *later = NULL, *text = NULL;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    drop_in = own_drop_in(&t);
    directory = g_path_get_dirname(drop_in);
    later = g_build_filename(directory, "95-later.conf", NULL);
    g_assert_cmpint(g_mkdir(directory, 0755), ==, 0);
    g_assert_true(
        g_file_set_contents(drop_in, "# mine\n[hvsession]\n# why\nserver=tcp:a:1\n", -1, NULL));
    g_assert_true(g_file_set_contents(later, "[hvsession]\nLogLevel=debug\n", -1, NULL));
    expect_status(&t, 0, "config", "set", "LogLevel", "info");
    expect(printed, "LogLevel=debug\nFrom ");
    expect(printed, "95-later.conf:2.\n");
    expect_status(&t, 0, "config", "set", "Server", "tcp:b:2");
    g_assert_true(g_file_get_contents(drop_in, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "# mine\n\n[hvsession]\n# why\nserver=tcp:b:2\nLogLevel=info\n");

    /* A drop-in that is broken is left to whoever broke it. */
    g_assert_true(g_file_set_contents(drop_in, "[hvsession]\nServer\n", -1, NULL));
    expect_status(&t, 1, "config", "set", "LogLevel", "info");
    expect_complaint("90-hvsession-config.conf:2: ");
    g_free(g_steal_pointer(&text));
    g_assert_true(g_file_get_contents(drop_in, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "[hvsession]\nServer\n");
    end_test(&t);
}

static void
test_config_mistakes(void)
{
    static const struct {
        const char *arguments[3];
        const char *words;
    } mistakes[] = {
        { { "frob", NULL, NULL }, "\"frob\" is not list, get, set or unset" },
        { { "list", "Server", NULL }, "takes no argument" },
        { { "get", NULL, NULL }, "takes a key" },
        { { "set", "Server", NULL }, "takes a key and a value" },
        { { "get", "Sever", NULL }, "Sever: no such setting; did you mean Server?" },
        { { "unset", "Zzzz", NULL }, "Zzzz: no such setting; see hvsession config list" },
        { { "set", "Server", "tcp:h:99999" }, "the port must be 1 to 65535" },
        { { "set", "LogLevel", "loud" }, "\"loud\"" },
        { { "set", "LogLevel", "" }, "LogLevel" },
    };
    g_autofree char *drop_in = NULL;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    drop_in = own_drop_in(&t);
    for (gsize i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        const char *const *arguments = mistakes[i].arguments;

        expect_status(&t, 2, "config", arguments[0], arguments[1], arguments[2]);
        expect_complaint(mistakes[i].words);
    }
    g_assert_false(g_file_test(drop_in, G_FILE_TEST_EXISTS));

    /* Administrators only, whoever may write the file. */
    fake_polkit_answer(t.polkit, FAKE_POLKIT_DENY);
    expect_status(&t, 1, "config", "set", "LogLevel", "info");
    expect_complaint("written, but the service has not taken it in: ");
    fake_polkit_answer(t.polkit, FAKE_POLKIT_ALLOW);

    /* Another file is broken: what is wrong is said, with its place. */
    write_config(&t.f, "tcp:h:99999", NULL);
    expect_status(&t, 1, "config", "list", NULL, NULL);
    expect_complaint("hvsession.conf:2: Server: ");
    end_test(&t);
}

/* Without the service the file is written all the same. */
static void
test_config_service_down(void)
{
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    expect_status(&t, 0, "config", "set", "LogLevel", "INFO");
    expect(printed, "LogLevel=info\n");
    expect(printed, "The service uses it when it is started.\n");
    end_test(&t);
}

/* ---- support-bundle ---- */

/* What tar does with the archive. */
static char *
run_tar(const char *option, const char *archive, const char *member)
{
    const char *arguments[] = { "tar", option, archive, "--wildcards", member, NULL };
    GError *error = NULL;
    char *out;
    int status;

    g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, NULL));
    return out;
}

static void
expect_member(const char *archive, const char *member, const char *words)
{
    g_autofree char *pattern = g_strconcat("hvsession-support-*/", member, NULL);
    g_autofree char *text = run_tar("-xzOf", archive, pattern);

    expect(text, words);
}

static void
test_bundle(void)
{
    g_autofree char *archive = NULL, *scratch = NULL, *all = NULL;
    struct stat status;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    archive = g_build_filename(t.f.directory, "bundle.tar.gz", NULL);
    scratch = g_build_filename(t.f.directory, "scratch", NULL);
    g_assert_cmpint(g_mkdir(scratch, 0755), ==, 0);
    set_environment(&t, "TMPDIR", scratch);
    guest_write(&t.guest, "etc/xrdp/xrdp.ini",
                "[Globals]\nport=3389\nkey_file=/etc/hunter1.pem\n[Xorg]\nusername=ask\n"
                "password=ask\n[Any]\npassword=hunter2\npamPassword = hunter3\r\nip=10.0.0.1\n");
    guest_write(&t.guest, "proc/modules", "hv_vmbus 1 2 - Live 0x0\nsecret_module 1 2\n");
    expect_status(&t, 0, "support-bundle", archive, NULL, NULL);
    g_assert_true(g_str_has_prefix(printed, archive));
    g_assert_cmpint(stat(archive, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    g_assert_cmpint(g_rmdir(scratch), ==, 0); /* nothing is left */

    expect_member(archive, "README.txt", "Look at it before you give it\naway");
    expect_member(archive, "version.txt", "hvsession " HVS_VERSION "\n");
    expect_member(archive, "status.txt", "Ready for Enhanced Session");
    expect_member(archive, "status.json", "\"state\": \"ready\"");
    expect_member(archive, "sessions.txt", "No sessions.\n");
    expect_member(archive, "doctor.txt", "All is in place for Enhanced Session");
    expect_member(archive, "doctor.json", "\"blank_password\": \"unknown\"");
    expect_member(archive, "config.txt", "Server=tcp:127.0.0.1:3389\n");
    expect_member(archive, "config/hvsession/hvsession.conf", "Server=tcp:127.0.0.1:3389\n");
    expect_member(archive, "config/xrdp/xrdp.ini", "password=ask\n[Any]\npassword=(left out)\n");
    expect_member(archive, "config/xrdp/xrdp.ini", "\nip=10.0.0.1\n");
    expect_member(archive, "log/hvsessiond.service.txt", "");
    expect_member(archive, "kernel.txt", "hv_vmbus 1 2 - Live 0x0\n");
    expect_member(archive, "kernel.txt", " uio_hv_generic class_id=" GUEST_CLASS);
    all = run_tar("-xzOf", archive, "*");
    g_assert_null(strstr(all, "hunter"));
    g_assert_null(strstr(all, "secret_module"));

    /* Neither the first nor anything else is overwritten. */
    g_assert_cmpint(g_mkdir(scratch, 0755), ==, 0);
    expect_status(&t, 1, "support-bundle", archive, NULL, NULL);
    expect_complaint("File exists");
    expect_status(&t, 1, "support-bundle", "/nonexistent/x.tar.gz", NULL, NULL);
    expect_complaint("/nonexistent/x.tar.gz: No such file");
    end_test(&t);
}

/* When nothing runs it is needed most. */
static void
test_bundle_service_down(void)
{
    g_autofree char *archive = NULL;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    archive = g_build_filename(t.f.directory, "bundle.tar.gz", NULL);
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    expect_status(&t, 0, "support-bundle", archive, NULL, NULL);
    expect_member(archive, "status.txt", "the service does not run");
    expect_member(archive, "doctor.txt", "All is in place for Enhanced Session");
    end_test(&t);
}

/* It is interrupted while that program runs, with what the shell would send. */
struct interruption {
    const char *program;
    int number;
    gboolean in_background; /* of a script, that is with SIGINT ignored */
};

static void
start_as_asked(gpointer user_data)
{
    const struct interruption *interruption = user_data;

    die_with_parent(NULL);
    if (interruption->in_background)
        signal(SIGINT, SIG_IGN);
}

/* A program of that name in directory, which opens the FIFO there for as long as it lives. */
static void
write_endless(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_autofree char *text =
        g_strdup_printf("#!/bin/sh\nexec 3>'%s/runs'\necho yes >&3\nexec sleep 3600\n", directory);

    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

/* Nothing is left: no directory with what was gathered, no half archive, no program. */
static void
test_bundle_interrupted(gconstpointer data)
{
    const struct interruption *interruption = data;
    g_autofree char *archive = NULL, *scratch = NULL, *bin = NULL, *fifo = NULL, *path = NULL;
    GError *error = NULL;
    char line[16];
    int status;
    GPid pid;
    FILE *runs;
    struct test t;

    begin_test(&t, "tcp:127.0.0.1:3389");
    archive = g_build_filename(t.f.directory, "bundle.tar.gz", NULL);
    scratch = g_build_filename(t.f.directory, "scratch", NULL);
    bin = g_build_filename(t.f.directory, "bin", NULL);
    fifo = g_build_filename(bin, "runs", NULL);
    path = g_strdup_printf("%s:%s", bin, g_environ_getenv(t.environment, "PATH"));
    g_assert_cmpint(g_mkdir(scratch, 0755), ==, 0);
    g_assert_cmpint(g_mkdir(bin, 0755), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0644), ==, 0);
    write_endless(bin, interruption->program);
    set_environment(&t, "TMPDIR", scratch);
    set_environment(&t, "PATH", path);
    const char *arguments[] = { HVSESSION, "support-bundle", t.root, archive, NULL };
    g_spawn_async(NULL, (char **)arguments, t.environment, G_SPAWN_DO_NOT_REAP_CHILD,
                  start_as_asked, (gpointer)interruption, &pid, &error);
    g_assert_no_error(error);

    signal(SIGALRM, on_alarm);
    alarm(WAIT / 1000);
    runs = fopen(fifo, "r");
    g_assert_nonnull(runs);
    g_assert_nonnull(fgets(line, sizeof line, runs));
    if (interruption->in_background)
        g_assert_cmpint(kill(pid, SIGINT), ==, 0);
    g_assert_cmpint(kill(pid, interruption->number), ==, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    g_assert_cmpint(WTERMSIG(status), ==, interruption->number);
    g_assert_null(fgets(line, sizeof line, runs));
    alarm(0);
    fclose(runs);
    g_assert_cmpint(g_rmdir(scratch), ==, 0);
    g_assert_false(g_file_test(archive, G_FILE_TEST_EXISTS));
    end_test(&t);
}

/* ---- what the host is told ---- */

#define POOL "var/lib/hyperv/.kvp_pool_1"

static gboolean
pool_has(struct test *t, const char *state)
{
    g_autofree char *path = guest_path(&t->guest, POOL);
    g_autofree char *pool = NULL, *found = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(path, &pool, &length, NULL));
    found = hvs_kvp_find(pool, length, "HvSessionState");
    return g_strcmp0(found, state) == 0;
}

static void
wait_pool(struct test *t, const char *state)
{
    gint64 deadline = g_get_monotonic_time() + WAIT * G_TIME_SPAN_MILLISECOND;

    while (!pool_has(t, state)) {
        if (g_get_monotonic_time() > deadline)
            g_error("the host was not told the state %s", state);
        wait_daemon_idle(&t->f);
    }
}

static void
test_published(void)
{
    struct session session;
    struct stat status;
    struct test t;
    g_autofree char *path = NULL;

    begin_test(&t, NULL);
    path = guest_path(&t.guest, POOL);
    guest_write(&t.guest, POOL, "");
    expect_status(&t, 0, "config", "set", "PublishState", "yes");
    wait_pool(&t, "ready");
    start_session(&session, &t.f, 1);
    wait_pool(&t, "active");
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    wait_pool(&t, "ready");
    expect_status(&t, 0, "config", "set", "PublishState", "no");
    wait_pool(&t, NULL);
    expect_status(&t, 0, "config", "unset", "PublishState", NULL);
    wait_pool(&t, "ready");
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_size, ==, 3 * HVS_KVP_RECORD_SIZE);
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_size, ==, 0);
    end_test(&t);
}

/* ---- completion ---- */

/* The words that bash offers behind that line, in their order. */
static char *
complete(struct test *t, const char *line)
{
    static const char script[] =
        "source \"$0\"\n"
        "read -r -a COMP_WORDS <<< \"$1\"\n"
        "[[ $1 == *' ' ]] && COMP_WORDS+=('')\n"
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1}\n"
        "command=$(complete -p hvsession) && ${command#*-F } 2> /dev/null\n"
        "_hvsession && echo \"${COMPREPLY[*]}\"\n";
    const char *arguments[] = { "bash", "--norc", "-c", script, COMPLETION, line, NULL };
    GError *error = NULL;
    char *out;

    g_spawn_sync(NULL, (char **)arguments, t->environment, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                 NULL, NULL, &error);
    g_assert_no_error(error);
    return g_strchomp(out);
}

static void
test_completion(void)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        { "hvsession s", "status sessions setup support-bundle" },
        { "hvsession do", "doctor" },
        { "hvsession --", "--help --version" },
        { "hvsession doctor --v", "--verbose" },
        { "hvsession doctor --json --", "--json --verbose --help" },
        { "hvsession sessions ", "" },
        { "hvsession config ", "list get set unset" },
        { "hvsession config --json l", "list" },
        { "hvsession config get ServerT", "ServerTimeout" },
        { "hvsession config unset P", "PublishState" },
        { "hvsession config list ", "" },
        { "hvsession config set Server ", "" },
        { "hvsession help mon", "monitor" },
        { "hvsession disconnect ", "1 3" },
        { "hvsession disconnect 1 ", "" },
    };
    g_autofree char *directory = g_path_get_dirname(HVSESSION);
    g_autofree char *path = g_strconcat(directory, ":", g_getenv("PATH"), NULL);
    struct session sessions[3];
    struct test t;

    begin_test(&t, NULL);
    set_environment(&t, "PATH", path);
    for (unsigned i = 0; i < 3; i++)
        start_session(&sessions[i], &t.f, i + 1);
    hvhost_rescind(t.f.host, 2);
    end_session(&sessions[1], "host-rescinded");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *words = complete(&t, cases[i].line);

        if (!g_str_equal(words, cases[i].words))
            g_error("\"%s\" offers \"%s\", not \"%s\"", cases[i].line, words, cases[i].words);
    }
    for (unsigned i = 0; i < 3; i += 2) {
        hvhost_rescind(t.f.host, i + 1);
        end_session(&sessions[i], "host-rescinded");
    }
    end_test(&t);
}

int
main(int argc, char **argv)
{
    static const struct interruption interruptions[] = {
        { "journalctl", SIGINT, FALSE },
        { "journalctl", SIGTERM, TRUE },
        { "tar", SIGTERM, FALSE },
        { "tar", SIGHUP, FALSE },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/verbs/status", test_status);
    g_test_add_func("/verbs/status/stuck-look", test_stuck_look);
    g_test_add_func("/verbs/status/not-offered", test_not_offered);
    g_test_add_func("/verbs/service-down", test_service_down);
    g_test_add_func("/verbs/sessions", test_sessions);
    g_test_add_func("/verbs/disconnect/refused", test_disconnect_refused);
    g_test_add_func("/verbs/doctor", test_doctor);
    g_test_add_func("/verbs/doctor-of-hvsocket", test_doctor_of_hvsocket);
    g_test_add_func("/verbs/monitor", test_monitor);
    g_test_add_func("/verbs/monitor/json", test_monitor_json);
    g_test_add_func("/verbs/config", test_config);
    g_test_add_func("/verbs/config/of-others", test_config_of_others);
    g_test_add_func("/verbs/config/mistakes", test_config_mistakes);
    g_test_add_func("/verbs/config/service-down", test_config_service_down);
    g_test_add_func("/verbs/bundle", test_bundle);
    g_test_add_func("/verbs/bundle/service-down", test_bundle_service_down);
    for (gsize i = 0; i < G_N_ELEMENTS(interruptions); i++) {
        g_autofree char *path =
            g_strdup_printf("/verbs/bundle/interrupted/%s-%s", interruptions[i].program,
                            g_strsignal(interruptions[i].number));

        g_test_add_data_func(path, &interruptions[i], test_bundle_interrupted);
    }
    g_test_add_func("/verbs/published", test_published);
    g_test_add_func("/verbs/completion", test_completion);
    return g_test_run();
}
