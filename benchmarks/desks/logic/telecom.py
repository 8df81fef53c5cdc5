"""The support desk of a telephone company: what it may say and do, and when; check it with: constrained check telecom."""

import datetime as dt
from decimal import Decimal
from enum import Enum

from pydantic import BaseModel, ConfigDict

from constrained import State, Understanding, effect, only, policy, say
from constrained.hear import amount, choice, date, entity, question
from constrained.steps import ask, confirm, start, tell

MOST_MONTHS = 12  # of a payment plan
FURTHEST_DAYS = 30  # that a technician can be booked ahead
NOTICE_DAYS = 30  # from a cancellation to the end of a service
EMERGENCY = "112"
CRISIS_LINE = "024"


class Plan(Enum):
    BASIC = "basic"
    PLUS = "plus"
    MAX = "max"


PRICES = {Plan.BASIC: Decimal("12.00"), Plan.PLUS: Decimal("19.00"), Plan.MAX: Decimal("29.00")}


class Service(BaseModel):
    """What the customer has a contract for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    price: Decimal


class Line(State):
    """What the company knows of the customer; the host sets ``today``."""

    today: dt.date = dt.date(2026, 3, 16)
    plan: Plan = Plan.PLUS
    services: tuple[Service, ...] = (
        Service(name="Home Fibre", price=Decimal("34.90")),
        Service(name="Film Club", price=Decimal("8.00")),
        Service(name="Music Pass", price=Decimal("5.50")),
    )
    bill: Decimal = Decimal("67.40")
    bill_due: dt.date = dt.date(2026, 3, 28)
    overdue: Decimal = Decimal("180.00")
    contract_ends: dt.date = dt.date(2026, 9, 30)
    data_left: int = 7
    outage: bool = False
    sim_blocked: bool = False
    roaming: bool = False
    technician: dt.date | None = None
    plan_rate: Decimal | None = None
    complaint: bool = False
    with_colleague: bool = False


class Heard(Understanding):
    """What the message meant."""

    wants_human: bool = question(
        "Does the customer ask for a human member of staff?",
        yes=[
            "let me talk to a person",
            "I want an agent",
            "put me through to somebody",
            "no more robot, a human please",
            "quiero hablar con una persona",
            "páseme con un agente",
        ],
        no=[
            "are you a robot",
            "hello",
            "my phone was stolen",
            "I want to complain",
            "what does it cost",
            "¿eres un robot?",
            "me han robado el móvil",
        ],
    )
    in_danger: bool = question(
        "Is the customer in danger, or do they think of hurting themselves?",
        yes=[
            "I want to die",
            "I am going to kill myself",
            "somebody is breaking into my house",
            "there is a fire here, help",
            "I can't go on living",
            "no quiero seguir viviendo",
            "hay un incendio en mi casa",
        ],
        no=[
            "my phone is dead",
            "this bill is killing me",
            "the internet died again",
            "I need help with my router",
            "se me ha muerto el móvil",
            "necesito ayuda con la factura",
        ],
    )
    hardship: bool = question(
        "Does the customer say that they are short of money, ill or bereaved?",
        yes=[
            "I lost my job",
            "my wife has died",
            "I'm in hospital",
            "I have no money left for food",
            "we can't make ends meet any more",
            "me he quedado sin trabajo",
            "ha fallecido mi marido",
        ],
        no=[
            "the bill is too high",
            "can I pay later",
            "I want a cheaper tariff",
            "the line is dead",
            "how much do I owe",
            "la factura es muy alta",
            "quiero una tarifa más barata",
        ],
    )
    plan: Plan | None = choice(
        "Which tariff does the customer want?",
        basic=[
            "switch me to Basic",
            "I'd like the Basic tariff",
            "change to basic please",
            "the smallest tariff is enough",
            "cámbieme a Basic",
            "quiero la tarifa Basic",
        ],
        plus=[
            "switch me to Plus",
            "I'd like the Plus tariff",
            "change to plus please",
            "the middle one, Plus",
            "cámbieme a Plus",
            "quiero la tarifa Plus",
        ],
        max=[
            "switch me to Max",
            "I'd like the Max tariff",
            "change to max please",
            "I want unlimited data, Max",
            "cámbieme a Max",
            "quiero la tarifa Max",
        ],
    )
    service: str | None = entity("Which service does the customer talk about?", among="services", by="name")
    day: dt.date | None = date("On which day should the technician come?")
    monthly: Decimal | None = amount("How many euros can the customer pay each month?")


@effect(risk="low")
def hand_over(state: Line) -> Line:
    """Passes the chat to a colleague."""
    return state.replace(with_colleague=True)


@effect(requires=lambda state: not state.sim_blocked)
def block_sim(state: Line) -> Line:
    """Blocks the SIM card: no calls, no data."""
    return state.replace(sim_blocked=True)


@effect(requires=lambda state, plan: plan is not state.plan)
def change_tariff(state: Line, plan: Plan) -> Line:
    return state.replace(plan=plan)


@effect(requires=lambda state, name: any(one.name == name for one in state.services))
def cancel_service(state: Line, name: str) -> Line:
    return state.replace(services=tuple(one for one in state.services if one.name != name))


@effect(requires=lambda state, day: is_bookable(state, day))
def book_technician(state: Line, day: dt.date) -> Line:
    return state.replace(technician=day)


@effect(requires=lambda state, rate: state.overdue > 0 and months_of(state, rate) <= MOST_MONTHS)
def agree_payment_plan(state: Line, rate: Decimal) -> Line:
    """The overdue amount is paid in monthly rates."""
    return state.replace(plan_rate=rate)


@effect(requires=lambda state: not state.roaming)
def switch_roaming_on(state: Line) -> Line:
    return state.replace(roaming=True)


@effect(requires=lambda state: not state.complaint)
def file_complaint(state: Line) -> Line:
    return state.replace(complaint=True)


def is_bookable(state: Line, day: dt.date) -> bool:
    """From tomorrow on, not on a Sunday, not too far away."""
    return 0 < (day - state.today).days <= FURTHEST_DAYS and day.isoweekday() != 7


def months_of(state: Line, rate: Decimal) -> int:
    """How many monthly rates it takes; more than allowed where there is no rate."""
    return -int(-state.overdue // rate) if rate > 0 else MOST_MONTHS + 1


@policy("telecom")
def desk(state: Line, heard: Heard):
    """Danger and people first; then what the customer asks about their line."""
    if heard.in_danger:
        yield only("crisis", number=EMERGENCY, line=CRISIS_LINE).then(hand_over)
        return
    if heard.wants_human:
        yield only("human").then(hand_over).ends()
        return
    if heard.hardship:
        yield only("hardship_help").then(hand_over)
        yield start(payment_plan)
        return
    yield say("greet")
    yield say("thanks")
    yield say("goodbye").ends()
    yield say("bot")
    yield from about_money(state)
    yield from about_the_line(state)
    yield from about_tariffs(state, heard)
    yield start(cancelling)
    if not state.complaint:
        yield start(complaining)
    else:
        yield say("complaint_there")


def about_money(state: Line):
    yield say("bill_amount", bill=state.bill, due=state.bill_due)
    yield say("bill_explained")
    yield say("how_to_pay")
    yield say("contract_end", day=state.contract_ends)
    if state.overdue > 0 and state.plan_rate is None:
        yield start(payment_plan)
    elif state.plan_rate is not None:
        yield say("plan_there", rate=state.plan_rate)
    else:
        yield say("no_debt")


def about_the_line(state: Line):
    if state.outage:
        yield say("outage_known")
    else:
        yield say("outage_none")
    yield say("slow_internet")
    yield say("data_left", left=state.data_left)
    yield say("coverage")
    yield say("keep_number")
    yield say("new_sim")
    if state.sim_blocked:
        yield say("block_already")
    else:
        yield start(blocking)
    if state.technician is None:
        yield start(technician_visit)
    else:
        yield say("technician_there", day=state.technician)


def about_tariffs(state: Line, heard: Heard):
    yield say("tariffs", basic=PRICES[Plan.BASIC], plus=PRICES[Plan.PLUS], max=PRICES[Plan.MAX])
    if heard.plan is state.plan:
        yield say("tariff_same", plan=state.plan.value)
    elif heard.plan:
        yield start(changing_tariff)
    yield say("roaming_europe")
    if state.roaming:
        yield say("roaming_there")
    else:
        yield start(roaming_world)


async def blocking(state: Line, heard: Heard):
    if await confirm("block_ask"):
        await tell("blocked").then(block_sim)
    else:
        await tell("block_left")


async def changing_tariff(state: Line, heard: Heard):
    plan = heard.plan
    if await confirm("tariff_ask", plan=plan.value, price=PRICES[plan]):
        await tell("tariff_changed", plan=plan.value).then(change_tariff, plan)
    else:
        await tell("tariff_left")


async def roaming_world(state: Line, heard: Heard):
    if await confirm("roaming_ask"):
        await tell("roaming_on").then(switch_roaming_on)
    else:
        await tell("roaming_off")


async def cancelling(state: Line, heard: Heard):
    name = heard.service
    if name is None:
        name = await ask("cancel_which", "service", tries=2, otherwise="pardon")
    last = state.today + dt.timedelta(days=NOTICE_DAYS)
    if await confirm("cancel_ask", service=name, last=last):
        await tell("cancelled", service=name, last=last).then(cancel_service, name)
    else:
        await tell("cancel_left", service=name)


async def technician_visit(state: Line, heard: Heard):
    day = heard.day
    if day is None:
        day = await ask("technician_when", "day", again="technician_day_please", tries=3, otherwise="technician_none")
    if not is_bookable(state, day):
        await tell("technician_not_then")
    elif await confirm("technician_ask", day=day):
        await tell("technician_booked", day=day).then(book_technician, day)
    else:
        await tell("technician_none")


async def payment_plan(state: Line, heard: Heard):
    rate = await ask("plan_how_much", "monthly", again="plan_number_please", tries=3, otherwise="plan_declined")
    if months_of(state, rate) > MOST_MONTHS:
        await tell("plan_too_little", months=MOST_MONTHS)
    elif await confirm("plan_offer", rate=rate, months=months_of(state, rate)):
        await tell("plan_agreed", rate=rate).then(agree_payment_plan, rate)
    else:
        await tell("plan_declined")


async def complaining(state: Line, heard: Heard):
    if await confirm("complaint_ask"):
        await tell("complaint_filed").then(file_complaint)
    else:
        await tell("complaint_left")
