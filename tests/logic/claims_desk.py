"""A small desk with a procedure, for the tests: identity, one of several reasons, a yes or no, an effect, its outcome."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from constrained import Policy
from tests.logic.packs import make

RESPONSES: dict[str, Any] = {
    "automated": "You are talking to an automated assistant.",
    "which": "Which parcel is it?",
    "which_again": "Please give me the number of the parcel.",
    "why": "What is wrong with it?",
    "is_lost": "I am sorry that it is lost.",
    "is_broken": "I am sorry that it is broken.",
    "terms": "A claim may take ten days.",
    "shall_i": {"text": "Shall I file a claim of {sum}?", "slots": {"sum": "integer"}},
    "filing": "I am filing it now.",
    "filed": {"text": "Your claim is filed.", "claims": "file_claim"},
    "not_filed": "Nothing was filed: the claim was refused.",
    "dropped": "Then I leave it at that.",
    "hours": "We are open from nine to five.",
    "human": "I am putting you through to a colleague.",
    "rate": {"text": "That is 3 euros.", "tags": ["rate"]},
    "rate_note": "Rates may change.",
    "block_it": "Shall I stop the delivery?",
    "stopped": "It is stopped.",
    "not_stopped": "It goes on.",
    "no_number": "Without a number I cannot help.",
}

HEADER = '''"""A claims desk of the tests."""
from typing import Literal

from constrained import State, Understanding, effect, must, only, policy, procedure, say
from constrained.hear import amount, question
from constrained.obligations import after, at_start, before, before_commitment, every, never_after, once
from constrained.steps import GaveUp, ask, choose, confirm, perform, start, tell


class Desk(State):
    limit: int = 100
    claims: tuple[int, ...] = ()
    stopped: bool = False


class Heard(Understanding):
    human: bool = question("Does the customer want a human?")
    number: int | None = amount("Which parcel?")
    worth: int | None = amount("What is it worth?")


@effect(requires=lambda state, number: number not in state.claims)
def file_claim(state: Desk, number: int) -> Desk:
    return state.replace(claims=(*state.claims, number))


@effect
def stop(state: Desk) -> Desk:
    return state.replace(stopped=True)


REASONS = ("lost", "broken")
'''

INTERRUPTIONS = """
def interruptions(state: Desk, heard: Heard):
    if heard.human:
        yield only("human").ends()
    yield say("hours")
    yield say("rate")
    yield start(stopping)


async def stopping(state: Desk, heard: Heard):
    if await confirm("block_it"):
        await tell("stopped").then(stop)
    else:
        await tell("not_stopped")
"""

CLAIM = """
async def claim(state: Desk, heard: Heard):
    number = await ask("which", "number", again="which_again", tries=3, otherwise="no_number")
    for _ in range(2):
        reason = await ask("why", REASONS)
        if reason == "lost":
            await tell("is_lost")
            break
        await tell("is_broken")
    await tell("terms")
    if not await confirm("shall_i", sum=state.limit):
        await tell("dropped")
        return
    if await perform("filing").then(file_claim, number):
        await tell("filed")
    else:
        await tell("not_filed")
"""

OBLIGATIONS = 'obligations=(at_start("automated"), after("rate", "rate_note"))'


def claims_desk(
    folder: Any, body: str = "", *, decorator: str = "", responses: dict[str, Any] | None = None, interruptions: str = INTERRUPTIONS
) -> Policy:
    """The desk as a policy out of a logic file; ``decorator``: the line above the procedure."""
    decorator = decorator or f'@procedure("shop", version=1, interruptions=interruptions, {OBLIGATIONS})'
    text = interruptions + "\n\n" + decorator + dedent(body or CLAIM)
    return make(folder, text, name="claim", header=HEADER, **(RESPONSES if responses is None else responses))
