# SPDX-License-Identifier: BSD-3-Clause
"""Self-contained HTML pages, light and dark: no file beside them, nothing from the network."""
import html
import sys

from .runs import DataError

# The eight colours of Okabe and Ito (2008), told apart with any common colour blindness: darkened on white where they
# would be faint, brightened on black.  Figures use the same variables, so one figure serves both themes.
LIGHT = {"paper": "#ffffff", "card": "#f6f7f9", "line": "#d9dde3", "ink": "#1b1f24", "soft": "#5b6470", "good": "#00714f",
         "bad": "#b34700", "open": "#44546a",
         "s0": "#0072b2", "s1": "#d55e00", "s2": "#009e73", "s3": "#b4558d", "s4": "#b07a00", "s5": "#3d9bd6",
         "s6": "#444444", "s7": "#857c00"}
DARK = {"paper": "#14171b", "card": "#1d2126", "line": "#353b44", "ink": "#e8eaed", "soft": "#a2abb8", "good": "#3fd0a0",
        "bad": "#ff8f4d", "open": "#a9b8cf",
        "s0": "#56b4e9", "s1": "#ff8c42", "s2": "#2fd0a0", "s3": "#e59ac4", "s4": "#f0b429", "s5": "#8f9bff",
        "s6": "#d5d5d5", "s7": "#f0e442"}
SERIES = 8
# Lines differ by dash as well as by colour.
DASHES = ["", "7 3", "2 2.5", "8 3 2 3", "12 3", "4 4", "8 2 2 2 2 2", "1.5 4"]

STYLE = """
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 var(--font); }
main, header { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 28px; display: flex; align-items: baseline; gap: 16px; flex-wrap: wrap; }
h1 { font-size: 26px; margin: 0; letter-spacing: -.01em; }
header p { color: var(--soft); margin: 0; flex: 1; }
button { font: inherit; font-size: 13px; color: var(--soft); background: none; border: 1px solid var(--line);
  border-radius: 6px; padding: 3px 10px; cursor: pointer; }
h2 { font-size: 19px; margin: 36px 0 2px; }
h3 { font-size: 15px; margin: 18px 0 4px; }
.note { color: var(--soft); margin: 0 0 10px; max-width: 100ch; }
.scroll { overflow-x: auto; margin: 8px 0; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th small { display: block; font-weight: 400; }
td small { display: block; color: var(--soft); }
th.left, td.left { text-align: left; }
td.wide { white-space: normal; min-width: 12em; }
tbody tr:hover { background: var(--card); }
code, pre { font: 12.5px/1.45 var(--mono); }
pre { background: var(--card); padding: 12px; border-radius: 8px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.legend { position: sticky; top: 0; z-index: 1; background: var(--paper); border-bottom: 1px solid var(--line);
  padding: 8px 0; margin-top: 12px; display: flex; flex-wrap: wrap; gap: 4px 22px; font-size: 13.5px; }
.legend svg { vertical-align: middle; margin-right: 6px; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); gap: 16px; margin: 12px 0; }
.figures.three { grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); }
figure { margin: 0; background: var(--card); border-radius: 10px; padding: 12px 12px 6px; }
figcaption { font-size: 13.5px; font-weight: 600; padding: 0 4px 4px; }
figcaption small { font-weight: 400; color: var(--soft); }
figure svg { width: 100%; height: auto; display: block; }
.grid { display: grid; grid-template-columns: max-content 1fr; gap: 6px 14px; align-items: center; overflow-x: auto; }
.grid span { color: var(--soft); font-size: 13px; max-width: 260px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.grid img { display: block; height: auto; max-width: 100%; image-rendering: pixelated; border-radius: 4px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.tile { background: var(--card); border-radius: 10px; padding: 10px 18px; min-width: 110px; }
.tile b { display: block; font-size: 21px; font-weight: 600; }
.tile span { color: var(--soft); font-size: 13px; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--soft); }
.verdict { font-weight: 600; }
.verdict.reproduced { color: var(--good); } .verdict.not-reproduced { color: var(--bad); } .verdict.inconclusive { color: var(--open); }
td .verdict + small { white-space: normal; min-width: 14em; }
.words { white-space: normal; min-width: 15em; } .words.few { min-width: 8em; }
.warning { border-left: 3px solid var(--bad); padding: 4px 12px; margin: 12px 0; }
footer { color: var(--soft); font-size: 13px; margin: 40px 0 28px; }
@media print { .legend { position: static; } button { display: none; } }
"""

