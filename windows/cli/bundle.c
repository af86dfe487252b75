/* hvsession support-bundle: what somebody needs who is asked for help, in one text file: what every
 * command says that only looks, and the events of the service. */
#include "parts.h"

#include "../log.h"
#include "../wide.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define DEFAULT_NAME "hvsession-support.txt"
/* Of the event log: how many of the newest, and bytes that are read at a time. */
#define EVENTS_MAX   200u
#define EVENTS_BYTES 65536u

/* Seconds from FILETIME's beginning to that of the event log's time. */
#define UNIX_EPOCH 11644473600ull

static const char notice[] =
    "This file holds no passwords and nothing of what was shown in a session. It names this\r\n"
    "machine, its host and the computers that have connected: read it before you pass it on.\r\n";

/* ---- what the commands say ---- */

static bool
write_heading(HANDLE file, const char *heading)
{
    char bytes[128];
    struct hvs_text text;
    DWORD written;

    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, "\r\n==== ");
    hvs_text_add(&text, heading);
    hvs_text_add(&text, "\r\n");
    return WriteFile(file, bytes, (DWORD)text.length, &written, NULL) != FALSE;
}

/* Runs this program with the arguments, its outputs in the file. */
static DWORD
add_command(HANDLE file, const WCHAR *arguments)
{
    STARTUPINFOW startup = {
        .cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES, .hStdOutput = file, .hStdError = file
    };
    PROCESS_INFORMATION process;
    WCHAR path[MAX_PATH], command[MAX_PATH + 64];
    DWORD length = GetModuleFileNameW(NULL, path, ARRAYSIZE(path));

    if (length == 0 || length == ARRAYSIZE(path))
        return ERROR_FILENAME_EXCED_RANGE;
    hvs_wide_format(command, ARRAYSIZE(command), L"\"%ls\" %ls", path, arguments);
    if (!CreateProcessW(path, command, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &startup,
                        &process))
        return GetLastError();
    WaitForSingleObject(process.hProcess, INFINITE);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    return ERROR_SUCCESS;
}

static DWORD
add_commands(HANDLE file)
{
    static const WCHAR *const commands[] = { L"version",          L"status",      L"sessions",
                                             L"doctor --verbose", L"config list", L"status --json",
                                             L"doctor --json" };

    for (size_t i = 0; i < ARRAYSIZE(commands); i++) {
        char heading[64];
        DWORD error;

        hvs_wide_to_utf8(commands[i], heading, sizeof heading);
        if (!write_heading(file, heading))
            return GetLastError();
        error = add_command(file, commands[i]);
        if (error != ERROR_SUCCESS)
            return error;
    }
    return ERROR_SUCCESS;
}

/* ---- events ---- */

static bool
is_ours(const EVENTLOGRECORD *record)
{
    return _wcsicmp((const WCHAR *)(record + 1), HVS_LOG_SOURCE) == 0;
}

/* One line: its first string is the message. */
static bool
write_event(HANDLE file, const EVENTLOGRECORD *record)
{
    char bytes[HVS_LOG_MESSAGE_MAX * 2], message[HVS_LOG_MESSAGE_MAX * 2];
    struct hvs_text line, text;
    DWORD written;

    hvs_text_init(&line, bytes, sizeof bytes - 2);
    hvs_text_init(&text, message, sizeof message);
    hvs_wide_add_time(&line, (record->TimeGenerated + UNIX_EPOCH) * 10000000, ' ');
    hvs_text_add(&line, " UTC  ");
    if (record->NumStrings > 0)
        hvs_wide_add(&text, (const WCHAR *)((const BYTE *)record + record->StringOffset), SIZE_MAX);
    hvs_text_add_visible(&line, message);
    memcpy(bytes + line.length, "\r\n", 2);
    return WriteFile(file, bytes, (DWORD)line.length + 2, &written, NULL) != FALSE;
}

/* The newest first. bytes: EVENTS_BYTES of them. */
static DWORD
copy_events(HANDLE file, HANDLE log, BYTE *bytes)
{
    DWORD read, needed;
    unsigned found = 0;

    while (found < EVENTS_MAX &&
           ReadEventLogW(log, EVENTLOG_SEQUENTIAL_READ | EVENTLOG_BACKWARDS_READ, 0, bytes,
                         EVENTS_BYTES, &read, &needed))
        for (DWORD at = 0; at < read;) {
            const EVENTLOGRECORD *record = (const EVENTLOGRECORD *)(bytes + at);

            if (is_ours(record) && found++ < EVENTS_MAX && !write_event(file, record))
                return GetLastError();
            at += record->Length;
        }
    return ERROR_SUCCESS;
}

static DWORD
add_events(HANDLE file)
{
    HANDLE log = OpenEventLogW(NULL, L"Application");
    BYTE *bytes = malloc(EVENTS_BYTES);
    DWORD error = ERROR_NOT_ENOUGH_MEMORY;

    if (log == NULL || !write_heading(file, "events"))
        error = GetLastError();
    else if (bytes != NULL)
        error = copy_events(file, log, bytes);
    free(bytes);
    if (log != NULL)
        CloseEventLog(log);
    return error;
}

/* ---- the file ---- */

static DWORD
write_bundle(const WCHAR *path)
{
    SECURITY_ATTRIBUTES inherit = { .nLength = sizeof inherit, .bInheritHandle = TRUE };
    HANDLE file = CreateFileW(path, FILE_APPEND_DATA | SYNCHRONIZE, FILE_SHARE_READ, &inherit,
                              CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    DWORD written, error = ERROR_SUCCESS;

    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    if (!WriteFile(file, notice, sizeof notice - 1, &written, NULL))
        error = GetLastError();
    if (error == ERROR_SUCCESS)
        error = add_commands(file);
    if (error == ERROR_SUCCESS)
        error = add_events(file);
    CloseHandle(file);
    return error;
}

int
hvs_cli_support_bundle(int count, char **arguments)
{
    const char *name = count > 0 ? arguments[0] : DEFAULT_NAME;
    char bytes[MAX_PATH * 3 + 64];
    WCHAR path[MAX_PATH];
    struct hvs_text text;
    DWORD error;

    if (count > 1 || !hvs_wide_from_utf8(name, path, ARRAYSIZE(path)))
        return hvs_cli_complain_usage("support-bundle takes the name of a file at most", NULL);
    hvs_text_init(&text, bytes, sizeof bytes);
    error = write_bundle(path);
    if (error != ERROR_SUCCESS) {
        hvs_text_add(&text, "writing ");
        hvs_text_add_visible(&text, name);
        return hvs_cli_complain_error(bytes, error);
    }
    hvs_text_add(&text, "Written: ");
    hvs_text_add(&text, name);
    hvs_text_add(&text, ". Read it before you pass it on.\n");
    hvs_cli_print(bytes);
    return HVS_EXIT_OK;
}
