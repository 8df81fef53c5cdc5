"""The commands of approval, as a compliance officer uses them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from constrained.cli.approve import turns_that_said
from tests.approval.office import TODAY
from tests.cli.conftest import Ran, Run

DANA, TOM = "Demo Compliance", "Demo Fraud Desk"


def key_line(ran: Ran) -> str:
    return next(line for line in ran.out.splitlines() if line.startswith("keys = "))


@pytest.fixture
def desk(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new pack with an author, and two people with keys."""
    monkeypatch.setenv("CONSTRAINED_KEYS", str(here / "keys"))
    run("new", "desk")
    path = here / "catalogs" / "desk.yaml"
    path.write_text(path.read_text().replace("fallback: pardon", "fallback: pardon\nauthor: Ada\nreview: {lengths: {sms: 200}}", 1))
    people = [f'[people."{name}"]\nroles = ["compliance"]\n{key_line(run("keys", "new", name))}\n' for name in (DANA, TOM)]
    (here / "catalogs" / "people.toml").write_text("\n".join(people))
    return path


def test_a_whole_day_of_a_compliance_officer(run: Run, desk: Path, here: Path) -> None:
    waiting = run("approve", "desk")
    assert waiting.status == 0
    assert "13 of 13 versions wait for an approval" in waiting.out
    assert not desk.with_name("desk.approvals.jsonl").exists(), "nothing is signed by looking"
    assert "13 entries signed by Demo Compliance" in run("approve", "desk", "--as", DANA).out
    assert "nothing that waits" in run("approve", "desk", "--as", DANA).out
    checked = run("check", "desk", "--strict")
    assert (checked.status, "13 of 13 versions in force" in checked.out) == (0, True), checked.out

    log = here / "talk.jsonl"
    run("play", "desk", "--rules", "--log", str(log), stdin="hello\nhow are you\n")

    desk.write_text(desk.read_text().replace("Think again", "Think twice"))
    waiting = run("approve", "desk")
    assert "warn (en) by Ada: is not approved as it is now: it was edited after Demo Compliance" in waiting.out
    assert "  - That is a hammer in my hand. Think again." in waiting.out
    assert "  + That is a hammer in my hand. Think twice." in waiting.out
    checked = run("check", "desk")
    assert (checked.status, "remark: " in checked.out, "warn (en) is not approved" in checked.out) == (0, True, True)
    assert run("check", "desk", "--strict").status == 1


def test_a_recall_is_told_with_who_received_it(run: Run, desk: Path, here: Path) -> None:
    run("approve", "desk", "--as", DANA)
    log = here / "talk.jsonl"
    first = run("play", "desk", "--rules", "--log", str(log), stdin="hello\nhow are you\n").out.splitlines()[0]
    said = next(json.loads(line)["decision"]["chosen"] for line in log.read_text().splitlines())
    recalled = run("recall", "desk", said, "--as", TOM, "--reason", "the price changed", "--log", str(log))
    assert recalled.status == 0
    assert f"recalled {said} (en): in force at the next turn" in recalled.out
    assert f"{said} was said" in recalled.out
    assert "in 1 conversation of" in recalled.out
    assert first not in run("play", "desk", "--rules", stdin="hello\n").out.splitlines()
    again = run("approve", "desk", said, "--as", DANA)
    assert (again.status, "was recalled by Demo Fraud Desk" in again.err, "--restore" in again.err) == (1, True, True)
    assert "nothing that waits" in run("approve", "desk", "--as", DANA).out
    assert f"restored {said} (en)" in run("approve", "desk", said, "--as", DANA, "--restore").out
    assert first in run("play", "desk", "--rules", stdin="hello\n").out.splitlines()


def test_an_approval_that_ends_soon_is_a_remark_and_fails_a_strict_check(run: Run, desk: Path) -> None:
    run("approve", "desk", "--as", DANA, "--until", str(TODAY))
    checked = run("check", "desk")
    assert checked.status == 0
    assert f"the approval of greet (en) ends on {TODAY}" in checked.out
    assert run("check", "desk", "--strict").status == 1


