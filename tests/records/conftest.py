"""What the tests of stores share: a real PostgreSQL server for the session, and a place for each kind of log."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from constrained import Policy
from constrained.packs import load_policy_file
from tests.conftest import DESK


@pytest.fixture
def database(postgres: str) -> str:
    """An empty database of that server."""
    import psycopg

    name = f"log_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["jsonl", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a log of each kind is made."""
    if request.param == "postgres":
        return request.getfixturevalue("database")
    return str(tmp_path / {"jsonl": "audit.jsonl", "sqlite": "audit.db"}[request.param])


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Policy]:
    """The desk with words of its catalog or lines of its logic changed: ``edited(logic=[(old, new)])``."""

    def edit(**changes: list[tuple[str, str]]) -> Policy:
        for folder, name in (("catalogs", "library.yaml"), ("logic", "library.py")):
            text = (DESK / folder / name).read_text(encoding="utf-8")
            for old, new in changes.get(folder, ()):
                assert old in text
                text = text.replace(old, new)
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / name).write_text(text, encoding="utf-8")
        return load_policy_file(tmp_path / "logic" / "library.py")

    return edit
