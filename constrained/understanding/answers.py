"""Reads a message as the answer to an open yes/no question: whatever is not clearly a yes is none.

A clear yes is a message that is wholly made of phrases that mean yes, of politeness, and of the question's own words and values
("yes please, cancel it", "yes, Tuesday"). It is never the nearest of several meanings. Where a message begins or ends with such a
phrase and goes on in words that are not known ("yes, I lost it on the train"), and nothing in it takes the yes back, it is a yes only if a
judge that was fitted on authored answers is sure of it, too, or if that judge does not doubt it and an engine chooses the yes among all
options; without a judge it is unclear. A no costs nothing, so one that leads a message is a no where nothing else is asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from constrained.understanding.answer_phrases import EMOJI_NO, EMOJI_POLITE, EMOJI_YES
from constrained.understanding.answer_table import (
    STEM,
    AnswerTable,
    Phrase,
    answer_table,
    is_made_of,
    is_repeated,
    longest_at,
    words_of,
)
from constrained.understanding.answer_values import OTHER, mark_values, names_span

AnswerMeaning = Literal["yes", "no", "not_now", "conditional", "question_back", "undecided", "other"]
JUDGE = "answers 3"  # name of this reader in records; another number where what it reads changes

_LONGEST = 60  # words; an answer that is longer is none of yes and no
YES_SHARE, NO_SHARE = 0.7, 0.4  # the least probability of a judge; chosen on the dev part of its examples
KNOWN_YES_SHARE = 0.3  # of a message that has no unknown word, and is no yes by its phrases alone
AGREED = 0.9  # the least probability of the yes among all options, by which an engine agrees to a yes that the judge is not sure of
UNDOUBTED = 0.1  # the least probability of a judge for it
UNOPPOSED = 0.35  # the least probability of the yes among all options, where a judge alone is sure of it
_INDEFINITE = frozenset(("a", "an", "un", "una", "ein", "eine", "einen", "une"))  # within an order, of an idiom: "have a look"
_JOINING = frozenset(
    re.findall(
        r"\w+", "with in at on to for from by about del al con para por sobre desde mit f\u00fcr zu um am im von avec pour du au sur"
    )
)
_BARE = 3  # words of a clause that is a length of time and little else
_PLAIN_SIGNS = frozenset("\n\t.,;:!\u00a1\u2026'\"()*-\u2013\u2014\u00ab\u00bb\u201c\u201d\u201e")
_IGNORED = re.compile("[\ufe0e\ufe0f\u200d\u2640\u2642\U0001f3fb-\U0001f3ff]")  # variation, joiner, sexes, skin tones
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "`": "'", "\u00b4": "'", "\u2010": "-", "\u2011": "-"})
_EMOJI = {
    char: f" {name} " for chars, name in ((EMOJI_YES, "emojiyes"), (EMOJI_NO, "emojino"), (EMOJI_POLITE, "emojipolite")) for char in chars
}
_CLAUSE = re.compile(r"[.,;:!\u2026\n()\u2013\u2014*]+|\s-+\s")
_OPENING_SI = re.compile(
    r"^\W*si\b(?=\s*(?:[,.!;]|$|por favor\b|porfa\b|gracias\b|claro\b|quiero\b))"
)  # "s\u00ed" written without its accent


class AnswerJudge(Protocol):
    """Tells how likely a message is a yes or a no, by authored answers.

    Attributes:
        name: with what decides its shares: versions and hashes.
    """

    @property
    def name(self) -> str: ...

    def shares(self, message: str, language: str) -> tuple[float, float]:
        """Probability that the message is a yes, and that it is a no."""
        ...

    def words(self, language: str) -> frozenset[str]:
        """The words of its examples that are a yes, and of those that are a no, without case and accents."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """What a message is as an answer, and who read it so: ``JUDGE``, and the name of the judge where it was asked."""

    meaning: AnswerMeaning
    judge: str = JUDGE


def read_answer(message: str, locale: str, question: str = "", values: Sequence[object] = ()) -> AnswerMeaning:
    """What a message is as the answer to an open yes/no question, by the phrases alone; see ``judge_answer``."""
    return judge_answer(message, locale, question, values).meaning


def judge_answer(
    message: str,
    locale: str,
    question: str = "",
    values: Sequence[object] = (),
    judge: AnswerJudge | None = None,
    *,
    is_proposal: bool = False,
    awaits_done: bool = False,
    agreement: float | None = None,
) -> AnswerReading:
    """What a message is as the answer to an open yes/no question.

    Args:
        message: any text. locale: BCP 47; of languages other than en, es, de and fr only emoji are read.
        question: the open question as it was said: its words and values may be repeated in the answer. Further lines hold
            other words for what it is about.
        values: those of the question as they were given: dates, times, numbers, names. Another value makes the answer none.
        judge: asked where phrases alone leave the answer open; None leaves it open.
        is_proposal: what was said proposes something that may be taken.
        awaits_done: the question waits for something to be done: "done" is a yes.
        agreement: probability of the yes among all options by an engine, with a veto where the judge is asked; None without an engine.
    """
    language = locale.split("-")[0]
    table = answer_table(language)
    signs = unicodedata.normalize("NFKC", _IGNORED.sub("", message).translate(_QUOTES)).translate(_QUOTES)
    signs = "".join(_EMOJI.get(char, char) for char in signs)
    asks, n_words = _has_question_mark(signs), len(words_of(signs))
    if not n_words or n_words > _LONGEST:
        return AnswerReading("question_back" if asks else "other")
    marked = mark_values(signs, question, values, locale)
    words = table.words(marked.text)
    unclear = AnswerReading(_unclear(table, words, asks))
    if asks or _has_unread_sign(marked.text):
        return unclear
    folded = marked.text.casefold()
    has_if = "si" in _accented_words(_OPENING_SI.sub("", folded) if language == "es" else folded)  # as a yes it stands alone
    repeated = frozenset[Phrase]() if has_if else _repeated(table, words, words_of(question), marked.words)
    more = (table.taking if is_proposal or _offers(table, question) else frozenset()) | (table.done if awaits_done else frozenset())
    if not table.contains(words, table.neither | table.conditions):
        if _is_no(table, words, repeated):  # first: "I am good" is one
            return AnswerReading("no")
        if _is_yes(table, words, repeated, table.yes | more):
            return AnswerReading("yes")
    if judge is None or has_if or marked.has_other or OTHER in words or any(_is_bare_span(table, one) for one in _CLAUSE.split(signs)):
        return unclear
    side = _side(table, marked.text, words, repeated, judge.words(language))
    is_agreed = agreement is not None and agreement >= AGREED and side != "no" and _may_agree(table, marked.text, repeated)
    if side is None and not is_agreed:
        return unclear
    yes, no = judge.shares(message, language)
    if is_agreed and yes >= UNDOUBTED:
        return AnswerReading("yes", f"{JUDGE}; {judge.name}; agreed")
    known = table.answering.union(judge.words(language), *repeated)
    least = KNOWN_YES_SHARE if all(word in known for word in words) else YES_SHARE
    is_opposed = agreement is not None and agreement < UNOPPOSED
    is_sure = (yes >= least and not is_opposed) if side == "yes" else side == "no" and no >= NO_SHARE
    return AnswerReading(side if is_sure and side is not None else unclear.meaning, f"{JUDGE}; {judge.name}")


def leads_with_no(message: str, locale: str) -> bool:
    """Whether a message begins with a no, or with politeness and one: then it agrees to nothing, whatever follows."""
    table = answer_table(locale.split("-")[0])
    words = table.words(message.translate(_QUOTES))
    start = _after_polite(table, words)
    size = longest_at(words, start, table.no)
    return size > 0 and size >= longest_at(words, start, table.yes | table.later | table.polite)


def names_act(message: str, locale: str, question: str) -> bool:
    """Whether a message repeats a verb of the question ("yes, cancel it"), in its form or in one of the same meaning."""
    table = answer_table(locale.split("-")[0])
    repeated = _repeated(table, table.words(message.translate(_QUOTES)), words_of(question.partition("\n")[0]), frozenset())
    return any(word.startswith(table.verbs) for (word,) in repeated)


def _unclear(table: AnswerTable, words: Phrase, asks: bool) -> AnswerMeaning:
    """``undecided``: doubt, or a yes with something beside it; so it is no "no", either."""
    if asks or longest_at(words, 0, table.questions):
        return "question_back"
    has_no = table.contains(words, table.no)
    if table.contains(words, table.conditions) and not has_no:
        return "conditional"
    if table.contains(words, table.later):
        return "not_now"
    is_doubt = table.contains(words, table.hard) and not has_no
    return "undecided" if is_doubt or _begins_with(table, words, table.strong) else "other"


def _accented_words(text: str) -> list[str]:
    """The words of a text with their accents: "s\u00ed" is not "si"."""
    return re.findall(r"[^\W_]+", text)


def _has_question_mark(text: str) -> bool:
    return any(char in text for char in "?\u00bf\u061f\u2047\u2753\u2754")


def _has_unread_sign(text: str) -> bool:
    """Whether something stands there that is neither a word nor plain punctuation: an emoji of no known meaning, a tag."""
    return any(unicodedata.category(char)[0] in "SNCP" and char not in _PLAIN_SIGNS for char in text)


# -- by the phrases alone --------------------------------------------------------------------------------------


def _is_yes(table: AnswerTable, words: Phrase, repeated: frozenset[Phrase], yes: frozenset[Phrase]) -> bool:
    """Wholly yes and politeness, joined by words of the question where it is known; or its verb as an order ("cancel it")."""
    if is_made_of(words, yes, (table.polite,)):
        return True
    joined = (table.polite, table.small, repeated)
    if longest_at(words, 0, table.questions) or table.contains(words, _denials(table, repeated)):
        return False
    first = next((word for word in words if (word,) not in table.polite), "")
    is_order = (first,) in repeated and first.startswith(table.verbs)
    if not repeated or _names_another(table, words, repeated):
        return False
    return is_made_of(words, yes, joined) or (is_order and is_made_of(words, repeated, joined))


def _names_another(table: AnswerTable, words: Phrase, repeated: frozenset[Phrase]) -> bool:
    """Whether a word of address stands for somebody ("my wife's appointment", and not "yes, my friend")."""
    return any(
        first in table.articles and (second,) in table.polite - repeated and longest_at(words, place, table.polite) < 2
        for place, (first, second) in enumerate(pairwise(words))
    )


def _is_no(table: AnswerTable, words: Phrase, repeated: frozenset[Phrase]) -> bool:
    """Wholly no, politeness and "not now", joined by words of the question; not "stop it" where the question is whether to stop."""
    no = _denials(table, repeated)
    beside = (table.polite, table.later)
    if is_made_of(words, no, beside):
        return True
    return bool(repeated) and not table.contains(words, table.yes) and is_made_of(words, no, (*beside, table.small, repeated))


def _denials(table: AnswerTable, repeated: frozenset[Phrase]) -> frozenset[Phrase]:
    """The phrases that are a no to this question: "stop it" is none where it asks whether to stop, and "stop" is one."""
    asked = repeated - table.small
    return frozenset(one for one in table.no if len(one) == 1 or not any((word,) in asked for word in one))


def _offers(table: AnswerTable, question: str) -> bool:
    """Whether the question offers something that may be taken: its last sentence decides, or a word for what is free before it."""
    asked = " ".join(words_of(question.partition("\n")[0]))
    return any(re.search(rf"\b{re.escape(one)}", asked) for one in table.offering)


def _repeated(table: AnswerTable, words: Phrase, asked: Phrase, values: frozenset[str]) -> frozenset[Phrase]:
    """The words of the answer that the question has, in one form or another or by a verb of the same meaning, and those for its values."""
    long = tuple(word for word in asked if len(word) >= STEM)
    alike = tuple(one for group in table.synonyms if any(word.startswith(group) for word in asked) for one in group)
    found = frozenset((word,) for word in words if word in values or is_repeated(word, long) or word.startswith(alike))
    denied = frozenset(one for one in table.no if not one[0].startswith(table.verbs))
    return found - table.questions - table.neither - table.later - table.conditions - denied


# -- with a judge ----------------------------------------------------------------------------------------------


def _side(
    table: AnswerTable, text: str, words: Phrase, repeated: frozenset[Phrase], example_words: frozenset[str]
) -> Literal["yes", "no"] | None:
    """What the message would be if its unknown words change nothing; None where something in it speaks against both."""
    known = table.answering | example_words | {word for one in repeated for word in one}
    if not table.contains(words, table.hard | table.conditions) and _says_no(table, words):
        clauses = [table.words(part) for part in _CLAUSE.split(text)]
        is_no = all(_is_beside_no(table, one, known) for one in clauses)
        return "no" if is_no else None
    plain = table.without_reasons(text)
    said = table.words(plain)
    denials = _denials(table, repeated)
    if table.contains(said, table.neither | table.conditions | table.later | denials) or not _says_yes(table, text, words, repeated):
        return None
    things = known - example_words
    clauses = [_rest(table, table.words(part)) for part in _CLAUSE.split(plain)]
    if any(not table.is_statement(one) and _orders_another(table, one, repeated) for one in clauses):
        return None
    return "yes" if all(_changes_nothing(table, one, known, things) for one in clauses) else None


def _is_beside_no(table: AnswerTable, clause: Phrase, known: frozenset[str]) -> bool:
    """Whether a clause of a no asks for nothing else: it states something, or says what is to stay as it is ("keep your key")."""
    rest = _rest(table, clause)
    is_left = longest_at(clause, 0, table.leaving) or longest_at(rest, 0, table.leaving)
    return bool(is_left) or _is_known(rest, known) or table.is_statement(rest)


def _is_bare_span(table: AnswerTable, clause: str) -> bool:
    """Whether a clause is a length of time and little else: another value ("yes, three nights"), and no reason ("I waited three weeks")."""
    rest = _rest(table, table.words(clause))
    return len(rest) <= _BARE and not table.is_statement(rest) and names_span(clause)


def _may_agree(table: AnswerTable, text: str, repeated: frozenset[Phrase]) -> bool:
    """Whether a yes leads the message or is a clause of its own, and nothing beside it takes it back, asks, wishes or names another thing.

    Unknown words may stand beside it: so it is a yes only where it is the likeliest thing to mean by far.
    """
    plain = table.without_reasons(text)
    said, clauses = table.words(plain), [table.words(part) for part in _CLAUSE.split(plain)]
    if table.contains(said, table.neither | table.conditions | table.later | _denials(table, repeated)):
        return False
    if not _begins_with(table, said, table.strong) and not any(is_made_of(one, table.strong, (table.polite,)) for one in clauses):
        return False
    return not any(_asks_for_more(table, _rest(table, one), repeated) for one in clauses)


def _asks_for_more(table: AnswerTable, clause: Phrase, repeated: frozenset[Phrase]) -> bool:
    """Whether a clause beside a yes asks, wishes, orders another act, or names a thing that the question does not."""
    if longest_at(clause, 0, table.questions) and not longest_at(clause, 0, table.subjects):
        return True
    if table.wishes.intersection(clause):
        return True
    if table.is_statement(clause):
        return False
    known = table.small | table.polite | repeated
    has_unknown = any((word,) not in known for word in clause)
    return _orders_another(table, clause, repeated) or (
        has_unknown
        and (
            len(clause) == 1
            or not (_INDEFINITE | _JOINING).isdisjoint(clause[:1])
            or any(first in (table.articles | _JOINING) - _INDEFINITE and (second,) not in known for first, second in pairwise(clause))
        )
    )


def _orders_another(table: AnswerTable, clause: Phrase, repeated: frozenset[Phrase]) -> bool:
    """Whether a clause holds the verb of an act that the question is not about ("go ahead and cancel" to "Shall I file it?")."""
    return any(word.startswith(table.verbs) and (word,) not in repeated for word in clause)


def _says_yes(table: AnswerTable, text: str, words: Phrase, repeated: frozenset[Phrase]) -> bool:
    """Whether the message begins with a yes that opens no other sentence or with the question's verb, or ends with a yes of its own."""
    start = _after_polite(table, words)
    if _begins_with(table, words, table.strong) or (words[start : start + 1] in repeated and words[start].startswith(table.verbs)):
        return True
    last = next((clause for part in reversed(_CLAUSE.split(text)) if (clause := table.words(part))), ())
    return _begins_with(table, last, table.strong) and table.is_statement(words)


