/* What hvsession finds out about this Windows, and hvsession doctor.
 *
 *     test-probe HVSESSION.EXE VMBUSPIPE.DLL
 *
 * Changes the settings of the machine it runs on: for Wine only. */
#include "fixture.h"
#include "winhost.h"

#include "windows/clock.h"
#include "windows/probe.h"
#include "windows/registry.h"
#include "windows/status-pipe.h"

#include "common/status.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strsafe.h>

#define TERMINAL L"SYSTEM\\CurrentControlSet\\Control\\Terminal Server"
#define RDP_TCP  TERMINAL L"\\WinStations\\RDP-Tcp"
#define LSA      L"SYSTEM\\CurrentControlSet\\Control\\Lsa"
#define MACHINE  L"SOFTWARE\\Microsoft\\Virtual Machine"
#define GUEST    MACHINE L"\\Guest"
#define POLICIES L"SOFTWARE\\Policies\\Microsoft\\Windows NT"
#define POLICY   POLICIES L"\\Terminal Services"

static const struct hvs_cpu hyper_v = {
    .answers = true,
    .vendor = "Microsoft Hv",
    .build = { 26100, 10u << 16, 0, 1 },
};
static const struct hvs_os_version windows_7 = { .number = 601, .build = 7601, .service_pack = 1 };

#define WIDE_(string)    L##string
#define WIDE(string)     WIDE_(string)
#define HVS_VERSION_WIDE WIDE(HVS_VERSION)

static uint16_t server_port;

static struct hvs_facts
look(const struct hvs_cpu *cpu, const struct hvs_os_version *os)
{
    const struct hvs_probe_options options = { .cpu = cpu, .os = os };
    struct hvs_facts facts;

    hvs_probe(&options, &facts);
    return facts;
}

static void
check(bool condition, const char *what)
{
    if (!condition)
        fail("%s", what);
}

/* The first finding is that one. */
static void
check_finding(const struct hvs_facts *facts, const char *code)
{
    struct hvs_diagnosis diagnosis;

    hvs_diagnose(facts, &diagnosis);
    if (diagnosis.count == 0)
        fail("%s is not found, nor anything else", code);
    if (strcmp(diagnosis.findings[0]->code, code) != 0)
        fail("%s is found, not %s", diagnosis.findings[0]->code, code);
}

static void
set_server(const char *format, unsigned port)
{
    WCHAR server[64];
    char bytes[64];

    StringCchPrintfA(bytes, sizeof bytes, format, port);
    MultiByteToWideChar(CP_UTF8, 0, bytes, -1, server, ARRAYSIZE(server));
    registry_set(HVS_REGISTRY_PARAMETERS, L"Server", REG_SZ, server,
                 (DWORD)((wcslen(server) + 1) * sizeof *server));
}

/* A machine on which all is well, but for a service. */
static void
begin(void)
{
    registry_delete_key(TERMINAL);
    registry_delete_key(MACHINE);
    registry_set_number(TERMINAL, L"fDenyTSConnections", 0);
    registry_set_number(RDP_TCP, L"PortNumber", server_port);
    registry_set_number(RDP_TCP, L"UserAuthentication", 0);
    registry_set_number(LSA, L"LimitBlankPasswordUse", 0);
    set_server("tcp:127.0.0.1:%u", server_port);
    start_termservice(true);
}

static void
finish(void)
{
    registry_delete_key(TERMINAL);
    registry_delete_key(MACHINE);
    registry_delete_key(POLICIES);
    registry_delete_value(LSA, L"LimitBlankPasswordUse");
    registry_delete_key(HVS_REGISTRY_SERVICE);
}

