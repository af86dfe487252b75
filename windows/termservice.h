/* TermService, the Remote Desktop server of Windows, as a service. */
#ifndef HVS_WINDOWS_TERMSERVICE_H
#define HVS_WINDOWS_TERMSERVICE_H

#include <windows.h>

#include <stdbool.h>

struct hvs_termservice {
    bool running;
    bool disabled; /* nobody may start it */
};

/* Errors of the system; ERROR_SERVICE_DOES_NOT_EXIST: this Windows has none. */
DWORD hvs_termservice_look(struct hvs_termservice *termservice);
/* Starts it and waits until it runs. A disabled one is set to be started on demand first, which is
 * recorded in the log of windows/system.h as TermServiceStart. */
DWORD hvs_termservice_start(void);
/* The start type that was there before; it is not stopped. ERROR_FILE_NOT_FOUND: nothing is
 * recorded. ERROR_REVISION_MISMATCH: somebody else has changed it since; it is left alone, and the
 * record forgotten. */
DWORD hvs_termservice_restore(void);

#endif
