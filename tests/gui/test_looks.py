"""How it looks: all pages in English and in Chinese, dark, and at 200 %; the menu of the icon in a
light and in a dark panel; and whether what belongs to it is well-formed. What can be asserted is:
no words are cut off, all that can be pressed has a name, and Chinese windows are Chinese. The rest
is for who looks at the pictures."""

import gettext
import re
import subprocess

import desk
import eyes
import machine
import stand_in

PAGES = ("overview", "sessions", "diagnosis")
# Names and addresses; units; what a button of the window manager says.
NOT_TRANSLATED = re.compile(
    r"^[\d\s:.×·%()/+-]*$|^(tcp|unix):|^HVS-|^(sudo|loginctl|apt-cache|Set-|Stop-|journalctl)|"
    r"^(DESK-1|LAPTOP-ANNA|Build 7|HV-HOST-2|HvSocket|[\d.]+ (bytes|[KM]iB)/秒)$|"
    r"^Hyper-V 10\.0\.26100\.1")


class Look:
    def __init__(self, run, desktop, camera, service):
        self.run, self.desktop, self.camera, self.service = run, desktop, camera, service

    def check_names(self, frame):
        """What can be pressed says what it does."""
        for node in frame.walk():
            if node.role in ("push button", "toggle button", "radio button", "check box"):
                assert node.name, f"a {node.role} without a name"

    def check_room(self, frame):
        """No words reach out of the window."""
        left, _, width, _ = frame.extents()
        for node in frame.walk():
            if node.role != "label" or not node.text:
                continue
            x, _, w, _ = node.extents()
            assert left <= x and x + w <= left + width, \
                f"{node.text!r} reaches out of the window: {x}+{w}, {left}+{width}"

    def check_translation(self, frame):
        english = [text for text in frame.texts()
                   if not re.search("[\u4e00-\u9fff]", text) and not NOT_TRANSLATED.search(text)]
        assert not english, f"not translated: {english}"

    @staticmethod
    def shown_page():
        """1 to 3; None while there are no pages."""
        frame = eyes.window()
        buttons = frame.find_all("radio button") if frame else []
        for number, button in enumerate(buttons, 1):
            if button.has_state(eyes.Atspi.StateType.CHECKED):
                return number
        return None

    def pages(self, name, environment=None, scale=1, chinese=False):
        """Pictures of all pages."""
        tray = self.desktop.start_tray(environment=environment, name=f"hvsession-tray-{name}")
        eyes.wait_for("the pages", self.shown_page, run=self.run)
        eyes.focus()
        for number, page in enumerate(PAGES, 1):
            eyes.type_keys(f"alt+{number}")
            eyes.wait_for(f"the page {page}", lambda n=number: self.shown_page() == n,
                          run=self.run)
            if page == "sessions":
                for step in range(6):
                    machine.traffic(self.service, step)
                    eyes.run_loop_for(200)
            frame = eyes.window()
            self.check_names(frame)
            self.check_room(frame)
            if chinese:
                self.check_translation(frame)
            box = tuple(value * scale for value in frame.extents())
            self.camera.take(f"{name}-{page}", box=box)
        tray.end()
        assert tray.lines == [], tray.lines
        eyes.wait_for("the window to go", lambda: not eyes.window(), run=self.run)
        self.run.step("pages", name)

    def panel(self, name, dark):
        """The icon in a panel, and its menu."""
        panel = self.desktop.start_panel(dark)
        icon = stand_in.TrayIcon()
        eyes.wait_for("a tray", icon.has_tray, run=self.run)
        tray = self.desktop.start_tray("--background", name=f"hvsession-tray-panel-{name}")
        eyes.wait_for("the icon", icon.items, run=self.run)
        eyes.wait_for("the sessions in the menu",
                      lambda: any("DESK-1" in label for label in icon.labels()), run=self.run)
        eyes.wait_for("its icon", lambda: icon.get("IconName") == "hvsession-working-symbolic",
                      run=self.run)
        x = eyes.wait_for("the icon's place", self.find_icon, run=self.run)
        eyes.click(x + 6, 14, 1 if dark else 3)
        eyes.wait_for("the menu", lambda: not self.is_bare(x - 60, 60), run=self.run)
        # And the submenu of the first session.
        eyes.click(x - 60, 74)
        eyes.wait_for("its submenu", lambda: not self.is_bare(x - 300, 74), run=self.run)
        self.camera.take(f"panel-{name}", box=(1140, 0, 460, 270))
        eyes.type_keys("Escape", "Escape")
        tray.end()
        assert tray.lines == [], tray.lines
        panel.end()
        self.run.step("panel", name)

    @staticmethod
    def find_icon():
        """How far from the left the panel shows something behind its task list; or None. What other
        programs draw into a panel is not in its accessible tree."""
        start = 800
        root = eyes.Gdk.get_default_root_window()
        strip = eyes.Gdk.pixbuf_get_from_window(root, start, 14, desk.WIDTH - start, 1)
        pixels, step = strip.get_pixels(), strip.get_n_channels()
        for x in range(strip.get_width()):
            pixel = pixels[x * step:x * step + 3]
            if sum(abs(a - b) for a, b in zip(pixel, pixels[:3])) > 150:
                return start + x
        return None

    @staticmethod
    def is_bare(x, y):
        """Nothing is there on the screen."""
        root = eyes.Gdk.get_default_root_window()
        pixel = eyes.Gdk.pixbuf_get_from_window(root, x, y, 1, 1).get_pixels()[:3]
        return tuple(pixel) == desk.BACKGROUND


