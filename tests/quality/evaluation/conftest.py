"""A desk, labelled messages for it, and an engine that knows some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from constrained import Policy
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Distribution, PromptContext
from constrained.quality.labelled_data import Example
from constrained.testing import ScriptedEngine

SCRIPT = {
    "hello": "welcome",
    "when do you close?": "hours",
    "are you open late?": "hours",
    "good day to you": "hours",  # wrong
    "how is the weather?": "sorry",
    "AAAAH": {"threat": True, "reply": "quiet"},
    "may I have Emma?": {"book": "Emma", "reply": "lend"},
}
EXPECTED = {
    "hello": "welcome",
    "when do you close?": "hours",
    "are you open late?": "hours",
    "good day to you": "welcome",
    "how is the weather?": "sorry",
    "AAAAH": "quiet",
    "may I have Emma?": "lend",
}


class Counting(ScriptedEngine):
    """Tells how often it was asked, and how many conversations at once; has scores and answers many."""

    def __init__(self) -> None:
        super().__init__(SCRIPT)
        self.batches: list[int] = []

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        return [
            Distribution(one.probabilities, "exact", tuple(10 * value for value in one.probabilities))
            for one in super().choose(choices, scene, deadline)
        ]

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        self.batches.append(len(asks))
        return [self.choose(ask.choices, ask.scene, deadline) for ask in asks]


@pytest.fixture
def examples(library: Policy) -> tuple[Example, ...]:
    heard: Mapping[str, Mapping[str, object]] = {"AAAAH": {"threat": True}, "may I have Emma?": {"book": "Emma"}}
    kind = library.heard_type
    assert kind is not None
    return tuple(
        Example(message, (expects,), heard=kind.from_json(heard.get(message, {})), line=number)
        for number, (message, expects) in enumerate(EXPECTED.items(), start=1)
    )