static void
test_machine(void)
{
    static const WCHAR name[] = L"B\u00fcro 7", host[] = L"HV01";
    struct hvs_cpu cpu = hyper_v;
    struct hvs_facts facts;

    begin();
    registry_set(GUEST L"\\Parameters", L"VirtualMachineName", REG_SZ, name, sizeof name);
    registry_set(GUEST L"\\Parameters", L"HostName", REG_SZ, host, sizeof host);
    facts = look(&hyper_v, &windows_7);
    check(facts.os == HVS_OS_WINDOWS && facts.hypervisor == HVS_HYPERVISOR_HYPER_V, "Hyper-V");
    check(strcmp(facts.host_build, "10.0.26100.1") == 0, facts.host_build);
    check(strcmp(facts.vm_name, "B\303\274ro 7") == 0, facts.vm_name);
    check(strcmp(facts.host_name, "HV01") == 0, facts.host_name);
    check(strcmp(facts.os_name, "Windows 7 (6.1.7601, Service Pack 1)") == 0, facts.os_name);
    check(facts.windows_version == 601 && facts.azure == HVS_UNKNOWN, "version, Azure");
    registry_set_number(AZURE, L"x", 1);
    facts = look(&hyper_v, &windows_7);
    registry_delete_key(AZURE);
    check_finding(&facts, "HVS-104");

    cpu.root = true;
    facts = look(&cpu, &windows_7);
    check(facts.hypervisor == HVS_HYPERVISOR_NONE, "the host itself is a guest");
    cpu = hyper_v;
    StringCchCopyA(cpu.beside, sizeof cpu.beside, "KVMKVMKVM");
    facts = look(&cpu, &windows_7);
    check(facts.hypervisor == HVS_HYPERVISOR_OTHER && strcmp(facts.hypervisor_name, "KVM") == 0,
          "KVM that poses as Hyper-V");
    check_finding(&facts, "HVS-102");
    StringCchCopyA(cpu.vendor, sizeof cpu.vendor, "Unheard Of 1");
    cpu.beside[0] = '\0';
    facts = look(&cpu, &windows_7);
    check(strcmp(facts.hypervisor_name, "Unheard Of 1") == 0, facts.hypervisor_name);
    facts = look(&(struct hvs_cpu){ .answers = true }, &windows_7);
    check(facts.hypervisor == HVS_HYPERVISOR_NONE, "no hypervisor");
    finish();
}

static void
test_editions(void)
{
    struct hvs_os_version os = windows_7;
    struct hvs_facts facts;

    begin();
    host_offer(0, MESSAGES);
    os.home = true;
    facts = look(&hyper_v, &os);
    check(strcmp(facts.os_name, "Windows 7 Home (6.1.7601, Service Pack 1)") == 0, facts.os_name);
    check_finding(&facts, "HVS-502");
    os = (struct hvs_os_version){ .number = 603, .build = 9600 };
    facts = look(&hyper_v, &os);
    check(facts.builtin_active == HVS_YES, "what is built into 8.1");
    registry_set_number(GUEST, L"DisableEnhancedSessionConsoleConnection", 1);
    facts = look(&hyper_v, &os);
    check(facts.builtin_active == HVS_NO, "it is turned off");
    facts = look(&hyper_v, &windows_7);
    check(facts.builtin_active == HVS_NO, "there is none in 7");
    host_rescind(0);
    finish();
}

static void
test_library(void)
{
    struct hvs_facts facts;

    begin();
    facts = look(&hyper_v, &windows_7);
    check(facts.vmbuspipe == HVS_YES && facts.control_offered == HVS_NO, "nothing is offered");
    check(facts.service_running == HVS_NO, "no service runs");
    check_finding(&facts, "HVS-202");
    host_offer(0, MESSAGES);
    facts = look(&hyper_v, &windows_7);
    check(facts.control_offered == HVS_YES, "the control channel is offered");
    check_finding(&facts, "HVS-210");
    host_rescind(0);
    remove_library();
    facts = look(&hyper_v, &windows_7);
    check(facts.vmbuspipe == HVS_NO && facts.control_offered == HVS_UNKNOWN, "no library");
    check_finding(&facts, "HVS-501");
    if (put_library_64(true)) {
        facts = look(&hyper_v, &windows_7);
        check(facts.vmbuspipe == HVS_NO && facts.vmbuspipe_64 == HVS_YES, "a library for others");
        check_finding(&facts, "HVS-510");
        expect(L"run", 1, "there for 64-bit programs only");
        put_library_64(false);
    }
    put_library();
    finish();
}

