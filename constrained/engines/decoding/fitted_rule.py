"""Rules ``tuned`` and ``fitted``: how near a message's vector is to each response, as tuning or fitting taught it.

The message goes through the network once, however many options there are. Beside the vector, shared runs of letters and
the scores of another rule may have a weight. Questions are heard by that other rule, with an adapter turned off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from constrained.engines.decoding.adapter import adapted, changes
from constrained.engines.decoding.encoder import Encoder, vectors
from constrained.engines.decoding.prompts import lettered, nearest, overlap
from constrained.engines.decoding.reader import Reader
from constrained.engines.decoding.rules import ProbabilityMap, ScoredChoice, ScoreRule
from constrained.engines.decoding.search import Floats
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, Deadline, Decoding

N_READ = 8  # options that the other rule reads: the right one is among them nearly always, and the cost does not grow


class ResponseScorer(Protocol):
    """What scores responses by a message's vector: a Head, or a Mixture."""

    @property
    def temperature(self) -> float: ...
    def scores(self, states: Tensor) -> Floats: ...
    def of(self, row: Floats, ids: Sequence[str], is_no_match: Sequence[bool]) -> Floats: ...


@dataclass(frozen=True, slots=True)
class VectorRule:
    """Options by their distance from the message; all other choices by ``base``.

    Source: Snell et al., Prototypical Networks for Few-shot Learning, NeurIPS 2017, for the score; Movshovitz-Attias et al.,
    No Fuss Distance Metric Learning using Proxies, ICCV 2017, for how it is learned.

    Attributes:
        encoder: makes vectors of messages; its network may have an adapter. head: what is known of the responses.
        base: hears the questions, and tells options apart that are one response with two fillings of its slots.
        letters: nats that a unit of BM25 over runs of four letters, between message and option, adds.
        mixed: weight of ``base``'s scores of the N_READ nearest options; the others get the least of these. 0: it is not asked.
        kind: the name that a record tells.
    """

    encoder: Encoder
    head: ResponseScorer
    base: ScoreRule[Reader]
    letters: float = 0.0
    mixed: float = 0.0
    kind: str = "tuned"

    @property
    def name(self) -> str:
        parts = (("letters", self.letters), ("mixed", self.mixed))
        return self.kind + "".join(f"-{name}-{value:.4g}" for name, value in parts if value) + f", {self.base.name}"

    @property
    def probability_map(self) -> ProbabilityMap:
        return replace(self.base.probability_map, temperature_option=self.head.temperature, rest_option=0.0)

    def scores(self, reader: Reader, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        rows = self._rows([ask.scene.message for ask in asks if _has_options(ask)], deadline)
        near = [[self._vector_scores(ask, choice, rows) for choice in ask.choices if choice.kind == "option"] for ask in asks]
        based = iter(self._base_scores(reader, asks, near, deadline))
        return [self._answer(reader, ask, iter(mine), based, deadline) for ask, mine in zip(asks, near, strict=True)]

    def _answer(
        self, reader: Reader, ask: ChoiceRequest, near: Iterator[Floats], based: Iterator[ScoredChoice], deadline: Deadline | None
    ) -> list[ScoredChoice]:
        found = []
        for choice in ask.choices:
            if choice.kind != "option":
                found.append(next(based))
                continue
            scores = next(near)
            if self.mixed:
                scores = scores + self.mixed * _spread(next(based), nearest(scores, choice, N_READ), len(scores))
            found.append(self._scored(reader, ask, choice, scores, deadline))
        return found

    def _rows(self, messages: Sequence[str], deadline: Deadline | None) -> dict[str, Floats]:
        """message -> [id] scores; each message is read once."""
        distinct = list(dict.fromkeys(messages))
        if not distinct:
            return {}
        network = self.encoder.network
        with adapted(network) if changes(network) else nullcontext():
            states = vectors(self.encoder, distinct, deadline)
        return dict(zip(distinct, self.head.scores(states), strict=True))

    def _vector_scores(self, ask: ChoiceRequest, choice: Choice, rows: dict[str, Floats]) -> Floats:
        """[candidate] nats by the message's vector, and by the letters that it shares with what describes the option."""
        candidates = choice.candidates
        found = self.head.of(rows[ask.scene.message], [_id(one) for one in candidates], [one.no_match for one in candidates])
        return found + self.letters * letters_of(ask.scene.message, candidates) if self.letters else found

    def _base_scores(
        self, reader: Reader, asks: Sequence[ChoiceRequest], near: Sequence[Sequence[Floats]], deadline: Deadline | None
    ) -> list[ScoredChoice]:
        """What ``base`` is asked, in its order, all in the same passes."""
        put = []
        for ask, scores in zip(asks, near, strict=True):
            mine = iter(scores)
            choices = [choice if choice.kind != "option" else self._nearest_only(choice, next(mine)) for choice in ask.choices]
            put.append(replace(ask, choices=[choice for choice in choices if choice.candidates]))
        asked = [ask for ask in put if ask.choices]
        return [found for row in self.base.scores(reader, asked, deadline) for found in row] if asked else []

    def _nearest_only(self, choice: Choice, scores: Floats) -> Choice:
        """The choice among the nearest options; without candidates where ``base`` has no weight."""
        indices = nearest(scores, choice, N_READ) if self.mixed else []
        return replace(choice, candidates=tuple(choice.candidates[index] for index in indices))

    def _scored(self, reader: Reader, ask: ChoiceRequest, choice: Choice, scores: Floats, deadline: Deadline | None) -> ScoredChoice:
        for twins in _twins(choice.candidates):
            scores[twins] += self._twin_scores(reader, ask, choice, twins, deadline)
        n_tokens = len(self.encoder.rows([ask.scene.message])[0])
        return ScoredChoice(scores, "exact", Decoding("the message is read once", n_tokens, 1, n_tokens, n_tokens, len(scores)))

    def _twin_scores(self, reader: Reader, ask: ChoiceRequest, choice: Choice, twins: list[int], deadline: Deadline | None) -> Floats:
        """[twin] nats, the best one's 0: what ``base`` makes of one response's fillings among themselves."""
        alone = replace(choice, candidates=tuple(choice.candidates[index] for index in twins))
        found = self.base.scores(reader, [replace(ask, choices=[alone])], deadline)[0][0]
        if found.scores is None:
            return np.asarray([0.0 if index == found.picked else -1.0 for index in range(len(twins))])
        return np.asarray(found.scores - found.scores.max())


def letters_of(message: str, candidates: Sequence[Candidate]) -> Floats:
    """[candidate] BM25 over runs of four letters, of the message with what describes the candidate; 0 for "none of these"."""
    lines = [() if one.no_match else tuple(lettered(line) for line in (one.when or one.name, *one.examples)) for one in candidates]
    return np.asarray(overlap(lettered(message), lines))


def _spread(found: ScoredChoice, read: list[int], n: int) -> Floats:
    """[candidate] the scores of those that were read; all others' are the least of these."""
    if found.scores is None:
        return np.asarray([0.0 if place == read[found.picked or 0] else -1.0 for place in range(n)])
    whole = np.full(n, found.scores.min())
    whole[read] = found.scores
    return whole


def _has_options(ask: ChoiceRequest) -> bool:
    return any(choice.kind == "option" for choice in ask.choices)


def _id(candidate: Candidate) -> str:
    """``2:sell_key`` -> ``sell_key``."""
    return candidate.key.split(":", 1)[-1]


def _twins(candidates: Sequence[Candidate]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for index, candidate in enumerate(candidates):
        groups.setdefault(_id(candidate), []).append(index)
    return [group for group in groups.values() if len(group) > 1]
