"""run.py [NAME…]: runs the test functions of test_*.py; run.sh calls it.

    run.py --list                   the names of all tests
    run.py --build                  builds and fetches what every test needs
    run.py --serve SOCKET           goes to the background, where it keeps guests up for …
    run.py --via SOCKET NAME        … this: runs one test there, as CTest does
    run.py --via SOCKET --stop      ends it

A test is a function test_NAME, decorated with @guest(…) once for each guest that it is to run on,
or with @no_guest. Tests that ask for the same guest share one, booted once, which every test leaves as
it found it (VM.settle) and with nothing to complain of (VM.check); a failed test takes it along.
"""

import contextlib
import fnmatch
import glob
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback

from vm import VM, Failure, HERE, build_image, build_qemu

# CTest may run tests in any order, so the server keeps several guests, of 1 GiB at most each; and
# no longer than this if nobody asks for any, in seconds: other tests may have the machine to
# themselves meanwhile. Nor longer than what has started it: CTest, which people stop with Ctrl+C.
SERVED_GUESTS = 3
SERVED_IDLE = 1800


class Test:
    def __init__(self, module, function, spec):
        self.function, self.spec = function, spec
        where = spec.name + "/" if spec else ""
        self.name = "%s/%s%s" % (module, where, function.__name__[5:].replace("_", "-"))


def find_tests():
    tests = []
    sys.path.insert(0, HERE)
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        name = os.path.basename(path)[:-3]
        module = importlib.import_module(name)
        for function in list(vars(module).values()):
            if callable(function) and getattr(function, "__name__", "").startswith("test_"):
                for spec in getattr(function, "guests", []):
                    tests.append(Test(name[5:], function, spec))
    order = {}
    for test in tests:      # by guest, in the order of first appearance
        order.setdefault(test.spec and test.spec.key, len(order))
    return sorted(tests, key=lambda test: order[test.spec and test.spec.key])


class Guests:
    """The guests that are up, the one that was asked for last in front."""

    def __init__(self, most=1):
        self.most, self.up = most, []       # (key, VM)

    @property
    def vm(self):
        return self.up[0][1] if self.up else None

    def get(self, spec):
        found = [] if spec.fresh else [pair for pair in self.up if pair[0] == spec.key]
        if found:
            self.up.remove(found[0])
            self.up.insert(0, found[0])
        else:
            while len(self.up) >= self.most:
                self.up.pop()[1].close()
            self.up.insert(0, (spec.key, VM(**spec.arguments)))
            print("# guest %s up in %.1f s" % (spec.name, self.vm.boot_seconds), flush=True)
        return self.vm

    def drop(self):
        """The one in front."""
        if self.up:
            self.up.pop(0)[1].close()

    def drop_all(self):
        while self.up:
            self.drop()


def run(test, guests):
    """Runs one test; returns what went wrong, or None."""
    booted = False
    try:
        if not test.spec:
            test.function()
            return None
        vm = guests.get(test.spec)
        booted = True
        test.function(vm)
        vm.settle()
        vm.check()
        if test.spec.fresh:
            guests.drop()
        return None
    except (Failure, OSError) as error:
        where = traceback.extract_tb(error.__traceback__)
        frames = [(os.path.basename(frame.filename), frame.lineno) for frame in where]
        at = next((frame for frame in frames if frame[0].startswith("test_")), frames[-1])
        why = "%s\n--- at %s:%d" % ((str(error) or type(error).__name__,) + at)
    except Exception:
        why = traceback.format_exc()
    if booted:
        if "--- console" not in why:
            why += guests.vm.describe()
        guests.drop()
    return why


def run_and_tell(test, guests):
    """Runs one test and prints what came of it; returns whether it passed."""
    begin = time.monotonic()
    why = run(test, guests)
    if why:
        print("not ok %s: %s" % (test.name, why), flush=True)
    else:
        print("ok %s (%.1f)" % (test.name, time.monotonic() - begin), flush=True)
    return not why


def run_all(tests):
    guests, failed, start = Guests(), 0, time.monotonic()
    try:
        for test in tests:
            failed += not run_and_tell(test, guests)
    finally:
        guests.drop_all()
    print("# %.0f s" % (time.monotonic() - start))
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    return 1 if failed else 0


# ---- for CTest

def build():
    """What every test needs; only the first time takes long."""
    try:
        print(build_qemu())
        for series in ("6.12", "6.1"):
            print(*build_image(series))
    except Failure as failure:
        print(failure)
        return 1
    return 0


def listen(path):
    """A listening socket, in the place of what a server before this one has left."""
    if os.path.exists(path):
        via(path, "--stop")
        if os.path.exists(path):
            os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(16)
    listener.settimeout(SERVED_IDLE)
    return listener


def end_with(process):
    """Ends this process as SIGTERM does as soon as that one has ended."""
    descriptor = os.pidfd_open(process)

    def watch():
        select.select([descriptor], [], [])
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=watch, daemon=True).start()


def serve(path, tests):
    """Runs the tests that clients name, in the background."""
    listener, starter = listen(path), os.getppid()
    if os.fork():
        return 0
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    guests, by_name, name = Guests(SERVED_GUESTS), {test.name: test for test in tests}, ""
    try:
        end_with(starter)
        while name != "--stop":
            client, _ = listener.accept()
            client.settimeout(None)
            os.dup2(client.fileno(), 2)     # for what scripts say
            try:
                with client, client.makefile("r") as lines, client.makefile("w") as sys.stdout:
                    name = lines.readline().strip()
                    if name in by_name:
                        run_and_tell(by_name[name], guests)
                    elif name != "--stop":
                        print("not ok %s: no such test" % name)
                    else:
                        guests.drop_all()
                        os.unlink(path)
            except (BrokenPipeError, ConnectionResetError):
                pass        # a client that has run out of time: its last words come to nothing
            finally:
                os.dup2(null, 2)
    except (socket.timeout, SystemExit):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    finally:
        guests.drop_all()
    return 0


def via(path, name):
    """Has the server at that path run a test; returns the exit status."""
    passed = name == "--stop"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(path)
            sock.sendall(name.encode() + b"\n")
            for text in sock.makefile("r"):
                print(text, end="", flush=True)
                passed |= text.startswith("ok ")
    except OSError as error:
        print("no server at %s: %s" % (path, error))
    return 0 if passed else 1


def main(arguments):
    if arguments == ["--build"]:
        return build()
    if arguments[:1] == ["--via"] and len(arguments) == 3:
        return via(*arguments[1:])
    tests = find_tests()
    if arguments == ["--list"]:
        print("\n".join(test.name for test in tests))
        return 0
    if arguments[:1] == ["--serve"] and len(arguments) == 2:
        return serve(arguments[1], tests)
    if arguments:
        tests = [t for t in tests if any(fnmatch.fnmatch(t.name, a) for a in arguments)]
        if not tests:
            print("no test has such a name; --list shows all")
            return 2
    return run_all(tests)


if __name__ == "__main__":
    for end in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):      # so that the guest is stopped
        signal.signal(end, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
