"""What changed between two versions of a pack, in what can be said and when: for a pull request.

The text of a logic file tells the conditions and effects of its offers; only for what can be reached it is run.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

from constrained.analysis.explore import explore
from constrained.catalog.response import Approval, Catalog, Citation, Response, ReviewRules, Slot, version_hash
from constrained.logic.policy import Policy
from constrained.logic.script import FunctionNode, Script
from constrained.logic.source_offers import Made, find_offers

RUNS = 1_000
UNKNOWN_ID = "(any of several)"
IMPORTS = "imports"
MOST_LINES = 40  # of one part that are shown


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
class PackVersion:
    """One version of a pack; ``policy`` is None where only catalogs are compared."""

    catalog: Catalog
    policy: Policy | None = None


def differences(old: PackVersion, new: PackVersion) -> list[Change]:
    """Everything that differs, section by section: catalog, texts, answers, logic, code, reach, obligations, approvals."""
    found = [*_heads(old.catalog, new.catalog), *_responses(old.catalog, new.catalog)]
    if old.policy is not None and new.policy is not None:
        found += [*_logic(old.policy, new.policy), *_code(old.policy, new.policy), *_reach(old.policy, new.policy)]
        if new.catalog.is_approval_required and old.policy.source != new.policy.source:
            signed = Change("Approvals", "the logic", f"needs a signature: constrained approve {new.catalog.name} --logic")
            return [*found, *_reopened(old.catalog, new.catalog), signed]
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
    for field in ("version", "locale", "speaker", "persona", "fallback", "way_out", "is_approval_required", "box"):
        yield from _head(field, str(getattr(old, field)), str(getattr(new, field)))
    for name in sorted(old.documents.keys() | new.documents.keys()):
        yield from _head(f"documents.{name}", _document(old, name), _document(new, name))
    for one in fields(ReviewRules):
        yield from _head(f"review.{one.name}", str(getattr(old.review, one.name)), str(getattr(new.review, one.name)))


def _document(catalog: Catalog, name: str) -> str:
    one = catalog.documents.get(name)
    return f"{one.file}, on change: {one.on_change}" if one else "none"


def _head(about: str, before: str, after: str) -> Iterator[Change]:
    if before != after:
        yield Change("Catalog", about, "changed", (f"- {before}", f"+ {after}"))


def _responses(old: Catalog, new: Catalog) -> Iterator[Change]:
    renamed = {new_id: one for one in old.responses if one not in new and (new_id := new.current_id(one)) and new_id not in old}
    gone = renamed.values()
    for response_id in [*(one for one in old.responses if one not in gone), *(one for one in new.responses if one not in old)]:
        before, after = old.responses.get(renamed.get(response_id, response_id)), new.responses.get(response_id)
        if response_id in renamed:
            yield Change("Texts", response_id, f"renamed, was {renamed[response_id]}")
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
    "free_text": lambda response: response.free_text or "none",
    "aliases": lambda response: ", ".join(response.aliases) or "none",
    "approval": lambda response: _approval(response.approval) if response.approval else "none",
}


def _cites(one: Citation) -> str:
    return f"{one.document} {one.passage} {one.hash[:19]}"


def _approval(one: Approval) -> str:
    return f"{one.by} from {one.on}" + (f" until {one.until}" if one.until else "")


def _slot(slot: Slot) -> str:
    """A slot and all that may fill it."""
    words = "; ".join(f"{value}: {', '.join(one.values())}" for value, one in slot.choices.items())
    longest = f" of at most {slot.max_length}" if slot.kind in ("text", "user_text") else ""
    kind = f"sensitive {slot.kind}" if slot.is_sensitive else slot.kind
    form = "".join(f" {one}" for one in (slot.currency, slot.form, slot.country) if one)
    return kind + form + longest + (f" of {words}" if words else "")


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
    before = {new.catalog.current_id(name) or name: offers for name, offers in offers_with_conditions(old).items()}
    after = offers_with_conditions(new)
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


def _code(old: Policy, new: Policy) -> Iterator[Change]:
    """Whatever differs in the file: a constant that a slot is filled with, a helper that a condition names, a question of Heard."""
    for name, what, details in changed_parts(old.script, new.script):
        yield Change("Code", name, what, details)


@dataclass(frozen=True, slots=True)
class _Reached:
    offered: frozenset[str]
    obliged: frozenset[str]


def _reach(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = _reached(old, new.catalog), _reached(new, new.catalog)
    for response_id in sorted(after.offered - before.offered):
        yield Change("Reach", response_id, "can be said now, in the sampled states")
    for response_id in sorted(before.offered - after.offered):
        yield Change("Reach", response_id, "is offered in none of the sampled states any more")
    for response_id in sorted(after.obliged - before.obliged):
        yield Change("Obligations", response_id, "must be said now, in some states")
    for response_id in sorted(before.obliged - after.obliged):
        yield Change("Obligations", response_id, "is no longer obliged in any sampled state")


def _reached(policy: Policy, catalog: Catalog) -> _Reached:
    """By the ids of today, which a catalog tells."""
    offered, obliged = set[str](), set[str]()
    for run in explore(policy, RUNS):
        for offer in run.offers:
            (obliged if offer.kind == "must" else offered).add(catalog.current_id(offer.response_id) or offer.response_id)
    return _Reached(frozenset(offered), frozenset(obliged))


# -- offers: their effects, and the conditions on the way to them --------------------------------------


def offers_of(policy: Policy) -> list[Made]:
    """Every offer in the policy's file that a run can come to, in the order of the file."""
    return [made for made in find_offers(policy.script, policy.functions) if not made.is_dead]


