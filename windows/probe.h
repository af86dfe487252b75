/* Gathers the facts that common/diagnosis judges.
 *
 * Changes nothing: the registry and the service manager are read, vmbuspipe.dll is loaded, and the
 * port of Remote Desktop is connected to and left again, to see whether it can be reached. Needs no
 * rights of an administrator. Takes some tens of milliseconds, and up to 3 seconds where a firewall
 * swallows the connection. Any thread, one at a time in a process.
 *
 * Sources: Microsoft's documentation of the registry values (windows/system.c) and of
 * UF_PASSWD_NOTREQD.
 */
#ifndef HVS_WINDOWS_PROBE_H
#define HVS_WINDOWS_PROBE_H

#include "os.h"

#include "common/cpu.h"
#include "common/diagnosis.h"
#include "common/settings.h"

#include <windows.h>

struct hvs_probe_options {
    const struct hvs_cpu        *cpu; /* NULL: the processor that this runs on */
    const struct hvs_os_version *os;  /* NULL: the Windows that this runs on */
    bool                         from_service; /* which needs not be asked for what it knows */
    HANDLE                       stop; /* signalled: come to an end; NULL: never */
};

/* Fills facts. What only the service knows is asked for on the status pipe, if it runs; else a
 * waiting channel is looked for with vmbuspipe.dll. */
void hvs_probe(const struct hvs_probe_options *options, struct hvs_facts *facts);

/* What the service answers to "facts" on its status pipe, and reads back: lines of NAME=NUMBER.
 * Only what hvs_facts_add_status() and the service itself fill in. */
void hvs_probe_print_own(const struct hvs_facts *facts, struct hvs_text *out);
void hvs_probe_parse_own(const char *answer, struct hvs_facts *facts);

#endif
