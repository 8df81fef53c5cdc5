"""Reads the TypeScript export of an Agent Builder workflow by its syntax tree (tree-sitter)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from constrained.cli.importing.workflow import (
    APPROVALS,
    ENTRIES,
    PARTS,
    REASONS,
    TOOLS,
    Agent,
    Branch,
    Condition,
    End,
    Loop,
    Node,
    Other,
    Run,
    Workflow,
)
from constrained.errors import DataError

if TYPE_CHECKING:
    from tree_sitter import Node as Syntax

DEPTH = 150  # nested nodes of syntax; deeper code is not read


def read_typescript(text: str, file: str) -> Workflow:
    """The workflow in ``text``. Raises DataError without the parser, and for code that nests too deep."""
    try:
        import tree_sitter_typescript
        from tree_sitter import Language, Parser
    except ImportError as error:
        raise DataError(f"{file} needs a parser of TypeScript", hint='pip install "constrained[import]"') from error
    grammar = tree_sitter_typescript.language_tsx() if file.endswith("x") else tree_sitter_typescript.language_typescript()
    root = Parser(Language(grammar)).parse(text.encode("utf-8", errors="replace")).root_node
    found = Workflow(file)
    walk = [(one, 0) for one in reversed(root.children)]
    while walk:
        node, depth = walk.pop()
        if depth > DEPTH:
            raise DataError(f"{file}:{_line(node)} nests more than {DEPTH} deep", hint="nothing of the file was read")
        if node.is_error or node.is_missing:
            found.others.append(Other("syntax", _source(node)[:60], _line(node), "it is not TypeScript"))
        elif node.type == "variable_declarator":
            _definition(node, found)
        elif node.type == "function_declaration" and _source(node.child_by_field_name("name")) in ENTRIES:
            _entry(node, found)
        walk += [(one, depth + 1) for one in reversed(node.children)]
    return found


def _definition(node: Syntax, found: Workflow) -> None:
    name, value = _source(node.child_by_field_name("name")), _plain(node.child_by_field_name("value"))
    if value is None:
        return
    if value.type in ("arrow_function", "function_expression") and name in ENTRIES:
        _entry(value, found)
        return
    called = _called(value)
    if value.type == "new_expression" and called == "Agent":
        given = _pairs(_first_argument(value))
        parts = []
        for key, kind in PARTS.items():
            for one in _elements(given.get(key)):
                parts.append((kind, _source(one) if kind != "instructions" else name, _line(one)))
        title = _literal(given["name"]) if "name" in given else ""
        found.agents[name] = Agent(name, title or name, found.file, _line(node), tuple(parts))
    elif value.type == "call_expression" and called in TOOLS:
        found.others.append(Other("tool", name, _line(node), REASONS["tool"]))
    elif value.type == "call_expression" and _source(value.child_by_field_name("function")) == "z.object":
        found.others.append(Other("output", name, _line(node), REASONS["output"]))
    elif value.type == "object" and "guardrails" in _pairs(value):
        found.others.append(Other("guardrail", name, _line(node), REASONS["guardrail"]))


def _entry(function: Syntax, found: Workflow) -> None:
    body = function.child_by_field_name("body")
    if found.nodes is None and body is not None:
        found.nodes, found.line = _Reader().block(body), _line(function)


# -- small helpers over the syntax tree ----------------------------------------------------------------


def _line(node: Syntax) -> int:
    return int(node.start_point[0]) + 1


def _source(node: Syntax | None) -> str:
    return node.text.decode("utf-8", errors="replace") if node is not None and node.text is not None else ""


def _plain(node: Syntax | None) -> Syntax | None:
    """The expression inside ``await``, brackets, ``as`` and ``!``."""
    while node is not None and node.type in (
        "await_expression", "parenthesized_expression", "as_expression", "non_null_expression", "satisfies_expression",
    ):  # fmt: skip
        node = node.named_children[0] if node.named_children else None
    return node


def _is_awaited(node: Syntax | None) -> bool:
    return node is not None and node.type == "await_expression"


def _called(node: Syntax | None) -> str:
    """The last name of what is called: ``run`` of ``runner.run(...)``."""
    if node is None or node.type not in ("call_expression", "new_expression"):
        return ""
    function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
    if function is not None and function.type == "member_expression":
        function = function.child_by_field_name("property")
    return _source(function)


def _arguments(call: Syntax) -> list[Syntax]:
    given = call.child_by_field_name("arguments")
    return [one for one in given.named_children if one.type != "comment"] if given is not None else []


def _first_argument(call: Syntax) -> Syntax | None:
    return next(iter(_arguments(call)), None)


def _pairs(node: Syntax | None) -> dict[str, Syntax]:
    """Key -> value of an object literal."""
    if node is None or node.type != "object":
        return {}
    found = {}
    for one in node.named_children:
        key, value = one.child_by_field_name("key"), one.child_by_field_name("value")
        if one.type == "pair" and key is not None and value is not None:
            found[_literal(key) or _source(key)] = value
        elif one.type == "shorthand_property_identifier":
            found[_source(one)] = one
    return found


def _elements(node: Syntax | None) -> list[Syntax]:
    if node is None:
        return []
    return [one for one in node.named_children if one.type != "comment"] if node.type == "array" else [node]


def _literal(node: Syntax | None) -> str:
    """The text of a string, or of a template without substitutions; empty for anything else."""
    if node is None or node.type not in ("string", "template_string") or any(one.type == "template_substitution" for one in node.children):
        return ""
    parts = []
    for one in node.named_children:
        text = _source(one)
        if one.type == "escape_sequence":
            try:
                text = json.loads(f'"{text}"')
            except ValueError:
                text = text[1:]
        parts.append(text)
    return "".join(parts)


class _Reader:
    """Statements of the entry function as nodes; knows the texts that variables were given."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def block(self, node: Syntax | None) -> list[Node]:
        if node is None:
            return []
        statements = node.named_children if node.type == "statement_block" else [node]
        return [found for one in statements for found in self._statement(one)]

    def _statement(self, node: Syntax) -> list[Node]:
        kind = node.type
        if kind == "if_statement":
            return self._branch(node)
        if kind == "while_statement":
            return [Loop(self._condition(node.child_by_field_name("condition")), self.block(node.child_by_field_name("body")), _line(node))]
        if kind in ("for_statement", "for_in_statement", "do_statement"):
            return [Other("loop", kind, _line(node), REASONS["loop"]), *self.block(node.child_by_field_name("body"))]
        if kind == "try_statement":
            return self.block(node.child_by_field_name("body"))
        if kind == "statement_block":
            return self.block(node)
        if kind == "return_statement":
            return self._return(node)
        if kind in ("lexical_declaration", "variable_declaration"):
            return [found for one in node.named_children if one.type == "variable_declarator" for found in self._declaration(one)]
        if kind == "expression_statement" and node.named_children:
            return self._expression(node.named_children[0])
        return []

    def _return(self, node: Syntax) -> list[Node]:
        value = node.named_children[0] if node.named_children else None
        call = _plain(value)
        for one in _arguments(call) if call is not None and call.type == "call_expression" else ():
            if one.type in ("arrow_function", "function_expression"):  # withTrace(NAME, async () => {...})
                return self.block(one.child_by_field_name("body"))
        run = self._run(value, "")
        return [*run, End("" if run else self._text(call), _line(node))]

    def _branch(self, node: Syntax) -> list[Node]:
        cases: list[tuple[Condition, list[Node]]] = []
        rest: Syntax | None = node
        while rest is not None and rest.type == "if_statement":
            body = self.block(rest.child_by_field_name("consequence"))
            cases.append((self._condition(rest.child_by_field_name("condition")), body))
            other = rest.child_by_field_name("alternative")
            rest = other.named_children[0] if other is not None and other.named_children else None
        is_plumbing = len(cases) == 1 and not cases[0][1] and rest is None and "throw" in _source(node)
        return [] if is_plumbing else [Branch(cases, self.block(rest), _line(node))]

    def _declaration(self, node: Syntax) -> list[Node]:
        name, value = _source(node.child_by_field_name("name")), node.child_by_field_name("value")
        self._texts[name] = self._text(_plain(value))
        return self._run(value, name)

    def _expression(self, node: Syntax) -> list[Node]:
        if node.type == "assignment_expression":
            left, value = _source(node.child_by_field_name("left")), node.child_by_field_name("right")
            self._texts[left] = self._text(_plain(value))
            if left.startswith("state.") or left.startswith("state["):
                return [Other("state", left, _line(node), REASONS["state"])]
            return self._run(value, left)
        call = _plain(node)
        for one in _arguments(call) if _is_awaited(node) and call is not None and call.type == "call_expression" else ():
            if one.type in ("arrow_function", "function_expression"):
                return self.block(one.child_by_field_name("body"))
        return self._run(node, "")

    def _run(self, value: Syntax | None, result: str) -> list[Node]:
        call = _plain(value)
        if value is None or call is None or call.type != "call_expression":
            return []
        called, given = _called(call), _arguments(call)
        if called == "run" and given:
            return [Run(_source(given[0]), result, _line(value))]
        if not _is_awaited(value):
            return []
        if "guardrail" in called.lower():
            return [Other("guardrail", called, _line(value), REASONS["guardrail"])]
        return [Other("call", _source(call.child_by_field_name("function")), _line(value), REASONS["call"])]

    def _condition(self, node: Syntax | None) -> Condition:
        test = _plain(node)
        if node is None or test is None:
            return Condition("", 0)
        text, line = _source(test), _line(test)
        if test.type == "call_expression" and _called(test) in APPROVALS:
            return Condition(text, line, approval=self._text(_first_argument(test)))
        if test.type == "binary_expression" and _source(test.child_by_field_name("operator")) in ("==", "==="):
            value = _literal(test.child_by_field_name("right"))
            if value:
                return Condition(text, line, _source(test.child_by_field_name("left")), value)
        return Condition(text, line)

    def _text(self, value: Syntax | None) -> str:
        """The text that ``value`` says: a literal, a variable with one, or the only text of an object."""
        if value is not None and value.type == "identifier":
            return self._texts.get(_source(value), "")
        pairs = _pairs(value)
        return _literal(next(iter(pairs.values()))) if len(pairs) == 1 else _literal(value)
