/* common/diagnosis: every finding can be reached, the right one comes first, what it explains stays
 * out, and both printed forms, compared byte for byte with data/doctor-NAME.txt and .json.
 *
 * HVS_UPDATE_GOLDEN=1 writes the files instead; read the difference before keeping it. */
#include "common/diagnosis.h"

#include <glib.h>
#include <json-glib/json-glib.h>
#include <string.h>

/* ---- facts ---- */

#define SET(field, string) g_strlcpy(field, string, sizeof(field))

/* A Linux guest where all is well, and all is known. */
static void
make_linux(struct hvs_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    facts->os = HVS_OS_LINUX;
    facts->hypervisor = HVS_HYPERVISOR_HYPER_V;
    facts->wsl = facts->azure = facts->container = facts->confidential = HVS_NO;
    SET(facts->vm_name, "Build 7");
    SET(facts->host_name, "HV01");
    SET(facts->host_build, "10.0.26100.1");
    SET(facts->os_name, "Debian GNU/Linux 12 (bookworm)");
    SET(facts->kernel, "6.12.43+deb12-amd64");
    facts->distribution = HVS_DISTRIBUTION_DEBIAN;
    SET(facts->distribution_version, "12");
    facts->kernel_modules = facts->vmbus = facts->control_offered = HVS_YES;
    facts->channels_monitored = HVS_NO;
    facts->uio_available = facts->uio_loaded = facts->kernel_recent = HVS_YES;
    facts->kernel_refuses = facts->out_of_memory = HVS_NO;
    facts->control_bound = facts->node_accessible = HVS_YES;
    SET(facts->node, "uio0");
    facts->channel_held = HVS_NO;
    facts->service_running = HVS_YES;
    facts->hvsocket_listening = HVS_NO;
    SET(facts->server, "tcp:127.0.0.1:3389");
    facts->server_listening = HVS_YES;
    facts->server_encrypts = facts->server_untrusted = facts->relay_speaks_tls = HVS_NO;
    facts->reply_mirrored = facts->own_xrdp_tried = HVS_YES;
    facts->xrdp_installed = facts->xrdp_is_server = facts->xrdp_ini_used = HVS_YES;
    SET(facts->xrdp_port, "3389");
    SET(facts->xrdp_security_layer, "rdp");
    SET(facts->xrdp_crypt_level, "none");
    facts->xrdp_vsock_wrong = facts->xrdp_vsock = HVS_NO;
    facts->xorgxrdp_installed = facts->xorgxrdp_matches = HVS_YES;
    facts->xvnc_installed = HVS_NO;
    facts->xorgxrdp_abi = facts->xorg_abi = 25;
    facts->console_login = HVS_NO;
    facts->x_sessions = facts->wayland_sessions = facts->sound_module = HVS_YES;
    facts->colord_prompts = facts->limited = HVS_NO;
}

static void
make_windows(struct hvs_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    facts->os = HVS_OS_WINDOWS;
    facts->hypervisor = HVS_HYPERVISOR_HYPER_V;
    SET(facts->vm_name, "Build 7");
    SET(facts->host_name, "HV01");
    SET(facts->os_name, "Windows XP Professional SP3");
    facts->windows_version = 501;
    facts->vmbuspipe = facts->vmbus = facts->control_offered = HVS_YES;
    facts->vmbuspipe_64 = HVS_NO;
    facts->service_running = facts->server_listening = HVS_YES;
    facts->remote_desktop = facts->termservice_running = HVS_YES;
    facts->home_edition = facts->nla_required = facts->firewall_blocks = HVS_NO;
    facts->blank_password = facts->builtin_active = facts->reply_mirrored = HVS_NO;
    SET(facts->server, "tcp:127.0.0.1:3389");
    facts->rdp_port = facts->configured_port = 3389;
}

/* ---- one case for each way to a finding ---- */

struct finding_case {
    const char *code;
    const char *name; /* of the case */
    void (*make)(struct hvs_facts *facts);
    void (*spoil)(struct hvs_facts *facts);
};

#define SPOIL(name, ...)                                                                           \
    static void name(struct hvs_facts *f)                                                          \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

SPOIL(wsl, f->wsl = HVS_YES; f->vmbus = HVS_NO)
SPOIL(kvm, f->hypervisor = HVS_HYPERVISOR_OTHER; SET(f->hypervisor_name, "KVM"); f->vmbus = HVS_NO)
SPOIL(metal, f->hypervisor = HVS_HYPERVISOR_NONE; f->vmbus = HVS_NO)
SPOIL(container, f->container = HVS_YES; SET(f->container_name, "docker"))
SPOIL(azure, f->azure = HVS_YES; f->control_offered = HVS_NO)
SPOIL(confidential, f->confidential = HVS_YES; f->control_offered = HVS_NO)
SPOIL(no_vmbus, f->vmbus = HVS_NO; f->control_offered = HVS_NO)
SPOIL(not_offered, f->control_offered = HVS_NO; f->control_bound = HVS_NO)
SPOIL(old, f->kernel_recent = HVS_NO; f->control_bound = HVS_NO; SET(f->kernel, "6.1.0-28-amd64"))
SPOIL(old_ubuntu, old(f); f->distribution = HVS_DISTRIBUTION_UBUNTU;
      SET(f->distribution_version, "24.04"); SET(f->os_name, "Ubuntu 24.04.1 LTS");
      SET(f->kernel, "6.8.0-45-generic"))
SPOIL(old_other, old(f); f->distribution = HVS_DISTRIBUTION_OTHER)
SPOIL(refuses, f->kernel_refuses = HVS_YES; f->control_bound = HVS_NO; f->kernel_recent = HVS_NO;
      SET(f->kernel, "6.9.12"))
