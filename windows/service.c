#include "service.h"

#include "registry.h"
#include "wide.h"

#include <string.h>

#define DISPLAY_NAME L"Hyper-V Enhanced Session (hvsession)"
#define DESCRIPTION                                                                              \
    L"Gives this virtual machine Enhanced Session: relays connections of the Hyper-V host to "   \
    L"Remote Desktop, without a network."
#define EVENT_SOURCE L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\HvSession"

/* How long we wait for a step of the SCM, in milliseconds. */
#define CHANGE_LIMIT  30000u
#define CHANGE_LOOKED 50u

/* Of the system's definitions for Vista and later. */
#define CONFIG_FAILURE_ACTIONS_FLAG     4u
#define CONFIG_SERVICE_SID_INFO         5u
#define CONFIG_REQUIRED_PRIVILEGES_INFO 6u
#define SID_TYPE_UNRESTRICTED           1u

/* ---- the service manager's records ---- */

/* On ERROR_SUCCESS *opened is the caller's to close. */
static DWORD
open_service(DWORD access, SC_HANDLE *opened)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    DWORD error = ERROR_SUCCESS;

    *opened = NULL;
    if (manager == NULL)
        return GetLastError();
    *opened = OpenServiceW(manager, HVS_SERVICE_NAME, access);
    if (*opened == NULL)
        error = GetLastError();
    CloseServiceHandle(manager);
    return error;
}

/* Quoted: a blank in the path would let another program be started in its place. */
static DWORD
make_command(WCHAR *command, size_t size)
{
    WCHAR path[MAX_PATH];
    DWORD length = GetModuleFileNameW(NULL, path, ARRAYSIZE(path));

    if (length == 0)
        return GetLastError();
    if (length == ARRAYSIZE(path) ||
        !hvs_wide_format(command, size, L"\"%s\" service", path))
        return ERROR_FILENAME_EXCED_RANGE;
    return ERROR_SUCCESS;
}

static DWORD
change(SC_HANDLE opened, DWORD level, void *info)
{
    return ChangeServiceConfig2W(opened, level, info) ? ERROR_SUCCESS : GetLastError();
}

/* What Vista brought: XP refuses to know it, and does without. */
static DWORD
change_if_known(SC_HANDLE opened, DWORD level, void *info)
{
    DWORD error = change(opened, level, info);

    return error == ERROR_INVALID_LEVEL || error == RPC_S_INVALID_TAG ? ERROR_SUCCESS : error;
}

/* Not only when it crashes, but also when it stops with an error. The last action is repeated, for
 * as long as it fails again within the period. */
static DWORD
set_recovery(SC_HANDLE opened)
{
    SC_ACTION actions[] = {
        { SC_ACTION_RESTART, 5000 },
        { SC_ACTION_RESTART, 30000 },
        { SC_ACTION_RESTART, 60000 },
    };
    SERVICE_FAILURE_ACTIONSW failure = {
        .dwResetPeriod = 3600, /* seconds */
        .cActions = ARRAYSIZE(actions),
        .lpsaActions = actions,
    };
    BOOL also_stopped = TRUE;
    DWORD error = change(opened, SERVICE_CONFIG_FAILURE_ACTIONS, &failure);

    return error == ERROR_SUCCESS
               ? change_if_known(opened, CONFIG_FAILURE_ACTIONS_FLAG, &also_stopped)
               : error;
}

/* A SID of its own for access lists, and no privilege that it does not need. */
static DWORD
confine(SC_HANDLE opened)
{
    DWORD sid_type = SID_TYPE_UNRESTRICTED;
    WCHAR privileges[] = L"SeChangeNotifyPrivilege\0SeImpersonatePrivilege\0";
    WCHAR *required = privileges;
    DWORD error = change_if_known(opened, CONFIG_SERVICE_SID_INFO, &sid_type);

    return error == ERROR_SUCCESS
               ? change_if_known(opened, CONFIG_REQUIRED_PRIVILEGES_INFO, &required)
               : error;
}

static DWORD
configure(SC_HANDLE opened)
{
    WCHAR text[] = DESCRIPTION;
    SERVICE_DESCRIPTIONW description = { text };
    DWORD error = change(opened, SERVICE_CONFIG_DESCRIPTION, &description);

    if (error == ERROR_SUCCESS)
        error = set_recovery(opened);
    return error == ERROR_SUCCESS ? confine(opened) : error;
}

static DWORD
create_or_update(SC_HANDLE manager)
{
    WCHAR command[MAX_PATH + 16];
    SC_HANDLE opened;
    DWORD error = make_command(command, ARRAYSIZE(command));

    if (error != ERROR_SUCCESS)
        return error;
    opened = CreateServiceW(manager, HVS_SERVICE_NAME, DISPLAY_NAME, SERVICE_ALL_ACCESS,
                            SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL,
                            command, NULL, NULL, NULL, NULL, NULL);
    if (opened == NULL && GetLastError() == ERROR_SERVICE_EXISTS) {
        opened = OpenServiceW(manager, HVS_SERVICE_NAME, SERVICE_ALL_ACCESS);
        if (opened != NULL &&
            !ChangeServiceConfigW(opened, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                                  SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL, NULL, NULL,
                                  DISPLAY_NAME)) {
            error = GetLastError();
            CloseServiceHandle(opened);
            return error;
        }
    }
    if (opened == NULL)
        return GetLastError();
    error = configure(opened);
    CloseServiceHandle(opened);
    return error;
}

/* ---- the event log ---- */

