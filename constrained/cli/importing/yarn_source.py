"""Reads Yarn Spinner 3 scripts: files become nodes, statements and lines, each with its place.

The layout follows Yarn's own lexer: indentation counts only under ``->`` and ``=>``, and a blank line behind one of them ends its group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from constrained.errors import DataError, Problem

WIDE_TAB = 8  # columns of a tab, as in Yarn's lexer
MAX_DEPTH = 60
_KEYWORD = re.compile(r"\s*(if|elseif|else|endif|once|endonce|set|declare|enum|case|endenum|jump|detour|return|call|local)(?=\s|$)")
_TITLE = re.compile(r"[\w.]+$")


@dataclass(slots=True)
class Line:
    """A line or the text of an option.

    Attributes:
        parts: pieces of text, as written but for escapes, and expressions in a tuple of one each.
        condition: of ``<<if>>``; empty without. once: whether it is said once.
        start, end: its text in the file, in characters; ``at`` is the 1-based number of its line.
        speaker, voice, stuck: where a script tells them beside the text; see ``Wording`` and ``Place``.
        values: expressions that its text holds, where they are no parts.
    """

    parts: list[str | tuple[str]]
    at: int
    start: int
    end: int
    condition: str = ""
    once: bool = False
    tags: list[str] = field(default_factory=list)
    speaker: str = ""
    voice: str = ""
    stuck: str = ""
    values: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id of ``#line:``, or of the line that ``#shadow:`` repeats; empty without."""
        return next((tag.partition(":")[2] for tag in self.tags if tag.startswith(("line:", "shadow:"))), "")


@dataclass(slots=True)
class Item:
    """One ``->`` or ``=>`` with what is under it."""

    line: Line
    body: list[Statement]


@dataclass(slots=True)
class Options:
    at: int
    items: list[Item]


@dataclass(slots=True)
class LineGroup:
    at: int
    items: list[Item]


@dataclass(slots=True)
class If:
    """Cases in order: condition, empty of ``<<else>>``, and what is under it."""

    at: int
    cases: list[tuple[str, list[Statement]]]


@dataclass(slots=True)
class Once:
    at: int
    condition: str
    body: list[Statement]
    otherwise: list[Statement]


@dataclass(slots=True)
class Jump:
    """``<<jump>>`` or ``<<detour>>``: to a node by name, or by the value of an expression.

    ``comes_back``: the way back is kept through the jumps of the node, as Ren'Py does; in Yarn a jump forgets it.
    ``is_implied``: it stands nowhere; the next node follows.
    """

    at: int
    target: str
    is_expression: bool
    is_detour: bool
    comes_back: bool = False
    is_implied: bool = False


@dataclass(slots=True)
class Command:
    """Any other ``<<...>>``; ``word`` is the keyword of one that Yarn itself knows, else empty."""

    at: int
    word: str
    text: str
    parts: list[str | tuple[str]] = field(default_factory=list)


Statement = Line | Options | LineGroup | If | Once | Jump | Command


@dataclass(slots=True)
class Node:
    """``whens``: what stands in its ``when:`` headers. headers: the others, by name in lower case. is_part: of another node."""

    title: str
    file: str
    at: int
    headers: dict[str, str]
    whens: list[tuple[str, int]]
    body: list[Statement] = field(default_factory=list)
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "line", "option", "item", "command", "indent", "dedent", "blank"
    at: int = 0
    value: Line | Command | None = None


def read_nodes(text: str, file: str) -> Iterator[Node | DataError]:
    """The nodes of a file, and an error with the place for each that is none."""
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    number = 0
    while number < len(lines):
        begin, headers, whens = number, dict[str, str](), list[tuple[str, int]]()
        while number < len(lines) and lines[number].strip() != "---":
            name, colon, value = lines[number].partition("//")[0].partition(":")
            if colon and name.strip() == "when":
                whens.append((value.strip(), number + 1))
            elif colon:
                headers.setdefault(name.strip().lower(), value.strip())
            number += 1
        if number >= len(lines):
            if any(line.strip() and not line.lstrip().startswith(("//", "#")) for line in lines[begin:]):
                yield _refused(file, begin + 1, "headers without a body: no line with --- follows")
            return
        body = number + 1
        number = body
        while number < len(lines) and lines[number].strip() != "===":
            number += 1
        title_at = next((at + 1 for at in range(begin, body) if lines[at].startswith("title")), begin + 1)
        title = headers.get("title", "")
        try:
            if not _TITLE.match(title):
                raise _refused(file, title_at, f"{title!r} is no title of a node")
            node = Node(title, file, title_at, headers, whens)
            node.body = _Reader(file, list(_tokens(file, lines, starts, body, number))).block(())
            yield node
        except DataError as error:
            yield error
        number += 1


def _refused(file: str, at: int, message: str) -> DataError:
    return DataError(message, [Problem(file, at, 0, message, "")])


# -- layout ------------------------------------------------------------------------------------------


