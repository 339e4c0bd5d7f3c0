# SPDX-License-Identifier: BSD-3-Clause
"""A language model's card as one self-contained HTML page: what it is, how it was trained, how good it is in every silo.

RUN is complete, and has a checkpoint; CONTROL runs (each silo alone, pooled data) stand beside it.  Byte Markov models are
shown where `atoll markov RUN` was called.  `atoll generate RUN` writes with the model; its checkpoint can be resumed.
"""
import argparse
import os
import sys

import numpy as np

from . import card, figures, page, text
from .runs import DataError, open_h5, read_run

RECIPE = ["method", "fed.per_round", "fed.rounds", "fed.moments", "local.steps", "local.batch", "local.optimizer", "local.lr",
          "local.lr_final", "local.warmup", "local.clip", "outer.method", "outer.lr", "seed"]
MARKOV = ("order-2", "order-4", "order-4-full")
LIMITS = """A small model that continues text in the languages and genres of its silos. It was not taught to follow instructions,
knows few facts, and repeats what manual pages, novels and scripture say. Its bits per byte are a yardstick for
experiments; nothing it writes should be relied on."""


def losses(run, split="validation"):
    """Bits per byte by silo."""
    name = f"{split}/bits_per_byte"
    if name not in run.evaluation:
        raise DataError(f"{run.folder} is not complete: let it end first")
    return np.atleast_1d(run.evaluation[name].values)


def markov(run):
    """[(name, bits per byte by silo)] of the byte models beside a run; none if there are none."""
    path = os.path.join(run.folder, "markov.h5")
    if not os.path.exists(path):
        return []
    with open_h5(path) as f:
        return [(name, np.array(f[f"models/{name}/bits_per_byte"])) for name in MARKOV if f"models/{name}" in f]


def parameters(run):
    """The number of parameters in its newest checkpoint, and the file."""
    if not run.checkpoints:
        raise DataError(f"{run.folder} has no checkpoint")
    path = os.path.join(run.folder, "checkpoints", f"{run.checkpoints[-1][0]:06d}.h5")
    with open_h5(path) as f:
        return f["model/theta"].size, path


def wins(ours, theirs):
    return f"{int((ours < theirs).sum())} of {len(ours)}"


def quality(run, controls):
    others = markov(run) + [(c.method or c.name, losses(c)) for c in controls]
    ours = losses(run)
    names = run.silos
    head = ["silo", "validation", "test", *(name for name, _ in others)]
    rows = [[s, *(text.number(float(c[i])) for c in (ours, losses(run, "test"), *(v for _, v in others)))]
            for i, s in enumerate(names)]
    rows.append(["mean", *(text.number(float(np.mean(c))) for c in (ours, losses(run, "test"), *(v for _, v in others)))])
    rows.append(["better than it in", "", "", *(wins(ours, v) for _, v in others)])
    picture = page.figure("Validation by silo", figures.dots(names, [("this model", ours), *others], "bits/byte"), "lower is better")
    legend = page.legend(["this model", *(name for name, _ in others)])
    return page.section("Quality", legend + page.figures([picture]) + page.table(head, rows, ["", *["bits/byte"] * (len(head) - 1)]),
                        "Held-out documents.  order-N: byte Markov models of the text that was consumed (full: of all training text).  "
                        "Controls have the same model and as many tokens in all.")


def data_section(run):
    path = run.config.get("data", "")
    if not os.path.exists(path):
        return page.section("Data", f"<p>{page.html.escape(path)} is not here.</p>")
    with open_h5(path) as f:
        d = card.DataSet(f, path)
        return page.section("Data", card.client_table(d), f"One silo each; {d.tokenizer or 'byte'} tokens, {d.vocab} in all.")


def build(folder, control_folders=()):
    """The page as text."""
    run, controls = read_run(folder), [read_run(c) for c in control_folders]
    n, checkpoint = parameters(run)
    rows = {k: v for k, v in run.config.items() if k.startswith("model.")}
    recipe = {k: run.config[k] for k in RECIPE if k in run.config}
    body = page.tiles([(text.scaled(float(n), ""), "parameters"), (text.scaled(run.last("tokens"), ""), "tokens of training"),
                       (text.number(float(np.mean(losses(run, "test")))), "bits/byte, test, mean over silos"),
                       (f"{len(run.silos)}", "silos"), (text.duration(run.total("round_seconds")), "training, wall time")])
    body += page.section("What it is for", f"<p>{page.html.escape(LIMITS)}</p>")
    body += quality(run, controls)
    body += page.section("Model", page.table(["key", "value"], [list(r) for r in rows.items()], left=2), os.path.basename(checkpoint))
    body += page.section("Training", page.table(["key", "value"], [list(r) for r in recipe.items()], left=2),
                         "Silos train alone for local.steps steps, then the server averages their models.")
    body += data_section(run)
    entries = {k: v for k, v in run.provenance.items() if k != "config"}
    body += page.section("Provenance", page.table(["entry", "value"], [list(e) for e in entries.items()], left=2))
    return page.document(f"Model {run.name}", f"{text.scaled(float(n), '')} parameters, {len(run.silos)} silos", body)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="analysis/model", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("controls", metavar="CONTROL", nargs="*")
    parser.add_argument("-o", "--output", metavar="FILE.html", default="model.html", help="default: model.html")
    args = parser.parse_args(arguments)
    try:
        out = build(args.run, args.controls)
    except DataError as e:
        print(f"model: {e}", file=sys.stderr)
        return 2
    with open(args.output, "w", encoding="utf-8") as f:
        f.write(out)
    print(args.output)
    return 0
