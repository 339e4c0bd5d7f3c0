#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# `atoll plan` against the runs it plans: memory within 10 %, lengths of files within 2 %, bytes within 1 %; what does not fit is
# named with the key to change.  Time is measured on a machine that others may be using, so only its magnitude is tested.

load common

setup_file() {
  scratch
  tiny .
  sed -i '1i system: photon' tiny.yaml
}

# exactly FILE NAME: the exact figure of the line NAME of a plan
exactly() {
  sed -nE "s/^ *$2 .* ([0-9.]+) [Bs]( .*)?\$/\1/p" "$1" | head -n 1
}

# close PERCENT PLANNED FOUND
close() {
  echo "planned $2, found $3"
  awk -v p="$1" -v a="$2" -v b="$3" 'BEGIN { d = a > b ? a - b : b - a; exit !(a != "" && b != "" && d <= b * p / 100) }'
}

# column RUN NAME WHICH: the median of a column of the metrics over the rounds with an evaluation (1), or those without (0)
column() {
  "${ATOLL_PYTHON:-python3}" -c "import h5py, numpy as np
f = h5py.File('$1/metrics.h5')
x = f['$2'][np.isfinite(f['val_nats']) == ($3 == 1)]
print(int(np.median(x)))"
}

# agrees RANKS [KEY=VALUE ...]: files and bytes of a run and of its plan, made by one rank
agrees() {
  local settings=(fed.rounds=5 eval.every=2 checkpoint.every=2 run=run "${@:2}")
  rm -rf run
  on 1 plan --ranks "$1" tiny.yaml "${settings[@]}" >plan
  cat plan
  [ ! -e run ]
  on "$1" photon tiny.yaml "${settings[@]}" 2>&1
  close 2 "$(exactly plan 'checkpoint file')" "$(stat -c %s run/checkpoints/000004.h5)"
  close 2 "$(exactly plan 'metrics file')" "$(stat -c %s run/metrics.h5)"
  close 2 "$(exactly plan 'evaluation file')" "$(stat -c %s run/evaluation.h5)"
  close 1 "$(exactly plan 'sent by a client in a round')" "$(column run payload_bytes 0)"
  close 1 "$(exactly plan 'sent by rank 0 in a round')" "$(column run mpi_bytes_sent 0)"
  close 1 "$(($(exactly plan 'sent by rank 0 in a round') + $(exactly plan '  for an evaluation')))" \
    "$(column run mpi_bytes_sent 1)"
}

@test "files and bytes: one rank" {
  agrees 1
  agrees 1 method=local_only
}

@test "files and bytes: two ranks, exact and fast" {
  agrees 2 fed.moments=average fed.per_round=3 outer.method=fedadam
  agrees 2 fed.moments=periodic fed.m_every=1 fed.v_every=1
  agrees 2 reduce=fast method=local_sgd
}

@test "files and bytes: three ranks, state of clients, gradients at every step" {
  agrees 3 method=diloco
  agrees 3 method=ddp
  agrees 3 method=local_only
}

@test "files and bytes: islands that ranks share, and models evaluated apart" {
  agrees 4 fed.clients=2 fed.islands=2 fed.island_steps=2
  agrees 2 fed.clients=2 fed.islands=3 fed.moments=keep eval.gain=true
}

@test "bytes of codecs: two-phase, parameter server, gradients" {
  agrees 2 exchange.up.codec=int8
  agrees 3 exchange.up.codec=int4 exchange.algorithm=star
  agrees 3 method=ddp exchange.up.codec=int8
}

@test "bytes of codecs: low rank, masks, sparse" {
  agrees 2 exchange.up.codec=powersgd
  agrees 2 reduce=secure
  agrees 2 exchange.up.codec=topk exchange.up.index=u32
}

@test "bytes of codecs: integers, hops, averaged moments" {
  agrees 3 exchange.up.codec=int8 exchange.algorithm=integer
  agrees 2 exchange.up.codec=int4 exchange.algorithm=ring
  agrees 2 exchange.up.codec=int8 fed.moments=average
}

@test "virtual seconds: those of the run" {
  agrees 1 exchange.up.codec=int8 net.bandwidth=10 net.latency=0.01 net.device=pi4
  close 1 "$(exactly plan 'virtual time of a round')e6" "$("${ATOLL_PYTHON:-python3}" -c "import h5py
print(h5py.File('run/metrics.h5')['virtual_seconds'][-1] * 1e6)")"
}

