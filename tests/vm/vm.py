"""A guest on the emulated Hyper-V host, for the tests.

    with VM("6.12") as vm:
        echo = vm.start("ring-echo")
        echo.wait_line("channel 0 negotiated")
        client = vm.connect()              # a user connects in vmconnect
        client.echo(b"hello")
        vm.host.command("rescind 1")       # see qemu/hyperv-tcg-control.c
        vm.host.wait("rescind 1")
        vm.check()                         # kernel log clean, no breach of the protocol

Everything that waits, waits for an event and has a time limit; the error then shows what the
guest's console and the host said last. Python's standard library only.
"""

import collections
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import zlib

HERE = os.path.dirname(os.path.realpath(__file__))
CONTROL = 0
CHANNELS = 6
PATTERN_PERIOD = 65521

# Generous, because the machine is emulated and may share its processors with a build; what fails,
# fails by an event long before.
BOOT_TIMEOUT = 180
EVENT_TIMEOUT = 60
COMMAND_TIMEOUT = 90
TRANSFER_TIMEOUT = 120

FRAME_RUN, FRAME_STDIN, FRAME_KILL = 1, 2, 3
FRAME_READY, FRAME_STDOUT, FRAME_STDERR, FRAME_EXIT = 16, 17, 18, 19

KERNEL_COMPLAINTS = re.compile(
    r"\bWARNING:|\bBUG:|\bOops\b|Kernel panic|Call Trace:|general protection|"
    r"refcount_t|UBSAN:|KASAN:|\bKFENCE\b|soft lockup|blocked for more than")


class Failure(Exception):
    """What a test expected did not happen."""


def run_script(name, *arguments):
    """The last line that a script of this directory prints. What is wrong it says itself, on the
    error output."""
    script = subprocess.run([os.path.join(HERE, name), *arguments], stdout=subprocess.PIPE,
                            text=True)
    if script.returncode:
        raise Failure("%s failed, status %d" % (name, script.returncode))
    return script.stdout.splitlines()[-1]


def build_qemu():
    """The path of the emulator, built if need be."""
    return run_script("build-qemu.sh")


_images = {}
_image_dir = None


def build_image(series, programs=()):
    """(kernel, initramfs) with these programs, made once a process."""
    global _image_dir
    key = (series, tuple(programs))
    if key not in _images:
        if _image_dir is None:
            _image_dir = tempfile.TemporaryDirectory(prefix="hvt-images-")
        out = os.path.join(_image_dir.name, "%s-%d.cpio" % (series, len(_images)))
        _images[key] = (run_script("make-initramfs.sh", out, series, *programs), out)
    return _images[key]


