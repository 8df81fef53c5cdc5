"""Rule ``channel``: how likely the message is after each candidate's ``when`` and examples. Knows a Reader, no policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from constrained.choice import Ask, Choice, Deadline, Decoding, Mode, Scene
from constrained.decoding import prompt
from constrained.decoding.auto import pick_channel
from constrained.decoding.calibration import CHANNEL, Calibration
from constrained.decoding.channel import score_message_rows, score_messages
from constrained.decoding.message import HEAD_TOKENS, N_NEAREST, TAIL_TOKENS, WORDS, bounded, nearest, shared
from constrained.decoding.reader import Ids, Reader
from constrained.decoding.rules.rule import Found, check_one_of

__all__ = ["HEAD_TOKENS", "N_NEAREST", "TAIL_TOKENS", "Channel", "ChannelMode"]
ChannelMode = Literal["exact", "refine", "auto"]


@dataclass(frozen=True, slots=True)
class Channel:
    """log P(message | the candidate's ``when`` and examples). One batch for all choices of all asks.

    Source: Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification, ACL 2022.

    Attributes:
        mode: ``exact`` reads the message after every candidate; ``refine`` only after those that share the rarest words
            with it, and takes all others for as likely as the least likely one of these; ``auto`` is exact for up to
            N_NEAREST candidates, and beyond as long as there is time.
        words: nats that a unit of BM25 between the message and what describes an option adds to its score; chosen on the
            dev messages of the packs (benchmarks/LOG.md). Questions are scored without.
    """

    mode: ChannelMode = "auto"
    words: float = WORDS

    def __post_init__(self) -> None:
        """Raises EngineError for a mode that is not known."""
        check_one_of("mode", self.mode, get_args(ChannelMode))

    @property
    def name(self) -> str:
        return f"channel-words-{self.words:g}" if self.words else "channel"

    @property
    def calibration(self) -> Calibration:
        return CHANNEL

    def scores(self, reader: Reader, asks: Sequence[Ask], deadline: Deadline | None) -> list[list[Found]]:
        tasks = [[self._task(reader, ask.scene, choice, deadline) for choice in ask.choices] for ask in asks]
        pairs = [(context, task.message) for group in tasks for task in group for context in task.contexts]
        if reader.has_tree:
            found, *cost = score_messages(reader.model, reader.contexts, pairs, deadline)
        else:
            found, *cost = score_message_rows(reader.model, pairs, deadline)
        counts = [len(task.contexts) for group in tasks for task in group]
        parts = iter(np.split(found, np.cumsum(counts)[:-1]))
        return [[task.found(next(parts), *cost) for task in group] for group in tasks]

    def _task(self, reader: Reader, scene: Scene, choice: Choice, deadline: Deadline | None) -> _Task:
        message = tuple(bounded(reader.tokens.plain(prompt.heard_as(scene.message))))
        n = len(choice.candidates)
        mode, reason = self._mode(reader, n, len(message), deadline)
        common = shared(scene.message, choice)
        read = nearest(common, choice) if mode == "refine" else list(range(n))
        texts = prompt.contexts(choice, scene)
        contexts = reader.tokens.plain_batch([texts[index] for index in read])
        added = common * (self.words if choice.kind == "option" else 0.0)
        return _Task(n, read, message, [tuple(context) for context in contexts], mode, reason, added)

    def _mode(self, reader: Reader, n: int, n_message: int, deadline: Deadline | None) -> tuple[Mode, str]:
        if n <= N_NEAREST:
            return "exact", "few candidates"
        if self.mode != "auto":
            return self.mode, "asked for"
        return pick_channel(n * n_message, N_NEAREST * n_message, reader.speed, deadline)


@dataclass(frozen=True, slots=True)
class _Task:
    """One choice in token ids. ``read``: the candidates whose ``contexts`` are read. ``added``: [candidate] nats beside the likelihood."""

    n: int
    read: list[int]
    message: Ids
    contexts: list[Ids]
    mode: Mode
    reason: str
    added: np.ndarray

    def found(self, scores: np.ndarray, n_tokens: int, n_passes: int) -> Found:
        whole = np.full(self.n, scores.min())
        whole[self.read] = scores
        cost = (n_tokens, n_passes, self.n * len(self.message), len(self.read) * len(self.message), len(self.read))
        return Found(whole + self.added, self.mode, Decoding(self.reason, *cost))