def _begins_with(table: AnswerTable, words: Phrase, phrases: frozenset[Phrase]) -> bool:
    """Whether one of the phrases stands at the beginning, or after politeness."""
    return any(longest_at(words, start, phrases) for start in range(_after_polite(table, words) + 1))


def _says_no(table: AnswerTable, words: Phrase) -> bool:
    """Whether a no stands in the message, and no yes but one that also opens other sentences ("ok, no")."""
    return table.contains(words, table.no) and not table.contains(words, table.strong)


def _after_polite(table: AnswerTable, words: Phrase) -> int:
    start = 0
    while size := longest_at(words, start, table.polite):
        start += size
    return start


def _rest(table: AnswerTable, words: Phrase) -> Phrase:
    """A clause without the answers and the politeness that it begins with; whole from where a statement begins ("you may look at it")."""
    start, opening = 0, table.yes | table.no | table.polite
    while size := longest_at(words, start, opening):
        if start + size < len(words) and longest_at(words, start, table.subjects):
            break
        start += size
    return words[start:]


def _is_known(clause: Phrase, known: frozenset[str]) -> bool:
    return all(word in known for word in clause)


def _changes_nothing(table: AnswerTable, clause: Phrase, known: frozenset[str], things: frozenset[str]) -> bool:
    """Whether a clause beside a yes may be a reason, and asks for nothing and names nothing else.

    A statement may hold any words but wishes. Anything else may be an order, or another thing: its words must be known, and
    what follows an article one of ``things``. One word of several may be unknown.
    """
    if longest_at(clause, 0, table.questions) and not longest_at(clause, 0, table.subjects):
        return False
    wishes = table.wishes.intersection(clause)
    if table.is_statement(clause):
        return _is_known(clause, known) or not wishes
    return (
        not wishes
        and _is_known(clause, known)
        and not any(first in table.articles and second not in things for first, second in pairwise(clause))
    )
