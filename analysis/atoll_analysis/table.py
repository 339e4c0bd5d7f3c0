# SPDX-License-Identifier: BSD-3-Clause
"""Tables over seeds: means with 95 % intervals, differences seed by seed, verdicts of claims; as text, CSV and HTML.

A metric is NAME or NAME@WHAT.  NAME is a dataset of evaluation.h5 ("test/mixed_bits_per_byte") or a column of metrics.h5
("val_nats"); WHAT makes one number of its rounds: last (the default), min, max, mean, sum, or `first<=2.1` for the round
that first reached 2.1.  In claims also `reaching METHOD[,METHOD...]`: NAME in the round whose validation loss (val_nats) was
first no higher than the last one of that method under the same seed, the highest of several.
"""
import argparse
import csv
import html
import io
import math
import re
import sys
from dataclasses import dataclass

import numpy as np

from . import claims, page, stats, text
from .runs import DataError, read_all

PREFERRED = ["test/mixed_bits_per_byte", "validation/mixed_nats_per_token", "tokens", "steps", "payload_bytes@sum",
             "round_seconds@sum"]
REDUCE = {"last": lambda v: v[-1], "min": np.min, "max": np.max, "mean": np.mean, "sum": np.sum}


def split_metric(metric):
    name, _, what = metric.partition("@")
    return name, what or "last"


def column_of(run, name):
    return run.evaluation.get(name) or run.columns.get(name)


def value_of(run, metric):
    """The number that a metric is for one run; NaN where the run has none.  DataError for a metric nobody knows."""
    name, what = split_metric(metric)
    column = column_of(run, name)
    if column is None:
        return math.nan
    if column.values.ndim > 1 or (column.values.ndim == 1 and name in run.evaluation):
        raise DataError(f"metric {name}: is one number per {column.axis or 'element'}, not one number")
    if column.values.ndim == 0:
        return float(column.values)
    good = ~np.isnan(column.values)
    values, rounds = column.values[good], run.rounds[good]
    if not values.size:
        return math.nan
    reached = re.fullmatch(r"first\s*(<=|>=)\s*(\S+)", what)
    if reached:
        limit = float(reached[2])
        hit = np.flatnonzero(values <= limit if reached[1] == "<=" else values >= limit)
        return float(rounds[hit[0]]) if hit.size else math.nan
    if what not in REDUCE:
        raise DataError(f"metric {metric}: after @ stands one of {', '.join(REDUCE)}, or first<=NUMBER")
    return float(REDUCE[what](values))


def units_of(runs, metric):
    name, what = split_metric(metric)
    if what.startswith("first"):
        return "rounds"
    return next((c.units for c in (column_of(r, name) for r in runs) if c is not None), "")


def is_known(runs, metric):
    return any(column_of(r, split_metric(metric)[0]) is not None for r in runs)


def default_metrics(runs):
    chosen = [m for m in PREFERRED if is_known(runs, m)]
    if not any("/" in m for m in chosen):
        chosen = [k for k, c in runs[0].evaluation.items() if c.values.ndim == 0] + chosen
    return chosen or [k for k, c in runs[0].columns.items() if c.values.ndim == 1 and not c.is_volatile][:6]


@dataclass
class Line:
    """A method (with its place in the grid) in the table of means."""
    label: str
    seeds: list
    cells: list  # Interval for each metric
    differences: list  # Interval of the paired difference to the baseline for each metric; None for the baseline itself


@dataclass
class Table:
    metrics: list
    units: list
    baseline: str
    lines: list
    claims: list  # of claims.Row
    missing: list  # [(run, reason)]


def group(runs, key):
    out = {}
    for r in runs:
        out.setdefault(key(r), []).append(r)
    return out


def by_seed(runs, metric):
    return {r.seed: value_of(r, metric) for r in runs}


def when_reaching(run, name, goal):
    """A column in the first round whose validation loss is no higher than `goal`; NaN if none is."""
    loss, values = run.column("val_nats"), run.column(name)
    if loss is None or values is None:
        return math.nan
    hit = np.flatnonzero(loss <= goal)
    return float(values[hit[0]]) if hit.size else math.nan


def by_seed_reaching(runs, metric, chosen_by):
    """As by_seed, for NAME@reaching METHODS; chosen_by(method) -> its runs."""
    name, what = split_metric(metric)
    goals = {}
    for method in what.removeprefix("reaching").split(","):
        for r in chosen_by(method.strip()):
            goals[r.seed] = max(goals.get(r.seed, -math.inf), r.last("val_nats"))
    return {r.seed: when_reaching(r, name, goals[r.seed]) for r in runs if r.seed in goals}


def seed_order(seed):
    return (0, int(seed)) if seed.isdecimal() else (1, seed)


