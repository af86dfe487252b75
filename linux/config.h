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

#endif
