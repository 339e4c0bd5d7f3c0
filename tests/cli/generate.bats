#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# `atoll generate`: what it prints, that the text is valid whatever the model does, and what it refuses.

setup_file() {
  ATOLL=${ATOLL:-$BATS_TEST_DIRNAME/../../build/atoll}
  MPIRUN=${ATOLL_MPIRUN:-mpirun --oversubscribe}
  export ATOLL MPIRUN
  cd "$BATS_FILE_TMPDIR" || return
  mkdir -p text/en text/ru
  for i in {1..12}; do
    for line in {1..12}; do
      echo "The small brown fox number $i.$line runs to the old house."
    done >"text/en/$i.txt"
    sed 's/.*number \([0-9.]*\) .*/Маленькая лиса номер \1 бежит к старому дому./' "text/en/$i.txt" >"text/ru/$i.txt"
  done
  "$ATOLL" data text data.h5 silo=en:text/en,ru:text/ru >log 2>&1
  train run
}

setup() {
  set -o pipefail
  cd "$BATS_FILE_TMPDIR" || return
}

# train RUN [KEY=VALUE ...]: a tiny model
train() {
  "$ATOLL" photon - data=data.h5 run="$1" fed.rounds=2 local.steps=4 local.batch=4 model.width=16 model.layers=1 \
    model.heads=2 model.context=32 eval.windows=1 "${@:2}" >>log 2>&1
}

# valid: standard input is UTF-8
valid() {
  iconv -f UTF-8 -t UTF-16 >/dev/null
}

# differ A B: files of different bytes
differ() {
  run cmp -s "$1" "$2"
  [ "$status" -eq 1 ]
}

@test "prints the prompt and its continuation, the same for the same seed on any number of ranks" {
  "$ATOLL" generate run "The " tokens=50 >one 2>errors
  [ ! -s errors ]
  [[ $(head -c 4 one) == "The " ]]
  [ "$(wc -m <one)" -ge 25 ]
  # shellcheck disable=SC2086 # the words of the command
  $MPIRUN -n 3 "$ATOLL" generate run/checkpoints/000002.h5 "The " tokens=50 >three
  cmp one three
  "$ATOLL" generate run "The " tokens=50 seed=2 >other
  differ one other
}

@test "no length and no temperature breaks a character" {
  for tokens in {0..12}; do
    "$ATOLL" generate run "Ли" tokens="$tokens" temperature=100 top_p=1 seed="$tokens" >out
    valid <out
    # at most three bytes more than asked for, and the end of the line
    [ "$(wc -c <out)" -le $((4 + tokens + 3 + 1)) ]
    [ "$(wc -c <out)" -ge $((4 + tokens + 1)) ]
  done
  "$ATOLL" generate run "" tokens=400 temperature=100 top_p=1 | valid
  "$ATOLL" generate run $'an open \xd0' tokens=0 | valid
}

@test "samples stand apart by a line and differ" {
  "$ATOLL" generate run "A" tokens=30 samples=3 top_p=1 temperature=1 >out
  [ "$(grep -cx -e --- out)" -eq 2 ]
  "$ATOLL" generate run "A" tokens=30 top_p=1 temperature=1 >first
  cmp first <(head -c "$(wc -c <first)" out)
  differ first <(tail -c "$(wc -c <first)" out)
  "$ATOLL" generate run "A" tokens=9 temperature=0 seed=1 >greedy
  "$ATOLL" generate run "A" tokens=9 temperature=0 seed=2 | cmp greedy
  "$ATOLL" generate run "A" tokens=9 top_k=1 | cmp greedy
}

@test "a prompt longer than the context, and all kinds of model" {
  "$ATOLL" generate run "$(printf 'long %.0s' {1..100})" tokens=100 | valid
  train kinds model.norm=rms model.mlp=swiglu model.positions=rope model.kv_heads=1 model.tied=false model.bias=true
  "$ATOLL" generate kinds "The " tokens=100 | valid
}

@test "clients that were trained alone each have a model" {
  train alone method=local_only
  run "$ATOLL" generate alone "The "
  [ "$status" -eq 2 ]
  [[ $output == *"client=NUMBER"* ]]
  "$ATOLL" generate alone "The " client=0 >en
  "$ATOLL" generate alone "The " client=1 >ru
  differ en ru
  run "$ATOLL" generate alone "The " client=2
  [ "$status" -eq 2 ]
  [[ $output == *"the clients 0 to 1"* ]]
  run "$ATOLL" generate run "The " client=0
  [ "$status" -eq 2 ]
  [[ $output == *"no models of their own"* ]]
}

@test "a damaged newest checkpoint is passed over in a run, and refused as a file" {
  mkdir -p hurt/checkpoints
  cp run/checkpoints/*.h5 hurt/checkpoints
  truncate -s -5000 hurt/checkpoints/000002.h5
  "$ATOLL" generate run/checkpoints/000001.h5 "The " tokens=20 >want
  "$ATOLL" generate hurt "The " tokens=20 >out 2>errors
  cmp want out
  grep -q "trying the checkpoint before" errors
  run "$ATOLL" generate hurt/checkpoints/000002.h5 "The "
  [ "$status" -eq 3 ]
  [[ $output == *"000002.h5"*"cut off"* ]]
}

@test "refuses other files and bad arguments, once" {
  refused() {
    # shellcheck disable=SC2086 # the words of the command
    run $MPIRUN -n 2 "$ATOLL" generate "${@:3}"
    [ "$status" -eq "$1" ]
    [ "$(grep -cF "$2" <<<"$output")" -eq 1 ]
  }
  refused 3 "absent.h5" absent.h5 "The "
  refused 3 "a checkpoint file was expected" data.h5 "The "
  refused 3 "not an HDF5 file" text/en/1.txt "The "
  refused 3 "has no checkpoint" text "The "
  refused 2 "Usage: atoll generate" run
  refused 2 "did you mean tokens?" run "The " token=3
  refused 2 "out of range" run "The " top_p=0
  refused 2 "not UTF-8" run $'\xff'
  "$ATOLL" generate --help | grep -q temperature
}

@test "a full disk is an error" {
  [ -e /dev/full ] || skip "no /dev/full"
  run bash -c '"$ATOLL" generate run "The " tokens=9 2>&1 >/dev/full'
  [ "$status" -eq 3 ]
  [[ $output == *"cannot be written"* ]]
}
