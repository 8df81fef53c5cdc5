"""An edited pack is served from the next turn on when its check passes; else the old one stays."""

from __future__ import annotations

import shutil

import pytest

from constrained import ConstrainedError
from constrained.serve.packs import Packs
from constrained.serve.server import Reloader
from tests.serve.conftest import DESK

FALLBACK = "Sorry, I did not follow. You can borrow, return or reserve a book."


@pytest.fixture
def packs(tmp_path, monkeypatch):
    for folder in ("catalogs", "logic"):
        shutil.copytree(DESK / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return Packs.named(("library",))


def edit(folder, old, new):
    path = folder / "catalogs" / "library.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edit_that_passes_is_taken_over(packs, tmp_path):
    before = packs.get("library")
    assert packs.changed() == []
    edit(tmp_path, FALLBACK, "Pardon me?")
    assert packs.changed() == ["library"]
    packs.reload("library")
    assert packs.changed() == []
    after = packs.get("library")
    assert after.catalog["sorry"].texts["en"].literal == "Pardon me?"
    assert before.catalog["sorry"].texts["en"].literal == FALLBACK


def test_a_catalog_that_the_logic_names_by_its_path_is_watched(packs, tmp_path):
    logic, catalog = tmp_path / "logic" / "library.py", tmp_path / "catalogs" / "library.yaml"
    text = logic.read_text(encoding="utf-8")
    assert '@policy("library"' in text
    logic.write_text(text.replace('@policy("library"', '@policy("../catalogs/words.yaml"'), encoding="utf-8")
    words = tmp_path / "catalogs" / "words.yaml"
    words.write_text(catalog.read_text(encoding="utf-8"), encoding="utf-8")
    packs.reload("library")
    assert packs.changed() == []
    words.write_text(words.read_text(encoding="utf-8").replace(FALLBACK, "Pardon me?"), encoding="utf-8")
    assert packs.changed() == ["library"]
    packs.reload("library")
    assert packs.changed() == []
    assert packs.get("library").catalog["sorry"].texts["en"].literal == "Pardon me?"


@pytest.mark.parametrize("edited", [("fallback: sorry", "fallback: nothing"), ("  secret:", "  renamed:")])
def test_an_edit_that_fails_is_refused_once(packs, tmp_path, edited):
    before = packs.get("library")
    edit(tmp_path, *edited)
    with pytest.raises(ConstrainedError):
        packs.reload("library")
    assert packs.get("library") is before
    assert packs.changed() == []  # it is not tried again and again
    edit(tmp_path, *reversed(edited))
    packs.reload("library")
    assert packs.get("library").hash == before.hash


def test_a_policy_that_fails_its_check_is_refused(packs, tmp_path):
    path = tmp_path / "logic" / "library.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('yield must("recorded")', 'yield must("recorded")\n    1 // (3 - len(state.shelf))'), encoding="utf-8")
    with pytest.raises(ConstrainedError, match="check"):
        packs.reload("library")


def test_listeners_and_metrics_are_told(packs, tmp_path, start, monkeypatch):
    client = start()
    service = client.app.state.service
    service.turns.packs, told = packs, []
    monkeypatch.setattr(service.events, "send_all", lambda kind, pack="", detail="": told.append((kind, pack, detail)))
    reloader = Reloader(service, lambda call: call())
    reloader.look()
    assert told == []
    edit(tmp_path, "fallback: sorry", "fallback: nothing")
    reloader.look()
    edit(tmp_path, "fallback: nothing", "fallback: sorry")
    reloader.look()
    assert [one[:2] for one in told] == [("reload_refused", "library"), ("reload", "library")]
    assert told[0][2].startswith("CatalogError")
    assert str(tmp_path) not in told[0][2]
    assert b'constrained_reloads_total{pack="library",result="refused"} 1.0' in service.telemetry.exposition()[0]


def test_turns_go_on_with_the_new_words(packs, tmp_path, start):
    client = start()
    client.app.state.service.turns.packs = packs
    body = {"pack": "library", "message": "", "conversation": "c", "state": {}}
    first = client.post("/v1/turns", json=body).json()
    edit(tmp_path, "Welcome to the library. How can I help?", "Good day.")
    packs.reload("library")
    second = client.post("/v1/turns", json=body).json()
    assert second["number"] == 2
    assert first["record"]["versions"]["catalog"] != second["record"]["versions"]["catalog"]
    assert any(option["text"] for option in second["decision"]["options"])
