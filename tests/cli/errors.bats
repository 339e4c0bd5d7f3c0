#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What goes wrong is told once, names what is wrong and what would be right, ends with the documented code on any number of
# ranks, never hangs, and leaves nothing half-written.

load common

setup() {
  scratch
  unset mounted
}

teardown() {
  [ -z "${mounted-}" ] || umount "$mounted"
}

# refused CODE TEXT ARGUMENT...: one rank and four ($RANKS, if set) end with this code and one line that holds the text; %r in
# the arguments stands for the number of ranks
refused() {
  local ranks
  for ranks in ${RANKS:-1 4}; do
    refused_on "$ranks" "$1" "$2" "${@:3}"
  done
}

refused_on() {
  local words=("${@:4}")
  run in_time "$1" "${words[@]//%r/$1}"
  told=$output
  echo "$1 ranks: code $status: $told"
  [ "$status" -eq "$2" ]
  [ "$(grep -c '^atoll: ' <<<"$told")" -eq 1 ]
  [[ $(grep '^atoll: ' <<<"$told") == *"$3"* ]]
  nothing_half_written
}

in_time() {
  export -f on
  export ATOLL MPIRUN
  timeout -k 5 60 bash -c 'on "$@"' on "$@"
}

nothing_half_written() {
  run find . -name '*.tmp-*'
  echo "$output"
  [ -z "$output" ]
}

# train CODE TEXT [KEY=VALUE ...]: the same for a training run
train() {
  refused "$1" "$2" photon tiny.yaml run=bad-%r "${@:3}"
  [ ! -e bad-1 ]
  [ ! -e bad-4 ]
}

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
$1"
}

# small_disk SIZE: a file system of that size at disk/
small_disk() {
  mkdir -p disk
  mount -t tmpfs -o "size=$1" none disk 2>/dev/null || skip "may not mount a small file system here"
  mounted=$PWD/disk
}

@test "unknown key" {
  train 2 "fed.round (command line): unknown key; did you mean fed.rounds?" fed.round=3
  printf 'data: data.h5\nmodel:\n  widht: 3\n' >key.yaml
  refused 2 "model.widht (key.yaml:3): unknown key; did you mean model.width?" photon key.yaml run=bad-%r
}

@test "wrong type" {
  train 2 "fed.rounds = many (command line)" fed.rounds=many
  RANKS=1 train 2 "model.tied = perhaps (command line)" model.tied=perhaps
  RANKS=1 train 2 "outer.method = fedsum (command line): not one of the choices" outer.method=fedsum
  printf 'data: data.h5\nlocal:\n  lr: [1, 2]\n' >type.yaml
  RANKS=1 refused 2 "local.lr = [...] (type.yaml:3): a list where one value belongs" photon type.yaml run=bad-%r
}

@test "out of range" {
  train 2 "fed.clients = -1 (command line)" fed.clients=-1
  RANKS=1 train 2 "local.steps = -1 (command line)" local.steps=-1
  RANKS=1 train 2 "local.beta1 = 1 (command line)" local.beta1=1
}

@test "no configuration, no data set named, none there" {
  RANKS=1 refused 2 "photon needs a configuration file" photon
  refused 3 "none.yaml: cannot read" photon none.yaml run=bad-%r
  RANKS=1 refused 3 "text: cannot read the configuration: it is a folder" photon text run=bad-%r
  RANKS=1 refused 2 "data must be given" photon - run=bad-%r
  train 3 "none.h5: " data=none.h5
}

@test "a configuration that is no YAML" {
  printf 'fed: {rounds: 3}\nlocal: [}\n' >broken.yaml
  refused 2 "broken.yaml:2" photon broken.yaml run=bad-%r
  RANKS=1 refused 2 "data.h5" photon data.h5 run=bad-%r
}

@test "a truncated data set" {
  local size part
  size=$(stat -c %s data.h5)
  for part in 0 100 $((size / 3)) $((size - 2000)); do
    head -c "$part" data.h5 >"cut-$part.h5"
    RANKS=$((part > 100 ? 4 : 1)) train 3 "cut-$part.h5: is " data="cut-$part.h5"
  done
}

@test "a damaged data set" {
  cp data.h5 hurt.h5
  python 'f = h5py.File("hurt.h5", "r")
d = f["examples/en/tokens"]
at = d.id.get_offset()
f.close()
with open("hurt.h5", "r+b") as file:
    file.seek(at + 10)
    file.write(b"#")'
  train 3 "hurt.h5: /examples/en/tokens is damaged" data=hurt.h5
}

