"""The JSON Schema: editors complete and check with it what loading checks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given

from constrained.catalog.load import catalog_from
from constrained.catalog.schema import CatalogFile, json_schema
from constrained.errors import CatalogError
from tests.catalog.catalogs import TODAY, catalog_data, small


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def is_valid(data: Any) -> bool:
    jsonschema = pytest.importorskip("jsonschema")
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(as_json(data)))


def test_it_is_a_schema_of_2020_12_with_a_title() -> None:
    schema = json_schema()
    assert (schema["$schema"], schema["title"]) == ("https://json-schema.org/draft/2020-12/schema", "Constrained catalog")
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(CatalogFile.model_fields)


def test_every_key_is_described() -> None:
    schema = json_schema()
    models = [schema, *schema["$defs"].values()]
    without = [name for model in models for name, spec in model.get("properties", {}).items() if not spec.get("description")]
    assert not without
    assert all(model["additionalProperties"] is False for model in models)
    assert "null" not in str(schema)


@given(catalog_data())
def test_what_loads_is_valid(data: dict[str, Any]) -> None:
    catalog_from(data, today=TODAY)
    assert is_valid(data)


SAID: dict[str, Any] = {"text": "{x}", "slots": {"x": "text"}, "when": "x"}


@pytest.mark.parametrize(
    "change",
    [
        {"text": 5},
        {"text": " "},
        {"text": {"english": "A"}},
        {"text": {}},
        {"when": ""},
        {"when": None},
        {"wehn": "x"},
        {"slots": {"x": "money"}},
        {"slots": {"x": {"type": "money"}}},
        {"slots": {"x": {"type": "text", "max_length": 0}}},
        {"slots": {"x": {"type": "choice", "of": "ale"}}},
        {"slots": {"X": "text"}},
        {"examples": "hi"},
        {"examples": {"en": "hi"}},
        {"approval": {"by": "me"}},
        {"approval": None},
        {"exact_locale": "yes"},
        {"voice": None},
    ],
    ids=str,
)
def test_what_the_schema_refuses_does_not_load_either(change: dict[str, Any]) -> None:
    assert is_valid(small(said=SAID))
    data = small(said=SAID | change)
    assert not is_valid(data)
    with pytest.raises(CatalogError):
        catalog_from(data)
