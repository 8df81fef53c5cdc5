"""A catalog in a folder, with people who have keys and a ledger: what the tests of approvals work with. Knows no test."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from constrained import Catalog, Policy
from constrained.approval import ledger as ledgers
from constrained.approval.in_force import ApprovalSnapshot
from constrained.approval.keys import to_text
from constrained.approval.ledger import DraftEntry, Entry, Ledger, ledger_path, read_ledger
from constrained.approval.logic_files import LogicFiles, read_logic_files
from constrained.approval.logic_signatures import to_approve_logic, to_recall_logic
from constrained.approval.people import People, load_people, people_path
from constrained.approval.people_changes import to_approve_people
from constrained.approval.worklist import SigningTerms, draft_of, to_recall, versions
from constrained.catalog.load import load_catalog
from constrained.packs import load_policy_file

TODAY = dt.datetime.now(dt.UTC).date()
ROLES = {"Dana": ["compliance"], "Tom": ["legal"], "Lena": ["compliance", "legal"], "Ada": []}
KEYS = {name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number, name in enumerate(ROLES, start=1)}

LOGIC = '''"""Says whatever it may."""

from constrained import State, must, policy, say


class Desk(State):
    warn: bool = False


@policy("desk")
def desk(state: Desk):
    """Offers all."""
    if state.warn:
        yield must("warning")
    yield say("hello")
    yield say("price", price=3)
'''

RESPONSES: dict[str, Any] = {
    "pardon": {"text": "Pardon?", "when": "nothing else fits"},
    "hello": {"text": {"en": "Hello.", "es": "Hola."}, "when": "a greeting"},
    "price": {"text": "{price} coins.", "slots": {"price": "integer"}, "when": "the price", "tags": ["money"]},
    "warning": {"text": "Mind the gap.", "when": "there is a gap"},
}


@dataclass
class Office:
    """A folder with catalogs/desk.yaml, logic/desk.py, people.toml and a ledger."""

    root: Path
    responses: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(RESPONSES)))
    head: dict[str, Any] = field(default_factory=lambda: {"author": "Ada"})
    rules: str = ""

    def __post_init__(self) -> None:
        (self.root / "catalogs").mkdir(exist_ok=True)
        (self.root / "logic").mkdir(exist_ok=True)
        (self.root / "logic" / "desk.py").write_text(LOGIC)
        self.write()
        self.write_people()

    @property
    def path(self) -> Path:
        return self.root / "catalogs" / "desk.yaml"

    @property
    def ledger_file(self) -> Path:
        return ledger_path(self.path)

    @property
    def catalog(self) -> Catalog:
        return load_catalog(self.path)

    @property
    def policy(self) -> Policy:
        return load_policy_file(self.root / "logic" / "desk.py")

    @property
    def people(self) -> People:
        return load_people(people_path(self.path), "desk")

    @property
    def ledger(self) -> Ledger:
        return read_ledger(self.ledger_file, self.people, "desk")

    def write(self) -> None:
        """JSON is YAML."""
        data = {"catalog": "desk", "version": 1, "locale": "en", "fallback": "pardon", **self.head, "responses": self.responses}
        self.path.write_text(json.dumps(data, ensure_ascii=False, indent=1))

    def write_people(self, **roles: list[str]) -> None:
        lines = [self.rules]
        for name, given in (roles or ROLES).items():
            lines.append(f'[people."{name}"]\nroles = {json.dumps(given)}\nkeys = ["{to_text(KEYS[name].public_key())}"]\n')
        people_path(self.path).write_text("\n".join(lines))

    def sign(self, by: str, *drafts: DraftEntry) -> tuple[Entry, ...]:
        return ledgers.append(self.ledger_file, list(drafts), by=by, key=KEYS[by], people=self.people, catalog="desk")

    def approve(self, by: str = "Dana", *ids: str, kind: Any = "approve", **terms: Any) -> tuple[Entry, ...]:
        """Signs for these responses, or all, in every locale."""
        catalog = self.catalog
        drafts = [
            draft_of(kind, one, locale, SigningTerms(**terms))
            for one in catalog.responses.values()
            if not ids or one.id in ids
            for locale in one.texts
        ]
        return self.sign(by, *drafts)

    @property
    def logic_path(self) -> Path:
        return self.root / "logic" / "desk.py"

    @property
    def files(self) -> LogicFiles:
        return read_logic_files(self.logic_path)

    def sign_people(self, by: str = "Dana") -> None:
        draft = to_approve_people(self.ledger, self.people, "desk", by, to_text(KEYS[by].public_key()))
        assert draft is not None
        self.sign(by, draft)

    def approve_logic(self, by: str = "Dana", *, kind: Any = "approve", day: dt.date | None = None, **terms: Any) -> None:
        today, is_restoring = day or dt.datetime.now(dt.UTC).date(), kind == "restore"
        given = SigningTerms(**terms)
        draft = to_approve_logic(self.files, self.ledger, self.people, given, today, by=by, is_restoring=is_restoring)
        assert draft is not None
        self.sign(by, draft)

    def recall_logic(self, by: str = "Tom") -> None:
        self.sign(by, to_recall_logic(SigningTerms(reason="wrong")))

    def recall(self, response: str, by: str = "Tom", **terms: Any) -> tuple[Entry, ...]:
        return self.sign(
            by, *to_recall(self.catalog, response, SigningTerms(reason="wrong", **terms), None, self.ledger.by_response.get(response, ()))
        )

    def reasons(self, day: dt.date = TODAY, **place: Any) -> dict[str, str]:
        """ "response locale" -> why it may not be said."""
        standing = ApprovalSnapshot(self.ledger, self.people, **place)
        return {f"{one.response.id} {one.locale}": one.reason for one in versions(self.catalog, standing, day)}
