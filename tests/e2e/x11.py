"""A small X11 client: looks at a display and types on it. Python's standard library only.

It does what the end-to-end tests need of X, and no more: take a picture of the whole display, wait
until something is drawn (DAMAGE extension, so nothing is polled), move the pointer and press keys
(XTEST extension), write a picture as PNG. The server's pixels must be 32 bits wide, little endian,
as those of Xvfb with "-screen 0 WxHx24" are.

Sources: X Window System Protocol (X11R7), damageproto 1.1, XTEST 2.2.
"""

import os
import select
import socket
import struct
import time
import zlib

AUTHORITY_NAME = b"MIT-MAGIC-COOKIE-1"
FAMILY_WILD = 0xFFFF  # Xauthority: for every address

# Core requests.
QUERY_EXTENSION = 98
GET_IMAGE = 73
GET_KEYBOARD_MAPPING = 101
Z_PIXMAP = 2
ALL_PLANES = 0xFFFFFFFF

# Requests of the extensions, event kinds of FakeInput.
DAMAGE_QUERY_VERSION, DAMAGE_CREATE, DAMAGE_SUBTRACT = 0, 1, 3
DAMAGE_REPORT_NON_EMPTY = 3
XTEST_FAKE_INPUT = 2
KEY_PRESS, KEY_RELEASE, MOTION_NOTIFY = 2, 3, 6

KEYSYM_RETURN = 0xFF0D


class Error(Exception):
    """The X server is gone, or says no."""


def write_authority(path, cookie):
    """Writes an Xauthority file that only its owner reads; cookie is 16 random bytes."""
    record = struct.pack(">HHH", FAMILY_WILD, 0, 0)
    for field in (AUTHORITY_NAME, cookie):
        record += struct.pack(">H", len(field)) + field
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(record)


