"""Suite ``fit``: what judges weighed on a set's own examples reach on its dev part, with a sentence encoder and without a gradient.

Beside them, on the same vectors: the nearest example, and logistic regression, the floor that a trained classifier sets.
``--parts`` picks among few (ten examples a response, two draws), none (descriptions alone), all, butler, clinc
(out of scope), read (the language model's own rule as one more judge).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.measure import NoDeviceError
from benchmarks.options import PARTS
from benchmarks.sets import Row as Labelled
from benchmarks.sets import Set, load
from benchmarks.sets.rows import bare
from benchmarks.suites import out_of_scope
from constrained.quality.metrics import ece
from constrained.quality.risk_control import conformal

N_UNLABELLED = 2_500
N_SPLITS = 20
FLOOR_STRENGTH = 10.0  # the better one of 1, 10 and 30 for the floor
AIMS = {"none": 0.65, "few": 0.88, "all": 0.94, "butler": 0.45, "clinc": 0.95}
N_DECISIONS = 30
N_READ = 385  # messages, five of each topic

Floats = NDArray[np.float64]


def run(bench: Bench) -> None:
    """Each part by itself; a toy network in a smoke run."""
    if bench.is_smoke:
        return _smoke(bench)
    encoder = _encoder()
    for part in bench.options.parts or PARTS["fit"]:
        if part == "butler":
            _butler(bench, encoder)
        if part == "clinc":
            _clinc(bench, encoder)
        if part == "read":
            for shots in (0, 10):
                _read(bench, encoder, shots)
        for draw in {"few": (0, 1), "none": (0,), "all": (0,)}.get(part, ()):
            _banking(bench, encoder, part, draw)
    return None


def _smoke(bench: Bench) -> None:
    from benchmarks.peers.bed import toy_network, toy_tokenizer
    from constrained.engines.decoding.encoder import LanguageStates
    from constrained.engines.decoding.language_model import LanguageModel
    from constrained.engines.decoding.tokens import Tokens

    labels = ("one", "two", "three")
    examples = {label: tuple(f"{label} {number}" for number in range(15)) for label in labels}
    dev = tuple(Labelled(f"{label} {number}", label) for label in labels for number in range(20, 30))
    told = Set("made up", labels, {label: f"about {label}" for label in labels}, {}, examples, (), dev)
    _measure(bench, "made up", LanguageStates(LanguageModel(toy_network("float32", bench.seed)), Tokens(toy_tokenizer())), told, (), "")


def _encoder() -> Any:
    from constrained.engines.decoding.encoder import load_encoder
    from constrained.errors import ModelNotFoundError

    try:
        return load_encoder("minilm")
    except ModelNotFoundError as error:
        raise NoDeviceError(f"{error.message}: {error.hint}") from error


def _banking(bench: Bench, encoder: Any, part: str, draw: int) -> None:
    found = load("banking77", {"few": 10, "none": 0, "all": None}[part], draw)
    case = {"few": f"banking77, 10 examples, draw {draw}", "none": "banking77, no examples", "all": "banking77, all examples"}[part]
    _measure(bench, case, encoder, found, (), part)
    if part != "all":
        shown = {row.message for row in found.shown}
        others = [row.message for row in load("banking77", None, 0).shown if row.message not in shown]
        drawn = np.random.default_rng(draw).permutation(len(others))[:N_UNLABELLED]
        _measure(bench, f"{case}, {N_UNLABELLED} without labels", encoder, found, [others[at] for at in drawn], part)


def _measure(bench: Bench, case: str, encoder: Any, found: Set, unlabelled: Sequence[str], part: str) -> None:
    from constrained.engines.decoding.encoder import vectors
    from constrained.engines.decoding.fitted_rule import letters_of
    from constrained.engines.protocol import Candidate
    from constrained.quality.mixing import FitSettings, fit_mixture
    from constrained.quality.training import Row

    when = _plain(found.when)
    candidates = [
        Candidate(f"{at}:{label}", "", when=when[label], examples=found.examples.get(label, ())) for at, label in enumerate(found.labels)
    ]
    rows = [Row(row.message, row.label) for row in found.shown] + [Row(when[label], label) for label in found.labels]
    start = time.perf_counter()
    settings = FitSettings(seed=bench.seed)
    fitted = fit_mixture(encoder, rows, candidates, found.labels, settings, described=frozenset(when.values()), unlabelled=unlabelled)
    bench.add(case, "time of fitting", time.perf_counter() - start, "s")
    bench.add(case, "largest memory of the process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")
    mixture = fitted.mixture
    bench.add(case, "weight of the letters", mixture.letters, "nats a unit")
    states = vectors(encoder, [row.message for row in found.dev])
    vector = mixture.scores(states)
    letters = np.stack([letters_of(row.message, candidates) for row in found.dev])
    if not unlabelled and part != "none":
        _floors(bench, case, encoder, found, states)
    _told(bench, case, "the vector alone", vector, found)
    _told(bench, case, "the letters alone", letters, found)
    _told(bench, case, "the mixture", vector + mixture.letters * letters, found, at_least=AIMS.get(part))
    _sure(bench, case, vector + mixture.letters * letters, found)
    seconds = [_timed(encoder, mixture, candidates, row.message) for row in found.dev[:N_DECISIONS]]
    bench.add(case, "time of one decision", 1000 * float(np.median(seconds)), "ms")


def _read(bench: Bench, encoder: Any, shots: int) -> None:
    """The model's own rule as one more judge, as ``constrained fit`` has it where nothing else is asked for."""
    from benchmarks.suites.rules import some
    from constrained.engines.model_files import get_model
    from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, PromptContext
    from constrained.engines.transformers import TransformersEngine, fitted_rule
    from constrained.quality.mixing import FitSettings, fit_mixture
    from constrained.quality.training import Row

    found = load("banking77", shots, bench.seed)
    when = _plain(found.when)
    candidates = [
        Candidate(f"{at}:{label}", "", when=found.when[label], examples=found.examples.get(label, ()))
        for at, label in enumerate(found.labels)
    ]
    rows = [Row(row.message, row.label) for row in found.shown] + [Row(when[label], label) for label in found.labels]
    engine = TransformersEngine(bench.options.model or get_model())
    scene = PromptContext("read", "", "", "", (), tuple(row.message for row in found.shown), "", (), "", "en")

    def scores(rule: Any, message: str, among: Sequence[Candidate]) -> Floats:
        asked = ChoiceRequest([Choice("topic", "option", tuple(among))], replace(scene, message=message))
        told: Floats = rule.scores(engine.reader, [asked], None)[0][0].scores
        return told

    start, described = time.perf_counter(), frozenset(when.values())
    own = partial(scores, engine.rule)
    fitted = fit_mixture(encoder, rows, candidates, found.labels, FitSettings(seed=bench.seed), described=described, read=own)
    case = f"banking77, {f'{shots} examples, draw {bench.seed}' if shots else 'no examples'}, with the model's own rule"
    bench.add(case, "time of fitting", time.perf_counter() - start, "s")
    asked = replace(found, dev=tuple(some(found.dev, bench.options.n_prompts or N_READ, bench.seed)))
    bench.add(case, "messages", len(asked.dev), "messages")
    bench.add(case, "weight of the model's own rule", fitted.mixture.base, "nats a nat")
    alone = fit_mixture(encoder, rows, candidates, found.labels, FitSettings(seed=bench.seed), described=described).mixture
    for name, mixture in (("without it", alone), ("with it", fitted.mixture)):
        start = time.perf_counter()
        rule = fitted_rule(encoder, mixture, engine.rule)
        both = np.stack([scores(rule, row.message, candidates) for row in asked.dev])
        _told(bench, case, name, both, asked, at_least=AIMS["few" if shots else "none"] if mixture is fitted.mixture else None)
        bench.add(case, f"time of one decision, {name}", 1000 * (time.perf_counter() - start) / len(asked.dev), "ms")
    _sure(bench, case, both, asked)


