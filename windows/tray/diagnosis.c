/* The third page: what was found, and what to do about it. */
#include "window.h"

#include "words.h"

#include "windows/wide.h"

#include <commctrl.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_SEVERITY, COLUMN_FINDING, COLUMNS };

/* All of a finding's texts, in bytes. */
#define DETAIL_MAX 16384

static void
create(HWND page)
{
    HWND list;

    hvs_ui_add(page, IDC_SUMMARY, WC_STATICW, SS_NOPREFIX | SS_EDITCONTROL, 0, NULL);
    hvs_ui_add(page, IDC_FINDING_LABEL, WC_STATICW, 0, 0, hvs_word(IDS_FINDINGS));
    list = hvs_ui_add_list(page, IDC_FINDING_LIST);
    hvs_ui_add_column(list, COLUMN_SEVERITY, hvs_word(IDS_SEVERITY_LABEL), false);
    hvs_ui_add_column(list, COLUMN_FINDING, hvs_word(IDS_FINDING), false);
    hvs_ui_add(page, IDC_DETAIL_LABEL, WC_STATICW, 0, 0, hvs_word(IDS_DETAIL));
    hvs_ui_add(page, IDC_DETAIL, WC_EDITW,
               WS_TABSTOP | WS_VSCROLL | ES_MULTILINE | ES_READONLY | ES_AUTOVSCROLL,
               WS_EX_CLIENTEDGE, NULL);
    hvs_ui_add(page, IDC_COPIED, WC_STATICW, SS_NOPREFIX | SS_RIGHT, 0, NULL);
    hvs_ui_add(page, IDC_COPY, WC_BUTTONW, WS_TABSTOP | BS_PUSHBUTTON, 0, hvs_word(IDS_COPY));
    hvs_ui_add(page, IDC_CHECK, WC_BUTTONW, WS_TABSTOP | BS_PUSHBUTTON, 0, hvs_word(IDS_CHECK));
}

static void
layout(HWND page, const struct hvs_ui *ui, int width, int height)
{
    int x = ui->margin, inner = width - 2 * ui->margin, y = ui->margin;
    int summary = hvs_ui_control_height(ui, page, IDC_SUMMARY, inner);
    int check = hvs_ui_button_width(ui, page, IDC_CHECK);
    int copy = hvs_ui_button_width(ui, page, IDC_COPY);
    int bottom = height - ui->margin - ui->button_height;
    int lists, list;

    SendDlgItemMessageW(page, IDC_SUMMARY, WM_SETFONT, (WPARAM)ui->bold, FALSE);
    hvs_ui_place(page, IDC_SUMMARY, x, y, inner, summary);
    y += summary + ui->margin;
    lists = bottom - ui->gap - y - 2 * (ui->line + ui->gap / 2) - ui->gap;
    list = lists * 3 / 8;
    hvs_ui_place(page, IDC_FINDING_LABEL, x, y, inner, ui->line);
    y += ui->line + ui->gap / 2;
    hvs_ui_place(page, IDC_FINDING_LIST, x, y, inner, list);
    y += list + ui->gap;
    hvs_ui_place(page, IDC_DETAIL_LABEL, x, y, inner, ui->line);
    y += ui->line + ui->gap / 2;
    hvs_ui_place(page, IDC_DETAIL, x, y, inner, bottom - ui->gap - y);
    hvs_ui_place(page, IDC_CHECK, x + inner - check, bottom, check, ui->button_height);
    hvs_ui_place(page, IDC_COPY, x + inner - check - ui->gap - copy, bottom, copy,
                 ui->button_height);
    hvs_ui_place(page, IDC_COPIED, x, bottom + (ui->button_height - ui->line) / 2,
                 inner - check - copy - 3 * ui->gap, ui->line);
    hvs_ui_fit_columns(ui, GetDlgItem(page, IDC_FINDING_LIST), COLUMNS, COLUMN_FINDING);
}

/* ---- what to do ---- */

static void
add_word(struct hvs_text *text, unsigned id)
{
    hvs_wide_add(text, hvs_word(id), SIZE_MAX);
}

