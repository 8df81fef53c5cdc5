"""A process that plays golden dialogues and is killed after so many turns. For each order it forks a child that dies by SIGKILL.

An order is a line of JSON: ``pack``, ``dialogue`` (its number), ``turns`` and ``log``.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from constrained import Dialogue
from constrained.pack_folders import find_pack
from constrained.packs import load_policy
from constrained.quality.golden import GoldenDialogue, _answers, _IntendedEngine, _now, load_golden

PACKS = ("bank_disputes", "clinic_booking", "tavern")


class Player:
    """Takes the turns of a golden dialogue as it intends, from any of them on."""

    def __init__(self, pack: str, golden: GoldenDialogue, log: str | None, state: object = None, memory: object = None) -> None:
        self.policy = load_policy(pack)
        self.golden, self.engine = golden, _IntendedEngine()
        given = self.policy.state_type.default() if golden.state is None else self.policy.state_type.from_json(golden.state)
        self.state = given if state is None else state
        self.dialogue = Dialogue(
            self.policy,
            engine=self.engine,
            log=log,
            locale=golden.locale,
            drafts=True,
            memory=memory,
            conversation="killed",
            now=lambda: _now(self.state),
        )

    def take(self, number: int) -> str:
        turn = self.golden.turns[number]
        expected = self.policy.heard_type.from_json(turn.heard) if self.policy.heard_type else None
        self.engine.answers = _answers(expected) | {"reply": turn.expects}
        reply = self.dialogue.reply(turn.says, self.state)
        self.state = reply.apply(self.state)
        return reply.text


def obey(order: dict) -> int:
    child = os.fork()
    if child == 0:
        try:
            golden = load_golden(find_pack(order["pack"]).dialogues_path).dialogues[order["dialogue"]]
            player = Player(order["pack"], golden, order["log"])
            for number in range(order["turns"]):
                player.take(number)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


if __name__ == "__main__":
    for pack in PACKS:
        load_policy(pack)
    for line in sys.stdin:
        print(json.dumps({"signal": obey(json.loads(line))}), flush=True)
