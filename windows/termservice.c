#include "termservice.h"

#include "service.h"
#include "system.h"

#define NAME L"TermService"

/* The record has long strings behind it: at most 8 KiB, says the documentation. */
struct configuration {
    QUERY_SERVICE_CONFIGW head;
    BYTE strings[8192];
};

static DWORD
open_termservice(DWORD access, SC_HANDLE *opened)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    DWORD error = ERROR_SUCCESS;

    *opened = NULL;
    if (manager == NULL)
        return GetLastError();
    *opened = OpenServiceW(manager, NAME, access);
    if (*opened == NULL)
        error = GetLastError();
    CloseServiceHandle(manager);
    return error;
}

static DWORD
get_start_type(SC_HANDLE opened, DWORD *type)
{
    struct configuration configuration;
    DWORD size;

    if (!QueryServiceConfigW(opened, &configuration.head, sizeof configuration, &size))
        return GetLastError();
    *type = configuration.head.dwStartType;
    return ERROR_SUCCESS;
}

static DWORD
set_start_type(SC_HANDLE opened, DWORD type)
{
    return ChangeServiceConfigW(opened, SERVICE_NO_CHANGE, type, SERVICE_NO_CHANGE, NULL, NULL,
                                NULL, NULL, NULL, NULL, NULL)
               ? ERROR_SUCCESS
               : GetLastError();
}

DWORD
hvs_termservice_look(struct hvs_termservice *termservice)
{
    SERVICE_STATUS status;
    SC_HANDLE opened;
    DWORD type = 0, error = open_termservice(SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG, &opened);

    if (error != ERROR_SUCCESS)
        return error;
    error = get_start_type(opened, &type);
    if (error == ERROR_SUCCESS && !QueryServiceStatus(opened, &status))
        error = GetLastError();
    CloseServiceHandle(opened);
    if (error == ERROR_SUCCESS) {
        termservice->running = status.dwCurrentState == SERVICE_RUNNING;
        termservice->disabled = type == SERVICE_DISABLED;
    }
    return error;
}

/* Recorded before it is changed. */
static DWORD
allow_start(void)
{
    SC_HANDLE opened;
    DWORD type = 0, error;

    error = open_termservice(SERVICE_QUERY_CONFIG | SERVICE_CHANGE_CONFIG, &opened);
    if (error != ERROR_SUCCESS)
        return error;
    error = get_start_type(opened, &type);
    if (error == ERROR_SUCCESS && type == SERVICE_DISABLED) {
        error = hvs_undo_put_number(HVS_UNDO_TERMSERVICE, type);
        if (error == ERROR_SUCCESS)
            error = set_start_type(opened, SERVICE_DEMAND_START);
    }
    CloseServiceHandle(opened);
    return error;
}

DWORD
hvs_termservice_start(void)
{
    SC_HANDLE opened;
    DWORD error = allow_start();

    if (error == ERROR_SUCCESS)
        error = open_termservice(SERVICE_START | SERVICE_QUERY_STATUS, &opened);
    if (error != ERROR_SUCCESS)
        return error;
    error = hvs_service_start_opened(opened);
    CloseServiceHandle(opened);
    return error;
}

/* ERROR_REVISION_MISMATCH: it is neither what hvsession has set nor what was there before. */
static DWORD
put_back(SC_HANDLE opened, DWORD before)
{
    DWORD type = 0, error = get_start_type(opened, &type);

    if (error != ERROR_SUCCESS || type == before)
        return error;
    return type == SERVICE_DEMAND_START ? set_start_type(opened, before) : ERROR_REVISION_MISMATCH;
}

DWORD
hvs_termservice_restore(void)
{
    SC_HANDLE opened;
    DWORD before, error = hvs_undo_get_number(HVS_UNDO_TERMSERVICE, &before);

    if (error == ERROR_SUCCESS)
        error = open_termservice(SERVICE_QUERY_CONFIG | SERVICE_CHANGE_CONFIG, &opened);
    if (error != ERROR_SUCCESS)
        return error;
    error = put_back(opened, before);
    CloseServiceHandle(opened);
    if (error == ERROR_SUCCESS || error == ERROR_REVISION_MISMATCH)
        hvs_undo_forget(HVS_UNDO_TERMSERVICE);
    return error;
}
