/* The program hvsession itself: its exit statuses, its one clear line for each mistake, and the
 * doctor on guests made of files (data/doctor-guest-NAME.txt) and on this machine.
 *
 * HVS_UPDATE_GOLDEN=1 writes the files instead; read the difference before keeping it. */
#include "fake-guest.h"

#include <json-glib/json-glib.h>
#include <stdlib.h>
#include <sys/wait.h>

struct result {
    char *out;
    char *err;
    int status;
};

static void
clear_result(struct result *result)
{
    g_free(result->out);
    g_free(result->err);
}

/* Runs hvsession with these arguments, the last one NULL. */
static void
run(struct result *result, const char *first, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_auto(GStrv) environment = g_get_environ();
    g_autoptr(GError) error = NULL;
    va_list arguments;
    int wait_status;

    g_ptr_array_add(argv, (gpointer)HVSESSION);
    va_start(arguments, first);
    for (const char *argument = first; argument != NULL; argument = va_arg(arguments, char *))
        g_ptr_array_add(argv, (gpointer)argument);
    va_end(arguments);
    g_ptr_array_add(argv, NULL);
    environment = g_environ_setenv(environment, "LC_ALL", "C", TRUE);
    /* No service but that of the test. */
    environment = g_environ_setenv(environment, "DBUS_SYSTEM_BUS_ADDRESS",
                                   "unix:path=/nonexistent/bus", TRUE);
    g_spawn_sync(NULL, (char **)argv->pdata, environment, 0, NULL, NULL, &result->out, &result->err,
                 &wait_status, &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(wait_status));
    result->status = WEXITSTATUS(wait_status);
}

/* ---- words and options ---- */

static void
test_version(void)
{
    static const char *const ways[] = { "version", "--version", "-V" };

    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
        struct result result;

        run(&result, ways[i], NULL);
        g_assert_cmpint(result.status, ==, 0);
        g_assert_cmpstr(result.out, ==, "hvsession " HVS_VERSION "\n");
        g_assert_cmpstr(result.err, ==, "");
        clear_result(&result);
    }
}

static void
assert_fits(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++)
        g_assert_cmpuint(strlen(lines[i]), <=, 80);
}

static const char *const verbs[] = { "status",  "doctor", "sessions",       "disconnect", "monitor",
                                     "config",  "support-bundle", "version", "help" };

static void
test_help(void)
{
    static const char *const ways[] = { "help", "--help", "-h" };
    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
        struct result result;

        run(&result, ways[i], NULL);
        g_assert_cmpint(result.status, ==, 0);
        for (gsize v = 0; v < G_N_ELEMENTS(verbs); v++)
            g_assert_nonnull(strstr(result.out, verbs[v]));
        assert_fits(result.out);
        clear_result(&result);
    }
}

/* Each verb explains itself, in both ways alike. */
static void
test_help_of_verbs(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
        g_autofree char *usage = g_strconcat("hvsession ", verbs[i], NULL);
        struct result by_option, by_verb;

        run(&by_option, verbs[i], "--help", NULL);
        run(&by_verb, "help", verbs[i], NULL);
        g_assert_cmpint(by_option.status, ==, 0);
        g_assert_cmpint(by_verb.status, ==, 0);
        g_assert_nonnull(strstr(by_option.out, usage));
        g_assert_cmpstr(by_option.out, ==, by_verb.out);
        assert_fits(by_option.out);
        clear_result(&by_option);
        clear_result(&by_verb);
    }
}

/* The statuses that scripts rely on are told where people look. */
static void
test_help_of_statuses(void)
{
    struct result result;

    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
        gboolean judges = i < 2; /* status and doctor say how things are */

        run(&result, verbs[i], "--help", NULL);
        for (unsigned status = 0; status <= 5; status++) {
            g_autofree char *line = g_strdup_printf("\n  %u  ", status);
            gboolean told = strstr(result.out, line) != NULL;

            if (judges || (status <= 2 && i < G_N_ELEMENTS(verbs) - 2))
                g_assert_true(told);
        }
        g_assert_null(strstr(result.out, "--root"));
        clear_result(&result);
    }
}

static void
assert_usage_error(const struct result *result, const char *about)
{
    g_assert_cmpint(result->status, ==, 2);
    g_assert_cmpstr(result->out, ==, "");
    g_assert_true(g_str_has_prefix(result->err, "hvsession: "));
    g_assert_nonnull(strstr(result->err, about));
    g_assert_nonnull(strstr(result->err, "--help"));
    /* One line. */
    g_assert_true(strchr(result->err, '\n') == result->err + strlen(result->err) - 1);
}

