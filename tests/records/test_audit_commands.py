"""``constrained audit`` as an examiner uses it: verify, show, prove, erase, re-decide, usage, report, export, and the bundle alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from openpyxl import load_workbook

from constrained import Dialogue
from constrained._canonical_json import canonical_json
from constrained.approval.keys import new_pair
from constrained.catalog.load import load_catalog
from constrained.cli.audit import NOT_ESTABLISHED
from constrained.pack_folders import find_pack
from constrained.quality.golden import load_golden
from constrained.records.chain import digest
from constrained.records.log import open_log, read_entries, read_log
from constrained.records.sealing import SealedLog, SubjectKeys
from constrained.testing import RandomEngine, ScriptedEngine
from tests.cli.conftest import Ran
from tests.strategies import ROOT

CARD = "my card is 4111 1111 1111 1111"


@pytest.fixture
def key(tmp_path):
    new_pair(tmp_path / "desk.pem")
    return tmp_path / "desk.pem"


def talk(log, pack="tavern", n_dialogues=2):
    for seed, golden in enumerate(load_golden(find_pack(pack).dialogues_path).dialogues[:n_dialogues]):
        dialogue = Dialogue(pack, engine=RandomEngine(seed), log=log, locale=golden.locale, conversation=f"talk-{seed}")
        state = dialogue.policy.state_type.from_json(golden.state or {})
        for turn in golden.turns:
            state = dialogue.reply(f"{turn.says} {CARD}", state).apply(state)
    return log


@pytest.fixture
def log(tmp_path):
    return str(talk(tmp_path / "audit.db"))


@pytest.fixture
def audit(capsys, monkeypatch):
    """Runs a command as a user would; returns what it printed and its exit status."""
    from constrained.cli.main import main

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["audit", *map(str, arguments)])
        printed = capsys.readouterr()
        return Ran(ended.value.code, printed.out, printed.err)

    return run


def test_verify_says_how_far_the_signatures_reach(audit, log, key):
    n_entries = len(list(read_entries(log)))
    done = audit("verify", log)
    first, second = done.out.splitlines()
    assert (done.status, second) == (NOT_ESTABLISHED, f"{n_entries} records in an unbroken chain, none of them signed")
    assert first.startswith("NOT ESTABLISHED: who wrote it")
    assert audit("checkpoint", log, "--key", key, "--sink", key.parent / "sink").out.startswith(f"signed records 1 to {n_entries}")
    assert audit("checkpoint", log, "--key", key).out == "everything is signed already\n"
    public = key.with_name("desk.pub.pem")
    done = audit("verify", log, "--key", public)
    assert done.status == NOT_ESTABLISHED
    assert done.out.startswith("NOT ESTABLISHED: whether the log and its checkpoints were both put back to an older copy")
    assert done.out.endswith(f"signed up to record {n_entries}\n")
    done = audit("verify", log, "--key", public, "--sink", key.parent / "sink")
    assert (done.status, done.out) == (0, f"{n_entries} records in an unbroken chain, signed up to record {n_entries}\n")
    turn = next(iter(read_log(log))).turn_id
    for which in ("1", turn):
        assert "record 1 is the one that was signed" in audit("verify", log, "--key", public, "--record", which).out
    assert audit("verify", log, "--record", "1").status == 1
    assert audit("verify", log, "--key", public, "--record", "999").status == 1


def test_verify_names_the_first_bad_record(audit, tmp_path):
    path = talk(tmp_path / "audit.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    nth = next(index for index, line in enumerate(lines) if index and b"4111" in line)
    path.write_bytes(b"".join([*lines[:nth], lines[nth].replace(b"4111", b"4112"), *lines[nth + 1 :]]))
    done = audit("verify", path)
    assert done.status == 1
    assert f"{path}: record {nth + 1}: the hash does not fit the record" in done.err


def test_show_is_redacted_unless_asked(audit, log):
    done = audit("show", log, "1")
    assert "[card ending 1111]" in done.out
    assert "4111" not in done.out
    assert json.loads(done.out)["sequence"] == 1
    assert "4111 1111 1111 1111" in audit("show", log, "1", "--plain").out
    assert len(re.findall(r'^ "sequence"', audit("show", log, "--last", "3").out, re.MULTILINE)) == 3
    assert audit("show", log, "nothing").status == 1


def test_replay_and_redecide_by_the_same_files(audit, log, tmp_path):
    n_turns = len(list(read_log(log)))
    assert audit("replay", log).out.startswith(f"{n_turns} replies reproduced")
    done = audit("re-decide", log, "--html", tmp_path / "page.html", "--xlsx", tmp_path / "book.xlsx")
    assert done.status == 0
    assert f"{n_turns} turns decided anew: {n_turns} the same, 0 not" in done.out
    assert (tmp_path / "page.html").stat().st_size > 2_000
    assert (tmp_path / "book.xlsx").stat().st_size > 2_000
    done = audit("re-decide", log, "--threshold", "1.0", "--approvals", "then")
    assert "decided anew" in done.out
    assert audit("re-decide", log, "--approvals", "maybe").status == 1


def test_redecide_by_edited_logic(audit, log, tmp_path):
    pack = find_pack("tavern")
    for source, folder in ((pack.catalog_path, "catalogs"), (pack.logic_path, "logic")):
        (tmp_path / folder).mkdir()
        shutil.copy(source, tmp_path / folder)
    catalog = tmp_path / "catalogs" / "tavern.yaml"
    said = next(iter(read_log(log))).decision.chosen
    text = load_catalog(pack.catalog_path)[said].texts["en"].source
    assert text in catalog.read_text(encoding="utf-8")
    catalog.write_text(catalog.read_text(encoding="utf-8").replace(text, f"Well. {text}"), encoding="utf-8")
    done = audit("re-decide", log, "--logic", tmp_path / "logic" / "tavern.py")
    assert re.search(rf"wording +{said} +{said}", done.out), done.out


def test_usage_tells_first_and_last_use_and_what_was_never_used(audit, log):
    uses = {one["id"]: one for one in json.loads(audit("usage", log, "--json").out)}
    records = list(read_log(log))
    chosen = records[0].decision.chosen
    assert uses[chosen]["first"] == min(one.at for one in records if one.decision.chosen == chosen)
    assert sum(one["n_chosen"] for one in uses.values()) == len(records)
    assert "never used" in audit("usage", log).out


def test_the_report_is_whole_and_asks_for_nothing(audit, log, tmp_path):
    assert audit("report", log, "--html", tmp_path / "report.html").status == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for title in ("Coverage", "Use", "Approvals", "Confusions", "Abstentions over time", "Protected triggers", "Effects"):
        assert f"<h2>{title}</h2>" in text
    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import", text)
    assert "@media print" in text


def test_erase_and_recover(audit, tmp_path):
    keys = SubjectKeys(tmp_path / "keys")
    talk(SealedLog(open_log(tmp_path / "sealed.db"), keys))
    log = tmp_path / "sealed.db"
    assert "[sealed]" in audit("show", log, "1").out
    assert "[card ending 1111]" in audit("show", log, "1", "--keys", keys.folder).out
    assert "cannot be read" in audit("re-decide", log).err
    assert audit("replay", log, "--keys", keys.folder).status == 0
    assert audit("erase", log, "talk-0", "--keys", keys.folder, "--by", "the officer").status == 0
    assert audit("erase", log, "talk-0", "--keys", keys.folder).status == 1
    assert "[sealed]" in audit("show", log, "1", "--keys", keys.folder).out
    assert audit("verify", log).status == NOT_ESTABLISHED
    assert "cannot be read" in audit("replay", log, "--keys", keys.folder).out
    path = talk(tmp_path / "audit.jsonl")
    path.write_bytes(path.read_bytes()[:-40] + b"x" * 39 + b"\n")
    assert audit("verify", path).status == 1
    assert f"are now in {path}.torn" in audit("recover", path).out
    assert audit("verify", path).status == NOT_ESTABLISHED
    assert audit("recover", path).out == "the last line is sound\n"


# -- the bundle, in an empty folder, without anything of ours ---------------------------------------------


def examine(folder, *arguments):
    command = [sys.executable, "-I", "verify.py", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A bundle and the key that signed it; made once, copied for each test."""
    folder = tmp_path_factory.mktemp("exported")
    new_pair(folder / "desk.pem")
    talk(folder / "audit.db")
    command = [sys.executable, "-c", "from constrained.cli.main import main; main()", "audit", "export"]
    asked = [*command, folder / "audit.db", folder / "bundle", "--key", folder / "desk.pem"]
    done = subprocess.run(list(map(str, asked)), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "in plain text" in done.stderr
    return folder


@pytest.fixture
def bundle(exported, tmp_path):
    return Path(shutil.copytree(exported / "bundle", tmp_path / "bundle"))


def test_a_bundle_holds_it_all_and_verifies_alone(bundle, exported):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {
        "README.txt", "log.jsonl", "checkpoints.jsonl", "verify.py", "public_key.pem", "manifest.json", "manifest.sig",
        "usage.json", "coverage.json", "golden.json", "model_card.md", "report.html", "pack/tavern.yaml", "pack/tavern.py",
    } <= names  # fmt: skip
    done = examine(bundle, "--key", exported / "desk.pub.pem")
    assert (done.returncode, done.stderr) == (0, "")
    assert "good: " in done.stdout
    assert all(not turn["problems"] for turn in json.loads((bundle / "golden.json").read_text()))


def test_a_bundle_takes_nothing_along_that_only_lies_beside_the_catalog(audit, tmp_path, monkeypatch):
    """A private key, a log of everybody, a backup."""
    pack = find_pack("tavern")
    for source, folder in ((pack.catalog_path, "catalogs"), (pack.logic_path, "logic")):
        (tmp_path / folder).mkdir()
        shutil.copy(source, tmp_path / folder)
    folder = tmp_path / "catalogs"
    for name in ("tavern.approvals.jsonl", "people.toml"):
        shutil.copy(pack.catalog_path.with_name(name), folder)
    new_pair(folder / "tavern.pem")
    (folder / "people.pem").write_text("secret")
    log = talk(folder / "tavern.jsonl")
    monkeypatch.chdir(tmp_path)
    assert audit("export", log, tmp_path / "bundle", "--key", folder / "tavern.pem").status == 0
    names = {path.name for path in (tmp_path / "bundle" / "pack").iterdir()}
    assert names - {"tavern.dialogues.yaml", "history.patch"} == {"tavern.yaml", "tavern.py", "tavern.approvals.jsonl", "people.toml"}


def spoil(path, how):
    content = path.read_bytes()
    if how == "change":
        path.write_bytes(content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :])
    elif how == "remove":
        path.unlink()
    else:
        (path.parent / "more.txt").write_text("added")


