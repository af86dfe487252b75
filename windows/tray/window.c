#include "window.h"

#include "preferences.h"
#include "words.h"

#include "windows/wide.h"

#include <commctrl.h>
#include <stdlib.h>

#ifndef WM_DPICHANGED
#define WM_DPICHANGED 0x02e0
#endif
/* What changes with time is looked at that often while the window is seen, in milliseconds. */
#define TICK 1000
/* At 96 dots an inch. */
#define WIDTH       720
#define HEIGHT      540
#define WIDTH_MIN   520
#define HEIGHT_MIN  400
#define ICON_SIZE   48

struct hvs_window {
    struct hvs_app *app;
    HWND            dialog;
    HWND            pages[HVS_PAGES];
    enum hvs_page   page;
    struct hvs_ui   ui;
    HICON           icon;
    enum hvs_light  light;
    unsigned        action; /* IDM_… of the button on top; 0: it is not there */
};

static const struct hvs_page_functions *const pages[HVS_PAGES] = {
    [HVS_PAGE_OVERVIEW] = &hvs_overview_page,
    [HVS_PAGE_SESSIONS] = &hvs_sessions_page,
    [HVS_PAGE_DIAGNOSIS] = &hvs_diagnosis_page,
};

/* ---- pages ---- */

/* The tab control's background under the labels of a page, from XP on; looked up, since classic
 * systems go without. */
static void
follow_theme(HWND page)
{
    const DWORD enable_tab = 6; /* ETDT_ENABLETAB */
    HMODULE theme = GetModuleHandleW(L"uxtheme.dll");
    HRESULT(WINAPI *enable)
    (HWND, DWORD) = (HRESULT(WINAPI *)(HWND, DWORD))(void (*)(void))(
        theme != NULL ? GetProcAddress(theme, "EnableThemeDialogTexture") : NULL);

    if (enable != NULL)
        enable(page, enable_tab);
}

static const struct hvs_page_functions *
functions_of(const struct hvs_window *window, HWND page)
{
    int i = 0;

    while (i < HVS_PAGES - 1 && window->pages[i] != page)
        i++;
    return pages[i];
}

static INT_PTR CALLBACK
handle_page(HWND page, UINT message, WPARAM wparam, LPARAM lparam)
{
    struct hvs_window *window = (struct hvs_window *)GetWindowLongPtrW(page, DWLP_USER);
    const NMHDR *header = (const NMHDR *)lparam;
    const struct hvs_page_functions *functions;

    if (message == WM_INITDIALOG) {
        SetWindowLongPtrW(page, DWLP_USER, lparam);
        hvs_ui_keep_layout(page);
        follow_theme(page);
        return FALSE;
    }
    if (window == NULL)
        return FALSE;
    functions = functions_of(window, page);
    if (message == WM_COMMAND && HIWORD(wparam) == BN_CLICKED) {
        functions->command(page, window->app, LOWORD(wparam));
        return TRUE;
    }
    if (message == WM_NOTIFY && functions->chosen != NULL && header->code == LVN_ITEMCHANGED &&
        ((const NMLISTVIEW *)lparam)->uChanged & LVIF_STATE)
        functions->chosen(page, &window->ui, window->app, (unsigned)header->idFrom);
    return FALSE;
}

static void
show_page(struct hvs_window *window, enum hvs_page page)
{
    window->page = page;
    TabCtrl_SetCurSel(GetDlgItem(window->dialog, IDC_TABS), (int)page);
    pages[page]->update(window->pages[page], &window->ui, window->app);
    /* Two pages are never to be seen at a time: they would draw over each other. */
    for (int i = 0; i < HVS_PAGES; i++)
        if (i != (int)page)
            ShowWindow(window->pages[i], SW_HIDE);
    ShowWindow(window->pages[page], SW_SHOWNA);
}

/* A page may be waiting for its first diagnosis. */
static void
turn_to_page(struct hvs_window *window, enum hvs_page page)
{
    show_page(window, page);
    if (page == HVS_PAGE_DIAGNOSIS && window->app->diagnosis == NULL)
        hvs_app_diagnose(window->app);
}

/* ---- making it ---- */

