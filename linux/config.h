/* The daemon's configuration: a key file and its drop-ins, judged by common/settings.
 *
 *     # /etc/hvsession/hvsession.conf
 *     [hvsession]
 *     Server=tcp:127.0.0.1:3389
 *
 * Drop-ins are the files conf.d/NAME.conf beside the main file, in the order of their names; a
 * later file overrides an earlier one. Names that begin with a dot are passed over. A link to
 * /dev/null counts as an empty file. Within one file a setting stands once.
 */
#ifndef HVS_LINUX_CONFIG_H
#define HVS_LINUX_CONFIG_H

#include "roots.h"

#include "common/settings.h"

#include <glib.h>

/* Files above this many bytes are refused. */
#define HVS_CONFIG_FILE_MAX (1024 * 1024)

#define HVS_CONFIG_ERROR (hvs_config_error_quark())
GQuark hvs_config_error_quark(void);
enum hvs_config_error {
    HVS_CONFIG_ERROR_MISSING,    /* the main file had to exist */
    HVS_CONFIG_ERROR_UNREADABLE, /* a file or conf.d cannot be read, or is not what it should be */
    HVS_CONFIG_ERROR_SYNTAX,     /* not a key file, or not UTF-8 text */
    HVS_CONFIG_ERROR_SETTING,    /* unknown group or key, a key twice, a bad value */
};

/* hvsession/hvsession.conf under roots->etc. Free with g_free(). */
char *hvs_config_default_path(const struct hvs_roots *roots);

/* Loads path and its drop-ins: settings are the defaults, and what the files say. A missing main
 * file is an error only if must_exist; a missing conf.d never is.
 *
 * All or nothing: on FALSE settings is as it was. The error's message is one line for people that
 * begins with the file and, where there is one, the line:
 *     /etc/hvsession/hvsession.conf:7: Sever: no such setting; did you mean Server? */
gboolean hvs_config_load(const char *path, gboolean must_exist, struct hvs_settings *settings,
                         GError **error);
/* The same; origins (const struct hvs_setting * to char *, both kept by it) gets "PATH:LINE" of
 * every setting that a file sets. On FALSE it holds those that were read before. */
gboolean hvs_config_load_with_origins(const char *path, gboolean must_exist,
                                      struct hvs_settings *settings, GHashTable *origins,
                                      GError **error);

/* The drop-in that belongs to hvsession config, a name in conf.d. */
#define HVS_CONFIG_OWN_DROP_IN "90-hvsession-config.conf"

/* Sets key in that drop-in beside path, or takes it out (value NULL); the drop-in is made when it is
 * needed, and removed with its last setting. Nothing is checked. Errors are of G_FILE_ERROR and
 * G_IO_ERROR, or of HVS_CONFIG_ERROR if the drop-in is not a key file; the drop-in is as it was
 * then. *was_set, if not NULL: it had the key. */
gboolean hvs_config_edit(const char *path, const char *key, const char *value, gboolean *was_set,
                         GError **error);

#endif