def test_a_channel_of_its_own(run: Run, desk: Path) -> None:
    done = run("approve", "desk", "--as", DANA, "--channel", "sms", "--jurisdiction", "EU")
    assert "approved greet (en) from" in done.out
    assert "for sms, EU" in done.out
    silent = run("play", "desk", "--rules", stdin="hello\n")
    assert (silent.status, "nothing may be said" in silent.err) == (1, True)
    assert run("play", "desk", "--rules", "--channel", "sms", "--jurisdiction", "EU", stdin="hello\n").status == 0
    assert run("play", "desk", "--rules", "--drafts", stdin="hello\n").status == 0
    assert run("check", "desk").status == 0, "approved for one place is approved"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("approve", "desk", "--as", "Ada"), "Ada"),
        (("approve", "desk", "nobody", "--as", DANA), "has no response 'nobody'"),
        (("approve", "desk", "--as", DANA, "--from", "2020-01-01"), "cannot begin on 2020-01-01"),
        (("approve", "desk", "--as", DANA, "--until", "2020-01-01"), "would end on 2020-01-01"),
        (("approve", "desk", "--as", DANA, "--key", "keys/demo_fraud_desk.pem"), "not the key of Demo Compliance"),
        (("approve", "desk", "--as", DANA, "--key", "nowhere.pem"), "there is no private key"),
        (("approve", "desk", "--as", DANA, "--restore"), "--restore needs the ids"),
        (("recall", "desk", "nobody", "--as", DANA), "has no response 'nobody'"),
        (("keys", "new", DANA), "is there already"),
    ],
)
def test_what_cannot_be_signed_is_told_and_nothing_is_written(arguments: tuple[str, ...], message: str, run: Run, desk: Path) -> None:
    done = run(*arguments)
    assert (done.status, message in done.err) == (1, True), done.err
    ledger = desk.with_name("desk.approvals.jsonl")
    assert not ledger.exists() or not ledger.read_bytes()


def test_a_day_that_is_none_is_wrong_usage(run: Run, desk: Path) -> None:
    done = run("approve", "desk", "--as", DANA, "--until", "soon")
    assert (done.status, "is not a day" in done.err) == (2, True)


def test_a_ledger_that_was_tampered_with_fails_the_check_and_stops_the_desk(run: Run, desk: Path) -> None:
    run("approve", "desk", "--as", DANA)
    ledger = desk.with_name("desk.approvals.jsonl")
    ledger.write_bytes(ledger.read_bytes().replace(b'"by":"Demo Compliance"', b'"by":"Demo Fraud Desk"', 1))
    for arguments in (("check", "desk"), ("play", "desk", "--rules"), ("approve", "desk")):
        done = run(*arguments, stdin="hello\n")
        assert (done.status, "desk.approvals.jsonl:1: the key of Demo Fraud Desk is not theirs" in done.out + done.err) == (1, True)


def test_the_demo_shows_a_recall_between_two_turns(run: Run) -> None:
    shown = run("demo", "--rules").out.partition("-- a recall between two turns\n")[2].splitlines()
    first, recall, second, blocked = shown[1], shown[2], shown[4], shown[5]
    assert "$ constrained recall tavern" in recall
    assert first != second
    assert "was recalled by Demo Signer" in blocked


def test_received_counts_what_was_chosen_and_what_was_obliged() -> None:
    def record(catalog: str, chosen: str, *obliged: str) -> Any:
        obligations = [SimpleNamespace(id=one) for one in obliged]
        return SimpleNamespace(versions={"catalog": f"{catalog} 1 x"}, decision=SimpleNamespace(chosen=chosen), obligations=obligations)

    records = [record("desk", "hello"), record("desk", "other", "hello"), record("desk", "other"), record("bank", "hello")]
    assert list(turns_that_said(records, "desk", "hello")) == records[:2]


def test_a_recall_does_not_wait_for_a_catalog_that_is_being_edited(run: Run, desk: Path) -> None:
    run("approve", "desk", "--as", DANA)
    sound = desk.read_text()
    desk.write_text(sound + "\n  broken: [")
    assert run("approve", "desk", "--as", TOM).status == 1
    done = run("recall", "desk", "greet", "--as", TOM)
    assert (done.status, "recalled greet (*)" in done.out, "is not a catalog" in done.err) == (0, True, True), done.err
    assert run("recall", "desk", "nothing", "--as", TOM).status == 1
    desk.write_text(sound)
    assert "was recalled by" in run("check", "desk").out


