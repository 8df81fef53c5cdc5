"""Which candidates share words with a message: a ranking without a model, for choices too large to read in full.

Okapi BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3.1) over the
lines that describe a candidate; a candidate is as near as its nearest line.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75  # how soon a repeated word stops to count, and how much a long line is held against


def nearest(message: str, candidates: Sequence[Sequence[str]], n: int) -> list[int]:
    """The ``n`` candidates, given as lines of text, nearest to the message, best first; of equals the first ones."""
    wanted = _words(message)
    lines = [(index, _words(line)) for index, group in enumerate(candidates) for line in group]
    n_lines_with = Counter(word for _, words in lines for word in wanted.keys() & words.keys())
    mean = sum(sum(words.values()) for _, words in lines) / max(len(lines), 1)
    weights = {word: math.log(1 + (len(lines) - count + 0.5) / (count + 0.5)) for word, count in n_lines_with.items()}
    best = [0.0] * len(candidates)
    for index, words in lines:
        shared = weights.keys() & words.keys()
        if shared:
            norm = _K1 * (1 - _B + _B * sum(words.values()) / mean)
            best[index] = max(best[index], sum(weights[word] * words[word] * (_K1 + 1) / (words[word] + norm) for word in shared))
    return sorted(range(len(candidates)), key=lambda index: -best[index])[:n]


@lru_cache(maxsize=100_000)
def _words(line: str) -> Counter[str]:
    return Counter(_WORD.findall(line.lower()))
