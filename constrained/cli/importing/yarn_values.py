"""Yarn's expressions as Python: what they read of the story, of which type they are, and how many conditions they hold.

``yarn_of`` writes plain Python, as Ren'Py has it, as expressions of Yarn, so that both are carried in one way.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from constrained.errors import DataError

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

Kind = Literal["number", "string", "bool", ""]
MOST_CHARACTERS = 2_000
PYTHON: dict[str, str] = {"number": "int | float", "string": "str", "bool": "bool"}
ZERO: dict[str, str] = {"number": "0", "string": '""', "bool": "False", "": "False"}

# Levels and sides of the operators are those of YarnSpinnerParser.g4: "and", "or" and "xor" are one level.
GRAMMAR = r"""
?start: logic
?logic: equality | logic (AND | OR | XOR) equality -> both
?equality: order | equality (EQ | NE) order -> compared
?order: sum | order (LE | GE | LT | GT) sum -> compared
?sum: product | sum (PLUS | MINUS) product -> counted
?product: unary | product (TIMES | OVER | REST) unary -> counted
?unary: value | MINUS unary -> negative | NOT unary -> opposite
?value: NUMBER -> number | TRUE -> true | FALSE -> false | VARIABLE -> variable | STRING -> string
    | NAME "(" [logic ("," logic)*] ")" -> call | NAME? "." NAME -> member | "(" logic ")"
