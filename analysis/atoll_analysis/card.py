# SPDX-License-Identifier: BSD-3-Clause
"""A data set's picture as one self-contained HTML page: clients, sizes, contents, how unlike they are, samples, origin.

Reads any HDF5 file in the layout /examples/<client>/<field>; text (a field of tokens), images, spectrograms and numbers get pictures of their own.
"""
import argparse
import html
import os

import numpy as np

from . import examples, figures, page, text
from .runs import DataError, open_h5, read_provenance, text_of

SPLITS = [("training", "examples"), ("validation", "validation"), ("test", "test")]
MOST_ROWS = 40  # clients shown one by one
MOST_TOKENS = 4 << 20  # read of each client, for its statistics
SAMPLE_BYTES = 420
TOLD = ["synthetic", "synthesiser", "sample_rate_hz", "clip_s", "window", "hop_s", "bands", "scale"]  # attributes of a set


class DataSet:
    """The clients of an open file and the sizes of their splits."""

    def __init__(self, f, path):
        if "examples" not in f or not len(f["examples"]):
            raise DataError(f"{path}: is not a federated data set: it has no client below /examples")
        self.f, self.path = f, path
        self.clients = sorted(f["examples"])
        self.fields = sorted(f["examples"][self.clients[0]])
        self.main = "tokens" if "tokens" in self.fields else self.fields[0]
        names = {group: sorted(f[group]) for _, group in SPLITS if group in f}
        self.elsewhere = sorted(set().union(*names.values()) - set(self.clients))
        self.rows = {name: np.array([self.size(group, c) for c in self.clients], dtype=np.int64) for name, group in SPLITS}
        self.tokenizer = text_of(f.attrs["tokenizer"]) if "tokenizer" in f.attrs else ""
        self.totals = {name: sum(self.size(group, c) for c in names.get(group, [])) for name, group in SPLITS}
        self.vocab = int(f.attrs.get("vocab", 0))

    def size(self, group, client):
        item = self.f.get(f"{group}/{client}/{self.main}")
        return item.shape[0] if item is not None else 0

    def attribute(self, client, name):
        value = self.f["examples"][client].attrs.get(name)
        return text_of(value) if value is not None else ""

    @property
    def is_text(self):
        return self.main == "tokens" and self.f[f"examples/{self.clients[0]}/tokens"].dtype.kind in "iu"

    @property
    def unit(self):
        return "tokens" if self.main == "tokens" else "examples"

    def tokens(self, client):
        return self.f[f"examples/{client}/tokens"][:MOST_TOKENS]


