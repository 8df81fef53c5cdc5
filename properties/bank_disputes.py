"""What no conversation with the disputes desk may come to, and the customers from whom every one of them is explored."""

from constrained.proving import always, before, eventually, every, in_order, never_after, scope

TODAY = "2026-03-16"
NEW = {"today": TODAY, "identified": False}
KNOWN = {"today": TODAY, "identified": True}
SHOP = {"id": "t1", "merchant": "Kestrel Shoes", "amount": "89.90", "day": "2026-02-10"}


def payment(**fields):
    return {**SHOP, **fields}


def case(**fields):
    return {"transaction": "t1", "reason": "not_received", "amount": "89.90", **fields}


EXPLORED = scope(
    starts=[
        {"today": TODAY, "phone_linked": False},
        {**NEW, "transactions": [SHOP]},
        {**NEW, "transactions": [payment(amount="40.00")]},
        {**KNOWN, "transactions": [payment(amount="1500.00"), payment(id="t2", merchant="Hotel Seeblick", status="pending")]},
        {**KNOWN, "transactions": [payment(due="2026-03-20")]},
        {**KNOWN, "transactions": [payment(day="2025-10-01")]},  # too late for a dispute, not for a fraud
        {**KNOWN, "transactions": [payment(day="2025-01-01")]},  # too late for both
        {**KNOWN, "transactions": [SHOP, payment(id="t2", day="2026-02-11")]},  # twice
        {**KNOWN, "transactions": [payment(kind="subscription")]},
        {**KNOWN, "transactions": [payment(kind="cash")]},
        {**KNOWN, "transactions": [payment(kind="fee", amount="25.00", day="2026-02-01")]},
        {**KNOWN, "transactions": [payment(kind="fee", amount="25.01", day="2026-02-01")]},
        {**KNOWN, "transactions": [payment(kind="fee", amount="5.00", day="2026-01-14")]},
        {**KNOWN, "transactions": [payment(status="refunded", refunded_on="2026-03-12")]},
        {**KNOWN, "transactions": [payment(status="refunded", refunded_on="2026-03-01")]},
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
    heard={"stated": ["10.00", "89.89"]},
    human=["hand_over", "wait_for_colleague"],
    within=2,
    unreached=["case_filed_specialist"],
)

FILED = ["case_filed", "case_filed_credited", "case_filed_specialist"]

identity_first = before("accept_identity", "propose", says="nobody unknown gets a dispute proposed")
