#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# jobs/sweep without a Slurm: the index and the array that come of a grid, and what a mistake in a grid is told.

setup() {
  tree=$(mktemp -d)
  sweep=$BATS_TEST_DIRNAME/../../jobs/sweep
  python=${ATOLL_PYTHON:-python3}
  echo 'system: photon' >"$tree/c.yaml"
  cat >"$tree/grid.yaml" <<GRID
name: t
system: photon
config: c.yaml
set: {fed: {rounds: 3}, local.lr: 3e-3}
methods:
  photon: {method: photon}
  diloco: {method: diloco, outer.lr: 0.7}
seeds: 1-3
grid: {local.steps: [16, 64]}
slurm: {time: 0:30:00, mem: 1G, cpus-per-task: 2}
concurrent: 4
GRID
}

teardown() {
  rm -rf "$tree"
}

# refused TEXT SED-EXPRESSION: the grid so changed is refused with the text, and nothing is written
refused() {
  sed -i "$2" "$tree/grid.yaml"
  run "$python" "$sweep" "$tree/grid.yaml" -o "$tree/out"
  [ "$status" -eq 2 ]
  [[ $output == *"$1"* ]]
  [ ! -e "$tree/out" ]
}

@test "a grid becomes a line per task, every method with the same seeds" {
  run "$python" "$sweep" "$tree/grid.yaml" -o "$tree/out"
  [ "$status" -eq 0 ]
  [ "$(wc -l <"$tree/out/index.tsv")" -eq 13 ]
  run sed -n '5p' "$tree/out/index.tsv"
  [ "$output" = "$(printf '3\tdiloco-local.steps=64-s1\tdiloco\t1\t64\tfed.rounds=3 local.lr=3e-3 method=diloco outer.lr=0.7 local.steps=64 seed=1')" ]
  for method in photon diloco; do
    [ "$(awk -F'\t' -v m=$method '$3 == m {print $4}' "$tree/out/index.tsv" | sort | uniq -c | awk '{print $1 $2}' | tr '\n' ' ')" = "21 22 23 " ]
  done
}

@test "the array asks Slurm for what the grid says, and parses" {
  "$python" "$sweep" "$tree/grid.yaml" -o "$tree/out"
  bash -n "$tree/out/array.slurm"
  for option in --array=0-11%4 --time=0:30:00 --mem=1G --cpus-per-task=2 --signal=B:USR1@120 --requeue; do
    grep -qx "#SBATCH $option" "$tree/out/array.slurm"
  done
  run grep -c mem-per-cpu "$tree/out/array.slurm"
  [ "$output" -eq 0 ]
}

@test "the same grid again is fine, another in the same folder is refused" {
  "$python" "$sweep" "$tree/grid.yaml" -o "$tree/out"
  "$python" "$sweep" "$tree/grid.yaml" -o "$tree/out"
  before=$(cat "$tree/out/index.tsv")
  sed -i 's/1-3/1-4/' "$tree/grid.yaml"
  run "$python" "$sweep" "$tree/grid.yaml" -o "$tree/out"
  [ "$status" -eq 2 ]
  [[ $output == *"holds another sweep"* ]]
  [ "$before" = "$(cat "$tree/out/index.tsv")" ]
}

@test "an unknown key" { refused "unknown key 'sed'" 's/^seeds/sed/'; }
@test "a key that is missing" { refused "methods is missing" '/^methods/,/diloco/d'; }
@test "seeds that are none" { refused "seeds = 'a-b'" 's/1-3/a-b/'; }
@test "a seed that stands twice" { refused "stands twice" 's/1-3/[1, 1]/'; }
@test "a value with a blank" { refused "a word without blanks" 's/16, 64/16, "6 4"/'; }
@test "a seed among the keys" { refused "seed is decided by the sweep" 's/method: photon}/method: photon, seed: 3}/'; }
@test "a configuration that is not there" { refused "there is no file" 's/c.yaml/d.yaml/'; }
@test "what is no YAML" { refused "cannot be read" 's/seeds: 1-3/seeds: [1/'; }
