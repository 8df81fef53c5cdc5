"""Suite ``protected``: what the judges of the protected triggers miss, and how often they are heard where they are not meant.

Missed are messages of the test parts (whole families of phrases that nothing was fitted to) that are heard as no. Alarms are near misses
of the test parts, everyday answers and letters of the test parts, public messages of which thresholds saw none (the halves by hash), long
messages drawn of these, and the packs' own examples and golden messages.
Intervals are exact (Clopper and Pearson, 1934), 95 %. ``--parts dev`` measures on the dev parts instead.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import yaml

from benchmarks.harness import Bench
from benchmarks.measure import NoDeviceError, Spread
from benchmarks.sets.rows import read_csv, read_json
from constrained.errors import EngineError
from constrained.packs import load_policy
from constrained.understanding.protected import phrases
from constrained.understanding.protected.judges import judge
from constrained.understanding.protected.values import TRIGGERS, Protected

MOST_MISSED, MOST_ALARMS = 0.03, 0.01
STEP = 6  # every sixth public message
N_SMOKE = 3
N_LONG = 150  # long messages of a language; their parts are 5 to 15 messages or sentences
PACKS = ("bank_disputes", "clinic_booking", "tavern")
VALUES = tuple(Protected)[::-1]  # yes, likely, no


def run(bench: Bench) -> None:
    for part in bench.options.parts or ("test",):
        try:
            _measure(bench, "dev" if part == "dev" else "test")
        except EngineError as error:
            raise NoDeviceError(f"{error.message}: {error.hint}") from error


def _measure(bench: Bench, part: phrases.Part) -> None:
    has_vectors = not bench.is_smoke
    for language in phrases.LANGUAGES:
        missed, unsure, near = [], [], []
        for trigger in TRIGGERS:
            known = phrases.load_phrases(trigger, language)
            read = partial(_value, trigger, locale=language, has_vectors=has_vectors)
            meant = [read(one) for one in _some(bench, known.messages(part, is_meant=True))]
            others = [read(one) for one in _some(bench, known.messages(part, is_meant=False))]
            missed += (found := [not one.is_likely for one in meant])
            _rate(bench, f"{language}, {trigger}", "missed: heard as no", found)
            unsure += (found := [not one for one in meant])
            _rate(bench, f"{language}, {trigger}", "not heard as yes", found)
            near += (found := [bool(one) for one in others])
            _rate(bench, f"{language}, {trigger}", "near misses heard as yes", found)
        _rate(bench, f"{language}, all triggers", "missed: heard as no", missed, at_most=MOST_MISSED)
        _rate(bench, f"{language}, all triggers", "not heard as yes", unsure)
        _rate(bench, f"{language}, all triggers", "near misses heard as yes", near)
    public = list(_public(part))
    for name, locale, messages in (*_everyday(part), *_long(part, public), *public, *_packs()):
        _alarms(bench, name, locale, _some(bench, messages), has_vectors)


def _alarms(bench: Bench, name: str, locale: str, messages: Sequence[str], has_vectors: bool) -> None:
    """How many messages raise any trigger, and how many each; those heard as yes are told, to be looked at."""
    rows = [[_value(trigger, one, locale=locale, has_vectors=has_vectors) for trigger in TRIGGERS] for one in messages]  # read once
    found = dict(zip(TRIGGERS, zip(*rows, strict=True), strict=True))
    for trigger, values in found.items():
        _rate(bench, f"ordinary, {name}", f"heard as yes, {trigger}", [bool(one) for one in values])
        for message, value in zip(messages, values, strict=True):
            if value:
                bench.tell(f"{name}: {trigger}: {message}")
    _rate(bench, f"ordinary, {name}", "heard as yes, any of eight", [any(row) for row in rows])
    _rate(bench, f"ordinary, {name}", "likely at least, any of eight", [any(one.is_likely for one in row) for row in rows])
    mean = sum(sum(map(bool, row)) for row in rows) / max(1, len(rows) * len(TRIGGERS))
    bench.add(f"ordinary, {name}", "heard as yes, mean of the triggers", mean, "share", at_most=MOST_ALARMS)


def _value(trigger: str, message: str, *, locale: str, has_vectors: bool) -> Protected:
    probabilities = judge(trigger, message, locale, has_vectors=has_vectors).probabilities
    return Protected.YES if probabilities[0] >= 0.5 else Protected.LIKELY if sum(probabilities[:2]) >= 0.5 else Protected.NO


def _rate(bench: Bench, case: str, metric: str, flags: Sequence[bool], *, at_most: float | None = None) -> None:
    """The share, with its exact interval as the spread; how many it is of stands beside the metric."""
    bench.add(case, f"{metric} (of {len(flags)})", Spread.share(flags), "share", at_most=at_most)


def _some(bench: Bench, messages: Sequence[str]) -> Sequence[str]:
    return messages[:N_SMOKE] if bench.is_smoke else messages


def _everyday(part: phrases.Part) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Answers to a desk's questions, and letters."""
    for language in phrases.LANGUAGES:
        for kind in ("answers", "letters"):
            yield f"{kind} {language}", language, phrases.ordinary(language, part, kind)


