"""Suite ``small``: the engine that needs no torch, on public messages: what it picks, how sure it is, what nothing answers, times.

Labels are candidates with their examples, all of them allowed at once; "none of these" stands beside them where a part has messages
out of scope. Everything goes through the engine's ``choose``, as a turn does.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Bench
from benchmarks.measure import NoDeviceError, Spread
from benchmarks.sets import Set, load
from benchmarks.suites import out_of_scope
from constrained.engines.protocol import Candidate, Choice, PromptContext
from constrained.errors import EngineError
from constrained.quality.metrics import ece

AIMS = {"few": 0.89, "none": 0.68}
MOST_ECE = 0.03
DRAWS = {"few": 3, "none": 1, "clinc": 1}
SHOTS = {"few": 10, "none": 0, "clinc": 10}
SETS = {"few": "banking77", "none": "banking77", "clinc": "clinc150"}
N_SMOKE = 20


def run(bench: Bench) -> None:
    for part in bench.options.parts or tuple(SETS):
        for draw in range(1 if bench.is_smoke else DRAWS[part]):
            found = _made_up() if bench.is_smoke else load(SETS[part], SHOTS[part], draw)
            _measure(bench, f"{found.name}, {SHOTS[part]} examples, draw {draw}", found, part)
        if bench.is_smoke:
            return


def _measure(bench: Bench, case: str, found: Set, part: str) -> None:
    from constrained.engines.small.engine import SmallEngine

    with tempfile.TemporaryDirectory() as folder:
        engine = SmallEngine(Path(folder), encoders=_letters if bench.is_smoke else None)
        choice = _choice(found)
        start = time.perf_counter()
        try:
            engine.choose([choice], _scene(found, "hello"))
        except EngineError as error:
            raise NoDeviceError(f"{error.message}: {error.hint}") from error
        bench.add(case, "time to the first answer, nothing kept", time.perf_counter() - start, "s")
        asked = (*found.dev, *found.oos)
        rows, seconds = [], []
        for row in asked:
            start = time.perf_counter()
            rows.append(engine.choose([choice], _scene(found, row.message))[0].scores)
            seconds.append(time.perf_counter() - start)
    scores = np.asarray(rows)
    bench.add(case, "time of one choice", Spread(*(1000 * np.quantile(seconds, [0.5, 0.25, 0.75]))), "ms")
    bench.add(case, "largest memory of the process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")
    if found.oos:
        out_of_scope.told(bench, case, "heads", scores, found, at_least=None if bench.is_smoke else AIMS.get(part))
        best = scores.argmax(axis=1)
        is_in, rest = np.asarray([bool(row.label) for row in asked]), len(found.labels)
        bench.add(case, "in scope, left to the fallback", float((best == rest)[is_in].mean()), "share")
        bench.add(case, "out of scope, left to the fallback", float((best == rest)[~is_in].mean()), "share")
        return
    right = np.asarray([found.labels[place] == row.label for place, row in zip(scores.argmax(axis=1), asked, strict=True)])
    bench.add(case, "picked as labelled", float(right.mean()), "share", at_least=None if bench.is_smoke else AIMS.get(part))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    sure = (shares / shares.sum(axis=1, keepdims=True)).max(axis=1)
    bench.add(case, "expected calibration error", ece(sure, right), "share", at_most=None if bench.is_smoke else MOST_ECE)


def _choice(found: Set) -> Choice:
    labels = [
        Candidate(f"{at}:{one}", found.texts[one], found.when[one], found.examples.get(one, ()), name=one.replace("_", " "))
        for at, one in enumerate(found.labels)
    ]
    rest = [Candidate("rest", "What was that?", no_match=True)] if found.oos else []
    return Choice("reply", "option", (*labels, *rest))


def _scene(found: Set, message: str) -> PromptContext:
    background = tuple(row.message for row in found.shown)
    return PromptContext(found.name, "", "", "", (), background, "", (), message, "en")


def _letters(language: str) -> object:
    from constrained.engines.small.words import letter_vectors

    class Letters:
        name = weights = "letters"
        vectors = staticmethod(letter_vectors)

    return Letters()


def _made_up() -> Set:
    from benchmarks.sets.rows import Row

    labels = ("rent", "sell")
    rows = tuple(Row(f"{number} please {label} it", label) for number in range(N_SMOKE) for label in labels)
    texts = dict.fromkeys(labels, "Yes.")
    return Set("made up", labels, {one: f"wants to {one}" for one in labels}, texts, {one: (f"{one} it",) for one in labels}, (), rows)
