#!/usr/bin/env python3
"""hvsession setup on trees made of files, with a systemctl of the test's own.

    HVSESSION=build/dev/linux/hvsession tests/setup/test_setup.py

What counts is the tree: set up and taken back, it is as it was, every file, link, mode and owner,
wherever setup was killed in between.
"""

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
HVSESSION = os.path.abspath(os.environ["HVSESSION"])
STATE = "var/lib/hvsession/setup.state"
DROP_IN = "etc/systemd/system/hvsession-xrdp.service.d/setup.conf"
COLORD = "etc/polkit-1/rules.d/45-hvsession-colord.rules"
POOL = "var/lib/hyperv/.kvp_pool_1"
UNITS = {
    "hvsessiond.service": "[Install]\nWantedBy=multi-user.target\n"
                          "WantedBy=hvsession-offered.target\n",
    "hvsession-bind.service": "[Service]\nType=oneshot\n",
    "hvsession-xrdp.service": "[Install]\nWantedBy=multi-user.target\n",
    "xrdp.service": "[Service]\nType=forking\nUser=xrdp\n[Install]\nWantedBy=multi-user.target\n",
    "xrdp-sesman.service": "[Install]\nWantedBy=multi-user.target\n",
}


class Tree:
    """A Debian guest, so far as setup looks at it."""

    def __init__(self, directory):
        self.directory = directory
        for unit, text in UNITS.items():
            self.write("usr/lib/systemd/system/" + unit, text)
        self.write("usr/sbin/xrdp", "")
        self.write("usr/bin/apt", "")
        self.write("etc/group", f"root:x:0:\nhvsession:x:{self.other_group()}:\n")
        self.write(POOL, "")
        os.chmod(self.path(POOL), 0o604)
        for name in ("run/systemd/system", "run/active", "etc/polkit-1/rules.d",
                     "etc/systemd/system/multi-user.target.wants"):
            os.makedirs(self.path(name))
        os.symlink("/usr/lib/systemd/system/cron.service",
                   self.path("etc/systemd/system/multi-user.target.wants/cron.service"))

    @staticmethod
    def other_group():
        """One that this process may give a file to: root any, others one of their own."""
        if os.geteuid() == 0:
            return 4711
        return next((group for group in os.getgroups() if group != os.getgid()), os.getgid())

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def has(self, name):
        return os.path.lexists(self.path(name))

    def is_active(self, unit):
        return self.has("run/active/" + unit)

    def is_enabled(self, unit):
        return self.has("etc/systemd/system/multi-user.target.wants/" + unit)

    def look(self):
        """{path: (mode, owner, group, content)} of all that is there."""
        found = {}
        for place, directories, files in os.walk(self.directory):
            for path in (os.path.join(place, name) for name in directories + files):
                status = os.lstat(path)
                content = None
                if stat.S_ISLNK(status.st_mode):
                    content = os.readlink(path)
                elif stat.S_ISREG(status.st_mode):
                    with open(path, "rb") as file:
                        content = hashlib.sha256(file.read()).hexdigest()
                found[os.path.relpath(path, self.directory)] = \
                    (status.st_mode, status.st_uid, status.st_gid, content)
        return found


class SetupTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="hvsession-setup-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.bin = os.path.join(self.directory, "bin")
        os.mkdir(self.bin)
        shutil.copy(os.path.join(HERE, "systemctl"), self.bin)
        self.calls = os.path.join(self.directory, "calls")
        self.tree = self.new_tree("tree")

    def new_tree(self, name):
        path = os.path.join(self.directory, name)
        os.mkdir(path)
        return Tree(path)

    def run_setup(self, *arguments, tree=None, status=0, **environment):
        """Runs it, and returns what it prints. Whatever the umask, the result is the same."""
        with open(self.calls, "w", encoding="utf-8"):
            pass
        result = subprocess.run(
            [HVSESSION, "setup", "--root", (tree or self.tree).directory, *arguments],
            env={**os.environ, "PATH": self.bin + ":" + os.environ["PATH"], "CALLS": self.calls,
                 **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, umask=0o077, check=False)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.assertTrue(all(len(line) <= 80 or self.directory in line
                            for line in result.stdout.splitlines()), result.stdout)
        return result.stdout + result.stderr

    def calls_made(self):
        with open(self.calls, encoding="utf-8") as file:
            return file.read().splitlines()

    def numbers_that_change(self):
        """Of the calls of systemctl that do more than ask."""
        return [number for number, call in enumerate(self.calls_made(), 1)
                if not call.startswith("is-")]

    def assert_set_up(self, tree):
        for unit in ("hvsessiond.service", "hvsession-xrdp.service"):
            self.assertTrue(tree.is_enabled(unit), unit)
            self.assertTrue(tree.is_active(unit), unit)
        self.assertTrue(tree.is_active("hvsession-bind.service"))
        self.assertIn("\nUser=xrdp\n", tree.read(DROP_IN))
        self.assertEqual(stat.S_IMODE(os.stat(tree.path(DROP_IN)).st_mode), 0o644)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(tree.path(DROP_IN))).st_mode), 0o755)
        pool = os.stat(tree.path(POOL))
        self.assertEqual((stat.S_IMODE(pool.st_mode), pool.st_gid), (0o664, tree.other_group()))

    def test_set_up_and_undone_it_is_as_it_was(self):
        before = self.tree.look()
        told = self.run_setup("--colord")
        self.assert_set_up(self.tree)
        self.assertTrue(self.tree.has(COLORD))
        self.assertEqual(stat.S_IMODE(os.stat(self.tree.path(STATE)).st_mode), 0o644)
        for sentence in ("changed   hvsessiond.service starts with the machine",
                         "changed   hvsession-xrdp.service runs as the user xrdp, like your xrdp",
                         "note      xrdp.service runs along with it",
                         "sudo hvsession setup --undo"):
            self.assertIn(sentence, told)
        told = self.run_setup("--undo")
        self.assertEqual(self.tree.look(), before)
        self.assertIn("Everything is as it was before.", told)
        self.assertIn("nothing to take back", self.run_setup("--undo"))

    def test_what_was_so_before_stays_so(self):
        for unit in ("hvsessiond.service", "xrdp-sesman.service", "xrdp.service"):
            self.tree.write("run/active/" + unit, "")
        os.symlink("/usr/lib/systemd/system/hvsessiond.service",
                   self.tree.path("etc/systemd/system/multi-user.target.wants/hvsessiond.service"))
        before = self.tree.look()
        told = self.run_setup()
        self.assertIn("was so    hvsessiond.service starts with the machine", told)
        self.assertNotIn("note", told)
        # It may open the channels only if they were bound when it started.
        self.assertIn("try-restart hvsessiond.service", self.calls_made())
        self.run_setup()
        self.assertNotIn("try-restart hvsessiond.service", self.calls_made())
        self.run_setup("--undo")
        self.assertEqual(self.tree.look(), before)

    def test_dry_run_changes_nothing(self):
        before = self.tree.look()
        told = self.run_setup("--dry-run", "--colord")
        self.assertEqual(self.tree.look(), before)
        self.assertIn("to do     hvsessiond.service starts with the machine", told)
        self.assertEqual({call.split()[0] for call in self.calls_made()},
                         {"is-enabled", "is-active"})
        self.run_setup("--colord")
        before = self.tree.look()
        told = self.run_setup("--undo", "--dry-run")
        self.assertEqual(self.tree.look(), before)
        self.assertIn("to do     hvsessiond.service does not run", told)
        # What it announces is what it does.
        done = self.run_setup("--undo")
        self.assertEqual(told.replace("to do ", "undone").count("undone"), done.count("undone"))

    def test_twice_is_as_once(self):
        before = self.tree.look()
        self.run_setup()
        once = self.tree.look()
        told = self.run_setup()
        self.assertEqual(self.tree.look(), once)
        self.assertNotIn("changed ", told)
        self.run_setup("--undo")
        self.assertEqual(self.tree.look(), before)

    def test_killed_anywhere_it_can_be_undone_or_finished(self):
        self.run_setup("--colord")
        finished = {path: entry for path, entry in self.tree.look().items() if path != STATE}
        numbers = self.numbers_that_change()
        self.assertGreater(len(numbers), 6)
        for when in ("KILL_BEFORE", "KILL_AFTER"):
            for number in numbers:
                with self.subTest(when=when, number=number):
                    tree = self.new_tree(f"{when}-{number}")
                    before = tree.look()
                    self.run_setup("--colord", tree=tree, status=-signal.SIGKILL,
                                   **{when: str(number)})
                    if number % 2:
                        self.run_setup("--colord", tree=tree)
                        self.assertEqual({path: entry for path, entry in tree.look().items()
                                          if path != STATE}, finished)
                    self.run_setup("--undo", tree=tree)
                    self.assertEqual(tree.look(), before)

    def test_undoing_killed_anywhere_it_can_be_finished(self):
        tree = self.new_tree("whole")
        self.run_setup("--colord", tree=tree)
        self.run_setup("--undo", tree=tree)
        numbers = self.numbers_that_change()
        for when in ("KILL_BEFORE", "KILL_AFTER"):
            for number in numbers:
                with self.subTest(when=when, number=number):
                    tree = self.new_tree(f"{when}-{number}")
                    before = tree.look()
                    self.run_setup("--colord", tree=tree)
                    self.run_setup("--undo", tree=tree, status=-signal.SIGKILL,
                                   **{when: str(number)})
                    self.run_setup("--undo", tree=tree)
                    self.assertEqual(tree.look(), before)

    def test_what_others_have_changed_since_is_theirs(self):
        self.run_setup("--colord")
        self.tree.write(COLORD, "// mine\n")
        os.chmod(self.tree.path(POOL), 0o600)
        told = self.run_setup("--undo")
        self.assertIn(f"kept      /{COLORD}: changed since", told)
        self.assertIn(f"kept      /{POOL}", told)
        self.assertNotIn("Everything is as it was", told)
        self.assertEqual(self.tree.read(COLORD), "// mine\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.tree.path(POOL)).st_mode), 0o600)
        self.assertFalse(self.tree.has("var/lib/hvsession"))

    def test_xrdp_as_root_needs_no_drop_in(self):
        self.tree.write("usr/lib/systemd/system/xrdp.service", "[Service]\nType=exec\n")
        self.run_setup()
        self.assertFalse(self.tree.has(os.path.dirname(DROP_IN)))
        self.assertTrue(self.tree.is_active("hvsession-xrdp.service"))

    def user_of(self, files):
        """Whom our xrdp runs as beside an xrdp of these files, text by path below systemd's."""
        tree = self.new_tree(f"tree{len(os.listdir(self.directory))}")
        for path, text in files.items():
            if text is None:
                os.makedirs(os.path.dirname(tree.path(path)), exist_ok=True)
                os.symlink("/dev/null", tree.path(path))
            else:
                tree.write(path, text)
        self.run_setup(tree=tree)
        lines = tree.read(DROP_IN).splitlines() if tree.has(DROP_IN) else []
        return next((line[5:] for line in lines if line.startswith("User=")), None)

    def test_drop_ins_of_xrdp_are_followed(self):
        unit = "usr/lib/systemd/system/xrdp.service"
        ours = "etc/systemd/system/xrdp.service"
        for user, files in (
                ("rdp", {unit + ".d/user.conf": "[Service]\nUser=rdp\n"}),
                ("rdp", {ours + ".d/user.conf": "[Unit]\nUser=no\n[Service]\n User = rdp \n"}),
                # In the order of the names, wherever they are.
                ("c", {ours + ".d/10.conf": "[Service]\nUser=b\n",
                       unit + ".d/20.conf": "[Service]\nUser=c\n",
                       unit + ".d/05.conf": "[Service]\nUser=a\n"}),
                # Of two of a name the administrator's counts, masked or not; others say nothing.
                ("a", {ours + ".d/10.conf": "[Service]\nUser=a\n",
                       unit + ".d/10.conf": "[Service]\nUser=b\n"}),
                ("xrdp", {ours + ".d/10.conf": None, unit + ".d/10.conf": "[Service]\nUser=b\n",
                          unit + ".d/20.conf": "[Service]\nNice=1\n",
                          unit + ".d/30.conf.bak": "[Service]\nUser=c\n"}),
                # Back to root, which needs no drop-in.
                (None, {"run/systemd/system/xrdp.service.d/x.conf": "[Service]\nUser=\n"}),
                (None, {ours + ".d/x.conf": "[Service]\nUser=a\nUser=root\n"}),
                # A unit of the administrator's, with a line that goes on; and one that is masked.
                ("rdp", {ours: "[Service]\nExecStart=/usr/sbin/xrdp \\\n  --nodaemon\nUser=rdp\n"}),
                ("xrdp", {ours: None})):
            with self.subTest(files=files):
                self.assertEqual(self.user_of(files), user)

    def test_user_of_xrdp_that_changes_is_told(self):
        unit = "usr/lib/systemd/system/xrdp.service"
        self.run_setup()
        self.assertIn("was so    hvsession-xrdp.service runs as the user xrdp, like your xrdp\n",
                      self.run_setup())
        self.tree.write(unit + ".d/user.conf", "[Service]\nUser=rdp\n")
        told = self.run_setup()
        self.assertIn("kept      hvsession-xrdp.service runs as the user xrdp, but your xrdp as "
                      "rdp;\n"
                      "              to follow it, delete this file and run this again:\n"
                      f"              /{DROP_IN}\n", told)
        os.unlink(self.tree.path(DROP_IN))
        self.assertIn("runs as the user rdp, like your xrdp\n", self.run_setup())
        self.assertIn("\nUser=rdp\n", self.tree.read(DROP_IN))
        told = self.run_setup("--undo")
        self.assertFalse(self.tree.has(DROP_IN), told)

    def test_missing_packages_are_named(self):
        os.unlink(self.tree.path("usr/sbin/xrdp"))
        told = self.run_setup(status=1)
        self.assertIn("sudo apt install xrdp xorgxrdp\n", told)
        self.assertTrue(self.tree.is_active("hvsessiond.service"))
        self.assertFalse(self.tree.is_active("hvsession-xrdp.service"))
        os.unlink(self.tree.path("usr/lib/systemd/system/hvsession-xrdp.service"))
        told = self.run_setup(status=1)
        self.assertIn("sudo apt install xrdp xorgxrdp hvsession-xrdp\n", told)
        os.unlink(self.tree.path("usr/lib/systemd/system/hvsessiond.service"))
        self.assertIn("sudo apt install hvsession\n", self.run_setup(status=1))

    def test_another_server_needs_no_xrdp(self):
        os.unlink(self.tree.path("usr/sbin/xrdp"))
        self.tree.write("etc/hvsession/hvsession.conf", "[hvsession]\nServer=tcp:127.0.0.1:3390\n")
        told = self.run_setup()
        self.assertIn("Server= names another server", told)
        self.assertIn("sudo hvsession config set Server auto", told)
        self.assertTrue(self.tree.is_active("hvsessiond.service"))

    def test_broken_settings_are_told(self):
        self.tree.write("etc/hvsession/hvsession.conf", "[hvsession]\nSever=auto\n")
        told = " ".join(self.run_setup(status=1).split())
        self.assertIn("hvsession.conf:2: Sever: no such setting; did you mean Server?", told)

    def test_unit_that_does_not_start_keeps_nothing_from_the_rest(self):
        before = self.tree.look()
        self.tree.write("run/refuse/hvsession-bind.service", "")
        told = self.run_setup(status=1)
        self.assertIn("failed    hvsession-bind.service runs:\n", told)
        self.assertIn("Job for hvsession-bind.service failed.", told)
        self.assertTrue(self.tree.is_active("hvsessiond.service"))
        shutil.rmtree(self.tree.path("run/refuse"))
        self.run_setup("--undo")
        self.assertEqual(self.tree.look(), before)

    def test_unit_whose_conditions_are_not_met_is_told(self):
        self.tree.write("run/unmet/hvsessiond.service", "")
        self.assertIn("not now   hvsessiond.service runs: only in a Hyper-V guest",
                      self.run_setup())

    def test_masked_unit_is_left_so(self):
        os.symlink("/dev/null", self.tree.path("etc/systemd/system/hvsessiond.service"))
        self.assertIn("sudo systemctl unmask hvsessiond.service", self.run_setup(status=1))

    def test_image_in_the_making_is_enabled_only(self):
        os.rmdir(self.tree.path("run/systemd/system"))
        before = self.tree.look()
        told = self.run_setup()
        self.assertIn("systemd does not run there", told)
        self.assertTrue(self.tree.is_enabled("hvsessiond.service"))
        self.assertFalse(self.tree.is_active("hvsessiond.service"))
        self.run_setup("--undo")
        self.assertEqual(self.tree.look(), before)

    def test_user_missing_is_told(self):
        self.tree.write("etc/group", "root:x:0:\n")
        self.assertIn("sudo systemd-sysusers", self.run_setup(status=1))
        self.assertFalse(self.tree.has("var/lib/hvsession"))

    def test_record_that_makes_no_sense_stops_it(self):
        self.run_setup()
        text = self.tree.read(STATE)
        for broken in ("", text.replace("Kind=start", "Kind=end", 1),
                       text.replace("Version=1", "Version=2"), text + "[Change x]\nKind=file\n"):
            self.tree.write(STATE, broken)
            before = self.tree.look()
            self.assertIn("setup.state", self.run_setup("--undo", status=1))
            self.assertIn("setup.state", self.run_setup(status=1))
            self.assertEqual(self.tree.look(), before)

    def test_wrong_options_are_refused(self):
        self.run_setup("--undo", "--colord", status=2)
        self.run_setup("now", status=2)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up")
    def test_without_root_it_says_what_it_takes(self):
        result = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", HVSESSION, "setup"],
                                capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("takes root: sudo hvsession setup", result.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up")
    def test_dry_run_takes_no_root(self):
        self.run_setup()
        os.chmod(self.directory, 0o755)
        os.chmod(self.tree.path(os.path.dirname(STATE)), 0o755)  # as with an ordinary umask
        result = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", HVSESSION, "setup",
                                 "--dry-run", "--root", self.tree.directory],
                                env={**os.environ, "PATH": self.bin + ":" + os.environ["PATH"],
                                     "CALLS": "/dev/null"},
                                capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("Nothing was changed.", result.stdout)


if __name__ == "__main__":
    unittest.main()
