# SPDX-License-Identifier: BSD-3-Clause
"""Run folders and sweeps as Python objects: configuration, metrics by round, evaluation, provenance."""
import csv
import math
import os
import re
from dataclasses import dataclass, field

import h5py
import numpy as np
import yaml

# Keys that say where and how a run was done, not what was computed.
UNIMPORTANT = {"run", "data", "seed", "system", "log.level", "checkpoint.every", "checkpoint.keep"}


class DataError(Exception):
    """A file or folder that cannot be analysed, in words for its owner."""


@dataclass
class Column:
    """A dataset of metrics.h5 or evaluation.h5: values[rounds] or values[rounds][width], or any shape of an evaluation."""
    name: str
    values: np.ndarray
    units: str
    description: str
    axis: str = ""  # what the second axis counts
    is_volatile: bool = False  # depends on the machine's speed


@dataclass
class Run:
    folder: str
    config: dict  # flat: {"local.lr": "0.006"}
    rounds: np.ndarray
    columns: dict  # name -> Column
    evaluation: dict  # "test/mixed_bits_per_byte" -> Column; empty until the run is complete
    provenance: dict
    silos: list  # names, or numbers as text where the files have none
    checkpoints: list = field(default_factory=list)  # [(round, bytes)], ascending
    label: str = ""  # what sets it apart from the runs beside it, seeds aside
    method: str = ""
    point: dict = field(default_factory=dict)  # values of a sweep's grid

    @property
    def name(self):
        return os.path.basename(os.path.normpath(self.folder))

    @property
    def seed(self):
        return self.config.get("seed", "")

    @property
    def is_complete(self):
        return bool(self.evaluation)

    def column(self, name):
        """Values of a scalar column by round; None if there is no such column."""
        c = self.columns.get(name)
        return c.values if c is not None and c.values.ndim == 1 else None

    def last(self, name):
        """Its last value that is a number; NaN if there is none."""
        v = self.column(name)
        v = v[~np.isnan(v)] if v is not None else np.empty(0)
        return float(v[-1]) if v.size else math.nan

    def total(self, name):
        v = self.column(name)
        return float(np.nansum(v)) if v is not None else math.nan