@test "memory: a model that is large against what libraries take for themselves" {
  local settings ranks
  settings=(model.width=256 model.layers=4 model.heads=4 model.context=128 local.steps=1 fed.clients=4 fed.rounds=1
    eval.windows=1 run=large)
  for ranks in 1 2; do
    on "$ranks" plan tiny.yaml "${settings[@]}" >plan
    run on "$ranks" photon tiny.yaml "${settings[@]}" log.level=info
    rm -rf large
    [ "$status" -eq 0 ]
    used=$(sed -nE 's/.*, used = ([0-9.]+) MiB.*/\1/p' <<<"$output")
    close 10 "$(exactly plan 'memory per rank')" "$(awk -v m="$used" 'BEGIN { printf "%.0f", m * 1048576 }')"
  done
}

@test "a plan for other ranks differs only in time, and says so" {
  on 1 plan --ranks 2 tiny.yaml >one
  on 2 plan tiny.yaml >two
  diff <(sed '/^memory of a node/d; /^program/d; /^disk/d; /^time/,$d' one) \
    <(sed '/^memory of a node/d; /^program/d; /^disk/d; /^time/,$d' two)
  grep -q "mpirun -n 2 atoll plan" one
  ! grep -q "mpirun" two
}

@test "time: the magnitude" {
  local settings=(fed.rounds=200 local.steps=20 checkpoint.every=10 run=timed) try seconds
  for try in 1 2 3; do
    rm -rf timed
    on 1 plan tiny.yaml "${settings[@]}" >plan
    run on 1 photon tiny.yaml "${settings[@]}" log.level=info
    seconds=$(sed -nE 's/^\[ *([0-9.]+) s\] done: memory.*/\1/p' <<<"$output")
    if close 100 "$(exactly plan time)" "$seconds" && close 100 "$seconds" "$(exactly plan time)"; then
      return 0
    fi
  done
  return 1
}

# too_much TEXT ARGUMENT...: the plan is told whole, exit code 4, and the text names what to change
too_much() {
  run on 1 plan "${@:2}"
  echo "$output"
  [ "$status" -eq 4 ]
  [[ $output == *"TOO MUCH"* ]]
  [[ $output == *"$1"* ]]
}

@test "what does not fit is named with the key to change" {
  too_much "lower model.width or model.layers" --ranks 64 tiny.yaml model.width=16384 model.layers=96 model.heads=64 \
    outer.method=fedadam
  [[ $output == *"not measured"* ]]
  too_much "take more ranks or lower fed.per_round" tiny.yaml model.width=8192 fed.clients=1000
  too_much "set checkpoint.keep=2" tiny.yaml fed.rounds=1e9 checkpoint.every=1 checkpoint.keep=0 local.warmup=0 local.period=1
  SLURM_MEM_PER_NODE=20 too_much "SLURM_MEM_PER_NODE" tiny.yaml
  SLURM_TIMELIMIT=0:01 too_much "most of it training: take more ranks" tiny.yaml fed.rounds=1e5 checkpoint.every=1e5 \
    eval.every=1e5 local.steps=100
  SLURM_JOB_END_TIME=1000 too_much "SLURM_JOB_END_TIME" tiny.yaml
}

@test "nodes share the ranks" {
  on 1 plan --ranks 64 --nodes 3 tiny.yaml | grep -q "memory of a node (22 ranks)"
  SLURM_JOB_NUM_NODES=2 on 1 plan --ranks 5 tiny.yaml | grep -q "memory of a node (3 ranks)"
}

@test "nothing is left behind, also where the run folder could not be" {
  ls -A >before
  on 2 plan tiny.yaml run=a/b/c >plan
  on 2 plan tiny.yaml run=tiny.yaml/x >plan
  touch after plan
  ls -A | grep -vxE 'after|plan|before' | diff - <(grep -vxE 'after|plan|before' before)
}

@test "bad arguments are refused, once" {
  refused() {
    run on 2 plan "${@:3}"
    echo "$output"
    [ "$status" -eq "$1" ]
    [ "$(grep -cF -- "$2" <<<"$output")" -eq 1 ]
  }
  refused 2 "Usage: atoll plan"
  refused 2 "--ranks 0: expected a number from 1" --ranks 0 tiny.yaml
  refused 2 "did you mean fed.rounds" tiny.yaml fed.round=3
  refused 2 "say which system: system=photon" -
  refused 3 "none.yaml cannot be read" none.yaml
  refused 2 "there are only fed.clients = 5" tiny.yaml fed.per_round=9
  printf 'seed: 1\n' >bare.yaml
  refused 2 "bare.yaml names no system: say system=photon" bare.yaml
  on 1 plan bare.yaml system=photon data=data.h5 model.width=16 model.layers=1 model.heads=2 model.context=16 >plan
}
