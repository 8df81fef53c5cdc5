"""What the front desk of a clinic may say and do, emergencies first; it knows no medicine and reads no clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import NonNegativeInt, model_validator

from constrained import Offer, State, Understanding, date, effect, entity, must, only, policy, question, say

EMERGENCY_NUMBER, CRISIS_LINE, DESK_PHONE = "911", "988", "555-0142"
VISIT_PRICE, VIDEO_PRICE, LATE_FEE = Decimal(120), Decimal(75), Decimal(40)
OPENS, CLOSES = dt.time(8, 0), dt.time(18, 0)
LATE_HOURS = 24  # a cancellation later than this before the start costs LATE_FEE
REFILL_DAYS = 2  # until the pharmacy has an ordered refill

Topic = Literal["welcome", "visit", "appointments", "medicines"]
Alert = Literal["emergency", "crisis"]


class Doctor(State):
    id: str
    name: str
    specialty: Literal["general", "pediatrics", "skin", "heart"]


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
    what_for: str
    refills_left: NonNegativeInt
    renew_by: dt.date
    controlled: bool = False
    ordered: bool = False


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
    Prescription(id="lisinopril", what_for="blood pressure, presión", refills_left=2, renew_by=dt.date(2026, 9, 30)),
    Prescription(id="metformin", what_for="diabetes, sugar, azúcar", refills_left=0, renew_by=dt.date(2026, 7, 31)),
    Prescription(id="thyroxine", what_for="thyroid, tiroides", refills_left=1, renew_by=dt.date(2026, 2, 15)),
    Prescription(id="zolpidem", what_for="sleep, dormir", refills_left=3, renew_by=dt.date(2026, 8, 31), controlled=True),
)


class Clinic(State):
    """One patient and the diary, as the host knows them. The defaults are a sample to try the desk with.

    Attributes:
        topic: what the conversation is about; the page on which the chat was opened, and effects, set it.
        consent: whether the patient lets the desk read the record.
        proposed: id of the free time that awaits a yes or no. ``moving``: the appointment that it would replace.
        passed: ids of the times that the patient turned down. ``cancelling``: the appointment asked about.
    """

    now: dt.datetime = dt.datetime(2026, 3, 2, 9, 0)
    topic: Topic = "welcome"
    alert: Alert | None = None
    handed_over: bool = False
    identified: bool = False
    consent: Literal["unknown", "asked", "given", "refused"] = "unknown"
    doctors: tuple[Doctor, ...] = DOCTORS
    free_times: tuple[FreeTime, ...] = FREE_TIMES
    appointments: tuple[Appointment, ...] = APPOINTMENTS
    prescriptions: tuple[Prescription, ...] = PRESCRIPTIONS
    proposed: str | None = None
    moving: str | None = None
    passed: tuple[str, ...] = ()
    cancelling: str | None = None
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
    emergency: bool = question(
        "Does the patient describe a medical emergency that is happening now?",
        at_least=0.25,  # a missed emergency is worse than one too many
        yes=["I have a crushing pain in my chest", "she can't get any air and her lips are blue",
             "half of his face has dropped and he talks gibberish", "the cut is deep and the blood won't stop",
             "my dad collapsed and isn't answering", "her throat is swelling shut after a bee sting",
             "me oprime el pecho y no aguanto el dolor", "se está ahogando, no le entra el aire",
             "de pronto no puede mover un lado del cuerpo", "pierde mucha sangre y no se detiene",
             "my chest is so tight I can hardly breathe", "my baby swallowed a battery", "he is having a fit and won't come round",
             "I took far too many tablets and feel faint", "grandma fell on her head and won't wake up",
             "suddenly her speech is slurred and her arm is limp", "call an ambulance", "mi hijo no respira",
             "se ha desmayado y no reacciona", "se le hincha la garganta por una picadura"],
        no=["I'd like to see the doctor next week", "my knee has been a bit sore lately", "can I get more of my tablets",
            "what time do you close", "yes, that works for me", "which pills help against a cold?", "can I see the heart doctor in April",
            "quiero cambiar mi cita", "llevo unos días con tos", "¿cuánto cuesta una consulta?", "the ambulance is already on its way",
            "no, it's over, we are fine now", "I want a checkup for my heart", "my father had a stroke last year",
            "I cut my finger on Sunday, can someone look at it", "my son has had a fever since yesterday",
            "my chest cold won't go away, I need an appointment", "are my blood results back", "ya llamé, ¿qué hago mientras llegan?",
            "me duele la garganta desde el lunes", "se me acaban las pastillas de la presión"],
    )
    crisis: bool = question(
        "Does the patient speak of suicide or of hurting themselves?",
        at_least=0.25,  # a missed emergency is worse than one too many
        yes=["I don't want to be alive anymore", "I keep thinking about killing myself", "everybody would be better off without me",
             "I'm going to cut myself again tonight", "there is no point in going on, I want it to end", "ya no quiero vivir",
             "he pensado en quitarme la vida", "tengo ganas de hacerme daño", "I want to kill myself",
             "I've got the pills ready and I won't wake up tomorrow", "I hate myself so much that I burn my arms",
             "I can't see a way out and think about jumping", "sometimes I wish I was dead", "I feel suicidal again", "quiero morirme",
             "me corto cuando estoy mal", "mi familia estaría mejor sin mí", "no encuentro salida, quiero desaparecer para siempre"],
        no=["this wait is killing me", "I've been a bit down and would like an appointment", "no thanks, that's all",
            "please cancel my visit, I don't need it anymore", "I want to talk to a real person", "my back hurts when I sit",
            "me muero de sueño por las mañanas, ¿me da una cita?", "ya no necesito la cita", "I'm dead tired and need a checkup",
            "I cut my finger while cooking", "I need my sleeping pills", "the pain in my knee is killing me",
            "I'd kill for an earlier time", "my uncle died of a heart attack, can I get checked", "my chest hurts and I can't breathe",
            "no, you misunderstood me, I'm safe", "this is hopeless, nobody ever answers the phone", "me corté con un cuchillo de cocina",
            "quiero acabar con este trámite"],
    )
    for_child: bool = question(
        "Is the visit for the patient's child?",
        yes=["my son has had a rash since Monday, can someone look at him", "it's for our baby, she is due for her checkup",
             "can my six-year-old be seen this week", "I need the children's doctor for my daughter", "es para mi hijo de cuatro años",
             "mi bebé necesita que la vea el pediatra", "my daughter has an earache", "the school asks for a checkup of my boy",
             "our little one has had a fever since last night", "can Dr. Okafor see my kid on Friday", "appointment for a three-year-old",
             "my teenage son hurt his ankle", "mi niña tiene tos y quiero que la vean", "¿puedo llevar a mi hijo mañana?",
             "cita para mi bebé de seis meses"],
        no=["I need a checkup", "can somebody look at my shoulder", "could my husband come in on Friday", "where do I park",
            "I need more tablets", "la cita es para mí", "quiero que me vea un médico", "my mother needs to see a doctor",
            "my wife has a rash", "can I bring my kids along to my visit", "my daughter will drive me to my appointment",
            "please cancel my appointment", "I'm pregnant and would like a checkup", "do you have anything on Tuesday for me",
            "mi padre de ochenta años necesita cita", "¿a qué hora cierran?", "yes, that time is fine"],
    )
    day: dt.date | None = date("Which day does the patient ask for?")
    doctor: str | None = entity("Which doctor does the patient name?", among="doctors", by="id")
    prescription: str | None = entity("Which medicine does the patient name?", among="prescriptions", by="id")
# fmt: on


def find(things: tuple[Any, ...], wanted: str | None) -> Any:
    """The thing of that id; None when there is none."""
    return next((thing for thing in things if thing.id == wanted), None)


# -- what the desk may do ----------------------------------------------------------------------------


@effect
def route_emergency(state: Clinic, alert: Alert) -> Clinic:
    """Alerts the staff on duty; without a precondition, so that nothing can block it."""
    return state.but(alert=alert, handed_over=True)


@effect(requires=lambda state: state.alert is not None)
def stand_down(state: Clinic) -> Clinic:
    """Opens the desk again; the staff stays informed."""
    return state.but(alert=None)


@effect(requires=lambda state: not state.handed_over)
def hand_over(state: Clinic) -> Clinic:
    """Calls a person into the chat."""
    return state.but(handed_over=True)


@effect
def turn_to(state: Clinic, topic: Topic) -> Clinic:
    return state.but(topic=topic)


@effect(requires=lambda state: not state.identified)
def sign_in(state: Clinic) -> Clinic:
    """Opens the sign-in form. Here it succeeds at once; a host returns what its own check found."""
    return state.but(identified=True)


@effect(requires=lambda state: state.identified)
def ask_consent(state: Clinic) -> Clinic:
    return state.but(consent="asked")


@effect(requires=lambda state, given: state.consent == "asked")
def record_consent(state: Clinic, given: bool) -> Clinic:
    return state.but(consent="given" if given else "refused")


@effect(requires=lambda state, time_id, moving=None: state.is_open and find(state.free_times, time_id))
def propose(state: Clinic, time_id: str, moving: str | None = None) -> Clinic:
    """Remembers what was proposed while the patient decides; ``moving`` is the appointment that it would replace."""
    passed = (*state.passed, state.proposed) if state.proposed else ()
    return state.but(proposed=time_id, moving=moving, passed=passed, cancelling=None, topic="appointments")


@effect(requires=lambda state, time_id: state.is_open and find(state.free_times, time_id))
def book(state: Clinic, time_id: str) -> Clinic:
    """Makes an appointment of a free time."""
    taken = find(state.free_times, time_id)
    made = Appointment(id=taken.id, doctor=taken.doctor, start=taken.start)
    left = tuple(time for time in state.free_times if time is not taken)
    return state.but(appointments=(*state.appointments, made), free_times=left, proposed=None, moving=None, passed=())


@effect(requires=lambda state, old_id, time_id: state.is_open and find(state.upcoming, old_id) and find(state.free_times, time_id))
def reschedule(state: Clinic, old_id: str, time_id: str) -> Clinic:
    """Books the new time and cancels the old one."""
    return book(cancel(state, old_id), time_id)


@effect(requires=lambda state, appointment_id: state.is_open and find(state.upcoming, appointment_id))
def ask_to_cancel(state: Clinic, appointment_id: str) -> Clinic:
    """Remembers which appointment the patient was asked about."""
    return state.but(cancelling=appointment_id, topic="appointments")


@effect(requires=lambda state, appointment_id: state.is_open and find(state.upcoming, appointment_id))
def cancel(state: Clinic, appointment_id: str) -> Clinic:
    """Cancels an appointment that has not begun."""
    changed = tuple(one.but(status="cancelled") if one.id == appointment_id else one for one in state.appointments)
    return state.but(appointments=changed, cancelling=None)


@effect(requires=lambda state: state.proposed or state.cancelling)
def drop(state: Clinic) -> Clinic:
    """Forgets what was proposed or asked."""
    return state.but(proposed=None, moving=None, passed=(), cancelling=None)


@effect(requires=lambda state: state.is_open and not state.waiting)
def add_to_waiting_list(state: Clinic) -> Clinic:
    return state.but(waiting=True, proposed=None, moving=None, passed=())


@effect(requires=lambda state: state.is_open and not state.reminders)
def set_reminders(state: Clinic) -> Clinic:
    return state.but(reminders=True)


def may_refill(state: Clinic, one: Prescription | None) -> bool:
    """In date, with refills left, not controlled and not ordered yet."""
    return one is not None and not one.controlled and not one.ordered and one.refills_left > 0 and one.renew_by >= state.today


@effect(requires=lambda state, medicine: state.is_open and may_refill(state, find(state.prescriptions, medicine)))
def order_refill(state: Clinic, medicine: str) -> Clinic:
    """Orders one refill at the pharmacy."""
    one = find(state.prescriptions, medicine)
    ordered = one.but(ordered=True, refills_left=one.refills_left - 1)
    return state.but(prescriptions=tuple(ordered if each is one else each for each in state.prescriptions), topic="medicines")


# -- facts that the rules read -----------------------------------------------------------------------


def meant(state: Clinic, heard: Heard) -> Appointment | None:
    """The appointment that the patient speaks of: with the doctor named, on the day named, else the next one."""
    return min(state.upcoming, key=lambda one: (one.doctor != heard.doctor, one.start.date() != heard.day, one.start), default=None)


def closest(state: Clinic, heard: Heard, doctors: set[str], otherwise: dt.date) -> FreeTime | None:
    """The free time of these doctors nearest to the day asked for, or to ``otherwise`` when none was; none turned down before."""
    wanted = heard.day if heard.day and heard.day >= state.today else otherwise
    refused = (*state.passed, state.proposed)
    times = [time for time in state.free_times if time.doctor in doctors and time.start > state.now and time.id not in refused]
    return min(times, key=lambda time: (abs(time.start.date() - wanted), time.start), default=None)


def wanted_doctors(state: Clinic, heard: Heard) -> set[str]:
    """The doctor who was named; else all for children or for adults, as the visit needs."""
    specialty = "pediatrics" if heard.for_child else "general"
    return {heard.doctor} if heard.doctor else {doctor.id for doctor in state.doctors if doctor.specialty == specialty}


# -- when it may be said -----------------------------------------------------------------------------


@policy("clinic_booking")
def front_desk(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """An emergency closes everything else; then what was begun is finished; then the patient's topic decides."""
    if heard.emergency or heard.crisis or state.alert:
        yield from alarm(state, heard)
        return
    yield must("bot_notice", number=EMERGENCY_NUMBER).once()
    yield person(state)
    if state.consent == "asked":
        yield from while_consent_is_asked()
    elif not state.is_open:
        yield from for_visitor(state)
    elif find(state.free_times, state.proposed):
        yield from while_proposed(state, heard)
    elif find(state.upcoming, state.cancelling):
        yield from while_cancelling(state, heard)
    else:
        yield from for_patient(state, heard)


