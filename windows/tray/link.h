/* The app's link to the service. Everything that may block happens in threads of this module, and
 * is told to one window by the messages below. */
#ifndef HVS_WINDOWS_TRAY_LINK_H
#define HVS_WINDOWS_TRAY_LINK_H

#include "model.h"

#include <windows.h>

/* Bytes of a document; the receiver frees it by free(). */
struct hvs_document {
    size_t length;
    char   bytes[];
};

/* lParam: a status document. */
#define WM_HVS_STATUS (WM_APP + 1)
/* wParam: enum hvs_service, any but UP. Told once, until it is another one. */
#define WM_HVS_SERVICE (WM_APP + 2)
/* lParam: the document of a diagnosis. NULL: it could not be made; wParam: why, an error of the
 * system. */
#define WM_HVS_DIAGNOSIS (WM_APP + 3)
/* An action of hvs_link_act() is done. wParam: enum hvs_action; lParam: ERROR_SUCCESS or why not;
 * ERROR_CANCELLED: the user did not want it after all. */
#define WM_HVS_DONE (WM_APP + 4)
/* Messages that come from elsewhere begin here. */
#define WM_HVS_OTHER (WM_APP + 5)

/* Watches the service until hvs_link_stop(): waits for it to come, too. ERROR_SUCCESS or an error
 * of the system. Once. */
DWORD hvs_link_start(HWND window);
/* Waits for the watching thread. */
void hvs_link_stop(void);

/* ---- asking: one WM_HVS_… comes for each, if the window lives ---- */

/* For the counters, and without an answer if the service does not give one. */
void hvs_link_ask_status(HWND window);
/* By the service, or by hvsession.exe beside this program if that does not run. Takes seconds. */
void hvs_link_diagnose(HWND window);

/* ---- acting ---- */

enum hvs_action { HVS_ACTION_START, HVS_ACTION_RESTART, HVS_ACTION_DISCONNECT };

/* Does it now, in this process. ERROR_ACCESS_DENIED: not an administrator; other errors of the
 * system. id: of the session. */
DWORD hvs_link_act_now(enum hvs_action action, uint32_t id);
/* Does it in a thread; where rights are missing, in another process of this program that asks for
 * them (Vista and later). */
void hvs_link_act(HWND window, enum hvs_action action, uint32_t id);
/* The arguments of that other process, "--act ACTION ID"; false: these are none. */
bool hvs_link_parse_action(const WCHAR *arguments, enum hvs_action *action, uint32_t *id);

#endif
