"""The card disputes desk of a bank: what it may answer by identity, payment and time limit, and the steps of a dispute.

Three procedures: the identity, the block of a card, and a dispute from the ground to the filing.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from constrained import State, Understanding, effect, must, only, policy, say
from constrained.hear import Protected, amount, date, entity, protected, question
from constrained.logic.options import Offer
from constrained.obligations import at_start, before, before_commitment, once
from constrained.steps import ask, choose, confirm, perform, start, tell

DISPUTE_DAYS = 120  # to question a payment, counted from the day of the payment
FRAUD_DAYS = 395  # to report a payment that the customer did not make
DELIVERY_DAYS = 15  # to wait for goods when no day of delivery was agreed
DUPLICATE_DAYS = 3  # two equal payments to one merchant this close are a double charge
REFUND_DAYS = 5  # until a refund shows on the account
NEWS_DAYS = 10  # after filing: no news yet
ANSWER_DAYS = 45  # after filing: the answer is due
FEE_DAYS = 60  # to ask for a fee back
SMALL_AMOUNT = Decimal(50)  # up to here a dispute is credited at once
SPECIALIST_AMOUNT = Decimal(1000)  # above this a specialist takes the case
FEE_LIMIT = Decimal(25)  # the largest fee that this desk may give back
CHECKS = 4  # how often the desk looks for the confirmation of an identity
SHORTEST_NAME = 4  # letters of a word of a merchant's name that names the merchant by itself
NO_NAMES = frozenset(("online", "store", "shop", "stores", "payment", "payments", "card", "bank", "transfer", "group", "limited"))
READY = ("ready",)  # the one answer to a request: that it is done
OPENED = dt.date(2026, 2, 9)  # the first day on which all its texts were approved; a state of an earlier day is refused


class Status(Enum):
    PENDING = "pending"
    POSTED = "posted"
    REFUNDED = "refunded"


class Kind(Enum):
    PURCHASE = "purchase"
    SUBSCRIPTION = "subscription"
    CASH = "cash"
    FEE = "fee"


CALLED = {
    Kind.SUBSCRIPTION: ("subscription", "membership"),
    Kind.CASH: ("cash machine", "ATM", "cashpoint", "withdrawal", "cash withdrawal", "hole in the wall"),
}


class Reason(Enum):
    NOT_RECEIVED = "not_received"
    NOT_AS_DESCRIBED = "not_as_described"
    DUPLICATE = "duplicate"
    WRONG_AMOUNT = "wrong_amount"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    CASH = "cash"
    FRAUD = "fraud"


GROUNDS = {  # the question that a dispute opens with -> the reason that it is filed for
    "not_received": Reason.NOT_RECEIVED,
    "not_as_described": Reason.NOT_AS_DESCRIBED,
    "returned_no_refund": Reason.RETURNED,
    "duplicate_found": Reason.DUPLICATE,
    "wrong_amount": Reason.WRONG_AMOUNT,
    "subscription_cancelled": Reason.CANCELLED,
    "cash_none": Reason.CASH,
    "cash_short": Reason.CASH,
    "not_recognised": Reason.FRAUD,
}


class Outcome(Enum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Request(Enum):
    """Where the request to confirm the identity in the banking app stands."""

    NONE = "none"
    SENT = "sent"
    CONFIRMED = "confirmed"


class Transaction(BaseModel):
    """One card payment, cash withdrawal or fee; ``due`` is the agreed day of delivery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    merchant: str
    amount: Decimal
    currency: Literal["EUR"] = "EUR"
    day: dt.date
    status: Status = Status.POSTED
    kind: Kind = Kind.PURCHASE
    due: dt.date | None = None
    refunded_on: dt.date | None = None

    @property
    def aliases(self) -> tuple[str, ...]:
        """What a customer calls it, too: by a word of the merchant's name, or by its kind."""
        words = (word for word in self.merchant.split() if len(word) >= SHORTEST_NAME and word.casefold() not in NO_NAMES)
        return (*words, *CALLED.get(self.kind, ()))