static void
set_tab_title(struct hvs_window *window, enum hvs_page page, unsigned count)
{
    HWND tabs = GetDlgItem(window->dialog, IDC_TABS);
    WCHAR title[64], now[64], number[16];
    TCITEMW item = { .mask = TCIF_TEXT, .pszText = now, .cchTextMax = ARRAYSIZE(now) };

    hvs_wide_format(number, ARRAYSIZE(number), L"%u", count);
    if (count > 0)
        hvs_words_format(title, ARRAYSIZE(title), IDS_COUNTED, hvs_word(pages[page]->title),
                         number);
    else
        hvs_wide_copy(title, ARRAYSIZE(title), hvs_word(pages[page]->title));
    if (SendMessageW(tabs, TCM_GETITEMW, (WPARAM)page, (LPARAM)&item) && wcscmp(now, title) == 0)
        return;
    item.pszText = title;
    SendMessageW(tabs, TCM_SETITEMW, (WPARAM)page, (LPARAM)&item);
    /* The tabs behind it have moved. */
    InvalidateRect(tabs, NULL, TRUE);
}

static void
add_pages(struct hvs_window *window)
{
    HWND tabs = GetDlgItem(window->dialog, IDC_TABS);
    WCHAR empty[] = L"";

    for (int i = 0; i < HVS_PAGES; i++) {
        TCITEMW item = { .mask = TCIF_TEXT, .pszText = empty };

        SendMessageW(tabs, TCM_INSERTITEMW, (WPARAM)i, (LPARAM)&item);
        set_tab_title(window, (enum hvs_page)i, 0);
        window->pages[i] =
            CreateDialogParamW(window->app->instance, MAKEINTRESOURCEW(IDD_PAGE), window->dialog,
                               handle_page, (LPARAM)window);
        pages[i]->create(window->pages[i]);
        /* In front of the tabs, which would draw over them. */
        SetWindowPos(window->pages[i], HWND_TOP, 0, 0, 0, 0,
                     SWP_NOMOVE | SWP_NOSIZE | SWP_NOACTIVATE);
    }
}

static void
add_controls(struct hvs_window *window)
{
    HWND dialog = window->dialog;

    hvs_ui_add(dialog, IDC_LIGHT, WC_STATICW, SS_ICON | SS_REALSIZEIMAGE, 0, NULL);
    hvs_ui_add(dialog, IDC_STATE, WC_STATICW, SS_NOPREFIX, 0, NULL);
    hvs_ui_add(dialog, IDC_SENTENCE, WC_STATICW, SS_NOPREFIX | SS_EDITCONTROL, 0, NULL);
    hvs_ui_add(dialog, IDC_ACTION, WC_BUTTONW, WS_TABSTOP | BS_PUSHBUTTON, 0, NULL);
    hvs_ui_add(dialog, IDC_TABS, WC_TABCONTROLW, WS_TABSTOP | WS_CLIPSIBLINGS, 0, NULL);
    add_pages(window);
    hvs_ui_add(dialog, IDC_NOTIFY, WC_BUTTONW, WS_TABSTOP | BS_AUTOCHECKBOX, 0,
               hvs_word(IDS_NOTIFY));
    hvs_ui_add(dialog, IDC_LOG, WC_BUTTONW, WS_TABSTOP | BS_PUSHBUTTON, 0, hvs_word(IDS_LOG));
    hvs_ui_add(dialog, IDC_CLOSE, WC_BUTTONW, WS_TABSTOP | BS_DEFPUSHBUTTON, 0,
               hvs_word(IDS_CLOSE));
}

static void
set_fonts(struct hvs_window *window)
{
    hvs_ui_set_fonts(window->dialog, window->ui.font);
    for (int i = 0; i < HVS_PAGES; i++)
        hvs_ui_set_fonts(window->pages[i], window->ui.font);
    SendDlgItemMessageW(window->dialog, IDC_STATE, WM_SETFONT, (WPARAM)window->ui.heading, FALSE);
}

/* ---- placing ---- */

/* The state, what it means and what to do about it. Returns where the next thing begins. */
static int
layout_top(struct hvs_window *window, int width)
{
    const struct hvs_ui *ui = &window->ui;
    int icon = hvs_ui_scale(ui, ICON_SIZE), x = 2 * ui->margin + icon;
    int button = window->action != 0
                     ? hvs_ui_button_width(ui, window->dialog, IDC_ACTION) + ui->margin
                     : 0;
    int text = width - x - button - ui->margin;
    int heading = hvs_ui_text_height(ui->heading, L"Ay", 1000);
    int sentence = hvs_ui_control_height(ui, window->dialog, IDC_SENTENCE, text);
    int height = max(icon, heading + ui->gap / 2 + sentence);
    int y = ui->margin + max(0, (icon - heading - ui->gap / 2 - sentence) / 2);

    hvs_ui_place(window->dialog, IDC_LIGHT, ui->margin, ui->margin, icon, icon);
    hvs_ui_place(window->dialog, IDC_STATE, x, y, text, heading);
    hvs_ui_place(window->dialog, IDC_SENTENCE, x, y + heading + ui->gap / 2, text, sentence);
    hvs_ui_place(window->dialog, IDC_ACTION, width - button,
                 ui->margin + (icon - ui->button_height) / 2, button - ui->margin,
                 ui->button_height);
    return ui->margin + height + ui->margin;
}

