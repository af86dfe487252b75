#include "system.h"

#include "registry.h"
#include "wide.h"

#include <string.h>

#define VIEW          KEY_WOW64_64KEY
#define TERMINAL      L"SYSTEM\\CurrentControlSet\\Control\\Terminal Server"
#define POLICY        L"SOFTWARE\\Policies\\Microsoft\\Windows NT\\Terminal Services"
#define UNDO          HVS_REGISTRY_PARAMETERS L"\\Undo"
#define SUFFIX_SET    L".set"
#define SUFFIX_KEYS   L".keys"
#define NAME_MAX_WIDE 64
#define PATH_MAX_WIDE 128

static const struct hvs_system_setting settings[] = {
    [HVS_SYSTEM_REMOTE_DESKTOP] = {
        .key = "DisableRemoteDesktop",
        .help = "Windows takes no Remote Desktop sessions, and so no Enhanced Sessions.",
        .path = TERMINAL,
        .value = L"fDenyTSConnections",
        .policy_path = POLICY,
        .default_value = 1,
        .maximum = 1,
    },
    [HVS_SYSTEM_USER_AUTHENTICATION] = {
        .key = "EnableUserAuthentication",
        .help = "Remote Desktop insists on Network Level Authentication, which an Enhanced Session "
                "cannot give (Windows Vista and later).",
        .path = TERMINAL L"\\WinStations\\RDP-Tcp",
        .value = L"UserAuthentication",
        .policy_path = POLICY,
        .default_value = 0,
        .maximum = 1,
    },
    [HVS_SYSTEM_SECURITY_LAYER] = {
        .key = "SecurityLayer",
        .help = "Remote Desktop's encryption: 0 its own, 1 negotiated, 2 TLS only, which an "
                "Enhanced Session cannot give.",
        .path = TERMINAL L"\\WinStations\\RDP-Tcp",
        .value = L"SecurityLayer",
        .policy_path = POLICY,
        .default_value = 1,
        .maximum = 2,
    },
    [HVS_SYSTEM_BLANK_PASSWORD] = {
        .key = "DisableBlankPassword",
        .help = "Accounts without a password log in at the console only.",
        .path = L"SYSTEM\\CurrentControlSet\\Control\\Lsa",
        .value = L"LimitBlankPasswordUse",
        .default_value = 1,
        .maximum = 1,
    },
    [HVS_SYSTEM_OVERRIDE] = {
        .key = "OverrideSystemImplementation",
        .help = "hvsession instead of the Enhanced Session built into Windows 8.1 and later, after "
                "a restart.",
        .path = L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest",
        .value = L"DisableEnhancedSessionConsoleConnection",
        .default_value = 0,
        .maximum = 1,
        .needs_restart = true,
    },
};

/* ---- the log ---- */

static DWORD
read_value(const WCHAR *path, const WCHAR *name, struct hvs_undo_record *record)
{
    HKEY key;
    DWORD error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | VIEW, &key);

    if (error == ERROR_PATH_NOT_FOUND)
        error = ERROR_FILE_NOT_FOUND;
    if (error != ERROR_SUCCESS)
        return error;
    record->size = sizeof record->data;
    error = (DWORD)RegQueryValueExW(key, name, NULL, &record->type, record->data, &record->size);
    RegCloseKey(key);
    return error;
}

static DWORD
number_of(const struct hvs_undo_record *record, DWORD *number)
{
    if (record->type != REG_DWORD || record->size != sizeof *number)
        return ERROR_INVALID_DATA;
    memcpy(number, record->data, sizeof *number);
    return ERROR_SUCCESS;
}

static struct hvs_undo_record
record_of(DWORD number)
{
    struct hvs_undo_record record = { .type = REG_DWORD, .size = sizeof number };

    memcpy(record.data, &number, sizeof number);
    return record;
}

