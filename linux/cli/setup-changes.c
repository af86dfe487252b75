#include "setup-changes.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_DIRECTORY "/var/lib/hvsession"
#define STATE_FILE      STATE_DIRECTORY "/setup.state"
#define GENERAL         "hvsession"
#define VERSION         1
#define PERMISSIONS     07777

static const char *const kinds[] = {
    [HVS_CHANGE_ENABLE] = "enable", [HVS_CHANGE_START] = "start",
    [HVS_CHANGE_DIRECTORY] = "directory", [HVS_CHANGE_FILE] = "file",
    [HVS_CHANGE_GROUP] = "group",
};

struct hvs_changes {
    char     *root;
    gboolean  dry_run;
    int       lock;     /* the directory of the record; −1: it is not there yet */
    GArray   *recorded; /* struct hvs_change, which owns its strings */
    guint     passed;   /* at the end of those: undoing them has failed */
    struct hvs_change undone;
};

char *
hvs_changes_path(const hvs_changes *changes, const char *path)
{
    return g_build_filename(changes->root, path, NULL);
}

static void
clear_change(gpointer item)
{
    struct hvs_change *change = item;

    g_free((char *)change->target);
    g_free((char *)change->content);
    memset(change, 0, sizeof *change);
}

static struct hvs_change
copy_change(const struct hvs_change *change)
{
    struct hvs_change copy = *change;

    copy.target = g_strdup(change->target);
    copy.content = g_strdup(change->content);
    return copy;
}

static gboolean
fail(GError **error, const char *path)
{
    int number = errno;

    g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(number), "%s: %s", path,
                g_strerror(number));
    return FALSE;
}

/* ---- files ---- */

static char *
path_while_written(const char *path)
{
    return g_strconcat(path, ".new", NULL);
}

static gboolean
write_all(int fd, const char *text, gsize length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return FALSE;
        text += written;
        length -= (gsize)written;
    }
    return TRUE;
}

/* All of it or nothing, and on the disk. */
static gboolean
write_file(const char *path, const char *text, mode_t mode, GError **error)
{
    g_autofree char *new_path = path_while_written(path);
    int fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    gboolean written;

    if (fd < 0)
        return fail(error, new_path);
    written = write_all(fd, text, strlen(text)) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    if (close(fd) != 0 || !written)
        return fail(error, new_path);
    return rename(new_path, path) == 0 || fail(error, path);
}

/* And what an interrupted write_file() has left of it. */
static gboolean
remove_file(const char *path)
{
    g_autofree char *new_path = path_while_written(path);

    g_unlink(new_path);
    return g_unlink(path) == 0 || errno == ENOENT;
}

/* ---- systemctl ---- */

/* systemctl refuses to start anything in a tree other than the one that runs. */
static gboolean
run_systemctl(const hvs_changes *changes, const char *const *arguments, char **output,
              GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) command = NULL;
    g_autofree char *said = NULL, *printed = NULL;
    int status;

    g_strv_builder_add(builder, "systemctl");
    if (strcmp(changes->root, "/") != 0) {
        g_autofree char *option = g_strconcat("--root=", changes->root, NULL);

        g_strv_builder_add(builder, option);
    }
    g_strv_builder_addv(builder, (const char **)arguments);
    command = g_strv_builder_end(builder);
    if (!g_spawn_sync(NULL, command, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDIN_FROM_DEV_NULL, NULL,
                      NULL, &printed, &said, &status, error))
        return FALSE;
    if (output != NULL)
        *output = g_strdup(g_strchomp(printed));
    if (g_spawn_check_wait_status(status, NULL))
        return TRUE;
    g_strchomp(said);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
                said[0] != '\0' ? said : "systemctl has failed");
    return FALSE;
}

gboolean
hvs_changes_systemctl(const hvs_changes *changes, const char *const *arguments, GError **error)
{
    return run_systemctl(changes, arguments, NULL, error);
}

char *
hvs_changes_ask(const hvs_changes *changes, const char *query, const char *unit)
{
    const char *const arguments[] = { query, unit, NULL };
    char *output = NULL;

    /* It fails whenever the answer is no. */
    run_systemctl(changes, arguments, &output, NULL);
    return output != NULL ? output : g_strdup("");
}

