"""Tricks with the files of approvals: whatever is put in their place, nothing leaves that the right people did not sign."""

from __future__ import annotations

import base64
import os
import shutil

import pytest

from constrained import Dialogue
from constrained.approval.in_force import has_ledger
from constrained.approval.keys import _WEAK, SCHEME, from_text, to_text
from constrained.approval.people import is_same_name, people_path
from constrained.errors import ApprovalError, CatalogError, KeyFileError
from tests.approval.office import KEYS, ROLES, Office


def ids(dialogue):
    return [option.id for option in dialogue.reply("hi").decision.options]


def refused(office, **options):
    with pytest.raises(ApprovalError) as error:
        Dialogue(office.policy, **options).reply("hi")
    return error.value.message


# -- the ledger --------------------------------------------------------------------------------------------


def test_a_key_that_stands_twice_in_an_entry(office):
    office.approve()
    content = office.ledger_file.read_bytes()
    office.ledger_file.write_bytes(content.replace(b'"kind":"approve"', b'"kind":"recall","kind":"approve"', 1))
    assert "canonical form" in refused(office)


def test_another_ledger_of_the_same_size_and_time_is_seen_by_a_running_process(office):
    office.approve()
    desk = Dialogue(office.policy)
    assert "hello" in ids(desk)
    status, other = os.stat(office.ledger_file), office.ledger_file.with_suffix(".other")
    other.write_bytes(office.ledger_file.read_bytes().replace(b"Hello.", b"Hullo."))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, office.ledger_file)
    with pytest.raises(ApprovalError, match="gone or changed"):
        desk.reply("hi")


def test_a_ledger_of_before_the_recall_put_back_in_a_running_process(office):
    office.approve()
    before, desk = office.ledger_file.read_bytes(), Dialogue(office.policy)
    office.recall("hello")
    assert "hello" not in ids(desk)
    office.ledger_file.write_bytes(before)
    for running in (desk, None):
        with pytest.raises(ApprovalError, match="gone or changed"):
            (running or Dialogue(office.policy)).reply("hi")


def test_a_link_that_leads_nowhere_is_no_missing_ledger(office):
    office.approve()
    kept = office.root / "kept.jsonl"
    office.ledger_file.rename(kept)
    office.ledger_file.symlink_to(kept)
    assert "hello" in ids(Dialogue(office.policy))
    kept.rename(office.root / "elsewhere.jsonl")
    fresh = Office.__new__(Office)
    fresh.root = shutil.copytree(office.root, office.root.with_name("fresh"), symlinks=True)
    assert "cannot be read" in refused(fresh)
    assert has_ledger(fresh.catalog)


def test_a_link_is_followed_to_another_ledger_that_does_not_continue_the_first(office):
    office.approve()
    first, second = office.root / "first.jsonl", office.root / "second.jsonl"
    office.ledger_file.rename(first)
    office.ledger_file.symlink_to(first)
    desk = Dialogue(office.policy)
    assert "hello" in ids(desk)
    second.write_bytes(b"")
    office.ledger_file.unlink()
    office.ledger_file.symlink_to(second)
    with pytest.raises(ApprovalError, match="gone or changed"):
        desk.reply("hi")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_the_place_of_the_ledger(office, make):
    make(office.ledger_file)
    assert "is not a file" in refused(office)


# -- recalls of what has to be said ------------------------------------------------------------------------


@pytest.mark.parametrize("drafts", [False, True])
def test_a_recalled_obligation_stops_the_turn(office, drafts):
    office.approve()
    desk = Dialogue(office.policy, drafts=drafts)
    state = desk.policy.state_type(warn=True)
    assert "Mind the gap." in desk.reply("hi", state).text
    office.recall("warning")
    with pytest.raises(ApprovalError, match="the obligation 'warning' was recalled"):
        desk.reply("hi", state)
    assert len(desk.log.entries) == 1


@pytest.mark.parametrize("drafts", [False, True])
def test_a_recalled_fallback_is_no_option_and_the_last_one_stops_the_turn(office, drafts):
    office.approve()
    desk = Dialogue(office.policy, drafts=drafts)
    office.recall("pardon")
    assert "pardon" not in ids(desk)
    office.recall("hello")
    office.recall("price")
    n_said = len(desk.log.entries)
    with pytest.raises(ApprovalError, match="the fallback 'pardon' was recalled"):
        desk.reply("hi")
    assert len(desk.log.entries) == n_said


@pytest.mark.parametrize("place", [{"channels": ("SMS",)}, {"jurisdictions": (" eu",)}])
def test_a_recall_reaches_a_place_however_it_is_written(office, place):
    office.approve()
    desk = Dialogue(office.policy, channel="sms", jurisdiction="EU")
    assert "hello" in ids(desk)
    office.recall("hello", **place)
    assert "hello" not in ids(desk)


