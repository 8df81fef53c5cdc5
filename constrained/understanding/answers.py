"""Reads a message as the answer to an open yes/no question, by authored phrases: whatever is not clearly a yes is none.

A clear yes is a message that is wholly made of phrases that mean yes, of politeness, and of the question's own words ("yes please,
cancel it"). It is never the nearest of several meanings: nothing here is scored, and a word that is not known makes it unclear.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from constrained.understanding.answer_phrases import EMOJI_NO, EMOJI_POLITE, EMOJI_YES, PHRASES, AnswerPhrases

AnswerMeaning = Literal["yes", "no", "not_now", "conditional", "question_back", "other"]
JUDGE = "answers 1"  # name of this reader in records; another number where what it reads changes

_LONGEST = 60  # words; an answer that is longer is none of yes and no
_LETTERS = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_PLAIN_SIGNS = frozenset("\n\t.,;:!\u00a1\u2026'\"()*-\u2013\u2014\u00ab\u00bb\u201c\u201d\u201e")
_RUNS = re.compile(r"(\w)\1+")
_IGNORED = re.compile("[\ufe0e\ufe0f\u200d\u2640\u2642\U0001f3fb-\U0001f3ff]")  # variation, joiner, sexes, skin tones
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "`": "'", "\u00b4": "'", "\u2010": "-", "\u2011": "-"})
_EMOJI = {
    char: f" {name} " for chars, name in ((EMOJI_YES, "emojiyes"), (EMOJI_NO, "emojino"), (EMOJI_POLITE, "emojipolite")) for char in chars
}
_STEM = 4  # letters that two forms of one word share at least: "cancel", "cancelled"


def read_answer(message: str, locale: str, question: str = "") -> AnswerMeaning:
    """What a message is as the answer to an open yes/no question.

    Args:
        message: any text. locale: BCP 47; of languages other than en, es, de and fr only emoji are read.
        question: the text of the open question: its words may be repeated in the answer.
    """
    table = _table(locale.split("-")[0])
    marked = unicodedata.normalize("NFKC", _IGNORED.sub("", message).translate(_QUOTES)).translate(_QUOTES)
    plain = "".join(_EMOJI.get(char, char) for char in marked)
    words = tuple(table.known_form(word) for word in _LETTERS.findall(_bare(plain)))
    if not words or len(words) > _LONGEST:
        return "question_back" if _has_question_mark(plain) else "other"
    is_plain = not _has_question_mark(plain) and not _has_unread_sign(plain)
    if is_plain and not table.contains(words, table.neither | table.conditions):
        is_if = "si" in _LETTERS.findall(plain.casefold())  # Spanish and French "if"; as a yes it stands alone
        asked = () if is_if else tuple(word for word in _LETTERS.findall(_bare(question)) if len(word) >= _STEM)
        if _is_no(table, words, asked):  # first: "I am good" is one
            return "no"
        if _is_yes(table, words, asked):
            return "yes"
    return _unclear(table, words, plain)


def _unclear(table: _Table, words: tuple[str, ...], plain: str) -> AnswerMeaning:
    if _has_question_mark(plain) or any(words[: len(one)] == one for one in table.questions):
        return "question_back"
    if table.contains(words, table.conditions):
        return "conditional"
    return "not_now" if table.contains(words, table.later) else "other"


_Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """The phrases of one language as tuples of words without accents."""

    yes: frozenset[_Phrase]
    no: frozenset[_Phrase]
    neither: frozenset[_Phrase]
    later: frozenset[_Phrase]
    conditions: frozenset[_Phrase]
    polite: frozenset[_Phrase]
    small: frozenset[_Phrase]
    verbs: tuple[str, ...]
    questions: frozenset[_Phrase]
    vocabulary: frozenset[str]

    def known_form(self, word: str) -> str:
        """The word without drawn-out letters ("yesss"), where it is known only so."""
        if word in self.vocabulary:
            return word
        for times in (r"\1", r"\1\1"):
            short = _RUNS.sub(times, word)
            if short in self.vocabulary:
                return short
        return word

    def contains(self, words: _Phrase, phrases: frozenset[_Phrase]) -> bool:
        """Whether one of the phrases stands in the message, and not as a part of a longer phrase that is an answer."""
        covered = _covered(words, self.yes | self.no | self.later)
        longest = max((len(one) for one in phrases), default=0)
        return any(
            words[start : start + size] in phrases and not any(a <= start and start + size <= b and b - a > size for a, b in covered)
            for start in range(len(words))
            for size in range(1, min(longest, len(words) - start) + 1)
        )


@lru_cache(maxsize=64)
def _table(language: str) -> _Table:
    source = PHRASES.get(language)
    if source is None:
        source = AnswerPhrases(*[""] * 9)
    yes = _phrases(source.yes) | {("emojiyes",)}
    no = (_phrases(source.no) | {("emojino",)}) - yes
    polite = _phrases(source.polite) | {("emojipolite",)}
    neither, later, conditions = _phrases(source.neither) - yes - no, _phrases(source.later), _phrases(source.conditions) - yes - no
    small = frozenset((word,) for one in _phrases(source.small) for word in one)
    every = (yes, no, neither, later, conditions, polite, small)
    vocabulary = frozenset(word for phrases in every for one in phrases for word in one)
    verbs = tuple(word for one in _phrases(source.verbs) for word in one)
    return _Table(yes, no, neither, later, conditions, polite, small, verbs, _phrases(source.questions), vocabulary)


def _phrases(listed: str) -> frozenset[_Phrase]:
    return frozenset(words for one in listed.split("|") if (words := tuple(_LETTERS.findall(_bare(one)))))


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    """Without case and accents."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return unicodedata.normalize("NFC", "".join(char for char in letters if unicodedata.category(char) != "Mn"))


