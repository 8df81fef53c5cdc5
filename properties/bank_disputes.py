"""What no conversation with the disputes desk may come to, and the customers from whom every one of them is explored."""

from constrained.analysis.prover.properties import always, before, eventually, every, in_order, never_after, scope

TODAY = "2026-03-16"
NEW = {"today": TODAY, "identified": False}
KNOWN = {"today": TODAY, "identified": True}
SHOP = {"id": "t1", "merchant": "Kestrel Shoes", "amount": "89.90", "day": "2026-02-10"}
FEE = {**SHOP, "id": "t2", "merchant": "Annual fee", "kind": "fee", "amount": "20.00"}
CASH = {**SHOP, "id": "t3", "merchant": "Cash machine", "kind": "cash", "amount": "1100.00"}
GYM = {**SHOP, "id": "t4", "merchant": "FitPlanet", "kind": "subscription", "amount": "39.90"}


def payment(**fields):
    return {**SHOP, **fields}


def case(**fields):
    return {"transaction": "t1", "reason": "not_received", "amount": "89.90", **fields}


CUSTOMERS = [
    {**NEW, "phone_linked": False},
    {**NEW, "transactions": [SHOP]},
    {**NEW, "transactions": [SHOP, FEE]},
    {**NEW, "transactions": [SHOP, CASH]},
    {**NEW, "transactions": [SHOP, GYM]},
    {**KNOWN, "transactions": [payment(amount="40.00")]},
    {**KNOWN, "transactions": [payment(amount="50.01")]},
    {**KNOWN, "transactions": [payment(amount="1500.00"), payment(id="t2", merchant="Hotel Seeblick", status="pending")]},
    {**KNOWN, "transactions": [payment(due="2026-03-20")]},
    {**KNOWN, "transactions": [payment(day="2025-11-16")]},  # the last day of a dispute
    {**KNOWN, "transactions": [payment(day="2025-11-15")]},  # too late for a dispute, not for a fraud
    {**KNOWN, "transactions": [payment(day="2025-02-13")]},  # too late for both
    {**KNOWN, "transactions": [SHOP, payment(id="t2", day="2026-02-11")]},  # charged twice
    {**KNOWN, "transactions": [payment(kind="fee", amount="25.00", day="2026-01-15")]},  # the last day for a fee
    {**KNOWN, "transactions": [payment(kind="fee", amount="25.00", day="2026-01-14")]},
    {**KNOWN, "transactions": [payment(kind="fee", amount="25.01", day="2026-02-01")]},
    {**KNOWN, "transactions": [payment(kind="fee", amount="5.00"), payment(id="t2", merchant="Card fee", kind="fee", amount="6.00")]},
    {**KNOWN, "transactions": [payment(status="refunded", refunded_on="2026-03-12")]},
    {**KNOWN, "transactions": [payment(status="refunded", refunded_on="2026-03-01")]},
    {**KNOWN, "transactions": [CASH]},
    {**KNOWN, "transactions": [GYM]},
    {**KNOWN},
    *every(
        today=[TODAY],
        identified=[True],
        transactions=[[SHOP]],
        cases=[
            [case(opened="2026-03-10")],
            [case(opened="2026-02-20")],
            [case(opened="2026-01-20")],
            [case(opened="2026-02-20", outcome="won")],
            [case(opened="2026-02-20", outcome="lost")],
        ],
    ),
]
COMPLAINED = {"complaint_on": "2026-03-01"}  # in another chat
SUPPORTED = {"stopped_merchants": ["Streamly"], "support_noted": True}

PROTECTED = ("self_harm", "wants_human", "hardship")
SAID_ALONE = ("emergency", "legal_threat", "bereavement")  # heard, each is answered by a text alone or a colleague: not branched on

EXPLORED = scope(
    starts=[*CUSTOMERS, *({**one, **COMPLAINED} for one in CUSTOMERS), *({**one, **SUPPORTED} for one in CUSTOMERS[:5])],
    heard={"stated": ["10.00"], "paid_on": [], **{one: ["yes"] for one in PROTECTED}, **{one: [] for one in SAID_ALONE}},
    human=["hand_over", "wait_for_colleague"],
    within=2,  # of which one is the turn that tells what became of a filing or a block
)

PROPOSALS = (
    *("not_received", "not_as_described", "returned_no_refund", "duplicate_found", "wrong_amount", "subscription_cancelled"),
    *("cash_none", "cash_short", "not_recognised"),
)
FILED = ("case_filed", "case_filed_credited", "case_filed_specialist")
DONE = ("file_dispute", "refund_fee", "trace_refund", "stop_merchant", "log_complaint")
ANYONE = {
    *("automated", "identify_first", "identity_missing", "identity_taken", "identity_by_phone", "why_identify", "not_understood"),
    *("greeting", "how_disputes_work", "time_limits", "out_of_scope", "language", "abuse", "goodbye", "thanks", "robot"),
    *("block_offer", "what_blocking_means", "blocking_now", "card_blocked", "block_failed", "block_declined"),
    *("hand_over", "wait_for_colleague", "hardship_support", "hardship_notice", "fraud_warning", "bereavement", "crisis_support"),
    *("emergency_number", "moment", "way_out", "too_long"),
}


def of(turn, payment):
    """A payment by its id."""
    return next(one for one in turn.before.transactions if one.id == payment)


