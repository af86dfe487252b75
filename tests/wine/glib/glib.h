/* As much of GLib as the unit tests of common/ use, in standard C: so that the same tests with the
 * same vectors run as Windows programs, where this build has no GLib. Names and behaviour are
 * GLib's; what is not here is not used. Running out of memory aborts. */
#ifndef HVS_TESTS_WINE_GLIB_H
#define HVS_TESTS_WINE_GLIB_H

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int           gboolean;
typedef unsigned char guchar;
typedef uint8_t       guint8;
typedef uint16_t      guint16;
typedef unsigned      guint;
typedef size_t        gsize;
typedef void         *gpointer;
typedef const void   *gconstpointer;

#define TRUE  1
#define FALSE 0
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))
#define G_N_ELEMENTS(a)  (sizeof(a) / sizeof((a)[0]))
#define G_GNUC_UNUSED    __attribute__((unused))

/* ---- failing ---- */

static inline void shim_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(gnu_printf, 3, 4), noreturn));

static inline void
shim_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    printf("Bail out! %s:%d: ", file, line);
    vprintf(format, arguments);
    printf("\n");
    fflush(stdout);
    exit(1);
}

#define g_error(...)            shim_fail(__FILE__, __LINE__, __VA_ARGS__)
#define g_assert_not_reached()  g_error("reached what must not be")
#define g_assert_true(condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            g_error("'%s' should be TRUE", #condition);                                            \
    } while (0)
#define g_assert_false(condition)                                                                  \
    do {                                                                                           \
        if (condition)                                                                             \
            g_error("'%s' should be FALSE", #condition);                                           \
    } while (0)
#define g_assert_null(pointer)    g_assert_true((pointer) == NULL)
#define g_assert_nonnull(pointer) g_assert_true((pointer) != NULL)
#define SHIM_COMPARE(type, format, a, op, b)                                                       \
    do {                                                                                           \
        type shim_a = (a), shim_b = (b);                                                           \
        if (!(shim_a op shim_b))                                                                   \
            g_error("assertion failed (%s): (" format " " #op " " format ")", #a " " #op " " #b,   \
                    shim_a, shim_b);                                                               \
    } while (0)
#define g_assert_cmpint(a, op, b)                                                                  \
    SHIM_COMPARE(long long, "%lld", (long long)(a), op, (long long)(b))
#define g_assert_cmpuint(a, op, b)                                                                 \
    SHIM_COMPARE(unsigned long long, "%llu", (unsigned long long)(a), op, (unsigned long long)(b))
#define g_assert_cmphex(a, op, b)                                                                  \
    SHIM_COMPARE(unsigned long long, "0x%llx", (unsigned long long)(a), op, (unsigned long long)(b))
#define g_assert_cmpstr(a, op, b)                                                                  \
    do {                                                                                           \
        const char *shim_a = (a), *shim_b = (b);                                                   \
        if (!(g_strcmp0(shim_a, shim_b) op 0))                                                     \
            g_error("assertion failed (%s): (\"%s\" " #op " \"%s\")", #a " " #op " " #b,           \
                    shim_a != NULL ? shim_a : "(null)", shim_b != NULL ? shim_b : "(null)");       \
    } while (0)

/* ---- memory ---- */

static inline gpointer
shim_allocate(gpointer old, gsize size)
{
    gpointer memory = realloc(old, size > 0 ? size : 1);

    if (memory == NULL)
        abort();
    return memory;
}

#define g_malloc(size)          shim_allocate(NULL, (size))
#define g_free(memory)          free(memory)
#define g_new0(type, count)     ((type *)memset(g_malloc(sizeof(type) * (count)), 0,               \
                                                sizeof(type) * (count)))
#define g_clear_pointer(at, destroy)                                                               \
    do {                                                                                           \
        if (*(at) != NULL)                                                                         \
            (destroy)(*(at));                                                                      \
        *(at) = NULL;                                                                              \
    } while (0)

static inline gpointer
g_memdup2(gconstpointer memory, gsize size)
{
    return memory != NULL && size > 0 ? memcpy(g_malloc(size), memory, size) : NULL;
}

static inline void
shim_autofree(void *at)
{
    free(*(void **)at);
}

