#include "json.h"

#include <string.h>

struct reader {
    char            *next, *end;
    struct hvs_json *values;
    unsigned         count, used;
    unsigned         depth;
};

static bool read_value(struct reader *reader, const char *key);

/* ---- characters ---- */

static void
skip_space(struct reader *reader)
{
    while (reader->next < reader->end && strchr(" \t\r\n", *reader->next) != NULL &&
           *reader->next != '\0')
        reader->next++;
}

static bool
take(struct reader *reader, char c)
{
    if (reader->next == reader->end || *reader->next != c)
        return false;
    reader->next++;
    return true;
}

static bool
take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(reader->end - reader->next) < length || memcmp(reader->next, word, length) != 0)
        return false;
    reader->next += length;
    return true;
}

static bool
is_digit(const struct reader *reader)
{
    return reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9';
}

/* ---- strings ---- */

static bool
take_hex4(struct reader *reader, uint32_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *found;

        if (reader->next == reader->end || *reader->next == '\0')
            return false;
        found = strchr(digits, *reader->next >= 'A' && *reader->next <= 'F' ? *reader->next | 0x20
                                                                            : *reader->next);
        if (found == NULL)
            return false;
        *value = *value << 4 | (uint32_t)(found - digits);
        reader->next++;
    }
    return true;
}

/* Behind "\u". A surrogate pair is one character; half a pair is refused, as is zero. */
static bool
take_code_point(struct reader *reader, uint32_t *code)
{
    uint32_t low;

    if (!take_hex4(reader, code) || *code == 0 || (*code >= 0xdc00 && *code <= 0xdfff))
        return false;
    if (*code < 0xd800 || *code > 0xdbff)
        return true;
    if (!take_word(reader, "\\u") || !take_hex4(reader, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *code = 0x10000 + ((*code - 0xd800) << 10 | (low - 0xdc00));
    return true;
}

/* As UTF-8: never longer than its escape. */
static char *
put_code_point(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* Behind a backslash. NULL: no such escape. */
static char *
take_escape(struct reader *reader, char *out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *found;
    uint32_t code;

    if (take(reader, 'u'))
        return take_code_point(reader, &code) ? put_code_point(out, code) : NULL;
    if (reader->next == reader->end || *reader->next == '\0')
        return NULL;
    found = strchr(names, *reader->next);
    if (found == NULL)
        return NULL;
    reader->next++;
    *out++ = meant[found - names];
    return out;
}

/* With its quotes; unescaped in place, where the closing quote gives room for the zero. */
static const char *
take_string(struct reader *reader)
{
    char *start, *out;

    if (!take(reader, '"'))
        return NULL;
    start = out = reader->next;
    while (reader->next < reader->end) {
        char c = *reader->next++;

        if (c == '"') {
            *out = '\0';
            return start;
        }
        if ((unsigned char)c < 0x20)
            return NULL;
        if (c != '\\')
            *out++ = c;
        else if ((out = take_escape(reader, out)) == NULL)
            return NULL;
    }
    return NULL;
}

/* ---- numbers ---- */

static bool
take_digits(struct reader *reader, uint64_t *value)
{
    if (!is_digit(reader))
        return false;
    *value = 0;
    for (; is_digit(reader); reader->next++) {
        uint64_t digit = (uint64_t)(*reader->next - '0');

        *value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
    }
    return true;
}

static bool
take_number(struct reader *reader, uint64_t *value)
{
    bool negative = take(reader, '-');
    uint64_t ignored;

    if (take(reader, '0'))
        *value = 0;
    else if (!take_digits(reader, value))
        return false;
    if (take(reader, '.') && !take_digits(reader, &ignored))
        return false;
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+'))
            take(reader, '-');
        if (!take_digits(reader, &ignored))
            return false;
    }
    if (negative)
        *value = 0;
    return true;
}

/* ---- values ---- */

/* Behind the opening bracket. */
static bool
read_members(struct reader *reader, bool is_object)
{
    char closing = is_object ? '}' : ']';

    skip_space(reader);
    if (take(reader, closing))
        return true;
    do {
        const char *key = NULL;

        skip_space(reader);
        if (is_object) {
            key = take_string(reader);
            skip_space(reader);
            if (key == NULL || !take(reader, ':'))
                return false;
        }
        if (!read_value(reader, key))
            return false;
        skip_space(reader);
    } while (take(reader, ','));
    return take(reader, closing);
}

static bool
read_container(struct reader *reader, bool is_object)
{
    bool whole;

    if (reader->depth == HVS_JSON_DEPTH_MAX)
        return false;
    reader->depth++;
    whole = read_members(reader, is_object);
    reader->depth--;
    return whole;
}

static bool
read_content(struct reader *reader, struct hvs_json *value)
{
    if (take(reader, '{')) {
        value->kind = HVS_JSON_OBJECT;
        return read_container(reader, true);
    }
    if (take(reader, '[')) {
        value->kind = HVS_JSON_ARRAY;
        return read_container(reader, false);
    }
    if (reader->next < reader->end && *reader->next == '"') {
        value->kind = HVS_JSON_STRING;
        value->string = take_string(reader);
        return value->string != NULL;
    }
    if (take_word(reader, "null")) {
        value->kind = HVS_JSON_NULL;
        return true;
    }
    if (take_word(reader, "true")) {
        value->kind = HVS_JSON_TRUE;
        return true;
    }
    if (take_word(reader, "false")) {
        value->kind = HVS_JSON_FALSE;
        return true;
    }
    value->kind = HVS_JSON_NUMBER;
    return take_number(reader, &value->number);
}

static bool
read_value(struct reader *reader, const char *key)
{
    unsigned at = reader->used;
    struct hvs_json *value;

    if (reader->used == reader->count)
        return false;
    reader->used++;
    value = &reader->values[at];
    *value = (struct hvs_json) { .key = key };
    skip_space(reader);
    if (!read_content(reader, value))
        return false;
    value->size = reader->used - at;
    return true;
}

bool
hvs_json_read(char *document, size_t length, struct hvs_json *values, unsigned count)
{
    struct reader reader = {
        .next = document, .end = document + length, .values = values, .count = count
    };

    if (!read_value(&reader, NULL))
        return false;
    skip_space(&reader);
    return reader.next == reader.end;
}

/* ---- looking at them ---- */

const struct hvs_json *
hvs_json_first(const struct hvs_json *parent)
{
    return parent != NULL && parent->size > 1 ? parent + 1 : NULL;
}

const struct hvs_json *
hvs_json_next(const struct hvs_json *parent, const struct hvs_json *child)
{
    const struct hvs_json *next = child + child->size;

    return next < parent + parent->size ? next : NULL;
}

const struct hvs_json *
hvs_json_get(const struct hvs_json *parent, const char *key)
{
    if (parent == NULL || parent->kind != HVS_JSON_OBJECT)
        return NULL;
    for (const struct hvs_json *child = hvs_json_first(parent); child != NULL;
         child = hvs_json_next(parent, child))
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

const char *
hvs_json_get_string(const struct hvs_json *parent, const char *key)
{
    const struct hvs_json *value = hvs_json_get(parent, key);

    return value != NULL ? value->string : NULL;
}

uint64_t
hvs_json_get_number(const struct hvs_json *parent, const char *key)
{
    const struct hvs_json *value = hvs_json_get(parent, key);

    return value != NULL ? value->number : 0;
}

bool
hvs_json_get_bool(const struct hvs_json *parent, const char *key)
{
    const struct hvs_json *value = hvs_json_get(parent, key);

    return value != NULL && value->kind == HVS_JSON_TRUE;
}