static bool
are_equal(const struct hvs_undo_record *a, const struct hvs_undo_record *b)
{
    return a->type == b->type && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

DWORD
hvs_undo_get(const WCHAR *name, struct hvs_undo_record *record)
{
    return read_value(UNDO, name, record);
}

DWORD
hvs_undo_get_number(const WCHAR *name, DWORD *number)
{
    struct hvs_undo_record record;
    DWORD error = hvs_undo_get(name, &record);

    return error == ERROR_SUCCESS ? number_of(&record, number) : error;
}

/* The service's key must be there: it takes the log with it when it goes. */
DWORD
hvs_undo_put(const WCHAR *name, const struct hvs_undo_record *record)
{
    HKEY service, key;
    DWORD error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, HVS_REGISTRY_SERVICE, 0,
                                       KEY_CREATE_SUB_KEY | VIEW, &service);

    if (error == ERROR_FILE_NOT_FOUND)
        return ERROR_SERVICE_DOES_NOT_EXIST;
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegCreateKeyExW(service, L"Parameters\\Undo", 0, NULL, 0, KEY_SET_VALUE | VIEW,
                                   NULL, &key, NULL);
    RegCloseKey(service);
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegSetValueExW(key, name, 0, record->type, record->data, record->size);
    if (error == ERROR_SUCCESS)
        error = (DWORD)RegFlushKey(key);
    RegCloseKey(key);
    return error;
}

DWORD
hvs_undo_put_number(const WCHAR *name, DWORD number)
{
    const struct hvs_undo_record record = record_of(number);

    return hvs_undo_put(name, &record);
}

/* Deletes the key, and then so many of those above it, up to the first that holds anything. path is
 * cut. */
static DWORD
delete_empty_keys(WCHAR *path, DWORD depth)
{
    for (; depth > 0; depth--) {
        WCHAR *name = wcsrchr(path, L'\\');
        DWORD keys = 0, values = 0, error;
        HKEY key, parent;

        if (name == NULL)
            return ERROR_SUCCESS;
        error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | VIEW, &key);
        if (error != ERROR_SUCCESS)
            return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
        RegQueryInfoKeyW(key, NULL, NULL, NULL, &keys, NULL, NULL, &values, NULL, NULL, NULL, NULL);
        RegCloseKey(key);
        if (keys > 0 || values > 0)
            return ERROR_SUCCESS;
        *name++ = L'\0';
        error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | VIEW, &parent);
        if (error != ERROR_SUCCESS)
            return error;
        /* Below a key of the 64-bit view this is that view's, too. */
        error = (DWORD)RegDeleteKeyW(parent, name);
        RegCloseKey(parent);
        if (error != ERROR_SUCCESS)
            return error;
    }
    return ERROR_SUCCESS;
}

static DWORD
delete_value(const WCHAR *path, const WCHAR *name)
{
    HKEY key;
    DWORD error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_SET_VALUE | VIEW, &key);

    if (error == ERROR_SUCCESS) {
        error = (DWORD)RegDeleteValueW(key, name);
        RegCloseKey(key);
    }
    return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
}

DWORD
hvs_undo_forget(const WCHAR *name)
{
    WCHAR path[] = UNDO;
    DWORD error = delete_value(UNDO, name);

    /* Undo, and Parameters if that was made for it. */
    return error == ERROR_SUCCESS ? delete_empty_keys(path, 2) : error;
}

/* ---- settings ---- */

const struct hvs_system_setting *
hvs_system_setting(enum hvs_system_setting_id id)
{
    return &settings[id];
}

const struct hvs_system_setting *
hvs_system_find(const char *key)
{
    for (size_t i = 0; i < ARRAYSIZE(settings); i++)
        if (hvs_text_is_word(key, strlen(key), settings[i].key))
            return &settings[i];
    return NULL;
}

