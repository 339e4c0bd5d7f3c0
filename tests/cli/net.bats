#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Ranks on throttled links between namespaces (tests/net/run), and the measurements of `atoll bench` over ranks.

load common
NET=$BATS_TEST_DIRNAME/../net/run

# may_run OUTPUT-OF-NET: skips the test where this machine lets nobody make namespaces or links
may_run() {
  "$NET" 1 1gbit -- true 2>skip.txt || {
    [ $? -eq 77 ] && skip "$(cat skip.txt)"
    cat skip.txt
    return 1
  }
}

spaces() {
  ip netns list 2>/dev/null | awk -v n="${1-atoll}" 'index($1, n) == 1' | wc -l
}

@test "rounds of photon over three slow links are what one rank gives" {
  may_run
  "$ATOLL" photon tiny.yaml run=local model.width=128
  "$NET" 3 200mbit -- "$ATOLL" photon tiny.yaml run=slow model.width=128
  same local slow
}

@test "a mean has the same bytes hidden behind a step or not, and what is counted is what links carry" {
  may_run
  "$NET" -c 2 1gbit -- "$ATOLL" bench overlap width=128 layers=2 context=32 batch=1 repeats=3 >overlap.txt 2>net.txt
  cat overlap.txt net.txt
  grep -q 'the same bytes as without overlap' overlap.txt
  local counted
  counted=$(sed -nE 's/^payload sent .*: ([0-9]+) bytes/\1/p' overlap.txt)
  awk -v n="$counted" '/^net: node / { gsub(",", ""); sent += $6 }
                       END { print "ratio", sent / n; exit !(sent / n > 0.99 && sent / n < 1.05) }' net.txt
}

@test "links go away with the run: at its end, at a failure, at a signal, at a kill; two runs at once" {
  may_run
  run "$NET" 2 1gbit -- sh -c 'exit 3'
  [ "$status" -eq 3 ]
  local pid signal
  for signal in INT TERM KILL; do
    env --default-signal=INT setsid "$NET" 2 1gbit -- sleep 60 3>&- & # a shell in the background ignores interrupts
    pid=$!
    "$NET" 2 1gbit -- true
    for _ in {1..100}; do
      [ "$(spaces "atoll${pid}n")" -eq 2 ] && pgrep -f 'sleep 60' >/dev/null && break
      sleep 0.1
    done
    [ "$(spaces "atoll${pid}n")" -eq 2 ]
    kill -$signal "$pid"
    wait "$pid" || true
    for _ in {1..100}; do
      [ "$(spaces "atoll$pid")" -eq 0 ] && break
      sleep 0.1
    done
    [ "$(spaces "atoll$pid")" -eq 0 ]
  done
}

@test "net/run: wrong usage is told once" {
  run "$NET" 2
  [ "$status" -eq 2 ]
  run "$NET" 0 1gbit -- true
  [ "$status" -eq 2 ]
  [[ $output == *'K = 0'* ]]
  run "$NET" 2 fast -- true
  [ "$status" -eq 2 ]
  [[ $output == *'RATE = fast'* ]]
}

@test "bench comm: a table, a file, and refusals" {
  on 2 bench comm least=64KiB most=64KiB repeats=2 codecs=int8,topk algorithms=fast,exact,twophase,gather,integer out=b.h5 | tee b.txt
  grep -Eq '^ +0.06  int8 +twophase' b.txt
  grep -Eq '^ +0.06  topk +gather' b.txt
  ! grep -Eq 'topk +integer' b.txt
  "$ATOLL" inspect b.h5 | grep -q /means/seconds
  "$ATOLL_PYTHON" - <<PYTHON
import h5py
with h5py.File('b.h5') as f:
    error = dict(zip(zip(f['means/codec'].asstr(), f['means/algorithm'].asstr()), f['means/error'][:]))
    assert f['means/seconds'].attrs['units'] in (b's', 's') and f.get('provenance') is not None
assert error['f32', 'exact'] < 1e-6 < error['int8', 'twophase'] < 0.02 < error['topk', 'gather'] < 1
PYTHON
  "$BATS_TEST_DIRNAME/../../analysis/bench" b.h5 -o b.svg
  grep -q 'MPI_Allreduce' b.svg
  run "$BATS_TEST_DIRNAME/../../analysis/bench" data.h5
  [ "$status" -eq 2 ]
  run "$ATOLL" bench comm most=1KiB
  [ "$status" -eq 2 ]
  [[ $output == *'least'* ]]
  run "$ATOLL" bench comm codecs=int9
  [ "$status" -eq 2 ]
  "$ATOLL" bench comm --help | grep -q 'MPI_Allreduce'
  run "$ATOLL" bench nothing
  [ "$status" -eq 2 ]
}

@test "every node has a host name of its own" {
  may_run
  [ "$("$NET" 3 1gbit -- hostname | sort -u | wc -l)" -eq 3 ]
}

@test "photon beside data-parallel training: a table, from runs that are not repeated" {
  may_run
  local command=("$ATOLL_PYTHON" "$BATS_TEST_DIRNAME/../net/photon" --rounds 4 --methods photon-16,photon-64-int4,ddp-int8 data.h5 links 1gbit)
  "${command[@]}" >table.txt
  cat table.txt
  [ "$(grep -c '^1gbit .* photon' table.txt)" -eq 2 ]
  [ "$(grep -c '^1gbit .* ddp-int8' table.txt)" -eq 2 ]
  touch mark
  "${command[@]}" | cmp - table.txt
  [ -z "$(find links -newer mark)" ]
}
