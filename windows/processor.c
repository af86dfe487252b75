#include "processor.h"

#include <cpuid.h>
#include <string.h>

static void
ask_processor(uint32_t leaf, uint32_t registers[4])
{
    __cpuid(leaf, registers[0], registers[1], registers[2], registers[3]);
}

void
hvs_processor_read(struct hvs_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    if (__get_cpuid_max(0, NULL) > 0)
        hvs_cpu_decode(ask_processor, cpu);
}
