/* The probe's first part: what machine is this, and which system runs on it. */
#include "kvp.h"
#include "probe-parts.h"

#include <string.h>
#if defined(__i386__) || defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__i386__) || defined(__x86_64__)

static void
ask_processor(uint32_t leaf, uint32_t registers[4])
{
    __cpuid(leaf, registers[0], registers[1], registers[2], registers[3]);
}

void
hvs_probe_read_cpu(struct hvs_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    if (__get_cpuid_max(0, NULL) > 0)
        hvs_cpu_decode(ask_processor, cpu);
}

#else

void
hvs_probe_read_cpu(struct hvs_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
}

#endif

/* What hypervisors call themselves in the firmware's tables. */
struct known_name {
    const char *sign;
    const char *name;
};

/* The beginnings of sys_vendor and product_name. */
static const struct known_name dmi_names[] = {
    { "QEMU", "QEMU" },
    { "KVM", "KVM" },
    { "VMware", "VMware" },
    { "VirtualBox", "VirtualBox" },
    { "innotek", "VirtualBox" },
    { "Xen", "Xen" },
    { "Amazon EC2", "Amazon EC2" },
    { "Google", "Google Cloud" },
    { "Parallels", "Parallels" },
    { "Bochs", "Bochs" },
    { "BHYVE", "bhyve" },
    { "Apple Virtualization", "Apple Virtualization" },
    { "OpenStack", "OpenStack" },
};

static void
set_other_hypervisor(struct hvs_facts *facts, const char *name)
{
    facts->hypervisor = HVS_HYPERVISOR_OTHER;
    hvs_probe_set(facts->hypervisor_name, name);
}

static const char *
find_dmi_name(const char *vendor, const char *product)
{
    for (gsize i = 0; i < G_N_ELEMENTS(dmi_names); i++)
        if (g_str_has_prefix(vendor, dmi_names[i].sign) ||
            g_str_has_prefix(product, dmi_names[i].sign))
            return dmi_names[i].name;
    return NULL;
}

static char *
read_dmi(struct hvs_probe *probe, const char *name)
{
    g_autofree char *path = g_build_filename("class/dmi/id", name, NULL);
    char *text = hvs_probe_read(probe, probe->roots->sys, path);

    return text != NULL ? text : g_strdup("");
}

/* The kernel has a VMBus only if Hyper-V's firmware tables announce one: whatever the processor
 * says, there is a host to talk to. Others only imitate Hyper-V's processor interface. */
static void
probe_hypervisor(struct hvs_probe *probe, const struct hvs_cpu *cpu)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *vendor = read_dmi(probe, "sys_vendor");
    g_autofree char *product = read_dmi(probe, "product_name");
    const char *by_cpu = hvs_hypervisor_name(cpu->beside);
    const char *by_dmi = find_dmi_name(vendor, product);

    if (by_cpu == NULL)
        by_cpu = hvs_hypervisor_name(cpu->vendor);
    if (facts->vmbus == HVS_YES)
        facts->hypervisor = HVS_HYPERVISOR_HYPER_V;
    else if (by_cpu != NULL)
        set_other_hypervisor(facts, by_cpu);
    else if (by_dmi != NULL)
        set_other_hypervisor(facts, by_dmi);
    else if (hvs_probe_exists(probe->roots->sys, "hypervisor/type"))
        set_other_hypervisor(facts, "Xen");
    else if (strcmp(cpu->vendor, HVS_CPU_HYPER_V) == 0 ||
             (strcmp(vendor, "Microsoft Corporation") == 0 &&
              strcmp(product, "Virtual Machine") == 0))
        facts->hypervisor = HVS_HYPERVISOR_HYPER_V;
    else if (cpu->vendor[0] != '\0')
        set_other_hypervisor(facts, cpu->vendor);
    else if (cpu->answers)
        facts->hypervisor = HVS_HYPERVISOR_NONE;
}

static void
probe_host_build(struct hvs_facts *facts, const struct hvs_cpu *cpu)
{
    struct hvs_text text;

    hvs_text_init(&text, facts->host_build, sizeof facts->host_build);
    if (facts->hypervisor == HVS_HYPERVISOR_HYPER_V)
        hvs_cpu_print_build(cpu, &text);
}

/* The chassis asset tag of every virtual machine in Azure, "MSFT AZURE VM" in digits. */
#define AZURE_ASSET_TAG "7783-7084-3265-9085-8269-3286-77"

/* In guests that are enlightened for TDX the kernel shows this among the processor's flags. */
static gboolean
has_tdx_flag(struct hvs_probe *probe)
{
    g_autofree char *text = hvs_probe_read(probe, probe->roots->proc, "cpuinfo");

    return text != NULL &&
           g_regex_match_simple("^flags\\s*:.*\\stdx_guest(\\s|$)", text, G_REGEX_MULTILINE, 0);
}

