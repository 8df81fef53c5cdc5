"""Golden dialogues: what is said, what should be heard and answered, turn by turn. Knows no model.

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

from pydantic import BaseModel, ConfigDict, ValidationError

from constrained.catalog.document import read_document
from constrained.catalog.problems import Report, named
from constrained.choice import Blank, Choice, Deadline, Distribution, Engine, Scene
from constrained.dialogue import Dialogue
from constrained.errors import ConstrainedError, GoldenError
from constrained.logic.options import with_it
from constrained.logic.policy import Policy
from constrained.logic.understanding import Understanding
from constrained.testing import ScriptedEngine
from constrained.turn import Turn


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
class GoldenResult:
    """What came of one golden turn.

    Attributes:
        problems: what is not as intended, a sentence each; empty when all is.
        reply: the turn as intended; None when it could not be taken.
        picked: the turn as the engine under test takes it; None without one.
    """

    golden: GoldenTurn
    problems: tuple[str, ...]
    reply: Turn | None = None
    picked: Turn | None = None
    misheard: tuple[str, ...] = ()

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
    return file


def run_golden(policy: Policy, dialogue: GoldenDialogue, engine: Engine | None = None) -> Iterator[GoldenResult]:
    """Takes the turns of a golden dialogue, one after the other; ends after a turn that could not be taken.

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
            picked = lead.fork(engine).reply(golden.says, state) if engine else None
            reply = lead.reply(golden.says, state)
            after = _failed(reply, state) if golden.fails else reply.apply(state)
            problems = (*_problems(golden, expected, reply), *_state_problems(golden, after))
        except ConstrainedError as error:
            yield GoldenResult(golden, (str(error),))
            return
        state = after
        yield GoldenResult(golden, problems, reply, picked, _misheard(expected, picked) if picked else ())


def _failed(reply: Turn, state: Any) -> Any:
    """The state after a turn whose effects could not be carried out: as before, and the conversation knows it."""
    reply.failed("not carried out")
    return state


class _Intended:
    """Answers as a golden turn intends; with the first option where its response is none: the comparison tells."""

    identity: Mapping[str, str] = MappingProxyType({"model": "golden"})

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}

    def read(self, blanks: Sequence[Blank], scene: Scene, deadline: Deadline | None = None) -> list[str | None]:
        return ScriptedEngine({scene.message: self.answers}).read(blanks, scene, deadline)

    def choose(self, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None = None) -> list[Distribution]:
        answers = self.answers
        for choice in choices:
            keys = [candidate.key for candidate in choice.candidates]
            if choice.kind == "option" and answers["reply"] not in [key.split(":", 1)[-1] for key in keys]:
                answers = answers | {"reply": keys[0]}
        return ScriptedEngine({scene.message: answers}).choose(choices, scene, deadline)


def _answers(expected: Understanding | None) -> dict[str, Any]:
    return {name: getattr(expected, name) for name in type(expected).model_fields} if expected is not None else {}


def _problems(golden: GoldenTurn, expected: Understanding | None, reply: Turn) -> Iterator[str]:
    options = [option.id for option in reply.decision.options]
    if reply.response_id != golden.expects:
        reasons = "; ".join(one.reason for one in reply.trace.allowed.blocked if one.response_id == golden.expects)
        yield f"{golden.expects!r} is not allowed; allowed are {', '.join(options)}" + (f" ({reasons})" if reasons else "")
    for name in _misheard(expected, reply):
        yield f"heard {name}={getattr(reply.heard, name)!r}, not {getattr(expected, name)!r}"
    obliged = tuple(one.id for one in with_it(reply.decision.chosen, reply.trace.allowed.obligations))
    if golden.obliged is not None and obliged != golden.obliged:
        yield f"obliged to say {obliged}, not {golden.obliged}"
    for response_id in golden.blocked:
        if response_id in options:
            yield f"{response_id!r} is an option, though it should be blocked"
    effects = tuple(map(str, reply.effects))
    if golden.effects is not None and effects != golden.effects:
        yield f"the effects are {effects}, not {golden.effects}"


def _state_problems(golden: GoldenTurn, after: Any) -> Iterator[str]:
    wanted = type(after).from_json({**after.model_dump(mode="json"), **golden.then})
    for name in golden.then:
        if getattr(wanted, name) != getattr(after, name):
            yield f"then {name}={getattr(after, name)!r}, not {getattr(wanted, name)!r}"


def _misheard(expected: Understanding | None, turn: Turn) -> tuple[str, ...]:
    """Fields of Heard that the turn holds otherwise than expected."""
    if expected is None:
        return ()
    return tuple(name for name in type(expected).model_fields if getattr(turn.heard, name) != getattr(expected, name))


def _now(state: Any) -> datetime:
    today = getattr(state, "today", None)
    return datetime.combine(today, time(12), UTC) if isinstance(today, date) else datetime.now(UTC)
