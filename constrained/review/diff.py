"""What changed between two versions of a pack, in what can be said and when: for a pull request. Knows no command line.

Catalogs are compared by content, whatever their files look like. Logic is compared by its offers: each with the
conditions on the way to it, its slots and effects. Both policies run on the same sampled states, which tells what
became reachable, what no longer is, and where an obligation came or went.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from constrained.catalog.digest import version_hash
from constrained.catalog.response import Approval, Catalog, Citation, Response, Slot
from constrained.logic.explore import explore
from constrained.logic.policy import Policy
from constrained.review.guards import offers_with_conditions

RUNS = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        about: the response, or the part of the catalog.
        what: one sentence without a full stop. details: lines before (``- ``) and after (``+ ``).
    """

    section: str
    about: str
    what: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One version of a pack; ``policy`` is None where only catalogs are compared."""

    catalog: Catalog
    policy: Policy | None = None


def differences(old: Side, new: Side) -> list[Change]:
    """Everything that differs, section by section: catalog, texts, answers, logic, reach, obligations, approvals."""
    found = [*_heads(old.catalog, new.catalog), *_responses(old.catalog, new.catalog)]
    if old.policy is not None and new.policy is not None:
        found += [*_logic(old.policy, new.policy), *_reach(old.policy, new.policy)]
    return found + list(_reopened(old.catalog, new.catalog))


def markdown(name: str, changes: list[Change]) -> str:
    """The changes of one pack for a pull request."""
    lines = [f"## {name}", ""]
    if not changes:
        return "\n".join([*lines, "No difference in what can be said, or when.", ""])
    for section in dict.fromkeys(change.section for change in changes):
        lines += [f"### {section}", ""]
        for change in (one for one in changes if one.section == section):
            lines.append(f"- **{change.about}**: {change.what}")
            lines += [_detail(detail) for detail in change.details]
        lines.append("")
    return "\n".join(lines)


def _detail(text: str) -> str:
    """A line of a text as code: nothing in it is read as markup."""
    fence = "`" * (max((len(run) for run in _runs_of_backticks(text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"  - {'was' if text[0] == '-' else 'now'} {fence}{pad}{' '.join(text[2:].split())}{pad}{fence}"


def _runs_of_backticks(text: str) -> list[str]:
    return [run for run in "".join(char if char == "`" else " " for char in text).split() if run]


# -- catalogs --------------------------------------------------------------------------------------------


def _heads(old: Catalog, new: Catalog) -> Iterator[Change]:
    for field in ("version", "locale", "speaker", "persona", "fallback", "is_approval_required"):
        before, after = str(getattr(old, field)), str(getattr(new, field))
        if before != after:
            yield Change("Catalog", field, "changed", (f"- {before}", f"+ {after}"))


def _responses(old: Catalog, new: Catalog) -> Iterator[Change]:
    for response_id in [*old.responses, *(one for one in new.responses if one not in old)]:
        before, after = old.responses.get(response_id), new.responses.get(response_id)
        if before is None and after is not None:
            yield Change("Texts", response_id, "new response", tuple(f"+ {locale}: {text.source}" for locale, text in after.texts.items()))
        elif after is None and before is not None:
            yield Change("Texts", response_id, "taken out", tuple(f"- {locale}: {text.source}" for locale, text in before.texts.items()))
        elif before is not None and after is not None:
            yield from _texts(before, after)
            yield from _fields(before, after)


def _texts(before: Response, after: Response) -> Iterator[Change]:
    for locale in sorted(before.texts.keys() | after.texts.keys()):
        old, new = before.texts.get(locale), after.texts.get(locale)
        if old == new:
            continue
        what = f"text in {locale} " + ("added" if old is None else "taken out" if new is None else "changed")
        details = ([f"- {old.source}"] if old else []) + ([f"+ {new.source}"] if new else [])
        yield Change("Texts", after.id, what, tuple(details))


def _fields(before: Response, after: Response) -> Iterator[Change]:
    for field, told in _FIELDS.items():
        old, new = told(before), told(after)
        if old != new:
            yield Change("What it answers, slots, tags", after.id, f"{field} changed", (f"- {old}", f"+ {new}"))
    gone, come = _messages(before) - _messages(after), _messages(after) - _messages(before)
    if gone or come:
        details = [f"- {one}" for one in sorted(gone)] + [f"+ {one}" for one in sorted(come)]
        yield Change("What it answers, slots, tags", after.id, f"examples: {len(come)} new, {len(gone)} gone", tuple(details))


_FIELDS: dict[str, Callable[[Response], str]] = {
    "when": lambda response: response.when,
    "slots": lambda response: ", ".join(f"{slot.name}: {_slot(slot)}" for slot in response.slots.values()) or "none",
    "tags": lambda response: ", ".join(sorted(response.tags)) or "none",
    "voice": lambda response: response.voice or "none",
    "key": lambda response: response.key,
    "exact_locale": lambda response: str(response.exact_locale),
    "author": lambda response: response.author or "none",
    "cites": lambda response: _cites(response.cites) if response.cites else "none",
    "claims": lambda response: response.claims or "none",
    "approval": lambda response: _approval(response.approval) if response.approval else "none",
}


def _cites(one: Citation) -> str:
    return f"{one.document} {one.passage} {one.hash[:19]}"


def _approval(one: Approval) -> str:
    return f"{one.by} from {one.on}" + (f" until {one.until}" if one.until else "")


def _slot(slot: Slot) -> str:
    """A slot and all that may fill it."""
    words = "; ".join(f"{value}: {', '.join(one.values())}" for value, one in slot.choices.items())
    longest = f" of at most {slot.max_length}" if slot.kind == "text" else ""
    kind = f"sensitive {slot.kind}" if slot.is_sensitive else slot.kind
    return kind + (f" {slot.currency}" if slot.currency else "") + longest + (f" of {words}" if words else "")


def _messages(response: Response) -> set[str]:
    return {f"{locale}: {message}" for locale, messages in response.examples.items() for message in messages}


def _reopened(old: Catalog, new: Catalog) -> Iterator[Change]:
    """Versions that an approver has to sign for again, or for the first time."""
    for response in new.responses.values():
        before = old.responses.get(response.id)
        for locale in response.texts:
            known = before is not None and locale in before.texts
            if before is not None and known and version_hash(before, locale) != version_hash(response, locale):
                yield Change("Approvals", response.id, f"the approval in {locale} is reopened")
            elif not known:
                yield Change("Approvals", response.id, f"needs an approval in {locale}")


# -- logic -----------------------------------------------------------------------------------------------


def _logic(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = offers_with_conditions(old), offers_with_conditions(new)
    for response_id in sorted(before.keys() | after.keys()):
        was, now = before.get(response_id, []), after.get(response_id, [])
        if was == now:
            continue
        kept = difflib.SequenceMatcher(a=was, b=now, autojunk=False).get_opcodes()
        details = [
            line
            for tag, i, j, k, n in kept
            if tag != "equal"
            for line in [*(f"- {one}" for one in was[i:j]), *(f"+ {one}" for one in now[k:n])]
        ]
        what = "offered anew" if not was else "no longer offered" if not now else "offered under other conditions"
        yield Change("Logic", response_id, what, tuple(details))


@dataclass(frozen=True, slots=True)
class _Reached:
    offered: frozenset[str]
    obliged: frozenset[str]


def _reach(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = _reached(old), _reached(new)
    for response_id in sorted(after.offered - before.offered):
        yield Change("Reach", response_id, "can be said now, in the sampled states")
    for response_id in sorted(before.offered - after.offered):
        yield Change("Reach", response_id, "is offered in none of the sampled states any more")
    for response_id in sorted(after.obliged - before.obliged):
        yield Change("Obligations", response_id, "must be said now, in some states")
    for response_id in sorted(before.obliged - after.obliged):
        yield Change("Obligations", response_id, "is no longer obliged in any sampled state")


def _reached(policy: Policy) -> _Reached:
    offered, obliged = set[str](), set[str]()
    for run in explore(policy, RUNS):
        for offer in run.offers:
            (obliged if offer.kind == "must" else offered).add(offer.response_id)
    return _Reached(frozenset(offered), frozenset(obliged))
