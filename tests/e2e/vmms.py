#!/usr/bin/env python3
"""A stand-in for the Hyper-V host's Virtual Machine Management Service (VMMS).

vmconnect, and FreeRDP's /vmconnect, talk to TCP port 2179 of the host. This program plays that
port for one virtual machine:

    client ── preconnection PDU, TLS, CredSSP with NTLMv2 ── vmms.py ── plain RDP ── --forward

Inside the TLS stream the client begins RDP with its X.224 Connection Request. A real VMMS sends the
guest a request of its own instead, always the same 19 bytes; --request chooses:

    client      the client's own request, with its cookie
    exact       the 19 bytes of a real host
    fragments   those 19 bytes, each in a packet of its own

Everything after the request goes through unchanged, both ways. Each connection has a thread; one
that fails is closed, with the reason in the log, and leaves the others alone. Prints "ready PORT"
when it listens; SIGTERM ends it. Needs openssl(1), to make a certificate for this run.

A test tool: it checks the user's password and the client's side of CredSSP, but one user is all it
knows, and it must only ever listen on a loopback address.

Sources: [MS-RDPBCGR] 2.2.1.1, [MS-RDPEPS] 2.2.1, [MS-CSSP] 2.2.1 and 3.1.5, [MS-NLMP] 2.2.1, 3.3.2
and 3.4, RFC 1320 (MD4).
"""

import argparse
import contextlib
import hashlib
import hmac
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

# What a real host sends the guest: no cookie, requestedProtocols 0x0B.
HOST_REQUEST = bytes.fromhex("030000130ee00000000000010008000b000000")
# Between the bytes of a fragmented request, in seconds: longer than any relay takes to pass on one.
FRAGMENT_PAUSE = 0.01
# Until the handshake with the client is through, in seconds.
HANDSHAKE_TIMEOUT = 20
# The most that waits for one side before the other is no longer read, in bytes.
BUFFER_MAX = 256 * 1024
PIECE = 16 * 1024

NTLM_SIGNATURE = b"NTLMSSP\0"
NTLM_UNICODE = 0x00000001
NTLM_REQUEST_TARGET = 0x00000004
NTLM_SIGN = 0x00000010
NTLM_SEAL = 0x00000020
NTLM_NTLM = 0x00000200
NTLM_ALWAYS_SIGN = 0x00008000
NTLM_TARGET_TYPE_SERVER = 0x00020000
NTLM_EXTENDED_SESSION_SECURITY = 0x00080000
NTLM_TARGET_INFO = 0x00800000
NTLM_VERSION = 0x02000000
NTLM_128 = 0x20000000
NTLM_KEY_EXCHANGE = 0x40000000
NTLM_56 = 0x80000000
# What is granted if the client asks for it, and what is said unasked.
NTLM_OPTIONAL = (NTLM_UNICODE | NTLM_REQUEST_TARGET | NTLM_SIGN | NTLM_SEAL | NTLM_ALWAYS_SIGN
                 | NTLM_EXTENDED_SESSION_SECURITY | NTLM_VERSION | NTLM_128 | NTLM_KEY_EXCHANGE
                 | NTLM_56)
NTLM_ALWAYS = NTLM_TARGET_INFO | NTLM_TARGET_TYPE_SERVER | NTLM_UNICODE | NTLM_NTLM
# AvId of the target information.
AV_END, AV_NB_COMPUTER, AV_NB_DOMAIN = 0, 1, 2
AV_DNS_COMPUTER, AV_DNS_DOMAIN, AV_TIMESTAMP = 3, 4, 7
# Seconds from 1601 (FILETIME) to 1970.
FILETIME_EPOCH = 11644473600

# The newest CredSSP version, and the first that binds the public key with a nonce.
CREDSSP_VERSION = 6
CREDSSP_NONCE_VERSION = 5


class Failure(Exception):
    """Why a connection ends; goes to the log."""


class Log:
    def __init__(self, file):
        self.file = file
        self.lock = threading.Lock()

    def line(self, text):
        now = time.time()
        stamp = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
        with self.lock:
            print(stamp, text, file=self.file, flush=True)