#define g_autofree __attribute__((cleanup(shim_autofree)))
/* A type of its own, so that one declaration may name several. */
#define g_autoptr(type) __attribute__((cleanup(shim_autoptr_##type))) shim_pointer_##type
#define G_DEFINE_AUTOPTR_CLEANUP_FUNC(type, destroy)                                               \
    typedef type *shim_pointer_##type;                                                             \
    static inline G_GNUC_UNUSED void shim_autoptr_##type(type **at)                                \
    {                                                                                              \
        if (*at != NULL)                                                                           \
            destroy(*at);                                                                          \
    }

/* ---- text ---- */

static inline int
g_strcmp0(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return a == b ? 0 : a == NULL ? -1 : 1;
    return strcmp(a, b);
}

static inline char *
g_strdup_vprintf(const char *format, va_list arguments)
{
    va_list again;
    int length;
    char *string;

    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        abort();
    string = g_malloc((gsize)length + 1);
    vsnprintf(string, (gsize)length + 1, format, arguments);
    return string;
}

static inline char *g_strdup_printf(const char *format, ...)
    __attribute__((format(gnu_printf, 1, 2)));

static inline char *
g_strdup_printf(const char *format, ...)
{
    va_list arguments;
    char *string;

    va_start(arguments, format);
    string = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return string;
}

static inline char *
g_strdup(const char *string)
{
    return string != NULL ? g_memdup2(string, strlen(string) + 1) : NULL;
}

static inline char *
g_strnfill(gsize length, char c)
{
    char *string = memset(g_malloc(length + 1), c, length);

    string[length] = '\0';
    return string;
}

static inline char *
g_strconcat(const char *first, ...)
{
    char *all = g_strdup(first);
    gsize length = strlen(all);
    const char *next;
    va_list arguments;

    va_start(arguments, first);
    while ((next = va_arg(arguments, const char *)) != NULL) {
        gsize more = strlen(next);

        all = shim_allocate(all, length + more + 1);
        memcpy(all + length, next, more + 1);
        length += more;
    }
    va_end(arguments);
    return all;
}

