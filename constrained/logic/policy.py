"""The decision logic: a pure function of state and heard, matched against its catalog when it is registered.

    @policy("tavern")
    def innkeeper(state: Tavern, heard: Heard):
        yield say("greet") What a policy yields becomes options in ``allow``. A policy with a main procedure, or one
that starts some, is made by ``@procedure``; see ``logic.procedure``.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from itertools import islice
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any, Literal

from constrained.catalog.response import Catalog, Source
from constrained.errors import ConstrainedError, PolicyError, Problem, ProcedureError
from constrained.logic.effects import EffectKind
from constrained.logic.matching import mismatches
from constrained.logic.memory import Frame, Memory
from constrained.logic.obligations import Audience, Clause, clause_problems
from constrained.logic.options import Offer
from constrained.logic.purity import impurities
from constrained.logic.registration import catalog_of, code_hash, first_line, generator, heard_fields, parameters_of, read, text_hash
from constrained.logic.script import FunctionNode, Script, specificity_by_line
from constrained.logic.source_offers import find_offers, foreign
from constrained.logic.state import State
from constrained.procedures.position import ProcedurePosition, asked_said, has_waiting_loops, situation, standpoint
from constrained.procedures.procedure_offers import offers_at
from constrained.procedures.procedure_run import Body, step_at
from constrained.understanding.hearing import Understanding

MOST_OFFERS = 100_000  # a policy that yields more never ends
_OFFERS = frozenset((Offer,))
OnChange = Literal["refuse", "restart"]


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a decorator says besides the function.

    Attributes:
        obligations: of the whole conversation. events: names that the host commits besides effects.
        version: of the procedures. keeps: policies of older versions, for conversations that began with them.
        changed: what becomes of a procedure that runs when its code is another under the same version.
        is_reminding: the open question is said again after each answer that stands beside it.
    """

    obligations: tuple[Clause, ...] = ()
    events: tuple[str, ...] = ()
    version: int = 1
    keeps: tuple[Policy, ...] = ()
    changed: OnChange = "refuse"
    is_reminding: bool = False


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy as it is written: the file and, in it, the main procedure and the policy function, where there are such."""

    script: Script
    root: FunctionNode
    policy: FunctionNode | None
    functions: tuple[FunctionNode, ...]
    parameters: Mapping[str, type]


class Policy:
    """A policy with its catalog; made by ``@policy`` or ``@procedure``. Immutable: setting an attribute raises AttributeError.

    Two policies are equal when they are one object. What ``cached_property`` adds later follows from the attributes.

    Attributes:
        state_type: the State that it reads; ``heard_type``: the Understanding, or None when it reads none.
        source: text of the logic file; ``rules``: text of the function; ``hash``: ``sha256:`` over ``source``.
        file: path of the logic file; ``line``: where the function begins.
        main: name of the procedure that every conversation runs; empty for a policy of one step. bodies: all procedures.
        terms: what the decorator says besides; ``version`` is the procedures'.
        conditions_by_line: line of the logic file -> number of conditions on the way to it; lines without any may be left out.
    """

    def __init__(
        self, function: FunctionType, beside: FunctionType | None, catalog: Catalog, name: str, written: PolicySource, terms: PolicyTerms
    ) -> None:
        script, node = written.script, written.root
        kinds = list(written.parameters.values())
        self.name = name
        self.catalog = catalog
        self.state_type: type[State] = kinds[0]
        self.heard_type: type[Understanding] | None = kinds[1] if len(kinds) > 1 else None
        self.file = script.file
        self.line = first_line(node)
        self.source = script.text
        self.rules = "\n\n\n".join(_text_of(script, one) for one in (node, written.policy) if one is not None)
        self.hash = text_hash(script.text)
        self.function_name = function.__name__
        self.terms, self.version = terms, terms.version
        self.main = "" if function is beside else function.__name__
        self.script, self.written = script, written
        self.is_claiming = bool(self.claimed)
        self.is_reminding = terms.is_reminding
        self._function = function
        self._beside = beside
        self.conditions_by_line: Mapping[int, int] = MappingProxyType(_specificity(written))
        update_wrapper(self, function)
        self.__dict__["_is_sealed"] = True

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_sealed" in self.__dict__:
            raise AttributeError(f"a policy cannot be changed: {name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a policy cannot be changed: {name}")

    def __replace__(self, **changes: Any) -> Policy:
        """A second policy with other attributes, as ``copy.replace`` of Python 3.13 makes it; nothing is checked or read anew."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__ | changes)
        return twin

    def __call__(self, state: State, heard: Understanding | None = None) -> tuple[Offer, ...]:
        """What may be said in the first turn, in order. Raises PolicyError, with file and line, for anything but offers."""
        return offers_at(self, state, heard, Memory())

    def beside(self, state: State, heard: Understanding | None) -> tuple[Offer, ...]:
        """What the policy function yields; beside a procedure, that is what may be said without leaving its step."""
        if self._beside is None:
            return ()
        arguments = (state,) if self._beside.__code__.co_argcount < 2 else (state, self._heard(heard))
        try:
            offers = tuple(islice(self._beside(*arguments), MOST_OFFERS + 1))
        except ConstrainedError:
            raise
        except Exception as error:  # whatever a policy raises, its host gets the line of logic and a typed error
            raise self._failed(error) from error
        if len(offers) > MOST_OFFERS or not _OFFERS.issuperset(map(type, offers)):
            raise self._misyielded(self._beside, arguments)
        return offers

    def specificity(self, line: int) -> int:
        """Number of conditions on the way to a line of the logic file; 0 for a line outside the policy."""
        return self.conditions_by_line.get(line, 0)

    def impurities(self) -> list[Problem]:
        """What the policy does that a pure function does not, as far as its text tells."""
        return list(impurities(self.script, self.nodes()))

    def nodes(self) -> list[FunctionNode]:
        """Every function of the file that takes part: the procedure, the policy beside it, and all that they call or begin."""
        return list(self.written.functions)

    # -- procedures --------------------------------------------------------------------------------------

    def serving(self, memory: Memory) -> Policy:
        """This policy, or the older version of it that the conversation began with."""
        version = memory.running[0].version if memory.running else self.version
        return self if version == self.version else next((one for one in self.terms.keeps if one.version == version), self)

    def frames(self, memory: Memory) -> tuple[Frame, ...]:
        """The procedures that run; none where they begin anew because their code changed. Raises ProcedureError."""
        for frame in memory.running:
            body = self.bodies.get(frame.name)
            if body is not None and (body.version, body.code) == (frame.version, frame.code):
                continue
            if self.terms.changed == "restart":
                return ()
            raise self._changed(frame, body)
        return memory.running

    def body(self, name: str, source: Source) -> Body:
        """The procedure of that name. Raises ProcedureError when it was not there when the policy was registered."""
        found = self.bodies.get(name)
        if found is None:
            hint = "write start(NAME) with an async function of this file"
            raise ProcedureError(f"start({name}) begins no procedure", [Problem(source.file, source.line, 0, name, hint)], procedure=name)
        return found

    def obligations_at(self, place: Audience) -> tuple[Clause, ...]:
        """The obligations of a conversation that takes place there."""
        return tuple(clause for clause in self.obligations if clause.holds_at(place)) if self.obligations else ()

    @property
    def obligations(self) -> tuple[Clause, ...]:
        return self.terms.obligations

    @cached_property
    def bodies(self) -> Mapping[str, Body]:
        """The procedures by name: the main one, and those that are started. Read once the file has been executed."""
        main = self._function if self.main else None
        return MappingProxyType({one.__name__: self._body(one) for one in _begun(self.script, self.written.functions, main)})

    @cached_property
    def once_ids(self) -> frozenset[str]:
        """Ids whose having been said decides what may be said; all of them where the text does not tell which."""
        made = find_offers(self.script, self.nodes())
        return frozenset(name for one in made if any(link == "once" for link, _ in one.links) for name in one.ids or self.catalog.responses)

    @cached_property
    def asked_said(self) -> Mapping[str, int]:
        """Ids of which it matters whether they were said, with the number of turns that an obligation counts back, or 0."""
        return MappingProxyType(asked_said(self))

    @cached_property
    def claimed(self) -> frozenset[str]:
        """Events that some response claims."""
        return frozenset(response.claims for response in self.catalog.responses.values() if response.claims)

    @cached_property
    def has_waiting_loops(self) -> bool:
        """Whether a procedure may wait inside a loop."""
        return has_waiting_loops(self.nodes())

    @cached_property
    def read_fields(self) -> frozenset[str]:
        """Fields of what is heard that some function reads by name."""
        return heard_fields(self.script, self.nodes(), self.heard_type)

    def listens(self, memory: Memory) -> frozenset[str]:
        """The fields of what is heard that the next turn may depend on: all that are read, and those that answer the open step."""
        served = self.serving(memory)
        frames = served.frames(memory)
        if not served.bodies or self.heard_type is None:
            return frozenset(self.heard_type.model_fields) if self.heard_type else frozenset()
        waits = step_at(served.bodies[frames[-1].name], frames[-1]) if frames else None
        return served.read_fields | frozenset(waits.fields if waits else ())

    def stands_at(self, memory: Memory) -> ProcedurePosition | None:
        """The step at which the running procedure waits; None where none runs."""
        return standpoint(self.serving(memory), memory)

    def situation(self, memory: Memory) -> Hashable:
        """Equal for memories after which everything goes the same way, given equal states and equal things heard."""
        return situation(self.serving(memory), memory)

    def __repr__(self) -> str:
        return f"<{'Procedure' if self.main else 'Policy'} {self.name!r} {self.file}:{self.line}>"

    def _heard(self, heard: Understanding | None) -> Understanding | None:
        return self.heard_type() if heard is None and self.heard_type is not None else heard

    def _body(self, function: FunctionType) -> Body:
        node = self.script.function_at(function.__code__.co_firstlineno, function.__name__)
        if node is None:
            raise PolicyError(f"the source of {function.__name__} is not at hand", hint="write it at the top level of the logic file")
        code = code_hash(self.script, node)
        return Body(function.__name__, function, self.state_type, self.heard_type, self.terms.version, code, self.file, first_line(node))

    def _changed(self, frame: Frame, body: Body | None) -> ProcedureError:
        if frame.version != self.version:
            known = ", ".join(str(one.version) for one in (self, *self.terms.keeps))
            message, hint = f"began in version {frame.version}; there is {known}", 'keep the old one: keeps=(old,), or changed="restart"'
        else:
            what = "is another now" if body else "is gone"
            message = f"began in version {frame.version}, and its code {what} under the same version"
            hint = 'give the changed code a new version and keep the old one: keeps=(old,), or changed="restart"'
        problem = Problem(self.file, body.line if body else self.line, 0, f"the procedure {frame.name!r} {message}", hint)
        return ProcedureError(
            f"the procedure {frame.name!r} cannot go on", [problem], procedure=frame.name, version=frame.version, hint=hint
        )

    def _misyielded(self, function: FunctionType, arguments: tuple[Any, ...]) -> PolicyError:
        """Runs the policy again, up to the yield that is wrong, to name its line."""
        running = function(*arguments)
        for number, offer in enumerate(running):
            if type(offer) is not Offer:
                message, hint = f"yielded {type(offer).__name__} {offer!r:.60}", "yield say(...), only(...) or must(...)"
            elif number >= MOST_OFFERS:
                message, hint = f"yields more than {MOST_OFFERS:,} offers", "loop over a tuple of the State, or over a constant"
            else:
                continue
            return PolicyError(f"the policy {self.name!r} {message}", [Problem(self.file, _line_of(running), 0, message, hint)])
        return PolicyError(f"the policy {self.name!r} is not deterministic", hint="equal state and heard must yield equal offers")

    def _failed(self, error: Exception) -> PolicyError:
        line, trace = self.line, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.file:
                line = trace.tb_lineno
            trace = trace.tb_next
        problem = Problem(self.file, line, 0, f"{type(error).__name__}: {error}", "a policy answers for every state and everything heard")
        return PolicyError(f"the policy {self.name!r} failed", [problem])


