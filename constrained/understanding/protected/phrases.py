"""The first judge: authored patterns and phrases of every language that ships, whatever the locale; precise, and quick.

A file ``data/TRIGGER.LANGUAGE.txt`` holds sections: ``[patterns]`` and ``[unless]`` (regular expressions over plain words), and
``[meant PART FAMILY]`` and ``[not meant PART FAMILY]`` (messages, one a line). Parts are train, dev and test, whole families each: what
reads messages learns from ``train``, its thresholds are chosen on ``dev``, and ``test`` measures it. ``data/ordinary.LANGUAGE.txt`` holds
messages that mean no trigger, in sections ``[PART KIND]``: what desks are asked, answers to their questions, and letters (one a line).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from constrained.understanding.protected.values import TRIGGERS

Part = Literal["train", "dev", "test"]
FOLDER = Path(__file__).with_name("data")
LANGUAGES = ("en", "es", "de", "fr")
JUDGE = "phrases 1"  # name of this judge in records; another number where what it reads changes
CONTAINED = 4  # words from which an authored phrase is found inside a sentence; a shorter one must be the whole sentence

_SENTENCE_END = re.compile(r"[.!?…;\n]+|\s[-\u2013\u2014]+\s|[()\[\]\"\u201c\u201d\u00ab\u00bb¡¿]+")
_CLAUSE_END = re.compile(
    r"[,:]+|\b(?:and|but|because|so|though|also|anyway|y|e|pero|porque|aunque|adem[aá]s"
    r"|und|aber|weil|denn|au[sß]erdem|et|mais|parce que|car|donc)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "`": "'", "\u00b4": "'"})
_SHORT_FORMS = {
    "i'm": "i am", "im": "i am", "i've": "i have", "ive": "i have", "i'd": "i would", "i'll": "i will", "can't": "can not",
    "cant": "can not",
    "cannot": "can not", "don't": "do not", "dont": "do not", "won't": "will not", "wont": "will not", "didn't": "did not",
    "didnt": "did not", "doesn't": "does not", "doesnt": "does not", "isn't": "is not", "isnt": "is not", "wasn't": "was not",
    "couldn't": "could not", "couldnt": "could not", "wouldn't": "would not", "haven't": "have not", "havent": "have not",
    "hasn't": "has not", "aren't": "are not", "shouldn't": "should not", "he's": "he is", "hes": "he is", "she's": "she is",
    "it's": "it is", "there's": "there is", "theres": "there is", "that's": "that is", "thats": "that is", "we're": "we are",
    "we've": "we have", "you're": "you are", "they're": "they are", "someone's": "someone is", "somebody's": "somebody is",
    "wanna": "want to", "gonna": "going to", "gotta": "got to", "gimme": "give me", "lemme": "let me", "u": "you", "ur": "your",
    "pls": "please", "plz": "please", "smn": "someone", "sb": "somebody", "r": "are", "ppl": "people",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """Messages that say a thing in one way; a family is in one part."""

    name: str
    part: Part
    is_meant: bool
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriggerPhrases:
    """What is authored of one trigger in one language.

    Attributes:
        patterns: that mean it. unless: what is taken out before they are looked for.
    """

    patterns: tuple[str, ...]
    unless: tuple[str, ...]
    families: tuple[Family, ...]

    def messages(self, part: Part, *, is_meant: bool) -> tuple[str, ...]:
        """Those of a part that mean the trigger, or that do not."""
        return tuple(text for one in self.families if one.part == part and one.is_meant is is_meant for text in one.messages)


def phrase_file(trigger: str, language: str) -> Path:
    return FOLDER / f"{trigger}.{language}.txt"


@lru_cache(maxsize=64)
def load_phrases(trigger: str, language: str) -> TriggerPhrases:
    """What the file of a trigger and a language holds. Raises ValueError for a file that is not of its form."""
    sections = list(_sections(phrase_file(trigger, language).read_text(encoding="utf-8")))
    lines = {name: tuple(text) for name, text in sections if name in ("patterns", "unless")}
    families = tuple(_family(name, text) for name, text in sections if name not in ("patterns", "unless"))
    return TriggerPhrases(lines.get("patterns", ()), lines.get("unless", ()), families)


@lru_cache(maxsize=64)
def ordinary(language: str, part: Part, kind: str = "") -> tuple[str, ...]:
    """Messages of everyday desks that mean no trigger, of one kind (``desks``, ``answers``, ``letters``) or of all."""
    text = (FOLDER / f"ordinary.{language}.txt").read_text(encoding="utf-8")
    return tuple(
        line for name, lines in _sections(text) if name == f"{part} {kind}" or (not kind and name.startswith(f"{part} ")) for line in lines
    )


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    name, lines = "", list[str]()
    for line in (one.strip() for one in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            if name:
                yield name, lines
            name, lines = line[1:-1], []
        elif line and not line.startswith("#"):
            lines.append(line)
    yield name, lines


def _family(heading: str, lines: list[str]) -> Family:
    found = re.fullmatch(r"(not )?meant (train|dev|test) (.+)", heading)
    if found is None or found[2] not in get_args(Part) or not lines:
        raise ValueError(f"[{heading}] is no heading of a family with messages")
    part: Part = found[2]  # type: ignore[assignment]  # one of Part, as was just looked
    return Family(found[3], part, not found[1], tuple(lines))


def plain_words(text: str) -> str:
    """Words alone, parted by one space and with one at both ends: without case and accents, short forms written out."""
    quoted = unicodedata.normalize("NFD", text.casefold().translate(_QUOTES))
    bare = "".join(char for char in quoted if unicodedata.category(char) != "Mn")
    words = (_DRAWN_OUT.sub(r"\1", word) for word in _WORD.findall(bare))
    return f" {' '.join(_SHORT_FORMS.get(word, word).replace(chr(39), '') for word in words)} "


def split_sentences(message: str) -> tuple[str, ...]:
    """The sentences of a message."""
    return tuple(one.strip(" ,:") for one in _SENTENCE_END.split(message) if one.strip(" ,:"))


def split_clauses(sentence: str) -> tuple[str, ...]:
    """What commas and conjunctions part in a sentence."""
    return tuple(one.strip() for one in _CLAUSE_END.split(sentence) if one.strip())


def parted_words(message: str) -> str:
    """The ``plain_words`` of its sentences, with a mark between two of them: what is looked for does not reach over it by chance."""
    return " ; ".join(plain_words(one) for one in split_sentences(message))


def says(trigger: str, message: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a message says the trigger, by a pattern or phrase of any language or one of ``more``."""
    text, wholes = _read(message)
    if any(_is_in(phrase, text, wholes) for phrase in _phrases(more)):
        return True
    for language in LANGUAGES:
        known = _compiled(trigger, language)
        kept = known.unless.sub(" ; ", text) if known.unless else text
        for phrase in known.near_misses:
            kept = kept.replace(phrase, " ; ")
        if (known.patterns and known.patterns.search(kept)) or any(_is_in(phrase, text, wholes) for phrase in known.phrases):
            return True
    return False


