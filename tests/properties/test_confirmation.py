"""No message whatsoever turns an open confirmation into its act unless it is read as a yes, however sure an engine is of the act."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.dialogue.context import clean_message
from constrained.engines.protocol import Distribution
from constrained.records.replay import replay
from constrained.testing import ScriptedEngine
from constrained.understanding.answers import read_answer
from constrained.understanding.value_words import each
from tests.small_desks.desks import LOCALES, desk
from tests.strategies import HOSTILE, naughty_strings

FORMS = ["{}", "not {}", "don't {}", "{}, but not today", "maybe {}", "no, {}", "{}?", "if it is free, {}", "I'd rather not {}",
         "{} or not",
         "no {}", "quizás {}", "{}, pero hoy no", "nicht {}", "vielleicht {}", "{}, aber nicht heute", "ne pas {}", "peut-être {}",
         "pas {}",
         "yes {}", "yes, but {}", "{} yes", "sí {}", "ja {}", "oui {}"]  # fmt: skip
WORDS = each(
    "yes no not file it claim maybe but 78 please ok shall a of don't if the ? sí ja oui nein non pero aber mais never cancel why 👍 👎"
)


class Sure:
    """An engine that is certain of the act, and hears nothing."""

    identity = MappingProxyType({"model": "sure"})

    def choose(self, choices, scene, deadline=None):
        return [self._answer(choice) for choice in choices]

    def _answer(self, choice):
        keys = [candidate.key.split(":", 1)[-1] for candidate in choice.candidates]
        at = keys.index("filed") if "filed" in keys else len(keys) - 1
        return Distribution(tuple(float(index == at) for index in range(len(keys))), "exact")


@cache
def examples():
    """What users of the other desks say."""
    names = ("bank", "coach", "smith", "card")
    return tuple(
        one for name in names for response in desk(name).catalog.responses.values() for many in response.examples.values() for one in many
    )


def answered(message, locale):
    """The turn that answers "Shall I file a claim for 77?", and how the message reads as an answer."""
    policy = desk("claims")
    told = ScriptedEngine(["which_parcel", {"parcel": 77, "reply": "shall_i_file"}], is_told=True)
    lead, state = Dialogue(policy, engine=told, locale=locale), policy.state_type()
    for said in ("a claim", "it is 77"):
        state = lead.reply(said, state).apply(state)
    turn = lead.fork(Sure()).reply(message, state)
    assert all(one.is_same for one in replay(policy, [turn.record]))
    return turn, read_answer(clean_message(message), locale, policy.catalog["shall_i_file"].texts[locale].source)


@settings(max_examples=250, deadline=None)
@given(
    message=st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
        st.builds(lambda form, said: form.format(said.replace("{", "(")), st.sampled_from(FORMS), st.sampled_from(examples())),
        st.sampled_from(HOSTILE[:-3]),
    ),
    locale=st.sampled_from(LOCALES),
)
def test_no_message_acts_unless_the_answer_reader_says_yes(message, locale):
    """The reader: the phrases, or where they leave it open the judge that is fitted on answers."""
    turn, answer = answered(message, locale)
    assert turn.effects or answer != "yes"
    assert not turn.effects or turn.decision.ruling.answer == "yes"


@pytest.mark.parametrize("locale", LOCALES)
def test_no_naughty_string_acts(locale):
    acted = [one for one in naughty_strings()[::4] if (found := answered(one, locale)) and found[0].effects and found[1] != "yes"]
    assert acted == []


@pytest.mark.parametrize("form", [one for one in FORMS if not one.startswith(("{}", "yes", "sí", "ja", "oui"))])
@pytest.mark.parametrize("said", ["cancel my card", "file it", "yes"])
def test_a_negated_or_hedged_form_never_acts(form, said):
    for locale in LOCALES:
        assert answered(form.format(said), locale)[0].effects == () or read_answer(form.format(said), locale, "") == "yes"