static void
test_usage_errors(void)
{
    static const struct {
        const char *arguments[3];
        const char *about;
    } mistakes[] = {
        { { NULL }, "no command" },
        { { "docter", NULL }, "docter" },
        { { "", NULL }, "unknown command" },
        { { "--frobnicate", NULL }, "--frobnicate" },
        { { "doctor", "--frobnicate", NULL }, "--frobnicate" },
        { { "doctor", "now", NULL }, "now" },
        { { "version", "2", NULL }, "2" },
        { { "status", "now", NULL }, "now" },
        { { "sessions", "--jsno", NULL }, "--jsno" },
        { { "disconnect", NULL }, "which session" },
        { { "disconnect", "--json", "1" }, "--json" },
        { { "monitor", "now", NULL }, "now" },
        { { "config", "frob", NULL }, "frob" },
        { { "support-bundle", "a", "b" }, "\"b\"" },
        { { "help", "docter", NULL }, "docter" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        const char *const *arguments = mistakes[i].arguments;
        struct result result;

        run(&result, arguments[0], arguments[1], arguments[2], NULL);
        assert_usage_error(&result, mistakes[i].about);
        clear_result(&result);
    }
}

static void
test_full_disk(void)
{
    g_autofree char *command = g_strdup_printf("exec %s version > /dev/full", HVSESSION);
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    const char *argv[] = { "sh", "-c", command, NULL };
    int wait_status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &err,
                 &wait_status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(WEXITSTATUS(wait_status), ==, 1);
    g_assert_nonnull(strstr(err, "standard output"));
}

/* ---- the doctor on guests made of files ---- */

struct guest_case {
    const char *name;
    void (*spoil)(const struct guest *guest);
    int status;
    const char *code; /* of the first finding; NULL: none */
};

static void
leave(const struct guest *guest)
{
    (void)guest;
}

static void
make_wsl(const struct guest *guest)
{
    guest_write(guest, "proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n");
}

static void
withdraw_offer(const struct guest *guest)
{
    guest_remove(guest, GUEST_CONTROL);
    guest_remove(guest, GUEST_DATA);
}

static void
stop_service(const struct guest *guest)
{
    guest_remove(guest, "proc/" GUEST_SERVICE_PID);
    guest_write(guest, "proc/locks", "");
}

static void
age_kernel(const struct guest *guest)
{
    guest_write(guest, "proc/sys/kernel/osrelease", "6.1.0-28-amd64\n");
    guest_write(guest, "lib/modules/6.1.0-28-amd64/modules.dep",
                "kernel/drivers/uio/uio_hv_generic.ko:\n");
    guest_remove(guest, GUEST_CONTROL "/driver");
    guest_remove(guest, GUEST_CONTROL "/uio");
    guest_remove(guest, "dev/uio0");
    guest_write(guest, "proc/locks", "");
}

static void
break_configuration(const struct guest *guest)
{
    guest_write(guest, "etc/hvsession/hvsession.conf", "[hvsession]\nSever=x\n");
}

static void
stop_server(const struct guest *guest)
{
    guest_write(guest, "proc/net/tcp", "  sl  local_address\n");
    guest_remove(guest, "proc/700");
}

static void
log_in_on_console(const struct guest *guest)
{
    guest_write(guest, "run/systemd/sessions/2",
                "USER=alice\nSEAT=seat0\nTYPE=x11\nCLASS=user\nSTATE=active\n");
}

static void
silence(const struct guest *guest)
{
    guest_remove(guest, "usr/lib/x86_64-linux-gnu");
}

static const struct guest_case guests[] = {
    { "fine", leave, 0, NULL },
    { "advice", silence, 0, "HVS-403" },
    { "old-kernel", age_kernel, 1, "HVS-203" },
    { "no-server", stop_server, 1, "HVS-301" },
    { "console", log_in_on_console, 1, "HVS-401" },
    { "configuration", break_configuration, 1, "HVS-214" },
    { "wsl", make_wsl, 3, "HVS-101" },
    { "not-offered", withdraw_offer, 4, "HVS-202" },
    { "service-down", stop_service, 5, "HVS-210" },
};

static void
compare_with_golden(const char *printed, const char *name)
{
    g_autofree char *file = g_strconcat("doctor-guest-", name, ".txt", NULL);
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
assert_json(const char *printed, const struct guest_case *guest_case)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    JsonObject *object;
    JsonArray *findings;

    json_parser_load_from_data(parser, printed, -1, &error);
    g_assert_no_error(error);
    object = json_node_get_object(json_parser_get_root(parser));
    g_assert_cmpint(json_object_get_int_member(object, "exit_status"), ==, guest_case->status);
    g_assert_cmpstr(json_object_get_string_member(object, "version"), ==, HVS_VERSION);
    findings = json_object_get_array_member(object, "findings");
    if (guest_case->code == NULL)
        g_assert_cmpuint(json_array_get_length(findings), ==, 0);
    else
        g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(findings, 0),
                                                      "code"),
                        ==, guest_case->code);
}

