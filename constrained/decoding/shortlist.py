"""Which candidates share words with a message: evidence without a model, beside a likelihood or before it.

Okapi BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3.1) over the
lines that describe a candidate.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75  # how soon a repeated word stops to count, and how much a long line is held against
_BEST = 3  # lines of a candidate


def overlap(message: str, candidates: Sequence[Sequence[str]]) -> list[float]:
    """[candidate] how much its lines of text share with the message: BM25 of its nearest line, and the mean of its nearest three.

    Zero where no word is shared. Rare words, among all lines given, count more.
    """
    wanted = _words(message)
    lines = [(index, _words(line)) for index, group in enumerate(candidates) for line in group]
    n_lines_with = Counter(word for _, words in lines for word in wanted.keys() & words.keys())
    mean = sum(words.total() for _, words in lines) / max(len(lines), 1)
    weights = {word: math.log(1 + (len(lines) - count + 0.5) / (count + 0.5)) for word, count in n_lines_with.items()}
    found: list[list[float]] = [[] for _ in candidates]
    for index, words in lines:
        norm = _K1 * (1 - _B + _B * words.total() / mean) if mean else 1.0
        shared = weights.keys() & words.keys()
        found[index].append(sum(weights[word] * words[word] * (_K1 + 1) / (words[word] + norm) for word in shared))
    nearest = [sorted(values, reverse=True)[:_BEST] for values in found]
    return [values[0] + sum(values) / len(values) if values else 0.0 for values in nearest]


@lru_cache(maxsize=100_000)
def lettered(line: str) -> str:
    """A line as the runs of four letters that its words hold: what is misspelt or inflected still shares most of them."""
    words = [f" {word} " for word in _WORD.findall(line.lower())]
    return " ".join(word[at : at + 4].replace(" ", "_") for word in words for at in range(max(1, len(word) - 3)))


@lru_cache(maxsize=100_000)
def _words(line: str) -> Counter[str]:
    return Counter(_WORD.findall(line.lower()))
