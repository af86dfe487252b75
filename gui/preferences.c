#include "preferences.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>

#define GROUP         "tray"
#define NOTIFICATIONS "Notifications"

static char *
file_path(void)
{
    return g_build_filename(g_get_user_config_dir(), "hvsession", "tray.conf", NULL);
}

/* Whatever else is in the file stays; a file that is missing or broken says nothing. */
static GKeyFile *
load(void)
{
    g_autofree char *path = file_path();
    GKeyFile *file = g_key_file_new();

    g_key_file_load_from_file(file, path, G_KEY_FILE_KEEP_COMMENTS, NULL);
    return file;
}

gboolean
hvs_preferences_get_notifications(void)
{
    g_autoptr(GKeyFile) file = load();
    g_autoptr(GError) error = NULL;
    gboolean wanted = g_key_file_get_boolean(file, GROUP, NOTIFICATIONS, &error);

    return error != NULL || wanted;
}

gboolean
hvs_preferences_set_notifications(gboolean wanted, GError **error)
{
    g_autoptr(GKeyFile) file = load();
    g_autofree char *path = file_path();
    g_autofree char *directory = g_path_get_dirname(path);

    if (g_mkdir_with_parents(directory, 0700) != 0) {
        int reason = errno;

        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(reason), "%s: %s", directory,
                    g_strerror(reason));
        return FALSE;
    }
    g_key_file_set_boolean(file, GROUP, NOTIFICATIONS, wanted);
    return g_key_file_save_to_file(file, path, error);
}
