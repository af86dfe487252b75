"""Sessions through the daemon: what a user has of it when everybody behaves."""

import os
import random
import threading

from daemon import (HOST_CLOSED, LEFT, SERVER_CLOSED, daemon_guest, hvsessiond, main_subset,
                    negotiated, session)
from vm import CHANNELS, Failure, TRANSFER_TIMEOUT

MIB = 1 << 20
DATA_CHANNELS = CHANNELS - 1
IDLE_SECONDS = 4
# What a heap may grow by while it settles; a session that leaked as little as 1 KiB would show.
MEMORY_SLACK = 96 << 10


def in_threads(functions):
    """Runs them at the same time; the first error is raised."""
    errors = []

    def run(function):
        try:
            function()
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@main_subset
def test_host_is_detected_and_the_version_negotiated(vm):
    hvsessiond(vm, fresh=True)
    vm.host.wait("version-request type 1 size 16 version 1$")
    vm.host.wait("version-answer")


@main_subset
def test_session_is_answered_as_by_windows_and_the_server_asked_for_plain_rdp(vm):
    daemon = hvsessiond(vm)
    server = vm.service("rdp-echo", "ready")
    client = session(vm)
    client.echo(os.urandom(MIB))
    server.wait_line("requestedProtocols=0x0 flags=0x0 .*serverSelectedProtocol=0x0 order=echo")
    client.close()
    daemon.ended(LEFT)


@daemon_guest
def test_request_in_single_bytes_with_a_cookie(vm):
    hvsessiond(vm)
    client = negotiated(vm.connect(), cookie=b"eltons", pieces=1)
    client.order("echo")
    client.echo(os.urandom(100_000))


@main_subset
def test_64_mib_each_way_arrive_whole(vm):
    """To the guest by checksum, from it byte by byte."""
    hvsessiond(vm)
    client = session(vm, None)
    client.sink(os.urandom(64 * MIB))
    client.close()
    client = session(vm, None)
    client.source(64 * MIB)


@main_subset
def test_64_mib_both_ways_at_once_arrive_whole(vm):
    hvsessiond(vm)
    session(vm, None).duplex(os.urandom(64 * MIB))


@daemon_guest
def test_odd_sizes_and_wraps(vm):
    hvsessiond(vm)
    client = session(vm)
    for size in list(range(1, 40)) + [1623, 4000, 16019, 16383, 16384, 16385, 65535, 70001]:
        client.echo(os.urandom(size))


@main_subset
def test_five_at_once_and_a_sixth_waits(vm):
    daemon = hvsessiond(vm)
    clients = [session(vm) for _ in range(DATA_CHANNELS)]
    sixth = vm.connect()
    vm.host.wait("client-waits")
    in_threads([lambda client=client: client.echo(os.urandom(2 * MIB)) for client in clients])
    clients[2].close()
    daemon.ended(LEFT)
    negotiated(sixth).order("echo")
    sixth.echo(os.urandom(MIB))
    for client in (clients[0], clients[4]):     # unharmed by all that
        client.echo(os.urandom(10_000))


@daemon_guest
def test_byte_pipe_and_messages_of_one_byte(vm):
    hvsessiond(vm)
    for kind in ("byte", "message"):
        for size in (1, 7, 16384):
            vm.host.command("pipe " + kind)
            vm.host.command("message-size %d" % size)
            client = session(vm)
            client.echo(os.urandom(20_000))
            client.close()
            vm.host.wait("released 1")


def wait_for_full_ring(vm, channel=1):
    """Until the guest has asked for room in the ring that the host does not read."""
    vm.host.wait_channel(channel, lambda status: status["out"][3] and status["unread"] > 30_000,
                         "a full ring")


def wait_for_blocked_daemon(vm, daemon, channel=1):
    """Until the daemon sleeps, and leaves what the host has for it in the ring: the server takes
    no more."""
    last = None

    def is_blocked(status):
        nonlocal last
        write, read, _, pending = status["in"]
        look = (write, read) if pending and daemon.is_asleep() else None
        same, last = look and look == last, look
        return same
    vm.host.wait_channel(channel, is_blocked, "a daemon that waits for the server")


