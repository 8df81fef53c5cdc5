"""Scripts as steps of a procedure: each node becomes an async function that says its lines in order."""

from __future__ import annotations

import re
from collections.abc import Callable

from constrained.cli.importing.draft import Item, Reply
from constrained.cli.importing.script_code import MOST_JUMPS, STOP, NodeCode, Standing, joined
from constrained.cli.importing.yarn_source import Command, If, Jump, Line, LineGroup, Once, Options, Statement
from constrained.cli.importing.yarn_source import Item as Choice
from constrained.cli.importing.yarn_values import constant

NOT_CARRIED = {"call": "what a call does is for an effect: write it there", "local": "the word is reserved"}
ASSIGNMENT = re.compile(r"(\$\w+)\s*(\+=|-=|\*=|/=|%=|=(?!=)|to\b)\s*(.+)$", re.DOTALL)


class NodeWriter(NodeCode):
    """Writes the function of one node, and counts its statements as items of the draft."""

    def write(self, *, report: bool) -> str:
        """The function. ``report``: count its statements as items of the draft."""
        self._quiet = not report
        name = self._story.functions[self._title]
        self._block(self._node.body, 1)
        if not self._ended:
            self._leave('""', 1)
        body = re.sub(r"^( +)last = (tell\(.*\))\n\1await last$", r"\1await \2", "\n".join(self._lines), flags=re.MULTILINE)
        if re.search(r"\bif said:", body):
            lines = [text for one in body.split("\n") for text in self._with_said(one)]
            body = "\n".join(["    said = False", *lines])
        return f'async def {name}(state: Slots, heard: Heard, now: Now):\n    """{self._place()}"""\n{body}\n'

    @staticmethod
    def _with_said(line: str) -> list[str]:
        space = line[: len(line) - len(line.lstrip())]
        if line.lstrip().startswith("last = tell("):
            return [line, f"{space}said = True"]
        if line.lstrip().startswith("await last"):
            return [line, f"{space}said = False"]
        return [line]

    # -- statements ------------------------------------------------------------------------------------

    def _block(self, body: list[Statement], depth: int) -> None:
        number = 0
        while number < len(body):
            if self._ended:
                self._lose(body[number:])
                break
            statement = body[number]
            question = self._question(body, number)
            if question:
                self._ask(statement, body[number + 1 : question], body[question], depth)
                number = question + 1
                continue
            self._statement(statement, depth)
            number += 1

    @staticmethod
    def _question(body: list[Statement], number: int) -> int:
        """Where the options stand that this line asks for: with nothing between but commands; 0 where there are none."""
        line = body[number]
        if not isinstance(line, Line) or line.condition or line.once:
            return 0
        for after in range(number + 1, len(body)):
            one = body[after]
            if isinstance(one, Options):
                return after
            if not isinstance(one, Command) or one.word not in ("", "set", "declare"):
                return 0
        return 0

    def _statement(self, one: Statement, depth: int) -> None:
        if isinstance(one, Line):
            self._line(one, depth)
        elif isinstance(one, Options):
            self._options(one, None, {}, depth)
        elif isinstance(one, LineGroup):
            self._group(one, depth)
        elif isinstance(one, If):
            self._if(one, depth)
        elif isinstance(one, Once):
            self._once(one, depth)
        elif isinstance(one, Jump):
            self._jump(one, depth)
        else:
            self._command(one, depth)

    def _lose(self, body: list[Statement]) -> None:
        for one in body:
            if isinstance(one, Jump) and one.is_implied:
                continue
            name = "".join(str(part) for part in one.parts)[:60] if isinstance(one, Line) else type(one).__name__.lower()
            self._item("line" if isinstance(one, Line) else type(one).__name__.lower(), name, one.at, "no way leads there")
            for inner in inner_bodies(one):
                self._lose(inner)

    def _line(self, line: Line, depth: int) -> None:
        item = self._item("line", _name(line), line.at)
        if line.condition or line.once:
            key = self._once_key(line.id) if line.once else ""
            holds, _ = self._holds(line, key, item)
            self._draw([holds], depth)
            self._fork(depth, [(holds, lambda inner: self._once_said(line, key, inner))])
        else:
            self._say(line, depth)
        self._told(line, item)

    def _once_said(self, line: Line, key: str, depth: int) -> None:
        if self._say(line, depth) and key:
            self._change(depth, "counts", f"now = count_up(now, {key!r})")

    def _told(self, line: Line, item: Item) -> None:
        found = self._story.texts(line, self._node.title)
        if found is None:
            item.note("its text cannot be said")
            return
        item.carry(f"the response {found[0].id}")
        for note in found[1].notes:
            item.note(note)

    def _fork(self, depth: int, ways: list[tuple[str, Callable[[int], None]]], otherwise: Callable[[int], None] | None = None) -> None:
        """``if``, ``elif`` ... with one function that writes each body; what is known afterwards is what all ways share."""
        before, ends = self._at.copy(), list[Standing]()
        bodies = [*ways, ("", otherwise or (lambda inner: None))]
        for number, (holds, write) in enumerate(bodies):
            self._at, self._ended = before.copy(), False
            if holds or otherwise:
                holds = f"bool({holds})" if holds in ("True", "False") else holds  # a constant would make the other way dead code
                self._add(depth, f"{'elif' if number else 'if'} {holds}:" if holds else "else:")
                begun = len(self._lines)
                write(depth + 1)
                if len(self._lines) == begun:
                    self._add(depth + 1, "pass")
            if not self._ended:
                ends.append(self._at)
        self._ended = not ends
        self._at = joined(ends) if ends else Standing()

    def _if(self, one: If, depth: int) -> None:
        ways: list[tuple[str, Callable[[int], None]]] = []
        otherwise: Callable[[int], None] | None = None
        for text, body in one.cases:
            item = self._item("condition", text or "else", one.at)
            if otherwise is not None:
                item.note("it stands behind an else")
                self._lose(body)
                continue
            item.carry("a branch")

            def write(inner: int, body: list[Statement] = body) -> None:
                self._block(body, inner)

            if text:
                ways.append((self._value(text, "bool", item).code, write))
            else:
                otherwise = write
        self._draw([holds for holds, _ in ways], depth)
        self._fork(depth, ways, otherwise)

    def _once(self, one: Once, depth: int) -> None:
        item = self._item("once", one.condition or "once", one.at)
        item.carry("a branch that is taken once")
        key = self._once_key()
        holds, _ = self._holds(Line([], one.at, 0, 0, one.condition, True), key, item)

        def first(inner: int) -> None:
            self._change(inner, "counts", f"now = count_up(now, {key!r})")
            self._block(one.body, inner)

        self._fork(depth, [(holds, first)], (lambda inner: self._block(one.otherwise, inner)) if one.otherwise else None)

    def _group(self, group: LineGroup, depth: int) -> None:
        """One of the lines, by the saliency strategy."""
        found: list[tuple[str, str, int, Choice, str]] = []
        for choice in group.items:
            item = self._item("line of a group", _name(choice.line), choice.line.at)
            texts = self._story.texts(choice.line, self._node.title)
            self._told(choice.line, item)
            if texts is None:
                continue
            key, once = texts[0].id, self._once_key(choice.line.id) if choice.line.once else ""
            while key in [one[0] for one in found]:
                key += "'"
            holds, score = self._holds(choice.line, once, item)
            found.append((key, holds, score, choice, once))
        self._draw([holds for _, holds, *_ in found], depth)
        self._add(depth, f"item = pick(now, ({', '.join(f'({key!r}, {holds}, {score})' for key, holds, score, *_ in found)},))")
        ways: list[tuple[str, Callable[[int], None]]] = []
        for key, _, _, choice, once in found:

            def write(inner: int, choice: Choice = choice, key: str = key, once: str = once) -> None:
                self._say(choice.line, inner)
                self._change(inner, "counts", f"now = count_up(now, {f'seen {key}'!r})")
                if once:
                    self._change(inner, "counts", f"now = count_up(now, {once!r})")
                self._block(choice.body, inner)

            ways.append((f"item == {key!r}", write))
        self._fork(depth, ways)

    # -- options ---------------------------------------------------------------------------------------

    def _ask(self, line: Statement, between: list[Statement], options: Statement, depth: int) -> None:
        """A line right before options: it is the question."""
        assert isinstance(line, Line)  # noqa: S101  # see _question
        assert isinstance(options, Options)  # noqa: S101  # see _question
        item = self._item("line", _name(line), line.at)
        found = self._story.texts(line, self._node.title)
        self._told(line, item)
        if found is None:
            for one in between:
                self._statement(one, depth)
            self._options(options, None, {}, depth)
            return
        self._flush(depth)
        reply, words = found
        reply.used = True
        self._draw(list(words.codes.values()), depth)
        slots = dict(words.codes)
        if between and slots:  # the line says what was true before the commands
            for name, code in slots.items():
                self._add(depth, f"asked_{name} = {code}")
            slots = {name: f"asked_{name}" for name in slots}
        for one in between:
            self._statement(one, depth)
        self._options(options, reply, slots, depth)

    def _options(self, options: Options, question: Reply | None, slots: dict[str, str], depth: int) -> None:
        found: list[tuple[Reply, str, Choice, str]] = []
        for choice in options.items:
            item = self._item("option", _name(choice.line), choice.line.at)
            texts = self._story.texts(choice.line, self._node.title)
            if texts is None:
                self._told(choice.line, item)
                self._lose(choice.body)
                continue
            if texts[1].codes:
                item.note("its text has values: what is shown on its button is up to the game")
            if texts[0].id in [one[0].id for one in found]:
                item.note("another option of these has the same text")
                self._lose(choice.body)
                continue
            self._told(choice.line, item)
            texts[0].used = True
            once = self._once_key(choice.line.id) if choice.line.once else ""
            found.append((texts[0], self._holds(choice.line, once, item)[0], choice, once))
        given = "".join(f", {name}={code}" for name, code in slots.items())
        if not found:
            if question is not None:
                self._add(depth, f"last = tell({question.id!r}{given})")
                self._at.waits = "yes"
            return
        asked = question
        if asked is None:
            self._flush(depth)
            asked = self._story.prompt()
            self._item("options without a line", "", options.at).carry("a question")
        self._draw([holds for _, holds, *_ in found], depth)
        effects = self._thens()
        may_be_none = all(holds != "True" for _, holds, *_ in found)
        if all(holds == "True" for _, holds, *_ in found):
            labels = f"({', '.join(repr(reply.id) for reply, *_ in found)},)"
        else:
            pairs = ", ".join(f"({reply.id!r}, {holds})" for reply, holds, *_ in found)
            labels = "choices"
            self._add(depth, f"choices = tuple(one for one, holds in ({pairs},) if holds)")
        if may_be_none:
            self._add(depth, 'picked = ""')
            self._add(depth, "if choices:")
        inner = depth + may_be_none
        self._put(f"ask({asked.id!r}, {labels}, tries=99{given}){effects}", inner)
        self._add(inner, "now = begun(state)")
        if may_be_none and question is not None:  # nothing can be picked: the line is said all the same
            self._add(depth, "else:")
            self._add(depth + 1, f"last = tell({question.id!r}{given})")
            self._at.waits = "yes"
        ways = [(f"picked == {reply.id!r}", self._chosen(choice, once)) for reply, _, choice, once in found]
        if may_be_none:
            self._fork(depth, ways)
        elif len(ways) == 1:
            ways[0][1](depth)
        else:
            self._fork(depth, ways[:-1], ways[-1][1])

    def _put(self, step: str, depth: int) -> None:
        if self._at.commands == "maybe":
            self._add(depth, "if now.commands:")
            self._add(depth + 1, f"picked = await {step}.then(command, *now.commands)")
            self._add(depth, "else:")
            self._add(depth + 1, f"picked = await {step}")
        else:
            self._add(depth, f"picked = await {step}" + (".then(command, *now.commands)" if self._at.commands == "yes" else ""))

    def _chosen(self, choice: Choice, once: str) -> Callable[[int], None]:
        def write(inner: int) -> None:
            self._at = Standing()
            self._say(choice.line, inner, "option")
            if once:
                self._change(inner, "counts", f"now = count_up(now, {once!r})")
            self._block(choice.body, inner)

        return write

    # -- commands --------------------------------------------------------------------------------------

    def _jump(self, one: Jump, depth: int) -> None:
        if one.is_implied:
            self._leave(repr(one.target), depth)
            return
        item = self._item("detour" if one.is_detour else "jump", one.target, one.at)
        target: str | None = one.target
        code = repr(one.target)
        if one.is_expression:
            value = self._value(one.target, "string", item)
            target, code = constant(one.target, self._story.scope), value.code
            code = repr(target) if target is not None else f"text({code})"
        if target is not None and target not in self._story.functions:
            item.note(f"no node has the title {target!r}: the conversation ends here")
            self._leave(repr(STOP), depth)
            return
        if not one.is_detour:
            item.carry("the next node")
            self._leave(code, depth)
            return
        if target is None or (self._title, target) in self._story.loops:
            item.note("a detour whose node only the story knows" if target is None else "a detour that comes back to itself")
            return
        item.carry("a sub-procedure")
        self._flush(depth)
        self._at.due |= self._story.left
        self._at.commands = "maybe" if self._story.leaves_commands else self._at.commands
        self._add(depth, f"at, now = await {self._story.functions[target]}(state, heard, now)")
        chain = self._story.chains.get(target, []) if one.comes_back else []
        if any((self._title, title) in self._story.loops for title in chain):
            item.note("a jump from there does not come back: it may lead to this node again")
        elif chain:
            self._add(depth, f"for _ in range({MOST_JUMPS}):")
            for number, title in enumerate(chain):
                self._add(depth + 1, f"{'elif' if number else 'if'} at == {title!r}:")
                self._add(depth + 2, f"at, now = await {self._story.functions[title]}(state, heard, now)")
            self._add(depth + 1, "else:")
            self._add(depth + 2, "break")
        self._fork(depth, [("at", lambda inner: self._leave("at", inner))])

    def _command(self, one: Command, depth: int) -> None:
        if one.word in ("enum", "case", "endenum", "declare"):
            return  # see yarn.py
        if one.word == "set":
            self._set(one, depth)
        elif one.word == "return":
            self._item("return", "", one.at).carry("the end of the node")
            self._leave('""', depth)
        elif one.word:
            self._item(one.word, one.text, one.at, NOT_CARRIED.get(one.word, "code stays code: what it does is for an effect"))
        elif one.text == "stop":
            self._item("stop", "", one.at).carry("the end of the conversation")
            self._leave(repr(STOP), depth)
        else:
            item = self._item("command", one.text, one.at)
            item.carry("the effect command(...)")
            pieces = [repr(part) if isinstance(part, str) else f"text({self._value(part[0], '', item).code})" for part in one.parts]
            self._draw(pieces, depth)
            self._add(depth, f"now = now._replace(commands=(*now.commands, {' + '.join(pieces) or repr('')}))")
            self._at.commands = "yes"

    def _set(self, one: Command, depth: int) -> None:
        item = self._item("set", one.text, one.at)
        match = ASSIGNMENT.match(one.text)
        if match is None or match[1] not in self._story.scope.fields:
            item.note("it sets no variable that can be set")
            return
        name, operator, text = match[1], match[2], match[3]
        kind = self._story.scope.kinds.get(name, "")
        value = self._value(f"{name} {operator[0]} ({text})" if operator[1:] == "=" else text, kind, item)
        target = self._story.scope.fields[name]
        self._draw([value.code], depth)
        self._change(depth, target, f"now = now._replace({target}={value.code})")
        item.carry(f"the field {target} of State")


