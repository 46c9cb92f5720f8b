#!/bin/sh
# Runs on every host at once: airlift run hello.sh
set -eu
echo "$GREETING $AIRLIFT_HOST"
while read -r line; do
    echo "$line"
    sleep 0.3
done <"$DEPLOY_FILES_DIR/checklist.txt"
echo "website: $(wc -c <"$HOME/www/index.html") bytes"
