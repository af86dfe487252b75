/* The manual pages know every finding, setting, command and option that there is. */
#include "common/diagnosis.h"
#include "common/settings.h"

#include <glib.h>
#include <string.h>

/* The page's source, as its lines. */
static char **
read_page(const char *name)
{
    g_autofree char *path = g_build_filename(HVS_MAN_DIR, name, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return g_strsplit(text, "\n", -1);
}

/* The first line that is head, or begins with head and a blank. NULL: none. */
static const char *
find_line(char **lines, const char *head)
{
    size_t length = strlen(head);

    for (; *lines != NULL; lines++)
        if (strncmp(*lines, head, length) == 0 &&
            ((*lines)[length] == '\0' || (*lines)[length] == ' '))
            return *lines;
    return NULL;
}

static void
assert_line(char **lines, const char *page, const char *head)
{
    if (find_line(lines, head) == NULL)
        g_error("%s has no line \"%s\"", page, head);
}

/* What a program says, which must work. */
static char *
ask(const char *program, const char *verb, const char *option)
{
    const char *argv[] = { program, verb != NULL ? verb : option, option, NULL };
    char *out = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (verb == NULL)
        argv[2] = NULL;
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
    return out;
}

/* ---- findings and settings ---- */

static void
test_findings(void)
{
    static const char *const severities[] = {
        [HVS_SEVERITY_ERROR] = "error",
        [HVS_SEVERITY_WARNING] = "warning",
        [HVS_SEVERITY_ADVICE] = "advice",
        [HVS_SEVERITY_INFO] = "info",
    };
    g_auto(GStrv) lines = read_page("hvsession.7");
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);
    unsigned items = 0;

    for (size_t i = 0; i < count; i++) {
        g_autofree char *item = g_strdup_printf(".It Sy %s Pq %s , %s", table[i].name,
                                                table[i].code, severities[table[i].severity]);

        assert_line(lines, "hvsession(7)", item);
    }
    for (char **line = lines; *line != NULL; line++)
        if (g_str_has_prefix(*line, ".It Sy "))
            items++;
    /* No more than there are, either. */
    g_assert_cmpuint(items, ==, count);
}

static void
test_settings(void)
{
    g_auto(GStrv) lines = read_page("hvsession.conf.5");
    g_autofree char *text = g_strjoinv("\n", lines);
    size_t count;
    const struct hvs_setting *table = hvs_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *item = g_strconcat(".It Va ", table[i].key, NULL);
        const char *begin, *end;
        g_autofree char *section = NULL;

        if ((table[i].platforms & HVS_ON_LINUX) == 0)
            continue;
        assert_line(lines, "hvsession.conf(5)", item);
        begin = strstr(text, item);
        end = strstr(begin + 1, ".It Va ");
        section = end != NULL ? g_strndup(begin, (gsize)(end - begin)) : g_strdup(begin);
        if (strstr(section, table[i].default_value) == NULL)
            g_error("hvsession.conf(5) does not name the default of %s, %s", table[i].key,
                    table[i].default_value);
        for (unsigned k = 0; table[i].choices != NULL && table[i].choices[k] != NULL; k++)
            if (strstr(section, table[i].choices[k]) == NULL)
                g_error("hvsession.conf(5) does not name the value %s of %s", table[i].choices[k],
                        table[i].key);
    }
}

/* ---- commands and options ---- */

/* Every "--option" of a help text is in the page; --help is for all. */
static void
assert_options(char **page_lines, const char *page, const char *help)
{
    g_autofree char *text = g_strjoinv("\n", page_lines);
    g_autoptr(GRegex) option =
        g_regex_new("^ +(?:-[A-Za-z], )?--([a-z-]+)", G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;

    for (g_regex_match(option, help, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *name = g_match_info_fetch(match, 1);
        g_autofree char *flag = g_strconcat("Fl -", name, NULL);

        if (strstr(text, flag) == NULL)
            g_error("%s does not know the option --%s of:\n%s", page, name, help);
    }
}

static void
test_commands(void)
{
    g_auto(GStrv) lines = read_page("hvsession.1");
    g_autofree char *help = ask(HVSESSION, NULL, "--help");
    const char *commands = strstr(help, "\nCommands:\n");
    g_auto(GStrv) entries = NULL;
    unsigned count = 0;

    g_assert_nonnull(commands);
    entries = g_strsplit(commands + strlen("\nCommands:\n"), "\n", -1);
    for (char **entry = entries; g_str_has_prefix(*entry, "  "); entry++) {
        g_auto(GStrv) words = g_strsplit(*entry + 2, " ", 2);
        g_autofree char *item = g_strconcat(".It Ic ", words[0], NULL);
        g_autofree char *details = NULL;

        assert_line(lines, "hvsession(1)", item);
        if (strcmp(words[0], "help") != 0) {
            details = ask(HVSESSION, words[0], "--help");
            assert_options(lines, "hvsession(1)", details);
        }
        count++;
    }
    g_assert_cmpuint(count, >=, 3);
}

static void
test_service(void)
{
    g_auto(GStrv) lines = read_page("hvsessiond.8");
    g_autofree char *help = ask(HVSESSIOND, NULL, "--help");

    g_assert_nonnull(strstr(help, "--log-level"));
    assert_options(lines, "hvsessiond(8)", help);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/manual/findings", test_findings);
    g_test_add_func("/manual/settings", test_settings);
    g_test_add_func("/manual/commands", test_commands);
    g_test_add_func("/manual/service", test_service);
    return g_test_run();
}
