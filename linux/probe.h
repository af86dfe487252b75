/* Gathers the facts that common/diagnosis judges.
 *
 * Changes nothing: files are read, nothing is opened for writing, connected to or loaded (so that
 * not even a module comes by itself). Works without root with what it may read; what it may not
 * stays unknown, and .limited says so. Takes some tens of milliseconds.
 *
 * Sources: Linux Documentation/ABI/stable/sysfs-bus-vmbus, Documentation/filesystems/proc.rst,
 * Documentation/ABI/testing/dev-kmsg; systemd's detect-virt for the order of checks; logind's
 * session files; polkit(8).
 */
#ifndef HVS_LINUX_PROBE_H
#define HVS_LINUX_PROBE_H

#include "roots.h"

#include "common/cpu.h"
#include "common/diagnosis.h"
#include "common/settings.h"

#include <glib.h>

/* Asks the processor that this runs on; all empty where it is no x86. */
void hvs_probe_read_cpu(struct hvs_cpu *cpu);

struct hvs_probe_options {
    const struct hvs_roots    *roots;
    const struct hvs_settings *settings; /* NULL: the defaults */
    const struct hvs_cpu      *cpu;      /* NULL: the processor that this runs on */
};

/* Fills facts. What only the service knows (control_problem, failure_code, server_encrypts,
 * server_untrusted, HvSocket served by itself) is left unknown for the caller to add. */
void hvs_probe(const struct hvs_probe_options *options, struct hvs_facts *facts);

#endif
