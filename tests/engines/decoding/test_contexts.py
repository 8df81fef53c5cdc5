"""Contexts kept on disk: the same states at the next start, another owner's never, a broken file never trusted."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from constrained.engines.decoding import channel as module
from constrained.engines.decoding.channel import ContextFolder, Contexts, score_message

CONTEXTS, MESSAGE = [(5, 6, 7), (5, 7, 8, 9)], [3, 4]


@pytest.fixture
def kept(tmp_path):
    return lambda owner="a model": ContextFolder(tmp_path / "contexts", lambda: owner)


def fed(llama, folder):
    scores, n_tokens = score_message(llama, Contexts(llama, folder=folder), CONTEXTS, MESSAGE)
    return scores.tolist(), n_tokens - len(CONTEXTS) * len(MESSAGE)


def test_the_next_start_reads_what_this_one_computed(llama, kept):
    first, n_first = fed(llama, kept())
    second, n_second = fed(llama, kept())
    assert (n_first, n_second) == (5, 0)
    assert second == first


def test_another_models_states_are_not_read(llama, kept):
    fed(llama, kept())
    assert fed(llama, kept("another model"))[1] == 5


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_broken_file_is_computed_again(llama, kept, tmp_path, content):
    whole, _ = fed(llama, kept())
    for file in (tmp_path / "contexts").iterdir():
        file.write_bytes(content)
    assert fed(llama, kept()) == (whole, 5)


def test_a_folder_that_cannot_be_written_costs_no_turn(llama, tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder = ContextFolder(tmp_path / "file" / "contexts", lambda: "a model")
    assert fed(llama, folder) == fed(llama, None)


def test_no_unfinished_file_is_left(llama, kept, tmp_path):
    fed(llama, kept())
    assert sorted(file.suffix for file in (tmp_path / "contexts").iterdir()) == [".safetensors"] * 2


def sizes(folder):
    return {file.name: file.stat().st_size for file in folder.glob("*.safetensors")}


def test_the_oldest_go_when_the_folder_is_full(llama, kept, tmp_path, monkeypatch):
    fed(llama, kept())
    files = sorted((tmp_path / "contexts").iterdir(), key=lambda file: file.stat().st_mtime)
    monkeypatch.setattr(module, "MAX_DISK_BYTES", files[-1].stat().st_size)
    kept().trim()
    assert len(list((tmp_path / "contexts").iterdir())) == 1


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12), most=st.integers(1, 12_000))
def test_the_folder_never_holds_more_than_its_bound_and_keeps_what_was_used_last(lengths, most):
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_DISK_BYTES", most)
        folder = ContextFolder(Path(path), lambda: "a model")
        for number, length in enumerate(lengths):
            context = (number, *range(length - 1))
            folder.save(context, torch.zeros(2, 2, 2, length, 4))
            for age, file in enumerate(sorted(Path(path).glob("*.safetensors"), key=lambda one: -one.stat().st_mtime)):
                os.utime(file, (1_000.0 - age, 1_000.0 - age))  # in their order, far enough apart for any file system
            assert sum(sizes(Path(path)).values()) <= most
            size = 2 * 2 * 2 * length * 4 * 4
            assert (folder.load(context) is not None) == (size + 80 <= most), "a file that fits is there"


def test_what_a_process_left_half_written_goes_after_an_hour(kept, tmp_path, monkeypatch):
    for name, age in (("tmpold", 2 * module.ABANDONED_S), ("tmpnew", 0.0)):
        left = tmp_path / "contexts" / name / "states"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
        os.utime(left, (left.stat().st_mtime - age,) * 2)
    kept().trim()
    assert [file.name for file in (tmp_path / "contexts").iterdir()] == ["tmpnew"]


def test_another_contexts_file_under_this_name_is_not_used(llama, kept, tmp_path):
    """A file is found by the hash of owner and tokens; one that holds another number of them is none."""
    kept().save((5, 6, 7), torch.zeros(2, 2, 2, 3, 4))
    (file,) = (tmp_path / "contexts").iterdir()
    save_file({"states": torch.zeros(2, 2, 2, 2, 4)}, file)
    assert kept().load((5, 6, 7)) is None


def test_what_is_not_to_be_kept_is_read_and_not_written(llama, kept, tmp_path):
    bank = Contexts(llama, folder=kept())
    with bank.not_kept():
        whole, _ = score_message(llama, bank, CONTEXTS[:1], MESSAGE)
    assert not (tmp_path / "contexts").exists()
    assert score_message(llama, bank, CONTEXTS, MESSAGE)[0][0] == pytest.approx(whole[0], abs=1e-4)
    assert len(list((tmp_path / "contexts").iterdir())) == 1


def test_states_do_not_depend_on_what_else_was_asked(llama):
    alone, together = Contexts(llama), Contexts(llama)
    alone.fill([(5, 6)])
    together.fill([(5, 7, 8, 9), (5, 6), (1, 2, 3)])
    assert torch.equal(alone.stacked([(5, 6)]).keys[1], together.stacked([(5, 6)]).keys[1])