SPOIL(no_uio, f->uio_available = f->uio_loaded = f->control_bound = HVS_NO)
SPOIL(no_uio_ubuntu, no_uio(f); f->distribution = HVS_DISTRIBUTION_UBUNTU)
SPOIL(no_uio_fedora, no_uio(f); f->distribution = HVS_DISTRIBUTION_FEDORA)
SPOIL(no_memory, f->out_of_memory = HVS_YES; f->control_bound = HVS_NO)
SPOIL(modules_gone,
      f->kernel_modules = f->uio_available = f->uio_loaded = f->control_bound = HVS_NO)
SPOIL(not_bound, f->control_bound = HVS_NO)
SPOIL(not_loaded, f->control_bound = f->uio_loaded = HVS_NO)
SPOIL(held, f->channel_held = HVS_YES; SET(f->holder_name, "python3"); f->holder_pid = 4711)
SPOIL(held_by_unknown, f->channel_held = HVS_YES)
SPOIL(denied, f->node_accessible = HVS_NO)
SPOIL(configuration, f->service_running = HVS_NO;
      SET(f->config_error, "/etc/hvsession/hvsession.conf:7: Sever: no such setting; did you mean "
                           "Server?"))
SPOIL(service_down, f->service_running = HVS_NO)
SPOIL(version_refused, f->control_problem = HVS_CONTROL_REFUSED)
SPOIL(no_answer, f->control_problem = HVS_CONTROL_NO_ANSWER)
SPOIL(host_error, f->control_problem = HVS_CONTROL_HOST_ERROR)
SPOIL(bad_message, f->control_problem = HVS_CONTROL_BAD_MESSAGE)
SPOIL(hvsocket_only, f->control_offered = f->control_bound = HVS_NO;
      f->hvsocket_listening = HVS_YES)
SPOIL(hvsocket_used, hvsocket_only(f); f->hvsocket_used = HVS_YES)
SPOIL(hvsocket_unused, hvsocket_only(f); f->hvsocket_used = HVS_NO)
SPOIL(hvsocket_port, f->hvsocket_taken = f->hvsocket_listening = HVS_YES)
SPOIL(no_server, f->server_listening = HVS_NO)
SPOIL(no_named_server, no_server(f); f->own_xrdp_tried = HVS_NO)
SPOIL(no_xrdp,
      f->server_listening = f->xrdp_installed = f->xrdp_is_server = f->xrdp_ini_used = HVS_NO)
SPOIL(vsock_syntax, f->xrdp_vsock_wrong = HVS_YES; f->server_listening = HVS_NO)
SPOIL(tls_only, f->failure_code = 1; f->xrdp_is_server = f->xrdp_ini_used = HVS_NO)
SPOIL(nla_only, f->failure_code = 5; f->xrdp_is_server = f->xrdp_ini_used = HVS_NO)
SPOIL(no_tls, f->failure_code = 2; f->xrdp_is_server = f->xrdp_ini_used = HVS_NO)
SPOIL(odd_failure, f->failure_code = 77)
SPOIL(security_layer, SET(f->xrdp_security_layer, "tls"); f->failure_code = 1)
SPOIL(crypt_level, SET(f->xrdp_crypt_level, "high"))
SPOIL(untrusted, f->server_untrusted = HVS_YES; SET(f->server, "tcp:rdp.example:3389");
      f->own_xrdp_tried = f->xrdp_is_server = f->xrdp_ini_used = HVS_NO)
SPOIL(encrypts, f->server_encrypts = HVS_YES; f->xrdp_is_server = f->xrdp_ini_used = HVS_NO)
SPOIL(hvsocket_taken, f->xrdp_vsock = f->hvsocket_listening = HVS_YES;
      SET(f->xrdp_port, "3389 vsock://-1:3389"))
SPOIL(no_xorgxrdp, f->xorgxrdp_installed = HVS_NO; f->xorgxrdp_matches = HVS_UNKNOWN)
SPOIL(abi, f->xorgxrdp_matches = HVS_NO; f->xorg_abi = 28)
SPOIL(console, f->console_login = HVS_YES; SET(f->console_user, "alice");
      SET(f->console_session, "c2"))
SPOIL(wayland, f->x_sessions = HVS_NO)
SPOIL(no_sound, f->sound_module = HVS_NO)
SPOIL(colord, f->colord_prompts = HVS_YES)
SPOIL(limited, f->limited = HVS_YES)

SPOIL(no_vmbuspipe, f->vmbuspipe = f->control_offered = f->service_running = HVS_NO)
SPOIL(program_32_bit, no_vmbuspipe(f); f->vmbuspipe_64 = HVS_YES; f->windows_version = 601;
      SET(f->os_name, "Windows 7 (6.1.7601, Service Pack 1)"))
SPOIL(home, f->home_edition = HVS_YES; f->remote_desktop = HVS_NO; f->server_listening = HVS_NO)
SPOIL(rdp_off, f->remote_desktop = HVS_NO; f->server_listening = HVS_NO)
SPOIL(termservice, f->termservice_running = HVS_NO; f->server_listening = HVS_NO)
SPOIL(nla, f->nla_required = HVS_YES; f->failure_code = 5)
SPOIL(port, f->rdp_port = 3390; f->server_listening = HVS_NO)
SPOIL(firewall, f->firewall_blocks = HVS_YES; f->server_listening = HVS_NO)
SPOIL(firewall_7, firewall(f); f->windows_version = 601)
SPOIL(blank, f->blank_password = HVS_YES)
SPOIL(builtin, f->builtin_active = HVS_YES; f->windows_version = 603)

