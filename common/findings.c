/* The table of findings: all that hvsession can say about a machine. How it is used: diagnosis.c.
 *
 * Sources: the project's specs; Microsoft's documentation of Set-VMHost and Set-VM; xrdp.ini(5);
 * Linux drivers/uio/uio_hv_generic.c. Texts are plain: what is wrong first, identifiers after.
 */
#include "diagnosis.h"

#include <string.h>

/* Places in the table, for the bits of .hidden_by: by severity, and within that causes before what
 * they cause. */
enum place {
    /* The machine */
    WSL,
    NOT_HYPER_V,
    CONTAINER,
    AZURE,
    VMBUS_MISSING,
    CONFIDENTIAL,
    /* Linux: channels and driver */
    NOT_OFFERED,
    MODULES_GONE,
    KERNEL_TOO_OLD,
    UIO_MISSING,
    OUT_OF_MEMORY,
    NOT_BOUND,
    CHANNEL_HELD,
    PERMISSION,
    /* Windows: driver and server */
    PROGRAM_32_BIT,
    VMBUSPIPE_MISSING,
    HOME_EDITION,
    REMOTE_DESKTOP_OFF,
    TERMSERVICE_STOPPED,
    NLA_REQUIRED,
    PORT_CHANGED,
    FIREWALL,
    /* The service */
    CONFIGURATION,
    SERVICE_DOWN,
    VERSION_REFUSED,
    HOST_SILENT,
    /* The RDP server */
    SERVER_MISSING,
    VSOCK_SYNTAX,
    SERVER_TLS_ONLY,
    SERVER_NLA_ONLY,
    SERVER_REFUSES,
    SECURITY_LAYER,
    SERVER_UNTRUSTED,
    SERVER_ENCRYPTS,
    XORGXRDP_MISSING,
    XORGXRDP_MISMATCH,
    /* The session */
    CONSOLE_LOGIN,
    WAYLAND_ONLY,
    HVSOCKET_ONLY,
    NO_SOUND,
    COLORD_PROMPTS,
    BLANK_PASSWORD,
    BUILTIN_ACTIVE,
    HVSOCKET_TAKEN,
    HVSOCKET_PORT,
    LIMITED,
    PLACES
};

#define BIT(place) (UINT64_C(1) << (place))
/* No guest of the kind that vmconnect shows: nothing else matters. */
#define NO_GUEST (BIT(WSL) | BIT(NOT_HYPER_V) | BIT(CONTAINER) | BIT(AZURE))
/* No channels can be there, whatever the host does. */
#define NO_CHANNELS (NO_GUEST | BIT(VMBUS_MISSING) | BIT(CONFIDENTIAL))
/* The library that leads to the channels of Windows cannot be used. */
#define NO_VMBUSPIPE (BIT(PROGRAM_32_BIT) | BIT(VMBUSPIPE_MISSING))
/* The driver cannot take the channels. */
#define NO_DRIVER                                                                                  \
    (NO_CHANNELS | BIT(MODULES_GONE) | BIT(KERNEL_TOO_OLD) | BIT(UIO_MISSING) | BIT(HVSOCKET_ONLY))
/* Terminal Services of Windows cannot answer. */
#define NO_TERMINAL_SERVICES                                                                       \
    (NO_GUEST | BIT(HOME_EDITION) | BIT(REMOTE_DESKTOP_OFF) | BIT(TERMSERVICE_STOPPED))

/* ---- when they apply ---- */

/* One predicate on the facts a line. */
#define WHEN(name, condition)                                                                      \
    static inline bool name(const struct hvs_facts *f)                                             \
    {                                                                                              \
        return condition;                                                                          \
    }

static bool
is(const char *string, const char *word)
{
    return hvs_text_is_word(string, strlen(string), word);
}

WHEN(on_linux, f->os == HVS_OS_LINUX)
WHEN(on_windows, f->os == HVS_OS_WINDOWS)
WHEN(on_debian_12, f->distribution == HVS_DISTRIBUTION_DEBIAN && is(f->distribution_version, "12"))
WHEN(on_ubuntu, f->distribution == HVS_DISTRIBUTION_UBUNTU)
WHEN(on_ubuntu_24_04, on_ubuntu(f) && is(f->distribution_version, "24.04"))
WHEN(with_apt, f->distribution == HVS_DISTRIBUTION_DEBIAN || on_ubuntu(f))
WHEN(with_dnf, f->distribution == HVS_DISTRIBUTION_FEDORA)
WHEN(with_zypper, f->distribution == HVS_DISTRIBUTION_SUSE)
WHEN(with_pacman, f->distribution == HVS_DISTRIBUTION_ARCH)
WHEN(with_apk, f->distribution == HVS_DISTRIBUTION_ALPINE)
WHEN(with_another_kernel_source, on_linux(f) && !on_debian_12(f) && !on_ubuntu_24_04(f))

WHEN(with_another_module_source, on_linux(f) && !on_ubuntu(f) && !with_dnf(f))
WHEN(with_another_manager,
     !with_apt(f) && !with_dnf(f) && !with_zypper(f) && !with_pacman(f) && !with_apk(f))

WHEN(in_wsl, f->wsl == HVS_YES)
WHEN(in_other_hypervisor, f->hypervisor == HVS_HYPERVISOR_OTHER)
WHEN(on_bare_metal, f->hypervisor == HVS_HYPERVISOR_NONE)
WHEN(not_hyper_v, in_other_hypervisor(f) || on_bare_metal(f))
WHEN(in_container, f->container == HVS_YES)
WHEN(in_azure, f->azure == HVS_YES)
WHEN(vmbus_missing, f->hypervisor == HVS_HYPERVISOR_HYPER_V && f->vmbus == HVS_NO && on_linux(f))
WHEN(hvsocket_listens, f->hvsocket_listening == HVS_YES)
WHEN(hvsocket_does_not_listen, !hvsocket_listens(f))
/* Our service listens wherever there is a host: that alone says nothing about the host. */
WHEN(hvsocket_serves, hvsocket_listens(f) && f->hvsocket_used != HVS_NO)
WHEN(hvsocket_waits, hvsocket_listens(f) && f->hvsocket_used == HVS_NO)
WHEN(hvsocket_does_not_wait, !hvsocket_waits(f))
WHEN(confidential_without_hvsocket,
     f->confidential == HVS_YES && !hvsocket_serves(f) && f->control_offered != HVS_YES)

