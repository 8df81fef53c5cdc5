"""transformers: ``pipeline("decision")``, which lists the options under letters and reads one token."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.peers import Answer, Entry, PeerAbsentError, PeerUnsupportedError, Recompiling
from benchmarks.peers.bed import Bed, Prompt

MOST = 26
TINY = 1e-30  # a probability that it rounds to zero


class Peer(Recompiling):
    """The persona and the message are its state. Its own prompt: nothing of it can be cached, and the order of the lines counts."""

    def __init__(self, bed: Bed) -> None:
        try:
            from transformers.pipelines.decision import DecisionPipeline
        except ImportError as error:
            raise PeerAbsentError("this version of transformers has no pipeline('decision')") from error
        self._bed = bed
        self._decide = DecisionPipeline(model=bed.network, tokenizer=bed.tokenizer)

    def compile(self, entries: Sequence[Entry]) -> None:
        if len(entries) > MOST:
            raise PeerUnsupportedError(f"at most {MOST} options, a letter each")
        self.entries = entries
        self._criteria = {entry.text: None for entry in entries}

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        question = {"type": "choice", "instructions": "Which reply fits?", "criteria": self._criteria}
        state = "\n\n".join((prompt.static, *(f"{user}\n{reply}" for user, reply in prompt.before), prompt.dynamic))
        answered = self._decide({"state": state, "questions": {"reply": question}})["reply"]
        found = [answered["probabilities"][entry.text] for entry in self.entries]
        return Answer(
            row=max(range(len(found)), key=found.__getitem__), scores=tuple(math.log(max(one, TINY)) for one in found), n_passes=1
        )