gboolean
hvs_changes_is_running(const hvs_changes *changes)
{
    g_autofree char *path = hvs_changes_path(changes, "/run/systemd/system");

    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

static gboolean
change_unit(const hvs_changes *changes, const char *verb, const char *unit, GError **error)
{
    const char *const arguments[] = { verb, unit, NULL };

    return hvs_changes_systemctl(changes, arguments, error);
}

/* ---- the record ---- */

static void
write_change(GKeyFile *file, guint number, const struct hvs_change *change)
{
    g_autofree char *group = g_strdup_printf("Change %u", number);

    g_key_file_set_string(file, group, "Kind", kinds[change->kind]);
    g_key_file_set_string(file, group, "Target", change->target);
    if (change->kind == HVS_CHANGE_FILE)
        g_key_file_set_string(file, group, "Content", change->content);
    if (change->kind != HVS_CHANGE_GROUP)
        return;
    g_key_file_set_uint64(file, group, "OldGroup", change->old_group);
    g_key_file_set_uint64(file, group, "OldMode", change->old_mode);
    g_key_file_set_uint64(file, group, "Group", change->group);
    g_key_file_set_uint64(file, group, "Mode", change->mode);
}

static gboolean
read_number(GKeyFile *file, const char *group, const char *key, guint32 *number)
{
    g_autoptr(GError) error = NULL;
    guint64 value = g_key_file_get_uint64(file, group, key, &error);

    *number = (guint32)value;
    return error == NULL && value <= G_MAXUINT32;
}

/* Into change, which owns its strings, even on FALSE. */
static gboolean
read_change(GKeyFile *file, const char *group, struct hvs_change *change)
{
    g_autofree char *kind = g_key_file_get_string(file, group, "Kind", NULL);
    guint number = 0;

    while (number < G_N_ELEMENTS(kinds) && g_strcmp0(kind, kinds[number]) != 0)
        number++;
    change->kind = (enum hvs_change_kind)number;
    change->target = g_key_file_get_string(file, group, "Target", NULL);
    change->content = g_key_file_get_string(file, group, "Content", NULL);
    if (number == G_N_ELEMENTS(kinds) || change->target == NULL)
        return FALSE;
    if (change->kind == HVS_CHANGE_FILE)
        return change->content != NULL;
    return change->kind != HVS_CHANGE_GROUP ||
           (read_number(file, group, "OldGroup", &change->old_group) &&
            read_number(file, group, "OldMode", &change->old_mode) &&
            read_number(file, group, "Group", &change->group) &&
            read_number(file, group, "Mode", &change->mode));
}

static gboolean
load(hvs_changes *changes, GError **error)
{
    g_autofree char *path = hvs_changes_path(changes, STATE_FILE);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_auto(GStrv) groups = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, error)) {
        g_prefix_error(error, "%s: ", path);
        return FALSE;
    }
    if (g_key_file_get_integer(file, GENERAL, "Version", NULL) != VERSION) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s: written by another version of hvsession", path);
        return FALSE;
    }
    groups = g_key_file_get_groups(file, NULL);
    for (gsize i = 1; groups[i] != NULL; i++) {
        struct hvs_change change = { 0 };
        gboolean sound = read_change(file, groups[i], &change);

        g_array_append_val(changes->recorded, change);
        if (!sound) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: [%s] makes no sense",
                        path, groups[i]);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
save(hvs_changes *changes, GError **error)
{
    g_autofree char *path = hvs_changes_path(changes, STATE_FILE);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *text = NULL;

    g_key_file_set_integer(file, GENERAL, "Version", VERSION);
    g_key_file_set_comment(file, GENERAL, NULL,
                           " What hvsession setup has changed; hvsession setup --undo takes it "
                           "back.", NULL);
    for (guint i = 0; i < changes->recorded->len; i++)
        write_change(file, i + 1, &g_array_index(changes->recorded, struct hvs_change, i));
    text = g_key_file_to_data(file, NULL, NULL);
    /* No secret: what a dry run would still do, others may ask, too. */
    return write_file(path, text, 0644, error);
}

