"""The decision logic: a pure function of state and heard, matched against its catalog when it is registered.

    @policy("tavern")
    def innkeeper(state: Tavern, heard: Heard):
        yield say("greet")

What a policy yields becomes options in ``allow``. A policy with a main procedure is made by ``@procedure``.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from itertools import islice
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any, Literal

from constrained.catalog.response import Catalog
from constrained.errors import ConstrainedError, PolicyError, Problem
from constrained.logic.effects import EffectKind
from constrained.logic.matching import mismatches
from constrained.logic.obligations import Clause, clause_problems
from constrained.logic.options import Offer
from constrained.logic.purity import impurities
from constrained.logic.registration import catalog_of, first_line, generator, parameters_of, read, text_hash
from constrained.logic.script import FunctionNode, Script, specificity_by_line
from constrained.logic.source_offers import find_offers, foreign
from constrained.logic.state import Memory, State
from constrained.logic.user_texts import free_text_problems
from constrained.procedures.offers import procedure_offers
from constrained.procedures.policy_procedures import PolicyProcedures
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
        is_reminding: the open question is said again after each interruption that leaves it open.
        corrections: fields of Heard whose new value puts an open confirmation again.
    """

    obligations: tuple[Clause, ...] = ()
    events: tuple[str, ...] = ()
    version: int = 1
    keeps: tuple[Policy, ...] = ()
    changed: OnChange = "refuse"
    is_reminding: bool = False
    corrections: tuple[str, ...] = ()


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

    Two policies are equal when they are one object.

    Attributes:
        state_type: the State that it reads; ``heard_type``: the Understanding, or None when it reads none.
        source: text of the logic file; ``rules``: text of the function; ``hash``: ``sha256:`` over ``source``.
        file: path of the logic file; ``line``: where the function begins.
        script: the logic file as a syntax tree; ``functions``: those of the file that take part: the procedure, the policy
            function, and all that they call or start.
        terms: what the decorator says besides. procedures: those that every conversation runs, or may start.
        conditions_by_line: line of the logic file -> number of conditions on the way to it; lines without any may be left out.
    """

    __name__: str  # of the decorated function, as for any function

    def __init__(
        self,
        function: FunctionType,
        policy_function: FunctionType | None,
        catalog: Catalog,
        name: str,
        written: PolicySource,
        terms: PolicyTerms,
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
        self.terms = terms
        self.script, self.functions = script, written.functions
        unknown = set(terms.corrections) - set(self.heard_type.model_fields if self.heard_type is not None else ())
        if unknown:
            raise PolicyError(f"corrections= names what is not heard: {', '.join(sorted(unknown))}", hint="name fields of Heard")
        self.procedures: PolicyProcedures = PolicyProcedures(
            script,
            written.functions,
            self.line,
            None if function is policy_function else function,
            self.state_type,
            self.heard_type,
            catalog.fallback,
            terms.version,
            tuple(one.procedures for one in terms.keeps),
            terms.changed == "restart",
            terms.is_reminding,
            terms.corrections,
        )
        self._policy_function = policy_function
        self.conditions_by_line: Mapping[int, int] = MappingProxyType(_specificity(written))
        update_wrapper(self, function)
        self.__dict__["_is_sealed"] = True  # from here on ``__setattr__`` refuses

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_sealed" in self.__dict__:
            raise AttributeError(f"a policy cannot be changed: {name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a policy cannot be changed: {name}")

    def __replace__(self, **changes: Any) -> Policy:
        """A second policy with other attributes, as ``copy.replace`` of Python 3.13 makes it; nothing is checked or read anew."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__ | changes)  # past ``__setattr__``: it is not handed out before it is whole
        return twin

    def __call__(self, state: State, heard: Understanding | None = None, memory: Memory | None = None) -> tuple[Offer, ...]:
        """What may be said in the turn after ``memory`` (in the first, when None), in order.

        Raises PolicyError, with file and line, for anything but offers; ProcedureError when a running procedure cannot go on.
        """
        if heard is None and self.heard_type is not None:
            heard = self.heard_type()
        yielded = self._yielded(state, heard)
        if not self.procedures.definitions:
            return yielded
        return procedure_offers(self.procedures, state, heard, memory or Memory(), yielded)

    def serving(self, memory: Memory) -> Policy:
        """This policy, or the older version of it that the conversation began with."""
        version = memory.running[0].version if memory.running else self.terms.version
        return self if version == self.terms.version else next((one for one in self.terms.keeps if one.terms.version == version), self)

    def __repr__(self) -> str:
        return f"<{'Procedure' if self.procedures.main else 'Policy'} {self.name!r} {self.file}:{self.line}>"

    def _yielded(self, state: State, heard: Understanding | None) -> tuple[Offer, ...]:
        """What the policy function yields; where a procedure runs, that is what may interrupt it."""
        function = self._policy_function
        if function is None:
            return ()
        arguments = (state,) if function.__code__.co_argcount < 2 else (state, heard)
        try:
            offers = tuple(islice(function(*arguments), MOST_OFFERS + 1))
        except ConstrainedError:
            raise
        except Exception as error:  # whatever a policy raises, its host gets the line of logic and a typed error
            raise self._failed(error) from error
        if len(offers) > MOST_OFFERS or not _OFFERS.issuperset(map(type, offers)):
            raise self._misyielded(function, arguments)
        return offers

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
    corrections: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Policy]:
    """Registers a function ``(state, heard)`` or ``(state)`` that yields offers, and matches it against its catalog.

    Args:
        catalog: a Catalog (``Catalog.load(path)``); a path that ends in ``.yaml`` or ``.yml``: looked up beside the logic file,
            then in the working directory; or a name: ``catalogs/NAME.yaml`` in the parent of the logic file's folder, then
            in the working directory, then among the packs shipped with the package.
        obligations: what must be said, or never, over the whole conversation: ``at_start``, ``before``, ``after``...
        events: names that the host commits besides effects, for claims.
        version, keeps, changed, remind, corrections: of the procedures that it starts; see ``procedure``.

    Raises:
        PolicyError: the function and the catalog do not fit, or the function is not pure; every reason at once.
        CatalogError: the catalog may not be used. PackError: there is no such catalog.
    """
    terms = PolicyTerms(tuple(obligations), tuple(events), version, tuple(keeps), changed, remind, tuple(corrections))

    def register(function: Callable[..., Any]) -> Policy:
        if not isinstance(function, FunctionType):
            raise PolicyError(f"@policy decorates a function, not {type(function).__name__}", hint="def name(state: ..., heard: ...):")
        return registered(function, function, catalog, terms, dict(sys._getframe(1).f_locals))

    return register


