#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Ranks that die or fall silent: the job ends soon and says which one it was, and resuming leaves no trace of it.
#
# ATOLL_KILLS   how many ranks are killed one after the other in one run (5)

load common

teardown() {
  # a job that should have ended and did not
  [ -z "${job-}" ] || kill -KILL "$job" 2>/dev/null || true
}

# launch RANKS ARGUMENT...: in the background, process id in $job, output in ./log
launch() {
  # shellcheck disable=SC2086 # the words of the command
  $MPIRUN -n "$1" "$ATOLL" "${@:2}" >log 2>&1 3>&- </dev/null &
  job=$!
}

# processes RUN: of all ranks, in order, from their signs of life
processes() {
  awk '/^rank/ { for (i = 1; i < NF; i++) if ($i == "process") print $(i + 1) }' "$1/heartbeat" 2>/dev/null
}

# await COMMAND...: until it succeeds, or fail after 20 s
await() {
  local end=$((SECONDS + 20))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}

# has_begun RUN RANKS: all have given a sign of life; are_training RUN RANKS: and from within a round
has_begun() {
  [ "$(processes "$1" | wc -l)" = "$2" ]
}

are_training() {
  [ "$(grep -cE ' round [1-9]' "$1/heartbeat" 2>/dev/null)" = "$2" ]
}

# the process PID has ended; its parent may not have noticed
is_gone() {
  ! grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status" 2>/dev/null
}

# ended SECONDS: wait for the job, not longer than that; its exit code in $code
ended() {
  local start=$SECONDS
  (sleep "$1"; kill -KILL "$job" 2>/dev/null) 3>&- &
  local clock=$!
  wait "$job" && code=0 || code=$?
  kill "$clock" 2>/dev/null || true
  job=
  [ $((SECONDS - start)) -lt "$1" ]
}

@test "a rank that is killed ends the job, which names it; resuming leaves no trace" {
  local kills=${ATOLL_KILLS:-5} settings i rank
  settings=(fed.rounds=$((60 * kills)) local.steps=80 checkpoint.every=1 watchdog.seconds=60)
  on 1 photon tiny.yaml run=whole "${settings[@]}"
  launch 2 photon tiny.yaml run=killed "${settings[@]}"
  for ((i = 0; i < kills; i++)); do
    await has_begun killed 2
    sleep "0.$((RANDOM % 2))$((RANDOM % 10))"
    rank=$((i % 2))
    kill -KILL "$(processes killed | sed -n "$((rank + 1))p")"
    ended 10
    [ "$code" -ne 0 ]
    grep -q "process rank $rank .*Killed" log
    rm -f killed/heartbeat
    launch 2 resume killed
  done
  ended 100
  cat log
  [ "$code" -eq 0 ]
  same whole killed
}

@test "a rank that is stopped is named with its phase and round, and the exit code is 76" {
  for rank in 0 1; do
    launch 2 photon tiny.yaml run="stopped$rank" fed.rounds=100000 local.steps=100 watchdog.seconds=3
    await are_training "stopped$rank" 2
    process=$(processes "stopped$rank" | sed -n "$((rank + 1))p")
    kill -STOP "$process"
    ended 15
    cat log
    [ "$code" -eq 76 ]
    [ "$(grep -c '^atoll: ' log)" -eq 1 ]
    grep -qE "^atoll: no progress for 3 s: rank $rank on .* \(process $process\) gives no sign of life .* in phase [a-z]+, round [0-9]+; rank $((1 - rank)) waits in phase [a-z]+, round [0-9]+; .atoll resume stopped$rank. goes on$" log
    grep -qxFf "stopped$rank/stalled" log
    await is_gone "$process"
  done
}

@test "a run that goes well hears nothing of it and leaves nothing behind" {
  launch 2 photon tiny.yaml run=well fed.rounds=50 watchdog.seconds=5
  ended 100
  [ "$code" -eq 0 ]
  [ ! -s log ]
  [ ! -e well/heartbeat ]
  on 2 photon tiny.yaml run=off watchdog.seconds=0
  same off off
}

@test "a job that is suspended as a whole goes on" {
  launch 2 photon tiny.yaml run=asleep fed.rounds=200 local.steps=30 watchdog.seconds=2
  await are_training asleep 2
  # shellcheck disable=SC2046 # the numbers
  kill -STOP $(processes asleep)
  sleep 4
  # shellcheck disable=SC2046 # the numbers
  kill -CONT $(processes asleep)
  ended 100
  cat log
  [ "$code" -eq 0 ]
  [ ! -e asleep/stalled ]
}
