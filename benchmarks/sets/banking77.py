"""BANKING77: messages to a bank on 77 topics (Casanueva et al., Efficient Intent Detection with Dual Sentence Encoders, 2020)."""

from __future__ import annotations

from pathlib import Path

from benchmarks.sets.files import read_csv
from benchmarks.sets.splitting import dev_and_rest, draw
from benchmarks.sets.values import Row, Set
from benchmarks.sets.wording import identifier, named, when

DEV = 15  # messages a topic, 1,155 in all; the rarest topic has 35


def read(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    rows = [Row(row["text"].strip(), identifier(row["category"])) for row in read_csv("banking77/train.csv", folder)]
    labels = tuple(sorted({row.label for row in rows}))
    dev, rest = dev_and_rest(rows, DEV)
    examples, train = draw(rest, labels, shots, seed)
    texts = {label: f"This is what we can tell you about {named(label)}." for label in labels}
    return Set("banking77", labels, {label: when(label) for label in labels}, texts, examples, train, dev)
