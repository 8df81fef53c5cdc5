"""The offer of a response: a text of its own, that no model chooses and no policy yields."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml

from constrained import Catalog
from constrained.analysis.check import load_anew
from constrained.approval.rewrite import rewrite
from constrained.catalog.lint import lint
from constrained.catalog.load import catalog_from
from constrained.catalog.response import version_hash
from constrained.errors import CatalogError, PolicyError

DESK = """\
catalog: desk
version: 1
locale: en
speaker: Pat
fallback: pardon
way_out: human
responses:
  pardon: {text: {en: "Pardon?", es: "¿Cómo dice?"}, when: nothing else fits}
  human: {text: {en: "Call 555.", es: "Llame al 555."}, when: the user wants a person, examples: ["a person, please"]}
  block_card:
    text: {en: "Card {card} is blocked.", es: "Tarjeta {card} bloqueada."}
    offer:
      en: "Do you want me to block your card?"
      es: "¿Quiere que bloquee su tarjeta?"
    slots: {card: text}
    tags: [cards]
    voice: blocked
    when: the user wants to block a card
    examples: ["block my card"]
  pay:
    text: "{amount} to {name} is paid."
    offer: "Shall I pay {amount}?"
    slots: {amount: {type: money, currency: EUR}, name: text}
    when: the user wants to pay
    examples: ["pay"]
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    path = tmp_path / "desk.yaml"
    path.write_text(DESK, encoding="utf-8")
    return path


def changed(**changes: object) -> dict[str, object]:
    data = yaml.safe_load(DESK)
    data["responses"]["block_card"] |= changes
    return data


def test_an_offer_is_a_response_beside_the_one_it_asks_about(desk: Path):
    catalog = Catalog.load(desk)
    offer, asked = catalog["block_card.offer"], catalog["block_card"]
    assert catalog.offer("block_card") is offer
    assert catalog.offer("pardon") is None
    assert [*catalog.responses] == ["pardon", "human", "block_card", "block_card.offer", "pay", "pay.offer"]
    assert offer.texts["es"].literal == "¿Quiere que bloquee su tarjeta?"
    assert (offer.offer_of, offer.tags, offer.voice, offer.examples, offer.claims) == ("block_card", asked.tags, "blocked.offer", {}, "")
    assert offer.source.line == 12
    assert version_hash(offer, "en") != version_hash(asked, "en")


def test_an_offer_has_the_slots_that_its_text_uses(desk: Path):
    catalog = Catalog.load(desk)
    assert [*catalog["block_card.offer"].slots] == []
    assert [*catalog["pay.offer"].slots] == ["amount"]


def test_a_catalog_without_offers_keeps_its_hash():
    data = yaml.safe_load(DESK)
    del data["way_out"]
    for response in data["responses"].values():
        response.pop("offer", None)
    plain = catalog_from(data)
    assert plain.hash == "sha256:" + plain.hash.removeprefix("sha256:")
    assert catalog_from(data | {"way_out": "human"}).hash != plain.hash
    assert not any(response.offer_of for response in plain.responses.values())


def test_the_words_of_an_offer_are_part_of_the_hash():
    assert catalog_from(changed(offer="Block it?")).hash != catalog_from(changed(offer="Block it now?")).hash


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        ("Block {crad}?", "has the slot 'crad', which is not declared"),
        ("", "is empty"),
        (3, "must be text, or a mapping of locale to text"),
        (None, "has no value"),
        ({"es": "¿Bloqueo?"}, "has no text for the default locale 'en'"),
        ({"en": "Block?", "fr": "Bloquer ?"}, "asks in 'fr' about what is not said in 'fr'"),
        ({"en": "Block {card}?", "es": "¿Bloqueo?"}, "lacks the slot 'card'"),
        ("Pardon?", "says in 'en' the same as 'pardon'"),
        ("<|im_end|>", "holds"),
    ],
)
def test_an_offer_that_does_not_fit_is_refused(offer: object, message: str):
    with pytest.raises(CatalogError) as caught:
        catalog_from(changed(offer=offer))
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("way_out", "message"),
    [
        ("humna", "is not a response"),
        ("pardon", "is the fallback"),
        ("block_card.offer", "is not a response"),
        ("block_card", "has slots"),
    ],
)
def test_a_way_out_that_could_not_be_said_is_refused(way_out: str, message: str):
    with pytest.raises(CatalogError, match="is not a catalog") as caught:
        catalog_from(yaml.safe_load(DESK) | {"way_out": way_out})
    assert [problem for problem in caught.value.problems if message in problem.message]


def test_an_offer_is_no_fallback():
    with pytest.raises(CatalogError):
        catalog_from(yaml.safe_load(DESK) | {"fallback": "block_card.offer"})


def test_a_sheet_changes_an_offer_where_it_stands(desk: Path):
    after = rewrite(desk, {("block_card.offer", "es"): "¿La bloqueo?", ("pay.offer", "en"): "Do you want to pay {amount}?"})
    assert after["block_card.offer"].texts["es"].source == "¿La bloqueo?"
    assert after["pay.offer"].texts["en"].source == "Do you want to pay {amount}?"
    assert "offer:\n      en:" in desk.read_text(encoding="utf-8")


def test_nobody_is_advised_to_describe_an_offer(desk: Path):
    assert not [problem for problem in lint(Catalog.load(desk)) if "offer" in problem.message]


def test_dates_of_an_approval_line_hold_for_the_offer_too():
    data = changed(approval={"by": "Ann", "on": "2026-01-15"})
    catalog = catalog_from(data, today=dt.date(2026, 2, 1))
    assert catalog["block_card.offer"].approval == catalog["block_card"].approval


def test_no_policy_yields_an_offer(tmp_path: Path, desk: Path):
    logic = tmp_path / "logic.py"
    logic.write_text(
        "from constrained import State, policy, say\n\n\n"
        "class Desk(State):\n    pass\n\n\n"
        f"@policy({str(desk)!r})\n"
        "def rules(state: Desk):\n"
        "    yield say('pay', amount=3, name='Ann')\n    yield say('block_card', card='1')\n    yield say('block_card.offer')\n",
        encoding="utf-8",
    )
    with pytest.raises(PolicyError) as caught:
        load_anew(str(logic), "rules")
    assert [problem.message for problem in caught.value.problems] == ["'block_card.offer' is an offer; no policy yields it"]
