"""What speaks for each candidate of a choice: its head's score, or for a choice without examples its words and its meaning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from constrained.engines.protocol import Candidate, Choice, PromptContext
from constrained.engines.small.background import chatter, other_desks
from constrained.engines.small.encoder import Vectors
from constrained.engines.small.head import Floats, Head, Sample, fit_head
from constrained.engines.small.store import VectorStore
from constrained.engines.small.words import DENIES, NEUTRAL, mention, plain

BACKGROUND = {"option": 0.07, "heard": 0.3}  # what a message that nobody answers counts, against 1 for an example
REST_OF_DESK = {"option": 0.02, "heard": 0.15}  # what a message of the desk counts that none of the candidates answers now
NEAR = 0.6  # cosine from which such a message may belong to one of the candidates after all: it is left out
DENIED, MOST_DENIED = 0.025, 5  # what a candidate's example counts when it is denied, for "none of these", and how many of each
MOST_BACKGROUND, MOST_REST = 120, 120
MOST_SAMPLES = 1_500  # examples of a choice, evenly many of each candidate: more would take longer than two seconds to fit
FEWEST_EACH = 5
FEW_PIECES = 3  # the whole and two sentences
COSINE, MENTION = 10.0, 6.0  # nats for a cosine of 1, and for a whole mention, where there are no examples
OPTION_COSINE, WHEN_SHARE = 18.0, 0.4  # likewise of an option, whose name is no thing to mention; what its ``when`` counts beside its name
DOUBT = 0.55  # cosine that a candidate without examples and without mention has to reach against "none of these"
OPTION_DOUBT = 0.33  # likewise, of an option
DOUBT_YES = 0.65  # likewise, of a yes-or-no question
SPAN = 1.5  # nats for a span that a recogniser found, against none
CORRECTION = 3.0  # nats for the value after "no, wait"; chosen on authored sentences
_CORRECTED = re.compile(
    r"\b(no|not|sorry|wait|rather|instead|i mean|i meant|make that|actually|perdón|mejor|digo|nein|doch|lieber|pardon|plutôt)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Group:
    """Candidates that only their text tells apart: one response with two fillings of its slots."""

    candidates: tuple[int, ...]
    texts: tuple[str, ...]
    when: str
    name: str
    no_match: bool


@dataclass(frozen=True, slots=True)
class ChoiceHead:
    """A head and the candidates of its classes, [class] -> indices of candidates."""

    groups: tuple[Group, ...]
    head: Head


def grouped(choice: Choice) -> tuple[Group, ...]:
    """The classes of a choice, in the order of their first candidates; "none of these" stays by itself."""
    found: dict[object, list[int]] = {}
    for index, one in enumerate(choice.candidates):
        same = (one.when, one.examples, one.name if choice.kind == "option" else one.key, one.no_match)
        found.setdefault(same, []).append(index)
    groups = []
    for indices in found.values():
        first = choice.candidates[indices[0]]
        groups.append(Group(tuple(indices), first.examples, first.when, first.name, first.no_match))
    return tuple(groups)


def has_examples(choice: Choice) -> bool:
    return choice.kind != "span" and any(one.examples for one in choice.candidates if not one.no_match)


def head_key(choice: Choice, scene: PromptContext) -> tuple[object, ...]:
    """Names everything that a head depends on: its classes, and the desk that "none of these" is learned from."""
    rest = (scene.static_id, scene.locale) if any(one.no_match for one in choice.candidates) else ()
    return (choice.kind, choice.question, tuple((g.texts, g.when, g.name, g.no_match) for g in grouped(choice)), *rest)


def make_head(choice: Choice, scene: PromptContext, store: VectorStore) -> ChoiceHead:
    """Fits the classes' examples, with what nobody answers where the choice has a "none of these".

    Of several "none of these" the first is the one.
    """
    groups = grouped(choice)
    none = next((at for at, group in enumerate(groups) if group.no_match), None)
    samples: list[Sample] = []
    most = max(FEWEST_EACH, MOST_SAMPLES // len(groups))
    for label, group in enumerate(groups):
        texts = _spread(list(dict.fromkeys(group.texts)), most)
        share = 1.0 if choice.kind != "option" else _evened(len(texts))
        samples += [Sample(int(row), label, share) for row in store.add(texts)]
        if not group.no_match and choice.kind == "option":
            described = [text for text in (group.when, group.name) if text.strip()]
            samples += [Sample(int(row), label, is_message=False) for row in store.add(described)]
        if not group.no_match and group.name == "yes":
            samples += [Sample(int(row), label, is_message=False) for row in store.add([choice.question] if choice.question else [])]
    if none is not None:
        samples += _outside(choice.kind, samples, none, scene, store)
    forms = store.forms(_rows(samples))
    is_marked = none is not None  # a denial tells "none of these" from the rest; among the rest alone the mark only costs
    samples = [replace(one, form=int(form) if is_marked else NEUTRAL) for one, form in zip(samples, forms, strict=True)]
    if none is not None and choice.kind == "option":
        samples += _denied(samples, none)
    kernel = store.kernel(choice.kind, _rows(samples), np.asarray([sample.form for sample in samples], dtype=np.int64))
    return ChoiceHead(groups, fit_head(choice.kind, kernel, samples, len(groups), none))


def _rows(samples: Sequence[Sample]) -> NDArray[np.int64]:
    return np.asarray([sample.row for sample in samples], dtype=np.int64)


def _denied(samples: Sequence[Sample], none: int) -> list[Sample]:
    """What candidates answer, denied, is none of these: "do not cancel it" is near "cancel it" for every encoder."""
    counts: Counter[int] = Counter()
    found = []
    for one in samples:
        if one.label == none or one.form & DENIES:
            continue
        counts[one.label] += one.is_message
        if counts[one.label] <= MOST_DENIED or not one.is_message:
            found.append(Sample(one.row, none, DENIED, is_message=False, form=one.form | DENIES))
    return found


def _evened(n: int) -> float:
    """A response with many examples is not the likelier for it."""
    return float(np.sqrt(10 / max(n, 5)))


def _outside(kind: str, samples: Sequence[Sample], none: int, scene: PromptContext, store: VectorStore) -> list[Sample]:
    """Messages for "none of these": those near a candidate's example may belong to it, and are left out."""
    own = set(scene.background)
    known = {sample.row for sample in samples}
    language = scene.locale.split("-")[0]
    foreign = [text for pack in other_desks(language) if not own & set(pack) for text in pack]
    free = [text for text in (*chatter(language), *_spread(foreign, MOST_BACKGROUND)) if text not in own]
    inside = np.asarray([sample.row for sample in samples if sample.label != none], dtype=np.int64)
    found: list[Sample] = []
    for texts, weight in ((free, BACKGROUND[kind]), (_spread(scene.background, MOST_REST), REST_OF_DESK[kind])):
        rows = store.add(texts)
        is_far = store.cosines(rows, inside).max(1) < NEAR if len(inside) and len(rows) else np.ones(len(rows), dtype=bool)
        for row in rows[is_far].tolist():
            if row not in known:
                known.add(row)
                found.append(Sample(row, none, weight))
    return found


