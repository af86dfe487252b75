/* Which Windows this is, and what one may do to it. */
#ifndef HVS_WINDOWS_OS_H
#define HVS_WINDOWS_OS_H

#include "common/text.h"

#include <windows.h>

#include <stdbool.h>

struct hvs_os_version {
    unsigned number; /* major * 100 + minor: 501 XP, 502 Server 2003 and XP x64, 600 Vista, 601 7,
                        602 8 and Server 2012, 603 8.1, 1000 10 and 11 */
    unsigned build;  /* 2600 */
    unsigned service_pack;
    bool     server;
    bool     home; /* an edition without a Remote Desktop server */
};

/* What the kernel says, not what compatibility settings pretend. */
void hvs_os_get_version(struct hvs_os_version *version);
/* "Windows XP Home Edition (5.1.2600, Service Pack 3)" */
void hvs_os_print(const struct hvs_os_version *version, struct hvs_text *out);

/* This thread acts for a member of BUILTIN\Administrators, and not just by a filtered token. */
bool hvs_os_is_administrator(void);

#endif
