"""An edited pack is served from the next turn on when its check passes and it is signed where it must be; else the old one stays."""

from __future__ import annotations

import shutil

import pytest

from constrained import ConstrainedError
from constrained.errors import ApprovalError
from constrained.packs import load_policy_file
from constrained.serve.packs import Packs
from constrained.serve.server import Reloader
from tests.approval.test_signed_logic import strict_desk
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


# -- a pack that requires approvals: only as it was signed -----------------------------------------------


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "logic"))
    monkeypatch.chdir(tmp_path)
    return strict_desk(tmp_path)


def edit_logic(desk, old, new):
    text = desk.logic_path.read_text(encoding="utf-8")
    assert old in text
    desk.logic_path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edit_is_taken_over_once_it_is_signed(desk):
    packs = Packs.named(("desk",))
    before = packs.get("desk")
    edit_logic(desk, "PRICE = 3", "PRICE = 500")
    assert packs.changed() == ["desk"]
    with pytest.raises(ApprovalError, match="it was edited after Dana"):
        packs.reload("desk")
    assert packs.get("desk") is before
    assert packs.changed() == [], "it is not tried again and again"
    assert packs.warnings() == {"desk": "an edit is not taken over (ApprovalError); the server's log tells more"}
    desk.approve_logic()
    assert packs.changed() == ["desk"], "a signature is a change"
    after = packs.reload("desk")
    assert "PRICE = 500" in after.source
    assert packs.warnings() == {}
    assert packs.changed() == []


@pytest.mark.parametrize("name", ["logic/fees_of_the_desk.py", "properties/desk.py"])
def test_an_edit_of_what_belongs_to_the_logic_is_seen_and_refused(desk, name):
    packs = Packs.named(("desk",))
    path = desk.root / name
    path.write_text(path.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    assert packs.changed() == ["desk"]
    with pytest.raises(ApprovalError, match=f"{path.name}: the logic"):
        packs.reload("desk")
    desk.approve_logic()
    packs.reload("desk")


def test_an_edit_that_goes_back_is_as_if_nothing_was(desk):
    packs = Packs.named(("desk",))
    edit_logic(desk, "PRICE = 3", "PRICE = 500")
    with pytest.raises(ApprovalError):
        packs.reload("desk")
    edit_logic(desk, "PRICE = 500", "PRICE = 3")
    packs.reload("desk")
    assert packs.warnings() == {}


def test_nothing_unsigned_is_served_from_the_start_but_drafts(desk):
    edit_logic(desk, "PRICE = 3", "PRICE = 500")
    with pytest.raises(ApprovalError, match="the logic of 'desk'"):
        Packs.named(("desk",))
    assert "PRICE = 500" in Packs.named(("desk",), signed=False).get("desk").source


def test_readiness_and_the_catalog_warn_while_turns_go_on(desk, start):
    client = start(mask=False)  # it began without the desk, so it keeps conversations in plain text
    service = client.app.state.service
    packs = service.turns.packs = Packs.named(("desk",))
    reloader = Reloader(service, lambda call: call())
    edit_logic(desk, "PRICE = 3", "PRICE = 500")
    reloader.look()
    ready = client.get("/readyz").json()
    assert (ready["is_ready"], list(ready["warnings"])) == (True, ["desk"])
    assert str(desk.root) not in client.get("/readyz").text
    assert client.get("/v1/catalogs/desk").json()["warning"] == packs.warnings()["desk"]
    reply = client.post("/v1/turns", json={"pack": "desk", "message": "what does it cost", "conversation": "c", "state": {}}).json()
    assert [one["text"] for one in reply["decision"]["options"] if one["id"] == "price"] == ["4 coins."]
    desk.write_people(Dana=["compliance"], Tom=["legal"], Lena=[], Ada=["compliance"])
    desk.approve_logic("Tom")
    reloader.look()
    assert client.get("/readyz").json()["warnings"] == {"desk": "an edit of people.toml is not signed; its last signed version is in force"}
    desk.recall_logic()
    refused = client.post("/v1/turns", json={"pack": "desk", "message": "hello", "conversation": "d", "state": {}})
    assert refused.status_code >= 500
    assert "ApprovalError: nothing was said" in refused.text


def test_the_catalog_and_the_reply_tell_what_is_approved(desk, start):
    client = start()
    service = client.app.state.service
    service.turns.packs = Packs({"desk": load_policy_file(desk.logic_path)})
    body = {"pack": "desk", "message": "hello", "conversation": "c", "state": {}}
    reply = client.post("/v1/turns", json=body).json()
    assert reply["approved"] == reply["said"]
    catalog = client.get("/v1/catalogs/desk").json()
    assert catalog["n_approved"] == catalog["n_responses"]
    desk.recall("price")
    desk.responses["hello"]["text"]["es"] = "Buenas."
    desk.write()
    service.turns.packs = Packs({"desk": load_policy_file(desk.logic_path)})
    catalog = client.get("/v1/catalogs/desk").json()
    told = {one["id"]: one["approved"] for one in catalog["responses"]}
    assert told["hello"] == {"en": True, "es": False}
    assert (told["price"], catalog["n_approved"]) == ({"en": False}, catalog["n_responses"] - 1)


def test_a_draft_is_told_as_one(desk, start):
    desk.responses["hello"]["text"]["en"] = "Good day."
    desk.write()
    client = start(drafts=True)
    client.app.state.service.turns.packs = Packs({"desk": load_policy_file(desk.logic_path)})
    reply = client.post("/v1/turns", json={"pack": "desk", "message": "hello", "conversation": "c", "state": {}}).json()
    assert (reply["said"], reply["approved"]) == (["hello"], [])


def test_without_any_approval_nothing_is_told_as_approved(start):
    client = start()
    catalog = client.get("/v1/catalogs/library").json()
    reply = client.post("/v1/turns", json={"pack": "library", "message": "", "conversation": "c", "state": {}}).json()
    assert (catalog["n_approved"], reply["approved"]) == (0, [])


def test_a_writer_s_reload_leaves_golden_dialogues_aside(packs, tmp_path):
    (tmp_path / "dialogues").mkdir()
    turn = "says: hello\n        expects: quiet\n"
    golden = f"pack: library\ndialogues:\n  - name: never so\n    turns:\n      - {turn}"
    (tmp_path / "dialogues" / "library.yaml").write_text(golden, encoding="utf-8")
    with pytest.raises(ConstrainedError, match="never so"):
        packs.reload("library")
    assert Packs({"library": packs.get("library")}, is_golden=False).reload("library") is packs.get("library")