WHEN(not_offered, f->control_offered == HVS_NO && !hvsocket_serves(f))
WHEN(hvsocket_only, f->control_offered == HVS_NO && hvsocket_serves(f))
WHEN(modules_gone, f->kernel_modules == HVS_NO && f->uio_loaded == HVS_NO)
WHEN(kernel_too_old, f->control_bound != HVS_YES &&
                         (f->kernel_refuses == HVS_YES ||
                          (f->kernel_recent == HVS_NO && f->channels_monitored != HVS_YES)))
WHEN(uio_missing, f->uio_available == HVS_NO && f->control_bound != HVS_YES)
WHEN(out_of_memory, f->out_of_memory == HVS_YES && f->control_bound != HVS_YES)
WHEN(not_bound, f->control_offered == HVS_YES && f->control_bound == HVS_NO)
WHEN(uio_not_loaded, f->uio_loaded == HVS_NO)
WHEN(channel_held, f->channel_held == HVS_YES)
WHEN(holder_is_known, f->holder_pid != 0)
WHEN(holder_is_not_known, f->holder_pid == 0)
WHEN(node_denied, f->node_accessible == HVS_NO)

WHEN(configuration, f->config_error[0] != '\0')
WHEN(service_down, f->service_running == HVS_NO)
WHEN(version_refused, f->control_problem == HVS_CONTROL_REFUSED)
WHEN(host_silent, f->control_problem == HVS_CONTROL_NO_ANSWER ||
                      f->control_problem == HVS_CONTROL_HOST_ERROR ||
                      f->control_problem == HVS_CONTROL_BAD_MESSAGE)

/* [MS-RDPBCGR] 2.2.1.2.2 failureCode */
#define SSL_REQUIRED_BY_SERVER    1u
#define HYBRID_REQUIRED_BY_SERVER 5u

WHEN(server_missing, f->server_listening == HVS_NO)
WHEN(xrdp_not_there, on_linux(f) && f->xrdp_installed != HVS_YES)
WHEN(no_xrdp_with_apt, xrdp_not_there(f) && with_apt(f))
WHEN(no_xrdp_with_dnf, xrdp_not_there(f) && with_dnf(f))
WHEN(no_xrdp_with_zypper, xrdp_not_there(f) && with_zypper(f))
WHEN(no_xrdp_with_apk, xrdp_not_there(f) && with_apk(f))
WHEN(no_xrdp_otherwise,
     xrdp_not_there(f) && !with_apt(f) && !with_dnf(f) && !with_zypper(f) && !with_apk(f))
WHEN(own_xrdp_is_tried, on_linux(f) && f->own_xrdp_tried != HVS_NO)
WHEN(own_xrdp_is_not_tried, on_linux(f) && f->own_xrdp_tried == HVS_NO)
WHEN(xrdp_serves, on_linux(f) && f->xrdp_is_server == HVS_YES)
WHEN(xrdp_ini_used, on_linux(f) && f->xrdp_ini_used == HVS_YES)
WHEN(vsock_syntax, xrdp_ini_used(f) && f->xrdp_vsock_wrong == HVS_YES)
WHEN(server_tls_only, f->failure_code == SSL_REQUIRED_BY_SERVER && f->relay_speaks_tls != HVS_YES)
/* [MS-RDPBCGR] 2.2.1.2.2: SSL_NOT_ALLOWED_BY_SERVER, SSL_CERT_NOT_ON_SERVER */
WHEN(server_has_no_tls, on_linux(f) && (f->failure_code == 2 || f->failure_code == 3))
WHEN(server_nla_only, f->failure_code == HYBRID_REQUIRED_BY_SERVER)
WHEN(server_refuses,
     f->failure_code != 0 && f->failure_code != SSL_REQUIRED_BY_SERVER && !server_nla_only(f))
WHEN(server_untrusted, f->server_untrusted == HVS_YES)
WHEN(xrdp_wants_tls, xrdp_ini_used(f) && is(f->xrdp_security_layer, "tls"))
WHEN(security_layer_tls, xrdp_wants_tls(f) && f->relay_speaks_tls != HVS_YES)
/* Within TLS it is of no effect. */
WHEN(crypt_level_set, xrdp_ini_used(f) && f->xrdp_crypt_level[0] != '\0' &&
                          !is(f->xrdp_crypt_level, "none") &&
                          !(xrdp_wants_tls(f) && f->relay_speaks_tls == HVS_YES))
WHEN(server_encrypts,
     f->reply_mirrored == HVS_YES && (crypt_level_set(f) || f->server_encrypts == HVS_YES))
WHEN(xorgxrdp_missing,
     xrdp_serves(f) && f->xorgxrdp_installed == HVS_NO && f->xvnc_installed != HVS_YES)
WHEN(xorgxrdp_mismatch, xrdp_serves(f) && f->xorgxrdp_matches == HVS_NO)

WHEN(console_login, f->console_login == HVS_YES && f->xrdp_is_server != HVS_NO)
WHEN(wayland_only, f->wayland_sessions == HVS_YES && f->x_sessions == HVS_NO)
WHEN(no_sound, xrdp_serves(f) && f->sound_module == HVS_NO)
WHEN(colord_prompts, f->colord_prompts == HVS_YES)
WHEN(hvsocket_taken, f->xrdp_vsock == HVS_YES)
WHEN(hvsocket_port_taken, f->hvsocket_taken == HVS_YES)
WHEN(limited, f->limited == HVS_YES)

