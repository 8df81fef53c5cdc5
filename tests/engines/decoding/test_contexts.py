"""Contexts kept on disk: the same states at the next start, another owner's never, a broken file never trusted."""

from __future__ import annotations

import pytest
import torch

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


def test_the_oldest_go_when_the_folder_is_full(llama, kept, tmp_path, monkeypatch):
    fed(llama, kept())
    files = sorted((tmp_path / "contexts").iterdir(), key=lambda file: file.stat().st_mtime)
    monkeypatch.setattr(module, "MAX_DISK_BYTES", files[-1].stat().st_size)
    kept().trim()
    assert len(list((tmp_path / "contexts").iterdir())) == 1


def test_states_do_not_depend_on_what_else_was_asked(llama):
    alone, together = Contexts(llama), Contexts(llama)
    alone.fill([(5, 6)])
    together.fill([(5, 7, 8, 9), (5, 6), (1, 2, 3)])
    assert torch.equal(alone.stacked([(5, 6)]).keys[1], together.stacked([(5, 6)]).keys[1])
