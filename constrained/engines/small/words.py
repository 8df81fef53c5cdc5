"""What a message shares with a text by its letters alone, and a long message in pieces."""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding.prompts import lettered
from constrained.engines.small.encoder import Vectors, unit

LETTERS = 512  # places that runs of letters are spread over
MOST_PIECES = 12
DENIES = 2
OTHER_POLARITY, OTHER_MOOD = 0.8, 0.9  # share that stays between a denial and an assertion, between a question and a statement
NEUTRAL = 4  # the form of texts where nothing is told apart by form
_MARKED = np.kron([[1, OTHER_POLARITY], [OTHER_POLARITY, 1]], [[1, OTHER_MOOD], [OTHER_MOOD, 1]])
FORMS = np.pad(_MARKED, (0, 1), constant_values=1)  # [form, form] share of the nearness that stays
PIECE_WORDS = 5  # shorter sentences are read together with the next one
_SENTENCE = re.compile(r"(?<=[.!?…;])\s+|\n+|\s+[\u2013\u2014]\s+")
_WORD = re.compile(r"\w+")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019'`"))
_DENIAL = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nope|nah|without|neither|nor|cannot|cant|dont|wont|isnt|didnt"
    r"|nunca|nada|nadie|ningun[oa]?|tampoco|jamás|sin"
    r"|nicht|kein\w{0,2}|nie|niemals|nein|nichts|niemand"
    r"|ne|pas|jamais|rien|aucun[e]?|personne|sans)\b|n['\u2019]t\b|\bn['\u2019]",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"[?\u00bf]|^\W*(?:who|what|when|where|why|how|which|is|are|was|were|do|does|did|can|could|would|will|may|should|have|has"
    r"|qué|quién|cuándo|cuánto|cuánta|dónde|cómo|cuál|por qué"
    r"|wer|was|wann|wo|warum|wieso|wie|welche[rs]?|kann|können|darf|ist|sind|gibt"
    r"|qui|quand|où|pourquoi|comment|combien|quel(?:le)?s?|est-ce)\b",
    re.IGNORECASE,
)


def form_of(text: str) -> int:
    """DENIES for a text that denies, 1 for one that asks, 3 for both: what a sentence vector hardly tells."""
    return DENIES * bool(_DENIAL.search(text)) + bool(_QUESTION.search(text))


def forms_of(texts: Sequence[str]) -> NDArray[np.int64]:
    """[text] ``form_of`` each."""
    return np.asarray([form_of(text) for text in texts], dtype=np.int64)


def letter_vectors(texts: Sequence[str]) -> Vectors:
    """[text, LETTERS] unit vectors of the words and the runs of four letters in them, spread by a hash."""
    found = np.zeros((len(texts), LETTERS), dtype=np.float32)
    for row, text in enumerate(texts):
        for place, value in _placed(text):
            found[row, place] += value
    return unit(found)


@lru_cache(maxsize=20_000)
def _placed(text: str) -> tuple[tuple[int, float], ...]:
    runs = Counter([*lettered(text).split(), *_WORD.findall(text.lower())])
    hashed = ((zlib.crc32(run.encode("utf-8", "replace")), count) for run, count in runs.items())
    return tuple((code % LETTERS, (1 + math.log(count)) * (1 if code & 0x10000 else -1)) for code, count in hashed)


def pieces(message: str) -> list[str]:
    """The message whole, then, of one with several sentences, these: at most MOST_PIECES, and no word is left out."""
    groups: list[str] = []
    for sentence in filter(str.strip, _SENTENCE.split(message)):
        if groups and len(groups[-1].split()) < PIECE_WORDS:
            groups[-1] += " " + sentence.strip()
        else:
            groups.append(sentence.strip())
    if len(groups) > 1 and len(groups[-1].split()) < 2:  # a closing "Thanks." is no sentence of its own
        groups[-2:] = [" ".join(groups[-2:])]
    if len(groups) < 2:
        return [message]
    share = math.ceil(len(groups) / MOST_PIECES)
    return [message, *(" ".join(groups[at : at + share]) for at in range(0, len(groups), share))]


@lru_cache(maxsize=10_000)
def plain(text: str) -> str:
    """Letters and digits alone, without case and accents, words parted by one space, a space at both ends."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    return f" {' '.join(_WORD.findall(bare.translate(_APOSTROPHES)))} "


def mention(name: str, message: str) -> float:
    """How far a message names something: 1 for the whole name, its last letters (a plural) aside; less for some of its words."""
    wanted, said = plain(name), plain(message)
    if not wanted.strip():
        return 0.0
    if wanted in said:
        return 1.0
    words, heard = wanted.split(), {_stem(word) for word in said.split()}
    named = sum(len(word) for word in words if len(word) > 2 and _stem(word) in heard)
    return named / sum(map(len, words))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith(("s", "n", "e")) else word