static void
layout_bottom(struct hvs_window *window, int width, int y)
{
    const struct hvs_ui *ui = &window->ui;
    int close = hvs_ui_button_width(ui, window->dialog, IDC_CLOSE);
    int log = hvs_ui_button_width(ui, window->dialog, IDC_LOG);
    int x = width - ui->margin - close;

    hvs_ui_place(window->dialog, IDC_CLOSE, x, y, close, ui->button_height);
    x -= ui->gap + log;
    hvs_ui_place(window->dialog, IDC_LOG, x, y, log, ui->button_height);
    hvs_ui_place(window->dialog, IDC_NOTIFY, ui->margin, y, x - 2 * ui->margin, ui->button_height);
}

static void
layout(struct hvs_window *window)
{
    const struct hvs_ui *ui = &window->ui;
    HWND tabs = GetDlgItem(window->dialog, IDC_TABS);
    RECT area, page;
    int top, bottom;

    GetClientRect(window->dialog, &area);
    top = layout_top(window, area.right);
    bottom = area.bottom - ui->margin - ui->button_height;
    layout_bottom(window, area.right, bottom);
    hvs_ui_place(window->dialog, IDC_TABS, ui->margin, top, area.right - 2 * ui->margin,
                 bottom - ui->margin - top);
    GetWindowRect(tabs, &page);
    MapWindowPoints(NULL, window->dialog, (POINT *)&page, 2);
    TabCtrl_AdjustRect(tabs, FALSE, &page);
    for (int i = 0; i < HVS_PAGES; i++) {
        int width = max(page.right - page.left, 0), height = max(page.bottom - page.top, 0);

        SetWindowPos(window->pages[i], NULL, page.left, page.top, width, height,
                     SWP_NOZORDER | SWP_NOACTIVATE);
        pages[i]->layout(window->pages[i], ui, width, height);
    }
}

/* Fits it onto the monitor that it is on, in the middle. */
static void
set_size(struct hvs_window *window)
{
    MONITORINFO monitor = { .cbSize = sizeof monitor };
    int width = hvs_ui_scale(&window->ui, WIDTH), height = hvs_ui_scale(&window->ui, HEIGHT);
    RECT *work = &monitor.rcWork;

    GetMonitorInfoW(MonitorFromWindow(window->dialog, MONITOR_DEFAULTTOPRIMARY), &monitor);
    width = min(width, work->right - work->left);
    height = min(height, work->bottom - work->top);
    SetWindowPos(window->dialog, NULL, (work->left + work->right - width) / 2,
                 (work->top + work->bottom - height) / 2, width, height,
                 SWP_NOZORDER | SWP_NOACTIVATE);
}

/* ---- filling ---- */

static void
set_icon(struct hvs_window *window, enum hvs_light light)
{
    HICON before = window->icon;

    if (before != NULL && window->light == light)
        return;
    window->light = light;
    window->icon = hvs_ui_icon(light, (unsigned)hvs_ui_scale(&window->ui, ICON_SIZE));
    SendDlgItemMessageW(window->dialog, IDC_LIGHT, STM_SETICON, (WPARAM)window->icon, 0);
    if (before != NULL)
        DestroyIcon(before);
}

/* What helps in this state, IDM_…; 0: nothing is needed. */
static unsigned
helpful_action(const struct hvs_model *model)
{
    if (model->service == HVS_SERVICE_DOWN)
        return IDM_START;
    if (model->service == HVS_SERVICE_UP && (hvs_model_light(model) == HVS_LIGHT_PROBLEM ||
                                             model->overall == HVS_OVERALL_NOT_OFFERED))
        return IDM_DIAGNOSE;
    return 0;
}

static void
update_top(struct hvs_window *window)
{
    const struct hvs_model *model = &window->app->model;
    unsigned action = helpful_action(model);
    WCHAR text[HVS_WORDS_MAX];

    set_icon(window, hvs_model_light(model));
    hvs_words_state(model, text);
    hvs_ui_set_text(window->dialog, IDC_STATE, text);
    hvs_words_sentence(model, text);
    hvs_ui_set_text(window->dialog, IDC_SENTENCE, text);
    if (action != 0)
        hvs_ui_set_text(window->dialog, IDC_ACTION,
                        hvs_word(action == IDM_START ? IDS_START : IDS_DIAGNOSE));
    if (action != window->action)
        hvs_ui_show(window->dialog, IDC_ACTION, action != 0);
    window->action = action;
}

