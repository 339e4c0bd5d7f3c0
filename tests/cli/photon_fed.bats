#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What clients of photon read, which links are counted, and where a run begins.

load common

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def m(run, name): return h5py.File(f'{run}/metrics.h5')[name][:]
def theta(run, round=3): return h5py.File(f'{run}/checkpoints/{round:06d}.h5')['model/theta'][:]
$1"
}

# refused TEXT KEY=VALUE ...: exit code 2, and the reason
refused() {
  run train no 1 "${@:2}"
  echo "$output"
  [ "$status" -eq 2 ]
  [[ $output == *"$1"* ]]
}

@test "topologies: the same parameters, bytes and seconds of their own" {
  local settings=(fed.clients=4 net.bandwidth=8 net.latency=0.25)
  train rar 2 "${settings[@]}"
  train ar 1 "${settings[@]}" fed.topology=ar
  train ps 2 "${settings[@]}" fed.topology=ps
  train half 1 "${settings[@]}" fed.topology=ps fed.clients=2
  train one 1 "${settings[@]}" fed.topology=ps fed.clients=1
  python 'k, s, rate = 4, 8 * theta("rar").size, 1e6
assert theta("rar").tobytes() == theta("ar").tobytes() == theta("ps").tobytes()
def close(run, name, want):
    assert np.allclose(m(run, name), want, rtol=1e-9), (run, name, m(run, name), want)
close("rar", "payload_bytes", 2 * s * (k - 1) / k)
close("ar", "payload_bytes", (k - 1) * s)
close("ps", "payload_bytes", s)
close("rar", "wire_bytes", 2 * s * (k - 1))
close("ar", "wire_bytes", k * (k - 1) * s)
close("ps", "wire_bytes", 2 * k * s) # the server answers
close("half", "wire_bytes", k * s) # half as many clients, half the bytes
close("rar", "virtual_exchange_seconds", 2 * s * (k - 1) / k / rate + 2 * (k - 1) * 0.25)
close("ar", "virtual_exchange_seconds", (k - 1) * s / rate + (k - 1) * 0.25)
close("ps", "virtual_exchange_seconds", k * s / rate + k * 0.25)
assert np.all(m("one", "clients") == 1) and np.all(np.isfinite(theta("one")))'
}

@test "keys that have no meaning are refused" {
  refused "exchange.algorithm says which links" fed.topology=ps exchange.up.codec=int8
  refused "fed.topology says otherwise" fed.topology=ps net.topology=ar net.bandwidth=8
  refused "fed.partition = dirichlet only" fed.alpha=1
  refused "set fed.start" fed.start_steps=5
  refused "fed.moments = periodic only" fed.m_every=2
  refused "clients of one island" fed.moments=periodic fed.clients=2 fed.islands=2
  refused "method = ddp averages no moments of clients" fed.moments=periodic method=ddp
}

@test "moments averaged in some rounds: their bytes; averaged in each, averaged never" {
  local settings=(fed.clients=4 fed.rounds=6 net.bandwidth=8)
  train own 1 "${settings[@]}" fed.moments=keep
  train all 1 "${settings[@]}" fed.moments=average
  train never 2 "${settings[@]}" fed.moments=periodic fed.m_every=7 fed.v_every=7
  train always 2 "${settings[@]}" fed.moments=periodic fed.m_every=1 fed.v_every=1
  train some 1 "${settings[@]}" fed.moments=periodic
  python 'same = lambda a, b: theta(a, 6).tobytes() == theta(b, 6).tobytes()
assert same("own", "never") and same("all", "always")
assert not same("some", "own") and not same("some", "all")
for name in "payload_bytes", "wire_bytes", "virtual_exchange_seconds":
    assert np.allclose(m("some", name) / m("own", name), [1, 1, 2, 1, 1, 3], rtol=1e-9), name
    assert np.array_equal(m("always", name), m("all", name)), name'
}

@test "mixtures of silos: any number of ranks, other with another alpha" {
  train mixed 1 fed.partition=dirichlet fed.alpha=0.3
  train mixed-3 3 fed.partition=dirichlet fed.alpha=0.3
  same mixed mixed-3
  train mixed-islands 4 fed.partition=dirichlet fed.alpha=0.3 fed.islands=2 fed.clients=2
  train even 1 fed.partition=dirichlet fed.alpha=1e6
  differ mixed even
}

@test "a run begins with another's parameters, moments zero, schedule where it is told" {
  train central 1 method=centralised
  train from-run 2 fed.start=central fed.rounds=1 local.lr=0
  train from-file 1 fed.start=central/checkpoints/000003.h5 fed.rounds=1 local.lr=0
  python 'assert theta("from-run", 1).tobytes() == theta("from-file", 1).tobytes() == theta("central").tobytes()'
  train later 1 fed.start=central fed.start_steps=9
  python 'assert np.all(m("later", "steps") == [12, 15, 18])
assert m("later", "lr")[-1] < m("later", "lr")[0]'
  grep -q "period: 18" later/config.yaml
}

@test "a begun run goes on without the one that it began with" {
  train first 1
  train whole 1 fed.start=first fed.rounds=6
  ATOLL_FAULT_SIGNAL=15 ATOLL_FAULT=step:50 run on 1 photon tiny.yaml run=part fed.start=first fed.rounds=6
  [ ! -e part/checkpoints/000006.h5 ]
  mv first elsewhere
  on 2 resume part
  same whole part
}

@test "what does not fit is told, and leaves no run behind" {
  train wide 1 model.width=32 fed.rounds=1
  local ranks
  for ranks in 1 2; do
    run train no "$ranks" fed.start=wide
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"/model/theta"* ]]
    [ ! -e no/config.yaml ]
    run train no "$ranks" fed.start=nowhere
    [ "$status" -eq 3 ]
    [[ $output == *nowhere* ]]
    [ ! -e no/config.yaml ]
  done
}
