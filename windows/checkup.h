/* Looks at the machine beside the daemon's loop: hvs_probe() waits for others, so a thread does it
 * that lives no longer. Nothing runs unless somebody has asked. The daemon's thread only. */
#ifndef HVS_WINDOWS_CHECKUP_H
#define HVS_WINDOWS_CHECKUP_H

#include "common/diagnosis.h"

#include <windows.h>

/* What is younger is not looked for again, in milliseconds. */
#define HVS_CHECKUP_FRESH 500u

struct hvs_checkup;

/* done: an auto-reset event of the caller, set when a look is done; call hvs_checkup_dispatch()
 * then. ERROR_SUCCESS or an error of the system. */
DWORD hvs_checkup_new(HANDLE done, struct hvs_checkup **checkup);
/* Ends a look that is under way, in far less than a second. NULL is fine. */
void hvs_checkup_free(struct hvs_checkup *checkup);
/* true: there are fresh facts. Else a look is under way now, shared by all who ask; false and not
 * hvs_checkup_is_looking(): there is no thread to be had. */
bool hvs_checkup_request(struct hvs_checkup *checkup);
bool hvs_checkup_is_looking(const struct hvs_checkup *checkup);
/* true: a look is done, there are fresh facts. */
bool hvs_checkup_dispatch(struct hvs_checkup *checkup);
/* Of the last look, without what only the service knows. Until the next request. */
const struct hvs_facts *hvs_checkup_facts(const struct hvs_checkup *checkup);

#endif