static void
update(struct hvs_window *window)
{
    struct hvs_app *app = window->app;
    RECT area;

    update_top(window);
    set_tab_title(window, HVS_PAGE_SESSIONS, app->model.session_count);
    set_tab_title(window, HVS_PAGE_DIAGNOSIS, hvs_view_problems(&app->view));
    CheckDlgButton(window->dialog, IDC_NOTIFY,
                   hvs_preferences_get(L"Notifications", true) ? BST_CHECKED : BST_UNCHECKED);
    pages[window->page]->update(window->pages[window->page], &window->ui, app);
    GetClientRect(window->dialog, &area);
    /* A sentence may need more lines, a list another scroll bar. */
    layout(window);
}

/* Is there anything that only a new look at the service tells? */
static void
tick(struct hvs_window *window)
{
    if (IsIconic(window->dialog) || !IsWindowVisible(window->dialog))
        return;
    pages[window->page]->update(window->pages[window->page], &window->ui, window->app);
    if (window->page == HVS_PAGE_SESSIONS && window->app->model.session_count > 0)
        hvs_link_ask_status(window->app->hidden);
}

/* ---- messages ---- */

static void
renew(struct hvs_window *window, unsigned dpi)
{
    hvs_ui_renew(&window->ui, window->dialog, dpi);
    set_fonts(window);
    if (window->icon != NULL)
        DestroyIcon(window->icon);
    window->icon = NULL;
    update(window);
    InvalidateRect(window->dialog, NULL, TRUE);
}

static void
on_command(struct hvs_window *window, unsigned id)
{
    struct hvs_app *app = window->app;

    switch (id) {
    case IDC_CLOSE:
        DestroyWindow(window->dialog);
        break;
    case IDC_ACTION:
        if (window->action != 0)
            hvs_app_command(app, window->action);
        break;
    case IDC_LOG:
        hvs_app_command(app, IDM_LOG);
        break;
    case IDC_NOTIFY:
        hvs_app_command(app, IDM_NOTIFY);
        break;
    case IDM_NEXT_PAGE:
        turn_to_page(window, (enum hvs_page)((window->page + 1) % HVS_PAGES));
        break;
    case IDM_PREVIOUS_PAGE:
        turn_to_page(window, (enum hvs_page)((window->page + HVS_PAGES - 1) % HVS_PAGES));
        break;
    default:
        break;
    }
}

static void
on_created(struct hvs_window *window)
{
    HICON large = hvs_ui_icon(HVS_LIGHT_WORKING, (unsigned)GetSystemMetrics(SM_CXICON));
    HICON small = hvs_ui_icon(HVS_LIGHT_WORKING, (unsigned)GetSystemMetrics(SM_CXSMICON));

    hvs_ui_init(&window->ui, window->dialog);
    hvs_ui_keep_layout(window->dialog);
    SetWindowTextW(window->dialog, hvs_word(IDS_TITLE));
    SendMessageW(window->dialog, WM_SETICON, ICON_BIG, (LPARAM)large);
    SendMessageW(window->dialog, WM_SETICON, ICON_SMALL, (LPARAM)small);
    add_controls(window);
    set_fonts(window);
    set_size(window);
    SetTimer(window->dialog, 1, TICK, NULL);
}

static void
on_destroyed(struct hvs_window *window)
{
    static const WPARAM kinds[] = { ICON_BIG, ICON_SMALL };

    for (unsigned i = 0; i < ARRAYSIZE(kinds); i++) {
        HICON icon = (HICON)SendMessageW(window->dialog, WM_SETICON, kinds[i], 0);

        if (icon != NULL)
            DestroyIcon(icon);
    }
    if (window->icon != NULL)
        DestroyIcon(window->icon);
    hvs_ui_free(&window->ui);
    window->app->window = NULL;
    SetWindowLongPtrW(window->dialog, DWLP_USER, 0);
    free(window);
}

static void
set_least_size(const struct hvs_window *window, MINMAXINFO *sizes)
{
    sizes->ptMinTrackSize.x = hvs_ui_scale(&window->ui, WIDTH_MIN);
    sizes->ptMinTrackSize.y = hvs_ui_scale(&window->ui, HEIGHT_MIN);
}

