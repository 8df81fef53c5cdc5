"""Pages: whatever they are given is shown as text, and nothing is asked from elsewhere."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import escape

from constrained import _pages
from constrained._pages import Alert, Bar, render_page
from constrained.records.redecide import Comparison, sign_off_page
from constrained.records.report import report

HOSTILE = "<script src='http://x'>&\"'"
texts = st.text() | st.just(HOSTILE)
rows = st.lists(st.tuples(texts, st.integers(), st.builds(Bar, st.floats(-1, 2)), st.builds(Alert, texts)), max_size=3)


def table(rows: list[tuple[object, ...]]) -> str:
    macros = _pages._environment().get_template("macros.html").module
    return str(macros.table(("text", "number", "bar", "alert"), rows, "what it shows"))


@given(rows)
def test_every_cell_is_shown_as_text_and_in_its_row(rows: list[tuple[object, ...]]) -> None:
    html = table(rows)
    assert html.count("<tr>") == (len(rows) + 1 if rows else 0)
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html, flags=re.DOTALL)]
    for row, shown in zip(rows, zip(*[iter(cells)] * 4, strict=True), strict=True):
        assert unescape(shown[0]) == unescape_twin(row[0])
        assert shown[1] == _pages.format_value(row[1])
        assert shown[2] == ""
        assert unescape(shown[3]) == unescape_twin(row[3].text)


def unescape_twin(text: str) -> str:
    """What a reader sees of escaped text: the text itself, but for the characters that ``unescape`` repairs."""
    return unescape(str(escape(text)))


def test_numbers_are_to_the_right_and_short_words_stay_on_one_line() -> None:
    html = table([("short", 12_345, Bar(0.5), Alert("late"))])
    assert '<td class="s">short</td><td class="n">12\u202f345</td>' in html
    assert 'style="width:4.00rem"' in html
    assert '<span class="warn">late</span>' in html


def test_a_page_runs_nothing_and_asks_for_nothing() -> None:
    for html in (report([], title=HOSTILE, subtitle=HOSTILE), sign_off_page(Comparison(), what=HOSTILE)):
        assert html.startswith("<!doctype html>")
        assert "default-src 'none'" in html
        assert "<script" not in html
        assert not re.search(r"(src|href)=[\"']?http", html.replace("&#39;", "@"))


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render_page("sign_off.html", title="without figures")


def test_no_template_turns_escaping_off() -> None:
    templates = list(_pages.FOLDER.glob("*.html"))
    assert {one.name for one in templates} == {"base.html", "macros.html", "evaluation.html", "records_report.html", "sign_off.html"}
    for path in templates:
        assert not re.search(r"\|\s*safe|autoescape", path.read_text(encoding="utf-8")), path.name
