#!/usr/bin/env bash
# usage: check-completions.sh HVSESSION DIRECTORY
# Every shell takes its completions in, and offers every command that hvsession has.
set -euo pipefail
PATH=$(dirname "$1"):$PATH
cd "$2"

# zsh completes in a terminal only: its syntax, and the words that are there.
zsh -n _hvsession
bash -n hvsession.bash
fish --no-execute hvsession.fish
offered=$(fish --no-config -c 'source hvsession.fish; complete -C "hvsession "' | cut -f 1)
options=$(fish --no-config -c 'source hvsession.fish; complete -C "hvsession doctor --"' | cut -f 1)

failed=0
expect() { # WHO WORD TEXT
    grep -qxF -e "$2" <<< "$3" || { echo "$1 does not offer $2" >&2; failed=1; }
}
verbs=$(hvsession help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
[ "$(wc -l <<< "$verbs")" -ge 9 ]
for verb in $verbs; do
    expect fish "$verb" "$offered"
    expect zsh "$verb" "$(sed -n "s/^ *'\([a-z-]*\):.*/\1/p" _hvsession)"
    expect bash "$verb" "$(sed -n 's/.* verbs="\(.*\)"/\1/p' hvsession.bash | tr ' ' '\n')"
done
for option in --json --verbose --help; do
    expect fish "$option" "$options"
done
expect fish set "$(fish --no-config -c 'source hvsession.fish; complete -C "hvsession config "')"
expect fish Server "$(fish --no-config -c 'source hvsession.fish; complete -C "hvsession config get "')"
exit $failed
