"""Every error that Constrained raises.

    ConstrainedError
    ├── NotReleasedError    nothing was said: whatever Dialogue.reply raises
    │   ├── MessageError         a message that is not text
    │   ├── SceneError           names that nobody in a scene has, or nobody there to answer
    │   ├── StateError           a state of the wrong type or with a value out of range
    │   ├── LocaleError          a locale in which the catalog may not speak
    │   ├── SlotError            slots that do not fit a response
    │   │   └── SlotValueError        a slot value that may not be said; in a turn the response is blocked with that reason
    │   ├── PolicyError          a policy that does not fit its catalog, or is not a pure function
    │   │   └── ProcedureError        a procedure that cannot go on from where it stood: its code changed, or its version is gone
    │   ├── EngineError          a model that could not be loaded or could not answer
    │   │   ├── ModelNotFoundError    no such model on this machine
    │   │   ├── BusyError             too many decisions are waiting for the model
    │   │   ├── CalibrationError      a calibration made for another catalog, prompt or model
    │   │   ├── AdapterError          an adapter tuned for another catalog or model, or one that is not whole
    │   │   └── TuningError           a tuning run that cannot begin, go on or end
    │   ├── DeadlineError        no time was left, and no rules-only answer was asked for
    │   ├── ApprovalError        what would be said is not approved, or approvals that cannot be trusted
    │   │   └── KeyFileError          a key that cannot be read, or is not one
    │   ├── VerificationError    the reply was not an approved rendering
    │   └── AuditError           the record could not be written or read
    ├── EffectError         an effect whose precondition no longer holds, or that ran before; its turn was said
    ├── OutcomeError        the effects ran, but the log could not tell; the state after them is in the error
    ├── ReplayError         a recorded turn that this catalog and policy do not reproduce
    ├── CatalogError        a catalog file that may not be used (all its problems at once)
    ├── PackError           a pack that is not there, or only in part
    ├── GoldenError         a file of golden dialogues that may not be used (all its problems at once)
    ├── DataError           a file of labelled messages that cannot be measured on (all its problems at once)
    ├── SaveError           a saved game that cannot be read, or is of a newer format
    ├── SampleError         too few labelled messages for what is promised, or labels that fit nothing
    └── PropertyError       a property that cannot be judged, or a file of them that may not be used

Every error carries its data as attributes and a ``hint``: what to do now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file: where (1-based line and column), what, and what to do."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f"\n    hint: {self.hint}" if self.hint else "")


class ConstrainedError(Exception):
    """Base of all errors of this library.

    Attributes:
        message: what happened, in one sentence.
        hint: what to do now; empty when there is nothing to do.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        return self.message + (f"\n    hint: {self.hint}" if self.hint else "")


class NotReleasedError(ConstrainedError):
    """Nothing was said: the parent of every error that ends a turn without a reply.

    Raised by ``Dialogue.reply``, it means also that the conversation goes on as if the message had not come. The log may hold the
    record all the same where the log itself failed after it had written.
    """


class _ProblemsError(ConstrainedError):
    """An error that lists every problem found, not only the first."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str = "") -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__(message, hint=hint)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(problem) for problem in self.problems)])


class CatalogError(_ProblemsError):
    """A catalog that may not be used; ``problems`` holds every reason with file, line and column."""


class PolicyError(_ProblemsError, NotReleasedError):
    """A policy that does not fit its catalog or is not pure; ``problems`` names file and line."""


class ProcedureError(PolicyError):
    """A procedure that cannot go on, or has nothing to say: ``procedure`` and ``version`` tell which."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, procedure: str = "", version: int = 0, hint: str = "") -> None:
        self.procedure, self.version = procedure, version
        super().__init__(message, problems, hint=hint)


class SlotError(NotReleasedError):
    """A slot that is missing, surplus or not declared, or its value: ``response``, ``slot`` and ``value`` tell which."""

    def __init__(self, message: str, *, response: str, slot: str, value: object, hint: str = "") -> None:
        self.response, self.slot, self.value = response, slot, value
        super().__init__(message, hint=hint)


class SlotValueError(SlotError):
    """A slot value that may not be said: of another type, out of range, or with characters that no reply may hold."""


class StateError(NotReleasedError):
    """A state that is not an instance of the policy's State, or a value that State refuses."""


class MessageError(NotReleasedError):
    """A message that is not text at all (any text, however hostile, is an ordinary message)."""


class SceneError(NotReleasedError):
    """A name that nobody in a scene has, or nobody there to answer."""


