#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that the given lists name and that are missing.
#
#   tests/lib/install-packages.sh LIST...
#
# A list has one package a line, and what it is for behind a "#":
#
#   xvfb                            # any version
#   cmake (>= 3.25)                 # this version or later
#   freerdp3-x11 | freerdp2-x11     # the first that is installed, or else that there is
#
# Does nothing, and needs no root, if all are there; else uses sudo where it is not root. Services
# of the packages that would listen on the network are neither started nor enabled.
# Exit status: 0 all are there, 1 not, 2 wrong usage.
set -euo pipefail

# package -> its services that listen on the network
declare -A listening=([xrdp]="xrdp.service xrdp-sesman.service")

fail() {
    echo "install-packages.sh: $*" >&2
    exit 1
}

case ${1:-} in
'') echo "usage: install-packages.sh LIST..." >&2; exit 2 ;;
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
esac
for tool in dpkg-query apt-get apt-cache; do
    command -v "$tool" > /dev/null || fail "no $tool here: this is for Debian and Ubuntu. Install \
by hand what these lists name: $*"
done

# The version that is installed; nothing if none is.
installed_version() { # PACKAGE
    local status version
    read -r status version < <(dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" \
        2> /dev/null) || true
    [ "${status:-}" != installed ] || echo "$version"
}

# The version that apt would install; nothing if it knows none.
candidate_version() { # PACKAGE
    LC_ALL=C apt-cache policy "$1" 2> /dev/null \
        | sed -n 's/^  Candidate: //p' | sed '/^(none)$/d'
}

satisfies() { # VERSION MINIMUM
    [ -n "$1" ] && { [ -z "$2" ] || dpkg --compare-versions "$1" ge "$2"; }
}

# Splits "name (>= minimum)" into the variables name and minimum.
parse() { # ALTERNATIVE
    local pattern='^ *([a-z0-9][a-z0-9+.-]*) *(\(>= *([^) ]+)\))? *$'
    [[ ${1//$'\t'/ } =~ $pattern ]] || fail "not a package: \"$1\""
    name=${BASH_REMATCH[1]} minimum=${BASH_REMATCH[3]}
}

# Whether one of the alternatives is installed.
have() { # LINE
    local alternatives alternative
    IFS='|' read -ra alternatives <<< "$1"
    for alternative in "${alternatives[@]}"; do
        parse "$alternative"
        if satisfies "$(installed_version "$name")" "$minimum"; then
            return 0
        fi
    done
    return 1
}

# Prints the first alternative that apt can install.
choose() { # LINE
    local alternatives alternative
    IFS='|' read -ra alternatives <<< "$1"
    for alternative in "${alternatives[@]}"; do
        parse "$alternative"
        if satisfies "$(candidate_version "$name")" "$minimum"; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

# Sets missing: the lines of which nothing is installed.
find_missing() {
    local line
    missing=()
    for line in "${wanted[@]}"; do
        have "$line" || missing+=("$line")
    done
}

# Sets chosen: a package for each missing line; fails if apt knows none for one of them.
choose_all() {
    local line
    chosen=() unknown=()
    for line in "${missing[@]}"; do
        if name=$(choose "$line"); then
            chosen+=("$name")
        else
            unknown+=("$line")
        fi
    done
    [ ${#unknown[@]} -eq 0 ]
}

update() {
    echo "updating apt's lists"
    "${root[@]}" apt-get -q=2 update || echo "apt-get update failed; trying with what is known" >&2
    updated=yes
}

# Services that must not start are masked until they are installed, and at most until a reboot.
mask_services() {
    local package
    services=()
    [ -d /run/systemd/system ] || return 0
    for package in "${chosen[@]}"; do
        # shellcheck disable=SC2206
        services+=(${listening[$package]:-})
    done
    [ ${#services[@]} -eq 0 ] || "${root[@]}" systemctl --quiet --runtime mask "${services[@]}"
}

unmask_services() {
    [ ${#services[@]} -gt 0 ] || return 0
    "${root[@]}" systemctl --quiet --runtime unmask "${services[@]}"
    "${root[@]}" systemctl --quiet disable "${services[@]}"
    echo "not started and not enabled: ${services[*]}"
}

install() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -y -q=2 --no-install-recommends -o Dpkg::Use-Pty=0 install "${chosen[@]}"
}

wanted=()
for list in "$@"; do
    [ -r "$list" ] || fail "cannot read $list"
    while IFS= read -r line; do
        line=${line%%#*}
        [[ $line =~ ^[[:space:]]*$ ]] || wanted+=("$line")
    done < "$list"
done

find_missing
if [ ${#missing[@]} -eq 0 ]; then
    echo "all ${#wanted[@]} packages are installed"
    exit 0
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || fail "these are missing, and installing them needs root or \
sudo:$(printf ' %s' "${missing[@]%%[|(]*}" | tr -s ' ')"
    root=(sudo)
fi

updated=no
choose_all || { update; choose_all; } || fail "this release has none of:$(printf ' "%s"' \
    "${unknown[@]}" | sed 's/ *"/ /g')"
echo "installing ${chosen[*]}"
services=()
trap unmask_services EXIT
mask_services
if ! install; then
    echo "trying once more" >&2
    [ "$updated" = yes ] || update
    install || fail "apt-get cannot install them"
fi
find_missing
[ ${#missing[@]} -eq 0 ] || fail "still missing: ${missing[*]}"
