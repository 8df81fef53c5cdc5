"""What the front desk of a clinic may say and do, emergencies first.

Four procedures: the way to the record (sign-in and consent), a visit, another time for one, and its cancellation.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import NonNegativeInt, model_validator

from constrained import State, Understanding, effect, must, only, policy, say
from constrained.hear import Protected, date, entity, protected, question
from constrained.logic.options import Offer
from constrained.obligations import before_commitment
from constrained.steps import ask, confirm, perform, start, tell

EMERGENCY_NUMBER, CRISIS_LINE, DESK_PHONE = "911", "988", "555-0142"
VISIT_PRICE, VIDEO_PRICE, LATE_FEE = Decimal(120), Decimal(75), Decimal(40)
OPENS, CLOSES = dt.time(8, 0), dt.time(18, 0)
LATE_HOURS = 24  # a cancellation later than this before the start costs LATE_FEE
MOST_TIMES = 5  # that are proposed one after the other
MOST_SIGN_INS = 3
TO_A_TIME = ("yes", "another", "no", "waits")  # the answers to a proposed time
TO_A_CANCELLATION = ("yes", "another", "no")
READY = ("ready",)  # the one answer to a form: that it is filled in
REFILL_DAYS = 2  # until the pharmacy has an ordered refill

Topic = Literal["welcome", "visit", "appointments", "medicines"]
Alert = Literal["emergency", "crisis"]


SPECIALISTS = {  # what patients call a doctor of that specialty, in English and Spanish
    "general": ("general practitioner", "GP", "family doctor", "médico de cabecera", "médico de familia", "medicina general"),
    "pediatrics": ("pediatrician", "paediatrician", "children's doctor", "kids doctor", "pediatra", "pediatría"),
    "skin": ("dermatologist", "skin doctor", "dermatólogo", "dermatóloga", "dermatología"),
    "heart": ("cardiologist", "heart doctor", "cardiólogo", "cardióloga", "cardiología"),
}


class Doctor(State):
    id: str
    name: str
    specialty: Literal["general", "pediatrics", "skin", "heart"]

    @property
    def aliases(self) -> tuple[str, ...]:
        """What patients call the doctor, too."""
        return SPECIALISTS[self.specialty]


class FreeTime(State):
    """A time in a doctor's diary that nobody has taken."""

    id: str
    doctor: str
    start: dt.datetime


class Appointment(State):
    id: str
    doctor: str
    start: dt.datetime
    status: Literal["booked", "cancelled"] = "booked"


class Prescription(State):
    id: str
    what_for: str  # what patients call it, too, with commas between
    refills_left: NonNegativeInt
    renew_by: dt.date
    controlled: bool = False
    ordered: bool = False

    @property
    def aliases(self) -> tuple[str, ...]:
        """What patients call the medicine, too."""
        return tuple(one.strip() for one in self.what_for.split(","))


DOCTORS = (
    Doctor(id="novak", name="Dr. Novak", specialty="general"),
    Doctor(id="okafor", name="Dr. Okafor", specialty="pediatrics"),
    Doctor(id="ruiz", name="Dr. Ruiz", specialty="skin"),
    Doctor(id="lind", name="Dr. Lind", specialty="heart"),
)
FREE_TIMES = (
    FreeTime(id="n3", doctor="novak", start=dt.datetime(2026, 3, 3, 9, 0)),
    FreeTime(id="n6", doctor="novak", start=dt.datetime(2026, 3, 6, 15, 30)),
    FreeTime(id="n10", doctor="novak", start=dt.datetime(2026, 3, 10, 11, 0)),
    FreeTime(id="o4", doctor="okafor", start=dt.datetime(2026, 3, 4, 14, 0)),
    FreeTime(id="o9", doctor="okafor", start=dt.datetime(2026, 3, 9, 8, 30)),
    FreeTime(id="r11", doctor="ruiz", start=dt.datetime(2026, 3, 11, 16, 0)),
)
APPOINTMENTS = (Appointment(id="a1", doctor="novak", start=dt.datetime(2026, 3, 5, 10, 30)),)
PRESCRIPTIONS = (
    Prescription(
        id="lisinopril",
        what_for="blood pressure, pressure pills, hypertension, presión, tensión, hipertensión",
        refills_left=2,
        renew_by=dt.date(2026, 9, 30),
    ),
    Prescription(id="metformin", what_for="diabetes, sugar, azúcar, metformina", refills_left=0, renew_by=dt.date(2026, 7, 31)),
    Prescription(id="thyroxine", what_for="thyroid, thyroxin, tiroides, tiroxina", refills_left=1, renew_by=dt.date(2026, 2, 15)),
    Prescription(
        id="zolpidem",
        what_for="sleep, sleeping pills, insomnia, dormir, sueño, insomnio",
        refills_left=3,
        renew_by=dt.date(2026, 8, 31),
        controlled=True,
    ),
)


