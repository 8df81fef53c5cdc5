"""What a conversation releases: only versions in force, at every turn, over random clocks, catalogs, ledgers and places."""

from __future__ import annotations

import datetime as dt
import os
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue, load_policy
from constrained.approval.in_force import Approvals, snapshot_at
from constrained.approval.people import FILE_NAME
from constrained.approval.worklist import SigningTerms, draft_of
from constrained.catalog.load import load_catalog
from constrained.errors import ApprovalError
from constrained.packs import load_policy_file
from constrained.quality.golden import load_golden, run_golden
from constrained.records.log import MemoryLog
from constrained.records.replay import replay
from constrained.testing import RandomEngine
from tests.approval.office import TODAY, Office
from tests.approval.test_in_force import may_be_said
from tests.strategies import ROOT

NOON = dt.time(12, tzinfo=dt.UTC)


def at(day: dt.date) -> Any:
    return lambda: dt.datetime.combine(day, NOON)


def talk(office: Office, day: dt.date = TODAY, **options: Any) -> Dialogue:
    return Dialogue(office.policy, now=at(day), **options)


def options_of(turn: Any) -> list[str]:
    return [option.id for option in turn.decision.options]


def test_only_what_is_in_force_becomes_an_option(office: Office) -> None:
    office.approve("Dana", "pardon", "hello")
    turn = talk(office).reply("hello")
    assert options_of(turn) == ["hello", "pardon"]
    (blocked,) = turn.trace.allowed.blocked
    assert (blocked.response_id, blocked.reason) == ("price", "is not approved")


def test_a_recall_is_in_force_at_the_next_turn_of_a_running_conversation(office: Office) -> None:
    office.approve("Dana")
    dialogue, other = talk(office), talk(office, channel="sms")
    assert options_of(dialogue.reply("hello")) == ["hello", "price", "pardon"]
    office.recall("hello", channels=("sms",))
    assert options_of(dialogue.reply("hello")) == ["price", "pardon"], "a place that is not named may be the recalled one"
    assert options_of(other.reply("hello")) == ["price", "pardon"]
    assert options_of(talk(office, channel="voice").reply("hello")) == ["hello", "price", "pardon"]
    office.approve("Dana", "hello", kind="restore")
    assert options_of(dialogue.reply("hello")) == ["hello", "price", "pardon"]


def test_when_nothing_approved_is_left_nothing_is_said_and_nothing_recorded(office: Office) -> None:
    office.approve("Dana", "pardon", "hello")
    log = MemoryLog()
    dialogue = talk(office, log=log)
    office.recall("hello")
    assert dialogue.reply("hello").response_id == "pardon"
    office.recall("pardon")
    with pytest.raises(ApprovalError, match="nothing may be said: the fallback 'pardon' was recalled by Tom") as caught:
        dialogue.reply("hello")
    assert "constrained approve desk" in caught.value.hint
    assert len(log.records) == 1


def test_an_obligation_that_is_not_approved_stops_the_turn(office: Office) -> None:
    office.approve("Dana", "pardon", "hello", "price")
    dialogue = talk(office)
    with pytest.raises(ApprovalError, match="the obligation 'warning' is not approved; nothing is said without it"):
        dialogue.reply("hello", office.policy.state_type(warn=True))
    office.approve("Dana", "warning")
    assert dialogue.reply("hello", office.policy.state_type(warn=True)).text.startswith("Mind the gap.\n")


def test_a_locale_is_approved_by_itself(office: Office) -> None:
    english = [draft_of("approve", office.catalog["hello"], "en", SigningTerms())]
    office.sign("Dana", *english)
    assert options_of(talk(office).reply("hello")) == ["hello"]
    office.approve("Dana", "pardon", "price")
    turn = talk(office, locale="es").reply("hola")
    assert "hello" not in options_of(turn), "a Spanish text is there and nobody approved it: the English one is no stand-in"


def test_drafts_show_in_every_record(office: Office) -> None:
    turn = talk(office, drafts=True, channel="sms", jurisdiction="EU").reply("hello")
    assert turn.record.versions | {"drafts": "allowed", "channel": "sms", "jurisdiction": "EU"} == turn.record.versions
    office.approve("Dana")
    sound = talk(office).reply("hello").record.versions
    assert "drafts" not in sound
    assert sound["approvals"] == f"5 {office.ledger.head}"
    assert sound["people"] == office.people.hash