class Case(BaseModel):
    """One dispute that was filed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transaction: str
    reason: Reason
    amount: Decimal
    opened: dt.date
    outcome: Outcome = Outcome.OPEN
    is_credited: bool = False
    is_with_specialist: bool = False


EXAMPLES = (
    Transaction(id="t1", merchant="Kestrel Shoes", amount=Decimal("89.90"), day=dt.date(2026, 2, 10), due=dt.date(2026, 2, 20)),
    Transaction(id="t2", merchant="Osteria Romana", amount=Decimal("64.00"), day=dt.date(2026, 3, 8)),
    Transaction(id="t3", merchant="Osteria Romana", amount=Decimal("64.00"), day=dt.date(2026, 3, 9)),
    Transaction(id="t4", merchant="FitPlanet", amount=Decimal("39.90"), day=dt.date(2026, 3, 1), kind=Kind.SUBSCRIPTION),
    Transaction(id="t5", merchant="Hotel Seeblick", amount=Decimal("210.00"), day=dt.date(2026, 3, 14), status=Status.PENDING),
)


class Desk(State):
    """What the bank knows of this customer and this chat. The host sets ``today``; nothing here reads a clock."""

    today: dt.date = Field(default=dt.date(2026, 3, 16), ge=OPENED)
    identified: bool = False
    request: Request = Request.NONE
    phone_linked: bool = True
    card_blocked: bool = False
    transactions: tuple[Transaction, ...] = ()
    cases: tuple[Case, ...] = ()
    picked: str | None = None
    with_colleague: bool = False
    support_noted: bool = False
    complaint_on: dt.date | None = None
    fees_refunded: NonNegativeInt = 0
    stopped_merchants: frozenset[str] = frozenset()
    traced: frozenset[str] = frozenset()

    @classmethod
    def default(cls) -> Desk:
        """An example customer, for trying the desk out. A host builds its own ``Desk(...)``, which knows no payments."""
        return cls(transactions=EXAMPLES)


class Heard(Understanding):
    """What the desk listens for in every message; all else is left to the choice among the allowed answers."""

    self_harm: Protected = protected(
        "self_harm",
        unlike=[
            "this fee is killing me", "I want to end my subscription", "please end this chat", "I want it to stop, block the merchant",
            "I'm dying to get my money back", "I'd rather not go on with the dispute",
        ],
    )  # fmt: skip
    emergency: Protected = protected(
        "emergency",
        more=[
            "somebody is breaking into my house right now", "a man with a knife wants my card",
        ],
        unlike=[
            "please block my card at once, it is urgent", "my card was stolen", "someone took my wallet",
            "one moment, I am looking for my statement", "do nothing, my wife has sorted it out",
            "the parcel was smashed when it came", "my phone is broken", "this is an emergency, I need my money",
        ],
    )  # fmt: skip
    wants_human: Protected = protected(
        "human",
        more=[
            "I want to speak to a human", "can I talk to a real person please", "put me through to someone who works there",
            "get me an agent", "no more bot, give me a colleague", "is there anybody I could speak with instead of this chat?",
            "let me talk to your manager", "human please", "transfer me to one of your employees",
            "I'd rather discuss this with somebody on the phone, can anyone ring me?", "Could you kindly connect me with an adviser?",
            "I've had enough of this machine, is there no one real I can talk to", "operator",
            "I want to talk to the person in charge", "let a member of staff take over from here", "get me a proper person",
            "can I speak to someone", "I want to talk to somebody", "let me chat with one of your staff", "give me your manager",
            "a real person, now", "please pass me on to a colleague", "I need a person, not a program", "can someone call me",
            "connect me to customer service", "I'd like to speak with a human being", "I won't talk to a machine",
        ],
        unlike=[
            "they charged me twice", "my parcel never came", "are you a robot?", "somebody has used my card",
            "when do I get my money back?", "yes, go ahead", "thank you very much", "how do I prove who I am?",
            "am I talking to a computer?", "a man phoned me and asked for my code",
            "I already spoke to the shop and they refuse to pay", "the manager of the hotel promised me a refund",
            "I want to make a complaint", "can you block my card?", "I can't use the app", "nobody answers my mails to the seller",
            "is there a person typing this?", "somebody has stolen my card", "a man from the shop told me to wait",
            "I was talking to the merchant yesterday", "someone else used it", "the seller's staff were rude", "no, don't block it",
            "how long does it take?", "what do you need from me?", "I don't recognise this payment",
        ],
    )  # fmt: skip
    hardship: Protected = protected(
        "hardship",
        more=[
            "I can't pay my rent this month", "I lost my job and have nothing left", "now I can't buy food for the kids",
            "my husband died and it is all too much for me", "I'm in hospital and can't deal with this",
            "we are living on our overdraft", "this has left me with no money until payday", "I'm broke until the end of the month",
            "my mother passed away and I can't face any of this", "I was made redundant in spring",
            "the heating gets cut off if I don't have that money", "I can't cope any more", "I have cancer and no strength for this",
            "as a single parent on benefits I can't afford to lose 200 euros",
            "I don't know how to pay the bills, we are deep in debt", "I have no money for food", "I'm skint and the kids are hungry",
            "I can't make ends meet", "we can't pay the rent", "since my wife died I can't cope",
            "I'm very ill and can't deal with this", "I'm unemployed and every euro counts", "I've got nothing left until payday",
            "I'm going through a divorce and have no money", "they will cut off my electricity",
            "my dad has died and I'm at the end of my tether", "I'm in debt up to my ears",
        ],
        unlike=[
            "I want my money back", "the shoes are the wrong size", "they took 20 euros too much", "I cancelled that months ago",
            "please block my card", "how long does a dispute take?", "yes please", "good morning", "the cash machine gave me no money",
            "I paid and got nothing", "I've lost my card", "they won't give me the money back", "the fee is far too high",
            "I can't open the app", "the concert was called off because the singer was ill", "I want to make a complaint",
            "when is it credited to my account?", "the gym is too expensive, stop the payments", "when do I get my money?",
            "they charged me double", "what came out of my case?", "I want to dispute a payment of 129 euros",
            "see to it that they get nothing more from me", "the sofa never came", "how much can I get back?",
            "I don't want to pay that fee", "the goods arrived broken", "I have cancelled my subscription", "has the refund come in?",
            "the shop does not answer", "I can't find my card", "I'm not happy about one of the debits", "you incompetent clowns",
            "please do nothing, it has been sorted out",
        ],
    )  # fmt: skip
    bereavement: Protected = protected("bereavement")
    legal_threat: Protected = protected("legal_threat", unlike=["please send the dispute off", "I want to dispute it", "file a dispute"])
    fraud: bool = question(
        "Does the customer say that somebody else used their card or that they did not make a payment?",
        yes=[
            "someone has stolen my card details", "I never made this payment", "that wasn't me",
            "my card was used in a country I have never been to", "there are payments on my account I know nothing about",
            "I think I've been hacked", "a caller talked me into giving him the code",
            "I don't recognise this charge", "somebody bought a television in my name", "my wallet was stolen and now there are debits",
            "unauthorised transaction", "I fell for a fake website and typed in my card number", "that payment isn't mine, I was asleep",
            "I have never been to that shop in my life", "my card must have been cloned, I see purchases from Brazil",
            "someone cloned my card", "I didn't make this payment", "it wasn't me", "my card has been nicked",
            "somebody paid with my card", "I never bought that", "these are not my payments", "a thief used my card",
            "I was tricked by a caller", "I gave a stranger my code", "a crook got my card number", "this is fraud",
            "I don't know this shop, I have never bought anything there", "he talked me into paying",
        ],
        no=[
            "the order has not arrived", "I was charged twice for the same dinner", "the jacket is torn, I want a refund",
            "the cash machine gave me too little", "they keep charging me although I cancelled", "how is my case going?",
            "yes, please do that", "hello there",
            "the handbag is a fake", "the shop cheated me, it is not what I ordered", "the amount is wrong, they took too much",
            "I never received the parcel", "I don't understand this fee", "I've sent it back and they keep my money",
            "why is it still pending?", "when does my new card come?", "stop them from charging me again",
            "I lost my card", "I can't find my card", "please block my card", "I was charged twice", "I sent it back and got nothing",
            "what is this fee?", "the parcel never came", "I want to dispute the payment", "the lawnmower is broken",
            "when do I have my money back?", "it should have been 40", "I cancelled the subscription", "no, don't block it",
            "has anybody answered?", "they put more on my card than was agreed",
        ],
    )  # fmt: skip
    transaction: str | None = entity("Which payment does the customer talk about?", among="transactions", by="merchant")
    paid_on: dt.date | None = date("On which day was the payment that the customer means?", prefer="past")
    stated: Decimal | None = amount("What amount does the customer say would have been right, or was really paid out?")


def payment_by_id(state: Desk, transaction: str | None) -> Transaction | None:
    return next((one for one in state.transactions if one.id == transaction), None)


def case_of(state: Desk, transaction: str) -> Case | None:
    return next((one for one in state.cases if one.transaction == transaction), None)


def in_focus(state: Desk, heard: Heard) -> Transaction | None:
    """The payment named now, else the one talked about before, else the only one of the amount or day that is said.

    Of several to one merchant: the one of that amount or day, a disputed, a posted, the latest.
    """
    picked = payment_by_id(state, state.picked)
    if heard.transaction is None and picked is None:
        fitting = [one for one in state.transactions if fits(one, heard)]
        return fitting[0] if len(fitting) == 1 else None
    if heard.transaction is None or (picked is not None and picked.merchant == heard.transaction):
        return picked
    named = [one for one in state.transactions if one.merchant == heard.transaction]
    return max(named, key=lambda one: likeness(state, heard, one), default=picked)


def likeness(state: Desk, heard: Heard, payment: Transaction) -> tuple[bool, bool, bool, dt.date]:
    """What speaks for one of several payments to a merchant, the most telling first."""
    return fits(payment, heard), case_of(state, payment.id) is not None, payment.status is Status.POSTED, payment.day


def fits(payment: Transaction, heard: Heard) -> bool:
    """Whether the amount or the day that is said is that of the payment, and neither is another's."""
    said = ((heard.stated, payment.amount), (heard.paid_on, payment.day))
    return any(value is not None for value, _ in said) and all(value in (None, own) for value, own in said)


