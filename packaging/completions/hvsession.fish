# Completion of hvsession(1) for fish.

function __hvsession_keys
    hvsession config list 2>/dev/null | string match --regex --groups-only '^([A-Za-z]+)='
end

# Of those that live.
function __hvsession_sessions
    hvsession sessions 2>/dev/null | string match --regex --groups-only '^#(\d+) +(?!ended)'
end

function __hvsession_config_takes_key
    __fish_seen_subcommand_from config; and test (count (commandline -opc)) -eq 3
    and __fish_seen_subcommand_from get set unset
end

function __hvsession_config_takes_action
    __fish_seen_subcommand_from config
    and not __fish_seen_subcommand_from list get set unset
end

complete -c hvsession -f
complete -c hvsession -s h -l help -d 'Explain'
complete -c hvsession -n __fish_use_subcommand -s V -l version -d 'Print the version'

complete -c hvsession -n __fish_use_subcommand -a status -d 'Show the service and its sessions'
complete -c hvsession -n __fish_use_subcommand -a doctor -d 'Say what is wrong, and what mends it'
complete -c hvsession -n __fish_use_subcommand -a sessions -d 'List the sessions'
complete -c hvsession -n __fish_use_subcommand -a disconnect -d 'End a session'
complete -c hvsession -n __fish_use_subcommand -a monitor -d 'Show what happens, line by line'
complete -c hvsession -n __fish_use_subcommand -a config -d 'List, read and change the settings'
complete -c hvsession -n __fish_use_subcommand -a setup -d 'Set up what Enhanced Session needs'
complete -c hvsession -n __fish_use_subcommand -a support-bundle -d 'Gather what a helper needs'
complete -c hvsession -n __fish_use_subcommand -a version -d 'Print the version'
complete -c hvsession -n __fish_use_subcommand -a help -d 'Explain a command'

complete -c hvsession -n '__fish_seen_subcommand_from status doctor sessions monitor config' \
    -s j -l json -d 'Print JSON, for programs'
complete -c hvsession -n '__fish_seen_subcommand_from doctor' -s v -l verbose \
    -d 'Say of every finding why it matters'
complete -c hvsession -n '__fish_seen_subcommand_from setup' -l dry-run -d 'Only print the steps'
complete -c hvsession -n '__fish_seen_subcommand_from setup' -l undo -d 'Put everything back'
complete -c hvsession -n '__fish_seen_subcommand_from setup' -l colord \
    -d "End colour management's password prompts"
complete -c hvsession -n '__fish_seen_subcommand_from disconnect' -a '(__hvsession_sessions)'
complete -c hvsession -n __hvsession_config_takes_action -a 'list get set unset'
complete -c hvsession -n __hvsession_config_takes_key -a '(__hvsession_keys)'
complete -c hvsession -n '__fish_seen_subcommand_from support-bundle' -F
complete -c hvsession -n '__fish_seen_subcommand_from help' \
    -a 'status doctor sessions disconnect monitor config setup support-bundle version help'
