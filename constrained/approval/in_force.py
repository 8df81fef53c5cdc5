"""What is in force: may this version of a response be said on this day, in this place?

A version is in force when enough of the right people have approved it, for this channel and jurisdiction, on a day
between its dates, and nobody has recalled it since. A recall voids every version approved before it; such a version
comes back only with ``restore``, which counts like an approval. A version that is first approved after a recall is
another one, and the recall does not concern it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from constrained.approval import documents
from constrained.approval.ledger import ANY, Entry, Ledger, covers, ledger_path, read_ledger
from constrained.approval.people import People, is_same_name, load_people, people_path
from constrained.catalog.response import Catalog, Response, version_hash
from constrained.errors import ApprovalError


@dataclass(frozen=True, slots=True)
class Signatures:
    """The entries of the ledger that concern a version in one place.

    Attributes:
        signed: approvals and restorations since the last recall, on whatever day they count.
        recalled_by: the last recall of the version; it holds until enough people have restored the version.
        earlier: the last approval of another version in the same locale: the text was edited since.
    """

    signed: tuple[Entry, ...]
    recalled_by: Entry | None = None
    earlier: Entry | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ApprovalSnapshot:
    """What is in force in one place: a snapshot, so that one turn sees one state of the ledger.

    Attributes:
        ledger: None where none is kept; then the catalog's own ``approval`` lines are all there is.
        is_required: the catalog refuses to speak without a ledger.
        drafts: versions without an approval in force may be said. A recall holds all the same.
        suspended: response ids whose policy document changed.
    """

    ledger: Ledger | None = None
    people: People | None = None
    channel: str | None = None
    jurisdiction: str | None = None
    drafts: bool = False
    suspended: frozenset[str] = frozenset()
    is_required: bool = False
    _reasons: dict[tuple[str, str, date], tuple[Response, str]] = field(default_factory=dict, repr=False)

    def why_not(self, response: Response, locale: str, today: date) -> str:
        """Why this response may not be said, as the end of a sentence; empty when it may."""
        if response.id in self.suspended:
            return "is suspended: the policy document that it cites has changed"
        if self.ledger is None or self.people is None:
            return "has no approval: there is no ledger of approvals" if self.is_required and not self.drafts else ""
        known = self._reasons.get((response.id, locale, today))
        if known is None or known[0] is not response:
            if len(self._reasons) > 100_000:
                self._reasons.clear()
            known = self._reasons[response.id, locale, today] = response, self._why_not(response, locale, today, self.people)
        return known[1]

    def signatures(self, response: Response, locale: str) -> Signatures:
        """Who approved or recalled a version here, on whatever day it counts."""
        entries = self.ledger.by_response.get(response.id, ()) if self.ledger else ()
        return signatures_of(entries, version_hash(response, locale), locale, self.channel, self.jurisdiction)

    def versions(self) -> dict[str, str]:
        """What a record keeps of this: enough to see it again (``snapshot_at``)."""
        kept: dict[str, str] = {}
        if self.ledger is not None and self.people is not None:
            kept["approvals"] = f"{len(self.ledger.entries)} {self.ledger.head}".strip()
            kept["people"] = self.people.hash
        if self.channel is not None:
            kept["channel"] = self.channel
        if self.jurisdiction is not None:
            kept["jurisdiction"] = self.jurisdiction
        if self.suspended:
            kept["suspended"] = " ".join(sorted(self.suspended))
        return kept | ({"drafts": "allowed"} if self.drafts else {})

    def _why_not(self, response: Response, locale: str, today: date, people: People) -> str:
        found = self.signatures(response, locale)
        reason = why_unapproved(found, response, people, today)
        if reason and found.recalled_by is not None:
            return f"was recalled by {found.recalled_by.by} on {found.recalled_by.signed_on}" + _because(found.recalled_by)
        if not reason or self.drafts:
            return ""
        return reason + (self._place() if reason.startswith("is not approved") else "")

    def _place(self) -> str:
        named = [f"{what} {value!r}" for what, value in (("channel", self.channel), ("jurisdiction", self.jurisdiction)) if value]
        return f" for {' and '.join(named)}" if named else ""


NO_LEDGER = ApprovalSnapshot()  # no ledger is kept


def signatures_of(
    entries: Iterable[Entry], version: str, locale: str, channel: str | None = None, jurisdiction: str | None = None
) -> Signatures:
    """The signatures of a version in a place, by the entries of its response in the order of the ledger."""
    signed: list[Entry] = []
    seen: set[str] = set()
    recall: Entry | None = None
    earlier: Entry | None = None
    for entry in entries:
        seen.add(entry.version)  # wherever it counted: a recall here is of every version that was there before it
        if entry.locale not in (locale, ANY) or not covers(entry, channel, jurisdiction):
            continue
        if entry.kind == "recall":
            if version in seen:
                signed, recall = [], entry
        elif entry.version != version:
            earlier = entry
        elif entry.kind == "restore" or recall is None:
            signed.append(entry)
    return Signatures(tuple(signed), recall, earlier)


def why_unapproved(found: Signatures, response: Response, people: People, today: date) -> str:
    """Why these signatures are no approval on that day, as the end of a sentence; empty when they are."""
    able = [entry for entry in found.signed if response.author and not is_same_name(entry.by, response.author)]
    counting = [entry for entry in able if entry.first_day <= today and (entry.last_day is None or today <= entry.last_day)]
    lacking = people.lacks(people.rule_for(response.tags), {entry.by for entry in counting})
    if not lacking:
        return ""
    if not response.author:
        return "has no author, so nobody can have approved it as somebody else"
    if not found.signed and found.earlier is not None:
        return f"is not approved as it is now: it was edited after {found.earlier.by} approved it on {found.earlier.signed_on}"
    ended = [entry.last_day for entry in able if entry.last_day is not None and entry.last_day < today]
    if ended:
        return f"was approved until {max(ended)}, and today is {today}"
    later = [entry.first_day for entry in able if entry.first_day > today]
    if later:
        return f"is approved from {min(later)} only, and today is {today}"
    return f"is not approved: it needs {lacking}" if counting else "is not approved"


def ends_on(found: Signatures, response: Response, people: People, today: date) -> date | None:
    """The last day on which a version that is in force today stays so by itself; None when it has no end."""
    days = sorted({entry.last_day for entry in found.signed if entry.last_day is not None and entry.last_day >= today})
    return next((day for day in days if why_unapproved(found, response, people, date.fromordinal(day.toordinal() + 1))), None)


def _because(entry: Entry) -> str:
    return f": {entry.reason}" if entry.reason else ""


# -- the present: the ledger is read again when it changes, and only then --------------------------------

Stamps = tuple[documents.Stamp, ...]


@dataclass(slots=True)
class _Reading:
    """One reading of a catalog's ledger, people and documents, and the snapshots made from it."""

    stamps: Stamps
    ledger: Ledger | None
    people: People | None
    suspended: frozenset[str]
    snapshots: dict[tuple[str | None, str | None, bool], ApprovalSnapshot] = field(default_factory=dict)


