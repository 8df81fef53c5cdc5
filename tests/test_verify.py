"""Verification fails closed: whatever is wrong with a text about to be sent, it is not sent."""

from __future__ import annotations

import datetime as dt
import importlib
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrained.dialogue.dialogue
import constrained.logic.option_builder
from constrained import Dialogue
from constrained.errors import VerificationError
from constrained.logic.allow import allow
from constrained.logic.options import compose
from constrained.logic.state import Memory
from constrained.testing import ScriptedEngine
from constrained.verify import verify

DAY = dt.date(2026, 3, 2)
SAID = "This conversation is recorded.\nThank you, €2.50 received.\nUntil next time."


@pytest.fixture(scope="module")
def turn(library):
    """A turn with an obligation before and after; the catalog's response with a slot is chosen."""
    heard = library.heard_type(wish="pay", offer="2.5", hurry=3)
    allowed = allow(library, library.state_type(owed=3), heard, Memory(), locale="en", today=DAY)
    return allowed, next(option for option in allowed.options if option.id == "paid")


def refused(text, chosen, allowed, catalog, match, today=DAY):
    with pytest.raises(VerificationError, match=match) as caught:
        verify(text, chosen, allowed, catalog, today)
    assert "nothing was sent" in caught.value.hint


def test_the_composed_text_passes(library, turn):
    allowed, chosen = turn
    assert compose(chosen, allowed.obligations) == SAID
    verify(SAID, chosen, allowed, library.catalog, DAY)


@given(data=st.data())
def test_one_other_character_and_nothing_is_sent(library, turn, data):
    allowed, chosen = turn
    at = data.draw(st.integers(0, len(SAID)))
    put_in = data.draw(st.text(max_size=3))
    n_cut = data.draw(st.integers(0, 3))
    other = SAID[:at] + put_in + SAID[at + n_cut :]
    if other != SAID:
        refused(other, chosen, allowed, library.catalog, "not the approved rendering")


@pytest.mark.parametrize(
    "text", ["", "Thank you, €2.50 received.", SAID + "\n", SAID.replace("\n", " "), SAID.replace("€2.50", "€ 2.50"), "Anything."]
)
def test_texts_that_say_less_more_or_otherwise_are_refused(library, turn, text):
    refused(text, turn[1], turn[0], library.catalog, "not the approved rendering of 'paid'")


def test_obligations_are_said_all_and_in_order(library, turn):
    allowed, chosen = turn
    for obligations in ((), allowed.obligations[:1], tuple(replace(one, is_after=not one.is_after) for one in allowed.obligations)):
        refused(compose(chosen, obligations), chosen, allowed, library.catalog, "not the approved rendering")


def test_an_option_that_is_not_among_the_allowed_is_refused_even_if_it_is_equal(library, turn):
    allowed, chosen = turn
    refused(SAID, replace(chosen), allowed, library.catalog, "'paid' is not among the options allowed this turn")


def test_a_response_that_is_not_the_catalogs_is_refused(library, turn):
    allowed, chosen = turn
    other = replace(chosen, response=replace(chosen.response, when="never"))
    refused(SAID, other, replace(allowed, options=(other,)), library.catalog, "'paid' is not the catalog's response of that id")
    without = replace(library.catalog, responses=MappingProxyType({}))
    refused(SAID, chosen, allowed, without, "is not the catalog's response")


@pytest.mark.parametrize(
    ("today", "is_in_force"),
    [(dt.date(2089, 12, 31), False), (dt.date(2090, 1, 1), True), (dt.date(2090, 1, 31), True), (dt.date(2090, 2, 1), False)],
)
def test_an_approval_is_in_force_from_its_first_to_its_last_day(library, today, is_in_force):
    then = dt.date(2090, 1, 15)
    allowed = allow(library, library.state_type(), library.heard_type(), Memory(), locale="en", today=then)
    chosen = next(option for option in allowed.options if option.id == "amnesty")
    text = compose(chosen, allowed.obligations)
    if is_in_force:
        verify(text, chosen, allowed, library.catalog, today)
    else:
        refused(text, chosen, allowed, library.catalog, "the approval of 'amnesty' is not in force", today)


def test_slots_or_locales_that_the_template_does_not_know_are_refused(library, turn):
    allowed, chosen = turn
    for broken, match in (
        (replace(chosen, slots={}), "cannot be filled"),
        (replace(chosen, slots={"fine": 2.5}), "cannot be filled"),
        (replace(chosen, locale="fr"), "no approved text for 'fr'"),
    ):
        refused(SAID, broken, replace(allowed, options=(broken,)), library.catalog, match)


# -- sabotage inside the turn -------------------------------------------------------------------------------


@pytest.fixture
def dialogue(library):
    constrained.logic.option_builder._BUILDERS.pop(library, None)  # what was rendered before a renderer was broken
    yield Dialogue(library, engine=ScriptedEngine(lambda message: "welcome"))
    constrained.logic.option_builder._BUILDERS.pop(library, None)


def nothing_is_said(dialogue):
    with pytest.raises(VerificationError):
        dialogue.reply("Good morning")
    assert dialogue.log.records == ()


def test_a_broken_composer_gets_nothing_said(dialogue, monkeypatch):
    for broken in (
        lambda *_: "Anything the model likes.",
        lambda chosen, *_: chosen.text,
        lambda *_: "",
        lambda *_: compose(*_) + " ",
    ):
        monkeypatch.setattr(constrained.dialogue.dialogue, "compose", broken)
        nothing_is_said(dialogue)


def test_a_broken_renderer_gets_nothing_said(dialogue, monkeypatch):
    module = importlib.import_module("constrained.catalog.render")
    render = module.render
    for broken in (lambda *_: "Anything the model likes.", lambda *_: render(*_) + ".", lambda *_: ""):
        constrained.logic.option_builder._BUILDERS.pop(dialogue.policy, None)
        monkeypatch.setattr(module, "render", broken)
        nothing_is_said(dialogue)


def test_a_decision_for_something_else_gets_nothing_said(dialogue, monkeypatch):
    decide = Dialogue._decide

    def broken(self, taken, heard, allowed):
        decision = decide(self, taken, heard, allowed)
        return replace(decision, chosen=replace(decision.chosen, response=self.catalog["quiet"], text="Quiet!"))

    monkeypatch.setattr(Dialogue, "_decide", broken)
    nothing_is_said(dialogue)


def test_texts_changed_in_memory_get_nothing_said(dialogue, monkeypatch):
    real = constrained.dialogue.dialogue.run

    def broken(*args, **kwargs):
        ran = real(*args, **kwargs)
        options = tuple(replace(option, text=option.text + " And a discount.") for option in ran.allowed.options)
        return replace(ran, allowed=replace(ran.allowed, options=options))

    monkeypatch.setattr(constrained.dialogue.dialogue, "run", broken)
    nothing_is_said(dialogue)
