"""The library's own modes, measured as any peer is: through an engine, one ``choose`` a decision."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.peers import PICKED, Answer, Entry, PeerUnsupportedError, Surface
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.scene import PLAN, scene_of
from constrained.engines.decoding.trie import TokenIndex
from constrained.engines.protocol import Candidate, Choice
from constrained.engines.transformers import TransformersEngine

TINY = 1e-300  # below which a probability has no logarithm
BROKEN = (TypeError, AttributeError)


class Peer:
    """An engine with a direct score: its target is the exact conditional of the same prompt, or that less its prior.

    ``channel`` has another target (how likely the message is given each line), and is only timed.
    """

    def __init__(self, bed: Bed, mode: str, surface: Surface = "text", has_prior: bool = False) -> None:
        self._bed, self._mode, self._surface = bed, mode, surface
        self.engine = TransformersEngine.around(bed.network, bed.tokenizer, rule=_rule(mode, surface, has_prior))
        self._background = tuple(prompt.question for prompt in bed.prompts)

    def compile(self, entries: Sequence[Entry]) -> dict[str, float]:
        """Token ids of all lines, sorted; and the choice that an engine is asked. Tells what is not tokenising."""
        tokens = self.engine.reader.tokens
        end = [] if tokens.end is None else [tokens.end]
        self._entries = list(entries)
        rows = tokens.plain_batch([entry.of(self._surface) for entry in entries])
        began = time.perf_counter()
        self._index = TokenIndex.build([[*row, *end] for row in rows])
        self._choice = choice_of(self._entries)
        return {"besides tokenising": time.perf_counter() - began}

    def narrow(self, rows: Sequence[int]) -> None:
        """The trie of the rows that are left, which is what passes go over; nothing is tokenised."""
        self._index.trie(rows)
        self._choice = Choice("reply", "option", tuple(self._choice.candidates[row] for row in rows))

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        """``max_tokens`` means nothing here: no text is generated."""
        scene = scene_of(prompt.question, self._background)
        found = self.engine.choose([self._choice], scene)[0]
        told = getattr(found, "decoding", None)
        if self._mode not in ("auto", "channel") and found.mode != self._mode:
            raise PeerUnsupportedError(f"asked for {self._mode}, decided by {found.mode}: {getattr(told, 'reason', '')}")
        scores = tuple(math.log(max(one, TINY)) for one in found.probabilities)
        notes = _notes(told) | ({f"{PICKED}{found.mode}": 1.0} if self._mode == "auto" else {})
        n_tokens, n_passes = getattr(told, "n_tokens", None), getattr(told, "n_passes", None)
        return Answer(row=found.best, scores=scores, n_tokens=n_tokens, n_passes=n_passes, notes=notes)


def _rule(mode: str, surface: Surface, has_prior: bool) -> Any:
    """Raises PeerUnsupportedError for a mode that this version of the library does not have."""
    from constrained.engines.decoding.direct_rule import Direct
    from constrained.engines.decoding.rules import Channel

    if mode == "channel":
        return Channel()
    try:
        return Direct(surface=surface, has_prior=has_prior, plan=PLAN, mode=mode)  # type: ignore[arg-type]  # a name from a table
    except BROKEN as error:
        raise PeerUnsupportedError(f"Direct(surface={surface!r}, mode={mode!r}) is not in this version: {error}") from error


def choice_of(entries: Sequence[Entry]) -> Choice:
    """The choice that an engine is put."""
    candidates = tuple(Candidate(str(row), entry.text, entry.when, name=entry.key) for row, entry in enumerate(entries))
    return Choice("reply", "option", candidates)


def _notes(told: Any) -> dict[str, float]:
    """What a decision tells of itself, where it does."""
    found: dict[str, float] = {}
    n_nodes, n_expanded = getattr(told, "n_nodes", None), getattr(told, "n_expanded", None)
    if n_nodes and n_expanded is not None:
        found["share of nodes expanded"] = n_expanded / n_nodes
    for name in ("gap", "mass", "flips"):
        value = getattr(told, name, None)
        if isinstance(value, int | float) and math.isfinite(value):
            found[name] = float(value)
    return found
