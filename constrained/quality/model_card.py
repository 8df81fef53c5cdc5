"""The model card and risk file for an examiner: what the engine is, what of it was measured and how surely, how its work drifts, limits.

No figure is made up: what was not measured is told as not measured.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from constrained._canonical_json import sha256
from constrained.errors import DataError
from constrained.logic.effects import HANDING_OVER, EffectKind
from constrained.logic.policy import Policy
from constrained.quality.golden import DialogueResult, GoldenResult
from constrained.records.drift import Drift, Population, drifts, population, split_by_week
from constrained.records.record import Record, library

FORMAT = "constrained risk 1"
RESULT_FORMAT = "constrained eval 1"  # of quality.evaluation_report, which needs packages that a card does not
Z = 1.959964  # of a two-sided interval of 95 %
NOT_MEASURED = "not measured"
LIMITS = (
    "Every reply is a text of the catalog; that an allowed text is the right one is what the figures above are about.",
    "A figure speaks for other messages as far as they come as the measured ones did: the same people, desk, catalog, logic and engine.",
    "Intervals are those of chance alone (Wilson, 95 %): they do not tell of messages that nobody thought of.",
    "Golden dialogues are written by the people who write the catalog: an engine does better on them than on strangers' words.",
    "The index of drift tells that turns have changed, not whether replies have become worse.",
)


@dataclass(frozen=True, slots=True)
class Share:
    """``k`` of ``n``, with Wilson's interval of 95 %.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
    """

    what: str
    k: int
    n: int

    @property
    def value(self) -> float | None:
        return self.k / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        if not self.n:
            return None
        share, width = self.k / self.n, Z * Z / self.n
        middle = (share + width / 2) / (1 + width)
        half = math.sqrt(share * (1 - share) * width + width * width / 4) / (1 + width)
        return 0.0 if self.k == 0 else middle - half, 1.0 if self.k == self.n else middle + half

    def __str__(self) -> str:
        if self.interval is None:
            return NOT_MEASURED
        low, high = self.interval
        return f"{self.k / self.n:.1%} ({low:.1%} to {high:.1%}, {self.k} of {self.n})"

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "k": self.k, "n": self.n, "value": self.value, "interval": self.interval}


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: whose, on what, and what came of it.

    Attributes:
        model: of the engine; ``rules`` where none was asked. data: name and checksum. threshold: where it was set for the measurement.
        right: picked as intended. acts: wrong and missed acts; empty where that was not measured.
        misses: of each group and language, what was not picked as intended.
        turns: for drift.
    """

    name: str
    model: str
    data: str
    right: Share
    acts: tuple[Share, ...]
    misses: tuple[Share, ...]
    turns: Population
    threshold: float | None = None

    @property
    def engine(self) -> str:
        """For people."""
        return self.model if self.threshold is None else f"{self.model}, threshold {self.threshold:g}"


@dataclass(frozen=True, slots=True)
class RiskFile:
    """All that the file tells.

    Attributes:
        identities: what chose, each with its number of turns. packs: present catalog, logic and golden dialogues, with checksums.
        log: shares of the log's own turns. thresholds: probabilities under which the fallback was said, with turns.
    """

    library: str
    log: tuple[Share, ...]
    identities: tuple[tuple[Mapping[str, str], int], ...]
    thresholds: tuple[tuple[float, int], ...]
    packs: Mapping[str, str]
    measured: tuple[Measured, ...]
    drift: tuple[Drift, ...]
    limits: tuple[str, ...] = LIMITS
    not_measured: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "library": self.library,
            "log": [one.to_json() for one in self.log],
            "engines": [{"identity": dict(identity), "turns": count} for identity, count in self.identities],
            "thresholds": [{"threshold": value, "turns": count} for value, count in self.thresholds],
            "packs": dict(self.packs),
            "measured": [_measured_json(one) for one in self.measured],
            "drift": [asdict(one) | {"band": one.band} for one in self.drift],
            "limits": list(self.limits),
            "not_measured": list(self.not_measured),
        }

    def share(self, what: str) -> Share:
        """One of the log's own shares."""
        return next(one for one in self.log if one.what == what)


def _measured_json(one: Measured) -> dict[str, Any]:
    shares = {"right": one.right.to_json(), "acts": [act.to_json() for act in one.acts], "misses": [miss.to_json() for miss in one.misses]}
    return {"name": one.name, "engine": one.engine, "data": one.data, **shares}


