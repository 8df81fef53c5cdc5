"""Signs the shipped packs and the desk among the examples anew, with keys that are made for it and thrown away.

python tools/approve_packs.py            sign everything where anything waits; writes people.toml and the ledgers
python tools/approve_packs.py --all      sign everything in any case
python tools/approve_packs.py --check    exit status 1 when something waits

A change of people.toml is signed by somebody who could sign before it. Nobody has a key of before here, so the ledgers are begun
anew, all of one folder together. A real desk keeps its keys and its ledger, and signs with: constrained approve NAME --as PERSON
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from constrained.approval.keys import load_private, new_pair, to_text
from constrained.approval.ledger import Ledger, append, ledger_path, read_ledger
from constrained.approval.logic_files import read_logic_files
from constrained.approval.logic_signatures import logic_status, to_approve_logic
from constrained.approval.people import FILE_NAME, load_people
from constrained.approval.people_changes import to_approve_people, why_people_unsigned
from constrained.approval.worklist import SigningTerms, open_versions, to_approve
from constrained.catalog.load import load_catalog

ROOT = Path(__file__).resolve().parents[1]
TERMS = SigningTerms()


@dataclass(frozen=True, slots=True)
class Desk:
    """A pack, its logic file, who signs it (in this order), and the responses that are left unsigned on purpose."""

    catalog: Path
    logic: Path
    signers: tuple[str, ...]
    unsigned: frozenset[str] = frozenset()

    @property
    def people(self) -> Path:
        return self.catalog.parent / FILE_NAME


def _pack(name: str, *signers: str) -> Desk:
    return Desk(ROOT / "catalogs" / f"{name}.yaml", ROOT / "logic" / f"{name}.py", signers)


FOLDERS = {  # the desks of one folder have their people in common, and are signed together
    "packs": (
        _pack("tavern", "Demo Editor"),
        _pack("caravan", "Demo Editor"),
        _pack("bank_disputes", "Demo Compliance", "Demo Fraud Desk"),
        _pack("clinic_booking", "Demo Clinician", "Demo Operations"),
    ),
    "examples": (
        Desk(ROOT / "examples/catalogs/desk.yaml", ROOT / "examples/desk.py", ("Demo Compliance",), frozenset(("gift", "gift__offer"))),
    ),
}
_KEYS = re.compile(r'(?P<head>\[people\."(?P<name>[^"]+)"\]\n(?:(?!\[).*\n)*?keys = )\[(?P<keys>[^\]]*)\]')


def waits(desk: Desk, today: date) -> bool:
    """Whether something of a desk is not signed as it is."""
    catalog, path = load_catalog(desk.catalog), ledger_path(desk.catalog)
    people = load_people(desk.people, catalog.name)
    ledger = read_ledger(path, people, catalog.name) if path.exists() else Ledger(str(path))
    if any(one.response.id not in desk.unsigned for one in open_versions(catalog, ledger, people, TERMS, today)):
        return True
    if not catalog.is_approval_required:
        return False
    files = read_logic_files(desk.logic)
    return bool(why_people_unsigned(ledger, people, catalog.name) or logic_status(catalog, files, ledger, people, TERMS, today))


def sign(desks: tuple[Desk, ...], today: date) -> int:
    """Signs these desks, whose people are in one file, from the first line on; the number of entries."""
    names = sorted({person for desk in desks for person in desk.signers})
    with tempfile.TemporaryDirectory() as folder:
        files = {person: Path(folder) / f"{number}.pem" for number, person in enumerate(names)}
        public = {person: to_text(new_pair(path)) for person, path in files.items()}
        text = desks[0].people.read_text(encoding="utf-8")
        new_text = _KEYS.sub(lambda found: f'{found["head"]}["{public[found["name"]]}"]' if found["name"] in public else found[0], text)
        desks[0].people.write_text(new_text, encoding="utf-8")
        return sum(_sign_desk(desk, files, today) for desk in desks)


def _sign_desk(desk: Desk, keys: dict[str, Path], today: date) -> int:
    catalog, path = load_catalog(desk.catalog), ledger_path(desk.catalog)
    path.unlink(missing_ok=True)
    people, n_entries = load_people(desk.people, catalog.name), 0
    for person in desk.signers:
        key, ledger = load_private(keys[person]), read_ledger(path, people, catalog.name)
        waiting = [one for one in open_versions(catalog, ledger, people, TERMS, today) if one.response.id not in desk.unsigned]
        drafts = to_approve(waiting, TERMS, today, by=person)
        if catalog.is_approval_required:
            public = to_text(key.public_key())
            files = read_logic_files(desk.logic)
            changed = to_approve_people(ledger, people, catalog.name, person, public)
            logic = to_approve_logic(files, ledger, people, TERMS, today, by=person) if not n_entries else None
            drafts = [*([changed] if changed else []), *drafts, *([logic] if logic else [])]
        n_entries += len(append(path, drafts, by=person, key=key, people=people, catalog=catalog.name))
    return n_entries


def main(arguments: list[str]) -> int:
    today = datetime.now(UTC).date()
    waiting = [name for name, desks in FOLDERS.items() if "--all" in arguments or any(waits(desk, today) for desk in desks)]
    if "--check" in arguments:
        for name in waiting:
            print(f"{name}: approvals are missing; run tools/approve_packs.py")
        return 1 if waiting else 0
    n_entries = sum(sign(FOLDERS[name], today) for name in waiting)
    print(f"{n_entries} entries signed in {', '.join(waiting) or 'no folder'}")
    return 1 if any(waits(desk, today) for desks in FOLDERS.values() for desk in desks) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
