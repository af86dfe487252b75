"""How it lives: without a tray the window is all there is; it opens at once, does nothing while
nothing happens, is used by keyboard alone, and does not grow."""

import os
import pathlib
import subprocess
import time

import chain
import eyes
import machine
import stand_in

# Of the service, from the start to a window that shows everything: the properties of the Manager,
# and all sessions. Whatever else is asked takes its time on a slow machine.
QUESTIONS = ["org.freedesktop.DBus.ObjectManager.GetManagedObjects",
             "org.freedesktop.DBus.Properties.GetAll"]
# What is looked at for that long has come to rest. Seconds.
REST = 3
# Rounds of two states each.
ROUNDS = 500
# After as many, all that is allocated once is there.
WARM = 400
# KiB. One row of a list that each round leaves behind makes more than 2000; what is allocated once,
# and late, up to 700.
GROWTH_MAX = 1536


def is_on_screen():
    """The window is there to be seen. Fails if a window goes while it looks at all there are."""
    done = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "^Enhanced Session$"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0 and bool(done.stdout)


def switches(pid):
    """How often each of its threads was switched to, by their ids. Threads may end meanwhile."""
    counts = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            lines = (task / "status").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            continue
        counts[task.name] = sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return counts


def memory_at_rest(pid):
    """The least of some looks, in KiB: what is being drawn takes memory for a moment."""
    samples = []
    for _ in range(5):
        eyes.run_loop_for(200)
        samples.append(memory(pid))
    return min(samples)


