#!/usr/bin/env python3
"""Installs, uses, replaces and removes hvsession with its setup wizard, under Wine.

    setup.py build              the wizard itself: size, version, the same bytes twice
    setup.py silent win32       on a 32-bit Windows, without a question
    setup.py silent win64       on a 64-bit one
    setup.py pages win32|win64  page after page, with a picture of each in build/screenshots/setup

Needs both Windows builds. Exit status: 0 passed, 1 failed.
"""

import argparse
import os
import shutil
import signal
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "e2e")]
import chain
import windows
from windows import BUILD, TOP, Failed, Windows, differences, expect, windows_path

BUILDER = os.path.join(TOP, "packaging", "nsis", "build.sh")
SIZE_MAX = 1_500_000  # bytes

UNINSTALL = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\hvsession"
UNDO = r"SYSTEM\CurrentControlSet\Services\HvSession\Parameters\Undo"
RUN = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
TERMINAL_SERVER = r"SYSTEM\CurrentControlSet\Control\Terminal Server"
RDP_TCP = TERMINAL_SERVER + r"\WinStations\RDP-Tcp"
LSA = r"SYSTEM\CurrentControlSet\Control\Lsa"
GUEST = r"SOFTWARE\Microsoft\Virtual Machine\Guest"
# tests/wine/fake-firewall.h
FIREWALL = r"SOFTWARE\hvs-fake-firewall"
FIREWALL_XP, FIREWALL_VISTA = 2001, 2006
FIREWALL_CLASSES = ("{304CE942-6E39-40D8-943A-B913C40C9CD4}",
                    "{E2B3C97F-6AE1-41AC-817A-F6F92166D7DD}",
                    "{2C5BC43E-3369-4C33-AB0C-BE9469677AF4}")
BIOS = r"HARDWARE\DESCRIPTION\System\BIOS"
FOLDER = "Program Files/hvsession"
START_MENU = "ProgramData/Microsoft/Windows/Start Menu/Programs/hvsession"

PICTURES = os.path.join(BUILD, "screenshots", "setup")
REMOTE_DESKTOP_BOX = "Turn on Remote Desktop"
NLA_BOX = "Allow connections without Network Level Authentication (NLA)"
FIREWALL_BOX = "Block the Remote Desktop port (3389) from the network"
BLANK_PASSWORD_BOX = "Let accounts without a password log on"

HOMEPAGE = "https://hvsession.example/"
VK_SPACE, VK_END = 0x20, 0x23

TRAY_CLASS = "hvsession-tray"


def build(out, *options, environment=None):
    result = subprocess.run([BUILDER, *options, out], capture_output=True, text=True, check=False,
                            env={**os.environ, **(environment or {})})
    if result.returncode != 0:
        raise Failed(f"build.sh: {result.stdout}{result.stderr}")
    return out


def program_version():
    with open(os.path.join(TOP, "CMakeLists.txt"), encoding="utf-8") as file:
        return file.read().split("project(hvsession VERSION ")[1].split()[0]


# ---- build ----


def test_build(run):
    pictures = []
    for name in ("one.exe", "two.exe"):
        with open(build(run.path(name)), "rb") as file:
            pictures.append(file.read())
    expect("two builds are the same", pictures[0] == pictures[1], True)
    setup = pictures[0]
    expect(f"{len(setup)} bytes, fewer than {SIZE_MAX}", len(setup) < SIZE_MAX, True)

    header, = struct.unpack_from("<I", setup, 0x3C)
    machine, = struct.unpack_from("<H", setup, header + 4)
    expect("machine of the stub (i386)", machine, 0x14C)
    subsystem = struct.unpack_from("<HH", setup, header + 24 + 48)
    expect(f"subsystem version {subsystem}, at most XP's", subsystem <= (5, 1), True)
    for text in ("requireAdministrator", "dpiAware", "{1f676c76-80e1-4239-95bb-83d0f6d0da78}"):
        expect(f"the manifest has {text}", text.encode() in setup, True)
    for text in ("ProductVersion", program_version(), "MIT licence"):
        expect(f"the version resource has {text}", text.encode("utf-16-le") in setup, True)
    run.step("build", f"{len(setup)} bytes, twice the same")


# ---- silent ----


