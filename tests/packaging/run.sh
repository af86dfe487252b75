#!/usr/bin/env bash
# Builds the packages and tries them: CTest runs these steps, each as "run.sh STEP".
#
#   build           the packages of this tree, into build/packages
#   lint            manual pages, lintian, rpmlint, desktop files
#   reproducible    a second build, in another place, zone, language and umask, has the same bytes
#   debian          the .deb is installed, used, replaced, removed and purged in a clean root, which
#                   is the same before and after; its units are verified there
#   rpm             the .rpm has what it should; it is installed and erased likewise
#
# Without STEP, all of them. The clean root is a minbase of the release that this machine runs, kept
# in ${XDG_CACHE_HOME:-~/.cache}/hvsession/packaging; "debian" and "rpm" need root, for chroot.
# Exit status: 0 passed, 1 failed, 2 wrong usage, 77 skipped for want of root (never with CI=true).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
PATH=$PATH:/usr/sbin:/sbin

packages=$PWD/build/packages
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hvsession/packaging
# The most that systemd-analyze security may find in the daemon, in tenths.
exposure_max=15

say() { printf '   %s\n' "$*"; }
fail() { echo "packaging: $*" >&2; exit 1; }

need_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    [ "${CI:-}" != true ] || fail "needs root, for chroot"
    echo "skipped: needs root, for chroot"
    exit 77
}

# Sets work: a directory that goes at the end.
make_work() {
    work=$(mktemp -d)
    trap 'rm -rf --one-file-system "$work"' EXIT
    chmod 755 "$work"
}

# Runs a build quietly; shows its end if it fails.
build_into() { # DIRECTORY SCRIPT
    local log=$packages/$2.log
    packaging/"$2"/build.sh "$1" > "$log" 2>&1 || { tail -n 30 "$log"; fail "$2/build.sh failed"; }
}

# ---- build, lint, reproducible

step_build() {
    rm -rf "$packages"
    mkdir -p "$packages"
    build_into "$packages" debian
    build_into "$packages" rpm
    find "$packages" \( -name '*.deb' -o -name '*.rpm' \) -printf '   %f, %k KiB\n' | sort
}

# Every page, and that those of ours which it names are there; what others have is not known here.
lint_manual() {
    local page said
    for page in packaging/man/*.[1-8]; do
        said=$(mandoc -Tlint "$page" 2> "$work/complaints" |
            grep -Ev 'referenced manual not found: Xr' || true)
        [ -z "$said" ] || { echo "$said"; fail "mandoc complains of $page"; }
    done
    sed -n 's/^\.Xr \(hvsession[a-z.]*\) \([1-8]\).*/\1.\2/p' packaging/man/*.[1-8] | sort -u |
        while read -r page; do
            [ -e "packaging/man/$page" ] || fail "no page $page, which another one names"
        done
    say "manual pages: mandoc has nothing to say"
}

lint_desktop() {
    local file
    for file in "$@"; do
        case $file in
        *.desktop) desktop-file-validate "$file" ;;
        *.metainfo.xml) appstreamcli validate --no-net "$file" ;;
        esac || fail "$file is not valid"
    done
    say "desktop files: ${#} valid"
}

step_lint() {
    local options=()
    make_work
    lint_manual
    [ "$(id -u)" -ne 0 ] || options=(--allow-root)
    lintian "${options[@]}" --fail-on error,warning "$packages"/*.changes || fail "lintian complains"
    say "lintian: nothing to say"
    rpmlint -c packaging/rpm/rpmlint.toml packaging/rpm/hvsession.spec "$packages"/*.rpm \
        > "$work/rpmlint" || { cat "$work/rpmlint"; fail "rpmlint complains"; }
    grep -q ' 0 errors, 0 warnings' "$work/rpmlint" ||
        { cat "$work/rpmlint"; fail "rpmlint complains"; }
    say "rpmlint: nothing to say"
    for package in "$packages"/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    mapfile -t files < <(find "$work/root" -name '*.desktop' -o -name '*.metainfo.xml')
    [ ${#files[@]} -eq 0 ] || lint_desktop "${files[@]}"
}

step_reproducible() {
    local package
    make_work
    mkdir "$work/again"
    # Another place for the work, and everything that a build should not look at.
    mkdir "$work/elsewhere"
    (umask 077
     # shellcheck disable=SC2030
     export TMPDIR=$work/elsewhere TZ=Pacific/Chatham LC_ALL=C.UTF-8 HOME=$work/elsewhere
     build_into "$work/again" debian
     build_into "$work/again" rpm)
    for package in "$packages"/*.deb "$packages"/*.rpm; do
        cmp "$package" "$work/again/${package##*/}" || fail "two builds differ"
        say "${package##*/}: the same bytes twice"
    done
}

