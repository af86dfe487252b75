#include "app.h"

#include "json.h"
#include "preferences.h"
#include "ui.h"
#include "window.h"
#include "words.h"

#include "windows/clock.h"
#include "windows/wide.h"

#include <shellapi.h>
#include <stdlib.h>
#include <string.h>

/* From the icon: lParam is what the mouse or the keyboard did. */
#define WM_TRAY WM_HVS_OTHER
#define TRAY_ID 1
#define NOTIFICATIONS L"Notifications"
/* Rates are taken over at least that, in milliseconds: documents may come in quick succession. */
#define RATE_INTERVAL 700u

/* ---- what is known ---- */

uint64_t
hvs_app_age(const struct hvs_app *app)
{
    return app->model.service == HVS_SERVICE_UP ? hvs_clock_now() - app->received : 0;
}

const struct hvs_rate *
hvs_app_rate(const struct hvs_app *app, uint32_t session_id)
{
    for (unsigned i = 0; i < ARRAYSIZE(app->rates); i++)
        if (app->rates[i].id == session_id && app->rates[i].at > 0)
            return &app->rates[i];
    return NULL;
}

static void
measure(struct hvs_rate *rate, const struct hvs_model_session *session)
{
    uint64_t elapsed = session->duration - rate->at;

    if (rate->id != session->id || session->duration < rate->at) {
        *rate = (struct hvs_rate) { .id = session->id };
    } else if (elapsed < RATE_INTERVAL) {
        return;
    } else {
        rate->to_host_rate = hvs_model_rate(rate->to_host, session->bytes_to_host, elapsed);
        rate->to_server_rate = hvs_model_rate(rate->to_server, session->bytes_to_server, elapsed);
    }
    rate->at = session->duration;
    rate->to_host = session->bytes_to_host;
    rate->to_server = session->bytes_to_server;
}

/* Sessions have places of their own, as channels do. */
static void
measure_all(struct hvs_app *app)
{
    for (unsigned i = 0; i < app->model.session_count; i++) {
        const struct hvs_model_session *session = &app->model.sessions[i];

        measure(&app->rates[(session->channel != 0 ? session->channel - 1 : i) %
                            ARRAYSIZE(app->rates)],
                session);
    }
}

/* ---- the icon ---- */

static void
fill_icon(const struct hvs_app *app, NOTIFYICONDATAW *data)
{
    WCHAR state[HVS_WORDS_MAX];

    memset(data, 0, sizeof *data);
    /* All that Windows XP knows, whatever the headers do. */
    data->cbSize = NOTIFYICONDATAW_V2_SIZE;
    data->hWnd = app->hidden;
    data->uID = TRAY_ID;
    data->uFlags = NIF_ICON | NIF_MESSAGE | NIF_TIP;
    data->uCallbackMessage = WM_TRAY;
    data->hIcon = app->icon;
    hvs_words_state(&app->model, state);
    hvs_words_format(data->szTip, ARRAYSIZE(data->szTip), IDS_TIP, state, NULL);
}

/* Where there is no notification area (yet), there is no icon: TaskbarCreated tells when. */
static void
show_icon(struct hvs_app *app)
{
    enum hvs_light light = hvs_model_light(&app->model);
    NOTIFYICONDATAW data;
    HICON before = NULL;

    if (app->icon == NULL || app->shown_light != light) {
        before = app->icon;
        app->icon = hvs_ui_icon(light, (unsigned)GetSystemMetrics(SM_CXSMICON));
        app->shown_light = light;
    }
    fill_icon(app, &data);
    /* In this order: adding may fail by a time-out and yet have been done, as when Windows XP
     * starts. */
    if (!Shell_NotifyIconW(NIM_MODIFY, &data))
        Shell_NotifyIconW(NIM_ADD, &data);
    if (before != NULL)
        DestroyIcon(before);
}