def effects_by_response(policy: Policy) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    """Response id -> names of the effects on its offers, and all names. An offer that may name any id counts for every id."""
    found: dict[str, frozenset[str]] = {}
    known = frozenset(map(_effect_name, _then_calls(policy)))
    for made in offers_of(policy):
        names = effect_names(made)
        known |= names
        for response_id in made.ids if made.ids is not None else policy.catalog.responses:
            found[response_id] = found.get(response_id, frozenset()) | names
    return found, known


def effect_names(made: Made) -> frozenset[str]:
    """The effects of one offer, by the names that the file gives them."""
    return frozenset(_effect_name(link) for name, link in made.links if name == "then" and link.args)


def _then_calls(policy: Policy) -> Iterator[ast.Call]:
    """Every ``.then(effect, ...)`` of the functions that take part, also on a local name."""
    for node in (one for function in policy.functions for one in ast.walk(function)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "then" and node.args:
            yield node


def _effect_name(link: ast.Call) -> str:
    return ast.unparse(link.args[0]).rpartition(".")[2]


def offers_with_conditions(policy: Policy) -> dict[str, list[str]]:
    """Response id -> its offers, in the order of the file: ``say(price=PRICE).then(pay, PRICE) when state.gold >= PRICE``."""
    found: dict[str, list[str]] = {}
    for made in offers_of(policy):
        for response_id in made.ids if made.ids is not None else (UNKNOWN_ID,):
            found.setdefault(response_id, []).append(_offer_text(made))
    return found


def _offer_text(made: Made) -> str:
    slots = ", ".join(f"{name}={ast.unparse(value)}" for name, value in made.slots.items())
    links = "".join(f".{name}({', '.join(map(ast.unparse, [*link.args, *link.keywords]))})" for name, link in made.links)
    conditions = " and ".join(_conditions(made.call))
    return f"{made.kind}({slots}){links}" + (f" when {conditions}" if conditions else "")


def _conditions(node: ast.AST) -> list[str]:
    """From the outermost to the innermost; a function other than the policy begins with its name."""
    found: list[str] = []
    while (parent := getattr(node, "parent", None)) is not None:
        found = [*_between(parent, node), *found]
        if isinstance(parent, FunctionNode):
            return [f"in {parent.name}", *found]
        node = parent
    return found


def _between(parent: ast.AST, child: ast.AST) -> Iterator[str]:
    """What must hold for a run to come from a statement into the part of it that holds ``child``."""
    if isinstance(parent, ast.If | ast.While | ast.IfExp) and child is not parent.test:
        test = _bracketed(parent.test)
        body = parent.body if isinstance(parent.body, list) else [parent.body]
        yield test if child in body else f"not {test}"
    elif isinstance(parent, ast.For | ast.AsyncFor):
        yield f"for {ast.unparse(parent.target)} in {ast.unparse(parent.iter)}"
    elif isinstance(parent, ast.match_case):
        yield f"case {ast.unparse(parent.pattern)}" + (f" if {ast.unparse(parent.guard)}" if parent.guard else "")
    elif isinstance(parent, ast.Match):
        yield f"match {ast.unparse(parent.subject)}"
    yield from _earlier_returns(parent, child)


def _earlier_returns(parent: ast.AST, child: ast.AST) -> Iterator[str]:
    """``if x: ...; return`` above a statement means that x does not hold there."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if not isinstance(block, list) or child not in block:
            continue
        for statement in block[: block.index(child)]:
            if isinstance(statement, ast.If) and not statement.orelse and _leaves(statement.body):
                yield f"not {_bracketed(statement.test)}"


def _leaves(block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Return | ast.Continue | ast.Raise | ast.Break)


def _bracketed(test: ast.expr) -> str:
    text = ast.unparse(test)
    return f"({text})" if isinstance(test, ast.BoolOp | ast.IfExp | ast.Compare | ast.UnaryOp) and " " in text else text


# -- code, part by part: for a change that no condition of an offer shows ------------------------------


def parts(script: Script) -> dict[str, str]:
    """Name -> code of each function, class and assignment of a file, without its comments and the way it is laid out."""
    found: dict[str, list[str]] = {}
    for node in script.tree.body:
        found.setdefault(_name(node), []).append(ast.unparse(node))
    return {name: "\n".join(code) for name, code in found.items()}


def changed_parts(old: Script, new: Script) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, what happened to it, and the lines before (``- ``) and after (``+ ``) of each part that differs."""
    before, after = parts(old), parts(new)
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if was != now:
            what = "new code" if was is None else "code taken out" if now is None else "code changed"
            yield name, what, tuple(_lines(was or "", now or ""))


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return IMPORTS
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign):
        return ", ".join(map(ast.unparse, node.targets))
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return ast.unparse(node.target)
    return "docstring" if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else "other statements"


def _lines(was: str, now: str) -> list[str]:
    told = [line for line in difflib.ndiff(was.splitlines(), now.splitlines()) if line[:2] in ("- ", "+ ") and line[2:].strip()]
    rest = len(told) - MOST_LINES
    return told if rest <= 0 else [*told[:MOST_LINES], f"+ ({rest} more lines)"]
