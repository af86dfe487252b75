/* Looks at the windows of another program, and uses them as a person would: by the numbers and
 * texts of their controls. Functions abort the test when they fail; those that wait do so for
 * LONG_TIME at most. */
#ifndef HVS_TESTS_WINE_WALK_H
#define HVS_TESTS_WINE_WALK_H

#include <windows.h>

#include <stdbool.h>

/* Characters that hold any text of a control here. */
#define WALK_TEXT_MAX 8192

/* A desktop with a notification area, and this thread on it. Once. */
void walk_desktop(const WCHAR *name, int width, int height);
/* Starts a program on it. */
HANDLE walk_start(const WCHAR *name, const WCHAR *command, DWORD *process);

/* A visible top-level window of the class that has a control of that number; 0: any. */
HWND walk_wait_window(const WCHAR *class, unsigned id);
/* A visible top-level window of the class that belongs to the process, other than one. */
HWND walk_wait_other(const WCHAR *class, DWORD process, HWND other);
void walk_wait_gone(HWND window);

/* The control of that number, however deep. */
HWND walk_control(HWND window, unsigned id);
bool walk_is_visible(HWND window, unsigned id);
/* Its text; stays until the next call. */
const WCHAR *walk_text(HWND window, unsigned id);
/* Until the text has that in it; "": until it is empty. */
void walk_wait_text(HWND window, unsigned id, const WCHAR *contained);
void walk_wait_visible(HWND window, unsigned id, bool visible);
void walk_wait_enabled(HWND window, unsigned id);
/* A button, without waiting for what it does. */
void walk_click(HWND window, unsigned id);
/* Every visible button of the window is as large as its text needs. */
void walk_check_buttons(HWND window);

/* ---- list views and tabs ---- */

int walk_rows(HWND window, unsigned id);
void walk_wait_rows(HWND window, unsigned id, int rows);
/* Stays until the next call. */
const WCHAR *walk_cell(HWND window, unsigned id, int row, int column);
void walk_wait_cell(HWND window, unsigned id, int row, int column, const WCHAR *contained);
void walk_choose(HWND window, unsigned id, int row);
/* No column is narrower than its title, and no cell but those of the column is cut. */
void walk_check_columns(HWND window, unsigned id, int columns, int stretch);
/* Turns a tab control to a page, as the keyboard does. */
void walk_turn(HWND window, unsigned id, int page);
/* What is on the clipboard; stays until the next call. */
const WCHAR *walk_clipboard(void);

/* A balloon with that in its text, or title and text. */
void walk_wait_balloon(const WCHAR *contained);

/* ---- resources ---- */

/* A number that grows by the USER handles that the programs of this session keep. */
unsigned walk_user_handles(void);

#endif
