# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Taking a bundle: verified, extracted, made current, bootstrapped; or refused with a reason.

# Runs in a subshell of `take`, which reads the last line of its stderr as the reason of a refusal.
take_one() { # RELEASE
    bundle=$root/inbox/$1.bundle
    is_digest "$1" || fail 64 "a bundle's name is RELEASE.bundle, with the 64 digits of its release"
    if tar -t -f "$bundle" 2>/dev/null | grep -qvxE 'manifest|[0-9a-f]{64}'; then
        fail 23 "the bundle holds something other than its manifest and pieces"
    fi
    scratch=$root/chunks/.taken
    rm -rf "$scratch"
    mkdir -m 0700 "$scratch"
    cut=
    tar -x -o -m -C "$scratch" -f "$bundle" 2>/dev/null || cut=yes
    keep_bundle "$1" "$scratch" "$cut"
    lay_out "$1" "$scratch"
    seal "$1"
    activate "$1"
    install_packages "$spec_packages"
    serve "$1" "$spec_services"
    if [ "$spec_bootstrap" ]; then bootstrap "$1"; fi
}

keep_bundle() { # RELEASE FOLDER CUT: of what was extracted there all that is whole is kept; fails unless nothing is missing then
    for list in .pieces .sizes .manifest; do # they are ours
        if [ -e "$2/$list" ] || [ -L "$2/$list" ]; then fail 23 "the bundle holds something other than its manifest and pieces"; fi
    done
    if [ -z "$3" ] && [ -f "$2/manifest" ] && [ ! -L "$2/manifest" ]; then read_manifest "$1" "$2"; fi
    if ! keep_pieces "$2" || [ "$3" ] || [ ! -e "$2/.pieces" ]; then
        short_of_space "the bundle is damaged or cut short; push it again" 23
    fi
    [ "$others" = 0 ] || check_sizes "$2"
}

lay_out() { # RELEASE FOLDER: puts the release in place whose manifest is in the folder, and was read
    if [ -d "$root/releases/$1" ] && is_whole "$1"; then
        read_spec "$root/specs/$1"
        admit_spec
    else
        new=$root/chunks/.release specs=$root/specs/$1 # no owner meddles in a folder that nobody else may enter
        for left in "$root/releases/$1" "$specs" "$new"; do
            [ ! -e "$left" ] || rm -rf "$left"
        done
        mkdir "$new" "$specs" "$specs/units"
        extract "$2" "$new" || short_of_space "the release could not be extracted"
        read_spec "$new/.airlift"
        admit_spec
        keep_spec "$new" "$specs"
        if [ "$spec_owner" ] && [ "$uid" = 0 ]; then
            chown -R -h "$spec_owner" "$new" || fail 1 "there is no $spec_owner to give the release to"
        fi
        echo "in $boot" >"$specs/synced"
        mv "$new" "$root/releases/$1"
    fi
    ln -f "$2/.manifest" "$root/manifests/$1" # costs less than mv, whose own copy goes with the folder
}

extract() { # FOLDER-OF-LISTS FOLDER
    case $count in
    1) tar -x -p -o -m -C "$2" -f "$root/chunks/$only" ;;
    # GNU tar reads 10 KiB at a time otherwise, and takes a fifth longer for 256 MiB. Others take no notice.
    *) (cd "$root/chunks" && xargs -r cat) <"$1/.pieces" | TAR_OPTIONS="${TAR_OPTIONS:-} -b2048" tar -x -p -o -m -C "$2" -f - ;;
    esac
}

seal() { # RELEASE: it outlives a loss of power from now on. Until then it is as good as this boot (is_whole)
    if [ ! -e "$root/specs/$1/synced" ]; then return; fi
    first_line "$root/specs/$1/synced"
    if [ "$line" = yes ] || [ ! -d "$root/releases/$1" ]; then return; fi
    persist -f "$root/releases/$1"
    put "$root/specs/$1/synced" yes
}

