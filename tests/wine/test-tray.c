/* hvsession-tray.exe with real windows: fed by a service on the simulated host, looked at and used
 * from another program, on a desktop with a notification area.
 *
 *     test-tray HVSESSION.EXE VMBUSPIPE.DLL HVSESSION-TRAY.EXE GROUP
 *
 * Prints "picture NAME" where a picture of the screen is wanted, and waits for a line then: see
 * tray.py. */
#include "fake-doctor.h"
#include "fixture.h"
#include "walk.h"
#include "winhost.h"

#include "windows/service.h"
#include "windows/status-pipe.h"
#include "windows/tray/resource.h"
#include "windows/watch-pipe.h"

#include "common/status.h"

#include <psapi.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strsafe.h>
#include <winternl.h>

#define DESKTOP L"hvsession"
#define FOLDER  L"C:\\hvsession-tray-test"

/* Pages and columns, as windows/tray has them. */
enum { OVERVIEW, SESSIONS, DIAGNOSIS };
enum { CLIENT, SIZE_COLUMN, COLOURS, CLIPBOARD, DRIVES, SOUND, DURATION, TO_HOST, TO_SERVER };
enum { WHO, WHEN, LASTED, WHY };

static WCHAR tray_program[MAX_PATH];
static WCHAR server_name[64];
static HANDLE tray;
static DWORD tray_process;
static HWND hidden, dialog;

/* ---- the surroundings ---- */

static void
picture(const char *name)
{
    char line[16];

    printf("picture %s\n", name);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        fail("nobody takes pictures");
}

static void
set_value(const WCHAR *path, const WCHAR *name, DWORD type, const void *value, DWORD size)
{
    HKEY key;

    if (RegCreateKeyExW(HKEY_CURRENT_USER, path, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL) !=
            ERROR_SUCCESS ||
        RegSetValueExW(key, name, 0, type, value, size) != ERROR_SUCCESS)
        fail("the registry's %ls\\%ls", path, name);
    RegCloseKey(key);
}

/* As the control panel sets them, for programs that start from now on. */
static void
set_scale(DWORD dpi)
{
    set_value(L"Control Panel\\Desktop", L"LogPixels", REG_DWORD, &dpi, sizeof dpi);
}

static void
set_language(const WCHAR *language)
{
    set_value(L"Software\\hvsession", L"Language", REG_SZ, language,
              ((DWORD)wcslen(language) + 1) * (DWORD)sizeof *language);
}

/* Both programs in one folder, as they are installed. */
static void
install_programs(const char *program, const char *library, const char *tray_path)
{
    WCHAR from[MAX_PATH], to[MAX_PATH];
    char copy[MAX_PATH];

    /* A failed run may have left it running from there. */
    hvs_service_uninstall();
    CreateDirectoryW(FOLDER, NULL);
    MultiByteToWideChar(CP_ACP, 0, program, -1, from, ARRAYSIZE(from));
    StringCchCopyW(to, ARRAYSIZE(to), FOLDER L"\\hvsession.exe");
    if (!CopyFileW(from, to, FALSE))
        fail("copying %ls", from);
    MultiByteToWideChar(CP_ACP, 0, tray_path, -1, from, ARRAYSIZE(from));
    StringCchCopyW(tray_program, ARRAYSIZE(tray_program), FOLDER L"\\hvsession-tray.exe");
    if (!CopyFileW(from, tray_program, FALSE))
        fail("copying %ls", from);
    StringCchPrintfA(copy, ARRAYSIZE(copy), "%ls", to);
    set_up(copy, library);
}

/* As a Windows of that language has them, height pixels at 96 dots an inch: Wine's own font has no
 * Chinese characters. */
static void
set_fonts(const WCHAR *face, int height)
{
    NONCLIENTMETRICSW metrics = { .cbSize = sizeof metrics };
    LOGFONTW *const fonts[] = { &metrics.lfMessageFont, &metrics.lfMenuFont, &metrics.lfStatusFont,
                                &metrics.lfCaptionFont, &metrics.lfSmCaptionFont };

    if (!SystemParametersInfoW(SPI_GETNONCLIENTMETRICS, sizeof metrics, &metrics, 0))
        fail("SPI_GETNONCLIENTMETRICS");
    for (unsigned i = 0; i < ARRAYSIZE(fonts); i++) {
        StringCchCopyW(fonts[i]->lfFaceName, ARRAYSIZE(fonts[i]->lfFaceName), face);
        fonts[i]->lfHeight = -height;
    }
    if (!SystemParametersInfoW(SPI_SETNONCLIENTMETRICS, sizeof metrics, &metrics,
                               SPIF_UPDATEINIFILE))
        fail("SPI_SETNONCLIENTMETRICS");
}

static void
start_tray(const WCHAR *arguments)
{
    WCHAR command[2 * MAX_PATH];

    StringCchPrintfW(command, ARRAYSIZE(command), L"\"%ls\" %ls", tray_program, arguments);
    tray = walk_start(DESKTOP, command, &tray_process);
}

static void
open_window(void)
{
    start_tray(L"--open");
    dialog = walk_wait_window(L"#32770", IDC_TABS);
    hidden = FindWindowW(L"hvsession-tray", NULL);
    if (hidden == NULL)
        fail("there is no hidden window");
}

static void
quit_tray(void)
{
    PostMessageW(hidden, WM_COMMAND, IDM_EXIT, 0);
    if (WaitForSingleObject(tray, LONG_TIME) != WAIT_OBJECT_0)
        fail("the tray does not end");
    CloseHandle(tray);
}