static void
test_terminal_services(void)
{
    const struct hvs_os_version xp = { .number = 501, .build = 2600, .service_pack = 3 };
    struct hvs_facts facts;

    begin();
    host_offer(0, MESSAGES);
    facts = look(&hyper_v, &windows_7);
    check(facts.server_listening == HVS_YES && facts.firewall_blocks == HVS_NO, "it listens");
    check(facts.remote_desktop == HVS_YES && facts.nla_required == HVS_NO &&
              facts.termservice_running == HVS_YES && facts.failure_code == 0,
          "Terminal Services");
    check(facts.rdp_port == server_port && facts.configured_port == server_port, "the port");
    check(facts.reply_mirrored == HVS_NO && facts.relay_speaks_tls == HVS_NO, "the relay");

    registry_set_number(RDP_TCP, L"UserAuthentication", 1);
    facts = look(&hyper_v, &windows_7);
    check_finding(&facts, "HVS-505");
    facts = look(&hyper_v, &xp);
    check(facts.nla_required == HVS_NO, "XP has no NLA");
    registry_set_number(RDP_TCP, L"UserAuthentication", 0);
    registry_set_number(RDP_TCP, L"SecurityLayer", 2);
    facts = look(&hyper_v, &windows_7);
    check(facts.failure_code == 1, "TLS only");
    registry_set_number(RDP_TCP, L"SecurityLayer", 1);
    registry_set_number(TERMINAL, L"fDenyTSConnections", 1);
    facts = look(&hyper_v, &windows_7);
    check_finding(&facts, "HVS-503");
    registry_set_number(TERMINAL, L"fDenyTSConnections", 0);
    registry_set_number(POLICY, L"fDenyTSConnections", 1);
    facts = look(&hyper_v, &windows_7);
    check_finding(&facts, "HVS-503");
    registry_delete_key(POLICIES);
    start_termservice(false);
    facts = look(&hyper_v, &windows_7);
    check_finding(&facts, "HVS-504");
    start_termservice(true);
    registry_set_number(RDP_TCP, L"PortNumber", server_port + 1u);
    facts = look(&hyper_v, &windows_7);
    check_finding(&facts, "HVS-506");
    /* A server elsewhere: this machine's Terminal Services do not matter. */
    set_server("tcp:linux.example:%u", 3389);
    facts = look(&hyper_v, &windows_7);
    check(facts.server_listening == HVS_UNKNOWN && facts.remote_desktop == HVS_UNKNOWN &&
              facts.configured_port == 0,
          "a server elsewhere");
    registry_set(HVS_REGISTRY_PARAMETERS, L"Server", REG_SZ, L"nonsense", 9 * sizeof(WCHAR));
    facts = look(&hyper_v, &windows_7);
    check(strstr(facts.config_error, "nonsense") != NULL, facts.config_error);
    check_finding(&facts, "HVS-214");
    host_rescind(0);
    finish();
}