static void
show_balloon(struct hvs_app *app, const WCHAR *title, const WCHAR *text, DWORD kind)
{
    NOTIFYICONDATAW data;

    if (!hvs_preferences_get(NOTIFICATIONS, true))
        return;
    fill_icon(app, &data);
    data.uFlags = NIF_INFO;
    data.dwInfoFlags = kind;
    data.uTimeout = 10000; /* the least that Windows XP allows */
    hvs_wide_copy(data.szInfoTitle, ARRAYSIZE(data.szInfoTitle), title);
    hvs_wide_copy(data.szInfo, ARRAYSIZE(data.szInfo), text);
    Shell_NotifyIconW(NIM_MODIFY, &data);
}

static void
tell_event(struct hvs_app *app, const struct hvs_event *event)
{
    WCHAR client[HVS_WORDS_MAX], title[HVS_WORDS_MAX], text[HVS_WORDS_MAX];

    switch (event->kind) {
    case HVS_EVENT_CONNECTED:
        hvs_words_client(event->session, client);
        if (event->session->client[0] != '\0')
            hvs_words_format(text, ARRAYSIZE(text), IDS_NEWS_CLIENT, client, NULL);
        else
            hvs_wide_copy(text, ARRAYSIZE(text), hvs_word(IDS_NEWS_SOMEBODY));
        show_balloon(app, hvs_word(IDS_NEWS_CONNECTED), text, NIIF_INFO);
        break;
    case HVS_EVENT_ENDED:
        hvs_words_client(event->session, client);
        hvs_words_format(title, ARRAYSIZE(title),
                         event->session->trouble ? IDS_NEWS_TROUBLE : IDS_NEWS_ENDED, client, NULL);
        hvs_words_reason(event->session, text);
        show_balloon(app, title, text, event->session->trouble ? NIIF_WARNING : NIIF_INFO);
        break;
    case HVS_EVENT_PROBLEM:
        hvs_words_problem(&app->model, text);
        show_balloon(app, hvs_word(IDS_NEWS_PROBLEM), text, NIIF_WARNING);
        break;
    }
}

/* ---- news of the service ---- */

static bool
is_usable(const struct hvs_model *model)
{
    return model->service == HVS_SERVICE_UP &&
           (model->overall == HVS_OVERALL_READY || model->overall == HVS_OVERALL_ACTIVE);
}

/* Whether somebody is connected makes no difference to what is in the way, unless something is. */
static bool
diagnosis_is_old(const struct hvs_model *before, const struct hvs_model *now)
{
    bool in_the_way = !is_usable(now) || before->obstacle[0] != '\0';

    return before->service != now->service || is_usable(before) != is_usable(now) ||
           (in_the_way && before->overall != now->overall) ||
           strcmp(before->problem, now->problem) != 0;
}

/* The model is another one from now on. */
static void
change_model(struct hvs_app *app, const struct hvs_model *model, bool tell)
{
    struct hvs_event events[HVS_EVENTS_MAX];
    unsigned count = tell ? hvs_model_compare(&app->model, model, events) : 0;

    app->model = *model;
    show_icon(app);
    for (unsigned i = 0; i < count; i++)
        tell_event(app, &events[i]);
}

/* Without a window only a service that is ready is diagnosed: the icon says so if that is in
 * vain. */
static void
take_model(struct hvs_app *app, struct hvs_model *model)
{
    bool old = diagnosis_is_old(&app->model, model);

    if (!old)
        memcpy(model->obstacle, app->model.obstacle, sizeof model->obstacle);
    if (app->model.service != HVS_SERVICE_UP)
        app->judged = false;
    change_model(app, model, true);
    app->received = hvs_clock_now();
    measure_all(app);
    if (old && (app->window != NULL || is_usable(model))) {
        app->diagnose_again = app->diagnosing;
        hvs_app_diagnose(app);
    }
    hvs_window_update(app);
}

static void
on_status(struct hvs_app *app, struct hvs_document *document)
{
    struct hvs_model *model = malloc(sizeof *model);

    /* A document that cannot be read is dropped: the next one may be better. */
    if (model != NULL &&
        hvs_model_read(model, document->bytes, document->length, app->values))
        take_model(app, model);
    free(model);
    free(document);
}

