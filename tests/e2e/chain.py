"""The programs of an end-to-end run, each started, watched and ended in one place.

    xfreerdp ── vmms.py ── hyperv-sim ══ VMBus ══ hvsessiond-sim ── xrdp ── Xorg of a test user

A Run owns a directory, the programs' processes and their output. Every program's output is read
line by line as it comes, so that a test waits for what a program says, not for time to pass; a
program that ends when nobody expects it fails the run at once. Leaving the Run ends everything in
reverse order, removes the test user and the directory.
"""

import contextlib
import hashlib
import itertools
import os
import pwd
import random
import re
import secrets
import select
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import enclosure
import x11

SOURCE = os.path.dirname(os.path.abspath(__file__))

# How long each kind of thing may take, in seconds. Generous: a loaded machine is not a failure. Who
# has not ended by KILL_TIMEOUT is killed.
START_TIMEOUT = 60
LOGIN_TIMEOUT = 120
END_TIMEOUT = 60
KILL_TIMEOUT = 5

SCREEN_WIDTH, SCREEN_HEIGHT = 1024, 768
# Colours of the test user's session (root window, terminal; session.sh).
SESSION_BACKGROUND = (0x20, 0x40, 0x80)
SESSION_TERMINAL = (0xF4, 0xF0, 0xE4)
# What a lossy codec may change of a colour, each channel.
COLOUR_TOLERANCE = 4

# The virtual machine that the client asks for; the stand-in serves any.
MACHINE_ID = "C824F53E-95D2-46C6-9A18-23A5BB403532"

# Exit status of FreeRDP when the server says that the user has logged off: ERRINFO_LOGOFF_BY_USER,
# [MS-RDPBCGR] 2.2.5.1.1.
CLIENT_LOGGED_OFF = 12
# How a session may end when the client leaves, and when the user logs off (common/session.c): then
# the server closes the connection, and the client, having been told, does so at the same time.
CLIENT_LEFT = ("host-closed", "host-rescinded")
LOGGED_OFF = ("server-closed", "host-closed", "host-rescinded")

# Characters of a password: no modifier key types them, and none is taken for another.
PASSWORD_CHARACTERS = string.ascii_lowercase + string.digits


class Failed(Exception):
    """Why the run failed."""


def random_password():
    return "".join(secrets.choice(PASSWORD_CHARACTERS) for _ in range(20))


def hex_colour(colour):
    return "#%02x%02x%02x" % colour


def read_ini(text, section, key):
    """The value of a key of an ini file."""
    part = re.search(rf"(?ms)^\[{section}\]$(.*?)(?=^\[|\Z)", text)[1]
    return re.search(rf"(?m)^{key}=(.*)$", part)[1]


def fingerprint(directory):
    """What is below a directory: {path: (mode, owner, group, time of change, content)}."""
    found = {}
    for place, directories, files in os.walk(directory):
        for path in (os.path.join(place, name) for name in directories + files):
            status = os.lstat(path)
            with contextlib.suppress(OSError), open(path, "rb") as file:
                content = file.read()
                found[path] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns,
                               hashlib.sha256(content).hexdigest())
    return found


