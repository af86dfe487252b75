/* What the processor says on the hypervisor: the leaves of CPUID, decoded. The instruction itself
 * is the platform's.
 *
 * Sources: [TLFS] (Hypervisor Top-Level Functional Specification) 2.4; Intel SDM 3.2 for leaf 1.
 */
#ifndef HVS_COMMON_CPU_H
#define HVS_COMMON_CPU_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

/* CPUID 0x40000000 of Hyper-V, and of those that take its place to please Windows. */
#define HVS_CPU_HYPER_V "Microsoft Hv"

/* [TLFS] 0x4000000C EBX 3:0: how a confidential machine is kept from its host. */
#define HVS_CPU_ISOLATION_SNP 2u
#define HVS_CPU_ISOLATION_TDX 3u

/* All empty: there is no hypervisor, or the processor has no way to say so. */
struct hvs_cpu {
    bool     answers;    /* the processor is of a kind that says so */
    char     vendor[13]; /* CPUID 0x40000000: HVS_CPU_HYPER_V */
    char     beside[13]; /* CPUID 0x40000100, where vendor is Hyper-V: who else is there; KVM and
                            Xen show themselves here when they take Hyper-V's place */
    uint32_t build[4];   /* CPUID 0x40000002 EAX to EDX: version of the hypervisor; 0: not known */
    uint32_t isolation;  /* HVS_CPU_ISOLATION_…; 0: none */
    bool     root;       /* this is the host itself: CPUID 0x40000003 EBX 0, CreatePartitions, and
                            not within a guest, 0x40000004 EAX 12 */
};

/* EAX, EBX, ECX and EDX of CPUID for a leaf. */
typedef void (*hvs_cpu_leaf)(uint32_t leaf, uint32_t registers[4]);

/* Fills cpu by asking for leaf 1, and for those of the hypervisor that it says are there. Only for
 * a processor that has the instruction, and that leaf. */
void hvs_cpu_decode(hvs_cpu_leaf ask, struct hvs_cpu *cpu);

/* The version of the hypervisor, as Linux prints it at its start without service pack and branch:
 * "10.0.26100.1742"; nothing if it is not known. */
void hvs_cpu_print_build(const struct hvs_cpu *cpu, struct hvs_text *out);

#endif
