/* Works Windows for the tests of the setup wizard: runs programs, presses buttons, reads dialogs,
 * the registry and the state of the service.
 *
 * Commands come on standard input, one a line, UTF-8: a word, a blank, and its argument. Each is
 * answered by any number of lines and a last one, "= " and a result:
 *
 *     run COMMAND-LINE    waits for the program; the result is its exit code
 *     start COMMAND-LINE  does not wait; one program at a time
 *     wait                for that program; its exit code, or "running" after LONG_TIME
 *     state               of the service: "running", "stopped", "none", or a number
 *     value KEY|NAME      of HKEY_LOCAL_MACHINE, 64-bit view: "dword N", "string …", "other" or
 *                         "none"
 *     set KEY|NAME|N      stores a REG_DWORD there
 *     text KEY|NAME|TEXT  stores a REG_SZ there
 *     await TEXT          until a dialog's control has TEXT in it: "yes", or "no" after LONG_TIME
 *     window CLASS        until there is a window of that class: "yes" or "no", likewise
 *     press TEXT          the enabled button whose text begins so, "&" left out: "yes" or "no"
 *     key CLASS|N         a virtual key to the control of that class: "yes" or "no"
 *     dialog              the place of the dialog in front (left, top, right, bottom), then a line
 *                         for each visible control: class, state, whether its text fits, text;
 *                         then "yes", or "no" without a dialog
 *
 * As long as it runs, Wine's services stay.
 */
#include "windows/wide.h"

#include <windows.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define LONG_TIME 60000u /* milliseconds; nothing here takes that long unless it hangs */
#define LOOKED    20u    /* between two looks at what has no event */
#define TEXT_MAX  2048
#define LINE_MAX  8192

/* Of a check box: the box itself and the gap, in pixels at 96 dots an inch. */
#define BOX_WIDTH 17

struct search {
    const WCHAR *wanted;
    bool (*matches)(HWND window, const WCHAR *wanted);
    HWND found;
};

static HANDLE started;

int wmain(void);

static void
answer(const char *result)
{
    printf("= %s\n", result);
    fflush(stdout);
}

static void
answer_yes(bool yes)
{
    answer(yes ? "yes" : "no");
}

static void
print_wide(const WCHAR *wide)
{
    char bytes[LINE_MAX];

    hvs_wide_to_utf8(wide, bytes, sizeof bytes);
    for (char *c = bytes; *c != '\0'; c++)
        if (*c == '\r' || *c == '\n')
            *c = ' ';
    fputs(bytes, stdout);
}

/* ---- programs, registry, service ---- */

/* NULL: it cannot be started. */
static HANDLE
start(WCHAR *command_line)
{
    STARTUPINFOW startup = { .cb = sizeof startup };
    PROCESS_INFORMATION process;

    if (!CreateProcessW(NULL, command_line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &process))
        return NULL;
    CloseHandle(process.hThread);
    return process.hProcess;
}

static void
answer_exit_code(HANDLE program)
{
    DWORD code = 0;
    char text[16];

    if (program == NULL || WaitForSingleObject(program, LONG_TIME) != WAIT_OBJECT_0) {
        answer(program == NULL ? "no program" : "running");
        return;
    }
    GetExitCodeProcess(program, &code);
    CloseHandle(program);
    snprintf(text, sizeof text, "%lu", code);
    answer(text);
}

static void
do_start(WCHAR *argument)
{
    started = start(argument);
    answer_yes(started != NULL);
}

static void
do_run(WCHAR *argument)
{
    answer_exit_code(start(argument));
}

static void
do_wait(WCHAR *argument)
{
    (void)argument;
    answer_exit_code(started);
    started = NULL;
}

static void
do_state(WCHAR *argument)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceW(manager, L"HvSession", SERVICE_QUERY_STATUS);
    SERVICE_STATUS status = { 0 };
    char text[16];

    (void)argument;
    if (service == NULL || !QueryServiceStatus(service, &status))
        snprintf(text, sizeof text, "none");
    else if (status.dwCurrentState == SERVICE_RUNNING)
        snprintf(text, sizeof text, "running");
    else if (status.dwCurrentState == SERVICE_STOPPED)
        snprintf(text, sizeof text, "stopped");
    else
        snprintf(text, sizeof text, "%lu", status.dwCurrentState);
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
    answer(text);
}

/* Cuts the argument at its next "|"; what is behind that, or NULL. */
static WCHAR *
cut(WCHAR *argument)
{
    WCHAR *bar = argument == NULL ? NULL : wcschr(argument, L'|');

    if (bar != NULL)
        *bar++ = L'\0';
    return bar;
}

