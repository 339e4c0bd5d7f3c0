# SPDX-License-Identifier: BSD-3-Clause
"""Reports and cards: whole, self-contained pages whose colours everybody can tell apart."""
import html.parser
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixtures  # noqa: E402

from atoll_analysis import card, examples, figures, model, page, report, table  # noqa: E402
from atoll_analysis.runs import DataError  # noqa: E402

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Outline(html.parser.HTMLParser):
    """Checks that elements are closed in order; keeps the headings."""

    def __init__(self):
        super().__init__()
        self.open, self.headings, self.problems = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


class PageCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def check(self, text):
        """Its headings, after what must hold for every page."""
        outline = Outline()
        outline.feed(text)
        outline.close()
        self.assertEqual((outline.problems, outline.open), ([], []))
        # Nothing is loaded: no address in an attribute or a style, names of XML spaces apart.
        loads = re.findall(r'(?:src|href)="(?!#|data:)[^"]*"|url\((?!#)[^)]*\)|@import', text)
        self.assertEqual([m for m in loads if "w3.org" not in m], [])
        for stand_in in [*figures.STAND_IN.values(), *figures.RAMP_STAND_IN]:
            self.assertNotIn(stand_in, text)
        # What figures are drawn with follows the theme, but for the masks of clipping.
        self.assertEqual(set(re.findall(r"(?:fill|stroke): ?#[0-9a-f]+", text)), set())
        return outline.headings


class TestReport(PageCase):
    def test_one_run(self):
        text = report.build([fixtures.make_run(self.path("a"), loss=2.5)])
        headings = self.check(text)
        for expected in ("Learning", "Silos", "Clients", "Time", "Bytes", "Configuration", "Provenance"):
            self.assertIn(expected, headings)
        self.assertIn("12 MB", text)  # four rounds of 3 MB
        self.assertIn("validation loss (bits/byte)", text)

    def test_several_runs_and_seeds(self):
        made = [fixtures.make_run(self.path(f"{m}{s}"), s, m, 2.0 + s / 10) for m in ("photon", "ddp") for s in (1, 2, 3)]
        text = report.build(made)
        self.check(text)
        self.assertIn("2 configurations, 3 seeds", text)
        self.assertRegex(text, r"2\.20 ± 0\.25")  # 2.1, 2.2, 2.3

    def test_classified_run(self):
        run = self.path("classified")
        fixtures.make_classified(run)
        out = report.build([run])
        self.check(out)
        for part in "Accuracy by round", "Accuracy by communication", "Accuracy by virtual time", "Clients by accuracy", \
                "Accuracy by client and round":
            self.assertIn(part, out)
        self.assertNotIn("bits/byte", out)
        other = self.path("classified2")
        fixtures.make_classified(other, rounds=3)
        self.check(report.build([run, other]))

    def test_running_run(self):
        text = report.build([fixtures.make_run(self.path("a"), rounds=2, of=9)])
        self.check(text)
        self.assertIn("round 2 of 9", text)

    def test_names_are_escaped(self):
        text = report.build([fixtures.make_run(self.path("<b>&x"))])
        self.check(text)
        self.assertIn("&lt;b&gt;&amp;x", text)

    def test_same_input_same_page(self):
        run = fixtures.make_run(self.path("a"))
        self.assertEqual(report.build([run]), report.build([run]))


class TestModel(PageCase):
    def test_beside_its_controls(self):
        run, control = (fixtures.make_run(self.path(m), method=m, loss=b) for m, b in (("photon", 2.0), ("local_only", 2.05)))
        fixtures.make_model(run, {"order-4": [1.8, 2.5]})
        text = model.build(run, [control])
        self.assertEqual(self.check(text), ["What it is for", "Quality", "Model", "Training", "Data", "Provenance"])
        self.assertIn("order-4", text)
        self.assertIn("<td>1 of 2</td><td>2 of 2</td>", text)  # silos of losses 1.9 and 2.1, below 1.8 and 2.5, 1.95 and 2.15

    def test_of_a_run_that_goes_on(self):
        run = fixtures.make_run(self.path("a"), rounds=2, of=9)
        fixtures.make_model(run, {})
        self.assertRaisesRegex(DataError, "not complete", model.build, run)


