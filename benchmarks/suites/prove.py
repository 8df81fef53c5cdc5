"""Suite prove: how much of the packs is explored and how fast; and whether conversations come out the same again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError

PACKS = ("bank_disputes", "clinic_booking", "tavern")
N_CONVERSATIONS, N_TURNS, N_TIMES, N_AT_ONCE = 200, 3, 8, 8  # of the part repeat


def run(bench: Bench) -> None:
    """The part packs, and repeat where it is named: that needs a model and many minutes."""
    parts = bench.options.parts or ("packs",)
    if "packs" in parts:
        _packs(bench)
    if "repeat" in parts:
        _repeat(bench)


# -- the packs ---------------------------------------------------------------------------------------------


def _packs(bench: Bench) -> None:
    from constrained.analysis.prover.proofs import prove
    from constrained.analysis.prover.properties import properties_path, read_properties
    from constrained.pack_folders import find_pack
    from constrained.packs import load_policy_file

    for name in PACKS:
        logic = find_pack(name).logic_path
        declared = read_properties(properties_path(logic))
        began = time.process_time()
        most = 500 if bench.is_smoke else 250_000
        proof = prove(
            load_policy_file(logic), declared.properties, declared.scope, source=declared.text, most_points=most, most_seconds=120
        )
        seconds, found = time.process_time() - began, proof.explored
        is_target = name == "bank_disputes" and not bench.is_smoke
        bench.add(name, "points explored", found.n_explored, "points", at_least=100_000 if is_target else None)
        bench.add(name, "turns between them", found.n_turns, "turns")
        bench.add(name, "points not explored", found.n_points - found.n_explored, "points")
        bench.add(name, "time of the process, exploring and judging", seconds, "s", at_most=60 if is_target else None)
        for status, count in sorted(Counter(one.status for one in proof.verdicts).items()):
            bench.add(name, f"properties {status}", count, "properties")


# -- the same again ----------------------------------------------------------------------------------------


def _repeat(bench: Bench) -> None:
    """Conversations of messages out of golden dialogues, each several times with the model.

    N_AT_ONCE of them share the engine's batches, in another order each time: with other neighbours, as at a server.
    """
    from constrained.errors import ConstrainedError

    n_conversations = 2 if bench.is_smoke else bench.options.n_prompts or N_CONVERSATIONS
    try:
        engine = _engine(bench)
    except ConstrainedError as error:
        raise BenchmarkError(f"{bench.suite}: {error}") from error
    talks = list(_talks(n_conversations, bench.seed))
    outcomes: dict[int, list[Any]] = {number: [] for number in range(len(talks))}
    began = time.perf_counter()
    for time_number in range(N_TIMES):
        order = list(outcomes)
        Random(bench.seed + time_number).shuffle(order)
        with ThreadPoolExecutor(1 if bench.is_smoke else N_AT_ONCE) as pool:
            found = pool.map(lambda number: _outcome(*talks[number], engine), order)
            for number, outcome in zip(order, found, strict=True):
                outcomes[number].append(outcome)
        bench.tell(f"{time_number + 1} of {N_TIMES} times, {time.perf_counter() - began:.0f} s")
    n_same = sum(len(set(every)) == 1 for every in outcomes.values())
    case = f"{n_conversations} conversations of {N_TURNS} turns, {N_TIMES} times each, {N_AT_ONCE} at once"
    bench.add(case, "the same text, effects and state every time", n_same / len(talks), "share", reference="conversations", at_least=1.0)
    bench.add(case, "a turn with the model", (time.perf_counter() - began) / (len(talks) * N_TIMES * N_TURNS), "s")


def _engine(bench: Bench) -> Any:
    from constrained.engines.batching import BatchingEngine
    from constrained.engines.loading import load_engine
    from constrained.engines.model_files import DEFAULT_MODEL
    from constrained.testing import RandomEngine

    if bench.is_smoke:
        return RandomEngine(bench.seed)
    engine: Any = load_engine(bench.options.model or DEFAULT_MODEL)
    return BatchingEngine(engine)


def _talks(n: int, seed: int) -> Iterator[tuple[Any, Any, tuple[str, ...]]]:
    """(policy, state to begin with, messages): messages of a pack's golden dialogues, drawn anew."""
    from constrained.pack_folders import find_pack
    from constrained.packs import load_policy
    from constrained.quality.golden import load_golden

    draw = Random(seed)
    files = {name: load_golden(find_pack(name).dialogues_path or "") for name in PACKS}
    messages = {name: [turn.says for one in file.dialogues for turn in one.turns if turn.says] for name, file in files.items()}
    for number in range(n):
        name = PACKS[number % len(PACKS)]
        policy, begun = load_policy(name), draw.choice(files[name].dialogues).state
        state = policy.state_type.default() if begun is None else policy.state_type.from_json(begun)
        yield policy, state, tuple(draw.sample(messages[name], N_TURNS))


def _outcome(policy: Any, state: Any, messages: tuple[str, ...], engine: Any) -> tuple[Any, ...]:
    """What a conversation comes to: every text, every effect, the last state."""
    from datetime import UTC, datetime

    from constrained import Dialogue

    talk = Dialogue(policy, engine=engine, drafts=True, now=lambda: datetime(2026, 11, 1, 12, tzinfo=UTC))
    said = []
    for message in messages:
        turn = talk.reply(message, state)
        state = turn.apply(state)
        said.append((turn.text, tuple(map(str, turn.effects))))
    return (*said, state.model_dump_json())