static const struct finding_case cases[] = {
    { "HVS-101", "wsl", make_linux, wsl },
    { "HVS-102", "kvm", make_linux, kvm },
    { "HVS-102", "physical", make_linux, metal },
    { "HVS-103", "container", make_linux, container },
    { "HVS-104", "azure", make_linux, azure },
    { "HVS-105", "confidential", make_linux, confidential },
    { "HVS-201", "no-vmbus", make_linux, no_vmbus },
    { "HVS-202", "not-offered", make_linux, not_offered },
    { "HVS-202", "not-offered-windows", make_windows, not_offered },
    { "HVS-203", "old-debian", make_linux, old },
    { "HVS-203", "old-ubuntu", make_linux, old_ubuntu },
    { "HVS-203", "old-other", make_linux, old_other },
    { "HVS-203", "refuses", make_linux, refuses },
    { "HVS-204", "no-uio", make_linux, no_uio },
    { "HVS-204", "no-uio-ubuntu", make_linux, no_uio_ubuntu },
    { "HVS-204", "no-uio-fedora", make_linux, no_uio_fedora },
    { "HVS-205", "memory", make_linux, no_memory },
    { "HVS-206", "modules-gone", make_linux, modules_gone },
    { "HVS-207", "not-bound", make_linux, not_bound },
    { "HVS-207", "not-loaded", make_linux, not_loaded },
    { "HVS-208", "held", make_linux, held },
    { "HVS-208", "held-by-unknown", make_linux, held_by_unknown },
    { "HVS-209", "denied", make_linux, denied },
    { "HVS-210", "service-down", make_linux, service_down },
    { "HVS-210", "service-down-windows", make_windows, service_down },
    { "HVS-214", "configuration", make_linux, configuration },
    { "HVS-211", "version-refused", make_linux, version_refused },
    { "HVS-212", "no-answer", make_linux, no_answer },
    { "HVS-212", "host-error", make_linux, host_error },
    { "HVS-212", "bad-message", make_linux, bad_message },
    { "HVS-213", "hvsocket-only", make_linux, hvsocket_only },
    { "HVS-213", "hvsocket-used", make_linux, hvsocket_used },
    { "HVS-202", "hvsocket-unused", make_linux, hvsocket_unused },
    { "HVS-301", "no-server", make_linux, no_server },
    { "HVS-301", "no-named-server", make_linux, no_named_server },
    { "HVS-301", "no-xrdp", make_linux, no_xrdp },
    { "HVS-301", "no-server-windows", make_windows, no_server },
    { "HVS-302", "vsock-syntax", make_linux, vsock_syntax },
    { "HVS-303", "tls-only", make_linux, tls_only },
    { "HVS-303", "tls-only-windows", make_windows, tls_only },
    { "HVS-304", "nla-only", make_linux, nla_only },
    { "HVS-305", "no-tls", make_linux, no_tls },
    { "HVS-305", "odd-failure", make_linux, odd_failure },
    { "HVS-306", "security-layer", make_linux, security_layer },
    { "HVS-307", "crypt-level", make_linux, crypt_level },
    { "HVS-312", "untrusted", make_linux, untrusted },
    { "HVS-307", "encrypts", make_linux, encrypts },
    { "HVS-308", "no-xorgxrdp", make_linux, no_xorgxrdp },
    { "HVS-309", "abi", make_linux, abi },
    { "HVS-310", "hvsocket-taken", make_linux, hvsocket_taken },
    { "HVS-311", "hvsocket-port-taken", make_linux, hvsocket_port },
    { "HVS-401", "console", make_linux, console },
    { "HVS-402", "wayland", make_linux, wayland },
    { "HVS-403", "no-sound", make_linux, no_sound },
    { "HVS-404", "colord", make_linux, colord },
    { "HVS-501", "no-vmbuspipe", make_windows, no_vmbuspipe },
    { "HVS-510", "program-32-bit", make_windows, program_32_bit },
    { "HVS-502", "home", make_windows, home },
    { "HVS-503", "rdp-off", make_windows, rdp_off },
    { "HVS-504", "termservice", make_windows, termservice },
    { "HVS-505", "nla", make_windows, nla },
    { "HVS-506", "port", make_windows, port },
    { "HVS-507", "firewall-xp", make_windows, firewall },
    { "HVS-507", "firewall-7", make_windows, firewall_7 },
    { "HVS-508", "blank-password", make_windows, blank },
    { "HVS-509", "builtin", make_windows, builtin },
    { "HVS-901", "limited", make_linux, limited },
};

static void
make_case(const struct finding_case *finding_case, struct hvs_facts *facts)
{
    finding_case->make(facts);
    finding_case->spoil(facts);
}

/* The codes found, "HVS-202 HVS-301". */
static char *
list_codes(const struct hvs_diagnosis *diagnosis)
{
    GString *codes = g_string_new(NULL);

    for (unsigned i = 0; i < diagnosis->count; i++)
        g_string_append_printf(codes, "%s%s", i > 0 ? " " : "", diagnosis->findings[i]->code);
    return g_string_free(codes, FALSE);
}

static void
assert_codes(const struct hvs_facts *facts, const char *expected)
{
    struct hvs_diagnosis diagnosis;
    g_autofree char *codes = NULL;

    hvs_diagnose(facts, &diagnosis);
    codes = list_codes(&diagnosis);
    g_assert_cmpstr(codes, ==, expected);
}

/* That finding, and nothing that only follows from it. */
static void
test_case(gconstpointer data)
{
    const struct finding_case *finding_case = data;
    struct hvs_facts facts;

    make_case(finding_case, &facts);
    assert_codes(&facts, finding_case->code);
}

/* A finding that no case reaches is one that nobody has ever seen. */
static void
test_all_reached(void)
{
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);

    g_assert_cmpuint(count, <=, HVS_FINDINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        gboolean reached = FALSE;

        g_assert_nonnull(table[i].code);
        for (gsize c = 0; c < G_N_ELEMENTS(cases); c++)
            reached |= g_str_equal(cases[c].code, table[i].code);
        if (!reached)
            g_error("no case for %s, %s", table[i].code, table[i].name);
    }
}

static void
test_unique(void)
{
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < count; i++) {
        g_assert_true(g_hash_table_add(seen, (gpointer)table[i].code));
        g_assert_true(g_hash_table_add(seen, (gpointer)table[i].name));
        g_assert_true(g_regex_match_simple("^HVS-[1-9][0-9][0-9]$", table[i].code, 0, 0));
        g_assert_true(g_regex_match_simple("^[a-z][a-z0-9-]+$", table[i].name, 0, 0));
    }
}

