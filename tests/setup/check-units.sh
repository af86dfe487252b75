#!/usr/bin/env bash
# check-units.sh BUILD: the systemd units, as BUILD installs them.
#
# systemd-analyze finds nothing to complain of, and the exposure of the service (0 none, 10 all) is
# at most 1.5; those that are root have 3.0. The module aliases have the bytes of the
# classes in the udev rules. (That these are the kernel's is for tests/vm to show.)
set -euo pipefail

build=${1:?usage: check-units.sh BUILD}
source=$(cd "$(dirname "$0")/../.." && pwd)
declare -A exposure_max=([hvsessiond.service]=15 [hvsession-bind.service]=30
    [hvsession-xrdp.service]=30)
failures=0

fail() {
    echo "not ok: $*"
    failures=$((failures + 1))
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root cmake --install "$build" > "$root/install.log"
mapfile -t units < <(sed -n 's/^-- Installing: //p' "$root/install.log" |
    grep -E '/system/[^/]*\.(service|target|socket)$')
[ ${#units[@]} -ge 4 ] || fail "only ${#units[@]} units are installed"

# The units that ours stand on, and the programs beside ours that they start.
mkdir -p "$root/usr/lib/systemd" "$root/usr/bin" "$root/usr/sbin"
cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
for directory in bin sbin lib; do
    ln -s "usr/$directory" "$root/$directory"
done
for program in kill xrdp; do
    install -m 755 /dev/null "$root/usr/bin/$program"
    ln -s "../bin/$program" "$root/usr/sbin/$program"
done

complaints=$(systemd-analyze verify --root="$root" --man=no "${units[@]#"$root"}" 2>&1) ||
    complaints=${complaints:-systemd-analyze verify has failed}
# Of the distribution's units only what concerns ours.
complaints=$(grep -E 'hvsession|has failed' <<< "$complaints" || true)
[ -z "$complaints" ] || fail "systemd-analyze verify: $complaints"

for unit in "${units[@]}"; do
    name=${unit##*/}
    maximum=${exposure_max[$name]:-}
    [ -n "$maximum" ] || continue
    if systemd-analyze security --offline=yes --no-pager --threshold="$maximum" "$unit" \
        > "$root/security"; then
        echo "$name: $(tail -1 "$root/security")"
    else
        cat "$root/security"
        fail "$name is exposed more than $maximum tenths"
    fi
done

# A module alias for each class that udev has a rule for; the numbers are little-endian on the bus.
rules=$source/packaging/udev/70-hvsession.rules
aliases=$source/packaging/modprobe/hvsession.conf
classes=0
while read -r class; do
    classes=$((classes + 1))
    hex=${class//-/}
    bytes=${hex:6:2}${hex:4:2}${hex:2:2}${hex:0:2}${hex:10:2}${hex:8:2}${hex:14:2}${hex:12:2}${hex:16}
    grep -q "^alias vmbus:$bytes uio_hv_generic$" "$aliases" || fail "no module alias for $class"
done < <(sed -n 's/^SUBSYSTEM=="uio".*ATTRS{class_id}=="{\([^}]*\)}".*/\1/p' "$rules")
[ "$classes" -eq 2 ] || fail "$classes classes in the rules"

[ "$failures" -eq 0 ] && echo "ok: ${#units[@]} units, $classes classes"
