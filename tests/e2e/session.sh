#!/bin/sh
# The test user's session: startwm.sh of its home, which xrdp-sesman runs (chain.py). It paints the
# root window, says in a terminal who it is, and ends when someone opens and closes ~/end. The
# colours are those that chain.py looks for.
background='#204080'
terminal='#f4f0e4'

case ${1:-session} in
session)
    xsetroot -solid "$background"
    exec xterm -geometry 64x14+180+180 -fg '#202020' -bg "$background" \
        -e "$HOME/startwm.sh" terminal
    ;;
terminal)
    printf '\n   Enhanced Session\n\n'
    printf '   user        %s\n' "$(id -un)"
    printf '   display     %s\n' "$DISPLAY"
    printf '   system      %s\n' "$(. /etc/os-release && echo "$PRETTY_NAME")"
    printf '   date        %s\n\n' "$(date '+%F %T')"
    # It gets its own colour last: who sees it sees the text as well.
    printf '\033]11;%s\007' "$terminal"
    exec cat "$HOME/end"
    ;;
esac
