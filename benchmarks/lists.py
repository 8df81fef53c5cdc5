"""Kinds of lists to choose from, of any length: natural lines, ids, near-duplicates, many scripts. Knows no tokens.

Every line has a short readable key and a ``when``, so that the other surfaces can be scored over the same list.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, product

from benchmarks.lines import butler_pairs, made_parts, sentence
from benchmarks.peers import Entry

_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an the of to in on at by is are was were do does did you your i me my it its he she they them what who when where why how "
        "which and or for with from have has had can could would be been that this there any tell if about",
    )
)
_NAMES = (
    "Ames",
    "Baird",
    "Cole",
    "Dunn",
    "Ewart",
    "Firth",
    "Gale",
    "Hobbs",
    "Ives",
    "Judd",
    "Keane",
    "Lowe",
    "Marsh",
    "Nairn",
    "Orr",
    "Pike",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SCRIPTS = (
    ("Grüße aus der Küche: Zimmer {n} hat Öfen und Fußböden", "zimmer"),
    ("À bientôt, chère amie ; la clé nº {n} est prête", "clé"),
    ("Добрый вечер, ключ {n} лежит на столе", "ключ"),
    ("こんばんは、鍵{n}番は机の上です。", "鍵"),
    ("晚上好 {n}号钥匙在桌上。", "钥匙"),
    ("안녕하세요, 열쇠 {n}번은 책상 위에 있어요.", "열쇠"),
    ("مساء الخير، المفتاح رقم {n} على الطاولة", "مفتاح"),
    ("ערב טוב, מפתח {n} על השולחן", "מפתח"),
    ("नमस्ते, चाबी {n} मेज़ पर है।", "चाबी"),
    ("Καλησπέρα, το κλειδί {n} είναι στο τραπέζι", "κλειδί"),
    ("สวัสดีครับ กุญแจหมายเลข {n} อยู่บนโต๊ะ", "กุญแจ"),
    ("👩🏽‍🍳🗝️ {n} → 🏰, ¿vale? “Sí”… ½ price!", "🗝️"),
)  # fmt: skip


def entries(kind: str, n: int, seed: int, *, is_smoke: bool = False) -> list[Entry]:
    """The first ``n`` lines of a kind, all texts, keys and ``when`` distinct; a longer list begins with the shorter one.

    Natural lines are the butler's replies first, made-up ones after; a smoke run has no butler.
    """
    sources: dict[str, Callable[[], Iterator[Entry]]] = {
        "natural": lambda: _natural(seed, is_smoke),
        "ids": _ids,
        "near": _near,
        "unicode": lambda: _unicode(seed),
    }
    found: list[Entry] = []
    texts, keys, whens = set[str](), dict[str, int](), dict[str, int]()
    for entry in sources[kind]():
        if entry.text in texts:
            continue
        texts.add(entry.text)
        found.append(Entry(entry.text, _distinct(entry.key, keys), _distinct(entry.when, whens)))
        if len(found) == n:
            return found
    raise ValueError(f"there are {len(found)} lines of the kind {kind!r}, {n} are needed")


def _natural(seed: int, is_smoke: bool) -> Iterator[Entry]:
    written: Iterable[Entry] = () if is_smoke else (Entry(text, _key(query), query) for query, text in butler_pairs())
    return chain(written, _made(seed))


def _made(seed: int) -> Iterator[Entry]:
    chance = random.Random(seed)
    while True:
        parts = made_parts(chance)
        _, who, did, what, where, when, _ = parts
        yield Entry(
            sentence(parts), f"{who.split()[-1]} {what.split()[-1]} {where.split()[-1]}", f"somebody asks whether {who} {did} {what} {when}"
        )


def _ids() -> Iterator[Entry]:
    """Order numbers: long shared prefixes, no words."""
    for year, number, depot in product(range(2019, 2039), range(1, 10_000), ("NOR", "SUD", "OST")):
        yield Entry(f"ORD-{year}-{depot}-{number:06d}", f"{depot}{number}-{year}", f"order {number} of {year} at {depot} is meant")


def _near() -> Iterator[Entry]:
    """One sentence whose few numbers and names differ, early or late."""
    for minutes, hour, name, day, guests in product(range(5, 65, 5), range(17, 23), _NAMES, _DAYS, range(1, 25)):
        text = (
            f"Your table for {guests} is booked under the name {name} on {day} at {hour}:{minutes - 5:02d}, and it will be kept for "
            f"{minutes} minutes."
        )
        yield Entry(
            text,
            f"{name} {day} {hour}:{minutes - 5:02d} {guests}",
            f"{name}, {guests} guests, asks about {day} at {hour}:{minutes - 5:02d}",
        )


def _unicode(seed: int) -> Iterator[Entry]:
    """Twelve scripts, marks that combine, joined emoji; numbers tell the lines apart."""
    chance = random.Random(seed)
    numbers = list(range(1, 20_000))
    chance.shuffle(numbers)
    for number in numbers:
        for text, key in _SCRIPTS:
            yield Entry(text.format(n=number), f"{key} {number}", f"somebody asks for {key} {number}")


def _key(query: str) -> str:
    """The first telling words of a question."""
    words = [word for word in re.findall(r"[a-z']+", query.lower()) if word not in _SMALL]
    return " ".join(islice(words, 4)) or query.lower()


def _distinct(name: str, taken: dict[str, int]) -> str:
    """The name, numbered where it was taken before."""
    while True:
        taken[name] = taken.get(name, 0) + 1
        if taken[name] == 1:
            return name
        name = f"{name} {taken[name]}"