class Image:
    """A picture: width, height, and rows of blue, green, red, unused bytes."""

    def __init__(self, width, height, data):
        self.width, self.height, self.data = width, height, data

    def pixel(self, x, y):
        """The colour of one pixel: (red, green, blue), 0 … 255 each."""
        blue, green, red = self.data[(y * self.width + x) * 4:][:3]
        return red, green, blue

    def share(self, colour, tolerance=0, steps=40):
        """The share (0.0 … 1.0) of a grid of steps x steps pixels that has this colour."""
        hits = 0
        for row in range(steps):
            for column in range(steps):
                pixel = self.pixel((2 * column + 1) * self.width // (2 * steps),
                                   (2 * row + 1) * self.height // (2 * steps))
                hits += all(abs(a - b) <= tolerance for a, b in zip(pixel, colour))
        return hits / (steps * steps)

    def write_png(self, path):
        rows = bytearray()
        for y in range(self.height):
            row = self.data[y * self.width * 4:(y + 1) * self.width * 4]
            rgb = bytearray(self.width * 3)
            rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
            rows += b"\0" + rgb  # filter type 0: none

        def chunk(kind, data):
            check = zlib.crc32(kind + data)
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        with open(path, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                       + chunk(b"IDAT", zlib.compress(bytes(rows), 6)) + chunk(b"IEND", b""))


class Display:
    """A connection to display :number of this machine.

    cookie is what write_authority() was given. Raises Error or OSError.
    """

    def __init__(self, number, cookie):
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(f"/tmp/.X11-unix/X{number}")
            self._set_up(cookie)
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def _set_up(self, cookie):
        self.socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(AUTHORITY_NAME),
                                        len(cookie))
                            + _pad(AUTHORITY_NAME) + _pad(cookie))
        status, reason_length, words = struct.unpack("<BBxxxxH", self._receive(8))
        answer = self._receive(words * 4)
        if status != 1:
            raise Error("the X server refuses us: "
                        + answer[:reason_length].decode("ascii", "replace"))
        (id_base, vendor_length, formats, self.min_keycode, self.max_keycode) = struct.unpack_from(
            "<4xI8xHxxxB4xBB", answer)
        screen = 32 + len(_pad(bytes(vendor_length))) + 8 * formats
        self.root, = struct.unpack_from("<I", answer, screen)
        self.width, self.height = struct.unpack_from("<HH", answer, screen + 20)

        damage, _ = self._extension(b"DAMAGE")
        self.xtest, _ = self._extension(b"XTEST")
        self._send(damage, DAMAGE_QUERY_VERSION, struct.pack("<II", 1, 1))
        self._reply()
        self.damage, self.damage_id = damage, id_base
        self._send(damage, DAMAGE_CREATE,
                   struct.pack("<IIBxxx", self.damage_id, self.root, DAMAGE_REPORT_NON_EMPTY))
        self.keycodes = self._keyboard_mapping()

    def _receive(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise Error("the X server has gone")
            data += piece
        return bytes(data)

    def _send(self, opcode, detail, body):
        body = _pad(body)
        self.socket.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def _reply(self):
        """The next reply; events on the way are dropped, for each look at the display is a
        complete one."""
        while True:
            packet = self._receive(32)
            if packet[0] == 0:
                raise Error(f"the X server answers with error {packet[1]} "
                            f"to request {packet[10]}.{struct.unpack_from('<H', packet, 8)[0]}")
            if packet[0] == 1:
                words, = struct.unpack_from("<I", packet, 4)
                return packet, self._receive(words * 4)

    def _extension(self, name):
        """(major opcode, first event) of an extension."""
        self._send(QUERY_EXTENSION, 0, struct.pack("<Hxx", len(name)) + name)
        packet, _ = self._reply()
        if not packet[8]:
            raise Error(f"the X server has no {name.decode()} extension")
        return packet[9], packet[10]

    def _keyboard_mapping(self):
        """keysym -> keycode of the keys that need no modifier."""
        count = self.max_keycode - self.min_keycode + 1
        self._send(GET_KEYBOARD_MAPPING, 0, struct.pack("<BBxx", self.min_keycode, count))
        packet, data = self._reply()
        per_keycode = packet[1]
        keysyms = struct.unpack(f"<{count * per_keycode}I", data)
        return {keysyms[index * per_keycode]: self.min_keycode + index
                for index in reversed(range(count))}

    def image(self):
        """What the whole display shows now. Arms the next wait_drawn()."""
        self._send(self.damage, DAMAGE_SUBTRACT, struct.pack("<III", self.damage_id, 0, 0))
        self._send(GET_IMAGE, Z_PIXMAP, struct.pack("<IhhHHI", self.root, 0, 0, self.width,
                                                    self.height, ALL_PLANES))
        _, data = self._reply()
        return Image(self.width, self.height, data)

    def wait_drawn(self, timeout):
        """Waits at most timeout seconds until something is drawn since the last image()."""
        deadline = time.monotonic() + timeout
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            packet = self._receive(32)
            if packet[0] == 0:
                raise Error(f"the X server answers with error {packet[1]}")
            if packet[0] & 0x7F > 34:  # past the core events: DamageNotify, the only one asked for
                return True
        return False

    def _fake(self, kind, detail, x=0, y=0):
        self._send(self.xtest, XTEST_FAKE_INPUT,
                   struct.pack("<BBxxII8xhh8x", kind, detail, 0, self.root, x, y))

    def move_pointer(self, x, y):
        self._fake(MOTION_NOTIFY, 0, x, y)

    def type(self, text):
        """Presses and releases the key of each character, which must need no modifier; a line
        feed is the Return key. The window under the pointer gets them."""
        for character in text:
            keysym = KEYSYM_RETURN if character == "\n" else ord(character)
            if keysym not in self.keycodes:
                raise Error(f"no key types {character!r} on this display")
            self._fake(KEY_PRESS, self.keycodes[keysym])
            self._fake(KEY_RELEASE, self.keycodes[keysym])


def _pad(data):
    return data + bytes(-len(data) % 4)
