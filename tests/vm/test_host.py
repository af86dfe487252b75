"""The emulated host, tried with the plain echo program: what the tests of the daemon stand on."""

import os
import socket
import subprocess
import threading

from vm import (CHANNELS, MALFORMED, Client, Failure, build_image, guest, no_guest)

MIB = 1 << 20

# What ring-echo's order "break" does, by number, and how the host's report of it begins.
BREACHES = [
    r"packet at \d+: type 7", r"packet at \d+: type 6 data_offset8 3",
    r"packet at \d+: length8 100",
    r"packet at \d+: type 6 data_offset8 2 flags 1",
    r"packet at \d+: type 6 data_offset8 2 flags 0 transaction id 1",
    r"packet at \d+: pipe type 2", r"packet at \d+: pipe type 1 length 9",
    r"packet at \d+: pipe type 1 length 0", r"packet at \d+: padding 01", r"packet at \d+: trailer",
    r"out.write_index \d+", r"wrote the host's out.read_index",
    r"wrote the host's in.pending_send_sz",
    r"wrote the host's in.feature_bits", r"out.pending_send_sz", r"in.read_index \d+ is not",
]
NEEDLESS = len(BREACHES)


def both_kernels(function):
    """6.12, where everything is as on Hyper-V, and 6.1, whose driver needs monitored channels."""
    return guest("6.12")(guest("6.1", monitor=True)(function))


def ring_echo(vm):
    return vm.service("ring-echo", "channel 0 negotiated")


@both_kernels
def test_plain_echo(vm):
    ring_echo(vm)
    vm.connect().echo(os.urandom(8 * MIB))


@both_kernels
def test_each_way_by_checksum(vm):
    ring_echo(vm)
    client = vm.connect()
    client.sink(os.urandom(8 * MIB))
    client.close()
    vm.host.wait("released 1")
    vm.connect().source(8 * MIB)


@both_kernels
def test_both_ways_at_once(vm):
    ring_echo(vm)
    vm.connect().duplex(os.urandom(8 * MIB))


@both_kernels
def test_five_at_once_and_a_sixth_waits(vm):
    echo = ring_echo(vm)
    data = [os.urandom(MIB) for _ in range(CHANNELS)]
    clients = [vm.connect() for _ in range(CHANNELS - 1)]
    for number in range(1, CHANNELS):
        echo.wait_line(r"channel [1-5] open")
    sixth = vm.connect()
    vm.host.wait("client-waits")
    errors = []

    def run(client, mine):
        try:
            client.echo(mine)
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=pair) for pair in zip(clients, data)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    clients[2].close()
    sixth.echo(data[-1])


@both_kernels
def test_odd_sizes_and_wraps(vm):
    ring_echo(vm)
    client = vm.connect()
    for size in list(range(1, 40)) + [1623, 4000, 16019, 16383, 16384, 16385, 65535, 70001]:
        client.echo(os.urandom(size))


@guest("6.12")
def test_messages_of_one_byte_and_a_byte_pipe(vm):
    ring_echo(vm)
    vm.host.command("message-size 1")
    vm.host.command("pipe byte")
    vm.connect().echo(os.urandom(20000))


@both_kernels
def test_client_leaves(vm):
    echo = ring_echo(vm)
    client = vm.connect()
    client.echo(b"hello")
    client.close()
    echo.wait_line("channel 1 rescinded")
    vm.host.wait("rescind 1 .*was open")
    vm.host.wait("released 1")


@both_kernels
def test_guest_closes_and_all_arrives(vm):
    echo = ring_echo(vm)
    client = vm.connect()
    client.order("finish", 900_000)     # less than the host's buffers take
    echo.wait_line("channel 1 closed")
    client.check_pattern(900_000)
    if client.receive_end():
        raise Failure("more came than was sent")


@both_kernels
def test_half_close(vm):
    echo = ring_echo(vm)
    client = vm.connect()
    client.echo(b"hello")
    client.end()
    echo.wait_line("channel 1 end of stream")
    vm.host.wait("guest-eof 1")
    if client.receive_end():
        raise Failure("data after the end of the stream")


