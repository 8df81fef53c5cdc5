"""What a tool that plays challenge conversations needs of the library: every touch of its names, in one class.

The tool reads JSON lines, a conversation each (``pack``, ``locale``, ``state``, ``setup``, ``says``, ``accepts``), and loads this
file by its path: ``--library benchmarks/challenge_library.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from constrained import ConstrainedError, Dialogue, Effect, Memory, Policy, State, Turn, load_policy
from constrained.errors import EngineError
from constrained.packs import load_policy_file
from constrained.testing import ScriptedEngine

CLOCKS = {  # the day that each pack's sample state lives in
    "tavern": datetime(2026, 3, 16, 12, tzinfo=UTC),
    "bank_disputes": datetime(2026, 3, 16, 12, tzinfo=UTC),
    "clinic_booking": datetime(2026, 3, 2, 9, tzinfo=UTC),
    "caravan": datetime(2026, 3, 16, 12, tzinfo=UTC),
    "telecom": datetime(2026, 3, 16, 12, tzinfo=UTC),
    "ship": datetime(2026, 3, 16, 12, tzinfo=UTC),
}
DESKS = Path(__file__).resolve().parent / "desks"  # packs for measuring; they are not shipped
DESK_PACKS = ("telecom", "ship")
MOST_SILENT_TURNS = 5  # that a procedure takes by itself after a reply


class Library:
    """The library under test.

    Args:
        model: a name that ``Dialogue`` takes; None for turns by the rules alone. engine: in place of a model's.
    """

    error = ConstrainedError

    def __init__(self, model: str | None, engine: Any = None) -> None:
        self._model = model
        self._engine = engine
        self._policies: dict[str, Policy] = {}

    # -- the pack ----------------------------------------------------------------------------------------------

    def policy(self, pack: str) -> Policy:
        if pack not in self._policies:
            self._policies[pack] = load_policy_file(DESKS / "logic" / f"{pack}.py") if pack in DESK_PACKS else load_policy(pack)
        return self._policies[pack]

    def response_ids(self, pack: str) -> set[str]:
        return set(self.policy(pack).catalog.responses)

    def fallback(self, pack: str) -> str:
        return self.policy(pack).catalog.fallback

    def effect_of(self, effect: Effect) -> str:
        """The name of an effect, without its arguments."""
        return str(effect).partition("(")[0]

    def state(self, pack: str, changes: Mapping[str, Any]) -> State:
        """The pack's default state with some fields changed, both as JSON."""
        kind = self.policy(pack).state_type
        return kind.from_json({**kind.default().model_dump(mode="json"), **changes})

    # -- the conversation --------------------------------------------------------------------------------------

    def begin(self, case: Mapping[str, Any]) -> Dialogue:
        """A conversation with the model under test; all of them share one engine."""
        if self._model is not None and self._engine is None:
            self._engine = self._dialogue(case, model=self._model).engine
        return self._dialogue(case, engine=self._engine)

    def begin_scripted(self, case: Mapping[str, Any]) -> Dialogue:
        return self._dialogue(case, engine=None)

    def reply(self, dialogue: Dialogue, message: str, state: State) -> Turn:
        return dialogue.reply(message, state)

    def memory(self, dialogue: Dialogue) -> Memory:
        return dialogue.memory()

    def back_to(self, dialogue: Dialogue, memory: Memory) -> None:
        dialogue.resume(memory)

    def settle(self, dialogue: Dialogue, turn: Turn, state: State) -> State:
        """The state after the effects; what a procedure says next without a message is taken too."""
        state = turn.apply(state)
        for _ in range(MOST_SILENT_TURNS):
            if not turn.goes_on:
                break
            turn = dialogue.reply("", state)
            state = turn.apply(state)
        return state

    def force(
        self, dialogue: Dialogue, pack: str, message: str, heard: Mapping[str, Any], reply: str, state: State
    ) -> tuple[Dialogue, Turn]:
        """The turn with a scripted hearing and a scripted reply, in a fork. Raises ConstrainedError where the reply is no option."""
        fields: dict[str, Any] = {}
        kind = self.policy(pack).heard_type
        if kind is not None:
            meant = kind.from_json(heard)
            fields = {name: getattr(meant, name) for name in kind.model_fields}
        fork = dialogue.fork(ScriptedEngine({message: fields | {"reply": reply}, "": reply}, is_told=True))
        turn = fork.reply(message, state)
        if turn.response_id != reply:
            raise EngineError(f"{reply!r} is no option; it is {turn.response_id!r}")
        return fork, turn

    # -- what a turn came to -----------------------------------------------------------------------------------

    def options(self, turn: Turn) -> list[str]:
        return [option.id for option in turn.decision.options]

    def effects_of_options(self, turn: Turn) -> dict[str, list[str]]:
        return {option.id: [self.effect_of(one) for one in option.effects] for option in turn.decision.options}

    def effects(self, turn: Turn) -> list[str]:
        return [self.effect_of(one) for one in turn.effects]

    def top(self, turn: Turn, n: int = 3) -> list[tuple[str, float | None]]:
        """The likeliest options with their probabilities; None where a turn was decided without any."""
        return [(option.id, None if p is None else round(p, 3)) for option, p in turn.decision.ranked()[:n]]

    def heard(self, turn: Turn) -> dict[str, Any]:
        """What was heard, as JSON, where it differs from the default."""
        if turn.heard is None:
            return {}
        default = type(turn.heard).from_json({}).model_dump(mode="json")
        return {name: value for name, value in turn.heard.model_dump(mode="json").items() if value != default[name]}

    def _dialogue(self, case: Mapping[str, Any], **given: Any) -> Dialogue:
        pack = case["pack"]
        return Dialogue(self.policy(pack), locale=case["locale"], drafts=True, now=lambda: CLOCKS[pack], **given)
