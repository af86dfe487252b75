#include "link.h"

#include "windows/service.h"
#include "windows/status-pipe.h"
#include "windows/watch-pipe.h"
#include "windows/wide.h"

#include <objbase.h>
#include <process.h>
#include <shellapi.h>
#include <stdlib.h>
#include <string.h>

/* While there is no service to wait on, it is looked for after that pause, in milliseconds. */
#define LOOK_PAUSE 2000u
/* hvsession doctor looks at many things, each with time-outs of its own. Milliseconds. */
#define DOCTOR_TIMEOUT 60000u

static struct {
    HWND             window;
    HANDLE           thread;
    HANDLE           stop; /* manual-reset event */
    HANDLE           look; /* auto-reset event: now is a good time to look for the service */
    enum hvs_service told;
} watch;

/* ---- telling the window ---- */

/* Takes the memory, also if nobody is there. */
static void
post(HWND window, UINT message, WPARAM wparam, struct hvs_document *document)
{
    if (!PostMessageW(window, message, wparam, (LPARAM)document))
        free(document);
}

static struct hvs_document *
make_document(const char *bytes, size_t length)
{
    struct hvs_document *document = malloc(sizeof *document + length);

    if (document == NULL)
        return NULL;
    document->length = length;
    memcpy(document->bytes, bytes, length);
    return document;
}

static void
tell_service(enum hvs_service service)
{
    if (watch.told == service)
        return;
    watch.told = service;
    if (service != HVS_SERVICE_UP)
        PostMessageW(watch.window, WM_HVS_SERVICE, (WPARAM)service, 0);
}

static void
tell_status(const char *bytes, size_t length)
{
    struct hvs_document *document = make_document(bytes, length);

    if (document == NULL)
        return;
    tell_service(HVS_SERVICE_UP);
    post(watch.window, WM_HVS_STATUS, 0, document);
}

/* ---- watching ---- */

/* false: the pipe is over, or all is. */
static bool
read_document(HANDLE pipe, OVERLAPPED *overlapped, char *buffer)
{
    HANDLE handles[] = { watch.stop, overlapped->hEvent };
    DWORD length;

    ResetEvent(overlapped->hEvent);
    if (!ReadFile(pipe, buffer, HVS_STATUS_JSON_MAX, NULL, overlapped) &&
        GetLastError() != ERROR_IO_PENDING)
        return false;
    if (WaitForMultipleObjects(ARRAYSIZE(handles), handles, FALSE, INFINITE) != WAIT_OBJECT_0 + 1) {
        CancelIo(pipe);
        GetOverlappedResult(pipe, overlapped, &length, TRUE);
        return false;
    }
    if (!GetOverlappedResult(pipe, overlapped, &length, FALSE))
        return false;
    tell_status(buffer, length);
    return true;
}

/* Whether anything came. */
static bool
watch_pipe(HANDLE pipe, char *buffer)
{
    OVERLAPPED overlapped = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    bool came = false;

    while (overlapped.hEvent != NULL && read_document(pipe, &overlapped, buffer))
        came = true;
    if (overlapped.hEvent != NULL)
        CloseHandle(overlapped.hEvent);
    return came;
}

static enum hvs_service
why_not(DWORD error)
{
    DWORD state;

    if (error == ERROR_PIPE_BUSY)
        return HVS_SERVICE_BUSY;
    return hvs_service_state(&state) == ERROR_SERVICE_DOES_NOT_EXIST ? HVS_SERVICE_ABSENT
                                                                     : HVS_SERVICE_DOWN;
}

static unsigned __stdcall
run_watch(void *argument)
{
    HANDLE handles[] = { watch.stop, watch.look };
    DWORD pause = 0;
    char *buffer = argument;

    while (WaitForMultipleObjects(ARRAYSIZE(handles), handles, FALSE, pause) != WAIT_OBJECT_0) {
        HANDLE pipe;
        DWORD error = hvs_watch_pipe_open(&pipe);

        pause = LOOK_PAUSE;
        if (error != ERROR_SUCCESS) {
            tell_service(why_not(error));
            continue;
        }
        /* It may be there again at once, as after a restart; but who says nothing and goes is not
         * asked in a circle. */
        if (watch_pipe(pipe, buffer))
            pause = 0;
        CloseHandle(pipe);
    }
    free(buffer);
    return 0;
}

