#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The command line: help, exit codes, and what a mistake in a configuration is told, on one rank and on several.

setup() {
  ATOLL=${ATOLL:-$BATS_TEST_DIRNAME/../../build/atoll}
  tree=$(mktemp -d)
}

teardown() {
  rm -rf "$tree"
}

# refused CODE TEXT ARGUMENT...: one rank and three end with the exit code and say the text once
refused() {
  local code=$1 text=$2
  shift 2
  run "$ATOLL" "$@"
  [ "$status" -eq "$code" ]
  [[ $output == *"$text"* ]]
  # shellcheck disable=SC2086 # the words of the command
  run ${ATOLL_MPIRUN:-mpirun --oversubscribe} -n 3 "$ATOLL" "$@"
  [ "$status" -eq "$code" ]
  [ "$(grep -cF "$text" <<<"$output")" -eq 1 ]
}

@test "help and version" {
  run "$ATOLL" --help
  [ "$status" -eq 0 ]
  [[ $output == *"atoll photon CONFIG.yaml"* ]]
  run "$ATOLL" --version
  [ "$status" -eq 0 ]
  [[ $output =~ ^atoll\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
  run "$ATOLL"
  [ "$status" -eq 2 ]
}

@test "the help of a system teaches its keys" {
  run "$ATOLL" photon --help
  [ "$status" -eq 0 ]
  [[ $output == *"fed.rounds"*"an integer from 1 to"*"default"*"Rounds of the run."* ]]
}

@test "an unknown command" {
  refused 2 "no command nonsense" nonsense
}

@test "a configuration that does not exist" {
  refused 3 "$tree/none.yaml: cannot read" photon "$tree/none.yaml"
}

@test "an unknown key is named with its line and the nearest valid one" {
  printf 'fed:\n  rounds: 3\n  roudns: 4\n' >"$tree/run.yaml"
  refused 2 "fed.roudns ($tree/run.yaml:3): unknown key; did you mean fed.rounds?" photon "$tree/run.yaml"
}

@test "a value that breaks its rule, in the file and on the command line" {
  printf 'fed: {rounds: 1e999}\n' >"$tree/run.yaml"
  refused 2 "fed.rounds = 1e999 ($tree/run.yaml:1): beyond what a double can hold" photon "$tree/run.yaml"
  refused 2 "local.lr = 0.1x (command line): not a number" photon - local.lr=0.1x
}

@test "an instruction set that does not exist" {
  ATOLL_ISA=sse9 run "$ATOLL" list
  [ "$status" -eq 2 ]
  [[ $output == *"expected ref, avx2, avx512 or avx512bf16"* ]]
}

@test "the list names systems and data sets" {
  run "$ATOLL" list
  [ "$status" -eq 0 ]
  [[ $output == *photon* ]]
}

@test "bench graph takes any model, and names them" {
  run "$ATOLL" bench graph preset=logreg batch=3 precision=bf16
  [ "$status" -eq 0 ]
  [[ $output == *"batch = 3, parameters = 7850, precision = bf16"* && $output == *"matmul_add"* ]]
  run "$ATOLL" bench graph --help
  [ "$status" -eq 0 ]
  [[ $output == *"preset"* ]]
  refused 2 "choose one of logreg, mlp" bench graph preset=none
}
