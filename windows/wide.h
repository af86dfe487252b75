/* Text between Windows (UTF-16) and the portable core (UTF-8), and the system's errors in words. */
#ifndef HVS_WINDOWS_WIDE_H
#define HVS_WINDOWS_WIDE_H

#include "common/text.h"

#include <windows.h>

/* length characters, or up to the zero if length is SIZE_MAX. Half a surrogate pair becomes '?'.
 */
void hvs_wide_add(struct hvs_text *out, const WCHAR *wide, size_t length);
/* The whole string into buffer, always terminated; false: it did not fit, and was cut. size is at
 * least 1, in bytes. */
bool hvs_wide_to_utf8(const WCHAR *wide, char *buffer, size_t size);
/* Likewise; size in characters. Invalid UTF-8 becomes U+FFFD. What does not fit gives an empty
 * string and false. */
bool hvs_wide_from_utf8(const char *utf8, WCHAR *buffer, size_t size);

/* Wide strings in buffers of size characters, at least 1: always terminated; false: it did not fit,
 * and was cut. The system's <strsafe.h> does as much, in 17 KB of mingw's. */
bool hvs_wide_copy(WCHAR *to, size_t size, const WCHAR *from);
bool hvs_wide_append(WCHAR *to, size_t size, const WCHAR *more);
/* Of msvcrt.dll: %ls is a wide string. */
bool hvs_wide_format(WCHAR *to, size_t size, const WCHAR *format, ...);

/* "2026-11-26T11:00:00" of a FILETIME's number, in UTC; between: day and time. */
void hvs_wide_add_time(struct hvs_text *out, uint64_t filetime, char between);

/* "Access is denied (error 5)", in the system's language. */
void hvs_wide_add_error(struct hvs_text *out, DWORD error);

#endif
