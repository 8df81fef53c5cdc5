"""Takes greetings, thanks, pleasantries and forms of address off a message, so that what is left is read for what it asks.

"Good morning! Which day am I down for?" is near every greeting for a sentence vector. A message that is nothing but courtesies
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

FEWEST_WORDS = 2  # of what is left: a single word beside a greeting is a name as likely as a wish
MOST_TAKEN = 8  # at either end


@dataclass(frozen=True, slots=True)
class CourtesyPatterns:
    """Regular expressions of one language.

    Attributes:
        greeting: at the beginning, whatever follows. address: whom; after a greeting, and elsewhere where a comma parts it.
        spoken_to: as ``address``, and at the end without a comma, too. aside: a clause of its own: pleasantries, excuses.
        thanks: a clause of its own. turn: from the courtesy to the matter. closing: at the end, behind a comma or as a sentence.
    """

    greeting: str
    address: str
    spoken_to: str
    aside: str
    thanks: str
    turn: str
    closing: str


_REST = r"[^,.!?;\n]{0,60}"
_PATTERNS: Mapping[str, CourtesyPatterns] = {
    "en": CourtesyPatterns(
        greeting=(
            r"hello|hi|hiya|hey|heya|howdy|oi|ahoy|greetings|good (?:morning|morrow|afternoon|evening|day)|g'day|well met"
            r"|(?:morning|evening|afternoon|yo|hail)(?=\s*[,.!;]|\s+to\b)|dear (?:sirs?(?: or madam)?|madam|team|all)"
            r"|to whom it may concern"
        ),
        address=(
            r"there|all|everyone|everybody|folks|again|to you(?: all| too)?|team|my (?:friend|good man|dear)|good (?:man|sir|fellow"
            r"|people)"
            r"|old (?:man|chap|friend)|friend|lads?|host|landlord|landlady|innkeeper|barkeep(?:er)?|bartender|boss|chief|captain"
            r"|doctor|doc"
            r"|computer|guys|love|madam|ma'am|miss|kind sir"
        ),
        spoken_to=r"sir|mate|bro|dude|buddy|pal",
        aside=(
            rf"(?:i )?(?:do )?hope (?:you|this|all|that you|everything|your|the day){_REST}|how are (?:you|things|we)(?: doing"
            rf"| keeping)?(?: today)?"
            rf"|how(?:'s| is) (?:it going|business|life|your day|everything|things){_REST}|how do you do|long time no see"
            rf"|(?:it(?:'s| is) )?(?:so |very )?(?:good|nice|lovely|great|glad|happy) to (?:see|meet|hear|find|be back|be here){_REST}"
            rf"|(?:i(?:'m| am) )?(?:so |very )?sorry (?:to|for) (?:bother|disturb|trouble|the (?:long|late|trouble|bother"
            rf"|disturbance)){_REST}"
            rf"|(?:please )?(?:excuse|pardon|forgive) (?:me|the long){_REST}|lovely (?:weather|day|evening|place){_REST}"
            r"|that(?:'s| was| is)(?: so| very| really| most)? (?:kind|decent|nice|sweet|good|helpful|generous)(?: of you)?"
            rf"|you(?:'ve| have| were| are|'re)(?: been)?(?: so| very| really| a| an)*"
            rf" (?:help|helpful|kind|great|lovely|star|lifesaver|wonderful){_REST}"
            rf"|(?:i )?(?:really )?appreciate (?:it|that|your|the){_REST}|right(?: then)?|well(?: then)?|now then|listen|look|anyway"
            rf"|(?:is )?(?:there )?any(?:one|body) (?:about|there|here|home|around|in|listening|at){_REST}|(?:it(?:'s"
            rf"| is) )?(?:only |just )?me again"
            r"|(?:can|could|would|will) (?:you|someone|anyone|anybody) (?:please )?help(?: me| us)?(?: out)?(?: please)?"
            r"|i (?:have|had|'ve got|got) (?:a|one|another|two) (?:quick |small |little |short )?(?:questions?|things?|requests?)"
            r"|(?:just |only )?(?:a )?(?:quick |small |little |short )(?:question|one|thing)|i(?:'m| am) new here"
        ),
        thanks=(
            r"(?:many |so many |great,? |ok(?:ay)?,? )?(?:thanks|thank you|ta|cheers|much obliged)(?: so much| very much| a lot"
            r"| a bunch| again"
            rf"| kindly| ever so)*(?: for (?:that|the|your|all|everything|this|being|letting|telling|asking|clearing){_REST})?"
        ),
        turn=r"now|and|but|so|also|anyway|well|then",
        closing=(
            rf"please and thank you|(?:many )?(?:thanks|thank you)(?: so much| very much| a lot| in advance| again)*|cheers|ta"
            rf"|(?:have|enjoy) (?:a|your|the){_REST}|(?:kind|best|warm) (?:regards|wishes){_REST}|yours (?:sincerely|faithfully){_REST}"
        ),
    ),
    "es": CourtesyPatterns(
        greeting=r"hola|(?:muy )?buenas(?: tardes| noches)?|buen(?:os)? d[ií]as?|saludos|oiga|oye|estimad[oa]s?(?: señor(?:a|es|as)?)?",
        address=(
            r"a tod[oa]s|de nuevo|otra vez|señor(?:a|ita|es|as)?|se[ñn]ores|doctora?|amig[oa]s?|tabernero|posadero|mesonero|jefe"
            r"|caballero|maestro|buen hombre"
        ),
        spoken_to=r"t[ií]o|colega",
        aside=(
            rf"(?:espero|deseo) que (?:est[eé]|se encuentr|todo|tenga|le vaya){_REST}|c[oó]mo (?:est[aá]s?|le va|va todo|anda){_REST}"
            rf"|qu[eé] tal(?: est[aá]s?| todo| va)?(?: usted)?|(?:perdon[ea]|perd[oó]n|disculp[ea]n?)(?: (?:la molestia|por|que"
            rf"|el rollo){_REST})?"
            rf"|encantad[oa]|un placer|muy amable|bueno|pues|mire|soy yo (?:de nuevo|otra vez)"
            rf"|(?:hay|est[aá]|me (?:lee|oye|escucha|atiende)|anda) (?:alguien|usted){_REST}"
            r"|(?:a ver si )?(?:me )?(?:pueden?|podr[ií]an?) (?:ustedes )?(?:ayudar|atender)(?:me)?|(?:tengo "
            r"|quer[ií]a hacer )?una (?:pregunta|duda|consulta)"
        ),
        thanks=rf"(?:muchas |mil |muchísimas )?gracias(?: de nuevo| otra vez)?(?: por {_REST})?",
        turn=r"ahora|y|pero|entonces|pues|bueno",
        closing=(
            rf"(?:muchas |mil )?gracias(?: de antemano| por {_REST})?|(?:un )?(?:cordial )?saludos?|que tenga (?:un )?buen{_REST}"
            rf"|atentamente{_REST}"
        ),
    ),
    "de": CourtesyPatterns(
        greeting=(
            r"hallo|servus|moin(?: moin)?|gr[üu](?:ß|ss) (?:gott|dich|euch|sie)|guten (?:tag|morgen|abend)|grüezi"
            r"|sehr geehrte (?:damen und herren|frau \w+)|sehr geehrter herr \w+"
        ),
        address=(
            r"zusammen|leute|nochmals?|wieder|wirt|chef|meister|doktor|mein freund|guter mann"
            r"|(?:herr|frau) (?!ich\b|kann\b|können\b)\w+|werte[rn]? \w+"
        ),
        spoken_to=r"alter|kumpel",
        aside=(
            rf"wie geht(?:'?s| es){_REST}|ich hoffe,? (?:es|dir|ihnen|sie|dass){_REST}|entschuldig\w+(?: (?:bitte|die störung)){{0,2}}"
            rf"|verzeih\w+|(?:ist )?(?:da )?jemand (?:da|hier|zu hause){_REST}|(?:kannst du|können sie) mir helfen"
            rf"|(?:ich habe )?(?:nur )?eine (?:kurze )?frage|schön,? (?:sie|dich) zu {_REST}|sehr nett(?: von (?:ihnen|dir))?|tja"
            rf"|na gut|also gut"
        ),
        thanks=rf"(?:vielen |herzlichen |besten |schönen )?danke?(?: schön| sehr| vielmals| dir| ihnen| euch)*(?: für {_REST})?",
        turn=r"jetzt|nun|und|aber|also|dann",
        closing=(
            rf"(?:vielen |herzlichen |besten )?danke?(?: schön| sehr| im voraus)*|(?:viele|liebe|beste|freundliche) grüße{_REST}"
            rf"|mit freundlichen{_REST}"
        ),
    ),
    "fr": CourtesyPatterns(
        greeting=r"bonjour|bonsoir|salut|coucou|rebonjour|ch(?:er|ère)s? (?:monsieur|madame|messieurs)",
        address=(
            r"à (?:tous|toutes|vous)|tout le monde|encore|monsieur|madame|mademoiselle|messieurs|l'ami|mon ami|tavernier"
            r"|aubergiste|patron|docteur"
        ),
        spoken_to=r"mec",
        aside=(
            rf"comment (?:allez[- ]vous|ça va|vas[- ]tu){_REST}|ça va|j'espère que (?:vous|tu|tout){_REST}|(?:excusez"
            rf"|pardonnez)[- ]moi{_REST}"
            rf"|(?:il )?y a(?:-t-il)? quelqu'un{_REST}|(?:pouvez-vous|peux-tu) m'aider|(?:j'ai )?une (?:petite )?question"
            rf"|désolée? (?:de|pour) {_REST}|enchantée?|c'est (?:très )?gentil|bon|eh bien"
        ),
        thanks=rf"merci(?: beaucoup| bien| encore| infiniment)*(?: pour {_REST})?",
        turn=r"maintenant|et|mais|alors|donc|bon",
        closing=rf"merci(?: beaucoup| bien| d'avance)*|cordialement{_REST}|bonne (?:journée|soirée)|bien à vous{_REST}",
    ),
}
_END, _GAP = r"\s*(?:[,.!?;:\u2026\u2013\u2014\n]|-\s)+\s*", r"[\s,.!?;:\u2026\u2013\u2014-]*"
_WORD = re.compile(r"\w+")


def without_courtesies(message: str, speaker: str = "") -> str:
    """What is left of a message without them; the message itself where less than FEWEST_WORDS are.

    Args:
        speaker: whom the message is for, as a catalog names them; the name before the first comma is a form of address.
    """
    opening, turn, closing = _compiled(_name_of(speaker))
    rest = message.strip()
    for _ in range(MOST_TAKEN):
        found = opening.match(rest)
        if found is None or not found.end():
            break
        after = rest[found.end() :]
        rest = turn.sub("", after, count=1) if len(_WORD.findall(after)) > FEWEST_WORDS else after
    for _ in range(MOST_TAKEN):
        found = closing.search(rest)
        if found is None:
            break
        rest = rest[: found.start()] + ("?" if "?" in found[0] else "")
    return rest if len(_WORD.findall(rest)) >= FEWEST_WORDS else message


def _name_of(speaker: str) -> str:
    """A proper name; empty for what is described ("The card disputes desk")."""
    name = speaker.partition(",")[0].strip()
    return name if len(name.split()) == 1 else ""


@lru_cache(maxsize=32)
def _compiled(name: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """What opens a message, what leads to the matter, what closes it: of all languages, for one may greet in another one."""
    every = list(_PATTERNS.values())
    spoken_to = "|".join([*(one.spoken_to for one in every), *([re.escape(name)] if name else [])])
    address = "|".join([*(one.address for one in every), spoken_to])
    greeting, turn = "|".join(one.greeting for one in every), "|".join(one.turn for one in every)
    clause = "|".join(f"{one.aside}|{one.thanks}" for one in every)
    closing = "|".join(f"{one.closing}|{one.thanks}" for one in every)
    to_whom = rf"(?:[\s,]+(?:{address})\b)*"
    opening = rf"[\s¡¿]*(?:(?:{greeting})\b(?!['\u2019-]\w){to_whom}{_GAP}|(?:{clause}|{address}){to_whom}{_END})"
    ends = rf"(?:[,.!?;\u2013\u2014\n]|\s-)\s*(?:{closing}|(?:{address})(?:\s+(?:{address}))*)[\s.!,?]*$|\s(?:{spoken_to})[\s.!,?]*$"
    return re.compile(opening, re.I), re.compile(rf"^(?:{turn})\b[\s,]+", re.I), re.compile(ends, re.I)
