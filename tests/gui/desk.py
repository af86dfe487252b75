"""A desktop of the test's own: a display, two buses, a window manager and a panel with a tray, and
stand-ins for those who answer questions of permission and show notifications.

Made before GTK is loaded: the test itself lives on it, to read the screen, the clipboard and the
accessible tree.
"""

import getpass
import os
import pathlib
import secrets
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE.parent / "e2e"))

import chain  # noqa: E402
import x11  # noqa: E402

WIDTH, HEIGHT = 1600, 1400
# Where nothing is.
BACKGROUND = (0x3B, 0x6E, 0xA5)

SYSTEM_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="{user}">
    <allow own="org.freedesktop.PolicyKit1"/>
    <allow own="io.github.hvsession1"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""

PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="false"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="28"/>
      <property name="icon-size" type="uint" value="16"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
        <value type="int" value="3"/>
        <value type="int" value="4"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="tasklist"/>
    <property name="plugin-2" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-3" type="string" value="systray"/>
    <property name="plugin-4" type="string" value="clock"/>
  </property>
</channel>
"""


class Desk:
    """Its environment is the test's from then on."""

    def __init__(self, run, build):
        self.run, self.build, self.source = run, build, SOURCE.parents[1]
        os.environ.update(self._make_homes())
        os.environ.update(self._start_display())
        os.environ.update(self._start_buses())
        run.start("xfwm4", ["xfwm4", "--compositor=off"])

    # ---- parts ----

    def _make_homes(self):
        root = pathlib.Path(self.run.private)
        for name in ("home", "config", "data", "cache", "runtime"):
            (root / name).mkdir(mode=0o700)
        self.config = root / "config"
        (self.config / "gtk-3.0").mkdir()
        (self.config / "gtk-3.0/settings.ini").write_text(
            "[Settings]\ngtk-font-name=Cantarell 11\ngtk-icon-theme-name=Adwaita\n"
            "gtk-enable-animations=0\n", encoding="utf-8")
        # As it is installed, not as it was built.
        self.prefix = root / "prefix"
        subprocess.run(["cmake", "--install", self.build, "--component", "hvsession-gui",
                        "--prefix", self.prefix], check=True, stdout=subprocess.DEVNULL)
        self.program = self.prefix / "bin/hvsession-tray"
        return {
            "HOME": str(root / "home"), "XDG_CONFIG_HOME": str(self.config),
            "XDG_DATA_HOME": str(root / "data"), "XDG_CACHE_HOME": str(root / "cache"),
            "XDG_RUNTIME_DIR": str(root / "runtime"),
            "XDG_DATA_DIRS": f"{self.prefix}/share:/usr/local/share:/usr/share",
            "XDG_CURRENT_DESKTOP": "XFCE", "GSETTINGS_BACKEND": "memory",
            "HVSESSION_LOCALEDIR": str(self.prefix / "share/locale"),
            "GTK_THEME": "Adwaita", "LC_ALL": "C.UTF-8", "LANGUAGE": "", "TZ": "UTC",
        }

    def _start_display(self):
        cookie = secrets.token_bytes(16)
        authority = self.run.path("Xauthority")
        x11.write_authority(authority, cookie)
        server = self.run.start("xvfb", ["Xvfb", "-displayfd", "1", "-screen", "0",
                                         f"{WIDTH}x{HEIGHT}x24", "-auth", authority, "-nolisten",
                                         "tcp", "-noreset"])
        number = server.wait_line(r"^(\d+)$", chain.START_TIMEOUT)[1]
        display = {"DISPLAY": f":{number}", "XAUTHORITY": authority, "GDK_BACKEND": "x11"}
        subprocess.run(["xsetroot", "-solid", chain.hex_colour(BACKGROUND)], check=True,
                       env={**os.environ, **display})
        return display

    def _start_bus(self, name, arguments):
        bus = self.run.start(name, ["dbus-daemon", "--nofork", "--nopidfile", "--print-address",
                                    *arguments])
        return bus.wait_line(r"^(unix:\S+)$", chain.START_TIMEOUT)[1]

    def _start_buses(self):
        config = pathlib.Path(self.run.path("system-bus.conf"))
        policy = self.source / "packaging/dbus/io.github.hvsession1.conf"
        config.write_text(SYSTEM_BUS.format(socket=self.run.path("system-bus"), policy=policy,
                                            user=getpass.getuser()), encoding="utf-8")
        return {"DBUS_SESSION_BUS_ADDRESS": self._start_bus("session-bus", ["--session"]),
                "DBUS_SYSTEM_BUS_ADDRESS": self._start_bus("system-bus",
                                                           [f"--config-file={config}"])}

    def chinese(self):
        """The environment of somebody who reads Chinese. Few machines have that locale: it is made."""
        locales = pathlib.Path(self.run.path("locales"))
        if not locales.exists():
            locales.mkdir()
            subprocess.run(["localedef", "-i", "zh_CN", "-f", "UTF-8", locales / "zh_CN.UTF-8"],
                           check=True)
        return {"LOCPATH": str(locales), "LC_ALL": "zh_CN.UTF-8"}

    # ---- programs ----

    def start_panel(self, dark=False):
        """A panel along the upper edge."""
        directory = self.config / "xfce4/xfconf/xfce-perchannel-xml"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "xfce4-panel.xml").write_text(PANEL, encoding="utf-8")
        return self.run.start("xfce4-panel", ["xfce4-panel", "--disable-wm-check"],
                              {"GTK_THEME": "Adwaita:dark"} if dark else {})

    def start_tray(self, *arguments, environment=None, name="hvsession-tray"):
        """hvsession-tray. Whatever GTK or GLib complains of ends it."""
        return self.run.start(name, [str(self.program), *arguments],
                              {"G_DEBUG": "fatal-warnings", **(environment or {})})
