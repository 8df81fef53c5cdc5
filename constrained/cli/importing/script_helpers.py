"""Code that every pack of a script gets: its effects, and what its nodes call."""

from __future__ import annotations

import re

SALIENCY = ("best_least_recently_seen", "best", "first")

HELPERS = '''def text(value: object) -> str:
    """A value as Yarn writes it."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def number(value: object) -> int | float:
    found = float(value)
    return int(found) if found == int(found) else found


def remainder(first: float, second: float) -> float:
    return first - second * int(first / second)


def ordinal(value: float) -> str:
    last = int(value) % 10 if int(value) % 100 not in (11, 12, 13) else 0
    return {1: "one", 2: "two", 3: "few"}.get(last, "other")


def counted(now: Now, key: str) -> int:
    """How often: ``node TITLE`` was left, ``seen ID`` was said of a group, ``once ...`` was taken."""
    return dict(now.counts).get(key, 0)


def count_up(now: Now, key: str) -> Now:
    return now._replace(counts=tuple({**dict(now.counts), key: counted(now, key) + 1}.items()))


def drawn(now: Now, n: int, size: int) -> int:
    """A number below ``size`` that follows from the seed of the story: the same story draws the same numbers."""
    found = now.seed * 1_000_003 + n * 7_919 + 12_345
    for _ in range(3):
        found = (found * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
    return (found >> 33) % max(size, 1)


def pick(now: Now, items: tuple[tuple[str, bool, int], ...]) -> str:
    """One of the items (key, may it be said, number of its conditions) by the strategy; empty where none may."""
    may = [one for one in items if one[1]]
    if not may:
        return ""
    if now.saliency == "first":
        return may[0][0]
    if now.saliency == "best":
        return max(may, key=lambda one: one[2])[0]
    return min(may, key=lambda one: (counted(now, f"seen {one[0]}"), -one[2]))[0]
'''
EFFECTS = '''@effect
def keep(state: Slots, **facts: object) -> Slots:
    """What the story sets: variables of the scripts."""
    return state.replace(**facts)


@effect(risk="low")
def remember(state: Slots, **facts: object) -> Slots:
    """What the story counts: visits, and what was said."""
    return state.replace(**facts)


@effect
def command(state: Slots, *texts: str) -> Slots:
    # a command of the scripts, as your game gets it from Yarn
    return state
'''


def used_helpers(code: str) -> list[str]:
    """The helpers that this code calls, and those that they call."""
    helpers = {one.partition("(")[0].removeprefix("def "): f"{one.rstrip()}\n" for one in re.split(r"\n\n\n(?=def )", HELPERS)}
    used: set[str] = set()
    for _ in helpers:
        text = code + "".join(helpers[name] for name in used)
        used |= {name for name in helpers if re.search(rf"(?<!def )\b{name}\(", text)}
    return [text for name, text in helpers.items() if name in used]
