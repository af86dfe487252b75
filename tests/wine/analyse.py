#!/usr/bin/env python3
"""Static analysis of the Windows sources: cppcheck, then clang-tidy, and every word of theirs is a
failure.

    analyse.py SOURCE-DIR BUILD-DIR

BUILD-DIR is one of a Windows preset: what is analysed, and how it is compiled, is taken from its
compile_commands.json.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

# Of bugprone: without what this project's style does on purpose (pairs of alike parameters, small
# enums in a switch), without what the compiler's -Wconversion watches more closely, and without the
# C11 functions with _s that Windows XP does not have.
CHECKS = ("-*", "clang-analyzer-*", "bugprone-*", "-bugprone-easily-swappable-parameters",
          "-bugprone-branch-clone", "-bugprone-reserved-identifier",
          "-bugprone-narrowing-conversions", "-bugprone-implicit-widening-of-multiplication-result",
          "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling")
# What the compiler is told that concerns the language, not the machine's code.
KEPT = ("-I", "-D", "-std=")


def commands(source, build):
    """The sources of the program with those of the compiler's arguments that count."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if not any(path.is_relative_to(source / part) for part in ("windows", "common")):
            continue
        if path.suffix == ".c":
            yield path, [word for word in shlex.split(entry["command"]) if word.startswith(KEPT)]


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def cppcheck(path, flags):
    return run(["cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--platform=win64",
                "--enable=warning,performance,portability", "--std=c11", "-D_WIN32",
                *(flag for flag in flags if not flag.startswith("-std")), str(path)])


def clang_tidy(path, flags):
    # Its threads hand memory on in messages of windows, which are leaks to the analyser.
    if path.parent.name == "tray":
        return 0, ""
    status, output = run(["clang-tidy", "--quiet", "--warnings-as-errors=*",
                          "--checks=" + ",".join(CHECKS), str(path), "--",
                          "--target=x86_64-w64-mingw32", *flags])
    lines = [line for line in output.splitlines() if not line.endswith("warnings generated.")]
    return status, "\n".join(lines)


def main():
    source, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    sources = sorted(set((path, tuple(flags)) for path, flags in commands(source, build)))
    if not sources:
        raise SystemExit("nothing to analyse")
    jobs = [(tool, *each) for tool in (cppcheck, clang_tidy) for each in sources]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (tool, path, _), (status, output) in zip(jobs, pool.map(
                lambda job: job[0](job[1], job[2]), jobs)):
            if status != 0:
                failed += 1
                print(f"{tool.__name__}: {path.relative_to(source)}\n{output}")
    print(f"{len(sources)} files, {failed} with complaints")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
