"""Small packs for the prover's tests: written by hypothesis, explored by brute force, with nothing of the prover's own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from constrained import Policy, State
from constrained.analysis.prover.memories import Situations
from constrained.errors import ConstrainedError
from constrained.logic.allow import run, with_outcomes
from constrained.logic.state import Memory
from constrained.packs import load_policy_file

IDS = ("one", "two", "three", "four")
CATALOG = "catalog: small\nversion: 1\nlocale: en\nspeaker: S\npersona: None.\nfallback: sorry\nresponses:\n" + "".join(
    f'  {name}:\n    text: "{name.title()}."\n    when: {name}\n    tags: [reserve]\n    examples: ["say {name}"]\n'
    for name in (*IDS, "sorry")
)
HEAD = """from typing import Literal
from constrained import State, Understanding, effect, must, only, policy, procedure, say
from constrained.hear import question, choice
from constrained.steps import tell, ask, confirm, perform
from constrained.obligations import at_start, before, before_commitment, never_after, once

class Small(State):
    a: bool = False
    b: bool = False
    n: Literal[0, 1, 2] = 0

class Heard(Understanding):
    x: bool = question("Is it x?")
    k: Literal["p", "q"] | None = choice("Which?")

@effect
def turn_a(state: Small) -> Small:
    return state.replace(a=not state.a)

@effect(requires=lambda state: state.a)
def set_b(state: Small) -> Small:
    return state.replace(b=True)

@effect
def count(state: Small) -> Small:
    return state.replace(n=(state.n + 1) % 3)

@effect(requires=lambda state: state.n < 2)
def step(state: Small) -> Small:
    return state.replace(n=state.n + 1)