@pytest.mark.parametrize("how", ["change", "remove", "add"])
@pytest.mark.parametrize(
    "name", ["log.jsonl", "checkpoints.jsonl", "usage.json", "pack/tavern.yaml", "manifest.json", "manifest.sig", "README.txt"]
)
def test_a_bundle_that_was_changed_is_bad(bundle, exported, name, how):
    spoil(bundle / name, how)
    done = examine(bundle, "--key", exported / "desk.pub.pem")
    assert (done.returncode, done.stderr) == (1, "")
    assert "BAD: " in done.stdout


def test_a_slice_shows_only_itself(audit, log, key, tmp_path):
    done = audit("export", log, tmp_path / "slice", "--key", key, "--conversation", "talk-1")
    assert done.status == 0, done.err
    folder = tmp_path / "slice"
    shown = (folder / "proofs.jsonl").read_text()
    assert "talk-1" in shown
    assert not [path for path in folder.rglob("*") if path.is_file() and b"talk-0" in path.read_bytes()]
    assert "each proved against a signed checkpoint" in examine(folder).stdout
    lines = shown.splitlines(keepends=True)
    (folder / "proofs.jsonl").write_text("".join([lines[0].replace("tavern.py", "taverm.py"), *lines[1:]]))
    assert "BAD: " in examine(folder).stdout