# ---- the clean root

# What a minbase needs beside: what the packages depend on, and what they do things for.
root_packages() {
    local gui=
    echo systemd udev dbus polkitd passwd procps
    dpkg-deb -f "$packages"/hvsession_*.deb Depends | tr ',' '\n' |
        sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p'
    if ls "$packages"/hvsession-xrdp_*.deb > /dev/null 2>&1; then
        echo xrdp xorgxrdp
    fi
    for gui in "$packages"/hvsession-gui_*.deb; do
        [ ! -e "$gui" ] || dpkg-deb -f "$gui" Depends | tr ',' '\n' |
            sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p'
    done
}

# Prints the path of the root as an archive, made when it is missing.
clean_root_archive() {
    local codename include archive options sources=()
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    include=$(root_packages | tr ' ' '\n' | sort -u | paste -sd,)
    archive=$cache/$codename-$(echo "$include" | sha256sum | cut -c1-16).tar
    mkdir -p "$cache"
    exec 9> "$cache/lock"
    flock 9
    if [ ! -e "$archive" ]; then
        # shellcheck source=/dev/null
        if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
            options=$(tests/vm/apt-private.sh "$codename")
            sources=("$(sed -n 's/^Dir::Etc::sourcelist=//p' <<< "$options")")
        fi
        rm -f "$cache/$codename"-*.tar
        mmdebstrap --quiet --variant=minbase --mode=root --include="$include" \
            --aptopt='APT::Install-Recommends "false"' \
            "$codename" "$archive.new.tar" "${sources[@]}" >&2
        mv "$archive.new.tar" "$archive"
    fi
    flock -u 9
    echo "$archive"
}

# Sets root: a clean root of this run's own, in a directory of make_work.
unpack_root() {
    local archive
    archive=$(clean_root_archive)
    root=$work/root
    mkdir "$root"
    tar -xf "$archive" -C "$root" --numeric-owner
    # As in an image that is being made: nothing is started.
    printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
}