class Process:
    """A running program. Started by Run.start().

    terminal: its output is a terminal, for programs that keep back their lines from anything else.
    """

    def __init__(self, run, name, command, environment, terminal):
        self.run, self.name = run, name
        self.lines = []
        self.status = None  # exit status, or minus the signal; None while it runs
        self.may_end = False
        self.log = open(run.log_path(name), "w", encoding="utf-8")
        source, sink = os.openpty() if terminal else os.pipe()
        self.output = open(source, "rb")
        try:
            self.popen = subprocess.Popen(command, env={**os.environ, **environment},
                                          stdin=subprocess.DEVNULL, stdout=sink,
                                          stderr=subprocess.STDOUT, start_new_session=True)
        finally:
            os.close(sink)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        threading.Thread(target=self._reap, daemon=True).start()

    def _read(self):
        # A terminal that nobody writes to any more gives EIO, not an end.
        with self.log, self.output, contextlib.suppress(OSError):
            for data in self.output:
                line = data.decode("utf-8", "replace").rstrip()
                print(line, file=self.log, flush=True)
                with self.run.news:
                    self.lines.append(line)
                    self.run.news.notify_all()

    def _reap(self):
        status = self.popen.wait()
        # Its last words count; but its children may hold its output open for long.
        self.reader.join(1)
        with self.run.news:
            self.status = status
            self.run.news.notify_all()

    def find(self, pattern, since=0):
        """The first match in the lines so far, from the index since on; or None."""
        return next((match for line in self.lines[since:] if (match := re.search(pattern, line))),
                    None)

    def wait_line(self, pattern, timeout, since=0):
        """The first line's match of the regular expression, waiting for it."""
        found = self.run.wait(lambda: self.find(pattern, since), timeout)
        if found is None:
            raise Failed(f"{self.name} did not say /{pattern}/ within {timeout} s")
        return found

    def wait_end(self, timeout):
        """Its exit status, waiting for it."""
        self.may_end = True
        if not self.run.wait(lambda: self.status is not None, timeout):
            raise Failed(f"{self.name} did not end within {timeout} s")
        return self.status

    def signal(self, number):
        if self.status is None:
            self.popen.send_signal(number)

    def end(self, timeout=END_TIMEOUT):
        """Asks it to end; gives its exit status."""
        self.may_end = True
        self.signal(signal.SIGTERM)
        return self.wait_end(timeout)

    def close(self):
        """Ends it, whatever it takes."""
        self.may_end = True
        self.signal(signal.SIGTERM)
        with self.run.news:
            if not self.run.news.wait_for(lambda: self.status is not None, KILL_TIMEOUT):
                self.popen.kill()


class Run:
    """One run: a context manager. Its steps are printed as they are done."""

    def __init__(self, keep=False):
        self.keep = keep
        self.started = time.monotonic()
        self.news = threading.Condition()  # a line came, or a process ended
        self.processes = []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        # Others may pass through, as the test user does to its home; but look at nothing.
        self.directory = tempfile.mkdtemp(prefix="hvsession-e2e-")
        os.chmod(self.directory, 0o711)
        self.private = os.path.join(self.directory, "private")
        os.mkdir(self.private, 0o700)
        return self

    def __exit__(self, *_):
        try:
            self.stack.close()
        finally:
            if self.keep:
                print(f"logs kept in {self.private}", file=sys.stderr)
            else:
                shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.private, name)

    def log_path(self, name):
        return self.path(name + ".log")

    def elapsed(self):
        return time.monotonic() - self.started

    def step(self, what, text):
        print(f"{self.elapsed():6.2f} s  {what:<9} {text}", flush=True)

    def start(self, name, command, environment=None, terminal=False):
        process = Process(self, name, command, environment or {}, terminal)
        self.processes.append(process)
        self.stack.callback(process.close)
        return process

    def check(self):
        """Fails if a program has ended that should be there."""
        for process in self.processes:
            if process.status is not None and not process.may_end:
                raise Failed(f"{process.name} ended too early, status {process.status}")

    def wait(self, condition, timeout):
        """The condition's value once it is neither false nor None; else None, at the time-out."""
        deadline = time.monotonic() + timeout
        with self.news:
            while True:
                value = condition()
                if value:
                    return value
                self.check()
                if not self.news.wait(max(0, deadline - time.monotonic())) \
                        and time.monotonic() >= deadline:
                    return None

    def print_logs(self, count=25):
        """The ends of all logs, for the reader of a failed run."""
        for name in sorted(os.listdir(self.private)):
            if not name.endswith(".log"):
                continue
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
            print(f"\n---- {name}: the last of {len(lines)} lines", file=sys.stderr)
            for line in lines[-count:]:
                print(line[:200], file=sys.stderr)


