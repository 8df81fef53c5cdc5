"""Output contexts: what a parser of the context reads is the plain text, and no markup appears."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as xml

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from constrained.catalog.contexts import CONTEXTS, escape
from constrained.errors import CatalogError

HOSTILE = [
    "<b>bold</b> & <script>alert(1)</script>",
    "&lt;&amp;&#60;",
    "\" onmouseover='x",
    "<speak><break time='10s'/></speak><!-- x --> ]]> <?xml?>",
    "**a** _b_ `c` [d](http://e.example) ![f](g) <h>",
    "# title\n- item\n1. one\n    code\n> quote\n\n***\na  \nb\\\n===\nwww.evil.example http://x.example | ~~s~~",
]
texts = st.text(
    st.sampled_from("<>&'\"`*_[]()#-+.!|~\\ \n1ab=:/é漢") | st.characters(exclude_categories=["Cs", "Cc"]), max_size=30
) | st.sampled_from(HOSTILE)


class _Reader(HTMLParser):
    """Reads HTML as a browser does; everything but text is noted."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.markup = "", list[str]()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.markup.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.markup.append(tag)

    def handle_comment(self, data: str) -> None:
        self.markup.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def read_html(source: str) -> tuple[str, list[str]]:
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return reader.text, reader.markup


@given(texts)
@example(HOSTILE[0])
def test_html_reads_as_the_plain_text_and_holds_no_element(text: str) -> None:
    assert read_html(escape(text, "html")) == (text, [])


@given(texts)
def test_an_attribute_of_html_holds_the_plain_text(text: str) -> None:
    reader = _Reader()
    found: list[tuple[str, str | None]] = []
    reader.handle_starttag = lambda tag, attrs: found.extend(attrs)  # type: ignore[method-assign]
    reader.feed(f'<i title="{escape(text, "html")}">')
    assert found == [("title", text)]


@given(texts.filter(lambda text: not set(text) & set("\ufffe\uffff")))
@example(HOSTILE[3])
def test_ssml_reads_as_the_plain_text_and_holds_no_element(text: str) -> None:
    root = xml.fromstring(f"<speak>{escape(text, 'ssml')}</speak>")
    assert (root.text or "", list(root)) == (text, [])


def test_ssml_refuses_what_xml_cannot_hold() -> None:
    with pytest.raises(CatalogError, match=r"U\+0007"):
        escape("a\x07", "ssml")


@given(texts)
@example(HOSTILE[4])
@example(HOSTILE[5])
def test_markdown_reads_as_the_plain_text_and_holds_no_element(text: str) -> None:
    """CommonMark with tables, strikethrough and links that are written bare; paragraphs and line breaks are no markup."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(escape(text, "markdown"))
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
    inner = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inner} <= {"text", "text_special", "softbreak"}
    read = "".join("\n" if child.type == "softbreak" else child.content for child in inner)
    assert "".join(read.split()) == "".join(text.split())


@given(texts)
def test_plain_is_the_text_itself(text: str) -> None:
    assert escape(text, "plain") == text


def test_there_are_no_other_contexts() -> None:
    assert CONTEXTS == ("plain", "html", "markdown", "ssml")
    with pytest.raises(CatalogError, match="no output context 'tex'"):
        escape("a", "tex")  # type: ignore[arg-type]
