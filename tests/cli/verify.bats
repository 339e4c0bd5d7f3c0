#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# `atoll verify`: what it finds in a good run, that it finds what is wrong with a bad one, and that it changes nothing.

load common

setup_file() {
  scratch
  tiny .
  on 1 photon tiny.yaml run=good fed.rounds=6 checkpoint.every=2
  # the same configuration over other text
  mkdir other
  cp -r text other
  echo "Something else." >>other/text/en/1.txt
  "$ATOLL" data text other/data.h5 silo=en:other/text/en,de:other/text/de,ru:other/text/ru 2>data.log
  on 1 photon tiny.yaml data=other/data.h5 run=alike fed.rounds=6 checkpoint.every=2
}

# verified RANKS ARGUMENT...: all is well
verified() {
  run on "$1" verify "${@:2}"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"6 passed, 0 failed"* ]]
}

# found CODE TEXT ARGUMENT...: something is not, on one rank and on two
found() {
  local ranks
  for ranks in 1 2; do
    run on "$ranks" verify "${@:3}"
    echo "$output"
    [ "$status" -eq "$1" ]
    [ "$(grep -cF -- "$2" <<<"$output")" -eq 1 ]
  done
}

# copy NAME: of the good run
copy() {
  rm -rf "$1"
  cp -r good "$1"
}

@test "a good run, on any number of ranks; nothing is changed" {
  (cd good && sha256sum -- *.* checkpoints/* && ls -lA --time-style=full-iso . checkpoints) >before
  verified 1 good
  [[ $output == *"rounds "[15]" to "[46]" come out the same, bit for bit"* ]]
  verified 2 good round=3
  [[ $output == *"rounds 1 to 4 come out the same"* ]]
  verified 3 good round=6
  [[ $output == *"rounds 5 to 6 come out the same"* ]]
  (cd good && sha256sum -- *.* checkpoints/* && ls -lA --time-style=full-iso . checkpoints) | diff before -
  [ -z "$(find . -name '.atoll-*')" ]
}

@test "a run that was stopped, moved, resumed on other ranks and stopped again" {
  # shellcheck disable=SC2086 # the words of the command
  $MPIRUN -q -n 2 "$ATOLL" photon tiny.yaml run=stopped fed.rounds=400 local.steps=100 checkpoint.every=1 checkpoint.keep=3 \
    >log 2>&1 3>&- &
  local job=$!
  until [ "$(ls stopped/checkpoints 2>/dev/null | tail -n 1)" \> 000001.h5 ]; do
    sleep 0.05
    kill -0 $job
  done
  kill -USR1 $job
  wait $job || [ $? -eq 75 ]
  verified 1 stopped
  mkdir elsewhere
  local newest
  newest=$(ls stopped/checkpoints | tail -n 1)
  mv stopped elsewhere/run
  # shellcheck disable=SC2086 # the words of the command
  $MPIRUN -q -n 3 "$ATOLL" resume elsewhere/run >log 2>&1 3>&- &
  job=$!
  until [ "$(ls elsewhere/run/checkpoints | tail -n 1)" != "$newest" ]; do
    sleep 0.05
    kill -0 $job
  done
  kill -USR1 $job
  wait $job || [ $? -eq 75 ]
  verified 2 elsewhere/run
}

@test "methods with state of the clients, from the start" {
  local method
  for method in diloco local_only ddp; do
    on 2 photon tiny.yaml method=$method run=$method
    verified 3 $method
    [[ $output == *"rounds 1 to 3 come out the same"* ]]
  done
}

@test "the yardstick's file counts, too" {
  copy marked
  on 1 markov marked
  verified 1 marked
  [[ $output == *"in 5 files"* ]]
}

@test "a flipped bit, a file cut short, a file of another kind of program" {
  copy flipped
  printf '\x55' | dd of=flipped/checkpoints/000006.h5 bs=1 seek=$(($(stat -c %s good/checkpoints/000006.h5) / 2)) conv=notrunc 2>dd.log
  ! cmp -s good/checkpoints/000006.h5 flipped/checkpoints/000006.h5
  found 1 "000006.h5" flipped
  [[ $output == *"FAILED  checksums"*"nothing played again"* ]]
  copy short
  truncate -s -5000 short/evaluation.h5
  found 1 "FAILED  checksums    short/evaluation.h5" short
  copy foreign
  cp text/en/1.txt foreign/notes.h5
  found 1 "FAILED  checksums    foreign/notes.h5: is not an HDF5 file" foreign
}

@test "files that do not belong together" {
  copy mixed
  sed -i 's/seed: 1/seed: 2/' mixed/config.yaml
  run on 1 verify mixed
  [ "$status" -eq 1 ]
  [ "$(grep -c "FAILED  provenance .*another configuration than config.yaml" <<<"$output")" -eq 4 ]
  copy renamed
  mv renamed/checkpoints/000006.h5 renamed/checkpoints/000008.h5
  found 1 "000008.h5 holds round 6" renamed
  [[ $output == *"FAILED  metrics      6 rows, but there is a checkpoint of round 8"* ]]
}

@test "rounds that come out differently" {
  copy replaced
  cp alike/checkpoints/000006.h5 replaced/checkpoints/
  found 1 "FAILED  replay       rounds 5 to 6 come out differently" replaced round=5
  [[ $output == *"/model/theta "* ]]
  copy painted
  cp alike/metrics.h5 painted/
  found 1 "FAILED  replay       column" painted round=4
}

@test "checkpoints that should not be there, and that should" {
  copy many
  cp good/checkpoints/000004.h5 many/checkpoints/000002.h5
  found 1 "FAILED  retention    3 checkpoints, checkpoint.keep = 2" many
  copy few
  rm few/checkpoints/000004.h5
  found 1 "FAILED  retention    1 checkpoints up to round 6, expected at least 2" few
  copy none
  rm none/checkpoints/*
  found 1 "FAILED  retention    there is no checkpoint" none
}

@test "what cannot be played again is said, and is not success" {
  ATOLL_ISA=ref found 4 "set ATOLL_ISA=" good
  ATOLL_THREADS=2 found 4 "set ATOLL_THREADS=1" good
  found 4 "keep two that are" good seconds=0
  found 4 "other contents than the data set" good data=other/data.h5 round=5
  found 3 "gone.h5" good data=gone.h5
  found 2 "the newest checkpoint is of round 6" good round=7
  on 1 verify good replay=false
  ATOLL_ISA=ref on 1 verify good replay=false
}

@test "the data set may have moved" {
  copy moved
  mkdir -p away
  mv data.h5 away/
  found 3 "data.h5" moved
  verified 1 moved data=away/data.h5
  mv away/data.h5 .
}

@test "bad arguments are refused, once" {
  found 2 "Usage: atoll verify"
  found 3 "none/such/config.yaml cannot be read" none/such
  found 2 "did you mean round" good rounds=3
  on 1 verify --help | grep -q "Exit code 0: all is well"
}
