#include "walk.h"

#include "winhost.h"

#include <commctrl.h>
#include <stdio.h>
#include <string.h>
#include <strsafe.h>
#include <wchar.h>

/* What is waited for is looked at that often, in milliseconds. */
#define PAUSE 20

/* ---- desktop and programs ---- */

HANDLE
walk_start(const WCHAR *name, const WCHAR *command, DWORD *process)
{
    WCHAR line[2 * MAX_PATH];
    STARTUPINFOW startup = { .cb = sizeof startup, .lpDesktop = (WCHAR *)(UINT_PTR)name };
    PROCESS_INFORMATION started;

    StringCchCopyW(line, ARRAYSIZE(line), command);
    if (!CreateProcessW(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &started))
        fail("starting %ls", command);
    CloseHandle(started.hThread);
    if (process != NULL)
        *process = started.dwProcessId;
    return started.hProcess;
}

void
walk_desktop(const WCHAR *name, int width, int height)
{
    DWORD began = GetTickCount();
    WCHAR command[128];
    HDESK desktop;

    StringCchPrintfW(command, ARRAYSIZE(command), L"explorer.exe /desktop=%ls,%dx%d", name, width,
                     height);
    CloseHandle(walk_start(NULL, command, NULL));
    while ((desktop = OpenDesktopW((WCHAR *)(UINT_PTR)name, 0, FALSE, GENERIC_ALL)) == NULL) {
        if (GetTickCount() - began > LONG_TIME)
            fail("there is no desktop %ls", name);
        Sleep(PAUSE);
    }
    if (!SetThreadDesktop(desktop))
        fail("SetThreadDesktop");
    while (FindWindowW(L"Shell_TrayWnd", NULL) == NULL) {
        if (GetTickCount() - began > LONG_TIME)
            fail("there is no notification area");
        Sleep(PAUSE);
    }
}

/* ---- windows ---- */

struct search {
    const WCHAR *class;
    unsigned     id;
    DWORD        process;
    HWND         other, found;
};

static BOOL CALLBACK
match(HWND window, LPARAM data)
{
    struct search *search = (struct search *)data;
    WCHAR class[64];
    DWORD process;

    if (!IsWindowVisible(window) || window == search->other)
        return TRUE;
    GetClassNameW(window, class, ARRAYSIZE(class));
    GetWindowThreadProcessId(window, &process);
    if (wcscmp(class, search->class) != 0 ||
        (search->id != 0 && GetDlgItem(window, (int)search->id) == NULL) ||
        (search->process != 0 && process != search->process))
        return TRUE;
    search->found = window;
    return FALSE;
}

static HWND
wait_window(struct search search)
{
    DWORD began = GetTickCount();

    while (EnumWindows(match, (LPARAM)&search), search.found == NULL) {
        if (GetTickCount() - began > LONG_TIME)
            fail("no window %ls with a control %u", search.class, search.id);
        Sleep(PAUSE);
    }
    return search.found;
}

HWND
walk_wait_window(const WCHAR *class, unsigned id)
{
    return wait_window((struct search) { .class = class, .id = id });
}

HWND
walk_wait_other(const WCHAR *class, DWORD process, HWND other)
{
    return wait_window((struct search) { .class = class, .process = process, .other = other });
}

void
walk_wait_gone(HWND window)
{
    DWORD began = GetTickCount();

    while (IsWindow(window)) {
        if (GetTickCount() - began > LONG_TIME)
            fail("a window does not go");
        Sleep(PAUSE);
    }
}

/* ---- controls ---- */

static BOOL CALLBACK
match_control(HWND window, LPARAM data)
{
    struct search *search = (struct search *)data;

    if ((unsigned)GetDlgCtrlID(window) != search->id)
        return TRUE;
    search->found = window;
    return FALSE;
}

HWND
walk_control(HWND window, unsigned id)
{
    struct search search = { .id = id };

    EnumChildWindows(window, match_control, (LPARAM)&search);
    if (search.found == NULL)
        fail("there is no control %u", id);
    return search.found;
}

bool
walk_is_visible(HWND window, unsigned id)
{
    return IsWindowVisible(walk_control(window, id)) != FALSE;
}

const WCHAR *
walk_text(HWND window, unsigned id)
{
    static WCHAR text[WALK_TEXT_MAX];

    text[0] = L'\0';
    SendMessageW(walk_control(window, id), WM_GETTEXT, ARRAYSIZE(text), (LPARAM)text);
    return text;
}

static bool
has_text(HWND window, unsigned id, const WCHAR *contained)
{
    const WCHAR *text = walk_text(window, id);

    return contained[0] != L'\0' ? wcsstr(text, contained) != NULL : text[0] == L'\0';
}

void
walk_wait_text(HWND window, unsigned id, const WCHAR *contained)
{
    DWORD began = GetTickCount();

    while (!has_text(window, id, contained)) {
        if (GetTickCount() - began > LONG_TIME)
            fail("control %u says \"%ls\", not \"%ls\"", id, walk_text(window, id), contained);
        Sleep(PAUSE);
    }
}