static DWORD
set_event_source(HKEY key)
{
    const DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    WCHAR path[MAX_PATH];
    DWORD length = GetModuleFileNameW(NULL, path, ARRAYSIZE(path));
    DWORD error;

    if (length == 0 || length == ARRAYSIZE(path))
        return ERROR_FILENAME_EXCED_RANGE;
    error = (DWORD)RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ, (const BYTE *)path,
                                  (DWORD)((length + 1) * sizeof(WCHAR)));
    if (error != ERROR_SUCCESS)
        return error;
    return (DWORD)RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types,
                                 sizeof types);
}

static DWORD
add_event_source(void)
{
    HKEY key;
    DWORD error = (DWORD)RegCreateKeyExW(HKEY_LOCAL_MACHINE, EVENT_SOURCE, 0, NULL, 0,
                                         KEY_SET_VALUE | KEY_WOW64_64KEY, NULL, &key, NULL);

    if (error != ERROR_SUCCESS)
        return error;
    error = set_event_source(key);
    RegCloseKey(key);
    return error;
}

/* The key below Application is ours alone. SYSTEM is not redirected, so RegDeleteKey will do. */
static DWORD
remove_event_source(void)
{
    DWORD error = (DWORD)RegDeleteKeyW(HKEY_LOCAL_MACHINE, EVENT_SOURCE);

    return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
}

/* ---- installing, starting, stopping ---- */

DWORD
hvs_service_install(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE);
    DWORD error;

    if (manager == NULL)
        return GetLastError();
    error = create_or_update(manager);
    CloseServiceHandle(manager);
    return error == ERROR_SUCCESS ? add_event_source() : error;
}

/* Waits until the service is in the state, or until it is in another one. XP has no notification
 * for this, so it is asked, as Windows' own tools do. */
static DWORD
wait_for(SC_HANDLE opened, DWORD state, bool reached, SERVICE_STATUS *status)
{
    DWORD began = GetTickCount();

    while (QueryServiceStatus(opened, status)) {
        if ((status->dwCurrentState == state) == reached)
            return ERROR_SUCCESS;
        if (GetTickCount() - began > CHANGE_LIMIT)
            return ERROR_SERVICE_REQUEST_TIMEOUT;
        Sleep(CHANGE_LOOKED);
    }
    return GetLastError();
}

DWORD
hvs_service_start_opened(SC_HANDLE opened)
{
    SERVICE_STATUS status;
    DWORD error;

    if (!StartServiceW(opened, 0, NULL))
        return GetLastError() == ERROR_SERVICE_ALREADY_RUNNING ? ERROR_SUCCESS : GetLastError();
    error = wait_for(opened, SERVICE_START_PENDING, false, &status);
    if (error != ERROR_SUCCESS || status.dwCurrentState == SERVICE_RUNNING)
        return error;
    return status.dwWin32ExitCode != NO_ERROR ? status.dwWin32ExitCode : ERROR_SERVICE_NOT_ACTIVE;
}

static DWORD
stop_and_wait(SC_HANDLE opened)
{
    SERVICE_STATUS status;
    /* While it starts it takes no STOP. */
    DWORD error = wait_for(opened, SERVICE_START_PENDING, false, &status);

    if (error != ERROR_SUCCESS)
        return error;
    if (!ControlService(opened, SERVICE_CONTROL_STOP, &status)) {
        error = GetLastError();
        if (error == ERROR_SERVICE_NOT_ACTIVE)
            return ERROR_SUCCESS;
        /* It may be stopping already. */
        if (error != ERROR_SERVICE_CANNOT_ACCEPT_CTRL)
            return error;
    }
    return wait_for(opened, SERVICE_STOPPED, true, &status);
}

DWORD
hvs_service_uninstall(void)
{
    SC_HANDLE opened;
    DWORD error = open_service(SERVICE_QUERY_STATUS | SERVICE_STOP | DELETE, &opened);

    if (error == ERROR_SERVICE_DOES_NOT_EXIST) {
        /* What half an installation may have left. */
        DWORD source_error = remove_event_source();

        return source_error != ERROR_SUCCESS ? source_error : error;
    }
    if (error != ERROR_SUCCESS)
        return error;
    error = stop_and_wait(opened);
    if (error == ERROR_SUCCESS && !DeleteService(opened))
        error = GetLastError();
    CloseServiceHandle(opened);
    return error == ERROR_SUCCESS ? remove_event_source() : error;
}

DWORD
hvs_service_start(void)
{
    SC_HANDLE opened;
    DWORD error = open_service(SERVICE_START | SERVICE_QUERY_STATUS, &opened);

    if (error != ERROR_SUCCESS)
        return error;
    error = hvs_service_start_opened(opened);
    CloseServiceHandle(opened);
    return error;
}

DWORD
hvs_service_stop(void)
{
    SC_HANDLE opened;
    DWORD error = open_service(SERVICE_STOP | SERVICE_QUERY_STATUS, &opened);

    if (error != ERROR_SUCCESS)
        return error;
    error = stop_and_wait(opened);
    CloseServiceHandle(opened);
    return error;
}

DWORD
hvs_service_state(DWORD *state)
{
    SERVICE_STATUS status;
    SC_HANDLE opened;
    DWORD error = open_service(SERVICE_QUERY_STATUS, &opened);

    if (error != ERROR_SUCCESS)
        return error;
    if (QueryServiceStatus(opened, &status))
        *state = status.dwCurrentState;
    else
        error = GetLastError();
    CloseServiceHandle(opened);
    return error;
}
