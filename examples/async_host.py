"""An asynchronous host: many conversations at once share one engine; each keeps the order of its turns."""

import asyncio

from ferry import ferrywoman

from constrained import Dialogue
from constrained.testing import ScriptedEngine

engine = ScriptedEngine({"What river is this?": "river", "Take me over!": "carry"})


async def main() -> None:
    talks = [Dialogue(ferrywoman, engine=engine).areply(message) for message in ("What river is this?", "Take me over!")]
    for turn in await asyncio.gather(*talks):
        print(turn.text)


asyncio.run(main())

# Deep, cold, and older than the king.
# 2 silver, and mind the rope.