class Machine(Windows):
    """With an older and a newer setup, and Remote Desktop as it is on a fresh Windows."""

    def __enter__(self):
        super().__enter__()
        try:
            self.setup = build(self.run.path("new.exe"))
            fakes = os.path.join(BUILD, f"windows-{self.bitness}", "tests/wine")
            self.put(os.path.join(fakes, "vmbuspipe.dll"), "windows/system32")
            for known in FIREWALL_CLASSES:
                self.set_text(rf"SOFTWARE\Classes\CLSID\{known}\InprocServer32", "",
                              windows_path(os.path.join(fakes, "fake-firewall.dll")))
            self.set(FIREWALL, "Kind", FIREWALL_XP if is_xp(self) else FIREWALL_VISTA)
            self.set(FIREWALL + r"\Rules", "Rules", 0)
            if is_xp(self):
                self.set(FIREWALL, "Service0", 1)
                self.set(FIREWALL, "Service1", 1)
            self.set(TERMINAL_SERVER, "fDenyTSConnections", 1)
            self.set(RDP_TCP, "UserAuthentication", 1)
            self.set(LSA, "LimitBlankPasswordUse", 1)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def install(self, switches, program=None):
        """Exit code and log of a silent installation."""
        return self._logged(f'"{windows_path(program or self.setup)}" /S', switches)

    def uninstall(self, folder=FOLDER, switches=""):
        """Exit code and log. A copy of the uninstaller does it, as it does itself: but that one can
        be waited for."""
        backslashed = folder.replace("/", "\\")
        try:
            return self._logged(f"{windows_path(self.uninstaller(folder))} /S",
                                f"{switches} _?=c:\\{backslashed}")
        finally:
            self.remove_uninstaller()

    def uninstaller(self, folder):
        return shutil.copy(os.path.join(self.drive, folder, "uninstall.exe"),
                           self.run.path("un.exe"))

    def remove_uninstaller(self):
        os.unlink(self.run.path("un.exe"))

    def _logged(self, program, switches):
        path = self.run.path("log.txt")
        if os.path.exists(path):
            os.unlink(path)
        status = self.command(f'{program} "/LOG={windows_path(path)}" {switches}')
        if not os.path.exists(path):
            return status, ""
        with open(path, encoding="utf-16") as file:
            log = file.read()
        with open(self.run.log_path("setup"), "a", encoding="utf-8") as file:
            print(f"{program} {switches} -> {status}\n{log}", file=file)
        return status, log

    def settings(self):
        """Remote Desktop on, NLA required, blank passwords at the console only, as they are now."""
        return tuple(self.value(key, name) for key, name in (
            (TERMINAL_SERVER, "fDenyTSConnections"), (RDP_TCP, "UserAuthentication"),
            (LSA, "LimitBlankPasswordUse")))

    def expect_gone(self, before):
        """Nothing is left: registry and files are as before."""
        expect("the service", self.result("state"), "none")
        registry, files = before
        left = differences(registry, self.registry()) + differences(files, self.files())
        if left:
            raise Failed("left behind:\n" + "\n".join(left))

    def snapshot(self):
        return self.registry(), self.files()


FRESH = ("dword 1", "dword 1", "dword 1")


