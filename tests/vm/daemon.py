"""hvsessiond in a guest, for the tests: the program as it is shipped, and how its sessions look from
both ends.

    @daemon_guest
    def test_client_leaves(vm):
        daemon = hvsessiond(vm)
        client = session(vm)
        client.echo(b"hello")
        client.close()
        daemon.ended("the user closed the window")

The program is that of the environment variable HVSESSIOND, or of the release build.
"""

import os
import re
import signal
import time

from vm import EVENT_TIMEOUT, HERE, Failure, guest

PROGRAM = os.environ.get("HVSESSIOND") or \
    os.path.join(HERE, "../../build/release/linux/hvsessiond")
PROGRAMS = (os.path.realpath(PROGRAM) + ":/usr/bin/hvsessiond", "/usr/bin/setpriv")
CONFIG = "/etc/hvsession/hvsession.conf"
REQUESTED = 0x0b    # what vmconnect's client asks for: TLS, CredSSP, RDSTLS' predecessor
MIRRORED = 0x08     # and what a mirrored reply chooses of it

READY = r"ready: the host supports Enhanced Session, protocol 1\.0"
LEFT = "the user closed the window"
CONTROL_LOST = "the host took Enhanced Session back"
SERVER_CLOSED = "the RDP server closed the connection"
HOST_CLOSED = "the host closed the connection"
STOPPED = "hvsession was stopped"
RING_CORRUPT = "the ring buffer holds an index or length that cannot be right"
PIPE_PROTOCOL = "the host sent a packet that a pipe does not carry"


def daemon_guest(function=None, series="6.12", **arguments):
    """@daemon_guest, or @daemon_guest(series="6.1", monitor=True, …) as vm.guest()."""
    decorate = guest(series, programs=PROGRAMS, **arguments)
    return decorate(function) if function else decorate


def main_subset(function):
    """Also where every channel is signalled through the monitor page."""
    for series in ("6.1", "6.12"):
        function = daemon_guest(function, series=series, monitor=True)
    return daemon_guest(function)


