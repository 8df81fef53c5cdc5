"""Which candidates share words with a message: evidence without a model, beside a likelihood or before it.

Okapi BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3.1) over the
lines that describe a candidate.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75  # how soon a repeated word stops to count, and how much a long line is held against
_BEST = 3  # lines of a candidate


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines of candidates by the words in them.

    Attributes:
        found: word -> (line, its share of a BM25 score, without the weight of the word). spans: [candidate] its lines.
    """

    found: Mapping[str, Sequence[tuple[int, float]]]
    spans: Sequence[range]
    n: int


def overlap(message: str, candidates: Sequence[Sequence[str]]) -> list[float]:
    """[candidate] how much its lines of text share with the message: BM25 of its nearest line, and the mean of its nearest three.

    Zero where no word is shared. Rare words, among all lines given, count more.
    """
    lines = _lines(tuple(map(tuple, candidates)))
    scores = [0.0] * lines.n
    for word in _words(message):
        found = lines.found.get(word, ())
        weight = math.log(1 + (lines.n - len(found) + 0.5) / (len(found) + 0.5))
        for line, share in found:
            scores[line] += weight * share
    return [_nearest([scores[line] for line in span]) for span in lines.spans]


def _nearest(scores: list[float]) -> float:
    best = sorted(scores, reverse=True)[:_BEST]
    return best[0] + sum(best) / len(best) if best else 0.0


@lru_cache(maxsize=64)
def _lines(candidates: tuple[tuple[str, ...], ...]) -> _Lines:
    """The same candidates come again with the next message."""
    counted = [_words(line) for group in candidates for line in group]
    mean = sum(words.total() for words in counted) / max(len(counted), 1)
    found: dict[str, list[tuple[int, float]]] = {}
    for line, words in enumerate(counted):
        norm = _K1 * (1 - _B + _B * words.total() / mean) if mean else 1.0
        for word, count in words.items():
            found.setdefault(word, []).append((line, count * (_K1 + 1) / (count + norm)))
    ends = [0]
    for group in candidates:
        ends.append(ends[-1] + len(group))
    return _Lines(found, [range(start, end) for start, end in pairwise(ends)], len(counted))


@lru_cache(maxsize=100_000)
def lettered(line: str) -> str:
    """A line as the runs of four letters that its words hold: what is misspelt or inflected still shares most of them."""
    words = [f" {word} " for word in _WORD.findall(line.lower())]
    return " ".join(word[at : at + 4].replace(" ", "_") for word in words for at in range(max(1, len(word) - 3)))


@lru_cache(maxsize=100_000)
def _words(line: str) -> Counter[str]:
    return Counter(_WORD.findall(line.lower()))
