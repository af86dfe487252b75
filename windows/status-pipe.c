#include "status-pipe.h"

#include "clock.h"
#include "log.h"
#include "os.h"
#include "pipe.h"

#include "common/status.h"

#include <sddl.h>
#include <stdlib.h>
#include <string.h>

/* Clients that can be served at a time. */
#define INSTANCES HVS_STATUS_PIPE_HANDLES

/* Nobody from the network; everything for the system and administrators; who is logged on reads and
 * writes data and attributes, but makes no instances (FILE_CREATE_PIPE_INSTANCE is what
 * FILE_GENERIC_WRITE would add): else anyone could pose as the service. */
#define ACCESS L"D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x0012019b;;;AU)"

enum stage { LISTENING, READING, WAITING, WRITING, BROKEN };

struct instance {
    HANDLE                    pipe;
    enum stage                stage;
    struct hvs_pipe_operation operation;
    uint64_t                  deadline; /* of the client; 0: there is none */
    char                      request[HVS_STATUS_PIPE_REQUEST_MAX];
    char                     *answer;   /* HVS_STATUS_JSON_MAX bytes */
};

struct hvs_status_pipe {
    const struct hvs_status_pipe_callbacks *callbacks;
    void                                   *user_data;
    struct instance                         instances[INSTANCES];
};

static void listen_again(struct instance *instance);

/* ---- requests ---- */

static bool
is_administrator(HANDLE pipe)
{
    bool is;

    if (!ImpersonateNamedPipeClient(pipe))
        return false;
    is = hvs_os_is_administrator();
    /* Going on as somebody else is worse than not going on. */
    if (!RevertToSelf())
        abort();
    return is;
}

bool
hvs_status_pipe_parse_id(const char *digits, uint32_t *id)
{
    uint64_t value = 0;

    for (const char *digit = digits; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        value = value * 10 + (uint64_t)(*digit - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *id = (uint32_t)value;
    return *digits != '\0';
}

static void
disconnect(struct hvs_status_pipe *status_pipe, HANDLE pipe, const char *digits,
           struct hvs_text *answer)
{
    uint32_t id;

    if (!hvs_status_pipe_parse_id(digits, &id))
        hvs_text_add(answer, "error: disconnect takes the number of a session, as in disconnect 3");
    else if (!is_administrator(pipe))
        hvs_text_add(answer, "error: only administrators may end sessions; run this from an "
                             "elevated command prompt (Run as administrator)");
    else if (!status_pipe->callbacks->disconnect(id, status_pipe->user_data))
        hvs_text_add(answer, "error: there is no such session; hvsession status lists those that "
                             "there are");
    else
        hvs_text_add(answer, "ok");
}

/* false: later. */
static bool
answer_request(struct hvs_status_pipe *status_pipe, struct instance *instance, size_t length,
               struct hvs_text *answer)
{
    static const char disconnect_word[] = "disconnect ";
    const struct hvs_status_pipe_callbacks *callbacks = status_pipe->callbacks;
    void *user_data = status_pipe->user_data;
    const char *request = instance->request;

    instance->request[length] = '\0';
    if (strcmp(request, "status-json") == 0)
        callbacks->status(true, answer, user_data);
    else if (strcmp(request, "status-text") == 0)
        callbacks->status(false, answer, user_data);
    else if (strcmp(request, "sessions-json") == 0)
        callbacks->sessions(true, answer, user_data);
    else if (strcmp(request, "sessions-text") == 0)
        callbacks->sessions(false, answer, user_data);
    else if (strcmp(request, "facts") == 0)
        callbacks->facts(answer, user_data);
    else if (strcmp(request, "doctor-json") == 0)
        return callbacks->doctor(answer, user_data);
    else if (strncmp(request, disconnect_word, sizeof disconnect_word - 1) == 0)
        disconnect(status_pipe, instance->pipe, request + sizeof disconnect_word - 1, answer);
    else
        hvs_text_add(answer, "error: requests are status-json, status-text, sessions-json, "
                             "sessions-text, doctor-json, facts and disconnect ID");
    return true;
}

/* ---- one client after another ---- */

static void
begin_reading(struct instance *instance)
{
    instance->stage = READING;
    instance->deadline = hvs_clock_now() + HVS_STATUS_PIPE_PATIENCE;
    if (hvs_pipe_read(instance->pipe, &instance->operation, instance->request,
                      sizeof instance->request - 1) != ERROR_SUCCESS)
        listen_again(instance);
}

static void
listen_again(struct instance *instance)
{
    struct hvs_pipe_operation *operation = &instance->operation;
    HANDLE event = operation->overlapped.hEvent;

    instance->deadline = 0;
    if (operation->pending && !hvs_pipe_cancel(instance->pipe, &operation, 1)) {
        instance->stage = BROKEN;
        return;
    }
    DisconnectNamedPipe(instance->pipe);
    instance->stage = LISTENING;
    operation->overlapped = (OVERLAPPED) { .hEvent = event };
    ResetEvent(event);
    if (ConnectNamedPipe(instance->pipe, &operation->overlapped) ||
        GetLastError() == ERROR_PIPE_CONNECTED) {
        begin_reading(instance);
    } else if (GetLastError() == ERROR_IO_PENDING) {
        operation->pending = true;
    } else {
        hvs_log_failure(HVS_LOG_WARNING, GetLastError(), "listening on the status pipe");
        instance->stage = BROKEN;
    }
}

static void
begin_writing(struct instance *instance, size_t length)
{
    instance->stage = WRITING;
    instance->deadline = hvs_clock_now() + HVS_STATUS_PIPE_PATIENCE;
    if (hvs_pipe_write(instance->pipe, &instance->operation, instance->answer, (DWORD)length) !=
        ERROR_SUCCESS)
        listen_again(instance);
}

static void
begin_answering(struct hvs_status_pipe *status_pipe, struct instance *instance, DWORD length)
{
    struct hvs_text answer;

    hvs_text_init(&answer, instance->answer, HVS_STATUS_JSON_MAX);
    if (answer_request(status_pipe, instance, length, &answer)) {
        begin_writing(instance, answer.length);
    } else {
        instance->stage = WAITING;
        instance->deadline = hvs_clock_now() + HVS_STATUS_PIPE_LONG_PATIENCE;
    }
}

void
hvs_status_pipe_answer(struct hvs_status_pipe *status_pipe, const char *answer)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct instance *instance = &status_pipe->instances[i];
        struct hvs_text text;

        if (instance->stage != WAITING)
            continue;
        hvs_text_init(&text, instance->answer, HVS_STATUS_JSON_MAX);
        hvs_text_add(&text, answer);
        begin_writing(instance, text.length);
    }
}

