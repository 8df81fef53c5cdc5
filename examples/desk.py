"""A desk: only signed wording, a disclosure that is always said, a log, and every reply reproduced from it."""

import tempfile
from pathlib import Path

from constrained import Dialogue, State, policy, read_log, replay, say
from constrained.obligations import at_start


class Customer(State):
    fee: int = 40


@policy("catalogs/desk.yaml", obligations=[at_start("automated")])  # said first, whatever the model picks
def desk(state: Customer):
    """What the card costs; the fee is given back only once that wording is signed."""
    yield say("fee", fee=state.fee)
    yield say("gift")


log = Path(tempfile.mkdtemp()) / "audit.jsonl"
turn = Dialogue(desk, log=log).reply("What does the card cost?", Customer())  # without a model: the rules choose
print(turn.text)
for blocked in turn.trace.allowed.blocked:
    print(blocked.response_id, blocked.reason)
for replayed in replay(desk, read_log(log)):  # from the log alone: the same bytes, or a ReplayError
    print("the same again:", replayed.is_same)

# You are chatting with an automated assistant.
# Your card costs €40.00 a year.
# gift is not approved
# the same again: True