def _tokens(file: str, lines: list[str], starts: list[int], begin: int, end: int) -> Iterator[_Token]:
    """The body of a node as tokens; indents and dedents are where Yarn's lexer puts them."""
    stack: list[int] = []
    last_indent, last_option, after_option = _indent(lines[begin]) if begin < end else 0, -1, False
    for number in range(begin, end):
        raw = lines[number]
        content = raw.strip()
        kind = ""
        if content and not content.startswith("//"):
            for token in _of_line(file, raw.rstrip("\r\n"), starts[number], number + 1):
                kind = kind or token.kind
                yield token
        if kind in ("option", "item"):
            after_option = True
        following = number + 2  # the line after this one, as the lexer counts
        indent = _indent(lines[number + 1]) if number + 1 < end else 0
        if last_option != -1 and not content:
            if following - last_option == 1:
                yield _Token("blank", number + 1)
            last_option = -1
        if after_option:
            if indent > last_indent:
                stack.append(indent)
                yield _Token("indent", number + 1)
            after_option, last_option = False, following
        while stack and indent < stack[-1]:
            stack.pop()
            yield _Token("dedent", number + 1)
            last_option = last_option if stack else following
        last_indent = indent
    yield from (_Token("dedent", end) for _ in stack)


def _indent(line: str) -> int:
    return sum(WIDE_TAB if one == "\t" else 1 for one in line[: len(line) - len(line.lstrip(" \t"))])


def _of_line(file: str, raw: str, start: int, at: int) -> Iterator[_Token]:
    """The tokens of one line: commands, and what else stands on it."""
    place = len(raw) - len(raw.lstrip())
    while place < len(raw) and not raw.startswith("//", place):
        if raw[place].isspace():
            place += 1
        elif raw.startswith("<<", place):
            end = _end_of_command(file, raw, place, at)
            yield _Token("command", at, _command(file, raw[place + 2 : end], at))
            place = end + 2
            while tag := re.match(r"\s*#[^\s#$<]+", raw[place:]):  # hashtags of commands say nothing to the flow
                place += tag.end()
        else:
            kind = {"->": "option", "=>": "item"}.get(raw[place : place + 2], "line")
            if kind != "line":
                place += 2
                place += len(raw[place:]) - len(raw[place:].lstrip())
            yield _Token(kind, at, _line(file, raw, place, start, at))
            return


def _end_of_command(file: str, raw: str, place: int, at: int) -> int:
    """Where ``>>`` of the command at ``place`` stands, outside of its texts and expressions."""
    end, quoted = place + 2, False
    is_value = _KEYWORD.match(raw[place + 2 :]) is not None
    depth = 0
    while end < len(raw):
        one = raw[end]
        if quoted and one == "\\":
            end += 1
        elif one == '"' and (is_value or depth):
            quoted = not quoted
        elif not quoted and one in "{}":
            depth += 1 if one == "{" else -1
        elif not quoted and depth <= 0 and raw.startswith(">>", end):
            return end
        end += 1
    raise _refused(file, at, "a command without >>")


def _command(file: str, text: str, at: int) -> Command:
    found = _KEYWORD.match(text)
    if found:
        return Command(at, found[1], text[found.end() :].strip())
    return Command(at, "", text.strip(), _pieces(file, text.strip(), at, "")[0])


def _line(file: str, raw: str, place: int, start: int, at: int) -> Line:
    parts, end = _pieces(file, raw, at, "#<", place)
    shown = len(raw[place:end].rstrip()) + place
    if parts and isinstance(parts[-1], str):
        parts[-1] = parts[-1].rstrip()
    line = Line([one for one in parts if one], at, start + place, start + shown)
    while end < len(raw) and not raw.startswith("//", end):
        if raw.startswith("<<", end):
            close = _end_of_command(file, raw, end, at)
            command = _command(file, raw[end + 2 : close], at)
            if command.word not in ("if", "once") or line.condition or line.once:
                raise _refused(file, at, f"<<{raw[end + 2 : close]}>> behind a line: only one <<if>> or <<once>> may stand there")
            line.once = command.word == "once"
            line.condition = re.sub(r"^if\b\s*", "", command.text) if line.once else command.text
            if not line.once and not line.condition:
                raise _refused(file, at, "<<if>> without a condition")
            end = close + 2
        elif tag := re.compile(r"#+\s*([^\s#$<]+)").match(raw, end):
            line.tags.append(tag[1].partition("//")[0])
            end = tag.end() if "//" not in tag[1] else len(raw)
        elif raw[end].isspace():
            end += 1
        else:
            raise _refused(file, at, f"{raw[end : end + 20]!r} behind the line's tags or condition")
    return line


