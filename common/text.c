#include "text.h"

#include <string.h>

void
hvs_text_init(struct hvs_text *text, char *buffer, size_t size)
{
    text->buffer = buffer;
    text->size = size;
    text->length = 0;
    text->truncated = false;
    buffer[0] = '\0';
}

/* Length of the UTF-8 sequence at bytes (RFC 3629 section 4), 0 if there is no valid one. */
static size_t
utf8_sequence(const char *bytes, size_t available)
{
    const unsigned char *b = (const unsigned char *)bytes;
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t length;

    if (b[0] < 0x80)
        return 1;
    if (b[0] >= 0xc2 && b[0] <= 0xdf)
        length = 2;
    else if (b[0] >= 0xe0 && b[0] <= 0xef)
        length = 3;
    else if (b[0] >= 0xf0 && b[0] <= 0xf4)
        length = 4;
    else
        return 0;

    if (b[0] == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (b[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (b[0] == 0xf0)
        low = 0x90;
    else if (b[0] == 0xf4)
        high = 0x8f; /* above U+10FFFF */

    if (length > available || b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (b[i] < 0x80 || b[i] > 0xbf)
            return 0;
    return length;
}

static bool
is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void
hvs_text_add_bytes(struct hvs_text *text, const char *bytes, size_t length)
{
    size_t room = text->size - 1 - text->length;

    if (text->truncated)
        return;
    if (length > room) {
        text->truncated = true;
        length = room;
        while (length > 0 && is_continuation(bytes[length]))
            length--;
    }
    if (length > 0)
        memcpy(text->buffer + text->length, bytes, length);
    text->length += length;
    text->buffer[text->length] = '\0';
}

void
hvs_text_add(struct hvs_text *text, const char *string)
{
    hvs_text_add_bytes(text, string, strlen(string));
}

void
hvs_text_add_char(struct hvs_text *text, char c)
{
    hvs_text_add_bytes(text, &c, 1);
}

void
hvs_text_add_u64(struct hvs_text *text, uint64_t value)
{
    char digits[20]; /* of 2^64 − 1 */
    size_t first = sizeof digits;

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    hvs_text_add_bytes(text, digits + first, sizeof digits - first);
}

void
hvs_text_add_i64(struct hvs_text *text, int64_t value)
{
    if (value < 0) {
        hvs_text_add_char(text, '-');
        /* Unsigned, since −INT64_MIN is no int64_t. */
        hvs_text_add_u64(text, 0 - (uint64_t)value);
    } else {
        hvs_text_add_u64(text, (uint64_t)value);
    }
}

void
hvs_text_add_digits(struct hvs_text *text, unsigned value, unsigned digits)
{
    unsigned scale = 1;

    for (unsigned i = 1; i < digits; i++)
        scale *= 10;
    for (; scale > 0; scale /= 10)
        hvs_text_add_char(text, (char)('0' + value / scale % 10));
}

void
hvs_text_add_hex(struct hvs_text *text, uint64_t value, unsigned digits)
{
    static const char hex[] = "0123456789abcdef";

    for (; digits > 16; digits--)
        hvs_text_add_char(text, '0');
    for (unsigned i = 16; i > 0; i--) {
        unsigned shift = (i - 1) * 4;
        if (i <= digits || i == 1 || value >> shift != 0)
            hvs_text_add_char(text, hex[(value >> shift) & 0xf]);
    }
}

void
hvs_text_add_visible_bytes(struct hvs_text *text, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)bytes[i];
        size_t sequence = utf8_sequence(bytes + i, length - i);
        /* C0 and DEL; C1 is C2 80 … C2 9F, which some terminals obey as well. */
        bool control = c < 0x20 || c == 0x7f ||
                       (sequence == 2 && c == 0xc2 && (unsigned char)bytes[i + 1] < 0xa0);

        if (sequence == 0 || control) {
            hvs_text_add_char(text, '?');
            i++;
        } else {
            hvs_text_add_bytes(text, bytes + i, sequence);
            i += sequence;
        }
    }
}

void
hvs_text_add_visible(struct hvs_text *text, const char *string)
{
    hvs_text_add_visible_bytes(text, string, strlen(string));
}

size_t
hvs_text_column(const struct hvs_text *text)
{
    size_t column = 0;

    for (size_t i = text->length; i > 0 && text->buffer[i - 1] != '\n'; i--)
        if (!is_continuation(text->buffer[i - 1]))
            column++;
    return column;
}

void
hvs_text_pad_to(struct hvs_text *text, size_t column)
{
    for (size_t have = hvs_text_column(text); have < column; have++)
        hvs_text_add_char(text, ' ');
}

static void
new_line(struct hvs_text *text, size_t indent)
{
    /* Behind a label there may be blanks. */
    while (!text->truncated && text->length > 0 && text->buffer[text->length - 1] == ' ')
        text->buffer[--text->length] = '\0';
    hvs_text_add_char(text, '\n');
    hvs_text_pad_to(text, indent);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t
count_characters(const char *bytes, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        if (!is_continuation(bytes[i]))
            count++;
    return count;
}

static void
add_word(struct hvs_text *text, const char *word, size_t length, size_t indent, size_t width)
{
    for (size_t i = 0; i < length && !text->truncated;) {
        size_t sequence = utf8_sequence(word + i, length - i);

        if (sequence == 0)
            sequence = 1;
        if (hvs_text_column(text) >= width)
            new_line(text, indent);
        hvs_text_add_visible_bytes(text, word + i, sequence);
        i += sequence;
    }
}

void
hvs_text_add_wrapped(struct hvs_text *text, const char *string, size_t indent, size_t width)
{
    bool first = true;

    for (;;) {
        size_t length = 0;

        while (is_blank(*string))
            string++;
        while (string[length] != '\0' && !is_blank(string[length]))
            length++;
        if (length == 0)
            return;

        size_t needed = count_characters(string, length) + (first ? 0 : 1);
        size_t column = hvs_text_column(text);
        if (column + needed > width && column > indent)
            new_line(text, indent);
        else if (!first)
            hvs_text_add_char(text, ' ');
        add_word(text, string, length, indent, width);
        string += length;
        first = false;
    }
}

void
hvs_text_add_size(struct hvs_text *text, uint64_t bytes)
{
    static const char *const units[] = { " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
    const size_t last = sizeof units / sizeof units[0] - 1;

    if (bytes < 1024) {
        hvs_text_add_u64(text, bytes);
        hvs_text_add(text, bytes == 1 ? " byte" : " bytes");
        return;
    }
    for (size_t unit = 0;; unit++) {
        unsigned shift = 10 * ((unsigned)unit + 1);
        uint64_t half = UINT64_C(1) << (shift - 1);
        uint64_t rest = bytes & ((half << 1) - 1);
        uint64_t whole = bytes >> shift;
        /* rest < 2^60, so that ten times that still fits. */
        uint64_t tenths = whole * 10 + ((rest * 10 + half) >> shift);

        if (tenths < 100) {
            hvs_text_add_u64(text, tenths / 10);
            hvs_text_add_char(text, '.');
            hvs_text_add_u64(text, tenths % 10);
            hvs_text_add(text, units[unit]);
            return;
        }
        if (rest >= half)
            whole++;
        /* What rounds to 1024 is one of the next unit. */
        if (whole < 1024 || unit == last) {
            hvs_text_add_u64(text, whole);
            hvs_text_add(text, units[unit]);
            return;
        }
    }
}

/* "3 d 2 h": the second part only if there is any. */
static void
add_two_parts(struct hvs_text *text, uint64_t major, const char *major_unit, uint64_t minor,
              const char *minor_unit)
{
    hvs_text_add_u64(text, major);
    hvs_text_add(text, major_unit);
    if (minor != 0) {
        hvs_text_add_char(text, ' ');
        hvs_text_add_u64(text, minor);
        hvs_text_add(text, minor_unit);
    }
}

void
hvs_text_add_duration(struct hvs_text *text, uint64_t milliseconds)
{
    uint64_t seconds = milliseconds / 1000;
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;

    if (milliseconds > 0 && seconds == 0)
        add_two_parts(text, milliseconds, " ms", 0, "");
    else if (minutes == 0)
        add_two_parts(text, seconds, " s", 0, "");
    else if (hours == 0)
        add_two_parts(text, minutes, " min", seconds % 60, " s");
    else if (hours < 24)
        add_two_parts(text, hours, " h", minutes % 60, " min");
    else
        add_two_parts(text, hours / 24, " d", hours % 24, " h");
}

/* RFC 8259 section 7 */
static void
add_json_ascii(struct hvs_text *text, char c)
{
    static const char escaped[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = strchr(escaped, c);

    if (found != NULL) {
        const char pair[2] = { '\\', letters[found - escaped] };
        hvs_text_add_bytes(text, pair, sizeof pair);
    } else if ((unsigned char)c < 0x20) {
        hvs_text_add(text, "\\u");
        hvs_text_add_hex(text, (unsigned char)c, 4);
    } else {
        hvs_text_add_char(text, c);
    }
}

void
hvs_text_add_json_string(struct hvs_text *text, const char *string)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

    if (string == NULL) {
        hvs_text_add(text, "null");
        return;
    }
    hvs_text_add_char(text, '"');
    for (size_t left = strlen(string); left > 0;) {
        size_t sequence = utf8_sequence(string, left);

        if (sequence == 0) {
            hvs_text_add(text, replacement);
            sequence = 1;
        } else if (sequence == 1) {
            add_json_ascii(text, *string);
        } else {
            hvs_text_add_bytes(text, string, sequence);
        }
        string += sequence;
        left -= sequence;
    }
    hvs_text_add_char(text, '"');
}

void
hvs_text_add_hexdump(struct hvs_text *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (i % 16 == 0) {
            if (i > 0)
                hvs_text_add_char(text, '\n');
            hvs_text_add_hex(text, i, 4);
            hvs_text_add_char(text, ':');
        }
        hvs_text_add_char(text, ' ');
        hvs_text_add_hex(text, bytes[i], 2);
    }
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
hvs_text_is_word(const char *bytes, size_t length, const char *word)
{
    for (size_t i = 0; i < length; i++)
        if (word[i] == '\0' || lower(bytes[i]) != lower(word[i]))
            return false;
    return word[length] == '\0';
}