/* A command of several lines. */
static void
add_command(struct hvs_text *text, const char *lines)
{
    for (const char *end; *lines != '\0'; lines = *end != '\0' ? end + 1 : end) {
        end = lines + strcspn(lines, "\n");
        hvs_text_add(text, "    ");
        hvs_text_add_bytes(text, lines, (size_t)(end - lines));
        hvs_text_add(text, "\r\n");
    }
}

static bool
is_typed(const struct hvs_view_finding *finding, enum hvs_place where)
{
    for (unsigned i = 0; i < finding->step_count; i++)
        if (finding->steps[i].where == where && finding->steps[i].command != NULL)
            return true;
    return false;
}

/* A sentence of the document. */
static void
add_sentence(struct hvs_text *text, const char *english)
{
    hvs_words_add(text, english);
    hvs_text_add(text, "\r\n");
}

/* As hvsession doctor says it: where to type comes once before what is typed there. */
static void
add_steps(struct hvs_text *text, const struct hvs_view_finding *finding)
{
    for (unsigned i = 0; i < finding->step_count; i++) {
        const struct hvs_view_step *step = &finding->steps[i];

        if (is_typed(finding, step->where) &&
            (i == 0 || finding->steps[i - 1].where != step->where)) {
            add_word(text, step->where == HVS_PLACE_HOST ? IDS_ON_HOST : IDS_IN_GUEST);
            hvs_text_add(text, "\r\n");
        }
        if (step->note != NULL)
            add_sentence(text, step->note);
        if (step->command != NULL)
            add_command(text, step->command);
    }
}

static void
describe(const struct hvs_view_finding *finding, struct hvs_text *text)
{
    add_sentence(text, finding->sentence);
    if (finding->why[0] != '\0') {
        hvs_text_add(text, "\r\n");
        add_sentence(text, finding->why);
    }
    if (finding->step_count > 0) {
        hvs_text_add(text, "\r\n");
        add_steps(text, finding);
    }
    hvs_text_add(text, "\r\n");
    hvs_text_add(text, finding->code);
}

/* NULL: none is chosen. */
static const struct hvs_view_finding *
chosen_finding(HWND page, const struct hvs_app *app)
{
    int row = hvs_ui_chosen(GetDlgItem(page, IDC_FINDING_LIST), NULL);

    return row >= 0 && row < (int)app->view.count ? &app->view.findings[row] : NULL;
}

/* UTF-8 in a control; the window's own buffer would be too large for the stack. */
static void
set_long_text(HWND page, unsigned id, const char *utf8)
{
    size_t size = strlen(utf8) + 1;
    WCHAR *wide = malloc(size * sizeof *wide);

    if (wide != NULL) {
        hvs_wide_from_utf8(utf8, wide, size);
        hvs_ui_set_text(page, id, wide);
    }
    free(wide);
}

static void
update_detail(HWND page, const struct hvs_app *app)
{
    const struct hvs_view_finding *finding = chosen_finding(page, app);
    char *buffer = malloc(DETAIL_MAX);
    struct hvs_text text;

    if (buffer == NULL)
        return;
    hvs_text_init(&text, buffer, DETAIL_MAX);
    if (finding != NULL)
        describe(finding, &text);
    else if (app->view.summary != NULL && app->view.count == 0)
        add_word(&text, IDS_NO_FINDINGS);
    set_long_text(page, IDC_DETAIL, buffer);
    hvs_ui_enable(page, IDC_COPY,
                  finding != NULL && (is_typed(finding, HVS_PLACE_GUEST) ||
                                      is_typed(finding, HVS_PLACE_HOST)));
    free(buffer);
}

/* ---- filling ---- */

/* A sentence of the document in the user's language; out has HVS_WORDS_MAX characters. */
static void
to_wide(const char *english, WCHAR *out)
{
    char words[HVS_WORDS_MAX];
    struct hvs_text text;

    hvs_text_init(&text, words, sizeof words);
    hvs_words_add(&text, english);
    hvs_words_from_utf8(out, HVS_WORDS_MAX, words);
}