/* Keeps a second setup out, if the directory is there. */
static gboolean
lock(hvs_changes *changes, GError **error)
{
    g_autofree char *path = hvs_changes_path(changes, STATE_DIRECTORY);

    changes->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (changes->lock < 0)
        return errno == ENOENT ? TRUE : fail(error, path);
    if (flock(changes->lock, LOCK_EX | LOCK_NB) == 0)
        return TRUE;
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                        "another hvsession setup is at work; try again when it is done");
    return FALSE;
}

static gboolean
make_state_directory(hvs_changes *changes, GError **error)
{
    g_autofree char *path = hvs_changes_path(changes, STATE_DIRECTORY);

    if (changes->lock >= 0)
        return TRUE;
    if (g_mkdir(path, 0755) != 0 && errno != EEXIST)
        return fail(error, path);
    return lock(changes, error);
}

/* And the directory, which is for it alone. */
static void
remove_state(hvs_changes *changes)
{
    g_autofree char *path = hvs_changes_path(changes, STATE_FILE);
    g_autofree char *directory = hvs_changes_path(changes, STATE_DIRECTORY);

    remove_file(path);
    g_rmdir(directory);
}

hvs_changes *
hvs_changes_open(const char *root, gboolean dry_run, GError **error)
{
    g_autoptr(hvs_changes) changes = g_new0(hvs_changes, 1);

    changes->root = g_strdup(root);
    changes->dry_run = dry_run;
    changes->lock = -1;
    changes->recorded = g_array_new(FALSE, FALSE, sizeof(struct hvs_change));
    g_array_set_clear_func(changes->recorded, clear_change);
    if ((!dry_run && !lock(changes, error)) || !load(changes, error))
        return NULL;
    return g_steal_pointer(&changes);
}

void
hvs_changes_close(hvs_changes *changes)
{
    if (changes->lock >= 0)
        close(changes->lock);
    clear_change(&changes->undone);
    g_array_unref(changes->recorded);
    g_free(changes->root);
    g_free(changes);
}

guint
hvs_changes_count(const hvs_changes *changes)
{
    return changes->recorded->len;
}

static gboolean
is_recorded(const hvs_changes *changes, const struct hvs_change *change)
{
    for (guint i = 0; i < changes->recorded->len; i++) {
        const struct hvs_change *other =
            &g_array_index(changes->recorded, struct hvs_change, i);

        if (other->kind == change->kind && strcmp(other->target, change->target) == 0 &&
            g_strcmp0(other->content, change->content) == 0 && other->group == change->group &&
            other->mode == change->mode)
            return TRUE;
    }
    return FALSE;
}

/* ---- making ---- */

static gboolean
set_group(const char *path, guint32 group, guint32 mode, GError **error)
{
    /* In that order: changing the group may clear bits of the mode. */
    if (chown(path, (uid_t)-1, group) == 0 && chmod(path, mode) == 0)
        return TRUE;
    return fail(error, path);
}

static gboolean
make(const hvs_changes *changes, const struct hvs_change *change, GError **error)
{
    g_autofree char *path = hvs_changes_path(changes, change->target);

    switch (change->kind) {
    case HVS_CHANGE_ENABLE:
        return change_unit(changes, "enable", change->target, error);
    case HVS_CHANGE_START:
        return change_unit(changes, "start", change->target, error);
    case HVS_CHANGE_DIRECTORY:
        if (g_mkdir(path, 0755) != 0 && errno != EEXIST)
            return fail(error, path);
        /* Whatever the umask. */
        return chmod(path, 0755) == 0 || fail(error, path);
    case HVS_CHANGE_FILE:
        return write_file(path, change->content, 0644, error);
    case HVS_CHANGE_GROUP:
        return set_group(path, change->group, change->mode, error);
    }
    return FALSE;
}

gboolean
hvs_changes_make(hvs_changes *changes, const struct hvs_change *change, GError **error)
{
    if (changes->dry_run)
        return TRUE;
    if (!is_recorded(changes, change)) {
        struct hvs_change copy = copy_change(change);

        g_array_append_val(changes->recorded, copy);
        if (!make_state_directory(changes, error) || !save(changes, error))
            return FALSE;
    }
    return make(changes, change, error);
}