def text_of(value):
    """An attribute or element as str, whether HDF5 stored fixed or variable strings."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def flatten(tree, prefix=""):
    """{"local": {"lr": "1"}} becomes {"local.lr": "1"}."""
    out = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            out.update(flatten(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return out


def open_h5(path):
    try:
        return h5py.File(path, "r")
    except OSError as e:
        raise DataError(f"{path}: cannot be opened as HDF5: {e}")


def read_columns(f, root="/"):
    """Every dataset of numbers below `root` by its name, /round and what only describes the others left out."""
    out = {}

    def visit(name, item):
        top = name.split("/")[0]
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and top not in ("round", "provenance", "axis"):
            out[name] = Column(name, np.asarray(item[()], dtype=float), text_of(item.attrs.get("units", "")),
                               text_of(item.attrs.get("description", "")), item.dims[1].label if item.ndim > 1 else "",
                               bool(item.attrs.get("atoll_volatile", 0)))

    f[root].visititems(visit)
    return out


def read_provenance(f):
    return {k: text_of(v) for k, v in f["provenance"].attrs.items()} if "provenance" in f else {}


def read_config(path):
    try:
        with open(path, encoding="utf-8") as f:
            tree = yaml.load(f, Loader=yaml.BaseLoader)
    except (OSError, yaml.YAMLError) as e:
        raise DataError(f"{path}: cannot be read: {e}")
    return flatten(tree) if isinstance(tree, dict) else {}


def read_run(folder):
    """The run in `folder`, complete or still going on.  DataError if it is none or has no metrics yet."""
    config_path, metrics_path = os.path.join(folder, "config.yaml"), os.path.join(folder, "metrics.h5")
    if not os.path.isfile(config_path):
        raise DataError(f"{folder}: is not a run: it has no config.yaml")
    if not os.path.isfile(metrics_path):
        raise DataError(f"{folder}: has no metrics.h5 yet: wait for its first checkpoint")
    with open_h5(metrics_path) as f:
        rounds = f["round"][()]
        columns = read_columns(f)
        provenance = read_provenance(f)
        silos = [text_of(s) for s in f["axis/silo_name"][()]] if "axis/silo_name" in f else []
    evaluation = {}
    evaluation_path = os.path.join(folder, "evaluation.h5")
    if os.path.isfile(evaluation_path):
        with open_h5(evaluation_path) as f:
            evaluation = read_columns(f)
            silos = [text_of(s) for s in f["silo"][()]] if "silo" in f else silos
    widths = [c.values.shape[1] for c in columns.values() if c.values.ndim == 2 and c.axis == "silo"]
    if not silos and widths:
        silos = [f"silo {i}" for i in range(widths[0])]
    run = Run(folder, read_config(config_path), rounds, columns, evaluation, provenance, silos)
    run.method = run.config.get("method", run.config.get("system", ""))
    checkpoints = os.path.join(folder, "checkpoints")
    if os.path.isdir(checkpoints):
        run.checkpoints = sorted((int(f[:-3]), os.path.getsize(os.path.join(checkpoints, f)))
                                 for f in os.listdir(checkpoints) if f.endswith(".h5") and f[:-3].isdigit())
    return run


def read_facts(run):
    """What the newest checkpoint keeps about each client: (names of the columns, one list of numbers per client)."""
    if not run.checkpoints:
        return [], []
    with open_h5(os.path.join(run.folder, "checkpoints", f"{run.checkpoints[-1][0]:06d}.h5")) as f:
        if "clients/facts" not in f:
            return [], []
        facts = f["clients/facts"]
        # Its description names the columns: "Per client: stream cursor in windows, local steps, ...".
        names = text_of(facts.attrs.get("description", "")).rstrip(".").partition(": ")[2].split(", ")
        rows = facts[()].tolist()
    return (names if len(names) == len(rows[0]) else [f"fact {i}" for i in range(len(rows[0]))]), rows


def read_config_help(folder):
    """The sentence behind each key of config.yaml, {"local.lr": "Largest learning rate."}."""
    out, path = {}, []
    with open(os.path.join(folder, "config.yaml"), encoding="utf-8") as f:
        for line in f:
            m = re.match(r"( *)([\w.]+):(?: .*?)??(?: {2}# (.*))?$", line.rstrip("\n"))
            if m:
                path[len(m[1]) // 2:] = [m[2]]
                out[".".join(path)] = m[3] or ""
    return out


@dataclass
class Sweep:
    """What jobs/sweep wrote: its grid, and the runs of its index that can be read."""
    folder: str
    grid: dict
    axes: list
    runs: list
    missing: list  # [(run folder, reason)]


def read_sweep(folder):
    with open(os.path.join(folder, "index.tsv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    axes = [k for k in (rows[0] if rows else {}) if k not in ("task", "run", "method", "seed", "keys")]
    grid_path = os.path.join(folder, "sweep.yaml")
    grid = {}
    if os.path.isfile(grid_path):
        with open(grid_path, encoding="utf-8") as f:
            grid = yaml.load(f, Loader=yaml.BaseLoader)
    sweep = Sweep(folder, grid, axes, [], [])
    for row in rows:
        try:
            run = read_run(os.path.join(folder, row["run"]))
        except DataError as e:
            sweep.missing.append((row["run"], str(e).split(": ", 1)[-1]))
            continue
        run.method, run.point = row["method"], {a: row[a] for a in axes}
        sweep.runs.append(run)
    return sweep


def label_runs(runs):
    """Give each run the shortest label that tells it from the others, seeds aside.

    The method comes first; then those keys, in their order, that split runs which look alike so far.
    """
    keys = ["method", *sorted({k for r in runs for k in r.config} - UNIMPORTANT - {"method"})]
    value = {id(r): {**r.config, "method": r.method, **r.point} for r in runs}
    chosen, parts = [], {id(r): () for r in runs}
    for key in keys:
        if key != "method" and len({(parts[id(r)], value[id(r)].get(key)) for r in runs}) == len(set(parts.values())):
            continue
        chosen.append(key)
        for r in runs:
            parts[id(r)] += (value[id(r)].get(key, ""),)
    for r in runs:
        words = [value[id(r)].get(k, "") if k == "method" else f"{k}={value[id(r)].get(k, '')}" for k in chosen]
        r.label = ", ".join(words)
    seen = {}
    for r in runs:  # the same configuration and seed twice: the folder tells
        seen.setdefault((r.label, r.seed), []).append(r)
    for same in seen.values():
        if len(same) > 1:
            for r in same:
                r.label += f" ({r.name})"


def read_all(paths):
    """Runs and sweeps of the folders given, labelled: (runs, sweeps, [(folder, reason)] of what could not be read).

    A folder with index.tsv is a sweep; a folder without config.yaml is searched for runs one level down.
    """
    runs, sweeps, missing = [], [], []
    for path in paths:
        if os.path.isfile(os.path.join(path, "index.tsv")):
            sweeps.append(read_sweep(path))
            runs += sweeps[-1].runs
            missing += sweeps[-1].missing
        elif os.path.isdir(path) and not os.path.isfile(os.path.join(path, "config.yaml")):
            below = [os.path.join(path, d) for d in sorted(os.listdir(path))]
            below = [d for d in below if os.path.isfile(os.path.join(d, "config.yaml"))]
            if not below:
                raise DataError(f"{path}: is neither a run nor a folder of runs")
            runs += [read_run(d) for d in below]
        else:
            runs.append(read_run(path))
    if not runs:
        raise DataError("there is no run to look at: " + "; ".join(f"{f}: {why}" for f, why in missing[:3]))
    label_runs(runs)
    return runs, sweeps, missing
