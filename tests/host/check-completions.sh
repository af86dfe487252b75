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

failed=0
expect() { # WHO LINE WORD TEXT
    grep -qxF -e "$3" <<< "$4" || { echo "$1 does not offer $3 behind \"$2\"" >&2; failed=1; }
}
in_fish() { # LINE
    fish --no-config -c 'source hvsession.fish; complete -C $argv[1]' "$1" | cut -f 1
}
in_bash() { # LINE
    bash --norc -c 'source ./hvsession.bash
        read -r -a COMP_WORDS <<< "$1"
        [[ $1 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _hvsession
        printf "%s\n" "${COMPREPLY[@]}"' - "$1"
}

verbs=$(hvsession help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
[ "$(wc -l <<< "$verbs")" -ge 9 ]
for verb in $verbs; do
    expect fish "" "$verb" "$(in_fish 'hvsession ')"
    expect bash "" "$verb" "$(in_bash 'hvsession ')"
    expect zsh "" "$verb" "$(sed -n "s/^ *'\([a-z-]*\):.*/\1/p" _hvsession)"
    # What the command itself says that it takes; zsh has them in its own words.
    options=$(hvsession "$verb" --help | sed -n 's/^ *\(-., \)\?\(--[a-z-]*\) .*/\2/p')
    [ -n "$options" ]
    for option in $options; do
        expect fish "$verb" "$option" "$(in_fish "hvsession $verb --")"
        expect bash "$verb" "$option" "$(in_bash "hvsession $verb --")"
        grep -qF -e "$option" _hvsession || { echo "zsh does not know $option" >&2; failed=1; }
    done
done
expect fish config set "$(in_fish 'hvsession config ')"
for key in $(hvsession config list | sed -n 's/^\([A-Za-z]*\)=.*/\1/p'); do
    expect fish "config get" "$key" "$(in_fish 'hvsession config get ')"
    expect bash "config get" "$key" "$(in_bash 'hvsession config get ')"
done
exit $failed
