"""The approval that each option of a turn has, as one line of its record. Knows no dialogue and no file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from constrained.approval.in_force import Standing
from constrained.catalog.digest import version_hash
from constrained.catalog.response import Approval, Response
from constrained.logic.options import Obligation, Option

VERSION = len("sha256:") + 16  # of a version's hash: enough to find it; the ledger, named by its head, holds it in full


def approvals(said: Iterable[Option | Obligation], standing: Standing) -> dict[str, str]:
    """Response id -> who approved the version that may be said, and for which days; of those that have an approval."""
    known, found = _known(standing), {}
    for one in said:
        entry = known.get((one.id, one.locale))
        if entry is None or entry[0] is not one.response:
            entry = known[one.id, one.locale] = one.response, _approval(one.response, one.locale, standing)
        if entry[1]:
            found[one.id] = entry[1]
    return found


@lru_cache(maxsize=64)
def _known(standing: Standing) -> dict[tuple[str, str], tuple[Response, str]]:
    """What was found for one standing: naming a version costs a hash of it, and a turn has a dozen options."""
    return {}


def _approval(response: Response, locale: str, standing: Standing) -> str:
    if standing.ledger is None:
        return _in_catalog(response.approval) if response.approval else ""
    signed = standing.findings(response, locale).signed
    names = "; ".join(f"{one.by}, {_days(one.first_day, one.last_day)}" for one in signed)
    return f"{version_hash(response, locale)[:VERSION]} {names}" if signed else ""


def _in_catalog(approval: Approval) -> str:
    return f"{approval.by}, {_days(approval.on, approval.until)}"


def _days(first: object, last: object) -> str:
    return f"from {first}" + (f" until {last}" if last else "")
