# SPDX-License-Identifier: BSD-3-Clause
"""Matplotlib figures as SVG text whose colours are the page's CSS variables, so that they follow its theme."""
import html
import io
import math
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

from . import page, text  # noqa: E402

# Stand-ins while drawing: colours that nothing else uses, replaced in the SVG.
NAMES = ["ink", "soft", "line", "card", "paper", *(f"s{i}" for i in range(page.SERIES)), "good", "bad"]
STAND_IN = {name: f"#0a0b{i:02x}" for i, name in enumerate(NAMES)}
# The ramp of heat maps: sixteen mixtures of the card and the first series.
RAMP = 16
RAMP_STAND_IN = [f"#0a0c{i:02x}" for i in range(RAMP + 1)]

STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "atoll", "font.size": 11, "figure.facecolor": "none", "axes.facecolor": "none",
    "axes.edgecolor": STAND_IN["line"], "axes.labelcolor": STAND_IN["soft"], "xtick.color": STAND_IN["soft"],
    "ytick.color": STAND_IN["soft"], "text.color": STAND_IN["ink"], "axes.grid": True, "axes.grid.axis": "y",
    "grid.color": STAND_IN["line"], "grid.linewidth": .8, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "axes.spines.left": False, "xtick.major.size": 3, "ytick.major.size": 0,
    "lines.linewidth": 2, "lines.solid_capstyle": "round", "lines.dash_capstyle": "butt",
}


def color(series):
    return STAND_IN[f"s{series % page.SERIES}"]


def dash(series):
    """The line style of a series, the same as in the page's legend."""
    numbers = [float(x) / 2 for x in page.DASHES[series % page.SERIES].split()]
    return (0, tuple(numbers)) if numbers else "-"


def new(width=5.6, height=3.1, columns=1, **options):
    with plt.rc_context(STYLE):
        return plt.subplots(1, columns, figsize=(width, height), layout="constrained", **options)


def finish(fig, titles=None):
    """The figure as SVG text.  titles: {gid: words shown when pointed at}."""
    out = io.StringIO()
    with plt.rc_context(STYLE):
        fig.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(fig)
    svg = out.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    for name, stand_in in STAND_IN.items():
        svg = svg.replace(stand_in, f"var(--{name})")
    for i, stand_in in enumerate(RAMP_STAND_IN):
        svg = svg.replace(stand_in, f"color-mix(in srgb, var(--s0) {100 * i // RAMP}%, var(--card))")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", svg)
    for gid, words in (titles or {}).items():
        svg = svg.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{html.escape(words)}</title>', 1)
    # Every figure of a page names its parts alike; nothing refers to these names.
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    return svg.strip()


def label_axes(ax, x, y):
    with plt.rc_context(STYLE):
        ax.set_xlabel(x)
        ax.set_ylabel(y)


def with_unit(name, unit):
    return f"{name} ({unit})" if unit and unit != "1" else name


