# shellcheck shell=sh
# probe.sh: the first look at a host, passed as one argument: `sh -c TEXT probe HASH look|attend …` (as root or through sudo where
# that is had). It writes nothing. It is the one place that knows where airlift's root is. Where host.sh HASH is installed, that takes the verb; else
# this prints what can be known without it, in the same format ("look" in docs/host-protocol.md).
set -u
wanted=$1
shift
while read -r key _ uid _; do # the effective one; `id` would be a process
    [ "$key" != Uid: ] || break
done </proc/self/status
if [ -n "${AIRLIFT_ROOT:-}" ]; then root=$AIRLIFT_ROOT; elif [ "$uid" = 0 ]; then root=/opt/airlift; else root=$HOME/.airlift; fi

AIRLIFT_PROBED="home ${HOME:-/}"
if [ "$uid" != 0 ] && command -v sudo >/dev/null; then
    if sudo -n true </dev/null >/dev/null 2>&1; then sudo=yes; else sudo=no; fi
    AIRLIFT_PROBED="$AIRLIFT_PROBED
sudo $sudo"
fi
AIRLIFT_SELF=$root/bin/$wanted/host.sh
# shellcheck disable=SC1090 # read by this shell, not by another one: that would be a process more
if [ -e "$AIRLIFT_SELF" ]; then . "$AIRLIFT_SELF"; fi

printf 'airlift-host 1\nprogram none\nroot %s\nuid %s\n%s\n' "$root" "$uid" "$AIRLIFT_PROBED"
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=unknown
printf 'boot %s\n' "$boot"
for tool in sha256sum tar flock setsid openssl zstd gzip systemctl sudo su; do
    if command -v "$tool" >/dev/null; then printf 'tool %s\n' "$tool"; fi
done
there=$root
until [ -d "$there" ]; do
    case $there in */*) there=${there%/*} ;; *) there=. ;; esac
    there=${there:-/}
done
df -Pk "$there" 2>/dev/null | { read -r _ && read -r _ _ _ free _ && printf 'free %s\n' "$free"; }
if [ -e "$root/identity" ]; then cat "$root/identity"; fi
release=$(readlink "$root/current" 2>/dev/null) || release=none
printf 'current %s\nend\n' "${release##*/}"