static void
do_value(WCHAR *argument)
{
    const WCHAR *name = cut(argument);
    WCHAR data[TEXT_MAX] = L"";
    DWORD type = REG_NONE, size = sizeof data - sizeof *data, number;
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, argument, 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &key)) {
        answer("none");
        return;
    }
    if (RegQueryValueExW(key, name, NULL, &type, (BYTE *)data, &size)) {
        answer("none");
    } else if (type == REG_DWORD) {
        memcpy(&number, data, sizeof number);
        printf("= dword %lu\n", number);
    } else if (type == REG_SZ) {
        fputs("= string ", stdout);
        print_wide(data);
        putchar('\n');
    } else {
        answer("other");
    }
    fflush(stdout);
    RegCloseKey(key);
}

static bool
store(const WCHAR *path, const WCHAR *name, DWORD type, const void *data, size_t size)
{
    HKEY key;
    LONG error = RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0,
                                 KEY_SET_VALUE | KEY_WOW64_64KEY, NULL, &key, NULL);

    if (error != ERROR_SUCCESS)
        return false;
    error = RegSetValueExW(key, name, 0, type, data, (DWORD)size);
    RegCloseKey(key);
    return error == ERROR_SUCCESS;
}

static void
do_set(WCHAR *argument)
{
    WCHAR *name = cut(argument), *value = cut(name);
    DWORD number = value == NULL ? 0 : wcstoul(value, NULL, 10);

    answer_yes(store(argument, name, REG_DWORD, &number, sizeof number));
}

static void
do_text(WCHAR *argument)
{
    WCHAR *name = cut(argument), *value = cut(name);

    answer_yes(value != NULL &&
               store(argument, name, REG_SZ, value, (wcslen(value) + 1) * sizeof *value));
}

/* ---- dialogs ---- */

/* Without the "&" that marks a letter. */
static void
get_text(HWND window, WCHAR *text)
{
    WCHAR *to = text;

    *text = L'\0';
    SendMessageTimeoutW(window, WM_GETTEXT, TEXT_MAX, (LPARAM)text, SMTO_ABORTIFHUNG, 5000, NULL);
    for (const WCHAR *from = text; *from != L'\0'; from++)
        if (*from != L'&')
            *to++ = *from;
    *to = L'\0';
}

static bool
contains_text(HWND window, const WCHAR *wanted)
{
    WCHAR text[TEXT_MAX];

    get_text(window, text);
    return wcsstr(text, wanted) != NULL;
}

static bool
is_button(HWND window, const WCHAR *wanted)
{
    WCHAR class[32], text[TEXT_MAX];

    GetClassNameW(window, class, ARRAYSIZE(class));
    get_text(window, text);
    return wcscmp(class, L"Button") == 0 && IsWindowEnabled(window) &&
           wcsncmp(text, wanted, wcslen(wanted)) == 0;
}

static bool
has_class(HWND window, const WCHAR *wanted)
{
    WCHAR class[64];

    GetClassNameW(window, class, ARRAYSIZE(class));
    return wcscmp(class, wanted) == 0;
}

static BOOL CALLBACK
look_at_control(HWND window, LPARAM context)
{
    struct search *search = (struct search *)context;

    if (IsWindowVisible(window) && search->matches(window, search->wanted))
        search->found = window;
    return search->found == NULL;
}

static BOOL CALLBACK
look_at_dialog(HWND window, LPARAM context)
{
    if (IsWindowVisible(window) && has_class(window, L"#32770"))
        EnumChildWindows(window, look_at_control, context);
    return ((struct search *)context)->found == NULL;
}

/* From the dialog in front to those behind it. */
static HWND
find_control(const WCHAR *wanted, bool (*matches)(HWND, const WCHAR *))
{
    struct search search = { wanted, matches, NULL };

    EnumWindows(look_at_dialog, (LPARAM)&search);
    return search.found;
}

/* Until condition(argument) holds. */
static void
answer_when(bool (*condition)(WCHAR *argument), WCHAR *argument)
{
    DWORD begun = GetTickCount();

    while (!condition(argument)) {
        if (GetTickCount() - begun > LONG_TIME) {
            answer("no");
            return;
        }
        Sleep(LOOKED);
    }
    answer("yes");
}

static bool
dialog_has_text(WCHAR *argument)
{
    return find_control(argument, contains_text) != NULL;
}

static void
do_await(WCHAR *argument)
{
    answer_when(dialog_has_text, argument);
}

