"""Vectors of the texts that heads are fitted on: each made once, shared by all heads of an encoder, kept on the disk."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from constrained._durable_files import replace_file
from constrained.engines.model_files import home
from constrained.engines.small.encoder import SentenceEncoder, Vectors
from constrained.engines.small.words import FORMS, LETTERS, forms_of, letter_vectors

FORMAT = 1
MOST_FILES = 64  # in the cache; one of a catalog of 1,000 examples takes 1.5 MB
MOST_BYTES = 64 << 20
MOST_READ = 512  # texts besides the rows that are remembered in memory
WIDTHS = {"option": 2.0, "heard": 1.0}  # of the kernel, by kind of choice: how soon two texts are no neighbours any more
LETTER_SHARE = 0.1  # of shared letters beside it
# Both were chosen on draws of BANKING77 and CLINC150 and on left-out examples of the packs (benchmarks/LOG.md).


class VectorStore:
    """Texts as numbered rows. Safe from any thread; rows are only ever added.

    Args:
        folder: of the cache; None keeps nothing on the disk.
    """

    def __init__(self, encoder: SentenceEncoder, folder: Path | None) -> None:
        self.encoder, self._folder = encoder, folder
        self._places: dict[str, int] = {}
        self._vectors: Vectors = encoder.vectors(())
        self._letters: Vectors = np.zeros((0, LETTERS), dtype=np.float32)
        self._forms = np.zeros(0, dtype=np.int64)
        self._read: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._shipped = _read_shipped(self._shipped_file(folder)) if folder is not None else {}
        self._lock = threading.Lock()

    def add(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """[text] its row. Texts that are new are read in one go."""
        with self._lock:
            new = sorted({text for text in texts if text not in self._places})
            if new:
                made = self._kept(new)
                self._letters = np.concatenate([self._letters, letter_vectors(new)])
                self._forms = np.concatenate([self._forms, forms_of(new)])
                self._vectors = np.concatenate([self._vectors, made])
                self._places.update((text, len(self._places)) for text in new)
            return np.asarray([self._places[text] for text in texts], dtype=np.int64)

    def read(self, texts: Sequence[str]) -> Vectors:
        """[text, hidden] vectors of messages and names, which are no rows: the last ones are remembered, since a turn asks twice."""
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._read]
        made = dict(zip(new, self.encoder.vectors(new), strict=True)) if new else {}
        with self._lock:
            found = [made[text] if text in made else self._read.get(text) for text in texts]
            self._read.update(made)
            while len(self._read) > MOST_READ:
                self._read.popitem(last=False)
        return np.stack([one if one is not None else self.encoder.vectors([text])[0] for one, text in zip(found, texts, strict=True)])

    def kernel(self, kind: str, rows: NDArray[np.int64], forms: NDArray[np.int64]) -> NDArray[np.float64]:
        """[row, row] how near texts are when they have these forms: 1.1 for the same one, near 0 for strangers."""
        with self._lock:
            vectors, letters = self._vectors[rows], self._letters[rows]
        return _kernel(kind, vectors @ vectors.T, letters @ letters.T) * FORMS[forms[:, None], forms]

    def near(self, kind: str, messages: Sequence[str], vectors: Vectors) -> NDArray[np.float64]:
        """[message, row] the same for messages with these vectors against every row that there is, whatever their forms."""
        with self._lock:
            rows, letters = self._vectors, self._letters
        return _kernel(kind, vectors @ rows.T, letter_vectors(messages) @ letters.T)

    def forms(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        with self._lock:
            return self._forms[rows]

    def cosines(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        with self._lock:
            vectors = self._vectors
        return np.asarray(vectors[rows] @ vectors[others].T, dtype=np.float64)

    def _kept(self, texts: Sequence[str]) -> Vectors:
        """Vectors out of the cache, where a file of exactly these texts by exactly this encoder is there; else made and kept."""
        if self._shipped:
            new = [text for text in texts if text not in self._shipped]
            known = self._shipped | dict(zip(new, self.encoder.vectors(new), strict=True)) if new else self._shipped
            return np.stack([known[text] for text in texts])
        if self._folder is None or len(texts) < 2:
            return self.encoder.vectors(texts)
        digest = hashlib.sha256(f"{FORMAT} {self.encoder.weights}".encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
        file = self._folder / f"{digest.hexdigest()}.f32"
        kept = self._read_file(file, len(texts))
        if kept is not None:
            return kept
        made = self.encoder.vectors(texts)
        self._keep(file, made.astype("<f4").tobytes())
        return made

    def ship(self, folder: Path) -> None:
        """Writes all rows to a file that stores of this encoder begin with where ``folder`` is theirs; they then write no other."""
        folder.mkdir(parents=True, exist_ok=True)
        found = _read_shipped(file := self._shipped_file(folder))  # of another store of the same encoder
        with self._lock:
            found |= {text: self._vectors[row] for text, row in self._places.items()}
        texts = np.frombuffer(json.dumps(list(found)).encode(), np.uint8)
        np.savez(file, texts=texts, vectors=np.stack(list(found.values())) if found else self._vectors)

    def _shipped_file(self, folder: Path) -> Path:
        return folder / f"{hashlib.sha256(f'{FORMAT} {self.encoder.weights}'.encode()).hexdigest()[:32]}.npz"

    def _read_file(self, file: Path, n_texts: int) -> Vectors | None:
        """[text, dimension] out of a file; None where it is not there, cannot be read, or is not whole."""
        width = self._vectors.shape[1]
        try:
            data = file.read_bytes()
        except OSError:
            return None
        head, body = data[:32], data[32:]
        if len(body) != 4 * width * n_texts or hashlib.sha256(body).digest() != head:
            return None
        with suppress(OSError):  # a cache on a read-only volume is read all the same; only its age is not renewed
            os.utime(file)
        return np.frombuffer(body, dtype="<f4").reshape(n_texts, width)

    def _keep(self, file: Path, body: bytes) -> None:
        """A cache that cannot be written is none; the answer is the same."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, hashlib.sha256(body).digest() + body)
            _trim(file.parent)
        except OSError:
            return


def _read_shipped(file: Path) -> dict[str, NDArray[np.float32]]:
    """Text -> vector; empty where nothing was shipped."""
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as found:
        return dict(zip(json.loads(found["texts"].tobytes()), found["vectors"], strict=True))


def cache_folder() -> Path:
    return home() / "vectors"


def _kernel(kind: str, cosines: Vectors, letters: Vectors) -> NDArray[np.float64]:
    return np.asarray(np.exp(WIDTHS[kind] * (cosines - 1)) + LETTER_SHARE * letters, dtype=np.float64)


def _trim(folder: Path) -> None:
    """Keeps the files used last, within both bounds."""
    files = []
    for file in folder.glob("*.f32"):
        try:
            found = file.stat()
        except OSError:  # another process was faster
            continue
        files.append((found.st_mtime, found.st_size, file))
    total = 0
    for number, (_, size, file) in enumerate(sorted(files, reverse=True)):
        total += size
        if number >= MOST_FILES or total > MOST_BYTES:
            file.unlink(missing_ok=True)
