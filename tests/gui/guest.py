"""hvsessiond on the simulated host, in a guest made of files, with clients and an RDP server that
say just so much that a session is under way."""

import pathlib
import socket

import chain

KERNEL = "6.12.43+deb12-amd64"
DEVICES = "sys/bus/vmbus/devices"
CONTROL = DEVICES + "/99221fa0-24ad-11e2-be98-001aa01bbf6e"
DATA = DEVICES + "/99221fa1-24ad-11e2-be98-001aa01bbf6e"
TCP_HEAD = ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
            "  timeout inode\n")
TIMEOUT = 30

# [MS-RDPBCGR] 2.2.1.1 with SSL, HYBRID and HYBRID_EX, as vmconnect sends it, and 2.2.1.2 with RDP.
REQUEST = bytes((3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0x0b, 0, 0, 0))
CONFIRM = bytes((3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 0, 0, 0, 0))
# [MS-RDPBCGR] 2.2.1.4: SC_CORE, SC_NET and SC_SECURITY without encryption.
CONNECT_RESPONSE = bytes.fromhex(
    "0300006502f0807f665b0a0100020100301a020122020103020100020101020100020101020300fff8020102043700"
    "0500147c00012a14760a01010001c0004d63446e8020010c0c000400080000000000030c0800eb030000020c0c0000"
    "00000000000000")


def connect_initial(name, width, height, depth, channels):
    """[MS-RDPBCGR] 2.2.1.3 with CS_CORE and CS_NET."""
    core = bytearray(232)
    core[0:12] = (b"\x01\xc0\xe8\x00\x0c\x00\x08\x00" + width.to_bytes(2, "little")
                  + height.to_bytes(2, "little"))
    words = name.encode("utf-16-le")
    core[24:24 + len(words)] = words
    core[140:142] = depth.to_bytes(2, "little")  # highColorDepth
    network = b"".join(channel.encode().ljust(8, b"\0") + b"\0\0\0\xc0" for channel in channels)
    network = (b"\x03\xc0" + (8 + len(network)).to_bytes(2, "little")
               + len(channels).to_bytes(4, "little") + network)
    data = bytes(core) + network
    gcc = (b"\0\5\0\x14\x7c\0\1" + (0x8000 | len(data) + 14).to_bytes(2, "big")
           + b"\0\x08\0\x10\0\1\xc0\0Duca" + (0x8000 | len(data)).to_bytes(2, "big") + data)
    body = (b"\x04\0\x04\0\x01\x01\xff\x30\0\x30\0\x30\0\x04\x82" + len(gcc).to_bytes(2, "big")
            + gcc)
    pdu = b"\x02\xf0\x80\x7f\x65\x82" + len(body).to_bytes(2, "big") + body
    return b"\x03\0" + (len(pdu) + 4).to_bytes(2, "big") + pdu


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise chain.Failed("the session has ended where it should go on")
        data += part
    return data


class Session:
    """A user in vmconnect, and the RDP server's side of it."""

    def __init__(self, guest, name, width=1920, height=1080,
                 channels=("rdpdr", "rdpsnd", "cliprdr")):
        initial = connect_initial(name, width, height, 24, channels)
        self.client = socket.create_connection(("127.0.0.1", guest.port), TIMEOUT)
        self.client.sendall(REQUEST)
        self.server, _ = guest.listener.accept()
        self.server.settimeout(TIMEOUT)
        receive(self.server, len(REQUEST))
        self.server.sendall(CONFIRM)
        receive(self.client, len(CONFIRM))
        self.client.sendall(initial)
        receive(self.server, len(initial))
        self.server.sendall(CONNECT_RESPONSE)
        receive(self.client, len(CONNECT_RESPONSE))

    def show(self, megabytes):
        """The server draws."""
        for _ in range(megabytes):
            self.server.sendall(bytes(1 << 20))
            receive(self.client, 1 << 20)

    def has_ended(self):
        """The user sees that it has ended. Does not wait: who answers to that may be this thread."""
        self.client.settimeout(0)
        try:
            while self.client.recv(65536):
                pass
        except BlockingIOError:
            return False
        return True

    def close(self):
        """The user closes the window."""
        self.client.close()
        self.server.close()


