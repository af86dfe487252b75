#!/usr/bin/env bash
# Builds the Debian packages of this tree, for the release that it runs on.
#
#   packaging/debian/build.sh [OUTPUT-DIRECTORY]      build/packages by default
#
# dpkg-buildpackage wants debian/ at the top of the source, which is not ours to put there: it works
# on a copy, made of what git knows (or, without git, of all but build/). Two builds of one tree on
# one release give the same bytes: the time in them is that of debian/changelog.
#
# Needs the Build-Depends of debian/control. Exit status: 0 built, 1 not, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
-*) echo "build.sh: unknown option $1; try --help" >&2; exit 2 ;;
esac
out=$(realpath -m "${1:-build/packages}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/hvsession"

if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar --null -cf - -T -
else
    tar -cf - --exclude=./build .
fi | tar -xf - -C "$work/hvsession"
cp -r packaging/debian "$work/hvsession/debian"
rm "$work/hvsession/debian/build.sh"
# Modes are not the checkout's umask's business.
chmod -R u=rwX,go=rX "$work/hvsession"

cd "$work/hvsession"
# Symbols for a debugger are for those who build for themselves.
DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:+$DEB_BUILD_OPTIONS }noautodbgsym parallel=$(nproc)"
export DEB_BUILD_OPTIONS
dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo
mv "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes "$out/"
