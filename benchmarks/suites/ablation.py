"""Suite ``ablation``: what each judge of a turn is worth: everything, each left out, each alone, and language models.

Measured on the challenge conversations (a dev set, where it lies in the data folder), on the two desks, and on the shipped packs' golden
and held-out messages. Parts: ``without``, ``alone``, ``models``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.challenge_library import DESK_PACKS, Library
from benchmarks.conversations import Case, Played, desk_cases, play_all, read_cases, turns
from benchmarks.harness import Bench
from benchmarks.judges import VECTORS, Judge, LetterEncoder, of_this_library, without
from benchmarks.sets.lines import data_folder
from benchmarks.suites.choice import PACKS

EVERYTHING = "everything"
MODELS = ("smollm2-135m",)
N_SMOKE = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured together.

    Attributes:
        off: judges that are switched off. model: a language model's name; the small engine where it is empty.
    """

    name: str
    off: tuple[Judge, ...] = ()
    model: str = ""


def run(bench: Bench) -> None:
    sets = _sets(bench)
    reference: list[Played] = []
    for setting in _settings(bench):
        begun = time.perf_counter()
        with _engine(setting, is_smoke=bench.is_smoke) as engine:
            played = [_measure(bench, setting.name, name, cases, engine) for name, cases in sets.items()]
            if engine is not None:
                for part in ("golden", "test"):
                    _measure_packs(bench, setting.name, part, engine)
        found = [one for some in played for one in some]
        if setting.name == EVERYTHING:
            reference = found
        elif reference:
            _compare(bench, setting.name, found, reference)
        bench.tell(f"{setting.name}: {time.perf_counter() - begun:.0f} s")


def _settings(bench: Bench) -> list[Setting]:
    """Everything first: what is left out or alone is compared with it."""
    judges = of_this_library()
    if bench.is_smoke:
        return [Setting(EVERYTHING), *(Setting(f"without {one.name}", (one,)) for one in judges)]
    parts = bench.options.parts or ("without", "alone", "models")
    found = [Setting(EVERYTHING)]
    if "without" in parts:
        found += [Setting(f"without {one.name}", (one,)) for one in judges]
    if "alone" in parts:
        vectors = next(one for one in judges if one.name == VECTORS)
        found += [Setting(f"{one.name} alone", _others(judges, one)) for one in judges if one.is_evidence]
        found += [Setting(f"{VECTORS} and {one.name}", _others(judges, vectors, one)) for one in judges if one is not vectors]
    if "models" in parts:
        found += [Setting(name, model=name) for name in MODELS]
    return found


def _others(judges: Iterable[Judge], *kept: Judge) -> tuple[Judge, ...]:
    return tuple(one for one in judges if one not in kept)


@contextmanager
def _engine(setting: Setting, *, is_smoke: bool) -> Iterator[Any]:
    """An engine of its own, since heads are kept in it; none in a smoke run."""
    with without(setting.off):
        if is_smoke:
            yield None
        elif setting.model:
            from constrained.engines.loading import load_engine

            yield load_engine(setting.model)
        else:
            from constrained.engines.small.engine import SmallEngine

            is_letters = any(one.name == VECTORS for one in setting.off)
            yield SmallEngine(encoders=lambda _: LetterEncoder()) if is_letters else SmallEngine()


def _sets(bench: Bench) -> dict[str, list[Case]]:
    found = {pack: desk_cases(pack) for pack in DESK_PACKS}
    challenge = data_folder() / "challenge" / "dev.jsonl"
    if challenge.is_file():
        found = {"challenge": read_cases(challenge), **found}
    else:
        bench.tell(f"{challenge} is not there: the two desks alone are played")
    return {name: cases[:: len(cases) // N_SMOKE] for name, cases in found.items()} if bench.is_smoke else found


def _measure(bench: Bench, setting: str, name: str, cases: Sequence[Case], engine: Any) -> list[Played]:
    played = play_all(cases, Library(None, engine))
    bench.add(f"{name}, {setting}", "accepted", float(np.mean([one.is_accepted for one in played])), "share")
    bench.add(f"{name}, {setting}", "turns with a wrong act", sum(bool(one.wrong_acts) for one in played), "turns")
    bench.add(f"{name}, {setting}", "time of a turn", float(np.median([one.ms for one in played])), "ms")
    return played


def _measure_packs(bench: Bench, setting: str, part: str, engine: Any) -> None:
    taken = [one for pack in PACKS for one in turns(pack, part, engine) if one.n_options > 1 and one.picked]
    name = {"golden": "golden dialogues", "test": "held-out messages"}[part]
    bench.add(f"{name}, {setting}", "picked as intended", float(np.mean([one.is_right for one in taken])), "share")


def _compare(bench: Bench, setting: str, played: list[Played], reference: list[Played]) -> None:
    """On all conversations together, message by message."""
    from constrained.quality.metrics import paired_bootstrap

    ours, theirs = (np.asarray([float(one.is_accepted) for one in some]) for some in (played, reference))
    found = paired_bootstrap(ours, theirs, seed=bench.seed)
    case = f"{len(played)} conversations, {setting}"
    bench.add(case, "accepted, more by", found.value, "share", reference=EVERYTHING)
    bench.add(case, "accepted, more by, 95 % from", found.low, "share", reference=EVERYTHING)
    bench.add(case, "accepted, more by, 95 % up to", found.high, "share", reference=EVERYTHING)
