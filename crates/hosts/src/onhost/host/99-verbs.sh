# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# The verbs. In braces, so that nothing is read from this file any more once one has begun.
{
    verb=${1:-}
    [ $# = 0 ] || shift
    case $verb:$# in
    look:*) look "$@" ;;
    identify:2) identify "$@" ;;
    watch:0) watch ;;
    supply:*) supply "$@" ;;
    take:0) take ;;
    take:1) [ "$1" = --detached ] || fail 64 "take takes --detached or nothing, not '$1'" && take "$1" ;;
    await:1) [ "$1" = take ] || fail 64 "await takes 'take' or 'run RUN'" && await_take ;;
    await:2) [ "$1" = run ] || fail 64 "await takes 'take' or 'run RUN'" && await_run "$2" ;;
    secrets:1) secrets "$@" ;;
    switch:2) switch "$@" ;;
    stage:2 | stage:3) stage "$@" ;;
    start:2) start "$@" ;;
    follow:3) follow "$@" ;;
    cancel:1 | cancel:2) cancel "$@" ;;
    hostkey:[123]) hostkey "$@" ;;
    sweep:0) sweep ;;
    uninstall:1) uninstall "$@" ;;
    take_all:0) detached && take_all ;; # this one and the next are for those who detach
    settled:1) settled "$1" ;;
    *) fail 64 "there is no '$verb' with $# arguments; see docs/host-protocol.md" ;;
    esac
    exit
}
