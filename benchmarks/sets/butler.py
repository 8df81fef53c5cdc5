"""The butler of a mystery: a player's question and the authored reply (google/mysteryofthreebots).

Of the 176 replies, 25 have more than one question. ``leave_one_out`` asks each of these 70 with every other question at
hand; ``read`` is one split of it: one question of each of the 25 replies, drawn by ``seed``, is dev, all others are examples.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sets.rows import Row, Set, bare, read_csv, without


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One question, what should answer it, and every reply's questions but this one."""

    message: str
    label: str
    examples: dict[str, tuple[str, ...]]


def read(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    questions, texts = _pairs(folder)
    chance = random.Random(seed)
    dev = tuple(Row(chance.choice(asked), label) for label, asked in questions.items() if len(asked) > 1)
    left = without([Row(message, label) for label, asked in questions.items() for message in asked], dev)
    examples = {label: tuple(row.message for row in left if row.label == label)[:shots] for label in questions}
    train = without(left, [Row(message, label) for label, asked in examples.items() for message in asked])
    return Set("butler", tuple(questions), {label: _when(texts[label]) for label in questions}, texts, examples, train, dev)


def leave_one_out(folder: Path | None = None) -> Iterator[LeftOut]:
    """Each question of a reply that has several, with all the others of the file as examples; a double of it is left out, too."""
    questions, _ = _pairs(folder)
    for label, asked in questions.items():
        for message in asked if len(asked) > 1 else ():
            key = bare(message)
            rest = {name: tuple(other for other in others if bare(other) != key) for name, others in questions.items()}
            yield LeftOut(message, label, rest)


def _pairs(folder: Path | None) -> tuple[dict[str, list[str]], dict[str, str]]:
    """(label -> questions, label -> reply), in the order of the file."""
    questions: dict[str, list[str]] = defaultdict(list)
    labels: dict[str, str] = {}
    for row in read_csv("mystery_butler/butler.csv", folder):
        label = labels.setdefault(row["Response"].strip(), f"reply_{len(labels) + 1:03}")
        questions[label].append(row["Query"].strip())
    return dict(questions), {label: reply for reply, label in labels.items()}


def _when(reply: str) -> str:
    return f"the detective asks what this answers: {reply}"