class LocaleError(NotReleasedError):
    """A locale that lacks texts which may not be said in another one; ``locale`` and ``missing`` (ids) tell which."""

    def __init__(self, message: str, *, locale: str, missing: Sequence[str], hint: str = "") -> None:
        self.locale, self.missing = locale, tuple(missing)
        super().__init__(message, hint=hint)


class EffectError(ConstrainedError):
    """An effect that may not run: ``effect`` is its call as text."""

    def __init__(self, message: str, *, effect: str, hint: str = "") -> None:
        self.effect = effect
        super().__init__(message, hint=hint)


class PackError(ConstrainedError):
    """A pack that was not found; ``name`` is what was asked for, ``searched`` the folders."""

    def __init__(self, message: str, *, name: str, searched: Sequence[Path] = (), hint: str = "") -> None:
        self.name, self.searched = name, tuple(searched)
        super().__init__(message, hint=hint)


class GoldenError(_ProblemsError):
    """A file of golden dialogues that cannot be read; ``problems`` names file, line and column."""


class DataError(_ProblemsError):
    """A file of labelled messages that cannot be measured on; ``problems`` names file and line of each."""


class SaveError(ConstrainedError):
    """A saved game that cannot be loaded; ``format`` is its number, 0 where it has none. Nothing was loaded."""

    def __init__(self, message: str, *, format: int = 0, hint: str = "") -> None:
        self.format = format
        super().__init__(message, hint=hint)


class SampleError(ConstrainedError):
    """A sample that cannot carry a promise: ``needed`` messages, ``given`` ones; both 0 where its labels are wrong."""

    def __init__(self, message: str, *, needed: int = 0, given: int = 0, hint: str = "") -> None:
        self.needed, self.given = needed, given
        super().__init__(message, hint=hint)


class PropertyError(_ProblemsError):
    """A property of conversations that cannot be judged; ``problems`` names file and line, where there is one."""


class EngineError(NotReleasedError):
    """A model that could not be loaded, or could not answer."""


class ModelNotFoundError(EngineError):
    """No such model here; ``model`` is what was asked for, the hint names the command that gets it."""

    def __init__(self, message: str, *, model: str, hint: str = "") -> None:
        self.model = model
        super().__init__(message, hint=hint)


class BusyError(EngineError):
    """Too many decisions are waiting for the model already; ask again later."""


class CalibrationError(EngineError):
    """A calibration that was made for another catalog, prompt, tokenizer or model."""


class AdapterError(EngineError):
    """An adapter that was tuned for another catalog, tokenizer or model, or whose files are not whole."""


class TuningError(EngineError):
    """Settings that nothing can be tuned with, a checkpoint of another run, or a loss that is no number."""


class DeadlineError(NotReleasedError):
    """The time given was over before an answer; ``within_s`` is the time in seconds."""

    def __init__(self, message: str, *, within_s: float, hint: str = "") -> None:
        self.within_s = within_s
        super().__init__(message, hint=hint)


class ApprovalError(NotReleasedError):
    """Nothing that may be said is approved, or the approvals cannot be trusted. Nothing was sent.

    ``file`` and ``line`` (1-based, 0 when unknown) tell where in a ledger, a file of people or a catalog.
    """

    def __init__(self, message: str, *, file: str = "", line: int = 0, hint: str = "") -> None:
        self.file, self.line = file, line
        super().__init__(message, hint=hint)


class KeyFileError(ApprovalError):
    """A key that cannot be read or written, or is not an Ed25519 key."""


class VerificationError(NotReleasedError):
    """The text about to be sent was not the rendering of an allowed option. Nothing was sent."""


class AuditError(NotReleasedError):
    """A record that could not be made durable, or a log that cannot be trusted. Nothing was sent.

    ``file`` and ``line`` (1-based, 0 when unknown) tell where in a log.
    """

    def __init__(self, message: str, *, file: str = "", line: int = 0, hint: str = "") -> None:
        self.file, self.line = file, line
        super().__init__(message, hint=hint)


class OutcomeError(ConstrainedError):
    """The effects of a turn ran, and what became of them could not be recorded. ``state`` is the state after them."""

    def __init__(self, message: str, *, state: object, hint: str = "") -> None:
        self.state = state
        super().__init__(message, hint=hint)


class ReplayError(ConstrainedError):
    """A recorded turn that the catalog and policy at hand do not reproduce.

    ``turn_id`` names the turn, ``line`` its record in the log, ``differences`` everything that differs.
    """

    def __init__(self, message: str, *, turn_id: str, line: int, differences: Sequence[object] = (), hint: str = "") -> None:
        self.turn_id, self.line, self.differences = turn_id, line, tuple(differences)
        super().__init__(message, hint=hint)