def settle_limits(ax, values):
    """Quantities that never change, or are zero somewhere, are shown with their zero."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        ax.set_ylim(*((0, low * 1.3) if low > 0 else (low * 1.3, 0) if low < 0 else (-.1, 1)))
    elif 0 <= low < high / 4:
        ax.set_ylim(bottom=0)


def curves(groups, x_name, x_unit, y_name, y_unit, small=False):
    """Lines over a common kind of abscissa.

    groups: [(label, [(x, y), ...])], one (x, y) per seed.  Where all seeds of a group have as many points, their mean is
    drawn over their mean abscissa, with its 95 % interval as a band; else each seed is drawn.  None if there is nothing to
    draw.
    small: for a place a third of a page wide.
    """
    from .stats import interval
    all_x = np.concatenate([np.asarray(x, float) for _, runs in groups for x, _ in runs] or [np.empty(0)])
    all_y = np.concatenate([np.asarray(y, float) for _, runs in groups for _, y in runs] or [np.empty(0)])
    good = np.isfinite(all_x) & np.isfinite(all_y)
    if not good.any() or y_unit == "bytes" and not all_y[good].any():
        return None
    x_factor, x_unit = text.scale_of(all_x[good], x_unit)
    y_factor, y_unit = text.scale_of(all_y[good], y_unit) if y_unit in ("bytes", "s", "tokens/s", "tokens") else (1.0, y_unit)
    with plt.rc_context(STYLE):
        fig, ax = new(3.7, 2.4) if small else new()
        titles = {}
        for i, (label, runs) in enumerate(groups):
            kept = [(np.asarray(x, float)[m] / x_factor, np.asarray(y, float)[m] / y_factor)
                    for x, y in runs for m in [np.isfinite(x) & np.isfinite(y)] if m.any()]
            gid = f"curve{i}"
            if len(kept) > 1 and len({len(x) for x, _ in kept}) == 1:
                parts = [interval(v) for v in np.array([y for _, y in kept]).T]
                x = np.mean([x for x, _ in kept], axis=0)
                floor = 0 if all_y[good].min() >= 0 else -math.inf  # no band below zero for what cannot be negative
                ax.fill_between(x, [max(p.low, floor) for p in parts], [p.high for p in parts], color=color(i), alpha=.18,
                                linewidth=0)
                kept = [(x, np.array([p.mean for p in parts]))]
            for x, y in kept:
                marker = "o" if len(x) <= 12 else None
                ax.plot(x, y, color=color(i), linestyle=dash(i), marker=marker, markersize=4, gid=gid,
                        **({} if len(kept) == 1 else {"alpha": .75, "linewidth": 1.2}))
            if kept:
                titles[gid] = f"{label}: last {text.number(kept[-1][1][-1])} {y_unit}"
        settle_limits(ax, all_y[good] / y_factor)
        if x_name == "round":
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        short = "" if y_unit == "1" else y_unit  # the caption of a small figure names it
        label_axes(ax, with_unit(x_name, x_unit), short if small else with_unit(y_name, y_unit))
        return finish(fig, titles)


def dots(rows, groups, unit):
    """A dot plot: for each row (a silo) a dot per group.  groups: [(label, [value per row])]."""
    with plt.rc_context(STYLE):
        fig, ax = new(5.6, .32 * len(rows) + .9)
        ax.grid(True, axis="x")
        marks = "osD^vP*X"
        values = np.array([v for _, v in groups], float)
        titles = {}
        for r in range(len(rows)):
            v = values[:, r][np.isfinite(values[:, r])]
            if v.size > 1:
                ax.plot([v.min(), v.max()], [r, r], color=STAND_IN["line"], linewidth=3, zorder=1)
        for i, (label, v) in enumerate(groups):
            ax.plot(v, range(len(rows)), marks[i % len(marks)], color=color(i), markersize=7, gid=f"dot{i}")
            titles[f"dot{i}"] = label
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - .4, -.6)
        label_axes(ax, unit, "")
        return finish(fig, titles)


def stacked(rows, parts, unit):
    """Horizontal bars, one per row, of parts: [(label, [value per row])], with a legend of its own."""
    totals = np.sum([v for _, v in parts], axis=0)
    factor, unit = text.scale_of(totals, unit)
    with plt.rc_context(STYLE):
        fig, ax = new(11.4, .42 * len(rows) + 1.3)
        ax.grid(False)
        ax.grid(True, axis="x")
        left = np.zeros(len(rows))
        titles = {}
        for i, (label, v) in enumerate(parts):
            v = np.asarray(v, float) / factor
            bars = ax.barh(range(len(rows)), v, left=left, color=color(i), height=.62, label=label,
                           edgecolor=STAND_IN["card"], linewidth=1)
            for r, bar in enumerate(bars):
                bar.set_gid(f"bar{i}-{r}")
                share = v[r] * factor / totals[r] if totals[r] else math.nan
                titles[f"bar{i}-{r}"] = f"{rows[r]}, {label}: {text.number(v[r], 3)} {unit}, {share:.0%}"
                # Words where they fit: about an eighth of the width for a short percentage.
                if share > .06 and v[r] > .04 * totals.max() / factor:
                    ax.text(left[r] + v[r] / 2, r, f"{share:.0%}", ha="center", va="center", fontsize=10,
                            color=STAND_IN["paper"])
            left += v
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - .4, -.6)
        ax.legend(ncols=len(parts), loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=10,
                  handlelength=1, columnspacing=1.4, borderaxespad=.2)
        label_axes(ax, f"time ({unit})" if unit in ("s", "min", "h") else unit, "")
        return finish(fig, titles)


def bars(rows, values, unit, height=.3, series=0, notes=None):
    """Horizontal bars with their values written behind them."""
    factor, unit = text.scale_of(values, unit)
    with plt.rc_context(STYLE):
        fig, ax = new(5.6, height * len(rows) + .8)
        ax.grid(False)
        v = np.asarray(values, float) / factor
        ax.barh(range(len(rows)), v, color=color(series), height=.66)
        for r, x in enumerate(v):
            ax.annotate(notes[r] if notes else text.number(x, 3), (x, r), xytext=(4, 0), textcoords="offset points",
                        va="center", fontsize=10, color=STAND_IN["soft"])
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - .4, -.6)
        ax.set_xlim(0, (v.max() if v.size and v.max() > 0 else 1) * 1.18)
        label_axes(ax, unit, "")
        return finish(fig)


def ranges(rows, values, unit):
    """For each row the spread of its values on a logarithmic axis: median, quartiles, 5th and 95th percentile."""
    with plt.rc_context(STYLE):
        fig, ax = new(5.6, .32 * len(rows) + .9)
        ax.grid(True, axis="x")
        titles = {}
        for r, v in enumerate(values):
            q = np.maximum(np.percentile(v, [5, 25, 50, 75, 95]), 1)
            ax.plot([q[0], q[4]], [r, r], color=color(0), linewidth=1.5)
            ax.plot([q[1], q[3]], [r, r], color=color(0), linewidth=7, alpha=.45)
            ax.plot([q[2]], [r], "o", color=color(0), markersize=6, gid=f"range{r}")
            titles[f"range{r}"] = f"{rows[r]}: median {text.scaled(q[2], unit)} of {len(v)}"
        ax.set_xscale("log")
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - .4, -.6)
        label_axes(ax, f"{unit}, logarithmic", "")
        return finish(fig, titles)


def histogram(values, x_unit, y_unit):
    with plt.rc_context(STYLE):
        fig, ax = new()
        ax.hist(values, bins=min(40, max(10, len(values) // 20)), color=color(0), edgecolor=STAND_IN["card"], linewidth=1)
        label_axes(ax, x_unit, y_unit)
        return finish(fig)


def steps(values, x_unit, y_unit):
    """One value for each of many places, as an outline."""
    with plt.rc_context(STYLE):
        fig, ax = new()
        ax.stairs(values, fill=True, color=color(1))
        ax.set_ylim(0, max(1, max(values)) * 1.08)
        label_axes(ax, x_unit, y_unit)
        return finish(fig)


def heat(rows, matrix, unit, digits=2):
    """A square table of numbers as shades, the numbers written where there is room."""
    n = len(rows)
    m = np.asarray(matrix, float)
    top = np.nanmax(m) if np.isfinite(m).any() and np.nanmax(m) > 0 else 1
    with plt.rc_context(STYLE):
        fig, ax = new(5.6, min(5.6, .34 * n + 1.1))
        ax.grid(False)
        titles = {}
        for r in range(n):
            for c in range(n):
                step = int(round(m[r, c] / top * RAMP)) if np.isfinite(m[r, c]) else 0
                cell = ax.add_patch(plt.Rectangle((c - .5, r - .5), 1, 1, facecolor=RAMP_STAND_IN[step],
                                                  edgecolor=STAND_IN["card"], linewidth=1, gid=f"cell{r}-{c}"))
                cell.set_gid(f"cell{r}-{c}")
                titles[f"cell{r}-{c}"] = f"{rows[r]} and {rows[c]}: {m[r, c]:.3f} {unit}"
                if n <= 16:
                    ax.text(c, r, f"{m[r, c]:.{digits}f}".lstrip("0") or "0", ha="center", va="center",
                            fontsize=9 if n <= 10 else 7.5,
                            color=STAND_IN["paper"] if step > RAMP * .55 else STAND_IN["ink"])
        ax.set_xlim(-.5, n - .5)
        ax.set_ylim(n - .5, -.5)
        ax.set_xticks(range(n), rows, rotation=45, ha="right")
        ax.set_yticks(range(n), rows)
        ax.spines["bottom"].set_visible(False)
        return finish(fig, titles)


def mosaic(matrix, columns, x_name, y_name):
    """Numbers from 0 to 1 as shades: a row for each line of the matrix, a column for each of `columns`; what is missing is empty."""
    m = np.asarray(matrix, float)
    rows, n = m.shape
    with plt.rc_context(STYLE):
        fig, ax = new(5.6, min(5.6, .07 * rows + 1.3))
        ax.grid(False)
        for r, c in np.argwhere(np.isfinite(m)):
            ax.add_patch(plt.Rectangle((c - .5, r - .5), 1, 1, facecolor=RAMP_STAND_IN[int(round(min(max(m[r, c], 0), 1) * RAMP))],
                                       linewidth=0))
        ax.set_xlim(-.5, n - .5)
        ax.set_ylim(rows - .5, -.5)
        some = np.unique(np.linspace(0, n - 1, min(n, 8)).astype(int))
        ax.set_xticks(some, [str(int(columns[i])) for i in some])
        label_axes(ax, x_name, y_name)
        return finish(fig)
