"""Suite games: replies to one speaker and to eight at once, what they take from a frame, another pack on the same engine."""

from __future__ import annotations

import gc
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import Spread

PACK, OTHER_PACK = "tavern", "clinic_booking"
FRAME_S = 1 / 60
LOGIC_MS = 4.0  # of a frame: what a game does besides, so that there is something to lose
AIMS = {"median": 30, "p95": 100}  # ms


def run(bench: Bench) -> None:
    engine, messages = _engine(bench), _messages()
    _second_pack(bench, engine)
    for n in (1, 8):
        _replies(bench, engine, messages, n)
    _frames(bench, engine, messages)


def _engine(bench: Bench) -> Any:
    if bench.is_smoke:
        from constrained.testing import RandomEngine

        return RandomEngine(bench.seed)
    from constrained.engines.loading import load_engine

    return load_engine("small")


def _messages() -> Iterator[str]:
    """What the pack's golden players say, each time in other words: a message that was read before is remembered."""
    from constrained.pack_folders import find_pack
    from constrained.quality.golden import load_golden

    said = [turn.says for one in load_golden(str(find_pack(PACK).dialogues_path)).dialogues for turn in one.turns if turn.says]
    number = 0
    while True:
        for message in said:
            number += 1
            yield f"{message} {number}" if number > len(said) else message


def _npcs(engine: Any, n: int) -> list[Any]:
    from constrained import Dialogue

    return [Dialogue(PACK, engine=engine) for _ in range(n)]


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


# -- replies -----------------------------------------------------------------------------------------------------------


def _replies(bench: Bench, engine: Any, messages: Iterator[str], n: int) -> None:
    """All are asked at one moment, when all have answered again; each time is that from asking to the answer."""
    npcs, times = _npcs(engine, n), list[float]()
    for number in range(2 if bench.is_smoke else 8 + 160 // n):
        found = _asked_together(npcs, messages)
        times += found if number >= (1 if bench.is_smoke else 8) else []  # the first fit the heads of these states
    case = f"{n} speaker{'s' * (n > 1)} asked at once"
    bench.add(case, "time to the answer", Spread.of(one * 1e3 for one in times), "ms", at_most=AIMS["median"])
    bench.add(case, "time to the answer, 95th percentile", _p95(times) * 1e3, "ms", at_most=AIMS["p95"])


def _asked_together(npcs: Sequence[Any], messages: Iterator[str]) -> list[float]:
    began = time.perf_counter()
    pending, took = [npc.start_reply(next(messages)) for npc in npcs], list[float]()
    while pending:
        done = [one for one in pending if one.poll() is not None]
        took += [time.perf_counter() - began] * len(done)
        pending = [one for one in pending if one not in done]
        time.sleep(0.0005)
    return took


# -- frames ------------------------------------------------------------------------------------------------------------


def _frames(bench: Bench, engine: Any, messages: Iterator[str]) -> None:
    """The same frames with nobody talking, and with one and three who talk without a pause."""
    tick = _clock()
    n_frames = 20 if bench.is_smoke else 600
    quiet_ms = [one for one, _ in _played([], messages, n_frames, tick)]
    usual_ms = statistics.median(quiet_ms)
    for n, is_frozen in ((0, False), (1, False), (3, False), (1, True), (3, True)):
        npcs = _npcs(engine, n)
        for npc in npcs:
            npc.reply(next(messages))
        with _frozen() if is_frozen else nullcontext():
            frames = _played(npcs, messages, n_frames, tick)
        case = f"60 frames a second, {n or 'nobody'} talking{', what is loaded frozen' if is_frozen else ''}"
        taken = [max(0.0, one - usual_ms) for one, _ in frames]
        bench.add(case, "taken from a frame", Spread.of(taken), "ms")
        bench.add(case, "taken from a frame, 99th percentile", sorted(taken)[int(0.99 * (len(taken) - 1))], "ms")
        bench.add(case, "taken from a frame, the worst", max(taken), "ms", at_most=4)
        bench.add(case, "a frame begins late by, 99th percentile", sorted(late for _, late in frames)[int(0.99 * (len(frames) - 1))], "ms")


@contextmanager
def _frozen() -> Iterator[None]:
    """As docs/games.md advises: what is loaded is not looked through for garbage."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _played(npcs: Sequence[Any], messages: Iterator[str], n_frames: int, tick: Callable[[], object]) -> list[tuple[float, float]]:
    """For each frame how long its work took, and how much later than due it began, in ms."""
    pending: list[Any] = [None] * len(npcs)
    found, before = [], time.perf_counter()
    for _ in range(n_frames):
        began = time.perf_counter()
        for place, npc in enumerate(npcs):
            if pending[place] is None or pending[place].poll() is not None:
                pending[place] = npc.start_reply(next(messages))
        _compute()
        ended = time.perf_counter()
        found.append(((ended - began) * 1e3, max(0.0, began - before - FRAME_S) * 1e3))
        before = began
        tick()
    for one in pending:
        one.result()
    return found[1:]


def _compute() -> int:
    """Game logic: about LOGIC_MS of Python."""
    return sum(range(int(LOGIC_MS * 100_000)))


def _clock() -> Callable[[], object]:
    """Waits for the next frame: pygame's clock where it is installed."""
    if importlib.util.find_spec("pygame") is None:
        return lambda: time.sleep(max(0.0, FRAME_S - LOGIC_MS / 1e3))
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    clock = pygame.time.Clock()
    return lambda: clock.tick(60)


# -- a second pack -----------------------------------------------------------------------------------------------------


def _second_pack(bench: Bench, engine: Any) -> None:
    from constrained import Dialogue

    for name in (PACK, OTHER_PACK):
        case = f"{'first' if name == PACK else 'second'} pack on one engine"
        began = time.perf_counter()
        dialogue = Dialogue(name, engine=engine)
        made = time.perf_counter()
        dialogue.reply("good evening")
        answered = time.perf_counter()
        Dialogue(name, engine=engine).reply("good evening to you")
        bench.add(case, "pack and dialogue made", made - began, "s")
        bench.add(case, "first reply", answered - made, "s")
        bench.add(case, "a second dialogue of it, and its first reply", time.perf_counter() - answered, "s")
