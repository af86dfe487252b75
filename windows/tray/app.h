/* The app: what is known, and the hidden window that everything is told to. It owns the icon in the
 * notification area with its menu and balloons, and the status window while that is open. One
 * thread. */
#ifndef HVS_WINDOWS_TRAY_APP_H
#define HVS_WINDOWS_TRAY_APP_H

#include "link.h"
#include "model.h"

#include <windows.h>

/* Class of the hidden window: another instance finds the first by it. */
#define HVS_APP_CLASS L"hvsession-tray"
/* Another instance was started: shows the status window. Registered, so that it has the same number
 * everywhere. */
#define HVS_APP_OPEN L"hvsession-tray open"

enum hvs_page { HVS_PAGE_OVERVIEW, HVS_PAGE_SESSIONS, HVS_PAGE_DIAGNOSIS };
#define HVS_PAGES (HVS_PAGE_DIAGNOSIS + 1)

/* How fast a session is, measured between two documents. */
struct hvs_rate {
    uint32_t id;        /* 0: the place is free */
    uint64_t at;        /* the session's duration when it was looked at, milliseconds */
    uint64_t to_host, to_server;           /* bytes until then */
    uint64_t to_host_rate, to_server_rate; /* bytes a second */
};

struct hvs_window;

struct hvs_app {
    HINSTANCE            instance;
    HWND                 hidden;
    struct hvs_json     *values; /* HVS_MODEL_VALUES_MAX, to read documents with */
    struct hvs_model     model;
    uint64_t             received; /* hvs_clock_now() when the model was */
    struct hvs_rate      rates[HVS_DATA_CHANNELS];

    bool                 diagnosing;
    bool                 diagnose_again; /* the service has changed meanwhile */
    bool                 judged;         /* the service, by a diagnosis since it was found */
    DWORD                diagnosis_error; /* of the last one */
    struct hvs_document *diagnosis;       /* holds the strings of view; NULL: none was made */
    struct hvs_view      view;

    struct hvs_window   *window; /* NULL: closed */
    HICON                icon;
    enum hvs_light       shown_light;
    UINT                 taskbar_created; /* messages of the shell and of other instances */
    UINT                 open_request;
    uint32_t             menu_sessions[HVS_DATA_CHANNELS]; /* as the menu has them; 0: none */
};

/* Makes the hidden window and the icon, and begins to watch the service. false: no resources. */
bool hvs_app_start(struct hvs_app *app, HINSTANCE instance);
void hvs_app_stop(struct hvs_app *app);

/* How long ago the model was read, in milliseconds: to be added to its times. */
uint64_t hvs_app_age(const struct hvs_app *app);
/* NULL: nothing was measured yet. */
const struct hvs_rate *hvs_app_rate(const struct hvs_app *app, uint32_t session_id);
/* Anything of the menu, wherever it was chosen; IDM_…. */
void hvs_app_command(struct hvs_app *app, unsigned command);
void hvs_app_diagnose(struct hvs_app *app);
/* Asks first. owner: of the question. */
void hvs_app_disconnect(struct hvs_app *app, HWND owner, uint32_t session_id);

#endif
