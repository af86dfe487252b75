#!/usr/bin/env python3
"""Adds up the JUnit files that ctest wrote: prints what failed, what was skipped and why, and last
"N passed, N failed[, N skipped]". Exit status 0 if something passed and nothing failed.

usage: summary.py [--failed-steps N] DIRECTORY
"""
import argparse
import pathlib
import sys
import xml.etree.ElementTree


def outcome(case):
    """("passed" | "failed" | "skipped", why)"""
    status = case.get("status")
    if case.find("failure") is not None or status == "fail":
        return "failed", case.findtext("system-out") or ""
    skipped = case.find("skipped")
    if skipped is not None or status in ("notrun", "disabled"):
        lines = (case.findtext("system-out") or "").strip().splitlines()
        reason = lines[-1] if lines else ""
        return "skipped", reason or (skipped.get("message", "") if skipped is not None else "")
    return "passed", ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--failed-steps", type=int, default=0)
    parser.add_argument("directory", type=pathlib.Path)
    arguments = parser.parse_args()

    count = {"passed": 0, "failed": arguments.failed_steps, "skipped": 0}
    for path in sorted(arguments.directory.glob("*.xml")):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            result, why = outcome(case)
            count[result] += 1
            if result != "passed":
                print(f"{result}: {path.stem}: {case.get('name')}"
                      + (f": {why}" if result == "skipped" and why else ""))
    if arguments.failed_steps:
        print(f"{arguments.failed_steps} step(s) failed, see above")
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return 0 if count["passed"] and not count["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
