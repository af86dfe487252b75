"""The daemon's own life: what is there before it, what outlives it, and what it makes of hosts and
kernels that are not as it needs them."""

import os
import signal

from daemon import (LEFT, READY, STOPPED, Daemon, daemon_guest, hvsessiond, main_subset,
                    negotiated, no_daemon, session)
from vm import HERE, Failure

MIB = 1 << 20
DRIVER = "/sys/bus/vmbus/drivers/uio_hv_generic"
HV_SOCK = "/sys/bus/vmbus/drivers/hv_sock"


@daemon_guest
def test_offers_before_the_daemon_are_served_when_it_starts(vm):
    no_daemon(vm)
    waiting = vm.connect()
    vm.host.wait("offer 1 ")
    hvsessiond(vm)
    negotiated(waiting).order("echo")
    waiting.echo(b"hello")


@daemon_guest(modules=(), fresh=True, name="6.12-no-modules")
def test_driver_loaded_after_the_daemon_is_noticed(vm):
    """The daemon says what is missing until nothing is."""
    daemon = hvsessiond(vm, ready=False)
    daemon.wait("no VMBus: this is not a Hyper-V guest, or its kernel lacks the driver hv_vmbus")
    vm.run("modprobe hv_vmbus")
    daemon.wait("the driver uio_hv_generic is not loaded: modprobe uio_hv_generic")
    waiting = vm.connect()
    vm.run("modprobe uio_hv_generic")
    daemon.wait(READY)
    negotiated(waiting).order("echo")
    waiting.echo(b"hello")


@daemon_guest
def test_host_that_offers_late_is_noticed(vm):
    no_daemon(vm)
    vm.host.command("rescind control")
    daemon = hvsessiond(vm, ready=False)
    if "offer" not in daemon.status():
        raise Failure("the status does not say what is missing:\n" + daemon.log)
    vm.host.command("offer control")
    daemon.wait(READY)
    session(vm).echo(b"hello")


def offer_again(vm, version):
    vm.host.command("rescind control")
    vm.host.command("version accept")
    vm.host.command("version " + version)
    vm.host.command("offer control")
    vm.host.wait("version-request type 1 size 16")


@daemon_guest
def test_version_refused_is_told_and_asked_for_again(vm):
    daemon = hvsessiond(vm)
    for answer in ("refuse 0", "refuse 1", "answer 0200000011000000", "answer 0000000000000000"):
        offer_again(vm, answer)
        daemon.wait("control channel: the host .*; trying again")
        vm.host.command("version accept")
        daemon.wait(READY)
    session(vm).echo(b"hello")


@daemon_guest
def test_version_answered_late_is_taken(vm):
    daemon = hvsessiond(vm)
    for milliseconds in (300, 5500):    # while it is waited for, and when it is no more
        offer_again(vm, "delay %d" % milliseconds)
        daemon.wait(READY)


@daemon_guest
def test_version_never_answered_is_told_and_asked_for_again(vm):
    daemon = hvsessiond(vm)
    offer_again(vm, "silent")
    daemon.wait("control channel: the host did not answer the version request; trying again")
    vm.host.command("version accept")
    vm.host.wait("version-request type 1 size 16")
    daemon.wait(READY)


def check_end(vm, number, status):
    """The daemon ends with sessions up; the next one starts, and serves."""
    daemon = hvsessiond(vm)
    clients = [session(vm) for _ in range(3)]
    for client in clients:
        client.echo(b"hello")
    clients[0].send_in_background(os.urandom(8 * MIB))
    if daemon.stop(number) != status:
        raise Failure("it ended with %s:\n%s" % (daemon.process.status, daemon.log))
    for client in clients:
        client.receive_end()
    hvsessiond(vm)
    session(vm).echo(os.urandom(MIB))
    return daemon


