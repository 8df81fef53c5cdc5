"""A field of a given form: what an engine reads is believed only if it is of the form and the message says it."""

from logic.parcels import desk

from constrained import Dialogue
from constrained.testing import ScriptedEngine

invents = "where is my parcel?"
engine = ScriptedEngine(
    {
        "where is ab 123456?": {"order": "AB-123456", "reply": "looking"},
        invents: {"order": "CD-777001", "reply": "pardon"},
    }
)
for message in ("where is ab 123456?", invents):
    turn = Dialogue(desk, engine=engine).reply(message)
    print(turn.heard.order, "|", turn.text)

# AB-123456 | I am looking for order AB-123456.
# None | Which order is it about? Its number has two letters and six digits.