@test "a foreign data set" {
  python 'h5py.File("empty.h5", "w").close()
f = h5py.File("other.h5", "w")
f["x"] = np.arange(10)
f = h5py.File("no_silo.h5", "w")
f.create_group("examples")
f.attrs["vocab"] = 256
f = h5py.File("images.h5", "w")
f["examples/a/pixels"] = np.zeros((3, 4))
def tokens(name, data, **attributes):
    f = h5py.File(name, "w")
    for split in "examples", "validation":
        f[split + "/a/tokens"] = data
    f.attrs.update(attributes)
ok = np.arange(4000) % 256
tokens("no_vocab.h5", ok.astype("u1"))
tokens("flat.h5", ok.reshape(40, 100), vocab=256)
tokens("float.h5", ok / 2, vocab=256)
tokens("text.h5", np.array([b"a", b"b"]), vocab=256)
tokens("outside.h5", ok.astype("i4") * 3, vocab=256)
tokens("short.h5", ok[:9].astype("u1"), vocab=256)
tokens("many.h5", ok.astype("u1"), vocab=2 ** 62)
tokens("word.h5", ok.astype("u1"), vocab="many")
tokens("good.h5", ok.astype("i2"), vocab=256, tokenizer=np.array([b"of several words"] * 1000))'
  echo "not HDF5 at all" >plain.h5
  train 3 "plain.h5: is not an HDF5 file" data=plain.h5
  train 3 "empty.h5: is no federated data set" data=empty.h5
  train 3 "no_silo.h5: its group /examples is empty" data=no_silo.h5
  RANKS=1
  train 3 "other.h5: is no federated data set" data=other.h5
  train 3 "images.h5 is not a token data set" data=images.h5
  train 3 "no_vocab.h5 is not a token data set" data=no_vocab.h5
  train 3 "flat.h5: /examples/a/tokens has 2 dimensions" data=flat.h5
  train 3 "float.h5: /examples/a/tokens does not hold integers" data=float.h5
  train 3 "text.h5: /examples/a/tokens does not hold integers" data=text.h5
  train 3 "outside.h5: tokens of client a: token 86 is 258" data=outside.h5
  train 3 "many.h5: its attribute vocab = 4611686018427387904" data=many.h5
  train 3 "word.h5: its attribute vocab is not a number" data=word.h5
  train 2 "silo a has 0 training windows" data=short.h5
  in_time 1 photon tiny.yaml run=good data=good.h5 fed.clients=0 # integers of any kind will do
}

@test "heads that do not fit" {
  train 2 "model.heads = 32 does not divide model.width = 16" model.heads=32
  RANKS=1
  train 2 "model.heads = 3 does not divide model.width = 16" model.heads=3
  train 2 "model.kv_heads = 3" model.heads=4 model.kv_heads=3
}

@test "more clients a round than there are, more than there is text for" {
  train 2 "fed.per_round = 6 (command line): there are only fed.clients = 5" fed.per_round=6
  train 2 "fed.per_round = 4, but the data set ./data.h5 has 3 silos" fed.clients=0 fed.per_round=4
  RANKS=1
  train 2 "lower fed.clients" fed.clients=100000
  train 2 "lower fed.clients or model.context" model.context=60000
}

@test "settings that contradict each other" {
  train 2 "fed.moments = keep (command line): local.optimizer = sgd has no moments" method=local_sgd fed.moments=keep
  RANKS=1 train 2 "system = steel (command line): this configuration is not for" system=steel
}

@test "more memory than there is" {
  train 5 "no memory for " model.width=65536 model.layers=1000 model.hidden=262144 model.heads=1
}

@test "a full disk at the start" {
  small_disk 4k
  refused 3 "No space left on device" photon tiny.yaml run=disk/run-%r
  RANKS=1 refused 3 "No space left on device" data text disk/out.h5 silo=en:text/en
  [ ! -e disk/out.h5 ]
}

@test "a full disk when a checkpoint is due: the run before it is whole, and goes on once there is room" {
  small_disk 4300k
  # a checkpoint takes 925 KB, the metrics not a quarter of that
  local ranks settings=(checkpoint.every=1 checkpoint.keep=0 fed.rounds=6 model.width=128)
  on 1 photon tiny.yaml run=room "${settings[@]}"
  for ranks in 1 4; do
    mount -o remount,size=4300k disk
    refused_on $ranks 3 "free): No space left on device: make room" photon tiny.yaml run=disk/run "${settings[@]}"
    [[ $told == *disk/run/checkpoints/000005.h5* ]]
    [ -e disk/run/checkpoints/000004.h5 ]
    [ ! -e disk/run/checkpoints/000005.h5 ]
    refused_on $ranks 3 "free): No space left on device: make room" resume disk/run
    mount -o remount,size=9m disk
    on $ranks resume disk/run
    same room disk/run
    rm -rf disk/run
  done
}

