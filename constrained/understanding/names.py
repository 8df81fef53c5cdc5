"""Which of several things a message names: word for word, with a slip of the keyboard, or by a word that is its own ("the Kestrel")."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from constrained.understanding.mentions import standing
from constrained.understanding.value_words import each

SHORTEST_MISTYPED = 5  # letters of a name that may be mistyped; of a shorter one too many words are one letter away
TWO_SLIPS = 12  # letters from which two slips are still the name
SHORTEST_JOINED = 3  # letters of each of two words that are a name in one word too
NAME_FIELDS = ("id", "key", "name", "title", "label", "alias", "aliases")
ENUM_FIELDS = ("alias", "aliases")  # of a member, as properties of its class
_WORD = re.compile(r"\w+(?:\+{2}|#)?")
_NO_NAMES = frozenset(
    each(
        "a an the and or of to in on at by for no not yes none all any it is me my you we he she they this that one some other "
        "el la los las un una y o de no sí en es lo al der die das ein eine und oder ja nein im am le les une et ou oui non du des"
    )
)
_TITLES = re.compile(
    r"^(?:dr|mr|mrs|ms|prof|sir|lady|herr|frau|don|doña|sr|sra|señor|señora|mme|m|monsieur|madame|doctor|doctora)\b\.?\s+", re.I
)
IN_PART = 0.9  # how sure a part of a name is that name
SHORTEST_PART = 3  # letters of a word of a name that may stand for all of it
# Words of names that are everyday words too: alone they name nothing.
_EVERYDAY = frozenset(
    each(
        "new old big small little long short good bad best great high low left right first last next other same red blue green "
        "white black golden silver dark light hot cold day night time way thing place part end house home room test check look "
        "help work back front side open free full half nueva nuevo vieja viejo grande pequeña pequeño larga largo corta corto "
        "buena bueno rojo roja azul verde blanco blanca negro negra primera primero otra otro día noche casa neue neuer neues "
        "neuen alte alter altes alten große großer kleine kleiner lange langer kurze kurzer gute guter rote blaue grüne weiße "
        "schwarze erste letzte tag nacht haus nouveau nouvelle vieux vieille grand grande petit petite long longue court courte "
        "bon bonne rouge bleu verte blanc noir premier dernière jour nuit maison"
    )
)
_DEFINITE = r"the|that|this|your|el|la|los|las|ese|esa|este|esta|al|del|der|die|das|dem|den|diesen|diese|zum|zur|le|les|ce|cette|au|du|l'"
_BESIDE = rf"{_DEFINITE}|with|at|from|called|named|con|mit|bei|von|avec|chez"
_BEFORE_PART = re.compile(rf"(?:^|[^\w])(?:{_BESIDE})\s*$", re.IGNORECASE)
_POLITE = r"a|an|please|pls|ok|okay|yes|and|then|i|mean|meant|it|is|it's|por|favor|sí|bitte|ja|s'il|te|vous|plaît|plait|oui"
_ALONE = re.compile(rf"(?:\W|\b(?:{_BESIDE}|{_POLITE})\b)*", re.IGNORECASE)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
_KEYBOARDS = ("qwertyuiop asdfghjkl zxcvbnm", "qwertzuiop asdfghjkl yxcvbnm", "azertyuiop qsdfghjklm wxcvbn")


@dataclass(frozen=True, slots=True)
class NamedThing:
    """A thing that a message names.

    Attributes:
        key: of the thing. ``start`` and ``end``: where, in words of the message. ``likeness``: 1 for the name itself, less for a slip.
    """

    key: str
    start: int
    end: int
    likeness: float


@dataclass(frozen=True, slots=True)
class Naming:
    """What a message names: keys of the things that it means, and how surely; those that it names only to rule them out.

    ``in_part``: of those that are meant the ones of which it says a part.
    """

    meant: Mapping[str, float]
    ruled_out: frozenset[str]
    in_part: frozenset[str] = frozenset()


def find_named(message: str, names: Mapping[str, Iterable[str]], language: str) -> Naming:
    """The things that a message names; the longest name wins where names overlap.

    Args:
        names: key of a thing -> all its names.
    """
    text = unicodedata.normalize("NFKC", message).replace("\u2019", "'")
    tokens = list(_WORD.finditer(text))
    words = [folded(token.group()) for token in tokens]
    wanted = _wanted(names)
    named = _longest([*_exact(words, wanted), *_mistyped(words, wanted)])
    found = _with_parts(named, list(_parts(text, tokens, words, wanted)))
    spans = [(tokens[one.start].start(), tokens[one.end - 1].end()) for one in found]
    stands = standing(text, spans, language, of="thing")
    meant: dict[str, float] = {}
    for one, is_meant in zip(found, stands, strict=True):
        if is_meant:
            meant[one.key] = max(one.likeness, meant.get(one.key, 0.0))
    return Naming(meant, frozenset(one.key for one in found) - set(meant), frozenset(meant) - {one.key for one in named})


def folded(text: str) -> str:
    """A text in the form in which names are compared: no case, accents or presentation forms; ``ß`` is ``ss``, an apostrophe is ``'``."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u02bc", "'").casefold()
    return unicodedata.normalize("NFC", "".join(one for one in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(one)))


