"""Golden dialogues: what is said, what should be heard and answered, turn by turn.

A writer or a compliance officer keeps them in ``dialogues/NAME.yaml``. Run without an engine, each turn is heard
and answered as intended, and everything that Python decides is compared: options, obligations, effects, state.
Run with an engine, the engine's own pick is told too; the conversation goes on along the intended path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from constrained.catalog.document import Report, named, read_document
from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Choice, Deadline, Distribution, Engine, ExtractionField, PromptContext
from constrained.errors import ConstrainedError, GoldenError
from constrained.logic.options import with_it
from constrained.logic.policy import Policy
from constrained.testing import ScriptedEngine
from constrained.understanding.hearing import Understanding


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

    @property
    def line(self) -> int:
        """Where it begins in its file; 0 for one that came from no file."""
        return self._line


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
    """What came of one golden turn.

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

    With ``engine``, or ``by_rules`` without one, what that would have picked is told too.

    A state with a field ``today`` sets the clock. Drafts may be said: writers try texts before anybody approves them.
    Raises StateError when the dialogue's state is none.
    """
    engine_as_intended = _Intended()
    state = policy.state_type.default() if dialogue.state is None else policy.state_type.from_json(dialogue.state)
    lead = Dialogue(policy, engine=engine_as_intended, locale=dialogue.locale, drafts=True, now=lambda: _now(state))
    for golden in dialogue.turns:
        try:
            expected = policy.heard_type.from_json(golden.heard) if policy.heard_type else None
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


class _Intended:
    """Answers as a golden turn intends; with the first option where its response is none: the comparison tells."""

    identity: Mapping[str, str] = MappingProxyType({"model": "golden"})

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
    wanted = type(after).from_json({**after.model_dump(mode="json"), **golden.then})
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