# ---- the old cryptography that NTLM needs --------------------------------------------------------


def md4(data):
    """RFC 1320. OpenSSL 3 keeps its own in the legacy provider, so that hashlib may lack it."""
    def rotate(value, bits):
        value &= 0xFFFFFFFF
        return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF

    rounds = (
        (lambda x, y, z: x & y | ~x & z, 0, tuple(range(16)), (3, 7, 11, 19)),
        (lambda x, y, z: x & y | x & z | y & z, 0x5A827999,
         (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
        (lambda x, y, z: x ^ y ^ z, 0x6ED9EBA1,
         (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
    )
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8)
    for offset in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, offset)
        a, b, c, d = state
        for function, constant, order, shifts in rounds:
            for step, word in enumerate(order):
                a = rotate(a + function(b, c, d) + words[word] + constant, shifts[step % 4])
                a, b, c, d = d, a, b, c
        state = [(old + new) & 0xFFFFFFFF for old, new in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


class Rc4:
    def __init__(self, key):
        self.state = list(range(256))
        self.i = self.j = 0
        j = 0
        for i in range(256):
            j = (j + self.state[i] + key[i % len(key)]) & 255
            self.state[i], self.state[j] = self.state[j], self.state[i]

    def crypt(self, data):
        state, out = self.state, bytearray()
        for byte in data:
            self.i = (self.i + 1) & 255
            self.j = (self.j + state[self.i]) & 255
            state[self.i], state[self.j] = state[self.j], state[self.i]
            out.append(byte ^ state[(state[self.i] + state[self.j]) & 255])
        return bytes(out)


def hmac_md5(key, data):
    return hmac.new(key, data, "md5").digest()


def utf16(text):
    return text.encode("utf-16le")


def nt_hash(password):
    return md4(utf16(password))


# ---- ASN.1 DER -----------------------------------------------------------------------------------


def der(tag, content):
    """One element; of length below 65,536."""
    size = len(content)
    if size < 0x80:
        header = bytes([tag, size])
    elif size < 0x100:
        header = bytes([tag, 0x81, size])
    else:
        header = bytes([tag, 0x82]) + struct.pack(">H", size)
    return header + content


def der_elements(data):
    """[(tag, content)] of elements that follow one another."""
    elements, offset = [], 0
    while offset < len(data):
        if len(data) < offset + 2:
            raise Failure("ASN.1 element cut short")
        tag, size = data[offset], data[offset + 1]
        offset += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[offset:offset + count], "big")
            offset += count
        if len(data) < offset + size:
            raise Failure("ASN.1 element cut short")
        elements.append((tag, data[offset:offset + size]))
        offset += size
    return elements


def der_content(data):
    """The content of the one element that data is."""
    elements = der_elements(data)
    if len(elements) != 1:
        raise Failure(f"{len(elements)} ASN.1 elements where one was expected")
    return elements[0][1]


def subject_public_key(certificate):
    """The subjectPublicKey bits of a DER certificate: what CredSSP binds."""
    to_be_signed = der_elements(der_content(certificate))[0][1]
    key_info = der_elements(to_be_signed)[6][1]  # after version … subject
    return der_elements(key_info)[1][1][1:]  # a BIT STRING: the first byte counts unused bits


# ---- CredSSP -------------------------------------------------------------------------------------


def receive_exactly(stream, size):
    data = bytearray()
    while len(data) < size:
        piece = stream.recv(size - len(data))
        if not piece:
            raise Failure("the client went away in the handshake")
        data += piece
    return bytes(data)


def receive_ts_request(stream):
    """{field number: content} of a TSRequest, [MS-CSSP] 2.2.1."""
    header = receive_exactly(stream, 2)
    size = header[1]
    if size & 0x80:
        more = receive_exactly(stream, size & 0x7F)
        size = int.from_bytes(more, "big")
    if header[0] != 0x30 or size > 65535:
        raise Failure("not a TSRequest: " + header.hex())
    fields = {}
    for tag, content in der_elements(receive_exactly(stream, size)):
        value = der_content(content)
        if tag == 0xA1:  # negoTokens: SEQUENCE OF SEQUENCE { [0] OCTET STRING }
            value = der_content(der_content(der_content(value)))
        fields[tag & 0x1F] = value
    return fields


def ts_request(version, nego_token=None, public_key_auth=None):
    fields = der(0xA0, der(0x02, bytes([version])))
    if nego_token is not None:
        tokens = der(0x30, der(0x30, der(0xA0, der(0x04, nego_token))))
        fields += der(0xA1, tokens)
    if public_key_auth is not None:
        fields += der(0xA3, der(0x04, public_key_auth))
    return der(0x30, fields)


def ntlm_challenge(negotiate, server_challenge):
    """The CHALLENGE_MESSAGE that answers a NEGOTIATE_MESSAGE."""
    if not negotiate.startswith(NTLM_SIGNATURE):
        raise Failure("the client's token is not bare NTLM: " + negotiate[:24].hex())
    flags = struct.unpack_from("<I", negotiate, 12)[0] & NTLM_OPTIONAL | NTLM_ALWAYS
    name = utf16("HVHOST")
    now = struct.pack("<Q", int((time.time() + FILETIME_EPOCH) * 10_000_000))
    pairs = ((AV_NB_DOMAIN, name), (AV_NB_COMPUTER, name), (AV_DNS_DOMAIN, utf16("hvhost")),
             (AV_DNS_COMPUTER, utf16("hvhost")), (AV_TIMESTAMP, now), (AV_END, b""))
    info = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in pairs)
    header = struct.pack("<8sIHHII8s8xHHI", NTLM_SIGNATURE, 2, len(name), len(name), 56, flags,
                         server_challenge, len(info), len(info), 56 + len(name))
    return header + bytes((10, 0, 0x61, 0x4A, 0, 0, 0, 15)) + name + info


class NtlmKeys:
    """The keys of one direction, [MS-NLMP] 3.4.5."""

    def __init__(self, session_key, direction):
        def derive(purpose):
            return hashlib.md5(session_key + f"session key to {direction} {purpose} key magic "
                               "constant\0".encode()).digest()
        self.signing = derive("signing")
        self.cipher = Rc4(derive("sealing"))

    def seal(self, sequence, text):
        sealed = self.cipher.crypt(text)
        return self._signature(sequence, text) + sealed

    def unseal(self, sequence, message):
        text = self.cipher.crypt(message[16:])
        if self._signature(sequence, text) != message[:16]:
            raise Failure("the signature of the client's public key is wrong")
        return text

    def _signature(self, sequence, text):
        number = struct.pack("<I", sequence)
        digest = hmac_md5(self.signing, number + text)[:8]
        return struct.pack("<I", 1) + self.cipher.crypt(digest) + number


def ntlm_session_key(authenticate, server_challenge, user, password_hash):
    """Checks an AUTHENTICATE_MESSAGE; gives the exported session key."""
    if authenticate[:8] != NTLM_SIGNATURE or len(authenticate) < 64:
        raise Failure("not an NTLM authentication: " + authenticate[:24].hex())

    def field(index):
        size, _, offset = struct.unpack_from("<HHI", authenticate, 12 + 8 * index)
        return authenticate[offset:offset + size]

    response, domain, name, encrypted_key = field(1), field(2), field(3), field(5)
    flags, = struct.unpack_from("<I", authenticate, 60)
    name = name.decode("utf-16le", "replace")
    if name.upper() != user.upper():
        raise Failure(f"unknown user {name!r}")
    if len(response) <= 24:
        raise Failure("the client answers with NTLMv1")
    key = hmac_md5(password_hash, utf16(name.upper()) + domain)
    if hmac_md5(key, server_challenge + response[16:]) != response[:16]:
        raise Failure(f"wrong password of {name!r}")
    base_key = hmac_md5(key, response[:16])
    return Rc4(base_key).crypt(encrypted_key) if flags & NTLM_KEY_EXCHANGE else base_key


def authenticate_client(stream, public_key, user, password_hash, log):
    """The server's side of CredSSP, [MS-CSSP] 3.1.5."""
    def binding(direction, nonce):
        return hashlib.sha256(f"CredSSP {direction} Binding Hash\0".encode() + nonce
                              + public_key).digest()

    request = receive_ts_request(stream)
    version = request.get(0, b"\0")[-1]
    if version < CREDSSP_NONCE_VERSION:
        raise Failure(f"CredSSP version {version}; {CREDSSP_NONCE_VERSION} or later is needed")
    version = min(version, CREDSSP_VERSION)
    server_challenge = os.urandom(8)
    stream.sendall(ts_request(version, ntlm_challenge(request.get(1, b""), server_challenge)))

    request = receive_ts_request(stream)
    session_key = ntlm_session_key(request.get(1, b""), server_challenge, user, password_hash)
    from_client = NtlmKeys(session_key, "client-to-server")
    from_server = NtlmKeys(session_key, "server-to-client")
    nonce = request.get(5, b"")
    if from_client.unseal(0, request.get(3, b"")) != binding("Client-To-Server", nonce):
        raise Failure("the client saw another certificate")
    stream.sendall(ts_request(version, public_key_auth=from_server.seal(
        0, binding("Server-To-Client", nonce))))

    credentials = receive_ts_request(stream).get(2, b"")
    if not credentials:
        raise Failure("no credentials came")
    log(f"CredSSP version {version}: {user} is who they say, NTLMv2")


# ---- one connection ------------------------------------------------------------------------------


def receive_preconnection(stream, log):
    """[MS-RDPEPS] 2.2.1.2: RDP_PRECONNECTION_PDU_V2 names the virtual machine."""
    header = receive_exactly(stream, 4)
    size, = struct.unpack("<I", header)
    if not 16 <= size <= 4096:
        raise Failure(f"not a preconnection PDU: {header.hex()}")
    pdu = header + receive_exactly(stream, size - 4)
    version, = struct.unpack_from("<I", pdu, 8)
    blob = pdu[18:].decode("utf-16le", "replace").rstrip("\0") if version >= 2 else ""
    log(f"preconnection PDU version {version}: {blob or 'no virtual machine named'}")


def receive_request(stream, log):
    """The client's Connection Request: a whole TPKT."""
    header = receive_exactly(stream, 4)
    version, size = struct.unpack(">BxH", header)
    if version != 3 or size < 11:
        raise Failure("not a TPKT: " + header.hex())
    request = header + receive_exactly(stream, size - 4)
    cookie = request[11:].split(b"\r\n")[0] if b"\r\n" in request else b"no cookie"
    log(f"client's request: {size} bytes, {cookie.decode('ascii', 'replace')}")
    return request


# What a socket that does not block raises: nothing to be done now; the other side has gone.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
GONE = (ConnectionError, ssl.SSLError)


def pump(client, guest):
    """Moves bytes both ways until one side ends; what is left then still goes to the other.

    Gives (the side that ended, bytes to the guest, bytes to the client).
    """
    client.setblocking(False)
    guest.setblocking(False)
    other = {client: guest, guest: client}
    waiting = {client: bytearray(), guest: bytearray()}  # to be sent there
    sent = {client: 0, guest: 0}
    ended = None
    while ended is None or waiting[other[ended]]:
        sources = [side for side in other
                   if ended is None and len(waiting[other[side]]) < BUFFER_MAX]
        decrypted = [client] if client in sources and client.pending() else []
        readable, writable, _ = select.select(sources, [side for side in other if waiting[side]],
                                              [], 0 if decrypted else None)
        for side in set(readable + decrypted):
            try:
                data = side.recv(PIECE)
            except NOT_NOW:
                continue
            except GONE:
                data = b""
            if not data:
                ended = ended or side
            waiting[other[side]] += data
        for side in writable:
            try:
                size = side.send(waiting[side])
            except NOT_NOW:
                continue
            except GONE:
                return ended or side, sent[guest], sent[client]
            del waiting[side][:size]
            sent[side] += size
    return ended, sent[guest], sent[client]


class Host:
    """What all connections share."""

    def __init__(self, arguments, directory, log):
        self.forward, self.user, self.request = arguments.forward, arguments.user, arguments.request
        self.password_hash = nt_hash(arguments.password)
        self.log = log
        certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=hvhost", "-keyout", key, "-out", certificate],
                       check=True, stdin=subprocess.DEVNULL, capture_output=True)
        with open(certificate, encoding="ascii") as file:
            self.public_key = subject_public_key(ssl.PEM_cert_to_DER_cert(file.read()))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)

    def serve(self, connection, number):
        def log(text):
            self.log.line(f"[{number}] {text}")

        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                connection.settimeout(HANDSHAKE_TIMEOUT)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                receive_preconnection(connection, log)
                client = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
                log(f"{client.version()}, {client.cipher()[0]}")
                authenticate_client(client, self.public_key, self.user, self.password_hash, log)
                request = receive_request(client, log)
                guest = stack.enter_context(connect(self.forward, 10))
                self.send_request(guest, request, log)
                ended, to_guest, to_client = pump(client, guest)
                log(f"ended by the {'client' if ended is client else 'guest'}: {to_guest} bytes "
                    f"to the guest, {to_client} to the client")
                if ended is guest:
                    self.close_notify(client)
        except Failure as failure:
            log(f"closed: {failure}")
        except (OSError, ssl.SSLError) as error:
            log(f"closed: {error}")
        except (struct.error, IndexError) as error:
            log(f"closed: malformed message of the client ({error})")

    def send_request(self, guest, request, log):
        if self.request == "client":
            guest.sendall(request)
        elif self.request == "exact":
            guest.sendall(HOST_REQUEST)
        else:
            for byte in HOST_REQUEST:
                guest.sendall(bytes([byte]))
                time.sleep(FRAGMENT_PAUSE)
        log(f"sent to the guest: request {self.request}")

    @staticmethod
    def close_notify(client):
        """Ends the TLS stream in order; whether the client answers is its own affair."""
        client.settimeout(2)
        with contextlib.suppress(OSError, ssl.SSLError):
            client.unwrap()


