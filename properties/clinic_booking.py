"""What no conversation with the front desk may come to, and the patients and diaries from which every one of them is explored."""

import datetime as dt

from constrained.analysis.prover.properties import always, before, eventually, in_order, never_after, scope

DIARY = {
    "doctors": [
        {"id": "novak", "name": "Dr. Novak", "specialty": "general"},
        {"id": "okafor", "name": "Dr. Okafor", "specialty": "pediatrics"},
    ],
    "free_times": [
        {"id": "n3", "doctor": "novak", "start": "2026-03-03T09:00:00"},
        {"id": "o4", "doctor": "okafor", "start": "2026-03-04T14:00:00"},
    ],
    "appointments": [{"id": "a1", "doctor": "novak", "start": "2026-03-05T10:30:00"}],
    "prescriptions": [],
}
AFTERNOON = {"id": "n6", "doctor": "novak", "start": "2026-03-06T15:30:00"}
GOOD = {"id": "lisinopril", "what_for": "blood pressure", "refills_left": 1, "renew_by": "2026-03-02"}
SPENT = {**GOOD, "id": "metformin", "refills_left": 0}
LATE = {**GOOD, "id": "thyroxine", "renew_by": "2026-03-01"}
SLEEP = {**GOOD, "id": "zolpidem", "controlled": True}
OPEN = {**DIARY, "identified": True, "consent": "given"}
TOPICS = ("welcome", "visit", "appointments", "medicines")

PROTECTED = ("emergency", "crisis", "bereavement", "legal_threat")

EXPLORED = scope(
    starts=[
        *({**DIARY, "topic": one} for one in TOPICS),
        *({**OPEN, "topic": one} for one in TOPICS),
        {**DIARY, "identified": True},
        {**DIARY, "identified": True, "consent": "refused"},
        {**DIARY, "alert": "crisis"},
        {**OPEN, "now": "2026-03-04T10:30:00"},  # a day before the appointment: no fee
        {**OPEN, "now": "2026-03-04T10:31:00"},
        {**OPEN, "free_times": []},
        {**OPEN, "appointments": []},
        {**OPEN, "free_times": [DIARY["free_times"][0], AFTERNOON]},
        *({**OPEN, "appointments": [], "free_times": [], "prescriptions": list(some)} for some in ([GOOD], [GOOD, SPENT], [LATE, SLEEP])),
    ],
    heard={"day": ["2026-03-06"], **{one: ["yes"] for one in PROTECTED}},
    human=["human", "hand_over", "route_emergency"],
    within=2,  # of which one is the turn that tells what became of a booking
)

ALARM = ("emergency_call", "crisis_line")
OFFERS = ("offer_time", "offer_child", "another_time", "move_offer")
QUESTIONS = ("cancel_ask", "cancel_ask_late")
RECORD = ("book", "cancel", "add_to_waiting_list", "set_reminders", "order_refill")
OF_THE_RECORD = {
    *(*OFFERS, *QUESTIONS, "booking_now", "booked", "booking_failed", "cancelled", "my_appointment", "no_appointment"),
    *("which_medicine", "refill_ordered", "refill_renewal", "refill_controlled", "waiting_list", "reminders", "none_free"),
}


def is_alarming(turn):
    return turn.heard.emergency or turn.heard.crisis


def is_late(turn):
    """An appointment is cancelled that begins within a day."""
    gone = next(one for one in turn.before.upcoming if one not in turn.after.appointments)
    return "cancelled" in turn.said and gone.start - turn.before.now < dt.timedelta(hours=24)


def ordered(turn):
    """The prescription of which a turn orders a refill, as it was before."""
    return next(one for one in turn.before.prescriptions if one not in turn.after.prescriptions)


# -- emergencies ----------------------------------------------------------------------------------------