class Clinic(State):
    """One patient and the diary, as the host knows them. The defaults are a sample to try the desk with.

    Attributes:
        topic: what the conversation is about; the page on which the chat was opened, and effects, set it.
        consent: whether the patient lets the desk read the record.
    """

    now: dt.datetime = dt.datetime(2026, 3, 2, 9, 0)
    topic: Topic = "welcome"
    alert: Alert | None = None
    handed_over: bool = False
    identified: bool = False
    consent: Literal["unknown", "given", "refused"] = "unknown"
    doctors: tuple[Doctor, ...] = DOCTORS
    free_times: tuple[FreeTime, ...] = FREE_TIMES
    appointments: tuple[Appointment, ...] = APPOINTMENTS
    prescriptions: tuple[Prescription, ...] = PRESCRIPTIONS
    waiting: bool = False
    reminders: bool = False

    @model_validator(mode="after")
    def _every_doctor_is_known(self) -> Self:
        unknown = {one.doctor for one in (*self.free_times, *self.appointments)} - {doctor.id for doctor in self.doctors}
        if unknown:
            raise ValueError(f"no such doctor: {', '.join(sorted(unknown))}")
        return self

    @property
    def today(self) -> dt.date:
        return self.now.date()

    @property
    def is_open(self) -> bool:
        """The patient signed in, and the record may be read."""
        return self.identified and self.consent == "given"

    @property
    def upcoming(self) -> tuple[Appointment, ...]:
        return tuple(one for one in self.appointments if one.status == "booked" and one.start > self.now)