static gboolean
is_wsl(struct hvs_probe *probe)
{
    const char *kernel = probe->facts->kernel;

    return strstr(kernel, "WSL") != NULL || strstr(kernel, "Microsoft") != NULL ||
           strstr(kernel, "microsoft-standard") != NULL ||
           hvs_probe_exists(probe->roots->proc, "sys/fs/binfmt_misc/WSLInterop");
}

static void
probe_container(struct hvs_probe *probe)
{
    const struct hvs_roots *roots = probe->roots;
    struct hvs_facts *facts = probe->facts;
    /* Written by systemd or the manager itself, and by systemd-nspawn. */
    g_autofree char *name = hvs_probe_read(probe, roots->run, "systemd/container");

    if (name == NULL)
        name = hvs_probe_read(probe, roots->run, "host/container-manager");
    if (name == NULL && hvs_probe_exists(roots->run, ".containerenv"))
        name = g_strdup("podman");
    if (name == NULL && hvs_probe_exists(roots->root, ".dockerenv"))
        name = g_strdup("docker");
    facts->container = hvs_probe_answer(name != NULL);
    hvs_probe_set(facts->container_name, name);
}

/* The value of a line KEY=VALUE with the shell's quotes, os-release(5); NULL: none. */
static char *
find_assignment(const char *text, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gsize length = strlen(key);

    for (gsize i = 0; lines[i] != NULL; i++)
        if (g_str_has_prefix(lines[i], key) && lines[i][length] == '=')
            return g_shell_unquote(lines[i] + length + 1, NULL);
    return NULL;
}

static enum hvs_distribution
family_of(const char *id)
{
    static const struct {
        const char *id;
        enum hvs_distribution distribution;
    } families[] = {
        { "debian", HVS_DISTRIBUTION_DEBIAN }, { "ubuntu", HVS_DISTRIBUTION_UBUNTU },
        { "fedora", HVS_DISTRIBUTION_FEDORA }, { "rhel", HVS_DISTRIBUTION_FEDORA },
        { "centos", HVS_DISTRIBUTION_FEDORA }, { "suse", HVS_DISTRIBUTION_SUSE },
        { "opensuse", HVS_DISTRIBUTION_SUSE }, { "sles", HVS_DISTRIBUTION_SUSE },
        { "arch", HVS_DISTRIBUTION_ARCH },     { "alpine", HVS_DISTRIBUTION_ALPINE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(families); i++)
        if (strcmp(id, families[i].id) == 0)
            return families[i].distribution;
    return HVS_DISTRIBUTION_OTHER;
}

static void
probe_system(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *text = hvs_probe_read(probe, probe->roots->etc, "os-release");
    g_autofree char *name = NULL, *version = NULL, *id = NULL, *like = NULL;
    g_auto(GStrv) relatives = NULL;

    if (text == NULL)
        text = hvs_probe_read(probe, probe->roots->root, "usr/lib/os-release");
    if (text == NULL)
        return;
    name = find_assignment(text, "PRETTY_NAME");
    version = find_assignment(text, "VERSION_ID");
    id = find_assignment(text, "ID");
    like = find_assignment(text, "ID_LIKE");
    hvs_probe_set(facts->os_name, name);
    hvs_probe_set(facts->distribution_version, version);
    if (id != NULL)
        facts->distribution = family_of(id);
    relatives = g_strsplit(like != NULL ? like : "", " ", -1);
    for (gsize i = 0; relatives[i] != NULL; i++)
        if (facts->distribution == HVS_DISTRIBUTION_OTHER)
            facts->distribution = family_of(relatives[i]);
}

static void
probe_names(struct hvs_probe *probe)
{
    g_autofree char *path = g_build_filename(probe->roots->root, "var", HVS_KVP_POOL_OF_HOST, NULL);
    g_autofree char *pool = NULL, *vm = NULL, *host = NULL;
    gsize length;

    if (!g_file_get_contents(path, &pool, &length, NULL))
        return;
    vm = hvs_kvp_find(pool, length, "VirtualMachineName");
    host = hvs_kvp_find(pool, length, "HostName");
    hvs_probe_set(probe->facts->vm_name, vm);
    hvs_probe_set(probe->facts->host_name, host);
}

void
hvs_probe_machine(struct hvs_probe *probe, const struct hvs_cpu *cpu)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *kernel = hvs_probe_read(probe, probe->roots->proc, "sys/kernel/osrelease");
    g_autofree char *tag = read_dmi(probe, "chassis_asset_tag");

    hvs_probe_set(facts->kernel, kernel);
    facts->vmbus = hvs_probe_answer(hvs_probe_exists(probe->roots->sys, "bus/vmbus"));
    probe_hypervisor(probe, cpu);
    probe_host_build(facts, cpu);
    facts->wsl = hvs_probe_answer(is_wsl(probe));
    facts->azure = hvs_probe_answer(strcmp(tag, AZURE_ASSET_TAG) == 0);
    facts->confidential =
        hvs_probe_answer(cpu->isolation == HVS_CPU_ISOLATION_SNP ||
                         cpu->isolation == HVS_CPU_ISOLATION_TDX || has_tdx_flag(probe));
    probe_container(probe);
    probe_system(probe);
    probe_names(probe);
}