# -- a desk from nothing: what its pages and its commands tell, in this order --------------------------------


@pytest.fixture
def strict_desk(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new desk that requires approvals, and two people with keys; nothing is signed yet."""
    monkeypatch.setenv("CONSTRAINED_KEYS", str(here / "keys"))
    run("new", "night_desk", "--desk")
    path = here / "catalogs" / "night_desk.yaml"
    text = (
        path.read_text(encoding="utf-8").replace("author: Your Name", "author: Ada").replace("# approvals: required", "approvals: required")
    )
    path.write_text(text, encoding="utf-8")
    people = [f'[people."{name}"]\nroles = ["compliance"]\n{key_line(run("keys", "new", name))}\n' for name in (DANA, TOM)]
    (here / "catalogs" / "people.toml").write_text("\n".join(people), encoding="utf-8")
    return path


def test_each_refusal_names_the_command_that_comes_next(run: Run, strict_desk: Path, here: Path) -> None:
    def refused() -> str:
        done = run("play", "night_desk", "--rules", stdin="hello\n")
        assert done.status == 1
        return done.err

    assert "constrained approve night_desk tells what to sign" in refused()
    waiting = run("approve", "night_desk").out
    assert "15 of 15 versions wait" in waiting
    assert "people.toml is not signed: it needs 1 more approver: constrained approve night_desk --people" in waiting
    assert "the logic is not approved: constrained approve night_desk --logic" in waiting
    early = run("approve", "night_desk", "--as", DANA)
    assert (early.status, "constrained approve night_desk --people --as PERSON" in early.err) == (1, True)
    assert not (here / "catalogs" / "night_desk.approvals.jsonl").exists()
    assert "signed" in run("approve", "night_desk", "--people", "--as", DANA).out
    assert "constrained approve night_desk --logic" in refused()
    run("approve", "night_desk", "--as", DANA)
    assert "logic/night_desk.py: new" in run("approve", "night_desk", "--logic").out
    assert "approved the logic from" in run("approve", "night_desk", "--logic", "--as", DANA).out
    assert run("play", "night_desk", "--rules", stdin="hello\n").out.startswith("the parcel desk: ")
    assert run("approve", "night_desk").out.splitlines() == ["night_desk: 0 of 15 versions wait for an approval"]
    assert "night_desk: no problem" in run("check", "night_desk").out


def test_a_changed_logic_is_shown_signed_and_recalled(run: Run, strict_desk: Path, here: Path) -> None:
    for what in (["--people", "--logic"], []):
        assert run("approve", "night_desk", *what, "--as", DANA).status == 0
    path = here / "logic" / "night_desk.py"
    path.write_text(path.read_text(encoding="utf-8").replace('"116 123"', '"0900 123"'), encoding="utf-8")
    done = run("play", "night_desk", "--rules", stdin="hello\n")
    assert (done.status, "night_desk.py: the logic of 'night_desk' is not approved as it is now" in done.err) == (1, True)
    assert "was edited after Demo Compliance approved it" in run("check", "night_desk").out.replace("\n", " ")
    shown = run("approve", "night_desk", "--logic").out
    assert "logic/night_desk.py: changed" in shown
    assert '-CRISIS_LINE = "116 123"  # of your country\n+CRISIS_LINE = "0900 123"  # of your country\n' in shown
    assert run("approve", "night_desk", "--logic", "--as", TOM).status == 0
    assert "nothing that waits" in run("approve", "night_desk", "--logic", "--as", TOM).out
    assert run("play", "night_desk", "--rules", stdin="hello\n").status == 0
    assert "recalled the logic" in run("recall", "night_desk", "--logic", "--as", DANA, "--reason", "wrong number").out
    assert "was recalled by Demo Compliance" in run("play", "night_desk", "--rules", stdin="hello\n").err
    again = run("approve", "night_desk", "--logic", "--as", TOM)
    assert (again.status, "--logic --restore" in again.err) == (1, True)
    assert "restored the logic" in run("approve", "night_desk", "--logic", "--restore", "--as", TOM).out
    assert run("play", "night_desk", "--rules", stdin="hello\n").status == 0


def test_new_people_are_shown_and_signed_by_those_of_before(run: Run, strict_desk: Path, here: Path) -> None:
    run("approve", "night_desk", "--people", "--as", DANA)
    people = here / "catalogs" / "people.toml"
    line = key_line(run("keys", "new", "Demo Newcomer"))
    people.write_text(people.read_text(encoding="utf-8") + f'\n[people."Demo Newcomer"]\n{line}\n', encoding="utf-8")
    shown = run("approve", "night_desk", "--people").out
    assert '+[people."Demo Newcomer"]' in shown
    mine = run("approve", "night_desk", "--people", "--as", "Demo Newcomer")
    assert (mine.status, "Demo Newcomer could not sign before this change" in mine.err) == (1, True)
    early = run("approve", "night_desk", "--logic", "--as", "Demo Newcomer")
    assert (early.status, "was changed after it was signed" in early.err) == (1, True)
    assert run("approve", "night_desk", "--people", "--logic", "--as", TOM).status == 0
    assert "signed as it is" in run("approve", "night_desk", "--people").out
    assert run("approve", "night_desk", "--as", "Demo Newcomer").status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("approve", "night_desk", "greet", "--logic", "--as", DANA), "--logic and --people are of no response"),
        (("approve", "night_desk", "--people", "--as", DANA, "--channel", "sms"), "people.toml counts everywhere"),
        (("approve", "night_desk", "--logic", "--as", DANA), "sign it first"),
        (("approve", "night_desk", "--logic-file", "nowhere.py"), "there is no nowhere.py"),
        (("recall", "night_desk", "--as", DANA), "a recall is of one response, or of the logic"),
        (("recall", "night_desk", "greet", "--logic", "--as", DANA), "a recall is of one response, or of the logic"),
    ],
)
def test_files_are_signed_as_a_whole_or_not_at_all(arguments: tuple[str, ...], message: str, run: Run, strict_desk: Path) -> None:
    done = run(*arguments)
    assert (done.status, message in done.err) == (1, True), done.err
    assert not strict_desk.with_name("night_desk.approvals.jsonl").exists()


def test_the_last_lines_of_a_new_desk_are_commands_that_exist(run: Run, here: Path) -> None:
    told = run("new", "night_desk", "--desk").out.partition("before it speaks to customers")[2].splitlines()
    commands = [one.partition("#")[0].split()[1:] for one in told if one.startswith("  constrained")]
    assert [" ".join(one) for one in commands] == [
        "keys new PERSON",
        "approve night_desk",
        "approve night_desk --people --as PERSON",
        "approve night_desk --as PERSON",
        "approve night_desk --logic --as PERSON",
    ]


def test_that_nothing_is_approved_yet_is_one_remark(run: Run, strict_desk: Path) -> None:
    told = run("check", "night_desk").out
    assert "versions is approved" in told
    assert told.count("(en) is not approved") == 1  # the fallback alone is a problem


def test_keys_are_listed_with_the_names_of_their_people(run: Run, strict_desk: Path, here: Path) -> None:
    run("keys", "new", "Demo Stranger")
    listed = run("keys", "list").out.splitlines()
    assert [one.partition(": ")[0] for one in listed] == [DANA, TOM, "(nobody in people.toml)"]
    assert "ed25519:" in listed[-1]  # what people.toml asks for
    assert "only for a person who approves" in run("keys", "new", "Desk Log", "--file", "desk.pem").out
    (here / "catalogs" / "people.toml").rename(here / "elsewhere.toml")
    assert "nobody's name is known" in run("keys", "list").err
    assert run("keys", "list", "--people", "elsewhere.toml").out.splitlines() == listed


def test_an_approver_reads_why_a_users_own_words_may_be_said(run: Run, desk: Path) -> None:
    said = '  note: {text: "You wrote: {note}", slots: {note: text}, when: a note, tags: [reserve], free_text: they dictate a notice}\n'
    desk.write_text(desk.read_text() + said)
    assert "  a user's own words may stand here: they dictate a notice" in run("approve", "desk").out
