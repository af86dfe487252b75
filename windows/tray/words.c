#include "words.h"

#include "chinese.h"
#include "preferences.h"

#include "windows/wide.h"

#include <stdlib.h>
#include <string.h>

#define FIRST 1000
#define COUNT 300
/* STRINGTABLE resources have 16 strings each. */
#define BLOCK 16

static struct {
    HINSTANCE instance;
    LANGID    language;
    WCHAR    *words[COUNT];
} table;

/* ---- resources ---- */

static LANGID
preferred_language(void)
{
    const LANGID english = MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US);
    const LANGID chinese = MAKELANGID(LANG_CHINESE, SUBLANG_CHINESE_SIMPLIFIED);
    LANGID user = GetUserDefaultUILanguage();
    WCHAR wanted[16];

    hvs_preferences_get_string(L"Language", wanted, ARRAYSIZE(wanted));
    if (wanted[0] != L'\0')
        return lstrcmpiW(wanted, L"zh-CN") == 0 ? chinese : english;
    /* Who reads traditional characters is better off with English than with these. */
    return PRIMARYLANGID(user) == LANG_CHINESE && SUBLANGID(user) != SUBLANG_CHINESE_TRADITIONAL &&
                   SUBLANGID(user) != SUBLANG_CHINESE_HONGKONG &&
                   SUBLANGID(user) != SUBLANG_CHINESE_MACAU
               ? chinese
               : english;
}

void
hvs_words_init(HINSTANCE instance)
{
    table.instance = instance;
    table.language = preferred_language();
}

/* LoadString() takes the language of the thread's locale, which need not be the user's: this takes
 * the one that we want. In a block each string is its length and its characters. */
static WCHAR *
load(unsigned id)
{
    HRSRC found = FindResourceExW(table.instance, (LPCWSTR)RT_STRING,
                                  MAKEINTRESOURCEW(id / BLOCK + 1), table.language);
    HGLOBAL loaded = found != NULL ? LoadResource(table.instance, found) : NULL;
    const WCHAR *next = loaded != NULL ? LockResource(loaded) : NULL;
    WCHAR *word;

    if (next == NULL)
        return NULL;
    for (unsigned i = 0; i < id % BLOCK; i++)
        next += 1 + *next;
    word = calloc((size_t)*next + 1, sizeof *word);
    if (word != NULL)
        memcpy(word, next + 1, *next * sizeof *word);
    return word;
}

const WCHAR *
hvs_word(unsigned id)
{
    WCHAR **word = &table.words[id - FIRST];

    if (*word == NULL)
        *word = load(id);
    return *word != NULL ? *word : L"";
}

void
hvs_words_format(WCHAR *out, size_t size, unsigned id, const WCHAR *first, const WCHAR *second)
{
    DWORD_PTR arguments[] = { (DWORD_PTR)first, (DWORD_PTR)second };

    out[0] = L'\0';
    /* Everything it is called with fits, but for a caller with a small buffer. */
    if (FormatMessageW(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_ARGUMENT_ARRAY, hvs_word(id), 0,
                       0, out, (DWORD)size, (va_list *)(void *)arguments) == 0) {
        WCHAR *whole = NULL;

        if (FormatMessageW(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_ARGUMENT_ARRAY |
                               FORMAT_MESSAGE_ALLOCATE_BUFFER,
                           hvs_word(id), 0, 0, (WCHAR *)(void *)&whole, 0,
                           (va_list *)(void *)arguments) > 0)
            hvs_wide_copy(out, size, whole);
        LocalFree(whole);
    }
}

void
hvs_words_from_utf8(WCHAR *out, size_t size, const char *utf8)
{
    char visible[HVS_WORDS_MAX];
    struct hvs_text text;
    WCHAR wide[HVS_WORDS_MAX];

    hvs_text_init(&text, visible, sizeof visible);
    hvs_text_add_visible(&text, utf8);
    hvs_wide_from_utf8(visible, wide, ARRAYSIZE(wide));
    hvs_wide_copy(out, size, wide);
}

/* ---- sentences ---- */

_Static_assert(HVS_CHANNEL_FAILED == 3, "IDS_CHANNEL_STATE");
_Static_assert(HVS_SEVERITY_INFO == 3, "IDS_SEVERITY");

static bool
is_chinese(void)
{
    return PRIMARYLANGID(table.language) == LANG_CHINESE;
}

void
hvs_words_add(struct hvs_text *out, const char *english)
{
    if (!is_chinese() || !hvs_chinese_add(out, english))
        hvs_text_add(out, english);
}

/* With a capital. */
static void
say(const char *english, WCHAR *out)
{
    char words[HVS_WORDS_MAX];
    struct hvs_text text;

    hvs_text_init(&text, words, sizeof words);
    hvs_words_add(&text, english);
    hvs_words_from_utf8(out, HVS_WORDS_MAX, words);
    if (out[0] >= L'a' && out[0] <= L'z' && wcsncmp(out, L"hvsession", 9) != 0)
        out[0] = (WCHAR)(out[0] - L'a' + L'A');
}

static void
end_sentence(WCHAR *out)
{
    size_t length = wcslen(out);

    if (length > 0 && wcschr(L".!?。", out[length - 1]) == NULL)
        hvs_wide_append(out, HVS_WORDS_MAX, is_chinese() ? L"。" : L".");
}

