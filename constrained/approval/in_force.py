"""What is in force: may this version of a response be said on this day, in this place?

A version is in force when enough of the right people have approved it, for this channel and jurisdiction, on a day
between its dates, and nobody has recalled it since. A recall voids every version approved before it; such a version
comes back only with ``restore``, which counts like an approval. A version that is first approved after a recall is
another one, and the recall does not concern it.

The files that decide are versions, too: the logic of a catalog that requires approvals must be in force in the same way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from constrained.approval import documents
from constrained.approval.ledger import ANY, LOGIC, PEOPLE, Entry, Ledger, covers, ledger_path, read_ledger
from constrained.approval.logic_files import LogicFiles
from constrained.approval.people import People, Rule, is_same_name, load_people, people_path
from constrained.approval.people_changes import why_people_unsigned
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


@dataclass(frozen=True, slots=True)
class LogicVersion:
    """The files that decide, named by their hash, and who does not approve them because they wrote them."""

    version: str
    author: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ApprovalSnapshot:
    """What is in force in one place: a snapshot, so that one turn sees one state of the ledger.

    Attributes:
        ledger: None where none is kept; then the catalog's own ``approval`` lines are all there is.
        is_required: the catalog refuses to speak without a ledger.
        drafts: versions without an approval in force may be said. A recall holds all the same.
        suspended: response ids whose policy document changed.
        logic: of the policy that speaks, where it has to be signed; None where it has not.
    """

    ledger: Ledger | None = None
    people: People | None = None
    channel: str | None = None
    jurisdiction: str | None = None
    drafts: bool = False
    suspended: frozenset[str] = frozenset()
    is_required: bool = False
    logic: LogicVersion | None = None
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

    def is_approved(self, response: Response, locale: str, today: date) -> bool:
        """Whether somebody approved it, in the ledger or in the catalog, and that is in force: a draft may be said, and is none."""
        if self.ledger is None or self.people is None:
            approval = response.approval
            return approval is not None and not self.is_required and approval.on <= today <= (approval.until or today)
        return not (replace(self, drafts=False, _reasons={}) if self.drafts else self).why_not(response, locale, today)

    def why_not_logic(self, today: date) -> str:
        """Why the logic may not decide, as the end of a sentence; empty when it may."""
        if self.logic is None:
            return ""
        if self.ledger is None or self.people is None:
            return "has no approval: there is no ledger of approvals"
        found = self.logic_signatures()
        return self._told(found, why_logic_unapproved(found, self.logic.author, self.people, today))

    def logic_signatures(self) -> Signatures:
        """Who approved or recalled the logic here, on whatever day it counts."""
        entries = self.ledger.by_response.get(LOGIC, ()) if self.ledger else ()
        return signatures_of(entries, self.logic.version if self.logic else "", ANY, self.channel, self.jurisdiction)

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
        if self.logic is not None:
            kept["logic"] = self.logic.version
        return kept | ({"drafts": "allowed"} if self.drafts else {})

    def _why_not(self, response: Response, locale: str, today: date, people: People) -> str:
        found = self.signatures(response, locale)
        if self.drafts and found.recalled_by is None:
            return ""
        return self._told(found, why_unapproved(found, response, people, today))

    def _told(self, found: Signatures, reason: str) -> str:
        """A reason with the recall that is behind it, or with the place that it holds for; empty where there is none."""
        if reason and found.recalled_by is not None:
            return f"was recalled by {found.recalled_by.by} on {found.recalled_by.signed_on}" + _because(found.recalled_by)
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
    reason = _why_lacking(found, able, people.rule_for(response.tags), people, today)
    return "has no author, so nobody can have approved it as somebody else" if reason and not response.author else reason


def why_logic_unapproved(found: Signatures, author: str, people: People, today: date) -> str:
    """Likewise for the files that decide. Where they name no author, whoever signs is somebody else."""
    able = [entry for entry in found.signed if not author or not is_same_name(entry.by, author)]
    return _why_lacking(found, able, people.logic_rule, people, today)


def _why_lacking(found: Signatures, able: list[Entry], rule: Rule, people: People, today: date) -> str:
    """What is missing when these entries are all that can count."""
    counting = [entry for entry in able if entry.first_day <= today and (entry.last_day is None or today <= entry.last_day)]
    lacking = people.lacks(rule, {entry.by for entry in counting})
    if not lacking:
        return ""
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
_Place = tuple[str | None, str | None, bool, LogicVersion | None]
log = logging.getLogger("constrained.approval")


@dataclass(slots=True)
class _Reading:
    """One reading of a catalog's ledger, people and documents, and the snapshots made from it.

    Attributes:
        is_signing_required: what decides must be signed as well. why_people: why the file of people does not count as it is;
            ``is_kept``: its last signed version, which this process has read before, is in force in its place.
    """

    stamps: Stamps
    ledger: Ledger | None
    people: People | None
    suspended: frozenset[str]
    is_signing_required: bool = False
    why_people: str = ""
    is_kept: bool = False
    snapshots: dict[_Place, ApprovalSnapshot] = field(default_factory=dict)


class Approvals:
    """What one conversation asks each turn.

    Args:
        channel, jurisdiction: where the conversation takes place; an approval for one place counts there only.
        drafts: the development switch: what is not approved may be said.
        logic: reads the files that decide; it is asked where they must be signed, once. None: they are not looked at.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        channel: str | None = None,
        jurisdiction: str | None = None,
        drafts: bool = False,
        logic: Callable[[], LogicFiles] | None = None,
    ) -> None:
        self._watched = _WatchedCatalog.of(catalog)
        self._place = (channel, jurisdiction, drafts)
        self._read_logic = None if drafts else logic
        self._logic: LogicVersion | None = None

    def now(self) -> ApprovalSnapshot:
        """What is in force now. Raises ApprovalError when the ledger cannot be trusted, or is missing where it must be."""
        read = _read(self._watched)
        if read.is_signing_required and self._logic is None and self._read_logic is not None:
            files = self._read_logic()
            self._logic = LogicVersion(files.version, files.author)
        place = (*self._place, self._logic if read.is_signing_required else None)
        snapshot = read.snapshots.get(place)
        if snapshot is None:
            snapshot = read.snapshots[place] = _snapshot(self._watched.catalog, read, *place)
        return snapshot

    def is_signing_required(self) -> bool:
        """Whether the files that decide must be signed. Raises ApprovalError when the ledger cannot be trusted."""
        return _read(self._watched).is_signing_required

    def warning(self) -> str:
        """What is to be told though turns go on: an edit of the people that nobody has signed. Empty where there is nothing."""
        read = _read(self._watched)
        return f"{people_path(self._watched.catalog.path).name} {read.why_people}" if read.is_kept else ""


