#!/bin/sh
# host.sh: all that airlift is on a host. docs/host-protocol.md is its contract; its verbs are its last lines.
# It is written in parts, and joined by program.rs.
#
# What always holds:
# - A name that matters (release, current, run, exit, piece, identity) appears by rename, complete, or not at all.
# - Whether something lives is told by a lock (flock), never by a process id. A lock's descriptor is closed for whatever may
#   outlive its holder: 9 a run's `lock`, 8 the folder's `lock` (held for moments), 7 `take.lock`.
# - No process per file or per piece: what is done to many is done by one tar, one sha256sum, or through xargs.
# - Nothing from the operator is evaluated but a run's `argv` and `env` and a release's `env`: `set --` and `export`, with
#   single-quoted words only.
# - No secret is ever an argument of a process.
#
# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
set -eu

# become FOLDER ENV WORD…: a run's supervisor calls it in a session of its own, which is the script's from here on. It stands first
# so that the rest of this program is not read for it. ENV comes with the release; the words come before the script's arguments.
if [ "${1:-}" = become ]; then
    exec >>"$2/stdout" 2>>"$2/stderr"
    umask 077
    tell_group() { printf '%s %s\n' $$ "${21}" >"$1/group"; }
    read -r airlift_stat <"/proc/$$/stat"
    # shellcheck disable=SC2086 # the fields that follow the name in parentheses, which is the second
    tell_group "$2" ${airlift_stat##*) }
    unset airlift_stat
    # after `group`, as they are made before `group` is read: one of the two sides sees the other
    if [ -e "$2/cancel" ] || [ -e "$2/.timeout" ]; then exit 0; fi
    umask 022
    airlift_argv=$2/argv
    airlift_words="$3
$2/env"
    shift 3
    for airlift_word in "$@"; do
        airlift_words="$airlift_words
$airlift_word"
    done
    set --
    # Only now, so that arguments, which may be secret, are those of the script alone.
    # shellcheck disable=SC1090 # comes with the run: `set -- 'word' …`
    if [ -e "$airlift_argv" ]; then . "$airlift_argv"; fi
    set -f
    IFS='
'
    # shellcheck disable=SC2086 # a word a line
    set -- $airlift_words "$@"
    set +f
    unset IFS airlift_argv airlift_words airlift_word
    # From here on no variable of ours: what these files set may have any name.
    # shellcheck disable=SC1090 # comes with the release
    if [ -e "$1" ]; then . "$1"; fi
    # shellcheck disable=SC1090 # comes with the run
    if [ -e "$2" ]; then . "$2"; fi
    shift 2
    exec "$@"
fi

fail() { # STATUS MESSAGE
    printf 'airlift: %s\n' "$2" >&2
    exit "$1"
}

# From its own path, ROOT/bin/HASH/host.sh, follow root and program; ROOT/bin/host.sh is a link to HASH/host.sh.
self=${AIRLIFT_SELF:-$0} # the probe reads this program, and so does not call it by its name
case $self in /*) ;; *) self=$PWD/$self ;; esac
if [ -L "$self" ]; then self=${self%/*}/$(readlink "$self"); fi
root=${self%/bin/*/host.sh}
program=${self%/host.sh}
program=${program##*/}
if [ -z "$root" ] || [ "$root" = "$self" ]; then fail 64 "host.sh runs as ROOT/bin/HASH/host.sh, not as $0"; fi
if [ -z "${AIRLIFT_SELF:-}" ]; then
    while read -r key _ uid _; do # the effective one; `id` would be a process for every call
        [ "$key" != Uid: ] || break
    done </proc/self/status
fi
# How long what is told to end may take before it is killed, in seconds.
grace=${AIRLIFT_KILL_GRACE:-5}
case $grace in *[!0-9]*) fail 64 "AIRLIFT_KILL_GRACE is '$grace', which is no number of seconds" ;; esac
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=unknown

# Small things that the verbs share.

tools=

find_tools() { # sets tools, once: a line for each that is there
    [ -z "$tools" ] || return 0
    for tool in sha256sum tar flock setsid openssl zstd gzip systemctl sudo su; do
        ! command -v "$tool" >/dev/null || tools="${tools}tool $tool
"
    done
}

need() { # TOOL…
    for tool in "$@"; do
        case $tools in *"tool $tool
"*) continue ;; esac
        command -v "$tool" >/dev/null || fail 24 "$tool is missing on this host; install it"
    done
}

is_name() { # WHAT VALUE: safe as the name of a file, and as an argument
    case $2 in '' | .* | -* | *[!A-Za-z0-9._+:=~-]*) fail 64 "'$2' is no $1" ;; esac
}