FALLBACK, HANDED_OVER, LOW = "the fallback was said", "a person took over", "the best option had a probability of 0.5 or less"
LOW_PROBABILITY = 0.5


def risk_file(
    records: Sequence[Record], policy: Policy | None, measured: Sequence[Measured], *, weeks: int = 4, golden: Path | None = None
) -> RiskFile:
    """The card of a log.

    Args:
        records: its turns, sealed or not. policy: the present pack, where it is here. measured: what was measured of the engine.
        weeks: the newest ones, that are held against the measurements and against what came before. golden: the file of dialogues.
    """
    earlier, recent = split_by_week(records, weeks)
    found = tuple(_drift(earlier, recent, measured))
    return RiskFile(
        library=library(),
        log=tuple(_log_shares(records, policy)),
        identities=tuple(_identities(records)),
        thresholds=tuple(sorted(Counter(one.decision.threshold for one in records).items())),
        packs=_packs(policy, golden),
        measured=tuple(measured),
        drift=found,
        not_measured=tuple(_not_measured(records, measured, found, policy)),
    )


def _log_shares(records: Sequence[Record], policy: Policy | None) -> Iterator[Share]:
    n, fallback = len(records), policy.catalog.fallback if policy else None
    yield Share(FALLBACK, sum(one.decision.abstained or one.decision.chosen == fallback for one in records), n)
    readable = [one for one in records if one.sealed is None or "effects" not in one.sealed.fields]  # a sealed turn does not tell
    names = _handing_over(policy)
    yield Share(HANDED_OVER, sum(any(effect.partition("(")[0] in names for effect in one.effects) for one in readable), len(readable))
    asked = [one for one in records if any(option.probability is not None for option in one.options)]
    yield Share(LOW, sum(max(option.probability or 0.0 for option in one.options) <= LOW_PROBABILITY for one in asked), len(asked))
    yield Share("a model was asked", len(asked), n)


def _handing_over(policy: Policy | None) -> set[str]:
    """Names of the effects that hand a conversation over; without the logic, the name that does so by itself."""
    kinds = [one for one in policy.script.module_globals.values() if isinstance(one, EffectKind)] if policy else []
    return {HANDING_OVER} - {one.name for one in kinds} | {one.name for one in kinds if one.handover}


def _identities(records: Iterable[Record]) -> Iterator[tuple[Mapping[str, str], int]]:
    counts = Counter(tuple(sorted(one.versions.items())) for one in records)
    for identity, count in counts.most_common():
        yield dict(identity), count


def _packs(policy: Policy | None, golden: Path | None) -> dict[str, str]:
    if policy is None:
        return {}
    found = {"catalog": f"{policy.catalog.name} {policy.catalog.version} {policy.catalog.hash}", "logic": policy.hash}
    return found | ({"golden dialogues": sha256(golden.read_bytes())} if golden is not None else {})


def _drift(earlier: Sequence[Record], recent: Sequence[Sequence[Record]], measured: Sequence[Measured]) -> Iterator[Drift]:
    now = population(f"the last {len(recent)} weeks", [one for week in recent for one in week])
    before = population("the log before them", earlier)
    for then in (*(one.turns for one in measured), before):
        yield from drifts(then, now)
    for number, week in enumerate(recent, 1):
        yield from drifts(before, population(f"week {number} of {len(recent)}", week))


def _not_measured(records: Sequence[Record], measured: Sequence[Measured], found: Sequence[Drift], policy: Policy | None) -> Iterator[str]:
    if not measured:
        yield "accuracy, wrong acts and misses (give --golden ENGINE or --results FILE)"
    elif not any(one.acts for one in measured):
        yield "wrong acts and missed acts (give --golden ENGINE)"
    if measured:
        chose = Counter(_name_of(one.versions) for one in records)
        for name, count in sorted(chose.items()):
            if name not in {one.model for one in measured}:
                yield f"the engine {name}, by which {count} turns were taken: what was measured is another one"
    if all(one.psi is None for one in found):
        yield "drift (too few turns on either side)"
    if policy is None:
        yield "the present catalog and logic: the pack is not here"


def _name_of(identity: Mapping[str, str]) -> str:
    """The model of an engine; ``rules`` where none was asked."""
    return identity.get("model") or "rules"


# -- measurements -------------------------------------------------------------------------------------------------


