# ruff: noqa: E501  # texts of a logic file, each as it stands there
"""Faults that a hurried edit of the disputes desk could make: what is changed in its logic, and which property breaks first of all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Texts of the logic file that are replaced, and the properties that must be found broken."""

    name: str
    edits: tuple[tuple[str, str], ...]
    broken: tuple[str, ...]
    most_points: int = 1_500  # enough to come to it


WANTS_HUMAN = '    if heard.wants_human:\n        yield only("hand_over").then(hand_over).ends()\n        return\n'
FAULTS = (
    Fault("the fraud warning is for the identified only", (("    if heard.fraud:", "    if heard.fraud and state.identified:"),), ("fraud_is_warned_of",)),
    Fault(
        "support is mentioned to the identified only",
        (("if heard.hardship and not state.support_noted:", "if heard.hardship and state.identified and not state.support_noted:"),),
        ("hardship_is_met",),
    ),
    Fault("who asks for a human is only offered one", ((WANTS_HUMAN, WANTS_HUMAN.replace("        return", '        yield say("robot")\n        return').replace("only", "say")),), ("human_on_demand",)),
    Fault(
        "no human for strangers",
        (
            ("    if heard.wants_human:\n", "    if heard.wants_human and state.identified:\n"),
            ('    yield say("hand_over").then(hand_over).ends()\n', '    if state.identified:\n        yield say("hand_over").then(hand_over).ends()\n'),
            ('    await tell("hand_over").then(hand_over)\n', '    await tell("why_identify")\n'),
        ),
        ("a_human_in_reach", "human_on_demand"),
    ),
    Fault("the automated notice is dropped", (('        at_start("automated"),\n', ""),), ("automated_first",)),
    Fault("the terms are told with the filing", (("file_dispute, earlier=True),", "file_dispute),"), ('        before("proposal", "filing_terms"),\n', "")), ("terms_come_first",)),
    Fault("a fee is given back a day longer", (("FEE_DAYS = 60", "FEE_DAYS = 61"),), ("fee_is_recent",)),
    Fault("larger fees are given back", (("FEE_LIMIT = Decimal(25)", "FEE_LIMIT = Decimal(30)"),), ("fee_is_small",)),
    Fault("two fees are given back", (("state.fees_refunded == 0 or", "state.fees_refunded <= 1 or"),), ("fee_once",)),
    Fault("a dispute is taken a day longer", (("DISPUTE_DAYS = 120", "DISPUTE_DAYS = 121"),), ("in_time",)),
    Fault("a fraud is taken a day longer", (("FRAUD_DAYS = 395", "FRAUD_DAYS = 396"),), ("in_time",), 9_000),
    Fault("more is credited at once", (("SMALL_AMOUNT = Decimal(50)", "SMALL_AMOUNT = Decimal(60)"),), ("small_is_credited",)),
    Fault("the specialist is passed over", (("SPECIALIST_AMOUNT = Decimal(1000)", "SPECIALIST_AMOUNT = Decimal(2000)"),), ("large_goes_to_a_specialist",)),
    Fault(
        "a fraud is disputed before the card is blocked",
        ((" and (state.card_blocked or reason is not Reason.FRAUD)", ""), ("    if state.card_blocked and state.today <= last_day", "    if state.today <= last_day")),
        ("fraud_blocks_first",),
    ),
    Fault("the card is blocked twice in one turn", (('perform("blocking_now").then(block_card)', 'perform("blocking_now").then(block_card).then(block_card)'),), ("effects_can_run",)),
    Fault(
        "the confirmation in the app is not waited for",
        (
            ("if state.request is Request.CONFIRMED:", "if state.request is not Request.NONE:"),
            ("@effect(requires=lambda state: state.request is Request.CONFIRMED)", "@effect"),
        ),
        ("identity_is_confirmed",),
    ),
    Fault(
        "the request and its confirmation in one step",
        (('tries=CHECKS).then(send_request)', 'tries=CHECKS).then(send_request).then(accept_identity)'),),
        ("no_shadowed_response",),
    ),
    Fault(
        "strangers hear of payments",
        (("        yield from unidentified(state)\n    elif", "        yield from unidentified(state)\n        yield from unnamed(state)\n    elif"),),
        ("nothing_for_strangers",),
    ),
    Fault("the dispute is filed without a yes", (("    if not await agreed(", "    if claim > SMALL_AMOUNT and not await agreed("), ("file_dispute, earlier=True),", "file_dispute),")), ("no_step_is_skipped_1",)),
    Fault(
        "a credit is told that is not made",
        (("        if await filing.then(credit_provisionally, payment.id, claim):", "        if await filing:"),),
        ("no_shadowed_response",),
    ),
    Fault(
        "the desk goes on after the hand-over",
        (("        yield from waiting(state)\n        return\n", "        yield from waiting(state)\n"),),
        ("left_to_the_colleague",),
    ),
    Fault(
        "a blocked card is offered to be blocked",
        (
            ("@effect(requires=lambda state: not state.card_blocked)", "@effect"),
            ('    if not state.card_blocked:\n        yield start(blocking)\n    elif state.identified:', '    yield start(blocking)\n    if state.identified:'),
        ),
        ("blocked_once",),
        9_000,
    ),
    Fault(
        "the card is blocked without a question",
        (('    if payment is None:\n        is_wanted = await confirm("block_offer"', '    if not state.identified:\n        is_wanted = True\n    elif payment is None:\n        is_wanted = await confirm("block_offer"'),),
        ("asked_then_blocked_1",),
    ),
    Fault("one rule offers what another one did", (('    yield say("moment")\n    yield say("thanks")\n', '    yield say("moment")\n    yield say("goodbye")\n    yield say("thanks")\n'),), ("no_conflicting_rules",)),
    Fault("goods without a day of delivery", (("return payment.due or payment.day + dt.timedelta(days=DELIVERY_DAYS)", "return payment.due"),), ("no_turn_fails",)),
    Fault("what was right is claimed on top", (("return payment.amount - heard.stated", "return payment.amount + heard.stated"),), ("claim_is_paid",)),
)  # fmt: skip
