# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# The folder is kept small, and removed without a trace.

sweep() {
    claimed
    if take_lock_is_free; then tidy; fi # else: a take sweeps when it is done
}

take_lock_is_free() { # it is ours then, as 7
    open_take_lock
    flock -n 7
}

sweep_if_due() { # what time makes superfluous is looked for once an hour
    first_line "$root/swept" && swept=$line
    read -r now _ </proc/uptime
    current
    read_spec "$root/specs/$release"
    set -- "$root"/releases/*
    case ${swept#"$boot "} in '' | *[!0-9]*) swept="$boot 0" now=3601 ;; esac # of another boot, or not whole
    if [ $((${now%.*} - ${swept#* })) -gt 3600 ]; then
        ! take_lock_is_free || tidy
    elif [ $# -gt "$spec_keep_releases" ]; then
        ! take_lock_is_free || sweep_releases
    fi
}

tidy() { # take.lock is held
    sweep_releases
    tidy_runs "$stay" "$spec_keep_runs_days"
    rm -rf "$root"/runs/.old-*
    if referenced >"$root/chunks/.referenced"; then # twice, so that uniq -u drops them
        { find "$root/chunks" -maxdepth 1 -type f -name '[0-9a-f]*' -mmin +60 && cat "$root/chunks/.referenced" "$root/chunks/.referenced"; } |
            sed 's|.*/||' | sort | uniq -u | (cd "$root/chunks" && xargs -r rm -f)
    fi
    rm -f "$root/chunks/.referenced"
    seal_all
    secrets=$(readlink "$root/secrets") || secrets=-
    find "$root" -mindepth 1 -maxdepth 2 -name '.*' ! -name "$secrets" -mtime +0 -prune -exec rm -rf {} +
    newest=$(readlink "$root/bin/host.sh") || newest=-
    find "$root/bin" -mindepth 1 -maxdepth 1 -type d ! -name "${newest%/*}" ! -name "$program" -mtime +6 -exec rm -rf {} +
    swept_now
}

swept_now() {
    read -r now _ </proc/uptime
    echo "$boot ${now%.*}" >"$root/swept"
}

sweep_releases() { # take.lock is held. Sets stay: those that do. What is large goes by rename first: a name never stands for half
    current
    read_spec "$root/specs/$release"
    stay=" $release "
    # shellcheck disable=SC2045 # digests, by time
    for kept in $(ls -t "$root/manifests"); do
        [ "$spec_keep_releases" -gt 0 ] || break
        stay="$stay$kept " spec_keep_releases=$((spec_keep_releases - 1))
    done
    for dir in "$root"/runs/*; do
        if [ -s "$dir/exit" ] || [ ! -e "$dir/started" ]; then
            continue
        elif held "$dir/lock"; then
            stay="$stay$(sed -n 2p "$dir/started") "
        else # its supervisor died
            signal_group KILL "$dir" || :
            rm -rf "$dir/files" "$dir/argv" "$dir/env"
        fi
    done
    for dir in "$root"/releases/*; do
        case $stay in *" ${dir##*/} "*) continue ;; esac
        [ ! -d "$dir" ] || mv "$dir" "$root/releases/.${dir##*/}"
    done
    set --
    for of_release in "$root"/specs/* "$root"/manifests/*; do
        if [ -e "$of_release" ] && [ ! -d "$root/releases/${of_release##*/}" ]; then set -- "$@" "$of_release"; fi
    done
    rm -rf "$@" "$root"/releases/.[0-9a-f]*
}

referenced() { find "$root/manifests" -type f -exec sed -n 's/^piece \([0-9a-f]*\) .*/\1/p' {} +; } # pieces

tidy_runs() ( # RELEASES-THAT-STAY DAYS
    stay=$1 days=$2
    set --
    [ "$days" = 0 ] || set -- -mtime "+$((days - 1))"
    lock
    find "$root/runs" -mindepth 1 -maxdepth 1 -type d ! -name '.*' "$@" | while read -r dir; do
        if held "$dir/lock" || { [ ! -e "$dir/started" ] && [ "$days" = 0 ]; }; then continue; fi
        first_line "$dir/token"
        case ${dir##*/}:$stay in
        boot-*" $line "*) ;;
        boot-*) # a release is bootstrapped once, ever: what tells so stays
            (cd "$dir" && rm -rf script argv env timeout files stdout stderr)
            ;;
        *) mv "$dir" "$root/runs/.old-${dir##*/}" ;;
        esac
    done
)

uninstall() { # FLEET
    identity
    [ "$fleet" = none ] || [ "$fleet" = "$1" ] || fail 20 "this host belongs to the fleet $fleet; uninstall it there"
    cd /
    rm -f "$root"/inbox/*.bundle
    for dir in "$root"/runs/*; do
        if [ -d "$dir" ] && [ ! -s "$dir/exit" ]; then end_run "${dir##*/}" & fi
    done
    wait
    open_take_lock
    flock 7
    if [ "$uid" = 0 ] && systemd_runs; then
        units=$(sed 1d "$root/services" 2>/dev/null) || :
        first_line "$root/watcher"
        [ "$line" != systemd ] || units="$units airlift.path airlift.service"
        for unit in $units; do systemctl disable --now "$unit" >/dev/null 2>&1 || :; done
        [ -z "$units" ] || systemctl daemon-reload || :
    fi
    current
    destination=$(destination_of "$release") || destination=
    if linked_to_current "$destination"; then rm -f "$destination"; fi
    for name in identity watcher inbox chunks releases specs manifests current secrets secrets.digest services units runs chunks.boot lock take.lock swept bin; do
        rm -rf "${root:?}/$name"
    done
    rm -rf "$root"/.secrets-* "$root"/.[a-z]*.[0-9]*
    rmdir "$root" 2>/dev/null || : # somebody else's files stay
}
