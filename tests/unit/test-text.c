/* common/text: the bounded writer and its forms of numbers, sizes, times and strings. */
#include "common/text.h"

#include <glib.h>
#include <string.h>

/* A writer over a buffer with a guard behind it. */
struct fixture {
    char buffer[512];
    struct hvs_text text;
};

static struct hvs_text *
start(struct fixture *fixture, size_t size)
{
    g_assert_cmpuint(size, <, sizeof fixture->buffer);
    memset(fixture->buffer, '~', sizeof fixture->buffer);
    hvs_text_init(&fixture->text, fixture->buffer, size);
    return &fixture->text;
}

/* Holds for any writer at any time. */
static void
check(const struct fixture *fixture, const char *expected, bool truncated)
{
    const struct hvs_text *text = &fixture->text;

    g_assert_cmpstr(fixture->buffer, ==, expected);
    g_assert_cmpuint(text->length, ==, strlen(expected));
    g_assert_cmpuint(text->length, <, text->size);
    g_assert_cmpint(fixture->buffer[text->size], ==, '~');
    g_assert_true(text->truncated == truncated);
}

static void
test_add(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 64);

    check(&fixture, "", false);
    hvs_text_add(text, "one");
    hvs_text_add_char(text, ' ');
    hvs_text_add_bytes(text, "twofold", 3);
    hvs_text_add_bytes(text, NULL, 0);
    check(&fixture, "one two", false);
}

static void
test_exact_fit(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 8);

    hvs_text_add(text, "1234567");
    check(&fixture, "1234567", false);
    hvs_text_add(text, "");
    check(&fixture, "1234567", false);
    hvs_text_add_char(text, '8');
    check(&fixture, "1234567", true);
}

static void
test_cut(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 8);

    hvs_text_add(text, "12345");
    hvs_text_add(text, "6789");
    check(&fixture, "1234567", true);
}

static void
test_cut_stays_a_prefix(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 8);

    /* The U+20AC of three bytes does not fit into the two that are left; nothing follows it. */
    hvs_text_add(text, "12345\xe2\x82\xac");
    check(&fixture, "12345", true);
    hvs_text_add(text, "6");
    check(&fixture, "12345", true);
}

static void
test_smallest(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 1);

    hvs_text_add_u64(text, 1);
    hvs_text_pad_to(text, 10);
    hvs_text_add_wrapped(text, "some words", 2, 5);
    check(&fixture, "", true);
}

static void
test_integers(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 200);

    hvs_text_add_u64(text, 0);
    hvs_text_add_char(text, ' ');
    hvs_text_add_u64(text, UINT64_MAX);
    hvs_text_add_char(text, ' ');
    hvs_text_add_i64(text, -1);
    hvs_text_add_char(text, ' ');
    hvs_text_add_i64(text, INT64_MIN);
    hvs_text_add_char(text, ' ');
    hvs_text_add_i64(text, INT64_MAX);
    check(&fixture, "0 18446744073709551615 -1 -9223372036854775808 9223372036854775807", false);
}

