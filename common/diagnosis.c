#include "diagnosis.h"

#include "x224.h"

#include <string.h>

#define WIDTH 80
/* Of the fixes, and of the commands in them. */
#define FIX_INDENT     2
#define COMMAND_INDENT 6

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const severities[] = {
    [HVS_SEVERITY_ERROR] = "error",
    [HVS_SEVERITY_WARNING] = "warning",
    [HVS_SEVERITY_ADVICE] = "advice",
    [HVS_SEVERITY_INFO] = "info",
};

/* ECMA-48 SGR: bold red, bold yellow, bold cyan, bold. */
static const char *const severity_colours[] = {
    [HVS_SEVERITY_ERROR] = "\033[1;31m",
    [HVS_SEVERITY_WARNING] = "\033[1;33m",
    [HVS_SEVERITY_ADVICE] = "\033[1;36m",
    [HVS_SEVERITY_INFO] = "\033[1m",
};
#define COLOUR_END "\033[0m"

static const char *const answers[] = {
    [HVS_UNKNOWN] = "unknown",
    [HVS_NO] = "no",
    [HVS_YES] = "yes",
};

const char *
hvs_severity_to_string(enum hvs_severity severity)
{
    return (size_t)severity < COUNT(severities) ? severities[severity] : "unknown";
}

const char *
hvs_answer_to_string(enum hvs_answer answer)
{
    return (size_t)answer < COUNT(answers) ? answers[answer] : "unknown";
}

const char *
hvs_place_to_string(enum hvs_place place)
{
    return place == HVS_PLACE_HOST ? "host" : "guest";
}

const char *
hvs_verdict_to_string(enum hvs_verdict verdict)
{
    switch (verdict) {
    case HVS_VERDICT_FINE:
        return "fine";
    case HVS_VERDICT_DEGRADED:
        return "degraded";
    case HVS_VERDICT_NOT_A_GUEST:
        return "not-a-guest";
    case HVS_VERDICT_NOT_OFFERED:
        return "not-offered";
    case HVS_VERDICT_SERVICE_DOWN:
        return "service-down";
    }
    return "unknown";
}

/* ---- judging ---- */

void
hvs_diagnose(const struct hvs_facts *facts, struct hvs_diagnosis *diagnosis)
{
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);
    uint64_t applying = 0;

    for (size_t i = 0; i < count; i++)
        if (table[i].applies != NULL && table[i].applies(facts))
            applying |= UINT64_C(1) << i;
    diagnosis->count = 0;
    for (size_t i = 0; i < count; i++)
        if ((applying >> i & 1) != 0 && (applying & table[i].hidden_by) == 0)
            diagnosis->findings[diagnosis->count++] = &table[i];
    diagnosis->verdict = diagnosis->count > 0 ? diagnosis->findings[0]->verdict : HVS_VERDICT_FINE;
}

const char *
hvs_diagnosis_summary(const struct hvs_facts *facts, const struct hvs_diagnosis *diagnosis)
{
    switch (diagnosis->verdict) {
    case HVS_VERDICT_FINE:
        break;
    case HVS_VERDICT_DEGRADED:
        return diagnosis->findings[0]->severity == HVS_SEVERITY_ERROR
                   ? "Enhanced Session does not work yet."
                   : "Enhanced Session works, but not in every case.";
    case HVS_VERDICT_NOT_A_GUEST:
        return "Enhanced Session is not for this machine.";
    case HVS_VERDICT_NOT_OFFERED:
        return "The host does not offer Enhanced Session.";
    case HVS_VERDICT_SERVICE_DOWN:
        return "Enhanced Session does not work while its service is down.";
    }
    /* Only what was seen is promised. */
    if (facts->service_running == HVS_YES && facts->server_listening == HVS_YES &&
        (facts->control_offered == HVS_YES || facts->hvsocket_listening == HVS_YES))
        return "All is in place for Enhanced Session.";
    return "No problem found.";
}

/* ---- templates ---- */

/* The machine's name as a PowerShell string: in single quotes nothing is special but the quotes
 * themselves, which are doubled; U+2018 to U+201B count as such, too. */
