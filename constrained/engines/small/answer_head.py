"""A judge of answers: how likely a message is a yes or a no, by a head over sentence vectors that is fitted on authored answers at load."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from constrained.engines.small.answers import CLASSES, LANGUAGES, answers, digest
from constrained.engines.small.encoder import SentenceEncoder, shared_encoder
from constrained.engines.small.head import Head, Sample, fit_head
from constrained.engines.small.store import VectorStore, cache_folder
from constrained.engines.small.words import forms_of, plain

FORMAT = 1
KIND = "option"  # of the kernel and the temperature


@dataclass(frozen=True, slots=True)
class _Fitted:
    store: VectorStore
    head: Head


class AnswerHead:
    """English answers by all-MiniLM-L6-v2, those of other languages by the multilingual encoder. Safe from any thread.

    Each head is fitted when it is first asked, on all authored answers but those of the part ``test``. Nothing depends on what was asked
    before. Raises EngineError when a package is missing.

    Args:
        encoder: makes the encoder of a language.
    """

    def __init__(self, encoder: Callable[[str], SentenceEncoder] = shared_encoder) -> None:
        self._encoder = encoder
        self._heads: dict[str, _Fitted] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """With the hash of the answers that it was fitted on."""
        return f"answer head {FORMAT} sha256:{digest()[:16]}"

    def shares(self, message: str, language: str) -> tuple[float, float]:
        """Probability that the message is a yes, and that it is a no; of an answer that is neither, both are small."""
        fitted = self._fitted(language)
        near = fitted.store.near(KIND, [message], fitted.store.read([message]))
        logits = fitted.head.logits(fitted.head.scores(near, forms_of([message])))[0]
        shares = np.exp(logits - np.logaddexp.reduce(logits))
        return float(shares[CLASSES.index("yes")]), float(shares[CLASSES.index("no")])

    def words(self, language: str) -> frozenset[str]:
        """The words of the answers that it was fitted on and that are a yes or a no, without case and accents."""
        return _words(language)

    def ship_vectors(self, languages: Iterable[str], folder: Path) -> None:
        """Writes the vectors that its heads of these languages are fitted on; see ``VectorStore.ship``."""
        for language in languages:
            self._fitted(language).store.ship(folder)

    def _fitted(self, language: str) -> _Fitted:
        kind = "en" if language == "en" else "other"
        with self._lock:
            if kind not in self._heads:
                self._heads[kind] = _fit(self._encoder(language), ("en",) if kind == "en" else ("es", "de", "fr"))
            return self._heads[kind]


def _fit(encoder: SentenceEncoder, languages: tuple[str, ...]) -> _Fitted:
    store = VectorStore(encoder, cache_folder())
    given = [one for language in languages for one in answers(language) if one.part != "test"]
    rows = store.add([one.text for one in given])
    forms = store.forms(rows)
    samples = [Sample(int(row), CLASSES.index(one.meaning), form=int(form)) for row, form, one in zip(rows, forms, given, strict=True)]
    return _Fitted(store, fit_head(KIND, store.kernel(KIND, rows, forms), samples, len(CLASSES), None))


@lru_cache(maxsize=8)
def _words(language: str) -> frozenset[str]:
    if language not in LANGUAGES:
        return frozenset()
    texts = [one.text for one in answers(language) if one.part != "test" and one.meaning != "neither"]
    return frozenset(word for text in texts for word in plain(text).split())
