# SPDX-License-Identifier: BSD-3-Clause
"""Plots a file of `atoll bench comm`: times against MPI_Allreduce by size, time against error, and what cores do.

analysis/bench FILE.h5 [-o OUT.png]       .svg and .pdf too; default: FILE.png
"""
import argparse
import os
import sys

import numpy as np
from matplotlib.figure import Figure

from .runs import DataError, open_h5

# Okabe and Ito's colours, which colour-blind readers tell apart; markers and dashes repeat what colours say.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
DASHES = ["-", "--", ":", "-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1))]


def read(path):
    """The file's columns as {"means": {name: array}, "codecs": {...}}, and what its links did."""
    with open_h5(path) as f:
        if "means" not in f or "codecs" not in f:
            raise DataError(f"{path}: is not a file of `atoll bench comm`")
        out = {}
        for group in ("means", "codecs"):
            out[group] = {k: (d.asstr()[:] if k in ("codec", "algorithm") else d[:]) for k, d in f[group].items()}
        out["ranks"] = int(f["means"].attrs["ranks"])
        out["rate"] = float(f["link/rate"][()])
        return out


def series(values):
    """Distinct values in their order, each with its number."""
    return {v: i for i, v in enumerate(dict.fromkeys(values))}


def plot_speedup(ax, means):
    codecs, ways = series(means["codec"]), series(means["algorithm"])
    for c, i in codecs.items():
        for w, k in ways.items():
            rows = (means["codec"] == c) & (means["algorithm"] == w)
            if w == "MPI" or not rows.any():
                continue
            ax.plot(means["bytes"][rows] / 2**20, means["allreduce"][rows] / means["seconds"][rows], label=f"{c}, {w}",
                    color=COLORS[i % len(COLORS)], marker=MARKERS[k % len(MARKERS)], linestyle=DASHES[k % len(DASHES)])
    ax.axhline(1, color="#777777", linewidth=.8)
    ax.set(xscale="log", yscale="log", xlabel="vector of f32 (MiB)", ylabel="time of MPI_Allreduce / time (1)",
           title="Gain over MPI_Allreduce")
    ax.legend(fontsize=6, ncol=2)


def plot_error(ax, means):
    longest = means["bytes"] == means["bytes"].max()
    rows = longest & np.isfinite(means["error"]) & (means["error"] > 0)
    codecs, ways = series(means["codec"]), series(means["algorithm"])
    for c, w, s, e, low, high in zip(*(means[k][rows] for k in ("codec", "algorithm", "seconds", "error", "seconds_least",
                                                                "seconds_most"))):
        ax.errorbar(e, 1e3 * s, yerr=[[1e3 * (s - low)], [1e3 * (high - s)]], color=COLORS[codecs[c] % len(COLORS)],
                    marker=MARKERS[ways[w] % len(MARKERS)], linestyle="none")
        ax.annotate(f"{c}, {w}", (e, 1e3 * s), fontsize=6, xytext=(3, 3), textcoords="offset points")
    ax.set(xscale="log", yscale="log", xlabel="L2 error of the mean, relative (1)", ylabel="time (ms), least to most",
           title=f"{means['bytes'].max() / 2**20:g} MiB: time and error")


def plot_codecs(ax, codecs):
    at = np.arange(len(codecs["codec"]))
    for i, (name, words) in enumerate((("encode", "encode"), ("decode", "decode"), ("copy", "memcpy"))):
        ax.bar(at + .27 * (i - 1), 1e-9 * codecs[name], .25, label=words, color=COLORS[i], hatch=["", "//", ".."][i])
    ax.set_xticks(at, codecs["codec"])
    ax.set(xlabel="codec", ylabel="rate of a rank (GB/s of f32)", title="Cores, all ranks at once")
    ax.legend(fontsize=7)


def draw(data, path):
    fig = Figure(figsize=(13, 4.4), layout="constrained")
    axes = fig.subplots(1, 3)
    plot_speedup(axes[0], data["means"])
    plot_error(axes[1], data["means"])
    plot_codecs(axes[2], data["codecs"])
    link = f", links of {8e-6 * data['rate']:.1f} Mbit/s of payload" if np.isfinite(data["rate"]) else ""
    fig.suptitle(f"{data['ranks']} ranks{link}", fontsize=10)
    fig.savefig(path, dpi=120)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="analysis/bench", description=__doc__.splitlines()[0])
    parser.add_argument("file", help="HDF5 file that `atoll bench comm out=FILE.h5` wrote")
    parser.add_argument("-o", "--out", help="picture to write: .png, .svg or .pdf (default: FILE.png)")
    args = parser.parse_args(argv)
    try:
        out = args.out or os.path.splitext(args.file)[0] + ".png"
        draw(read(args.file), out)
        print(out)
    except (DataError, OSError, ValueError) as e:
        print(f"analysis/bench: {e}", file=sys.stderr)
        return 2
    return 0