static void
test_fine(void)
{
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;

    make_linux(&facts);
    assert_codes(&facts, "");
    hvs_diagnose(&facts, &diagnosis);
    g_assert_cmpint(diagnosis.verdict, ==, HVS_VERDICT_FINE);
    g_assert_cmpstr(hvs_diagnosis_summary(&facts, &diagnosis), ==,
                    "All is in place for Enhanced Session.");
    make_windows(&facts);
    assert_codes(&facts, "");
}

/* Nothing is reported that nobody has seen, and nothing promised. */
static void
test_unknown(void)
{
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;

    for (unsigned os = 0; os < 2; os++) {
        memset(&facts, 0, sizeof facts);
        facts.os = (enum hvs_os)os;
        assert_codes(&facts, "");
        hvs_diagnose(&facts, &diagnosis);
        g_assert_cmpstr(hvs_diagnosis_summary(&facts, &diagnosis), ==, "No problem found.");
    }
}

/* ---- order and suppression ---- */

/* All that can be wrong with a Linux guest at once. */
static void
spoil_everything(struct hvs_facts *facts)
{
    make_linux(facts);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        if (cases[i].make == make_linux && strcmp(cases[i].code, "HVS-200") > 0)
            cases[i].spoil(facts);
    facts->vmbus = facts->control_offered = HVS_YES;
    facts->hvsocket_listening = HVS_NO;
}

static void
test_machine_hides_all(void)
{
    struct hvs_facts facts;

    spoil_everything(&facts);
    facts.container = HVS_YES;
    assert_codes(&facts, "HVS-103");
    facts.hypervisor = HVS_HYPERVISOR_OTHER;
    assert_codes(&facts, "HVS-102");
    facts.wsl = HVS_YES;
    assert_codes(&facts, "HVS-101");
}

/* The table's order is that of the findings: the gravest come first. */
static void
test_order(void)
{
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;

    for (size_t i = 1; i < count; i++)
        g_assert_cmpint(table[i - 1].severity, <=, table[i].severity);
    spoil_everything(&facts);
    hvs_diagnose(&facts, &diagnosis);
    g_assert_cmpuint(diagnosis.count, >, 5);
    for (unsigned i = 1; i < diagnosis.count; i++)
        g_assert_true(diagnosis.findings[i - 1] < diagnosis.findings[i]);
}

/* The host is off and the kernel too old: each has to be mended, the host first. */
static void
test_independent_causes(void)
{
    struct hvs_facts facts;

    make_linux(&facts);
    old(&facts);
    not_offered(&facts);
    no_server(&facts);
    console(&facts);
    no_sound(&facts);
    assert_codes(&facts, "HVS-202 HVS-203 HVS-301 HVS-401");
}

static void
test_chain_of_channels(void)
{
    struct hvs_facts facts;

    spoil_everything(&facts);
    facts.kernel_modules = HVS_NO;
    for (unsigned step = 0; step < 5; step++) {
        static const char *const firsts[] = { "HVS-201", "HVS-206", "HVS-203", "HVS-204",
                                              "HVS-205" };
        struct hvs_diagnosis diagnosis;
        unsigned of_channels = 0;

        facts.vmbus = step == 0 ? HVS_NO : HVS_YES;
        if (step >= 2)
            facts.kernel_modules = HVS_YES;
        if (step >= 3)
            facts.kernel_recent = facts.kernel_refuses = HVS_UNKNOWN;
        if (step >= 4)
            facts.uio_available = HVS_YES;
        hvs_diagnose(&facts, &diagnosis);
        g_assert_cmpstr(diagnosis.findings[0]->code, ==, firsts[step]);
        for (unsigned i = 0; i < diagnosis.count; i++)
            of_channels += diagnosis.findings[i]->code[4] == '2' &&
                           strcmp(diagnosis.findings[i]->code, "HVS-210") < 0;
        /* Too old and without its modules: both stand for themselves. */
        g_assert_cmpuint(of_channels, ==, step == 1 ? 2 : 1);
    }
}

/* What else makes a suspicion groundless. */
static void
test_exceptions(void)
{
    struct hvs_facts facts;

    make_linux(&facts); /* a distribution has backported it: what is bound works */
    facts.kernel_recent = HVS_NO;
    assert_codes(&facts, "");
    old(&facts); /* with a monitor page, any kernel does */
    facts.channels_monitored = HVS_YES;
    assert_codes(&facts, "HVS-207");

    make_linux(&facts); /* passthrough: the client knows of the encryption */
    crypt_level(&facts);
    facts.reply_mirrored = HVS_NO;
    assert_codes(&facts, "");

    make_linux(&facts); /* xrdp.ini may say what it wants if another server is used */
    security_layer(&facts);
    crypt_level(&facts);
    no_xorgxrdp(&facts);
    facts.failure_code = 0;
    facts.xrdp_is_server = facts.xrdp_ini_used = HVS_NO;
    assert_codes(&facts, "");

    make_linux(&facts); /* TLS towards the server */
    security_layer(&facts);
    facts.relay_speaks_tls = HVS_YES;
    assert_codes(&facts, "");
    crypt_level(&facts); /* of no effect within TLS */
    assert_codes(&facts, "");
    SET(facts.xrdp_security_layer, "negotiate");
    assert_codes(&facts, "HVS-307");

    make_linux(&facts); /* xrdp has another X server to start */
    no_xorgxrdp(&facts);
    facts.xvnc_installed = HVS_YES;
    assert_codes(&facts, "");

    make_linux(&facts); /* over HvSocket no channels are needed */
    old(&facts);
    confidential(&facts);
    facts.hvsocket_listening = HVS_YES;
    assert_codes(&facts, "HVS-213");

    make_linux(&facts); /* xrdp is the program that has taken it */
    hvsocket_taken(&facts);
    hvsocket_port(&facts);
    assert_codes(&facts, "HVS-310");
}

