/* linux/log: what reaches standard error, and what would reach the journal. */
#include "linux/log.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#define TIME "[0-9][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9][0-9][0-9] "

/* GLib has one log for a process, so that each test logs in one of its own. Gives what that one
 * wrote to standard error. */
static char *
run(const char *name)
{
    g_autofree char *path = g_strconcat("/linux-log/in-subprocess/subprocess/", name, NULL);
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    const char *arguments[] = { program, "-p", path, "--GTestSubprocess", NULL };
    g_autofree char *output = NULL;
    char *errors = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, &errors,
                 &status, &error);
    g_assert_no_error(error);
    if (!g_spawn_check_wait_status(status, &error))
        g_error("%s: %s\n%s", name, error->message, errors);
    return errors;
}

static void
assert_matches(const char *text, const char *pattern)
{
    g_autofree char *anchored = g_strconcat("\\A", pattern, "\\z", NULL);

    if (!g_regex_match_simple(anchored, text, G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT))
        g_error("\"%s\" does not match %s", text, pattern);
}

/* Messages of all kinds */

static void
log_kinds(void)
{
    struct hvs_session session;

    hvs_log_init();
    hvs_log(HVS_LOG_NOTICE, "ready, %d channels", 5);
    hvs_log(HVS_LOG_WARNING, "careful");
    hvs_log_session(HVS_LOG_ERROR, 3, 2, "broken: %s", "why");
    hvs_log_session(HVS_LOG_NOTICE, 4, 0, "over a socket");
    hvs_session_init(&session, 5, 1, 0);
    hvs_session_end(&session, HVS_END_HOST_RESCINDED, NULL, 1000);
    hvs_log_session_end(&session);
    hvs_session_init(&session, 6, 1, 0);
    hvs_session_end(&session, HVS_END_NO_RESOURCES, NULL, 1000);
    hvs_log_session_end(&session);
}

static void
test_kinds(void)
{
    g_autofree char *written = run("kinds");

    assert_matches(written, TIME "notice  ready, 5 channels\n" TIME "warning careful\n" TIME
                                 "error   session 3, channel 2: broken: why\n" TIME
                                 "notice  session 4: over a socket\n" TIME
                                 "notice  session 5, channel 1: ended after 1 s: the user closed "
                                 "the window \\(host-rescinded\\); [^\n]*\n" TIME
                                 "error   session 6, channel 1: ended after 1 s: [^\n]* "
                                 "\\(no-resources\\); [^\n]*\n");
}

/* The filter, and that it can be changed at any time */

static void
log_levels(void)
{
    hvs_log_init();
    for (int level = HVS_LOG_ERROR; level <= HVS_LOG_DEBUG; level++) {
        hvs_log_set_level((enum hvs_log_level)level);
        for (int i = HVS_LOG_ERROR; i <= HVS_LOG_DEBUG; i++) {
            g_assert_true(hvs_log_is_enabled((enum hvs_log_level)i) == (i <= level));
            hvs_log((enum hvs_log_level)i, "%d", level);
            hvs_log_session((enum hvs_log_level)i, 1, 1, "%d", level);
        }
    }
}

static void
test_levels(void)
{
    static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
    g_autofree char *written = run("levels");
    g_auto(GStrv) lines = g_strsplit(written, "\n", -1);
    gsize line = 0;

    for (int level = HVS_LOG_ERROR; level <= HVS_LOG_DEBUG; level++) {
        for (int i = HVS_LOG_ERROR; i <= level; i++) {
            g_autofree char *plain = g_strdup_printf(TIME "%-7s %d", names[i], level);
            g_autofree char *session =
                g_strdup_printf(TIME "%-7s session 1, channel 1: %d", names[i], level);

            assert_matches(lines[line++], plain);
            assert_matches(lines[line++], session);
        }
    }
    g_assert_cmpstr(lines[line], ==, "");
    g_assert_null(lines[line + 1]);
}

static void
log_default_level(void)
{
    hvs_log_init();
    hvs_log(HVS_LOG_NOTICE, "seen");
    hvs_log(HVS_LOG_INFO, "not seen");
}

static void
test_default_level(void)
{
    g_autofree char *written = run("default-level");

    assert_matches(written, TIME "notice  seen\n");
}

/* Text that is not harmless */

static void
log_hostile(void)
{
    hvs_log_init();
    hvs_log(HVS_LOG_NOTICE, "a\x1b[31mb\x7f\xc2\x9b\r\tc \xe4 \xc3\xa4");
    hvs_log(HVS_LOG_NOTICE, "dump:\n0000: 03 00\n0010: 00");
}

static void
test_hostile(void)
{
    g_autofree char *written = run("hostile");

    assert_matches(written,
                   TIME "notice  a\\?\\[31mb\\?\\?\\?\\?\tc \\? \xc3\xa4\n" TIME "notice  dump:\n"
                        "                     0000: 03 00\n"
                        "                     0010: 00\n");
}

/* What others log through GLib */

static void
log_of_glib(void)
{
    hvs_log_init();
    g_log_structured("Other", G_LOG_LEVEL_WARNING, "MESSAGE", "of a library");
    g_log_structured("Other", G_LOG_LEVEL_CRITICAL, "MESSAGE", "a mistake");
    g_log_structured("Other", G_LOG_LEVEL_INFO, "MESSAGE", "not seen");
    hvs_log_set_level(HVS_LOG_INFO);
    g_log_structured("Other", G_LOG_LEVEL_INFO, "MESSAGE", "seen");
    g_log_structured("Other", G_LOG_LEVEL_DEBUG, "MESSAGE", "not seen");
    g_log("Old", G_LOG_LEVEL_MESSAGE, "the old way"); /* as GLib's own libraries do */
}