class Daemon:
    """A hvsessiond that runs in the guest."""

    def __init__(self, vm, settings=(), prefix=""):
        vm.put(CONFIG, "[hvsession]\n" + "".join(line + "\n" for line in settings))
        self.vm, self.settings = vm, tuple(settings)
        self.process = vm.start("echo $$; exec %s hvsessiond --log-level info" % prefix)
        self.pid = int(self.process.wait_line(r"^(\d+)$").group(1))
        self.process.wait_line("hvsessiond .* started")

    @property
    def running(self):
        return self.process.status is None

    @property
    def log(self):
        return "\n".join(self.process.lines)

    def wait(self, pattern, **arguments):
        """Waits for a line of its log, after those that were waited for before."""
        return self.process.wait_line(pattern, **arguments)

    def wait_ready(self):
        self.wait(READY)

    def ended(self, sentence, channel=r"\d"):
        """Waits for the end of a session, which must be for that reason."""
        match = self.wait(r"session \d+, channel %s: ended after [^:]*: (.*)" % channel)
        if not re.search(sentence, match.group(1)):
            raise Failure("a session ended otherwise than %r: %s\n--- log\n%s" %
                          (sentence, match.group(1), self.log))
        return match

    def last_end(self):
        """The line of the session that has ended last."""
        self.status()
        return [line for line in self.process.lines if ": ended after" in line][-1]

    def count(self, pattern):
        """How many lines of its log match."""
        with self.vm.changed:
            return sum(1 for line in self.process.lines if re.search(pattern, line))

    def wait_count(self, pattern, count):
        """Waits until so many lines match, ever since it was started."""
        self.vm.wait_for(lambda: self.count(pattern) >= count, 60,
                         lambda: "%d lines %r, of which there are %d in:\n%s" %
                         (count, pattern, self.count(pattern), self.log[-4000:]))

    def stop(self, number=signal.SIGTERM):
        """Ends it; returns its exit status, or minus the signal."""
        self.process.kill(number)
        return self.process.wait()

    def status(self):
        """What SIGUSR1 writes to the log. Whatever it had to do before is done by then."""
        self.process.mark()
        seen = len(self.process.lines)
        self.process.kill(signal.SIGUSR1)
        self.wait("status$")
        return "\n".join(self.process.lines[seen:])

    def wait_status(self, pattern):
        """Asks for its status until that matches."""
        deadline = time.monotonic() + EVENT_TIMEOUT
        while not re.search(pattern, self.status()):
            if time.monotonic() > deadline:
                raise Failure("no %r in its status:\n%s" % (pattern, self.log[-4000:]))

    # ---- what it uses

    def descriptors(self):
        return self.vm.run("ls -l /proc/%d/fd | grep -c -- '->'" % self.pid).out.strip()

    def threads(self):
        return int(self._status("Threads"))

    def is_asleep(self):
        """Whether all of its threads wait for something."""
        stat = self.vm.run("cat /proc/%d/task/*/stat" % self.pid).out
        return all(line.rpartition(")")[2].split()[0] == "S" for line in stat.splitlines())

    def wait_asleep(self):
        """Waits until it is: what it said last may not be the last that it does."""
        deadline = time.monotonic() + EVENT_TIMEOUT
        while not self.is_asleep():
            if time.monotonic() > deadline:
                raise Failure("it does not come to rest:\n" + self.log[-4000:])

    def memory(self):
        """Bytes of its own, which no file is behind."""
        rollup = self.vm.get("/proc/%d/smaps_rollup" % self.pid).decode()
        return int(re.search(r"(?m)^Anonymous:\s+(\d+) kB", rollup).group(1)) * 1024

    def _status(self, field):
        text = self.vm.get("/proc/%d/status" % self.pid).decode()
        return re.search(r"(?m)^%s:\s*(\S+)" % field, text).group(1)

    def processor_seconds(self):
        """(in user space, in the kernel), threads that have ended included."""
        fields = self.vm.get("/proc/%d/stat" % self.pid).decode().rpartition(")")[2].split()
        return int(fields[11]) / 100, int(fields[12]) / 100     # USER_HZ

    def switches_and_run_time(self):
        """(how often its threads went to sleep or were pushed aside, nanoseconds on a processor)"""
        text = self.vm.run("cd /proc/%d/task && cat */status */schedstat" % self.pid).out
        switches = re.findall(r"(?m)^(?:non)?voluntary_ctxt_switches:\s*(\d+)", text)
        times = re.findall(r"(?m)^(\d+) \d+ \d+$", text)
        return sum(map(int, switches)), sum(map(int, times))


def hvsessiond(vm, *settings, ready=True, fresh=False):
    """The guest's daemon with these settings, and a server; the one that runs already if it has the
    same. It is ready when this returns, unless told otherwise."""
    vm.service("rdp-echo", "ready 3389")
    daemon = vm.daemon
    if daemon and daemon.running:
        if daemon.settings == settings and not fresh:
            daemon.process.mark()
            return daemon
        daemon.stop()
    vm.daemon = Daemon(vm, settings)
    if ready:
        vm.daemon.wait_ready()
    return vm.daemon


def no_daemon(vm):
    """None runs from now on, but a server does."""
    vm.service("rdp-echo", "ready 3389")
    daemon = vm.daemon
    if daemon and daemon.running:
        daemon.stop()


def negotiated(client, **arguments):
    """The client, when it has been answered as by a Windows guest."""
    answer = client.negotiate(REQUESTED, **arguments)
    if (answer["selected"], answer["requested"], answer["encryption"]) != \
            (MIRRORED, REQUESTED, (0, 0)):
        raise Failure("the client was answered %r" % answer)
    return client


def session(vm, order="echo", count=0):
    """A client whose session has begun; the server follows that order (guest/order.h)."""
    client = negotiated(vm.connect())
    if order:
        client.order(order, count)
    return client
