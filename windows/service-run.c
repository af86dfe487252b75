#include "service.h"

#include "daemon.h"
#include "log.h"
#include "os.h"
#include "registry.h"
#include "wide.h"

#include <process.h>

/* How long the SCM is told to wait for a step, in milliseconds. */
#define STEP_HINT 5000u
/* A start that takes longer hangs. The system's disk may be busy: it is just starting, too. */
#define START_LIMIT 15000u
/* How long the last words may take, in milliseconds. */
#define WORDS_LIMIT 200u
/* Of Windows Vista: from then on a STOPPED with an error is a failure to the SCM. */
#define OS_VISTA 600u

/* ServiceMain has no argument of ours, and a process has one service. */
static struct {
    SERVICE_STATUS_HANDLE handle;
    SERVICE_STATUS        status;
    struct hvs_daemon    *daemon; /* NULL: not yet, or not any more */
    CRITICAL_SECTION      lock;   /* status and daemon; the guard does without: it must not hang */
    HANDLE                started, stopping, ended; /* manual-reset events, for the guard */
    HANDLE                overdue, told; /* likewise, between it and who has the last words */
    HANDLE                on_guard;      /* auto-reset event: one of the two runs */
    bool                  vanishes; /* a failure is a process that vanishes: before Vista */
    const char *volatile  doing;    /* of the daemon's thread */
    volatile LONG         error;    /* why the service ends; NO_ERROR: somebody wants it to */
} service = { .doing = "loading its settings or vmbuspipe.dll" };

static void
report(DWORD state, DWORD error)
{
    SERVICE_STATUS *status = &service.status;
    bool pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
    DWORD failure = ERROR_SUCCESS;

    EnterCriticalSection(&service.lock);
    /* That is the last word, whoever said it. */
    if (status->dwCurrentState == SERVICE_STOPPED) {
        LeaveCriticalSection(&service.lock);
        return;
    }
    status->dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status->dwCheckPoint = !pending                              ? 0
                           : status->dwCurrentState == state ? status->dwCheckPoint + 1
                                                             : 1;
    status->dwCurrentState = state;
    status->dwWin32ExitCode = error;
    status->dwWaitHint = state == SERVICE_START_PENDING ? START_LIMIT : pending ? STEP_HINT : 0;
    status->dwControlsAccepted =
        state == SERVICE_RUNNING
            ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_POWEREVENT |
                  SERVICE_ACCEPT_SESSIONCHANGE
            : 0;
    if (!SetServiceStatus(service.handle, status))
        failure = GetLastError();
    LeaveCriticalSection(&service.lock);
    if (failure != ERROR_SUCCESS)
        hvs_log_failure(HVS_LOG_WARNING, failure, "telling the service manager");
}

/* The daemon may have ended itself, while the control was on its way. */
static void
call_daemon(void (*function)(struct hvs_daemon *))
{
    EnterCriticalSection(&service.lock);
    if (service.daemon != NULL)
        function(service.daemon);
    LeaveCriticalSection(&service.lock);
}

/* Which of Windows' sessions belongs to an Enhanced Session: for who reads the log. */
static void
log_session_change(DWORD event, const WTSSESSION_NOTIFICATION *session)
{
    static const char *const events[] = {
        [WTS_REMOTE_CONNECT] = "is shown over Remote Desktop",
        [WTS_REMOTE_DISCONNECT] = "is not shown over Remote Desktop any more",
        [WTS_SESSION_LOGON] = "has been logged on to",
        [WTS_SESSION_LOGOFF] = "has been logged off",
    };

    if (event < ARRAYSIZE(events) && events[event] != NULL)
        hvs_log(HVS_LOG_INFO, "session %lu of Windows %s", session->dwSessionId, events[event]);
}