def measured_on_golden(results: Sequence[DialogueResult], policy: Policy, engine: Mapping[str, str], path: Path) -> Measured:
    """What an engine picked in golden dialogues; turns with one option are left out, since there is nothing to pick."""
    picks = [(result.dialogue.locale or policy.catalog.locale, one) for result in results for one in result.picks]
    fallback = policy.catalog.fallback
    judged = [(group, one.is_right) for locale, one in picks for group in (f"language {locale}", f"due: {_due(one, fallback)}")]
    name = f"golden dialogues of {policy.catalog.name}"
    turns = [one.picked for _, one in picks if one.picked is not None]
    probabilities = tuple(max(turn.decision.probabilities) for turn in turns if turn.decision.probabilities)
    return Measured(
        name,
        _name_of(engine),
        f"{path.name} {sha256(path.read_bytes())}",
        Share("picked as intended", sum(one.is_right for _, one in picks), len(picks)),
        tuple(_act_shares([one for _, one in picks])),
        _misses(judged),
        Population(name, probabilities, tuple(turn.response_id for turn in turns)),
    )


def _misses(judged: Iterable[tuple[str, bool]]) -> tuple[Share, ...]:
    """Of pairs of a group and whether the pick was right: the wrong ones of each group."""
    wrong: dict[str, list[bool]] = {}
    for group, is_right in judged:
        wrong.setdefault(group, []).append(not is_right)
    return tuple(Share(group, sum(missed), len(missed)) for group, missed in sorted(wrong.items()))


def _due(one: GoldenResult, fallback: str) -> str:
    if one.golden.expects == fallback:
        return "the fallback"
    return "an act" if one.reply is not None and one.reply.effects else "words"


def _act_shares(picks: Sequence[GoldenResult]) -> Iterator[Share]:
    """Wrong: something is done that is not what was intended. Missed: nothing is done where something was."""
    pairs = [
        (tuple(map(str, one.picked.effects)), tuple(map(str, one.reply.effects)))
        for one in picks
        if one.picked is not None and one.reply is not None
    ]
    yield Share("a wrong act", sum(bool(done) and done != due for done, due in pairs), len(pairs))
    yield Share("an act missed", sum(not done for done, due in pairs if due), sum(bool(due) for _, due in pairs))


def measured_in_file(path: Path, policy: Policy | None) -> Measured:
    """What ``constrained eval --json`` wrote. Raises DataError, also for a result of another pack."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["format"] != RESULT_FORMAT:
            raise ValueError("another format")
        setting, rows = result["setting"], result["rows"]
        judged = [(row, row["said"] in row["expects"]) for row in rows]
        name = f"{setting['file']} by constrained eval"
        turns = Population(name, tuple(float(row["confidence"]) for row in rows), tuple(row["said"] for row in rows))
        model, threshold = _name_of(setting["engine"]), float(setting["threshold"])
        pack, data = setting["pack"], f"{setting['file']} {setting['data']}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no result of constrained eval: {error}", hint="write it with: constrained eval NAME --json FILE"
        ) from error
    if policy is not None and pack != policy.catalog.name:
        raise DataError(f"{path} is a result of {pack}, not of {policy.catalog.name}", hint="give a result of the log's pack")
    groups = (("language", "locale"), ("group", "group"))
    misses = _misses((f"{what} {row[key]}", is_right) for row, is_right in judged for what, key in groups if row.get(key))
    right = Share("said as expected", sum(is_right for _, is_right in judged), len(judged))
    return Measured(name, model, data, right, (), misses, turns, threshold)


# -- as a page ----------------------------------------------------------------------------------------------------


def card_sections(card: RiskFile) -> dict[str, Any]:
    """What the report page shows of it: rows of tables."""
    return {
        "library": card.library,
        "packs": list(card.packs.items()),
        "engines": [(count, " ".join(f"{name}={value}" for name, value in identity.items())) for identity, count in card.identities],
        "thresholds": [(f"{value:g}", count) for value, count in card.thresholds],
        "log": [(one.what, str(one)) for one in card.log],
        "measured": [(one.name, one.engine, share.what, str(share)) for one in card.measured for share in (one.right, *one.acts)],
        "misses": [(one.name, share.what, str(share)) for one in card.measured for share in one.misses],
        "drift": [
            (one.what, one.then, one.now, one.n_then, one.n_now, _index(one.psi), _index(one.by_chance), one.band) for one in card.drift
        ],
        "limits": list(card.limits),
        "not_measured": list(card.not_measured),
    }


def _index(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f}"