# fmt: off
class Heard(Understanding):
    emergency: Protected = protected(
        "emergency",
        more=[
            "I have a crushing pain in my chest", "she can't get any air and her lips are blue",
            "half of his face has dropped and he talks gibberish", "the cut is deep and the blood won't stop",
            "my dad collapsed and isn't answering", "her throat is swelling shut after a bee sting",
            "me oprime el pecho y no aguanto el dolor", "se está ahogando, no le entra el aire",
            "de pronto no puede mover un lado del cuerpo", "pierde mucha sangre y no se detiene",
            "my chest is so tight I can hardly breathe", "my baby swallowed a battery", "he is having a fit and won't come round",
            "I took far too many tablets and feel faint", "grandma fell on her head and won't wake up",
            "suddenly her speech is slurred and her arm is limp", "call an ambulance", "mi hijo no respira",
            "se ha desmayado y no reacciona", "se le hincha la garganta por una picadura", "he's on the floor and doesn't respond",
            "my husband isn't breathing", "I think it's a heart attack", "she's bleeding badly", "he collapsed", "I can't breathe",
            "I was stung and my tongue is swelling", "she's choking", "he can't move his left side", "my child drank bleach",
            "I'm having chest pains right now", "she's unconscious", "he was hit by a car and doesn't move",
            "tiene medio cuerpo dormido", "le está dando un infarto", "no puede respirar", "se ahoga", "sangra mucho",
            "mi marido no responde", "me duele mucho el pecho", "está inconsciente", "mi hijo ha bebido lejía",
        ],
        unlike=[
            "I'd like to see the doctor next week", "my knee has been a bit sore lately", "can I get more of my tablets",
            "what time do you close", "yes, that works for me", "which pills help against a cold?",
            "can I see the heart doctor in April", "quiero cambiar mi cita", "llevo unos días con tos", "¿cuánto cuesta una consulta?",
            "the ambulance is already on its way", "no, it's over, we are fine now", "I want a checkup for my heart",
            "my father had a stroke last year", "I cut my finger on Sunday, can someone look at it",
            "my son has had a fever since yesterday", "my chest cold won't go away, I need an appointment",
            "are my blood results back", "ya llamé, ¿qué hago mientras llegan?", "me duele la garganta desde el lunes",
            "se me acaban las pastillas de la presión", "cancel my appointment", "I'm on a plane that day, strike me out",
            "where do I park", "how much is it without insurance", "your receptionist was rude to me",
            "my grandmother speaks only Cantonese", "the paramedics looked me over and it was just a cramp",
            "it's nothing, only a stiff back", "all is well again",
            "our son tugs at his ear and cries at night, a doctor should look at it", "my daughter has a rash",
            "my back hurts, I want somebody to look at it", "I can't come on Thursday", "I want to talk to a person",
            "my blood pressure pills, please", "I can't pay for the visit", "I want a flu shot", "HR wants a certificate",
            "I've been coughing for weeks", "what can I take for a headache", "hello", "who reads this", "gracias, adiós",
            "ya respira con normalidad, quedó en un susto", "la abuela solo habla chino", "el jueves me es imposible ir",
            "no me queda metformina", "quiero cita para mi hijo", "me duele la espalda", "¿dónde aparco?",
            "quiero hablar con una persona", "no puedo pagar la consulta", "what's my appointment time",
            "wait a tick, somebody is at the door", "al final no la anule", "my girl's throat is itchy, could a doctor see her",
            "a mi hija le pica la garganta, ¿la podría ver un médico?", "a mi niño le ha salido un sarpullido",
        ],
    )  # fmt: skip
    crisis: Protected = protected(
        "self_harm",
        more=[
            "I don't want to be alive anymore", "I keep thinking about killing myself", "everybody would be better off without me",
            "I'm going to cut myself again tonight", "there is no point in going on, I want it to end", "ya no quiero vivir",
            "he pensado en quitarme la vida", "tengo ganas de hacerme daño", "I want to kill myself",
            "I've got the pills ready and I won't wake up tomorrow", "I hate myself so much that I burn my arms",
            "I can't see a way out and think about jumping", "sometimes I wish I was dead", "I feel suicidal again", "quiero morirme",
            "me corto cuando estoy mal", "mi familia estaría mejor sin mí", "no encuentro salida, quiero desaparecer para siempre",
            "I want to die", "I don't want to live", "I'm thinking of ending it", "I'd be better off dead", "I want to end my life",
            "I might hurt myself tonight", "I'm suicidal", "what's the point of living", "nobody would miss me",
            "I've been cutting myself", "no quiero vivir más", "quiero morir", "no le veo sentido a la vida", "quiero suicidarme",
            "me voy a matar", "no encuentro motivos para seguir viva", "estaría mejor muerto",
        ],
        unlike=[
            "this wait is killing me", "I've been a bit down and would like an appointment", "no thanks, that's all",
            "please cancel my visit, I don't need it anymore", "I want to talk to a real person", "my back hurts when I sit",
            "me muero de sueño por las mañanas, ¿me da una cita?", "ya no necesito la cita", "I'm dead tired and need a checkup",
            "I cut my finger while cooking", "I need my sleeping pills", "the pain in my knee is killing me",
            "I'd kill for an earlier time", "my uncle died of a heart attack, can I get checked", "my chest hurts and I can't breathe",
            "no, you misunderstood me, I'm safe", "this is hopeless, nobody ever answers the phone",
            "me corté con un cuchillo de cocina", "quiero acabar con este trámite", "I'm out of pills",
            "I'm on a plane then, strike me out", "what's the meaning of life", "cancel it", "I don't want to come any more",
            "I have run out of my medicine", "I lost my card with the date", "I can't do Thursday", "I'm ill and need a note for work",
            "nobody told me my results", "I was treated badly last time", "I want an appointment for my child",
            "I can't afford the visit", "my husband died last week", "I'm tired all the time", "no, that doesn't suit me",
            "where are you", "hello", "I'm afraid of needles", "me atendieron fatal", "me he quedado sin pastillas",
            "el jueves me resulta imposible, mejor más adelante", "quiero cita para mi hijo", "estoy harta de esperar", "no puedo ir",
            "no quiero esa hora", "mi marido murió", "estoy muy cansado", "no me viene bien",
            "me pierdo con facilidad y vivo sin nadie que me ayude", "what is life like as a nurse",
            "quisiera dejarlo para más adelante",
        ],
    )  # fmt: skip
    bereavement: Protected = protected("bereavement")
    legal_threat: Protected = protected("legal_threat")
    for_child: bool = question(
        "Is the visit for the patient's child?",
        yes=["my son has had a rash since Monday, can someone look at him", "it's for our baby, she is due for her checkup",
             "can my six-year-old be seen this week", "I need the children's doctor for my daughter", "es para mi hijo de cuatro años",
             "mi bebé necesita que la vea el pediatra", "my daughter has an earache", "the school asks for a checkup of my boy",
             "our little one has had a fever since last night", "can Dr. Okafor see my kid on Friday", "appointment for a three-year-old",
             "my teenage son hurt his ankle", "mi niña tiene tos y quiero que la vean", "¿puedo llevar a mi hijo mañana?",
             "cita para mi bebé de seis meses",
             "my lad has a rash", "our boy keeps tugging at his ear, somebody should examine him", "my little girl is ill",
             "our daughter needs to be seen", "for my kid", "our toddler has spots all over",
             "my boy fell off his bike and his knee is swollen", "a doctor for my two-year-old", "cita para mi nene",
             "quiero que vean a mi niña", "mi hijo está malo", "al niño le han salido granos", "el bebé tiene mocos",
             "mi hija necesita un médico"],
        no=["I need a checkup", "can somebody look at my shoulder", "could my husband come in on Friday", "where do I park",
            "I need more tablets", "la cita es para mí", "quiero que me vea un médico", "my mother needs to see a doctor",
            "my wife has a rash", "can I bring my kids along to my visit", "my daughter will drive me to my appointment",
            "please cancel my appointment", "I'm pregnant and would like a checkup", "do you have anything on Tuesday for me",
            "mi padre de ochenta años necesita cita", "¿a qué hora cierran?", "yes, that time is fine",
             "my knee is playing up", "got anything on Friday?", "I need an appointment", "move my visit",
             "I want to see the dermatologist", "my husband needs a doctor", "grandma needs an interpreter",
             "my cough won't go away", "I need somebody to look at my back", "quiero cita para mí", "mi mujer necesita un médico",
             "me duele el hombro", "necesito mis pastillas"],
    )
    day: dt.date | None = date("Which day does the patient ask for?")
    doctor: str | None = entity("Which doctor does the patient name?", among="doctors", by="id")
    prescription: str | None = entity("Which medicine does the patient name?", among="prescriptions", by="id")