static void
on_dpi_changed(struct hvs_window *window, unsigned dpi, const RECT *wanted)
{
    SetWindowPos(window->dialog, NULL, wanted->left, wanted->top, wanted->right - wanted->left,
                 wanted->bottom - wanted->top, SWP_NOZORDER | SWP_NOACTIVATE);
    renew(window, dpi);
}

static INT_PTR CALLBACK
handle_dialog(HWND dialog, UINT message, WPARAM wparam, LPARAM lparam)
{
    struct hvs_window *window = (struct hvs_window *)GetWindowLongPtrW(dialog, DWLP_USER);

    if (message == WM_INITDIALOG) {
        window = (struct hvs_window *)lparam;
        window->dialog = dialog;
        SetWindowLongPtrW(dialog, DWLP_USER, lparam);
        on_created(window);
        /* The focus is set by who opens it. */
        return FALSE;
    }
    if (window == NULL)
        return FALSE;
    switch (message) {
    case WM_COMMAND:
        on_command(window, LOWORD(wparam));
        return TRUE;
    case WM_NOTIFY:
        if (((const NMHDR *)lparam)->code == TCN_SELCHANGE)
            turn_to_page(window, (enum hvs_page)TabCtrl_GetCurSel(GetDlgItem(dialog, IDC_TABS)));
        return TRUE;
    case WM_SIZE:
        if (wparam != SIZE_MINIMIZED)
            layout(window);
        return TRUE;
    case WM_TIMER:
        tick(window);
        return TRUE;
    case WM_GETMINMAXINFO:
        set_least_size(window, (MINMAXINFO *)lparam);
        return TRUE;
    case WM_DPICHANGED:
        on_dpi_changed(window, LOWORD(wparam), (const RECT *)lparam);
        return TRUE;
    case WM_SETTINGCHANGE:
        renew(window, window->ui.dpi);
        return TRUE;
    case WM_CLOSE:
        DestroyWindow(dialog);
        return TRUE;
    case WM_DESTROY:
        on_destroyed(window);
        return TRUE;
    default:
        return FALSE;
    }
}

/* ---- the app's side ---- */

HWND
hvs_window_handle(const struct hvs_app *app)
{
    return app->window != NULL ? app->window->dialog : NULL;
}

enum hvs_page
hvs_window_page(const struct hvs_app *app)
{
    return app->window != NULL ? app->window->page : HVS_PAGE_OVERVIEW;
}

void
hvs_window_open(struct hvs_app *app, enum hvs_page page)
{
    struct hvs_window *window = app->window;

    if (window == NULL) {
        window = calloc(1, sizeof *window);
        if (window == NULL)
            return;
        window->app = app;
        if (CreateDialogParamW(app->instance, MAKEINTRESOURCEW(IDD_STATUS), NULL, handle_dialog,
                               (LPARAM)window) == NULL) {
            free(window);
            return;
        }
        app->window = window;
        hvs_ui_show(window->dialog, IDC_ACTION, false);
        window->page = page;
        update(window);
        SetFocus(GetDlgItem(window->dialog, IDC_TABS));
    }
    turn_to_page(window, page);
    ShowWindow(window->dialog, IsIconic(window->dialog) ? SW_RESTORE : SW_SHOW);
    SetForegroundWindow(window->dialog);
}

void
hvs_window_close(struct hvs_app *app)
{
    if (app->window != NULL)
        DestroyWindow(app->window->dialog);
}

void
hvs_window_update(struct hvs_app *app)
{
    if (app->window != NULL)
        update(app->window);
}

/* Ctrl+Tab and Ctrl+Page Down turn pages, as in property sheets. */
static bool
is_page_key(const MSG *message, unsigned *command)
{
    bool shift = GetKeyState(VK_SHIFT) < 0;

    if (message->message != WM_KEYDOWN || GetKeyState(VK_CONTROL) >= 0)
        return false;
    switch (message->wParam) {
    case VK_TAB:
        *command = shift ? IDM_PREVIOUS_PAGE : IDM_NEXT_PAGE;
        return true;
    case VK_NEXT:
        *command = IDM_NEXT_PAGE;
        return true;
    case VK_PRIOR:
        *command = IDM_PREVIOUS_PAGE;
        return true;
    default:
        return false;
    }
}

bool
hvs_window_is_message(struct hvs_app *app, MSG *message)
{
    HWND dialog = hvs_window_handle(app);
    unsigned command;

    if (dialog == NULL || (message->hwnd != dialog && !IsChild(dialog, message->hwnd)))
        return false;
    if (is_page_key(message, &command)) {
        SendMessageW(dialog, WM_COMMAND, command, 0);
        return true;
    }
    return IsDialogMessageW(dialog, message) != FALSE;
}
