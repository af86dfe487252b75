/* The processor that this runs on. */
#ifndef HVS_WINDOWS_PROCESSOR_H
#define HVS_WINDOWS_PROCESSOR_H

#include "common/cpu.h"

/* All empty if it is too old to be asked. */
void hvs_processor_read(struct hvs_cpu *cpu);

#endif