static bool
window_is_there(WCHAR *argument)
{
    return FindWindowW(argument, NULL) != NULL;
}

static void
do_window(WCHAR *argument)
{
    answer_when(window_is_there, argument);
}

static void
do_press(WCHAR *argument)
{
    HWND button = find_control(argument, is_button);

    answer_yes(button != NULL && PostMessageW(button, BM_CLICK, 0, 0));
}

static void
do_key(WCHAR *argument)
{
    const WCHAR *number = cut(argument);
    HWND control = find_control(argument, has_class);
    WPARAM key = number == NULL ? 0 : wcstoul(number, NULL, 10);

    answer_yes(control != NULL && PostMessageW(control, WM_KEYDOWN, key, 0) &&
               PostMessageW(control, WM_KEYUP, key, 0));
}

/* Whether the text of a label, box or button fits into it, in the font of dialogs. */
static bool
fits(HWND control, const WCHAR *text)
{
    LONG style = GetWindowLongW(control, GWL_STYLE);
    bool label = has_class(control, L"Static");
    HDC context = GetDC(NULL);
    int dots = GetDeviceCaps(context, LOGPIXELSY);
    HFONT font = CreateFontW(-MulDiv(8, dots, 72), 0, 0, 0, FW_NORMAL, 0, 0, 0, DEFAULT_CHARSET, 0,
                             0, 0, 0, L"MS Shell Dlg");
    HGDIOBJ before = SelectObject(context, font);
    RECT there, needed;

    GetClientRect(control, &there);
    if (!label && (style & BS_TYPEMASK) != BS_PUSHBUTTON)
        there.right -= MulDiv(BOX_WIDTH, dots, 96);
    needed = there;
    DrawTextW(context, text, -1, &needed,
              DT_CALCRECT | DT_NOPREFIX | (label ? DT_WORDBREAK : DT_SINGLELINE));
    SelectObject(context, before);
    DeleteObject(font);
    ReleaseDC(NULL, context);
    return needed.right <= there.right && needed.bottom <= there.bottom;
}

static BOOL CALLBACK
print_control(HWND window, LPARAM context)
{
    WCHAR class[64], text[TEXT_MAX];

    (void)context;
    if (!IsWindowVisible(window))
        return TRUE;
    GetClassNameW(window, class, ARRAYSIZE(class));
    get_text(window, text);
    if (text[0] == L'\0')
        return TRUE;
    print_wide(class);
    printf(" %s", IsWindowEnabled(window) ? "enabled" : "disabled");
    if (wcscmp(class, L"Button") == 0)
        printf(",%s", SendMessageW(window, BM_GETCHECK, 0, 0) == BST_CHECKED ? "ticked" : "plain");
    printf(" %s ", fits(window, text) ? "fits" : "CUT");
    print_wide(text);
    putchar('\n');
    return TRUE;
}

static BOOL CALLBACK
find_dialog(HWND window, LPARAM context)
{
    if (!IsWindowVisible(window) || !has_class(window, L"#32770"))
        return TRUE;
    *(HWND *)context = window;
    return FALSE;
}

static void
do_dialog(WCHAR *argument)
{
    HWND dialog = NULL;
    RECT place;

    (void)argument;
    EnumWindows(find_dialog, (LPARAM)&dialog);
    if (dialog != NULL) {
        GetWindowRect(dialog, &place);
        printf("%ld %ld %ld %ld\n", place.left, place.top, place.right, place.bottom);
        EnumChildWindows(dialog, print_control, 0);
    }
    answer_yes(dialog != NULL);
}

/* ---- commands ---- */

static const struct {
    const char *word;
    void (*run)(WCHAR *argument);
} commands[] = {
    { "run", do_run },       { "start", do_start }, { "wait", do_wait },   { "state", do_state },
    { "value", do_value },   { "set", do_set },     { "await", do_await }, { "text", do_text },
    { "window", do_window }, { "press", do_press }, { "key", do_key },     { "dialog", do_dialog },
};

static void
obey(char *line)
{
    WCHAR argument[LINE_MAX];
    char *blank = strchr(line, ' ');

    if (blank != NULL)
        *blank = '\0';
    hvs_wide_from_utf8(blank == NULL ? "" : blank + 1, argument, ARRAYSIZE(argument));
    for (size_t i = 0; i < ARRAYSIZE(commands); i++) {
        if (strcmp(line, commands[i].word) == 0) {
            commands[i].run(argument);
            return;
        }
    }
    answer("unknown command");
}

int
wmain(void)
{
    char line[LINE_MAX];

    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        obey(line);
    }
    return 0;
}