# fmt: on


def find(things: tuple[Any, ...], wanted: str | None) -> Any:
    """The thing of that id; None when there is none."""
    return next((thing for thing in things if thing.id == wanted), None)


# -- what the desk may do ----------------------------------------------------------------------------


@effect(risk="low")
def route_emergency(state: Clinic, alert: Alert) -> Clinic:
    """Alerts the staff on duty; without a precondition, so that nothing can block it."""
    return state.replace(alert=alert, handed_over=True)


@effect(requires=lambda state: state.alert is not None)
def stand_down(state: Clinic) -> Clinic:
    """Opens the desk again; the staff stays informed."""
    return state.replace(alert=None)


@effect(risk="low")
def hand_over(state: Clinic) -> Clinic:
    """Calls a person into the chat."""
    return state.replace(handed_over=True)


@effect(risk="low")
def turn_to(state: Clinic, topic: Topic) -> Clinic:
    return state.replace(topic=topic)


@effect(requires=lambda state: not state.identified, risk="low")
def sign_in(state: Clinic) -> Clinic:
    """Opens the sign-in form. Here it succeeds at once; a host returns what its own check found."""
    return state.replace(identified=True)


@effect(requires=lambda state: state.identified)
def record_consent(state: Clinic) -> Clinic:
    """The patient lets the desk read the record."""
    return state.replace(consent="given")


