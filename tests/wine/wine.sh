#!/usr/bin/env bash
# Runs a Windows program under Wine, in a prefix made for these tests.
#
#   tests/wine/wine.sh x86|x64 PROGRAM [ARGUMENT...]
#   tests/wine/wine.sh x86|x64 --prepare     only makes what is needed
#   tests/wine/wine.sh --can x86|x64         exit status 0: it could run such programs
#   tests/wine/wine.sh x86|x64|win32|win64 --enter COMMAND [ARGUMENT...]
#                                            runs a command of this system, which finds wine and
#                                            WINEPREFIX, and may start any number of programs
#
# x86 and x64 are what the programs are that run there, on a 64-bit Windows; win32 and win64 are a
# 32-bit and a 64-bit Windows with both kinds, to install things on, where nothing is left from
# other tests. x64 runs in this system's Wine. So do the others, if that Wine has its 32-bit part
# (package wine32); else they run in a small Debian root of their own that has, since i386 packages
# often cannot be installed beside newer amd64 ones. That root takes root rights, and some minutes
# once. Prefixes and root are kept in ${XDG_CACHE_HOME:-~/.cache}/hvsession/wine. There are two
# prefixes of x86 and of x64, for two runs at a time; others wait.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/wine
root=$cache/root
release=bookworm

fail() {
    echo "wine.sh: $*" >&2
    exit 1
}

has_wine32() {
    [ -e /usr/lib/wine/wine ] || [ -e /usr/lib/i386-linux-gnu/wine/i386-unix/ntdll.so ]
}

can_run() { # BITNESS
    command -v wine > /dev/null || return 1
    case $1 in
    x64) return 0 ;;
    x86 | win32 | win64)
        has_wine32 || { [ "$(id -u)" -eq 0 ] && command -v mmdebstrap unshare > /dev/null; }
        ;;
    *) return 1 ;;
    esac
}

# Where this system's packages of the release come from: its own main archive, without the security
# one, whose i386 half is what often does not fit.
archive() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' \
        | awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }'
}

make_root() {
    local uri
    flock 7 # two of the prefixes are of this root
    [ ! -e "$root/.complete" ] || return 0
    uri=$(archive)
    [ -n "$uri" ] || uri=default
    rm -rf "$root"
    mkdir -p "$cache"
    echo "wine.sh: making a root with a 32-bit Wine, once" >&2
    local source=("deb $uri $release main")
    [ "$uri" != default ] || source=()
    mmdebstrap --quiet --mode=root --variant=minbase --architectures=amd64,i386 \
        --include=wine,wine32:i386,wine64 "$release" "$root" "${source[@]}" >&2
    echo "127.0.0.1 localhost" > "$root/etc/hosts"
    touch "$root/.complete"
}

# Runs a command in the root, with this system's files where the tests look for them.
in_root() {
    exec 8>&- # the lock is the caller's, not the Wine server's
    # shellcheck disable=SC2016
    exec unshare --mount --propagation private bash -c '
        set -e
        root=$1; cache=$2; tree=$3; shift 3
        for directory in /dev /proc /tmp "$cache" "$tree"; do
            mkdir -p "$root$directory"
            mount --rbind "$directory" "$root$directory"
        done
        # Text is shown in the fonts of this system.
        for directory in /usr/share/fonts /usr/share/wine/fonts; do
            [ -d "$directory" ] || continue
            mkdir -p "$root$directory"
            mount --bind "$directory" "$root$directory"
        done
        exec chroot "$root" bash -c "cd \"\$1\" 2> /dev/null || true; shift; exec \"\$@\"" \
            in-root "$PWD" "$@"' in-root "$root" "$cache" "$tree" "$@"
}

plain() {
    exec 8>&-
    exec "$@"
}

if [ "${1:-}" = --can ]; then
    can_run "${2:?}" && exit 0
    exit 1
fi
bitness=${1:?} program=${2:?}
shift 2
can_run "$bitness" || fail "cannot run $bitness programs; see $0"
tree=$(cd "$(dirname "$0")/../.." && pwd)
run=plain
if [ "$bitness" != x64 ] && ! has_wine32; then
    run=in_root
fi

mkdir -p "$cache"

# Wine keeps one address for itself, and about once in ten thousand times the kernel has placed
# something there when a process starts: so nothing is placed by chance, where that is allowed.
fixed=()
! setarch -R true 2> /dev/null || fixed=(setarch -R)

# The prefix is this run's from here on, if it can be had.
lock() { # PREFIX [flock option]
    exec 8> "$cache/$1.lock"
    flock "${@:2}" 8
}

make_prefix() { # PREFIX
    export WINEPREFIX=$cache/prefix-$1
    [ ! -e "$WINEPREFIX/.complete" ] || return 0
    rm -rf "$WINEPREFIX"
    mkdir -p "$WINEPREFIX"
    ("$run" "${fixed[@]}" wineboot --init) > "$cache/wineboot-$1.log" 2>&1 \
        || fail "wineboot failed, see $cache/wineboot-$1.log"
    ("$run" wineserver --wait) || true
    touch "$WINEPREFIX/.complete"
}

# One like another that is there: quicker than a new one.
copy_prefix() { # PREFIX OTHER
    [ ! -e "$cache/prefix-$1/.complete" ] || return 0
    exec 9> "$cache/$2.lock"
    flock 9
    rm -rf "$cache/prefix-$1" "$cache/prefix-$1.new"
    cp -a "$cache/prefix-$2" "$cache/prefix-$1.new"
    mv "$cache/prefix-$1.new" "$cache/prefix-$1"
    exec 9>&-
}

export WINEDEBUG=${WINEDEBUG:--all}
[ "$bitness" != win32 ] || export WINEARCH=win32
# No menus, no browser, no .NET: nothing asks and nothing is downloaded.
export WINEDLLOVERRIDES="winemenubuilder.exe,mscoree,mshtml="
[ "$run" = plain ] || make_root 7> "$cache/root.lock"

case $bitness in x86 | x64) second=$bitness-2 ;; *) second= ;; esac
if [ "$program" = --prepare ]; then
    lock "$bitness"
    make_prefix "$bitness"
    [ -z "$second" ] || { lock "$second"; copy_prefix "$second" "$bitness"; }
    exit 0
fi
if [ -z "$second" ]; then
    lock "$bitness"
    make_prefix "$bitness"
elif lock "$bitness" --nonblock; then
    make_prefix "$bitness"
else
    lock "$second"
    copy_prefix "$second" "$bitness"
    export WINEPREFIX=$cache/prefix-$second
fi

# Ends whatever runs in the prefix: services outlive the program that started them.
end_all() {
    ("$run" wineserver --kill) > /dev/null 2>&1 || true
    ("$run" wineserver --wait) > /dev/null 2>&1 || true
}

end_all
trap end_all EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
status=0
command=(wine "$program" "$@")
[ "$program" != --enter ] || command=("$@")
("$run" "${fixed[@]}" "${command[@]}") <&0 &
wait $! || status=$?
exit "$status"