static void
remove_service(void)
{
    hvs_service_stop();
    expect(L"uninstall", 0, "Removed");
}

/* ---- clients ---- */

struct client {
    const char *name;
    uint16_t    width, height;
    bool        deep; /* 32 bits a pixel, else 16 */
    const char *channels[4];
};

static const struct client clients[] = {
    { "DESK-1", 1920, 1080, true, { "cliprdr", "rdpdr", "rdpsnd", "drdynvc" } },
    { "LAPTOP-ANNA", 1366, 768, false, { "cliprdr" } },
};

static uint8_t *
put(uint8_t *out, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

static uint8_t *
put_bytes(uint8_t *out, const void *bytes, size_t length)
{
    memcpy(out, bytes, length);
    return out + length;
}

/* [MS-RDPBCGR] 2.2.1.3.2 Client Core Data, 2.2.1.3.4 Client Network Data */
static uint8_t *
put_blocks(uint8_t *out, const struct client *client)
{
    enum { CORE = 216 };
    uint8_t *core = out, *count;

    memset(core, 0, CORE);
    out = put(out, 0xc001, 2);
    out = put(out, CORE, 2);
    out = put(out, 0x00080004, 4);
    out = put(out, client->width, 2);
    out = put(out, client->height, 2);
    out = put(out, 0xca01, 2);
    out = put(out, 0xaa03, 2);
    out = put(out, 0x409, 4);
    out = put(out, 19045, 4);
    for (size_t i = 0; client->name[i] != '\0'; i++)
        put(core + 24 + 2 * i, (uint8_t)client->name[i], 2);
    put(core + 132, 0xca03, 2);               /* postBeta2ColorDepth: 16 bits */
    put(core + 140, 16, 2);                   /* highColorDepth */
    put(core + 142, client->deep ? 0xf : 2, 2); /* supportedColorDepths */
    put(core + 144, client->deep ? 3 : 1, 2); /* earlyCapabilityFlags: 32 bits wanted */
    out = put(core + CORE, 0xc003, 2);
    count = put(out, 8, 2);
    out = put(count, 0, 4);
    for (unsigned i = 0; i < ARRAYSIZE(client->channels) && client->channels[i] != NULL; i++) {
        memset(out, 0, 12);
        memcpy(out, client->channels[i], strlen(client->channels[i]));
        out += 12;
        put(count, i + 1, 4);
        put(count - 2, 8 + 12 * (i + 1), 2);
    }
    return out;
}

/* MCS Connect Initial with a GCC Conference Create Request; lengths in two octets throughout. */
static size_t
make_initial(const struct client *client, uint8_t *pdu)
{
    static const uint8_t selectors[] = { 4, 1, 1, 4, 1, 1, 1, 1, 0xff };
    static const uint8_t parameters[] = { 0x30, 25, 2, 1, 34, 2, 1, 2, 2, 1, 0, 2, 1, 1, 2, 1,
                                          0,    2,  1, 1, 2,  2, 0xff, 0xff, 2, 1, 2 };
    static const uint8_t gcc[] = { 0, 5, 0, 0x14, 0x7c, 0, 1 };
    static const uint8_t create[] = { 0, 8, 0, 0x10, 0, 1, 0xc0, 0, 'D', 'u', 'c', 'a' };
    static const uint8_t data[] = { 2, 0xf0, 0x80, 0x7f, 0x65 };
    uint8_t blocks[512];
    size_t block_length = (size_t)(put_blocks(blocks, client) - blocks);
    size_t gcc_length = sizeof gcc + 2 + sizeof create + 2 + block_length;
    size_t contents = sizeof selectors + 3 * sizeof parameters + 4 + gcc_length;
    size_t length = 4 + sizeof data + 3 + contents;
    uint8_t *out = pdu;

#define BIG(value) ((uint32_t)((value) >> 8 | ((value) & 0xff) << 8))
    out = put(out, 3, 2);
    out = put(out, BIG(length), 2);
    out = put_bytes(out, data, sizeof data);
    out = put(out, 0x82, 1);
    out = put(out, BIG(contents), 2);
    out = put_bytes(out, selectors, sizeof selectors);
    for (unsigned i = 0; i < 3; i++)
        out = put_bytes(out, parameters, sizeof parameters);
    out = put(out, 0x8204, 2);
    out = put(out, BIG(gcc_length), 2);
    out = put_bytes(out, gcc, sizeof gcc);
    out = put(out, BIG(0x8000 | (sizeof create + 2 + block_length)), 2);
    out = put_bytes(out, create, sizeof create);
    out = put(out, BIG(0x8000 | block_length), 2);
    out = put_bytes(out, blocks, block_length);
#undef BIG
    return (size_t)(out - pdu);
}

/* MCS Connect Response with a GCC Conference Create Response: a server without RDP encryption. */
static const uint8_t connect_response[] = {
    3, 0, 0, 100, 2, 0xf0, 0x80, 0x7f, 0x66, 90,
    0x0a, 1, 0, 2, 1, 0, /* result, connect id */
    0x30, 26, 2, 1, 34, 2, 1, 3, 2, 1, 0, 2, 1, 1, 2, 1, 0, 2, 1, 1, 2, 3, 0, 0xff, 0xf8, 2, 1, 2,
    4, 54, 0, 5, 0, 0x14, 0x7c, 0, 1, 0x2a,
    0x14, 0x76, 0x0a, 1, 1, 0, 1, 0xc0, 0, 'M', 'c', 'D', 'n', 32,
    1, 0x0c, 12, 0, 4, 0, 8, 0, 0, 0, 0, 0, /* Server Core Data */
    2, 0x0c, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* Server Security Data: none */
    3, 0x0c, 8, 0, 0xeb, 3, 0, 0, /* Server Network Data */
};

/* Request, confirm, Connect Initial and Response: from then on it is a session. Returns the
 * server's end. */
static SOCKET
connect_client(unsigned channel, const struct client *client)
{
    static const uint8_t request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 11, 0, 0,
                                       0 };
    static const uint8_t confirm[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 0,
                                       0, 0, 0 };
    uint8_t initial[1024], received[1024];
    size_t length = make_initial(client, initial);
    SOCKET s;

    host_connect(channel, MESSAGES);
    if (!host_write(channel, request, sizeof request, LONG_TIME))
        fail("writing the request");
    /* The diagnosis looks whether somebody listens here, by connecting and saying nothing. */
    for (s = server_accept(LONG_TIME); !server_read_all(s, received, sizeof request);
         s = server_accept(LONG_TIME))
        closesocket(s);
    if (!server_write(s, confirm, sizeof confirm) ||
        host_read(channel, received, sizeof received, LONG_TIME) <= 0 ||
        !host_write(channel, initial, length, LONG_TIME) ||
        !server_read_all(s, received, length) ||
        !server_write(s, connect_response, sizeof connect_response) ||
        host_read(channel, received, sizeof received, LONG_TIME) != sizeof connect_response)
        fail("the session of %s does not come about", client->name);
    return s;
}

