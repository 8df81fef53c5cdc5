"""The code of a node in the making: which line waits to be said, and what it carries.

``now`` is the story as it stands in the middle of a reply; the host's State follows when the effects of the reply run. The line said
last is kept in ``last`` and awaited only when what follows it is known, so that it carries the effects of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath

from constrained.cli.importing.draft import Draft, Item, Reply
from constrained.cli.importing.yarn_source import Line, Node
from constrained.cli.importing.yarn_texts import Wording
from constrained.cli.importing.yarn_values import Kind, Scope, Value, value_of
from constrained.errors import DataError

STOP = "(stop)"
MOST_JUMPS = 1_000  # nodes in one conversation: procedures have bounds


@dataclass(slots=True)
class Story:
    """What all nodes share.

    Attributes:
        functions: title -> name of its function. tracked: titles whose visits are counted. groups: title -> its members' titles.
        chains: node -> nodes that its jumps lead to, for those that are called and come back.
        left: fields of State that a node may change without a line behind it; ``leaves_commands``: so with commands.
        awaited: node -> nodes that it detours to.
    """

    draft: Draft
    scope: Scope
    texts: Callable[[Line, str], tuple[Reply, Wording] | None]
    functions: dict[str, str]
    tracked: dict[str, tuple[str, ...]]
    loops: set[tuple[str, str]]
    prompt: Callable[[], Reply]
    chains: dict[str, list[str]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    leaves_commands: bool = False


@dataclass(slots=True)
class Standing:
    """What is known of a place in the code: whether a line waits, fields that changed since, and whether commands wait ("maybe")."""

    waits: str = "no"
    due: set[str] = field(default_factory=set)
    commands: str = "no"

    def copy(self) -> Standing:
        return Standing(self.waits, set(self.due), self.commands)


def joined(ways: list[Standing]) -> Standing:
    def one(values: set[str]) -> str:
        return values.pop() if len(values) == 1 else "maybe"

    due = {name for way in ways for name in way.due}
    return Standing(one({way.waits for way in ways}), due, one({way.commands for way in ways}))


class NodeCode:
    """The lines of one function in the making, and what is known of the place that they have come to."""

    def __init__(self, story: Story, node: Node, title: str) -> None:
        self._story, self._node, self._title = story, node, title
        self._lines: list[str] = []
        due = set(story.left) | ({"counts"} if node.whens else set())  # a group counts which of its nodes it picked
        self._at = Standing(due=due, commands="maybe" if story.leaves_commands else "no")
        self._ended = False
        self._n_once = 0
        self._quiet = True

    def _place(self) -> str:
        return re.sub(r'[\\"]', "'", f"{self._node.title}: line {self._node.at} of {self._node.file.rpartition('/')[2]}.")

    def _item(self, kind: str, name: str, at: int, reason: str = "") -> Item:
        if self._quiet:
            return Item(kind, name, self._node.file, at)
        return self._story.draft.item(kind, name, self._node.file, at, reason)

    def _add(self, depth: int, line: str) -> None:
        self._lines.append("    " * depth + line)

    # -- what waits ------------------------------------------------------------------------------------

    def _say(self, line: Line, depth: int, kind: str = "line") -> bool:
        found = self._story.texts(line, self._node.title)
        if found is None:
            return False
        reply, words = found
        reply.used = True
        self._flush(depth)
        self._draw(list(words.codes.values()), depth)
        slots = "".join(f", {name}={code}" for name, code in words.codes.items())
        self._add(depth, f"last = tell({reply.id!r}{slots})")
        self._at.waits = "yes"
        return True

    def _flush(self, depth: int) -> None:
        """Says the line that waits, with the effects of what followed it."""
        at = self._at
        if at.waits == "no":
            return
        if at.waits == "maybe":
            self._add(depth, "if said:")
        inner = depth + (at.waits == "maybe")
        thens = self._thens()
        if at.commands == "maybe":
            self._add(inner, "if now.commands:")
            self._add(inner + 1, f"await last{thens}.then(command, *now.commands)")
            self._add(inner, "else:")
            self._add(inner + 1, f"await last{thens}")
        else:
            self._add(inner, f"await last{thens}" + (".then(command, *now.commands)" if at.commands == "yes" else ""))
        if at.commands != "no":
            self._add(inner, "now = now._replace(commands=())")
        if at.waits == "yes":
            self._at = Standing()
        else:
            self._at = Standing("no", at.due, "no" if at.commands == "no" else "maybe")

    def _thens(self) -> str:
        facts = sorted(self._at.due - {"counts", "seed"})
        counts = sorted(self._at.due & {"counts", "seed"})
        found = f".then(keep, {', '.join(f'{one}=now.{one}' for one in facts)})" if facts else ""
        return found + (f".then(remember, {', '.join(f'{one}=now.{one}' for one in counts)})" if counts else "")

    def _leave(self, to: str, depth: int) -> None:
        """The node ends: its visit is counted, the line that waits is said, and ``to`` comes next."""
        for title in self._story.tracked.get(self._title, ()):
            self._change(depth, "counts", f"now = count_up(now, {f'node {title}'!r})")
        self._flush(depth)
        if self._at.due or self._at.commands != "no":
            self._story.left |= self._at.due
            self._story.leaves_commands |= self._at.commands != "no"
        self._add(depth, f"return {to}, now")
        self._ended = True

    def _change(self, depth: int, name: str, line: str) -> None:
        self._add(depth, line)
        self._at.due.add(name)

    def _draw(self, codes: list[str], depth: int) -> None:
        if any("drawn(" in code for code in codes):
            self._change(depth, "seed", "now = now._replace(seed=now.seed + 1)")

    # -- values ----------------------------------------------------------------------------------------

    def _value(self, text: str, wanted: Kind, item: Item) -> Value:
        """An expression; of one that cannot be read, a field of State that the host sets."""
        try:
            return value_of(text, self._story.scope, wanted)
        except DataError as error:
            key = f"condition {PurePath(self._node.file).stem} {item.line}"
            name = self._story.draft.fields.of(key)
            self._story.draft.state.setdefault(name, f"{name}: bool = False  # line {item.line}: for the host to set")
            item.note(f"{error.message}: the field {name} of State stands for it, and the host sets it")
            return Value(f"now.{name}", "bool", 0)

    def _holds(self, line: Line, once: str, item: Item) -> tuple[str, int]:
        """The condition of a line, option or member as Python, and how many conditions it counts for Yarn's saliency."""
        codes, score = ([f"counted(now, {once!r}) == 0"], 1) if line.once else ([], 0)
        if line.condition:
            found = self._value(line.condition, "bool", item)
            codes.append(found.code)
            score += found.n_conditions + 1
        return " and ".join(codes) or "True", score

    def _once_key(self, line_id: str = "") -> str:
        """The name under which it is kept that this was taken: by the id of the line, which stays when others are added."""
        self._n_once += not line_id
        return f"once {line_id or f'{self._title} {self._n_once}'}"