def policy(
    catalog: str | Path | Catalog,
    *,
    obligations: Sequence[Clause] = (),
    events: Sequence[str] = (),
    version: int = 1,
    keeps: Sequence[Policy] = (),
    changed: OnChange = "refuse",
    remind: bool = False,
) -> Callable[[Callable[..., Any]], Policy]:
    """Registers a function ``(state, heard)`` or ``(state)`` that yields offers, and matches it against its catalog.

    Args:
        catalog: a Catalog (``Catalog.load(path)``); a path that ends in ``.yaml`` or ``.yml``: looked up beside the logic file,
            then in the working directory; or a name: ``catalogs/NAME.yaml`` in the parent of the logic file's folder, then
            in the working directory, then among the packs shipped with the package.
        obligations: what must be said, or never, over the whole conversation: ``at_start``, ``before``, ``after``...
        events: names that the host commits besides effects, for claims.
        version, keeps, changed, remind: of the procedures that it starts; see ``procedure``.

    Raises:
        PolicyError: the function and the catalog do not fit, or the function is not pure; every reason at once.
        CatalogError: the catalog may not be used. PackError: there is no such catalog.
    """
    terms = PolicyTerms(tuple(obligations), tuple(events), version, tuple(keeps), changed, remind)

    def register(function: Callable[..., Any]) -> Policy:
        if not isinstance(function, FunctionType):
            raise PolicyError(f"@policy decorates a function, not {type(function).__name__}", hint="def name(state: ..., heard: ...):")
        return registered(function, function, catalog, terms, dict(sys._getframe(1).f_locals))

    return register


