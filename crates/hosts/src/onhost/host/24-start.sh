# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Runs are started once, supervised, and bounded.

start() { # RUN TOKEN
    run_named "$1"
    begin "$1" "$2"
    if [ -z "$launched" ]; then printf 'already %s\n' "$1" && return; fi
    detach supervise "$1" 7>&-
    exec 9>&-
    printf 'started %s\n' "$1"
}

# A run that is staged is started from here on. Where it was not before, launched is set, and the caller is to supervise, with
# the run's lock on 9.
begin() { # RUN TOKEN
    launched=
    known "$1"
    same_token "$1" "$2"
    dir=$root/runs/$1
    lock
    if [ -e "$dir/started" ]; then unlock && return; fi
    # The lock is taken before `started` is there, and inherited by the supervisor: no look can find a started run without it.
    guard "$dir/lock"
    exec 9>>"$dir/lock"
    flock 9
    # `started` comes by ln: exclusive as O_EXCL, and never without its content
    current_to_run_in
    printf '%s\n%s\n' "$boot" "$release" >"$dir/.started"
    persist "$dir/.started"
    ln "$dir/.started" "$dir/started" || fail 1 "$dir/started could not be made"
    rm -f "$dir/.started"
    persist "$dir"
    launched=yes
    unlock
}

# Stages and begins at one stroke, or begins.
launch_run() { # RUN TOKEN none|lines|plain|gzip|zstd BYTES < PAYLOAD
    is_name token "$2"
    is_number 'number of bytes' "$4"
    claimed
    need tar sha256sum flock setsid
    dir=$root/runs/$1
    if [ ! -d "$dir" ] && [ "$3" != none ]; then
        umask 077
        incoming=$root/runs/.in-$2-$$
        mkdir "$incoming"
        trap '[ ! -d "$incoming" ] || rm -rf "$incoming"' EXIT
        unpack_payload "$3" "$4" || short_of_space "the script did not arrive whole; send it again" 23
        admissible "$incoming"
        : >"$incoming/stdout"
        : >"$incoming/stderr"
        printf '%s\n' "$2" >"$incoming/token"
        give_away "$incoming"
        current_to_run_in
        # It becomes the run with `started` in it and its lock taken: no look can find it otherwise.
        printf '%s\n%s\n' "$boot" "$release" >"$incoming/started"
        exec 9>>"$incoming/lock"
        flock 9
        become "$incoming" "$1"
        if [ ! -d "$incoming" ]; then
            persist "$dir/started" "$dir" "$root/runs"
            launched=yes
            return
        fi
        exec 9>&-
    fi
    begin "$1" "$2"
}

