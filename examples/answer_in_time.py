"""A deadline: when the model is too slow, the fallback is said, and nothing happens."""

import time

from ferry import ferrywoman

from constrained import Dialogue
from constrained.testing import RandomEngine


class Slow(RandomEngine):
    """An engine that needs a fifth of a second, and looks at the clock as every engine does."""

    def choose(self, choices, scene, deadline=None):
        time.sleep(0.2)
        if deadline:
            deadline.check()
        return super().choose(choices, scene, deadline)


maud = Dialogue(ferrywoman, engine=Slow())
turn = maud.reply("Take me over!", within=0.05)
print(turn.decision.mode, turn.response_id, turn.effects)

# rules pardon ()
