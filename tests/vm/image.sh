#!/bin/bash
# image.sh: makes a disk with Debian 13 as people install it, and prints the directory that holds
#
#   disk.img                      its file system, sparse: /dev/sda of the guest; work on a copy
#   vmlinuz-SERIES initrd-SERIES  of 6.12, its own kernel, and of 6.1, Debian 12's, both installed
#
# systemd, udev, D-Bus, polkit, xrdp with xorgxrdp, xterm; the harness's agent runs as a
# service. All that hvsession's packages depend on is there, so that they install without a network.
#
# Kept under ${XDG_CACHE_HOME:-~/.cache}/hvsession/vm/image and made anew when this file, the agent or
# the month changes: 3 minutes, mostly downloads. Needs root, and what packages.txt lists.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/vm/image
fail() { echo "image.sh: $*" >&2; exit 1; }

packages=(systemd-sysv udev dbus polkitd kmod procps initramfs-tools zstd linux-image-amd64
    xrdp xorgxrdp xterm x11-xserver-utils
    libglib2.0-0t64 libgudev-1.0-0 libssl3t64 libuuid1)
# What a guest without a network, a graphics card or a sound card never loads.
needless=(sound drivers/{gpu,net,media,infiniband,staging,iio,usb,bluetooth,isdn,nvme,scsi/*/}
    fs/{btrfs,xfs,ocfs2,f2fs,ceph,nfs,nfsd,smb,gfs2,jfs,reiserfs} net/{bluetooth,mac80211,wireless})

id=$(cat "$here/image.sh" "$here/guest/agent.c" <(date +%Y-%m) | sha256sum | cut -c1-16)
image=$cache/debian-13-$id
mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
if [ -e "$image/disk.img" ]; then
    echo "$image"
    exit
fi
if [ "$(id -u)" -ne 0 ]; then
    [ "${CI:-}" = true ] && fail "making the image needs root"
    echo "image.sh: skipped: making the image needs root" >&2
    exit 77
fi

work=$(mktemp -d "$cache/new-XXXXXX")
trap 'rm -rf "$work"' EXIT
# mmdebstrap and its hooks go there as the user _apt.
chmod 755 "$work"
root=$work/root

# The second kernel: Debian 12's.
options=$("$here/apt-private.sh" bookworm)
mapfile -t apt <<< "$options"
old=$(apt-cache "${apt[@]}" depends linux-image-amd64 |
    sed -n 's/^ *Depends: \(linux-image-6\.1\..*\)/\1/p' | sed -n 1p)
[ -n "$old" ] || fail "bookworm has no 6.1 kernel"
mkdir "$work/deb"
(cd "$work/deb" && apt-get "${apt[@]}" -q download "$old") >&2

gcc -std=gnu11 -O2 -static -o "$work/agent" "$here/guest/agent.c"

options=$("$here/apt-private.sh" trixie)
list=$(sed -n 's/^Dir::Etc::sourcelist=//p' <<< "$options")

# Before the packages are configured: the initrd has the disk's drivers and no others; no manuals in
# other languages.
cat > "$work/early" <<'END'
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
echo MODULES=list > "$1/etc/initramfs-tools/conf.d/hvt"
printf '%s\n' ata_piix sd_mod ext4 > "$1/usr/share/initramfs-tools/modules.d/hvt"
END
cat > "$work/late" <<'END'
set -eu
root=$1 work=$2
cp "$work"/deb/*.deb "$root/tmp/"
chroot "$root" sh -c 'dpkg -i /tmp/*.deb && rm /tmp/*.deb'
cd "$root"
# The console is for the harness to read.
printf '/dev/sda / ext4 defaults 0 1\n' > etc/fstab
echo guest > etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 guest\n' > etc/hosts
install -D "$work/agent" usr/local/sbin/hvt-agent
cat > etc/systemd/system/hvt-agent.service <<'UNIT'
[Unit]
Description=The test harness's hands
DefaultDependencies=no
After=local-fs.target systemd-udev-trigger.service

[Service]
ExecStartPre=/usr/bin/udevadm wait --timeout=60 /dev/vport0p1
ExecStart=/usr/local/sbin/hvt-agent /dev/vport0p1
StandardOutput=null
KillMode=process
OOMScoreAdjust=-900
Environment=LANG=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/sbin:/usr/bin

[Install]
WantedBy=sysinit.target
UNIT
echo virtio_console > etc/modules-load.d/hvt.conf
# Its first start is like any other.
touch etc/.updated var/.updated
chroot . systemctl --quiet enable hvt-agent.service
chroot . systemctl --quiet mask getty@tty1.service systemd-timesyncd.service apt-daily.timer \
    apt-daily-upgrade.timer dpkg-db-backup.timer man-db.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer
END
mmdebstrap --quiet --variant=minbase --mode=root --include="$(IFS=,; echo "${packages[*]}")" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --essential-hook="sh '$work/early' \"\$1\"" \
    --customize-hook="sh '$work/late' \"\$1\" '$work'" \
    trixie "$root" "$list" >&2

mkdir "$work/image"
for series in 6.12 6.1; do
    release=$(basename "$(echo "$root/lib/modules/$series."*)")
    [ -d "$root/lib/modules/$release" ] || fail "the root has no $series kernel"
    for name in "${needless[@]}"; do
        # shellcheck disable=SC2086
        rm -rf "$root/lib/modules/$release/kernel/"$name
    done
    depmod -b "$root" "$release"
    cp "$root/boot/vmlinuz-$release" "$work/image/vmlinuz-$series"
    cp "$root/boot/initrd.img-$release" "$work/image/initrd-$series"
done
# Room for what tests install; the file is sparse.
truncate -s 3G "$work/image/disk.img"
mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 -m 0 -d "$root" "$work/image/disk.img" >&2

find "$cache" -mindepth 1 -maxdepth 1 -name 'debian-13-*' -exec rm -rf {} +
mv "$work/image" "$image"
echo "$image"
