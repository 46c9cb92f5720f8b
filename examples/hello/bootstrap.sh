#!/bin/sh
# Runs once on each host, in the folder of its release.
set -eu
mkdir -p "$HOME/www"
sed "s|@HOST@|$AIRLIFT_HOST|" app/index.html >"$HOME/www/index.html"
echo "installed $(wc -c <"$HOME/www/index.html") bytes of website"