@effect(requires=lambda state: state.identified, risk="low")
def record_refusal(state: Clinic) -> Clinic:
    """The record stays closed; the patient is asked again at the next request that needs it."""
    return state.replace(consent="refused")


@effect(requires=lambda state, time_id: state.is_open and find(state.free_times, time_id))
def book(state: Clinic, time_id: str) -> Clinic:
    """Makes an appointment of a free time."""
    taken = find(state.free_times, time_id)
    made = Appointment(id=taken.id, doctor=taken.doctor, start=taken.start)
    left = tuple(time for time in state.free_times if time is not taken)
    return state.replace(appointments=(*state.appointments, made), free_times=left)


@effect(requires=lambda state, appointment_id: state.is_open and find(state.upcoming, appointment_id))
def cancel(state: Clinic, appointment_id: str) -> Clinic:
    """Cancels an appointment that has not begun."""
    changed = tuple(one.replace(status="cancelled") if one.id == appointment_id else one for one in state.appointments)
    return state.replace(appointments=changed)


@effect(requires=lambda state: state.is_open and not state.waiting)
def add_to_waiting_list(state: Clinic) -> Clinic:
    return state.replace(waiting=True)


@effect(requires=lambda state: state.is_open and not state.reminders)
def set_reminders(state: Clinic) -> Clinic:
    return state.replace(reminders=True)


def may_refill(state: Clinic, one: Prescription | None) -> bool:
    """In date, with refills left, not controlled and not ordered yet."""
    return one is not None and not one.controlled and not one.ordered and one.refills_left > 0 and one.renew_by >= state.today


@effect(requires=lambda state, medicine: state.is_open and may_refill(state, find(state.prescriptions, medicine)))
def order_refill(state: Clinic, medicine: str) -> Clinic:
    """Orders one refill at the pharmacy."""
    one = find(state.prescriptions, medicine)
    ordered = one.replace(ordered=True, refills_left=one.refills_left - 1)
    return state.replace(prescriptions=tuple(ordered if each is one else each for each in state.prescriptions), topic="medicines")


# -- facts that the rules read -----------------------------------------------------------------------


def meant(state: Clinic, heard: Heard) -> Appointment | None:
    """The appointment that the patient speaks of: with the doctor named, on the day named, else the next one."""
    return min(state.upcoming, key=lambda one: (one.doctor != heard.doctor, one.start.date() != heard.day, one.start), default=None)


def closest(state: Clinic, heard: Heard, doctors: set[str], otherwise: dt.date, passed: tuple[str, ...] = ()) -> FreeTime | None:
    """The free time of these doctors nearest to the day asked for, or to ``otherwise`` when none was; none of ``passed``."""
    wanted = heard.day if heard.day and heard.day >= state.today else otherwise
    times = [time for time in state.free_times if time.doctor in doctors and time.start > state.now and time.id not in passed]
    return min(times, key=lambda time: (abs(time.start.date() - wanted), time.start), default=None)


