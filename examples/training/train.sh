#!/bin/sh
# Trains for a number of steps, and goes on where the run before it stopped: airlift run train.sh -- 200
#
# Every ten steps it writes a checkpoint, and `latest` names the newest one that is whole. TERM is the notice that it has to stop:
# `airlift cancel` and a timeout send it to every process of the script, and KILL five seconds later to what is still there.
set -eu

steps=${1:-200}
checkpoints=$HOME/checkpoints
step=0
weight=1

save() {
    # Renamed when it is whole: whoever reads it never finds half of one, whenever the machine goes away.
    echo "$step $weight" >"$checkpoints/new"
    mv "$checkpoints/new" "$checkpoints/step-$step"
    echo "step-$step" >"$checkpoints/new"
    mv "$checkpoints/new" "$checkpoints/latest"
    echo "checkpoint: step $step, weight $weight"
}

stop() {
    trap '' TERM
    echo "asked to stop"
    save
    exit 143 # what the shell says of a process that TERM ended
}

train() { # one step, of which a real one would take minutes: save more often than you can afford to lose
    weight=$(((weight * 31 + step) % 1000003))
    step=$((step + 1))
    sleep "$SECONDS_PER_STEP" || : # TERM ends the sleep too
}

mkdir -p "$checkpoints"
if [ -e "$checkpoints/latest" ]; then
    read -r step weight <"$checkpoints/$(cat "$checkpoints/latest")"
    echo "going on from step $step"
else
    echo "starting from scratch"
fi
trap stop TERM
while [ "$step" -lt "$steps" ]; do
    train
    [ $((step % 10)) -ne 0 ] || save
done
echo "trained $step steps: weight $weight"
