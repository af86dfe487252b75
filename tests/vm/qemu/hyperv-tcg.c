/*
 * A minimal Hyper-V guest interface for TCG guests: CPUID leaves, MSRs,
 * hypercall page and SynIC, and the device that holds it all.
 *
 *   -device hyperv-tcg[,listen=ADDRESS[+ADDRESS…]][,control=unix:PATH]
 *           [,monitor=on][,monitor-us=1000][,trace=on][,max-version=0x50003]
 *
 * listen    where clients connect for whom a data channel is offered
 * control   where tests command the host, see hyperv-tcg-control.c
 * monitor   the guest signals through the monitor page, which the host looks at
 *           every monitor-us microseconds
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/cpu-common.h"
#include "hw/qdev-properties.h"
#include "hw/i386/apic.h"
#include "hw/acpi/aml-build.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#include "sysemu/tcg.h"
#include "cpu.h"
#include "hw/hyperv/hyperv-tcg.h"
#include "hyperv-tcg-internal.h"

#define HV_MSR_MAGIC     0x400000f0   /* used by our own hypercall page only */

static HvState *hv;

/* ---- guest memory and interrupts ---- */

void *hv_ptr(uint64_t gpa)
{
    hwaddr len = HV_PAGE - (gpa & (HV_PAGE - 1));
    void *p = cpu_physical_memory_map(gpa, &len, true);

    if (p) {
        /* guest RAM neither moves nor goes away here */
        cpu_physical_memory_unmap(p, len, true, 0);
    }
    return p;
}

static void hv_fire(HvState *s, unsigned vp, unsigned sint)
{
    CPUState *cs = qemu_get_cpu(vp);
    uint64_t v = s->vp[vp].sint[sint];

    if (cs && !(v & HV_SINT_MASKED)) {
        apic_deliver_irq(X86_CPU(cs)->apic_id, 0, 0, v & 0xff, 0);
    }
}

void hv_flush_messages(HvState *s)
{
    HvVp *vp = &s->vp[s->msg_vp];
    HvMsgNode *n;
    HvMsg *slot;

    if (!(vp->scontrol & 1) || !(vp->simp & 1) ||
        (vp->sint[HV_SINT_VMBUS] & HV_SINT_MASKED)) {
        return;
    }
    slot = hv_ptr((vp->simp & ~0xfffull) + HV_SINT_VMBUS * sizeof(HvMsg));
    while (slot && (n = QSIMPLEQ_FIRST(&s->msgs))) {
        if (qatomic_read(&slot->type)) {
            qatomic_or(&slot->flags, 1);            /* "message pending" */
            smp_mb();
            if (qatomic_read(&slot->type)) {
                return;                             /* till the guest's EOM */
            }
        }
        QSIMPLEQ_REMOVE_HEAD(&s->msgs, next);
        memcpy(slot->payload, n->m.payload, n->m.size);
        slot->size = n->m.size;
        slot->port = 0;
        qatomic_set(&slot->flags, QSIMPLEQ_EMPTY(&s->msgs) ? 0 : 1);
        smp_wmb();
        qatomic_set(&slot->type, 1);
        g_free(n);
        hv_fire(s, s->msg_vp, HV_SINT_VMBUS);
    }
}

void hv_send_message(HvState *s, const void *data, unsigned len)
{
    HvMsgNode *n = g_new0(HvMsgNode, 1);

    assert(len <= sizeof(n->m.payload));
    n->m.size = len;
    memcpy(n->m.payload, data, len);
    QSIMPLEQ_INSERT_TAIL(&s->msgs, n, next);
    hv_flush_messages(s);
}

void hv_signal_guest(HvChan *c)
{
    HvVp *vp = &c->s->vp[c->target_vp];
    unsigned long *flags, bit = BIT_MASK(c->relid);

    if (!(vp->scontrol & 1) || !(vp->siefp & 1)) {
        return;
    }
    flags = hv_ptr((vp->siefp & ~0xfffull) + HV_SINT_VMBUS * 256);
    c->n.signals_sent++;
    if (flags && !(qatomic_fetch_or(&flags[BIT_WORD(c->relid)], bit) & bit)) {
        hv_fire(c->s, c->target_vp, HV_SINT_VMBUS);
    }
}

/* ---- CPU side ---- */

