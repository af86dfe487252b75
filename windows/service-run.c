#include "service.h"

#include "daemon.h"
#include "guard.h"
#include "log.h"
#include "os.h"
#include "registry.h"
#include "wide.h"

/* How long the SCM is told to wait for a step of a stop, in milliseconds. */
#define STEP_HINT 5000u
/* Of Windows Vista: from then on a STOPPED with an error is a failure to the SCM. */
#define OS_VISTA 600u

/* ServiceMain has no argument of ours, and a process has one service. */
static struct {
    SERVICE_STATUS_HANDLE handle;
    SERVICE_STATUS        status;
    struct hvs_daemon    *daemon; /* NULL: not yet, or not any more */
    CRITICAL_SECTION      lock;     /* status and daemon */
    bool                  vanishes; /* a failure is a process that vanishes: before Vista */
    volatile LONG         error;    /* why the service ends; NO_ERROR: somebody wants it to */
} service;

static bool
is_pending(DWORD state)
{
    return state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
}

/* A pending state that is reported again gets the next checkpoint. */
static void
report(DWORD state, DWORD error)
{
    SERVICE_STATUS *status = &service.status;
    bool pending = is_pending(state);
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
    status->dwWaitHint = state == SERVICE_START_PENDING ? HVS_GUARD_START_LIMIT
                         : pending                      ? STEP_HINT
                                                        : 0;
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

/* A step of the start or of the end is done. Only then does the SCM see progress. */
static void
advance(const char *doing)
{
    DWORD state;

    hvs_guard_doing(doing);
    EnterCriticalSection(&service.lock);
    state = service.status.dwCurrentState;
    LeaveCriticalSection(&service.lock);
    if (is_pending(state))
        report(state, NO_ERROR);
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

/* Which of Windows' sessions belongs to an Enhanced Session: for who reads the log. This thread
 * must not write to it: no STOP arrives while it does. */
static void
note_session_change(DWORD event, const WTSSESSION_NOTIFICATION *session)
{
    static const char *const events[] = {
        [WTS_REMOTE_CONNECT] = "is shown over Remote Desktop",
        [WTS_REMOTE_DISCONNECT] = "is not shown over Remote Desktop any more",
        [WTS_SESSION_LOGON] = "has been logged on to",
        [WTS_SESSION_LOGOFF] = "has been logged off",
    };

    if (event >= ARRAYSIZE(events) || events[event] == NULL)
        return;
    EnterCriticalSection(&service.lock);
    if (service.daemon != NULL)
        hvs_daemon_note_session(service.daemon, session->dwSessionId, events[event]);
    LeaveCriticalSection(&service.lock);
}

static DWORD WINAPI
handle_control(DWORD control, DWORD event, void *data, void *context)
{
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        hvs_guard_stopping();
        report(SERVICE_STOP_PENDING, NO_ERROR);
        call_daemon(hvs_daemon_stop);
        return NO_ERROR;
    case SERVICE_CONTROL_POWEREVENT:
        if (event == PBT_APMRESUMEAUTOMATIC || event == PBT_APMRESUMECRITICAL)
            call_daemon(hvs_daemon_renegotiate);
        return NO_ERROR;
    case SERVICE_CONTROL_SESSIONCHANGE:
        note_session_change(event, data);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

/* ---- the end ---- */

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

static void
report_overdue(bool starting)
{
    report_end(starting ? ERROR_SERVICE_REQUEST_TIMEOUT : (DWORD)service.error);
}

/* Ends the service: the SCM is told, and nobody is guarded any more. */
static void
end(DWORD error)
{
    report_end(error);
    hvs_guard_ended();
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
    report(SERVICE_RUNNING, NO_ERROR);
    hvs_guard_started();
    error = hvs_daemon_run(daemon);
    InterlockedExchange(&service.error, (LONG)error);
    report(SERVICE_STOP_PENDING, NO_ERROR);
    hvs_guard_stopping();
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
    service.vanishes = is_before_vista();
    error = hvs_guard_start(ERROR_SERVICE_REQUEST_TIMEOUT, report_overdue);
    service.handle = RegisterServiceCtrlHandlerExW(HVS_SERVICE_NAME, handle_control, NULL);
    if (service.handle == NULL) {
        DWORD handle_error = GetLastError();

        /* Nobody can be told, and the guard ends the process. */
        hvs_log_to_events();
        hvs_log_failure(HVS_LOG_ERROR, handle_error, "registering with the service manager");
        return;
    }
    report(SERVICE_START_PENDING, NO_ERROR);
    hvs_log_to_events();
    hvs_text_init(&text, problem, sizeof problem);
    if (error == ERROR_SUCCESS)
        error = hvs_daemon_new(NULL, advance, &daemon, &text);
    else
        hvs_wide_add_error(&text, error);
    if (error != ERROR_SUCCESS) {
        hvs_log(HVS_LOG_ERROR, "cannot start: %s", problem);
        /* Also before Vista: whoever starts it is told why, and nothing would be better later. */
        report(SERVICE_STOPPED, error);
        hvs_guard_stopping();
        hvs_guard_ended();
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
    if (hvs_guard_is_overdue())
        Sleep(INFINITE);
    return ERROR_SUCCESS;
}
