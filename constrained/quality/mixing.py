"""Fits a mixture of judges to messages: a linear map from vectors to responses, how much each judge counts, "none of these".

Every weight is chosen on scores that a message got while it was left out: of the linear map by cross-validation, of the
letters by leaving the message out of what describes its response. Map and weights are convex problems (``convex_fits``): the same
rows and seed give the same mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, softmax
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from constrained.engines.decoding.encoder import Encoder, vectors
from constrained.engines.decoding.fitted_rule import N_READ, letters_of
from constrained.engines.decoding.mixture import Mixture
from constrained.engines.protocol import Candidate
from constrained.errors import TuningError
from constrained.quality.calibration import Floats, label_offsets
from constrained.quality.convex_fits import pool_weights, softmax_regression
from constrained.quality.training import Row

REST_QUANTILE = 0.75
OUTSIDE = 0.1  # share of messages that nothing allowed answers, as long as nobody counted them
SCALE = 20.0  # nats that a cosine of 1 is worth, where there are too few messages to learn it
LETTERS = 0.02  # likewise, of a unit of BM25 over runs of letters
BASE = 0.15  # likewise, of a nat of the engine's own rule; chosen on CLINC150's names alone (benchmarks/LOG.md)
FEWEST = 40  # messages that weights can be chosen on

Progress = Callable[[str, int, int], object]
"""Called with the stage, what is done of it, and of how much."""
Read = Callable[[str, Sequence[Candidate]], Floats]
"""The engine's own scores of candidates for a message: [candidate] nats."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a mixture is fitted; the defaults were chosen on BANKING77's dev part (benchmarks/LOG.md).

    Attributes:
        folds: of the cross-validation. strengths: of the data against the ridge penalty, tried in turn.
        n_weighed: messages that weights are chosen on, drawn by ``seed``; n_read: of these, how many the engine's own rule reads.
        rounds: times that messages without labels are labelled and learned from. unlabelled: what one counts, against 1.
        balance: 0 to 1, how far the labels given to them are evened out: 1 where every response is asked for equally often.
    """

    folds: int = 5
    strengths: tuple[float, ...] = (3.0, 10.0, 30.0, 100.0)
    n_weighed: int = 500
    n_read: int = 60
    rounds: int = 2
    unlabelled: float = 0.3
    balance: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises TuningError for numbers that nothing can be fitted with."""
        if (
            self.folds < 2
            or not self.strengths
            or min(self.strengths) <= 0
            or self.n_weighed < FEWEST
            or self.n_read < 1
            or not 0 <= self.balance <= 1
        ):
            raise TuningError("nothing can be fitted with these settings", hint="two folds at least, strengths above 0, balance 0 to 1")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class FittedMixture:
    """A mixture, and the scores that its weights were chosen on.

    Attributes:
        held_out: [message][candidate] probabilities that messages got while they were left out; where the engine's own rule has a
            weight, of those that it read, among as many candidates as a turn leaves. right: [message] place of the right one.
            Empty where there were too few messages.
        judges: accuracy of each judge alone, and of the mixture, on these.
    """

    mixture: Mixture
    held_out: tuple[Floats, ...]
    right: tuple[int, ...]
    strength: float
    judges: Mapping[str, float]