def entropy(p):
    """Shannon's, in bits, of a distribution."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def divergences(p):
    """Jensen-Shannon divergence of each pair of distributions, in bits: 0 for equal ones, 1 for ones without overlap."""
    n = len(p)
    own = [entropy(q) for q in p]
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            out[i, j] = out[j, i] = max(entropy((p[i] + p[j]) / 2) - (own[i] + own[j]) / 2, 0)
    return out


def byte_classes(p):
    """Shares of a distribution over bytes: [(name, share)]."""
    kinds = np.array(["control"] * 256, dtype=object)
    for b in range(256):
        c = chr(b)
        if b >= 128:
            kinds[b] = "beyond ASCII"
        elif c.isalpha():
            kinds[b] = "ASCII letters"
        elif c.isdigit():
            kinds[b] = "digits"
        elif c in " \n\t":
            kinds[b] = "blanks"
        elif 32 < b < 127:
            kinds[b] = "punctuation"
    return [(k, float(p[:256][kinds[:len(p)] == k].sum()))
            for k in ("ASCII letters", "beyond ASCII", "blanks", "punctuation", "digits", "control")]


def sizes(d):
    """Bars client by client, or a histogram where there are too many clients for that."""
    train = d.rows["training"]
    if len(d.clients) <= MOST_ROWS:
        return page.figure("Training data by client",
                           figures.bars(d.clients, train, d.unit, notes=[text.scaled(float(v), d.unit) for v in train]))
    return examples.spread("Clients by amount of training data", train, d.unit)


def client_table(d):
    shown = d.clients[:MOST_ROWS]
    head, units = ["client", "what it is"], ["", ""]
    rows = [[c, d.attribute(c, "description")] for c in shown]
    if not any(r[1] for r in rows):
        head, units, rows = ["client"], [""], [[c] for c in shown]
    words = list(range(len(head)))
    for name, group in SPLITS:
        if d.rows[name].any():
            head.append(name)
            units.append(d.unit)
            for r, n in zip(rows, d.rows[name]):
                r.append(f"{n:,}".replace(",", "\u202f"))
    for attribute, name in (("documents", "documents"), ("duplicates", "duplicates dropped"), ("versions", "versions"),
                            ("licences", "licences")):
        values = [d.attribute(c, attribute) for c in shown]
        if any(values):
            if attribute in ("versions", "licences"):
                words.append(len(head))
            head.append(name)
            units.append("paragraphs" if attribute == "duplicates" else "")
            for r, v in zip(rows, values):
                parts = dict.fromkeys(v.split("; "))  # the same licence of several packages once
                r.append("; ".join(parts))
    more = f'<p class="note">{len(d.clients) - len(shown)} more clients.</p>' if len(d.clients) > len(shown) else ""
    table = page.table(head, rows, units, left=words) + more
    return table if d.is_text else page.fold(f"{len(shown)} of {len(d.clients)} clients", table, len(shown) <= 12)


def document_lengths(d):
    lengths = {c: d.f[f"documents/{c}/length"][()] for c in d.clients[:MOST_ROWS] if f"documents/{c}/length" in d.f}
    lengths = {c: v for c, v in lengths.items() if v.size}
    if not lengths:
        return ""
    return page.figure("Length of documents", figures.ranges(list(lengths), list(lengths.values()), d.unit),
                       "median, middle half (thick), 5th to 95th percentile (thin)")


def text_figures(d):
    """(figures for the grid, a wide one or "")."""
    shown = d.clients[:MOST_ROWS]
    vocab = max(d.vocab, 256)
    counts = np.array([np.bincount(d.tokens(c), minlength=vocab)[:vocab] for c in shown], dtype=float)
    p = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    bits = [entropy(q) for q in p]
    items = [page.figure("Entropy of single tokens", figures.bars(shown, bits, "bits/token", series=2,
                         notes=[text.number(b, 3) for b in bits]), "what a model without context can reach"),
             document_lengths(d),
             page.figure("How unlike the clients are", figures.heat(shown, divergences(p), "bits"),
                         "Jensen-Shannon divergence of their tokens, bits: 0 alike, 1 nothing in common")]
    wide = ""
    if d.tokenizer in ("", "byte"):
        classes = [byte_classes(q) for q in p]
        parts = [(classes[0][k][0], [c[k][1] * 100 for c in classes]) for k in range(len(classes[0]))]
        wide = page.figure("What the bytes are", figures.stacked(shown, parts, "%"), "share of the training text")
    return list(filter(None, items)), wide


def contents(d):
    items, wide = text_figures(d) if d.is_text else (examples.figures_of(d), labels(d))
    items = [sizes(d), *items]
    sentences = [i for i in items if i.startswith("<p")]
    return "".join(sentences) + page.figures([i for i in items if i not in sentences]) + wide


def labels(d):
    """Shares of classes by client, where a field is called label."""
    field = next((f for f in d.fields if f in ("label", "labels")), None)
    if field is None or d.f[f"examples/{d.clients[0]}/{field}"].dtype.kind not in "iu":
        return ""
    shown = d.clients[:MOST_ROWS]
    values = [d.f[f"examples/{c}/{field}"][()].ravel() for c in shown]
    classes = int(max(v.max() for v in values if v.size)) + 1
    if classes > 20:
        return ""
    share = np.array([np.bincount(v, minlength=classes) / max(v.size, 1) * 100 for v in values])
    parts = [(str(k), share[:, k]) for k in range(classes)]
    return page.figure("Labels by client", figures.stacked(shown, parts, "%"))


def samples(d):
    if not d.is_text:
        return examples.samples(d)
    if d.tokenizer not in ("", "byte"):
        return ""
    parts = []
    for c in d.clients[:MOST_ROWS]:
        raw = d.f[f"examples/{c}/tokens"]
        start = raw.shape[0] // 3
        piece = raw[start:start + 4 * SAMPLE_BYTES].astype(np.uint8).tobytes()
        # From the beginning of a paragraph, and whole characters only.
        piece = piece[max(piece.find(b"\n"), piece.find(b"\0"), -1) + 1:][:SAMPLE_BYTES] or piece[:SAMPLE_BYTES]
        words = piece.decode("utf-8", "ignore").replace("\0", "\n■\n").strip()
        parts.append(f"<h3>{html.escape(c)}</h3><pre>{html.escape(words)} …</pre>")
    return page.section("Samples", "".join(parts), "From the middle of each client's training text; ■ ends a document.")


def made_how(f):
    """What a set of sounds says of its making, as a table."""
    told = [[name.replace("_", " "), text_of(f.attrs[name])] for name in TOLD if name in f.attrs]
    return page.table(["property", "value"], told, left=2) if told else ""


def build(path):
    """The page as text."""
    with open_h5(path) as f:
        d = DataSet(f, path)
        total = d.totals
        documents = sum(int(d.attribute(c, "documents") or 0) for c in d.clients)
        pairs = [(f"{len(d.clients)}", "clients"), (text.scaled(float(total["training"]), ""), f"{d.unit}, training")]
        pairs += [(text.scaled(float(total[s]), ""), f"{d.unit}, {s}") for s in ("validation", "test") if total[s]]
        if d.elsewhere:
            pairs.append((f"{len(d.elsewhere)}", "clients held out"))
        if documents:
            pairs.append((text.scaled(float(documents), ""), "documents"))
        if d.tokenizer:
            pairs.append((d.tokenizer, f"tokenizer, {d.vocab} tokens"))
        pairs.append((text.scaled(float(os.path.getsize(path)), "bytes"), "file"))
        first = d.f["examples"][d.clients[0]]
        fields = [[name, str(first[name].dtype), " × ".join(map(str, ["rows", *first[name].shape[1:]])),
                   text_of(first[name].attrs.get("description", ""))] for name in d.fields]
        body = page.tiles(pairs)
        body += page.section("Clients", client_table(d))
        body += page.section("Contents", contents(d)) + samples(d)
        body += page.section("Fields", page.table(["field", "type", "shape", "what it is"], fields, left=4) + made_how(f))
        entries = read_provenance(f)
        config = entries.pop("config", "")
        if entries:
            body += page.section("Provenance", page.table(["entry", "value"], [list(e) for e in entries.items()], left=2)
                                 + (page.fold("configuration", f"<pre>{html.escape(config)}</pre>") if config else ""))
        description = text_of(f.attrs["description"]) if "description" in f.attrs else ""
    return page.document(f"Data set {os.path.basename(path)}", description, body)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="analysis/card", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA.h5")
    parser.add_argument("-o", "--output", metavar="FILE.html", help="default: DATA.html in the current folder")
    args = parser.parse_args(arguments)
    output = args.output or os.path.splitext(os.path.basename(args.data))[0] + ".html"
    return page.write("card", output, lambda: build(args.data))