def registered(
    function: FunctionType, beside: FunctionType | None, catalog: str | Path | Catalog, terms: PolicyTerms, local_names: dict[str, Any]
) -> Policy:
    """A policy out of its main function and the one beside it; they are one where there is no main procedure."""
    script, node = read(function)
    parameters, problems = parameters_of(script, node, function, local_names)
    name, loaded = catalog_of(catalog, Path(function.__code__.co_filename))
    other = node if beside is function else read(beside)[1] if beside is not None else None
    if other is not None and beside is not None and other is not node:
        others, more = parameters_of(script, other, beside, local_names)
        problems += more or [script.problem(other, f"{other.name} reads other types than {node.name}", "give both the same")] * (
            not set(others.values()) <= set(parameters.values())
        )
    functions = _together(script, node, other)
    problems += generator(script, other) if other is not None else []
    obliged = frozenset(clause.response_id for clause in terms.obligations)
    problems += mismatches(script, find_offers(script, functions), loaded, parameters, node, obliged)
    problems += [
        *clause_problems(terms.obligations, loaded),
        *_claims(script, node, loaded, terms),
        *_keeps(script, node, parameters, terms),
    ]
    problems += foreign(script, functions)
    problems += impurities(script, functions)
    if problems:
        raise PolicyError(f"the policy {function.__name__} does not fit the catalog {loaded.name!r}", problems)
    return Policy(
        function,
        beside,
        loaded,
        name,
        PolicySource(script, node, other if other is not node else None, tuple(functions), MappingProxyType(parameters)),
        terms,
    )


