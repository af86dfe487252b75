#include "ui.h"

#include "icon.h"

#include "windows/wide.h"

#include <commctrl.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define CELL_MAX 512

/* ---- measures ---- */

/* Per monitor from Windows 10 1607 on; of the system before. */
static unsigned
window_dpi(HWND window)
{
    HMODULE user = GetModuleHandleW(L"user32.dll");
    UINT(WINAPI *get)
    (HWND) = (UINT(WINAPI *)(HWND))(void (*)(void))GetProcAddress(user, "GetDpiForWindow");
    unsigned dpi = get != NULL && window != NULL ? get(window) : 0;
    HDC screen;

    if (dpi != 0)
        return dpi;
    screen = GetDC(NULL);
    dpi = screen != NULL ? (unsigned)GetDeviceCaps(screen, LOGPIXELSY) : 0;
    if (screen != NULL)
        ReleaseDC(NULL, screen);
    return dpi != 0 ? dpi : 96;
}

void
hvs_ui_keep_layout(HWND dialog)
{
    const unsigned disable_all = 1; /* DDC_DISABLE_ALL */
    HMODULE user = GetModuleHandleW(L"user32.dll");
    BOOL(WINAPI *set)
    (HWND, unsigned, unsigned) = (BOOL(WINAPI *)(HWND, unsigned, unsigned))(void (*)(void))
        GetProcAddress(user, "SetDialogDpiChangeBehavior");

    if (set != NULL)
        set(dialog, disable_all, disable_all);
}

/* The system's message font comes for the system's dots an inch. */
static void
make_fonts(struct hvs_ui *ui)
{
    NONCLIENTMETRICSW metrics = { .cbSize = sizeof metrics };
    unsigned system_dpi = window_dpi(NULL);
    LOGFONTW font = { 0 };

    if (SystemParametersInfoW(SPI_GETNONCLIENTMETRICS, sizeof metrics, &metrics, 0))
        font = metrics.lfMessageFont;
    else
        hvs_wide_copy(font.lfFaceName, ARRAYSIZE(font.lfFaceName), L"MS Shell Dlg 2");
    if (font.lfHeight == 0)
        font.lfHeight = -MulDiv(9, (int)system_dpi, 72);
    font.lfHeight = MulDiv(font.lfHeight, (int)ui->dpi, (int)system_dpi);
    ui->font = CreateFontIndirectW(&font);
    font.lfWeight = FW_BOLD;
    ui->bold = CreateFontIndirectW(&font);
    font.lfHeight = MulDiv(font.lfHeight, 3, 2);
    ui->heading = CreateFontIndirectW(&font);
}

int
hvs_ui_scale(const struct hvs_ui *ui, int pixels)
{
    return MulDiv(pixels, (int)ui->dpi, 96);
}

void
hvs_ui_renew(struct hvs_ui *ui, HWND window, unsigned dpi)
{
    hvs_ui_free(ui);
    ui->dpi = dpi != 0 ? dpi : window_dpi(window);
    make_fonts(ui);
    ui->line = hvs_ui_text_height(ui->font, L"Ay", 1000);
    ui->margin = hvs_ui_scale(ui, 12);
    ui->gap = hvs_ui_scale(ui, 6);
    ui->button_height = ui->line + hvs_ui_scale(ui, 10);
    ui->button_width = hvs_ui_scale(ui, 80);
}

void
hvs_ui_init(struct hvs_ui *ui, HWND window)
{
    memset(ui, 0, sizeof *ui);
    hvs_ui_renew(ui, window, 0);
}

void
hvs_ui_free(struct hvs_ui *ui)
{
    HFONT *fonts[] = { &ui->font, &ui->bold, &ui->heading };

    for (unsigned i = 0; i < ARRAYSIZE(fonts); i++) {
        if (*fonts[i] != NULL)
            DeleteObject(*fonts[i]);
        *fonts[i] = NULL;
    }
}

