"""Reads a Yarn Spinner 3 project: nodes become steps of one procedure, lines and options responses, variables the State."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from constrained.catalog.load import catalog_from
from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.draft import Draft, Place, Reply, sayable, shown
from constrained.cli.importing.sources import read_text, source_files
from constrained.cli.importing.texts import csv_cells
from constrained.cli.importing.write import catalog_data
from constrained.cli.importing.yarn_flow import ASSIGNMENT, MOST_JUMPS, NodeWriter, Story, all_statements
from constrained.cli.importing.yarn_plans import add_plan
from constrained.cli.importing.yarn_source import Command, If, Jump, Line, LineGroup, Node, Once, Options, Statement, read_file
from constrained.cli.importing.yarn_texts import Wording, wording
from constrained.cli.importing.yarn_values import DRAWN, PYTHON, ZERO, Kind, Scope, value_of
from constrained.errors import CatalogError, DataError

SALIENCY = ("best_least_recently_seen", "best", "first")
PROMPT = "\N{HORIZONTAL ELLIPSIS}"
IGNORED = frozenset({"title", "subtitle", "tracking", "position", "colorid", "style", "color", "saliency"})

HELPERS = '''def text(value: object) -> str:
    """A value as Yarn writes it."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def number(value: object) -> int | float:
    found = float(value)
    return int(found) if found == int(found) else found


def remainder(first: float, second: float) -> float:
    return first - second * int(first / second)


def ordinal(value: float) -> str:
    last = int(value) % 10 if int(value) % 100 not in (11, 12, 13) else 0
    return {1: "one", 2: "two", 3: "few"}.get(last, "other")


def counted(now: Now, key: str) -> int:
    """How often: ``node TITLE`` was left, ``seen ID`` was said of a group, ``once ...`` was taken."""
    return dict(now.counts).get(key, 0)


def count_up(now: Now, key: str) -> Now:
    return now._replace(counts=tuple({**dict(now.counts), key: counted(now, key) + 1}.items()))


