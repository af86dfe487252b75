/* Bytes in tests: compared with a hex dump on failure, and written as text. */
#ifndef HVS_TESTS_UNIT_BYTES_H
#define HVS_TESTS_UNIT_BYTES_H

#include <glib.h>
#include <stdint.h>
#include <string.h>

static inline char *
bytes_to_hex(const uint8_t *bytes, size_t length)
{
    GString *hex = g_string_new(NULL);

    for (size_t i = 0; i < length; i++) {
        g_string_append_printf(hex, "%02x ", bytes[i]);
    }
    return g_string_free(hex, FALSE);
}

/* A failure shows a few bytes from the first difference on. */
static inline void
assert_bytes(const uint8_t *found, size_t found_length, const uint8_t *expected,
             size_t expected_length)
{
    size_t same = 0;

    while (same < found_length && same < expected_length && found[same] == expected[same]) {
        same++;
    }
    if (same < found_length || same < expected_length) {
        g_autofree char *found_hex = bytes_to_hex(found + same, MIN(found_length - same, 16));
        g_autofree char *expected_hex =
            bytes_to_hex(expected + same, MIN(expected_length - same, 16));

        g_error("bytes differ at %zu of %zu found, %zu expected: found %s, expected %s", same,
                found_length, expected_length, found_hex, expected_hex);
    }
}

/* Hex digits, with blanks anywhere between bytes, and text in single quotes. */
static inline GByteArray *
bytes_from(const char *source)
{
    GByteArray *bytes = g_byte_array_new();

    while (*source != '\0') {
        if (*source == ' ') {
            source++;
        } else if (*source == '\'') {
            const char *end = strchr(source + 1, '\'');

            g_assert_nonnull(end);
            g_byte_array_append(bytes, (const guint8 *)source + 1, (guint)(end - source - 1));
            source = end + 1;
        } else {
            guint8 byte;

            g_assert_true(g_ascii_isxdigit(source[0]) && g_ascii_isxdigit(source[1]));
            byte = (guint8)(g_ascii_xdigit_value(source[0]) << 4 | g_ascii_xdigit_value(source[1]));
            g_byte_array_append(bytes, &byte, 1);
            source += 2;
        }
    }
    return bytes;
}

#endif
