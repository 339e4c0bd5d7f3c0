# SPDX-License-Identifier: BSD-3-Clause
# What the command-line tests of training share: a small text in three silos, a tiny model, and runs of it on some ranks.

ATOLL=${ATOLL:-$BATS_TEST_DIRNAME/../../build/atoll}
MPIRUN=${ATOLL_MPIRUN:-mpirun --allow-run-as-root --oversubscribe --bind-to none}
for ATOLL_PYTHON in ${ATOLL_PYTHON-} python3 /usr/bin/python3; do # as in tests/run
  "$ATOLL_PYTHON" -c 'import h5py, numpy' 2>/dev/null && break
done
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# text FOLDER: writes FOLDER/{en,de,ru}, 30 documents each
text() {
  local i line
  mkdir -p "$1"/{en,de,ru}
  for i in {1..30}; do
    for line in {1..8}; do
      echo "The small brown fox number $i.$line runs to the old house, $((i * line * 37 % 101)) times."
    done >"$1/en/$i.txt"
    sed -E 's/.*number ([0-9.]+) .*, ([0-9]+) .*/Der kleine braune Fuchs Nummer \1 rennt \2-mal zum alten Haus./' "$1/en/$i.txt" >"$1/de/$i.txt"
    sed -E 's/.*number ([0-9.]+) .*, ([0-9]+) .*/Маленькая лиса номер \1 бежит к старому дому, раз: \2./' "$1/en/$i.txt" >"$1/ru/$i.txt"
  done
}

# tiny FOLDER: a data set FOLDER/data.h5 and a configuration FOLDER/tiny.yaml that trains on it in a blink
tiny() {
  text "$1/text"
  "$ATOLL" data text "$1/data.h5" "silo=en:$1/text/en,de:$1/text/de,ru:$1/text/ru" 2>"$1/data.log"
  cat >"$1/tiny.yaml" <<YAML
data: $1/data.h5
model: {width: 16, layers: 1, heads: 2, context: 16}
fed: {clients: 5, rounds: 3}
local: {steps: 3, batch: 2}
eval: {windows: 4, batch: 2}
checkpoint: {every: 100}
log: {level: warn}
YAML
}

# on RANKS ARGUMENT...: the program on so many ranks; what mpirun itself says about exit codes is left out
on() {
  if [ "$1" -eq 1 ]; then
    "$ATOLL" "${@:2}"
  else
    # shellcheck disable=SC2086 # the words of the command
    $MPIRUN -q -n "$1" "$ATOLL" "${@:2}"
  fi
}

# scratch: go to a new folder that is fast to write, the same for all tests of a file; in setup_file and setup
scratch() {
  if [ -z "${SCRATCH-}" ]; then
    SCRATCH=$(mktemp -d -p /dev/shm atoll-test.XXXXXX 2>/dev/null || mktemp -d)
    export SCRATCH
  fi
  cd "$SCRATCH" || return
}

drop_scratch() {
  rm -rf "$SCRATCH"
}

# What most files begin and end with; a file that needs something else defines it after loading this one.
setup_file() {
  scratch
  tiny .
}

setup() {
  scratch
}

teardown_file() {
  drop_scratch
}

# train RUN RANKS [KEY=VALUE ...]
train() {
  on "$2" photon tiny.yaml run="$1" "${@:3}" 2>&1
}

# same A B: two runs are identical; differ A B: they are not
same() {
  run "$ATOLL" diff "$1" "$2"
  echo "$output"
  [ "$status" -eq 0 ]
}

differ() {
  run "$ATOLL" diff "$1" "$2"
  echo "$output"
  [ "$status" -eq 1 ]
}
