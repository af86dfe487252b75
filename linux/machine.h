/* Which machine is looked at: this one, or another one's trees below a directory, as of a mounted
 * disk or a test. The processor of that one is nobody's to ask. */
#ifndef HVS_LINUX_MACHINE_H
#define HVS_LINUX_MACHINE_H

#include "probe.h"

typedef struct hvs_machine {
    struct hvs_roots roots;
    struct hvs_cpu cpu;
    char *paths[6]; /* what roots points to; private */
} hvs_machine;

/* root: the directory, NULL: this machine. Clear with hvs_machine_clear(). */
void hvs_machine_init(struct hvs_machine *machine, const char *root);
/* Another one of the same machine, to be cleared likewise. */
void hvs_machine_copy(struct hvs_machine *copy, const struct hvs_machine *machine);
void hvs_machine_clear(struct hvs_machine *machine);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(hvs_machine, hvs_machine_clear)

#endif