def names_of(thing: object, readable: str) -> Iterator[str]:
    """What a thing is called: its key, and its fields that hold a name; a person also without the title; an Enum member by its aliases."""
    yield readable
    is_model = bool(getattr(type(thing), "model_fields", None))
    for name in NAME_FIELDS if is_model else ENUM_FIELDS if isinstance(thing, enum.Enum) else ():
        held = getattr(thing, name, None)
        for one in (held,) if isinstance(held, str) else held if isinstance(held, tuple) else ():
            if isinstance(one, str):
                yield one
                yield _TITLES.sub("", one)


_FOLDED_EVERYDAY = frozenset(map(folded, _EVERYDAY))


def _wanted(names: Mapping[str, Iterable[str]]) -> dict[tuple[str, ...], set[str]]:
    """Name, as its words -> keys of the things that are called so. Numbers, letters and everyday words name nothing."""
    wanted: dict[tuple[str, ...], set[str]] = {}
    for key, given in names.items():
        for name in given:
            for spelling in _spellings(name.replace("_", " ")):
                words = tuple(_WORD.findall(folded(spelling)))
                text = "".join(words)
                if len(text) > 1 and not text.isdecimal() and not all(word in _NO_NAMES for word in words):
                    wanted.setdefault(words, set()).add(key)
    return wanted


def _spellings(name: str) -> Iterator[str]:
    """A name, also with umlauts as two letters, without its article, and in one word."""
    yield name
    if any(letter in name for letter in "äöüÄÖÜ"):
        yield name.translate(_UMLAUTS)
    words = name.split()
    if len(words) > 2 and words[0].lower() in _NO_NAMES:
        yield " ".join(words[1:])
    if len(words) == 2 and all(len(word) >= SHORTEST_JOINED and word.isalpha() for word in words):
        yield "".join(words)


def _exact(words: Sequence[str], wanted: Mapping[tuple[str, ...], set[str]]) -> Iterator[NamedThing]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for name in wanted:
        for first in _forms(name[0]) if len(name) == 1 else (name[0],):
            by_first.setdefault(first, []).append(name)
    for start, word in enumerate(words):
        for name in by_first.get(word, ()):
            end = start + len(name)
            said = tuple(words[start:end])
            if said[:-1] == name[:-1] and len(said) == len(name) and said[-1] in _forms(name[-1]):
                yield from (NamedThing(key, start, end, 1.0) for key in sorted(wanted[name]))


def _forms(word: str) -> tuple[str, ...]:
    """A word and the plurals that European languages make of it by rule."""
    if len(word) < 3:
        return (word,)
    y = (word[:-1] + "ies",) if word.endswith("y") else ()
    return (word, word + "s", word + "es", word + "e", word + "n", word + "en", *y)


def _mistyped(words: Sequence[str], wanted: Mapping[tuple[str, ...], set[str]]) -> Iterator[NamedThing]:
    from rapidfuzz.distance import OSA

    known = {word for name in wanted for part in name for word in _forms(part)}
    for name, keys in wanted.items():
        text = " ".join(name)
        if len(text) < SHORTEST_MISTYPED or any(char.isdecimal() for char in text):
            continue
        most = 2 if len(text) >= TWO_SLIPS else 1
        for start in range(len(words) - len(name) + 1):
            said = " ".join(words[start : start + len(name)])
            if len(name) > 1 and not _are_like(name, words[start : start + len(name)]):
                continue
            if (
                said[0] != text[0]
                or abs(len(said) - len(text)) > most
                or said == text
                or all(w in known for w in words[start : start + len(name)])
            ):
                continue
            slips = OSA.distance(text, said, score_cutoff=most)
            if slips <= most and _is_slip(text, said):
                yield from (NamedThing(key, start, start + len(name), OSA.normalized_similarity(text, said)) for key in sorted(keys))


