/* hvsession setup and the settings of Windows: what is changed, and that all of it is put back.
 *
 *     test-setup HVSESSION.EXE VMBUSPIPE.DLL [GROUP...]
 *
 * Changes the settings of the machine it runs on: for Wine only. */
#include "fixture.h"
#include "winhost.h"

#include "fake-firewall.h"

#include "windows/registry.h"
#include "windows/service.h"

#include <stdio.h>
#include <string.h>
#include <strsafe.h>

#define TERMINAL   L"SYSTEM\\CurrentControlSet\\Control\\Terminal Server"
#define RDP_TCP    TERMINAL L"\\WinStations\\RDP-Tcp"
#define LSA        L"SYSTEM\\CurrentControlSet\\Control\\Lsa"
#define MACHINE    L"SOFTWARE\\Microsoft\\Virtual Machine"
#define GUEST      MACHINE L"\\Guest"
#define POLICY_TOP L"SOFTWARE\\Policies\\Microsoft\\Windows NT"
#define POLICY     POLICY_TOP L"\\Terminal Services"
#define UNDO       HVS_REGISTRY_PARAMETERS L"\\Undo"
#define RULE       FAKE_FIREWALL_RULES L"\\hvsession: Remote Desktop is not for the network "

/* Its folder has the fake firewall, too. */
static const char *library;

static void
expect_number(const WCHAR *path, const WCHAR *name, DWORD expected)
{
    DWORD number;

    if (!registry_get_number(path, name, &number))
        fail("%ls\\%ls is not there", path, name);
    if (number != expected)
        fail("%ls\\%ls is %lu, not %lu", path, name, number, expected);
}

static void
expect_nothing(const WCHAR *path, const WCHAR *name)
{
    DWORD number;

    if (registry_get_number(path, name, &number))
        fail("%ls\\%ls is there: %lu", path, name, number);
}

static void
expect_said(const char *contained)
{
    if (strstr(last_output(), contained) == NULL)
        fail("it does not say \"%s\" but \"%s\"", contained, last_output());
}

static void
expect_same(uint64_t before, const char *when)
{
    if (registry_hash() != before)
        fail("%s, the registry is not as it was", when);
}

/* Windows 7 as it comes. */
static void
begin(DWORD firewall)
{
    registry_delete_key(TERMINAL);
    registry_delete_key(MACHINE);
    registry_set_number(TERMINAL, L"fDenyTSConnections", 1);
    registry_set_number(RDP_TCP, L"UserAuthentication", 1);
    registry_set_number(RDP_TCP, L"SecurityLayer", 2);
    registry_set_number(RDP_TCP, L"PortNumber", 3389);
    registry_set_number(LSA, L"LimitBlankPasswordUse", 1);
    set_up_firewall(library, firewall);
}

static void
finish(void)
{
    registry_delete_key(TERMINAL);
    registry_delete_key(MACHINE);
    registry_delete_key(POLICY_TOP);
    registry_delete_value(LSA, L"LimitBlankPasswordUse");
    remove_firewall();
}

/* For hvsession.exe, Wine's own way to be an older Windows; NULL: what Wine is else. */
static void
pretend_windows(const WCHAR *version)
{
    static const WCHAR path[] = L"Software\\Wine\\AppDefaults\\hvsession.exe";
    HKEY key;

    if (RegCreateKeyExW(HKEY_CURRENT_USER, path, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL) !=
        ERROR_SUCCESS)
        fail("RegCreateKeyEx");
    if (version == NULL)
        RegDeleteValueW(key, L"Version");
    else
        RegSetValueExW(key, L"Version", 0, REG_SZ, (const BYTE *)version,
                       (DWORD)((wcslen(version) + 1) * sizeof *version));
    RegCloseKey(key);
}

/* ---- Vista and later ---- */

static void
check_rule(const WCHAR *protocol_name, DWORD protocol, const WCHAR *port)
{
    WCHAR path[256], ports[16] = L"";
    DWORD size = sizeof ports;
    HKEY key;

    StringCchPrintfW(path, ARRAYSIZE(path), RULE L"(%ls)", protocol_name);
    expect_number(path, L"Protocol", protocol);
    expect_number(path, L"Direction", 1); /* NET_FW_RULE_DIR_IN */
    expect_number(path, L"Profiles", 0x7fffffff);
    expect_number(path, L"Action", 0); /* NET_FW_ACTION_BLOCK */
    expect_number(path, L"Enabled", 1);
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &key) !=
        ERROR_SUCCESS)
        fail("opening %ls", path);
    RegQueryValueExW(key, L"LocalPorts", NULL, NULL, (BYTE *)ports, &size);
    RegCloseKey(key);
    if (wcscmp(ports, port) != 0)
        fail("the rule is for port %ls, not %ls", ports, port);
}

