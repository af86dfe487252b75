#!/usr/bin/env python3
"""Runs the tests of hvsession-tray; run.sh says how."""

import argparse
import importlib
import pathlib
import sys
import traceback

SOURCE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE))

import desk  # noqa: E402

import chain  # noqa: E402

GROUPS = ("states", "looks", "life")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path,
                        default=SOURCE.parents[1] / "build/release")
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true", help="keep the programs' logs")
    parser.add_argument("groups", nargs="*", choices=(*GROUPS, []), metavar="GROUP")
    options = parser.parse_args()
    options.build = options.build.resolve()
    options.screenshots = options.screenshots or options.build / "screenshots"

    # A desktop for each run of this program: GTK keeps to the display that it met first.
    groups = options.groups or GROUPS
    if len(groups) > 1:
        import subprocess
        command = [sys.executable, __file__, "--build", options.build, "--screenshots",
                   options.screenshots]
        return max(subprocess.run([*command, group], check=False).returncode for group in groups)
    with chain.Run(options.keep) as run:
        try:
            desktop = desk.Desk(run, options.build)
            importlib.import_module("test_" + groups[0]).test(run, desktop, options.screenshots)
        except Exception:  # whatever it was, the logs tell more
            traceback.print_exc()
            run.print_logs()
            return 1
        run.step("done", groups[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