def last_day(payment: Transaction, reason: Reason | None = None) -> dt.date:
    """The last day on which a payment may be disputed."""
    return payment.day + dt.timedelta(days=FRAUD_DAYS if reason is Reason.FRAUD else DISPUTE_DAYS)


def delivery_day(payment: Transaction) -> dt.date:
    """The day until which the merchant may still deliver."""
    return payment.due or payment.day + dt.timedelta(days=DELIVERY_DAYS)


def has_twin(state: Desk, payment: Transaction) -> bool:
    """Whether the same merchant booked the same amount a second time within days."""
    return any(
        one.id != payment.id
        and (one.merchant, one.amount, one.status) == (payment.merchant, payment.amount, Status.POSTED)
        and abs((one.day - payment.day).days) <= DUPLICATE_DAYS
        for one in state.transactions
    )


def difference(payment: Transaction, heard: Heard) -> Decimal | None:
    """What was charged too much, once the customer has named the right amount."""
    if heard.stated is None or not 0 < heard.stated < payment.amount:
        return None
    return payment.amount - heard.stated


def may_file(state: Desk, transaction: str, reason: Reason) -> bool:
    """Identified, posted, in time, not disputed before; and for fraud the card is blocked first."""
    payment = payment_by_id(state, transaction)
    if payment is None or not state.identified or payment.status is not Status.POSTED or payment.kind is Kind.FEE:
        return False
    is_new = case_of(state, transaction) is None
    return is_new and state.today <= last_day(payment, reason) and (state.card_blocked or reason is not Reason.FRAUD)


