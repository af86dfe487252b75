"""hvsession doctor on real kernels: the right first finding for each thing that is wrong, and fixes
that work when they are typed."""

import json
import os
import re

from daemon import CONFIG, PROGRAM, PROGRAMS, hvsessiond, no_daemon
from vm import Failure, guest

DOCTOR = os.path.join(os.path.dirname(os.path.realpath(PROGRAM)), "hvsession")


def doctor_guest(series="6.12", **arguments):
    return guest(series, programs=PROGRAMS + (DOCTOR + ":/usr/bin/hvsession",), **arguments)


def examine(vm):
    result = vm.run("hvsession doctor --json", check=False)
    try:
        report = json.loads(result.out)
    except ValueError:
        raise Failure("hvsession doctor: exit status %d\n%s%s" %
                      (result.status, result.out, result.err))
    if report["exit_status"] != result.status:
        raise Failure("the exit status is %d, the report says %d" %
                      (result.status, report["exit_status"]))
    return report


def expect(vm, status, *codes):
    """These findings and no others, in this order; returns them."""
    report = examine(vm)
    found = [finding["code"] for finding in report["findings"]]
    if (report["exit_status"], found) != (status, list(codes)):
        raise Failure("exit status %d and findings %s, not %d and %s:\n%s" %
                      (report["exit_status"], found, status, list(codes),
                       json.dumps(report, indent=1)))
    return report["findings"]


def commands(finding, where="guest"):
    """What it tells people to type, without sudo, which this guest does not have."""
    return [re.sub(r"(?m)^sudo ", "", step["command"]) for step in finding["fix"]
            if step["where"] == where and step["command"]]


def install_rule(vm):
    """What the package's udev rule does to channels that are there."""
    vm.run("chgrp hvsession /dev/uio* && chmod 660 /dev/uio*")


@doctor_guest()
@doctor_guest(series="6.1", monitor=True)
def test_all_is_well(vm):
    hvsessiond(vm)
    expect(vm, 0)
    text = vm.run("hvsession doctor").out
    if not text.startswith("All is in place for Enhanced Session."):
        raise Failure("the first line is another one:\n" + text)


@doctor_guest(series="6.1")
def test_kernel_is_too_old(vm):
    hvsessiond(vm, ready=False)
    finding = expect(vm, 1, "HVS-203")[0]
    if "6.1." not in finding["sentence"]:
        raise Failure("the kernel is not named: " + finding["sentence"])
    if not any("HvSocket" in command for command in commands(finding, "host")):
        raise Failure("the other transport is not offered: %r" % finding["fix"])


@doctor_guest()
def test_host_does_not_offer(vm):
    hvsessiond(vm)
    vm.host.command("rescind control")
    vm.daemon.wait("channel 0 was taken back")
    expect(vm, 4, "HVS-202")
    vm.host.command("offer control")
    vm.daemon.wait("ready: ")
    expect(vm, 0)


@doctor_guest()
def test_service_does_not_run(vm):
    hvsessiond(vm)
    no_daemon(vm)
    install_rule(vm)
    expect(vm, 5, "HVS-210")


@doctor_guest()
def test_service_may_not_open_the_channel(vm):
    hvsessiond(vm)
    no_daemon(vm)
    vm.run("chown root:root /dev/uio* && chmod 600 /dev/uio*")
    expect(vm, 1, "HVS-209", "HVS-210")


@doctor_guest()
def test_server_is_missing(vm):
    hvsessiond(vm, "Server=tcp:127.0.0.1:4000")
    finding = expect(vm, 1, "HVS-301")[0]
    if "tcp:127.0.0.1:4000" not in finding["sentence"]:
        raise Failure("the server is not named: " + finding["sentence"])


@doctor_guest()
def test_configuration_has_a_mistake(vm):
    hvsessiond(vm)
    vm.put(CONFIG, "[hvsession]\nSever=tcp:127.0.0.1:3389\n")
    finding = expect(vm, 1, "HVS-214")[0]
    if CONFIG + ":2" not in finding["sentence"]:
        raise Failure("the line is not named: " + finding["sentence"])
    vm.put(CONFIG, "[hvsession]\n")


@doctor_guest(fresh=True, name="6.12-held")
def test_another_process_holds_the_channel(vm):
    no_daemon(vm)
    other = vm.start("ring-echo")
    other.wait_line("channel 0 negotiated")
    install_rule(vm)
    findings = expect(vm, 1, "HVS-208", "HVS-210")
    if "ring-echo" not in findings[0]["sentence"]:
        raise Failure("the holder is not named: " + findings[0]["sentence"])
    # It is the one: ended as the finding says, the channel closes. (Its parent starts another.)
    vm.run(commands(findings[0])[-1])
    vm.host.wait("close 0 ")
    other.kill()
    other.wait()
    expect(vm, 5, "HVS-210")


@doctor_guest(modules=(), fresh=True, name="6.12-no-modules")
def test_driver_is_loaded_as_it_says(vm):
    no_daemon(vm)
    # QEMU takes Hyper-V's place in CPUID, but calls itself QEMU; a VMBus tells that there is a host.
    finding = expect(vm, 3, "HVS-102")[0]
    if "QEMU" not in finding["sentence"]:
        raise Failure("the hypervisor is not named: " + finding["sentence"])
    vm.run("modprobe hv_vmbus")
    finding = expect(vm, 1, "HVS-207", "HVS-210")[0]
    if commands(finding)[0] != "modprobe uio_hv_generic":
        raise Failure("another fix: %r" % finding["fix"])
    vm.run(commands(finding)[0])
    hvsessiond(vm)
    expect(vm, 0)
