#!/bin/sh
# Puts a configuration file in place, where it changed, and says so: airlift run scripts/configure.sh
set -eu
target=${TARGET:-$HOME/.config/myapp/app.conf}
source=$DEPLOY_FILES_DIR/app.conf

if cmp -s "$source" "$target"; then
    echo "$target is up to date"
    exit 0
fi
mkdir -p "$(dirname "$target")"
install -m 0644 "$source" "$target.new"
mv -f "$target.new" "$target"
echo "$target was updated"
