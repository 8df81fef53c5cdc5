"""Without a model: the rules choose, the most specific option first, the least recently said one of equals."""

from ferry import ferrywoman

from constrained import Dialogue

maud = Dialogue(ferrywoman)
for message in ("Hello!", "Anything else?", "And now?"):
    turn = maud.reply(message)
    print(turn.text, turn.decision.mode)

# 2 silver, and mind the rope. rules
# 2 silver, and mind the rope. rules
# 2 silver, and mind the rope. rules