def may_refund_fee(state: Desk, transaction: str) -> bool:
    """A small fee, not long ago, once a year; the once is waived for customers who need support."""
    fee = payment_by_id(state, transaction)
    if fee is None or not state.identified or fee.kind is not Kind.FEE or fee.status is not Status.POSTED:
        return False
    is_recent = (state.today - fee.day).days <= FEE_DAYS
    return is_recent and fee.amount <= FEE_LIMIT and (state.fees_refunded == 0 or state.support_noted)


@effect(risk="low")
def hand_over(state: Desk) -> Desk:
    """Passes the chat to a colleague of the disputes team."""
    return state.replace(with_colleague=True)


@effect(risk="low")
def note_support(state: Desk) -> Desk:
    """Notes that the customer may need extra support."""
    return state.replace(support_noted=True)


@effect(requires=lambda state: not state.identified, risk="low")
def send_request(state: Desk) -> Desk:
    """Sends the identity request to the banking app. Here a linked phone confirms it; a host asks its identity service."""
    return state.replace(request=Request.CONFIRMED if state.phone_linked else Request.SENT)


@effect(requires=lambda state: state.request is Request.CONFIRMED)
def accept_identity(state: Desk) -> Desk:
    """Takes the customer as identified, after the app confirmed."""
    return state.replace(identified=True)


@effect(requires=lambda state: not state.card_blocked)
def block_card(state: Desk) -> Desk:
    """Blocks the card and orders a new one."""
    return state.replace(card_blocked=True)


@effect(risk="low")
def look_at(state: Desk, transaction: str) -> Desk:
    """Keeps a payment in view, so that it need not be named again."""
    return state.replace(picked=transaction)


@effect(risk="low")
def drop(state: Desk) -> Desk:
    """Leaves the payment undisputed."""
    return state.replace(picked=None)