static void
describe_summary(const struct hvs_app *app, WCHAR *out)
{
    WCHAR why[256];

    out[0] = L'\0';
    if (app->diagnosing) {
        hvs_wide_copy(out, HVS_WORDS_MAX, hvs_word(IDS_CHECKING));
    } else if (app->view.summary != NULL) {
        to_wide(app->view.summary, out);
    } else if (app->diagnosis_error != ERROR_SUCCESS) {
        char error[256];
        struct hvs_text text;

        hvs_text_init(&text, error, sizeof error);
        hvs_wide_add_error(&text, app->diagnosis_error);
        hvs_words_from_utf8(why, ARRAYSIZE(why), error);
        hvs_words_format(out, HVS_WORDS_MAX, IDS_CANNOT_CHECK, why, NULL);
    }
}

static void
update(HWND page, const struct hvs_ui *ui, struct hvs_app *app)
{
    HWND list = GetDlgItem(page, IDC_FINDING_LIST);
    WCHAR text[HVS_WORDS_MAX];

    describe_summary(app, text);
    hvs_ui_set_text(page, IDC_SUMMARY, text);
    hvs_ui_set_rows(list, (int)app->view.count);
    for (unsigned i = 0; i < app->view.count; i++) {
        const struct hvs_view_finding *finding = &app->view.findings[i];

        hvs_ui_set_cell(list, (int)i, COLUMN_SEVERITY,
                        hvs_word(IDS_SEVERITY + (unsigned)finding->severity));
        to_wide(finding->sentence, text);
        hvs_ui_set_cell(list, (int)i, COLUMN_FINDING, text);
    }
    if (app->view.count > 0 && hvs_ui_chosen(list, NULL) < 0)
        hvs_ui_choose(list, 0);
    hvs_ui_enable(page, IDC_CHECK, !app->diagnosing);
    update_detail(page, app);
    hvs_ui_fit_columns(ui, list, COLUMNS, COLUMN_FINDING);
}

/* ---- copying ---- */

static bool
set_clipboard(HWND owner, const WCHAR *text)
{
    size_t size = (wcslen(text) + 1) * sizeof *text;
    HGLOBAL memory = GlobalAlloc(GMEM_MOVEABLE, size);
    void *bytes = memory != NULL ? GlobalLock(memory) : NULL;
    bool set = false;

    if (bytes != NULL) {
        memcpy(bytes, text, size);
        GlobalUnlock(memory);
        if (OpenClipboard(owner)) {
            EmptyClipboard();
            /* From then on it is the system's. */
            set = SetClipboardData(CF_UNICODETEXT, memory) != NULL;
            CloseClipboard();
        }
    }
    if (memory != NULL && !set)
        GlobalFree(memory);
    return set;
}

static void
copy_fix(HWND page, const struct hvs_view_finding *finding)
{
    char *buffer = malloc(DETAIL_MAX);
    WCHAR *wide = malloc(DETAIL_MAX * sizeof *wide);
    struct hvs_text text;

    if (buffer != NULL && wide != NULL) {
        hvs_text_init(&text, buffer, DETAIL_MAX);
        hvs_view_print_fix(finding, "\r\n", &text);
        if (hvs_wide_from_utf8(buffer, wide, DETAIL_MAX) && set_clipboard(page, wide))
            hvs_ui_set_text(page, IDC_COPIED, hvs_word(IDS_COPIED));
    }
    free(wide);
    free(buffer);
}

static void
command(HWND page, struct hvs_app *app, unsigned id)
{
    const struct hvs_view_finding *finding = chosen_finding(page, app);

    if (id == IDC_CHECK)
        hvs_app_diagnose(app);
    else if (id == IDC_COPY && finding != NULL)
        copy_fix(page, finding);
}

static void
chosen(HWND page, const struct hvs_ui *ui, struct hvs_app *app, unsigned id)
{
    (void)ui;
    if (id != IDC_FINDING_LIST)
        return;
    hvs_ui_set_text(page, IDC_COPIED, L"");
    update_detail(page, app);
}

const struct hvs_page_functions hvs_diagnosis_page = {
    .title = IDS_PAGE_DIAGNOSIS,
    .create = create,
    .layout = layout,
    .update = update,
    .command = command,
    .chosen = chosen,
};
