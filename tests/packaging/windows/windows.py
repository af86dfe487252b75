"""A Windows to install things on: a Wine prefix of tests/wine/wine.sh, worked by operator.exe.

Whatever a test does to it, the prefix is afterwards as it was before: its registry files are put
back, and files that have come are removed.
"""

import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUILD = os.path.join(TOP, "build")
WINE = os.path.join(TOP, "tests", "wine", "wine.sh")
OPERATOR = os.path.join(BUILD, "windows-x86", "tests", "packaging", "windows", "operator.exe")

# What wine.sh calls it, and the programs that belong on it.
KINDS = {"win32": "x86", "win64": "x64"}

LONG_TIME = 60  # seconds; a loaded machine is not a failure
LOOKED = 0.05

# What runs inside: the registry's files are written when the last program has ended, and no sooner.
SESSION = r"""
trap '' TERM
mkdir "$1" && cp "$WINEPREFIX"/*.reg "$1" || exit 1
if [ -n "$DISPLAY" ]; then # as on a screen of its own, with title bars
    wine reg add 'HKCU\Software\Wine\Explorer' /v Desktop /d Default /f
    wine reg add 'HKCU\Software\Wine\Explorer\Desktops' /v Default /d 1024x768 /f
fi > /dev/null
wine "$2"
wineserver --kill; wineserver --wait
cp "$1"/*.reg "$WINEPREFIX"
echo ended
"""

# What changes whatever is installed and removed.
OF_OTHERS = (
    r"\\HARDWARE\\|\\PERFLIB\\",  # what is running, how much is in use
    r"\\Services\\Winedevice|\\Enum\\",  # drivers that Wine starts on demand
    # what Wine notes when the first window is made
    r"\\Temporary System Parameters\\|\"DriverDateData\"=\S+$",
    r"\\Control\\ServiceCurrent\\",  # the service manager's counter of starts
    # The copy of the uninstaller that NSIS makes and runs; it has the next restart remove it.
    r"/Temp/~nsu\w*\.tmp",
    r"\\Session Manager\\: \"PendingFileRenameOperations\"=(?:[^|]*~nsu[^|]*\|)+$",
)


class Failed(Exception):
    """Why the test failed."""


