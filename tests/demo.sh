#!/usr/bin/env bash
# hvsession's main job, done once on this machine: a FreeRDP client logs in through a simulated
# Hyper-V host, hvsessiond and xrdp, and sees a desktop.
#
#   sudo tests/demo.sh                all of it: packages, build, login
#   sudo tests/demo.sh --no-install   take the machine's packages as they are
#   tests/demo.sh                     without root: packages (with sudo, if any are missing) and
#                                     build; the login needs root, for a test user and its session
#
# Leaves build/demo/login.png and build/demo/session.png, what the client saw before and after the
# login, and build/demo/build.log. For Debian 12, Debian 13, Ubuntu 24.04 and later.
# Exit status: 0 all done, 1 something failed, 2 wrong usage, 77 no login for want of root.
set -euo pipefail
cd "$(dirname "$0")/.."

result=build/demo
install=yes
child=

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
}

# Runs a command in a process group of its own, so that interrupted() ends all of it.
run() { # COMMAND...
    local status=0
    set -m
    "$@" &
    child=$!
    set +m
    wait "$child" || status=$?
    child=
    return "$status"
}

interrupted() { # EXIT-STATUS
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
        kill -TERM -- "-$child" 2> /dev/null || true
        wait "$child" || true
    fi
    echo "interrupted" >&2
    exit "$1"
}

# In the foreground, for sudo may ask for a password, and apt is better not torn.
install_packages() {
    tests/lib/install-packages.sh tests/packages-build.txt tests/packages-test.txt
}

# Under sudo what belongs in the tree is made by, and for, the user who called it.
as_user() { # COMMAND...
    if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        runuser -u "$SUDO_USER" -- "$@"
    else
        "$@"
    fi
}

now() {
    date +%s%N
}

# The step's time, since the time that was given, in the form of tests/e2e/e2e.py.
step() { # STARTED WHAT TEXT
    local milliseconds=$((($(now) - $1) / 1000000))
    printf '%3d.%02d s  %-9s %s\n' $((milliseconds / 1000)) $((milliseconds % 1000 / 10)) "$2" "$3"
}

build() {
    cmake --preset release && cmake --build --preset release
}

while [ $# -gt 0 ]; do
    case $1 in
    --no-install) install=no ;;
    -h | --help) usage; exit 0 ;;
    *) echo "tests/demo.sh: unknown option $1; try --help" >&2; exit 2 ;;
    esac
    shift
done
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP

echo "hvsession demo: an Enhanced Session, from the client's window to the desktop"
echo
as_user mkdir -p "$result"
rm -f "$result"/*.png

if [ "$install" = yes ]; then
    started=$(now)
    as_user touch "$result/packages.log"
    if ! install_packages > "$result/packages.log" 2>&1; then
        tail -n 20 "$result/packages.log"
        exit 1
    fi
    step "$started" packages "$(grep -E '^(all|not started|installing)' "$result/packages.log" \
        | sed 's/^installing/installed/' | fmt -w 59 | sed '2,$s/^/                    /')"
fi

started=$(now)
as_user touch "$result/build.log"
if ! run as_user bash -c "$(declare -f build); build" > "$result/build.log" 2>&1; then
    tail -n 30 "$result/build.log"
    echo "the build failed; all of its output is in $result/build.log" >&2
    exit 1
fi
step "$started" build "build/release"

if [ "$(id -u)" -ne 0 ]; then
    echo
    echo "The login is left out: it needs root, to make a test user, have xrdp check its"
    echo "password and start its session. Everything of it is removed at the end. Run:"
    echo
    echo "    sudo tests/demo.sh"
    exit 77
fi

echo
# Whatever is missing is a failure here: the login is what the demo is for.
status=0
run env CI=true tests/e2e/e2e.py --build build/release --screenshots "$result" --summary \
    || status=$?
if [ -n "${SUDO_UID:-}" ]; then
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$result"
fi
if [ "$status" -eq 0 ]; then
    printf '\nPictures: %s/login.png, %s/session.png\n' "$result" "$result"
fi
exit "$status"
