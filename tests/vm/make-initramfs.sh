#!/bin/bash
# make-initramfs.sh OUT SERIES [PROGRAM[:TARGETPATH]]...: packs the guest's root file system into
# OUT (a cpio archive, not compressed: unpacking is slow in an emulated machine) and prints the path
# of the kernel that goes with it.
#
# SERIES is 6.12 or 6.1. The guest has busybox, systemd-udevd with its rules for events, modprobe
# with the modules of fetch-kernel.sh, the test programs of guest/, and each PROGRAM (or any other
# file), with the libraries that ldd finds, at TARGETPATH or in /usr/bin.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/vm
out=${1:?usage: make-initramfs.sh OUT SERIES [PROGRAM[:TARGETPATH]]...}
series=${2:?usage: make-initramfs.sh OUT SERIES [PROGRAM[:TARGETPATH]]...}
shift 2
fail() { echo "make-initramfs.sh: $*" >&2; exit 1; }

kernel=$("$here/fetch-kernel.sh" "$series")
root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT

# The libraries of a program, at the paths where its loader looks for them.
add_libraries()
{
    local library
    ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' |
        while read -r library; do
            [ -e "$root$library" ] || install -D "$library" "$root$library"
        done
    if ldd "$1" 2>&1 | grep -q 'not found'; then
        fail "$1: $(ldd "$1" | grep 'not found')"
    fi
}

# add FILE TARGETPATH
add()
{
    [ -e "$1" ] || fail "$1 is not there"
    rm -f "$root$2"
    install -D "$(readlink -f "$1")" "$root$2"
    add_libraries "$1"
}

# Merged /usr, as in today's distributions.
mkdir -p "$root"/{usr/{bin,sbin,lib,lib64,lib/udev/rules.d},etc,proc,sys,dev,run,tmp,var/lib}
for dir in bin sbin lib lib64; do
    ln -s "usr/$dir" "$root/$dir"
done
ln -s ../run "$root/var/run"
install -D "$(command -v busybox)" "$root/usr/bin/busybox"
for applet in $("$root/usr/bin/busybox" --list | grep -vx busybox); do
    ln -s busybox "$root/usr/bin/$applet"
done

for tool in modprobe lsmod; do
    rm -f "$root/usr/bin/$tool"
    add "$(command -v kmod)" "/usr/sbin/$tool"
done
add "$(command -v udevadm)" /usr/bin/udevadm
mkdir -p "$root/usr/lib/systemd"
ln -s ../../bin/udevadm "$root/usr/lib/systemd/systemd-udevd"
# Newer versions of udev load these only when they need them.
for name in libkmod.so.2 libacl.so.1 libblkid.so.1; do
    library=$(ldconfig -p | sed -n "s/.*$name .*x86-64.* => //p" | sed -n 1p)
    if [ -n "$library" ] && [ ! -e "$root$library" ]; then
        add "$library" "$library"
    fi
done
for rules in 50-udev-default.rules 80-drivers.rules; do
    cp "/usr/lib/udev/rules.d/$rules" "$root/usr/lib/udev/rules.d/"
done

cp -r "$kernel/lib/modules" "$root/usr/lib/"

# The guest's own programs, compiled when they have changed.
mkdir -p "$cache/guest"
for source in "$here"/guest/*.c; do
    name=$(basename "$source" .c)
    binary=$cache/guest/$name
    if [ "$source" -nt "$binary" ] || [ "$here/guest/order.h" -nt "$binary" ]; then
        gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$binary.$$" "$source"
        mv "$binary.$$" "$binary"
    fi
    install "$binary" "$root/usr/bin/$name"
done
install "$here/guest/init" "$root/init"

cat > "$root/etc/passwd" <<END
root:x:0:0:root:/:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
hvsession:x:990:990:hvsession:/:/bin/false
END
# Groups that the rules name.
{
    echo root:x:0:
    echo nogroup:x:65534:
    echo hvsession:x:990:
    gid=100
    grep -ho 'GROUP="[a-z]*"' "$root"/usr/lib/udev/rules.d/* | cut -d'"' -f2 | sort -u |
        while read -r group; do
            [ "$group" = root ] || echo "$group:x:$((gid++)):"
        done
} > "$root/etc/group"
echo 'hosts: files' > "$root/etc/nsswitch.conf"
echo '127.0.0.1 localhost guest' > "$root/etc/hosts"

for item; do
    file=${item%%:*} target=/usr/bin/$(basename "${item%%:*}")
    case $item in *:*) target=${item#*:} ;; esac
    add "$file" "$target"
done

(cd "$root" && find . -print0 | LC_ALL=C sort -z |
    cpio --null -o -H newc --quiet -R 0:0) > "$out.$$"
mv "$out.$$" "$out"
echo "$kernel/vmlinuz"
