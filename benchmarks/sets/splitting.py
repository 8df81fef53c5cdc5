"""How a set is split: a dev part that never changes, examples drawn by seed, nothing in two parts. Knows no file."""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.sets.values import Row

DEV_SEED = 20_260_101  # of every dev part: figures of different examples are measured on the same messages


def bare(message: str) -> str:
    """Letters and digits alone, in one case: what two messages share that differ in style only."""
    return "".join(char for char in unicodedata.normalize("NFKC", message).casefold() if char.isalnum())


def dev_and_rest(rows: Sequence[Row], per_label: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """``per_label`` messages of each label (at most a half of them) as dev; what is left, less the dev messages' doubles."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in distinct(rows):
        groups[row.label].append(row)
    chance = random.Random(DEV_SEED)
    dev = [row for label in sorted(groups) for row in chance.sample(groups[label], min(per_label, len(groups[label]) // 2))]
    return tuple(dev), without(distinct(rows), dev)


def draw(rows: Sequence[Row], labels: Sequence[str], shots: int | None, seed: int) -> tuple[dict[str, tuple[str, ...]], tuple[Row, ...]]:
    """``shots`` examples a label by ``seed`` (all when None), and the rows that are none."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.label].append(row)
    chance = random.Random(seed)
    picked = {label: _some(groups[label], shots, chance) for label in labels}
    return {label: tuple(row.message for row in some) for label, some in picked.items()}, without(
        rows, [row for some in picked.values() for row in some]
    )


def distinct(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The first of the rows that differ in style only; all of them go where their labels differ: nobody could be right."""
    kept: dict[str, Row] = {}
    labels: Mapping[str, set[str]] = defaultdict(set)
    for row in rows:
        kept.setdefault(bare(row.message), row)
        labels[bare(row.message)].add(row.label)
    return tuple(row for key, row in kept.items() if len(labels[key]) == 1)


def without(rows: Iterable[Row], taken: Iterable[Row]) -> tuple[Row, ...]:
    """The rows whose message is none of the taken ones'."""
    messages = {bare(row.message) for row in taken}
    return tuple(row for row in rows if bare(row.message) not in messages)


def _some(rows: Sequence[Row], shots: int | None, chance: random.Random) -> list[Row]:
    return list(rows) if shots is None else chance.sample(rows, min(shots, len(rows)))
