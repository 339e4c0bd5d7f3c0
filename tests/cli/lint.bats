#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The lint finds what each of its rules forbids, and lets good code pass.

setup() {
  tree=$(mktemp -d)
  mkdir -p "$tree/tests" "$tree/src/base" "$tree/src/graph" "$tree/src/store" "$tree/sim/photon"
  cp "$BATS_TEST_DIRNAME/../lint" "$tree/tests/lint"
  cp "$BATS_TEST_DIRNAME/../../.clang-format" "$tree/"
  file src/base/good.h 'int at_good(void);'
}

teardown() {
  rm -rf "$tree"
}

# file PATH CODE: a C file with a proper head
file() {
  printf '/* SPDX-License-Identifier: BSD-3-Clause */\n/* A file. */\n%s\n' "$2" >"$tree/$1"
}

# broken RULE TEXT: the rule fails and says so
broken() {
  run "$tree/tests/lint" "$1"
  [ "$status" -eq 1 ]
  [[ $output == *"$2"* ]]
}

@test "good code passes all rules" {
  command -v clang-format || skip "no clang-format"
  file src/base/good.c '#include "src/base/good.h"

/* malloc() and rand() are only spoken of here. */
int at_good(void) {
  return 1;
}'
  run "$tree/tests/lint"
  [ "$status" -eq 0 ]
  [[ $output == *"9 passed, 0 failed" ]]
}

@test "includes that point upwards" {
  file src/base/bad.c '#include "src/graph/graph.h"'
  broken layers 'from the higher layer src/graph'
  file src/base/bad.c '#include "good.h"'
  broken layers 'not a path from the root'
  file src/base/bad.c '#include <mpi.h>'
  broken layers 'knows nothing of'
  rm "$tree/src/base/bad.c"
  file sim/photon/bad.c '#include "sim/bads/bads.h"'
  broken layers 'know nothing of each other'
}

@test "raw memory, and hidden random numbers" {
  file src/graph/bad.c 'void f(void) { void *p = malloc(3); }'
  broken memory 'src/graph/bad.c:3'
  file src/graph/bad.c 'int f(void) { return rand(); }'
  broken library 'random numbers come from'
}

@test "calls whose value is not looked at" {
  local call
  for call in 'MPI_Barrier(c);' '(void)H5Fclose(f);' 'if (x) { H5Dwrite(d); }' 'done: H5Pclose(p);'; do
    file src/store/bad.c "void f(int c) {
  c++;
  $call
}"
    broken checked 'value not checked'
  done
  file src/store/bad.c 'int f(int c) { int e = MPI_Barrier(c); return H5Fclose(c) < 0 || e; }'
  run "$tree/tests/lint" checked
  [ "$status" -eq 0 ]
  file src/store/bad.c 'void f(int c) {
  /* Read only: nothing can be lost. */
  (void)H5Fclose(c);
}'
  run "$tree/tests/lint" checked
  [ "$status" -eq 0 ]
}

@test "ending the process and printing from the library" {
  file src/graph/bad.c 'void f(void) { exit(1); }'
  broken library 'only main ends'
  file src/graph/bad.c 'void f(void) { fprintf(stderr, "x"); }'
  broken library 'print through'
}

@test "missing heads, open ends, long files, bad layout, broken scripts" {
  echo 'int x;' >"$tree/src/graph/bad.c"
  broken headline 'src/graph/bad.c'
  file src/graph/bad.c "/* TO""DO: later */"
  broken open_ends 'left open'
  file src/graph/bad.c "$(seq 700 | sed 's/.*/extern int a&;/')"
  broken length '702 lines'
  if command -v clang-format; then
    file src/graph/bad.c 'int   f ( void ) ;'
    broken layout 'src/graph/bad.c'
  fi
  printf '#!/bin/bash\nif\n' >"$tree/tests/run-bad"
  broken scripts 'run-bad'
}

@test "an unknown rule is refused" {
  run "$tree/tests/lint" no_such_rule
  [ "$status" -ne 0 ]
  [[ $output == *"unknown rule"* ]]
}