static inline gboolean
g_str_has_prefix(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

static inline gboolean
g_str_has_suffix(const char *string, const char *suffix)
{
    gsize length = strlen(string), end = strlen(suffix);

    return length >= end && strcmp(string + length - end, suffix) == 0;
}

static inline gboolean
g_ascii_isxdigit(char c)
{
    return isxdigit((guchar)c) != 0;
}

static inline int
g_ascii_xdigit_value(char c)
{
    return isdigit((guchar)c) ? c - '0' : tolower((guchar)c) - 'a' + 10;
}

/* The bytes that follow the first one of a character, which has that many value bits; -1: none
 * begins so. */
static inline int
shim_utf8_more(guchar first, uint32_t *value)
{
    static const struct {
        guchar mask, mark;
    } kinds[] = { { 0x80, 0 }, { 0xe0, 0xc0 }, { 0xf0, 0xe0 }, { 0xf8, 0xf0 } };

    for (int i = 0; i < (int)G_N_ELEMENTS(kinds); i++)
        if ((first & kinds[i].mask) == kinds[i].mark) {
            *value = first & (guchar)~kinds[i].mask;
            return i;
        }
    return -1;
}

/* Of a whole string: length is -1, end NULL. */
static inline gboolean
g_utf8_validate(const char *string, int length, const char **end)
{
    static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };

    (void)length;
    (void)end;
    while (*string != '\0') {
        uint32_t value = 0;
        int more = shim_utf8_more((guchar)*string++, &value);

        if (more < 0)
            return FALSE;
        for (int i = 0; i < more; i++) {
            if (((guchar)*string & 0xc0) != 0x80)
                return FALSE;
            value = value << 6 | ((guchar)*string++ & 0x3f);
        }
        if (value < smallest[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return FALSE;
    }
    return TRUE;
}

typedef struct {
    char *str;
    gsize len;
} GString;

static inline void
g_string_append(GString *string, const char *more)
{
    gsize length = strlen(more);

    string->str = shim_allocate(string->str, string->len + length + 1);
    memcpy(string->str + string->len, more, length + 1);
    string->len += length;
}

static inline void
g_string_append_c(GString *string, char c)
{
    const char more[] = { c, '\0' };

    g_string_append(string, more);
}

static inline void g_string_append_printf(GString *string, const char *format, ...)
    __attribute__((format(gnu_printf, 2, 3)));

static inline void
g_string_append_printf(GString *string, const char *format, ...)
{
    va_list arguments;
    char *more;

    va_start(arguments, format);
    more = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_string_append(string, more);
    g_free(more);
}

static inline GString *
g_string_new(const char *initial)
{
    GString *string = g_new0(GString, 1);

    g_string_append(string, initial != NULL ? initial : "");
    return string;
}

static inline char *
g_string_free(GString *string, gboolean free_text)
{
    char *text = string->str;

    free(string);
    if (!free_text)
        return text;
    free(text);
    return NULL;
}

static inline void
shim_string_free(GString *string)
{
    g_string_free(string, TRUE);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GString, shim_string_free)

/* ---- bytes ---- */

typedef struct {
    guint8 *data;
    guint   len;
} GByteArray;

static inline GByteArray *
g_byte_array_new(void)
{
    return g_new0(GByteArray, 1);
}

static inline GByteArray *
g_byte_array_set_size(GByteArray *array, guint length)
{
    array->data = shim_allocate(array->data, length);
    array->len = length;
    return array;
}

static inline GByteArray *
g_byte_array_append(GByteArray *array, const guint8 *bytes, guint length)
{
    guint before = array->len;

    g_byte_array_set_size(array, before + length);
    if (length > 0)
        memcpy(array->data + before, bytes, length);
    return array;
}

static inline void
g_byte_array_unref(GByteArray *array)
{
    free(array->data);
    free(array);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GByteArray, g_byte_array_unref)

/* ---- a set of strings ---- */

typedef struct {
    gpointer items[256];
    guint    count;
} GHashTable;

#define g_str_hash  0
#define g_str_equal 0

static inline GHashTable *
g_hash_table_new(int hash, int equal)
{
    (void)hash;
    (void)equal;
    return g_new0(GHashTable, 1);
}

/* FALSE: it is there already. */
static inline gboolean
g_hash_table_add(GHashTable *table, gpointer string)
{
    for (guint i = 0; i < table->count; i++)
        if (strcmp(table->items[i], string) == 0)
            return FALSE;
    if (table->count == G_N_ELEMENTS(table->items))
        abort();
    table->items[table->count++] = string;
    return TRUE;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GHashTable, free)

/* ---- tests ---- */

typedef void (*GTestFunc)(void);
typedef void (*GTestDataFunc)(gconstpointer);

static struct {
    struct shim_test {
        char         *path;
        GTestFunc     function;
        GTestDataFunc data_function;
        gconstpointer data;
    } tests[2048];
    guint    count;
    uint32_t random; /* xorshift32 */
} shim = { .random = 2463534242u };

static inline void
g_test_init(int *count, char ***arguments, ...)
{
    (void)count;
    (void)arguments;
}

static inline struct shim_test *
shim_add(const char *path)
{
    if (shim.count == G_N_ELEMENTS(shim.tests))
        abort();
    shim.tests[shim.count].path = g_strdup(path);
    return &shim.tests[shim.count++];
}

static inline void
g_test_add_func(const char *path, GTestFunc function)
{
    shim_add(path)->function = function;
}

static inline void
g_test_add_data_func(const char *path, gconstpointer data, GTestDataFunc function)
{
    struct shim_test *test = shim_add(path);

    test->data_function = function;
    test->data = data;
}

static inline int
g_test_run(void)
{
    printf("1..%u\n", shim.count);
    for (guint i = 0; i < shim.count; i++) {
        if (shim.tests[i].function != NULL)
            shim.tests[i].function();
        else
            shim.tests[i].data_function(shim.tests[i].data);
        printf("ok %u %s\n", i + 1, shim.tests[i].path);
        free(shim.tests[i].path);
    }
    return 0;
}

static inline uint32_t
shim_random(void)
{
    shim.random ^= shim.random << 13;
    shim.random ^= shim.random >> 17;
    shim.random ^= shim.random << 5;
    return shim.random;
}

#define g_test_rand_bit() ((shim_random() >> 16 & 1) != 0)

static inline int
g_test_rand_int_range(int begin, int end)
{
    return begin + (int)(shim_random() % (uint32_t)(end - begin));
}

#endif