static void
add_vm_name(const struct hvs_facts *facts, struct hvs_text *out)
{
    static const char typographic[] = "\xe2\x80"; /* and 98 … 9B */
    char visible[HVS_FACT_NAME_MAX];
    struct hvs_text text;
    const char *name = facts->vm_name;

    hvs_text_init(&text, visible, sizeof visible);
    hvs_text_add_visible(&text, name);
    if (name[0] == '\0' || strcmp(visible, name) != 0) {
        hvs_text_add(out, "'<VM name>'");
        return;
    }
    hvs_text_add_char(out, '\'');
    for (const char *c = name; *c != '\0';) {
        bool quote = strncmp(c, typographic, 2) == 0 && (unsigned char)c[2] >= 0x98 &&
                     (unsigned char)c[2] <= 0x9b;
        size_t length = quote ? 3 : 1;

        if (quote || *c == '\'')
            hvs_text_add_bytes(out, c, length);
        hvs_text_add_bytes(out, c, length);
        c += length;
    }
    hvs_text_add_char(out, '\'');
}

/* For a command: a name that a shell takes as it is, or none. */
static void
add_word(const char *word, struct hvs_text *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

    hvs_text_add(out, word[0] != '\0' && word[strspn(word, plain)] == '\0' ? word : "?");
}

static void
add_or(const char *string, const char *otherwise, struct hvs_text *out)
{
    hvs_text_add_visible(out, string[0] != '\0' ? string : otherwise);
}

static void
add_hypervisor(const struct hvs_facts *facts, struct hvs_text *out)
{
    if (facts->hypervisor == HVS_HYPERVISOR_NONE) {
        hvs_text_add(out, "it is a physical machine");
        return;
    }
    hvs_text_add(out, "it runs on ");
    add_or(facts->hypervisor_name, "another hypervisor", out);
}

static void
add_holder(const struct hvs_facts *facts, struct hvs_text *out)
{
    if (facts->holder_pid == 0)
        return;
    hvs_text_add(out, ": ");
    add_or(facts->holder_name, "unknown", out);
    hvs_text_add(out, ", process ");
    hvs_text_add_u64(out, facts->holder_pid);
}

static void
add_crypt_level(const struct hvs_facts *facts, struct hvs_text *out)
{
    if (facts->xrdp_ini_used != HVS_YES || facts->xrdp_crypt_level[0] == '\0' ||
        strcmp(facts->xrdp_crypt_level, "none") == 0)
        return;
    hvs_text_add(out, " (xrdp's crypt_level=");
    hvs_text_add_visible(out, facts->xrdp_crypt_level);
    hvs_text_add_char(out, ')');
}

enum placeholder {
    CONFIG_ERROR,
    CONFIGURED_PORT,
    CONTAINER,
    CRYPT_LEVEL,
    FAILURE,
    HOLDER,
    HOLDER_PID,
    HYPERVISOR,
    KERNEL,
    NODE,
    PROBLEM,
    RDP_PORT,
    SECURITY_LAYER,
    SERVER,
    SESSION,
    USER,
    VM,
    XORG_ABI,
    XORGXRDP_ABI,
    XRDP_PORT,
    PLACEHOLDERS
};

static const char *const placeholders[] = {
    [CONFIG_ERROR] = "config_error",
    [CONFIGURED_PORT] = "configured_port",
    [CONTAINER] = "container",
    [CRYPT_LEVEL] = "crypt_level",
    [FAILURE] = "failure",
    [HOLDER] = "holder",
    [HOLDER_PID] = "holder_pid",
    [HYPERVISOR] = "hypervisor",
    [KERNEL] = "kernel",
    [NODE] = "node",
    [PROBLEM] = "problem",
    [RDP_PORT] = "rdp_port",
    [SECURITY_LAYER] = "security_layer",
    [SERVER] = "server",
    [SESSION] = "session",
    [USER] = "user",
    [VM] = "vm",
    [XORG_ABI] = "xorg_abi",
    [XORGXRDP_ABI] = "xorgxrdp_abi",
    [XRDP_PORT] = "xrdp_port",
};

