#!/bin/bash
# run.sh [--list] [NAME…]: builds what is needed, and runs the tests on real kernels: all of them,
# or those whose names match (patterns as the shell's). See README.md.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
if [ "${1:-}" != --list ]; then
    "$here/build-qemu.sh" > /dev/null
fi
exec python3 -B "$here/run.py" "$@"
