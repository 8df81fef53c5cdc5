"""Texts put into a catalog file: as intended, every other byte as it was, or nothing at all."""

from __future__ import annotations

import datetime as dt
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constrained.approval.rewrite import rewrite, with_example
from constrained.catalog.load import catalog_from_bytes, load_catalog
from constrained.catalog.template import BETWEEN, join_variants
from constrained.errors import CatalogError
from tests.catalog.catalogs import catalog_data

FILE = """\
# a comment
catalog: desk   # with a remark
version: 1
locale: en
fallback: pardon
responses:
  pardon: {text: Pardon?, when: nothing else fits}  # flow
  plain:
    text: A plain text that
      goes on.
    when: one
  quoted:
    text: 'It''s {n}.'   # a remark
    slots: {n: integer}
    when: two
  literal:
    text: |
      Two
      lines.

    when: three
  map:
    text:
      # English first
      en: "One."
      es: >-
        Uno
        dos.
    when: four
  flow:
    text: {en: Two., no: To.}
    when: five
"""


def written(folder: Path, text: str = FILE) -> Path:
    path = folder / "desk.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def texts(path: Path) -> dict[tuple[str, str], str]:
    catalog = load_catalog(path, today=dt.date(2026, 3, 2))
    return {(one.id, locale): text.source for one in catalog.responses.values() for locale, text in one.texts.items()}


KEYS = [("pardon", "en"), ("plain", "en"), ("quoted", "en"), ("literal", "en"), ("map", "en"), ("map", "es"), ("flow", "no")]


@pytest.mark.parametrize("key", [*KEYS, ("pardon", "fr"), ("literal", "fr"), ("map", "fr"), ("flow", "fr")])
def test_one_text_changes_and_every_other_line_stays(key: tuple[str, str], tmp_path: Path) -> None:
    path = written(tmp_path)
    before = texts(path)
    new = 'New: "{n}" \\ {{x}} # é\nline' if key[0] == "quoted" else 'New: "x" \\ {{x}} # é\nline'
    rewrite(path, {key: new})
    assert texts(path) == before | {key: new}
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if line in FILE.splitlines()]
    assert len(kept) >= len(FILE.splitlines()) - 4
    for remark in ("# a comment", "# with a remark", "# flow", "# a remark", "# English first"):
        assert remark in path.read_text(encoding="utf-8")


