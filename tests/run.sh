#!/usr/bin/env bash
# Installs what is needed, builds everything and runs every test.
#
#   tests/run.sh                    all of it
#   tests/run.sh --no-vm            without the QEMU guests (not in CI)
#   tests/run.sh --no-install       take the machine as it is
#   tests/run.sh -R REGEX           only the CTest tests whose name matches
#
# Large downloads, the QEMU build and what the compilers made are kept in
# ${XDG_CACHE_HOME:-~/.cache}/hvsession. The last line is "N passed, N failed", with ", N skipped"
# if there were any; the exit status says the same.
set -euo pipefail
cd "$(dirname "$0")/.."

vm=yes install=yes filter=()
# Most tests wait for something most of the time; those that need the machine say so to CTest.
jobs=$((2 * $(nproc)))
while [ $# -gt 0 ]; do
    case $1 in
    --no-vm) vm=no ;;
    --no-install) install=no ;;
    -R) filter=(-R "${2:?-R takes a regular expression}"); shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "tests/run.sh: unknown option $1; try --help" >&2; exit 2 ;;
    esac
    shift
done
if [ "$vm" = no ] && [ "${CI:-}" = true ]; then
    echo "tests/run.sh: --no-vm is not for CI" >&2
    exit 2
fi

results=$PWD/build/results
rm -rf "$results"
mkdir -p "$results"
failed_steps=0

step() {
    printf '\n== %s (%d s)\n' "$*" "$SECONDS"
}

# Runs tests of a preset; one that fails does not keep the others from running. That ctest itself
# failed shows by the report that it did not write.
run_tests() { # REPORT PRESET [ctest arguments]
    local report=$results/$1.xml preset=$2
    shift 2
    ctest --preset "$preset" -j "$jobs" --output-junit "$report" --no-tests=ignore \
        "${filter[@]}" "$@" || true
    if [ ${#filter[@]} -eq 0 ] && ! grep -q '<testcase' "$report"; then
        echo "tests/run.sh: no test of $preset ran" >&2
        failed_steps=$((failed_steps + 1))
    fi
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession
# In another checkout the same sources are known as well.
export CCACHE_DIR=$cache/ccache CCACHE_MAXSIZE=500M CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

build() { # PRESET
    local launcher=()
    step "build $1"
    ! command -v ccache > /dev/null || launcher=(-D CMAKE_C_COMPILER_LAUNCHER=ccache)
    cmake --preset "$1" "${launcher[@]}" > "$results/$1.configure.log" 2>&1 || {
        cat "$results/$1.configure.log"
        return 1
    }
    cmake --build --preset "$1" -j "$(nproc)"
}

if [ "$install" = yes ]; then
    step "packages"
    lists=(tests/packages-build.txt tests/packages-test.txt tests/gui/packages.txt
           tests/wine/packages.txt tests/packaging/packages.txt)
    [ "$vm" = no ] || lists+=(tests/vm/packages.txt)
    tests/lib/install-packages.sh "${lists[@]}"
fi

# The preset, and which tests of it: every test runs in the build that is shipped; what is quick or
# has threads runs under the sanitizers, too.
while read -r preset selection; do
    build "$preset" || { failed_steps=$((failed_steps + 1)); continue; }
    step "test $preset"
    # shellcheck disable=SC2086
    run_tests "$preset" "$preset" $selection
done <<'PRESETS'
release -LE vm|image
asan -L unit|host
tsan -L unit|host
fuzz -L fuzz
windows-x86 -L wine
windows-x64 -L wine
PRESETS

if [ "$vm" = yes ]; then
    step "test in QEMU"
    run_tests vm release -L "vm|image"
fi

step "done"
exec python3 tests/lib/summary.py --failed-steps "$failed_steps" "$results"
