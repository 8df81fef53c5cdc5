"""The second judge: fitted heads over sentence vectors, read on the whole message and on every sentence and clause.

A support vector machine a trigger, on the vector of a text and its letters. They ship fitted, because to read and fit thousands of texts
at load would cost seconds: ``heads.en.*`` for the English encoder, ``heads.other.*`` for the multilingual one, with vectors in place of
texts. ``tools/fit_protected.py`` makes them of the train parts of ``data`` and chooses the thresholds; a test compares what they were
made of with what is there.

Source: Cortes and Vapnik, Support-Vector Networks, Machine Learning 1995.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from constrained.engines.small.encoder import Vectors, shared_encoder
from constrained.engines.small.respell import Speller, make_speller
from constrained.engines.small.words import letter_vectors
from constrained.understanding.protected import phrases
from constrained.understanding.protected.values import TRIGGERS

FOLDER = Path(__file__).parent
FORMAT = 2  # of what a head reads: another number where features or pieces change
LETTERS = 0.4  # length of the letters' part of a feature, against 1 for the vector
MOST_PIECES = 96  # of a message; of more sentences, neighbours are read together
LONGEST = 24  # words of a piece that is read at once; a longer one is read in windows besides
WINDOW, STEP = 16, 8
SHORTEST = 2  # words of a clause that is read by itself
NEAR, ALIKE = 0.66, 0.8  # cosine to an author's own message from which the trigger is likely, and is there
STEEPNESS = 12.0  # logits for a cosine of 1
SHARPNESS = 4.0  # logits for a score of 1
GAMMA = 1.0  # of the kernel; with LETTERS chosen on dev
FEW_PIECES = 4  # with which a message is read by the thresholds as they stand
GROWTH = 0.1  # of a threshold, for each time that the pieces are e times as many: each is one more chance of a false alarm
CAREFUL = {"self_harm": 0.5, "emergency": 0.5}  # share of GROWTH for what must not be missed
LEAST_MENDED = 5  # letters of a word that another language's typing errors are mended to
PACKING = 400.0  # what a component of a feature is multiplied by in the file; the largest are about 0.3

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Reading:
    """Logits that a trigger is there, and that it is likely at least; above 0 it is."""

    yes: float
    likely: float


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Support vector machines of all triggers over one set of texts, with a Gaussian kernel.

    Attributes:
        texts: [row, feature] what they were fitted to. weights: [row, trigger]. bias: [trigger].
        likely, yes: [trigger] the scores from which a trigger is heard so.
        made_of: hash of the messages and the encoder that they were fitted with.
    """

    texts: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    likely: NDArray[np.float32]
    yes: NDArray[np.float32]
    made_of: str

    def scores(self, features: Vectors) -> NDArray[np.float32]:
        """[piece, trigger]; 0 lies midway between what is meant and what is not."""
        return np.asarray(kernel(features, self.texts) @ self.weights + self.bias, dtype=np.float32)


def kernel(features: Vectors, texts: Vectors) -> NDArray[np.float32]:
    """[piece, row] exp(-GAMMA d^2), of the distance d of two features."""
    squares = (features**2).sum(1)[:, None] + np.einsum("ij,ij->i", texts, texts) - 2 * features @ texts.T
    return np.asarray(np.exp(-GAMMA * np.maximum(squares, 0)), dtype=np.float32)


def read(trigger: str, message: str, locale: str, more: tuple[str, ...] = (), unlike: tuple[str, ...] = ()) -> Reading:
    """How far a message says a trigger, by its most telling piece."""
    heads, at = load_heads(kind_of(locale)), tuple(TRIGGERS).index(trigger)
    best, n_pieces = message_scores(message, locale)
    allowed = best[at] - float(allowance(n_pieces)[at])
    yes, likely = SHARPNESS * (allowed - float(heads.yes[at])), SHARPNESS * (allowed - float(heads.likely[at]))
    likely = max(likely, SHARPNESS * (best[at] - float(heads.yes[at])))  # what is a yes by itself is likely in any message
    if more or unlike:
        vectors = _vectors(pieces_of(mended(message, locale)), locale)
        near = float((vectors @ _vectors(more, locale).T).max()) if more else -1.0
        yes, likely = max(yes, STEEPNESS * (near - ALIKE)), max(likely, STEEPNESS * (near - NEAR))
        far = float((vectors[0] @ _vectors(unlike, locale).T).max()) if unlike else -1.0
        if far >= ALIKE and far >= near:
            yes, likely = min(yes, STEEPNESS * (near - far) - 1), min(likely, STEEPNESS * (near - far) - 1)
    return Reading(yes, likely)


@lru_cache(maxsize=256)
def message_scores(message: str, locale: str) -> tuple[tuple[float, ...], int]:
    """[trigger] the score of the piece of a message that speaks most for it, and how many pieces there are."""
    pieces = pieces_of(mended(message, locale))
    found = load_heads(kind_of(locale)).scores(features_of(pieces, _vectors(pieces, locale)))
    return tuple(map(float, found.max(0))), len(pieces)


