/* Gathers the facts that common/diagnosis judges.
 *
 * Changes nothing: files are read, nothing is opened for writing, connected to or loaded (so that
 * not even a module comes by itself). Works without root with what it may read; what it may not
 * stays unknown, and .limited says so. Takes some tens of milliseconds.
 *
 * Sources: Linux Documentation/ABI/stable/sysfs-bus-vmbus, Documentation/filesystems/proc.rst,
 * Documentation/ABI/testing/dev-kmsg; [TLFS] 2.4 for CPUID; systemd's detect-virt for the order of
 * checks; logind's session files; polkit(8).
 */
#ifndef HVS_LINUX_PROBE_H
#define HVS_LINUX_PROBE_H

#include "roots.h"

#include "common/diagnosis.h"
#include "common/settings.h"

#include <glib.h>

/* What the processor says on the hypervisor. All empty: there is none, or the processor has no way
 * to say so. */
struct hvs_probe_cpu {
    gboolean answers;    /* the processor is of a kind that says so */
    char     vendor[13]; /* CPUID 0x40000000: "Microsoft Hv" */
    char     beside[13]; /* CPUID 0x40000100: who else is there; KVM and Xen take Hyper-V's place
                            at 0x40000000 to please Windows, and show themselves here */
    guint32  isolation;  /* [TLFS] 0x4000000C EBX 3:0: 2 SEV-SNP, 3 TDX */
    guint32  build[4];   /* [TLFS] 0x40000002 EAX to EDX: version of the hypervisor; 0: not known */
};

/* Asks the processor that this runs on. */
void hvs_probe_read_cpu(struct hvs_probe_cpu *cpu);

struct hvs_probe_options {
    const struct hvs_roots     *roots;
    const struct hvs_settings  *settings; /* NULL: the defaults */
    const struct hvs_probe_cpu *cpu;      /* NULL: the processor that this runs on */
};

/* Fills facts. What only the service knows (control_problem, failure_code, server_encrypts,
 * server_untrusted, HvSocket served by itself) is left unknown for the caller to add. */
void hvs_probe(const struct hvs_probe_options *options, struct hvs_facts *facts);

#endif
