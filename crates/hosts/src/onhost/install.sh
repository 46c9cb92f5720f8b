# shellcheck shell=sh
# install.sh: puts host.sh, which comes on stdin, under airlift's root, and with FLEET HOST has it claim the host for them and arm
# its watcher. Passed as one argument: `sh -c TEXT install HASH [FLEET HOST]`.
# What fails its hash is never put in place (23), nor anything
# on a host that lacks a tool (24). May be repeated, and interrupted at any point.
set -eu
umask 022
for tool in sha256sum tar flock setsid; do # what host.sh cannot do without
    command -v "$tool" >/dev/null || {
        echo "airlift: $tool is missing on this host; install it" >&2
        exit 24
    }
done
hash=$1
if [ -n "${AIRLIFT_ROOT:-}" ]; then root=$AIRLIFT_ROOT; elif [ "$(id -u)" = 0 ]; then root=/opt/airlift; else root=$HOME/.airlift; fi

mkdir -p "$root/bin/$hash"
temp=$root/bin/.host.sh.$$
trap 'rm -f "$temp" "$temp.link"; rmdir "$root/bin/$hash" 2>/dev/null || :' EXIT
cat >"$temp"
sum=$(sha256sum <"$temp")
if [ "${sum%% *}" != "$hash" ]; then
    echo "airlift: host.sh arrived damaged (its SHA-256 is ${sum%% *}); send it again" >&2
    exit 23
fi
sync "$temp" 2>/dev/null || :
mv -f "$temp" "$root/bin/$hash/host.sh"
ln -s "$hash/host.sh" "$temp.link"
mv -f "$temp.link" "$root/bin/host.sh"
printf 'program %s\nroot %s\n' "$hash" "$root"
[ $# = 3 ] || exit 0
trap - EXIT # nothing of it is left
sh "$root/bin/$hash/host.sh" identify "$2" "$3"
exec sh "$root/bin/$hash/host.sh" watch