def alarm(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """What was heard decides alone; an alert stays until the patient says that it is over, or the staff ends it."""
    if heard.emergency:
        yield only("emergency_call", number=EMERGENCY_NUMBER).then(route_emergency, "emergency")
    if heard.crisis:
        yield only("crisis_line", line=CRISIS_LINE, number=EMERGENCY_NUMBER).then(route_emergency, "crisis")
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


def while_consent_is_asked() -> Iterator[Offer]:
    """The record stays closed until a clear yes."""
    yield say("consent_given").then(record_consent, True)
    yield say("consent_refused").then(record_consent, False)
    yield say("privacy")
    yield say("bot")
    yield say("medical_advice", number=EMERGENCY_NUMBER)


def for_visitor(state: Clinic) -> Iterator[Offer]:
    """Who has not signed in, or keeps the record closed, learns what anyone may know."""
    yield say("consent_ask").then(ask_consent) if state.identified else say("identify").then(sign_in)
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
    yield from booking(state, heard)
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


def booking(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """A new appointment: one free time is proposed, or none is left."""
    time = closest(state, heard, wanted_doctors(state, heard), state.today)
    if time is None:
        yield say("none_free")
        return
    day, start, doctor = time.start.date(), time.start.time(), find(state.doctors, time.doctor)
    if doctor.specialty == "pediatrics":
        yield say("offer_child", day=day, time=start, doctor=doctor.name).then(propose, time.id)
    else:
        yield say("offer_time", day=day, time=start, doctor=doctor.name, specialty=doctor.specialty).then(propose, time.id)


def while_proposed(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """A time was put to the patient: yes, another one, or no."""
    time = find(state.free_times, state.proposed)
    agreed = say("booked", day=time.start.date(), time=time.start.time(), doctor=find(state.doctors, time.doctor).name)
    yield agreed.then(reschedule, state.moving, time.id) if state.moving else agreed.then(book, time.id)
    yield another(state, closest(state, heard, {heard.doctor or time.doctor}, time.start.date()))
    yield say("left_as_is").then(drop)
    yield say("waiting_list").then(add_to_waiting_list)
    yield say("cost", visit=VISIT_PRICE, video=VIDEO_PRICE)
    yield say("what_to_bring")
    yield say("directions")


def another(state: Clinic, time: FreeTime | None) -> Offer:
    """Another time in place of the one that was turned down."""
    if time is None:
        return say("none_free")
    doctor = find(state.doctors, time.doctor).name
    return say("another_time", day=time.start.date(), time=time.start.time(), doctor=doctor).then(propose, time.id, state.moving)


def changing(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """The appointment that is booked: when it is, another time for it, or none."""
    one = meant(state, heard)
    if one is None:
        yield say("no_appointment")
        return
    day, start, doctor = one.start.date(), one.start.time(), find(state.doctors, one.doctor).name
    yield say("my_appointment", day=day, time=start, doctor=doctor)
    if one.start - state.now < dt.timedelta(hours=LATE_HOURS):
        late = say("cancel_ask_late", day=day, time=start, doctor=doctor, hours=LATE_HOURS, fee=LATE_FEE)
        yield late.then(ask_to_cancel, one.id)
    else:
        yield say("cancel_ask", day=day, time=start, doctor=doctor).then(ask_to_cancel, one.id)
    yield from moving(state, heard, one)


def moving(state: Clinic, heard: Heard, one: Appointment) -> Iterator[Offer]:
    """Another time for an appointment, with the same doctor."""
    time = closest(state, heard, {one.doctor}, one.start.date())
    if time:
        old, new, doctor = one.start.date(), time.start, find(state.doctors, one.doctor).name
        yield say("move_offer", doctor=doctor, old_day=old, day=new.date(), time=new.time()).then(propose, time.id, one.id)


def while_cancelling(state: Clinic, heard: Heard) -> Iterator[Offer]:
    """The patient was asked whether to cancel: yes, no, or rather another time."""
    one = find(state.upcoming, state.cancelling)
    yield say("cancelled", day=one.start.date(), doctor=find(state.doctors, one.doctor).name).then(cancel, one.id)
    yield from moving(state, heard, one)
    yield say("left_as_is").then(drop)
    yield complaint(state)


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