@lru_cache(maxsize=16)  # each trigger of a turn reads the same message
def _read(message: str) -> tuple[str, frozenset[str]]:
    """The words of a message, and what a short phrase must be: all of it, a sentence or a clause."""
    sentences, text = split_sentences(message), parted_words(message)
    clauses = (clause for one in sentences for clause in split_clauses(one))
    return text, frozenset((text, *map(plain_words, (message, *sentences, *clauses))))


@lru_cache(maxsize=256)  # those of a policy stay the same
def _phrases(more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(parted_words, more))


def _is_in(phrase: str, text: str, wholes: frozenset[str]) -> bool:
    return phrase in wholes or (phrase.count(" ") > CONTAINED and phrase in text)


@dataclass(frozen=True, slots=True)
class _Compiled:
    patterns: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    phrases: tuple[str, ...]
    near_misses: tuple[str, ...]


@lru_cache(maxsize=64)
def _compiled(trigger: str, language: str) -> _Compiled:
    known = load_phrases(trigger, language)
    meant, other = (
        tuple(dict.fromkeys(parted_words(one) for one in known.messages("train", is_meant=is_meant))) for is_meant in (True, False)
    )
    long_other = tuple(one for one in other if one.count(" ") > CONTAINED)
    return _Compiled(_any_of(known.patterns), _any_of(known.unless), meant, long_other)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all; ``~`` stands for up to three words."""
    if not patterns:
        return None
    gap = r"(?:\\w+ ){0,3}"
    return re.compile("|".join(rf"\b(?:{re.sub(' ~ ', ' ' + gap, one)})\b" for one in patterns))


def every_phrase(part: Part, *, is_meant: bool, languages: tuple[str, ...] = LANGUAGES) -> Iterator[tuple[str, str, str]]:
    """(trigger, language, message) of a part, of all triggers."""
    for trigger in TRIGGERS:
        for language in languages:
            for message in load_phrases(trigger, language).messages(part, is_meant=is_meant):
                yield trigger, language, message
