"""Takes a turn of every pack with every engine before the first request, so that no request pays for what is done once.

Compiles what a catalog needs, fills the engine's caches, and settles what stays in memory. Knows no request.
"""

from __future__ import annotations

import gc
import logging

from constrained.dialogue import Dialogue
from constrained.errors import ConstrainedError
from constrained.serve.turns import Turns

WARMING_S = 60.0  # for one pack with one engine
MESSAGE = "Good day. Could you tell me more about that, please?"
log = logging.getLogger("constrained.serve")


def warm(turns: Turns) -> None:
    """What fails here is told and left: the turns say what to do about it."""
    for engine_name in turns.engines:
        for pack in turns.packs.names:
            try:
                dialogue = Dialogue(turns.packs.get(pack), engine=turns.engine(engine_name, pack)[1], drafts=True)
                dialogue.reply(MESSAGE, within=WARMING_S)
            except ConstrainedError as error:
                log.warning("%s is not warm with %s: %s", pack, engine_name, type(error).__name__)


def steady() -> None:
    """For a process that only serves: what is there now stays, and is not looked through whenever garbage is collected."""
    gc.collect()
    gc.freeze()
