"""What a person at the desktop sees and does: reads the accessible tree, as a screen reader does,
takes pictures, types, clicks, and looks at the clipboard. Needs the desktop (desk.py) to be there.
"""

import pathlib
import re
import subprocess
import time

import gi

gi.require_version("Atspi", "2.0")
gi.require_version("Gdk", "3.0")
gi.require_version("GdkX11", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Atspi, Gdk, GdkPixbuf, GdkX11, GLib, Gtk  # noqa: E402

import chain  # noqa: E402

# Generous: a loaded machine is not a failure. Seconds.
TIMEOUT = 30
# What is not there must stay away for that long. Seconds.
QUIET = 0.5


def run_loop_for(milliseconds):
    """Runs the main loop for a while: only to let things happen that must not."""
    loop = GLib.MainLoop()
    GLib.timeout_add(milliseconds, loop.quit)
    loop.run()


def wait_for(what, condition, timeout=TIMEOUT, run=None):
    """The condition's value once it is true; it is asked again and again, as the main loop runs."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = condition()
        except GLib.Error:
            value = None  # what was looked at has gone meanwhile
        if value:
            return value
        if run is not None:
            run.check()
        if time.monotonic() > deadline:
            raise chain.Failed(f"not within {timeout} s: {what}")
        loop = GLib.MainLoop()
        GLib.timeout_add(20, loop.quit)
        loop.run()


def wait_window_manager(run):
    """A window that is opened while the window manager starts is a case of its own."""
    screen = Gdk.Screen.get_default()
    wait_for("a window manager",
             lambda: GdkX11.X11Screen.get_window_manager_name(screen) != "unknown", run=run)


class Node:
    """An object of the accessible tree."""

    def __init__(self, accessible):
        self.accessible = accessible

    @property
    def name(self):
        return self.accessible.get_name() or ""

    @property
    def role(self):
        name = self.accessible.get_role_name()
        # As it was called before at-spi2 2.54.
        return "push button" if name == "button" else name

    @property
    def text(self):
        """Of a label; else its name."""
        if "Text" in self.accessible.get_interfaces():
            return Atspi.Text.get_text(self.accessible, 0, -1)
        return self.name

    def has_state(self, state):
        return self.accessible.get_state_set().contains(state)

    @property
    def showing(self):
        return self.has_state(Atspi.StateType.SHOWING)

    def children(self):
        for index in range(self.accessible.get_child_count()):
            child = self.accessible.get_child_at_index(index)
            if child is not None:
                yield Node(child)

    def walk(self, showing=True):
        """All below that a person can see; or all."""
        for child in self.children():
            if showing and not child.showing:
                continue
            yield child
            yield from child.walk(showing)

    def find(self, role, name, showing=True):
        """The first below of that role whose name, or text, the pattern matches; or None."""
        for node in self.walk(showing):
            if node.role == role and re.search(name, node.name or node.text):
                return node
        return None

    def find_all(self, role, name="", showing=True):
        return [node for node in self.walk(showing)
                if node.role == role and re.search(name, node.name or node.text)]

    def texts(self):
        """All words that are to be seen."""
        return [node.text for node in self.walk() if node.role == "label" and node.text]

    def act(self):
        """Its first action: what a click does."""
        Atspi.Action.do_action(self.accessible, 0)

    def extents(self):
        box = Atspi.Component.get_extents(self.accessible, Atspi.CoordType.SCREEN)
        return box.x, box.y, box.width, box.height

    def print_tree(self, depth=0):
        for node in self.children():
            print("  " * depth + f"{node.role}: {node.name!r} {node.text!r} "
                  f"{'' if node.showing else '(hidden)'}")
            node.print_tree(depth + 1)


def desktop():
    # What is cached may be older than what is seen.
    root = Atspi.get_desktop(0)
    root.clear_cache()
    return Node(root)


def application():
    """hvsession-tray in the accessible tree; or None."""
    for node in desktop().children():
        if node.name in ("hvsession-tray", "Enhanced Session", "增强会话"):
            node.accessible.clear_cache()
            return node
    return None


def window(pattern="."):
    """Its window; or None."""
    program = application()
    if program is None:
        return None
    for node in program.children():
        if node.role in ("frame", "dialog") and node.showing and re.search(pattern, node.name):
            return node
    return None


def wait_window(run):
    return wait_for("a window", window, run=run)


def find(role, name):
    """In the window, now."""
    frame = window()
    return frame.find(role, name) if frame else None


def wait_find(role, name, run=None):
    return wait_for(f"{role} {name!r}", lambda: find(role, name), run=run)


def focused():
    """What of the window has the keyboard: its role, name and place; or None."""
    frame = window()
    for node in frame.walk() if frame else ():
        if node.has_state(Atspi.StateType.FOCUSED):
            return node.role, node.name, node.extents()
    return None


def shows(pattern):
    """A label of the window has such a text."""
    frame = window()
    return frame is not None and any(re.search(pattern, text) for text in frame.texts())


def wait_shows(pattern, run=None):
    try:
        wait_for(f"{pattern!r} in the window", lambda: shows(pattern), run=run)
    except chain.Failed as error:
        frame = window()
        raise chain.Failed(f"{error}; it shows {frame.texts() if frame else 'nothing'}") from None


def wait_hides(pattern, run=None):
    wait_for(f"no {pattern!r} in the window", lambda: window() and not shows(pattern), run=run)


def focus(pattern="^(Enhanced Session|增强会话)$"):
    """Gives a window the keyboard, as a click on it does."""
    def is_active():
        if window() and window().has_state(Atspi.StateType.ACTIVE):
            return True
        # Fails if a window goes while it looks at all there are.
        subprocess.run(["xdotool", "search", "--onlyvisible", "--name", pattern, "windowactivate"],
                       check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return False

    wait_for("the window to be active", is_active)


def type_keys(*keys):
    """Typed on the keyboard, as xdotool names keys."""
    subprocess.run(["xdotool", "key", "--clearmodifiers", *keys], check=True)


def click(x, y, button=1):
    subprocess.run(["xdotool", "mousemove", str(x), str(y), "click", str(button)], check=True)


def clipboard():
    """The text of the clipboard."""
    return Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text()


class Camera:
    """Takes pictures of the screen or a window."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def take(self, name, node=None, box=None):
        """A picture of the node, of a part of the screen, or of all."""
        root = Gdk.get_default_root_window()
        # What is drawn meanwhile is seen, too.
        run_loop_for(250)
        if node is not None:
            box = node.extents()
        x, y, width, height = box or (0, 0, root.get_width(), root.get_height())
        x, y = max(x, 0), max(y, 0)
        width, height = min(width, root.get_width() - x), min(height, root.get_height() - y)
        picture = Gdk.pixbuf_get_from_window(root, x, y, width, height)
        path = self.directory / f"{name}.png"
        picture.savev(str(path), "png", [], [])
        return picture