static void
on_service(struct hvs_app *app, enum hvs_service service)
{
    struct hvs_model *model = malloc(sizeof *model);

    if (model != NULL) {
        hvs_model_set_service(model, service);
        memset(app->rates, 0, sizeof app->rates);
        take_model(app, model);
    }
    free(model);
}

/* ---- the diagnosis ---- */

void
hvs_app_diagnose(struct hvs_app *app)
{
    if (app->diagnosing)
        return;
    app->diagnosing = true;
    app->diagnose_again = false;
    hvs_link_diagnose(app->hidden);
    hvs_window_update(app);
}

/* What was there when the service was found is not news. */
static void
judge(struct hvs_app *app)
{
    struct hvs_model *model = malloc(sizeof *model);

    if (model != NULL) {
        *model = app->model;
        hvs_model_judge(model, &app->view);
        change_model(app, model, app->judged);
        app->judged = model->service == HVS_SERVICE_UP;
    }
    free(model);
}

/* What was found before stays until there is something newer. What was asked for before the service
 * changed may not be true any more. */
static void
on_diagnosis(struct hvs_app *app, DWORD error, struct hvs_document *document)
{
    struct hvs_view *view = malloc(sizeof *view);

    app->diagnosing = false;
    if (document != NULL && view != NULL &&
        hvs_view_read(view, document->bytes, document->length, app->values)) {
        free(app->diagnosis);
        app->diagnosis = document;
        app->view = *view;
        app->diagnosis_error = ERROR_SUCCESS;
    } else {
        app->diagnosis_error = error != ERROR_SUCCESS ? error : ERROR_INVALID_DATA;
        free(document);
    }
    free(view);
    if (app->diagnose_again)
        hvs_app_diagnose(app);
    else if (app->diagnosis_error == ERROR_SUCCESS)
        judge(app);
    hvs_window_update(app);
}

/* ---- actions ---- */

static void
complain(struct hvs_app *app, unsigned what, DWORD error)
{
    WCHAR text[HVS_WORDS_MAX], why[HVS_WORDS_MAX];
    char words[512];
    struct hvs_text utf8;

    if (error == ERROR_ACCESS_DENIED) {
        hvs_wide_copy(why, ARRAYSIZE(why), hvs_word(IDS_NEEDS_ADMIN));
    } else if (error == ERROR_SERVICE_DOES_NOT_EXIST) {
        hvs_wide_copy(why, ARRAYSIZE(why), hvs_word(IDS_NOT_INSTALLED));
    } else {
        hvs_text_init(&utf8, words, sizeof words);
        hvs_wide_add_error(&utf8, error);
        hvs_words_from_utf8(why, ARRAYSIZE(why), words);
    }
    hvs_words_format(text, ARRAYSIZE(text), IDS_FAILED, hvs_word(what), why);
    MessageBoxW(hvs_window_handle(app), text, hvs_word(IDS_TITLE), MB_OK | MB_ICONWARNING);
}

static void
on_done(struct hvs_app *app, enum hvs_action action, DWORD error)
{
    static const unsigned failed[] = {
        [HVS_ACTION_START] = IDS_FAILED_START,
        [HVS_ACTION_RESTART] = IDS_FAILED_RESTART,
        [HVS_ACTION_DISCONNECT] = IDS_FAILED_END,
    };

    if (error != ERROR_SUCCESS && error != ERROR_CANCELLED)
        complain(app, failed[action], error);
}

void
hvs_app_disconnect(struct hvs_app *app, HWND owner, uint32_t session_id)
{
    const struct hvs_model_session *session = hvs_model_find(&app->model, session_id);
    WCHAR client[HVS_WORDS_MAX], question[HVS_WORDS_MAX];

    if (session == NULL)
        return;
    hvs_words_client(session, client);
    hvs_words_format(question, ARRAYSIZE(question), IDS_ASK_DISCONNECT, client, NULL);
    if (MessageBoxW(owner, question, hvs_word(IDS_TITLE), MB_YESNO | MB_ICONQUESTION) == IDYES)
        hvs_link_act(app->hidden, HVS_ACTION_DISCONNECT, session_id);
}