static void
test_verdicts(void)
{
    static const struct {
        const char *name;
        enum hvs_verdict verdict;
        int exit_status;
        const char *word;
    } expected[] = {
        { "kvm", HVS_VERDICT_NOT_A_GUEST, 3, "not-a-guest" },
        { "not-offered", HVS_VERDICT_NOT_OFFERED, 4, "not-offered" },
        { "service-down", HVS_VERDICT_SERVICE_DOWN, 5, "service-down" },
        { "old-debian", HVS_VERDICT_DEGRADED, 1, "degraded" },
        { "console", HVS_VERDICT_DEGRADED, 1, "degraded" },
        { "no-sound", HVS_VERDICT_FINE, 0, "fine" },
        { "limited", HVS_VERDICT_FINE, 0, "fine" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++)
        for (gsize c = 0; c < G_N_ELEMENTS(cases); c++) {
            struct hvs_facts facts;
            struct hvs_diagnosis diagnosis;

            if (!g_str_equal(cases[c].name, expected[i].name))
                continue;
            make_case(&cases[c], &facts);
            hvs_diagnose(&facts, &diagnosis);
            g_assert_cmpint(diagnosis.verdict, ==, expected[i].verdict);
            g_assert_cmpint((int)diagnosis.verdict, ==, expected[i].exit_status);
            g_assert_cmpstr(hvs_verdict_to_string(diagnosis.verdict), ==, expected[i].word);
        }
}

/* An error or a warning is never "fine". */
static void
test_severity_and_verdict(void)
{
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);

    for (size_t i = 0; i < count; i++)
        g_assert_true((table[i].severity <= HVS_SEVERITY_WARNING) ==
                      (table[i].verdict != HVS_VERDICT_FINE));
}

/* ---- texts ---- */

static char *
print(const struct hvs_facts *facts, const char *template)
{
    char *buffer = g_malloc(4096);
    struct hvs_text text;

    hvs_text_init(&text, buffer, 4096);
    hvs_finding_print(facts, template, &text);
    g_assert_false(text.truncated);
    return buffer;
}

static void
assert_prints(const struct hvs_facts *facts, const char *template, const char *expected)
{
    g_autofree char *printed = print(facts, template);

    g_assert_cmpstr(printed, ==, expected);
}

/* The name goes into PowerShell: whatever it is, it stays one string there. */
static void
test_vm_name(void)
{
    struct hvs_facts facts = { 0 };

    assert_prints(&facts, "{vm}", "'<VM name>'");
    SET(facts.vm_name, "Debian 12");
    assert_prints(&facts, "-VMName {vm};", "-VMName 'Debian 12';");
    SET(facts.vm_name, "O'Brien's $(x) `y` \"z\"");
    assert_prints(&facts, "{vm}", "'O''Brien''s $(x) `y` \"z\"'");
    SET(facts.vm_name, "a\u2019b\u2018c\u201bd\u201ae\u201cf");
    assert_prints(&facts, "{vm}", "'a\u2019\u2019b\u2018\u2018c\u201b\u201bd\u201a\u201ae\u201cf'");
    SET(facts.vm_name, "two\nlines");
    assert_prints(&facts, "{vm}", "'<VM name>'");
    SET(facts.vm_name, "half \xe2\x80");
    assert_prints(&facts, "{vm}", "'<VM name>'");
}

static void
test_placeholders(void)
{
    struct hvs_facts facts = { 0 };

    assert_prints(&facts, "a { b } {} {none} {vmx", "a { b } {} {none} {vmx");
    SET(facts.console_session, "c2; reboot");
    assert_prints(&facts, "terminate-session {session}", "terminate-session ?");
    SET(facts.node, "../mem");
    assert_prints(&facts, "/dev/{node}", "/dev/?");
    SET(facts.console_user, "a\033[31mb");
    assert_prints(&facts, "{user}", "a?[31mb");
}

/* Each finding has something to say and something to do, on every kind of machine, and leaves no
 * placeholder open. */
static void
test_every_text(void)
{
    for (gsize c = 0; c < G_N_ELEMENTS(cases); c++)
        for (unsigned d = HVS_DISTRIBUTION_OTHER; d <= HVS_DISTRIBUTION_ALPINE; d++) {
            struct hvs_facts facts;
            struct hvs_diagnosis diagnosis;
            const struct hvs_finding *finding;
            g_autofree char *sentence = NULL, *why = NULL;
            unsigned steps = 0;

            make_case(&cases[c], &facts);
            if (facts.os == HVS_OS_LINUX)
                facts.distribution = (enum hvs_distribution)d;
            hvs_diagnose(&facts, &diagnosis);
            finding = diagnosis.findings[0];
            sentence = print(&facts, finding->sentence);
            why = print(&facts, finding->why);
            g_assert_true(g_str_has_suffix(sentence, "."));
            g_assert_true(g_str_has_suffix(why, "."));
            g_assert_false(g_regex_match_simple("\\{[a-z_]+\\}", sentence, 0, 0));
            g_assert_false(g_regex_match_simple("\\{[a-z_]+\\}", why, 0, 0));
            for (unsigned i = 0; finding->fix[i].note != NULL || finding->fix[i].command != NULL;
                 i++) {
                const struct hvs_fix *fix = &finding->fix[i];

                g_assert_cmpuint(i, <, HVS_FIX_MAX);
                if (fix->when != NULL && !fix->when(&facts))
                    continue;
                if (fix->note != NULL) {
                    g_autofree char *note = print(&facts, fix->note);

                    /* A note leads to its command, or is a sentence. */
                    g_assert_true(g_str_has_suffix(note, fix->command != NULL ? ":" : ".") ||
                                  (fix->command != NULL && g_str_has_suffix(note, "?")));
                    steps++;
                }
                if (fix->command != NULL) {
                    g_autofree char *command = print(&facts, fix->command);

                    g_assert_false(g_regex_match_simple("\\{[a-z_]+\\}", command, 0, 0));
                    g_assert_null(strchr(command, '?'));
                    /* Each is for its own system. */
                    if (fix->where == HVS_PLACE_GUEST) {
                        gboolean for_windows =
                            g_regex_match_simple("^(reg|net|netsh|sc|eventvwr)", command, 0, 0);
                        gboolean for_linux =
                            g_regex_match_simple("^(sudo|journalctl|dnf)", command, 0, 0);

                        g_assert_false(facts.os == HVS_OS_LINUX ? for_windows : for_linux);
                    }
                    steps++;
                }
            }
            g_assert_cmpuint(steps, >, 0);
        }
}

