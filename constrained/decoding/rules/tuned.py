"""Rule ``tuned``: how near a message's vector is to each response's, as tuning taught it. Knows a Reader, no policy.

The message goes through the network once, however many options there are. Questions are heard by another rule, with the
adapter turned off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from constrained.choice import Ask, Candidate, Choice, Deadline, Decoding
from constrained.decoding.adapter import adapted
from constrained.decoding.calibration import Calibration
from constrained.decoding.head import Head
from constrained.decoding.reader import Reader
from constrained.decoding.rules.rule import Found, ScoreRule
from constrained.decoding.shortlist import overlap
from constrained.decoding.states import Encoder, vectors


@dataclass(frozen=True, slots=True)
class Tuned:
    """Options by their distance from the message; all other choices by ``base``.

    Source: Snell et al., Prototypical Networks for Few-shot Learning, NeurIPS 2017, for the score; Movshovitz-Attias et al.,
    No Fuss Distance Metric Learning using Proxies, ICCV 2017, for how it is learned.

    Attributes:
        encoder: makes vectors of messages; its network has the adapter. head: the responses' vectors.
        base: hears the questions, and tells options apart that are one response with two fillings of its slots.
        words: nats that a unit of BM25 between message and option adds.
    """

    encoder: Encoder
    head: Head
    base: ScoreRule
    words: float = 0.0

    @property
    def name(self) -> str:
        return "tuned" + (f"-words-{self.words:g}" if self.words else "") + f", {self.base.name}"

    @property
    def calibration(self) -> Calibration:
        return replace(self.base.calibration, temperature_option=self.head.temperature, rest_option=0.0)

    def scores(self, reader: Reader, asks: Sequence[Ask], deadline: Deadline | None) -> list[list[Found]]:
        rows = self._rows([ask.scene.message for ask in asks if _options(ask)], deadline)
        based = iter(self._based(reader, asks, deadline))
        return [
            [self._found(reader, ask, choice, rows, deadline) if choice.kind == "option" else next(based) for choice in ask.choices]
            for ask in asks
        ]

    def _rows(self, messages: Sequence[str], deadline: Deadline | None) -> dict[str, np.ndarray]:
        """message -> [id] scores; each message is read once."""
        distinct = list(dict.fromkeys(messages))
        if not distinct:
            return {}
        with adapted(self.encoder.network):
            states = vectors(self.encoder, distinct, deadline)
        return dict(zip(distinct, self.head.scores(states), strict=True))

    def _based(self, reader: Reader, asks: Sequence[Ask], deadline: Deadline | None) -> list[Found]:
        """What is not an option, in its order, all in the passes of ``base``."""
        others = [replace(ask, choices=[choice for choice in ask.choices if choice.kind != "option"]) for ask in asks]
        put = [ask for ask in others if ask.choices]
        return [found for row in self.base.scores(reader, put, deadline) for found in row] if put else []

    def _found(self, reader: Reader, ask: Ask, choice: Choice, rows: dict[str, np.ndarray], deadline: Deadline | None) -> Found:
        message, candidates = ask.scene.message, choice.candidates
        scores = self.head.of(rows[message], [_id(one) for one in candidates], [one.rest for one in candidates])
        if self.words:
            told = [() if one.rest else (one.when, *one.examples) for one in candidates]
            scores = scores + self.words * np.asarray(overlap(message, told))
        for twins in _twins(candidates):
            scores[twins] += self._apart(reader, ask, choice, twins, deadline)
        n_tokens = len(self.encoder.rows([message])[0])
        return Found(scores, "exact", Decoding("the message is read once", n_tokens, 1, n_tokens, n_tokens, len(candidates)))

    def _apart(self, reader: Reader, ask: Ask, choice: Choice, twins: list[int], deadline: Deadline | None) -> np.ndarray:
        """[twin] nats, the best one's 0: what ``base`` makes of one response's fillings among themselves."""
        alone = replace(choice, candidates=tuple(choice.candidates[index] for index in twins))
        found = self.base.scores(reader, [replace(ask, choices=[alone])], deadline)[0][0]
        if found.scores is None:
            return np.asarray([0.0 if index == found.picked else -1.0 for index in range(len(twins))])
        return np.asarray(found.scores - found.scores.max())


def _options(ask: Ask) -> bool:
    return any(choice.kind == "option" for choice in ask.choices)


def _id(candidate: Candidate) -> str:
    """``2:sell_key`` -> ``sell_key``."""
    return candidate.key.split(":", 1)[-1]


def _twins(candidates: Sequence[Candidate]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for index, candidate in enumerate(candidates):
        groups.setdefault(_id(candidate), []).append(index)
    return [group for group in groups.values() if len(group) > 1]
