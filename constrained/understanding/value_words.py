"""What amounts and days are made of in each language, where no library lists it. What is said around them: ``value_cues``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache


def each(text: str) -> tuple[str, ...]:
    """The words of a text, one by one."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Words:
    """Regular expressions (case-insensitive, matched at word borders) and words of one language.

    Attributes:
        language: ISO 639.
        days: phrase -> days from today, for phrases that the date library misreads.
        synonyms: phrase -> one that the date library reads.
        relative: what every relative day has in it ("tomorrow", "in two weeks"); the date library, which is slow, reads nothing else.
        periods: phrases that name more or less than a day; they are no date.
        last: what makes a weekday the one before today. next_before, next_after: what before or after it makes it the coming one.
        years: phrase right behind a day and month -> years from this one.
        ordinal: a day of the month without its month; the group is its number.
        of: what may stand between day, month and year.
        week_later: what before or after a weekday makes it the one a week later ("the Friday after next"); ``week_earlier`` likewise.
        weekdays: abbreviations of weekdays that the locale data does not list -> 0 (Monday) to 6.
        on: words before a day: after them an abbreviated weekday ("sat"), and a day and month with a slash, are a day.
        abbreviations: abbreviated weekdays that are other words too.
        days_in_words: the first to the thirty-first of a month in words, each a regular expression.
        dotted: days are written "5.4.".
        dozen: twelve of them. ``half``: what halves a dozen. ``article``: what may stand before a number.
        one_beside: words after which the word "one" is an amount. ``one_after``: words before which it is none.
        is_one_article: the word for one is also the article, so alone it is no amount.
    """

    language: str = ""
    days: Mapping[str, int] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    relative: str = r"\w+"
    periods: str = r"(?!)"
    last: str = r"(?!)"
    next_before: str = r"(?!)"
    next_after: str = r"(?!)"
    years: Mapping[str, int] = field(default_factory=dict)
    ordinal: str = r"(?!)"
    of: str = r"(?!)"
    week_later: str = r"(?!)"
    week_earlier: str = r"(?!)"
    on: str = r"(?!)"
    weekdays: Mapping[str, int] = field(default_factory=dict)
    abbreviations: frozenset[str] = frozenset()
    days_in_words: tuple[str, ...] = ()
    dotted: bool = False
    dozen: str = r"(?!)"
    half: str = r"(?!)"
    article: str = r"(?!)"
    one_beside: frozenset[str] = frozenset()
    one_after: frozenset[str] = frozenset()
    is_one_article: bool = True


_ENGLISH_DAYS = each(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth "
    "eighteenth nineteenth twentieth twenty[-\\s]first twenty[-\\s]second twenty[-\\s]third twenty[-\\s]fourth twenty[-\\s]fifth "
    "twenty[-\\s]sixth twenty[-\\s]seventh twenty[-\\s]eighth twenty[-\\s]ninth thirtieth thirty[-\\s]first"
)
_SPANISH_DAYS = each(
    "(?:primero|uno) dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince diecis[eé]is diecisiete dieciocho "
    "diecinueve veinte veintiuno veintid[oó]s veintitr[eé]s veinticuatro veinticinco veintis[eé]is veintisiete veintiocho veintinueve "
    "treinta treinta\\sy\\suno"
)
_GERMAN_DAYS = tuple(
    one + "e[nrs]?"
    for one in each(
        "erst zweit dritt viert fünft sechst (?:siebt|siebent) acht neunt zehnt elft zwölft "
        "dreizehnt vierzehnt fünfzehnt sechzehnt siebzehnt "
        "achtzehnt neunzehnt zwanzigst einundzwanzigst zweiundzwanzigst dreiundzwanzigst "
        "vierundzwanzigst fünfundzwanzigst sechsundzwanzigst "
        "siebenundzwanzigst achtundzwanzigst neunundzwanzigst dreißigst einunddreißigst"
    )
)
_FRENCH_DAYS = each(
    "premier deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf vingt "
    "vingt(?:-|\\s)et(?:-|\\s)un vingt-deux vingt-trois vingt-quatre vingt-cinq vingt-six vingt-sept vingt-huit vingt-neuf trente "
    "trente(?:-|\\s)et(?:-|\\s)un"
)