class Display:
    """An X server that shows nothing to anyone (Xvfb), for the client unless told otherwise."""

    def __init__(self, run, name="xvfb", what="for the client"):
        self.run = run
        cookie = secrets.token_bytes(16)
        authority = run.path(name + ".Xauthority")
        x11.write_authority(authority, cookie)
        # The server writes its display number to descriptor 1: to the output that is read.
        process = run.start(name, [
            "Xvfb", "-displayfd", "1", "-screen", "0", f"{SCREEN_WIDTH}x{SCREEN_HEIGHT}x24",
            "-auth", authority, "-nolisten", "tcp", "-noreset"])
        number = process.wait_line(r"^(\d+)$", START_TIMEOUT)[1]
        self.environment = {"DISPLAY": f":{number}", "XAUTHORITY": authority}
        self.x = x11.Display(number, cookie)
        run.stack.callback(self.x.close)
        self.x.move_pointer(SCREEN_WIDTH // 2, SCREEN_HEIGHT * 3 // 4)
        run.step("display", f"Xvfb :{number}, {SCREEN_WIDTH}x{SCREEN_HEIGHT}, {what}")

    def wait_for(self, what, shows, timeout):
        """The first picture for which shows(picture) holds."""
        deadline = time.monotonic() + timeout
        while True:
            picture = self.x.image()
            if shows(picture):
                return picture
            if time.monotonic() >= deadline:
                picture.write_png(self.run.path("timeout.png"))
                raise Failed(f"the client did not show {what} within {timeout} s")
            self.run.check()
            self.x.wait_drawn(min(0.5, max(0, deadline - time.monotonic())))


def shows_session(picture):
    """Whether the client shows the test user's session."""
    return (picture.share(SESSION_BACKGROUND, COLOUR_TOLERANCE) > 0.5
            and picture.share(SESSION_TERMINAL, COLOUR_TOLERANCE) > 0.05)


class TestUser:
    """A user of this machine that lives as long as the run, with a password of its own.

    Its session is session.sh, which lasts until log_off().
    """

    def __init__(self, run):
        self.run = run
        self.name = "hvs-" + secrets.token_hex(4)
        self.password = random_password()
        self.home = os.path.join(run.directory, "home")
        self._command("useradd", "--create-home", "--home-dir", self.home, "--no-log-init",
                      "--shell", "/bin/sh", self.name)
        run.stack.callback(self.close)
        self._command("chpasswd", text=f"{self.name}:{self.password}\n")
        entry = pwd.getpwnam(self.name)
        self.uid = entry.pw_uid
        self.fifo = os.path.join(self.home, "end")
        os.mkfifo(self.fifo, 0o600)
        script = shutil.copy(os.path.join(SOURCE, "session.sh"),
                             os.path.join(self.home, "startwm.sh"))
        os.chmod(script, 0o700)
        for path in (self.fifo, script):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        run.step("user", f"{self.name}, with a random password, for this run only")

    def _command(self, *command, text=None):
        result = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        if result.returncode != 0:
            raise Failed(f"{command[0]}: {result.stderr.strip()}")

    def log_off(self):
        """Ends the session from inside: its script exits."""
        # Opened without waiting: fails if no session listens.
        os.close(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK))

    def processes(self):
        """The user's living processes, as a list of pidfds; the caller closes them."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):  # it has just ended
                if os.stat(f"/proc/{name}").st_uid != self.uid:
                    continue
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    state = file.read().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append(os.pidfd_open(int(name)))
        return found

    def _end_processes(self, number, timeout):
        """Sends them a signal, until none is left or the time is over; whether none is left."""
        deadline = time.monotonic() + timeout
        while waiting := self.processes():
            with contextlib.ExitStack() as stack:
                for descriptor in waiting:
                    stack.callback(os.close, descriptor)
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, number)
                while waiting and time.monotonic() < deadline:
                    ended, _, _ = select.select(waiting, [], [],
                                                max(0, deadline - time.monotonic()))
                    waiting = [descriptor for descriptor in waiting if descriptor not in ended]
                if waiting:
                    return False
        return True

    def close(self):
        if not self._end_processes(signal.SIGTERM, KILL_TIMEOUT):
            self._end_processes(signal.SIGKILL, END_TIMEOUT)
        self._command("userdel", "--remove", self.name)


def edit_ini(text, changes):
    """Sets keys in the text of an ini file; changes: {section: {key: value}}.

    Each key is set at the beginning of its section, and its other lines, commented out or not, go.
    Everything else stays as it is: these files repeat keys, and their order counts.
    """
    lines, section, missing = [], None, {name: dict(keys) for name, keys in changes.items()}
    for line in text.splitlines():
        header = re.match(r"\[([^\]]+)\]", line)
        if header:
            section = header[1]
            lines.append(line)
            lines += [f"{key}={value}" for key, value in missing.pop(section, {}).items()]
            continue
        key = re.match(r"[#;]?\s*([A-Za-z_0-9]+)\s*=", line)
        if key is None or key[1] not in changes.get(section, {}):
            lines.append(line)
    for section, keys in missing.items():
        lines += [f"[{section}]"] + [f"{key}={value}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def free_port():
    """A TCP port of 127.0.0.1 that is free now, for a program that cannot choose one itself. Below
    those that the kernel gives to whoever asks for any (ip_local_port_range): it may give one of
    these to somebody else meanwhile."""
    while True:
        port = random.randrange(20000, 32768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Xrdp:
    """xrdp and xrdp-sesman, of the distribution's files but with settings of their own.

    The settings are those that hvsession asks for: plain RDP, no RDP encryption, no compression.
    kind is how it is reached: "tcp", "unix", or "own": through the ini file that hvsession-xrdp
    has, as it is but for the log, beside an xrdp with the distribution's settings. address is what
    hvsession's Server= names.
    """

    RUN_DIRECTORY = "/run/xrdp"
    PID_FILE = "/run/xrdp/xrdp.pid"
    OWN_INI = os.path.join(SOURCE, "../../packaging/xrdp/xrdp.ini")
    OWN_SOCKET = "/run/hvsession/xrdp.sock"

    def __init__(self, run, kind):
        self.run, self.kind = run, kind
        self._prepare_run_directory()
        self.logging = {"EnableSyslog": "false", "EnableConsole": "true", "ConsoleLevel": "DEBUG",
                        "LogLevel": "DEBUG"}
        sesman_ini = self._write_ini("/etc/xrdp/sesman.ini", "sesman.ini", {
            "Globals": {"EnableUserWindowManager": "true", "UserWindowManager": "startwm.sh"},
            "Sessions": {"KillDisconnected": "true"},
            "Logging": {"LogFile": run.path("xrdp-sesman.file"), **self.logging},
        })
        self.sesman = run.start("xrdp-sesman", ["xrdp-sesman", "-n", "-c", sesman_ini],
                                terminal=True)
        self.sesman.wait_line(r"(?i)listening", START_TIMEOUT)
        if kind == "own":
            self._start_own()
        else:
            self._start_with_our_settings()
        with open(self.ini, encoding="utf-8") as file:
            text = file.read()
        self.login_colours = [tuple(bytes.fromhex(read_ini(text, "Globals", key)))
                              for key in ("ls_top_window_bg_color", "ls_bg_color")]
        run.step("xrdp", "plain RDP on "
                 f"{self.address if kind == 'tcp' else 'a UNIX socket'}")

    def _start_with_our_settings(self):
        if self.kind == "unix":
            path = self.run.path("xrdp.sock")
            port, self.address, listening = f"unix://.{path}", f"unix:{path}", re.escape(path)
        else:
            number = free_port()
            port, self.address = f"tcp://127.0.0.1:{number}", f"tcp:127.0.0.1:{number}"
            listening = str(number)
        self.ini = self._write_ini("/etc/xrdp/xrdp.ini", "xrdp.ini", {
            "Globals": {
                "port": port, "use_vsock": "false", "security_layer": "rdp", "crypt_level": "none",
                "bitmap_compression": "false", "tcp_nodelay": "true", "autorun": "Xorg",
            },
            "Logging": {"LogFile": self.run.path("xrdp.file"), **self.logging},
        })
        self.xrdp = self._start("xrdp", ["xrdp", "-n", "-c", self.ini], listening)

    def _start_own(self):
        """As hvsession-xrdp.service does, with the distribution's xrdp up already."""
        apart = enclosure.permitted()
        self.untouched = fingerprint("/etc/xrdp")
        self.port = free_port()
        ini = self._write_ini("/etc/xrdp/xrdp.ini", "distribution.ini", {
            "Globals": {"port": f"tcp://127.0.0.1:{self.port}"},
            "Logging": {"LogFile": self.run.path("distribution.file"), **self.logging},
        })
        self.distribution = self._start("xrdp-of-distribution", ["xrdp", "-n", "-c", ini],
                                        str(self.port))
        if apart:  # Debian 12's has one; without name spaces ours would not start beside it
            self.run.stack.callback(os.unlink, self.PID_FILE)
            with open(self.PID_FILE, "w", encoding="ascii") as file:
                file.write(f"{self.distribution.popen.pid}\n")
        directory = os.path.dirname(self.OWN_SOCKET)
        os.mkdir(directory, 0o750)
        self.run.stack.callback(shutil.rmtree, directory)
        self.address = "auto"
        self.ini = self._write_ini(self.OWN_INI, "own.ini", {"Logging": self.logging})
        command = ["xrdp", "-n", "-c", self.ini]
        if apart:
            command = ["unshare", "--mount", "sh", "-c",
                       'mount -t tmpfs -o ro,mode=755 tmpfs /var && exec "$@"', "sh",
                       "setpriv", "--bounding-set=-all,+dac_override", "--no-new-privs", *command]
        self.xrdp = self._start("xrdp", command, re.escape(self.OWN_SOCKET))

    def _start(self, name, command, listening):
        process = self.run.start(name, command, terminal=True)
        process.wait_line(rf"(?i)listening to port.*{listening}", START_TIMEOUT)
        return process

    def shows_login(self, picture):
        """Whether the picture is that of xrdp's login dialog."""
        background, dialog = self.login_colours
        return (picture.share(background, COLOUR_TOLERANCE) > 0.4
                and picture.share(dialog, COLOUR_TOLERANCE) > 0.08)

    def check_distribution(self):
        """Fails unless the distribution's xrdp is as it was before ours, and serves."""
        if self.kind != "own":
            return
        self.run.check()
        if fingerprint("/etc/xrdp") != self.untouched:
            raise Failed("/etc/xrdp was changed")
        if os.path.exists(self.PID_FILE):
            with open(self.PID_FILE, encoding="ascii") as file:
                if int(file.read()) != self.distribution.popen.pid:
                    raise Failed(f"{self.PID_FILE} is not the distribution's any more")
        with socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT) as client:
            client.sendall(bytes.fromhex("030000130ee000000000000100080001000000"))
            answer = client.recv(19)  # a confirm that chooses TLS: its own settings
        if answer[5:6] != b"\xd0" or answer[15:16] != b"\1":
            raise Failed(f"the distribution's xrdp answers {answer.hex()}")
        self.run.step("xrdp", "the distribution's, beside it, is as it was, and serves")

    def _write_ini(self, source, name, changes):
        with open(source, encoding="utf-8") as file:
            text = file.read()
        path = self.run.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(edit_ini(text, changes))
        return path

    def _prepare_run_directory(self):
        """What the distribution's service unit does before it starts xrdp."""
        for name in ("xrdp.pid", "xrdp-sesman.pid"):
            path = f"{self.RUN_DIRECTORY}/{name}"
            with contextlib.suppress(FileNotFoundError, ValueError):
                with open(path, encoding="ascii") as file:
                    pid = int(file.read())
                if os.path.exists(f"/proc/{pid}"):
                    raise Failed("this machine's own xrdp runs, and no second one can be kept "
                                 "apart from it here; stop it: systemctl stop xrdp xrdp-sesman")
                os.unlink(path)  # left behind by one that is gone; xrdp would refuse to start
        for path, mode in ((self.RUN_DIRECTORY, 0o2775), (f"{self.RUN_DIRECTORY}/sockdir", 0o3777)):
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, "root", "xrdp")
            os.chmod(path, mode)

    def check_plain_rdp(self, since):
        """Fails unless xrdp was asked for plain RDP, chose it, and does not encrypt."""
        chosen = self.xrdp.wait_line(r"Security protocol: (.*)", START_TIMEOUT, since)[1]
        if "requested [RDP]" not in chosen or "selected [RDP]" not in chosen:
            raise Failed(f"xrdp was not asked for plain RDP: {chosen}")
        self.xrdp.wait_line(r"Non-TLS connection established.*security level : none",
                            START_TIMEOUT, since)
        self.run.step("xrdp", "selected [RDP], security level none")