/* A port that listens and answers nobody: a queue that is full does what a firewall does. */
static void
test_firewall(void)
{
    SOCKET busy = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), waiting[4];
    struct sockaddr_in address = { .sin_family = AF_INET };
    struct hvs_facts facts;
    int size = sizeof address;
    unsigned long yes = 1;

    begin();
    host_offer(0, MESSAGES);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(busy, (struct sockaddr *)&address, sizeof address) != 0 || listen(busy, 0) != 0 ||
        getsockname(busy, (struct sockaddr *)&address, &size) != 0)
        fail("listening: %d", WSAGetLastError());
    for (unsigned i = 0; i < ARRAYSIZE(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
        ioctlsocket(waiting[i], (long)FIONBIO, &yes);
        connect(waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    set_server("tcp:127.0.0.1:%u", ntohs(address.sin_port));
    registry_set_number(RDP_TCP, L"PortNumber", ntohs(address.sin_port));
    facts = look(&hyper_v, &windows_7);
    check(facts.server_listening == HVS_YES && facts.firewall_blocks == HVS_YES, "a firewall");
    check_finding(&facts, "HVS-507");
    for (unsigned i = 0; i < ARRAYSIZE(waiting); i++)
        closesocket(waiting[i]);
    closesocket(busy);
    facts = look(&hyper_v, &windows_7);
    check(facts.server_listening == HVS_NO && facts.firewall_blocks == HVS_UNKNOWN, "nobody");
    host_rescind(0);
    finish();
}

/* ---- with the service ---- */

static unsigned __stdcall ask_doctor(void *argument)
{
    struct hvs_text *answer = argument;

    return hvs_status_pipe_ask("doctor-json", answer);
}

static void
test_service(void)
{
    static char bytes[3][HVS_STATUS_JSON_MAX + 1];
    static const uint8_t request[] = {
        3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 11, 0, 0, 0
    };
    static const uint8_t failure[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                       0, 3, 0, 8,  0,  5,    0, 0, 0 };
    uint8_t received[sizeof request];
    struct hvs_text answers[3];
    HANDLE threads[3];
    struct hvs_facts facts;
    WCHAR server[64];
    SOCKET s;

    begin();
    registry_delete_key(HVS_REGISTRY_SERVICE);
    StringCchPrintfW(server, ARRAYSIZE(server), L"tcp:127.0.0.1:%u", server_port);
    host_start_control(REFUSE);
    start_service(server, L"10s");
    wait_status("\"problem\": \"refused\"");
    facts = look(&hyper_v, &windows_7);
    check(facts.service_running == HVS_YES && facts.control_offered == HVS_YES, "it runs");
    check(facts.control_problem == HVS_CONTROL_REFUSED && facts.data_channels == 0, "refused");
    check_finding(&facts, "HVS-211");
    host_set_policy(ACCEPT);
    wait_status("\"state\": \"ready\"");
    facts = look(&hyper_v, &windows_7);
    check(facts.control_problem == HVS_CONTROL_NO_PROBLEM, "accepted");
    /* A server that insists on Network Level Authentication. */
    host_connect(1, MESSAGES);
    host_write(1, request, sizeof request, LONG_TIME);
    s = server_accept(LONG_TIME);
    /* The probe has knocked, too, and gone away. */
    while (!server_read_all(s, received, sizeof received)) {
        closesocket(s);
        s = server_accept(LONG_TIME);
    }
    if (!server_write(s, failure, sizeof failure))
        fail("answering the request");
    closesocket(s);
    wait_status("\"failure_code\": 5");
    facts = look(&hyper_v, &windows_7);
    check(facts.failure_code == 5 && facts.data_channels == 1, "the server has refused");
    check_finding(&facts, "HVS-304");
    host_rescind(1);
    wait_status("\"reason\": \"server-refused\"");

    /* The service looks for itself; all who ask at a time get an answer, and so do others. */
    for (unsigned i = 0; i < ARRAYSIZE(threads); i++) {
        hvs_text_init(&answers[i], bytes[i], sizeof bytes[i]);
        threads[i] = (HANDLE)_beginthreadex(NULL, 0, ask_doctor, &answers[i], 0, NULL);
    }
    wait_status("\"state\": \"ready\"");
    for (unsigned i = 0; i < ARRAYSIZE(threads); i++) {
        DWORD error = ERROR_GEN_FAILURE;

        WaitForSingleObject(threads[i], INFINITE);
        GetExitCodeThread(threads[i], &error);
        CloseHandle(threads[i]);
        if (error != ERROR_SUCCESS || strstr(bytes[i], "\"schema\": 1") == NULL ||
            strstr(bytes[i], "\"service_running\": \"yes\"") == NULL ||
            strstr(bytes[i], "\"failure_code\": 5") == NULL)
            fail("error %lu; the service's diagnosis is %s", error, bytes[i]);
    }
    expect(L"sessions", 0, "server-refused");
    expect(L"sessions --json", 0, "\"ended\": [");
    stop_in_time();
    expect(L"uninstall", 0, "Removed");
    host_stop_control();
    finish();
}

/* ---- what the host is told ---- */

static void
wait_published(const WCHAR *name, const WCHAR *expected)
{
    WCHAR value[1024] = L"";
    DWORD began = GetTickCount();

    do {
        DWORD size = sizeof value;
        HKEY key;

        value[0] = L'\0';
        if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, GUEST, 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &key) ==
            ERROR_SUCCESS) {
            if (RegQueryValueExW(key, name, NULL, NULL, (BYTE *)value, &size) != ERROR_SUCCESS)
                value[0] = L'\0';
            RegCloseKey(key);
        }
        if (expected[0] == L'\0' ? value[0] == L'\0' : wcsstr(value, expected) != NULL)
            return;
        Sleep(20);
    } while (GetTickCount() - began < LONG_TIME);
    fail("%ls is \"%ls\", not \"%ls\"", name, value, expected);
}