def _plain(when: Mapping[str, str]) -> dict[str, str]:
    """Without what all descriptions begin with, as ``constrained fit`` reads them."""
    from constrained.quality.fit import shared_words

    shared = shared_words(sorted(when.values()))
    return {label: " ".join(text.split()[shared:]) for label, text in when.items()}


def _timed(encoder: Any, mixture: Any, candidates: Any, message: str) -> float:
    from constrained.engines.decoding.encoder import vectors
    from constrained.engines.decoding.fitted_rule import letters_of

    start = time.perf_counter()
    mixture.scores(vectors(encoder, [message]))[0] + mixture.letters * letters_of(message, candidates)
    return time.perf_counter() - start


def _floors(bench: Bench, case: str, encoder: Any, found: Set, states: Any) -> None:
    import torch

    from constrained.engines.decoding.encoder import vectors
    from constrained.quality.convex_fits import softmax_regression

    shown = vectors(encoder, [row.message for row in found.shown])
    labels = torch.tensor([found.labels.index(row.label) for row in found.shown])
    weights, bias = softmax_regression(shown, torch.nn.functional.one_hot(labels, len(found.labels)), FLOOR_STRENGTH)
    _told(bench, case, "floor: logistic regression over the vectors", (states.float() @ weights.T + bias).double().numpy(), found)
    cosines = (states @ shown.T).double().numpy()
    nearest = np.full((len(found.dev), len(found.labels)), -1.0)
    for label in range(len(found.labels)):
        nearest[:, label] = cosines[:, labels.numpy() == label].max(axis=1)
    _told(bench, case, "floor: the nearest example", nearest, found)