def address(text):
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def guest_address(text):
    """HOST:PORT, or unix:PATH, a path then."""
    return text.removeprefix("unix:") if text.startswith("unix:") else address(text)


def connect(guest, timeout):
    """A connected socket for what guest_address() gives."""
    if isinstance(guest, tuple):
        connection = socket.create_connection(guest, timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(guest)
    except OSError:
        connection.close()
        raise
    return connection


def main():
    parser = argparse.ArgumentParser(
        description="Stands in for the VMMS of a Hyper-V host: takes FreeRDP's /vmconnect and "
                    "forwards plain RDP.")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="HOST:PORT",
                        help="default 127.0.0.1:0; the kernel chooses port 0")
    parser.add_argument("--forward", type=guest_address, required=True, metavar="ADDRESS",
                        help="where plain RDP goes: HOST:PORT or unix:PATH")
    parser.add_argument("--user", required=True, help="the one user of this host")
    parser.add_argument("--password", required=True, help="that user's password")
    parser.add_argument("--request", choices=("client", "exact", "fragments"), default="exact",
                        help="the Connection Request that the guest gets (default: exact)")
    parser.add_argument("--log", metavar="FILE", help="default: standard error")
    arguments = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        file = sys.stderr
        if arguments.log:
            file = stack.enter_context(open(arguments.log, "a", encoding="utf-8"))
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmms-"))
        host = Host(arguments, directory, Log(file))
        listener = stack.enter_context(socket.create_server(arguments.listen))
        print("ready", listener.getsockname()[1], flush=True)
        number = 0
        while True:
            connection, _ = listener.accept()
            number += 1
            threading.Thread(target=host.serve, args=(connection, number), daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"vmms.py: {problem}")
