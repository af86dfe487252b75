#!/bin/bash
# apt-private.sh SUITE: prints the apt options (one a line) that select a private apt state with one
# Debian suite, binary and source packages. The machine's own sources and packages are left alone.
#
#   mapfile -t apt < <(./apt-private.sh bookworm); apt-get "${apt[@]}" download busybox-static
#
# The mirror is HVSESSION_DEBIAN_MIRROR if set, else the one that this Debian machine already uses.
# Lists are fetched at most once a day; when the mirror cannot be reached, older lists are used.
set -euo pipefail

suite=${1:?usage: apt-private.sh SUITE}
dir=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/vm/apt/$suite
fail() { echo "apt-private.sh: $*" >&2; exit 1; }

debian_mirror()
{
    if [ -n "${HVSESSION_DEBIAN_MIRROR:-}" ]; then
        echo "$HVSESSION_DEBIAN_MIRROR"
        return
    fi
    # shellcheck source=/dev/null
    if [ "$(. /etc/os-release && echo "$ID")" != debian ]; then
        fail "this is not Debian: set HVSESSION_DEBIAN_MIRROR to the URL of a Debian mirror"
    fi
    # deb822 files name it after "URIs:", one-line files after "deb" and optional [options];
    # security archives do not hold the release itself.
    { sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
          /etc/apt/sources.list.d/debian.sources || true
      sed -n 's/^deb[[:space:]]\+\(\[[^]]*\][[:space:]]*\)\?\([^[:space:]]*\).*/\2/p' \
          /etc/apt/sources.list || true; } 2>/dev/null | grep -v security | sed -n 1p
}

keyring=
for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    [ ! -e "$file" ] || keyring=${keyring:-$file}
done
[ -n "$keyring" ] || fail "no Debian keyring: apt-get install debian-archive-keyring"
mirror=$(debian_mirror)
[ -n "$mirror" ] || fail "no Debian mirror in apt's sources: set HVSESSION_DEBIAN_MIRROR"

mkdir -p "$dir/none" "$dir/lists/partial" "$dir/cache/archives/partial"
exec 9> "$dir/lock"
flock 9

# An empty dpkg status: what is installed on this machine must not decide which version is picked.
: > "$dir/status"
printf "deb [signed-by=$keyring] %s %s main\ndeb-src [signed-by=$keyring] %s %s main\n" \
    "$mirror" "$suite" "$mirror" "$suite" > "$dir/sources.list.new"
if ! cmp -s "$dir/sources.list.new" "$dir/sources.list"; then
    mv "$dir/sources.list.new" "$dir/sources.list"
    rm -f "$dir/updated"
fi

options=(-o "Dir::Etc::sourcelist=$dir/sources.list" -o "Dir::Etc::sourceparts=$dir/none"
    -o Dir::Etc::preferences=/dev/null -o "Dir::Etc::preferencesparts=$dir/none"
    -o "Dir::State::status=$dir/status" -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache"
    -o APT::Sandbox::User= -o APT::Architecture=amd64 -o APT::Architectures=amd64
    -o APT::Get::AllowUnauthenticated=false -o Acquire::Languages=none -o Acquire::Retries=3)
if [ -z "$(find "$dir/updated" -mtime -1 2>/dev/null)" ]; then
    if apt-get "${options[@]}" -qq -o APT::Update::Error-Mode=any update >&2; then
        touch "$dir/updated"
    elif [ -e "$dir/updated" ]; then
        echo "apt-private.sh: $suite: no update, using lists of $(date -r "$dir/updated" +%F)" >&2
    else
        fail "$suite: update failed"
    fi
fi
printf '%s\n' "${options[@]}"
