# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained HTML page about runs: curves, tables per silo and client, bytes, time, configuration, provenance.

Runs that differ in their seed alone are one line: their mean with its 95 % interval.  A run that is still going on is shown
as far as it got.
"""
import argparse
import math

import numpy as np

from . import accuracy, figures, page, stats, text
from .runs import DataError, label_runs, read_all, read_config_help, read_facts

# What the abscissa of a curve may be: name, unit, and how to get it from a run.
ABSCISSAE = {
    "round": ("round", "", lambda r: r.rounds),
    "tokens": ("tokens trained on", "tokens", lambda r: r.column("tokens")),
    "time": ("time", "s", lambda r: running_sum(r.column("round_seconds"))),
    "payload": ("sent by a client", "bytes", lambda r: running_sum(r.column("payload_bytes"))),
    "bytes": ("to and from clients", "bytes", lambda r: r.column("bytes_total")),
    "virtual": ("virtual time", "s", lambda r: r.column("virtual_seconds")),
}
# Names that a figure's axis may carry; columns that are not here are called as they are stored.
NAMES = {"val_bits_per_byte": "validation loss", "val_nats": "validation loss", "train_loss": "training loss",
         "delta_norm": "norm of the mean update", "theta_norm": "norm of the model", "step_norm": "norm of the model's change",
         "grad_norm_max": "largest gradient norm", "clip_fraction": "share of clipped steps", "lr": "learning rate",
         "cosine": "cosine of updates", "consensus": "squared distance of clients", "tokens_per_second": "throughput",
         "payload_bytes": "payload", "mpi_bytes_sent": "sent by rank 0"}
TIME_PARTS = [("training", "train_seconds"), ("exchange", "exchange_seconds"), ("evaluation", "eval_seconds"),
              ("checkpoints", "checkpoint_seconds")]


def running_sum(v):
    return np.nancumsum(v) if v is not None else None


def groups_of(runs):
    out = {}
    for r in runs:
        out.setdefault(r.label, []).append(r)
    return list(out.items())


def curve(groups, name, abscissa="round", caption=None, small=False):
    """A figure of one column, or "" if no run has it."""
    x_name, x_unit, x_of = ABSCISSAE[abscissa]
    column = next((r.columns[name] for _, runs in groups for r in runs if name in r.columns), None)
    if column is None or column.values.ndim != 1:
        return ""
    data = [(label, [(x_of(r), r.column(name)) for r in runs if name in r.columns and x_of(r) is not None])
            for label, runs in groups]
    title = NAMES.get(name, name)
    svg = figures.curves(data, x_name, x_unit, title, column.units, small)
    note = column.description if column.description != title else ""
    return page.figure(caption or title[0].upper() + title[1:], svg, note) if svg else ""


def loss_column(groups):
    for name in ("val_bits_per_byte", "val_nats"):
        if any(np.isfinite(r.columns[name].values).any() for _, runs in groups for r in runs if name in r.columns):
            return name
    return None


def mean_text(runs, value, unit):
    """Mean over the runs of a group, with its interval where there are several."""
    i = stats.interval([value(r) for r in runs])
    return text.plus_minus(i, unit) if i.n > 1 else text.scaled(i.mean, unit) if unit else text.number(i.mean)


def evaluation_value(name):
    return lambda r: float(r.evaluation[name].values) if name in r.evaluation else math.nan


def classified_overview(groups, runs):
    """As overview, of runs that classify."""
    if len(runs) == 1:
        return ""
    head = ["run", "seeds", "rounds", "accuracy", "of a tenth of the clients below", "to and from clients", "virtual time", "time"]
    rows = [[label, ", ".join(r.seed for r in members), text.number(max(float(r.rounds[-1]) for r in members)),
             mean_text(members, lambda r: r.last("accuracy"), ""), mean_text(members, lambda r: r.last("accuracy_p10"), ""),
             mean_text(members, lambda r: r.last("bytes_total"), "bytes"), mean_text(members, lambda r: r.last("virtual_seconds"), "s"),
             mean_text(members, lambda r: r.total("round_seconds"), "s")] for label, members in groups]
    return page.section("Overview", page.table(head, rows), "Means over seeds; accuracy of the last evaluation.")


def overview(groups, runs):
    head = ["run", "seeds", "rounds", "tokens", "validation", "test", "time", "throughput", "sent by a client"]
    units = ["", "", "", "", "bits/byte", "bits/byte", "", "", ""]
    rows = []
    for label, members in groups:
        def total(name, members=members):
            return text.scaled(stats.interval([r.total(name) for r in members]).mean,
                               "s" if name.endswith("seconds") else "bytes")
        validation = [evaluation_value("validation/mixed_bits_per_byte")(r) for r in members]
        validation = [v if math.isfinite(v) else r.last("val_bits_per_byte") for v, r in zip(validation, members)]
        rows.append([label, ", ".join(r.seed for r in members), text.number(max(float(r.rounds[-1]) for r in members)),
                     text.scaled(members[0].last("tokens"), ""), text.plus_minus(stats.interval(validation)),
                     mean_text(members, evaluation_value("test/mixed_bits_per_byte"), ""), total("round_seconds"),
                     text.scaled(stats.interval([float(np.nanmean(r.column("tokens_per_second"))) for r in members
                                                 if r.column("tokens_per_second") is not None]).mean, "tokens/s"),
                     total("payload_bytes")])
    running = [r for r in runs if not r.is_complete]
    warning = ""
    if running:
        names = ", ".join(f"{r.name} (round {int(r.rounds[-1])} of {r.config.get('fed.rounds', '?')})" for r in running)
        warning = f'<p class="warning">Not complete: {page.html.escape(names)}.</p>'
    if len(runs) == 1:
        return warning  # its figures stand above in large
    note = "Means over seeds" + (" with 95 % intervals" if any(len(m) > 1 for _, m in groups) else "") + \
        "; validation and test are means over silos."
    return warning + page.section("Overview", page.table(head, rows, units), note)


def learning(groups):
    name = loss_column(groups)
    if name is None:
        shown = [curve(groups, c.name) for c in groups[0][1][0].columns.values() if not c.is_volatile][:4]
        return page.section("Learning", page.figures(filter(None, shown)))
    items = [curve(groups, name, "tokens", caption="Validation loss by data"),
             curve(groups, name, "time", caption="Validation loss by wall time"),
             curve(groups, name, "payload", caption="Validation loss by communication"),
             curve(groups, "train_loss", caption="Training loss by round")]
    return page.section("Learning", page.figures(filter(None, items)),
                        "The same curves against three budgets: data, wall time of this machine, bytes that one client sent.")


def silos(groups, runs):
    silo_names = max((r.silos for r in runs), key=len)
    if not silo_names:
        return ""
    def mean_over_seeds(members, name):
        rows = [np.atleast_1d(r.evaluation[name].values) for r in members if name in r.evaluation and r.silos == silo_names]
        return np.mean(rows, axis=0) if rows else None
    def now(members):
        rows = [r.columns["val_bits_per_byte_silo"].values for r in members
                if "val_bits_per_byte_silo" in r.columns and len(r.silos) == len(silo_names)]
        rows = [v[np.isfinite(v).all(axis=1)][-1] for v in rows if np.isfinite(v).all(axis=1).any()]
        return np.mean(rows, axis=0) if rows else None
    validation = [(label, mean_over_seeds(m, "validation/bits_per_byte")) for label, m in groups]
    validation = [(label, v if v is not None else now(m)) for (label, v), (_, m) in zip(validation, groups)]
    test = [(label, mean_over_seeds(m, "test/bits_per_byte")) for label, m in groups]
    nothing = np.full(len(silo_names), np.nan)
    if all(v is None for _, v in validation):
        return ""
    items = [page.figure(caption, figures.dots(silo_names, [(label, v if v is not None else nothing) for label, v in data],
                                               "bits/byte"), "lower is better")
             for caption, data in (("Validation by silo", validation), ("Test by silo", test))
             if any(v is not None and np.isfinite(v).any() for _, v in data)]
    head, units, columns = ["silo"], [""], []
    for split, data in (("validation", validation), ("test", test)):
        for label, v in data:
            if v is not None:
                head.append(f"{label}, {split}" if len(groups) > 1 else split)
                units.append("bits/byte")
                columns.append(v)
    rows = [[s, *(text.number(float(c[i])) for c in columns)] for i, s in enumerate(silo_names)]
    return page.section("Silos", page.figures(items) + page.table(head, rows, units),
                        "Final loss on the held-out text of each silo, mean over seeds.")


def clients(groups):
    parts = []
    for label, members in groups:
        names, rows = read_facts(members[-1])
        if rows:
            shown = rows[:200]
            body = page.table(["client", *names], [[str(i), *map(str, row)] for i, row in enumerate(shown)])
            more = f"<p class=note>{len(rows) - len(shown)} more clients are in the checkpoint.</p>" if len(rows) > 200 else ""
            title = f"{label}, seed {members[-1].seed}, after round {members[-1].checkpoints[-1][0]}"
            parts.append(page.fold(title, body + more, is_open=not parts and len(rows) <= 20))
    return page.section("Clients", "".join(parts), "Facts that the newest checkpoint keeps about each client.") if parts else ""


def communication(groups):
    items = [curve(groups, "payload_bytes", caption="Model bytes that a client sends in a round"),
             curve(groups, "mpi_bytes_sent", caption="Bytes that rank 0 sent in a round")]
    rows = []
    for label, members in groups:
        r = members[0]
        if r.column("payload_bytes") is not None:
            steps = r.last("steps")
            rows.append([label, text.scaled(r.total("payload_bytes"), "bytes"), text.scaled(r.total("payload_bytes") / steps, "bytes"),
                         text.scaled(r.total("mpi_bytes_sent"), "bytes"), text.duration(r.total("mpi_seconds")),
                         f"{r.total('mpi_seconds') / r.total('round_seconds'):.1%}"])
    if not rows:
        return ""
    head = ["run", "sent by a client", "per local step", "sent by rank 0", "rank 0 in MPI", "share of the time"]
    return page.section("Bytes", page.figures(filter(None, items)) + page.table(head, rows),
                        "Payload: what one client would send for the model on a ring of the round's clients.  Rank 0: counted "
                        "at its MPI calls, all purposes; time in MPI holds waiting for other ranks.")


def time_spent(groups):
    rows, parts = [], {name: [] for name, _ in TIME_PARTS}
    rest = []
    for label, members in groups:
        whole = stats.interval([r.total("round_seconds") + r.total("checkpoint_seconds") for r in members]).mean
        if not math.isfinite(whole):
            continue
        rows.append(label)
        for name, column in TIME_PARTS:
            parts[name].append(np.nan_to_num(stats.interval([r.total(column) for r in members]).mean))
        rest.append(max(whole - sum(p[-1] for p in parts.values()), 0))
    if not rows:
        return ""
    bars = page.figure("Where the time goes", figures.stacked(rows, [*parts.items(), ("other", rest)], "s"), "rank 0, mean over seeds")
    items = [curve(groups, "tokens_per_second", caption="Training throughput")]
    return page.section("Time", bars + page.figures(filter(None, items)))


def dynamics(groups):
    names = ["delta_norm", "theta_norm", "cosine", "consensus", "grad_norm_max", "clip_fraction", "lr", "failures"]
    items = [curve(groups, n, small=True) for n in names]
    shown = {*names, *ABSCISSAE, "val_bits_per_byte", "val_nats", "train_loss", "payload_bytes", "mpi_bytes_sent", "steps",
             "tokens_per_second", "round_seconds", "mpi_seconds", *(c for _, c in TIME_PARTS)}
    others = sorted({n for _, runs in groups for r in runs for n, c in r.columns.items() if c.values.ndim == 1} - shown)
    items += [curve(groups, n, small=True) for n in others]
    items = list(filter(None, items))
    return page.section("Dynamics", page.figures(items, "three")) if items else ""


def split_keys(dicts):
    """(keys that differ, keys that are the same), each in order."""
    keys = sorted({k for d in dicts for k in d})
    differs = [k for k in keys if len({d.get(k) for d in dicts}) > 1]
    return differs, [k for k in keys if k not in differs]


def same_table(keys, values, head, helps=None):
    """What all runs have in common."""
    rows = [[k, values.get(k, "–"), *([helps.get(k, "")] if helps else [])] for k in keys]
    return page.table([head, "value", *(["meaning"] if helps else [])], rows, left=3)


def configuration(groups):
    members = [(label, runs[0]) for label, runs in groups]
    dicts = [{k: v for k, v in r.config.items() if k not in ("run", "seed") or len(groups) == 1} for _, r in members]
    helps = read_config_help(members[0][1].folder)
    differs, same = split_keys(dicts)
    if not differs:
        return page.section("Configuration", same_table(same, dicts[0], "key", helps), "As resolved and stored in config.yaml.")
    rows = [[k, *(d.get(k, "–") for d in dicts), helps.get(k, "")] for k in differs]
    body = page.table(["key", *(label for label, _ in members), "meaning"], rows, left=len(members) + 2)
    return page.section("Configuration", body + page.fold(f"{len(same)} keys that are the same",
                                                          same_table(same, dicts[0], "key", helps)),
                        "As resolved and stored in config.yaml; what differs besides the seed.")


def provenance(runs):
    dicts = [{**{k: v for k, v in r.provenance.items() if k != "config"}, "folder": r.folder,
              "checkpoints": ", ".join(f"round {n}: {text.scaled(float(b), 'bytes')}" for n, b in r.checkpoints[-2:])}
             for r in runs]
    differs, same = split_keys(dicts)
    body = same_table(same, dicts[0], "entry")
    if differs:
        rows = [[r.label, r.seed, *(d.get(k, "–") for k in differs)] for r, d in zip(runs, dicts)]
        body = page.table(["run", "seed", *differs], rows, left=len(differs) + 2) + page.fold(
            f"{len(same)} entries that are the same", body)
    return page.section("Provenance", body)


def build(paths):
    """The page as text."""
    runs, _, missing = read_all(paths)
    runs = [r for r in runs if r.rounds.size] or runs
    if not any(r.rounds.size for r in runs):
        raise DataError("no run has completed a round yet")
    label_runs(runs)
    groups = groups_of(runs)
    system = next((r.config.get("system") for r in runs if r.config.get("system")), "run")
    body = ""
    classified = accuracy.is_classified(runs)
    if len(groups) == 1 and len(runs) == 1 and classified:
        r = runs[0]
        body += page.tiles([(text.number(r.last("accuracy")), "accuracy"), (text.number(r.last("accuracy_p10")), "of a tenth of the clients below"),
                            (text.number(float(r.rounds[-1])), "rounds"), (text.scaled(r.last("bytes_total"), "bytes"), "to and from clients"),
                            (text.duration(r.last("virtual_seconds")), "virtual time"),
                            (text.duration(r.total("round_seconds")), "wall time")])
    elif len(groups) == 1 and len(runs) == 1:
        r = runs[0]
        body += page.tiles([(text.number(r.last("val_bits_per_byte")), "bits/byte, validation"),
                            (text.number(evaluation_value("test/mixed_bits_per_byte")(r)), "bits/byte, test"),
                            (text.number(float(r.rounds[-1])), "rounds"), (text.scaled(r.last("tokens"), ""), "tokens"),
                            (text.duration(r.total("round_seconds")), "wall time"),
                            (text.scaled(r.total("payload_bytes"), "bytes"), "sent by a client")])
    else:
        body += page.legend([label for label, _ in groups])
    if missing:
        body += page.section("Not shown", page.table(["run", "why"], [list(m) for m in missing], left=2))
    body += classified_overview(groups, runs) + accuracy.section(groups, curve) if classified else \
        overview(groups, runs) + learning(groups) + silos(groups, runs)
    body += time_spent(groups) + communication(groups) \
        + dynamics(groups) + clients(groups) + configuration(groups) + provenance(runs)
    version = runs[0].provenance.get("atoll_version", "?")
    body += f"<footer>Atoll {page.html.escape(version)}; times are of rank 0.</footer>"
    title = f"{system}: {runs[0].name}" if len(runs) == 1 else f"{system}: {len(runs)} runs"
    summary = f"{len(groups)} configurations, {len({r.seed for r in runs})} seeds" if len(runs) > 1 else runs[0].label
    return page.document(title, summary, body)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="analysis/report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", metavar="RUN", nargs="+", help="a run, a folder of runs, or a sweep of jobs/sweep")
    parser.add_argument("-o", "--output", metavar="FILE.html", default="report.html", help="default: report.html")
    args = parser.parse_args(arguments)
    return page.write("report", args.output, lambda: build(args.paths))
