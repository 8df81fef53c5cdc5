"""Lines to measure with: made up by a seeded generator, or the replies of an authored character; lists of four kinds and any length.

Every line of a list has a short readable key and a ``when``, so that the other surfaces can be scored over the same list.
"""

from __future__ import annotations

import csv
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, product
from pathlib import Path

from benchmarks.measure import ROOT, BenchmarkError
from benchmarks.peers import Entry

DATA_VARIABLE = "CONSTRAINED_DATA"

_OPENING = (
    "Well,",
    "Listen,",
    "Between you and me,",
    "As far as I know,",
    "If you ask me,",
    "By my count,",
    "Since the flood,",
    "Honestly,",
)
_WHO = (
    "the ferryman", "my sister's boy", "the miller", "old Hedda", "the toll keeper", "a pedlar from the coast", "the night watch",
    "our cook", "the bell founder", "nobody I would trust", "the widow at the bridge", "a clerk of the guild",
)  # fmt: skip
_DID = (
    "left", "hid", "sold", "asked for", "was looking for", "swears to have seen", "will not part with", "carried off", "came back with",
    "paid too much for", "has been mending", "dropped",
)  # fmt: skip
_WHAT = (
    "a brass lantern", "the harbour ledger", "two sacks of barley", "a letter with a broken seal", "the spare oar", "a grey mare",
    "somebody's winter coat", "three copper kettles", "a map of the lower tunnels", "the chapel key", "a crate of blue glass",
    "his father's fiddle",
)  # fmt: skip
_WHERE = (
    "behind the mill", "under the third arch", "at the salt market", "in the attic of the inn", "beyond the north gate", "by the well",
    "on the road to the quarry", "below the watchtower", "next to the smithy", "at low tide",
)  # fmt: skip
_WHEN = ("yesterday", "before dawn", "on market day", "last winter", "an hour ago", "after the second bell", "twice this week", "at noon")
_ENDING = (
    "and nobody asks why", "so mind your step", "but keep that to yourself", "which is more than I wanted to know", "for {n} silver",
    "as {n} people can tell you", "and I was {n} steps away", "so come back in {n} days",
)  # fmt: skip


def made_lines(n: int, seed: int) -> list[str]:
    """``n`` distinct sentences of 10 to 25 words, the same for the same seed."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        found[sentence(made_parts(chance))] = None
    return list(found)


def butler_lines(n: int) -> list[str]:
    """The first ``n`` distinct replies of the mystery's butler, in the order of the file.

    Raises BenchmarkError when the file is not there or holds fewer.
    """
    replies = [reply for _, reply in butler_pairs()]
    if len(replies) < n:
        raise BenchmarkError(f"{_butler_file()} holds {len(replies)} distinct replies, {n} are needed")
    return replies[:n]


def butler_pairs() -> list[tuple[str, str]]:
    """(question, reply) of each distinct reply. Raises BenchmarkError when the file is not there."""
    path = _butler_file()
    if not path.is_file():
        raise BenchmarkError(f"{path} is not there: set {DATA_VARIABLE} to the folder that holds mystery_butler/butler.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["Response"].strip(), row["Query"].strip()) for row in csv.DictReader(file)]
    first: dict[str, str] = {}
    for reply, query in rows:
        first.setdefault(reply, query)
    return [(query, reply) for reply, query in first.items()]


def data_folder() -> Path:
    """Where the real data lies: the environment's CONSTRAINED_DATA, else beside the repository."""
    return Path(os.environ.get(DATA_VARIABLE) or ROOT.parent / "shared" / "data")


def made_parts(chance: random.Random) -> tuple[str, ...]:
    """(opening, who, did, what, where, when, ending) of one made-up sentence."""
    words = [chance.choice(part) for part in (_OPENING, _WHO, _DID, _WHAT, _WHERE, _WHEN, _ENDING)]
    if chance.random() < 0.3:
        words[0] = ""
    words[-1] = words[-1].replace("{n}", str(chance.randint(2, 90)))
    return tuple(words)


def sentence(words: tuple[str, ...]) -> str:
    """The parts as a sentence."""
    line = f"{words[0]} {words[1]} {words[2]} {words[3]} {words[4]} {words[5]}, {words[6]}.".strip()
    return line[0].upper() + line[1:]


def _butler_file() -> Path:
    return data_folder() / "mystery_butler" / "butler.csv"


# -- lists of a kind: natural lines, ids, near-duplicates, many scripts -----------------------------------------


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
