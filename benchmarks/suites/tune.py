"""Suite ``tune``: what tuning on the examples of BANKING77 brings, what it costs, and what one decision costs afterwards.

The model and a sentence encoder beside it, on the dev part that nothing is learned from. ``few``: ten examples a topic of
BANKING77; ``all``: all of them, the encoder; ``clinc``: all of CLINC150, with messages that nothing answers, the encoder.
``--bases model`` or ``--bases encoder`` measures one of them, ``--epochs`` replaces how often every message is read.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.measure import NoDeviceError
from benchmarks.sets import Row as Labelled
from benchmarks.sets import Set, load
from benchmarks.suites import out_of_scope
from constrained.quality.metrics import ece

EPOCHS = {"model": 4, "encoder": 8}
EPOCHS_ALL = 3  # where there are ten times as many messages
SHOTS = 10
N_DECISIONS = 20
TARGETS = {"few": 0.89, "all": 0.94, "clinc": 0.95}

Floats = NDArray[np.float64]


def run(bench: Bench) -> None:
    """Each part by itself; a toy network in a smoke run."""
    if bench.is_smoke:
        return _smoke(bench)
    for part in bench.options.parts or ("few",):
        found = load("clinc150" if part == "clinc" else "banking77", SHOTS if part == "few" else None, bench.seed)
        for base in bench.options.bases or (EPOCHS if part == "few" else ("encoder",)):
            case = f"{found.name}, {f'{SHOTS} examples' if part == 'few' else 'all examples'}, {base}"
            epochs = bench.options.epochs or (EPOCHS[base] if part == "few" else EPOCHS_ALL)
            _measure(bench, case, _encoder(base), found, epochs, base, TARGETS[part])
    return None


def _smoke(bench: Bench) -> None:
    from benchmarks.peers.bed import toy_network, toy_tokenizer
    from constrained.engines.decoding.encoder import LanguageStates
    from constrained.engines.decoding.language_model import LanguageModel
    from constrained.engines.decoding.tokens import Tokens

    labels = ("one", "two", "three")
    examples = {label: tuple(f"{label} {word}" for word in ("dog", "cat", "bird")) for label in labels}
    dev = tuple(Labelled(f"{label} fish", label) for label in labels)
    told = Set("made up", labels, {label: f"about {label}" for label in labels}, {}, examples, (), dev)
    encoder = LanguageStates(LanguageModel(toy_network("float32", bench.seed)), Tokens(toy_tokenizer()))
    _measure(bench, "made up", encoder, told, 2, "model", None)


def _encoder(part: str) -> Any:
    from constrained.engines.decoding.encoder import LanguageStates, load_encoder
    from constrained.engines.model_files import DEFAULT_MODEL, get_model
    from constrained.engines.transformers import TransformersEngine
    from constrained.errors import ModelNotFoundError

    if part == "model":
        reader = TransformersEngine(get_model(DEFAULT_MODEL)).reader
        return LanguageStates(reader.model, reader.tokens)
    try:
        return load_encoder("minilm")
    except ModelNotFoundError as error:
        raise NoDeviceError(f"{error.message}: {error.hint}") from error


def _measure(bench: Bench, case: str, encoder: Any, found: Set, epochs: int, base: str, target: float | None) -> None:
    import torch

    from constrained.engines.decoding.adapter import adapted
    from constrained.quality.training import Learner, Row, Run, Settings

    rows = [Row(row.message, row.label) for row in found.shown] + [Row(found.when[label], label) for label in found.labels]
    rows += [Row(row.message, out_of_scope.REST) for row in found.oos_train]
    settings = (Settings.for_encoder() if base == "encoder" else Settings()).changed(epochs=epochs, seed=bench.seed)
    torch.manual_seed(bench.seed)
    start = time.perf_counter()
    learner = Learner(encoder, rows, settings)
    bench.add(case, "messages to learn from", len(rows), "messages")
    _told(bench, case, "untuned, the mean of each response's messages", _judged(learner, found), found)
    with tempfile.TemporaryDirectory() as folder:
        Run(learner, rows, Path(folder), case).train(lambda step: _progress(bench, step))
    bench.add(case, "time of tuning", time.perf_counter() - start, "s")
    bench.add(case, "largest memory of the process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")
    with adapted(encoder.network):
        scores = _judged(learner, found)
        _told(bench, case, "tuned", scores, found, at_least=None if found.oos else target)
        if found.oos:
            both = _judged(learner, found, (*found.dev, *found.oos), (*found.labels, out_of_scope.REST))
            out_of_scope.told(bench, case, "tuned", both, found, at_least=target)
        bench.add(case, "time of one decision", 1000 * _seconds(learner, found.dev), "ms")


def _judged(learner: Any, found: Set, asked: Sequence[Labelled] = (), labels: Sequence[str] = ()) -> Floats:
    """[message, label] nats, of the dev part and the set's labels unless others are asked for."""
    from constrained.engines.decoding.encoder import vectors

    states = vectors(learner.encoder, [row.message for row in asked or found.dev])
    scores: Floats = learner.logits(states).detach().double().cpu().numpy()
    return scores[:, [learner.ids.index(label) for label in labels or found.labels]]


def _told(bench: Bench, case: str, name: str, scores: Floats, found: Set, *, at_least: float | None = None) -> None:
    picked = scores.argmax(axis=1)
    right = np.asarray([found.labels[index] in row.rights for index, row in zip(picked, found.dev, strict=True)])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    sure = (weights / weights.sum(axis=1, keepdims=True)).max(axis=1)
    bench.add(case, f"picked as expected, {name}", float(right.mean()), "share", at_least=at_least)
    bench.add(case, f"ECE before a temperature is fitted, {name}", ece(sure, right), "share")


def _seconds(learner: Any, rows: Sequence[Labelled]) -> float:
    from constrained.engines.decoding.encoder import vectors

    found = []
    for row in rows[:N_DECISIONS]:
        start = time.perf_counter()
        learner.logits(vectors(learner.encoder, [row.message]))
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _progress(bench: Bench, step: Any) -> None:
    if step.number % 20 == 0:
        bench.tell(f"step {step.number} of {step.n_steps}, loss {step.loss:.2f}")
