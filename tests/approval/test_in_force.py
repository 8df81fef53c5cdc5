"""What is in force: case by case, and for random ledgers the same by three ways of reading them."""

from __future__ import annotations

import datetime as dt
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.approval.in_force import ApprovalSnapshot, LogicVersion
from constrained.approval.ledger import LOGIC, Entry, Ledger
from constrained.approval.people import People, Person, Rule
from constrained.catalog.load import catalog_from
from constrained.catalog.response import version_hash
from constrained.errors import VerificationError
from constrained.logic.options import Allowed, Option
from constrained.verify import _is_logic_in_force, verify
from tests.approval.office import TODAY, Office

DAY = dt.timedelta(days=1)


def test_an_approval_counts_for_its_days_only(office: Office) -> None:
    office.approve("Dana", begins=TODAY + 2 * DAY, until=TODAY + 4 * DAY)
    reasons = [office.reasons(TODAY + n * DAY)["hello en"] for n in range(1, 6)]
    assert reasons[0] == f"is approved from {TODAY + 2 * DAY} only, and today is {TODAY + DAY}"
    assert reasons[1:4] == ["", "", ""]
    assert reasons[4] == f"was approved until {TODAY + 4 * DAY}, and today is {TODAY + 5 * DAY}"
    office.approve("Tom", "hello", begins=TODAY + 5 * DAY)
    assert office.reasons(TODAY + 5 * DAY)["hello en"] == ""


def test_no_approval_reaches_back_before_its_signature(office: Office) -> None:
    office.approve("Dana", begins=TODAY - 30 * DAY)  # a signer's own program could write this; it counts from today
    assert office.reasons(TODAY - DAY)["hello en"] == f"is approved from {TODAY} only, and today is {TODAY - DAY}"
    assert office.reasons(TODAY)["hello en"] == ""


def test_an_edit_reopens_the_approval_of_that_text_only(office: Office) -> None:
    office.approve("Dana")
    assert set(office.reasons().values()) == {""}
    office.responses["hello"]["text"]["es"] = "Buenas."
    office.write()
    found = {name: reason for name, reason in office.reasons().items() if reason}
    assert found == {"hello es": f"is not approved as it is now: it was edited after Dana approved it on {TODAY}"}
    office.responses["hello"]["text"]["es"] = "Hola."
    office.write()
    assert set(office.reasons().values()) == {""}


def test_what_else_an_approver_signs_for(office: Office) -> None:
    office.approve("Dana")
    sound = office.responses["price"]
    for change in ({"slots": {"price": "decimal"}}, {"tags": ["other"]}, {"voice": "x"}):
        office.responses["price"] = sound | change
        office.write()
        assert "edited after" in office.reasons()["price en"]
    office.responses["price"] = sound | {"when": "something else", "examples": ["how much"], "key": "cost"}
    office.write()
    assert office.reasons()["price en"] == ""


def test_nobody_approves_their_own_words_whoever_is_named_later(office: Office) -> None:
    office.approve("Dana")
    office.head["author"] = "Dana"
    office.write()
    assert office.reasons()["hello en"] == "is not approved"
    office.head.pop("author")
    office.write()
    assert office.reasons()["hello en"].startswith("has no author")


def test_tags_ask_for_more_people_and_roles(office: Office) -> None:
    office.rules = '[rules.tags.money]\napprovers = 2\nroles = ["legal"]\n'
    office.write_people()
    office.approve("Dana")
    assert office.reasons()["hello en"] == ""
    assert office.reasons()["price en"] == "is not approved: it needs 1 more approver, for legal"
    office.approve("Dana", "price")
    assert office.reasons()["price en"], "the same person twice is one person"
    office.approve("Tom", "price")
    assert office.reasons()["price en"] == ""


def test_a_place_has_its_own_approvals(office: Office) -> None:
    office.approve("Dana", "hello", channels=("sms",))
    office.approve("Dana", "price", jurisdictions=("EU", "UK"))
    assert office.reasons()["hello en"] == "is not approved"
    assert office.reasons(channel="voice")["hello en"] == "is not approved for channel 'voice'"
    assert office.reasons(channel="sms", jurisdiction="EU")["hello en"] == ""
    assert office.reasons(jurisdiction="UK")["price en"] == ""
    assert office.reasons(jurisdiction="US")["price en"] == "is not approved for jurisdiction 'US'"
    office.recall("hello", channels=("sms",))
    assert "recalled" in office.reasons(channel="sms")["hello en"]
    office.approve("Dana", "hello", kind="restore")
    assert office.reasons(channel="sms")["hello en"] == ""


