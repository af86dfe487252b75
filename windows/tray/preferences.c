#include "preferences.h"

#include "windows/wide.h"

#include <string.h>

#define KEY       L"Software\\hvsession"
#define RUN_KEY   L"Software\\Microsoft\\Windows\\CurrentVersion\\Run"
#define RUN_VALUE L"hvsession-tray"
#define REFUSED   L"StartWithWindows"

bool
hvs_preferences_get(const WCHAR *name, bool otherwise)
{
    DWORD value, size = sizeof value, type;
    bool result = otherwise;
    HKEY key;

    if (RegOpenKeyExW(HKEY_CURRENT_USER, KEY, 0, KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return otherwise;
    if (RegQueryValueExW(key, name, NULL, &type, (BYTE *)&value, &size) == ERROR_SUCCESS &&
        type == REG_DWORD && size == sizeof value)
        result = value != 0;
    RegCloseKey(key);
    return result;
}

void
hvs_preferences_set(const WCHAR *name, bool value)
{
    DWORD stored = value;
    HKEY key;

    if (RegCreateKeyExW(HKEY_CURRENT_USER, KEY, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL) !=
        ERROR_SUCCESS)
        return;
    RegSetValueExW(key, name, 0, REG_DWORD, (const BYTE *)&stored, sizeof stored);
    RegCloseKey(key);
}

void
hvs_preferences_get_string(const WCHAR *name, WCHAR *value, DWORD size)
{
    DWORD bytes = (size - 1) * (DWORD)sizeof *value, type;
    HKEY key;

    /* Stored strings need not end with a zero. */
    memset(value, 0, size * sizeof *value);
    if (RegOpenKeyExW(HKEY_CURRENT_USER, KEY, 0, KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return;
    if (RegQueryValueExW(key, name, NULL, &type, (BYTE *)value, &bytes) != ERROR_SUCCESS ||
        type != REG_SZ)
        value[0] = L'\0';
    RegCloseKey(key);
}

/* ---- starting with Windows ---- */

static bool
has_entry(HKEY root)
{
    bool has;
    HKEY key;

    if (RegOpenKeyExW(root, RUN_KEY, 0, KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return false;
    has = RegQueryValueExW(key, RUN_VALUE, NULL, NULL, NULL, NULL) == ERROR_SUCCESS;
    RegCloseKey(key);
    return has;
}

bool
hvs_preferences_starts_with_windows(void)
{
    return (has_entry(HKEY_CURRENT_USER) || has_entry(HKEY_LOCAL_MACHINE)) &&
           hvs_preferences_get(REFUSED, true);
}

static void
set_entry(bool value)
{
    WCHAR program[MAX_PATH], command[MAX_PATH + 32];
    DWORD length = GetModuleFileNameW(NULL, program, ARRAYSIZE(program));
    HKEY key;

    if (RegCreateKeyExW(HKEY_CURRENT_USER, RUN_KEY, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL) !=
        ERROR_SUCCESS)
        return;
    if (!value) {
        RegDeleteValueW(key, RUN_VALUE);
    } else if (length > 0 && length < ARRAYSIZE(program)) {
        hvs_wide_format(command, ARRAYSIZE(command), L"\"%ls\" --background", program);
        RegSetValueExW(key, RUN_VALUE, 0, REG_SZ, (const BYTE *)command,
                       ((DWORD)wcslen(command) + 1) * (DWORD)sizeof *command);
    }
    RegCloseKey(key);
}

void
hvs_preferences_set_start_with_windows(bool value)
{
    hvs_preferences_set(REFUSED, value);
    set_entry(value && !has_entry(HKEY_LOCAL_MACHINE));
}
