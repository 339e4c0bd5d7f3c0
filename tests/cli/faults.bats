#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Faults of clients that are drawn, and the virtual clock: alike on any number of ranks, survived, counted, and refused where
# they mean nothing.

load common

# python CODE: with h5py and numpy
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def metrics(run, name):
    return h5py.File(f'{run}/metrics.h5')[name][:]
def theta(run, round):
    return h5py.File(f'{run}/checkpoints/{round:06d}.h5')['model/theta'][:]
$1"
}

everything="fed.rounds=12 fed.quorum=1 fed.deadline=2 fed.max_failed_rounds=100 net.bandwidth=10 net.latency=0.01
  net.step_seconds=0.5 net.spread=0.3 faults.dropouts=0.2 faults.stragglers=0.2 faults.nan=0.2"

@test "drop-outs, stragglers, spoilt updates: the same on any number of ranks, and when resumed" {
  local ranks
  # shellcheck disable=SC2086 # the words
  for ranks in 1 2 3 4; do
    train all-$ranks $ranks $everything exchange.up.codec=int8 checkpoint.every=5 checkpoint.keep=0
  done
  same all-1 all-2
  same all-1 all-3
  same all-1 all-4
  cp -r all-2 again
  rm again/checkpoints/000010.h5 again/checkpoints/000012.h5 again/evaluation.h5
  on 3 resume again
  same all-1 again
}

@test "what is drawn is what is counted" {
  # shellcheck disable=SC2086
  train counted 2 $everything
  python 'f = {k: metrics("counted", k) for k in ("clients", "failures", "dropouts", "late", "rejected")}
assert np.all(f["clients"] + f["failures"] == 5)
assert np.all(f["failures"] == f["dropouts"] + f["late"] + f["rejected"])
assert all(0 < f[k].sum() < 30 for k in ("dropouts", "late", "rejected")), f
assert h5py.File("counted/checkpoints/000012.h5")["clients/facts"][:, 4].sum() == f["failures"].sum()'
}

@test "spoilt updates leave residuals as they were, and the rest is averaged" {
  train spoilt 2 faults.nan=1 fed.max_failed_rounds=100 exchange.up.codec=int4
  python 'f = h5py.File("spoilt/checkpoints/000003.h5")
assert np.all(metrics("spoilt", "rejected") == 5) and np.all(metrics("spoilt", "clients") == 0)
assert not f["exchange/client"][:].any() and not f["exchange/server"][:].any()'
  train part 2 faults.nan=0.3 fed.quorum=1 exchange.up.codec=int4
  python 'f = h5py.File("part/checkpoints/000003.h5")
assert 0 < metrics("part", "rejected").sum() < 15 and np.all(np.isfinite(f["exchange/client"][:]))
assert np.all(np.isfinite(theta("part", 3)))'
}

@test "too few clients: nothing changes, and after some rounds in a row the run ends" {
  train alone 1 faults.dropouts=1 fed.max_failed_rounds=100
  train start 1 method=local_sgd local.lr=0 fed.rounds=1 fed.moments=reset
  python 'assert theta("alone", 3).tobytes() == theta("start", 1).tobytes()
assert np.all(metrics("alone", "dropouts") == 5) and np.all(np.isnan(metrics("alone", "train_loss")))'
  run train over 2 faults.dropouts=1 fed.rounds=9
  [ "$status" -eq 7 ]
  [ "$(grep -c '^atoll:.*3 rounds in a row' <<<"$output")" -eq 1 ]
}

@test "an update far longer than the others' is rejected and named" {
  run train long 2 fed.outlier=1.0001 fed.rounds=1 fed.quorum=1
  [[ $output == *"the update of client "*" is rejected"* ]]
  python 'assert metrics("long", "rejected")[0] in (1, 2)'
}

@test "secure sums survive drop-outs: the survivors' exact sum" {
  train exact 1 faults.dropouts=0.3 fed.quorum=1
  train masked 3 faults.dropouts=0.3 fed.quorum=1 reduce=secure
  python 'assert theta("exact", 3).tobytes() == theta("masked", 3).tobytes()
assert metrics("masked", "dropouts").sum() > 0'
}

@test "seconds are those of the formulas" {
  train ring 2 net.bandwidth=8 net.latency=0.25 net.step_seconds=2 fed.clients=4
  train half 1 net.bandwidth=8 net.half_duplex=true fed.clients=4
  train server 2 net.bandwidth=8 net.topology=ps fed.clients=4
  train coded 2 net.bandwidth=8 net.topology=rar fed.clients=4 exchange.up.codec=int8
  train gradients 2 net.bandwidth=8 method=ddp fed.clients=4 net.device=pi4
  python 'n, rate = theta("ring", 3).size, 1e6
bytes = 8 * n
ring = 2 * 0.75 * bytes / rate
def seconds(run, name="virtual_exchange_seconds"):
    return metrics(run, name)[-1]
assert np.isclose(seconds("ring"), ring + 6 * 0.25), (seconds("ring"), ring)
assert np.isclose(seconds("ring", "virtual_seconds"), 3 * 2 + ring + 6 * 0.25)
assert np.isclose(seconds("ring", "virtual_clock"), 3 * seconds("ring", "virtual_seconds"))
assert np.isclose(seconds("half"), 2 * ring)
assert np.isclose(seconds("server"), 4 * bytes / rate)
assert np.isclose(seconds("coded"), ring * metrics("coded", "bits_per_element")[-1] / 64)
assert np.isclose(seconds("gradients"), 3 * ring)
assert seconds("gradients", "virtual_seconds") > seconds("gradients")'
}

@test "a deadline ends the wait for stragglers, and does not grow by waiting" {
  train waiting 1 fed.rounds=8 net.step_seconds=1 faults.stragglers=0.3 fed.quorum=1
  train deadline 1 fed.rounds=8 net.step_seconds=1 faults.stragglers=0.3 fed.quorum=1 fed.deadline=1.5
  python 'w, d = metrics("waiting", "virtual_seconds"), metrics("deadline", "virtual_seconds")
assert w.max() == 30 and np.all(metrics("waiting", "late") == 0)
assert metrics("deadline", "late").sum() > 0 and np.all(d[1:] <= 4.5) and d.sum() < w.sum()'
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

@test "keys without effect are refused" {
  refused "set net.device or net.step_seconds" faults.stragglers=0.1
  refused "set net.device or net.step_seconds" fed.deadline=2
  refused "set net.bandwidth" net.latency=0.1
  refused "waits for every client in every step" method=ddp faults.dropouts=0.1
  refused "leave out one of them" net.device=pi4 net.step_seconds=1
}