def _are_like(name: Sequence[str], said: Sequence[str]) -> bool:
    """Whether each word is the one of the name, or long enough to be mistyped and near it: "the kestrel no" is no "The Kestrel Inn"."""
    from rapidfuzz.distance import OSA

    return all(one == other or (len(one) > SHORTEST_PART and OSA.distance(one, other) <= 2) for one, other in zip(name, said, strict=True))


def _parts(
    text: str, tokens: Sequence[re.Match[str]], words: Sequence[str], wanted: Mapping[tuple[str, ...], set[str]]
) -> Iterator[NamedThing]:
    """Words that belong to the names of one thing alone, where the message means a thing by them.

    That is after an article or the like, in capitals inside a sentence, or where the message says nothing else.
    """
    owners: dict[str, set[str]] = {}
    for name, keys in wanted.items():
        for word in name if len(name) > 1 else ():
            if len(word) >= SHORTEST_PART and word not in _NO_NAMES and word not in _FOLDED_EVERYDAY and not word.isdecimal():
                for form in _forms(word):
                    owners.setdefault(form, set()).update(keys)
    for at, word in enumerate(words):
        if len(owners.get(word, ())) != 1:
            continue
        before, after = text[: tokens[at].start()], text[tokens[at].end() :]
        is_capital = tokens[at].group()[0].isupper() and re.search(r"[\w,]\s*$", before) is not None and not text.isupper()
        is_alone = _ALONE.fullmatch(before) is not None and _ALONE.fullmatch(after) is not None
        if is_alone or _BEFORE_PART.search(before) or is_capital:
            yield NamedThing(next(iter(owners[word])), at, at + 1, IN_PART)


def _with_parts(named: Sequence[NamedThing], parts: Sequence[NamedThing]) -> list[NamedThing]:
    """Both in the order of the message; what lies in a name, or names a thing that is named anyway, is no part."""
    keys = {one.key for one in named}
    free = [one for one in parts if one.key not in keys and not any(other.start < one.end and one.start < other.end for other in named)]
    return sorted([*named, *free], key=lambda one: (one.start, one.end, one.key))


def _is_slip(name: str, said: str) -> bool:
    """Whether fingers come from the name to what was said: a letter left out, doubled, swapped, or the one beside it on a keyboard.

    Another letter in its place is another word ("danger" is no dagger), and so is one put in ("portion" is no potion). Of a long
    name every slip counts as one.
    """
    if len(name) >= TWO_SLIPS:
        return True
    at = next((at for at, (first, second) in enumerate(zip(name, said, strict=False)) if first != second), min(len(name), len(said)))
    rest, other = name[at:], said[at:]
    if len(said) < len(name):
        return len(name) > SHORTEST_MISTYPED or rest[0] == name[at - 1]
    if len(said) > len(name):
        return other[0] == said[at - 1]
    if rest[:2] == other[:2][::-1]:
        return True
    return len(name) > SHORTEST_MISTYPED and (_are_neighbours(rest[0], other[0]) or {rest[0], other[0]} <= set("aeiouy"))


def _are_neighbours(first: str, second: str) -> bool:
    for keyboard in _KEYBOARDS:
        rows = keyboard.split()
        places = {letter: (column + 0.4 * row, row) for row, line in enumerate(rows) for column, letter in enumerate(line)}
        if first in places and second in places:
            (x, row), (other, other_row) = places[first], places[second]
            if abs(x - other) <= 1 and abs(row - other_row) <= 1:
                return True
    return False


def _longest(found: Iterable[NamedThing]) -> list[NamedThing]:
    """In the order of the message, without those that lie in, or overlap, a longer or better one."""
    kept: list[NamedThing] = []
    for one in sorted(found, key=lambda one: (-(one.likeness == 1.0), one.start - one.end, -one.likeness, one.start, one.key)):
        clashes = [other for other in kept if one.start < other.end and other.start < one.end]
        if all((other.start, other.end) == (one.start, one.end) and other.likeness == one.likeness for other in clashes):
            kept.append(one)
    return sorted(kept, key=lambda one: (one.start, one.end, one.key))
