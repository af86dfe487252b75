#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP             "hvsession"
#define DROP_IN_DIRECTORY "conf.d"
#define DROP_IN_SUFFIX    ".conf"

/* Not G_DEFINE_QUARK: clang-format takes its hyphens for minus signs. */
GQuark
hvs_config_error_quark(void)
{
    return g_quark_from_static_string("hvs-config-error-quark");
}

char *
hvs_config_default_path(const struct hvs_roots *roots)
{
    return g_build_filename(roots->etc, "hvsession", "hvsession.conf", NULL);
}

/* "PATH: what is wrong" or "PATH:LINE: what is wrong"; line 0: none. Gives FALSE. */
static gboolean G_GNUC_PRINTF(5, 6) fail(GError **error, enum hvs_config_error code,
                                         const char *path, guint line, const char *format, ...)
{
    g_autofree char *name = g_filename_display_name(path);
    g_autofree char *what = NULL;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (line > 0)
        g_set_error(error, HVS_CONFIG_ERROR, (gint)code, "%s:%u: %s", name, line, what);
    else
        g_set_error(error, HVS_CONFIG_ERROR, (gint)code, "%s: %s", name, what);
    return FALSE;
}

/* Of a line that is quoted in a message, in bytes. */
#define EXCERPT_SIZE 61

/* The beginning of a line, fit for a terminal. */
static const char *
make_excerpt(const char *line, char excerpt[EXCERPT_SIZE])
{
    struct hvs_text text;

    hvs_text_init(&text, excerpt, EXCERPT_SIZE);
    hvs_text_add_visible(&text, line);
    return excerpt;
}

/* Files */

/* The whole of an open file; at most one byte more than is allowed. */
static gboolean
read_all(int fd, const char *path, GString *text, GError **error)
{
    char buffer[16 * 1024];
    ssize_t n;

    do {
        n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno != EINTR)
            return fail(error, HVS_CONFIG_ERROR_UNREADABLE, path, 0, "cannot be read: %s",
                        g_strerror(errno));
        if (n > 0)
            g_string_append_len(text, buffer, n);
        if (text->len > HVS_CONFIG_FILE_MAX)
            return fail(error, HVS_CONFIG_ERROR_UNREADABLE, path, 0, "is larger than 1 MiB");
    } while (n != 0);
    return TRUE;
}

/* Devices are let in for the sake of /dev/null, which is how an administrator masks a drop-in. */
static gboolean
read_open_file(int fd, const char *path, GString *text, GError **error)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return fail(error, HVS_CONFIG_ERROR_UNREADABLE, path, 0, "cannot be read: %s",
                    g_strerror(errno));
    if (S_ISDIR(status.st_mode))
        return fail(error, HVS_CONFIG_ERROR_UNREADABLE, path, 0, "is a directory, not a file");
    if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
        return fail(error, HVS_CONFIG_ERROR_UNREADABLE, path, 0, "is not a regular file");
    return read_all(fd, path, text, error);
}