def _name(line: Line) -> str:
    return "".join(part if isinstance(part, str) else f"{{{part[0]}}}" for part in line.parts)[:60]


def inner_bodies(one: Statement) -> list[list[Statement]]:
    if isinstance(one, Options | LineGroup):
        return [item.body for item in one.items]
    if isinstance(one, If):
        return [body for _, body in one.cases]
    return [one.body, one.otherwise] if isinstance(one, Once) else []


def openings(body: list[Statement], nodes: dict[str, list[Statement]], seen: frozenset[str] = frozenset()) -> tuple[list[Line], bool]:
    """The lines that may be said first, and whether one of them, or a question, surely comes. ``nodes``: title -> its statements."""
    found: list[Line] = []
    for one in body:
        if isinstance(one, Line):
            found.append(one)
            if not one.condition and not one.once:
                return found, True
        elif isinstance(one, LineGroup):
            found += [item.line for item in one.items]
        elif isinstance(one, Options):
            return found, True
        elif isinstance(one, Jump) and one.target in nodes and one.target not in seen:
            lines, is_sure = openings(nodes[one.target], nodes, seen | {one.target})
            found += lines
            if is_sure or not one.is_detour:
                return found, True
        else:
            ways = [openings(inner, nodes, seen) for inner in inner_bodies(one)]
            found += [line for lines, _ in ways for line in lines]
            if ways and all(is_sure for _, is_sure in ways) and isinstance(one, If) and not one.cases[-1][0]:
                return found, True
    return found, False


def all_statements(body: list[Statement]) -> list[Statement]:
    """The statements of a block and of all blocks in it."""
    return [found for one in body for found in (one, *(inner for block in inner_bodies(one) for inner in all_statements(block)))]
