#!/usr/bin/env bash
# Builds the Windows setup wizard of both builds of the programs.
#
#   cmake --preset windows-x86 && cmake --build --preset windows-x86
#   cmake --preset windows-x64 && cmake --build --preset windows-x64
#   packaging/nsis/build.sh [--version VERSION] [--homepage URL] [OUT]
#
# OUT is build/hvsession-VERSION-setup.exe if it is not given, VERSION and URL (HOMEPAGE_URL, if there
# is one) are those of CMakeLists.txt. Needs NSIS 3 (package nsis). The same programs give the same bytes: all times are SOURCE_DATE_EPOCH, or
# that of the last commit.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

# What CMakeLists.txt says of the project, by the word before it.
project_says() { # WORD
    sed -n "/^project(/,/)/s/.*$1 \"\?\([^ \")]*\).*/\1/p" "$top/CMakeLists.txt"
}

version=$(project_says VERSION) homepage=$(project_says HOMEPAGE_URL) options=()
while [ $# -gt 0 ]; do
    case $1 in
    --version) version=${2:?--version takes a version}; shift ;;
    --homepage) homepage=${2:?--homepage takes an address}; shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    -*) echo "build.sh: unknown option $1; try --help" >&2; exit 2 ;;
    *) break ;;
    esac
    shift
done
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "not a version: \"$version\""
out=$(realpath -m "${1:-$top/build/hvsession-$version-setup.exe}")
command -v makensis > /dev/null || fail "makensis is missing: install the package nsis"
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2> /dev/null || echo 0)}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
[ -z "$homepage" ] || options+=(-DHOMEPAGE="$homepage")
for bitness in x86 x64; do
    built=$top/build/windows-$bitness/windows
    mkdir "$stage/$bitness"
    for program in "$built/hvsession.exe" "$built/tray/hvsession-tray.exe"; do
        [ -e "$program" ] || fail "$program is missing: build the preset windows-$bitness"
        cp "$program" "$stage/$bitness/"
    done
done
sed 's/$/\r/' "$top/LICENSE" > "$stage/license.txt"
find "$stage" -exec touch --date="@$epoch" {} +

mkdir -p "$(dirname "$out")"
# A warning is an error; one of them is on the name setup.exe, for which Windows loads what it would
# not for another.
SOURCE_DATE_EPOCH=$epoch makensis -V2 -WX -INPUTCHARSET UTF8 -DVERSION="$version" \
    -DTOP="$top" -DSTAGE="$stage" -DOUT="$out" "${options[@]}" "$here/hvsession.nsi"
echo "$out"
