/* The system's vmbuspipe.dll, a part of the Hyper-V integration services, loaded at run time: on a
 * machine without them hvsession runs all the same, and says what is missing.
 *
 * Its channels are handles that read and write like overlapped pipes. Source: specs of the project,
 * checked against existing tools; there is no public documentation.
 */
#ifndef HVS_WINDOWS_VMBUSPIPE_H
#define HVS_WINDOWS_VMBUSPIPE_H

#include "common/guid.h"

#include <windows.h>

#include <stdbool.h>

/* As the library lays it out. */
struct hvs_vmbuspipe_channel {
    WCHAR device_path[MAX_PATH + 4];
};

struct hvs_vmbuspipe {
    HMODULE module;
    BOOL(WINAPI *wait_channel)(const GUID *class_id, const GUID *instance, DWORD timeout_ms,
                               struct hvs_vmbuspipe_channel *channel);
    HANDLE(WINAPI *open_channel)(struct hvs_vmbuspipe_channel *channel, DWORD flags);
};

/* From the system directory only, whatever the search path says. ERROR_MOD_NOT_FOUND,
 * ERROR_PROC_NOT_FOUND or another error of the system; then vmbuspipe is zeroed. */
DWORD hvs_vmbuspipe_load(struct hvs_vmbuspipe *vmbuspipe);
/* This is a 32-bit program on a 64-bit Windows, which has the library for 64-bit programs. */
bool hvs_vmbuspipe_is_for_64_bits(void);
void hvs_vmbuspipe_unload(struct hvs_vmbuspipe *vmbuspipe);

/* Blocks up to timeout milliseconds. ERROR_SUCCESS: the channel is there; ERROR_TIMEOUT: it is not;
 * anything else came at once and will come again at once. */
DWORD hvs_vmbuspipe_wait(const struct hvs_vmbuspipe *vmbuspipe, const struct hvs_guid *class_id,
                         const struct hvs_guid *instance, DWORD timeout,
                         struct hvs_vmbuspipe_channel *channel);
/* *pipe is an overlapped handle, the caller's to close. */
DWORD hvs_vmbuspipe_open(const struct hvs_vmbuspipe *vmbuspipe,
                         struct hvs_vmbuspipe_channel *channel, HANDLE *pipe);

/* Errors of opening, reading and writing that mean: the host has taken the channel away. */
bool hvs_vmbuspipe_is_gone(DWORD error);

#endif
