/* The first page: the sections Host, RDP Server and Channels. */
#include "window.h"

#include "words.h"

#include "windows/processor.h"
#include "windows/wide.h"

#include <commctrl.h>
#include <string.h>

/* Label and value of a row; the label's number is the value's and that. */
#define LABEL 10

enum { COLUMN_CHANNEL, COLUMN_STATE, COLUMN_USED_BY, COLUMNS };

static const struct {
    unsigned value, label;
} rows[] = {
    { IDC_HYPERV, IDS_HYPERV },   { IDC_SUPPORT, IDS_SUPPORT },
    { IDC_MACHINE, IDS_MACHINE }, { IDC_SERVICE, IDS_SERVICE_LABEL },
    { IDC_WHICH, IDS_WHICH },     { IDC_REACHABLE, IDS_REACHABLE },
};
#define HOST_ROWS 4

static void
add_section(HWND page, unsigned heading, unsigned title, unsigned first, unsigned end)
{
    hvs_ui_add(page, heading, WC_STATICW, 0, 0, hvs_word(title));
    for (unsigned i = first; i < end; i++) {
        hvs_ui_add(page, rows[i].value + LABEL, WC_STATICW, SS_NOPREFIX, 0,
                   hvs_word(rows[i].label));
        hvs_ui_add(page, rows[i].value, WC_STATICW, SS_NOPREFIX | SS_EDITCONTROL, 0, NULL);
    }
}

/* In the order in which they are read out. The list comes behind its heading, whose key leads to
 * it. */
static void
create(HWND page)
{
    HWND list;

    add_section(page, IDC_HOST, IDS_HOST, 0, HOST_ROWS);
    add_section(page, IDC_SERVER, IDS_SERVER, HOST_ROWS, ARRAYSIZE(rows));
    add_section(page, IDC_CHANNELS, IDS_CHANNELS, 0, 0);
    list = hvs_ui_add_list(page, IDC_CHANNEL_LIST);
    hvs_ui_add_column(list, COLUMN_CHANNEL, hvs_word(IDS_CHANNEL), false);
    hvs_ui_add_column(list, COLUMN_STATE, hvs_word(IDS_STATE), false);
    hvs_ui_add_column(list, COLUMN_USED_BY, hvs_word(IDS_USED_BY), false);
    hvs_ui_set_rows(list, HVS_CHANNELS);
}

/* ---- placing ---- */

static int
layout_heading(HWND page, const struct hvs_ui *ui, unsigned heading, int width, int y)
{
    SendDlgItemMessageW(page, (int)heading, WM_SETFONT, (WPARAM)ui->bold, FALSE);
    hvs_ui_place(page, heading, ui->margin, y, width - 2 * ui->margin, ui->line);
    return y + ui->line + ui->gap;
}

static int
layout_rows(HWND page, const struct hvs_ui *ui, unsigned first, unsigned end, int width, int y)
{
    int label = 0, x, left;

    for (unsigned i = 0; i < ARRAYSIZE(rows); i++)
        label = max(label, hvs_ui_text_width(ui->font, hvs_word(rows[i].label)));
    x = ui->margin + label + 2 * ui->margin;
    left = width - x - ui->margin;
    for (unsigned i = first; i < end; i++) {
        int height = hvs_ui_control_height(ui, page, rows[i].value, left);

        hvs_ui_place(page, rows[i].value + LABEL, ui->margin, y, label, ui->line);
        hvs_ui_place(page, rows[i].value, x, y, left, height);
        y += height + ui->gap;
    }
    return y + ui->gap;
}

static void
layout(HWND page, const struct hvs_ui *ui, int width, int height)
{
    HWND list = GetDlgItem(page, IDC_CHANNEL_LIST);
    int y = ui->margin, all = hvs_ui_list_height(ui, list, HVS_CHANNELS);

    y = layout_heading(page, ui, IDC_HOST, width, y);
    y = layout_rows(page, ui, 0, HOST_ROWS, width, y);
    y = layout_heading(page, ui, IDC_SERVER, width, y);
    y = layout_rows(page, ui, HOST_ROWS, ARRAYSIZE(rows), width, y);
    y = layout_heading(page, ui, IDC_CHANNELS, width, y);
    hvs_ui_place(page, IDC_CHANNEL_LIST, ui->margin, y, width - 2 * ui->margin,
                 min(all, height - y - ui->margin));
    hvs_ui_fit_columns(ui, list, COLUMNS, COLUMN_USED_BY);
}

