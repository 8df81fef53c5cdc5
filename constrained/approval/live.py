"""The approvals of a catalog as they are now: the ledger is read again when it changes, and only then. Knows no policy.

Conversations share what was read: a turn costs one ``stat`` for each file, a change is verified once per process.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from constrained.approval import sources
from constrained.approval.in_force import OPEN, Standing
from constrained.approval.ledger import Ledger, ledger_path, read_ledger
from constrained.approval.people import People, load_people, people_path
from constrained.catalog.response import Catalog
from constrained.errors import ApprovalError

Stamps = tuple[sources.Stamp, ...]


@dataclass(slots=True)
class _Read:
    """One reading of a catalog's ledger, people and documents, and the standings made from it."""

    stamps: Stamps
    ledger: Ledger | None
    people: People | None
    suspended: frozenset[str]
    standings: dict[tuple[str | None, str | None, bool], Standing] = field(default_factory=dict)


class Approvals:
    """What one conversation asks each turn.

    Args:
        channel, jurisdiction: where the conversation takes place; an approval for one place counts there only.
        drafts: the development switch: what is not approved may be said.
    """

    def __init__(self, catalog: Catalog, *, channel: str | None = None, jurisdiction: str | None = None, drafts: bool = False) -> None:
        self._watched = _Watched.of(catalog)
        self._place = (channel, jurisdiction, drafts)

    def now(self) -> Standing:
        """What is in force now. Raises ApprovalError when the ledger cannot be trusted, or is missing where it must be."""
        read = _read(self._watched)
        standing = read.standings.get(self._place)
        if standing is None:
            standing = read.standings[self._place] = _standing(self._watched.catalog, read, *self._place)
        return standing


def standing_at(catalog: Catalog, versions: Mapping[str, str]) -> Standing:
    """What was in force when a record was made, by its ``versions``: to replay it.

    Raises ApprovalError when the ledger does not hold what it held then.
    """
    n_entries, _, head = versions.get("approvals", "0 ").partition(" ")
    channel, jurisdiction, drafts = versions.get("channel"), versions.get("jurisdiction"), "drafts" in versions
    suspended = frozenset(versions.get("suspended", "").split())
    if "approvals" not in versions:
        return Standing(None, None, channel, jurisdiction, drafts, suspended, catalog.is_approval_required)
    read = _read(_Watched.of(catalog))
    ledger = read.ledger.first(int(n_entries)) if read.ledger is not None else None
    if ledger is None or ledger.head != head:
        hint = "put the ledger back from its history; every entry stays in it"
        raise ApprovalError(f"the ledger of {catalog.name!r} is not the one of that turn ({n_entries} entries)", hint=hint)
    return Standing(ledger, read.people, channel, jurisdiction, drafts, suspended, catalog.is_approval_required)


def has_ledger(catalog: Catalog) -> bool:
    """Whether signed approvals decide what this catalog may say."""
    return catalog.is_approval_required or bool(catalog.path and sources.stamp(ledger_path(catalog.path)) != sources.NO_FILE)


_known: dict[str, _Read] = {}
_ledgers: dict[str, Ledger] = {}  # by path, for as long as the process lives: what was read once is not forgotten
_lock = threading.Lock()
_MOST_KNOWN = 64  # catalogs whose reading is kept


@dataclass(frozen=True, slots=True)
class _Watched:
    """A catalog, the name of its reading, and the files that the reading came from."""

    catalog: Catalog
    name: str
    files: tuple[str, ...]

    @classmethod
    @lru_cache(maxsize=64)  # a conversation is taken up anew with each turn that a server takes
    def of(cls, catalog: Catalog) -> _Watched:
        if catalog.path:  # absolute, for the working directory of a process may change
            catalog = replace(catalog, path=str(Path(catalog.path).absolute()))
        own = [ledger_path(catalog.path), people_path(catalog.path)] if catalog.path else []
        files = *own, *sources.suspending(catalog)
        return cls(catalog, f"{catalog.path} {catalog.hash}", tuple(map(str, files)))


def _read(watched: _Watched) -> _Read:
    """The present reading; the files are read again only when their size or time changed."""
    stamps = tuple(map(sources.stamp, watched.files))  # before the files are read: a change in between is seen the next time
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


def _read_files(catalog: Catalog, stamps: Stamps, before: _Read | None) -> _Read:
    stopped = sources.suspended(catalog) if catalog.documents else frozenset()
    path = str(ledger_path(catalog.path)) if catalog.path else ""
    earlier = _ledgers.get(path)
    if not path or (stamps[0] == sources.NO_FILE and earlier is None):
        return _Read(stamps, None, None, stopped)
    people = load_people(people_path(path), catalog.name)
    is_same = before is not None and before.people is not None and before.people.hash == people.hash
    ledger = read_ledger(path, people, catalog.name, before.ledger if before and is_same else None)
    if earlier is not None and not ledger.content.startswith(earlier.content):
        hint = "put the ledger back from its history"
        raise ApprovalError(f"{path}: entries that were read before are gone or changed", file=path, hint=hint)
    return _Read(stamps, ledger, people, stopped)


def _standing(catalog: Catalog, read: _Read, channel: str | None, jurisdiction: str | None, drafts: bool) -> Standing:
    is_required = catalog.is_approval_required
    if is_required and read.ledger is None and not drafts:
        where = ledger_path(catalog.path) if catalog.path else f"the catalog {catalog.name!r}, which has no file"
        raise ApprovalError(
            f"the catalog {catalog.name!r} requires approvals, and there is no ledger ({where})",
            file=catalog.path,
            hint=f"constrained approve {catalog.name} --as PERSON; for development: Dialogue(..., drafts=True)",
        )
    if read.ledger is None and not (channel or jurisdiction or drafts or read.suspended or is_required):
        return OPEN
    return Standing(read.ledger, read.people, channel, jurisdiction, drafts, read.suspended, is_required)