void
walk_wait_visible(HWND window, unsigned id, bool visible)
{
    DWORD began = GetTickCount();

    while (walk_is_visible(window, id) != visible) {
        if (GetTickCount() - began > LONG_TIME)
            fail("control %u is %s", id, visible ? "hidden" : "visible");
        Sleep(PAUSE);
    }
}

void
walk_wait_enabled(HWND window, unsigned id)
{
    DWORD began = GetTickCount();

    while (!IsWindowEnabled(walk_control(window, id))) {
        if (GetTickCount() - began > LONG_TIME)
            fail("control %u is not enabled", id);
        Sleep(PAUSE);
    }
}

void
walk_click(HWND window, unsigned id)
{
    HWND control = walk_control(window, id);

    if (!IsWindowVisible(control) || !IsWindowEnabled(control))
        fail("control %u cannot be clicked", id);
    PostMessageW(control, BM_CLICK, 0, 0);
}

/* ---- memory of the other program: what messages point to ---- */

struct shared {
    HANDLE process;
    BYTE  *bytes;
};

/* Of this size each; the program has our bitness. */
#define SHARED_TEXT 4096
#define SHARED_SIZE (SHARED_TEXT + 512 * sizeof(WCHAR))

static struct shared
share(HWND control)
{
    struct shared shared;
    DWORD process;

    GetWindowThreadProcessId(control, &process);
    shared.process = OpenProcess(PROCESS_VM_OPERATION | PROCESS_VM_READ | PROCESS_VM_WRITE, FALSE,
                                 process);
    shared.bytes = shared.process != NULL ? VirtualAllocEx(shared.process, NULL, SHARED_SIZE,
                                                           MEM_COMMIT, PAGE_READWRITE)
                                          : NULL;
    if (shared.bytes == NULL)
        fail("VirtualAllocEx");
    return shared;
}

static void
unshare(struct shared shared)
{
    VirtualFreeEx(shared.process, shared.bytes, 0, MEM_RELEASE);
    CloseHandle(shared.process);
}

static LRESULT
send_with(HWND control, UINT message, WPARAM wparam, struct shared shared, const void *in,
          size_t size)
{
    if (!WriteProcessMemory(shared.process, shared.bytes, in, size, NULL))
        fail("WriteProcessMemory");
    return SendMessageW(control, message, wparam, (LPARAM)shared.bytes);
}

/* ---- buttons ---- */

static BOOL CALLBACK
check_button(HWND control, LPARAM data)
{
    WCHAR class[64], text[256];
    struct shared shared;
    SIZE ideal = { 0, 0 };
    RECT area;

    (void)data;
    GetClassNameW(control, class, ARRAYSIZE(class));
    if (lstrcmpiW(class, L"Button") != 0 || !IsWindowVisible(control))
        return TRUE;
    shared = share(control);
    if (!send_with(control, BCM_GETIDEALSIZE, 0, shared, &ideal, sizeof ideal) ||
        !ReadProcessMemory(shared.process, shared.bytes, &ideal, sizeof ideal, NULL))
        fail("BCM_GETIDEALSIZE");
    unshare(shared);
    GetClientRect(control, &area);
    SendMessageW(control, WM_GETTEXT, ARRAYSIZE(text), (LPARAM)text);
    if (area.right < ideal.cx || area.bottom < ideal.cy)
        fail("button \"%ls\" is %ld x %ld, and needs %ld x %ld", text, area.right, area.bottom,
             ideal.cx, ideal.cy);
    return TRUE;
}

void
walk_check_buttons(HWND window)
{
    EnumChildWindows(window, check_button, 0);
}

/* ---- list views and tabs ---- */

int
walk_rows(HWND window, unsigned id)
{
    return (int)SendMessageW(walk_control(window, id), LVM_GETITEMCOUNT, 0, 0);
}

void
walk_wait_rows(HWND window, unsigned id, int rows)
{
    DWORD began = GetTickCount();

    while (walk_rows(window, id) != rows) {
        if (GetTickCount() - began > LONG_TIME)
            fail("list %u has %d rows, not %d", id, walk_rows(window, id), rows);
        Sleep(PAUSE);
    }
}

const WCHAR *
walk_cell(HWND window, unsigned id, int row, int column)
{
    static WCHAR text[512];
    HWND list = walk_control(window, id);
    struct shared shared = share(list);
    LVITEMW item = { .iSubItem = column,
                     .pszText = (WCHAR *)(shared.bytes + SHARED_TEXT),
                     .cchTextMax = ARRAYSIZE(text) };
    LRESULT length = send_with(list, LVM_GETITEMTEXTW, (WPARAM)row, shared, &item, sizeof item);

    if (!ReadProcessMemory(shared.process, shared.bytes + SHARED_TEXT, text, sizeof text, NULL))
        fail("ReadProcessMemory");
    text[min(length, (LRESULT)ARRAYSIZE(text) - 1)] = L'\0';
    unshare(shared);
    return text;
}

