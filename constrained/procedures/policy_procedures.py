"""The procedures of one policy: how each is defined, which run in a conversation, and the step at which they wait."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType, MappingProxyType
from typing import Any

from constrained._values import parse_source
from constrained.catalog.response import Source
from constrained.errors import PolicyError, Problem, ProcedureError
from constrained.logic.registration import first_line, text_hash
from constrained.logic.script import FunctionNode, Script, bindings, body_nodes
from constrained.logic.state import Frame, Memory, State
from constrained.procedures.run import COROUTINES, MISSED, PICKED, ProcedureDefinition, ProcedureRun
from constrained.understanding.hearing import Understanding


@dataclass(frozen=True, slots=True)
class ProcedurePosition:
    """The step at which a procedure waits.

    Attributes:
        procedure: name of its function. response_id: what was said last of it; ``source``: the line of the step.
        kind: ``ask``, ``confirm`` or ``perform``. n_missed: how often it was put in vain.
        slots: the values that the step says. again: id of its words for being put again; empty where those are the same.
    """

    procedure: str
    version: int
    code: str
    response_id: str
    source: Source
    kind: str
    n_missed: int
    slots: Mapping[str, Any]
    again: str = ""


@dataclass(frozen=True)
class PolicyProcedures:
    """The main procedure of a policy, if it has one, and those that it starts.

    Attributes:
        script, functions: the logic file, and the functions of it that take part. line: where the policy begins.
        main_function: what every conversation runs; None for a policy that only starts procedures, or none at all.
        fallback: id of the catalog's fallback.
        older: those of the older versions that are kept. is_restarting: where the code of a running procedure changed
            under its version, it begins anew, and no error is raised.
        is_reminding: the open question is said again after each answer that leaves it open.
        corrections: fields of Heard whose new value puts an open confirmation again.
    """

    script: Script
    functions: tuple[FunctionNode, ...]
    line: int
    main_function: FunctionType | None
    state_type: type[State]
    heard_type: type[Understanding] | None
    fallback: str
    version: int = 1
    older: tuple[PolicyProcedures, ...] = ()
    is_restarting: bool = False
    is_reminding: bool = False
    corrections: tuple[str, ...] = ()

    @property
    def main(self) -> str:
        """Name of the procedure that every conversation runs; empty when there is none."""
        return self.main_function.__name__ if self.main_function is not None else ""

    @cached_property
    def definitions(self) -> Mapping[str, ProcedureDefinition]:
        """By name. Made when first asked for: only then all functions of the file are there."""
        names = dict.fromkeys(name for function in self.functions for name in self.script.begun(function))
        found = [self.script.module_globals.get(name) for name in names]
        for name, value in zip(names, found, strict=True):
            if not isinstance(value, FunctionType):
                raise PolicyError(f"start({name}): no plain async function", hint="define it at the top level, without a decorator")
        functions = [one for one in (self.main_function, *found) if isinstance(one, FunctionType)]
        return MappingProxyType({one.__name__: self._defined(one) for one in functions})

    @cached_property
    def _read_fields(self) -> frozenset[str]:
        """Fields of what is heard that some function reads by name."""
        known = frozenset(self.heard_type.model_fields) if self.heard_type is not None else frozenset()
        return known & {node.attr for function in self.functions for node in body_nodes(function) if isinstance(node, ast.Attribute)}

    def definition(self, name: str, source: Source) -> ProcedureDefinition:
        """The procedure of that name. Raises ProcedureError when it was not there when the policy was registered."""
        found = self.definitions.get(name)
        if found is None:
            hint = "write start(NAME) with an async function of this file"
            raise ProcedureError(f"start({name}) begins no procedure", [Problem(source.file, source.line, 0, name, hint)], procedure=name)
        return found

    def serving(self, memory: Memory) -> PolicyProcedures:
        """These, or those of the older version that the conversation began with."""
        version = memory.running[0].version if memory.running else self.version
        return self if version == self.version else next((one for one in self.older if one.version == version), self)

    def frames(self, memory: Memory) -> tuple[Frame, ...]:
        """The procedures that run; none where they begin anew because their code changed. Raises ProcedureError."""
        for frame in memory.running:
            definition = self.definitions.get(frame.name)
            if definition is not None and (definition.version, definition.code) == (frame.version, frame.code):
                continue
            if self.is_restarting:
                return ()
            raise self._changed(frame, definition)
        return memory.running

    def position(self, memory: Memory) -> ProcedurePosition | None:
        """The step at which the innermost running procedure waits; None where none runs."""
        procedures = self.serving(memory)
        frames = procedures.frames(memory)
        if not frames:
            return None
        frame = frames[-1]
        step = COROUTINES.step(procedures.definitions[frame.name], frame)
        n_missed = next((number for number, event in enumerate(reversed(frame.events)) if event.answer != MISSED), 0)
        again, offer = step.again.response_id if step.again is not None else "", step.offer
        return ProcedurePosition(frame.name, frame.version, frame.code, step.id, offer.source, step.kind, n_missed, offer.slots, again)

    def agreed_effects(self, memory: Memory) -> tuple[str, ...]:
        """What a yes to the open confirmation does by what was true when it was put; nothing where none is open."""
        procedures = self.serving(memory)
        frame = procedures.frames(memory)[-1]
        run = ProcedureRun.of(procedures.definitions[frame.name], frame)
        yes = next((label for label, _ in run.step.among if label.casefold() == "yes"), None) if run.step is not None else None
        if yes is None or run.state is None:
            return ()
        return tuple(str(effect) for offer in run.go_on(PICKED + yes, run.state, run.heard).offers for effect in offer.effects)

    def listened_fields(self, memory: Memory) -> frozenset[str]:
        """The fields of what is heard that the next turn may depend on: all that are read, and those that answer the open step."""
        procedures = self.serving(memory)
        frames = procedures.frames(memory)
        if not procedures.definitions or self.heard_type is None:
            return frozenset(self.heard_type.model_fields) if self.heard_type else frozenset()
        answers = COROUTINES.step(procedures.definitions[frames[-1].name], frames[-1]).fields if frames else ()
        return procedures._read_fields | frozenset(answers) | frozenset(procedures.corrections)

    def _defined(self, function: FunctionType) -> ProcedureDefinition:
        node = self.script.function_at(function.__code__.co_firstlineno, function.__name__)
        if node is None:
            raise PolicyError(f"the source of {function.__name__} is not at hand", hint="write it at the top level of the logic file")
        code, line = code_hash(self.script, node), first_line(node)
        return ProcedureDefinition(
            function.__name__, function, self.state_type, self.heard_type, self.version, code, self.script.file, line
        )

    def _changed(self, frame: Frame, definition: ProcedureDefinition | None) -> ProcedureError:
        if frame.version != self.version:
            known = ", ".join(str(one.version) for one in (self, *self.older))
            message, hint = f"began in version {frame.version}; there is {known}", 'keep the old one: keeps=(old,), or changed="restart"'
        else:
            what = "is another now" if definition else "is gone"
            message = f"began in version {frame.version}, and its code {what} under the same version"
            hint = 'give the changed code a new version and keep the old one: keeps=(old,), or changed="restart"'
        line = definition.line if definition else self.line
        problem = Problem(self.script.file, line, 0, f"the procedure {frame.name!r} {message}", hint)
        return ProcedureError(
            f"the procedure {frame.name!r} cannot go on", [problem], procedure=frame.name, version=frame.version, hint=hint
        )


# Arguments that had the name ``beside`` first. Conversations recorded then hold hashes over that name, and go on.
_RENAMED_ARGUMENTS = {
    ("constrained.procedures.procedure", "procedure"): "interruptions",
    ("constrained.procedures.steps", "ask"): "asides",
    ("constrained.procedures.steps", "confirm"): "asides",
}


def code_hash(script: Script, root: FunctionNode) -> str:
    """The hash of a procedure's code: its function, those that it calls, and the constants that they name.

    Comments and layout do not count. State, Heard and effects do not either: events hold what came of them.
    """
    functions = script.called(root)
    names = sorted({name for function in functions for name in _constants(script, body_nodes(function))})
    parts = [_hashed_text(script, one) for one in functions]
    parts += [f"{name} = {_hashed_text(script, script.constants[name])}" for name in names]
    return text_hash("\n".join(parts))


def _hashed_text(script: Script, node: ast.AST) -> str:
    """The text of a node, the renamed arguments by their first names. Slots and functions of the file may have such names too."""
    text = ast.unparse(node)
    if not any(name in text for name in _RENAMED_ARGUMENTS.values()):
        return text
    copy = parse_source(text)  # the nodes of the script stay as they are
    for call in ast.walk(copy):
        if isinstance(call, ast.Call):
            called = _named(script, call.func)
            renamed = _RENAMED_ARGUMENTS.get((getattr(called, "__module__", ""), getattr(called, "__qualname__", "")))
            for one in call.keywords:
                if one.arg is not None and one.arg == renamed:
                    one.arg = "beside"
    return ast.unparse(copy)


def _named(script: Script, node: ast.expr) -> object:
    """What a name of the file stands for, with or without its module; None where that is not known."""
    if isinstance(node, ast.Attribute):
        return getattr(_named(script, node.value), node.attr, None)
    return script.module_globals.get(node.id) if isinstance(node, ast.Name) else None


def _constants(script: Script, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Module constants that these nodes name, and those that they are made of."""
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in script.constants and node.id not in bindings(node):
            yield node.id
            yield from (name for name in _constants(script, list(ast.walk(script.constants[node.id]))) if name != node.id)
