# SPDX-License-Identifier: BSD-3-Clause
"""Intervals against tabulated quantiles of Student's t, and against what they must hold on simulated data."""
import math
import os
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from atoll_analysis import stats  # noqa: E402


class TestQuantiles(unittest.TestCase):
    def test_tabulated(self):
        # Abramowitz and Stegun (1964), table 26.10, A = 0.95 and 0.99.
        table = {(0.95, 1): 12.706, (0.95, 2): 4.303, (0.95, 3): 3.182, (0.95, 4): 2.776, (0.95, 9): 2.262,
                 (0.95, 10): 2.228, (0.95, 30): 2.042, (0.95, 120): 1.980, (0.99, 1): 63.657, (0.99, 5): 4.032,
                 (0.99, 20): 2.845}
        for (confidence, dof), value in table.items():
            with self.subTest(confidence=confidence, dof=dof):
                self.assertAlmostEqual(stats.t_quantile(confidence, dof), value, delta=6e-4)

    def test_cauchy_and_normal_limits(self):
        self.assertAlmostEqual(stats.t_probability(1, 1), 0.5)  # one degree of freedom: the Cauchy distribution
        self.assertAlmostEqual(stats.t_quantile(0.95, 100001), 1.959964, delta=1e-4)


class TestIntervals(unittest.TestCase):
    def test_by_hand(self):
        i = stats.interval([1, 2, 3])
        self.assertAlmostEqual(i.mean, 2)
        self.assertAlmostEqual(i.half_width, 4.302653 / math.sqrt(3), places=5)

    def test_few_values(self):
        self.assertEqual(stats.interval([]).n, 0)
        one = stats.interval([5.0])
        self.assertEqual((one.mean, one.n), (5.0, 1))
        self.assertTrue(math.isnan(one.low) and math.isnan(one.high))
        self.assertEqual(stats.interval([1.0, math.nan, 3.0]).n, 2)

    def test_no_spread_is_exact(self):
        i = stats.interval([0.1] * 7)
        self.assertEqual((i.low, i.high), (i.mean, i.mean))

    def test_pairing_removes_what_seeds_share(self):
        seeds = np.array([10.0, 20.0, 30.0, 40.0])
        d = stats.paired_difference(seeds + 1 + np.array([0.01, -0.01, 0.01, -0.01]), seeds)
        self.assertLess(d.half_width, 0.05)
        self.assertAlmostEqual(d.mean, 1)

    def test_ratio_is_geometric_and_antisymmetric(self):
        a, b = [1.0, 2.0, 4.0], [2.0, 2.0, 2.0]
        r, q = stats.paired_ratio(a, b), stats.paired_ratio(b, a)
        self.assertAlmostEqual(r.mean, 1.0)
        self.assertAlmostEqual(r.low, 1 / q.high)
        self.assertEqual(stats.paired_ratio([1.0, -1.0], [1.0, 1.0]).n, 0)

    def test_coverage(self):
        generator = np.random.default_rng(1)
        hits = sum(i.low <= 0 <= i.high for i in (stats.interval(generator.normal(size=4)) for _ in range(2000)))
        # A binomial of 2000 at 0.95 has a standard deviation of 9.7: four of them either way.
        self.assertTrue(1861 <= hits <= 1939, hits)


if __name__ == "__main__":
    unittest.main()
