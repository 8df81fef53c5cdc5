"""``constrained play``: talks with a pack, in a terminal or through a pipe, and shows why each reply was given.

The reasons of a turn: what was heard, what was allowed by which line, what was blocked, how the reply was chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from constrained.catalog.response import Source
from constrained.cli.models import MODEL_HELP, load_engine, model_or_default
from constrained.cli.screen import bar, line, note, out, percent, say, show
from constrained.dialogue.dialogue import THRESHOLD, Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Engine
from constrained.logic.evidence import ACT_THRESHOLD
from constrained.logic.options import Obligation, Option, with_it
from constrained.logic.state import State
from constrained.packs import load_policy
from constrained.understanding.hearing import Hearing

Refresh = Callable[[Dialogue, State], tuple[Dialogue, State]]
HELP = "/state shows what is true now, /why turns the reasons on and off, /quit ends"
Row = tuple[str, str, str, str, str]  # what, a bar, a share, a line of the logic file, a remark
TITLE_WIDTH = 8


def play(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    why: Annotated[bool, typer.Option("--why", help="Show what was heard, allowed and blocked, and by which line.")] = False,
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "",
    adapter: Annotated[Path | None, typer.Option(help="A folder that constrained tune wrote.")] = None,
    fitted: Annotated[Path | None, typer.Option(help="A folder that constrained fit wrote.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
    locale: Annotated[str | None, typer.Option(help="BCP 47 tag of the language to answer in.")] = None,
    log: Annotated[Path | None, typer.Option(help="Append every turn to this log (.jsonl or .db), for: constrained replay")] = None,
    state: Annotated[str | None, typer.Option(help="The state to begin with, as JSON: '{\"gold\": 80}'")] = None,
    channel: Annotated[str | None, typer.Option(help="Where this is, such as sms: only what is approved for it is said.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Likewise, such as EU.")] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="For development: responses without an approval may be said.")] = False,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="The fallback is said below this probability.")] = THRESHOLD,
    act_threshold: Annotated[float, typer.Option(min=0, max=1, help="An act of high risk needs this probability.")] = ACT_THRESHOLD,
) -> None:
    """Talk with a pack; reads a pipe too, one message a line."""
    policy = load_policy(name, signed=not drafts)
    begin = policy.state_type.from_json(state) if state is not None else policy.state_type.default()
    engine = None if rules else load_engine(model_or_default(model, learned=adapter or fitted), adapter, fitted)
    dialogue = Dialogue(
        policy,
        engine=engine,
        log=log,
        locale=locale,
        threshold=threshold,
        act_threshold=act_threshold,
        channel=channel,
        jurisdiction=jurisdiction,
        drafts=drafts,
    )
    talk(dialogue, begin, why=why)


def offer_to_play(names: list[str], engine: Engine | None) -> None:
    """On a terminal: asks which pack to play, until none is wanted."""
    while True:
        chosen = _ask(f"Play one yourself? {', '.join(names)}, or Enter to end: ")
        if not chosen:
            return
        if chosen not in names:
            note(f"there is no {chosen} here")
            continue
        policy = load_policy(chosen, signed=True)
        talk(Dialogue(policy, engine=engine), policy.state_type.default(), why=True)


def talk(dialogue: Dialogue, state: State, *, why: bool, refresh: Refresh = lambda dialogue, state: (dialogue, state)) -> None:
    """Replies to every message; the host's part, running the effects, is done here.

    Args:
        refresh: what goes on with the next message, or Enter alone: the same, or the conversation with an edited pack.
    """
    speaker = dialogue.catalog.speaker or dialogue.catalog.name
    if sys.stdin.isatty():
        note(f"{speaker}. {HELP}.")
    for message in _messages():
        command = message.strip()
        if command == "/quit":
            return
        dialogue, state = refresh(dialogue, state)
        if not command and sys.stdin.isatty():
            continue
        if command == "/state":
            line(state.model_dump_json(indent=2))
        elif command == "/why":
            why = not why
        elif command == "/help":
            note(HELP)
        else:
            state = _reply(dialogue, message, state, why=why)


def _reply(dialogue: Dialogue, message: str, state: State, *, why: bool) -> State:
    """One message, and what a procedure has to say once its effects have run; the state after it."""
    speaker = dialogue.catalog.speaker or dialogue.catalog.name
    while True:
        turn = dialogue.reply(message, state)
        state = turn.apply(state)
        say(speaker.split(",")[0], turn.text)
        if why:
            show_why(turn)
        if not turn.goes_on:
            return state
        message = ""


def _messages() -> Iterator[str]:
    """What the user writes: lines of a pipe as they are, or what is typed."""
    if not sys.stdin.isatty():
        for text in sys.stdin:
            yield text.rstrip("\n")
            out.file.flush()
        return
    _edit_lines()
    while (text := _ask("you: ")) is not None:
        yield text


def _ask(prompt: str) -> str | None:
    """What is typed; None at the end of input or on Ctrl-C."""
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        line()
        return None


def _edit_lines() -> None:
    """Arrow keys and history for ``input``, where the platform has them."""
    try:
        import readline
    except ImportError:  # Windows: the console edits lines itself
        return
    readline.set_history_length(100)


def show_why(turn: Turn) -> None:
    """Prints the trace of a turn, in the order of its stages."""
    _show_heard(turn)
    allowed = turn.trace.allowed
    _fact("logic", _files(turn))
    _section("allowed", [_option(turn, option, probability) for option, probability in turn.decision.ranked()])
    _section("obliged", [(one.id, "", "", _place(one.source), _obliged(one)) for one in with_it(turn.decision.chosen, allowed.obligations)])
    _section("blocked", [(one.response_id, "", "", _place(one.source), one.reason) for one in allowed.blocked])
    _fact("decided", _decision(turn))
    if turn.offered or turn.pending:
        _fact("open", ", ".join((*(f"{one} is offered" for one in turn.offered), *(f"{one} is pending" for one in turn.pending))))
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
    by = f", answered by {decision.decoding.answered_by}" if decision.decoding and decision.decoding.answered_by else ""
    before = "".join(
        f"; {one.stage} said {one.best.partition(':')[2] or one.best} {percent(one.probability)}, under {percent(one.threshold)}"
        for one in (decision.decoding.handed_on if decision.decoding else ())
    )
    return f"{decision.why} (mode {decision.mode}, margin {decision.margin:.2f}{threshold}{by}{before})"


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
    table.add_column(style="dim", width=TITLE_WIDTH)
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
    table.add_column(style="dim", width=TITLE_WIDTH)
    table.add_column(overflow="fold")
    table.add_row(title, Text(text))
    show(table)
