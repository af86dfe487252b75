/* linux/config: files, drop-ins, and the one line that is said about each mistake. */
#include "linux/config.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char *directory; /* temporary */
    char *main;      /* its hvsession.conf */
    char *drop_ins;  /* its conf.d */
};

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    fixture->directory = g_dir_make_tmp("hvs-config-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->main = g_build_filename(fixture->directory, "hvsession.conf", NULL);
    fixture->drop_ins = g_build_filename(fixture->directory, "conf.d", NULL);
}

static void
remove_entries(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        g_assert_cmpint(g_remove(entry), ==, 0);
    }
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    remove_entries(fixture->drop_ins);
    remove_entries(fixture->directory);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->directory);
    g_free(fixture->main);
    g_free(fixture->drop_ins);
}

/* length −1: text ends with its zero. */
static void
write_file(const char *path, const char *text, gssize length)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, length, &error);
    g_assert_no_error(error);
}

static void
write_drop_in(const struct fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->drop_ins, name, NULL);

    g_mkdir(fixture->drop_ins, 0755);
    write_file(path, text, -1);
}

static void
load(const struct fixture *fixture, struct hvs_settings *settings)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(hvs_config_load(fixture->main, TRUE, settings, &error));
    g_assert_no_error(error);
}

/* Loading fails with "DIRECTORY/" + message, and leaves the settings alone. */
static void
refuse(const struct fixture *fixture, gboolean must_exist, enum hvs_config_error code,
       const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = g_build_filename(fixture->directory, message, NULL);
    struct hvs_settings settings, before;

    memset(&settings, 0x5a, sizeof settings);
    memcpy(&before, &settings, sizeof before);
    g_assert_false(hvs_config_load(fixture->main, must_exist, &settings, &error));
    g_assert_error(error, HVS_CONFIG_ERROR, (gint)code);
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_true(memcmp(&settings, &before, sizeof settings) == 0);
    /* Whoever is not interested in the reason, is not. */
    g_assert_false(hvs_config_load(fixture->main, must_exist, &settings, NULL));
}

static void
test_path(struct fixture *fixture, gconstpointer data)
{
    const struct hvs_roots roots = { .sys = "/s", .dev = "/d", .run = "/r", .etc = "/x/etc" };
    g_autofree char *path = hvs_config_default_path(&roots);

    (void)fixture;
    (void)data;
    g_assert_cmpstr(path, ==, "/x/etc/hvsession/hvsession.conf");
}

static void
test_full(struct fixture *fixture, gconstpointer data)
{
    struct hvs_settings settings;

    (void)data;
    write_file(fixture->main,
               "# a comment\n"
               "\n"
               "[hvsession]\n"
               "Server = unix:/run/x.sock, tcp:[::1]:3390\n"
               "ServerTimeout=2 min\n"
               "  NegotiationReply=mirror  \n"
               "loglevel=debug",
               -1);
    load(fixture, &settings);
    g_assert_cmpuint(settings.server_count, ==, 2);
    g_assert_cmpint(settings.servers[0].kind, ==, HVS_SERVER_UNIX);
    g_assert_cmpstr(settings.servers[0].host, ==, "/run/x.sock");
    g_assert_cmpstr(settings.servers[1].host, ==, "::1");
    g_assert_cmpuint(settings.servers[1].port, ==, 3390);
    g_assert_cmpuint(settings.server_timeout, ==, 120000);
    g_assert_cmpuint(settings.negotiation_reply, ==, HVS_REPLY_SETTING_MIRROR);
    g_assert_cmpuint(settings.log_level, ==, HVS_LOG_DEBUG);
}

