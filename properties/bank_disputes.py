"""What no conversation with the disputes desk may come to, and the customers from whom every one of them is explored."""

from constrained.proving import always, before, eventually, every, in_order, never_after, scope

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


EXPLORED = scope(
    starts=[
        {**NEW, "phone_linked": False},
        {**NEW, "transactions": [SHOP]},
        *every(today=[TODAY], transactions=[[SHOP, FEE, CASH], [SHOP, FEE, GYM]]),  # most of the points
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
    ],
    heard={"stated": ["10.00"]},
    human=["hand_over", "wait_for_colleague"],
    within=1,
)

ANYONE = {
    *(
        "identify_first",
        "greeting",
        "how_disputes_work",
        "time_limits",
        "out_of_scope",
        "language",
        "abuse",
        "identity_taken",
        "not_understood",
    ),
    *("identity_missing", "identity_by_phone", "why_identify", "block_offer", "goodbye", "hand_over", "hardship_support", "robot"),
    *("card_blocked", "block_declined", "what_blocking_means", "wait_for_colleague", "thanks", "fraud_warning", "hardship_notice"),
}
DONE = ("propose", "file_dispute", "refund_fee", "trace_refund", "stop_merchant", "log_complaint")


def fee_of(turn):
    """The fee that a turn gives back."""
    return next(one for one in turn.before.transactions if one.id == turn.after.picked)


def age(turn, payment):
    return (turn.before.today - payment.day).days


def proposed(turn):
    return next(one for one in turn.before.transactions if one.id == turn.after.picked)


# -- who is spoken to -----------------------------------------------------------------------------------

nothing_for_strangers = always(
    lambda turn: turn.before.identified or ANYONE.issuperset(turn.said), says="who is not identified hears nothing of payments and cases"
)
nothing_done_for_strangers = always(lambda turn: turn.before.identified, on=DONE, says="nothing is done for who is not identified")
identity_is_confirmed = always(
    lambda turn: turn.before.request.value == "confirmed", on="accept_identity", says="nobody is identified before the app confirmed"
)

# -- what is said in addition ---------------------------------------------------------------------------

fraud_is_warned_of = always(
    lambda turn: not turn.heard.fraud or "fraud_warning" in turn.said, says="who speaks of fraud is warned, whatever else is said"
)
hardship_is_met = always(
    lambda turn: not turn.heard.hardship or turn.before.support_noted or "hardship_notice" in turn.said,
    says="who speaks of hardship hears of support, until it is noted",
)

# -- disputes -------------------------------------------------------------------------------------------

asked_then_filed = in_order("propose", "file_dispute", says="nothing is filed that was not proposed")
filed_on_a_yes = always(
    lambda turn: turn.before.asked.value == "file", on="file_dispute", says="a dispute is filed when the question is open, and only then"
)
in_time = always(
    lambda turn: age(turn, proposed(turn)) <= (395 if turn.after.reason.value == "fraud" else 120),
    on="propose",
    says="no dispute is proposed after 120 days, 395 for fraud",
)
fraud_blocks_first = always(
    lambda turn: turn.before.card_blocked or turn.before.reason.value != "fraud",
    on="file_dispute",
    says="a dispute for fraud is filed after the card was blocked",
)
filed_once = always(
    lambda turn: len({one.transaction for one in turn.after.cases}) == len(turn.after.cases),
    on="file_dispute",
    says="no payment is disputed twice",
)
small_is_credited = always(
    lambda turn: turn.before.claim <= 50, on="credit_provisionally", says="nothing above 50 is credited before the case is decided"
)
large_goes_to_a_specialist = always(
    lambda turn: turn.before.claim <= 1000 or "refer_to_specialist" in turn.effects,
    on="file_dispute",
    says="above 1,000 a specialist takes the case",
)
claim_is_paid = always(lambda turn: 0 < turn.after.claim <= proposed(turn).amount, on="propose", says="no more is claimed than was paid")

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

asked_then_blocked = before("ask_to_block", "block_card", says="no card is blocked that nobody asked about")
blocked_once = never_after("block_card", ("block_card", "ask_to_block"), says="a blocked card is not blocked again")
block_is_answered = eventually(
    ("block_card", "keep_card", "hand_over"), within=1, after="ask_to_block", says="the question about the card can be answered at once"
)
human_on_demand = always(
    lambda turn: not turn.heard.wants_human or turn.before.with_colleague or set(turn.options) == {"hand_over"},
    says="who asks for a human gets one, and nothing else",
)
goes_on_after_filing = eventually(
    ("goodbye", "thanks", "card_blocked", "block_declined"),
    within=1,
    after="file_dispute",
    says="after a dispute is filed the customer is not left in an open question",
)
left_to_the_colleague = never_after("hand_over", (*DONE, "block_card"), says="after the hand-over the desk does nothing more")