class Shadow:
    """FreeRDP's server, which shows the desktop of a display of its own and accepts TLS only."""

    def __init__(self, run):
        self.run = run
        display = Display(run, "xvfb-server", "the server's desktop")
        painted = subprocess.run(["xsetroot", "-solid", hex_colour(SESSION_BACKGROUND)],
                                 env={**os.environ, **display.environment}, check=False)
        if painted.returncode != 0:
            raise Failed("the server's desktop could not be painted")
        number = free_port()
        self.address = f"tcp:127.0.0.1:{number}"
        self.server = run.start("freerdp-shadow", [
            shadow(), "/bind-address:127.0.0.1", f"/port:{number}", "/sec:tls", "-auth"],
            {**display.environment, "HOME": run.private}, terminal=True)
        self.server.wait_line(rf"Listening on .*{number}", START_TIMEOUT)
        run.step("shadow", f"TLS only, on {self.address}")


def shows_desktop(picture):
    """Whether the client shows the desktop of a Shadow."""
    return picture.share(SESSION_BACKGROUND, COLOUR_TOLERANCE) > 0.95


class Relay:
    """hvsessiond on a simulated Hyper-V host.

    guest takes connections as the host does from VMMS: each gets a data channel of the virtual
    machine, or is a connection to its HvSocket port. server is hvsession's Server= setting.
    """

    def __init__(self, run, hyperv_sim, hvsessiond_sim, server, transport="vmbus"):
        self.run = run
        socket_path = run.path("hyperv.sock")
        self.host = run.start("hyperv-sim", [hyperv_sim, "--socket", socket_path, "--listen",
                                             "127.0.0.1:0"])
        port = int(self.host.wait_line(r"^ready (\d+)$", START_TIMEOUT)[1])
        hvsocket = run.path("hvsocket")
        self.guest = f"127.0.0.1:{port}" if transport == "vmbus" else f"unix:{hvsocket}"
        config = run.path("hvsession.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[hvsession]\nServer={server}\n")
        self.daemon = run.start(
            "hvsessiond", [hvsessiond_sim, "--config", config, "--log-level", "debug"],
            {"HYPERV_SIM": socket_path, "HVSOCKET_SIM": hvsocket})
        self.daemon.wait_line(r"HvSocket: listening", START_TIMEOUT)
        run.step("hyperv", f"simulated host on 127.0.0.1:{port}, hvsessiond on its VMBus"
                 + ("" if transport == "vmbus" else "; sessions come over HvSocket"))
        self.started = "started, over HvSocket" if transport != "vmbus" else "channel 1: started"

    def check_tls(self, since):
        """Fails unless the session's server was asked for plain RDP first, and then speaks TLS."""
        self.daemon.wait_line(r"SSL_REQUIRED_BY_SERVER\): asking again, for TLS", LOGIN_TIMEOUT,
                              since)
        version = self.daemon.wait_line(r"TLS with the server: (.*)", START_TIMEOUT, since)[1]
        self.daemon.wait_line(r"active: client asked for SSL\|HYBRID.*, server chose SSL, "
                              "reply mirrored", START_TIMEOUT, since)
        self.run.step("relay", f"asked again, for TLS: {version}")

    def check_transport(self):
        """Fails unless the first session has come over the transport that was meant."""
        self.daemon.wait_line(rf"session 1.*{self.started}", START_TIMEOUT)

    def wait_session_end(self, reasons, since):
        """hvsessiond's reason for the end of a session; fails if it is none of these."""
        reason = self.daemon.wait_line(r"session \d+.*: ended after [^(]*\(([a-z-]+)\)",
                                       END_TIMEOUT, since)[1]
        if reason not in reasons:
            raise Failed(f"the session ended as {reason}, not as {' or '.join(reasons)}")
        self.run.step("relay", f"session ended: {reason}")
        return reason

    def status(self):
        """The daemon's status screen."""
        since = len(self.daemon.lines)
        self.daemon.signal(signal.SIGUSR1)
        self.daemon.wait_line(r" status$", START_TIMEOUT, since)
        # It comes in one piece; nothing marks its end but that no more follows.
        count = 0
        while count != len(self.daemon.lines):
            count = len(self.daemon.lines)
            self.run.wait(lambda: len(self.daemon.lines) > count, 0.1)
        lines = self.daemon.lines[since:count]
        first = next(index for index, line in enumerate(lines) if re.search(r" status$", line)) + 1
        screen = itertools.takewhile(lambda line: not re.match(r"\d\d:\d\d:\d\d", line),
                                     lines[first:])
        return textwrap.dedent("\n".join(screen))

    def end(self):
        """Ends both in order; fails unless both are content."""
        for process in (self.daemon, self.host):
            status = process.end()
            if status != 0:
                raise Failed(f"{process.name} ended with status {status}")
        self.run.step("relay", "hvsessiond and the simulated host ended with status 0")


