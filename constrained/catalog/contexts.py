"""An approved text inside another language: escaped for HTML, Markdown or SSML, so that it reads as it was approved.

Approved texts are plain text, and so are slot values: none of their characters is markup. So all of a text is escaped, whoever wrote
which part of it. What is compared, recorded and verified is the plain text.
"""

from __future__ import annotations

import html
import re
from typing import Literal, get_args

from constrained.errors import CatalogError

Context = Literal["plain", "html", "markdown", "ssml"]
CONTEXTS: tuple[Context, ...] = get_args(Context)

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # what CommonMark (0.31, section 2.4) lets a backslash take the meaning from
_OUTER_SPACE = re.compile(r"^[ \t]+|[ \t]+$", re.MULTILINE)  # at a line's beginning it makes code, at its end a line break
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def escape(text: str, context: Context) -> str:
    """``text`` so that a reader of ``context`` sees its characters and no markup.

    HTML: for element content and quoted attributes, not for scripts, styles or addresses. SSML: for the content of an element.
    Markdown: CommonMark, for whole paragraphs; a blank line parts paragraphs, as in any text.

    Raises:
        CatalogError: there is no such context, or SSML cannot hold a character of the text; no approved text has one.
    """
    if context == "plain":
        return text
    if context == "html":
        return html.escape(text, quote=True).replace("\r", "&#13;")
    if context == "ssml":
        found = _NOT_XML.search(text)
        if found:
            raise CatalogError(f"SSML cannot hold U+{ord(found[0]):04X}", hint="take the character out of the text")
        return html.escape(text, quote=True).replace("\r", "&#13;")
    if context == "markdown":
        spaced = _PUNCTUATION.sub(r"\\\1", text)
        return _OUTER_SPACE.sub(lambda match: "".join(f"&#{ord(character)};" for character in match[0]), spaced)
    raise CatalogError(f"there is no output context {context!r}", hint=f"one of {', '.join(CONTEXTS)}")