SCRIPT = """
var root = document.documentElement, media = window.matchMedia('(prefers-color-scheme: dark)');
document.getElementById('theme').addEventListener('click', function () {
  var dark = root.dataset.theme ? root.dataset.theme === 'dark' : media.matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});
"""


def _variables(theme):
    return " ".join(f"--{name}: {value};" for name, value in theme.items())


def document(title, summary, body):
    """A whole page."""
    dark = _variables(DARK)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
:root {{ {_variables(LIGHT)}
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; color-scheme: light; }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} color-scheme: dark; }} }}
:root[data-theme=light] {{ {_variables(LIGHT)} color-scheme: light; }}
:root[data-theme=dark] {{ {dark} color-scheme: dark; }}
{STYLE}</style>
</head>
<body>
<header><h1>{html.escape(title)}</h1><p>{html.escape(summary)}</p><button id="theme" type="button">light / dark</button></header>
<main>
{body}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def section(title, body, note=""):
    note = f'<p class="note">{html.escape(note)}</p>' if note else ""
    return f"<section><h2>{html.escape(title)}</h2>{note}{body}</section>\n"


def fold(title, body, is_open=False):
    """Something that is shown when asked for."""
    return f"<details{' open' if is_open else ''}><summary>{html.escape(title)}</summary>{body}</details>"


def table(head, rows, units=None, left=1, is_html=False):
    """A table whose first `left` columns (or the columns `left`, if it is a list) are text.  Cells are escaped unless
    is_html."""
    e = (lambda s: s) if is_html else html.escape

    words = set(range(left)) if isinstance(left, int) else set(left)

    def css(i, cell=""):
        long = len(cell) >= 60 and not is_html
        names = " ".join(n for n, on in (("left", i in words), ("wide", long)) if on)
        return f' class="{names}"' if names else ""

    units = units or [""] * len(head)
    heads = "".join(f"<th{css(i)}>{html.escape(h)}{f'<small>{html.escape(u)}</small>' if u else ''}</th>"
                    for i, (h, u) in enumerate(zip(head, units)))
    lines = []
    for row in rows:
        cells = "".join(f"<td{css(i, c)}>{e(c)}</td>" for i, c in enumerate(row))
        lines.append(f"<tr>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def tiles(pairs):
    """Big numbers: [(value, what it is)]."""
    return '<div class="tiles">' + "".join(f'<div class="tile"><b>{html.escape(v)}</b><span>{html.escape(k)}</span></div>'
                                           for v, k in pairs) + "</div>"


def swatch(series):
    dash = DASHES[series % SERIES]
    return (f'<svg width="34" height="10" aria-hidden="true"><path d="M1 5H33" stroke="var(--s{series % SERIES})" '
            f'stroke-width="2.5"{f" stroke-dasharray={chr(34)}{dash}{chr(34)}" if dash else ""}/></svg>')


def legend(labels):
    """The key to all figures of a page, always in sight."""
    return '<div class="legend">' + "".join(f"<span>{swatch(i)}{html.escape(name)}</span>"
                                            for i, name in enumerate(labels)) + "</div>"


def figure(caption, svg, note=""):
    note = f" <small>{html.escape(note)}</small>" if note else ""
    return f"<figure><figcaption>{html.escape(caption)}{note}</figcaption>{svg}</figure>"


def figures(items, css=""):
    return f'<div class="figures {css}">' + "".join(items) + "</div>"


def write(command, path, build):
    """Writes the page that build() returns to `path` and prints where; 0, or 2 and a line for what cannot be analysed."""
    try:
        out = build()
    except DataError as e:
        print(f"{command}: {e}", file=sys.stderr)
        return 2
    with open(path, "w", encoding="utf-8") as f:
        f.write(out)
    print(path)
    return 0