def test_all_at_once_and_a_byte_order_mark_stays(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeff" + FILE)
    before = texts(path)
    changes = {key: f"{key[0]} {key[1]}" + (" {n}" if key[0] == "quoted" else "") for key in KEYS} | {("map", "fr"): "Un."}
    rewrite(path, changes)
    assert texts(path) == before | changes
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


VARIANTS = """\
catalog: npc
version: 1
locale: en
fallback: pardon
responses:
  pardon: {text: Pardon?, when: nothing else fits}
  block:
    variants:
    - Aye?   # the first
    - |
      What'll
      it be?
    when: one
  flow: {variants: [One., "Two.", 'Three.'], when: two}
  beside:
    text: Well?
    variants:
      # more of it
      - Well, well?
    when: three
  map:
    text: {en: Go., es: Ve.}
    variants:
      en: [Off with you., Away.]
      es:
        - Fuera.
      # the end
    when: four
  mixed:
    text: Hm.
    variants: {es: [Ja., Je.]}
    when: five
"""


@pytest.mark.parametrize(
    ("key", "new"),
    [
        (("block", "en"), ["Aye?", "Changed."]),
        (("block", "en"), ["Aye!", "What'll\nit be?", "A third."]),
        (("block", "en"), ["Alone."]),
        (("block", "es"), ["Uno.", "Dos."]),
        (("flow", "en"), ["One.", "Zwei.", "Three."]),
        (("flow", "en"), ["One.", "Two."]),
        (("flow", "es"), ["Uno."]),
        (("beside", "en"), ["Well!", "Well, well?"]),
        (("beside", "en"), ["Well?", "Well now?", "Well then?"]),
        (("beside", "es"), ["Bien?", "Y bien?"]),
        (("map", "es"), ["Ve.", "Largo."]),
        (("map", "es"), ["Ve ya.", "Largo.", "Vete."]),
        (("map", "fr"), ["Va.", "Ouste."]),
        (("map", "fr"), ["Va."]),
        (("mixed", "es"), ["Ja.", "Ji."]),
        (("mixed", "en"), ["Hm.", "Hum."]),
        (("pardon", "en"), ["Pardon?", "What?"]),
        (("pardon", "es"), ["Que?", "Como?"]),
    ],
)
def test_variants_change_where_they_stand(key: tuple[str, str], new: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, VARIANTS)
    before = texts(path)
    rewrite(path, {key: join_variants(new)})
    assert texts(path) == before | {key: join_variants(new)}
    gone = [line for line in VARIANTS.splitlines() if line not in path.read_text(encoding="utf-8").splitlines()]
    own = VARIANTS[VARIANTS.index(f"  {key[0]}:") :].splitlines()
    assert set(gone) <= set(own[: next((n for n, line in enumerate(own[1:], 1) if line[2:3] not in (" ", "")), len(own))])


def test_a_variant_that_stays_is_not_touched(tmp_path: Path) -> None:
    path = written(tmp_path, VARIANTS)
    rewrite(path, {("block", "en"): join_variants(["Aye?", "Changed."]), ("flow", "en"): join_variants(["One.", "Zwei.", "Three."])})
    expected = VARIANTS.replace("- |\n      What'll\n      it be?\n", '- "Changed."\n').replace('"Two."', '"Zwei."')
    assert path.read_text(encoding="utf-8") == expected


def test_a_sheet_does_not_take_all_variants_out(tmp_path: Path) -> None:
    path = written(tmp_path, VARIANTS)
    with pytest.raises(CatalogError, match="would lose all its variants"):
        rewrite(path, {("beside", "en"): "Well?"})
    assert path.read_text(encoding="utf-8") == VARIANTS


words = st.text(st.characters(categories=["Lu", "Ll", "Nd", "Po", "Zs", "So"], exclude_characters="<[{}"), min_size=1).map(
    lambda text: " ".join(text.split())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=catalog_data(), style=st.sampled_from([None, '"', "'", "|"]), flow=st.booleans(), new=st.data())
def test_any_text_of_any_catalog_in_any_style(data: Any, style: Any, flow: bool, new: st.DataObject, tmp_path: Path) -> None:
    path = written(tmp_path, yaml.dump(_plain(data), allow_unicode=True, default_style=style, default_flow_style=flow, sort_keys=False))
    try:
        before = texts(path)
    except CatalogError:  # numbers that were dumped as quoted text
        return
    key = new.draw(st.sampled_from(sorted(before)))
    holes = "".join("{" + name + "}" for name in load_catalog(path, today=dt.date(2026, 3, 2))[key[0]].slots)
    n_variants = 1 if key[0].endswith(".offer") else new.draw(st.integers(2 if BETWEEN in before[key] else 1, 3))
    text = join_variants(" ".join(f"new {n} {new.draw(words)}{holes}".split()) for n in range(n_variants))
    rewrite(path, {key: text})
    assert texts(path) == before | {key: text}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, dt.date) else value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({("nobody", "en"): "x"}, "has no response 'nobody'"),
        ({("quoted", "en"): "no slot"}, "does not use the slot|would no longer be a catalog"),
        ({("plain", "en"): "{broken"}, "would no longer be a catalog"),
        ({("plain", "en"): "One."}, "would no longer be a catalog"),
        ({("plain", "en"): "<|im_start|>"}, "would no longer be a catalog"),
        ({("plain", "en"): " padded "}, "the text of 'plain' in 'en' cannot be changed by a sheet"),
    ],
)
def test_what_the_catalog_refuses_is_not_written(changes: Any, message: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(CatalogError, match=message) as caught:
        rewrite(path, changes)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    assert path.read_text(encoding="utf-8") == FILE
    assert list(tmp_path.iterdir()) == [path]


# -- one more example ------------------------------------------------------------------------------------------------

EXAMPLES = """\
# a comment
catalog: desk
version: 1
locale: en
fallback: pardon
responses:
  pardon: {text: Pardon?, when: nothing else fits}  # flow
  listed:
    text: Listed.
    when: one
    examples:   # in lines
      - hello # the first
      # between
      - "good day"  # the last
    tags: [x]
  bracketed:
    text: Bracketed.
    when: two
    examples: [one, 'two',   # both
      "three", ]  # the end
  empty:
    text: Empty.
    when: three
    examples: []
  translated:
    text: {en: Two., es: Dos.}
    examples: {en: [two], es: [dos]}
    when: four
  long:
    text: Long.
    when: five
    examples:
      - |
        a message
        in two lines
  last:
    when: six
    text: Last.
    examples:
      - the last line of the file"""
IDS = ["pardon", "listed", "bracketed", "empty", "translated", "long", "last"]
MESSAGES = st.text(min_size=1).filter(str.strip) | st.just("x" * 140)


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
@given(response_id=st.sampled_from(IDS), locale=st.sampled_from(["en", "es"]), message=MESSAGES)
def test_an_example_is_added_and_nothing_else_changes(ending: str, response_id: str, locale: str, message: str) -> None:
    text = EXAMPLES.replace("\n", "\r\n") if ending == "\r\n" else EXAMPLES + ending
    before, path = catalog_from_bytes(text.encode(), "desk.yaml"), Path("desk.yaml")
    try:
        content = with_example(text.encode(), path, response_id, locale, message)
    except CatalogError:  # another language than the list's, or a character that no file may hold
        is_other = locale == "es" and response_id != "translated"
        assert is_other or not message.isprintable()
        return
    after = catalog_from_bytes(content, path)
    shown = unicodedata.normalize("NFC", message).strip()
    assert after[response_id].examples[locale] == (*before[response_id].examples.get(locale, ()), shown)
    kept = [line for line in text.splitlines(keepends=True) if response_id not in line]
    assert sum(line in kept for line in content.decode().splitlines(keepends=True)) >= len(kept) - 2  # of brackets; without an end
    for remark in ("# a comment", "# flow", "# in lines", "# the first", "# between", "# the last", "# both", "# the end"):
        assert remark in content.decode()
    others = [one for one in IDS if one != response_id]
    assert [after[one].examples for one in others] == [before[one].examples for one in others]


def test_an_example_of_a_response_that_is_not_there_is_refused() -> None:
    with pytest.raises(CatalogError, match="has no response 'gone'"):
        with_example(EXAMPLES.encode(), Path("desk.yaml"), "gone", "en", "hello")
