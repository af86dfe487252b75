/* What the app's windows have in common: fonts and measures that follow the system's settings and
 * the monitor, and controls made and placed by number. The window's thread only. */
#ifndef HVS_WINDOWS_TRAY_UI_H
#define HVS_WINDOWS_TRAY_UI_H

#include "model.h"

#include <windows.h>

struct hvs_ui {
    unsigned dpi;     /* dots an inch */
    HFONT    font;    /* the system's for messages */
    HFONT    bold;
    HFONT    heading; /* larger, too */
    int      line;    /* height of a line of font, pixels */
    int      margin;  /* between a border and what is in it */
    int      gap;     /* between things that belong together */
    int      button_height;
    int      button_width; /* at least */
};

/* Of the monitor that the window is on. */
void hvs_ui_init(struct hvs_ui *ui, HWND window);
/* The dialog places its controls by itself when it gets to another monitor: Windows 10 (1703) and
 * later would scale them, too. */
void hvs_ui_keep_layout(HWND dialog);
/* Another font may have been chosen, or another monitor; dpi 0: ask. */
void hvs_ui_renew(struct hvs_ui *ui, HWND window, unsigned dpi);
void hvs_ui_free(struct hvs_ui *ui);
/* Pixels of what is that many at 96 dots an inch. */
int hvs_ui_scale(const struct hvs_ui *ui, int pixels);

/* The icon of a state, drawn for that size in pixels; to be destroyed. NULL: no resources. */
HICON hvs_ui_icon(enum hvs_light light, unsigned size);

/* ---- controls ---- */

/* Makes a visible child. text may be NULL. */
HWND hvs_ui_add(HWND parent, unsigned id, const WCHAR *class, DWORD style, DWORD extended,
                const WCHAR *text);
/* Sets the font of the window's children, all of them. */
void hvs_ui_set_fonts(HWND parent, HFONT font);
void hvs_ui_place(HWND parent, unsigned id, int x, int y, int width, int height);
void hvs_ui_show(HWND parent, unsigned id, bool visible);
/* Focus goes elsewhere first, if the control has it: the keyboard must not be lost. */
void hvs_ui_enable(HWND parent, unsigned id, bool enabled);
/* Only if it differs, so that nothing flickers and nothing is read out twice. */
void hvs_ui_set_text(HWND parent, unsigned id, const WCHAR *text);

int hvs_ui_text_width(HFONT font, const WCHAR *text);
/* Broken into lines of that width. */
int hvs_ui_text_height(HFONT font, const WCHAR *text, int width);
/* Of a control's text, in that width. */
int hvs_ui_control_height(const struct hvs_ui *ui, HWND parent, unsigned id, int width);
/* For a button or label with its text. */
int hvs_ui_button_width(const struct hvs_ui *ui, HWND parent, unsigned id);

/* ---- list views in columns ---- */

/* A list view; one row can be chosen. */
HWND hvs_ui_add_list(HWND parent, unsigned id);
/* right: numbers. */
void hvs_ui_add_column(HWND list, int column, const WCHAR *title, bool right);
/* Rows that are more go, those that are missing come; the chosen one stays. */
void hvs_ui_set_rows(HWND list, int rows);
void hvs_ui_set_cell(HWND list, int row, int column, const WCHAR *text);
/* What the row is, for hvs_ui_chosen(). */
void hvs_ui_set_row_data(HWND list, int row, LPARAM data);
void hvs_ui_choose(HWND list, int row);
/* The number of the chosen row; -1: none. data may be NULL. */
int hvs_ui_chosen(HWND list, LPARAM *data);
/* As wide as what is in them; column stretch takes what is left, or gives what is missing. */
void hvs_ui_fit_columns(const struct hvs_ui *ui, HWND list, int columns, int stretch);
/* Height of so many rows with their header. */
int hvs_ui_list_height(const struct hvs_ui *ui, HWND list, int rows);

#endif