@effect(requires=lambda state, transaction, reason, claim: may_file(state, transaction, reason) and claim > 0)
def file_dispute(state: Desk, transaction: str, reason: Reason, claim: Decimal) -> Desk:
    """Files the dispute of ``claim`` with the card scheme."""
    case = Case(transaction=transaction, reason=reason, amount=claim, opened=state.today)
    return state.replace(cases=(*state.cases, case), picked=transaction)


@effect(requires=lambda state, transaction, claim: state.identified and claim <= SMALL_AMOUNT)
def credit_provisionally(state: Desk, transaction: str, claim: Decimal) -> Desk:
    """Credits the disputed amount until the case is decided."""
    return state.replace(cases=_with(state.cases, transaction, is_credited=True))


@effect(requires=lambda state, transaction: state.identified)
def refer_to_specialist(state: Desk, transaction: str) -> Desk:
    """Gives the case to a specialist, who calls the customer."""
    return state.replace(cases=_with(state.cases, transaction, is_with_specialist=True))


@effect(requires=may_refund_fee)
def refund_fee(state: Desk, transaction: str) -> Desk:
    """Gives a fee back."""
    changes = {"status": Status.REFUNDED, "refunded_on": state.today}
    rest = tuple(one.model_copy(update=changes) if one.id == transaction else one for one in state.transactions)
    return state.replace(transactions=rest, fees_refunded=state.fees_refunded + 1, picked=transaction)


@effect(requires=lambda state, merchant: state.identified)
def stop_merchant(state: Desk, merchant: str) -> Desk:
    """Refuses further card payments to a merchant."""
    return state.replace(stopped_merchants=state.stopped_merchants | {merchant})


@effect(requires=lambda state, transaction: state.identified)
def trace_refund(state: Desk, transaction: str) -> Desk:
    """Asks the payments team to look for a refund that has not arrived."""
    return state.replace(traced=state.traced | {transaction}, picked=transaction)


@effect(requires=lambda state: state.identified)
def log_complaint(state: Desk) -> Desk:
    """Registers a complaint about the bank; a second one on the same day changes nothing."""
    return state.replace(complaint_on=state.today)


def _with(cases: tuple[Case, ...], transaction: str, **changes: bool) -> tuple[Case, ...]:
    return tuple(one.model_copy(update=changes) if one.transaction == transaction else one for one in cases)


def notices(state: Desk, heard: Heard):
    """What is said in addition, whatever is chosen."""
    if heard.fraud:
        yield must("fraud_warning")
    if heard.hardship and not state.support_noted:
        yield must("hardship_notice").after()


def always(state: Desk):
    """What a customer may reach from everywhere."""
    yield say("hand_over").then(hand_over).ends()
    yield say("hardship_support").then(note_support)
    yield say("bereavement").then(note_support)
    yield say("crisis_support").then(note_support)
    yield say("emergency_number")
    yield say("robot")
    yield say("moment")
    yield say("way_out")
    if not state.card_blocked:
        yield start(blocking)
    elif state.identified:
        yield say("new_card")


def waiting(state: Desk):
    """A colleague has been called; the desk only keeps company."""
    yield say("wait_for_colleague")
    yield say("hardship_support").then(note_support)
    yield say("crisis_support").then(note_support)
    yield say("emergency_number")
    yield say("robot")
    yield say("moment")
    yield say("thanks")
    yield say("goodbye")
    yield say("abuse")


async def blocking(state: Desk, heard: Heard):
    """A yes, the block, and what came of it. A block cannot be undone, so nobody is blocked by a misunderstanding."""
    payment = in_focus(state, heard) if state.identified else None
    if payment is None:
        is_wanted = await confirm("block_offer", asides=within_reach(say("what_blocking_means")), alone=True)
    else:
        others = within_reach(say("what_blocking_means"), say("tricked").then(hand_over).ends())
        is_wanted = await confirm("block_first", merchant=payment.merchant, asides=others, alone=True).then(look_at, payment.id)
    if not is_wanted:
        await tell("block_declined")
    elif await perform("blocking_now").then(block_card):
        await tell("card_blocked")
    else:
        await tell("block_failed")


def within_reach(*more: Offer) -> tuple[Offer, ...]:
    """What may be said at a yes or no, besides the answers to it."""
    return (*more, say("robot"), say("hardship_support").then(note_support))


