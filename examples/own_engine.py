"""An engine of one's own has one method: probabilities over candidates. Here: how many words a message shares with examples."""

from ferry import ferrywoman

from constrained import Dialogue
from constrained.engines.protocol import Distribution


class SharedWords:
    @property
    def identity(self):
        return {"model": "shared words"}

    def choose(self, choices, scene, deadline=None):
        return [self._distribution(choice.candidates, set(scene.message.lower().split())) for choice in choices]

    def _distribution(self, candidates, words):
        shared = [max((len(words & set(text.split())) for text in one.examples), default=0) + 0.1 for one in candidates]
        return Distribution(tuple(number / sum(shared) for number in shared), "exact")


maud = Dialogue(ferrywoman, engine=SharedWords())
for message in ("How deep is it?", "Row me to the other side"):
    print(maud.reply(message).text)

# Deep, cold, and older than the king.
# 2 silver, and mind the rope.
