"""Suite core: what it costs without a model: index, subset, a turn by the rules, imports, start, memory."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Child, Sample, Series, Spread, interleaved, python, run_child, timed
from benchmarks.sets.desk import write_desk
from benchmarks.sets.lines import made_lines

STAGES = ("hear", "allow", "decide", "verify")
MESSAGE = "Good evening, have you got anything to eat, and a bed for the night?"
MB = 1e6


def run(bench: Bench) -> None:
    """Fresh processes first: this one is still small, and the machine's memory its own."""
    _imports(bench)
    _second_start(bench)
    _demo(bench)
    with tempfile.TemporaryDirectory() as folder:
        _turns(bench, Path(folder))
    _index(bench)


# -- fresh processes -------------------------------------------------------------------------------------


def _imports(bench: Bench) -> None:
    check = "import sys, constrained; sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    python(check)  # fails when a tensor library came along
    cases = {name: _started(code) for name, code in (("pydantic", "import pydantic"), ("constrained", "import constrained"))}
    found = interleaved([cases] * (1 if bench.is_smoke else 15), seed=bench.seed)
    bench.add("import", "import pydantic, whole process", found["pydantic"].wall_s * 1e3, "ms")
    bench.add("import", "import constrained, whole process", found["constrained"].wall_s * 1e3, "ms")
    bench.add(
        "import", "import constrained, more than", found["constrained"].above(found["pydantic"]) * 1e3, "ms",
        reference="import pydantic", at_most=150,
    )  # fmt: skip


def _started(code: str) -> Callable[[], Sample]:
    return lambda: python(code).sample


_START = """
import json, time
from constrained import Dialogue
imported = time.monotonic()
dialogue = Dialogue("tavern", model={model!r})
loaded = time.monotonic()
turn = dialogue.reply({message!r})
print(json.dumps({{"imported": imported, "loaded": loaded, "decided": time.monotonic(), "mode": turn.decision.mode,
                   "is_approved": turn.text == turn.decision.chosen.text}}))
"""


def _second_start(bench: Bench) -> None:
    """From the start of the process to the first decision, the files in the system's cache; without a model in a smoke run."""
    code = _START.format(model=None if bench.is_smoke else _model_name(bench), message=MESSAGE)
    rounds = [_first_decision(code, bench) for _ in range(1 if bench.is_smoke else 6)][0 if bench.is_smoke else 1 :]
    for stage in ("imported", "loaded", "decided"):
        name = {"imported": "library imported", "loaded": "model loaded", "decided": "first decision"}[stage]
        spread = Spread.of(times[stage] for times in rounds)
        bench.add("second start", f"{name}, after the start of the process", spread, "s", at_most=3 if stage == "decided" else None)
    bench.add("second start", "peak memory", Spread.of(times["peak"] for times in rounds), "MB")


def _first_decision(code: str, bench: Bench) -> dict[str, float]:
    child = python(code)
    told = json.loads(child.stdout.strip().splitlines()[-1])
    if told["mode"] != ("rules" if bench.is_smoke else "exact") or not told["is_approved"]:
        raise BenchmarkError(f"core: the first decision is not what it should be: {told}")
    return {stage: told[stage] - child.began_s for stage in ("imported", "loaded", "decided")} | {"peak": child.peak_bytes / MB}


def _demo(bench: Bench) -> None:
    command = [sys.executable, "-c", "from constrained.cli.main import main; main()", "demo", *(["--rules"] if bench.is_smoke else [])]
    children = [run_child(command) for _ in range(1 if bench.is_smoke else 3)]
    if any("are the same" not in child.stdout for child in children):
        raise BenchmarkError("core: the demo did not replay its turns")
    bench.add("demo, piped", "peak memory", _over(children, lambda child: child.peak_bytes / MB), "MB", at_most=1_500)
    bench.add("demo, piped", "time", _over(children, lambda child: child.wall_s), "s")


def _over(children: Sequence[Child], value: Callable[[Child], float]) -> Spread:
    return Spread.of(map(value, children))


def _model_name(bench: Bench) -> str:
    """The default model, fetched when it is missing."""
    from constrained.engines.model_files import DEFAULT_MODEL, get_model

    get_model()
    bench.versions["model"] = DEFAULT_MODEL
    return DEFAULT_MODEL


# -- turns by the rules ----------------------------------------------------------------------------------


def _turns(bench: Bench, folder: Path) -> None:
    from constrained.packs import load_policy_file
    from constrained.records.jsonl import JsonLinesLog
    from constrained.records.log import MemoryLog

    n_responses = 100 if bench.is_smoke else 1_000
    policy = load_policy_file(write_desk(folder, n_responses, bench.seed))
    states = {12: policy.state_type.from_json({"topic": 3}), n_responses: policy.state_type.from_json({"is_open": True})}
    for n_options, state in states.items():
        logs = {
            "log in memory": MemoryLog(),
            "log in a file": JsonLinesLog(folder / f"{n_options}.jsonl"),
            "log in a file, not flushed to the disk": JsonLinesLog(folder / f"{n_options}.quick.jsonl", durable=False),
        }
        dialogues = {name: _RulesTurn(policy, state, log, n_options) for name, log in logs.items()}
        found = interleaved([dict(dialogues)] * (5 if bench.is_smoke else 200), seed=bench.seed)
        for name, series in found.items():
            case = f"a turn by the rules, {n_options:,} of {n_responses:,} responses allowed, {name}"
            _tell_turn(bench, case, series, dialogues[name].stages_ms, at_most=1 if name == "log in memory" else None)


