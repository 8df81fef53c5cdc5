"""Templates: what is parsed is what was written, and every misfit says where it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.catalog.template import Hole, Template, TemplateSyntaxError, _parts, parse_template

names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
braced = st.text(st.sampled_from("{}a_ 0\né漢") | st.characters(exclude_categories=["Cs"]), max_size=20)


def unparse(parts: tuple[str | Hole, ...]) -> str:
    return "".join("{" + part.name + "}" if isinstance(part, Hole) else part.replace("{", "{{").replace("}", "}}") for part in parts)


@given(st.lists(braced | names.map(Hole), max_size=8))
def test_parts_survive_being_written_and_parsed(parts: list[str | Hole]) -> None:
    template = parse_template(unparse(tuple(parts)))
    expected: list[str | Hole] = []
    for part in parts:
        if isinstance(part, str) and expected and isinstance(expected[-1], str):
            expected[-1] += part
        elif part != "":
            expected.append(part)
    assert list(template.parts) == expected
    assert template.slots == {part.name for part in parts if isinstance(part, Hole)}


def parsed_or_refused(source: str) -> Template | TemplateSyntaxError:
    try:
        return parse_template(source)
    except TemplateSyntaxError as error:
        return error


@given(braced)
def test_any_text_is_a_template_or_says_where_it_is_not(source: str) -> None:
    template = parsed_or_refused(source)
    if isinstance(template, TemplateSyntaxError):
        assert 1 <= template.column <= len(source)
        assert source[template.column - 1] in "{}"
        assert template.hint
    else:
        assert template.source == source == unparse(template.parts)
        assert (template.literal is None) == bool(template.slots)


@given(st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=20))
def test_the_way_round_the_grammar_gives_what_the_grammar_gives(source: str) -> None:
    assert parse_template(source).parts == _parts(source)


@given(braced, names, braced)
def test_a_regular_expression_finds_the_same_holes(before: str, name: str, after: str) -> None:
    """An independent reading: take doubled braces out, then look for {name}."""
    source = unparse((before, Hole(name), after))
    found = re.findall(r"\{([a-z][a-z0-9_]*)\}", re.sub(r"\{\{|\}\}", "", source))
    assert parse_template(source).slots == set(found)


def test_a_literal_is_said_with_single_braces() -> None:
    assert parse_template("{{x}} and {{{{").literal == "{x} and {{"
    assert parse_template("").literal == ""
    assert parse_template("a {b}").literal is None


def test_the_same_text_is_parsed_once() -> None:
    assert parse_template("{price} gold, once") is parse_template("{price} gold, once")


@pytest.mark.parametrize(
    ("source", "column", "message"),
    [
        ("}", 1, "a single '}' closes nothing"),
        ("a } b", 3, "a single '}' closes nothing"),
        ("{{a}}}", 6, "a single '}' closes nothing"),
        ("{a}}", 4, "a single '}' closes nothing"),
        ("{", 1, "the '{' is not closed"),
        ("abc {price", 5, "the '{' is not closed"),
        ("{{{", 3, "the '{' is not closed"),
        ("{}", 1, "'{}' does not name a slot"),
        ("hi { name }", 4, "'{ name }' does not name a slot"),
        ("{Name}", 1, "'{Name}' does not name a slot"),
        ("{1st}", 1, "'{1st}' does not name a slot"),
        ("{price:>10}", 1, "'{price:>10}' does not name a slot"),
        ("{a.__class__}", 1, "'{a.__class__}' does not name a slot"),
        ("{price!r}", 1, "'{price!r}' does not name a slot"),
        ("{größe}", 1, "'{größe}' does not name a slot"),
        ("one\ntwo {x", 9, "the '{' is not closed"),
    ],
)
def test_a_misfit_says_where_and_what(source: str, column: int, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(source)
    assert (caught.value.column, caught.value.message, caught.value.source) == (column, message, source)
