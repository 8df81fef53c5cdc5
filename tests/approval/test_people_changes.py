"""Whoever may sign is changed by those who could sign before: an edit of people.toml alone changes nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from constrained import Dialogue
from constrained.approval.in_force import Approvals
from constrained.approval.keys import to_text
from constrained.approval.ledger import ANY, PEOPLE, DraftEntry, append
from constrained.approval.people import people_path
from constrained.approval.people_changes import accepted_people, to_approve_people, why_people_unsigned
from constrained.errors import ApprovalError
from tests.approval.office import KEYS, ROLES, Office
from tests.approval.test_signed_logic import REQUIRED, desk, load, new_process, strict_desk

__all__ = ["desk"]  # a fixture
FEW = {"Dana": ROLES["Dana"], "Tom": ROLES["Tom"]}


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A desk that must sign, whose file knows Dana and Tom only."""
    monkeypatch.syspath_prepend(str(tmp_path / "logic"))
    office = Office(tmp_path, head=dict(REQUIRED))
    office.write_people(**FEW)
    office.sign_people()
    office.approve()
    office.approve_logic()
    return office


def signs(office: Office, by: str) -> None:
    draft = to_approve_people(office.ledger, office.people, "desk", by, to_text(KEYS[by].public_key()))
    assert draft is not None
    office.sign(by, draft)


def waits(office: Office) -> str:
    return why_people_unsigned(office.ledger, office.people, "desk")


def test_an_edit_counts_for_nothing_until_somebody_of_before_has_signed(few: Office) -> None:
    few.write_people(**FEW, Lena=ROLES["Lena"])
    new_process()
    with pytest.raises(ApprovalError, match=r"people\.toml was changed after it was signed: it needs 1 more approver of those") as caught:
        Dialogue(few.policy)
    assert caught.value.hint == "constrained approve desk --people --as PERSON"
    with pytest.raises(ApprovalError, match="Lena could not sign before this change"):
        signs(few, "Lena")
    signs(few, "Tom")
    assert waits(few) == ""
    Dialogue(few.policy)
    few.write_people(**FEW, Lena=ROLES["Lena"], Ada=[])
    signs(few, "Lena")
    assert waits(few) == ""


def test_who_writes_into_the_ledger_past_the_command_makes_nobody_a_signer(few: Office) -> None:
    few.write_people(**FEW, Lena=ROLES["Lena"])
    content = few.people.content
    forged = DraftEntry(kind="approve", response=PEOPLE, locale=ANY, version=few.people.hash, text=content.decode())
    few.sign("Lena", forged)
    assert waits(few).startswith("was changed after it was signed")
    few.sign("Dana", forged.model_copy(update={"text": content.decode() + "\n"}))  # not the text that its hash names
    assert waits(few).startswith("was changed after it was signed")
    new_process()
    with pytest.raises(ApprovalError, match="was changed after it was signed"):
        Dialogue(few.policy)


def test_a_key_that_was_put_in_by_the_edit_does_not_sign_it(few: Office) -> None:
    text = people_path(few.path).read_text()
    mine = to_text(KEYS["Lena"].public_key())
    people_path(few.path).write_text(
        text.replace(f'"{to_text(KEYS["Dana"].public_key())}"', f'"{to_text(KEYS["Dana"].public_key())}", "{mine}"')
    )
    with pytest.raises(ApprovalError, match="Dana could not sign with this key before"):
        to_approve_people(few.ledger, few.people, "desk", "Dana", mine)


def test_nor_does_it_where_the_command_is_not_asked(few: Office) -> None:
    text, hers = people_path(few.path).read_text(), to_text(KEYS["Dana"].public_key())
    people_path(few.path).write_text(text.replace(f'"{hers}"', f'"{hers}", "{to_text(KEYS["Lena"].public_key())}"'))
    forged = DraftEntry(kind="approve", response=PEOPLE, locale=ANY, version=few.people.hash, text=few.people.content.decode())
    append(few.ledger_file, [forged], by="Dana", key=KEYS["Lena"], people=few.people, catalog="desk")
    assert waits(few).startswith("was changed after it was signed")


@pytest.fixture
def two(tmp_path: Path) -> Office:
    """Two must sign a change."""
    office = Office(tmp_path, head=dict(REQUIRED), rules="[rules.people]\napprovers = 2\n")
    signs(office, "Dana")
    signs(office, "Tom")
    return office