def _pieces(file: str, raw: str, at: int, stops: str, place: int = 0) -> tuple[list[str | tuple[str]], int]:
    """Text and expressions from ``place`` on, and where they end: at a tag, a condition or a comment."""
    parts: list[str | tuple[str]] = []
    text = ""
    while place < len(raw):
        one = raw[place]
        if stops and one == "\\" and place + 1 < len(raw):
            kept = raw[place + 1] in "[]:"  # markup and speakers are read later
            text += raw[place : place + 2] if kept or raw[place + 1] not in "\\<>{}#/" else raw[place + 1]
            if raw[place + 1] == "\\":
                text += "\\"  # so that an escaped backslash stays one, see ``markup``
            place += 2
            continue
        if stops and (one == "#" or raw.startswith(("<<", "//"), place)):
            break
        if one == "{":
            end, quoted = place + 1, False
            while end < len(raw) and (quoted or raw[end] != "}"):
                quoted = quoted is not (raw[end] == '"' and raw[end - 1] != "\\")
                end += 1
            if end >= len(raw):
                raise _refused(file, at, "an expression without }")
            parts += [text, (raw[place + 1 : end].strip(),)]
            text, place = "", end + 1
            continue
        text += one
        place += 1
    return [one for one in [*parts, text] if one], place


# -- statements --------------------------------------------------------------------------------------


class _Reader:
    """Puts tokens together; every method goes on from ``place``."""

    def __init__(self, file: str, tokens: list[_Token]) -> None:
        self._file, self._tokens, self._place, self._depth = file, tokens, 0, 0

    def _next(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _word(self) -> str:
        token = self._next()
        return token.value.word if token and isinstance(token.value, Command) else ""

    def block(self, ends: tuple[str, ...], *, indented: bool = False) -> list[Statement]:
        """Statements up to a command of ``ends``, which stays; ``indented``: up to a dedent, which is taken."""
        found: list[Statement] = []
        self._depth += 1
        begun = self._next()
        if self._depth > MAX_DEPTH:
            raise _refused(self._file, begun.at if begun else 0, f"nested more than {MAX_DEPTH} deep")
        n_indents = 0
        while (token := self._next()) is not None:
            if token.kind == "dedent" and indented and not n_indents:
                self._place += 1
                break
            if token.kind in ("dedent", "indent", "blank"):
                n_indents += {"indent": 1, "dedent": -1}.get(token.kind, 0)
                if n_indents < 0 and ends:
                    break  # an option's body ends before <<endif>>
                self._place += 1
                continue
            if self._word() in ends:
                break
            found.append(self._statement(token))
        else:
            if ends:
                raise _refused(self._file, begun.at if begun else 0, f"<<{ends[-1]}>> is missing")
        self._depth -= 1
        return found

    def _statement(self, token: _Token) -> Statement:
        if token.kind == "option":
            return Options(token.at, self._items("option"))
        if token.kind == "item":
            return LineGroup(token.at, self._items("item"))
        self._place += 1
        if isinstance(token.value, Line):
            return token.value
        command = token.value
        assert isinstance(command, Command)  # noqa: S101  # the other tokens were dealt with
        if command.word == "if":
            return self._if(command)
        if command.word == "once":
            return self._once(command)
        if command.word in ("jump", "detour"):
            is_expression = command.text.startswith("{")
            return Jump(command.at, command.text.strip("{} "), is_expression, command.word == "detour")
        if command.word in ("else", "elseif", "endif", "endonce"):
            raise _refused(self._file, command.at, f"<<{command.word}>> without its beginning")
        return command

    def _items(self, kind: str) -> list[Item]:
        found: list[Item] = []
        while (token := self._next()) is not None and token.kind == kind and isinstance(token.value, Line):
            self._place += 1
            body: list[Statement] = []
            if (following := self._next()) is not None and following.kind == "indent":
                self._place += 1
                body = self.block((), indented=True)
            found.append(Item(token.value, body))
            if (following := self._next()) is not None and following.kind == "blank":
                self._place += 1
                break
        return found

    def _if(self, command: Command) -> If:
        cases = [(command.text, self.block(("elseif", "else", "endif")))]
        if not command.text:
            raise _refused(self._file, command.at, "<<if>> without a condition")
        while (word := self._word()) != "endif":
            token = self._next()
            self._place += 1
            text = token.value.text if token and isinstance(token.value, Command) else ""
            cases.append((text if word == "elseif" else "", self.block(("elseif", "else", "endif"))))
        self._place += 1
        return If(command.at, cases)

    def _once(self, command: Command) -> Once:
        body = self.block(("else", "endonce"))
        otherwise: list[Statement] = []
        if self._word() == "else":
            self._place += 1
            otherwise = self.block(("endonce",))
        self._place += 1
        return Once(command.at, re.sub(r"^if\b\s*", "", command.text), body, otherwise)


def read_file(path: Path, text: str) -> tuple[list[Node], list[DataError]]:
    """The nodes of a file, and what could not be read of it."""
    found = list(read_nodes(text, str(path)))
    return [one for one in found if isinstance(one, Node)], [one for one in found if isinstance(one, DataError)]