@lru_cache(maxsize=MOST_PIECES + 2)
def allowance(n_pieces: int) -> NDArray[np.float32]:
    """[trigger] what the best of so many pieces must score more.

    The best of n chances exceeds a threshold n times as often as one does. As scores of ordinary pieces fall off exponentially, a threshold
    that grows with log n keeps the rate (Bonferroni's correction). Their tails give 0.13 to 0.19; less is taken off, as the pieces
    of a message overlap.
    """
    grown = GROWTH * float(np.log(max(n_pieces, FEW_PIECES) / FEW_PIECES))
    return np.asarray([CAREFUL.get(trigger, 1.0) * grown for trigger in TRIGGERS], dtype=np.float32)


def pieces_of(message: str) -> tuple[str, ...]:
    """The message whole, each sentence (of long ones windows), then neighbouring sentences and clauses as far as there is room."""
    sentences = phrases.split_sentences(message)
    clauses = [one for sentence in sentences for one in phrases.split_clauses(sentence) if len(one.split()) >= SHORTEST]
    alone = list(dict.fromkeys([message, *(piece for one in sentences for piece in _windows(one))]))
    pairs = [f"{one}. {other}" for one, other in pairwise(sentences)] if len(sentences) > 2 else []
    kept = list(dict.fromkeys([*alone, *pairs, *(piece for one in clauses for piece in _windows(one))]))
    if len(alone) <= MOST_PIECES:
        return tuple(kept[:MOST_PIECES])
    share = -(-(len(alone) - 1) // MOST_PIECES)
    return (alone[0], *(" ".join(alone[at : at + share]) for at in range(1, len(alone), share)))


def _windows(text: str) -> list[str]:
    """A text as it is; of more than LONGEST words, overlapping parts."""
    words = text.split()
    if len(words) <= LONGEST:
        return [text]
    return [" ".join(words[at : at + WINDOW]) for at in range(0, len(words) - STEP, STEP)]


def features_of(texts: Sequence[str], vectors: Vectors) -> Vectors:
    """[text, feature] the vector, the letters beside it."""
    return np.concatenate([vectors, LETTERS * letter_vectors([phrases.plain_words(text) for text in texts])], axis=1)


def kind_of(locale: str) -> str:
    """Which of the two encoders reads a locale."""
    return "en" if locale.split("-")[0] == "en" else "other"


def languages_of(kind: str) -> tuple[str, ...]:
    """The languages whose messages the heads of an encoder learn from."""
    return ("en",) if kind == "en" else phrases.LANGUAGES


@lru_cache(maxsize=2)
def load_heads(kind: str) -> Heads:
    """The heads that ship."""
    kept = json.loads((FOLDER / f"heads.{kind}.json").read_text(encoding="utf-8"))
    likely, yes = (np.asarray([kept["thresholds"][trigger][name] for trigger in TRIGGERS], dtype=np.float32) for name in ("likely", "yes"))
    with np.load(FOLDER / f"heads.{kind}.npz") as arrays:
        return Heads(unpacked(arrays["texts"]), arrays["weights"], arrays["bias"], likely, yes, kept["made_of"])


def packed(features: Vectors) -> NDArray[np.int8]:
    """In 8 bits: the file would have four times the size."""
    return np.asarray(np.clip(np.round(features * PACKING), -127, 127), dtype=np.int8)


def unpacked(features: NDArray[np.int8]) -> NDArray[np.float32]:
    return np.asarray(features, dtype=np.float32) / PACKING


def judge_name(locale: str) -> str:
    """The name of this judge in records."""
    return f"vectors {FORMAT} {load_heads(kind_of(locale)).made_of[:12]}"


def material_hash(kind: str) -> str:
    """Of all messages that the heads of an encoder are fitted to, and of the encoder."""
    digest = hashlib.sha256(f"{FORMAT} {shared_encoder('en' if kind == 'en' else 'es').weights}".encode())
    for language in languages_of(kind):
        for trigger in TRIGGERS:
            known = phrases.load_phrases(trigger, language)
            for is_meant in (True, False):
                digest.update("\n".join(known.messages("train", is_meant=is_meant)).encode())
        digest.update("\n".join(phrases.ordinary(language, "train")).encode())
    return digest.hexdigest()


def mended(message: str, locale: str) -> str:
    """The message with typing errors mended towards the words of the triggers.

    Only of English are the words known that are right though no trigger says them. So elsewhere only a slip is mended: a letter too
    many, too few, or two that changed places. Another letter is likely another word ("sierra" and "cierra").
    """
    language = locale.split("-")[0]
    speller = _speller(language)
    if language == "en":
        return speller.mend(message)

    def mend(found: re.Match[str]) -> str:
        word = speller.mend(found[0])
        return word if found[0].lower() in speller.short or _is_slip(found[0], word) else found[0]

    return _WORD.sub(mend, message)


def _is_slip(typed: str, meant: str) -> bool:
    one, other = (phrases.plain_words(word).strip() for word in (typed, meant))
    if one == other or len(other) < LEAST_MENDED:
        return one == other
    if len(one) == len(other):
        return sorted(one) == sorted(other)
    short, long = sorted((one, other), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


@lru_cache(maxsize=4)
def _speller(language: str) -> Speller:
    known = language if language in phrases.LANGUAGES else "en"
    meant = [text for _, _, text in phrases.every_phrase("train", is_meant=True, languages=(known,))]
    other = [text for _, _, text in phrases.every_phrase("train", is_meant=False, languages=(known,))]
    return make_speller([*meant, *other, *phrases.ordinary(known, "train")], language)


def _vectors(texts: Sequence[str], locale: str) -> Vectors:
    return shared_encoder(locale.split("-")[0]).vectors(texts)