/* ---- Host ---- */

/* Without the service number: what people know the host by. */
static bool
host_version(WCHAR *out, size_t size)
{
    struct hvs_cpu cpu;

    hvs_processor_read(&cpu);
    if (cpu.build[0] == 0)
        return false;
    hvs_wide_format(out, size, L"%u.%u.%u", cpu.build[1] >> 16, cpu.build[1] & 0xffff,
                    cpu.build[0]);
    return true;
}

static void
update_hyper_v(HWND page, const struct hvs_app *app)
{
    WCHAR build[32], text[HVS_WORDS_MAX];
    bool offered = app->model.control != HVS_CONTROL_NOT_OFFERED;

    if (host_version(build, ARRAYSIZE(build)))
        hvs_words_format(text, ARRAYSIZE(text), IDS_HYPERV_BUILD, build, NULL);
    else if (offered || app->view.hyper_v == HVS_YES)
        hvs_wide_copy(text, ARRAYSIZE(text), hvs_word(IDS_HYPERV_YES));
    else
        hvs_wide_copy(text, ARRAYSIZE(text), hvs_word(IDS_HYPERV_NO));
    hvs_ui_set_text(page, IDC_HYPERV, text);
}

static void
update_support(HWND page, const struct hvs_app *app)
{
    const struct hvs_model *model = &app->model;
    WCHAR text[HVS_WORDS_MAX], other[HVS_WORDS_MAX];
    uint64_t age = hvs_app_age(app);

    if (model->service != HVS_SERVICE_UP) {
        hvs_ui_set_text(page, IDC_SUPPORT, hvs_word(IDS_UNKNOWN));
        return;
    }
    switch (model->control) {
    case HVS_CONTROL_NOT_OFFERED:
        hvs_wide_copy(text, ARRAYSIZE(text), hvs_word(IDS_NOT_OFFERED));
        break;
    case HVS_CONTROL_NEGOTIATING:
        hvs_wide_copy(text, ARRAYSIZE(text), hvs_word(IDS_NEGOTIATING));
        break;
    case HVS_CONTROL_READY:
        hvs_words_from_utf8(other, ARRAYSIZE(other), model->protocol);
        hvs_words_format(text, ARRAYSIZE(text), IDS_PROTOCOL, other, NULL);
        break;
    case HVS_CONTROL_OFFERED:
    case HVS_CONTROL_WAITING:
        hvs_wide_copy(text, ARRAYSIZE(text), hvs_word(IDS_OFFERED));
        break;
    }
    if (model->next_attempt > age) {
        WCHAR left[HVS_WORDS_MAX];

        hvs_wide_copy(other, ARRAYSIZE(other), text);
        hvs_words_duration(model->next_attempt - age + 999, left);
        hvs_words_format(text, ARRAYSIZE(text), IDS_NEXT_ATTEMPT, other, left);
    }
    hvs_ui_set_text(page, IDC_SUPPORT, text);
}

/* What the host calls the machine: of no use while it is not known. */
static void
update_machine(HWND page, const struct hvs_app *app)
{
    const struct hvs_view *view = &app->view;
    WCHAR machine[HVS_WORDS_MAX], host[HVS_WORDS_MAX], text[HVS_WORDS_MAX];

    if (view->vm_name == NULL) {
        hvs_ui_set_text(page, IDC_MACHINE,
                        hvs_word(app->diagnosing ? IDS_CHECKING : IDS_UNKNOWN));
        return;
    }
    hvs_words_from_utf8(machine, ARRAYSIZE(machine), view->vm_name);
    hvs_words_from_utf8(host, ARRAYSIZE(host), view->host_name != NULL ? view->host_name : "");
    if (host[0] != L'\0')
        hvs_words_format(text, ARRAYSIZE(text), IDS_MACHINE_ON, machine, host);
    else
        hvs_wide_copy(text, ARRAYSIZE(text), machine);
    hvs_ui_set_text(page, IDC_MACHINE, text);
}

static void
update_service(HWND page, const struct hvs_app *app)
{
    const struct hvs_model *model = &app->model;
    WCHAR version[64], uptime[HVS_WORDS_MAX], text[HVS_WORDS_MAX];

    if (model->service != HVS_SERVICE_UP) {
        hvs_words_sentence(model, text);
    } else {
        hvs_words_from_utf8(version, ARRAYSIZE(version), model->version);
        hvs_words_duration(model->uptime + hvs_app_age(app), uptime);
        hvs_words_format(text, ARRAYSIZE(text), IDS_RUNS, version, uptime);
    }
    hvs_ui_set_text(page, IDC_SERVICE, text);
}