alarm_comes_first = always(
    lambda turn: not is_alarming(turn) or set(ALARM).issuperset(turn.options),
    says="of an emergency nothing but its own answers may be said",
)
alarm_stands_alone = always(lambda turn: len(turn.said) == 1, on=ALARM, says="nothing stands beside an emergency number")
alarm_is_routed = always(
    lambda turn: "route_emergency" in turn.effects or not is_alarming(turn), on=ALARM, says="whoever is in danger is passed to the staff"
)
ALERTED = {*ALARM, "emergency_stay", "emergency_over", "human", "too_long", "way_out", "left_as_is", "moment"}

alarm_stays = always(
    lambda turn: turn.before.alert is None or ALERTED.issuperset(one.removesuffix(".offer") for one in turn.said),
    says="an open alert leaves no other subject",
)
alarm_is_ended = always(
    lambda turn: "stand_down" in turn.effects or turn.after.alert, on=lambda turn: turn.before.alert, says="only a word ends it"
)
nothing_done_in_an_alarm = always(lambda turn: turn.before.alert is None, on=RECORD, says="nothing is booked or ordered in an alert")

# -- the record -----------------------------------------------------------------------------------------

record_is_closed = always(
    lambda turn: turn.before.is_open or OF_THE_RECORD.isdisjoint(turn.said),
    says="nothing of the record is said without sign-in and consent",
)
nothing_done_unasked = always(lambda turn: turn.before.is_open, on=RECORD, says="nothing is done without sign-in and consent")
consent_is_asked = in_order("consent_ask", ("consent_given", "consent_refused"), says="consent is asked for before it is noted")
consent_after_sign_in = always(lambda turn: turn.before.identified, on="consent_ask", says="who has not signed in is not asked for consent")
notice_once = never_after("bot_notice", "bot_notice", says="that a program answers is said once")
notice_first = before("bot_notice", OF_THE_RECORD, says="a patient knows that a program answers before anything of the record is said")

# -- appointments ---------------------------------------------------------------------------------------

no_step_is_skipped = in_order(OFFERS, "booking_now", "book", "booked", says="proposed, agreed, booked, told: none is skipped")
asked_then_cancelled = in_order(QUESTIONS, "cancelled", says="nothing is cancelled that nobody asked about")
cancelled_for_another = before((*QUESTIONS, "move_offer"), "cancel", says="an appointment goes after a question about it")
fee_is_named = before("cancel_ask_late", lambda turn: "cancelled" in turn.said and is_late(turn), says="who cancels late was told the fee")
moved_in_one_step = always(
    lambda turn: "book" not in turn.effects or len(turn.after.upcoming) == len(turn.before.upcoming),
    on="cancel",
    says="an appointment that is moved leaves another in its place",
)
booked_once = always(
    lambda turn: len({one.id for one in turn.after.appointments}) == len(turn.after.appointments), on="book", says="no time is booked twice"
)
time_is_taken = always(
    lambda turn: {one.id for one in turn.after.upcoming}.isdisjoint(one.id for one in turn.after.free_times),
    on="book",
    says="a booked time is free no more",
)
child_to_pediatrics = always(
    lambda turn: not turn.heard.for_child or turn.heard.doctor is not None,
    on=lambda turn: turn.chosen == "offer_time",
    says="a child is seen by pediatrics, unless another doctor is named",
)
outcome_is_told = eventually("booked", within=1, after="book", says="what is booked is told in the next turn")
proposal_is_answered = eventually(
    ("booking_now", "left_as_is", "human", "waiting_list", "route_emergency"),
    within=1,
    after=OFFERS,
    says="a proposed time can be answered at once",
)

# -- medicines ------------------------------------------------------------------------------------------

controlled_needs_a_visit = always(lambda turn: not ordered(turn).controlled, on="order_refill", says="no controlled medicine is refilled")
refill_is_left = always(lambda turn: ordered(turn).refills_left > 0, on="order_refill", says="nothing is refilled that has run out")
refill_in_date = always(
    lambda turn: ordered(turn).renew_by >= turn.before.today, on="order_refill", says="nothing is refilled past its review"
)
refilled_once = always(lambda turn: not ordered(turn).ordered, on="order_refill", says="no refill is ordered twice")