static void
test_of_glib(void)
{
    g_autofree char *written = run("of-glib");

    assert_matches(written,
                   TIME "warning Other: of a library\n" TIME "error   Other: a mistake\n" TIME
                        "info    Other: seen\n" TIME "notice  Old: the old way\n");
}

/* Lines of several threads stay whole */

#define THREADS 4
#define LINES   500

static gpointer
log_lines(gpointer data)
{
    for (unsigned i = 0; i < LINES; i++)
        hvs_log_session(HVS_LOG_NOTICE, GPOINTER_TO_UINT(data), 1, "line %u of this thread", i);
    return NULL;
}

static void
log_threads(void)
{
    GThread *threads[THREADS];

    hvs_log_init();
    for (guint i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("log", log_lines, GUINT_TO_POINTER(i + 1));
    for (guint i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
}

static void
test_threads(void)
{
    g_autofree char *written = run("threads");
    g_auto(GStrv) lines = g_strsplit(written, "\n", -1);
    unsigned next[THREADS] = { 0 };

    g_assert_cmpuint(g_strv_length(lines), ==, THREADS * LINES + 1);
    for (guint i = 0; i < THREADS * LINES; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], "session ", 2);
        guint thread = (guint)g_ascii_strtoull(words[1], NULL, 10);
        g_autofree char *pattern = NULL;

        g_assert_cmpuint(thread, >=, 1);
        g_assert_cmpuint(thread, <=, THREADS);
        pattern = g_strdup_printf(TIME "notice  session %u, channel 1: line %u of this thread",
                                  thread, next[thread - 1]++);
        assert_matches(lines[i], pattern);
    }
}

/* The fields, as the journal gets them */

static GLogWriterOutput
print_fields(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer user_data)
{
    (void)user_data;
    g_printerr("%s", (level & G_LOG_LEVEL_DEBUG) != 0 ? "DEBUG" : "");
    for (gsize i = 0; i < count; i++)
        g_printerr("%s=%s|", fields[i].key, (const char *)fields[i].value);
    g_printerr("\n");
    return G_LOG_WRITER_HANDLED;
}

static void
log_fields(void)
{
    struct hvs_session session;

    g_log_set_writer_func(print_fields, NULL, NULL); /* in place of hvs_log_init() */
    hvs_log_set_level(HVS_LOG_DEBUG);
    hvs_log(HVS_LOG_ERROR, "e");
    hvs_log(HVS_LOG_WARNING, "w");
    hvs_log(HVS_LOG_INFO, "i");
    hvs_log(HVS_LOG_DEBUG, "d");
    hvs_log_session(HVS_LOG_NOTICE, UINT32_MAX, 5, "n");
    hvs_log_session(HVS_LOG_NOTICE, 1, 0, "n");
    hvs_session_init(&session, 7, 2, 0);
    hvs_session_end(&session, HVS_END_STOPPED, NULL, 0);
    hvs_log_session_end(&session);
}

static void
test_fields(void)
{
    g_autofree char *written = run("fields");

    assert_matches(
        written,
        "MESSAGE=e\\|PRIORITY=3\\|SYSLOG_IDENTIFIER=hvsessiond\\|\n"
        "MESSAGE=w\\|PRIORITY=4\\|SYSLOG_IDENTIFIER=hvsessiond\\|\n"
        "MESSAGE=i\\|PRIORITY=6\\|SYSLOG_IDENTIFIER=hvsessiond\\|\n"
        "DEBUGMESSAGE=d\\|PRIORITY=7\\|SYSLOG_IDENTIFIER=hvsessiond\\|\n"
        "MESSAGE=session 4294967295, channel 5: n\\|PRIORITY=5\\|"
        "SYSLOG_IDENTIFIER=hvsessiond\\|"
        "SESSION_ID=4294967295\\|CHANNEL=5\\|\n"
        "MESSAGE=session 1: n\\|PRIORITY=5\\|SYSLOG_IDENTIFIER=hvsessiond\\|SESSION_ID=1\\|\n"
        "MESSAGE=session 7, channel 2: ended [^|\n]*\\|PRIORITY=5\\|SYSLOG_IDENTIFIER=hvsessiond\\|"
        "SESSION_ID=7\\|CHANNEL=2\\|END_REASON=stopped\\|\n");
}

static const struct {
    const char *name;
    void (*log)(void);
    void (*test)(void);
} cases[] = {
    { "kinds", log_kinds, test_kinds },
    { "levels", log_levels, test_levels },
    { "default-level", log_default_level, test_default_level },
    { "hostile", log_hostile, test_hostile },
    { "of-glib", log_of_glib, test_of_glib },
    { "threads", log_threads, test_threads },
    { "fields", log_fields, test_fields },
};

int
main(int argc, char **argv)
{
    g_setenv("G_DEBUG", "", TRUE); /* warnings are logged here on purpose */
    g_setenv("LC_ALL", "C.UTF-8", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *test = g_strconcat("/linux-log/", cases[i].name, NULL);
        g_autofree char *log =
            g_strconcat("/linux-log/in-subprocess/subprocess/", cases[i].name, NULL);

        g_test_add_func(test, cases[i].test);
        g_test_add_func(log, cases[i].log);
    }
    return g_test_run();
}
