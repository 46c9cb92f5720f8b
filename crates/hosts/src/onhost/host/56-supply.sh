# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# A release is brought over one command: the host tells of itself, is asked what it lacks, is sent that, puts the release in its
# place where that takes but a moment, and tells of itself again. Then it may attend to a run.

supply() { # [run ID]… [service NAME]… < REQUESTS
    introduce
    tell "$@"
    while read -r request one two three four five; do
        case $request in
        have)
            is_number 'number of digests' "$one"
            lines "$one" | (have)
            echo end
            ;;
        deliver)
            accept "$one" "$two" "$three" "$four" "$five"
            introduce
            tell "$@"
            ;;
        attend)
            attend "$one"
            return
            ;;
        *) fail 64 "it takes 'have COUNT', 'deliver RELEASE TOKEN FORM BYTES|all take|leave' or 'attend RUN', not '$request'" ;;
        esac
    done
}

lines() { # COUNT: so many of what comes; `head` may read more than it hands on
    left=$1
    while [ "$left" -gt 0 ] && read -r line; do
        echo "$line"
        left=$((left - 1))
    done
}

accept() { # RELEASE TOKEN FORM BYTES|all take|leave < TAR: the manifest, then pieces
    is_digest "$1" || fail 64 "'$1' is no release"
    is_name token "$2"
    is_form "$3"
    case $5 in take | leave) ;; *) fail 64 "a bundle is for take or leave, not '$5'" ;; esac
    claimed
    need tar sha256sum flock setsid
    umask 022
    nobody_takes=
    part=$root/chunks/.at-$2-$$
    [ "$4" != all ] || part=$root/chunks/.in-$2-$$ # what `have` takes over if its connection dies
    mkdir -m 0700 "$part"
    trap 'rm -rf "$part"' EXIT
    trap : PIPE # nobody may listen any more: what has begun is ended in order
    arrive "$1" "$3" "$4" "$part"
    status=$later
    if { [ "$5" = take ] || [ -e "$root/watcher" ]; } && take_lock_is_free; then
        forget_refusal "$1"
        set +e
        (
            set -e
            settle "$1" "$part"
        ) 2>"$root/inbox/.why"
        status=$?
        set -e
    fi
    case $status in
    0)
        exec 7>&-
        settle_down
        nobody_takes=yes
        add "taken $1"
        ;;
    "$later") leave_in_inbox "$1" "$part" "$5" ;;
    *)
        refuse "$1"
        add "refused $1 $reason"
        ;;
    esac
    exec 7>&-
    rm -rf "$part"
    exec 6<&-
    trap - EXIT PIPE
}

settle_down() { # what nobody waits for
    # When a terminal, which sudo may give a command, hangs up, it ends all that has no session of its own.
    if { true </dev/tty; } 2>/dev/null; then
        detach settled "$volume" 6<&-
    else
        (settled "$volume") 6<&- &
    fi
}

large=33554432 # bytes of a release that take a while to be written to the disk

settled() { # BYTES of the release: of a large one a moment later, as writing it holds up whatever else is written there
    detached
    exec </dev/null
    if [ "$1" -ge "$large" ]; then
        trap : HUP INT TERM # where the machine goes down, the moment is over
        sleep 2 || :
    fi
    [ -e "$root/identity" ] || return 0
    seal_all
    sweep_if_due
}

arrive() { # RELEASE FORM BYTES|all FOLDER
    cut=
    if [ "$3" = all ]; then
        exec 6<"$4" # locked meanwhile: for `have` this is not what a dead connection has left
        flock 6
        # Hashing goes on beside the receiving. tar names each file when it begins with it.
        { unpack "$2" "$4" -v || : >"$4/.cut"; } | keep_as_they_come "$4"
        if [ -e "$4/.cut" ]; then rm "$4/.cut" && cut=yes; fi
    else
        is_number 'number of bytes' "$3"
        head -c "$3" | unpack "$2" "$4" || cut=yes
    fi
    keep_bundle "$1" "$4" "$cut"
}

# They are hashed where tar cannot reach them any more: a name may come twice.
keep_as_they_come() ( # FOLDER < NAMES: what is whole of all but the last of them is in chunks/ then
    cd "$1"
    apart=${1%/*}/.at-${1##*/.in-}
    mkdir -m 0700 "$apart"
    before=
    set --
    while read -r piece; do
        ! is_digest "$before" || set -- "$@" "$before"
        before=$piece
        if [ $# -ge 32 ]; then
            if mv -f "$@" "$apart/"; then keep_pieces "$apart" || :; fi
            set --
        fi
    done
    # What is not whole is missing, which is found.
    rm -rf "$apart"
) >/dev/null 2>&1

# The status of what only a process that outlives its connection can settle.
later=75

settle() { # RELEASE FOLDER
    lay_out "$1" "$2"
    if [ "$spec_bootstrap$spec_packages$spec_services" ] || [ -e "$root/services" ]; then exit "$later"; fi
    activate "$1"
}

leave_in_inbox() { # RELEASE FOLDER take|leave
    (
        umask 077
        tar -c -f "$root/inbox/.$1.$$" -C "$2" manifest
        persist "$root/inbox/.$1.$$"
        mv -f "$root/inbox/.$1.$$" "$root/inbox/$1.bundle"
    )
    if [ "$3" = take ] && [ ! -e "$root/watcher" ]; then detach take_all 6<&-; fi
    add "offered $1"
}
