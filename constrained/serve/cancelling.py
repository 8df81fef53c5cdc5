"""Turns that may still be called off: until one is kept, whoever comes first decides whether it is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from constrained.serve.errors import RefusedError


class TurnFate:
    """Whether a turn is kept or called off: the first word holds. Thread-safe."""

    def __init__(self) -> None:
        self._lock, self._word = threading.Lock(), ""

    def keep(self) -> None:
        """From here on it cannot be called off. Raises RefusedError, 409, where it was."""
        if not self._say("kept"):
            raise RefusedError(409, "the turn was called off", hint="nothing was said; the next turn takes a key of its own")

    def cancel(self) -> bool:
        """Whether it is not said."""
        return self._say("cancelled")

    def _say(self, word: str) -> bool:
        with self._lock:
            self._word = self._word or word
            return self._word == word


class TurnFates:
    """Those of the turns that run or wait in this process, by the key of their request, which repeats share. Of one event loop."""

    def __init__(self) -> None:
        self._fates: dict[tuple[str, str], list[TurnFate]] = {}

    @contextmanager
    def open(self, tenant: str, key: str | None) -> Iterator[TurnFate]:
        """The fate of a turn while it is taken."""
        if key is None:
            yield TurnFate()
            return
        shared = self._fates.setdefault((tenant, key), [])
        fate = shared[0] if shared else TurnFate()
        shared.append(fate)
        try:
            yield fate
        finally:
            shared.pop()
            if not shared:
                del self._fates[tenant, key]

    def cancel(self, tenant: str, key: str) -> None:
        """Calls a turn off. Raises RefusedError: 404 where none of the key runs, 409 where it is kept already."""
        shared = self._fates.get((tenant, key))
        if not shared:
            raise RefusedError(
                404, "no turn with this key runs", hint="send the request again with its key: its reply comes if it was taken"
            )
        if not shared[0].cancel():
            raise kept_already()


def kept_already() -> RefusedError:
    return RefusedError(409, "the turn is kept already", hint="send the request again with its key for the reply")
