"""Reads Ren'Py scripts: labels become nodes, says lines, menus options, in the shapes that Yarn scripts are read into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from constrained.cli.importing.draft import Draft
from constrained.cli.importing.yarn_source import Command, If, Item, Jump, Line, Node, Options, Statement
from constrained.cli.importing.yarn_values import variable, yarn_of
from constrained.errors import DataError

STRING = r'(?:"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')'
SAY = re.compile(
    rf"(?:(?P<who>[A-Za-z_][\w.]*)(?P<attributes>(?:\s+[-@\w]+)*)\s+|(?P<name>{STRING})\s+)?(?P<text>{STRING})(?P<rest>[^\"']*)$", re.DOTALL
)
# Words that begin a statement, so that none of them is a speaker.
STAGE = frozenset({"scene", "show", "hide", "with", "play", "stop", "queue", "pause", "window", "nvl", "camera"})
BLOCKS = frozenset(
    {"python", "init", "screen", "transform", "style", "layeredimage", "image", "testcase", "while", "for", "default", "translate"}
)
MAX_DEPTH = 60


@dataclass(slots=True)
class Logical:
    """One statement: its text without comments, where it stands, and what is indented under it."""

    at: int
    indent: int
    start: int
    text: str
    body: list[Logical] = field(default_factory=list)


@dataclass(slots=True)
class Script:
    """A file: its nodes, declarations outside of them, speakers, and translations.

    ``translations``: language, text of the original as it is written, the translated line. ``strings``: which of them are no lines.
    """

    nodes: list[Node] = field(default_factory=list)
    declared: list[tuple[Command, Node]] = field(default_factory=list)
    speakers: dict[str, str] = field(default_factory=dict)
    translations: list[tuple[str, str, Line]] = field(default_factory=list)
    strings: set[int] = field(default_factory=set)


def logical_lines(text: str) -> Iterator[tuple[int, int, int, str]]:
    """(number, indent, start in characters, text) of each statement: a string or brackets may span several lines."""
    place, at = 0, 1
    while place < len(text):
        begin, begun = place, at
        depth, quote, kept = 0, "", ""
        while place < len(text):
            one = text[place]
            if quote:
                if one == "\\" and place + 1 < len(text):
                    kept += one
                    place, one = place + 1, text[place + 1]
                elif text.startswith(quote, place):
                    kept += quote
                    place += len(quote)
                    quote = ""
                    continue
            elif one in "\"'`":
                quote = one * 3 if text.startswith(one * 3, place) else one
                kept += quote
                place += len(quote)
                continue
            elif one == "#":
                end = text.find("\n", place)
                end = len(text) if end < 0 else end
                kept += " " * (end - place)
                place = end
                continue
            elif one in "([{":
                depth += 1
            elif one in ")]}":
                depth = max(0, depth - 1)
            elif one == "\n" and not depth:
                break
            at += one == "\n"
            kept += one
            place += 1
        place += 1
        at += 1
        stripped = kept.strip()
        if stripped:
            indent = len(kept) - len(kept.lstrip())
            yield begun, indent, begin + indent, stripped


def read_blocks(text: str) -> list[Logical]:
    """The statements of a file, nested by their indentation. Raises DataError where they nest too deep."""
    root: list[Logical] = []
    stack: list[Logical] = []
    for at, indent, start, content in logical_lines(text):
        one = Logical(at, indent, start, content)
        while stack and stack[-1].indent >= indent:
            stack.pop()
        if len(stack) > MAX_DEPTH:
            raise DataError(f"line {at}: nested more than {MAX_DEPTH} deep")
        (stack[-1].body if stack else root).append(one)
        stack.append(one)
    return root


def read_script(text: str, file: str, draft: Draft, speakers: dict[str, str]) -> Script:
    """One file. What is outside of labels is told to the draft. ``speakers``: names known of other files."""
    return _Reader(text, file, draft, speakers).read()


def find_speakers(text: str) -> dict[str, str]:
    """Variable -> name of each ``define e = Character("Eileen")``; empty for the narrator."""
    found: dict[str, str] = {}
    for match in re.finditer(
        rf"^\s*(?:define|default|\$)\s+(\w+(?:\.\w+)?)\s*=\s*(?:\w*Character)\(\s*(?:_\(\s*)?({STRING}|None|\w+)?", text, re.M
    ):
        name = match[2] or ""
        found[match[1]] = plain(name[1:-1]) if name[:1] in "\"'" and name else ""
    return found


def plain(text: str) -> str:
    """What a string of Ren'Py holds, between its quotes; its own braces and brackets stay doubled."""

    def dequoted(match: re.Match[str]) -> str:
        one = match[1]
        if one[0] == "u" and len(one) > 1:
            return chr(int(one[1:], 16))
        return {"n": "\n", "{": "{{", "[": "[[", "%": "%%"}.get(one, one)

    return re.sub(r"\\(u[0-9a-fA-F]{1,4}|.)", dequoted, re.sub(r"[ \n\r\t]+", " ", text), flags=re.DOTALL)


