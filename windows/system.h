/* The settings of Windows that Enhanced Session depends on, and the log of what hvsession has
 * changed in them, so that it can be put back exactly.
 *
 * Before a value is changed, what was there is recorded, once, however often it is changed:
 *
 *     HKLM\SYSTEM\CurrentControlSet\Services\HvSession\Parameters\Undo
 *         NAME         what was there, with its type; an empty REG_NONE: nothing was
 *         NAME.set     REG_DWORD, what hvsession has put there last
 *         NAME.keys    REG_DWORD, how many keys had to be made for it; not there: none
 *
 * NAME is a setting's below, TermServiceStart (start type of that service) or one of
 * windows/firewall.c. The log goes with its last record, and with the service. All through the
 * 64-bit view.
 */
#ifndef HVS_WINDOWS_SYSTEM_H
#define HVS_WINDOWS_SYSTEM_H

#include "common/text.h"

#include <windows.h>

#include <stdbool.h>
#include <stdint.h>

/* In the order in which they are shown. */
enum hvs_system_setting_id {
    HVS_SYSTEM_REMOTE_DESKTOP,
    HVS_SYSTEM_USER_AUTHENTICATION,
    HVS_SYSTEM_SECURITY_LAYER,
    HVS_SYSTEM_BLANK_PASSWORD,
    HVS_SYSTEM_OVERRIDE,
    HVS_SYSTEM_SETTINGS
};

struct hvs_system_setting {
    const char  *key; /* for people: "DisableRemoteDesktop" */
    const char  *help;
    const WCHAR *path, *value; /* below HKEY_LOCAL_MACHINE, a REG_DWORD */
    const WCHAR *policy_path;  /* where a group policy may have a value of that name; NULL: none */
    DWORD        default_value; /* what Windows does when there is none */
    DWORD        maximum;       /* 1: printed as true and false */
    bool         needs_restart;
};

const struct hvs_system_setting *hvs_system_setting(enum hvs_system_setting_id id);
/* NULL: there is none of that name. Upper and lower case are the same. */
const struct hvs_system_setting *hvs_system_find(const char *key);

/* What is in force: the group policy's, the stored or the default value, in this order. from_policy
 * (if not NULL): the first. Errors of the system. */
DWORD hvs_system_get(const struct hvs_system_setting *setting, DWORD *value, bool *from_policy);
/* The stored or the default value. */
DWORD hvs_system_get_stored(const struct hvs_system_setting *setting, DWORD *value);
/* Records what is there and stores the value; nothing is written if it is there already.
 * ERROR_SERVICE_DOES_NOT_EXIST: hvsession is not installed, so there is nowhere to record.
 * ERROR_ACCESS_DENIED: not an administrator. */
DWORD hvs_system_set(const struct hvs_system_setting *setting, DWORD value);
/* Puts back what was recorded, and forgets it. ERROR_FILE_NOT_FOUND: nothing is recorded.
 * ERROR_REVISION_MISMATCH: somebody else has changed it since; it is left alone, and forgotten. */
DWORD hvs_system_restore(const struct hvs_system_setting *setting);

/* "true", "false" or a number; printed and read back. Yes, no, on, off, 1 and 0 are read, too. */
void hvs_system_print(const struct hvs_system_setting *setting, DWORD value, struct hvs_text *out);
bool hvs_system_parse(const struct hvs_system_setting *setting, const char *string, DWORD *value);

/* PortNumber of Remote Desktop, 3389 if there is none. */
uint16_t hvs_system_rdp_port(void);

/* ---- the log itself, for what is not a value of the registry ---- */

#define HVS_UNDO_FIREWALL_PORT       L"FirewallPort"
#define HVS_UNDO_FIREWALL_EXCEPTIONS L"FirewallExceptions"
#define HVS_UNDO_TERMSERVICE         L"TermServiceStart"

/* Of any value: type, and so many bytes. */
struct hvs_undo_record {
    DWORD type, size;
    BYTE  data[256];
};

/* The record of NAME. ERROR_FILE_NOT_FOUND: there is none. */
DWORD hvs_undo_get(const WCHAR *name, struct hvs_undo_record *record);
DWORD hvs_undo_get_number(const WCHAR *name, DWORD *number);
/* Errors as hvs_system_set(). */
DWORD hvs_undo_put(const WCHAR *name, const struct hvs_undo_record *record);
DWORD hvs_undo_put_number(const WCHAR *name, DWORD number);
/* Removes NAME, and the log with its last record. Nothing if it is not there. */
DWORD hvs_undo_forget(const WCHAR *name);

#endif