def fit_mixture(
    encoder: Encoder,
    rows: Sequence[Row],
    candidates: Sequence[Candidate],
    ids: Sequence[str],
    settings: FitSettings,
    *,
    described: frozenset[str] = frozenset(),
    unlabelled: Sequence[str] = (),
    read: Read | None = None,
    rest: Candidate | None = None,
    n_allowed: int | None = None,
    report_progress: Progress = lambda stage, done, total: None,
) -> FittedMixture:
    """Fits what there is.

    Args:
        rows: messages and the ids that answer them; what a response is for counts as one more message of it.
        candidates: one per response, the fallback left out unless rows show it, as an engine sees them. ids: theirs, in order.
        described: messages among the rows that only tell what a response is for: they are always learned from.
        unlabelled: messages of which nobody knows what answers them.
        read: scores of the engine's own rule, to be weighed too. rest: "none of these", as it reads it.
        n_allowed: responses that a turn usually leaves to choose among; all when None.
    """
    place = {name: index for index, name in enumerate(ids)}
    known = [row for row in rows if row.id in place]
    n_texts = len(known) + len(unlabelled)
    report_progress("vectors", 0, n_texts)
    states = vectors(encoder, [row.message for row in known], report_read=lambda n: report_progress("vectors", n, n_texts)).cpu()
    labels = torch.tensor([place[row.id] for row in known])
    measured = _draw_measured(known, labels, described, settings)
    if len(measured) >= FEWEST:
        strength, scores = _cross_validated(states, labels, measured, len(ids), settings, report_progress)
        weights, bias = softmax_regression(states, one_hot(labels, len(ids)), strength)
    else:
        strength, scores = 0.0, np.zeros((0, len(ids)))
        weights, bias = _means(states, labels, len(ids)), torch.zeros(len(ids))
    always = next((at for at, one in enumerate(candidates) if one.no_match), None)
    rest = None if always is not None else rest  # where messages show what it is, it is a response like the others
    turns = _draw_allowed_sets([place[row.id] for row in known], len(ids), n_allowed or len(ids), settings.seed, always)
    mixed = _weigh_judges(known, measured, scores, candidates, turns, settings, read, rest, report_progress)
    if unlabelled:
        found = vectors(encoder, unlabelled).cpu()
        weights, bias = _self_trained(states, labels, found, unlabelled, candidates, weights, bias, strength, mixed, settings)
    mixture = Mixture(tuple(ids), weights, bias, mixed.vector, mixed.letters, mixed.base, mixed.rest)
    if np.isnan(mixed.rest):
        mixture = replace(mixture, rest=_nearest_wrong(mixture, states, labels, turns))
    return FittedMixture(mixture, mixed.held_out, mixed.right, strength, mixed.judges)


def _draw_measured(rows: Sequence[Row], labels: Tensor, described: frozenset[str], settings: FitSettings) -> list[int]:
    """Indices of messages that can be left out: their response has another one. In an order drawn by the seed."""
    real = [index for index, row in enumerate(rows) if row.message not in described]
    counts = np.bincount(labels[real].numpy(), minlength=int(labels.max()) + 1) if real else np.zeros(1)
    kept = [index for index in real if counts[int(labels[index])] > 1]
    return [kept[at] for at in np.random.default_rng(settings.seed).permutation(len(kept))]


def _cross_validated(
    states: Tensor, labels: Tensor, measured: Sequence[int], n: int, settings: FitSettings, report_progress: Progress
) -> tuple[float, Floats]:
    """The strength under which left-out messages are likeliest, and [measured, id] their scores there."""
    fold = np.empty(len(measured), dtype=int)
    by_label: dict[int, list[int]] = {}
    for at, index in enumerate(measured):
        by_label.setdefault(int(labels[index]), []).append(at)
    start = 0
    for group in by_label.values():  # each fold leaves out about as many of every response
        fold[group] = (np.arange(len(group)) + start) % settings.folds
        start += len(group)
    found = {}
    for at, strength in enumerate(settings.strengths):
        report_progress("folds", at, len(settings.strengths))
        found[strength] = _folded(states, labels, measured, fold, n, strength)
    right = labels[list(measured)].numpy()
    best = min(found, key=lambda strength: _loss(found[strength], right))
    return best, found[best]


def _folded(states: Tensor, labels: Tensor, measured: Sequence[int], fold: np.ndarray, n: int, strength: float) -> Floats:
    scores = np.zeros((len(measured), n))
    targets = one_hot(labels, n)
    for number in np.unique(fold):
        left_out = [measured[at] for at in np.flatnonzero(fold == number).tolist()]
        kept = torch.ones(len(labels), dtype=torch.bool)
        kept[left_out] = False
        weights, bias = softmax_regression(states[kept], targets[kept], strength)
        scores[fold == number] = (states[left_out].float() @ weights.T + bias).double().numpy()
    return scores


def _loss(scores: Floats, right: np.ndarray) -> float:
    """Mean negative log-likelihood at the temperature that suits best."""
    (weight,) = pool_weights([list(scores)], right.tolist())
    return float(-log_softmax(weight * scores, axis=1)[np.arange(len(right)), right].mean())


def _means(states: Tensor, labels: Tensor, n: int) -> Tensor:
    total = torch.zeros(n, states.shape[1]).index_add_(0, labels, states.float())
    return SCALE * normalize(total, dim=-1)


@dataclass(frozen=True, slots=True)
class _AllowedSet:
    """Responses that are allowed when a message is asked, and the place of the right one there."""

    allowed: np.ndarray
    right: int


