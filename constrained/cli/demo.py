"""``constrained demo``: plays golden dialogues of every shipped pack with the real model, and shows why each reply was given."""

from __future__ import annotations

import inspect
import sys
import time
from typing import Annotated

import typer

from constrained.audit.log import MemoryLog
from constrained.audit.replay import replay
from constrained.choice import Engine
from constrained.cli.demo_recall import show_recall
from constrained.cli.loading import fetch, load_engine
from constrained.cli.play import offer_to_play
from constrained.cli.screen import line, note, out, say
from constrained.cli.why import show_why
from constrained.dialogue import Dialogue
from constrained.golden import GoldenDialogue, load_golden
from constrained.logic.policy import Policy
from constrained.models import DEFAULT_MODEL, known_model, locate_model
from constrained.packs import Pack, find_pack, load_policy

PACKS = ("tavern", "bank_disputes", "clinic_booking")
N_TURNS = 5  # of a dialogue; the rest is in dialogues/NAME.yaml


def demo(
    model: Annotated[str, typer.Option(help="A model's short name, hub id, folder or GGUF file.")] = DEFAULT_MODEL,
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
) -> None:
    """Hold a conversation with each shipped pack, and recall a response between two turns.

    Shows why each reply was given. On a terminal it then offers to play.
    """
    engine = None if rules else _engine(model)
    for name in PACKS:
        _show(find_pack(name), engine)
    show_recall(find_pack(PACKS[0]), engine)
    if sys.stdin.isatty() and out.is_terminal:
        offer_to_play(list(PACKS), engine)


def _engine(model: str) -> Engine:
    if known_model(model) and locate_model(model) is None:
        note(f"{model} is not here yet; it is fetched once")
        fetch(model)
    return load_engine(model)


def _show(pack: Pack, engine: Engine | None) -> None:
    policy = load_policy(pack.name)
    catalog = policy.catalog
    line(f"{pack.name}: {catalog.speaker}", "bold")
    line(f"{len(catalog.responses)} approved responses. {inspect.getdoc(policy) or ''}", "dim")
    line()
    log = MemoryLog()
    if pack.dialogues_path is not None:
        for dialogue in _chosen(load_golden(pack.dialogues_path).dialogues):
            _play(policy, dialogue, engine, log)
    _replay(policy, log)


def _chosen(dialogues: tuple[GoldenDialogue, ...]) -> list[GoldenDialogue]:
    """The first dialogue, and the first in another language."""
    first, *rest = dialogues
    return [first, *[other for other in rest if other.locale not in (None, first.locale)][:1]]


def _play(policy: Policy, golden: GoldenDialogue, engine: Engine | None, log: MemoryLog) -> None:
    dialogue = Dialogue(policy, engine=engine, log=log, locale=golden.locale)
    state = policy.state_type.from_json(golden.state or {})
    line(f"-- {golden.name}" + (f" ({golden.locale})" if golden.locale else ""), "bold")
    for planned in golden.turns[:N_TURNS]:
        if planned.says:  # to an empty message a procedure goes on, once its effects have run
            say("you", planned.says, "bold green")
        turn = dialogue.reply(planned.says, state)
        state = turn.apply(state)
        say(policy.catalog.speaker.split(",")[0], turn.text)
        if turn.response_id != planned.expects:
            line(f"(its authors would have said {planned.expects})", "yellow")
        show_why(turn)


def _replay(policy: Policy, log: MemoryLog) -> None:
    """Takes every turn again from its record, without the model: and counts the replies with the same bytes."""
    start = time.perf_counter()
    records = log.records
    n_same = sum(one.is_same for one in replay(policy, records))
    took_ms = (time.perf_counter() - start) * 1000
    line(f"replayed without the model: {n_same} of {len(records)} replies are the same, in {took_ms:.0f} ms", "dim")
    line()
