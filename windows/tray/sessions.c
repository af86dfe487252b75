/* The second page: who is connected, and who was. */
#include "window.h"

#include "words.h"

#include "windows/wide.h"

#include <commctrl.h>
#include <string.h>

enum {
    COLUMN_CLIENT,
    COLUMN_SIZE,
    COLUMN_COLOURS,
    COLUMN_CLIPBOARD,
    COLUMN_DRIVES,
    COLUMN_SOUND,
    COLUMN_DURATION,
    COLUMN_TO_HOST,
    COLUMN_TO_SERVER,
    COLUMNS
};
enum { COLUMN_WHO, COLUMN_WHEN, COLUMN_LASTED, COLUMN_WHY, ENDED_COLUMNS };

static void
create(HWND page)
{
    static const unsigned titles[COLUMNS] = {
        IDS_CLIENT, IDS_SIZE, IDS_COLOURS, IDS_CLIPBOARD, IDS_DRIVES,
        IDS_SOUND, IDS_DURATION, IDS_TO_HOST, IDS_TO_SERVER,
    };
    static const unsigned ended_titles[ENDED_COLUMNS] = { IDS_CLIENT, IDS_WHEN, IDS_LASTED,
                                                          IDS_WHY };
    HWND list;

    hvs_ui_add(page, IDC_SESSION_LABEL, WC_STATICW, 0, 0, hvs_word(IDS_CONNECTED));
    list = hvs_ui_add_list(page, IDC_SESSION_LIST);
    for (int i = 0; i < COLUMNS; i++)
        hvs_ui_add_column(list, i, hvs_word(titles[i]), i >= COLUMN_DURATION);
    hvs_ui_add(page, IDC_SESSION_NONE, WC_STATICW, SS_NOPREFIX | SS_EDITCONTROL, 0, NULL);
    hvs_ui_add(page, IDC_DISCONNECT, WC_BUTTONW, WS_TABSTOP | BS_PUSHBUTTON, 0,
               hvs_word(IDS_DISCONNECT));
    hvs_ui_add(page, IDC_ENDED_LABEL, WC_STATICW, 0, 0, hvs_word(IDS_ENDED));
    list = hvs_ui_add_list(page, IDC_ENDED_LIST);
    for (int i = 0; i < ENDED_COLUMNS; i++)
        hvs_ui_add_column(list, i, hvs_word(ended_titles[i]), false);
    hvs_ui_add(page, IDC_ENDED_NONE, WC_STATICW, SS_NOPREFIX | SS_EDITCONTROL, 0,
               hvs_word(IDS_NONE_ENDED));
}

static void
fit(HWND page, const struct hvs_ui *ui)
{
    hvs_ui_fit_columns(ui, GetDlgItem(page, IDC_SESSION_LIST), COLUMNS, COLUMN_CLIENT);
    hvs_ui_fit_columns(ui, GetDlgItem(page, IDC_ENDED_LIST), ENDED_COLUMNS, COLUMN_WHY);
}

/* Five sessions at most: their list is as high as they need, that of the ended gets the rest. */
static void
layout(HWND page, const struct hvs_ui *ui, int width, int height)
{
    int x = ui->margin, inner = width - 2 * ui->margin, y = ui->margin;
    int list = min(hvs_ui_list_height(ui, GetDlgItem(page, IDC_SESSION_LIST), HVS_DATA_CHANNELS),
                   (height - ui->button_height - 2 * ui->line) / 2);
    int button = hvs_ui_button_width(ui, page, IDC_DISCONNECT);

    SendDlgItemMessageW(page, IDC_SESSION_LABEL, WM_SETFONT, (WPARAM)ui->bold, FALSE);
    SendDlgItemMessageW(page, IDC_ENDED_LABEL, WM_SETFONT, (WPARAM)ui->bold, FALSE);
    hvs_ui_place(page, IDC_SESSION_LABEL, x, y, inner, ui->line);
    y += ui->line + ui->gap;
    hvs_ui_place(page, IDC_SESSION_LIST, x, y, inner, list);
    hvs_ui_place(page, IDC_SESSION_NONE, x, y, inner, list);
    y += list + ui->gap;
    hvs_ui_place(page, IDC_DISCONNECT, x + inner - button, y, button, ui->button_height);
    hvs_ui_place(page, IDC_ENDED_LABEL, x, y + ui->button_height - ui->line, inner - button,
                 ui->line);
    y += ui->button_height + ui->gap;
    hvs_ui_place(page, IDC_ENDED_LIST, x, y, inner, height - y - ui->margin);
    hvs_ui_place(page, IDC_ENDED_NONE, x, y, inner, height - y - ui->margin);
    fit(page, ui);
}

/* ---- filling ---- */

static const WCHAR *
yes_or_no(const struct hvs_model_session *session, bool value)
{
    if (!session->channels_known)
        return L"–";
    return hvs_word(value ? IDS_YES : IDS_NO);
}

static void
describe_picture(const struct hvs_model_session *session, WCHAR *size, WCHAR *colours)
{
    WCHAR width[16], height[16], depth[16];

    hvs_wide_format(width, ARRAYSIZE(width), L"%u", session->width);
    hvs_wide_format(height, ARRAYSIZE(height), L"%u", session->height);
    hvs_wide_format(depth, ARRAYSIZE(depth), L"%u", session->colours);
    if (session->width != 0 && session->height != 0)
        hvs_words_format(size, HVS_WORDS_MAX, IDS_SIZE_VALUE, width, height);
    else
        hvs_wide_copy(size, HVS_WORDS_MAX, L"–");
    if (session->colours != 0)
        hvs_words_format(colours, HVS_WORDS_MAX, IDS_COLOURS_VALUE, depth, NULL);
    else
        hvs_wide_copy(colours, HVS_WORDS_MAX, L"–");
}