static void
test_setup(void)
{
    uint64_t before, installed;

    begin(FAKE_FIREWALL_VISTA);
    before = registry_hash();
    expect(L"setup", 3, "not installed");
    expect_same(before, "without a service");
    expect(L"install", 0, "Installed");
    installed = registry_hash();

    expect(L"setup --dry-run", 0, "Remote Desktop: off, would be on\r\n");
    expect_said("Network Level Authentication: required, would be not required\r\n");
    expect_said("Remote Desktop's encryption: TLS only, would be negotiated\r\n");
    expect_said("Firewall: port 3389 would be closed to the network\r\n");
    expect_said("Nothing was changed.\r\n");
    expect_same(installed, "after a dry run");

    expect(L"setup", 0, "Remote Desktop: off, now on\r\n");
    expect_said("Firewall: port 3389 now closed to the network\r\n");
    expect_said("hvsession setup --undo");
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect_number(RDP_TCP, L"UserAuthentication", 0);
    expect_number(RDP_TCP, L"SecurityLayer", 1);
    expect_number(LSA, L"LimitBlankPasswordUse", 1);
    expect_nothing(GUEST, L"DisableEnhancedSessionConsoleConnection");
    check_rule(L"TCP", 6, L"3389");
    check_rule(L"UDP", 17, L"3389");
    expect_number(UNDO, L"DisableRemoteDesktop", 1);
    expect_number(UNDO, L"SecurityLayer", 2);
    expect(L"setup", 0, "Remote Desktop: on already\r\n");
    expect_said("Firewall: port 3389 closed to the network already\r\n");

    expect(L"setup --undo --dry-run", 0, "Remote Desktop: would be off\r\n");
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect(L"setup --undo", 0, "Remote Desktop: again off\r\n");
    expect_said("Network Level Authentication: again required\r\n");
    expect_said("Firewall: port 3389 as it was before\r\n");
    expect_same(installed, "after setup --undo");
    expect(L"setup --undo", 0, "nothing to undo");

    /* Removing the service undoes first. */
    expect(L"setup /Blank-Password -override", 3010,
           "let in at the console only, now let in "
           "everywhere\r\n");
    expect_said("Enhanced Session built into Windows: on, now off\r\n");
    expect_said("Restart Windows");
    expect_number(LSA, L"LimitBlankPasswordUse", 0);
    expect_number(GUEST, L"DisableEnhancedSessionConsoleConnection", 1);
    expect(L"uninstall", 3010, "Removed");
    expect_same(before, "after uninstall");
    finish();
}

static void
test_options(void)
{
    uint64_t installed;

    begin(FAKE_FIREWALL_VISTA);
    expect(L"install", 0, "Installed");
    installed = registry_hash();
    expect(L"setup --frobnicate", 2, "no such option: --frobnicate");
    expect(L"setup --undo --override", 2, "--dry-run only");
    expect(L"setup --firewall --no-firewall", 2, "not both");
    expect(L"setup --no-rdp --keep-nla --no-firewall", 0, "Done");
    expect_same(installed, "after a setup of nothing");
    expect(L"setup /no-rdp /no-firewall", 0, "Network Level");
    expect_number(TERMINAL, L"fDenyTSConnections", 1);
    expect_number(RDP_TCP, L"UserAuthentication", 0);
    expect(L"setup --keep-nla --no-rdp", 0, "Firewall");
    expect_number(TERMINAL, L"fDenyTSConnections", 1);
    check_rule(L"TCP", 6, L"3389");
    expect(L"uninstall", 0, "Removed");
    finish();
}

/* Nothing of what is changed was there before, not even its keys. */
static void
test_nothing_there(void)
{
    uint64_t before;

    begin(FAKE_FIREWALL_VISTA);
    registry_delete_key(TERMINAL);
    before = registry_hash();
    expect(L"install", 0, "Installed");
    expect(L"setup --override", 3010, "Remote Desktop: off, now on\r\n");
    expect_said("Network Level Authentication: not required already\r\n");
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect(L"uninstall", 3010, "Removed");
    expect_same(before, "after uninstall");
    /* What is there by then stays. */
    expect(L"install", 0, "Installed");
    expect(L"setup --override", 3010, "Done");
    registry_set_number(GUEST, L"Other", 7);
    expect(L"setup --undo", 3010, "built into Windows: again on");
    expect_nothing(GUEST, L"DisableEnhancedSessionConsoleConnection");
    expect_number(GUEST, L"Other", 7);
    expect(L"uninstall", 0, "Removed");
    finish();
}