async def identity(state: Desk):
    """The request to the banking app, and the customer's word that it is confirmed; the State decides whether it is."""
    if state.request is Request.NONE:
        await ask("identify_first", READY, tries=CHECKS).then(send_request)
    for _ in range(CHECKS):
        if state.request is Request.CONFIRMED:
            await tell("identity_taken").then(accept_identity)
            return
        await ask("identity_missing", READY, tries=CHECKS)
    await tell("hand_over").then(hand_over)


def unidentified(state: Desk):
    """Nothing about payments or cases: identification, general information and the card block only."""
    yield start(identity)
    if state.request is Request.NONE:
        yield say("greeting").once()
        yield say("how_disputes_work")
        yield say("time_limits")
        yield say("out_of_scope")
        yield say("language").once()
        yield say("abuse")
    else:
        yield say("identity_by_phone")
        yield say("why_identify")
    yield say("goodbye")


def unnamed(state: Desk):
    """Identified, and no payment is in view."""
    yield say("greeting").once()
    if state.transactions:
        yield say("ask_which_payment")
    else:
        yield say("no_payments")
    if state.cases:
        yield from status(state, state.cases[-1])
    else:
        yield say("how_disputes_work")
        yield say("time_limits")
        yield say("out_of_scope")
    if state.card_blocked or state.cases:
        yield say("thanks")
    yield say("complaint").then(log_complaint)
    yield say("goodbye")
    yield say("abuse")


def status(state: Desk, case: Case):
    """How a dispute stands, by its outcome and age."""
    payment = payment_by_id(state, case.transaction)
    if payment is None:
        return
    merchant, age = payment.merchant, (state.today - case.opened).days
    answer_by = case.opened + dt.timedelta(days=ANSWER_DAYS)
    if case.outcome is Outcome.WON:
        yield say("case_won", merchant=merchant, amount=case.amount).then(look_at, payment.id)
    elif case.outcome is Outcome.LOST:
        yield say("case_lost", merchant=merchant, amount=case.amount).then(look_at, payment.id)
    elif age <= NEWS_DAYS:
        news_by = case.opened + dt.timedelta(days=NEWS_DAYS)
        yield say("case_new", merchant=merchant, opened=case.opened, news_by=news_by).then(look_at, payment.id)
    elif age <= ANSWER_DAYS:
        yield say("case_in_review", merchant=merchant, answer_by=answer_by).then(look_at, payment.id)
    else:
        yield say("case_overdue", merchant=merchant, answer_by=answer_by).then(look_at, payment.id)


def disputed(state: Desk, case: Case):
    """The payment in view has a case."""
    yield from status(state, case)
    if case.outcome is Outcome.OPEN:
        yield say("documents", papers=case.reason.value)
        yield say("provisional_credit", limit=SMALL_AMOUNT)
    yield say("another_payment").then(drop)
    yield say("complaint").then(log_complaint)
    yield say("thanks")
    yield say("goodbye")


async def dispute(state: Desk, heard: Heard):
    """The ground that the customer gives, the yes, the filing, and what came of it."""
    payment = in_focus(state, heard)
    if payment is None:
        await tell("ask_which_payment")
        return
    ground = await choose(*grounds(state, heard, payment))
    claim = claimed(payment, heard, ground)
    reason, until = GROUNDS[ground], last_day(payment, GROUNDS[ground])
    if not await agreed(payment, ground, claim):
        await tell("no_dispute", merchant=payment.merchant, until=until).then(drop)
    elif claim <= SMALL_AMOUNT:
        filing = perform("filing_now", merchant=payment.merchant, amount=claim).then(file_dispute, payment.id, reason, claim)
        if await filing.then(credit_provisionally, payment.id, claim):
            await tell("case_filed_credited", merchant=payment.merchant, amount=claim)
        else:
            await not_all_done(state, payment, claim)
    elif claim > SPECIALIST_AMOUNT:
        filing = perform("filing_now", merchant=payment.merchant, amount=claim).then(file_dispute, payment.id, reason, claim)
        if await filing.then(refer_to_specialist, payment.id):
            call_by = state.today + dt.timedelta(days=NEWS_DAYS)
            await tell("case_filed_specialist", merchant=payment.merchant, amount=claim, call_by=call_by)
        else:
            await not_all_done(state, payment, claim)
    elif await perform("filing_now", merchant=payment.merchant, amount=claim).then(file_dispute, payment.id, reason, claim):
        await tell("case_filed", merchant=payment.merchant, amount=claim, answer_by=state.today + dt.timedelta(days=ANSWER_DAYS))
    else:
        await tell("filing_failed", merchant=payment.merchant)


