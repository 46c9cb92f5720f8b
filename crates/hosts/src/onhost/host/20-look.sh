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

state() { # RUN -> STATE…
    dir=$root/runs/$1
    if [ ! -d "$dir" ]; then printf absent && return; fi
    first_line "$dir/token" && token=$line
    if [ ! -e "$dir/started" ]; then
        printf 'staged token=%s' "$token"
    elif [ ! -s "$dir/exit" ] && held "$dir/lock"; then
        printf 'running token=%s ' "$token" && sizes "$dir"
    elif [ -s "$dir/exit" ]; then
        first_line "$dir/exit"
        printf 'exited token=%s %s' "$token" "$line"
    else
        first_line "$dir/started"
        if [ "$line" = "$boot" ]; then why=killed; else why=reboot; fi
        output "$dir"
        printf 'lost token=%s why=%s %s' "$token" "$why" "$output"
    fi
}

bootstraps() { # does the current release, as `current` sets it, have a bootstrap?
    [ -e "$root/specs/$release/spec" ] || return 1
    while read -r key _; do
        [ "$key" != bootstrap ] || return 0
    done <"$root/specs/$release/spec"
    return 1
}

introduce() { # the facts that cost no process
    printf 'airlift-host 1\nprogram %s\nroot %s\nuid %s\n' "$program" "$root" "$uid"
    [ -z "${AIRLIFT_PROBED:-}" ] || printf '%s\n' "$AIRLIFT_PROBED"
    printf 'boot %s\n' "$boot"
    for tool in sha256sum tar flock setsid zstd gzip systemctl sudo su; do
        ! command -v "$tool" >/dev/null || printf 'tool %s\n' "$tool"
    done
    identity
    [ "$fleet" = none ] || printf 'fleet %s\nhost %s\n' "$fleet" "$host"
}

tell_run() { printf 'run %s ' "$1" && state "$1" && echo; } # RUN

look() { # [run ID]… [service NAME]…
    introduce
    free_kib && printf 'free %s\n' "$free"
    tell "$@"
}

tell() { # [run ID]… [service NAME]…; who knows that nobody takes anything has set nobody_takes
    first_line "$root/watcher" && watcher=$line
    if [ -z "${nobody_takes:-}" ] && held "$root/take.lock"; then take=busy; else take=idle; fi
    printf 'watcher %s\ntake %s\n' "${watcher:-none}" "$take"
    for bundle in "$root"/inbox/*.bundle; do
        bundle=${bundle##*/} && bundle=${bundle%.bundle}
        ! is_digest "$bundle" || printf 'waiting %s\n' "$bundle"
    done
    for why in "$root"/inbox/refused/*.bundle.why; do
        bundle=${why##*/}
        first_line "$why"
        [ ! -e "$why" ] || printf 'refused %s %s\n' "${bundle%.bundle.why}" "$line"
    done
    current
    printf 'current %s\n' "$release"
    for kept in "$root"/releases/*; do
        if [ -d "$kept" ] && is_whole "${kept##*/}"; then printf 'release %s\n' "${kept##*/}"; fi
    done
    first_line "$root/secrets.digest"
    printf 'secrets %s\n' "${line:-none}"
    if bootstraps; then
        bootstrap_run "$release"
        printf 'bootstrap %s ' "$release" && state "$run" && echo
    fi
    while [ $# -gt 1 ]; do
        case $1 in
        run) run_named "$2" && tell_run "$2" ;;
        service)
            word=$(systemctl is-active "$2" 2>/dev/null) || :
            printf 'service %s %s\n' "$2" "${word:-none}"
            ;;
        *) fail 64 "look knows 'run ID' and 'service NAME', not '$1'" ;;
        esac
        shift 2
    done
    echo end
}
