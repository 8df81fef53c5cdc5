"""Suite ``calibration``: how honest probabilities are once a temperature is fitted, and whether sets and thresholds keep promises.

Twenty random splits: a fifth of the messages fits the temperature, two fifths the set or the threshold, and two fifths are
measured on; for calibration alone each half is measured at the temperature of the other. The scores come from a file
(``--scores``: an .npz with ``logits`` [message, option] and ``labels``), else from the sentence encoder, nearest of ten
examples a topic, on BANKING77's dev part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, NoDeviceError, Spread
from constrained.errors import EngineError
from constrained.quality.calibration import temperature
from constrained.quality.metrics import Binning, brier, ece, nll
from constrained.quality.risk_control import Method, conformal, threshold

N_SPLITS, N_HONEST = 20, 200
ALPHAS = (0.05, 0.1)
COVERED_WITHIN, MOST_ECE = 0.015, 0.03
PROMISED = (0.05, 0.1)  # at most this share of errors among what is answered, but for this share of samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
METHODS: tuple[Method, ...] = ("lac", "aps")


def run(bench: Bench) -> None:
    """Every measure over the same twenty splits."""
    case, logits, labels = _scores(bench)
    chance = np.random.default_rng(bench.seed)
    splits = [_split(len(labels), chance) for _ in range(N_SPLITS)]
    bench.add(case, "messages", len(labels), "messages")
    bench.add(case, "most probable is right", float((logits.argmax(axis=1) == labels).mean()), "share")
    _measure_confidence(bench, case, [_crossed(logits, labels, split) for split in splits], labels, chance)
    scored = [(_heated(logits, labels, split), labels, split) for split in splits]
    for alpha in ALPHAS:
        for method in METHODS:
            _measure_sets(bench, case, scored, alpha, method)
    _measure_threshold(bench, case, scored)


def _scores(bench: Bench) -> tuple[str, Floats, Ints]:
    if bench.is_smoke:
        chance = np.random.default_rng(bench.seed)
        logits = chance.normal(size=(300, 8)) * 3
        return "made up", logits, (softmax(logits / 2, axis=1).cumsum(axis=1) < chance.random((300, 1))).sum(axis=1).clip(max=7)
    if bench.options.scores:
        return read_scores(Path(bench.options.scores))
    return _by_encoder(bench)


def read_scores(path: Path) -> tuple[str, Floats, Ints]:
    """(the file's name, logits, labels). Raises BenchmarkError for a file without them."""
    try:
        with np.load(path, allow_pickle=False) as found:
            logits, labels = np.asarray(found["logits"], dtype=np.float64), np.asarray(found["labels"], dtype=np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise BenchmarkError(f"{path} holds no scores: {error}; an .npz with logits [message, option] and labels is needed") from error
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not ((labels >= 0) & (labels < logits.shape[1])).all():
        raise BenchmarkError(f"{path}: logits {logits.shape} and labels {labels.shape} do not fit; one label a row, each a column")
    return path.stem, logits, labels


def _by_encoder(bench: Bench) -> tuple[str, Floats, Ints]:
    from benchmarks.peers.minilm import MiniLMRegression
    from benchmarks.sets import load

    banking = load("banking77", 10, bench.seed)
    try:
        encoder = MiniLMRegression()
    except EngineError as error:
        raise NoDeviceError(f"{error.message} ({error.hint}), or give --scores") from error
    shown = banking.shown
    examples, messages = (encoder.embed([row.message for row in rows]) for rows in (shown, banking.dev))
    near = messages @ examples.T
    of = np.asarray([banking.labels.index(row.label) for row in shown])
    logits = np.stack([near[:, of == index].max(axis=1) for index in range(len(banking.labels))], axis=1)
    return "BANKING77 dev, sentence encoder", logits, np.asarray([banking.labels.index(row.label) for row in banking.dev])


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Messages for a temperature, for a set or a threshold, and to measure on; no two of them the same."""

    heat: Ints
    fit: Ints
    test: Ints


Scored = Sequence[tuple[Floats, Ints, Split]]


def _split(n: int, chance: np.random.Generator) -> Split:
    """A fifth, two fifths, two fifths."""
    heat, fit, test = np.split(chance.permutation(n), [n // 5, 3 * n // 5])
    return Split(heat, fit, test)


def _heated(logits: Floats, labels: Ints, split: Split) -> Floats:
    """[message, option] probabilities at the temperature of the split."""
    return softmax(logits / temperature(logits[split.heat], labels[split.heat]), axis=1)


def _crossed(logits: Floats, labels: Ints, split: Split) -> Floats:
    """[message, option] probabilities, each half's at the temperature that the other half fits."""
    order = np.concatenate([split.heat, split.fit, split.test])
    halves = np.array_split(order, 2)
    found = np.empty_like(logits)
    for part, other in (halves, halves[::-1]):
        found[part] = softmax(logits[part] / temperature(logits[other], labels[other]), axis=1)
    return found


def _measure_confidence(bench: Bench, case: str, cross: Sequence[Floats], labels: Ints, chance: np.random.Generator) -> None:
    rows = np.arange(len(labels))
    sure, right = [one.max(axis=1) for one in cross], [one.argmax(axis=1) == labels for one in cross]
    kinds: tuple[tuple[Binning, str, float | None], ...] = (("mass", "equal mass", MOST_ECE), ("width", "equal width", None))
    for binning, name, target in kinds:
        found = Spread.of([ece(one, is_right, binning) for one, is_right in zip(sure, right, strict=True)])
        bench.add(case, f"ECE after temperature, bins of {name}", found, "share", at_most=None if bench.is_smoke else target)
        honest = [ece(sure[0], chance.random(len(rows)) < sure[0], binning) for _ in range(N_HONEST)]
        bench.add(case, f"ECE that honest probabilities would show, bins of {name}", Spread.of(honest), "share")
    rights = [(int(label),) for label in labels]
    measures: tuple[tuple[str, Callable[[Floats], float]], ...] = (
        ("Brier", lambda one: float(brier(one.tolist(), rights).mean())),
        ("NLL", lambda one: float(nll(one.tolist(), rights).mean())),
    )
    for name, of in measures:
        bench.add(case, f"{name} after temperature", Spread.of([of(one) for one in cross]), "nats" if name == "NLL" else "0 to 2")


def _measure_sets(bench: Bench, case: str, scored: Scored, alpha: float, method: Method) -> None:
    """A set is fitted on one part of a split and measured on another."""
    covered, sizes = [], []
    for probabilities, labels, split in scored:
        inside = conformal(probabilities[split.fit], labels[split.fit], alpha, method).inside(probabilities[split.test])
        covered.append(float(inside[np.arange(len(inside)), labels[split.test]].mean()))
        sizes.append(float(inside.sum(axis=1).mean()))
    told, held = f"conformal sets ({method}) at alpha {alpha:g}", method == "lac" and not bench.is_smoke
    low, high = (1 - alpha - COVERED_WITHIN, 1 - alpha + COVERED_WITHIN) if held else (None, None)
    bench.add(case, f"{told}, covered on average", float(np.mean(covered)), "share", at_least=low, at_most=high)
    bench.add(case, f"{told}, covered in each split", Spread.of(covered), "share")
    bench.add(case, f"{told}, options in a set", Spread.of(sizes), "options")


def _measure_threshold(bench: Bench, case: str, scored: Scored) -> None:
    alpha, delta = PROMISED
    answered, risks = [], []
    for probabilities, labels, split in scored:
        sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        found = threshold(sure[split.fit], right[split.fit], alpha, delta)
        given = sure[split.test] >= found.threshold
        answered.append(float(given.mean()))
        risks.append(float((~right[split.test][given]).mean()) if given.any() else 0.0)
    told = f"threshold for errors of at most {alpha:g} but for {delta:g} of samples"
    bench.add(case, f"{told}, answered", Spread.of(answered), "share")
    bench.add(case, f"{told}, errors among the answered", Spread.of(risks), "share")
    bench.add(case, f"{told}, splits with more errors where they are measured", float(np.mean([risk > alpha for risk in risks])), "share")
