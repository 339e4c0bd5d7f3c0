#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# A signal that asks for an orderly end: the last complete round is saved, the exit code is 75, and resuming loses nothing.

load common

# stopped SIGNAL POINT:N RANK RANKS RUN [KEY=VALUE ...]: rank RANK alone gets the signal there
stopped() {
  ATOLL_FAULT_SIGNAL=$1 ATOLL_FAULT=$2 ATOLL_FAULT_RANK=$3 run on "$4" photon tiny.yaml run="$5" "${@:6}"
  echo "$output"
  [ "$status" -eq 75 ]
  [ "$(grep -c '^atoll: stopped by a signal' <<<"$output")" -eq 1 ]
}

# no_loss NAME POINT:N RANK RANKS RANKS_AFTERWARDS ROUND [KEY=VALUE ...]: stopped after ROUND, resumed, and identical
no_loss() {
  on 1 photon tiny.yaml run="$1-whole" "${@:7}"
  stopped 15 "$2" "$3" "$4" "$1" "${@:7}"
  [[ $output == *"saved after round $6 of"*"\`atoll resume $1\` goes on"* ]]
  on "$5" resume "$1"
  same "$1-whole" "$1"
}

@test "SIGTERM in a round: the one before is saved, though no checkpoint was due" {
  # five clients of three steps: on two ranks, rank 1 has six a round
  no_loss photon step:16 1 2 1 2 fed.rounds=6
}

@test "client moments survive" {
  no_loss kept step:20 0 2 3 3 fed.rounds=6 fed.moments=keep outer.method=fedmom fed.per_round=3 fed.partition=iid
}

@test "averaged moments survive" {
  no_loss averaged step:20 0 1 2 1 fed.rounds=4 fed.moments=average outer.method=fedyogi outer.lr=0.01
}

@test "a round of steps on the global model leaves no trace" {
  no_loss ddp step:8 2 3 2 2 fed.rounds=6 method=ddp
}

@test "nor do grids that became coarser in it" {
  # in the second round the largest gradients grow past the range of +-2
  local settings=(method=ddp outer.grid_bits=61 local.lr=2 local.clip=0 local.steps=8 local.warmup=16)
  on 1 photon tiny.yaml run=grids-whole "${settings[@]}" checkpoint.every=1 checkpoint.keep=0
  stopped 15 step:15 0 1 grids "${settings[@]}"
  same grids-whole/checkpoints/000001.h5 grids/checkpoints/000001.h5
  on 1 resume grids
  same grids-whole/checkpoints/000003.h5 grids/checkpoints/000003.h5
  grids() {
    "$ATOLL_PYTHON" -c "import h5py; print(h5py.File('grids-whole/checkpoints/$1.h5')['server/grid_bits'][:])"
  }
  [ "$(grids 000001)" != "$(grids 000002)" ]
}

@test "models of clients survive" {
  no_loss alone step:16 1 2 3 2 fed.rounds=6 method=local_only
}

@test "after a due checkpoint nothing is left to save, and the message says as much" {
  no_loss due step:16 1 2 2 2 fed.rounds=6 checkpoint.every=2
}

@test "before the first round is complete, the run begins again" {
  on 1 photon tiny.yaml run=first-whole
  stopped 10 step:2 0 2 first
  [[ $output == *"in the first round: \`atoll resume first\` begins it again"* ]]
  on 2 resume first
  same first-whole first
}

@test "stopped again and again" {
  on 1 photon tiny.yaml run=often-whole fed.rounds=6 fed.moments=keep
  stopped 15 step:4 0 3 often fed.rounds=6 fed.moments=keep
  local round
  for round in 1 2 3 4; do
    ATOLL_FAULT_SIGNAL=10 ATOLL_FAULT=step:22 run on 1 resume often # each lives for one round and a half
    [ "$status" -eq 75 ]
    [[ $output == *"saved after round $round of 6"* ]]
  done
  on 2 resume often
  same often-whole often
}

@test "in the last round's end the run finishes" {
  # the last passage: the point lies behind the last look at signals
  ATOLL_FAULT_SIGNAL=15 ATOLL_FAULT=step:45 run on 1 photon tiny.yaml run=late
  echo "$output"
  [ "$status" -eq 0 ]
  [ -e late/evaluation.h5 ]
}

# from_outside SIGNAL RANKS RUN: a signal to all ranks, or to their launcher, at some instant of a running run
from_outside() {
  local pid victims
  on "$2" photon tiny.yaml run="$3" fed.rounds=2000 >"$3.out" 2>&1 3>&- &
  pid=$!
  until [ -e "$3/metrics.h5" ]; do
    kill -0 "$pid"
    sleep 0.02
  done
  kill -"$1" "$(pgrep -P "$pid" -x "${4:-atoll}" | head -n 1)"
  status=0
  wait "$pid" || status=$?
  cat "$3.out"
  [ "$status" -eq 75 ]
  grep -q '^atoll: stopped by a signal' "$3.out"
}

@test "signals from outside: one process" {
  from_outside TERM 1 outside
  from_outside USR1 1 outside-too
}

@test "signals from outside: mpirun passes SIGUSR1 on to all ranks" {
  from_outside USR1 2 passed mpirun
}
