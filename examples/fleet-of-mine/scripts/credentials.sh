#!/bin/sh
# Puts a credentials file in place, readable by its owner alone, and prints nothing of it:
# airlift run scripts/credentials.sh
set -eu
umask 077
target=${TARGET:-$HOME/.config/myapp/credentials.json}

mkdir -p "$(dirname "$target")"
install -m 0600 "$DEPLOY_FILES_DIR/credentials.json" "$target.new"
mv -f "$target.new" "$target"
echo "credentials are in $target ($(stat -c %a "$target"))"
