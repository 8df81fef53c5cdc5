"""The host keeps the state: an effect runs when the host says so, once, and only while its precondition holds."""

from ferry import Traveller, ferrywoman

from constrained import Dialogue
from constrained.errors import EffectError
from constrained.testing import ScriptedEngine

maud = Dialogue(ferrywoman, engine=ScriptedEngine(["carry"]))
turn = maud.reply("Take me over!", Traveller(silver=3))
for silver in (1, 3, 3):
    try:
        print(turn.apply(Traveller(silver=silver)))
    except EffectError as error:
        print(error.message.replace(turn.id, "..."))

# the precondition of pay(2) no longer holds; no effect of turn ... was run
# silver=1
# the effects of turn ... ran before
