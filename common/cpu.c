#include "cpu.h"

#include <string.h>

#define LEAF_FEATURES          1u
#define FEATURE_HYPERVISOR     (UINT32_C(1) << 31) /* ECX */
#define LEAF_HYPERVISOR        0x40000000u
#define LEAF_HYPER_V_BUILD     0x40000002u
#define LEAF_HYPER_V_FEATURES  0x40000003u
#define FEATURE_PARTITIONS     1u                  /* EBX */
#define FEATURE_ISOLATION      (UINT32_C(1) << 22) /* EBX */
#define LEAF_HYPER_V_HINTS     0x40000004u
#define HINT_NESTED            (UINT32_C(1) << 12) /* EAX */
#define LEAF_HYPER_V_ISOLATION 0x4000000cu
#define ISOLATION_TYPE         0xfu /* EBX */
#define LEAF_BESIDE            0x40000100u

enum { EAX, EBX, ECX, EDX, REGISTERS };

/* Twelve characters in EBX, ECX, EDX; returns EAX, for most the highest leaf. */
static uint32_t
read_vendor(hvs_cpu_leaf ask, uint32_t leaf, char vendor[13])
{
    uint32_t registers[REGISTERS];

    ask(leaf, registers);
    memcpy(vendor, &registers[EBX], 12);
    vendor[12] = '\0';
    return registers[EAX];
}

/* The root of a hypervisor within a guest is still a guest of the one around that. */
static bool
is_nested(hvs_cpu_leaf ask, uint32_t highest)
{
    uint32_t registers[REGISTERS];

    if (highest < LEAF_HYPER_V_HINTS)
        return false;
    ask(LEAF_HYPER_V_HINTS, registers);
    return (registers[EAX] & HINT_NESTED) != 0;
}

static void
read_hyper_v(hvs_cpu_leaf ask, uint32_t highest, struct hvs_cpu *cpu)
{
    uint32_t registers[REGISTERS], features;

    if (highest >= LEAF_HYPER_V_BUILD)
        ask(LEAF_HYPER_V_BUILD, cpu->build);
    if (highest < LEAF_HYPER_V_FEATURES)
        return;
    ask(LEAF_HYPER_V_FEATURES, registers);
    features = registers[EBX];
    cpu->root = (features & FEATURE_PARTITIONS) != 0 && !is_nested(ask, highest);
    if ((features & FEATURE_ISOLATION) == 0 || highest < LEAF_HYPER_V_ISOLATION)
        return;
    ask(LEAF_HYPER_V_ISOLATION, registers);
    cpu->isolation = registers[EBX] & ISOLATION_TYPE;
}

void
hvs_cpu_decode(hvs_cpu_leaf ask, struct hvs_cpu *cpu)
{
    uint32_t registers[REGISTERS], highest;

    memset(cpu, 0, sizeof *cpu);
    cpu->answers = true;
    ask(LEAF_FEATURES, registers);
    if ((registers[ECX] & FEATURE_HYPERVISOR) == 0)
        return;
    highest = read_vendor(ask, LEAF_HYPERVISOR, cpu->vendor);
    if (strcmp(cpu->vendor, HVS_CPU_HYPER_V) != 0)
        return;
    read_vendor(ask, LEAF_BESIDE, cpu->beside);
    read_hyper_v(ask, highest, cpu);
}

/* Major and minor version (EBX 31:16 and 15:0), build (EAX) and service number (EDX 23:0). */
void
hvs_cpu_print_build(const struct hvs_cpu *cpu, struct hvs_text *out)
{
    const uint32_t parts[] = { cpu->build[EBX] >> 16, cpu->build[EBX] & 0xffff, cpu->build[EAX],
                               cpu->build[EDX] & 0xffffff };

    if (cpu->build[EAX] == 0)
        return;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        hvs_text_add(out, i > 0 ? "." : "");
        hvs_text_add_u64(out, parts[i]);
    }
}
