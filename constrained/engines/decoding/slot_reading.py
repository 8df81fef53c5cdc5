"""Reads a text of a given form out of a message: xgrammar tells what it may be, the model which.

A small model that writes freely under a grammar's mask invents (the 135M model copied one of fifteen order numbers).
So it is shown only what the message spells: every way in which its letters and digits, side by side, make a text
that the grammar completes. Where there is one, nothing is left to ask.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from constrained.engines.decoding.grammar_masks import XgrammarMask
from constrained.engines.decoding.reader import Reader
from constrained.engines.decoding.tokens import Spelling, spelling_of
from constrained.engines.decoding.walk import walk_rows
from constrained.engines.protocol import Deadline, ExtractionField, PromptContext
from constrained.errors import ConstrainedError, EngineError

SEPARATORS = " -/.:_,#+()'&"  # may stand between letters and digits where the message has none, or others
MOST_READINGS = 32  # that the model is asked to tell apart
MOST_STEPS = 400  # of the search from one word on: a grammar of many ways costs no more than that
LONGEST = 120  # characters of a reading
READ = 600  # characters of a message that are searched, as for amounts and days
_STATIC = "Copy out of the message what the question asks for, character by character."


def read(reader: Reader, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None) -> list[str | None]:
    """What the message says for each blank; None where it spells nothing of the form.

    Raises EngineError when xgrammar is not installed or cannot use a grammar.
    """
    return [_read(reader, blank, scene, deadline) for blank in blanks]


def readings(mask: XgrammarMask, message: str) -> list[str]:
    """Every text that the message spells and the grammar completes, in the order of the message.

    Of pieces that overlap, those stay whose separators are most as they are written.
    """
    letters = list(_letters(unicodedata.normalize("NFKC", message[:READ])))
    found: dict[tuple[int, int], _Reading] = {}
    for start, letter in enumerate(letters):
        if letter.begins and len(found) < MOST_READINGS:
            for one in _Search(mask, letters, start).texts():
                place = (one.start, one.end)
                found[place] = min(found.get(place, one), one, key=lambda spelt: spelt.n_changes)
    kept = [one.text for one in found.values() if not any(other.is_nearer(one) for other in found.values())]
    return list(dict.fromkeys(kept))[:MOST_READINGS]


def _read(reader: Reader, blank: ExtractionField, scene: PromptContext, deadline: Deadline | None) -> str | None:
    if deadline is not None:
        deadline.check()
    n_vocabulary = reader.model.network.get_output_embeddings().weight.shape[0]
    spelling = spelling_of(reader.tokens, n_vocabulary)
    found = readings(_mask(spelling, blank), scene.message)
    if len(found) < 2:
        return found[0] if found else None
    static, dynamic = reader.tokens.chat(_STATIC, f"{blank.question}\nMessage: {scene.message}")
    rows = [(*row, spelling.end) for row in reader.tokens.plain_batch(found)]
    prefix = reader.prefix(static, deadline) if static else None
    row, _ = walk_rows(reader.model, prefix, dynamic, rows, found, tokens=reader.tokens, deadline=deadline, is_scored=False)
    return found[row]


@lru_cache(maxsize=64)
def _mask(spelling: Spelling, blank: ExtractionField) -> XgrammarMask:
    """Compiled once for a field."""
    try:
        return XgrammarMask.of_regex(spelling, blank.pattern) if blank.pattern else XgrammarMask.of_lark(spelling, blank.grammar)
    except ConstrainedError as error:
        raise EngineError(f"{blank.name!r} cannot be read: {error.message}", hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class _Letter:
    """A letter or digit of a message.

    Attributes:
        before: what stands between it and the letter before it. after: up to the next letter, or to the end.
        begins, ends: a word begins or ends here.
    """

    text: str
    before: str
    after: str
    begins: bool
    ends: bool


def _letters(text: str) -> Iterator[_Letter]:
    places = [at for at, character in enumerate(text) if character.isalnum()]
    for index, at in enumerate(places):
        last = places[index - 1] if index else -1
        following = places[index + 1] if index + 1 < len(places) else len(text)
        begins = last < at - 1 or at == 0 or text[last].isascii() != text[at].isascii()
        ends = following > at + 1 or following == len(text) or text[at].isascii() != text[following].isascii()
        yield _Letter(text[at], text[last + 1 : at], text[at + 1 : following], begins, ends)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text that letters ``start`` to ``end`` (exclusive) of a message spell; ``n_changes`` of its separators are not as written."""

    start: int
    end: int
    text: str
    n_changes: int

    def is_nearer(self, other: _Reading) -> bool:
        """Whether it overlaps the other one and is nearer to what is written."""
        return self.start < other.end and other.start < self.end and self.n_changes < other.n_changes


class _Search:
    """Depth first from one word on: each letter as written, else in the other case; separators as written, else others."""

    def __init__(self, mask: XgrammarMask, letters: Sequence[_Letter], start: int) -> None:
        self._letters, self._start = letters, start
        self._begun = mask.engine.GrammarMatcher(mask.compiled)
        self._left = MOST_STEPS

    def texts(self) -> Iterator[_Reading]:
        """Every text that the grammar completes at the end of a word."""
        yield from self._continuations(self._begun, self._start, "", 0, "")

    def _continuations(self, matcher: Any, at: int, text: str, n_changes: int, written: str) -> Iterator[_Reading]:
        """Texts that go on with letter ``at``, before which ``written`` stands in the message."""
        if at == len(self._letters) or len(text) >= LONGEST:
            return
        for separator, ahead, case in self._branches(matcher, written, self._letters[at].text):
            longer, changes = text + separator + case, n_changes + (separator != written)
            yield from self._completions(ahead, at, longer, changes)
            yield from self._continuations(ahead, at + 1, longer, changes, self._letters[at].after)

    def _branches(self, matcher: Any, written: str, letter: str) -> Iterator[tuple[str, Any, str]]:
        """(separator, grammar after it, letter): as written, else the first other separator that leads on; and none."""
        for separator in dict.fromkeys((written, *SEPARATORS)):
            taken = self._advance(matcher, separator, letter)
            if taken is not None:
                yield separator, *taken
                break
        if written:
            taken = self._advance(matcher, "", letter)
            if taken is not None:
                yield "", *taken

    def _advance(self, matcher: Any, separator: str, letter: str) -> tuple[Any, str] | None:
        """The grammar after a separator and a letter, and the case of the letter; None where it takes it in neither."""
        for case in dict.fromkeys((letter, letter.upper(), letter.lower())):
            self._left -= 1
            ahead = matcher.fork()
            if self._left >= 0 and ahead.accept_string(separator + case):
                return ahead, case
        return None

    def _completions(self, matcher: Any, at: int, text: str, n_changes: int) -> Iterator[_Reading]:
        """The text as it stands, or with one separator after it, where the grammar is then complete."""
        if self._letters[at].ends:
            for separator in ("", self._letters[at].after[:1], *SEPARATORS):
                ahead = matcher.fork()
                if (not separator or ahead.accept_string(separator)) and ahead.is_completed():
                    yield _Reading(self._start, at + 1, text + separator, n_changes)
                    return