static void
disconnect_client(unsigned channel, SOCKET s)
{
    char byte;

    host_rescind(channel);
    if (server_read(s, &byte, 1, LONG_TIME) != 0)
        fail("the server was not told");
    closesocket(s);
}

/* ---- going through the states ---- */

static void
check_layout(void)
{
    walk_check_buttons(dialog);
}

static void
test_absent(void)
{
    walk_wait_text(dialog, IDC_SENTENCE, L"The service is not installed.");
    walk_wait_text(dialog, IDC_STATE, L"Not available");
    walk_wait_visible(dialog, IDC_ACTION, false);
    picture("absent");
}

/* The button on top starts the service that was only installed. */
static void
test_start(void)
{
    WCHAR command[128];

    expect(L"install", 0, "Installed");
    StringCchPrintfW(command, ARRAYSIZE(command), L"config set server %ls", server_name);
    expect(command, 0, "");
    walk_wait_text(dialog, IDC_SENTENCE, L"The service does not run.");
    walk_wait_text(dialog, IDC_ACTION, L"&Start Service");
    walk_wait_visible(dialog, IDC_ACTION, true);
    check_layout();
    picture("stopped");
    walk_click(dialog, IDC_ACTION);
    walk_wait_text(dialog, IDC_SENTENCE,
                   L"The host does not offer Enhanced Session to this guest.");
    walk_wait_text(dialog, IDC_STATE, L"Not available");
    walk_wait_text(dialog, IDC_ACTION, L"What &to Do");
    walk_wait_text(dialog, IDC_SUPPORT, L"Not offered by the host");
    walk_wait_cell(dialog, IDC_CHANNEL_LIST, 0, 1, L"Not offered");
    check_layout();
    picture("unavailable");
}

static void
test_ready(void)
{
    host_start_control(ACCEPT);
    walk_wait_text(dialog, IDC_STATE, L"Ready");
    walk_wait_text(dialog, IDC_SENTENCE, L"Ready for Enhanced Session, nobody is connected.");
    walk_wait_text(dialog, IDC_SUPPORT, L"Supported, protocol version 1.0");
    walk_wait_text(dialog, IDC_SERVICE, L"hvsession " HVS_VERSION L", running for ");
    walk_wait_cell(dialog, IDC_CHANNEL_LIST, 0, 1, L"Open");
    walk_wait_cell(dialog, IDC_CHANNEL_LIST, 5, 0, L"Data 5");
    walk_wait_cell(dialog, IDC_CHANNEL_LIST, 5, 1, L"Not offered");
    walk_wait_visible(dialog, IDC_ACTION, false);
    picture("ready");
    walk_turn(dialog, IDC_TABS, SESSIONS);
    walk_wait_visible(dialog, IDC_SESSION_NONE, true);
    walk_wait_text(dialog, IDC_SESSION_NONE, L"Nobody is connected.");
    if (IsWindowEnabled(walk_control(dialog, IDC_DISCONNECT)))
        fail("nobody can be disconnected");
    picture("no-sessions");
}

static void
test_working(SOCKET servers[2])
{
    static const WCHAR *const expected[][SOUND + 1] = {
        { L"DESK-1", L"1920 × 1080", L"32-bit", L"Yes", L"Yes", L"Yes" },
        { L"LAPTOP-ANNA", L"1366 × 768", L"16-bit", L"Yes", L"No", L"No" },
    };

    servers[0] = connect_client(1, &clients[0]);
    walk_wait_text(dialog, IDC_STATE, L"Working: 1 session");
    walk_wait_balloon(L"DESK-1 uses this machine through Enhanced Session.");
    picture("balloon");
    servers[1] = connect_client(2, &clients[1]);
    walk_wait_text(dialog, IDC_STATE, L"Working: 2 sessions");
    walk_wait_text(dialog, IDC_SENTENCE, L"Enhanced Session is in use.");
    walk_wait_rows(dialog, IDC_SESSION_LIST, 2);
    for (int row = 0; row < 2; row++)
        for (int column = CLIENT; column <= SOUND; column++)
            walk_wait_cell(dialog, IDC_SESSION_LIST, row, column, expected[row][column]);
    /* Measured between two looks, a second apart. */
    walk_wait_cell(dialog, IDC_SESSION_LIST, 1, TO_HOST, L" bytes/s");
    walk_check_columns(dialog, IDC_SESSION_LIST, TO_SERVER + 1, -1);
    check_layout();
    picture("sessions");
    walk_turn(dialog, IDC_TABS, OVERVIEW);
    walk_wait_cell(dialog, IDC_CHANNEL_LIST, 1, 2, L"DESK-1, since ");
    walk_wait_text(dialog, IDC_WHICH, server_name);
    walk_wait_text(dialog, IDC_REACHABLE, L"Yes");
    picture("working");
}

