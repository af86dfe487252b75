/* The parts of the probe. */
#ifndef HVS_WINDOWS_PROBE_PARTS_H
#define HVS_WINDOWS_PROBE_PARTS_H

#include "probe.h"

static inline enum hvs_answer
hvs_probe_answer(bool yes)
{
    return yes ? HVS_YES : HVS_NO;
}

/* The RDP server that the settings name: if it is this machine's, how Terminal Services are set.
 * stop: ends the attempt to connect to it when signalled; NULL: nothing does. */
void hvs_probe_server(struct hvs_facts *facts, const struct hvs_settings *settings,
                      const struct hvs_os_version *os, HANDLE stop);

#endif
