/* The service while Windows' event log does not answer.
 *
 *     test-event-log HVSESSION.EXE VMBUSPIPE.DLL
 *
 * Wine's event log never hangs: so this program is the service, too, the code that hvsession.exe is
 * made of with other functions in the place of two of Windows'. */
#include "fixture.h"
#include "winhost.h"

#include "windows/clock.h"
#include "windows/guard.h"
#include "windows/log.h"
#include "windows/registry.h"
#include "windows/service.h"

#include "common/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* While this event exists and is set, the event log does not come back; the semaphore counts the
 * calls that wait for it. */
#define HANGING_EVENT L"Global\\hvs-event-log-hanging"
#define HANGS         L"Global\\hvs-event-log-hangs"
/* A control of our own, for one that only Windows may send: somebody has logged on. */
#define LOGGED_ON 200u

/* ---- the service ---- */

static LPHANDLER_FUNCTION_EX handle_control;
static SERVICE_STATUS_HANDLE(WINAPI *register_handler)(const WCHAR *, LPHANDLER_FUNCTION_EX,
                                                       void *);

static void
hang(void)
{
    HANDLE hanging = OpenEventW(SYNCHRONIZE, FALSE, HANGING_EVENT), hangs;

    if (hanging == NULL)
        return;
    if (WaitForSingleObject(hanging, 0) == WAIT_OBJECT_0) {
        hangs = OpenSemaphoreW(SEMAPHORE_MODIFY_STATE, FALSE, HANGS);
        ReleaseSemaphore(hangs, 1, NULL);
        Sleep(INFINITE);
    }
    CloseHandle(hanging);
}

static HANDLE WINAPI
register_source(const WCHAR *server, const WCHAR *name)
{
    (void)server;
    (void)name;
    hang();
    return GetCurrentProcess();
}

static BOOL WINAPI
report_event(HANDLE log, WORD type, WORD category, DWORD id, SID *sid, WORD count, DWORD size,
             const WCHAR **strings, void *data)
{
    (void)log;
    (void)type;
    (void)category;
    (void)id;
    (void)sid;
    (void)count;
    (void)size;
    (void)strings;
    (void)data;
    hang();
    return TRUE;
}

static DWORD WINAPI
on_control(DWORD control, DWORD event, void *data, void *context)
{
    WTSSESSION_NOTIFICATION session = { .cbSize = sizeof session, .dwSessionId = 1 };

    if (control == LOGGED_ON)
        return handle_control(SERVICE_CONTROL_SESSIONCHANGE, WTS_SESSION_LOGON, &session, context);
    return handle_control(control, event, data, context);
}

static SERVICE_STATUS_HANDLE WINAPI
register_own_handler(const WCHAR *name, LPHANDLER_FUNCTION_EX handler, void *context)
{
    handle_control = handler;
    return register_handler(name, on_control, context);
}

/* A function that this program imports; replacement points to one, as the loader stores it. */
static void
replace(const char *function, ULONG_PTR replacement)
{
    BYTE *base = (BYTE *)GetModuleHandleW(NULL);
    const IMAGE_DOS_HEADER *dos = (const IMAGE_DOS_HEADER *)base;
    const IMAGE_NT_HEADERS *headers = (const IMAGE_NT_HEADERS *)(base + dos->e_lfanew);
    const IMAGE_IMPORT_DESCRIPTOR *library =
        (const IMAGE_IMPORT_DESCRIPTOR *)(base + headers->OptionalHeader
                                                     .DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT]
                                                     .VirtualAddress);

    for (; library->Name != 0; library++) {
        const IMAGE_THUNK_DATA *name =
            (const IMAGE_THUNK_DATA *)(base + library->OriginalFirstThunk);
        IMAGE_THUNK_DATA *address = (IMAGE_THUNK_DATA *)(base + library->FirstThunk);
        DWORD before;

        for (; name->u1.AddressOfData != 0; name++, address++) {
            if (IMAGE_SNAP_BY_ORDINAL(name->u1.Ordinal) ||
                strcmp((const char *)(base + name->u1.AddressOfData + 2), function) != 0)
                continue;
            if (!VirtualProtect(address, sizeof *address, PAGE_READWRITE, &before))
                fail("VirtualProtect");
            address->u1.Function = replacement;
            return;
        }
    }
    fail("%s is not imported", function);
}