static SIZE
measure(HFONT font, const WCHAR *text, int width, UINT format)
{
    HDC screen = GetDC(NULL);
    HGDIOBJ before = SelectObject(screen, font);
    RECT area = { 0, 0, width, 0 };

    DrawTextW(screen, text, -1, &area, format | DT_CALCRECT);
    SelectObject(screen, before);
    ReleaseDC(NULL, screen);
    return (SIZE) { area.right - area.left, area.bottom - area.top };
}

int
hvs_ui_text_width(HFONT font, const WCHAR *text)
{
    return measure(font, text, 0, DT_SINGLELINE).cx;
}

int
hvs_ui_text_height(HFONT font, const WCHAR *text, int width)
{
    return measure(font, text, width, DT_WORDBREAK | DT_NOPREFIX | DT_EDITCONTROL).cy;
}

/* ---- the icon ---- */

static HBITMAP
make_colours(const uint32_t *pixels, unsigned size)
{
    BITMAPV5HEADER header = {
        .bV5Size = sizeof header,
        .bV5Width = (LONG)size,
        .bV5Height = -(LONG)size, /* from the top */
        .bV5Planes = 1,
        .bV5BitCount = 32,
        .bV5Compression = BI_BITFIELDS,
        .bV5RedMask = 0x00ff0000,
        .bV5GreenMask = 0x0000ff00,
        .bV5BlueMask = 0x000000ff,
        .bV5AlphaMask = 0xff000000,
    };
    HDC screen = GetDC(NULL);
    void *bits = NULL;
    HBITMAP bitmap = CreateDIBSection(screen, (BITMAPINFO *)(void *)&header, DIB_RGB_COLORS, &bits,
                                      NULL, 0);

    ReleaseDC(NULL, screen);
    if (bitmap != NULL)
        memcpy(bits, pixels, sizeof *pixels * size * size);
    return bitmap;
}

HICON
hvs_ui_icon(enum hvs_light light, unsigned size)
{
    unsigned side = size < HVS_ICON_SIZE_MAX ? size : HVS_ICON_SIZE_MAX;
    unsigned stride = (side + 15) / 16 * 2; /* CreateBitmap() wants words */
    uint32_t *pixels = malloc(sizeof *pixels * side * side);
    uint8_t *mask = malloc((size_t)stride * side);
    ICONINFO info = { .fIcon = TRUE };
    HICON icon = NULL;

    if (pixels != NULL && mask != NULL) {
        hvs_icon_draw(light, side, pixels);
        hvs_icon_mask(pixels, side, mask, stride);
        info.hbmColor = make_colours(pixels, side);
        info.hbmMask = CreateBitmap((int)side, (int)side, 1, 1, mask);
        if (info.hbmColor != NULL && info.hbmMask != NULL)
            icon = CreateIconIndirect(&info);
        if (info.hbmColor != NULL)
            DeleteObject(info.hbmColor);
        if (info.hbmMask != NULL)
            DeleteObject(info.hbmMask);
    }
    free(mask);
    free(pixels);
    return icon;
}

/* ---- controls ---- */

HWND
hvs_ui_add(HWND parent, unsigned id, const WCHAR *class, DWORD style, DWORD extended,
           const WCHAR *text)
{
    return CreateWindowExW(extended, class, text, WS_CHILD | WS_VISIBLE | style, 0, 0, 0, 0, parent,
                           (HMENU)(UINT_PTR)id, GetModuleHandleW(NULL), NULL);
}

void
hvs_ui_set_fonts(HWND parent, HFONT font)
{
    for (HWND child = GetWindow(parent, GW_CHILD); child != NULL;
         child = GetWindow(child, GW_HWNDNEXT))
        SendMessageW(child, WM_SETFONT, (WPARAM)font, FALSE);
}

