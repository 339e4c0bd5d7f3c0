#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What a round of photon tells about the agreement between its clients, against the clients' models themselves.

load common

# python CODE: with h5py and numpy; m(RUN) is its metrics
python() {
  "$ATOLL_PYTHON" -c "import h5py, numpy as np
def m(run): return h5py.File(f'{run}/metrics.h5')
$1"
}

@test "inner products, cosines, trace and noise scale are those of the clients' models" {
  # in the first round, the clients' models are those of the control without exchange
  train mean 1 fed.rounds=1 fed.moments=reset
  train apart 1 fed.rounds=1 fed.moments=reset method=local_only
  train start 1 fed.rounds=1 local.lr=0
  python 'start = h5py.File("start/checkpoints/000001.h5")["model/theta"][:].astype(np.float64)
d = start - h5py.File("apart/checkpoints/000001.h5")["clients/theta"][:]
k, f = len(d), m("mean")
gram = d @ d.T
off = ~np.eye(k, dtype=bool)
norms = np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
spread = ((d - d.mean(0)) ** 2).sum() / k
def near(name, want):
    assert abs(f[name][0] - want) <= 1e-5 * abs(want), (name, f[name][0], want)
near("pair_dot", gram[off].mean())
near("pair_cosine", gram[off].mean() / norms[off].mean())
near("consensus", spread)
near("trace", spread * k / (k - 1))
near("grad_sq", gram[off].mean())
near("noise_scale", spread * k / (k - 1) / gram[off].mean())
near("delta_norm", np.sqrt((f["delta_norm_tensor"][0] ** 2).sum()))
near("theta_norm", np.sqrt((f["theta_norm_tensor"][0] ** 2).sum()))'
}

@test "the noise scale goes on after a resume; figures are the same on any number of ranks" {
  train whole 1 fed.rounds=6 eval.gain=true eval.every=2 outer.method=fedadam outer.lr=0.01
  ATOLL_FAULT_SIGNAL=15 ATOLL_FAULT=step:50 run on 2 photon tiny.yaml run=part fed.rounds=6 eval.gain=true eval.every=2 \
    outer.method=fedadam outer.lr=0.01
  [ ! -e part/checkpoints/000006.h5 ]
  on 3 resume part
  same whole part
  python 'f = m("whole")
assert np.all(np.isfinite(f["noise_scale"][:]) | (f["grad_sq"][:] < 0))
assert np.all(np.isfinite(f["outer_m_norm"][:])) and np.all(np.isfinite(f["outer_v_norm"][:]))
assert np.all(np.isfinite(f["averaging_gain"][:]) == (np.arange(1, 7) % 2 == 0))
t, g = f["trace"][:], f["grad_sq"][:]
weight = 0.99 ** np.arange(5, -1, -1)
want = (weight * t).sum() / (weight * g).sum()
assert abs(f["noise_scale"][5] - want) <= 1e-9 * abs(want)'
}

@test "the averaging gain is the mean model's loss less that of the clients' models" {
  train gain 2 fed.rounds=1 fed.moments=reset eval.gain=true
  train alone 1 fed.rounds=1 fed.moments=reset method=local_only
  python 'g, a = m("gain"), m("alone")
want = g["val_nats"][0] - a["val_nats"][0] # plain averaging: the global model is the mean model
assert abs(g["averaging_gain"][0] - want) < 1e-6, (g["averaging_gain"][0], want)'
  train none 1 fed.rounds=1
  python 'a, b = (h5py.File(f"{run}/checkpoints/000001.h5")["model/theta"][:] for run in ("gain", "none"))
assert a.tobytes() == b.tobytes() # looking changes nothing'
}

@test "one client: NaN, not 0; a method without models to average has no gain" {
  train one 1 fed.clients=1 fed.rounds=1 eval.gain=true
  python 'f = m("one")
for name in "pair_dot", "pair_cosine", "trace", "grad_sq", "noise_scale", "averaging_gain":
    assert np.isnan(f[name][0]), name'
  run train no 1 method=ddp eval.gain=true
  [ "$status" -eq 2 ]
  [[ $output == *"method = ddp averages no models"* ]]
}
