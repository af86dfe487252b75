/* The status window: the state on top, and below it the pages Overview (Host, RDP Server,
 * Channels), Sessions and Diagnosis. It is made when it is opened and gone when it is closed. */
#ifndef HVS_WINDOWS_TRAY_WINDOW_H
#define HVS_WINDOWS_TRAY_WINDOW_H

#include "app.h"
#include "ui.h"

/* Opens it, or brings it to the front, on that page. */
void hvs_window_open(struct hvs_app *app, enum hvs_page page);
void hvs_window_close(struct hvs_app *app);
/* Something that it shows has changed. Nothing if it is closed. */
void hvs_window_update(struct hvs_app *app);
/* For the message loop: true if the message was one for the keyboard of the window. */
bool hvs_window_is_message(struct hvs_app *app, MSG *message);
/* NULL if it is closed. */
HWND hvs_window_handle(const struct hvs_app *app);
enum hvs_page hvs_window_page(const struct hvs_app *app);

/* ---- a page ---- */

struct hvs_page_functions {
    unsigned title; /* IDS_PAGE_… */
    /* Makes the controls. */
    void (*create)(HWND page);
    /* Places them; width and height are those of the page, in pixels. */
    void (*layout)(HWND page, const struct hvs_ui *ui, int width, int height);
    /* Fills them. */
    void (*update)(HWND page, const struct hvs_ui *ui, struct hvs_app *app);
    /* A button of the page. */
    void (*command)(HWND page, struct hvs_app *app, unsigned id);
    /* Another row was chosen, or a key was pressed in a list. NULL: the page does not care. */
    void (*chosen)(HWND page, const struct hvs_ui *ui, struct hvs_app *app, unsigned id);
};

extern const struct hvs_page_functions hvs_overview_page;
extern const struct hvs_page_functions hvs_sessions_page;
extern const struct hvs_page_functions hvs_diagnosis_page;

#endif
