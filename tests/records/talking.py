"""A conversation at the library's desk, whose log the tests take again. Tests nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

from constrained import Dialogue

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
SAID = ("hello", "Emma until Friday, please", "Here are 2 euros", "bye")


def talk(library: Any, engine: Any = None, said: Any = SAID, **options: Any) -> Any:
    """Replies to each message, carries out its effects, and gives the log."""
    dialogue = Dialogue(library, engine=engine, now=lambda: NOON, **options)
    state = library.state_type(owed=3)
    for message in said:
        state = dialogue.reply(message, state).apply(state)
    return dialogue.log
