#!/usr/bin/env python3
"""hvsession-tray.exe with real windows: runs test-tray.exe under Wine on an X server that shows
nothing to anyone (Xvfb), and takes the pictures that it asks for.

    tray.py --bitness x86|x64 --build DIR --pictures DIR GROUP

Exit status: 0 passed, 1 failed.
"""

import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import chain

# Of the whole group, in seconds.
TIMEOUT = 240
# A picture is taken when nothing was drawn for that long, in seconds.
STILL = 0.25


def take_picture(display, path):
    """As soon as what is shown stays the same."""
    picture = display.x.image()
    while display.x.wait_drawn(STILL):
        picture = display.x.image()
    picture.write_png(path)


def run_group(run, arguments):
    display = chain.Display(run)
    environment = dict(os.environ, **display.environment)
    build = arguments.build
    test = subprocess.Popen(
        [os.path.join(HERE, "wine.sh"), arguments.bitness,
         os.path.join(build, "tests/wine/test-tray.exe"),
         os.path.join(build, "windows/hvsession.exe"),
         os.path.join(build, "tests/wine/vmbuspipe.dll"),
         os.path.join(build, "windows/tray/hvsession-tray.exe"), arguments.group],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        encoding="utf-8", errors="replace")
    for line in test.stdout:
        wanted = re.match(r"picture ([a-z-]+)$", line.strip())
        if not wanted:
            run.step("tray", line.rstrip())
            if line.startswith("not ok"):
                take_picture(display, os.path.join(arguments.pictures, "failed.png"))
            continue
        run.step("picture", wanted[1])
        take_picture(display, os.path.join(arguments.pictures, wanted[1] + ".png"))
        test.stdin.write("\n")
    status = test.wait()
    if status != 0:
        raise chain.Failed(f"test-tray ended with status {status}")


def main():
    parser = argparse.ArgumentParser(description="hvsession-tray.exe with real windows.")
    parser.add_argument("--bitness", choices=("x86", "x64"), required=True)
    parser.add_argument("--build", metavar="DIR", required=True, help="its build directory")
    parser.add_argument("--pictures", metavar="DIR", required=True, help="where pictures go")
    parser.add_argument("group")
    arguments = parser.parse_args()
    os.makedirs(arguments.pictures, exist_ok=True)
    chain.SCREEN_WIDTH, chain.SCREEN_HEIGHT = 1320, 1200
    try:
        with chain.Run() as run:
            run_group(run, arguments)
    except (chain.Failed, chain.x11.Error, OSError) as failure:
        print(f"FAILED: {failure}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
