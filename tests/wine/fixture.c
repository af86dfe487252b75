#include "fixture.h"

#include "fake-firewall.h"
#include "winhost.h"

#include "windows/service.h"
#include "windows/status-pipe.h"

#include "common/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strsafe.h>
#include <winternl.h>

#define STOP_LIMIT 2000u

/* A test has one machine. */
static WCHAR program[MAX_PATH], library[MAX_PATH], installed_library[MAX_PATH];

static const WCHAR *const published[] = {
    L"HvSessionState",
    L"HvSessionVersion",
    L"HvSessionLastError",
};

bool
put_library_64(bool there)
{
    bool done = true;
    void *before;

    if (sizeof(void *) != 4 || !Wow64DisableWow64FsRedirection(&before))
        return false;
    if (there)
        done = CopyFileW(library, installed_library, FALSE);
    else
        DeleteFileW(installed_library);
    Wow64RevertWow64FsRedirection(before);
    if (!done)
        fail("copying %ls for 64-bit programs", installed_library);
    return true;
}

void
set_up(const char *program_path, const char *library_path)
{
    UINT length = GetSystemDirectoryW(installed_library, ARRAYSIZE(installed_library));

    MultiByteToWideChar(CP_ACP, 0, program_path, -1, program, ARRAYSIZE(program));
    MultiByteToWideChar(CP_ACP, 0, library_path, -1, library, ARRAYSIZE(library));
    if (length == 0 ||
        FAILED(StringCchCatW(installed_library, ARRAYSIZE(installed_library), L"\\vmbuspipe.dll")))
        fail("GetSystemDirectory");
    hvs_service_uninstall();
    registry_delete_key(AZURE);
    /* What a service has told the host that a test has killed. */
    for (size_t i = 0; i < ARRAYSIZE(published); i++)
        registry_delete_value(L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest", published[i]);
    put_library();
    put_library_64(false);
}

void
put_library(void)
{
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
    char text[16384];
    DWORD status;
};

/* The token of who is an administrator, but has not chosen Run as administrator. */
static HANDLE
filter_token(void)
{
    SID_IDENTIFIER_AUTHORITY authority = SECURITY_NT_AUTHORITY;
    SID_AND_ATTRIBUTES administrators = { NULL, 0 };
    HANDLE token, filtered;

    if (!AllocateAndInitializeSid(&authority, 2, SECURITY_BUILTIN_DOMAIN_RID,
                                  DOMAIN_ALIAS_RID_ADMINS, 0, 0, 0, 0, 0, 0, &administrators.Sid) ||
        !OpenProcessToken(GetCurrentProcess(),
                          TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_QUERY, &token) ||
        !CreateRestrictedToken(token, 0, 1, &administrators, 0, NULL, 0, NULL, &filtered))
        fail("CreateRestrictedToken");
    CloseHandle(token);
    FreeSid(administrators.Sid);
    return filtered;
}

/* token NULL: this program's own. */
static HANDLE
start_program_as(HANDLE token, const WCHAR *arguments, HANDLE *read_end)
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
    if (token != NULL ? !CreateProcessAsUserW(token, NULL, command, NULL, NULL, TRUE, 0, NULL, NULL,
                                              &startup, &process)
                      : !CreateProcessW(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup,
                                        &process))
        fail("CreateProcess");
    CloseHandle(write_end);
    CloseHandle(process.hThread);
    return process.hProcess;
}

