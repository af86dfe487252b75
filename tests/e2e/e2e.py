#!/usr/bin/env python3
"""One Enhanced Session from end to end: a real client logs in to a real server through hvsession.

    xfreerdp /vmconnect ── TLS, CredSSP ── vmms.py (the host's VMMS)
        ── plain RDP ── hyperv-sim ══ VMBus rings ══ hvsessiond-sim
        ── plain RDP ── xrdp ── PAM ── a desktop in one known colour

With --transport hvsocket there are no rings: VMMS connects to the guest's HvSocket, for which a
UNIX socket stands in.

With --server tls it ends in FreeRDP's own server instead, which accepts TLS only: hvsessiond-sim
asks for plain RDP, is refused, and speaks TLS to it. Nobody logs in, the desktop is just shown.

The run types a test user's password into xrdp's login dialog and passes when the client shows the
session's colours, xrdp was asked for plain RDP and did not encrypt, the session ended for the right
reason, and the simulated host saw no breach of the VMBus protocol. --log-off ends the session from
inside, which must end the client as well; --sessions 2 logs in once more afterwards, and only then
does the client leave first.

Needs root, but for --server tls: xrdp-sesman authenticates the user and starts the session as that
user. Where the kernel permits it, the run has a network, a /run and an /etc of its own
(enclosure.py): nothing of it is reachable from outside, and the test user never exists on the
machine. Elsewhere, as in most containers, it works on the machine itself, listens on 127.0.0.1
only, and removes the user at the end.
Packages: tests/lib/install-packages.sh tests/packages-test.txt

Exit status: 0 passed, 1 failed, 2 wrong usage, 77 skipped because root or programs are missing
(with CI=true in the environment that is a failure: 1).

Files: x11.py looks and types, vmms.py is the VMMS, chain.py starts and watches the programs,
enclosure.py keeps them apart from the machine.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True  # root's files have no place in the source tree
import chain
import enclosure

SKIPPED = 77
REQUESTS = {
    "client": "the client's own Connection Request, with its cookie",
    "exact": "the 19-byte Connection Request of a real host",
    "fragments": "the 19-byte Connection Request of a real host, byte by byte",
}
PROGRAMS = ("Xvfb", "openssl", "xsetroot")
LOGIN_PROGRAMS = ("useradd", "userdel", "chpasswd", "xrdp", "xrdp-sesman", "xterm")


def missing(arguments):
    """Why the run cannot be done here; None if it can."""
    for program in (arguments.hyperv_sim, arguments.hvsessiond_sim):
        if not os.access(program, os.X_OK):
            return f"{program} is not built: cmake --build --preset dev"
    login = arguments.server != "tls"
    lacking = [name for name in PROGRAMS + (LOGIN_PROGRAMS if login else ())
               if not shutil.which(name)]
    if not chain.freerdp():
        lacking.append("xfreerdp")
    if not login and not chain.shadow():
        lacking.append("freerdp-shadow-cli")
    if lacking:
        return (f"{', '.join(lacking)} not found: "
                "tests/lib/install-packages.sh tests/packages-test.txt")
    if login and os.geteuid() != 0:
        return ("the login needs root, for a test user and its session: "
                "run this with sudo")
    return None


def log_in(run, arguments, display, user, xrdp, relay, vmms, last):
    """One session, from the connection to its end; gives (status screen, end reason)."""
    lines = {process: len(process.lines)
             for process in (xrdp.xrdp, relay.daemon, vmms.process)}
    client = chain.Client(run, display, vmms, user.name)
    vmms.check_request(lines[vmms.process])
    xrdp.check_plain_rdp(lines[xrdp.xrdp])

    picture = display.wait_for("xrdp's login dialog", xrdp.shows_login, chain.LOGIN_TIMEOUT)
    run.step("client", "shows xrdp's login dialog" + save(picture, arguments, "login"))
    display.x.type(user.password + "\n")

    picture = display.wait_for("the session's colours", chain.shows_session, chain.LOGIN_TIMEOUT)
    run.step("client", f"shows the session, {chain.hex_colour(chain.SESSION_BACKGROUND)}"
             + save(picture, arguments, "session"))
    status = relay.status() if arguments.summary else ""

    if arguments.log_off and not last:
        user.log_off()
        run.step("session", "logs off")
        client.wait_log_off()
        end = relay.wait_session_end(chain.LOGGED_OFF, lines[relay.daemon])
    else:
        client.leave()
        end = relay.wait_session_end(chain.CLIENT_LEFT, lines[relay.daemon])
    return status, end


def save(picture, arguments, name):
    if not arguments.screenshots:
        return ""
    picture.write_png(os.path.join(arguments.screenshots, name + ".png"))
    return f": {name}.png"


def print_summary(arguments, status, end):
    """What a passed run has shown; at most 80 columns."""
    print("\nhvsessiond's status while the session lived:\n\n" + status.rstrip() + "\n\nProven:\n")
    for what, text in (
            ("client", "FreeRDP connects as vmconnect does: TLS, CredSSP, NTLMv2"),
            ("request", REQUESTS[arguments.request]),
            ("server", "xrdp was asked for plain RDP, chose it, and encrypts nothing"),
            ("login", "password typed into xrdp's dialog, checked by PAM"),
            ("desktop", "its colours reached the client's window"),
            ("end", f"hvsessiond knows why the session ended: {end}"),
            ("VMBus", "the simulated host saw no breach of the protocol")):
        print(f"  {what:<9} {text}")


def run_sessions(run, arguments):
    display = chain.Display(run)
    user = chain.TestUser(run)
    xrdp = chain.Xrdp(run, arguments.server)
    relay = chain.Relay(run, arguments.hyperv_sim, arguments.hvsessiond_sim, xrdp.address,
                        arguments.transport)
    vmms = chain.Vmms(run, user.name, relay.guest, arguments.request)
    for number in range(1, arguments.sessions + 1):
        status, end = log_in(run, arguments, display, user, xrdp, relay, vmms,
                             last=number == arguments.sessions and arguments.sessions > 1)
    relay.check_transport()
    xrdp.check_distribution()
    relay.end()
    if arguments.summary:
        print_summary(arguments, status, end)


def run_tls(run, arguments):
    """A session with a server that accepts TLS only; nobody has to log in to that one."""
    display = chain.Display(run)
    shadow = chain.Shadow(run)
    relay = chain.Relay(run, arguments.hyperv_sim, arguments.hvsessiond_sim, shadow.address,
                        arguments.transport)
    vmms = chain.Vmms(run, "guest", relay.guest, arguments.request)
    for _ in range(arguments.sessions):
        lines = len(relay.daemon.lines)
        client = chain.Client(run, display, vmms, "guest")
        relay.check_tls(lines)
        picture = display.wait_for("the server's desktop", chain.shows_desktop,
                                   chain.LOGIN_TIMEOUT)
        run.step("client", f"shows the desktop, {chain.hex_colour(chain.SESSION_BACKGROUND)}"
                 + save(picture, arguments, "session"))
        client.leave()
        relay.wait_session_end(chain.CLIENT_LEFT, lines)
    relay.check_transport()
    relay.end()


def parse_arguments():
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__.split("\n\n")[0],
        epilog="The head of this file explains the run and the exit status.")
    parser.add_argument("--build", metavar="DIR", required=True,
                        help="build directory with tests/host/hyperv-sim and hvsessiond-sim")
    parser.add_argument("--request", choices=("client", "exact", "fragments"), default="exact",
                        help="the Connection Request that the guest gets: the client's own with "
                             "its cookie, a real host's 19 bytes (default), or those byte by byte")
    parser.add_argument("--server", choices=("tcp", "unix", "own", "tls"), default="tcp",
                        help="how hvsessiond reaches xrdp (default: tcp); own: with the settings "
                             "of hvsession-xrdp, beside the distribution's; tls: not xrdp, but "
                             "FreeRDP's server, which accepts TLS only")
    parser.add_argument("--transport", choices=("vmbus", "hvsocket"), default="vmbus",
                        help="how the host reaches the guest (default: vmbus)")
    parser.add_argument("--sessions", type=int, default=1, metavar="N",
                        help="log in N times, one after another (default: 1)")
    parser.add_argument("--log-off", action="store_true",
                        help="the session ends itself; of several, all but the last do")
    parser.add_argument("--screenshots", metavar="DIR",
                        help="save login.png and session.png there")
    parser.add_argument("--summary", action="store_true",
                        help="print hvsessiond's status screen and what was proven at the end")
    parser.add_argument("--in-the-open", action="store_true",
                        help="work on the machine itself, not in namespaces of the run's own")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    arguments = parser.parse_args()
    if arguments.sessions < 1:
        parser.error("--sessions must be at least 1")
    arguments.hyperv_sim = os.path.join(arguments.build, "tests/host/hyperv-sim")
    arguments.hvsessiond_sim = os.path.join(arguments.build, "tests/host/hvsessiond-sim")
    return arguments


def interrupted(number, _):
    """Unwinds everything once; a second signal does not disturb that."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    arguments = parse_arguments()
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # not everyone has them, and all of xrdp is there
    reason = missing(arguments)
    if reason:
        required = os.environ.get("CI") == "true"
        print(f"{'FAILED' if required else 'SKIPPED'}: {reason}", flush=True)
        return 1 if required else SKIPPED
    enclosed = not arguments.in_the_open and enclosure.permitted()
    if enclosed:
        enclosure.enter()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    if arguments.screenshots:
        os.makedirs(arguments.screenshots, exist_ok=True)
    try:
        with chain.Run(keep=arguments.keep) as run:
            run.step("run", "in a network, /run and /etc of its own" if enclosed
                     else "on the machine itself, on 127.0.0.1")
            try:
                (run_tls if arguments.server == "tls" else run_sessions)(run, arguments)
            except (chain.Failed, chain.x11.Error, OSError):
                run.print_logs()
                if arguments.screenshots:
                    with contextlib.suppress(OSError):
                        shutil.copy(run.path("timeout.png"), arguments.screenshots)
                raise
    except (chain.Failed, chain.x11.Error, OSError) as failure:
        print(f"\nFAILED: {failure}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
