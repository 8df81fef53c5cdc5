"""A peer that does wrong whatever its first line asks for; for the tests of the process around it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from benchmarks.peers import Answer, Entry, PeerUnsupportedError
from benchmarks.peers.bed import Bed, Prompt

IS_REMOTE = True  # no model is loaded


class Peer:
    def __init__(self, bed: Bed) -> None:
        self._entries: Sequence[Entry] = ()

    def compile(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        print("a library that prints to standard output does not disturb the answers", flush=True)
        what = entries[0].text
        if what == "refuse":
            raise PeerUnsupportedError("at most no lines")
        if what == "raise":
            raise RuntimeError("two\nlines")
        if what == "swallow memory":
            bytearray(64 * 2**30)
        if what == "abort":
            os.abort()
        if what == "sleep":
            time.sleep(60)

    def narrow(self, rows: Sequence[int]) -> None:
        self._entries = [self._entries[row] for row in rows]

    def suffix_pass(self, prompt: Prompt) -> None:
        """Nothing is there to pass."""

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        return Answer(row=len(self._entries) - 1, scores=(0.0,) * len(self._entries), notes={"asked": float(max_tokens)})