/* The service's own events where the viewer can be told so, since Vista; all of them before. */
static void
open_log(struct hvs_app *app)
{
    OSVERSIONINFOW version = { .dwOSVersionInfoSize = sizeof version };
    bool filters = GetVersionExW(&version) && version.dwMajorVersion >= 6;
    WCHAR viewer[MAX_PATH];
    UINT length = GetSystemDirectoryW(viewer, ARRAYSIZE(viewer));
    DWORD error = ERROR_PATH_NOT_FOUND;

    if (length > 0 && length < ARRAYSIZE(viewer) &&
        hvs_wide_append(viewer, ARRAYSIZE(viewer),
                        filters ? L"\\eventvwr.exe" : L"\\eventvwr.msc"))
        /* Up to 32 it is an error of the system. */
        error = (DWORD)(INT_PTR)ShellExecuteW(
            hvs_window_handle(app), NULL, viewer,
            filters ? L"/c:Application /f:\"*[System[Provider[@Name='HvSession']]]\"" : NULL, NULL,
            SW_SHOWNORMAL);
    if (error <= 32)
        complain(app, IDS_FAILED_LOG, error);
}

static void
show_about(struct hvs_app *app)
{
    WCHAR text[HVS_WORDS_MAX], version[32];
    MSGBOXPARAMSW box = {
        .cbSize = sizeof box,
        .hwndOwner = hvs_window_handle(app),
        .hInstance = app->instance,
        .lpszText = text,
        .lpszCaption = hvs_word(IDS_ABOUT_TITLE),
        .dwStyle = MB_OK | MB_USERICON,
        .lpszIcon = MAKEINTRESOURCEW(IDI_HVSESSION),
    };

    hvs_wide_from_utf8(HVS_VERSION, version, ARRAYSIZE(version));
    hvs_words_format(text, ARRAYSIZE(text), IDS_ABOUT, version, NULL);
    MessageBoxIndirectW(&box);
}

void
hvs_app_command(struct hvs_app *app, unsigned command)
{
    switch (command) {
    case IDM_OPEN:
        hvs_window_open(app, hvs_window_page(app));
        break;
    case IDM_DIAGNOSE:
        hvs_window_open(app, HVS_PAGE_DIAGNOSIS);
        hvs_app_diagnose(app);
        break;
    case IDM_LOG:
        open_log(app);
        break;
    case IDM_START:
        hvs_link_act(app->hidden, HVS_ACTION_START, 0);
        break;
    case IDM_RESTART:
        hvs_link_act(app->hidden, HVS_ACTION_RESTART, 0);
        break;
    case IDM_NOTIFY:
        hvs_preferences_set(NOTIFICATIONS, !hvs_preferences_get(NOTIFICATIONS, true));
        hvs_window_update(app);
        break;
    case IDM_AUTOSTART:
        hvs_preferences_set_start_with_windows(!hvs_preferences_starts_with_windows());
        break;
    case IDM_ABOUT:
        show_about(app);
        break;
    case IDM_EXIT:
        DestroyWindow(app->hidden);
        break;
    default:
        if (command >= IDM_DISCONNECT &&
            command - IDM_DISCONNECT < ARRAYSIZE(app->menu_sessions))
            hvs_app_disconnect(app, hvs_window_handle(app),
                               app->menu_sessions[command - IDM_DISCONNECT]);
        break;
    }
}

/* ---- the menu ---- */

static void
add_item(HMENU menu, unsigned command, unsigned word, UINT flags)
{
    AppendMenuW(menu, MF_STRING | flags, command, hvs_word(word));
}

/* A client's name may have & in it, which a menu would take for a key. */
static void
escape(const WCHAR *text, WCHAR *out, size_t size)
{
    size_t length = 0;

    for (; *text != L'\0' && length + 2 < size; text++) {
        if (*text == L'&')
            out[length++] = L'&';
        out[length++] = *text;
    }
    out[length] = L'\0';
}