def _long(part: phrases.Part, public: Sequence[tuple[str, str, Sequence[str]]]) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Messages of 5 to 15 parts, drawn with a fixed seed: of public messages in English, of sentences of the letters elsewhere."""
    draw = random.Random(2)
    letters = {
        language: [one for text in phrases.ordinary(language, part, "letters") for one in phrases.split_sentences(text)]
        for language in phrases.LANGUAGES
    }
    short = [text for name, _, texts in public for text in texts if name != "nlupp"]  # whose users do ask for a human and complain
    for name, language, parts in (("public en", "en", short), *((f"letters {one}", one, letters[one]) for one in phrases.LANGUAGES)):
        yield f"long, of {name}", language, [". ".join(draw.sample(parts, draw.randint(5, 15))) for _ in range(N_LONG)]


def _public(part: str) -> Iterator[tuple[str, str, list[str]]]:
    """(name, locale, messages) of the half that a part may look at; every ``STEP``-th."""
    clinc = read_json("clinc150/train_val.json", None)
    folds = [read_json(f"nlupp_banking/fold{number}.json", None) for number in range(10)]
    sources = {
        "banking77": [row["text"] for row in read_csv("banking77/train.csv", None)],
        "clinc150": [text for rows in clinc.values() for text, _ in rows],
        "nlupp": [row["text"] for fold in folds for row in fold],
        "butler": [row["Query"] for row in read_csv("mystery_butler/butler.csv", None)],
    }
    for name, texts in sources.items():
        mine = sorted({" ".join(one.split()) for one in texts if _is_test(" ".join(one.split())) is (part == "test")})
        yield name, "en", mine[:: STEP if len(mine) > 1000 else 1]


def _is_test(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def _packs() -> Iterator[tuple[str, str, list[str]]]:
    """The examples and the golden messages of the packs; some mean a trigger."""
    for pack in PACKS:
        policy = load_policy(pack)
        for locale in sorted({locale for one in policy.catalog.responses.values() for locale in one.examples}):
            examples = [text for one in policy.catalog.responses.values() for text in one.examples.get(locale, ())]
            yield f"every fourth example of {pack} {locale}", locale, sorted(set(examples))[::4]  # half of them were fitted to
        golden = yaml.safe_load((Path("dialogues") / f"{pack}.yaml").read_text(encoding="utf-8"))["dialogues"]
        for locale in sorted({one.get("locale", "en") for one in golden}):
            says = [turn["says"] for one in golden if one.get("locale", "en") == locale for turn in one["turns"] if turn.get("says")]
            yield f"golden messages of {pack} {locale}", locale, sorted(set(map(str, says)))