void
walk_wait_cell(HWND window, unsigned id, int row, int column, const WCHAR *contained)
{
    DWORD began = GetTickCount();

    while (wcsstr(walk_cell(window, id, row, column), contained) == NULL) {
        if (GetTickCount() - began > LONG_TIME)
            fail("list %u, row %d, column %d says \"%ls\", not \"%ls\"", id, row, column,
                 walk_cell(window, id, row, column), contained);
        Sleep(PAUSE);
    }
}

void
walk_choose(HWND window, unsigned id, int row)
{
    HWND list = walk_control(window, id);
    struct shared shared = share(list);
    LVITEMW item = { .state = LVIS_SELECTED | LVIS_FOCUSED,
                     .stateMask = LVIS_SELECTED | LVIS_FOCUSED };

    send_with(list, LVM_SETITEMSTATE, (WPARAM)row, shared, &item, sizeof item);
    unshare(shared);
}

static void
check_width(HWND list, struct shared shared, int column, const WCHAR *text)
{
    int wide = (int)send_with(list, LVM_GETSTRINGWIDTHW, 0, shared, text,
                         (wcslen(text) + 1) * sizeof *text);
    int column_width = (int)SendMessageW(list, LVM_GETCOLUMNWIDTH, (WPARAM)column, 0);

    if (column_width < wide)
        fail("\"%ls\" takes %d pixels, its column has %d", text, wide, column_width);
}

void
walk_check_columns(HWND window, unsigned id, int columns, int stretch)
{
    HWND list = walk_control(window, id);
    struct shared shared = share(list);
    int rows = walk_rows(window, id);

    for (int column = 0; column < columns; column++) {
        LVCOLUMNW title = { .mask = LVCF_TEXT,
                            .pszText = (WCHAR *)(shared.bytes + SHARED_TEXT),
                            .cchTextMax = 256 };
        WCHAR text[256];

        send_with(list, LVM_GETCOLUMNW, (WPARAM)column, shared, &title, sizeof title);
        if (!ReadProcessMemory(shared.process, shared.bytes + SHARED_TEXT, text, sizeof text, NULL))
            fail("ReadProcessMemory");
        check_width(list, shared, column, text);
        for (int row = 0; row < rows && column != stretch; row++)
            check_width(list, shared, column, walk_cell(window, id, row, column));
    }
    unshare(shared);
}

void
walk_turn(HWND window, unsigned id, int page)
{
    HWND tabs = walk_control(window, id);

    /* Turns it, and tells its parent, as choosing with the mouse does. */
    SendMessageW(tabs, TCM_SETCURFOCUS, (WPARAM)page, 0);
    if (SendMessageW(tabs, TCM_GETCURSEL, 0, 0) != page)
        fail("the page cannot be turned to %d", page);
}

const WCHAR *
walk_clipboard(void)
{
    static WCHAR text[WALK_TEXT_MAX];
    const WCHAR *content;
    HANDLE data;

    if (!OpenClipboard(NULL))
        fail("OpenClipboard");
    data = GetClipboardData(CF_UNICODETEXT);
    content = data != NULL ? GlobalLock(data) : NULL;
    StringCchCopyW(text, ARRAYSIZE(text), content != NULL ? content : L"");
    if (content != NULL)
        GlobalUnlock(data);
    CloseClipboard();
    return text;
}

static BOOL CALLBACK
match_balloon(HWND window, LPARAM data)
{
    const WCHAR **contained = (const WCHAR **)data;
    WCHAR class[64], text[512];

    GetClassNameW(window, class, ARRAYSIZE(class));
    if (lstrcmpiW(class, TOOLTIPS_CLASSW) != 0 || !IsWindowVisible(window))
        return TRUE;
    text[0] = L'\0';
    SendMessageW(window, WM_GETTEXT, ARRAYSIZE(text), (LPARAM)text);
    if (wcsstr(text, *contained) == NULL)
        return TRUE;
    *contained = NULL;
    return FALSE;
}

void
walk_wait_balloon(const WCHAR *contained)
{
    const WCHAR *missing = contained;
    DWORD began = GetTickCount();

    while (EnumWindows(match_balloon, (LPARAM)&missing), missing != NULL) {
        if (GetTickCount() - began > LONG_TIME)
            fail("no balloon says \"%ls\"", contained);
        Sleep(PAUSE);
    }
}

/* ---- resources ---- */

/* Handles are given out from the lowest free number on. A hundred at once fill the holes that
 * others have left. */
unsigned
walk_user_handles(void)
{
    HMENU menus[100];
    unsigned highest = 0;

    for (unsigned i = 0; i < ARRAYSIZE(menus); i++) {
        menus[i] = CreateMenu();
        highest = max(highest, LOWORD((ULONG_PTR)menus[i]));
    }
    for (unsigned i = 0; i < ARRAYSIZE(menus); i++)
        DestroyMenu(menus[i]);
    return highest;
}
