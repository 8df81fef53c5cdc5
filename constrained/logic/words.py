"""Words of a language that the recognisers need and that no library lists. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Words:
    """Regular expressions (case-insensitive, matched at word borders) and words of one language.

    Attributes:
        days: phrase -> days from today, for phrases that the date library misreads.
        synonyms: phrase -> one that the date library reads.
        periods: phrases that name more or less than a day; they are no date.
        last: what makes a weekday the one before today.
        ordinal: a day of the month without its month; the group is its number.
        of: what may stand between day, month and year.
        dozen: twelve of them. ``half``: what halves a dozen. ``article``: what may stand before a number.
        not_number: a number word after or before which the word "one" is no amount (``one_before``, ``one_after``).
        is_one_article: the word for one is also the article, so alone it is no amount.
    """

    days: Mapping[str, int] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    periods: str = r"(?!)"
    last: str = r"(?!)"
    ordinal: str = r"(?!)"
    of: str = r"(?!)"
    dozen: str = r"(?!)"
    half: str = r"(?!)"
    article: str = r"(?!)"
    one_before: frozenset[str] = frozenset()
    one_after: frozenset[str] = frozenset()
    is_one_article: bool = True


_LANGUAGES: Mapping[str, Words] = {
    "en": Words(
        days={
            r"(?:the\s+)?day\s+after\s+tomorrow": 2,
            r"(?:the\s+)?day\s+before\s+yesterday": -2,
            r"overmorrow": 2,
            r"(?:in\s+)?a\s+fortnight(?:'s\s+time)?": 14,
            r"(?:a\s+)?week\s+(?:from\s+)?today": 7,
            r"(?:a\s+)?week\s+(?:from\s+)?tomorrow": 8,
            r"tonight": 0,
            r"this\s+(?:morning|afternoon|evening)": 0,
            r"last\s+night": -1,
        },
        periods=r"(?:this|next|last|past|coming|every|each)\s+(?:week|month|year|hour|minute|second|fortnight|quarter|time|day)s?",
        last=r"last|past|previous",
        ordinal=r"(?:on\s+)?the\s+(\d{1,2})(?:st|nd|rd|th)|(?:on\s+)(\d{1,2})(?:st|nd|rd|th)",
        of=r"of|the",
        dozen=r"dozens?",
        half=r"half",
        article=r"an?",
        one_before=frozenset(
            ("a", "the", "no", "any", "every", "each", "this", "that", "which", "other", "first", "last", "next", "good", "bad")
        ),
        one_after=frozenset(("of", "more", "thing", "day", "time", "moment", "second", "minute", "another", "by", "who", "that")),
        is_one_article=False,
    ),
    "es": Words(
        days={
            r"pasado\s+mañana": 2,
            r"anteayer|antier|antes\s+de\s+ayer": -2,
            r"esta\s+(?:noche|tarde|mañana)": 0,
            r"anoche": -1,
        },
        synonyms={r"dentro\s+de": "en"},
        periods=(
            r"(?:esta|este|la|el|cada)\s+(?:próxim[oa]\s+)?(?:semana|mes|año)(?:\s+(?:que\s+viene|próxim[oa]|pasad[oa]))?"
            r"|(?:próxim[oa]s?|pasad[oa]s?)\s+(?:semana|mes|año)s?|(?:por|de|en)\s+la\s+mañana|(?:una|la|primera\s+hora\s+de\s+la)\s+mañana"
        ),
        last=r"pasad[oa]|último",
        ordinal=r"(?:el|para\s+el)\s+(?:día\s+)?(\d{1,2})(?!\s*(?:%|€|euros?|de\b))",
        of=r"de|del",
        dozen=r"docenas?",
        half=r"media",
        article=r"una?",
    ),
    "de": Words(
        periods=r"(?:diese|nächste|letzte|kommende|jede)[nrs]?\s+(?:Woche|Monat|Jahr)",
        last=r"letzte[nrs]?|vergangene[nrs]?",
        ordinal=r"(?:am|den)\s+(\d{1,2})\.",
        of=r"des",
        dozen=r"Dutzend",
        half=r"halbes",
        article=r"eine?[nms]?",
    ),
    "fr": Words(
        periods=(
            r"(?:cette|la)\s+semaine(?:\s+(?:prochaine|dernière))?|(?:ce|le)\s+mois(?:\s+(?:prochain|dernier))?"
            r"|l'année\s+(?:prochaine|dernière)"
        ),
        last=r"dernier|passé",
        ordinal=r"le\s+(\d{1,2})(?:er)?(?!\s*(?:%|€|euros?))",
        of=r"de",
        dozen=r"douzaines?",
        half=r"demi(?:e)?",
        article=r"une?",
    ),
    "it": Words(
        days={r"dopodomani": 2, r"l'altro\s*ieri": -2},
        periods=r"(?:questa|prossima|scorsa)\s+settimana|(?:questo|prossimo|scorso)\s+(?:mese|anno)",
        last=r"scors[oa]",
        of=r"di|del",
        dozen=r"dozzin[ae]",
        half=r"mezza",
        article=r"una?",
    ),
    "pt": Words(
        days={r"depois\s+de\s+amanhã": 2, r"anteontem": -2},
        periods=r"(?:esta|próxima)\s+semana|semana\s+(?:que\s+vem|passada)|(?:este|próximo)\s+(?:mês|ano)",
        last=r"passad[oa]",
        of=r"de",
        dozen=r"dúzias?",
        half=r"meia",
        article=r"uma?",
    ),
    "nl": Words(
        days={r"overmorgen": 2, r"eergisteren": -2},
        periods=r"(?:deze|volgende|vorige)\s+(?:week|maand)|(?:dit|volgend|vorig)\s+jaar",
        last=r"vorige",
        of=r"van",
        dozen=r"dozijn",
        half=r"half",
        article=r"een",
    ),
    "da": Words(
        days={r"i\s+overmorgen": 2, r"i\s+forgårs": -2},
        periods=r"(?:denne|næste|sidste)\s+(?:uge|måned)",
        last=r"sidste",
        dozen=r"dusin",
        half=r"halvt",
        article=r"et|en",
    ),
}


def words(language: str) -> Words:
    """The words of a language (ISO 639); none for a language that is not listed."""
    return _LANGUAGES.get(language, Words())
