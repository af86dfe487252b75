"""The host takes channels away, and sends what no host should."""

import os

from daemon import (CONTROL_LOST, LEFT, PIPE_PROTOCOL, READY, RING_CORRUPT, daemon_guest,
                    hvsessiond, main_subset, session)
from vm import MALFORMED, Failure, connection_request

MIB = 1 << 20
NOBODY_LISTENS = "Server=tcp:127.0.0.1:3390"


@main_subset
def test_idle_session_ends_and_the_channel_serves_again(vm):
    daemon = hvsessiond(vm)
    for _ in range(3):
        client = session(vm)
        client.echo(b"hello")
        vm.host.command("rescind 1")
        daemon.ended(LEFT, channel=1)
        client.receive_end()
        vm.host.wait("released 1")


@main_subset
def test_session_in_mid_transfer_ends_and_the_channel_serves_again(vm):
    daemon = hvsessiond(vm)
    for size in (1000, 100_000, 3 * MIB):
        vm.host.command("rescind 1 after %d" % size)
        client = session(vm)
        client.send_in_background(os.urandom(8 * MIB))
        client.receive_end()
        daemon.ended(LEFT, channel=1)
        vm.host.wait("rescind 1 .*was open")
        vm.host.wait("released 1")
    session(vm).echo(b"still there")


@daemon_guest
def test_session_that_the_host_does_not_read_ends(vm):
    """It is stuck with a full ring, and the server with full sockets."""
    daemon = hvsessiond(vm)
    client = session(vm, None)
    vm.host.command("reader 1 pause")
    client.order("source", 64 * MIB)
    vm.host.wait_channel(1, lambda status: status["out"][3], "a full ring")
    vm.host.command("rescind 1")
    daemon.ended(LEFT, channel=1)
    vm.host.wait("released 1")


@daemon_guest
def test_session_that_waits_for_a_server_ends(vm):
    daemon = hvsessiond(vm, NOBODY_LISTENS, "ServerTimeout=2 min")
    client = vm.connect()
    client.send(connection_request())
    daemon.wait_status("connecting")
    vm.host.command("rescind 1")
    daemon.ended(LEFT, channel=1)
    vm.host.wait("released 1")


@daemon_guest
def test_session_that_waits_for_a_server_gets_it(vm):
    daemon = hvsessiond(vm, NOBODY_LISTENS, "ServerTimeout=2 min")
    client = vm.connect()
    client.send(connection_request())
    daemon.wait_status("connecting")
    server = vm.start("exec rdp-echo 3390")
    confirm = client.receive_tpkt()
    if confirm[5] != 0xd0:
        raise Failure("no Connection Confirm: " + confirm.hex())
    client.close()
    server.wait_line("session 1")
    server.kill()
    server.wait()


@daemon_guest
def test_session_without_a_server_ends_when_its_time_is_over(vm):
    daemon = hvsessiond(vm, NOBODY_LISTENS, "ServerTimeout=1 s")
    client = vm.connect()
    client.send(connection_request())
    client.receive_end()
    daemon.ended("no RDP server took the connection in time"
                 ".*tcp:127.0.0.1:3390: .*Connection refused")


@daemon_guest
def test_channel_rescinded_around_its_opening_serves_again(vm):
    daemon = hvsessiond(vm)
    for moment in ("on-offer", "on-open", "after-open"):
        vm.host.command("rescind 1 " + moment)
        client = vm.connect()
        vm.host.wait("rescind 1 ")
        client.receive_end()
        vm.host.wait("released 1")
        client = session(vm)
        client.echo(b"still there")
        client.close()
        vm.host.wait("released 1")
    if daemon.count("error|critical"):
        raise Failure("the log complains:\n" + daemon.log)


@main_subset
def test_control_rescinded_ends_all_sessions_and_is_negotiated_again(vm):
    daemon = hvsessiond(vm)
    for _ in range(2):
        clients = [session(vm) for _ in range(3)]
        for client in clients:
            client.echo(b"hello")
        vm.host.command("rescind control")
        for client in clients:
            client.receive_end()
            daemon.ended("%s|%s" % (CONTROL_LOST, LEFT))    # whichever is noticed first
        late = vm.connect()     # no data channel before there is a control channel again
        vm.host.wait("client-waits")
        vm.host.command("offer control")
        daemon.wait(READY)
        late.close()
        client = session(vm)
        client.echo(os.urandom(MIB))
        client.close()
        daemon.ended(LEFT)


@daemon_guest
def test_control_rescinded_at_every_moment_is_negotiated_again(vm):
    daemon = hvsessiond(vm)
    for moment in ("on-offer", "on-open", "after-open"):
        vm.host.command("rescind control")
        vm.host.command("rescind control " + moment)
        vm.host.command("offer control")
        vm.host.wait("rescind 0 ")
        vm.host.wait("rescind 0 ")
        daemon.process.mark()
        vm.host.command("offer control")
        daemon.wait(READY)
    session(vm).echo(b"hello")


# ---- hosts that break the rules

def reason_of(name):
    """What a session says that was sent this."""
    ring = name.startswith(("data-offset", "length", "eight-bytes", "index"))
    return RING_CORRUPT if ring else PIPE_PROTOCOL


@main_subset
def test_malformed_of_every_kind_ends_that_session_only(vm):
    daemon = hvsessiond(vm)
    other = session(vm)
    for name, send in MALFORMED.items():
        client = session(vm)
        client.echo(b"hello")
        send(vm.host, 2)
        try:
            daemon.ended(reason_of(name), channel=2)
        except Failure as error:
            raise Failure("%s: %s" % (name, error)) from error
        client.receive_end()
        vm.host.wait("released 2")
        other.echo(os.urandom(1000))


@daemon_guest
def test_malformed_before_the_request_ends_that_session_only(vm):
    daemon = hvsessiond(vm)
    other = session(vm)
    for name, send in MALFORMED.items():
        client = vm.connect()
        vm.host.wait("open 2 ")
        send(vm.host, 2)
        reason = "session \\d+, channel 2: ended after .*" + reason_of(name)
        if name.startswith("index"):    # or wrong before the daemon looks at the rings
            reason += "|data channel 2: .*does not hold two sound rings"
        daemon.wait(reason)
        client.receive_end()
        vm.host.wait("released 2")
    other.echo(b"hello")


@daemon_guest
def test_malformed_request_ends_that_session_only(vm):
    daemon = hvsessiond(vm)
    other = session(vm)
    for request in (b"GET / HTTP/1.0\r\n\r\n", b"\3\0\0\4", b"\3\0\xff\xff" + bytes(100),
                    connection_request()[:-1] + b"\0" * 40):
        client = vm.connect()
        client.send_in_background(request)
        client.end()
        daemon.ended("malformed PDU|before a complete connection request", channel=2)
        client.receive_end()
        vm.host.wait("released 2")
    other.echo(b"hello")


@daemon_guest
def test_malformed_on_the_control_channel_is_told_and_survived(vm):
    daemon = hvsessiond(vm)
    for name, send in MALFORMED.items():
        client = session(vm)
        client.echo(b"hello")
        send(vm.host, 0)
        daemon.wait("control channel: .*; trying again")
        client.echo(b"not my concern")
        client.close()
        vm.host.command("rescind control")
        vm.host.command("offer control")
        try:
            daemon.wait(READY)
        except Failure as error:
            raise Failure("%s: %s" % (name, error)) from error
