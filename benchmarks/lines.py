"""Lines to measure with: made up by a seeded generator, or the replies of an authored character. Knows no tokens."""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

from benchmarks.harness import BenchmarkError
from benchmarks.machine import ROOT

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