/* What was there comes back byte for byte, whatever it was. */
static void
test_odd_values(void)
{
    uint64_t before;

    begin(FAKE_FIREWALL_VISTA);
    registry_set(TERMINAL, L"fDenyTSConnections", REG_SZ, L"1", 2 * sizeof(WCHAR));
    registry_set(RDP_TCP, L"UserAuthentication", REG_BINARY, "\1\0\0\0\0", 5);
    before = registry_hash();
    expect(L"install", 0, "Installed");
    expect(L"setup", 0, "Remote Desktop: off, now on");
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect(L"uninstall", 0, "Removed");
    expect_same(before, "after uninstall");
    finish();
}

/* Who changes a setting behind our back is not overruled. */
static void
test_somebody_else(void)
{
    begin(FAKE_FIREWALL_VISTA);
    expect(L"install", 0, "Installed");
    expect(L"setup", 0, "Done");
    registry_set_number(RDP_TCP, L"SecurityLayer", 0);
    expect(L"setup --undo", 0, "Remote Desktop's encryption: changed by somebody else since");
    expect_number(RDP_TCP, L"SecurityLayer", 0);
    expect_number(RDP_TCP, L"UserAuthentication", 1);
    expect(L"setup --undo", 0, "nothing to undo");
    expect(L"uninstall", 0, "Removed");
    finish();
}

static void
test_policy(void)
{
    begin(FAKE_FIREWALL_VISTA);
    registry_set_number(POLICY, L"fDenyTSConnections", 1);
    expect(L"install", 0, "Installed");
    expect(L"setup", 1, "Remote Desktop: off, by a group policy");
    expect_said("Network Level Authentication: required, now not required\r\n");
    expect(L"config get DisableRemoteDesktop", 0, "true");
    expect(L"uninstall", 0, "Removed");
    finish();
}

static void
test_firewall_not_running(void)
{
    begin(0);
    expect(L"install", 0, "Installed");
    expect(L"setup", 0, "Windows Firewall does not run");
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect_nothing(UNDO, L"FirewallPort");
    expect(L"setup --undo", 0, "Windows is as it was");
    /* One that has stopped since keeps its rules, and nobody from being removed. */
    registry_set_number(FAKE_FIREWALL, L"Kind", FAKE_FIREWALL_VISTA);
    expect(L"setup", 0, "now closed");
    registry_set_number(FAKE_FIREWALL, L"Kind", 0);
    expect(L"setup --undo", 1, "Firewall: FAILED");
    expect_number(UNDO, L"FirewallPort", 3389);
    expect(L"uninstall", 0, "Removed");
    finish();
}

static void
test_firewall_off(void)
{
    begin(FAKE_FIREWALL_VISTA);
    registry_set_number(FAKE_FIREWALL, L"Off", 1);
    expect(L"install", 0, "Installed");
    expect(L"setup", 0, "now closed to the network\r\nMind that Windows Firewall is off");
    expect(L"uninstall", 0, "Removed");
    finish();
}

static void
test_port_changed(void)
{
    uint64_t installed;

    begin(FAKE_FIREWALL_VISTA);
    registry_set_number(RDP_TCP, L"PortNumber", 3390);
    expect(L"install", 0, "Installed");
    installed = registry_hash();
    expect(L"setup", 0, "port 3390 now closed");
    check_rule(L"TCP", 6, L"3390");
    registry_set_number(RDP_TCP, L"PortNumber", 3391);
    expect(L"setup", 0, "port 3391 now closed");
    check_rule(L"TCP", 6, L"3391");
    check_rule(L"UDP", 17, L"3391");
    registry_set_number(RDP_TCP, L"PortNumber", 3390);
    expect(L"setup --undo", 0, "Firewall: port 3391 as it was before");
    expect_same(installed, "after setup --undo");
    expect(L"uninstall", 0, "Removed");
    finish();
}

/* ---- XP ---- */