"""
TESTS = ("state.a", "not state.a", "state.b", "state.n == 1", "state.n > 0", "heard.x", 'heard.k == "q"', "heard.k", "state.a and heard.x")
EFFECTS = ("", ".then(turn_a)", ".then(set_b)", ".then(count)", ".then(step)", ".then(turn_a).then(set_b)", ".then(step).then(step)")
_offers = st.builds(
    lambda kind, name, then, once: f'yield {kind}("{name}"){"" if kind == "must" else then}{once}',
    st.sampled_from(("say", "say", "say", "say", "only", "must")),
    st.sampled_from(IDS),
    st.sampled_from(EFFECTS),
    st.sampled_from(("", "", ".once()")),
)


def _listed(clauses: list[str]) -> str:
    return "".join(one + ", " for one in clauses)


def _block(statements: list[str]) -> str:
    return "\n".join("    " + line for statement in statements for line in statement.splitlines())


_statements = st.recursive(
    _offers,
    lambda inner: st.builds(
        lambda test, then, other: f"if {test}:\n{_block(then)}" + (f"\nelse:\n{_block(other)}" if other else ""),
        st.sampled_from(TESTS),
        st.lists(inner, min_size=1, max_size=3),
        st.lists(inner, max_size=2),
    ),
    max_leaves=8,
)
policies = st.lists(_statements, min_size=1, max_size=4).map(
    lambda body: HEAD + '@policy("small")\ndef small(state: Small, heard: Heard):\n' + _block(body) + "\n"
)

_steps = st.sampled_from(
    (
        'await tell("one")',
        'await tell("two").then(turn_a)',
        'await tell("four")',
        'if await confirm("three", tries=1):\n    await tell("one").then(count)',
        'if await confirm("three"):\n    await tell("two")\nelse:\n    await tell("four").then(turn_a)',
        'k = await ask("four", "k", tries=2)\nif k == "q":\n    await tell("one")',
        'if await perform("two").then(turn_a):\n    await tell("one")\nelse:\n    await tell("three")',
        'if state.a:\n    await tell("three")',
        'if heard.x:\n    await tell("one").then(count)',
    )
)
_clauses = st.lists(
    st.sampled_from(
        ('at_start("one")', 'before("two", "four")', 'once("three")', 'never_after("one", "two")', 'before_commitment("four")')
    ),
    max_size=2,
    unique=True,
)
procedures = st.builds(
    lambda steps, interruptions, clauses: (
        HEAD
        + "def interruptions(state: Small, heard: Heard):\n"
        + _block([*interruptions, "return\nyield"])
        + f'\n\n@procedure("small", interruptions=interruptions, obligations=({_listed(clauses)}))\n'
        + "async def small(state: Small, heard: Heard):\n"
        + _block(["await tell('sorry')" if not steps else "pass", *steps, 'await tell("four")'])
        + "\n"
    ),
    st.lists(_steps, max_size=3),
    st.lists(_statements, max_size=1),
    _clauses,
)


def loaded(folder: Path, source: str) -> Policy | None:
    """The policy of a source text; None where it may not be registered."""
    (folder / "catalogs").mkdir(exist_ok=True)
    (folder / "logic").mkdir(exist_ok=True)
    (folder / "catalogs" / "small.yaml").write_text(CATALOG, encoding="utf-8")
    path = folder / "logic" / "small.py"
    path.write_text(source, encoding="utf-8")
    try:
        return load_policy_file(path)
    except ConstrainedError:
        return None


@dataclass(frozen=True)
class Step:
    """One turn, as brute force sees it: from a node by what is said to a node; None where effects fail or the turn cannot be taken."""

    before: object
    heard: object
    chosen: str
    said: tuple[str, ...]
    done: tuple[str, ...]
    n_options: int
    after: object | None
    error: str = ""


class Brute:
    """Every conversation, by running each turn of each node with everything that can be heard. No shortcuts."""

    def __init__(self, policy: Policy, start: State, most: int = 3_000) -> None:
        self.policy, self.situations, self.most = policy, Situations(policy), most
        self.keys: dict[object, tuple[State, Memory]] = {}
        self.steps: dict[object, list[Step]] = {}
        self.is_closed = True
        self.start = self._node(start, Memory())
        todo = [self.start]
        while todo:
            node = todo.pop(0)
            if len(self.steps) > most:
                self.is_closed = False
                break
            self.steps[node] = list(self._turns(node))
            for step in self.steps[node]:
                if step.after is not None and step.after not in self.steps and step.after not in todo:
                    todo.append(step.after)

    def _node(self, state: State, memory: Memory) -> object:
        key = (state.model_dump_json(), self.situations.of(memory))
        self.keys.setdefault(key, (state, memory))
        return key

    def _turns(self, node: object):
        state, memory = self.keys[node]
        stands = self.policy.procedures.position(memory)
        goes_on = stands is not None and stands.kind == "perform" and memory.running[-1].events[-1].number in dict(memory.outcomes)
        everything = itertools.product((False, True), (None, "p", "q"))
        asked = self.policy.procedures.listened_fields(memory) if self.policy.procedures.definitions else frozenset("xk")
        possible = {(x and "x" in asked, k if "k" in asked else None): None for x, k in everything}
        for x, k in [(False, None)] if goes_on else possible:
            heard = self.policy.heard_type(x=x, k=k)
            try:
                ran = run(self.policy, state, heard, memory)
            except ConstrainedError as error:
                yield Step(node, heard, "", (), (), 0, None, str(error))
                continue
            for option in ran.allowed.sayable:  # the last resort of a closed set, too
                said = tuple(one.id for one in ran.said(option))
                n, names = len(ran.allowed.options), tuple(effect.name for effect in option.effects)
                after = ran.after(option)
                if not names:
                    yield Step(node, heard, option.id, said, (), n, self._node(state, after))
                    continue
                try:
                    there = state
                    for effect in option.effects:
                        there = effect.apply(there)
                    yield Step(node, heard, option.id, said, names, n, self._node(there, with_outcomes(after, done=names)))
                except ConstrainedError as error:
                    yield Step(node, heard, option.id, said, names, n, None, str(error))
                if ran.is_performing(option):
                    yield Step(node, heard, option.id, said, (), n, self._node(state, with_outcomes(after, failed=names)))

    # -- properties, by walking conversations ------------------------------------------------------------

    def shortest(self, automaton, first=0) -> int | None:
        """Number of turns of a shortest conversation that an automaton ``(mode, step) -> mode | "bad" | "stop"`` refuses."""
        seen, level, length = {(self.start, first)}, [(self.start, first)], 0
        while level:
            length += 1
            following = []
            for node, mode in level:
                for step in self.steps.get(node, ()):
                    if step.chosen == "" or (step.after is None):
                        continue
                    new = automaton(mode, step)
                    if new == "bad":
                        return length
                    if new != "stop" and (step.after, new) not in seen:
                        seen.add((step.after, new))
                        following.append((step.after, new))
            level = following
        return None

    def failing(self) -> int | None:
        """Turns to the first effect that cannot run, or turn that cannot be taken."""
        seen, level, length = {self.start}, [self.start], 0
        while level:
            length += 1
            following = []
            for node in level:
                for step in self.steps.get(node, ()):
                    if step.error:
                        return length
                    if step.after is not None and step.after not in seen:
                        seen.add(step.after)
                        following.append(step.after)
            level = following
        return None
