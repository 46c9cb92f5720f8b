# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# What a release asks of its host, and whether this host can do it.
#
# A release may belong to somebody who is not root, and who may then change anything in it. What is read, sourced, started or
# linked on its behalf is therefore kept apart in specs/RELEASE/, from before the release is given away, and never read from
# the release again.

read_spec() { # FOLDER: sets spec_*
    spec_bootstrap='' spec_timeout='' spec_packages='' spec_services='' spec_destination='' spec_owner=''
    spec_keep_releases=3 spec_keep_runs_days=7
    [ -e "$1/spec" ] || return 0
    while read -r key value; do
        case $key in
        airlift-spec) [ "$value" = 1 ] || fail 1 "this host.sh reads airlift-spec 1, not $value; install the newer one" ;;
        bootstrap) spec_bootstrap=$value ;;
        bootstrap-timeout) spec_timeout=$value ;;
        package) spec_packages="$spec_packages $value" ;;
        service) spec_services="$spec_services $value" ;;
        destination) spec_destination=$value ;;
        owner) spec_owner=$value ;;
        keep-releases) spec_keep_releases=$value ;;
        keep-runs-days) spec_keep_runs_days=$value ;;
        *) fail 1 "this host.sh does not know '$key' in .airlift/spec; install the newer one" ;;
        esac
    done <"$1/spec"
    for number in "${spec_timeout:-0}" "$spec_keep_releases" "$spec_keep_runs_days"; do is_number 'number in .airlift/spec' "$number"; done
    case $spec_destination in
    '' | /*) ;;
    [~]/*) # the home of whom the release belongs to
        home=$(home_of "$(printf '%s' "${spec_owner:-$uid}" | cut -d: -f1)")
        spec_destination=${home:-${HOME:-}}${spec_destination#'~'}
        ;;
    *) fail 1 "the destination $spec_destination is neither absolute nor beneath ~/" ;;
    esac
}

keep_spec() { # TREE FOLDER: the folder gets all that is used of the spec's files, from a tree that is nobody else's yet
    tree=$1 kept=$2
    set --
    for file in spec env; do
        [ ! -e "$tree/.airlift/$file" ] || set -- "$@" "$tree/.airlift/$file"
    done
    [ $# = 0 ] || cp "$@" "$kept/"
    if [ "$spec_bootstrap" ]; then
        case /$spec_bootstrap/ in */../*) fail 64 "the bootstrap $spec_bootstrap leaves the release" ;; esac
        [ -f "$tree/$spec_bootstrap" ] || fail 64 "the bootstrap $spec_bootstrap is not in the release"
        cp "$tree/$spec_bootstrap" "$kept/bootstrap"
    fi
    for service in $spec_services; do
        case ${service##*/} in airlift.path | airlift.service) fail 64 "the service $service has the name of a unit of airlift's" ;; esac
        [ -f "$tree/$service" ] || fail 64 "the service $service is not in the release"
        cp "$tree/$service" "$kept/units/"
    done
}

admit_spec() { # fails before anything has changed if this host cannot do what the spec says
    for package in $spec_packages; do
        is_name 'name of a package' "$package"
    done
    if [ "$spec_destination" ]; then linked_to_current "$spec_destination" || absent "$spec_destination"; fi
    [ "$uid" = 0 ] && return
    if missing_packages "$spec_packages"; then fail 26 "installing$spec_packages takes root; log in as root or allow sudo -n"; fi
    if [ "$spec_services" ] && systemd_runs; then fail 26 "starting$spec_services takes root; log in as root or allow sudo -n"; fi
    case $spec_owner in
    '' | "$(id -un)" | "$(id -un):$(id -gn)") ;;
    *) fail 26 "giving the release to $spec_owner takes root; log in as root or allow sudo -n" ;;
    esac
}

linked_to_current() { [ -L "$1" ] && [ "$(readlink "$1")" = "$root/current" ]; }

absent() {
    if [ -e "$1" ] || [ -L "$1" ]; then fail 22 "the destination $1 exists and is not airlift's link; move it away"; fi
}
