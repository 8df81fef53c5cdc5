"""Suite ``floors``: what TF-IDF and logistic regression reach on the public sets' dev parts.

A decision that does not beat these adds nothing. STAR is measured with and without its flow graph as a mask, by the message
alone and by the message with the position.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, NoDeviceError
from benchmarks.sets import Row, Set, load
from benchmarks.sets.star import TASKS
from constrained.quality.metrics import auroc

SMOKE_TASKS = ("ride_status",)
SHOTS: tuple[tuple[str, tuple[int | None, ...]], ...] = (("banking77", (10, None)), ("clinc150", (10, None)), ("nlupp", (None,)))

Floats = NDArray[np.float64]
Text = Callable[[Row], str]


def run(bench: Bench) -> None:
    """Each set with its shots, then STAR."""
    if importlib.util.find_spec("sklearn") is None:
        if bench.is_smoke:
            bench.add("made up", "sets without scikit-learn", 0, "sets")
            return
        raise NoDeviceError("scikit-learn is not installed: pip install '.[bench]'")
    for name, every in () if bench.is_smoke else SHOTS:
        for shots in every:
            _measure(bench, load(name, shots, bench.seed), "all data" if shots is None else f"{shots} examples")
    _measure_star(bench, SMOKE_TASKS if bench.is_smoke else TASKS)


def _measure(bench: Bench, found: Set, case: str) -> None:
    case, rows = f"{found.name}, {case}", (*found.dev, *found.oos)
    scores = _scores(found.shown, rows, found.labels, lambda row: row.message)
    picked = [found.labels[index] for index in scores.argmax(axis=1)]
    right = [one in row.rights for one, row in zip(picked, rows, strict=True) if row.label]
    bench.add(case, "messages", len(rows), "messages")
    bench.add(case, "picked as expected, in scope", float(np.mean(right)), "share")
    if found.oos:
        bench.add(case, "out of scope, AUROC", auroc(-scores.max(axis=1), np.asarray([not row.label for row in rows])), "share")


def _measure_star(bench: Bench, tasks: Sequence[str]) -> None:
    """All tasks together, each turn counting once."""
    rules: dict[str, list[bool]] = {}
    sizes, n_allowed, is_allowed = [], [], []
    for task in tasks:
        found = load(f"star_{task}", None, bench.seed)
        sizes += [len(found.labels)] * len(found.dev)
        n_allowed += [len(row.allowed) for row in found.dev]
        is_allowed += [row.label in row.allowed for row in found.dev]
        for name, text in (("message alone", _message), ("message and position", _position)):
            scores = _scores(load(f"star_{task}", 0, bench.seed).train, found.dev, found.labels, text)
            for mask, masked in (("without the flow", scores), ("with the flow", _masked(scores, found))):
                right = [found.labels[index] == row.label for index, row in zip(masked.argmax(axis=1), found.dev, strict=True)]
                rules.setdefault(f"{name}, {mask}", []).extend(right)
    case = f"star, {len(tasks)} tasks"
    bench.add(case, "turns", len(sizes), "turns")
    bench.add(case, "replies in a catalog", float(np.mean(sizes)), "replies")
    bench.add(case, "replies that the flow allows", float(np.mean(n_allowed)), "replies")
    bench.add(case, "expected reply among them", float(np.mean(is_allowed)), "share")
    for name, right in rules.items():
        bench.add(case, f"picked as expected by the {name}", float(np.mean(right)), "share")


def _message(row: Row) -> str:
    return row.message


def _position(row: Row) -> str:
    """The message with two words for the position: the last reply, and what a lookup gave."""
    last = row.state["said"][-1] if row.state["said"] else "nothing"
    return f"{row.message} at_{last} got_{row.state['result'] or 'nothing'}"


def _masked(scores: Floats, found: Set) -> Floats:
    allowed = np.asarray([[label in row.allowed for label in found.labels] for row in found.dev])
    return np.where(allowed, scores, -np.inf)


def _scores(shown: Sequence[Row], rows: Sequence[Row], labels: Sequence[str], text: Text) -> Floats:
    """[row, label] probabilities; 0 for a label without a message."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import FeatureUnion, make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    model: Any = make_pipeline(FeatureUnion([("words", words), ("letters", letters)]), LogisticRegression(C=30.0, max_iter=300))
    model.fit([text(row) for row in shown], [row.label for row in shown])
    found = np.zeros((len(rows), len(labels)))
    columns = [list(labels).index(label) for label in model.classes_]
    found[:, columns] = model.predict_proba([text(row) for row in rows])
    return found
