#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Two hundred rounds in which everything goes wrong that can be drawn: nothing hangs, what is counted is what the seed says, and
# the bytes are the same on one rank and on three that are killed on the way.

load common

# all kinds of faults, and a seed with which each of them befalls some client or the server
soak="seed=59 fed.rounds=200 checkpoint.every=20 eval.every=50 fed.max_failed_rounds=0 fed.deadline=2 fed.late=shorten
  net.step_seconds=0.5 net.spread=0.3 net.bandwidth=10 net.latency=0.01 faults.dropouts=0.1 faults.stragglers=0.1 faults.nan=0.05
  faults.outliers=0.02 faults.failures=0.15 faults.server_nan=0.004 outer.method=fednesterov outer.lr=0.5 outer.momentum=0.5
  fed.moments=keep exchange.up.codec=int8 log.level=error"

@test "200 rounds of faults: counted as drawn, and the same on 3 ranks that are killed and go on" {
  local MPIRUN="timeout 120 $MPIRUN -q --mca orte_tmpdir_base $SCRATCH --mca btl_vader_backing_directory $SCRATCH"
  # shellcheck disable=SC2086 # the words
  {
    train one 1 $soak
    ATOLL_FAULT=step:400 ATOLL_FAULT_RANK=1 run train three 3 $soak
    [ "$status" -ne 0 ]
    [ ! -e three/evaluation.h5 ] && [ -e three/checkpoints ]
  }
  on 3 resume three
  same one three
  PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1 "$ATOLL_PYTHON" - "$soak" <<'PYTHON'
import sys
import h5py
import numpy as np
from fault_schedule import schedule

keys = dict(word.split("=") for word in sys.argv[1].split())
want = schedule({k: v if k == "fed.late" else float(v) if "." in v else int(v) for k, v in keys.items()
                 if k.startswith(("seed", "fed.", "faults.", "checkpoint.", "net.s")) and k != "fed.moments"})
with h5py.File("one/metrics.h5") as got:
    for name in ("dropouts", "late", "failed", "rejected", "retries", "shortened", "clients", "failures"):
        drawn, counted = np.array([row[name] for row in want]), got[name][:]
        assert drawn.sum() > 0 and np.array_equal(drawn, counted), (name, np.flatnonzero(drawn != counted), counted.sum())
    assert np.array_equal(np.cumsum([row["max_steps"] for row in want]), got["steps"])
    local = got["virtual_seconds"][:] - np.nan_to_num(got["virtual_exchange_seconds"][:])
    assert np.allclose([row["virtual_seconds"] for row in want], local, rtol=1e-9)
    lr = np.array([row["server_lr"] for row in want]) * 0.5
    assert np.array_equal(lr, got["server_lr"][:], equal_nan=True) and {0.25, 0.5} <= set(lr) and np.isnan(lr).any()
with h5py.File("one/checkpoints/000200.h5") as end:
    for name in ("model/theta", "outer/m", "exchange/client", "exchange/server", "clients/m"):
        assert np.all(np.isfinite(end[name][:])), name
    assert end["clients/facts"][:, 4].sum() == sum(row["failures"] for row in want)
PYTHON
}