class Approvals:
    """What one conversation asks each turn.

    Args:
        channel, jurisdiction: where the conversation takes place; an approval for one place counts there only.
        drafts: the development switch: what is not approved may be said.
    """

    def __init__(self, catalog: Catalog, *, channel: str | None = None, jurisdiction: str | None = None, drafts: bool = False) -> None:
        self._watched = _WatchedCatalog.of(catalog)
        self._place = (channel, jurisdiction, drafts)

    def now(self) -> ApprovalSnapshot:
        """What is in force now. Raises ApprovalError when the ledger cannot be trusted, or is missing where it must be."""
        read = _read(self._watched)
        snapshot = read.snapshots.get(self._place)
        if snapshot is None:
            snapshot = read.snapshots[self._place] = _snapshot(self._watched.catalog, read, *self._place)
        return snapshot


def snapshot_at(catalog: Catalog, versions: Mapping[str, str]) -> ApprovalSnapshot:
    """What was in force when a record was made, by its ``versions``: to replay it.

    Raises ApprovalError when the ledger does not hold what it held then.
    """
    n_entries, _, head = versions.get("approvals", "0 ").partition(" ")
    channel, jurisdiction, drafts = versions.get("channel"), versions.get("jurisdiction"), "drafts" in versions
    suspended = frozenset(versions.get("suspended", "").split())
    if "approvals" not in versions:
        return ApprovalSnapshot(None, None, channel, jurisdiction, drafts, suspended, catalog.is_approval_required)
    read = _read(_WatchedCatalog.of(catalog))
    ledger = read.ledger.first(int(n_entries)) if read.ledger is not None else None
    if ledger is None or ledger.head != head:
        hint = "put the ledger back from its history; every entry stays in it"
        raise ApprovalError(f"the ledger of {catalog.name!r} is not the one of that turn ({n_entries} entries)", hint=hint)
    return ApprovalSnapshot(ledger, read.people, channel, jurisdiction, drafts, suspended, catalog.is_approval_required)