def filed(turn):
    """The case that a turn opens."""
    return turn.after.cases[-1]


def disputed(turn):
    """The payment that a turn opens a case for."""
    return of(turn, filed(turn).transaction)


def fee_of(turn):
    """The fee that a turn gives back."""
    return of(turn, turn.after.picked)


def is_alarming(turn):
    return turn.heard.self_harm or turn.heard.emergency


def age(turn, payment):
    return (turn.before.today - payment.day).days


# -- who is spoken to -----------------------------------------------------------------------------------

automated_first = before("automated", lambda turn: True, says="nothing is said before the customer knows that a program answers")
automated_once = never_after("automated", "automated", says="that a program answers is said once")
nothing_for_strangers = always(
    lambda turn: turn.before.identified or ANYONE.issuperset(one.removesuffix(".offer") for one in turn.said),
    says="who is not identified hears nothing of payments and cases",
)
nothing_done_for_strangers = always(lambda turn: turn.before.identified, on=DONE, says="nothing is done for who is not identified")
identity_is_confirmed = always(
    lambda turn: turn.before.request.value == "confirmed", on="accept_identity", says="nobody is identified before the app confirmed"
)

# -- what is said in addition ---------------------------------------------------------------------------

fraud_is_warned_of = always(
    lambda turn: not turn.heard.fraud or is_alarming(turn) or "fraud_warning" in turn.said,
    says="who speaks of fraud is warned, whatever else is said",
)
hardship_is_met = always(
    lambda turn: not turn.heard.hardship or turn.before.support_noted or is_alarming(turn) or "hardship_notice" in turn.said,
    says="who speaks of hardship hears of support, until it is noted",
)

# -- disputes -------------------------------------------------------------------------------------------

no_step_is_skipped = in_order(PROPOSALS, "filing_now", "file_dispute", FILED, says="proposed, agreed, filed, told: none is skipped")
terms_come_first = before("filing_terms", PROPOSALS, says="the terms are told before a dispute is proposed")
credit_is_true = before("credit_provisionally", "case_filed_credited", says="no credit is told that was not made")
specialist_is_true = before("refer_to_specialist", "case_filed_specialist", says="no call is promised that nobody was asked to make")
proposal_is_answered = eventually(
    ("filing_now", "no_dispute", "hand_over"), within=2, after=PROPOSALS, says="a proposal can be answered, or left to a human"
)
outcome_is_told = eventually(FILED, within=1, after="file_dispute", says="what is filed is told in the next turn")
in_time = always(
    lambda turn: age(turn, disputed(turn)) <= (395 if filed(turn).reason.value == "fraud" else 120),
    on="file_dispute",
    says="no dispute is filed after 120 days, 395 for fraud",
)
fraud_blocks_first = always(
    lambda turn: turn.before.card_blocked or filed(turn).reason.value != "fraud",
    on="file_dispute",
    says="a dispute for fraud is filed after the card was blocked",
)
filed_once = always(
    lambda turn: len({one.transaction for one in turn.after.cases}) == len(turn.after.cases),
    on="file_dispute",
    says="no payment is disputed twice",
)
small_is_credited = always(
    lambda turn: filed(turn).amount <= 50, on="credit_provisionally", says="nothing above 50 is credited before the case is decided"
)
large_goes_to_a_specialist = always(
    lambda turn: filed(turn).amount <= 1000 or "refer_to_specialist" in turn.effects,
    on="file_dispute",
    says="above 1,000 a specialist takes the case",
)
claim_is_paid = always(
    lambda turn: 0 < filed(turn).amount <= disputed(turn).amount, on="file_dispute", says="no more is claimed than was paid"
)

# -- fees -----------------------------------------------------------------------------------------------

fee_is_small = always(
    lambda turn: fee_of(turn).amount <= 25 and fee_of(turn).kind.value == "fee", on="refund_fee", says="only fees up to 25 are given back"
)
fee_is_recent = always(lambda turn: age(turn, fee_of(turn)) <= 60, on="refund_fee", says="no fee is given back after 60 days")
fee_once = always(
    lambda turn: turn.before.fees_refunded == 0 or turn.before.support_noted,
    on="refund_fee",
    says="one fee is given back, more only to who needs support",
)

# -- the card, and a human ------------------------------------------------------------------------------

asked_then_blocked = in_order(
    ("block_offer", "block_first"), "blocking_now", "block_card", "card_blocked", says="asked, agreed, blocked, told: none is skipped"
)
blocked_once = never_after("block_card", ("block_card", "block_offer", "block_first"), says="a blocked card is not blocked again")
block_is_answered = eventually(
    ("blocking_now", "block_declined", "hand_over"),
    within=2,
    after=("block_offer", "block_first"),
    says="the question about the card can be answered, or left to a human",
)
alarm_comes_first = always(
    lambda turn: not is_alarming(turn) or {"crisis_support", "emergency_number"}.issuperset(turn.options),
    says="who is in danger hears where help is, and nothing else",
)
human_on_demand = always(
    lambda turn: (
        not turn.heard.wants_human
        or turn.before.with_colleague
        or is_alarming(turn)
        or turn.heard.bereavement
        or set(turn.options) == {"hand_over"}
    ),
    says="who asks for a human gets one, and nothing else",
)
left_to_the_colleague = never_after("hand_over", (*DONE, "block_card"), says="after the hand-over the desk does nothing more")
