"""Checks that run the policy: purity, determinism here and in another process, rendering, reach."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from constrained import Policy, State
from constrained.analysis import check as module
from constrained.analysis.check import check_policy, examine
from constrained.analysis.explore import explore
from constrained.analysis.samples import Pool, distinct, pool_of, try_build
from constrained.errors import Problem
from constrained.logic.purity import impurities
from constrained.logic.script import Script
from tests.logic.packs import make, marked_lines, module_of

TODAY = dt.date(2026, 3, 2)
N_RUNS = 200


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the second process out, where a test is about the first."""
    monkeypatch.setattr(module, "_digests_elsewhere", lambda policy, n_runs: (None, "left out"))


def desk(folder: Path, body: str, **responses: Any) -> Policy:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return make(folder, f"\nCOUNT = [0]\n\n\n@policy('shop')\ndef desk(state: Shop, heard: Heard):\n{lines}", **responses)


def found(policy: Policy) -> list[Problem]:
    return check_policy(policy, n_runs=N_RUNS, today=TODAY)


def test_a_good_policy_has_no_problem_in_either_process(tmp_path: Path) -> None:
    body = (
        "yield say('hello')\nif heard.angry and state.gold > 3:\n    yield only('bye').then(pay, 1)\n"
        "for item in sorted(state.belt, key=str):\n    yield say('price', price=state.gold)"
    )
    price = {"text": "{price}!", "slots": {"price": "integer"}}
    examination = examine(desk(tmp_path, body, hello="Hello.", bye="Bye.", price=price), n_runs=N_RUNS, today=TODAY)
    assert examination.problems == []
    assert examination.remarks == []
    assert examination.n_runs == N_RUNS
    assert examination.offered == {"hello", "bye", "price"}


BUYING = """
from constrained.steps import confirm, start, tell


@policy('shop')
def desk(state: Shop, heard: Heard):
    yield must('sign')
    if heard.angry:
        yield say('hello')
    else:
        yield say('bye')
        yield start(buying)


async def buying(state: Shop, heard: Heard):
    if await confirm('sure'):
        await tell('bought').then(pay, 0)
    await tell('done')
"""


def test_what_is_told_whatever_was_said_is_not_picked_and_alternatives_are_not_together(tmp_path: Path, alone: None) -> None:
    texts = {name: f"{name.title()}." for name in ("sign", "hello", "bye", "sure", "bought", "done")}
    examination = examine(make(tmp_path, BUYING, **texts), n_runs=N_RUNS, today=TODAY)
    assert examination.problems == []
    assert examination.picked >= {"hello", "bye", "sure", "bought"}
    assert not examination.picked & {"sign", "pardon"}
    assert examination.are_together("bye", "sure")
    assert not examination.are_together("hello", "bye")


def test_a_policy_that_counts_is_caught_by_its_second_run(tmp_path: Path, alone: None) -> None:
    policy = desk(tmp_path, "yield say('hello')\nif counter.odd():\n    yield say('bye')  # <-", hello="Hello.", bye="Bye.")
    counts = iter(range(10**6))
    module_of(policy)["counter"] = type("Counter", (), {"odd": staticmethod(lambda: next(counts) % 2)})
    (problem,) = found(policy)
    assert problem.message.startswith("two runs with equal arguments differ (state {")
    assert [problem.line] == marked_lines(Path(policy.file))


def test_an_order_that_depends_on_the_hash_seed_is_caught_by_the_second_process(tmp_path: Path) -> None:
    body = "yield say('hello')\nfor name in state.names:\n    yield say('word', word=name)  # <-"
    header_fields = "\nclass Named(Shop):\n    names: frozenset[Literal['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']] = frozenset()\n\n\n"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    text = f"{header_fields}@policy('shop')\ndef desk(state: Named, heard: Heard):\n{lines}"
    policy = make(tmp_path, text, hello="Hello.", word={"text": "{word}!", "slots": {"word": "text"}})
    problems = found(policy)
    assert [problem.message.partition(" (")[0] for problem in problems] == ["the offers differ in a process with another hash seed"]
    assert "sorted(...)" in problems[0].hint


