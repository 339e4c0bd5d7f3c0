#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Training over codecs: the same bytes on any number of ranks and after any restart, what is counted, and what is refused.

load common

# same_on_ranks NAME [KEY=VALUE ...]: two rounds of four of the five clients, on 1, 2, 3 and 4 ranks
same_on_ranks() {
  local ranks
  for ranks in 1 2 3 4; do
    train "$1-$ranks" "$ranks" fed.rounds=2 fed.per_round=4 "${@:2}"
  done
  for ranks in 2 3 4; do
    same "$1-1" "$1-$ranks"
  done
}

# up CODEC [KEY=VALUE ...]: the same for a codec by two-phase, or what it goes by
up() {
  same_on_ranks "$1" exchange.up.codec="$1" "${@:2}"
}

# no_loss NAME RANKS RANKS_AFTERWARDS [KEY=VALUE ...]: going on after round 2 of 4 is as if nothing had happened
no_loss() {
  train "$1-whole" "$2" fed.rounds=4 checkpoint.every=2 checkpoint.keep=0 "${@:4}"
  cp -r "$1-whole" "$1"
  rm "$1/checkpoints/000004.h5" "$1/evaluation.h5"
  on "$3" resume "$1"
  same "$1-whole" "$1"
}

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def metrics(run, name):
    return h5py.File(f'{run}/metrics.h5')[name][:]
def theta(run, round):
    return h5py.File(f'{run}/checkpoints/{round:06d}.h5')['model/theta'][:]
$1"
}

@test "ranks: 16 bits" {
  up fp16
  up bf16
}

@test "ranks: int8, also stochastic and squeezed" {
  up int8
  same_on_ranks squeezed exchange.up.codec=int8 exchange.up.rounding=stochastic exchange.up.lossless=zstd
}

@test "ranks: int4, also with a parameter server" {
  up int4
  same_on_ranks star exchange.up.codec=int4 exchange.algorithm=star
}

@test "ranks: six sigma, E3M0" {
  up sixsigma
  up e3m0
}

@test "ranks: QSGD, sign" {
  up qsgd
  up sign exchange.down.codec=int8
}

@test "ranks: top-k, random-k" {
  up topk exchange.up.ratio=0.05 exchange.decay=0.9 fed.per_round=3
  up randomk exchange.up.ratio=0.1
}

@test "ranks: DGC, error-bounded" {
  up dgc exchange.up.ratio=0.05 exchange.up.warmup=1
  up bounded
}

@test "ranks: PowerSGD, its means in floats and in 8 bits" {
  up powersgd exchange.up.rank=2 exchange.up.start=1
  same_on_ranks stacked exchange.up.codec=powersgd exchange.down.codec=int8
}

@test "ranks: sums of integers" {
  same_on_ranks integer-int4 exchange.up.codec=int4 exchange.algorithm=integer
  same_on_ranks integer-qsgd exchange.up.codec=qsgd exchange.algorithm=integer
  same_on_ranks integer-bounded exchange.up.codec=bounded exchange.up.bound=1e-5 exchange.up.bound_kind=absolute \
    exchange.algorithm=integer
}

@test "ranks: sums of integers by MPI give the bytes of those by owners" {
  same_on_ranks integer-int8 exchange.up.codec=int8 exchange.algorithm=integer
  train mpi 3 fed.rounds=2 fed.per_round=4 exchange.up.codec=int8 exchange.algorithm=allreduce
  python 'assert theta("integer-int8-1", 2).tobytes() == theta("mpi", 2).tobytes()'
}

@test "ranks: hops, which depend on the clients of a round and not on ranks" {
  local algorithm
  for algorithm in ring doubling tree; do
    same_on_ranks $algorithm exchange.up.codec=int8 exchange.algorithm=$algorithm
  done
}

@test "ranks: gradients at every step" {
  same_on_ranks ddp-int8 method=ddp exchange.up.codec=int8
  same_on_ranks ddp-powersgd method=ddp exchange.up.codec=powersgd
}

@test "ranks: diloco with bf16, averaged moments with int8" {
  same_on_ranks diloco method=diloco exchange.up.codec=bf16
  same_on_ranks averaged fed.moments=average exchange.up.codec=int8
}

@test "secure sums are the exact ones, bit for bit, on any number of ranks" {
  same_on_ranks secure reduce=secure
  train exact 2 fed.rounds=2 fed.per_round=4
  python 'assert theta("secure-1", 2).tobytes() == theta("exact", 2).tobytes()'
  run train secure-told 1 reduce=secure
  [ "$(grep -c "emulation" <<<"$output")" -eq 1 ]
}

@test "floats in two phases train as exact sums do, to rounding" {
  train float 2 reduce=codec
  train grid 2
  python 'a, b = theta("float", 3), theta("grid", 3)
assert 0 < np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)
assert np.all(metrics("float", "bits_per_element") < 33) and np.all(metrics("float", "bits_per_element") > 32)'
}

@test "resumed: residuals of clients and of the server" {
  no_loss int4-part 2 3 exchange.up.codec=int4 fed.per_round=3 fed.moments=keep
}

@test "resumed: sums and momenta of DGC, decay" {
  no_loss dgc-part 3 1 exchange.up.codec=dgc exchange.up.ratio=0.05 exchange.decay=0.8 fed.per_round=3
}

@test "resumed: residuals and factor of PowerSGD" {
  no_loss powersgd-part 1 2 exchange.up.codec=powersgd fed.per_round=3
}