def test_proofs_of_single_records(audit, log, key, tmp_path):
    audit("checkpoint", log, "--key", key)
    assert audit("prove", log, "2", "5", "--to", tmp_path / "proofs.jsonl").out.startswith("2 proofs")
    verifier = ROOT / "constrained" / "records" / "verifier.py"
    asked = [sys.executable, "-I", verifier, "--proofs", tmp_path / "proofs.jsonl", "--key", key.with_name("desk.pub.pem")]
    done = subprocess.run(list(map(str, asked)), capture_output=True, text=True, check=False)
    assert "good: 2 records, each proved" in done.stdout


def test_an_export_goes_into_an_empty_folder_and_never_of_a_broken_log(audit, tmp_path, key):
    path = talk(tmp_path / "audit.jsonl")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert "is not empty" in audit("export", path, tmp_path / "full", "--key", key).err
    assert "nothing of that slice" in audit("export", path, tmp_path / "none", "--key", key, "--until", "1999-01-01").err
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert audit("export", path, tmp_path / "broken", "--key", key).status == 1
    assert not Path(tmp_path / "broken" / "manifest.json").exists()


@pytest.mark.parametrize("part", [(), ("--conversation", "talk-0")])
def test_a_log_written_anew_is_not_exported(audit, tmp_path, key, part):
    """Its chain is whole; the desk's key must not sign the rest of it."""
    path = talk(tmp_path / "audit.jsonl")
    assert audit("checkpoint", path, "--key", key).status == 0
    contents = [json.loads(line) for line in path.read_bytes().splitlines()]
    contents[0]["text"], previous = "something else", ""
    for content in contents:
        content["previous"] = previous
        content["hash"] = previous = digest(content)
    path.write_bytes(b"".join(canonical_json(content) + b"\n" for content in contents))
    before = path.with_name("audit.jsonl.checkpoints").read_bytes()
    done = audit("export", path, tmp_path / "bundle", "--key", key, *part)
    assert (done.status, "is not the one that was signed" in done.err) == (1, True)
    assert not (tmp_path / "bundle").exists()
    assert path.with_name("audit.jsonl.checkpoints").read_bytes() == before