AND.2: /and\b|&&/
OR.2: /or\b|\|\|/
XOR.2: /xor\b|\^/
NOT.2: /not\b|!(?!=)/
EQ.2: /==|is\b|eq\b/
NE.2: /!=|neq\b/
LE.2: /<=|lte\b/
GE.2: />=|gte\b/
LT.2: /<|lt\b/
GT.2: />|gt\b/
PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
REST: "%"
TRUE.2: /true\b/
FALSE.2: /false\b/
NUMBER: /\d+(\.\d+)?/
VARIABLE: /\$\w+/
STRING: /"(\\["\\]|[^"\\])*"/
NAME: /[^\W\d]\w*/
%ignore /[ \t]+/
"""
_SAME: dict[str, str] = {"EQ": "==", "NE": "!=", "LE": "<=", "GE": ">=", "LT": "<", "GT": ">", "PLUS": "+", "MINUS": "-", "TIMES": "*"}

# Yarn function -> (type of its value, Python). {0}, {1}: its arguments; {n}: number of the draw in its statement.
FUNCTIONS: dict[str, tuple[Kind, str]] = {
    "visited": ("bool", "(counted(now, 'node ' + {0}) > 0)"),
    "visited_count": ("number", "counted(now, 'node ' + {0})"),
    "string": ("string", "text({0})"),
    "number": ("number", "number({0})"),
    "bool": ("bool", "(str({0}).lower() in ('true', '1'))"),
    "format_invariant": ("string", "text({0})"),
    "round": ("number", "round({0})"),
    "round_places": ("number", "round({0}, int({1}))"),
    "floor": ("number", "int({0} // 1)"),
    "ceil": ("number", "-int(-({0}) // 1)"),
    "inc": ("number", "int({0} // 1 + 1)"),
    "dec": ("number", "-int(-({0}) // 1 + 1)"),
    "decimal": ("number", "({0} % 1)"),
    "int": ("number", "int({0})"),
    "min": ("number", "min({0}, {1})"),
    "max": ("number", "max({0}, {1})"),
    "random": ("number", "drawn(now, {n}, 1_000_000) / 1_000_000"),
    "random_range": ("number", "(int({0}) + drawn(now, {n}, int({1}) - int({0}) + 1))"),
    "dice": ("number", "(1 + drawn(now, {n}, int({0})))"),
}
DRAWN = frozenset({"random", "random_range", "dice"})


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(GRAMMAR, parser="lalr")


@dataclass(frozen=True, slots=True)
class Value:
    """An expression in Python.

    Attributes:
        code: reads ``now``. kind: its type; empty where that is not known. n_conditions: operators that join conditions.
        reads: variables by their names in Yarn. calls: functions that the game gives, with their number of arguments.
        n_drawn: how many random numbers it takes.
    """

    code: str
    kind: Kind
    n_conditions: int
    reads: tuple[str, ...] = ()
    calls: tuple[tuple[str, int, Kind], ...] = ()
    n_drawn: int = 0


@dataclass(slots=True)
class Scope:
    """What expressions may name.

    Attributes:
        fields: variable -> field of State. kinds: variable -> its type. smart: variable -> function that gives its value.
        enums: enum -> case -> (value in Python, type). content: Python of ``has_any_content`` for a node.
    """

    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    smart: dict[str, str] = field(default_factory=dict)
    enums: dict[str, dict[str, tuple[str, Kind]]] = field(default_factory=dict)
    content: Callable[[str], str] | None = None
    functions: dict[str, str] = field(default_factory=dict)


def value_of(text: str, scope: Scope, wanted: Kind = "") -> Value:
    """An expression as Python. ``wanted``: the type that its place asks for. Raises DataError."""
    from lark.exceptions import LarkError

    writer = _Writer(scope)
    try:
        if len(text) > MOST_CHARACTERS:
            raise DataError(f"an expression of more than {MOST_CHARACTERS} characters")
        code, kind = writer.write(_parser().parse(text), wanted)
    except (LarkError, RecursionError) as error:
        raise DataError(f"{text[:80]!r} is no expression that can be carried") from error
    return Value(code, kind, writer.n_conditions, tuple(writer.reads), tuple(writer.calls), writer.n_drawn)


def constant(text: str, scope: Scope) -> str | None:
    """The text that an expression of constants gives; None where it reads the story."""
    found = value_of(text, scope, "string")
    if found.reads or found.calls or found.n_drawn or "now" in found.code:
        return None
    try:
        return str(ast.literal_eval(found.code.strip("()")))
    except (ValueError, SyntaxError):
        parts = [one.strip(" ()") for one in found.code.split(" + ")]
        try:
            return "".join(str(ast.literal_eval(one)) for one in parts)
        except (ValueError, SyntaxError):
            return None


class _Writer:
    """One pass over a tree; every method gives Python and its type."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.n_conditions = self.n_drawn = 0
        self.reads: list[str] = []
        self.calls: list[tuple[str, int, Kind]] = []

    def write(self, tree: Tree[Token] | Token, wanted: Kind = "") -> tuple[str, Kind]:
        from lark import Token

        if isinstance(tree, Token):  # pragma: no cover - no rule gives a bare token
            return repr(str(tree)), "string"
        method: Callable[[list[Tree[Token] | Token], Kind], tuple[str, Kind]] = getattr(self, f"_{tree.data}")
        return method(list(tree.children), wanted)

    def _number(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        text = str(parts[0])
        return text if "." in text else str(int(text)), "number"

    def _true(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        return "True", "bool"

    def _false(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        return "False", "bool"

    def _string(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        return repr(str(parts[0])[1:-1].replace('\\"', '"').replace("\\\\", "\\")), "string"

    def _variable(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        name = str(parts[0])
        self.reads.append(name)
        if wanted and not self._scope.kinds.get(name):
            self._scope.kinds[name] = wanted
        kind = self._scope.kinds.get(name, "")
        if name in self._scope.smart:
            return f"{self._scope.smart[name]}(now)", kind
        return f"now.{self._scope.fields.get(name, name.lstrip('$'))}", kind

    def _member(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        owner, name = (str(parts[0]), str(parts[1])) if len(parts) == 2 and parts[0] is not None else ("", str(parts[-1]))
        found = {repr(cases[name]): cases[name] for title, cases in self._scope.enums.items() if name in cases and owner in ("", title)}
        if len(found) != 1:
            raise DataError(f"{owner}.{name} names no case of an enum, or several")
        return next(iter(found.values()))

    def _call(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        name, given = str(parts[0]), [one for one in parts[1:] if one is not None]
        if name == "has_any_content" and self._scope.content:
            title, _ = self.write(given[0])
            return self._scope.content(title), "bool"
        known = FUNCTIONS.get(name)
        arguments = [self.write(one, "string" if name.startswith("visited") else "")[0] for one in given]
        if known is None:
            self.calls.append((name, len(given), wanted))
            return f"{self._scope.functions.get(name, name)}({', '.join(arguments)})", wanted
        needed = 1 + max((number for number in range(4) if f"{{{number}}}" in known[1]), default=-1)
        if len(arguments) != needed:
            raise DataError(f"{name}() takes {needed} values")
        self.n_drawn += name in DRAWN
        return known[1].format(*arguments, n=self.n_drawn), known[0]

    def _negative(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        return f"-{self.write(parts[1], 'number')[0]}", "number"

    def _opposite(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        return f"(not {self.write(parts[1], 'bool')[0]})", "bool"

    def _both(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        left, operator, right = parts
        self.n_conditions += 1
        word = {"AND": "and", "OR": "or"}.get(getattr(operator, "type", ""), "!=")
        first, second = self.write(left, "bool")[0], self.write(right, "bool")[0]
        return f"({first} {word} {second})", "bool"

    def _compared(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        left, operator, right = parts
        kind: Kind = "" if getattr(operator, "type", "") in ("EQ", "NE") else "number"
        first = self.write(left, kind)
        second = self.write(right, kind or first[1])
        if not first[1] and second[1]:  # the other side tells the type
            n_conditions = self.n_conditions
            first = self.write(left, second[1])
            self.n_conditions = n_conditions
        return f"({first[0]} {_SAME[getattr(operator, 'type', '')]} {second[0]})", "bool"

    def _counted(self, parts: list[Tree[Token] | Token], wanted: Kind) -> tuple[str, Kind]:
        left, operator, right = parts
        name = getattr(operator, "type", "")
        is_sum = name == "PLUS"
        first = self.write(left, wanted if is_sum else "number")
        second = self.write(right, (wanted or first[1]) if is_sum else "number")
        if is_sum and "string" in (first[1], second[1]):
            pair = [code if kind == "string" else f"text({code})" for code, kind in (first, second)]
            return f"({' + '.join(pair)})", "string"
        if name == "REST":
            return f"remainder({first[0]}, {second[0]})", "number"
        return f"({first[0]} {_SAME.get(name, '/')} {second[0]})", "number"


# -- Python as expressions of Yarn -------------------------------------------------------------------------

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "==", ast.IsNot: "!=",
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.And: "&&", ast.Or: "||",
}  # fmt: skip


def variable(name: str) -> str:
    return "$" + name.replace(".", "_")


def yarn_of(text: str) -> str:
    """A Python expression of numbers, texts, names and operators as one of Yarn. Raises DataError for any other."""
    try:
        return _yarn(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{text[:60]!r} is no expression that can be carried") from error


def _yarn(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return "true" if node.value else "false"
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and "e" not in repr(node.value):
        return repr(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
        return '"' + node.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(node, ast.Name):
        return variable(node.id)
    if isinstance(node, ast.Attribute):
        return variable(ast.unparse(node)) if re.fullmatch(r"[\w.]+", ast.unparse(node)) else _refuse(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPERATORS:
        return f"({_yarn(node.left)} {_OPERATORS[type(node.ops[0])]} {_yarn(node.comparators[0])})"
    if isinstance(node, ast.BoolOp):
        return "(" + f" {_OPERATORS[type(node.op)]} ".join(map(_yarn, node.values)) + ")"
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return f"({_yarn(node.left)} {_OPERATORS[type(node.op)]} {_yarn(node.right)})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        return f"{'!' if isinstance(node.op, ast.Not) else '-'}{_yarn(node.operand)}"
    return _refuse(node)


def _refuse(node: ast.expr) -> str:
    raise DataError(f"{ast.unparse(node)[:60]!r} is no expression that can be carried")