@test "a folder that cannot be written" {
  echo "in the way" >file
  train 3 "file/run: cannot make this folder: Not a directory" run=file/run
  train 3 "file: is in the way: a folder was expected" run=file
  mkdir -p disk
  mount -t tmpfs -o ro none disk 2>/dev/null || skip "may not mount a file system here"
  mounted=$PWD/disk
  train 3 "disk/run" run=disk/run-%r
  RANKS=1 refused 3 "disk/out.h5: cannot be " data text disk/out.h5 silo=en:text/en
}

@test "a second writer" {
  on 1 photon tiny.yaml run=busy-1
  cp -r busy-1 busy-4
  local ranks
  for ranks in 1 4; do
    exec 7<>"busy-$ranks/lock"
    flock 7
    refused_on $ranks 4 "busy-$ranks: another run is writing here" resume "busy-$ranks"
    refused_on $ranks 4 "busy-$ranks: another run is writing here" photon tiny.yaml run="busy-$ranks"
    exec 7>&-
  done
}

@test "a folder that holds a run, one that holds none" {
  on 1 photon tiny.yaml run=done
  refused 4 "done: already holds a run: \`atoll resume done\` goes on" photon tiny.yaml run=done
  mkdir -p nothing
  refused 3 "nothing/config.yaml cannot be read: give the folder of a run" resume nothing
  RANKS=1
  refused 3 "absent/config.yaml cannot be read: give the folder of a run" resume absent
  refused 2 "Usage: atoll resume RUN" resume
}

@test "resuming as something else" {
  on 1 photon tiny.yaml run=was checkpoint.every=1
  ATOLL_ISA=ref refused 4 "this process uses ref: set ATOLL_ISA=" resume was
  ATOLL_THREADS=2 RANKS=1 refused 4 "set ATOLL_THREADS=1" resume was
  sed -i 's/width: 16/width: 32/' was/config.yaml
  RANKS=1 refused 4 "/model/theta is f32[7520] where f32[17088] is needed" resume was
  sed -i 's/width: 32/width: 16/; s/ lr: 0.003 / lr: 0.004 /' was/config.yaml
  refused 4 "the checkpoint was written under another configuration" resume was
  sed -i 's/ lr: 0.004 / lr: 0.003x /' was/config.yaml
  RANKS=1 refused 2 "local.lr = 0.003x (was/config.yaml:" resume was
  sed -i 's/ lr: 0.003x / lr: 0.003 /' was/config.yaml
  cp data.h5 data.bak
  echo "One line more." >>text/en/1.txt
  "$ATOLL" data text data.h5 silo=en:text/en,de:text/de,ru:text/ru
  refused 4 "data.h5 has other contents" resume was
  mv data.bak data.h5
  on 2 resume was
}

@test "instruction sets and threads that do not exist" {
  ATOLL_ISA=nonsense refused 2 "ATOLL_ISA = nonsense: expected ref, avx2" photon tiny.yaml run=bad
  ATOLL_THREADS=many refused 2 "ATOLL_THREADS = many: expected an integer from 1 to 1024" photon tiny.yaml run=bad
}

@test "training that diverges" {
  local method
  for method in local_sgd ddp; do
    refused 7 "lower local.lr" photon tiny.yaml run=wild-$method-%r method=$method local.optimizer=sgd local.clip=0 local.lr=100 \
      local.steps=30 fed.rounds=50
  done
}

@test "a damaged newest checkpoint is passed over, and nothing is lost" {
  on 1 photon tiny.yaml run=whole fed.rounds=4 checkpoint.every=1 fed.moments=keep
  local ranks
  for ranks in 1 4; do
    rm -rf hurt
    ATOLL_FAULT=step:31 run on 1 photon tiny.yaml run=hurt fed.rounds=4 checkpoint.every=1 fed.moments=keep
    [ "$status" -eq 137 ]
    [ -e hurt/checkpoints/000002.h5 ]
    python 'f = h5py.File("hurt/checkpoints/000002.h5", "r")
at = f["model/theta"].id.get_offset()
f.close()
with open("hurt/checkpoints/000002.h5", "r+b") as file:
    file.seek(at + 100)
    file.write(b"#")'
    run in_time "$ranks" resume hurt
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(grep -c 'warning: checkpoint: skipped: .*000002.h5' <<<"$output")" -eq 1 ]
    same whole hurt
  done
  printf 'x' >hurt/checkpoints/000003.h5
  printf 'x' >hurt/checkpoints/000004.h5
  refused 3 "hurt: has no good checkpoint (2 damaged)" resume hurt
}
