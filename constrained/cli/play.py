"""``constrained play``: talks with a pack, in a terminal or through a pipe, and shows why when asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from constrained.choice import Engine
from constrained.cli.loading import load_engine
from constrained.cli.screen import line, note, out, say
from constrained.cli.why import show_why
from constrained.dialogue import Dialogue
from constrained.logic.state import State
from constrained.models import DEFAULT_MODEL
from constrained.packs import load_policy

HELP = "/state shows what is true now, /why turns the reasons on and off, /quit ends"


def play(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    why: Annotated[bool, typer.Option("--why", help="Show what was heard, allowed and blocked, and by which line.")] = False,
    model: Annotated[str, typer.Option(help="A model's short name, hub id, folder or GGUF file.")] = DEFAULT_MODEL,
    adapter: Annotated[Path | None, typer.Option(help="A folder that constrained tune wrote.")] = None,
    fitted: Annotated[Path | None, typer.Option(help="A folder that constrained fit wrote.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
    locale: Annotated[str | None, typer.Option(help="BCP 47 tag of the language to answer in.")] = None,
    log: Annotated[Path | None, typer.Option(help="Append every turn to this file (JSON lines), for: constrained replay")] = None,
    state: Annotated[str | None, typer.Option(help="The state to begin with, as JSON: '{\"gold\": 80}'")] = None,
    channel: Annotated[str | None, typer.Option(help="Where this is, such as sms: only what is approved for it is said.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Likewise, such as EU.")] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="For development: responses without an approval may be said.")] = False,
) -> None:
    """Talk with a pack; reads a pipe too, one message a line."""
    policy = load_policy(name)
    begin = policy.state_type.from_json(state) if state is not None else policy.state_type.default()
    engine = None if rules else load_engine(model, adapter, fitted)
    talk(Dialogue(policy, engine=engine, log=log, locale=locale, channel=channel, jurisdiction=jurisdiction, drafts=drafts), begin, why=why)


def offer_to_play(names: list[str], engine: Engine | None) -> None:
    """On a terminal: asks which pack to play, until none is wanted."""
    while True:
        chosen = _ask(f"Play one yourself? {', '.join(names)}, or Enter to end: ")
        if not chosen:
            return
        if chosen not in names:
            note(f"there is no {chosen} here")
            continue
        policy = load_policy(chosen)
        talk(Dialogue(policy, engine=engine), policy.state_type.default(), why=True)


def talk(dialogue: Dialogue, state: State, *, why: bool) -> None:
    """Replies to every message; the host's part, running the effects, is done here."""
    speaker = dialogue.catalog.speaker or dialogue.catalog.name
    if sys.stdin.isatty():
        note(f"{speaker}. {HELP}.")
    for message in _messages():
        command = message.strip()
        if command == "/quit":
            return
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
    """What the user writes: lines of a pipe as they are, or what is typed, empty lines left out."""
    if not sys.stdin.isatty():
        for text in sys.stdin:
            yield text.rstrip("\n")
            out.file.flush()
        return
    _edit_lines()
    while (text := _ask("you: ")) is not None:
        if text.strip():
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
