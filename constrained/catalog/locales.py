"""BCP 47 locale tags: canonical form and the tags to fall back on."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)",
    re.IGNORECASE | re.ASCII,
)
# ISO 639-1: the two-letter languages.
_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu "
    "fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn "
    "ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os "
    "pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt "
    "tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_LANGUAGES = frozenset(_CODES.split())


@lru_cache(maxsize=1024)
def canonical_tag(tag: str) -> str | None:
    """The tag in canonical case (``zh-Hant-TW``), or None for what is not a BCP 47 language tag."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    language = match["language"].lower()
    if len(language) == 2 and language not in _LANGUAGES:
        return None
    script, region = match["script"], match["region"]
    parts = [language] + ([script.title()] if script else []) + ([region.upper()] if region else [])
    return "-".join(parts) + match["variants"].lower()


def parent_tags(tag: str) -> Iterator[str]:
    """The tag itself, then the same with one subtag less, down to the language (RFC 4647, section 3.4)."""
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


def _has_script(tag: str) -> bool:
    script = tag.split("-")[1:2]
    return bool(script) and len(script[0]) == 4 and script[0].isalpha()


def nearest_tag(tags: Container[str], locale: str, *, same_script: bool = False) -> str | None:
    """The first of ``locale`` and its parents that is among ``tags``; None when none is.

    ``en_GB`` is read as ``en-GB``, for hosts give such names. With ``same_script`` no parent is taken that
    leaves out a script: who asks for ``zh-Hant`` may not be able to read ``zh``.
    """
    wanted = canonical_tag(locale) or canonical_tag(locale.replace("_", "-")) or ""
    found = next((tag for tag in parent_tags(wanted) if tag in tags), None)
    return None if found and same_script and _has_script(wanted) and not _has_script(found) else found


@lru_cache(maxsize=256)
def babel_locale(tag: str) -> Locale | None:
    """Babel's locale for a BCP 47 tag, or for its language alone; None for one that Babel does not know.

    Babel is imported here: only when a formatted slot or a plural is first met.
    """
    from babel.core import Locale, UnknownLocaleError

    for name in (tag, tag.split("-")[0]):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None