/* ---- printed forms ---- */

static char *
print_text(const struct hvs_facts *facts, struct hvs_diagnosis_style style)
{
    char *buffer = g_malloc(HVS_DIAGNOSIS_TEXT_MAX);
    struct hvs_diagnosis diagnosis;
    struct hvs_text text;

    hvs_diagnose(facts, &diagnosis);
    hvs_text_init(&text, buffer, HVS_DIAGNOSIS_TEXT_MAX);
    hvs_diagnosis_print_text(facts, &diagnosis, style, &text);
    g_assert_false(text.truncated);
    return buffer;
}

static char *
print_json(const struct hvs_facts *facts)
{
    char *buffer = g_malloc(HVS_DIAGNOSIS_JSON_MAX);
    struct hvs_diagnosis diagnosis;
    struct hvs_text text;

    hvs_diagnose(facts, &diagnosis);
    hvs_text_init(&text, buffer, HVS_DIAGNOSIS_JSON_MAX);
    hvs_diagnosis_print_json(facts, &diagnosis, "0.1.0", &text);
    g_assert_false(text.truncated);
    return buffer;
}

static void
compare_with_golden(const char *printed, const char *name)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", name, NULL);
    g_autofree char *golden = NULL;
    g_autoptr(GError) error = NULL;

    if (g_getenv("HVS_UPDATE_GOLDEN") != NULL) {
        g_file_set_contents(path, printed, -1, &error);
        g_assert_no_error(error);
    }
    g_file_get_contents(path, &golden, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(printed, ==, golden);
}

/* Every finding as people see it, all in one file to read through. */
static void
test_golden_findings(void)
{
    g_autoptr(GString) all = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_facts facts;
        g_autofree char *printed = NULL;

        make_case(&cases[i], &facts);
        printed = print_text(&facts, (struct hvs_diagnosis_style){ false, false });
        g_string_append_printf(all, "%s==== %s\n%s", i > 0 ? "\n" : "", cases[i].name, printed);
    }
    compare_with_golden(all->str, "doctor-findings.txt");
}

static void
test_golden(void)
{
    const struct hvs_diagnosis_style plain = { false, false };
    const struct hvs_diagnosis_style colourful = { true, true };
    struct hvs_facts facts;
    g_autofree char *fine = NULL, *several = NULL, *verbose = NULL, *json = NULL, *fine_json = NULL;

    make_linux(&facts);
    fine = print_text(&facts, plain);
    compare_with_golden(fine, "doctor-fine.txt");
    fine_json = print_json(&facts);
    compare_with_golden(fine_json, "doctor-fine.json");
    not_offered(&facts);
    crypt_level(&facts);
    console(&facts);
    no_sound(&facts);
    several = print_text(&facts, plain);
    compare_with_golden(several, "doctor-several.txt");
    verbose = print_text(&facts, colourful);
    compare_with_golden(verbose, "doctor-several-colour.txt");
    json = print_json(&facts);
    compare_with_golden(json, "doctor-several.json");
}

/* Commands may be long, since they are for copying; all else fits a terminal. */
static void
test_lines(void)
{
    for (gsize c = 0; c < G_N_ELEMENTS(cases); c++) {
        struct hvs_facts facts;
        g_autofree char *printed = NULL;
        g_auto(GStrv) lines = NULL;

        make_case(&cases[c], &facts);
        printed = print_text(&facts, (struct hvs_diagnosis_style){ false, true });
        lines = g_strsplit(printed, "\n", -1);
        g_assert_true(g_utf8_validate(printed, -1, NULL));
        for (gsize i = 0; lines[i] != NULL; i++) {
            if (!g_str_has_prefix(lines[i], "      "))
                g_assert_cmpint(g_utf8_strlen(lines[i], -1), <=, 80);
            g_assert_false(g_str_has_suffix(lines[i], " "));
            g_assert_null(strchr(lines[i], '\x1b'));
        }
        /* One screen. */
        g_assert_cmpuint(g_strv_length(lines), <=, 25);
    }
}

/* Colour says nothing that the words do not. */
static void
test_colour(void)
{
    struct hvs_facts facts;
    g_autofree char *plain = NULL, *colourful = NULL, *stripped = NULL;
    g_autoptr(GRegex) sequence = g_regex_new("\x1b\\[[0-9;]*m", 0, 0, NULL);

    spoil_everything(&facts);
    plain = print_text(&facts, (struct hvs_diagnosis_style){ false, false });
    colourful = print_text(&facts, (struct hvs_diagnosis_style){ true, false });
    stripped = g_regex_replace_literal(sequence, colourful, -1, 0, "", 0, NULL);
    g_assert_cmpstr(plain, !=, colourful);
    g_assert_cmpstr(plain, ==, stripped);
}

/* The largest there is fits the sizes that the header gives; JSON stays JSON with hostile strings.
 */
static void
test_largest(void)
{
    struct hvs_facts facts;
    g_autofree char *text = NULL, *json = NULL, *last_command = NULL;
    g_autofree char *quotes = g_strnfill(2 * (HVS_FACT_NAME_MAX - 1) + 2, '\'');
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;

    spoil_everything(&facts);
    memset(facts.vm_name, '\'', sizeof facts.vm_name - 1);
    memset(facts.server, '"', sizeof facts.server - 1);
    memset(facts.xrdp_port, '\1', sizeof facts.xrdp_port - 1);
    memset(facts.os_name, '\xff', sizeof facts.os_name - 1);
    text = print_text(&facts, (struct hvs_diagnosis_style){ true, true });
    g_assert_true(g_utf8_validate(text, -1, NULL));
    last_command = g_strdup_printf("Start-VM -Name %s\n", quotes);
    g_assert_nonnull(strstr(text, last_command));
    json = print_json(&facts);
    json_parser_load_from_data(parser, json, -1, &error);
    g_assert_no_error(error);
}