def memory(pid):
    """What it has of its own, in KiB."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise chain.Failed("no memory in smaps_rollup")


class Life:
    def __init__(self, run, desktop, screenshots):
        self.run, self.desktop = run, desktop
        self.camera = eyes.Camera(screenshots)
        self.notifications = stand_in.Notifications()
        self.icon = stand_in.TrayIcon()
        self.service = stand_in.Service(**machine.ready())
        eyes.wait_window_manager(run)

    def end(self, tray, others=False):
        """others: the program still runs elsewhere."""
        assert tray.wait_end(chain.END_TIMEOUT) == 0, tray.status
        assert tray.lines == [], tray.lines
        if not others:
            eyes.wait_for("its end on the bus", lambda: not eyes.application(), run=self.run)

    # ---- without a tray ----

    def window_only(self):
        """Closing the window ends it; and where it was started in the background, does not."""
        tray = self.desktop.start_tray(name="window-only")
        eyes.wait_shows("^Ready$", self.run)
        eyes.focus()
        eyes.type_keys("ctrl+w")
        self.end(tray)

        tray = self.desktop.start_tray("--background", name="background")
        eyes.wait_for("the program", eyes.application, run=self.run)
        assert not eyes.window()
        # Somebody starts it from the menu of the desktop.
        self.end(self.desktop.start_tray(name="second"), others=True)
        eyes.wait_shows("^Ready$", self.run)
        eyes.focus()
        eyes.type_keys("ctrl+w")
        eyes.wait_for("no window", lambda: not eyes.window(), run=self.run)
        self.end(self.desktop.start_tray(name="third"), others=True)
        eyes.wait_shows("^Ready$", self.run)
        eyes.focus()
        eyes.type_keys("ctrl+q")
        self.end(tray)
        self.run.step("no tray", "the window alone is complete")

    # ---- opening ----

    def opening(self):
        eyes.wait_for("no window", lambda: not is_on_screen())
        self.service.reads.clear()
        start = time.monotonic()
        tray = self.desktop.start_tray(name="opening")
        while not is_on_screen():
            assert time.monotonic() - start < eyes.TIMEOUT, "no window"
            # The service answers meanwhile.
            while eyes.GLib.MainContext.default().iteration(False):
                pass
        opened = time.monotonic() - start
        eyes.wait_shows("^Ready$", self.run)
        assert sorted(self.service.reads) == QUESTIONS, self.service.reads
        eyes.focus()
        eyes.type_keys("ctrl+q")
        self.end(tray)
        self.run.step("opening", f"window after {opened * 1000:.0f} ms, "
                      f"{len(QUESTIONS)} questions to the service")

    # ---- by keyboard ----

    def keyboard(self):
        tray = self.desktop.start_tray(name="keyboard")
        self.service.change(State="active", Summary="Enhanced Session is in use", SessionCount=1)
        self.service.add(1, **machine.session("DESK-1", 5))
        eyes.wait_shows("^Working: 1 session$", self.run)
        eyes.focus()
        # The button of the page: by its underlined letter.
        eyes.type_keys("alt+3")
        eyes.wait_find("push button", "^Check Again$", self.run)
        self.service.on_diagnose = self.service.held.append
        eyes.type_keys("alt+g")
        eyes.wait_for("the question", lambda: self.service.held, run=self.run)
        eyes.wait_for("the button to rest", lambda: not eyes.find(
            "push button", "^Check Again$").has_state(eyes.Atspi.StateType.SENSITIVE),
            run=self.run)
        self.service.held.pop().return_value(None)
        self.service.on_diagnose = None
        eyes.wait_for("the button to come back", lambda: eyes.find(
            "push button", "^Check Again$").has_state(eyes.Atspi.StateType.SENSITIVE),
            run=self.run)
        eyes.type_keys("F5")
        eyes.wait_for("the next question", lambda: self.service.calls == [("Diagnose",)] * 2,
                      run=self.run)
        # The focus goes everywhere.
        eyes.type_keys("alt+2")
        eyes.wait_find("push button", "^Disconnect$", self.run)
        for _ in range(30):
            before = eyes.focused()
            if before and before[:2] == ("push button", "Disconnect"):
                break
            eyes.type_keys("Tab")
            eyes.wait_for("the focus to move on", lambda b=before: eyes.focused() not in (b, None),
                          run=self.run)
        else:
            raise chain.Failed("Tab does not reach the button")
        eyes.type_keys("space")
        eyes.wait_for("the end", lambda: self.service.calls[-1] == ("Disconnect", 1), run=self.run)
        eyes.wait_find("list item", "^DESK-1: ..:.., An administrator ended the session$", self.run)
        # The menu.
        eyes.type_keys("F10")
        eyes.wait_find("push button", "^About Enhanced Session$", self.run)
        eyes.run_loop_for(300)
        self.camera.take("menu", eyes.window())
        eyes.type_keys("Escape")
        self.service.change(State="ready", SessionCount=0,
                            Summary="Ready for Enhanced Session, nobody is connected")
        self.service.remove(1)
        eyes.type_keys("ctrl+q")
        self.end(tray)
        self.run.step("keyboard", "pages, letters, Tab and the menu")

    # ---- another service ----

    def handover(self):
        """The name goes from one service to the next without being free in between: nothing of the
        first one is left."""
        tray = self.desktop.start_tray(name="handover")
        eyes.wait_shows("^Ready$", self.run)
        self.service.change(State="active", Summary="Enhanced Session is in use", SessionCount=1)
        self.service.add(1, **machine.session("OLD_PC", 5))
        eyes.wait_shows("^Working: 1 session$", self.run)
        first = self.service
        self.service = stand_in.Service(**machine.ready(HostVersion="2.0"))
        eyes.wait_find("list item", "^Enhanced Session: Supported, protocol version 2.0$",
                       self.run)
        eyes.wait_shows("^Ready$", self.run)
        assert not eyes.window().find("list item", "OLD_PC", showing=False)
        first.close()
        eyes.focus()
        eyes.type_keys("ctrl+q")
        self.end(tray)
        self.run.step("handover", "from one service to the next")

    # ---- at rest ----

    def rest(self):
        self.desktop.start_panel()
        eyes.wait_for("a tray", self.icon.has_tray, run=self.run)
        tray = self.desktop.start_tray(name="rest")
        eyes.wait_for("the icon", self.icon.items, run=self.run)
        eyes.wait_shows("^Ready$", self.run)
        pid = tray.popen.pid
        seen = self.count(pid)
        eyes.focus()
        eyes.type_keys("ctrl+w")
        eyes.wait_for("no window", lambda: not eyes.window(), run=self.run)
        hidden = self.count(pid)
        # It is counted rightly: what moves is seen.
        self.icon.choose("Open Status")
        eyes.wait_window(self.run)
        eyes.focus()
        self.service.change(State="active", SessionCount=1)
        self.service.add(2, **machine.session("DESK_1", 5))
        eyes.type_keys("alt+2")
        eyes.wait_find("list item", "^DESK_1$", self.run)
        # An underscore of a name is no mnemonic.
        eyes.wait_for("its name in the menu", lambda: any(
            label.startswith("DESK_1, since ") for label in self.icon.labels()), run=self.run)
        moving = self.count(pid, settled=False)
        self.service.remove(2)
        self.service.change(State="ready", SessionCount=0)
        assert hidden == 0, f"{hidden} times awake in {REST} s, hidden"
        assert seen == 0, f"{seen} times awake in {REST} s, at rest"
        assert moving > 0, "a clock that does not go"
        self.run.step("rest", f"awake {hidden} times in {REST} s while hidden, {seen} while shown, "
                      f"{moving} while a session is shown")
        self.icon.choose("Quit")
        self.end(tray)

    @staticmethod
    def count(pid, settled=True):
        """Switches in REST seconds, in which nothing of the test asks it anything. settled: it may
        take its time until it has come to rest."""
        deadline = time.monotonic() + eyes.TIMEOUT / 2
        while True:
            before = switches(pid)
            eyes.run_loop_for(REST * 1000)
            count = sum(times - before.get(task, 0) for task, times in switches(pid).items())
            if count == 0 or not settled or time.monotonic() > deadline:
                return count

    # ---- for long ----

    def change_much(self, count, start):
        """Everything that can change, over and over; waits every now and then."""
        findings = ([], [machine.CONSOLE_LOGIN, machine.NO_SOUND], [machine.SERVER_MISSING])
        for number in range(start, start + count):
            session = 10 + number
            self.service.change(
                State="active", Summary="Enhanced Session is in use", SessionCount=1,
                Findings=findings[number % 3], Verdict=("fine", "degraded", "degraded")[number % 3],
                Channels=machine.channels(number % 6))
            self.service.add(session, **machine.session(f"PC-{number}", 1))
            self.service.sessions[session].change(RateToHost=1000 * number, RateToServer=number)
            self.service.end(session, "host-rescinded", "the user closed the window")
            self.service.change(State="problem", Problem="the host refused version 1.0 of the "
                                "protocol", SessionCount=0)
            if session - 6 in self.service.sessions:
                self.service.remove(session - 6)
            if number % 20 == 19:
                self.service.change(State="ready", Findings=[], Verdict="fine")
                wanted = f"PC-{number} has disconnected"
                eyes.wait_for(wanted, lambda w=wanted: w in (
                    title for title, _ in self.notifications.shown[-60:]), run=self.run)

    def long_life(self):
        """With window and icon, and nobody who reads the screen aloud: what GTK keeps for those grows
        for longer than this test goes on."""
        tray = self.desktop.start_tray(name="long-life", environment={
            "NO_AT_BRIDGE": "1", "MALLOC_ARENA_MAX": "1"})
        eyes.wait_for("the window", is_on_screen, run=self.run)
        eyes.wait_for("the icon", lambda: self.icon.items() and
                      self.icon.get("IconName") == "hvsession-ready-symbolic", run=self.run)
        pid = tray.popen.pid
        self.change_much(WARM, 0)
        before = memory_at_rest(pid)
        self.change_much(ROUNDS, WARM)
        grown = memory_at_rest(pid) - before
        assert grown < GROWTH_MAX, f"{grown} KiB more after {2 * ROUNDS} changes of the state"
        self.icon.choose("Quit")
        self.end(tray)
        self.run.step("long life", f"{before} KiB, {grown:+} KiB after {2 * ROUNDS} changes of the "
                      "state")


def test(run, desktop, screenshots):
    assert os.environ["DISPLAY"]
    life = Life(run, desktop, screenshots)
    life.window_only()
    life.opening()
    life.keyboard()
    life.handover()
    life.rest()
    life.long_life()
