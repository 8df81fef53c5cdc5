"""Loading: what a file says is what a Catalog holds, equal content has one hash, nothing but CatalogError comes out."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from constrained.catalog.load import catalog_from, load_catalog
from constrained.catalog.render import render
from constrained.catalog.response import Approval, Catalog, Slot, Source
from constrained.errors import CatalogError
from tests.catalog.catalogs import TAVERN, TODAY, catalog_data, small
from tests.strategies import json_values


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | bytes], Path]:
    """Writes a file with this text, over the one before."""
    path = tmp_path_factory.mktemp("catalogs") / "catalog.yaml"

    def write(text: str | bytes) -> Path:
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return path

    return write


@pytest.fixture
def tavern(tmp_path: Path) -> Catalog:
    path = tmp_path / "tavern.yaml"
    path.write_text(TAVERN, encoding="utf-8")
    return load_catalog(path, today=TODAY)


def test_a_catalog_loads_itself_with_the_same_errors(tavern: Catalog, tmp_path: Path) -> None:
    loaded = Catalog.load(tavern.path, today=TODAY)
    assert (loaded.hash, loaded.path) == (tavern.hash, tavern.path)
    with pytest.raises(CatalogError) as of_function:
        load_catalog(tmp_path / "nowhere.yaml")
    with pytest.raises(CatalogError) as of_class:
        Catalog.load(tmp_path / "nowhere.yaml")
    assert str(of_class.value) == str(of_function.value)
    assert of_class.value.problems == of_function.value.problems


def test_a_file_becomes_values(tavern: Catalog) -> None:
    assert (tavern.name, tavern.version, tavern.locale, tavern.fallback) == ("tavern", 3, "en", "pardon")
    assert (tavern.speaker, tavern.persona) == ("Brom, the innkeeper", "Gruff, fair, hates haggling.")
    assert list(tavern.responses) == ["pardon", "sell_key"]
    sell_key = tavern["sell_key"]
    assert sell_key.slots == {"price": Slot("price", "integer")}
    assert sell_key.texts["es"].slots == {"price"}
    assert (sell_key.key, sell_key.when) == ("sell key", "the player wants to buy the cellar key")
    assert sell_key.examples == {"en": ("here's the money for the key", "I'll pay you fifty")}
    assert (sell_key.tags, sell_key.voice, sell_key.exact_locale) == ({"trade"}, "brom_sell_key", False)
    assert sell_key.approval == Approval("Writers' room", dt.date(2026, 1, 15), dt.date(2027, 12, 31))
    assert sell_key.source == Source(tavern.path, 11, 3)
    assert "sell_key" in tavern
    assert "nothing" not in tavern


def test_words_of_yaml_1_1_stay_words(written: Callable[[str | bytes], Path]) -> None:
    """``on`` as a key, ``no`` as a locale or an example: YAML 1.1 would read true and false."""
    text = (
        TAVERN.replace("locale: en\n", "locale: no\n")
        .replace("{en: ", "{no: ")
        .replace("      en: ", "      no: ")
        .replace('["here\'s the money for the key"', "[yes, no, off")
    )
    catalog = load_catalog(written(text), today=TODAY)
    assert catalog["sell_key"].examples["no"][:3] == ("yes", "no", "off")


@pytest.mark.parametrize("change", ["\ufeff" + TAVERN, TAVERN.replace("\n", "\r\n"), "---\n" + TAVERN + "...\n", "# a comment\n" + TAVERN])
def test_byte_order_mark_line_ends_and_comments_do_not_matter(written: Callable[[str | bytes], Path], change: str, tavern: Catalog) -> None:
    assert load_catalog(written(change), today=TODAY).hash == tavern.hash


def test_texts_are_normalised_and_stripped() -> None:
    catalog = catalog_from(small(said={"text": "  Zoe\u0308 says:\n  hi \n", "when": " x "}))
    assert (catalog["said"].texts["en"].literal, catalog["said"].when) == ("Zoë says:\n  hi", "x")


def test_tags_of_locales_get_their_canonical_form() -> None:
    data = small(said={"text": {"EN": "Hi.", "zh-hant-tw": "你好"}, "when": "x", "examples": {"en-gb": ["hi"]}})
    data["locale"] = "EN"
    catalog = catalog_from(data)
    assert catalog.locale == "en"
    assert set(catalog["said"].texts) == {"en", "zh-Hant-TW"}
    assert set(catalog["said"].examples) == {"en-GB"}


def test_a_catalog_cannot_change_and_can_be_copied(tavern: Catalog) -> None:
    for mapping in (tavern.responses, tavern["sell_key"].texts, tavern["sell_key"].slots, tavern["sell_key"].examples):
        with pytest.raises(TypeError, match="immutable"):
            mapping["x"] = 1  # type: ignore[index]  # the point of the test
    copied = pickle.loads(pickle.dumps(tavern))
    assert copied.responses == copy.deepcopy(tavern).responses == tavern.responses
    assert render(copied["sell_key"], {"price": 5}, "en") == render(tavern["sell_key"], {"price": 5}, "en")
    assert len({hash(response) for response in tavern.responses.values()}) == 2


# -- the content hash --------------------------------------------------------------------------------


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        order.shuffle(items)
        return {key: shuffled(item, order) for key, item in items}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(catalog_data(), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_the_way_to_write_them_do_not_matter(
    written: Callable[[str | bytes], Path], data: dict[str, Any], order: random.Random
) -> None:
    catalog = catalog_from(data, today=TODAY)
    other = shuffled(data, order)
    as_file = yaml.safe_dump(other, allow_unicode=order.random() < 0.5, sort_keys=False, default_flow_style=order.random() < 0.5)
    assert catalog_from(other, today=TODAY).hash == catalog.hash
    assert load_catalog(written(as_file), today=TODAY).hash == catalog.hash


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all texts that may change without making the catalog invalid."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    kept = {"catalog", "locale", "fallback", "type", "currency", "on", "slots", "max_length", "exact_locale", "version", "aliases"}
    return [] if kept & set(path) else [path]


@given(catalog_data(), st.data())
def test_any_change_of_a_text_changes_the_hash(data: dict[str, Any], drawn: st.DataObject) -> None:
    before = catalog_from(data, today=TODAY).hash
    path = drawn.draw(st.sampled_from(leaves(data)))
    inner: Any = data
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] += "Z"
    assert catalog_from(data, today=TODAY).hash != before


@pytest.mark.parametrize(
    "change",
    [
        {"when": "y"},
        {"key": "another"},
        {"tags": ["trade"]},
        {"voice": "v"},
        {"exact_locale": True},
        {"examples": ["hi"]},
        {"approval": {"by": "me", "on": "2026-01-01"}},
        {"approval": {"by": "me", "on": "2026-01-01", "until": "2030-01-01"}},
        {"slots": {"x": "decimal"}},
        {"slots": {"x": {"type": "money", "currency": "EUR"}}},
        {"slots": {"x": {"type": "money", "currency": "GBP"}}},
        {"slots": {"x": {"type": "text", "max_length": 9}}},
        {"slots": {"x": {"type": "choice", "of": ["ale"]}}},
        {"text": {"en": "{x}", "de": "{x}."}},
    ],
)
def test_every_field_is_in_the_hash(change: dict[str, Any]) -> None:
    base = {"text": "{x}", "slots": {"x": "integer"}, "when": "x"}
    assert catalog_from(small(said=base | change)).hash != catalog_from(small(said=base)).hash


HASH_OF_SMALL = "959d38eeb9afb6d508af631e4872591a20e1151b7244ab8d5b27d2fc5dae4ca3"


def test_the_hash_stays_what_it_was() -> None:
    """Records of the past name it: a change of the canonical form would orphan them."""
    assert catalog_from(small()).hash == "sha256:" + HASH_OF_SMALL


def test_the_parts_of_a_slot_are_in_the_hash() -> None:
    kinds: list[dict[str, Any]] = [
        {"type": "text"},
        {"type": "text", "max_length": 9},
        {"type": "money", "currency": "EUR"},
        {"type": "money", "currency": "GBP"},
        {"type": "choice", "of": ["ale"]},
        {"type": "choice", "of": {"ale": "beer"}},
    ]
    hashes = [catalog_from(small(said={"text": "{x}", "slots": {"x": kind}, "when": "x"})).hash for kind in kinds]
    assert len(set(hashes)) == len(kinds)


def test_names_positions_and_defaults_are_not_in_the_hash() -> None:
    plain = small(said={"text": "{x}", "slots": {"x": "text"}, "when": "x"})
    spelt = small(said={"text": {"en": "{x}"}, "slots": {"x": {"type": "text", "max_length": 80}}, "when": "x", "key": "said", "tags": []})
    assert catalog_from(plain).hash == catalog_from(spelt, name="elsewhere").hash


# -- nothing but CatalogError ------------------------------------------------------------------------


def only_catalog_error(load: Any) -> None:
    try:
        loaded: Catalog | CatalogError = load()
    except CatalogError as error:
        loaded = error
    if isinstance(loaded, Catalog):
        assert loaded.fallback in loaded
    else:
        assert loaded.problems
        assert all(problem.message for problem in loaded.problems)
        assert str(loaded)


@given(st.binary(max_size=200))
def test_random_bytes(written: Callable[[str | bytes], Path], content: bytes) -> None:
    only_catalog_error(lambda: load_catalog(written(content), today=TODAY))


yaml_soup = st.lists(
    st.sampled_from(
        [
            *"{}[]:,-&*!|>'\"%@`#?~\n \t",
            "\n  ",
            "\n    ",
            ": ",
            "- ",
            "responses",
            "text",
            "when",
            "slots",
            "en",
            "{x}",
            "null",
            "!!map ",
            "*a",
            "&a ",
            "---\n",
            *[".nan", "1e400", "0x", "9" * 30, "\\ud800", "\ufeff", "\x85", "<<", "2026-13-45"],
        ]
    ),
    max_size=40,
).map("".join)


@given(yaml_soup)
def test_random_yaml(written: Callable[[str | bytes], Path], text: str) -> None:
    only_catalog_error(lambda: load_catalog(written(text), today=TODAY))


@given(st.integers(0, len(TAVERN)), st.integers(0, 30), yaml_soup)
def test_a_catalog_with_a_piece_torn_out(written: Callable[[str | bytes], Path], start: int, length: int, piece: str) -> None:
    only_catalog_error(lambda: load_catalog(written(TAVERN[:start] + piece + TAVERN[start + length :]), today=TODAY))


KEYS = [
    "catalog",
    "version",
    "locale",
    "fallback",
    "responses",
    "text",
    "slots",
    "when",
    "examples",
    "approval",
    "pardon",
    "en",
    "de",
    "of",
    "type",
]
wild_keys = st.sampled_from([*KEYS, "<text>", "<map>", "[key]", "by", "on", "until"]) | st.text(max_size=4)
wild = st.recursive(
    json_values
    | st.sampled_from(["en", "pardon", "{x}", "{", "integer", "money", "choice", "2026-01-01"])
    | st.dates()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(wild_keys, inner, max_size=4) | st.tuples(inner),
    max_leaves=10,
)


@given(st.dictionaries(wild_keys, wild, max_size=8))
def test_random_data(data: dict[str, Any]) -> None:
    only_catalog_error(lambda: catalog_from(data, today=TODAY))


@given(catalog_data(), st.data())
def test_a_valid_catalog_with_one_value_replaced(data: dict[str, Any], drawn: st.DataObject) -> None:
    inner, key = data, drawn.draw(st.sampled_from(list(data)))
    while isinstance(inner[key], dict) and inner[key] and drawn.draw(st.booleans()):
        inner = inner[key]
        key = drawn.draw(st.sampled_from(list(inner)))
    if drawn.draw(st.booleans()):
        inner[key] = drawn.draw(wild)
    else:
        inner[drawn.draw(wild_keys)] = inner.pop(key)
    only_catalog_error(lambda: catalog_from(data, today=TODAY))


def test_data_that_holds_itself() -> None:
    data = small()
    data["responses"]["pardon"]["text"] = data
    with pytest.raises(CatalogError, match="nested more than 12 deep"):
        catalog_from(data)


@pytest.mark.parametrize("data", [None, [], "catalog", 5, {}, {1: 2}, {"responses": {3: {}}}])
def test_data_of_the_wrong_shape(data: Any) -> None:
    with pytest.raises(CatalogError) as caught:
        catalog_from(data)
    assert caught.value.problems


def test_a_name_stands_for_the_file_in_problems() -> None:
    with pytest.raises(CatalogError) as caught:
        catalog_from({}, name="here")
    assert {problem.file for problem in caught.value.problems} == {"here"}
    assert str(caught.value).startswith("here is not a catalog: 5 problems\nhere: 'catalog' is missing\n")


def test_a_thousand_aliases_do_not_grow(written: Callable[[str | bytes], Path]) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    with pytest.raises(CatalogError) as caught:
        load_catalog(written(bomb))
    assert sum("the alias" in problem.message for problem in caught.value.problems) == 118


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "? " * 50_000], ids=["lists", "entries", "mappings", "keys"]
)
def test_depth_has_a_bound(written: Callable[[str | bytes], Path], text: str) -> None:
    with pytest.raises(CatalogError, match="nested more than 12 deep"):
        load_catalog(written(text))