class Guest:
    """The host offers nothing until told to; the service runs from start_service() on."""

    def __init__(self, run, build):
        self.run, self.build = run, build
        self.root = pathlib.Path(run.path("guest"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT)
        self.server_port = self.listener.getsockname()[1]
        self._make_files()
        self.set_server(True)
        control = run.path("hyperv-control")
        self.host_socket = run.path("hyperv.sock")
        host = run.start("hyperv-sim", [
            build / "tests/host/hyperv-sim", "--no-control", "--socket", self.host_socket,
            "--listen", "127.0.0.1:0", "--control", control])
        self.port = int(host.wait_line(r"^ready (\d+)$", chain.START_TIMEOUT)[1])
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(TIMEOUT)
        self.control.connect(control)
        self.lines = self.control.makefile("r")
        self.service = None

    def _write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # In one step: the service may be reading.
        new = file.with_name(file.name + ".new")
        new.write_text(text, encoding="utf-8")
        new.replace(file)

    def _make_files(self):
        for path, text in {
                "etc/os-release": "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=12\n",
                "etc/group": "root:x:0:\n",
                "proc/sys/kernel/osrelease": KERNEL + "\n",
                "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu hypervisor\n",
                "proc/1/comm": "systemd\n",
                "proc/net/tcp6": TCP_HEAD,
                "proc/net/unix": "Num       RefCount Protocol Flags    Type St Inode Path\n",
                "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
                "sys/class/dmi/id/product_name": "Virtual Machine\n",
                f"lib/modules/{KERNEL}/modules.dep":
                    "kernel/drivers/uio/uio.ko:\nkernel/drivers/uio/uio_hv_generic.ko: "
                    "kernel/drivers/uio/uio.ko\n",
                f"lib/modules/{KERNEL}/modules.builtin": "",
                DEVICES + "/other/class_id": "{57164f39-9115-4e78-ab55-382f3bd5422d}\n",
        }.items():
            self._write(path, text)
        (self.root / "sys/bus/vmbus/drivers/uio_hv_generic").mkdir(parents=True)
        (self.root / "run").mkdir()
        # Where its records lie: key and value, each of its own length.
        records = b"".join(key.ljust(512, b"\0") + value.ljust(2048, b"\0")
                           for key, value in ((b"HostName", b"HV-HOST-2"),
                                              (b"VirtualMachineName", b"Build 7")))
        pool = self.root / "var/lib/hyperv/.kvp_pool_3"
        pool.parent.mkdir(parents=True)
        pool.write_bytes(records)

    def set_server(self, listens):
        """What the guest's kernel says of the RDP server."""
        line = (f"   0: 0100007F:{self.server_port:04X} 00000000:0000 0A 00000000:00000000 "
                "00:00000000 00000000     0        0 20571 1 0000000000000000 100 0 0 10 0\n")
        self._write("proc/net/tcp", TCP_HEAD + (line if listens else ""))

    def set_offered(self, offered):
        """The host offers Enhanced Session, or takes it back."""
        if offered:
            self._write(CONTROL + "/class_id", "{f8e65716-3cb3-4a06-9a60-1889c5cccab5}\n")
            link = self.root / CONTROL / "driver"
            if not link.is_symlink():
                link.symlink_to("../../drivers/uio_hv_generic")
        self.command("offer control" if offered else "rescind control")

    def command(self, line):
        """Tells the simulated host."""
        self.control.sendall((line + "\n").encode())
        for answer in self.lines:
            if answer.startswith("ok"):
                return
            if answer.startswith("error"):
                raise chain.Failed(f"hyperv-sim: {line}: {answer}")
        raise chain.Failed("hyperv-sim has gone")

    def start_service(self):
        config = self.run.path("hvsession.conf")
        pathlib.Path(config).write_text(
            f"[hvsession]\nServer=tcp:127.0.0.1:{self.server_port}\n", encoding="utf-8")
        self.service = self.run.start(
            "hvsessiond", [self.build / "tests/host/hvsessiond-sim", "--config", config, "--root",
                           str(self.root), "--log-level", "debug"],
            {"HYPERV_SIM": self.host_socket})

    def kill_service(self):
        self.service.may_end = True
        self.service.popen.kill()
        self.service.wait_end(chain.END_TIMEOUT)
