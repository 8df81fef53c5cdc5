"""CLINC150: 150 intents of ten domains, and messages out of scope (Larson et al., EMNLP 2019). Dev is the official validation part."""

from __future__ import annotations

from pathlib import Path

from benchmarks.sets.files import read_json
from benchmarks.sets.splitting import distinct, draw, without
from benchmarks.sets.values import Row, Set
from benchmarks.sets.wording import identifier, named, when


def read(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    data = read_json("clinc150/train_val.json", folder)
    part = {name: [Row(text.strip(), "" if label == "oos" else identifier(label)) for text, label in data[name]] for name in data}
    dev, oos = distinct(part["val"]), distinct(part["oos_val"])
    labels = tuple(sorted({row.label for row in part["train"]}))
    examples, train = draw(without(distinct(part["train"]), (*dev, *oos)), labels, shots, seed)
    texts = {label: f"This is what I can do about {named(label)}." for label in labels}
    oos_train = without(distinct(part["oos_train"]), (*dev, *oos))
    return Set("clinc150", labels, {label: when(label) for label in labels}, texts, examples, train, dev, oos_train, oos)
