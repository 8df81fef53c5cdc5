"""Public sets of single messages with an intent each: BANKING77, CLINC150 and the banking part of NLU++.

BANKING77: messages to a bank on 77 topics (Casanueva et al., Efficient Intent Detection with Dual Sentence Encoders, 2020).
CLINC150: 150 intents of ten domains, and messages out of scope (Larson et al., EMNLP 2019); dev is the official validation part.
NLU++, banking: messages with several intents each, any of which is right (Casanueva et al., Findings of NAACL 2022). The rarest of
them is the label: it says most. A message without an intent is out of scope. Dev are the last two of the ten folds.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.sets.rows import Row, Set, dev_and_rest, distinct, draw, identifier, named, read_csv, read_json, when, without

DEV = 15  # messages a topic, 1,155 in all; the rarest topic has 35


def read_banking77(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    rows = [Row(row["text"].strip(), identifier(row["category"])) for row in read_csv("banking77/train.csv", folder)]
    labels = tuple(sorted({row.label for row in rows}))
    dev, rest = dev_and_rest(rows, DEV)
    examples, train = draw(rest, labels, shots, seed)
    texts = {label: f"This is what we can tell you about {named(label)}." for label in labels}
    return Set("banking77", labels, {label: when(label) for label in labels}, texts, examples, train, dev)


def read_clinc150(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    data = read_json("clinc150/train_val.json", folder)
    part = {name: [Row(text.strip(), "" if label == "oos" else identifier(label)) for text, label in data[name]] for name in data}
    dev, oos = distinct(part["val"]), distinct(part["oos_val"])
    labels = tuple(sorted({row.label for row in part["train"]}))
    examples, train = draw(without(distinct(part["train"]), (*dev, *oos)), labels, shots, seed)
    texts = {label: f"This is what I can do about {named(label)}." for label in labels}
    oos_train = without(distinct(part["oos_train"]), (*dev, *oos))
    return Set("clinc150", labels, {label: when(label) for label in labels}, texts, examples, train, dev, oos_train, oos)


N_FOLDS, DEV_FOLDS = 10, (8, 9)


def read_nlupp(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    folds = [read_json(f"nlupp_banking/fold{number}.json", folder) for number in range(N_FOLDS)]
    described = read_json("nlupp_banking/ontology.json", folder)["intents"]
    counts = Counter(intent for fold in folds for row in fold for intent in row.get("intents", ()))
    part = [distinct(_nlupp_row(one, counts) for one in fold) for fold in folds]
    dev = distinct(row for number in DEV_FOLDS for row in part[number])
    rest = without(distinct(row for number in range(N_FOLDS) if number not in DEV_FOLDS for row in part[number]), dev)
    labels = tuple(sorted(identifier(intent) for intent in counts))
    examples, train = draw([row for row in rest if row.label], labels, shots, seed)
    whens = {identifier(intent): _nlupp_when(described[intent]["description"]) for intent in counts}
    texts = {label: f"This is what we can tell you about {named(label)}." for label in labels}
    outside = tuple(row for row in rest if not row.label)
    inside, oos = tuple(row for row in dev if row.label), tuple(row for row in dev if not row.label)
    return Set("nlupp", labels, whens, texts, examples, train, inside, outside, oos)


def _nlupp_row(found: dict[str, Any], counts: Counter[str]) -> Row:
    intents = sorted(found.get("intents", ()), key=lambda intent: (counts[intent], intent))
    first, *others = [identifier(intent) for intent in intents] or [""]
    return Row(found["text"].strip(), first, tuple(others))


def _nlupp_when(description: str) -> str:
    """ "is the intent to ask about loans?" -> "the user wants to ask about loans"."""
    told = re.sub(r"^is the intent asking", "is the intent to ask", description.rstrip("?"))
    return re.sub(r"^is the intent to ", "the user wants to ", told)
