# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# look: what a host tells of itself. It writes nothing.

sizes() { wc -c "$1/stdout" "$1/stderr" | { read -r out _ && read -r err _ && printf 'stdout=%s stderr=%s' "$out" "$err"; }; } # RUN-FOLDER

nothing=0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

measure() { # FILE: sets measured to BYTES:SHA256, of the same bytes even when a stray process still writes
    measured=$nothing
    [ -s "$1" ] || return 0
    exec 5<"$1"
    sum=$(sha256sum <&5)
    while read -r key bytes; do # how far it was read
        [ "$key" != pos: ] || break
    done </proc/self/fdinfo/5
    exec 5<&-
    measured=$bytes:${sum%% *}
}

output() { # RUN-FOLDER: sets output
    measure "$1/stdout"
    output="stdout=$measured"
    measure "$1/stderr"
    output="$output stderr=$measured"
}

state_of() { # RUN: sets state
    dir=$root/runs/$1 state=absent
    [ -d "$dir" ] || return 0
    first_line "$dir/token" && token=$line
    if [ ! -e "$dir/started" ]; then
        state="staged token=$token"
    elif [ ! -s "$dir/exit" ] && held "$dir/lock"; then
        state="running token=$token $(sizes "$dir")"
    elif [ -s "$dir/exit" ]; then
        first_line "$dir/exit"
        state="exited token=$token $line"
    else
        first_line "$dir/started"
        if [ "$line" = "$boot" ]; then why=killed; else why=reboot; fi
        output "$dir"
        state="lost token=$token why=$why $output"
    fi
}

bootstraps() { # does the current release, as `current` sets it, have a bootstrap?
    [ -e "$root/specs/$release/spec" ] || return 1
    while read -r key _; do
        [ "$key" != bootstrap ] || return 0
    done <"$root/specs/$release/spec"
    return 1
}

# What is told is gathered in `told` and written at one stroke: each write is a packet for the operator to read.
told=

say() {
    printf '%s' "$told"
    told=
}

add() { # LINE
    told="$told$1
"
}

introduce() { # adds the facts that cost no process
    find_tools
    identity
    add "airlift-host 1
program $program
root $root
uid $uid
${AIRLIFT_PROBED:+$AIRLIFT_PROBED
}boot $boot"
    told=$told$tools
    [ "$fleet" = none ] || add "fleet $fleet
host $host"
}

add_run() { # RUN
    state_of "$1"
    add "run $1 $state"
}

look() { # [run ID]… [service NAME]…
    introduce
    ! free_kib || add "free $free"
    tell "$@"
}

tell() { # [run ID]… [service NAME]…; who knows that nobody takes anything has set nobody_takes
    first_line "$root/watcher" && watcher=$line
    if [ -z "${nobody_takes:-}" ] && held "$root/take.lock"; then take=busy; else take=idle; fi
    add "watcher ${watcher:-none}
take $take"
    for bundle in "$root"/inbox/*.bundle; do
        bundle=${bundle##*/} && bundle=${bundle%.bundle}
        ! is_digest "$bundle" || add "waiting $bundle"
    done
    for why in "$root"/inbox/refused/*.bundle.why; do
        bundle=${why##*/}
        first_line "$why"
        [ ! -e "$why" ] || add "refused ${bundle%.bundle.why} $line"
    done
    current
    add "current $release"
    for kept in "$root"/releases/*; do
        if [ -d "$kept" ] && is_whole "${kept##*/}"; then add "release ${kept##*/}"; fi
    done
    first_line "$root/secrets.digest"
    add "secrets ${line:-none}"
    if bootstraps; then
        bootstrap_run "$release"
        state_of "$run"
        add "bootstrap $release $state"
    fi
    while [ $# -gt 1 ]; do
        case $1 in
        run) run_named "$2" && add_run "$2" ;;
        service)
            word=$(systemctl is-active "$2" 2>/dev/null) || :
            add "service $2 ${word:-none}"
            ;;
        *) fail 64 "look knows 'run ID' and 'service NAME', not '$1'" ;;
        esac
        shift 2
    done
    add end
    say
}