def test_a_crash_is_told_with_its_line_and_state(tmp_path: Path, alone: None) -> None:
    policy = desk(
        tmp_path,
        "yield say('hello')\nx = 1 // (state.gold - 51)  # <-\nif state.gold == PRICE:\n    yield say('bye')",
        hello="Hello.",
        bye="Bye.",
    )
    (problem,) = found(policy)
    assert "ZeroDivisionError" in problem.message
    assert '"gold":51' in problem.message
    assert [problem.line] == marked_lines(Path(policy.file))


def test_a_value_that_cannot_be_said_is_told_once(tmp_path: Path, alone: None) -> None:
    body = "yield say('hello')\nyield say('price', price=state.gold // 3)  # <-"
    responses = {"price": {"text": "{price}!", "slots": {"price": "text"}}}
    policy = desk(tmp_path, body, hello="Hello.", **responses)
    (problem,) = found(policy)
    assert "the slot 'price' of 'price' takes text (str)" in problem.message
    assert [problem.line] == marked_lines(Path(policy.file))


def test_an_obligation_that_may_not_be_said_today_is_told(tmp_path: Path, alone: None) -> None:
    approved = {"text": "Approved.", "approval": {"by": "Legal", "on": "2001-01-01", "until": "2999-06-30"}}
    policy = desk(tmp_path, "yield say('hello')\nif heard.angry:\n    yield must('notice')  # <-", hello="Hello.", notice=approved)
    assert found(policy) == []
    (problem,) = check_policy(policy, n_runs=N_RUNS, today=dt.date(3000, 1, 1))
    assert "was approved until 2999-06-30" in problem.message
    assert [problem.line] == marked_lines(Path(policy.file))


def test_a_policy_that_never_allows_anything_is_told(tmp_path: Path, alone: None) -> None:
    policy = desk(tmp_path, "if state.gold < 0 and state.gold > 0:\n    yield say('hello')", hello="Hello.")
    examination = examine(policy, n_runs=N_RUNS, today=TODAY)
    assert [problem.message for problem in examination.problems] == [f"nothing but the fallback is ever allowed, in {N_RUNS} runs"]
    assert [remark.message for remark in examination.remarks][:1] == [f"the response 'hello' was offered in none of {N_RUNS} runs"]


def test_an_effect_is_never_run(tmp_path: Path, alone: None) -> None:
    body = (
        "\n@effect\ndef ring(state):\n    raise RuntimeError('the bell rang')\n\n\n"
        "@policy('shop')\ndef desk(state: Shop, heard: Heard):\n    yield say('hello').then(ring)\n"
    )
    assert found(make(tmp_path, body, hello="Hello.")) == []


