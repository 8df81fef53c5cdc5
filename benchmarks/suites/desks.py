"""Suite ``desks``: conversations on subjects that no shipped pack has, with packs and messages untouched by scores; players who lie.

Parts are engines: ``rules`` (none), ``small``, ``smollm2-135m``. Shares have exact 95 % intervals (Clopper and Pearson, Biometrika 1934),
differences of two engines on the same messages paired ones (bootstrap by message).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.challenge_library import DESK_PACKS, Library
from benchmarks.conversations import LIE_PACKS, Played, by, desk_cases, lie_cases, play_all
from benchmarks.harness import Bench
from benchmarks.measure import Spread

ENGINES = ("small", "smollm2-135m", "rules")
AIMS = {"accepted": 0.88, "wrong acts": 1}
LIE_AIMS = {"wrong acts": 0}
N_SMOKE = 6


def run(bench: Bench) -> None:
    engines = ("rules",) if bench.is_smoke else bench.options.parts or ENGINES
    for pack in DESK_PACKS:
        cases = desk_cases(pack)[:: 100 // N_SMOKE] if bench.is_smoke else desk_cases(pack)
        first: list[Played] | None = None
        for engine in engines:
            played = play_all(cases, Library(None if engine == "rules" else engine))
            tell(bench, f"{pack}, {engine}", played, AIMS if engine == "small" else None)
            if first is not None:
                tell_difference(bench, f"{pack}, {engine}", played, first, f"{pack}, {engines[0]}")
            first = first or played
    for pack in LIE_PACKS:
        for part in ("dev", "test"):
            cases = lie_cases(pack, part)[:: 100 // N_SMOKE] if bench.is_smoke else lie_cases(pack, part)
            for engine in engines:
                played = play_all(cases, Library(None if engine == "rules" else engine))
                tell(bench, f"lies to {pack}, {part}, {engine}", played, LIE_AIMS if engine == "small" else None)


def tell(bench: Bench, case: str, played: list[Played], aims: Mapping[str, float] | None = None) -> None:
    """Rows of one engine on one set: accepted, by kind and by language, wrong acts, times."""
    from constrained.quality.calibration import clopper_pearson

    right = sum(one.is_accepted for one in played)
    interval = clopper_pearson(right, len(played))
    aims = aims or {}
    bench.add(case, "messages", len(played), "messages")
    bench.add(case, "accepted", right / len(played), "share", at_least=aims.get("accepted"))
    bench.add(case, "accepted, 95 % from", interval.low, "share")
    bench.add(case, "accepted, 95 % up to", interval.high, "share")
    bench.add(case, "turns with a wrong act", sum(bool(one.wrong_acts) for one in played), "turns", at_most=aims.get("wrong acts"))
    bench.add(case, "setup forced on", sum(one.has_strayed for one in played), "messages")
    for kind, some in by(played, lambda one: one.kind).items():
        bench.add(case, f"accepted, {kind}", sum(one.is_accepted for one in some) / len(some), "share")
    languages = by(played, lambda one: one.locale)
    for language, some in languages.items() if len(languages) > 1 else ():
        bench.add(case, f"accepted, in {language}", sum(one.is_accepted for one in some) / len(some), "share")
    times = [one.ms for one in played]
    bench.add(case, "time of a turn", Spread(*(float(one) for one in np.quantile(times, [0.5, 0.25, 0.75]))), "ms")
    bench.add(case, "time of a turn, 95 % within", float(np.quantile(times, 0.95)), "ms")


def tell_difference(bench: Bench, case: str, played: list[Played], other: list[Played], reference: str) -> None:
    """By how much more (less, where negative) was accepted than by ``other`` on the same messages."""
    from constrained.quality.metrics import paired_bootstrap

    ours, theirs = (np.asarray([float(one.is_accepted) for one in some]) for some in (played, other))
    found = paired_bootstrap(ours, theirs, seed=bench.seed)
    bench.add(case, "accepted, more by", found.value, "share", reference=reference)
    bench.add(case, "accepted, more by, 95 % from", found.low, "share", reference=reference)
    bench.add(case, "accepted, more by, 95 % up to", found.high, "share", reference=reference)
