#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What is done about faults: work begun again, clients left out of the mean or cut short, rounds that change nothing, a model that is
# taken back; and rounds with nothing to do.

load common

# python CODE: with h5py, numpy and the schedule of faults
python() {
  PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1 "$ATOLL_PYTHON" -c "import h5py, numpy as np
from fault_schedule import schedule
def metrics(run, name):
    return h5py.File(f'{run}/metrics.h5')[name][:]
def state(run, round, name='model/theta'):
    return h5py.File(f'{run}/checkpoints/{round:06d}.h5')[name][:]
$1"
}

@test "work that breaks off is begun again, and nobody can tell but by the time" {
  train calm 1 net.step_seconds=1 fed.moments=keep
  train retried 2 net.step_seconds=1 fed.moments=keep faults.failures=0.5 fed.retries=50
  python 'for name in ("model/theta", "clients/m", "clients/v", "clients/facts"):
    assert state("calm", 3, name).tobytes() == state("retried", 3, name).tobytes(), name
assert metrics("retried", "retries").sum() > 5 and not metrics("retried", "failures").any()
assert metrics("retried", "virtual_clock")[-1] > metrics("calm", "virtual_clock")[-1]'
}

@test "work that breaks off three times is given up: named, counted, and the client stands where it stood" {
  run train tired 1 faults.failures=0.6 fed.quorum=1 fed.moments=keep
  [ "$status" -eq 0 ]
  local named
  named=$(grep -c "the work of client [0-4] broke off 3 times and is given up" <<<"$output")
  train tired3 3 faults.failures=0.6 fed.quorum=1 fed.moments=keep
  same tired tired3
  python "failed = metrics('tired', 'failed')
want = schedule({'faults.failures': 0.6, 'fed.quorum': 1})
assert failed.sum() == $named > 0 and list(failed) == [row['failed'] for row in want]
assert list(metrics('tired', 'retries')) == [row['retries'] for row in want]
facts = state('tired', 3, 'clients/facts')
assert np.all(facts[:, 0] == 6 * (3 - facts[:, 4])) and np.all(facts[:, 1] == 3 * (3 - facts[:, 4]))"
  run train gone 2 faults.failures=1 fed.rounds=9
  [ "$status" -eq 7 ]
  [ "$(grep -c '^atoll:.*3 rounds in a row' <<<"$output")" -eq 1 ]
}

@test "who is missing is left out of the mean; a ring is built anew, which costs another exchange" {
  local links="net.bandwidth=8 faults.dropouts=0.4 fed.quorum=1 fed.rounds=1 fed.moments=reset"
  train alone 1 method=local_only fed.rounds=1 fed.moments=reset
  # shellcheck disable=SC2086 # the words
  for kind in ps rar; do
    train $kind 2 $links net.topology=$kind
  done
  python 'own = state("alone", 1, "clients/theta").astype(np.float64)
there = state("ps", 1, "clients/facts")[:, 3] == 1
k, n = there.sum(), own.shape[1]
assert 2 <= k < 5 and metrics("ps", "clients")[0] == k
gap = np.abs(state("ps", 1) - own[there].mean(axis=0))
assert gap.max() < 1e-7 and np.abs(own[there].mean(axis=0) - own.mean(axis=0)).max() > 1e-4
assert state("ps", 1).tobytes() == state("rar", 1).tobytes()
once = 8 * n * 8 / 8e6
assert np.isclose(metrics("ps", "virtual_exchange_seconds")[0], k * once)
assert np.isclose(metrics("rar", "virtual_exchange_seconds")[0], 2 * 2 * (k - 1) / k * once)'
}

@test "a server does not wait for ever for the vanished: the deadline is twice the median unless it is given" {
  train patient 1 faults.dropouts=0.3 fed.quorum=1 net.step_seconds=1
  grep -q "deadline: 2 " patient/config.yaml
  python 'm = metrics("patient", "virtual_seconds")
late = metrics("patient", "dropouts") > 0
assert late[1:].any() and np.all(m[1:][late[1:]] == 6) and np.all(m[~late] == 3)'
  train calm2 1 net.step_seconds=1 net.spread=0.5
  grep -q "deadline: 0 " calm2/config.yaml
  train asked 1 faults.dropouts=0.3 fed.quorum=1 net.step_seconds=1 fed.deadline=0
  python 'assert np.all(metrics("asked", "virtual_seconds") == 3)'
}

@test "late clients do the steps that fit, and the mean weighs by steps" {
  local two="seed=109 fed.clients=2 fed.rounds=2 fed.quorum=1 fed.retries=0 fed.deadline=1 fed.late=shorten local.steps=8
    local.warmup=0 local.lr_final=1 net.step_seconds=1 net.spread=1 outer.method=fednesterov outer.lr=0 outer.momentum=0"
  # without a server step, the server's momentum is the mean update of the last round, from the same model in all three runs
  # shellcheck disable=SC2086 # the words
  {
    train both 2 $two
    train first 1 $two faults.failures=0.4
    train second 1 $two faults.nan=0.4
  }
  python 'steps = state("both", 2, "clients/facts")[:, 1] - 8
assert list(steps) == [8, 5] and metrics("both", "shortened")[1] == 1 and metrics("both", "late")[1] == 0
assert metrics("first", "failed")[1] == 1 and metrics("second", "rejected")[1] == 1
m = {run: state(run, 2, "outer/m").astype(np.float64) for run in ("both", "first", "second")}
gap = np.abs(m["both"] - (8 * m["first"] + 5 * m["second"]) / 13)
assert gap.max() < 1e-8 < 1e-4 < np.abs(m["first"] - m["second"]).max()
assert list(metrics("both", "steps")) == [8, 16] and list(metrics("second", "steps"))[1] in (5, 13)
assert metrics("both", "virtual_seconds")[1] <= np.mean([a * 8 for a in (23.2036278 / 8, 36.5058889 / 5)])'
}

