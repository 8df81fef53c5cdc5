"""Mends the spelling of a message towards the words of a desk: typing errors, and the short forms of chats."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from constrained.engines.small.encoder import VOCABULARY

FOLDER = Path(__file__).with_name("spelling")
SHORTEST = 3
MOST_DROPPED = 2.5  # letters of a word to each that is left of it
_LEET = str.maketrans("013457", "oieast")
_VOWELS = re.compile(r"[aeiouáéíóúüäöàâèêëîïôûyæœ]")
_TOKEN = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*")


@dataclass(frozen=True, slots=True, eq=False)
class Speller:
    """Knows the words of a desk and of its language.

    Attributes:
        words: of the desk, with how often they stand there. short: short form -> what it stands for.
        language: words that are right though the desk does not say them.
    """

    words: Mapping[str, int]
    short: Mapping[str, str]
    language: frozenset[str]

    def mend(self, message: str) -> str:
        """The message with unknown words replaced by what they are likely to mean; the same object when nothing is."""
        mended = _TOKEN.sub(lambda found: self._mended(found[0]), message)
        return message if mended == message else mended

    def _mended(self, token: str) -> str:
        word = token.lower()
        if word in self.short and word not in self.words:
            return self.short[word]
        if not word.isalpha():
            return self._spelled_out(word) or token
        if len(word) < SHORTEST or word in self.words or word in self.language:
            return token
        return self._nearest(word) or self._with_vowels(word) or token

    def _spelled_out(self, word: str) -> str | None:
        """The desk's word that is written with digits for letters ("c4ncel"); None for a number, a time, and what is no such word."""
        plain = word.translate(_LEET)
        return plain if len(plain) >= SHORTEST and word[0].isalpha() and plain.isalpha() and plain in self.words else None

    def _with_vowels(self, word: str) -> str | None:
        """The desk's most frequent word of which nothing but vowels is missing ("appntmnt"); None where there is none."""
        if not self.language and _VOWELS.search(word):  # where right words are not known, one with vowels may be one
            return None
        bare = _VOWELS.sub("", word)
        found = [
            (-count, known)
            for known, count in self.words.items()
            if known[:1] == word[0] and len(word) < len(known) <= MOST_DROPPED * len(word) and _VOWELS.sub("", known) == bare
        ]
        fitting = [one for one in sorted(found) if _is_within(word, one[1])]
        return fitting[0][1] if fitting else None

    def _nearest(self, word: str) -> str | None:
        """The desk's word at the least distance, the most frequent one of equals; None where all are too far."""
        from rapidfuzz.distance import OSA

        most = 1 if len(word) < 6 else 2
        best: tuple[int, int, str] | None = None
        for known, count in self.words.items():
            if abs(len(known) - len(word)) > most or len(known) < SHORTEST:
                continue
            distance = OSA.distance(word, known, score_cutoff=most)
            is_swap = sorted(word) == sorted(known)
            if distance <= most and (len(word) > SHORTEST or is_swap) and (best is None or (distance, -count, known) < best):
                best = (distance, -count, known)
        return best[2] if best else None


def _is_within(word: str, known: str) -> bool:
    """Whether the letters of a word stand in the other one in this order."""
    letters = iter(known)
    return all(letter in letters for letter in word)


def make_speller(texts: Iterable[str], language: str) -> Speller:
    """Of the texts that a desk is known to hear, in a language."""
    words = Counter(token.lower() for text in texts for token in _TOKEN.findall(text))
    return Speller(words, _short_forms(language), _language_words() if language == "en" else frozenset())


@lru_cache(maxsize=8)
def _short_forms(language: str) -> Mapping[str, str]:
    file = FOLDER / f"{language}.txt"
    if not file.is_file():
        return {}
    return dict(line.split(" ", 1) for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


@lru_cache(maxsize=1)
def _language_words() -> frozenset[str]:
    """English words that the encoder reads whole."""
    return frozenset(word for word in gzip.decompress(VOCABULARY.read_bytes()).decode().split("\n") if word.isalpha())
