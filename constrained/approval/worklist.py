"""What waits for a signature, the entries that would settle it, and what a check tells about both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product

from constrained.approval.documents import changed_citations
from constrained.approval.in_force import ApprovalSnapshot, Signatures, ends_on, has_ledger, is_signing_required
from constrained.approval.ledger import ANY, DraftEntry, Entry, Kind, Ledger, ledger_path, read_ledger
from constrained.approval.people import People, load_people, people_path
from constrained.approval.people_changes import why_people_unsigned
from constrained.catalog.response import Catalog, Response, version_hash
from constrained.errors import ApprovalError, Problem

SOON_DAYS = 30  # an approval that ends within so many days is warned of


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """A response in one locale, and how it stands in one place.

    Attributes:
        reason: why it is not in force; empty when it is.
        ends: the last day on which it is in force by itself; None for no end, and for what is not in force.
    """

    response: Response
    locale: str
    reason: str
    signatures: Signatures
    ends: date | None = None

    @property
    def name(self) -> str:
        return f"{self.response.id} ({self.locale})"

    @property
    def text(self) -> str:
        return self.response.texts[self.locale].source

    @property
    def is_recalled(self) -> bool:
        return bool(self.reason) and self.signatures.recalled_by is not None

    def ends_soon(self, today: date) -> bool:
        return self.ends is not None and self.ends <= today + timedelta(days=SOON_DAYS)


@dataclass(frozen=True, slots=True)
class SigningTerms:
    """For which places and days somebody signs; no places means everywhere."""

    channels: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    begins: date | None = None
    until: date | None = None
    reason: str = ""

    def places(self) -> Iterator[tuple[str | None, str | None]]:
        yield from product(self.channels or (None,), self.jurisdictions or (None,))


def versions(
    catalog: Catalog, approvals: ApprovalSnapshot, today: date, ids: Collection[str] = (), locale: str | None = None
) -> list[VersionStatus]:
    """Every version of a catalog, or of some of its responses, with how it stands. Raises ApprovalError for an unknown id."""
    unknown = sorted(set(ids) - set(catalog.responses))
    if unknown:
        hint = f"the ids stand in {catalog.path or 'the catalog'}"
        raise ApprovalError(f"the catalog {catalog.name!r} has no response {unknown[0]!r}", file=catalog.path, hint=hint)
    return [
        _version_status(response, one, approvals, today)
        for response in catalog.responses.values()
        if not ids or response.id in ids
        for one in response.texts
        if locale in (None, one)
    ]


def open_versions(
    catalog: Catalog, ledger: Ledger, people: People, terms: SigningTerms, today: date, ids: Collection[str] = (), locale: str | None = None
) -> list[VersionStatus]:
    """Versions that are not in force in at least one of the places, each once."""
    found: dict[tuple[str, str], VersionStatus] = {}
    for channel, jurisdiction in terms.places():
        for one in versions(catalog, ApprovalSnapshot(ledger, people, channel, jurisdiction), today, ids, locale):
            if one.reason:
                found.setdefault((one.response.id, one.locale), one)
    order = list(catalog.responses)
    return sorted(found.values(), key=lambda one: order.index(one.response.id))


def to_approve(
    waiting: Sequence[VersionStatus], terms: SigningTerms, today: date, *, by: str, is_restoring: bool = False
) -> list[DraftEntry]:
    """Approvals of what waits, less what this person has signed for these days already. Recalled versions need ``is_restoring``.

    Raises:
        ApprovalError: an approval that would begin in the past, or end before it begins, or has no author to differ from.
    """
    check_terms(terms, today)
    drafts = []
    for one in waiting:
        if one.is_recalled != is_restoring or (not is_restoring and _has_signed(one, by, today)):
            continue
        if not one.response.author:
            raise ApprovalError(f"nobody is named as the author of {one.response.id!r}", hint="write author: NAME into the catalog")
        drafts.append(draft_of("restore" if is_restoring else "approve", one.response, one.locale, terms))
    return drafts


def check_terms(terms: SigningTerms, today: date) -> None:
    """Raises ApprovalError for an approval that would begin in the past, or end before it begins."""
    if terms.begins is not None and terms.begins < today:
        raise ApprovalError(
            f"an approval cannot begin on {terms.begins}, before it is signed", hint="leave --from out: it then begins today"
        )
    if terms.until is not None and terms.until < (terms.begins or today):
        raise ApprovalError(f"the approval would end on {terms.until}, before it begins", hint="give a later day")


def to_recall(
    catalog: Catalog, response_id: str, terms: SigningTerms, locale: str | None = None, signed: Iterable[Entry] = ()
) -> list[DraftEntry]:
    """Recalls of every locale of a response, or of one.

    Args:
        signed: what the ledger holds of the response. A response, or a text of it, that the catalog no longer has is recalled
            all the same: a process that runs may still say it.
    """
    response = catalog.responses.get(response_id)
    if response is None:
        return [_recall_absent(response_id, locale or ANY, terms)]
    gone = {entry.locale for entry in signed} - set(response.texts) - {ANY}
    here, left = ([one for one in found if locale in (None, one)] for found in (response.texts, sorted(gone)))
    if not here and not left:
        raise ApprovalError(f"{response_id!r} has no text in {locale!r}", file=catalog.path, hint=f"it has {', '.join(response.texts)}")
    return [*(draft_of("recall", response, one, terms) for one in here), *(_recall_absent(response_id, one, terms) for one in left)]


def draft_of(kind: Kind, response: Response, locale: str, terms: SigningTerms) -> DraftEntry:
    """What is signed about one version, on these terms."""
    is_recall = kind == "recall"
    return DraftEntry(
        kind=kind,
        response=response.id,
        locale=locale,
        version=version_hash(response, locale),
        text=response.texts[locale].source,
        channels=terms.channels or (ANY,),
        jurisdictions=terms.jurisdictions or (ANY,),
        begins=None if is_recall else terms.begins,
        until=None if is_recall else terms.until,
        author=response.author,
        reason=terms.reason,
    )


def _recall_absent(response_id: str, locale: str, terms: SigningTerms) -> DraftEntry:
    """A recall of whatever the ledger holds of a response in a locale."""
    return DraftEntry(
        kind="recall",
        response=response_id,
        locale=locale,
        version="",
        text="",
        channels=terms.channels or (ANY,),
        jurisdictions=terms.jurisdictions or (ANY,),
        reason=terms.reason,
    )


def _version_status(response: Response, locale: str, approvals: ApprovalSnapshot, today: date) -> VersionStatus:
    reason, found = approvals.why_not(response, locale, today), approvals.signatures(response, locale)
    ends = ends_on(found, response, approvals.people, today) if approvals.people and not reason else None
    return VersionStatus(response, locale, reason, found, ends)


def _has_signed(version: VersionStatus, by: str, today: date) -> bool:
    return any(one.by == by and (one.last_day is None or one.last_day >= today) for one in version.signatures.signed)


# -- for a check: what waits, what ends soon, which documents changed -----------------------------------


def approval_report(catalog: Catalog, today: date) -> tuple[list[Problem], list[Problem]]:
    """Problems (nothing can be said) and remarks (something cannot), each at the line of its response."""
    problems: list[Problem] = []
    remarks = list(_citation_problems(catalog))
    if not has_ledger(catalog):
        return problems, remarks
    try:
        found = list(_best_statuses(catalog, today))
        remarks += _people_remarks(catalog)
    except ApprovalError as error:
        place = f"{error.file}:{error.line}: " if error.line else f"{error.file}: "
        return [Problem(error.file, error.line, 0, error.message.removeprefix(place), error.hint)], remarks
    is_begun = any(not version.reason for version in found)
    if not is_begun:  # a new desk: one line says more than one for each
        message, hint = (
            f"none of {len(found)} versions is approved",
            f"constrained approve {catalog.name} shows them; with --as PERSON it signs",
        )
        remarks.append(Problem(catalog.path, 0, 0, message, hint))
    for version in found:
        if version.reason:
            is_fatal = version.response.id == catalog.fallback and version.locale == catalog.locale
            if is_fatal or is_begun:
                (problems if is_fatal else remarks).append(_waiting_problem(version, catalog))
        elif version.ends_soon(today):
            message = f"the approval of {version.name} ends on {version.ends}"
            remarks.append(
                version.response.source.problem(message, f"renew it in time: constrained approve {catalog.name} {version.response.id}")
            )
    return problems, remarks


def n_in_force(catalog: Catalog, today: date) -> tuple[int, int] | None:
    """How many versions are in force somewhere, of how many; None where no ledger is kept. Raises ApprovalError."""
    if not has_ledger(catalog):
        return None
    found = list(_best_statuses(catalog, today))
    return sum(not version.reason for version in found), len(found)


def _best_statuses(catalog: Catalog, today: date) -> Iterator[VersionStatus]:
    """Each version as it stands in the place where it stands best: one that is approved for one channel only is approved."""
    if not catalog.path:
        hint = "write the catalog into a file; the ledger lies beside it"
        raise ApprovalError(f"approvals of {catalog.name!r} are required, and it has no file", file=catalog.name, hint=hint)
    people = load_people(people_path(catalog.path), catalog.name)
    ledger = read_ledger(ledger_path(catalog.path), people, catalog.name)
    snapshots = [ApprovalSnapshot(ledger, people, channel, jurisdiction) for channel, jurisdiction in _places(ledger)]
    for found in zip(*(versions(catalog, approvals, today) for approvals in snapshots), strict=True):
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


def _people_remarks(catalog: Catalog) -> Iterator[Problem]:
    path = str(people_path(catalog.path))
    people = load_people(path, catalog.name)
    ledger = read_ledger(ledger_path(catalog.path), people, catalog.name)
    why = why_people_unsigned(ledger, people, catalog.name) if is_signing_required(catalog, ledger) else ""
    if why:
        yield Problem(path, 0, 0, f"the file {why}", f"constrained approve {catalog.name} --people --as PERSON")


def _waiting_problem(version: VersionStatus, catalog: Catalog) -> Problem:
    hint = f"constrained approve {catalog.name} {version.response.id} --as PERSON" + (" --restore" if version.is_recalled else "")
    return version.response.source.problem(f"{version.name} {version.reason}", hint)


def _citation_problems(catalog: Catalog) -> Iterator[Problem]:
    for one in changed_citations(catalog):
        stopped = "is suspended: " if one.is_suspended else "may be out of date: "
        hint = f"read the passage; if the text is still right, write hash: {one.present}" if one.present else "correct document and passage"
        yield one.response.source.problem(f"{one.response.id!r} {stopped}{one.reason}", hint)
