# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Pieces and bundles arrive. What is whole is kept, however the connection ends; what fails its hash never is.

sums() { # what the pieces in this folder are to be, as sha256sum would print it
    for piece in *; do
        if is_digest "$piece" && [ -f "$piece" ] && [ ! -L "$piece" ]; then printf '%s  %s\n' "$piece" "$piece"; fi
    done
}

keep_pieces() ( # FOLDER: moves what is whole into chunks/; false if anything but a manifest is no whole piece
    cd "$1" || exit 1
    set --
    for piece in *; do
        if ! is_digest "$piece" || [ ! -f "$piece" ] || [ -L "$piece" ] || [ $# = 500 ]; then continue; fi
        set -- "$@" "$piece"
    done
    # As a rule all that came is whole and new: then two processes do, where it is not too much for one argument list.
    if [ $# = 0 ]; then
        :
    elif [ $# -lt 500 ] && are_whole "$@" && mv -f "$@" "$root/chunks/" 2>/dev/null && gone "$@"; then
        :
    else
        sums >.sums
        LC_ALL=C sha256sum -c .sums 2>/dev/null | sed -n 's/: OK$//p' >.whole
        # what `have` shared before is there already, and mv does not move a file onto itself
        # shellcheck disable=SC2016 # expanded by the sh that xargs starts
        xargs -r sh -c 'mv -f "$@" "$0/" 2>/dev/null
            for piece; do if [ -e "$piece" ] && [ -e "$0/$piece" ]; then rm -f "$piece"; fi; done' "$root/chunks" <.whole
        rm -f .sums .whole
    fi
    for left in * .[!.]*; do
        case $left in manifest | .manifest | .pieces | .sizes) continue ;; esac
        [ ! -e "$left" ] && [ ! -L "$left" ] || exit 1
    done
)

# Many are hashed by openssl where it is: it takes 5 ms to start, and uses what the processor has for it. `sha256sum` of Debian 12
# does not, and takes four times as long for 256 MiB.
are_whole() { # FILES of this folder, each called by its digest. False is no proof: openssl may be configured not to work
    find_tools
    mode=' '
    case $#:$tools in
    [1-8]:*) hashed=$(sha256sum "$@") ;;
    *'tool openssl'*) mode='*' && hashed=$(openssl dgst -sha256 -r "$@") ;;
    *) hashed=$(sha256sum "$@") ;;
    esac 2>/dev/null || return 1
    named=
    for piece; do
        named="$named$piece $mode$piece
"
    done
    [ "$hashed
" = "$named" ]
}

gone() { for piece; do [ ! -e "$piece" ] || return 1; done; } # FILES

share_pieces() ( # FOLDER that somebody still receives into: what is whole there is in chunks/ as well
    cd "$1" || exit 0
    sums | while read -r sum piece; do
        [ -e "$root/chunks/$piece" ] || printf '%s  %s\n' "$sum" "$piece"
    done >"$root/chunks/.have.$$"
    [ -s "$root/chunks/.have.$$" ] || exit 0
    # shellcheck disable=SC2016 # expanded by the sh that xargs starts
    LC_ALL=C sha256sum -c "$root/chunks/.have.$$" 2>/dev/null | sed -n 's/: OK$//p' |
        xargs -r sh -c 'ln "$@" "$0/" 2>/dev/null || :' "$root/chunks"
)

trust_pieces() { # that lay here when the machine started: power may have been lost before all of them were on the disk
    first_line "$root/chunks.boot"
    [ "$line" != "$boot" ] || return 0
    (
        cd "$root/chunks"
        sums | LC_ALL=C sha256sum -c 2>/dev/null | sed -n 's/: FAILED$//p' | xargs -r rm -f
    )
    echo "$boot" >"$root/chunks.boot"
}

have() { # < DIGESTS
    claimed
    need flock
    trust_pieces
    cd "$root/chunks"
    trap 'rm -f "$root/chunks/.have.$$"' EXIT
    for part in .in-*; do
        if [ ! -d "$part" ]; then
            continue
        elif flock -n "$part" true; then # left by an interrupted delivery
            keep_pieces "$part" || :
            rm -rf "$part"
        else # of a connection that this host does not know to be dead, if it is not another delivery
            share_pieces "$part"
        fi
    done
    set -f
    # shellcheck disable=SC2013 # `read` takes a system call for every byte
    for digest in $(cat); do
        is_digest "$digest" || fail 64 "'$digest' is no digest"
        if [ -e "$digest" ]; then echo "$digest" >&3; else add "missing $digest"; fi
        [ ${#told} -lt 4000 ] || say
    done 3>".have.$$"
    say
    xargs -r touch <".have.$$" # so that a sweep leaves them until the bundle that names them is here
}
