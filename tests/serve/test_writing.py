"""The writer's page: a message becomes an example of a response once it is seen what that changes; only where packs are edited."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from starlette.testclient import TestClient

from constrained.engines.protocol import Choice, Distribution
from constrained.errors import ConstrainedError
from constrained.packs import load_policy
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.writing import _own_file
from tests.serve.conftest import DESK, TOKEN, Running, running, settings
from tests.serve.page_browser import DESKTOP, PHONE, Tab, browser, find_chromium

GOLDEN = """\
pack: library
dialogues:
  - name: asks for the hours
    turns:
      - says: how late is it?
        expects: hours
"""
MESSAGE = "how late is it?"
WAIT_S = 30


class Parrot:
    """Picks the first candidate that has the message among its examples, else the one that matches nothing."""

    identity = MappingProxyType({"model": "parrot"})

    def choose(self, choices: Sequence[Choice], scene: Any, deadline: Any = None) -> list[Distribution]:
        return [self._one(choice, scene.message) for choice in choices]

    def _one(self, choice: Choice, message: str) -> Distribution:
        fitting = [at for at, one in enumerate(choice.candidates) if message in one.examples]
        nothing = [at for at, one in enumerate(choice.candidates) if one.no_match]
        best = (fitting or nothing or [0])[0]
        rest = 0.1 / max(1, len(choice.candidates) - 1)
        return Distribution(tuple(0.9 if at == best else rest for at in range(len(choice.candidates))), "exact")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the desk with a golden dialogue, in the working directory."""
    for name in ("catalogs", "logic"):
        shutil.copytree(DESK / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "dialogues").mkdir()
    (tmp_path / "dialogues" / "library.yaml").write_text(GOLDEN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    app = create_app(settings(is_editing=True), Packs.named(("library",), signed=False), {"parrot": Parrot()})
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, what: str = "", **body: Any) -> Any:
    return client.post(f"/v1/catalogs/library/examples{what}", json=body)


def catalog_file(folder: Path) -> Path:
    return folder / "catalogs" / "library.yaml"


def test_a_trial_tells_what_changes_and_writes_nothing(client: TestClient, folder: Path) -> None:
    before = catalog_file(folder).read_bytes()
    found = post(client, "/trial", response_id="hours", message=MESSAGE).json()
    (change,) = found["changes"]
    assert (change["verdict"], change["before"], change["after"], change["wanted"]) == ("better", "sorry", "hours", "hours")
    assert change["place"] == "library.yaml:5"
    assert found["n_asked"] == 9
    worse = post(client, "/trial", response_id="sorry", message="hello").json()["changes"]
    assert [(one["verdict"], one["message"], one["before"], one["after"]) for one in worse] == [("worse", "hello", "welcome", "sorry")]
    assert catalog_file(folder).read_bytes() == before


def test_what_is_confirmed_is_written_and_served_from_the_next_message_on(client: TestClient, folder: Path) -> None:
    trial = post(client, "/trial", response_id="hours", message=MESSAGE).json()
    before = catalog_file(folder).read_text(encoding="utf-8")
    done = post(client, response_id="hours", message=MESSAGE, file_hash=trial["file_hash"]).json()
    assert (done["is_served"], done["problem"]) == (True, "")
    after = catalog_file(folder).read_text(encoding="utf-8").splitlines()
    assert [line for line in before.splitlines() if line not in after] == ['    examples: ["when do you close?", "are you open late?"]']
    said = client.post("/v1/turns", json={"pack": "library", "message": MESSAGE}).json()
    assert said["response_id"] == "hours"
    assert post(client, "/trial", response_id="hours", message=MESSAGE).json()["is_there"]


def test_an_edit_in_between_is_not_lost(client: TestClient, folder: Path) -> None:
    trial = post(client, "/trial", response_id="hours", message=MESSAGE).json()
    edited = catalog_file(folder).read_text(encoding="utf-8").replace("We close at", "Doors shut at")
    catalog_file(folder).write_text(edited, encoding="utf-8")
    refused = post(client, response_id="hours", message=MESSAGE, file_hash=trial["file_hash"])
    assert (refused.status_code, "edited meanwhile" in refused.text) == (409, True)
    assert post(client, "/trial", response_id="hours", message=MESSAGE).status_code == 409  # the old version answers still
    assert catalog_file(folder).read_text(encoding="utf-8") == edited


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"response_id": "gone", "message": "hello"}, 422),
        ({"response_id": "hours", "message": " "}, 422),
        ({"response_id": "hours", "message": "x" * 501}, 422),
        ({"response_id": "../../etc", "message": "hello"}, 422),
    ],
)
def test_what_is_no_example_is_refused(client: TestClient, folder: Path, body: dict[str, str], status: int) -> None:
    before = catalog_file(folder).read_bytes()
    assert post(client, "/trial", **body).status_code == status
    assert post(client, **body, file_hash="sha256:0").status_code in (status, 409)
    assert catalog_file(folder).read_bytes() == before


