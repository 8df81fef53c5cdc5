"""Signs what waits for an approval in the shipped packs, with keys that are made for it and thrown away. For the people of the packs only.

python tools/approve_packs.py            sign; writes catalogs/people.toml and the ledgers
python tools/approve_packs.py --check    exit status 1 when something waits

A real desk keeps its keys and signs with: constrained approve NAME --as PERSON
"""

from __future__ import annotations

import re
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from constrained.approval.keys import load_private, new_pair, to_text
from constrained.approval.ledger import Ledger, append, ledger_path, read_ledger
from constrained.approval.people import load_people
from constrained.approval.worklist import SigningTerms, VersionStatus, open_versions, to_approve
from constrained.catalog.load import load_catalog
from constrained.catalog.response import Catalog

FOLDER = Path(__file__).resolve().parents[1] / "catalogs"
PEOPLE = FOLDER / "people.toml"
SIGNERS = {  # in this order
    "tavern": ("Demo Editor",),
    "bank_disputes": ("Demo Compliance", "Demo Fraud Desk"),
    "clinic_booking": ("Demo Clinician", "Demo Operations"),
}
_KEYS = re.compile(r'(?P<head>\[people\."(?P<name>[^"]+)"\]\n(?:(?!\[).*\n)*?keys = )\[(?P<keys>[^\]]*)\]')


def waiting(name: str, today: date) -> tuple[Catalog, list[VersionStatus]]:
    """A catalog and what waits in it, also when nobody has a key yet."""
    catalog = load_catalog(FOLDER / f"{name}.yaml")
    path = ledger_path(catalog.path)
    people = load_people(PEOPLE, name)
    ledger = read_ledger(path, people, name) if path.exists() else Ledger(str(path))
    return catalog, open_versions(catalog, ledger, people, SigningTerms(), today)


def with_key(text: str, person: str, key: str, today: date) -> str:
    """The file of people with one key more for a person, whose other keys end today."""

    def replaced(match: re.Match[str]) -> str:
        if match["name"] != person:
            return match[0]
        present = re.findall(r'\{[^}]*\}|"[^"]*"', match["keys"])
        ended = [one if one.startswith("{") else f"{{ key = {one}, until = {today} }}" for one in present]
        return match["head"] + "[" + "".join(f"\n    {one}," for one in [*ended, f'"{key}"']) + "\n]"

    return _KEYS.sub(replaced, text)


def sign(names: list[str], today: date) -> int:
    """Signs everything that waits in these packs; the number of entries."""
    n_entries = 0
    with tempfile.TemporaryDirectory() as folder:
        keys = {}
        people = {person for name in names for person in SIGNERS[name]}
        for number, person in enumerate(sorted(people)):
            path = Path(folder) / f"{number}.pem"
            PEOPLE.write_text(with_key(PEOPLE.read_text(encoding="utf-8"), person, to_text(new_pair(path)), today), encoding="utf-8")
            keys[person] = load_private(path)
        for name in names:
            for person in SIGNERS[name]:
                catalog, left = waiting(name, today)
                drafts = to_approve(left, SigningTerms(), today, by=person)
                known = load_people(PEOPLE, name)
                n_entries += len(append(ledger_path(catalog.path), drafts, by=person, key=keys[person], people=known, catalog=name))
    return n_entries


def main(arguments: list[str]) -> int:
    today = datetime.now(UTC).date()
    names = [name for name in SIGNERS if waiting(name, today)[1]]
    if "--check" in arguments:
        for name in names:
            print(f"{name}: approvals are missing; run tools/approve_packs.py")
        return 1 if names else 0
    print(f"{sign(names, today)} entries signed in {', '.join(names) or 'no pack'}")
    return 1 if any(waiting(name, today)[1] for name in SIGNERS) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
