"""What is in force: may this version of a response be said on this day, in this place? Knows no policy and no file.

A version is in force when enough of the right people have approved it, for this channel and jurisdiction, on a day
between its dates, and nobody has recalled it since. A recall voids every version approved before it; such a version
comes back only with ``restore``, which counts like an approval. A version that is first approved after a recall is
another one, and the recall does not concern it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from constrained.approval.ledger import ANY, Entry, Ledger, covers
from constrained.approval.people import People, is_same_name
from constrained.catalog.digest import version_hash
from constrained.catalog.response import Response


@dataclass(frozen=True, slots=True)
class Findings:
    """How a version stands.

    Attributes:
        signed: approvals and restorations since the last recall, on whatever day they count.
        recalled_by: the last recall of the version; it holds until enough people have restored the version.
        earlier: the last approval of another version in the same locale: the text was edited since.
    """

    signed: tuple[Entry, ...]
    recalled_by: Entry | None = None
    earlier: Entry | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
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

    def findings(self, response: Response, locale: str) -> Findings:
        """Who approved or recalled a version here."""
        entries = self.ledger.by_response.get(response.id, ()) if self.ledger else ()
        return findings(entries, version_hash(response, locale), locale, self.channel, self.jurisdiction)

    def versions(self) -> dict[str, str]:
        """What a record keeps of this: enough to see it again (``standing_at``)."""
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
        found = self.findings(response, locale)
        reason = unapproved(found, response, people, today)
        if reason and found.recalled_by is not None:
            return f"was recalled by {found.recalled_by.by} on {found.recalled_by.signed_on}" + _because(found.recalled_by)
        if not reason or self.drafts:
            return ""
        return reason + (self._place() if reason.startswith("is not approved") else "")

    def _place(self) -> str:
        named = [f"{what} {value!r}" for what, value in (("channel", self.channel), ("jurisdiction", self.jurisdiction)) if value]
        return f" for {' and '.join(named)}" if named else ""


OPEN = Standing()  # no ledger is kept


def findings(entries: Iterable[Entry], version: str, locale: str, channel: str | None = None, jurisdiction: str | None = None) -> Findings:
    """How a version stands in a place, by the entries of its response in the order of the ledger."""
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
    return Findings(tuple(signed), recall, earlier)


def unapproved(found: Findings, response: Response, people: People, today: date) -> str:
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


def ends_on(found: Findings, response: Response, people: People, today: date) -> date | None:
    """The last day on which a version that is in force today stays so by itself; None when it has no end."""
    days = sorted({entry.last_day for entry in found.signed if entry.last_day is not None and entry.last_day >= today})
    return next((day for day in days if unapproved(found, response, people, date.fromordinal(day.toordinal() + 1))), None)


def _because(entry: Entry) -> str:
    return f": {entry.reason}" if entry.reason else ""
