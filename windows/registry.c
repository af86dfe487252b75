#include "registry.h"

#include "wide.h"

#include <string.h>

#define VIEW KEY_WOW64_64KEY

/* Names of settings are a few dozen characters, values a list of servers at most. */
#define NAME_MAX_CHARACTERS  256
/* Of UTF-8: a character of UTF-16 becomes at most three bytes. */
#define NAME_MAX_BYTES       (NAME_MAX_CHARACTERS * 3)
#define VALUE_MAX_BYTES      HVS_REGISTRY_TEXT_MAX
#define VALUE_MAX_CHARACTERS (VALUE_MAX_BYTES / 3)

struct value {
    DWORD type;
    DWORD size; /* bytes */
    WCHAR data[VALUE_MAX_CHARACTERS];
};

static DWORD
open_parameters(REGSAM access, HKEY *key)
{
    return (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, HVS_REGISTRY_PARAMETERS, 0, access | VIEW,
                                key);
}

/* Strings in the registry need not be terminated. */
static DWORD
print_value(const struct value *value, struct hvs_text *out)
{
    DWORD number;
    size_t length = 0;

    switch (value->type) {
    case REG_SZ:
    case REG_EXPAND_SZ:
        while (length < value->size / sizeof(WCHAR) && value->data[length] != L'\0')
            length++;
        hvs_wide_add(out, value->data, length);
        return ERROR_SUCCESS;
    case REG_DWORD:
        if (value->size != sizeof number)
            return ERROR_INVALID_DATA;
        memcpy(&number, value->data, sizeof number);
        hvs_text_add_u64(out, number);
        return ERROR_SUCCESS;
    default:
        return ERROR_INVALID_DATA;
    }
}

static void
complain(struct hvs_text *message, const char *name, const char *what)
{
    hvs_text_add(message, "HKLM\\SYSTEM\\CurrentControlSet\\Services\\HvSession\\Parameters: ");
    if (name != NULL) {
        hvs_text_add_visible(message, name);
        hvs_text_add(message, ": ");
    }
    hvs_text_add(message, what);
}

static DWORD
load_value(struct hvs_settings *settings, const char *name, const struct value *value,
           struct hvs_text *message)
{
    char string[VALUE_MAX_BYTES], why[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text text, reason;

    hvs_text_init(&text, string, sizeof string);
    hvs_text_init(&reason, why, sizeof why);
    if (print_value(value, &text) != ERROR_SUCCESS) {
        complain(message, name, "has to be a string (REG_SZ)");
        return ERROR_INVALID_DATA;
    }
    if (hvs_settings_set(settings, HVS_ON_WINDOWS, name, string, &reason) == HVS_SETTINGS_OK)
        return ERROR_SUCCESS;
    complain(message, NULL, why);
    return ERROR_INVALID_DATA;
}

/* ERROR_NO_MORE_ITEMS: index is behind the last value. */
static DWORD
load_value_at(HKEY key, DWORD index, struct hvs_settings *settings, struct hvs_text *message)
{
    struct value value = { .size = sizeof value.data };
    WCHAR wide_name[NAME_MAX_CHARACTERS];
    DWORD name_length = ARRAYSIZE(wide_name);
    char name[NAME_MAX_BYTES];
    DWORD error = (DWORD)RegEnumValueW(key, index, wide_name, &name_length, NULL, &value.type,
                                       (BYTE *)value.data, &value.size);

    if (error == ERROR_MORE_DATA) {
        complain(message, NULL, "a name or value is too long to be a setting");
        return ERROR_INVALID_DATA;
    }
    if (error != ERROR_SUCCESS)
        return error;
    hvs_wide_to_utf8(wide_name, name, sizeof name);
    return load_value(settings, name, &value, message);
}

DWORD
hvs_registry_load(struct hvs_settings *settings, struct hvs_text *message)
{
    struct hvs_settings loaded;
    HKEY key;
    DWORD error = open_parameters(KEY_QUERY_VALUE, &key);

    hvs_settings_init(&loaded);
    if (error == ERROR_SUCCESS) {
        for (DWORD i = 0; error == ERROR_SUCCESS; i++)
            error = load_value_at(key, i, &loaded, message);
        RegCloseKey(key);
    }
    if (error != ERROR_NO_MORE_ITEMS && error != ERROR_FILE_NOT_FOUND) {
        if (error != ERROR_INVALID_DATA) {
            complain(message, NULL, "");
            hvs_wide_add_error(message, error);
        }
        return error;
    }
    *settings = loaded;
    return ERROR_SUCCESS;
}

DWORD
hvs_registry_get(const struct hvs_setting *setting, struct hvs_text *value)
{
    struct value stored = { .size = sizeof stored.data };
    WCHAR name[NAME_MAX_CHARACTERS];
    HKEY key;
    DWORD error;

    hvs_wide_from_utf8(setting->key, name, ARRAYSIZE(name));
    error = open_parameters(KEY_QUERY_VALUE, &key);
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegQueryValueExW(key, name, NULL, &stored.type, (BYTE *)stored.data,
                                    &stored.size);
    RegCloseKey(key);
    return error == ERROR_SUCCESS ? print_value(&stored, value) : error;
}

DWORD
hvs_registry_set(const struct hvs_setting *setting, const char *value, struct hvs_text *message)
{
    WCHAR name[NAME_MAX_CHARACTERS], wide[VALUE_MAX_CHARACTERS];
    char canonical[VALUE_MAX_BYTES];
    struct hvs_settings settings;
    struct hvs_text text;
    HKEY service, key;
    DWORD error;

    hvs_settings_init(&settings);
    if (hvs_settings_set(&settings, HVS_ON_WINDOWS, setting->key, value, message) !=
        HVS_SETTINGS_OK)
        return ERROR_INVALID_DATA;
    hvs_text_init(&text, canonical, sizeof canonical);
    hvs_settings_print(&settings, setting, &text);
    hvs_wide_from_utf8(setting->key, name, ARRAYSIZE(name));
    hvs_wide_from_utf8(canonical, wide, ARRAYSIZE(wide));
    error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, HVS_REGISTRY_SERVICE, 0,
                                 KEY_CREATE_SUB_KEY | VIEW, &service);
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegCreateKeyExW(service, L"Parameters", 0, NULL, 0, KEY_SET_VALUE | VIEW, NULL,
                                   &key, NULL);
    RegCloseKey(service);
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegSetValueExW(key, name, 0, REG_SZ, (const BYTE *)wide,
                                  (DWORD)((wcslen(wide) + 1) * sizeof(WCHAR)));
    RegCloseKey(key);
    return error;
}

