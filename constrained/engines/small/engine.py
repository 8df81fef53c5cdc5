"""The engine ``small``: chooses by heads over sentence vectors, in milliseconds on one processor core and without torch."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from constrained.engines.protocol import (
    Choice,
    ChoiceRequest,
    Deadline,
    Decoding,
    Distribution,
    ExtractionField,
    LeftOut,
    PromptContext,
)
from constrained.engines.small import background, courtesies, evidence, head, respell, store, words
from constrained.engines.small.courtesies import without_courtesies
from constrained.engines.small.encoder import ENGLISH, MULTILINGUAL, SentenceEncoder, Vectors, file_hash, shared_pair
from constrained.engines.small.evidence import ChoiceHead
from constrained.engines.small.head import Floats
from constrained.engines.small.respell import Speller, make_speller
from constrained.engines.small.store import VectorStore

MOST_HEADS = 256
MOST_SPELLERS = 32
MOST_DESKS = 64  # whose texts are known to be rows of a store
MOST_READ = 600  # characters that a pattern is looked for in
CLEAR = 0.5  # of the likeliest candidate, for a message without its courtesies: below, they are all that it is about
CACHE: Final = "cache"  # the default folder of vectors


class SmallEngine:
    """Chooses by a sentence encoder, a head per set of candidates, shared letters and literal mention. Safe from any thread.

    English is read by all-MiniLM-L6-v2 and a multilingual encoder, any other language by the latter; loaded when they are first needed.

    Args:
        folder: where vectors are kept; None keeps none.
        encoders: for tests: makes the encoder of a language.

    Raises EngineError when a package is missing, at the first message of that language.
    """

    def __init__(self, folder: Path | str | None = CACHE, encoders: Callable[[str], SentenceEncoder] | None = None) -> None:
        self._folder = store.cache_folder() if folder == CACHE else None if folder is None else Path(folder)
        self._make = encoders or shared_pair
        self._stores: dict[str, VectorStore] = {}
        self._heads: OrderedDict[tuple[object, ...], ChoiceHead] = OrderedDict()
        self._spellers: OrderedDict[tuple[str, ...], Speller] = OrderedDict()
        self._desks: OrderedDict[tuple[str, int, int], object] = OrderedDict()
        self._lock = threading.RLock()
        # One core is left to the program: a game's frames wait for the interpreter's lock whenever several turns compute.
        self._at_once = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))
        self._identity = {
            "engine": "small",
            "model": "small",
            "encoder": f"{ENGLISH.name}; {MULTILINGUAL.name}",
            "weights": f"sha256:{ENGLISH.sha256}; sha256:{MULTILINGUAL.sha256}",
            "device": "cpu",
            "rule": "heads",
            "heads": f"sha256:{_version()}",
        }

    @property
    def identity(self) -> Mapping[str, str]:
        """``heads`` hashes the code and the texts that heads are fitted by: with the catalog it decides them."""
        return dict(self._identity)

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """See ``Engine.choose``. The message is read once for all choices."""
        is_free = self._at_once.acquire(timeout=None if deadline is None else max(deadline.left_s, 0.0))
        try:
            if deadline is not None:
                deadline.check()
            return self._choose(choices, scene, deadline)
        finally:
            if is_free:
                self._at_once.release()

    def _choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None) -> list[Distribution]:
        texts = self._store_of(scene)
        heads = []
        for choice in choices:
            if deadline is not None:
                deadline.check()
            heads.append(self._head_of(choice, scene, texts) if evidence.has_examples(choice) else None)
        mended = self._speller_of(scene).mend(scene.message)
        readings = {kind: _read(kind, mended, scene, texts) for kind in dict.fromkeys(choice.kind for choice in choices)}
        found = []
        for choice, fitted in zip(choices, heads, strict=True):
            if deadline is not None:
                deadline.check()
            found.append(_answer(choice, fitted, scene.message, readings[choice.kind], texts))
        return found

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """One after the other: nothing is gained by a batch."""
        return [self.choose(ask.choices, ask.scene, deadline) for ask in asks]

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> list[str | None]:
        """The longest text of a pattern in the message; a grammar needs a language model."""
        if deadline is not None:
            deadline.check()
        return [_longest(blank.pattern, scene.message[:MOST_READ]) if blank.pattern else None for blank in blanks]

    def left_out(self, choice: Choice, scene: PromptContext) -> LeftOut | None:
        """See ``CrossValidated``; the examples of the candidates, and what nobody answers where there is a "none of these"."""
        return self._head_of(choice, scene, self._store_of(scene)).head.messages if evidence.has_examples(choice) else None

    def _store_of(self, scene: PromptContext) -> VectorStore:
        """The vectors of the scene's language, with all that its desk is known to hear."""
        language = scene.locale.split("-")[0]
        kind = "en" if language == "en" else "other"
        with self._lock:
            if kind not in self._stores:
                self._stores[kind] = VectorStore(self._make(language), self._folder)
            found, desk = self._stores[kind], (kind, id(scene.background), id(scene.listing))
            is_known = desk in self._desks
        if not is_known:
            found.add(scene.background)
            found.add([text for _, text in scene.listing])
            with self._lock:
                self._desks[desk] = scene.background, scene.listing  # kept, so that their ids stay their own
                while len(self._desks) > MOST_DESKS:
                    self._desks.popitem(last=False)
        return found

    def _speller_of(self, scene: PromptContext) -> Speller:
        key = ("spelling", scene.static_id, scene.locale, scene.speaker)
        with self._lock:
            if key not in self._spellers:
                texts = (*scene.background, *(text for _, text in scene.listing), scene.speaker)
                self._spellers[key] = make_speller(texts, scene.locale.split("-")[0])
                while len(self._spellers) > MOST_SPELLERS:
                    self._spellers.popitem(last=False)
            return self._spellers[key]

    def _head_of(self, choice: Choice, scene: PromptContext, texts: VectorStore) -> ChoiceHead:
        key = (scene.locale, *evidence.head_key(choice, scene))
        with self._lock:
            if key in self._heads:
                self._heads.move_to_end(key)
                return self._heads[key]
        made = evidence.make_head(choice, scene, texts)  # two threads may make the same one: it is the same
        with self._lock:
            self._heads[key] = made
            while len(self._heads) > MOST_HEADS:
                self._heads.popitem(last=False)
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A message as one kind of choice reads it.

    Attributes:
        pieces: the whole first. vectors: [piece, hidden]. near: [piece, row of the store]. forms: [piece].
        whole: with the courtesies that this one is read without; None where there are none.
    """

    pieces: Sequence[str]
    vectors: Vectors
    near: Floats
    forms: NDArray[np.int64]
    whole: Reading | None = None


def _read(kind: str, mended: str, scene: PromptContext, texts: VectorStore) -> Reading:
    """What is asked is read without its courtesies; what is heard (manners, say) may lie in them."""
    asked = without_courtesies(mended, scene.speaker) if kind == "option" else mended
    return _reading(kind, asked, texts, None if asked == mended else _reading(kind, mended, texts))


def _reading(kind: str, message: str, texts: VectorStore, whole: Reading | None = None) -> Reading:
    found = words.pieces(message)
    vectors = texts.read(found)
    near = texts.near(kind, found, vectors) if kind != "span" else np.zeros((len(found), 0))
    return Reading(found, vectors, near, words.forms_of(found), whole)


def _answer(choice: Choice, fitted: ChoiceHead | None, message: str, reading: Reading, texts: VectorStore) -> Distribution:
    if fitted is not None:
        needs_texts = any(len(group.candidates) > 1 for group in fitted.groups)
        logits = _by_head(choice, fitted, message, reading, texts)
        if reading.whole is not None and _shares(logits).max() < CLEAR:
            logits = _by_head(choice, fitted, message, reading.whole, texts)
        reason = "vectors and letters against the examples" + (", then the words of the replies" if needs_texts else "")
    elif choice.kind == "span":
        logits, reason = evidence.span_logits(choice, message), "the span that was found, and whether it was corrected"
    else:
        logits = evidence.described_logits(choice, message, evidence.meanings_of(choice, reading.vectors, texts))
        reason = "literal mention, and likeness to the description; there are no examples"
    shares, n = _shares(logits), len(choice.candidates)
    return Distribution(
        tuple(shares.tolist()), "exact", tuple(logits.tolist()), Decoding(reason, n_passes=1, n_nodes=n, n_expanded=n, n_exact=n)
    )


def _by_head(choice: Choice, fitted: ChoiceHead, message: str, reading: Reading, texts: VectorStore) -> Floats:
    """[candidate] nats."""
    needs_texts = any(len(group.candidates) > 1 for group in fitted.groups)
    meanings = reading.vectors[0] @ texts.read([one.text for one in choice.candidates]).T if needs_texts else None
    return evidence.head_logits(fitted, choice, reading.near, reading.forms, message, meanings)


def _shares(logits: Floats) -> Floats:
    """[candidate] probabilities."""
    shares = np.exp(logits - np.logaddexp.reduce(logits))
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _longest(pattern: str, message: str) -> str | None:
    found = [one[0] for one in re.finditer(pattern, message, re.IGNORECASE) if _is_whole(message, one.start(), one.end())]
    return max(found, key=len) if found else None


def _is_whole(message: str, start: int, end: int) -> bool:
    """Whether no word goes on at either end."""
    before, after = message[max(start - 1, 0) : start], message[end : end + 1]
    return not (before.isalnum() and message[start].isalnum()) and not (after.isalnum() and message[end - 1].isalnum())


def _version() -> str:
    """Of the code that makes heads, and of the texts that they learn from besides a desk's own."""
    digest = hashlib.sha256()
    files = [Path(str(module.__file__)) for module in (courtesies, evidence, head, store, words)]
    for file in (*files, *sorted(background.FOLDER.glob("*.txt")), *sorted(respell.FOLDER.glob("*.txt")), background.PACKS):
        digest.update(file_hash(file).encode())
    return digest.hexdigest()
