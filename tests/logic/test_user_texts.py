"""Free text of the message comes into no reply: the check finds its way there, and loading refuses it where approvals are required."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from constrained import Dialogue
from constrained.analysis import check as module
from constrained.analysis.check import examine, load_anew
from constrained.errors import PolicyError
from constrained.testing import ScriptedEngine
from tests.logic.packs import make, write

TODAY = dt.date(2026, 3, 2)
FREE = r"[A-Za-z0-9:/. -]{1,80}"
pytestmark = pytest.mark.usefixtures("alone")
INJECTED = "you are owed 5000. call 0800 666"

HEADER = '''"""A desk of the tests."""
from constrained import State, Understanding, policy, say
from constrained.hear import grammar, pattern


class Shop(State):
    orders: tuple[str, ...] = ()


class Heard(Understanding):
    order: str | None = {question}


'''
FUNCTION = """@policy("shop")
def desk(state: Shop, heard: Heard):
    if heard.order:
"""
PATTERN = "pattern(r'{}', 'Which order?', examples=['AB-123456'])"
DIRECT = '        yield say("way", order=heard.order)  # <-\n'


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the second process out: it says nothing about texts."""
    monkeypatch.setattr(module, "_digests_elsewhere", lambda policy, n_runs: (None, "left out"))


def header(question: str = PATTERN.format(FREE)) -> str:
    return HEADER.replace("{question}", question)


def way(slot: Any = "text", **more: Any) -> dict[str, Any]:
    return {"text": "Your order {order} is on its way.", "slots": {"order": slot}, **more}


def problems(folder: Path, body: str, question: str = PATTERN.format(FREE), **response: Any) -> list[tuple[int, str]]:
    policy = make(folder, FUNCTION + body, header=header(question), way=way(**response))
    return [(one.line, one.message) for one in examine(policy, n_runs=40, today=TODAY).problems]


@pytest.mark.parametrize(
    "body",
    [
        DIRECT,
        '        order = heard.order\n        yield say("way", order=order)\n',
        '        yield say("way", order=f"number {heard.order}")\n',
        '        yield say("way", order=shown(heard.order))\n\n\ndef shown(order):\n    return order.upper().lower()\n',
        '        yield from told(heard)\n\n\ndef told(what: Heard):\n    yield say("way", order=what.order)\n',
        '        yield from told(heard.order)\n\n\ndef told(order):\n    yield say("way", order=order)\n',
    ],
)
def test_the_way_of_free_text_into_a_text_slot_is_found(tmp_path: Path, body: str) -> None:
    ((line, message),) = problems(tmp_path, body)
    assert line == next(number for number, one in enumerate((header() + FUNCTION + body).splitlines(), 1) if 'say("way"' in one)
    assert message.startswith("the slot 'order' of 'way' (declared in ")
    assert "says what the user wrote: heard.order may hold" in message


@pytest.mark.parametrize(
    ("question", "response"),
    [
        (PATTERN.format("[A-Z]{2}-[0-9]{6}"), {}),
        (PATTERN.format(FREE), {"slot": {"type": "user_text", "form": "reference"}}),
        (PATTERN.format(FREE), {"free_text": "the customer dictates the greeting that is printed"}),
    ],
)
def test_a_narrow_pattern_a_form_and_an_approved_reason_are_fine(tmp_path: Path, question: str, response: dict[str, Any]) -> None:
    assert problems(tmp_path, DIRECT, question, **response) == []


def test_a_grammar_is_not_looked_into_and_so_needs_a_form(tmp_path: Path) -> None:
    question = "grammar('start: /[A-Z]/ /[0-9]/', 'Which order?', examples=['A1'])"
    assert [message.partition(" may hold ")[2] for _, message in problems(tmp_path, DIRECT, question)] == ["'any text of its grammar'"]
    assert problems(tmp_path, DIRECT, question, slot={"type": "user_text", "form": "reference"}) == []


def test_loading_refuses_it_where_approvals_are_required(tmp_path: Path) -> None:
    path = write(tmp_path, FUNCTION + DIRECT, header=header(), way=way())
    load_anew(str(path), "desk")
    catalog = tmp_path / "catalogs" / "shop.yaml"
    catalog.write_text(json.dumps(json.loads(catalog.read_text()) | {"approvals": "required"}), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_anew(str(path), "desk")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), (header() + FUNCTION).count("\n") + 1)
    assert "says what the user wrote" in problem.message
    assert "user_text" in problem.hint


@pytest.mark.parametrize(("heard", "text"), [(INJECTED, "Pardon?"), ("AB-123", "Your order AB-123 is on its way.")])
def test_a_desk_with_a_form_says_references_and_nothing_else_that_a_user_wrote(tmp_path: Path, heard: str, text: str) -> None:
    policy = make(tmp_path, FUNCTION + DIRECT, header=header(), way=way({"type": "user_text", "form": "reference"}))
    engine = ScriptedEngine({heard: {"order": heard, "reply": "way"}})
    turn = Dialogue(policy, engine=engine).reply(heard)
    assert turn.text == text
    if text == "Pardon?":
        assert "takes a reference" in turn.trace.allowed.blocked[0].reason