WHEN(program_32_bit, f->vmbuspipe == HVS_NO && f->vmbuspipe_64 == HVS_YES)
WHEN(vmbuspipe_missing, f->vmbuspipe == HVS_NO)
WHEN(home_edition, f->home_edition == HVS_YES)
WHEN(remote_desktop_off, f->remote_desktop == HVS_NO)
WHEN(termservice_stopped, f->termservice_running == HVS_NO)
WHEN(nla_required, f->nla_required == HVS_YES)
WHEN(port_changed, f->rdp_port != 0 && f->configured_port != 0 && f->rdp_port != f->configured_port)
WHEN(firewall_blocks, f->firewall_blocks == HVS_YES)
WHEN(firewall_of_xp, f->windows_version != 0 && f->windows_version < 600)
WHEN(firewall_of_vista, f->windows_version >= 600)
WHEN(blank_password, f->blank_password == HVS_YES)
WHEN(builtin_active, f->builtin_active == HVS_YES)

/* ---- steps of fixes, and those that several share ---- */

#define GUEST(...) { .where = HVS_PLACE_GUEST, __VA_ARGS__ },
#define HOST(...)  { .where = HVS_PLACE_HOST, __VA_ARGS__ },
/* Not for Windows, whose program would grow by a fifth: likewise the findings below. */
#ifdef HVS_FINDINGS_OF_LINUX
#define LINUX(...) GUEST(__VA_ARGS__)
#else
#define LINUX(...)
#endif

/* Of steps one behind the other, ended by one of nothing. */
#define FIXES(...) (const struct hvs_fix[]) { __VA_ARGS__ { .where = HVS_PLACE_GUEST } }

#define USE_HVSOCKET                                                                               \
    HOST(.note = "Or use the other transport, HvSocket, which needs nothing of that:",             \
         .command = "Stop-VM -Name {vm}\n"                                                         \
                    "Set-VM -VMName {vm} -EnhancedSessionTransportType HvSocket\n"                 \
                    "Start-VM -Name {vm}",                                                         \
         .when = on_linux)
#define START_BINDING GUEST(.command = "sudo systemctl restart hvsession-bind.service")
#define OWN_XRDP_WITH(words)                                                                       \
    LINUX(.note = (words), .command = "sudo hvsession setup", .when = own_xrdp_is_tried)           \
    LINUX(.note = (words),                                                                         \
          .command = "sudo hvsession config set Server auto\n"                                     \
                     "sudo hvsession setup",                                                       \
          .when = own_xrdp_is_not_tried)
#define OWN_XRDP                                                                                   \
    OWN_XRDP_WITH("Let hvsession start an xrdp of its own, set up for this and reachable from "    \
                  "this machine only:")
#define SET_UP_WINDOWS                                                                             \
    GUEST(.note = "Let hvsession change that; hvsession setup --undo puts it back:",               \
          .command = "hvsession setup", .when = on_windows)
#define XRDP_BY_HAND                                                                               \
    LINUX(.note = "Or set security_layer=rdp and crypt_level=none in /etc/xrdp/xrdp.ini, if "      \
                  "nobody else reaches that server, and restart it:",                              \
          .command = "sudo systemctl restart xrdp", .when = xrdp_ini_used)

#define SPEAK_TLS                                                                                  \
    LINUX(.note = "Let hvsession speak TLS to servers that insist on it:",                         \
          .command = "sudo hvsession config set ServerSecurity auto", .when = on_linux)