def test_without_the_flag_there_is_no_writer_s_page(folder: Path) -> None:
    app = create_app(settings(), Packs.named(("library",), signed=False), {"parrot": Parrot()})
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        paths = ("/write", "/write.html", "/write.js", "/write.css")
        assert {client.get(path).status_code for path in paths} == {404}
        assert post(client, "/trial", response_id="hours", message=MESSAGE).status_code == 404
        assert client.get("/desk").status_code == 200


def test_a_pack_that_requires_approvals_or_lies_elsewhere_is_not_edited(folder: Path) -> None:
    policy = load_policy("library")
    assert _own_file(policy) == catalog_file(folder).resolve()
    strict = policy.__replace__(catalog=replace(policy.catalog, is_approval_required=True))
    elsewhere = policy.__replace__(catalog=replace(policy.catalog, path=str(folder / "words.yaml")))
    for other in (strict, elsewhere):
        with pytest.raises(ConstrainedError):
            _own_file(other)
    moved = folder / "moved.yaml"
    catalog_file(folder).rename(moved)
    catalog_file(folder).symlink_to(moved)
    with pytest.raises(ConstrainedError, match="does not lie"):
        _own_file(policy)


def test_rules_alone_have_no_use_for_examples(folder: Path) -> None:
    app = create_app(settings(is_editing=True), Packs.named(("library",), signed=False))
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert post(client, "/trial", response_id="hours", message=MESSAGE).status_code == 409


# -- in Chromium -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if find_chromium() is None:
        pytest.skip("no Chromium here; name one with the variable CHROMIUM")
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def site(folder: Path) -> Iterator[Running]:
    with running({"library": load_policy("library")}, {"parrot": Parrot()}, is_editing=True) as server:
        yield server


def open_page(tab: Tab, site: Running, scheme: str = "light", size: tuple[int, int] = DESKTOP) -> None:
    width, height = size
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE)
    tab.scheme(scheme)
    tab.call("Page.navigate", url="about:blank")
    tab.problems.clear()
    tab.call("Page.navigate", url=f"{site.url}/write#token={TOKEN}")
    tab.wait_for("document.querySelector('.response')", WAIT_S)


def write(tab: Tab, message: str) -> None:
    """Says a message with the keyboard alone."""
    n = tab.look("document.querySelectorAll('.turn').length")
    tab.look("document.getElementById('message').focus()")
    tab.write(message)
    tab.press("Enter")
    tab.wait_for(f"document.querySelectorAll('.turn').length === {n + 1}", WAIT_S)


def press(tab: Tab, selector: str) -> None:
    tab.wait_for(f"document.querySelector({json.dumps(selector)})?.disabled === false", WAIT_S)
    tab.look(f"document.querySelector({json.dumps(selector)}).focus()")
    tab.press("Enter")


def text(tab: Tab, selector: str) -> str:
    return str(tab.look(f"document.querySelector({json.dumps(selector)}).textContent"))


@pytest.mark.slow
def test_a_writer_shows_what_was_meant_by_keyboard_alone(tab: Tab, site: Running, folder: Path) -> None:
    open_page(tab, site)
    assert text(tab, "#found").endswith(" responses")
    assert tab.look("[...document.querySelectorAll('[data-example]')].every((one) => one.disabled)")  # nothing was said yet
    write(tab, MESSAGE)
    assert "did not follow" in text(tab, ".turn .reply")
    assert "said here 1 time" in text(tab, "[data-response=sorry]")
    assert text(tab, ".close .picked .id") == "sorry"
    press(tab, ".close [data-example=hours]")
    tab.wait_for("document.getElementById('trial-sum').textContent.includes('1 better, 0 worse')", WAIT_S)
    assert "hours" in text(tab, "#changes .better")
    assert tab.findings() == []
    press(tab, "#take-back")
    assert MESSAGE not in catalog_file(folder).read_text(encoding="utf-8")
    press(tab, "[data-response=hours] > [data-example]")
    press(tab, "#confirm")
    tab.wait_for("document.getElementById('write-told').textContent.includes('from the next message on')", WAIT_S)
    assert MESSAGE in catalog_file(folder).read_text(encoding="utf-8")
    write(tab, MESSAGE)
    assert text(tab, ".turn:last-child .close .picked .id") == "hours"
    assert "3 examples" in text(tab, "[data-response=hours]")
    tab.look("document.getElementById('find').focus()")
    tab.write("late back home")
    tab.wait_for("document.getElementById('found').textContent.startsWith('0 of')", WAIT_S)
    assert tab.problems == []


HOSTILE = "<img src=x onerror='document.title=1'>"


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)], ids=["light, wide", "dark, narrow"])
def test_the_page_is_accessible_and_what_is_said_is_text(tab: Tab, site: Running, scheme: str, size: tuple[int, int]) -> None:
    open_page(tab, site, scheme, size)
    write(tab, HOSTILE)
    assert HOSTILE in text(tab, "#log")
    assert tab.look("document.title") == "Constrained: writing"
    assert tab.findings() == []
    assert tab.look("document.documentElement.scrollWidth <= innerWidth") is True
    assert TOKEN not in tab.look("document.documentElement.outerHTML + location.href")
    assert tab.problems == []
