#!/usr/bin/env python3
"""Checks that a Windows program can run on Windows XP and is built with what protects it.

    check-pe.py [--write] [--gui] LIST FILE

LIST has the imports of FILE, DLL!NAME a line, sorted; each was looked up once: Windows XP (x86), or
Windows XP x64 Edition, exports it. Any difference is a failure: a new import has to be looked up
before it is added. --write writes the list instead. --gui: a program with windows, not one for
the console.

Also checked: subsystem and OS version 5.1 (x86) or 5.2 (x64), DEP, ASLR with relocations, the
subsystem, icon, version and manifest, no time stamp, smaller than 150 KB.
"""
import argparse
import pathlib
import struct
import sys

SIZE_LIMIT = 150_000

# PE format: IMAGE_FILE_HEADER.Characteristics, IMAGE_OPTIONAL_HEADER.DllCharacteristics
RELOCS_STRIPPED = 0x0001
HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT = 0x0020, 0x0040, 0x0100
SUBSYSTEM_GUI, SUBSYSTEM_CONSOLE = 2, 3
X86, X64 = 0x014C, 0x8664
DIRECTORY_IMPORT, DIRECTORY_RESOURCE, DIRECTORY_BASERELOC, DIRECTORY_DELAY_IMPORT = 1, 2, 5, 13
RT_ICON, RT_GROUP_ICON, RT_VERSION, RT_MANIFEST = 3, 14, 16, 24
ICON_SIZES = {16, 32}


class Image:
    """What the headers of a PE file say."""

    def __init__(self, path):
        self.data = data = path.read_bytes()
        (header,) = struct.unpack_from("<I", data, 0x3C)
        if data[header:header + 4] != b"PE\0\0":
            raise SystemExit(f"{path}: not a PE file")
        self.machine, sections, self.time, _, _, optional_size, self.flags = \
            struct.unpack_from("<HHIIIHH", data, header + 4)
        optional = header + 24
        self.wide = struct.unpack_from("<H", data, optional)[0] == 0x20B
        self.os_version = struct.unpack_from("<HH", data, optional + 40)
        self.subsystem_version = struct.unpack_from("<HH", data, optional + 48)
        self.subsystem, self.dll_flags = struct.unpack_from("<HH", data, optional + 68)
        directories = optional + (112 if self.wide else 96)
        (count,) = struct.unpack_from("<I", data, directories - 4)
        self.directories = [struct.unpack_from("<II", data, directories + 8 * i)
                            for i in range(count)]
        self.sections = [struct.unpack_from("<IIII", data, optional + optional_size + 40 * i + 8)
                         for i in range(sections)]

    def offset(self, address):
        for virtual_size, start, raw_size, raw in self.sections:
            if start <= address < start + max(virtual_size, raw_size):
                return address - start + raw
        raise SystemExit(f"address {address:#x} is in no section")

    def string(self, address):
        start = self.offset(address)
        return self.data[start:self.data.index(b"\0", start)].decode("ascii")

    def thunks(self, address):
        width = 8 if self.wide else 4
        at = self.offset(address)
        while value := int.from_bytes(self.data[at:at + width], "little"):
            at += width
            if value >> (width * 8 - 1):
                yield f"#{value & 0xFFFF}"
            else:
                yield self.string((value & 0x7FFFFFFF) + 2)

    def imports(self):
        """dll!name, sorted."""
        found = set()
        at = self.offset(self.directories[DIRECTORY_IMPORT][0])
        while True:
            names, _, _, dll, addresses = struct.unpack_from("<IIIII", self.data, at)
            at += 20
            if not dll:
                return sorted(found)
            library = self.string(dll).lower().removesuffix(".dll")
            found.update(f"{library}!{name}" for name in self.thunks(names or addresses))


    def resources(self, kind):
        """Every resource of a type: its name and its bytes."""
        root = self.offset(self.directories[DIRECTORY_RESOURCE][0])

        def entries(directory):
            # IMAGE_RESOURCE_DIRECTORY and its entries; the highest bit: a directory
            named, numbered = struct.unpack_from("<HH", self.data, root + directory + 12)
            for i in range(named + numbered):
                name, below = struct.unpack_from("<II", self.data, root + directory + 16 + 8 * i)
                yield name, below & 0x7FFFFFFF

        found = {}
        for type_name, names in entries(0):
            for name, languages in entries(names) if type_name == kind else ():
                for _, leaf in entries(languages):
                    address, size = struct.unpack_from("<II", self.data, root + leaf)
                    start = self.offset(address)
                    found[name] = self.data[start:start + size]
        return found

    def icon_sizes(self):
        """In pixels, of the icon that Windows shows for the program: the first group."""
        groups, images = self.resources(RT_GROUP_ICON), self.resources(RT_ICON)
        if not groups:
            return set()
        group = groups[min(groups)]
        (count,) = struct.unpack_from("<H", group, 4)
        sizes = set()
        for i in range(count):
            # GRPICONDIRENTRY, and the BITMAPINFOHEADER of the icon that it names
            width, _, _, _, _, bits, length, name = struct.unpack_from(
                "<BBBBHHIH", group, 6 + 14 * i)
            image = images.get(name, b"")
            if len(image) == length and image[:8] == struct.pack("<II", 40, width) and bits == 32:
                sizes.add(width)
        return sizes


def complaints(image, subsystem):
    """What the headers get wrong, as sentences."""
    version = {X86: (5, 1), X64: (5, 2)}.get(image.machine)
    if version is None:
        yield f"machine {image.machine:#x} is neither x86 nor x64"
        return
    if image.os_version != version:
        yield f"OS version {image.os_version}, not {version}"
    if image.subsystem_version != version:
        yield f"subsystem version {image.subsystem_version}, not {version}"
    if image.subsystem != subsystem:
        yield f"subsystem {image.subsystem}, not {subsystem}"
    if not image.dll_flags & NX_COMPAT:
        yield "no DEP"
    if not image.dll_flags & DYNAMIC_BASE:
        yield "no ASLR"
    if image.machine == X64 and not image.dll_flags & HIGH_ENTROPY_VA:
        yield "ASLR in 32 bits only"
    if image.flags & RELOCS_STRIPPED or not image.directories[DIRECTORY_BASERELOC][1]:
        yield "ASLR without relocations"
    if image.directories[DIRECTORY_DELAY_IMPORT][1]:
        yield "delayed imports"
    if not ICON_SIZES <= image.icon_sizes():
        yield f"an icon of {sorted(image.icon_sizes())} pixels; {sorted(ICON_SIZES)} are needed"
    for kind, name in ((RT_VERSION, "version"), (RT_MANIFEST, "manifest")):
        if not image.resources(kind):
            yield f"no {name}"
    if image.time:
        yield "a time stamp"
    if len(image.data) >= SIZE_LIMIT:
        yield f"{len(image.data)} bytes, {SIZE_LIMIT} is the limit"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--gui", action="store_true")
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    arguments = parser.parse_args()

    image = Image(arguments.file)
    found = image.imports()
    if arguments.write:
        arguments.list.write_text("".join(name + "\n" for name in found))
        return 0
    known = arguments.list.read_text().split()
    wrong = list(complaints(image, SUBSYSTEM_GUI if arguments.gui else SUBSYSTEM_CONSOLE))
    wrong += [f"new import, look it up: {name}" for name in found if name not in known]
    wrong += [f"not imported any more: {name}" for name in known if name not in found]
    for sentence in wrong:
        print(f"{arguments.file.name}: {sentence}")
    print(f"{arguments.file.name}: {len(found)} imports, {len(image.data)} bytes, "
          f"{len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
