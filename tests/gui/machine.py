"""What the stand-in publishes for the pictures: a machine with everything that there is to show."""

from gi.repository import GLib

import stand_in


def now():
    """Milliseconds since 1970, as the service tells the time of day."""
    return GLib.get_real_time() // 1000


def minutes_ago(minutes):
    return now() - minutes * 60000


def finding(code, name, severity, sentence, why, *fix):
    """fix: (where, note, command)"""
    return {"code": GLib.Variant("s", code), "name": GLib.Variant("s", name),
            "severity": GLib.Variant("s", severity), "sentence": GLib.Variant("s", sentence),
            "why": GLib.Variant("s", why), "manual": GLib.Variant("s", f"man:hvsession(7)#{name}"),
            "fix": GLib.Variant("a(sss)", fix)}


SERVER_MISSING = finding(
    "HVS-301", "server-missing", "error", "No RDP server listens on tcp:127.0.0.1:3389.",
    "hvsession carries the session to an RDP server in this machine; the desktop comes from that "
    "server.",
    ("guest", "", "sudo apt install xrdp xorgxrdp"),
    ("guest", "Let hvsession start an xrdp of its own, set up for this and reachable from this "
     "machine only:", "sudo hvsession setup"))
CONSOLE_LOGIN = finding(
    "HVS-401", "console-login", "warning",
    "anna is logged in on the console; in Enhanced Session the same user gets a black screen.",
    "Most desktops run once for each user. Other users are not concerned.",
    ("guest", "Log out on the console (and turn automatic login off). To end that session at once, "
     "without saving:", "loginctl terminate-session 2"))
NO_SOUND = finding(
    "HVS-403", "no-sound", "advice",
    "There will be no sound: xrdp's sound module is not installed.",
    "PipeWire or PulseAudio need a module to send sound through the session.",
    ("guest", "Install pipewire-module-xrdp, or pulseaudio-module-xrdp where PulseAudio is used. "
     "Does your distribution have it?", "apt-cache search module-xrdp"),
    ("guest", "If not, build it: github.com/neutrinolabs/pipewire-module-xrdp.", ""))
NOT_OFFERED = finding(
    "HVS-202", "not-offered", "error",
    "The host does not offer Enhanced Session to this virtual machine.",
    "The guest only answers an offer. It comes from the host, and three things there hold it back: "
    "the server's policy, the user's setting and the machine's transport.",
    ("host", "Allow it on the server:", "Set-VMHost -EnableEnhancedSessionMode $true"),
    ("host", "If this machine was set to HvSocket, go back to VMBus:",
     "Stop-VM -Name 'Build 7'\n"
     "Set-VM -VMName 'Build 7' -EnhancedSessionTransportType VMBus\n"
     "Start-VM -Name 'Build 7'"),
    ("host", "In Hyper-V Manager, under Hyper-V Settings, User, Enhanced Session Mode, tick \"Use "
     "enhanced session mode\". Then close the machine's window and connect again while it runs.",
     ""))


def channels(data_open):
    """The control channel, and so many data channels that are open."""
    return [(0, "control", "open", minutes_ago(95))] + [
        (number, "data", "open" if number <= data_open else "not-offered",
         minutes_ago(20) if number <= data_open else 0) for number in range(1, 6)]


def ready(**changes):
    """Properties of a service that is ready."""
    return {"Version": "0.1.0", "Started": minutes_ago(96), "State": "ready",
            "Summary": "Ready for Enhanced Session, nobody is connected", "Problem": "",
            "HostOffer": "ready", "HostVersion": "1.0", "KernelSupport": "working",
            "Transports": ["vmbus"], "Server": "unix:/run/hvsession/xrdp.sock, tcp:127.0.0.1:3389", "SessionCount": 0,
            "SessionsTotal": 0, "BytesToHost": 0, "BytesToServer": 0, "Findings": [],
            "Verdict": "fine", "DiagnosisSummary": "All is in place for Enhanced Session.",
            "Channels": channels(0), "HvSocket": "off", "ServerState": "reachable",
            "VirtualMachine": "Build 7", "HostName": "HV-HOST-2", "HostBuild": "10.0.26100.1",
            **changes}


def not_offered():
    """Changes: the host offers nothing."""
    return {"State": "not-offered",
            "Summary": "The host does not offer Enhanced Session to this guest",
            "HostOffer": "not-offered", "HostVersion": "", "KernelSupport": "unknown",
            "Channels": [(number, "control" if number == 0 else "data", "not-offered", 0)
                         for number in range(6)],
            "Findings": [NOT_OFFERED], "Verdict": "not-offered",
            "DiagnosisSummary": "The host does not offer Enhanced Session."}


def session(client, minutes, **changes):
    """Properties of a session that is under way."""
    return {"Transport": "vmbus", "Channel": 1, "Started": minutes_ago(minutes), "Ended": 0,
            "State": "active", "BytesToHost": 0, "BytesToServer": 0, "PacketsToHost": 0,
            "PacketsFromHost": 0, "RateToHost": 0, "RateToServer": 0, "ClientName": client,
            "DesktopSize": (1920, 1080), "ColourDepth": 32,
            "StaticChannels": ["rdpdr", "rdpsnd", "cliprdr", "drdynvc"],
            "RequestedProtocols": "SSL|HYBRID|HYBRID_EX", "SelectedProtocol": "RDP",
            "Server": "tcp:127.0.0.1:3389", "EndReason": "", "EndText": "", "Detail": "",
            "Trouble": False, **changes}


def busy():
    """A service with two sessions, three that have ended, and two findings."""
    made = stand_in.Service(**ready(
        State="active", Summary="Enhanced Session is in use", Channels=channels(2), SessionCount=2,
        SessionsTotal=5, Findings=[CONSOLE_LOGIN, NO_SOUND], Verdict="degraded",
        DiagnosisSummary="Enhanced Session works, but not in every case."))
    made.add(4, **session("DESK-1", 20))
    made.add(5, **session("LAPTOP-ANNA", 3, DesktopSize=(2560, 1440), StaticChannels=["cliprdr"],
                          Channel=2))
    for number, client, text, detail, trouble in (
            (1, "DESK-1", "the user closed the window", "", False),
            (2, "LAPTOP-ANNA", "the RDP server closed the connection, as after a log-off", "",
             False),
            (3, "", "no RDP server took the connection in time; check that it runs and that Server "
             "names it", "tcp:127.0.0.1:3389: Connection refused", True)):
        made.add(number, **session(client, 80 - number, State="ended",
                                   Ended=minutes_ago(60 - number), EndReason="ended", EndText=text,
                                   Detail=detail, Trouble=trouble))
    return made


def traffic(made, step):
    """Some rates, as of somebody who scrolls."""
    made.sessions[4].change(RateToHost=(3_400_000, 900_000, 5_200_000, 4_100_000, 300_000,
                                        2_600_000)[step % 6], RateToServer=12_000 + 700 * step)
    made.sessions[5].change(RateToHost=(0, 40_000, 0, 90_000, 30_000, 0)[step % 6],
                            RateToServer=800 * (step % 3))