def _spread(messages: Sequence[str], n: int) -> list[str]:
    """``n`` messages, evenly spaced over all of them."""
    if len(messages) <= n:
        return list(messages)
    return [messages[index * len(messages) // n] for index in range(n)]


def head_logits(found: ChoiceHead, choice: Choice, near: Floats, forms: NDArray[np.int64], message: str, texts: Floats | None) -> Floats:
    """[candidate] nats, of a message in pieces.

    A class counts by the piece that speaks most for it against "none of these" in that same piece: one request in a long letter is a
    request. Of two sentences, half counts by the message as a whole.

    Args:
        near: [piece, row], the whole message first. forms: [piece]. texts: [candidate] cosine of the message to what would be said.
    """
    by_piece = found.head.logits(found.head.scores(near, forms), forms)
    none = found.head.none
    if none is not None:
        by_piece = by_piece - by_piece[:, none : none + 1]
    logits = by_piece[0]
    if len(by_piece) > 1:
        best = by_piece[1:].max(0)
        if found.head.kind == "heard" and none is not None:  # each sentence is one more chance of a false alarm
            best = np.where(np.arange(len(best)) == none, best, best - np.log(len(by_piece) - 1) / 2)
        logits = np.maximum(logits, (logits + best) / 2 if len(by_piece) <= FEW_PIECES else best)
    result = np.full(len(choice.candidates), -np.inf)
    for group, value in zip(found.groups, logits, strict=True):
        result[list(group.candidates)] = value + _within([choice.candidates[index] for index in group.candidates], message, texts, group)
    return result


def _within(candidates: Sequence[Candidate], message: str, texts: Floats | None, group: Group) -> Floats:
    """[candidate] nats of the candidates of one class: by the words that only one of them says, and by what the texts mean."""
    if len(candidates) == 1:
        return np.zeros(1)
    words = [set(plain(one.text).split()) for one in candidates]
    shared = set.intersection(*words)
    said = set(plain(message).split())
    own = np.asarray([MENTION * bool(said & (one - shared)) for one in words], dtype=np.float64)
    if texts is not None:
        own = own + COSINE * texts[list(group.candidates)]
    return np.asarray(own - np.logaddexp.reduce(own), dtype=np.float64)


def described_logits(choice: Choice, message: str, meanings: Floats) -> Floats:
    """[candidate] nats where no candidate has examples: by literal mention, and by likeness with doubt.

    Args:
        meanings: [candidate] cosine of the message to the candidate's description; of "yes" to its question.
    """
    if choice.kind == "option":
        doubts = np.asarray([one.no_match for one in choice.candidates])
        return np.asarray(OPTION_COSINE * np.where(doubts, OPTION_DOUBT, meanings), dtype=np.float64)
    result = np.zeros(len(choice.candidates))
    is_yes_no = {one.key for one in choice.candidates} == {"yes", "no"}
    for index, one in enumerate(choice.candidates):
        if one.no_match:
            result[index] = COSINE * (DOUBT_YES if is_yes_no else DOUBT)
        else:
            result[index] = COSINE * meanings[index] + (0.0 if is_yes_no else MENTION * mention(one.name or one.text, message))
    return result


def span_logits(choice: Choice, message: str) -> Floats:
    """[candidate] nats of spans: each found one is likelier than none, and of several the one after a correction."""
    places = [message.rfind(one.text) if not one.no_match else -1 for one in choice.candidates]
    result = np.asarray([0.0 if one.no_match else SPAN for one in choice.candidates])
    last = max(range(len(places)), key=places.__getitem__)
    earlier = [place for index, place in enumerate(places) if place >= 0 and index != last]
    if earlier and _CORRECTED.search(message[max(earlier) : places[last]]):
        result[last] += CORRECTION
    return result


def meanings_of(choice: Choice, vectors: Vectors, store: VectorStore) -> Floats:
    """[candidate] cosine of the message, by its best piece, to what a candidate is called (a yes: to the question; an option: and when)."""
    names = [choice.question if one.key == "yes" and choice.question else one.name or one.text for one in choice.candidates]
    found = (vectors @ store.read(names).T).max(0)
    if choice.kind == "option":
        whens = [one.when or name for one, name in zip(choice.candidates, names, strict=True)]
        found = (1 - WHEN_SHARE) * found + WHEN_SHARE * (vectors @ store.read(whens).T).max(0)
    return np.asarray(found, dtype=np.float64)
