#!/usr/bin/env bash
# Collects what there is to translate into hvsession.pot, and merges it into the translations.
#
#   gui/po/update.sh [BUILD]
#
# BUILD (build/release by default) has words-table.h: what the service may say. Prints, for each
# language, how much is translated.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath --relative-to=. "${1:-build/release}")

xgettext --files-from=gui/po/POTFILES --output=gui/po/hvsession.pot \
    --from-code=UTF-8 --keyword=_ --keyword=N_ --add-comments=Translators --sort-by-file \
    --package-name=hvsession --copyright-holder= --no-location
# Its sentences hold percent signs and braces that are no formats of C.
xgettext --join-existing --output=gui/po/hvsession.pot --from-code=UTF-8 --keyword=N_ --no-location \
    --flag=N_:1:no-c-format "$build/gui/words-table.h"
# Nothing that changes by itself, and no lines to be filled in by whoever makes a translation.
sed -i -e '/^"POT-Creation-Date/d' -e '1,/^#$/{/^# /d}' gui/po/hvsession.pot
grep '^[a-z]' gui/po/LINGUAS | while read -r language; do
    msgmerge --quiet --update --backup=none --no-fuzzy-matching --no-location --no-wrap \
        "gui/po/$language.po" gui/po/hvsession.pot
    msgattrib --no-obsolete --no-location --no-wrap --output-file="gui/po/$language.po" \
        "gui/po/$language.po"
    msgfmt --check --statistics --output-file=/dev/null "gui/po/$language.po"
done
