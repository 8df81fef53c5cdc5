"""A log that survives a kill, and a replay of every reply from it, without a model."""

import tempfile
from pathlib import Path

from ferry import ferrywoman

from constrained import Dialogue, read_log, replay
from constrained.testing import ScriptedEngine

with tempfile.TemporaryDirectory() as folder:
    log = Path(folder) / "talk.jsonl"
    maud = Dialogue(ferrywoman, engine=ScriptedEngine(["river", "carry"]), log=log)
    maud.reply("What river is this?")
    maud.reply("Take me over, then.")
    for replayed in replay(ferrywoman, read_log(log)):
        print(replayed.record.number, replayed.is_same, replayed.text)

# 1 True Deep, cold, and older than the king.
# 2 True 2 silver, and mind the rope.
