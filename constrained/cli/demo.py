"""``constrained demo``: a short conversation with every shipped pack by the model's own picks, each with its reason, and a recall.

In the last scene a response is recalled between two turns of a running conversation; keys and ledger are made for it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from constrained.approval.keys import load_private, new_pair, to_text
from constrained.approval.ledger import append, ledger_path, read_ledger
from constrained.approval.people import FILE_NAME, load_people, people_path
from constrained.approval.worklist import SigningTerms, open_versions, to_approve, to_recall
from constrained.catalog.response import Catalog
from constrained.cli.models import MODEL_HELP, fetch, load_engine
from constrained.cli.play import offer_to_play
from constrained.cli.screen import line, note, out, percent, say, today
from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.model_files import SMALL_MODEL, known_model, locate_model
from constrained.engines.protocol import Engine
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack, find_pack
from constrained.packs import load_policy, load_policy_file
from constrained.records.log import MemoryLog
from constrained.records.replay import replay


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is said to a pack, and the response that should answer each message; to an empty one a procedure goes on by itself."""

    pack: str
    turns: tuple[tuple[str, str], ...]
    locale: str | None = None
    state: dict[str, Any] = field(default_factory=dict)


CONVERSATIONS = (
    Conversation(
        "tavern",
        (
            ("Good evening, innkeeper.", "greet"),
            ("I'll pay you fifty gold for the cellar key.", "sell_key"),
            ("Do I have the key now?", "key_already_yours"),
            ("Farewell, Brom.", "parting"),
        ),
    ),
    Conversation(
        "bank_disputes",
        (
            ("My parcel never arrived and I want my money back.", "identify_first"),
            ("I have confirmed it in the app.", "identity_taken"),
            ("The boots from Kestrel Shoes never arrived.", "not_received"),
            ("Yes, please file the dispute.", "filing_now"),
            ("", "case_filed"),
        ),
        state={"transactions": [{"id": "t1", "merchant": "Kestrel Shoes", "amount": "89.90", "day": "2026-02-10"}]},
    ),
    Conversation(
        "clinic_booking",
        (
            ("Hola, buenos días", "greet"),
            ("Quiero pedir una cita", "identify"),
            ("Ya he rellenado el formulario, quiero una cita", "consent_ask"),
            ("Sí, doy mi consentimiento", "consent_given"),
            ("Pues a ver qué huecos hay el viernes", "offer_time"),
        ),
        locale="es",
        state={"appointments": []},
    ),
)
PACKS = tuple(one.pack for one in CONVERSATIONS)
MESSAGE = "Heard any rumours lately?"
SIGNER = "Demo Signer"


def demo(
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = SMALL_MODEL,
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
) -> None:
    """Hold a conversation with each shipped pack, and recall a response between two turns.

    Shows which response was picked, how surely, and what it does. On a terminal it then offers to play.
    """
    engine = None if rules else _engine(model)
    logs = [_show(one, engine) for one in CONVERSATIONS]
    _replay(logs)
    _show_recall(find_pack(PACKS[0]), engine)
    if sys.stdin.isatty() and out.is_terminal:
        offer_to_play(list(PACKS), engine)


def _engine(model: str) -> Engine:
    language = model.removeprefix(f"{SMALL_MODEL}+")
    if known_model(language) and locate_model(language) is None:
        note(f"{language} is not here yet; it is fetched once")
        fetch(language)
    return load_engine(model)


def _show(conversation: Conversation, engine: Engine | None) -> tuple[Policy, MemoryLog]:
    policy, log = load_policy(conversation.pack), MemoryLog()
    catalog = policy.catalog
    line(f"{conversation.pack}: {catalog.speaker}, {len(catalog.responses)} responses", "bold")
    dialogue = Dialogue(policy, engine=engine, log=log, locale=conversation.locale)
    state = policy.state_type.from_json(conversation.state)
    for message, expected in conversation.turns:
        if message:
            say("you", message, "bold green")
        turn = dialogue.reply(message, state)
        state = turn.apply(state)
        say(catalog.speaker.split(",")[0], turn.text)
        line(f"   {_why(turn)}" + ("" if turn.response_id == expected else f"; its authors would have said {expected}"), "dim")
    line()
    return policy, log


def _why(turn: Turn) -> str:
    """Who was picked among how many, how surely, by which engine of several, what it does, and how long it took; one line."""
    options, decision = turn.trace.allowed.options, turn.decision
    share = dict(zip((option.id for option in options), decision.probabilities, strict=False)).get(turn.response_id)
    by = f" by {decision.decoding.answered_by}" if decision.decoding and decision.decoding.answered_by else ""
    parts = [f"{turn.response_id}" + (f" {percent(share)}" if share is not None else "") + f" of {len(options)} allowed{by}"]
    parts += [f"does {', '.join(map(str, turn.effects))}"] if turn.effects else []
    return "; ".join([*parts, f"{sum(turn.trace.timings_ms.values()):.0f} ms"])


def _replay(logs: list[tuple[Policy, MemoryLog]]) -> None:
    """Takes every turn again from its record, without the model: and counts the replies with the same bytes."""
    start = time.perf_counter()
    n_same = sum(one.is_same for policy, log in logs for one in replay(policy, log.records))
    took_ms, n = (time.perf_counter() - start) * 1000, sum(len(log.records) for _, log in logs)
    line(f"replayed without the model: {n_same} of {n} replies are the same, in {took_ms:.0f} ms", "dim")


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
