#!/bin/bash
# shell.sh [6.12|6.1] [-m] [-p PORT] [PROGRAM[:TARGETPATH]]…: a shell in a guest, on this terminal
#
#   -m         monitored channels (6.1 needs them)
#   -p PORT    clients connect to 127.0.0.1:PORT, each like a user in vmconnect
#
# The host's trace is written to ./hyperv.log, and its control socket is printed first: try
# "socat READLINE UNIX:SOCKET" and "status". Leaving the shell stops the machine.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
series=6.12 monitor=off port=
if [[ ${1:-} == 6.* ]]; then
    series=$1
    shift
fi
while getopts mp: option; do
    case $option in
    m) monitor=on ;;
    p) port=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ ! -t 0 ]; then
    echo "shell.sh: a shell needs a terminal" >&2
    exit 2
fi

qemu=$("$here/build-qemu.sh" | tail -n 1)
dir=$(mktemp -d -t hvt-XXXXXX)
trap 'rm -rf "$dir"; stty sane' EXIT
kernel=$("$here/make-initramfs.sh" "$dir/initramfs" "$series" "$@")
echo "control socket: $dir/control    clients: $dir/client${port:+ and 127.0.0.1:$port}"
stty -isig -icanon -echo
device=hyperv-tcg,listen=unix:$dir/client${port:++127.0.0.1:$port}
device+=,control=unix:$dir/control,monitor=$monitor,trace=on
"$qemu" -L /usr/share/seabios -L /usr/share/qemu -nodefaults -no-user-config -display none \
    -no-reboot -monitor none -accel tcg,thread=multi -M pc -cpu Nehalem -smp 2 -m 1024 \
    -kernel "$kernel" -initrd "$dir/initramfs" \
    -append "console=ttyS0 quiet panic=-1 hvt.modules=hv_vmbus,uio_hv_generic hvt.shell" \
    -serial stdio -device "$device" 2> hyperv.log
