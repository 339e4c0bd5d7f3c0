#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Byte-pair tokens from text to text: a data set, a run on it, what the run writes, Markov models, and what is refused.

setup_file() {
  ATOLL=${ATOLL:-$BATS_TEST_DIRNAME/../../build/atoll}
  MPIRUN=${ATOLL_MPIRUN:-mpirun --oversubscribe}
  export ATOLL MPIRUN
  cd "$BATS_FILE_TMPDIR" || return
  mkdir -p text/en text/ru
  for i in {1..16}; do
    for line in {1..14}; do
      echo "The small brown fox number $i.$line runs to the old house."
    done >"text/en/$i.txt"
    sed 's/.*number \([0-9.]*\) .*/Маленькая лиса номер \1 бежит к старому дому./' "text/en/$i.txt" >"text/ru/$i.txt"
  done
  build data.h5 340 >log 2>&1
  "$ATOLL" data text bytes.h5 silo=en:text/en,ru:text/ru validation=0.1 test=0.1 seed=2 >>log 2>&1
  train run data.h5
}

setup() {
  set -o pipefail
  cd "$BATS_FILE_TMPDIR" || return
}

# build FILE VOCAB [KEY=VALUE ...]
build() {
  "$ATOLL" data text "$1" silo=en:text/en,ru:text/ru validation=0.1 test=0.1 seed=2 tokenizer=bpe vocab="$2" "${@:3}"
}

# train RUN DATA [KEY=VALUE ...]: a tiny model
train() {
  "$ATOLL" photon - data="$2" run="$1" fed.rounds=3 local.steps=100 local.batch=4 model.width=32 model.layers=1 \
    model.heads=2 model.context=16 eval.windows=2 "${@:3}" >>log 2>&1
}

# valid: standard input is UTF-8
valid() {
  iconv -f UTF-8 -t UTF-16 >/dev/null
}

@test "the log states how much shorter the tokens are" {
  build again.h5 340 2>&1 | tee out
  for silo in en ru; do
    ratio=$(sed -n "s/.*silo = $silo, held-out bytes per token = //p" out)
    awk -v r="$ratio" 'BEGIN { exit !(r > 1.8) }'
  done
  grep -q "tokenizer = bpe, vocab = 340" out
  "$ATOLL" diff data.h5 again.h5
}

@test "a text too small for the vocabulary is told" {
  build small.h5 60000 >out 2>&1
  grep -q "of the 60000 asked for" out
  "$ATOLL" inspect small.h5 >out
  grep -q /tokenizer/merges out
}

@test "generates from the run alone, the same on any number of ranks" {
  mv data.h5 elsewhere.h5
  "$ATOLL" generate run "The " tokens=40 seed=3 >one 2>errors
  # shellcheck disable=SC2086 # the words of the command
  $MPIRUN -n 2 "$ATOLL" generate run/checkpoints/000003.h5 "The " tokens=40 seed=3 >two
  mv elsewhere.h5 data.h5
  [ ! -s errors ]
  cmp one two
  [[ $(head -c 4 one) == "The " ]]
  # 40 tokens of more than a byte on average, and words that a model of bytes does not know after so few steps
  [ "$(wc -c <one)" -gt 60 ]
  "$ATOLL" generate run "" tokens=100 temperature=0.3 >out
  grep -qE 'small|лиса|house|дому' out
}

@test "a prompt that ends inside a word or a character is gone on with" {
  for prompt in "The sma" "The small " "Маленькая ли" $'Маленькая ли\xd1' "7" " " ""; do
    for tokens in 0 1 7; do
      "$ATOLL" generate run "$prompt" tokens="$tokens" temperature=100 top_p=1 seed="$tokens" >out
      valid <out
      cmp -n "${#prompt}" <(printf %s "$prompt") out
    done
  done
  [ "$("$ATOLL" generate run "The sma" tokens=0)" = "The sma" ]
  # the word that begins so was seen in every line, but never in two parts
  "$ATOLL" generate run "The fox runs to the old house. The sma" tokens=3 temperature=0 >out
  grep -q "The small brown" out
}

@test "a checkpoint without its run needs the tokenizer named" {
  mkdir -p alone/checkpoints
  cp run/checkpoints/000003.h5 alone/checkpoints
  run "$ATOLL" generate alone "The "
  [ "$status" -eq 4 ]
  [[ $output == *"tokenizer=FILE"* ]]
  "$ATOLL" generate run "The " tokens=20 >want
  "$ATOLL" generate alone "The " tokens=20 tokenizer=data.h5 | cmp want
  "$ATOLL" generate alone/checkpoints/000003.h5 "The " tokens=20 tokenizer=run/tokenizer.h5 | cmp want
  run "$ATOLL" generate alone "The " tokenizer=bytes.h5
  [ "$status" -eq 3 ]
  [[ $output == *"holds no tokenizer"* ]]
}

@test "Markov models see the same bytes whatever the tokens are" {
  train bytes bytes.h5
  "$ATOLL" markov run
  "$ATOLL" markov bytes
  # all training text is the same; the held-out windows are not, but the text is of one kind
  for run in run bytes; do
    "$ATOLL" inspect "$run/markov.h5" | awk '/order-4-full\/mixed_bits_per_byte/ { print $4 }' >"$run.bits"
  done
  paste run.bits bytes.bits
  [ "$(paste run.bits bytes.bits | awk '{ d = $1 - $2; print (d < 0.3 && d > -0.3 && $1 > 0.01 && $1 < 2) }')" -eq 1 ]
}

@test "a run goes on with its own tokens only" {
  train first data.h5 fed.rounds=2
  build data2.h5 340 bpe_sample_bytes=2000 >>log 2>&1
  mv data.h5 kept.h5
  mv data2.h5 data.h5
  run "$ATOLL" resume first
  mv data.h5 data2.h5
  mv kept.h5 data.h5
  [ "$status" -eq 4 ]
  [[ $output == *"other contents"* ]]
  "$ATOLL" resume first
}

@test "refuses a vocabulary for bytes" {
  run "$ATOLL" data text x.h5 silo=en:text/en vocab=500
  [ "$status" -eq 2 ]
  [[ $output == *"add tokenizer=bpe"* ]]
}