async def not_all_done(state: Desk, payment: Transaction, claim: Decimal):
    """The host could not do all: a dispute that is filed is told as such, and no more."""
    if case_of(state, payment.id) is not None:
        await tell("case_filed", merchant=payment.merchant, amount=claim, answer_by=state.today + dt.timedelta(days=ANSWER_DAYS))
    else:
        await tell("filing_failed", merchant=payment.merchant)


async def agreed(payment: Transaction, ground: str, claim: Decimal):
    """Whether the customer wants the dispute filed; the question tells the ground and the amount."""
    merchant, paid = payment.merchant, payment.amount
    others = beside_filing(payment, GROUNDS[ground])
    if ground == "not_received":
        return await confirm("not_received", merchant=merchant, amount=paid, asides=others, alone=True).then(look_at, payment.id)
    if ground == "not_as_described":
        return await confirm("not_as_described", merchant=merchant, amount=paid, asides=others, alone=True).then(look_at, payment.id)
    if ground == "returned_no_refund":
        return await confirm("returned_no_refund", merchant=merchant, amount=paid, asides=others, alone=True).then(look_at, payment.id)
    if ground == "duplicate_found":
        return await confirm("duplicate_found", merchant=merchant, amount=paid, asides=others, alone=True).then(look_at, payment.id)
    if ground == "wrong_amount":
        question = confirm("wrong_amount", merchant=merchant, excess=claim, amount=paid, asides=others, alone=True)
        return await question.then(look_at, payment.id)
    if ground == "subscription_cancelled":
        question = confirm("subscription_cancelled", merchant=merchant, amount=paid, asides=others, alone=True)
        return await question.then(look_at, payment.id)
    if ground == "cash_none":
        return await confirm("cash_none", amount=paid, day=payment.day, asides=others, alone=True).then(look_at, payment.id)
    if ground == "cash_short":
        return await confirm("cash_short", missing=claim, amount=paid, asides=others, alone=True).then(look_at, payment.id)
    return await confirm("not_recognised", merchant=merchant, amount=paid, asides=others, alone=True).then(look_at, payment.id)


def beside_filing(payment: Transaction, reason: Reason) -> tuple[Offer, ...]:
    """What may be asked before the yes or no."""
    found = within_reach(
        say("documents", papers=reason.value),
        say("provisional_credit", limit=SMALL_AMOUNT),
        say("payment_deadline", merchant=payment.merchant, until=last_day(payment, reason)),
    )
    return (*found, say("tricked").then(hand_over).ends()) if reason is Reason.FRAUD else found


def grounds(state: Desk, heard: Heard, payment: Transaction) -> tuple[str, ...]:
    """What a dispute of this payment can rest on today, as the questions that it opens with; none when nothing can be filed."""
    found: tuple[str, ...] = ()
    if state.today > last_day(payment):
        found = ()
    elif payment.kind is Kind.CASH:
        found = ("cash_none",) if difference(payment, heard) is None else ("cash_none", "cash_short")
    elif payment.kind is Kind.SUBSCRIPTION:
        found = ("subscription_cancelled",)
    elif state.today > delivery_day(payment):
        found = ("not_received", "not_as_described", "returned_no_refund")
    else:
        found = ("not_as_described", "returned_no_refund")
    if found and payment.kind is not Kind.CASH:
        found += ("duplicate_found",) if has_twin(state, payment) else ()
        found += ("wrong_amount",) if difference(payment, heard) is not None else ()
    if state.card_blocked and state.today <= last_day(payment, Reason.FRAUD):
        found += ("not_recognised",)
    return found


def claimed(payment: Transaction, heard: Heard, ground: str) -> Decimal:
    """The amount that is disputed."""
    missing = difference(payment, heard)
    return missing if missing is not None and ground in ("wrong_amount", "cash_short") else payment.amount


def pending(state: Desk, payment: Transaction):
    """The payment in view is only reserved."""
    merchant = payment.merchant
    yield say("pending_not_yet", merchant=merchant, amount=payment.amount).then(look_at, payment.id)
    yield say("pending_how_long", merchant=merchant).then(look_at, payment.id)
    yield say("pending_stop", merchant=merchant).then(look_at, payment.id)
    if state.picked == payment.id:
        yield say("no_dispute", merchant=merchant, until=last_day(payment)).then(drop)
    yield say("goodbye")