static void
test_publish(void)
{
    WCHAR server[64];

    begin();
    registry_delete_key(HVS_REGISTRY_SERVICE);
    registry_set_number(GUEST L"\\Parameters", L"x", 1);
    StringCchPrintfW(server, ARRAYSIZE(server), L"tcp:127.0.0.1:%u", server_port);
    start_service(server, L"0s");
    wait_published(L"HvSessionState", L"not-offered");
    wait_published(L"HvSessionVersion", HVS_VERSION_WIDE);
    host_start_control(ACCEPT);
    wait_published(L"HvSessionState", L"ready");
    wait_published(L"HvSessionLastError", L"");
    /* A client that makes no sense. */
    host_connect(1, BYTES);
    wait_published(L"HvSessionState", L"active");
    host_write(1, "GET / HTTP/1.0\r\n\r\n", 18, LONG_TIME);
    wait_published(L"HvSessionLastError", L"Z session 1: ");
    wait_published(L"HvSessionLastError", L"(request-malformed)");
    host_rescind(1);
    expect(L"config set PublishState no", 0, "");
    wait_published(L"HvSessionState", L"");
    wait_published(L"HvSessionLastError", L"");
    expect(L"config set PublishState auto", 0, "");
    wait_published(L"HvSessionState", L"ready");
    stop_in_time();
    wait_published(L"HvSessionState", L"");
    wait_published(L"HvSessionVersion", L"");
    /* What a machine that was switched off has left is not true any more. */
    registry_set(GUEST, L"HvSessionLastError", REG_SZ, L"old", sizeof L"old");
    expect(L"start", 0, "Started");
    wait_published(L"HvSessionState", L"ready");
    wait_published(L"HvSessionLastError", L"");
    stop_in_time();
    /* Without integration services there is nobody who would pass it on. */
    registry_delete_key(MACHINE);
    expect(L"start", 0, "Started");
    wait_status("\"state\": \"ready\"");
    if (hvs_registry_has_key(GUEST))
        fail("the key of the integration services was made");
    stop_in_time();
    expect(L"uninstall", 0, "Removed");
    host_stop_control();
    finish();
}

/* The command line finds what the probe does on this machine, whatever that is. */
static void
test_doctor(void)
{
    struct hvs_diagnosis diagnosis;
    struct hvs_facts facts;
    char exit_status[32];

    begin();
    facts = look(NULL, NULL);
    hvs_diagnose(&facts, &diagnosis);
    check(diagnosis.count > 0, "not even a service that does not run");
    expect(L"doctor", (DWORD)diagnosis.verdict, diagnosis.findings[0]->code);
    expect(L"doctor --verbose", (DWORD)diagnosis.verdict,
           hvs_diagnosis_summary(&facts, &diagnosis));
    StringCchPrintfA(exit_status, sizeof exit_status, "\"exit_status\": %d",
                     (int)diagnosis.verdict);
    expect(L"doctor /JSON", (DWORD)diagnosis.verdict, exit_status);
    expect(L"doctor --fast", 2, "not: --fast");
    finish();
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "machine", test_machine },   { "editions", test_editions },
    { "library", test_library },   { "terminal-services", test_terminal_services },
    { "firewall", test_firewall }, { "service", test_service },
    { "publish", test_publish },   { "doctor", test_doctor },
};

int
main(int count, char **arguments)
{
    if (count != 3) {
        puts("usage: test-probe HVSESSION.EXE VMBUSPIPE.DLL");
        return 2;
    }
    hvs_clock_init();
    for (size_t i = 0; i < ARRAYSIZE(tests); i++) {
        set_up(arguments[1], arguments[2]);
        server_port = server_start();
        printf("# %s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
        server_stop();
        remove_library();
        printf("ok %s\n", tests[i].name);
    }
    return 0;
}
