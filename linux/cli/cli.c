#include "cli.h"

#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
hvs_cli_complain(const char *format, ...)
{
    va_list arguments;
    g_autofree char *message = NULL;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    fprintf(stderr, "hvsession: %s\n", message);
}

gboolean
hvs_cli_print(const char *text)
{
    if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
        return TRUE;
    hvs_cli_complain("cannot write to standard output: %s", g_strerror(errno));
    return FALSE;
}

void
hvs_cli_add_json(GString *out, const char *string)
{
    gsize size = string != NULL ? 6 * strlen(string) + 3 : sizeof "null";
    g_autofree char *buffer = g_malloc(size);
    struct hvs_text text;

    hvs_text_init(&text, buffer, size);
    hvs_text_add_json_string(&text, string);
    g_string_append(out, buffer);
}

gboolean
hvs_cli_has_colour(void)
{
    const char *no_colour = getenv("NO_COLOR");

    return (no_colour == NULL || no_colour[0] == '\0') && isatty(STDOUT_FILENO) &&
           g_strcmp0(getenv("TERM"), "dumb") != 0;
}

gboolean
hvs_cli_parse(const struct hvs_cli_verb *verb, int *argc, char ***argv, const GOptionEntry *entries,
              int arguments_max)
{
    g_autoptr(GOptionContext) context = g_option_context_new(verb->arguments);
    g_autofree char *name = g_strconcat("hvsession ", verb->name, NULL);
    g_autofree char *summary = g_strconcat(verb->summary, ".", NULL);
    g_autoptr(GError) error = NULL;

    g_set_prgname(name);
    g_option_context_set_summary(context, summary);
    g_option_context_set_description(context, verb->details);
    if (entries != NULL)
        g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        hvs_cli_complain("%s; try %s --help", error->message, name);
        return FALSE;
    }
    if (*argc - 1 > arguments_max) {
        hvs_cli_complain("%s: unexpected argument \"%s\"; try %s --help", verb->name,
                         (*argv)[arguments_max + 1], name);
        return FALSE;
    }
    return TRUE;
}

gboolean
hvs_cli_parse_common(const struct hvs_cli_verb *verb, int *argc, char ***argv,
                     struct hvs_cli_common *options, int arguments_max)
{
    const GOptionEntry root = { "root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME,
                                &options->root, "The system whose trees are below DIR", "DIR" };
    const GOptionEntry json = { "json", 'j', 0, G_OPTION_ARG_NONE, &options->json,
                                "Print JSON, for programs", NULL };
    const GOptionEntry with_json[] = { root, json, { 0 } };
    const GOptionEntry without[] = { root, { 0 } };

    return hvs_cli_parse(verb, argc, argv, verb->has_json ? with_json : without, arguments_max);
}
