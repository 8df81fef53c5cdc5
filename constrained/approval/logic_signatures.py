"""The files that decide, held against their signatures: may this logic run, what changed since it was signed, and what is to be signed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from constrained.approval.in_force import Approvals, ApprovalSnapshot, LogicVersion, has_ledger, is_signing_required, why_logic_unapproved
from constrained.approval.ledger import ANY, LOGIC, DraftEntry, Entry, Kind, Ledger, ledger_path
from constrained.approval.logic_files import LogicFiles, texts_of
from constrained.approval.people import People
from constrained.approval.worklist import SigningTerms, check_terms
from constrained.catalog.load import load_catalog
from constrained.catalog.response import Catalog
from constrained.errors import ApprovalError, ConstrainedError, Problem


def check_signed(catalog: Catalog, files: Callable[[], LogicFiles], standing: ApprovalSnapshot, today: date) -> None:
    """Raises ApprovalError, with the file that is not as it was signed, unless the logic may decide today."""
    reason = standing.why_not_logic(today)
    if reason:
        raise _unsigned(catalog, files(), reason, standing.ledger)


def require_signed(files: LogicFiles) -> None:
    """The same before anything of the files is run, by the catalog of the logic file's name, in any place.

    Raises ApprovalError for files that are not in force, or approvals that cannot be trusted; CatalogError.
    """
    if not may_need_signing(files.path):
        return
    catalog = load_catalog(_catalog_path(files.path))
    reason = why_not_anywhere(catalog, files)
    if reason:
        raise _unsigned(catalog, files, reason, Approvals(catalog).now().ledger)


def may_need_signing(logic: Path) -> bool:
    """Whether the pack of a logic file may have to be signed, without reading its catalog as one. False is certain."""
    path = _catalog_path(logic)
    return path.is_file() and (b"approvals" in path.read_bytes() or ledger_path(path).exists())


def _catalog_path(logic: Path) -> Path:
    return logic.parent.parent / "catalogs" / f"{logic.stem}.yaml"


def why_not_anywhere(catalog: Catalog, files: LogicFiles, today: date | None = None) -> str:
    """Why the files may decide in no place; empty where they may in one, or need no signature.

    Raises ApprovalError where the approvals cannot be trusted.
    """
    now = Approvals(catalog, logic=lambda: files).now()
    places = {(one.channels[0], one.jurisdictions[0]) for one in _entries(now.ledger)} - {(ANY, ANY)}
    found = [
        now,
        *(Approvals(catalog, channel=_named(one), jurisdiction=_named(other), logic=lambda: files).now() for one, other in places),
    ]
    return min((one.why_not_logic(today or datetime.now(UTC).date()) for one in found), key=bool)


def unsigned_logic(catalog: Catalog, files: Callable[[], LogicFiles], today: date) -> list[Problem]:
    """For a check: the remark that the logic waits for a signature. What is wrong with the approvals is told by another check."""
    try:
        if not has_ledger(catalog) or not Approvals(catalog).is_signing_required():
            return []
        reason = why_not_anywhere(catalog, files(), today)
    except ApprovalError:
        return []
    return [Problem(str(files().path), 0, 0, f"the logic {reason}", f"constrained approve {catalog.name} --logic")] if reason else []


def changed_files(files: LogicFiles, ledger: Ledger | None) -> list[str]:
    """Names of the files that are not as they were signed last, the ones that came or went among them."""
    last = _last_signed(files, ledger)
    before = texts_of(last.text) if last is not None else {}
    now = texts_of(files.text)
    return [name for name in {**now, **before} if now.get(name) != before.get(name)]


def difference(files: LogicFiles, ledger: Ledger | None) -> Iterator[str]:
    """What changed since the files were signed last, as the lines of a unified diff; nothing where they never were."""
    last = _last_signed(files, ledger)
    if last is None:
        return
    before, now = texts_of(last.text), texts_of(files.text)
    for name in changed_files(files, ledger):
        old, new = before.get(name, "").splitlines(), now.get(name, "").splitlines()
        yield from difflib.unified_diff(old, new, f"signed/{name}", name, lineterm="")


def to_approve_logic(
    files: LogicFiles, ledger: Ledger, people: People, terms: SigningTerms, today: date, *, by: str, is_restoring: bool = False
) -> DraftEntry | None:
    """What somebody signs for the files as they are; None where they have signed them already for these days.

    Raises ApprovalError for days that cannot be, and for a recalled version without ``is_restoring``.
    """
    check_terms(terms, today)
    channel, jurisdiction = next(terms.places())
    standing = ApprovalSnapshot(ledger, people, channel, jurisdiction, logic=LogicVersion(files.version, files.author))
    found = standing.logic_signatures()
    if found.recalled_by is not None and why_logic_unapproved(found, files.author, people, today):
        if not is_restoring:
            hint = "to let the same files decide again: constrained approve ... --logic --restore"
            raise ApprovalError(f"this logic {standing.why_not_logic(today)}", file=str(files.path), hint=hint)
    elif is_restoring or any(one.by == by and (one.last_day is None or one.last_day >= today) for one in found.signed):
        return None
    return _draft("restore" if is_restoring else "approve", files, terms)


def to_recall_logic(terms: SigningTerms) -> DraftEntry:
    """A recall of every version that was signed before, whatever the files hold by now: an edit may be what mends it."""
    return DraftEntry(
        kind="recall",
        response=LOGIC,
        locale=ANY,
        version="",
        text="",
        channels=terms.channels or (ANY,),
        jurisdictions=terms.jurisdictions or (ANY,),
        reason=terms.reason,
    )


def logic_status(catalog: Catalog, files: LogicFiles, ledger: Ledger, people: People, terms: SigningTerms, today: date) -> str:
    """Why the files wait for a signature in the first of these places; empty when they do not."""
    if not is_signing_required(catalog, ledger):
        return ""
    channel, jurisdiction = next(terms.places())
    standing = ApprovalSnapshot(ledger, people, channel, jurisdiction, logic=LogicVersion(files.version, files.author))
    return standing.why_not_logic(today)


def is_signed_once(ledger: Ledger) -> bool:
    """Whether any version of the logic was ever approved."""
    return any(one.kind != "recall" for one in _entries(ledger))


def _draft(kind: Kind, files: LogicFiles, terms: SigningTerms) -> DraftEntry:
    return DraftEntry(
        kind=kind,
        response=LOGIC,
        locale=ANY,
        version=files.version,
        text=files.text,
        channels=terms.channels or (ANY,),
        jurisdictions=terms.jurisdictions or (ANY,),
        begins=terms.begins,
        until=terms.until,
        author=files.author,
        reason=terms.reason,
    )


def _unsigned(catalog: Catalog, files: LogicFiles, reason: str, ledger: Ledger | None) -> ApprovalError:
    try:
        changed = changed_files(files, ledger) if _last_signed(files, ledger) is not None else []
    except ConstrainedError:
        changed = []
    file = str(files.path_of(changed[0]) if changed else files.path)
    others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    hint = f"constrained approve {catalog.name} --logic shows what changed; with --as PERSON it signs; for development: --drafts"
    return ApprovalError(f"{file}{others}: the logic of {catalog.name!r} {reason}", file=file, hint=hint)


def _entries(ledger: Ledger | None) -> tuple[Entry, ...]:
    return ledger.by_response.get(LOGIC, ()) if ledger is not None else ()


def _last_signed(files: LogicFiles, ledger: Ledger | None) -> Entry | None:
    """The last approval of the logic, of this version where there is one."""
    signed = [one for one in _entries(ledger) if one.kind != "recall"]
    return next((one for one in reversed(signed) if one.version == files.version), signed[-1] if signed else None)


def _named(place: str) -> str | None:
    return None if place == ANY else place


def logic_path_of(catalog: Path) -> Path:
    """The logic file that goes with a catalog's file."""
    return catalog.resolve().parent.parent / "logic" / f"{catalog.stem}.py"
