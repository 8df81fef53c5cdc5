"""What a check tells about the approvals of a catalog: what waits, what ends soon, which documents changed. Knows no policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from constrained.approval.in_force import Standing
from constrained.approval.ledger import ANY, Ledger, ledger_path, read_ledger
from constrained.approval.live import has_ledger
from constrained.approval.people import load_people, people_path
from constrained.approval.sources import changed
from constrained.approval.worklist import Version, versions
from constrained.catalog.response import Catalog, Response
from constrained.errors import ApprovalError, Problem


def approval_report(catalog: Catalog, today: date) -> tuple[list[Problem], list[Problem]]:
    """Problems (nothing can be said) and remarks (something cannot), each at the line of its response."""
    problems: list[Problem] = []
    remarks = list(_changed(catalog))
    if not has_ledger(catalog):
        return problems, remarks
    try:
        found = list(_best(catalog, today))
    except ApprovalError as error:
        return [Problem(error.file, error.line, 0, error.message, error.hint)], remarks
    for version in found:
        if version.reason:
            is_fatal = version.response.id == catalog.fallback and version.locale == catalog.locale
            (problems if is_fatal else remarks).append(_waits(version, catalog))
        elif version.ends_soon(today):
            message = f"the approval of {version.name} ends on {version.ends}"
            remarks.append(
                _problem(version.response, message, f"renew it in time: constrained approve {catalog.name} {version.response.id}")
            )
    return problems, remarks


def n_in_force(catalog: Catalog, today: date) -> tuple[int, int] | None:
    """How many versions are in force somewhere, of how many; None where no ledger is kept. Raises ApprovalError."""
    if not has_ledger(catalog):
        return None
    found = list(_best(catalog, today))
    return sum(not version.reason for version in found), len(found)


def _best(catalog: Catalog, today: date) -> Iterator[Version]:
    """Each version as it stands in the place where it stands best: one that is approved for one channel only is approved."""
    if not catalog.path:
        hint = "write the catalog into a file; the ledger lies beside it"
        raise ApprovalError(f"approvals of {catalog.name!r} are required, and it has no file", file=catalog.name, hint=hint)
    people = load_people(people_path(catalog.path), catalog.name)
    ledger = read_ledger(ledger_path(catalog.path), people, catalog.name)
    standings = [Standing(ledger, people, channel, jurisdiction) for channel, jurisdiction in _places(ledger)]
    for found in zip(*(versions(catalog, standing, today) for standing in standings), strict=True):
        yield min(found, key=lambda version: bool(version.reason))


def _places(ledger: Ledger) -> list[tuple[str | None, str | None]]:
    """Everywhere, and each place that an approval names."""
    named = {
        (None if channel == ANY else channel, None if jurisdiction == ANY else jurisdiction)
        for entry in ledger.entries
        if entry.kind != "recall"
        for channel in entry.channels
        for jurisdiction in entry.jurisdictions
    }
    return [(None, None), *sorted(named - {(None, None)}, key=str)]


def _waits(version: Version, catalog: Catalog) -> Problem:
    hint = f"constrained approve {catalog.name} {version.response.id} --as PERSON" + (" --restore" if version.is_recalled else "")
    return _problem(version.response, f"{version.name} {version.reason}", hint)


def _changed(catalog: Catalog) -> Iterator[Problem]:
    for one in changed(catalog):
        stopped = "is suspended: " if one.is_suspended else "may be out of date: "
        hint = f"read the passage; if the text is still right, write hash: {one.present}" if one.present else "correct document and passage"
        yield _problem(one.response, f"{one.response.id!r} {stopped}{one.reason}", hint)


def _problem(response: Response, message: str, hint: str) -> Problem:
    return Problem(response.source.file, response.source.line, response.source.column, message, hint)
