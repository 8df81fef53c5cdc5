"""Whether a message speaks against an act: it forbids, asks, supposes, reports of somebody else, or instructs the machine; and its prices.

By authored patterns for en, es, de and fr, matched sentence by sentence; and by the amounts that a message names as a price.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from constrained.understanding.amounts import find_amounts

Stance = Literal["", "negation", "question", "supposition", "report", "instruction"]


@dataclass(frozen=True, slots=True)
class StancePatterns:
    """Regular expressions of one language over text without case and accents.

    Attributes:
        negation: forbids, declines or takes back, anywhere in a sentence. harmless: what looks like it and is no refusal; removed first.
        question: asks for a fact, at the beginning of a sentence; not "can you block it?", which asks for the act.
        supposition: at the beginning of a sentence. report: of somebody else's affair, anywhere.
        condition: makes an act depend on something, or on a doubt, anywhere in a sentence.
        aside: the beginning of a sentence that tells something and asks for nothing, unless it holds a ``request``.
        offered: stands before an amount that is given for something; owned: before one that somebody only has.
        money: follows an amount that is a price.
        bid: says that the speaker pays it. sale: that the speaker is paid.
        free: says that it costs nothing, which is a price of zero.
    """

    negation: str
    harmless: str
    question: str
    supposition: str
    report: str
    condition: str
    aside: str
    request: str
    offered: str
    owned: str
    money: str
    bid: str
    sale: str
    free: str


_KIN = (
    r"(?:brother|sister|wife|husband|mother|father|mum|mom|dad|son|daughter|friend|"
    r"neighbou?r|colleague|boss|cousin|uncle|aunt|partner|flatmate)"
)
_PATTERNS: Mapping[str, StancePatterns] = {
    "en": StancePatterns(
        negation=(
            r"^\W*(?:no|nope|nah|naw)\b(?!\s+(?:problem|worries|doubt|hurry|rush|one|idea|money|way to))"
            r"|(?:do not|don'?t|never|mustn'?t|must not|shouldn'?t|should not)\s+(?:you\s+)?(?:dare\s+)?(?:ever\s+)?(?:just\s+|please\s+)?"
            r"(?!know|have|think|understand|see|remember|recogni[sz]e|feel|get it|got|need|receiv|work|ordered|made|bought"
            r"|been|had|heard|seen|paid)\w+"
            r"|(?:don'?t|do not|didn'?t|did not)\s+(?:think\s+(?:i|we)|(?:really\s+|even\s+)?(?:want|wish|need|mean|intend"
            r"|plan|care for|feel like))\b"
            r"|(?:won'?t|will not|wouldn'?t|would not)\s+(?:be\s+)?(?:do|buy|pay|take|go|have|give|accept|need|want|sell"
            r"|say|call|agree|let)\w*"
            r"|(?:not|never)\s+(?:going|gonna|willing|ready|interested|about|asking|here)\b|no way|not a chance|no thanks?|no thank you"
            r"|(?:rather|prefer)\s+(?:to\s+)?not|never ?mind|forget (?:it|that|about)|no need|not (?:today|now|yet|tonight)"
            r"|changed my mind|leave (?:it|that|my|the) (?:alone|as|be)|please not|refuse to|i refuse|i decline"
            r"|stop (?:that|it)\b|without \w+ing"
            r"|not (?:to )?(?:cancel|book|block|file|send|order|buy|sell|rent|pay|move|stop|refund|close|take)\w*"
            r"|anything but|any\w* (?:day|time)? ?but|(?:do not|don'?t)\s*(?:$|[.,!?;])|(?:i'd rather|would rather|want to|going to"
            r"|will|i'll|i'm) keep(?:ing)?\b"
            r"|^\W*keep (?:it|my)\b|^\W*stop\W*$|leave it\W*$|(?<=[,.;:!?-])\s*(?:no|nope|nah)\W*$|no,?\s+wait\W*$|scratch that"
            r"|on second thoughts?"
            r"|(?:rather than|instead of) \w+|no(?:body| one) (?:should|may|must|can)\b|under no circumstances|on no account|hold off"
            r"|wait with"
        ),
        harmless=(
            r"(?:do not|don'?t)\s+(?:wait|worry|care|mind|hesitate|forget|mention)\b|(?:do not|don'?t)\s+want\s+(?:to\s+)?(?:wait|lose)\b"
            r"|why\s+(?:do not|don'?t)\s+(?:you|we)|can'?t wait|never\s+(?:arriv|came|got|receiv|made|ordered|been|had|heard|mind the)\w*"
            r"|if you don'?t mind|don'?t you(?! dare| ever)"
        ),
        question=(
            r"(?:(?:and |but |so |then )?(?:why(?! not| don'?t)|when|what(?! about)|who|whose|which|where|how(?! about)|did"
            r"|does|was|were|has|have (?:you|i|we)|had|am i"
            r"|is (?:it|there|that|this|my|the)|are (?:you|there|my|the)|will (?:it|i|my|the|you charge)|would (?:it|that"
            r"|i)|do (?:i|you)(?! have\b)|should i|must i|can (?:it|that|this)|(?:is|are|was|were|has|have|had|did|does)n'?t"
            r"|i(?:'d| would) (?:like|love) to know|i (?:want|need) to know|i(?: was|'m| am)? wonder\w*|do you know|how to"
            r"|(?:please )?(?:(?:can|could|would|will) you )?(?:please )?(?:tell me (?:about|why|how|when|if|whether|what)|explain))\b"
            r"|(?:can|could) (?:you|one|anybody|people) (?:even |also |actually |ever )?\w+ "
            r"(?!my\b|its?\b|the\b|this\b|that\b|us\b|yours\b|his\b)\w+s\W*$)"
        ),
        supposition=(
            r"(?:what (?:happens )?if|if i (?:were|was|had|cancell?ed|blocked|booked|paid|took|did)|suppos\w+|imagine"
            r"|hypothetically|just curious|let's say|in theory|maybe|perhaps|possibly|(?:i'm )?not sure|i (?:might|may))\b"
        ),
        report=(
            rf"my {_KIN}(?:'s)?\b.*\b(?:his|hers|her|their|theirs|cancelled|blocked|booked|bought|paid|lost|sold|did|got|had"
            rf"|took|wants|said|told)\b"
            r"|(?:he|she|they|someone|somebody) (?:has |have |had |already )?(?:cancelled|blocked|booked|bought|paid|sold"
            r"|took|filed|ordered)\b"
            r"|i (?:have |had |'ve )?(?:already|once|yesterday|last \w+) (?:cancelled|blocked|booked|bought|paid|sold|took|filed|ordered)\b"
            r"|(?:was|were|got|(?:has|have|had) been) (?:already |just )?(?:cancell?ed|blocked|frozen|closed|disputed|rescheduled)\b"
            r"|(?:i|you|we|the bank)(?: have| had|'ve|'d)? (?:just |once )?(?:cancell?ed|blocked|froze|closed|disputed|rescheduled)\b"
            r"|(?:he|she|they)\b[^.!?;]*\b(?:hers|theirs)\b"
            r"|(?:i|we)(?: have| had|'ve)? (?:already |just )?(?:gave|given|paid|handed) you\b|(?:already|all) (?:been )?(?:paid|settled)\b"
            r"|(?:i|we)(?: have|'ve) (?:already |just )?settled\b|(?:settled|paid)\b[^.!?;]*\balready\b"
            r"|you(?: have| had|'ve)? (?:once |already |just )?(?:promised|swore|sworn|agreed|accepted|gave|given|sold|received)\b"
            r"|you (?:still )?owe\b|(?:as|like) you (?:just )?(?:said|told|offered|agreed|promised)\b"
            r"|we(?: had|'ve| have)? (?:a deal|agreed)\b"
            r"|(?:do not|don'?t|didn'?t) you remember\b|remember,? (?:that |when |how )?(?:you|we|i)\b|remember\?"
            r"|(?:is|are|lies?|lying) (?:already )?(?:in your (?:hand|purse|pocket)|on your (?:counter|table))"
        ),
        condition=(
            r"unless|only\b[^.!?]*\b(?:if|when)\b|if (?:it|there|that|this|he|she|they|i) (?!may\b|can\b|could\b|helps)\w+|before you"
            r"|depends on"
        ),
        aside=(
            r"(?:and |but |so |then |well,? )?(?:i|i'm|i've|i'd|i'll|my|mine|the|an?|it|it's|this|that|that's|these|those|he|he's|she"
            r"|she's|we|we're"
            r"|they|they're|there|there's|you|you're|your|his|her|our|their|some|some(?:one|body)|no(?:body| one)|every(?:one|body"
            r"|thing)|all"
            r"|thanks?|thank you|cheers|hello|hi|sorry|bye|good (?:morning|day|evening|afternoon)|nice|lovely|\w+ (?:is|was|are|were"
            r"|has|had))\b"
        ),
        request=(
            r"please|pls|plz|i(?:'d| would) (?:like|love|rather)|i (?:want|need|wish|must|have to|insist|demand|ask you)|i(?:'ll"
            r"| will) (?:take|have"
            r"|buy|pay|go)|(?:can|could|will|would) (?:you|i|we)|let'?s|go ahead|do it|just do|so (?:do|cancel|block|book|send|file|sell)"
        ),
        offered=(
            r"(?:for|pay|give|offer|bid|at|say|make it|how about|what about|take|you|"
            r"settle|want|asking)\s+(?:you\s+|only\s+|just\s+|about\s+)?$"
        ),
        owned=r"(?:have|got|only|owe|with|had|saved|left)\s+(?:only\s+|just\s+|about\s+)?$",
        money=(
            r"\s*(?:gold|coins?|silver|crowns?|euros?|eur|dollars?|bucks|pounds?|quid|pieces|for (?:it|that|this|the|both"
            r"|all|your)|[€$£])"
        ),
        bid=r"\bfor (?:the|it|that|this|your|both|all)\b|\b(?:give you|i(?:'ll)? (?:pay|offer|bid|give)|here(?:'s| is| are)|buy|paying)\b",
        sale=r"\b(?:sell|selling|sold|want|ask|asking|worth|give me|pay me|for my)\b",
        free=(
            r"for (?:free|nothing)|free of charge|at no (?:cost|charge)|without (?:any )?pay(?:ing|ment)|on the house|costs? nothing"
            r"|as a (?:gift|present)"
        ),
    ),
    "es": StancePatterns(
        negation=(
            r"^\W*(?:no|nop|que no)\b(?!\s+(?:hay problema|se preocupe|importa|me ha|he|tengo|se|puedo|funciona|llego|reconozco"
            r"|encuentro|hallo|veo|recuerdo|va|sirve|anda))"
            r"|\bno\s+(?:(?:lo|la|los|las|me|le|te|se|nos)\s+)*(?:quiero|quisiera|deseo|voy a|pienso|necesito|pido|acepto"
            r"|pago|compro|vendo|tomo|cojo|haga|hagas|cancel\w+"
            r"|anul\w+|reserv\w+|bloque\w+|present\w+|envi\w+|confirm\w+|pag\w+|cambi\w+|mand\w+|compr\w+|vend\w+|toque\w*|pid\w+)"
            r"|nunca\s+\w+|jamas\s+\w+|ni hablar|ni loc[oa]|de ningun modo|de ninguna manera|no hace falta|no es necesario"
            r"|mejor no|prefiero (?:que )?no"
            r"|olvid(?:a|e)(?:lo|la|te|se)?|dej(?:a|e)(?:lo|la)\b|ya no|no gracias|he cambiado de (?:idea|opinion)|hoy no"
            r"|ahora no|sin \w+r(?:la|lo)?\b|cualquier dia menos|(?:todavia|aun) no|no,? espere?|(?<=[,.;:!?-])\s*no\W*$|me (?:la"
            r"|lo) quedo|conservarl[ao]"
            r"|en vez de|en lugar de|en absoluto|para nada"
        ),
        harmless=r"no se preocup\w+|no te preocup\w+|no importa|por que no (?:me|lo|la)|ya no (?:puedo|tengo|aguanto)",
        question=(
            r"(?:y |pero |entonces )?(?:por que(?! no)|cuando|cuant[oa]s?|que|cual(?:es)?|quien(?:es)?|donde|como|ha sido"
            r"|han|fue|esta(?:ba)?|hay|debo|tengo que|seria|se pueden?|es posible|quiero saber|quisiera saber|me gustaria saber"
            r"|digame (?:por|si|como"
            r"|cuando)|(?:me )?puede decirme|me puede decir|bloquean|cancelan)\b"
        ),
        supposition=(
            r"(?:(?:y |que pasa )?si (?:yo )?(?:cancel|anul|reserv|bloque|pag|llam)\w+|supong\w+ que|imagin\w+|quizas?|tal vez|a lo mejor"
            r"|no estoy segur[oa])\b"
        ),
        report=(
            r"mi (?:herman[oa]|mujer|marido|espos[oa]|madre|padre|hij[oa]|amig[oa]|vecin[oa]|jef[ea]|prim[oa]"
            r"|ti[oa])\b.*\b(?:su|sus|suy[oa]|cancelo|anulo|reservo|bloqueo|compro|perdio|dijo|dice)\b"
            r"|(?:el|ella|ellos|alguien) (?:ya )?(?:ha |han |habia )?(?:cancel|anul|reserv|bloque|compr|pag)(?:o|ado|aron)\b"
            r"|ya (?:l[ao] |me l[ao] )?(?:he |han |ha )?(?:cancel|anul|bloque)(?:e|ado|aron|o)\b|(?:me )?l[ao] (?:han )?(?:cancel"
            r"|anul|bloque)(?:aron|ado)"
            r"|(?:fue|ha sido|han|se) (?:cancel|anul|bloque)(?:ad[oa]|o)\b|(?:cancel|anul|bloque)aron (?:mi|la|el)"
        ),
        condition=r"solo si|solamente si|a menos que|siempre que|si (?:es|hay|no hay|cuesta|fuera)|antes de \w+r",
        aside=(
            r"(?:y |pero |pues |bueno,? )?(?:yo|mi|mis|el|la|los|las|un|una|es|era|fue|esto|eso|hay|habia|ella|ellos|nosotros|usted"
            r"|su|sus|tengo|tuve"
            r"|estoy|estaba|estuve|soy|he|hace|hacia|hizo|llov\w+|llueve|me|nos|ayer|hoy|todo|nadie|alguien|gracias|hola|adios|buen[oa]s)\b"
        ),
        request=r"por favor|quiero|quisiera|necesito|me gustaria|deseo|exijo|tengo que|puede|podria|pueden|hagalo|hazlo|adelante",
        offered=r"(?:por|pago|doy|ofrezco|a|en|te doy|le doy)\s+(?:solo\s+|unos\s+)?$",
        owned=r"(?:tengo|quedan|solo|con|debo|tenia)\s+(?:solo\s+|unos\s+)?$",
        money=r"\s*(?:monedas?|oros?|de oro|euros?|eur|dolares|pesos|por (?:el|la|eso|esto|ello)|[€$£])",
        bid=(
            r"\bpor (?:la|el|eso|esto|ello|tu|su)\b|\b(?:te|le) (?:doy|pago|ofrezco)\b|\b(?:pago|ofrezco|aqui (?:tienes?"
            r"|van|estan)|compro)\b"
        ),
        sale=r"\b(?:vend\w+|quiero|pido|vale|dame|deme|por mi)\b",
        free=r"gratis|gratuit[oa]s?|de balde|sin pagar|por nada|no cuesta nada",
    ),
    "de": StancePatterns(
        negation=(
            r"^\W*(?:nein|nee|no)\b|\b(?:will|mochte|wollte|werde|wurde|soll|sollen|kaufe|nehme|zahle|gebe|gehe|brauche|storniere\w*"
            r"|buche\w*"
            r"|sperre\w*|sende\w*|bestelle\w*|reiche\w*|machen?|tun|sagen?|verkaufe\w*"
            r"|verschiebe\w*)\b[^.!?,;]*\b(?:nicht|kein\w*|niemals|nie|nichts)\b|(?:nicht|nie|niemals)\s+(?:stornieren"
            r"|buchen|sperren|senden|bestellen|einreichen|kaufen|zahlen|absagen|verschieben|machen)"
            r"|bitte nicht|auf keinen fall|niemals|nie im leben|lieber nicht|besser nicht|doch nicht|nein danke"
            r"|vergiss (?:es|das)|vergessen sie (?:es|das)"
            r"|lass(?:en sie)? (?:es|das)|nicht (?:heute|jetzt)|noch nicht|anders uberlegt|ohne \w+ zu \w+|bloss nicht"
            r"|kommt nicht in ?frage|nicht notig|jeder tag ausser|(?<=[,.;:!?-])\s*(?:nein|nicht)\W*$|nein,? warte|behalte\w*"
            r"|statt (?:zu|sie zu) \w+|anstatt"
        ),
        harmless=r"machen sie sich keine sorgen|nicht warten|kein problem|warum nicht|keine ahnung",
        question=(
            r"(?:und |aber |dann )?(?:warum(?! nicht)|wieso(?! nicht)|weshalb|wann|was|wer|wen|wem|wessen|wo|wie(?!so)"
            r"|welche[rsnm]?|wurde|wurden|hat|haben sie schon|ist|sind|war|waren|muss|darf|soll ich|kann man|ist es moglich"
            r"|ich (?:mochte|will) wissen"
            r"|ich wusste gern|sagen sie mir,? (?:warum|ob|wie|wann)|(?:konn(?:en|ten) sie mir )?sagen,? (?:warum|ob)"
            r"|konn(?:en|ten) sie (?:auch |eigentlich )?(?!sie\b|bitte\b|meine?\b|diese\b|alle\b|ihre\b)\w+(?:en|s|e) "
            r"(?:sperren|stornieren|buchen|absagen)(?=\W*$))\b"
        ),
        supposition=(
            r"(?:was (?:ist|passiert|ware),? wenn|wenn ich|falls ich|angenommen|gesetzt den fall|stell dir vor|theoretisch|vielleicht"
            r"|eventuell"
            r"|ich bin (?:mir )?nicht sicher|ich konnte)\b"
        ),
        report=(
            r"mein(?:e|en|em|er)? (?:bruder|schwester|frau|mann|mutter|vater|sohn|tochter|freund(?:in)?|nachbar(?:in)?"
            r"|kolleg(?:e|in)|chef(?:in)?|cousin|onkel|tante|partner(?:in)?)\b"
            r".*\b(?:sein\w*|ihr\w*|hat|haben|hatte|sagt\w*)\b|(?:er|jemand) (?:hat|hatte) .*\bge\w+t\b"
            r"|(?:wurden?|worden)\b[^.!?;]*\b(?:gesperrt|storniert|abgesagt)\b|(?:ich|wir|sie|man) (?:habe?n?|hat"
            r"|hatten?) [^.!?;]*\b(?:gesperrt|storniert|abgesagt)\b"
            r"|(?:gesperrt|storniert|abgesagt) worden\b"
        ),
        condition=r"nur,? wenn|es sei denn|ausser wenn|wenn (?:es|das|sie nichts)|falls (?:es|das)|bevor sie",
        aside=(
            r"(?:und |aber |also |naja,? )?(?:ich|mein\w*|der|die|das|ein\w*|es|er|sie|wir|man|dies\w*|unser\w*|sein\w*|ihr\w*"
            r"|gestern|heute|alles"
            r"|niemand|jemand|danke|vielen dank|hallo|tschuss|gut\w*|schon\w*)\b"
        ),
        request=r"bitte|ich (?:will|mochte|brauche|muss|hatte gern\w*|wunsche|verlange)|konn(?:en|ten) sie|kannst du|los|machen sie|mach",
        offered=r"(?:fur|zahle|gebe|biete|geb|um|dir|ihnen)\s+(?:dir\s+|ihnen\s+|nur\s+|etwa\s+)?$",
        owned=r"(?:habe|hab|nur|noch|mit|hatte)\s+(?:nur\s+|noch\s+|etwa\s+)?$",
        money=r"\s*(?:gold\w*|munzen?|taler|euro|eur|dollar|dafur|fur (?:den|die|das|es)|[€$£])",
        bid=r"\bfur (?:den|die|das|deinen?|ihren?)\b|\b(?:zahle|biete|gebe|kaufe|hier sind)\b",
        sale=r"\b(?:verkauf\w*|will|mochte|verlange|wert|gib mir|geben sie mir|fur mein\w*)\b",
        free=r"umsonst|gratis|kostenlos\w*|kostenfrei\w*|geschenkt|fur nichts|ohne (?:zu be)?zahl\w*|kostet nichts",
    ),
    "fr": StancePatterns(
        negation=(
            r"^\W*(?:non|nan)\b|\b(?:ne|n')\s*(?:(?:le|la|les|l'|me|te|se|lui|y|en)\s*)*(?:veux|voudrais|souhaite|vais|compte|desire"
            r"|accepte"
            r"|prends|paie|achete|annul\w+|reserv\w+|bloqu\w+|envoy\w+|confirm\w+"
            r"|depos\w+|faites|fais|pay\w+|achet\w+|vend\w+|deplac\w+|command\w+|touch\w+)\s*(?:surtout\s+)?(?:pas|plus"
            r"|jamais|rien)\b|je veux pas|je vais pas|j'en veux pas|ne pas \w+er\b"
            r"|jamais de la vie|pas question|hors de question|surtout pas|certainement pas|plutot pas|laiss(?:e|ez) tomber"
            r"|oubli(?:e|ez)\b|non merci|pas (?:aujourd'hui|maintenant|encore)"
            r"|change d'avis|sans l'?\w+er\b|pas la peine|pas besoin|finalement non|n'importe quel jour sauf|(?<=[,.;:!?-])\s*non\W*$"
            r"|non,? attend\w*"
            r"|je (?:la |le )?garde\w*|au lieu d|plutot que"
        ),
        harmless=r"ne vous inquiet\w+ pas|ne t'inquiete pas|pourquoi (?:ne )?pas|je ne peux plus attendre",
        question=(
            r"(?:et |mais |alors )?(?:pourquoi(?! pas)|quand|qui|quoi|que|qu'est|quel(?:le)?s?|combien|comment|ou"
            r"|est-ce que (?:ma|mon|mes|c'est|la|le)|a-t-(?:on|il|elle)|avez-vous (?:deja|annule|bloque|recu)|dois-je"
            r"|faut-il|y a-t-il|peut-on|est-il possible|est-ce possible|(?:ma|mon|mes|la|le) \w+ (?:est|a|sera|serait)-(?:elle|il"
            r"|t-elle|t-il)"
            r"|je (?:voudrais|veux|souhaite) savoir|j'aimerais savoir|dites-moi (?:pourquoi|si|comment|quand)"
            r"|(?:pouvez|pourriez)-vous me dire|pouvez-vous (?:aussi )?\w+ des \w+(?=\W*$))\b"
        ),
        supposition=(
            r"(?:(?:et|que se passe-t-il) si (?:j|je)|si (?:je|j')\s?\w+ais\b|suppos\w+|imagin\w+|peut-etre|je ne suis pas sur|je pourrais)"
        ),
        report=(
            r"m(?:on|a) (?:frere|soeur|sœur|femme|mari|mere|pere|fils|fille|ami[e]?|voisin[e]?|collegue|chef|cousin[e]?"
            r"|oncle|tante|copain|copine)\b.*\b(?:son|sa|ses|a|avait|dit|veut)\b"
            r"|(?:il|elle|on|quelqu'un) (?:a|avait) (?:deja )?(?:annule|bloque|reserve|achete|paye|commande)\b"
            r"|(?:j'|l'|m'|a|ont|avez|avons|on m'a|je l'ai|ai)\s?(?:ai |a |ont |avez )?(?:deja )?(?:ete )?(?:annule"
            r"|bloque)e?s?\b(?<!j'annule)(?<!j'bloque)"
        ),
        condition=r"seulement si|uniquement si|a moins que|sauf si|si (?:c'est|ca|cela|il y a)|avant d",
        aside=(
            r"(?:et |mais |donc |bon,? )?(?:(?:je|mon|ma|mes|le|la|les|un|une|il|elle|on|nous|vous|ce|cette|ca|notre|votre|son|sa|ses"
            r"|hier|tout"
            r"|personne|quelqu'un|merci|bonjour|salut|au revoir|bonsoir)\b|j'|l'|c'|d')"
        ),
        request=(
            r"s'il (?:vous|te) plait|svp|stp|je (?:veux|voudrais|souhaite|desire|dois)|j'(?:aimerais|ai besoin)|pouvez-vous|peux-tu"
            r"|pourriez-vous"
            r"|allez-y|faites-le|vas-y"
        ),
        offered=r"(?:pour|donne|paie|offre|propose|a|disons|paye)\s+(?:seulement\s+|environ\s+)?$",
        owned=r"(?:ai|j'ai|que|reste|avec|avais)\s+(?:seulement\s+|que\s+|environ\s+)?$",
        money=r"\s*(?:pieces?|d'or|euros?|eur|dollars?|ecus?|pour (?:le|la|ca|cela)|[€$£])",
        bid=r"\bpour (?:le|la|les|ca|cela|votre|ta|ton)\b|\b(?:je (?:vous |te )?(?:donne|paie|paye|offre|propose)|voici|voila|achete)\b",
        sale=r"\b(?:vend\w*|veux|voudrais|demande|vaut|donnez-moi|donne-moi|pour m(?:on|a|es))\b",
        free=r"gratis|gratuit\w*|pour rien|sans payer|ne coute rien",
    ),
}
# Names of options, code and orders about the conversation itself: the speaker wants the machine to act, not the desk. In any language.
_MACHINE = re.compile(
    r"\b[a-z]+(?:_[a-z]+)+\b|\w+\(\w*\)|\[\[|\]\]|[<{][\w/ |:=\"'.-]*[>}]|\b\w+\s*==?\s*\w+"
    r"|\b(?:ignore|disregard|forget|override|bypass) (?:the|all|any|your|everything|previous|prior|my)\b"
    r".*\b(?:above|instructions?|rules?|game|prompt|before|orders)\b"
    r"|\bignore (?:the )?(?:above|game|rules|instructions)\b"
    r"|\b(?:as|i am|i'm) (?:the|your|a|an) (?:developer|admin\w*|system|root|owner of this bot|programmer|engineer)\b"
    r"|\b(?:system prompt|developer mode|jailbreak|response ids?|option ids?|you are now)\b"
    r"|\b(?:pretend (?:that |to |you)|role-?play|repeat after me)\b"
    r"|\b(?:choose|pick|select|output|respond with|reply with|return) (?:option|response|the option|the response|exactly|only|the word)\b"
    r"|\bcontinue the (?:story|text|conversation|dialogue|scene)\b|\b(?:new|next) scene\b"
    r"|\bin (?:this|my|the next) (?:story|scene|sentence)\b"
    r"|\b(?:game ?master|dungeon master|moderator|god ?mode|cheat ?codes?|chatgpt)\b|^\W*sudo\b|^\s*/[a-z]+\b"
    r"|^\W*(?:system|assistant|developer|admin|override|debug|cheat|console|gm)\s*:|\w\(['\"]?\w|\w\s*\+=|';|--\s*$"
    r"|\byour (?:role|guidelines|programming|next line|prompt)\b"
    r"|\bignor(?:a|e|ez|iere?n?) (?:sie )?(?:todas?|las?|los?|alle|die|toutes?|les|tout|todo)\b"
)
_LINK = re.compile(
    r"\s*(?:$|[^\w\s]|(?:and|then|for|or|is|if|it|to|please|y|o|por|si|und|oder|fur|wenn|bitte|et|ou|pour)\b)"
)  # no thing that is counted
_SENTENCE = re.compile(r"[^.!?;\n¿¡…]+[.!?;\n…]*")
_CLEAN = re.compile(
    r"^[\s\"'(«»,:-]+|(?:please|hi|hello|hey|ok|okay|sorry|excuse me|hola|perdon|hallo|entschuldigung|bonjour|pardon),?\s+", re.IGNORECASE
)


def stance_of(message: str, locale: str) -> Stance:
    """Why a message does not ask for an act; empty where nothing speaks against one, and in other languages than en, es, de, fr.

    A negation or a report anywhere counts. A question or a supposition counts where no sentence is anything else but an aside, which
    asks for nothing ("Why was it blocked? I have had it for years.").
    """
    patterns = _compiled(locale.split("-")[0])
    if patterns is None:
        return ""
    text = _bare(message)
    if _MACHINE.search(text):
        return "instruction"
    if patterns["negation"].search(patterns["harmless"].sub(" ", text)):
        return "negation"
    kinds = {_kind(sentence, patterns) for sentence in _sentences(text)} - {"aside"}
    if kinds == {"question"}:
        return "question"
    if patterns["report"].search(text):
        return "report"
    is_supposed = kinds in ({"supposition"}, {"supposition", "question"}) or patterns["condition"].search(text)
    return "supposition" if is_supposed else ""


def prices_in(message: str, locale: str) -> frozenset[Decimal]:
    """The amounts that a message names as a price or a sum: "for 50", "50 gold", only "50", 0 of "for free"; not what one only has."""
    return _prices(message, locale)


@lru_cache(maxsize=256)
def _prices(message: str, locale: str) -> frozenset[Decimal]:
    from babel import Locale, UnknownLocaleError

    patterns = _compiled(locale.split("-")[0]) or _compiled("en")
    try:
        found = find_amounts(message, Locale.parse(locale, sep="-"))
    except (UnknownLocaleError, ValueError):
        return frozenset()
    if patterns is None:
        return frozenset()
    prices = {Decimal()} if patterns["free"].search(_bare(message)) else set()
    for start, end, value in found:
        before, after = _bare(message[:start]), _bare(message[end:])
        is_alone = not re.search(r"\w", after) and len(re.findall(r"\w+", before)) <= 3
        is_offered = patterns["offered"].search(before) and _LINK.match(after)
        is_price = is_offered or patterns["money"].match(after) or is_alone
        if is_price and not patterns["owned"].search(before):
            prices.add(value)
    return frozenset(prices)


def is_bid(message: str, locale: str) -> bool:
    """Whether the speaker offers to pay the amounts named, so that to take less costs nobody anything."""
    patterns = _compiled(locale.split("-")[0])
    text = _bare(message)
    return patterns is not None and bool(patterns["bid"].search(text)) and not patterns["sale"].search(text)


def _kind(sentence: str, patterns: Mapping[str, re.Pattern[str]]) -> str:
    begins = _CLEAN.sub("", f"{sentence} ", count=2).rstrip()
    if not re.search(r"\w", begins):
        return "aside"  # nothing but a greeting
    if patterns["supposition"].match(begins):
        return "supposition"
    if patterns["question"].match(begins):
        return "question"
    return "aside" if patterns["aside"].match(begins) and not patterns["request"].search(begins) else "statement"


def _sentences(text: str) -> Iterator[str]:
    for found in _SENTENCE.finditer(text):
        if re.search(r"\w", found.group()):
            yield found.group().strip()


@lru_cache(maxsize=16)
def _compiled(language: str) -> Mapping[str, re.Pattern[str]] | None:
    patterns = _PATTERNS.get(language)
    if patterns is None:
        return None
    names = (
        "negation",
        "harmless",
        "question",
        "supposition",
        "report",
        "condition",
        "aside",
        "request",
        "offered",
        "owned",
        "money",
        "bid",
        "sale",
        "free",
    )
    every = {name: getattr(patterns, name) for name in names}
    for name in ("negation", "harmless", "report"):
        every[name] = rf"(?<!\w)(?:{every[name]})"
    for name in ("request", "condition", "free"):
        every[name] = rf"(?<!\w)(?:{every[name]})(?!\w)"
    return {name: re.compile(pattern) for name, pattern in every.items()}


def _bare(text: str) -> str:
    """Without case and accents, with plain apostrophes."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'").replace("`", "'").casefold()
    return "".join(char for char in unicodedata.normalize("NFD", plain) if unicodedata.category(char) != "Mn")
