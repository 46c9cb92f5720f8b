# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Runs are attended to: signalled, cancelled, awaited, followed.

kill_group() { # SIGNAL GROUP. Of all there is, -1 would be everybody, and -0 we ourselves.
    case $2 in '' | 0 | 1 | *[!0-9]*) return 1 ;; esac
    if PATH=/nowhere kill "-$1" "-$2" 2>/dev/null; then return; elif [ $? != 127 ]; then return 1; fi
    kill "-$1" -- "-$2" 2>/dev/null # procps 4.0 reads -123 as -1 unless it comes after --, which the shells' own do not take
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
    add_run "$1"
    say
}

await_run() { # RUN
    run_named "$1"
    known "$1"
    await_lock "$root/runs/$1/lock"
}

follow() { # RUN OUT ERR
    run_named "$1"
    is_number offset "$2"
    is_number offset "$3"
    known "$1"
    dir=$root/runs/$1
    if ! held "$dir/lock"; then
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
    add_run "$1"
    add end
    say
    read -r request one two three || return 0
    case $request in
    launch) conduct "$1" "$one" "$two" "$three" ;;
    follow) follow_to_the_end "$1" "$one" "$two" ;;
    *) fail 64 "it takes 'launch TOKEN FORM BYTES' or 'follow OUT ERR', not '$request'" ;;
    esac
}

follow_to_the_end() { # RUN OUT ERR
    mark
    follow "$@"
    tell_end "$1"
}

mark() { # what comes before it is the login's
    printf '\000airlift\n'
    printf '\000airlift\n' >&2
}

tell_end() { # RUN, whose output was passed on
    state_of "$1"
    printf '\000airlift\nrun %s %s\n' "$1" "$state"
}

told_already=90 not_overseen=91 # exit statuses of `oversee`, besides those of `fail`

# Launches a run and supervises it by a process that outlives this one where the operator lets go. That process is not started
# in the background, where SIGINT is ignored for good, and so by the script too: this one waits for it.
conduct() { # RUN TOKEN FORM BYTES < PAYLOAD
    exec 3<&0 5>&2 2>/dev/null # a shell says so where the process that it waits for was killed
    set +e
    (
        exec 2>&5 5>&-
        set -e
        oversee "$@"
    )
    status=$?
    set -e
    exec 3<&- 2>&5 5>&-
    dir=$root/runs/$1
    case $status in
    0) recite "$1" ;;
    "$told_already") tell_end "$1" ;;
    "$not_overseen") follow_to_the_end "$1" 0 0 ;;
    1[3-9][0-9]) dismiss ;;
    *) exit "$status" ;;
    esac
}

oversee() { # RUN TOKEN FORM BYTES < PAYLOAD, which is 3 too: ends when the run does
    launch_run "$@"
    if [ -z "$launched" ]; then
        printf 'already %s\n' "$1"
        exit "$not_overseen"
    fi
    # sshd gives a command without a terminal a session of its own, and signals nobody there. When a terminal hangs up, it ends
    # all that has no session of its own.
    if { true </dev/tty; } 2>/dev/null; then
        detach supervise "$1"
        launched=
    fi
    trap : PIPE # nobody may listen any more; unlike one that is ignored, a signal that is caught is as ever for the script
    printf 'started %s\n' "$1" || :
    [ "$launched" ] || exit "$not_overseen"
    trap - PIPE
    (exec <&3 3<&- 9>&- && accompany "$1") & # a redirection of the function would keep the lock in another place
    companion=$!
    printf '%s\n' "$companion" >&9 # for `dismiss`
    exec </dev/null >/dev/null 2>&1 3<&-
    supervise "$1"
    kill -USR1 "$companion" || :
    if wait "$companion"; then exit "$told_already"; fi
    exit 0
}

# In the background while a run lasts: waits for a line, by which the operator asks for output that comes, or for the end of
# the input, by which the operator lets go.
accompany() { # RUN
    passed_on=
    if read -r _; then
        trap '' USR1
        trap : PIPE
        mark || :
        trap - PIPE
        follow "$1" 0 0
        passed_on=yes
    fi
    if held "$root/runs/$1/lock"; then kill -KILL $$; fi
    [ "$passed_on" ]
}

dismiss() { # who accompanies the run in dir, whose supervisor was killed; whoever reads will ask for what is missing, and for its end
    first_line "$dir/lock"
    kill -USR1 "$line" || :
    while kill -0 "$line"; do nap; done
} 2>/dev/null

recite() { # RUN, which is over: its output, and how it ended
    state_of "$1"
    case $state in 'exited '*) ;; *) return ;; esac # a sweep that keeps nothing was faster
    bytes=${state#* stderr=}
    bytes=${bytes%%:*}
    if [ "$bytes" = 0 ]; then
        :
    elif short_text "$dir/stderr" "$bytes"; then
        printf '\000airlift\n%s' "$text" >&2
    else
        printf '\000airlift\n' >&2
        tail -c +1 "$dir/stderr" >&2
    fi
    bytes=${state#* stdout=}
    bytes=${bytes%%:*}
    if short_text "$dir/stdout" "$bytes"; then
        printf '\000airlift\n%s\000airlift\nrun %s %s\n' "$text" "$1" "$state"
    else
        printf '\000airlift\n'
        tail -c +1 "$dir/stdout"
        printf '\000airlift\nrun %s %s\n' "$1" "$state"
    fi
}

short_text() { # FILE BYTES: sets text, where to read those few lines of plain text costs less than a process
    text=
    [ "$2" -le 1000 ] || return 1
    while IFS= read -r line; do
        text="$text$line
"
    done <"$1"
    case $text in
    *[![:print:][:space:]]*) return 1 ;;
    esac
    [ ${#text} = "$2" ]
}