def test_without_a_ledger_the_catalog_lines_decide(office: Office) -> None:
    assert options_of(talk(office).reply("hello")) == ["hello", "price", "pardon"]
    office.responses["hello"]["approval"] = {"by": "us", "on": str(TODAY), "until": str(TODAY + dt.timedelta(days=3))}
    office.write()
    assert "hello" not in options_of(talk(office, TODAY - dt.timedelta(days=1)).reply("hello"))
    assert "approvals" not in talk(office).reply("hello").record.versions


def test_a_catalog_that_requires_approvals_does_not_speak_without_a_ledger(office: Office) -> None:
    office.head["approvals"] = "required"
    office.write()
    with pytest.raises(ApprovalError, match="requires approvals, and there is no ledger"):
        talk(office)
    assert talk(office, drafts=True).reply("hello").record.versions["drafts"] == "allowed"
    office.approve("Dana")
    with pytest.raises(ApprovalError, match=r"people\.toml is not signed: it needs 1 more approver"):
        talk(office)
    office.sign_people()
    with pytest.raises(ApprovalError, match=r"desk\.py: the logic of 'desk' is not approved"):
        talk(office)
    office.approve_logic()
    assert talk(office).reply("hello").response_id == "hello"


@pytest.mark.parametrize("harm", ["gone", "cut", "changed", "people"])
def test_a_ledger_that_cannot_be_trusted_stops_a_running_conversation(harm: str, office: Office) -> None:
    office.approve("Dana")
    dialogue = talk(office)
    dialogue.reply("hello")
    content = office.ledger_file.read_bytes()
    if harm == "gone":
        office.ledger_file.unlink()
    elif harm == "people":
        office.write_people(Tom=["legal"])
    else:
        other = content[: content.rfind(b"\n", 0, -1) + 1] if harm == "cut" else content.replace(b"Hello.", b"Hallo.")
        office.ledger_file.write_bytes(other)
        os.utime(office.ledger_file, ns=(1, 1))
    for _ in range(2):
        with pytest.raises(ApprovalError):
            dialogue.reply("hello")
    office.write_people()
    office.ledger_file.write_bytes(content)
    assert "hello" in options_of(dialogue.reply("hello"))


def test_a_record_replays_with_the_approvals_of_its_turn(office: Office) -> None:
    office.approve("Dana")
    log = MemoryLog()
    dialogue = talk(office, log=log, channel="sms")
    dialogue.reply("hello")
    office.recall("hello")
    dialogue.reply("hello")
    office.approve("Dana", "hello", kind="restore")
    assert [one.differences for one in replay(office.policy, log.records)] == [(), ()]
    assert len(snapshot_at(office.catalog, log.records[1].versions).ledger.entries) == 7  # type: ignore[union-attr]
    with pytest.raises(ApprovalError, match="is not the one of that turn"):
        snapshot_at(office.catalog, log.records[1].versions | {"approvals": "6 sha256:other"})


def test_the_packs_are_approved_as_they_are() -> None:
    for name in ("tavern", "bank_disputes", "clinic_booking"):
        turn = Dialogue(name).reply("hello")
        assert "drafts" not in turn.record.versions
        assert int(turn.record.versions["approvals"].split()[0]) >= len(load_policy(name).catalog.responses)


