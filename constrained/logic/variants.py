"""Which variant of a text is said: a shuffle bag for each response, the same wherever a conversation goes on or is replayed.

Every variant is said once before any is said again, and the last of one bag is not the first of the next. The order follows
from the conversation (``Memory.seed``), the response and how often it was said so far; a memory without a seed says the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from constrained.catalog.render import render
from constrained.catalog.response import Catalog, Response
from constrained.catalog.template import Hole
from constrained.logic.options import Allowed, Obligation, Option
from constrained.logic.state import Memory, OpenOffer

Said = TypeVar("Said", Option, Obligation)


def seed_of(conversation: str) -> str:
    """What stands for a conversation in its memory. Of letters only: no number of a person that names one is kept, or masked."""
    digits = hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return digits.translate(str.maketrans("0123456789", "ghijklmnop"))


def variant_of(seed: str, response_id: str, n_said: int, n_variants: int) -> int:
    """The variant, from 0, that is said when a response was said ``n_said`` times before."""
    if not seed or n_variants < 2:
        return 0
    number, place = divmod(n_said, n_variants)
    return _bag(seed, response_id, number, n_variants)[place]


@lru_cache(maxsize=4096)
def _bag(seed: str, response_id: str, number: int, n_variants: int) -> tuple[int, ...]:
    """All variants in the order of the ``number``-th time round."""
    if n_variants == 2:
        number = 0  # the only order in which neither follows itself
    order = _shuffled(seed, response_id, number, n_variants)
    if number and order[0] == _shuffled(seed, response_id, number - 1, n_variants)[-1]:
        order = (order[1], order[0], *order[2:])  # of three or more: so the last, which the next bag looks at, stays
    return order


def _shuffled(seed: str, response_id: str, number: int, n_variants: int) -> tuple[int, ...]:
    def key(variant: int) -> bytes:
        return hashlib.sha256(f"{seed} {response_id} {number} {variant}".encode()).digest()

    return tuple(sorted(range(n_variants), key=key))


def said_last(memory: Memory, response: Response, locale: str) -> int:
    """The variant of a response that was said when it was last said."""
    return _drawn(memory, response, locale, max(0, memory.times.get(response.id, 0) - 1))


def _drawn(memory: Memory, response: Response, locale: str, n_said: int) -> int:
    """Under the first id that the response had: the bag is not shuffled anew when it is renamed."""
    return variant_of(memory.seed, (*response.aliases, response.id)[0], n_said, len(response.texts[locale].each))


def vary(allowed: Allowed, memory: Memory) -> Allowed:
    """The same with the variants whose turn it is; as it is where two options would then read the same."""
    varied = replace(
        allowed,
        options=tuple(_varied_option(one, memory) for one in allowed.options),
        obligations=tuple(_varied(one, memory) for one in allowed.obligations),
        spare=tuple(_varied_option(one, memory) for one in allowed.spare),
        barks=tuple(_varied_option(one, memory) for one in allowed.barks),
        resort=None if allowed.resort is None else _varied_option(allowed.resort, memory),
    )
    return varied if len({one.text for one in varied.options}) == len(varied.options) else allowed


def _varied_option(option: Option, memory: Memory) -> Option:
    option = _varied(option, memory)
    if not any(one.response.texts[one.locale].variants for one in option.obligations):
        return option
    return replace(option, obligations=tuple(_varied(one, memory) for one in option.obligations))


def _varied(said: Said, memory: Memory) -> Said:
    variant = _drawn(memory, said.response, said.locale, memory.times.get(said.id, 0))
    return replace(said, variant=variant, text=render(said.response, said.slots, said.locale, variant)) if variant else said


def counted(memory: Memory, said: tuple[Option | Obligation, ...]) -> dict[str, int]:
    """How often each response was said, once all of this is; of those with variants, in a conversation that draws them."""
    names = {one.id for one in said if one.response.texts[one.locale].variants} if memory.seed else set[str]()
    return memory.times | {name: memory.times.get(name, 0) + 1 for name in names} if names else memory.times


def fitting(memory: Memory, catalog: Catalog, conversation: str) -> Memory:
    """A memory as a conversation with this catalog goes on from it: with a seed, where variants are drawn, and under the ids of today."""
    changes: dict[str, object] = {}
    if not memory.seed and catalog.has_variants:
        changes["seed"] = seed_of(conversation)
    kept = {*memory.said, *memory.times, *(one for one, _ in memory.clock), *(one.id for one in memory.open_offers)} - {""}
    renamed = {old: new for old in kept if old not in catalog and (new := catalog.current_id(old)) is not None}
    if renamed:
        said, times, clock = dict(memory.said), dict(memory.times), dict(memory.clock)
        for old, new in renamed.items():
            if old in said:
                said[new] = max(said.pop(old), said.get(new, 0))
            if old in times:
                times[new] = times.pop(old) + times.get(new, 0)
            if old in clock:
                clock[new] = max(clock.pop(old), clock.get(new, 0.0))
        offers = [one.model_copy(update={"id": renamed.get(one.id, one.id)}) for one in memory.open_offers]
        offers = [one for one in offers if one.id not in renamed.values() or is_asked(one, catalog)]
        changes |= {"said": said, "times": times, "clock": tuple(sorted(clock.items())), "open_offers": tuple(offers)}
    return memory.model_copy(update=changes) if changes else memory


def is_asked(offer: OpenOffer, catalog: Catalog) -> bool:
    """Whether the catalog asks the question of an open offer in these words, whatever fills its slots: a yes to others is none to this."""
    asked = catalog.offer(offer.id)
    return asked is not None and any(_fits(form, offer.text) for text in asked.texts.values() for form in text.flattened())


def _fits(form: Iterable[str | Hole], text: str) -> bool:
    """Whether a text is a form whose holes are filled with anything; in linear time, since a save may hold any text."""
    first, *others = "".join(part if isinstance(part, str) else "\0" for part in form).split("\0")
    if not others:
        return text == first
    *middle, last = others
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at < end