/* While the menu is open sessions come and go: what it shows is what is chosen. */
static void
add_sessions(struct hvs_app *app, HMENU menu)
{
    const struct hvs_model *model = &app->model;

    memset(app->menu_sessions, 0, sizeof app->menu_sessions);
    for (unsigned i = 0; i < model->session_count; i++) {
        WCHAR client[HVS_WORDS_MAX], since[HVS_WORDS_MAX], text[HVS_WORDS_MAX],
            label[2 * HVS_WORDS_MAX];
        HMENU session = CreatePopupMenu();

        hvs_words_client(&model->sessions[i], client);
        hvs_words_time_of_day(model->sessions[i].started_ago + hvs_app_age(app), since);
        hvs_words_format(text, ARRAYSIZE(text), IDS_MENU_SESSION, client, since);
        escape(text, label, ARRAYSIZE(label));
        app->menu_sessions[i] = model->sessions[i].id;
        add_item(session, IDM_DISCONNECT + i, IDS_MENU_DISCONNECT, 0);
        /* Goes with the menu that it is in. */
        AppendMenuW(menu, MF_POPUP, (UINT_PTR)session, label);
    }
    if (model->session_count == 0)
        add_item(menu, IDM_NO_SESSION, IDS_MENU_NO_SESSION, MF_GRAYED);
}

static HMENU
make_menu(struct hvs_app *app)
{
    enum hvs_service service = app->model.service;
    HMENU menu = CreatePopupMenu();
    WCHAR state[HVS_WORDS_MAX];

    if (menu == NULL)
        return NULL;
    hvs_words_state(&app->model, state);
    AppendMenuW(menu, MF_STRING | MF_GRAYED, 0, state);
    AppendMenuW(menu, MF_SEPARATOR, 0, NULL);
    add_sessions(app, menu);
    AppendMenuW(menu, MF_SEPARATOR, 0, NULL);
    add_item(menu, IDM_OPEN, IDS_MENU_OPEN, 0);
    SetMenuDefaultItem(menu, IDM_OPEN, FALSE);
    add_item(menu, IDM_DIAGNOSE, IDS_MENU_DIAGNOSE, 0);
    add_item(menu, IDM_LOG, IDS_MENU_LOG, 0);
    if (service == HVS_SERVICE_DOWN)
        add_item(menu, IDM_START, IDS_MENU_START, 0);
    else
        add_item(menu, IDM_RESTART, IDS_MENU_RESTART,
                 service == HVS_SERVICE_ABSENT ? MF_GRAYED : 0);
    AppendMenuW(menu, MF_SEPARATOR, 0, NULL);
    add_item(menu, IDM_NOTIFY, IDS_MENU_NOTIFY,
             hvs_preferences_get(NOTIFICATIONS, true) ? MF_CHECKED : 0);
    add_item(menu, IDM_AUTOSTART, IDS_MENU_AUTOSTART,
             hvs_preferences_starts_with_windows() ? MF_CHECKED : 0);
    AppendMenuW(menu, MF_SEPARATOR, 0, NULL);
    add_item(menu, IDM_ABOUT, IDS_MENU_ABOUT, 0);
    add_item(menu, IDM_EXIT, IDS_MENU_EXIT, 0);
    return menu;
}

/* In the foreground, and with a message behind it: else it would not close when something else is
 * clicked (Microsoft's remarks on TrackPopupMenu). */
static void
show_menu(struct hvs_app *app)
{
    HMENU menu = make_menu(app);
    POINT at;

    if (menu == NULL)
        return;
    GetCursorPos(&at);
    SetForegroundWindow(app->hidden);
    TrackPopupMenuEx(menu, TPM_RIGHTBUTTON | (UINT)(GetSystemMetrics(SM_MENUDROPALIGNMENT) != 0
                                                        ? TPM_RIGHTALIGN
                                                        : TPM_LEFTALIGN),
                     at.x, at.y, app->hidden, NULL);
    PostMessageW(app->hidden, WM_NULL, 0, 0);
    DestroyMenu(menu);
}

