# SPDX-License-Identifier: BSD-3-Clause
"""Reading runs and sweeps, and the labels that tell runs apart."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixtures  # noqa: E402

from atoll_analysis import runs  # noqa: E402


class TestRuns(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_complete_run(self):
        r = runs.read_run(fixtures.make_run(self.path("a"), seed=7, loss=2.5, keys={"steps": 16}))
        self.assertTrue(r.is_complete)
        self.assertEqual((r.seed, r.method, r.silos), ("7", "photon", fixtures.SILOS))
        self.assertEqual(r.config["local.steps"], "16")
        self.assertAlmostEqual(r.last("val_bits_per_byte"), 2.5)
        self.assertAlmostEqual(r.total("payload_bytes"), 4 * fixtures.PAYLOAD)
        self.assertAlmostEqual(float(r.evaluation["test/mixed_bits_per_byte"].values), 2.51)
        self.assertEqual(r.columns["val_bits_per_byte_silo"].axis, "silo")
        self.assertTrue(r.columns["round_seconds"].is_volatile)
        self.assertNotIn("axis/silo", r.columns)
        self.assertEqual(r.provenance["isa"], "avx2")
        self.assertEqual(runs.read_facts(r), (["cursor in windows", "last round"], [[5, 4], [6, 4]]))
        helps = runs.read_config_help(r.folder)
        self.assertEqual((helps["local.steps"], helps["seed"]), ("Explained. [steps]", "Decides every random number."))

    def test_running_run(self):
        r = runs.read_run(fixtures.make_run(self.path("a"), rounds=2, of=4))
        self.assertFalse(r.is_complete)
        self.assertEqual(r.silos, fixtures.SILOS)
        r = runs.read_run(fixtures.make_run(self.path("b"), rounds=2, of=4, named=False))
        self.assertEqual(r.silos, ["silo 0", "silo 1"])

    def test_what_is_no_run(self):
        os.makedirs(self.path("empty"))
        for folder, words in ((self.path("empty"), "neither a run"), (self.path("nowhere"), "no config.yaml")):
            with self.assertRaisesRegex(runs.DataError, words):
                runs.read_all([folder])
        begun = fixtures.make_run(self.path("begun"))
        os.remove(os.path.join(begun, "metrics.h5"))
        with self.assertRaisesRegex(runs.DataError, "no metrics.h5 yet"):
            runs.read_all([begun])
        with open(os.path.join(begun, "metrics.h5"), "w") as f:
            f.write("not HDF5")
        with self.assertRaisesRegex(runs.DataError, "cannot be opened as HDF5"):
            runs.read_all([begun])

    def labels(self, *made):
        return [r.label for r in runs.read_all(made)[0]]

    def test_labels(self):
        a = fixtures.make_run(self.path("a"), 1, "photon", keys={"steps": 16, "lr": 1})
        b = fixtures.make_run(self.path("b"), 2, "photon", keys={"steps": 16, "lr": 1})
        c = fixtures.make_run(self.path("c"), 1, "ddp", keys={"steps": 16, "lr": 2})
        d = fixtures.make_run(self.path("d"), 1, "photon", keys={"steps": 64, "lr": 1})
        self.assertEqual(self.labels(a, b), ["photon", "photon"])
        # lr differs too, but the method alone tells them apart.
        self.assertEqual(self.labels(a, c), ["photon", "ddp"])
        self.assertEqual(self.labels(a, c, d), ["photon, local.steps=16", "ddp, local.steps=16", "photon, local.steps=64"])

    def test_labels_of_a_repeated_run(self):
        a, b = fixtures.make_run(self.path("a")), fixtures.make_run(self.path("b"))
        self.assertEqual(self.labels(a, b), ["photon (a)", "photon (b)"])

    def test_sweep_and_folder_of_runs(self):
        losses = {("photon", "16"): {1: 2.0, 2: None}, ("ddp", "16"): {1: 2.1, 2: 2.2}}
        folder = fixtures.make_sweep(self.path("sweep"), losses, axes=["local.steps"])
        found, sweeps, missing = runs.read_all([folder])
        self.assertEqual([r.name for r in found], ["photon-16-s1", "ddp-16-s1", "ddp-16-s2"])
        self.assertEqual(found[0].point, {"local.steps": "16"})
        self.assertEqual([m[0] for m in missing], ["photon-16-s2"])
        self.assertEqual(sweeps[0].axes, ["local.steps"])
        fixtures.make_run(self.path("plain/x"))
        fixtures.make_run(self.path("plain/y"), seed=2)
        self.assertEqual(len(runs.read_all([self.path("plain")])[0]), 2)


if __name__ == "__main__":
    unittest.main()
