#include "fixture.h"

#include "winhost.h"

#include "windows/service.h"
#include "windows/status-pipe.h"

#include "common/status.h"

#include <stdio.h>
#include <string.h>
#include <strsafe.h>

#define STOP_LIMIT 2000u

/* A test has one machine. */
static WCHAR program[MAX_PATH], library[MAX_PATH], installed_library[MAX_PATH];

void
set_up(const char *program_path, const char *library_path)
{
    UINT length = GetSystemDirectoryW(installed_library, ARRAYSIZE(installed_library));

    MultiByteToWideChar(CP_ACP, 0, program_path, -1, program, ARRAYSIZE(program));
    MultiByteToWideChar(CP_ACP, 0, library_path, -1, library, ARRAYSIZE(library));
    if (length == 0 || FAILED(StringCchCatW(installed_library, ARRAYSIZE(installed_library),
                                            L"\\vmbuspipe.dll")))
        fail("GetSystemDirectory");
    hvs_service_uninstall();
    if (!CopyFileW(library, installed_library, FALSE))
        fail("copying %ls to %ls", library, installed_library);
}

void
remove_library(void)
{
    if (!DeleteFileW(installed_library))
        fail("deleting %ls", installed_library);
}

struct output {
    char  text[16384];
    DWORD status;
};

HANDLE
start_program(const WCHAR *arguments, HANDLE *read_end)
{
    SECURITY_ATTRIBUTES inherit = { .nLength = sizeof inherit, .bInheritHandle = TRUE };
    STARTUPINFOW startup = { .cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES };
    PROCESS_INFORMATION process;
    WCHAR command[1024];
    HANDLE write_end;

    if (!CreatePipe(read_end, &write_end, &inherit, 0) ||
        !SetHandleInformation(*read_end, HANDLE_FLAG_INHERIT, 0))
        fail("CreatePipe");
    startup.hStdOutput = startup.hStdError = write_end;
    StringCchPrintfW(command, ARRAYSIZE(command), L"\"%ls\" %ls", program, arguments);
    if (!CreateProcessW(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process))
        fail("CreateProcess");
    CloseHandle(write_end);
    CloseHandle(process.hThread);
    return process.hProcess;
}

void
read_output(HANDLE read_end, char *text, size_t size)
{
    DWORD length = 0, got;

    while (length < size - 1 &&
           ReadFile(read_end, text + length, (DWORD)size - 1 - length, &got, NULL) && got > 0)
        length += got;
    text[length] = '\0';
}

static void
run(const WCHAR *arguments, struct output *output)
{
    HANDLE read_end;
    HANDLE process = start_program(arguments, &read_end);

    read_output(read_end, output->text, sizeof output->text);
    CloseHandle(read_end);
    WaitForSingleObject(process, INFINITE);
    GetExitCodeProcess(process, &output->status);
    CloseHandle(process);
}

void
expect(const WCHAR *arguments, DWORD status, const char *contained)
{
    static struct output output;

    run(arguments, &output);
    if (output.status != status || strstr(output.text, contained) == NULL)
        fail("hvsession %ls: status %lu, expected %lu; said \"%s\", expected \"%s\"", arguments,
             output.status, status, output.text, contained);
}

SC_HANDLE
open_service(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS), opened;

    if (manager == NULL)
        fail("OpenSCManager");
    opened = OpenServiceW(manager, HVS_SERVICE_NAME, SERVICE_ALL_ACCESS);
    if (opened == NULL)
        fail("OpenService");
    CloseServiceHandle(manager);
    return opened;
}

DWORD
service_process(void)
{
    SERVICE_STATUS_PROCESS status;
    SC_HANDLE opened = open_service();
    DWORD size;

    if (!QueryServiceStatusEx(opened, SC_STATUS_PROCESS_INFO, (BYTE *)&status, sizeof status,
                              &size))
        fail("QueryServiceStatusEx");
    CloseServiceHandle(opened);
    return status.dwProcessId;
}

void
stop_in_time(void)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, service_process());
    DWORD began = GetTickCount(), took;

    if (process == NULL)
        fail("OpenProcess");
    if (hvs_service_stop() != ERROR_SUCCESS)
        fail("stopping the service");
    took = GetTickCount() - began;
    if (took > STOP_LIMIT)
        fail("the service took %lu ms to stop", took);
    if (WaitForSingleObject(process, STOP_LIMIT) != WAIT_OBJECT_0)
        fail("the process outlives the service");
    CloseHandle(process);
    printf("# stopped in %lu ms\n", took);
}

void
start_service(const WCHAR *server, const WCHAR *server_timeout)
{
    WCHAR command[128];

    expect(L"install", 0, "Installed");
    StringCchPrintfW(command, ARRAYSIZE(command), L"config set server %ls", server);
    expect(command, 0, "");
    StringCchPrintfW(command, ARRAYSIZE(command), L"config set ServerTimeout %ls", server_timeout);
    expect(command, 0, "");
    expect(L"start", 0, "Started");
}

void
wait_status(const char *contained)
{
    static char bytes[HVS_STATUS_JSON_MAX + 1];
    DWORD began = GetTickCount();
    struct hvs_text answer;

    do {
        hvs_text_init(&answer, bytes, sizeof bytes);
        if (hvs_status_pipe_ask("status-json", &answer) == ERROR_SUCCESS &&
            strstr(bytes, contained) != NULL)
            return;
        Sleep(20);
    } while (GetTickCount() - began < LONG_TIME);
    fail("status does not say %s but %s", contained, bytes);
}