def registered(
    function: FunctionType,
    policy_function: FunctionType | None,
    catalog: str | Path | Catalog,
    terms: PolicyTerms,
    local_names: dict[str, Any],
) -> Policy:
    """A policy out of its main function and its policy function; they are one where there is no main procedure."""
    script, node = read(function)
    parameters, problems = parameters_of(script, node, function, local_names)
    name, loaded = catalog_of(catalog, Path(function.__code__.co_filename))
    other = node if policy_function is function else read(policy_function)[1] if policy_function is not None else None
    if other is not None and policy_function is not None and other is not node:
        others, more = parameters_of(script, other, policy_function, local_names)
        problems += more or [script.problem(other, f"{other.name} reads other types than {node.name}", "give both the same")] * (
            not set(others.values()) <= set(parameters.values())
        )
    functions = _together(script, node, other)
    problems += generator(script, other) if other is not None else []
    obliged = frozenset(clause.response_id for clause in terms.obligations)
    offers = find_offers(script, functions)
    problems += mismatches(script, offers, loaded, parameters, node, obliged)
    if loaded.is_approval_required:  # elsewhere ``check`` tells it
        heard_type = next((kind for kind in parameters.values() if issubclass(kind, Understanding)), None)
        problems += free_text_problems(script, offers, loaded, heard_type)
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
        policy_function,
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
            found.append(
                script.problem(node, f"version {kept.terms.version} reads other types", "a version kept reads the same State and Heard")
            )
    versions = [terms.version, *(kept.terms.version for kept in terms.keeps)]
    if len(set(versions)) < len(versions):
        found.append(script.problem(node, f"two versions are {max(versions, key=versions.count)}", "number them apart"))
    return found


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
