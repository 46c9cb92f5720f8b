#!/bin/sh
# Load, memory, disk, network and Docker of each host: airlift run scripts/health.sh --no-files
set -u
status=0

echo "load    $(cut -d' ' -f1-3 /proc/loadavg) on $(nproc) cores"
awk '/^MemTotal/ {t=$2} /^MemAvailable/ {a=$2} END {printf "memory  %d of %d MiB available\n", a/1024, t/1024}' /proc/meminfo

used=$(df -P / | awk 'NR == 2 {sub("%", "", $5); print $5}')
echo "disk    $used % of / in use"
if [ "$used" -gt 90 ]; then
    echo "disk is nearly full" >&2
    status=1
fi

if command -v docker >/dev/null; then
    if docker info >/dev/null 2>&1; then
        echo "docker  $(docker ps -q | wc -l) containers running"
    else
        echo "docker is installed, but its engine does not answer" >&2
        status=1
    fi
else
    echo "docker  not installed"
fi
exit "$status"