def die_with_parent():
    """In a new process: no guest outlives a test run, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


def connect_unix(path, deadline):
    """Connects to a socket that is about to be there."""
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return sock
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)    # there is no event for "a process listens"


class Result(collections.namedtuple("Result", "status out err")):
    """What a command in the guest came to."""


class Process:
    """A command that runs in the guest."""

    def __init__(self, vm, ident, line):
        self.vm, self.ident, self.line = vm, ident, line
        self.status = None
        self._out, self._err = bytearray(), bytearray()
        self.lines = []             # whole lines of both streams, in the order of their coming
        self._seen = 0

    @property
    def out(self):
        return self._out.decode(errors="replace")

    @property
    def raw_out(self):
        return self._out

    @property
    def err(self):
        return self._err.decode(errors="replace")

    def write(self, data):
        """Sends bytes to its standard input; none: the end of it. It must read them."""
        self.vm.send_frame(self.ident, FRAME_STDIN, data)

    def kill(self, number=signal.SIGTERM):
        self.vm.send_frame(self.ident, FRAME_KILL, struct.pack("<I", number))

    def wait(self, timeout=COMMAND_TIMEOUT):
        """Waits for its end; returns its exit status, or minus the signal that ended it."""
        self.vm.wait_for(lambda: self.status is not None, timeout, "the end of: " + self.line)
        return self.status

    def wait_line(self, pattern, timeout=EVENT_TIMEOUT):
        """Waits for a line on its output or error output, after those that were waited for before,
        and returns the match."""
        regex = re.compile(pattern)

        def look():
            for index, text in enumerate(self.lines[self._seen:]):
                match = regex.search(text)
                if match:
                    self._seen += index + 1
                    return match
            if self.status is not None:
                raise Failure("%r ended with %d before it said %r\n%s%s" %
                              (self.line, self.status, pattern, self.out, self.err))
            return None
        return self.vm.wait_for(look, timeout, lambda: "%r from %r, which said:\n%s" %
                                (pattern, self.line, "\n".join(self.lines[-20:])))

    def mark(self):
        """What it has said until now is not waited for."""
        with self.vm.changed:
            self._seen = len(self.lines)

    def feed(self, error, data):
        stream = self._err if error else self._out
        start = stream.rfind(b"\n") + 1
        stream += data
        end = stream.rfind(b"\n") + 1
        if end > start:
            self.lines.extend(stream[start:end].decode(errors="replace").splitlines())


class Host:
    """The control socket of the emulated host."""

    def __init__(self, vm, sock):
        self.vm, self._sock = vm, sock
        self.events = []            # (milliseconds, text)
        self._answers = collections.deque()
        self._lock = threading.Lock()
        self._seen = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with self._sock.makefile("r") as lines:
            for line in lines:
                line = line.rstrip("\n")
                with self.vm.changed:
                    if line.startswith("event "):
                        _, _, ms, text = line.split(" ", 3)
                        self.events.append((int(ms), text))
                    else:
                        self._answers.append(line)
                    self.vm.changed.notify_all()

    def command(self, text):
        """Sends a command; returns what follows the "ok"."""
        with self._lock:
            self._sock.sendall(text.encode() + b"\n")
            answer = self.vm.wait_for(lambda: self._answers and self._answers.popleft(),
                                      EVENT_TIMEOUT, "the host's answer to: " + text)
        if not answer.startswith("ok"):
            raise Failure("host: %s" % answer)
        return answer[3:]

    def status(self):
        return json.loads(self.command("status"))

    def channel(self, number):
        return self.status()["channels"][number]

    def wait_channel(self, number, holds, what, timeout=EVENT_TIMEOUT):
        """Asks for a channel's status, which has no events, until holds(status) is true."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.channel(number)
            if holds(status):
                return status
            if time.monotonic() > deadline:
                raise Failure("no sign in %g s of %s: %r%s" %
                              (timeout, what, status, self.vm.describe()))

    def mark(self):
        """Events until now are not waited for."""
        with self.vm.changed:
            self._seen = len(self.events)

    def wait(self, pattern, timeout=EVENT_TIMEOUT):
        """Waits for an event that begins with this pattern, after those that were waited for
        before. Returns the match."""
        regex = re.compile(pattern)

        def look():
            for index in range(self._seen, len(self.events)):
                match = regex.match(self.events[index][1])
                if match:
                    self._seen = index + 1
                    return match
            return None
        return self.vm.wait_for(look, timeout, "the host's event: " + pattern)

    def count(self, pattern):
        """How many events so far begin with this pattern."""
        with self.vm.changed:
            return sum(1 for _, text in self.events if re.match(pattern, text))

    def reset(self):
        """Well-behaved again: undoes what tests order, and offers what was held back."""
        for text in ("version accept", "pipe message", "message-size 16384", "tcp-eof rescind",
                     "rescind all never", "reader all run", "offer all"):
            self.command(text)

    def packet(self, channel, data):
        """Puts a packet into the ring as it is; make_packet makes one."""
        self.command("packet %s %s" % (channel or "control", data.hex()))

    def poke(self, channel, ring, field, value):
        """Breaks a ring's header: ring "in" or "out", field "write", "read", …"""
        self.command("poke %s %s %s %d" % (channel or "control", ring, field, value))


