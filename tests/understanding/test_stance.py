"""Whether a message speaks against an act, or only asks, supposes or tells of it; in en, es, de and fr."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.understanding.stance import stance_of

REQUESTS = {
    "en": ["cancel my card", "can you block my card?", "I lost my card. Can you block it?", "Why was it declined? Cancel it.",
           "When do you close? I want to cancel my card.", "my card was stolen", "don't worry, just cancel it", "why don't you cancel it",
           "How much is it? I'll take it.", "I can't find my card, please block it", "it doesn't work, cancel it",
           "could you cancel my booking",
           "I do not recognise this payment, block my card", "cancel it if possible", "if you could cancel it, please",
           "can I cancel my card?"],
    "es": ["cancele mi tarjeta", "¿puede bloquear mi tarjeta?", "cancélela", "no encuentro mi tarjeta, bloquéela", "no funciona, cancélela",
           "quiero cancelar mi tarjeta", "perdí mi tarjeta. ¿La puede bloquear?"],
    "de": ["sperren Sie meine Karte", "können Sie meine Karte sperren?", "ich finde meine Karte nicht, bitte sperren", "Karte sperren",
           "ich will meine Karte sperren", "können Sie bitte sperren?"],
    "fr": ["annulez ma carte", "pouvez-vous bloquer ma carte ?", "je ne trouve pas ma carte, bloquez-la", "elle ne marche pas, annulez-la",
           "je veux annuler ma carte"],
}  # fmt: skip
NEGATIONS = {
    "en": ["don't cancel", "please do not cancel", "please don't", "don't you dare cancel", "never cancel my card", "no need to cancel",
           "I'd rather keep it", "keep my card", "leave it", "stop", "cancel? no", "cancel it, no wait", "cancel it - actually don't",
           "nobody should cancel my card", "under no circumstances cancel", "hold off on cancelling", "not yet",
           "I don't want it cancelled",
           "block it instead of cancelling", "I refuse to cancel", "I've changed my mind"],
    "es": ["no la cancele", "no quiero cancelarla", "nunca cancele", "déjelo", "mejor no", "todavía no", "me la quedo", "¿cancelar? no",
           "en absoluto", "ya no la cancele"],
    "de": ["sperren Sie sie nicht", "ich will sie nicht sperren", "niemals sperren", "lassen Sie es", "lieber nicht", "noch nicht",
           "nicht sperren!", "ich behalte sie", "sperren? nein"],
    "fr": ["ne la bloquez pas", "je ne veux pas l'annuler", "n'annulez jamais", "laissez tomber", "plutôt pas", "pas encore", "je la garde",
           "annuler ? non"],
}  # fmt: skip
QUESTIONS = {
    "en": ["why was my card cancelled?", "is my card blocked?", "isn't my card cancelled?", "can you cancel bookings?",
           "do you block cards?",
           "how do I cancel my card", "how to cancel a card", "I'd like to know why my card was cancelled",
           "I was wondering if you block cards",
           "could you tell me why it was cancelled?", "can you explain why my card was blocked", "tell me about cancelling cards",
           "Can you block cards? My cat sleeps.", "Why was it cancelled? I had it for years."],
    "es": ["¿por qué se canceló?", "¿está bloqueada mi tarjeta?", "¿se puede cancelar?", "quiero saber por qué",
           "¿me puede decir si la cancelaron?",
           "¿cómo cancelo mi tarjeta?", "¿Por qué se canceló? La tuve muchos años."],
    "de": ["warum wurde sie gesperrt?", "ist meine Karte gesperrt?", "kann man sie sperren?", "ich möchte wissen, warum",
           "Können Sie Karten sperren?",
           "wie sperre ich meine Karte?", "Warum wurde sie gesperrt? Ich hatte sie lange."],
    "fr": ["pourquoi a-t-elle été bloquée ?", "ma carte est-elle bloquée ?", "peut-on l'annuler ?", "je voudrais savoir pourquoi",
           "pouvez-vous bloquer des cartes ?", "comment bloquer ma carte ?"],
}  # fmt: skip
SUPPOSITIONS = {
    "en": ["what if I cancel?", "suppose I cancel my card", "maybe cancel", "I'm not sure, cancel it", "I might cancel my card",
           "unless it costs, cancel it", "only cancel if it is free", "cancel it if it is free", "before you cancel my card, tell me"],
    "es": ["cancele solo si es gratis", "a menos que cueste, cancele", "quizás cancele", "no estoy seguro, cancele"],
    "de": ["was passiert, wenn ich sie sperre?", "nur wenn es nichts kostet", "vielleicht sperren", "bevor Sie sperren, sagen Sie es mir"],
    "fr": ["que se passe-t-il si je l'annule ?", "seulement si c'est gratuit", "peut-être annuler", "avant d'annuler, dites-le-moi"],
}  # fmt: skip
REPORTS = {
    "en": ["my brother cancelled his card", "my friend's card got cancelled", "my card got cancelled", "my card was cancelled by mistake",
           "you cancelled my card", "I cancelled it yesterday", "I had cancelled it", "they cancelled my card", "she wants to cancel hers",
           "Can you block cards? My brother had his blocked and yours too."],
    "es": ["mi hermano canceló su tarjeta", "ya la cancelé", "me la cancelaron", "la tarjeta fue cancelada", "cancelaron mi tarjeta"],
    "de": ["mein Bruder hat seine Karte gesperrt", "meine Karte wurde gesperrt", "ich habe sie schon gesperrt", "man hat sie gesperrt"],
    "fr": ["mon frère a annulé sa carte", "je l'ai déjà annulée", "on m'a annulé ma carte", "ma carte a été bloquée"],
}  # fmt: skip


def pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(locale, message) for locale, messages in table.items() for message in messages]


@pytest.mark.parametrize(("locale", "message"), pairs(REQUESTS))
def test_a_request_is_one(locale: str, message: str) -> None:
    assert stance_of(message, locale) == ""


@pytest.mark.parametrize(("locale", "message"), pairs(NEGATIONS))
def test_what_forbids_or_declines_is_a_negation(locale: str, message: str) -> None:
    assert stance_of(message, locale) == "negation"


@pytest.mark.parametrize(("locale", "message"), pairs(QUESTIONS) + pairs(SUPPOSITIONS) + pairs(REPORTS))
def test_what_asks_supposes_or_tells_is_no_request(locale: str, message: str) -> None:
    assert stance_of(message, locale) in ("question", "supposition", "report", "negation")


@pytest.mark.parametrize(("locale", "message"), pairs(QUESTIONS))
@given(case=st.sampled_from([str.upper, str.lower, str.title, str]), around=st.sampled_from(["{}", "  {}  ", "ok, {}", "hello, {}"]))
def test_case_and_greetings_change_nothing(locale: str, message: str, case: object, around: str) -> None:
    assert callable(case)
    assert stance_of(around.format(case(message)), locale) != ""


@given(st.text(max_size=200), st.sampled_from(["en", "es", "de", "fr", "ja", "xx"]))
def test_any_message_has_a_stance(message: str, locale: str) -> None:
    assert stance_of(message, locale) in ("", "negation", "question", "supposition", "report", "instruction")