static void hv_cpuid(uint32_t leaf, uint32_t r[4])
{
    r[0] = r[1] = r[2] = r[3] = 0;
    switch (leaf) {
    case 0x40000000:
        r[0] = 0x40000006;
        memcpy(&r[1], "Microsoft Hv", 12);
        break;
    case 0x40000001:
        r[0] = 0x31237648;                      /* "Hv#1" */
        break;
    case 0x40000002:
        r[0] = 20348;
        r[1] = 10 << 16;
        break;
    case 0x40000003:
        /* reference counter, SynIC, hypercall, VP index */
        r[0] = 1u << 1 | 1u << 2 | 1u << 5 | 1u << 6;
        r[1] = 1u << 4 | 1u << 5;               /* post messages, signal events */
        break;
    case 0x40000004:
        r[0] = 1u << 9;                         /* don't use auto EOI */
        r[1] = ~0u;
        break;
    case 0x40000005:
        r[0] = r[1] = HV_MAX_CPUS;
        break;
    }
}

static uint64_t hv_hypercall(HvState *s, uint64_t control, uint64_t in)
{
    bool fast = control & (1 << 16);
    uint32_t conn, size;
    uint8_t *p;

    switch (control & 0xffff) {
    case 0x5c:                                  /* post message */
        p = fast ? NULL : hv_ptr(in);
        if (!p || (in & 7) || (in & (HV_PAGE - 1)) > HV_PAGE - 256) {
            return 4;
        }
        conn = ldl_le_p(p);
        size = ldl_le_p(p + 12);
        if (conn != 1 && conn != 4) {
            return 18;
        }
        if (size > 240) {
            return 3;
        }
        if (size >= 8) {
            uint8_t m[240] = {};

            memcpy(m, p + 16, size);
            vmbus_message(s, m, size);
        }
        return 0;
    case 0x5d:                                  /* signal event */
        conn = fast ? in : ldl_le_p(hv_ptr(in));
        conn -= HV_CONN_BASE;
        if (conn >= HV_CHANNELS) {
            return 18;
        }
        chan_guest_signalled(&s->chan[conn]);
        return 0;
    }
    hv_trace(s, "hypercall %" PRIx64 " refused", control);
    return 2;
}

static bool hv_rdmsr(CPUX86State *env, uint32_t msr, uint64_t *val)
{
    HvState *s = hv;
    unsigned idx = env_cpu(env)->cpu_index;
    HvVp *vp = &s->vp[idx];

    if (msr < 0x40000000 || msr > 0x40000fff) {
        return false;
    }
    *val = 0;
    switch (msr) {
    case 0x40000000: *val = s->guest_os_id; break;
    case 0x40000001: *val = s->hypercall; break;
    case 0x40000002: *val = idx; break;
    case 0x40000020:
        *val = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / 100;
        break;
    case 0x40000021: *val = s->ref_tsc; break;
    case 0x40000073: *val = vp->assist; break;
    case 0x40000080: *val = vp->scontrol; break;
    case 0x40000081: *val = 1; break;
    case 0x40000082: *val = vp->siefp; break;
    case 0x40000083: *val = vp->simp; break;
    case 0x40000090 ... 0x4000009f: *val = vp->sint[msr & 15]; break;
    case HV_MSR_MAGIC:
        qemu_mutex_lock_iothread();
        *val = hv_hypercall(s, env->regs[9], env->regs[10]);
        qemu_mutex_unlock_iothread();
        break;
    default:
        hv_trace(s, "rdmsr %x", msr);
    }
    return true;
}

static bool hv_wrmsr(CPUX86State *env, uint32_t msr, uint64_t val)
{
    /*
     * endbr64; mov %rcx,%r9; mov %rdx,%r10; mov $HV_MSR_MAGIC,%ecx; rdmsr; ret
     * (a caller expects all of these registers to be lost)
     */
    static const uint8_t code[] = {
        0xf3, 0x0f, 0x1e, 0xfa, 0x49, 0x89, 0xc9, 0x49, 0x89, 0xd2,
        0xb9, 0xf0, 0x00, 0x00, 0x40, 0x0f, 0x32, 0xc3
    };
    HvState *s = hv;
    HvVp *vp = &s->vp[env_cpu(env)->cpu_index];

    if (msr < 0x40000000 || msr > 0x40000fff) {
        return false;
    }
    qemu_mutex_lock_iothread();
    switch (msr) {
    case 0x40000000: s->guest_os_id = val; break;
    case 0x40000001:
        s->hypercall = val;
        if (val & 1) {
            cpu_physical_memory_write(val & ~0xfffull, code, sizeof(code));
        }
        break;
    case 0x40000003:
        if (val & 1) {
            qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
        }
        break;
    case 0x40000021: s->ref_tsc = val; break;
    case 0x40000073: vp->assist = val; break;
    case 0x40000080: vp->scontrol = val; hv_flush_messages(s); break;
    case 0x40000082: vp->siefp = val; break;
    case 0x40000083: vp->simp = val; hv_flush_messages(s); break;
    case 0x40000084: hv_flush_messages(s); break;
    case 0x40000090 ... 0x4000009f:
        vp->sint[msr & 15] = val;
        hv_flush_messages(s);
        break;
    default:
        hv_trace(s, "wrmsr %x %" PRIx64, msr, val);
    }
    qemu_mutex_unlock_iothread();
    return true;
}