void
hvs_words_state(const struct hvs_model *model, WCHAR *out)
{
    enum hvs_light light = hvs_model_light(model);
    WCHAR count[16];

    if (light != HVS_LIGHT_WORKING || model->session_count == 1) {
        hvs_wide_copy(out, HVS_WORDS_MAX, hvs_word(IDS_LIGHT + (unsigned)light));
        return;
    }
    hvs_wide_format(count, ARRAYSIZE(count), L"%u", model->session_count);
    hvs_words_format(out, HVS_WORDS_MAX, IDS_LIGHT_WORKING_N, count, NULL);
}

void
hvs_words_problem(const struct hvs_model *model, WCHAR *out)
{
    const char *problem = hvs_model_problem(model);

    out[0] = L'\0';
    if (model->service != HVS_SERVICE_UP || problem[0] == '\0')
        return;
    say(problem, out);
    end_sentence(out);
}

void
hvs_words_sentence(const struct hvs_model *model, WCHAR *out)
{
    hvs_words_problem(model, out);
    if (out[0] != L'\0')
        return;
    if (model->service != HVS_SERVICE_UP)
        hvs_wide_copy(out, HVS_WORDS_MAX, hvs_word(IDS_SERVICE + (unsigned)model->service));
    else
        say(model->summary, out);
    end_sentence(out);
}

void
hvs_words_client(const struct hvs_model_session *session, WCHAR *out)
{
    WCHAR number[16];

    hvs_words_from_utf8(out, HVS_WORDS_MAX, session->client);
    if (out[0] != L'\0')
        return;
    hvs_wide_format(number, ARRAYSIZE(number), L"%u", session->id);
    hvs_words_format(out, HVS_WORDS_MAX, IDS_CLIENT_UNKNOWN, number, NULL);
}

void
hvs_words_reason(const struct hvs_model_session *session, WCHAR *out)
{
    WCHAR reason[HVS_WORDS_MAX], detail[HVS_WORDS_MAX];

    say(session->reason_text, out);
    if (session->detail[0] != '\0') {
        hvs_wide_copy(reason, ARRAYSIZE(reason), out);
        hvs_words_from_utf8(detail, ARRAYSIZE(detail), session->detail);
        hvs_words_format(out, HVS_WORDS_MAX, IDS_END_DETAIL, reason, detail);
    }
    end_sentence(out);
}

/* ---- numbers ---- */

static void
format_units(unsigned id, uint64_t large, uint64_t small, WCHAR *out)
{
    WCHAR first[16], second[16];

    hvs_wide_format(first, ARRAYSIZE(first), L"%lu", (unsigned long)large);
    hvs_wide_format(second, ARRAYSIZE(second), L"%lu", (unsigned long)small);
    hvs_words_format(out, HVS_WORDS_MAX, id, first, second);
}

void
hvs_words_duration(uint64_t milliseconds, WCHAR *out)
{
    uint64_t seconds = milliseconds / 1000, minutes = seconds / 60, hours = minutes / 60;

    if (minutes == 0)
        format_units(IDS_UNIT_S, seconds, 0, out);
    else if (hours == 0)
        format_units(seconds % 60 == 0 ? IDS_UNIT_MIN : IDS_UNIT_MIN_S, minutes, seconds % 60,
                     out);
    else if (hours < 24)
        format_units(IDS_UNIT_H_MIN, hours, minutes % 60, out);
    else
        format_units(IDS_UNIT_D_H, hours / 24, hours % 24, out);
}

void
hvs_words_rate(uint64_t bytes_a_second, WCHAR *out)
{
    static const char bytes[] = " bytes";
    char size[32], *unit;
    WCHAR number[32], wide[64];
    struct hvs_text text;

    hvs_text_init(&text, size, sizeof size);
    hvs_text_add_size(&text, bytes_a_second);
    /* KiB and MiB are the same everywhere. */
    unit = strstr(size, bytes);
    if (unit != NULL)
        *unit = '\0';
    hvs_wide_from_utf8(size, number, ARRAYSIZE(number));
    if (unit != NULL)
        hvs_words_format(wide, ARRAYSIZE(wide), IDS_BYTES, number, NULL);
    else
        hvs_wide_copy(wide, ARRAYSIZE(wide), number);
    hvs_words_format(out, HVS_WORDS_MAX, IDS_PER_SECOND, wide, NULL);
}

void
hvs_words_time_of_day(uint64_t milliseconds_ago, WCHAR *out)
{
    const uint64_t ticks = 10000; /* of FILETIME in a millisecond */
    FILETIME then, local;
    ULARGE_INTEGER value;
    SYSTEMTIME time;

    out[0] = L'\0';
    GetSystemTimeAsFileTime(&then);
    value.LowPart = then.dwLowDateTime;
    value.HighPart = then.dwHighDateTime;
    value.QuadPart -= milliseconds_ago * ticks;
    then.dwLowDateTime = value.LowPart;
    then.dwHighDateTime = value.HighPart;
    if (FileTimeToLocalFileTime(&then, &local) && FileTimeToSystemTime(&local, &time))
        GetTimeFormatW(LOCALE_USER_DEFAULT, TIME_NOSECONDS, &time, NULL, out, HVS_WORDS_MAX);
}