DWORD
hvs_system_get_stored(const struct hvs_system_setting *setting, DWORD *value)
{
    struct hvs_undo_record record;
    DWORD error = read_value(setting->path, setting->value, &record);

    *value = setting->default_value;
    if (error == ERROR_FILE_NOT_FOUND)
        return ERROR_SUCCESS;
    /* Windows takes what is no number for nothing, too. */
    if (error == ERROR_SUCCESS)
        number_of(&record, value);
    return error == ERROR_MORE_DATA ? ERROR_SUCCESS : error;
}

DWORD
hvs_system_get(const struct hvs_system_setting *setting, DWORD *value, bool *from_policy)
{
    struct hvs_undo_record record;
    bool policy = setting->policy_path != NULL &&
                  read_value(setting->policy_path, setting->value, &record) == ERROR_SUCCESS &&
                  number_of(&record, value) == ERROR_SUCCESS;

    if (from_policy != NULL)
        *from_policy = policy;
    return policy ? ERROR_SUCCESS : hvs_system_get_stored(setting, value);
}

/* NAME, NAME.set or NAME.keys */
static void
make_name(const struct hvs_system_setting *setting, const WCHAR *suffix, WCHAR name[NAME_MAX_WIDE])
{
    hvs_wide_from_utf8(setting->key, name, NAME_MAX_WIDE);
    hvs_wide_append(name, NAME_MAX_WIDE, suffix);
}

/* How many keys of the path are not there. */
static DWORD
count_missing_keys(const WCHAR *path)
{
    WCHAR copy[PATH_MAX_WIDE];
    DWORD missing = 0;
    HKEY key = NULL;

    hvs_wide_copy(copy, ARRAYSIZE(copy), path);
    while (RegOpenKeyExW(HKEY_LOCAL_MACHINE, copy, 0, KEY_QUERY_VALUE | VIEW, &key) ==
           ERROR_FILE_NOT_FOUND) {
        WCHAR *name = wcsrchr(copy, L'\\');

        missing++;
        if (name == NULL)
            return missing;
        *name = L'\0';
    }
    /* Closed to us, it is there all the same. */
    if (key != NULL)
        RegCloseKey(key);
    return missing;
}

/* Only the first change finds what was there before hvsession. */
static DWORD
record_before(const struct hvs_system_setting *setting)
{
    struct hvs_undo_record record;
    WCHAR name[NAME_MAX_WIDE];
    DWORD error, missing;

    make_name(setting, L"", name);
    error = hvs_undo_get(name, &record);
    if (error != ERROR_FILE_NOT_FOUND)
        return error;
    error = read_value(setting->path, setting->value, &record);
    if (error == ERROR_FILE_NOT_FOUND)
        record = (struct hvs_undo_record){ .type = REG_NONE };
    else if (error != ERROR_SUCCESS)
        return error;
    error = hvs_undo_put(name, &record);
    missing = count_missing_keys(setting->path);
    if (error != ERROR_SUCCESS || missing == 0)
        return error;
    make_name(setting, SUFFIX_KEYS, name);
    return hvs_undo_put_number(name, missing);
}

static DWORD
write_value(const struct hvs_system_setting *setting, const struct hvs_undo_record *record)
{
    HKEY key;
    DWORD error = (DWORD)RegCreateKeyExW(HKEY_LOCAL_MACHINE, setting->path, 0, NULL, 0,
                                         KEY_SET_VALUE | VIEW, NULL, &key, NULL);

    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegSetValueExW(key, setting->value, 0, record->type, record->data, record->size);
    RegCloseKey(key);
    return error;
}

DWORD
hvs_system_set(const struct hvs_system_setting *setting, DWORD value)
{
    const struct hvs_undo_record record = record_of(value);
    WCHAR name[NAME_MAX_WIDE];
    DWORD before, error = hvs_system_get_stored(setting, &before);

    if (error != ERROR_SUCCESS || before == value)
        return error;
    error = record_before(setting);
    if (error != ERROR_SUCCESS)
        return error;
    make_name(setting, SUFFIX_SET, name);
    error = hvs_undo_put_number(name, value);
    return error == ERROR_SUCCESS ? write_value(setting, &record) : error;
}

