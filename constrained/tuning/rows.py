"""What there is to learn from: a catalog's examples and further labelled messages. Knows no model."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from constrained.catalog.response import Catalog, Response
from constrained.errors import SampleError


@dataclass(frozen=True, slots=True)
class Row:
    """One message and the id of the response that answers it; the fallback's where nothing does."""

    message: str
    id: str


def rows_of(catalog: Catalog, more: Iterable[Row] = ()) -> tuple[Row, ...]:
    """Examples of every locale, what each response is for (``when``, else its key), and ``more``; each once.

    The fallback has rows only where somebody wrote messages that nothing answers: its ``when`` tells of none.
    Raises SampleError when fewer than two responses would be told apart.
    """
    told = [row for response in catalog.responses.values() for row in _rows(response, is_fallback=response.id == catalog.fallback)]
    found = tuple(dict.fromkeys((*told, *more)))
    if len({row.id for row in found if row.id != catalog.fallback}) < 2:
        hint = "a catalog of at least two responses beside the fallback is needed"
        raise SampleError(f"the catalog {catalog.name!r} has nothing to tell apart", hint=hint)
    return found


def batches(rows: Sequence[Row], size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Indices of rows: each once an epoch, two of one response side by side. The same for the same seed and epoch.

    A batch in which most messages have a companion tells what messages to one response share, not only which it is.
    """
    chance = random.Random(f"{seed} {epoch}")
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.id, []).append(index)
    pairs: list[list[int]] = []
    for group in groups.values():
        chance.shuffle(group)
        pairs += [group[at : at + 2] for at in range(0, len(group), 2)]
    chance.shuffle(pairs)
    order = [index for pair in pairs for index in pair]
    for at in range(0, len(order), size):
        yield order[at : at + size]


def _rows(response: Response, *, is_fallback: bool) -> Iterator[Row]:
    for messages in response.examples.values():
        yield from (Row(message, response.id) for message in messages)
    if not is_fallback:
        yield Row(response.when or response.key, response.id)