static void
add_fact(const struct hvs_facts *facts, enum placeholder which, struct hvs_text *out)
{
    switch (which) {
    case CONFIG_ERROR:
        hvs_text_add_visible(out, facts->config_error);
        break;
    case CONFIGURED_PORT:
        hvs_text_add_u64(out, facts->configured_port);
        break;
    case CONTAINER:
        add_or(facts->container_name, "of an unknown kind", out);
        break;
    case CRYPT_LEVEL:
        add_crypt_level(facts, out);
        break;
    case FAILURE:
        hvs_text_add(out, hvs_negotiation_failure_to_string(facts->failure_code));
        break;
    case HOLDER:
        add_holder(facts, out);
        break;
    case HOLDER_PID:
        hvs_text_add_u64(out, facts->holder_pid);
        break;
    case HYPERVISOR:
        add_hypervisor(facts, out);
        break;
    case KERNEL:
        add_or(facts->kernel, "that runs", out);
        break;
    case NODE:
        add_word(facts->node, out);
        break;
    case PROBLEM:
        hvs_text_add(out, hvs_control_problem_to_string(facts->control_problem));
        break;
    case RDP_PORT:
        hvs_text_add_u64(out, facts->rdp_port);
        break;
    case SECURITY_LAYER:
        hvs_text_add_visible(out, facts->xrdp_security_layer);
        break;
    case SERVER:
        add_or(facts->server, "tcp:127.0.0.1:3389", out);
        break;
    case SESSION:
        add_word(facts->console_session, out);
        break;
    case USER:
        add_or(facts->console_user, "Somebody", out);
        break;
    case VM:
        add_vm_name(facts, out);
        break;
    case XORG_ABI:
        hvs_text_add_u64(out, facts->xorg_abi);
        break;
    case XORGXRDP_ABI:
        hvs_text_add_u64(out, facts->xorgxrdp_abi);
        break;
    case XRDP_PORT:
        hvs_text_add_visible(out, facts->xrdp_port);
        break;
    case PLACEHOLDERS:
        break;
    }
}

/* The placeholder that begins here, PLACEHOLDERS if none does; braces of a command are its own. */
static enum placeholder
find_placeholder(const char *brace, size_t *length)
{
    for (unsigned i = 0; i < PLACEHOLDERS; i++) {
        *length = strlen(placeholders[i]) + 2;
        if (strncmp(brace + 1, placeholders[i], *length - 2) == 0 && brace[*length - 1] == '}')
            return (enum placeholder)i;
    }
    *length = 1;
    return PLACEHOLDERS;
}

void
hvs_finding_print(const struct hvs_facts *facts, const char *template, struct hvs_text *out)
{
    while (*template != '\0') {
        size_t length = strcspn(template, "{");

        hvs_text_add_bytes(out, template, length);
        template += length;
        if (*template == '{') {
            enum placeholder which = find_placeholder(template, &length);

            if (which == PLACEHOLDERS)
                hvs_text_add_char(out, '{');
            else
                add_fact(facts, which, out);
            template += length;
        }
    }
}

/* ---- text ---- */

const struct hvs_fix *
hvs_finding_next_fix(const struct hvs_facts *facts, const struct hvs_finding *finding,
                     const struct hvs_fix *previous)
{
    const struct hvs_fix *fix = previous != NULL ? previous + 1 : finding->fix;

    for (; fix->note != NULL || fix->command != NULL; fix++)
        if (fix->when == NULL || fix->when(facts))
            return fix;
    return NULL;
}

static void
print_phrase(const struct hvs_facts *facts, const char *template, size_t indent,
             struct hvs_text *out)
{
    char buffer[HVS_FINDING_TEXT_MAX];
    struct hvs_text phrase;

    hvs_text_init(&phrase, buffer, sizeof buffer);
    hvs_finding_print(facts, template, &phrase);
    hvs_text_pad_to(out, indent);
    hvs_text_add_wrapped(out, buffer, indent, WIDTH);
    hvs_text_add_char(out, '\n');
}

static void
print_command(const struct hvs_facts *facts, const char *template, struct hvs_text *out)
{
    char buffer[HVS_FINDING_TEXT_MAX];
    struct hvs_text command;
    const char *line = buffer;

    hvs_text_init(&command, buffer, sizeof buffer);
    hvs_finding_print(facts, template, &command);
    for (;;) {
        size_t length = strcspn(line, "\n");

        hvs_text_pad_to(out, COMMAND_INDENT);
        hvs_text_add_bytes(out, line, length);
        hvs_text_add_char(out, '\n');
        if (line[length] == '\0')
            return;
        line += length + 1;
    }
}