/* What was under way has come to its end. */
static void
go_on(struct hvs_status_pipe *status_pipe, struct instance *instance)
{
    DWORD moved, error = hvs_pipe_result(instance->pipe, &instance->operation, &moved);

    if (error == ERROR_IO_INCOMPLETE)
        return;
    if (error != ERROR_SUCCESS)
        listen_again(instance);
    else if (instance->stage == READING)
        begin_answering(status_pipe, instance, moved);
    else
        /* A client has come, or got its answer. There, reading waits for it to close: dropped
         * before, it could lose the answer. */
        begin_reading(instance);
}

void
hvs_status_pipe_dispatch(struct hvs_status_pipe *status_pipe)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct instance *instance = &status_pipe->instances[i];

        if (instance->operation.pending &&
            HasOverlappedIoCompleted(&instance->operation.overlapped))
            go_on(status_pipe, instance);
        if (instance->deadline != 0 && hvs_clock_now() >= instance->deadline)
            listen_again(instance);
    }
}

unsigned
hvs_status_pipe_handles(const struct hvs_status_pipe *status_pipe,
                        HANDLE handles[HVS_STATUS_PIPE_HANDLES])
{
    unsigned count = 0;

    for (unsigned i = 0; i < INSTANCES; i++)
        if (status_pipe->instances[i].stage != BROKEN &&
            status_pipe->instances[i].operation.pending)
            handles[count++] = status_pipe->instances[i].operation.overlapped.hEvent;
    return count;
}

uint64_t
hvs_status_pipe_deadline(const struct hvs_status_pipe *status_pipe)
{
    uint64_t earliest = 0;

    for (unsigned i = 0; i < INSTANCES; i++) {
        uint64_t deadline = status_pipe->instances[i].deadline;

        if (status_pipe->instances[i].stage != BROKEN && deadline != 0 &&
            (earliest == 0 || deadline < earliest))
            earliest = deadline;
    }
    return earliest;
}

/* ---- life ---- */