class TestCard(PageCase):
    def test_text(self):
        text = card.build(fixtures.make_text(self.path("text.h5")))
        self.assertEqual(self.check(text), ["Clients", "Contents", "Samples", "Fields", "Provenance"])
        self.assertIn("Der Hund schläft.", text)
        self.assertIn("<td class=\"left\">MIT</td>", text)  # a licence that several packages share stands once

    def test_images_of_many_clients(self):
        text = card.build(fixtures.make_images(self.path("images.h5"), 60))
        self.check(text)
        self.assertIn("20 more clients", text)
        self.assertIn("Clients by amount of training data", text)
        self.assertIn("Labels by client", text)
        self.assertIn("rows × 4 × 4", text)
        self.assertEqual(text.count("data:image/png;base64,"), 12)
        self.assertIn("Training examples by class", text)

    def test_pictures_are_png_of_the_examples(self):
        from matplotlib.image import imread
        import io
        pixels = np.arange(60, dtype=np.uint8).reshape(5, 12)
        colours = np.arange(180, dtype=np.uint8).reshape(5, 12, 3)
        for want in (pixels, colours):
            self.assertTrue((np.round(imread(io.BytesIO(examples.png(want))) * 255) == want).all())
        ink = examples.as_bytes(np.array([[[0., 1], [.5, 1]]]), ink=True)
        self.assertEqual(ink.tolist(), [[[255, 0], [128, 0]]])

    def test_numbers_and_clients_held_out(self):
        import h5py
        with h5py.File(self.path("numbers.h5"), "w") as f:
            for c in range(3):
                f[f"examples/c{c}/features"] = np.ones((4, 2), np.float32)
                f[f"examples/c{c}/target"] = np.arange(4) + c * .5
            f["test/other/features"], f["test/other/target"] = np.ones((6, 2), np.float32), np.ones(6)
            f.attrs["input"], f.attrs["target"] = "features", "target"
        text = card.build(self.path("numbers.h5"))
        self.check(text)
        self.assertIn("clients held out", text)
        self.assertIn("Mean target by client", text)
        self.assertNotIn("data:image/png", text)

    def test_divergence(self):
        a, b, c = np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([.5, .5, 0])
        d = card.divergences(np.array([a, b, a, c]))
        self.assertAlmostEqual(d[0, 1], 1)  # no overlap: one bit
        self.assertEqual((d[0, 2], d[0, 0]), (0, 0))
        self.assertAlmostEqual(d[0, 3], d[3, 0])
        self.assertAlmostEqual(d[0, 3], .311278, places=5)

    def test_no_data_set(self):
        import h5py
        h5py.File(self.path("empty.h5"), "w").close()
        with self.assertRaisesRegex(card.DataError, "no client"):
            card.build(self.path("empty.h5"))


def linear(color):
    c = np.array([int(color[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= .04045, c / 12.92, ((c + .055) / 1.055) ** 2.4)


def contrast(a, b):
    """Of the Web Content Accessibility Guidelines 2.1."""
    bright, dark = sorted((float(linear(c) @ [.2126, .7152, .0722]) for c in (a, b)), reverse=True)
    return (bright + .05) / (dark + .05)


def lab(rgb):
    xyz = np.array([[.4124, .3576, .1805], [.2126, .7152, .0722], [.0193, .1192, .9505]]) @ rgb / [.9505, 1, 1.089]
    f = np.where(xyz > .008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes (2009), severity 1.
BLINDNESS = {
    "protanopia": [[.152286, 1.052583, -.204868], [.114503, .786281, .099216], [-.003882, -.048116, 1.051998]],
    "deuteranopia": [[.367322, .860646, -.227968], [.280085, .672501, .047413], [-.011820, .042940, .968881]],
}


class TestColours(unittest.TestCase):
    def test_contrast(self):
        for theme in (page.LIGHT, page.DARK):
            for ground in ("paper", "card"):
                for name in ("ink", "soft", "good", "bad", "open"):
                    self.assertGreaterEqual(contrast(theme[name], theme[ground]), 4.5, name)
                for i in range(page.SERIES):
                    self.assertGreaterEqual(contrast(theme[f"s{i}"], theme[ground]), 2.8, (i, theme[f"s{i}"]))

    def test_told_apart_when_colour_blind(self):
        # The colours of up to four runs differ by well over what is just noticeable (about 2.3); beyond, dashes help.
        for theme in (page.LIGHT, page.DARK):
            for kind, matrix in BLINDNESS.items():
                seen = [lab(np.clip(np.array(matrix) @ linear(theme[f"s{i}"]), 0, 1)) for i in range(4)]
                for (i, a), (j, b) in itertools.combinations(enumerate(seen), 2):
                    self.assertGreater(float(np.linalg.norm(a - b)), 10, (kind, i, j))

    def test_lines_differ_by_dash_too(self):
        self.assertEqual(len(set(page.DASHES)), page.SERIES)


@unittest.skipUnless(shutil.which("chromium"), "needs chromium")
class TestInBrowser(PageCase):
    def console(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        run = subprocess.run(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                              f"--user-data-dir={self.path('profile')}", "--virtual-time-budget=2000", "--dump-dom",
                              self.path(name)], capture_output=True, text=True, timeout=120)
        self.assertIn("<html", run.stdout)
        return [line for line in run.stderr.split("\n") if "CONSOLE" in line]

    def test_no_console_error(self):
        self.assertTrue(self.console("control.html", "<!DOCTYPE html><script>nothing.at.all()</script>"))
        sweep = fixtures.make_sweep(self.path("sweep"), {("photon",): {1: 2.0, 2: 2.1}, ("ddp",): {1: 2.2, 2: 2.2}})
        for name, text in (("report.html", report.build([sweep])), ("table.html", table.as_html(table.build([sweep]))),
                           ("card.html", card.build(fixtures.make_text(self.path("text.h5"))))):
            self.assertEqual(self.console(name, text), [], name)


if __name__ == "__main__":
    unittest.main()