/* *text: NULL if the file is missing and may be. */
static gboolean
read_file(const char *path, gboolean must_exist, GString **text, GError **error)
{
    /* Without blocking: the path may name a pipe that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *text = NULL;
    if (fd < 0 && errno == ENOENT) {
        if (!must_exist)
            return TRUE;
        return fail(error, HVS_CONFIG_ERROR_MISSING, path, 0, "there is no such file");
    }
    if (fd < 0)
        return fail(error, HVS_CONFIG_ERROR_UNREADABLE, path, 0, "cannot be opened: %s",
                    g_strerror(errno));

    GString *read = g_string_new(NULL);
    gboolean done = read_open_file(fd, path, read, error);
    close(fd);
    if (!done) {
        g_string_free(read, TRUE);
        return FALSE;
    }
    *text = read;
    return TRUE;
}

/* Lines */

/* The line that begins at *position, without what ends it; NULL behind the last one. */
static char *
next_line(const char *text, gsize *position)
{
    const char *begin = text + *position;
    const char *end;

    if (*begin == '\0')
        return NULL;
    end = strchr(begin, '\n');
    if (end == NULL)
        end = begin + strlen(begin);
    *position += (gsize)(end - begin) + (*end == '\n' ? 1 : 0);
    return g_strstrip(g_strndup(begin, (gsize)(end - begin)));
}

static guint
count_lines(const char *text, gsize length)
{
    guint lines = 1;

    for (gsize i = 0; i < length; i++)
        if (text[i] == '\n')
            lines++;
    return lines;
}

/* Editors on Windows begin a file with U+FEFF; GKeyFile takes it for a part of the first line. */
static void
drop_byte_order_mark(GString *text)
{
    static const char mark[] = "\xef\xbb\xbf";

    if (g_str_has_prefix(text->str, mark))
        g_string_erase(text, 0, sizeof mark - 1);
}

static gboolean
check_encoding(const char *path, const GString *text, GError **error)
{
    const char *end;

    /* Zero bytes are not valid either, with a length given. */
    if (g_utf8_validate(text->str, (gssize)text->len, &end))
        return TRUE;
    return fail(error, HVS_CONFIG_ERROR_SYNTAX, path,
                count_lines(text->str, (gsize)(end - text->str)), "this is not UTF-8 text");
}

/* Syntax */

static gboolean
lines_parse(const char *text, gsize length)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();

    return g_key_file_load_from_data(keys, text, length, G_KEY_FILE_NONE, NULL);
}

/* Where line (counted from 1) begins; the length of text if it has fewer. */
static gsize
line_offset(const char *text, guint line)
{
    const char *at = text;

    for (guint i = 1; i < line; i++) {
        const char *feed = strchr(at, '\n');

        if (feed == NULL)
            return strlen(text);
        at = feed + 1;
    }
    return (gsize)(at - text);
}

/* GKeyFile stops at the first line that it does not understand, and does not say which. It is the
 * last line of the shortest text that it refuses. */
static guint
find_syntax_error(const GString *text)
{
    guint good = 0; /* so many lines parse */
    guint bad = count_lines(text->str, text->len);

    while (bad - good > 1) {
        guint middle = good + (bad - good) / 2;

        if (lines_parse(text->str, line_offset(text->str, middle + 1)))
            good = middle;
        else
            bad = middle;
    }
    return bad;
}

static gboolean
fail_syntax(const char *path, const GString *text, const GError *cause, GError **error)
{
    guint line = find_syntax_error(text);
    gsize position = line_offset(text->str, line);
    g_autofree char *content = next_line(text->str, &position);
    char excerpt[EXCERPT_SIZE];

    if (g_error_matches(cause, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND))
        return fail(error, HVS_CONFIG_ERROR_SYNTAX, path, line,
                    "a setting before the first group; put [" GROUP "] above it");
    if (g_error_matches(cause, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE))
        return fail(error, HVS_CONFIG_ERROR_SYNTAX, path, line,
                    "\"%s\" is not a setting (Key=value), a group ([" GROUP "]) or a comment (#)",
                    make_excerpt(content != NULL ? content : "", excerpt));
    return fail(error, HVS_CONFIG_ERROR_SYNTAX, path, line, "%s", cause->message);
}

/* Settings */

/* One file while it is gone through. */
struct reading {
    const char *path;
    GKeyFile *keys;
    struct hvs_settings *settings;
    GHashTable *origins; /* NULL: nobody wants them */
    guint line;
    GHashTable *seen; /* const struct hvs_setting * → its line */
};

static gboolean
check_group(const struct reading *reading, const char *line, GError **error)
{
    char excerpt[EXCERPT_SIZE];

    if (strcmp(line, "[" GROUP "]") == 0)
        return TRUE;
    return fail(error, HVS_CONFIG_ERROR_SETTING, reading->path, reading->line,
                "%s: no such group; settings belong in [" GROUP "]", make_excerpt(line, excerpt));
}

static gboolean
check_once(const struct reading *reading, const struct hvs_setting *setting, GError **error)
{
    guint before = GPOINTER_TO_UINT(g_hash_table_lookup(reading->seen, setting));

    if (before != 0)
        return fail(error, HVS_CONFIG_ERROR_SETTING, reading->path, reading->line,
                    "%s: set twice in this file, in line %u as well", setting->key, before);
    g_hash_table_insert(reading->seen, (gpointer)setting, GUINT_TO_POINTER(reading->line));
    return TRUE;
}

