"""Variants and aliases: none repeats before all were said, wherever the conversation goes on; a renamed response keeps its past."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue, Policy
from constrained.catalog.load import catalog_from
from constrained.catalog.response import Catalog, version_hash
from constrained.cli.audit_redecide import decider
from constrained.errors import CatalogError, VerificationError
from constrained.logic.allow import run
from constrained.logic.options import Allowed
from constrained.logic.state import Memory, OpenOffer
from constrained.logic.variants import fitting, seed_of, variant_of
from constrained.records.log import MemoryLog
from constrained.records.replay import memory_of, replay
from constrained.serve.openai_api import ChatMessage
from constrained.serve.openai_api import memory_of as transcript_memory
from constrained.testing import ScriptedEngine
from constrained.verify import verify
from tests.logic.packs import catalog_data, make, problems_of

HELLO = ("Aye?", "What'll it be?", "Speak up.")
PRICE = ("That is {price} gold.", "{price} gold, and not less.")
BODY = """
@policy("shop")
def desk(state: Shop, heard: Heard):
    yield say("hello")
    yield say("bye").once()
    yield say("price", price=PRICE)
"""
RESPONSES: dict[str, Any] = {
    "hello": {"variants": list(HELLO), "voice": "ann_hello"},
    "bye": "Goodbye.",
    "price": {"text": PRICE[0], "variants": {"en": [PRICE[1]]}, "slots": {"price": "integer"}},
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return make(tmp_path_factory.mktemp("variants"), BODY, **RESPONSES)


@given(st.text(min_size=1, max_size=8), st.integers(1, 7), st.integers(1, 6))
def test_each_is_said_once_before_any_is_said_again_and_none_follows_itself(conversation: str, n_variants: int, n_rounds: int) -> None:
    seed = seed_of(conversation)
    drawn = [variant_of(seed, "hello", number, n_variants) for number in range(n_variants * n_rounds)]
    bags = [drawn[place : place + n_variants] for place in range(0, len(drawn), n_variants)]
    assert all(sorted(bag) == list(range(n_variants)) for bag in bags)
    assert n_variants == 1 or all(one != other for one, other in itertools.pairwise(drawn))


def test_conversations_and_responses_have_orders_of_their_own() -> None:
    orders = {tuple(variant_of(seed_of(f"{n}"), "hello", place, 4) for place in range(4)) for n in range(60)}
    assert len(orders) > 12  # of 24
    assert len({tuple(variant_of("seed", name, place, 4) for place in range(4)) for name in "abcdefgh"}) > 2


wishes = st.lists(st.tuples(st.sampled_from(["hello", "price"]), st.booleans()), min_size=1, max_size=14)


@given(wishes)
def test_a_conversation_goes_on_anywhere_and_its_records_replay(desk: Policy, turns: list[tuple[str, bool]]) -> None:
    """``True``: the conversation goes on in another process, from its memory as JSON, under another name."""
    whole, log = Dialogue(desk, engine=ScriptedEngine(lambda message: message), conversation="one"), MemoryLog()
    parts = Dialogue(desk, engine=ScriptedEngine(lambda message: message), conversation="one", log=log)
    said: dict[str, list[str]] = {"hello": [], "price": []}
    for wish, is_moving in turns:
        if is_moving:
            memory = Memory.model_validate_json(parts.memory().model_dump_json())
            parts = Dialogue(desk, engine=ScriptedEngine(lambda message: message), log=log, memory=memory)
        turn = parts.reply(wish)
        assert turn.text == whole.reply(wish).text
        said[wish].append(turn.text)
        place = HELLO.index(turn.text) if wish == "hello" else None
        assert turn.voices == (() if place is None else ("ann_hello" + ("", "_2", "_3")[place],))
    assert set(said["hello"][:3]) == set(HELLO) or len(said["hello"]) < 3
    assert len(set(said["price"][:2])) == len(said["price"][:2])
    assert [one.differences for one in replay(desk, log.records)] == [()] * len(turns)
    after = memory_of(desk, log.records)
    assert (after.seed, after.times) == (parts.memory().seed, parts.memory().times)


def test_an_engine_sees_one_option_a_response_whatever_the_variant(desk: Policy) -> None:
    seen: list[tuple[str, ...]] = []

    class Watching(ScriptedEngine):
        def choose(self, choices: Any, scene: Any, deadline: Any = None) -> Any:
            seen.extend(tuple(one.text for one in choice.candidates) for choice in choices if choice.kind == "option")
            return super().choose(choices, scene, deadline)

    npc = Dialogue(desk, engine=Watching(lambda message: message))
    assert len({npc.reply("hello").text for _ in range(3)}) == 3
    assert set(seen) == {("Aye?", "Goodbye.", "That is 50 gold.", "Pardon?")}
    assert len(seen) == 3


def test_without_a_conversation_the_first_is_said_and_nothing_is_counted(desk: Policy) -> None:
    """So those who look at the logic alone have one option and one memory, whatever the variants."""
    ran = run(desk, desk.state_type.default())
    assert [one.text for one in ran.allowed.options] == ["Aye?", "Goodbye.", "That is 50 gold.", "Pardon?"]
    assert ran.after(ran.allowed.options[0]).to_record() == {}


def test_records_of_a_catalog_without_variants_hold_nothing_of_them(tmp_path: Path) -> None:
    log = MemoryLog()
    Dialogue(make(tmp_path, BODY), log=log).reply("hello")
    assert log.records[0].memory == {}


def test_verification_knows_the_variant(desk: Policy) -> None:
    memory = Memory(seed=next(seed for seed in map(str, range(9)) if variant_of(seed, "hello", 0, 3) == 1))
    allowed = run(desk, desk.state_type.default(), None, memory).allowed
    option, today = allowed.options[0], date(2026, 3, 2)
    verify("What'll it be?", option, allowed, desk.catalog, today)
    for text, changed in (("Aye?", option), ("What'll it be?", replace(option, variant=2)), ("Aye?", replace(option, variant=3))):
        with pytest.raises(VerificationError):
            verify(text, changed, Allowed((changed,)), desk.catalog, today)


def test_a_value_that_one_variant_cannot_say_blocks_them_all(tmp_path: Path) -> None:
    """``<`` before the slot and ``|>`` behind it make a marker of a chat model of the value."""
    body = '@policy("shop")\ndef desk(state: Shop, heard: Heard):\n    yield say("hello", name=state.name)\n'
    desk = make(tmp_path, body, hello={"variants": ["Hi {name}.", "Hi [{name}]."], "slots": {"name": "text"}})
    ran = run(desk, desk.state_type.default().replace(name="INST"))
    assert [one.response_id for one in ran.allowed.blocked] == ["hello"]


# -- the catalog --------------------------------------------------------------------------------------------------------


def catalog_of(**responses: Any) -> Catalog:
    return catalog_from(catalog_data(**responses))


texts = st.lists(st.sampled_from(["Aye", "Well", "Hm", "Yes", "Oh", "So"]), min_size=1, max_size=6, unique=True)


@given(texts)
def test_a_text_with_variants_is_the_list_of_them_all_and_one_is_a_plain_text(found: list[str]) -> None:
    first: Mapping[str, Any] = {"text": found[0]} | ({"variants": found[1:]} if found[1:] else {})
    one, other = catalog_of(hello=first), catalog_of(hello={"variants": {"en": found}})
    assert one.hash == other.hash
    assert [text.source for text in one["hello"].texts["en"].each] == found
    if len(found) == 1:
        assert one.hash == catalog_of(hello={"text": found[0]}).hash
    else:
        assert version_hash(one["hello"], "en") != version_hash(catalog_of(hello={"variants": found[::-1]})["hello"], "en")


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"variants": []}, "'variants' of 'hello' has no texts"),
        ({}, "'text' of 'hello' is missing"),
        ({"variants": {"es": ["Hola."]}}, "has no text for the default locale 'en'"),
        ({"variants": ["Aye?", "Aye?"]}, "'variants[1]' of 'hello' says the same as another variant"),
        ({"text": "Aye?", "variants": ["Goodbye."]}, "says in 'en' the same as 'bye'"),
        ({"variants": ["{x} a", "b"], "slots": {"x": "integer"}}, "the slot 'x' of 'hello' is not used in each variant of its text for en"),
        ({"text": "a", "variants": ["{x} b"]}, "'variants[0]' of 'hello' has the slot 'x', which is not declared"),
        ({"variants": ["a |{}| b", "c"]}, "does not name a slot"),
        ({"variants": "Aye?"}, "'variants' of 'hello' must be a list of texts"),
        ({"text": "a", "aliases": ["bye"]}, "the alias 'bye' of 'hello' is the id of a response"),
        ({"text": "a", "aliases": ["x", "x"]}, "the alias 'x' stands at 'hello' already"),
        ({"text": "a", "aliases": ["X y"]}, "is not an identifier"),
    ],
)
def test_what_a_catalog_refuses_of_them(response: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        catalog_of(bye="Goodbye.", hello=response)
    assert message in "\n".join(problem.message for problem in caught.value.problems)


# -- aliases ------------------------------------------------------------------------------------------------------------


def test_the_present_id_of_an_old_one() -> None:
    catalog = catalog_of(greet={"text": "Hello.", "aliases": ["hello", "hi"], "offer": "Shall I greet you?"}, bye={"text": "Bye."})
    found = [catalog.current_id(one) for one in ("hello", "hi", "greet", "bye", "hello.offer", "bye.offer", "gone")]
    assert found == ["greet", "greet", "greet", "bye", "greet.offer", None, None]


@pytest.mark.parametrize("conversation", ["a", "b", "c", "d", "e"])
def test_what_was_said_once_is_not_said_again_under_a_new_name(tmp_path: Path, conversation: str) -> None:
    engine = ScriptedEngine(lambda message: message)
    old = Dialogue(make(tmp_path / "old", BODY, **RESPONSES), engine=engine, conversation=conversation)
    turns = [old.reply(wish).text for wish in ("bye", "hello", "hello")]
    renamed = {"greet": RESPONSES["hello"] | {"aliases": ["hello"]}, "farewell": {"text": "Goodbye.", "aliases": ["bye"]}}
    body = BODY.replace('"hello"', '"greet"').replace('"bye"', '"farewell"')
    desk = make(tmp_path / "new", body, **renamed, price=RESPONSES["price"])
    new = Dialogue(desk, engine=ScriptedEngine(lambda message: message), memory=old.memory())
    turn = new.reply("greet")
    assert "farewell" in [one.response_id for one in turn.trace.allowed.blocked]
    assert {*turns[1:], turn.text} == set(HELLO)
    assert new.memory().said.keys() == {"greet", "farewell"}


@pytest.mark.parametrize(("question", "n_open"), [("Shall I greet 3 of you?", 1), ("Shall I tell you of the weather?", 0)])
def test_a_yes_to_another_question_is_none_under_a_new_name(question: str, n_open: int) -> None:
    offer = {"text": "Hello, {n}.", "aliases": ["hello"], "offer": "Shall I greet {n} of you?", "slots": {"n": "integer"}}
    asked = OpenOffer(id="hello", slots='{"n": 3}', text=question, heard="{}")
    found = fitting(Memory(open_offers=(asked,)), catalog_of(greet=offer, bye="Bye."), "c").open_offers
    assert [one.id for one in found] == ["greet"] * n_open


def test_a_signature_is_for_the_aliases_too() -> None:
    plain, renamed = (catalog_of(hello={"text": "Hello.", "aliases": one})["hello"] for one in ([], ["hi"]))
    assert version_hash(plain, "en") != version_hash(renamed, "en")


def test_logic_that_yields_an_old_id_is_told_the_new_one(tmp_path: Path) -> None:
    body = '@policy("shop")\ndef desk(state: Shop, heard: Heard):\n    yield say("hello")\n'
    problems, _ = problems_of(tmp_path, body, greet={"text": "Hello.", "aliases": ["hello"]})
    assert "it was renamed: yield 'greet'" in [problem.hint for problem in problems]


# -- who builds a memory without the conversation -------------------------------------------------------------------------


def test_a_transcript_tells_which_variants_were_said(desk: Policy) -> None:
    """As chat completions send it: every request is a conversation of its own, with all that was said before."""
    messages: list[ChatMessage] = []
    for _ in range(4):
        npc = Dialogue(desk, engine=ScriptedEngine(lambda message: message), memory=transcript_memory(desk, messages))
        messages += [ChatMessage(role="user", content="hello"), ChatMessage(role="assistant", content=npc.reply("hello").text)]
    texts = [one.text for one in messages[1::2]]
    assert set(texts[:3]) == set(HELLO)
    assert texts[3] != texts[2]


def test_deciding_records_anew_with_a_model_says_the_same_variants(desk: Policy) -> None:
    log = MemoryLog()
    npc = Dialogue(desk, engine=ScriptedEngine(lambda message: message), log=log)
    for wish in ("hello", "price", "hello", "hello", "price"):
        npc.reply(wish)
    decide = decider(desk, ScriptedEngine(lambda message: message), None)
    assert [decide(record).text for record in log.records] == [record.text for record in log.records]
