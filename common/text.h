/* A bounded text writer: what common/ prints with, since it has neither stdio nor heap.
 *
 * A full buffer is cut, never overrun, is always terminated, and .truncated says so. The cut falls
 * between two UTF-8 characters, and nothing is added behind it: what is there is always a prefix of
 * what was meant.
 */
#ifndef HVS_COMMON_TEXT_H
#define HVS_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hvs_text {
    char  *buffer;
    size_t size;   /* of buffer, the terminating zero included; at least 1 */
    size_t length; /* written so far, without the zero */
    bool   truncated;
};

void hvs_text_init(struct hvs_text *text, char *buffer, size_t size);
void hvs_text_add(struct hvs_text *text, const char *string);
void hvs_text_add_bytes(struct hvs_text *text, const char *bytes, size_t length);
void hvs_text_add_char(struct hvs_text *text, char c);
void hvs_text_add_u64(struct hvs_text *text, uint64_t value);
void hvs_text_add_i64(struct hvs_text *text, int64_t value);
/* Decimal, zero-padded: the last digits of value. */
void hvs_text_add_digits(struct hvs_text *text, unsigned value, unsigned digits);
/* digits: at least that many, zero-padded; lower case, no prefix. */
void hvs_text_add_hex(struct hvs_text *text, uint64_t value, unsigned digits);
/* Strings from elsewhere, for a terminal or a one-line message: control characters (line feeds
 * included) and invalid UTF-8 become '?', each byte of it. */
void hvs_text_add_visible(struct hvs_text *text, const char *string);
/* Likewise for length bytes. */
void hvs_text_add_visible_bytes(struct hvs_text *text, const char *bytes, size_t length);
/* Characters since the last line feed. UTF-8 sequences count as one. */
size_t hvs_text_column(const struct hvs_text *text);
/* Spaces until hvs_text_column() is column; none if it is already. */
void hvs_text_pad_to(struct hvs_text *text, size_t column);
/* The words of string as in hvs_text_add_visible(), in lines of at most width characters; all but
 * the first begin with indent spaces. A word that is too long for a line is cut. indent < width. */
void hvs_text_add_wrapped(struct hvs_text *text, const char *string, size_t indent, size_t width);
/* "512 bytes", "1.5 MiB", "88 KiB": rounded to two digits or whole units. */
void hvs_text_add_size(struct hvs_text *text, uint64_t bytes);
/* "3 s", "2 min 5 s", "4 h 10 min", "3 d 2 h", "2 min"; below one second "250 ms", but "0 s". Cut,
 * not rounded. */
void hvs_text_add_duration(struct hvs_text *text, uint64_t milliseconds);
/* A JSON string with its quotes; each byte of invalid UTF-8 becomes U+FFFD. NULL becomes null. */
void hvs_text_add_json_string(struct hvs_text *text, const char *string);
/* "0000: 03 00 00 13 …" 16 bytes a line, without a line feed behind the last one. */
void hvs_text_add_hexdump(struct hvs_text *text, const uint8_t *bytes, size_t length);

/* Are these length bytes the word? ASCII letters in either case are equal, in any locale. */
bool hvs_text_is_word(const char *bytes, size_t length, const char *word);

#endif
