"""Texts of Yarn lines as texts of a catalog, and back: expressions are slots, forms by number or choice are selections."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from constrained.catalog.plurals import categories
from constrained.cli.importing.draft import RESERVED, escape_braces

HOLE = 0xE000  # expression number n stands as this character plus n while markup is read
_MARKUP = re.compile(
    r"\\(?P<escaped>[\\\[\]:])|\[(?P<close>/?)(?P<name>[A-Za-z_]\w*)?(?P<rest>(?:\"(?:\\.|[^\"\\])*\"|[^\]\"])*?)(?P<own>/?)\]"
)
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"((?:\\.|[^\"\\])*)\"|([^\s\]/]+))")
SPEAKER = re.compile(r"([^:\\\[{<]{1,40}?):\s")
VALUE_LENGTH = 200


@dataclass(slots=True)
class Wording:
    """A line as the catalog has it.

    Attributes:
        slots: name -> its type in the catalog; codes: name -> Python of its value; holes: name -> how Yarn writes it.
        notes: what of it is not carried. stuck: why an edited text cannot be put back.
    """

    text: str
    slots: dict[str, object] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    holes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stuck: str = ""
    speaker: str = ""


def wording(parts: list[str | tuple[str]], python: Callable[[str], str], locale: str) -> Wording:
    """The text of a line. ``python``: an expression of Yarn as Python. Raises ValueError with a reason where it cannot be carried."""
    return _Text(parts, python, locale).read()


class _Text:
    def __init__(self, parts: list[str | tuple[str]], python: Callable[[str], str], locale: str) -> None:
        self._expressions = [part[0] for part in parts if isinstance(part, tuple)]
        numbers = iter(range(len(parts)))
        self._raw = "".join(part if isinstance(part, str) else chr(HOLE + next(numbers)) for part in parts)
        self._python, self._locale = python, locale
        self._found = Wording("")

    def read(self) -> Wording:
        found, place, written = self._found, 0, ""
        is_plain = False
        for match in _MARKUP.finditer(self._raw):
            written += self._plain(self._raw[place : match.start()])
            place = match.end()
            if match["escaped"]:
                written += escape_braces(match["escaped"])
            elif match["name"] == "nomarkup":
                is_plain = not match["close"]
            elif is_plain:
                written += self._plain(match[0])
            elif match["name"] in ("select", "plural", "ordinal") and not match["close"]:
                written += self._forms(match["name"], match["rest"])
            elif match["name"] or match["close"]:
                note = f"the markup {match[0]!r} is not carried: approved text is plain"
                found.notes.append(note)
                found.stuck = "its markup would be lost; edit the line in the script"
            else:
                written += self._plain(match[0])
        found.text = written + self._plain(self._raw[place:])
        speaker = SPEAKER.match(self._raw)
        found.speaker = speaker[1].strip() if speaker and not any(ord(one) >= HOLE for one in speaker[1]) else ""
        return found

    def _plain(self, text: str) -> str:
        return "".join(
            self._hole(ord(one) - HOLE) if HOLE <= ord(one) < HOLE + len(self._expressions) else escape_braces(one) for one in text
        )

    def _hole(self, number: int) -> str:
        expression = self._expressions[number]
        kind: object = {"type": "text", "max_length": VALUE_LENGTH}
        name = self._slot(kind, f"text({self._python(expression)})", slot_name(expression, self._found.slots))
        self._found.holes[name] = f"{{{expression}}}"
        return f"{{{name}}}"

    def _slot(self, kind: object, code: str, name: str = "") -> str:
        name = name or slot_name("", self._found.slots)
        self._found.slots[name], self._found.codes[name] = kind, code
        return name

    def _forms(self, kind: str, rest: str) -> str:
        given = {name: (quoted if quoted or not bare else bare) for name, quoted, bare in _ATTRIBUTE.findall(rest)}
        value = given.pop("value", "")
        number = ord(value) - HOLE if len(value) == 1 else -1
        if not 0 <= number < len(self._expressions) or not given:
            raise ValueError(f"[{kind}]: its value is no expression, or it has no forms")
        code = self._python(self._expressions[number])
        self._found.stuck = "its forms are written in the script; edit the line there"
        forms = {key: re.sub(r"\\(.)", r"\1", text) for key, text in given.items()}
        if any(set(text) & set("{}#") or any(ord(one) >= HOLE for one in text) for text in forms.values()):
            raise ValueError(f"[{kind}]: a form with a brace, a # or an expression")
        if kind == "select":
            return self._select(f"text({code})", forms, "text({0})")
        if "other" not in forms:
            raise ValueError(f"[{kind}]: the form other is missing")
        if kind == "ordinal":
            if self._locale.partition("-")[0] != "en":
                raise ValueError("[ordinal]: ordinal forms are carried for English only")
            return self._select(f"ordinal({code})", forms, f"text({code})")
        known = {key: text for key, text in forms.items() if key in categories(self._locale)}
        if dropped := forms.keys() - known.keys():
            self._found.notes.append(f"the forms {', '.join(sorted(dropped))} are none of {self._locale}")
        name = self._slot("integer", f"int({code})")
        return f"{{{name}, plural, {_joined(known, '#')}}}"

    def _select(self, code: str, forms: dict[str, str], shown: str) -> str:
        name = self._slot({"type": "choice", "of": list(forms)}, code)
        value = ""
        if any("%" in text for text in forms.values()):
            value = self._slot({"type": "text", "max_length": VALUE_LENGTH}, code if shown == "text({0})" else shown)
        written = {key: text.replace("%", f"{{{value}}}") for key, text in forms.items()}
        written.setdefault("other", next(iter(written.values())))
        return f"{{{name}, select, {_joined(written, '%')}}}"


def _joined(forms: dict[str, str], number: str) -> str:
    return " ".join(f"{key} {{{text.replace('%', number)}}}" for key, text in forms.items())


def slot_name(expression: str, taken: Iterable[str]) -> str:
    """A name for the slot of an expression: of a variable its own."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", expression.lstrip("$")).lower()
    names = list(taken)
    if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", plain) and plain not in (*names, *RESERVED, "value") and not keyword.iskeyword(plain):
        return plain
    return f"value_{len(names) + 1}" if names else "value"


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A text with other names for its slots. Raises ValueError for one that has none."""

    def written(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        if match[1] not in names:
            raise ValueError("it has other values than the original")
        return f"{{{names[match[1]]}}}"

    return re.sub(r"\{\{|\}\}|\{(\w+)\}", written, text)


def yarn_text(template: str, holes: dict[str, str]) -> str:
    """A text of a catalog as a Yarn script has it. Raises ValueError where it has a slot that the line has not."""
    written, place = "", 0
    for match in re.finditer(r"\{\{|\}\}|\{(\w+)\}|\{[^}]*,", template):
        written += _escaped(template[place : match.start()])
        place = match.end()
        if match[0] in ("{{", "}}"):
            written += "\\" + match[0][0]
        elif match[1] in holes:
            written += holes[match[1]]
        else:
            raise ValueError(f"{match[0]} is no value of this line")
    written += _escaped(template[place:])
    if "\n" in written or not written.strip():
        raise ValueError("a line of Yarn is one line, and not empty")
    if written.startswith(("->", "=>", "===", "---")):
        raise ValueError(f"a line of Yarn cannot begin with {written[:2]}")
    return written


def _escaped(text: str) -> str:
    return re.sub(r"(<<|>>|//)", lambda one: "\\" + one[0][0] + "\\" + one[0][1], re.sub(r"([\\#\[\]])", r"\\\1", text))