def test_what_the_examiner_would_find_bad_is_not_exported(audit, tmp_path, key):
    path = talk(tmp_path / "audit.jsonl")
    assert audit("checkpoint", path, "--key", key).status == 0
    signed = path.with_name("audit.jsonl.checkpoints")
    line = json.loads(signed.read_bytes())
    signed.write_bytes(canonical_json(line | {"marks": "0" * len(line["marks"])}) + b"\n")
    assert audit("export", path, tmp_path / "bundle", "--key", key).status == 1
    assert not (tmp_path / "bundle").exists()


def test_another_key_neither_signs_nor_exports(audit, log, key, tmp_path):
    audit("checkpoint", log, "--key", key)
    new_pair(tmp_path / "other.pem")
    Dialogue("tavern", log=log).reply("one more")
    for asked in (("checkpoint", log), ("export", log, tmp_path / "bundle")):
        assert "not signed with this key" in audit(*asked, "--key", tmp_path / "other.pem").err
    assert audit("checkpoint", log, "--key", key).status == 0
    assert audit("verify", log, "--key", key.with_name("desk.pub.pem")).status == NOT_ESTABLISHED


def test_a_log_is_held_against_a_write_once_folder(audit, tmp_path, key):
    path, sink, public = talk(tmp_path / "audit.jsonl"), tmp_path / "sink", key.with_name("desk.pub.pem")
    assert audit("verify", path, "--key", public).status == 1, "nothing is signed yet"
    audit("checkpoint", path, "--key", key, "--sink", sink)
    assert audit("verify", path, "--key", public, "--sink", sink).status == 0
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    path.with_name("audit.jsonl.checkpoints").unlink()
    assert audit("verify", path).status == NOT_ESTABLISHED, "the chain alone does not show it"
    done = audit("verify", path, "--key", public, "--sink", sink)
    assert (done.status, "record 4: it is missing: the log was cut" in done.err) == (1, True)
    assert audit("verify", path, "--key", public, "--sink", tmp_path / "none").status == 1
    assert audit("verify", path, "--sink", sink).status == 1


def test_one_record_of_a_damaged_log_is_proved_all_the_same(audit, tmp_path, key):
    path, public = talk(tmp_path / "audit.jsonl"), key.with_name("desk.pub.pem")
    audit("checkpoint", path, "--key", key)
    turn = [one.turn_id for one in read_log(path)][1]
    path.write_bytes(path.read_bytes().replace(b'"text"', b'"te\xffxt"', 1))
    for which in ("9" * 30, "9" * 5_000):
        assert "holds no" in audit("verify", path, "--key", public, "--record", which).err
    done = audit("verify", path, "--key", public, "--record", turn)
    assert (done.status, "it is not the record that was signed" in done.err) == (1, True)