@test "resumed: residuals of gradients, also from the middle of a round" {
  no_loss ddp-part 2 4 method=ddp exchange.up.codec=sign
  train ddp-whole 1 fed.rounds=6 method=ddp exchange.up.codec=int4 fed.per_round=3
  ATOLL_FAULT_SIGNAL=15 ATOLL_FAULT=step:8 ATOLL_FAULT_RANK=1 run train ddp-stopped 2 fed.rounds=6 method=ddp \
    exchange.up.codec=int4 fed.per_round=3
  [ "$status" -eq 75 ]
  on 3 resume ddp-stopped
  same ddp-whole ddp-stopped
}

@test "a resumed run is what it was: another codec or another cut is refused, once" {
  local change
  train was 1 exchange.up.codec=int8 checkpoint.every=1
  for change in 's/codec: int8/codec: int4/;s/block: 256/block: 32/' 's/chunk: [0-9]*/chunk: 64/' 's/server_feedback: true/server_feedback: false/'; do
    cp -r was changed
    sed -i "$change" changed/config.yaml
    ! cmp -s was/config.yaml changed/config.yaml
    run on 2 resume changed
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(grep -c '^atoll:' <<<"$output")" -eq 1 ]
    rm -r changed
  done
}

@test "choices are written down" {
  train chosen 1 exchange.up.codec=int8
  grep -qE '^reduce: codec' chosen/config.yaml
  grep -qE 'chunk: [1-9][0-9]+ ' chosen/config.yaml
  [ "$(grep -cE '^ +codec: int8 ' chosen/config.yaml)" -eq 2 ]
  [ "$(grep -cE '^ +block: 256 ' chosen/config.yaml)" -eq 2 ]
  train sparse 1 exchange.up.codec=topk
  grep -qE '^ +algorithm: auto ' sparse/config.yaml
  grep -qE '^ +codec: f32 ' sparse/config.yaml
}

@test "gradients that travel during the backward pass" {
  local codec
  for codec in bf16 int8 topk; do
    train "over-$codec-1" 1 method=ddp fed.clients=4 exchange.up.codec=$codec
    train "over-$codec-4" 4 method=ddp fed.clients=4 exchange.up.codec=$codec
    train "after-$codec-4" 4 method=ddp fed.clients=4 exchange.up.codec=$codec exchange.overlap=false
    train "spare-$codec-4" 4 method=ddp fed.clients=3 exchange.up.codec=$codec
    train "spare-$codec-2" 2 method=ddp fed.clients=3 exchange.up.codec=$codec
    same "over-$codec-1" "over-$codec-4"
    same "over-$codec-1" "after-$codec-4"
    same "spare-$codec-2" "spare-$codec-4"
  done
}

@test "bytes are those of the codecs, residuals are seen" {
  train bits8 2 exchange.up.codec=int8
  train bits4 2 exchange.up.codec=int4
  train none 2
  python 'n = theta("none", 3).size
for run, least, most in ("bits8", 8, 8.3), ("bits4", 4.5, 4.8), ("none", 64, 64):
    bits = metrics(run, "bits_per_element")
    assert np.all((bits >= least) & (bits <= most)), bits
    assert np.allclose(metrics(run, "wire_bytes"), bits / 8 * 2 * 4 * n), run
    assert np.allclose(metrics(run, "payload_bytes"), metrics(run, "wire_bytes") / 5), run
assert np.all(metrics("bits4", "residual_norm") > 5 * metrics("bits8", "residual_norm"))
assert np.all(metrics("bits4", "server_residual_norm") > 0)
assert np.all(np.isnan(metrics("none", "residual_norm")))'
}

@test "without feedback nothing is kept" {
  train forgetful 2 exchange.up.codec=int4 exchange.feedback=false exchange.server_feedback=false
  python 'assert np.all(np.isnan(metrics("forgetful", "residual_norm")))
assert "exchange" not in h5py.File("forgetful/checkpoints/000003.h5")'
}

@test "clients that are not finite leave residuals as they were" {
  train bad 2 method=local_sgd local.lr=100 local.steps=20 fed.max_failed_rounds=100 exchange.up.codec=int4
  python 'f = h5py.File("bad/checkpoints/000003.h5")
assert np.all(metrics("bad", "failures") == 5)
assert not f["exchange/client"][:].any() and np.all(f["exchange/client_round"][:] == -1)'
}

# refused TEXT [KEY=VALUE ...]: exit code 2 and one line
refused() {
  run train refused 2 "${@:2}"
  echo "$output"
  [ "$status" -eq 2 ]
  [ "$(grep -cF -- "$1" <<<"$output")" -eq 1 ]
  [ "$(grep -c '^atoll:' <<<"$output")" -eq 1 ]
  [ ! -e refused ]
}

@test "what does not go together is refused in one line" {
  refused "reduce = secure masks integers" reduce=secure exchange.up.codec=topk
  refused "for reduce = codec only" reduce=exact exchange.up.codec=int8
  refused "error feedback cannot mend" exchange.up.codec=int8 exchange.algorithm=ring exchange.feedback=true
  refused "codes of topk do not add" exchange.up.codec=topk exchange.algorithm=integer
  refused "int8 takes block rounding scale" exchange.up.codec=int8 exchange.up.ratio=0.1
  refused "dgc without feedback" exchange.up.codec=dgc exchange.feedback=false
  refused "dgc keeps a client's momentum" exchange.up.codec=int8 exchange.down.codec=dgc
  refused "powersgd keeps what it leaves out" exchange.up.codec=powersgd exchange.feedback=false
  refused "want a multiple of 64" exchange.up.codec=int8 exchange.chunk=100
  refused "exchanges nothing" method=local_only exchange.up.codec=int8
  refused "encodes gradients as they come" method=ddp exchange.up.codec=int8 exchange.nonfinite=skip
  refused "variance is up to" exchange.up.codec=randomk exchange.up.unbiased=true exchange.feedback=true
  refused "expected one of" exchange.up.codec=int9
}