HANDLE
start_program(const WCHAR *arguments, HANDLE *read_end)
{
    return start_program_as(NULL, arguments, read_end);
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
run_as(HANDLE token, const WCHAR *arguments, struct output *output)
{
    HANDLE read_end;
    HANDLE process = start_program_as(token, arguments, &read_end);

    read_output(read_end, output->text, sizeof output->text);
    CloseHandle(read_end);
    WaitForSingleObject(process, INFINITE);
    GetExitCodeProcess(process, &output->status);
    CloseHandle(process);
}

static struct output output;

const char *
last_output(void)
{
    return output.text;
}

static void
expect_as(HANDLE token, const WCHAR *arguments, DWORD status, const char *contained)
{
    run_as(token, arguments, &output);
    if (output.status != status || strstr(output.text, contained) == NULL)
        fail("hvsession %ls: status %lu, expected %lu; said \"%s\", expected \"%s\"", arguments,
             output.status, status, output.text, contained);
}

void
expect(const WCHAR *arguments, DWORD status, const char *contained)
{
    expect_as(NULL, arguments, status, contained);
}

void
expect_without_rights(const WCHAR *arguments, DWORD status, const char *contained)
{
    HANDLE token = filter_token();

    expect_as(token, arguments, status, contained);
    CloseHandle(token);
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

DWORD
stop_in_time(void)
{
    HANDLE process = OpenProcess(SYNCHRONIZE | PROCESS_QUERY_INFORMATION, FALSE, service_process());
    DWORD began = GetTickCount(), took, status;

    if (process == NULL)
        fail("OpenProcess");
    if (hvs_service_stop() != ERROR_SUCCESS)
        fail("stopping the service");
    took = GetTickCount() - began;
    if (took > STOP_LIMIT)
        fail("the service took %lu ms to stop", took);
    if (WaitForSingleObject(process, STOP_LIMIT) != WAIT_OBJECT_0)
        fail("the process outlives the service");
    if (!GetExitCodeProcess(process, &status))
        fail("GetExitCodeProcess");
    CloseHandle(process);
    printf("# stopped in %lu ms\n", took);
    return status;
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

static void
wait_for_state(SC_HANDLE opened, DWORD state)
{
    DWORD began = GetTickCount();
    SERVICE_STATUS status;

    while (QueryServiceStatus(opened, &status) && status.dwCurrentState != state) {
        if (GetTickCount() - began > LONG_TIME)
            fail("the service is in state %lu, not %lu", status.dwCurrentState, state);
        Sleep(20);
    }
}

void
start_termservice(bool running)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE opened = OpenServiceW(manager, L"TermService", SERVICE_START | SERVICE_STOP |
                                                                 SERVICE_QUERY_STATUS);
    SERVICE_STATUS status;

    if (opened == NULL)
        fail("this Wine has no TermService");
    if (running ? StartServiceW(opened, 0, NULL) || GetLastError() == ERROR_SERVICE_ALREADY_RUNNING
                : ControlService(opened, SERVICE_CONTROL_STOP, &status) ||
                      GetLastError() == ERROR_SERVICE_NOT_ACTIVE)
        wait_for_state(opened, running ? SERVICE_RUNNING : SERVICE_STOPPED);
    else
        fail("starting or stopping TermService");
    CloseServiceHandle(opened);
    CloseServiceHandle(manager);
}

/* ---- registry ---- */

#define VIEW KEY_WOW64_64KEY

void
registry_set(const WCHAR *path, const WCHAR *name, DWORD type, const void *data, DWORD size)
{
    HKEY key;

    if (RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_SET_VALUE | VIEW, NULL, &key,
                        NULL) != ERROR_SUCCESS ||
        RegSetValueExW(key, name, 0, type, data, size) != ERROR_SUCCESS)
        fail("setting %ls\\%ls", path, name);
    RegCloseKey(key);
}

void
registry_set_number(const WCHAR *path, const WCHAR *name, DWORD number)
{
    registry_set(path, name, REG_DWORD, &number, sizeof number);
}

bool
registry_get_number(const WCHAR *path, const WCHAR *name, DWORD *number)
{
    DWORD type, size = sizeof *number;
    LONG error;
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | VIEW, &key) != ERROR_SUCCESS)
        return false;
    error = RegQueryValueExW(key, name, NULL, &type, (BYTE *)number, &size);
    RegCloseKey(key);
    return error == ERROR_SUCCESS && type == REG_DWORD;
}

void
registry_delete_value(const WCHAR *path, const WCHAR *name)
{
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_SET_VALUE | VIEW, &key) != ERROR_SUCCESS)
        return;
    RegDeleteValueW(key, name);
    RegCloseKey(key);
}

void
registry_delete_key(const WCHAR *path)
{
    WCHAR child[256], below[512];
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_READ | VIEW, &key) != ERROR_SUCCESS)
        return;
    for (;;) {
        DWORD length = ARRAYSIZE(child);

        if (RegEnumKeyExW(key, 0, child, &length, NULL, NULL, NULL, NULL) != ERROR_SUCCESS)
            break;
        StringCchPrintfW(below, ARRAYSIZE(below), L"%ls\\%ls", path, child);
        registry_delete_key(below);
    }
    RegCloseKey(key);
    StringCchCopyW(below, ARRAYSIZE(below), path);
    *wcsrchr(below, L'\\') = L'\0';
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, below, 0, KEY_READ | VIEW, &key) != ERROR_SUCCESS ||
        RegDeleteKeyW(key, wcsrchr(path, L'\\') + 1) != ERROR_SUCCESS)
        fail("deleting %ls", path);
    RegCloseKey(key);
}

