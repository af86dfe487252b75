#include "redact.h"

/* A name with one of these words in it; "key" as a word of its own, for keyboards are no secret. */
#define NAME                                                                                       \
    "(?:[\\w.-]*(?:pass(?:word|wd|phrase|code)|secret|token|credential)[\\w.-]*"                   \
    "|(?:[\\w.-]*[_.-])?(?:key|pass|pin)(?:[_.-][\\w.-]*)?)"
/* What stays: nothing, a switch, or what only says to ask. */
#define HARMLESS "(?![ \\t]*(?:ask|asksame|true|false|yes|no|\\{.*\\})?[ \\t]*$)"

char *
hvs_cli_redact(const char *text)
{
    /* (*ANYCRLF): a line may end with CR LF. */
    static const char pattern[] =
        "(*ANYCRLF)(?i)^(.*?\\b" NAME "[\"']?[ \\t]*[=:])" HARMLESS "[ \\t]*.+$";
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autoptr(GRegex) secret = g_regex_new(pattern, G_REGEX_MULTILINE | G_REGEX_OPTIMIZE, 0, NULL);

    g_assert(secret != NULL);
    return g_regex_replace(secret, valid, -1, 0, "\\1(left out)", 0, NULL);
}
