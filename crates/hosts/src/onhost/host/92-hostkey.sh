# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# The host's own key, which replaces the one of its launch batch.

public_of() { ssh-keygen -y -f "$1" | cut -d' ' -f1,2; } # PRIVATE-KEY-FILE

hostkey() { # new | switch PUBLIC
    key=${AIRLIFT_HOSTKEY:-/etc/ssh/ssh_host_ed25519_key}
    need ssh-keygen
    [ -w "${key%/*}" ] || fail 26 "the host key $key may be changed by root only; log in as root or allow sudo -n"
    umask 077
    if [ "$1" = new ]; then
        if [ ! -e "$key.airlift-new" ]; then
            rm -f "$key.airlift-temp" "$key.airlift-temp.pub"
            ssh-keygen -q -t ed25519 -N '' -C '' -f "$key.airlift-temp" </dev/null >&2
            rm -f "$key.airlift-temp.pub" # the private key tells it
            persist "$key.airlift-temp"
            mv -f "$key.airlift-temp" "$key.airlift-new"
        fi
        printf 'hostkey %s\n' "$(public_of "$key.airlift-new")"
        return
    fi
    shift
    wanted=$(printf '%s' "$*" | cut -d' ' -f1,2)
    if [ "$(public_of "$key")" != "$wanted" ]; then
        if [ ! -e "$key.airlift-new" ] || [ "$(public_of "$key.airlift-new")" != "$wanted" ]; then
            fail 22 "no key of this host has the public part $wanted; ask for a new one"
        fi
        mv -f "$key.airlift-new" "$key"
    fi
    (umask 022 && put "$key.pub" "$wanted")
    persist "$key" "$key.pub" "${key%/*}"
    if [ "$uid" = 0 ] && systemd_runs; then
        for unit in ssh sshd; do
            ! systemctl is-active --quiet "$unit" || systemctl reload "$unit" || fail 1 "$unit did not reload; see systemctl status $unit"
        done
    fi
    printf 'hostkey %s\n' "$wanted"
}