unpack_payload() { # FORM BYTES: into incoming
    if [ "$1" = lines ]; then
        read_lines
    else
        is_form "$1"
        head -c "$2" | unpack "$1" "$incoming" -p || return 1
        chmod go= "$incoming" "$incoming"/*
        chmod u+rx "$incoming/script"
    fi
}

read_lines() { # < `NAME COUNT` and so many lines, for each file, then `end`: no process where a script comes alone
    while read -r name count; do
        case $name in
        end) return ;;
        script | argv | env | timeout | as) is_number 'number of lines' "$count" ;;
        *) fail 64 "a payload in lines has no '$name'" ;;
        esac
        while [ "$count" -gt 0 ]; do
            IFS= read -r line || return 1
            printf '%s\n' "$line" || return 1 # the disk is full
            count=$((count - 1))
        done >"$incoming/$name"
    done
    return 1
}

# The only parent of the script, holding the run's lock on 9 until it is gone. No lost connection ends it.
supervise() { # RUN
    dir=$root/runs/$1
    umask 077
    first_line "$dir/timeout"
    watchdog=
    if [ "${line:-0}" -gt 0 ]; then
        (exec 9>&- && watch_over "$1" "$line") & # a redirection of the function would keep the lock in another place
        watchdog=$!
    fi
    # A status of 128+N is either a signal or an exit status. Who waits for the script says on its stderr which it was: setsid
    # always (and returns N), a shell except for INT and PIPE (bash: and TERM), which then pass for exit statuses.
    set +e # for what stands in parentheses it is on
    said=$(set -e && launch "$1" setsid -f -w 2>&1)
    status=$?
    if [ $status != 0 ] && [ ! -e "$dir/group" ]; then # this setsid cannot wait: the script has not been there yet
        exec 2>"$dir/.signal"
        (set -e && launch "$1" setsid)
        status=$?
        exec 2>/dev/null
        first_line "$dir/.signal" && said=$line
        rm -f "$dir/.signal"
    fi
    set -e
    if [ "$watchdog" ]; then
        kill -KILL "$watchdog" || : # first, so that it has no more children; then its sleep
        kill_group KILL "$watchdog" || :
    fi
    if [ -e "$dir/.timeout" ]; then
        ended=timeout
    elif [ -e "$dir/cancel" ]; then
        ended=cancelled
    elif [ "$said" ]; then
        ended=signal:$((status & 127))
    else
        ended=code:$status
    fi
    first_line "$dir/group" && group=${line%% *}
    if [ "$group" ]; then
        patience=0 # what outlives a script that was told to end has as long as the script has
        case $ended in timeout | cancelled) patience=$((grace * 5)) ;; esac
        while [ $patience -gt 0 ] && kill_group 0 "$group"; do
            nap
            patience=$((patience - 1))
        done
        kill_group KILL "$group" || :
    fi
    for left in files argv env; do # what was handed over for this run may be secret
        [ ! -e "$dir/$left" ] || rm -rf "$dir/files" "$dir/argv" "$dir/env"
    done
    output "$dir"
    printf 'exit=%s %s\n' "$ended" "$output" >"$dir/exit"
    exec 9>&-
    # A loss of power in the next seconds is told as one during the run. Of a bootstrap, which is never repeated, it is not.
    case $1 in boot-*) persist "$dir/stdout" "$dir/stderr" "$dir/exit" "$dir" ;; esac
    [ ! -e "$dir/.timeout" ] || rm -f "$dir/.timeout"
}

# Becomes who waits for the script, or the script. What goes wrong before is for the run's stderr.
launch() { # RUN SETSID [OPTION…]
    exec 9>&- 4>&2 2>>"$dir/stderr"
    run=$1
    shift
    setsid=$*
    identity
    { read -r _ && read -r release; } <"$dir/started"
    export AIRLIFT_FLEET="$fleet" AIRLIFT_HOST="$host" AIRLIFT_RUN="$run" AIRLIFT_ROOT="$root"
    unset AIRLIFT_RELEASE AIRLIFT_SECRETS_DIR DEPLOY_FILES_DIR
    first_line "$dir/as" && as=$line
    if [ -d "$dir/files" ]; then export DEPLOY_FILES_DIR="$dir/files"; fi
    if [ -d "$root/secrets" ] && [ -z "$as" ]; then export AIRLIFT_SECRETS_DIR="$root/secrets"; fi
    if [ "$release" = none ]; then cd "$dir"; else cd "$root/releases/$release" && export AIRLIFT_RELEASE="$release"; fi
    interpreter_of "$dir/script"
    set -- "$dir/script"
    [ -z "$option" ] || set -- "$option" "$@"
    [ -z "$interpreter" ] || set -- "$interpreter" "$@"
    if [ "$as" ]; then
        HOME=$(home_of "$as")
        export HOME USER="$as" LOGNAME="$as"
        if setpriv --reuid=0 true 2>/dev/null; then
            set -- setpriv "--reuid=$as" "--regid=$(id -g "$as")" --init-groups -- "$@"
        elif command -v runuser >/dev/null; then
            set -- runuser -u "$as" -- "$@"
        else
            # busybox's su hands `--` on, others take it away
            # shellcheck disable=SC2016 # expanded by that sh
            set -- su -s /bin/sh -c '[ "$0" != -- ] || shift; exec "$@"' "$as" -- sh "$@"
        fi
    fi
    # shellcheck disable=SC2086 # words
    exec $setsid sh "$self" become "$dir" "$root/specs/$release/env" "$@" 2>&4 4>&-
}

watch_over() { # RUN SECONDS, in a subshell. Where flock can wait for so long, it ends with the supervisor.
    if flock -s -w "$2" 6 6<"$dir/lock"; then return; fi 2>/dev/null
    if flock -s -w 1 6 6<"$dir/token"; then time_is_up "$1"; else exec setsid sh "$self" watchdog "$1" "$2"; fi 2>/dev/null
}

watchdog() { # RUN SECONDS
    sleep "$2"
    time_is_up "$1"
}

time_is_up() { # RUN. When the supervisor is gone the group's number may be somebody else's.
    dir=$root/runs/$1
    held "$dir/lock" || return 0
    : >"$dir/.timeout"
    first_line "$dir/group" && group=${line%% *}
    kill_group TERM "$group" || :
    sleep "$grace"
    kill_group KILL "$group" || :
}
