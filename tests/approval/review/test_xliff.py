"""XLIFF: well-formed, slots kept, and a round trip changes nothing."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constrained.approval.rewrite import rewrite
from constrained.approval.translations import from_xliff, to_xliff
from constrained.catalog.load import catalog_from, load_catalog
from constrained.catalog.template import join_variants
from constrained.errors import CatalogError
from tests.approval.office import Office
from tests.catalog.catalogs import catalog_data, small
from tests.strategies import ROOT

N = "{urn:oasis:names:tc:xliff:document:2.0}"


def test_a_pack_in_two_languages_comes_back_as_it_was(tmp_path: Path) -> None:
    catalog = load_catalog(ROOT / "catalogs" / "clinic_booking.yaml")
    (tmp_path / "c.xlf").write_bytes(to_xliff(catalog, "es"))
    root = xml.parse(tmp_path / "c.xlf").getroot()
    assert (root.get("version"), root.get("srcLang"), root.get("trgLang")) == ("2.1", "en", "es")
    assert len(list(root.iter(f"{N}unit"))) == len(catalog.responses)
    assert from_xliff(catalog, tmp_path / "c.xlf") == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=catalog_data())
def test_a_round_trip_of_any_catalog_changes_nothing(data: Any, tmp_path: Path) -> None:
    catalog = catalog_from(data, today=dt.date(2026, 3, 2))
    for target in ("de", "ar", "fr"):
        (tmp_path / "c.xlf").write_bytes(to_xliff(catalog, target))
        assert from_xliff(catalog, tmp_path / "c.xlf") == {}


def exported(office: Office) -> tuple[Path, str]:
    path = office.root / "desk.xlf"
    return path, to_xliff(office.catalog, "fr").decode()


SOURCE = '<source><ph id="price-1" equiv="{price}" canDelete="no" canCopy="no" /> coins.</source>'


def test_a_translation_becomes_a_text_that_waits_for_an_approval(office: Office) -> None:
    office.approve("Dana")
    path, content = exported(office)
    target = '<target>Coûte {juste} <mrk id="m1" type="term"><ph id="price-1"/></mrk> pièces.</target>'
    path.write_text(content.replace(SOURCE, SOURCE + target), encoding="utf-8")
    read = from_xliff(office.catalog, path)
    assert read == {("price", "fr"): "Coûte {{juste}} {price} pièces."}
    rewrite(office.path, read)
    assert office.reasons()["price fr"] == "is not approved"


def test_a_text_that_a_tool_cut_into_sentences_is_joined(office: Office) -> None:
    path, content = exported(office)
    cut = (
        "<segment><source>Mind</source><target>Attention</target></segment><ignorable><source> </source></ignorable>"
        "<segment><source>the gap.</source><target>à la marche.</target></segment>"
    )
    old = content[content.index("<segment", content.index('id="warning"')) :]
    path.write_text(content.replace(old[: old.index("</segment>") + 10], cut), encoding="utf-8")
    assert from_xliff(office.catalog, path) == {("warning", "fr"): "Attention à la marche."}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Mind the gap.", "Mind the step."), "the text of 'warning' was changed since"),
        (('id="warning"', 'id="warming"'), "has no response 'warming'"),
        ((SOURCE, SOURCE + '<target><ph id="cost-1"/></target>'), "<ph id='cost-1'>, which is none of its slots"),
        ((SOURCE, SOURCE + "<target>Des pièces.</target>"), "the translation of 'price' lost the placeholder {price}"),
        (("<?xml", "<!DOCTYPE x><?xml"), "document type"),
        (("</xliff>", ""), "not XML"),
        (('version="2.1"', 'version="1.2"'), "not XLIFF 2.0 or 2.1"),
        (('srcLang="en"', 'srcLang="de"'), "translates 'de'"),
    ],
)
def test_what_cannot_be_taken_is_told(change: tuple[str, str], message: str, office: Office) -> None:
    path, content = exported(office)
    assert change[0] in content
    path.write_text(content.replace(*change), encoding="utf-8")
    with pytest.raises(CatalogError) as caught:
        from_xliff(office.catalog, path)
    assert [problem for problem in caught.value.problems if message in problem.message], caught.value


CATALOG: dict[str, Any] = small(
    greet={"text": {"en": "Aye?", "es": "Si?"}, "variants": {"en": ["What'll it be, {{sir}}?", "Speak."], "es": ["Dime."]}, "when": "hi"},
    wait={"text": "Wait {n, plural, one {# day} other {# days}}, {name}.", "slots": {"n": "integer", "name": "text"}, "when": "when"},
)


def translate(content: bytes, targets: dict[str, str]) -> bytes:
    """The file with these texts as targets, as a tool would write them."""
    root = xml.fromstring(content)
    for unit in root.iter(f"{N}unit"):
        if unit.get("id") in targets:
            segment = unit.find(f"{N}segment")
            assert segment is not None
            target = segment.find(f"{N}target")
            (xml.SubElement(segment, f"{N}target") if target is None else target).text = targets[str(unit.get("id"))]
    out: bytes = xml.tostring(root)
    return out


RUSSIAN = "{name}: {n, plural, one {# день} few {# дня} many {# дней} other {# дня}}."


@pytest.mark.parametrize(
    ("target", "targets", "expected"),
    [
        ("es", {"greet.2": "Que va a ser, {se\u00f1or}?"}, {"greet": "Si? |{}| Que va a ser, {{se\u00f1or}}?"}),
        ("es", {"greet.3": "Habla."}, {"greet": "Si? |{}| Dime. |{}| Habla."}),
        ("fr", {"greet.2": "Alors?", "greet.3": "Parle."}, {"greet": "Alors? |{}| Parle."}),
        ("ru", {"wait": RUSSIAN, "greet": "|{}|"}, {"wait": RUSSIAN, "greet": "|{{}}|"}),
    ],
)
def test_every_variant_is_a_unit_and_a_plural_is_kept_whole(
    target: str, targets: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    catalog, path = catalog_from(CATALOG), tmp_path / "c.xlf"
    path.write_bytes(translate(to_xliff(catalog, target), targets))
    assert from_xliff(catalog, path) == {(name, target): text for name, text in expected.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{n, plural, one {# dia}", "the translation of 'wait': the plural of 'n' is not closed"),
        ("{n, plural, other {#}}", "lost the placeholder {name}"),
    ],
)
def test_a_plural_that_is_none_is_told(text: str, message: str, tmp_path: Path) -> None:
    catalog, path = catalog_from(CATALOG), tmp_path / "c.xlf"
    path.write_bytes(translate(to_xliff(catalog, "ru"), {"wait": text}))
    with pytest.raises(CatalogError) as caught:
        from_xliff(catalog, path)
    assert message in caught.value.problems[0].message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=catalog_data(), chosen=st.data())
def test_translated_targets_change_those_texts_and_no_other(data: Any, chosen: st.DataObject, tmp_path: Path) -> None:
    path, sheet = tmp_path / "c.yaml", tmp_path / "c.xlf"
    path.write_text(json.dumps(data, default=str, ensure_ascii=False), encoding="utf-8")
    catalog = load_catalog(path, today=dt.date(2026, 3, 2))
    before, target = path.read_bytes(), chosen.draw(st.sampled_from(["de", "ar", "fr"]))
    free = [one.id for one in catalog.responses.values() if not one.slots]
    new = {name: f"new {number}" for number, name in enumerate(chosen.draw(st.lists(st.sampled_from(free), unique=True)))}
    sheet.write_bytes(translate(to_xliff(catalog, target), new))
    found = from_xliff(catalog, sheet)
    assert {name for name, _ in found} == set(new)
    rewrite(path, found)
    after = load_catalog(path, today=dt.date(2026, 3, 2))
    for one in catalog.responses.values():
        texts = {locale: text.source for locale, text in one.texts.items()}
        if one.id in new:
            others = one.texts[target].each[1:] if target in one.texts else ()
            texts[target] = join_variants([new[one.id], *(text.source for text in others)])
        assert {locale: text.source for locale, text in after[one.id].texts.items()} == texts
    assert new or path.read_bytes() == before


def test_a_unit_that_stands_twice_is_told(office: Office) -> None:
    path, content = exported(office)
    unit = content[content.index("<unit") : content.index("</unit>") + len("</unit>")]
    path.write_text(content.replace(unit, unit + unit), encoding="utf-8")
    with pytest.raises(CatalogError, match="stands in two units"):
        from_xliff(office.catalog, path)


def test_a_target_is_known_however_it_is_written(office: Office) -> None:
    path, content = exported(office)
    target = '<target><ph id="price-1"/> monedas.</target>'
    path.write_text(content.replace(SOURCE, SOURCE + target).replace('trgLang="fr"', 'trgLang="ES-mx"'), encoding="utf-8")
    assert from_xliff(office.catalog, path) == {("price", "es-MX"): "{price} monedas."}


@pytest.mark.parametrize("encoding", ["no-such", "utf-7", "rot13", "utf-32"])
def test_an_encoding_that_is_none_is_told(office: Office, encoding: str) -> None:
    path, content = exported(office)
    path.write_text(content.replace("encoding='utf-8'", f"encoding='{encoding}'"), encoding="utf-8")
    with pytest.raises(CatalogError):
        from_xliff(office.catalog, path)


def test_a_text_that_nests_too_deep_is_told(office: Office) -> None:
    path, content = exported(office)
    target = "<target>" + "<mrk>" * 20_000 + "</mrk>" * 20_000 + "</target>"
    path.write_text(content.replace(SOURCE, SOURCE + target), encoding="utf-8")
    with pytest.raises(CatalogError, match="nests too deep"):
        from_xliff(office.catalog, path)
