"""What is marked sensitive, in slots, State or Heard, lies in no log in plain; an erasure takes it away for good."""

from __future__ import annotations

import json
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from constrained import Dialogue, State, Understanding, must, policy, say
from constrained.catalog.load import catalog_from
from constrained.dialogue.recording import sensitive_fields_of
from constrained.errors import AuditError
from constrained.hear import question
from constrained.logic.effects import effect
from constrained.records.log import MemoryLog, open_log, read_entries, read_log
from constrained.records.record import Outcome, Record
from constrained.records.redaction import redacted
from constrained.records.replay import replay
from constrained.records.sealing import SENSITIVE, SealedLog, SubjectKeys, readable, unsealed
from constrained.testing import RandomEngine
from tests.records.test_sealing import files_of

CARD = "Quixotic-4711"
Marked = Field(json_schema_extra={"sensitive": True})


@effect
def block(state, card):
    """Blocks a card."""
    return state


class Plain(State):
    """One field, not marked."""

    card: str = CARD


class Card(BaseModel):
    """A model within a State."""

    model_config = ConfigDict(frozen=True)
    number: Annotated[str, Marked] = CARD
    kind: str = "debit"
    spare: Card | None = None


class Holder(State):
    """One marked field of its own, and some in what it holds."""

    name: str = "Ann"
    card: Annotated[str, Marked] = CARD
    cards: tuple[Card, ...] = (Card(),)


class Heard(Understanding):
    """One marked field."""

    ill: Annotated[bool, Marked] = question("does the person say that they are ill?")


def cards(state: Plain):
    """Offers to block the card."""
    yield must("notice", card=state.card)
    yield say("blocked", card=state.card).then(block, state.card)


def holder(state: Holder):
    """Says nothing of the card."""
    yield must("notice", card=state.name)
    yield say("blocked", card=state.name)


def hearing(state: Plain, heard: Heard):
    """Says nothing of what was heard."""
    yield must("notice", card="one")
    if heard.ill:
        yield say("blocked", card="one")


def desk_of(function=cards, is_sensitive=True):
    slot = {"type": "text", "sensitive": is_sensitive}
    responses = {
        "pardon": {"text": "Pardon?", "when": "nothing else fits"},
        "blocked": {"text": "{card} is blocked.", "slots": {"card": slot}, "when": "the card is lost"},
        "notice": {"text": "This is about {card}.", "slots": {"card": slot}, "when": "always"},
    }
    return policy(catalog_from({"catalog": "cards", "version": 1, "locale": "en", "fallback": "pardon", "responses": responses}))(function)


@pytest.fixture
def keys(tmp_path):
    return SubjectKeys(tmp_path / "keys")


@pytest.mark.parametrize("sensitive", [(), ("message",), SENSITIVE])
def test_erasure_leaves_nothing_of_a_marked_slot_in_any_file(place, tmp_path, keys, sensitive):
    log = SealedLog(open_log(place), keys, sensitive=sensitive)
    desk = Dialogue(desk_of(), log=log, conversation="ann")
    for message in (f"I lost {CARD}", "please"):
        turn = desk.reply(message)
        turn.apply(desk.policy.state_type())
        assert CARD in turn.text
    records = list(read_log(place))
    assert {name for one in records for name in one.sensitive} == {"slots.blocked.card", "slots.notice.card"}
    assert [one.text.count(CARD) for one in readable(records, keys)] == [2, 2]
    assert [one.error for one in replay(desk.policy, readable(records, keys)) if one.error] == []
    assert [one.outcomes[0].effect for one in read_entries(place) if isinstance(one, Outcome)] == ["block", "block"]
    assert log.erase("ann", by="the officer")
    assert not any(CARD.encode() in content for content in files_of(place, tmp_path))
    assert [unsealed(one, keys) for one in records] == [None, None]


def test_a_lasting_log_that_does_not_seal_refuses_the_turn(place, tmp_path):
    desk = Dialogue(desk_of(), log=place)
    with pytest.raises(AuditError, match=r"holds slots\.notice\.card, which is marked sensitive|holds slots\.blocked\.card, which is"):
        desk.reply("I lost it")
    assert list(read_entries(place)) == []
    assert not any(CARD.encode() in content for content in files_of(place, tmp_path))


def test_what_is_not_marked_is_kept_as_the_host_says(place, tmp_path, keys):
    """The search above could find something."""
    Dialogue(desk_of(is_sensitive=False), log=SealedLog(open_log(place), keys, sensitive=("message",))).reply("hello")
    (record,) = read_log(place)
    assert (record.sensitive, record.sealed.fields) == ((), ("message",))
    assert any(CARD.encode() in content for content in files_of(place, tmp_path))


def test_marks_are_found_in_models_within_models():
    assert sensitive_fields_of(Holder) == ("card", "cards.number")
    assert sensitive_fields_of(Heard) == ("ill",)
    assert sensitive_fields_of(State) == ()


def test_a_marked_field_of_a_state_seals_the_turn(tmp_path, keys):
    place = str(tmp_path / "audit.jsonl")
    desk = desk_of(holder, is_sensitive=False)
    with pytest.raises(AuditError, match=r"holds state\.card"):
        Dialogue(desk, log=place).reply("hello")
    Dialogue(desk, log=SealedLog(open_log(place), keys, sensitive=())).reply("hello")
    (record,) = read_log(place)
    assert record.sensitive == ("state.card", "state.cards.number")
    assert record.sealed.fields == SENSITIVE
    assert CARD.encode() not in (tmp_path / "audit.jsonl").read_bytes()


def test_a_marked_field_of_what_was_heard_seals_the_turn(tmp_path, keys):
    log = MemoryLog()
    Dialogue(desk_of(hearing, is_sensitive=False), engine=RandomEngine(1), log=SealedLog(log, keys, sensitive=())).reply("It is Ann")
    (record,) = log.records
    assert record.sensitive == ("heard.ill",)
    assert {one.value for one in record.heard} <= {None}


def test_a_view_shows_nothing_of_a_marked_turn_even_with_the_key(keys):
    log = MemoryLog()
    Dialogue(desk_of(), log=SealedLog(log, keys)).reply(f"I lost {CARD}")
    plain = unsealed(log.records[0], keys)
    assert CARD in plain.text
    view = redacted(plain)
    assert CARD not in json.dumps(view)
    assert view["decision"]["chosen"] == "blocked"


def test_a_record_of_an_earlier_format_is_read():
    log = MemoryLog()
    log.append(Dialogue(desk_of(is_sensitive=False)).reply("hello").record)
    content = json.loads(log.records[0].model_dump_json())
    del content["sensitive"]
    assert Record.model_validate(content | {"format": 2}).sensitive == ()