/* Files that say nothing, each in its own way, give the defaults. */
static void
test_nothing(struct fixture *fixture, gconstpointer data)
{
    static const char *const texts[] = {
        "",
        "\n\n",
        "# only a comment",
        "[hvsession]",
        "[hvsession]\n[hvsession]\n",
        "\r\n",
        "\xef\xbb\xbf",
        "\xef\xbb\xbf[hvsession]\r\n# with a byte order mark\r\n",
    };
    struct hvs_settings defaults;

    (void)data;
    hvs_settings_init(&defaults);
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        struct hvs_settings settings;

        write_file(fixture->main, texts[i], -1);
        load(fixture, &settings);
        g_assert_true(memcmp(&settings, &defaults, sizeof settings) == 0);
    }
}

static void
test_carriage_returns(struct fixture *fixture, gconstpointer data)
{
    struct hvs_settings settings;

    (void)data;
    write_file(fixture->main, "\xef\xbb\xbf[hvsession]\r\nLogLevel=info\r\nServerTimeout=1 s\r\n",
               -1);
    load(fixture, &settings);
    g_assert_cmpuint(settings.log_level, ==, HVS_LOG_INFO);
    g_assert_cmpuint(settings.server_timeout, ==, 1000);
}

/* A setting that is taken out of the file goes back to its default. */
static void
test_reload(struct fixture *fixture, gconstpointer data)
{
    struct hvs_settings settings;

    (void)data;
    write_file(fixture->main, "[hvsession]\nLogLevel=debug\n", -1);
    load(fixture, &settings);
    write_file(fixture->main, "[hvsession]\nServerTimeout=1\n", -1);
    load(fixture, &settings);
    g_assert_cmpuint(settings.log_level, ==, HVS_LOG_NOTICE);
    g_assert_cmpuint(settings.server_timeout, ==, 1000);
}

