"""What a catalog's review block asks of its texts."""

from __future__ import annotations

from typing import Any

import pytest

from constrained.analysis.diff import effects_by_response
from constrained.analysis.review_lint import lint_promises, lint_review, longest, reading_grade
from constrained.catalog.load import catalog_from
from constrained.packs import load_policy_file
from tests.approval.office import LOGIC, Office
from tests.catalog.catalogs import small


def messages(review: dict[str, Any], **response: Any) -> list[str]:
    data = small(one={"when": "one", **response}) | {"review": review}
    return [problem.message for problem in lint_review(catalog_from(data)) if "'one'" in problem.message]


def test_a_catalog_without_rules_is_told_nothing() -> None:
    assert messages({}, text="A guarantee.") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("We GUARANTEE  it.", True), ("Guaranteed.", False), ("We guarantee\nit", True), ("No promise.", False)],
)
def test_forbidden_phrases_are_found_as_whole_words(text: str, found: bool) -> None:
    assert bool(messages({"forbidden": ["we guarantee it", "we guarantee"]}, text=text)) == found


def test_a_length_counts_the_slots_as_long_as_they_can_be() -> None:
    slots = {"name": {"type": "text", "max_length": 30}, "thing": {"type": "choice", "of": ["ale", "stew"]}}
    response = {"text": "{name}: {thing}.", "slots": slots}
    catalog = catalog_from(small(one={"when": "one", **response}))
    assert longest(catalog["one"], "en") == 30 + 2 + 4 + 1
    assert messages({"lengths": {"sms": 37}}, **response) == []
    (message,) = messages({"lengths": {"sms": 36, "voice": 99}}, **response)
    assert message == "the text of 'one' in 'en' can have 37 characters, sms takes 36"


def test_a_response_tagged_with_channels_is_held_to_these() -> None:
    assert messages({"lengths": {"sms": 3, "voice": 99}}, text="Too long for one.", tags=["voice"]) == []
    assert len(messages({"lengths": {"sms": 3, "voice": 3}}, text="Too long for both.")) == 2


def test_reading_grade_rises_with_long_words_and_sentences() -> None:
    easy = "The cat sat on the mat. It was warm."
    hard = "Notwithstanding contractual obligations, supplementary documentation remains indispensable throughout verification."
    assert reading_grade(easy) < 3 < 15 < reading_grade(hard)
    assert reading_grade("") == reading_grade("42!") == 0
    assert messages({"reading_grade": 9}, text=easy) == []
    assert "reads at grade" in messages({"reading_grade": 9}, text=hard)[0]
    assert messages({"reading_grade": 9}, text={"en": easy, "de": hard}) == [], "grades are of English"


def test_without_the_package_a_check_says_that_it_did_not_grade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("constrained.analysis.review_lint.find_spec", lambda name: None)
    (problem,) = lint_review(catalog_from(small() | {"review": {"reading_grade": 1}}))
    assert problem.message == "reading levels were not measured: they need the package pyphen"


def test_missing_translations() -> None:
    assert messages({"locales": ["en", "es", "fr"]}, text={"en": "One.", "es": "Uno."}) == ["'one' has no text in fr"]


EFFECT = """

@effect
def pay(state: Desk, much: int) -> Desk:
    return state
"""


def test_a_text_that_tells_of_an_effect_it_never_has(office: Office) -> None:
    logic = LOGIC.replace("import State", "import State, effect").replace("\n\n\n@policy", EFFECT + "\n\n@policy")
    logic = logic.replace('yield say("price", price=3)', 'yield say("price", price=3).then(pay, 3)')
    (office.root / "logic" / "desk.py").write_text(logic)
    office.responses["hello"]["text"] = "You have paid."
    office.responses["price"]["text"] = "You have paid {price}."
    office.head["review"] = {"promises": {"pay": ["have paid"], "give": ["is yours"]}}
    office.write()
    policy = load_policy_file(office.root / "logic" / "desk.py")
    assert effects_by_response(policy) == ({"hello": frozenset(), "price": {"pay"}, "warning": frozenset()}, {"pay"})
    unknown, wrong = lint_promises(policy)
    assert "names the effect 'give', which the policy never uses" in unknown.message
    assert wrong.message == "the text of 'hello' in 'en' says 'have paid', but the response never has the effect pay"
    assert wrong.line > 1