def _draw_allowed_sets(labels: Sequence[int], n: int, n_allowed: int, seed: int, always: int | None = None) -> list[_AllowedSet]:
    """[message] its own response, the one that is allowed ``always``, and as many others as a turn leaves, drawn by the seed."""
    chance, found = np.random.default_rng(seed), []
    for label in labels:
        fixed = [label] if always is None or always == label else [label, always]
        others = np.delete(np.arange(n), fixed)
        drawn = chance.permutation(others)[: max(n_allowed, 2) - 1]
        allowed = np.sort(np.append(drawn, fixed))
        found.append(_AllowedSet(allowed, int(np.searchsorted(allowed, label))))
    return found


@dataclass(frozen=True, slots=True)
class _JudgeWeights:
    """Weights of the judges, the score of "none of these", and what left-out messages then get."""

    vector: float
    letters: float
    base: float
    rest: float
    held_out: tuple[Floats, ...] = ()
    right: tuple[int, ...] = ()
    judges: Mapping[str, float] = field(default_factory=dict)


def _weigh_judges(
    rows: Sequence[Row],
    measured: Sequence[int],
    scores: Floats,
    candidates: Sequence[Candidate],
    turns: Sequence[_AllowedSet],
    settings: FitSettings,
    read: Read | None,
    rest: Candidate | None,
    report_progress: Progress,
) -> _JudgeWeights:
    if len(scores) == 0:
        return _JudgeWeights(1.0, LETTERS, BASE if read else 0.0, float("nan"))
    some = list(range(min(len(measured), settings.n_weighed)))
    asked = [turns[measured[at]] for at in some]
    right = [int(turn.allowed[turn.right]) for turn in asked]
    letters = []
    for at in some:
        report_progress("letters", at, len(some))
        letters.append(letters_of(rows[measured[at]].message, _without(candidates, rows[measured[at]].message, right[at])))
    vector, letter = pool_weights([[scores[at] for at in some], letters], right)
    both = [vector * scores[at] + letter * letters[at] for at in some]
    judges: dict[str, float] = {
        "vector": _accuracy([scores[at] for at in some], right),
        "letters": _accuracy(letters, right),
        "mixture": _accuracy(both, right),
    }
    if read is None:
        among = [row[turn.allowed] for row, turn in zip(both, asked, strict=True)]
        outside = _outside(among, [turn.right for turn in asked], np.zeros(len(asked)))
        return _JudgeWeights(vector, letter, 0.0, outside, _shares(both), tuple(right), judges)
    heard = _read_by_rule([rows[index].message for index in measured], both, asked, candidates, settings, read, rest, report_progress)
    share, base = pool_weights([heard.mixed, heard.own], heard.labels)
    mixed = [share * one + base * other for one, other in zip(heard.mixed, heard.own, strict=True)]
    alone = {"the engine's rule": heard.own, "without it": heard.mixed, "with it": mixed}
    judges |= {f"of {len(mixed)} messages that it read, {name}": _accuracy(found, heard.labels) for name, found in alone.items()}
    outside = _outside(mixed, heard.labels, base * np.asarray(heard.rest))
    return _JudgeWeights(share * vector, share * letter, base, outside, _shares(mixed), tuple(heard.labels), judges)


@dataclass(frozen=True, slots=True)
class _RuleScores:
    """Scores of the engine's own rule for some messages, as at a turn: it reads the nearest candidates of those allowed.

    Attributes:
        mixed: [message][allowed] scores of what was mixed so far. own: the rule's; the least of them for what it did not read.
        labels: places of the right one. rest: its score of "none of these".
    """

    mixed: list[Floats]
    own: list[Floats]
    labels: list[int]
    rest: list[float]


def _read_by_rule(
    messages: Sequence[str],
    both: Sequence[Floats],
    turns: Sequence[_AllowedSet],
    candidates: Sequence[Candidate],
    settings: FitSettings,
    read: Read,
    rest: Candidate | None,
    report_progress: Progress,
) -> _RuleScores:
    heard = _RuleScores([], [], [], [])
    total = min(settings.n_read, len(both))
    for at in range(total):
        report_progress("read", at, total)
        turn, mixed = turns[at], both[at][turns[at].allowed]
        nearest = np.argsort(-mixed, kind="stable")[:N_READ]
        apart = _without(candidates, messages[at], int(turn.allowed[turn.right]))
        found = read(messages[at], [*(apart[index] for index in turn.allowed[nearest]), *([rest] if rest else [])])
        own = np.full(len(mixed), found.min())
        own[nearest] = found[: len(nearest)]
        heard.mixed.append(mixed)
        heard.own.append(own)
        heard.labels.append(turn.right)
        heard.rest.append(float(found[-1]) if rest else 0.0)
    return heard