/* The registry shall be as it was before the first setting. */
static DWORD
delete_if_empty(HKEY parameters)
{
    DWORD values = 0, keys = 0;
    HKEY service;
    DWORD error = (DWORD)RegQueryInfoKeyW(parameters, NULL, NULL, NULL, &keys, NULL, NULL,
                                          &values, NULL, NULL, NULL, NULL);

    if (error != ERROR_SUCCESS || values > 0 || keys > 0)
        return error;
    error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, HVS_REGISTRY_SERVICE, 0,
                                 KEY_QUERY_VALUE | VIEW, &service);
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegDeleteKeyW(service, L"Parameters");
    RegCloseKey(service);
    return error;
}

DWORD
hvs_registry_unset(const struct hvs_setting *setting)
{
    WCHAR name[NAME_MAX_CHARACTERS];
    HKEY key;
    DWORD error;

    hvs_wide_from_utf8(setting->key, name, ARRAYSIZE(name));
    error = open_parameters(KEY_QUERY_VALUE | KEY_SET_VALUE, &key);
    if (error != ERROR_SUCCESS)
        return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
    error = (DWORD)RegDeleteValueW(key, name);
    if (error == ERROR_SUCCESS)
        error = delete_if_empty(key);
    else if (error == ERROR_FILE_NOT_FOUND)
        error = ERROR_SUCCESS;
    RegCloseKey(key);
    return error;
}

bool
hvs_registry_has_key(const WCHAR *path)
{
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | VIEW, &key) != ERROR_SUCCESS)
        return false;
    RegCloseKey(key);
    return true;
}

void
hvs_registry_read_string(const WCHAR *path, const WCHAR *name, struct hvs_text *out)
{
    struct value value = { .size = sizeof value.data };
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | VIEW, &key) != ERROR_SUCCESS)
        return;
    if (RegQueryValueExW(key, name, NULL, &value.type, (BYTE *)value.data, &value.size) ==
            ERROR_SUCCESS &&
        value.type == REG_SZ)
        print_value(&value, out);
    RegCloseKey(key);
}

DWORD
hvs_registry_watch_begin(struct hvs_registry_watch *watch)
{
    DWORD error;

    memset(watch, 0, sizeof *watch);
    error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, HVS_REGISTRY_SERVICE, 0, KEY_NOTIFY | VIEW,
                                 &watch->key);
    if (error != ERROR_SUCCESS)
        return error;
    watch->changed = CreateEventW(NULL, FALSE, FALSE, NULL);
    error = watch->changed != NULL ? hvs_registry_watch_again(watch) : GetLastError();
    if (error != ERROR_SUCCESS)
        hvs_registry_watch_end(watch);
    return error;
}

DWORD
hvs_registry_watch_again(struct hvs_registry_watch *watch)
{
    return (DWORD)RegNotifyChangeKeyValue(watch->key, TRUE,
                                          REG_NOTIFY_CHANGE_NAME | REG_NOTIFY_CHANGE_LAST_SET,
                                          watch->changed, TRUE);
}

void
hvs_registry_watch_end(struct hvs_registry_watch *watch)
{
    if (watch->key != NULL)
        RegCloseKey(watch->key);
    if (watch->changed != NULL)
        CloseHandle(watch->changed);
    memset(watch, 0, sizeof *watch);
}
