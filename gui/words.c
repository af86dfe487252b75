#include "words.h"

#include "words-table.h"

#include <glib/gi18n.h>
#include <string.h>

/* {…} in one template. */
#define FACTS_MAX 8

struct fact {
    const char *name;
    gsize name_length;
    char *value; /* NULL until it is known */
};

struct facts {
    struct fact facts[FACTS_MAX];
    guint count;
};

const char *const *
hvs_words_templates(void)
{
    return templates;
}

/* ---- facts ---- */

static void
clear_facts(struct facts *facts)
{
    for (guint i = 0; i < facts->count; i++)
        g_free(facts->facts[i].value);
    facts->count = 0;
}

static const char *
find_fact(const struct facts *facts, const char *name, gsize length)
{
    for (guint i = 0; i < facts->count; i++)
        if (facts->facts[i].name_length == length &&
            strncmp(facts->facts[i].name, name, length) == 0)
            return facts->facts[i].value;
    return NULL;
}

/* Whether sentence is what template becomes with some facts, which are put into *facts. A fact goes
 * as far as the words behind it: they are looked for from the end, where there are several. */
static gboolean
match(const char *sentence, const char *template, struct facts *facts)
{
    const char *open = strchr(template, '{');
    const char *close = open != NULL ? strchr(open, '}') : NULL;
    gsize before;
    struct fact *fact;

    if (close == NULL)
        return g_str_equal(sentence, template);
    before = (gsize)(open - template);
    if (strncmp(sentence, template, before) != 0 || facts->count == FACTS_MAX)
        return FALSE;
    sentence += before;
    fact = &facts->facts[facts->count++];
    *fact = (struct fact){ .name = open + 1, .name_length = (gsize)(close - open) - 1 };
    for (gsize length = strlen(sentence) + 1; length-- > 0;) {
        guint count = facts->count;

        if (match(sentence + length, close + 1, facts)) {
            fact->value = g_strndup(sentence, length);
            return TRUE;
        }
        facts->count = count;
    }
    return FALSE;
}

/* The template with its facts filled in. */
static char *
fill_in(const char *template, const struct facts *facts)
{
    GString *filled = g_string_new(NULL);

    while (*template != '\0') {
        const char *close = *template == '{' ? strchr(template, '}') : NULL;
        const char *value =
            close != NULL ? find_fact(facts, template + 1, (gsize)(close - template) - 1) : NULL;

        if (value != NULL) {
            g_string_append(filled, value);
            template = close + 1;
        } else {
            g_string_append_c(filled, *template ++);
        }
    }
    return g_string_free(filled, FALSE);
}

/* ---- translation ---- */

static gboolean
is_translated(const char *translation, const char *english)
{
    return translation != NULL && !g_str_equal(translation, english);
}

char *
hvs_words_translate_with(const char *english, const char *(*translate)(const char *msgid))
{
    const char *translation;

    /* That of nothing is the header of the translations. */
    if (english[0] == '\0')
        return g_strdup("");
    translation = translate(english);
    if (is_translated(translation, english))
        return g_strdup(translation);
    for (guint i = 0; templates[i] != NULL; i++) {
        struct facts facts = { .count = 0 };
        char *filled = NULL;

        if (strchr(templates[i], '{') == NULL)
            continue;
        translation = translate(templates[i]);
        if (is_translated(translation, templates[i]) && match(english, templates[i], &facts))
            filled = fill_in(translation, &facts);
        clear_facts(&facts);
        if (filled != NULL)
            return filled;
    }
    return g_strdup(english);
}

static const char *
translate_message(const char *msgid)
{
    return gettext(msgid);
}

char *
hvs_words_translate(const char *english)
{
    return hvs_words_translate_with(english, translate_message);
}

char *
hvs_words_sentence(const char *english)
{
    g_autofree char *words = hvs_words_translate(english != NULL ? english : "");
    char capital[7] = "";

    if (words[0] == '\0')
        return g_strdup("");
    g_unichar_to_utf8(g_unichar_toupper(g_utf8_get_char(words)), capital);
    return g_strconcat(capital, g_utf8_next_char(words), NULL);
}

/* ---- times and rates ---- */

char *
hvs_words_time(guint64 time, guint64 now)
{
    g_autoptr(GDateTime) then = g_date_time_new_from_unix_local((gint64)(time / 1000));
    g_autoptr(GDateTime) today = g_date_time_new_from_unix_local((gint64)(now / 1000));

    if (then == NULL || today == NULL)
        return g_strdup("");
    if (g_date_time_get_year(then) == g_date_time_get_year(today) &&
        g_date_time_get_day_of_year(then) == g_date_time_get_day_of_year(today))
        /* Translators: a time of today, as of strftime(). */
        return g_date_time_format(then, _("%H:%M"));
    /* Translators: a time of another day, as of strftime(). */
    return g_date_time_format(then, _("%b %-d, %H:%M"));
}

char *
hvs_words_duration(guint64 milliseconds)
{
    guint seconds = (guint)MIN(milliseconds / 1000, G_MAXUINT);
    guint minutes = seconds / 60, hours = minutes / 60;

    if (minutes == 0)
        /* Translators: seconds */
        return g_strdup_printf(_("%u s"), seconds);
    if (hours == 0)
        /* Translators: minutes and seconds */
        return g_strdup_printf(_("%u min %u s"), minutes, seconds % 60);
    if (hours < 24)
        /* Translators: hours and minutes */
        return g_strdup_printf(_("%u h %u min"), hours, minutes % 60);
    /* Translators: days and hours */
    return g_strdup_printf(_("%u d %u h"), hours / 24, hours % 24);
}

char *
hvs_words_rate(guint64 bytes_per_second)
{
    g_autofree char *size = g_format_size_full(bytes_per_second, G_FORMAT_SIZE_IEC_UNITS);

    /* Translators: a size a second, "1.2 MiB/s" */
    return g_strdup_printf(_("%s/s"), size);
}
