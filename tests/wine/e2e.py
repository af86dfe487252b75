#!/usr/bin/env python3
"""One Enhanced Session from end to end with hvsession.exe: as tests/e2e/e2e.py, but the service is
the Windows one, under Wine, on a simulated host that is a Windows program as well.

    xfreerdp /vmconnect ── TLS, CredSSP ── vmms.py (the host's VMMS)
        ── plain RDP ── hyperv-sim.exe ══ fake vmbuspipe.dll ══ hvsession.exe, an installed service
        ── plain RDP ── xrdp ── PAM ── a desktop in one known colour

FreeRDP takes no other answer than a mirrored one, and xrdp is not Terminal Services: so
NegotiationReply is mirror here, where Windows' own default is passthrough.

Exit status: 0 passed, 1 failed, 77 skipped because root or programs are missing (with CI=true in
the environment that is a failure: 1).
"""

import argparse
import os
import signal
import socket
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import chain
import e2e
import enclosure

# Making a Wine process is slow on a loaded machine.
WINE_TIMEOUT = 90


class WindowsRelay:
    """hvsession.exe as a service, on the simulated host. What e2e.log_in() needs of chain.Relay."""

    def __init__(self, run, bitness, build, server):
        self.run = run
        self.daemon = run.start("hyperv-sim", [
            os.path.join(HERE, "wine.sh"), bitness,
            os.path.join(build, "tests/wine/hyperv-sim.exe"),
            os.path.join(build, "windows/hvsession.exe"),
            os.path.join(build, "tests/wine/vmbuspipe.dll"), server, "mirror"])
        ports = self.daemon.wait_line(r"^ready (\d+) (\d+)$", WINE_TIMEOUT)
        self.port, self.control = int(ports[1]), int(ports[2])
        run.step("hyperv", f"simulated host on 127.0.0.1:{self.port}, hvsession.exe ({bitness}) "
                 "runs as a service on it")

    def wait_session_end(self, reasons, since):
        reason = self.daemon.wait_line(r"^ended ([a-z-]+)$", chain.END_TIMEOUT, since)[1]
        if reason not in reasons:
            raise chain.Failed(f"the session ended as {reason}, not as {' or '.join(reasons)}")
        self.run.step("relay", f"session ended: {reason}")
        return reason

    def end(self):
        socket.create_connection(("127.0.0.1", self.control)).close()
        status = self.daemon.wait_end(WINE_TIMEOUT)
        if status != 0:
            raise chain.Failed(f"the simulated host ended with status {status}")
        self.run.step("relay", "service stopped and removed")


def run_sessions(run, arguments):
    display = chain.Display(run)
    user = chain.TestUser(run)
    xrdp = chain.Xrdp(run, "tcp")
    relay = WindowsRelay(run, arguments.bitness, arguments.build, xrdp.address)
    vmms = chain.Vmms(run, user.name, relay.port, "exact")
    arguments.log_off, arguments.summary = True, False
    for last in (False, True):
        e2e.log_in(run, arguments, display, user, xrdp, relay, vmms, last)
    relay.end()


def main():
    parser = argparse.ArgumentParser(description="An end-to-end login through hvsession.exe.")
    parser.add_argument("--bitness", choices=("x86", "x64"), required=True)
    parser.add_argument("--build", metavar="DIR", required=True, help="its build directory")
    parser.add_argument("--screenshots", metavar="DIR", help="save login.png and session.png there")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    arguments = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    # Of hyperv-sim and hvsessiond-sim none is needed here; the server is an ordinary xrdp.
    arguments.hyperv_sim = arguments.hvsessiond_sim = "/bin/true"
    arguments.server = "tcp"
    reason = e2e.missing(arguments)
    if reason:
        required = os.environ.get("CI") == "true"
        print(f"{'FAILED' if required else 'SKIPPED'}: {reason}", flush=True)
        return 1 if required else e2e.SKIPPED
    if enclosure.permitted():
        enclosure.enter()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, e2e.interrupted)
    if arguments.screenshots:
        os.makedirs(arguments.screenshots, exist_ok=True)
    try:
        with chain.Run(keep=arguments.keep) as run:
            try:
                run_sessions(run, arguments)
            except (chain.Failed, chain.x11.Error, OSError):
                run.print_logs()
                raise
    except (chain.Failed, chain.x11.Error, OSError) as failure:
        print(f"\nFAILED: {failure}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
