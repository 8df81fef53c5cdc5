"""The phrases of one language as tuples of words, and what a message is made of by them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from constrained.understanding.answer_phrases import phrases_of
from constrained.understanding.answer_values import bare_word

Phrase = tuple[str, ...]
STEM = 4  # letters that two forms of one word share at least: "cancel", "cancelled"
_LETTERS = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_RUNS = re.compile(r"(\w)\1+")


def words_of(text: str) -> Phrase:
    """The words of a text without case and accents."""
    return tuple(_LETTERS.findall(_bare(text)))


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """The phrases of one language; see ``AnswerPhrases``. ``strong``: of ``yes``, those that are not weak. ``hard``: of ``neither``,
    those that are not soft. ``vocabulary``: every word of them."""

    yes: frozenset[Phrase]
    strong: frozenset[Phrase]
    no: frozenset[Phrase]
    neither: frozenset[Phrase]
    hard: frozenset[Phrase]
    later: frozenset[Phrase]
    conditions: frozenset[Phrase]
    polite: frozenset[Phrase]
    small: frozenset[Phrase]
    taking: frozenset[Phrase]
    done: frozenset[Phrase]
    offering: Phrase
    verbs: Phrase
    questions: frozenset[Phrase]
    subjects: frozenset[Phrase]
    wishes: frozenset[str]
    articles: frozenset[str]
    leaving: frozenset[Phrase]
    synonyms: tuple[Phrase, ...]
    auxiliaries: frozenset[str]
    reasons: re.Pattern[str] | None
    vocabulary: frozenset[str]
    answering: frozenset[str]

    def known_form(self, word: str) -> str:
        """The word without drawn-out letters ("yesss"), where it is known only so."""
        if word in self.vocabulary:
            return word
        for times in (r"\1", r"\1\1"):
            short = _RUNS.sub(times, word)
            if short in self.vocabulary:
                return short
        return word

    def words(self, text: str) -> Phrase:
        """The words of a text in the forms that are known."""
        return tuple(map(self.known_form, words_of(text)))

    def contains(self, words: Phrase, phrases: frozenset[Phrase]) -> bool:
        """Whether one of the phrases stands in the message, and not as a part of a longer phrase that is an answer."""
        covered = _covered(words, self.yes | self.no | self.later | self.polite)
        longest = max((len(one) for one in phrases), default=0)
        return any(
            words[start : start + size] in phrases and not any(a <= start and start + size <= b and b - a > size for a, b in covered)
            for start in range(len(words))
            for size in range(1, min(longest, len(words) - start) + 1)
        )

    def is_statement(self, clause: Phrase) -> bool:
        """Whether a clause states something: it begins with a subject, and with more than a name for a thing."""
        if not longest_at(clause, 0, self.subjects):
            return False
        return clause[0] not in self.articles or bool(self.auxiliaries.intersection(clause[1:]))

    def without_reasons(self, text: str) -> str:
        """The text, bare, without what it denies and what takes nothing back."""
        return self.reasons.sub(" ", _bare(text)) if self.reasons else _bare(text)


@lru_cache(maxsize=64)
def answer_table(language: str) -> AnswerTable:
    source = phrases_of(language)
    taking = _phrases(source.taking)
    yes = _phrases(source.yes) | {("emojiyes",)}
    no = (_phrases(source.no) | {("emojino",)}) - yes
    polite = (_phrases(source.polite) | {("emojipolite",)}) - yes
    neither, later, conditions = _phrases(source.neither) - yes - no, _phrases(source.later), _phrases(source.conditions) - yes - no
    small = frozenset((word,) for one in _phrases(source.small) for word in one)
    answering = frozenset(word for phrases in (yes, no, polite, small) for one in phrases for word in one)
    every = (neither, later, conditions, taking, _phrases(source.done))
    return AnswerTable(
        yes=yes,
        strong=yes - _phrases(source.weak),
        no=no,
        neither=neither,
        hard=neither - _phrases(source.soft),
        later=later,
        conditions=conditions,
        polite=polite,
        small=small,
        taking=taking,
        done=_phrases(source.done),
        offering=tuple(map(_bare, source.offering)),
        verbs=tuple(map(_bare, source.verbs)),
        questions=_phrases(source.questions),
        subjects=_phrases(source.subjects),
        wishes=frozenset(map(_bare, source.wishes)),
        articles=frozenset(map(_bare, source.articles)),
        leaving=_phrases(source.leaving),
        synonyms=tuple(tuple(_bare(one).split()) for one in source.synonyms),
        auxiliaries=frozenset(map(_bare, source.auxiliaries)),
        reasons=re.compile(rf"\b(?:{'|'.join(source.reasons)})(?!\w)") if source.reasons else None,
        vocabulary=answering | {word for phrases in every for one in phrases for word in one},
        answering=answering,
    )


def is_made_of(words: Phrase, needed: frozenset[Phrase], beside: tuple[frozenset[Phrase], ...]) -> bool:
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


def longest_at(words: Phrase, start: int, phrases: frozenset[Phrase]) -> int:
    """The number of words of the longest phrase that begins there; 0 where none does."""
    longest = max(map(len, phrases), default=0)
    return next((size for size in range(min(longest, len(words) - start), 0, -1) if words[start : start + size] in phrases), 0)


def is_repeated(word: str, asked: Iterable[str]) -> bool:
    """Whether a word of the question comes back, in this form or another: they share all but three letters."""
    return len(word) >= STEM and any(word == one or _shared(word, one) >= max(STEM, min(len(word), len(one)) - 3) for one in asked)


def _shared(first: str, second: str) -> int:
    n = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        n += 1
    return n


def _covered(words: Phrase, phrases: frozenset[Phrase]) -> list[tuple[int, int]]:
    """Start and end of every phrase of more than one word."""
    longest = max((len(one) for one in phrases), default=0)
    return [
        (start, start + size)
        for start in range(len(words))
        for size in range(2, min(longest, len(words) - start) + 1)
        if words[start : start + size] in phrases
    ]


def _phrases(listed: Iterable[str]) -> frozenset[Phrase]:
    return frozenset(words for one in listed if (words := words_of(one)))


_bare = lru_cache(maxsize=4096)(bare_word)