static int
run_service(void)
{
    hvs_clock_init();
    register_handler = RegisterServiceCtrlHandlerExW;
    replace("RegisterServiceCtrlHandlerExW", (ULONG_PTR)register_own_handler);
    replace("RegisterEventSourceW", (ULONG_PTR)register_source);
    replace("ReportEventW", (ULONG_PTR)report_event);
    return (int)hvs_service_run();
}

/* ---- the tests ---- */

static HANDLE hanging, hangs;

static void
begin(void)
{
    hanging = CreateEventW(NULL, TRUE, FALSE, HANGING_EVENT);
    hangs = CreateSemaphoreW(NULL, 0, LONG_MAX, HANGS);
    if (hanging == NULL || hangs == NULL)
        fail("making the event log hang");
    if (hvs_service_install() != ERROR_SUCCESS)
        fail("installing the service");
    expect(L"config set LogLevel info", 0, "");
}

static void
finish(void)
{
    CloseHandle(hanging);
    CloseHandle(hangs);
    if (hvs_service_uninstall() != ERROR_SUCCESS)
        fail("removing the service");
}

static void
wait_for_hang(void)
{
    if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
        fail("nothing is logged");
}

/* Somebody logs on, which is an event: what the service manager sends next arrives all the same. */
static void
test_stop(void)
{
    SERVICE_STATUS status;
    SC_HANDLE opened;

    begin();
    if (hvs_service_start() != ERROR_SUCCESS)
        fail("starting the service");
    wait_status("\"not-offered\"");
    SetEvent(hanging);
    opened = open_service();
    for (unsigned i = 0; i < 50; i++)
        if (!ControlService(opened, LOGGED_ON, &status))
            fail("the control does not arrive");
    CloseServiceHandle(opened);
    wait_for_hang();
    if (WaitForSingleObject(hangs, 0) == WAIT_OBJECT_0)
        fail("more than one thread waits for the event log");
    if (stop_in_time() != ERROR_SERVICE_REQUEST_TIMEOUT)
        fail("the process was not ended by force: nothing hung");
    finish();
}

/* From the first call on: it gives up by itself, and says so to the service manager. */
static void
test_start(void)
{
    SERVICE_STATUS status;
    SC_HANDLE opened;
    DWORD began, took;

    begin();
    SetEvent(hanging);
    began = GetTickCount();
    if (hvs_service_start() == ERROR_SUCCESS)
        fail("it says that it has started");
    took = GetTickCount() - began;
    wait_for_hang();
    if (took > HVS_GUARD_START_LIMIT + 2000)
        fail("the start took %lu ms", took);
    opened = open_service();
    if (!QueryServiceStatus(opened, &status) || status.dwCurrentState != SERVICE_STOPPED ||
        status.dwWin32ExitCode != ERROR_SERVICE_REQUEST_TIMEOUT)
        fail("it did not start, and is in state %lu, with error %lu", status.dwCurrentState,
             status.dwWin32ExitCode);
    CloseServiceHandle(opened);
    finish();
}

int
main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "service") == 0)
        return run_service();
    if (count != 3) {
        puts("usage: test-event-log HVSESSION.EXE VMBUSPIPE.DLL");
        return 2;
    }
    set_up(arguments[1], arguments[2]);
    test_stop();
    puts("ok stop");
    /* It takes 15 s: once is enough. */
    if (sizeof(void *) == 8) {
        test_start();
        puts("ok start");
    }
    remove_library();
    return 0;
}