void
hvs_ui_place(HWND parent, unsigned id, int x, int y, int width, int height)
{
    HWND control = GetDlgItem(parent, (int)id);
    RECT now;

    GetWindowRect(control, &now);
    MapWindowPoints(NULL, parent, (POINT *)&now, 2);
    if (now.left == x && now.top == y && now.right - now.left == width &&
        now.bottom - now.top == height)
        return;
    SetWindowPos(control, NULL, x, y, width > 0 ? width : 0, height > 0 ? height : 0,
                 SWP_NOZORDER | SWP_NOACTIVATE | SWP_NOCOPYBITS);
    RedrawWindow(control, NULL, NULL, RDW_INVALIDATE | RDW_ERASE | RDW_FRAME);
}

void
hvs_ui_show(HWND parent, unsigned id, bool visible)
{
    HWND control = GetDlgItem(parent, (int)id);

    if (!visible && GetFocus() == control)
        SendMessageW(parent, WM_NEXTDLGCTL, 0, FALSE);
    ShowWindow(control, visible ? SW_SHOWNA : SW_HIDE);
}

void
hvs_ui_enable(HWND parent, unsigned id, bool enabled)
{
    HWND control = GetDlgItem(parent, (int)id);

    if (!enabled && GetFocus() == control)
        SendMessageW(parent, WM_NEXTDLGCTL, 0, FALSE);
    EnableWindow(control, enabled);
}

void
hvs_ui_set_text(HWND parent, unsigned id, const WCHAR *text)
{
    HWND control = GetDlgItem(parent, (int)id);
    size_t length = wcslen(text);
    WCHAR *now;

    if ((size_t)GetWindowTextLengthW(control) == length) {
        bool same;

        now = malloc((length + 1) * sizeof *now);
        same = now != NULL && GetWindowTextW(control, now, (int)length + 1) == (int)length &&
               wcscmp(now, text) == 0;
        free(now);
        if (same)
            return;
    }
    SetWindowTextW(control, text);
}

int
hvs_ui_control_height(const struct hvs_ui *ui, HWND parent, unsigned id, int width)
{
    WCHAR text[2048];

    GetDlgItemTextW(parent, (int)id, text, ARRAYSIZE(text));
    return text[0] != L'\0' ? hvs_ui_text_height(ui->font, text, width) : ui->line;
}

int
hvs_ui_button_width(const struct hvs_ui *ui, HWND parent, unsigned id)
{
    WCHAR text[128];
    int width;

    GetDlgItemTextW(parent, (int)id, text, ARRAYSIZE(text));
    width = hvs_ui_text_width(ui->font, text) + hvs_ui_scale(ui, 24);
    return width > ui->button_width ? width : ui->button_width;
}

/* ---- list views ---- */

HWND
hvs_ui_add_list(HWND parent, unsigned id)
{
    HWND list = hvs_ui_add(parent, id, WC_LISTVIEWW,
                           WS_TABSTOP | LVS_REPORT | LVS_SINGLESEL | LVS_SHOWSELALWAYS |
                               LVS_NOSORTHEADER,
                           WS_EX_CLIENTEDGE, NULL);

    /* Double buffering came with XP's common controls. */
    ListView_SetExtendedListViewStyle(list, LVS_EX_DOUBLEBUFFER | LVS_EX_LABELTIP |
                                                LVS_EX_FULLROWSELECT);
    return list;
}

void
hvs_ui_add_column(HWND list, int column, const WCHAR *title, bool right)
{
    LVCOLUMNW made = {
        .mask = LVCF_TEXT | LVCF_FMT | LVCF_WIDTH,
        .fmt = right ? LVCFMT_RIGHT : LVCFMT_LEFT,
        .cx = 50,
        .pszText = (WCHAR *)(UINT_PTR)title,
    };

    SendMessageW(list, LVM_INSERTCOLUMNW, (WPARAM)column, (LPARAM)&made);
}

void
hvs_ui_set_rows(HWND list, int rows)
{
    int count = ListView_GetItemCount(list);

    for (; count > rows; count--)
        ListView_DeleteItem(list, count - 1);
    for (; count < rows; count++) {
        LVITEMW item = { .mask = LVIF_PARAM, .iItem = count };

        SendMessageW(list, LVM_INSERTITEMW, 0, (LPARAM)&item);
    }
}