static void
test_hex(void)
{
    static const struct {
        uint64_t value;
        unsigned digits;
        const char *expected;
    } cases[] = {
        { 0, 0, "0" },
        { 0, 2, "00" },
        { 0xab, 1, "ab" },
        { 0xab, 4, "00ab" },
        { UINT64_MAX, 0, "ffffffffffffffff" },
        { 1, 18, "000000000000000001" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture fixture;

        hvs_text_add_hex(start(&fixture, 64), cases[i].value, cases[i].digits);
        check(&fixture, cases[i].expected, false);
    }
}

static void
test_sizes(void)
{
    static const struct {
        uint64_t bytes;
        const char *expected;
    } cases[] = {
        { 0, "0 bytes" },
        { 1, "1 byte" },
        { 512, "512 bytes" },
        { 1023, "1023 bytes" },
        { 1024, "1.0 KiB" },
        { 1536, "1.5 KiB" },
        { 10188, "9.9 KiB" },
        { 10189, "10 KiB" }, /* 9.95: one digit more than there is room for */
        { 88 * 1024, "88 KiB" },
        { 1024 * 1024 - 513, "1023 KiB" },
        { 1024 * 1024 - 512, "1.0 MiB" }, /* not 1024 KiB */
        { 3565158, "3.4 MiB" },
        { UINT64_C(5) << 30, "5.0 GiB" },
        { UINT64_C(5) << 40, "5.0 TiB" },
        { UINT64_C(5) << 50, "5.0 PiB" },
        { UINT64_MAX, "16 EiB" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture fixture;

        hvs_text_add_size(start(&fixture, 64), cases[i].bytes);
        check(&fixture, cases[i].expected, false);
    }
}

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static void
test_durations(void)
{
    static const struct {
        uint64_t milliseconds;
        const char *expected;
    } cases[] = {
        { 0, "0 s" },
        { 1, "1 ms" },
        { 250, "250 ms" },
        { 999, "999 ms" },
        { SECOND, "1 s" },
        { MINUTE - 1, "59 s" },
        { MINUTE, "1 min" },
        { 2 * MINUTE + 5 * SECOND, "2 min 5 s" },
        { HOUR - 1, "59 min 59 s" },
        { HOUR, "1 h" },
        { 4 * HOUR + 10 * MINUTE + 59 * SECOND, "4 h 10 min" },
        { DAY - 1, "23 h 59 min" },
        { DAY, "1 d" },
        { 3 * DAY + 2 * HOUR, "3 d 2 h" },
        { 400 * DAY + 59 * MINUTE, "400 d" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture fixture;

        hvs_text_add_duration(start(&fixture, 64), cases[i].milliseconds);
        check(&fixture, cases[i].expected, false);
    }
}

static void
test_columns(void)
{
    struct fixture fixture;
    struct hvs_text *text = start(&fixture, 64);

    g_assert_cmpuint(hvs_text_column(text), ==, 0);
    hvs_text_add(text, "label\n\xc3\xa4\xe2\x82\xac"); /* two characters of five bytes */
    g_assert_cmpuint(hvs_text_column(text), ==, 2);
    hvs_text_pad_to(text, 4);
    hvs_text_add_char(text, '|');
    hvs_text_pad_to(text, 3);
    check(&fixture, "label\n\xc3\xa4\xe2\x82\xac  |", false);
}

static void
test_wrapped(void)
{
    static const struct {
        const char *before, *string;
        size_t indent, width;
        const char *expected;
    } cases[] = {
        { "", "", 0, 10, "" },
        { "", "one two three", 0, 80, "one two three" },
        { "", "  one \n two\tthree ", 0, 80, "one two three" },
        { "", "aaa bbb ccc", 2, 7, "aaa bbb\n  ccc" }, /* exactly to the edge */
        { "", "aaa bbbb ccc", 2, 7, "aaa\n  bbbb\n  ccc" },
        { "a    ", "bb cc", 5, 8, "a    bb\n     cc" },
        { "label ", "word", 2, 8, "label\n  word" }, /* no blank at the end of a line */
        { "", "abcdefghij k", 2, 6, "abcdef\n  ghij\n  k" },
        { "", "\xc3\xa4\xc3\xa4\xc3\xa4 b", 0, 5, "\xc3\xa4\xc3\xa4\xc3\xa4 b" },
        { "", "a\x1b[2J b", 0, 80, "a?[2J b" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture fixture;
        struct hvs_text *text = start(&fixture, 128);

        hvs_text_add(text, cases[i].before);
        hvs_text_add_wrapped(text, cases[i].string, cases[i].indent, cases[i].width);
        check(&fixture, cases[i].expected, false);
    }
}

/* Sequences that RFC 3629 does not allow, and one that it does. */
static const struct {
    const char *bytes, *visible, *json;
} utf8_cases[] = {
    { "a\xf0\x9f\x98\x80z", "a\xf0\x9f\x98\x80z", "\"a\xf0\x9f\x98\x80z\"" },
    { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
    { "\x80", "?", "\"\xef\xbf\xbd\"" },
    { "\xc0\xaf", "??", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xe0\x80\xaf", "???", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xed\xa0\x80", "???", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xf0\x80\x80\xaf", "????", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xf4\x90\x80\x80", "????", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "a\xe2\x82", "a??", "\"a\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xe2\x82z", "??z", "\"\xef\xbf\xbd\xef\xbf\xbdz\"" },
    { "\xff", "?", "\"\xef\xbf\xbd\"" },
};

static void
test_visible(void)
{
    struct fixture fixture;

    for (size_t i = 0; i < G_N_ELEMENTS(utf8_cases); i++) {
        hvs_text_add_visible(start(&fixture, 64), utf8_cases[i].bytes);
        check(&fixture, utf8_cases[i].visible, false);
    }
    /* ESC, LF, DEL, and NEL of C1; a no-break space is none of them. */
    hvs_text_add_visible(start(&fixture, 64), "a\x1b\n\x7f\xc2\x85z\xc2\xa0");
    check(&fixture, "a?????z\xc2\xa0", false);
}

static void
test_json(void)
{
    struct fixture fixture;

    for (size_t i = 0; i < G_N_ELEMENTS(utf8_cases); i++) {
        hvs_text_add_json_string(start(&fixture, 64), utf8_cases[i].bytes);
        check(&fixture, utf8_cases[i].json, false);
    }
    hvs_text_add_json_string(start(&fixture, 64), NULL);
    check(&fixture, "null", false);
    hvs_text_add_json_string(start(&fixture, 64), "");
    check(&fixture, "\"\"", false);
    hvs_text_add_json_string(start(&fixture, 64), "\"\\/\b\f\n\r\t\x01\x1f");
    check(&fixture, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\"", false);
}

static void
test_digits(void)
{
    static const struct {
        unsigned value, digits;
        const char *expected;
    } cases[] = {
        { 0, 1, "0" }, { 7, 2, "07" }, { 2026, 4, "2026" }, { 59, 3, "059" }, { 1234, 2, "34" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture fixture;

        hvs_text_add_digits(start(&fixture, 64), cases[i].value, cases[i].digits);
        check(&fixture, cases[i].expected, false);
    }
}

static void
test_hexdump(void)
{
    struct fixture fixture;
    uint8_t bytes[18];

    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 15);

    hvs_text_add_hexdump(start(&fixture, 128), bytes, 0);
    check(&fixture, "", false);
    hvs_text_add_hexdump(start(&fixture, 128), bytes, 3);
    check(&fixture, "0000: 00 0f 1e", false);
    hvs_text_add_hexdump(start(&fixture, 128), bytes, 16);
    check(&fixture, "0000: 00 0f 1e 2d 3c 4b 5a 69 78 87 96 a5 b4 c3 d2 e1", false);
    hvs_text_add_hexdump(start(&fixture, 128), bytes, 18);
    check(&fixture,
          "0000: 00 0f 1e 2d 3c 4b 5a 69 78 87 96 a5 b4 c3 d2 e1\n"
          "0010: f0 ff",
          false);
}

static void
test_words(void)
{
    g_assert_true(hvs_text_is_word("Server", 6, "sERVER"));
    g_assert_true(hvs_text_is_word("", 0, ""));
    g_assert_false(hvs_text_is_word("Server", 5, "Server"));
    g_assert_false(hvs_text_is_word("Servers", 7, "Server"));
    g_assert_false(hvs_text_is_word("@", 1, "`")); /* 0x20 apart, but no letters */
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/add", test_add);
    g_test_add_func("/text/exact-fit", test_exact_fit);
    g_test_add_func("/text/cut", test_cut);
    g_test_add_func("/text/cut/stays-a-prefix", test_cut_stays_a_prefix);
    g_test_add_func("/text/smallest", test_smallest);
    g_test_add_func("/text/integers", test_integers);
    g_test_add_func("/text/hex", test_hex);
    g_test_add_func("/text/digits", test_digits);
    g_test_add_func("/text/sizes", test_sizes);
    g_test_add_func("/text/durations", test_durations);
    g_test_add_func("/text/columns", test_columns);
    g_test_add_func("/text/wrapped", test_wrapped);
    g_test_add_func("/text/visible", test_visible);
    g_test_add_func("/text/json", test_json);
    g_test_add_func("/text/hexdump", test_hexdump);
    g_test_add_func("/text/words", test_words);
    return g_test_run();
}
