#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# jobs/foundation with a small text and model: cut into pieces, it ends with the model, its card and the table.

load common

# foundation SECONDS: one call
foundation() {
  FOUNDATION_SECONDS=$1 FOUNDATION_CONFIG=$SCRATCH/tiny.yaml FOUNDATION_DIR=$SCRATCH/out RANKS=2 \
    "$BATS_TEST_DIRNAME/../../jobs/foundation" "$(realpath "$ATOLL")" 2>&1
}

@test "the training goes on in pieces and ends with a model and its card" {
  mkdir -p out
  ln -f data.h5 out/text.h5
  sed -i 's/rounds: 3/rounds: 400/; s/context: 16/context: 64/; s/every: 100/every: 50/' tiny.yaml
  run foundation 0
  [ "$status" -eq 75 ]
  [ ! -e out/photon ]
  run foundation 1
  [ "$status" -eq 75 ]
  [[ $output == *"the same command goes on"* ]]
  [ ! -e out/model.h5 ]
  run foundation 100
  [ "$status" -eq 0 ]
  grep -q '^mixed .*[0-9]' out/table.txt
  grep -q 'order-4' out/card.html
  cmp out/model.h5 "out/photon/checkpoints/000400.h5"
  "$ATOLL" generate out/photon "The " tokens=20 </dev/null
}

@test "it ends at once when all is done" {
  run foundation 0
  [ "$status" -eq 0 ]
}