static const struct hvs_finding table[] = {
    /* ---- the machine ---- */
#ifdef HVS_FINDINGS_OF_LINUX
    [WSL] = {
        "HVS-101", "wsl", HVS_SEVERITY_ERROR, HVS_VERDICT_NOT_A_GUEST, in_wsl, 0,
        "This is the Windows Subsystem for Linux, not a Hyper-V virtual machine.",
        "WSL runs on Hyper-V, but vmconnect cannot connect to it, so that it has no Enhanced "
        "Session. Its programs show their windows on the Windows desktop by themselves.",
        FIXES(GUEST(.note = "Nothing to mend: run graphical programs from the WSL shell, or use "
                            "hvsession in a virtual machine made with Hyper-V Manager.")),
    },
#endif
    [NOT_HYPER_V] = {
        "HVS-102", "not-hyper-v", HVS_SEVERITY_ERROR, HVS_VERDICT_NOT_A_GUEST, not_hyper_v,
        BIT(WSL),
        "This is not a Hyper-V virtual machine: {hypervisor}.",
        "Enhanced Session is a way of Hyper-V to reach into its guests; there is nothing for "
        "hvsession to do here.",
        FIXES(GUEST(.note = "Nothing to mend: connect to this machine over the network, or with "
                            "the console of its own hypervisor.", .when = in_other_hypervisor)
              GUEST(.note = "Nothing to mend: connect to this machine over the network.",
                    .when = on_bare_metal)),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [CONTAINER] = {
        "HVS-103", "container", HVS_SEVERITY_ERROR, HVS_VERDICT_NOT_A_GUEST, in_container,
        BIT(WSL) | BIT(NOT_HYPER_V),
        "This is a container ({container}), not the virtual machine itself.",
        "The channels of Enhanced Session belong to the virtual machine that the container "
        "runs in.",
        FIXES(GUEST(.note = "Install hvsession outside, in the virtual machine, and run hvsession "
                            "doctor there.")),
    },
#endif
    [AZURE] = {
        "HVS-104", "azure", HVS_SEVERITY_ERROR, HVS_VERDICT_NOT_OFFERED, in_azure,
        BIT(WSL) | BIT(NOT_HYPER_V) | BIT(CONTAINER),
        "This is a virtual machine in Azure, which has no Enhanced Session.",
        "Azure runs on Hyper-V, but gives nobody its hosts, and vmconnect works through the "
        "host.",
        FIXES(GUEST(.note = "Nothing to mend: connect over the network with an RDP client.")),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [VMBUS_MISSING] = {
        "HVS-201", "vmbus-missing", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, vmbus_missing,
        NO_GUEST,
        "The kernel {kernel} does not drive the VMBus, through which Hyper-V talks to its "
        "guests.",
        "Without the driver hv_vmbus there are no channels, and no other Hyper-V devices.",
        FIXES(GUEST(.command = "sudo modprobe hv_vmbus")
              GUEST(.note = "If there is no such module, install your distribution's ordinary "
                            "kernel and restart.")),
    },
    [CONFIDENTIAL] = {
        "HVS-105", "confidential", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        confidential_without_hvsocket, NO_GUEST | BIT(VMBUS_MISSING),
        "This is a confidential virtual machine, whose kernel keeps the channels of Enhanced "
        "Session out.",
        "Under SEV-SNP and TDX, Linux takes only those VMBus devices that are hardened "
        "against the host. HvSocket is the transport that remains.",
        FIXES(GUEST(.note = "Serve HvSocket:", .command = "sudo hvsession config set HvSocket yes",
                    .when = hvsocket_does_not_listen)
              HOST(.note = "Use it:",
                   .command = "Stop-VM -Name {vm}\n"
                              "Set-VM -VMName {vm} -EnhancedSessionTransportType HvSocket\n"
                              "Start-VM -Name {vm}")),
    },
#endif
    /* ---- Linux: channels and driver ---- */
    [NOT_OFFERED] = {
        "HVS-202", "not-offered", HVS_SEVERITY_ERROR, HVS_VERDICT_NOT_OFFERED, not_offered,
        NO_CHANNELS | NO_VMBUSPIPE,
        "The host does not offer Enhanced Session to this virtual machine.",
        "The guest only answers an offer. It comes from the host, and three things there "
        "hold it back: the server's policy, the user's setting and the machine's transport.",
        FIXES(HOST(.note = "Allow it on the server:",
                   .command = "Set-VMHost -EnableEnhancedSessionMode $true")
              HOST(.note = "If this machine was set to HvSocket, go back to VMBus:",
                   .command = "Stop-VM -Name {vm}\n"
                              "Set-VM -VMName {vm} -EnhancedSessionTransportType VMBus\n"
                              "Start-VM -Name {vm}",
                   .when = hvsocket_does_not_wait)
              HOST(.note = "If this machine was set to HvSocket, it may stay so: hvsession listens "
                           "there, but nobody has come that way since it started.",
                   .when = hvsocket_waits)
              HOST(.note = "In Hyper-V Manager, under Hyper-V Settings, User, Enhanced Session "
                           "Mode, tick \"Use enhanced session mode\". Then close the machine's "
                           "window and connect again while it runs.")),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [MODULES_GONE] = {
        "HVS-206", "kernel-modules-gone", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        modules_gone, NO_CHANNELS | BIT(HVSOCKET_ONLY),
        "The modules of the running kernel {kernel} are not installed any more.",
        "An update has most likely replaced them: drivers that are not loaded yet cannot be "
        "loaded until the new kernel runs.",
        FIXES(GUEST(.command = "sudo reboot")),
    },
    [KERNEL_TOO_OLD] = {
        "HVS-203", "kernel-too-old", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, kernel_too_old,
        NO_CHANNELS | BIT(HVSOCKET_ONLY),
        "The kernel {kernel} is too old for Enhanced Session over VMBus: Linux 6.10 is the "
        "first that can do it.",
        "Its driver uio_hv_generic refuses channels without a monitor page, and these have "
        "none.",
        FIXES(GUEST(.note = "With bookworm-backports among the package sources:",
                    .command = "sudo apt install -t bookworm-backports linux-image-$(dpkg "
                               "--print-architecture)\n"
                               "sudo reboot",
                    .when = on_debian_12)
              GUEST(.command = "sudo apt install linux-generic-hwe-24.04\n"
                               "sudo reboot",
                    .when = on_ubuntu_24_04)
              GUEST(.note = "Install Linux 6.10 or later, if your distribution or its next release "
                            "has it, and restart.",
                    .when = with_another_kernel_source)
              USE_HVSOCKET),
    },
    [UIO_MISSING] = {
        "HVS-204", "uio-missing", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, uio_missing,
        NO_CHANNELS | BIT(MODULES_GONE) | BIT(KERNEL_TOO_OLD) | BIT(HVSOCKET_ONLY),
        "The kernel {kernel} comes without the driver uio_hv_generic.",
        "hvsession reaches the channels through this driver.",
        FIXES(GUEST(.command = "sudo apt install linux-modules-extra-$(uname -r)\n"
                               "sudo systemctl restart hvsession-bind.service",
                    .when = on_ubuntu)
              GUEST(.note = "Install the package that this names:",
                    .command = "dnf provides '*/uio_hv_generic.ko*'", .when = with_dnf)
              GUEST(.note = "Install the package of your distribution, or the kernel, that has the "
                            "module uio_hv_generic.",
                    .when = with_another_module_source)
              USE_HVSOCKET),
    },
    [OUT_OF_MEMORY] = {
        "HVS-205", "out-of-memory", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, out_of_memory,
        NO_DRIVER | BIT(NOT_OFFERED),
        "The kernel has no memory for the channels of Enhanced Session.",
        "Every channel takes a block of memory in one piece; in a small or long-running "
        "machine there may be none.",
        FIXES(GUEST(.note = "Let the kernel tidy up, and try again:",
                    .command = "echo 1 | sudo tee /proc/sys/vm/compact_memory")
              START_BINDING
              HOST(.note = "Or give the virtual machine more memory; it has to be off for that.")),
    },
    [NOT_BOUND] = {
        "HVS-207", "not-bound", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, not_bound,
        NO_DRIVER | BIT(OUT_OF_MEMORY),
        "The host offers Enhanced Session, but its channels are not bound to the driver "
        "uio_hv_generic.",
        "hvsession's udev rule and hvsession-bind.service do that, as root.",
        FIXES(GUEST(.command = "sudo modprobe uio_hv_generic", .when = uio_not_loaded)
              START_BINDING
              GUEST(.note = "Should that fail, the kernel says why:",
                    .command = "sudo dmesg | grep -iE 'vmbus|uio_hv_generic'")),
    },
    [CHANNEL_HELD] = {
        "HVS-208", "channel-held", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, channel_held,
        NO_DRIVER | BIT(NOT_OFFERED) | BIT(NOT_BOUND),
        "Another process holds the control channel{holder}.",
        "Two that use one channel would read each other's messages, so that hvsession leaves "
        "it alone.",
        FIXES(GUEST(.note = "See which service it belongs to, then stop and disable that one:",
                    .command = "systemctl status {holder_pid}", .when = holder_is_known)
              GUEST(.note = "Or end just this process:", .command = "sudo kill {holder_pid}",
                    .when = holder_is_known)
              GUEST(.note = "See which it is, and stop it:",
                    .command = "sudo fuser -v /dev/{node}", .when = holder_is_not_known)),
    },
    [PERMISSION] = {
        "HVS-209", "permission", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, node_denied,
        NO_DRIVER | BIT(NOT_OFFERED) | BIT(NOT_BOUND),
        "The service may not open the control channel, /dev/{node}.",
        "hvsession runs without root, as the user hvsession; its udev rule gives the group of "
        "that name access to the channels.",
        /* A mere reload is passed over by systemd 257 if no file of rules has changed, even where
         * the group is newer than they are. */
        FIXES(GUEST(.command = "sudo systemctl restart systemd-udevd\n"
                               "sudo udevadm trigger /dev/{node}")),
    },
#endif
    /* ---- Windows: driver and server ---- */
    [PROGRAM_32_BIT] = {
        "HVS-510", "program-32-bit", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, program_32_bit,
        NO_GUEST,
        "This is hvsession for 32-bit Windows, but Windows is a 64-bit one.",
        "vmbuspipe.dll, of the integration services, is there, but only for 64-bit programs.",
        FIXES(GUEST(.note = "Remove this hvsession, and install the one for 64-bit Windows (x64):",
                    .command = "hvsession uninstall")),
    },
    [VMBUSPIPE_MISSING] = {
        "HVS-501", "vmbuspipe-missing", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        vmbuspipe_missing, NO_GUEST | BIT(PROGRAM_32_BIT),
        "Hyper-V's integration services are missing or too old: vmbuspipe.dll does not load.",
        "hvsession reaches the channels of Enhanced Session through this library.",
        FIXES(GUEST(.note = "Install the integration services and restart: in the machine's window "
                            "Action, Insert Integration Services Setup Disk (hosts up to Windows "
                            "Server 2012 R2), on later hosts through Windows Update.")),
    },
    [HOME_EDITION] = {
        "HVS-502", "home-edition", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, home_edition,
        NO_GUEST,
        "This edition of Windows has no Remote Desktop server.",
        "Enhanced Session is a Remote Desktop session; Home editions can only be the client "
        "of one.",
        FIXES(GUEST(.note = "Use a Professional, Ultimate, Enterprise or Server edition.")),
    },
    [REMOTE_DESKTOP_OFF] = {
        "HVS-503", "remote-desktop-off", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        remote_desktop_off, NO_GUEST | BIT(HOME_EDITION),
        "Remote Desktop is turned off.",
        "Enhanced Session is a Remote Desktop session that comes through the host instead of "
        "the network.",
        FIXES(SET_UP_WINDOWS),
    },
    [TERMSERVICE_STOPPED] = {
        "HVS-504", "termservice-stopped", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        termservice_stopped, NO_GUEST | BIT(HOME_EDITION),
        "The Remote Desktop service (TermService) does not run.",
        "It is the server that hvsession connects to.",
        FIXES(GUEST(.command = "sc config TermService start= demand\n"
                               "net start TermService")),
    },
    [NLA_REQUIRED] = {
        "HVS-505", "nla-required", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, nla_required,
        NO_TERMINAL_SERVICES,
        "Remote Desktop accepts clients with Network Level Authentication only.",
        "The host has dealt with the logon of an Enhanced Session already and sends plain RDP. "
        "Mind that turning this off is for connections over the network, too.",
        FIXES(SET_UP_WINDOWS),
    },
    [PORT_CHANGED] = {
        "HVS-506", "port-changed", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, port_changed,
        NO_TERMINAL_SERVICES,
        "Remote Desktop listens on port {rdp_port}, but hvsession connects to port "
        "{configured_port}.",
        "The port was changed on one side only.",
        FIXES(GUEST(.command = "hvsession config set Server tcp:127.0.0.1:{rdp_port}")),
    },
    [FIREWALL] = {
        "HVS-507", "firewall", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, firewall_blocks,
        NO_TERMINAL_SERVICES | BIT(PORT_CHANGED),
        "Remote Desktop runs, but a firewall keeps hvsession from it.",
        "hvsession connects to the Remote Desktop service of this machine, on {server}.",
        FIXES(GUEST(.command = "netsh firewall set service type=remotedesktop mode=enable",
                    .when = firewall_of_xp)
              GUEST(.command = "netsh advfirewall firewall set rule "
                               "group=\"@FirewallAPI.dll,-28752\" new enable=yes",
                    .when = firewall_of_vista)
              GUEST(.note = "With another maker's firewall, allow connections from this machine to "
                            "itself.")),
    },
    /* ---- the service ---- */
    [CONFIGURATION] = {
        "HVS-214", "configuration", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, configuration,
        NO_GUEST,
        "The configuration has a mistake ({config_error}).",
        "The service does not start with a setting that it does not understand.",
        FIXES(LINUX(.note = "Mend that line; then:",
                    .command = "sudo systemctl restart hvsessiond.service", .when = on_linux)
              GUEST(.note = "Mend that setting; then:", .command = "net start HvSession",
                    .when = on_windows)),
    },
    [SERVICE_DOWN] = {
        "HVS-210", "service-down", HVS_SEVERITY_ERROR, HVS_VERDICT_SERVICE_DOWN, service_down,
        NO_GUEST | NO_VMBUSPIPE | BIT(CONFIGURATION),
        "The hvsession service does not run.",
        "It answers the host and carries the sessions.",
        FIXES(LINUX(.command = "sudo systemctl enable --now hvsessiond.service", .when = on_linux)
              LINUX(.note = "Should it stop again, its log says why:",
                    .command = "journalctl -e -u hvsessiond.service", .when = on_linux)
              GUEST(.command = "net start HvSession", .when = on_windows)
              GUEST(.note = "Should it stop again, the event log says why:",
                    .command = "eventvwr.msc", .when = on_windows)),
    },
    [VERSION_REFUSED] = {
        "HVS-211", "version-refused", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        version_refused, NO_CHANNELS | BIT(SERVICE_DOWN),
        "The host offers Enhanced Session, but refuses the protocol version 1.0.",
        "No host is known that does; this one may be newer than hvsession.",
        FIXES(HOST(.note = "Bring the host up to date. Its version:",
                   .command = "[Environment]::OSVersion.Version")
              LINUX(.note = "If it goes on, report it with this:",
                    .command = "sudo hvsession support-bundle", .when = on_linux)),
    },
    [HOST_SILENT] = {
        "HVS-212", "host-silent", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, host_silent,
        NO_CHANNELS | BIT(SERVICE_DOWN),
        "The host offers Enhanced Session, but the guest cannot agree with it: {problem}.",
        "Until both have agreed on a version, vmconnect does not offer Enhanced Session. "
        "hvsession goes on trying.",
        FIXES(HOST(.note = "Close the machine's window and connect again. If that does not help, "
                           "restart the machine:",
                   .command = "Restart-VM -Name {vm}")),
    },
    /* ---- the RDP server ---- */
    [SERVER_MISSING] = {
        "HVS-301", "server-missing", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, server_missing,
        NO_TERMINAL_SERVICES | NO_VMBUSPIPE | BIT(PORT_CHANGED) | BIT(FIREWALL) | BIT(VSOCK_SYNTAX),
        "No RDP server listens on {server}.",
        "hvsession carries the session to an RDP server in this machine; the desktop comes "
        "from that server.",
        FIXES(LINUX(.command = "sudo apt install xrdp xorgxrdp", .when = no_xrdp_with_apt)
              LINUX(.note = "Red Hat Enterprise Linux and its rebuilds have it in EPEL:",
                    .command = "sudo dnf install xrdp xorgxrdp", .when = no_xrdp_with_dnf)
              LINUX(.command = "sudo zypper install xrdp xorgxrdp", .when = no_xrdp_with_zypper)
              LINUX(.command = "sudo apk add xrdp xorgxrdp", .when = no_xrdp_with_apk)
              LINUX(.note = "Install xrdp and xorgxrdp.", .when = no_xrdp_otherwise)
              OWN_XRDP
              GUEST(.command = "net start TermService", .when = on_windows)),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [VSOCK_SYNTAX] = {
        "HVS-302", "vsock-syntax", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED, vsock_syntax,
        NO_GUEST,
        "xrdp cannot start with use_vsock=true and port={xrdp_port}.",
        "With use_vsock, xrdp takes the port for a HvSocket address, which a bare number is "
        "not.",
        FIXES(GUEST(.note = "Set in the section [Globals] port=3389 and use_vsock=false for TCP, "
                            "or port=vsock://-1:3389 for HvSocket, and restart it:",
                    .command = "sudoedit /etc/xrdp/xrdp.ini\n"
                               "sudo systemctl restart xrdp")),
    },
#endif
    [SERVER_TLS_ONLY] = {
        "HVS-303", "server-tls-only", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        server_tls_only, NO_GUEST | BIT(SERVER_MISSING) | BIT(SECURITY_LAYER),
        "The RDP server accepts TLS only (SSL_REQUIRED_BY_SERVER).",
        "The host has dealt with encryption already, and what hvsession passes on is plain "
        "RDP.",
        FIXES(SPEAK_TLS OWN_XRDP XRDP_BY_HAND SET_UP_WINDOWS),
    },
    [SERVER_NLA_ONLY] = {
        "HVS-304", "server-nla-only", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        server_nla_only, NO_GUEST | BIT(SERVER_MISSING) | BIT(NLA_REQUIRED),
        "The RDP server accepts Network Level Authentication only "
        "(HYBRID_REQUIRED_BY_SERVER).",
        "The host has dealt with the logon already and sends plain RDP, which servers such as "
        "gnome-remote-desktop do not take.",
        FIXES(OWN_XRDP SET_UP_WINDOWS),
    },
    [SERVER_REFUSES] = {
        "HVS-305", "server-refuses", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        server_refuses, NO_GUEST | BIT(SERVER_MISSING),
        "The RDP server has refused the last session: {failure}.",
        "hvsession asks for plain RDP, since the host has dealt with security already, and for "
        "TLS where the server wants that or ServerSecurity says so.",
        FIXES(LINUX(.note = "Let hvsession ask for plain RDP first:",
                    .command = "sudo hvsession config set ServerSecurity auto",
                    .when = server_has_no_tls)
              OWN_XRDP XRDP_BY_HAND
              GUEST(.note = "Look for Remote Desktop in the event log:", .command = "eventvwr.msc",
                    .when = on_windows)),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [SECURITY_LAYER] = {
        "HVS-306", "security-layer", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        security_layer_tls, NO_GUEST | BIT(VSOCK_SYNTAX),
        "xrdp is set to accept TLS only (security_layer={security_layer}).",
        "The host has dealt with encryption already, and what hvsession passes on is plain "
        "RDP.",
        FIXES(SPEAK_TLS OWN_XRDP XRDP_BY_HAND),
    },
    [SERVER_UNTRUSTED] = {
        "HVS-312", "server-untrusted", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        server_untrusted, NO_GUEST | BIT(SERVER_MISSING),
        "The RDP server {server} has a certificate that this system does not trust.",
        "TLS with a server on another machine takes a certificate that is trusted and made out "
        "to the name that Server has. The log says what is wrong with this one.",
        FIXES(GUEST(.note = "Have its issuer's certificate, or its own, trusted here:",
                    .command = "sudo cp server.crt /usr/local/share/ca-certificates/\n"
                               "sudo update-ca-certificates",
                    .when = with_apt)
              GUEST(.note = "Have its issuer's certificate, or its own, trusted here:",
                    .command = "sudo cp server.crt /usr/local/share/ca-certificates/\n"
                               "sudo update-ca-certificates",
                    .when = with_apk)
              GUEST(.note = "Have its issuer's certificate, or its own, trusted here:",
                    .command = "sudo cp server.crt /etc/pki/ca-trust/source/anchors/\n"
                               "sudo update-ca-trust",
                    .when = with_dnf)
              GUEST(.note = "Have its issuer's certificate, or its own, trusted here:",
                    .command = "sudo cp server.crt /etc/pki/trust/anchors/\n"
                               "sudo update-ca-certificates",
                    .when = with_zypper)
              GUEST(.note = "Have its issuer's certificate, or its own, trusted here:",
                    .command = "sudo trust anchor --store server.crt", .when = with_pacman)
              OWN_XRDP_WITH("Or use an RDP server of this machine, which needs no certificate:")),
    },
#endif
    [SERVER_ENCRYPTS] = {
        "HVS-307", "server-encrypts", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        server_encrypts, NO_GUEST | BIT(VSOCK_SYNTAX) | BIT(SECURITY_LAYER),
        "The RDP server encrypts by itself{crypt_level}, which clients of Enhanced Session do "
        "not expect.",
        "To the client the session is secure already, through the host; one that is encrypted "
        "once more ends at once.",
        FIXES(OWN_XRDP XRDP_BY_HAND
              GUEST(.note = "Or answer the client as the server does:",
                    .command = "hvsession config set NegotiationReply passthrough",
                    .when = on_windows)),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [XORGXRDP_MISSING] = {
        "HVS-308", "xorgxrdp-missing", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        xorgxrdp_missing, NO_GUEST,
        "xrdp has no X server to show: xorgxrdp is not installed.",
        "The login works, and then the screen stays blue or the session ends.",
        FIXES(GUEST(.command = "sudo apt install xorgxrdp", .when = with_apt)
              GUEST(.command = "sudo dnf install xorgxrdp", .when = with_dnf)
              GUEST(.command = "sudo zypper install xorgxrdp", .when = with_zypper)
              GUEST(.command = "sudo apk add xorgxrdp", .when = with_apk)
              GUEST(.note = "Arch Linux has it in the AUR: install xorgxrdp from there.",
                    .when = with_pacman)
              GUEST(.note = "Install your distribution's xorgxrdp.",
                    .when = with_another_manager)),
    },
    [XORGXRDP_MISMATCH] = {
        "HVS-309", "xorgxrdp-mismatch", HVS_SEVERITY_ERROR, HVS_VERDICT_DEGRADED,
        xorgxrdp_mismatch, NO_GUEST | BIT(XORGXRDP_MISSING),
        "xorgxrdp was made for another X server (video ABI {xorgxrdp_abi}, installed is "
        "{xorg_abi}).",
        "Xorg does not load it then: the login works, and the screen stays blue or black. "
        "Usually one of both was updated without the other.",
        FIXES(GUEST(.command = "sudo apt update\n"
                               "sudo apt install xorgxrdp xserver-xorg-core",
                    .when = with_apt)
              GUEST(.command = "sudo dnf upgrade xorgxrdp xorg-x11-server-Xorg",
                    .when = with_dnf)
              GUEST(.command = "sudo zypper update xorgxrdp xorg-x11-server",
                    .when = with_zypper)
              GUEST(.note = "Should that change nothing, build xorgxrdp anew for the X server that "
                            "is there.")),
    },
    /* ---- the session ---- */
    [CONSOLE_LOGIN] = {
        "HVS-401", "console-login", HVS_SEVERITY_WARNING, HVS_VERDICT_DEGRADED,
        console_login, NO_GUEST,
        "{user} is logged in on the console; in Enhanced Session the same user gets a black "
        "screen.",
        "Most desktops run once for each user. Other users are not concerned.",
        FIXES(GUEST(.note = "Log out on the console (and turn automatic login off). To end that "
                            "session at once, without saving:",
                    .command = "loginctl terminate-session {session}")),
    },
    [WAYLAND_ONLY] = {
        "HVS-402", "wayland-only", HVS_SEVERITY_WARNING, HVS_VERDICT_DEGRADED, wayland_only,
        NO_GUEST,
        "All installed desktops run on Wayland only, and xrdp shows X desktops.",
        "The login works, but no desktop starts.",
        FIXES(GUEST(.note = "Add one that runs on X:", .command = "sudo apt install xfce4",
                    .when = with_apt)
              GUEST(.note = "Add one that runs on X:",
                    .command = "sudo dnf install @xfce-desktop-environment", .when = with_dnf)
              GUEST(.note = "Add one that runs on X:",
                    .command = "sudo zypper install -t pattern xfce", .when = with_zypper)
              GUEST(.note = "Add one that runs on X:", .command = "sudo pacman -S xfce4",
                    .when = with_pacman)
              GUEST(.note = "Add one that runs on X:", .command = "sudo setup-desktop xfce",
                    .when = with_apk)
              GUEST(.note = "Then log out, and in again.")),
    },
    [HVSOCKET_ONLY] = {
        "HVS-213", "hvsocket-only", HVS_SEVERITY_ADVICE, HVS_VERDICT_FINE, hvsocket_only,
        NO_GUEST,
        "Enhanced Session is ready over HvSocket only; the host does not offer the VMBus "
        "channels.",
        "That is as it should be if the machine is set to HvSocket. If vmconnect does not "
        "offer Enhanced Session, one of these is missing.",
        FIXES(HOST(.command = "Set-VMHost -EnableEnhancedSessionMode $true")
              HOST(.note = "With the machine off:",
                   .command = "Set-VM -VMName {vm} -EnhancedSessionTransportType HvSocket")),
    },
    [NO_SOUND] = {
        "HVS-403", "no-sound", HVS_SEVERITY_ADVICE, HVS_VERDICT_FINE, no_sound,
        NO_GUEST | BIT(SERVER_MISSING),
        "There will be no sound: xrdp's sound module is not installed.",
        "PipeWire or PulseAudio need a module to send sound through the session.",
        FIXES(GUEST(.note = "Install pipewire-module-xrdp, or pulseaudio-module-xrdp where "
                            "PulseAudio is used. Does your distribution have it?",
                    .command = "apt-cache search module-xrdp", .when = with_apt)
              GUEST(.note = "Install pipewire-module-xrdp, or pulseaudio-module-xrdp where "
                            "PulseAudio is used. Does your distribution have it?",
                    .command = "dnf search module-xrdp", .when = with_dnf)
              GUEST(.note = "Install pipewire-module-xrdp, or pulseaudio-module-xrdp where "
                            "PulseAudio is used. Does your distribution have it?",
                    .command = "zypper search module-xrdp", .when = with_zypper)
              GUEST(.note = "If not, build it: github.com/neutrinolabs/pipewire-module-xrdp.")),
    },
    [COLORD_PROMPTS] = {
        "HVS-404", "colord-prompts", HVS_SEVERITY_ADVICE, HVS_VERDICT_FINE, colord_prompts,
        NO_GUEST,
        "Every login asks for an administrator's password, \"to create a color managed "
        "device\".",
        "Remote sessions need permission for what local ones do freely. A rule for colord "
        "alone ends that.",
        FIXES(GUEST(.note = "Set up that rule:", .command = "sudo hvsession setup --colord")),
    },
#endif
    [BLANK_PASSWORD] = {
        "HVS-508", "blank-password", HVS_SEVERITY_ADVICE, HVS_VERDICT_FINE, blank_password,
        NO_GUEST,
        "Accounts without a password cannot log in through Enhanced Session.",
        "Windows lets them in at the console only, for good reason.",
        FIXES(GUEST(.note = "Give the account a password (put its name for USER):",
                        .command = "net user USER *")
                  GUEST(.note = "Or let all of them in, over the network, too:",
                        .command = "hvsession setup --blank-password")),
    },
    [BUILTIN_ACTIVE] = {
        "HVS-509", "builtin-active", HVS_SEVERITY_ADVICE, HVS_VERDICT_FINE, builtin_active,
        NO_GUEST,
        "This Windows has Enhanced Session built in, and uses it.",
        "hvsession is not needed here, and gets no sessions as long as that is so.",
        FIXES(GUEST(.note = "To use hvsession all the same, turn the built-in one off and restart:",
                        .command = "hvsession setup --override")),
    },
#ifdef HVS_FINDINGS_OF_LINUX
    [HVSOCKET_TAKEN] = {
        "HVS-310", "hvsocket-taken", HVS_SEVERITY_INFO, HVS_VERDICT_FINE, hvsocket_taken,
        NO_GUEST | BIT(VSOCK_SYNTAX),
        "xrdp serves HvSocket port 3389 by itself (port={xrdp_port}).",
        "Sessions over HvSocket go to xrdp directly, and hvsession does not see them. That "
        "works.",
        FIXES(GUEST(.note = "To have them in hvsession, take vsock://… out of port= in "
                            "/etc/xrdp/xrdp.ini and restart both:",
                    .command = "sudo systemctl restart xrdp hvsessiond")),
    },
    [HVSOCKET_PORT] = {
        "HVS-311", "hvsocket-port-taken", HVS_SEVERITY_INFO, HVS_VERDICT_FINE,
        hvsocket_port_taken, NO_GUEST | BIT(HVSOCKET_TAKEN),
        "Another program serves HvSocket port 3389.",
        "Sessions over HvSocket go to that program, and hvsession does not see them.",
        FIXES(GUEST(.note = "See which it is. When it has ended, let hvsession take the port:",
                    .command = "sudo ss --vsock --listening --processes\n"
                               "sudo systemctl reload hvsessiond")),
    },
    [LIMITED] = {
        "HVS-901", "limited", HVS_SEVERITY_INFO, HVS_VERDICT_FINE, limited, NO_GUEST,
        "Some things are for root to see and were not checked.",
        "They are the kernel's messages, other users' open files and polkit's rules.",
        FIXES(GUEST(.command = "sudo hvsession doctor")),
    },
#endif
};

const struct hvs_finding *
hvs_findings_table(size_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}

_Static_assert(PLACES <= HVS_FINDINGS_MAX, "as many findings as .hidden_by has bits");