/* Removes all that is recorded on the setting. */
static DWORD
forget(const struct hvs_system_setting *setting)
{
    static const WCHAR *const suffixes[] = { SUFFIX_KEYS, SUFFIX_SET, L"" };
    WCHAR name[NAME_MAX_WIDE];
    DWORD error = ERROR_SUCCESS;

    for (size_t i = 0; i < ARRAYSIZE(suffixes) && error == ERROR_SUCCESS; i++) {
        make_name(setting, suffixes[i], name);
        error = hvs_undo_forget(name);
    }
    return error;
}

/* Is there still what hvsession has put there, or again what was there before? */
static bool
is_ours(const struct hvs_system_setting *setting, const struct hvs_undo_record *before)
{
    struct hvs_undo_record now, set;
    WCHAR name[NAME_MAX_WIDE];
    DWORD error = read_value(setting->path, setting->value, &now);

    if (error == ERROR_FILE_NOT_FOUND)
        return before->type == REG_NONE;
    if (error != ERROR_SUCCESS)
        return false;
    make_name(setting, SUFFIX_SET, name);
    return are_equal(&now, before) ||
           (hvs_undo_get(name, &set) == ERROR_SUCCESS && are_equal(&now, &set));
}

/* As if the value had never been written. */
static DWORD
remove_value(const struct hvs_system_setting *setting)
{
    WCHAR path[PATH_MAX_WIDE], name[NAME_MAX_WIDE];
    DWORD made = 0, error = delete_value(setting->path, setting->value);

    make_name(setting, SUFFIX_KEYS, name);
    if (error != ERROR_SUCCESS || hvs_undo_get_number(name, &made) != ERROR_SUCCESS)
        return error;
    hvs_wide_copy(path, ARRAYSIZE(path), setting->path);
    return delete_empty_keys(path, made);
}

DWORD
hvs_system_restore(const struct hvs_system_setting *setting)
{
    struct hvs_undo_record before;
    WCHAR name[NAME_MAX_WIDE];
    DWORD error;

    make_name(setting, L"", name);
    error = hvs_undo_get(name, &before);
    if (error != ERROR_SUCCESS)
        return error;
    if (!is_ours(setting, &before)) {
        error = forget(setting);
        return error == ERROR_SUCCESS ? ERROR_REVISION_MISMATCH : error;
    }
    error = before.type == REG_NONE ? remove_value(setting) : write_value(setting, &before);
    return error == ERROR_SUCCESS ? forget(setting) : error;
}

uint16_t
hvs_system_rdp_port(void)
{
    struct hvs_undo_record record;
    DWORD port = 0;

    if (read_value(TERMINAL L"\\WinStations\\RDP-Tcp", L"PortNumber", &record) == ERROR_SUCCESS)
        number_of(&record, &port);
    return port > 0 && port <= UINT16_MAX ? (uint16_t)port : HVS_RDP_PORT;
}

void
hvs_system_print(const struct hvs_system_setting *setting, DWORD value, struct hvs_text *out)
{
    if (setting->maximum > 1)
        hvs_text_add_u64(out, value);
    else
        hvs_text_add(out, value != 0 ? "true" : "false");
}

bool
hvs_system_parse(const struct hvs_system_setting *setting, const char *string, DWORD *value)
{
    static const char *const words[][2] = { { "false", "true" }, { "no", "yes" }, { "off", "on" } };

    if (string[0] >= '0' && string[0] <= '9' && string[1] == '\0') {
        *value = (DWORD)(string[0] - '0');
        return *value <= setting->maximum;
    }
    for (size_t i = 0; i < ARRAYSIZE(words) && setting->maximum == 1; i++)
        for (DWORD which = 0; which < 2; which++)
            if (hvs_text_is_word(string, strlen(string), words[i][which])) {
                *value = which;
                return true;
            }
    return false;
}
