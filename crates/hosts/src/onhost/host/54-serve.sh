# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# Packages and services of a release.

missing_packages() { # NAMES: true if one of them is not installed
    # shellcheck disable=SC2086 # names without blanks, checked by admit_spec
    set -- $1
    [ $# -gt 0 ] || return 1
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2016 # dpkg's own variable
        [ "$(dpkg-query -W -f='${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed)" != $# ]
    elif command -v apk >/dev/null; then
        if apk info -e "$@"; then return 1; fi >/dev/null 2>&1
    else
        if rpm -q "$@"; then return 1; fi >/dev/null 2>&1
    fi
}

install_packages() ( # NAMES
    missing_packages "$1" || exit 0
    # shellcheck disable=SC2086 # as above
    set -- $1
    exec 7>&- >&2 # a daemon that a package starts must hold no lock of ours
    export DEBIAN_FRONTEND=noninteractive
    if command -v apt-get >/dev/null; then
        apt-get -q update && apt-get -q -y -o DPkg::Lock::Timeout=300 install "$@"
    elif command -v dnf >/dev/null; then
        dnf -q -y install "$@"
    elif command -v apk >/dev/null; then
        apk add -q "$@"
    elif command -v zypper >/dev/null; then
        zypper -q -n install "$@"
    else
        fail 24 "neither apt-get, dnf, apk nor zypper is on this host; install $* yourself"
    fi || fail 1 "the packages $* could not be installed; see what the package manager says on the host"
)

# `services` holds the release that they were last started for, then one unit of ours a line. systemd reads copies in units/,
# at every boot: a unit within the release could be changed by its owner.
serve() ( # RELEASE FILES
    systemd_runs || exit 0
    first_line "$root/services" && served=$line
    former=$(sed 1d "$root/services" 2>/dev/null) || :
    [ "$2$former" ] || exit 0
    exec 7>&- >&2
    units=
    for file in $2; do units="$units ${file##*/}"; done
    # shellcheck disable=SC2086 # one unit a line
    put "$root/services" "none
$(printf '%s\n' $units $former | sort -u)"
    for unit in $former; do
        case " $units " in *" $unit "*) continue ;; esac
        systemctl disable --now "$unit" || :
        rm -f "$root/units/$unit"
    done
    mkdir -p "$root/units"
    for unit in $units; do
        cp "$root/specs/$1/units/$unit" "$root/units/.$unit"
        mv -f "$root/units/.$unit" "$root/units/$unit"
        systemctl link "$root/units/$unit" || fail 1 "systemd did not accept the unit $unit; see systemctl status $unit"
    done
    systemctl daemon-reload
    verb=restart
    [ "$served" != "$1" ] || verb=start
    for unit in $units; do
        if ! systemctl enable "$unit" || ! systemctl "$verb" "$unit"; then
            fail 1 "$unit did not start; see systemctl status $unit"
        fi
    done
    # shellcheck disable=SC2086 # one unit a line
    put "$root/services" "$1
$(printf '%s\n' $units)"
)