_WORD_LANGUAGES: Mapping[str, Words] = {
    "en": Words(
        relative=(
            r"today|tod|tomorrow|tmrw|tmr|yesterday|now|ago|(?:sec(?:ond)?|min(?:ute)?|h(?:ou)?r|day|w(?:ee)?k|month|mo"
            r"|y(?:ea)?r|decade|fortnight)s?"
        ),
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
            r"tmrw|tmr|tmrrw|2moro|2morrow|tomorow|tommorow|tommorrow|tomoz": 1,
        },
        periods=r"(?:this|next|last|past|coming|every|each)\s+(?:week|month|year|hour|minute|second|fortnight|quarter|time|day)s?",
        last=r"last|past|previous",
        next_before=r"next|coming|upcoming",
        next_after=r"next(?:\s+week)?|coming",
        years={r"this\s+year": 0, r"(?:last|the\s+past)\s+year": -1, r"(?:the\s+)?(?:next|coming)\s+year": 1},
        ordinal=r"(?:on\s+)?the\s+(\d{1,2})(?:st|nd|rd|th)|(?:on\s+)(\d{1,2})(?:st|nd|rd|th)",
        of=r"of|of\s+the|the",
        week_later=r"after\s+next|week|after\s+the\s+next(?:\s+one)?|(?<!next\s)(?<!this\s)(?:a|one)\s+week\s+on",
        weekdays={"tues": 1, "weds": 2, "thur": 3, "thurs": 3},
        week_earlier=r"before\s+last",
        on=r"on|by|until|till|since|from|before|after|for|next|this|last|past|every|coming|date|born|or|and",
        abbreviations=frozenset(("sat", "sun", "wed", "mon", "fri", "tue", "thu")),
        days_in_words=_ENGLISH_DAYS,
        dozen=r"dozens?",
        half=r"half",
        article=r"an?",
        one_beside=frozenset(
            each("for of pay give only just offer about and or than me you to is say send transfer make it cost costs bid")
        ),
        one_after=frozenset(("of", "more", "thing", "day", "time", "moment", "second", "minute", "another", "by", "who", "that")),
        is_one_article=False,
    ),
    "es": Words(
        relative=r"hoy|mañana|manana|ayer|anteayer|ahora|hace|(?:segundo|minuto|hora|d[ií]a|semana|año|década)s?|mes(?:es)?",
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
        next_before=r"próxim[oa]",
        next_after=r"que\s+viene|próxim[oa]|de\s+la\s+(?:semana\s+que\s+viene|próxima\s+semana)",
        years={r"este\s+año": 0, r"año\s+pasado": -1, r"(?:próximo\s+año|año\s+que\s+viene|año\s+próximo)": 1},
        ordinal=r"(?:el|para\s+el)\s+(?:día\s+)?(\d{1,2})(?!\s*(?:%|€|euros?|de\b)|[.,:/-]\d)",
        of=r"de|del",
        week_later=r"que\s+viene\s+no\s*,?\s+(?:el|al)\s+(?:otro|siguiente)|de\s+la\s+semana\s+siguiente\s+a\s+la\s+próxima",
        on=r"el|al|este|próximo|para\s+el|del?|desde|hasta|antes\s+del?|o|y|día",
        abbreviations=frozenset(("lun", "mar", "mié", "jue", "vie", "sáb", "dom")),
        days_in_words=_SPANISH_DAYS,
        dozen=r"docenas?",
        half=r"media",
        article=r"una?",
    ),
    "de": Words(
        relative=(
            r"heute|morgen|gestern|übermorgen|vorgestern|jetzt|(?:sekunde|minute|stunde|woche)n?|(?:tag|monat|jahr)(?:e|en|n)?"
            r"|jahrzehnte?n?"
        ),
        periods=(
            r"(?:diese|nächste|letzte|kommende|jede)[nrs]?\s+(?:Woche|Monat|Jahr)"
            r"|(?:am|gegen|guten|jeden|frühen|späten)\s+(?:frühen\s+|späten\s+)?Morgen"
        ),
        last=r"letzte[nrs]?|vergangene[nrs]?",
        next_before=r"nächste[nrsm]?|kommende[nrsm]?",
        next_after=r"nächste[r]?\s+Woche",
        years={
            r"diese[s]?\s+Jahr(?:es)?": 0,
            r"(?:letzte|vergangene|vorige)[ns]?\s+Jahr(?:es)?": -1,
            r"(?:nächste|kommende)[ns]?\s+Jahr(?:es)?": 1,
        },
        ordinal=r"(?:am|den)\s+(\d{1,2})\.(?!\d)",
        of=r"des",
        week_later=r"übernächste[nrsm]?|in\s+(?:einer\s+Woche|acht\s+Tagen)",
        week_earlier=r"vorletzte[nrsm]?",
        on=r"am|den|dem|vom|bis|ab|seit|zum|diesen|nächsten|kommenden|jeden|oder|und",
        abbreviations=frozenset(("mo", "di", "mi", "do", "fr", "sa", "so")),
        days_in_words=_GERMAN_DAYS,
        dotted=True,
        dozen=r"Dutzend",
        half=r"halbes",
        article=r"eine?[nms]?",
    ),
    "fr": Words(
        relative=(
            r"aujourd|aujourd'hui|demain|après-demain|hier|avant-hier|maintenant|(?:seconde|minute|heure|jour|semaine|an|année"
            r"|décennie)s?|mois"
        ),
        periods=(
            r"(?:cette|la)\s+semaine(?:\s+(?:prochaine|dernière))?|(?:ce|le)\s+mois(?:\s+(?:prochain|dernier))?"
            r"|l'année\s+(?:prochaine|dernière)"
        ),
        last=r"dernier|passé",
        next_before=r"prochain",
        next_after=r"prochain|de\s+la\s+semaine\s+prochaine",
        years={r"cette\s+année": 0, r"l'(?:an|année)\s+(?:dernier|dernière|passée?)": -1, r"l'(?:an|année)\s+prochaine?": 1},
        ordinal=r"le\s+(\d{1,2})(?:er)?(?!\s*(?:%|€|euros?)|[.,:/-]\d)",
        of=r"de|du",
        week_later=r"en\s+huit|d'après|dans\s+(?:une\s+semaine|huit\s+jours)",
        on=r"le|ce|du|au|depuis|dès|avant|après|jusqu'au|ou|et",
        abbreviations=frozenset(("lun", "mar", "mer", "jeu", "ven", "sam", "dim")),
        days_in_words=_FRENCH_DAYS,
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


@lru_cache(maxsize=64)
def words(language: str) -> Words:
    """The words of a language (ISO 639); none for a language that is not listed."""
    return replace(_WORD_LANGUAGES.get(language, Words()), language=language)


@lru_cache(maxsize=512)
def bordered(pattern: str) -> re.Pattern[str]:
    """A pattern of words that no letter or digit touches, in whatever case."""
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)
