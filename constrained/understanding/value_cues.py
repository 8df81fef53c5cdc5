"""What is said around an amount, a day or a thing in each language: currencies, units, identifiers, corrections, negations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NEVER = r"(?!)"


@dataclass(frozen=True, slots=True)
class Cues:
    """Regular expressions of what stands before, between and after values in one language; case-insensitive.

    Attributes:
        currency: words for money. ``minor``: words for a hundredth of it. ``minor_join``: what may stand between the two.
        percent: what makes a number a share.
        half_after: "and a half" after a number. ``half_before``: "half a" before a scale word ("million").
        fraction: words beside which a number is only part of a fraction ("two thirds").
        negative: what makes a number less than nothing. ``point``: the decimal mark as a word.
        vague: words before a scale word that leave its number open ("a few hundred").
        scales: words for a power of ten that text2num does not read, and their values.
        units: class -> what follows a number of it. ``ids``: class -> what stands before a number that names something.
        id_link: what may stand between the word for the thing and its number.
        money_question: what a question for a sum of money says.
        clock_before, clock_after: what makes a number a time.
        spoken: number words that text2num misses, and what it reads instead.
        correction: words by which a speaker takes a value back and names another. ``correction_fill``: words that may stand beside them.
        no: the word that corrects only between pauses. ``withdrawn``: words that take a value back and name no other.
        not_this: words right before a value that is not meant. ``but``: "not 78 but 77".
        join: what stands between two values that are both not meant ("any day but Monday or Tuesday"). ``join_and``: likewise, where
            the clause ends behind them ("not Monday and Tuesday", but "not Monday and Tuesday is fine").
        instead: words before a day or thing that is not meant; of sums both stay open ("they took 45 instead of 40").
        not_verb: the beginning of a clause whose value is not meant ("I can't come on"). ``not_verb_except``: not so with these.
        not_after: words after a value that is not meant ("Monday does not work").
        skipped: words that may stand between a negation and its value.
        wish: verbs whose negation rules out the thing that follows ("I don't want the dagger"), unlike that of others ("to dispute the").
    """

    currency: str = NEVER
    minor: str = NEVER
    minor_join: str = NEVER
    percent: str = NEVER
    half_after: str = NEVER
    half_before: str = NEVER
    fraction: str = NEVER
    negative: str = NEVER
    point: str = NEVER
    vague: str = NEVER
    scales: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    id_link: str = NEVER
    money_question: str = NEVER
    clock_before: str = NEVER
    clock_after: str = NEVER
    spoken: Mapping[str, str] = field(default_factory=dict)
    correction: str = NEVER
    correction_fill: str = NEVER
    no: str = NEVER
    withdrawn: str = NEVER
    not_this: str = NEVER
    instead: str = NEVER
    join: str = NEVER
    join_and: str = NEVER
    but: str = NEVER
    not_verb: str = NEVER
    not_verb_except: str = NEVER
    not_after: str = NEVER
    skipped: str = NEVER
    wish: str = NEVER


_CUES: Mapping[str, Cues] = {
    "en": Cues(
        currency=(
            r"euros?|dollars?|pounds?(?:\s+sterling)?|quid|bucks?|francs?|yen|rupees?|pesos?|crowns?|shillings?|eur|usd|gbp|chf"
            r"|(?:gold|silver|copper)(?:\s+(?:pieces?|coins?))?|coins?|gp|sp|credits?|cr"
        ),
        minor=r"cents?|pence|pennies|penny",
        minor_join=r"and",
        percent=r"per\s?cent|percent|pct|percentage\s+points?",
        half_after=r"and\s+(?:a|one)\s+half|and\s+1/2",
        half_before=r"half\s+(?:a|an|one)|half",
        fraction=(
            r"half|halves|quarters?|thirds?|fourths?|fifths?|sixths?|eighths?|tenths?|hundredths?|thousandths?"
            r"|tens|twenties|fifties|hundreds|twice|double|triple"
        ),
        negative=r"minus|negative",
        point=r"point|dot|comma",
        vague=r"few|several|couple(?:\s+of)?|many|some|countless|score|scores",
        scales={
            "grand": 1000,
            "lakhs?": 10**5,
            "crores?": 10**7,
            "mio": 10**6,
            "mln": 10**6,
            "mill": 10**6,
            "bn": 10**9,
            "mn": 10**6,
            "trillion": 10**12,
        },
        units={
            "time": r"seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|weekends?|months?|years?|yrs?|decades?",
            "times": r"times|x",
            "people": r"people|persons?|guests?|adults?|kids|children|child|passengers?|of\s+us|men|women",
            "length": r"km|kilomet(?:er|re)s?|miles?|met(?:er|re)s?|feet|foot|inch(?:es)?|cm|mm|yards?",
            "weight": r"kg|kilos?|grams?|tons?|tonnes?|ounces?|oz|lbs?|lit(?:er|re)s?|ml|mg|pints?|gallons?",
            "degree": r"degrees?|°c?",
        },
        ids={
            "account": r"accounts?|acct|a/c|iban|sort\s+code",
            "card": r"cards?|pin|cvv|cvc|ending(?:\s+in|\s+with)?|last\s+(?:four|4)(?:\s+digits)?",
            "order": r"orders?|invoices?|receipts?|bills?|purchase\s+order|transactions?|payment\s+id",
            "parcel": r"parcels?|packages?|shipments?|tracking",
            "reference": (
                r"references?|ref|cases?|claims?|tickets?|policy|booking|reservation|code|id|number|no\.|nr\.?|#|version|serial"
                r"|customer|client|member"
            ),
            "phone": (
                r"phone|tel|telephone|mobile|cell|call(?:\s+me)?(?:\s+(?:at|on))?|dial|ring|text\s+me\s+(?:at|on)"
                r"|reach\s+me\s+(?:at|on)|fax|extension|ext"
            ),
            "place": (
                r"room|flat|apartment|apt|suite|floor|house|street|road|route|gate|platform|table|seat|row|bus|line|flight|train"
                r"|zip|postcode|box|unit|door|page|chapter|level|section|article|step|question|option|channel|area|zone|ward|desk"
            ),
            "year": r"since|born(?:\s+in)?|year",
        },
        id_link=r"number|numbers|no\.?|nr\.?|num|id|code|is|was|it's|its|ending|ends|in|with|the|my|called|at|on|:|#|-|\u2013|=",
        money_question=(
            r"how\s+much|amount|gold|silver|money|price|pay|cost|worth|sum|offer|fee|euros?|dollars?|pounds?|budget|income"
            r"|balance"
        ),
        clock_before=r"half\s+past|quarter\s+(?:past|to)|past|o'clock\s+or",
        clock_after=r"o['\u2019]?\s?clock|[ap]\.?\s?m\b\.?|hrs|in\s+the\s+(?:morning|afternoon|evening)|noon|sharp",
        correction=(
            r"no\s+wait|wait\s+no|no\s+sorry|sorry\s+no|wait|hold\s+on|sorry|i\s+mean|i\s+meant|meaning|or\s+rather|rather(?!\s+than)"
            r"|actually|make\s+(?:that|it)"
            r"|correction|scratch\s+that|strike\s+that|oops|excuse\s+me|pardon|my\s+mistake|my\s+bad|on\s+second\s+thoughts?"
            r"|better(?!\s+than)|instead(?!\s+of)|apologies|wrong\s+(?:one|way\s+round)"
        ),
        correction_fill=(
            r"make|it|that|this|is|it's|its|should|be|was|i|mean|meant|send|pay|give|offer|transfer|say|said|want|the|to|on|at"
            r"|for|of|with|in|by|let's|let|me|you|next|"
            r"no|not|please|of\s+course|just|only|um|uh|er|well|oh|ok|okay|then|a|an|take|account|parcel|number|come|book|do"
            r"|maybe|how|about|sod|damn|blast|bother|hell|heck|screw|go\s+on|hang\s+on|all\s+right|alright|fine"
        ),
        no=r"no|nope|nah",
        withdrawn=(
            r"no,?\s+wait|wait,?\s+no|(?:hold|hang)\s+on,?\s+no|no,?\s+(?:hold|hang)\s+on|scratch\s+that|strike\s+that|forget\s+(?:it|that)"
            r"|never\s*mind|wrong\s+one"
        ),
        not_this=(
            r"(?<!why\s)(?<!if\s)not|(?:any(?:thing|body|one|where|\s+day|\s+time|\s+one|\s+other)?|everything|every\s+day"
            r"|all)\s+(?:but|except|other\s+than)"
            r"|except(?:\s+for)?|excluding|apart\s+from|other\s+than|without|never|neither|nor"
            r"|isn't|is\s+not|ain't|wasn't"
        ),
        instead=r"rather\s+than|instead\s+of",
        join=r"or|nor",
        join_and=r"and|&",
        but=r"but",
        not_verb=(
            r"(?:do|does|can|could|will|would|should|ca|wo|is|are|am)(?:\s+not|n't|nt)|cannot|can't|cant|won't|wont|dont|don't"
            r"|never|i'm\s+not|am\s+not|not\s+going\s+to"
            r"|didn't\s+(?:mean|want|say)|did\s+not\s+(?:mean|want|say)|refuse\s+to|no\s+way"
        ),
        not_verb_except=(
            r"mind|know|care|forget|you|we|they|have\s+to|more|less|over|under|only|just|even|until|till|before|after|if"
            r"|whether|think\s+so|why"
        ),
        not_after=(
            r"(?:does\s+not|doesn't|doesnt|do\s+not|don't|won't|will\s+not|can't|cannot)\s+(?:work|suit|fit|do|be)"
            r"|is\s+(?:no\s+good|not\s+(?:good|possible|ok|okay|free)|bad|out|wrong|impossible)"
            r"|isn't\s+(?:good|possible|ok|right)|is\s+too\s+(?:much|late|early)|no(?=\s*(?:[,.;!]|$))"
        ),
        wish=r"want|need|like|mean|take|buy|get|choose|pick|meant|to|go|travel|see|have",
        skipped=(
            r"the|a|an|my|your|this|that|those|these|any|on|at|for|to|by|in|of|with|it|is|it's|some|about|another|parcel"
            r"|account|number|next"
        ),
    ),
    "es": Cues(
        currency=(
            r"euros?|dólares|dólar|dolares|dolar|libras?|pesos?|francos?|eur|usd|soles|monedas?(?:\s+de\s+(?:oro|plata))?"
            r"|coronas?|de\s+oro|créditos?|pavos"
        ),
        minor=r"céntimos?|centimos?|centavos?",
        minor_join=r"con|y",
        percent=r"por\s?ciento|por\s+cien",
        half_after=r"y\s+medi[oa]",
        half_before=r"medi[oa]",
        fraction=r"medi[oa]s?|mitad|tercios?|cuartos?|quintos?|sextos?|octavos?|décimos?|décimas?|centésimas?|doble|triple|billetes\s+de",
        negative=r"(?<!al\s)(?<!lo\s)(?<!o\s)menos|negativos?",
        point=r"punto|coma",
        vague=r"unos\s+cuantos|varios|varias|algunos|algunas|pocos|muchos|par\s+de|cientos\s+de|unos\s+pocos",
        scales={"millón|millones|millon": 10**6, "billón|billones": 10**12, "mio": 10**6},
        units={
            "time": r"segundos?|minutos?|horas?|días?|dias?|noches?|semanas?|mes(?:es)?|años?|décadas?",
            "times": r"veces|vez",
            "people": r"personas?|adultos?|niñ[oa]s?|huéspedes|invitados|pasajeros",
            "length": r"km|kilómetros?|kilometros?|metros?|cm|millas?",
            "weight": r"kg|kilos?|gramos?|litros?|ml|mg|toneladas?",
            "degree": r"grados?|°c?",
        },
        ids={
            "account": r"cuentas?|iban",
            "card": r"tarjetas?|pin|cvv|terminada(?:\s+en)?|acabada(?:\s+en)?|termina(?:\s+en)?|acaba(?:\s+en)?",
            "order": r"pedidos?|facturas?|recibos?|orden|transacción|compra\s+número",
            "parcel": r"paquetes?|envíos?|envios?|seguimiento",
            "reference": (
                r"referencias?|ref|casos?|reclamación|reserva|código|codigo|número|numero|núm\.?|nº|n\.º|nro\.?|#|póliza|cliente"
                r"|versión|id"
            ),
            "phone": (
                r"teléfono|telefono|tel|móvil|movil|celular|llame(?:n)?(?:\s+al)?|llámame(?:\s+al)?|llamar(?:\s+al)?|marque|marcar"
                r"|fax|extensión"
            ),
            "place": (
                r"habitación|habitacion|piso|planta|puerta|calle|avenida|mesa|asiento|fila|línea|linea|vuelo|tren|andén|página"
                r"|capítulo|nivel|sección|artículo|paso|opción|portal|local|sala"
            ),
            "year": r"desde|nacid[oa](?:\s+en)?|nací(?:\s+en)?|año",
        },
        id_link=r"número|numero|núm\.?|nº|n\.º|nro\.?|es|la|el|mi|con|de\s+número|que\s+termina\s+en|terminada\s+en|en|:|#|-|\u2013|=",
        money_question=r"cuánto|cuanto|importe|cantidad|dinero|precio|pagar?|coste|costo|suma|oferta|euros?",
        clock_before=r"a\s+las?|las|sobre\s+las|hasta\s+las|desde\s+las",
        clock_after=r"en\s+punto|de\s+la\s+(?:mañana|tarde|noche)|[ap]\.?\s?m\b\.?|h\b",
        spoken={
            "veintiún": "veintiuno",
            "veintiun": "veintiuno",
            "veintidos": "veintidós",
            "veintitres": "veintitrés",
            "veintiseis": "veintiséis",
            "dieciseis": "dieciséis",
        },
        correction=(
            r"no\s+espera|espera\s+no|espere|espera|perdón|perdon|perdona|perdone|disculpa|disculpe|digo|quiero\s+decir"
            r"|quise\s+decir|quería\s+decir|mejor\s+dicho|mejor(?!\s+que)"
            r"|más\s+bien|o\s+mejor|corrijo|corrección|rectifico|me\s+(?:he\s+equivocado|equivoqué)|en\s+realidad|lo\s+siento|ay\s+no"
        ),
        correction_fill=(
            r"que|es|son|sean|sea|era|eran|el|la|los|las|a|en|de|por|para|con|envía|envíe|manda|mande|paga|pon|ponga|pago|doy"
            r"|quiero|digo|no|mejor|pues|bueno|solo|al|cuenta|paquete|número"
        ),
        no=r"no|nop",
        withdrawn=r"no,?\s+esper[ae]|esper[ae],?\s+no|olvídalo|olvidalo|olvídelo|olvidelo|déjalo|dejalo|déjelo|me\s+he\s+equivocado|me\s+equivoqué",
        not_this=(
            r"(?<!si\s)(?<!qué\s)(?<!que\s)no|cualquier(?:a|\s+\w+)?\s+(?:menos|excepto|salvo)"
            r"|tod[oa]s?(?:\s+los\s+días)?\s+(?:menos|excepto|salvo)|excepto|salvo|sin|tampoco"
            r"|nunca|ni"
        ),
        instead=r"en\s+vez\s+de|en\s+lugar\s+de",
        join=r"o|u|ni",
        join_and=r"y|e",
        but=r"sino|sino\s+que",
        not_verb=(
            r"no\s+(?:puedo|quiero|pago|pagaré|voy|doy|daré|tengo|quisiera|podré|envíes?|mandes?|pagues?|transfieras?|vengo"
            r"|me\s+viene|necesito|cuesta|vale|vendo)|nunca|jamás"
        ),
        not_verb_except=r"más|mas|menos|solo|sólo|sé|si|importa|hasta|antes|después|sino|que",
        not_after=r"no(?=\s*(?:[,.;!]|$))|no\s+(?:puedo|me\s+viene|me\s+va|funciona|es\s+posible|vale|sirve|me\s+sirve)|es\s+demasiado",
        wish=r"querer|llevar|comprar|tomar|elegir|ir|digo",
        skipped=r"el|la|los|las|un|una|mi|este|esta|ese|esa|a|al|en|de|del|por|para|con|es|son|cuenta|paquete|número|próximo",
    ),
    "de": Cues(
        currency=(
            r"euros?|eur|dollars?|usd|pfund|franken|chf|kronen?|taler|gulden|gold(?:stücken?|münzen?)?|silber(?:stücke?"
            r"|münzen?)?|münzen?|mäuse|kröten|credits?"
        ),
        minor=r"cents?|rappen|pfennige?",
        minor_join=r"und",
        percent=r"prozent(?:punkte?)?|v\.\s?h\.",
        half_after=r"und\s+(?:ein(?:e|en)?\s+)?halb(?:e[nsr]?)?",
        half_before=r"(?:eine?[nrsm]?\s+)?halbe?[nrsm]?",
        fraction=r"halb(?:e[nrsm]?)?|hälfte|drittel|viertel|fünftel|sechstel|achtel|zehntel|hundertstel|dreiviertel|doppelt|dreifach",
        negative=r"minus|negativ",
        point=r"komma|punkt",
        vague=r"paar|mehrere|einige|viele|wenige|etliche|zig",
        scales={
            "billionen?": 10**12,
            "millionen|million": 10**6,
            "milliarden?": 10**9,
            r"mio\.?": 10**6,
            r"mrd\.?": 10**9,
            r"tsd\.?": 1000,
            "riesen": 1000,
        },
        units={
            "time": r"sekunden?|minuten?|min|stunden?|std|tage?n?|nächten?|nacht|wochen?|monate?n?|jahre?n?",
            "times": r"mal|x",
            "people": r"personen|person|leute|gäste|erwachsene|kinder|kind|mann",
            "length": r"km|kilometer|metern?|zentimeter|cm|meilen?",
            "weight": r"kg|kilo(?:gramm)?|gramm|litern?|ml|mg|tonnen?",
            "degree": r"grad|°c?",
        },
        ids={
            "account": r"konto|kontos|iban|kontonummer",
            "card": r"karten?|kartennummer|pin|endet(?:\s+auf)?|endziffern?|endend\s+auf",
            "order": r"bestellung(?:en)?|bestellnummer|auftrag|auftragsnummer|rechnung(?:snummer)?|beleg",
            "parcel": r"pakete?s?|paketnummer|sendung(?:snummer)?|lieferung",
            "reference": (
                r"referenz(?:nummer)?|aktenzeichen|az|fall|vorgang(?:snummer)?|ticket|buchung(?:snummer)?|nummer|nr\.?|no\.|#"
                r"|kundennummer|kunde|version|code|police|id"
            ),
            "phone": (
                r"telefon(?:nummer)?|tel|handy(?:nummer)?|mobil(?:nummer)?|ruf(?:en\s+sie)?(?:\s+mich)?(?:\s+unter)?"
                r"|anrufen\s+unter|durchwahl|fax|wähle"
            ),
            "place": (
                r"zimmer|wohnung|stock|etage|haus(?:nummer)?|straße|strasse|gleis|tisch|platz|reihe|bus|linie|flug|zug|plz|seite"
                r"|kapitel|stufe|abschnitt|artikel|schritt|option|raum|tor"
            ),
            "year": r"seit|geboren(?:\s+in)?|jahr|jahre|jahrgang",
        },
        id_link=r"nummer|nr\.?|no\.?|ist|lautet|mit|der|die|das|auf|endet\s+auf|:|#|-|\u2013|=",
        money_question=r"wie\s?viel|betrag|gold|geld|preis|zahl(?:en|t)?|kostet?|summe|angebot|euro|wert",
        clock_before=r"um|halb|viertel\s+(?:vor|nach)",
        clock_after=r"uhr|h\b|(?:früh|morgens|mittags|abends|nachmittags)",
        spoken={"zwo": "zwei"},
        correction=(
            r"nein\s+warte|warte\s+nein|ne\s+warte|warte|warten\s+sie|moment|halt|sorry|entschuldigung|entschuldige|verzeihung"
            r"|pardon|tut\s+mir\s+leid|ich\s+meine|ich\s+meinte|meine"
            r"|besser\s+gesagt|besser(?!\s+als)|vielmehr|oder\s+eher|eher(?!\s+als)|doch\s+lieber|lieber(?!\s+als)|korrektur"
            r"|quatsch|ach\s+nein|doch|eigentlich|ups"
        ),
        correction_fill=(
            r"nein|nee|ne|es|ist|sind|sollen|soll|sein|ich|meine|meinte|der|die|das|den|dem|am|an|auf|um|für|von|mit|zu|zum"
            r"|mach|machen|sende|zahle|gebe|überweise|schicke|sie|bitte|nur|"
            r"nicht|doch|lieber|besser|wir|sagen|eher|konto|paket|nummer|ach|na|gut|dann|ein|eine|einen|nächsten"
        ),
        no=r"nein|nee|ne|nö",
        withdrawn=r"nein\s+warte|vergiss\s+(?:es|das)|vergessen\s+sie\s+(?:es|das)|doch\s+nicht",
        not_this=(
            r"(?<!warum\s)(?<!ob\s)nicht|kein(?:e[nrsm]?)?|(?:jede[rsnm]?(?:\s+tag)?|alles?|alle(?:\s+tage)?)\s+(?:außer"
            r"|ausser|bis\s+auf)|außer|ausser|ohne|niemals|weder|noch"
        ),
        instead=r"anstatt|statt|anstelle",
        join=r"oder|noch",
        join_and=r"und",
        but=r"sondern",
        not_verb=(
            r"(?:kann|will|möchte|werde|zahle|gebe|überweise|schicke|sende|überweisen\s+sie|senden\s+sie|habe|brauche|biete"
            r"|komme)\s+(?:ich\s+|sie\s+|mir\s+)?(?:nicht|nie|niemals|keine[nrsm]?)"
        ),
        not_verb_except=r"mehr|weniger|nur|über|unter|bis|vor|nach|ob|vergessen|sondern|egal",
        not_after=(
            r"nicht(?=\s*(?:[,.;!?]|$))|(?:geht|passt|klappt|kann|will|möchte|zahle)\s+(?:ich\s+|mir\s+|es\s+|bei\s+mir\s+"
            r"|leider\s+)*(?:nicht|nie)|ist\s+(?:schlecht|zu\s+viel|unmöglich|falsch)"
        ),
        wish=r"wollen|nehmen|kaufen|haben",
        skipped=r"der|die|das|den|dem|ein|eine|einen|mein|meine|am|an|um|für|von|mit|auf|zu|es|ist|paket|konto|nummer|nächsten",
    ),
    "fr": Cues(
        currency=(
            r"euros?|eur|dollars?|usd|livres?|francs?|chf|couronnes?|balles|pièces(?:\s+d['\u2019](?:or|argent))?"
            r"|pièce\s+d['\u2019](?:or|argent)|écus?|crédits?"
        ),
        minor=r"centimes?",
        minor_join=r"et|virgule",
        percent=r"pour\s?cents?|pourcents?",
        half_after=r"et\s+demie?",
        half_before=r"(?:une?\s+)?demi(?:e)?",
        fraction=r"demie?s?|moitié|tiers|quarts?|cinquièmes?|sixièmes?|huitièmes?|dixièmes?|centièmes?|double|triple",
        negative=r"(?<!au\s)(?<!du\s)moins|négatif",
        point=r"virgule|point",
        vague=r"quelques|plusieurs|beaucoup\s+de|certains|centaines\s+de|milliers\s+de",
        scales={"millions?": 10**6, "milliards?": 10**9, "milliers?": 1000, "billions?": 10**12, "mio": 10**6, "mds?": 10**9},
        units={
            "time": r"secondes?|minutes?|min|heures?|jours?|nuits?|semaines?|mois|ans?|années?",
            "times": r"fois|x",
            "people": r"personnes?|adultes?|enfants?|invités?|passagers?",
            "length": r"km|kilomètres?|mètres?|cm|milles?",
            "weight": r"kg|kilos?|grammes?|litres?|ml|mg|tonnes?",
            "degree": r"degrés?|°c?",
        },
        ids={
            "account": r"comptes?|iban|rib",
            "card": r"cartes?|pin|code|se\s+terminant\s+par|finissant\s+par|finit\s+par|termine\s+par",
            "order": r"commandes?|factures?|reçus?|transaction",
            "parcel": r"colis|paquets?|envois?|suivi",
            "reference": r"références?|réf|dossiers?|réclamations?|réservation|numéro|numero|n°|no\.|nº|#|client|contrat|version|id|ticket",
            "phone": (
                r"téléphone|telephone|tél|tel|portable|appelez(?:[- ]moi)?(?:\s+au)?|appeler(?:\s+au)?"
                r"|appelle(?:[- ]moi)?(?:\s+au)?|joindre\s+au|fax|poste"
            ),
            "place": (
                r"chambre|appartement|étage|rue|avenue|boulevard|porte|quai|table|place|rang|rangée|bus|ligne|vol|train|page"
                r"|chapitre|niveau|section|article|étape|option|salle|bureau"
            ),
            "year": r"depuis|née?(?:\s+en)?|année|l'an",
        },
        id_link=r"numéro|numero|n°|nº|no\.?|est|c'est|la|le|mon|ma|au|avec|par|:|#|-|\u2013|=",
        money_question=r"combien|montant|argent|prix|pay(?:er|e|é)?|coût|somme|offre|euros?",
        clock_before=NEVER,
        clock_after=r"h\b|heures?",
        correction=(
            r"non\s+attends|non\s+attendez|attends|attendez|pardon|désolée?|excusez[- ]moi|excuse[- ]moi|je\s+veux\s+dire"
            r"|je\s+voulais\s+dire|plutôt(?!\s+que)|ou\s+plutôt|enfin|erreur|oups"
            r"|en\s+fait|mieux|correction|je\s+corrige|je\s+me\s+suis\s+trompée?"
        ),
        correction_fill=(
            r"non|c'est|ce|est|sont|le|la|les|l|à|au|de|du|des|pour|en|envoyez|envoie|payez|paie|mettez|mets|donne|donnez|je"
            r"|plutôt|disons|dis|pas|s'il|vous|plaît|seulement|compte|colis|numéro|virez"
        ),
        no=r"non|nan",
        withdrawn=r"non\s+attends|non\s+attendez|laissez\s+tomber|laisse\s+tomber|oubliez|oublie",
        not_this=(
            r"(?<!pourquoi\s)pas|n'importe\s+(?:quel\s+jour|quoi|lequel|laquelle)\s+sauf|tous?\s+(?:les\s+jours\s+)?sauf|sauf"
            r"|excepté|hormis|sans|jamais|ni|non"
        ),
        instead=r"au\s+lieu\s+de|plutôt\s+que",
        join=r"ou|ni",
        join_and=r"et",
        but=r"mais",
        not_verb=r"(?:ne\s+|n')\w+(?:\s+\w+)?\s+(?:pas|jamais|rien|plus)|(?:peux|veux|paie|paye|donne|vais)\s+pas",
        not_verb_except=r"plus\s+de|moins|seulement|si|que|avant|après|jusqu",
        not_after=r"non(?=\s*(?:[,.;!]|$))|(?:ne\s+|n')(?:me\s+)?\w+\s+pas|est\s+(?:impossible|trop)",
        wish=r"prendre|acheter|vouloir|aller|choisir",
        skipped=r"le|la|les|l'|un|une|des|mon|ma|ce|cette|à|au|en|de|du|d'|pour|avec|est|c'est|colis|compte|numéro",
    ),
}


def cues(language: str) -> Cues:
    """What is said around values in a language (ISO 639); of a language that is not listed, nothing."""
    return _CUES.get(language, Cues())
