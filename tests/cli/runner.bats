#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The test driver itself: what it counts, and that nothing which goes wrong is counted as passed.

setup() {
  tree=$(mktemp -d)
  mkdir -p "$tree/tests/unit" "$tree/build/tests/unit"
  cp "$BATS_TEST_DIRNAME/../run" "$tree/tests/run"
  unset ATOLL_TEST_TIMEOUT
}

teardown() {
  rm -rf "$tree"
}

# program NAME BODY: a unit test that is a shell script
program() {
  touch "$tree/tests/unit/test_$1.c"
  printf '#!/bin/bash\n%s\n' "$2" >"$tree/build/tests/unit/test_$1"
  chmod +x "$tree/build/tests/unit/test_$1"
}

last() {
  echo "${lines[$((${#lines[@]} - 1))]}"
}

good='echo "[ RUN      ] a"; echo "[       OK ] a"; echo "[==========] 2 test(s) run."; echo "[  PASSED  ] 2 test(s)."'

@test "passing cases are counted" {
  program good "$good"
  run "$tree/tests/run"
  [ "$status" -eq 0 ]
  [ "$(last)" = "2 passed, 0 failed, 0 skipped" ]
}

@test "failed and skipped cases are counted, and the output is shown" {
  program good "$good"
  program bad 'echo "[ RUN      ] a"; echo "[==========] 4 test(s) run."; echo "[  PASSED  ] 1 test(s)."
    echo "[  SKIPPED ] 1 test(s), listed below:"; echo "[  FAILED  ] 2 test(s), listed below:"; echo "[  FAILED  ] a"; exit 2'
  run "$tree/tests/run"
  [ "$status" -eq 1 ]
  [ "$(last)" = "3 passed, 2 failed, 1 skipped" ]
  [[ $output == *"again: build/tests/unit/test_bad"* ]]
}

@test "a crash is a failure beside the cases that passed before it" {
  program crash 'echo "[ RUN      ] a"; echo "[       OK ] a"; echo "[ RUN      ] b"; kill -SEGV $$'
  run "$tree/tests/run"
  [ "$status" -eq 1 ]
  [ "$(last)" = "1 passed, 1 failed, 0 skipped" ]
}

@test "an exit code without a failed case is a failure" {
  program exit1 "$good; exit 1"
  run "$tree/tests/run"
  [ "$status" -eq 1 ]
  [ "$(last)" = "2 passed, 1 failed, 0 skipped" ]
}

@test "a program that does not end is a failure" {
  program slow 'exec sleep 60'
  ATOLL_TEST_TIMEOUT=1 run "$tree/tests/run"
  [ "$status" -eq 1 ]
  [[ $output == *"no end after 1 s"* ]]
  [ "$(last)" = "0 passed, 1 failed, 0 skipped" ]
}

@test "a program that was not built, or has no cases, is a failure" {
  touch "$tree/tests/unit/test_missing.c"
  program empty 'echo "[ RUN      ] none"; echo "[==========] 0 test(s) run."; echo "[  PASSED  ] 0 test(s)."'
  run "$tree/tests/run"
  [ "$status" -eq 1 ]
  [ "$(last)" = "0 passed, 2 failed, 0 skipped" ]
}

@test "running nothing is a failure" {
  program good "$good"
  run "$tree/tests/run" no_such_test
  [ "$status" -eq 1 ]
  [ "$(last)" = "0 passed, 0 failed, 0 skipped" ]
}

@test "scripts count by their summary, their exit code, or as skipped with 77" {
  printf '#!/bin/bash\necho "3 passed, 1 failed, 2 skipped"; exit 1\n' >"$tree/tests/run-a"
  printf '#!/bin/bash\nexit 0\n' >"$tree/tests/run-b"
  printf '#!/bin/bash\nexit 77\n' >"$tree/tests/run-c"
  chmod +x "$tree"/tests/run-*
  run "$tree/tests/run"
  [ "$status" -eq 1 ]
  [ "$(last)" = "4 passed, 1 failed, 3 skipped" ]
}

@test "Python's and bats' summaries are understood" {
  program python 'echo "Ran 7 tests in 0.1s"; echo; echo "FAILED (failures=1, errors=1, skipped=2)"; exit 1'
  program tap 'echo "1..3"; echo "ok 1 a"; echo "not ok 2 b"; echo "ok 3 c # skip no slurm"; exit 1'
  run "$tree/tests/run"
  [ "$(last)" = "4 passed, 3 failed, 3 skipped" ]
}
