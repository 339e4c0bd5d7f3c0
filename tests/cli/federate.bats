#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Cross-device learning: every method gives the same bytes on any number of ranks and after a resume; identities between methods;
# privacy, asynchronous clients, deadlines, populations larger than the data.

load common

setup_file() {
  scratch
  python 'r = np.random.RandomState(1)
proto = r.randn(4, 6, 6, 1)
with h5py.File("set.h5", "w") as f:
    for c in range(12):
        for group, n in (("examples", 5 + 2 * c), ("test", 4)):
            y = (c + r.randint(0, 2, n)) % 4
            f[f"{group}/c{c:02d}/x"] = (proto[y] + 0.7 * r.randn(n, 6, 6, 1)).astype("f4")
            f[f"{group}/c{c:02d}/label"] = y.astype("i4")'
  cat >tiny.yaml <<YAML
data: set.h5
model: mlp
fed: {rounds: 4, per_round: 5}
local: {batch: 4, lr: 0.05, epochs: 2}
bn: {tensors: "hidden.0*"}
state: {shards: 5, memory: 512 KiB}
checkpoint: {every: 2, keep: 0}
log: {level: warn}
YAML
}

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def theta(run, round=4):
    return h5py.File(f'{run}/checkpoints/{round:06d}.h5')['model/theta'][:]
def metric(run, name):
    return h5py.File(f'{run}/metrics.h5')[name][:]
def clients(run):
    return h5py.File(f'{run}/checkpoints/000004.h5')['clients/marks'][:, 2:]
$1"
}

# train RUN RANKS [KEY=VALUE ...]
train() {
  on "$2" federate tiny.yaml run="$1" "${@:3}" 2>&1
}

# conforms NAME [KEY=VALUE ...]: on 1, 2 and 3 ranks, and from the middle on other ones
conforms() {
  local ranks
  for ranks in 1 2 3; do
    train "$1-$ranks" "$ranks" "${@:2}"
  done
  same "$1-1" "$1-2"
  same "$1-1" "$1-3"
  rm "$1-3/checkpoints/000004.h5"
  on 2 resume "$1-3" 2>&1
  same "$1-1" "$1-3"
}

@test "fedavg and fedprox" {
  conforms fedavg method=fedavg
  conforms fedprox method=fedprox prox.mu=0.5
}

@test "scaffold: control variates on disk" {
  conforms scaffold method=scaffold
}

@test "fedopt: Adam, Yogi, Adagrad" {
  conforms fedopt method=fedopt
  train yogi-1 1 method=fedopt outer.method=fedyogi
  train yogi-3 3 method=fedopt outer.method=fedyogi
  same yogi-1 yogi-3
  train adagrad-1 1 method=fedopt outer.method=fedadagrad
  train adagrad-2 2 method=fedopt outer.method=fedadagrad
  same adagrad-1 adagrad-2
  differ yogi-1 adagrad-1
}

@test "fedbn: private tensors" {
  conforms fedbn method=fedbn
}

@test "fedrep and fedbabu" {
  conforms fedrep method=fedrep
  conforms fedbabu method=fedbabu
}

@test "perfedavg" {
  conforms perfedavg method=perfedavg
}

@test "ditto" {
  conforms ditto method=ditto
}

@test "local_only and centralised" {
  conforms local_only method=local_only
  conforms centralised method=centralised
}

@test "asynchronous clients, stateful as well" {
  conforms async async.buffer=3 async.max_staleness=3 devices.spread=1 fed.per_round=6
  conforms async-scaffold method=scaffold async.buffer=3 async.max_staleness=2 devices.spread=1 fed.per_round=6
  python 's = metric("async-1", "staleness"); assert s[0] == 0 and s.max() > 0, s
t = metric("async-1", "virtual_seconds"); assert np.all(np.diff(t) > 0), t'
}

@test "more clients asked than waited for, a deadline, clients that are off" {
  conforms late fed.select=1.6 fed.deadline=4 devices.spread=1.5 devices.on=0.7 devices.dropout=0.1
  python 'assert metric("late-1", "late").sum() > 0 and metric("late-1", "clients").max() <= 5'
}

