"""Labelled messages as values: how a set's files are read, how its labels read as words, and how it is split."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchmarkError
from benchmarks.sets.lines import DATA_VARIABLE, data_folder


@dataclass(frozen=True, slots=True)
class Row:
    """One message and its label.

    Attributes:
        label: of what should answer it; empty where nothing in the set does (out of scope).
        also: further labels that are as right (NLU++: a message has several intents).
        state: facts that a host knows at this turn (STAR: what was said, what a lookup gave); empty where a set has none.
        allowed: the labels that the set's rules leave at this turn; empty where it has no rules. ``label`` may be missing.
        history: what was said before, oldest first, as ("user" | "reply", text).
    """

    message: str
    label: str
    also: tuple[str, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()

    @property
    def rights(self) -> tuple[str, ...]:
        """Every label that is right; none for a message that is out of scope."""
        return (self.label, *self.also) if self.label else ()


@dataclass(frozen=True, slots=True)
class Set:
    """One set, split. No message of ``examples``, ``train``, ``dev`` stands in two of them, capitals and punctuation aside.
    STAR, whose messages are answered by where they stand, is split by dialogue instead: "yes" is in many.

    Attributes:
        labels: sorted. when: label -> plain language. texts: label -> what is said; made up where the set has no replies.
        examples: label -> the messages that a writer would have given, ``shots`` of them drawn by ``seed``.
        train: labelled messages that are no examples. dev: to measure on; the same for every ``shots`` and ``seed``.
        oos_train, oos: messages that nothing answers; to fit on, and to measure on beside ``dev``.
    """

    name: str
    labels: tuple[str, ...]
    when: Mapping[str, str]
    texts: Mapping[str, str]
    examples: Mapping[str, tuple[str, ...]]
    train: tuple[Row, ...]
    dev: tuple[Row, ...]
    oos_train: tuple[Row, ...] = ()
    oos: tuple[Row, ...] = ()

    @property
    def shown(self) -> tuple[Row, ...]:
        """The examples as rows: with ``train``, all that may be learned from."""
        return tuple(Row(message, label) for label in self.labels for message in self.examples.get(label, ()))


# -- files, read in place --------------------------------------------------------------------------------------


def located(relative: str, folder: Path | None) -> Path:
    """The file in ``folder``, else where the environment says. Raises BenchmarkError when it is not there."""
    path = (folder or data_folder()) / relative
    if not path.exists():
        raise BenchmarkError(f"{path} is not there: set {DATA_VARIABLE}, or give --data, the folder that holds {relative}")
    return path


def read_csv(relative: str, folder: Path | None) -> list[dict[str, str]]:
    with located(relative, folder).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_json(relative: str, folder: Path | None) -> Any:
    return json.loads(located(relative, folder).read_text(encoding="utf-8"))


def read_lines(relative: str, folder: Path | None) -> Iterator[Any]:
    """The values of a gzipped file of JSON lines."""
    with gzip.open(located(relative, folder), "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


# -- a label as plain language, from the topic's name alone ----------------------------------------------------


ACRONYMS = {"atm": "ATM", "pin": "PIN", "pto": "PTO", "vin": "VIN", "w2": "W-2", "apr": "APR", "mpg": "MPG", "ai": "AI", "irs": "IRS"}


def when(label: str) -> str:
    """``card_arrival`` -> "the user writes about: card arrival"."""
    return f"the user writes about: {named(label)}"


def named(label: str) -> str:
    """The words of a label."""
    words = re.sub(r"[_\W]+", " ", label).strip().split()
    return " ".join(ACRONYMS.get(word.lower(), word.lower()) for word in words)


def identifier(label: str) -> str:
    """A response id: lower case, letters first. ``Refund_not_showing_up`` -> ``refund_not_showing_up``."""
    found = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return found if found[:1].isalpha() else f"r_{found}"


# -- splitting: a dev part that never changes, examples drawn by seed, nothing in two parts --------------------


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