def difference(a, b):
    seeds = sorted(set(a) & set(b))
    return stats.paired_difference([a[s] for s in seeds], [b[s] for s in seeds])


def evaluate_claims(entries, runs):
    """A row per claim and place in the grid; a bar's names are methods, or labels as the table shows them."""
    rows = []
    for point, here in group(runs, lambda r: tuple(r.point.items())).items():
        def chosen_by(method, here=here):
            chosen = [r for r in here if r.method == method] or [r for r in here if r.label == method]
            if not chosen:
                raise DataError(f"a claim names {method!r}; there are {', '.join(sorted({r.method for r in here}))}")
            return chosen

        def values_of(method, metric, here=here, chosen_by=chosen_by):
            if not is_known(here, metric):
                raise DataError(f"a claim is about {metric!r}, which no run has")
            if split_metric(metric)[1].startswith("reaching"):
                return by_seed_reaching(chosen_by(method), metric, chosen_by)
            return by_seed(chosen_by(method), metric)
        for entry in entries:
            row = claims.evaluate(entry, values_of)
            row.unit = units_of(here, row.metric)
            if point:
                row.claim += " (" + ", ".join(f"{k}={v}" for k, v in point) + ")"
            rows.append(row)
    return rows


def build(paths, metrics=None, baseline=None):
    """The table of the runs and sweeps in `paths`."""
    runs, sweeps, missing = read_all(paths)
    settings = sweeps[0].grid.get("table", {}) if sweeps else {}
    # A run that is still going on has no place among final figures.
    complete = [r for r in runs if r.is_complete]
    missing = missing + [(r.name, f"not complete: round {int(r.rounds[-1]) if r.rounds.size else 0} of "
                                  f"{r.config.get('fed.rounds', '?')}") for r in runs if not r.is_complete]
    if not complete:
        raise DataError(f"none of the {len(runs) + len(missing)} runs is complete")
    metrics = metrics or settings.get("metrics") or default_metrics(complete)
    for m in metrics:
        if not is_known(complete, m):
            known = sorted({k for r in complete for k in [*r.evaluation, *r.columns]})
            raise DataError(f"no run has the metric {m!r}; there are {', '.join(known)}")
    groups = group(complete, lambda r: r.label)
    baseline = baseline or settings.get("baseline") or next(iter(groups))
    table = Table(metrics, [units_of(complete, m) for m in metrics], baseline, [], [], missing)
    for label, members in groups.items():
        base = [r for r in complete if r.point == members[0].point and baseline in (r.method, r.label)]
        values = [by_seed(members, m) for m in metrics]
        seeds = sorted(values[0], key=seed_order)
        own = label in {r.label for r in base}
        table.lines.append(Line(label, seeds, [stats.interval(list(v.values())) for v in values], [
            None if own or not base else difference(v, by_seed(base, m)) for v, m in zip(values, metrics)]))
    if not any(baseline in (r.method, r.label) for r in complete):
        raise DataError(f"there is no baseline {baseline!r}; there are {', '.join(groups)}")
    table.claims = evaluate_claims(settings.get("claims", []), complete)
    return table


def told_apart(i):
    """What the interval of a difference says."""
    if math.isnan(i.low):
        return "one seed" if i.n == 1 else "no pair"
    return "higher" if i.low > 0 else "lower" if i.high < 0 else "not told apart"


# ---- output ----

def mean_rows(t):
    """Head and body of the table of means."""
    head = ["method", "seeds", *t.metrics]
    units = ["", "", *t.units]
    return head, units, [[ln.label, str(len(ln.seeds)), *(text.plus_minus(c, u) for c, u in zip(ln.cells, t.units))]
                         for ln in t.lines]


def difference_rows(t, form="{} {}"):
    """Body of the table of differences; a cell is a difference and what it says, set into `form`."""
    def cell(d, unit):
        return "equal" if d.low == d.high == 0 else form.format(text.plus_minus(d, unit), told_apart(d))

    return [[ln.label, *(cell(d, u) for d, u in zip(ln.differences, t.units))] for ln in t.lines
            if ln.differences[0] is not None]


def as_text(t):
    head, units, body = mean_rows(t)
    out = ["Mean and 95 % interval (Student's t) over seeds", "", text.columns([head, units, *body]), ""]
    rows = difference_rows(t)
    if rows:
        out += [f"Difference to {t.baseline}, paired by seed", "",
                text.columns([["method", *t.metrics], *rows]), ""]
    for c in t.claims:
        out += [f"{c.verdict.upper()}: {c.claim}",
                f"    bar       {c.bar}   ({c.metric})",
                f"    measured  {text.number(c.measured.mean)}, 95 % interval {text.span(c.measured)}, "
                f"{len(c.seeds)} seeds; " + ", ".join(f"{m} {text.plus_minus(i, c.unit)}" for m, i in c.values)]
        out += [f"    {name:<8}  {value}" for name, value in
                (("budget", c.budget), ("source", c.source), ("cause", c.cause)) if value]
        out.append("")
    if t.missing:
        out += ["Not in the table:", *(f"    {run}: {why}" for run, why in t.missing), ""]
    return "\n".join(out)


