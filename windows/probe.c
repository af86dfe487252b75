#include "probe.h"

#include "probe-parts.h"
#include "processor.h"
#include "registry.h"
#include "service.h"
#include "status-pipe.h"
#include "system.h"
#include "termservice.h"
#include "vmbuspipe.h"
#include "wide.h"

#include "common/synthrdp.h"

#include <stddef.h>
#include <string.h>

/* How long a channel that is offered may take to be found, in milliseconds. */
#define OFFER_WAIT 200u
/* Of what the service says about itself. */
#define OWN_MAX 512u

#define GUEST_PARAMETERS L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest\\Parameters"
/* Its guest agent makes that key. */
#define AZURE L"SOFTWARE\\Microsoft\\Windows Azure"

/* ---- the machine ---- */

/* Others imitate Hyper-V to please Windows; and the host itself is no guest. */
static void
probe_hypervisor(struct hvs_facts *facts, const struct hvs_cpu *cpu)
{
    const char *name = hvs_hypervisor_name(cpu->beside);
    struct hvs_text text;

    if (name == NULL)
        name = hvs_hypervisor_name(cpu->vendor);
    if (name == NULL && cpu->vendor[0] != '\0' && strcmp(cpu->vendor, HVS_CPU_HYPER_V) != 0)
        name = cpu->vendor;
    if (name != NULL) {
        facts->hypervisor = HVS_HYPERVISOR_OTHER;
        hvs_text_init(&text, facts->hypervisor_name, sizeof facts->hypervisor_name);
        hvs_text_add(&text, name);
    } else if (cpu->vendor[0] != '\0' && !cpu->root) {
        facts->hypervisor = HVS_HYPERVISOR_HYPER_V;
    } else if (cpu->answers) {
        facts->hypervisor = HVS_HYPERVISOR_NONE;
    }
}

static void
probe_host_build(struct hvs_facts *facts, const struct hvs_cpu *cpu)
{
    struct hvs_text text;

    hvs_text_init(&text, facts->host_build, sizeof facts->host_build);
    if (facts->hypervisor == HVS_HYPERVISOR_HYPER_V)
        hvs_cpu_print_build(cpu, &text);
}

/* A string of the host's, empty if there is none. */
static void
read_name(const WCHAR *value, char *name, size_t size)
{
    struct hvs_text text;

    hvs_text_init(&text, name, size);
    hvs_registry_read_string(GUEST_PARAMETERS, value, &text);
}

static void
probe_machine(struct hvs_facts *facts, const struct hvs_cpu *cpu,
              const struct hvs_os_version *os)
{
    struct hvs_text text;

    probe_hypervisor(facts, cpu);
    probe_host_build(facts, cpu);
    facts->azure = hvs_registry_has_key(AZURE) ? HVS_YES : HVS_UNKNOWN;
    read_name(L"VirtualMachineName", facts->vm_name, sizeof facts->vm_name);
    read_name(L"HostName", facts->host_name, sizeof facts->host_name);
    hvs_text_init(&text, facts->os_name, sizeof facts->os_name);
    hvs_os_print(os, &text);
    facts->windows_version = os->number;
    facts->home_edition = hvs_probe_answer(os->home);
}

/* ---- channels and service ---- */

static void
probe_library(struct hvs_facts *facts, bool look_for_offer)
{
    const struct hvs_guid instance = hvs_synthrdp_instance(HVS_CONTROL_CHANNEL);
    struct hvs_vmbuspipe_channel channel;
    struct hvs_vmbuspipe vmbuspipe;
    DWORD error = hvs_vmbuspipe_load(&vmbuspipe);

    facts->vmbuspipe = hvs_probe_answer(error == ERROR_SUCCESS);
    facts->vmbuspipe_64 = hvs_probe_answer(error == ERROR_MOD_NOT_FOUND &&
                                           hvs_vmbuspipe_is_for_64_bits());
    if (error != ERROR_SUCCESS)
        return;
    if (look_for_offer) {
        error = hvs_vmbuspipe_wait(&vmbuspipe, hvs_synthrdp_class(HVS_CONTROL_CHANNEL), &instance,
                                   OFFER_WAIT, &channel);
        if (error == ERROR_SUCCESS || error == ERROR_TIMEOUT)
            facts->control_offered = hvs_probe_answer(error == ERROR_SUCCESS);
    }
    hvs_vmbuspipe_unload(&vmbuspipe);
}

