"""``constrained demo``: golden dialogues of every shipped pack with the real model, each reply with its reasons, and a recall.

In the last scene a response is recalled between two turns of a running conversation; keys and ledger are made for it.
"""

from __future__ import annotations

import inspect
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from constrained.approval.keys import load_private, new_pair, to_text
from constrained.approval.ledger import append, ledger_path, read_ledger
from constrained.approval.people import FILE_NAME, load_people, people_path
from constrained.approval.worklist import SigningTerms, open_versions, to_approve, to_recall
from constrained.catalog.response import Catalog
from constrained.cli.models import fetch, load_engine
from constrained.cli.play import offer_to_play, show_why
from constrained.cli.screen import line, note, out, say, today
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.model_files import DEFAULT_MODEL, known_model, locate_model
from constrained.engines.protocol import Engine
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack, find_pack
from constrained.packs import load_policy, load_policy_file
from constrained.quality.golden import GoldenDialogue, load_golden
from constrained.records.log import MemoryLog
from constrained.records.replay import replay

PACKS = ("tavern", "bank_disputes", "clinic_booking")
N_TURNS = 5  # of a dialogue; the rest is in dialogues/NAME.yaml
MESSAGE = "Heard any rumours lately?"
SIGNER = "Demo Signer"


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
    _show_recall(find_pack(PACKS[0]), engine)
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


def _show_recall(pack: Pack, engine: Engine | None) -> None:
    """Two turns with the same message; in between, what the first one said is recalled."""
    with tempfile.TemporaryDirectory(prefix="constrained-demo-") as folder:
        logic = _copied(pack, Path(folder))
        policy = load_policy_file(logic)
        key = Path(folder) / "key.pem"
        _approve_all(policy.catalog, key)
        dialogue, speaker = Dialogue(policy, engine=engine), policy.catalog.speaker.split(",")[0]
        line("-- a recall between two turns", "bold")
        first = dialogue.reply(MESSAGE)
        say("you", MESSAGE, "bold green")
        say(speaker, first.text)
        line(f"   $ constrained recall {pack.name} {first.response_id} --as {SIGNER!r}", "bold red")
        _recall(policy.catalog, first.response_id, key)
        second = dialogue.reply(MESSAGE)
        say("you", MESSAGE, "bold green")
        say(speaker, second.text)
        blocked = next((one for one in second.trace.allowed.blocked if one.response_id == first.response_id), None)
        if blocked is not None:
            line(f"   blocked: {blocked.response_id} {blocked.reason}", "dim")
        line(f"   approvals in force, by the record: {second.record.versions['approvals'][:30]}...", "dim")
        line()


def _copied(pack: Pack, folder: Path) -> Path:
    """The pack's catalog and logic in a folder of the demo's own; returns the logic file."""
    for path, place in ((pack.catalog_path, "catalogs"), (pack.logic_path, "logic")):
        (folder / place).mkdir()
        shutil.copy(path, folder / place / path.name)
    return folder / "logic" / pack.logic_path.name


def _approve_all(catalog: Catalog, key: Path) -> None:
    """Everything approved by one person, with a key that lasts as long as the demo."""
    public = to_text(new_pair(key))
    (Path(catalog.path).parent / FILE_NAME).write_text(f'[people."{SIGNER}"]\nkeys = ["{public}"]\n', encoding="utf-8")
    people, path = load_people(people_path(catalog.path), catalog.name), ledger_path(catalog.path)
    waiting = open_versions(catalog, read_ledger(path, people, catalog.name), people, SigningTerms(), today())
    drafts = to_approve(waiting, SigningTerms(), today(), by=SIGNER)
    append(path, drafts, by=SIGNER, key=load_private(key), people=people, catalog=catalog.name)


def _recall(catalog: Catalog, response: str, key: Path) -> None:
    people = load_people(people_path(catalog.path), catalog.name)
    drafts = to_recall(catalog, response, SigningTerms(reason="the facts have changed"))
    append(ledger_path(catalog.path), drafts, by=SIGNER, key=load_private(key), people=people, catalog=catalog.name)
