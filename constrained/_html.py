"""Pages for people: HTML in one file, no script, nothing asked from elsewhere, and it prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --dim: #5c6675; --line: #d5dae1; --fill: #2f6f8f; --warn: #b4532a; }
body { font: 15px/1.5 "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: var(--ink); }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 2px solid var(--ink); }
p.dim, td.dim, caption { color: var(--dim); } p { max-width: 46rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; } td.s { white-space: nowrap; } th { font-weight: 600; border-bottom: 1px solid var(--ink); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl div { border-top: 3px solid var(--fill); padding-top: .25rem; }
dt { color: var(--dim); font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; }
.bar { background: var(--fill); height: .6rem; display: inline-block; min-width: 1px; } .warn { color: var(--warn); font-weight: 600; }
svg text { font: 11px sans-serif; fill: var(--dim); } .sign td { height: 2.6rem; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; }
  h2 { break-after: avoid; } tr { break-inside: avoid; } thead { display: table-header-group; }
  .bar, dl div { print-color-adjust: exact; -webkit-print-color-adjust: exact; } @page { margin: 16mm; }
}
""".strip()


SHORT = 24  # characters of a cell that is not broken into lines


class Html(str):
    """Text that is HTML already; everything else is escaped."""

    __slots__ = ()


def page(title: str, subtitle: str, parts: Iterable[Html]) -> str:
    """A whole page."""
    head = '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{escape(title)}</title><style>{_STYLE}</style></head>\n'
        f'<body>\n<h1>{escape(title)}</h1>\n<p class="dim">{escape(subtitle)}</p>\n{body}\n</body></html>\n'
    )


def section(title: str, *parts: str) -> Html:
    return Html(f"<section><h2>{escape(title)}</h2>\n" + "\n".join(cell(part) for part in parts if part) + "</section>")


def note(text: str) -> Html:
    return Html(f"<p>{escape(text)}</p>")


def figures(pairs: Iterable[tuple[str, object]]) -> Html:
    """A row of single figures with their names."""
    return Html("<dl>" + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(shown(value))}</dd></div>" for name, value in pairs) + "</dl>")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Html:
    """A table; numbers are set to the right. Empty text when there are no rows."""
    listed = list(rows)
    if not listed:
        return Html("")
    right = [all(isinstance(row[column], int | float) for row in listed) for column in range(len(heads))]
    top = "".join(f"<th{_class(is_right)}>{escape(head)}</th>" for head, is_right in zip(heads, right, strict=True))
    lines = (
        "<tr>" + "".join(f"<td{_class(is_right, value)}>{cell(value)}</td>" for value, is_right in zip(row, right, strict=True)) + "</tr>"
        for row in listed
    )
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Html(f"<table>{told}<thead><tr>{top}</tr></thead><tbody>" + "\n".join(lines) + "</tbody></table>")


def bar(share: float) -> Html:
    """A horizontal bar for a share of 1."""
    return Html(f'<span class="bar" style="width:{max(0.0, min(share, 1.0)) * 8:.2f}rem"></span>')


def warn(text: str) -> Html:
    return Html(f'<span class="warn">{escape(text)}</span>')


def columns(values: Sequence[tuple[str, float, float]], *, caption: str) -> Html:
    """A chart over time: (label, whole, part of it) as columns, the part filled. Drawn as SVG."""
    if not values:
        return Html("")
    width, height, top = 900, 150, max(whole for _, whole, _ in values) or 1
    step, drawn = width / len(values), []
    for number, (label, whole, part) in enumerate(values):
        for amount, colour in ((whole, "#c9d6de"), (part, "#b4532a")):
            tall = amount / top * (height - 20)
            place = f'x="{(number + 0.1) * step:.1f}" y="{height - 20 - tall:.1f}" width="{step * 0.8:.1f}" height="{tall:.1f}"'
            drawn.append(f'<rect {place} fill="{colour}"><title>{escape(label)}: {amount:g}</title></rect>')
    ends = ((0, "start", 0), (len(values) - 1, "end", width))
    for number, anchor, left in ends[: len(values)]:
        drawn.append(f'<text x="{left}" y="{height - 4}" text-anchor="{anchor}">{escape(values[number][0])}</text>')
    chart = f'<svg viewBox="0 0 {width} {height}" width="100%" role="img">{"".join(drawn)}</svg>'
    return Html(f'<figure>{chart}<figcaption class="dim">{escape(caption)}</figcaption></figure>')


def sign_off(roles: Sequence[str]) -> Html:
    """Lines for names, dates and signatures, to be filled in on paper."""
    head = "".join(f"<th>{name}</th>" for name in ("role", "name", "date", "signature"))
    rows = "".join(f"<tr><td>{escape(role)}</td><td></td><td></td><td></td></tr>" for role in roles)
    return Html(f'<table class="sign"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')


def cell(value: object) -> str:
    return value if isinstance(value, Html) else escape(shown(value))


def shown(value: object) -> str:
    """A value for people: thousands apart, shares with a digit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _class(is_right: bool, value: object = None) -> str:
    """Numbers to the right; an id, a day or a few words on one line; what is longer, wherever the line ends."""
    is_short = isinstance(value, str) and not isinstance(value, Html) and 0 < len(value) <= SHORT
    return ' class="n"' if is_right else ' class="s"' if is_short else ""