def _together(script: Script, *roots: FunctionNode | None) -> list[FunctionNode]:
    found: list[FunctionNode] = []
    for root in roots:
        found += [one for one in (script.called(root) if root is not None else ()) if one not in found]
    return found


def _claims(script: Script, node: FunctionNode, catalog: Catalog, terms: PolicyTerms) -> list[Problem]:
    """Every event that a response claims is one that can be committed."""
    names = {value.name for value in script.module_globals.values() if isinstance(value, EffectKind)} | set(terms.events)
    wrong = [response for response in catalog.responses.values() if response.claims and response.claims not in names]
    hint = "name an effect of the logic file, or list it: events=(...)"
    return [script.problem(node, f"{one.id!r} claims {one.claims!r}, which nothing commits", hint) for one in wrong]


def _keeps(script: Script, node: FunctionNode, parameters: dict[str, type], terms: PolicyTerms) -> list[Problem]:
    """Older versions read the same State and Heard, and have versions of their own."""
    found = []
    for kept in terms.keeps:
        if [kept.state_type, kept.heard_type] != [*parameters.values(), None][:2]:
            found.append(script.problem(node, f"version {kept.version} reads other types", "a version kept reads the same State and Heard"))
    versions = [terms.version, *(kept.version for kept in terms.keeps)]
    if len(set(versions)) < len(versions):
        found.append(script.problem(node, f"two versions are {max(versions, key=versions.count)}", "number them apart"))
    return found


def _begun(script: Script, functions: Sequence[FunctionNode], main: FunctionType | None) -> list[FunctionType]:
    """The procedures of a policy: the main one, and those that are started by name."""
    names = dict.fromkeys(name for function in functions for name in script.begun(function))
    found = [script.module_globals.get(name) for name in names]
    missing = [name for name, value in zip(names, found, strict=True) if not isinstance(value, FunctionType)]
    if missing:
        raise PolicyError(f"start({missing[0]}): no plain async function", hint="define it at the top level, without a decorator")
    return [*([main] if main is not None else []), *(one for one in found if isinstance(one, FunctionType))]


def _specificity(written: PolicySource) -> dict[int, int]:
    lines: dict[int, int] = {}
    for root in written.functions:
        if root in (written.root, written.policy) or isinstance(root, ast.AsyncFunctionDef):
            for line, count in specificity_by_line(written.script, root).items():
                lines.setdefault(line, count)
    return lines


def _text_of(script: Script, node: FunctionNode) -> str:
    return "\n".join(script.text.splitlines()[first_line(node) - 1 : node.end_lineno]) + "\n"


def _line_of(running: Any) -> int:
    """The line at which a generator stands, in the innermost of ``yield from``."""
    while inspect.isgenerator(inner := getattr(running, "gi_yieldfrom", None)):
        running = inner
    frame = getattr(running, "gi_frame", None)
    return frame.f_lineno if frame is not None else 0
