# SPDX-License-Identifier: BSD-3-Clause
"""Tables over seeds and verdicts, against numbers worked out by hand."""
import csv
import io
import math
import os
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixtures  # noqa: E402

from atoll_analysis import claims, stats, table, text  # noqa: E402
from atoll_analysis.runs import DataError, read_run  # noqa: E402

CLAIMS = """
name: t
table:
  baseline: ddp
  metrics: [test/mixed_bits_per_byte, payload_bytes@sum]
  claims:
    - {claim: lower, metric: test/mixed_bits_per_byte, bar: photon - ddp <= 0, source: S, budget: B}
    - {claim: much lower, metric: test/mixed_bits_per_byte, bar: photon - ddp <= -1, cause: Too small a model.}
    - {claim: perplexity, metric: validation/mixed_nats_per_token, bar: exp(photon - ddp) <= 0.93}
    - {claim: bytes, metric: payload_bytes@sum, bar: photon / ddp in 0.99..1.01}
"""


class TestBars(unittest.TestCase):
    def test_forms(self):
        for words, expected in (
                ("a <= 2.1", ("value", "a", "", -math.inf, 2.1)), ("a - b >= -1e-3", ("difference", "a", "b", -1e-3, math.inf)),
                ("a / b in 15.84..16.16", ("ratio", "a", "b", 15.84, 16.16)),
                ("exp(a - b) <= 1.10", ("exp", "a", "b", -math.inf, 1.1)),
                ("photon, local.steps=16 - ddp-x <= 0", ("difference", "photon, local.steps=16", "ddp-x", -math.inf, 0))):
            bar = claims.parse_bar(words)
            self.assertEqual((bar.form, bar.a, bar.b, bar.low, bar.high), expected, words)

    def test_nonsense(self):
        for words in ("a", "a < 1", "<= 1", "a <= x", "a in 2..1", "a <= 1 or b <= 1"):
            with self.assertRaises(DataError, msg=words):
                claims.parse_bar(words)

    def test_verdicts(self):
        bar = claims.parse_bar("a <= 1")
        for low, high, n, verdict in ((.5, .9, 5, "reproduced"), (.5, 1.0, 5, "reproduced"), (.5, 1.1, 5, "inconclusive"),
                                      (1.1, 1.2, 5, "not reproduced"), (.5, .9, 2, "inconclusive"),
                                      (.5, .5, 2, "reproduced"), (math.nan, math.nan, 1, "inconclusive"),
                                      (math.nan, math.nan, 0, "inconclusive")):
            got, cause = claims.judge(bar, stats.Interval((low + high) / 2, low, high, n))
            self.assertEqual(got, verdict, (low, high, n))
            self.assertEqual(bool(cause), verdict != "reproduced")


