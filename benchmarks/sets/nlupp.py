"""NLU++, banking: messages with several intents each (Casanueva et al., Findings of NAACL 2022). Any of them is right.

The rarest of a message's intents is its label: it says most. A message without an intent is out of scope.
Dev are the last two of the ten folds.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.sets.files import read_json
from benchmarks.sets.splitting import distinct, draw, without
from benchmarks.sets.values import Row, Set
from benchmarks.sets.wording import identifier, named

N_FOLDS, DEV_FOLDS = 10, (8, 9)


def read(shots: int | None, seed: int, folder: Path | None = None) -> Set:
    folds = [read_json(f"nlupp_banking/fold{number}.json", folder) for number in range(N_FOLDS)]
    described = read_json("nlupp_banking/ontology.json", folder)["intents"]
    counts = Counter(intent for fold in folds for row in fold for intent in row.get("intents", ()))
    part = [distinct(_row(one, counts) for one in fold) for fold in folds]
    dev = distinct(row for number in DEV_FOLDS for row in part[number])
    rest = without(distinct(row for number in range(N_FOLDS) if number not in DEV_FOLDS for row in part[number]), dev)
    labels = tuple(sorted(identifier(intent) for intent in counts))
    examples, train = draw([row for row in rest if row.label], labels, shots, seed)
    whens = {identifier(intent): _when(described[intent]["description"]) for intent in counts}
    texts = {label: f"This is what we can tell you about {named(label)}." for label in labels}
    outside = tuple(row for row in rest if not row.label)
    inside, oos = tuple(row for row in dev if row.label), tuple(row for row in dev if not row.label)
    return Set("nlupp", labels, whens, texts, examples, train, inside, outside, oos)


def _row(found: dict[str, Any], counts: Counter[str]) -> Row:
    intents = sorted(found.get("intents", ()), key=lambda intent: (counts[intent], intent))
    first, *others = [identifier(intent) for intent in intents] or [""]
    return Row(found["text"].strip(), first, tuple(others))


def _when(description: str) -> str:
    """ "is the intent to ask about loans?" -> "the user wants to ask about loans"."""
    told = re.sub(r"^is the intent asking", "is the intent to ask", description.rstrip("?"))
    return re.sub(r"^is the intent to ", "the user wants to ", told)