def test_a_policy_that_cannot_be_imported_again_is_a_remark(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield say('hello')", hello="Hello.")
    Path(policy.file).write_text("raise ValueError('gone')\n")
    examination = examine(policy, n_runs=20, today=TODAY)
    assert examination.problems == []
    (remark,) = examination.remarks
    assert remark.message.startswith("the policy could not be run in a second process: PolicyError: ")
    assert remark.message.endswith(".py, or what belongs to it, has changed meanwhile"), "other files are not run at all"


def test_impurity_that_appears_later_is_told(tmp_path: Path, alone: None) -> None:
    policy = desk(tmp_path, "yield say('hello')", hello="Hello.")
    assert list(impurities(policy.script, policy.functions)) == []
    module_of(policy)["say"] = __import__("random").choice
    assert [problem.line for problem in list(impurities(policy.script, policy.functions))] == [policy.line + 2]


def test_a_problem_in_a_made_up_state_is_a_remark(tmp_path: Path, alone: None) -> None:
    body = """
    class Order(State):
        id: str
        shop: str


    class Shops(State):
        picked: str | None = None
        orders: tuple[Order, ...] = ()


    @policy("shop")
    def desk(state: Shops):
        yield say("hello")
        for order in state.orders:
            yield say("price", price={"a": 1}[order.shop])  # <-
    """
    policy = make(tmp_path, body, hello="Hello.", price={"text": "{price}!", "slots": {"price": "integer"}})
    examination = examine(policy, n_runs=N_RUNS, today=TODAY)
    assert examination.problems == []
    assert [remark.line for remark in examination.remarks if "KeyError" in remark.message] == marked_lines(Path(policy.file))


# -- the states that are tried -----------------------------------------------------------------------


def test_runs_are_the_same_every_time_and_bounded(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield say('hello')\nif heard.angry:\n    yield say('bye')", hello="Hello.", bye="Bye.")
    runs = [(run.state, run.heard, run.digest) for run in explore(policy, 100)]
    assert runs == [(run.state, run.heard, run.digest) for run in explore(policy, 100)]
    assert len(runs) == 100


def test_deep_conditions_are_reached(tmp_path: Path) -> None:
    body = (
        "yield say('hello')\nif not state.opened:\n    yield say('one')\n    if Item.KEY in state.belt:\n        yield say('two')\n"
        "        if state.gold >= 1234:\n            yield say('three')\n            if state.day < dt.date(2026, 3, 2):\n"
        "                yield say('four')\n                if heard.offer == 77:\n                    yield say('five')"
    )
    numbers = {name: f"Number {name}." for name in ("one", "two", "three", "four", "five")}
    policy = desk(tmp_path, body, hello="Hello.", **numbers)
    assert {offer.response_id for run in explore(policy, 2_000) for offer in run.offers} == {"hello", *numbers}


class Colour(Enum):
    RED = 1
    BLUE = 2


class Nested(BaseModel):
    model_config = ConfigDict(frozen=True)
    size: Annotated[int, Field(ge=1, le=3)]
    colour: Colour = Colour.RED


def pool(text: str = "LIMIT = 40\n") -> Pool:
    return pool_of(Script("x.py", text, {"LIMIT": 40}), None)


@pytest.mark.parametrize(
    ("annotation", "some"),
    [
        (bool, [False, True]),
        (bool | None, [False, None, True]),
        (Colour, [Colour.RED, Colour.BLUE]),
        (Literal["a", 3], ["a", 3]),
        (int, [0, 1, 39, 40, 41]),
        (Annotated[int, Field(ge=0)], [0, 40]),
        (Decimal, [Decimal(39), Decimal(41)]),
        (str, ["a", "b"]),
        (frozenset[Colour], [frozenset(), frozenset({Colour.RED}), frozenset(Colour)]),
        (tuple[Colour, ...], [(), (Colour.RED,)]),
        (dt.date, [dt.date(2026, 3, 16), dt.date(2026, 3, 16) + dt.timedelta(days=40)]),
    ],
)
def test_values_hold_the_edges_of_their_type(annotation: Any, some: list[Any]) -> None:
    values = pool().values(annotation)
    assert all(value in values for value in some)
    assert len(distinct(values)) == len(values) <= 40


def test_values_of_models_and_fixed_tuples_are_built() -> None:
    values = pool().values(tuple[Nested, bool])
    assert values
    assert all(isinstance(one, Nested) and 1 <= one.size <= 3 and isinstance(flag, bool) for one, flag in values)
    assert pool().values(object) == []


def test_a_state_without_a_default_is_made_up_or_told(tmp_path: Path, alone: None) -> None:
    body = """
    class Need(State):
        gold: int
        nothing: {kind}


    @policy("shop")
    def desk(state: Need):
        yield say("hello")
    """
    policy = make(tmp_path, body.format(kind="bool"), hello="Hello.")
    assert all(run.is_made_up for run in explore(policy, 20))
    other = make(tmp_path, body.format(kind="complex"), hello="Hello.")
    assert list(explore(other, 20)) == []
    assert [remark.message for remark in examine(other, n_runs=20).remarks] == ["no Need could be made up to try the policy on"]
    assert try_build(State) == State()
