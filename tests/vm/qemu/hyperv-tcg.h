/*
 * Hooks for a Hyper-V guest interface emulated under TCG.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_HYPERV_HYPERV_TCG_H
#define HW_HYPERV_HYPERV_TCG_H

struct CPUArchState;

typedef struct HypervTcgOps {
    void (*cpuid)(uint32_t leaf, uint32_t reg[4]);
    /* both return false when the MSR isn't one of Hyper-V's */
    bool (*rdmsr)(struct CPUArchState *env, uint32_t msr, uint64_t *val);
    bool (*wrmsr)(struct CPUArchState *env, uint32_t msr, uint64_t val);
    void (*build_dsdt)(void *dsdt);
} HypervTcgOps;

/* NULL unless the machine has a hyperv-tcg device; lives in target/i386/cpu.c */
extern const HypervTcgOps *hyperv_tcg_ops;

#endif