static void
test_missing(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    struct hvs_settings settings;

    (void)data;
    memset(&settings, 0, sizeof settings);
    g_assert_true(hvs_config_load(fixture->main, FALSE, &settings, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(settings.server_timeout, ==, 15000);
    refuse(fixture, TRUE, HVS_CONFIG_ERROR_MISSING, "hvsession.conf: there is no such file");
}

static void
test_missing_directory(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->directory, "no", "x.conf", NULL);
    struct hvs_settings settings;

    (void)data;
    g_assert_true(hvs_config_load(path, FALSE, &settings, NULL));
    g_assert_false(hvs_config_load(path, TRUE, &settings, NULL));
}

static void
test_drop_ins(struct fixture *fixture, gconstpointer data)
{
    struct hvs_settings settings;

    (void)data;
    write_file(fixture->main, "[hvsession]\nServerTimeout=1\nLogLevel=error\nServer=tcp:main\n",
               -1);
    /* Written in another order than that of their names. */
    write_drop_in(fixture, "20-b.conf", "[hvsession]\nServerTimeout=3\n");
    write_drop_in(fixture, "10-a.conf", "[hvsession]\nServerTimeout=2\nLogLevel=info\n");
    write_drop_in(fixture, "30-c.conf.off", "[hvsession]\nServerTimeout=4\n");
    write_drop_in(fixture, ".40-d.conf", "not for us");
    write_drop_in(fixture, "README", "not for us");
    load(fixture, &settings);
    g_assert_cmpuint(settings.server_timeout, ==, 3000);
    g_assert_cmpuint(settings.log_level, ==, HVS_LOG_INFO);
    g_assert_cmpstr(settings.servers[0].host, ==, "main");
}

/* The order is neither the one of their making nor its reverse. */
static void
test_drop_ins_order(struct fixture *fixture, gconstpointer data)
{
    struct hvs_settings settings;

    (void)data;
    for (guint i = 0; i < 20; i++) {
        guint number = (i + 10) % 20;
        g_autofree char *name = g_strdup_printf("%02u.conf", number);
        g_autofree char *text = g_strdup_printf("[hvsession]\nServerTimeout=%u\n", number);

        write_drop_in(fixture, name, text);
    }
    g_assert_true(hvs_config_load(fixture->main, FALSE, &settings, NULL));
    g_assert_cmpuint(settings.server_timeout, ==, 19000);
}

static void
test_drop_ins_alone(struct fixture *fixture, gconstpointer data)
{
    struct hvs_settings settings;

    (void)data;
    write_drop_in(fixture, "a.conf", "[hvsession]\nServerTimeout=3\n");
    g_assert_true(hvs_config_load(fixture->main, FALSE, &settings, NULL));
    g_assert_cmpuint(settings.server_timeout, ==, 3000);
}

static void
test_drop_in_broken(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    write_file(fixture->main, "[hvsession]\nServerTimeout=1\n", -1);
    write_drop_in(fixture, "a.conf", "[hvsession]\nServerTimeout=2\n");
    write_drop_in(fixture, "b.conf", "[hvsession]\n\nLogLevel=loud\n");
    refuse(fixture, TRUE, HVS_CONFIG_ERROR_SETTING,
           "conf.d/b.conf:3: LogLevel: \"loud\": must be error, warning, notice, info or debug");
}

static void
test_drop_in_masked(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *link = g_build_filename(fixture->drop_ins, "a.conf", NULL);
    struct hvs_settings settings;

    (void)data;
    write_file(fixture->main, "[hvsession]\nServerTimeout=1\n", -1);
    g_mkdir(fixture->drop_ins, 0755);
    g_assert_cmpint(symlink("/dev/null", link), ==, 0);
    load(fixture, &settings);
    g_assert_cmpuint(settings.server_timeout, ==, 1000);
}

static void
test_drop_in_dangling(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *link = g_build_filename(fixture->drop_ins, "a.conf", NULL);

    (void)data;
    g_mkdir(fixture->drop_ins, 0755);
    g_assert_cmpint(symlink("nowhere", link), ==, 0);
    refuse(fixture, FALSE, HVS_CONFIG_ERROR_MISSING, "conf.d/a.conf: there is no such file");
}

static void
test_drop_ins_no_directory(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    write_file(fixture->drop_ins, "", -1);
    refuse(fixture, FALSE, HVS_CONFIG_ERROR_UNREADABLE, "conf.d: cannot be read: Not a directory");
}

/* A mistake in the main file, what it is, and what is said. */
static const struct mistake {
    const char *name;
    const char *text;
    gssize length; /* 0: up to its end */
    enum hvs_config_error code;
    const char *message;
} mistakes[] = {
    { "unknown-key", "# 1\n\n[hvsession]\nLogLevel=info\n# 5\n\nSever=tcp:a\n", 0,
      HVS_CONFIG_ERROR_SETTING, "hvsession.conf:7: Sever: no such setting; did you mean Server?" },
    { "unknown-key-before-escape", "[hvsession]\nFlavour=\\q\n", 0, HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:2: Flavour: no such setting" },
    { "translated-key", "[hvsession]\nServer[de]=tcp:a\n", 0, HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:2: Server[de]: no such setting" },
    { "unknown-group", "[hvsession]\nLogLevel=info\n[hvsesion]\nServer=x\n", 0,
      HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:3: [hvsesion]: no such group; settings belong in [hvsession]" },
    { "empty-group-unknown", "[other]", 0, HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:1: [other]: no such group; settings belong in [hvsession]" },
    { "duplicate", "[hvsession]\nServer=tcp:a\nLogLevel=info\nserver=tcp:a\n", 0,
      HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:4: Server: set twice in this file, in line 2 as well" },
    { "duplicate-in-second-group", "[hvsession]\nServer=tcp:a\n[hvsession]\nServer=tcp:b\n", 0,
      HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:4: Server: set twice in this file, in line 2 as well" },
    { "bad-value", "[hvsession]\r\nServer=tcp:host:99999\r\n", 0, HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:2: Server: \"tcp:host:99999\": the port must be 1 to 65535" },
    { "first-mistake-first", "[hvsession]\nLogLevel=loud\nSever=x\n", 0, HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:2: LogLevel: \"loud\": must be error, warning, notice, info or debug" },
    { "bad-escape", "[hvsession]\nServer=unix:/a\\q\n", 0, HVS_CONFIG_ERROR_SETTING,
      "hvsession.conf:2: Server: a backslash stands only in \\s, \\t, \\n, \\r and \\\\" },
    { "no-group", "# 1\nServer=tcp:a\n", 0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:2: a setting before the first group; put [hvsession] above it" },
    { "no-setting", "[hvsession]\n# 2\nServer=tcp:a\n  LogLevel info \nServerTimeout=1\n", 0,
      HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:4: \"LogLevel info\" is not a setting (Key=value), a group ([hvsession]) "
      "or a comment (#)" },
    { "semicolon-comment", "[hvsession]\n; a comment\n", 0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:2: \"; a comment\" is not a setting (Key=value), a group ([hvsession]) or a "
      "comment (#)" },
    { "open-group", "[hvsession\nServer=tcp:a\n", 0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:1: \"[hvsession\" is not a setting (Key=value), a group ([hvsession]) or a "
      "comment (#)" },
    { "no-key", "[hvsession]\n=tcp:a", 0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:2: \"=tcp:a\" is not a setting (Key=value), a group ([hvsession]) or a "
      "comment (#)" },
    { "long-line",
      "[hvsession]\n0123456789 123456789 123456789 123456789 123456789 12345678\xc3\xa4 hidden\n",
      0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:2: \"0123456789 123456789 123456789 123456789 123456789 12345678\" is not a "
      "setting (Key=value), a group ([hvsession]) or a comment (#)" },
    { "terminal-escape", "[hvsession]\n\x1b[31mred\n", 0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:2: \"?[31mred\" is not a setting (Key=value), a group ([hvsession]) or a "
      "comment (#)" },
    { "not-utf8", "[hvsession]\nServer=tcp:a\n# \xe4\n", 0, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:3: this is not UTF-8 text" },
    { "zero-byte", "[hvsession]\nServer=tcp:a\0b\n", 28, HVS_CONFIG_ERROR_SYNTAX,
      "hvsession.conf:2: this is not UTF-8 text" },
};

static void
test_mistake(struct fixture *fixture, gconstpointer data)
{
    const struct mistake *mistake = data;

    write_file(fixture->main, mistake->text, mistake->length != 0 ? mistake->length : -1);
    refuse(fixture, TRUE, mistake->code, mistake->message);
}

/* Where in a long file the mistake is. */
static void
test_syntax_line(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    for (guint line = 2; line < 3000; line += 1 + line / 3) {
        g_autoptr(GString) text = g_string_new("[hvsession]\n");
        g_autofree char *message = g_strdup_printf(
            "hvsession.conf:%u: \"?\" is not a setting (Key=value), a group ([hvsession]) or a "
            "comment (#)",
            line);

        for (guint i = 2; i <= 3000; i++)
            g_string_append(text, i == line ? "?\n" : i == line + 7 ? "!\n" : "# fine\n");
        write_file(fixture->main, text->str, -1);
        refuse(fixture, TRUE, HVS_CONFIG_ERROR_SYNTAX, message);
    }
}

static void
test_directory(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(g_mkdir(fixture->main, 0755), ==, 0);
    refuse(fixture, FALSE, HVS_CONFIG_ERROR_UNREADABLE,
           "hvsession.conf: is a directory, not a file");
}

/* A pipe without a writer neither blocks nor counts as empty. */
static void
test_pipe(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(mkfifo(fixture->main, 0644), ==, 0);
    refuse(fixture, TRUE, HVS_CONFIG_ERROR_UNREADABLE, "hvsession.conf: is not a regular file");
}

static void
test_size(struct fixture *fixture, gconstpointer data)
{
    const gsize limit = HVS_CONFIG_FILE_MAX;
    g_autofree char *text = g_strnfill(limit + 1, '#');
    struct hvs_settings settings;

    (void)data;
    write_file(fixture->main, text, (gssize)limit);
    load(fixture, &settings);
    write_file(fixture->main, text, (gssize)limit + 1);
    refuse(fixture, TRUE, HVS_CONFIG_ERROR_UNREADABLE, "hvsession.conf: is larger than 1 MiB");
}

/* One that never ends is over soon as well. */
static void
test_endless(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(symlink("/dev/zero", fixture->main), ==, 0);
    refuse(fixture, TRUE, HVS_CONFIG_ERROR_UNREADABLE, "hvsession.conf: is larger than 1 MiB");
}

static void
test_unreadable(struct fixture *fixture, gconstpointer data)
{
    const uid_t nobody = 65534, self = geteuid();

    (void)data;
    write_file(fixture->main, "[hvsession]\n", -1);
    g_assert_cmpint(g_chmod(fixture->main, 0), ==, 0);
    /* Root reads everything. */
    if (self == 0) {
        g_assert_cmpint(g_chmod(fixture->directory, 0755), ==, 0);
        g_assert_cmpint(seteuid(nobody), ==, 0);
    }
    refuse(fixture, FALSE, HVS_CONFIG_ERROR_UNREADABLE,
           "hvsession.conf: cannot be opened: Permission denied");
    if (self == 0)
        g_assert_cmpint(seteuid(self), ==, 0);
}

static void
test_drop_ins_unreadable(struct fixture *fixture, gconstpointer data)
{
    const uid_t nobody = 65534, self = geteuid();

    (void)data;
    g_assert_cmpint(g_mkdir(fixture->drop_ins, 0), ==, 0);
    if (self == 0) {
        g_assert_cmpint(g_chmod(fixture->directory, 0755), ==, 0);
        g_assert_cmpint(seteuid(nobody), ==, 0);
    }
    refuse(fixture, FALSE, HVS_CONFIG_ERROR_UNREADABLE,
           "conf.d: cannot be read: Permission denied");
    if (self == 0)
        g_assert_cmpint(seteuid(self), ==, 0);
}

static void
add(const char *name, gconstpointer data, void (*test)(struct fixture *, gconstpointer))
{
    g_test_add(name, struct fixture, data, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_setenv("LC_ALL", "C", TRUE); /* the system's words are compared */
    g_test_init(&argc, &argv, NULL);
    add("/config/path", NULL, test_path);
    add("/config/full", NULL, test_full);
    add("/config/nothing", NULL, test_nothing);
    add("/config/carriage-returns", NULL, test_carriage_returns);
    add("/config/reload", NULL, test_reload);
    add("/config/missing", NULL, test_missing);
    add("/config/missing/directory", NULL, test_missing_directory);
    add("/config/drop-ins", NULL, test_drop_ins);
    add("/config/drop-ins/order", NULL, test_drop_ins_order);
    add("/config/drop-ins/alone", NULL, test_drop_ins_alone);
    add("/config/drop-ins/broken", NULL, test_drop_in_broken);
    add("/config/drop-ins/masked", NULL, test_drop_in_masked);
    add("/config/drop-ins/dangling", NULL, test_drop_in_dangling);
    add("/config/drop-ins/no-directory", NULL, test_drop_ins_no_directory);
    add("/config/drop-ins/unreadable", NULL, test_drop_ins_unreadable);
    for (gsize i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autofree char *name = g_strconcat("/config/mistake/", mistakes[i].name, NULL);

        add(name, &mistakes[i], test_mistake);
    }
    add("/config/mistake/syntax-line", NULL, test_syntax_line);
    add("/config/file/directory", NULL, test_directory);
    add("/config/file/pipe", NULL, test_pipe);
    add("/config/file/size", NULL, test_size);
    add("/config/file/endless", NULL, test_endless);
    add("/config/file/unreadable", NULL, test_unreadable);
    return g_test_run();
}