static const char *
place_heading(const struct hvs_facts *facts, enum hvs_place place)
{
    if (place == HVS_PLACE_HOST)
        return "On the Hyper-V host, in PowerShell as administrator:\n";
    return facts->os == HVS_OS_WINDOWS
               ? "In this virtual machine, in a Command Prompt as administrator:\n"
               : "In this virtual machine:\n";
}

static void
print_fix(const struct hvs_facts *facts, const struct hvs_finding *finding, struct hvs_text *out)
{
    bool typed[2] = { false, false };
    const struct hvs_fix *before = NULL, *fix = NULL;

    /* Where there is nothing to type, nothing has to be said on where to type it. */
    while ((fix = hvs_finding_next_fix(facts, finding, fix)) != NULL)
        if (fix->command != NULL)
            typed[fix->where] = true;
    while ((fix = hvs_finding_next_fix(facts, finding, before)) != NULL) {
        if (typed[fix->where] && (before == NULL || before->where != fix->where)) {
            hvs_text_pad_to(out, FIX_INDENT);
            hvs_text_add(out, place_heading(facts, fix->where));
        }
        if (fix->note != NULL)
            print_phrase(facts, fix->note, typed[fix->where] ? FIX_INDENT + 2 : FIX_INDENT, out);
        if (fix->command != NULL)
            print_command(facts, fix->command, out);
        before = fix;
    }
}

/* "error HVS-203: the sentence", its lines indented. The colour comes last: it takes no room. */
static void
print_headline(const struct hvs_facts *facts, const struct hvs_finding *finding, bool colour,
               struct hvs_text *out)
{
    const char *severity = hvs_severity_to_string(finding->severity);
    char sentence[HVS_FINDING_TEXT_MAX];
    char lines[HVS_FINDING_TEXT_MAX + HVS_FINDING_TEXT_MAX / WIDTH * FIX_INDENT];
    struct hvs_text text;

    hvs_text_init(&text, sentence, sizeof sentence);
    hvs_text_add(&text, severity);
    hvs_text_add_char(&text, ' ');
    hvs_text_add(&text, finding->code);
    hvs_text_add(&text, ": ");
    hvs_finding_print(facts, finding->sentence, &text);
    hvs_text_init(&text, lines, sizeof lines);
    hvs_text_add_wrapped(&text, sentence, FIX_INDENT, WIDTH);
    hvs_text_add(out, colour ? severity_colours[finding->severity] : "");
    hvs_text_add(out, severity);
    hvs_text_add(out, colour ? COLOUR_END : "");
    hvs_text_add(out, lines + strlen(severity));
    hvs_text_add_char(out, '\n');
}

static void
add_count(struct hvs_text *out, unsigned count, const char *one, const char *many)
{
    hvs_text_add_u64(out, count);
    hvs_text_add_char(out, ' ');
    hvs_text_add(out, count == 1 ? one : many);
}

/* "2 errors, 1 warning"; nothing if there is none of them. */
static void
print_counts(const struct hvs_diagnosis *diagnosis, struct hvs_text *out)
{
    static const char *const many[] = { "errors", "warnings", "hints", "remarks" };
    static const char *const one[] = { "error", "warning", "hint", "remark" };
    const char *before = " ";

    for (unsigned severity = 0; severity < COUNT(severities); severity++) {
        unsigned count = 0;

        for (unsigned i = 0; i < diagnosis->count; i++)
            count += (unsigned)diagnosis->findings[i]->severity == severity;
        if (count == 0)
            continue;
        hvs_text_add(out, before);
        add_count(out, count, one[severity], many[severity]);
        before = ", ";
    }
    hvs_text_add(out, diagnosis->count > 0 ? ".\n" : "\n");
}

