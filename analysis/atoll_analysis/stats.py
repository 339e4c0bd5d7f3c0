# SPDX-License-Identifier: BSD-3-Clause
"""Means with 95 % intervals, by Student's t distribution."""
import math
from dataclasses import dataclass

import numpy as np


def t_probability(t, dof):
    """P(|T| <= t) for Student's T with `dof` degrees of freedom, a whole number >= 1.

    The finite series of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4: exact for whole degrees of freedom.
    """
    angle = math.atan2(t, math.sqrt(dof))
    sine, cosine = math.sin(angle), math.cos(angle)
    # Terms cos^j * product of (j - 1) / j, over even j for even dof and odd j for odd dof, up to dof - 2.
    first = 1 if dof % 2 == 0 else cosine
    total, term = 0.0, first
    for j in range(dof % 2, dof - 1, 2):
        total += term
        term *= (j + 1) / (j + 2) * cosine * cosine
    if dof % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + sine * total)


def t_quantile(confidence, dof):
    """The t with P(|T| <= t) = confidence, such as 12.706 for 0.95 and one degree of freedom."""
    low, high = 0.0, 1.0
    while t_probability(high, dof) < confidence:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if t_probability(middle, dof) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@dataclass
class Interval:
    """A mean over n independent values and its confidence interval; low and high are NaN for fewer than two values."""
    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self):
        return (self.high - self.low) / 2


def interval(values, confidence=0.95):
    """Mean and interval of values that are not NaN."""
    v = np.asarray(values, dtype=float)
    v = v[~np.isnan(v)]
    if v.size == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(v.mean())
    if v.size == 1:
        return Interval(mean, math.nan, math.nan, 1)
    # Values that are all the same have exactly no spread, whatever the rounding of their mean.
    spread = 0.0 if (v == v[0]).all() else float(v.std(ddof=1)) / math.sqrt(v.size)
    half = t_quantile(confidence, v.size - 1) * spread
    return Interval(mean, mean - half, mean + half, int(v.size))


def paired_difference(a, b):
    """Interval of the mean of a[i] - b[i]: the same seed at the same place."""
    return interval(np.asarray(a, dtype=float) - np.asarray(b, dtype=float))


def paired_ratio(a, b):
    """Geometric mean of a[i] / b[i] and its interval; all values must be positive, else everything is NaN."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if (a <= 0).any() or (b <= 0).any():
        return Interval(math.nan, math.nan, math.nan, 0)
    return exponential(interval(np.log(a / b)))


def exponential(i):
    """The interval of exp(x), given that of x: a difference of losses in nats becomes a ratio of perplexities."""
    return Interval(math.exp(i.mean), math.exp(i.low), math.exp(i.high), i.n)