def percentile(ordered, percent):
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def make_packet(payload=b"", kind=6, offset8=2, length8=None, flags=0, transaction_id=0,
                pipe_type=1, pipe_length=None, trailer=0):
    """A packet for the guest, with whatever is wrong in it."""
    body = struct.pack("<II", pipe_type, len(payload) if pipe_length is None else pipe_length)
    body += payload
    body += b"\0" * (-len(body) % 8)
    true_length8 = 2 + len(body) // 8
    return struct.pack("<HHHHQ", kind, offset8, true_length8 if length8 is None else length8, flags,
                       transaction_id) + body + struct.pack("<II", 0, trailer)


# What a broken or hostile host may send, by name: each breaks the channel that it is sent to.
MALFORMED = {
    "type-transfer-pages": lambda h, c: h.packet(c, make_packet(b"x" * 8, kind=7)),
    "type-gpa-direct": lambda h, c: h.packet(c, make_packet(b"x" * 8, kind=9)),
    "type-completion": lambda h, c: h.packet(c, make_packet(b"x" * 8, kind=11)),
    "type-unknown": lambda h, c: h.packet(c, make_packet(b"x" * 8, kind=0x7777)),
    "data-offset-zero": lambda h, c: h.packet(c, make_packet(b"x" * 8, offset8=0)),
    "data-offset-one": lambda h, c: h.packet(c, make_packet(b"x" * 8, offset8=1)),
    "data-offset-beyond-length": lambda h, c: h.packet(c, make_packet(b"x" * 8, offset8=5)),
    "data-offset-huge": lambda h, c: h.packet(c, make_packet(b"x" * 8, offset8=0xffff)),
    "length-zero": lambda h, c: h.packet(c, make_packet(b"x" * 8, length8=0)),
    "length-one": lambda h, c: h.packet(c, make_packet(b"x" * 8, length8=1)),
    "length-beyond-what-is-there": lambda h, c: h.packet(c, make_packet(b"x" * 8, length8=100)),
    "length-huge": lambda h, c: h.packet(c, make_packet(b"x" * 8, length8=0xffff)),
    "pipe-length-beyond-payload": lambda h, c: h.packet(c, make_packet(b"x" * 8, pipe_length=17)),
    "pipe-length-huge": lambda h, c: h.packet(c, make_packet(b"x" * 8, pipe_length=0xffffffff)),
    "pipe-type-zero": lambda h, c: h.packet(c, make_packet(b"x" * 8, pipe_type=0)),
    "pipe-type-setup-gpa-direct": lambda h, c: h.packet(c, make_packet(b"x" * 8, pipe_type=3)),
    "pipe-type-unknown": lambda h, c: h.packet(c, make_packet(b"x" * 8, pipe_type=0x99)),
    "eight-bytes": lambda h, c: h.packet(c, b"\6\0\2\0\1\0\0\0"),
    "index-beyond-ring": lambda h, c: h.poke(c, "in", "write", h.channel(c)["ring"]),
    "index-huge": lambda h, c: h.poke(c, "in", "write", 0xfffffff8),
    "index-misaligned": lambda h, c: h.poke(c, "in", "write", h.channel(c)["in"][0] + 4),
}


def make_pattern():
    x, out = 1, bytearray()
    for _ in range(PATTERN_PERIOD):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff
        out.append(x >> 56)
    return bytes(out)