def expect_installed(machine, folder, version):
    backslashed = "C:\\" + folder.replace("/", "\\")
    expect("the service", machine.result("state"), "running")
    image = machine.value(r"SYSTEM\CurrentControlSet\Services\HvSession", "ImagePath")
    expect("its command", image.lower(), f'string "{backslashed}\\hvsession.exe" service'.lower())
    with open(os.path.join(machine.drive, folder, "hvsession.exe"), "rb") as file, \
            open(os.path.join(BUILD, f"windows-{machine.bitness}/windows/hvsession.exe"),
                 "rb") as built:
        expect("hvsession.exe is that of this Windows", file.read() == built.read(), True)
    for name, wanted in {
            "DisplayName": "string hvsession (Hyper-V Enhanced Session)",
            "DisplayVersion": f"string {version}", "Publisher": "string hvsession",
            "DisplayIcon": f'string "{backslashed}\\uninstall.exe"',
            "UninstallString": f'string "{backslashed}\\uninstall.exe"',
            "QuietUninstallString": f'string "{backslashed}\\uninstall.exe" /S',
            "InstallLocation": f"string {backslashed}", "NoModify": "dword 1",
            "NoRepair": "dword 1"}.items():
        expect(name, machine.value(UNINSTALL, name).lower(), wanted.lower())
    size = machine.value(UNINSTALL, "EstimatedSize").split()
    total = sum(os.path.getsize(os.path.join(machine.drive, folder, name))
                for name in os.listdir(os.path.join(machine.drive, folder)))
    expect("EstimatedSize", abs(int(size[1]) - total // 1024) <= 4, True)


def test_silent(run, kind):
    with Machine(run, kind, "winxp" if kind == "win32" else "win7") as machine:
        before = machine.snapshot()
        for test in (silent_default, silent_switches, silent_wrong, silent_upgrade,
                     silent_no_driver, silent_fails, silent_built_in):
            test(machine)
            machine.expect_gone(before)
            run.step(kind, test.__name__.partition("_")[2].replace("_", " "))


def silent_default(machine):
    status, log = machine.install("")
    expect("exit code", status, 0)
    expect_installed(machine, FOLDER, program_version())
    expect("the log says what was run", "> hvsession setup" in log, True)
    expect("settings", machine.settings(), ("dword 0", "dword 1" if is_xp(machine) else "dword 0",
                                            "dword 1"))
    expect("closed port", machine.value(UNDO, "FirewallPort"), "dword 3389")
    for name in ("hvsession status.lnk", "hvsession command prompt.lnk"):
        expect(name, machine.exists(START_MENU, name), True)
    expect("exit code", machine.uninstall()[0], 0)


def silent_switches(machine):
    """Nothing that they forbid; a folder with a blank; and removal as Windows asks for it."""
    status, _ = machine.install(
        r"/nordp /KEEPNLA /NOFIREWALL /NOTRAY /NOSTARTMENU /D=C:\hv session")
    expect("exit code", status, 0)
    expect_installed(machine, "hv session", program_version())
    expect("settings", machine.settings(), FRESH)
    expect("closed port", machine.value(UNDO, "FirewallPort"), "none")
    expect("start menu", machine.exists(START_MENU), False)
    expect("tray", machine.exists("hv session", "hvsession-tray.exe"), False)
    expect("with Windows", machine.value(RUN, "hvsession-tray"), "none")
    quiet = machine.value(UNINSTALL, "QuietUninstallString").removeprefix("string ")
    machine.command(quiet)
    machine.await_true("removal", lambda: not machine.exists("hv session"))
    machine.await_true("its end", lambda: machine.value(UNINSTALL, "DisplayVersion") == "none")


def silent_wrong(machine):
    for switches in ("/FOO", "/NORDP=1", "foo", "/LOG=", "/D=relative", '"/D=relative"'):
        status, log = machine.install(switches)
        expect(f"exit code of {switches}", status, 2)
        expect(f"{switches} in the log", "Unknown switch: " + switches.strip('"')[:3] in log, True)
    expect("exit code of /?", machine.install("/?")[0], 2)


def silent_upgrade(machine):
    """Over an older version, whose choices stay; over a newer one, which is refused."""
    old = build(machine.run.path("old.exe"), "--version", "0.0.9", "--homepage", HOMEPAGE)
    expect("old", machine.install("/NORDP", old)[0], 0)
    expect("its address", machine.value(UNINSTALL, "URLInfoAbout"), "string " + HOMEPAGE)
    expect_installed(machine, FOLDER, "0.0.9")
    expect("new", machine.install("")[0], 0)
    expect_installed(machine, FOLDER, program_version())
    expect("Remote Desktop, not chosen before", machine.settings()[0], "dword 1")
    status, log = machine.install("", old)
    expect("a newer one is there", status, 1)
    expect("the log says so", "newer" in log, True)
    expect_installed(machine, FOLDER, program_version())
    # Elsewhere, and with less to change: nothing stays at the old place, and settings go back.
    expect("moved", machine.install(r"/KEEPNLA /D=C:\hv session")[0], 0)
    expect_installed(machine, "hv session", program_version())
    expect("the old folder", machine.exists(FOLDER), False)
    expect("settings", machine.settings(), FRESH)
    # Its program gone by other hands: as long as the service is there, nothing is removed.
    program = os.path.join(machine.drive, "hv session", "hvsession.exe")
    expect("stop", machine.command(f'"{windows_path(program)}" stop'), 0)
    os.rename(program, program + ".away")
    expect("uninstaller without it", machine.uninstall("hv session")[0], 1)
    os.rename(program + ".away", program)
    # A file of somebody else's stays, and so does its folder.
    machine.put(machine.setup, "hv session", "mine.exe")
    expect("uninstaller", machine.uninstall("hv session")[0], 0)
    expect("what is left", os.listdir(os.path.join(machine.drive, "hv session")), ["mine.exe"])
    os.unlink(os.path.join(machine.drive, "hv session", "mine.exe"))
    os.rmdir(os.path.join(machine.drive, "hv session"))


def silent_no_driver(machine):
    """Without the integration services it is installed, but not started."""
    library = os.path.join(machine.drive, "windows/system32/vmbuspipe.dll")
    os.rename(library, library + ".away")
    try:
        status, log = machine.install("")
    finally:
        os.rename(library + ".away", library)
    expect("exit code", status, 0)
    expect("the service", machine.result("state"), "stopped")
    expect("the log says why", "integration services" in log, True)
    expect("uninstaller", machine.uninstall()[0], 0)


def silent_fails(machine):
    """A file that cannot be written: all that was there before is there, and nothing else."""
    os.makedirs(os.path.join(machine.drive, FOLDER, "hvsession.exe"))
    status, log = machine.install("")
    os.rmdir(os.path.join(machine.drive, FOLDER, "hvsession.exe"))
    if machine.exists(FOLDER):
        os.rmdir(os.path.join(machine.drive, FOLDER))
    expect("exit code", status, 1)
    expect("the log says why", "is in use" in log, True)


def silent_built_in(machine):
    """Windows 10 needs nothing of it, unless it is asked to take the place of what is there."""
    expect("winecfg", machine.command("winecfg /v win10"), 0)
    status, log = machine.install("")
    expect("exit code", status, 1)
    expect("the log says why", "built in" in log, True)
    expect("the service", machine.result("state"), "none")
    expect("exit code", machine.install("/OVERRIDE")[0], 3010)
    expect_installed(machine, FOLDER, program_version())
    expect("override", machine.value(GUEST, "DisableEnhancedSessionConsoleConnection"), "dword 1")
    expect("exit code", machine.uninstall()[0], 3010)
    expect("winecfg", machine.command(f"winecfg /v {machine.version}"), 0)


def is_xp(machine):
    return machine.version.startswith("winxp")


# ---- page after page ----


class Wizard:
    """A wizard on a machine with a display: goes through its pages, and takes their pictures."""

    def __init__(self, machine, display, name):
        self.machine, self.display, self.name = machine, display, name
        self.count = 0

    def start(self, program, switches=""):
        expect("start", self.machine.result(f'start "{windows_path(program)}" {switches}'), "yes")

    def page(self, name, text):
        """Waits for the page with that text, and for nothing to be drawn any more; its controls, by
        their text."""
        place, controls = self.machine.dialog(text)
        while self.display.x.wait_drawn(0.15):
            pass
        self.count += 1
        picture = crop(self.display.x.image(), place)
        picture.write_png(os.path.join(PICTURES, f"{self.name}-{self.count:02}-{name}.png"))
        cut = [control.text for control in controls if not control.fits
               and control.kind in ("Static", "Button")]
        expect(f"texts that do not fit on page \"{name}\"", cut, [])
        return {control.text: control for control in controls}

    def press(self, text):
        self.machine.press(text)

    def end(self):
        result = self.machine.result("wait")
        return int(result) if result.isdigit() else result


def crop(picture, place):
    left, top, right, bottom = place
    left, top = max(0, left), max(0, top)
    right, bottom = min(picture.width, right), min(picture.height, bottom)
    rows = [picture.data[(y * picture.width + left) * 4:(y * picture.width + right) * 4]
            for y in range(top, bottom)]
    return chain.x11.Image(right - left, bottom - top, b"".join(rows))


def test_pages(run, kind):
    os.makedirs(PICTURES, exist_ok=True)
    display = chain.Display(run)
    tests = {"win32": (pages_all, pages_tray), "win64": (pages_choices, pages_findings, pages_boxes,
                                            pages_cancelled)}
    with Machine(run, kind, "winxp" if kind == "win32" else "win7",
                 display.environment) as machine:
        machine.set_text(BIOS, "SystemManufacturer", "Microsoft Corporation")
        machine.set_text(BIOS, "SystemProductName", "Virtual Machine")
        before = machine.snapshot()
        for test in tests[kind]:
            test(machine, display)
            machine.expect_gone(before)
            run.step(kind, test.__name__.partition("_")[2])


def pages_all(machine, display):
    """All pages, with everything as it is offered."""
    wizard = Wizard(machine, display, "xp")
    wizard.start(machine.setup)
    wizard.page("welcome", "Setup installs a small service")
    wizard.press("Next")
    wizard.page("licence", "Press Page Down")
    wizard.press("I Agree")
    wizard.page("components", "Select components to install")
    wizard.press("Next")
    controls = wizard.page("settings", "Choose what Setup may change")
    expect("Remote Desktop", ticks(controls), [True, False, True, False])
    expect("NLA on XP", controls[NLA_BOX].enabled, False)
    wizard.press("Turn on")
    expect("the firewall goes with it", ticks(wizard.page("unticked", "Choose")), [False] * 4)
    wizard.press("Turn on")
    expect("and comes again", ticks(wizard.page("ticked", "Choose")), [True, False, True, False])
    wizard.press("Install")
    wizard.page("progress", "Completed")
    wizard.press("Next")
    wizard.page("finish", "its service runs")
    wizard.press("Finish")
    expect("exit code", wizard.end(), 0)
    expect("the status", machine.result(f"window {TRAY_CLASS}"), "yes")
    expect_installed(machine, FOLDER, program_version())
    expect("settings", machine.settings(), ("dword 0", "dword 1", "dword 1"))

    wizard.start(machine.uninstaller(FOLDER), r"_?=C:\Program Files\hvsession")
    wizard.page("remove", "puts back every setting")
    wizard.press("Uninstall")
    wizard.page("removed", "Completed")
    wizard.press("Close")
    expect("exit code", wizard.end(), 0)
    machine.remove_uninstaller()


def pages_tray(machine, _display):
    """The notification-area app: started with Windows; replaced and removed while it runs."""
    program = "C:\\" + FOLDER.replace("/", "\\") + r"\hvsession-tray.exe"
    expect("exit code", machine.install("")[0], 0)
    expect("with Windows", machine.value(RUN, "hvsession-tray"),
           f'string "{program}" --background')
    expect("start", machine.result(f'start "{program}"'), "yes")
    expect("its window", machine.result(f"window {TRAY_CLASS}"), "yes")
    expect("over itself", machine.install("")[0], 0)
    expect("the replaced one has ended", machine.result("wait"), "0")
    expect("the new one", machine.result(f"window {TRAY_CLASS}"), "yes")
    expect("uninstaller", machine.uninstall()[0], 0)


def pages_choices(machine, display):
    """Windows 7 without the integration services, and other choices than the offered ones."""
    library = os.path.join(machine.drive, "windows/system32/vmbuspipe.dll")
    os.rename(library, library + ".away")
    wizard = Wizard(machine, display, "windows-7")
    wizard.start(machine.setup)
    wizard.page("welcome", "Setup installs a small service")
    wizard.press("Next")
    wizard.page("licence", "Press Page Down")
    wizard.press("I Agree")
    wizard.page("no-integration-services", "integration services are missing")
    os.rename(library + ".away", library)
    wizard.press("Next")
    wizard.page("components", "Select components to install")
    expect("tree", machine.result(f"key SysTreeView32|{VK_END}"), "yes")
    expect("tree", machine.result(f"key SysTreeView32|{VK_SPACE}"), "yes")
    wizard.page("no-start-menu", "Select components to install")
    wizard.press("Next")
    expect("as offered", ticks(wizard.page("settings", "Choose what Setup may change")),
           [True, True, True, False])
    wizard.press("Turn on")
    wizard.press("Block")
    wizard.press("Let accounts")
    expect("chosen", ticks(wizard.page("chosen", "Choose")), [False, True, False, True])
    wizard.press("Install")
    wizard.page("progress", "Completed")
    wizard.press("Next")
    wizard.page("finish", "Its service starts with Windows")
    wizard.press("Show status")
    wizard.press("Finish")
    expect("exit code", wizard.end(), 0)
    expect("settings", machine.settings(), ("dword 1", "dword 0", "dword 0"))
    expect("closed port", machine.value(UNDO, "FirewallPort"), "none")
    expect("start menu", machine.exists(START_MENU), False)
    expect("the service", machine.result("state"), "stopped")
    expect("uninstaller", machine.uninstall()[0], 0)


def pages_findings(machine, display):
    """Windows 10, not in Hyper-V, with an older version: all that has to be said before."""
    old = build(machine.run.path("old.exe"), "--version", "0.0.9")
    expect("old", machine.install("", old)[0], 0)
    expect("winecfg", machine.command("winecfg /v win10"), 0)
    machine.set_text(BIOS, "SystemProductName", "Standard PC")
    wizard = Wizard(machine, display, "windows-10")
    wizard.start(machine.setup)
    wizard.page("welcome", "Setup installs a small service")
    wizard.press("Next")
    wizard.page("licence", "Press Page Down")
    wizard.press("I Agree")
    controls = wizard.page("findings", "does not need hvsession")
    expect("Next without the override", controls["Next >"].enabled, False)
    for text in ("hvsession 0.0.9 is installed", "does not seem to be a virtual machine"):
        expect(text, any(text in shown for shown in controls), True)
    wizard.press("Use hvsession instead")
    expect("Next with it", wizard.page("override", "does not need")["Next >"].enabled, True)
    wizard.press("Next")
    wizard.page("components", "Select components to install")
    wizard.press("Next")
    wizard.page("settings", "Enhanced Session is Remote Desktop")
    wizard.press("Install")
    wizard.page("progress", "Completed")
    wizard.press("Next")
    wizard.page("restart", "when Windows has been restarted")
    wizard.press("Finish")
    expect("exit code", wizard.end(), 3010)
    expect_installed(machine, FOLDER, program_version())
    expect("uninstaller", machine.uninstall()[0], 3010)
    expect("winecfg", machine.command(f"winecfg /v {machine.version}"), 0)
    machine.set_text(BIOS, "SystemProductName", "Virtual Machine")


def pages_boxes(machine, display):
    """What it says to a switch that there is not, and to /?."""
    wizard = Wizard(machine, display, "switches")
    for name, switch, text, status in (("unknown", "/FOO", "Unknown switch: /FOO", 2),
                                       ("help", "/?", "install silently", 0)):
        wizard.start(machine.setup, switch)
        wizard.page(name, text)
        wizard.press("OK")
        expect(f"exit code of {switch}", wizard.end(), status)


def pages_cancelled(machine, display):
    """In Chinese, and left before anything was done."""
    wizard = Wizard(machine, display, "chinese")
    wizard.start(machine.setup, "/LANG=zh-CN")
    wizard.page("welcome", "增强会话")
    wizard.press("取消")
    wizard.page("cancel", "确定要退出")
    wizard.press("Yes")
    expect("exit code", wizard.end(), 1)


def ticks(controls):
    return [controls[text].ticked for text in (REMOTE_DESKTOP_BOX, NLA_BOX, FIREWALL_BOX,
                                               BLANK_PASSWORD_BOX)]


# ---- the command line ----


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("group", choices=("build", "silent", "pages"))
    parser.add_argument("kind", choices=tuple(windows.KINDS), nargs="?")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    arguments = parser.parse_args()
    if (arguments.group == "build") != (arguments.kind is None):
        parser.error("silent and pages take win32 or win64, build does not")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    tests = {"build": test_build, "silent": test_silent, "pages": test_pages}
    try:
        with chain.Run(keep=arguments.keep) as run:
            try:
                tests[arguments.group](run, *([arguments.kind] if arguments.kind else []))
            except (Failed, chain.Failed, OSError):
                run.print_logs(200)
                raise
    except (Failed, chain.Failed, OSError) as failure:
        print(f"\nFAILED: {failure}", flush=True)
        return 1
    return 0


def interrupted(number, _frame):
    raise Failed(f"ended by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