/* ---- undoing ---- */

static enum hvs_undo_result
result_of(gboolean done)
{
    return done ? HVS_UNDO_DONE : HVS_UNDO_FAILED;
}

static enum hvs_undo_result
undo_unit(const hvs_changes *changes, const struct hvs_change *change, GError **error)
{
    gboolean enabled = change->kind == HVS_CHANGE_ENABLE;
    g_autofree char *state =
        hvs_changes_ask(changes, enabled ? "is-enabled" : "is-active", change->target);

    if (!g_str_has_prefix(state, enabled ? "enabled" : "activ"))
        return HVS_UNDO_NOT_NEEDED;
    if (changes->dry_run)
        return HVS_UNDO_DONE;
    return result_of(change_unit(changes, enabled ? "disable" : "stop", change->target, error));
}

static enum hvs_undo_result
undo_directory(const hvs_changes *changes, const char *path, GError **error)
{
    if (!g_file_test(path, G_FILE_TEST_IS_DIR))
        return HVS_UNDO_NOT_NEEDED;
    if (changes->dry_run || g_rmdir(path) == 0)
        return HVS_UNDO_DONE;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return HVS_UNDO_KEPT;
    fail(error, path);
    return HVS_UNDO_FAILED;
}

static enum hvs_undo_result
undo_file(const hvs_changes *changes, const struct hvs_change *change, const char *path,
          GError **error)
{
    g_autofree char *content = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        if (!changes->dry_run)
            remove_file(path);
        return HVS_UNDO_NOT_NEEDED;
    }
    if (!g_file_get_contents(path, &content, NULL, error))
        return HVS_UNDO_FAILED;
    if (strcmp(content, change->content) != 0)
        return HVS_UNDO_KEPT;
    if (changes->dry_run || remove_file(path))
        return HVS_UNDO_DONE;
    fail(error, path);
    return HVS_UNDO_FAILED;
}

static enum hvs_undo_result
undo_group(const hvs_changes *changes, const struct hvs_change *change, const char *path,
           GError **error)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return HVS_UNDO_NOT_NEEDED;
    if (status.st_gid == change->old_group && (status.st_mode & PERMISSIONS) == change->old_mode)
        return HVS_UNDO_NOT_NEEDED;
    /* The group is set before the mode: setup may have ended in between. */
    if (status.st_gid != change->group || ((status.st_mode & PERMISSIONS) != change->mode &&
                                           (status.st_mode & PERMISSIONS) != change->old_mode))
        return HVS_UNDO_KEPT;
    return result_of(changes->dry_run ||
                     set_group(path, change->old_group, change->old_mode, error));
}

static enum hvs_undo_result
undo(const hvs_changes *changes, const struct hvs_change *change, GError **error)
{
    g_autofree char *path = hvs_changes_path(changes, change->target);

    switch (change->kind) {
    case HVS_CHANGE_ENABLE:
    case HVS_CHANGE_START:
        return undo_unit(changes, change, error);
    case HVS_CHANGE_DIRECTORY:
        return undo_directory(changes, path, error);
    case HVS_CHANGE_FILE:
        return undo_file(changes, change, path, error);
    case HVS_CHANGE_GROUP:
        return undo_group(changes, change, path, error);
    }
    return HVS_UNDO_FAILED;
}

gboolean
hvs_changes_undo_last(hvs_changes *changes, struct hvs_change *change,
                      enum hvs_undo_result *result, GError **error)
{
    guint last = changes->recorded->len - changes->passed;

    if (last == 0) {
        if (!changes->dry_run && changes->recorded->len == 0)
            remove_state(changes);
        return FALSE;
    }
    last--;
    clear_change(&changes->undone);
    changes->undone =
        copy_change(&g_array_index(changes->recorded, struct hvs_change, last));
    *change = changes->undone;
    *result = undo(changes, change, error);
    if (*result == HVS_UNDO_FAILED || changes->dry_run) {
        changes->passed++;
        return TRUE;
    }
    g_array_remove_index(changes->recorded, last);
    if (!save(changes, error))
        *result = HVS_UNDO_FAILED;
    return TRUE;
}
