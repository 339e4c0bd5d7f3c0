# SPDX-License-Identifier: BSD-3-Clause
"""Claims about methods and their verdicts: reproduced, not reproduced, inconclusive.

A claim is an entry of `table: claims:` in a sweep's YAML:

  - claim: within 10 % of the perplexity of data-parallel training
    source: Photon (2025), table 3
    budget: 1.31 M tokens
    metric: validation/mixed_nats_per_token
    bar: exp(photon - ddp) <= 1.10
    cause: one sentence, for the case that it is not reproduced     (optional)

A bar compares a method, a difference, a ratio, or the exponential of a difference (of losses in nats: a ratio of
perplexities) with a number or a range: `photon <= 2.1`, `photon - ddp <= 0`, `ddp / photon in 15.84..16.16`.  Differences
and ratios are taken seed by seed; a ratio's mean is geometric.  The verdict looks at the 95 % interval: all of it within the
bar, all of it outside, or neither.  Fewer than three seeds are inconclusive, unless nothing varies between seeds.
"""
import math
import re
from dataclasses import dataclass

from . import stats
from .runs import DataError

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
FEWEST_SEEDS = 3

# Names may hold blanks and commas (labels of runs), so operators stand between blanks.
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BAR = re.compile(rf"\s*(?P<left>[^<>]+?)\s+(?:(?P<sign><=|>=)\s*(?P<limit>{_NUMBER})"
                  rf"|in\s+(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER}))\s*")


@dataclass
class Bar:
    form: str  # "value", "difference", "ratio" or "exp"
    a: str
    b: str  # "" for a value
    low: float
    high: float
    text: str

    def measure(self, a, b):
        """The interval of what is compared, from values by seed."""
        if self.form == "value":
            return stats.interval(a)
        if self.form == "ratio":
            return stats.paired_ratio(a, b)
        difference = stats.paired_difference(a, b)
        return stats.exponential(difference) if self.form == "exp" else difference


def parse_bar(text):
    m = _BAR.fullmatch(text)
    if not m:
        raise DataError(f"bar {text!r}: write A <= X, A - B <= X, A / B <= X, exp(A - B) <= X, or ... in X..Y")
    low, high = -math.inf, math.inf
    if m["sign"] == "<=":
        high = float(m["limit"])
    elif m["sign"] == ">=":
        low = float(m["limit"])
    else:
        low, high = float(m["low"]), float(m["high"])
        if low > high:
            raise DataError(f"bar {text!r}: the range is empty")
    left, form = m["left"], "value"
    inner = re.fullmatch(r"exp\(\s*(.+?)\s+-\s+(.+?)\s*\)", left)
    if inner:
        form = "exp"
    elif inner := re.fullmatch(r"(.+?)\s+-\s+(.+)", left):
        form = "difference"
    elif inner := re.fullmatch(r"(.+?)\s+/\s+(.+)", left):
        form = "ratio"
    a, b = (inner[1], inner[2]) if inner else (left, "")
    return Bar(form, a.strip(), b.strip(), low, high, text.strip())


def judge(bar, measured):
    """(verdict, one sentence of cause, empty where it is reproduced)."""
    if measured.n == 0:
        return INCONCLUSIVE, "There is no seed for which all its runs are complete."
    low, high = measured.low, measured.high
    if measured.n < FEWEST_SEEDS and not low == high:
        return INCONCLUSIVE, f"Only {measured.n} seed{'s' if measured.n > 1 else ''}: at least {FEWEST_SEEDS} are needed."
    if bar.low <= low and high <= bar.high:
        return REPRODUCED, ""
    if high < bar.low or low > bar.high:
        return NOT_REPRODUCED, "The whole interval is outside the bar."
    return INCONCLUSIVE, f"The interval of {measured.n} seeds reaches over the bar: more seeds would decide."


@dataclass
class Row:
    """A line of the table of claims."""
    claim: str
    source: str
    budget: str
    metric: str
    bar: str
    values: list  # [(method, Interval)]
    measured: stats.Interval
    seeds: list
    verdict: str
    cause: str
    unit: str = ""  # of the metric


def evaluate(claim, values_of):
    """The Row of one claim.  values_of(method, metric) -> {seed: value}, DataError for a method that is not there."""
    for key in ("claim", "metric", "bar"):
        if not claim.get(key):
            raise DataError(f"claim {claim.get('claim', '?')!r}: {key} is missing")
    bar = parse_bar(claim["bar"])
    methods = [bar.a] + ([bar.b] if bar.b else [])
    values = [values_of(m, claim["metric"]) for m in methods]
    seeds = sorted(s for s in set.intersection(*map(set, values))
                   if not any(math.isnan(v[s]) for v in values))
    paired = [[v[s] for s in seeds] for v in values]
    measured = bar.measure(paired[0], paired[-1])
    verdict, cause = judge(bar, measured)
    if verdict == NOT_REPRODUCED and claim.get("cause"):
        cause = claim["cause"]
    return Row(claim["claim"], claim.get("source", ""), claim.get("budget", ""), claim["metric"], bar.text,
               [(m, stats.interval(p)) for m, p in zip(methods, paired)], measured, seeds, verdict, cause)