def test_a_signature_for_one_change_is_none_for_the_next(two: Office) -> None:
    two.rules += "# a change that one has signed\n"
    two.write_people()
    given_up = people_path(two.path).read_text()
    signs(two, "Dana")
    people_path(two.path).write_text(given_up.replace("that one has signed", "that is made in its place"))
    signs(two, "Dana")
    signs(two, "Tom")
    assert waits(two) == ""
    people_path(two.path).write_text(given_up)
    signs(two, "Tom")
    assert waits(two).startswith("was changed after it was signed: it needs 1 more approver")


def test_two_who_sign_different_texts_under_one_hash_have_signed_nothing(two: Office) -> None:
    two.rules += "# a change\n"
    two.write_people()
    signs(two, "Dana")
    version, other = two.people.hash, two.people.content.decode() + '\n[people."Mallory"]\n'
    two.sign("Tom", DraftEntry(kind="approve", response=PEOPLE, locale=ANY, version=version, text=other))
    accepted = accepted_people(two.ledger, "desk", "people.toml")
    assert accepted is not None
    assert "Mallory" not in accepted.people
    assert waits(two).startswith("was changed after it was signed: it needs 1 more approver")


def test_a_running_process_keeps_the_people_that_were_signed(few: Office, caplog: pytest.LogCaptureFixture) -> None:
    dialogue = Dialogue(load(few))
    before = dialogue.reply("hello").record.versions["people"]
    few.write_people(**FEW, Lena=ROLES["Lena"])
    with caplog.at_level(logging.WARNING, "constrained.approval"):
        assert dialogue.reply("hello").record.versions["people"] == before
    assert "its last signed version stays in force" in caplog.text
    assert Approvals(few.catalog).warning().startswith("people.toml was changed after it was signed")
    people_path(few.path).write_text("not = [toml")
    assert dialogue.reply("hello").record.versions["people"] == before
    few.write_people(**FEW)
    few.recall("hello")
    assert "hello" not in [one.id for one in dialogue.reply("hello").decision.options]
    few.write_people(**FEW, Lena=ROLES["Lena"])
    signs(few, "Tom")
    assert dialogue.reply("hello").record.versions["people"] != before
    assert Approvals(few.catalog).warning() == ""


def test_no_earlier_version_comes_back_by_itself(few: Office) -> None:
    """Whoever was taken out, or given an end, would be back."""
    few.write_people(**FEW, Lena=ROLES["Lena"])
    signs(few, "Dana")
    few.write_people(**FEW)
    assert waits(few).startswith("was changed after it was signed")
    signs(few, "Dana")
    assert waits(few) == "", "it is a change like any other"


def test_the_rule_of_before_decides_how_many_sign(tmp_path: Path) -> None:
    office = Office(tmp_path, head=dict(REQUIRED), rules="[rules.people]\napprovers = 2\n")
    signs(office, "Dana")
    assert waits(office) == "is not signed: it needs 1 more approver"
    signs(office, "Tom")
    assert waits(office) == ""
    office.rules = ""
    office.write_people()
    signs(office, "Dana")
    assert waits(office).startswith("was changed after it was signed: it needs 1 more approver"), "the laxer rule does not yet count"
    signs(office, "Lena")
    assert waits(office) == ""


def test_nobody_signs_the_same_change_twice(few: Office) -> None:
    few.write_people(**FEW, Lena=ROLES["Lena"])
    signs(few, "Dana")
    assert to_approve_people(few.ledger, few.people, "desk", "Dana", to_text(KEYS["Dana"].public_key())) is None
    accepted = accepted_people(few.ledger, "desk", "people.toml")
    assert accepted is not None
    assert set(accepted.people) == {"Dana", "Tom", "Lena"}


def test_a_game_changes_its_people_as_before(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.approve()
    dialogue = Dialogue(office.policy)
    before = dialogue.reply("hello").record.versions["people"]
    office.write_people(**FEW)
    assert dialogue.reply("hello").record.versions["people"] != before


def test_each_byte_of_the_file_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "logic"))
    office = strict_desk(tmp_path)
    content = people_path(office.path).read_bytes()
    for place in range(0, len(content), 13):
        people_path(office.path).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        new_process()
        with pytest.raises(ApprovalError):
            load(office)