/* The service may run in a console, too: whoever answers on the pipe runs. */
static void
probe_service(struct hvs_facts *facts)
{
    char bytes[OWN_MAX];
    struct hvs_text answer;
    DWORD state;

    hvs_text_init(&answer, bytes, sizeof bytes);
    if (hvs_status_pipe_ask("facts", &answer) == ERROR_SUCCESS) {
        facts->service_running = HVS_YES;
        hvs_probe_parse_own(bytes, facts);
    } else if (hvs_service_state(&state) != ERROR_SUCCESS || state != SERVICE_RUNNING) {
        facts->service_running = HVS_NO;
    }
}

static void
probe_settings(struct hvs_facts *facts, struct hvs_settings *settings)
{
    struct hvs_text message;

    hvs_settings_init(settings);
    hvs_text_init(&message, facts->config_error, sizeof facts->config_error);
    hvs_registry_load(settings, &message);
    facts->reply_mirrored =
        hvs_probe_answer(settings->negotiation_reply == HVS_REPLY_SETTING_MIRROR);
    /* The host's plain RDP goes on as it is. */
    facts->relay_speaks_tls = HVS_NO;
}

/* ---- what the service says ---- */

/* Each an enum or a number of that size. */
static const struct {
    const char *name;
    size_t offset;
} own_facts[] = {
    { "control_offered", offsetof(struct hvs_facts, control_offered) },
    { "data_channels", offsetof(struct hvs_facts, data_channels) },
    { "control_problem", offsetof(struct hvs_facts, control_problem) },
    { "failure_code", offsetof(struct hvs_facts, failure_code) },
    { "server_encrypts", offsetof(struct hvs_facts, server_encrypts) },
};

_Static_assert(sizeof(enum hvs_answer) == sizeof(uint32_t), "answers are printed as numbers");
_Static_assert(sizeof(enum hvs_control_problem) == sizeof(uint32_t), "so are problems");

void
hvs_probe_print_own(const struct hvs_facts *facts, struct hvs_text *out)
{
    for (size_t i = 0; i < ARRAYSIZE(own_facts); i++) {
        uint32_t number;

        memcpy(&number, (const char *)facts + own_facts[i].offset, sizeof number);
        hvs_text_add(out, own_facts[i].name);
        hvs_text_add_char(out, '=');
        hvs_text_add_u64(out, number);
        hvs_text_add_char(out, '\n');
    }
}

static void
take_line(const char *line, size_t length, struct hvs_facts *facts)
{
    for (size_t i = 0; i < ARRAYSIZE(own_facts); i++) {
        size_t name = strlen(own_facts[i].name);
        uint32_t number = 0;

        if (length < name + 2 || memcmp(line, own_facts[i].name, name) != 0 || line[name] != '=')
            continue;
        for (size_t j = name + 1; j < length && line[j] >= '0' && line[j] <= '9'; j++)
            number = number * 10 + (uint32_t)(line[j] - '0');
        memcpy((char *)facts + own_facts[i].offset, &number, sizeof number);
    }
}

void
hvs_probe_parse_own(const char *answer, struct hvs_facts *facts)
{
    while (*answer != '\0') {
        size_t length = strcspn(answer, "\n");

        take_line(answer, length, facts);
        answer += length;
        answer += *answer == '\n';
    }
}

/* ---- all ---- */

void
hvs_probe(const struct hvs_probe_options *options, struct hvs_facts *facts)
{
    struct hvs_os_version os;
    struct hvs_settings settings;
    struct hvs_cpu cpu;

    memset(facts, 0, sizeof *facts);
    facts->os = HVS_OS_WINDOWS;
    facts->limited = HVS_NO;
    hvs_processor_read(&cpu);
    hvs_os_get_version(&os);
    if (options->os != NULL)
        os = *options->os;
    probe_machine(facts, options->cpu != NULL ? options->cpu : &cpu, &os);
    if (!options->from_service)
        probe_service(facts);
    probe_library(facts, !options->from_service && facts->service_running == HVS_NO);
    probe_settings(facts, &settings);
    hvs_probe_server(facts, &settings, &os, options->stop);
    /* The default is not what somebody has configured. */
    if (facts->config_error[0] != '\0')
        facts->configured_port = 0;
}