run_named() { is_name 'run id' "$1"; }

is_number() { # WHAT VALUE
    case $2 in '' | *[!0-9]*) fail 64 "'$2' is no $1" ;; esac
}

is_digest() { # VALUE
    case $1 in *[!0-9a-f]*) return 1 ;; esac
    [ ${#1} = 64 ]
}

put() { # FILE TEXT: the file as a whole
    printf '%s\n' "$2" >"${1%/*}/.${1##*/}.$$"
    mv -f "${1%/*}/.${1##*/}.$$" "$1"
}

first_line() { # FILE: sets line to its first line, or to nothing
    line=
    if [ -e "$1" ]; then IFS= read -r line <"$1" || :; fi
}

persist() { sync "$@" 2>/dev/null || :; } # [-f] PATH: where sync cannot do it, the kernel does it soon

short_of_space() { # MESSAGE: fails with it, and with the reason where the disk is full
    if free_kib && [ "$free" -lt 1024 ]; then fail 25 "$1: no space left beneath $root; make room"; fi
    fail "${2:-1}" "$1"
}

free_kib() { # sets free
    { read -r _ && read -r _ _ _ free _; } <<DF
$(df -Pk "$root")
DF
}

nap() { sleep 0.2 2>/dev/null || sleep 1; }

held() { [ -e "$1" ] && ! flock -n -s 6 6<"$1"; } # LOCK-FILE

await_lock() { [ ! -e "$1" ] || flock -s 6 6<"$1"; } # LOCK-FILE: returns when nobody holds it

detach() { # VERB…: a process in a session of its own does it, which no lost connection ends. It keeps no lock of the folder.
    # The substitution ends when that process calls `detached`: not before it has its session.
    # -f: a command in the background would start with SIGINT ignored, and could not change that. busybox has no -f.
    : "$(setsid -f sh "$self" "$@" </dev/null 2>/dev/null 8>&- || {
        setsid sh "$self" "$@" </dev/null 2>/dev/null 8>&- &
    })"
}

detached() { exec >/dev/null 2>&1; }

guard() { # LOCK-FILE: it is there, and for its owner alone: whoever can open a lock can hold it
    [ -e "$1" ] || (umask 077 && : >>"$1")
}

lock() { guard "$root/lock" && exec 8>>"$root/lock" && flock 8; }

unlock() { exec 8>&-; }

open_take_lock() { guard "$root/take.lock" && exec 7>>"$root/take.lock"; }

point() { # LINK TARGET: in one step where mv can (coreutils, busybox since 1.31)
    new_link=${1%/*}/.${1##*/}.$$
    ln -sfn "$2" "$new_link"
    mv -fT "$new_link" "$1" 2>/dev/null || { ln -sfn "$2" "$1" && rm -f "$new_link"; }
}

current() { # sets release: the current one, or none
    release=none
    [ -L "$root/current" ] || return 0
    for kept in "$root"/releases/*; do # without a process, as a rule
        # shellcheck disable=SC3013 # every shell that this runs in has it
        if [ "$kept" -ef "$root/current" ]; then
            ! is_whole "${kept##*/}" || release=${kept##*/}
            return 0
        fi
    done
    return 0
}

current_to_run_in() { # the same, for what is about to run there
    current
    if [ "$release" = none ] && [ -L "$root/current" ]; then
        fail 22 "power was lost before all of the current release was on the disk; push it again"
    fi
}

is_whole() { # RELEASE: what was put in its place was on the disk before the machine lost power
    [ -e "$root/specs/$1/synced" ] || return 0
    first_line "$root/specs/$1/synced"
    [ "$line" = yes ] || [ "$line" = "in $boot" ]
}

home_of() { # USER-OR-UID -> its home, as the user database has it: HOME differs between a login, sudo and a unit
    { getent passwd "$1" 2>/dev/null || grep -E "^($1:|[^:]*:[^:]*:$1:)" /etc/passwd || :; } | cut -d: -f6
}

claimed() { [ -e "$root/identity" ] || fail 1 "nobody has claimed this host; identify it first"; }

identity() { # sets fleet and host
    fleet=none host=none
    [ ! -e "$root/identity" ] || while read -r key value; do
        case $key in fleet) fleet=$value ;; host) host=$value ;; esac
    done <"$root/identity"
}

# An instance of provider `local` is a guest on somebody's machine, whose systemd is none of its business.
systemd_runs() {
    if first_line "$root/watcher" && [ "$line" = supervisor ]; then return 1; fi
    case $(systemctl is-system-running 2>/dev/null) in
    initializing | starting | running | degraded | maintenance) ;;
    *) return 1 ;;
    esac
}