static DWORD WINAPI
handle_control(DWORD control, DWORD event, void *data, void *context)
{
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        SetEvent(service.stopping);
        report(SERVICE_STOP_PENDING, NO_ERROR);
        call_daemon(hvs_daemon_stop);
        return NO_ERROR;
    case SERVICE_CONTROL_POWEREVENT:
        if (event == PBT_APMRESUMEAUTOMATIC || event == PBT_APMRESUMECRITICAL)
            call_daemon(hvs_daemon_renegotiate);
        return NO_ERROR;
    case SERVICE_CONTROL_SESSIONCHANGE:
        log_session_change(event, data);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

/* ---- the end in time ---- */

static bool
is_before_vista(void)
{
    struct hvs_os_version os;

    hvs_os_get_version(&os);
    return os.number < OS_VISTA;
}

/* With an error the SCM starts the service again. Before Vista it does so only for a process that
 * vanishes without a word. */
static void
report_end(DWORD error)
{
    if (error == NO_ERROR || !service.vanishes)
        report(SERVICE_STOPPED, error);
}

/* Both ask other processes, the SCM and the event log, which may hang as well: the guard does not
 * wait for that. */
static unsigned __stdcall
say_last_words(void *argument)
{
    (void)argument;
    SetEvent(service.on_guard);
    WaitForSingleObject(service.overdue, INFINITE);
    report_end((DWORD)service.error);
    hvs_log(HVS_LOG_WARNING, "did not %s in time: %s; the process is ended",
            WaitForSingleObject(service.started, 0) == WAIT_OBJECT_0 ? "end" : "start",
            service.doing);
    SetEvent(service.told);
    return 0;
}

static bool
is_in_time(void)
{
    const HANDLE first[] = { service.started, service.stopping };

    if (WaitForMultipleObjects(ARRAYSIZE(first), first, FALSE, START_LIMIT) == WAIT_TIMEOUT) {
        InterlockedExchange(&service.error, ERROR_SERVICE_REQUEST_TIMEOUT);
        return false;
    }
    WaitForSingleObject(service.stopping, INFINITE);
    return WaitForSingleObject(service.ended, HVS_DAEMON_STOP_TIMEOUT) == WAIT_OBJECT_0;
}

/* Threads may be inside of calls that nobody can interrupt, and hold the loader's lock while they
 * load a library: neither a new thread nor a look at what a library has would get by. So this one
 * and the one above run before anything else does, and know all that they need. */
static unsigned __stdcall
guard(void *argument)
{
    (void)argument;
    SetEvent(service.on_guard);
    if (is_in_time())
        return 0;
    SetEvent(service.overdue);
    WaitForSingleObject(service.told, WORDS_LIMIT);
    TerminateProcess(GetCurrentProcess(), ERROR_SERVICE_REQUEST_TIMEOUT);
    return 0;
}

/* Returns when it runs: a thread that is only created takes the loader's lock first. */
static DWORD
start_thread(unsigned(__stdcall *function)(void *))
{
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, function, NULL, 0, NULL);

    if (thread == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    CloseHandle(thread);
    WaitForSingleObject(service.on_guard, INFINITE);
    return ERROR_SUCCESS;
}

static DWORD
start_guard(void)
{
    HANDLE *const events[] = { &service.started, &service.stopping, &service.ended,
                               &service.overdue, &service.told };
    DWORD error;

    for (unsigned i = 0; i < ARRAYSIZE(events); i++) {
        *events[i] = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (*events[i] == NULL)
            return GetLastError();
    }
    service.on_guard = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (service.on_guard == NULL)
        return GetLastError();
    error = start_thread(say_last_words);
    return error == ERROR_SUCCESS ? start_thread(guard) : error;
}

/* Ends the service: the SCM is told, and nobody is guarded any more. */
static void
end(DWORD error)
{
    report_end(error);
    SetEvent(service.ended);
    if (error != NO_ERROR && service.vanishes)
        TerminateProcess(GetCurrentProcess(), error);
}

static void
run_daemon(struct hvs_daemon *daemon)
{
    DWORD error;

    EnterCriticalSection(&service.lock);
    service.daemon = daemon;
    LeaveCriticalSection(&service.lock);
    hvs_daemon_tell(daemon, &service.doing);
    report(SERVICE_RUNNING, NO_ERROR);
    SetEvent(service.started);
    error = hvs_daemon_run(daemon);
    InterlockedExchange(&service.error, (LONG)error);
    report(SERVICE_STOP_PENDING, NO_ERROR);
    SetEvent(service.stopping);
    EnterCriticalSection(&service.lock);
    service.daemon = NULL;
    LeaveCriticalSection(&service.lock);
    hvs_daemon_free(daemon);
    end(error);
}

static void WINAPI
run_service(DWORD count, WCHAR **arguments)
{
    char problem[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_daemon *daemon;
    struct hvs_text text;
    DWORD error;

    (void)count;
    (void)arguments;
    InitializeCriticalSection(&service.lock);
    hvs_log_to_events();
    service.vanishes = is_before_vista();
    service.handle = RegisterServiceCtrlHandlerExW(HVS_SERVICE_NAME, handle_control, NULL);
    if (service.handle == NULL) {
        hvs_log_failure(HVS_LOG_ERROR, GetLastError(), "registering with the service manager");
        return;
    }
    report(SERVICE_START_PENDING, NO_ERROR);
    hvs_text_init(&text, problem, sizeof problem);
    error = start_guard();
    if (error == ERROR_SUCCESS)
        error = hvs_daemon_new(NULL, &daemon, &text);
    else
        hvs_wide_add_error(&text, error);
    if (error != ERROR_SUCCESS) {
        hvs_log(HVS_LOG_ERROR, "cannot start: %s", problem);
        /* Also before Vista: whoever starts it is told why, and nothing would be better later. */
        report(SERVICE_STOPPED, error);
        SetEvent(service.stopping);
        SetEvent(service.ended);
        return;
    }
    run_daemon(daemon);
}

DWORD
hvs_service_run(void)
{
    WCHAR name[] = HVS_SERVICE_NAME;
    const SERVICE_TABLE_ENTRYW table[] = { { name, run_service }, { NULL, NULL } };

    if (!StartServiceCtrlDispatcherW(table))
        return GetLastError();
    /* An orderly end would wait for what hangs, and without the guard, whose turn it is. */
    if (WaitForSingleObject(service.overdue, 0) == WAIT_OBJECT_0)
        Sleep(INFINITE);
    return ERROR_SUCCESS;
}