def _has_question_mark(text: str) -> bool:
    return any(char in text for char in "?¿؟⁇❓❔")


def _has_unread_sign(text: str) -> bool:
    """Whether something stands there that is neither a word nor plain punctuation: an emoji of no known meaning, a number, a tag."""
    return any(unicodedata.category(char)[0] in "SNCP" and char not in _PLAIN_SIGNS for char in text)


def _is_yes(table: _Table, words: _Phrase, asked: _Phrase) -> bool:
    """Wholly yes and politeness, joined by words of the question where it is known; or its verb as an order ("cancel it")."""
    if _is_made_of(words, table.yes, (table.polite,)):
        return True
    repeated = _repeated(words, asked)
    joined = (table.polite, table.small, repeated)
    first = next((word for word in words if (word,) not in table.polite), "")
    is_order = (first,) in repeated and first.startswith(table.verbs)
    return bool(repeated) and (_is_made_of(words, table.yes, joined) or (is_order and _is_made_of(words, repeated, joined)))


def _is_no(table: _Table, words: _Phrase, asked: _Phrase) -> bool:
    """Wholly no, politeness and "not now", joined by words of the question; not "stop it" where the question is whether to stop."""
    repeated = _repeated(words, asked)
    no = frozenset(one for one in table.no if not any((word,) in repeated for word in one))
    beside = (table.polite, table.later)
    if _is_made_of(words, no, beside):
        return True
    return bool(repeated) and not table.contains(words, table.yes) and _is_made_of(words, no, (*beside, table.small, repeated))


def _repeated(words: _Phrase, asked: _Phrase) -> frozenset[_Phrase]:
    return frozenset((word,) for word in words if _is_repeated(word, asked))


def _is_repeated(word: str, asked: Iterable[str]) -> bool:
    """Whether a word of the question comes back, in this form or another: they share all but three letters."""
    return len(word) >= _STEM and any(word == one or _shared(word, one) >= max(_STEM, min(len(word), len(one)) - 3) for one in asked)


def _shared(first: str, second: str) -> int:
    n = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        n += 1
    return n


def _is_made_of(words: _Phrase, needed: frozenset[_Phrase], beside: tuple[frozenset[_Phrase], ...]) -> bool:
    """Whether the words are phrases of ``needed``, one at least, and of ``beside``, and nothing else."""
    every = needed.union(*beside)
    longest = max(map(len, every), default=0)
    reached = [(False, False)] * (len(words) + 1)  # for each place: reached at all, reached with one of those needed
    reached[0] = (True, False)
    for end in range(1, len(words) + 1):
        for start in range(max(0, end - longest), end):
            phrase = words[start:end]
            if reached[start][0] and phrase in every:
                has_needed = reached[start][1] or phrase in needed
                reached[end] = (True, reached[end][1] or has_needed)
    return reached[-1] == (True, True)


def _covered(words: _Phrase, phrases: frozenset[_Phrase]) -> list[tuple[int, int]]:
    """Start and end of every phrase of more than one word."""
    longest = max((len(one) for one in phrases), default=0)
    return [
        (start, start + size)
        for start in range(len(words))
        for size in range(2, min(longest, len(words) - start) + 1)
        if words[start : start + size] in phrases
    ]
