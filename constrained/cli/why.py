"""Shows why a turn went as it did: what was heard, what was allowed by which line, what was blocked, how it was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from constrained.catalog.response import Source
from constrained.cli.screen import bar, line, percent, show
from constrained.logic.options import Obligation, Option, with_it
from constrained.logic.understanding import Hearing
from constrained.turn import Turn

Row = tuple[str, str, str, str, str]
"""What, a bar, a share, a line of the logic file, a remark."""
TITLE = 8


def show_why(turn: Turn) -> None:
    """Prints the trace of a turn, in the order of its stages."""
    _show_heard(turn)
    allowed = turn.trace.allowed
    _fact("logic", _files(turn))
    _section("allowed", [_option(turn, option, probability) for option, probability in turn.decision.ranked()])
    _section("obliged", [(one.id, "", "", _place(one.source), _obliged(one)) for one in with_it(turn.decision.chosen, allowed.obligations)])
    _section("blocked", [(one.response_id, "", "", _place(one.source), one.reason) for one in allowed.blocked])
    _fact("decided", _decision(turn))
    if turn.effects:
        _fact("effects", ", ".join(map(str, turn.effects)))
    _fact("time", ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in turn.trace.timings_ms.items()))
    line()


def _obliged(one: Obligation) -> str:
    side = "after" if one.is_after else "before"
    return f"{side}, by {one.rule}" if one.rule else side


def _files(turn: Turn) -> str:
    """The logic file, or those, whose lines are shown."""
    allowed = turn.trace.allowed
    sources = (
        [one.source for one in allowed.options]
        + [one.source for one in with_it(turn.decision.chosen, allowed.obligations)]
        + [one.source for one in allowed.blocked]
    )
    return ", ".join(sorted({Path(source.file).name for source in sources}))


def _show_heard(turn: Turn) -> None:
    """A line for each question that was answered by more than its default, the others together."""
    fields = type(turn.heard).model_fields if turn.heard is not None else {}
    told = [hearing for hearing in turn.trace.heard if hearing.value != fields[hearing.name].default]
    others = [hearing for hearing in turn.trace.heard if hearing not in told]
    _section("heard", [_heard(hearing) for hearing in told])
    if others or not told:
        shown = ", ".join(f"{one.name} {_value(one.value)} {percent(one.probability)}" for one in others)
        _fact("" if told else "heard", shown or "nothing was asked")


def _heard(hearing: Hearing) -> Row:
    among = f"among {len(hearing.candidates)}" if len(hearing.candidates) > 2 else ""
    return f"{hearing.name} {_value(hearing.value)}", bar(hearing.probability), percent(hearing.probability), "", among


def _option(turn: Turn, option: Option, probability: float | None) -> Row:
    mark = "> " if option is turn.decision.chosen else "  "
    shown = ("", "") if probability is None else (bar(probability), percent(probability))
    return mark + option.id, *shown, _place(option.source), ", ".join(map(str, option.effects))


def _decision(turn: Turn) -> str:
    decision = turn.decision
    threshold = f", threshold {percent(decision.threshold)}" if decision.threshold else ""
    return f"{decision.why} (mode {decision.mode}, margin {decision.margin:.2f}{threshold})"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(getattr(value, "name", value))


def _place(source: Source) -> str:
    return f"line {source.line}" if source.line else ""


def _section(title: str, rows: list[Row]) -> None:
    if not rows:
        return
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", width=TITLE)
    table.add_column(overflow="fold")
    if any(share for _, share, *_ in rows):
        table.add_column(width=10, style="cyan", no_wrap=True)
        table.add_column(width=6, justify="right", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for index, row in enumerate(rows):
        cells = row if len(table.columns) == len(row) + 1 else (row[0], *row[3:])
        table.add_row(title if index == 0 else "", *map(Text, cells), style="bold" if row[0].startswith(">") else "")
    show(table)


def _fact(title: str, text: str) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", width=TITLE)
    table.add_column(overflow="fold")
    table.add_row(title, Text(text))
    show(table)
