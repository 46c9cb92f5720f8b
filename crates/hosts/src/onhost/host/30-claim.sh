# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Claiming the host for a fleet, and arming its watcher.

identify() { # FLEET HOST
    need flock
    lock
    identity
    [ "$fleet" = none ] || [ "$fleet" = "$1" ] ||
        fail 20 "this host belongs to the fleet $fleet (as $host); take it out of that fleet first"
    [ "$fleet" = none ] || [ "$host" = "$2" ] ||
        fail 20 "this host is known as $host in this fleet; two names for one machine would run everything twice"
    (umask 077 && mkdir -p "$root/inbox/refused" "$root/chunks" "$root/runs" "$root/specs")
    mkdir -p "$root/releases" "$root/manifests"
    chmod 0711 "$root/runs" # a run's folder may be entered by the user it runs as
    [ "$fleet" != none ] || put "$root/identity" "fleet $1
host $2"
    if [ ! -e "$root/swept" ]; then # there is nothing yet that could be of another day
        swept_now
        echo "$boot" >"$root/chunks.boot"
    fi
    persist "$root/identity" "$root"
}

watch() {
    claimed
    if [ "$uid" = 0 ] && systemd_runs; then
        mkdir -p "$root/units"
        put "$root/units/airlift.path" "[Unit]
Description=airlift: bundles that arrive in $root/inbox

[Path]
PathExistsGlob=$root/inbox/*.bundle

[Install]
WantedBy=multi-user.target"
        # KillMode: what a bootstrap leaves running is its own affair. IgnoreSIGPIPE: scripts start as a login would start them.
        put "$root/units/airlift.service" "[Unit]
Description=airlift: take bundles from $root/inbox

[Service]
Type=oneshot
ExecStart=/bin/sh \"$root/bin/host.sh\" take
TimeoutStartSec=infinity
KillMode=process
IgnoreSIGPIPE=no"
        { systemctl link "$root/units/airlift.path" "$root/units/airlift.service" && systemctl daemon-reload &&
            systemctl enable --now airlift.path; } >/dev/null 2>&1 ||
            fail 1 "systemd did not accept airlift.path; see systemctl status airlift.path"
        put "$root/watcher" systemd
    fi
    first_line "$root/watcher"
    printf 'watcher %s\n' "${line:-none}"
}
