# SPDX-License-Identifier: BSD-3-Clause
"""Numbers with their units, as people read them."""
import math

SCALED = ("bytes", "tokens", "tokens/s", "FLOP", "s")  # units whose numbers are shown with a prefix
PREFIXES = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")]


def number(x, digits=4):
    """Four significant digits, no exponent where none is needed; a dash for NaN."""
    if x is None or math.isnan(x):
        return "–"
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(x)))
    if magnitude >= 7 or magnitude < -4:
        return f"{x:.{digits - 1}e}"
    if x == int(x):
        return f"{int(x)}"
    return f"{x:.{max(digits - 1 - magnitude, 0)}f}"


def scaled(x, unit):
    """1310720, "tokens" becomes "1.311 Mtok"."""
    if x is None or math.isnan(x):
        return "–"
    if unit == "s":
        return duration(x)
    if not unit and x == int(x) and abs(x) < 1e4:
        return str(int(x))
    factor, unit = scale_of([x], unit)
    return f"{number(x / factor)} {unit}".strip()


def duration(s):
    """Seconds as "12.3 ms", "1.23 s", "48 s", "3 min 05 s", "2 h 07 min"."""
    if s is None or math.isnan(s):
        return "–"
    if 0 < s < 1:
        return f"{number(s * 1e3, 3)} ms"
    if s < 10:
        return f"{number(s, 3)} s"
    if s < 60:
        return f"{s:.0f} s"
    if s < 3600:
        return f"{int(s // 60)} min {int(s % 60):02d} s"
    return f"{int(s // 3600)} h {int(s % 3600 // 60):02d} min"


def scale_of(values, unit):
    """A factor and a unit for an axis: ([0, 2e6], "tokens") gives (1e6, "Mtok"); long times go by minutes."""
    finite = [abs(v) for v in values if math.isfinite(v)]
    top = max(finite, default=0)
    if unit == "s":
        return (3600.0, "h") if top >= 3 * 3600 else (60.0, "min") if top >= 180 else (1.0, "s")
    short = {"bytes": "B", "tokens": "tok", "tokens/s": "tok/s"}.get(unit, unit)
    gap = " " if len(short) > 5 else ""
    for factor, prefix in PREFIXES:
        if top >= factor:
            return factor, f"{prefix}{gap if prefix else ''}{short}"
    return 1.0, short


def plus_minus(i, unit=""):
    """The digits that the interval leaves meaning to, "1.937 ± 0.012"; with the unit where it is scaled, "30.3 ± 0.2 MB"."""
    factor, words = (1.0, "")
    if unit in SCALED and i.n:
        factor, words = scale_of([i.mean], unit)
        words = " " + words
    mean, half = i.mean / factor, i.half_width / factor
    if math.isnan(half) or half == 0:
        return number(mean) + words
    digits = max(0, 1 - math.floor(math.log10(half)))
    return f"{mean:.{digits}f} ± {half:.{digits}f}{words}"


def span(i):
    """"[1.229, 1.798]", with the digits that the interval leaves meaning to."""
    if math.isnan(i.low):
        return "–"
    if i.low == i.high:
        return f"[{number(i.low)}, {number(i.high)}]"
    digits = max(0, 2 - math.floor(math.log10(i.half_width)))
    return f"[{i.low:.{digits}f}, {i.high:.{digits}f}]"


def columns(rows, left=1):
    """Rows of cells as aligned lines; the first `left` columns start at the left, the others end at the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip()
                     for r in rows)
