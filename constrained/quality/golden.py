"""Golden dialogues: what is said, what should be heard and answered, turn by turn; how they are read and run.

A writer or a compliance officer keeps them in ``dialogues/NAME.yaml``. Run without an engine, each turn is heard
and answered as intended, and everything that Python decides is compared: options, obligations, effects, state.
Run with an engine, its own pick is in the result too; the conversation goes on along the intended path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from constrained._values import with_members
from constrained.catalog.document import Report, named, read_document
from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Choice, Deadline, Distribution, Engine, ExtractionField, PromptContext
from constrained.errors import ConstrainedError, GoldenError
from constrained.logic.options import with_it
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack, folders
from constrained.packs import load_policy_file
from constrained.quality.coverage import Coverage
from constrained.testing import ScriptedEngine
from constrained.understanding.hearing import Understanding

_CALL = re.compile(r"\w+\(.*\)", re.DOTALL)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$)""", re.DOTALL)


class _Golden(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GoldenTurn(_Golden):
    """One message and what should come of it.

    Attributes:
        heard: fields of Heard that differ from their defaults. expects: the intended response id.
        obliged: obligations said too, in order. blocked: ids that must not be options. effects: as ``str(effect)``.
        then: fields of the state afterwards. What is left out (None) is not compared.
        fails: the host cannot carry out the effects, and tells so.
    """

    says: str
    heard: dict[str, Any] = {}
    expects: str
    obliged: tuple[str, ...] | None = None
    blocked: tuple[str, ...] = ()
    effects: tuple[str, ...] | None = None
    then: dict[str, Any] = {}
    fails: bool = False
    _line: int = PrivateAttr(0)

    @field_validator("effects", mode="before")
    @classmethod
    def _joined(cls, effects: Any) -> Any:
        """In a YAML list [pay(AXE, 2)] is two texts; what belongs to one call is joined again."""
        if not isinstance(effects, list):
            return effects
        whole: list[Any] = []
        for piece in effects:
            if whole and isinstance(whole[-1], str) and not _is_closed(whole[-1]):
                whole[-1] += f", {piece}"
            else:
                whole.append(piece)
        return tuple(whole)

    @field_validator("effects")
    @classmethod
    def _are_calls(cls, effects: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in effects or ():
            if not _CALL.fullmatch(one) or not _is_closed(one):
                message = "{given} is no effect: write NAME(ARGUMENTS), every parenthesis closed, in quotes where YAML reads it otherwise"
                raise PydanticCustomError("effect", message, {"given": repr(one)})
        return effects

    @property
    def line(self) -> int:
        """Where it begins in its file; 0 for one that came from no file."""
        return self._line


def _is_closed(call: str) -> bool:
    """Whether every parenthesis outside quotes is closed."""
    bare = _QUOTED.sub("", call)
    return bare.count("(") <= bare.count(")")


class GoldenDialogue(_Golden):
    """A conversation from one state on; effects carry the state from turn to turn."""

    name: str
    locale: str | None = None
    state: dict[str, Any] | None = None
    turns: tuple[GoldenTurn, ...]


class GoldenFile(_Golden):
    """The golden dialogues of one pack."""

    pack: str
    dialogues: tuple[GoldenDialogue, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as intended.

    Attributes:
        text: a sentence. what: which part of the golden turn; empty where the turn could not be taken.
        wanted, got: as the file has it, and as it is.
    """

    text: str
    what: str = ""
    wanted: Any = None
    got: Any = None


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """One golden turn as it was run.

    Attributes:
        differences: what is not as intended; empty when all is.
        reply: the turn as intended; None when it could not be taken.
        picked: the turn as the engine under test takes it; None without one.
    """

    golden: GoldenTurn
    differences: tuple[Difference, ...]
    reply: Turn | None = None
    picked: Turn | None = None
    misheard: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The differences as sentences."""
        return tuple(one.text for one in self.differences)

    @property
    def n_options(self) -> int:
        """Among how many options the intended response is picked."""
        return len(self.reply.decision.options) if self.reply else 0

    @property
    def is_right(self) -> bool:
        """Whether the engine under test picked the intended response."""
        return self.picked is not None and self.picked.response_id == self.golden.expects


def load_golden(path: str | Path) -> GoldenFile:
    """Reads a file of golden dialogues. Raises GoldenError with every problem, each with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GoldenError(f"{path} cannot be read: {error}", hint="give the path of a YAML file in UTF-8") from error
    report = Report(str(path))
    data = read_document(text, report)
    try:
        file = GoldenFile.model_validate(data)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            report.add(
                one["loc"], f"{named(one['loc']) if one['loc'] else 'the file'}: {one['msg']}", at_key=one["type"] == "extra_forbidden"
            )
        file = None
    if file is None or report.problems:
        raise GoldenError(f"{path} holds no golden dialogues that could be run", report.problems)
    for number, dialogue in enumerate(file.dialogues):
        for place, turn in enumerate(dialogue.turns):
            turn._line = report.place(("dialogues", number, "turns", place)).line
    return file


def run_golden(policy: Policy, dialogue: GoldenDialogue, engine: Engine | None = None, *, by_rules: bool = False) -> Iterator[GoldenResult]:
    """Takes the turns of a golden dialogue, one after the other; ends after a turn that could not be taken.

    With ``engine``, or ``by_rules`` without one, the result holds what that would have picked.

    A state with a field ``today`` sets the clock. Drafts may be said: writers try texts before anybody approves them.
    Raises StateError when the dialogue's state is none.
    """
    engine_as_intended = _IntendedEngine()
    state = (
        policy.state_type.default()
        if dialogue.state is None
        else policy.state_type.from_json(with_members(policy.state_type, dialogue.state))
    )
    lead = Dialogue(
        policy,
        engine=engine_as_intended,
        locale=dialogue.locale,
        conversation=dialogue.name,  # so that the same variants are said each time
        drafts=True,
        now=lambda: _now(state),
    )
    for golden in dialogue.turns:
        try:
            heard_type = policy.heard_type
            expected = heard_type.from_json(with_members(heard_type, golden.heard)) if heard_type else None
            engine_as_intended.answers = _answers(expected) | {"reply": golden.expects}
            picked = lead.fork(engine).reply(golden.says, state) if engine or by_rules else None
            reply = lead.reply(golden.says, state)
            after = _failed(reply, state) if golden.fails else reply.apply(state)
            differences = (*_differences(golden, expected, reply), *_state_differences(golden, after))
        except ConstrainedError as error:
            yield GoldenResult(golden, (Difference(str(error)),))
            return
        state = after
        yield GoldenResult(golden, differences, reply, picked, _misheard(expected, picked) if picked else ())


def _failed(reply: Turn, state: Any) -> Any:
    """The state after a turn whose effects could not be carried out: as before, and the conversation knows it."""
    reply.failed("not carried out")
    return state


class _IntendedEngine:
    """An engine that answers as a golden turn intends, and with the first option where the intended response is none."""

    identity: Mapping[str, str] = MappingProxyType({"model": "golden"})
    is_scripted = True
    is_told = True  # a golden dialogue says what each message means

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> list[str | None]:
        return ScriptedEngine({scene.message: self.answers}).read(blanks, scene, deadline)

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        answers = self.answers
        for choice in choices:
            keys = [candidate.key for candidate in choice.candidates]
            if choice.kind == "option" and answers["reply"] not in [key.split(":", 1)[-1] for key in keys]:
                answers = answers | {"reply": keys[0]}
        return ScriptedEngine({scene.message: answers}).choose(choices, scene, deadline)


def _answers(expected: Understanding | None) -> dict[str, Any]:
    return {name: getattr(expected, name) for name in type(expected).model_fields} if expected is not None else {}


def _differences(golden: GoldenTurn, expected: Understanding | None, reply: Turn) -> Iterator[Difference]:
    options = [option.id for option in reply.decision.options]
    if reply.response_id != golden.expects:
        reasons = "; ".join(one.reason for one in reply.trace.allowed.blocked if one.response_id == golden.expects)
        text = f"{golden.expects!r} is not allowed; allowed are {', '.join(options)}" + (f" ({reasons})" if reasons else "")
        yield Difference(text, "expects", golden.expects, reply.response_id)
    for name in _misheard(expected, reply):
        got, wanted = getattr(reply.heard, name), getattr(expected, name)
        yield Difference(f"heard {name}={got!r}, not {wanted!r}", f"heard.{name}", wanted, got)
    obliged = tuple(one.id for one in with_it(reply.decision.chosen, reply.trace.allowed.obligations))
    if golden.obliged is not None and obliged != golden.obliged:
        yield Difference(f"obliged to say {obliged}, not {golden.obliged}", "obliged", golden.obliged, obliged)
    for response_id in golden.blocked:
        if response_id in options:
            yield Difference(f"{response_id!r} is an option, though it should be blocked", "blocked", response_id, options)
    effects = tuple(map(str, reply.effects))
    if golden.effects is not None and effects != golden.effects:
        yield Difference(f"the effects are {effects}, not {golden.effects}", "effects", golden.effects, effects)


def _state_differences(golden: GoldenTurn, after: Any) -> Iterator[Difference]:
    wanted = type(after).from_json({**after.model_dump(mode="json"), **with_members(type(after), golden.then)})
    for name in golden.then:
        one, other = getattr(wanted, name), getattr(after, name)
        if one != other:
            yield Difference(f"then {name}={other!r}, not {one!r}", f"then.{name}", one, other)


def _misheard(expected: Understanding | None, turn: Turn) -> tuple[str, ...]:
    """Fields of Heard that the turn holds otherwise than expected."""
    if expected is None:
        return ()
    return tuple(name for name in type(expected).model_fields if getattr(turn.heard, name) != getattr(expected, name))


def _now(state: Any) -> datetime:
    today = getattr(state, "today", None)
    return datetime.combine(today, time(12), UTC) if isinstance(today, date) else datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class DialogueResult:
    """One golden dialogue as it was run.

    Attributes:
        error: why it could not be begun; empty when it was.
    """

    path: Path
    pack: str
    dialogue: GoldenDialogue
    results: tuple[GoldenResult, ...]
    seconds: float = 0.0
    error: str = ""

    @property
    def line(self) -> int:
        """Where it stands in its file."""
        return self.dialogue.turns[0].line if self.dialogue.turns else 0

    @property
    def is_as_written(self) -> bool:
        return not self.error and len(self.results) == len(self.dialogue.turns) and not any(one.differences for one in self.results)

    @property
    def picks(self) -> tuple[GoldenResult, ...]:
        """Turns in which the engine under test had something to pick."""
        return tuple(one for one in self.results if one.picked is not None and one.n_options > 1)


@dataclass(slots=True)
class GoldenRun:
    """All dialogues as they were run; ``coverage``: pack -> what they cover of it."""

    results: list[DialogueResult] = field(default_factory=list)
    coverage: dict[str, Coverage] = field(default_factory=dict)

    @property
    def failed(self) -> list[DialogueResult]:
        return [one for one in self.results if not one.is_as_written]

    @property
    def agreement(self) -> tuple[int, int]:
        """(picked as intended, turns with something to pick) of the engine under test."""
        picks = [one for result in self.results for one in result.picks]
        return sum(one.is_right for one in picks), len(picks)


def files_of(targets: Sequence[str]) -> list[Path]:
    """The files that are meant: packs by name, files by path; every pack's when nothing is named. Raises PackError or GoldenError."""
    if not targets:
        found = [path for folder in folders() for path in sorted((folder / "dialogues").glob("*.yaml"))]
        return list({path.name: path for path in reversed(found)}.values())[::-1]
    return [_file_of(target) for target in targets]


def policy_of(path: Path, file: GoldenFile) -> Policy:
    """The policy that a file of golden dialogues is about: beside it, or the pack of that name. Raises PackError or PolicyError."""
    local = path.resolve().parent.parent / "logic" / f"{file.pack}.py"
    return load_policy_file(local if local.is_file() else find_pack(file.pack).logic_path)


def run_files(paths: Sequence[Path], engine: Engine | None = None, *, by_rules: bool = False) -> Iterator[tuple[DialogueResult, Coverage]]:
    """Each dialogue of each file, as it was run; with the coverage of its pack so far. Raises GoldenError, PackError, PolicyError."""
    known: dict[str, Coverage] = {}
    for path in paths:
        file = load_golden(path)
        policy = policy_of(path, file)
        coverage = known.setdefault(file.pack, Coverage.of(policy))
        for dialogue in file.dialogues:
            run = run_one(path, file.pack, policy, dialogue, engine, by_rules=by_rules)
            for result in run.results:
                coverage.add(result.reply)
            yield run, coverage


def run_one(
    path: Path, pack: str, policy: Policy, dialogue: GoldenDialogue, engine: Engine | None = None, *, by_rules: bool = False
) -> DialogueResult:
    """One dialogue; an error that stops it is in the result, not raised."""
    began = perf_counter()
    results: list[GoldenResult] = []
    try:
        results += run_golden(policy, dialogue, engine, by_rules=by_rules)
    except ConstrainedError as error:
        return DialogueResult(path, pack, dialogue, tuple(results), perf_counter() - began, str(error))
    return DialogueResult(path, pack, dialogue, tuple(results), perf_counter() - began)


def _file_of(target: str) -> Path:
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        return path
    pack = find_pack(target)
    if pack.dialogues_path is None:
        where = pack.logic_path.parent.parent / "dialogues" / f"{target}.yaml"
        raise GoldenError(f"the pack {target!r} has no golden dialogues", hint=f"write {where}")
    return pack.dialogues_path


def describe_failure(one: DialogueResult) -> list[str]:
    """Lines for people that say what is wrong with a dialogue, turn by turn, as written and as it is; empty when nothing is."""
    lines = [f"the dialogue cannot be begun: {one.error}"] if one.error else []
    for number, result in enumerate(one.results, start=1):
        if result.differences:
            lines.append(f"{one.path}:{result.golden.line}: turn {number}, {result.golden.says!r}")
        for difference in result.differences:
            if difference.what:
                lines += [
                    f"  {difference.what}:",
                    f"  - {_as_text(difference.wanted)}",
                    f"  + {_as_text(difference.got)}",
                    f"    {difference.text}",
                ]
            else:
                lines.append("  " + difference.text.replace("\n", "\n  "))
    left = len(one.dialogue.turns) - len(one.results)
    if left and not one.error:
        lines.append(f"  the {left} turns after it were not taken" if left > 1 else "  the turn after it was not taken")
    return lines


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, tuple | list) else repr(value)