static gboolean
take_setting(const struct reading *reading, const char *key, GError **error)
{
    const struct hvs_setting *setting = hvs_settings_find(key, HVS_ON_LINUX);
    g_autoptr(GError) cause = NULL;
    g_autofree char *value = NULL;
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text message;

    if (setting != NULL) {
        if (!check_once(reading, setting, error))
            return FALSE;
        /* With a wrong escape there is a value all the same. */
        value = g_key_file_get_string(reading->keys, GROUP, key, &cause);
        if (cause != NULL)
            return fail(error, HVS_CONFIG_ERROR_SETTING, reading->path, reading->line,
                        "%s: a backslash stands only in \\s, \\t, \\n, \\r and \\\\", setting->key);
    }
    hvs_text_init(&message, buffer, sizeof buffer);
    if (hvs_settings_set(reading->settings, HVS_ON_LINUX, key, value != NULL ? value : "",
                         &message) != HVS_SETTINGS_OK)
        return fail(error, HVS_CONFIG_ERROR_SETTING, reading->path, reading->line, "%s", buffer);
    if (reading->origins != NULL)
        g_hash_table_insert(reading->origins, (gpointer)setting,
                            g_strdup_printf("%s:%u", reading->path, reading->line));
    return TRUE;
}

/* The text is a key file, so that every line is one of four things. */
static gboolean
take_line(const struct reading *reading, const char *line, GError **error)
{
    const char *equals = strchr(line, '=');

    if (line[0] == '\0' || line[0] == '#')
        return TRUE;
    if (line[0] == '[')
        return check_group(reading, line, error);
    g_autofree char *key = g_strchomp(g_strndup(line, (gsize)(equals - line)));
    return take_setting(reading, key, error);
}

static gboolean
take_text(const char *path, const GString *text, struct hvs_settings *settings, GHashTable *origins,
          GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autoptr(GError) cause = NULL;
    struct reading reading = { path, keys, settings, origins, 0, seen };
    gsize position = 0;

    if (!check_encoding(path, text, error))
        return FALSE;
    if (!g_key_file_load_from_data(keys, text->str, text->len, G_KEY_FILE_NONE, &cause))
        return fail_syntax(path, text, cause, error);
    for (;;) {
        g_autofree char *line = next_line(text->str, &position);

        if (line == NULL)
            return TRUE;
        reading.line++;
        if (!take_line(&reading, line, error))
            return FALSE;
    }
}

static gboolean
take_file(const char *path, gboolean must_exist, struct hvs_settings *settings, GHashTable *origins,
          GError **error)
{
    GString *text;
    gboolean done;

    if (!read_file(path, must_exist, &text, error))
        return FALSE;
    if (text == NULL)
        return TRUE;
    drop_byte_order_mark(text);
    done = take_text(path, text, settings, origins, error);
    g_string_free(text, TRUE);
    return done;
}