def as_csv(t):
    f = io.StringIO()
    w = csv.writer(f, lineterminator="\n")
    w.writerow(["table", "method", "metric", "unit", "seeds", "mean", "low_95", "high_95", "baseline", "verdict", "claim",
                "bar", "budget", "source", "cause"])
    for ln in t.lines:
        for m, u, c, d in zip(t.metrics, t.units, ln.cells, ln.differences):
            w.writerow(["mean", ln.label, m, u, c.n, repr(c.mean), repr(c.low), repr(c.high)] + [""] * 7)
            if d is not None:
                w.writerow(["difference", ln.label, m, u, d.n, repr(d.mean), repr(d.low), repr(d.high), t.baseline,
                            told_apart(d)] + [""] * 5)
    for c in t.claims:
        w.writerow(["claim", " ".join(m for m, _ in c.values), c.metric, c.unit, len(c.seeds), repr(c.measured.mean),
                    repr(c.measured.low), repr(c.measured.high), "", c.verdict, c.claim, c.bar, c.budget, c.source, c.cause])
    return f.getvalue()


VERDICT_MARK = {claims.REPRODUCED: "✓", claims.NOT_REPRODUCED: "✗", claims.INCONCLUSIVE: "?"}


def as_html(t):
    e = html.escape
    head, units, body = mean_rows(t)
    parts = []
    if t.claims:
        rows = []
        for c in t.claims:
            values = "<br>".join(f"{e(m)} {text.plus_minus(i, c.unit)}" for m, i in c.values)
            verdict = (f'<span class="verdict {c.verdict.replace(" ", "-")}">{VERDICT_MARK[c.verdict]} {c.verdict}</span>'
                       + (f"<small>{e(c.cause)}</small>" if c.cause else ""))
            rows.append([f'<div class="words">{e(c.claim)}<small>{e(c.source)}</small></div>', verdict,
                         f"<code>{e(c.bar)}</code><small>{e(c.metric)}</small>",
                         f"{text.number(c.measured.mean)}<small>{text.span(c.measured)}, {len(c.seeds)} seeds</small>",
                         values, f'<div class="words few">{e(c.budget)}</div>'])
        parts.append(page.section("Claims", page.table(
            ["claim", "verdict", "bar", "compared", "methods", "budget"], rows, left=3, is_html=True),
            "The verdict looks at the 95 % interval of the paired comparison: all of it within the bar, all outside, or "
            "neither."))
    parts.append(page.section("Means", page.table(head, body, units=units, left=1),
                              "Mean and 95 % interval (Student's t) over seeds."))
    rows = difference_rows(t, "{}<small>{}</small>")
    if rows:
        rows = [[e(r[0]), *r[1:]] for r in rows]
        parts.append(page.section(f"Difference to {t.baseline}", page.table(["method", *t.metrics], rows,
                                                                             units=["", *t.units], is_html=True),
                                  "Paired by seed: mean difference and 95 % interval."))
    if t.missing:
        parts.append(page.section("Not in the table", page.table(["run", "why"], [list(m) for m in t.missing], left=2)))
    return page.document("Table over seeds", f"{len(t.lines)} methods, {len(t.claims)} claims", "".join(parts))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="analysis/table", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", metavar="RUN", nargs="+", help="a run, a folder of runs, or a sweep of jobs/sweep (whose "
                        "YAML may set metrics, baseline and claims)")
    parser.add_argument("-m", "--metrics", help="comma-separated; default: final losses, tokens, steps, bytes, seconds")
    parser.add_argument("-b", "--baseline", help="differences are taken to this method (default: the first)")
    parser.add_argument("-f", "--format", choices=["text", "csv", "html"], help="default: by the ending of -o, else text")
    parser.add_argument("-o", "--output", metavar="FILE", help=".txt, .csv or .html; default: the terminal")
    args = parser.parse_args(arguments)
    form = args.format or {"csv": "csv", "html": "html"}.get((args.output or "").rsplit(".", 1)[-1], "text")
    try:
        table = build(args.paths, args.metrics.split(",") if args.metrics else None, args.baseline)
    except DataError as e:
        print(f"table: {e}", file=sys.stderr)
        return 2
    out = {"text": as_text, "csv": as_csv, "html": as_html}[form](table)
    if args.output:
        with open(args.output, "w", encoding="utf-8") as f:
            f.write(out)
    else:
        print(out, end="" if form != "text" else "\n")
    return 0
