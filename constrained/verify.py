"""The check before release: the text about to be sent is an approved rendering allowed this turn.

It trusts neither the engine, nor the decision, nor the renderer: it joins the chosen response and the obligations
anew from the catalog's own parts and compares bytes, and it reads the ledger of approvals anew, in its own way. It
shares no code with decoding.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from constrained.approval.in_force import NO_LEDGER, ApprovalSnapshot
from constrained.approval.ledger import ANY, LOGIC, covers
from constrained.catalog.plurals import selected
from constrained.catalog.render import spoken
from constrained.catalog.response import Catalog, Response, version_hash
from constrained.catalog.template import Hole, Selection
from constrained.errors import SlotError, VerificationError
from constrained.logic.options import SEPARATOR, Allowed, Obligation, Option


def verify(
    text: str,
    chosen: Option,
    allowed: Allowed,
    catalog: Catalog,
    today: date,
    standing: ApprovalSnapshot = NO_LEDGER,
    done: Collection[str] = (),
    spoken: Collection[Option] = (),
) -> None:
    """Raises VerificationError unless ``text`` is byte for byte the approved rendering of ``chosen``, or of all that is ``spoken`` with it,
    each of it allowed, with every obligation said, each in force by ``standing``, and every event that one of them claims
    among ``done``. Only an option has effects, and of those only the chosen one."""
    if not _is_logic_in_force(today, standing):
        raise VerificationError(
            f"no approval of the logic is in force on {today}", hint="nothing was sent; see constrained approve --logic"
        )
    spoken = tuple(spoken) or (chosen,)
    if not any(one is chosen for one in spoken):
        raise VerificationError(f"{chosen.id!r} is chosen and not said", hint="nothing was sent")
    for one in spoken:
        if not any(option is one for option in allowed.sayable):
            raise VerificationError(f"{one.id!r} is not among the options allowed this turn", hint="nothing was sent; the engine is faulty")
        is_option = one is chosen and any(option is one for option in allowed.options)
        if not is_option and (one.effects or one.running is not None):
            raise VerificationError(f"{one.id!r} is no option of this turn and has effects", hint="nothing was sent")
        obliged = {added.id for added in (*chosen.obligations, *allowed.obligations)}
        if not obliged.issuperset(added.id for added in one.obligations):
            raise VerificationError(f"{one.id!r} would be said without its obligations", hint="nothing was sent")
    before: list[bytes] = []
    after: list[bytes] = []
    for obligation in [*chosen.obligations, *allowed.obligations]:
        (after if obligation.is_after else before).append(_approved_bytes(obligation, catalog, today, standing))
    words = [_approved_bytes(one, catalog, today, standing) for one in spoken]
    expected = SEPARATOR.encode().join([*before, *words, *after])
    everything: list[Option | Obligation] = [*spoken, *chosen.obligations, *allowed.obligations]
    for said in everything:
        claims = catalog.responses[said.id].claims
        if claims and claims not in done:
            raise VerificationError(
                f"{said.id!r} claims {claims!r}, which was not committed", hint="nothing was sent; the host has not told it"
            )
    if text.encode() != expected:
        raise VerificationError(
            f"the text to be sent is not the approved rendering of {chosen.id!r}",
            hint="nothing was sent; compare the record with the catalog",
        )


def _approved_bytes(said: Option | Obligation, catalog: Catalog, today: date, standing: ApprovalSnapshot) -> bytes:
    response = catalog.responses.get(said.id)
    if response is None or response != said.response:
        raise VerificationError(f"{said.id!r} is not the catalog's response of that id", hint="nothing was sent")
    approval = response.approval
    if approval is not None and not (approval.on <= today and (approval.until is None or today <= approval.until)):
        raise VerificationError(f"the approval of {said.id!r} is not in force on {today}", hint="nothing was sent; renew the approval")
    if not _is_in_force(response, said.locale, today, standing):
        raise VerificationError(f"no approval of {said.id!r} is in force on {today}", hint="nothing was sent; see constrained approve")
    return _filled(response, said).encode()


def _is_in_force(response: Response, locale: str, today: date, standing: ApprovalSnapshot) -> bool:
    """By the ledger's entries, backwards from the last recall: enough of the right people, here and today."""
    if response.id in standing.suspended:
        return False
    if standing.ledger is None or standing.people is None:
        return standing.drafts or not standing.is_required
    if locale not in response.texts:
        return False
    version = version_hash(response, locale)
    stopped, signers = _signers(standing, response.id, version, locale, response.author, today)
    if standing.drafts and not stopped:
        return True
    return bool(response.author) and not standing.people.lacks(standing.people.rule_for(response.tags), signers)


def _is_logic_in_force(today: date, standing: ApprovalSnapshot) -> bool:
    """Likewise the files that decide, where they have to be signed."""
    if standing.logic is None:
        return True
    if standing.ledger is None or standing.people is None:
        return False
    _, signers = _signers(standing, LOGIC, standing.logic.version, ANY, standing.logic.author, today)
    return not standing.people.lacks(standing.people.logic_rule, signers)


def _signers(standing: ApprovalSnapshot, subject: str, version: str, locale: str, author: str, today: date) -> tuple[bool, set[str]]:
    """Whether a version was recalled, and who has signed it since then, or ever, for today and this place."""
    entries = standing.ledger.by_response.get(subject, ()) if standing.ledger else ()
    place = (standing.channel, standing.jurisdiction)
    known_from = next((number for number, one in enumerate(entries) if one.version == version), len(entries))
    here = [(number, one) for number, one in enumerate(entries) if one.locale in (locale, ANY) and covers(one, *place)]
    stopped_at = max((number for number, one in here if one.kind == "recall" and number >= known_from), default=-1)
    counting = ("approve", "restore") if stopped_at < 0 else ("restore",)
    signers = {
        one.by
        for number, one in here
        if number > stopped_at and one.version == version and one.kind in counting and one.by not in (one.author, author)
        and one.first_day <= today <= (one.last_day or today)
    }  # fmt: skip
    return stopped_at >= 0, signers


def _filled(response: Response, said: Option | Obligation) -> str:
    """The response's template with its slots filled in, joined here: ``catalog.render`` is not asked."""
    template = response.texts.get(said.locale)
    if template is None:
        raise VerificationError(f"{said.id!r} has no approved text for {said.locale!r}", hint="nothing was sent")
    if not 0 <= said.variant < len(template.each):
        raise VerificationError(f"{said.id!r} has no variant {said.variant + 1} for {said.locale!r}", hint="nothing was sent")
    template = template.each[said.variant]
    try:
        words = {name: spoken(response.id, response.slots[name], said.slots[name], said.locale) for name in template.slots}
        pieces: list[str | Hole] = []
        for part in template.parts:
            pieces += selected(part, said.slots[part.name], said.locale) if isinstance(part, Selection) else [part]
        return "".join(piece if isinstance(piece, str) else words[piece.name] for piece in pieces)
    except (KeyError, SlotError) as error:
        raise VerificationError(f"the slots of {said.id!r} cannot be filled: {error}", hint="nothing was sent") from error
