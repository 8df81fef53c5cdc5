"""Broken catalogs: each problem is told with its line, column and a hint, and all of them at once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from constrained.catalog.load import catalog_from, load_catalog
from constrained.errors import CatalogError, Problem
from tests.catalog.catalogs import TODAY, small

HEAD = """\
catalog: small
version: 1
locale: en
fallback: pardon
responses:
  pardon: {text: Pardon., when: nothing else fits}
"""


def problems_of(path: str | Path) -> tuple[Problem, ...]:
    with pytest.raises(CatalogError) as caught:
        load_catalog(path, today=TODAY)
    return caught.value.problems


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "small.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# What follows HEAD from line 7 on -> line, column, message, part of the hint. One problem each.
IN_A_RESPONSE = [
    # shape
    ("  a: {text: A.}", 7, 3, "'when' of 'a' is missing", "which messages it answers"),
    ("  a: {when: x}", 7, 3, "'text' of 'a' is missing", "write what is said"),
    ("  a: {text: A., when: x, exampels: [b]}", 7, 26, "unknown key 'exampels' of 'a'", "did you mean 'examples'?"),
    ("  a: {text: A., when: x, <map>: 1}", 7, 26, "unknown key '<map>' of 'a'", "known here: aliases, "),
    ("  a: {text: A., when: x, zzz: 1}", 7, 26, "unknown key 'zzz' of 'a'", "known here: aliases, "),
    ("  a: hello", 7, 6, "the response 'a' must be a mapping with text and when, not 'hello'", "below the id"),
    ("  a:", 7, 3, "the response 'a' has no value", "give a value"),
    ("  a: {text: 50, when: x}", 7, 13, "'text' of 'a' must be text, or a mapping of locale to text, not the number 50", "quotes"),
    ("  a: {text: [A], when: x}", 7, 13, "'text' of 'a' must be text, or a mapping of locale to text, not a list", "quotes"),
    ("  a: {text: A., when: true}", 7, 23, "'when' of 'a' must be text, not true or false", "quotes"),
    ("  a: {text: A., when: }", 7, 17, "'when' of 'a' has no value", "give a value"),
    ("  a: {text: A., when: x, key: ~}", 7, 26, "'key' of 'a' has no value", "take the line out"),
    ("  a: {text: A., when: x, tags: trade}", 7, 32, "'tags' of 'a' must be a list, not 'trade'", "write [one, another]"),
    ("  a: {text: A., when: x, tags: [1.5]}", 7, 33, "'tags[0]' of 'a' must be text, not the number 1.5", "quotes"),
    ("  a: {text: A., when: x, examples: hi}", 7, 36, "'examples' of 'a' must be a list of messages, or a mapping of", "['one message'"),
    ("  a: {text: A., when: x, examples: {en: hi}}", 7, 41, "'examples.en' of 'a' must be a list, not 'hi'", "write [one"),
    ("  a: {text: A., when: x, examples: [hi, 5]}", 7, 41, "'examples[1]' of 'a' must be text, not the number 5", "quotes"),
    ("  a: {text: A., when: x, exact_locale: 'true'}", 7, 40, "'exact_locale' of 'a' must be true or false, not 'true'", "without quotes"),
    ("  a: {text: A., when: x, exact_locale: yes}", 7, 40, "'exact_locale' of 'a' must be true or false, not 'yes'", "write true"),
    # words
    ("  a: {text: ' ', when: x}", 7, 13, "'text' of 'a' is empty", "write it"),
    ("  a: {text: A., when: ''}", 7, 23, "'when' of 'a' is empty", "write it"),
    ("  a: {text: A., when: x, key: ' '}", 7, 31, "'key' of 'a' is empty", "take it out"),
    ("  a: {text: A., when: x, examples: [hi, ' ']}", 7, 41, "'examples[1]' of 'a' is empty", "take the entry out"),
    ("  a: {text: A., when: x, voice: ''}", 7, 33, "'voice' of 'a' is empty", "take it out"),
    ("  a: {text: 'A <|im_end|>', when: x}", 7, 13, "'text' of 'a' holds the chat marker '<|im_end|>'", "take it out"),
    ("  a: {text: A</s>, when: x}", 7, 13, "'text' of 'a' holds the chat marker '</s>'", ""),
    ("  a: {text: A <bos>, when: x}", 7, 13, "'text' of 'a' holds the chat marker '<bos>'", ""),
    ("  a: {text: 'A [INST] b', when: x}", 7, 13, "'text' of 'a' holds the chat marker '[INST]'", ""),
    ("  a: {text: A <start_of_turn>, when: x}", 7, 13, "'text' of 'a' holds the chat marker '<start_of_turn>'", ""),
    ("  a: {text: A., when: 'x <<SYS>>'}", 7, 23, "'when' of 'a' holds the chat marker '<<SYS>>'", ""),
    ('  a: {text: "A\\u202e", when: x}', 7, 13, "'text' of 'a' holds the character U+202E (right-to-left override)", "hide from a reader"),
    ('  a: {text: "A\\u2067", when: x}', 7, 13, "'text' of 'a' holds the character U+2067 (right-to-left isolate)", ""),
    ('  a: {text: "A\\0b", when: x}', 7, 13, "'text' of 'a' holds the character U+0000 (a control character)", ""),
    ('  a: {text: "A\\tb", when: x}', 7, 13, "'text' of 'a' holds the character U+0009 (a control character)", ""),
    ('  a: {text: "A\\U000E0041", when: x}', 7, 13, "'text' of 'a' holds the character U+E0041", ""),
    # ids
    ("  Big-Id: {text: A., when: x}", 7, 3, "the response id 'Big-Id' is not an identifier", "such as 'big_id'"),
    ("  1st: {text: A., when: x}", 7, 3, "the response id '1st' is not an identifier", "such as 'st'"),
    ("  '': {text: A., when: x}", 7, 3, "the response id '' is not an identifier", "a letter first"),
    ("  pardon: {text: A., when: x}", 7, 3, "the response id 'pardon' is used twice, first in line 6", "rename one"),
    ("  a: {text: A., when: x, text: B.}", 7, 26, "the key 'text' stands twice in one mapping, first in line 7", "take one out"),
    ("  a: {text: {en: A, en: B}, when: x}", 7, 21, "the key 'en' stands twice in one mapping, first in line 7", ""),
    ("  a: {text: '{x}', when: x, slots: {x: text, x: date}}", 7, 46, "the key 'x' stands twice in one mapping, first in line 7", ""),
    # templates and slots
    ("  a: {text: 'A } b', when: x}", 7, 16, "'text' of 'a': a single '}' closes nothing (character 3)", "write }}"),
    ('  a: {text: "A {x", when: x}', 7, 16, "'text' of 'a': the '{' is not closed (character 3)", "write {{"),
    ("  a: {text: 'A { x }', when: x}", 7, 16, "'text' of 'a': '{ x }' does not name a slot (character 3)", "write {name}"),
    ("  a:\n    text: |\n      one\n      two {x\n    when: x", 8, 11, "'text' of 'a': the '{' is not closed (character 9)", ""),
    (
        "  a: {text: '{price}', when: x}",
        7,
        14,
        "'text' of 'a' has the slot 'price', which is not declared",
        "write slots: {price: integer}",
    ),
    (
        "  a: {text: '{x} {pric}', when: x, slots: {x: text, price: text}}",
        7,
        18,
        "'text' of 'a' has the slot 'pric', which is not declared",
        "did you mean 'price'?",
    ),
    ("  a: {text: A., when: x, slots: {x: text}}", 7, 34, "the slot 'x' of 'a' is not used in its text", "write {x} in the text"),
    (
        "  a: {text: {en: '{x}', es: A}, when: x, slots: {x: text}}",
        7,
        50,
        "the slot 'x' of 'a' is not used in its text for es",
        "write {x}",
    ),
    (
        "  a: {text: '{x}', when: x, slots: {x: integr}}",
        7,
        40,
        "'slots.x' of 'a' has an unknown slot type 'integr'",
        "did you mean 'integer'?",
    ),
    (
        "  a: {text: '{x}', when: x, slots: {x: {type: zzz}}}",
        7,
        40,
        "'slots.x' of 'a' has an unknown slot type 'zzz'",
        "known here: choice,",
    ),
    ("  a: {text: '{x}', when: x, slots: {x: 5}}", 7, 40, "'slots.x' of 'a' has an unknown slot type the number 5", "known here"),
    ("  a: {text: '{x}', when: x, slots: {x: money}}", 7, 40, "'slots.x' of 'a' says too little for a money slot", "currency: EUR"),
    ("  a: {text: '{x}', when: x, slots: {x: choice}}", 7, 40, "'slots.x' of 'a' says too little for a choice slot", "of: [ale, stew]"),
    ("  a: {text: '{x}', when: x, slots: {x: {currency: EUR}}}", 7, 40, "'slots.x' of 'a' has no type", "write {type: ...}"),
    ("  a: {text: '{x}', when: x, slots: {x: }}", 7, 37, "'slots.x' of 'a' has no value", ""),
    ("  a: {text: '{x}', when: x, slots: [x]}", 7, 36, "'slots' of 'a' must be a mapping (key: value), not a list", ""),
    ("  a: {text: '{x}', when: x, slots: {x: {type: money}}}", 7, 37, "'slots.x.currency' of 'a' is missing", "currency: EUR"),
    (
        "  a: {text: '{x}', when: x, slots: {x: {type: money, currency: eur}}}",
        7,
        64,
        "'slots.x.currency' of 'a' is 'eur', which is not an ISO 4217 currency",
        "did you mean 'EUR'?",
    ),
    (
        "  a: {text: '{x}', when: x, slots: {x: {type: money, currency: XYZ}}}",
        7,
        64,
        "'slots.x.currency' of 'a' is 'XYZ', which is not an ISO 4217 currency",
        "such as EUR",
    ),
    (
        "  a: {text: '{x}', when: x, slots: {x: {type: text, max_lenght: 5}}}",
        7,
        53,
        "unknown key 'slots.x.max_lenght' of 'a'",
        "did you mean 'max_length'?",
    ),
    ("  a: {text: '{x}', when: x, slots: {x: {type: text, max_length: 0}}}", 7, 65, "'slots.x.max_length' of 'a' must be at least 1", ""),
    (
        "  a: {text: '{x}', when: x, slots: {x: {type: text, max_length: 1.5}}}",
        7,
        65,
        "'slots.x.max_length' of 'a' must be a whole number",
        "",
    ),
    ("  a: {text: '{Xy}', when: x}", 7, 14, "'text' of 'a': '{Xy}' does not name a slot (character 1)", ""),
    ("  a: {text: '{class}', when: x, slots: {class: text}}", 7, 41, "'class' cannot name a slot: Python uses the word", "class_value"),
    (
        "  a: {text: '{response_id}', when: x, slots: {response_id: text}}",
        7,
        47,
        "'response_id' cannot name a slot: Python uses the word",
        "rename it",
    ),
    # choices
    ("  a: {text: '{x}', when: x, slots: {x: {type: choice}}}", 7, 37, "'slots.x.of' of 'a' is missing", "of: [ale, stew]"),
    ("  a: {text: '{x}', when: x, slots: {x: {type: choice, of: []}}}", 7, 55, "'slots.x.of' of 'a' has no choices", ""),
    ("  a: {text: '{x}', when: x, slots: {x: {type: choice, of: ale}}}", 7, 59, "'slots.x.of' of 'a' must be a list of words, or a", ""),
    (
        "  a: {text: '{x}', when: x, slots: {x: {type: choice, of: [ale, ale]}}}",
        7,
        65,
        "'slots.x.of[1]' of 'a' stands twice in the list",
        "",
    ),
    ("  a: {text: '{x}', when: x, slots: {x: {type: choice, of: {ale: ''}}}}", 7, 65, "'slots.x.of.ale' of 'a' is empty", ""),
    (
        "  a: {text: {en: '{x}', es: '¡{x}!'}, when: x, slots: {x: {type: choice, of: [ale]}}}",
        7,
        79,
        "'slots.x.of[0]' of 'a' has no word for 'es'",
        "write {es: ...}",
    ),
    (
        "  a: {text: {en: '{x}', es: '¡{x}!'}, when: x, slots: {x: {type: choice, of: {ale: {en: ale}}}}}",
        7,
        84,
        "'slots.x.of.ale' of 'a' has no word for 'es'",
        "",
    ),
    # locales
    ("  a: {text: {es: A}, when: x}", 7, 7, "'text' of 'a' has no text for the default locale 'en'", "write en: ..."),
    ("  a: {text: {en: A, en_GB: B}, when: x}", 7, 21, "'text.en_GB' of 'a' is not a BCP 47 locale: 'en_GB'", "did you mean 'en-GB'?"),
    ("  a: {text: {en: A, english: B}, when: x}", 7, 21, "'text.english' of 'a' is not a BCP 47 locale: 'english'", "such as en"),
    ("  a: {text: {en: A, xx: B}, when: x}", 7, 21, "'text.xx' of 'a' is not a BCP 47 locale: 'xx'", ""),
    ("  a: {text: {en: A, EN: B}, when: x}", 7, 21, "'text.EN' of 'a' names the locale 'en' a second time", "keep one"),
    ("  a: {text: A, when: x, examples: {engli-sh: [b]}}", 7, 36, "'examples.engli-sh' of 'a' is not a BCP 47 locale", ""),
    ("  a: {text: {price}, when: x}", 7, 14, "'text.price' of 'a' has no value", "needs quotes"),
    ("  a: {text: {}, when: x}", 7, 7, "'text' of 'a' has no text for the default locale 'en'", ""),
    (
        "  a: {text: {en: '{x}', tlh: '{x} Qapla'}, when: x, slots: {x: integer}}",
        7,
        64,
        "'slots.x' of 'a' cannot be formatted for the locale 'tlh'",
        "use a text slot",
    ),
    # approvals
    ("  a: {text: A, when: x, approval: {by: me}}", 7, 25, "'approval.on' of 'a' is missing", "on: 2026-01-15"),
    ("  a: {text: A, when: x, approval: {on: 2026-01-01}}", 7, 25, "'approval.by' of 'a' is missing", "who approved"),
    ("  a: {text: A, when: x, approval: me}", 7, 35, "'approval' of 'a' must be a mapping (key: value), not 'me'", ""),
    ("  a: {text: A, when: x, approval: {by: me, on: 1 May}}", 7, 48, "'approval.on' of 'a' must be a day, not '1 May'", "2026-01-15"),
    ("  a: {text: A, when: x, approval: {by: me, on: 20260101}}", 7, 48, "'approval.on' of 'a' must be a day, not the number 20260101", ""),
    ("  a: {text: A, when: x, approval: {by: me, on: 2026-02-30}}", 7, 48, "'approval.on' of 'a' must be a day, not '2026-02-30'", ""),
    ("  a: {text: A, when: x, approval: {by: me, on: 2026-01-01, til: 2027-01-01}}", 7, 60, "unknown key 'approval.til' of 'a'", "'until'"),
    ("  a: {text: A, when: x, approval: {by: me, on: 2026-01-01, until: }}", 7, 60, "'approval.until' of 'a' has no value", ""),
    (
        "  a: {text: A, when: x, approval: {by: me, on: 2026-02-02, until: 2026-02-01}}",
        7,
        67,
        "'approval.until' of 'a' (2026-02-01) is before the day of approval (2026-02-02)",
        "correct one",
    ),
    (
        "  a: {text: A, when: x, approval: {by: me, on: 2026-01-01, until: 2026-03-01}}",
        7,
        67,
        "the approval of 'a' ended on 2026-03-01",
        "renew",
    ),
    # two responses, one wording
    ("  a: {text: Pardon., when: x}", 7, 7, "'a' says in 'en' the same as 'pardon' (line 6)", "say it differently"),
    ("  a: {text: ' Pardon.  ', when: x}", 7, 7, "'a' says in 'en' the same as 'pardon' (line 6)", ""),
    ("  a: {text: {en: A, de: B}, when: x}\n  b: {text: {en: C, de: B}, when: x}", 8, 25, "'b' says in 'de' the same as 'a' (line 7)", ""),
    ('  a: {text: A b, when: x}\n  b: {text: "A\\n  b", when: x}', 8, 7, "'b' says in 'en' the same as 'a' (line 7)", ""),
    ('  a: {text: "Caf\\xe9", when: x}\n  b: {text: "Cafe\\u0301", when: x}', 8, 7, "'b' says in 'en' the same as 'a' (line 7)", ""),
    (
        "  a: {text: '{x} gold', when: x, slots: {x: integer}}\n  b: {text: '{y}  gold', when: x, slots: {y: integer}}",
        8,
        7,
        "'b' says in 'en' the same as 'a' (line 7)",
        "",
    ),
    (
        "  a: {text: '{x}, please', when: x, slots: {x: {type: choice, of: [Ale, Stew]}}}\n  b: {text: 'Stew, please', when: x}",
        8,
        7,
        "'b' says in 'en' the same as 'a' (line 7)",
        "",
    ),
    # YAML that may not be used
    ("  a: &x {text: A, when: x}\n  b: *x", 8, 6, "the alias '*x' may not be used", "write the text out"),
    ("  a: {text: !!str A, when: !secret x}", 7, 28, "the tag '!secret' may not be used", "take it out"),
    ("  a: {text: A, when: x, ? [b] : c}", 7, 27, "a key must be text", "quotes"),
    ("---\ncatalog: two", 7, 1, "a second document begins here", "take the line '---' out"),
]

AS_A_WHOLE = [
    (HEAD.replace("version: 1\n", ""), 1, 1, "'version' is missing", "write version: 1"),
    (HEAD.replace("version: 1", "version: '1'"), 2, 10, "'version' must be a whole number, not '1'", ""),
    (HEAD.replace("version: 1", "version: true"), 2, 10, "'version' must be a whole number, not true or false", ""),
    (HEAD.replace("version: 1", "version: 0"), 2, 10, "'version' must be at least 1", ""),
    (HEAD.replace("locale: en\n", ""), 1, 1, "'locale' is missing", "locale: en"),
    (HEAD.replace("locale: en", "locale: en_US"), 3, 9, "'locale' is not a BCP 47 locale: 'en_US'", "did you mean 'en-US'?"),
    (HEAD.replace("fallback: pardon\n", ""), 1, 1, "'fallback' is missing", "nothing else fits"),
    (HEAD.replace("fallback: pardon", "fallback: pardn"), 4, 11, "the fallback 'pardn' is not a response of this catalog", "'pardon'?"),
    (HEAD.replace("Pardon.,", "'{x}?', slots: {x: text},"), 6, 3, "the fallback 'pardon' has slots", "cannot need a value"),
    (HEAD.replace("Pardon.,", "Pardon., exact_locale: true,"), 6, 27, "the fallback 'pardon' is exact_locale", "choose another"),
    (
        HEAD.replace("Pardon.,", "Pardon., approval: {by: me, on: 2026-03-03},"),
        6,
        50,
        "the fallback 'pardon' is approved only from 2026-03-03",
        "in force",
    ),
    (HEAD.replace("catalog: small", "catalog: Small Talk"), 1, 10, "the catalog's name 'Small Talk' is not an identifier", "'small_talk'"),
    (HEAD.replace("catalog: small", "catalogue: small\ncatalog: small"), 1, 1, "unknown key 'catalogue'", "did you mean 'catalog'?"),
    (HEAD + "speaker: Brom <|im_end|>\n", 7, 10, "'speaker' holds the chat marker '<|im_end|>'", ""),
    (HEAD + "persona: 5\n", 7, 10, "'persona' must be text, not the number 5", "quotes"),
    (HEAD.split("responses")[0], 1, 1, "'responses' is missing", "the responses by id"),
    (HEAD.split("responses")[0] + "responses: [a]\n", 5, 12, "'responses' must be a mapping (key: value), not a list", ""),
    ("", 1, 1, "the file holds no catalog", "write catalog:"),
    ("# only a comment\n", 1, 1, "the file holds no catalog", ""),
    ("- a\n", 1, 1, "a catalog is a mapping (key: value)", ""),
    ("just words", 1, 1, "a catalog is a mapping (key: value)", ""),
    (b"catalog: caf\xe9\n", 1, 13, "not UTF-8: the byte 0xe9", "save the file as UTF-8"),
    ("catalog: a\x07b\n", 1, 11, "the character U+0007 may not be in a file", "delete it"),
    ("catalog: small\n\tversion: 1\n", 2, 1, "not valid YAML: ", "indent with spaces"),
    (
        "catalog: small\nspeaker: Brom: innkeeper\n",
        2,
        14,
        "not valid YAML: mapping values are not allowed",
        "put a text that holds ': ' in quotes",
    ),
    ("catalog: 'small\n", 2, 1, "not valid YAML: found unexpected end of stream", "close the quote"),
    ("catalog: @small\n", 1, 10, "not valid YAML: found character ", "quotes"),
    (HEAD + "  a:\n    text: {price} gold\n", 8, 19, "not valid YAML: ", "begins with {"),
]


def check(found: tuple[Problem, ...], path: Path, line: int, column: int, message: str, hint: str) -> None:
    assert [problem.message[: len(message)] for problem in found] == [message]
    problem = found[0]
    assert (problem.file, problem.line, problem.column) == (str(path), line, column)
    assert hint in problem.hint
    assert str(problem).startswith(f"{path}:{line}:{column}: {message}")


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), IN_A_RESPONSE, ids=[case[3][:60] for case in IN_A_RESPONSE])
def test_one_problem_of_a_response(tmp_path: Path, text: str, line: int, column: int, message: str, hint: str) -> None:
    path = written(tmp_path, HEAD + text + "\n")
    check(problems_of(path), path, line, column, message, hint)


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), AS_A_WHOLE, ids=[case[3][:60] for case in AS_A_WHOLE])
def test_one_problem_of_the_whole(tmp_path: Path, text: str | bytes, line: int, column: int, message: str, hint: str) -> None:
    path = written(tmp_path, text)
    found = problems_of(path)
    check(tuple(problem for problem in found if problem.message.startswith(message)), path, line, column, message, hint)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """The first line of every case that stands by itself, in one file, each under its own id."""
    single = [case for case in IN_A_RESPONSE if "\n" not in case[0] and case[0].startswith("  a: ") and case[3].startswith("'")]
    text = HEAD + "".join(case[0].replace("  a: ", f"  a{number}: ") + "\n" for number, case in enumerate(single))
    found = problems_of(written(tmp_path, text))
    for number, (_, _, _, message, _) in enumerate(single):
        here = [problem.message for problem in found if problem.line == 7 + number]
        assert any(one.startswith(message.replace("'a'", f"'a{number}'")[:40]) for one in here), message
    assert list(found) == sorted(found)
    assert len(single) > 40


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing_here.yaml", "there is no such file"),
        (".", "this is not a file"),
        ("/dev/null", "this is not a file"),
        ("x" * 5000, "the file cannot be read: File name too long"),
        ("nul\0.yaml", "the file cannot be read: embedded null byte"),
    ],
    ids=["missing", "folder", "device", "long", "nul"],
)
def test_what_is_not_a_file(path: str, message: str) -> None:
    (problem,) = problems_of(path)
    assert (problem.file, problem.message) == (str(Path(path)) if path == "." else path, message)
    assert problem.hint


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, HEAD)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert problems_of(path)[0].message == "the file cannot be read: Permission denied"


def test_what_is_fine_is_not_a_problem() -> None:
    """Near misses of the table above."""
    catalog = catalog_from(
        small(
            same_in_another_locale={"text": {"en": "OK.", "es": "Pardon."}, "when": "x"},
            other_case={"text": "PARDON?", "when": "x"},
            other_currency={"text": "{x} due", "slots": {"x": {"type": "money", "currency": "EUR"}}, "when": "x"},
            this_currency={"text": "{x} due", "slots": {"x": {"type": "money", "currency": "GBP"}}, "when": "x"},
            other_order={"text": "{x} {y} {x}", "slots": {"x": "integer", "y": "integer"}, "when": "x"},
            this_order={"text": "{x} {y} {y}", "slots": {"x": "integer", "y": "integer"}, "when": "x"},
            angle_brackets={"text": "x < 5 > y [sic] <3 a<b|c>d [p. 5]", "when": "x"},
            right_to_left={"text": "\u200f\u05d3\u05d2\u200e, \u0645\u06cc\u200c\u062e\u0645", "when": "x"},
            emoji={"text": "👩\u200d👩\u200d👧 ❤\ufe0f", "when": "x"},
            two_lines={"text": "one\ntwo", "when": "x"},
            marker_in_example={"text": "No.", "when": "x", "examples": ["<|im_start|>system"]},
            ends_today={"text": "Today.", "when": "x", "approval": {"by": "me", "on": TODAY, "until": TODAY}},
            not_yet={"text": "Soon.", "when": "x", "approval": {"by": "me", "on": dt.date(2030, 1, 1)}},
            many_words={
                "text": "".join(f"{{s{n}}}" for n in range(9)),
                "slots": {f"s{n}": {"type": "choice", "of": ["a", "b", "c"]} for n in range(9)},
                "when": "x",
            },
        ),
        today=TODAY,
    )
    assert len(catalog.responses) == 15


def test_approvals_are_judged_by_the_day_that_is_given() -> None:
    """A record of the past is replayed with the catalog of the past."""
    data = small(said={"text": "A.", "when": "x", "approval": {"by": "me", "on": "2020-01-01", "until": "2021-01-01"}})
    assert catalog_from(data, today=dt.date(2021, 1, 1))["said"].approval is not None
    with pytest.raises(CatalogError, match="the approval of 'said' ended on 2021-01-01"):
        catalog_from(data, today=dt.date(2021, 1, 2))
    with pytest.raises(CatalogError, match="the approval of 'said' ended"):
        catalog_from(data)


@pytest.mark.parametrize("value", [dt.datetime(2026, 1, 1), 1_767_225_600, "20260101", "2026-1-1"])
def test_only_days_are_days(value: Any) -> None:
    data = small(said={"text": "A.", "when": "x", "approval": {"by": "me", "on": value}})
    with pytest.raises(CatalogError, match=r"'approval\.on' of 'said' must be a day"):
        catalog_from(data)


def test_a_slot_has_a_name_that_a_text_can_hold() -> None:
    with pytest.raises(CatalogError, match="the slot name 'Xy' is not an identifier"):
        catalog_from(small(said={"text": "A.", "slots": {"Xy": "text"}, "when": "x"}))


def test_choices_are_multiplied_out_only_as_far_as_that_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = {"type": "choice", "of": ["Ale", "Stew"]}
    data = small(a={"text": "{x}, {y}", "slots": {"x": choice, "y": choice}, "when": "x"}, b={"text": "Ale, Stew", "when": "x"})
    monkeypatch.setattr("constrained.catalog.load.MOST_WORDINGS", 3)
    assert "b" in catalog_from(data)
    monkeypatch.setattr("constrained.catalog.load.MOST_WORDINGS", 4)
    with pytest.raises(CatalogError, match="'b' says in 'en' the same as 'a'"):
        catalog_from(data)
