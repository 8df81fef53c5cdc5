"""What may not be logged is found however it is written, and lies in no record; what was masked cannot be decided anew, and says so."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sets.private_numbers import APART, WAYS, harmless_texts, kinds, make_number
from constrained import Dialogue, State, Understanding, policy, say
from constrained.catalog.load import catalog_from
from constrained.errors import ReplayError
from constrained.hear import pattern
from constrained.logic.effects import effect
from constrained.records.log import MemoryLog, open_log, read_entries, read_log
from constrained.records.masking import find_numbers, is_card, mask, masked_entry
from constrained.records.record import MASKED_FORMAT
from constrained.records.replay import memory_of, replay
from constrained.records.sealing import SealedLog, SubjectKeys, unsealed
from constrained.serve.journal import find_effects
from constrained.testing import ScriptedEngine
from tests.strategies import record

CARD, IBAN = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"my card is {CARD}, until 12/27", "my card is [card ••1111], until 12/27"),
        ("4111-1111-1111-1111 cvv 123", "[card ••1111] cvv [card code]"),
        (f"to {IBAN.lower()} please", "to [iban ••3000] please"),
        (
            f"it is {CARD} and IBAN {IBAN}, 12345678Z",
            "it is [card ••1111] and IBAN [iban ••3000], [es.dni]",
        ),  # "is 4111" begins as an IBAN does
        ("dni 12.345.678-Z", "dni [es.dni]"),
        ("my SSN: 536 90 4399; or 536-90-4399", "my SSN: [us.ssn]; or [us.ssn]"),
        ("room 4 4111 1111 1111 1111", "room 4 [card ••1111]"),
        ("on 2026-03-02 at 12:30:15 I paid 1,250.50 in room 1234567", None),
        ("call me on +44 7700 900123", None),
        ("order 4111111111111112, or 41111111111111110", None),
    ],
)
def test_what_is_masked(text, masked):
    assert mask(text) == (text if masked is None else masked)


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.sampled_from(kinds()),
    st.sampled_from(sorted(set(WAYS) - set(APART))),
)
def test_every_kind_is_found_in_every_way_of_writing(seed, kind, way):
    number = WAYS[way](make_number(kind, random.Random(seed)), "en")
    name = {"us.ssn": "SSN", "gb.nhs": "NHS", "nl.bsn": "BSN", "pt.nif": "NIF"}.get(kind, "number")
    found = find_numbers(f"my {name} is {number} ok")
    left = mask(f"my {name} is {number} ok").removeprefix(f"my {name} is ").removesuffix(" ok")
    assert found, "nothing was found"
    assert sum(char.isdigit() for char in left) <= 4 + 4 * way.startswith("an expiry"), left


@settings(max_examples=100)
@given(st.text(max_size=80) | st.from_regex(r"[0-9 \-A-Z./]{0,60}", fullmatch=True))
def test_masking_twice_is_masking_once_and_spans_do_not_overlap(text):
    found = find_numbers(text)
    assert all(before.end <= after.start for before, after in itertools.pairwise(found))
    assert mask(mask(text)) == mask(text)


def test_little_else_is_masked():
    texts = list(harmless_texts(7, 200))
    for group in ("order numbers", "amounts", "dates and times"):
        assert not [text for name, text in texts if name == group and find_numbers(text)]
    assert sum(bool(find_numbers(text)) for _, text in texts) < len(texts) / 50


def test_an_entry_without_numbers_is_the_same_entry():
    one = record(state={"seats": 12, "since": "2026-03-02", "open": True, "rate": 0.25})
    assert masked_entry(one) is one


def test_numbers_in_names_numbers_and_json_within_a_text_are_masked():
    number = int(CARD.replace(" ", ""))
    one = masked_entry(record(state={CARD: 1, "pan": number, "as_float": float(number)}, memory={"heard": json.dumps({"pan": number})}))
    assert one.state == {"[card ••1111]": 1, "pan": "[card ••1111]", "as_float": "[card ••1111]"}
    assert json.loads(one.memory["heard"]) == {"pan": "[card ••1111]"}
    assert (one.format, one.masked) == (MASKED_FORMAT, {"state": ("card",), "memory": ("card",)})


# -- a dialogue ---------------------------------------------------------------------------------------------------


@effect
def send(state, account):
    """Sends money."""
    return state


class Desk(State):
    """Nothing."""

    is_open: bool = True


class Heard(Understanding):
    """An account."""

    account: str | None = pattern(r"[A-Z]{2}\d{2}( ?\d{4}){4} ?\d{2}", "Which account?")


def answering(state: Desk, heard: Heard):
    """Reads the account back, and sends."""
    yield say("hello")
    if heard.account:
        yield say("sent", account=heard.account).then(send, heard.account)


def desk_of(**head):
    responses = {
        "pardon": {"text": "Pardon?", "when": "nothing else fits"},
        "hello": {"text": "Hello.", "when": "the user greets"},
        "sent": {"text": "Sent to {account}.", "slots": {"account": {"type": "text", "max_length": 40}}, "when": "to send money"},
    }
    content = {"catalog": "payments", "version": 1, "locale": "en", "fallback": "pardon", "responses": responses, **head}
    return policy(catalog_from(content))(answering)


def engine():
    return ScriptedEngine(lambda message: {"account": IBAN, "reply": "sent"} if "send" in message else {"reply": "hello"})


def test_nothing_of_a_number_is_in_the_log_and_the_decision_saw_it_whole(tmp_path):
    desk, path = desk_of(), tmp_path / "log.jsonl"
    dialogue = Dialogue(desk, engine=engine(), log=path, mask=True)
    turn = dialogue.reply(f"send 5 to {IBAN} from card {CARD} please")
    assert IBAN in turn.text
    assert str(turn.effects[0]).endswith(f"('{IBAN}')")
    turn.apply(Desk())
    content = path.read_text(encoding="utf-8")
    assert not [part for part in (IBAN, IBAN.replace(" ", ""), CARD, CARD.replace(" ", "")) if part in content]
    (kept, told) = read_entries(path)
    assert kept == turn.record
    assert kept.masked.keys() >= {"message", "heard", "options", "text", "effects"}
    assert kept.prompt == ""
    assert "[iban ••3000]" in told.outcomes[0].effect
    assert all(IBAN not in line for _, line in dialogue.memory().history)


def test_what_was_masked_is_told_by_the_replay_and_rested_on_by_nothing(tmp_path):
    desk, path = desk_of(), tmp_path / "log.jsonl"
    dialogue = Dialogue(desk, engine=engine(), log=path, mask=True)
    dialogue.reply(f"my card is {CARD}")
    dialogue.reply(f"send 5 to {IBAN}")
    first, second = replay(desk, read_log(path))
    assert first.is_same, "what was decided did not rest on the number"
    assert (second.is_undecidable, second.error) == (True, None) or second.is_same
    with pytest.raises(ReplayError, match="may not be logged"):
        find_effects(desk, second.record)
    with pytest.raises(ReplayError, match="not known"):
        memory_of(desk, read_entries(path))


def test_another_catalog_is_told_of_masked_records_too(tmp_path):
    dialogue = Dialogue(desk_of(), engine=engine(), log=tmp_path / "log.jsonl", mask=True)
    dialogue.reply(f"send 5 to {IBAN}")
    with pytest.raises(ReplayError, match="another catalog"):
        list(replay(desk_of(version=2), read_log(tmp_path / "log.jsonl")))


@pytest.mark.parametrize(("head", "mask", "is_masking"), [({}, None, False), ({}, True, True)])
def test_who_masks(head, mask, is_masking):
    assert Dialogue(desk_of(**head), mask=mask).is_masking is is_masking


def test_packs_that_require_approvals_mask_and_games_do_not():
    found = {name: Dialogue(name).is_masking for name in ("bank_disputes", "clinic_booking", "tavern")}
    assert found == {"bank_disputes": True, "clinic_booking": True, "tavern": False}
    assert not Dialogue("bank_disputes", mask=False).is_masking


def test_what_is_masked_is_sealed_masked(tmp_path):
    keys = SubjectKeys(tmp_path / "keys")
    dialogue = Dialogue(desk_of(), engine=engine(), log=SealedLog(MemoryLog(), keys), mask=True)
    dialogue.reply(f"my card is {CARD}")
    (kept,) = dialogue.log.log.records
    assert unsealed(kept, keys).message == "my card is [card ••1111]"
    assert kept.masked == {"message": ("card",)}


def test_a_masked_log_verifies_in_every_store(place):
    log = open_log(place)
    for _ in range(2):
        log.append(masked_entry(record(message=f"my card is {CARD}")))
    assert [one.message for one in read_log(place)] == ["my card is [card ••1111]"] * 2


def test_the_table_of_networks_is_of_cards():
    assert is_card("4111111111111111")
    assert not is_card("4111111111111112")
    assert not is_card("1111111111111117")
    assert not is_card("0000000000000000")
