#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# A run is the same, bit for bit, on any number of ranks; and the identities between methods that follow from their formulas.

load common

# same_on_ranks NAME [KEY=VALUE ...]: on 1, 2, 3 and 4 ranks
same_on_ranks() {
  local ranks
  for ranks in 1 2 3 4; do
    train "$1-$ranks" "$ranks" "${@:2}"
  done
  for ranks in 2 3 4; do
    same "$1-1" "$1-$ranks"
  done
}

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def theta(run, round):
    return h5py.File(f'{run}/checkpoints/{round:06d}.h5')['model/theta'][:]
$1"
}

@test "photon: moments reset, FedAvg" {
  same_on_ranks avg fed.moments=reset outer.method=fedavg
}

@test "photon: moments kept, FedMom, 2 of 5 clients a round" {
  same_on_ranks mom fed.moments=keep outer.method=fedmom outer.lr=0.7 fed.per_round=2
}

@test "photon: moments averaged, FedNesterov" {
  same_on_ranks nesterov fed.moments=average outer.method=fednesterov outer.lr=0.7
}

@test "photon: FedAdam, 2 of 3 clients, fewer than ranks" {
  same_on_ranks adam outer.method=fedadam outer.lr=0.01 fed.clients=3 fed.per_round=2
}

@test "photon: moments averaged in some rounds, 3 of 5 clients" {
  same_on_ranks periodic fed.moments=periodic fed.m_every=1 fed.v_every=2 fed.per_round=3
}

@test "photon: moments kept, FedYogi, mixed data" {
  same_on_ranks yogi fed.moments=keep outer.method=fedyogi outer.lr=0.01 outer.eps=1e-3 fed.partition=iid
}

@test "photon: sums that overflow their grid" {
  same_on_ranks grid outer.grid_bits=90
}

@test "photon: rounds that fail leave the model as it was" {
  same_on_ranks fail method=local_sgd local.lr=100 local.steps=20 fed.max_failed_rounds=100 fed.moments=reset
  train fail-start 1 method=local_sgd local.lr=0 fed.rounds=1
  python 'm = h5py.File("fail-1/metrics.h5")
assert np.all(m["failures"][:] == 5) and np.all(np.isnan(m["train_loss"]))
assert theta("fail-1", 3).tobytes() == theta("fail-start", 1).tobytes()
facts = h5py.File("fail-1/checkpoints/000003.h5")["clients/facts"][:]
assert np.all(facts[:, 0] > 0) and np.all(facts[:, 1:4] == 0) and np.all(facts[:, 4] == 3)'
}

@test "photon: other kinds of layers" {
  same_on_ranks layers model.norm=rms model.mlp=swiglu model.positions=rope model.kv_heads=1 model.tied=false \
    model.bias=true local.weight_decay=0.1
}

@test "diloco" {
  same_on_ranks diloco method=diloco
}

@test "local_sgd" {
  same_on_ranks sgd method=local_sgd local.lr=0.1
}

@test "ddp, and 2 of 5 clients" {
  same_on_ranks ddp method=ddp fed.per_round=2
}

@test "centralised" {
  same_on_ranks central method=centralised
}

@test "local_only, and 3 of 5 clients" {
  same_on_ranks alone method=local_only fed.per_round=3
}

@test "the same run twice is the same, with another seed or another method it is not" {
  train once 1
  train twice 1
  same once twice
  train seed 1 seed=2
  differ once seed
  train method 1 method=diloco
  differ once method
}

@test "fast sums train as well, to rounding" {
  train exact 2
  train fast 2 reduce=fast
  python 'a, b = theta("exact", 3), theta("fast", 3)
assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(a), np.linalg.norm(a - b)
assert np.any(a != theta("exact", 3) * 0)'
}

one_step="local.steps=1 local.lr_final=1 local.warmup=0 fed.rounds=10 checkpoint.every=1 checkpoint.keep=0"

@test "one step of local SGD is a step of data-parallel SGD, within 2 ulp a step" {
  local seed
  # shellcheck disable=SC2086 # the words
  for seed in 1 2 3; do
    train ulp-local-$seed 2 method=local_sgd local.lr=0.001 $one_step seed=$seed
    train ulp-ddp-$seed 2 method=ddp local.optimizer=sgd local.clip=0 local.lr=0.001 $one_step seed=$seed
    train ulp-start-$seed 1 method=ddp local.lr=0 $one_step fed.rounds=1 seed=$seed
  done
  # the first steps are taken from the same theta (a zero has no ulp); later ones carry the gaps of those before
  python 'for seed in 1, 2, 3:
    start, a, b = theta(f"ulp-start-{seed}", 1), theta(f"ulp-local-{seed}", 1), theta(f"ulp-ddp-{seed}", 1)
    ulp = np.spacing(np.maximum(np.abs(start), np.maximum(np.abs(a), np.abs(b))))
    gap = (np.abs(a.astype(np.float64) - b) / ulp)[start != 0].max()
    assert gap <= 2, gap
    assert np.any(a != start)
    a, b = theta(f"ulp-local-{seed}", 10), theta(f"ulp-ddp-{seed}", 10)
    assert np.linalg.norm(a - b) <= 2 * 10 * 2.0 ** -24 * np.linalg.norm(a), np.linalg.norm(a - b)'
}

@test "clients that send lr g give the bytes of data-parallel SGD" {
  # a power of two as learning rate, 2^-7, scales g without rounding; a grid as much coarser rounds g as the other rounds lr g
  # shellcheck disable=SC2086 # the words
  {
    train bytes-local 2 method=local_sgd local.lr=0.0078125 outer.grid_bits=50 $one_step
    train bytes-ddp 2 method=ddp local.optimizer=sgd local.clip=0 local.lr=0.0078125 outer.grid_bits=43 $one_step
  }
  python 'for r in range(1, 11):
    assert theta("bytes-local", r).tobytes() == theta("bytes-ddp", r).tobytes(), r
assert theta("bytes-ddp", 1).tobytes() != theta("bytes-ddp", 10).tobytes()'
}

@test "of one client, the mean is its model, and what needs two clients is NaN" {
  train one 1 fed.clients=1 fed.rounds=1
  train own 1 fed.clients=1 fed.rounds=1 method=local_only
  # theta - (theta - theta_1), each difference rounded once, the inner one to the grid as well
  python 'own = h5py.File("own/checkpoints/000001.h5")["clients/theta"][0]
one, start = theta("one", 1), theta("own", 1)
gap = np.abs(one.astype(np.float64) - own)
assert np.all(gap <= np.spacing(np.maximum(np.abs(start), np.abs(own))) + 2.0 ** -51), gap.max()
assert np.any(own != start)
m = h5py.File("one/metrics.h5")
assert np.all(np.isnan(m["cosine"])) and np.all(np.isnan(m["consensus"])) and np.all(m["clients"][:] == 1)'
}

@test "DiLoCo is Photon with its settings" {
  train set 1 outer.method=fednesterov outer.lr=0.7 outer.momentum=0.9 fed.moments=keep
  train name 1 method=diloco
  python 'assert theta("set", 3).tobytes() == theta("name", 3).tobytes()'
}
