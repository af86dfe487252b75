/* hvsession as a Windows service: its life under the service control manager (SCM), and its
 * installation. The former is service-run.c: programs that only start and stop the service do
 * without the daemon. */
#ifndef HVS_WINDOWS_SERVICE_H
#define HVS_WINDOWS_SERVICE_H

#include "common/text.h"

#include <windows.h>

#define HVS_SERVICE_NAME L"HvSession"

/* Called by the SCM's process: runs as a service until it is stopped. The service is RUNNING as
 * soon as it works: settings read, vmbuspipe.dll loaded, waiting for the host. It is STOPPED within
 * 2 s of STOP or SHUTDOWN, whatever hangs, and after 15 s of a start that hangs.
 * ERROR_FAILED_SERVICE_CONTROLLER_CONNECT: not called by the SCM. */
DWORD hvs_service_run(void);

/* All that follow return errors of the system; ERROR_ACCESS_DENIED: not an administrator,
 * ERROR_SERVICE_DOES_NOT_EXIST: not installed. */

/* Registers this program as the service, started with the system, restarted after 5, 30 and then
 * every 60 seconds if it fails, and the source of its events. Over an installed one: brings that up
 * to date. */
DWORD hvs_service_install(void);
/* Stops and removes the service, its settings and the source of its events. What hvs_setup() has
 * changed is the caller's to undo before. */
DWORD hvs_service_uninstall(void);
/* Waits until it runs. ERROR_SERVICE_SPECIFIC_ERROR or another error if it did not start: the
 * event log says why. */
DWORD hvs_service_start(void);
/* Waits until it has stopped; one that starts is waited for before. ERROR_SUCCESS, too, if it did
 * not run: a restart after a failure may still be due. ERROR_SERVICE_REQUEST_TIMEOUT: it has not
 * stopped. */
DWORD hvs_service_stop(void);
/* The same for any service that is opened with SERVICE_START | SERVICE_QUERY_STATUS. */
DWORD hvs_service_start_opened(SC_HANDLE opened);
/* SERVICE_STOPPED, SERVICE_RUNNING, … */
DWORD hvs_service_state(DWORD *state);

#endif
