/* common/cpu: what the leaves of CPUID say, on processors of many kinds. */
#include "common/cpu.h"

#include <glib.h>
#include <string.h>

#define HYPERVISOR (UINT32_C(1) << 31)
#define ISOLATION  (UINT32_C(1) << 22)
#define PARTITIONS 1u
#define NESTED     (1u << 12)

/* The twelve characters of a vendor, as in EBX, ECX, EDX of a little-endian processor. */
#define BYTES(a, b, c, d)                                                                          \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define HYPER_V BYTES('M', 'i', 'c', 'r'), BYTES('o', 's', 'o', 'f'), BYTES('t', ' ', 'H', 'v')
#define KVM     BYTES('K', 'V', 'M', 'K'), BYTES('V', 'M', 'K', 'V'), BYTES('M', 0, 0, 0)
#define VMWARE  BYTES('V', 'M', 'w', 'a'), BYTES('r', 'e', 'V', 'M'), BYTES('w', 'a', 'r', 'e')

#define LEAVES 8

struct leaf {
    uint32_t number, registers[4];
};

struct processor {
    const char    *name;
    struct leaf    leaves[LEAVES]; /* up to number 0; others must not be asked for */
    struct hvs_cpu expected;
    const char    *build; /* as printed */
};

#define BUILD_2025 { 26100, 10u << 16, 3, 1u << 24 | 1742 }

static const struct processor processors[] = {
    { "physical", { { 1, { 0, 0, 0x7ffafbff, 0 } } }, { .answers = true }, "" },
    { "guest",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x4000000c, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, BUILD_2025 },
        { 0x40000003, { 0x2e7f, 0x3b8030 & ~ISOLATION, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = BUILD_2025 },
      "10.0.26100.1742" },
    { "host",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x4000000c, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, { 7601, 6u << 16 | 1, 17, 0x12ab } },
        { 0x40000003, { 0, PARTITIONS, 0, 0 } },
        { 0x40000004, { 0xe2c, 0xfff, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = { 7601, 6u << 16 | 1, 17, 0x12ab },
        .root = true },
      "6.1.7601.4779" },
    /* It has Hyper-V's role, as a host for others, and is a guest itself. */
    { "guest-and-host",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x4000000c, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, BUILD_2025 },
        { 0x40000003, { 0x2e7f, PARTITIONS, 0, 0 } },
        { 0x40000004, { NESTED, 0xfff, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = BUILD_2025 },
      "10.0.26100.1742" },
    { "host-without-hints",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x40000003, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, BUILD_2025 },
        { 0x40000003, { 0, PARTITIONS, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = BUILD_2025, .root = true },
      "10.0.26100.1742" },
    { "confidential",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x4000000c, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, BUILD_2025 },
        { 0x40000003, { 0, ISOLATION, 0, 0 } },
        { 0x4000000c, { 1, 0xf2, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = BUILD_2025,
        .isolation = HVS_CPU_ISOLATION_SNP },
      "10.0.26100.1742" },
    /* It says that there is a leaf on isolation, and does not have it. */
    { "isolation-missing",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x4000000b, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, BUILD_2025 },
        { 0x40000003, { 0, ISOLATION, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = BUILD_2025 },
      "10.0.26100.1742" },
    { "few-leaves",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x40000002, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } },
        { 0x40000002, { 9600, 6u << 16 | 3, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .build = { 9600, 6u << 16 | 3, 0, 0 } },
      "6.3.9600.0" },
    { "no-build",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x40000001, HYPER_V } },
        { 0x40000100, { 0, 0, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv" },
      "" },
    { "kvm-as-hyper-v",
      { { 1, { 0, 0, HYPERVISOR, 0 } },
        { 0x40000000, { 0x40000005, HYPER_V } },
        { 0x40000100, { 0x40000101, KVM } },
        { 0x40000002, { 0, 0, 0, 0 } },
        { 0x40000003, { 0, 0, 0, 0 } } },
      { .answers = true, .vendor = "Microsoft Hv", .beside = "KVMKVMKVM" },
      "" },
    /* What it has beside and behind the vendor is its own affair. */
    { "vmware",
      { { 1, { 0, 0, HYPERVISOR, 0 } }, { 0x40000000, { 0x40000010, VMWARE } } },
      { .answers = true, .vendor = "VMwareVMware" },
      "" },
};

static const struct processor *asked;

static void
ask(uint32_t leaf, uint32_t registers[4])
{
    for (unsigned i = 0; i < LEAVES && asked->leaves[i].number != 0; i++)
        if (asked->leaves[i].number == leaf) {
            memcpy(registers, asked->leaves[i].registers, sizeof asked->leaves[i].registers);
            return;
        }
    g_error("leaf 0x%x is not there, and was asked for", leaf);
}

static void
test_processor(gconstpointer data)
{
    const struct processor *processor = data;
    const struct hvs_cpu *expected = &processor->expected;
    struct hvs_cpu cpu;
    struct hvs_text text;
    char build[64];

    memset(&cpu, 0xee, sizeof cpu);
    asked = processor;
    hvs_cpu_decode(ask, &cpu);
    g_assert_true(cpu.answers);
    g_assert_cmpstr(cpu.vendor, ==, expected->vendor);
    g_assert_cmpstr(cpu.beside, ==, expected->beside);
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmphex(cpu.build[i], ==, expected->build[i]);
    g_assert_cmpuint(cpu.isolation, ==, expected->isolation);
    g_assert_true(cpu.root == expected->root);
    hvs_text_init(&text, build, sizeof build);
    hvs_cpu_print_build(&cpu, &text);
    g_assert_cmpstr(build, ==, processor->build);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(processors); i++) {
        g_autofree char *path = g_strdup_printf("/cpu/%s", processors[i].name);

        g_test_add_data_func(path, &processors[i], test_processor);
    }
    return g_test_run();
}