@main_subset
def test_host_that_reads_slowly_holds_the_server_up_and_loses_nothing(vm):
    daemon = hvsessiond(vm)
    client = session(vm, None)
    vm.host.command("reader 1 pause")
    client.order("source", 2 * MIB)
    wait_for_full_ring(vm)
    vm.host.command("reader 1 slow 60000 5")
    client.check_pattern(2 * MIB)
    vm.host.command("reader 1 run")
    client.echo(b"hello")
    client.close()
    match = daemon.ended(LEFT)
    if "blocked by the host 0 times" in match.group(0):
        raise Failure("it was never blocked: " + match.group(0))


@main_subset
def test_server_that_does_not_read_holds_the_host_up_and_loses_nothing(vm):
    """The server sends 8 MiB before it reads, and the host takes none of that for a while. What the
    client sends meanwhile is more than the guest's sockets take."""
    daemon = hvsessiond(vm)
    client = session(vm, None)
    vm.host.command("reader 1 pause")
    client.order("source", 8 * MIB)
    data = os.urandom(24 * MIB)
    sender = client.send_in_background(data)
    wait_for_full_ring(vm)
    wait_for_blocked_daemon(vm, daemon)
    vm.host.command("reader 1 run")
    client.check_pattern(8 * MIB)
    if client.receive(len(data)) != data:
        raise Failure("echo differs")
    sender.join()
    client.close()
    match = daemon.ended(LEFT)
    if "by the server 0 times" in match.group(0):
        raise Failure("the server never held it up: " + match.group(0))


@main_subset
def test_client_that_sends_no_more_still_gets_everything(vm):
    daemon = hvsessiond(vm)
    client = session(vm, "source", 4 * MIB)
    client.end()
    client.check_pattern(4 * MIB)
    if client.receive_end():
        raise Failure("more came than was sent")
    daemon.ended("%s|%s" % (HOST_CLOSED, LEFT))     # both ways have ended, and the host rescinds


@main_subset
def test_server_that_sends_no_more_still_gets_everything(vm):
    hvsessiond(vm)
    server = vm.service("rdp-echo", "ready")
    client = session(vm, "deafen", 4 * MIB)
    if client.receive_end():
        raise Failure("data instead of the end of the stream")
    vm.host.wait("guest-eof 1")
    client.send(os.urandom(4 * MIB))
    server.wait_line("session \\d+ took %d" % (4 * MIB))


@main_subset
def test_server_that_closes_gets_everything_to_the_client(vm):
    daemon = hvsessiond(vm)
    client = session(vm, "finish", 900_000)
    client.check_pattern(900_000)
    if client.receive_end():
        raise Failure("more came than was sent")
    daemon.ended(SERVER_CLOSED)     # a client that does not leave is left


@daemon_guest
def test_tcp_clients(vm):
    hvsessiond(vm)
    client = negotiated(vm.connect(tcp=True))
    client.order("echo")
    client.echo(os.urandom(MIB))
    client.end()
    vm.host.wait("rescind 1 .*was open")
    client.receive_end()


class Resources:
    """What the daemon holds at a time."""

    def __init__(self, daemon):
        self.daemon = daemon
        daemon.status()     # a session that has ended is freed by now
        self.descriptors, self.threads = daemon.descriptors(), daemon.threads()
        self.memory = daemon.memory()

    def growth(self):
        """Bytes of memory that have been added to it; of all else there must be as much."""
        now = Resources(self.daemon)
        if (now.descriptors, now.threads) != (self.descriptors, self.threads):
            raise Failure("descriptors %s, threads %s; %s and %s before\n%s" % (
                now.descriptors, now.threads, self.descriptors, self.threads,
                self.daemon.vm.run("ls -l /proc/%d/fd" % self.daemon.pid).out))
        return now.memory - self.memory


ENDED = r"session \d+, channel \d: ended"