def _outside(rows: Sequence[Floats], labels: Sequence[int], own: Floats) -> float:
    """The score of "none of these" under which what is right is likeliest: the response where it is allowed, "none" where it is not.

    Args:
        rows: [message][allowed] nats. labels: places of the right one. own: [message] what is added to the score.
    """
    inside = np.asarray([np.logaddexp.reduce(row) for row in rows])
    without = np.asarray([np.logaddexp.reduce(np.delete(row, label)) for row, label in zip(rows, labels, strict=True)])

    def slope(rest: float) -> float:
        return float((OUTSIDE * expit(without - rest - own) - (1 - OUTSIDE) * expit(rest + own - inside)).sum())

    low = float(min(inside.min(), without.min()) - own.max()) - 50.0
    high = float(max(inside.max(), without.max()) - own.min()) + 50.0
    return float(brentq(slope, low, high))  # the slope falls


def _without(candidates: Sequence[Candidate], message: str, label: int) -> list[Candidate]:
    """The candidates, as if the message were not among the examples of the one that answers it."""
    one = candidates[label]
    kept = replace(one, examples=tuple(example for example in one.examples if example != message))
    return [*candidates[:label], kept, *candidates[label + 1 :]]


def _self_trained(
    states: Tensor,
    labels: Tensor,
    found: Tensor,
    messages: Sequence[str],
    candidates: Sequence[Candidate],
    weights: Tensor,
    bias: Tensor,
    strength: float,
    mixed: _JudgeWeights,
    settings: FitSettings,
) -> tuple[Tensor, Tensor]:
    """The map learned anew with messages that the mixture labelled, in shares (Nigam et al., Machine Learning 39, 2000)."""
    n, scale = len(candidates), 1.0 if strength == 0 else mixed.vector
    spelt = mixed.letters * np.stack([letters_of(message, candidates) for message in messages])
    counts = torch.cat([torch.ones(len(labels)), torch.full((len(found),), settings.unlabelled)])
    for _ in range(settings.rounds):
        shares = _balanced(scale * (found @ weights.T + bias).double().numpy() + spelt, settings.balance)
        if strength == 0:
            weights = _prototypes(states, labels, found, torch.from_numpy(shares).float(), n)
            bias = torch.from_numpy(_prior(found, weights, settings.balance)).float()
        else:
            targets = torch.cat([one_hot(labels, n).double(), torch.from_numpy(shares)])
            weights, bias = softmax_regression(torch.cat([states, found]), targets, strength, counts)
    return weights, bias


def _prototypes(states: Tensor, labels: Tensor, found: Tensor, shares: Tensor, n: int) -> Tensor:
    """[id, hidden] between what a response is for and the messages that it seems to answer."""
    described = normalize(torch.zeros(n, states.shape[1]).index_add_(0, labels, states.float()), dim=-1)
    seen = normalize((shares**2).T @ found.float(), dim=-1)
    return SCALE * normalize(0.3 * described + 0.7 * seen, dim=-1)


def _prior(found: Tensor, weights: Tensor, balance: float) -> Floats:
    """[id] nats that take back by how much a response is picked too often."""
    scores = (found @ weights.T).double().numpy()
    return -balance * label_offsets(scores)


def _balanced(scores: Floats, balance: float) -> Floats:
    """[message, id] shares, of which each response has a more equal part the nearer ``balance`` is to 1."""
    return np.asarray(softmax(scores - balance * label_offsets(scores), axis=1))


def _nearest_wrong(mixture: Mixture, states: Tensor, labels: Tensor, turns: Sequence[_AllowedSet]) -> float:
    """The score of "none of these" where too few messages can be left out: what most of them give the nearest wrong response."""
    scores = mixture.scores(states)
    scores[np.arange(len(labels)), labels.numpy()] = -np.inf
    return float(np.quantile([row[turn.allowed].max() for row, turn in zip(scores, turns, strict=True)], REST_QUANTILE))


def _accuracy(rows: Sequence[Floats], right: Sequence[int]) -> float:
    return float(np.mean([int(row.argmax()) == label for row, label in zip(rows, right, strict=True)]))


def _shares(rows: Sequence[Floats]) -> tuple[Floats, ...]:
    return tuple(np.asarray(softmax(row)) for row in rows)
