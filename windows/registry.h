/* The settings in the registry, judged by common/settings:
 *
 *     HKLM\SYSTEM\CurrentControlSet\Services\HvSession\Parameters
 *         Server            REG_SZ   "tcp:127.0.0.1:3389"
 *         ServerTimeout     REG_SZ   "15 s", or REG_DWORD seconds
 *         …
 *
 * What is not there has its default. Always the 64-bit view, so that the two builds agree.
 */
#ifndef HVS_WINDOWS_REGISTRY_H
#define HVS_WINDOWS_REGISTRY_H

#include "common/settings.h"

#include <windows.h>

#define HVS_REGISTRY_SERVICE    L"SYSTEM\\CurrentControlSet\\Services\\HvSession"
#define HVS_REGISTRY_PARAMETERS HVS_REGISTRY_SERVICE L"\\Parameters"

/* Bytes that hold any value in print. */
#define HVS_REGISTRY_TEXT_MAX 6144
/* Bytes that hold any message of this module. */
#define HVS_REGISTRY_MESSAGE_MAX (HVS_SETTINGS_MESSAGE_MAX + 200)

/* settings are the defaults, and what the registry says. All or nothing: on an error settings is as
 * it was, and message gets one line for people. ERROR_INVALID_DATA: an unknown setting or a bad
 * value. Other errors: of the system. A missing key is none. */
DWORD hvs_registry_load(struct hvs_settings *settings, struct hvs_text *message);

/* The value of one setting as it is stored, into value. ERROR_FILE_NOT_FOUND: it is not stored. */
DWORD hvs_registry_get(const struct hvs_setting *setting, struct hvs_text *value);
/* Stores a setting, in its canonical form. ERROR_INVALID_DATA: message says what is wrong with it,
 * nothing is changed. ERROR_ACCESS_DENIED: not an administrator. ERROR_FILE_NOT_FOUND: the service
 * is not installed. */
DWORD hvs_registry_set(const struct hvs_setting *setting, const char *value,
                       struct hvs_text *message);
/* Back to the default. The key goes with its last value. ERROR_SUCCESS, too, if it was not stored.
 */
DWORD hvs_registry_unset(const struct hvs_setting *setting);

/* ---- any other key below HKEY_LOCAL_MACHINE ---- */

bool hvs_registry_has_key(const WCHAR *path);
/* Adds a string, nothing if there is none. */
void hvs_registry_read_string(const WCHAR *path, const WCHAR *name, struct hvs_text *out);

/* ---- changes ---- */

/* Tells of changes of the settings. */
struct hvs_registry_watch {
    HKEY   key;
    HANDLE changed; /* auto-reset event; call hvs_registry_watch_again() when it is signalled */
};
/* The service's key has to be there: ERROR_FILE_NOT_FOUND if it is not, in console mode without an
 * installed service; then changed is NULL. */
DWORD hvs_registry_watch_begin(struct hvs_registry_watch *watch);
DWORD hvs_registry_watch_again(struct hvs_registry_watch *watch);
/* Safe on a zeroed struct. */
void hvs_registry_watch_end(struct hvs_registry_watch *watch);

#endif