/* "Debian GNU/Linux 12, kernel 6.1.0; virtual machine Build 7 on HOST" */
static void
print_machine(const struct hvs_facts *facts, struct hvs_text *out)
{
    char buffer[HVS_FINDING_TEXT_MAX];
    struct hvs_text text;

    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_text_add_visible(&text, facts->os_name);
    if (facts->kernel[0] != '\0') {
        hvs_text_add(&text, text.length > 0 ? ", kernel " : "Kernel ");
        hvs_text_add_visible(&text, facts->kernel);
    }
    if (facts->vm_name[0] != '\0') {
        hvs_text_add(&text, text.length > 0 ? "; virtual machine " : "Virtual machine ");
        hvs_text_add_visible(&text, facts->vm_name);
        if (facts->host_name[0] != '\0') {
            hvs_text_add(&text, " on ");
            hvs_text_add_visible(&text, facts->host_name);
        }
    }
    if (text.length == 0)
        return;
    hvs_text_add_wrapped(out, buffer, 0, WIDTH);
    hvs_text_add_char(out, '\n');
}

void
hvs_diagnosis_print_text(const struct hvs_facts *facts, const struct hvs_diagnosis *diagnosis,
                         struct hvs_diagnosis_style style, struct hvs_text *out)
{
    hvs_text_add(out, hvs_diagnosis_summary(facts, diagnosis));
    print_counts(diagnosis, out);
    print_machine(facts, out);
    for (unsigned i = 0; i < diagnosis->count; i++) {
        const struct hvs_finding *finding = diagnosis->findings[i];

        hvs_text_add_char(out, '\n');
        print_headline(facts, finding, style.colour, out);
        if (i == 0 || style.verbose)
            print_phrase(facts, finding->why, FIX_INDENT, out);
        print_fix(facts, finding, out);
    }
    if (diagnosis->count > 0 && facts->os == HVS_OS_LINUX)
        hvs_text_add(out, "\nMore on each: man 7 hvsession, under its number.\n");
}

/* ---- JSON ---- */

enum fact_type { ANSWER, STRING, NUMBER, OS, HYPERVISOR_KIND, DISTRIBUTION, CONTROL_PROBLEM };

static const char *const oses[] = { [HVS_OS_LINUX] = "linux", [HVS_OS_WINDOWS] = "windows" };
static const char *const hypervisors[] = {
    [HVS_HYPERVISOR_UNKNOWN] = "unknown",
    [HVS_HYPERVISOR_NONE] = "none",
    [HVS_HYPERVISOR_HYPER_V] = "hyper-v",
    [HVS_HYPERVISOR_OTHER] = "other",
};
static const char *const distributions[] = {
    [HVS_DISTRIBUTION_OTHER] = "other",   [HVS_DISTRIBUTION_DEBIAN] = "debian",
    [HVS_DISTRIBUTION_UBUNTU] = "ubuntu", [HVS_DISTRIBUTION_FEDORA] = "fedora",
    [HVS_DISTRIBUTION_SUSE] = "suse",     [HVS_DISTRIBUTION_ARCH] = "arch",
    [HVS_DISTRIBUTION_ALPINE] = "alpine",
};

#define FACT(type, field)                                                                          \
    {                                                                                              \
        type, #field, offsetof(struct hvs_facts, field)                                            \
    }

