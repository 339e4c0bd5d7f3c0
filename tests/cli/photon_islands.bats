#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Sub-federation: clients that are several islands, on any number of ranks.

load common

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def m(run): return h5py.File(f'{run}/metrics.h5')
def theta(run, round=3): return h5py.File(f'{run}/checkpoints/{round:06d}.h5')['model/theta'][:]
$1"
}

# same_on_ranks NAME RANKS KEY=VALUE ...: on one rank and on those
same_on_ranks() {
  local ranks
  train "$1-1" 1 "${@:3}"
  for ranks in $2; do
    train "$1-$ranks" "$ranks" "${@:3}"
    same "$1-1" "$1-$ranks"
  done
}

@test "a client of one island is a client" {
  train plain 1
  train one 2 fed.islands=1
  same plain one
}

@test "two clients of two islands: the same on 1 to 6 ranks" {
  same_on_ranks two "2 3 4 6" fed.clients=2 fed.islands=2 fed.island_steps=2
}

@test "moments kept by islands, 2 of 3 clients, three islands" {
  same_on_ranks keep "2 4 7" fed.clients=3 fed.per_round=2 fed.islands=3 fed.island_steps=1 fed.moments=keep
}

@test "moments averaged inside and between; codecs with residuals; drop-outs" {
  same_on_ranks average "3 4" fed.clients=2 fed.islands=2 fed.moments=average
  same_on_ranks codec "3 4" fed.clients=2 fed.islands=2 exchange.up.codec=int4 fed.moments=keep
  same_on_ranks drop "4" fed.clients=2 fed.islands=2 faults.dropouts=0.4 fed.max_failed_rounds=9 fed.quorum=1
}

@test "means that overflow their grid, and islands whose training fails" {
  same_on_ranks grid "4" fed.clients=2 fed.islands=2 outer.grid_bits=90
  same_on_ranks fail "4" fed.clients=2 fed.islands=2 method=local_sgd local.lr=100 local.steps=20 \
    fed.max_failed_rounds=100
}

@test "means at every step of plain SGD are steps on the silo's larger batch" {
  local settings=(fed.clients=2 method=local_sgd local.lr=0.05)
  train apart 2 "${settings[@]}" fed.islands=2 fed.island_steps=1 local.batch=2
  train whole 1 "${settings[@]}" local.batch=4
  train start 1 "${settings[@]}" local.lr=0
  python 'a, b, start = theta("apart"), theta("whole"), theta("start")
assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b - start), np.linalg.norm(a - b)
assert np.any(a != b) # sums in another order'
  python 'assert m("apart")["tokens"][2] == m("whole")["tokens"][2] == 3 * 3 * 2 * 4 * 16'
}

@test "one update leaves a client: bytes outside as without islands, bytes inside by themselves" {
  train out 4 fed.clients=2 fed.islands=4 fed.island_steps=2
  train flat 1 fed.clients=2
  python 'o, f = m("out"), m("flat")
n = len(theta("flat"))
for name in "payload_bytes", "wire_bytes", "clients":
    assert np.all(o[name][:] == f[name][:]), name
# two clients, two means of three steps, rings of four islands that send integers of 8 bytes
assert np.all(o["inner_bytes"][:] == 2 * 2 * 4 * (2 * 8 * n * 3 // 4)), o["inner_bytes"][:]
assert np.all(f["inner_bytes"][:] == 0)'
}

@test "it goes on after a signal, on other ranks" {
  local settings=(fed.clients=2 fed.islands=2 fed.island_steps=2 fed.moments=keep fed.rounds=6)
  train whole-stop 1 "${settings[@]}"
  ATOLL_FAULT_SIGNAL=15 ATOLL_FAULT=step:10 ATOLL_FAULT_RANK=3 run on 4 photon tiny.yaml run=part "${settings[@]}"
  [ ! -e part/checkpoints/000006.h5 ]
  on 3 resume part
  same whole-stop part
}

@test "virtual time: means inside a client are part of its local work" {
  local settings=(fed.clients=2 net.step_seconds=1 net.bandwidth=100)
  train none 1 "${settings[@]}"
  train slow 1 "${settings[@]}" fed.islands=2 fed.island_steps=1 fed.island_bandwidth=8 fed.island_latency=0.5
  python 'n = len(theta("none"))
gap = m("slow")["virtual_seconds"][:] - m("none")["virtual_seconds"][:]
want = 3 * (2 * 0.5 + 8 * n / 1e6) # three means over two islands: half a vector of integers twice at 1 MB/s
assert np.allclose(gap, want, rtol=1e-9), (gap, want)
assert np.all(m("slow")["virtual_exchange_seconds"][:] == m("none")["virtual_exchange_seconds"][:])'
}

@test "two silos of two islands do as well as four clients" {
  local settings=(fed.partition=iid fed.rounds=10 local.steps=8 local.batch=4 eval.every=10)
  train islands 2 "${settings[@]}" fed.clients=2 fed.islands=2
  train four 1 "${settings[@]}" fed.clients=4
  python 'a, b = (np.exp(m(run)["val_nats"][-1]) for run in ("islands", "four"))
print("perplexity", a, b)
assert a <= 1.02 * b'
}

@test "keys that have no meaning are refused" {
  refused() {
    run train no 1 "${@:2}"
    echo "$output"
    [ "$status" -eq 2 ]
    [[ $output == *"$1"* ]]
  }
  refused "method = ddp sends no updates" method=ddp fed.islands=2
  refused "set fed.islands" fed.island_steps=2
  refused "a round has local.steps = 3" fed.islands=2 fed.island_steps=4
  refused "there is no virtual time" fed.islands=2 fed.island_bandwidth=10
}
