"""The demo's last scene: a response is recalled between two turns of a running conversation. Keys and ledger are made for it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from constrained.approval.keys import load_private, new_pair, to_text
from constrained.approval.ledger import append, ledger_path, read_ledger
from constrained.approval.people import FILE_NAME, load_people, people_path
from constrained.approval.worklist import Terms, open_versions, to_approve, to_recall
from constrained.catalog.response import Catalog
from constrained.choice import Engine
from constrained.cli.catalogs import today
from constrained.cli.screen import line, say
from constrained.dialogue import Dialogue
from constrained.packs import Pack, load_policy_file

MESSAGE = "Heard any rumours lately?"
SIGNER = "Demo Signer"


def show_recall(pack: Pack, engine: Engine | None) -> None:
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
    waiting = open_versions(catalog, read_ledger(path, people, catalog.name), people, Terms(), today())
    drafts = to_approve(waiting, Terms(), today(), by=SIGNER)
    append(path, drafts, by=SIGNER, key=load_private(key), people=people, catalog=catalog.name)


def _recall(catalog: Catalog, response: str, key: Path) -> None:
    people = load_people(people_path(catalog.path), catalog.name)
    drafts = to_recall(catalog, response, Terms(reason="the facts have changed"))
    append(ledger_path(catalog.path), drafts, by=SIGNER, key=load_private(key), people=people, catalog=catalog.name)
