/* hvsession-tray.exe: the state of Enhanced Session in the notification area.
 *
 *     hvsession-tray                 shows the icon; if it is there already, the status window
 *     hvsession-tray --background    as Windows starts it: not if the user has said no to that
 *     hvsession-tray --open          shows the status window at once
 *     hvsession-tray --quit          ends the one that runs for this user
 *     hvsession-tray --act ACTION ID does what needs rights, without a window; used by itself. The
 *                                    exit status is an error of the system
 */
#include "app.h"
#include "preferences.h"
#include "window.h"
#include "words.h"

#include "windows/clock.h"

#include <commctrl.h>
#include <shellapi.h>
#include <stdlib.h>

/* Of one user on one desktop: others have their own. */
#define MUTEX L"Local\\hvsession-tray"

/* Behind the program's name, which may be quoted. */
static const WCHAR *
skip_program(const WCHAR *line)
{
    bool quoted = *line == L'"';

    if (quoted)
        line++;
    while (*line != L'\0' && (quoted ? *line != L'"' : *line > L' '))
        line++;
    if (*line == L'"')
        line++;
    while (*line == L' ' || *line == L'\t')
        line++;
    return line;
}

/* The other instance may just be starting. */
static HWND
find_other(void)
{
    HWND other = NULL;

    for (unsigned i = 0; other == NULL && i < 50; i++) {
        other = FindWindowW(HVS_APP_CLASS, NULL);
        if (other == NULL)
            Sleep(20);
    }
    return other;
}

static int
show_other(void)
{
    HWND other = find_other();
    DWORD process;

    if (other == NULL)
        return 1;
    GetWindowThreadProcessId(other, &process);
    /* We were started by the user, and may pass that on. */
    AllowSetForegroundWindow(process);
    return PostMessageW(other, RegisterWindowMessageW(HVS_APP_OPEN), 0, 0) ? 0 : 1;
}

static int
quit_other(void)
{
    HWND other = FindWindowW(HVS_APP_CLASS, NULL);

    if (other != NULL)
        PostMessageW(other, WM_COMMAND, IDM_EXIT, 0);
    return 0;
}

static int
run(HINSTANCE instance, bool open)
{
    struct hvs_app *app = calloc(1, sizeof *app);
    INITCOMMONCONTROLSEX controls = { .dwSize = sizeof controls,
                                      .dwICC = ICC_LISTVIEW_CLASSES | ICC_TAB_CLASSES |
                                               ICC_STANDARD_CLASSES };
    MSG message;
    int status = 1;

    InitCommonControlsEx(&controls);
    hvs_words_init(instance);
    if (app != NULL && hvs_app_start(app, instance)) {
        if (open)
            hvs_window_open(app, HVS_PAGE_OVERVIEW);
        while (GetMessageW(&message, NULL, 0, 0) > 0) {
            if (hvs_window_is_message(app, &message))
                continue;
            TranslateMessage(&message);
            DispatchMessageW(&message);
        }
        status = 0;
    }
    if (app != NULL)
        hvs_app_stop(app);
    free(app);
    return status;
}

int WINAPI
wWinMain(HINSTANCE instance, HINSTANCE previous, WCHAR *line, int show)
{
    const WCHAR *arguments = skip_program(GetCommandLineW());
    bool background = lstrcmpW(arguments, L"--background") == 0;
    enum hvs_action action;
    uint32_t id;
    HANDLE mutex;
    int status;

    (void)previous;
    (void)line;
    (void)show;
    hvs_clock_init();
    if (hvs_link_parse_action(arguments, &action, &id))
        return (int)hvs_link_act_now(action, id);
    if (lstrcmpW(arguments, L"--quit") == 0)
        return quit_other();
    if (background && !hvs_preferences_starts_with_windows())
        return 0;
    mutex = CreateMutexW(NULL, FALSE, MUTEX);
    if (mutex == NULL || GetLastError() == ERROR_ALREADY_EXISTS) {
        if (mutex != NULL)
            CloseHandle(mutex);
        return background ? 0 : show_other();
    }
    status = run(instance, lstrcmpW(arguments, L"--open") == 0);
    CloseHandle(mutex);
    return status;
}
