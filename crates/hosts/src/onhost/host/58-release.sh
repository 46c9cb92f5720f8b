# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# What a release stands beside: the link `current`, and the secrets, which change as a set.

switch() { # TO FROM
    claimed
    [ "$1" = none ] || { [ -d "$root/releases/$1" ] && is_whole "$1"; } || fail 1 "release $1 is not on this host; push it"
    read_spec "$root/specs/$1"
    admit_spec
    wait_for_takes
    lead_to_current
    lock
    current
    [ "$release" = "$2" ] || [ "$release" = "$1" ] || fail 22 "the current release is $release, not $2; look again"
    if [ "$1" = none ]; then rm -f "$root/current"; else point "$root/current" "releases/$1"; fi
    unlock
    former=$(destination_of "$2") || former=
    leave_destination "$former"
    serve "$1" "$spec_services"
    printf 'current %s\n' "$1"
}

destination_of() ( # RELEASE. In a subshell: the spec of another release must not mix with the one that was read.
    read_spec "$root/specs/$1" 2>/dev/null && printf '%s' "$spec_destination"
)

wait_for_takes() { # a moment: a bootstrap may take an hour. take.lock is ours then: no sweep removes what becomes current
    patience=50
    until take_lock_is_free; do
        patience=$((patience - 1))
        [ $patience -gt 0 ] || fail 1 "a bundle is being taken on this host; wait until that is over"
        nap
    done
}

lead_to_current() { # the destination of the spec does. Before anything else changes: it may not be possible
    if [ "$spec_destination" ] && ! linked_to_current "$spec_destination"; then
        mkdir -p "${spec_destination%/*}/"
        ln -s "$root/current" "$spec_destination"
    fi
}

leave_destination() { # FORMER-DESTINATION, where that of the spec is another
    if [ "$1" != "$spec_destination" ] && linked_to_current "$1"; then rm -f "$1"; fi
}

secrets() { # DIGEST < TAR. `secrets` is a link, so that the set changes as a whole.
    claimed
    is_name digest "$1"
    umask 077
    new=$(mktemp -d "$root/.secrets-XXXXXX")
    trap 'rm -rf "$new"' EXIT
    if [ "$1" = none ]; then
        cat >/dev/null
    else
        tar -x -o -m -C "$new" -f - 2>/dev/null || short_of_space "the secrets did not arrive whole; send them again" 23
        chmod -R u=rwX,go= "$new"
        find "$new" -type f -exec chmod 0600 {} +
        persist -f "$new"
    fi
    lock
    former=$(readlink "$root/secrets") || former=
    rm -f "$root/secrets.digest"
    if [ "$1" = none ]; then
        rm -f "$root/secrets"
    else
        point "$root/secrets" "${new##*/}"
        put "$root/secrets.digest" "$1"
        trap - EXIT
    fi
    [ -z "$former" ] || rm -rf "${root:?}/$former"
    printf 'secrets %s\n' "$1"
}
