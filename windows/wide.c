#include "wide.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define REPLACEMENT_WIDE '?'

/* RFC 3629 section 3 */
static void
add_code_point(struct hvs_text *out, uint32_t code)
{
    char bytes[4];
    size_t length;

    if (code < 0x80) {
        bytes[0] = (char)code;
        length = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xc0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3f));
        length = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xe0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (code & 0x3f));
        length = 3;
    } else {
        bytes[0] = (char)(0xf0 | code >> 18);
        bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
        bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[3] = (char)(0x80 | (code & 0x3f));
        length = 4;
    }
    hvs_text_add_bytes(out, bytes, length);
}

void
hvs_wide_add(struct hvs_text *out, const WCHAR *wide, size_t length)
{
    if (length == SIZE_MAX)
        length = wcslen(wide);
    for (size_t i = 0; i < length; i++) {
        uint32_t unit = wide[i];

        if (!IS_HIGH_SURROGATE(unit) && !IS_LOW_SURROGATE(unit)) {
            add_code_point(out, unit);
        } else if (IS_HIGH_SURROGATE(unit) && i + 1 < length && IS_LOW_SURROGATE(wide[i + 1])) {
            add_code_point(out, 0x10000 + ((unit - 0xd800) << 10) + (wide[i + 1] - 0xdc00u));
            i++;
        } else {
            add_code_point(out, REPLACEMENT_WIDE);
        }
    }
}

bool
hvs_wide_to_utf8(const WCHAR *wide, char *buffer, size_t size)
{
    struct hvs_text text;

    hvs_text_init(&text, buffer, size);
    hvs_wide_add(&text, wide, SIZE_MAX);
    return !text.truncated;
}

bool
hvs_wide_from_utf8(const char *utf8, WCHAR *buffer, size_t size)
{
    int limit = size > INT_MAX ? INT_MAX : (int)size;

    if (MultiByteToWideChar(CP_UTF8, 0, utf8, -1, buffer, limit) > 0)
        return true;
    buffer[0] = L'\0';
    return false;
}

bool
hvs_wide_copy(WCHAR *to, size_t size, const WCHAR *from)
{
    size_t length = wcslen(from);
    bool fits = length < size;

    if (!fits)
        length = size - 1;
    memcpy(to, from, length * sizeof(WCHAR));
    to[length] = L'\0';
    return fits;
}

bool
hvs_wide_append(WCHAR *to, size_t size, const WCHAR *more)
{
    size_t length = wcslen(to);

    return hvs_wide_copy(to + length, size - length, more);
}

bool
hvs_wide_format(WCHAR *to, size_t size, const WCHAR *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    /* Leaves out the zero where there is no room for it. */
    length = _vsnwprintf(to, size, format, arguments);
    va_end(arguments);
    to[size - 1] = L'\0';
    return length >= 0 && (size_t)length < size;
}

void
hvs_wide_add_time(struct hvs_text *out, uint64_t filetime, char between)
{
    const FILETIME split = { (DWORD)filetime, (DWORD)(filetime >> 32) };
    const char behind[] = { '-', '-', between, ':', ':' };
    SYSTEMTIME time;

    if (!FileTimeToSystemTime(&split, &time))
        return;
    const WORD parts[] = { time.wYear, time.wMonth, time.wDay, time.wHour, time.wMinute,
                           time.wSecond };
    for (size_t i = 0; i < ARRAYSIZE(parts); i++) {
        hvs_text_add_digits(out, parts[i], i == 0 ? 4 : 2);
        if (i < ARRAYSIZE(behind))
            hvs_text_add_char(out, behind[i]);
    }
}

void
hvs_wide_add_error(struct hvs_text *out, DWORD error)
{
    WCHAR message[512];
    DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS |
                                      FORMAT_MESSAGE_MAX_WIDTH_MASK,
                                  NULL, error, 0, message, ARRAYSIZE(message), NULL);

    while (length > 0 && (message[length - 1] <= L' ' || message[length - 1] == L'.'))
        length--;
    if (length > 0) {
        hvs_wide_add(out, message, length);
        hvs_text_add(out, " (error ");
    } else {
        hvs_text_add(out, "(error ");
    }
    hvs_text_add_u64(out, error);
    hvs_text_add_char(out, ')');
}