def _tell_turn(bench: Bench, case: str, series: Series, stages_ms: dict[str, list[float]], *, at_most: float | None) -> None:
    whole = series.wall_s * 1e3
    bench.add(case, "time", whole, "ms", at_most=at_most)
    if at_most is None:  # the stages are the same whatever the log
        return
    for stage in STAGES:
        bench.add(case, f"of which {stage}", Spread.of(stages_ms[stage]), "ms")
    rest = whole.median - sum(Spread.of(stages_ms[stage]).median for stage in STAGES)
    bench.add(case, "of which record and the rest", rest, "ms")


class _RulesTurn:
    """Measures one turn of a dialogue without an engine; checks that it allows what it should."""

    def __init__(self, policy: Any, state: Any, log: Any, n_options: int) -> None:
        from constrained import Dialogue

        self._dialogue, self._state = Dialogue(policy, log=log), state
        self.stages_ms: dict[str, list[float]] = {stage: [] for stage in STAGES}
        turn = self._dialogue.reply(MESSAGE, state)
        if len(turn.decision.options) != n_options or turn.decision.mode != "rules" or turn.text != turn.decision.chosen.text:
            raise BenchmarkError(f"core: {len(turn.decision.options)} options are allowed, not {n_options}")

    def __call__(self) -> Sample:
        sample = timed(self._reply)()
        for stage, values in self.stages_ms.items():
            values.append(self._turn.trace.timings_ms[stage])
        return sample

    def _reply(self) -> None:
        self._turn = self._dialogue.reply(MESSAGE, self._state)


# -- the index -------------------------------------------------------------------------------------------


def _index(bench: Bench) -> None:
    from constrained.engines.decoding.trie import TokenIndex

    lines = made_lines(2_000 if bench.is_smoke else 100_000, bench.seed)
    rows = _tokenised(bench, lines)
    index = TokenIndex.build(rows)
    _check_index(bench, index, rows)
    found = interleaved([{"build": timed(lambda: TokenIndex.build(rows))}] * (1 if bench.is_smoke else 7))
    case = f"index of {len(rows):,} lines"
    bench.add(case, "tokens", sum(map(len, rows)), "tokens")
    bench.add(case, "nodes of the trie", index.n_nodes, "nodes")
    bench.add(case, "build, besides tokenising", found["build"].wall_s, "s", at_most=1.5)
    for n_live in sorted({24, min(1_000, len(rows)), len(rows)}):
        _subset(bench, index, case, n_live)


def _tokenised(bench: Bench, lines: list[str]) -> list[list[int]]:
    """The lines as token ids, each with the end token; how long that takes is told apart."""
    from constrained.engines.decoding.tokens import Tokens

    tokens = Tokens(_tokenizer(bench))
    series = interleaved([{"tokenise": timed(lambda: tokens.plain_batch(lines))}] * (1 if bench.is_smoke else 3))["tokenise"]
    bench.add(f"index of {len(lines):,} lines", "tokenising", series.wall_s, "s")
    return [[*row, *([] if tokens.end is None else [tokens.end])] for row in tokens.plain_batch(lines)]


def _tokenizer(bench: Bench) -> Any:
    if bench.is_smoke:
        from benchmarks.peers.bed import toy_tokenizer

        return toy_tokenizer()
    from transformers import AutoTokenizer

    from constrained.engines.model_files import get_model

    return AutoTokenizer.from_pretrained(get_model())


def _check_index(bench: Bench, index: Any, rows: list[list[int]]) -> None:
    """Sorted as Python sorts the same rows, each row kept as it was."""
    wanted = sorted(range(len(rows)), key=rows.__getitem__)
    bench.check("the order of the index", float((index.order != np.asarray(wanted)).sum()), 0)
    kept = sum(index.matrix[rank, : len(row)].tolist() == row for rank, row in zip(index.rank[::97], rows[::97], strict=True))
    bench.check("the rows of the index", len(rows[::97]) - kept, 0)


def _subset(bench: Bench, index: Any, case: str, n_live: int) -> None:
    chance = np.random.default_rng(bench.seed)
    chosen = chance.choice(len(index), n_live, replace=False)
    as_list = chosen.tolist()
    live = np.isin(index.order, chosen)
    bench.check("the live rows of a subset", float((np.diff(index.subset(chosen).live) != live).sum()), 0)
    cases = {"array": timed(lambda: index.subset(chosen), repeat=5), "list": timed(lambda: index.subset(as_list), repeat=5)}
    found = interleaved([cases] * (1 if bench.is_smoke else 50), seed=bench.seed)
    bench.add(case, f"new subset of {n_live:,} rows", found["array"].wall_s * 1e3, "ms", at_most=1)
    bench.add(case, f"new subset of {n_live:,} rows, given as a list of Python ints", found["list"].wall_s * 1e3, "ms")