DWORD
hvs_link_start(HWND window)
{
    char *buffer = malloc(HVS_STATUS_JSON_MAX);

    watch.window = window;
    watch.told = HVS_SERVICE_UNKNOWN;
    watch.stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    watch.look = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (buffer == NULL || watch.stop == NULL || watch.look == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    watch.thread = (HANDLE)_beginthreadex(NULL, 0, run_watch, buffer, 0, NULL);
    return watch.thread != NULL ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

void
hvs_link_stop(void)
{
    if (watch.thread != NULL) {
        SetEvent(watch.stop);
        WaitForSingleObject(watch.thread, INFINITE);
        CloseHandle(watch.thread);
        watch.thread = NULL;
    }
    if (watch.stop != NULL)
        CloseHandle(watch.stop);
    if (watch.look != NULL)
        CloseHandle(watch.look);
    watch.stop = watch.look = NULL;
}

/* ---- asking ---- */

struct job {
    HWND            window;
    enum hvs_action action;
    uint32_t        id;
};

static void
begin_job(LPTHREAD_START_ROUTINE run, HWND window, enum hvs_action action, uint32_t id)
{
    struct job *job = malloc(sizeof *job);

    if (job == NULL)
        return;
    *job = (struct job) { window, action, id };
    if (!QueueUserWorkItem(run, job, WT_EXECUTELONGFUNCTION))
        free(job);
}

/* NULL and *error: there is no answer, or it is one that says no. */
static struct hvs_document *
ask(const char *request, DWORD *error)
{
    char *buffer = malloc(HVS_STATUS_JSON_MAX + 1);
    struct hvs_document *document = NULL;
    struct hvs_text answer;

    *error = ERROR_NOT_ENOUGH_MEMORY;
    if (buffer == NULL)
        return NULL;
    hvs_text_init(&answer, buffer, HVS_STATUS_JSON_MAX + 1);
    *error = hvs_status_pipe_ask(request, &answer);
    if (*error == ERROR_SUCCESS && buffer[0] != '{')
        *error = ERROR_INVALID_FUNCTION;
    if (*error == ERROR_SUCCESS)
        document = make_document(buffer, answer.length);
    free(buffer);
    return document;
}

static DWORD WINAPI
run_status(void *argument)
{
    struct job *job = argument;
    DWORD error;
    struct hvs_document *document = ask("status-json", &error);

    if (document != NULL)
        post(job->window, WM_HVS_STATUS, 0, document);
    free(job);
    return 0;
}

void
hvs_link_ask_status(HWND window)
{
    begin_job(run_status, window, HVS_ACTION_START, 0);
}

/* ---- the diagnosis ---- */

/* A file beside this program. */
static bool
find_neighbour(const WCHAR *name, WCHAR *path, size_t size)
{
    DWORD length = GetModuleFileNameW(NULL, path, (DWORD)size);

    if (length == 0 || length >= size)
        return false;
    while (length > 0 && path[length - 1] != L'\\')
        length--;
    path[length] = L'\0';
    return hvs_wide_append(path, size, name);
}

/* hvsession.exe doctor --json, without a window; its output goes to the write end. */
static DWORD
start_doctor(HANDLE write_end, HANDLE *process)
{
    STARTUPINFOW startup = { .cb = sizeof startup,
                             .dwFlags = STARTF_USESTDHANDLES,
                             .hStdOutput = write_end,
                             .hStdError = write_end };
    WCHAR program[MAX_PATH], command[MAX_PATH + 32];
    PROCESS_INFORMATION started;

    if (!find_neighbour(L"hvsession.exe", program, ARRAYSIZE(program)) ||
        !hvs_wide_format(command, ARRAYSIZE(command), L"\"%ls\" doctor --json", program))
        return ERROR_BAD_PATHNAME;
    if (!CreateProcessW(program, command, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &startup,
                        &started))
        return GetLastError();
    CloseHandle(started.hThread);
    *process = started.hProcess;
    return ERROR_SUCCESS;
}

/* All that comes out, until the process has ended. */
static size_t
read_all(HANDLE read_end, char *buffer, size_t size)
{
    size_t length = 0;
    DWORD got;

    while (length < size &&
           ReadFile(read_end, buffer + length, (DWORD)(size - length), &got, NULL) && got > 0)
        length += got;
    return length;
}

static struct hvs_document *
run_doctor(DWORD *error)
{
    SECURITY_ATTRIBUTES inherit = { .nLength = sizeof inherit, .bInheritHandle = TRUE };
    HANDLE read_end = NULL, write_end = NULL, process = NULL;
    char *buffer = malloc(HVS_DIAGNOSIS_JSON_MAX);
    struct hvs_document *document = NULL;
    size_t length;

    *error = ERROR_NOT_ENOUGH_MEMORY;
    if (buffer == NULL)
        return NULL;
    if (!CreatePipe(&read_end, &write_end, &inherit, 0) ||
        !SetHandleInformation(read_end, HANDLE_FLAG_INHERIT, 0))
        *error = GetLastError();
    else
        *error = start_doctor(write_end, &process);
    if (write_end != NULL)
        CloseHandle(write_end);
    if (process != NULL) {
        length = read_all(read_end, buffer, HVS_DIAGNOSIS_JSON_MAX);
        if (WaitForSingleObject(process, DOCTOR_TIMEOUT) != WAIT_OBJECT_0)
            *error = ERROR_TIMEOUT;
        else if (length == 0 || buffer[0] != '{')
            *error = ERROR_INVALID_FUNCTION;
        else
            document = make_document(buffer, length);
        CloseHandle(process);
    }
    if (read_end != NULL)
        CloseHandle(read_end);
    free(buffer);
    return document;
}

static DWORD WINAPI
run_diagnosis(void *argument)
{
    struct job *job = argument;
    DWORD error;
    struct hvs_document *document = ask("doctor-json", &error);

    if (document == NULL)
        document = run_doctor(&error);
    post(job->window, WM_HVS_DIAGNOSIS, (WPARAM)error, document);
    free(job);
    return 0;
}

void
hvs_link_diagnose(HWND window)
{
    begin_job(run_diagnosis, window, HVS_ACTION_START, 0);
}

/* ---- acting ---- */

static const WCHAR *const action_names[] = {
    [HVS_ACTION_START] = L"start",
    [HVS_ACTION_RESTART] = L"restart",
    [HVS_ACTION_DISCONNECT] = L"disconnect",
};

static DWORD
disconnect(uint32_t id)
{
    char request[32], answer[256];
    struct hvs_text text;
    DWORD error;

    hvs_text_init(&text, request, sizeof request);
    hvs_text_add(&text, "disconnect ");
    hvs_text_add_u64(&text, id);
    hvs_text_init(&text, answer, sizeof answer);
    error = hvs_status_pipe_ask(request, &text);
    if (error != ERROR_SUCCESS)
        return error;
    if (strcmp(answer, "ok") == 0 || strstr(answer, "no such session") != NULL)
        return ERROR_SUCCESS;
    return strstr(answer, "administrators") != NULL ? ERROR_ACCESS_DENIED : ERROR_INVALID_FUNCTION;
}

DWORD
hvs_link_act_now(enum hvs_action action, uint32_t id)
{
    DWORD error = ERROR_SUCCESS;

    if (action == HVS_ACTION_DISCONNECT)
        return disconnect(id);
    if (action == HVS_ACTION_RESTART)
        error = hvs_service_stop();
    return error == ERROR_SUCCESS ? hvs_service_start() : error;
}

/* Vista and later, where administrators have to say yes first; before, they just are. */
static bool
can_elevate(void)
{
    OSVERSIONINFOW version = { .dwOSVersionInfoSize = sizeof version };

    return GetVersionExW(&version) && version.dwMajorVersion >= 6;
}

static DWORD
act_elevated(HWND window, enum hvs_action action, uint32_t id)
{
    WCHAR program[MAX_PATH], arguments[64];
    SHELLEXECUTEINFOW execute = {
        .cbSize = sizeof execute,
        .fMask = SEE_MASK_NOCLOSEPROCESS | SEE_MASK_FLAG_NO_UI,
        .hwnd = window,
        .lpVerb = L"runas",
        .lpFile = program,
        .lpParameters = arguments,
        .nShow = SW_HIDE,
    };
    DWORD length = GetModuleFileNameW(NULL, program, ARRAYSIZE(program));
    DWORD error = ERROR_BAD_PATHNAME;

    if (length == 0 || length >= ARRAYSIZE(program))
        return error;
    hvs_wide_format(arguments, ARRAYSIZE(arguments), L"--act %ls %u", action_names[action], id);
    if (!ShellExecuteExW(&execute) || execute.hProcess == NULL)
        return GetLastError();
    WaitForSingleObject(execute.hProcess, INFINITE);
    GetExitCodeProcess(execute.hProcess, &error);
    CloseHandle(execute.hProcess);
    return error;
}

static DWORD WINAPI
run_action(void *argument)
{
    struct job *job = argument;
    /* What the shell starts may need COM. */
    bool initialized = SUCCEEDED(CoInitializeEx(NULL, COINIT_APARTMENTTHREADED));
    DWORD error = hvs_link_act_now(job->action, job->id);

    if (error == ERROR_ACCESS_DENIED && can_elevate())
        error = act_elevated(job->window, job->action, job->id);
    if (watch.look != NULL)
        SetEvent(watch.look);
    PostMessageW(job->window, WM_HVS_DONE, (WPARAM)job->action, (LPARAM)error);
    if (initialized)
        CoUninitialize();
    free(job);
    return 0;
}

void
hvs_link_act(HWND window, enum hvs_action action, uint32_t id)
{
    begin_job(run_action, window, action, id);
}

bool
hvs_link_parse_action(const WCHAR *arguments, enum hvs_action *action, uint32_t *id)
{
    static const WCHAR option[] = L"--act ";

    if (wcsncmp(arguments, option, ARRAYSIZE(option) - 1) != 0)
        return false;
    arguments += ARRAYSIZE(option) - 1;
    for (size_t i = 0; i < ARRAYSIZE(action_names); i++) {
        size_t length = wcslen(action_names[i]);

        if (wcsncmp(arguments, action_names[i], length) != 0 || arguments[length] != L' ')
            continue;
        *action = (enum hvs_action)i;
        *id = wcstoul(arguments + length, NULL, 10);
        return true;
    }
    return false;
}