@main_subset
def test_stopped_with_sessions_it_ends_them_and_starts_again(vm):
    daemon = check_end(vm, signal.SIGTERM, 0)
    if daemon.count("ended after .*" + STOPPED) != 3:
        raise Failure("not all sessions were ended in order:\n" + daemon.log)


@daemon_guest
def test_stopped_while_it_waits_for_a_server_it_ends_at_once(vm):
    daemon = hvsessiond(vm, "Server=tcp:127.0.0.1:3390", "ServerTimeout=2 min")
    client = vm.connect()
    client.send(b"\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\x0b\0\0\0")
    vm.host.wait("open 1 ")
    if daemon.stop() != 0:
        raise Failure("it ended with %s:\n%s" % (daemon.process.status, daemon.log))
    client.receive_end()


@main_subset
def test_killed_with_sessions_it_starts_again(vm):
    check_end(vm, signal.SIGKILL, -signal.SIGKILL)


@daemon_guest
def test_killed_again_and_again_it_starts_again(vm):
    for _ in range(5):
        hvsessiond(vm).stop(signal.SIGKILL)
        hvsessiond(vm)
        client = session(vm)
        client.echo(b"hello")
        client.close()


@daemon_guest
def test_second_daemon_says_that_there_is_one_and_disturbs_nothing(vm):
    daemon = hvsessiond(vm)
    client = session(vm)
    client.echo(b"hello")
    second = Daemon(vm)
    second.wait("control channel: .*another process holds the channel; is a second hvsessiond "
                "running")
    client.echo(os.urandom(MIB))
    new = session(vm)
    new.echo(os.urandom(MIB))
    if second.stop():
        raise Failure("the second ended with %s:\n%s" % (second.process.status, second.log))
    client.echo(os.urandom(MIB))
    new.close()
    client.close()
    daemon.ended(LEFT, channel=1)
    vm.host.wait("released 1")
    session(vm).echo(b"hello")


@daemon_guest
def test_channel_left_without_driver_is_bound_by_the_daemon(vm):
    """What uio's race over minor numbers comes to: an offer whose probe has failed."""
    hvsessiond(vm)
    vm.run("echo 0 > /sys/bus/vmbus/drivers_autoprobe")
    try:
        client = session(vm)
        client.echo(b"hello")
    finally:
        vm.run("echo 1 > /sys/bus/vmbus/drivers_autoprobe")


@daemon_guest
def test_channel_unbound_before_the_daemon_is_bound_when_it_starts(vm):
    hvsessiond(vm)      # the driver knows the classes from now on
    no_daemon(vm)
    vm.run("cd /sys/bus/vmbus/devices && for device in 99221fa0-*; do "
           "[ ! -e $device/driver ] || echo $device > %s/unbind; done" % DRIVER)
    hvsessiond(vm)
    session(vm).echo(b"hello")


class Rules:
    """udev's rules as they are installed, in force as long as this lasts."""

    PATH = "/run/udev/rules.d/70-hvsession.rules"

    def __init__(self, vm):
        self.vm = vm

    def __enter__(self):
        with open(os.path.join(HERE, "../../packaging/udev/70-hvsession.rules"),
                  encoding="utf-8") as file:
            self.vm.put(self.PATH, file.read())
        self.vm.run("udevadm control --reload && udevadm trigger -s uio && udevadm settle")

    def __exit__(self, *_):
        self.vm.run("rm %s && udevadm control --reload" % self.PATH)


def unprivileged(vm):
    """A daemon as hvsession, with no right but that group's."""
    daemon = vm.daemon = Daemon(
        vm, prefix="/usr/bin/setpriv --reuid=hvsession --regid=hvsession --clear-groups --")
    return daemon


def check_sessions(daemon, count):
    for _ in range(count):
        client = session(daemon.vm)
        client.echo(os.urandom(MIB))
        client.close()
        daemon.ended(LEFT)