static void
answer_question(int id, const WCHAR *contained)
{
    HWND question = walk_wait_other(L"#32770", tray_process, dialog);

    /* Of a message box, text has 0xffff. */
    if (contained != NULL)
        walk_wait_text(question, 0xffff, contained);
    PostMessageW(question, WM_COMMAND, (WPARAM)id, 0);
    walk_wait_gone(question);
}

static HWND
open_menu(void)
{
    PostMessageW(hidden, WM_APP + 5, 0, WM_CONTEXTMENU);
    return walk_wait_window(L"#32768", 0);
}

static void
close_menu(HWND menu)
{
    PostMessageW(hidden, WM_CANCELMODE, 0, 0);
    walk_wait_gone(menu);
}

/* One by its button, one by the menu; the first time the answer is no. */
static void
test_disconnect(SOCKET servers[2])
{
    char byte;

    close_menu(open_menu());
    walk_turn(dialog, IDC_TABS, SESSIONS);
    walk_choose(dialog, IDC_SESSION_LIST, 0);
    walk_wait_enabled(dialog, IDC_DISCONNECT);
    walk_click(dialog, IDC_DISCONNECT);
    answer_question(IDNO, L"Disconnect DESK-1?");
    walk_click(dialog, IDC_DISCONNECT);
    answer_question(IDYES, L"Disconnect DESK-1?");
    if (server_read(servers[0], &byte, 1, LONG_TIME) != 0)
        fail("the session of the first client was not ended");
    walk_wait_rows(dialog, IDC_SESSION_LIST, 1);
    walk_wait_cell(dialog, IDC_SESSION_LIST, 0, CLIENT, L"LAPTOP-ANNA");
    walk_wait_cell(dialog, IDC_ENDED_LIST, 0, WHO, L"DESK-1");
    walk_wait_cell(dialog, IDC_ENDED_LIST, 0, WHY, L"An administrator ended the session.");
    /* The menu still had both. */
    PostMessageW(hidden, WM_COMMAND, IDM_DISCONNECT + 1, 0);
    answer_question(IDYES, L"Disconnect LAPTOP-ANNA?");
    if (server_read(servers[1], &byte, 1, LONG_TIME) != 0)
        fail("the session of the second client was not ended");
    walk_wait_text(dialog, IDC_STATE, L"Ready");
    walk_wait_cell(dialog, IDC_ENDED_LIST, 0, WHO, L"LAPTOP-ANNA");
    picture("ended");
    for (unsigned i = 0; i < 2; i++) {
        host_rescind(i + 1);
        closesocket(servers[i]);
    }
}

/* The host has changed its mind, and changes it back. */
static void
test_problem(void)
{
    walk_turn(dialog, IDC_TABS, OVERVIEW);
    host_stop_control();
    walk_wait_text(dialog, IDC_STATE, L"Not available");
    host_start_control(REFUSE);
    walk_wait_text(dialog, IDC_STATE, L"Problem");
    walk_wait_text(dialog, IDC_SENTENCE, L"The host refused version 1.0 of the protocol.");
    walk_wait_text(dialog, IDC_SUPPORT, L"; trying again in ");
    check_layout();
    picture("problem");
    host_set_policy(ACCEPT);
    walk_wait_text(dialog, IDC_STATE, L"Ready");
}

/* The menu as it is shown; Esc closes it. */
static void
test_menu(void)
{
    HWND menu = open_menu();

    picture("menu");
    close_menu(menu);
}

/* The service dies under the window, and is started from the menu. */
static void
test_killed(void)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, service_process());

    if (process == NULL || !TerminateProcess(process, 1) ||
        WaitForSingleObject(process, LONG_TIME) != WAIT_OBJECT_0)
        fail("killing the service");
    CloseHandle(process);
    walk_wait_text(dialog, IDC_SENTENCE, L"The service does not run.");
    walk_wait_text(dialog, IDC_STATE, L"Not available");
    PostMessageW(hidden, WM_COMMAND, IDM_START, 0);
    walk_wait_text(dialog, IDC_STATE, L"Ready");
}

/* Another instance only shows the window of the first one; Esc closes it. */
static void
test_single_instance(void)
{
    HANDLE first = tray;
    DWORD first_process = tray_process;

    PostMessageW(dialog, WM_COMMAND, IDCANCEL, 0);
    walk_wait_gone(dialog);
    start_tray(L"");
    if (WaitForSingleObject(tray, LONG_TIME) != WAIT_OBJECT_0)
        fail("the second instance stays");
    CloseHandle(tray);
    tray = first;
    tray_process = first_process;
    dialog = walk_wait_window(L"#32770", IDC_TABS);
    walk_wait_text(dialog, IDC_STATE, L"Ready");
}

/* Is the icon in the notification area? It is known by its window and number, to anybody. */
static bool
change_icon(DWORD message)
{
    NOTIFYICONDATAW data = { .cbSize = NOTIFYICONDATAW_V2_SIZE, .hWnd = hidden, .uID = 1 };

    return Shell_NotifyIconW(message, &data) != FALSE;
}