def snapshot_at(catalog: Catalog, versions: Mapping[str, str]) -> ApprovalSnapshot:
    """What was in force when a record was made, by its ``versions``: to replay it.

    Raises ApprovalError when the ledger does not hold what it held then.
    """
    n_entries, _, head = versions.get("approvals", "0 ").partition(" ")
    channel, jurisdiction, drafts = versions.get("channel"), versions.get("jurisdiction"), "drafts" in versions
    suspended = frozenset(versions.get("suspended", "").split())
    logic = LogicVersion(versions["logic"]) if "logic" in versions else None
    if "approvals" not in versions:
        return ApprovalSnapshot(None, None, channel, jurisdiction, drafts, suspended, catalog.is_approval_required, logic)
    read = _read(_WatchedCatalog.of(catalog))
    ledger = read.ledger.first(int(n_entries)) if read.ledger is not None else None
    if ledger is None or ledger.head != head:
        hint = "put the ledger back from its history; every entry stays in it"
        raise ApprovalError(f"the ledger of {catalog.name!r} is not the one of that turn ({n_entries} entries)", hint=hint)
    return ApprovalSnapshot(ledger, read.people, channel, jurisdiction, drafts, suspended, catalog.is_approval_required, logic)


def has_ledger(catalog: Catalog) -> bool:
    """Whether signed approvals decide what this catalog may say."""
    return catalog.is_approval_required or bool(catalog.path and documents.file_stamp(ledger_path(catalog.path)) != documents.NO_FILE)


