# SPDX-License-Identifier: BSD-3-Clause
"""The report's section about classification: accuracy against each budget, and how it spreads over the tested clients."""
import numpy as np

from . import figures, page

MOST_ROUNDS = 60  # columns of a heat map
TESTED = "accuracy_histogram"


def is_classified(runs):
    return any("accuracy" in r.columns for r in runs)


def final(run):
    """Rows of the last evaluation: (clients by bin of accuracy), or None."""
    if TESTED not in run.columns:
        return None
    rows = run.columns[TESTED].values
    good = np.isfinite(rows).all(axis=1)
    return rows[good][-1] if good.any() else None


def by_client(run):
    """(rounds, matrix [client][round]) of the rounds that were evaluated, thinned to a width that can be read."""
    if "client_accuracy" not in run.columns:
        return None
    rows = run.columns["client_accuracy"].values
    good = np.flatnonzero(np.isfinite(rows).any(axis=1))
    if good.size == 0:
        return None
    some = good[np.unique(np.linspace(0, good.size - 1, min(good.size, MOST_ROUNDS)).astype(int))]
    return run.rounds[some], rows[some].T


def spread(groups):
    items = []
    for label, members in groups:
        rows = [v for v in map(final, members) if v is not None]
        if rows:
            counts = np.mean(rows, axis=0)
            middles = (np.arange(counts.size) + .5) / counts.size
            svg = figures.histogram(np.repeat(middles, np.rint(counts).astype(int)), "accuracy", "clients")
            items.append(page.figure(f"Clients by accuracy: {label}", svg, "last evaluation, mean over seeds"))
    return items


def heat_maps(groups):
    items = []
    for label, members in groups:
        found = by_client(members[-1])
        if found is not None:
            rounds, matrix = found
            svg = figures.mosaic(matrix, rounds, "round", "client")
            items.append(page.figure(f"Accuracy by client and round: {label}", svg, f"tested clients, seed {members[-1].seed}; darker is higher"))
    return items


def section(groups, curve):
    items = [curve(groups, "accuracy", caption="Accuracy by round"),
             curve(groups, "accuracy", "bytes", caption="Accuracy by communication"),
             curve(groups, "accuracy", "virtual", caption="Accuracy by virtual time"),
             curve(groups, "accuracy", "time", caption="Accuracy by wall time"),
             curve(groups, "accuracy_p10", caption="What nine of ten clients reach"),
             curve(groups, "train_loss", caption="Training loss by round"),
             curve(groups, "epsilon", caption="Privacy spent")]
    note = ("Held-out examples of the tested clients, each with the model that the method gives it.  Bytes: to and from all clients.  "
            "Virtual time: of declared devices and links.")
    return page.section("Accuracy", page.figures(filter(None, items)), note) + \
        page.section("Clients' accuracy", page.figures(spread(groups) + heat_maps(groups)))
