#!/bin/bash
# fetch-kernel.sh 6.12|6.1: prints a directory with an unmodified Debian kernel of that series:
#   vmlinuz, release (what uname -r says), lib/modules/RELEASE with the modules that the guest needs
#
# The newest version that Debian has, found through the meta package and asked for once a day; the
# cloud flavour if it has all modules, else the ordinary one. If it cannot be had, the one that was
# used last.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/vm/kernels
series=${1:?usage: fetch-kernel.sh 6.12|6.1}
fail() { echo "fetch-kernel.sh: $*" >&2; exit 1; }

case $series in
6.12) suites=(bookworm-backports trixie) ;;
6.1) suites=(bookworm) ;;
*) fail "no series $series, only 6.12 and 6.1" ;;
esac
needed=(hv_vmbus uio uio_hv_generic vsock hv_sock vsock_loopback)
also=(virtio_pci virtio_console)        # built in, in some kernels

mkdir -p "$cache"
exec 9> "$cache/lock-$series"
flock 9
current=$cache/current-$series
kept() { [ -e "$current" ] && [ -e "$cache/$(cat "$current")/release" ]; }
if [ -n "$(find "$current" -mtime -1 2>/dev/null)" ] && kept; then
    echo "$cache/$(cat "$current")"
    exit
fi

# unpack DEB DIRECTORY; the file "missing" there names the needed modules that the kernel lacks
unpack()
{
    local tree=$2.tree release module file
    rm -rf "$2" "$tree"
    mkdir -p "$2" "$tree"
    dpkg-deb -x "$1" "$tree"
    if [ -d "$tree/usr/lib/modules" ] && [ ! -d "$tree/lib" ]; then
        ln -s usr/lib "$tree/lib"
    fi
    release=$(ls "$tree/lib/modules")
    depmod -b "$tree" "$release"
    for module in "${needed[@]}" "${also[@]}"; do
        modprobe -d "$tree" -S "$release" --show-depends "$module" 2>/dev/null |
            sed -n 's/^insmod \([^ ]*\).*/\1/p' > "$2/files"
        if [ ! -s "$2/files" ] && [[ " ${needed[*]} " == *" $module "* ]]; then
            echo "$module" >> "$2/missing"
        fi
        while read -r file; do
            install -Dm644 "$file" "$2/${file#"$tree"/}"
        done < "$2/files"
    done
    # Decompressed here, once, rather than in every guest.
    find "$2/lib/modules" -name '*.xz' -exec xz -d {} +
    cp "$tree/lib/modules/$release/"modules.{builtin,builtin.modinfo,order} \
        "$2/lib/modules/$release/"
    depmod -b "$2" "$release"
    cp "$tree/boot/vmlinuz-$release" "$2/vmlinuz"
    rm -rf "$tree" "$2/files"
    echo "$release" > "$2/release"
}

for suite in "${suites[@]}"; do
    options=$("$here/apt-private.sh" "$suite") || continue
    mapfile -t apt <<< "$options"
    for flavour in cloud-amd64 amd64; do
        package=$(apt-cache "${apt[@]}" depends "linux-image-$flavour" |
            sed -n "s/^ *Depends: \(linux-image-$series\..*\)/\1/p" | sed -n 1p) || package=
        [ -n "$package" ] || continue
        version=$(apt-cache "${apt[@]}" policy "$package" | sed -n 's/^ *Candidate: //p')
        name=${package#linux-image-}_${version//[:~]/_}
        if [ ! -e "$cache/$name/release" ]; then
            echo "fetch-kernel.sh: $package $version from $suite" >&2
            rm -rf "$cache/dl-$series"
            mkdir "$cache/dl-$series"
            if ! (cd "$cache/dl-$series" && apt-get "${apt[@]}" -q download "$package") >&2; then
                # What there is will do, rather than another flavour, or to wait for time-outs.
                ! kept || break 2
                continue
            fi
            unpack "$cache/dl-$series/"*.deb "$cache/$name.new"
            if [ -e "$cache/$name.new/missing" ]; then
                echo "fetch-kernel.sh: $package lacks $(xargs < "$cache/$name.new/missing")" >&2
                continue
            fi
            rm -rf "$cache/${name:?}" "$cache/dl-$series"
            mv "$cache/$name.new" "$cache/$name"
        fi
        echo "$name" > "$current"
        echo "$cache/$name"
        exit
    done
done
kept || fail "no $series kernel to be had from ${suites[*]}"
echo "fetch-kernel.sh: using the $series kernel of $(date -r "$current" +%F)" >&2
echo "$cache/$(cat "$current")"