/* Every field of struct hvs_facts, in its order. */
static const struct {
    enum fact_type type;
    const char *name;
    size_t offset;
} fact_fields[] = {
    FACT(OS, os),
    FACT(HYPERVISOR_KIND, hypervisor),
    FACT(STRING, hypervisor_name),
    FACT(ANSWER, wsl),
    FACT(ANSWER, azure),
    FACT(ANSWER, container),
    FACT(STRING, container_name),
    FACT(ANSWER, confidential),
    FACT(STRING, vm_name),
    FACT(STRING, host_name),
    FACT(STRING, host_build),
    FACT(STRING, os_name),
    FACT(STRING, kernel),
    FACT(DISTRIBUTION, distribution),
    FACT(STRING, distribution_version),
    FACT(ANSWER, kernel_modules),
    FACT(ANSWER, vmbus),
    FACT(ANSWER, control_offered),
    FACT(NUMBER, data_channels),
    FACT(ANSWER, channels_monitored),
    FACT(ANSWER, uio_available),
    FACT(ANSWER, uio_loaded),
    FACT(ANSWER, kernel_recent),
    FACT(ANSWER, kernel_refuses),
    FACT(ANSWER, out_of_memory),
    FACT(ANSWER, control_bound),
    FACT(STRING, node),
    FACT(ANSWER, node_accessible),
    FACT(ANSWER, channel_held),
    FACT(STRING, holder_name),
    FACT(NUMBER, holder_pid),
    FACT(ANSWER, service_running),
    FACT(STRING, config_error),
    FACT(CONTROL_PROBLEM, control_problem),
    FACT(ANSWER, hvsocket_listening),
    FACT(ANSWER, hvsocket_used),
    FACT(ANSWER, hvsocket_taken),
    FACT(STRING, server),
    FACT(ANSWER, server_listening),
    FACT(NUMBER, failure_code),
    FACT(ANSWER, server_encrypts),
    FACT(ANSWER, server_untrusted),
    FACT(ANSWER, relay_speaks_tls),
    FACT(ANSWER, reply_mirrored),
    FACT(ANSWER, own_xrdp_tried),
    FACT(ANSWER, xrdp_installed),
    FACT(ANSWER, xrdp_is_server),
    FACT(ANSWER, xrdp_ini_used),
    FACT(STRING, xrdp_port),
    FACT(STRING, xrdp_security_layer),
    FACT(STRING, xrdp_crypt_level),
    FACT(ANSWER, xrdp_vsock_wrong),
    FACT(ANSWER, xrdp_vsock),
    FACT(ANSWER, xorgxrdp_installed),
    FACT(ANSWER, xvnc_installed),
    FACT(ANSWER, xorgxrdp_matches),
    FACT(NUMBER, xorgxrdp_abi),
    FACT(NUMBER, xorg_abi),
    FACT(ANSWER, console_login),
    FACT(STRING, console_user),
    FACT(STRING, console_session),
    FACT(ANSWER, x_sessions),
    FACT(ANSWER, wayland_sessions),
    FACT(ANSWER, sound_module),
    FACT(ANSWER, colord_prompts),
    FACT(NUMBER, windows_version),
    FACT(ANSWER, vmbuspipe),
    FACT(ANSWER, vmbuspipe_64),
    FACT(ANSWER, home_edition),
    FACT(ANSWER, remote_desktop),
    FACT(ANSWER, termservice_running),
    FACT(ANSWER, nla_required),
    FACT(NUMBER, rdp_port),
    FACT(NUMBER, configured_port),
    FACT(ANSWER, firewall_blocks),
    FACT(ANSWER, blank_password),
    FACT(ANSWER, builtin_active),
    FACT(ANSWER, limited),
};

/* A word of the table, null for what is not in it. */
static void
add_json_word(struct hvs_text *out, const char *const *words, size_t count, size_t value)
{
    hvs_text_add_json_string(out, value < count ? words[value] : NULL);
}

static void
print_json_fact(const struct hvs_facts *facts, enum fact_type type, size_t offset,
                struct hvs_text *out)
{
    const void *field = (const char *)facts + offset;

    switch (type) {
    case ANSWER:
        hvs_text_add_json_string(out, hvs_answer_to_string(*(const enum hvs_answer *)field));
        break;
    case STRING:
        hvs_text_add_json_string(out, *(const char *)field != '\0' ? field : NULL);
        break;
    case NUMBER:
        hvs_text_add_u64(out, *(const uint32_t *)field);
        break;
    case OS:
        add_json_word(out, oses, COUNT(oses), facts->os);
        break;
    case HYPERVISOR_KIND:
        add_json_word(out, hypervisors, COUNT(hypervisors), facts->hypervisor);
        break;
    case DISTRIBUTION:
        add_json_word(out, distributions, COUNT(distributions), facts->distribution);
        break;
    case CONTROL_PROBLEM:
        hvs_text_add_json_string(out, hvs_control_problem_to_word(facts->control_problem));
        break;
    }
}

static void
begin_json_key(struct hvs_text *out, unsigned level, const char *key)
{
    hvs_text_pad_to(out, level * 2);
    hvs_text_add_json_string(out, key);
    hvs_text_add(out, ": ");
}

