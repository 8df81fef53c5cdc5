"""Nodes of scripts as one procedure: their declarations the State, their expressions Python, each node a function."""

from __future__ import annotations

import re
from collections.abc import Sequence

from constrained.cli.importing.draft import Draft, Reply
from constrained.cli.importing.script_code import MOST_JUMPS, Story
from constrained.cli.importing.script_flow import ASSIGNMENT, NodeWriter, all_statements, openings
from constrained.cli.importing.script_helpers import EFFECTS, SALIENCY, used_helpers
from constrained.cli.importing.script_texts import Texts
from constrained.cli.importing.yarn_source import Command, If, Jump, Line, LineGroup, Node, Once, Options, Statement
from constrained.cli.importing.yarn_values import PYTHON, ZERO, Kind, Scope, value_of
from constrained.errors import DataError

PROMPT = "\N{HORIZONTAL ELLIPSIS}"
GREETINGS = ("Hello.", "Hi there!", "Good day.", "Excuse me.", "Can we talk?")
IGNORED = frozenset({"title", "subtitle", "tracking", "position", "colorid", "style", "color", "saliency"})


class Project:
    """Nodes as the functions of one procedure. ``declared``: declarations that stand in no node, with their files."""

    def __init__(
        self,
        draft: Draft,
        nodes: list[Node],
        texts: Texts | None = None,
        declared: Sequence[tuple[Command, Node]] = (),
        start: str = "Start",
    ) -> None:
        self._draft, self._scope, self._start, self._outside = draft, texts.scope if texts else Scope(), start, list(declared)
        self.texts = texts or Texts(draft, self._scope)
        self._functions: dict[str, str] = {}
        self._groups: dict[str, list[Node]] = {}
        self._nodes: dict[str, Node] = {}
        for node in nodes:
            self._take(node)
        for node in self._nodes.values():
            for one in all_statements(node.body):
                self._place(one, node.file)

    def _take(self, node: Node) -> None:
        """One more node; several of one title are a group, where each has a ``when:``."""
        title = node.title
        if node.whens:
            members = self._groups.setdefault(title, [])
            title = f"{node.title}.{node.headers.get('subtitle') or len(members) + 1}"
            members.append(node)
        if title in self._nodes or (title in self._groups and not node.whens) or (node.whens and node.title in self._nodes):
            reason = "another node has its title" + ("" if node.whens else ", and it has no when:")
            self._draft.item("node", title, node.file, node.at, reason)
            if node.whens:
                self._groups[node.title].remove(node)
            return
        self._nodes[title] = node
        if node.is_part:
            return
        unknown = sorted(name for name, value in node.headers.items() if name not in IGNORED and value)
        item = self._draft.item("node", title, node.file, node.at)
        item.carry("a function of the procedure")
        if unknown:
            item.note(f"its headers {', '.join(unknown)} are not carried")

    def _place(self, one: Statement, file: str) -> None:
        for line in _lines(one):
            self.texts.files[id(line)] = file
        if isinstance(one, Options):
            self.texts.options |= {id(item.line) for item in one.items}

    # -- declarations ------------------------------------------------------------------------------------

    def write(self) -> None:
        draft = self._draft
        for name in ("node", "counts", "commands", "saliency", "seed", "now", "last", "said", "picked", "at", "item", "choices"):
            draft.fields.new(name)
        commands = self._used() + [
            (one, node) for node in self._nodes.values() for one in all_statements(node.body) if isinstance(one, Command)
        ]
        self._enums(commands)
        declared = self._declared(commands)
        expressions = [pair for node in self._nodes.values() for pair in _expressions(node)]
        self._infer(expressions, commands)
        start = self._start if self._start in self._nodes or self._start in self._groups else next(iter(self._nodes)).partition(".")[0]
        draft.state["node"] = f"node: str = {start!r}  # where a conversation begins"
        for name, target in self._scope.fields.items():
            kind = self._scope.kinds.get(name, "")
            kinds = PYTHON.get(kind, "bool | int | float | str")
            draft.state[target] = f"{target}: {kinds} = {declared.get(name, ZERO[kind])}  # {name}"
        draft.state["counts"] = "counts: tuple[tuple[str, int], ...] = ()  # visits, what was said of groups, and what was taken once"
        draft.state["saliency"] = f"saliency: Literal{list(SALIENCY)!r} = {SALIENCY[0]!r}".replace("'", '"')
        draft.state["seed"] = "seed: int = 0"
        self._write_nodes()

    def _used(self) -> list[tuple[Command, Node]]:
        """The declarations outside of nodes whose variable the story reads or sets; the others are told."""
        texts = [text for node in self._nodes.values() for text, *_ in _expressions(node)]
        texts += [one.text for node in self._nodes.values() for one in all_statements(node.body) if isinstance(one, Command) and one.word]
        named = {name for text in texts for name in re.findall(r"\$\w+", text)}
        kept: list[tuple[Command, Node]] = []
        for one, node in self._outside:
            if one.text.split(" ")[0] in named:
                kept.append((one, node))
            else:
                self._draft.item("definition", one.text.split(" ")[0], node.file, one.at, "nothing of the story uses it")
        return kept

    def _enums(self, commands: list[tuple[Command, Node]]) -> None:
        title = ""
        for one, node in commands:
            if one.word == "enum":
                title = one.text
                self._scope.enums[title] = {}
                self._draft.item("enum", title, node.file, one.at).carry("its cases as values")
            elif one.word == "case" and title:
                name, _, raw = (part.strip() for part in one.text.partition("="))
                try:
                    found = value_of(raw, Scope()) if raw else None
                except DataError as error:
                    self._draft.item("case", one.text, node.file, one.at, error.message)
                    continue
                cases = self._scope.enums[title]
                cases[name] = (found.code, found.kind) if found else (str(len(cases)), "number")

    def _declared(self, commands: list[tuple[Command, Node]]) -> dict[str, str]:
        """Variable -> its first value in Python; what is computed of others becomes a function."""
        initial: dict[str, str] = {}
        smart: list[tuple[str, str, Command, Node]] = []
        for one, node in commands:
            match = ASSIGNMENT.match(one.text) if one.word == "declare" else None
            if one.word == "declare" and (match is None or not match[3].strip()):
                self._draft.item("declare", one.text, node.file, one.at, "it declares no variable with a value")
            if match is None:
                continue
            name, text = match[1], re.sub(r"\s+as\s+\w+\s*$", "", match[3])
            try:
                found = value_of(text, self._scope)
            except DataError as error:
                self._draft.item("declare", one.text, node.file, one.at, error.message)
                continue
            if found.reads or found.calls or "now" in found.code:
                smart.append((name, text, one, node))
                continue
            self._scope.fields.setdefault(name, self._draft.fields.of(name))
            self._scope.kinds[name] = found.kind
            initial[name] = found.code
            self._draft.item("declare", name, node.file, one.at).carry(f"the field {self._scope.fields[name]} of State")
        for name, _, _, _ in smart:
            self._scope.smart[name] = self._draft.fields.new(f"smart {name}")
        for name, text, one, node in smart:
            found = value_of(text, self._scope)
            self._scope.kinds[name] = found.kind
            item = self._draft.item("declare", name, node.file, one.at)
            if self._loops(name, {key: value for key, value, _, _ in smart}, ()):
                item.note("it is computed of itself")
                self._draft.functions.append(f"def {self._scope.smart[name]}(now: Now):\n    return {ZERO[found.kind]}\n")
                continue
            item.carry(f"the function {self._scope.smart[name]}")
            self._draft.functions.append(f"def {self._scope.smart[name]}(now: Now):\n    return {found.code}\n")
        return initial

    def _loops(self, name: str, texts: dict[str, str], seen: tuple[str, ...]) -> bool:
        if name in seen:
            return True
        reads = value_of(texts[name], self._scope).reads if name in texts else ()
        return any(self._loops(one, texts, (*seen, name)) for one in dict.fromkeys(reads) if one in texts)

    def _infer(self, expressions: list[tuple[str, Kind, str, int]], commands: list[tuple[Command, Node]]) -> None:
        """Fields for variables that nothing declares, their types by their use; stubs for functions of the game."""
        calls: dict[str, tuple[int, Kind, str, int]] = {}
        sets = [
            (match[1], match[3], node.file, one.at) for one, node in commands if one.word == "set" and (match := ASSIGNMENT.match(one.text))
        ]
        for _ in range(3):
            for name, text, file, at in sets:
                kind = self._scope.kinds.get(name, "")
                self._reads(text, kind, file, at, calls)
                self._reads(name, "", file, at, calls)
                try:
                    self._scope.kinds[name] = kind or value_of(text, self._scope).kind
                except DataError:
                    continue
            for text, kind, file, at in expressions:
                self._reads(text, kind, file, at, calls)
        for name, (n_values, kind, file, at) in calls.items():
            function = self._scope.functions[name]
            values = "".join(f"value_{number}: object, " for number in range(1, n_values + 1)).rstrip(", ")
            self._draft.functions.append(f"def {function}({values}) -> object:\n    return {ZERO[kind]}  # a function of your game\n")
            item = self._draft.item("function", name, file, at)
            item.carry(f"the function {function}")
            item.note("it is a stub: write what your game answers")

    def _reads(self, text: str, kind: Kind, file: str, at: int, calls: dict[str, tuple[int, Kind, str, int]]) -> None:
        try:
            found = value_of(text, self._scope, kind)
        except DataError:
            return  # told where the statement is written
        for name in found.reads:
            if name not in self._scope.smart:
                self._scope.fields.setdefault(name, self._draft.fields.of(name))
        for name, n_values, wanted in found.calls:
            self._scope.functions.setdefault(name, self._draft.fields.of(f"function {name}"))
            known = calls.get(name, (n_values, "", file, at))
            calls[name] = (n_values, known[1] or wanted, known[2], known[3])

    # -- nodes -------------------------------------------------------------------------------------------

    def _write_nodes(self) -> None:
        draft = self._draft
        for title in [*self._nodes, *self._groups]:
            self._functions.setdefault(title, draft.fields.new(f"node {title}"))
        self._scope.content = self._content
        for title, node in self._nodes.items():
            for one in all_statements(node.body):
                for line in _lines(one):
                    self.texts.of(line, title)
        self.texts.settle()
        self._greet()
        story = Story(draft, self._scope, self.texts.of, self._functions, self._tracked(), set(), self._prompt)
        story.chains = self._chains()
        story.loops = self._circles(story.chains)
        for _ in range(2):  # once to learn what a node may leave to the next one
            for title, node in self._nodes.items():
                NodeWriter(story, node, title).write(report=False)
        nodes = [NodeWriter(story, node, title).write(report=True) for title, node in self._nodes.items()]
        if story.left or story.leaves_commands:
            names = ", ".join(sorted(story.left)) or "commands"
            reason = f"what changes {names} behind the last line of a conversation, in a node that says nothing, is lost"
            draft.item("story", "end", next(iter(self._nodes.values())).file, 0).note(reason)
            draft.items[-1].carry("nodes")
        own = [*draft.functions, *nodes, *map(self._group, self._groups)]
        helpers = used_helpers("\n".join(own))
        for name, mark in (("saliency", "def pick("), ("seed", "def drawn(")):
            if not any(mark in one for one in helpers):
                del draft.state[name]
        draft.functions = [EFFECTS, self._now(), *helpers, *own]
        jumps = "".join(
            f"        {'elif' if n else 'if'} at == {title!r}:\n            at, now = await {self._functions[title]}(state, heard, now)\n"
            for n, title in enumerate([*self._nodes, *self._groups])
        )
        draft.main = (
            "async def story(state: Slots, heard: Heard):\n"
            '    """The node that the host names in State, and those that it leads to."""\n'
            f"    at, now = state.node, begun(state)\n    for _ in range({MOST_JUMPS}):\n{jumps}        else:\n            return\n"
        )

    def _greet(self) -> None:
        """Lines that a conversation may begin with answer a greeting: else nothing would lead from the first message into the story."""
        bodies = {title: node.body for title, node in self._nodes.items()}
        bodies |= {title: [one for _, node in self._members(title) for one in node.body] for title in self._groups}
        start = self._draft.state["node"].split("'")[1]
        for line in openings(bodies.get(start, []), bodies)[0]:
            found = self.texts.of(line, start)
            if found is not None and self._draft.locale.partition("-")[0] == "en":
                found[0].add_examples(self._draft.locale, GREETINGS)

    def _now(self) -> str:
        """The story in the middle of a reply: the fields of State that scripts change, and the commands that wait for a line."""
        fields = {name: text.partition(" = ")[0].partition(": ")[2] for name, text in self._draft.state.items() if name != "node"}
        lines = [
            "class Now(NamedTuple):",
            '    """The story in the middle of a reply. State follows when the effects of the reply run."""',
            "",
        ]
        lines += [f"    {name}: {kind}" for name, kind in fields.items()] + ["    commands: tuple[str, ...] = ()", "", ""]
        given = ", ".join(f"state.{name}" for name in fields)
        return "\n".join([*lines, "def begun(state: Slots) -> Now:", f"    return Now({given})", ""])

    def _prompt(self) -> Reply:
        known = next((one for one in self._draft.replies.values() if "prompt" in one.tags), None)
        if known is not None:
            return known
        reply = self._draft.reply("prompt", {self._draft.locale: PROMPT}, "the player is to choose")
        assert isinstance(reply, Reply)  # noqa: S101  # its text may be said
        reply.used = True
        reply.tags.append("prompt")
        reason = f"options that no line stands before are asked for with {PROMPT!r}: a reply says something"
        item = self._draft.item("options", "without a line", next(iter(self._nodes.values())).file, 0)
        item.carry("the response prompt")
        item.note(reason)
        return reply

    def _tracked(self) -> dict[str, tuple[str, ...]]:
        """Title -> the titles whose visits count when it is left."""
        texts = " ".join(text for node in self._nodes.values() for text, *_ in _expressions(node))
        texts += " ".join(one.text for node in self._nodes.values() for one in all_statements(node.body) if isinstance(one, Command))
        named = set(re.findall(r'visited(?:_count)?\s*\(\s*"([^"]*)"', texts))
        found: dict[str, tuple[str, ...]] = {}
        for title, node in self._nodes.items():
            group = node.title if node.whens else ""
            wanted = node.headers.get("tracking", "")
            counted = [one for one in (title, group) if one and wanted != "never" and (one in named or wanted == "always")]
            found[title] = tuple(counted)
        return found

    def _chains(self) -> dict[str, list[str]]:
        """Node that is called -> the nodes that its jumps lead to, directly or through others."""
        jumps = {title: _targets(node, is_detour=False) for title, node in self._nodes.items()}
        called = {
            one.target for node in self._nodes.values() for one in all_statements(node.body) if isinstance(one, Jump) and one.comes_back
        }
        found: dict[str, list[str]] = {}
        for title in called & self._nodes.keys():
            seen, todo = list[str](), list(jumps[title])
            while todo:
                one = todo.pop(0)
                if one not in seen and one in self._nodes:
                    seen.append(one)
                    todo += jumps[one]
            found[title] = seen
        return found

    def _circles(self, chains: dict[str, list[str]]) -> set[tuple[str, str]]:
        """(node, target) of detours that would come back to the node: a procedure has none."""
        awaited: dict[str, set[str]] = {}
        for title, node in self._nodes.items():
            targets = {one for one in _targets(node, is_detour=True) if one in self._nodes or one in self._groups}
            awaited[title] = targets | {one for target in targets for one in chains.get(target, ())}
        for group, members in self._groups.items():
            awaited[group] = {title for title, node in self._nodes.items() if any(node is one for one in members)}
        found: set[tuple[str, str]] = set()
        for title, targets in awaited.items():
            for target in targets:
                if title in self._nodes and _reaches(target, title, awaited):
                    found.add((title, target))
        return found

    def _holds(self, title: str, node: Node) -> tuple[str, int]:
        """The conditions of a member of a group, and their number."""
        codes: list[str] = []
        score = 0
        for text, at in node.whens:
            condition = re.sub(r"^once\b\s*(if\b)?\s*", "", text)
            if text.startswith("once"):
                codes.append(f"counted(now, {f'once node {title}'!r}) == 0")
                score += 1
            if condition and condition != "always":
                try:
                    value = value_of(condition, self._scope, "bool")
                    codes.append(value.code)
                    score += value.n_conditions + 1
                except DataError as error:
                    self._draft.item("when", text, node.file, at, f"{error.message}: the node is never picked")
                    codes.append("False")
        return " and ".join(codes) or "True", score

    def _members(self, title: str) -> list[tuple[str, Node]]:
        return [(name, node) for name, node in self._nodes.items() if any(node is one for one in self._groups[title])]

    def _content(self, title: str) -> str:
        """Whether a node can be run now, as Python; ``title`` is a literal of Python."""
        name = title.strip("'\"")
        if name not in self._groups:
            return str(name in self._nodes)
        return "(" + " or ".join(f"({self._holds(one, node)[0]})" for one, node in self._members(name)) + ")"

    def _group(self, title: str) -> str:
        members = self._members(title)
        item = self._draft.item("node group", title, members[0][1].file, members[0][1].at)
        item.carry(f"the function {self._functions[title]}")
        given = ", ".join("({!r}, {}, {})".format(name, *self._holds(name, node)) for name, node in members)
        lines = [f"async def {self._functions[title]}(state: Slots, heard: Heard, now: Now):"]
        lines += [f'    """One of the nodes {title}, by the saliency strategy."""', f"    item = pick(now, ({given},))", '    at = ""']
        for number, (name, node) in enumerate(members):
            lines += [f"    {'elif' if number else 'if'} item == {name!r}:"]
            lines += [f"        now = count_up(now, {f'seen {name}'!r})"]
            if any(text.startswith("once") for text, _ in node.whens):
                lines += [f"        now = count_up(now, {f'once node {name}'!r})"]
            lines += [f"        at, now = await {self._functions[name]}(state, heard, now)"]
        return "\n".join([*lines, "    return at, now", ""])