def has_ledger(catalog: Catalog) -> bool:
    """Whether signed approvals decide what this catalog may say."""
    return catalog.is_approval_required or bool(catalog.path and documents.file_stamp(ledger_path(catalog.path)) != documents.NO_FILE)


_known: dict[str, _Reading] = {}
_ledgers: dict[str, Ledger] = {}  # by path, for as long as the process lives: what was read once is not forgotten
_lock = threading.Lock()
_MOST_KNOWN = 64  # catalogs whose reading is kept


@dataclass(frozen=True, slots=True)
class _WatchedCatalog:
    """A catalog, the name of its reading, and the files that the reading came from."""

    catalog: Catalog
    name: str
    files: tuple[str, ...]

    @classmethod
    @lru_cache(maxsize=64)  # a conversation is taken up anew with each turn that a server takes
    def of(cls, catalog: Catalog) -> _WatchedCatalog:
        if catalog.path:  # absolute, for the working directory of a process may change
            catalog = replace(catalog, path=str(Path(catalog.path).absolute()))
        own = [ledger_path(catalog.path), people_path(catalog.path)] if catalog.path else []
        files = *own, *documents.suspending_documents(catalog)
        return cls(catalog, f"{catalog.path} {catalog.hash}", tuple(map(str, files)))


def _read(watched: _WatchedCatalog) -> _Reading:
    """The present reading; the files are read again only when their size or time changed."""
    stamps = tuple(map(documents.file_stamp, watched.files))  # before the files are read: a change in between is seen the next time
    known = _known.get(watched.name)
    if known is not None and known.stamps == stamps:
        return known
    with _lock:
        known = _known.get(watched.name)
        if known is not None and known.stamps == stamps:
            return known
        fresh = _read_files(watched.catalog, stamps, known)
        if fresh.ledger is not None:
            _ledgers[fresh.ledger.path] = fresh.ledger
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[watched.name] = fresh
        return fresh


def _read_files(catalog: Catalog, stamps: Stamps, before: _Reading | None) -> _Reading:
    stopped = documents.suspended_ids(catalog) if catalog.documents else frozenset()
    path = str(ledger_path(catalog.path)) if catalog.path else ""
    earlier = _ledgers.get(path)
    if not path or (stamps[0] == documents.NO_FILE and earlier is None):
        return _Reading(stamps, None, None, stopped)
    people = load_people(people_path(path), catalog.name)
    is_same = before is not None and before.people is not None and before.people.hash == people.hash
    ledger = read_ledger(path, people, catalog.name, before.ledger if before and is_same else None)
    if earlier is not None and not ledger.content.startswith(earlier.content):
        hint = "put the ledger back from its history"
        raise ApprovalError(f"{path}: entries that were read before are gone or changed", file=path, hint=hint)
    return _Reading(stamps, ledger, people, stopped)


def _snapshot(catalog: Catalog, read: _Reading, channel: str | None, jurisdiction: str | None, drafts: bool) -> ApprovalSnapshot:
    is_required = catalog.is_approval_required
    if is_required and read.ledger is None and not drafts:
        where = ledger_path(catalog.path) if catalog.path else f"the catalog {catalog.name!r}, which has no file"
        raise ApprovalError(
            f"the catalog {catalog.name!r} requires approvals, and there is no ledger ({where})",
            file=catalog.path,
            hint=f"constrained approve {catalog.name} --as PERSON; for development: --drafts, or Dialogue(..., drafts=True)",
        )
    if read.ledger is None and not (channel or jurisdiction or drafts or read.suspended or is_required):
        return NO_LEDGER
    return ApprovalSnapshot(read.ledger, read.people, channel, jurisdiction, drafts, read.suspended, is_required)
