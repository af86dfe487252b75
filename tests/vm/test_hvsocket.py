"""Sessions over HvSocket, through the kernel's own AF_VSOCK: from within the guest, since the
emulated host has none. HvSocketLoopback=yes lets them in."""

import hashlib
import os
import signal

from daemon import HOST_CLOSED, LEFT, REQUESTED, SERVER_CLOSED, daemon_guest, hvsessiond, \
    negotiated, session
from test_sessions import check_idle
from vm import Failure, connection_request

MIB = 1 << 20
LOOPBACK = "HvSocketLoopback=yes"
LISTENING = r"HvSocket: listening on port 3389"


def digest(data):
    return hashlib.sha256(data).hexdigest()


def begin(vm, order="echo", count=0):
    client = negotiated(vm.call_hvsocket())
    client.order(order, count)
    return client


def ended(daemon, sentence):
    """Waits for the end of a session that has no channel, which must be for that reason."""
    match = daemon.wait(r"session \d+: ended after [^:]*: (.*)")
    if not any(words in match.group(1) for words in sentence.split("|")):
        raise Failure("a session ended otherwise than %r: %s" % (sentence, match.group(0)))
    return match


def expect_status(daemon, *words):
    status = daemon.status()
    for word in words:
        if word not in status:
            raise Failure("no %r in the status:\n%s" % (word, status))


@daemon_guest
def test_session_is_negotiated_and_its_data_arrives_whole(vm):
    daemon = hvsessiond(vm, LOOPBACK)
    server = vm.service("rdp-echo", "ready")
    client = begin(vm)
    server.wait_line("requestedProtocols=0x0 flags=0x0 .*serverSelectedProtocol=0x0 order=echo")
    expect_status(daemon, "HvSocket   listening", ", over HvSocket")
    sent = os.urandom(3 * MIB)
    client.send(sent)
    back = client.receive(len(sent))
    if digest(back) != digest(sent):
        raise Failure("%s came back for %s" % (digest(back), digest(sent)))
    client.close()
    ended(daemon, LEFT + "|" + HOST_CLOSED)


@daemon_guest
def test_both_ends_may_end_their_stream_first(vm):
    daemon = hvsessiond(vm, LOOPBACK)
    client = begin(vm, "source", MIB)
    client.end()
    client.check_pattern(MIB)
    if client.receive_end():
        raise Failure("more came than was sent")
    ended(daemon, HOST_CLOSED)
    client = begin(vm, "finish", 300_000)
    client.check_pattern(300_000)
    if client.receive_end():
        raise Failure("more came than was sent")
    ended(daemon, SERVER_CLOSED)


@daemon_guest
def test_both_transports_at_once(vm):
    daemon = hvsessiond(vm, LOOPBACK)
    over_vmbus, over_hvsocket = session(vm), begin(vm)
    for _ in range(3):
        over_vmbus.echo(os.urandom(100_000))
        over_hvsocket.send(b"hello")
        if over_hvsocket.receive(5) != b"hello":
            raise Failure("something else came back")
    vm.host.command("rescind control")
    daemon.wait("channel 0 was taken back")
    over_hvsocket.send(b"still there")
    if over_hvsocket.receive(11) != b"still there":
        raise Failure("something else came back")
    expect_status(daemon, "uses HvSocket, and offers no VMBus channels", "over HvSocket")


@daemon_guest
def test_five_at_once_and_a_sixth_waits(vm):
    daemon = hvsessiond(vm, LOOPBACK)
    clients = [begin(vm) for _ in range(5)]
    daemon.status()     # all that it has said until now is here
    seen = daemon.count("started, over HvSocket")
    sixth = vm.call_hvsocket()
    sixth.send(connection_request(REQUESTED))
    clients[2].send(b"hello")
    clients[2].receive(5)
    daemon.status()
    if daemon.count("started, over HvSocket") != seen:
        raise Failure("a sixth session has begun")
    clients[2].close()
    ended(daemon, LEFT + "|" + HOST_CLOSED)
    if sixth.receive_tpkt()[5] != 0xd0:
        raise Failure("the sixth was not answered")


@daemon_guest
def test_callers_that_are_not_the_host_are_refused(vm):
    daemon = hvsessiond(vm, fresh=True)
    daemon.wait_status("HvSocket   listening")    # by itself, where the driver hv_sock is
    stranger = vm.call_hvsocket()
    if stranger.receive_end():
        raise Failure("it got an answer")
    daemon.wait("HvSocket: refused a connection of address 1, which is not the host")


@daemon_guest
def test_port_that_is_taken_is_asked_for_again(vm):
    vm.run("modprobe vsock_loopback")
    if vm.daemon and vm.daemon.running:
        vm.daemon.stop()
    other = vm.start("exec vsock-call --hold 3389")
    other.wait_line("holding")
    daemon = hvsessiond(vm, LOOPBACK, "LogLevel=info", fresh=True)
    daemon.wait_status("HvSocket   port taken by another program")
    session(vm).echo(b"hello")
    other.kill()
    other.wait()
    daemon.process.mark()
    daemon.process.kill(signal.SIGHUP)
    daemon.wait(LISTENING)
    client = begin(vm)
    client.send(b"hello")
    client.receive(5)


@daemon_guest
def test_idle_daemon_sleeps_with_an_idle_session(vm):
    daemon = hvsessiond(vm, LOOPBACK)
    client = begin(vm)
    client.send(b"hello")
    client.receive(5)
    check_idle(vm, daemon)
    client.send(b"and awake again")
    client.receive(15)
