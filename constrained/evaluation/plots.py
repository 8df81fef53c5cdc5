"""Plots as SVG, drawn by hand: lines over two axes from 0 to 1, and bars beside a diagonal. Knows no measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from constrained.audit.page import Html
from constrained.evaluation.metrics import Bin

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 440, 300, 46, 40, 10
COLOURS = ("#2f6f8f", "#b4532a", "#6b8e3d")


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y), x from 0 to 1, under one name."""

    name: str
    points: Sequence[tuple[float, float]]


def curves(lines: Sequence[Line], across: str, up: str, caption: str) -> Html:
    """Lines over a common scale; the upper end is the largest value, rounded up to a tenth."""
    highest = max((y for line in lines for _, y in line.points), default=1.0)
    top = min(1.0, max(0.1, -(-highest * 10 // 1) / 10))
    drawn = [_axes(across, up, top)]
    for line, colour in zip(lines, COLOURS, strict=False):
        path = " ".join(f"{_x(x):.1f},{_y(y, top):.1f}" for x, y in line.points)
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"><title>{escape(line.name)}</title></polyline>'
        )
    return _figure([*drawn, *_legend([line.name for line in lines])], caption)


def reliability(bins: Sequence[Bin], caption: str) -> Html:
    """How often right (a bar for each bin, as wide as it reaches) beside how sure (the diagonal)."""
    drawn = [_axes("confidence", "accuracy", 1.0)]
    for one in bins:
        left, right = _x(one.low), max(_x(one.high), _x(one.low) + 3)
        told = f"{one.n} messages: confidence {one.confidence:.3f}, accuracy {one.accuracy:.3f}"
        tall = _y(0, 1) - _y(one.accuracy, 1)
        place = f'x="{left:.1f}" y="{_y(one.accuracy, 1):.1f}" width="{right - left:.1f}" height="{tall:.1f}"'
        drawn.append(f'<rect {place} fill="#c9d6de" stroke="#2f6f8f" stroke-width="0.5"><title>{escape(told)}</title></rect>')
        drawn.append(f'<circle cx="{_x(one.confidence):.1f}" cy="{_y(one.accuracy, 1):.1f}" r="3" fill="{COLOURS[0]}"/>')
    drawn.append(f'<line x1="{_x(0)}" y1="{_y(0, 1)}" x2="{_x(1)}" y2="{_y(1, 1)}" stroke="{COLOURS[1]}" stroke-dasharray="4 3"/>')
    return _figure(drawn, caption)


def _axes(across: str, up: str, top: float) -> str:
    drawn = []
    for step in range(5):
        share = step / 4
        x, y = _x(share), _y(share * top, top)
        drawn.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 10}" y2="{y:.1f}" stroke="#e3e7ec"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * top:.3g}</text>')
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{share:.3g}</text>')
    drawn.append(f'<text x="{(LEFT + WIDTH - 10) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    middle = (HEIGHT - BOTTOM) / 2
    drawn.append(f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">{escape(up)}</text>')
    return "".join(drawn)


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<rect x="{LEFT + 10}" y="{TOP + 4 + 16 * number}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{LEFT + 26}" y="{TOP + 13 + 16 * number}">{escape(name)}</text>'
        for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False))
    ]


def _figure(drawn: Sequence[str], caption: str) -> Html:
    chart = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width:{WIDTH}px" width="100%" role="img">{"".join(drawn)}</svg>'
    return Html(f'<figure style="margin:1rem 0">{chart}<figcaption class="dim">{escape(caption)}</figcaption></figure>')


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - 10 - LEFT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)