def _has_label(one: Logical) -> bool:
    return one.text.startswith("label ") or any(map(_has_label, one.body))


class _Reader:
    def __init__(self, text: str, file: str, draft: Draft, speakers: dict[str, str]) -> None:
        self._text, self._file, self._draft, self._speakers = text, file, draft, speakers
        self._script = Script()
        self._label = ""
        self._voice = ""
        self._n_parts = 0

    def read(self) -> Script:
        try:
            blocks = read_blocks(self._text)
        except DataError as error:
            self._draft.item("file", self._file, self._file, 0, error.message)
            return self._script
        self._top(blocks)
        return self._script

    def _top(self, blocks: list[Logical]) -> None:
        labels = [one for one in blocks if one.text.startswith("label")]
        following = dict(zip(map(id, labels), [*map(self._title, labels[1:]), ""], strict=False))
        for one in blocks:
            word = re.match(r"\w*", one.text)
            first = word[0] if word else ""
            if first == "label":
                self._node(one, following[id(one)])
            elif first in ("default", "define"):
                self._definition(one, first)
            elif first == "translate":
                self._translate(one)
            elif first == "init" and re.match(r"init\s*(-?\d+)?\s*:", one.text):
                self._top(one.body)
            elif first:
                self._lose_says(one, first)
                self._draft.item(first, one.text.split("\n")[0][:60], self._file, one.at, "it is the game's own: code stays code")

    def _definition(self, one: Logical, word: str) -> None:
        found = re.match(r"(?:define|default)\s+(?:-?\d+\s+)?([\w.]+)\s*=\s*(.+)$", one.text, re.DOTALL)
        name = found[1] if found else ""
        if name in self._speakers:
            self._draft.item("character", name, self._file, one.at).carry(f"the speaker {self._speakers[name] or name}")
            return
        try:
            text = f"{variable(name)} = {yarn_of(found[2] if found else '')}"
        except DataError as error:
            self._draft.item(word, name or one.text[:60], self._file, one.at, error.message)
            return
        self._script.declared.append((Command(one.at, "declare", text), Node("", self._file, one.at, {}, [])))

    def _title(self, one: Logical) -> str:
        found = re.match(r"label\s+([\w.]+)", one.text)
        name = found[1] if found else f"label {one.at}"
        return self._label.partition(".")[0] + name if name.startswith(".") else name

    def _node(self, one: Logical, after: str) -> None:
        """The node of a label; ``after``: the title of what follows where nothing leaves it."""
        found = re.match(r"label\s+[\w.]+\s*(\(.*\))?\s*(?:hide\s*)?:", one.text, re.DOTALL)
        title = self._title(one)
        if found is None:
            self._draft.item("label", one.text[:60], self._file, one.at, "its name cannot be read")
            return
        self._label = title
        headers = {"parameters": found[1]} if found[1] and found[1] != "()" else {}
        self._made(Node(title, self._file, one.at, headers, []), one.body, after)

    def _made(self, node: Node, blocks: list[Logical], after: str) -> None:
        self._script.nodes.append(node)
        node.body = self._block(blocks, after)
        if after:
            node.body.append(Jump(node.at, after, False, False, is_implied=True))

    # -- statements --------------------------------------------------------------------------------------

    def _block(self, blocks: list[Logical], after: str) -> list[Statement]:
        """The statements of a block. A label in it, or deeper, splits it: what follows becomes a node of its own."""
        found: list[Statement] = []
        number = 0
        while number < len(blocks):
            end = number + 1
            while blocks[number].text.startswith("if") and end < len(blocks) and re.match(r"(elif|else)\b", blocks[end].text):
                end += 1
            parts, rest = blocks[number:end], blocks[end:]
            if not any(map(_has_label, parts)):
                found += self._statements(parts, "")
                number = end
                continue
            self._n_parts += bool(rest)
            label = self._label
            going_on = f"{label} part {self._n_parts}" if rest else after
            if parts[0].text.startswith("label"):
                found.append(Jump(parts[0].at, self._title(parts[0]), False, False, is_implied=True))
                self._node(parts[0], going_on)
            else:
                found += self._statements(parts, going_on)
                found += [Jump(parts[0].at, going_on, False, False, is_implied=True)] if going_on else []
            if rest:
                self._made(Node(going_on, self._file, rest[0].at, {}, [], is_part=True), rest, after)
            break
        return found

    def _statements(self, parts: list[Logical], after: str) -> list[Statement]:
        """One statement; of ``if``, with its ``elif`` and ``else``."""
        one = parts[0]
        word = re.match(r"\w+|\$|", one.text)
        first = word[0] if word else ""
        if first == "if":
            cases: list[tuple[str, list[Statement]]] = []
            for part in parts:
                text = re.sub(r"^(if|elif|else)\b", "", part.text).rstrip(": \n")
                cases.append(("" if part.text.startswith("else") else self._condition(text), self._block(part.body, after)))
            return [If(one.at, cases)]
        if first == "menu" and one.body:
            return self._menu(one, after)
        return self._simple(one, first)

    def _simple(self, one: Logical, first: str) -> list[Statement]:
        if first == "$":
            return [self._python(one)]
        if first in ("jump", "call"):
            return [self._jump(one, first)]
        if first == "return":
            return [Command(one.at, "return", "")]
        if first == "pass":
            return []
        if first == "voice" and (found := re.match(rf"voice\s+({STRING})", one.text)):
            self._voice = re.sub(r"\.\w{2,4}$", "", plain(found[1][1:-1]).rpartition("/")[2])
            return []
        says = self._say(one) if first not in STAGE and first not in BLOCKS else None
        if says is not None:
            return list(says)
        if first in BLOCKS or one.body:
            self._lose_says(one, first)
            return [Command(one.at, first or "statement", one.text.split("\n")[0][:60])]
        text = " ".join(one.text.split())
        return [Command(one.at, "", text, [text])]

    def _lose_says(self, one: Logical, word: str) -> None:
        """Tells the says inside of a statement that only the game knows."""
        for part in one.body if word not in BLOCKS | STAGE else ():
            for line in self._say(part) or ():
                self._draft.item(
                    "line", str(line.parts[0])[:60], self._file, part.at, f"it is inside of {word}, a statement of the game's own"
                )
            self._lose_says(part, word)

    def _say(self, one: Logical) -> list[Line] | None:
        if re.search(r'"""|\'\'\'', one.text):
            return self._monologue(one)
        found = SAY.match(one.text)
        if found is None or one.body:
            return None
        line = self._line(one, found.start("text"), found["text"])
        line.speaker = self._speaker(found)
        if found["who"] == "extend":
            line.tags.append("extend")
        if named := re.search(r"\bid\s+(\w+)", found["rest"]):
            line.tags.append(f"line:{named[1]}")
        return [line]

    def _speaker(self, found: re.Match[str]) -> str:
        if found["name"]:
            return plain(found["name"][1:-1])
        who = found["who"] or ""
        return self._speakers.get(who, who) or ("" if who in self._speakers else who)

    def _line(self, one: Logical, place: int, quoted: str) -> Line:
        start = one.start + place + 1
        line = Line([plain(quoted[1:-1])], one.at, start, start + len(quoted) - 2, voice=self._voice)
        self._voice = ""
        for value in re.findall(r"(?<!\[)\[([^\[\]!:]+)", line.parts[0] if isinstance(line.parts[0], str) else ""):
            with suppress(DataError):  # told where the text is read
                line.values.append(yarn_of(value))
        return line

    def _monologue(self, one: Logical) -> list[Line]:
        found = re.match(r"(?:(\w+)\s+)?(\"\"\"|''')(.*)\2", one.text, re.DOTALL)
        if found is None:
            return []
        lines = []
        for paragraph in re.split(r"\n\s*\n", found[3]):
            if paragraph.strip():
                start = one.start + one.text.find(paragraph)
                line = Line(
                    [plain(paragraph.strip())],
                    one.at,
                    start,
                    start + len(paragraph),
                    stuck="a block of several lines is edited in the script",
                )
                line.speaker = self._speakers.get(found[1] or "", found[1] or "")
                lines.append(line)
        return lines

    def _menu(self, one: Logical, after: str) -> list[Statement]:
        found: list[Statement] = []
        options = Options(one.at, [])
        for entry in one.body:
            choice = re.match(rf"(?P<text>{STRING})\s*(?P<arguments>\([^:]*\))?\s*(?:if\s+(?P<condition>.+?))?\s*:$", entry.text, re.DOTALL)
            if choice and entry.body:
                line = self._line(entry, choice.start("text"), choice["text"])
                line.condition = self._condition(choice["condition"] or "") if choice["condition"] else ""
                options.items.append(Item(line, self._block(entry.body, after)))
            elif says := self._say(entry):
                found += says
            else:
                self._draft.item("menu", entry.text[:60], self._file, entry.at, "a part of a menu that is no caption and no choice")
        return [*found, options] if options.items else found

    def _jump(self, one: Logical, word: str) -> Statement:
        found = re.match(r"(?:jump|call)\s+(expression\s+)?(.+?)(?:\s+from\s+\w+)?$", one.text, re.DOTALL)
        target = found[2].strip() if found else ""
        if found and found[1]:
            try:
                return Jump(one.at, yarn_of(target), True, word == "call", comes_back=word == "call")
            except DataError:
                return Command(one.at, word, one.text)
        name = re.match(r"\.?[\w.]+", target)
        if name is None or target.startswith("screen "):
            return Command(one.at, "", one.text, [one.text]) if target.startswith("screen ") else Command(one.at, word, one.text)
        title = self._label.partition(".")[0] + name[0] if name[0].startswith(".") else name[0]
        return Jump(one.at, title, False, word == "call", comes_back=word == "call")

    def _python(self, one: Logical) -> Command:
        code = one.text[1:].strip()
        found = re.match(r"([A-Za-z_][\w.]*)\s*(=(?!=)|\+=|-=|\*=|/=|%=)\s*(.+)$", code, re.DOTALL)
        if found:
            try:
                return Command(one.at, "set", f"{variable(found[1])} {found[2]} {yarn_of(found[3])}")
            except DataError:
                pass
        return Command(one.at, "python", code)

    @staticmethod
    def _condition(text: str) -> str:
        try:
            return yarn_of(text)
        except DataError:
            return f"`{text.strip()}`"  # no expression of Yarn: it becomes a field that the host sets

    # -- translations ------------------------------------------------------------------------------------

    def _translate(self, one: Logical) -> None:
        found = re.match(r"translate\s+(\w+)\s+(\w+)\s*:", one.text)
        if found is None or found[2] in ("python", "style"):
            self._draft.item("translate", one.text[:60], self._file, one.at, "it is the game's own: code stays code")
            return
        if found[2] == "strings":
            self._strings(found[1], one)
            return
        end = one.body[-1].start + len(one.body[-1].text) if one.body else one.start
        says = [line for part in one.body for line in self._say(part) or ()]
        comments = re.findall(r"^\s*#\s*(.+)$", self._text[one.start : end], re.MULTILINE)
        originals = [plain(match["text"][1:-1]) for text in comments if (match := SAY.match(text.strip()))]
        if len(originals) != len(says) or not says:
            self._draft.item("translation", found[2], self._file, one.at, "the comment does not tell which line it translates")
            return
        self._script.translations += [(found[1], original, line) for original, line in zip(originals, says, strict=True)]

    def _strings(self, language: str, one: Logical) -> None:
        old = ""
        for part in one.body:
            found = re.match(rf"(old|new)\s+({STRING})$", part.text, re.DOTALL)
            if found and found[1] == "old":
                old = plain(found[2][1:-1])
            elif found and old:
                line = self._line(part, found.start(2), found[2])
                self._script.strings.add(len(self._script.translations))
                self._script.translations.append((language, old, line))
                old = ""
