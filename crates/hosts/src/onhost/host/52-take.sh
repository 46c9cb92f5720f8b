# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Taking a bundle: verified, extracted, made current, bootstrapped; or refused with a reason.

# Runs in a subshell of `take`, which reads the last line of its stderr as the reason of a refusal.
take_one() { # RELEASE
    bundle=$root/inbox/$1.bundle
    is_digest "$1" || fail 64 "a bundle's name is RELEASE.bundle, with the 64 digits of its release"
    if tar -t -f "$bundle" 2>/dev/null | grep -qvxE 'manifest|[0-9a-f]{64}'; then
        fail 23 "the bundle holds something other than its manifest and pieces"
    fi
    scratch=$root/chunks/.taken new=$root/chunks/.release specs=$root/specs/.$1
    rm -rf "$scratch" "$new" "$specs"
    (umask 077 && mkdir "$scratch")
    damage=
    tar -x -o -m -C "$scratch" -f "$bundle" 2>/dev/null || damage=yes
    manifest=$root/manifests/.$1
    if [ -L "$scratch/manifest" ] || ! mv -f "$scratch/manifest" "$manifest" 2>/dev/null; then damage=yes; fi
    keep_pieces "$scratch" >/dev/null || damage=yes
    rm -rf "$scratch"
    [ -z "$damage" ] || short_of_space "the bundle is damaged; push it again" 23
    check_manifest "$1" "$manifest"

    if [ ! -d "$root/releases/$1" ]; then
        mkdir "$new" # in a folder that nobody else may enter: no owner meddles while it is being given away
        sed -n 's/^piece \([0-9a-f]*\) .*/\1/p' "$manifest" | (cd "$root/chunks" && xargs -r cat) |
            tar -x -p -o -m -C "$new" -f - || short_of_space "the release could not be extracted"
        read_spec "$new/.airlift"
        admit_spec
        keep_spec "$new" "$specs"
        if [ "$spec_owner" ] && [ "$uid" = 0 ]; then
            chown -R -h "$spec_owner" "$new" || fail 1 "there is no $spec_owner to give the release to"
        fi
        persist -f "$new"
        rm -rf "$root/specs/$1"
        mv "$specs" "$root/specs/$1" # before the release: there is none without
        mv "$new" "$root/releases/$1"
    else
        read_spec "$root/specs/$1"
        admit_spec
    fi
    mv -f "$manifest" "$root/manifests/$1"
    touch "$root/manifests/$1"

    current
    former=$(destination_of "$release") || former=
    lock
    point "$root/current" "releases/$1"
    unlock
    lead_to_current "$former"
    install_packages "$spec_packages"
    serve "$1" "$spec_services"
    if [ "$spec_bootstrap" ]; then bootstrap "$1"; fi
}

# Pieces were hashed when they came. Here their sizes are compared, all by one wc: it finds what a loss of power cut short.
check_manifest() { # RELEASE MANIFEST
    if [ "$(grep -vcxE 'piece [0-9a-f]{64} [0-9]+' "$2")" != 3 ] || [ "$(head -n 1 "$2")" != 'airlift-bundle 1' ] ||
        ! grep -qx "release $1" "$2" || [ "$(tail -n 1 "$2")" != end ]; then
        fail 23 "the manifest is not one of release $1"
    fi
    sed -n 's/^piece \([0-9a-f]*\) \(.*\)/\2 \1/p' "$2" | sort -u >"$2.want"
    sed 's/.* //' "$2.want" | (cd "$root/chunks" && xargs -r wc -c 2>/dev/null) | sed 's/^ *//;/ total$/d' | sort >"$2.here"
    sort "$2.want" "$2.here" "$2.here" | uniq -u | sed 's/.* //' >"$2.missing"
    first_line "$2.missing" && lacking=$line count=$(wc -l <"$2.missing")
    (cd "$root/chunks" && xargs -r rm -f <"$2.missing")
    rm -f "$2.want" "$2.here" "$2.missing"
    [ -z "$lacking" ] || fail 23 "missing piece $lacking ($((count)) in all); push it again"
}

bootstrap_run() { run=boot-${1%"${1#????????????????}"}; } # RELEASE: sets run

bootstrap() { # RELEASE. take.lock is held until it is over: bootstraps of one host never overlap.
    bootstrap_run "$1"
    if [ ! -d "$root/runs/$run" ]; then
        incoming=$(umask 077 && mktemp -d "$root/runs/.in-$run-XXXXXX")
        cp "$root/specs/$1/bootstrap" "$incoming/script"
        [ -z "$spec_timeout" ] || printf '%s\n' "$spec_timeout" >"$incoming/timeout"
        admit_run "$incoming" "$run" "$1"
    fi
    start "$run" "$1" >/dev/null
    await_run "$run"
}

next_bundle() { # the one that has waited longest
    # shellcheck disable=SC2012 # by time; a name that is no release is refused
    ls -tr "$root/inbox" | sed -n '/\.bundle$/{s///;p;q;}'
}

take() { # [--detached]
    claimed
    need tar sha256sum flock setsid
    umask 022
    guard "$root/take.lock"
    exec 7>>"$root/take.lock"
    if [ $# = 0 ]; then
        take_all
    else
        # The lock is handed on: no look can find the bundle waiting and nobody at it. Where another take has the lock, the
        # detached one waits for it: that other may be past its last glance at the inbox.
        flock -n 7 || :
        detach take_all
        echo detached
    fi
}

take_all() { # take.lock is open as 7
    flock 7
    why=$root/inbox/.why
    while release=$(next_bundle) && [ -n "$release" ]; do
        set +e
        (
            set -e
            take_one "$release"
        ) 2>"$why"
        status=$?
        reason=
        [ $status = 0 ] || reason=$(tail -n 1 "$why")
        reason=${reason#airlift: }
        # where there is no room, there is none for the reason either
        if [ -z "$reason" ] && free_kib && [ "$free" -lt 1024 ]; then reason="no space left beneath $root; make room"; fi
        set -e
        rm -rf "$why" "$root/chunks/.taken" "$root/chunks/.release" "$root"/specs/.[0-9a-f]* "$root"/manifests/.[0-9a-f]*
        refused=$root/inbox/refused/$release.bundle
        if [ $status = 0 ]; then
            rm -f "$root/inbox/$release.bundle" "$refused" "$refused.why"
            printf 'taken %s\n' "$release"
        else
            put "$refused.why" "${reason:-taking it ended with status $status}"
            mv -f "$root/inbox/$release.bundle" "$refused"
            printf 'refused %s %s\n' "$release" "$reason"
        fi
    done
    tidy
}

await_take() {
    claimed
    while :; do
        await_lock "$root/take.lock"
        [ -n "$(next_bundle)" ] || return 0
        [ -e "$root/watcher" ] || fail 1 "a bundle waits and nobody takes it; call take"
        nap
    done
}