def _told(bench: Bench, case: str, name: str, scores: Floats, found: Set, *, at_least: float | None = None) -> None:
    bench.add(case, f"picked as expected, {name}", float(_right(scores, found).mean()), "share", at_least=at_least)


def _right(scores: Floats, found: Set) -> NDArray[np.bool_]:
    return np.asarray([found.labels[index] in row.rights for index, row in zip(scores.argmax(axis=1), found.dev, strict=True)])


def _sure(bench: Bench, case: str, scores: Floats, found: Set) -> None:
    """Calibration error, and how often conformal sets hold the right label on the half that they were not made on."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    bench.add(
        case,
        "expected calibration error",
        ece(probabilities.max(axis=1), _right(scores, found)),
        "share",
        at_most=None if bench.is_smoke else 0.03,
    )
    labels = np.asarray([found.labels.index(row.label) for row in found.dev])
    for alpha in () if bench.is_smoke else (0.05, 0.1):
        covered, sizes = [], []
        for split in range(N_SPLITS):
            order = np.random.default_rng(split).permutation(len(labels))
            one, other = order[: len(order) // 2], order[len(order) // 2 :]
            inside = conformal(probabilities[one], labels[one], alpha=alpha).inside(probabilities[other])
            covered.append(float(inside[np.arange(len(other)), labels[other]].mean()))
            sizes.append(float(inside.sum(axis=1).mean()))
        bench.add(
            case,
            f"sets at {alpha:g}: off what is promised, over {N_SPLITS} splits",
            abs(float(np.mean(covered)) - 1 + alpha),
            "share",
            at_most=0.015,
        )
        bench.add(case, f"sets at {alpha:g}: options in a set", float(np.mean(sizes)), "options")


def _clinc(bench: Bench, encoder: Any) -> None:
    """All examples, those out of scope as one more response; what is answered out of scope, as the threshold rises."""
    from constrained.engines.decoding.encoder import vectors
    from constrained.engines.decoding.fitted_rule import letters_of
    from constrained.engines.protocol import Candidate
    from constrained.quality.mixing import FitSettings, fit_mixture
    from constrained.quality.training import Row

    found = load("clinc150", None, bench.seed)
    rest = out_of_scope.REST
    labels = (*found.labels, rest)
    examples = {**found.examples, rest: tuple(row.message for row in found.oos_train)}
    candidates = [Candidate(f"{at}:{one}", "", examples=examples.get(one, ()), no_match=one == rest) for at, one in enumerate(labels)]
    rows = [Row(message, one) for one in labels for message in examples.get(one, ())]
    start = time.perf_counter()
    fitted = fit_mixture(encoder, rows, candidates, labels, replace(FitSettings(seed=bench.seed), folds=3, strengths=(10.0, 30.0)))
    case = "clinc150, all examples"
    bench.add(case, "time of fitting", time.perf_counter() - start, "s")
    scores = fitted.mixture.scores(vectors(encoder, [row.message for row in (*found.dev, *found.oos)]))
    scores += fitted.mixture.letters * np.stack([letters_of(row.message, candidates) for row in (*found.dev, *found.oos)])
    out_of_scope.told(bench, case, "the mixture", scores, found, at_least=AIMS["clinc"])


def _butler(bench: Bench, encoder: Any) -> None:
    """Each question of a reply that has several, left out by itself; what the judges weigh is chosen on the same questions."""
    from constrained.engines.protocol import Candidate
    from constrained.quality.mixing import FitSettings, fit_mixture
    from constrained.quality.training import Row

    found = load("butler", None, bench.seed)
    given = {label: (*found.examples.get(label, ()), *(row.message for row in found.dev if row.label == label)) for label in found.labels}
    asked = {
        label: tuple({bare(one): one for one in messages}.values()) for label, messages in given.items()
    }  # a double would tell the answer
    n_asked = sum(len(one) for one in asked.values() if len(one) > 1)
    for case, rows in (("questions alone", False), ("questions and replies", True)):
        candidates = [
            Candidate(f"{at}:{label}", "", when=found.texts[label] if rows else "", examples=asked[label])
            for at, label in enumerate(found.labels)
        ]
        shown = [Row(message, label) for label in found.labels for message in asked[label]]
        told = [Row(found.texts[label], label) for label in found.labels] if rows else []
        settings = replace(FitSettings(seed=bench.seed), folds=n_asked, strengths=(30.0,))
        fitted = fit_mixture(encoder, shown + told, candidates, found.labels, settings, described=frozenset(row.message for row in told))
        for judge, share in fitted.judges.items():
            is_aim = judge == "mixture" and rows
            bench.add(f"butler, left out one by one, {case}", f"R@1, {judge}", share, "share", at_least=AIMS["butler"] if is_aim else None)
