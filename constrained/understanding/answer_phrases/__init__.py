"""The phrases by which an answer to a yes/no question is read, one file a language: authored, and never learned from messages."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "es", "de", "fr")
EMOJI_YES = "👍👌✅✔☑🆗💯🙆🤝🫡"
EMOJI_NO = "👎❌✖🚫🙅✋🛑⛔🚷❎"
EMOJI_POLITE = "🙏😊🙂😀😃😄😁☺🥰❤💙💚🎉🥳✨😎🤗🌹⭐"


@dataclass(frozen=True, slots=True)
class AnswerPhrases:
    """How people of one language answer. Phrases are compared without case, accents and punctuation.

    Attributes:
        yes, no: phrases that are the answer by themselves.
        neither: phrases that answer nothing, or take back what stands beside them; one of them anywhere, and nothing is clear.
        later: not now. conditions: words that make an answer depend on something.
        polite: what may stand beside an answer and changes nothing.
        small: words that may join an answer to the words of the question ("yes, I want to cancel it").
        verbs: beginnings of verbs that repeat a question ("cancel it"); only where the question has the verb too.
        questions: words with which a question back begins.
        weak: of ``yes``, what also opens other sentences ("ok, and the address?"): no answer where anything unknown stands beside it.
        soft: of ``neither``, what may stand beside a no ("well, actually no").
        subjects: words with which a statement begins ("yes, I lost it"), and not an order or another thing ("yes, the blue one").
        wishes: words that ask for something, or say that it was meant otherwise.
        taking: a yes where the question offers something ("I'll take it"). offering: beginnings of words by which it does.
        done: a yes where something was to be done.
        articles: words before a noun: after one, an unknown word names a thing.
        leaving: words with which a no goes on ("no, leave my card alone").
        synonyms: beginnings of verbs, without accents, that repeat one another ("block it", and the answer is "freeze it").
        auxiliaries: verbs without one of which what begins with an article is no statement ("the blue one").
        reasons: regular expressions over words without accents: what is denied and takes nothing back ("yes, I never got it").
    """

    yes: tuple[str, ...]
    no: tuple[str, ...]
    neither: tuple[str, ...]
    later: tuple[str, ...]
    conditions: tuple[str, ...]
    polite: tuple[str, ...]
    small: tuple[str, ...]
    verbs: tuple[str, ...]
    questions: tuple[str, ...]
    weak: tuple[str, ...]
    soft: tuple[str, ...]
    subjects: tuple[str, ...]
    wishes: tuple[str, ...]
    taking: tuple[str, ...]
    done: tuple[str, ...]
    offering: tuple[str, ...]
    articles: tuple[str, ...]
    leaving: tuple[str, ...]
    synonyms: tuple[str, ...]
    auxiliaries: tuple[str, ...]
    reasons: tuple[str, ...]


NO_PHRASES = AnswerPhrases(*[()] * 21)


@lru_cache(maxsize=16)
def phrases_of(language: str) -> AnswerPhrases:
    """The phrases of a language by its code; none for a language that has no file."""
    if language not in LANGUAGES:
        return NO_PHRASES
    listed = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return AnswerPhrases(**{name: tuple(given) if isinstance(given, list) else _split(given) for name, given in listed.items()})


def _split(listed: str) -> tuple[str, ...]:
    return tuple(" ".join(one.split()) for one in listed.split("|"))
