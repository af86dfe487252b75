#!/usr/bin/env python3
"""Debian 13 as people install it, on the emulated Hyper-V host: hvsession's packages are installed,
used and purged there, and a real client logs in from outside.

    xfreerdp ── vmms.py ── hyperv-tcg ══ VMBus ══ hvsessiond ── xrdp ── a user's desktop
                                      (the guest, from its own disk)

    image.py [--packages DIR] [--screenshots DIR] NAME     runs a test
    image.py --list                                        their names

The disk is image.sh's; the packages are those of packaging/debian/build.sh. Needs root for the disk
only, and what tests/packages-test.txt and packages.txt list. Exit status: 0 passed, 1 failed, 2 wrong
usage, 77 skipped because root or programs are missing (with CI=true a failure).
"""

import argparse
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from vm import HERE, VM, Failure, run_script

sys.path.insert(0, os.path.join(HERE, "../e2e"))
import chain  # noqa: E402: it is in another directory

# The machine is emulated, and may share its processors.
BOOT_TIMEOUT = 480
COMMAND_TIMEOUT = 480
LOGIN_TIMEOUT = 240
chain.LOGIN_TIMEOUT = LOGIN_TIMEOUT

SKIPPED = 77
USER = "alice"
# As xrdp-sesman's settings have it on Debian: the user's own, if there is one.
SESSION = "startwm.sh"
READY = r"ready: the host supports Enhanced Session, protocol 1\.0"

# All files with type, mode, owner and size, in /etc with their content; not logs, caches, the state
# of the package manager, and what systemd and the user keep.
SNAPSHOT = r"""
set -- -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /var/lib/dpkg -o \
    -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/lib/private -o -path /home -o \
    -path /root -o -path /tmp -o -path '/etc/*-' -o -path /etc/ld.so.cache
find / -xdev \( "$@" \) -prune -o -type d -printf '%p %M %U:%G\n' -o -printf '%p %M %U:%G %s %l\n'
find /etc \( "$@" \) -prune -o -type f -exec sha256sum {} +
systemctl list-unit-files --no-legend
"""


