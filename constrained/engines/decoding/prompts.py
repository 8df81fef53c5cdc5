"""What a model reads: the prompt of a direct score, the contexts of the channel, and which candidates share words with a message.

Only the static parts are long. What a message may change (state, history, the message) comes last, so that
the static parts' keys and values serve every conversation.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from constrained.engines.protocol import Candidate, Choice, PromptContext, Speaker

N_EXAMPLES = 16  # of a candidate, in its context
N_BACKGROUND = 24  # messages in the context of "none of these": its own examples, and of every kind
N_STYLE = 8  # messages of every kind, in every context of a choice whose candidates have no examples


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """What the static part of a direct prompt holds besides the persona."""

    has_rules: bool = True
    has_listing: bool = True

    def static(self, scene: PromptContext) -> str:
        parts = [f"You are {scene.speaker}. {scene.persona}".strip()]
        if self.has_rules:
            parts.append(f"The rules that you follow:\n{scene.rules.strip()}")
        if self.has_listing:
            parts.append("What you may say, and when:\n" + "\n".join(f"{name}: {when}" for name, when in scene.listing))
        return "\n\n".join(parts)


def dynamic(scene: PromptContext, choice: Choice) -> str:
    """The turn: state, history, message, question."""
    lines = [f"State: {scene.state}"] if scene.state else []
    lines += [f"{'User' if who == 'user' else scene.speaker}: {text}" for who, text in scene.history]
    lines.append(f"User: {scene.message}")
    if choice.question:
        lines += [choice.question, "Answer with one of: " + ", ".join(candidate.name or candidate.text for candidate in choice.candidates)]
    return "\n".join(lines)


def neutral(scene: PromptContext) -> PromptContext:
    """The same scene when nobody has said anything: what a prior is computed under."""
    return replace(scene, state="", history=(), message="...")


def contexts(choice: Choice, scene: PromptContext) -> list[str]:
    """[candidate] what is read before the message when the channel asks how likely it is there.

    A candidate's first examples, the most typical ones, stand last: the nearer to the message, the more they weigh.
    """
    twins = _twins(choice.candidates)
    return [_context(candidate, choice, scene, index in twins) for index, candidate in enumerate(choice.candidates)]


def heard_as(message: str) -> str:
    """The message as it stands after a context; the line break ends it, so that its length counts."""
    return f" {plain_style(message)}\n"


def plain_style(text: str) -> str:
    """Lower case, no closing punctuation: how somebody types must not decide what they meant."""
    return text.lower().rstrip(" \t\n.!?…,") or text


def _context(candidate: Candidate, choice: Choice, scene: PromptContext, has_twin: bool) -> str:
    if candidate.no_match and choice.kind == "option":
        return _listed("Messages of every kind.", _of_every_kind(candidate, scene))
    head = _sentence(candidate.when or f"{choice.question} {candidate.text}")
    if has_twin:
        head += f" {candidate.text}"
    if not any(one.examples for one in choice.candidates):
        return _listed(head, _spread(scene.background, N_STYLE))
    if candidate.no_match:
        return _listed(head, [*candidate.examples, *_spread(scene.background, N_BACKGROUND)][:N_BACKGROUND])
    return _listed(head, candidate.examples[:N_EXAMPLES] or _spread(scene.background, N_STYLE))


def _of_every_kind(rest: Candidate, scene: PromptContext) -> list[str]:
    """What "none of these" is known to answer, nearest to the message; then messages of the whole desk."""
    own = rest.examples[:N_EXAMPLES]
    return [*own, *_spread([message for message in scene.background if message not in own], N_BACKGROUND - len(own))]


def _listed(head: str, examples: Sequence[str]) -> str:
    return f"{head} For example:\n" + "".join(f"- {plain_style(example)}\n" for example in reversed(examples)) + "-"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _spread(messages: Sequence[str], n: int) -> list[str]:
    """``n`` messages, evenly spaced over all of them."""
    if len(messages) <= n:
        return list(messages)
    return [messages[index * len(messages) // n] for index in range(n)]


def _twins(candidates: Sequence[Candidate]) -> set[int]:
    """Candidates that only their text tells apart: one response with two fillings of its slots."""
    seen: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, candidate in enumerate(candidates):
        if not candidate.no_match:
            seen.setdefault((candidate.when, candidate.examples), []).append(index)
    return {index for group in seen.values() if len(group) > 1 for index in group}


def rendered_sample() -> str:
    """Every kind of prompt and context, written for one fixed scene: equal texts mean that equal scores can be expected."""
    candidates = (
        Candidate("0", "Two coins.", "wants to cross", ("take me over", "HOW much to cross?"), name="carry"),
        Candidate("1", "Three coins.", "wants to cross", ("take me over", "HOW much to cross?"), name="carry"),
        Candidate("2", "Pardon?", "nothing else fits", ("xyzzy",), no_match=True, name="pardon"),
    )
    bare = tuple(replace(one, examples=()) for one in candidates)
    listing, background = (("carry", "wants to cross"),), tuple(map(str, range(50)))
    history: tuple[tuple[Speaker, str], ...] = (("user", "hello"), ("reply", "Hm."))
    scene = PromptContext("sample", "Maud", "Gruff.", "rules", listing, background, "{}", history, "Over!", "en")
    choices = [Choice("reply", "option", some) for some in (candidates, bare)]
    choices += [Choice("which", "heard", some, "Which?") for some in (candidates, bare)]
    texts = [PromptPlan().static(scene), neutral(scene).message, heard_as(scene.message)]
    for choice in choices:
        texts += [dynamic(scene, choice), *contexts(choice, scene)]
    return "\0".join(texts)


# -- words shared with a message: evidence without a model, beside a likelihood or before it ------------------------

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


# -- what the channel reads of a message, and which candidates come near it -----------------------------------------

HEAD_TOKENS, TAIL_TOKENS = 64, 32  # of a long message, what the channel reads
N_NEAREST = 32  # candidates that ``refine`` reads; on BANKING77 the best one is among them in 99 % (benchmarks/LOG.md)
WORDS = 0.2  # nats for a unit of BM25; chosen on the dev messages of the packs (benchmarks/LOG.md)


def bounded(message: Sequence[int]) -> list[int]:
    """The head and the tail of a long message."""
    if len(message) <= HEAD_TOKENS + TAIL_TOKENS:
        return list(message)
    return [*message[:HEAD_TOKENS], *message[-TAIL_TOKENS:]]


def shared(message: str, choice: Choice) -> NDArray[np.float64]:
    """[candidate] what its description shares with the message; "none of these" describes nothing."""
    return np.asarray(
        overlap(message, [() if candidate.no_match else (candidate.when, *candidate.examples) for candidate in choice.candidates])
    )


def nearest(found: NDArray[np.float64], choice: Choice, n: int = N_NEAREST) -> list[int]:
    """The ``n`` candidates to read, those with the highest ``found``, in their order; "none of these" is always among them."""
    rest = [index for index, candidate in enumerate(choice.candidates) if candidate.no_match]
    return sorted({*np.argsort(-found, kind="stable")[:n].tolist(), *rest})
