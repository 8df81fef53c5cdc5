"""Runs the effects of one turn on a state and tells how far they came; ``turn`` and ``serve.effect_recovery`` use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from constrained.errors import EffectError
from constrained.logic.effects import Effect
from constrained.records.record import OutcomeEntry


@dataclass(frozen=True, slots=True)
class EffectRun:
    """How far the effects of one turn came.

    Attributes:
        effects: all effects of the turn, in order. n_done: how many of them ran.
        state: the state after those that ran.
        error: why they stopped: an EffectError for a precondition, else what an effect raised; None when all ran, or none was tried.
        refused: the effect whose precondition does not hold; None when it was not a precondition that stopped them.
    """

    effects: tuple[Effect, ...]
    n_done: int
    state: Any
    error: Exception | None = None
    refused: Effect | None = None

    def outcomes(self, detail: str = "") -> tuple[OutcomeEntry, ...]:
        """What the log gets: one entry per effect, ``detail`` in the one that failed."""
        return outcome_entries(self.effects, self.n_done, detail)


def run_effects(effects: tuple[Effect, ...], state: Any) -> EffectRun:
    """Runs effects one after the other, up to the first that fails. The caller checks all preconditions first: ``first_failing``.

    Each precondition is checked again in the state that the effect gets. What an effect raises is not raised here, but kept in
    ``EffectRun.error``.
    """
    for number, effect in enumerate(effects):
        try:
            if not effect.holds(state):
                ran = ", ".join(map(str, effects[:number]))
                hint = "yield effects on one option that can run one after the other"
                error = EffectError(f"the precondition of {effect} does not hold after {ran} ran", effect=str(effect), hint=hint)
                return EffectRun(effects, number, state, error, effect)
            state = effect.kind.run(state, *effect.args, **effect.kwargs)
        except Exception as error:  # an effect is the host's code: it may raise anything
            return EffectRun(effects, number, state, error)
    return EffectRun(effects, len(effects), state)


def outcome_entries(effects: tuple[Effect, ...], n_done: int, detail: str = "") -> tuple[OutcomeEntry, ...]:
    """One entry per effect: the first ``n_done`` are done, the next one failed with ``detail``, the others were not run."""
    done = [OutcomeEntry(effect=str(effect), status="done") for effect in effects[:n_done]]
    left = [OutcomeEntry(effect=str(effect), status="not_run") for effect in effects[n_done:]]
    if left:
        left[0] = OutcomeEntry(effect=left[0].effect, status="failed", detail=detail)
    return (*done, *left)