def refunded(state: Desk, payment: Transaction):
    """The merchant or the bank has paid the payment in view back."""
    day = payment.refunded_on or payment.day
    if (state.today - day).days <= REFUND_DAYS:
        show_by = day + dt.timedelta(days=REFUND_DAYS)
        yield say("refund_booked", merchant=payment.merchant, amount=payment.amount, show_by=show_by).then(look_at, payment.id)
    else:
        yield say("refund_trace", merchant=payment.merchant, amount=payment.amount, day=day).then(trace_refund, payment.id)
    yield say("another_payment").then(drop)
    yield say("complaint").then(log_complaint)
    yield say("thanks")
    yield say("goodbye")


def fee(state: Desk, payment: Transaction):
    """The payment in view is a fee of the bank."""
    if may_refund_fee(state, payment.id):
        yield say("fee_refunded", amount=payment.amount).then(refund_fee, payment.id)
    else:
        yield say("fee_not_refunded", amount=payment.amount).then(look_at, payment.id)
    yield say("fee_explained", fee=payment.merchant, amount=payment.amount, day=payment.day).then(look_at, payment.id)
    yield say("another_payment").then(drop)
    yield say("complaint").then(log_complaint)
    yield say("thanks")
    yield say("goodbye")


def late(state: Desk, heard: Heard, payment: Transaction):
    """The time limit for a dispute is over; only fraud has longer."""
    yield say("too_late", merchant=payment.merchant, until=last_day(payment)).then(look_at, payment.id)
    if grounds(state, heard, payment):
        yield start(dispute)
    yield say("another_payment").then(drop)
    yield say("complaint").then(log_complaint)
    yield say("thanks")
    yield say("goodbye")


def disputable(state: Desk, heard: Heard, payment: Transaction):
    """The payment in view is posted and in time: what is wrong with it?"""
    merchant = payment.merchant
    yield start(dispute)
    if payment.kind is Kind.SUBSCRIPTION:
        yield say("stop_recurring", merchant=merchant).then(stop_merchant, merchant).then(look_at, payment.id)
    elif payment.kind is Kind.PURCHASE and state.today <= delivery_day(payment):
        yield say("not_received_wait", merchant=merchant, due=delivery_day(payment)).then(look_at, payment.id)
    if payment.kind is not Kind.CASH and not has_twin(state, payment):
        yield say("duplicate_not_found", merchant=merchant, amount=payment.amount).then(look_at, payment.id)
    if difference(payment, heard) is None:
        yield say("ask_right_amount").then(look_at, payment.id)
    yield say("payment_deadline", merchant=merchant, until=last_day(payment)).then(look_at, payment.id)
    if state.picked == payment.id:
        yield say("no_dispute", merchant=merchant, until=last_day(payment)).then(drop)


def about(state: Desk, heard: Heard, payment: Transaction):
    """What may be said of the payment in view, by its case, its status and the time limit."""
    case = case_of(state, payment.id)
    if case is not None:
        yield from disputed(state, case)
    elif payment.status is Status.PENDING:
        yield from pending(state, payment)
    elif payment.status is Status.REFUNDED:
        yield from refunded(state, payment)
    elif payment.kind is Kind.FEE:
        yield from fee(state, payment)
    elif state.today > last_day(payment):
        yield from late(state, heard, payment)
    else:
        yield from disputable(state, heard, payment)


@policy(
    "bank_disputes",
    version=1,
    obligations=(
        at_start("automated"),
        once("automated"),
        before("proposal", "filing_terms"),
        before_commitment("filing_terms", file_dispute, earlier=True),
    ),
    corrections=("transaction", "stated"),
)
def disputes_desk(state: Desk, heard: Heard):
    """First danger, mourning and the wish for a human; then what runs; then identity and the payment in view."""
    if heard.self_harm:
        yield only("crisis_support").then(note_support)
        return
    if heard.emergency:
        yield only("emergency_number")
        return
    yield from notices(state, heard)
    if state.with_colleague:
        yield from waiting(state)
        return
    if heard.bereavement:
        yield only("bereavement").then(note_support)
        yield only("hardship_support").then(note_support)
        return
    if heard.legal_threat:
        yield only("hand_over").then(hand_over).ends()
        return
    if heard.wants_human:
        yield only("hand_over").then(hand_over).ends()
        return
    yield from always(state)
    payment = in_focus(state, heard)
    if not state.identified:
        yield from unidentified(state)
    elif payment is None:
        yield from unnamed(state)
    else:
        yield from about(state, heard, payment)