static void
test_xp(void)
{
    uint64_t installed;

    begin(FAKE_FIREWALL_XP);
    /* What an administrator has opened is closed, and opened again. */
    registry_set_number(FAKE_FIREWALL, L"Service0", 0);
    registry_set_number(FAKE_FIREWALL, L"Service1", 1);
    registry_set_number(FAKE_FIREWALL, L"Port0", 1);
    pretend_windows(sizeof(void *) == 8 ? L"winxp64" : L"winxp");
    expect(L"install", 0, "Installed");
    installed = registry_hash();
    expect(L"setup", 0, "Firewall: port 3389 now closed");
    if (strstr(last_output(), "Network Level") != NULL)
        fail("XP has no Network Level Authentication: %s", last_output());
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect_number(RDP_TCP, L"UserAuthentication", 1);
    expect_number(FAKE_FIREWALL, L"Service1", 0);
    expect_number(FAKE_FIREWALL, L"Port0", 0);
    expect_number(UNDO, L"FirewallExceptions", 6);
    expect(L"setup", 0, "Firewall: port 3389 closed to the network already");
    expect(L"setup --undo", 0, "Firewall: port 3389 as it was before");
    expect_number(FAKE_FIREWALL, L"Service0", 0);
    expect_same(installed, "after setup --undo");
    /* With nothing open there is nothing to close. */
    registry_set_number(FAKE_FIREWALL, L"Service1", 0);
    registry_set_number(FAKE_FIREWALL, L"Port0", 0);
    expect(L"setup", 0, "closed to the network already");
    expect_nothing(UNDO, L"FirewallPort");
    expect(L"uninstall", 0, "Removed");
    pretend_windows(NULL);
    finish();
}

/* ---- the server's service ---- */

/* Wine has a TermService that does nothing. */
static SC_HANDLE
open_termservice(SC_HANDLE *manager)
{
    SC_HANDLE opened;

    *manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    opened = OpenServiceW(*manager, L"TermService", SERVICE_ALL_ACCESS);
    if (opened == NULL)
        fail("this Wine has no TermService");
    return opened;
}

static void
set_start_type(SC_HANDLE opened, DWORD type)
{
    if (!ChangeServiceConfigW(opened, SERVICE_NO_CHANGE, type, SERVICE_NO_CHANGE, NULL, NULL, NULL,
                              NULL, NULL, NULL, NULL))
        fail("ChangeServiceConfig");
}

static DWORD
get_start_type(SC_HANDLE opened)
{
    BYTE bytes[8192];
    QUERY_SERVICE_CONFIGW *configuration = (QUERY_SERVICE_CONFIGW *)bytes;
    DWORD size;

    if (!QueryServiceConfigW(opened, configuration, sizeof bytes, &size))
        fail("QueryServiceConfig");
    return configuration->dwStartType;
}

static void
test_termservice(void)
{
    SC_HANDLE manager, opened = open_termservice(&manager);
    SERVICE_STATUS status;
    uint64_t installed;

    begin(FAKE_FIREWALL_VISTA);
    set_start_type(opened, SERVICE_DISABLED);
    if (ControlService(opened, SERVICE_CONTROL_STOP, &status))
        puts("# it did run");
    expect(L"install", 0, "Installed");
    installed = registry_hash();
    expect(L"setup --dry-run", 0, "(TermService): stopped, would be started");
    expect(L"setup", 0, "(TermService): stopped, now started");
    if (!QueryServiceStatus(opened, &status) || status.dwCurrentState != SERVICE_RUNNING)
        fail("TermService does not run");
    expect(L"setup --undo", 0, "(TermService): disabled again");
    expect_same(installed, "after setup --undo");
    /* An administrator who wants it to start with Windows is not overruled. */
    if (!ControlService(opened, SERVICE_CONTROL_STOP, &status))
        fail("stopping TermService");
    expect(L"setup", 0, "Done");
    set_start_type(opened, SERVICE_AUTO_START);
    expect(L"setup --undo", 0, "(TermService): changed by somebody else since");
    if (get_start_type(opened) != SERVICE_AUTO_START)
        fail("the start type of somebody else is gone");
    if (strstr(last_output(), "All else is as it was") == NULL)
        fail("it is not said that something was left");
    set_start_type(opened, SERVICE_DISABLED);
    expect_same(installed, "after setup --undo that left something");
    expect(L"uninstall", 0, "Removed");
    set_start_type(opened, SERVICE_DEMAND_START);
    CloseServiceHandle(opened);
    CloseServiceHandle(manager);
    finish();
}

/* ---- config ---- */