static void
test_guest(gconstpointer data)
{
    const struct guest_case *guest_case = data;
    struct guest guest;
    struct result text, json;
    g_autofree char *root = NULL;

    guest_init(&guest);
    guest_case->spoil(&guest);
    root = g_strconcat("--root=", guest.directory, NULL);
    run(&text, "doctor", root, NULL);
    run(&json, "doctor", "--json", root, NULL);
    g_assert_cmpint(text.status, ==, guest_case->status);
    g_assert_cmpint(json.status, ==, guest_case->status);
    g_assert_cmpstr(text.err, ==, "");
    if (strstr(text.out, guest.directory) == NULL) /* whose length breaks lines elsewhere */
        compare_with_golden(text.out, guest_case->name);
    assert_json(json.out, guest_case);
    clear_result(&text);
    clear_result(&json);
    guest_clear(&guest);
}

/* Piped, there is no colour, nor for those who do not want it. On a terminal there is. */
static void
test_colour(void)
{
    static const struct {
        const char *environment;
        gboolean colour;
    } cases[] = {
        { "TERM=xterm", TRUE },
        { "TERM=xterm NO_COLOR=1", FALSE },
        { "TERM=xterm NO_COLOR=", TRUE },
        { "TERM=dumb", FALSE },
    };
    struct guest guest;

    guest_init(&guest);
    stop_service(&guest);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *command =
            g_strdup_printf("env -u NO_COLOR %s %s doctor --root=%s", cases[i].environment,
                            HVSESSION, guest.directory);
        /* script(1) gives it a terminal. */
        const char *argv[] = { "script", "-qec", command, "/dev/null", NULL };
        g_autofree char *out = NULL;
        g_autoptr(GError) error = NULL;
        int wait_status;

        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL,
                     NULL, NULL, &out, NULL, &wait_status, &error);
        g_assert_no_error(error);
        g_assert_cmpint(WEXITSTATUS(wait_status), ==, 5);
        g_assert_nonnull(strstr(out, "HVS-210"));
        g_assert_cmpint(strstr(out, "\033[1;31m") != NULL, ==, cases[i].colour);
    }
    guest_clear(&guest);
}

/* For real: the machine that runs the tests has no VMBus, or it is a guest and then anything may be
 * right but a usage error. */
static void
test_here(void)
{
    struct result result;

    run(&result, "doctor", NULL);
    g_assert_cmpstr(result.err, ==, "");
    if (g_file_test("/sys/bus/vmbus", G_FILE_TEST_EXISTS)) {
        g_assert_cmpint(result.status, !=, 2);
    } else {
        g_assert_cmpint(result.status, ==, 3);
        g_assert_nonnull(strstr(result.out, "\nerror HVS-10"));
    }
    clear_result(&result);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/version", test_version);
    g_test_add_func("/cli/help", test_help);
    g_test_add_func("/cli/help/verbs", test_help_of_verbs);
    g_test_add_func("/cli/help/statuses", test_help_of_statuses);
    g_test_add_func("/cli/usage-errors", test_usage_errors);
    g_test_add_func("/cli/full-disk", test_full_disk);
    for (gsize i = 0; i < G_N_ELEMENTS(guests); i++) {
        g_autofree char *path = g_strconcat("/cli/doctor/", guests[i].name, NULL);

        g_test_add_data_func(path, &guests[i], test_guest);
    }
    g_test_add_func("/cli/doctor/colour", test_colour);
    g_test_add_func("/cli/doctor/here", test_here);
    return g_test_run();
}
