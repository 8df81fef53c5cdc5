"""A process that replies and is killed. For each order on its standard input it forks a child that dies by SIGKILL.

The child writes each reply to a pipe as soon as ``reply`` has returned it. An order is a line of JSON:
``log`` (a path, or the address of a database), ``stage`` and ``nth`` (the child kills itself at the nth passage of that
point), or ``after`` and ``spin`` (it is killed from outside after so many replies and some loops); ``threads``: as many
conversations at the same time; ``key`` and ``sink``: the file of a key that signs the log meanwhile, again and again, and the folder
for its checkpoints. The answer lists what was released.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from itertools import count
from pathlib import Path

import constrained.dialogue.dialogue
import constrained.records.log
from constrained import Dialogue
from constrained.approval.keys import Signer, load_signer
from constrained.packs import load_policy_file
from constrained.records.checkpoints import checkpoint
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import Log, existing, open_log
from constrained.records.sinks import FolderSink
from constrained.testing import RandomEngine

POLICY = load_policy_file(Path(__file__).parents[1] / "desk" / "logic" / "library.py")
REAL_WRITE, REAL_FSYNC = os.write, os.fsync


class Dying:
    """Kills this process at the nth passage of one point."""

    def __init__(self, stage: str, nth: int) -> None:
        self.stage, self.left = stage, nth

    def passes(self, stage: str) -> bool:
        """Whether this is the passage before which to die."""
        if stage == self.stage:
            self.left -= 1
        return stage == self.stage and self.left == 0

    def at(self, stage: str) -> None:
        if self.passes(stage):
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: object, name: str) -> None:
        real = getattr(owner, name)

        def watched(*args: object, **kwargs: object) -> object:
            self.at(f"before {name}")
            result = real(*args, **kwargs)
            self.at(f"after {name}")
            return result

        setattr(owner, name, watched)

    def write(self, handle: int, data: bytes) -> int:
        self.at("before write")
        if self.passes("half a write"):
            REAL_WRITE(handle, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        n_written = REAL_WRITE(handle, data)
        self.at("after write")
        return n_written

    def fsync(self, handle: int) -> None:
        self.at("before fsync")
        REAL_FSYNC(handle)
        self.at("after fsync")


POINTS = ("_take", "_hear", "run", "_decide", "compose", "verify", "append", "_commit")
STAGES = (
    *(f"{when} {name}" for name in POINTS for when in ("before", "after")),
    "before write", "half a write", "after write", "before fsync", "after fsync", "after reply", "after release",
)  # fmt: skip


def reply_until_killed(order: dict, pipe: int) -> None:
    dying = Dying(order.get("stage", ""), order.get("nth", 0))
    for name in ("_take", "_hear", "_decide", "_commit"):
        dying.around(Dialogue, name)
    for name in ("run", "compose", "verify"):
        dying.around(constrained.dialogue.dialogue, name)
    dying.around(JsonLinesLog, "append")
    log = open_log(order["log"])
    os.write, os.fsync = dying.write, dying.fsync
    if "key" in order:
        threading.Thread(target=sign, args=(order["log"], load_signer(order["key"]), FolderSink(order["sink"])), daemon=True).start()
    for seed in range(1, order.get("threads", 1)):
        threading.Thread(target=talk, args=(log, seed, dying, pipe), daemon=True).start()
    talk(log, 0, dying, pipe)


def sign(place: str, key: Signer, sink: FolderSink) -> None:
    """As a server's signer does: what an earlier process left is put into the sink first."""
    store = existing(place)
    checkpoint(store, key, [sink], puts_all=True)
    pause = threading.Event()
    while not pause.wait(0.05):  # the conversations need the processor, too
        checkpoint(store, key, [sink])


def talk(log: Log, seed: int, dying: Dying, pipe: int) -> None:
    dialogue = Dialogue(POLICY, engine=RandomEngine(os.getpid() * 100 + seed), log=log)
    state = POLICY.state_type(owed=3)
    for number in count():
        turn = dialogue.reply(f"Here are {number} euros for Emma, until Friday", state)
        dying.at("after reply")
        REAL_WRITE(pipe, json.dumps([turn.record.hash, turn.text]).encode() + b"\n")
        dying.at("after release")


def obey(order: dict) -> dict:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            reply_until_killed(order, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = []
        if "after" in order:
            lines = [pipe.readline() for _ in range(order["after"])]
            for _ in range(order["spin"]):
                pass
            os.kill(child, signal.SIGKILL)
        lines += pipe.readlines()
    _, status = os.waitpid(child, 0)
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "released": [json.loads(line) for line in lines]}


if __name__ == "__main__":
    Dialogue(POLICY, engine=RandomEngine()).reply("1 euro until Friday")  # the children share what this imports
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), flush=True)
