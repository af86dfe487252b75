/* Overlapped reading and writing of a pipe, one operation each way at a time.
 *
 * The thread that begins operations also ends and cancels them: CancelIo, all that Windows XP has,
 * knows the operations of its own thread only.
 */
#ifndef HVS_WINDOWS_PIPE_H
#define HVS_WINDOWS_PIPE_H

#include <windows.h>

#include <stdbool.h>

/* A read or a write. Neither this nor the bytes may move or go while it is pending. */
struct hvs_pipe_operation {
    OVERLAPPED overlapped; /* hEvent: manual reset; signalled when it is done */
    bool       pending;
    bool       at_once;    /* pending, and done as soon as it began */
};

/* Makes the event. ERROR_SUCCESS or why not. */
DWORD hvs_pipe_operation_init(struct hvs_pipe_operation *operation);
/* Not while pending. Safe on a zeroed struct, and twice. */
void hvs_pipe_operation_close(struct hvs_pipe_operation *operation);

/* Not while pending. ERROR_SUCCESS: it is pending, even if it was done at once: the result is got
 * by hvs_pipe_result(). Any other error: it is not. */
DWORD hvs_pipe_read(HANDLE pipe, struct hvs_pipe_operation *operation, void *bytes, DWORD size);
DWORD hvs_pipe_write(HANDLE pipe, struct hvs_pipe_operation *operation, const void *bytes,
                     DWORD length);

/* Only while pending. ERROR_IO_INCOMPLETE: still under way. Anything else is the end of it, *moved
 * bytes were moved: ERROR_SUCCESS; ERROR_MORE_DATA: a read got the first part of a message, the
 * next read gets more; other errors. The event stays signalled until the next one begins, so wait
 * for that of a pending one only. */
DWORD hvs_pipe_result(HANDLE pipe, struct hvs_pipe_operation *operation, DWORD *moved);

/* Cancels what is pending of count operations and waits for its end. false: the driver keeps some
 * of them for longer than HVS_PIPE_CANCEL_TIMEOUT milliseconds, and with them the memory. */
#define HVS_PIPE_CANCEL_TIMEOUT 1000u
bool hvs_pipe_cancel(HANDLE pipe, struct hvs_pipe_operation *const *operations, unsigned count);

#endif