def test_a_recall_holds_until_enough_people_restore(office: Office) -> None:
    office.rules = "[rules.tags.money]\napprovers = 2\n"
    office.write_people()
    for by in ("Dana", "Tom"):
        office.approve(by)
    office.recall("price", by="Ada")
    why = f"was recalled by Ada on {TODAY}: wrong"
    assert office.reasons()["price en"] == why
    office.approve("Dana", "price")  # an approval in ignorance of the recall does not lift it
    assert office.reasons()["price en"] == why
    office.approve("Dana", "price", kind="restore")
    assert office.reasons()["price en"] == why
    assert office.reasons(drafts=True)["price en"] == why, "a recall holds in development too"
    office.approve("Tom", "price", kind="restore")
    assert office.reasons()["price en"] == ""


def test_a_recall_is_of_every_wording_before_it_and_of_none_after(office: Office) -> None:
    office.approve("Dana")
    first = office.responses["hello"]["text"] = {"en": "Hello!", "es": "Hola."}
    office.write()
    office.approve("Dana", "hello")
    office.recall("hello")
    assert "recalled" in office.reasons()["hello en"]
    office.responses["hello"]["text"] = {"en": "Hello.", "es": "Hola."}
    office.write()
    assert "recalled" in office.reasons()["hello en"], "the wording before it too"
    office.responses["hello"]["text"] = {"en": "Welcome.", "es": "Hola."}
    office.write()
    office.approve("Dana", "hello")
    assert office.reasons()["hello en"] == ""
    office.responses["hello"]["text"] = first
    office.write()
    assert "recalled" in office.reasons()["hello en"]


def test_drafts_may_say_what_is_not_approved(office: Office) -> None:
    assert set(office.reasons(drafts=True).values()) == {""}
    assert set(office.reasons().values()) == {"is not approved"}


# -- random ledgers --------------------------------------------------------------------------------------

CATALOG = catalog_from(
    {
        "catalog": "desk",
        "version": 1,
        "locale": "en",
        "fallback": "pardon",
        "author": "Ada",
        "responses": {
            "pardon": {"text": {"en": "Pardon?", "es": "¿Cómo?"}, "when": "nothing else fits", "tags": ["money"]},
            "hello": {"text": {"en": "Hello.", "es": "Hola."}, "when": "a greeting"},
        },
    },
    today=dt.date(2026, 1, 1),
)
START = dt.date(2026, 1, 1)
NAMES = ("Ada", "Dana", "Tom", "Lena")
days = st.integers(0, 9).map(lambda n: START + n * DAY)
places = st.sampled_from([("*",), ("sms",), ("voice",), ("sms", "voice")])


@st.composite
def entries(draw: st.DrawFn, number: int) -> Entry:
    response = CATALOG[draw(st.sampled_from(["pardon", "hello"]))]
    locale = draw(st.sampled_from(["en", "es"]))
    return Entry.model_construct(
        sequence=number,
        kind=draw(st.sampled_from(["approve", "approve", "recall", "restore"])),
        response=response.id,
        locale=locale,
        version=draw(st.sampled_from([version_hash(response, locale), "sha256:other"])),
        channels=draw(places),
        jurisdictions=draw(st.sampled_from([("*",), ("EU",)])),
        begins=draw(st.none() | days),
        until=draw(st.none() | days),
        author=draw(st.sampled_from(["Ada", "Ada", "Tom"])),
        by=draw(st.sampled_from(NAMES)),
        reason="",
        at=f"{draw(days)}T12:00:00+00:00",
    )


def ledger_of(*found: Entry) -> Ledger:
    grouped = {name: tuple(one for one in found if one.response == name) for name in ("pardon", "hello")}
    return Ledger("", b"", tuple(found), "", MappingProxyType(grouped))


rules = st.builds(Rule, st.integers(1, 2), st.sampled_from([frozenset(), frozenset({"legal"})]))
crowd = {name: Person(name, frozenset({"legal"} if name in ("Tom", "Lena") else ()), ()) for name in NAMES}
peoples = st.builds(lambda rule, tag: People("", "", crowd, rule, {"money": tag}), rules, rules)
random_ledgers = st.integers(0, 7).flatmap(lambda n: st.tuples(*[entries(number) for number in range(n)]))