def _targets(node: Node, *, is_detour: bool) -> list[str]:
    return [one.target.strip('"') for one in all_statements(node.body) if isinstance(one, Jump) and one.is_detour is is_detour]


def _reaches(begin: str, end: str, awaited: dict[str, set[str]]) -> bool:
    seen, todo = set[str](), [begin]
    while todo:
        one = todo.pop()
        if one == end:
            return True
        if one not in seen:
            seen.add(one)
            todo += awaited.get(one, ())
    return False


def _lines(one: Statement) -> list[Line]:
    return [one] if isinstance(one, Line) else [item.line for item in one.items] if isinstance(one, Options | LineGroup) else []


def _expressions(node: Node) -> list[tuple[str, Kind, str, int]]:
    """The expressions of a node, the type that the place of each asks for, and where it stands."""
    found: list[tuple[str, Kind, str, int]] = []
    for text, at in node.whens:
        condition = re.sub(r"^once\b\s*(if\b)?\s*", "", text)
        found += [(condition, "bool", node.file, at)] if condition not in ("", "always") else []
    for one in all_statements(node.body):
        for line in _lines(one):
            found += [(part[0], "", node.file, line.at) for part in line.parts if isinstance(part, tuple)]
            found += [(value, "", node.file, line.at) for value in line.values]
            found += [(line.condition, "bool", node.file, line.at)] if line.condition else []
        if isinstance(one, If):
            found += [(text, "bool", node.file, one.at) for text, _ in one.cases if text]
        elif isinstance(one, Once) and one.condition:
            found.append((one.condition, "bool", node.file, one.at))
        elif isinstance(one, Jump) and one.is_expression:
            found.append((one.target, "string", node.file, one.at))
        elif isinstance(one, Command) and not one.word:
            found += [(part[0], "", node.file, one.at) for part in one.parts if isinstance(part, tuple)]
    return found
