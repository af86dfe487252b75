#include "vmbuspipe.h"

#include "clock.h"
#include "wide.h"

#include <string.h>

#define LIBRARY   L"\\vmbuspipe.dll"
#define PATH_SIZE (MAX_PATH + ARRAYSIZE(LIBRARY))

/* Older headers lack it. */
#ifndef ERROR_NO_SUCH_DEVICE
#define ERROR_NO_SUCH_DEVICE 433L
#endif

static GUID
guid_from(const struct hvs_guid *guid)
{
    GUID result = { .Data1 = guid->data1, .Data2 = guid->data2, .Data3 = guid->data3 };

    memcpy(result.Data4, guid->data4, sizeof result.Data4);
    return result;
}

static DWORD
load_functions(struct hvs_vmbuspipe *vmbuspipe)
{
    FARPROC wait_channel = GetProcAddress(vmbuspipe->module, "VmbusPipeClientWaitChannel");
    FARPROC open_channel = GetProcAddress(vmbuspipe->module, "VmbusPipeClientOpenChannel");

    if (wait_channel == NULL || open_channel == NULL)
        return ERROR_PROC_NOT_FOUND;
    memcpy(&vmbuspipe->wait_channel, &wait_channel, sizeof wait_channel);
    memcpy(&vmbuspipe->open_channel, &open_channel, sizeof open_channel);
    return ERROR_SUCCESS;
}

static DWORD
make_path(WCHAR path[PATH_SIZE])
{
    UINT length = GetSystemDirectoryW(path, MAX_PATH);

    if (length == 0)
        return GetLastError();
    /* Then it is what it would take, and path is not written. */
    if (length >= MAX_PATH)
        return ERROR_FILENAME_EXCED_RANGE;
    return hvs_wide_append(path, PATH_SIZE, LIBRARY) ? ERROR_SUCCESS : ERROR_FILENAME_EXCED_RANGE;
}

/* These functions are of 64-bit Windows, since XP x64; elsewhere they are not there, or fail. They
 * are about this thread. */
bool
hvs_vmbuspipe_is_for_64_bits(void)
{
    HMODULE kernel32 = GetModuleHandleW(L"kernel32.dll");
    FARPROC disable = GetProcAddress(kernel32, "Wow64DisableWow64FsRedirection");
    FARPROC revert = GetProcAddress(kernel32, "Wow64RevertWow64FsRedirection");
    BOOL(WINAPI * disable_redirection)(void **);
    BOOL(WINAPI * revert_redirection)(void *);
    WCHAR path[PATH_SIZE];
    void *before;
    bool is;

    if (disable == NULL || revert == NULL || make_path(path) != ERROR_SUCCESS)
        return false;
    memcpy(&disable_redirection, &disable, sizeof disable);
    memcpy(&revert_redirection, &revert, sizeof revert);
    if (!disable_redirection(&before))
        return false;
    is = GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
    revert_redirection(before);
    return is;
}

DWORD
hvs_vmbuspipe_load(struct hvs_vmbuspipe *vmbuspipe)
{
    WCHAR path[PATH_SIZE];
    DWORD error;

    memset(vmbuspipe, 0, sizeof *vmbuspipe);
    error = make_path(path);
    if (error != ERROR_SUCCESS)
        return error;
    vmbuspipe->module = LoadLibraryW(path);
    if (vmbuspipe->module == NULL)
        return GetLastError();
    error = load_functions(vmbuspipe);
    if (error != ERROR_SUCCESS)
        hvs_vmbuspipe_unload(vmbuspipe);
    return error;
}

void
hvs_vmbuspipe_unload(struct hvs_vmbuspipe *vmbuspipe)
{
    if (vmbuspipe->module != NULL)
        FreeLibrary(vmbuspipe->module);
    memset(vmbuspipe, 0, sizeof *vmbuspipe);
}

DWORD
hvs_vmbuspipe_wait(const struct hvs_vmbuspipe *vmbuspipe, const struct hvs_guid *class_id,
                   const struct hvs_guid *instance, DWORD timeout,
                   struct hvs_vmbuspipe_channel *channel)
{
    const GUID class_guid = guid_from(class_id), instance_guid = guid_from(instance);
    uint64_t began = hvs_clock_now();
    DWORD error;

    SetLastError(ERROR_SUCCESS);
    if (vmbuspipe->wait_channel(&class_guid, &instance_guid, timeout, channel))
        return ERROR_SUCCESS;
    error = GetLastError();
    /* What the library sets when the time is over is not known; that it has taken the time is. And
     * whatever comes at once must not be asked for again at once. */
    if (hvs_clock_now() - began >= timeout / 2)
        return ERROR_TIMEOUT;
    return error != ERROR_SUCCESS ? error : ERROR_GEN_FAILURE;
}

DWORD
hvs_vmbuspipe_open(const struct hvs_vmbuspipe *vmbuspipe, struct hvs_vmbuspipe_channel *channel,
                   HANDLE *pipe)
{
    *pipe = vmbuspipe->open_channel(channel, FILE_FLAG_OVERLAPPED);
    if (*pipe != NULL && *pipe != INVALID_HANDLE_VALUE)
        return ERROR_SUCCESS;
    *pipe = NULL;
    return GetLastError();
}

bool
hvs_vmbuspipe_is_gone(DWORD error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_HANDLE_EOF:
    case ERROR_DEV_NOT_EXIST:
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED:
    case ERROR_NO_SUCH_DEVICE:
    case ERROR_OPERATION_ABORTED:
    case ERROR_DEVICE_NOT_CONNECTED:
    case ERROR_DEVICE_REMOVED:
        return true;
    default:
        return false;
    }
}