/* Any size of buffer: cut, terminated, and said so. */
static void
test_truncation(void)
{
    struct hvs_facts facts;
    struct hvs_diagnosis diagnosis;
    g_autofree char *whole = NULL, *whole_json = NULL;

    spoil_everything(&facts);
    hvs_diagnose(&facts, &diagnosis);
    whole = print_text(&facts, (struct hvs_diagnosis_style){ true, true });
    whole_json = print_json(&facts);
    for (size_t size = 1; size < strlen(whole_json) + 10; size += 7) {
        char *buffer = g_malloc(size); /* of exactly that size, so that a byte too far is seen */
        struct hvs_text text;

        hvs_text_init(&text, buffer, size);
        hvs_diagnosis_print_text(&facts, &diagnosis, (struct hvs_diagnosis_style){ true, true },
                                 &text);
        g_assert_cmpint(text.truncated, ==, size <= strlen(whole));
        g_assert_cmpuint(strlen(buffer), <, size);
        g_assert_true(g_str_has_prefix(whole, buffer));
        hvs_text_init(&text, buffer, size);
        hvs_diagnosis_print_json(&facts, &diagnosis, "0.1.0", &text);
        g_assert_cmpint(text.truncated, ==, size <= strlen(whole_json));
        g_assert_true(g_str_has_prefix(whole_json, buffer));
        g_free(buffer);
    }
}

static void
test_json(gconstpointer data)
{
    const struct finding_case *finding_case = data;
    struct hvs_facts facts;
    g_autofree char *printed = NULL, *sentence = NULL, *manual = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    JsonObject *object, *finding;
    struct hvs_diagnosis diagnosis;

    make_case(finding_case, &facts);
    hvs_diagnose(&facts, &diagnosis);
    printed = print_json(&facts);
    json_parser_load_from_data(parser, printed, -1, &error);
    g_assert_no_error(error);
    object = json_node_get_object(json_parser_get_root(parser));
    g_assert_cmpint(json_object_get_int_member(object, "schema"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(object, "exit_status"), ==,
                    (gint64)diagnosis.verdict);
    finding = json_array_get_object_element(json_object_get_array_member(object, "findings"), 0);
    g_assert_cmpstr(json_object_get_string_member(finding, "code"), ==, finding_case->code);
    sentence = print(&facts, diagnosis.findings[0]->sentence);
    g_assert_cmpstr(json_object_get_string_member(finding, "sentence"), ==, sentence);
    manual = g_strconcat("man:hvsession(7)#", diagnosis.findings[0]->name, NULL);
    g_assert_cmpstr(json_object_get_string_member(finding, "manual"), ==, manual);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(finding, "fix")), >, 0);
}

/* The names of the fields of struct hvs_facts, in their order, as the header has them. */
static char *
read_field_names(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "../../common/diagnosis.h", NULL);
    g_autofree char *header = NULL, *body = NULL, *fields = NULL;
    g_autoptr(GRegex) comments = g_regex_new("/\\*.*?\\*/", G_REGEX_DOTALL, 0, NULL);
    g_autoptr(GRegex) name = g_regex_new("(\\w+)(\\[\\w+\\])?\\s*[;,]", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autoptr(GError) error = NULL;
    GString *names = g_string_new(NULL);
    const char *begin, *end;

    g_file_get_contents(path, &header, NULL, &error);
    g_assert_no_error(error);
    begin = strstr(header, "struct hvs_facts {\n");
    g_assert_nonnull(begin);
    end = strstr(begin, "\n};");
    body = g_strndup(begin, (gsize)(end - begin));
    fields = g_regex_replace_literal(comments, body, -1, 0, "", 0, NULL);
    g_regex_match(name, fields, 0, &match);
    for (; g_match_info_matches(match); g_match_info_next(match, NULL)) {
        g_autofree char *field = g_match_info_fetch(match, 1);

        g_string_append_printf(names, "%s ", field);
    }
    return g_string_free(names, FALSE);
}

/* Every fact is in the document, under its own name. */
static void
test_json_facts(void)
{
    struct hvs_facts facts;
    g_autofree char *printed = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object;
    g_autoptr(GList) names = NULL;
    g_autoptr(GString) listed = g_string_new(NULL);
    g_autofree char *fields = NULL;

    make_linux(&facts);
    printed = print_json(&facts);
    json_parser_load_from_data(parser, printed, -1, NULL);
    object =
        json_object_get_object_member(json_node_get_object(json_parser_get_root(parser)), "facts");
    g_assert_cmpstr(json_object_get_string_member(object, "os"), ==, "linux");
    g_assert_cmpstr(json_object_get_string_member(object, "hypervisor"), ==, "hyper-v");
    g_assert_cmpstr(json_object_get_string_member(object, "distribution"), ==, "debian");
    g_assert_cmpstr(json_object_get_string_member(object, "vm_name"), ==, "Build 7");
    g_assert_cmpstr(json_object_get_string_member(object, "console_login"), ==, "no");
    g_assert_cmpstr(json_object_get_string_member(object, "vmbuspipe"), ==, "unknown");
    g_assert_cmpint(json_object_get_int_member(object, "xorg_abi"), ==, 25);
    g_assert_true(json_object_get_null_member(object, "console_user"));
    g_assert_true(json_object_get_null_member(object, "control_problem"));
    names = json_object_get_members(object);
    for (GList *at = names; at != NULL; at = at->next)
        g_string_append_printf(listed, "%s ", (const char *)at->data);
    fields = read_field_names();
    g_assert_cmpstr(listed->str, ==, fields);
}

