"""Changes of ``people.toml``: each version is signed by those who could sign before it, the first by its own people.

The entries hold the whole text of each version, so that a ledger tells by itself who could sign at any of its lines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from constrained._canonical_json import sha256
from constrained.approval.ledger import ANY, PEOPLE, DraftEntry, Entry, Ledger
from constrained.approval.people import People, parse_people
from constrained.errors import ApprovalError


def accepted_people(ledger: Ledger, catalog: str, path: str) -> People | None:
    """The last version of the file that enough people of the version before it have signed; None where none has been."""
    accepted, votes = None, dict[str, set[str]]()
    for entry in ledger.by_response.get(PEOPLE, ()):
        proposed = _proposed(entry, catalog, path)
        if proposed is None or not _could_sign(entry.by, entry, accepted or proposed):
            continue
        signers = votes.setdefault(entry.version, set())
        signers.add(entry.by)
        judges = accepted or proposed
        if not judges.lacks(judges.people_rule, signers):
            accepted, votes = proposed, {}  # what was signed for another change before this one counts no more
    return accepted


def why_people_unsigned(ledger: Ledger, people: People, catalog: str) -> str:
    """Why this version of the file does not count, as the end of a sentence; empty when it does."""
    accepted = accepted_people(ledger, catalog, people.path)
    if accepted is not None and accepted.hash == people.hash:
        return ""
    judges = accepted or people
    signers = {entry.by for entry in _open_votes(ledger, accepted, people, catalog) if _could_sign(entry.by, entry, judges)}
    needs = judges.lacks(judges.people_rule, signers)
    if accepted is None:
        return f"is not signed: it needs {needs}"
    return f"was changed after it was signed: it needs {needs} of those who could sign before"


def to_approve_people(ledger: Ledger, people: People, catalog: str, by: str, public: str, reason: str = "") -> DraftEntry | None:
    """What somebody signs for the file as it is now, with the key ``public``; None where it is signed, or they did already.

    Raises ApprovalError for somebody who could not sign before the change, or not with this key.
    """
    accepted = accepted_people(ledger, catalog, people.path)
    if accepted is not None and accepted.hash == people.hash:
        return None
    person = (accepted or people).people.get(by)
    if accepted is not None and (person is None or public not in {key.text for key in person.keys}):
        hint = f"somebody signs who could before, with the key of then: {', '.join(sorted(accepted.people))}"
        what = "with this key " if person is not None else ""
        raise ApprovalError(f"{by} could not sign {what}before this change of {people.path}", file=people.path, hint=hint)
    if any(entry.by == by for entry in _open_votes(ledger, accepted, people, catalog)):
        return None
    return DraftEntry(kind="approve", response=PEOPLE, locale=ANY, version=people.hash, text=people.content.decode("utf-8"), reason=reason)


def people_difference(accepted: People | None, people: People) -> Iterator[str]:
    """What changed in the file since it was signed last, as the lines of a unified diff."""
    before, now = (one.content.decode("utf-8").splitlines() if one is not None else [] for one in (accepted, people))
    return difflib.unified_diff(before, now, "signed/people.toml", "people.toml", lineterm="")


def _open_votes(ledger: Ledger, accepted: People | None, people: People, catalog: str) -> list[Entry]:
    """Entries for this version of the file since the last change that was accepted."""
    entries = ledger.by_response.get(PEOPLE, ())
    last = max((number for number, one in enumerate(entries) if accepted is not None and one.version == accepted.hash), default=-1)
    return [one for one in entries[last + 1 :] if one.version == people.hash and _proposed(one, catalog, people.path) is not None]


def _proposed(entry: Entry, catalog: str, path: str) -> People | None:
    """The version that an entry signs; None where its text is not the one that it names."""
    content = entry.text.encode("utf-8")
    if entry.kind != "approve" or sha256(content) != entry.version:
        return None
    try:
        return parse_people(content, path, catalog)
    except ApprovalError:
        return None


def _could_sign(by: str, entry: Entry, judges: People) -> bool:
    """Whether the key of an entry was a key of that person, and had not ended."""
    person = judges.people.get(by)
    keys = person.keys if person is not None else ()
    return any(one.text == entry.key and (one.until is None or entry.signed_on <= one.until) for one in keys)
