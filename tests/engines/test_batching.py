"""Many threads over one engine: everybody gets their own answer, in time or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from constrained.engines.batching import BatchingEngine
from constrained.engines.protocol import Candidate, Choice, Deadline, Distribution, ExtractionField, PromptContext
from constrained.errors import BusyError, DeadlineError, EngineError


def scene(message):
    return PromptContext("one", "Brom", "", "", (), (), "", (), message, "en")


def choice(n):
    return Choice("reply", "option", tuple(Candidate(str(index), f"text {index}") for index in range(n)))


class Counting:
    """Picks the candidate whose number is the message; ``gate`` holds it back, ``sizes`` are those of its batches."""

    def __init__(self):
        self.identity = {"engine": "counting"}
        self.gate, self.entered, self.sizes = threading.Event(), threading.Event(), []

    def decide_many(self, asks, deadline=None):
        self.entered.set()
        assert self.gate.wait(30)
        self.sizes.append(len(asks))
        if any(ask.scene.message == "bad" for ask in asks):
            raise EngineError("it cannot read this")
        return [[self._picked(one, ask.scene) for one in ask.choices] for ask in asks]

    def choose(self, choices, scene, deadline=None):
        raise AssertionError("asked one by one")

    @staticmethod
    def _picked(one, scene):
        return Distribution(tuple(float(candidate.key == scene.message) for candidate in one.candidates), "exact")


@pytest.fixture
def counting():
    engine = Counting()
    yield engine
    engine.gate.set()


def test_who_comes_while_a_batch_runs_goes_into_the_next_one(counting):
    with ThreadPoolExecutor(9) as pool, BatchingEngine(counting, max_batch=4) as engine:
        first = pool.submit(engine.choose, [choice(9)], scene("0"))
        assert counting.entered.wait(30)
        others = [pool.submit(engine.choose, [choice(9), choice(9)], scene(str(n))) for n in range(1, 9)]
        while engine._queue.qsize() < 8:
            pass
        counting.gate.set()
        assert first.result(30)[0].best == 0
        assert [[one.best for one in other.result(30)] for other in others] == [[n, n] for n in range(1, 9)]
    assert counting.sizes == [1, 4, 4]


def test_a_full_queue_refuses(counting):
    with ThreadPoolExecutor(3) as pool, BatchingEngine(counting, max_waiting=1) as engine:
        running = pool.submit(engine.choose, [choice(2)], scene("1"))
        assert counting.entered.wait(30)
        waiting = pool.submit(engine.choose, [choice(2)], scene("0"))
        while engine._queue.qsize() < 1:
            pass
        with pytest.raises(BusyError, match="1 decisions are waiting"):
            engine.choose([choice(2)], scene("1"))
        counting.gate.set()
        assert (running.result(30)[0].best, waiting.result(30)[0].best) == (1, 0)


def test_who_cannot_wait_is_told_so(counting):
    with ThreadPoolExecutor(1) as pool, BatchingEngine(counting) as engine:
        pool.submit(engine.choose, [choice(2)], scene("1"))
        assert counting.entered.wait(30)
        with pytest.raises(DeadlineError):
            engine.choose([choice(2)], scene("1"), Deadline.after(0.01))
        counting.gate.set()
    assert counting.sizes == [1]  # the late one never reached the model


def test_an_error_is_that_conversation_s_own(counting):
    with ThreadPoolExecutor(4) as pool, BatchingEngine(counting) as engine:
        first = pool.submit(engine.choose, [choice(2)], scene("0"))
        assert counting.entered.wait(30)
        good, bad = (pool.submit(engine.choose, [choice(2)], scene(message)) for message in ("1", "bad"))
        while engine._queue.qsize() < 2:
            pass
        counting.gate.set()
        assert first.result(30)[0].best == 0
        assert good.result(30)[0].best == 1
        with pytest.raises(EngineError, match="cannot read"):
            bad.result(30)


def test_closing_answers_what_waits_and_refuses_what_comes_later(counting):
    engine = BatchingEngine(counting)
    counting.gate.set()
    assert engine.choose([choice(3)], scene("2"))[0].best == 2
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.choose([choice(3)], scene("2"))


def test_its_name_is_the_engine_s(counting):
    with BatchingEngine(counting) as engine:
        counting.gate.set()
        assert engine.identity == {"engine": "counting"}


def test_what_the_engine_reads_of_a_message_passes_through(counting):
    blanks = [ExtractionField("order", "Which order?", pattern="[A-Z]+")]
    with BatchingEngine(counting) as engine:
        assert engine.read(blanks, scene("AB")) == [None]
    counting.read = lambda blanks, scene, deadline=None: [scene.message for _ in blanks]
    with BatchingEngine(counting) as engine:
        assert engine.read(blanks, scene("AB")) == ["AB"]


def test_what_is_computed_one_by_one_is_answered_one_by_one(counting):
    counting.is_shared = False
    counting.gate.set()
    with ThreadPoolExecutor(8) as pool, BatchingEngine(counting, max_batch=4) as engine:
        found = list(pool.map(lambda n: engine.choose([choice(9)], scene(str(n)))[0].best, range(8)))
    assert found == list(range(8))
    assert set(counting.sizes) == {1}
