# SPDX-License-Identifier: BSD-3-Clause
"""The part of a data set's card that shows labelled examples: pictures by client, classes, targets, features."""
import base64
import html
import struct
import zlib

import numpy as np

from . import figures, page, text
from .runs import text_of

MOST_CLIENTS = 12  # with pictures
MOST_PICTURES = 24  # of one client
STRIP_PIXELS = 960  # width of a client's pictures as shown
MOST_BARS = 40  # classes with a bar each


def png(pixels):
    """uint8 [h, w] or [h, w, 3] as the bytes of a PNG file."""
    height, width = pixels.shape[:2]
    kind = 2 if pixels.ndim == 3 else 0
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)])

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b""))


def fields_of(d):
    """(input, target) of a set, by its attributes or by the usual names; None where there is none."""
    def find(attribute, usual):
        if attribute in d.f.attrs:
            return text_of(d.f.attrs[attribute])
        return next((name for name in usual if name in d.fields), None)
    return (find("input", ["pixels", "image", "x", "features", "spectrogram"]), find("target", ["label", "labels", "y"]))


def is_picture(d, name):
    shape = d.f[f"examples/{d.clients[0]}/{name}"].shape if name in d.fields else ()
    return (len(shape) == 3 or len(shape) == 4 and shape[3] in (1, 3)) and min(shape[1:3]) >= 4


def as_bytes(x, ink):
    """Pictures as uint8: ink dark on light paper, everything else as it is."""
    x = np.asarray(x)
    if x.dtype != np.uint8:
        low, high = min(0., float(np.nanmin(x))), max(1e-9, float(np.nanmax(x)))
        high = 1. if low == 0 and .5 < high <= 1 else high
        x = np.clip((np.nan_to_num(x) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    x = x[..., 0] if x.ndim == 4 and x.shape[3] == 1 else x
    return 255 - x if ink else x


def strip(d, client, name, target):
    """Some examples of a client side by side, in order of their classes: (PNG, shown width)."""
    item = d.f[f"examples/{client}/{name}"]
    labels = d.f[f"examples/{client}/{target}"][()].ravel() if target in d.fields else np.zeros(item.shape[0])
    first = np.unique(labels, return_index=True)[1]
    rows = first if len(first) >= 8 else np.arange(item.shape[0])
    rows = rows[np.linspace(0, len(rows) - 1, min(MOST_PICTURES, len(rows))).astype(int)]
    height, width = item.shape[1:3]
    rows = rows[:max(1, STRIP_PIXELS // max(width, 38))]
    x = as_bytes(np.stack([item[int(r)] for r in rows]), ink=name == "pixels")
    if name == "spectrogram":  # [time][band]: time to the right, low tones below
        x = x.transpose(0, 2, 1)[:, ::-1]
    gap = max(1, x.shape[2] // 14)
    wide = np.full((len(rows), x.shape[1], x.shape[2] + gap, *x.shape[3:]), 255, np.uint8)
    wide[:, :, :x.shape[2]] = x
    joined = np.concatenate(list(wide), axis=1)[:, :-gap]
    zoom = max(1, round(38 / max(x.shape[2], 1)))
    return png(joined), joined.shape[1] * zoom


def samples(d):
    """The pictures of some clients as a section, or nothing."""
    name, target = fields_of(d)
    if name is None or not is_picture(d, name):
        return ""
    chosen = [d.clients[i] for i in np.unique(np.linspace(0, len(d.clients) - 1, min(MOST_CLIENTS, len(d.clients))).astype(int))]
    parts = []
    for c in chosen:
        data, width = strip(d, c, name, target)
        parts.append(f'<span title="{html.escape(c)}">{html.escape(c)}</span>'
                     f'<img alt="examples of {html.escape(c)}" width="{width}" src="data:image/png;base64,{base64.b64encode(data).decode()}">')
    return page.section("Samples", f'<div class="grid">{"".join(parts)}</div>',
                        "Training examples of some clients, in order of their classes.")


def targets_of(d, target):
    return [d.f[f"examples/{c}/{target}"][()].ravel() for c in d.clients]


def class_names(d, n):
    if "class_names" in d.f and d.f["class_names"].shape[0] == n:
        return [text_of(v) for v in d.f["class_names"][()]]
    return [str(k) for k in range(n)]


def spread(caption, values, unit):
    """A histogram over clients; a sentence, no figure, where all have the same."""
    values = np.asarray(values)
    if values.size and values.min() == values.max():
        return f'<p class="note">Each client has {html.escape(text.number(float(values[0]), 4))} {html.escape(unit)}.</p>'
    return page.figure(caption, figures.histogram(values, unit, "clients"))


def figures_of(d):
    """Figures of the targets and of the features."""
    name, target = fields_of(d)
    out = []
    if target in d.fields:
        values = targets_of(d, target)
        joined = np.concatenate(values)
        if joined.size and joined.dtype.kind in "iu" and joined.min() >= 0:
            counts = np.bincount(joined, minlength=int(d.f.attrs.get("classes", 0)))
            if len(counts) <= MOST_BARS:
                out.append(page.figure("Training examples by class", figures.bars(class_names(d, len(counts)), counts, "examples", height=.24,
                                       series=1, notes=[text.scaled(float(v), "") for v in counts])))
            else:
                out.append(page.figure("Training examples by class", figures.steps(counts, "class", "examples"),
                                       f"{len(counts)} classes"))
            if len(d.clients) > 1:
                out.append(spread("Classes that clients have", [len(np.unique(v)) for v in values], "classes"))
        elif joined.size:
            out.append(page.figure("Targets", figures.histogram(joined[np.isfinite(joined)], target, "examples")))
            if len(d.clients) > 1:
                out.append(spread("Mean target by client", [v.mean() for v in values if v.size], f"mean {target}"))
    return out