def test_nothing_waits_in_the_packs_and_a_changed_file_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "approve_packs.py"))
    assert tool["main"](["--check"]) == 0, "run tools/approve_packs.py"
    for folder in ("catalogs", "logic", "properties"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    packs = tool["FOLDERS"]["packs"]
    copied = [tool["Desk"](*(tmp_path / one.relative_to(ROOT) for one in (desk.catalog, desk.logic)), desk.signers) for desk in packs]
    monkeypatch.setitem(tool["main"].__globals__, "FOLDERS", {"packs": copied})
    edits = {
        "catalogs/tavern.yaml": ("You've lost me.", "You have lost me."),
        "logic/bank_disputes.py": ("FRAUD_DAYS = 395", "FRAUD_DAYS = 500"),
    }
    for name, (old, new) in edits.items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        assert tool["main"](["--check"]) == 1
        assert tool["main"]([]) == 0
        assert tool["main"](["--check"]) == 0
    n_people = (tmp_path / "catalogs" / FILE_NAME).read_text(encoding="utf-8").count("[people.")
    assert (tmp_path / "catalogs" / FILE_NAME).read_text(encoding="utf-8").count("ed25519:") == n_people, "a key each"


def test_a_working_directory_that_changes_does_not_lose_the_ledger(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.approve("Dana")
    monkeypatch.chdir(office.root)
    dialogue = Dialogue(load_policy_file("logic/desk.py"))
    approvals = Approvals(load_catalog("catalogs/desk.yaml"))
    monkeypatch.chdir(office.root.parent)
    office.recall("hello")
    assert "hello" not in options_of(dialogue.reply("hello"))
    catalog = office.catalog
    assert approvals.now().why_not(catalog["hello"], "en", TODAY).startswith("was recalled")


def test_golden_dialogues_hold_before_anybody_approved(tmp_path: Path) -> None:
    for folder in ("catalogs", "logic"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tests/desk/catalogs/library.yaml", tmp_path / "catalogs")
    shutil.copy(ROOT / "tests/desk/logic/library.py", tmp_path / "logic")
    path = tmp_path / "catalogs" / "library.yaml"
    path.write_text(path.read_text().replace("version: 1", "version: 1\napprovals: required", 1))
    policy = load_policy_file(tmp_path / "logic" / "library.py")
    golden = load_golden(ROOT / "tests/desk/dialogues/library.yaml").dialogues
    assert all(result.problems == () for one in golden for result in run_golden(policy, one))


# -- the property ----------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["approve", "approve", "recall", "restore", "edit"]),
        st.sampled_from(["pardon", "hello", "price", "warning"]),
        st.sampled_from(["Dana", "Tom", "Lena"]),
        st.sampled_from([(), ("sms",), ("voice",)]),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=5,
)


@settings(max_examples=25)
@given(st.data(), steps, st.sampled_from(["", "approvers = 2", 'roles = ["legal"]']))
def test_nothing_that_is_not_in_force_is_released(data: st.DataObject, planned: list[Any], rule: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        office = Office(Path(folder), rules=f"[rules.tags.money]\n{rule}\n")
        office.approve("Dana")
        clock = {"day": TODAY}
        place = data.draw(st.tuples(st.sampled_from([None, "sms", "voice"]), st.sampled_from([None, "EU"])))
        drafts = data.draw(st.sampled_from([False, False, True]))
        dialogue = Dialogue(
            office.policy,
            engine=RandomEngine(data.draw(st.integers(0, 99))),
            locale=data.draw(st.sampled_from(["en", "es"])),
            channel=place[0],
            jurisdiction=place[1],
            drafts=drafts,
            now=lambda: dt.datetime.combine(clock["day"], NOON),
        )
        for kind, response, by, channels, begins, lasts in planned:
            _do(office, kind, response, by, channels, begins, lasts)
            clock["day"] = TODAY + dt.timedelta(days=data.draw(st.integers(-2, 9)))
            _take_a_turn(office, dialogue, clock["day"], place, drafts, warn=data.draw(st.booleans()))
        assert [one.error for one in replay(dialogue.policy, dialogue.log.records) if one.error] == []


def _do(office: Office, kind: str, response: str, by: str, channels: tuple[str, ...], begins: int, lasts: int) -> None:
    first = TODAY + dt.timedelta(days=begins)
    if kind == "edit":  # in the file; the running conversation keeps the words it was started with
        office.responses[response]["voice"] = f"take {begins}"
        office.write()
    elif kind == "recall":
        office.recall(response, by, channels=channels)
    else:
        office.approve(by, response, kind=kind, channels=channels, begins=first, until=first + dt.timedelta(days=lasts))


def _take_a_turn(office: Office, dialogue: Dialogue, day: dt.date, place: Any, drafts: bool, *, warn: bool) -> None:
    def sayable(response_id: str) -> bool:
        response = dialogue.catalog[response_id]
        locale = dialogue.locale if dialogue.locale in response.texts else "en"
        return may_be_said(response, locale, office.ledger.entries, office.people, day, place, drafts)

    try:
        turn = dialogue.reply("hello", dialogue.policy.state_type(warn=warn))
    except ApprovalError:
        fallback_only = not any(map(sayable, ("hello", "price", "pardon")))
        assert fallback_only or (warn and not sayable("warning"))
    else:
        assert all(map(sayable, turn.said))
        assert all(map(sayable, options_of(turn)))
        assert set(options_of(turn)) == {one for one in ("hello", "price", "pardon") if sayable(one)}
