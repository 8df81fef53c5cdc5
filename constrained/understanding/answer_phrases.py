"""The phrases by which an answer to a yes/no question is read, one table a language: authored, and never learned from messages.

Phrases are separated by ``|``. They are compared without case, accents and punctuation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerPhrases:
    """How people of one language answer, each as phrases separated by ``|``.

    Attributes:
        yes, no: phrases that are the answer by themselves.
        neither: phrases that answer nothing, or take back what stands beside them; one of them anywhere, and nothing is clear.
        later: not now. conditions: words that make an answer depend on something.
        polite: what may stand beside an answer and changes nothing.
        small: words that may join an answer to the words of the question ("yes, I want to cancel it").
        verbs: beginnings of verbs that repeat a question ("cancel it"); only where the question has the verb too.
        questions: words with which a question back begins.
    """

    yes: str
    no: str
    neither: str
    later: str
    conditions: str
    polite: str
    small: str
    verbs: str
    questions: str


EMOJI_YES = "👍👌✅✔☑🆗💯🙆🤝🫡"
EMOJI_NO = "👎❌✖🚫🙅✋🛑⛔🚷❎"
EMOJI_POLITE = "🙏😊🙂😀😃😄😁☺🥰❤💙💚🎉🥳✨😎🤗🌹⭐"

PHRASES: Mapping[str, AnswerPhrases] = {
    "en": AnswerPhrases(
        yes="""yes|yeah|yea|yep|yup|yas|ya|yah|yess|yessir|yes sir|aye|yay|y|ok|okay|okey|okey dokey|okie dokie|okie|k|kk|oki|
        alright|all right|alrighty|sure|sure thing|for sure|sure do|sure is|certainly|of course|ofc|course|absolutely|
        definitely|def|totally|indeed|by all means|naturally|go ahead|go for it|go on|go on then|do it|do so|do that|
        just do it|please do|do please|yes do|i do|i agree|agreed|i accept|accepted|i confirm|confirmed|confirm|approved|
        i approve|correct|that's correct|that is correct|right|that's right|that is right|exactly|precisely|affirmative|roger|
        roger that|you bet|you betcha|you got it|i'm sure|i am sure|im sure|quite sure|very sure|positive|
        i'm positive|proceed|please proceed|carry on|make it so|let's do it|lets do it|let's go|let's do that|sounds good|
        sounds great|sounds fine|that sounds good|looks good|fine|fine by me|that's fine|that is fine|it's fine|that works|
        works for me|that suits me|suits me|perfect|very well|very good|why not|i would|i'd like that|i would like that|
        i'd love to|i want that|i want it|that's what i want|yes please|with pleasure|gladly|happily|it is|they are|i am|
        we do|we agree|deal|it's a deal|you may|you can|you have my permission|permission granted|i consent|i give my consent|
        ja|without a doubt|no doubt|by all means do|you have my go ahead|green light|be my guest|please go ahead|that's okay|
        that's ok|that is ok""",
        no="""no|nope|nah|nay|naw|na|n|noo|no no|no way|no thanks|no thank you|no ta|not at all|absolutely not|certainly not|
        definitely not|of course not|by no means|no chance|not a chance|fat chance|never|never ever|never mind|nevermind|nvm|
        forget it|forget about it|forget that|don't|do not|dont|please don't|please do not|don't do it|do not do it|
        don't do that|do not do that|dont do it|stop|stop it|stop that|scrap that|leave it|leave it alone|leave it as it is|
        leave it be|i don't|i do not|i dont|i don't want to|i do not want to|i dont want to|i don't want that|
        i do not want that|i dont want that|i don't want it|i don't want you to|i'd rather not|i would rather not|rather not|
        i'd prefer not to|i prefer not to|i won't|i will not|i refuse|i decline|declined|i disagree|disagree|i disapprove|
        negative|wrong|that's wrong|incorrect|that's not right|that is not right|that's not correct|false|not this|not that|
        not really|not interested|i'm not interested|i'm good|i'm good thanks|i am good|no need|no need to|there's no need|
        not necessary|that's not necessary|hard pass|pass|i pass|i'll pass|no deal|not in a million years|over my dead body|
        under no circumstances|on no account|abort|hell no|heck no|god no|oh no|no siree|not on your life|nothing doing|
        i changed my mind|i've changed my mind|changed my mind|i said no|no means no|don't you dare|i don't think so|
        i think not|i can't allow that|i do not consent|i don't consent|i do not agree|i don't agree|thumbs down|nein|non""",
        neither="""maybe|may be|perhaps|possibly|probably|i guess|i guess so|guess so|i suppose|i suppose so|suppose so|i think|
        i think so|i believe so|not sure|i'm not sure|i am not sure|unsure|i don't know|i do not know|idk|dunno|no idea|
        don't know|who knows|it depends|depends|that depends|let me think|let me see|i need to think|give me a moment|
        give me a second|one moment|one second|just a second|hold on|hang on|wait|wait a minute|wait a second|hmm|hm|mm|um|uh|
        er|well|yeah right|yeah sure whatever|whatever|as if|yeah no|yes no|no yes|yes and no|sort of|kind of|kinda|sorta|
        almost|nearly|more or less|half|either|both|neither|both of them|up to you|you decide|you choose|i'm thinking|
        undecided|i can't decide|i haven't decided|i have to ask|i'll have to ask|i must ask|let me check|i'm confused|
        i'm lost|what|huh|pardon|sorry what|come again|actually|on second thought|on second thoughts|scratch that|or not|
        or maybe not|but|though|although|however|except|instead|rather|another|other|different|only|just kidding|kidding|
        joking|lol|haha|yet|should i|not""",
        later="""not now|not today|not yet|not tonight|not right now|not at the moment|later|maybe later|some other time|another time|
        another day|tomorrow|next time|next week|ask me later|ask me again later|ask again later|in a minute|in a bit|
        in a while|not this time|some day|too early|too soon|remind me later|at a later time|i'll do it later|
        i'll come back to it|let's do it later|soon""",
        conditions="""if|unless|only if|as long as|provided|providing|on condition|once|when|until|till|before|after|in case|assuming|
        depending|would have to|first""",
        polite="""please|pls|plz|thanks|thank you|thank you very much|thanks a lot|many thanks|thx|ty|cheers|sir|madam|ma'am|miss|mate|
        buddy|pal|friend|my friend|dear|oh|ah|so|then|now|right away|straight away|right now|immediately|asap|at once|just|
        really|very much|much|and|hi|hello|hey|i said|i say|that would be great|that would be nice|that would be lovely|
        that'd be great|kindly|with that|lovely|good|great|brilliant|cool|nice|excellent|awesome|wonderful|super|good to know|
        if you please|if you would|innkeeper|doctor""",
        small="""i|i'd|i'll|i'm|we|you|it|its|that|this|these|them|they|the|a|an|my|our|your|me|us|for|to|of|on|at|in|with|from|by|
        want|would|like|love|can|could|will|need|do|go|going|be|is|are|have|get|let|let's|ahead|all|as|there|here|he|she|him|
        her|am|it's|that's|up""",
        verbs="""cancel|book|block|file|send|order|confirm|take|pay|move|stop|delete|refund|close|submit|record|open|charge|disput|
        rent|sell|buy|sign|freez|lock|transfer|reserv|add|remov|renew|refill|start|finish|report|activat|deactivat|switch|
        chang|sav|print|schedul""",
        questions="""what|why|who|whom|whose|where|when|which|how|is|are|was|were|do you|does|did|have you|has|can i|can you|could you|
        will|would it|should|may i""",
    ),
    "es": AnswerPhrases(
        yes="""sí|sip|sep|sipi|claro|claro que sí|clarísimo|por supuesto|por supuesto que sí|desde luego|ok|okay|okey|oki|vale|
        vale vale|venga|dale|bueno sí|de acuerdo|estoy de acuerdo|conforme|perfecto|correcto|es correcto|eso es|así es|exacto|
        exactamente|efectivamente|afirmativo|adelante|hágalo|hazlo|hágalo por favor|hazlo por favor|proceda|procede|continúe|
        continúa|siga|sigue|acepto|aceptado|lo acepto|confirmo|confirmado|lo confirmo|sí quiero|quiero|lo quiero|eso quiero|
        sí lo quiero|sin duda|sin dudarlo|seguro|segurísimo|estoy seguro|estoy segura|cómo no|con gusto|con mucho gusto|
        encantado|encantada|me parece bien|me parece perfecto|me va bien|me viene bien|me conviene|está bien|muy bien|bien|
        sí por favor|por favor sí|sí señor|sí señora|obvio|obviamente|naturalmente|ciertamente|totalmente|absolutamente|
        trato hecho|doy mi consentimiento|consiento|autorizo|lo autorizo|tiene mi permiso|puede hacerlo|puedes hacerlo|
        sí puede|sí puedes|que sí|ya lo creo|cuenta con ello|estoy conforme|yes|yep|yeah|verdad|es verdad|cierto|
        así es por favor|vamos|a por ello|así lo quiero|eso mismo|tal cual|positivo|sí claro|claro claro|sí gracias""",
        no="""no|nop|nope|nah|no no|no gracias|que no|claro que no|por supuesto que no|desde luego que no|en absoluto|para nada|
        de ninguna manera|de ningún modo|ni hablar|ni loco|ni loca|ni en broma|ni pensarlo|ni de broma|ni de coña|jamás|nunca|
        nunca jamás|nada de eso|negativo|no quiero|no lo quiero|no la quiero|no quiero eso|no quiero hacerlo|no lo haga|
        no lo hagas|no la cancele|no lo cancele|no la canceles|no lo canceles|no haga nada|no hagas nada|no haga eso|
        no hagas eso|no hace falta|no es necesario|no es preciso|no me interesa|no me apetece|no me conviene|no me viene bien|
        no me parece|no estoy de acuerdo|no acepto|no lo acepto|no consiento|no doy mi consentimiento|no autorizo|
        no lo autorizo|no confirmo|rechazo|lo rechazo|me niego|prefiero que no|mejor no|preferiría que no|déjelo|déjalo|
        déjelo así|déjalo así|déjelo como está|déjalo como está|olvídelo|olvídalo|olvídese|da igual déjelo|pare|para|detente|
        deténgase|alto|basta|incorrecto|falso|no es correcto|no es así|eso no|así no|error|está mal|he cambiado de idea|
        he cambiado de opinión|cambié de idea|cambié de opinión|ya no|ya no quiero|ya no lo quiero|paso|no va|no hay trato|
        dije que no|he dicho que no|te he dicho que no|ni se te ocurra|ni se le ocurra|no señor|no señora|qué va|no por favor|
        creo que no|me parece que no|yo no""",
        neither="""quizá|quizás|tal vez|a lo mejor|puede ser|puede que sí|puede que no|posiblemente|probablemente|supongo|supongo que sí|
        supongo que no|creo|creo que sí|me parece que sí|diría que sí|no sé|no lo sé|ni idea|no estoy seguro|no estoy segura|
        no tengo claro|no lo tengo claro|depende|eso depende|según|déjeme pensar|déjame pensar|tengo que pensarlo|lo pensaré|
        me lo pienso|un momento|un segundo|espere|espera|espérate|eh|mmm|hmm|em|este|bueno|pues|sí y no|sí no|no sí|
        ni sí ni no|más o menos|casi|algo así|como quiera|como quieras|lo que quiera|lo que quieras|usted decide|tú decides|
        me da igual|da igual|cualquiera|los dos|ambos|ninguno|ninguna|otro|otra|otros|otras|pero|aunque|sin embargo|excepto|
        salvo|solo|sólo|mejor|en vez|en lugar|en realidad|qué|cómo|cómo dice|perdón|perdone|no entiendo|no le entiendo|
        no te entiendo|tengo que preguntar|tengo que consultarlo|lo consulto|lo consultaré|estoy dudando|dudo|es broma|jaja|
        o no|o quizás no|todavía|ya veremos|veremos|ni""",
        later="""ahora no|hoy no|todavía no|aún no|más tarde|luego|después|mañana|otro día|otra vez|en otro momento|en otra ocasión|
        otra ocasión|la próxima vez|la semana que viene|más adelante|por ahora no|de momento no|por el momento no|
        esta noche no|esta vez no|pregúnteme luego|pregúntame luego|pregúntame más tarde|dentro de un rato|en un rato|
        algún día|pronto|es pronto""",
        conditions="""si|sólo si|solo si|siempre que|siempre y cuando|a menos que|a no ser que|con tal de que|en caso de|cuando|hasta que|
        antes|una vez|a condición|dependiendo|primero""",
        polite="""por favor|porfa|porfavor|gracias|muchas gracias|mil gracias|señor|señora|señorita|amigo|amiga|oh|ah|ay|entonces|
        ahora mismo|ya|ya mismo|cuanto antes|enseguida|de inmediato|inmediatamente|y|hola|buenas|buenos días|muy amable|
        se lo agradezco|te lo agradezco|le agradezco|sería genial|sería estupendo|le digo|digo|genial|estupendo|oiga|mire|
        doctor|doctora|tabernero""",
        small="""lo|la|los|las|el|un|una|mi|mis|su|sus|me|le|te|se|nos|yo|que|a|de|del|al|en|con|para|por|es|eso|esa|ese|esto|esta|
        quiero|quisiera|querría|deseo|puede|puedes|podría|haga|haz|favor|todo|ser|está|gustaría|necesito|usted""",
        verbs="""cancel|anul|reserv|bloque|present|envi|envie|confirm|pag|cambi|muev|abr|cierr|registr|compr|vend|alquil|renov|pid|
        solicit|tram|borr|elimin|devuelv|guard|apunt|activ|desactiv|empie|empez|termin|inform""",
        questions="""qué|cuál|cuáles|cuándo|cuánto|cuánta|cuántos|cuántas|cómo|dónde|quién|quiénes|por qué|para qué|puedo|puede|hay|
        es posible""",
    ),
    "de": AnswerPhrases(
        yes="""ja|jaa|jo|joa|jep|jup|yep|yes|jawohl|jaja bitte|ja bitte|ja gerne|ja gern|ja klar|ja genau|ja sicher|ja natürlich|
        ja doch|gerne|gern|sehr gerne|sehr gern|klar|klar doch|alles klar|na klar|logisch|logo|sicher|sicherlich|
        selbstverständlich|natürlich|ok|okay|okey|oki|in ordnung|geht in ordnung|einverstanden|ich bin einverstanden|
        damit bin ich einverstanden|das ist in ordnung|ist in ordnung|gut|sehr gut|das ist gut|das passt|passt|passt mir|
        passt gut|das passt mir|das wäre gut|perfekt|prima|super|toll|genau|genau so|ganz genau|richtig|das ist richtig|
        das stimmt|stimmt|stimmt so|korrekt|das ist korrekt|exakt|absolut|auf jeden fall|auf alle fälle|unbedingt|bestimmt|
        ganz bestimmt|ganz sicher|ich bin sicher|ich bin mir sicher|da bin ich sicher|da bin ich mir sicher|mach das|
        machen sie das|machen sie|mach es|machen sie es|tun sie das|tu das|tun sie es|tu es|mach mal|mach ruhig|
        machen sie ruhig|nur zu|los|los geht's|dann los|weiter|weiter so|fahren sie fort|bestätigt|ich bestätige|
        ich bestätige das|bestätige|ich stimme zu|stimme zu|zugestimmt|ich willige ein|genehmigt|ich erlaube es|
        das möchte ich|das will ich|ich möchte|ich will|möchte ich|will ich|so machen wir es|so machen wir das|machen wir|
        machen wir so|abgemacht|warum nicht|wieso nicht|meinetwegen gerne|von mir aus gerne|freilich|aber sicher|aber klar|
        aber ja|aber gerne|ja das wäre toll|das wäre toll|das wäre nett|wahr|positiv|erledigen sie das|ja mach das|doch""",
        no="""nein|ne|nee|nö|nöö|naa|no|nope|nix da|nein danke|nein nein|ach nein|oh nein|auf keinen fall|keinesfalls|keineswegs|
        keinen fall|niemals|nie|nie im leben|nie und nimmer|im leben nicht|bloß nicht|lieber nicht|besser nicht|bitte nicht|
        ganz sicher nicht|sicher nicht|bestimmt nicht|natürlich nicht|selbstverständlich nicht|gar nicht|überhaupt nicht|
        absolut nicht|nicht wirklich|nicht nötig|das ist nicht nötig|brauche ich nicht|brauch ich nicht|nicht machen|
        mach das nicht|machen sie das nicht|tun sie das nicht|tu das nicht|tun sie es nicht|das möchte ich nicht|
        das will ich nicht|ich möchte nicht|ich möchte das nicht|ich will nicht|ich will das nicht|möchte ich nicht|
        will ich nicht|mag ich nicht|ich mag nicht|kein interesse|ich habe kein interesse|kein bedarf|ich bin dagegen|dagegen|
        ich lehne ab|abgelehnt|ich verzichte|verzichte|ich bin nicht einverstanden|nicht einverstanden|
        damit bin ich nicht einverstanden|ich stimme nicht zu|stimme nicht zu|stimmt nicht|das stimmt nicht|falsch|
        das ist falsch|nicht richtig|das ist nicht richtig|inkorrekt|stopp|stop|halt|aufhören|hör auf|hören sie auf|lass das|
        lassen sie das|lass es|lassen sie es|lass mal|lassen wir das|vergiss es|vergessen sie es|vergiss das|
        vergessen sie das|egal lassen sie es|hat sich erledigt|ich habe es mir anders überlegt|
        ich hab es mir anders überlegt|anders überlegt|doch nicht|kommt nicht in frage|kommt nicht infrage|ausgeschlossen|
        unter keinen umständen|das wollte ich nicht|ich sagte nein|ich habe nein gesagt|nicht mit mir|ich glaube nicht|
        eher nicht|negativ|niente""",
        neither="""vielleicht|eventuell|möglicherweise|wahrscheinlich|vermutlich|unter umständen|kann sein|mag sein|könnte sein|
        ich glaube|ich glaube schon|glaub schon|ich denke|ich denke schon|denke schon|ich nehme an|nehme ich an|schätze schon|
        ich schätze|weiß nicht|ich weiß nicht|weiß ich nicht|keine ahnung|ich bin nicht sicher|ich bin mir nicht sicher|
        nicht sicher|bin unsicher|unsicher|kommt darauf an|kommt drauf an|das kommt darauf an|je nachdem|ich überlege|
        ich überlege noch|muss überlegen|lass mich überlegen|lassen sie mich überlegen|moment|einen moment|moment mal|sekunde|
        warte|warten sie|wart mal|hm|hmm|äh|ähm|öh|tja|na ja|naja|nun|jein|ja nein|nein ja|ja und nein|mehr oder weniger|
        so halb|fast|beinahe|irgendwie|egal|mir egal|ist mir egal|wie sie wollen|wie du willst|entscheiden sie|beide|beides|
        weder noch|keins|keine|keiner|anderer|andere|anderes|anderen|anders|aber|jedoch|allerdings|obwohl|außer|nur|lieber|
        stattdessen|eigentlich|was|wie bitte|hä|bitte was|verstehe nicht|ich verstehe nicht|muss fragen|ich muss fragen|haha|
        scherz|war ein scherz|ja ja|jaja|von wegen|na dann|oder nicht|oder doch nicht|noch|meinetwegen|von mir aus|nicht|
        sondern|statt""",
        later="""jetzt nicht|heute nicht|noch nicht|nicht jetzt|nicht heute|im moment nicht|gerade nicht|momentan nicht|später|
        vielleicht später|morgen|ein andermal|ein anderes mal|nächstes mal|nächste woche|beim nächsten mal|demnächst|bald|
        irgendwann|fragen sie später|frag später|frag mich später|fragen sie mich später|zu früh|diesmal nicht|
        heute abend nicht|in einer minute|gleich|nachher""",
        conditions="""wenn|falls|nur wenn|sofern|solange|es sei denn|unter der bedingung|vorausgesetzt|sobald|bevor|erst|zuerst|nachdem|bis|
        im fall|insofern""",
        polite="""bitte|bitte sehr|bitteschön|danke|danke schön|dankeschön|danke sehr|vielen dank|besten dank|herzlichen dank|
        tausend dank|herr|frau|freund|mein freund|oh|ach|ah|dann|jetzt|sofort|gleich jetzt|umgehend|so schnell wie möglich|
        schnell|und|hallo|guten tag|moin|also|sehr freundlich|das ist nett|sehr nett|wirt|doktor|mal|ruhig|einfach|schön|
        wunderbar|klasse|ausgezeichnet""",
        small="""ich|wir|sie|du|es|das|die|der|den|dem|ein|eine|einen|mein|meine|meinen|mir|mich|ihn|ihm|ihr|uns|zu|am|im|in|an|auf|
        für|mit|von|um|möchte|will|würde|gern|kann|können|könnte|soll|sollen|haben|werden|ab|so|alles|brauche|dieser|diese|
        dieses|diesen""",
        verbs="""stornier|absag|sag|buch|sperr|reich|send|schick|bestell|bestatig|nehm|zahl|bezahl|verschieb|verleg|losch|eroffn|
        schlie|trag|speicher|kauf|verkauf|miet|erneuer|kundig|meld|anmeld|abmeld|start|beend|ander|reservier|uberweis""",
        questions="""was|wer|wen|wem|wessen|wo|wohin|woher|wann|warum|wieso|weshalb|wie|welche|welcher|welches|welchen|kann ich|können sie|
        haben sie|ist|sind|gibt es|muss ich|darf ich""",
    ),
    "fr": AnswerPhrases(
        yes="""oui|ouais|ouep|ouaip|ui|mouais d'accord|oui oui|oui bien sûr|oui s'il vous plaît|oui s'il te plaît|oui volontiers|
        oui merci|oui tout à fait|oui exactement|oui c'est ça|oui je veux bien|ok|okay|okey|oki|d'accord|d'acc|dac|
        je suis d'accord|entendu|c'est entendu|c'est d'accord|bien sûr|bien sûr que oui|évidemment|naturellement|certainement|
        absolument|tout à fait|exactement|exact|c'est exact|c'est ça|c'est bien ça|c'est correct|correct|c'est juste|juste|
        c'est vrai|effectivement|en effet|parfait|parfaitement|très bien|bien|c'est bien|c'est bon|c'est parfait|ça marche|
        ça me va|ça me convient|cela me convient|cela me va|ça va|ça roule|volontiers|avec plaisir|avec joie|je veux bien|
        je le veux|c'est ce que je veux|je veux|j'accepte|accepté|je confirme|confirmé|je le confirme|je valide|validé|
        je consens|j'autorise|je l'autorise|je donne mon accord|je donne mon consentement|vous avez mon accord|allez-y|
        allez y|vas-y|vas y|faites-le|faites le|fais-le|fais le|faites|faites donc|faites ça|fais ça|procédez|continuez|
        continue|poursuivez|sans aucun doute|sans hésiter|sans hésitation|sûr|sûr et certain|j'en suis sûr|j'en suis sûre|
        je suis sûr|je suis sûre|certain|je suis certain|affirmatif|yes|yep|marché conclu|conclu|pourquoi pas|carrément|
        évidemment oui|mais oui|mais bien sûr|mais certainement|que oui|si si|si|avec grand plaisir|je suis pour|
        c'est noté allez-y|on fait ça|faisons ça|faisons comme ça|je suis partant|je suis partante""",
        no="""non|nan|nope|no|non non|non merci|merci non|mais non|ah non|oh non|bien sûr que non|certainement pas|absolument pas|
        sûrement pas|surtout pas|pas du tout|pas question|hors de question|c'est hors de question|il n'en est pas question|
        jamais|jamais de la vie|au grand jamais|en aucun cas|en aucune façon|sous aucun prétexte|ne faites pas ça|
        ne fais pas ça|ne le faites pas|ne le fais pas|ne faites rien|ne fais rien|n'annulez pas|ne l'annulez pas|
        je ne veux pas|je veux pas|je n'en veux pas|j'en veux pas|je ne le veux pas|je ne souhaite pas|je ne préfère pas|
        je préfère pas|je préfère ne pas|je préférerais pas|je préfère que non|plutôt pas|plutôt non|pas vraiment|
        pas nécessaire|ce n'est pas nécessaire|c'est pas nécessaire|pas besoin|pas la peine|ce n'est pas la peine|
        c'est pas la peine|inutile|c'est inutile|ça ne m'intéresse pas|ça m'intéresse pas|pas intéressé|pas intéressée|
        je ne suis pas intéressé|je ne suis pas d'accord|pas d'accord|je suis pas d'accord|je refuse|refusé|je décline|
        je n'accepte pas|j'accepte pas|je ne consens pas|je n'autorise pas|je suis contre|négatif|faux|c'est faux|incorrect|
        ce n'est pas ça|c'est pas ça|ce n'est pas correct|arrêtez|arrête|stop|laissez|laissez tomber|laisse tomber|laissez ça|
        laisse ça|oubliez|oubliez ça|oublie|oublie ça|n'y pensez plus|tant pis|j'ai changé d'avis|changé d'avis|
        finalement non|en fait non|j'ai dit non|non c'est non|laissez comme ça|laissez-le comme ça|que nenni|pas moyen|
        même pas en rêve|même pas|je passe|sans façon|non monsieur|non madame|je crois que non|je ne crois pas|
        je ne pense pas|je pense pas|je crois pas|pas comme ça|abandonnez|abandonner|pas ça""",
        neither="""peut-être|peut être|peut-être bien|possible|possiblement|probablement|sans doute|je suppose|je suppose que oui|
        je crois|je crois que oui|je pense|je pense que oui|j'imagine|je ne sais pas|je sais pas|j'sais pas|chais pas|
        aucune idée|pas sûr|pas sûre|je ne suis pas sûr|je ne suis pas sûre|je suis pas sûr|j'hésite|ça dépend|cela dépend|
        tout dépend|à voir|on verra|je vais voir|je dois réfléchir|laissez-moi réfléchir|laisse-moi réfléchir|je réfléchis|
        un instant|une seconde|un moment|attendez|attends|minute|hmm|hm|euh|heu|ben|bof|mouais|oui et non|oui non|non oui|
        ni oui ni non|plus ou moins|presque|un peu|si vous voulez|si tu veux|comme vous voulez|comme tu veux|à vous de voir|
        c'est vous qui voyez|peu importe|ça m'est égal|n'importe|les deux|l'un ou l'autre|aucun|aucune|autre|autres|mais|
        cependant|pourtant|toutefois|sauf|excepté|seulement|plutôt|au lieu|en fait|quoi|comment|pardon|hein|
        je ne comprends pas|je comprends pas|je dois demander|je vais demander|je plaisante|haha|mdr|c'est ça oui|ou pas|
        ou peut-être pas|encore|pas|ne|ni""",
        later="""pas maintenant|pas aujourd'hui|pas encore|pas tout de suite|pas pour le moment|pas pour l'instant|plus tard|
        peut-être plus tard|demain|une autre fois|un autre jour|la prochaine fois|la semaine prochaine|bientôt|pas ce soir|
        pas cette fois|demandez-moi plus tard|demande-moi plus tard|redemandez plus tard|dans une minute|dans un moment|
        tout à l'heure|un jour|trop tôt|c'est trop tôt""",
        conditions="""si|seulement si|sauf si|à condition|à moins que|tant que|pourvu que|quand|lorsque|une fois|avant|après|dès que|
        jusqu'à|au cas où|d'abord""",
        polite="""s'il vous plaît|s'il te plaît|svp|stp|merci|merci beaucoup|mille mercis|merci bien|monsieur|madame|mademoiselle|
        mon ami|mon amie|oh|ah|alors|donc|maintenant|tout de suite|immédiatement|dès que possible|au plus vite|vite|et|
        bonjour|bonsoir|salut|c'est gentil|c'est très gentil|ce serait super|ce serait bien|ce serait gentil|je vous en prie|
        je t'en prie|docteur|aubergiste|formidable|magnifique|super|génial|excellent""",
        small="""je|j'|nous|vous|tu|il|elle|le|la|les|l'|un|une|mon|ma|mes|votre|vos|ce|cela|ça|cette|ces|c'est|que|à|de|du|des|au|en|
        pour|avec|sur|veux|voudrais|souhaite|aimerais|peux|pouvez|faire|tout|me|moi|y|est|bien|besoin""",
        verbs="""annul|reserv|bloqu|depos|envoy|command|confirm|pay|deplac|chang|ferm|ouvr|enregistr|achet|vend|lou|renouvel|supprim|
        rembours|inscri|sign|activ|desactiv|commenc|termin|prend|modifi|valid""",
        questions="""que|qu'est-ce|qu'est|quoi|quel|quelle|quels|quelles|quand|combien|comment|où|qui|pourquoi|est-ce|puis-je|pouvez-vous|
        y a-t-il|avez-vous|peut-on""",
    ),
}