static void
get_cell(HWND list, int row, int column, WCHAR *text)
{
    LVITEMW item = { .iSubItem = column, .pszText = text, .cchTextMax = CELL_MAX };

    text[0] = L'\0';
    SendMessageW(list, LVM_GETITEMTEXTW, (WPARAM)row, (LPARAM)&item);
}

void
hvs_ui_set_cell(HWND list, int row, int column, const WCHAR *text)
{
    WCHAR now[CELL_MAX];
    LVITEMW item = { .iSubItem = column, .pszText = (WCHAR *)(UINT_PTR)text };

    get_cell(list, row, column, now);
    if (wcsncmp(now, text, CELL_MAX - 1) != 0)
        SendMessageW(list, LVM_SETITEMTEXTW, (WPARAM)row, (LPARAM)&item);
}

void
hvs_ui_set_row_data(HWND list, int row, LPARAM data)
{
    LVITEMW item = { .mask = LVIF_PARAM, .iItem = row, .lParam = data };

    SendMessageW(list, LVM_SETITEMW, 0, (LPARAM)&item);
}

void
hvs_ui_choose(HWND list, int row)
{
    ListView_SetItemState(list, row, LVIS_SELECTED | LVIS_FOCUSED, LVIS_SELECTED | LVIS_FOCUSED);
}

int
hvs_ui_chosen(HWND list, LPARAM *data)
{
    LVITEMW item = { .mask = LVIF_PARAM };

    item.iItem = ListView_GetNextItem(list, -1, LVNI_SELECTED);
    if (item.iItem >= 0 && data != NULL && SendMessageW(list, LVM_GETITEMW, 0, (LPARAM)&item))
        *data = item.lParam;
    return item.iItem;
}

static int
widest(const struct hvs_ui *ui, HWND list, int column)
{
    WCHAR text[CELL_MAX];
    LVCOLUMNW title = { .mask = LVCF_TEXT, .pszText = text, .cchTextMax = ARRAYSIZE(text) };
    int rows = ListView_GetItemCount(list), width;

    text[0] = L'\0';
    SendMessageW(list, LVM_GETCOLUMNW, (WPARAM)column, (LPARAM)&title);
    width = hvs_ui_text_width(ui->font, text);
    for (int row = 0; row < rows; row++) {
        get_cell(list, row, column, text);
        width = max(width, hvs_ui_text_width(ui->font, text));
    }
    return width + hvs_ui_scale(ui, 16);
}

void
hvs_ui_fit_columns(const struct hvs_ui *ui, HWND list, int columns, int stretch)
{
    RECT area;
    int left;

    GetClientRect(list, &area);
    left = area.right - area.left;
    for (int column = 0; column < columns; column++) {
        int width = widest(ui, list, column);

        if (column == stretch)
            continue;
        left -= width;
        if (ListView_GetColumnWidth(list, column) != width)
            ListView_SetColumnWidth(list, column, width);
    }
    left = max(left, hvs_ui_scale(ui, 80));
    if (ListView_GetColumnWidth(list, stretch) != left)
        ListView_SetColumnWidth(list, stretch, left);
}

int
hvs_ui_list_height(const struct hvs_ui *ui, HWND list, int rows)
{
    RECT header = { 0, 0, 0, 0 }, row = { .left = LVIR_BOUNDS };
    int height = ui->line + hvs_ui_scale(ui, 4);

    GetWindowRect(ListView_GetHeader(list), &header);
    if (SendMessageW(list, LVM_GETITEMRECT, 0, (LPARAM)&row))
        height = row.bottom - row.top;
    return header.bottom - header.top + rows * height + 2 * GetSystemMetrics(SM_CYEDGE) +
           hvs_ui_scale(ui, 2);
}
