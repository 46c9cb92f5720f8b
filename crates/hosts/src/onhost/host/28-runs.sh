# shellcheck shell=sh disable=SC2034,SC2154,SC2164 # `set -e` and variables of other parts: the joined program is checked without this
# The verbs of a run, before the rest of the program: most calls are theirs, and what follows need not be read for them.
# In braces as the others are.
{
    case ${1:-}:$# in
    attend:2) attend "$2" ;;
    supervise:2) detached && supervise "$2" ;; # this one and the next are for `start` alone
    watchdog:3) watchdog "$2" "$3" ;;
    *) verb_follows=yes ;;
    esac
    [ "${verb_follows:-}" ] || exit 0
}
