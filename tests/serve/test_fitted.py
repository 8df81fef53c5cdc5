"""A pack may have an engine of its own: what was fitted to it, and to nothing else."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from constrained.cli import serve
from constrained.errors import CalibrationError, ConstrainedError
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.server import Reloader
from constrained.testing import RandomEngine
from tests.serve.conftest import DESK, settings
from tests.serve.test_reload import edit


class Fitted(RandomEngine):
    """Fitted to one catalog, and refuses the others."""

    def __init__(self, digest: str, catalog: str = "library") -> None:
        super().__init__(1)
        self.digest, self.manifest = digest, SimpleNamespace(catalog=catalog)

    @property
    def identity(self):
        return {"model": "random", "fitted": self.digest}

    def check_catalog(self, name: str, digest: str) -> None:
        if digest != self.digest:
            raise CalibrationError(f"fitted to another catalog than {name!r}", hint=f"fit it again: constrained fit {name}")


@pytest.fixture
def packs(tmp_path, monkeypatch):
    for folder in ("catalogs", "logic"):
        shutil.copytree(DESK / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return Packs.named(("library", "tavern"))


@pytest.fixture
def own(packs):
    return {"library": Fitted(packs.get("library").catalog.hash)}


def test_a_pack_is_answered_by_its_own_engine_and_the_others_by_theirs(start, own):
    client = start({"random": RandomEngine(2), "second": RandomEngine(3)}, own=own)

    def asked(pack, **more):
        body = {"pack": pack, "message": "Do you have Emma?", **more}
        return client.post("/v1/turns", json=body).json()["record"]["versions"]

    assert "fitted" in asked("library")
    assert "fitted" not in asked("tavern")
    assert asked("library", engine="second")["seed"] == "3"  # who names an engine gets it


def test_one_that_was_fitted_to_another_catalog_is_told_at_the_start(packs):
    with pytest.raises(CalibrationError, match="another catalog"):
        create_app(settings(), packs, {"random": RandomEngine()}, own={"library": Fitted("sha256:other")})


def test_an_edit_that_makes_it_stale_is_not_taken_over(start, packs, own, tmp_path):
    client = start({"random": RandomEngine(2)}, own=own)
    service = client.app.state.service
    service.turns.packs = packs
    before = packs.get("library")
    edit(tmp_path, "Welcome to the library. How can I help?", "Good day.")
    assert not Reloader(service, lambda call: call()).reload("library")
    assert packs.get("library") is before


def test_the_command_finds_the_pack_by_its_catalog(packs, tmp_path, monkeypatch):
    first = RandomEngine()
    first.with_fitted = lambda folder: Fitted("", folder.name)
    monkeypatch.setattr(serve, "load_engine", lambda model, folder: Fitted("", folder.name))
    library, tavern, bakery = (tmp_path / name for name in ("library", "tavern", "bakery"))

    def own(fitted=(), adapters=(), engine=first):
        return serve._load_own("random", {"random": engine} if engine else {}, list(fitted), list(adapters), packs)

    assert own() == own(engine=None) == {}
    assert sorted(own([library], [tavern])) == ["library", "tavern"]
    for wrong in ({"fitted": [bakery]}, {"adapters": [bakery]}):
        with pytest.raises(ConstrainedError, match="not served"):
            own(**wrong)
    with pytest.raises(ConstrainedError, match="second"):
        own([library], [library])
    for engine in (None, RandomEngine()):
        with pytest.raises(ConstrainedError, match="need a model"):
            own([library], engine=engine)