_known: dict[str, _Reading] = {}
_ledgers: dict[str, Ledger] = {}  # by path, for as long as the process lives: what was read once is not forgotten
_signed_people: dict[str, People] = {}  # likewise, by the path of the ledger: the last file of people that was signed
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
        return _Reading(stamps, None, None, stopped, catalog.is_approval_required)
    people, ledger, why = _trusted(catalog, path, before)
    if earlier is not None and not ledger.content.startswith(earlier.content):
        hint = "put the ledger back from its history"
        raise ApprovalError(f"{path}: entries that were read before are gone or changed", file=path, hint=hint)
    kept = people if why and people is _signed_people.get(path) else None
    must_sign = is_signing_required(catalog, ledger)
    if must_sign and not why:
        _signed_people[path] = people
    return _Reading(stamps, ledger, people, stopped, must_sign, why, kept is not None)


def is_signing_required(catalog: Catalog, ledger: Ledger) -> bool:
    """Whether logic and people must be signed: where the catalog says so, and wherever one of them once was."""
    return catalog.is_approval_required or not {LOGIC, PEOPLE}.isdisjoint(ledger.by_response)


def _trusted(catalog: Catalog, path: str, before: _Reading | None) -> tuple[People, Ledger, str]:
    """The people in force, the ledger as they signed it, and why the file of people does not count as it is."""
    signed = _signed_people.get(path)
    try:
        people = load_people(people_path(path), catalog.name)
        ledger = _ledger_by(people, catalog, path, before)
        why = why_people_unsigned(ledger, people, catalog.name) if is_signing_required(catalog, ledger) else ""
        if not why or signed is None:
            return people, ledger, why
    except ApprovalError as error:  # what is wrong may be the edit, or the ledger: then it is wrong by the signed people, too
        if signed is None:
            raise
        why = f"cannot be used: {error.message}"
    ledger = _ledger_by(signed, catalog, path, before)
    log.warning("%s %s; its last signed version stays in force", people_path(path), why)
    return signed, ledger, why


def _ledger_by(people: People, catalog: Catalog, path: str, before: _Reading | None) -> Ledger:
    is_same = before is not None and before.people is not None and before.people.hash == people.hash
    return read_ledger(path, people, catalog.name, before.ledger if before and is_same else None)


def _snapshot(
    catalog: Catalog, read: _Reading, channel: str | None, jurisdiction: str | None, drafts: bool, logic: LogicVersion | None
) -> ApprovalSnapshot:
    is_required = catalog.is_approval_required
    if is_required and read.ledger is None and not drafts:
        where = ledger_path(catalog.path) if catalog.path else f"the catalog {catalog.name!r}, which has no file"
        raise ApprovalError(
            f"the catalog {catalog.name!r} requires approvals, and there is no ledger ({where})",
            file=catalog.path,
            hint=f"constrained approve {catalog.name} tells what to sign; for development: --drafts, or Dialogue(..., drafts=True)",
        )
    if read.is_signing_required and read.why_people and not read.is_kept and not drafts:
        path = str(people_path(catalog.path))
        raise ApprovalError(f"{path} {read.why_people}", file=path, hint=f"constrained approve {catalog.name} --people --as PERSON")
    if read.ledger is None and not (channel or jurisdiction or drafts or read.suspended or is_required):
        return NO_LEDGER
    return ApprovalSnapshot(read.ledger, read.people, channel, jurisdiction, drafts, read.suspended, is_required, logic)