class Vmms:
    """The stand-in for the host's VMMS, in front of a guest that takes plain RDP: forward is a port
    of 127.0.0.1, or where vmms.py is to forward to."""

    def __init__(self, run, user, forward, request):
        self.run, self.request = run, request
        self.password = random_password()
        if isinstance(forward, int):
            forward = f"127.0.0.1:{forward}"
        self.process = run.start("vmms", [
            sys.executable, os.path.join(SOURCE, "vmms.py"), "--forward", forward,
            "--user", user, "--password", self.password, "--request", request],
            {"TMPDIR": run.private})
        self.port = int(self.process.wait_line(r"^ready (\d+)$", START_TIMEOUT)[1])
        run.step("vmms", f"stand-in on 127.0.0.1:{self.port}, request: {request}")

    def check_request(self, since):
        """Waits until the client is through; fails unless it sent a request with a cookie."""
        self.process.wait_line(r"client's request: \d+ bytes, Cookie: mstshash=", LOGIN_TIMEOUT,
                               since)
        self.process.wait_line(rf"sent to the guest: request {self.request}$", LOGIN_TIMEOUT,
                               since)
        self.run.step("vmms", "TLS, CredSSP and NTLMv2 done; request sent to the guest")


def shadow():
    """The name of FreeRDP's server here, or None: version 3 and 2 differ in it."""
    return next((name for name in ("freerdp-shadow-cli3", "freerdp-shadow-cli")
                 if shutil.which(name)), None)


