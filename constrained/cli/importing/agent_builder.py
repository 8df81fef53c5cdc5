"""Reads the code of an Agent Builder workflow: its nodes become the steps of a procedure, its words remain to be written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from constrained.cli.importing.draft import Draft, Item, Names, Reply, escape_braces, shown
from constrained.cli.importing.sources import read_text, source_files
from constrained.cli.importing.workflow import REASONS, Agent, Branch, Condition, End, Loop, Node, Other, Run, Workflow
from constrained.cli.importing.workflow_python import read_python
from constrained.cli.importing.workflow_typescript import read_typescript
from constrained.errors import DataError

SUFFIXES = (".ts", ".tsx", ".mts", ".js", ".mjs", ".py")
ROUNDS = 2  # of a loop: procedures have bounds
MAX_STEPS, MAX_DEPTH = 500, 40
MAX_WAYS = 200


def import_agent_builder(source: Path, draft: Draft) -> None:
    """Fills the draft. Raises DataError unless exactly one file has ``runWorkflow`` or ``run_workflow``."""
    found: list[Workflow] = []
    for path in source_files(source, SUFFIXES, draft):
        text = read_text(path, draft)
        if text is None or not any(word in text for word in ("run_workflow", "runWorkflow", "Agent(")):
            continue
        try:
            found.append((read_python if path.suffix == ".py" else read_typescript)(text, str(path)))
        except DataError as error:
            if source.is_file():
                raise
            draft.item("file", path.name, str(path), 0, error.message)
    entries = [one for one in found if one.nodes is not None]
    if len(entries) != 1:
        places = ", ".join(f"{one.file}:{one.line}" for one in entries[:10]) or "none"
        raise DataError(f"one function runWorkflow or run_workflow is read; found: {places}", hint="name the file of one workflow")
    workflow = entries[0]
    agents = {name: agent for one in found for name, agent in one.agents.items()} | workflow.agents
    _Writer(draft, workflow, agents).write()
    for one in found:
        for other in one.others:
            draft.item(other.kind, other.text, one.file, other.line, other.reason)


@dataclass(slots=True)
class _Way:
    """What was surely said on the way to a line, which stub conditions hold there, and whether anything was said since the last wait."""

    said: tuple[str, ...] = ()
    holds: dict[str, bool] = field(default_factory=dict)
    spoke: bool = False
    ended: bool = False

    def after(self, response_id: str, *, spoke: bool = True) -> _Way:
        return _Way((*self.said, response_id), dict(self.holds), spoke)

    def under(self, holds: dict[str, bool]) -> _Way:
        return _Way(self.said, self.holds | holds, self.spoke)


class _Writer:
    """Writes the nodes as lines of one procedure."""

    def __init__(self, draft: Draft, workflow: Workflow, agents: dict[str, Agent]) -> None:
        self._draft, self._workflow = draft, workflow
        self._locals = Names()
        self._agents = {name: (agent, self._agent_item(agent)) for name, agent in agents.items()}
        self._lines: list[str] = []
        self._n_steps = 0

    def write(self) -> None:
        nodes = self._workflow.nodes or []
        way = self._block(nodes, _Way(), 1)
        if not way.ended:
            self._end(way, 1, End("", self._workflow.line), needs_words=not way.spoke)
        head = f"async def {self._locals.new('workflow')}(state: Slots, heard: Heard):\n"
        self._draft.main = head + '    """The nodes of the workflow, in order."""\n' + "".join(f"{line}\n" for line in self._lines)

    def _agent_item(self, agent: Agent) -> Item:
        item = self._draft.item("agent", agent.name, agent.file, agent.line)
        for kind, name, line in agent.parts:
            self._draft.item(kind, name, agent.file, line, REASONS[kind])
        return item

    def _add(self, depth: int, line: str, at: int = 0, comment: str = "") -> None:
        note = f"  # {comment}line {at}" if at else ""
        self._lines.append("    " * depth + line + note)

    def _block(self, nodes: list[Node], way: _Way, depth: int) -> _Way:
        for number, node in enumerate(nodes):
            if way.ended or depth > MAX_DEPTH or self._n_steps > MAX_STEPS:
                reason = "no way leads there" if way.ended else f"more than {MAX_STEPS} steps, or nested more than {MAX_DEPTH} deep"
                self._lose(nodes[number:], reason)
                break
            if isinstance(node, Run):
                following = nodes[number + 1] if number + 1 < len(nodes) else None
                way = self._run(node, following, way, depth)
            elif isinstance(node, Branch):
                way = self._branch(node, way, depth)
            elif isinstance(node, Loop):
                way = self._loop(node, way, depth)
            elif isinstance(node, End):
                way = self._end(way, depth, node, needs_words=bool(node.text) or not way.spoke)
                self._add(depth, "return", node.line)
                way.ended = True
            else:
                self._draft.item(node.kind, node.text, self._workflow.file, node.line, node.reason)
        return way

    def _lose(self, nodes: list[Node], reason: str) -> None:
        """Counts nodes that are not written, and all that lies in them."""
        for node in nodes:
            kind = node.kind if isinstance(node, Other) else "while" if isinstance(node, Loop) else type(node).__name__.lower()
            name = node.agent if isinstance(node, Run) else node.text if isinstance(node, Other) else kind
            self._draft.item(kind, name, self._workflow.file, node.line, reason)
            if isinstance(node, Branch):
                for _, body in node.cases:
                    self._lose(body, reason)
                self._lose(node.otherwise, reason)
            elif isinstance(node, Loop):
                self._lose(node.body, reason)

    # -- one node each -----------------------------------------------------------------------------

    def _run(self, node: Run, following: Node | None, way: _Way, depth: int) -> _Way:
        self._n_steps += 1
        item = self._draft.item("run", node.agent, self._workflow.file, node.line)
        known = self._agents.get(node.agent)
        title = known[0].name if known else node.agent
        if isinstance(following, Branch) and self._chooses(node, following):
            became = "the condition of a branch" if way.spoke else "a step that chooses"
            item.carry(became)
            if known:
                known[1].carry(became)
            return way  # the branch writes it
        reply = self._draft.stub(f"{title}", f"what {shown(title)} says", f"the user needs {title}")
        reply.used = True
        reply.add_examples(self._draft.locale, [title])
        self._add(depth, f"await tell({reply.id!r})", node.line)
        item.carry(f"the step {reply.id}")
        item.note("its text is not generated: it is to be written and approved")
        if known:
            known[1].carry(f"the response {reply.id}")
        else:
            item.note("the agent is defined in no file that was read")
        return way.after(reply.id)

    @staticmethod
    def _chooses(node: Run, branch: Branch) -> bool:
        """Whether the branch goes by what this agent has found: every case compares the same field of its result with a text."""
        subjects = {condition.subject for condition, _ in branch.cases}
        root = re.match(r"\w*", next(iter(subjects)))
        own = re.sub(r"(_?[Rr]esult)?(_?[Tt]emp)?$", "", node.result)
        is_own = root is not None and own != "" and re.sub(r"(_?[Rr]esult)?(_?[Tt]emp)?$", "", root[0]) == own
        return len(subjects) == 1 and all(condition.value for condition, _ in branch.cases) and is_own

    def _branch(self, node: Branch, way: _Way, depth: int) -> _Way:
        draft, file = self._draft, self._workflow.file
        values = [condition.value for condition, _ in node.cases]
        subjects = {condition.subject for condition, _ in node.cases}
        chosen = ""
        is_choice = all(values) and len(subjects) == 1 and len(set(values)) == len(values) and not min(subjects).startswith("state")
        if is_choice and not way.spoke:  # once something is said in this turn, it is no longer the message that is looked at
            chosen = self._locals.new(["chosen", *re.findall(r"\w+", next(iter(subjects)))][-1])
            other = self._locals_free(values)
            self._add(depth, f"{chosen} = await choose({', '.join(map(repr, [*values, other]))})", node.line)
        ways, false = [], dict[str, bool]()
        for number, (condition, body) in enumerate(node.cases):
            item = draft.item("branch", condition.text, file, condition.line)
            word = "elif" if number else "if"
            if chosen:
                self._add(depth, f"{word} {chosen} == {condition.value!r}:", condition.line)
                item.carry("a choice")
                item.note("it goes by the user's message, not by what an agent found")
                start = way.under({})
            elif condition.approval is not None:
                start = self._approval(condition, item, word, way, depth)
                way = _Way(start.said, way.holds)
            else:
                name = self._condition(condition, item)
                self._add(depth, f"{word} state.{name}:", condition.line)
                start, false = way.under(false | {name: True}), false | {name: False}
            ways.append(self._body(body, start, depth + 1, condition.value or "yes", words=bool(chosen)))
        self._add(depth, "else:", 0)
        start = way.under(false)
        ways.append(self._body(node.otherwise, start, depth + 1, "otherwise", words=bool(chosen)))
        return self._join(way, ways)

    @staticmethod
    def _locals_free(values: list[str]) -> str:
        other = "other"
        while other in values:
            other += "_"
        return other

    def _body(self, nodes: list[Node], way: _Way, depth: int, name: str, *, words: bool) -> _Way:
        """A branch; ``words``: it must say something of its own, since it is picked by what it says."""
        before, n_lines = len(way.said), len(self._lines)
        if words and not any(isinstance(one, Run | Branch | Loop) or (isinstance(one, End) and one.text) for one in nodes):
            reply = self._draft.stub(f"then_{name}", f"what is said when it is {shown(name)}", name)
            reply.used = True
            reply.add_examples(self._draft.locale, [name])
            self._add(depth, f"await tell({reply.id!r})")
            way = way.after(reply.id)
        way = self._block(nodes, way, depth)
        if len(self._lines) == n_lines:
            self._add(depth, "pass")
        if not way.ended and len(way.said) > before:
            self._keep(way)
        return way

    @staticmethod
    def _join(before: _Way, ways: list[_Way]) -> _Way:
        going = [one for one in ways if not one.ended]
        return _Way(before.said, dict(before.holds), all(one.spoke for one in going), ended=not going)

    def _approval(self, condition: Condition, item: Item, word: str, way: _Way, depth: int) -> _Way:
        reply: Reply | str = self._draft.reply("approval", {self._draft.locale: escape_braces(condition.approval or "")}, "a yes is needed")
        if isinstance(reply, str) or reply.used:
            reply = self._draft.stub("approval", "what the user approves", "a yes is needed")
            item.note("its message is not written out, or is asked before: it is to be written")
        reply.used = True
        self._add(depth, f"{word} await confirm({reply.id!r}):", condition.line)
        item.carry("a step that asks for a yes")
        return way.after(reply.id, spoke=False)

    def _condition(self, condition: Condition, item: Item) -> str:
        name = self._draft.fields.new("condition")
        self._draft.state[name] = f"{name}: bool = False  # line {condition.line}: {shown(condition.text)}"
        item.carry(f"the field {name} of State")
        item.note(f"what {shown(condition.text)} tests is for the host to say: set {name}")
        return name

    def _loop(self, node: Loop, way: _Way, depth: int) -> _Way:
        item = self._draft.item("while", node.condition.text, self._workflow.file, node.line)
        name = self._condition(node.condition, item)
        item.note(f"a loop has a bound: {ROUNDS} rounds")
        self._add(depth, f"for _ in range({ROUNDS}):", node.line)
        self._add(depth + 1, f"if not state.{name}:")
        self._add(depth + 2, "break")
        self._body(node.body, way.under({name: True}), depth + 1, name, words=False)
        return _Way(way.said, dict(way.holds))

    def _end(self, way: _Way, depth: int, node: End, *, needs_words: bool) -> _Way:
        item = self._draft.item("end", node.text or "end", self._workflow.file, node.line)
        item.carry("the end of the procedure")
        if needs_words:
            reply: Reply | str = self._draft.reply("end", {self._draft.locale: escape_braces(node.text)}, "the workflow ends")
            if isinstance(reply, str) or reply.used:
                reply = self._draft.stub("end", "what is said at the end", "the workflow ends")
            reply.used = True
            self._add(depth, f"await tell({reply.id!r})", node.line)
            way = way.after(reply.id)
        self._keep(way)
        return way

    def _keep(self, way: _Way) -> None:
        draft = self._draft
        if len(way.said) > 1 and way.said not in draft.paths and len(draft.paths) < MAX_WAYS:
            draft.paths.append(way.said)
        if way.holds not in draft.starts and len(draft.starts) < MAX_WAYS:
            draft.starts.append(dict(way.holds))