static void
print_json_string(struct hvs_text *out, unsigned level, const char *key, const char *value)
{
    begin_json_key(out, level, key);
    hvs_text_add_json_string(out, value);
    hvs_text_add(out, ",\n");
}

/* A template, or null. */
static void
add_json_template(const struct hvs_facts *facts, const char *template, struct hvs_text *out)
{
    char buffer[HVS_FINDING_TEXT_MAX];
    struct hvs_text text;

    if (template == NULL) {
        hvs_text_add(out, "null");
        return;
    }
    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_finding_print(facts, template, &text);
    hvs_text_add_json_string(out, buffer);
}

static void
print_json_template(const struct hvs_facts *facts, unsigned level, const char *key,
                    const char *template, struct hvs_text *out)
{
    begin_json_key(out, level, key);
    add_json_template(facts, template, out);
    hvs_text_add(out, ",\n");
}

static void
print_json_fix(const struct hvs_facts *facts, const struct hvs_finding *finding,
               struct hvs_text *out)
{
    const char *before = "\n";
    const struct hvs_fix *fix = NULL;

    begin_json_key(out, 3, "fix");
    hvs_text_add_char(out, '[');
    while ((fix = hvs_finding_next_fix(facts, finding, fix)) != NULL) {
        hvs_text_add(out, before);
        hvs_text_pad_to(out, 8);
        hvs_text_add(out, "{ \"where\": ");
        hvs_text_add_json_string(out, hvs_place_to_string(fix->where));
        hvs_text_add(out, ",\n");
        hvs_text_pad_to(out, 10);
        hvs_text_add(out, "\"note\": ");
        add_json_template(facts, fix->note, out);
        hvs_text_add(out, ",\n");
        hvs_text_pad_to(out, 10);
        hvs_text_add(out, "\"command\": ");
        add_json_template(facts, fix->command, out);
        hvs_text_add(out, " }");
        before = ",\n";
    }
    hvs_text_add(out, "\n");
    hvs_text_pad_to(out, 6);
    hvs_text_add(out, "],\n");
}

static void
print_json_finding(const struct hvs_facts *facts, const struct hvs_finding *finding,
                   struct hvs_text *out)
{
    hvs_text_add(out, "    {\n");
    print_json_string(out, 3, "code", finding->code);
    print_json_string(out, 3, "name", finding->name);
    print_json_string(out, 3, "severity", hvs_severity_to_string(finding->severity));
    print_json_template(facts, 3, "sentence", finding->sentence, out);
    print_json_template(facts, 3, "why", finding->why, out);
    print_json_fix(facts, finding, out);
    begin_json_key(out, 3, "manual");
    hvs_text_add(out, "\"man:hvsession(7)#");
    hvs_text_add(out, finding->name);
    hvs_text_add(out, "\"\n    }");
}

void
hvs_diagnosis_print_json(const struct hvs_facts *facts, const struct hvs_diagnosis *diagnosis,
                         const char *version, struct hvs_text *out)
{
    hvs_text_add(out, "{\n  \"schema\": 1,\n");
    print_json_string(out, 1, "version", version);
    print_json_string(out, 1, "verdict", hvs_verdict_to_string(diagnosis->verdict));
    begin_json_key(out, 1, "exit_status");
    hvs_text_add_u64(out, diagnosis->verdict);
    hvs_text_add(out, ",\n");
    print_json_string(out, 1, "summary", hvs_diagnosis_summary(facts, diagnosis));
    begin_json_key(out, 1, "findings");
    hvs_text_add_char(out, '[');
    for (unsigned i = 0; i < diagnosis->count; i++) {
        hvs_text_add(out, i == 0 ? "\n" : ",\n");
        print_json_finding(facts, diagnosis->findings[i], out);
    }
    hvs_text_add(out, diagnosis->count > 0 ? "\n  ],\n" : "],\n");
    begin_json_key(out, 1, "facts");
    hvs_text_add_char(out, '{');
    for (size_t i = 0; i < COUNT(fact_fields); i++) {
        hvs_text_add(out, i == 0 ? "\n" : ",\n");
        begin_json_key(out, 2, fact_fields[i].name);
        print_json_fact(facts, fact_fields[i].type, fact_fields[i].offset, out);
    }
    hvs_text_add(out, "\n  }\n}\n");
}