def drawn(now: Now, n: int, size: int) -> int:
    """A number below ``size`` that follows from the seed of the story: the same story draws the same numbers."""
    found = now.seed * 1_000_003 + n * 7_919 + 12_345
    for _ in range(3):
        found = (found * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
    return (found >> 33) % max(size, 1)


def pick(now: Now, items: tuple[tuple[str, bool, int], ...]) -> str:
    """One of the items (key, may it be said, number of its conditions) by the strategy; empty where none may."""
    may = [one for one in items if one[1]]
    if not may:
        return ""
    if now.saliency == "first":
        return may[0][0]
    if now.saliency == "best":
        return max(may, key=lambda one: one[2])[0]
    return min(may, key=lambda one: (counted(now, f"seen {one[0]}"), -one[2]))[0]
'''
EFFECTS = '''@effect
def keep(state: Slots, **facts: object) -> Slots:
    """What the story sets: variables of the scripts."""
    return state.replace(**facts)


@effect(risk="low")
def remember(state: Slots, **facts: object) -> Slots:
    """What the story counts: visits, and what was said."""
    return state.replace(**facts)


@effect
def command(state: Slots, *texts: str) -> Slots:
    # a command of the scripts, as your game gets it from Yarn
    return state
'''


@dataclass(slots=True)
class Texts:
    """Lines as responses, each made once. ``read``: the text of a line as the catalog has it."""

    draft: Draft
    scope: Scope
    form: Literal["yarn", "renpy"] = "yarn"
    read: Callable[[Line, Scope], Wording] | None = None
    found: dict[tuple[str, int], tuple[Reply, Wording] | None] = field(default_factory=dict)
    ids: dict[str, Reply] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)
    options: set[int] = field(default_factory=set)
    raw: dict[str, str] = field(default_factory=dict)

    def of(self, line: Line, title: str) -> tuple[Reply, Wording] | None:
        """The response of a line; a stub where its text cannot be said; None where it has no text."""
        key = (self.files[id(line)], line.start)
        if key not in self.found:
            self.found[key] = self._made(line, title) if line.parts else None
        return self.found[key]

    def _made(self, line: Line, title: str) -> tuple[Reply, Wording]:
        draft, is_option = self.draft, id(line) in self.options
        raw = "".join(part if isinstance(part, str) else "" for part in line.parts)
        name = f"line_{line.id}" if line.id else f"{title} {raw[:40]}"
        when = f"the player chooses: {sayable(raw)}" if is_option else f"the story says: {sayable(raw)}"
        try:
            python = lambda one: value_of(one, self.scope).code  # noqa: E731
            words = self.read(line, self.scope) if self.read else wording(line.parts, python, draft.locale)
            reply = draft.reply(name, {draft.locale: words.text}, when, words.slots)
        except (ValueError, DataError) as error:
            reply, words = str(getattr(error, "message", error)), Wording("")
        if isinstance(reply, str):
            stub = draft.stub(name, raw or title, when)
            words = Wording(stub.texts[draft.locale], notes=[f"{reply}: its text is to be written"], stuck=reply)
            reply = stub
        elif line.id and not reply.tags and not reply.voice:
            reply.voice = line.id
        elif line.id and reply.voice != line.id:
            words.notes.append(f"it has the same text as {reply.id}, so the id {line.id} and a voice of its own are not carried")
        self._mark(reply, line, words, is_option)
        self.raw.setdefault(raw, reply.id)
        file, text = self.files[id(line)], reply.texts[draft.locale]
        place = Place(reply.id, draft.locale, text, file, line.at, line.start, line.end, self.form, words.holes, words.stuck or line.stuck)
        draft.places.append(place)
        return reply, words

    def settle(self) -> None:
        """Makes stubs of responses that could be said in the same words as another one: a catalog refuses those."""
        for _ in range(len(self.draft.replies)):
            try:
                catalog_from(catalog_data(self.draft))
                return
            except CatalogError as error:
                clashes = [found for one in error.problems if (found := re.match(r"'(\w+)' says in '[\w-]+' the same as (.*)", one.message))]
            if not clashes:
                return  # what else is wrong is told when the pack is written
            for clash in clashes:
                self._stub(clash[1], f"it may be said in the same words as {clash[2]}")

    def _stub(self, response_id: str, reason: str) -> None:
        reply = self.draft.replies[response_id]
        reply.texts, reply.slots, reply.is_stub = {self.draft.locale: f"(To be written [{response_id}].)"}, {}, True
        for key, one in self.found.items():
            if one is not None and one[0] is reply:
                self.found[key] = (reply, Wording("", notes=[f"{reason}: its text is to be written"], stuck=reason))
        self.draft.places = [
            replace(one, text=reply.texts[one.locale], stuck=reason) if one.response_id == response_id else one for one in self.draft.places
        ]

    def _mark(self, reply: Reply, line: Line, words: Wording, is_option: bool) -> None:
        speaker = line.speaker or words.speaker
        tags = [f"speaker:{speaker}"] if speaker else []
        tags += ["option" if is_option else "line"]
        tags += [tag for tag in line.tags if not tag.startswith(("line:", "shadow:"))]
        reply.tags += [tag for tag in tags if tag not in reply.tags and tag not in ("stub", "reserve", "moment", "returned", "too_long")]
        reply.voice = reply.voice or line.voice
        if line.id and line.id not in self.ids:
            self.ids[line.id] = reply
        if is_option and not words.codes:
            reply.add_examples(self.draft.locale, [sayable("".join(one for one in line.parts if isinstance(one, str))) or reply.id])


def import_yarn(source: Path, draft: Draft) -> None:
    """Fills the draft with the scripts, the string tables (CSV) and the test plans of a project."""
    nodes: list[Node] = []
    for path in source_files(source, (".yarn",), draft):
        text = read_text(path, draft)
        found, errors = read_file(path, text) if text is not None else ([], [])
        for error in errors:
            place = error.problems[0]  # type: ignore[attr-defined]  # each has one
            draft.item("node", "unread", place.file, place.line, place.message)
        nodes += found
    if not nodes:
        told = [f"{one.file}:{one.line}: {reason}" for one in draft.items for reason in one.reasons]
        raise DataError("no node of Yarn was found: " + ("; ".join(told)[:500] or str(source)), hint="name a .yarn file or its folder")
    project = Project(draft, nodes)
    project.write()
    for path in source_files(source, (".csv", ".testplan"), draft) if source.is_dir() else ():
        text = read_text(path, draft)
        if text is not None and path.suffix == ".csv":
            _add_table(text, str(path), draft, project.texts.ids)
        elif text is not None:
            add_plan(text, str(path), draft)


def _add_table(text: str, file: str, draft: Draft, ids: dict[str, Reply]) -> None:
    """The texts of a string table: columns ``id``, ``text`` and ``language``; {0}, {1} are the values of the line."""
    rows = csv_cells(text)
    header = [cell.value.strip().lower() for cell in rows[0]] if rows else []
    if not {"id", "text", "language"} <= set(header):
        draft.item("table", Path(file).name, file, 1, "it is no string table: it has no columns id, text and language")
        return
    for row in rows[1:]:
        values = dict(zip(header, row, strict=False))
        line_id, tag = values["id"].value.removeprefix("line:"), canonical_tag(values.get("language", values["id"]).value)
        cell = values.get("text")
        if cell is None or tag is None or not cell.value.strip():
            draft.item("translation", line_id, file, row[0].line, "a row without a text or a language")
            continue
        if tag == draft.locale:
            continue  # the script has these
        item = draft.item("translation", f"{line_id} {tag}", file, row[0].line)
        reply = ids.get(line_id)
        if reply is None:
            item.note("no line of the scripts has its id")
            continue
        holes = {name: f"{{{number}}}" for number, name in enumerate(reply.slots)}
        try:
            words = wording(_numbered(cell.value), str, draft.locale)
        except ValueError as error:
            item.note(str(error))
            continue
        if any(isinstance(kind, dict) and kind.get("type") == "choice" for kind in [*reply.slots.values(), *words.slots.values()]):
            item.note("forms by choice are carried in one language")
        elif draft.translate(reply, tag, words.text, item):
            place = Place(reply.id, tag, reply.texts[tag], file, cell.line, cell.start, cell.end, "csv", holes, words.stuck)
            draft.places.append(place)


def _numbered(text: str) -> list[str | tuple[str]]:
    parts = re.split(r"\{(\d+)\}", text)
    return [part if number % 2 == 0 else (part,) for number, part in enumerate(parts) if part or number % 2]


class Project:
    """Nodes as the functions of one procedure. ``declared``: declarations that stand in no node, with their files."""

    def __init__(
        self, draft: Draft, nodes: list[Node], texts: Texts | None = None, declared: Sequence[tuple[Command, Node]] = (), start: str = "Start"
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
        commands = self._used() + [(one, node) for node in self._nodes.values() for one in all_statements(node.body) if isinstance(one, Command)]
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
        sets = [(match[1], match[3], node.file, one.at) for one, node in commands if one.word == "set" and (match := ASSIGNMENT.match(one.text))]
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
        helpers = _used_helpers("\n".join(own))
        for name, mark in (("saliency", "def pick("), ("seed", "def drawn(")):
            if not any(mark in one for one in helpers):
                del draft.state[name]
        draft.functions = [EFFECTS, self._now(), *helpers, *own]
        jumps = "".join(f"        {'elif' if n else 'if'} at == {title!r}:\n            at, now = await {self._functions[title]}(state, heard, now)\n"
                        for n, title in enumerate([*self._nodes, *self._groups]))
        draft.main = (
            "async def story(state: Slots, heard: Heard):\n"
            '    """The node that the host names in State, and those that it leads to."""\n'
            f"    at, now = state.node, begun(state)\n    for _ in range({MOST_JUMPS}):\n{jumps}        else:\n            return\n"
        )

    def _now(self) -> str:
        """The story in the middle of a reply: the fields of State that scripts change, and the commands that wait for a line."""
        fields = {name: text.partition(" = ")[0].partition(": ")[2] for name, text in self._draft.state.items() if name != "node"}
        lines = ["class Now(NamedTuple):", '    """The story in the middle of a reply. State follows when the effects of the reply run."""', ""]
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


def _used_helpers(code: str) -> list[str]:
    """The helpers that this code calls, and those that they call."""
    helpers = {re.match(r"def (\w+)", one)[1]: f"{one.rstrip()}\n" for one in re.split(r"\n\n\n(?=def )", HELPERS)}  # type: ignore[index]
    used: set[str] = set()
    for _ in helpers:
        text = code + "".join(helpers[name] for name in used)
        used |= {name for name in helpers if re.search(rf"(?<!def )\b{name}\(", text)}
    return [text for name, text in helpers.items() if name in used]


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
