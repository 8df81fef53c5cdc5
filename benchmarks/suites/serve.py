"""Suite serve: conversations over HTTP, while the server is killed; deadlines; rules alone; memory.

What is shown is the server's process as users start it.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Bench
from benchmarks.options import PARTS
from benchmarks.suites.serve_process import MESSAGES, PACK, Hasty, Talk, serving, sound, take, together
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.model_files import DEFAULT_MODEL
from constrained.packs import load_policy
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs
from constrained.serve.settings import ServerSettings
from constrained.serve.storage.sessions import Sessions
from constrained.serve.turns import Turns
from constrained.serve.wire import TurnRequest

DEADLINE_S = 0.15
WITHIN_S = (DEADLINE_S, 1.0, 5.0)
FLUSH_PAUSE_S, FLUSH_BYTES = 0.02, 4_000  # of the flushes that are taken meanwhile: about a record each


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: a measurement, or a smoke run."""

    n_conversations: int
    duration_s: float
    n_kills: int
    n_alone: int
    n_rules: int
    n_at_once: int
    n_talking: tuple[int, ...]
    model: str | None


FULL = Size(32, 600.0, 20, 60, 20_000, 64, (1, 8, 32), DEFAULT_MODEL)
SMOKE = Size(4, 1.0, 1, 5, 40, 4, (1, 4), None)


def run(bench: Bench) -> None:
    size, parts = SMOKE if bench.is_smoke else FULL, bench.options.parts or PARTS["serve"]
    brain = ["--rules"] if size.model is None else ["--model", size.model]
    if "rules" in parts:
        _in_process(bench, size)
        _rules(bench, size)
    if "deadlines" in parts:
        _deadlines(bench, size, "rules", ["--rules"], (DEADLINE_S,))
        _deadlines(bench, size, "model", brain, WITHIN_S)
    if "kills" in parts:
        _killed(bench, size, brain, _alone(bench, size, brain))


