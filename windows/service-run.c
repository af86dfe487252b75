#include "service.h"

#include "daemon.h"
#include "log.h"
#include "os.h"
#include "registry.h"
#include "wide.h"

#include <process.h>

/* How long the SCM is told to wait for a step, in milliseconds. */
#define STEP_HINT 5000u
/* Of Windows Vista: from then on a STOPPED with an error is a failure to the SCM. */
#define OS_VISTA 600u

/* ServiceMain has no argument of ours, and a process has one service. */
static struct {
    SERVICE_STATUS_HANDLE handle;
    SERVICE_STATUS        status;
    struct hvs_daemon    *daemon;
    CRITICAL_SECTION      lock; /* the status: main, the handler and the guard report */
    HANDLE                stopping, ended; /* manual-reset events: what the guard waits for */
    const char *volatile  doing; /* of the daemon's thread */
    volatile LONG         error; /* why the service ends; NO_ERROR: somebody wants it to */
} service;

static void
report(DWORD state, DWORD error)
{
    SERVICE_STATUS *status = &service.status;
    bool pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;

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
    status->dwWaitHint = pending ? STEP_HINT : 0;
    status->dwControlsAccepted =
        state == SERVICE_RUNNING
            ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_POWEREVENT |
                  SERVICE_ACCEPT_SESSIONCHANGE
            : 0;
    if (!SetServiceStatus(service.handle, status))
        hvs_log_failure(HVS_LOG_WARNING, GetLastError(), "telling the service manager");
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
        report(SERVICE_STOP_PENDING, NO_ERROR);
        SetEvent(service.stopping);
        hvs_daemon_stop(service.daemon);
        return NO_ERROR;
    case SERVICE_CONTROL_POWEREVENT:
        if (event == PBT_APMRESUMEAUTOMATIC || event == PBT_APMRESUMECRITICAL)
            hvs_daemon_renegotiate(service.daemon);
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

/* With an error the SCM starts the service again. Before Vista it does so only for a process that
 * vanishes without a word. */
static void
report_end(DWORD error)
{
    struct hvs_os_version os;

    hvs_os_get_version(&os);
    if (error != NO_ERROR && os.number < OS_VISTA)
        TerminateProcess(GetCurrentProcess(), error);
    report(SERVICE_STOPPED, error);
}

/* Threads may be inside of calls that nobody can interrupt. This one is there from the beginning: a
 * new thread would have to wait for one that hangs while it loads a library. */
static unsigned __stdcall
guard_end(void *argument)
{
    (void)argument;
    WaitForSingleObject(service.stopping, INFINITE);
    if (WaitForSingleObject(service.ended, HVS_DAEMON_STOP_TIMEOUT) == WAIT_OBJECT_0)
        return 0;
    hvs_log(HVS_LOG_WARNING, "did not end in time: %s; the process is ended", service.doing);
    report_end((DWORD)service.error);
    TerminateProcess(GetCurrentProcess(), ERROR_SERVICE_REQUEST_TIMEOUT);
    return 0;
}

static DWORD
start_guard(void)
{
    HANDLE thread;

    service.stopping = CreateEventW(NULL, TRUE, FALSE, NULL);
    service.ended = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (service.stopping == NULL || service.ended == NULL)
        return GetLastError();
    thread = (HANDLE)_beginthreadex(NULL, 0, guard_end, NULL, 0, NULL);
    if (thread == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    CloseHandle(thread);
    return ERROR_SUCCESS;
}

static void
run_daemon(void)
{
    DWORD error;

    hvs_daemon_tell(service.daemon, &service.doing);
    report(SERVICE_RUNNING, NO_ERROR);
    error = hvs_daemon_run(service.daemon);
    InterlockedExchange(&service.error, (LONG)error);
    report(SERVICE_STOP_PENDING, NO_ERROR);
    SetEvent(service.stopping);
    hvs_daemon_free(service.daemon);
    report_end(error);
    SetEvent(service.ended);
}

static void WINAPI
run_service(DWORD count, WCHAR **arguments)
{
    char problem[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_text text;
    DWORD error;

    (void)count;
    (void)arguments;
    InitializeCriticalSection(&service.lock);
    hvs_log_to_events();
    service.handle = RegisterServiceCtrlHandlerExW(HVS_SERVICE_NAME, handle_control, NULL);
    if (service.handle == NULL) {
        hvs_log_failure(HVS_LOG_ERROR, GetLastError(), "registering with the service manager");
        return;
    }
    report(SERVICE_START_PENDING, NO_ERROR);
    hvs_text_init(&text, problem, sizeof problem);
    error = start_guard();
    if (error == ERROR_SUCCESS)
        error = hvs_daemon_new(NULL, &service.daemon, &text);
    else
        hvs_wide_add_error(&text, error);
    if (error != ERROR_SUCCESS) {
        hvs_log(HVS_LOG_ERROR, "cannot start: %s", problem);
        report(SERVICE_STOPPED, error);
        return;
    }
    run_daemon();
}

DWORD
hvs_service_run(void)
{
    WCHAR name[] = HVS_SERVICE_NAME;
    const SERVICE_TABLE_ENTRYW table[] = { { name, run_service }, { NULL, NULL } };

    return StartServiceCtrlDispatcherW(table) ? ERROR_SUCCESS : GetLastError();
}