@daemon_guest
def test_200_short_sessions_leak_nothing(vm):
    daemon = hvsessiond(vm)
    before = None
    ended = daemon.count(ENDED)
    for number in range(200):
        if number == 20:    # by now the heap has its size
            daemon.wait_count(ENDED, ended + number)
            before = Resources(daemon)
        client = session(vm)
        client.echo(os.urandom(number * 100 + 1))
        client.close()
    daemon.wait_count(ENDED, ended + 200)
    growth = before.growth()
    if growth > MEMORY_SLACK:
        raise Failure("%d KiB more memory than before" % (growth >> 10))


class Storm:
    """Random sessions, as many at a time as there are channels."""

    def __init__(self, vm, count, seed):
        self.vm, self.random = vm, random.Random(seed)
        self.left = [self.random.choice(("leaves", "ends", "finishes", "rescinded", "vanishes"))
                     for _ in range(count)]
        self.lock = threading.Lock()

    def run(self):
        while True:
            with self.lock:
                if not self.left:
                    return
                kind = self.left.pop()
                size = int(2 ** self.random.uniform(0, 19))
                # One connects at a time, so the event belongs to this client.
                client = self.vm.connect()
                channel = int(self.vm.host.wait(r"client (\d)$", TRANSFER_TIMEOUT).group(1))
            getattr(self, kind)(client, channel, os.urandom(size))
            client.close()

    @staticmethod
    def begin(client, order, count=0):
        negotiated(client).order(order, count)

    def leaves(self, client, channel, data):
        self.begin(client, "echo")
        client.echo(data)

    def ends(self, client, channel, data):
        self.begin(client, "echo")
        client.send(data)
        client.end()
        if client.receive_end() != data:
            raise Failure("not everything came back")

    def finishes(self, client, channel, data):
        self.begin(client, "finish", len(data))
        client.check_pattern(len(data))
        client.receive_end()

    def rescinded(self, client, channel, data):
        self.vm.host.command("rescind %d after %d" % (channel, 200 + len(data)))
        try:
            self.begin(client, "echo")
            client.send_in_background(data * 3)
        except (Failure, OSError):
            pass        # so early
        client.receive_end()

    def vanishes(self, client, channel, data):
        client.send_in_background(data)     # which is no Connection Request


@main_subset
def test_storm_of_100_random_sessions_leaks_nothing(vm):
    daemon = hvsessiond(vm)
    started = r"session \d+, channel \d: started"

    def storm(seed, count):
        sessions = Storm(vm, count, seed)
        try:
            in_threads([sessions.run] * DATA_CHANNELS)
        except Failure as error:
            raise Failure("seed %d: %s" % (seed, error)) from error
        vm.settle()
        vm.wait_for(lambda: daemon.count(started) == daemon.count(ENDED), 60,
                    lambda: "the end of all sessions:\n" + daemon.log[-4000:])

    storm(1, 20)
    growths = []
    # The heap grows with the number of threads that ever used it at a time, which one storm may be
    # the first to reach; a leak shows in every storm.
    while not growths or growths[-1] > MEMORY_SLACK:
        if len(growths) == 3:
            raise Failure("bytes more after each storm: %r" % growths)
        before = Resources(daemon)
        storm(random.randrange(10**9), 100)
        growths.append(before.growth())
    session(vm).echo(b"and it still works")


def check_idle(vm, daemon):
    vm.run("udevadm settle")
    daemon.status()     # no event waits any more
    daemon.wait_asleep()
    before = daemon.switches_and_run_time()
    vm.run("sleep %d" % IDLE_SECONDS)
    after = daemon.switches_and_run_time()
    if after != before:
        raise Failure("idle for %d s, it woke %d times and used %d ns\n%s" % (
            IDLE_SECONDS, after[0] - before[0], after[1] - before[1], daemon.log[-2000:]))


@main_subset
def test_idle_daemon_sleeps_with_no_session(vm):
    daemon = hvsessiond(vm)
    vm.settle()
    check_idle(vm, daemon)


@main_subset
def test_idle_daemon_sleeps_with_an_idle_session(vm):
    daemon = hvsessiond(vm)
    client = session(vm)
    client.echo(b"hello")
    check_idle(vm, daemon)
    client.echo(b"and awake again")