@guest("6.12")
def test_tcp_clients(vm):
    """Over TCP an end of stream means what the test says: gone, or sends no more."""
    echo = ring_echo(vm)
    client = vm.connect(tcp=True)
    client.echo(os.urandom(MIB))
    client.end()
    echo.wait_line("channel 1 rescinded")
    vm.host.wait("released 1")
    vm.host.command("tcp-eof half-close")
    client = vm.connect(tcp=True)
    client.echo(b"hello")
    client.end()
    echo.wait_line("channel 1 end of stream")
    client.receive_end()


@guest("6.12")
def test_half_close_keeps_the_other_way_going(vm):
    ring_echo(vm)
    client = vm.connect()
    data = os.urandom(2 * MIB)
    sender = client.send_in_background(data)
    back = client.receive(MIB)
    sender.join()
    client.end()
    if back + client.receive_end() != data:
        raise Failure("echo differs")


@guest("6.12")
def test_rescind_and_offer_again(vm):
    echo = ring_echo(vm)
    for _ in range(3):
        client = vm.connect()
        client.echo(b"hello")
        vm.host.command("rescind 1")
        echo.wait_line("channel 1 rescinded")
        client.receive_end()
        vm.host.wait("released 1")


@both_kernels
def test_rescind_in_mid_transfer(vm):
    echo = ring_echo(vm)
    for size in (1000, 100_000, 3 * MIB):
        vm.host.command("rescind 1 after %d" % size)
        client = vm.connect()
        client.send_in_background(os.urandom(8 * MIB))
        client.receive_end()
        vm.host.wait("rescind 1 .*was open")
        vm.host.wait("released 1")
    echo.wait_line(r"channel 1 closed \d{7}")
    vm.connect().echo(b"still there")


@guest("6.12")
def test_rescind_around_open(vm):
    ring_echo(vm)
    for moment in ("on-offer", "on-open", "after-open"):
        vm.host.command("rescind 1 " + moment)
        client = vm.connect()
        vm.host.wait("rescind 1 ")
        client.receive_end()
        vm.host.wait("released 1")
        client = vm.connect()
        client.echo(b"still there")
        client.close()
        vm.host.wait("released 1")


@both_kernels
def test_control_rescinded_takes_all_along(vm):
    echo = ring_echo(vm)
    clients = [vm.connect() for _ in range(3)]
    for client in clients:
        client.echo(b"hello")
    vm.host.command("rescind control")
    for client in clients:
        client.receive_end()
    echo.wait_line("channel 0 rescinded")
    late = vm.connect()     # no channel before there is a control channel again
    vm.host.wait("client-waits")
    vm.host.command("offer control")
    echo.wait_line("channel 0 negotiated")
    late.echo(b"hello again")


@guest("6.12")
def test_version_refused_silent_late_and_odd(vm):
    echo = ring_echo(vm)
    for command, line in (("version refuse 0", "channel 0 refused 0"),
                          ("version refuse 1", "channel 0 refused 1"),
                          ("version silent", None),
                          ("version delay 300", "channel 0 negotiated"),
                          ("version answer 0200000011000000", "channel 0 refused -1"),
                          ("version accept", "channel 0 negotiated")):
        vm.host.command("rescind control")
        echo.wait_line("channel 0 rescinded")
        vm.host.command("version accept")
        vm.host.command(command)
        vm.host.command("offer control")
        vm.host.wait("version-request type 1 size 16")
        if line:
            vm.host.wait("version-answer")
            echo.wait_line(line)


@both_kernels
def test_malformed_is_seen_by_the_guest(vm):
    echo = ring_echo(vm)
    for name, send in MALFORMED.items():
        client = vm.connect()
        client.echo(b"hello")
        send(vm.host, 1)
        echo.wait_line("channel 1 broken: ")
        echo.wait_line("channel 1 closed")
        vm.host.wait("close 1")
        client.receive_end()
        vm.host.wait("released 1")


@guest("6.12")
def test_paused_and_slow_reader(vm):
    ring_echo(vm)
    client = vm.connect()
    vm.host.command("reader 1 pause")
    client.order("source", MIB)
    vm.host.wait_channel(1, lambda status: status["unread"] >= 40000, "a full ring")
    vm.host.command("reader 1 slow 20000 5")
    client.check_pattern(MIB)
    vm.host.command("reader 1 run")
    client.echo(b"hello")