static void
test_system_settings(void)
{
    uint64_t installed;

    begin(FAKE_FIREWALL_VISTA);
    expect(L"config get disableremotedesktop", 0, "true");
    expect(L"config set DisableRemoteDesktop False", 3, "not installed");
    expect(L"install", 0, "Installed");
    installed = registry_hash();
    expect(L"config set DisableRemoteDesktop False", 0, "");
    expect_number(TERMINAL, L"fDenyTSConnections", 0);
    expect(L"config set EnableUserAuthentication 0", 0, "");
    expect_number(RDP_TCP, L"UserAuthentication", 0);
    expect(L"config set DisableBlankPassword no", 0, "");
    expect_number(LSA, L"LimitBlankPasswordUse", 0);
    expect(L"config set SecurityLayer 1", 0, "");
    expect(L"config set OverrideSystemImplementation TRUE", 3010, "Restart Windows");
    expect(L"config set OverrideSystemImplementation true", 0, "");
    expect(L"config list", 0, "DisableRemoteDesktop=false");
    expect_said("OverrideSystemImplementation=true");
    expect_said("SecurityLayer=1");
    expect(L"config set DisableRemoteDesktop maybe", 2, "true or false");
    expect(L"config set SecurityLayer 3", 2, "0, 1 or 2");
    expect(L"config unset EnableUserAuthentication", 0, "");
    expect_number(RDP_TCP, L"UserAuthentication", 1);
    expect(L"config unset EnableUserAuthentication", 0, "");
    expect(L"setup --undo", 3010, "Remote Desktop: again off");
    expect_same(installed, "after setup --undo");
    expect(L"uninstall", 0, "Removed");
    finish();
}

/* Two names for the parts of Server's first. */
static void
test_server_parts(void)
{
    uint64_t installed;

    begin(FAKE_FIREWALL_VISTA);
    expect(L"config get ServerHost", 0, "127.0.0.1");
    expect(L"install", 0, "Installed");
    installed = registry_hash();
    expect(L"config set ServerHost linux.example", 0, "");
    expect(L"config set ServerPort 3390", 0, "");
    expect(L"config get Server", 0, "tcp:linux.example:3390");
    expect(L"config get serverhost", 0, "linux.example");
    expect(L"config get ServerPort", 0, "3390");
    expect(L"config set ServerPort 99999", 2, "the port must be 1 to 65535");
    expect(L"config set ServerHost fe80::1", 0, "");
    expect(L"config get Server", 0, "tcp:[fe80::1]:3390");
    expect(L"config set Server tcp:a:1,tcp:b:2", 0, "");
    expect(L"config set ServerPort 3", 0, "");
    expect(L"config get Server", 0, "tcp:a:3, tcp:b:2");
    expect(L"config set Server tcp:a:3", 0, "");
    expect(L"config unset ServerHost", 0, "");
    expect(L"config get Server", 0, "tcp:127.0.0.1:3");
    expect(L"config unset ServerPort", 0, "");
    expect_same(installed, "without any setting");
    expect(L"uninstall", 0, "Removed");
    finish();
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "setup", test_setup },
    { "options", test_options },
    { "nothing-there", test_nothing_there },
    { "odd-values", test_odd_values },
    { "somebody-else", test_somebody_else },
    { "policy", test_policy },
    { "firewall/not-running", test_firewall_not_running },
    { "firewall/off", test_firewall_off },
    { "firewall/port-changed", test_port_changed },
    { "firewall/xp", test_xp },
    { "termservice", test_termservice },
    { "config/system", test_system_settings },
    { "config/server", test_server_parts },
};

/* GROUP is the name of a test, or the part of it before a slash. */
static bool
is_wanted(const char *name, int count, char **groups)
{
    for (int i = 0; i < count; i++) {
        size_t length = strlen(groups[i]);

        if (strncmp(name, groups[i], length) == 0 &&
            (name[length] == '\0' || name[length] == '/'))
            return true;
    }
    return count == 0;
}

int
main(int count, char **arguments)
{
    bool found = false;

    if (count < 3) {
        puts("usage: test-setup HVSESSION.EXE VMBUSPIPE.DLL [GROUP...]");
        return 2;
    }
    library = arguments[2];
    for (size_t i = 0; i < ARRAYSIZE(tests); i++) {
        if (!is_wanted(tests[i].name, count - 3, arguments + 3))
            continue;
        found = true;
        set_up(arguments[1], library);
        printf("# %s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
        remove_library();
        printf("ok %s\n", tests[i].name);
    }
    if (!found)
        fail("no such group: %s", arguments[3]);
    return 0;
}
