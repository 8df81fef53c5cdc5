"""Suite ``choice``: does the model pick what a person would? Golden dialogues and single messages of the three packs.

Parts: ``golden`` (dialogues beside the catalogs), ``test`` (messages by a writer who saw no examples), both written
before any score was seen; ``dev`` (messages for choosing settings), ``rules`` (every rule, compared on dev alone).
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Bench
from benchmarks.measure import ROOT
from constrained.engines.protocol import Choice, Deadline, Distribution, Engine, PromptContext
from constrained.logic.policy import Policy
from constrained.packs import load_policy
from constrained.quality.golden import GoldenDialogue, GoldenResult, GoldenTurn, load_golden, run_golden
from constrained.testing import RandomEngine, ScriptedEngine

PACKS = ("tavern", "bank_disputes", "clinic_booking")
TARGETS = {"golden": 0.8, "test": 0.7}
N_SMOKE = 6  # dialogues of each part
RULES_STEP = 4  # rules are compared on every fourth dev message: a direct score of long texts takes a second


@dataclass(frozen=True, slots=True)
class Taken:
    """One turn: what was intended, and the turn that an engine took."""

    policy: Policy
    dialogue: GoldenDialogue
    result: GoldenResult


class HeardAsIntended:
    """An engine that hears what should be heard, and leaves the reply to another one."""

    def __init__(self, policy: Policy, dialogue: GoldenDialogue, inner: Engine) -> None:
        self._inner, self._script = inner, ScriptedEngine({turn.says: _fields(policy, turn) for turn in dialogue.turns})

    @property
    def identity(self) -> Mapping[str, str]:
        return self._inner.identity

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        engine = self._inner if all(choice.kind == "option" for choice in choices) else self._script
        return engine.choose(choices, scene, deadline)


def run(bench: Bench) -> None:
    """Every pack and part with the default rule beside the sentence encoder; then the rules, on dev alone. ``fitted`` where it is named."""
    engine: Engine = RandomEngine(bench.seed) if bench.is_smoke else _engine()
    encoder = None if bench.is_smoke else _encoder(bench)
    parts = bench.options.parts or ("golden", "test", "dev", "rules")
    for pack in PACKS:
        for part in (one for one in parts if one not in ("rules", "fitted")):
            _measure(bench, pack, part, engine, encoder)
        if "fitted" in parts and not bench.is_smoke:
            _fitted(bench, pack, engine)
    if "rules" in parts and not bench.is_smoke:
        _compare_rules(bench, engine)


def _fitted(bench: Bench, pack: str, engine: Any) -> None:
    """The default rule and the same mixed with a sentence encoder by ``fit``, on messages that neither was made with."""
    from constrained.quality.fit import fit
    from constrained.quality.mixing import FitSettings

    with tempfile.TemporaryDirectory() as folder:
        default = _share(_given(bench, pack, "test", engine))
        other: Any = _engine()
        report = fit(load_policy(pack), other, Path(folder), FitSettings(seed=bench.seed), encoder="minilm")
        bench.add(f"{pack} test", "time of fitting", report.seconds, "s")
        bench.add(f"{pack} test", "picked as intended, heard given, default rule", default, "share")
        bench.add(f"{pack} test", "picked as intended, heard given, fitted", _share(_given(bench, pack, "test", other)), "share")


def _measure(bench: Bench, pack: str, part: str, engine: Engine, encoder: Engine | None) -> None:
    case = f"{pack} {part}"
    taken = [one for one in turns(bench, pack, part, engine) if one.result.n_options > 1 and one.result.picked]
    target = TARGETS.get(part) if not bench.is_smoke else None
    bench.add(case, "turns with several options", len(taken), "turns")
    bench.add(case, "options a turn", statistics.mean(one.result.n_options for one in taken), "options")
    bench.add(case, "picked as intended, end to end", _share(one.result.is_right for one in taken), "share", at_least=target)
    for kind, heard in _heard(taken).items():
        if heard:
            bench.add(case, f"heard as intended, {kind}", _share(heard), "share", at_least=target if kind == "yes/no and choice" else None)
    given = _share(_given(bench, pack, part, engine))
    bench.add(case, "picked as intended, heard given", given, "share")
    if encoder is not None:
        bench.add(case, "picked by the sentence encoder, heard given", _share(_given(bench, pack, part, encoder)), "share")
    bench.add(case, "time of a turn", 1000 * statistics.median(_seconds(one) for one in taken), "ms")


def _compare_rules(bench: Bench, engine: Any) -> None:
    """Every rule over the same dev messages, heard given; the default rule's figure stands in the same table."""
    from constrained.engines.decoding.direct_rule import Direct
    from constrained.engines.decoding.prompts import PromptPlan

    bare, listing = PromptPlan(has_rules=False, has_listing=False), PromptPlan(has_rules=False)
    rules = [engine.rule]
    rules += [Direct(surface, plan=bare) for surface in ("text", "key", "when")]
    rules += [Direct("text", False, plan=bare), Direct("text", True, True, plan=bare), Direct("key", plan=listing)]
    default, probability_map = engine.rule, engine.probability_map
    for rule in rules:
        engine.rule, engine.probability_map = rule, rule.probability_map
        right = [one for pack in PACKS for one in _given(bench, pack, "dev", engine, RULES_STEP)]
        bench.add(f"all packs, {len(right)} dev turns", f"picked as intended, heard given, {rule.name}", _share(right), "share")
    engine.rule, engine.probability_map = default, probability_map