def freerdp():
    """The name of FreeRDP's client here, or None: version 3 and 2 differ in it."""
    return next((name for name in ("xfreerdp3", "xfreerdp") if shutil.which(name)), None)


class Client:
    """FreeRDP, connecting as vmconnect does."""

    def __init__(self, run, display, vmms, user):
        self.run = run
        self.process = run.start("xfreerdp", [
            freerdp(), "/v:127.0.0.1", f"/port:{vmms.port}", f"/vmconnect:{MACHINE_ID}",
            f"/u:{user}", f"/p:{vmms.password}", f"/size:{SCREEN_WIDTH}x{SCREEN_HEIGHT}",
            "/bpp:32", "/cert:ignore", "-clipboard", "/log-level:INFO",
        ], {**display.environment, "HOME": run.private})

    def leave(self):
        """The user closes the window."""
        self.process.end()
        self.run.step("client", "window closed")

    def wait_log_off(self):
        """Waits until it ends by itself; fails unless it knows that the user has logged off."""
        status = self.process.wait_end(END_TIMEOUT)
        if status != CLIENT_LOGGED_OFF:
            raise Failed(f"xfreerdp ended with status {status}, not {CLIENT_LOGGED_OFF}")
        self.run.step("client", "ended by itself: the user has logged off")
