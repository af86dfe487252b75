#!/bin/bash
# build-qemu.sh: builds the QEMU with the hyperv-tcg device, and prints the path of the finished
# binary as its last line. About 4 minutes on 2 cores the first time, seconds when only the device
# has changed, nothing at all when tests/vm/qemu is as it was.
#
# The source is Debian bookworm's QEMU 7.2, x86-64 system emulation only. Everything lives under
# ${XDG_CACHE_HOME:-~/.cache}/hvsession/vm/qemu:
#   dl/            the source package       src/     unpacked, with hooks.patch and the device
#   build/         the build tree           bin/     finished binaries, named after a hash of qemu/*
# packages.txt says which Debian packages it needs. It installs nothing.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/vm/qemu
fail() { echo "build-qemu.sh: $*" >&2; exit 1; }

configure_options=(--target-list=x86_64-softmmu
    --without-default-features --without-default-devices --with-devices-x86_64=hvtcg
    --enable-system --disable-user --enable-tcg --disable-kvm
    --disable-tools --disable-guest-agent --disable-docs --disable-install-blobs --disable-werror
    --enable-trace-backends=nop --with-git-submodules=ignore --meson=/usr/bin/meson)

hash=$(cd "$here" && sha256sum build-qemu.sh qemu/* | sha256sum | cut -c1-16)
binary=$cache/bin/qemu-system-x86_64-$hash
if [ -x "$binary" ]; then
    echo "$binary"
    exit
fi

mkdir -p "$cache/bin" "$cache/dl"
exec 9> "$cache/lock"
flock 9

# The source package. apt checks its hashes, so what has been fetched completely is right.
dsc() { find "$cache/dl" -maxdepth 1 -name 'qemu_7.2*.dsc' | sort -V | tail -n 1; }
if [ ! -e "$cache/dl/complete" ]; then
    options=$("$here/apt-private.sh" bookworm)
    mapfile -t apt <<< "$options"
    (cd "$cache/dl" && apt-get "${apt[@]}" -q source --download-only qemu) >&2
    [ -n "$(dsc)" ] || fail "bookworm's source package is not QEMU 7.2"
    touch "$cache/dl/complete"
fi

# The source tree: made under another name, so that it is whole as soon as it has its own. When
# hooks.patch changes, only the files that it touches are put back and patched again.
src=$cache/src
if [ -e "$src.patching" ]; then
    rm -rf "$src"
fi
if [ ! -d "$src" ]; then
    rm -rf "$src.new" "$src.patching"
    dpkg-source --no-check --no-copy -x "$(dsc)" "$src.new" >&2
    : > "$src.new/hvsession-hooks.patch"
    mv "$src.new" "$src"
fi
if ! cmp -s "$here/qemu/hooks.patch" "$src/hvsession-hooks.patch"; then
    touch "$src.patching"
    patch -d "$src" -p1 -s -R < "$src/hvsession-hooks.patch" >&2
    patch -d "$src" -p1 -s < "$here/qemu/hooks.patch" >&2
    cp "$here/qemu/hooks.patch" "$src/hvsession-hooks.patch"
    rm "$src.patching"
fi

# Copies what differs, so that ninja sees nothing but real changes.
place()
{
    local file
    for file in "${@:2}"; do
        cmp -s "$file" "$1/${file##*/}" || cp "$file" "$1/"
    done
}
place "$src/hw/hyperv" "$here"/qemu/*.c "$here"/qemu/hyperv-tcg-internal.h
place "$src/include/hw/hyperv" "$here/qemu/hyperv-tcg.h"
place "$src/configs/devices/x86_64-softmmu" "$here/qemu/hvtcg.mak"

build=$cache/build
if [ "$(cat "$build/hvsession-configured" 2>/dev/null)" != "${configure_options[*]}" ]; then
    rm -rf "$build"
    mkdir "$build"
    (cd "$build" && "$src/configure" "${configure_options[@]}") >&2
    echo "${configure_options[*]}" > "$build/hvsession-configured"
fi
nice ninja -C "$build" qemu-system-x86_64 >&2

# The latest three are kept: somebody may be running an older one.
cp "$build/qemu-system-x86_64" "$binary.new"
strip --strip-debug "$binary.new"
mv "$binary.new" "$binary"
find "$cache/bin" -name 'qemu-system-x86_64-*' -printf '%T@ %p\n' | sort -rn | tail -n +4 |
    cut -d' ' -f2- | xargs -r rm -f
echo "$binary"