@pytest.mark.parametrize(
    "asked",
    [
        ("report", "LOG", "--html", "FILE"), ("re-decide", "LOG", "--html", "FILE"), ("re-decide", "LOG", "--xlsx", "FILE"),
        ("prove", "LOG", "1", "--to", "FILE"), ("export", "LOG", "FILE", "--key", "KEY"),
        ("checkpoint", "LOG", "--key", "KEY", "--sink", "FILE"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_told(audit, log, key, asked):
    audit("checkpoint", log, "--key", key)
    places = {"LOG": log, "KEY": key, "FILE": "/dev/null/file"}
    done = audit(*(places.get(one, one) for one in asked))
    assert (done.status, "Not a directory" in done.err) == (1, True)


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_day_that_is_none_is_no_slice(audit, log, key, tmp_path, option):
    done = audit("export", log, tmp_path / "slice", "--key", key, option, "1.3.2026")
    assert (done.status, "is not a day" in done.err) == (2, True)


# -- another model, another calibration --------------------------------------------------------------------


def test_redecide_asks_another_model_and_writes_who_gets_what(audit, log, tmp_path, monkeypatch):
    """The engine is scripted: it always says the fallback."""
    records = list(read_log(log))
    monkeypatch.setattr("constrained.cli.audit_redecide.load_engine", lambda model: ScriptedEngine(lambda message: "pardon"))
    book = tmp_path / "book.xlsx"
    done = audit("re-decide", log, "--model", "another", "--xlsx", book, "--html", tmp_path / "page.html")
    assert done.status == 0, done.err
    assert f"{len(records)} turns decided anew" in done.out
    asked = [one for one in records if len(one.options) > 1]
    moved = Counter(one.decision.chosen for one in asked if one.decision.chosen != "pardon")
    for said, count in moved.items():
        assert re.search(rf"{count} +reply +{said} +pardon", done.out), done.out
    cells = {str(cell) for sheet in load_workbook(book).worksheets for row in sheet.iter_rows(values_only=True) for cell in row}
    assert {"pardon", *moved} <= cells
    assert "another" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.fixture
def tiny_model(tmp_path, monkeypatch):
    """A folder with a random model of two layers, as transformers saves it."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    from tests.engines.decoding import tiny

    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = tmp_path / "tiny"
    tiny.network("llama").save_pretrained(folder)
    tiny.bpe().save_pretrained(folder)
    return folder


def test_redecide_by_a_tiny_random_model_and_another_calibration(audit, tmp_path, tiny_model):
    """One that weighs the fallback up gives everybody the fallback who could hear something else; weighed down, nobody."""
    log = talk(tmp_path / "few.db", n_dialogues=1)
    chosen = {}
    for name, weight in (("up", 1e6), ("down", -1e6)):
        calibration = tmp_path / f"{name}.json"
        calibration.write_text(json.dumps({"rest_option": weight}))
        book = tmp_path / f"{name}.xlsx"
        done = audit("re-decide", log, "--model", tiny_model, "--calibration", calibration, "--threshold", "0", "--xlsx", book)
        assert done.status == 0, done.err
        assert f"{len(list(read_log(log)))} turns decided anew" in done.out
        chosen[name] = set(re.findall(r"^ *\d+ +reply +\w+ +(\w+)", done.out, re.MULTILINE))
        assert book.stat().st_size > 2_000
    assert chosen["up"] == {"pardon"}
    assert "pardon" not in chosen["down"]
    (tmp_path / "broken.json").write_text('{"no such": 1}')
    done = audit("re-decide", log, "--model", tiny_model, "--calibration", tmp_path / "broken.json")
    assert "is no calibration" in done.err
    assert done.status == 1


def test_a_key_rotates_and_a_bundle_of_the_new_key_verifies_whole(audit, tmp_path, key):
    path, sink = talk(tmp_path / "audit.db"), tmp_path / "sink"
    new_pair(tmp_path / "next.pem")
    audit("checkpoint", path, "--key", key, "--sink", sink)
    done = audit("rotate", path, "--key", key, "--to", tmp_path / "next.pem", "--by", "the officer", "--sink", sink)
    assert (done.status, "signs from record" in done.out) == (0, True)
    for public in (key.with_name("desk.pub.pem"), tmp_path / "next.pub.pem"):
        assert audit("verify", path, "--key", public, "--sink", sink).status == 0
    assert audit("export", path, tmp_path / "bundle", "--key", tmp_path / "next.pem").status == 0
    done = examine(tmp_path / "bundle", "--key", tmp_path / "next.pub.pem")
    assert (done.returncode, done.stderr) == (0, "")
    assert audit("rotate", path, "--key", key, "--to", key).status == 1


def test_a_bundle_without_a_key_of_ones_own_establishes_no_author(bundle):
    done = examine(bundle)
    assert done.returncode == 3
    assert done.stdout.startswith("NOT ESTABLISHED: whose key sha256:")