class Client:
    """A user who has connected in vmconnect: the far end of a data channel."""

    _pattern = None

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(TRANSFER_TIMEOUT)

    def send(self, data):
        self.sock.sendall(data)

    def receive(self, count):
        """Exactly so many bytes."""
        data = bytearray()
        while len(data) < count:
            chunk = self.sock.recv(min(count - len(data), 1 << 18))
            if not chunk:
                raise Failure("end of stream after %d of %d bytes" % (len(data), count))
            data += chunk
        return bytes(data)

    def receive_end(self):
        """Waits for the end of the stream: the guest has closed, or sends no more. Returns what
        came before. A reset is an end, too."""
        data = bytearray()
        try:
            while True:
                chunk = self.sock.recv(1 << 18)
                if not chunk:
                    return bytes(data)
                data += chunk
        except ConnectionError:
            return bytes(data)

    def end(self):
        """Sends no more, but still receives."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        """The user closes the window: the host rescinds the channel."""
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def order(self, name, count=0):
        """Tells the test server what to do (guest/order.h)."""
        self.send(struct.pack("<8sQ", name.encode(), count))

    def report(self):
        """(bytes, CRC-32) that the server has taken."""
        count, crc, _ = struct.unpack("<QII", self.receive(16))
        return count, crc

    def echo(self, data):
        """Sends data, and checks that the very same comes back."""
        sender = self.send_in_background(data)
        back = self.receive(len(data))
        sender.join()
        if back != data:
            at = next(i for i, (a, b) in enumerate(zip(back, data)) if a != b)
            raise Failure("echo differs at byte %d of %d" % (at, len(data)))

    def sink(self, data, name="sink"):
        """Sends data, and checks the server's checksum of it."""
        self.order(name, len(data))
        self.send(data)
        report = self.report()
        if report != (len(data), zlib.crc32(data) if name == "sink" else 0):
            raise Failure("the server took %d bytes with CRC %08x" % report)

    def check_pattern(self, count):
        """Receives so many bytes of the pattern."""
        if Client._pattern is None:
            Client._pattern = make_pattern()
        most = 1 << 18
        periods = memoryview(Client._pattern * (most // PATTERN_PERIOD + 2))
        done = 0
        while done < count:
            chunk = self.sock.recv(min(count - done, most))
            if not chunk:
                raise Failure("end of stream after %d of %d bytes" % (done, count))
            start = done % PATTERN_PERIOD
            if chunk != periods[start:start + len(chunk)]:
                raise Failure("the pattern is wrong between bytes %d and %d" %
                              (done, done + len(chunk)))
            done += len(chunk)

    def source(self, count):
        """Has the server send so many bytes, and checks them."""
        self.order("source", count)
        self.check_pattern(count)

    def duplex(self, data):
        """As many bytes each way at the same time, both checked."""
        self.order("duplex", len(data))
        sender = self.send_in_background(data)
        self.check_pattern(len(data))
        sender.join()
        if self.report() != (len(data), zlib.crc32(data)):
            raise Failure("the server took something else")

    def send_in_background(self, data):
        """A thread that sends; what goes wrong there shows at the receiving side."""
        def run():
            try:
                self.sock.sendall(data)
            except OSError:
                pass
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def round_trips(self, count, size=64):
        """Times of so many round trips in seconds, sorted; after order("echo")."""
        data, times = os.urandom(size), []
        for _ in range(count):
            start = time.perf_counter()
            self.sock.sendall(data)
            if self.receive(size) != data:
                raise Failure("echo differs")
            times.append(time.perf_counter() - start)
        return sorted(times)

    # What vmconnect's RDP client says first, for servers behind the daemon.

    def receive_tpkt(self):
        header = self.receive(4)
        return header + self.receive(struct.unpack(">xxH", header)[0] - 4)

    def negotiate(self, protocols=0x0b, cookie=b"", pieces=None, flags=0):
        """X.224 Connection Request and MCS Connect Initial. Returns what the answers say."""
        self._send_pieces(connection_request(protocols, cookie, flags), pieces)
        confirm = self.receive_tpkt()
        if confirm[5] != 0xd0:
            raise Failure("no Connection Confirm: " + confirm.hex())
        answer = {"confirm": confirm, "selected": None, "failure": None}
        if len(confirm) >= 19 and confirm[11] == 2:
            answer["selected"] = struct.unpack_from("<I", confirm, 15)[0]
        elif len(confirm) >= 19 and confirm[11] == 3:
            answer["failure"] = struct.unpack_from("<I", confirm, 15)[0]
            return answer
        self._send_pieces(mcs_connect_initial(answer["selected"] or 0), pieces)
        blocks = mcs_response_blocks(self.receive_tpkt())
        answer["requested"] = struct.unpack_from("<I", blocks[0x0c01], 4)[0]
        answer["encryption"] = struct.unpack_from("<II", blocks[0x0c02])
        return answer

    def _send_pieces(self, data, size):
        for at in range(0, len(data), size or len(data)):
            self.send(data[at:at + (size or len(data))])


class GuestSocket:
    """A socket in the guest that guest/vsock-call holds, with what a Client wants of one."""

    def __init__(self, process):
        self.process, self._taken = process, 0

    def settimeout(self, _):
        """Every wait has a time limit already."""

    def sendall(self, data):
        for at in range(0, len(data), 32768):
            self.process.write(data[at:at + 32768])

    def recv(self, count):
        process = self.process
        process.vm.wait_for(lambda: len(process.raw_out) > self._taken or
                            process.status is not None or "ended" in process.err,
                            TRANSFER_TIMEOUT, lambda: "more from: " + process.line)
        with process.vm.changed:
            data = bytes(process.raw_out[self._taken:self._taken + count])
        self._taken += len(data)
        return data

    def shutdown(self, _):
        self.process.write(b"")

    def close(self):
        if self.process.status is None:
            self.process.kill(signal.SIGKILL)


def connection_request(protocols=0x0b, cookie=b"", flags=0):
    """[MS-RDPBCGR] 2.2.1.1; protocols None: without RDP_NEG_REQ."""
    body = b"\xe0\0\0\0\0\0"
    if cookie:
        body += b"Cookie: mstshash=" + cookie + b"\r\n"
    if protocols is not None:
        body += struct.pack("<BBHI", 1, flags, 8, protocols)
    return struct.pack(">BBHB", 3, 0, 5 + len(body), len(body)) + body


def mcs_connect_initial(selected):
    """[MS-RDPBCGR] 2.2.1.3 with a CS_CORE of 216 bytes, so with serverSelectedProtocol."""
    core = struct.pack("<HHI", 0xc001, 216, 0x00080004) + bytes(204) + struct.pack("<I", selected)
    security = struct.pack("<HHII", 0xc002, 12, 0, 0)
    net = struct.pack("<HHI", 0xc003, 8, 0)
    blocks = core + security + net

    def per(length):
        return struct.pack(">H", 0x8000 | length)

    def ber(tag, data):
        return tag + b"\x82" + struct.pack(">H", len(data)) + data

    connect = b"\0\x08\0\x10\0\x01\xc0\0Duca" + per(len(blocks)) + blocks
    gcc = b"\0\x05\0\x14\x7c\0\1" + per(len(connect)) + connect

    def domain(*values):
        fields = b"".join(b"\2\2" + struct.pack(">H", v) for v in values)
        return b"\x30" + bytes([len(fields)]) + fields

    initial = (b"\4\1\1\4\1\1\1\1\xff" + domain(34, 2, 0, 1, 0, 1, 0xffff, 2) +
               domain(1, 1, 1, 1, 0, 1, 0x420, 2) +
               domain(0xffff, 0xfc17, 0xffff, 1, 0, 1, 0xffff, 2) +
               ber(b"\4", gcc))
    body = b"\2\xf0\x80" + ber(b"\x7f\x65", initial)
    return struct.pack(">BBH", 3, 0, 4 + len(body)) + body


def mcs_response_blocks(tpkt):
    """The server data blocks of an MCS Connect Response: type → contents."""
    at = tpkt.index(b"McDn") + 4
    at += 2 if tpkt[at] & 0x80 else 1
    blocks = {}
    while at < len(tpkt):
        kind, length = struct.unpack_from("<HH", tpkt, at)
        if length < 4 or at + length > len(tpkt):
            raise Failure("block %04x of %d bytes at %d of %d" % (kind, length, at, len(tpkt)))
        blocks[kind] = tpkt[at + 4:at + length]
        at += length
    return blocks


class VM:
    """A guest, booted when it is made, up and ready when that returns.

    series     "6.12" or "6.1"
    programs   files for the guest, as make-initramfs.sh takes them: PROGRAM[:TARGETPATH]
    modules    what is loaded from the start; uio_hv_generic is not, unless named
    monitor    channels with a monitor page
    trace      the host's trace goes to QEMU's error output, which is in the directory .dir
    """

    boot_timeout = BOOT_TIMEOUT

    def __init__(self, series="6.12", programs=(), modules=("hv_vmbus", "uio_hv_generic"),
                 monitor=False, memory=1024, cpus=2, trace=False, mitigations=False, keep=False):
        self.series, self.started = series, time.monotonic()
        self.changed = threading.Condition()
        self.console = collections.deque(maxlen=2000)
        self.panic = None
        self.ready = False
        self.keep = keep
        self._processes, self._next = {}, 1
        self._write_lock = threading.Lock()
        self._clients = []
        self._services = {}
        self._kernel_log = ""
        self.daemon = None      # a daemon.Daemon, if there has been one
        self._allowed_breaches = self._allowed_needless = 0
        self.host = self._agent = None
        qemu = build_qemu()
        boot, words = self.boot_arguments(programs, modules)
        self.dir = tempfile.mkdtemp(prefix="hvt-")
        self.started = time.monotonic()
        command = [
            qemu, "-L", "/usr/share/seabios", "-L", "/usr/share/qemu",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-monitor", "none",
            "-accel", "tcg,thread=multi", "-M", "pc", "-cpu", "Nehalem", "-smp", str(cpus),
            "-m", str(memory), *boot,
            # What protects from faults that an emulated processor lacks takes half of its time.
            "-append", "console=ttyS0 loglevel=5 log_buf_len=4M panic=-1 tsc=reliable %s %s" %
            (words, "" if mitigations else "mitigations=off"),
            "-serial", "stdio",
            "-device", "virtio-serial-pci",
            "-chardev", "socket,id=agent,path=%s/agent,server=on,wait=off" % self.dir,
            "-device", "virtserialport,chardev=agent,nr=1,name=hvt.agent",
            "-device", "hyperv-tcg,listen=unix:%s/client+127.0.0.1:0,control=unix:%s/control,"
            "monitor=%s,trace=%s" % (self.dir, self.dir, "on" if monitor else "off",
                                     "on" if trace else "off"),
        ]
        self._stderr = open(os.path.join(self.dir, "qemu.log"), "w+b")
        self.qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=self._stderr, preexec_fn=die_with_parent)
        threading.Thread(target=self._read_console, daemon=True).start()
        try:
            deadline = time.monotonic() + EVENT_TIMEOUT
            self.host = Host(self, self._connect("control", deadline))
            self._agent = self._connect("agent", deadline)
            threading.Thread(target=self._read_agent, daemon=True).start()
            self.tcp_port = int(self.host.wait(r"listening 127.0.0.1:(\d+)").group(1))
            self.wait_for(lambda: self.ready, self.boot_timeout, "the guest to be up")
        except BaseException:
            self.close()
            raise
        self.boot_seconds = time.monotonic() - self.started

    def boot_arguments(self, programs, modules):
        """QEMU's arguments for what is booted, and words for the kernel's command line."""
        kernel, initramfs = build_image(self.series, programs)
        return ["-kernel", kernel, "-initrd", initramfs], "hvt.modules=" + ",".join(modules)

    def _connect(self, name, deadline):
        while True:
            try:
                return connect_unix(os.path.join(self.dir, name),
                                    min(deadline, time.monotonic() + 0.2))
            except OSError:
                if self.qemu.poll() is not None or time.monotonic() > deadline:
                    raise Failure("QEMU does not start" + self.describe()) from None

    # ---- waiting

    def wait_for(self, look, timeout, what):
        """Waits till look() gives something true, and returns that. It is called with the lock held
        whenever anything has been heard of the guest or the host. "what" is for the message: text,
        or a function that makes it."""
        deadline = time.monotonic() + timeout
        describe = lambda: (what() if callable(what) else what) + self.describe()
        with self.changed:
            while True:
                found = look()
                if found:
                    return found
                if self.panic or self.qemu.poll() is not None:
                    self.changed.wait(0.5)      # for the last lines of the console
                    raise Failure("the guest %s while waiting for %s" %
                                  ("panicked" if self.panic else "ended", describe()))
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(left)
        raise Failure("no sign in %g s of %s" % (timeout, describe()))

    def describe(self):
        """The last that was heard: for messages."""
        self._stderr.flush()
        with open(self._stderr.name, errors="replace") as log:
            log_lines = log.read().splitlines()[-15:]
        events = [text for _, text in self.host.events[-15:]] if self.host else []
        parts = [("console", list(self.console)[-20:]), ("host events", events),
                 ("qemu", log_lines)]
        for line, process in self._services.items():
            parts.append((line, process.lines[-5:]))
        if self.daemon:
            parts.append(("hvsessiond", self.daemon.process.lines[-20:]))
        return "".join("\n--- %s\n%s" % (name, "\n".join(lines)) for name, lines in parts if lines)

    def _read_console(self):
        for line in self.qemu.stdout:
            text = line.decode(errors="replace").rstrip()
            with self.changed:
                self.console.append(text)
                if "Kernel panic" in text:
                    self.panic = text
                self.changed.notify_all()
        self.qemu.wait()
        with self.changed:
            self.changed.notify_all()

    # ---- commands in the guest

    def send_frame(self, ident, kind, data=b""):
        with self._write_lock:
            self._agent.sendall(struct.pack("<III", ident, kind, len(data)) + data)

    def _read_agent(self):
        stream = self._agent.makefile("rb")
        while True:
            header = stream.read(12)
            if len(header) < 12:
                return
            ident, kind, length = struct.unpack("<III", header)
            data = stream.read(length)
            with self.changed:
                process = self._processes.get(ident)
                if kind == FRAME_READY:
                    self.ready = True
                elif process and kind in (FRAME_STDOUT, FRAME_STDERR):
                    process.feed(kind == FRAME_STDERR, data)
                elif process and kind == FRAME_EXIT:
                    process.status = struct.unpack("<i", data)[0]
                    del self._processes[ident]
                self.changed.notify_all()

    def start(self, line):
        """Starts a command line in the guest, in a session of its own."""
        with self.changed:
            process = Process(self, self._next, line)
            self._processes[self._next] = process
            self._next += 1
        self.send_frame(process.ident, FRAME_RUN, line.encode())
        return process

    def run(self, line, timeout=COMMAND_TIMEOUT, check=True, stdin=None):
        """Runs a command line in the guest to its end."""
        process = self.start(line)
        if stdin is not None:
            for at in range(0, len(stdin), 32768):
                process.write(stdin[at:at + 32768])
        process.write(b"")
        process.wait(timeout)
        if check and process.status:
            raise Failure("%r in the guest: status %d\n%s%s" %
                          (line, process.status, process.out, process.err))
        return Result(process.status, process.out, process.err)

    def put(self, path, data, mode=0o644):
        """Writes a file of modest size."""
        if isinstance(data, str):
            data = data.encode()
        self.run("mkdir -p $(dirname '%s'); cat > '%s' && chmod %o '%s'" % (path, path, mode, path),
                 stdin=data)

    def get(self, path):
        """Reads a file of modest size."""
        process = self.start("cat '%s'" % path)
        if process.wait():
            raise Failure("%s in the guest: %s" % (path, process.err))
        return bytes(process._out)

    # ---- clients

    def connect(self, tcp=False):
        """A user connects: over a UNIX socket, where the host can tell a client that sends no more
        from one that is gone, or over TCP, where it can't."""
        if tcp:
            sock = socket.create_connection(("127.0.0.1", self.tcp_port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            sock = connect_unix(os.path.join(self.dir, "client"),
                                time.monotonic() + EVENT_TIMEOUT)
        client = Client(sock)
        self._clients.append(client)
        return client

    def call_hvsocket(self):
        """A user of a machine that is set to HvSocket connects; over loopback, since the emulated
        host has no HvSocket."""
        process = self.start("modprobe vsock_loopback && exec vsock-call 1 3389")
        process.wait_line("^connected$")
        client = Client(GuestSocket(process))
        self._clients.append(client)
        return client

    def service(self, line, ready):
        """A command that runs as long as the guest does, started when it is first asked for; what
        it says from now on can be waited for."""
        if line not in self._services or self._services[line].status is not None:
            self._services[line] = self.start(line)
            self._services[line].wait_line(ready)
        self._services[line].mark()
        return self._services[line]

    def settle(self):
        """All clients leave, the host behaves, every data channel is gone, the control channel is
        offered: how a test finds and leaves the machine that it shares with others."""
        self.drop_clients()
        self.host.reset()
        deadline = time.monotonic() + EVENT_TIMEOUT
        while True:
            with self.changed:
                heard = len(self.host.events)
            status = self.host.status()
            busy = [c for c in status["channels"] if c["state"] not in
                    (("free",) if c["channel"] else ("offered", "open"))]
            if not busy and not status["waiting"]:
                self.host.mark()
                return
            self.wait_for(lambda: len(self.host.events) > heard, deadline - time.monotonic(),
                          "the end of channels %s" % [(c["channel"], c["state"]) for c in busy])

    def drop_clients(self):
        for client in self._clients:
            client.close()
        self._clients.clear()

    # ---- the end

    def dmesg(self):
        """The kernel's log from the start, taken in pieces: its buffer goes round."""
        self._kernel_log += self.run("dmesg -c").out
        return self._kernel_log

    def complaints(self):
        """What the guest's kernel complains of, but for two known faults of its own, with which it
        goes on. 6.1 creates a sysfs file of a channel that is not there yet when a driver is bound
        to a new offer at once (sysfs_create_bin_file under hv_uio_probe). And uio gives a minor
        number away before the device of that number is gone: the probe fails with EEXIST."""
        text = self.dmesg()
        if self.series == "6.1":
            line = r"(?:(?!.*(?:\[ cut here \]|\[ end trace )).*\n)*?"    # of the same report
            text = re.sub(r"(?m)^.*-\[ cut here \]-.*\n"
                          r".*WARNING: .* sysfs_create_bin_file.*\n" + line +
                          r".*  hv_uio_probe\+.*\n" + line + r".*\[ end trace .*\n", "", text)
        text = re.sub(r"(?m)^.*cannot create duplicate filename '.*/uio/?uio\d+'\n"
                      r"(?:(?!.*\[ cut here \]).*\n)*?.*hv_uio register failed\n", "", text)
        return [line for line in text.splitlines() if KERNEL_COMPLAINTS.search(line)]

    def allow_breaches(self):
        """What the guest has done wrong until now was meant to be wrong."""
        status = self.host.status()
        self._allowed_breaches = status["breaches"]
        self._allowed_needless = status["needless_signals"]

    def check(self):
        """The kernel's log is free of complaints, and the guest has broken no rule of the protocol
        and sent no needless signal."""
        bad = self.complaints()
        if bad:
            raise Failure("the guest's kernel complains:\n%s\n…\n%s" %
                          ("\n".join(bad), self.dmesg()[-8000:]))
        status = self.host.status()
        if status["breaches"] > self._allowed_breaches:
            raise Failure("the guest broke the protocol:\n" + "\n".join(
                text for _, text in self.host.events if text.startswith("breach")))
        if status["needless_signals"] > self._allowed_needless:
            raise Failure("%d needless signals from the guest" %
                          (status["needless_signals"] - self._allowed_needless))

    def close(self):
        """Stops the machine, as pulling the plug does."""
        self.drop_clients()
        if self.qemu.poll() is None:
            self.qemu.terminate()
            try:
                self.qemu.wait(10)
            except subprocess.TimeoutExpired:
                self.qemu.kill()
                self.qemu.wait()
        self._stderr.close()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class GuestSpec:
    """Which guest a test wants."""

    def __init__(self, series, fresh=False, name=None, **arguments):
        self.fresh = fresh      # a guest of its own
        self.arguments = dict(arguments, series=series)
        self.key = repr(sorted(self.arguments.items()))
        self.name = name or series + ("-monitored" if arguments.get("monitor") else "")


def guest(series, **arguments):
    """Decorates a test function that takes a VM: run it on such a guest. "arguments" are the VM's,
    and fresh=True for a guest of its own, name="…" for what test names say."""
    def decorate(function):
        function.guests = [GuestSpec(series, **arguments)] + getattr(function, "guests", [])
        return function
    return decorate


def no_guest(function):
    """Decorates a test function that needs no guest."""
    function.guests = [None]
    return function
