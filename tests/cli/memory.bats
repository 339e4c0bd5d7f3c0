#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The memory that a run plans (arena, data, optimiser and server state) is what it uses: peak minus warm-up, within a tenth.

load common

# planned RANKS [KEY=VALUE ...]: a model of 3.2 million parameters, large against what libraries take for themselves
planned() {
  run on "$1" photon tiny.yaml run=run model.width=256 model.layers=4 model.heads=4 model.context=128 local.batch=4 \
    local.steps=1 fed.clients=4 fed.rounds=2 eval.windows=1 log.level=info "${@:2}"
  rm -rf run
  echo "$output"
  [ "$status" -eq 0 ]
  grep -oE 'memory planned = [0-9.]+ MiB, used = [0-9.]+ MiB' <<<"$output" |
    awk '{ gap = $8 / $4 - 1 } END { print "gap", 100 * gap, "%"; exit !(NR == 1 && gap < 0.1 && gap > -0.1) }'
}

@test "photon, on one rank and on two" {
  planned 1
  planned 2
}

@test "client moments, server moments, averaged moments" {
  planned 1 fed.moments=keep outer.method=fednesterov
  planned 1 fed.moments=periodic
  planned 2 fed.moments=average outer.method=fedadam
}

@test "ddp, exact and fast" {
  planned 1 method=ddp
  planned 2 method=ddp reduce=fast
}

@test "local_only and local_sgd" {
  planned 1 method=local_only
  planned 2 method=local_sgd
}

@test "a large arena" {
  planned 1 local.batch=16 eval.batch=1
}