class TestTable(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def sweep(self, losses, grid_yaml=CLAIMS, axes=()):
        return fixtures.make_sweep(os.path.join(self.folder.name, "sweep"), losses, grid_yaml, axes)

    def test_means_and_paired_differences(self):
        t = table.build([self.sweep({("photon",): {1: 2.0, 2: 2.2, 3: 2.4}, ("ddp",): {1: 2.1, 2: 2.3, 3: 2.5}})])
        self.assertEqual([ln.label for ln in t.lines], ["photon", "ddp"])
        mean = t.lines[0].cells[0]
        self.assertAlmostEqual(mean.mean, 2.21)
        self.assertAlmostEqual(mean.half_width, 4.302653 * .2 / math.sqrt(3), places=5)
        # The spread over seeds is shared, so that the difference has none.
        self.assertAlmostEqual(t.lines[0].differences[0].mean, -.1)
        self.assertLess(t.lines[0].differences[0].half_width, 1e-9)
        self.assertIsNone(t.lines[1].differences[0])
        self.assertEqual([c.verdict for c in t.claims], ["reproduced", "not reproduced", "not reproduced", "reproduced"])
        self.assertAlmostEqual(t.claims[2].measured.mean, 2 ** -.1)  # exp of a difference of 0.1 bits in nats: 0.933
        self.assertEqual(t.claims[1].cause, "Too small a model.")

    def test_only_common_seeds_are_paired(self):
        t = table.build([self.sweep({("photon",): {1: 2.0, 2: None, 3: 2.0, 4: 2.1}, ("ddp",): {1: 2.5, 2: 9.0, 3: 2.6, 4: 2.5}})])
        self.assertEqual(t.claims[0].seeds, ["1", "3", "4"])
        self.assertAlmostEqual(t.lines[0].differences[0].mean, (-.5 - .6 - .4) / 3)
        self.assertEqual(t.missing[0][0], "photon-s2")

    def test_running_runs_are_named_and_left_out(self):
        folder = self.sweep({("photon",): {1: 2.0, 2: 2.0}, ("ddp",): {1: 2.5, 2: 2.5}})
        os.remove(os.path.join(folder, "ddp-s2", "evaluation.h5"))
        t = table.build([folder])
        self.assertEqual(t.lines[1].cells[0].n, 1)
        self.assertEqual(t.missing, [("ddp-s2", "not complete: round 4 of 4")])

    def test_grid_has_a_claim_for_each_point(self):
        losses = {(m, s): {k: base + k / 100 for k in (1, 2, 3)} for m, s, base in
                  (("photon", "16", 2.0), ("ddp", "16", 2.5), ("photon", "64", 3.0), ("ddp", "64", 2.5))}
        t = table.build([self.sweep(losses, axes=["steps"])])
        lower = {c.claim: c.verdict for c in t.claims if c.claim.startswith("lower")}
        self.assertEqual(lower, {"lower (steps=16)": "reproduced", "lower (steps=64)": "not reproduced"})
        self.assertEqual(len(t.lines), 4)
        self.assertEqual([ln.differences[0] is None for ln in t.lines], [False, True, False, True])

    def test_metrics(self):
        r = read_run(fixtures.make_run(os.path.join(self.folder.name, "r"), loss=2.0))
        for metric, value in (("val_bits_per_byte", 2.0), ("val_bits_per_byte@max", 2.75), ("val_bits_per_byte@min", 2.0),
                              ("payload_bytes@sum", 12e6), ("tokens@mean", 2500.0), ("val_bits_per_byte@first<=2.3", 2.0),
                              ("train_loss@max", 2.75), ("test/mixed_bits_per_byte", 2.01)):
            self.assertAlmostEqual(table.value_of(r, metric), value, msg=metric)
        self.assertTrue(math.isnan(table.value_of(r, "val_bits_per_byte@first<=1")))
        self.assertTrue(math.isnan(table.value_of(r, "nothing")))
        for metric in ("tokens@median", "val_bits_per_byte_silo", "test/bits_per_byte"):
            with self.assertRaises(DataError, msg=metric):
                table.value_of(r, metric)

    def test_reaching_another_methods_loss(self):
        claim = "{claim: sooner, metric: tokens@reaching ddp, bar: photon / ddp <= 0.6}"
        folder = self.sweep({("photon",): {1: 2.0, 2: 2.5}, ("ddp",): {1: 2.25, 2: 2.75}},
                            grid_yaml=f"name: t\ntable:\n  claims:\n    - {claim}\n")
        c = table.build([folder]).claims[0]
        self.assertEqual([i.mean for _, i in c.values], [2000, 4000])  # losses 2.75, 2.25, ... and 3, 2.5, 2.33, 2.25
        self.assertAlmostEqual(c.measured.mean, .5)
        never = read_run(fixtures.make_run(os.path.join(self.folder.name, "never"), loss=2.0))
        self.assertTrue(math.isnan(table.when_reaching(never, "tokens", 1.0)))

    def test_errors_say_what_there_is(self):
        folder = self.sweep({("photon",): {1: 2.0}, ("ddp",): {1: 2.5}})
        with self.assertRaisesRegex(DataError, "val_nats"):
            table.build([folder], metrics=["val_nuts"])
        with self.assertRaisesRegex(DataError, "photon"):
            table.build([folder], baseline="nobody")

    def test_output(self):
        t = table.build([self.sweep({("photon",): {1: 2.0, 2: 2.2, 3: 2.5}, ("ddp",): {1: 2.1, 2: 2.3, 3: 2.5}})])
        words = table.as_text(t)
        self.assertRegex(words, r"photon +3 +2\.24 ± 0\.63 +12 MB")
        self.assertRegex(words, r"photon +-0\.07 ± 0\.14 not told apart +equal")
        self.assertIn("INCONCLUSIVE: lower", words)
        rows = list(csv.DictReader(io.StringIO(table.as_csv(t))))
        self.assertEqual([r["table"] for r in rows].count("claim"), 4)
        mean = next(r for r in rows if r["table"] == "mean" and r["method"] == "photon")
        self.assertAlmostEqual(float(mean["mean"]), (2.0 + 2.2 + 2.5) / 3 + .01)
        self.assertIn("✓ reproduced", table.as_html(t))

    def test_command(self):
        folder = self.sweep({("photon",): {1: 2.0}, ("ddp",): {1: 2.5}})
        out = os.path.join(self.folder.name, "t.csv")
        self.assertEqual(table.main([folder, "-o", out]), 0)
        with open(out) as f:
            self.assertTrue(f.read().startswith("table,method,"))
        with unittest.mock.patch("sys.stderr", io.StringIO()) as err:
            self.assertEqual(table.main([os.path.join(self.folder.name, "nowhere")]), 2)
            self.assertIn("no config.yaml", err.getvalue())


class TestNumbers(unittest.TestCase):
    def test_words(self):
        for value, words in ((0, "0"), (1234, "1234"), (1.23456, "1.235"), (0.000123456, "0.0001235"), (1.5e9, "1.500e+09"),
                             (math.nan, "–"), (-2.5, "-2.500")):
            self.assertEqual(text.number(value), words)
        self.assertEqual(text.scaled(327680, "tokens"), "327.7 ktok")
        self.assertEqual(text.scaled(30343680, "bytes"), "30.34 MB")
        self.assertEqual(text.scaled(2055, ""), "2055")
        self.assertEqual([text.duration(s) for s in (.1234, 48.2, 185, 7620)], ["123 ms", "48 s", "3 min 05 s", "2 h 07 min"])

    def test_digits_follow_the_interval(self):
        self.assertEqual(text.plus_minus(stats.Interval(1.93712, 1.925, 1.94924, 3)), "1.937 ± 0.012")
        self.assertEqual(text.plus_minus(stats.Interval(3e7, 2.9e7, 3.1e7, 3), "bytes"), "30.0 ± 1.0 MB")
        self.assertEqual(text.plus_minus(stats.Interval(2.0, math.nan, math.nan, 1)), "2")
        self.assertEqual(text.span(stats.Interval(.218, -.02966, .4661, 3)), "[-0.030, 0.466]")


if __name__ == "__main__":
    unittest.main()
