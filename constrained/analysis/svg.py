"""A flow as an SVG picture: a tree from left to right, drawn without any other program. Reads no logic."""

from __future__ import annotations

from xml.sax.saxutils import escape

from constrained.analysis.flow import Box, Counts, Flow, told

CHARACTER, LINE, GAP, COLUMN = 6.6, 15, 14, 70  # pixels: of a character, a line of text, between boxes, between columns
_FILLS = {"function": "#e3eaf4", "condition": "#fff7d6", "response": "#ffffff", "step": "#eef7ff", "end": "#dddddd"}
_COME, _MISSED = "#d9f2d9", "#fde0dc"


def svg(flow: Flow, counts: Counts | None = None) -> str:
    """The whole picture; with counts, what nothing came to is red."""
    texts = {box.number: told(box, counts) for box in flow.boxes}
    places = _placed(flow, texts)
    width = max(x + w for x, y, w, h in places.values()) + GAP
    height = max(y + h for x, y, w, h in places.values()) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-family="monospace" font-size="11">',
        f"<title>{escape(flow.name)}</title>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>',
        *(_arrow(places[one.source], places[one.target], one.text) for one in flow.arrows),
        *(_box(box, places[box.number], texts[box.number], _fill(box, counts)) for box in flow.boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


Place = tuple[float, float, float, float]  # left, top, width, height


def _placed(flow: Flow, texts: dict[int, list[str]]) -> dict[int, Place]:
    """Each box in the column after that of the box it was first come to from; boxes of a column below each other, in order."""
    columns, order = _columns(flow)
    widths: dict[int, float] = {}
    for number, column in columns.items():
        widths[column] = max(widths.get(column, 0), max(map(len, texts[number])) * CHARACTER + 16)
    lefts = {column: GAP + sum(widths[one] + COLUMN for one in range(column)) for column in sorted(widths)}
    below: dict[int, float] = {}
    places: dict[int, Place] = {}
    for number in order:
        column, height = columns[number], len(texts[number]) * LINE + 10
        top = max([below.get(column, GAP)] + ([places[order[0]][1]] if places else []))
        places[number] = (lefts[column], top, max(map(len, texts[number])) * CHARACTER + 16, height)
        for other in range(column, max(widths) + 1):  # what comes later never stands higher: arrows do not cross boxes
            below[other] = max(below.get(other, GAP), top if other > column else top + height + GAP)
    return places


def _columns(flow: Flow) -> tuple[dict[int, int], list[int]]:
    """Number of each box's column, and the boxes depth first."""
    following: dict[int, list[int]] = {box.number: [] for box in flow.boxes}
    for arrow in flow.arrows:
        following[arrow.source].append(arrow.target)
    columns: dict[int, int] = {}
    order: list[int] = []
    for box in flow.boxes:
        todo = [(box.number, 0)] if box.number not in columns else []
        while todo:
            number, column = todo.pop()
            if number in columns:
                continue
            columns[number] = column
            order.append(number)
            todo += [(one, column + 1) for one in reversed(following[number])]
    return columns, order


def _fill(box: Box, counts: Counts | None) -> str:
    count = counts.of(box) if counts is not None else None
    return _FILLS[box.kind] if count is None else _COME if count[0] else _MISSED


def _box(box: Box, place: Place, lines: list[str], fill: str) -> str:
    x, y, width, height = place
    rounding = {"function": 12, "end": 12, "condition": 0}.get(box.kind, 4)
    rows = "".join(f'<tspan x="{x + 8:.0f}" dy="{LINE}">{escape(line)}</tspan>' for line in lines)
    dash = ' stroke-dasharray="4 3"' if box.kind == "condition" else ""
    shape = f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="{rounding}" fill="{fill}" stroke="#555"{dash}/>'
    title = f"<title>line {box.line}</title>" if box.line else ""
    return f'<g>{title}{shape}<text x="{x + 8:.0f}" y="{y + 3:.0f}">{rows}</text></g>'


def _arrow(source: Place, target: Place, text: str) -> str:
    x1, y1 = source[0] + source[2], source[1] + source[3] / 2
    x2, y2 = target[0], target[1] + target[3] / 2
    bend = max(30.0, abs(x2 - x1) / 2)
    path = f"M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    label = f'<text x="{x1 + 6:.0f}" y="{y1 - 3 + (8 if y2 > y1 else 0):.0f}" fill="#555">{escape(text)}</text>' if text else ""
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>{label}'
