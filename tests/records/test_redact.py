"""Redacted views: numbers of cards and accounts do not show, other words do, and the record stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.records.log import MemoryLog
from constrained.records.redaction import SEALED, redacted, redacted_text, redacted_value
from constrained.records.sealing import SealedLog, SubjectKeys
from tests.strategies import record


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("my card 4111 1111 1111 1111 was stolen", "my card [card ending 1111] was stolen"),
        ("5500-0000-0000-0004", "[card ending 0004]"),
        ("378282246310005.", "[card ending 0005]."),
        ("4111 1111 1111 1112", "[number]"),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", "IBAN [account ending 3000], thanks"),
        ("gb33bukb20201555555555", "[account ending 5555]"),
        ("19-2000145399/0800", "[account ending 0800]"),
        ("reference 12345678", "reference [number]"),
        ("on 2026-03-02 I paid 1250.50 in Room 1234567", "on 2026-03-02 I paid 1250.50 in Room 1234567"),
        ("sixty gold, 2 ales", "sixty gold, 2 ales"),
    ],
)
def test_what_is_masked(text, shown):
    assert redacted_text(text) == shown


@given(
    st.integers(10**7, 10**25), st.sampled_from(["", " ", "-"]), st.text(st.characters(codec="ascii", categories=["Lu", "Ll"]), max_size=5)
)
def test_no_long_number_shows_as_it_was(number, separator, word):
    digits = str(number)
    text = separator.join(digits[start : start + 4] for start in range(0, len(digits), 4)) if len(digits) >= 13 else digits
    assert text not in redacted_text(f"{word} {text} {word}")


def test_a_view_masks_every_field_and_leaves_the_record_alone():
    card = "4111111111111111"
    one = record(
        message=card, text=f"Card {card} is blocked.", state={"cards": [card], "pan": int(card)}, effects=(f"block('{card}')",),
        blocked=({"id": "x", "reason": f"no {card}"},), heard=({"name": "card", "value": card, "probability": 1.0},),
    )  # fmt: skip
    assert card not in str(redacted(one))
    assert one.message == card


def test_what_is_sealed_is_named(tmp_path):
    view = redacted(SealedLog(MemoryLog(), SubjectKeys(tmp_path)).append(record()))
    assert (view["message"], view["state"], view["text"]) == (SEALED,) * 3
    assert view["decision"]["chosen"] == "greet"


@pytest.mark.parametrize("between", [" ", ".", "_", "/", "  ", "- ", "\u00a0", "\u2013", "\n"])
@pytest.mark.parametrize(("before", "after"), [("", ""), ("Visa", ""), ("n\u00ba", "x"), ("(", ")"), ("0,", "")])
def test_a_card_is_found_whatever_stands_between_and_beside(between, before, after):
    text = f"{before}{between.join(['4111', '1111', '1111', '1111'])}{after}"
    assert redacted_text(text) == f"{before}[card ending 1111]{after}"


def test_names_and_fractions_of_a_state_are_masked_too():
    value = {"4111111111111111": 1, "5500 0000 0000 0004": 2, "12345678": 3, "87654321": 4, "pan": 4111111111111111.0, "rate": 0.25}
    assert redacted_value(value) == {
        "[card ending 1111]": 1, "[card ending 0004]": 2, "[number]": 3, "[number] (2)": 4, "pan": "[number]", "rate": 0.25,
    }  # fmt: skip
