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


WANTS_HUMAN = '    if heard.wants_human:\n        yield only("hand_over").then(hand_over)\n        return\n'
FAULTS = (
    Fault("the fraud warning is for the identified only", (("    if heard.fraud:", "    if heard.fraud and state.identified:"),), ("fraud_is_warned_of",)),
    Fault(
        "support is mentioned to the identified only",
        (("if heard.hardship and not state.support_noted:", "if heard.hardship and state.identified and not state.support_noted:"),),
        ("hardship_is_met",),
    ),
    Fault("who asks for a human is only offered one", ((WANTS_HUMAN, ""),), ("human_on_demand",)),
    Fault(
        "no human for strangers",
        (
            ("    if heard.wants_human:\n", "    if heard.wants_human and state.identified:\n"),
            ('    yield say("hand_over").then(hand_over)\n', '    if state.identified:\n        yield say("hand_over").then(hand_over)\n'),
        ),
        ("a_human_in_reach", "human_on_demand"),
    ),
    Fault("a fee is given back a day longer", (("FEE_DAYS = 60", "FEE_DAYS = 61"),), ("fee_is_recent",)),
    Fault("larger fees are given back", (("FEE_LIMIT = Decimal(25)", "FEE_LIMIT = Decimal(30)"),), ("fee_is_small",)),
    Fault("two fees are given back", (("state.fees_refunded == 0 or", "state.fees_refunded <= 1 or"),), ("fee_once",)),
    Fault("a dispute is taken a day longer", (("DISPUTE_DAYS = 120", "DISPUTE_DAYS = 121"),), ("in_time",)),
    Fault("a fraud is taken a day longer", (("FRAUD_DAYS = 395", "FRAUD_DAYS = 396"),), ("in_time",)),
    Fault("more is credited at once", (("SMALL_AMOUNT = Decimal(50)", "SMALL_AMOUNT = Decimal(60)"),), ("small_is_credited",)),
    Fault("the specialist is passed over", (("SPECIALIST_AMOUNT = Decimal(1000)", "SPECIALIST_AMOUNT = Decimal(2000)"),), ("large_goes_to_a_specialist",)),
    Fault(
        "a fraud is disputed before the card is blocked",
        (
            (" and (state.card_blocked or reason is not Reason.FRAUD)", ""),
            ("    elif state.today <= last_day(payment, Reason.FRAUD):", "    if state.today <= last_day(payment, Reason.FRAUD):"),
        ),
        ("fraud_blocks_first",),
    ),
    Fault(
        "the card is blocked twice in one turn",
        (('say("card_blocked").then(block_card)', 'say("card_blocked").then(block_card).then(block_card)'),),
        ("effects_can_run",),
    ),
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
        (('say("identify_first").then(send_request)', 'say("identify_first").then(send_request).then(accept_identity)'),),
        ("no_shadowed_response",),
    ),
    Fault(
        "strangers hear of payments",
        (("        yield from unidentified(state)\n    elif", "        yield from unidentified(state)\n        yield from unnamed(state)\n    elif"),),
        ("nothing_for_strangers",),
    ),
    Fault("the question stays open after the filing", (("cases=(*state.cases, case), asked=Asked.NOTHING, reason=None", "cases=(*state.cases, case), reason=None"),), ("goes_on_after_filing",)),
    Fault(
        "the desk goes on after the hand-over",
        (("        yield from waiting(state)\n        return\n", "        yield from waiting(state)\n"),),
        ("left_to_the_colleague",),
    ),
    Fault(
        "a blocked card is offered to be blocked",
        (
            ("@effect(requires=lambda state, transaction=None: not state.card_blocked)", "@effect"),
            ('    if not state.card_blocked:\n        yield say("block_offer").then(ask_to_block)\n    yield say("goodbye")\n', '    yield say("block_offer").then(ask_to_block)\n    yield say("goodbye")\n'),
        ),
        ("blocked_once",),
    ),
    Fault(
        "the card is blocked without a question",
        (
            ("requires=lambda state: not state.card_blocked and state.asked is Asked.BLOCK", "requires=lambda state: not state.card_blocked"),
            ('        yield say("block_offer").then(ask_to_block)\n    yield say("goodbye")\n', '        yield say("block_offer").then(block_card)\n    yield say("goodbye")\n'),
        ),
        ("asked_then_blocked",),
    ),
    Fault("one rule offers what another one did", (('    yield say("robot")\n    yield say("thanks")\n', '    yield say("robot")\n    yield say("goodbye")\n    yield say("thanks")\n'),), ("no_conflicting_rules",)),
    Fault(
        "the question about the card leaves no way out",
        (
            (WANTS_HUMAN, ""),
            ("    yield from always(state)\n", "    if state.asked is not Asked.BLOCK:\n        yield from always(state)\n"),
            ('    yield say("card_blocked").then(block_card)\n    yield say("block_declined").then(keep_card)\n    yield say("what_blocking_means")\n    if state.picked is not None:\n', '    if state.picked is not None:\n        yield say("card_blocked").then(block_card)\n        yield say("block_declined").then(keep_card)\n        yield say("what_blocking_means")\n'),
        ),
        ("an_option_everywhere", "no_fallback_loop", "a_human_in_reach", "block_is_answered"),
    ),
    Fault("goods without a day of delivery", (("return payment.due or payment.day + dt.timedelta(days=DELIVERY_DAYS)", "return payment.due"),), ("no_turn_fails",)),
    Fault("what was right is claimed on top", (("return payment.amount - heard.stated", "return payment.amount + heard.stated"),), ("claim_is_paid",)),
    Fault("a dispute is filed unasked", (('say("cash_none", amount=payment.amount, day=payment.day).then(propose, payment.id, Reason.CASH, payment.amount)', 'say("cash_none", amount=payment.amount, day=payment.day).then(file_dispute, payment.id, Reason.CASH)'), (" and state.claim is not None)\ndef file_dispute", ")\ndef file_dispute")), ("asked_then_filed_1", "filed_on_a_yes")),
)  # fmt: skip
