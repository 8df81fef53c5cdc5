"""What a conversation carries from one turn to the next, as a value: so that it can go on in another process. Knows no dialogue."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from constrained.choice import Speaker


class Memory(BaseModel):
    """A conversation between two turns.

    Attributes:
        said: response id -> number of the turn that last said it.
        history: what the model may read of it, oldest first.
        number: of the last turn; 0 before the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    said: dict[str, int] = {}
    history: tuple[tuple[Speaker, str], ...] = ()
    number: int = 0