static void
on_tray(struct hvs_app *app, UINT what)
{
    switch (what) {
    case WM_LBUTTONUP:
    case NIN_SELECT:
    case NIN_KEYSELECT:
    case NIN_BALLOONUSERCLICK:
        hvs_app_command(app, IDM_OPEN);
        break;
    case WM_RBUTTONUP:
    case WM_CONTEXTMENU:
        show_menu(app);
        break;
    default:
        break;
    }
}

/* ---- the hidden window ---- */

static LRESULT CALLBACK
handle_hidden(HWND hidden, UINT message, WPARAM wparam, LPARAM lparam)
{
    struct hvs_app *app = (struct hvs_app *)GetWindowLongPtrW(hidden, GWLP_USERDATA);

    if (message == WM_NCCREATE) {
        app = ((CREATESTRUCTW *)lparam)->lpCreateParams;
        SetWindowLongPtrW(hidden, GWLP_USERDATA, (LONG_PTR)app);
    }
    if (app == NULL)
        return DefWindowProcW(hidden, message, wparam, lparam);
    if (message == app->taskbar_created) {
        show_icon(app);
        return 0;
    }
    if (message == app->open_request) {
        hvs_app_command(app, IDM_OPEN);
        return 0;
    }
    switch (message) {
    case WM_HVS_STATUS:
        on_status(app, (struct hvs_document *)lparam);
        return 0;
    case WM_HVS_SERVICE:
        on_service(app, (enum hvs_service)wparam);
        return 0;
    case WM_HVS_DIAGNOSIS:
        on_diagnosis(app, (DWORD)wparam, (struct hvs_document *)lparam);
        return 0;
    case WM_HVS_DONE:
        on_done(app, (enum hvs_action)wparam, (DWORD)lparam);
        return 0;
    case WM_TRAY:
        on_tray(app, LOWORD(lparam));
        return 0;
    case WM_COMMAND:
        hvs_app_command(app, LOWORD(wparam));
        return 0;
    case WM_DESTROY:
        PostQuitMessage(0);
        return 0;
    default:
        return DefWindowProcW(hidden, message, wparam, lparam);
    }
}

/* Not a message-only window: TaskbarCreated goes to all top-level windows. */
static bool
make_hidden(struct hvs_app *app)
{
    WNDCLASSW class = {
        .lpfnWndProc = handle_hidden,
        .hInstance = app->instance,
        .lpszClassName = HVS_APP_CLASS,
    };

    if (RegisterClassW(&class) == 0)
        return false;
    app->hidden = CreateWindowExW(0, HVS_APP_CLASS, L"hvsession", WS_POPUP, 0, 0, 0, 0, NULL, NULL,
                                  app->instance, app);
    return app->hidden != NULL;
}

bool
hvs_app_start(struct hvs_app *app, HINSTANCE instance)
{
    memset(app, 0, sizeof *app);
    app->instance = instance;
    app->taskbar_created = RegisterWindowMessageW(L"TaskbarCreated");
    app->open_request = RegisterWindowMessageW(HVS_APP_OPEN);
    app->values = malloc(HVS_MODEL_VALUES_MAX * sizeof *app->values);
    hvs_model_set_service(&app->model, HVS_SERVICE_UNKNOWN);
    if (app->values == NULL || !make_hidden(app))
        return false;
    show_icon(app);
    return hvs_link_start(app->hidden) == ERROR_SUCCESS;
}

void
hvs_app_stop(struct hvs_app *app)
{
    NOTIFYICONDATAW data;

    hvs_link_stop();
    hvs_window_close(app);
    /* The window is gone, but its number still names the icon. */
    fill_icon(app, &data);
    Shell_NotifyIconW(NIM_DELETE, &data);
    if (app->icon != NULL)
        DestroyIcon(app->icon);
    free(app->diagnosis);
    free(app->values);
}