@test "too few results: model, server state, moments and residuals stay, and the run goes on if told to" {
  train few 2 faults.dropouts=0.5 fed.rounds=8 fed.max_failed_rounds=0 checkpoint.every=1 checkpoint.keep=0 fed.moments=keep \
    outer.method=fedadam outer.lr=0.01 exchange.up.codec=int8
  python 'few = metrics("few", "clients") < 3
assert 2 <= few.sum() < 8 and np.any(few[1:])
names = ("model/theta", "outer/m", "outer/v", "clients/m", "clients/v", "exchange/client", "exchange/server")
for r in range(2, 9):
    same = [state("few", r, name).tobytes() == state("few", r - 1, name).tobytes() for name in names]
    assert all(same) if few[r - 1] else not any(same), (r, same)
counters = state("few", 8, "server/counters")[0]
assert counters[3] == few.sum() and counters[0] == 8'
}

@test "a spoilt update is named" {
  run train spoilt 2 faults.nan=0.2 fed.rounds=1 fed.quorum=1
  python "assert metrics('spoilt', 'rejected')[0] == $(grep -c "the update of client [0-4] is rejected, it is not finite" <<<"$output") > 0"
}

rolled="seed=14 fed.rounds=8 checkpoint.every=3 checkpoint.keep=0 fed.moments=keep exchange.up.codec=int8 faults.server_nan=0.1"

@test "a spoilt model: back to the last checkpoint, half the server's rate, on any number of ranks, resumed, and played again" {
  # shellcheck disable=SC2086 # the words
  {
    run train rolled 1 $rolled
    [ "$status" -eq 0 ]
    [[ $output == *"round = 5: the global model is not finite after the server step: back to round 3, outer.lr = 0.5"* ]]
    train rolled3 3 $rolled
    train straight 1 ${rolled% *}
  }
  same rolled rolled3
  python 'assert list(metrics("rolled", "server_lr")) == [1, 1, 1, .5, .5, .5, .5, .5]
assert list(metrics("rolled", "server_lr")) == [r["server_lr"] for r in schedule(
    {"seed": 14, "fed.rounds": 8, "checkpoint.every": 3, "faults.server_nan": .1})]
assert np.all(np.isfinite(state("rolled", 8)))
a, b = metrics("rolled", "step_norm"), metrics("straight", "step_norm")
assert np.array_equal(a[:3], b[:3]) and np.isclose(a[3], b[3] / 2, rtol=1e-6)
assert metrics("rolled", "delta_norm")[3] == metrics("straight", "delta_norm")[3]'
  local from
  for from in 3 6; do
    rm -rf again
    cp -r rolled again
    rm again/evaluation.h5 again/checkpoints/000008.h5
    [ "$from" -eq 6 ] || rm again/checkpoints/000006.h5
    on 2 resume again
    same rolled again
  done
  run on 2 verify rolled round=4
  [ "$status" -eq 0 ]
}

@test "before the first checkpoint it goes back to the start; the second time, the run ends" {
  train early 2 seed=14 fed.rounds=5 faults.server_nan=0.1
  train half 1 seed=14 fed.rounds=5 outer.lr=0.5
  python 'assert state("early", 5).tobytes() == state("half", 5).tobytes()
assert np.all(metrics("early", "server_lr") == .5) and len(metrics("early", "round")) == 5'
  run train twice 2 faults.server_nan=1
  [ "$status" -eq 7 ]
  [ "$(grep -c '^atoll: the global model is not finite after the server step of round 1, though' <<<"$output")" -eq 1 ]
}

@test "rounds without a local step: nothing moves, nothing is divided by zero" {
  train still 2 local.steps=0 fed.moments=average outer.method=fednesterov exchange.up.codec=int8 net.step_seconds=1 \
    fed.deadline=2 fed.late=shorten faults.failures=0.5
  train start 1 method=local_sgd local.lr=0 fed.rounds=1
  python 'assert state("still", 3).tobytes() == state("start", 1).tobytes() and not state("still", 3, "outer/m").any()
m = {k: metrics("still", k) for k in ("clients", "delta_norm", "consensus", "cosine", "steps", "tokens", "step_norm", "failures")}
assert np.all(m["clients"] == 5) and np.all(np.isnan(m["cosine"]))
assert not any(m[k].any() for k in ("delta_norm", "consensus", "steps", "tokens", "step_norm", "failures"))'
  "$ATOLL" plan tiny.yaml system=photon local.steps=0
  run train still-ddp 1 method=ddp local.steps=0
  [ "$status" -eq 2 ]
}

@test "clients that have seen all their data begin again, and epochs are counted" {
  train seen 2 fed.rounds=30 local.steps=20 local.batch=4 eval.every=30 fed.clients=7
  train mixed 1 fed.rounds=20 local.steps=20 local.batch=4 eval.every=30 fed.partition=iid
  # 80 windows a round; a third of the text of one silo in "seen", in "mixed" every third window is from the longest silo
  python 'windows = {s: (len(h5py.File("data.h5")[f"examples/{s}/tokens"]) - 1) // 16 for s in ("en", "ru")}
r = np.arange(1, 31)
assert np.array_equal(metrics("seen", "epochs"), 80 * r // (windows["en"] // 3)) and metrics("seen", "epochs")[-1] > 2
turns = (80 * r[:20] + 2) // 3  # of the client that begins with the longest silo
assert np.array_equal(metrics("mixed", "epochs"), turns // (windows["ru"] // 5 + 1)), metrics("mixed", "epochs")'
}