/* The shell has been restarted, and has lost all icons. */
static void
test_taskbar_created(void)
{
    if (!change_icon(NIM_MODIFY) || !change_icon(NIM_DELETE) || change_icon(NIM_MODIFY))
        fail("the icon was not there, or does not go");
    SendMessageW(hidden, RegisterWindowMessageW(L"TaskbarCreated"), 0, 0);
    if (!change_icon(NIM_MODIFY))
        fail("the icon has not come back");
}

static DWORD
number_of(const WCHAR *path, const WCHAR *name, DWORD otherwise)
{
    DWORD value = otherwise, size = sizeof value;
    HKEY key;

    if (RegOpenKeyExW(HKEY_CURRENT_USER, path, 0, KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return otherwise;
    RegQueryValueExW(key, name, NULL, NULL, (BYTE *)&value, &size);
    RegCloseKey(key);
    return value;
}

static void
wait_number(const WCHAR *path, const WCHAR *name, DWORD expected)
{
    DWORD began = GetTickCount();

    while (number_of(path, name, !expected) != expected) {
        if (GetTickCount() - began > LONG_TIME)
            fail("%ls is not %lu", name, expected);
        Sleep(20);
    }
}

static bool
starts_with_windows(void)
{
    WCHAR command[MAX_PATH] = L"";
    DWORD size = sizeof command - sizeof *command;
    HKEY key;

    if (RegOpenKeyExW(HKEY_CURRENT_USER, L"Software\\Microsoft\\Windows\\CurrentVersion\\Run", 0,
                      KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return false;
    RegQueryValueExW(key, L"hvsession-tray", NULL, NULL, (BYTE *)command, &size);
    RegCloseKey(key);
    return wcsstr(command, L"hvsession-tray.exe\" --background") != NULL;
}

static void
end_at_once(const WCHAR *arguments, DWORD expected)
{
    HANDLE first = tray;
    DWORD first_process = tray_process, status;

    start_tray(arguments);
    if (WaitForSingleObject(tray, LONG_TIME) != WAIT_OBJECT_0 ||
        !GetExitCodeProcess(tray, &status) || status != expected)
        fail("hvsession-tray %ls does not end by itself, or not with %lu", arguments, expected);
    CloseHandle(tray);
    tray = first;
    tray_process = first_process;
}

static void
test_preferences(void)
{
    walk_click(dialog, IDC_NOTIFY);
    wait_number(L"Software\\hvsession", L"Notifications", 0);
    walk_click(dialog, IDC_NOTIFY);
    wait_number(L"Software\\hvsession", L"Notifications", 1);
    SendMessageW(hidden, WM_COMMAND, IDM_AUTOSTART, 0);
    if (!starts_with_windows())
        fail("it is not started with Windows");
    SendMessageW(hidden, WM_COMMAND, IDM_AUTOSTART, 0);
    if (starts_with_windows())
        fail("it is still started with Windows");
    /* The installer's entry for all users would start it all the same. */
    end_at_once(L"--background", 0);
}

/* What the tray has another instance do, as administrator. */
static void
test_act(void)
{
    DWORD before = service_process();

    end_at_once(L"--act restart 0", ERROR_SUCCESS);
    if (service_process() == before)
        fail("the service was not restarted");
    walk_wait_text(dialog, IDC_STATE, L"Ready");
    hvs_service_stop();
    end_at_once(L"--act disconnect 1", ERROR_FILE_NOT_FOUND);
    end_at_once(L"--act start 0", ERROR_SUCCESS);
    walk_wait_text(dialog, IDC_STATE, L"Ready");
}

static void
test_states(void)
{
    SOCKET servers[2];

    set_language(L"en");
    walk_desktop(DESKTOP, 1000, 740);
    open_window();
    test_absent();
    test_start();
    test_ready();
    test_working(servers);
    test_disconnect(servers);
    test_problem();
    test_menu();
    test_killed();
    test_single_instance();
    test_taskbar_created();
    test_preferences();
    test_act();
    quit_tray();
    host_stop_control();
    remove_service();
}

/* ---- the diagnosis ---- */

/* hvsession.exe is another one from now on, and there is no service. */
static void
install_fake_doctor(void)
{
    WCHAR doctor[MAX_PATH];
    WCHAR *name;

    if (GetModuleFileNameW(NULL, doctor, ARRAYSIZE(doctor)) == 0 ||
        (name = wcsrchr(doctor, L'\\')) == NULL)
        fail("GetModuleFileName");
    StringCchCopyW(name + 1, (size_t)(doctor + ARRAYSIZE(doctor) - name - 1), L"fake-doctor.exe");
    if (!CopyFileW(doctor, FOLDER L"\\hvsession.exe", FALSE))
        fail("copying %ls", doctor);
}

static void
test_diagnosis(void)
{
    HANDLE mended = CreateEventW(NULL, TRUE, FALSE, FAKE_MENDED);
    const WCHAR *copied;

    install_fake_doctor();
    set_language(L"en");
    walk_desktop(DESKTOP, 1000, 740);
    open_window();
    PostMessageW(hidden, WM_COMMAND, IDM_DIAGNOSE, 0);
    walk_wait_text(dialog, IDC_SUMMARY, L"The host does not offer Enhanced Session.");
    walk_wait_rows(dialog, IDC_FINDING_LIST, 3);
    walk_wait_cell(dialog, IDC_FINDING_LIST, 0, 0, L"Error");
    walk_wait_cell(dialog, IDC_FINDING_LIST, 0, 1,
                   L"The host does not offer Enhanced Session to this virtual machine.");
    walk_wait_cell(dialog, IDC_FINDING_LIST, 1, 1, L"Network Level Authentication");
    walk_wait_cell(dialog, IDC_FINDING_LIST, 2, 0, L"Advice");
    walk_wait_text(dialog, IDC_DETAIL, L"On the Hyper-V host, in PowerShell as administrator:\r\n");
    walk_wait_text(dialog, IDC_DETAIL, L"    Set-VMHost -EnableEnhancedSessionMode $true\r\n");
    walk_wait_text(dialog, IDC_DETAIL, L"HVS-202");
    walk_check_buttons(dialog);
    picture("diagnosis");
    /* Copied as it can be typed: what is said about it is a comment. */
    walk_click(dialog, IDC_COPY);
    walk_wait_text(dialog, IDC_COPIED, L"Copied");
    copied = walk_clipboard();
    if (wcsstr(copied, L"\r\nSet-VMHost -EnableEnhancedSessionMode $true\r\n") == NULL ||
        wcsstr(copied, L"# Allow it on the server:\r\n") == NULL)
        fail("the clipboard has \"%ls\"", copied);
    walk_choose(dialog, IDC_FINDING_LIST, 1);
    walk_wait_text(dialog, IDC_DETAIL, L"HVS-505");
    walk_wait_text(dialog, IDC_COPIED, L"");
    walk_turn(dialog, IDC_TABS, OVERVIEW);
    walk_wait_text(dialog, IDC_MACHINE, L"Old Ledger, on host HOST-1");
    walk_wait_text(dialog, IDC_WHICH, L"tcp:127.0.0.1:3389");
    walk_wait_text(dialog, IDC_REACHABLE, L"Yes");
    /* Looked at again once it is mended. */
    walk_turn(dialog, IDC_TABS, DIAGNOSIS);
    SetEvent(mended);
    walk_wait_enabled(dialog, IDC_CHECK);
    walk_click(dialog, IDC_CHECK);
    walk_wait_rows(dialog, IDC_FINDING_LIST, 1);
    walk_wait_text(dialog, IDC_SUMMARY, L"All is in place for Enhanced Session.");
    walk_wait_text(dialog, IDC_DETAIL, L"HVS-508");
    picture("diagnosis-mended");
    /* And in Chinese. */
    ResetEvent(mended);
    quit_tray();
    set_language(L"zh-CN");
    set_fonts(L"WenQuanYi Micro Hei", 12);
    open_window();
    PostMessageW(hidden, WM_COMMAND, IDM_DIAGNOSE, 0);
    walk_wait_rows(dialog, IDC_FINDING_LIST, 3);
    walk_wait_cell(dialog, IDC_FINDING_LIST, 0, 1, L"主机未向此虚拟机提供增强会话。");
    walk_wait_text(dialog, IDC_DETAIL, L"在服务器上允许增强会话：\r\n");
    walk_check_buttons(dialog);
    picture("chinese-findings");
    quit_tray();
    CloseHandle(mended);
}

/* ---- other looks ---- */

/* All pages in their fullest state. */
static void
show_all(const char *prefix)
{
    static const char *const names[] = { "overview", "sessions", "diagnosis" };
    char name[64];
    SOCKET servers[2];

    host_start_control(ACCEPT);
    start_service(server_name, L"10s");
    for (unsigned i = 0; i < 2; i++)
        servers[i] = connect_client(i + 1, &clients[i]);
    disconnect_client(2, servers[1]);
    servers[1] = connect_client(2, &clients[1]);
    open_window();
    walk_wait_rows(dialog, IDC_SESSION_LIST, 0);
    for (int page = OVERVIEW; page <= DIAGNOSIS; page++) {
        walk_turn(dialog, IDC_TABS, page);
        if (page == SESSIONS) {
            walk_wait_cell(dialog, IDC_SESSION_LIST, 1, TO_HOST, L"0 ");
            walk_check_columns(dialog, IDC_SESSION_LIST, TO_SERVER + 1, -1);
            walk_check_columns(dialog, IDC_ENDED_LIST, WHY + 1, WHY);
        }
        if (page == DIAGNOSIS)
            walk_wait_enabled(dialog, IDC_CHECK);
        walk_check_buttons(dialog);
        StringCchPrintfA(name, ARRAYSIZE(name), "%s-%s", prefix, names[page]);
        picture(name);
    }
    PostMessageW(hidden, WM_APP + 5, 0, WM_CONTEXTMENU);
    walk_wait_window(L"#32768", 0);
    StringCchPrintfA(name, ARRAYSIZE(name), "%s-menu", prefix);
    picture(name);
    PostMessageW(hidden, WM_CANCELMODE, 0, 0);
    quit_tray();
    for (unsigned i = 0; i < 2; i++)
        disconnect_client(i + 1, servers[i]);
    host_stop_control();
    remove_service();
}

static void
test_chinese(void)
{
    set_language(L"zh-CN");
    walk_desktop(DESKTOP, 1000, 740);
    show_all("chinese");
}

static void
test_large(void)
{
    set_language(L"en");
    walk_desktop(DESKTOP, 1300, 1180);
    show_all("large");
}

/* ---- endurance ---- */

struct resources {
    unsigned handles, gdi, user;
    size_t   memory;
};

/* GDI objects that the tray has: GetGuiResources() counts none under Wine, the table that the PEB
 * leads to does. Its entries have 24 bytes in both bitnesses, the type at offset 14. */
static unsigned
count_gdi(void)
{
    enum { ENTRIES = 16384, ENTRY = 24, TYPE = 14 };
    PROCESS_BASIC_INFORMATION information;
    const size_t offset = sizeof(void *) == 8 ? 0xf8 : 0x94; /* PEB.GdiSharedHandleTable */
    BYTE *table, *entries = malloc(ENTRIES * ENTRY);
    unsigned count = 0;

    if (NtQueryInformationProcess(tray, ProcessBasicInformation, &information, sizeof information,
                                  NULL) != 0 ||
        !ReadProcessMemory(tray, (BYTE *)information.PebBaseAddress + offset, &table, sizeof table,
                           NULL) ||
        !ReadProcessMemory(tray, table, entries, ENTRIES * ENTRY, NULL))
        fail("reading the table of GDI objects");
    for (unsigned i = 0; i < ENTRIES; i++)
        if (entries[i * ENTRY + TYPE] != 0)
            count++;
    free(entries);
    return count;
}

static struct resources
count_resources(void)
{
    PROCESS_MEMORY_COUNTERS memory = { .cb = sizeof memory };
    struct resources resources = { .handles = count_handles(tray_process),
                                   .gdi = count_gdi(),
                                   .user = walk_user_handles() };

    if (!GetProcessMemoryInfo(tray, &memory, sizeof memory))
        fail("asking for the resources of the tray");
    resources.memory = memory.PagefileUsage;
    return resources;
}

static volatile LONG documents;

/* Counts the changes that watchers are told of, until the service ends. */
static DWORD WINAPI
count_documents(void *argument)
{
    char *bytes = malloc(HVS_STATUS_JSON_MAX);
    OVERLAPPED overlapped = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    HANDLE pipe = argument;
    DWORD length;

    while ((ReadFile(pipe, bytes, HVS_STATUS_JSON_MAX, NULL, &overlapped) ||
            GetLastError() == ERROR_IO_PENDING) &&
           GetOverlappedResult(pipe, &overlapped, &length, TRUE)) {
        InterlockedIncrement(&documents);
        ResetEvent(overlapped.hEvent);
    }
    CloseHandle(overlapped.hEvent);
    CloseHandle(pipe);
    free(bytes);
    return 0;
}

/* Sessions that come and go, with the window open on one page and another. */
static void
change_states(LONG wanted)
{
    const LONG enough = documents + wanted;

    for (unsigned i = 0; documents < enough; i++) {
        walk_turn(dialog, IDC_TABS, i % 2 == 0 ? SESSIONS : OVERVIEW);
        disconnect_client(i % 5 + 1, connect_client(i % 5 + 1, &clients[i % 2]));
    }
    walk_wait_text(dialog, IDC_STATE, L"Ready");
}

static void
reopen_window(void)
{
    PostMessageW(dialog, WM_COMMAND, IDCANCEL, 0);
    walk_wait_gone(dialog);
    PostMessageW(hidden, WM_COMMAND, IDM_OPEN, 0);
    dialog = walk_wait_window(L"#32770", IDC_TABS);
}

static uint64_t
processor_time(void)
{
    FILETIME created, ended, kernel, user;

    if (!GetProcessTimes(tray, &created, &ended, &kernel, &user))
        fail("GetProcessTimes");
    return (uint64_t)kernel.dwLowDateTime + user.dwLowDateTime;
}

/* With nothing to show to anybody, nothing is done: the only test here that has to let time pass. */
static void
check_idle(void)
{
    enum { SECONDS = 3 };
    uint64_t before, spent;

    PostMessageW(dialog, WM_COMMAND, IDCANCEL, 0);
    walk_wait_gone(dialog);
    before = processor_time();
    Sleep(SECONDS * 1000);
    spent = (processor_time() - before) / 10000;
    printf("# %lu ms of processor time in %d s\n", (unsigned long)spent, SECONDS);
    /* The clock's tick. */
    if (spent > 10)
        fail("%lu ms of processor time while hidden", (unsigned long)spent);
}

/* What is kept grows all the time. What is only taken for a while, as threads and their stacks are,
 * does not: it is enough if one half has not grown by more than that. */
static void
check_flat(const char *what, size_t before, size_t middle, size_t after, size_t allowed)
{
    printf("# %s: %lu, %lu, %lu\n", what, (unsigned long)before, (unsigned long)middle,
           (unsigned long)after);
    if (before == 0)
        fail("no %s were counted", what);
    if (middle > before + allowed && after > middle + allowed)
        fail("the tray keeps %s", what);
}

static struct resources
live_on(unsigned changes, unsigned reopened)
{
    change_states((LONG)changes);
    for (unsigned i = 0; i < reopened; i++)
        reopen_window();
    return count_resources();
}

static void
test_endurance(void)
{
    enum { WARM_UP = 100, HALF = 500, REOPENED = 10 };
    struct resources before, middle, after;
    HANDLE pipe, counter;

    set_language(L"en");
    walk_desktop(DESKTOP, 1000, 740);
    host_start_control(ACCEPT);
    start_service(server_name, L"10s");
    if (hvs_watch_pipe_open(&pipe) != ERROR_SUCCESS)
        fail("opening the watch pipe");
    counter = CreateThread(NULL, 0, count_documents, pipe, 0, NULL);
    open_window();
    before = live_on(WARM_UP, REOPENED / 2);
    middle = live_on(HALF, REOPENED);
    after = live_on(HALF, REOPENED);
    printf("# %ld documents\n", documents);
    /* One kept in a hundred changes, or each time the window is opened, would be seen. */
    check_flat("handles", before.handles, middle.handles, after.handles, 3);
    check_flat("GDI objects", before.gdi, middle.gdi, after.gdi, 4);
    check_flat("USER objects", before.user, middle.user, after.user, 4);
    check_flat("bytes", before.memory, middle.memory, after.memory, 128 * 1024);
    check_idle();
    quit_tray();
    remove_service();
    WaitForSingleObject(counter, INFINITE);
    CloseHandle(counter);
    host_stop_control();
}

/* ---- the watch pipe ---- */

/* The next document; "": the pipe has ended. false: none within the time. */
static bool
read_document(HANDLE pipe, char *bytes, DWORD timeout)
{
    OVERLAPPED overlapped = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    bool begun = ReadFile(pipe, bytes, HVS_STATUS_JSON_MAX, NULL, &overlapped) ||
                 GetLastError() == ERROR_IO_PENDING;
    bool in_time = !begun || WaitForSingleObject(overlapped.hEvent, timeout) == WAIT_OBJECT_0;
    DWORD length = 0;

    if (begun && !in_time)
        CancelIo(pipe);
    if (begun && !GetOverlappedResult(pipe, &overlapped, &length, TRUE))
        length = 0;
    bytes[length] = '\0';
    CloseHandle(overlapped.hEvent);
    return in_time;
}

static void
wait_document(HANDLE pipe, const char *contained)
{
    static char bytes[HVS_STATUS_JSON_MAX + 1];

    do {
        if (!read_document(pipe, bytes, LONG_TIME) || bytes[0] == '\0')
            fail("no document says %s", contained);
    } while (strstr(bytes, contained) == NULL);
}

/* All that can watch do, one more cannot, who asks is served; bytes alone are no news; a stop ends
 * it for all. */
static void
test_watch(void)
{
    static char bytes[HVS_STATUS_JSON_MAX + 1];
    HANDLE pipes[HVS_WATCH_PIPE_WATCHERS], another;
    SOCKET s;

    host_start_control(ACCEPT);
    start_service(server_name, L"10s");
    for (unsigned i = 0; i < HVS_WATCH_PIPE_WATCHERS; i++) {
        if (hvs_watch_pipe_open(&pipes[i]) != ERROR_SUCCESS)
            fail("opening the watch pipe, %u", i);
        wait_document(pipes[i], "\"state\": \"ready\"");
    }
    if (hvs_watch_pipe_open(&another) != ERROR_PIPE_BUSY)
        fail("one more can watch");
    s = connect_client(1, &clients[0]);
    for (unsigned i = 0; i < HVS_WATCH_PIPE_WATCHERS; i++)
        wait_document(pipes[i], "\"name\": \"DESK-1\"");
    wait_status("\"name\": \"DESK-1\"");
    /* What was under way has come; then there is nothing to tell. */
    while (read_document(pipes[0], bytes, 300))
        ;
    if (!server_write(s, "bytes", 5) || host_read(1, bytes, sizeof bytes, LONG_TIME) != 5)
        fail("nothing came");
    wait_status("DESK-1");
    if (read_document(pipes[0], bytes, 500))
        fail("bytes, or a question, are news: %s", bytes);
    /* A place that was left is free again. */
    CloseHandle(pipes[1]);
    wait_status("DESK-1");
    if (hvs_watch_pipe_open(&pipes[1]) != ERROR_SUCCESS)
        fail("the place of one who left is not free");
    wait_document(pipes[1], "DESK-1");
    disconnect_client(1, s);
    wait_document(pipes[2], "\"reason\": \"host-rescinded\"");
    stop_in_time();
    for (unsigned i = 0; i < HVS_WATCH_PIPE_WATCHERS; i++) {
        do {
            if (!read_document(pipes[i], bytes, LONG_TIME))
                fail("watcher %u was not told of the end", i);
        } while (bytes[0] != '\0');
        CloseHandle(pipes[i]);
    }
    remove_service();
    host_stop_control();
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    DWORD       dpi;
    const WCHAR *font;
    int         height;
    void (*run)(void);
} tests[] = {
    { "states", 96, L"Tahoma", 11, test_states },
    { "chinese", 96, L"WenQuanYi Micro Hei", 12, test_chinese },
    { "large", 192, L"Tahoma", 11, test_large },
    { "endurance", 96, L"Tahoma", 11, test_endurance },
    { "diagnosis", 96, L"Tahoma", 11, test_diagnosis },
    { "watch", 96, L"Tahoma", 11, test_watch },
};

int
main(int count, char **arguments)
{
    for (size_t i = 0; count == 5 && i < ARRAYSIZE(tests); i++) {
        if (strcmp(arguments[4], tests[i].name) != 0)
            continue;
        set_scale(tests[i].dpi);
        set_fonts(tests[i].font, tests[i].height);
        install_programs(arguments[1], arguments[2], arguments[3]);
        StringCchPrintfW(server_name, ARRAYSIZE(server_name), L"tcp:127.0.0.1:%u", server_start());
        /* Where this runs may be a guest of Hyper-V, whose Remote Desktop would be found wanting;
         * in Azure, as elsewhere, that is nobody's business. */
        registry_set_number(AZURE, L"x", 1);
        tests[i].run();
        registry_delete_key(AZURE);
        server_stop();
        remove_library();
        set_scale(96);
        set_fonts(L"Tahoma", 11);
        printf("ok %s\n", tests[i].name);
        return 0;
    }
    puts("usage: test-tray HVSESSION.EXE VMBUSPIPE.DLL HVSESSION-TRAY.EXE GROUP");
    return 2;
}