def wanted_doctors(state: Clinic, heard: Heard) -> set[str]:
    """The doctor who was named; else all for children or for adults, as the visit needs."""
    specialty = "pediatrics" if heard.for_child else "general"
    return {heard.doctor} if heard.doctor else {doctor.id for doctor in state.doctors if doctor.specialty == specialty}


# -- when it may be said -----------------------------------------------------------------------------


@policy("clinic_booking", version=1, obligations=(before_commitment("bot_notice", book, number=EMERGENCY_NUMBER, earlier=True),))
def front_desk(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """An emergency closes everything else and ends what runs; then a procedure goes on; then the patient's topic decides."""
    if heard.emergency or heard.crisis or state.alert:
        yield from alarm(state, heard)
        return
    yield must("bot_notice", number=EMERGENCY_NUMBER).once()
    if heard.bereavement:
        yield only("condolence") if state.handed_over else only("condolence").then(hand_over)
        return
    if heard.legal_threat:
        yield only("complaint") if state.handed_over else only("complaint").then(hand_over)
        return
    yield person(state)
    yield from support(state)
    if not state.is_open:
        yield from for_visitor(state)
    else:
        yield from for_patient(state, heard)


def alarm(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """What was heard decides alone; an alert stays until the patient says that it is over, or the staff ends it."""
    if heard.emergency:
        yield only("emergency_call", number=EMERGENCY_NUMBER).then(route_emergency, "emergency").ends()
    if heard.crisis:
        yield only("crisis_line", line=CRISIS_LINE, number=EMERGENCY_NUMBER).then(route_emergency, "crisis").ends()
    if heard.emergency or heard.crisis:
        return
    if state.alert == "crisis":
        yield only("crisis_line", line=CRISIS_LINE, number=EMERGENCY_NUMBER)
    else:
        yield only("emergency_stay", number=EMERGENCY_NUMBER)
    yield only("emergency_over", number=EMERGENCY_NUMBER).then(stand_down)
    yield only("human", phone=DESK_PHONE)


def person(state: Clinic) -> Offer:
    """A person is always reachable; one call is enough."""
    return say("human", phone=DESK_PHONE) if state.handed_over else say("human", phone=DESK_PHONE).then(hand_over)


def complaint(state: Clinic) -> Offer:
    """A complaint is taken down by a person."""
    return say("complaint") if state.handed_over else say("complaint").then(hand_over)


def support(state: Clinic) -> Iterator[Offer]:
    """What a patient in trouble may reach from everywhere."""
    yield say("cost_help") if state.handed_over else say("cost_help").then(hand_over)
    yield say("condolence") if state.handed_over else say("condolence").then(hand_over)
    yield say("extra_help") if state.handed_over else say("extra_help").then(hand_over)
    yield say("moment")
    yield say("way_out")


async def access(state: Clinic):
    """The sign-in form, then the patient's word on the record: it stays closed until a clear yes."""
    for _ in range(MOST_SIGN_INS):
        if state.identified:
            break
        await ask("identify", READY, tries=MOST_SIGN_INS).then(sign_in)
    else:
        await tell("human", phone=DESK_PHONE).then(hand_over)
        return
    others = (person(state), say("privacy"), say("bot"), say("medical_advice", number=EMERGENCY_NUMBER))
    if await confirm("consent_ask", asides=others, alone=True):
        await tell("consent_given").then(record_consent)
    else:
        await tell("consent_refused").then(record_refusal)


def for_visitor(state: Clinic) -> Iterator[Offer]:
    """Who has not signed in, or keeps the record closed, learns what anyone may know."""
    yield start(access)
    if state.topic == "welcome":
        yield from at_the_door()
        yield say("privacy")
        yield complaint(state)
    elif state.topic == "visit":
        yield from about_the_visit()
    elif state.topic == "appointments":
        yield from about_services()
        yield say("cost", visit=VISIT_PRICE, video=VIDEO_PRICE)
    else:
        yield from about_health()


def for_patient(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """A patient who signed in and agreed: the topic narrows what is on offer."""
    yield start(visit)
    if state.topic == "welcome":
        yield from at_the_door()
        yield from changing(state, heard)
        yield from refilling(state, heard)
    elif state.topic == "visit":
        yield from about_the_visit()
    elif state.topic == "appointments":
        yield from changing(state, heard)
        yield say("waiting_list").then(add_to_waiting_list)
        if state.upcoming:
            yield say("reminders").then(set_reminders)
        yield from about_services()
    else:
        yield from refilling(state, heard)
        yield from about_health()


def at_the_door() -> Iterator[Offer]:
    """Before a topic is chosen, for anyone."""
    yield say("greet").once()
    yield say("visit_help", opens=OPENS, closes=CLOSES).then(turn_to, "visit")
    yield say("test_results")
    yield say("medical_advice", number=EMERGENCY_NUMBER)
    yield say("bot")
    yield say("goodbye")


def about_the_visit() -> Iterator[Offer]:
    """Practical questions, for anyone."""
    yield say("hours", opens=OPENS, closes=CLOSES)
    yield say("directions")
    yield say("what_to_bring")
    yield say("cost", visit=VISIT_PRICE, video=VIDEO_PRICE)
    yield say("insurance")
    yield say("interpreter")
    yield say("accessibility")
    yield from closing()


def about_services() -> Iterator[Offer]:
    """Kinds of visit, for anyone."""
    yield say("video_visit", price=VIDEO_PRICE)
    yield say("visit_help", opens=OPENS, closes=CLOSES).then(turn_to, "visit")
    yield from closing()


def about_health() -> Iterator[Offer]:
    """Where the desk knows the way, not the medicine; for anyone."""
    yield say("vaccination")
    yield say("test_results")
    yield say("sick_note")
    yield say("medical_advice", number=EMERGENCY_NUMBER)
    yield from closing()


def closing() -> Iterator[Offer]:
    """The ways out of a topic."""
    yield say("menu").then(turn_to, "welcome")
    yield say("thanks").then(turn_to, "welcome")


async def visit(state: Clinic, heard: Heard):
    """A new appointment: a free time is proposed, others where it does not suit; a yes, the booking, what came of it."""
    time = closest(state, heard, wanted_doctors(state, heard), state.today)
    if time is None:
        await tell("none_free")
        return
    day, start_at, doctor = time.start.date(), time.start.time(), find(state.doctors, time.doctor)
    others = about_a_time(state)
    if doctor.specialty == "pediatrics":
        question = ask("offer_child", TO_A_TIME, day=day, time=start_at, doctor=doctor.name, asides=others, alone=True)
    else:
        question = ask(
            "offer_time", TO_A_TIME, day=day, time=start_at, doctor=doctor.name, specialty=doctor.specialty, asides=others, alone=True
        )
    await settled(state, heard, time, await question.then(turn_to, "appointments"), None)


async def moved(state: Clinic, heard: Heard):
    """Another time for an appointment, with the same doctor."""
    one = meant(state, heard)
    time = closest(state, heard, {one.doctor}, one.start.date()) if one else None
    if time is None:
        await tell("none_free")
        return
    await settled(state, heard, time, await move_offered(state, one, time), one)


async def move_offered(state: Clinic, one: Appointment, time: FreeTime):
    """The question whether an appointment is to be moved to a free time."""
    old, new, doctor = one.start.date(), time.start, find(state.doctors, one.doctor).name
    question = ask(
        "move_offer",
        TO_A_TIME,
        doctor=doctor,
        old_day=old,
        day=new.date(),
        time=new.time(),
        asides=about_a_time(state),
        alone=True,
    )
    return await question.then(turn_to, "appointments")


async def settled(state: Clinic, heard: Heard, time: FreeTime, answer: str, one: Appointment | None):
    """What the patient makes of a proposed time; ``one`` is the appointment that it would replace."""
    passed: tuple[str, ...] = ()
    for _ in range(MOST_TIMES):
        if answer != "another":
            break
        passed = (*passed, time.id)
        later = closest(state, heard, {heard.doctor or time.doctor}, time.start.date(), passed)
        if later is None:
            await tell("none_free")
            return
        time, doctor = later, find(state.doctors, later.doctor).name
        day, start_at = time.start.date(), time.start.time()
        answer = await ask("another_time", TO_A_TIME, day=day, time=start_at, doctor=doctor, asides=about_a_time(state), alone=True)
    if answer == "yes":
        await booked(state, time, one)
    elif answer == "no":
        await tell("left_as_is")
    elif answer == "waits":
        await tell("waiting_list").then(add_to_waiting_list)
    else:
        await tell("none_free")


async def booked(state: Clinic, time: FreeTime, one: Appointment | None):
    """The booking, with the cancellation of what it replaces, and what came of it."""
    if one is None:
        is_done = await perform("booking_now").then(book, time.id)
    else:
        is_done = await perform("booking_now").then(cancel, one.id).then(book, time.id)
    if is_done:
        await tell("booked", day=time.start.date(), time=time.start.time(), doctor=find(state.doctors, time.doctor).name)
    else:
        await tell("booking_failed")


def about_a_time(state: Clinic) -> tuple[Offer, ...]:
    """What may be asked while a time is proposed."""
    price = say("cost", visit=VISIT_PRICE, video=VIDEO_PRICE)
    return (person(state), price, say("what_to_bring"), say("directions"))


def changing(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """The appointment that is booked: when it is, another time for it, or none."""
    one = meant(state, heard)
    if one is None:
        yield say("no_appointment")
        return
    yield say("my_appointment", day=one.start.date(), time=one.start.time(), doctor=find(state.doctors, one.doctor).name)
    yield start(cancelled)
    if closest(state, heard, {one.doctor}, one.start.date()):
        yield start(moved)


async def cancelled(state: Clinic, heard: Heard):
    """The patient is asked whether to cancel, with the fee where it is late: yes, no, or rather another time."""
    one = meant(state, heard)
    if one is None:
        await tell("no_appointment")
        return
    day, start_at, doctor = one.start.date(), one.start.time(), find(state.doctors, one.doctor).name
    others = (person(state), complaint(state))
    if one.start - state.now < dt.timedelta(hours=LATE_HOURS):
        question = ask(
            "cancel_ask_late",
            TO_A_CANCELLATION,
            day=day,
            time=start_at,
            doctor=doctor,
            hours=LATE_HOURS,
            fee=LATE_FEE,
            asides=others,
            alone=True,
        )
    else:
        question = ask("cancel_ask", TO_A_CANCELLATION, day=day, time=start_at, doctor=doctor, asides=others, alone=True)
    answer = await question.then(turn_to, "appointments")
    time = closest(state, heard, {one.doctor}, one.start.date())
    if answer == "yes":
        await tell("cancelled", day=day, doctor=doctor).then(cancel, one.id)
    elif answer == "another" and time is not None:
        await settled(state, heard, time, await move_offered(state, one, time), one)
    else:
        await tell("left_as_is")


def refilling(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """A refill: ordered, or what stands in its way."""
    medicines = tuple(each.id for each in state.prescriptions)
    one = find(state.prescriptions, heard.prescription or (medicines[0] if len(medicines) == 1 else None))
    if one is None and medicines:
        yield say("which_medicine", medicines=", ".join(medicines)).then(turn_to, "medicines")
    elif one and one.controlled:
        yield say("refill_controlled", medicine=one.id).then(turn_to, "medicines")
    elif one and (one.refills_left == 0 or one.renew_by < state.today):
        yield say("refill_renewal", medicine=one.id).then(turn_to, "medicines")
    elif one:
        ready = state.today + dt.timedelta(days=REFILL_DAYS)
        yield say("refill_ordered", medicine=one.id, ready=ready).then(order_refill, one.id)