static void
test_names(void)
{
    static const char *const severities[] = { "error", "warning", "advice", "info" };

    for (gsize i = 0; i < G_N_ELEMENTS(severities); i++)
        g_assert_cmpstr(hvs_severity_to_string((enum hvs_severity)i), ==, severities[i]);
    g_assert_cmpstr(hvs_severity_to_string((enum hvs_severity)99), ==, "unknown");
    g_assert_cmpstr(hvs_verdict_to_string((enum hvs_verdict)99), ==, "unknown");
    g_assert_cmpstr(hvs_answer_to_string(HVS_UNKNOWN), ==, "unknown");
    g_assert_cmpstr(hvs_answer_to_string(HVS_NO), ==, "no");
    g_assert_cmpstr(hvs_answer_to_string(HVS_YES), ==, "yes");
    g_assert_cmpstr(hvs_answer_to_string((enum hvs_answer)99), ==, "unknown");
    g_assert_cmpstr(hvs_place_to_string(HVS_PLACE_GUEST), ==, "guest");
    g_assert_cmpstr(hvs_place_to_string(HVS_PLACE_HOST), ==, "host");
}

/* What became of the session that began last counts, whether it lives or not. */
static void
test_status_facts(void)
{
    static struct hvs_status status;
    struct hvs_facts facts = { 0 };

    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.service_running, ==, HVS_YES);
    g_assert_cmpint(facts.control_problem, ==, HVS_CONTROL_NO_PROBLEM);
    g_assert_cmpint(facts.server_encrypts, ==, HVS_UNKNOWN);

    status.control.problem = HVS_CONTROL_REFUSED;
    status.ended_count = 2;
    status.ended[0] = (struct hvs_session){ .id = 6, .reason = HVS_END_SERVER_ENCRYPTS };
    status.ended[1] = (struct hvs_session){ .id = 4, .negotiation.failure_code = 5 };
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.control_problem, ==, HVS_CONTROL_REFUSED);
    g_assert_cmpint(facts.server_encrypts, ==, HVS_YES);
    g_assert_cmpuint(facts.failure_code, ==, 0);

    status.ended[0] = (struct hvs_session){ .id = 7, .negotiation.failure_code = 5 };
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.server_encrypts, ==, HVS_NO);
    g_assert_cmpint(facts.server_untrusted, ==, HVS_NO);
    g_assert_cmpuint(facts.failure_code, ==, 5);

    status.ended[0] = (struct hvs_session){ .id = 7, .reason = HVS_END_SERVER_UNTRUSTED };
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.server_untrusted, ==, HVS_YES);
    g_assert_cmpuint(facts.failure_code, ==, 0);

    status.session_count = 2;
    status.sessions[0].id = 5;
    status.sessions[1].id = 8;
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpuint(facts.failure_code, ==, 0);
}

static void
test_status_facts_of_hvsocket(void)
{
    static struct hvs_status status;
    struct hvs_facts facts = { .hvsocket_listening = HVS_NO };

    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.hvsocket_listening, ==, HVS_NO);
    g_assert_cmpint(facts.hvsocket_taken, ==, HVS_NO);
    g_assert_cmpint(facts.hvsocket_used, ==, HVS_UNKNOWN);
    status.hvsocket = HVS_HVSOCKET_PORT_TAKEN;
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.hvsocket_listening, ==, HVS_YES);
    g_assert_cmpint(facts.hvsocket_taken, ==, HVS_YES);
    g_assert_cmpint(facts.hvsocket_used, ==, HVS_UNKNOWN);
    status.hvsocket = HVS_HVSOCKET_LISTENING;
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.hvsocket_taken, ==, HVS_NO);
    g_assert_cmpint(facts.hvsocket_used, ==, HVS_NO);
    status.hvsocket_used = true;
    hvs_facts_add_status(&facts, &status);
    g_assert_cmpint(facts.hvsocket_used, ==, HVS_YES);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = g_strconcat("/diagnosis/finding/", cases[i].name, NULL);
        g_autofree char *json = g_strconcat("/diagnosis/json/", cases[i].name, NULL);

        g_test_add_data_func(found, &cases[i], test_case);
        g_test_add_data_func(json, &cases[i], test_json);
    }
    g_test_add_func("/diagnosis/finding/all-reached", test_all_reached);
    g_test_add_func("/diagnosis/finding/unique", test_unique);
    g_test_add_func("/diagnosis/fine", test_fine);
    g_test_add_func("/diagnosis/unknown", test_unknown);
    g_test_add_func("/diagnosis/hidden/machine", test_machine_hides_all);
    g_test_add_func("/diagnosis/hidden/channels", test_chain_of_channels);
    g_test_add_func("/diagnosis/hidden/exceptions", test_exceptions);
    g_test_add_func("/diagnosis/order", test_order);
    g_test_add_func("/diagnosis/order/independent", test_independent_causes);
    g_test_add_func("/diagnosis/verdict", test_verdicts);
    g_test_add_func("/diagnosis/verdict/severity", test_severity_and_verdict);
    g_test_add_func("/diagnosis/template/vm-name", test_vm_name);
    g_test_add_func("/diagnosis/template/placeholders", test_placeholders);
    g_test_add_func("/diagnosis/template/every", test_every_text);
    g_test_add_func("/diagnosis/text/findings", test_golden_findings);
    g_test_add_func("/diagnosis/text/golden", test_golden);
    g_test_add_func("/diagnosis/text/lines", test_lines);
    g_test_add_func("/diagnosis/text/colour", test_colour);
    g_test_add_func("/diagnosis/largest", test_largest);
    g_test_add_func("/diagnosis/truncation", test_truncation);
    g_test_add_func("/diagnosis/json/facts", test_json_facts);
    g_test_add_func("/diagnosis/names", test_names);
    g_test_add_func("/diagnosis/status-facts", test_status_facts);
    g_test_add_func("/diagnosis/status-facts-of-hvsocket", test_status_facts_of_hvsocket);
    return g_test_run();
}