@test "privacy: noise, clipping, epsilon" {
  conforms private dp.noise=1.1 dp.clip=0.5 fed.draw=poisson fed.weights=uniform
  python 'e = metric("private-1", "epsilon"); assert np.all(np.diff(e) > 0) and e[0] > 0, e'
  run train refused 1 dp.noise=1.1 dp.clip=0.5
  [ "$status" -eq 2 ]
  [[ $output == *"fed.draw=poisson"* ]]
}

@test "sums that overflow their grid, with clients' state taken back" {
  conforms grid method=scaffold outer.grid_bits=100
  python 'b = h5py.File("grid-1/checkpoints/000004.h5")["server/grid_bits"][:]; assert b.min() < 100, b'
}

@test "populations larger than the data, long tails, other draws" {
  conforms large partition.clients=1000000 partition.per_client=6 fed.draw=weighted eval.clients=20
  conforms tails partition.clients=1000000 partition.per_client=6 partition.scheme=combined partition.sigma=1.5 fed.draw=weighted \
    eval.clients=20
  conforms mixed partition.clients=50000 partition.scheme=dirichlet partition.per_client=5 fed.draw=cyclic eval.clients=20
  python 'large, tails = (np.diff(metric(f"{r}-1", "examples")) for r in ("large", "tails"))
assert np.all(large <= 60) and not np.all(tails <= 60), (large, tails)'
}

@test "every scheme of partition, dealt and drawn, is the same on any number of ranks" {
  local scheme ranks keys=(method=scaffold partition.clients=30 fed.per_round=6 eval.clients=30)
  for scheme in natural iid dirichlet shards quantity combined; do
    for ranks in 1 2 3; do
      train "$scheme-dealt-$ranks" "$ranks" partition.scheme=$scheme "${keys[@]}"
      train "$scheme-drawn-$ranks" "$ranks" partition.scheme=$scheme partition.per_client=8 "${keys[@]}"
    done
    for ranks in 2 3; do
      same "$scheme-dealt-1" "$scheme-dealt-$ranks"
      same "$scheme-drawn-1" "$scheme-drawn-$ranks"
    done
    differ "$scheme-dealt-1" "$scheme-drawn-1"
    [ $scheme = natural ] || differ natural-dealt-1 "$scheme-dealt-1"
  done
  python 'e = h5py.File("iid-dealt-1/evaluation.h5")["examples"][:]; assert e.sum() == 48 and e.min() >= 1, e'
}

@test "all are visited once in a cycle, and their state is on disk" {
  train cycle 2 method=scaffold fed.draw=cyclic partition.clients=20 partition.per_client=3
  python 'assert metric("cycle", "stateful_clients").tolist() == [5, 10, 15, 20]'
}

@test "identities: no pull is FedAvg, SGD on the server is FedAvg, no head is FedAvg" {
  train avg 1
  train prox0 1 method=fedprox prox.mu=0
  train opt0 1 method=fedopt outer.method=fedavg outer.lr=1
  train rep0 1 method=fedrep head.tensors=nothing
  train babu0 1 method=fedbabu head.tensors=nothing
  train bn0 1 method=fedbn bn.tensors=nothing
  python 'for other in "prox0", "opt0", "rep0", "babu0", "bn0":
    assert theta("avg").tobytes() == theta(other).tobytes(), other
assert theta("avg").tobytes() != theta("avg", 2).tobytes()'
}

@test "identities: one client, all its examples at once: FedAvg is centralised is SCAFFOLD" {
  local one="partition.clients=1 fed.per_round=1 local.batch=64 local.epochs=3 eval.clients=1"
  # shellcheck disable=SC2086 # the words
  for method in fedavg centralised scaffold; do
    train "one-$method" 1 method=$method $one
  done
  python 'a, b, c = theta("one-fedavg"), theta("one-centralised"), theta("one-scaffold")
assert a.tobytes() == b.tobytes()
assert theta("one-fedavg", 2).tobytes() != a.tobytes()
assert np.abs(a - c).max() <= 1e-6, np.abs(a - c).max()'
}

