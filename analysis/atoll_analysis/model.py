# SPDX-License-Identifier: BSD-3-Clause
"""A language model's card as one self-contained HTML page: what it is, how it was trained, how good it is in every silo.

RUN is complete, and has a checkpoint; CONTROL runs (each silo alone, pooled data) stand beside it.  Byte Markov models are
shown where `atoll markov RUN` was called.  `atoll generate RUN` writes with the model; its checkpoint can be resumed.
"""
import argparse
import os

import numpy as np

from . import card, figures, page, text
from .runs import DataError, open_h5, read_run

RECIPE = ["method", "fed.per_round", "fed.rounds", "fed.moments", "local.steps", "local.batch", "local.optimizer", "local.lr",
          "local.lr_final", "local.warmup", "local.clip", "outer.method", "outer.lr", "seed"]
MARKOV = ("order-2", "order-4", "order-4-full")
LIMITS = """It continues text in the languages and genres of its silos. It was not taught to follow instructions or to be right, and
repeats what its training text says. Its bits per byte are a yardstick for experiments; nothing it writes should be
relied on."""


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
    ours, test = losses(run), losses(run, "test")
    others = markov(run) + [(c.method or c.name, losses(c)) for c in controls]
    tokens = [text.scaled(run.last("tokens"), ""), *[""] * (len(others) - len(controls) + 1),
              *(text.scaled(c.last("tokens"), "") for c in controls)]
    head = ["silo", "validation", "test", *(name for name, _ in others)]
    columns = [ours, test, *(v for _, v in others)]
    rows = [[s, *(text.number(float(c[i])) for c in columns)] for i, s in enumerate(run.silos)]
    rows.append(["mean", *(text.number(float(np.mean(c))) for c in columns)])
    rows.append(["this model is better in", "", "", *(wins(ours, v) for _, v in others)])
    rows.append(["tokens trained on", *tokens])
    picture = page.figure("Validation by silo", figures.dots(run.silos, [("this model", ours), *others], "bits/byte"),
                          "lower is better")
    legend = page.legend(["this model", *(name for name, _ in others)])
    return page.section("Quality", legend + page.figures([picture]) + page.table(head, rows, ["", *["bits/byte"] * len(columns)]),
                        "Held-out documents; others on validation.  order-N: byte Markov models of the text that was consumed "
                        "(full: of all training text).")


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
                         "What the keys mean: atoll photon --help.")
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
    return page.write("model", args.output, lambda: build(args.run, args.controls))