in_root() { env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$root" "$@"; }

# Everything in the root with type, mode, owner and content; not what package managers keep.
snapshot() { # OUTPUT
    local not=(-path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/lib/rpm
        -o -path ./var/cache -o -path ./var/log -o -path ./run/systemd -o -path ./tmp
        -o -path './etc/*-')
    (cd "$root"
     find . -xdev \( "${not[@]}" \) -prune -o -printf '%p %M %U:%G %l\n' | LC_ALL=C sort
     find . -xdev \( "${not[@]}" \) -prune -o -type f -exec sha256sum {} + |
         LC_ALL=C sort -k 2) > "$1"
}

compare() { # BEFORE AFTER WHAT
    diff "$1" "$2" > "$work/difference" || { cat "$work/difference"; fail "$3"; }
}

verify_units() {
    mapfile -t units < <(cd "$root" && find lib/systemd/system usr/lib/systemd/system \
        -name 'hvsession*' ! -type d -printf '%f\n' 2> /dev/null | sort -u)
    [ ${#units[@]} -ge 2 ] || fail "units are missing"
    in_root systemd-analyze verify --man=no "${units[@]}" 2> "$work/verify" ||
        { cat "$work/verify"; fail "systemd-analyze verify complains"; }
    [ ! -s "$work/verify" ] || { cat "$work/verify"; fail "systemd-analyze verify complains"; }
    say "systemd-analyze verify: ${units[*]}"
    in_root systemd-analyze security --offline=yes --no-pager --threshold=$exposure_max \
        hvsessiond.service > "$work/security" ||
        { cat "$work/security"; fail "the daemon's exposure is too high"; }
    say "$(tail -n 1 "$work/security" | sed 's/^[^O]*//; s/ *[^ -~]*$//')"
}

# A user that no file is for, and an enabled service.
check_installed() {
    in_root getent passwd hvsession > /dev/null || fail "there is no user hvsession"
    [ "$(in_root systemctl is-enabled hvsessiond.service)" = enabled ] ||
        fail "hvsessiond.service is not enabled"
    [ "$(in_root hvsession version)" = "hvsession $version" ] || fail "another version runs"
    in_root hvsessiond --version > /dev/null || fail "hvsessiond does not run"
}

step_debian() {
    local debs=("$packages"/*.deb)
    need_root
    make_work
    version=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version | sed 's/-[^-]*$//')
    unpack_root
    snapshot "$work/before"

    cp "${debs[@]}" "$root/tmp/"
    in_root sh -c 'apt-get -qq -o Dpkg::Use-Pty=0 install /tmp/*.deb' > "$work/log" 2>&1 ||
        { cat "$work/log"; fail "the packages do not install"; }
    check_installed
    say "installed: $(in_root dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\n' |
        sed -n 's/^ii *\(hvsession.*\)/\1/p' | paste -sd,)"
    verify_units

    # Replaced by itself; what the administrator has set stays, as it does when it is removed.
    snapshot "$work/installed"
    in_root sh -c 'dpkg -i /tmp/*.deb' > "$work/log" 2>&1 ||
        { cat "$work/log"; fail "the packages do not replace themselves"; }
    snapshot "$work/replaced"
    compare "$work/installed" "$work/replaced" "replacing the packages changes the system"
    mkdir -p "$root/etc/hvsession/conf.d"
    echo '[hvsession]' > "$root/etc/hvsession/conf.d/50-test.conf"
    in_root sh -c 'apt-get -qq -o Dpkg::Use-Pty=0 remove "hvsession*"' > "$work/log" 2>&1 ||
        { cat "$work/log"; fail "the packages do not remove"; }
    [ -e "$root/etc/hvsession/conf.d/50-test.conf" ] || fail "removing takes the settings away"
    in_root sh -c 'apt-get -qq -o Dpkg::Use-Pty=0 purge "hvsession*"' > "$work/log" 2>&1 ||
        { cat "$work/log"; fail "the packages do not purge"; }
    snapshot "$work/after"
    compare "$work/before" "$work/after" "purging leaves something behind"
    say "purged: the root is as it was before"
}

# ---- rpm

rpm_in_root() { # WHAT ARGUMENT…; files, scripts and database in the root
    rpm --root "$root" --dbpath /var/lib/rpm --nodeps "${@:2}" > "$work/log" 2>&1 ||
        { cat "$work/log"; fail "the packages do not $1"; }
}

step_rpm() {
    local rpms=("$packages"/*.rpm) package
    need_root
    make_work
    version=$(sed -n 's/^Version: *//p' packaging/rpm/hvsession.spec)
    unpack_root
    mkdir -p "$root/var/lib/rpm"

    # The same files as in the Debian packages, but for what each distribution puts elsewhere.
    for package in "$packages"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -t
    done | sed 's,^\./,/,; s,^/lib/,/usr/lib/,; s,/vendor-completions/,/site-functions/,
               s,^/usr/lib/[^/]*-linux-gnu[^/]*/,/usr/lib64/,' |
        grep -v '/$\|^/usr/share/\(doc\|lintian\)/' |
        sort -u > "$work/debian"
    rpm -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' "${rpms[@]}" | sed '/^d/d; s/^[^ ]* //' |
        sort -u | grep -Ev '^/usr/lib/\.build-id|^/usr/share/(doc|licenses)/|preset$' > "$work/rpm"
    compare "$work/debian" "$work/rpm" "the two kinds of packages have other files"
    say "content: $(wc -l < "$work/rpm") files, as in the Debian packages"
    rpm -qp --scripts "${rpms[@]}" > "$work/scripts"
    for package in "${rpms[@]}"; do
        rpm -qp --qf '[%{POSTIN}\n][%{PREUN}\n][%{POSTUN}\n]' "$package" | sh -n ||
            fail "a scriptlet of ${package##*/} is no shell script"
    done
    ! grep -n '%{\|^%[a-z]' "$work/scripts" || fail "a macro is left in a scriptlet"

    # Directories of Fedora's packages filesystem and dbus-common.
    mkdir -p "$root"/usr/share/{applications,dbus-1/interfaces,licenses,metainfo} \
        "$root/etc/xdg/autostart"
    snapshot "$work/before"
    rpm_in_root install -i "${rpms[@]}"
    check_installed
    verify_units
    rpm_in_root "replace themselves" -U --replacepkgs "${rpms[@]}"
    check_installed
    mapfile -t names < <(rpm -qp --qf '%{NAME}\n' "${rpms[@]}")
    rpm_in_root erase -e "${names[@]}"
    # The user stays, as is the custom there.
    in_root userdel hvsession
    snapshot "$work/after"
    compare "$work/before" "$work/after" "erasing leaves something behind"
    say "installed, replaced, erased: the root is as it was before"
}

case ${1:-all} in
build | lint | reproducible | debian | rpm) "step_$1" ;;
all)
    for step in build lint reproducible debian rpm; do
        echo "-- $step ($SECONDS s)"
        "$0" "$step"
    done
    ;;
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" ;;
*) echo "run.sh: no step $1; try --help" >&2; exit 2 ;;
esac
