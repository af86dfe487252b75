#!/usr/bin/env bash
# Builds the RPM packages of this tree, with the libraries of the system that it runs on.
#
#   packaging/rpm/build.sh [OUTPUT-DIRECTORY]      build/packages by default
#
# The source is made of what git knows (or, without git, of all but build/). Two builds of one tree
# on one system give the same bytes: the time in them is that of the spec's last change log entry.
# Where rpm does not know what is installed, as on Debian, its BuildRequires are not looked at; they
# are those of packaging/debian/control.
# Exit status: 0 built, 1 not, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
-*) echo "build.sh: unknown option $1; try --help" >&2; exit 2 ;;
esac
out=$(realpath -m "${1:-build/packages}")
spec=packaging/rpm/hvsession.spec
version=$(sed -n 's/^Version: *//p' "$spec")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work"/{BUILD,RPMS,SOURCES,db}

reproducible=(--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX
    "--transform=s,^\(\./\)\?,hvsession-$version/,")
if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar --null "${reproducible[@]}" -cf - -T -
else
    tar "${reproducible[@]}" --exclude=./build -cf - .
fi | gzip -9n > "$work/SOURCES/hvsession-$version.tar.gz"

options=()
if ! rpm -q --quiet rpm 2> /dev/null; then
    # What the other distributions' rpm does at the end of every %install.
    echo '%__os_install_post bash %{_rpmconfigdir}/brp-compress' > "$work/macros"
    options+=(--nodeps "--load=$work/macros" --define "hvs_install_options --strip")
fi
LC_ALL=C rpmbuild -bb "${options[@]}" \
    --define "_topdir $work" --define '_buildhost localhost' \
    --define 'source_date_epoch_from_changelog 1' \
    --define 'use_source_date_epoch_as_buildtime 1' \
    --define 'clamp_mtime_to_source_date_epoch 1' "$spec"
mv "$work"/RPMS/*/*.rpm "$out/"