/* Drop-ins */

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the drop-ins in order. NULL: directory cannot be read. */
static GPtrArray *
list_drop_ins(const char *directory, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    DIR *listing = opendir(directory);
    int failure = listing != NULL ? 0 : errno;

    if (failure == ENOENT)
        return g_steal_pointer(&names);
    if (listing != NULL) {
        const struct dirent *entry;

        while (errno = 0, (entry = readdir(listing)) != NULL)
            if (entry->d_name[0] != '.' && g_str_has_suffix(entry->d_name, DROP_IN_SUFFIX))
                g_ptr_array_add(names, g_strdup(entry->d_name));
        failure = errno;
        closedir(listing);
    }
    if (failure != 0) {
        fail(error, HVS_CONFIG_ERROR_UNREADABLE, directory, 0, "cannot be read: %s",
             g_strerror(failure));
        return NULL;
    }
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

static gboolean
take_drop_ins(const char *main_path, struct hvs_settings *settings, GHashTable *origins,
              GError **error)
{
    g_autofree char *parent = g_path_get_dirname(main_path);
    g_autofree char *directory = g_build_filename(parent, DROP_IN_DIRECTORY, NULL);
    g_autoptr(GPtrArray) names = list_drop_ins(directory, error);

    if (names == NULL)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(directory, names->pdata[i], NULL);

        if (!take_file(path, TRUE, settings, origins, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
hvs_config_load_with_origins(const char *path, gboolean must_exist, struct hvs_settings *settings,
                             GHashTable *origins, GError **error)
{
    struct hvs_settings loaded;

    hvs_settings_init(&loaded);
    if (!take_file(path, must_exist, &loaded, origins, error) ||
        !take_drop_ins(path, &loaded, origins, error))
        return FALSE;
    *settings = loaded;
    return TRUE;
}

gboolean
hvs_config_load(const char *path, gboolean must_exist, struct hvs_settings *settings,
                GError **error)
{
    return hvs_config_load_with_origins(path, must_exist, settings, NULL, error);
}

/* The drop-in of hvsession config */

/* What is written above its settings. */
static const char own_comment[] = " Written by hvsession config; whatever else stands here stays.";

/* An empty one if there is none yet. */
static gboolean
load_own(const char *path, GKeyFile *keys, GError **error)
{
    GString *text;
    g_autoptr(GError) cause = NULL;
    gboolean done;

    if (!read_file(path, FALSE, &text, error))
        return FALSE;
    if (text == NULL)
        return TRUE;
    drop_byte_order_mark(text);
    done = g_key_file_load_from_data(keys, text->str, text->len, G_KEY_FILE_KEEP_COMMENTS, &cause);
    if (!done)
        fail_syntax(path, text, cause, error);
    g_string_free(text, TRUE);
    return done;
}

/* However it is spelt there; NULL: it is not there. */
static char *
find_own_key(GKeyFile *keys, const char *key)
{
    g_auto(GStrv) names = g_key_file_get_keys(keys, GROUP, NULL, NULL);

    for (gsize i = 0; names != NULL && names[i] != NULL; i++)
        if (g_ascii_strcasecmp(names[i], key) == 0)
            return g_strdup(names[i]);
    return NULL;
}

static gboolean
has_own_keys(GKeyFile *keys)
{
    g_auto(GStrv) names = g_key_file_get_keys(keys, GROUP, NULL, NULL);

    return names != NULL && names[0] != NULL;
}

/* G_FILE_ERROR with what was tried. */
static gboolean
fail_file(GError **error, const char *path, const char *what)
{
    int number = errno;
    g_autofree char *name = g_filename_display_name(path);

    g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(number), "%s: %s: %s", name,
                what, g_strerror(number));
    return FALSE;
}

static gboolean
store_own(const char *path, GKeyFile *keys, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autofree char *text = NULL;
    gsize length;

    if (!has_own_keys(keys)) {
        if (unlink(path) == 0 || errno == ENOENT)
            return TRUE;
        return fail_file(error, path, "cannot be removed");
    }
    if (g_mkdir_with_parents(directory, 0755) != 0)
        return fail_file(error, directory, "cannot be made");
    text = g_key_file_to_data(keys, &length, NULL);
    /* By renaming: whoever reads it meanwhile reads the old one or the new one. */
    return g_file_set_contents_full(path, text, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT,
                                    0644, error);
}

gboolean
hvs_config_edit(const char *path, const char *key, const char *value, gboolean *was_set,
                GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *own =
        g_build_filename(parent, DROP_IN_DIRECTORY, HVS_CONFIG_OWN_DROP_IN, NULL);
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autofree char *found = NULL;

    if (!load_own(own, keys, error))
        return FALSE;
    found = find_own_key(keys, key);
    if (was_set != NULL)
        *was_set = found != NULL;
    if (value == NULL && found == NULL)
        return TRUE;
    if (found != NULL && value == NULL) {
        g_key_file_remove_key(keys, GROUP, found, NULL);
    } else {
        g_autofree char *comment = g_key_file_get_comment(keys, NULL, NULL, NULL);

        g_key_file_set_string(keys, GROUP, found != NULL ? found : key, value);
        if (comment == NULL)
            g_key_file_set_comment(keys, NULL, NULL, own_comment, NULL);
    }
    return store_own(own, keys, error);
}
