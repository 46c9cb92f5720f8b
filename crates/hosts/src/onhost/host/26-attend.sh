# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Runs are attended to: signalled, cancelled, awaited, followed.

kill_group() { # SIGNAL GROUP. Of all there is, -1 would be everybody, and -0 we ourselves.
    case $2 in '' | 0 | 1 | *[!0-9]*) return 1 ;; esac
    kill=${kill:-$(command -v kill)}
    case $kill in
    kill) kill "-$1" "-$2" ;;
    *) kill "-$1" -- "-$2" ;; # procps 4.0 reads -123 as -1 unless it comes after --, which the shells' own do not take
    esac 2>/dev/null
}

birth() { # PID: sets birth, when it started, in ticks since boot (field 22 of /proc/PID/stat): an id used again is told apart
    birth=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    # shellcheck disable=SC2086 # what follows the name in parentheses: from field 3 on
    set -- ${stat##*) }
    birth=${20}
}

living_group() { # RUN-FOLDER -> the script's process group, while it is surely the script's
    { read -r group born <"$1/group"; } 2>/dev/null || return 0
    if held "$1/lock" || { [ "$born" ] && birth "$group" && [ "$birth" = "$born" ]; }; then printf '%s' "$group"; fi
}

signal_group() { # SIGNAL RUN-FOLDER: true if there is somebody to signal
    kill_group "$1" "$(living_group "$2")"
}

end_run() { # RUN
    dir=$root/runs/$1
    lock
    if [ ! -e "$dir/started" ]; then
        printf "%s\n" "exit=cancelled stdout=$nothing stderr=$nothing" >"$dir/exit"
        put "$dir/started" "$boot"
        rm -rf "$dir/files" "$dir/argv" "$dir/env" # what was handed over for this run may be secret
    fi
    unlock
    if [ -s "$dir/exit" ]; then return; fi
    : >"$dir/cancel"
    if signal_group TERM "$dir"; then
        patience=$((grace * 5))
        while [ $patience -gt 0 ] && { held "$dir/lock" || [ "$(living_group "$dir")" ]; }; do
            nap
            patience=$((patience - 1))
        done
        signal_group KILL "$dir" || :
    fi
    await_run "$1" # the supervisor writes `exit`
}

cancel() { # RUN [TOKEN]
    run_named "$1"
    if [ "${2-}" ] && [ ! -d "$root/runs/$1" ]; then forestall "$1" "$2"; fi
    known "$1"
    end_run "$1"
    printf 'run %s ' "$1" && state "$1" && echo
}

await_run() { # RUN
    run_named "$1"
    known "$1"
    await_lock "$root/runs/$1/lock"
}

is_over() { # of the run in dir. One that began a moment ago may be over a moment later: for that, no reader is started
    patience=${launched:+3}
    while [ "${patience:-0}" -gt 0 ]; do # where flock cannot wait, this takes no time
        if flock -s -w 1 6 6<"$dir/lock"; then return; fi 2>/dev/null
        if [ -s "$dir/stdout" ] || [ -s "$dir/stderr" ]; then break; fi
        patience=$((patience - 1))
    done
    ! held "$dir/lock"
}

follow() { # RUN OUT ERR
    run_named "$1"
    is_number offset "$2"
    is_number offset "$3"
    known "$1"
    dir=$root/runs/$1
    if is_over; then
        [ ! -s "$dir/stdout" ] || tail -c "+$(($2 + 1))" "$dir/stdout"
        [ ! -s "$dir/stderr" ] || tail -c "+$(($3 + 1))" "$dir/stderr" >&2
        return
    fi
    exec 3<&0
    tail -c "+$(($2 + 1))" -f "$dir/stdout" 3<&- 2>/dev/null &
    tails=$!
    tail -c "+$(($3 + 1))" -f "$dir/stderr" 3<&- >&2 2>/dev/null &
    tails="$tails $!"
    # `gate` ends with stdin; `over` gets the lock when the run is over, lets the tails catch up, and opens the gate
    cat <&3 >/dev/null 2>&1 &
    gate=$!
    # shellcheck disable=SC2016 # expanded by that sh
    flock -s "$dir/lock" sh -c 'sleep 0.1; kill "$1"' over "$gate" 3<&- >/dev/null 2>&1 &
    over=$!
    # shellcheck disable=SC2064,SC2086 # as they are now; two words
    trap "kill $tails $gate $over || :" EXIT
    trap 'exit 1' HUP INT TERM
    exec 2>/dev/null
    wait "$gate" || :
    # shellcheck disable=SC2086 # two words
    { kill $tails && wait $tails; } || :
}

# One command for all of a run: what is to be known before it is sent, the sending and starting, its output, its end.
attend() { # RUN < REQUEST
    run_named "$1"
    introduce
    tell_run "$1"
    echo end
    read -r request one two three || return 0
    case $request in
    launch)
        launch_run "$1" "$one" "$two" "$three"
        launched=yes one=0 two=0
        ;;
    follow) ;;
    *) fail 64 "it takes 'launch TOKEN FORM BYTES' or 'follow OUT ERR', not '$request'" ;;
    esac
    printf '\000airlift\n'
    printf '\000airlift\n' >&2
    follow "$1" "$one" "$two"
    printf '\000airlift\n'
    tell_run "$1"
}