@test "identities: SCAFFOLD's first round is FedAvg's, Ditto without a pull is local training beside FedAvg" {
  train first-avg 1 fed.rounds=1
  train first-scaffold 1 method=scaffold fed.rounds=1
  train ditto0 1 method=ditto ditto.lambda=0
  train alone 1 method=local_only
  train beside 1
  python 'assert theta("first-avg", 1).tobytes() == theta("first-scaffold", 1).tobytes()
assert clients("ditto0").tobytes() == clients("alone").tobytes() and clients("alone")[:, 0].sum() > 0
assert theta("ditto0").tobytes() == theta("beside").tobytes()
assert np.array_equal(metric("ditto0", "client_accuracy"), metric("alone", "client_accuracy"), equal_nan=True)'
}

@test "it learns, and tells so client by client" {
  train learns 1 fed.rounds=12 fed.per_round=12
  python 'a, l = metric("learns", "accuracy"), metric("learns", "train_loss"); assert a[-1] > 0.9 and l[-1] < 0.7 * l[0], (a, l)
h = metric("learns", "accuracy_histogram"); assert np.all(h.sum(axis=1) == 12)
e = h5py.File("learns/evaluation.h5"); assert abs(e["hits"][:].sum() / e["examples"][:].sum() - a[-1]) < 1e-12'
}

@test "batch-norm: FedBN keeps it and its statistics with the client" {
  local keys="model=resnet18 fed.per_round=2 fed.rounds=1 local.epochs=1 eval.clients=2 local.batch=8"
  # shellcheck disable=SC2086 # the words
  {
    train norm-1 1 method=fedbn "bn.tensors=*bn*" $keys
    train norm-2 2 method=fedbn "bn.tensors=*bn*" $keys
    train mean-1 1 $keys
  }
  same norm-1 norm-2
  python 'a, b = (h5py.File(f"{r}/checkpoints/000001.h5")["model/state"][:] for r in ("norm-1", "mean-1"))
assert set(np.unique(a)) == {0, 1} and len(np.unique(b)) > 100'
}

@test "plan tells what verify finds" {
  run on 2 plan tiny.yaml system=federate method=scaffold
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"clients' state"* ]]
  train verified 2 method=scaffold
  run "$ATOLL" verify verified
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "what cannot be is refused once, by its key" {
  run train no 1 model=gpt_d64
  [ "$status" -eq 2 ]
  [[ $output == *"model = gpt_d64"* ]]
  run train no 1 partition.clients=1000
  [ "$status" -eq 2 ]
  [[ $output == *"partition.clients = 1000"*partition.per_client* ]]
  run train no 1 partition.clients=100
  [ "$status" -eq 2 ]
  [[ $output == *"partition.clients = 100"*"would share"*partition.per_client* ]]
  run train no 1 partition.scheme=shards partition.shards=17
  [ "$status" -eq 2 ]
  [[ $output == *"partition.shards = 17"*"would need 204 examples"* ]]
  run train no 1 partition.scheme=iid partition.sigma=2
  [ "$status" -eq 2 ]
  [[ $output == *"partition.sigma = 2"*"partition.scheme=iid"* ]]
  run train no 1 partition.clients=4
  [ "$status" -eq 2 ]
  [[ $output == *"fed.per_round = 5"*"partition.clients = 4"* ]]
  run train no 2 fed.per_round=13
  [ "$status" -eq 2 ]
  run train no 1 devices.device=abacus
  [ "$status" -eq 2 ]
  printf '1e9, 1e6, 1e5, 0, 10\n' >bad.csv
  run train no 1 devices.trace=bad.csv
  [ "$status" -eq 3 ]
  [[ $output == *"bad.csv, line 1"* ]]
}

@test "a trace of devices decides who answers" {
  printf '# two devices\n1e9, 1e6, 1e5, 0, 100, 100\n1e6, 1e6, 1e5, 50, 10, 100\n' >trace.csv
  train traced 1 devices.trace=trace.csv
  python 'l, c = metric("traced", "late"), metric("traced", "clients"); assert np.all(l + c == 5) and l.sum() > 0'
}
