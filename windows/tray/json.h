/* A small strict reader of JSON (RFC 8259), for documents of the hvsession service.
 *
 * The whole document is read at once, into values of the caller's; nothing is allocated, and the
 * strings stay in the document, which is changed for that. Not portable to everything JSON can say:
 * of numbers only whole ones that are not negative have their value.
 */
#ifndef HVS_WINDOWS_TRAY_JSON_H
#define HVS_WINDOWS_TRAY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hvs_json_kind {
    HVS_JSON_NULL,
    HVS_JSON_FALSE,
    HVS_JSON_TRUE,
    HVS_JSON_NUMBER,
    HVS_JSON_STRING,
    HVS_JSON_ARRAY,
    HVS_JSON_OBJECT,
};

/* One value. Those of an array or object follow it, each with all that is in it. */
struct hvs_json {
    enum hvs_json_kind kind;
    unsigned           size;   /* of this and all within, in values: 1 but for arrays, objects */
    const char        *key;    /* in an object; else NULL */
    const char        *string; /* unescaped, terminated; NULL but for strings */
    uint64_t           number; /* cut to a whole number; 0 if negative; at most UINT64_MAX */
};

/* Reads length bytes, which need not be terminated, but may be changed and must live as long as the
 * values. false: not JSON, more than count values, or arrays and objects within each other deeper
 * than HVS_JSON_DEPTH_MAX. Strings with a zero character in them are refused; that they are UTF-8
 * is not checked. */
#define HVS_JSON_DEPTH_MAX 16
bool hvs_json_read(char *document, size_t length, struct hvs_json *values, unsigned count);

/* Iterates over what is in an array or object: NULL at the end, and at once if it is neither.
 * NULL as parent is fine in all that follow, and means nothing is there. */
const struct hvs_json *hvs_json_first(const struct hvs_json *parent);
const struct hvs_json *hvs_json_next(const struct hvs_json *parent, const struct hvs_json *child);
/* NULL: parent is no object or has no such key. */
const struct hvs_json *hvs_json_get(const struct hvs_json *parent, const char *key);
/* What the key has, if it is of that kind; else NULL, 0 or false. */
const char *hvs_json_get_string(const struct hvs_json *parent, const char *key);
uint64_t hvs_json_get_number(const struct hvs_json *parent, const char *key);
bool hvs_json_get_bool(const struct hvs_json *parent, const char *key);

#endif