@daemon_guest
def test_unprivileged_daemon_works_when_root_has_bound_the_classes(vm):
    no_daemon(vm)
    with Rules(vm):
        for _ in range(2):      # twice is as once
            vm.run("hvsessiond --bind")
        daemon = unprivileged(vm)
        try:
            daemon.wait(READY)
            if "\t990\t990\t990\t990" not in vm.run("cat /proc/%d/status" % daemon.pid).out:
                raise Failure("it does not run as hvsession")
            check_sessions(daemon, 3)
            vm.host.command("rescind control")
            vm.host.command("offer control")
            daemon.wait(READY)
            if daemon.count("warning|error"):
                raise Failure("it complains:\n" + daemon.log)
        finally:
            daemon.stop()


@daemon_guest
def test_unprivileged_daemon_binds_a_channel_left_without_driver(vm):
    no_daemon(vm)
    with Rules(vm):
        vm.run("hvsessiond --bind && echo 0 > /sys/bus/vmbus/drivers_autoprobe")
        daemon = unprivileged(vm)
        try:
            daemon.wait(READY)
            check_sessions(daemon, 1)
        finally:
            daemon.stop()
            vm.run("echo 1 > /sys/bus/vmbus/drivers_autoprobe")


@daemon_guest(modules=(), fresh=True, name="6.12-no-modules")
def test_binding_loads_the_driver_and_can_be_undone(vm):
    no_daemon(vm)
    with Rules(vm):
        vm.run("modprobe vsock_loopback && test ! -e %s" % HV_SOCK)
        vm.run("hvsessiond --unbind")       # nothing to do is no mistake
        vm.run("hvsessiond --bind")
        vm.run("test -e %s" % HV_SOCK)
        modes = "stat -c '%%a %%U:%%G' %s/bind /dev/uio0" % DRIVER
        if vm.run(modes).out.split() != ["220", "root:hvsession", "660", "root:hvsession"]:
            raise Failure("wrong permissions:\n" + vm.run(modes).out)
        daemon = unprivileged(vm)
        daemon.wait(READY)
        check_sessions(daemon, 1)
        daemon.stop()
        vm.run("hvsessiond --unbind")
        waiting = vm.connect()              # offered anew, and nobody takes it
        vm.host.wait("offer 1 ")
        vm.run("udevadm settle")
        left = vm.run("ls /dev | grep uio; ls %s | grep 99221; stat -c '%%a %%U:%%G' %s/bind" %
                      (DRIVER, DRIVER), check=False).out
        if left.split() != ["200", "root:root"]:
            raise Failure("left behind:\n" + left)
        waiting.close()


@daemon_guest
def test_unprivileged_daemon_that_may_not_open_says_what_to_do(vm):
    no_daemon(vm)
    hvsessiond(vm)
    no_daemon(vm)       # the classes are bound by now
    vm.run("chown root:root /dev/uio*; chmod 600 /dev/uio*")
    daemon = unprivileged(vm)
    daemon.wait("no permission to open the channels")
    vm.run("chown hvsession /dev/uio*; udevadm trigger -s uio && udevadm settle")
    daemon.wait(READY)
    daemon.stop()


@daemon_guest(series="6.1", name="6.1-unmonitored")
def test_kernel_too_old_for_vmbus_is_told_and_survived(vm):
    daemon = hvsessiond(vm, ready=False)
    daemon.wait("this kernel is too old for Enhanced Session over VMBus: install Linux 6.10 or "
                "later, or use the other transport: Set-VM -VMName NAME "
                "-EnhancedSessionTransportType HvSocket, on the host")
    client = vm.connect()       # one more that cannot be bound
    vm.host.wait("offer 1 ")
    vm.run("udevadm settle")
    client.close()
    if "too old" not in daemon.status():
        raise Failure("the status does not say it:\n" + daemon.log)
    if daemon.count("too old for Enhanced Session over VMBus: install") > 2:
        raise Failure("it says so again and again:\n" + daemon.log)
    if daemon.stop():
        raise Failure("it ended with %s:\n%s" % (daemon.process.status, daemon.log))