def may_be_said(response: Any, locale: str, found: tuple[Entry, ...], people: People, day: dt.date, place: Any, drafts: bool) -> bool:
    """The definition, word for word: look at every signature, and at what came between it and now."""
    version, (channel, jurisdiction) = version_hash(response, locale), place
    own = [one for one in found if one.response == response.id]

    def here(one: Entry) -> bool:
        is_recall = one.kind == "recall"
        fits = [("*" in given) or (wanted in given) or (is_recall and wanted is None)
                for given, wanted in ((one.channels, channel), (one.jurisdictions, jurisdiction))]  # fmt: skip
        return one.locale == locale and all(fits)

    def recalls(upto: int, since: int) -> list[int]:
        return [at for at, one in enumerate(own[:upto]) if at >= since and one.kind == "recall" and here(one)
                and any(before.version == version for before in own[: at + 1])]  # fmt: skip

    names = set()
    for at, one in enumerate(own):
        if one.kind == "recall" or one.version != version or not here(one):
            continue
        is_void = recalls(len(own), at)  # recalled later
        is_blind = one.kind == "approve" and recalls(at, 0)  # an approval of what was recalled before
        signed = dt.date.fromisoformat(one.at[:10])
        first = max(one.begins or signed, signed)
        in_time = first <= day and (one.until is None or day <= one.until)
        if not is_void and not is_blind and in_time and one.by not in (one.author, response.author):
            names.add(one.by)
    rule = people.rule_for(response.tags)
    is_enough = len(names) >= rule.approvers and all(any(role in crowd[name].roles for name in names) for role in rule.roles)
    return is_enough or (drafts and not recalls(len(own), 0))


@settings(max_examples=400)
@given(random_ledgers, peoples, days, st.sampled_from([None, "sms", "voice", "web"]), st.sampled_from([None, "EU", "US"]), st.booleans())
def test_three_readings_agree(
    found: tuple[Entry, ...], people: People, day: dt.date, channel: str | None, jurisdiction: str | None, drafts: bool
) -> None:
    usable = tuple(one for one in found if one.by != one.author)  # others are refused when a ledger is read
    standing = ApprovalSnapshot(ledger_of(*usable), people, channel, jurisdiction, drafts)
    for response in CATALOG.responses.values():
        for locale in response.texts:
            expected = may_be_said(response, locale, usable, people, day, (channel, jurisdiction), drafts)
            assert (standing.why_not(response, locale, day) == "") == expected
            assert verified(response, locale, day, standing) == expected


def verified(response: Any, locale: str, day: dt.date, standing: ApprovalSnapshot) -> bool:
    option = Option(response, {}, response.texts[locale].source, locale, response.source, (), 0)
    try:
        verify(option.text, option, Allowed((option,)), CATALOG, day, standing)
    except VerificationError:
        return False
    return True


@settings(max_examples=200)
@given(random_ledgers, rules, days, st.sampled_from([None, "sms", "web"]), st.sampled_from([None, "EU"]), st.sampled_from(["", "Tom"]))
def test_two_readings_of_the_logic_agree(
    found: tuple[Entry, ...], rule: Rule, day: dt.date, channel: str | None, jurisdiction: str | None, author: str
) -> None:
    version = version_hash(CATALOG["hello"], "en")
    about = tuple(one.model_copy(update={"response": LOGIC, "locale": "*"}) for one in found if one.by != one.author)
    ledger = Ledger("", b"", about, "", MappingProxyType({LOGIC: about}))
    people = People("", "", crowd, Rule(), {}, rule)
    standing = ApprovalSnapshot(ledger, people, channel, jurisdiction, logic=LogicVersion(version, author))
    assert (standing.why_not_logic(day) == "") == _is_logic_in_force(day, standing)


def test_text_is_not_released_by_logic_that_is_not_in_force() -> None:
    response = CATALOG["hello"]
    option = Option(response, {}, "Hello.", "en", response.source, (), 0)
    standing = ApprovalSnapshot(Ledger(""), People("", "", crowd, Rule(), {}), drafts=True, logic=LogicVersion("sha256:new"))
    with pytest.raises(VerificationError, match="no approval of the logic is in force"):
        verify("Hello.", option, Allowed((option,)), CATALOG, START, standing)