def _in_process(bench: Bench, size: Size) -> None:
    """What a turn without a model costs before HTTP: the dialogue by itself, then kept and recorded as the server does."""
    case, policy, n = "rules alone, in this process", load_policy(PACK), max(16, size.n_rules // 10)
    dialogue, state = Dialogue(policy), policy.state_type.from_json({"gold": 80})
    start_s, start_cpu = time.perf_counter(), time.process_time()
    for number in range(n):
        dialogue.reply(MESSAGES[number % len(MESSAGES)], state)
    bench.add(case, "a dialogue's turns a second", n / (time.perf_counter() - start_s), "1/s")
    bench.add(case, "a dialogue's turn, processor time", (time.process_time() - start_cpu) / n * 1e6, "us")
    with tempfile.TemporaryDirectory() as folder:
        settings = ServerSettings(tokens={"t": "local"}, database=f"sqlite:///{folder}/c.db", log=f"{folder}/log.jsonl")
        sessions = Sessions(settings.database)
        turns = Turns(settings, Packs({PACK: policy}), {}, sessions, Journal.at(settings.log))

        def talking(name: int) -> None:
            for number in range(max(1, n // size.n_at_once)):
                asked = {"pack": PACK, "message": MESSAGES[number % len(MESSAGES)], "conversation": f"c{name}", "state": {"gold": 80}}
                request = TurnRequest.model_validate({**asked, "idempotency_key": str(number), "effects": "hand_over"})
                turns.take(turns.make_job("local", request))

        start_s, start_cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(size.n_at_once) as threads:
            list(threads.map(talking, range(size.n_at_once)))
        n_taken = size.n_at_once * max(1, n // size.n_at_once)
        bench.add(case, "kept and recorded turns a second", n_taken / (time.perf_counter() - start_s), "1/s")
        bench.add(case, "a kept and recorded turn, processor time", (time.process_time() - start_cpu) / n_taken * 1e6, "us")
        sessions.close()


def _rules(bench: Bench, size: Size) -> None:
    """Turns without a model, from many conversations at once, and what they leave in memory: as many turns as the model takes in hours."""
    with serving(["--rules", "--no-watch"]) as process:
        talks = [Hasty(process, f"rules-{n}", {"effects": "hand_over"}) for n in range(size.n_at_once)]
        n_each = max(1, size.n_rules // size.n_at_once)
        together(talks, lambda talk: take(talk, max(1, n_each // 4)))
        begin_mb, begin_cpu, start_s = process.memory_mb(), process.cpu_s(), time.perf_counter()
        together(talks, lambda talk: take(talk, n_each))
        n_taken, took_s = size.n_at_once * n_each, time.perf_counter() - start_s
        bench.add("rules alone", "turns a second", n_taken / took_s, "1/s", at_least=None if bench.is_smoke else 2_000)
        bench.add("rules alone", "a turn, processor time of the server", (process.cpu_s() - begin_cpu) / n_taken * 1e6, "us")
        grown = (process.memory_mb() - begin_mb) / (n_taken / 1_000)
        bench.add("rules alone", "memory grown in 1,000 turns", grown, "MB", reference=f"after warming up, over {n_taken} turns")
        sound(bench, "rules alone", process, talks)


def _alone(bench: Bench, size: Size, brain: Sequence[str]) -> float:
    """One conversation, turn after turn: what the others are held against."""
    with serving([*brain, "--no-watch"]) as process:
        talk = Talk(process, "alone")
        take(talk, 2)
        talk.times_s.clear()
        take(talk, size.n_alone)
        middle = statistics.median(talk.times_s)
        bench.add("one conversation", "a turn, median", middle * 1e3, "ms")
        sound(bench, "one conversation", process, [talk])
        return middle


def _killed(bench: Bench, size: Size, brain: Sequence[str], alone_s: float) -> None:
    """Many conversations, while the server is killed and started again."""
    case = f"{size.n_conversations} conversations, {size.n_kills} kills"
    with serving([*brain, "--no-watch"]) as process:
        talks = [Talk(process, f"talk-{n}") for n in range(size.n_conversations)]
        over = time.perf_counter() + size.duration_s

        def talking(talk: Talk) -> None:
            while time.perf_counter() < over or not talk.replies:
                talk.turn()

        threads = [threading.Thread(target=talking, args=(talk,)) for talk in talks]
        start_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for _ in range(size.n_kills):
            time.sleep(size.duration_s / (size.n_kills + 1))
            process.end(signal.SIGKILL)
            process.start()
        for thread in threads:
            thread.join()
        times = sorted(one for talk in talks for one in talk.times_s)
        rate = len(times) / (time.perf_counter() - start_s)
        bench.add(case, "turns", len(times), "")
        bench.add(case, "requests sent again", sum(talk.n_repeated for talk in talks), "")
        bench.add(case, "errors", sum(len(talk.errors) for talk in talks), "", at_most=0)
        bench.add(case, "throughput", rate * alone_s, "x", reference="one conversation, turn after turn")
        for share in (0.5, 0.95):
            taken = times[min(len(times) - 1, int(share * len(times)))] / alone_s
            bench.add(case, f"a turn, p{share * 100:.0f}", taken, "x", reference="one conversation, a turn, median")
        sound(bench, case, process, talks)


def _deadlines(bench: Bench, size: Size, brain: str, arguments: Sequence[str], deadlines: Sequence[float]) -> None:
    """A deadline in each turn: how many replies are late, and how many are the model's. Then what the disk alone takes meanwhile."""
    with serving([*arguments, "--no-watch"]) as process:
        for n in size.n_talking:
            for within in deadlines:
                case = f"a deadline of {within * 1e3:g} ms, {brain}, {n} conversations at once"
                talks = [Hasty(process, f"{n}-{within:g}-{number}", {"within": within}) for number in range(n)]
                together(talks, lambda talk: take(talk, 2))
                for talk in talks:
                    talk.times_s.clear()
                with _flushing(process.folder) as flushes_s:
                    together(talks, lambda talk, n=n: take(talk, max(5, size.n_alone // n)))  # type: ignore[misc]  # bound at once
                _told_of_deadline(bench, case, within, talks, sorted(flushes_s))
                sound(bench, case, process, talks)


def _told_of_deadline(bench: Bench, case: str, within: float, talks: Sequence[Hasty], flushes_s: Sequence[float]) -> None:
    times = sorted(one for talk in talks for one in talk.times_s)
    for talk in talks:
        talk.close()
    replies = [one for talk in talks for one in talk.replies[2:]]
    is_asked = within == DEADLINE_S and not bench.is_smoke
    bench.add(case, "turns", len(times), "")
    bench.add(case, "turns that were late", sum(one > within for one in times), "", at_most=0 if is_asked else None)
    bench.add(case, "the slowest turn", times[-1] * 1e3, "ms")
    bench.add(case, "a turn, p50", statistics.median(times) * 1e3, "ms")
    bench.add(case, "turns by the model", Counter(one["mode"] != "rules" for one in replies)[True] / len(replies), "share")
    bench.add(case, "a flush of the disk meanwhile, p50", statistics.median(flushes_s) * 1e3, "ms")
    bench.add(case, "the slowest flush of the disk meanwhile", flushes_s[-1] * 1e3, "ms")


@contextmanager
def _flushing(folder: Path) -> Iterator[list[float]]:
    """Times flushes of a file beside the server's, one after the other with a pause: what no server there can be faster than."""
    found: list[float] = []
    is_over = threading.Event()

    def flush() -> None:
        with (folder / "flushed").open("ab", buffering=0) as file:
            while not found or not is_over.wait(FLUSH_PAUSE_S):
                file.write(b"x" * FLUSH_BYTES)
                start_s = time.perf_counter()
                os.fsync(file.fileno())
                found.append(time.perf_counter() - start_s)

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()
