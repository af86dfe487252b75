#include "redact.h"

#include <string.h>

/* By hand and from left to right, since the log of a week has lines on which the steps that a
 * regular expression may take run out. */

/* Of a name; what is not ASCII may be a letter. */
static gboolean
is_name_char(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '.' || c == '-' || (guchar)c >= 0x80;
}

static gboolean
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* With one of these in it, whatever stands around it; or with one of these as a word of its own,
 * for keyboards are no secret. */
static gboolean
is_secret_name(const char *begin, gsize length)
{
    static const char *const parts[] = { "password", "passwd", "passphrase", "passcode",
                                         "secret",   "token",  "credential" };
    static const char *const words[] = { "key", "pass", "pin" };
    g_autofree char *name = g_ascii_strdown(begin, (gssize)length);
    g_auto(GStrv) split = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        if (strstr(name, parts[i]) != NULL)
            return TRUE;
    split = g_strsplit_set(name, "_.-", -1);
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_strv_contains((const char *const *)split, words[i]))
            return TRUE;
    return FALSE;
}

/* What stays: nothing, a switch, or what only says to ask. */
static gboolean
is_harmless(const char *begin, gsize length)
{
    static const char *const values[] = { "", "ask", "asksame", "true", "false", "yes", "no" };
    g_autofree char *value = g_strstrip(g_strndup(begin, length));

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++)
        if (g_ascii_strcasecmp(value, values[i]) == 0)
            return TRUE;
    return value[0] == '{' && g_str_has_suffix(value, "}");
}

/* The name in front of an '=' or ':', in quotation marks maybe, is that of a secret. */
static gboolean
follows_secret_name(const char *line, gsize sign)
{
    gsize end = sign, begin;

    while (end > 0 && is_blank(line[end - 1]))
        end--;
    if (end > 0 && (line[end - 1] == '"' || line[end - 1] == '\''))
        end--;
    begin = end;
    while (begin > 0 && is_name_char(line[begin - 1]))
        begin--;
    return is_secret_name(line + begin, end - begin);
}

static void
append_redacted(GString *out, const char *line, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        if ((line[i] != '=' && line[i] != ':') || !follows_secret_name(line, i) ||
            is_harmless(line + i + 1, length - i - 1))
            continue;
        g_string_append_len(out, line, (gssize)i + 1);
        g_string_append(out, "(left out)");
        return;
    }
    g_string_append_len(out, line, (gssize)length);
}

char *
hvs_cli_redact(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_sized_new(strlen(valid));

    for (const char *line = valid; *line != '\0';) {
        gsize length = strcspn(line, "\r\n");
        gsize ends = strspn(line + length, "\r\n");

        append_redacted(out, line, length);
        g_string_append_len(out, line + length, (gssize)ends);
        line += length + ends;
    }
    return g_string_free(out, FALSE);
}