/* FNV-1a */
static void
hash_bytes(uint64_t *hash, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        *hash = (*hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
}

static uint64_t
hash_key(HKEY parent, const WCHAR *name)
{
    static BYTE data[65536];
    uint64_t hash = 14695981039346656037u;
    WCHAR child[256];
    HKEY key;

    hash_bytes(&hash, name, wcslen(name) * sizeof *name);
    if (RegOpenKeyExW(parent, name, 0, KEY_READ | VIEW, &key) != ERROR_SUCCESS)
        return hash;
    hash_bytes(&hash, "there", 5);
    for (DWORD i = 0;; i++) {
        DWORD length = ARRAYSIZE(child), size = sizeof data, type;

        if (RegEnumValueW(key, i, child, &length, NULL, &type, data, &size) != ERROR_SUCCESS)
            break;
        hash_bytes(&hash, child, length * sizeof *child);
        hash_bytes(&hash, &type, sizeof type);
        hash_bytes(&hash, data, size);
    }
    for (DWORD i = 0;; i++) {
        DWORD length = ARRAYSIZE(child);
        uint64_t below;

        if (RegEnumKeyExW(key, i, child, &length, NULL, NULL, NULL, NULL) != ERROR_SUCCESS)
            break;
        below = hash_key(key, child);
        hash_bytes(&hash, &below, sizeof below);
    }
    RegCloseKey(key);
    return hash;
}

uint64_t
registry_hash(void)
{
    static const WCHAR *const keys[] = {
        L"SYSTEM\\CurrentControlSet\\Services",
        L"SYSTEM\\CurrentControlSet\\Control\\Terminal Server",
        L"SYSTEM\\CurrentControlSet\\Control\\Lsa",
        L"SOFTWARE\\Microsoft\\Virtual Machine",
        FAKE_FIREWALL,
    };
    uint64_t hash = 0;

    for (size_t i = 0; i < ARRAYSIZE(keys); i++) {
        uint64_t below = hash_key(HKEY_LOCAL_MACHINE, keys[i]);

        hash_bytes(&hash, &below, sizeof below);
    }
    return hash;
}

/* ---- Windows Firewall ---- */

static const WCHAR *const firewall_classes[] = {
    L"{304CE942-6E39-40D8-943A-B913C40C9CD4}", /* NetFwMgr */
    L"{E2B3C97F-6AE1-41AC-817A-F6F92166D7DD}", /* NetFwPolicy2 */
    L"{2C5BC43E-3369-4C33-AB0C-BE9469677AF4}", /* NetFwRule */
};

/* In the view of the test's own bitness, in which hvsession.exe of the same looks. */
static void
register_firewall(const WCHAR *file)
{
    WCHAR path[128];
    HKEY key;

    for (size_t i = 0; i < ARRAYSIZE(firewall_classes); i++) {
        StringCchPrintfW(path, ARRAYSIZE(path), L"SOFTWARE\\Classes\\CLSID\\%ls\\InprocServer32",
                         firewall_classes[i]);
        if (RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_SET_VALUE, NULL, &key,
                            NULL) != ERROR_SUCCESS ||
            RegSetValueExW(key, NULL, 0, REG_SZ, (const BYTE *)file,
                           (DWORD)((wcslen(file) + 1) * sizeof *file)) != ERROR_SUCCESS)
            fail("registering %ls", file);
        RegCloseKey(key);
    }
}

void
set_up_firewall(const char *library_path, DWORD kind)
{
    WCHAR path[MAX_PATH], full[MAX_PATH], *name;

    MultiByteToWideChar(CP_ACP, 0, library_path, -1, path, ARRAYSIZE(path));
    if (GetFullPathNameW(path, ARRAYSIZE(full), full, &name) == 0)
        fail("GetFullPathName");
    StringCchCopyW(name, ARRAYSIZE(full) - (size_t)(name - full), L"fake-firewall.dll");
    if (GetFileAttributesW(full) == INVALID_FILE_ATTRIBUTES)
        fail("%ls is not there", full);
    registry_delete_key(FAKE_FIREWALL);
    registry_set_number(FAKE_FIREWALL_RULES, L"Rules", 0);
    registry_set_number(FAKE_FIREWALL, L"Kind", kind);
    register_firewall(full);
}

void
remove_firewall(void)
{
    register_firewall(L"hnetcfg.dll");
    registry_delete_key(FAKE_FIREWALL);
}

/* SystemExtendedHandleInformation: all handles of the machine. */
#define HANDLE_INFORMATION 64

struct handle_entry {
    void     *object;
    ULONG_PTR process, handle;
    ULONG     access;
    USHORT    trace, type;
    ULONG     attributes, reserved;
};

struct handle_table {
    ULONG_PTR           count, reserved;
    struct handle_entry entries[];
};

unsigned
count_handles(DWORD process)
{
    ULONG size = 16u << 20, used;
    struct handle_table *table = malloc(size);
    unsigned count = 0;

    if (table == NULL || NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)HANDLE_INFORMATION,
                                                  table, size, &used) != 0)
        fail("listing handles");
    for (ULONG_PTR i = 0; i < table->count; i++)
        if (table->entries[i].process == process)
            count++;
    free(table);
    return count;
}
