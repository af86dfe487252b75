#!/usr/bin/env bash
# The window and the tray icon, as people see and use them: hvsession-tray on a display of its own,
# with a panel, fed by hvsessiond on the simulated host, or by a stand-in for what that cannot show.
#
#   tests/gui/run.sh [--build DIR] [--keep] [GROUP...]
#
# GROUP: states, looks or life (test_*.py say what they test); all of them by default. Pictures are
# left in DIR/screenshots; DIR is build/release by default. Exit status: 0 passed, 1 failed.
set -euo pipefail
# The system's Python: the bindings come from its packages.
exec /usr/bin/python3 "$(dirname "$0")/gui.py" "$@"
