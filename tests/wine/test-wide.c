/* windows/wide: text between UTF-16 and UTF-8, and wide strings in buffers that are too small. */
#include "windows/wide.h"

#include <glib.h>
#include <string.h>
#include <wchar.h>

#define GUARD 0x7e7e

/* A buffer of size characters, with a guard behind it. */
struct fixture {
    WCHAR  buffer[32];
    size_t size;
};

static void
start(struct fixture *fixture, size_t size, const WCHAR *content)
{
    for (size_t i = 0; i < G_N_ELEMENTS(fixture->buffer); i++)
        fixture->buffer[i] = GUARD;
    fixture->size = size;
    wcscpy(fixture->buffer, content);
}

static void
check(const struct fixture *fixture, const WCHAR *expected)
{
    g_assert_true(wcscmp(fixture->buffer, expected) == 0);
    for (size_t i = fixture->size; i < G_N_ELEMENTS(fixture->buffer); i++)
        g_assert_cmphex(fixture->buffer[i], ==, GUARD);
}

static void
test_copy(void)
{
    struct fixture fixture;

    start(&fixture, 5, L"");
    g_assert_true(hvs_wide_copy(fixture.buffer, 5, L"four"));
    check(&fixture, L"four");
    g_assert_false(hvs_wide_copy(fixture.buffer, 5, L"fives"));
    check(&fixture, L"five");
    g_assert_true(hvs_wide_copy(fixture.buffer, 5, L""));
    check(&fixture, L"");
    start(&fixture, 1, L"");
    g_assert_false(hvs_wide_copy(fixture.buffer, 1, L"x"));
    check(&fixture, L"");
}

static void
test_append(void)
{
    struct fixture fixture;

    start(&fixture, 8, L"C:");
    g_assert_true(hvs_wide_append(fixture.buffer, 8, L"\\a"));
    check(&fixture, L"C:\\a");
    g_assert_true(hvs_wide_append(fixture.buffer, 8, L"bcd"));
    check(&fixture, L"C:\\abcd");
    g_assert_true(hvs_wide_append(fixture.buffer, 8, L""));
    g_assert_false(hvs_wide_append(fixture.buffer, 8, L"e"));
    check(&fixture, L"C:\\abcd");
}

static void
test_format(void)
{
    struct fixture fixture;

    start(&fixture, 8, L"");
    g_assert_true(hvs_wide_format(fixture.buffer, 8, L"%ls %u.%u", L"abc", 1u, 2u));
    check(&fixture, L"abc 1.2");
    /* Just the room, but for the zero; and far less. */
    g_assert_false(hvs_wide_format(fixture.buffer, 8, L"%u", 12345678u));
    check(&fixture, L"1234567");
    g_assert_false(hvs_wide_format(fixture.buffer, 8, L"%ls", L"a long way beyond it"));
    check(&fixture, L"a long ");
}

static void
test_utf8(void)
{
    /* A, e acute, a Chinese character, one beyond the basic plane. */
    static const WCHAR wide[] = L"A\u00e9\u4e2d\xd83d\xde00";
    static const char utf8[] = "A\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80";
    char bytes[32];
    WCHAR back[32];

    g_assert_true(hvs_wide_to_utf8(wide, bytes, sizeof bytes));
    g_assert_cmpstr(bytes, ==, utf8);
    g_assert_true(hvs_wide_from_utf8(bytes, back, G_N_ELEMENTS(back)));
    g_assert_true(wcscmp(back, wide) == 0);
    g_assert_true(hvs_wide_to_utf8(L"x\xd83dy\xde00", bytes, sizeof bytes));
    g_assert_cmpstr(bytes, ==, "x?y?");
    g_assert_false(hvs_wide_to_utf8(wide, bytes, 4));
    g_assert_false(hvs_wide_from_utf8(utf8, back, 3));
    g_assert_cmphex(back[0], ==, 0);
}

static void
test_error(void)
{
    char bytes[256];
    struct hvs_text text;

    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_wide_add_error(&text, ERROR_ACCESS_DENIED);
    g_assert_nonnull(strstr(bytes, " (error 5)"));
    g_assert_null(strstr(bytes, ". ("));
    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_wide_add_error(&text, 0x2fffffff);
    g_assert_cmpstr(bytes, ==, "(error 805306367)");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wide/copy", test_copy);
    g_test_add_func("/wide/append", test_append);
    g_test_add_func("/wide/format", test_format);
    g_test_add_func("/wide/utf8", test_utf8);
    g_test_add_func("/wide/error", test_error);
    return g_test_run();
}