def turns(bench: Bench, pack: str, part: str, engine: Engine) -> Iterator[Taken]:
    policy = load_policy(pack)
    for dialogue in _dialogues(pack, part)[: N_SMOKE if bench.is_smoke else None]:
        for result in run_golden(policy, dialogue, engine):
            if part == "golden" or result.golden is dialogue.turns[-1]:
                yield Taken(policy, dialogue, result)


def _given(bench: Bench, pack: str, part: str, engine: Engine, step: int = 1) -> Iterator[bool]:
    """Of each turn with several options: whether ``engine`` picks what is intended when all is heard as intended."""
    policy = load_policy(pack)
    for dialogue in _dialogues(pack, part)[: N_SMOKE if bench.is_smoke else None : step]:
        for result in run_golden(policy, dialogue, HeardAsIntended(policy, dialogue, engine)):
            is_asked = part == "golden" or result.golden is dialogue.turns[-1]
            if is_asked and result.n_options > 1 and result.picked:
                yield result.is_right


def _dialogues(pack: str, part: str) -> list[GoldenDialogue]:
    if part == "golden":
        return list(load_golden(ROOT / "dialogues" / f"{pack}.yaml").dialogues)
    path = ROOT / "benchmarks" / "sets" / "sense" / f"{pack}.{part}.yaml"
    return [_single(message) for message in yaml.safe_load(path.read_text(encoding="utf-8"))["messages"]]


def _single(message: Mapping[str, Any]) -> GoldenDialogue:
    """One message; where it answers a question of a procedure, that question comes ``before`` it, and only the message counts."""
    turn = GoldenTurn(says=message["says"], heard=message.get("heard", {}), expects=message["expects"])
    given = message.get("before")
    before = [] if given is None else [GoldenTurn(**({"says": "", "expects": given} if isinstance(given, str) else given))]
    return GoldenDialogue(name=message["says"], locale=message.get("locale"), state=message.get("state", {}), turns=(*before, turn))


def _heard(taken: Iterable[Taken]) -> dict[str, list[bool]]:
    """Kind of question -> whether each that was asked was heard as intended."""
    closed, unusual, open_ended = "yes/no and choice", "yes/no and choice, where it is not the default", "entity, amount and date"
    found: dict[str, list[bool]] = {closed: [], unusual: [], open_ended: []}
    for one in taken:
        picked, expected = one.result.picked, _fields(one.policy, one.result.golden)
        for hearing in picked.trace.heard if picked else ():
            question = one.policy.heard_type.__questions__[hearing.name] if one.policy.heard_type else None
            is_right = hearing.value == expected[hearing.name]
            if type(question).__name__ not in ("YesNo", "OneOf"):
                found[open_ended].append(is_right)
                continue
            found[closed].append(is_right)
            if expected[hearing.name] not in (False, None):
                found[unusual].append(is_right)
    return found


def _fields(policy: Policy, turn: GoldenTurn) -> dict[str, Any]:
    heard = policy.heard_type.from_json(turn.heard) if policy.heard_type else None
    return {name: getattr(heard, name) for name in type(heard).model_fields} if heard is not None else {}


def _seconds(one: Taken) -> float:
    timings = one.result.picked.trace.timings_ms if one.result.picked else {}
    return sum(timings.values()) / 1000


def _share(values: Iterable[bool]) -> float:
    return statistics.mean([float(value) for value in values] or [0.0])


def _engine() -> Engine:
    from constrained.engines.model_files import DEFAULT_MODEL, get_model
    from constrained.engines.transformers import TransformersEngine

    return TransformersEngine(get_model(DEFAULT_MODEL))


def _encoder(bench: Bench) -> Engine | None:
    from benchmarks.peers.minilm import MiniLM, folder

    found: Path | None = folder()
    if found is None:
        bench.tell("the sentence encoder is not installed (pip install '.[bench]'): no comparison with it")
        return None
    return MiniLM(found)
