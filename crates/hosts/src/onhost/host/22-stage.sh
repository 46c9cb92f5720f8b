# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Runs are staged: admitted only if their script could start here.

known() { [ -d "$root/runs/$1" ] || fail 27 "there is no run $1 on this host"; } # RUN

same_token() { # RUN TOKEN
    first_line "$root/runs/$1/token"
    [ "$line" = "$2" ] || fail 21 "run $1 was staged with another token; it is somebody else's"
}

interpreter_of() { # SCRIPT: sets interpreter (nothing where the kernel needs none) and option
    interpreter=sh option=''
    first_line "$1"
    case $line in
    ?ELF*) [ "${line%"${line#?}"}" != "$(printf '\177')" ] || interpreter= ;;
    '#!'*)
        read -r interpreter option <<TO_WORDS || :
${line#'#!'}
TO_WORDS
        interpreter=${interpreter:-sh}
        ;;
    esac
}

admit_run() { # FOLDER RUN TOKEN: the folder becomes the run, unless its script could not start here
    admissible "$1"
    (umask 077 && cd "$1" && for file in argv env stdout stderr; do : >>"$file"; done && printf '%s\n' "$3" >token)
    chmod go= "$1" "$1"/*
    chmod u+rx "$1/script"
    give_away "$1"
    enter_run "$1" "$2" "$3"
}

enter_run() { # FOLDER RUN TOKEN: the folder becomes the run, unless there is one
    persist -f "$1"
    become "$1" "$2"
    [ ! -d "$1" ] || rm -rf "$1"
    same_token "$2" "$3"
}

become() { # FOLDER RUN: it is the run from now on, unless there is one
    mv -T "$1" "$root/runs/$2" 2>/dev/null || { # busybox has -T since 1.31
        lock
        if [ ! -d "$root/runs/$2" ]; then mv "$1" "$root/runs/$2"; fi
        unlock
    }
}

admissible() { # FOLDER: its script could start here
    script=$1/script
    first_line "$script"
    case $line in
    *[![:space:]]*) ;;
    *) grep -qs '[^[:space:]]' "$script" || fail 64 "the script is empty; nothing would run" ;;
    esac
    interpreter_of "$script"
    [ -z "$interpreter" ] || command -v "$interpreter" >/dev/null ||
        fail 24 "the script's interpreter $interpreter is missing on this host; install it or change the script's first line"
    if [ "${interpreter##*/}" = env ]; then
        set -f
        for word in $option; do # env -S, NAME=VALUE, then the interpreter's name
            case $word in -* | *=*) continue ;; esac
            command -v "$word" >/dev/null ||
                fail 24 "the script's interpreter $word is missing on this host; install it or change the script's first line"
            break
        done
        set +f
    fi
    first_line "$1/timeout"
    is_number 'number of seconds' "${line:-0}"
}

give_away() { # FOLDER: to the user that the script runs as, if it does
    first_line "$1/as" && as=$line
    [ "$as" ] || return 0
    [ "$uid" = 0 ] || fail 26 "running as $as takes root; log in as root or allow sudo -n"
    id -u "$as" >/dev/null 2>&1 || fail 64 "there is no user $as on this host"
    chown -R -h "$as" "$1/script" "$1/files" 2>/dev/null || [ ! -e "$1/files" ]
    chgrp "$(id -g "$as")" "$1"
    chmod 0710 "$1" # its group may enter; script and files are the user's alone
}

is_form() { # FORM
    case $1 in
    plain) ;;
    gzip | zstd) need "$1" ;;
    *) fail 64 "a stream is plain, gzip or zstd, not '$1'" ;;
    esac
}

unpack() { # FORM FOLDER [OPTION-OF-TAR] < STREAM
    case $1 in
    plain) tar -x ${3:+"$3"} -o -m -C "$2" -f - ;;
    *) "$1" -dc | tar -x ${3:+"$3"} -o -m -C "$2" -f - ;;
    esac 2>/dev/null
}

forestall() { # RUN TOKEN: a run that has not arrived yet, so that it can be ended before it does
    is_name token "$2"
    claimed
    incoming=$(umask 077 && mktemp -d "$root/runs/.in-$2-XXXXXX")
    (umask 077 && cd "$incoming" && : >stdout && : >stderr && printf '%s\n' "$2" >token)
    enter_run "$incoming" "$1" "$2"
}

stage() { # RUN TOKEN [plain|gzip|zstd] < TAR
    run_named "$1"
    is_name token "$2"
    claimed
    need tar sha256sum flock setsid
    is_form "${3:-plain}"
    if [ -d "$root/runs/$1" ]; then
        cat >/dev/null
        same_token "$1" "$2"
    else
        incoming=$(umask 077 && mktemp -d "$root/runs/.in-$2-XXXXXX")
        trap '[ ! -d "$incoming" ] || rm -rf "$incoming"' EXIT
        unpack "${3:-plain}" "$incoming" -p || short_of_space "the script's files did not arrive whole; send them again" 23
        admit_run "$incoming" "$1" "$2"
    fi
    printf 'staged %s\n' "$1"
}
