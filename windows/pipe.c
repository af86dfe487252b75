#include "pipe.h"

DWORD
hvs_pipe_operation_init(struct hvs_pipe_operation *operation)
{
    *operation = (struct hvs_pipe_operation) { .pending = false };
    operation->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    return operation->overlapped.hEvent != NULL ? ERROR_SUCCESS : GetLastError();
}

void
hvs_pipe_operation_close(struct hvs_pipe_operation *operation)
{
    if (operation->overlapped.hEvent != NULL)
        CloseHandle(operation->overlapped.hEvent);
    operation->overlapped.hEvent = NULL;
}

/* What ReadFile() or WriteFile() said, told apart: did it begin? */
static DWORD
begun(struct hvs_pipe_operation *operation, BOOL done)
{
    DWORD error = done ? ERROR_SUCCESS : GetLastError();

    /* ERROR_MORE_DATA is a result, not a refusal: it is told again at the end. */
    operation->at_once = error == ERROR_SUCCESS || error == ERROR_MORE_DATA;
    operation->pending = operation->at_once || error == ERROR_IO_PENDING;
    return operation->pending ? ERROR_SUCCESS : error;
}

/* The system resets the event itself when an operation begins. */
static void
prepare(struct hvs_pipe_operation *operation)
{
    operation->overlapped = (OVERLAPPED) { .hEvent = operation->overlapped.hEvent };
}

DWORD
hvs_pipe_read(HANDLE pipe, struct hvs_pipe_operation *operation, void *bytes, DWORD size)
{
    prepare(operation);
    return begun(operation, ReadFile(pipe, bytes, size, NULL, &operation->overlapped));
}

DWORD
hvs_pipe_write(HANDLE pipe, struct hvs_pipe_operation *operation, const void *bytes, DWORD length)
{
    prepare(operation);
    return begun(operation, WriteFile(pipe, bytes, length, NULL, &operation->overlapped));
}

DWORD
hvs_pipe_result(HANDLE pipe, struct hvs_pipe_operation *operation, DWORD *moved)
{
    DWORD error = ERROR_SUCCESS;

    *moved = 0;
    /* The system says so in the structure first and sets the event then: taken before that, the
     * event would stay set over the next operation. */
    if (!operation->at_once &&
        (!HasOverlappedIoCompleted(&operation->overlapped) ||
         WaitForSingleObject(operation->overlapped.hEvent, 0) != WAIT_OBJECT_0))
        return ERROR_IO_INCOMPLETE;
    if (!GetOverlappedResult(pipe, &operation->overlapped, moved, FALSE))
        error = GetLastError();
    if (error == ERROR_IO_INCOMPLETE)
        return error;
    operation->pending = operation->at_once = false;
    return error;
}

bool
hvs_pipe_cancel(HANDLE pipe, struct hvs_pipe_operation *const *operations, unsigned count)
{
    DWORD began = GetTickCount(), moved;

    CancelIo(pipe);
    for (unsigned i = 0; i < count; i++) {
        struct hvs_pipe_operation *operation = operations[i];
        DWORD passed = GetTickCount() - began;

        if (!operation->pending)
            continue;
        if (WaitForSingleObject(operation->overlapped.hEvent,
                                passed < HVS_PIPE_CANCEL_TIMEOUT
                                    ? HVS_PIPE_CANCEL_TIMEOUT - passed
                                    : 0) != WAIT_OBJECT_0)
            return false;
        GetOverlappedResult(pipe, &operation->overlapped, &moved, TRUE);
        operation->pending = operation->at_once = false;
    }
    return true;
}