def test_a_recall_reaches_a_language_that_the_file_no_longer_has(office):
    """A process that runs has the catalog as it was."""
    office.approve()
    desk = Dialogue(office.policy, locale="es")
    del office.responses["hello"]["text"]["es"]
    office.write()
    assert "Hola." in [option.text for option in desk.reply("hi").decision.options]
    assert [entry.locale for entry in office.recall("hello")] == ["en", "es"]
    assert "hello" not in ids(desk)


def test_a_recall_that_is_cut_off_is_noticed_with_the_next_version_of_the_catalog_too(office):
    office.approve()
    office.recall("hello")
    assert "hello" not in ids(Dialogue(office.policy))
    lines = office.ledger_file.read_bytes().splitlines(keepends=True)
    office.ledger_file.write_bytes(b"".join(lines[:-2]))
    office.head["version"] = 2
    office.write()
    assert "gone or changed" in refused(office)


# -- people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Dana", "dana", " Dana ", "\uff24\uff41\uff4e\uff41", "D\u0430na", "D\u03b1n\u03b1"])
def test_an_author_is_known_in_whatever_spelling(office, name):
    office.head["author"] = name
    office.write()
    with pytest.raises(ApprovalError, match="cannot approve it"):
        office.approve("Dana")


def test_an_author_with_an_invisible_character_is_refused(office):
    office.head["author"] = "Da\u200bna"
    office.write()
    with pytest.raises(CatalogError, match=r"U\+200B"):
        office.approve("Dana")


def test_an_approval_by_the_author_in_another_spelling_does_not_count(office):
    office.approve("Dana")
    office.head["author"] = "DANA"
    office.write()
    assert "is not approved" in refused(office)


@pytest.mark.parametrize("twin", ["dana", "Dana ", "\uff24ana", "Dan\u0430", "Dana\u2060"])
def test_one_person_does_not_stand_there_as_two(office, twin):
    KEYS[twin] = KEYS["Tom"]
    try:
        office.write_people(Dana=[], **{twin: []})
    finally:
        del KEYS[twin]
    office.ledger_file.touch()
    assert "read like one person" in refused(office)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_the_place_of_the_people(office, make):
    office.approve()
    people_path(office.path).unlink()
    make(people_path(office.path))
    assert "is not a file" in refused(office)


def test_people_that_nest_too_deep(office):
    people_path(office.path).write_text("x = " + "[" * 50_000)
    office.ledger_file.touch()
    assert "not TOML" in refused(office)


def test_a_tag_in_capitals_needs_what_the_tag_needs(office):
    office.rules = '[rules.tags.money]\napprovers = 2\nroles = ["legal"]\n'
    office.write_people()
    office.responses["price"]["tags"] = ["Money"]
    office.write()
    office.approve("Dana")
    assert office.reasons()["price en"].startswith("is not approved")
    office.approve("Tom", "price")
    assert office.reasons()["price en"] == ""


def test_a_key_is_written_in_one_way_only():
    text = to_text(KEYS["Dana"].public_key())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twins = [text[:-2] + letter + "=" for letter in letters if letter != text[-2]]
    same = [twin for twin in twins if base64.b64decode(twin.removeprefix(SCHEME)) == KEYS["Dana"].public_key().public_bytes_raw()]
    assert len(same) == 3
    for twin in same:
        with pytest.raises(KeyFileError, match="is not a public key"):
            from_text(twin)


@pytest.mark.parametrize("raw", sorted(_WEAK))
@pytest.mark.parametrize("sign", [0, 0x80])
def test_a_key_that_anybody_can_sign_with_is_refused(raw, sign):
    text = SCHEME + base64.b64encode(raw[:-1] + bytes([raw[-1] | sign])).decode()
    with pytest.raises(KeyFileError, match="anybody can sign"):
        from_text(text)


def test_names_are_compared_as_people_read_them():
    assert is_same_name("Jos\u00e9  Ruiz", "jose\u0301 ruiz")
    assert is_same_name("ОБЕРТ", "OБEPT")
    assert not is_same_name("Dana", "Diana")
    assert set(ROLES) == {"Dana", "Tom", "Lena", "Ada"}


# -- the catalog -------------------------------------------------------------------------------------------


def test_what_an_anchor_says_is_what_is_approved(office):
    """The words of one response said again by another, and then changed in one place: both wait for an approval."""
    text = """
catalog: desk
version: 1
locale: en
fallback: pardon
author: Ada
responses:
  pardon: {text: &words "Pardon?", when: nothing else fits}
  hello: {text: {en: "Hello.", es: "Hola."}, when: a greeting}
  price: {text: "{price} coins.", slots: {price: integer}, when: the price}
  warning: {text: *words, when: there is a gap}
"""
    office.path.write_text(text)
    try:
        catalog = office.catalog
    except CatalogError:
        return  # anchors are refused
    office.approve()
    assert catalog["warning"].texts["en"].source == "Pardon?"
    office.path.write_text(text.replace("Pardon?", "What?"))
    assert {name for name, reason in office.reasons().items() if reason} == {"pardon en", "warning en"}


def test_people_are_read_beside_the_catalog_only(office):
    office.approve()
    people_path(office.path).rename(office.root / "people.toml")
    assert "cannot be read" in refused(office)
