"""Not available, ready, two sessions, a problem and ready again, with the real service on the
simulated host: the window, the icon, the menu and the notifications at each, and what a person
does there. The service is killed and started again under the open window."""

import chain
import eyes
import stand_in
from guest import Guest, Session


class Story:
    def __init__(self, run, desktop, screenshots):
        self.run = run
        self.camera = eyes.Camera(screenshots)
        self.notifications = stand_in.Notifications()
        self.polkit = stand_in.Polkit()
        self.icon = stand_in.TrayIcon()
        self.guest = Guest(run, desktop.build)
        eyes.wait_window_manager(run)
        desktop.start_panel()
        eyes.wait_for("a tray", self.icon.has_tray, run=run)
        self.tray = desktop.start_tray()
        eyes.wait_window(run)
        eyes.focus()
        eyes.wait_for("the icon in the tray", self.icon.items, run=run)

    def expect(self, title, sentence, icon):
        """What is to be seen at a glance."""
        eyes.wait_shows(f"^{title}$", self.run)
        eyes.wait_shows(f"^{sentence}", self.run)
        eyes.wait_for(f"the icon {icon}", lambda: self.icon.get("IconName") == icon, run=self.run)
        eyes.wait_for(f"{title} in the menu", lambda: self.icon.labels()[0] == title, run=self.run)
        assert title in self.icon.get("Title"), self.icon.get("Title")
        mark = eyes.find("icon", f"^{title}$")
        assert mark, "the sign of the state has no name"

    def picture(self, name):
        self.camera.take(f"states-{name}", eyes.window())

    def page(self, number, title):
        """By the keyboard."""
        eyes.type_keys(f"alt+{number}")
        eyes.wait_for(f"the page {title}", lambda: eyes.find("radio button", f"^{title}")
                      and eyes.find("radio button", f"^{title}").has_state(
                          eyes.Atspi.StateType.CHECKED), run=self.run)

    def press(self, role, name):
        eyes.wait_find(role, name, self.run).act()

    def told(self, pattern):
        return [title for title, body in self.notifications.shown if pattern in f"{title} {body}"]

    # ---- the chapters ----

    def service_absent(self):
        self.expect("Not available", "The hvsession service is not running",
                    "hvsession-unavailable-symbolic")
        self.picture("1-service-absent")
        button = eyes.wait_find("push button", "^Copy this command$", self.run)
        button.act()
        eyes.wait_for("the command in the clipboard",
                      lambda: eyes.clipboard() == "sudo systemctl start hvsessiond.service")
        eyes.wait_find("push button", "^Copied$", self.run)
        self.run.step("state", "no service: what to do, copied")

    def not_offered(self):
        self.guest.start_service()
        self.expect("Not available", "The host does not offer Enhanced Session",
                    "hvsession-unavailable-symbolic")
        eyes.wait_find("list item", "^Enhanced Session: Not offered by the host$", self.run)
        eyes.wait_find("list item", "^Virtual machine: Build 7$", self.run)
        eyes.wait_find("list item", "^Control channel: Not offered$", self.run)
        self.picture("2-not-offered")
        self.press("push button", "^What to Do$")
        eyes.wait_shows("^HVS-202$", self.run)
        self.picture("3-not-offered-diagnosis")
        self.page(1, "Overview")
        self.run.step("state", "not offered: named, and explained")

    def ready(self):
        self.guest.set_offered(True)
        self.expect("Ready", "Ready for Enhanced Session, nobody is connected",
                    "hvsession-ready-symbolic")
        eyes.wait_find("list item", "^Enhanced Session: Supported, protocol version 1.0$", self.run)
        eyes.wait_find("list item", "^Control channel: Open since ..:..$", self.run)
        eyes.wait_find("list item", "^Data channel 5: Not offered$", self.run)
        eyes.wait_find("list item", "^State: Reachable$", self.run)
        assert not eyes.find("push button", "^What to Do$")
        self.picture("4-ready")
        self.page(2, "Sessions")
        eyes.wait_shows("^No sessions$", self.run)
        self.picture("5-no-sessions")
        assert not self.told("connected"), self.notifications.shown
        self.run.step("state", "ready, no sessions")

    def two_sessions(self):
        self.first = Session(self.guest, "DESK-1")
        self.second = Session(self.guest, "LAPTOP-ANNA", 2560, 1440, ("cliprdr",))
        self.expect("Working: 2 sessions", "Enhanced Session is in use",
                    "hvsession-working-symbolic")
        self.first.show(40)
        for name, screen in (("DESK-1", "1920 × 1080, 24 bit"),
                             ("LAPTOP-ANNA", "2560 × 1440, 24 bit")):
            row = eyes.wait_find("list item", f"^{name}$", self.run)
            eyes.wait_for(f"the screen of {name}",
                          lambda: any(screen in text for text in row.texts()), run=self.run)
            eyes.wait_for(f"the notification of {name}",
                          lambda: self.told(f"{name} has connected"), run=self.run)
        # What each of them has, as a screen reader says it.
        marks = [[node.name for node in eyes.find("list item", name).walk()
                  if node.role == "icon"] for name in ("^DESK-1$", "^LAPTOP-ANNA$")]
        assert marks == [["With", "With", "With"], ["With", "Without", "Without"]], marks
        graph = eyes.find("list item", "^DESK-1$").find("chart", "Rate in the last minute")
        eyes.wait_for("a rate in the graph",
                      lambda: "MiB/s" in (graph.accessible.get_description() or ""), run=self.run)
        assert [label for label in self.icon.labels() if ", since " in label] and \
            self.icon.labels()[2].startswith("DESK-1, since "), self.icon.labels()
        self.picture("6-two-sessions")
        self.camera.take("states-7-panel", box=(0, 0, 1600, 200))
        self.run.step("state", "two sessions: names, screens, abilities, rates")

    def disconnected(self):
        # Without permission nothing happens, and the window says so.
        self.polkit.allows = False
        row = eyes.find("list item", "^DESK-1$")
        row.find("push button", "^Disconnect$").act()
        eyes.wait_shows("You are not allowed to do this", self.run)
        self.picture("8-not-allowed")
        eyes.find("info bar", "").find("push button", "^Close$").act()
        eyes.wait_hides("You are not allowed", self.run)
        self.polkit.allows = True
        eyes.find("list item", "^DESK-1$").find("push button", "^Disconnect$").act()
        eyes.wait_for("the end of the first", self.first.has_ended, run=self.run)
        eyes.wait_find("list item", "^DESK-1: ..:.., An administrator ended the session$", self.run)
        eyes.wait_for("the notification",
                      lambda: self.told("DESK-1 has disconnected An administrator ended"),
                      run=self.run)
        assert set(self.polkit.asked) == {"io.github.hvsession1.disconnect"}, self.polkit.asked
        self.expect("Working: 1 session", "Enhanced Session is in use",
                    "hvsession-working-symbolic")
        # The other one from the menu of the icon.
        self.icon.choose("LAPTOP-ANNA", "Disconnect")
        eyes.wait_for("the end of the second", self.second.has_ended, run=self.run)
        self.expect("Ready", "Ready for Enhanced Session", "hvsession-ready-symbolic")
        self.picture("9-sessions-ended")
        self.run.step("action", "disconnected, from the window and from the menu")

    def problem(self):
        self.page(1, "Overview")
        self.guest.set_server(False)
        # Nobody tells the service that the server has gone: somebody asks.
        self.icon.choose("Run Diagnosis")
        self.expect("Problem", "No RDP server listens on tcp:127.0.0.1:",
                    "hvsession-problem-symbolic")
        eyes.wait_shows("^HVS-301$", self.run)
        eyes.wait_find("radio button", r"^Diagnosis \(1\)$", self.run)
        eyes.wait_find("list item", "^Error: No RDP server listens on", self.run)
        eyes.wait_for("the notification", lambda: self.told("Enhanced Session has a problem"),
                      run=self.run)
        self.picture("10-problem")
        finding = eyes.find("list item", "^Error: No RDP server")
        button = finding.find("push button", "^Copy this command$")
        command = button.accessible.get_description()
        button.act()
        eyes.wait_for("the fix in the clipboard",
                      lambda: eyes.clipboard() == command == "sudo apt install xrdp xorgxrdp")
        self.run.step("state", "a problem: found, told, its fix copied")

    def mended(self):
        self.guest.set_server(True)
        self.press("push button", "^Check Again$")
        self.expect("Ready", "Ready for Enhanced Session", "hvsession-ready-symbolic")
        eyes.wait_hides("^HVS-301$", self.run)
        self.picture("11-mended")
        self.run.step("action", "checked again: ready")

    def killed(self):
        session = Session(self.guest, "DESK-2")
        self.expect("Working: 1 session", "Enhanced Session is in use",
                    "hvsession-working-symbolic")
        eyes.wait_for("the notification", lambda: self.told("DESK-2 has connected"), run=self.run)
        self.guest.kill_service()
        self.expect("Not available", "The hvsession service is not running",
                    "hvsession-unavailable-symbolic")
        session.close()
        shown = len(self.notifications.shown)
        self.guest.start_service()
        self.expect("Ready", "Ready for Enhanced Session", "hvsession-ready-symbolic")
        assert len(self.notifications.shown) == shown, self.notifications.shown[shown:]
        self.run.step("service", "killed and started again under the open window")

    def silenced(self):
        self.icon.choose("Show Notifications")
        shown = len(self.notifications.shown)
        session = Session(self.guest, "QUIET")
        self.expect("Working: 1 session", "Enhanced Session is in use",
                    "hvsession-working-symbolic")
        session.close()
        self.expect("Ready", "Ready for Enhanced Session", "hvsession-ready-symbolic")
        assert len(self.notifications.shown) == shown, self.notifications.shown[shown:]
        self.run.step("setting", "no notifications")

    def quit(self):
        # Closing the window leaves the icon; the menu opens it again, and so does a notification.
        eyes.type_keys("ctrl+w")
        eyes.wait_for("no window", lambda: not eyes.window(), run=self.run)
        self.icon.choose("Open Status")
        eyes.wait_window(self.run)
        eyes.focus()
        eyes.type_keys("ctrl+w")
        eyes.wait_for("no window", lambda: not eyes.window(), run=self.run)
        self.icon.choose("Show Notifications")
        self.notifications.clicks = True
        session = Session(self.guest, "DESK-3")
        eyes.wait_find("list item", "^DESK-3$", self.run)
        session.close()
        eyes.focus()
        eyes.type_keys("ctrl+w")
        eyes.wait_for("no window", lambda: not eyes.window(), run=self.run)
        self.icon.choose("About")
        eyes.wait_for("the dialog", lambda: eyes.window("About"), run=self.run)
        self.camera.take("states-12-about", eyes.window("About"))
        self.icon.choose("Quit")
        status = self.tray.wait_end(chain.END_TIMEOUT)
        assert status == 0, status
        assert self.tray.lines == [], self.tray.lines
        self.run.step("end", "quit, nothing on the console")


def test(run, desktop, screenshots):
    story = Story(run, desktop, screenshots)
    story.service_absent()
    story.not_offered()
    story.ready()
    story.two_sessions()
    story.disconnected()
    story.problem()
    story.mended()
    story.killed()
    story.silenced()
    story.quit()
