# Completion of hvsession(1) for bash, loaded by bash-completion as "hvsession".

_hvsession_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_hvsession_keys()
{
    hvsession config list 2> /dev/null | sed -n 's/^\([A-Za-z]*\)=.*/\1/p'
}

# Of those that live.
_hvsession_sessions()
{
    hvsession sessions 2> /dev/null | sed -n '/^#[0-9]* *ended/d; s/^#\([0-9]*\) .*/\1/p'
}

_hvsession_config()
{
    case $1,$action in
    1,*) _hvsession_words "list get set unset" ;;
    2,get | 2,set | 2,unset) _hvsession_words "$(_hvsession_keys)" ;;
    esac
}

_hvsession()
{
    local cur=${COMP_WORDS[COMP_CWORD]} verb='' action='' place=0 i
    local verbs="status doctor sessions disconnect monitor config setup support-bundle version help"

    # The verb and what stands behind it, without the options; place counts up to the cursor.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -*) continue ;;
        esac
        [ "$place" -eq 0 ] && verb=${COMP_WORDS[i]}
        [ "$place" -eq 1 ] && action=${COMP_WORDS[i]}
        place=$((place + 1))
    done

    COMPREPLY=()
    if [[ $cur == -* ]]; then
        case $verb in
        '') _hvsession_words "--help --version" ;;
        status | sessions | monitor | config) _hvsession_words "--json --help" ;;
        doctor) _hvsession_words "--json --verbose --help" ;;
        setup) _hvsession_words "--dry-run --undo --colord --help" ;;
        *) _hvsession_words "--help" ;;
        esac
        return
    fi
    case $place,$verb in
    0,*) _hvsession_words "$verbs" ;;
    1,disconnect) _hvsession_words "$(_hvsession_sessions)" ;;
    1,help) _hvsession_words "$verbs" ;;
    1,support-bundle) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    *,config) _hvsession_config "$place" ;;
    esac
}

complete -F _hvsession hvsession
