"""Suite ``choice``: any engine, server or peer on the same messages: what it picks, how sure it is, what order changes, time, memory.

``--engine X ...`` names what is compared (``benchmarks.peers.engines.make``), ``--limit N`` how many messages of a public set. Every engine
meets every part in a process of its own, so that memory is its alone. Parts: ``banking77``, ``banking20`` (twenty of its topics, for what
takes few options), ``names`` (no examples), ``clinc150`` (with messages out of scope), ``challenge``, ``packs``.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import measure
from benchmarks.conversations import play_all, read_cases, turns
from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Spread
from benchmarks.options import PARTS
from benchmarks.peers import PeerUnsupportedError, engines
from benchmarks.sets import Row, Set, load
from benchmarks.sets.lines import data_folder
from constrained.engines.protocol import Candidate, Choice, Distribution, Engine, PromptContext, checked
from constrained.errors import EngineError

RULES = "rules"  # no engine: the policy's order decides
ENGINES = ("small", engines.MINILM, "smollm2-135m", "small+smollm2-135m", RULES, "outlines-core", "xgrammar", "llguidance")
ENGINES += ("decision-pipeline",)
PUBLIC = {"banking77": ("banking77", 10), "banking20": ("banking77", 10), "names": ("banking77", 0), "clinc150": ("clinc150", 10)}
N_FEW = 20  # topics of ``banking20``; the decision pipeline takes 26
N_MESSAGES = 154  # of a public set: two of each of 77 topics
N_OUTSIDE = 100  # out of scope, at most
N_ORDERS = 3  # the sorted one and two others
TURNED = 2  # one message in so many is also given in the other orders
KEPT = (0.8, 0.95)  # shares of the messages in scope that a threshold lets pass
N_BINS = 10
AIMS = {  # of the small engine, as (at least, at most)
    ("banking77", "picked as labelled"): (0.89, None),
    ("names", "picked as labelled"): (0.68, None),
    ("banking77", "expected calibration error"): (None, 0.03),
}
PACKS = ("tavern", "bank_disputes", "clinic_booking")
Floats = NDArray[np.float64]


def run(bench: Bench) -> None:
    """Every part with every engine, one after the other; what an engine does not take is told and left out.

    Raises BenchmarkError where no engine took anything: a name is misspelt, or something is not installed.
    """
    named = bench.options.engines or (("constrained.testing:RandomEngine",) if bench.is_smoke else ENGINES)
    n_measured = 0
    for part in bench.options.parts or (("banking20",) if bench.is_smoke else PARTS["choice"]):
        first: tuple[str, list[float]] | None = None
        for name in named:
            if not _takes(name, part):
                continue
            found = _in_a_process(bench, name, part)
            if found is not None and first is not None and len(found) == len(first[1]):
                _compare(bench, f"{part}, {name}", found, first)
            first = first or (None if found is None else (name, found))
            n_measured += found is not None
    if not n_measured:
        raise BenchmarkError(f"choice: nothing could be measured with {', '.join(named)}; the lines above tell why")


def _takes(name: str, part: str) -> bool:
    return name != RULES if part in PUBLIC else name == RULES or engines.is_of_dialogue(name)


def _in_a_process(bench: Bench, name: str, part: str) -> list[float] | None:
    """Adds the rows of a child; returns whether each message was answered right, None where the engine cannot do this."""
    told = {"engine": name, "part": part, "is_smoke": bench.is_smoke, "seed": bench.seed}
    told |= {"limit": bench.options.n_prompts or N_MESSAGES, "model": bench.options.model}
    case = f"{part}, {name}"
    try:
        child = measure.run_child([sys.executable, "-m", "benchmarks.suites.choice", json.dumps(told)])
    except BenchmarkError as error:
        bench.add(case, "failed", 1, "0 or 1")
        bench.tell(f"{case}: {error}")
        return None
    found = json.loads(child.stdout.strip().splitlines()[-1])
    if "unsupported" in found:
        bench.add(case, "cannot", 1, "0 or 1")
        bench.tell(f"{case}: {found['unsupported']}")
        return None
    for metric, value, spread, unit, reference in found["rows"]:
        low, high = AIMS.get((part, metric), (None, None)) if name == "small" else (None, None)
        shown = value if spread is None else Spread(value, *spread)
        bench.add(case, metric, shown, unit, reference=reference, at_least=low, at_most=high)
    bench.add(case, "largest memory of the process", child.peak_bytes / 1e6, "MB")
    bench.add(case, "load average beside it", measure.load_average(), "processes")
    right: list[float] = found["right"]
    return right


def _compare(bench: Bench, case: str, right: list[float], first: tuple[str, list[float]]) -> None:
    """On the same messages, with a paired 95 % interval."""
    from constrained.quality.metrics import paired_bootstrap

    found = paired_bootstrap(np.asarray(right), np.asarray(first[1]), seed=bench.seed)
    bench.add(case, "right, more by", Spread(found.value, found.low, found.high), "share", reference=first[0])


# -- in the process of one engine ------------------------------------------------------------------------------


def main(told: dict[str, Any]) -> dict[str, Any]:
    """The rows of one engine on one part, and whether each message was answered right."""
    bench = Bench("choice", is_smoke=told["is_smoke"], seed=told["seed"], is_quiet=True)
    part, name = told["part"], told["engine"]
    try:
        engine = None if name == RULES else engines.make(name, told["model"])
        if part == "packs":
            right = _packs(bench, engine)
        elif part == "challenge":
            right = _challenge(bench, engine, told["limit"])
        else:
            right = _public(bench, engine, _set(bench, part), told["limit"])
    except PeerUnsupportedError as error:
        return {"unsupported": str(error)}
    except EngineError as error:
        return {"unsupported": f"{error.message}: {error.hint}"}
    return {"rows": [[row.metric, row.value, row.spread, row.unit, row.reference] for row in bench.rows], "right": right}


def _challenge(bench: Bench, engine: Engine | None, limit: int) -> list[float]:
    """Accepted and wrong acts, in conversations."""
    from benchmarks.challenge_library import Library
    from benchmarks.suites import desks

    cases = read_cases(data_folder() / "challenge" / "dev.jsonl")
    played = play_all(cases[:: max(1, len(cases) // limit)], Library(None, engine))
    desks.tell(bench, "", played)
    return [float(one.is_accepted) for one in played]


def _packs(bench: Bench, engine: Engine | None) -> list[float]:
    """Golden dialogues and single messages of the shipped packs, everything heard by the engine."""
    right: list[float] = []
    for part in ("golden", "test"):
        taken = [one for pack in PACKS for one in turns(pack, part, engine) if one.n_options > 1 and one.picked]
        found = [float(one.is_right) for one in taken]
        bench.add("", f"picked as intended, {part}", Spread.share(found), "share")
        right += found
    return right


def _set(bench: Bench, part: str) -> Set:
    if bench.is_smoke:
        return _made_up()
    name, shots = PUBLIC[part]
    found = load(name, shots, bench.seed)
    if part != "banking20":
        return found
    few = tuple(sorted(random.Random(bench.seed).sample(found.labels, N_FEW)))
    return replace(found, labels=few, dev=tuple(row for row in found.dev if row.label in few))


def _public(bench: Bench, engine: Engine | None, found: Set, limit: int) -> list[float]:
    """All labels are allowed at once; "none of these" stands beside them where a set has messages out of scope."""
    from benchmarks.suites.rules import some

    asked = [*some(found.dev, limit, 0), *found.oos[: min(N_OUTSIDE, limit)]]
    choice, begun = _choice(found), time.perf_counter()
    _answer(engine, choice, found, "hello")
    bench.add("", "time to the first answer", time.perf_counter() - begun, "s")
    answers, wall, cpu = [], [], []
    for row in asked:
        start, used = time.perf_counter(), time.process_time()
        answers.append(_answer(engine, choice, found, row.message))
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    picked = [choice.candidates[one.best].name for one in answers]
    rights = [_named(row.label) if row.label else REST.name for row in asked]
    is_right = np.asarray(picked) == np.asarray(rights)
    is_in = np.asarray([bool(row.label) for row in asked])
    bench.add("", "messages", len(asked), "messages")
    bench.add("", "picked as labelled", Spread.share(is_right[is_in].tolist()), "share")
    rows = np.asarray([one.probabilities for one in answers])
    if ((rows > 0) & (rows < 1)).any():  # else it picks, and says nothing of how sure it is
        _tell_honesty(bench, rows, is_right, [[one.name for one in choice.candidates].index(right) for right in rights])
    if found.oos:
        _tell_scope(bench, rows[:, : len(found.labels)].max(axis=1), np.asarray(picked) == REST.name, is_in)
    bench.add("", "time of one choice", Spread(*(float(np.quantile(wall, at)) * 1000 for at in (0.5, 0.25, 0.75))), "ms")
    bench.add("", "time of one choice, 95 % within", float(np.quantile(wall, 0.95)) * 1000, "ms")
    bench.add("", "processor time of one choice", Spread(*(float(np.quantile(cpu, at)) * 1000 for at in (0.5, 0.25, 0.75))), "ms")
    _tell_turned(bench, engine, found, asked[::TURNED], picked[::TURNED])
    return [float(one) for one in is_right]


def _tell_honesty(bench: Bench, rows: Floats, is_right: NDArray[np.bool_], rights: Sequence[int]) -> None:
    from constrained.quality.metrics import bins, brier, ece

    sure = rows.max(axis=1)
    bench.add("", "expected calibration error", ece(sure, is_right), "share")
    bench.add("", "Brier", float(brier(rows.tolist(), [(one,) for one in rights]).mean()), "0 to 2")
    for number, one in enumerate(bins(sure, is_right, "mass", N_BINS)):
        bench.add("", f"right, bin {number}", one.accuracy, "share", reference=f"sure {one.confidence:.3f}")


def _tell_scope(bench: Bench, sure: Floats, is_rest: NDArray[np.bool_], is_in: NDArray[np.bool_]) -> None:
    """``sure``: [message] the probability of the likeliest label. A threshold on it leaves a message to the fallback."""
    from constrained.quality.metrics import auroc

    bench.add("", "in scope, left to the fallback", float(is_rest[is_in].mean()), "share")
    bench.add("", "out of scope, left to the fallback", float(is_rest[~is_in].mean()), "share")
    bench.add("", "out of scope, AUROC", auroc(-sure, ~is_in), "share")
    for kept in KEPT:
        threshold = float(np.quantile(sure[is_in], 1 - kept))
        caught = (sure[~is_in] < threshold).tolist()
        bench.add("", f"out of scope, left to the fallback where {kept:g} in scope are answered", Spread.share(caught), "share")


def _tell_turned(bench: Bench, engine: Engine | None, found: Set, asked: Sequence[Row], picked: Sequence[str]) -> None:
    """The same candidates in other orders, in the listing too: a message counts once another order changes its choice."""
    changed = [False] * len(asked)
    for number in range(1, N_ORDERS):
        labels = random.Random(bench.seed + number).sample(found.labels, len(found.labels))
        choice = _choice(replace(found, labels=tuple(labels)), is_first=bool(number % 2))
        other = replace(found, name=f"{found.name}, order {number}", labels=tuple(labels))
        for place, row in enumerate(asked):
            best = _answer(engine, choice, other, row.message).best
            changed[place] |= choice.candidates[best].name != picked[place]
    bench.add("", f"another choice in {N_ORDERS} orders, of {len(asked)} messages", Spread.share(changed), "share")


REST = Candidate("rest", "What was that?", no_match=True, name="none of these")


def _choice(found: Set, *, is_first: bool = False) -> Choice:
    """``is_first``: "none of these" stands before the labels."""
    labels = [
        Candidate(one, found.texts[one], found.when[one], tuple(found.examples.get(one, ())), name=_named(one)) for one in found.labels
    ]
    rest = [REST] if found.oos else []
    return Choice("reply", "option", tuple((*rest, *labels) if is_first else (*labels, *rest)))


def _answer(engine: Engine | None, choice: Choice, found: Set, message: str) -> Distribution:
    if engine is None:
        raise PeerUnsupportedError("the rules alone choose only in a conversation")
    listing = tuple((_named(one), found.when[one]) for one in found.labels)
    background = tuple(row.message for row in found.shown)
    scene = PromptContext(found.name, "the assistant", "", "", listing, background, "", (), message, "en")
    return checked(engine.choose([choice], scene), [len(choice.candidates)])[0]


def _named(label: str) -> str:
    return label.replace("_", " ")


def _made_up() -> Set:
    labels = ("rent", "sell", "swap")
    rows = tuple(Row(f"{number} please {label} it", label) for number in range(12) for label in labels)
    whens, texts = {one: f"wants to {one}" for one in labels}, dict.fromkeys(labels, "Yes.")
    return Set("made up", labels, whens, texts, {one: (f"{one} it",) for one in labels}, (), rows, (), (Row("la la", ""), Row("lo lo", "")))


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