static void
set_rates(HWND list, int row, const struct hvs_rate *rate)
{
    WCHAR text[HVS_WORDS_MAX];

    if (rate == NULL) {
        hvs_ui_set_cell(list, row, COLUMN_TO_HOST, L"–");
        hvs_ui_set_cell(list, row, COLUMN_TO_SERVER, L"–");
        return;
    }
    hvs_words_rate(rate->to_host_rate, text);
    hvs_ui_set_cell(list, row, COLUMN_TO_HOST, text);
    hvs_words_rate(rate->to_server_rate, text);
    hvs_ui_set_cell(list, row, COLUMN_TO_SERVER, text);
}

static void
set_session(HWND list, int row, const struct hvs_model_session *session, struct hvs_app *app)
{
    WCHAR text[HVS_WORDS_MAX], colours[HVS_WORDS_MAX];

    hvs_ui_set_row_data(list, row, (LPARAM)session->id);
    hvs_words_client(session, text);
    hvs_ui_set_cell(list, row, COLUMN_CLIENT, text);
    describe_picture(session, text, colours);
    hvs_ui_set_cell(list, row, COLUMN_SIZE, text);
    hvs_ui_set_cell(list, row, COLUMN_COLOURS, colours);
    hvs_ui_set_cell(list, row, COLUMN_CLIPBOARD, yes_or_no(session, session->clipboard));
    hvs_ui_set_cell(list, row, COLUMN_DRIVES, yes_or_no(session, session->drives));
    hvs_ui_set_cell(list, row, COLUMN_SOUND, yes_or_no(session, session->sound));
    hvs_words_duration(session->duration + hvs_app_age(app), text);
    hvs_ui_set_cell(list, row, COLUMN_DURATION, text);
    set_rates(list, row, hvs_app_rate(app, session->id));
}

static void
set_ended(HWND list, int row, const struct hvs_model_session *session, const struct hvs_app *app)
{
    WCHAR text[HVS_WORDS_MAX], ago[HVS_WORDS_MAX];

    hvs_words_client(session, text);
    hvs_ui_set_cell(list, row, COLUMN_WHO, text);
    hvs_words_duration(session->ended_ago + hvs_app_age(app), text);
    hvs_words_format(ago, ARRAYSIZE(ago), IDS_AGO, text, NULL);
    hvs_ui_set_cell(list, row, COLUMN_WHEN, ago);
    hvs_words_duration(session->duration, text);
    hvs_ui_set_cell(list, row, COLUMN_LASTED, text);
    hvs_words_reason(session, text);
    hvs_ui_set_cell(list, row, COLUMN_WHY, text);
}

static void
allow_disconnect(HWND page)
{
    hvs_ui_enable(page, IDC_DISCONNECT,
                  hvs_ui_chosen(GetDlgItem(page, IDC_SESSION_LIST), NULL) >= 0);
}

static void
update(HWND page, const struct hvs_ui *ui, struct hvs_app *app)
{
    HWND list = GetDlgItem(page, IDC_SESSION_LIST), ended = GetDlgItem(page, IDC_ENDED_LIST);
    const struct hvs_model *model = &app->model;
    unsigned before = (unsigned)ListView_GetItemCount(list);

    hvs_ui_set_rows(list, (int)model->session_count);
    for (unsigned i = 0; i < model->session_count; i++)
        set_session(list, (int)i, &model->sessions[i], app);
    /* The only one is the one that is meant. */
    if (before == 0 && model->session_count == 1)
        hvs_ui_choose(list, 0);
    hvs_ui_set_rows(ended, (int)model->ended_count);
    for (unsigned i = 0; i < model->ended_count; i++)
        set_ended(ended, (int)i, &model->ended[i], app);
    hvs_ui_set_text(page, IDC_SESSION_NONE,
                    hvs_word(hvs_model_light(model) == HVS_LIGHT_UNAVAILABLE ? IDS_NOBODY_NOW
                                                                             : IDS_NOBODY));
    hvs_ui_show(page, IDC_SESSION_LIST, model->session_count > 0);
    hvs_ui_show(page, IDC_SESSION_NONE, model->session_count == 0);
    hvs_ui_show(page, IDC_ENDED_LIST, model->ended_count > 0);
    hvs_ui_show(page, IDC_ENDED_NONE, model->ended_count == 0);
    allow_disconnect(page);
    fit(page, ui);
}

static void
command(HWND page, struct hvs_app *app, unsigned id)
{
    LPARAM session;

    if (id == IDC_DISCONNECT && hvs_ui_chosen(GetDlgItem(page, IDC_SESSION_LIST), &session) >= 0)
        hvs_app_disconnect(app, GetParent(page), (uint32_t)session);
}

static void
chosen(HWND page, const struct hvs_ui *ui, struct hvs_app *app, unsigned id)
{
    (void)ui;
    (void)app;
    if (id == IDC_SESSION_LIST)
        allow_disconnect(page);
}

const struct hvs_page_functions hvs_sessions_page = {
    .title = IDS_PAGE_SESSIONS,
    .create = create,
    .layout = layout,
    .update = update,
    .command = command,
    .chosen = chosen,
};
