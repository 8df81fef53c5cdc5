"""Which mode, by what each would cost here: a measured speed, the sizes of the tries, and the time there is. Knows no model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from constrained.choice import Deadline, Mode
from constrained.decoding.passes import CHUNK_NODES
from constrained.decoding.refine import LIKELY_NODES, OPEN_NODES

PATIENCE_S = 2.0  # without a deadline: what a decision may cost before a less certain mode is taken
ONCE_S = 120.0  # what a prior that has to be computed first may cost, once for a catalog version
SHARE_OF_DEADLINE = 0.7  # the rest is for all that is not decoding, and for what the model of cost does not know
OPEN_SHARE = 0.6  # of the nodes that ``refine`` reads where the prior is taken off (benchmarks/LOG.md)


@dataclass(frozen=True, slots=True)
class Speed:
    """What forward passes cost on this machine: seconds for a pass, and for each token in it."""

    pass_s: float
    token_s: float

    def seconds(self, n_tokens: float, n_passes: float) -> float:
        return n_passes * self.pass_s + n_tokens * self.token_s


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a choice before it is decoded.

    Attributes:
        n_suffix: tokens of the prompt's dynamic part.
        n_inner: nodes that ``exact`` feeds. n_telling: those up to where each row is told from all others.
        has_prior: the prior is taken off. is_prior_known: it was computed before.
    """

    n_suffix: int
    n_inner: int
    n_telling: int
    has_prior: bool
    is_prior_known: bool


def pick(facts: Facts, speed: Speed, deadline: Deadline | None) -> tuple[Mode, str]:
    """The most faithful mode that there is time for, and why; the cheapest one where there is time for none.

    In the order of faithfulness: ``exact`` (the whole distribution), ``refine`` (the same best candidate nearly always),
    ``prefix`` (another, cheaper question), ``walk`` (a greedy pick, no probabilities).
    """
    allowed_s = PATIENCE_S if deadline is None else max(deadline.left_s, 0.0) * SHARE_OF_DEADLINE
    once_s = allowed_s if deadline is not None else ONCE_S
    costs = {mode: _seconds(mode, facts, speed) for mode in ("exact", "refine", "prefix", "walk")}
    for mode, (each_s, first_s) in costs.items():
        if each_s <= allowed_s and first_s <= once_s:
            return _named(mode), f"{mode}: about {each_s:.2g} s of {allowed_s:.2g} s"
    cheapest = min(costs, key=lambda mode: sum(costs[mode]))
    return _named(cheapest), f"{cheapest}: the cheapest, about {sum(costs[cheapest]):.2g} s, where {allowed_s:.2g} s are allowed"


def pick_channel(n_exact: int, n_nearest: int, speed: Speed, deadline: Deadline | None) -> tuple[Mode, str]:
    """``exact`` or ``refine`` for the channel, by the tokens that each reads, and why."""
    allowed_s = PATIENCE_S if deadline is None else max(deadline.left_s, 0.0) * SHARE_OF_DEADLINE
    exact_s, nearest_s = (speed.seconds(n_tokens, _passes(n_tokens)) for n_tokens in (n_exact, n_nearest))
    if exact_s <= allowed_s:
        return "exact", f"exact: about {exact_s:.2g} s of {allowed_s:.2g} s"
    return "refine", f"refine: about {nearest_s:.2g} s, where exact takes {exact_s:.2g} s of {allowed_s:.2g} s"


def _seconds(mode: str, facts: Facts, speed: Speed) -> tuple[float, float]:
    """What a decision costs, and what has to be computed once before the first one."""
    whole = speed.seconds(facts.n_suffix + facts.n_inner, _passes(facts.n_inner))
    telling = speed.seconds(facts.n_suffix + facts.n_telling, _passes(facts.n_telling))
    prior = 0.0 if facts.is_prior_known else whole
    if mode == "exact":
        return whole, prior if facts.has_prior else 0.0
    if mode == "refine" and facts.has_prior:
        n_nodes = OPEN_SHARE * facts.n_inner
        return speed.seconds(facts.n_suffix + n_nodes, 1 + n_nodes / OPEN_NODES), prior
    if mode == "refine":
        n_nodes = min(facts.n_inner, 2 * LIKELY_NODES)
        return speed.seconds(facts.n_suffix + n_nodes, n_nodes / LIKELY_NODES), prior
    if mode == "prefix":
        return telling, telling if facts.has_prior and not facts.is_prior_known else 0.0
    n_steps = max(1.0, math.log2(max(facts.n_telling, 2)))  # a guess: how many tokens are not forced
    return speed.seconds(facts.n_suffix + n_steps, n_steps), 0.0


def _passes(n_nodes: int) -> int:
    return max(1, -(-n_nodes // CHUNK_NODES))


def _named(mode: str) -> Mode:
    found: Mode = mode  # type: ignore[assignment]  # a key of the table above
    return found