def check_icons(run, desktop, camera):
    """The four, side by side: at the size of a panel and large, on light and on dark."""
    gi_pixbuf = eyes.GdkPixbuf.Pixbuf
    states = ("working", "ready", "problem", "unavailable")
    theme = eyes.Gtk.IconTheme.get_default()
    sheet = gi_pixbuf.new(eyes.GdkPixbuf.Colorspace.RGB, False, 8, 4 * 96, 2 * 96)
    shapes = set()
    for row, (background, colour) in enumerate((("#ffffff", "#2e3436"), ("#2e3436", "#eeeeec"))):
        for column, state in enumerate(states):
            name = f"hvsession-{state}-symbolic"
            assert theme.has_icon(name), name
            plain = eyes.Gdk.RGBA()
            plain.parse(colour)
            ground = eyes.Gdk.RGBA()
            ground.parse(background)
            tile = sheet.new_subpixbuf(column * 96, row * 96, 96, 96)
            tile.fill(int(ground.red * 255) << 24 | int(ground.green * 255) << 16
                      | int(ground.blue * 255) << 8 | 255)
            for size, x in ((16, 8), (48, 36)):
                picture, symbolic = theme.lookup_icon(name, size, 0).load_symbolic(
                    plain, None, None, None)
                assert symbolic
                picture.composite(tile, x, 48 - size // 2, size, size, x, 48 - size // 2, 1, 1,
                                  eyes.GdkPixbuf.InterpType.BILINEAR, 255)
                if size == 16 and row == 0:
                    shapes.add(picture.get_pixels())
    assert len(shapes) == 4, "two icons look the same"
    sheet.savev(str(camera.directory / "icons.png"), "png", [], [])
    run.step("icons", "four shapes")


def check_files(run, desktop):
    """What other programs read: desktop entries, AppStream, translations."""
    share = desktop.prefix / "share"
    autostart = desktop.prefix / "etc/xdg/autostart/io.github.hvsession.Tray.desktop"
    for entry in (share / "applications/io.github.hvsession.Tray.desktop", autostart):
        done = subprocess.run(["desktop-file-validate", entry], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout
    done = subprocess.run(
        ["appstreamcli", "validate", "--no-net",
         share / "metainfo/io.github.hvsession.Tray.metainfo.xml"], text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "hvsession-tray --background" in autostart.read_text(encoding="utf-8")

    with open(share / "locale/zh_CN/LC_MESSAGES/hvsession.mo", "rb") as file:
        catalog = gettext.GNUTranslations(file)
    template = (desktop.source / "gui/po/hvsession.pot").read_text(encoding="utf-8")
    missing = [words for words in messages(template) if not catalog.gettext(words)
               or catalog.gettext(words) == words and not NOT_TRANSLATED.search(words)
               and words not in UNCHANGED]
    assert not missing, f"not translated: {missing}"
    # What the service says may grow faster than its translation: then it is shown in English.
    table = (desktop.build / "gui/words-table.h").read_text(encoding="utf-8")
    words = [unescape(line) for line in re.findall(r'N_\("((?:[^"\\]|\\.)*)"\)', table)]
    known = [line for line in words if catalog.gettext(line) != line]
    assert len(known) >= 0.9 * len(words) > 100, sorted(set(words) - set(known))
    run.step("files", f"desktop entries, AppStream, {len(known)} of {len(words)} sentences of the "
             "service in Chinese")


# The same in Chinese.
UNCHANGED = {"Hyper-V", "Hyper-V %s", "HvSocket", "%H:%M", "%s (%u)", "%u × %u"}


def unescape(text):
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def messages(template):
    """The msgids of a .pot without plurals, the header left out."""
    found = re.findall(r'^msgid ((?:"(?:[^"\\]|\\.)*"\n)+)msgstr', template, re.M)
    return [words for words in
            (unescape("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', block))) for block in found)
            if words]


def test(run, desktop, screenshots):
    camera = eyes.Camera(screenshots)
    notifications = stand_in.Notifications()
    eyes.wait_window_manager(run)
    check_files(run, desktop)
    check_icons(run, desktop, camera)
    service = machine.busy()
    look = Look(run, desktop, camera, service)
    look.pages("english")
    look.pages("chinese", desktop.chinese(), chinese=True)
    look.pages("dark", {"GTK_THEME": "Adwaita:dark"})
    look.pages("double", {"GDK_SCALE": "2"}, scale=2)
    look.pages("chinese-double", {"GDK_SCALE": "2", **desktop.chinese()}, scale=2, chinese=True)
    look.panel("light", False)
    look.panel("dark", True)
    assert notifications.shown == [], notifications.shown
    service.close()