@guest("6.12")
def test_slow_client(vm):
    """Nobody reads: the host's buffers fill up, then the ring; nothing is lost."""
    ring_echo(vm)
    client = vm.connect()
    client.order("source", 8 * MIB)
    vm.host.wait_channel(1, lambda status: not status["reading"], "full buffers")
    client.check_pattern(8 * MIB)


@guest("6.12")
def test_signal_without_reason(vm):
    ring_echo(vm)
    client = vm.connect()
    client.echo(b"hello")
    for _ in range(20):
        vm.host.command("signal 1")
    client.echo(os.urandom(100_000))


@guest("6.12")
def test_host_notices_every_breach(vm):
    ring_echo(vm)
    for number, pattern in enumerate(BREACHES):
        client = vm.connect()
        client.order("break", number)
        vm.host.wait(r"breach 1 " + pattern)
        client.close()
        vm.host.wait("released 1")
    before = vm.host.status()["needless_signals"]
    client = vm.connect()
    client.order("break", NEEDLESS)
    client.receive(5)
    if vm.host.status()["needless_signals"] == before:
        raise Failure("a needless signal went unnoticed")
    vm.allow_breaches()


@both_kernels
def test_sixty_short_sessions(vm):
    ring_echo(vm)
    for number in range(60):
        client = vm.connect()
        client.echo(os.urandom(number * 100 + 1))
        client.close()


@guest("6.12")
def test_channel_left_without_driver_is_bound_again(vm):
    """What uio's race over minor numbers comes to: an offer without a driver."""
    echo = ring_echo(vm)
    vm.run("echo 0 > /sys/bus/vmbus/drivers_autoprobe")
    try:
        client = vm.connect()
        echo.wait_line("channel 1 bound by hand")
        client.echo(b"hello")
    finally:
        vm.run("echo 1 > /sys/bus/vmbus/drivers_autoprobe")


@guest("6.12")
def test_udev_and_modules_and_files(vm):
    """The guest's own works: udev processes events, modprobe finds modules, files come and go."""
    vm.put("/tmp/some/file", bytes(range(256)) * 500)
    if vm.get("/tmp/some/file") != bytes(range(256)) * 500:
        raise Failure("a file came back different")
    result = vm.run("echo out; echo err >&2; exit 7", check=False)
    if result != (7, "out\n", "err\n"):
        raise Failure("a command came to %r" % (result,))
    vm.run("modprobe vsock_loopback && lsmod | grep -q vsock_loopback")
    if "DEVPATH" not in vm.run("udevadm info -q all -x /sys/bus/vmbus/devices/*fa0-*; "
                               "udevadm info --export-db | grep DEVPATH | head -n 3").out:
        raise Failure("udev has no database")


@guest("6.1", name="6.1-unmonitored")
def test_driver_refuses_unmonitored_channels(vm):
    """What the daemon must explain: on 6.1 nothing but monitored channels can be bound."""
    vm.run("echo f8e65716-3cb3-4a06-9a60-1889c5cccab5 "
           "> /sys/bus/vmbus/drivers/uio_hv_generic/new_id")
    if "vmbus channel requires hypercall" not in vm.dmesg():
        raise Failure("the driver took it, or said something else:\n" + vm.dmesg()[-1000:])


@no_guest
def test_rdp_server_negotiates():
    """rdp-echo and the client here, without a guest in between."""
    build_image("6.12")     # compiles it
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    program = os.path.join(cache, "hvsession/vm/guest/rdp-echo")
    server = subprocess.Popen([program, "0"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[1])
        for protocols, cookie, pieces in ((0, b"", None), (0x0b, b"eltons", 1), (None, b"", 7)):
            client = Client(socket.create_connection(("127.0.0.1", port)))
            answer = client.negotiate(protocols, cookie, pieces)
            if (answer["selected"], answer["requested"], answer["encryption"]) != \
                    (0, protocols or 0, (0, 0)):
                raise Failure("%r" % answer)
            client.sink(os.urandom(MIB))
            client.echo(os.urandom(100_000))
            client.close()
            if " request=" not in server.stdout.readline():
                raise Failure("the server does not say what was asked")
    finally:
        server.terminate()
        server.wait()