/* ---- RDP Server ---- */

static void
update_server(HWND page, const struct hvs_app *app)
{
    static const unsigned answers[] = { [HVS_UNKNOWN] = IDS_UNKNOWN,
                                        [HVS_NO] = IDS_NO,
                                        [HVS_YES] = IDS_YES };
    const struct hvs_model *model = &app->model;
    const struct hvs_view *view = &app->view;
    enum hvs_answer reachable = view->server_listening;
    const char *server = view->server;
    WCHAR text[HVS_WORDS_MAX];

    /* A session that works says more than a look some time ago. */
    for (unsigned i = 0; i < model->session_count; i++)
        if (model->sessions[i].server[0] != '\0') {
            server = model->sessions[i].server;
            reachable = HVS_YES;
        }
    if (server != NULL)
        hvs_words_from_utf8(text, ARRAYSIZE(text), server);
    else
        hvs_wide_copy(text, ARRAYSIZE(text),
                       hvs_word(app->diagnosing ? IDS_CHECKING : IDS_UNKNOWN));
    hvs_ui_set_text(page, IDC_WHICH, text);
    hvs_ui_set_text(page, IDC_REACHABLE,
                    hvs_word(reachable == HVS_UNKNOWN && app->diagnosing ? IDS_CHECKING
                                                                         : answers[reachable]));
}

/* ---- Channels ---- */

static void
describe_user(const struct hvs_app *app, unsigned channel, WCHAR *out)
{
    const struct hvs_model *model = &app->model;

    out[0] = L'\0';
    for (unsigned i = 0; i < model->session_count; i++) {
        const struct hvs_model_session *session = &model->sessions[i];
        WCHAR client[HVS_WORDS_MAX], since[HVS_WORDS_MAX];

        if (session->channel != channel)
            continue;
        hvs_words_client(session, client);
        hvs_words_time_of_day(session->started_ago + hvs_app_age(app), since);
        hvs_words_format(out, HVS_WORDS_MAX, IDS_SESSION_OF, client, since);
    }
}

static void
update_channels(HWND page, const struct hvs_app *app)
{
    HWND list = GetDlgItem(page, IDC_CHANNEL_LIST);
    const struct hvs_model *model = &app->model;

    for (unsigned channel = 0; channel < HVS_CHANNELS; channel++) {
        WCHAR number[16], text[HVS_WORDS_MAX];

        hvs_wide_format(number, ARRAYSIZE(number), L"%u", channel);
        hvs_words_format(text, ARRAYSIZE(text),
                         channel == HVS_CONTROL_CHANNEL ? IDS_CHANNEL_CONTROL : IDS_CHANNEL_DATA,
                         number, NULL);
        hvs_ui_set_cell(list, (int)channel, COLUMN_CHANNEL, text);
        hvs_ui_set_cell(list, (int)channel, COLUMN_STATE,
                        hvs_word(model->service == HVS_SERVICE_UP
                                     ? IDS_CHANNEL_STATE + (unsigned)model->channels[channel]
                                     : IDS_UNKNOWN));
        describe_user(app, channel, text);
        hvs_ui_set_cell(list, (int)channel, COLUMN_USED_BY,
                        channel == HVS_CONTROL_CHANNEL &&
                                model->channels[channel] == HVS_CHANNEL_OPEN
                            ? hvs_word(IDS_USED_BY_HOST)
                            : text);
    }
}

static void
update(HWND page, const struct hvs_ui *ui, struct hvs_app *app)
{
    update_hyper_v(page, app);
    update_support(page, app);
    update_machine(page, app);
    update_service(page, app);
    update_server(page, app);
    update_channels(page, app);
    hvs_ui_fit_columns(ui, GetDlgItem(page, IDC_CHANNEL_LIST), COLUMNS, COLUMN_USED_BY);
}

static void
command(HWND page, struct hvs_app *app, unsigned id)
{
    (void)page;
    (void)app;
    (void)id;
}

const struct hvs_page_functions hvs_overview_page = {
    .title = IDS_PAGE_OVERVIEW,
    .create = create,
    .layout = layout,
    .update = update,
    .command = command,
};
