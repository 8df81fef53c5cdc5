"""What waits for a signature, and the entries that would settle it. Knows no key and no command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product

from constrained.approval.in_force import Findings, Standing, ends_on
from constrained.approval.ledger import ANY, Draft, Entry, Kind, Ledger
from constrained.approval.people import People
from constrained.catalog.digest import version_hash
from constrained.catalog.response import Catalog, Response
from constrained.errors import ApprovalError

SOON_DAYS = 30  # an approval that ends within so many days is warned of


@dataclass(frozen=True, slots=True)
class Version:
    """A response in one locale, and how it stands in one place.

    Attributes:
        reason: why it is not in force; empty when it is.
        ends: the last day on which it is in force by itself; None for no end, and for what is not in force.
    """

    response: Response
    locale: str
    reason: str
    findings: Findings
    ends: date | None = None

    @property
    def name(self) -> str:
        return f"{self.response.id} ({self.locale})"

    @property
    def text(self) -> str:
        return self.response.texts[self.locale].source

    @property
    def is_recalled(self) -> bool:
        return bool(self.reason) and self.findings.recalled_by is not None

    def ends_soon(self, today: date) -> bool:
        return self.ends is not None and self.ends <= today + timedelta(days=SOON_DAYS)


@dataclass(frozen=True, slots=True)
class Terms:
    """For which places and days somebody signs; no places means everywhere."""

    channels: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    begins: date | None = None
    until: date | None = None
    reason: str = ""

    def places(self) -> Iterator[tuple[str | None, str | None]]:
        yield from product(self.channels or (None,), self.jurisdictions or (None,))


def versions(catalog: Catalog, standing: Standing, today: date, ids: Collection[str] = (), locale: str | None = None) -> list[Version]:
    """Every version of a catalog, or of some of its responses, with how it stands. Raises ApprovalError for an unknown id."""
    unknown = sorted(set(ids) - set(catalog.responses))
    if unknown:
        hint = f"the ids stand in {catalog.path or 'the catalog'}"
        raise ApprovalError(f"the catalog {catalog.name!r} has no response {unknown[0]!r}", file=catalog.path, hint=hint)
    return [
        _version(response, one, standing, today)
        for response in catalog.responses.values()
        if not ids or response.id in ids
        for one in response.texts
        if locale in (None, one)
    ]


def open_versions(
    catalog: Catalog, ledger: Ledger, people: People, terms: Terms, today: date, ids: Collection[str] = (), locale: str | None = None
) -> list[Version]:
    """Versions that are not in force in at least one of the places, each once."""
    found: dict[tuple[str, str], Version] = {}
    for channel, jurisdiction in terms.places():
        for one in versions(catalog, Standing(ledger, people, channel, jurisdiction), today, ids, locale):
            if one.reason:
                found.setdefault((one.response.id, one.locale), one)
    order = list(catalog.responses)
    return sorted(found.values(), key=lambda one: order.index(one.response.id))


def to_approve(waiting: Sequence[Version], terms: Terms, today: date, *, by: str, is_restoring: bool = False) -> list[Draft]:
    """Approvals of what waits, less what this person has signed for these days already. Recalled versions need ``is_restoring``.

    Raises:
        ApprovalError: an approval that would begin in the past, or end before it begins, or has no author to differ from.
    """
    if terms.begins is not None and terms.begins < today:
        raise ApprovalError(
            f"an approval cannot begin on {terms.begins}, before it is signed", hint="leave --from out: it then begins today"
        )
    if terms.until is not None and terms.until < (terms.begins or today):
        raise ApprovalError(f"the approval would end on {terms.until}, before it begins", hint="give a later day")
    drafts = []
    for one in waiting:
        if one.is_recalled != is_restoring or (not is_restoring and _has_signed(one, by, today)):
            continue
        if not one.response.author:
            raise ApprovalError(f"nobody is named as the author of {one.response.id!r}", hint="write author: NAME into the catalog")
        drafts.append(draft_of("restore" if is_restoring else "approve", one.response, one.locale, terms))
    return drafts


def to_recall(catalog: Catalog, response_id: str, terms: Terms, locale: str | None = None, signed: Iterable[Entry] = ()) -> list[Draft]:
    """Recalls of every locale of a response, or of one.

    Args:
        signed: what the ledger holds of the response. A response, or a text of it, that the catalog no longer has is recalled
            all the same: a process that runs may still say it.
    """
    response = catalog.responses.get(response_id)
    if response is None:
        return [_gone(response_id, locale or ANY, terms)]
    gone = {entry.locale for entry in signed} - set(response.texts) - {ANY}
    here, left = ([one for one in found if locale in (None, one)] for found in (response.texts, sorted(gone)))
    if not here and not left:
        raise ApprovalError(f"{response_id!r} has no text in {locale!r}", file=catalog.path, hint=f"it has {', '.join(response.texts)}")
    return [*(draft_of("recall", response, one, terms) for one in here), *(_gone(response_id, one, terms) for one in left)]


def draft_of(kind: Kind, response: Response, locale: str, terms: Terms) -> Draft:
    """What is signed about one version, on these terms."""
    is_recall = kind == "recall"
    return Draft(
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


def _gone(response_id: str, locale: str, terms: Terms) -> Draft:
    """A recall of whatever the ledger holds of a response in a locale."""
    return Draft(
        kind="recall",
        response=response_id,
        locale=locale,
        version="",
        text="",
        channels=terms.channels or (ANY,),
        jurisdictions=terms.jurisdictions or (ANY,),
        reason=terms.reason,
    )


def _version(response: Response, locale: str, standing: Standing, today: date) -> Version:
    reason, found = standing.why_not(response, locale, today), standing.findings(response, locale)
    ends = ends_on(found, response, standing.people, today) if standing.people and not reason else None
    return Version(response, locale, reason, found, ends)


def _has_signed(version: Version, by: str, today: date) -> bool:
    return any(one.by == by and (one.last_day is None or one.last_day >= today) for one in version.findings.signed)