def expect(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {got!r} instead of {wanted!r}")


def windows_path(path):
    """As Wine's programs see a path of this system."""
    return "z:" + path.replace("/", "\\")


class Windows:
    """A context manager; version is a word of "winecfg /v"."""

    def __init__(self, run, kind, version, environment=None):
        self.run = run
        self.kind, self.version = kind, version
        self.bitness = KINDS[kind]
        self.environment = environment or {}
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.prefix = os.path.join(cache, "hvsession", "wine", f"prefix-{kind}")
        self.drive = os.path.join(self.prefix, "drive_c")

    def __enter__(self):
        backup = self.run.path("registry-backup")
        shutil.rmtree(backup, ignore_errors=True)
        self.process = subprocess.Popen(
            [WINE, self.kind, "--enter", "bash", "-c", SESSION, "session", backup,
             windows_path(OPERATOR)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **self.environment}, text=True, encoding="utf-8")
        try:
            self.ask("state")
            self.files_at_start = self.files()
            expect("winecfg", self.command(f"winecfg /v {self.version}"), 0)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.run.step(self.kind, f"Wine as {self.version}")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        # Read to the end: the registry is put back when it says so.
        for _ in self.process.stdout:
            pass
        self.process.wait()
        for path in sorted(set(self.files()) - set(self.files_at_start), reverse=True):
            path = os.path.join(self.drive, path)
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.unlink(path)

    def ask(self, command):
        """The lines of operator.exe's answer, and its result."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            line = line.rstrip("\r\n")
            if line.startswith("= "):
                return lines, line[2:]
            lines.append(line)
        raise Failed(f"operator.exe ended at \"{command}\": " + " | ".join(lines))

    def result(self, command):
        return self.ask(command)[1]

    def command(self, line):
        """Runs a command line to its end: its exit code."""
        result = self.result("run " + line)
        if not result.isdigit():
            raise Failed(f"{line}: {result}")
        return int(result)

    def value(self, key, name):
        return self.result(f"value {key}|{name}")

    def set_text(self, key, name, text):
        expect(f"setting {name}", self.result(f"text {key}|{name}|{text}"), "yes")

    def set(self, key, name, number):
        expect(f"setting {name}", self.result(f"set {key}|{name}|{number}"), "yes")

    def await_true(self, what, condition):
        """For what Windows does behind our back: until the condition holds."""
        deadline = time.monotonic() + LONG_TIME
        while not condition():
            if time.monotonic() >= deadline:
                raise Failed(f"{what} did not happen within {LONG_TIME} s")
            time.sleep(LOOKED)

    # ---- dialogs ----

    def dialog(self, text):
        """Waits for a dialog with that text: where it is, and its controls, as Control."""
        expect(f"a dialog with \"{text}\"", self.result(f"await {text}"), "yes")
        lines, result = self.ask("dialog")
        expect("a dialog in front", result, "yes")
        return tuple(map(int, lines[0].split())), [Control(line) for line in lines[1:]]

    def press(self, text):
        expect(f"pressing \"{text}\"", self.result(f"press {text}"), "yes")

    # ---- what is there ----

    def put(self, source, *path):
        """Copies a file of this system to the drive."""
        shutil.copy(source, os.path.join(self.drive, *path))

    def exists(self, *path):
        return os.path.lexists(os.path.join(self.drive, *path))

    def files(self):
        """All files and folders of the drive, with what changes when one is written."""
        found = {}
        for folder, folders, names in os.walk(self.drive):
            for name in names:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                found[os.path.relpath(path, self.drive)] = (status.st_size, status.st_mtime_ns)
            for name in folders:
                found[os.path.relpath(os.path.join(folder, name), self.drive)] = "folder"
        return found

    def registry(self):
        """The machine's and the user's registry: {key: {name: value}}, as regedit says it."""
        keys = {}
        for root in ("HKEY_LOCAL_MACHINE", "HKEY_CURRENT_USER"):
            path = self.run.path("export.reg")
            expect("regedit", self.command(f'regedit /E "{windows_path(path)}" {root}'), 0)
            with open(path, encoding="utf-16") as file:
                text = file.read().replace("\\\n  ", "")
            values = None
            for line in text.splitlines():
                if line.startswith("["):
                    values = keys.setdefault(line[1:-1], {})
                elif values is not None and "=" in line:
                    name, _, value = line.partition("=")
                    values[name] = readable(value)
        return keys


class Control:
    """One line of operator.exe's answer to "dialog"."""

    def __init__(self, line):
        self.kind, state, fits, self.text = line.split(" ", 3)
        self.enabled, self.ticked = state.startswith("enabled"), state.endswith(",ticked")
        self.fits = fits == "fits"


def readable(value):
    """Of a REG_MULTI_SZ as regedit writes it, its strings, each with a "|" behind it."""
    if not value.startswith("hex(7):"):
        return value
    words = bytes.fromhex(value[7:].replace(",", "")).decode("utf-16-le", "replace")
    return "".join(word + "|" for word in words.split("\0") if word)


def differences(before, after):
    """What has come, gone and changed, one line each, but for what is others'."""
    lines = []
    for key in sorted(set(before) | set(after)):
        if key not in after:
            lines.append(f"gone: {key}\\")
        elif key not in before:
            lines.append(f"new: {key}\\: {after[key]}")
        elif before[key] != after[key] and isinstance(after[key], dict):
            changes = [f"{name}={after[key].get(name)}" for name in {**before[key], **after[key]}
                       if before[key].get(name) != after[key].get(name)]
            lines.append(f"changed: {key}\\: {' '.join(changes)}")
        elif before[key] != after[key]:
            lines.append(f"changed: {key}: {before[key]} -> {after[key]}")
    return [line for line in lines if not any(re.search(other, line) for other in OF_OTHERS)]