static void hv_build_dsdt(void *dsdt)
{
    Aml *sb = aml_scope("_SB"), *dev = aml_device("VMBS");
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_irq_no_flags(5));
    aml_append(dev, aml_name_decl("_HID", aml_string("VMBus")));
    aml_append(dev, aml_name_decl("_UID", aml_int(0)));
    aml_append(dev, aml_name_decl("_DDN", aml_string("VMBUS")));
    aml_append(dev, aml_name_decl("_STA", aml_int(0xf)));
    aml_append(dev, aml_name_decl("_CRS", crs));
    aml_append(sb, dev);
    aml_append(dsdt, sb);
}

static const HypervTcgOps hv_ops = {
    .cpuid = hv_cpuid,
    .rdmsr = hv_rdmsr,
    .wrmsr = hv_wrmsr,
    .build_dsdt = hv_build_dsdt,
};

/* ---- the device ---- */

static void hv_reset(void *opaque)
{
    HvState *s = opaque;
    unsigned i, j;

    vmbus_reset(s);
    s->guest_os_id = s->hypercall = s->ref_tsc = 0;
    memset(s->vp, 0, sizeof(s->vp));
    for (i = 0; i < HV_MAX_CPUS; i++) {
        for (j = 0; j < 16; j++) {
            s->vp[i].sint[j] = HV_SINT_MASKED;
        }
    }
}

static void hv_realize(DeviceState *dev, Error **errp)
{
    HvState *s = HYPERV_TCG(dev);
    Error *err = NULL;
    unsigned i;

    if (!tcg_enabled() || hv) {
        error_setg(errp, "one hyperv-tcg device at most, and with TCG only");
        return;
    }
    QSIMPLEQ_INIT(&s->msgs);
    QLIST_INIT(&s->gpadls);
    s->mon_timer = timer_new_us(QEMU_CLOCK_VIRTUAL, vmbus_monitor_timer, s);
    for (i = 0; i < HV_CHANNELS; i++) {
        HvChan *c = &s->chan[i];

        c->s = s;
        c->idx = i;
        c->bh = qemu_bh_new(chan_bh, c);
        c->slow_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, chan_slow_timer, c);
        g_queue_init(&c->in_flight);
    }
    control_realize(s, &err);
    if (!err) {
        rdp_realize(s, &err);
    }
    if (err) {
        error_propagate(errp, err);
        return;
    }
    hv = s;
    hyperv_tcg_ops = &hv_ops;
    qemu_register_reset(hv_reset, s);
}

static Property hv_properties[] = {
    DEFINE_PROP_STRING("listen", HvState, listen),
    DEFINE_PROP_STRING("control", HvState, control),
    DEFINE_PROP_BOOL("monitor", HvState, monitor, false),
    DEFINE_PROP_BOOL("trace", HvState, trace, false),
    DEFINE_PROP_UINT32("max-version", HvState, max_version, 0x50003),
    DEFINE_PROP_UINT32("monitor-us", HvState, monitor_us, 1000),
    DEFINE_PROP_END_OF_LIST(),
};

static void hv_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->desc = "Hyper-V guest interface for TCG, with a synthetic RDP device";
    dc->realize = hv_realize;
    dc->hotpluggable = false;
    device_class_set_props(dc, hv_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo hv_type = {
    .name = TYPE_HYPERV_TCG,
    .parent = TYPE_DEVICE,
    .instance_size = sizeof(HvState),
    .class_init = hv_class_init,
};

static void hv_register(void)
{
    type_register_static(&hv_type);
}

type_init(hv_register)