seal_all() { # also what somebody else was kept from sealing
    for kept in "$root"/releases/*; do seal "${kept##*/}"; done
}

activate() { # RELEASE, whose spec was read
    current
    former=$(destination_of "$release") || former=
    lead_to_current
    lock
    point "$root/current" "releases/$1"
    unlock
    leave_destination "$former"
}

# Sets count, how many pieces there are, volume, how many bytes they have, only, which it is if there is one, and others, how many did not come with the manifest.
read_manifest() { # RELEASE FOLDER: lists there what makes the release, .pieces and .sizes; .manifest is as young as the release here
    count=0 volume=0 others=0
    {
        IFS= read -r first && IFS= read -r second
        printf '%s\n%s\n' "$first" "$second" >&5
        while read -r word digest bytes rest && [ "$word" = piece ] && is_digest "$digest" && [ ! "$rest" ]; do
            is_number 'number of bytes' "$bytes"
            echo "$digest" >&3
            echo "$bytes $digest" >&4
            echo "piece $digest $bytes" >&5
            count=$((count + 1)) volume=$((volume + bytes)) only=$digest
            [ -e "$2/$digest" ] || others=$((others + 1))
        done
        if [ "$first:$second:$word:$digest" != "airlift-bundle 1:release $1:end:" ] || read -r _; then
            fail 23 "the manifest is not one of release $1"
        fi
        echo end >&5
    } <"$2/manifest" 3>"$2/.pieces" 4>"$2/.sizes" 5>"$2/.manifest"
}

# Pieces are hashed when they come. Of those that came before, sizes are compared, all by one wc: it finds what a loss of power
# cut short.
check_sizes() { # FOLDER
    trust_pieces
    (cd "$root/chunks" && xargs -r wc -c 2>/dev/null) <"$1/.pieces" | sed 's/^ *//;/ total$/d' >"$1/.here"
    [ "$(sha256sum <"$1/.here")" != "$(sha256sum <"$1/.sizes")" ] || return 0
    sort -u "$1/.sizes" >"$1/.want"
    sort "$1/.want" "$1/.here" "$1/.here" | uniq -u | sed 's/.* //' >"$1/.missing"
    first_line "$1/.missing" && lacking=$line count=$(wc -l <"$1/.missing")
    (cd "$root/chunks" && xargs -r rm -f) <"$1/.missing"
    fail 23 "missing piece $lacking ($((count)) in all); push it again"
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
    open_take_lock
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
    umask 022
    flock 7
    while release=$(next_bundle) && [ -n "$release" ]; do
        forget_refusal "$release"
        set +e
        (
            set -e
            take_one "$release"
        ) 2>"$root/inbox/.why"
        status=$?
        set -e
        rm -rf "$root/chunks/.taken"
        if [ $status = 0 ]; then
            rm -f "$root/inbox/$release.bundle"
            printf 'taken %s\n' "$release"
        else
            mv -f "$root/inbox/$release.bundle" "$root/inbox/refused/$release.bundle"
            refuse "$release"
            printf 'refused %s %s\n' "$release" "$reason"
        fi
    done
    tidy
}

forget_refusal() { # RELEASE: it is tried again
    refused=$root/inbox/refused/$1.bundle
    if [ -e "$refused.why" ]; then rm -f "$refused" "$refused.why"; fi
}

refuse() { # RELEASE: for the reason in .why, which is left for `look` to tell; status is what it ended with; sets reason
    reason=$(tail -n 1 "$root/inbox/.why")
    reason=${reason#airlift: }
    # where there is no room, there is none for the reason either
    if [ -z "$reason" ] && free_kib && [ "$free" -lt 1024 ]; then reason="no space left beneath $root; make room"; fi
    reason=${reason:-taking it ended with status $status}
    rm -rf "$root/chunks/.release"
    put "$root/inbox/refused/$1.bundle.why" "$reason"
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