class Debian(VM):
    """The machine with that disk."""

    boot_timeout = BOOT_TIMEOUT

    def __init__(self, image, disk, series):
        self.image, self.disk = image, disk
        super().__init__(series, memory=2048)

    def boot_arguments(self, programs, modules):
        return [
            "-kernel", os.path.join(self.image, "vmlinuz-" + self.series),
            "-initrd", os.path.join(self.image, "initrd-" + self.series),
            "-drive", "file=%s,format=raw,if=ide,cache=unsafe" % self.disk,
            "-smbios", "type=0,vendor=Microsoft Corporation",
            "-smbios", "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine",
            # The disk's driver leaves the disks of Hyper-V's guests to Hyper-V's own.
        ], "root=/dev/sda rw quiet ata_piix.prefer_ms_hyperv=0"

    def up(self):
        """Waits until everything has been started that the system starts."""
        state = self.run("systemctl is-system-running --wait", COMMAND_TIMEOUT, check=False).out
        if state.strip() != "running":
            raise Failure("the system is %s: %s" % (state, self.run(
                "systemctl --failed --no-legend; journalctl -b -p err --no-pager").out))

    def shut_down(self):
        """Restarts the guest, which ends this machine: the next one goes on with its disk."""
        self.start("systemctl reboot")
        try:
            self.qemu.wait(BOOT_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failure("the guest does not shut down" + self.describe()) from None


def own_directory(run, parent):
    """A directory that lasts as long as the run, or, if that is killed, until the next: who uses one
    has it locked."""
    def lock(path):
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor

    for path in glob.glob(os.path.join(parent, "hvt-disk-*")):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            descriptor = lock(path)
            shutil.rmtree(path)
            os.close(descriptor)
    path = tempfile.mkdtemp(prefix="hvt-disk-", dir=parent)
    run.stack.callback(os.close, lock(path))
    run.stack.callback(shutil.rmtree, path)
    return path


class Guest:
    """The disk, and the machine that runs with it."""

    def __init__(self, run, arguments):
        self.run_, self.arguments = run, arguments
        self.image = run_script("image.sh")
        self.directory = own_directory(run, os.path.dirname(self.image))
        self.disk = os.path.join(self.directory, "disk.img")
        subprocess.run(["cp", "--sparse=always", os.path.join(self.image, "disk.img"), self.disk],
                       check=True)
        self.password = chain.random_password()
        self.vm = None
        run.stack.callback(self.leave)

    def leave(self):
        """Ends the machine; after a failure, not without its services' last words."""
        if sys.exc_info()[0] and self.vm and self.vm.qemu.poll() is None:
            try:
                print(self.vm.run("journalctl -b --no-pager -o cat -n 40 -u 'hvsession*' -u "
                                  "'xrdp*' -u dbus", check=False).out, file=sys.stderr)
            except Failure:
                pass    # it does not answer any more
        self.close()

    def close(self):
        if self.vm:
            self.vm.close()

    def step(self, text):
        self.run_.step("guest", text)

    def boot(self, series):
        self.close()
        self.vm = Debian(self.image, self.disk, series)
        self.vm.up()
        self.step("Debian 13 with Linux %s is up" % self.vm.run("uname -r").out.strip())

    def reboot(self, series):
        self.vm.check()
        self.vm.shut_down()
        self.boot(series)

    def add_user(self):
        """Somebody who logs in; the session is that of the other end-to-end tests."""
        with open(os.path.join(HERE, "../e2e/session.sh"), encoding="utf-8") as file:
            script = file.read()
        self.vm.run("useradd -m -s /bin/sh %s && chpasswd" % USER,
                    stdin=("%s:%s\n" % (USER, self.password)).encode())
        self.vm.put("/home/%s/%s" % (USER, SESSION), script, 0o755)
        self.step("a user, and the session")
        self.vm.run("mkfifo /home/%s/end && chown -R %s: /home/%s" % (USER, USER, USER))

    def snapshot(self):
        """A set of lines that change with the system."""
        lines = set(self.vm.run(SNAPSHOT, COMMAND_TIMEOUT).out.splitlines())
        self.step("looked at all files: %d lines" % len(lines))
        return lines

    def install(self):
        """As a user does who has downloaded the packages."""
        names = []
        for kind in ("hvsession", "hvsession-xrdp"):
            found = glob.glob(os.path.join(self.arguments.packages, kind + "_*.deb"))
            if len(found) != 1:
                raise Failure("%d packages %s in %s: packaging/debian/build.sh makes them" %
                              (len(found), kind, self.arguments.packages))
            with open(found[0], "rb") as file:
                self.vm.put("/tmp/" + os.path.basename(found[0]), file.read())
            names.append("./" + os.path.basename(found[0]))
        self.vm.run("cd /tmp && DEBIAN_FRONTEND=noninteractive apt-get install -y " +
                    " ".join(names), COMMAND_TIMEOUT)
        self.step("apt install %s: done" % " ".join(names))

    # ---- what must be so

    def wait_ready(self):
        # Of the service as it runs now, not of one before it.
        log = self.vm.start("journalctl -f -n all _SYSTEMD_INVOCATION_ID=$(systemctl show "
                            "-p InvocationID --value hvsessiond.service)")
        log.wait_line(READY, COMMAND_TIMEOUT)
        log.kill()
        self.step("hvsessiond has agreed with the host")

    def check_unprivileged(self):
        """Everything that a service should not have."""
        show = self.vm.run("systemctl show -p ActiveState,MainPID hvsessiond.service").out
        fields = dict(line.split("=", 1) for line in show.splitlines())
        if fields["ActiveState"] != "active":
            raise Failure("hvsessiond.service is %s" % fields["ActiveState"])
        status = self.vm.run("cat /proc/%s/status; stat -c 'User: %%U' /proc/%s" %
                             (fields["MainPID"], fields["MainPID"])).out
        facts = dict(re.findall(r"(?m)^(\w+):\s*(.*)$", status))
        wanted = {"User": "hvsession", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1",
                  "Seccomp": "2"}
        for name, value in wanted.items():
            if facts[name] != value:
                raise Failure("hvsessiond has %s %s, not %s" % (name, facts[name], value))
        self.step("hvsessiond is active, as the user hvsession without a capability")

    def diagnose(self):
        """(exit status, findings) of doctor, which must agree with itself."""
        result = self.vm.run("hvsession doctor --json", COMMAND_TIMEOUT, check=False)
        report = json.loads(result.out)
        if report["exit_status"] != result.status:
            raise Failure("doctor's exit status is %d, its report says %d" %
                          (result.status, report["exit_status"]))
        return result.status, report["findings"]

    def check_fine(self):
        status, findings = self.diagnose()
        bad = [finding for finding in findings if finding["severity"] in ("error", "warning")]
        if status or bad:
            raise Failure("doctor: exit status %d, %s" % (status, json.dumps(bad, indent=1)))
        text = self.vm.run("hvsession doctor", COMMAND_TIMEOUT).out
        if not text.startswith("All is in place for Enhanced Session."):
            raise Failure("doctor says otherwise:\n" + text)
        self.step("hvsession doctor: " + text.splitlines()[0])

    def sessions(self):
        """Living sessions, as the command line tells."""
        return json.loads(self.vm.run("hvsession sessions --json").out)["sessions"]


class Desk:
    """Outside: a display, the host's VMMS, and clients that log in."""

    def __init__(self, run, arguments):
        self.run, self.arguments = run, arguments
        self.display = chain.Display(run)
        ini = os.path.join(HERE, "../../packaging/xrdp/xrdp.ini")
        with open(ini, encoding="utf-8") as file:
            text = file.read()
        self.login = [tuple(bytes.fromhex(chain.read_ini(text, "Globals", key)))
                      for key in ("ls_top_window_bg_color", "ls_bg_color")]

    def shows_login(self, picture):
        background, dialog = self.login
        return (picture.share(background, chain.COLOUR_TOLERANCE) > 0.4
                and picture.share(dialog, chain.COLOUR_TOLERANCE) > 0.05)

    def save(self, picture, name):
        if self.arguments.screenshots:
            os.makedirs(self.arguments.screenshots, exist_ok=True)
            picture.write_png(os.path.join(self.arguments.screenshots, name + ".png"))

    def log_in(self, guest, name):
        """A user connects in vmconnect and logs in; returns the client, which shows the session."""
        vmms = chain.Vmms(self.run, USER, guest.vm.tcp_port, "exact")
        client = chain.Client(self.run, self.display, vmms, USER)
        vmms.check_request(0)
        picture = self.display.wait_for("the login", self.shows_login, LOGIN_TIMEOUT)
        self.save(picture, name + "-login")
        self.display.x.type(guest.password + "\n")
        picture = self.display.wait_for("the session", chain.shows_session, LOGIN_TIMEOUT)
        self.save(picture, name + "-session")
        self.run.step("client", "logged in, and shows the session")
        living = guest.sessions()
        if len(living) != 1 or living[0]["state"] != "active" or \
                living[0]["server"] != "unix:/run/hvsession/xrdp.sock":
            raise Failure("hvsession sessions: %s" % json.dumps(living, indent=1))
        # The next one is a window of its own.
        client.vmms = vmms
        return client

    def leave(self, client):
        client.leave()
        client.vmms.process.end()
        self.display.wait_for("nothing", lambda picture: not chain.shows_session(picture),
                              LOGIN_TIMEOUT)


# ---- the tests

def test_debian_13(run, arguments):
    """Installed, used, the service restarted under a session, purged."""
    guest, desk = Guest(run, arguments), Desk(run, arguments)
    guest.boot("6.12")
    guest.add_user()
    before = guest.snapshot()
    guest.install()
    guest.wait_ready()
    guest.check_unprivileged()
    guest.check_fine()

    client = desk.log_in(guest, "installed")
    guest.vm.run("systemctl restart hvsessiond.service")
    client.process.wait_end(LOGIN_TIMEOUT)
    run.step("client", "ended: the service was restarted under it")
    client.vmms.process.end()
    guest.wait_ready()
    client = desk.log_in(guest, "service-restarted")
    desk.leave(client)

    purge(guest, before)
    guest.vm.check()


def purge(guest, before):
    """Takes the packages away, and looks for what they have left."""
    guest.vm.run("loginctl terminate-user %s; DEBIAN_FRONTEND=noninteractive apt-get purge -y "
                 "'hvsession*'" % USER, COMMAND_TIMEOUT)
    left = guest.snapshot() ^ before
    if left:
        raise Failure("purging does not leave the system as it was:\n" + "\n".join(sorted(left)))
    for what, command in (
            ("users and groups", "getent passwd hvsession; getent group hvsession"),
            ("units", "systemctl list-units --all --no-legend 'hvsession*'"),
            ("processes", "pgrep -a hvsession"),
            ("run-time files", "find /run -name '*hvsession*'"),
            ("bound channels", "ls -d /sys/bus/vmbus/drivers/uio_hv_generic/*-*-*"),
            ("devices", "ls /dev/uio*")):
        left = guest.vm.run(command, check=False).out.strip()
        if left:
            raise Failure("purging leaves %s behind:\n%s" % (what, left))
    guest.step("apt purge: no file, unit, user, process or binding is left")


def test_kernel_too_old(run, arguments):
    """With Debian 12's kernel: doctor says so, and what it says to do works, with no more than the
    restart of the guest that it asks for."""
    guest, desk = Guest(run, arguments), Desk(run, arguments)
    guest.boot("6.1")
    guest.add_user()
    guest.install()
    status, findings = guest.diagnose()
    if status != 1 or findings[0]["name"] != "kernel-too-old":
        raise Failure("doctor: exit status %d, %s" % (status, json.dumps(findings, indent=1)))
    guest.step("hvsession doctor: %s" % findings[0]["sentence"])
    advice = [step["note"] or "" for step in findings[0]["fix"] if step["where"] == "guest"]
    if not any("Linux 6.10 or later" in note and "restart" in note for note in advice):
        raise Failure("doctor gives another advice: %r" % advice)
    # Debian 13's own kernel is that, and it is installed already.
    guest.reboot("6.12")
    guest.wait_ready()
    guest.check_fine()
    desk.leave(desk.log_in(guest, "newer-kernel"))
    guest.vm.check()


TESTS = {name[5:].replace("_", "-"): function for name, function in list(globals().items())
         if name.startswith("test_")}


def missing():
    """Why nothing can be done here; None if it can."""
    lacking = [name for name in ("Xvfb", "openssl", "mmdebstrap", "mke2fs")
               if not shutil.which(name)]
    if not chain.freerdp():
        lacking.append("xfreerdp")
    if lacking:
        return "%s not found: see tests/packages-test.txt and tests/vm/packages.txt" % \
            ", ".join(lacking)
    return None if os.geteuid() == 0 else "making the disk needs root"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", metavar="DIR",
                        default=os.path.join(HERE, "../../build/packages"))
    parser.add_argument("--screenshots", metavar="DIR")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("test", choices=sorted(TESTS), nargs="?")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(TESTS))
        return 0
    if not arguments.test:
        parser.error("which test? --list names them")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    reason = missing()
    if reason:
        required = os.environ.get("CI") == "true"
        print("%s: %s" % ("FAILED" if required else "skipped", reason))
        return 1 if required else SKIPPED
    try:
        with chain.Run() as run:
            try:
                TESTS[arguments.test](run, arguments)
            except (chain.Failed, chain.x11.Error, Failure, OSError):
                run.print_logs()
                if arguments.screenshots and os.path.exists(run.path("timeout.png")):
                    os.makedirs(arguments.screenshots, exist_ok=True)
                    shutil.copy(run.path("timeout.png"), arguments.screenshots)
                raise
    except (chain.Failed, chain.x11.Error, Failure, OSError) as failure:
        print("\nFAILED: %s" % failure, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that everything is stopped
    sys.exit(main())