static DWORD
open_instance(struct instance *instance, SECURITY_ATTRIBUTES *access, bool first)
{
    DWORD error = hvs_pipe_operation_init(&instance->operation);

    if (error != ERROR_SUCCESS)
        return error;
    instance->answer = malloc(HVS_STATUS_JSON_MAX);
    if (instance->answer == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    instance->pipe = CreateNamedPipeW(
        HVS_STATUS_PIPE_NAME,
        PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
        PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT, INSTANCES, HVS_STATUS_JSON_MAX,
        HVS_STATUS_PIPE_REQUEST_MAX, HVS_STATUS_PIPE_PATIENCE, access);
    if (instance->pipe == INVALID_HANDLE_VALUE) {
        instance->pipe = NULL;
        return GetLastError();
    }
    listen_again(instance);
    return ERROR_SUCCESS;
}

static DWORD
open_instances(struct hvs_status_pipe *status_pipe)
{
    SECURITY_ATTRIBUTES access = { .nLength = sizeof access };
    DWORD error = ERROR_SUCCESS;

    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
            ACCESS, SDDL_REVISION_1, &access.lpSecurityDescriptor, NULL))
        return GetLastError();
    for (unsigned i = 0; i < INSTANCES && error == ERROR_SUCCESS; i++)
        error = open_instance(&status_pipe->instances[i], &access, i == 0);
    LocalFree(access.lpSecurityDescriptor);
    return error;
}

DWORD
hvs_status_pipe_new(const struct hvs_status_pipe_callbacks *callbacks, void *user_data,
                    struct hvs_status_pipe **status_pipe)
{
    struct hvs_status_pipe *made = calloc(1, sizeof *made);
    DWORD error;

    *status_pipe = NULL;
    if (made == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    made->callbacks = callbacks;
    made->user_data = user_data;
    error = open_instances(made);
    if (error != ERROR_SUCCESS) {
        hvs_status_pipe_free(made);
        return error;
    }
    *status_pipe = made;
    return ERROR_SUCCESS;
}

void
hvs_status_pipe_free(struct hvs_status_pipe *status_pipe)
{
    bool kept = false;

    if (status_pipe == NULL)
        return;
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct instance *instance = &status_pipe->instances[i];
        struct hvs_pipe_operation *operation = &instance->operation;

        if (instance->pipe != NULL) {
            kept |= operation->pending && !hvs_pipe_cancel(instance->pipe, &operation, 1);
            CloseHandle(instance->pipe);
        }
        if (operation->pending)
            continue;
        hvs_pipe_operation_close(operation);
        free(instance->answer);
    }
    /* The system writes into what it has not given back. */
    if (!kept)
        free(status_pipe);
}

/* ---- the client's side ---- */

static DWORD
open_client(HANDLE *pipe)
{
    for (;;) {
        /* The service may learn who asks, but not act as them. */
        *pipe = CreateFileW(HVS_STATUS_PIPE_NAME, FILE_READ_DATA | FILE_WRITE_DATA |
                                FILE_WRITE_ATTRIBUTES | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                            0, NULL, OPEN_EXISTING,
                            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
                            NULL);
        if (*pipe != INVALID_HANDLE_VALUE)
            return ERROR_SUCCESS;
        if (GetLastError() != ERROR_PIPE_BUSY)
            return GetLastError();
        if (!WaitNamedPipeW(HVS_STATUS_PIPE_NAME, HVS_STATUS_PIPE_PATIENCE))
            return GetLastError();
    }
}

/* *moved bytes of an answer of at most HVS_STATUS_JSON_MAX. A service that hangs must not hang who
 * asks it what is wrong. */
static DWORD
transact(HANDLE pipe, const char *request, char *buffer, DWORD *moved)
{
    DWORD mode = PIPE_READMODE_MESSAGE, wait;
    /* Without an event: the pipe is what is waited for, nothing else is under way on it. */
    OVERLAPPED overlapped = { .hEvent = NULL };

    /* The request is only read. */
    if (!SetNamedPipeHandleState(pipe, &mode, NULL, NULL) ||
        (!TransactNamedPipe(pipe, (void *)(uintptr_t)request, (DWORD)strlen(request), buffer,
                            HVS_STATUS_JSON_MAX, NULL, &overlapped) &&
         GetLastError() != ERROR_IO_PENDING))
        return GetLastError();
    wait = WaitForSingleObject(pipe, HVS_STATUS_PIPE_ANSWER_TIMEOUT);
    if (wait != WAIT_OBJECT_0)
        CancelIo(pipe);
    if (GetOverlappedResult(pipe, &overlapped, moved, TRUE))
        return ERROR_SUCCESS;
    return wait == WAIT_TIMEOUT ? ERROR_TIMEOUT : GetLastError();
}

DWORD
hvs_status_pipe_ask(const char *request, struct hvs_text *answer)
{
    char *buffer = malloc(HVS_STATUS_JSON_MAX);
    DWORD moved = 0, error;
    HANDLE pipe;

    if (buffer == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    error = open_client(&pipe);
    if (error == ERROR_SUCCESS) {
        error = transact(pipe, request, buffer, &moved);
        if (error == ERROR_SUCCESS)
            hvs_text_add_bytes(answer, buffer, moved);
        CloseHandle(pipe);
    }
    free(buffer);
    return error;
}
