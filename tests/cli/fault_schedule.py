# SPDX-License-Identifier: BSD-3-Clause
"""The faults of a run of `atoll photon` told from its seed and keys alone, by a generator and a clock of their own, to be
compared with what the run counted.

schedule(keys) plays the rounds of a federation in which every client takes part in every round and local steps take
net.step_seconds; `keys` holds what differs from the defaults below.  It returns a list of dictionaries, one a round, of the
columns of metrics.h5 that follow from the draws.
"""
import math
import statistics

DEFAULTS = {"seed": 1, "fed.clients": 5, "fed.rounds": 3, "fed.quorum": 3, "fed.retries": 2, "fed.deadline": 0.0,
            "fed.late": "leave_out", "local.steps": 3, "net.step_seconds": 0.0, "net.spread": 0.0,
            "faults.dropouts": 0.0, "faults.stragglers": 0.0, "faults.straggler_factor": 10.0, "faults.nan": 0.0,
            "faults.outliers": 0.0, "faults.failures": 0.0, "faults.server_nan": 0.0, "checkpoint.every": 100}
FAULT, WORD = 8, (1 << 64) - 1  # purpose of the streams; 64 bits
DROPOUT, STRAGGLER, NAN, SPREAD, FAILURE, OUTLIER, SERVER = range(1, 8)


def philox(counter, key):
    """Philox4x64-10 (Salmon et al. 2011): four words."""
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        p, q = c[0] * 0xD2E7470EE14C6C93, c[2] * 0xCA5A826395121157
        c = [q >> 64 ^ c[1] ^ k0, q & WORD, p >> 64 ^ c[3] ^ k1, p & WORD]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & WORD, (k1 + 0xBB67AE8584CAA73B) & WORD
    return c


class Draws:
    """Draws for one client in one round."""

    def __init__(self, seed, client, rnd):
        self.key, self.client, self.round = (seed, FAULT), client, rnd

    def word(self, what, index):
        return philox((index // 4, what, self.round, self.client), self.key)[index % 4]

    def uniform(self, what, index=0):
        return (self.word(what, index) >> 11) * 2.0**-53

    def below(self, what, index, n):
        product = self.word(what, index) * n
        assert product & WORD >= (-n & WORD) % n  # else another word would be taken, once in 2^64 / n draws
        return product >> 64

    def normal(self, what):
        w = philox((0, what, self.round, self.client), self.key)
        return math.sqrt(-2 * math.log(((w[0] >> 11) + 1) * 2.0**-53)) * math.cos(2 * math.pi * (w[1] >> 11) * 2.0**-53)


def fate(k, client, rnd, deadline):
    """What becomes of a client's work: (seconds, steps, attempts that broke off)."""
    d, tau = Draws(k["seed"], client, rnd), k["local.steps"]
    if d.uniform(DROPOUT) < k["faults.dropouts"]:
        return math.inf, 0, 0
    one = k["net.step_seconds"] * (k["faults.straggler_factor"] if d.uniform(STRAGGLER) < k["faults.stragglers"] else 1)
    if k["net.spread"] > 0:
        one *= math.exp(k["net.spread"] * Draws(k["seed"], client, 0).normal(SPREAD))
    failures = lost = 0
    while failures <= k["fed.retries"] and tau > 0 and d.uniform(FAILURE, 2 * failures) < k["faults.failures"]:
        lost += d.below(FAILURE, 2 * failures + 1, tau)
        failures += 1
    steps = 0 if failures > k["fed.retries"] else tau
    if k["fed.late"] == "shorten" and deadline > 0 and (lost + steps) * one > deadline:
        fit = int(deadline / one) - lost
        if steps > 0 and fit > 0:
            return min((lost + fit) * one, deadline), fit, failures
    return (lost + steps) * one, steps, failures


def play_round(k, rnd, recent):
    """The figures of a round, and the seconds of its median client on time; recent: those of the last rounds."""
    deadline = k["fed.deadline"] * statistics.median(recent) if recent else 0
    f = dict.fromkeys(("dropouts", "late", "failed", "rejected", "retries", "shortened"), 0)
    valid, long, on_time, slowest, waited = [], [], [], 0, False
    for client in range(k["fed.clients"]):
        seconds, steps, failures = fate(k, client, rnd, deadline)
        d = Draws(k["seed"], client, rnd)
        if math.isinf(seconds) or (deadline > 0 and seconds > deadline):
            f["dropouts" if math.isinf(seconds) else "late"] += 1
            waited = True
            continue
        on_time.append(seconds)
        slowest = max(slowest, seconds)
        f["retries"] += min(failures, k["fed.retries"])
        if failures > k["fed.retries"]:
            f["failed"] += 1
        elif d.uniform(NAN) < k["faults.nan"]:
            f["rejected"] += 1
        else:
            (long if d.uniform(OUTLIER) < k["faults.outliers"] else valid).append(steps)
    if len(valid) > (len(long) + len(valid)) // 2:
        f["rejected"] += len(long)
    else:  # the median is one of the long ones: they pass, and would ruin the model
        valid += long
        assert not long or len(valid) < k["fed.quorum"], f"too many long updates in round {rnd + 1}"
    f["shortened"] = sum(steps < k["local.steps"] for steps in valid)
    f["clients"] = len(valid)
    f["failures"] = k["fed.clients"] - len(valid)
    f["max_steps"] = max(valid, default=0) if len(valid) >= k["fed.quorum"] else 0
    f["virtual_seconds"] = deadline if waited and deadline > 0 else slowest
    return f, statistics.median(on_time) if on_time else None


def schedule(keys):
    k = {**DEFAULTS, **keys}
    rows, times, halvings, states = [], [], 0, {0: []}
    while len(rows) < k["fed.rounds"]:
        rnd = len(rows)
        f, typical = play_round(k, rnd, times[-8:])
        if f["clients"] >= k["fed.quorum"] and Draws(k["seed"], halvings, rnd).uniform(SERVER) < k["faults.server_nan"]:
            assert halvings == 0, f"the server's model is spoilt twice, at last in round {rnd + 1}"
            halvings, last = 1, max(states)
            rows, times = rows[:last], states[last]
            continue
        f["server_lr"] = math.nan if f["clients"] < k["fed.quorum"] else 0.5**halvings
        times = times + ([typical] if typical is not None else [])
        rows.append(f)
        if len(rows) % k["checkpoint.every"] == 0:
            states[len(rows)] = times
    return rows
