/* vmbuspipe.dll for tests: the same functions, with named pipes for channels. */
#include "fake-vmbuspipe.h"

#include "windows/vmbuspipe.h"

#include "common/synthrdp.h"

#include <string.h>
#include <strsafe.h>

BOOL WINAPI DllMain(HINSTANCE, DWORD, void *);
__declspec(dllexport) BOOL WINAPI VmbusPipeClientWaitChannel(const GUID *, const GUID *, DWORD,
                                                             struct hvs_vmbuspipe_channel *);
__declspec(dllexport) HANDLE WINAPI VmbusPipeClientOpenChannel(struct hvs_vmbuspipe_channel *,
                                                               DWORD);

static int
channel_of(const GUID *class_id, const GUID *instance)
{
    struct hvs_guid class_guid, instance_guid;
    int channel;

    memcpy(&class_guid, class_id, sizeof class_guid);
    memcpy(&instance_guid, instance, sizeof instance_guid);
    channel = hvs_synthrdp_channel_of(&instance_guid);
    if (channel < 0 || !hvs_guid_equal(&class_guid, hvs_synthrdp_class((unsigned)channel)))
        return -1;
    return channel;
}

static bool
is_set(const WCHAR *name)
{
    HANDLE event = OpenEventW(SYNCHRONIZE, FALSE, name);
    bool set = event != NULL && WaitForSingleObject(event, 0) == WAIT_OBJECT_0;

    if (event != NULL)
        CloseHandle(event);
    return set;
}

static void
count_call(const WCHAR *semaphore)
{
    HANDLE calls = OpenSemaphoreW(SEMAPHORE_MODIFY_STATE, FALSE, semaphore);

    if (calls == NULL)
        return;
    ReleaseSemaphore(calls, 1, NULL);
    CloseHandle(calls);
}

/* Hangs while the loader's lock is held. reserved: the process ends. */
BOOL WINAPI
DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
    HANDLE event;

    (void)instance;
    if (reason == DLL_PROCESS_ATTACH) {
        event = OpenEventW(SYNCHRONIZE, FALSE, FAKE_LOADING_EVENT);
        if (event == NULL)
            return TRUE;
        count_call(FAKE_HANGS_LOADING);
        WaitForSingleObject(event, INFINITE);
        CloseHandle(event);
    } else if (reason == DLL_PROCESS_DETACH && reserved == NULL && is_set(FAKE_UNLOADING_EVENT)) {
        count_call(FAKE_HANGS_UNLOADING);
        Sleep(INFINITE);
    }
    return TRUE;
}

BOOL WINAPI
VmbusPipeClientWaitChannel(const GUID *class_id, const GUID *instance, DWORD timeout,
                           struct hvs_vmbuspipe_channel *info)
{
    int channel = channel_of(class_id, instance);
    WCHAR name[64];
    HANDLE event;
    DWORD result;

    count_call(FAKE_CALLS);
    if (channel < 0 || is_set(FAKE_BROKEN_EVENT)) {
        SetLastError(channel < 0 ? ERROR_INVALID_PARAMETER : ERROR_FILE_NOT_FOUND);
        return FALSE;
    }
    StringCchPrintfW(name, ARRAYSIZE(name), FAKE_OFFER_EVENT L"%d", channel);
    event = CreateEventW(NULL, TRUE, FALSE, name);
    if (event == NULL)
        return FALSE;
    if (is_set(FAKE_HANGING_EVENT)) {
        count_call(FAKE_HANGS_WAITING);
        timeout = INFINITE;
    }
    result = WaitForSingleObject(event, timeout);
    CloseHandle(event);
    if (result != WAIT_OBJECT_0) {
        SetLastError(ERROR_SEM_TIMEOUT);
        return FALSE;
    }
    StringCchPrintfW(info->device_path, ARRAYSIZE(info->device_path), FAKE_PIPE L"%d", channel);
    return TRUE;
}

HANDLE WINAPI
VmbusPipeClientOpenChannel(struct hvs_vmbuspipe_channel *info, DWORD flags)
{
    DWORD mode = PIPE_READMODE_MESSAGE;
    HANDLE pipe;

    if (is_set(FAKE_HANGING_EVENT)) {
        count_call(FAKE_HANGS_OPENING);
        Sleep(INFINITE);
    }
    pipe = CreateFileW(info->device_path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                       flags, NULL);
    /* A byte pipe refuses this mode, and does without. */
    if (pipe != INVALID_HANDLE_VALUE)
        SetNamedPipeHandleState(pipe, &mode, NULL, NULL);
    return pipe;
}
